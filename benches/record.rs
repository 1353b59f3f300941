//! What it costs to keep how long a step took: on the hot thread, and in the recorder.
//!
//! `cargo bench --bench record` prints medians over rounds, by duration. The hot thread only puts
//! the duration on its journal link; the recorder, a cold thread, takes it off and counts it into
//! its histogram. That every one of them was counted is asserted first.

use parallax::market::event::{Event, STEPS};
use parallax::record::Recorder;
use parallax::record::durations::Durations;
use parallax::stage::link::{Tx, link};
use std::hint::black_box;
use std::time::Instant;

/// Durations of one round: a link holds as many, and the clock's own cost does not count.
const ROUND: usize = 16_384;
const ROUNDS: usize = 101;
/// What keeping one may cost a stage.
const BUDGET_NS: f64 = 20.0;

/// A spread as the steps have: from 100 ns to 1 ms.
fn durations() -> Vec<u64> {
    let mut state = 7_u64;
    let mut next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        100 << (state >> 60).min(13) | state >> 40 & 63
    };
    (0..ROUND).map(|_| next()).collect()
}

fn push(tx: &mut Tx<Event>, durations: &[u64]) {
    for (at, &ns) in durations.iter().enumerate() {
        let step = STEPS[at % STEPS.len()];
        let _ = tx.push(black_box(Event::Latency { step, ns }));
    }
}

fn median(mut all: Vec<f64>) -> f64 {
    all.sort_by(f64::total_cmp);
    all[all.len() / 2]
}

/// Nanoseconds a duration.
fn timed(mut run: impl FnMut()) -> f64 {
    let start = Instant::now();
    run();
    start.elapsed().as_nanos() as f64 / ROUND as f64
}

fn main() {
    let durations = durations();
    let (mut tx, rx) = link("journal", ROUND);
    let mut recorder = Recorder::new(vec![rx]);
    let mut alone = Durations::new();
    let (mut pushed, mut taken, mut counted) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..ROUNDS as u64 {
        pushed.push(timed(|| push(&mut tx, &durations)));
        assert_eq!(tx.full_count(), 0);
        taken.push(timed(|| while recorder.drain() > 0 {}));
        counted.push(timed(|| {
            durations.iter().for_each(|&ns| alone.add(black_box(ns)))
        }));
        let all = STEPS
            .iter()
            .map(|&step| recorder.totals().step(step).count());
        assert_eq!(all.sum::<u64>(), (round + 1) * ROUND as u64);
        assert_eq!(alone.count(), (round + 1) * ROUND as u64);
    }
    let [pushed, taken, counted] = [pushed, taken, counted].map(median);
    println!("one record on a journal link: {} bytes", size_of::<Event>());
    println!("hot thread, a duration onto its link    {pushed:>6.1} ns (budget {BUDGET_NS} ns)");
    println!("recorder, off the link and counted      {taken:>6.1} ns");
    println!("of which the histogram                  {counted:>6.1} ns");
    assert!(pushed < BUDGET_NS, "the hot thread pays too much");
}
