//! Two days of best quotes, by hand: what the basis does, which edges can be seen, what the engine
//! makes of them, and how money would wander between the venues.
//!
//! Rows come once a second, so nothing here says what becomes of an edge in 140 or 300 ms: an edge
//! of one row stands for that whole second, and whatever is taken looks easier than it is. Sizes
//! are those of the touch. What is held against the engine is a taker without latency, who pays
//! what each row shows: more than anybody can make.

use crate::virtual_time::engine::{Engine, demo_limits};
use crate::virtual_time::{News, Outcome, START, Scenario, Trader, play};
use parallax::config::Config;
use parallax::market::event::Event;
use parallax::market::order::{Order, ReportKind};
use parallax::market::units::{Nanos, SECOND};
use parallax::market::{VENUES, Venue};
use parallax::scanner::Limits;
use parallax::session::limits;
use parallax::sim::plant::Plant;
use parallax::sim::tape::Tape;
use std::path::Path;
use std::sync::Arc;

/// Where the tape is, as `parallax tape convert FOLDER OUT` writes it.
const PATH: &str = "QUOTES_TAPE";
/// The fair of the judge: median basis of so many seconds before.
const FAIR_S: usize = 600;
/// Of the taker without latency: net edge wanted, edge left, USD a pair, deposit a venue, and the
/// part of a deposit that, once it has moved, is moved back.
const NET_MIN_BPS: f64 = 1.0;
const LEFT_BPS: f64 = 0.5;
const PAIR_USD: f64 = 500.0;
const DEPOSIT_USD: f64 = 1_000.0;
const MOVED_PART: f64 = 0.1;
const HOUR_S: usize = 3_600;

/// Both touches at a second: bid and ask, by venue.
type Row = [(f64, f64); 2];

/// The engine, with somebody beside it who notes the touches each second.
struct Watched {
    engine: Engine,
    due: Nanos,
    rows: Vec<Row>,
    /// Of each venue, at each second.
    equity: Vec<[f64; 2]>,
    held: [f64; 2],
}

impl Trader for Watched {
    fn hear(&mut self, venue: Venue, news: &News, now: Nanos) {
        if let News::Report(report) = news
            && let ReportKind::Balance { equity, .. } = report.kind
        {
            self.held[venue.idx()] = equity.to_usd_f64();
        }
        self.engine.hear(venue, news, now);
    }

    fn turn(&mut self, now: Nanos, orders: &mut Vec<Order>) {
        self.engine.turn(now, orders);
    }

    fn beat(&mut self, now: Nanos) {
        self.engine.beat(now);
        if now < self.due {
            return;
        }
        self.due = now.plus(SECOND);
        let both = VENUES.map(|venue| {
            let book = &self.engine.books[0][venue.idx()];
            let best = |side| book.best(side).map(|level| level.price.0 as f64 / 1e9);
            best(parallax::market::book::Side::Bid).zip(best(parallax::market::book::Side::Ask))
        });
        if let [Some(extended), Some(lighter)] = both {
            self.rows.push([extended, lighter]);
            self.equity.push(self.held);
        }
    }

    fn drain(&mut self, now: Nanos) {
        self.engine.drain(now);
    }

    fn is_drained(&self) -> bool {
        self.engine.is_drained()
    }
}

/// The limits of a run at the defaults: a fair of ten minutes, no fair known beforehand.
fn live_limits() -> Limits {
    let settings = [("TRADING_MODE", "dry_run"), ("RAMP_PAIRS", "0")];
    let settings = settings.map(|(name, value)| (name.to_string(), value.to_string()));
    let config = Config::for_simulation(settings.to_vec()).expect("the defaults are sound");
    Limits {
        entries_enabled: true,
        ..limits::of(&config)
    }
}

#[test]
#[ignore = "by hand: QUOTES_TAPE=PATH of a tape of quotes; some minutes"]
fn by_hand_two_days_of_quotes() {
    let path = std::env::var(PATH).expect("QUOTES_TAPE=PATH of a tape of quotes");
    let tape = Arc::new(Tape::load(Path::new(&path)).expect("a tape"));
    let scenario = Scenario {
        seconds: (tape.span_ns() - tape.lead_ns()) / SECOND,
        tape,
        plant: Plant::Off,
        ..Scenario::new(1)
    };
    let mut watched = Watched {
        engine: Engine::new(&scenario, live_limits()),
        due: START,
        rows: Vec::new(),
        equity: Vec::new(),
        held: [0.0; 2],
    };
    let outcome = play(&scenario, &mut watched);
    let fees = scenario.instruments()[0].markets;
    let fees: f64 = fees
        .iter()
        .map(|market| 2.0 * market.fee_taker.to_f64())
        .sum();
    println!("{} rows, fees of four legs {fees} bps", watched.rows.len());
    let fairs = fairs(&watched.rows);
    tell_basis(&watched.rows);
    tell_edges(&watched.rows, &fairs, fees);
    tell_engine(&watched, &outcome);
    for fees in [fees, 0.0] {
        tell_taker(&watched.rows, &fairs, fees);
    }
}

