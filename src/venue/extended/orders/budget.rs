//! The venue's request budget: a sliding minute, counted by seconds, with a reserve.
//!
//! Promises: never more than the limit in any 60 s; entries and upkeep never past 80 % of it, so
//! that exits, cancels and questions always find the rest. After the venue has said "too many",
//! entries wait; exits go on at a slow pace until it takes one, questions at a slower one that
//! takes nothing from theirs, and cancels as they come: a leg that stands alone costs more than a
//! refused request.
//! Refuses: weights. Every request counts one here, unlike at other venues.
//!
//! Neither the window, nor the penalty is documented: a sliding minute is the strictest reading of
//! the first. For how long it refuses, the venue's own `Retry-After` says; where it does not, the
//! pause doubles while it goes on refusing.
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
/// Longest pause that is believed when the venue states it. Larger: a proxy's slip of a whole day
/// stops entries for a day. Smaller: the venue is asked before it wants to be.
const STATED_NS_MAX: u64 = 600 * SECOND;
/// In a pause, exits go one by one, this fraction of the pause apart: 0.25 s at first, 1.5 s at
/// most. Larger: a lone leg is hedged sooner, and the venue is asked more often while it refuses.
const EXIT_DIVISOR: u64 = 40;
/// The same for questions, at their own pace: 0.5 s at first, and again once the venue takes
/// requests; 3 s at most.
const QUESTION_DIVISOR: u64 = 20;
/// In a pause that the venue has stated, exits wait at most so long; then they go on at their pace.
/// Larger: more obedient. Smaller: a lone leg is tried sooner, mostly in vain.
const EXIT_HOLD_NS_MAX: u64 = 10 * SECOND;

