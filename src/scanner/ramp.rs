//! A market's size is earned: it starts small and doubles with pairs that did as predicted.
//!
//! Promises: while a market grows, all that is open on it is bounded by the smallest tradable size,
//! doubled once for each RAMP_PAIRS pairs whose result was within RAMP_TOLERANCE_BPS of what was
//! predicted (better counts as kept). A pair that was not starts the count anew and takes one
//! doubling back; LOSING_RUN_MAX losing pairs in a row rest the market and take it back to the
//! smallest. Missed entries moved no money and teach nothing.
//! Refuses: to let a market trade less than the venues take; whether to trade is others' question.

use crate::market::event::{PairEnd, PairSummary, Reason};
use crate::market::lasting::Standing;
use crate::market::units::{Bps, Notional, SECOND, Size};
use crate::scanner::board::Board;
use crate::scanner::risk::Ground;

/// Beyond any limit on size: 65,536 times the smallest.
const LEVEL_MAX: u8 = 16;

/// How size is earned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Pairs as predicted before the size doubles; 0: no ramp.
    pub pairs: u16,
    /// How far below its prediction a pair may end, in bps of one leg's notional.
    pub tolerance: Bps,
    /// Losing pairs in a row that rest a market.
    pub losing_max: u16,
    /// For how long.
    pub rest_ns: u64,
}

impl Default for Limits {
    /// No ramp; an hour's rest after four losing pairs.
    fn default() -> Limits {
        Limits {
            pairs: 0,
            tolerance: Bps::whole(3),
            losing_max: 4,
            rest_ns: 3_600 * SECOND,
        }
    }
}

/// A pair has ended; `notional` is what was opened of its larger leg. True when it has taught
/// something.
pub fn learn(
    standing: &mut Standing,
    limits: &Limits,
    summary: &PairSummary,
    notional: Notional,
) -> bool {
    if summary.end == PairEnd::Missed {
        return false;
    }
    standing.lost = match summary.total.0 < 0 {
        true => standing.lost.saturating_add(1),
        false => 0,
    };
    if standing.lost >= limits.losing_max {
        *standing = Standing {
            t_rest: summary.t_end.plus(limits.rest_ns),
            ..Standing::default()
        };
        return true;
    }
    let least = (summary.net - limits.tolerance).of(notional);
    if summary.end != PairEnd::Closed || summary.total < least {
        standing.kept = 0;
        standing.level = standing.level.saturating_sub(1);
        return true;
    }
    standing.kept = standing.kept.saturating_add(1);
    if limits.pairs > 0 && standing.kept >= limits.pairs {
        standing.kept = 0;
        standing.level = (standing.level + 1).min(LEVEL_MAX);
    }
    true
}

/// The most that may be open on a market whose smallest pair is `size_min`.
pub fn cap(standing: &Standing, limits: &Limits, size_min: Size) -> Size {
    if limits.pairs == 0 {
        return Size(i64::MAX);
    }
    let times = 1_i64 << standing.level.min(LEVEL_MAX);
    Size(size_min.0.saturating_mul(times))
}

/// What a market has earned beyond what is open on it: one more limit on the next pair's size.
#[derive(Clone, Copy)]
pub struct Earned(Size);

