//! One look at a market, limits and sizing, and how long 200 markets wait that move at once.
//!
//! `cargo bench --bench scan`. Everything goes through the scanner's turn as a run has it: the
//! message's way over its link into the mirror book, both touches, both directions, the fair, the
//! episodes. What a bare turn and the message itself cost is measured beside it in the same run and
//! taken off. Every answer is asserted before it is timed.
//!
//! - *walk*: both directions of one market, ten levels taken on either side. Budget 100 ns.
//! - *look*: the scanner's share of a message on one market of 1, 10 and 200.
//! - *room*: limits and sizing at the touch and at the worst price. Budget 50 ns.
//! - *burst*: one message on each of 200 markets; from the first pop to each decision.

#[path = "../tests/rig/scripted.rs"]
mod scripted;

use parallax::market::book::{Book, Delta, Side, flags};
use parallax::market::event::{Control, Event, Status};
use parallax::market::order::{OrderId, Report, ReportKind};
use parallax::market::units::{Bps, MS, Nanos, Notional, Price, SCALE, SECOND, Size};
use parallax::market::{Bounds, Instrument, InstrumentId, Market, Name, VENUES, Venue};
use parallax::scanner::arrival::table::Table;
use parallax::scanner::risk::{Ground, Limits, room};
use parallax::scanner::spread::{Haircut, Terms, Walk, Yardstick};
use parallax::scanner::{Ends, Scanner};
use parallax::stage::Stage;
use parallax::stage::clock::Clock;
use parallax::stage::halt::Halt;
use parallax::stage::link::{Rx, Tx, link};
use std::hint::black_box;
use std::time::Instant;

/// Runs of each measurement; the least of them is what the machine can do undisturbed, the median
/// what it does.
const ROUNDS: usize = 51;
const TICK: i64 = SCALE / 10;
const LEVELS: i64 = 10;

/// Least and median of the rounds, each `count` times one thing, in nanoseconds for one.
fn timed(count: u32, mut run: impl FnMut()) -> (f64, f64) {
    let mut each: Vec<f64> = Vec::with_capacity(ROUNDS);
    for _ in 0..ROUNDS {
        let begun = Instant::now();
        for _ in 0..count {
            run();
        }
        each.push(begun.elapsed().as_nanos() as f64 / f64::from(count));
    }
    each.sort_by(f64::total_cmp);
    (each[0], each[ROUNDS / 2])
}

fn print(what: &str, (least, median): (f64, f64)) {
    println!("{what:<44} least {least:>8.1} ns   median {median:>8.1} ns");
}

/// Ten levels a side round a mid of 1,000 and `over` ticks.
fn levels(over: i64) -> impl Iterator<Item = (Side, Price, Size)> {
    [(Side::Bid, -1), (Side::Ask, 1)]
        .into_iter()
        .flat_map(move |(side, sign)| {
            (0..LEVELS).map(move |level| {
                let ticks = 10_000 + over + sign * (level + 1);
                (side, Price(ticks * TICK), Size(SCALE))
            })
        })
}

fn walk() {
    let book = |over| {
        let mut book = Book::new(Price(TICK));
        for (side, price, size) in levels(over) {
            book.apply(side, price, size);
        }
        book
    };
    // 40 bps apart: all ten levels pay in one direction, none in the other.
    let books = [book(0), book(40)];
    let terms = |long| Terms {
        yardstick: Yardstick::new(Bps::ZERO),
        long,
        edge_min: Bps::whole(3),
        haircut: Haircut::cut_e4(5_000),
        cap: Size(i64::MAX / 4),
        step: Size(1_000_000),
    };
    let both = VENUES.map(terms);
    let walked = Walk::new(books.each_ref(), &both[0]).expect("ten levels pay");
    assert_eq!(walked.size, Size(LEVELS * SCALE / 2));
    assert!(Walk::new(books.each_ref(), &both[1]).is_none());
    let times = timed(20_000, || {
        for terms in &both {
            black_box(Walk::new(black_box(books.each_ref()), terms));
        }
    });
    print("walk, both directions, ten levels", times);
}

