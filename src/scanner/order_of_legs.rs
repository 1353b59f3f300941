//! What each order of the legs would have made of an edge, and how far a following leg may go.
//!
//! An edge is played through on the prices that came, once for each order of its legs, misses and
//! unwinds included. What many edges made so is remembered by `arrival`; the order with the best
//! prospect is the one that is sent.
//!
//! Promises: fixed memory, no allocation, integers only.
//! Refuses: to know why a price moved; our own orders move books too, by what the haircut leaves.

use crate::market::score::ORDERS;
use crate::market::units::{Bps, Nanos, Price};
use crate::market::{VENUE_COUNT, VENUES, Venue};
use crate::scanner::arrival::memory::{HALF_LIFE_NS, SAMPLES_MIN};
use crate::scanner::board::Touch;
use crate::scanner::risk::{LegOrder, SLOW};
use crate::scanner::spread::{half_spread, ratio};

// The idea. An edge is two prices that disagree, and one of them is about to give in. If the fast
// venue's price is the one that moves, it must be taken first, and the slow leg follows at leisure.
// If the slow venue's moves, its leg must be on its way at once, since it is matched a delay later.
// Rather than name who corrects toward whom and reason from there, each order of legs is played
// through on the prices that came: what was paid on each venue at its own moment of match, whether
// the limit still held, and, where the second leg ran away beyond its band, what taking the first
// one back cost. The mean of that *is* the value including unwinds, and conditions such as "given
// that the slow leg filled" need no model: they happened or they did not.
//
// Three looks tell all of it, d and D being the fast and the slow venue's time to a match:
//   A at d      the fast leg is matched, if it went first or at once
//   B at D      the slow leg is matched, if it went first or at once
//   C at d + D  the leg that followed is matched
//
// Left out: sizes beyond the touch (the walk's last piece pays by then or is not sent), and
// weighing each edge by its size.

/// Looks at prices after an edge: A, B and C above.
pub const LOOKS: usize = 3;
const A: usize = 0;
const B: usize = 1;
const C: usize = 2;
/// A value or a move beyond this is a broken book; it counts as this much.
const BEYOND: i64 = 1_000 << 16;
/// The band of a hedge in deviations of the price over the delay.
pub const DEVIATIONS: i64 = 3;
/// One move, in units of the weight.
const ONE: i128 = 1 << 16;

/// The venue that matches at once.
pub const FAST: Venue = SLOW.other();

/// Every order of the legs, as a leg that goes first, in the order of [`worth`].
pub const LEADS: [Option<Venue>; ORDERS] = [Some(SLOW), Some(FAST), None];

/// The place of an order that is set; `None`: the best is to be found.
pub fn order_set(legs: LegOrder) -> Option<usize> {
    match legs {
        LegOrder::Auto => None,
        LegOrder::SlowFirst => Some(0),
        LegOrder::FastFirst => Some(1),
        LegOrder::Both => Some(2),
    }
}

/// What the values depend on beside prices.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    /// What a first order may pay beyond the price seen.
    pub slippage: Bps,
    /// What a following order may pay beyond the price of its moment.
    pub hedge_band: Bps,
    /// Taker fees, by venue.
    pub fees: [Bps; VENUE_COUNT],
    /// Price steps, by venue.
    pub ticks: [Price; VENUE_COUNT],
}

/// What prices did after an edge, in bps of the price at the edge; positive is against us.
#[derive(Clone, Copy, Debug)]
pub struct Moves {
    /// By venue, then by look: at d, at D, at d + D.
    pub against: [[Bps; LOOKS]; VENUE_COUNT],
    /// Whole spread at the last look, by venue.
    pub spread: [Bps; VENUE_COUNT],
}

impl Moves {
    /// From the touches at the edge and at each look.
    pub fn new(
        long: Venue,
        start: &[Touch; VENUE_COUNT],
        looks: [[Touch; VENUE_COUNT]; LOOKS],
    ) -> Moves {
        let against = |venue: Venue, look: [Touch; VENUE_COUNT]| {
            let (start, then) = (start[venue.idx()], look[venue.idx()]);
            let (from, worse) = match venue == long {
                true => (start.ask, then.ask - start.ask),
                false => (start.bid, start.bid - then.bid),
            };
            bounded(ratio(worse.0.into(), from.0.into()))
        };
        let spread = |venue: Venue| {
            let last = looks[C][venue.idx()];
            let half = half_spread(last.bid, last.ask);
            bounded(half + half)
        };
        Moves {
            against: VENUES.map(|venue| looks.map(|look| against(venue, look))),
            spread: VENUES.map(spread),
        }
    }

