//! One step of the hedge machine, and the step that makes a pair: news are heard, an order leaves.
//!
//! `cargo bench --bench hedge`. The budget of a step is 200 ns. Timed is the scanner's pass in
//! which it happens, as it runs before the gateways in one thread; told is that pass less the same
//! with a report that concerns no pair, the median of alternating rounds. So in the step are:
//! finding the pair, booking, the machine, pricing, and the order put on its link. Beside it stand
//! what comes after (what the fill teaches, the journal), and what any report costs: its way over
//! its link, the account, a look at the other links, the clock. An entry is told less a calm
//! message.
//!
//! A word on an order in flight and a part of a fill are means of many. The fill that sends the
//! hedge and the entry happen once a pair: each is timed after idle turns, in a rig that has lived
//! through a hundred pairs, again with the near caches emptied, and the fill in new rigs, whose
//! branches are cold too. What each step did is asserted.

#[path = "../tests/rig/scripted.rs"]
mod scripted;

use parallax::market::book::{Side, flags};
use parallax::market::order::{Order, OrderId, OrderState, ReportKind};
use parallax::market::units::{Bps, Notional, Size};
use parallax::scanner::breaker;
use parallax::scanner::edge::Settings;
use parallax::scanner::funding::Hours;
use parallax::scanner::ramp;
use parallax::scanner::risk::Limits;
use parallax::stage::Stage;
use scripted::{BTC, Extended, Lighter, RUN, Rig, price, size};
use std::hint::black_box;
use std::time::Instant;

/// Rounds of each kind of step; the median of them is told.
const ROUNDS: usize = 400;
/// Pairs that a rig lives through before its rounds count.
const LIVED: usize = 100;
/// Idle turns before a round: more than there is for them to do.
const IDLE: usize = 300;
/// Words in a round.
const WORDS: u32 = 1_000;
/// Fills of one lot in a round: they fit into one leg of the rig's pairs.
const LOTS: u32 = 400;

/// Bytes that are read to push everything else out of the caches of a core.
const COLD_BYTES: usize = 4 << 20;

/// A pair whose slow leg has begun to fill and whose hedge is out.
fn legged() -> (Rig, Order, Order) {
    let (mut rig, slow) = entering();
    rig.fill(&slow, size("0.05"), slow.price);
    rig.turn();
    let hedge = rig.only(Extended);
    assert_eq!(hedge.size, size("0.05"), "the hedge follows the fill");
    (rig, slow, hedge)
}

/// A pair whose first order is out.
fn entering() -> (Rig, Order) {
    let mut rig = Rig::ready(Limits::default());
    rig.positions_follow = false;
    rig.edge();
    let slow = rig.only(Lighter);
    idle(&mut rig);
    (rig, slow)
}

/// Turns with nothing to do, until what idle turns are for is done.
fn idle(rig: &mut Rig) {
    for _ in 0..IDLE {
        rig.scanner.turn(rig.now);
    }
}

/// A word on an order of another run, which no pair hears of.
fn strange(rig: &mut Rig) {
    let nobodys = OrderId::new(RUN + 1, 1, 1);
    rig.tell(Lighter, nobodys, ReportKind::Acknowledged);
}

/// Nanoseconds of a pass, up to its orders on their links, and of what follows it.
#[derive(Clone, Copy, Default)]
struct Passed {
    step: f64,
    after: f64,
}

