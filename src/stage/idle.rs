//! What a loop does when a pass found nothing: spin, yield, or park.

use crossbeam::utils::Backoff;
use std::time::Duration;

/// How a thread waits for work. Chosen once, in `topology.rs`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Idle {
    /// The thread has a core of its own: never give it up.
    Spin,
    /// The core is shared: spin a little, then let others run.
    Yield,
    /// Cold threads: sleep for a moment.
    Park,
}

impl Idle {
    /// Waits as this idle way does; `idle_passes` counts empty passes in a row.
    #[inline]
    pub fn wait(self, idle_passes: u32) {
        match self {
            Idle::Spin => std::hint::spin_loop(),
            Idle::Yield => {
                if idle_passes < 16 {
                    Backoff::new().spin();
                } else {
                    std::thread::yield_now();
                }
            }
            Idle::Park => std::thread::park_timeout(PARK),
        }
    }
}

/// How long a cold thread sleeps at a time. Larger: reports lag. Smaller: wake-ups for nothing.
const PARK: Duration = Duration::from_millis(1);
