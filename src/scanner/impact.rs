//! What our own orders do to prices: the impact score of a size, and what fills have taught.
//!
//! Promises: integers, fixed memory; every learned figure starts at a stated one, which counts as
//! [`PRIOR`] samples, and halves its memory in about 44 samples. Refuses: to know pairs; prices and
//! sizes come in.

use crate::market::quotient::quotient;
use crate::market::units::{Bps, Nanos, Price, Size};
use crate::market::{VENUE_COUNT, Venue};
use crate::scanner::spread::ratio;

// The score. On each venue an order for a share u of the depth within its limit (haircut taken off)
// is foreseen to pay, against the touch,
//
//     I = S/2 * sqrt(u) + w        S: spread, w: average of the walk over the touch, both in bps
//
// The square root is the law that impact follows in every market where it was measured (Source:
// Almgren, Thum, Hauptmann, Li, "Direct estimation of equity market impact", 2005; Toth et al.,
// "Anomalous price impact", 2011), with half the spread standing in for the volatility. Own fills
// calibrate it: k = what they were worse than the touch / what had been foreseen. Of a pair, with
// both venues added up,
//
//     score = k I / (k I + S)      0: none; 1/2: it costs as much as the spreads; 1: it is all cost
//
// Left out: the time over which the market takes impact back. A pair's two orders are all it sends.

/// Samples that a starting figure counts for. Larger: slower to believe our own fills.
pub const PRIOR: i64 = 8;
/// A sample of the full weight.
const ONE: i64 = 1 << 16;
/// Memory keeps 63/64 of itself at each sample.
const DECAY_SHIFT: u32 = 6;
/// A fill worse, or better, than this counts as this much: a price that ran away once is no
/// expectation.
const WORSE_MAX: i64 = 10 << 16;
/// What is added to what was foreseen and to what came, so that few fills change little: 1 bps.
const RATIO_PRIOR: i64 = PRIOR << 16;
/// Bounds of the multiplier k, in units of 2^-16.
const FACTOR_MIN: i64 = ONE / 4;
const FACTOR_MAX: i64 = ONE * 4;

/// What one order is foreseen to pay beyond the touch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Foreseen {
    /// By the walk alone.
    pub walked: Bps,
    /// In all, before the multiplier.
    pub impact: Bps,
}

impl Foreseen {
    /// Of an order for `size` where `depth` lies within its limit, a spread of twice `half`.
    pub fn new(size: Size, depth: Size, half: Bps, walked: Bps) -> Foreseen {
        let share = quotient(i128::from(size.0) << 32, i128::from(depth.0));
        let share = share.unwrap_or(1 << 32).clamp(0, 1 << 32) as u64;
        // The root of a 32-bit fraction is a 16-bit one.
        let by_share = (half.bits() * share.isqrt() as i64) >> 16;
        Foreseen {
            walked,
            impact: Bps::from_bits(by_share.max(0)) + walked.max(Bps::ZERO),
        }
    }
}

/// What our own fills and pairs on one instrument have taught.
#[derive(Clone, Copy, Debug)]
pub struct Own {
    /// Worse than the ladder when the order left, by venue, closing and opening.
    slips: [[Mean; 2]; VENUE_COUNT],
    /// Worse than the touch, and what was foreseen of it.
    came: i64,
    foreseen: i64,
    /// Milliseconds that pairs were held.
    held_ms: Mean,
    // Worked out when something is learned, so that a look divides nothing.
    slippage: Bps,
    opening: Bps,
    factor: i64,
    held_ns: u64,
}

/// A decayed mean.
#[derive(Clone, Copy, Debug)]
struct Mean {
    weight: i64,
    sum: i64,
}

impl Own {
    /// Before the first fill: an opening leg slips by half of what a pair may, closing legs not at
    /// all, and a pair is held for so long.
    pub fn new(slippage: Bps, held_ns: u64) -> Own {
        let opening = Mean::new(slippage.bits() / 2);
        Own {
            slips: [[Mean::new(0), opening]; VENUE_COUNT],
            came: RATIO_PRIOR,
            foreseen: RATIO_PRIOR,
            held_ms: Mean::new((held_ns / 1_000_000) as i64),
            slippage,
            opening: slippage,
            factor: ONE,
            held_ns,
        }
    }