fn limits_and_sizing() {
    let instrument = instrument(0);
    let ground = Ground {
        markets: &instrument.markets,
        sides: [Side::Bid, Side::Ask],
        marks: [Some(Price(1_000 * SCALE)); 2],
        open: [Size(SCALE / 10); 2],
        gross: Notional::from_usd(200),
        free: [Notional::from_usd(5_000); 2],
        share: Notional::from_usd(2_500),
        staying: [Some(Notional::from_usd(2_500)); 2],
        spare_e9: [(i128::MAX, 1_000_000); 2],
    };
    let limits = Limits::default();
    let touch = [Price(1_000 * SCALE); 2];
    let worst = [Price(1_001 * SCALE), Price(999 * SCALE)];
    let size = room(&limits, &ground, touch).0;
    assert_eq!(size, Size(SCALE * 4 / 10));
    let times = timed(20_000, || {
        for prices in [touch, worst] {
            black_box(room(&limits, black_box(&ground), prices));
        }
    });
    print("room, at the touch and at the worst price", times);
}

fn instrument(id: u16) -> Instrument {
    let market = |venue| Market {
        venue,
        instrument: InstrumentId(id),
        name: Name::new("M").expect("a short name"),
        venue_market: u32::from(id),
        tick: Price(TICK),
        lot: Size(1_000_000),
        size_min: Size(10_000_000),
        notional_min: Notional::from_usd(10),
        fee_taker: Bps::whole(1),
        fee_maker: Bps::ZERO,
        bounds: Bounds::default(),
    };
    Instrument {
        id: InstrumentId(id),
        name: Name::new("M").expect("a short name"),
        markets: VENUES.map(market),
    }
}

/// The rig's memory, for so many markets: edges stay as they were seen.
fn steady(markets: u16) -> Table {
    let mut table = Table::new(markets.into());
    table.all = scripted::steady().all;
    table
}

/// A scanner over so many markets, all calm, fair known, entries refused: what a look costs.
struct Bench {
    scanner: Scanner,
    now: Nanos,
    markets: u16,
    deltas: [Tx<Delta>; 2],
    reports: [Tx<Report>; 2],
    control: Tx<Control>,
    journal: Rx<Event>,
    _others: (Box<dyn std::any::Any>, Rx<Status>),
}

impl Bench {
    fn new(markets: u16, limits: Limits) -> Bench {
        let [d0, d1] = [link("deltas", 1 << 14), link("deltas", 1 << 14)];
        let [f0, f1] = [link("references", 64), link("references", 64)];
        let [r0, r1] = [link("reports", 64), link("reports", 64)];
        let [o0, o1] = [link("orders", 1 << 10), link("orders", 1 << 10)];
        let (control, control_rx) = link("control", 256);
        let (status_tx, status) = link("status", 4);
        let (journal_tx, journal) = link("journal", 1 << 16);
        let ends = Ends {
            deltas: [d0.1, d1.1],
            references: [f0.1, f1.1],
            reports: [r0.1, r1.1],
            orders: [o0.0, o1.0],
            control: control_rx,
            status: status_tx,
            journal: journal_tx,
            board: link("board", 1_024).0,
            halt: Halt::default(),
            clock: Clock::new(),
        };
        let instruments: Vec<_> = (0..markets).map(instrument).collect();
        let mut bench = Bench {
            scanner: Scanner::new(&instruments, limits, 1, ends).learned(steady(markets)),
            now: Nanos(1_000_000 * SECOND),
            markets,
            deltas: [d0.0, d1.0],
            reports: [r0.0, r1.0],
            control,
            journal,
            _others: (Box::new((f0.0, f1.0, o0.1, o1.1)), status),
        };
        bench.open();
        bench
    }

    /// Accounts up and funded, fairs known, all books at 1,000.
    fn open(&mut self) {
        let equity = Notional::from_usd(5_000_000);
        let available = equity;
        for venue in VENUES {
            for kind in [ReportKind::Up, ReportKind::Balance { equity, available }] {
                let report = Report {
                    venue,
                    instrument: InstrumentId(0),
                    order: OrderId::NONE,
                    t: self.now,
                    kind,
                };
                self.reports[venue.idx()].push(report).expect("room");
            }
        }
        for id in 0..self.markets {
            let (instrument, basis) = (InstrumentId(id), Bps::ZERO);
            let seed = Control::FairSeed { instrument, basis };
            self.control.push(seed).expect("room");
            self.turns();
            for _ in 0..3 {
                for venue in VENUES {
                    self.snapshot(venue, id, 0);
                    self.turns();
                }
            }
        }
    }

