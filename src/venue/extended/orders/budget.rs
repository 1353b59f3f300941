//! The venue's request budget: a sliding minute, counted by seconds, with a reserve.
//!
//! Promises: never more than the limit in any 60 s; entries and upkeep never past 80 % of it, so
//! that exits, cancels and questions always find the rest. After the venue has said "too many",
//! entries wait; exits and questions go on at a slow pace and cancels as they come, because a leg
//! that stands alone costs more than a refused request.
//! Refuses: weights. Every request counts one here, unlike at other venues.
//!
//! Neither the window, nor the penalty, nor a `Retry-After` is documented: a sliding minute is the
//! strictest reading of the first, and the pause doubles while the venue goes on refusing.
//! Source: D1, rate limits.

use crate::market::units::{Nanos, SECOND};

/// Seconds counted: 60 and the one that is under way, so that no window of 60 s is undercounted.
const SECONDS: usize = 61;
/// Share of the budget open to entries and upkeep, per cent. Larger: fewer exits are
/// possible after a burst. Smaller: fewer entries.
const ENTRY_SHARE_PERCENT: u64 = 80;
/// First pause after HTTP 429. Larger: longer without entries. Smaller: the venue may ban the
/// address.
const PAUSE_NS_MIN: u64 = 10 * SECOND;
/// Longest pause: the whole window, after which nothing of what was sent counts any more.
const PAUSE_NS_MAX: u64 = 60 * SECOND;
/// In a pause, exits and questions go one by one, this fraction of the pause apart: 0.5 s at first.
/// Larger: a lone leg is hedged sooner, and the venue is asked more often while it refuses.
const PACE_DIVISOR: u64 = 20;

/// How much a request may spend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Claim {
    /// Opens exposure, or serves upkeep: up to 80 %, and nothing in a pause.
    Entry,
    /// Reduces exposure, follows a leg that stands alone, or asks a question: all of it; at a slow
    /// pace in a pause.
    Exit,
    /// Cancels: all of it, also in a pause.
    Cancel,
}

/// Requests sent in the last minute.
pub(super) struct Budget {
    /// The limit.
    per_minute: u32,
    /// What entries may use of it.
    entries: u32,
    /// Requests by second, at `second % SECONDS`.
    counts: [u32; SECONDS],
    /// Sum of `counts`.
    used: u32,
    /// The second under way, since the epoch.
    second: u64,
    /// When the venue said "too many" last; zero while it never did.
    t_refused: Nanos,
    /// How long that counts.
    pause_ns: u64,
    /// When the last exit or question left.
    t_exit: Nanos,
}

impl Budget {
    pub(super) fn new(per_minute: u32) -> Budget {
        let entries = u64::from(per_minute) * ENTRY_SHARE_PERCENT / 100;
        Budget {
            per_minute,
            // Below the limit, so it fits; the largest share would be the limit itself.
            entries: u32::try_from(entries).unwrap_or(per_minute),
            counts: [0; SECONDS],
            used: 0,
            second: 0,
            t_refused: Nanos::ZERO,
            pause_ns: 0,
            t_exit: Nanos::ZERO,
        }
    }

    /// Whether a request of this kind may go now.
    pub(super) fn allows(&mut self, claim: Claim, now: Nanos) -> bool {
        self.advance(now);
        let limit = match claim {
            Claim::Entry => self.entries,
            Claim::Exit | Claim::Cancel => self.per_minute,
        };
        if self.used >= limit {
            return false;
        }
        let is_paused = self.t_refused != Nanos::ZERO && now.since(self.t_refused) < self.pause_ns;
        match claim {
            Claim::Entry => !is_paused,
            Claim::Exit => !is_paused || now.since(self.t_exit) >= self.pause_ns / PACE_DIVISOR,
            Claim::Cancel => true,
        }
    }

    /// Counts a request that is sent now.
    pub(super) fn spend(&mut self, claim: Claim, now: Nanos) {
        self.advance(now);
        self.counts[(self.second % SECONDS as u64) as usize] += 1;
        self.used += 1;
        if claim == Claim::Exit {
            self.t_exit = now;
        }
    }

    /// The venue said "too many" to a request that left at `t_sent`. One that left before its last
    /// such word says nothing new; another one soon after makes the pause longer.
    #[cold]
    pub(super) fn cool_down(&mut self, t_sent: Nanos, now: Nanos) {
        if t_sent < self.t_refused {
            return;
        }
        let is_again = self.t_refused != Nanos::ZERO && now.since(self.t_refused) < PAUSE_NS_MAX;
        self.pause_ns = match is_again {
            true => (2 * self.pause_ns).min(PAUSE_NS_MAX),
            false => PAUSE_NS_MIN,
        };
        self.t_refused = now;
    }

