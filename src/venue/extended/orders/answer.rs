//! Answers on the HTTP connections: what a request's answer says about its order, and the venue.
//!
//! ```text
//! asked   | answer                               | report
//! --------+--------------------------------------+---------------------------------------------
//! place   | OK                                   | Acknowledged: taken by the gateway, no fill
//! place   | ERROR with a code of the venue's     | Rejected; 1134 (id known already): Unknown
//! place   | all else: pages, bare 4xx, 5xx, lost | Unknown
//! query   | the order                            | its state and filled size
//! query   | twice not there, 3 s after the send  | Rejected with nothing filled
//! query   | not there, asked sooner; other error | Unknown
//! cancel  | OK                                   | nothing: the end comes on the stream
//! cancel  | anything else                        | the state as far as it is known
//! ```
//! Sources: D1 (error responses), S1.

use super::opening::{MAINTENANCE, UNAVAILABLE};
use super::request::parse_id;
use super::stream::read_standing;
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
/// Two questions at least this far apart must both have missed it. Larger: as above. Smaller: one
/// lagging replica of the venue's answers both.
const ABSENT_NS_APART: u64 = SECOND;
/// `RateLimited`, as HTTP status and as code.
const RATE_LIMITED: u32 = 429;
/// `NotFound`, as HTTP status and as code.
const NOT_FOUND: u32 = 404;
/// `DuplicateOrder`: the id is there already, so an earlier send arrived.
const DUPLICATE: u32 = 1134;
/// `UnhandledError`: the venue does not know what it did either.
const UNHANDLED: u32 = 1006;
/// Statuses of a firewall that turns clients away when they come without the venue's envelope: a
/// CAPTCHA page, a bare 405 (reported of venues behind the same kind of service).
const TURNED_AWAY: [u16; 2] = [403, 405];

