//! Where the account stream puts what it reads: the gateway's memory, and reports.
//!
//! Promises: a report is pushed or said not to fit. Refuses: nothing.

use super::ledger::Ledger;
use crate::market::order::{OrderId, Report, ReportKind};
use crate::market::units::Nanos;
use crate::market::{InstrumentId, Venue};
use crate::venue::Reports;

/// What a frame's reading needs besides the stream itself.
pub struct Sink<'a> {
    /// The gateway's memory.
    pub ledger: &'a mut Ledger,
    /// Where reports go.
    pub reports: &'a mut Reports,
    /// When the bytes were read.
    pub now: Nanos,
}

impl Sink<'_> {
    /// Pushes a report; `None` when the batch is full.
    pub fn push(
        &mut self,
        instrument: InstrumentId,
        order: OrderId,
        kind: ReportKind,
    ) -> Option<()> {
        let report = Report {
            venue: Venue::Lighter,
            instrument,
            order,
            t: self.now,
            kind,
        };
        self.reports.push(report).then_some(())
    }
}
