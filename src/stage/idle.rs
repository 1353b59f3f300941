//! What a loop does when a pass found nothing: spin, yield, or park.

use std::time::Duration;

/// How a thread waits for work. Chosen once, in `topology.rs`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Idle {
    /// The thread has a core of its own: never give it up.
    Spin,
    /// The core is shared: spin, and now and then let others run.
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
            Idle::Yield if idle_passes.is_multiple_of(YIELD_EVERY) => std::thread::yield_now(),
            Idle::Yield => std::hint::spin_loop(),
            Idle::Park => std::thread::park_timeout(PARK),
        }
    }
}

/// Passes from one yield to the next, some 50 us of an idle seat. Larger: others on this core wait
/// longer. Smaller: what comes in waits behind a system call that most often finds nobody.
const YIELD_EVERY: u32 = 64;
/// How long a cold thread sleeps at a time. Larger: reports lag. Smaller: wake-ups for nothing.
const PARK: Duration = Duration::from_millis(1);