/// Whether a code in the venue's envelope, given instead of an id and so before the book, is a
/// verdict against an order. The codes of HTTP that are not in the venue's own list are nobody's
/// word, and its word that it failed is no verdict either.
const fn is_verdict(code: u32) -> bool {
    match code {
        DUPLICATE | UNHANDLED => false,
        400 | 401 | 403 | NOT_FOUND | 422 | RATE_LIMITED => true,
        _ => code >= 1000,
    }
}

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

    /// Taken: the venue's OK, or nothing at all, as the dead man's switch and cancels answer (D1).
    fn is_taken(&self) -> bool {
        let is_ok = matches!(read_answer(self.root), Answer::Ok(_)) || self.is_empty;
        is_ok && self.is_success()
    }

    /// Whether it carries this code, in the venue's envelope.
    fn has_code(&self, code: u32) -> bool {
        matches!(read_answer(self.root), Answer::Error(Some(own)) if own == code)
    }

    /// Too many requests, or a wall in front of the venue that does not let us through.
    fn is_turned_away(&self) -> bool {
        let is_bare = matches!(read_answer(self.root), Answer::Unreadable);
        u32::from(self.status) == RATE_LIMITED
            || self.has_code(RATE_LIMITED)
            || (is_bare && TURNED_AWAY.contains(&self.status))
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
        let stated_ns = self.stated_ns.take();
        let Some(slot) = lane.checked_sub(1).and_then(|idx| self.lanes.get_mut(idx)) else {
            return FrameKind::Unknown;
        };
        let LaneState::Busy { job, t_sent } = *slot else {
            return FrameKind::Unknown;
        };
        *slot = LaneState::Idle { since: now };
        self.judge_venue(t_sent, &arrived, stated_ns, now);
        match job {
            Job::Place(id) => self.take_placed(id, &arrived, now, reports),
            Job::Query(id) => self.take_found(id, t_sent, &arrived, now, reports),
            Job::Cancel(id) => {
                if !arrived.is_taken() {
                    self.lose(Job::Cancel(id), now, reports);
                }
                FrameKind::Control
            }
            Job::Warm => FrameKind::Control,
            Job::Switch if arrived.is_taken() => FrameKind::Control,
            Job::Switch => FrameKind::Malformed,
            Job::Funding => match list_of(&arrived) {
                Some(list) if self.take_payments(list, now, reports) => FrameKind::Control,
                Some(_) | None => FrameKind::Malformed,
            },
            Job::Trades(instrument) => {
                let list = list_of(&arrived);
                if list.is_some_and(|list| self.take_listed(list, now, reports)) {
                    return FrameKind::Control;
                }
                self.places.ask_again(instrument, now);
                FrameKind::Malformed
            }
        }
    }

    /// What any answer says about the venue: in maintenance, refusing us, or well.
    fn judge_venue(
        &mut self,
        t_sent: Nanos,
        arrived: &Arrived<'_, '_>,
        stated_ns: Option<u64>,
        now: Nanos,
    ) {
        if arrived.is_taken() {
            self.opening.hear_good(now);
            self.budget.hear_good(t_sent);
        } else if arrived.status == UNAVAILABLE || arrived.has_code(MAINTENANCE) {
            self.opening.close(stated_ns, now);
        } else if arrived.is_turned_away() {
            self.budget.cool_down(t_sent, stated_ns, now);
        }
    }

    /// The answer to a new order. Only the venue's own verdict rejects: a code of its list in its
    /// envelope, from a server that did not say it failed. All else could have reached the book.
    fn take_placed(
        &mut self,
        id: OrderId,
        arrived: &Arrived<'_, '_>,
        now: Nanos,
        reports: &mut Reports,
    ) -> FrameKind {
        let status = u32::from(arrived.status);
        match read_answer(arrived.root) {
            _ if arrived.is_taken() => {
                let venue_id = match read_answer(arrived.root) {
                    Answer::Ok(data) => data.and_then(|data| data.member("id")),
                    Answer::Error(_) | Answer::Unreadable => None,
                };
                self.acknowledge(id, venue_id.and_then(Json::integer), now, reports);
            }
            Answer::Error(code) => {
                let code = code.unwrap_or(status);
                if is_verdict(code) && (status < 500 || code >= 1000) {
                    self.reject(id, code, now, reports);
                } else {
                    self.lose(Job::Place(id), now, reports);
                }
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
            entry.t_absent = Nanos::ZERO;
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
            // A page that says 404 is a proxy's; the venue's own may have no body.
            Answer::Unreadable if arrived.status == 404 && arrived.is_empty => Found::Absent,
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

    /// The venue does not know the order. It is believed when a second question, a while after the
    /// first and long enough after the send, finds the same, and nobody has said otherwise. A late
    /// word of the stream still overrides it: until its expiry a lost request may yet arrive.
    fn miss(&mut self, id: OrderId, t_asked: Nanos, now: Nanos, reports: &mut Reports) {
        let Some(entry) = self.table.by_id(id).filter(|entry| !entry.state.is_over()) else {
            return self.report_state(id, now, reports);
        };
        let is_second =
            entry.t_absent != Nanos::ZERO && t_asked.since(entry.t_absent) >= ABSENT_NS_APART;
        if entry.t_absent == Nanos::ZERO {
            entry.t_absent = t_asked;
        }
        let is_late = t_asked.since(entry.t_sent) >= ABSENT_NS_MIN;
        if !(is_second && is_late) || entry.filled > Size::ZERO {
            // Too soon to say, or it traded and so must have been there.
            return self.lose(Job::Query(id), now, reports);
        }
        entry.conclude_absent();
        self.report_state(id, now, reports);
    }
}

/// What an answer holds, where it is a success.
fn list_of<'tape, 'input>(arrived: &Arrived<'tape, 'input>) -> Option<Json<'tape, 'input>> {
    match read_answer(arrived.root) {
        Answer::Ok(list) if arrived.is_success() => list,
        Answer::Ok(_) | Answer::Error(_) | Answer::Unreadable => None,
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
