//! One step of the hedge machine: a report is heard, the legs are booked, the next row is taken.
//!
//! `cargo bench --bench hedge`. The budget of a step is 200 ns. What is timed is the scanner's turn
//! in which it happens; what is told is that turn less the same turn with a report that concerns no
//! pair, in alternating rounds, the median of the rounds. So in the step are: finding the pair,
//! booking, the machine, pricing, and putting an order on its link. Not in it are what any report
//! costs: its way over its link, the account, the turn's look at the other links, the clock.
//!
//! Three steps: a word on an order in flight while a leg stands alone (what it is worth is looked
//! at as well), a part of a fill, and the fill that sends the hedge. The last happens once a pair;
//! its turns are timed one by one, in a rig that has lived through a hundred pairs, and for
//! comparison in new rigs, where memory and branches are as cold as they get. What each step did
//! is asserted.

#[path = "../tests/rig/scripted.rs"]
mod scripted;

use parallax::market::order::{Order, OrderId, OrderState, ReportKind};
use parallax::market::units::{Bps, Notional, Size};
use parallax::scanner::breaker;
use parallax::scanner::edge::Settings;
use parallax::scanner::funding::Hours;
use parallax::scanner::ramp;
use parallax::scanner::risk::Limits;
use parallax::stage::Stage;
use scripted::{Extended, Lighter, RUN, Rig, price, size};
use std::hint::black_box;
use std::time::Instant;

/// Rounds of each kind of step; the median of them is told.
const ROUNDS: usize = 400;
/// Pairs that a rig lives through before its rounds count.
const LIVED: usize = 100;
/// Words in a round.
const WORDS: u32 = 1_000;
/// Fills of one lot in a round: they fit into one leg of the rig's pairs.
const LOTS: u32 = 400;

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
    (rig, slow)
}

/// A word on an order of another run, which no pair hears of.
fn strange(rig: &mut Rig) {
    let nobodys = OrderId::new(RUN + 1, 1, 1);
    rig.tell(Lighter, nobodys, ReportKind::Acknowledged);
}

/// Nanoseconds of one of `count` turns.
fn turns(rig: &mut Rig, count: u32, mut tell: impl FnMut(&mut Rig)) -> f64 {
    let begun = Instant::now();
    for _ in 0..count {
        tell(rig);
        black_box(rig.scanner.turn(rig.now));
    }
    begun.elapsed().as_nanos() as f64 / f64::from(count)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Rounds of (the turn with the step, the turn without).
fn told(name: &str, rounds: Vec<(f64, f64)>) {
    let whole = median(rounds.iter().map(|round| round.0).collect());
    let empty = median(rounds.iter().map(|round| round.1).collect());
    let step = median(rounds.iter().map(|round| round.0 - round.1).collect());
    println!("step, {name}: {step:.0} ns (turn {whole:.0} ns, without the step {empty:.0} ns)");
}

fn word() {
    let (mut rig, _, hedge) = legged();
    let round = |_| {
        let empty = turns(&mut rig, WORDS, strange);
        let whole = turns(&mut rig, WORDS, |rig| {
            rig.tell(Extended, hedge.id, ReportKind::Acknowledged);
        });
        (whole, empty)
    };
    told("a word", (0..ROUNDS).map(round).collect());
    // It was that order's: the other leg's next fill still waits for it.
    assert!(rig.placed().is_empty());
}

fn part() {
    let lot = size("0.001");
    let round = |_| {
        let (mut rig, slow, hedge) = legged();
        let empty = turns(&mut rig, LOTS, strange);
        let whole = turns(&mut rig, LOTS, |rig| rig.fill(&slow, lot, slow.price));
        rig.fill_all(&hedge);
        let rest = rig.only(Extended).size;
        assert_eq!(rest, Size(lot.0 * i64::from(LOTS)), "every part was booked");
        (whole, empty)
    };
    told("a part of a fill", (0..ROUNDS).map(round).collect());
}

/// Opens a pair, times the turn that sends its hedge, and leaves the pair again.
fn lived(rig: &mut Rig) -> (f64, f64) {
    rig.settle();
    rig.edge();
    let slow = rig.only(Lighter);
    rig.positions_follow = false;
    strange(rig);
    let empty = turns(rig, 1, |_| {});
    rig.fill(&slow, slow.size, slow.price);
    let whole = turns(rig, 1, |_| {});
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
    (whole, empty)
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
    let rounds: Vec<_> = (0..ROUNDS + LIVED).map(|_| lived(&mut rig)).collect();
    assert!(!rig.halt.is_raised());
    told("a fill and its hedge", rounds[LIVED..].to_vec());
}

fn cold_hedge() {
    let round = |_| {
        let (mut rig, _) = entering();
        strange(&mut rig);
        let empty = turns(&mut rig, 1, |_| {});
        let (mut rig, slow) = entering();
        rig.fill(&slow, slow.size, slow.price);
        let whole = turns(&mut rig, 1, |_| {});
        rig.turn();
        assert_eq!(rig.only(Extended).size, slow.size);
        (whole, empty)
    };
    told("the same in new rigs", (0..ROUNDS).map(round).collect());
}

fn main() {
    word();
    part();
    hedge();
    cold_hedge();
}