    /// What all four legs together are expected to be worse than their ladders show. Fills that
    /// were better are not counted on.
    #[inline]
    pub fn slippage(&self) -> Bps {
        self.slippage
    }

    /// The part of [`Own::slippage`] that is of the two opening legs.
    #[inline]
    pub fn opening(&self) -> Bps {
        self.opening
    }

    /// How long a pair is expected to be held.
    #[inline]
    pub fn held_ns(&self) -> u64 {
        self.held_ns
    }

    /// The multiplier k, in units of 2^-16.
    pub fn factor(&self) -> i64 {
        self.factor
    }

    /// The score of both orders, in 10^-4. `closing`: half of both spreads.
    pub fn score_e4(&self, orders: &[Foreseen; VENUE_COUNT], closing: Bps) -> u16 {
        let [extended, lighter] = orders;
        let impact = (extended.impact + lighter.impact).bits().max(0);
        let impact = (i128::from(impact) * i128::from(self.factor())) >> 16;
        let whole = impact + 2 * i128::from(closing.bits().max(0));
        let score = quotient(impact * 10_000, whole).unwrap_or(0);
        score as u16
    }

    /// A fill of ours: `part` of its order (2^-16), so much worse than the ladder showed.
    pub fn learn_fill(&mut self, venue: Venue, opens: bool, worse: Bps, part: i64) {
        let worse = worse.bits().clamp(-WORSE_MAX, WORSE_MAX);
        self.slips[venue.idx()][usize::from(opens)].add(worse, part);
        let sum = |opens: bool| {
            let legs = self.slips.iter().map(|slips| &slips[usize::from(opens)]);
            Bps::from_bits(legs.map(|mean| mean.value().max(0)).sum())
        };
        self.opening = sum(true);
        self.slippage = self.opening + sum(false);
    }

    /// The same fill against what was foreseen of its order.
    pub fn learn_impact(&mut self, worse: Bps, foreseen: Foreseen, part: i64) {
        let came = (worse + foreseen.walked).bits().clamp(0, WORSE_MAX);
        let decay = |sum: i64| sum - (sum >> DECAY_SHIFT);
        self.came = decay(self.came) + ((came * part) >> 16);
        self.foreseen = decay(self.foreseen) + ((foreseen.impact.bits() * part) >> 16);
        let factor = (i128::from(self.came) << 16) / i128::from(self.foreseen.max(1));
        self.factor = factor.clamp(FACTOR_MIN.into(), FACTOR_MAX.into()) as i64;
    }

    /// A pair is over.
    pub fn learn_pair(&mut self, entry: Nanos, end: Nanos) {
        self.held_ms.add((end.since(entry) / 1_000_000) as i64, ONE);
        self.held_ns = self.held_ms.value().max(0) as u64 * 1_000_000;
    }
}

impl Mean {
    fn new(value: i64) -> Mean {
        Mean {
            weight: PRIOR * ONE,
            sum: value * PRIOR,
        }
    }

    /// `part` is the sample's weight, at most [`ONE`].
    fn add(&mut self, value: i64, part: i64) {
        self.weight += part - (self.weight >> DECAY_SHIFT);
        self.sum += ((value * part) >> 16) - (self.sum >> DECAY_SHIFT);
    }

    fn value(&self) -> i64 {
        let value = quotient(i128::from(self.sum) << 16, i128::from(self.weight));
        value.unwrap_or(0) as i64
    }
}

/// How much worse a fill was than what was shown, in bps of that; negative is better.
pub fn worse(is_bid: bool, price: Price, shown: Price) -> Bps {
    let better = match is_bid {
        true => shown.0 - price.0,
        false => price.0 - shown.0,
    };
    ratio(i128::from(-better), i128::from(shown.0))
}

