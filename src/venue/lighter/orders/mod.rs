//! Lighter's orders: signed transactions out over one WebSocket, answers and the account stream
//! back, doubts over REST.
//!
//! Promises: a nonce is used for one accepted transaction and no other; a key has at most one
//! unanswered transaction; an order that may have reached the venue and was not answered is
//! Unknown, never forgotten, until the venue's own word proves what became of it. Code 200 is an
//! acknowledgement ("queued, nonce spent"), not a fill.
//! Refuses: prices and sizes off the grid, orders without a free key, sends beyond the tier's
//! limit; entries where what is left is kept for cancels and reducing orders.

mod answers;
mod doubts;
mod submit;

pub use super::keyring::ApiKey;
pub use super::setup::{Setup, SetupError};

use self::submit::IN_FLIGHT_ENTRIES_MAX;
use super::grid::Grid;
use super::inquiry::{Ask, Inquiry, REST_LANE};
use super::keyring::{Keyring, Purpose};
use super::ledger::Ledger;
use super::pulse::Pulse;
use super::quota::Quota;
use super::setup::grids;
use super::sign::transaction::Transaction;
use super::sign::{NoncePoint, NonceSource, Signature};
use super::sink::Sink;
use super::stream::{ACCOUNT_LANE, Stream};
use super::switch::Switch;
use super::wire::Decoder;
use crate::market::event::FrameKind;
use crate::market::order::{Action, Order, OrderId, Refusal, Report, ReportKind, Strays};
use crate::market::units::{Nanos, SECOND};
use crate::market::{InstrumentId, Market, Venue};
use crate::venue::{Batch, Lane, Orders, Outbox, Reports, Signing};

/// The order connection's lane within the gateway.
const ORDER_LANE: Lane = 0;
/// Life of a transaction. The official client's value, and the only one seen accepted; a shorter
/// one would kill late orders sooner, if the venue takes it. Open: try 60 s on the test network.
pub(super) const TRANSACTION_LIFE_MS: u64 = 599_000;
/// An answer later than this is no answer: the order is Unknown.
const ANSWER_NS_MAX: u64 = 3 * SECOND;
/// Unsent orders and queries kept until the next beat.
const LATER_MAX: usize = 64;
/// The order connection is down for this long before the venue is asked whether it is closed.
/// Smaller: every reconnect asks. Larger: maintenance is noticed later.
const CUT_NS: u64 = 5 * SECOND;
/// A connection that owes too many answers for entries for this long is made anew, or it would
/// take none again. Smaller: reducing orders lose it sooner. Larger: longer without entries.
const CLOGGED_NS: u64 = 30 * SECOND;

/// What `encode` will write.
#[derive(Clone, Copy)]
#[expect(clippy::large_enum_variant, reason = "a box would allocate per order")]
enum Held {
    Signed {
        order: Order,
        key_idx: usize,
        transaction: Transaction,
        signature: Signature,
        hash: [u8; 40],
    },
    Query(OrderId, InstrumentId),
}

/// Orders and the account stream of Lighter.
///
/// Two connections, one memory. Answers come on the first, what became of the order on the second,
/// in no agreed sequence: a fill may be reported before its acknowledgement. So neither side waits
/// for the other, and what both touch (the ledger) keeps whichever word is final.
pub struct LighterOrders {
    decoder: Decoder,
    desk: Desk,
}

/// Everything but the parser, so that a parsed message can be borrowed while it changes.
struct Desk {
    account_index: u64,
    chain_id: u64,
    keys: Keyring,
    inquiry: Inquiry,
    grids: Box<[Option<Grid>]>,
    ledger: Ledger,
    quota: Quota,
    switch: Switch,
    stream: Stream,
    pulse: Pulse,
    source: NonceSource,
    held: Option<Held>,
    /// What the last `encode` wrote, until something else happens: it can be taken back.
    written: Option<(usize, OrderId, Purpose)>,
    /// Transactions written so far.
    written_count: u64,
    /// Queries, and orders that never left: both are looked at by the next beat. What does not fit
    /// is dropped; the scanner's own time-out asks again.
    asked: Batch<(OrderId, InstrumentId)>,
    unsent: Batch<(OrderId, InstrumentId)>,
    /// Messages on the order connection that the venue has not answered, given up or not.
    in_flight: u32,
    /// Since when these are too many for entries.
    clogged_at: Option<Nanos>,
    /// The end of the order connection was announced; until when it is used.
    closing: Option<Nanos>,
    /// Since when the order connection is down; `None` while it is live.
    cut_at: Option<Nanos>,
    /// First call's time: what an earlier run sent is older than this.
    started: Option<Nanos>,
    /// A query found what the account stream should have told by then: it is broken, or lags too
    /// far to be waited for, and its snapshot brings what is missing.
    is_deaf: bool,
    /// The venue is closed for maintenance, and whether that was told.
    is_closed: bool,
    is_told_closed: bool,
    is_up: bool,
}

