//! When a venue may be dialled: so many dials a second and a minute, and a rest after refusals.
//!
//! One of these per stage and venue, asked before each dial of any lane. Promises: the numbers
//! below hold in every window, wherever it begins; after a refusal that counts against the whole
//! address nobody dials until the rest is over. Refuses to touch lanes that are up: what the front
//! door says about new connections does not concern the open ones.

use super::backoff::Random;
use crate::market::units::{Nanos, SECOND};

/// Most dials in any minute. Lighter's oldest text allows 60 new connections a minute and address
/// (protocol notes, rate limits; newer texts 80 and 255), and a feed and a gateway share an
/// address. Larger: venues may take it for an attack. Smaller: many lanes take long to come up.
const DIALS_PER_MINUTE: usize = 30;
/// Most dials in any second: a plan of up to this many lanes comes up at once, a larger one in
/// steps. Larger: a burst that firewalls notice. Smaller: a later start.
const DIALS_PER_SECOND: usize = 10;
/// The rest after a first refusal: what Extended asks for after 429. Lighter's firewall answers 405
/// and blocks the address for about 60 s (third party); three rests, each double the last, outlast
/// that. Larger: longer blind, with a leg alone perhaps, after one hiccup. Smaller: each dial into
/// a block may prolong it.
const COOLDOWN_NS: u64 = 10 * SECOND;
/// A refusal within twice the last rest after its end doubles the next, up to this.
const COOLDOWN_NS_MAX: u64 = 300 * SECOND;
/// Up to one part in this many is added by lot, so that stages refused together come back apart.
const JITTER_PART: u64 = 6;

const _: () = assert!(DIALS_PER_SECOND <= DIALS_PER_MINUTE);

/// The dials of the last minute and the rest under way.
pub(super) struct Dials {
    /// When the last dials were made, a ring; `None` while there have been fewer.
    made_at: [Option<Nanos>; DIALS_PER_MINUTE],
    /// Where the next goes: there stands the oldest.
    next: usize,
    /// Nobody dials before this.
    rest_until: Option<Nanos>,
    /// Length of the last rest without jitter, zero before the first, and when it ended.
    rest_ns: u64,
    rested_at: Nanos,
    random: Random,
}

impl Dials {
    /// No dial made, no rest under way. `seed` feeds the jitter.
    pub(super) fn new(seed: u64) -> Dials {
        Dials {
            made_at: [None; DIALS_PER_MINUTE],
            next: 0,
            rest_until: None,
            rest_ns: 0,
            rested_at: Nanos::ZERO,
            random: Random(seed),
        }
    }

    /// Until when nobody dials, as long as it lasts.
    pub(super) fn rest_until(&self) -> Option<Nanos> {
        self.rest_until
    }

    /// Ends a rest that is over. Call it at the beat.
    #[cold]
    pub(super) fn beat(&mut self, now: Nanos) {
        if let Some(until) = self.rest_until
            && now >= until
        {
            self.rest_until = None;
            self.rested_at = now;
        }
    }

    /// Whether a lane may dial now; if so, the dial is counted as made.
    #[cold]
    pub(super) fn take(&mut self, now: Nanos) -> bool {
        let is_over = |made_at: Option<Nanos>, window_ns: u64| {
            made_at.is_none_or(|at| now.since(at) >= window_ns)
        };
        let len = DIALS_PER_MINUTE;
        let minute = self.made_at[self.next];
        let second = self.made_at[(self.next + len - DIALS_PER_SECOND) % len];
        let is_free =
            self.rest_until.is_none() && is_over(minute, 60 * SECOND) && is_over(second, SECOND);
        if is_free {
            self.made_at[self.next] = Some(now);
            self.next = (self.next + 1) % len;
        }
        is_free
    }

    /// An upgrade was refused with this HTTP status. 403, 405 and 429 mean "not you" or "too many"
    /// and begin a rest; others are the lane's own affair. Refusals heard during a rest answer
    /// dials made before it, so they change nothing.
    #[cold]
    pub(super) fn note_refusal(&mut self, status: u16, now: Nanos) {
        if !matches!(status, 403 | 405 | 429) || self.rest_until.is_some() {
            return;
        }
        let is_repeat = self.rest_ns > 0 && now.since(self.rested_at) < 2 * self.rest_ns;
        self.rest_ns = if is_repeat {
            (2 * self.rest_ns).min(COOLDOWN_NS_MAX)
        } else {
            COOLDOWN_NS
        };
        let jitter_ns = self.random.next() % (self.rest_ns / JITTER_PART + 1);
        self.rest_until = Some(now.plus(self.rest_ns + jitter_ns));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::market::units::MS;
    use proptest::prelude::*;

    const START: Nanos = Nanos(1_000 * SECOND);

    /// The rest that a refusal at `now` begins, checked against its length without jitter.
    fn refused(dials: &mut Dials, now: Nanos, whole_s: u64) -> Nanos {
        dials.note_refusal(429, now);
        let until = dials.rest_until().unwrap();
        let whole_ns = whole_s * SECOND;
        let range = whole_ns..=whole_ns + whole_ns / JITTER_PART;
        assert!(range.contains(&until.since(now)), "{until:?}, {whole_s} s");
        until
    }

    #[test]
    fn row_13_a_refusal_rests_the_whole_venue_and_repeats_double() {
        for status in [403, 405, 429] {
            let mut dials = Dials::new(7);
            assert!(dials.take(START));
            dials.note_refusal(status, START);
            let until = dials.rest_until().unwrap();
            assert!(!dials.take(until));
            dials.beat(Nanos(until.0 - 1));
            assert!(!dials.take(until));
            dials.beat(until);
            assert_eq!(dials.rest_until(), None);
            assert!(dials.take(until));
        }
        let mut dials = Dials::new(7);
        let mut now = START;
        for whole_s in [10, 20, 40, 80, 160, 300, 300] {
            now = refused(&mut dials, now, whole_s);
            // Answers to other dials of the same burst.
            dials.note_refusal(405, Nanos(now.0 - 1));
            assert_eq!(dials.rest_until(), Some(now));
            dials.beat(now);
        }
        refused(&mut dials, now.plus(2 * COOLDOWN_NS_MAX), 10);
    }

    #[test]
    fn other_statuses_concern_one_lane() {
        let mut dials = Dials::new(7);
        for status in [200, 301, 400, 401, 404, 500, 502, 503] {
            dials.note_refusal(status, START);
            assert!(dials.take(START.plus(u64::from(status) * SECOND)));
        }
    }

    #[test]
    fn rests_differ_by_seed() {
        let until = |seed| {
            let mut dials = Dials::new(seed);
            refused(&mut dials, START, 10)
        };
        assert_ne!(until(1), until(2));
    }

    proptest! {
        /// Whenever lanes ask, the list of all dials is the judge, and no dial is refused in vain.
        #[test]
        fn row_13_no_window_holds_more_than_the_budget(
            waits in prop::collection::vec(
                prop_oneof![0..20_u64, 90..1_500_u64, 0..30_000_u64],
                0..400,
            ),
        ) {
            let (mut dials, mut now, mut made) = (Dials::new(7), START, Vec::new());
            for wait_ms in waits {
                now = now.plus(wait_ms * MS);
                let within = |window_ns: u64| {
                    made.iter().filter(|at: &&Nanos| now.since(**at) < window_ns).count()
                };
                let is_free = within(60 * SECOND) < DIALS_PER_MINUTE
                    && within(SECOND) < DIALS_PER_SECOND;
                prop_assert_eq!(dials.take(now), is_free);
                if is_free {
                    made.push(now);
                }
            }
        }
    }
}