/// The mean of `count` passes, each with its own news.
fn passes(rig: &mut Rig, count: u32, mut tell: impl FnMut(&mut Rig)) -> Passed {
    let mut sum = Passed::default();
    for _ in 0..count {
        tell(rig);
        let begun = Instant::now();
        black_box(rig.scanner.relay(rig.now));
        let done = Instant::now();
        black_box(rig.scanner.turn(rig.now));
        sum.step += (done - begun).as_nanos() as f64;
        sum.after += done.elapsed().as_nanos() as f64;
    }
    let mean = |ns: f64| ns / f64::from(count);
    Passed {
        step: mean(sum.step),
        after: mean(sum.after),
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Rounds of (the pass with the step, the pass without).
fn told(name: &str, rounds: &[(Passed, Passed)]) {
    let of = |take: fn(&(Passed, Passed)) -> f64| median(rounds.iter().map(take).collect());
    let step = of(|(whole, empty)| whole.step - empty.step);
    let after = of(|(whole, empty)| whole.after - empty.after);
    let (whole, empty) = (of(|round| round.0.step), of(|round| round.1.step));
    println!(
        "step, {name}: {step:.0} ns (pass {whole:.0} ns, without the step {empty:.0} ns), then \
         {after:.0} ns for what it teaches and the journal"
    );
}

fn word() {
    let (mut rig, _, hedge) = legged();
    let round = |_| {
        let empty = passes(&mut rig, WORDS, strange);
        let whole = passes(&mut rig, WORDS, |rig| {
            rig.tell(Extended, hedge.id, ReportKind::Acknowledged);
        });
        (whole, empty)
    };
    told("a word", &(0..ROUNDS).map(round).collect::<Vec<_>>());
    // It was that order's: the other leg's next fill still waits for it.
    assert!(rig.placed().is_empty());
}

fn part() {
    let lot = size("0.001");
    let round = |_| {
        let (mut rig, slow, hedge) = legged();
        let empty = passes(&mut rig, LOTS, strange);
        let whole = passes(&mut rig, LOTS, |rig| rig.fill(&slow, lot, slow.price));
        rig.fill_all(&hedge);
        let rest = rig.only(Extended).size;
        assert_eq!(rest, Size(lot.0 * i64::from(LOTS)), "every part was booked");
        (whole, empty)
    };
    told(
        "a part of a fill",
        &(0..ROUNDS).map(round).collect::<Vec<_>>(),
    );
}

/// A level of Lighter's book, unheard as yet.
fn level(rig: &mut Rig, side: Side, at: &str, of: &str, flags: u8) {
    rig.delta(BTC, Lighter, (side, price(at), size(of)), flags);
}

/// Opens a pair, times the passes that send its first order and its hedge, each after `before`, and
/// leaves the pair again.
fn lived(rig: &mut Rig, before: fn()) -> [(Passed, Passed); 2] {
    rig.settle();
    for gone in ["1000.1", "1001.1"] {
        level(rig, Side::Ask, gone, "0", 0);
    }
    idle(rig);
    let calm = passes(rig, 1, |rig| {
        level(rig, Side::Bid, "900.0", "1", flags::LAST);
        before();
    });
    let edge = passes(rig, 1, |rig| {
        level(rig, Side::Bid, "1001.4", "2", flags::LAST);
        before();
    });
    rig.turn();
    let slow = rig.only(Lighter);
    rig.positions_follow = false;
    idle(rig);
    let empty = passes(rig, 1, |rig| {
        strange(rig);
        before();
    });
    let whole = passes(rig, 1, |rig| {
        rig.fill(&slow, slow.size, slow.price);
        before();
    });
    rig.positions_follow = true;
    rig.position(Lighter, -slow.size);
    rig.state(&slow, OrderState::Filled, slow.size);
    rig.turn();
    let fast = rig.only(Extended);
    assert_eq!(fast.size, slow.size);
    rig.fill(&fast, fast.size, price("1000.1"));
    rig.state(&fast, OrderState::Filled, fast.size);
    rig.turn();
    rig.book(Lighter, "999.9", "1000.0");
    rig.book(Extended, "1000.0", "1000.1");
    for venue in [Lighter, Extended] {
        let out = rig.only(venue);
        rig.fill_all(&out);
    }
    rig.pass(3_200);
    rig.events.clear();
    [(edge, calm), (whole, empty)]
}

/// Leaves nothing of the scanner's in a core's own caches.
fn chill() {
    static FAR: [u8; COLD_BYTES] = [1; COLD_BYTES];
    let lines = black_box(&FAR).chunks(64).map(|line| u64::from(line[0]));
    black_box(lines.sum::<u64>());
}

fn hedge() {
    let mut rig = Rig::ready(Limits {
        orders_per_minute: [10_000; 2],
        // Every pair of this rig loses: such a market would rest, cost more with each of them, and
        // end the day.
        net_min: Bps::whole(-100),
        breaker: breaker::Limits {
            daily_loss_max: Notional::from_usd(1 << 40),
            drawdown_max: Bps::whole(10_000),
            unwinds_max: u16::MAX,
            misses_max: u16::MAX,
        },
        edge: Settings {
            common_max: Bps::whole(10_000),
            hours: Hours {
                at_ns: [0; 2],
                before_ns: 0,
                after_ns: 0,
            },
            ..Settings::DEFAULT
        },
        ramp: ramp::Limits {
            losing_max: u16::MAX,
            ..ramp::Limits::default()
        },
        ..Limits::default()
    });
    // Pairs last 3.2 s: no look falls on a full hour, when funding is paid.
    rig.pass(50);
    for (caches, before) in [("", (|| {}) as fn()), (", caches cold", chill)] {
        let rounds = (0..ROUNDS + LIVED).map(|_| lived(&mut rig, before));
        let rounds: Vec<_> = rounds.collect();
        assert!(!rig.halt.is_raised());
        let [edges, hedges] = [0, 1].map(|step| {
            let of = rounds[LIVED..].iter().map(|round| round[step]);
            of.collect::<Vec<_>>()
        });
        told(&format!("an edge and its order{caches}"), &edges);
        told(&format!("a fill and its hedge{caches}"), &hedges);
    }
}

fn cold_hedge() {
    let round = |_| {
        let (mut rig, _) = entering();
        let empty = passes(&mut rig, 1, strange);
        let (mut rig, slow) = entering();
        let whole = passes(&mut rig, 1, |rig| rig.fill(&slow, slow.size, slow.price));
        rig.turn();
        assert_eq!(rig.only(Extended).size, slow.size);
        (whole, empty)
    };
    told(
        "a fill and its hedge in new rigs",
        &(0..ROUNDS).map(round).collect::<Vec<_>>(),
    );
}

fn main() {
    word();
    part();
    hedge();
    cold_hedge();
}