impl LighterOrders {
    /// A gateway's venue half for the Lighter markets among `markets`. No key has a nonce yet: the
    /// start gives what it read ([`LighterOrders::set_nonce`]), later ones are asked for on lane 2.
    pub fn new(setup: Setup, markets: &[Market]) -> Result<LighterOrders, SetupError> {
        setup.check()?;
        let grids = grids(markets)?;
        Ok(LighterOrders {
            decoder: Decoder::new(),
            desk: Desk {
                account_index: setup.account_index,
                chain_id: setup.chain_id,
                inquiry: Inquiry::new(&setup.rest_url, setup.account_index),
                keys: Keyring::new(setup.keys),
                grids,
                ledger: Ledger::new(),
                quota: Quota::new(setup.sends_per_minute),
                switch: Switch::new(setup.dead_mans_switch_s),
                stream: Stream::new(setup.account_index, markets),
                pulse: Pulse::new(ORDER_LANE),
                source: NonceSource::new(),
                held: None,
                written: None,
                written_count: 0,
                asked: Batch::new(LATER_MAX),
                unsent: Batch::new(LATER_MAX),
                in_flight: 0,
                clogged_at: None,
                closing: None,
                cut_at: None,
                started: None,
                is_deaf: false,
                is_closed: false,
                is_told_closed: false,
                is_up: false,
            },
        })
    }

    /// The venue's answer for a key. Ignored unless the key is waiting for it, so an answer that
    /// comes late or twice does no harm.
    pub fn set_nonce(&mut self, api_key_index: u8, nonce: u64) {
        self.desk.hear_nonce(api_key_index, nonce);
    }
}

impl Orders for LighterOrders {
    type Point = NoncePoint;

    fn on_link(&mut self, lane: Lane, up: bool, now: Nanos, reports: &mut Reports, _: &mut Outbox) {
        let desk = &mut self.desk;
        desk.started.get_or_insert(now);
        if lane == REST_LANE {
            desk.inquiry.on_link(up);
        } else if lane == ACCOUNT_LANE {
            let who = desk.keys.key(0);
            desk.stream.on_link(up, now, who, &mut desk.source);
        } else {
            desk.pulse.on_link(up, now);
            desk.in_flight = 0;
            (desk.clogged_at, desk.closing) = (None, None);
            desk.cut_at.get_or_insert(now);
            desk.abandon(now, now, reports);
        }
        desk.tell_up(now, reports);
    }

    fn sign(
        &mut self,
        order: &Order,
        now: Nanos,
        ahead: impl FnOnce() -> Option<NoncePoint>,
    ) -> Result<Signing, Refusal> {
        self.desk.held = None;
        let (held, signing) = match order.action {
            Action::Query => (Held::Query(order.id, order.instrument), Signing::Unsigned),
            Action::Place | Action::Cancel => self.desk.sign(order, now, ahead)?,
        };
        self.desk.held = Some(held);
        Ok(signing)
    }

    fn encode(&mut self, now: Nanos, out: &mut Outbox) {
        self.desk.encode(now, out);
    }

    fn on_unsent(&mut self, lane: Lane, _now: Nanos) -> bool {
        lane == ORDER_LANE && self.desk.take_back()
    }

    fn on_pace(&mut self, orders_per_minute: u32) {
        self.desk.quota.allow(orders_per_minute);
    }

