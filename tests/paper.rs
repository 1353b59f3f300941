//! Paper: the same decisions and signatures, nothing sent, fills from the books after the venue's
//! delay, money that adds up, and the word paper wherever a figure could be taken for money.

#[path = "rig/command.rs"]
mod command;
#[path = "rig/private.rs"]
mod private;
#[path = "rig/scripted.rs"]
mod scripted;
#[path = "rig/simulation.rs"]
mod simulation;
#[path = "rig/venues.rs"]
mod venues;

use command::{object, parallax, text};
use parallax::market::book::Side;
use parallax::market::book::flags::LAST;
use parallax::market::event::{Event, PairEnd};
use parallax::market::order::{Order, OrderState};
use parallax::market::reference::ReferenceKind;
use parallax::market::units::{MS, Nanos, Notional, SCALE, SECOND, Size};
use parallax::market::{VENUES, Venue};
use parallax::scanner::risk::{LegOrder, Limits};
use private::private_file;
use scripted::*;
use serde_json::Value;
use std::path::{Path, PathBuf};
use venues::Venues;

const EQUITY_USD: i64 = 1_000;

fn limits() -> Limits {
    Limits {
        leg_order: LegOrder::SlowFirst,
        ..Limits::default()
    }
}

fn rig() -> Rig {
    Rig::on_paper(limits(), EQUITY_USD)
}

/// Fills so far: venue, side, price and size.
fn fills(rig: &Rig) -> Vec<(Venue, Side, String, String)> {
    let fill = |event: &Event| match event {
        Event::Fill {
            venue,
            side,
            price,
            size,
            ..
        } => Some((*venue, *side, price.to_string(), size.to_string())),
        _ => None,
    };
    rig.events.iter().filter_map(fill).collect()
}

/// What the fills brought at a venue, fees taken off: an independent sum, of cash alone.
fn cash(rig: &Rig, at: Venue) -> i128 {
    let amount = |event: &Event| match event {
        Event::Fill {
            venue,
            side,
            price,
            size,
            fee,
            ..
        } if *venue == at => {
            let worth = i128::from(price.0) * i128::from(size.0);
            match side {
                Side::Bid => -worth - fee.0,
                Side::Ask => worth - fee.0,
            }
        }
        _ => 0,
    };
    rig.events.iter().map(amount).sum()
}

/// The last equity told of a venue.
fn equity(rig: &Rig, at: Venue) -> Notional {
    let equity = |event: &Event| match event {
        Event::Balance { venue, equity, .. } if *venue == at => Some(*equity),
        _ => None,
    };
    let mut told = rig.events.iter().rev().filter_map(equity);
    told.next().expect("money was told of")
}

/// Lets time pass in steps of a millisecond, so that delays can be told apart.
fn pass_fine(rig: &mut Rig, ms: u64) {
    for _ in 0..ms {
        rig.now = rig.now.plus(MS);
        rig.turn();
    }
}

/// Enters the standing edge and lets both legs match; gives the two orders.
fn hedged(rig: &mut Rig) -> (Order, Order) {
    rig.edge();
    let slow = rig.sign_all();
    pass_fine(rig, 350);
    let fast = rig.sign_all();
    pass_fine(rig, 10);
    assert_eq!((slow.len(), fast.len()), (1, 1), "{slow:?} {fast:?}");
    (slow[0], fast[0])
}

/// Closes what is open: Lighter comes back far enough to pay both half spreads.
fn leave(rig: &mut Rig) {
    rig.book(Lighter, "999.7", "999.9");
    rig.pass(10);
    for _ in 0..4 {
        rig.sign_all();
        rig.pass(400);
    }
}

