//! Orders of Extended: `Order` to signed request bytes; answers and account stream to `Report`s.
//!
//! Promises: an acknowledgement is never taken for a fill; an answer that did not come, or could
//! not be read, makes an order *Unknown* until the venue's own list or stream says otherwise; a
//! trade is reported once, and asked for when an order filled further than its trades tell; a break
//! in the account stream ends the connection and says `Down`, maintenance says `Closed`.
//! Refuses: orders off the market's grid; entries past 80 % of the request budget; orders while the
//! venue is closed; a second request on a connection whose answer is outstanding.
//!
//! Lane 0 is the account stream, lanes `1..` are HTTP connections for requests, one at a time each.
//! Sources: D1 (create or edit order, account updates stream, rate limits), S1.

mod answer;
mod budget;
mod fills;
mod ladder;
mod lanes;
mod opening;
mod payments;
mod place;
mod request;
mod setup;
mod stream;
mod table;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_ladder;
#[cfg(test)]
mod tests_rig;
#[cfg(test)]
mod tests_rows;
mod upkeep;

pub(super) use place::terms;
pub use request::SetupError;
pub(super) use request::{PlaceFields, body, parse_id};
pub use setup::{HTTP_LANES_DEFAULT, OrdersSettings};

use crate::market::event::FrameKind;
use crate::market::foresight::Foresight;
use crate::market::order::{
    Action, Order, OrderId, OrderState, Refusal, Report, ReportKind, Strays,
};
use crate::market::units::{Nanos, SECOND, Size};
use crate::market::{INSTRUMENTS_MAX, InstrumentId, Venue};
use crate::venue::extended::MarketConfig;
use crate::venue::extended::sign::hash::OrderHasher;
use crate::venue::extended::sign::{NoncePoint, Salts, StarkKey};
use crate::venue::extended::wire::Decoder;
use crate::venue::{Lane, Orders, Outbox, Reports, Signing};
use budget::{Budget, Claim};
use fills::Held;
use ladder::Ladder;
use lanes::{Job, LaneState};
use opening::Opening;
use payments::Payments;
use request::Requests;
use stream::{Places, Stream};
use table::{Entry, OrderTable, SeenTrades};
use upkeep::Upkeep;
use zeroize::Zeroizing;

/// The lane of the account stream.
const STREAM_LANE: Lane = 0;

/// A request that was signed and waits for `encode`.
#[derive(Clone, Copy)]
struct Prepared {
    lane: Lane,
    job: Job,
    claim: Claim,
    instrument: InstrumentId,
    /// What was signed; nothing for questions and cancels, which carry no signature.
    fields: Option<PlaceFields>,
    /// Where its body lies ready.
    ready: Option<usize>,
}

/// Orders and the account stream of Extended, sans I/O.
pub struct ExtendedOrders {
    decoder: Decoder,
    core: Core,
    api_key: Zeroizing<String>,
}

/// Everything but the decoder, so that both can be borrowed at once.
struct Core {
    requests: Requests,
    key: StarkKey,
    hasher: OrderHasher,
    salts: Salts,
    markets: Box<[MarketConfig]>,
    /// Position in `markets` by instrument; `NO_MARKET` where there is none.
    market_idx: Box<[usize; INSTRUMENTS_MAX]>,
    /// HTTP lanes; lane `n` is at `n - 1`.
    lanes: Box<[LaneState]>,
    next_lane_idx: usize,
    budget: Budget,
    opening: Opening,
    upkeep: Upkeep,
    payments: Payments,
    /// Orders signed before they are asked for.
    ladder: Option<Ladder>,
    /// Orders sent lately.
    table: OrderTable,
    /// Trades told lately.
    seen: SeenTrades,
    held: Held,
    stream: Stream,
    places: Places,
    /// When the account was first listened to, epoch milliseconds: earlier trades are no news.
    started_ms: u64,
    /// The last word reported, `Up` or `Down`.
    told_up: bool,
    /// The last word reported on maintenance.
    told_closed: bool,
    /// Between `sign` and `encode`.
    prepared: Option<Prepared>,
    /// The outbox had no room for this one; said at the next beat.
    unsent: Option<Prepared>,
    /// What the last `encode` wrote, and since when its lane had been idle: it can be taken back.
    written: Option<(Prepared, Nanos)>,
    /// What the answer that is about to be read says of the next request.
    stated_ns: Option<u64>,
    /// A trade that the stream owed had to be asked for: it is dead without a word, or lags too far
    /// to be waited for. Its snapshots bring the position as well.
    is_deaf: bool,
    foreign_count: u64,
    missing_count: u64,
}

