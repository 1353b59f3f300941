//! When a lane dials again after it went down, and the drawing of lots behind it.
//!
//! Promises: the first try comes quickly, each further one later, up to a limit, and two lanes cut
//! together do not come back together. Refuses to know why a lane went down: refusals that concern
//! the whole venue are `dials.rs`'s affair.

use super::dial::ConnectionLimits;
use crate::market::units::{MS, Nanos, SECOND};

/// When to dial again: half a second, doubling to thirty, with jitter, so that many lanes cut
/// together do not come back together.
pub(super) struct Backoff {
    attempts: u32,
    /// Which address is dialed: the next one after each attempt that did not come up.
    pub(super) address_idx: u32,
    /// `None` before the first dial.
    pub(super) dialed_at: Option<Nanos>,
    random: Random,
}

/// First delay. Larger: longer blind after a cut. Smaller: venues take it for an attack.
const DELAY_NS_FIRST: u64 = 500 * MS;
/// Longest delay.
const DELAY_NS_MAX: u64 = 30 * SECOND;
/// A connection that lived this long was a good one: the next delay is the first again.
const SETTLED_NS: u64 = 10 * SECOND;

impl Backoff {
    pub(super) fn new(seed: u64) -> Backoff {
        Backoff {
            attempts: 0,
            address_idx: 0,
            dialed_at: None,
            random: Random(seed),
        }
    }

    /// When to dial after going down now, `lived_ns` after coming up. Half of the delay is fixed,
    /// half is drawn.
    pub(super) fn until(&mut self, lived_ns: u64, now: Nanos, limits: &ConnectionLimits) -> Nanos {
        if lived_ns >= SETTLED_NS {
            self.attempts = 0;
        }
        let whole_ns = (DELAY_NS_FIRST << self.attempts.min(8)).min(DELAY_NS_MAX);
        self.attempts = self.attempts.saturating_add(1);
        let half_ns = whole_ns / 2;
        let delay_ns = half_ns + self.random.next() % (half_ns + 1);
        self.spaced(now.plus(delay_ns), limits)
    }

    /// When to dial without a delay: the count of failures begins anew.
    pub(super) fn afresh(&mut self, now: Nanos, limits: &ConnectionLimits) -> Nanos {
        self.attempts = 0;
        self.spaced(now, limits)
    }

    /// That moment, or later if the last dial is not long enough ago.
    fn spaced(&self, at: Nanos, limits: &ConnectionLimits) -> Nanos {
        self.dialed_at
            .map_or(at, |dialed_at| at.max(dialed_at.plus(limits.redial_ns_min)))
    }
}

/// SplitMix64 (Steele, Lea and Flood, 2014): for jitter and for masks, which on TLS only keep the
/// form of the protocol. Not for secrets.
pub(super) struct Random(pub(super) u64);

impl Random {
    #[inline]
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Nanos = Nanos(1_000 * SECOND);

    #[test]
    fn row_13_delays_double_to_a_limit_and_differ_by_seed() {
        let limits = ConnectionLimits::default();
        let mut backoff = Backoff::new(7);
        for attempt in 0..12 {
            let whole_ns = (DELAY_NS_FIRST << attempt).min(DELAY_NS_MAX);
            let until = backoff.until(0, START, &limits);
            let delay_ns = until.since(START);
            assert!((whole_ns / 2..=whole_ns).contains(&delay_ns), "{attempt}");
        }
        let mut first = Backoff::new(1);
        let mut second = Backoff::new(2);
        assert_ne!(
            first.until(0, START, &limits),
            second.until(0, START, &limits)
        );
        let until = backoff.until(SETTLED_NS, START, &limits);
        assert!(until.since(START) <= DELAY_NS_FIRST);
    }

    #[test]
    fn dials_keep_their_distance() {
        let limits = ConnectionLimits {
            redial_ns_min: 5 * SECOND,
            ..ConnectionLimits::default()
        };
        let mut backoff = Backoff::new(3);
        backoff.dialed_at = Some(START);
        let until = backoff.until(0, START.plus(SECOND), &limits);
        assert_eq!(until, START.plus(5 * SECOND));
        let later = START.plus(3600 * SECOND);
        let until = backoff.until(3600 * SECOND, later, &limits);
        assert!(until.since(later) <= DELAY_NS_FIRST);
    }
}
