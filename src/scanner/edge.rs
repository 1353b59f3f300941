//! The parts of an edge, worked out for one direction of one instrument.
//!
//! Promises: fees are read from the markets at each look, so that a change of an account's tier
//! holds from the next look on; a pure function of board, limits and `now`. Refuses: to judge what
//! is left; that is `enter.rs`.

use crate::market::edge::Parts;
use crate::market::units::{Bps, Nanos, Notional, SECOND, Size};
use crate::market::{Market, VENUE_COUNT, Venue};
use crate::scanner::board::{Board, Touch};
use crate::scanner::funding::Hours;
use crate::scanner::impact::{Foreseen, worse};
use crate::scanner::spread::{Taken, half_spread};

/// What venues round a fee up to: 10^-6 of quote. Sources: Extended's settlement (collateral
/// resolution 10^6, fees rounded up); Lighter does not say, and the same is assumed against us.
const FEE_UNIT: Notional = Notional(1_000_000_000_000);
/// Orders of a pair that goes as planned.
const LEGS: i128 = 4;
/// The smallest notional where no venue states one.
const NOTIONAL_MIN: Notional = Notional::from_usd(1);

/// Limits on what edges are made of. Durations in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Window of the fast median, beside the slow one that is the fair. Larger: drift is seen
    /// later. Smaller: noise passes for drift.
    pub fair_fast_ns: u64,
    /// The median basis of all markets may move by so much in ten minutes.
    pub common_max: Bps,
    /// A market rests for so long after an edge that is not believed.
    pub absurd_rest_ns: u64,
    /// When funding is paid.
    pub hours: Hours,
    /// How long a pair is held, before own pairs have taught it.
    pub hold_expected_ns: u64,
}

impl Settings {
    /// One minute, 5 bps, one minute of rest, five minutes of holding.
    pub const DEFAULT: Settings = Settings {
        fair_fast_ns: 60 * SECOND,
        common_max: Bps::whole(5),
        absurd_rest_ns: 60 * SECOND,
        hours: Hours::DEFAULT,
        hold_expected_ns: 300 * SECOND,
    };
}

/// What a pair costs beside its gross edge, which is left at zero.
pub fn costs(
    board: &Board,
    hours: &Hours,
    (long, touches): (Venue, &[Touch; VENUE_COUNT]),
    now: Nanos,
) -> Parts {
    let [extended, lighter] = halves(touches);
    let until = now.plus(board.own.held_ns());
    Parts {
        gross: Bps::ZERO,
        fees: board.fees_round(),
        closing: extended + lighter,
        slippage: board.own.slippage(),
        rounding: board.rounding,
        funding: hours.cost(&board.mirrors, long, (now, until)),
        uncertainty: board.fair.uncertainty(),
        impact_e4: 0,
    }
}

/// Most that rounding takes from a pair: one unit of each order's fee, on the smallest notional
/// that the venues take. Prices lie on ticks when they are read and sizes on both lots when they
/// are chosen: neither is rounded any more.
pub fn rounding(markets: &[Market; VENUE_COUNT]) -> Bps {
    let [extended, lighter] = markets;
    let least = extended.notional_min.max(lighter.notional_min);
    Bps::ratio(Notional(FEE_UNIT.0 * LEGS), least.max(NOTIONAL_MIN))
}

/// What each order of an entry is foreseen to pay beyond its touch. `depths`: what lies within its
/// limit, haircut taken off.
pub fn foreseen(
    (long, touches): (Venue, &[Touch; VENUE_COUNT]),
    size: Size,
    taken: &[Taken; VENUE_COUNT],
    depths: [Size; VENUE_COUNT],
) -> [Foreseen; VENUE_COUNT] {
    let halves = halves(touches);
    let on = |venue: Venue| {
        let idx = venue.idx();
        let is_bid = venue == long;
        let touch = match is_bid {
            true => touches[idx].ask,
            false => touches[idx].bid,
        };
        let walked = worse(is_bid, taken[idx].average(size), touch);
        Foreseen::new(size, depths[idx], halves[idx], walked)
    };
    [on(Venue::Extended), on(Venue::Lighter)]
}

/// Half of each venue's spread, in bps of its mid.
fn halves(touches: &[Touch; VENUE_COUNT]) -> [Bps; VENUE_COUNT] {
    touches.map(|touch| half_spread(touch.bid, touch.ask))
}