fn mid((bid, ask): (f64, f64)) -> f64 {
    (bid + ask) / 2.0
}

/// Lighter's mid over Extended's, less one, bps.
fn basis(row: &Row) -> f64 {
    (mid(row[1]) / mid(row[0]) - 1.0) * 10_000.0
}

/// What buying on `long` and selling on the other brings over a fair, bps.
fn edge(long: Venue, bought: f64, sold: f64, fair: f64) -> f64 {
    let fair = 1.0 + fair / 10_000.0;
    let ratio = match long {
        Venue::Extended => sold / (bought * fair),
        Venue::Lighter => sold * fair / bought,
    };
    (ratio - 1.0) * 10_000.0
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values[values.len() / 2]
}

/// The fair before each row, worked out anew every ten seconds; none while the window is not full.
fn fairs(rows: &[Row]) -> Vec<Option<f64>> {
    let mut fairs = Vec::with_capacity(rows.len());
    let mut fair = None;
    for at in 0..rows.len() {
        if at >= FAIR_S && at % 10 == 0 {
            let mut window: Vec<f64> = rows[at - FAIR_S..at].iter().map(basis).collect();
            fair = Some(median(&mut window));
        }
        fairs.push(fair);
    }
    fairs
}

/// Values at these places of a hundred, smallest first.
fn told(mut values: Vec<f64>) -> String {
    if values.is_empty() {
        return "none".to_string();
    }
    values.sort_unstable_by(f64::total_cmp);
    let at = |place: f64| values[((values.len() - 1) as f64 * place) as usize];
    let places = [0.0, 0.01, 0.1, 0.5, 0.9, 0.99, 1.0].map(at);
    let places = places.map(|value| format!("{value:+.2}")).join(" / ");
    format!("min / p1 / p10 / p50 / p90 / p99 / max {places}")
}

fn tell_basis(rows: &[Row]) {
    println!("basis, bps: {}", told(rows.iter().map(basis).collect()));
    let hours: Vec<f64> = rows
        .chunks_exact(HOUR_S)
        .map(|hour| median(&mut hour.iter().map(basis).collect::<Vec<f64>>()))
        .collect();
    println!("hourly medians, bps: {}", told(hours.clone()));
    let drift = hours.windows(2).map(|two| (two[1] - two[0]).abs());
    println!("change from hour to hour, bps: {}", told(drift.collect()));
    for venue in VENUES {
        let spread = |row: &Row| {
            let (bid, ask) = row[venue.idx()];
            (ask - bid) / mid((bid, ask)) * 10_000.0
        };
        println!(
            "spread on {}, bps: {}",
            venue.name(),
            told(rows.iter().map(spread).collect())
        );
    }
}

/// What goes off a gross edge: fees, and both half spreads on the way out.
fn costs(row: &Row, fees: f64) -> f64 {
    let half = |(bid, ask): (f64, f64)| (ask - bid) / (ask + bid) * 10_000.0;
    fees + half(row[0]) + half(row[1])
}

/// Net edge of a direction at the touches.
fn net(row: &Row, fair: f64, long: Venue, fees: f64) -> f64 {
    let (bought, sold) = (row[long.idx()].1, row[long.other().idx()].0);
    edge(long, bought, sold, fair) - costs(row, fees)
}

/// Episodes: seconds in a row in which a direction stands above its costs.
fn tell_edges(rows: &[Row], fairs: &[Option<f64>], fees: f64) {
    let (mut best, mut lives, mut hours) = (Vec::new(), Vec::new(), [0_usize; 24]);
    for long in VENUES {
        let mut run: Option<(usize, f64)> = None;
        for (at, (row, fair)) in rows.iter().zip(fairs).enumerate() {
            let net = fair.map_or(f64::MIN, |fair| net(row, fair, long, fees));
            if net > 0.0 {
                let (since, most) = run.unwrap_or((at, net));
                run = Some((since, most.max(net)));
            } else if let Some((since, most)) = run.take() {
                best.push(most);
                lives.push((at - since) as f64);
                hours[since / HOUR_S % 24] += 1;
            }
        }
    }
    let over = |bps: f64| best.iter().filter(|most| **most >= bps).count();
    println!(
        "above cost: {} episodes; {} of 1 bps, {} of 2, {} of 5",
        best.len(),
        over(1.0),
        over(2.0),
        over(5.0)
    );
    println!("  best net of each, bps: {}", told(best));
    println!("  rows in a row: {}", told(lives));
    println!("  by hour of the day: {hours:?}");
}