    /// What the slow price did while a slow leg that follows was under way.
    fn under_way(&self) -> Bps {
        let slow = &self.against[SLOW.idx()];
        slow[C] - slow[A]
    }
}

/// What one edge would have made by each order of legs: slow first, fast first, both at once;
/// `None` where nothing would have filled.
///
/// `net` is what it makes when both legs fill at the prices seen; each leg's move against us until
/// its own match comes off it. A first leg beyond its slippage misses. A second leg beyond its band
/// leaves the first one to be taken back, at the last look: its own move since, the whole spread,
/// two fees.
pub fn worth(moves: &Moves, terms: &Terms, net: Bps, band: Bps) -> [Option<Bps>; ORDERS] {
    let (slow, fast) = (&moves.against[SLOW.idx()], &moves.against[FAST.idx()]);
    let fills = |first: Bps| first <= terms.slippage;
    let unwound = |venue: Venue, paid: Bps| {
        let fee = terms.fees[venue.idx()];
        moves.against[venue.idx()][C] - paid - moves.spread[venue.idx()] - fee - fee
    };
    let slow_filled = match fast[C] - fast[B] <= terms.hedge_band {
        true => net - slow[B] - fast[C],
        false => unwound(SLOW, slow[B]),
    };
    let fast_filled = match slow[C] - slow[A] <= band {
        true => net - fast[A] - slow[C],
        false => unwound(FAST, fast[A]),
    };
    let both = match (fills(slow[B]), fills(fast[A])) {
        (true, true) => Some(net - slow[B] - fast[A]),
        (true, false) => Some(slow_filled),
        (false, true) => Some(unwound(FAST, fast[A])),
        (false, false) => None,
    };
    let made = [
        fills(slow[B]).then_some(slow_filled),
        fills(fast[A]).then_some(fast_filled),
        both,
    ];
    made.map(|made| made.map(bounded))
}

/// How far a slow leg that follows the fast one may go: learned from its price over the delay, for
/// one direction of one market.
#[derive(Clone, Copy, Debug)]
pub struct Band {
    grid: u64,
    weight: i128,
    /// Square of the slow price's move while a following slow leg is under way.
    square: i128,
}

impl Band {
    /// Nothing seen yet.
    pub const NEW: Band = Band {
        grid: 0,
        weight: 0,
        square: 0,
    };

    /// One edge more.
    pub fn add(&mut self, now: Nanos, moves: &Moves) {
        self.fade(now);
        let move_bits = i128::from(moves.under_way().bits());
        self.weight += ONE;
        self.square += move_bits * move_bits * ONE;
    }

    /// Three deviations of the slow price over the delay, at least one tick, at most the limit; the
    /// limit while fewer than [`SAMPLES_MIN`] edges are in memory. `bid` is the slow venue's.
    pub fn width(&mut self, now: Nanos, terms: &Terms, bid: Price) -> Bps {
        self.fade(now);
        if !self.is_warm() {
            return terms.hedge_band;
        }
        let deviations = Bps::from_bits(DEVIATIONS * self.root_mean_square());
        let tick = i128::from(terms.ticks[SLOW.idx()].0);
        // Rounded up, so that it comes back as a whole tick.
        let tick = ratio(tick, i128::from(bid.0)) + Bps::from_bits(1);
        deviations.max(tick).min(terms.hedge_band)
    }

    /// Deviation of the slow venue's price over its own delay, as the edges of this direction have
    /// shown it; `None` while fewer than [`SAMPLES_MIN`] are in memory.
    pub fn deviation(&self) -> Option<Bps> {
        self.is_warm()
            .then(|| Bps::from_bits(self.root_mean_square()))
    }

    fn is_warm(&self) -> bool {
        self.weight >= i128::from(SAMPLES_MIN) * ONE
    }

    /// Only of a band that is warm; it does not change with age.
    fn root_mean_square(&self) -> i64 {
        (self.square / self.weight).max(0).isqrt() as i64
    }

    /// By half in each half-life.
    fn fade(&mut self, now: Nanos) {
        let grid = now.0 / HALF_LIFE_NS;
        let halves = grid.saturating_sub(self.grid).min(100) as u32;
        (self.weight, self.square) = (self.weight >> halves, self.square >> halves);
        self.grid = self.grid.max(grid);
    }
}

