//! Funding: when each venue charges, what that would cost a pair, and when nothing may be done.
//!
//! Both venues charge every hour, each at its own second, on its own mark, at its own rate. Rates
//! come in one unit, ratios of notional that longs pay for one hour: the feeds turn them, since
//! Lighter tells per cent. Between the two payments of one hour a position that comes or goes is
//! charged on one venue alone.
//!
//! Promises: pure functions of settings, marks, rates and `now`; no division unless a payment is
//! crossed. Refuses: to book payments (`payments.rs` books the venues' own word).

use crate::market::reference::ReferenceKind;
use crate::market::units::{Bps, Nanos, Price, SECOND};
use crate::market::{VENUE_COUNT, VENUES, Venue};
use crate::scanner::mirror::Mirror;

/// Time between payments. Sources: Extended's user documentation, "Funding payments" (charged once
/// an hour); apidocs.lighter.xyz, "Funding" (hourly).
pub const HOUR_NS: u64 = 3_600 * SECOND;
/// A venue whose rate nobody has told yet counts as this much against us: 1.25 bps an hour, ten
/// times the usual rate of 0.01 % in eight hours. Larger: fewer entries before the first word.
const UNKNOWN_E9: i64 = 125_000;
/// A rate beyond this is a broken message: 5 % an hour, above Lighter's large clamp.
const RATE_MAX_E9: i64 = 50_000_000;
/// One whole in units of 2^-16 bps.
const WHOLE: i128 = 10_000 << 16;

/// When payments happen, and how near to them nothing is begun or ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hours {
    /// Time after the full hour at which each venue charges, by venue, below one hour.
    pub at_ns: [u64; VENUE_COUNT],
    /// No entry or exit from so long before the first payment of an hour. Larger: edges missed.
    pub before_ns: u64,
    /// Until so long after the second. Larger: edges missed. Smaller: a payment that comes late
    /// falls on one leg alone.
    pub after_ns: u64,
}

impl Hours {
    /// Both on the full hour, ten seconds kept free before and after.
    pub const DEFAULT: Hours = Hours {
        at_ns: [0; VENUE_COUNT],
        before_ns: 10 * SECOND,
        after_ns: 10 * SECOND,
    };

    /// Whether `now` lies between the two payments of one hour, or too near to them. Which two
    /// belong together: those with the shorter time in between.
    pub fn is_between(&self, now: Nanos) -> bool {
        let [one, other] = self.at_ns;
        let gap_ns = (other + HOUR_NS - one) % HOUR_NS;
        let (first, gap_ns) = match gap_ns <= HOUR_NS / 2 {
            true => (one, gap_ns),
            false => (other, HOUR_NS - gap_ns),
        };
        let begin_ns = (first + HOUR_NS - self.before_ns % HOUR_NS) % HOUR_NS;
        let since_ns = (now.0 % HOUR_NS + HOUR_NS - begin_ns) % HOUR_NS;
        since_ns <= self.before_ns + gap_ns + self.after_ns
    }

    /// Payments of a venue after `now`, up to and with `until`.
    pub fn crossed(&self, venue: Venue, now: Nanos, until: Nanos) -> u64 {
        let hours = |t: Nanos| t.0.saturating_sub(self.at_ns[venue.idx()]) / HOUR_NS;
        hours(until).saturating_sub(hours(now))
    }

    /// What a pair that buys on `long` pays until then, in bps of its notional at the mids: each
    /// venue's rate on its own mark, for its own payments. Negative is received.
    pub fn cost(
        &self,
        mirrors: &[Mirror; VENUE_COUNT],
        long: Venue,
        (now, until): (Nanos, Nanos),
    ) -> Bps {
        let mut bits = 0;
        for venue in VENUES {
            let count = self.crossed(venue, now, until);
            if count > 0 {
                let once = payment(&mirrors[venue.idx()], venue == long);
                bits += once.bits().saturating_mul(count as i64);
            }
        }
        Bps::from_bits(bits)
    }
}

/// What one payment takes from a position, in bps of its notional at the mid.
#[cold]
fn payment(mirror: &Mirror, is_long: bool) -> Bps {
    let Some(rate_e9) = mirror.reference_e9(ReferenceKind::Funding) else {
        return bps_of(UNKNOWN_E9, None);
    };
    let mark = mirror.reference_e9(ReferenceKind::Mark).map(Price);
    let mid = mirror.touch_last().map(|touch| touch.mid());
    let rate_e9 = rate_e9.clamp(-RATE_MAX_E9, RATE_MAX_E9);
    let paid = bps_of(rate_e9, mark.zip(mid));
    if is_long { paid } else { -paid }
}

