//! Does the basis of all markets move together? Then it is a currency, an oracle or a venue, and no
//! edge of any of them can be believed.
//!
//! Each minute what every market's basis is right now (edges included: a fair is frozen exactly
//! when everything jumps) is kept for ten minutes. At each beat one of these minutes is compared
//! with the present: the median of the markets' moves is the common one. Of an even number of
//! markets the middle move nearer to nothing counts, so that with two both have to move.
//!
//! Promises: fixed memory; one minute a beat, so ten beats see everything. Refuses: to judge by a
//! single market.

use crate::market::INSTRUMENTS_MAX;
use crate::market::units::{Bps, Nanos, SECOND};

/// Minutes that are compared with the present.
const MINUTES: usize = 10;
const MINUTE_NS: u64 = 60 * SECOND;
/// Markets that must be known then and now.
const MARKETS_MIN: usize = 2;
/// A market that was not known.
const UNKNOWN: i64 = i64::MIN;

/// What the markets' bases were, and whether they have moved together since.
pub struct Common {
    max: Bps,
    /// By minute, then by instrument, in 2^-16 bps.
    kept: Box<[[i64; INSTRUMENTS_MAX]; MINUTES]>,
    moves: Box<[i64; INSTRUMENTS_MAX]>,
    now: Box<[i64; INSTRUMENTS_MAX]>,
    /// Against which minute the markets have moved too far.
    is_moved: [bool; MINUTES],
    next_idx: usize,
    beat_idx: usize,
    t_kept: Nanos,
}

impl Common {
    /// Knows nothing yet; a median move of more than `max` counts.
    pub fn new(max: Bps) -> Common {
        Common {
            max,
            kept: Box::new([[UNKNOWN; INSTRUMENTS_MAX]; MINUTES]),
            moves: Box::new([0; INSTRUMENTS_MAX]),
            now: Box::new([UNKNOWN; INSTRUMENTS_MAX]),
            is_moved: [false; MINUTES],
            next_idx: 0,
            beat_idx: 0,
            t_kept: Nanos::ZERO,
        }
    }

    /// The markets move together: no entry anywhere.
    #[inline]
    pub fn is_moving(&self) -> bool {
        self.is_moved.contains(&true)
    }

    /// The bases of this moment in the order of the instruments; `None` where one is not known.
    pub fn beat(&mut self, now: Nanos, bases: impl Iterator<Item = Option<Bps>>) {
        let mut count = 0;
        for (place, basis) in self.now.iter_mut().zip(bases) {
            *place = basis.map_or(UNKNOWN, Bps::bits);
            count += 1;
        }
        let minute = self.beat_idx;
        self.beat_idx = (self.beat_idx + 1) % MINUTES;
        self.is_moved[minute] = self.moved_since(minute, count) > self.max.bits();
        let known = self.now[..count].iter().filter(|now| **now != UNKNOWN);
        if now.since(self.t_kept) >= MINUTE_NS && known.count() >= MARKETS_MIN {
            self.t_kept = now;
            self.kept[self.next_idx] = *self.now;
            self.next_idx = (self.next_idx + 1) % MINUTES;
        }
    }

    /// The median move since a minute, without its sign.
    fn moved_since(&mut self, minute: usize, count: usize) -> i64 {
        let mut len = 0;
        let pairs = self.kept[minute].iter().zip(self.now.iter()).take(count);
        for (&then, &now) in pairs {
            if then != UNKNOWN && now != UNKNOWN {
                self.moves[len] = now - then;
                len += 1;
            }
        }
        if len < MARKETS_MIN {
            return 0;
        }
        let moves = &mut self.moves[..len];
        let (below, upper, _) = moves.select_nth_unstable(len / 2);
        let upper = *upper;
        if len % 2 == 1 {
            return upper.abs();
        }
        let lower = below.iter().copied().max().unwrap_or(upper);
        match lower.signum() == upper.signum() {
            true => lower.abs().min(upper.abs()),
            false => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(ms: u64) -> Nanos {
        Nanos(1_000_000 * SECOND + ms * 1_000_000)
    }

    /// As many beats as see everything, ten milliseconds apart.
    fn beats(common: &mut Common, from_ms: u64, milli: &[Option<i64>]) -> bool {
        for beat in 0..MINUTES as u64 {
            let bases = milli.iter().map(|milli| milli.map(Bps::from_milli));
            common.beat(at(from_ms + beat * 10), bases);
        }
        common.is_moving()
    }

    #[test]
    fn it_takes_more_than_half_of_the_markets() {
        let five = Bps::whole(5);
        for (then, now, moving) in [
            (
                &[Some(0), Some(0)][..],
                &[Some(5_100), Some(5_200)][..],
                true,
            ),
            (&[Some(0), Some(0)], &[Some(-5_100), Some(-5_200)], true),
            (&[Some(0), Some(0)], &[Some(15_000), Some(4_900)], false),
            (&[Some(0), Some(0)], &[Some(15_000), Some(-15_000)], false),
            (&[Some(7), Some(-9_000)], &[Some(6_000), Some(-3_000)], true),
            (&[Some(0)], &[Some(50_000)], false),
            (&[Some(0), None], &[Some(50_000), Some(50_000)], false),
            (&[Some(0); 3], &[Some(6_000), Some(6_000), None], true),
            (&[Some(0); 3], &[Some(6_000), Some(0), Some(6_000)], true),
            (&[Some(0); 3], &[Some(6_000), Some(0), Some(0)], false),
        ] {
            let mut common = Common::new(five);
            assert!(!beats(&mut common, 0, then));
            assert_eq!(beats(&mut common, 1_000, now), moving, "{then:?} {now:?}");
        }
    }

    #[test]
    fn it_is_over_ten_minutes_after_it_came_to_rest() {
        let mut common = Common::new(Bps::whole(5));
        let (then, now) = ([Some(0), Some(0)], [Some(6_000), Some(6_000)]);
        assert!(!beats(&mut common, 0, &then));
        for second in (1..660).step_by(5) {
            let is_moving = beats(&mut common, second * 1_000, &now);
            assert_eq!(is_moving, second <= 601, "{second}");
        }
    }

    proptest! {
        /// The naive median: all sorted.
        #[test]
        fn as_sorting_says(moves in prop::collection::vec(-20_000_i64..20_000, 2..40)) {
            let mut common = Common::new(Bps::whole(5));
            let then: Vec<_> = moves.iter().map(|_| Some(0)).collect();
            let now: Vec<_> = moves.iter().map(|milli| Some(*milli)).collect();
            prop_assert!(!beats(&mut common, 0, &then));
            let mut sorted = moves.clone();
            sorted.sort_unstable();
            let half = sorted.len() / 2;
            let median = match (sorted.len() % 2, sorted[half - 1], sorted[half]) {
                (1, _, middle) => middle.abs(),
                (_, low, high) if low.signum() == high.signum() => low.abs().min(high.abs()),
                _ => 0,
            };
            let expected = Bps::from_milli(median) > Bps::whole(5);
            prop_assert_eq!(beats(&mut common, 1_000, &now), expected);
        }
    }
}