fn bounded(bps: Bps) -> Bps {
    Bps::from_bits(bps.bits().clamp(-BEYOND, BEYOND))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::market::units::SCALE;

    fn terms() -> Terms {
        Terms {
            // Between ticks, so that no comparison stands on its border.
            slippage: Bps::from_milli(570),
            hedge_band: Bps::from_milli(12_340),
            fees: [Bps::from_milli(2_500), Bps::ZERO],
            ticks: [Price(SCALE / 10); VENUE_COUNT],
        }
    }

    fn milli(values: [i64; 3]) -> [Bps; 3] {
        values.map(Bps::from_milli)
    }

    #[test]
    fn one_edge_played_through() {
        let net = Bps::from_milli(8_000);
        let band = Bps::from_milli(6_000);
        let missed = None;
        // Moves against us at d, D and d + D: on the fast venue, on the slow one.
        for (fast, slow, made) in [
            // Nothing moves: each order gets what was seen.
            (
                [0, 0, 0],
                [0, 0, 0],
                [Some(8_000), Some(8_000), Some(8_000)],
            ),
            // The fast venue corrects early: who takes it first gains 5 bps.
            (
                [0, 5_000, 5_000],
                [0, 0, 0],
                [Some(3_000), Some(8_000), Some(8_000)],
            ),
            // The slow venue corrects within its delay: slow first misses for nothing; fast first
            // hedges 5 bps later; both at once leaves the fast leg, taken back for 2 + 5 bps.
            (
                [0, 0, 0],
                [0, 5_000, 5_000],
                [missed, Some(3_000), Some(-7_000)],
            ),
            // It runs beyond the band: fast first takes back as well.
            (
                [0, 0, 0],
                [0, 7_000, 7_000],
                [missed, Some(-7_000), Some(-7_000)],
            ),
            // It had run before the fast leg filled: the band counts from there.
            (
                [0, 0, 0],
                [5_000, 7_000, 7_000],
                [missed, Some(1_000), Some(-7_000)],
            ),
            // The fast price runs at once: fast first misses, both at once ends as slow first.
            (
                [3_000, 3_000, 3_000],
                [0, 0, 0],
                [Some(5_000), missed, Some(5_000)],
            ),
            // Both run: nothing fills.
            (
                [3_000, 3_000, 3_000],
                [0, 5_000, 5_000],
                [missed, missed, missed],
            ),
            // The fast price runs away while it follows: the slow leg is taken back for 1 bps.
            (
                [0, 0, 20_000],
                [0, 0, 0],
                [Some(-1_000), Some(8_000), Some(8_000)],
            ),
            // The fast venue moves our way: all the better, and taken back at that loss.
            (
                [0, -4_000, -4_000],
                [0, 0, 0],
                [Some(12_000), Some(8_000), Some(8_000)],
            ),
            (
                [0, -4_000, -4_000],
                [0, 9_000, 9_000],
                [missed, Some(-11_000), Some(-11_000)],
            ),
        ] {
            let moves = Moves {
                against: [milli(fast), milli(slow)],
                spread: [Bps::from_milli(2_000), Bps::from_milli(1_000)],
            };
            let made = made.map(|made| made.map(Bps::from_milli));
            assert_eq!(
                worth(&moves, &terms(), net, band),
                made,
                "{fast:?} {slow:?}"
            );
        }
    }

    #[test]
    fn the_band_is_three_deviations_between_a_tick_and_the_limit() {
        let bid = Price(1_000 * SCALE);
        let now = Nanos(1_000_000 * crate::market::units::SECOND);
        let after = |slow: [i64; 3], times: i64| {
            let mut band = Band::NEW;
            let moves = Moves {
                against: [milli([0; 3]), milli(slow)],
                spread: [Bps::ZERO; VENUE_COUNT],
            };
            (0..times).for_each(|_| band.add(now, &moves));
            (band.width(now, &terms(), bid), band)
        };
        let enough = SAMPLES_MIN;
        let most = terms().hedge_band;
        assert_eq!(after([0; 3], enough - 1).0, most, "cold");
        let tick = Bps::from_milli(1_000) + Bps::from_bits(1);
        assert_eq!(after([0; 3], enough).0, tick);
        let (width, mut band) = after([0, 2_000, 2_000], enough);
        assert!((width.to_f64() - 6.0).abs() < 0.001, "{width:?}");
        assert_eq!(after([0, 0, 9_000], enough).0, most);
        // What moves before the fast leg can have filled is not the slow leg's risk.
        assert_eq!(after([8_000, 8_000, 8_000], enough).0, tick);
        assert_eq!(band.deviation().map(|d| d.bits() >> 16), Some(2));
        assert_eq!(band.width(now.plus(2 * HALF_LIFE_NS), &terms(), bid), most);
        assert_eq!(band.deviation(), None, "it has faded");
    }
}
