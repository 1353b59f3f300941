//! The venue's request budget: a sliding minute, counted by seconds.
//!
//! Promises: never more than the limit in any 60 s, entries never past 80 % of it, so that exits,
//! cancels and questions always find room. After the venue has said "too many" (HTTP 429), ten
//! seconds of silence for all but cancels.
//!
//! The window and the penalty are not documented; a sliding minute is the strictest reading.
//! Source: D1, rate limits.

use crate::market::units::{Nanos, SECOND};

/// Seconds counted: 60 and the one that is under way, so that no window of 60 s is undercounted.
const SECONDS: usize = 61;
/// Share of the budget open to entries and keep-warm requests, per cent. Larger: fewer exits are
/// possible after a burst. Smaller: fewer entries.
const ENTRY_SHARE_PERCENT: u32 = 80;
/// Pause after HTTP 429. Larger: longer without exits. Smaller: the venue may ban the address.
const PAUSE_NS: u64 = 10 * SECOND;

/// How much an order may spend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Claim {
    /// Opens exposure, or keeps a connection warm: up to 80 %.
    Entry,
    /// Reduces exposure, follows a leg that stands alone, or asks a question: all of it.
    Exit,
    /// Cancels: all of it, also during a pause.
    Cancel,
}

/// Requests sent in the last minute.
pub(super) struct Budget {
    /// The limit.
    per_minute: u32,
    /// Requests by second, at `second % SECONDS`.
    counts: [u32; SECONDS],
    /// Sum of `counts`.
    used: u32,
    /// The second under way, since the epoch.
    second: u64,
    /// No request but cancels before this.
    paused_until: Nanos,
}

impl Budget {
    pub(super) fn new(per_minute: u32) -> Budget {
        Budget {
            per_minute,
            counts: [0; SECONDS],
            used: 0,
            second: 0,
            paused_until: Nanos::ZERO,
        }
    }

    /// Whether a request of this kind may go now.
    pub(super) fn allows(&mut self, claim: Claim, now: Nanos) -> bool {
        self.advance(now);
        let limit = match claim {
            Claim::Entry => self.per_minute * ENTRY_SHARE_PERCENT / 100,
            Claim::Exit | Claim::Cancel => self.per_minute,
        };
        let paused = claim != Claim::Cancel && now < self.paused_until;
        self.used < limit && !paused
    }

    /// Counts a request that is sent now.
    pub(super) fn spend(&mut self, now: Nanos) {
        self.advance(now);
        self.counts[(self.second % SECONDS as u64) as usize] += 1;
        self.used += 1;
    }

    /// The venue said "too many".
    pub(super) fn pause(&mut self, now: Nanos) {
        self.paused_until = now.plus(PAUSE_NS);
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
            budget.spend(now);
        }
        assert!(!budget.allows(Claim::Entry, now));
        for _ in 0..2 {
            assert!(budget.allows(Claim::Exit, now));
            budget.spend(now);
        }
        assert!(!budget.allows(Claim::Exit, now));
        assert!(!budget.allows(Claim::Cancel, now));
        assert!(budget.allows(Claim::Entry, now.plus(61 * SECOND)));
    }

    #[test]
    fn a_pause_stops_all_but_cancels() {
        let mut budget = Budget::new(1000);
        let now = Nanos(5 * SECOND);
        budget.pause(now);
        assert!(!budget.allows(Claim::Exit, now));
        assert!(budget.allows(Claim::Cancel, now));
        assert!(budget.allows(Claim::Entry, now.plus(PAUSE_NS)));
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
                    budget.spend(now);
                    sent.push(now);
                }
                let recent = sent.iter().filter(|t| now.since(**t) <= 60 * SECOND).count();
                prop_assert!(recent <= 12);
            }
        }
    }
}
