//! Whether the venue is open for orders: maintenance is a state, not an error.
//!
//! ```text
//! open -> closed   code 1010 (MaintenanceMode) or HTTP 503 in the answer to any request
//! closed -> open   the first good answer to any request, not before the hold is over
//! ```
//! Promises: while closed no order leaves; a cheap request asks again and again (`upkeep`).
//! Refuses: to flap. What the probe reads may be open while orders are not, so a venue that closes
//! soon after it opened is believed later each time.
//! Source: D1 (error responses).

use crate::market::units::{Nanos, SECOND};

/// `MaintenanceMode`.
pub(super) const MAINTENANCE: u32 = 1010;
/// HTTP's "service unavailable"; seen without an announcement and without the venue's envelope.
pub(super) const UNAVAILABLE: u16 = 503;

/// Closing again this soon after opening is a relapse. Larger: a venue that restarts in steps is
/// believed later. Smaller: each probe lets one order run into the closed door.
const RELAPSE_NS: u64 = 60 * SECOND;
/// The hold after the first relapse; it doubles with each further one.
const HOLD_NS_MIN: u64 = SECOND;
/// Longest hold. Larger: fewer refused orders. Smaller: a leg that stands alone is tried sooner.
const HOLD_NS_MAX: u64 = 30 * SECOND;

/// Longest time that the venue is not asked because it said so. Larger: a proxy's slip keeps it
/// closed for us. Smaller: it is asked before it wants to be.
const STATED_NS_MAX: u64 = 60 * SECOND;

/// The venue's door.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Opening {
    is_closed: bool,
    /// A good answer counts from here on.
    t_believe: Nanos,
    /// The venue is not asked before.
    t_probe: Nanos,
    /// When it opened last; zero when it never was closed.
    t_opened: Nanos,
    hold_ns: u64,
}

impl Opening {
    pub(super) fn is_closed(&self) -> bool {
        self.is_closed
    }

    /// Whether a closed venue may be asked if it is open.
    pub(super) fn may_probe(&self, now: Nanos) -> bool {
        now >= self.t_probe
    }

    /// The venue says that it is in maintenance, and perhaps (`stated_ns`) until when it wants to
    /// be left alone.
    #[cold]
    pub(super) fn close(&mut self, stated_ns: Option<u64>, now: Nanos) {
        let stated_ns = stated_ns.unwrap_or(0).min(STATED_NS_MAX);
        self.t_probe = self.t_probe.max(now.plus(stated_ns));
        if self.is_closed {
            return;
        }
        let is_relapse = self.t_opened != Nanos::ZERO && now.since(self.t_opened) < RELAPSE_NS;
        self.hold_ns = match (is_relapse, self.hold_ns) {
            (false, _) => 0,
            (true, 0) => HOLD_NS_MIN,
            (true, hold_ns) => (2 * hold_ns).min(HOLD_NS_MAX),
        };
        self.is_closed = true;
        self.t_believe = now.plus(self.hold_ns);
    }

    /// The venue has answered as it should.
    pub(super) fn hear_good(&mut self, now: Nanos) {
        if self.is_closed && now >= self.t_believe {
            self.is_closed = false;
            self.t_opened = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_good_answer_opens() {
        let mut opening = Opening::default();
        let now = Nanos(100 * SECOND);
        opening.hear_good(now);
        assert!(!opening.is_closed());
        opening.close(None, now);
        assert!(opening.is_closed());
        opening.hear_good(now);
        assert!(!opening.is_closed());
    }

    #[test]
    fn row_37_a_closed_venue_is_not_asked_before_it_wants_to_be() {
        let mut opening = Opening::default();
        let now = Nanos(100 * SECOND);
        opening.close(Some(7 * SECOND), now);
        assert!(!opening.may_probe(now.plus(7 * SECOND - 1)));
        assert!(opening.may_probe(now.plus(7 * SECOND)));
        opening.close(Some(u64::MAX), now);
        assert!(opening.may_probe(now.plus(STATED_NS_MAX)));
    }

    #[test]
    fn relapses_are_believed_later_each_time() {
        let mut opening = Opening::default();
        let mut now = Nanos(100 * SECOND);
        let mut waits = Vec::new();
        for _ in 0..8 {
            opening.close(None, now);
            let closed = now;
            while opening.is_closed() {
                opening.hear_good(now);
                now = now.plus(SECOND / 10);
            }
            waits.push((now.since(closed) - SECOND / 10) / SECOND);
        }
        assert_eq!(waits, [0, 1, 2, 4, 8, 16, 30, 30]);
        now = now.plus(RELAPSE_NS);
        opening.close(None, now);
        opening.hear_good(now);
        assert!(!opening.is_closed(), "long open: believed at once again");
    }
}
