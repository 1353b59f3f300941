//! Lighter's orders: signed transactions out over one WebSocket, answers and the account stream
//! back.
//!
//! Promises: a nonce is used for one accepted transaction and no other; a key has at most one
//! unanswered transaction; an order that may have reached the venue and was not answered is
//! Unknown, never forgotten. Code 200 is an acknowledgement ("queued, nonce spent"), not a fill.
//! Refuses: prices and sizes off the grid, orders without a free key, sends beyond the tier's
//! limit.

use super::grid::{Grid, INDEX_MAX};
pub use super::keyring::ApiKey;
use super::keyring::{CODE_ACCEPTED, CODES_SERVER, Keyring, Unanswered};
use super::ledger::{Entry, Ledger};
use super::nonces::{NonceDesk, REST_LANE};
use super::pulse::Pulse;
use super::setup::grids;
pub use super::setup::{Setup, SetupError};
use super::sign::transaction::{Envelope, Transaction};
use super::sign::{NoncePoint, NonceSource, Signature};
use super::stream::{ACCOUNT_LANE, Sink, Stream};
use super::wire::{self, Decoder, Json, Kind};
use crate::market::event::FrameKind;
use crate::market::order::{Action, Order, OrderId, OrderState, Refusal, Report, ReportKind};
use crate::market::units::{Nanos, SECOND, Size};
use crate::market::{InstrumentId, Market, Venue};
use crate::venue::{Batch, Lane, Orders, OutKind, Outbox, Reports, Signing};

/// The order connection's lane within the gateway.
const ORDER_LANE: Lane = 0;
/// Life of a transaction. The official client's value, and the only one seen accepted; a shorter
/// one would kill late orders sooner, if the venue takes it. Open: try 60 s on the test network.
const TRANSACTION_LIFE_MS: u64 = 599_000;
/// An answer later than this is no answer: the order is Unknown.
const ANSWER_NS_MAX: u64 = 3 * SECOND;
/// Queries and unsent orders kept until the next beat.
const LATER_MAX: usize = 64;
/// WebSocket-level refusals: not an answer to a transaction.
const CODES_WEBSOCKET: std::ops::RangeInclusive<u32> = 30_000..=30_099;

/// What `encode` will write.
#[derive(Clone, Copy)]
#[expect(clippy::large_enum_variant, reason = "a box would allocate per order")]
enum Held {
    Signed {
        order: Order,
        key_idx: usize,
        transaction: Transaction,
        signature: Signature,
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
    nonces: NonceDesk,
    grids: Box<[Option<Grid>]>,
    ledger: Ledger,
    stream: Stream,
    pulse: Pulse,
    source: NonceSource,
    held: Option<Held>,
    /// Queries, and orders that never left: both are reported at the next beat. What does not fit
    /// is dropped; the scanner's own time-out asks again.
    asked: Batch<(OrderId, InstrumentId)>,
    unsent: Batch<(OrderId, InstrumentId)>,
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
                nonces: NonceDesk::new(&setup.rest_url, setup.account_index),
                keys: Keyring::new(setup.keys),
                grids,
                ledger: Ledger::new(setup.sends_per_minute),
                stream: Stream::new(setup.account_index, markets),
                pulse: Pulse::new(ORDER_LANE),
                source: NonceSource::new(),
                held: None,
                asked: Batch::new(LATER_MAX),
                unsent: Batch::new(LATER_MAX),
                is_up: false,
            },
        })
    }

    /// The venue's answer for a key. Ignored unless the key is waiting for it, so an answer that
    /// comes late or twice does no harm.
    pub fn set_nonce(&mut self, api_key_index: u8, nonce: u64) {
        self.desk.keys.set_nonce(api_key_index, nonce);
    }

    /// The venue's word on an order, fetched over REST by a cold thread (`LighterRest::orders`).
    /// Only an order in doubt takes it: whatever the account stream said is newer.
    pub fn resolve(
        &mut self,
        id: OrderId,
        (state, filled): (OrderState, Size),
        now: Nanos,
        reports: &mut Reports,
    ) {
        let entry = self.desk.ledger.find(id);
        if let Some(entry) = entry.filter(|entry| entry.state == OrderState::Unknown) {
            (entry.state, entry.filled) = (state, filled);
            let kind = ReportKind::State { state, filled };
            push(reports, now, entry.instrument, id, kind);
        }
    }
}

impl Orders for LighterOrders {
    type Point = NoncePoint;

