//! What made a pair: an edge that the simulated venues had planted, or one of the market's own.
//!
//! Promises: a pair is planted when it was entered within a planted window of its instrument.
//! Refuses: to tell of a run against real venues, where nothing is planted.

use crate::market::InstrumentId;
use crate::market::event::PairSummary;
use crate::market::units::{Nanos, Notional};

/// A time in which the simulated venues showed a planted dislocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlantedWindow {
    /// Of which instrument.
    pub instrument: InstrumentId,
    /// From its onset.
    pub start: Nanos,
    /// Until it had decayed.
    pub end: Nanos,
}

impl PlantedWindow {
    pub(super) fn holds(&self, pair: &PairSummary) -> bool {
        self.instrument == pair.instrument && (self.start..=self.end).contains(&pair.t_entry)
    }
}

/// Pairs by what made them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Origins {
    /// Entered within a planted window.
    pub planted: Origin,
    /// All others.
    pub natural: Origin,
}

/// Count and money of one origin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// Finished pairs that were opened.
    pub count: u64,
    /// What they made.
    pub total: Notional,
}