/// Of a market whose smallest pair is `size_min` now.
pub fn left(board: &Board, limits: &Limits, (size_min, ground): (Size, &Ground<'_>)) -> Earned {
    let [extended, lighter] = ground.open;
    let left = cap(&board.standing, limits, size_min) - extended.max(lighter);
    Earned(Size(left.0.max(0)))
}

impl Earned {
    /// The smaller of this and what the other limits allow, with the limit that binds.
    #[inline]
    pub fn or(self, (size, bound): (Size, Reason)) -> (Size, Reason) {
        match self.0 < size {
            true => (self.0, Reason::Ramp),
            false => (size, bound),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::market::event::ExitCause;
    use crate::market::units::Nanos;
    use crate::market::{InstrumentId, Venue};
    use proptest::prelude::*;

    const LIMITS: Limits = Limits {
        pairs: 3,
        tolerance: Bps::whole(3),
        losing_max: 4,
        rest_ns: 60 * SECOND,
    };
    const T: Nanos = Nanos(500 * SECOND);

    /// Predicted 5 bps of 1,000 USD, which is 50 cents; made so many cents.
    fn ended(end: PairEnd, cents: i64) -> PairSummary {
        PairSummary {
            pair: 1,
            instrument: InstrumentId(0),
            long: Venue::Extended,
            end,
            cause: ExitCause::Converged,
            t_entry: T,
            t_end: T,
            size: Size(1),
            gross: Bps::whole(8),
            net: Bps::whole(5),
            edge: Notional::ZERO,
            slippage: Notional::ZERO,
            fees: Notional::ZERO,
            funding: Notional::ZERO,
            repair: Notional::ZERO,
            total: Notional::from_nano(cents * 10_000_000),
        }
    }

    fn after(ends: &[(PairEnd, i64)]) -> Standing {
        let mut standing = Standing::default();
        for (end, cents) in ends {
            let summary = ended(*end, *cents);
            learn(&mut standing, &LIMITS, &summary, Notional::from_usd(1_000));
        }
        standing
    }

    #[test]
    fn size_doubles_with_pairs_that_kept_their_word_and_is_taken_back() {
        use PairEnd::{Closed, Missed, Unwound};
        for (ends, level, kept) in [
            (&[][..], 0, 0),
            (&[(Closed, 50); 2], 0, 2),
            (&[(Closed, 20); 3], 1, 0),
            (&[(Closed, 500); 7], 2, 1),
            (
                &[(Closed, 50), (Closed, 19), (Closed, 50), (Closed, 50)],
                0,
                2,
            ),
            (
                &[(Closed, 50), (Missed, 0), (Closed, 50), (Closed, 50)],
                1,
                0,
            ),
            (&[(Closed, 50), (Closed, 50), (Unwound, 50)], 0, 0),
        ] {
            let standing = after(ends);
            assert_eq!((standing.level, standing.kept), (level, kept), "{ends:?}");
        }
        let mut ends = vec![(Closed, 50); 6];
        ends.push((Closed, 0));
        assert_eq!(after(&ends).level, 1, "one doubling back");
        let many = vec![(Closed, 50); 500];
        assert_eq!(after(&many).level, LEVEL_MAX);
    }

    #[test]
    fn a_losing_run_rests_the_market_and_begins_at_the_smallest() {
        use PairEnd::{Closed, Missed, Unwound};
        let mut ends = vec![(Closed, 50); 6];
        ends.extend([(Closed, -1), (Unwound, -1), (Missed, 0), (Closed, -1)]);
        assert_eq!(after(&ends).t_rest, Nanos::ZERO);
        ends.push((Closed, -1));
        let rest = Standing {
            t_rest: T.plus(60 * SECOND),
            ..Standing::default()
        };
        assert_eq!(after(&ends), rest);
        // One winner in between and there is no run.
        let ends = [-1, -1, -1, 1, -1, -1, -1].map(|cents| (Closed, cents));
        assert_eq!(after(&ends).t_rest, Nanos::ZERO);
    }

    #[test]
    fn the_cap_is_the_smallest_doubled_and_none_without_a_ramp() {
        let at = |level| Standing {
            level,
            ..Standing::default()
        };
        assert_eq!(cap(&at(0), &LIMITS, Size(7)), Size(7));
        assert_eq!(cap(&at(3), &LIMITS, Size(7)), Size(56));
        assert_eq!(cap(&at(255), &LIMITS, Size(i64::MAX / 2)), Size(i64::MAX));
        assert_eq!(cap(&at(0), &Limits::default(), Size(7)), Size(i64::MAX));
    }

    proptest! {
        /// Whatever the pairs did: the size never more than doubles with one, never without as many
        /// kept pairs as it takes, and never falls below the smallest.
        #[test]
        fn size_is_never_given(ends in prop::collection::vec((0_u8..3, -100_i64..100), 0..200)) {
            let mut standing = Standing::default();
            let mut kept_in_all = 0_u32;
            for (end, cents) in ends {
                let end = [PairEnd::Closed, PairEnd::Unwound, PairEnd::Missed][usize::from(end)];
                kept_in_all += u32::from(end == PairEnd::Closed && cents >= 20);
                let before = standing.level;
                let notional = Notional::from_usd(1_000);
                learn(&mut standing, &LIMITS, &ended(end, cents), notional);
                prop_assert!(standing.level <= before + 1);
                prop_assert!(3 * u32::from(standing.level) <= kept_in_all);
                prop_assert!(cap(&standing, &LIMITS, Size(9)) >= Size(9));
            }
        }
    }
}