/// Marks an instrument that this account does not trade.
const NO_MARKET: usize = usize::MAX;

impl ExtendedOrders {
    /// Account news that nobody here can explain: orders and trades of others on this account,
    /// anything on markets that are not in the table. Zero on a healthy account.
    pub fn foreign_count(&self) -> u64 {
        self.core.foreign_count
    }

    /// Orders that filled further, by the venue's word, than any trade it would list. Zero on a
    /// healthy venue.
    pub fn missing_count(&self) -> u64 {
        self.core.missing_count
    }
}

impl Orders for ExtendedOrders {
    type Point = NoncePoint;

    fn on_link(&mut self, lane: Lane, up: bool, now: Nanos, reports: &mut Reports, _: &mut Outbox) {
        let core = &mut self.core;
        if lane == STREAM_LANE {
            if up && core.started_ms == 0 {
                core.started_ms = now.epoch_ms();
            }
            core.stream = if up {
                Stream::connected(now)
            } else {
                Stream::default()
            };
        } else if let Some(slot) = core.lanes.get_mut(lane - 1) {
            let before = *slot;
            *slot = if up {
                LaneState::Idle { since: now }
            } else {
                LaneState::Down
            };
            if let LaneState::Busy { job, .. } = before {
                core.lose(job, now, reports);
            }
        }
        core.refresh_up(now, reports);
    }

    fn sign(
        &mut self,
        order: &Order,
        now: Nanos,
        ahead: impl FnOnce() -> Option<NoncePoint>,
    ) -> Result<Signing, Refusal> {
        let core = &mut self.core;
        core.prepared = None;
        let market_idx = core.market_at(order.instrument);
        let market_idx = market_idx.ok_or(Refusal::UnknownMarket)?;
        let (job, claim) = match order.action {
            // A hedge opens, but it closes the gap that a lone leg is; only a new pair's first
            // orders answer to a tick.
            Action::Place if order.reduce_only || order.t_tick == Nanos::ZERO => {
                (Job::Place(order.id), Claim::Exit)
            }
            Action::Place => (Job::Place(order.id), Claim::Entry),
            Action::Query => (Job::Query(order.id), Claim::Question),
            Action::Cancel => (Job::Cancel(order.id), Claim::Cancel),
        };
        if order.action == Action::Place && core.opening.is_closed() {
            return Err(Refusal::NotConnected);
        }
        let lane = core.free_lane()?;
        if !core.budget.allows(claim, now) {
            return Err(Refusal::RateBudget);
        }
        let (fields, signing, ready) = match order.action {
            Action::Place => {
                let signed = core.sign_place(order, market_idx, now, ahead)?;
                (Some(signed.fields), signed.how, signed.ready)
            }
            Action::Query | Action::Cancel => (None, Signing::Unsigned, None),
        };
        core.prepared = Some(Prepared {
            lane,
            job,
            claim,
            instrument: order.instrument,
            fields,
            ready,
        });
        Ok(signing)
    }

    fn foresee(&mut self, word: &Foresight, now: Nanos) {
        let core = &mut self.core;
        match word {
            Foresight::Rung(rung) => core.want(rung, now),
            Foresight::Drop(instrument) => {
                let idx = core.market_at(*instrument);
                if let (Some(idx), Some(ladder)) = (idx, &mut core.ladder) {
                    ladder.drop_market(idx);
                }
            }
            Foresight::DropAll => {
                if let Some(ladder) = &mut core.ladder {
                    ladder.drop_all();
                }
            }
        }
    }

    fn prepare(&mut self, now: Nanos, ahead: impl FnOnce() -> Option<NoncePoint>) -> bool {
        self.core.prepare(now, ahead)
    }

