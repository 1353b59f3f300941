//! What the venue lets an account send and ask, and the part of it that entries may not use.
//!
//! Promises: exact over any minute; when it runs short, entries stop first, and cancels and
//! reducing orders still go. Refuses: nothing by itself; the caller asks before each use.
//!
//! Source: *limits* in the venue's Sources.

use super::keyring::Use;
use crate::market::units::{Nanos, SECOND};

/// The venue counts by the minute.
const MINUTE_NS: u64 = 60 * SECOND;
/// Sends tracked at most; tiers above this rate are held to it (68 a second).
const SENDS_MAX: usize = 4096;
/// The part of the sends kept for cancels and reducing orders: a fifth. Larger: fewer entries.
/// Smaller: after a minute of losses an open leg may have to wait for the next minute.
const RESERVE_PARTS: usize = 5;
/// But no less than this: one pair that goes wrong takes a hedge, its repetition, a cancel and a
/// fence.
const RESERVE_MIN: usize = 4;
/// Volume quota below which entries stop: two pairs' worth of orders and repetitions stay. Cancels
/// cost none.
const VOLUME_RESERVE: u64 = 20;
/// For how long the venue's word on the volume quota holds. It fills up by trading anywhere on the
/// account and by one free transaction in 15 s, so an old figure is too low, and would stop entries
/// for ever.
const VOLUME_HOLDS_NS: u64 = MINUTE_NS;
/// Entries rest this long after the venue has said that there were too many.
const TOO_MANY_REST_NS: u64 = 15 * SECOND;
/// Refusals for number alone: too many requests, pending transactions, messages, messages in
/// flight (source *codes*).
const CODES_TOO_MANY: [u32; 4] = [23_000, 21_506, 30_009, 30_010];
/// REST requests a minute of the gateway's lane. A standard account has 60, counted with those of
/// the start and of the hourly look at fees; a higher tier has a weight of 24,000.
const REQUESTS_MAX: usize = 45;
/// Of these, only for nonces, for the trades of a break, and for whether a closed venue is open:
/// without them a key is dead, or a leg stands; without a query only a doubt stays.
const REQUESTS_RESERVE: usize = 15;
/// Weight of the heaviest request made on that lane, but for that of trades, which is rare.
const WEIGHT_MAX: usize = 300;
const _: () = assert!(REQUESTS_MAX * WEIGHT_MAX < 24_000 && REQUESTS_MAX < 60);

/// Times of the last uses, as many as a minute allows.
struct Window {
    times: Box<[Nanos]>,
    next: usize,
}

impl Window {
    fn new(count: usize) -> Window {
        Window {
            times: vec![Nanos::ZERO; count].into_boxed_slice(),
            next: 0,
        }
    }

    /// Whether one more use stays within `most` a minute, at least 1 and at most what it was made
    /// for. Exact: the slot that is looked at holds the use that many uses ago.
    fn fits(&self, most: usize, now: Nanos) -> bool {
        let at = (self.next + self.times.len() - most) % self.times.len();
        now.since(self.times[at]) >= MINUTE_NS
    }

    fn note(&mut self, now: Nanos) {
        self.times[self.next] = now;
        self.next = (self.next + 1) % self.times.len();
    }
}

/// All budgets of one gateway.
pub struct Quota {
    sends: Window,
    /// Of them in any minute, and those that entries may use.
    sends_max: usize,
    entries_max: usize,
    requests: Window,
    /// The venue's last word on the volume quota, and when.
    volume: Option<(u64, Nanos)>,
    entries_rest_until: Nanos,
}

impl Quota {
    /// `sends_per_minute` is what the settings allow, at least 1.
    pub fn new(sends_per_minute: u32) -> Quota {
        let sends = (sends_per_minute as usize).clamp(1, SENDS_MAX);
        Quota {
            sends: Window::new(sends),
            sends_max: sends,
            entries_max: entries_of(sends),
            requests: Window::new(REQUESTS_MAX),
            volume: None,
            entries_rest_until: Nanos::ZERO,
        }
    }

    /// The account's tier lets so many transactions a minute go from now on; never more than the
    /// settings allow. What was sent in the minute before counts.
    #[cold]
    pub fn allow(&mut self, sends_per_minute: u32) {
        self.sends_max = (sends_per_minute as usize).clamp(1, self.sends.times.len());
        self.entries_max = entries_of(self.sends_max);
    }

    /// Whether one more transaction may go.
    pub fn may_send(&self, wanted: Use, now: Nanos) -> bool {
        match wanted {
            Use::Reduce | Use::Cancel => self.sends.fits(self.sends_max, now),
            Use::Entry => {
                let is_short = self.volume.is_some_and(|(left, heard)| {
                    left < VOLUME_RESERVE && now.since(heard) < VOLUME_HOLDS_NS
                });
                let is_at_rest = now < self.entries_rest_until;
                !is_short && !is_at_rest && self.sends.fits(self.entries_max, now)
            }
        }
    }

    /// Counts a transaction.
    pub fn sent(&mut self, now: Nanos) {
        self.sends.note(now);
    }

