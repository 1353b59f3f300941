//! Answers on the HTTP connections: what a request's answer says about its order.
//!
//! ```text
//! asked   | answer                               | report
//! --------+--------------------------------------+---------------------------------------------
//! place   | OK                                   | Acknowledged: taken by the gateway, no fill
//! place   | ERROR with the venue's own code      | Rejected; 1134 (id known already): Unknown
//! place   | HTTP 429; 5xx, not readable, lost    | Rejected and a pause; Unknown
//! query   | the order                            | its state and filled size
//! query   | not there, asked 3 s after the send  | Rejected with nothing filled
//! query   | not there, asked sooner; other error | Unknown
//! cancel  | OK                                   | nothing: the end comes on the stream
//! cancel  | anything else                        | the state as far as it is known
//! ```
//! Sources: D1 (error responses), S1.

use super::request::parse_id;
use super::stream::read_standing;
use super::table::is_over;
use super::{Core, Job, LaneState, report};
use crate::market::InstrumentId;
use crate::market::event::FrameKind;
use crate::market::order::{OrderId, OrderState, ReportKind};
use crate::market::units::{Nanos, SECOND, Size};
use crate::venue::extended::wire::{Answer, Json, read_answer};
use crate::venue::{Lane, Reports};

/// An order that the venue does not know this long after it was sent never reached it. Larger: the
/// unknown lasts longer. Smaller: a slow request is taken for a lost one.
const ABSENT_NS_MIN: u64 = 3 * SECOND;
/// `RateLimited`, as HTTP status and as code.
const RATE_LIMITED: u32 = 429;
/// `NotFound`, as HTTP status and as code.
const NOT_FOUND: u32 = 404;
/// `InternalServerError` and `UnhandledError`: the venue does not know what it did either.
const NOBODY_KNOWS: [u32; 2] = [500, 1006];
/// `DuplicateOrder`: the id is there already, so an earlier send arrived.
const DUPLICATE: u32 = 1134;

/// One answer as it arrived.
pub(super) struct Arrived<'tape, 'input> {
    pub(super) status: u16,
    pub(super) root: Option<Json<'tape, 'input>>,
    pub(super) is_empty: bool,
}

impl Arrived<'_, '_> {
    /// HTTP's own word; the envelope's is read beside it, and both must agree for a success.
    fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

impl Core {
    /// One answer; the connection is free again.
    pub(super) fn take_answer(
        &mut self,
        lane: Lane,
        arrived: Arrived<'_, '_>,
        now: Nanos,
        reports: &mut Reports,
    ) -> FrameKind {
        let Some(slot) = lane.checked_sub(1).and_then(|idx| self.lanes.get_mut(idx)) else {
            return FrameKind::Unknown;
        };
        let LaneState::Busy { job, t_sent } = *slot else {
            return FrameKind::Unknown;
        };
        *slot = LaneState::Idle { since: now };
        if u32::from(arrived.status) == RATE_LIMITED {
            self.budget.pause(now);
        }
        match job {
            Job::Warm => FrameKind::Control,
            Job::Place(id) => self.take_placed(id, &arrived, now, reports),
            Job::Query(id) => self.take_found(id, t_sent, &arrived, now, reports),
            Job::Cancel(id) => {
                let taken = matches!(read_answer(arrived.root), Answer::Ok(_)) || arrived.is_empty;
                if !(taken && arrived.is_success()) {
                    self.lose(Job::Cancel(id), now, reports);
                }
                FrameKind::Control
            }
        }
    }

    /// The answer to a new order. Only the venue's own verdict rejects: a code of its list, from a
    /// server that did not say it failed. All else could have reached the book.
    fn take_placed(
        &mut self,
        id: OrderId,
        arrived: &Arrived<'_, '_>,
        now: Nanos,
        reports: &mut Reports,
    ) -> FrameKind {
        let answer = read_answer(arrived.root);
        let status = u32::from(arrived.status);
        match answer {
            Answer::Ok(data) if arrived.is_success() => {
                let venue_id = data.and_then(|data| data.member("id"));
                self.acknowledge(id, venue_id.and_then(Json::integer), now, reports);
            }
            Answer::Unreadable if arrived.is_empty && arrived.is_success() => {
                self.acknowledge(id, None, now, reports);
            }
            Answer::Error(code) => {
                let code = code.unwrap_or(status);
                let is_verdict = code != DUPLICATE
                    && !NOBODY_KNOWS.contains(&code)
                    && (status < 500 || code >= 1000);
                if is_verdict {
                    self.reject(id, code, now, reports);
                } else {
                    self.lose(Job::Place(id), now, reports);
                }
            }
            Answer::Ok(_) | Answer::Unreadable if status == RATE_LIMITED => {
                self.reject(id, RATE_LIMITED, now, reports);
            }
            Answer::Ok(_) | Answer::Unreadable => {
                self.lose(Job::Place(id), now, reports);
                return FrameKind::Malformed;
            }
        }
        FrameKind::Control
    }

