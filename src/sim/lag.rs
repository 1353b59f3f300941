//! When something happens in a simulated venue, and how late a venue is with it.

use crate::market::units::Nanos;

/// A venue that is behind its schedule by more is late. Timers alone take up to 2 ms, and a client
/// that asks for 200 whole books at once 20 ms.
pub const LATE_NS: u64 = 50_000_000;

/// When something happens on a venue.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// By the schedule. What is told in batches is batched by it, so that a venue that runs late
    /// sends what it would have sent.
    pub at: Nanos,
    /// By the clock.
    pub now: Nanos,
}

/// How far a venue was behind its own schedule.
#[derive(Clone, Copy, Debug, Default)]
pub struct Lag {
    /// Moments of the schedule lived through.
    pub steps: u64,
    /// Of these, more than [`LATE_NS`] late.
    pub late: u64,
    /// The latest, nanoseconds.
    pub max_ns: u64,
}

impl Lag {
    /// Takes down one moment.
    pub fn note(&mut self, behind_ns: u64) {
        self.steps += 1;
        self.late += u64::from(behind_ns > LATE_NS);
        self.max_ns = self.max_ns.max(behind_ns);
    }
}