    fn encode(&mut self, now: Nanos, out: &mut Outbox) {
        let core = &mut self.core;
        core.written = None;
        let Some(prepared) = core.prepared.take() else {
            return;
        };
        let since = match core.lanes[prepared.lane - 1] {
            LaneState::Idle { since } => since,
            LaneState::Down | LaneState::Busy { .. } | LaneState::Failed => now,
        };
        match core.write(&prepared, now, out) {
            true => core.written = Some((prepared, since)),
            false => core.unsent = Some(prepared),
        }
    }

    fn on_unsent(&mut self, lane: Lane, _now: Nanos) -> bool {
        self.core.take_back(lane)
    }

    fn on_retry_after(&mut self, lane: Lane, seconds: u32) {
        let stated_ns = u64::from(seconds) * SECOND;
        self.core.stated_ns = (lane != STREAM_LANE).then_some(stated_ns);
    }

    fn on_message(
        &mut self,
        lane: Lane,
        status: u16,
        bytes: &mut [u8],
        now: Nanos,
        reports: &mut Reports,
        out: &mut Outbox,
    ) -> FrameKind {
        let core = &mut self.core;
        let kind = if lane == STREAM_LANE {
            let kind = self
                .decoder
                .read(bytes, |root| core.take_stream(root, now, reports));
            if matches!(kind, FrameKind::Malformed | FrameKind::Gap) {
                core.lose_stream(out);
            }
            kind
        } else {
            let is_empty = bytes.iter().all(u8::is_ascii_whitespace);
            self.decoder.read(bytes, |root| {
                let answer = answer::Arrived {
                    status,
                    root,
                    is_empty,
                };
                core.take_answer(lane, answer, now, reports)
            })
        };
        self.core.release_held(now, reports);
        self.core.refresh_up(now, reports);
        kind
    }

    fn strays(&self) -> Strays {
        Strays {
            foreign: self.foreign_count(),
            missing: self.missing_count(),
        }
    }

    fn on_beat(&mut self, now: Nanos, reports: &mut Reports, out: &mut Outbox) {
        let core = &mut self.core;
        if let Some(prepared) = core.unsent.take() {
            core.own_up(&prepared, now, reports);
        }
        for idx in 0..core.lanes.len() {
            if let Some(job) = core.lanes[idx].overdue(now) {
                core.lanes[idx] = LaneState::Failed;
                core.lose(job, now, reports);
            }
            if core.lanes[idx] == LaneState::Failed && out.reconnect(idx + 1) {
                core.lanes[idx] = LaneState::Down;
            }
        }
        core.release_held(now, reports);
        core.keep_up(now, reports, out);
        core.watch_stream(now, out);
        core.refresh_up(now, reports);
    }
}

impl Core {
    fn market_at(&self, instrument: InstrumentId) -> Option<usize> {
        let idx = *self.market_idx.get(instrument.idx())?;
        (idx != NO_MARKET).then_some(idx)
    }

    /// Writes a prepared request and counts it; false when the outbox is full.
    fn write(&mut self, prepared: &Prepared, now: Nanos, out: &mut Outbox) -> bool {
        let lane = prepared.lane;
        let written = match (prepared.job, &prepared.fields) {
            (Job::Place(_), Some(fields)) => match (prepared.ready, &self.ladder) {
                (Some(place), Some(ladder)) => {
                    let written = (fields, ladder.body(place));
                    self.requests.place_written(lane, written, out)
                }
                _ => self.requests.place(lane, fields, out),
            },
            (Job::Query(id), _) => self.requests.query(lane, id, out),
            (Job::Cancel(id), _) => self.requests.cancel(lane, id, out),
            (Job::Trades(instrument), _) => match self.market_at(instrument) {
                Some(idx) => self.requests.trades(lane, idx, out),
                None => false,
            },
            (Job::Funding, _) => {
                let from_ms = self.payments.since_ms(self.started_ms);
                self.requests.funding(lane, from_ms, out)
            }
            (Job::Switch, _) => self.requests.switch(lane, out),
            (Job::Place(_) | Job::Warm, _) => self.requests.warm(lane, out),
        };
        if !written {
            return false;
        }
        self.budget.spend(prepared.claim, now);
        self.lanes[lane - 1] = LaneState::Busy {
            job: prepared.job,
            t_sent: now,
        };
        match (prepared.job, &prepared.fields) {
            (_, Some(fields)) => {
                let (id, size) = (fields.id, fields.size);
                let mut entry = Entry::new(id, prepared.instrument, size, now);
                entry.seen_count = self.seen.count;
                self.table.insert(entry);
            }
            // Of an earlier run: known from here on, so that its absence is judged like any other.
            (Job::Query(id), None) if self.table.by_id(id).is_none() => {
                let mut entry = Entry::new(id, prepared.instrument, Size::ZERO, now);
                entry.learn(OrderState::Unknown, Size::ZERO);
                self.table.insert(entry);
            }
            (_, None) => {}
        }
        true
    }