    /// What an answer says of the volume quota.
    pub fn hear_volume(&mut self, left: u64, now: Nanos) {
        self.volume = Some((left, now));
    }

    /// What a refusal says of the budgets.
    pub fn hear_refusal(&mut self, code: u32, now: Nanos) {
        if CODES_TOO_MANY.contains(&code) {
            self.entries_rest_until = now.plus(TOO_MANY_REST_NS);
        }
    }

    /// Whether one more REST request may go.
    pub fn may_ask(&self, is_nonce: bool, now: Nanos) -> bool {
        let kept = if is_nonce { 0 } else { REQUESTS_RESERVE };
        self.requests.fits(REQUESTS_MAX - kept, now)
    }

    /// Counts a REST request.
    pub fn asked(&mut self, now: Nanos) {
        self.requests.note(now);
    }
}

/// How many of so many transactions entries may use.
fn entries_of(sends: usize) -> usize {
    sends - (sends / RESERVE_PARTS).max(RESERVE_MIN).min(sends / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn row_39_the_send_limit_is_exact_and_a_reserve_is_kept_from_entries() {
        for (limit, entries_max) in [(1, 1), (3, 2), (10, 6), (40, 32), (60, 48), (4000, 3200)] {
            let mut quota = Quota::new(limit);
            let mut sent: Vec<Nanos> = Vec::new();
            for step in 0..3000_u64 {
                let now = Nanos((100_000 + step * 200) * 1_000_000);
                let recent = sent.iter().filter(|t| now.since(**t) < MINUTE_NS).count();
                assert_eq!(quota.may_send(Use::Reduce, now), recent < limit as usize);
                assert_eq!(quota.may_send(Use::Cancel, now), recent < limit as usize);
                assert_eq!(quota.may_send(Use::Entry, now), recent < entries_max);
                let wanted = if step % 3 == 0 {
                    Use::Reduce
                } else {
                    Use::Entry
                };
                if quota.may_send(wanted, now) {
                    quota.sent(now);
                    sent.push(now);
                }
            }
            assert!(sent.len() > entries_max.min(2_000));
        }
    }

    #[test]
    fn row_55_the_limit_follows_the_tier_both_ways_and_never_passes_the_setting() {
        // What is set, what a tier allows at times, and what is sent in a minute then.
        let steps = [
            (u32::MAX, 400),
            (60, 60),
            (10, 10),
            (0, 1),
            (60, 60),
            (4_000, 400),
        ];
        let mut quota = Quota::new(400);
        let mut now = Nanos(100_000 * SECOND);
        let mut sent: Vec<Nanos> = Vec::new();
        let recent = |sent: &[Nanos], now: Nanos| {
            let is_recent = |t: &&Nanos| now.since(**t) < MINUTE_NS;
            sent.iter().filter(is_recent).count()
        };
        for (allowed, most) in steps {
            quota.allow(allowed);
            // What went before the change counts against the new limit, too.
            for _ in 0..3_000 {
                now = now.plus(SECOND / 20);
                let fits = recent(&sent, now) < most;
                assert_eq!(quota.may_send(Use::Reduce, now), fits, "{allowed}");
                let entries_max = entries_of(most);
                let is_entry = recent(&sent, now) < entries_max;
                assert_eq!(quota.may_send(Use::Entry, now), is_entry, "{allowed}");
                if fits {
                    quota.sent(now);
                    sent.push(now);
                }
            }
            assert_eq!(recent(&sent, now), most, "{allowed}");
        }
    }

    #[test]
    fn row_39_an_empty_volume_quota_and_a_refusal_stop_entries_alone() {
        let mut quota = Quota::new(60);
        let now = Nanos(1_000 * SECOND);
        quota.hear_volume(VOLUME_RESERVE, now);
        assert!(quota.may_send(Use::Entry, now));
        quota.hear_volume(VOLUME_RESERVE - 1, now);
        assert!(!quota.may_send(Use::Entry, now));
        assert!(quota.may_send(Use::Reduce, now) && quota.may_send(Use::Cancel, now));
        assert!(quota.may_send(Use::Entry, now.plus(MINUTE_NS)));
        for code in CODES_TOO_MANY {
            let mut quota = Quota::new(60);
            quota.hear_refusal(21_702, now);
            assert!(quota.may_send(Use::Entry, now));
            quota.hear_refusal(code, now);
            assert!(!quota.may_send(Use::Entry, now) && quota.may_send(Use::Reduce, now));
            assert!(quota.may_send(Use::Entry, now.plus(TOO_MANY_REST_NS)));
        }
    }

    #[test]
    fn queries_leave_requests_for_nonces() {
        let mut quota = Quota::new(60);
        let now = Nanos(1_000 * SECOND);
        let (mut queries, mut nonces) = (0, 0);
        while quota.may_ask(false, now) {
            quota.asked(now);
            queries += 1;
        }
        while quota.may_ask(true, now) {
            quota.asked(now);
            nonces += 1;
        }
        assert_eq!((queries, nonces), (30, 15));
        assert!(quota.may_ask(false, now.plus(MINUTE_NS)));
    }
}
