//! What of a report stays in the journal: one place, so that whoever makes reports (a gateway from
//! a venue's words, the paper matcher from a book) records the same things under the same names.
//!
//! Refuses: durations; who sent the order measures those.

use crate::market::event::Event;
use crate::market::order::{OrderState, Report, ReportKind};

impl Event {
    /// The record of a report; `None` for those that change no state.
    // Long: one arm a kind of report, none of them deep.
    pub fn of(report: &Report) -> Option<Event> {
        let (venue, order, instrument) = (report.venue, report.order, report.instrument);
        Some(match report.kind {
            ReportKind::Fill {
                side,
                price,
                size,
                fee,
                ..
            } => Event::Fill {
                venue,
                order,
                side,
                price,
                size,
                fee,
            },
            ReportKind::Rejected { code } => Event::OrderState {
                venue,
                order,
                state: OrderState::Rejected,
                code,
            },
            ReportKind::State { state, .. } => Event::OrderState {
                venue,
                order,
                state,
                code: 0,
            },
            ReportKind::Position { size } => Event::Position {
                venue,
                instrument,
                size,
            },
            ReportKind::Balance { equity, available } => Event::Balance {
                venue,
                equity,
                available,
            },
            ReportKind::Funding { amount, .. } => Event::Funding {
                venue,
                instrument,
                amount,
            },
            ReportKind::Forced {
                side,
                price,
                size,
                fee,
                why,
                ..
            } => Event::Forced {
                venue,
                instrument,
                side,
                price,
                size,
                fee,
                why,
            },
            ReportKind::Closed { closed } => Event::Closed { venue, closed },
            ReportKind::Up | ReportKind::Down => Event::Link {
                venue,
                up: report.kind == ReportKind::Up,
                gateway: true,
            },
            ReportKind::Acknowledged
            | ReportKind::Sent
            | ReportKind::NotSent { .. }
            | ReportKind::Queue { .. } => {
                return None;
            }
        })
    }
}