    /// The lane took nothing of what `encode` wrote last: the connection is free as before, and the
    /// order was never made. Only the budget keeps it, which errs on the safe side.
    #[cold]
    fn take_back(&mut self, lane: Lane) -> bool {
        let lanes = &self.lanes;
        let is_waited_for = |written: &mut (Prepared, Nanos)| {
            let one = &written.0;
            let busy = lanes[one.lane - 1];
            one.lane == lane && matches!(busy, LaneState::Busy { job, .. } if job == one.job)
        };
        let Some((prepared, since)) = self.written.take_if(is_waited_for) else {
            return false;
        };
        self.lanes[lane - 1] = LaneState::Idle { since };
        if let Job::Place(id) = prepared.job {
            self.table.forget(id);
        }
        true
    }

    /// Reports a change of readiness, once: the venue open, the stream in step and a connection for
    /// orders. A full batch leaves the old word standing, so that the next beat says it again.
    fn refresh_up(&mut self, now: Nanos, reports: &mut Reports) {
        let mut tell = |kind| reports.push(report(OrderId::NONE, InstrumentId(0), now, kind));
        let closed = self.opening.is_closed();
        if closed != self.told_closed && tell(ReportKind::Closed { closed }) {
            self.told_closed = closed;
        }
        let is_live = self.lanes.iter().any(LaneState::is_live);
        let is_up = !closed && self.stream.is_in_step() && is_live;
        if let (false, true, Some(ladder)) = (is_up, self.told_up, &mut self.ladder) {
            ladder.drop_all();
        }
        let kind = if is_up {
            ReportKind::Up
        } else {
            ReportKind::Down
        };
        if is_up != self.told_up && tell(kind) {
            self.told_up = is_up;
        }
    }

    /// Reports where an order stands by the table.
    fn report_state(&mut self, id: OrderId, now: Nanos, reports: &mut Reports) {
        let (instrument, state, filled) = match self.table.by_id(id) {
            Some(entry) => (entry.instrument, entry.state, entry.filled),
            None => (InstrumentId(0), OrderState::Unknown, Size::ZERO),
        };
        let kind = ReportKind::State { state, filled };
        reports.push(report(id, instrument, now, kind));
    }

    /// The answer to this job will not come, or said nothing: unless the stream has told the end
    /// already, nobody knows.
    #[cold]
    fn lose(&mut self, job: Job, now: Nanos, reports: &mut Reports) {
        let id = match job {
            Job::Place(id) | Job::Cancel(id) | Job::Query(id) => id,
            Job::Trades(instrument) => return self.places.ask_again(instrument, now),
            Job::Warm | Job::Switch | Job::Funding => return,
        };
        if let Some(entry) = self.table.by_id(id)
            && !entry.state.is_over()
        {
            entry.state = OrderState::Unknown;
        }
        self.report_state(id, now, reports);
    }

    /// The outbox had no room: a new order never left, a question stays open.
    #[cold]
    fn own_up(&mut self, prepared: &Prepared, now: Nanos, reports: &mut Reports) {
        match prepared.job {
            Job::Place(id) => {
                let why = Refusal::Busy;
                let kind = ReportKind::NotSent { why };
                reports.push(report(id, prepared.instrument, now, kind));
            }
            Job::Cancel(_)
            | Job::Query(_)
            | Job::Warm
            | Job::Switch
            | Job::Funding
            | Job::Trades(_) => {
                self.lose(prepared.job, now, reports);
            }
        }
    }
}

/// A report of this venue.
fn report(order: OrderId, instrument: InstrumentId, t: Nanos, kind: ReportKind) -> Report {
    Report {
        venue: Venue::Extended,
        instrument,
        order,
        t,
        kind,
    }
}