    /// As many turns as take in everything that waits.
    fn turns(&mut self) {
        while self.scanner.turn(self.now) > 0 {}
        while self.journal.pop().is_some() {}
    }

    fn snapshot(&mut self, venue: Venue, id: u16, over: i64) {
        let last = 2 * LEVELS as usize - 1;
        for (at, (side, price, size)) in levels(over).enumerate() {
            let mut marks = flags::SNAPSHOT;
            marks |= if at == 0 { flags::CLEAR } else { 0 };
            marks |= if at == last { flags::LAST } else { 0 };
            self.delta(venue, id, (side, price, size), marks);
        }
    }

    fn delta(&mut self, venue: Venue, id: u16, level: (Side, Price, Size), flags: u8) {
        let (side, price, size) = level;
        let delta = Delta {
            price,
            size,
            t_recv: self.now,
            t_made: self.now,
            t_push: self.now,
            instrument: InstrumentId(id),
            venue,
            side,
            flags,
        };
        self.deltas[venue.idx()].push(delta).expect("room");
    }

    /// One level far from the touch on one market: a whole message.
    fn message(&mut self, id: u16, flags: u8) {
        let far = (Side::Bid, Price(9_990 * TICK), Size(SCALE));
        self.delta(Venue::Lighter, id, far, flags);
    }
}

/// What a message costs with and without being looked at, market after market.
fn look() {
    for markets in [1, 10, 200] {
        let mut bench = Bench::new(markets, Limits::default());
        let mut id = 0;
        let mut each = |flags: u8| {
            timed(2_000, || {
                id = (id + 1) % markets;
                bench.message(id, flags);
                black_box(bench.scanner.turn(bench.now));
                while bench.journal.pop().is_some() {}
            })
        };
        let (bare, looked) = (each(0), each(flags::LAST));
        print(&format!("turn with a delta, of {markets} markets"), bare);
        print(
            &format!("the same and a look, of {markets} markets"),
            looked,
        );
        let less = |a: f64, b: f64| (a - b).max(0.0);
        let share = (less(looked.0, bare.0), less(looked.1, bare.1));
        print("  difference: look, three stamps, three records", share);
    }
}

/// An edge on every market in one burst: how long until each was looked at and decided.
fn burst() {
    const MARKETS: u16 = 200;
    let mut whole: Vec<u64> = Vec::new();
    let mut taken = 0;
    for round in 0..20 {
        let limits = Limits {
            gross_max: Notional::from_usd(1_000_000),
            orders_per_minute: [2_000, 2_000],
            ..Limits::default()
        };
        let mut bench = Bench::new(MARKETS, limits);
        bench.now = bench.now.plus(MS);
        let bid = (Side::Bid, Price(10_015 * TICK), Size(SCALE));
        let ask = (Side::Ask, Price(10_016 * TICK), Size(SCALE));
        for id in 0..MARKETS {
            // The ask goes up first: the book is never crossed.
            for level in 1..=LEVELS {
                let gone = (Side::Ask, Price((10_000 + level) * TICK), Size::ZERO);
                bench.delta(Venue::Lighter, id, gone, 0);
            }
            bench.delta(Venue::Lighter, id, ask, 0);
            bench.delta(Venue::Lighter, id, bid, flags::LAST);
        }
        let begun = Instant::now();
        let (mut decided, mut refused) = (0, None);
        while bench.scanner.turn(bench.now) > 0 {
            while let Some(event) = bench.journal.pop() {
                decided += u32::from(matches!(event, Event::Taken { .. }));
                if let Event::Refused { reason, .. } = event {
                    refused = Some(reason);
                }
            }
        }
        whole.push(begun.elapsed().as_nanos() as u64);
        assert!(decided > 0, "round {round}: {refused:?}");
        taken = decided;
    }
    whole.sort_unstable();
    let last = whole[whole.len() / 2];
    println!(
        "burst: {MARKETS} markets touched at once, {taken} entries: the last decision after \
         {:.1} us (median of {} rounds), {:.0} ns a market, {:.0} at least",
        last as f64 / 1e3,
        whole.len(),
        last as f64 / f64::from(MARKETS),
        whole[0] as f64 / f64::from(MARKETS)
    );
}

fn main() {
    walk();
    limits_and_sizing();
    look();
    burst();
}