    fn on_retry_after(&mut self, lane: Lane, seconds: u32) {
        if lane == REST_LANE {
            self.desk.inquiry.on_retry_after(seconds);
        }
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
        let desk = &mut self.desk;
        let read = self.decoder.read(bytes, |root| {
            if lane == ORDER_LANE {
                return desk.on_answer(root, now, reports, out);
            }
            if lane == REST_LANE {
                desk.on_rest(status, Some(root), now, reports);
                return FrameKind::Control;
            }
            let mut sink = Sink {
                ledger: &mut desk.ledger,
                reports: &mut *reports,
                now,
            };
            desk.stream.on_message(root, &mut sink, out)
        });
        // An unreadable answer is no answer, and its deadline acts; an unreadable account frame may
        // have held a fill, so that stream starts anew.
        if read.is_none() && lane == ACCOUNT_LANE {
            out.reconnect(lane);
        }
        if read.is_none() && lane == REST_LANE {
            self.desk.on_rest(status, None, now, reports);
        }
        self.desk.tell_up(now, reports);
        read.unwrap_or(FrameKind::Malformed)
    }

    fn strays(&self) -> Strays {
        self.desk.ledger.strays
    }

    fn on_beat(&mut self, now: Nanos, reports: &mut Reports, out: &mut Outbox) {
        let desk = &mut self.desk;
        if let Some(since) = desk.keys.oldest_unanswered() {
            desk.pulse.wait(since, now, out);
        }
        desk.pulse.on_beat(now, out);
        let deadline = Nanos(now.0.saturating_sub(ANSWER_NS_MAX));
        desk.abandon(now, deadline, reports);
        let is_quiet = !desk.ledger.is_any_open();
        if let Some(since) = desk.ledger.last_open() {
            desk.stream.wait(since, now, out);
        }
        if desk.stream.take_gap() {
            desk.inquiry.want_trades();
        }
        let minter = (desk.keys.key(0), &mut desk.source);
        desk.stream.on_beat(now, minter, is_quiet, out);
        if std::mem::take(&mut desk.is_deaf) && desk.stream.is_complete() {
            out.reconnect(ACCOUNT_LANE);
        }
        desk.settle_doubts(now, reports, out);
        desk.renew_switch(now, out);
        desk.leave(now, out);
        desk.answer_queries(now, reports);
        let is_cut = |at: Nanos| now.since(at) >= CUT_NS;
        let mut ask = Ask {
            keys: &desk.keys,
            token: desk.stream.token().map(|token| token.text()),
            quota: &mut desk.quota,
            is_cut: desk.is_closed || desk.cut_at.is_some_and(is_cut),
            now,
        };
        desk.inquiry.on_beat(&mut ask, out);
        desk.tell_up(now, reports);
    }
}

// What is said of the whole connection.
impl Desk {
    /// Leaves a connection whose end was announced, once nothing is on its way there any more, and
    /// one that no longer answers.
    #[cold]
    fn leave(&mut self, now: Nanos, out: &mut Outbox) {
        if self.in_flight < IN_FLIGHT_ENTRIES_MAX {
            self.clogged_at = None;
        } else {
            self.clogged_at.get_or_insert(now);
        }
        let is_over = |until| self.keys.is_idle() || now >= until;
        let is_long = |since| now.since(since) >= CLOGGED_NS;
        let is_left = self.closing.is_some_and(is_over) || self.clogged_at.is_some_and(is_long);
        if self.pulse.is_live() && is_left {
            self.pulse.give_up(out);
        }
    }

    /// Says `Up` or `Down`, `Closed` or open, when that has changed; again at the next call when
    /// there was no room.
    fn tell_up(&mut self, now: Nanos, reports: &mut Reports) {
        let nobody = (InstrumentId(0), OrderId::NONE);
        if self.is_closed != self.is_told_closed {
            let closed = self.is_closed;
            let kind = ReportKind::Closed { closed };
            if push(reports, now, nobody.0, nobody.1, kind) {
                self.is_told_closed = closed;
            }
        }
        let is_ready = self.pulse.is_live() && self.stream.is_complete();
        let is_up = is_ready && self.closing.is_none() && !self.is_closed;
        if is_up == self.is_up {
            return;
        }
        let kind = if is_up {
            ReportKind::Up
        } else {
            ReportKind::Down
        };
        if push(reports, now, nobody.0, nobody.1, kind) {
            self.is_up = is_up;
        }
    }
}

fn push(
    reports: &mut Reports,
    now: Nanos,
    instrument: InstrumentId,
    order: OrderId,
    kind: ReportKind,
) -> bool {
    reports.push(Report {
        venue: Venue::Lighter,
        instrument,
        order,
        t: now,
        kind,
    })
}