#[test]
fn an_order_is_matched_after_the_venues_own_delay() {
    let mut rig = rig();
    rig.edge();
    assert_eq!(fills(&rig), [], "not before it was signed");
    pass_fine(&mut rig, 500);
    assert_eq!(fills(&rig), [], "nor while its gateway has it");
    let slow = rig.sign_all();
    assert_eq!(slow[0].venue, Lighter);
    pass_fine(&mut rig, 349);
    assert_eq!(fills(&rig), []);
    pass_fine(&mut rig, 1);
    let size = slow[0].size.to_string();
    let sold = (Lighter, Side::Ask, "1001.4".into(), size.clone());
    assert_eq!(fills(&rig), std::slice::from_ref(&sold));
    let fast = rig.sign_all();
    assert_eq!((fast[0].venue, fast[0].size), (Extended, slow[0].size));
    pass_fine(&mut rig, 9);
    assert_eq!(fills(&rig).len(), 1);
    pass_fine(&mut rig, 1);
    let bought = (Extended, Side::Bid, "1000.1".into(), size);
    assert_eq!(fills(&rig), [sold, bought]);
    assert_eq!(rig.count(|e| matches!(e, Event::Hedged { .. })), 1);
}

#[test]
fn the_book_of_the_match_counts_and_not_that_of_the_decision() {
    let mut rig = rig();
    rig.edge();
    let order = rig.sign_all()[0];
    pass_fine(&mut rig, 200);
    // The edge is gone before the match.
    rig.book(Lighter, "999.9", "1000.1");
    pass_fine(&mut rig, 200);
    assert_eq!(fills(&rig), []);
    let over = |event: &Event| match event {
        Event::OrderState {
            order: id, state, ..
        } => *id == order.id && *state == OrderState::Cancelled,
        _ => false,
    };
    assert_eq!(rig.count(over), 1);
    rig.pass(4_000);
    assert_eq!(rig.summary().end, PairEnd::Missed);
    assert_eq!(equity(&rig, Lighter), Notional::from_usd(EQUITY_USD));
}

#[test]
fn a_pair_opens_and_closes_and_the_money_adds_up() {
    let mut rig = rig();
    hedged(&mut rig);
    leave(&mut rig);
    let summary = rig.summary();
    assert_eq!(summary.end, PairEnd::Closed);
    assert!(summary.total.0 > 0, "13 bps less 5 of fees: {summary:?}");
    let made: i128 = VENUES.map(|venue| cash(&rig, venue)).into_iter().sum();
    assert_eq!(summary.total.0, made);
    for venue in VENUES {
        let start = Notional::from_usd(EQUITY_USD);
        assert_eq!(
            equity(&rig, venue).0,
            start.0 + cash(&rig, venue),
            "{venue:?}"
        );
    }
    let is_fee =
        |event: &Event| matches!(event, Event::Fill { venue: Extended, fee, .. } if fee.0 > 0);
    assert_eq!(rig.count(is_fee), 2, "takers pay at Extended");
    assert!(rig.halted().is_empty());
}

#[test]
fn until_its_first_fill_a_run_on_paper_decides_as_a_live_one() {
    let mut live = Rig::new(limits());
    live.open_for_business();
    let mut paper = rig();
    // Both clocks stand where the paper one is; so do the books.
    live.now = paper.now;
    let mut placed = [Vec::new(), Vec::new()];
    for bid in ["1000.2", "1000.4", "1001.0", "1001.4", "1001.2"] {
        for (rig, placed) in [&mut live, &mut paper].into_iter().zip(&mut placed) {
            let ask = format!("{}", price(bid) + price("0.2"));
            rig.book(Lighter, bid, &ask);
            for order in rig.sign_all() {
                placed.push((order.venue, order.side, order.price, order.size, order.id));
            }
            rig.pass(20);
        }
    }
    assert_eq!(placed[0].len(), 1);
    assert_eq!(placed[0], placed[1]);
    let told = |rig: &Rig| -> Vec<String> {
        let is_decision = |event: &&Event| {
            matches!(
                event,
                Event::Seen { .. } | Event::Refused { .. } | Event::Taken { .. }
            )
        };
        let decisions = rig.events.iter().filter(is_decision);
        decisions.map(|event| format!("{event:?}")).collect()
    };
    assert_eq!(told(&live), told(&paper));
}

