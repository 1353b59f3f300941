//! Size against depth, at the moment of sending and at the moment of the match.

use crate::virtual_time::Scenario;
use crate::virtual_time::engine::{demo_limits, run_as_demo};
use parallax::market::Venue;
use parallax::market::units::Size;

/// What counts of a depth by the engine's own limit.
fn haircut(depth: Size) -> Size {
    let kept_e4 = i128::from(10_000 - demo_limits().depth_haircut_e4);
    Size((i128::from(depth.0) * kept_e4 / 10_000) as i64)
}

/// Shares of a hundred, smallest first, at these places.
fn told(mut shares: Vec<f64>) -> String {
    shares.sort_unstable_by(f64::total_cmp);
    let at = |place: f64| shares[((shares.len() - 1) as f64 * place) as usize];
    let [p10, p50, p90, max] = [0.1, 0.5, 0.9, 1.0].map(at);
    let len = shares.len();
    format!("n {len}, p10 {p10:.3}, p50 {p50:.3}, p90 {p90:.3}, max {max:.3}")
}

#[test]
fn no_entry_is_larger_than_the_haircut_depth_of_either_book_when_it_leaves() {
    let share = |part: Size, whole: Size| part.0 as f64 / whole.0.max(1) as f64;
    let (mut at_send, mut at_match) = (Vec::new(), [Vec::new(), Vec::new()]);
    let mut filled = [(0, 0); 2];
    for seed in 1..=10 {
        let (engine, outcome) = run_as_demo(&Scenario::new(seed));
        for sight in &engine.sights {
            let size = sight.order.size;
            assert!(size <= haircut(sight.depth), "seed {seed}: {sight:?}");
            assert!(size <= haircut(sight.other_depth), "seed {seed}: {sight:?}");
            at_send.push(share(size, sight.depth));
        }
        for (venue, ledger) in outcome.ledgers.iter().enumerate() {
            for met in &ledger.matches {
                assert!(met.filled <= met.depth.min(met.order.size));
                // As much fills as there is: the venue holds nothing back.
                assert_eq!(met.filled, met.depth.min(met.order.size), "{met:?}");
                let is_whole = met.filled == met.order.size;
                filled[venue].0 += usize::from(is_whole);
                filled[venue].1 += 1;
                if met.depth > Size::ZERO {
                    at_match[venue].push(share(met.order.size, met.depth));
                }
            }
        }
    }
    println!(
        "size over depth within the limit, at send:  {}",
        told(at_send)
    );
    for venue in parallax::market::VENUES {
        let (whole, all) = filled[venue.idx()];
        let shares = told(std::mem::take(&mut at_match[venue.idx()]));
        println!(
            "at match on {}: {shares}; {whole} of {all} filled whole",
            venue.name()
        );
    }
    assert!(filled[Venue::Lighter.idx()].1 > 50);
}
