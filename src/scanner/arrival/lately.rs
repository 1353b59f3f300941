//! How far off the last edges came out from what long memory made of edges like them.
//!
//! Promises: integers only, fixed memory; sums fade by lessons, so it follows within a handful of
//! edges, and is drawn to "not off at all" where there are few.

use crate::market::quotient::quotient;
use crate::market::units::Bps;
use crate::scanner::arrival::key::{AGES, Key, SIZES};
use crate::scanner::arrival::memory::{Known, ONE, PRIOR_EDGES, PRIOR_SQUARE, SQUARE_BITS, root};

// The idea. Long memory knows what edges of a kind mostly become, and takes hours to unlearn it.
// How long edges live changes sooner than that: another quoter, another hour, and what stood for a
// second stands for half of it. So beside the long memory it is kept how far the newest edges were
// off from it, by who moved and by age, whatever their size, since a change of lives shows in all
// sizes at once. What is off lately is added to what is expected. While nothing has changed that is
// noise of a few edges about zero, for which the doubt grows; when lives have changed it is most of
// the answer after two or three edges, long before long memory has followed and it is zero again.
//
// A market's own is drawn to that of all markets, this to zero. Lives may change in one market and
// not in another, or the other way: so the draw gives way as far as the two stand further apart
// than a market's own errors explain. A fixed draw would never end, since what is lately kept is
// short: a market that has become another would be told off by the others for good.
//
// It counts by how much is in long memory: one that is thin follows of itself, and would be
// corrected twice for one edge. Not tried any more: a threshold below which nothing is added (later
// by as many edges as it spares noise), and forgetting long memory at once (what came back had to
// be learned anew).

/// With so many edges in long memory, half of what is off lately counts. Larger: a change is
/// followed later by who knows little. Smaller: what is new is counted twice.
const THIN: i64 = 64 * ONE;

/// This part of the error of what is off lately is doubt. Lives that differ make it large, and
/// their mean has weighed them already: the whole of it would refuse every mixture. Larger: sooner
/// in after a change, and sooner wrong.
const DOUBT_PART: i64 = 2;

/// Who moved and which age.
pub const ROWS: usize = 2 * AGES;
/// Each lesson takes this part, 2^-3, off what came before: about the last eight edges count.
/// Larger: later to follow. Smaller: more noise.
const FADE_BITS: u32 = 3;
/// So many edges that were not off at all stand beside what all markets have shown, less for each
/// edge that comes: of them nothing is left where as many are in memory as fit.
const STILL: i64 = ONE;
/// Weight of a memory that is full.
const FULL: i64 = ONE << FADE_BITS;
/// So many edges of its own outweigh what all markets have shown; fewer where it is another.
const DRAWN: i64 = 2 * ONE;

/// One row, one order of the legs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lately {
    /// Weight of the edges whose first order filled.
    pub weight: i64,
    /// What they made beyond what long memory said, in 2^-16 bps times weight.
    pub off: i64,
    /// Squares of it, in 2^-20 bps^2 times weight.
    pub square: i64,
}

impl Lately {
    /// One edge more.
    pub fn add(&mut self, off: i64) {
        let small = off >> (16 - SQUARE_BITS);
        self.each(|sum| sum - (sum >> FADE_BITS));
        self.weight += ONE;
        self.off = self.off.saturating_add(off * ONE);
        self.square = self.square.saturating_add(small * small * ONE);
    }

    pub(super) fn each(&mut self, change: impl Fn(i64) -> i64) {
        let sums = [&mut self.weight, &mut self.off, &mut self.square];
        sums.into_iter().for_each(|sum| *sum = change(*sum));
    }

    /// The same edges, of which none was off on the whole: how much each errs stays known.
    #[cold]
    pub(super) fn forget_mean(&mut self) {
        let mean = self.off.checked_div(self.weight).unwrap_or(0);
        let small = i128::from(mean >> (16 - SQUARE_BITS));
        let of_mean = small * small * i128::from(self.weight);
        self.square = (i128::from(self.square) - of_mean).max(0) as i64;
        self.off = 0;
    }

    /// These are sums that lessons can have made, each off by at most this.
    #[cold]
    pub fn is_sound(&self, beyond: i64) -> bool {
        let weight = 0..=FULL + ONE;
        let most = (i128::from(beyond) + 1) * i128::from(self.weight.max(ONE));
        weight.contains(&self.weight) && self.square >= 0 && i128::from(self.off).abs() <= most
    }

    /// How far off, drawn to zero and believed by what is in long memory.
    pub fn believed(&self, long: i64) -> i64 {
        part(self.drawn(), long)
    }