#[test]
fn what_was_taken_stays_gone_until_the_level_is_shown_anew() {
    let mut rig = Rig::on_paper(
        Limits {
            depth_haircut_e4: 0,
            cooldown_ns: 0,
            hold_max_ns: SECOND,
            ..limits()
        },
        EQUITY_USD,
    );
    let sold = |rig: &Rig| -> Vec<Size> {
        let sold = |event: &Event| match event {
            Event::Fill {
                venue: Lighter,
                side: Side::Ask,
                size,
                ..
            } => Some(*size),
            _ => None,
        };
        rig.events.iter().filter_map(sold).collect()
    };
    // Lighter's book stands from here on, half a unit a level; Extended makes the edge come and go.
    rig.book_of(BTC, Lighter, ("1001.4", "1001.6"), "0.5");
    let entry = |rig: &mut Rig, deep: i64| {
        for _ in 0..300 {
            rig.delta(
                BTC,
                Lighter,
                (Side::Bid, price("900"), Size(deep * SCALE)),
                LAST,
            );
            rig.book(Extended, "999.9", "1000.1");
            rig.sign_all();
            rig.pass(10);
        }
        for _ in 0..300 {
            rig.delta(
                BTC,
                Lighter,
                (Side::Bid, price("900"), Size(deep * SCALE)),
                LAST,
            );
            rig.book(Extended, "1001.4", "1001.6");
            rig.sign_all();
            rig.pass(10);
        }
    };
    entry(&mut rig, 1);
    let first = sold(&rig);
    assert_eq!(first.len(), 1);
    assert!(first[0] > size("0.4"), "{first:?}");
    entry(&mut rig, 2);
    let left = sold(&rig)
        .into_iter()
        .fold(size("0.5"), |left, sold| left - sold);
    assert!(left.0 >= 0, "{:?} of 0.5", sold(&rig));
    // Another size is shown there: it is believed.
    rig.delta(
        BTC,
        Lighter,
        (Side::Bid, price("1001.4"), size("0.6")),
        LAST,
    );
    let before = sold(&rig).len();
    entry(&mut rig, 3);
    let again = &sold(&rig)[before..];
    assert!(again.first() > Some(&size("0.4")), "{again:?}");
}

#[test]
fn a_book_that_cannot_be_looked_at_fills_nothing() {
    let mut rig = rig();
    rig.edge();
    rig.sign_all();
    rig.stale(Lighter);
    pass_fine(&mut rig, 360);
    assert_eq!(fills(&rig), []);
    let is_down = |event: &Event| {
        matches!(
            event,
            Event::Link {
                venue: Lighter,
                up: false,
                ..
            }
        )
    };
    assert_eq!(rig.count(is_down), 0, "a moment is not an outage");
    rig.pass(1_000);
    assert_eq!(rig.count(is_down), 1);
    rig.settle();
    rig.pass(10);
    let is_up = |event: &Event| {
        matches!(
            event,
            Event::Link {
                venue: Lighter,
                up: true,
                ..
            }
        )
    };
    assert_eq!(rig.count(is_up), 2);
}

#[test]
fn funding_is_paid_at_the_full_hour_and_is_the_pairs() {
    let mut rig = rig();
    // Longs pay a ten-thousandth at Extended, three of them at Lighter.
    for (venue, rate) in [(Extended, 100_000), (Lighter, 300_000)] {
        rig.reference(venue, ReferenceKind::Mark, 1_000 * SCALE);
        rig.reference(venue, ReferenceKind::Funding, rate);
    }
    let (slow, _) = hedged(&mut rig);
    let hour_ns = 3_600 * SECOND;
    rig.now = Nanos((rig.now.0 / hour_ns + 1) * hour_ns - 25 * MS);
    rig.pass(10);
    let before = VENUES.map(|venue| equity(&rig, venue));
    rig.pass(10);
    assert_eq!(VENUES.map(|venue| equity(&rig, venue)), before, "not yet");
    rig.pass(12_000);
    // Long at Extended: pays. Short at Lighter: is paid. Both on a mark of 1000.
    let notional = 1_000 * i128::from(SCALE) * i128::from(slow.size.0);
    let paid = [-notional / 10_000, 3 * notional / 10_000];
    for (venue, amount) in VENUES.into_iter().zip(paid) {
        let held = if venue == Extended {
            notional
        } else {
            -notional
        };
        let expected = Notional::from_usd(EQUITY_USD).0 + cash(&rig, venue) + held + amount;
        assert_eq!(equity(&rig, venue).0, expected, "{venue:?}");
    }
    rig.settle();
    leave(&mut rig);
    let summary = rig.summary();
    assert_eq!(summary.funding.0, paid[0] + paid[1]);
}

