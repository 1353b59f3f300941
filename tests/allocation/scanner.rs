//! The scanner over a minute of a demo: books, references, edges followed, pairs opened and left.

use super::allocated;
use super::virtual_time::engine::{Engine, shipped};
use super::virtual_time::{START, Scenario, play};
use parallax::market::units::SECOND;

/// Until then both venues have said their first words.
const WARM_S: u64 = 5;

#[test]
fn the_scanner_takes_no_memory() {
    let scenario = Scenario::new(7);
    let mut engine = Engine::begun_with(&scenario, shipped(&scenario));
    engine.meter = Some((allocated, START.plus(WARM_S * SECOND)));
    let outcome = play(&scenario, &mut engine);
    let (count, calls) = engine.metered;
    println!("scanner: {count} allocations in {calls} turns and beats");
    assert!(outcome.is_drained && outcome.is_flat());
    assert!(engine.opened().count() >= 3, "nothing was traded");
    assert!(!engine.refusals().is_empty(), "nothing was refused");
    assert!(calls > 10_000);
    assert_eq!(count, 0);
}
