//! One step of the hedge machine: a report is heard, the legs are booked, the next row is taken.
//!
//! `cargo bench --bench hedge`. The step is timed as the run has it, through the scanner's turn:
//! the report's way over its link, the account, the search for the pair, the machine, and the two
//! clocks of an empty turn are in it. What the step did is asserted before anything is timed. Three
//! steps: a word on an order in flight while a leg stands alone (what it is worth is looked at as
//! well), a part of a fill, and the fill that sends the hedge. The budget is 200 ns.

#[path = "../tests/rig/scripted.rs"]
mod scripted;

use criterion::Criterion;
use parallax::market::order::{Order, ReportKind};
use parallax::market::units::Size;
use parallax::scanner::risk::Limits;
use parallax::stage::Stage;
use scripted::{Extended, Lighter, Rig, size};
use std::hint::black_box;
use std::time::{Duration, Instant};

/// Fills of one lot that fit into one leg of the rig's pairs.
const LOTS: u64 = 400;
/// Pairs opened to time the fill that sends a hedge: each needs a rig of its own.
const PAIRS: usize = 400;

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
    rig.edge();
    let slow = rig.only(Lighter);
    (rig, slow)
}

fn word(criterion: &mut Criterion) {
    let (mut rig, _, hedge) = legged();
    criterion.bench_function("step, a word", |bencher| {
        bencher.iter(|| {
            rig.tell(Extended, hedge.id, ReportKind::Acknowledged);
            black_box(rig.scanner.turn(rig.now))
        });
    });
    // It was that order's: the other leg's next fill still waits for it.
    assert!(rig.placed().is_empty());
}

fn part(criterion: &mut Criterion) {
    let lot = size("0.001");
    criterion.bench_function("step, a part of a fill", |bencher| {
        bencher.iter_custom(|iterations| {
            let mut total = Duration::ZERO;
            let mut left = iterations;
            while left > 0 {
                let (mut rig, slow, hedge) = legged();
                rig.positions_follow = false;
                let steps = left.min(LOTS);
                for _ in 0..steps {
                    let begun = Instant::now();
                    rig.fill(&slow, lot, slow.price);
                    black_box(rig.scanner.turn(rig.now));
                    total += begun.elapsed();
                }
                // Less than the venue's smallest order is not followed.
                if steps >= 20 {
                    rig.fill_all(&hedge);
                    let rest = rig.only(Extended).size;
                    assert_eq!(rest, Size(lot.0 * steps as i64), "every part was booked");
                }
                left -= steps;
            }
            total
        });
    });
}

/// The fill that sends the hedge, once a rig; criterion would want millions of rigs.
fn hedge() {
    let mut times: Vec<u64> = Vec::with_capacity(PAIRS);
    for _ in 0..PAIRS {
        let (mut rig, slow) = entering();
        rig.positions_follow = false;
        rig.fill(&slow, slow.size, slow.price);
        let begun = Instant::now();
        black_box(rig.scanner.turn(rig.now));
        times.push(begun.elapsed().as_nanos() as u64);
        rig.turn();
        assert_eq!(rig.only(Extended).size, slow.size);
    }
    times.sort_unstable();
    let at = |share: usize| times[times.len() * share / 100];
    println!(
        "step, a fill and its hedge (cold caches, {PAIRS} rigs): p50 {} ns, p90 {} ns",
        at(50),
        at(90)
    );
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    word(&mut criterion);
    part(&mut criterion);
    criterion.final_summary();
    hedge();
}