/// The weight of a part of an order, in 2^-16.
pub fn part_of(part: Size, whole: Size) -> i64 {
    let share = quotient(i128::from(part.0) << 16, i128::from(whole.0));
    share.unwrap_or(0).clamp(0, ONE.into()) as i64
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn own() -> Own {
        Own::new(Bps::from_milli(500), 300_000_000_000)
    }

    fn near(bps: Bps, expected: f64) -> bool {
        (bps.to_f64() - expected).abs() < 0.01
    }

    #[test]
    fn starts_at_the_setting_and_follows_own_fills() {
        let mut own = own();
        assert!(near(own.slippage(), 0.5));
        for _ in 0..400 {
            own.learn_fill(Venue::Lighter, true, Bps::whole(2), ONE);
            own.learn_fill(Venue::Extended, true, Bps::whole(-1), ONE);
            own.learn_fill(Venue::Extended, false, Bps::whole(1), ONE / 2);
        }
        // Two on the way in, nothing for what was better, one on the way out.
        assert!(near(own.slippage(), 3.0), "{:?}", own.slippage());
        assert!(near(own.opening(), 2.0), "{:?}", own.opening());
        assert_eq!(own.factor(), ONE, "that is another matter");
    }

    #[test]
    fn few_fills_change_little() {
        let mut own = own();
        own.learn_fill(Venue::Lighter, true, Bps::whole(1_000), ONE);
        // One of 10 bps at most, beside eight of the starting figure.
        assert!(own.slippage() < Bps::whole(2));
    }

    #[test]
    fn holding_times_are_learned() {
        let mut own = own();
        assert_eq!(own.held_ns(), 300_000_000_000);
        for _ in 0..600 {
            own.learn_pair(Nanos(5), Nanos(5 + 4_000_000_000));
        }
        let held_ms = own.held_ns() / 1_000_000;
        assert!((3_900..4_200).contains(&held_ms), "{held_ms}");
    }

    #[test]
    fn the_score_of_some_sizes() {
        let own = own();
        let half = Bps::whole(1);
        let of = |size, depth, walked| {
            let order = Foreseen::new(Size(size), Size(depth), half, Bps::whole(walked));
            own.score_e4(&[order, order], half + half)
        };
        assert_eq!(of(0, 100, 0), 0);
        // A quarter of the depth: half a basis point each, against spreads of four.
        assert_eq!(of(25, 100, 0), 2_000);
        // All of it, walked three bps deep: eight against four.
        assert_eq!(of(100, 100, 3), 6_666);
        assert_eq!(of(5, 0, 0), 3_333, "no depth at all counts as all of it");
        let flat = [Foreseen::default(); VENUE_COUNT];
        assert_eq!(own.score_e4(&flat, Bps::ZERO), 0);
    }

    #[test]
    fn own_fills_calibrate_the_score() {
        let mut own = own();
        let order = Foreseen::new(Size(25), Size(100), Bps::whole(2), Bps::ZERO);
        for _ in 0..600 {
            // Foreseen: one. Came: two.
            own.learn_impact(Bps::whole(2), order, ONE);
        }
        let factor = own.factor() as f64 / ONE as f64;
        assert!((1.98..2.02).contains(&factor), "{factor}");
        for _ in 0..3_000 {
            own.learn_impact(Bps::whole(90), order, ONE);
        }
        assert_eq!(own.factor(), FACTOR_MAX);
    }

    #[test]
    fn worse_is_dearer_or_cheaper() {
        let (shown, more) = (Price(1_000_000), Price(1_000_100));
        assert!(near(worse(true, more, shown), 1.0) && near(worse(false, more, shown), -1.0));
        assert_eq!(worse(true, more, Price::ZERO), Bps::ZERO);
    }

    proptest! {
        /// More size, a thinner book or a deeper walk never lowers the score; it stays in range.
        #[test]
        fn the_score_is_monotone(
            size in 0_i64..1_000, more in 0_i64..1_000, depth in 0_i64..1_000,
            half in 0_i64..20_000, walked in 0_i64..20_000,
        ) {
            let own = own();
            let (half, walked) = (Bps::from_milli(half), Bps::from_milli(walked));
            let score = |size, depth, walked| {
                let order = Foreseen::new(Size(size), Size(depth), half, walked);
                own.score_e4(&[order, order], half + half)
            };
            let one = score(size, depth, walked);
            prop_assert!(one <= 10_000);
            prop_assert!(score(size + more, depth, walked) >= one);
            prop_assert!(score(size, depth, walked + Bps::from_milli(more)) >= one);
            prop_assert!(depth == 0 || score(size, depth + more, walked) <= one);
        }
    }
}