/// A ratio at 10^-9 of the mark, in bps of the mid.
fn bps_of(rate_e9: i64, prices: Option<(Price, Price)>) -> Bps {
    let bits = i128::from(rate_e9) * WHOLE / 1_000_000_000;
    let bits = match prices {
        Some((mark, mid)) if mid.0 > 0 => bits * i128::from(mark.0) / i128::from(mid.0),
        _ => bits,
    };
    Bps::from_bits(bits.clamp(i64::MIN.into(), i64::MAX.into()) as i64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::market::InstrumentId;
    use crate::market::book::{Delta, Side, flags};
    use crate::market::reference::Reference;
    use crate::market::units::{SCALE, Size};
    use proptest::prelude::*;

    const HOUR: Nanos = Nanos(500_000 * HOUR_NS);

    fn at(second: i64) -> Nanos {
        Nanos(HOUR.0.wrapping_add_signed(second * SECOND as i64))
    }

    fn hours(extended_s: u64, lighter_s: u64) -> Hours {
        Hours {
            at_ns: [extended_s * SECOND, lighter_s * SECOND],
            before_ns: 5 * SECOND,
            after_ns: 20 * SECOND,
        }
    }

    fn mirror(mid: i64) -> Mirror {
        let mut mirror = Mirror::new(Price(SCALE));
        let clear = flags::CLEAR | flags::SNAPSHOT;
        for (side, price, flags) in [
            (Side::Bid, mid - 1, clear),
            (Side::Ask, mid + 1, flags::LAST),
        ] {
            mirror.apply(&Delta {
                price: Price(price * SCALE),
                size: Size(SCALE),
                t_recv: HOUR,
                t_made: HOUR,
                t_push: HOUR,
                instrument: InstrumentId(0),
                venue: Venue::Lighter,
                side,
                flags,
            });
        }
        mirror
    }

    fn tell(mirror: &mut Mirror, kind: ReferenceKind, value_e9: i64) {
        mirror.note(&Reference {
            instrument: InstrumentId(0),
            venue: Venue::Lighter,
            kind,
            value_e9,
            t_recv: HOUR,
        });
    }

    #[test]
    fn nothing_happens_between_two_payments() {
        for (hours, seconds) in [
            (
                hours(0, 0),
                [(-6, false), (-5, true), (20, true), (21, false)],
            ),
            (
                hours(0, 40),
                [(-6, false), (-5, true), (60, true), (61, false)],
            ),
            // Before the hour on one venue, after it on the other.
            (
                hours(3_590, 10),
                [(-16, false), (-15, true), (30, true), (31, false)],
            ),
            (
                hours(10, 3_590),
                [(-16, false), (-15, true), (30, true), (31, false)],
            ),
        ] {
            for (second, locked) in seconds {
                assert_eq!(hours.is_between(at(second)), locked, "{hours:?} {second}");
            }
        }
    }

    #[test]
    fn each_venue_pays_its_own_rate_on_its_own_mark() {
        let hours = hours(0, 40);
        let mut mirrors = [mirror(1_000), mirror(1_000)];
        // One basis point on Extended, two on Lighter on a mark a tenth higher.
        tell(&mut mirrors[0], ReferenceKind::Funding, 100_000);
        tell(&mut mirrors[1], ReferenceKind::Funding, 200_000);
        tell(&mut mirrors[1], ReferenceKind::Mark, 1_100 * SCALE);
        let cost = |long, from, until| hours.cost(&mirrors, long, (at(from), at(until)));
        let near = |cost: Bps, bps: f64| (cost.to_f64() - bps).abs() < 0.001;
        assert_eq!(cost(Venue::Extended, 41, 3_599), Bps::ZERO);
        // The one instant alone, both, and two hours of both.
        assert!(near(cost(Venue::Extended, -9, 39), 1.0));
        assert!(near(cost(Venue::Extended, -9, 40), 1.0 - 2.2));
        assert!(near(cost(Venue::Lighter, -9, 40), 2.2 - 1.0));
        assert!(near(cost(Venue::Lighter, -9, 3_640), 2.4));
    }

    #[test]
    fn a_rate_that_nobody_told_is_against_us() {
        let mirrors = [mirror(1_000), mirror(1_000)];
        for long in VENUES {
            let cost = hours(0, 0).cost(&mirrors, long, (at(-1), at(1)));
            assert_eq!(cost, Bps::from_milli(2_500));
        }
    }

    proptest! {
        /// The naive count: second by second.
        #[test]
        fn crossings_are_counted(
            from in 0_i64..8_000,
            len in 0_i64..8_000,
            offset in 0_u64..3_600,
        ) {
            let hours = hours(offset, 0);
            let is_payment = |second: &i64| second.rem_euclid(3_600) == offset as i64;
            let naive = (from + 1..=from + len).filter(is_payment).count() as u64;
            let crossed = hours.crossed(Venue::Extended, at(from), at(from + len));
            prop_assert_eq!(crossed, naive);
        }
    }
}