    /// Lets go of seconds that have left the window; at most all of them.
    fn advance(&mut self, now: Nanos) {
        let second = now.0 / SECOND;
        let steps = second.saturating_sub(self.second).min(SECONDS as u64);
        for step in 0..steps {
            let idx = ((second - step) % SECONDS as u64) as usize;
            self.used -= self.counts[idx];
            self.counts[idx] = 0;
        }
        self.second = self.second.max(second);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn exits_find_room_where_entries_do_not() {
        let mut budget = Budget::new(10);
        let now = Nanos(1_000 * SECOND);
        for _ in 0..8 {
            assert!(budget.allows(Claim::Entry, now));
            budget.spend(Claim::Entry, now);
        }
        assert!(!budget.allows(Claim::Entry, now));
        for _ in 0..2 {
            assert!(budget.allows(Claim::Exit, now));
            budget.spend(Claim::Exit, now);
        }
        assert!(!budget.allows(Claim::Exit, now));
        assert!(!budget.allows(Claim::Cancel, now));
        assert!(budget.allows(Claim::Entry, now.plus(61 * SECOND)));
    }

    /// When the next request of this kind may go, in tenths of a second from `now`.
    fn wait(budget: &mut Budget, claim: Claim, now: Nanos) -> u64 {
        let tenths = |count: &u64| budget.allows(claim, now.plus(count * SECOND / 10));
        (0..700).find(tenths).expect("within a minute")
    }

    #[test]
    fn row_39_too_many_slows_exits_and_stops_entries() {
        let mut budget = Budget::new(1000);
        let mut now = Nanos(500 * SECOND);
        for (entry, exit) in [(100, 5), (200, 10), (400, 20), (600, 30), (600, 30)] {
            budget.spend(Claim::Exit, now);
            budget.cool_down(now, now);
            // A second refusal of a request that was out already.
            budget.cool_down(Nanos(now.0 - 1), now);
            assert_eq!(wait(&mut budget, Claim::Entry, now), entry);
            assert_eq!(wait(&mut budget, Claim::Exit, now), exit);
            assert_eq!(wait(&mut budget, Claim::Cancel, now), 0);
            now = now.plus(exit * SECOND / 10);
        }
        now = now.plus(61 * SECOND);
        budget.cool_down(now, now);
        assert_eq!(
            wait(&mut budget, Claim::Entry, now),
            100,
            "long ago is forgotten"
        );
    }

    fn claim() -> impl Strategy<Value = Claim> {
        let kinds = [Claim::Entry, Claim::Entry, Claim::Exit, Claim::Cancel];
        proptest::sample::select(kinds.to_vec())
    }

    proptest! {
        /// No 60 seconds ever hold more than the limit, whatever the rhythm.
        #[test]
        fn no_window_is_overdrawn(gaps in proptest::collection::vec(0_u64..20 * SECOND, 1..200)) {
            let mut budget = Budget::new(12);
            let (mut now, mut sent) = (Nanos(77 * SECOND), Vec::new());
            for gap in gaps {
                now = now.plus(gap);
                if budget.allows(Claim::Cancel, now) {
                    budget.spend(Claim::Cancel, now);
                    sent.push(now);
                }
                let recent = sent.iter().filter(|t| now.since(**t) <= 60 * SECOND).count();
                prop_assert!(recent <= 12);
            }
        }

        /// Whatever entries do, exits and cancels that keep within the reserve are never refused.
        #[test]
        fn row_39_the_reserve_is_never_entries(
            wishes in proptest::collection::vec((0_u64..3 * SECOND, claim()), 1..400),
            per_minute in 5_u32..60,
        ) {
            let mut budget = Budget::new(per_minute);
            let reserve = (per_minute - per_minute * 80 / 100) as usize;
            let (mut now, mut exits) = (Nanos(77 * SECOND), Vec::new());
            for (gap, claim) in wishes {
                now = now.plus(gap);
                let is_allowed = budget.allows(claim, now);
                // By the naive count of a window that is a second wider than the counted one.
                let recent = exits.iter().filter(|t| now.since(**t) <= 62 * SECOND).count();
                if claim != Claim::Entry && recent < reserve {
                    prop_assert!(is_allowed, "{recent} of {reserve}");
                }
                if is_allowed {
                    budget.spend(claim, now);
                    exits.extend((claim != Claim::Entry).then_some(now));
                }
            }
        }
    }
}