/// Everything the venues were asked, from their log.
fn asked(log: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(log).expect("the log of the simulated venues");
    let lines = text.lines();
    lines
        .map(|line| serde_json::from_str(line).expect("JSON a line"))
        .collect()
}

/// Market lists read, public streams followed, and nothing else: no order, no account, no key.
fn is_public(asked: &Value) -> bool {
    const STREAMS: &str = "/stream.extended.exchange/v1/";
    const PUBLIC: [&str; 4] = ["orderbooks/", "prices/", "funding", "publicTrades"];
    const CHANNELS: [&str; 4] = ["order_book/", "ticker/", "trade/", "market_stats/"];
    let word = |key: &str| asked[key].as_str().unwrap_or_default();
    if asked["headers"].get("x-api-key").is_some() {
        return false;
    }
    let path = word("path");
    match (word("kind"), word("method")) {
        ("http", "GET") => {
            path == "/api/v1/info/markets" || path.starts_with("/api/v1/orderBookDetails?")
        }
        ("ws", "GET") => {
            let topic = path.strip_prefix(STREAMS);
            path == "/stream" || topic.is_some_and(|t| PUBLIC.iter().any(|p| t.starts_with(p)))
        }
        ("ws", "TEXT") => {
            let body: Value = serde_json::from_str(word("body")).unwrap_or_default();
            let channel = body["channel"].as_str().unwrap_or_default();
            match body["type"].as_str() {
                Some("ping" | "pong") => true,
                Some("subscribe" | "unsubscribe") => {
                    body.get("auth").is_none() && CHANNELS.iter().any(|c| channel.starts_with(c))
                }
                _ => false,
            }
        }
        _ => false,
    }
}

/// Edges of one kind, again and again: a run that begins cold has seen enough of them after half a
/// minute, and takes the next.
fn plant_file() -> PathBuf {
    let line = |idx: usize| {
        let (at_ms, market) = (9_000 + 3_000 * idx, ["BTC", "ETH"][idx % 2]);
        format!(
            "{{\"at_ms\":{at_ms},\"market\":\"{market}\",\"venue\":\"lighter\",\"bps\":16,\
             \"life_ms\":1800,\"shape\":\"shock\"}}\n"
        )
    };
    private_file("paper.plant", &(0..22).map(line).collect::<String>())
}

/// A log that nobody has written to.
fn fresh_log(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = std::fs::remove_file(&path);
    path
}