    /// How far off, drawn to zero.
    fn drawn(&self) -> i64 {
        over(i128::from(self.off), self.weight + self.still())
    }

    /// Weight of the edges that were not off.
    fn still(&self) -> i64 {
        STILL * (FULL - self.weight).max(0) / FULL
    }

    /// Square of the error of one edge, in 2^-20 bps^2: a few that agree by chance are no
    /// certainty.
    fn variance(&self) -> i128 {
        let by_weight = |sum: i64| sum.checked_div(self.weight).unwrap_or(0);
        let small = by_weight(self.off) >> (16 - SQUARE_BITS);
        let spread = (by_weight(self.square) - small * small).max(0);
        let prior = PRIOR_EDGES * ONE;
        let sum = i128::from(spread) * i128::from(self.weight)
            + i128::from(PRIOR_SQUARE) * i128::from(prior);
        over_wide(sum, i128::from(self.weight + prior))
    }

    /// So many edges of its own outweigh a wider one that is so far off: what one edge errs by over
    /// what the two truly stand apart, squared, and at most [`DRAWN`]. What they stand apart by
    /// chance, the square of the error of this mean, is no difference.
    fn drawn_by(&self, wide: i64) -> i64 {
        let Some(mean) = self.off.checked_div(self.weight) else {
            return DRAWN;
        };
        let variance = self.variance();
        let apart = i128::from((mean - wide) >> (16 - SQUARE_BITS)).pow(2);
        let by_chance = over_wide(variance * i128::from(ONE), i128::from(self.weight));
        let true_square = (apart - by_chance).max(0);
        let both = variance + true_square * i128::from(DRAWN / ONE);
        over_wide(i128::from(DRAWN) * variance, both) as i64
    }
}

/// Row of a kind.
pub fn row(key: Key) -> usize {
    key.idx() / SIZES
}

/// What long memory knows, with what is off lately in a market and in all of them.
pub fn corrected(known: &Known, own: &Lately, all: &Lately) -> Known {
    let wide = all.drawn();
    let drawn = own.drawn_by(wide);
    let sum = i128::from(own.off) + i128::from(wide) * i128::from(drawn);
    let off = over(sum, own.weight + drawn);
    // Errors of independent edges add up in squares; edges not off at all have none.
    let square = |weight: i64| i128::from(weight) * i128::from(weight);
    let variance = all.variance();
    let of_wide = variance * i128::from(all.weight);
    let of_wide = over_wide(of_wide, square(all.weight + all.still()));
    let of_own = variance * i128::from(own.weight);
    let error = of_own + of_wide * square(drawn);
    let error = over_wide(error, square(own.weight + drawn));
    let weight = i64::from(known.samples) * ONE;
    let error = root(error * i128::from(ONE)) / DOUBT_PART;
    let error = i128::from(part(error, weight));
    let long = i128::from(known.error.bits() >> (16 - SQUARE_BITS));
    let error = root(error * error + long * long) << (16 - SQUARE_BITS);
    Known {
        drift: known.drift + Bps::from_bits(part(off, weight)),
        error: Bps::from_bits(error),
        ..*known
    }
}

/// What counts beside a long memory of so much weight: by the square, so that it is nearly all
/// beside one that is not thin.
fn part(value: i64, long: i64) -> i64 {
    let [long, thin] = [long, THIN].map(|edges| i128::from(edges / ONE).pow(2));
    let part = i128::from(value) * long;
    over_wide(part, long + thin) as i64
}

fn over(sum: i128, weight: i64) -> i64 {
    over_wide(sum, i128::from(weight)) as i64
}