    fn on_link(&mut self, lane: Lane, up: bool, now: Nanos, reports: &mut Reports, _: &mut Outbox) {
        let desk = &mut self.desk;
        if lane == REST_LANE {
            desk.nonces.on_link(up);
        } else if lane == ACCOUNT_LANE {
            let who = desk.keys.key(0);
            desk.stream.on_link(up, now, who, &mut desk.source);
        } else {
            desk.pulse.on_link(up, now);
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

    fn on_message(
        &mut self,
        lane: Lane,
        _: u16,
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
                desk.nonces.on_answer(root, &mut desk.keys, now);
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
        self.desk.tell_up(now, reports);
        read.unwrap_or(FrameKind::Malformed)
    }

    fn on_beat(&mut self, now: Nanos, reports: &mut Reports, out: &mut Outbox) {
        let desk = &mut self.desk;
        desk.pulse.on_beat(now, out);
        let who = desk.keys.key(0);
        desk.stream.on_beat(now, who, &mut desk.source, out);
        let deadline = Nanos(now.0.saturating_sub(ANSWER_NS_MAX));
        desk.abandon(now, deadline, reports);
        desk.nonces.on_beat(&desk.keys, now, out);
        desk.answer_query(now, reports);
        desk.tell_up(now, reports);
    }
}

// The corridor's own steps: sign, encode, answer. Reports other than to answers are further down.
impl Desk {
    /// Checks are made in the order of their cost, and everything that can refuse stands before the
    /// signature; the signature itself is the dearest step on the order's way. The key is chosen
    /// here but taken only by `encode`: a signed order that is not written leaves no trace.
    fn sign(
        &mut self,
        order: &Order,
        now: Nanos,
        ahead: impl FnOnce() -> Option<NoncePoint>,
    ) -> Result<(Held, Signing), Refusal> {
        if !self.pulse.is_live() {
            return Err(Refusal::NotConnected);
        }
        let grid = self.grids.get(order.instrument.idx()).copied().flatten();
        let grid = grid.ok_or(Refusal::UnknownMarket)?;
        if order.id.0 == 0 || order.id.0 > INDEX_MAX {
            return Err(Refusal::OffGrid);
        }
        let create = match order.action {
            Action::Cancel | Action::Query => None,
            Action::Place => Some(grid.create(order).ok_or(Refusal::OffGrid)?),
        };
        if !self.ledger.may_send(now) {
            return Err(Refusal::RateBudget);
        }
        let (key_idx, nonce) = self.keys.free()?;
        let key = self.keys.key(key_idx);
        let envelope = Envelope {
            chain_id: self.chain_id,
            account_index: self.account_index,
            api_key_index: key.index,
            expired_at_ms: now.epoch_ms() + TRANSACTION_LIFE_MS,
            nonce,
        };
        let transaction = match create {
            Some(create) => Transaction::create_order(envelope, &create),
            None => Transaction::cancel_order(envelope, grid.venue_market, order.id.0),
        }
        .map_err(|_| Refusal::OffGrid)?;
        let message = transaction.hash();
        let prepared = ahead().map(|point| key.private.sign_ahead(message, point));
        let (signature, signing) = match prepared {
            Some(Ok(signature)) => (signature, Signing::Ahead),
            // A spent point signs nothing; like none at all, it costs time only.
            Some(Err(_)) | None => {
                let full = key.private.sign(message, &mut self.source);
                (full.map_err(|_| Refusal::Signing)?, Signing::Full)
            }
        };
        let held = Held::Signed {
            order: *order,
            key_idx,
            transaction,
            signature,
        };
        Ok((held, signing))
    }

    /// Writes the request, straight into the send buffer. From the moment it stands there the key
    /// is busy and the order is in the ledger: the bytes may leave at any time after.
    fn encode(&mut self, now: Nanos, out: &mut Outbox) {
        let (order, key_idx, transaction, signature) = match self.held.take() {
            None => return,
            Some(Held::Query(id, instrument)) => {
                self.asked.push((id, instrument));
                return;
            }
            Some(Held::Signed {
                order,
                key_idx,
                transaction,
                signature,
            }) => (order, key_idx, transaction, signature),
        };
        let is_cancel = order.action == Action::Cancel;
        // A cancel answers under its own name: both may be on their way for one order.
        let (name, tx_type): (&[u8], u64) = if is_cancel { (b"c", 15) } else { (b"", 14) };
        let sent = out.message(ORDER_LANE, OutKind::Text, |text| {
            text.put(b"{\"type\":\"jsonapi/sendtx\",\"data\":{\"id\":\"");
            text.put(name).put_integer(order.id.0);
            text.put(b"\",\"tx_type\":").put_integer(tx_type);
            text.put(b",\"tx_info\":");
            transaction.write(&signature, text);
            text.put(b"}}");
        });
        if !sent {
            if !is_cancel {
                self.unsent.push((order.id, order.instrument));
            }
            return;
        }
        self.ledger.sent(now);
        let unanswered = Unanswered {
            id: order.id,
            instrument: order.instrument,
            is_cancel,
            t_sent: now,
        };
        self.keys.sent(key_idx, unanswered);
        if !is_cancel {
            self.ledger.insert(Entry {
                id: order.id,
                instrument: order.instrument,
                state: OrderState::Sent,
                filled: Size::ZERO,
                key_idx,
                nonce: transaction.nonce(),
                updated_us: 0,
            });
        }
    }

    /// One message of the order connection. An answer is for two parties: the key (is its nonce
    /// spent?) and the order (does it exist?). They are settled apart, because an answer may come
    /// after the key was given up, and because a refused cancel says nothing about the order it was
    /// for: it may have traded in full.
    fn on_answer(
        &mut self,
        root: Json,
        now: Nanos,
        reports: &mut Reports,
        out: &mut Outbox,
    ) -> FrameKind {
        let (kind, _) = wire::classify(root);
        if self.pulse.take(kind, now, out) {
            return FrameKind::Control;
        }
        if kind != Kind::Answer && kind != Kind::Error {
            return FrameKind::Unknown;
        }
        let (Some(code), _) = wire::refusal(root) else {
            return FrameKind::Malformed;
        };
        if CODES_WEBSOCKET.contains(&code) {
            return FrameKind::Control;
        }
        let Some((id, is_cancel)) = self.answered(root) else {
            return FrameKind::Control;
        };
        self.keys.settle(id, is_cancel, code);
        if !is_cancel {
            self.settle_order(id, code, now, reports);
        }
        FrameKind::Control
    }

    /// Whose answer a message is, and whether it was a cancel: by the request's id. A refusal
    /// without one (the venue could not read it) belongs to the only unanswered transaction, and to
    /// nobody when there are several: then the deadline acts.
    fn answered(&self, root: Json) -> Option<(OrderId, bool)> {
        let Some(id) = root.field("id").and_then(Json::text) else {
            let only = self.keys.only_unanswered()?;
            return Some((only.id, only.is_cancel));
        };
        let bare = id.strip_prefix('c');
        let number = wire::digits(bare.unwrap_or(id))?;
        Some((OrderId(number), bare.is_some()))
    }

    /// What an answer means for the order. The account stream may have spoken first; then a late
    /// acknowledgement does not take the order's end back.
    fn settle_order(&mut self, id: OrderId, code: u32, now: Nanos, reports: &mut Reports) {
        let Some(entry) = self.ledger.find(id) else {
            return;
        };
        let is_open = matches!(entry.state, OrderState::Sent | OrderState::Unknown);
        let kind = if code == CODE_ACCEPTED {
            if is_open {
                entry.state = OrderState::Working;
            }
            ReportKind::Acknowledged
        } else if CODES_SERVER.contains(&code) {
            if is_open {
                entry.state = OrderState::Unknown;
            }
            ReportKind::State {
                state: entry.state,
                filled: entry.filled,
            }
        } else {
            if is_open {
                entry.state = OrderState::Rejected;
            }
            ReportKind::Rejected { code }
        };
        let (instrument, key_idx, nonce) = (entry.instrument, entry.key_idx, entry.nonce);
        push(reports, now, instrument, id, kind);
        if code == CODE_ACCEPTED {
            self.disprove(id, (key_idx, nonce), now, reports);
        }
    }

    /// The venue took `id` with a nonce that an Unknown order of the same key was signed with too:
    /// that order can never be accepted. This is how a lost send is settled by the venue's own
    /// word.
    fn disprove(&mut self, id: OrderId, spent: (usize, u64), now: Nanos, reports: &mut Reports) {
        for entry in self.ledger.entries() {
            let is_rival = (entry.key_idx, entry.nonce) == spent && entry.id != id;
            if is_rival && entry.state == OrderState::Unknown {
                entry.state = OrderState::Cancelled;
                let kind = ReportKind::State {
                    state: OrderState::Cancelled,
                    filled: entry.filled,
                };
                push(reports, now, entry.instrument, entry.id, kind);
            }
        }
    }

    /// Gives up the answers to what was written at `deadline` or before.
    #[cold]
    fn abandon(&mut self, now: Nanos, deadline: Nanos, reports: &mut Reports) {
        while let Some(unanswered) = self.keys.give_up(deadline) {
            if unanswered.is_cancel {
                continue;
            }
            let entry = self.ledger.find(unanswered.id);
            if let Some(entry) = entry.filter(|entry| entry.state == OrderState::Sent) {
                entry.state = OrderState::Unknown;
                let kind = ReportKind::State {
                    state: OrderState::Unknown,
                    filled: entry.filled,
                };
                push(reports, now, unanswered.instrument, unanswered.id, kind);
            }
        }
    }

    /// Answers a query from memory: the venue cannot be asked about one order on these connections.
    #[cold]
    fn answer_query(&mut self, now: Nanos, reports: &mut Reports) {
        for (id, instrument) in self.unsent.items() {
            let why = Refusal::Busy;
            push(reports, now, *instrument, *id, ReportKind::NotSent { why });
        }
        self.unsent.clear();
        for (id, instrument) in self.asked.items() {
            let (state, filled) = match self.ledger.find(*id) {
                Some(entry) => (entry.state, entry.filled),
                None => (OrderState::Unknown, Size::ZERO),
            };
            let kind = ReportKind::State { state, filled };
            push(reports, now, *instrument, *id, kind);
        }
        self.asked.clear();
    }

    /// Says `Up` or `Down` when that has changed; again at the next call when there was no room.
    fn tell_up(&mut self, now: Nanos, reports: &mut Reports) {
        let is_up = self.pulse.is_live() && self.stream.is_complete();
        if is_up == self.is_up {
            return;
        }
        let kind = if is_up {
            ReportKind::Up
        } else {
            ReportKind::Down
        };
        if push(reports, now, InstrumentId(0), OrderId::NONE, kind) {
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
