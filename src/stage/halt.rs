//! Flags: one padded word each, that may be raised and is never lowered.
//!
//! *Halt* is not a crash: anyone may raise it; the scanner then stops entries and settles what is
//! unhedged, the process reports and ends with a status that is not 0. *Stop* is raised by `main`
//! alone, when everything is settled: the pinned loops end.

use crossbeam::utils::CachePadded;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A handle on a flag. Clone it at start, one per stage.
#[derive(Clone, Debug, Default)]
pub struct Flag(Arc<CachePadded<AtomicBool>>);

/// The flag that means: stop everything safely.
pub type Halt = Flag;

impl Flag {
    /// Raises the flag.
    pub fn raise(&self) {
        self.0.store(true, Ordering::Release);
    }

    /// Whether it is up.
    #[inline]
    pub fn is_raised(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}