/// Nothing over nothing is nothing.
fn over_wide(sum: i128, weight: i128) -> i128 {
    quotient(sum, weight).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const BIT: f64 = 65_536.0;

    /// The same in floats: weight, sum, squares.
    fn naive(offs: &[i64]) -> [f64; 3] {
        offs.iter().fold([0.0; 3], |sums, off| {
            let off = *off as f64 / BIT;
            let fresh = [1.0, off, off * off];
            std::array::from_fn(|at| sums[at] * 0.875 + fresh[at])
        })
    }

    fn lately(offs: &[i64]) -> Lately {
        let mut lately = Lately::default();
        offs.iter().for_each(|off| lately.add(*off));
        lately
    }

    fn long(samples: u32) -> Known {
        Known {
            fill_e4: 9_000,
            drift: Bps::whole(-2),
            error: Bps::whole(1),
            samples,
        }
    }

    #[test]
    fn nothing_off_changes_nothing_and_nothing_known_is_not_corrected() {
        let none = Lately::default();
        assert_eq!(corrected(&long(500), &none, &none), long(500));
        let off = lately(&[5 << 16; 20]);
        assert_eq!(corrected(&long(0), &off, &off).drift, long(0).drift);
        assert_eq!(off.believed(0), 0);
    }

    #[test]
    fn a_change_is_most_of_the_answer_after_three_edges_and_all_of_it_later() {
        let drift = |times: usize| {
            let off = lately(&vec![10 << 16; times]);
            corrected(&long(10_000), &off, &off).drift.to_f64()
        };
        assert!(drift(3) > 4.5, "{}", drift(3));
        assert!((7.5..8.1).contains(&drift(40)), "{}", drift(40));
    }

    #[test]
    fn what_is_forgotten_is_the_mean_and_nothing_else() {
        let mut seen = lately(&[12 << 16, 6 << 16, -3 << 16, 12 << 16]);
        let before = corrected(&long(10_000), &seen, &seen);
        let (weight, variance) = (seen.weight, seen.variance());
        seen.forget_mean();
        assert_eq!((seen.off, seen.weight), (0, weight));
        assert!((seen.variance() - variance).abs() <= 1 << 10, "{variance}");
        let after = corrected(&long(10_000), &seen, &seen);
        assert!(before.drift > after.drift + Bps::whole(3));
        assert_eq!(after.drift, long(0).drift);
        assert!(after.error > long(0).error, "how much edges err is known");
        let mut none = Lately::default();
        none.forget_mean();
        assert_eq!(none, Lately::default());
    }

    /// One market is worse than it was, the other better: each is told its own, whatever the mean
    /// of both says. Where both became worse, the first edge of one is judged by the other.
    #[test]
    fn a_market_that_has_become_another_is_not_judged_by_the_others() {
        let both: Vec<i64> = (0..40).map(|n| [-20_i64, 2][n % 2] << 16).collect();
        let drift = |own: &[i64], all: &[i64]| {
            let told = corrected(&long(10_000), &lately(own), &lately(all));
            told.drift.to_f64() + 2.0
        };
        let (worse, better) = (drift(&[-20 << 16; 20], &both), drift(&[2 << 16; 20], &both));
        assert!((worse + 20.0).abs() < 0.5, "{worse}");
        assert!((better - 2.0).abs() < 0.5, "{better}");
        let first = drift(&[], &[-20 << 16; 20]);
        assert!((first + 20.0).abs() < 0.5, "{first}");
        let second = drift(&[-18 << 16], &[-20 << 16; 20]);
        assert!(second < -19.0, "{second}");
    }

    proptest! {
        #[test]
        fn as_naive_sums_with_floats(
            own in prop::collection::vec(-30_i64 << 16..30 << 16, 0..30),
            more in prop::collection::vec(-30_i64 << 16..30 << 16, 0..30),
            samples in 8_u32..3_000,
        ) {
            let all: Vec<i64> = more.iter().chain(&own).copied().collect();
            let found = corrected(&long(samples), &lately(&own), &lately(&all));
            let ([w, s, p], [v, t, q]) = (naive(&own), naive(&all));
            let still = ((8.0 - v) / 8.0).max(0.0);
            let wide = if v > 0.0 { t / (v + still) } else { 0.0 };
            let part = f64::from(samples).powi(2) / (f64::from(samples).powi(2) + 4_096.0);
            let of = |w: f64, s: f64, q: f64| match w > 0.0 {
                true => (q - s * s / w + 36.0) / (w + 4.0),
                false => 9.0,
            };
            let own_variance = of(w, s, p);
            let apart = if w > 0.0 { (s / w - wide).powi(2) - own_variance / w } else { 0.0 };
            let drawn = 2.0 * own_variance / (own_variance + 2.0 * apart.max(0.0));
            let off = (s + drawn * wide) / (w + drawn) * part;
            prop_assert!((found.drift.to_f64() + 2.0 - off).abs() < 0.02 + off.abs() / 200.0);
            let variance = of(v, t, q);
            let of_wide = variance * v / ((v + still) * (v + still));
            let error = (variance * w + of_wide * drawn * drawn) / (w + drawn).powi(2);
            let error = (error * part * part / 4.0 + 1.0).sqrt();
            let apart = (found.error.to_f64() - error).abs();
            prop_assert!(apart < 0.03 + error / 100.0, "{} {error}", found.error.to_f64());
            prop_assert!(lately(&all).is_sound(1_000 << 16));
        }
    }
}
