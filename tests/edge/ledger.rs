//! What the pairs say was made is what the venues' books say, to the cent; and a run in virtual
//! time is of the demo's kind.

use crate::virtual_time::Scenario;
use crate::virtual_time::engine::run_as_demo;
use parallax::market::event::PairEnd;
use parallax::market::units::{Notional, SECOND};
use parallax::sim::exchange::Funding;

/// A cent.
const CENT: Notional = Notional::from_nano(10_000_000);

/// And five to eight pairs a minute at the default limits, not all of them good.
#[test]
fn profit_and_loss_is_that_of_the_venues_to_the_cent() {
    let (mut closed_len, mut pairs_len, mut losers) = (0, 0, 0);
    for seed in 1..=5 {
        let (engine, outcome) = run_as_demo(&Scenario::new(seed));
        let ended = |end| engine.pairs().filter(|pair| pair.end == end).count();
        let closed = ended(PairEnd::Closed);
        let (made, told) = (outcome.made(), engine.told());
        println!(
            "seed {seed}: {} planted, {} taken, {closed} closed, {} unwound, {} missed; made \
             {:+.4} USD, told {:+.4}; refused {:?}",
            outcome.planted.len(),
            engine.taken(),
            ended(PairEnd::Unwound),
            ended(PairEnd::Missed),
            made.to_usd_f64(),
            told.to_usd_f64(),
            engine.refusals(),
        );
        assert!(outcome.is_drained && outcome.is_flat() && !engine.halt.is_raised());
        assert!((made - told).abs() <= CENT, "{told:?} told, {made:?} made");
        let fees: i128 = engine.pairs().map(|pair| pair.fees.0).sum();
        let paid = outcome.ledgers[0].fees + outcome.ledgers[1].fees;
        assert_eq!(Notional(fees), paid, "fees");
        closed_len += closed;
        pairs_len += engine.pairs().count();
        losers += engine.pairs().filter(|pair| pair.total.0 <= 0).count();
    }
    println!("{closed_len} closed in 5 minutes; {losers} of {pairs_len} made nothing or less");
    assert!((25..=45).contains(&closed_len), "{closed_len} closed");
    assert!(losers > 0, "a run without a loser is suspicious");
}

/// Row 36. Extended charges each second, Lighter half a second later each third: half a per cent
/// and a whole one, so that many pairs are charged and each payment is worth more than a cent.
#[test]
fn row_36_funding_is_booked_to_the_cent() {
    let mut charged_len = 0;
    for seed in 1..=3 {
        let funding = |every_ns, at_ns, rate_e9| Funding {
            every_ns,
            at_ns,
            rate_e9,
        };
        let scenario = Scenario {
            funding: [
                funding(SECOND, 0, 5_000_000),
                funding(3 * SECOND, SECOND / 2, -10_000_000),
            ],
            ..Scenario::new(seed)
        };
        let (engine, outcome) = run_as_demo(&scenario);
        assert!(outcome.is_drained && outcome.is_flat() && !engine.halt.is_raised());
        let charged = engine.pairs().filter(|pair| pair.funding != Notional::ZERO);
        charged_len += charged.count();
        let booked: i128 = engine.pairs().map(|pair| pair.funding.0).sum();
        let apart = engine.funding_apart();
        let [extended, lighter] = &outcome.ledgers;
        let paid = extended.funding + lighter.funding;
        assert!(extended.funding.0 != 0 && lighter.funding.0 != 0);
        assert_eq!(Notional(booked) + apart, paid, "seed {seed}");
        let (made, told) = (outcome.made(), engine.told() + apart);
        assert!((made - told).abs() <= CENT, "{told:?} told, {made:?} made");
        let off = (made - engine.told() + Notional(booked)).abs();
        assert!(off > CENT, "without it the sums would agree as well");
        // Apart is only what was charged while a leg's last fill was still on its way to us.
        assert!(apart.abs().0 * 10 <= paid.abs().0, "{apart:?} of {paid:?}");
    }
    assert!(charged_len >= 10, "{charged_len} pairs were charged");
}

/// Nothing in it depends on the machine.
#[test]
fn equal_scenarios_come_out_equal() {
    let text = |seed| {
        let (engine, outcome) = run_as_demo(&Scenario::new(seed));
        format!("{:?} {:?}", engine.events, outcome.ledgers)
    };
    let once = text(3);
    assert!(once == text(3));
    assert!(once != text(4));
}