fn tell_engine(watched: &Watched, outcome: &Outcome) {
    let engine = &watched.engine;
    println!(
        "engine: {} seen, {} taken, {} opened; refused {:?}",
        engine.seen(),
        engine.taken(),
        engine.opened().count(),
        engine.refusals()
    );
    let grosses = engine.events.iter().filter_map(|event| match event {
        Event::Seen { gross, .. } => Some(gross.to_f64()),
        _ => None,
    });
    println!("  gross at first sight, bps: {}", told(grosses.collect()));
    for (reason, _) in engine.refusals() {
        let made = engine
            .scores()
            .filter(|s| s.is_first && s.reason == Some(reason));
        let made: Vec<f64> = made.filter_map(|s| Some(s.made?.to_f64())).collect();
        println!(
            "  {reason:?}: {} would have filled, net at arrival, bps: {}",
            made.len(),
            told(made.clone())
        );
    }
    for pair in engine.pairs() {
        println!("  {pair:?}");
    }
    println!(
        "  made {:+.4} USD, flat {}, halt {}",
        outcome.made().to_usd_f64(),
        outcome.is_flat(),
        engine.halt.is_raised()
    );
    if let (Some(first), Some(last)) = (watched.equity.first(), watched.equity.last()) {
        println!("  equity by venue, first and last: {first:?} {last:?}");
    }
    assert!(demo_limits().net_min.to_f64() <= NET_MIN_BPS);
}

/// Pays what each row shows, and leaves at fair.
fn tell_taker(rows: &[Row], fairs: &[Option<f64>], fees: f64) {
    let mut money = [0.0; 2];
    let mut held: Option<(Venue, Row, f64, usize)> = None;
    let (mut apart, mut seconds, mut moves, mut made) = (0.0_f64, Vec::new(), 0, Vec::new());
    let mut moved_away = 0.0;
    for (at, (row, fair)) in rows.iter().zip(fairs).enumerate() {
        let Some(fair) = *fair else { continue };
        match held {
            None => {
                let long = VENUES
                    .into_iter()
                    .find(|long| net(row, fair, *long, fees) >= NET_MIN_BPS);
                held = long.map(|long| (long, *row, fair, at));
            }
            Some((long, entry, fair, since)) => {
                let short = long.other();
                let (got, paid) = (row[long.idx()].0, row[short.idx()].1);
                if edge(long, got, paid, fair) > LEFT_BPS {
                    continue;
                }
                let fee = |venue: Venue| match venue {
                    Venue::Extended => fees / 10_000.0 * PAIR_USD,
                    Venue::Lighter => 0.0,
                };
                let bought = entry[long.idx()].1;
                let sold = entry[short.idx()].0;
                let legs = [
                    (long, (got / bought - 1.0) * PAIR_USD),
                    (short, (1.0 - paid / sold) * PAIR_USD),
                ];
                let before: f64 = money.iter().sum();
                for (venue, leg) in legs {
                    money[venue.idx()] += leg - fee(venue);
                }
                made.push(money.iter().sum::<f64>() - before);
                seconds.push((at - since) as f64);
                let off = (money[1] - money[0]) / 2.0 - moved_away;
                apart = apart.max(off.abs());
                if off.abs() >= MOVED_PART * DEPOSIT_USD {
                    moves += 1;
                    moved_away += off;
                }
                held = None;
            }
        }
    }
    let losers = made.iter().filter(|made| **made <= 0.0).count();
    println!(
        "taker without latency, fees {fees} bps: {} pairs, {losers} lose, {:+.2} USD; extended \
         {:+.2}, lighter {:+.2}; apart by {apart:.2} at most, {moves} moves of {} USD",
        made.len(),
        made.iter().sum::<f64>(),
        money[0],
        money[1],
        MOVED_PART * DEPOSIT_USD
    );
    println!("  held, s: {}", told(seconds));
    println!("  a pair, USD: {}", told(made));
}
