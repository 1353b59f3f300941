//! The tape without planted events: nothing on it pays two takers, so nothing may be opened.

use crate::virtual_time::engine::run;
use crate::virtual_time::{Scenario, tape};
use parallax::market::units::SECOND;
use parallax::sim::exchange::LighterTier;
use parallax::sim::plant::Plant;

#[test]
fn nothing_is_opened_on_the_tape_alone_at_any_tier() {
    let mut opened = 0;
    for tier in LighterTier::ALL {
        let scenario = Scenario {
            plant: Plant::Off,
            tier,
            seconds: tape().span_ns() / SECOND + 2,
            ..Scenario::new(1)
        };
        let (engine, outcome) = run(&scenario);
        println!(
            "{tier:?}: {} taken, {} opened, made {:+.4} USD; {} seen, refused {:?}",
            engine.taken(),
            engine.opened().count(),
            outcome.made().to_usd_f64(),
            engine.seen(),
            engine.refusals()
        );
        let trades = outcome.ledgers.iter().map(|ledger| ledger.trades_len);
        opened += engine.taken() + trades.sum::<usize>();
    }
    assert_eq!(opened, 0, "entries and trades over all tiers");
}
