//! A venue's clock, read by ours: when was this message made?
//!
//! The venue stamps its messages with its own clock, which may be seconds off. What arrives can't
//! be older than the way is short, so the smallest difference seen of late between our time of
//! receipt and the venue's stamp is the clocks' offset plus the shortest way; whatever a message
//! shows beyond it, it was late. Promises: a message is never younger than it is by that measure,
//! and never from the future; the difference itself is told as it is, negative too.
//! Refuses: a guess. Without a sample, or without a stamp, nothing is known.

use crate::market::units::{Nanos, SECOND};

/// A half of the time over which the smallest difference is sought. Larger: a clock that drifts
/// apart makes messages look old for longer (100 parts per million: 60 ms in ten minutes). Smaller:
/// a jam that lasts as long is taken for the new shortest way.
const HALF_NS: u64 = 300 * SECOND;

/// The offset of one venue's clock, by a minimum filter.
#[derive(Clone, Copy, Debug, Default)]
pub struct VenueClock {
    half_start: Nanos,
    /// Smallest difference in this half and in the one before.
    least_ns: [Option<i64>; 2],
}

impl VenueClock {
    /// A message that was sent as soon as it was made, with the venue's stamp. Snapshots are none:
    /// they may be a minute old. A stamp of zero says nothing.
    #[inline]
    pub fn hear(&mut self, t_recv: Nanos, t_venue: Nanos) {
        if t_venue == Nanos::ZERO {
            return;
        }
        if t_recv.since(self.half_start) >= HALF_NS {
            let before = self.least_ns[0];
            let is_next = t_recv.since(self.half_start) < 2 * HALF_NS;
            self.least_ns = [None, before.filter(|_| is_next)];
            self.half_start = t_recv;
        }
        let ns = t_recv.0.cast_signed() - t_venue.0.cast_signed();
        self.least_ns[0] = Some(self.least_ns[0].map_or(ns, |least| least.min(ns)));
    }

    /// What our clock shows more than the venue's at the fastest message of late, nanoseconds.
    #[inline]
    pub fn offset_ns(&self) -> Option<i64> {
        match self.least_ns {
            [Some(now), Some(before)] => Some(now.min(before)),
            [now, before] => now.or(before),
        }
    }

    /// When a message with this stamp would have come in, had it come the shortest way; never after
    /// `t_recv`. [`Nanos::ZERO`] when it can't be told.
    #[inline]
    pub fn made(&self, t_recv: Nanos, t_venue: Nanos) -> Nanos {
        match self.offset_ns() {
            Some(ns) if t_venue != Nanos::ZERO => {
                Nanos(t_venue.0.saturating_add_signed(ns)).min(t_recv)
            }
            _ => Nanos::ZERO,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::market::units::MS;

    /// Our clock when the venue's shows `ms` and is `ahead_ms` ahead, after a way of `way_ms`.
    fn at(ms: u64, ahead_ms: i64, way_ms: u64) -> Nanos {
        Nanos((ms + way_ms).saturating_add_signed(-ahead_ms) * MS)
    }

    /// Row 9: a venue 2 to 3 s ahead, or behind; the age is that of the way alone.
    #[test]
    fn row_9_a_skewed_clock_neither_hides_age_nor_makes_it() {
        for ahead_ms in [-2_500_i64, 0, 2_500] {
            let mut clock = VenueClock::default();
            let first = 1_000_000;
            assert_eq!(
                clock.made(at(first, ahead_ms, 3), Nanos(first * MS)),
                Nanos::ZERO
            );
            for (at_ms, way_ms, age_ms) in [(0, 9, 0), (100, 3, 0), (200, 60, 57), (300, 900, 897)]
            {
                let stamp = Nanos((first + at_ms) * MS);
                let t_recv = at(first + at_ms, ahead_ms, way_ms);
                clock.hear(t_recv, stamp);
                let made = clock.made(t_recv, stamp);
                assert_eq!(t_recv.since(made), age_ms * MS, "{ahead_ms} {at_ms}");
            }
            let least = clock.offset_ns().expect("four samples");
            assert_eq!(least, (3 - ahead_ms) * MS as i64);
        }
    }

    #[test]
    fn a_stamp_of_zero_says_nothing() {
        let mut clock = VenueClock::default();
        clock.hear(Nanos(7 * SECOND), Nanos::ZERO);
        assert_eq!(clock.offset_ns(), None);
        clock.hear(Nanos(7 * SECOND), Nanos(6 * SECOND));
        assert_eq!(clock.made(Nanos(7 * SECOND), Nanos::ZERO), Nanos::ZERO);
    }

    #[test]
    fn the_least_is_of_late() {
        let mut clock = VenueClock::default();
        let mut offset_after = |second: u64, way_ms: u64| {
            let stamp = Nanos(second * SECOND);
            clock.hear(stamp.plus(way_ms * MS), stamp);
            clock.offset_ns().map(|ns| ns / MS as i64)
        };
        assert_eq!(offset_after(1_000, 5), Some(5));
        assert_eq!(offset_after(1_299, 50), Some(5));
        // A half later the short way is still known, another half later no more.
        assert_eq!(offset_after(1_400, 40), Some(5));
        assert_eq!(offset_after(1_699, 45), Some(5));
        assert_eq!(offset_after(1_701, 45), Some(40));
        // After a long silence nothing of before counts.
        assert_eq!(offset_after(9_000, 70), Some(70));
    }
}
