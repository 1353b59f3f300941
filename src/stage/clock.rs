//! The only reader of clocks.
//!
//! One time line serves everything: nanoseconds since the Unix epoch, taken from the wall once at
//! start and carried on by the monotonic clock, so it never steps back and still gives the
//! venues' milliseconds.

use crate::market::units::Nanos;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A reading point. `Copy`: every thread has its own, all agree.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    origin: Instant,
    origin_epoch_ns: u64,
}

impl Clock {
    /// Reads the wall clock once. Make one per process and copy it.
    pub fn new() -> Clock {
        let epoch = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or(Duration::ZERO);
        Clock {
            origin: Instant::now(),
            origin_epoch_ns: epoch.as_nanos() as u64,
        }
    }

    /// Now.
    #[inline]
    pub fn now(&self) -> Nanos {
        Nanos(self.origin_epoch_ns + self.origin.elapsed().as_nanos() as u64)
    }

    /// What the wall showed at a moment of ours not long ago: the two lines drift apart as the wall
    /// is corrected.
    #[inline]
    pub fn wall(&self, at: Nanos) -> Nanos {
        let wall = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or(Duration::ZERO);
        Nanos((wall.as_nanos() as u64).saturating_sub(self.now().since(at)))
    }
}

impl Default for Clock {
    fn default() -> Self {
        Clock::new()
    }
}