    /// The gateway of the venue has taken the order: an id, given before it reaches the book.
    fn acknowledge(
        &mut self,
        id: OrderId,
        venue_id: Option<u64>,
        now: Nanos,
        reports: &mut Reports,
    ) {
        let mut instrument = InstrumentId(0);
        if let Some(entry) = self.table.by_id(id) {
            instrument = entry.instrument;
            entry.venue_id = venue_id.unwrap_or(entry.venue_id);
            // The stream may have told the end before the answer came.
            if entry.state == OrderState::Sent {
                entry.state = OrderState::Working;
            }
        }
        reports.push(report(id, instrument, now, ReportKind::Acknowledged));
    }

    /// The venue's verdict against the order.
    #[cold]
    fn reject(&mut self, id: OrderId, code: u32, now: Nanos, reports: &mut Reports) {
        let Some(entry) = self.table.by_id(id) else {
            return;
        };
        // A refusal after fills contradicts itself: the fills stand, the rest must be asked.
        if entry.filled > Size::ZERO {
            self.lose(Job::Place(id), now, reports);
            return;
        }
        entry.learn(OrderState::Rejected, Size::ZERO);
        let kind = ReportKind::Rejected { code };
        reports.push(report(id, entry.instrument, now, kind));
    }

    /// The answer to a question. It may be older than what the stream has said since: the table
    /// keeps the larger filled size and what is over.
    #[cold]
    fn take_found(
        &mut self,
        id: OrderId,
        t_asked: Nanos,
        arrived: &Arrived<'_, '_>,
        now: Nanos,
        reports: &mut Reports,
    ) -> FrameKind {
        let found = match read_answer(arrived.root) {
            Answer::Ok(data) if arrived.is_success() => find(data, id),
            Answer::Error(code) if code.unwrap_or(NOT_FOUND) == NOT_FOUND => match arrived.status {
                404 => Found::Absent,
                _ => Found::Unreadable,
            },
            Answer::Unreadable if arrived.status == 404 => Found::Absent,
            Answer::Ok(_) | Answer::Error(_) | Answer::Unreadable => Found::Unreadable,
        };
        match found {
            Found::Standing(venue_id, state, filled) => match self.table.by_id(id) {
                Some(entry) => {
                    entry.venue_id = venue_id;
                    entry.learn(state, filled);
                    self.report_state(id, now, reports);
                }
                None => {
                    let kind = ReportKind::State { state, filled };
                    reports.push(report(id, InstrumentId(0), now, kind));
                }
            },
            Found::Absent => self.miss(id, t_asked, now, reports),
            Found::Unreadable => {
                self.lose(Job::Query(id), now, reports);
                return FrameKind::Malformed;
            }
        }
        FrameKind::Control
    }

    /// The venue does not know the order. An order that is not in our table was sent by an earlier
    /// run, long enough ago.
    fn miss(&mut self, id: OrderId, t_asked: Nanos, now: Nanos, reports: &mut Reports) {
        let Some(entry) = self.table.by_id(id) else {
            let kind = ReportKind::State {
                state: OrderState::Rejected,
                filled: Size::ZERO,
            };
            reports.push(report(id, InstrumentId(0), now, kind));
            return;
        };
        let is_sure = t_asked.since(entry.t_sent) >= ABSENT_NS_MIN;
        if !is_sure || entry.filled > Size::ZERO {
            // Too soon to say, or it traded and so must have been there.
            self.lose(Job::Query(id), now, reports);
            return;
        }
        if !is_over(entry.state) {
            entry.state = OrderState::Rejected;
        }
        self.report_state(id, now, reports);
    }
}

/// What a query came back with.
enum Found {
    /// The venue's id, state and filled size.
    Standing(u64, OrderState, Size),
    /// The venue says that it does not know the order.
    Absent,
    /// The venue did not say anything about the order.
    Unreadable,
}

/// Finds our order in the answer, a list or a single object.
fn find(data: Option<Json<'_, '_>>, id: OrderId) -> Found {
    let Some(data) = data else {
        return Found::Unreadable;
    };
    let single = data.is_object().then_some(data);
    let is_empty = single.is_none() && data.elements().next().is_none();
    if is_empty && data.is_array() {
        return Found::Absent;
    }
    let own = |order: &Json<'_, '_>| {
        let text = order.member("externalId").and_then(Json::text);
        text.map_or(OrderId::NONE, parse_id) == id
    };
    let order = single.into_iter().chain(data.elements()).find(own);
    let standing = order.and_then(|order| {
        let venue_id = order.member("id")?.integer()?;
        let (state, filled) = read_standing(order)?;
        Some(Found::Standing(venue_id, state, filled))
    });
    standing.unwrap_or(Found::Unreadable)
}