/// How much a request may spend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Claim {
    /// Opens exposure, or serves upkeep: up to 80 %, and nothing in a pause.
    Entry,
    /// Reduces exposure, or follows a leg that stands alone: all of it; at a slow pace in a pause.
    Exit,
    /// Asks what became of an order, or for its trades: all of it; slower than exits in a pause,
    /// and not at all in one that the venue stated.
    Question,
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
    /// The venue itself said how long.
    is_stated: bool,
    /// When the last exit left.
    t_exit: Nanos,
    /// And the last question.
    t_question: Nanos,
    /// It has taken a request since then.
    is_taking: bool,
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
            is_stated: false,
            t_exit: Nanos::ZERO,
            t_question: Nanos::ZERO,
            is_taking: false,
        }
    }

    /// Whether a request of this kind may go now.
    pub(super) fn allows(&mut self, claim: Claim, now: Nanos) -> bool {
        self.advance(now);
        let limit = match claim {
            Claim::Entry => self.entries,
            Claim::Exit | Claim::Question | Claim::Cancel => self.per_minute,
        };
        if self.used >= limit {
            return false;
        }
        let waited_ns = now.since(self.t_refused);
        if self.t_refused == Nanos::ZERO || waited_ns >= self.pause_ns {
            return true;
        }
        match (claim, self.is_stated) {
            (Claim::Entry, _) | (Claim::Question, true) => false,
            (Claim::Exit, true) if waited_ns < EXIT_HOLD_NS_MAX => false,
            (Claim::Exit, _) if self.is_taking => true,
            (Claim::Exit, _) => now.since(self.t_exit) >= self.pause_ns / EXIT_DIVISOR,
            (Claim::Question, false) => {
                // A leg may stand on the answer, and the venue takes requests again.
                let pause_ns = match self.is_taking {
                    true => PAUSE_NS_MIN,
                    false => self.pause_ns,
                };
                now.since(self.t_question) >= pause_ns / QUESTION_DIVISOR
            }
            (Claim::Cancel, _) => true,
        }
    }

    /// Counts a request that is sent now.
    pub(super) fn spend(&mut self, claim: Claim, now: Nanos) {
        self.advance(now);
        self.counts[(self.second % SECONDS as u64) as usize] += 1;
        self.used += 1;
        match claim {
            Claim::Exit => self.t_exit = now,
            Claim::Question => self.t_question = now,
            Claim::Entry | Claim::Cancel => {}
        }
    }

    /// The venue said "too many" to a request that left at `t_sent`. One that left before its last
    /// such word says nothing new; another one soon after makes the pause longer. What the venue
    /// states, above nothing, counts instead.
    #[cold]
    pub(super) fn cool_down(&mut self, t_sent: Nanos, stated_ns: Option<u64>, now: Nanos) {
        if t_sent < self.t_refused {
            return;
        }
        let is_again = self.t_refused != Nanos::ZERO && now.since(self.t_refused) < PAUSE_NS_MAX;
        let stated_ns = stated_ns.filter(|stated_ns| *stated_ns > 0);
        self.is_stated = stated_ns.is_some();
        self.pause_ns = match (stated_ns, is_again) {
            (Some(stated_ns), _) => stated_ns.min(STATED_NS_MAX),
            (None, true) => (2 * self.pause_ns).min(PAUSE_NS_MAX),
            (None, false) => PAUSE_NS_MIN,
        };
        self.t_refused = now;
        self.is_taking = false;
    }

    /// The venue has answered a request that left at `t_sent`: exits need not be paced any more.
    /// Entries wait all the same, so that what room there is stays theirs.
    pub(super) fn hear_good(&mut self, t_sent: Nanos) {
        self.is_taking |= t_sent >= self.t_refused;
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
        for (entry, exit) in [(100, 3), (200, 5), (400, 10), (600, 15), (600, 15)] {
            budget.spend(Claim::Exit, now);
            budget.spend(Claim::Question, now);
            budget.cool_down(now, None, now);
            // A second refusal of a request that was out already.
            budget.cool_down(Nanos(now.0 - 1), None, now);
            assert_eq!(wait(&mut budget, Claim::Entry, now), entry);
            assert_eq!(wait(&mut budget, Claim::Exit, now), exit);
            assert_eq!(wait(&mut budget, Claim::Cancel, now), 0);
            assert_eq!(wait(&mut budget, Claim::Question, now), entry / 20);
            now = now.plus(exit * SECOND / 10);
        }
        now = now.plus(61 * SECOND);
        budget.cool_down(now, None, now);
        assert_eq!(
            wait(&mut budget, Claim::Entry, now),
            100,
            "long ago is forgotten"
        );
    }

    #[test]
    fn row_39_exits_are_paced_only_until_the_venue_takes_one() {
        let mut budget = Budget::new(1000);
        let now = Nanos(500 * SECOND);
        budget.spend(Claim::Exit, now);
        budget.cool_down(now, None, now);
        budget.hear_good(Nanos(now.0 - 1));
        assert_eq!(wait(&mut budget, Claim::Exit, now), 3, "an older answer");
        budget.hear_good(now);
        assert_eq!(wait(&mut budget, Claim::Exit, now), 0);
        assert_eq!(wait(&mut budget, Claim::Entry, now), 100);
        budget.cool_down(now, None, now);
        assert_eq!(wait(&mut budget, Claim::Exit, now), 5, "refused again");
        // Questions go on at the pace of the first pause, however long the last.
        budget.spend(Claim::Question, now);
        assert_eq!(wait(&mut budget, Claim::Question, now), 10);
        budget.hear_good(now);
        assert_eq!(wait(&mut budget, Claim::Question, now), 5);
    }

    #[test]
    fn row_39_what_the_venue_states_is_obeyed_cancels_and_lone_legs_first() {
        for (stated_s, entry, exit) in [(3, 30, 30), (30, 300, 100), (0, 100, 3)] {
            let mut budget = Budget::new(1000);
            let now = Nanos(500 * SECOND);
            budget.spend(Claim::Exit, now);
            budget.spend(Claim::Question, now);
            budget.cool_down(now, Some(stated_s * SECOND), now);
            assert_eq!(wait(&mut budget, Claim::Entry, now), entry, "{stated_s}");
            assert_eq!(wait(&mut budget, Claim::Exit, now), exit, "{stated_s}");
            assert_eq!(wait(&mut budget, Claim::Cancel, now), 0, "{stated_s}");
            let question = if stated_s > 0 { entry } else { 5 };
            assert_eq!(wait(&mut budget, Claim::Question, now), question);
        }
    }

    #[test]
    fn row_39_questions_take_nothing_from_the_pace_of_hedges() {
        let mut budget = Budget::new(1000);
        let mut now = Nanos(500 * SECOND);
        budget.cool_down(now, None, now);
        for _ in 0..30 {
            now = now.plus(SECOND / 4);
            if budget.allows(Claim::Question, now) {
                budget.spend(Claim::Question, now);
            }
            assert!(budget.allows(Claim::Exit, now));
            budget.spend(Claim::Exit, now);
        }
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