#[test]
fn a_run_on_paper_needs_no_account_and_sends_no_order() {
    let log = fresh_log("paper-requests.log");
    let log_text = log.to_str().expect("UTF-8");
    let plant = plant_file();
    let venues = Venues::start(&[
        "--plain",
        "--seed",
        "7",
        "--plant",
        plant.to_str().expect("UTF-8"),
        "--log-requests",
        log_text,
    ]);
    let (e, l) = (
        &venues.description["extended"],
        &venues.description["lighter"],
    );
    let word = |value: &Value| value.as_str().expect("a text").to_owned();
    let env = private_file(
        "paper.env",
        &format!(
            "TRADING_MODE=dry_run\nAUTO_EXECUTION_ENABLED=true\nPAPER_EQUITY_USD=2000\n\
             FAIR_SAMPLES_MIN=60\nFAIR_WINDOW_S=60\n\
             EXTENDED_BASE_URL={}\nEXTENDED_STREAM_URL={}\nLIGHTER_BASE_URL={}\n\
             LIGHTER_WS_URL={}\n",
            word(&e["rest"]),
            word(&e["stream"]),
            word(&l["rest"]),
            word(&l["ws"])
        ),
    );
    let output = parallax(&["run", "--seconds", "75", "--json", "--env"])
        .arg(&env)
        .output()
        .expect("the binary was built for this test");
    let err = text(&output.stderr);
    assert!(output.status.success(), "{err}");
    let report = object(&output);
    let asked = asked(&log);
    assert!(asked.len() > 10, "the log is kept");
    let strange: Vec<_> = asked.iter().filter(|one| !is_public(one)).collect();
    assert!(strange.is_empty(), "{strange:?}");

    assert!(report["pairs"]["opened"].as_u64() >= Some(1), "{report}");
    assert!(report["pairs"]["closed"].as_u64() >= Some(1), "{report}");
    assert_eq!(report["pairs"]["stuck"], 0, "{report}");
    for venue in ["extended", "lighter"] {
        assert!(
            report["orders"][venue]["sent"].as_u64() >= Some(2),
            "{report}"
        );
        assert_eq!(report["orders"][venue]["rejected"], 0, "{report}");
    }
    // Signed as any other.
    assert!(
        report["signing"]["nonce_ahead"].as_u64() >= Some(4),
        "{report}"
    );
    assert!(
        report["latency_ns"]["sign"]["count"].as_u64() >= Some(4),
        "{report}"
    );
    // Nothing was sent, so nothing was answered.
    assert_eq!(report["latency_ns"]["send_to_fill"]["count"], 0, "{report}");

    let equity = |venue: &str| report["balances"][venue]["equity_usd"].as_f64();
    let made = equity("extended")
        .zip(equity("lighter"))
        .map(|(e, l)| e + l - 4_000.0);
    let total = report["pnl_usd"]["total"].as_f64();
    let apart = made.zip(total).map(|(made, total)| (made - total).abs());
    assert!(apart < Some(1e-6), "{made:?} {total:?}");

    assert_eq!(report["mode"], "dry_run");
    assert_eq!(report["paper"], true);
    assert_eq!(report["pnl_usd"]["paper"], true);
    for words in [
        "orders are signed with a throwaway one",
        "on paper: nothing is sent, fills are simulated",
        "mode dry_run on PAPER (nothing was sent",
        "; paper profit and loss ",
        "\npaper profit and loss of finished pairs, USD",
        "\npaper orders lighter: ",
        "lighter  paper equity",
    ] {
        assert!(err.contains(words), "{words} is not in\n{err}");
    }
}

/// Keys that are there are taken, and no venue is shown them or asked about them.
#[test]
fn configured_keys_are_taken_on_paper_and_not_shown_to_the_venues() {
    let log = fresh_log("paper-keys-requests.log");
    let log_text = log.to_str().expect("UTF-8");
    let venues = Venues::start(&["--seed", "7", "--log-requests", log_text]);
    let live = venues.env_file("paper-keys-live", "");
    let settings = std::fs::read_to_string(live).expect("just written");
    let settings = settings.replace("TRADING_MODE=live", "TRADING_MODE=dry_run");
    let env = private_file("paper-keys.env", &settings);
    let output = parallax(&["run", "--seconds", "15", "--json", "--env"])
        .arg(&env)
        .output()
        .expect("the binary was built for this test");
    let err = text(&output.stderr);
    assert!(output.status.success(), "{err}");
    assert!(!err.contains("throwaway"), "{err}");
    let report = object(&output);
    assert_eq!(report["paper"], true);
    let asked = asked(&log);
    let strange: Vec<_> = asked.iter().filter(|one| !is_public(one)).collect();
    assert!(!asked.is_empty() && strange.is_empty(), "{strange:?}");
}
