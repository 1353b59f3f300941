//! The dead man's switch: a cancel-all, scheduled at the venue and put off again and again.
//!
//! What it does: should this program die, the venue cancels every order of the account when the
//! time is up. What it can't do: it closes no position, and this engine rests no orders, so it
//! guards what was placed by hand or by another program. What it costs: one transaction in a third
//! of its time, which a standard account's 60 a minute must bear, and a key's turn.
//!
//! Promises: renewed at a third of its time, by the key of cancels, and never before an order.
//! A program that ends lets it lapse, which cancels nothing of ours. Refuses: times that the venue
//! refuses (below 5 minutes, source *signer*).

use crate::market::units::{Nanos, SECOND};

/// Shortest time: the venue's 5 minutes, and half a minute for clocks that disagree.
pub const SWITCH_S_MIN: u32 = 330;
/// Longest: the venue's 15 days, and the same.
pub const SWITCH_S_MAX: u32 = 15 * 24 * 3600 - 30;

/// When it is to be put off next.
pub struct Switch {
    period_ns: u64,
    due: Nanos,
}

impl Switch {
    /// Zero: off.
    pub fn new(period_s: u32) -> Switch {
        Switch {
            period_ns: u64::from(period_s) * SECOND,
            due: Nanos::ZERO,
        }
    }

    /// It must be put off, to this moment.
    pub fn is_due(&self, now: Nanos) -> Option<Nanos> {
        let is_due = self.period_ns > 0 && now >= self.due;
        is_due.then(|| now.plus(self.period_ns))
    }

    /// The transaction was written. Until the venue has answered it is taken for lost, and tried
    /// again at half of the usual time.
    pub fn sent(&mut self, now: Nanos) {
        self.due = now.plus(self.period_ns / 6);
    }

    /// The venue took it.
    pub fn accepted(&mut self, sent: Nanos) {
        self.due = sent.plus(self.period_ns / 3);
    }
}
