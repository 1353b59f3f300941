//! How many messages the feed may still send: one count over all its connections.
//!
//! Promises: no minute, wherever it begins, holds more than is allowed, no second more requests
//! than the venue takes at once; pings and pongs are counted, find room kept for them, and never
//! wait. Refuses: to know what is sent.

use crate::market::units::{Nanos, SECOND};
use crate::venue::lighter::FEED_LANES;

/// Client messages in any minute, unless the operator says otherwise. The venue allows 200 to an
/// address (source *limits*), and leaves open whether it means a connection; the rest is for pongs,
/// and for the gateway's messages about its account. Larger: the venue goes silent. Smaller:
/// reconnects take longer.
pub const MESSAGES_PER_MINUTE: usize = 180;
/// Requests in any second. The venue works on 50 messages at once and may be silent about more; how
/// long it works on one nobody says, and it is not asked to find out.
const REQUESTS_PER_SECOND: usize = 40;
/// Kept for pings, of which each lane sends two a minute.
const PINGS: usize = 2 * FEED_LANES;
/// The minute.
const WINDOW_NS: u64 = 60 * SECOND;

/// When the latest messages were sent.
pub struct Budget {
    /// A ring; a place never used is `None`.
    sent: Box<[Option<Nanos>]>,
    /// Where the oldest stands, which the next one replaces.
    at: usize,
}

impl Budget {
    /// Nothing sent yet; at least room for pings and a second's requests.
    pub fn new(messages_per_minute: usize) -> Budget {
        let len = messages_per_minute.max(PINGS + REQUESTS_PER_SECOND);
        Budget {
            sent: vec![None; len].into_boxed_slice(),
            at: 0,
        }
    }

    /// Whether a message that can wait may go out now.
    pub fn has_room(&self, now: Nanos) -> bool {
        let len = self.sent.len();
        let is_over = |messages_ago: usize, window_ns: u64| {
            let sent = self.sent[(self.at + len - messages_ago) % len];
            sent.is_none_or(|sent| now.since(sent) >= window_ns)
        };
        is_over(len - PINGS, WINDOW_NS) && is_over(REQUESTS_PER_SECOND, SECOND)
    }

    /// A message has gone out.
    pub fn count(&mut self, now: Nanos) {
        self.sent[self.at] = Some(now);
        self.at = (self.at + 1) % self.sent.len();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Judged by counting: no minute, wherever it begins, holds more.
        #[test]
        fn no_minute_holds_more(steps in prop::collection::vec((0..40_u64, 0..120_u32), 1..60)) {
            let mut budget = Budget::new(MESSAGES_PER_MINUTE);
            let mut now = Nanos::ZERO;
            let mut log: Vec<Nanos> = Vec::new();
            for (seconds, wanted) in steps {
                now = now.plus(seconds * SECOND);
                for _ in 0..wanted {
                    let of_late = log.iter().filter(|t| now.since(**t) < WINDOW_NS).count();
                    let at_once = log.iter().filter(|t| now.since(**t) < SECOND).count();
                    let has_room = of_late < MESSAGES_PER_MINUTE - PINGS
                        && at_once < REQUESTS_PER_SECOND;
                    prop_assert_eq!(budget.has_room(now), has_room);
                    if budget.has_room(now) {
                        budget.count(now);
                        log.push(now);
                    }
                }
            }
        }
    }
}
