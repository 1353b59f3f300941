//! The corridor's own steps, sign and encode, and the transactions that the gateway sends of its
//! own accord: fences and the dead man's switch.
//!
//! Promises: from the moment a request stands in the outbox its key is busy; one that the lane did
//! not take leaves no trace, because its nonce was never used. Refuses: everything that can be
//! refused before the signature, the dearest step.

use super::super::grid::INDEX_MAX;
use super::super::keyring::{Name, Purpose, Unanswered, Use};
use super::super::ledger::{Entry, Spent};
use super::super::sign::transaction::{CancelAll, Envelope, Transaction};
use super::super::sign::{NoncePoint, Signature};
use super::{Desk, Held, ORDER_LANE, TRANSACTION_LIFE_MS};
use crate::market::InstrumentId;
use crate::market::order::{Action, Order, OrderId, OrderState, Refusal};
use crate::market::units::{MS, Nanos, SECOND, Size};
use crate::venue::{OutKind, Outbox, Signing};

/// Unanswered messages from which no entry is added. The venue cuts a socket off at 50, and may
/// or may not count transactions among them (source *limits*): the rest is for cancels, reducing
/// orders and pings.
pub(super) const IN_FLIGHT_ENTRIES_MAX: u32 = 40;
/// The same for whatever else is sent: two pings may be open.
const IN_FLIGHT_MAX: u32 = 47;
/// Time from one fence of an order to its next; it doubles, five times.
const FENCE_EVERY_NS: u64 = 5 * SECOND;
const FENCE_DOUBLINGS_MAX: u8 = 5;

/// A transaction about to be written.
struct Written<'a> {
    key_idx: usize,
    transaction: &'a Transaction,
    signature: &'a Signature,
    hash: [u8; 40],
    id: OrderId,
    instrument: InstrumentId,
    purpose: Purpose,
}

/// What an order's key is wanted for.
fn use_of(order: &Order) -> Use {
    match order.action {
        Action::Cancel | Action::Query => Use::Cancel,
        // Only an entry carries the time of the tick that caused it.
        Action::Place if order.reduce_only || order.t_tick == Nanos::ZERO => Use::Reduce,
        Action::Place => Use::Entry,
    }
}

impl Desk {
    /// Checks are made in the order of their cost, and everything that can refuse stands before the
    /// signature; the signature itself is the dearest step on the order's way. The key is chosen
    /// here but taken only by `encode`: a signed order that is not written leaves no trace.
    pub(super) fn sign(
        &mut self,
        order: &Order,
        now: Nanos,
        ahead: impl FnOnce() -> Option<NoncePoint>,
    ) -> Result<(Held, Signing), Refusal> {
        let wanted = use_of(order);
        let grid = self.grids.get(order.instrument.idx()).copied().flatten();
        self.may_write(wanted)?;
        let grid = grid.ok_or(Refusal::UnknownMarket)?;
        if order.id.0 == 0 || order.id.0 > INDEX_MAX {
            return Err(Refusal::OffGrid);
        }
        let create = match order.action {
            Action::Cancel | Action::Query => None,
            Action::Place => Some(grid.create(order).ok_or(Refusal::OffGrid)?),
        };
        if !self.quota.may_send(wanted, now) {
            return Err(Refusal::RateBudget);
        }
        let (key_idx, nonce) = self.keys.free(wanted)?;
        let envelope = self.envelope(key_idx, nonce, now);
        let key = self.keys.key(key_idx);
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
            hash: message.to_bytes(),
        };
        Ok((held, signing))
    }

    /// Whether the order connection takes one more of this use. One whose end was announced, or
    /// that is nearly full, takes no entries.
    fn may_write(&self, wanted: Use) -> Result<(), Refusal> {
        let is_entry = wanted == Use::Entry;
        if !self.pulse.is_live() || (is_entry && (self.closing.is_some() || self.is_closed)) {
            return Err(Refusal::NotConnected);
        }
        let most = if is_entry {
            IN_FLIGHT_ENTRIES_MAX
        } else {
            IN_FLIGHT_MAX
        };
        (self.in_flight < most).then_some(()).ok_or(Refusal::Busy)
    }

    fn envelope(&self, key_idx: usize, nonce: u64, now: Nanos) -> Envelope {
        Envelope {
            chain_id: self.chain_id,
            account_index: self.account_index,
            api_key_index: self.keys.key(key_idx).index,
            expired_at_ms: now.epoch_ms() + TRANSACTION_LIFE_MS,
            nonce,
        }
    }

    /// Writes the request, straight into the send buffer. From the moment it stands there the key
    /// is busy and the order is in the ledger: the bytes may leave at any time after.
    pub(super) fn encode(&mut self, now: Nanos, out: &mut Outbox) {
        self.written = None;
        let (order, key_idx, transaction, signature, hash) = match self.held.take() {
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
                hash,
            }) => (order, key_idx, transaction, signature, hash),
        };
        let is_cancel = order.action == Action::Cancel;
        let purpose = if is_cancel {
            Purpose::Cancel
        } else {
            Purpose::Place
        };
        let written = Written {
            key_idx,
            transaction: &transaction,
            signature: &signature,
            hash,
            id: order.id,
            instrument: order.instrument,
            purpose,
        };
        if !self.write(&written, now, out) {
            if !is_cancel {
                self.unsent.push((order.id, order.instrument));
            }
            return;
        }
        self.written = Some((key_idx, order.id, purpose));
        if !is_cancel {
            self.ledger.insert(Entry {
                id: order.id,
                instrument: order.instrument,
                state: OrderState::Sent,
                filled: Size::ZERO,
                key_idx,
                nonce: transaction.nonce(),
                hash,
                t_sent: now,
                spent: Spent::Open,
                fences: 0,
                fence_at: now,
                updated_us: 0,
            });
        }
    }

    /// The message, and everybody's note of it.
    fn write(&mut self, written: &Written<'_>, now: Nanos, out: &mut Outbox) -> bool {
        let (letter, tx_type, is_counted): (&[u8], u64, bool) = match written.purpose {
            Purpose::Place => (b"", 14, false),
            Purpose::Cancel => (b"c", 15, true),
            Purpose::Fence => (b"f", 15, false),
            Purpose::Switch => (b"d", 16, true),
        };
        let count = if is_counted {
            self.written_count + 1
        } else {
            0
        };
        let sent = out.message(ORDER_LANE, OutKind::Text, |text| {
            text.put(b"{\"type\":\"jsonapi/sendtx\",\"data\":{\"id\":\"");
            text.put(letter).put_integer(written.id.0);
            if is_counted {
                text.put(b".").put_integer(count);
            }
            text.put(b"\",\"tx_type\":").put_integer(tx_type);
            text.put(b",\"tx_info\":");
            written.transaction.write(written.signature, text);
            text.put(b"}}");
        });
        if sent {
            self.quota.sent(now);
            self.written_count += 1;
            self.in_flight += 1;
            let unanswered = Unanswered {
                name: Name {
                    purpose: written.purpose,
                    id: written.id,
                    count,
                },
                instrument: written.instrument,
                nonce: written.transaction.nonce(),
                hash: written.hash,
                t_sent: now,
            };
            self.keys.sent(written.key_idx, unanswered);
        }
        sent
    }

    /// The lane took nothing of what `encode` wrote last: nonce, key and name are as before. Only
    /// the budget keeps it, which errs on the safe side.
    #[cold]
    pub(super) fn take_back(&mut self) -> bool {
        let Some((key_idx, id, purpose)) = self.written.take() else {
            return false;
        };
        self.keys.take_back(key_idx);
        self.in_flight = self.in_flight.saturating_sub(1);
        if purpose == Purpose::Place {
            self.ledger.forget(id);
        }
        true
    }

    /// Spends the nonces of orders that were lost, if the venue says that it still waits for them.
    ///
    /// The idea: an order without an answer may still be on its way, for as long as its transaction
    /// lives, and nothing that is asked can rule that out. But the venue takes a nonce once. So
    /// another transaction is sent under the same nonce, the cancel of that very order: if it is
    /// accepted, the order can never be; if it is refused (21104), the order was taken and is to be
    /// found. Either way the doubt ends within two round trips.
    ///
    /// Left out: sending the same bytes again. For an entry it would trade on an old price. For a
    /// reducing order it would save the time of a fence, a round trip, but at the price it had when
    /// it was lost, at least three seconds ago; the scanner's next order has a fresh one.
    #[cold]
    pub(super) fn send_fences(&mut self, now: Nanos, out: &mut Outbox) {
        let is_possible = self.may_write(Use::Cancel).is_ok() && self.closing.is_none();
        if !is_possible || !self.quota.may_send(Use::Cancel, now) {
            return;
        }
        let Some(lost) = self.next_fence(now) else {
            return;
        };
        if let Some(transaction) = self.fence(&lost) {
            let about = (lost.id, lost.instrument, Purpose::Fence);
            self.send_own(&transaction, lost.key_idx, about, (now, out));
        }
    }

    /// The next lost order whose nonce its key has again; that a fence is sent is noted.
    fn next_fence(&mut self, now: Nanos) -> Option<Entry> {
        let keys = &self.keys;
        let is_due = |entry: &&mut Entry| {
            let is_lost = entry.state == OrderState::Unknown && entry.spent == Spent::Open;
            let is_alive = now.since(entry.t_sent) < TRANSACTION_LIFE_MS * MS;
            let is_key_free = || keys.free_at(entry.key_idx) == Ok((entry.key_idx, entry.nonce));
            is_lost && is_alive && now >= entry.fence_at && is_key_free()
        };
        let entry = self.ledger.entries().find(is_due)?;
        let wait_ns = FENCE_EVERY_NS << entry.fences.min(FENCE_DOUBLINGS_MAX);
        entry.fences = entry.fences.saturating_add(1);
        entry.fence_at = now.plus(wait_ns);
        Some(*entry)
    }

    /// The fence of an order: the cancel of it, under its nonce and with its life. It is the same
    /// however often it is sent, so that it can be asked about by name.
    pub(super) fn fence(&self, lost: &Entry) -> Option<Transaction> {
        let grid = self.grids.get(lost.instrument.idx()).copied().flatten()?;
        let envelope = self.envelope(lost.key_idx, lost.nonce, lost.t_sent);
        Transaction::cancel_order(envelope, grid.venue_market, lost.id.0).ok()
    }

    /// Puts the dead man's switch off when it is due. It waits for its key and for the budget that
    /// entries have; a switch that lapses cancels nothing of ours.
    #[cold]
    pub(super) fn renew_switch(&mut self, now: Nanos, out: &mut Outbox) {
        let Some(until) = self.switch.is_due(now) else {
            return;
        };
        let may_send = self.may_write(Use::Entry).is_ok() && self.quota.may_send(Use::Entry, now);
        let Some((key_idx, nonce)) = self.keys.free_for_switch().filter(|_| may_send) else {
            return;
        };
        let envelope = self.envelope(key_idx, nonce, now);
        if let Ok(transaction) = Transaction::cancel_all(envelope, CancelAll::At(until.epoch_ms()))
        {
            let about = (OrderId::NONE, InstrumentId(0), Purpose::Switch);
            if self.send_own(&transaction, key_idx, about, (now, out)) {
                self.switch.sent(now);
            }
        }
    }

    /// Signs in full and writes.
    fn send_own(
        &mut self,
        transaction: &Transaction,
        key_idx: usize,
        (id, instrument, purpose): (OrderId, InstrumentId, Purpose),
        (now, out): (Nanos, &mut Outbox),
    ) -> bool {
        let key = self.keys.key(key_idx);
        let message = transaction.hash();
        let signature = key.private.sign(message, &mut self.source);
        let Ok(signature) = signature else {
            return false;
        };
        let written = Written {
            key_idx,
            transaction,
            signature: &signature,
            hash: message.to_bytes(),
            id,
            instrument,
            purpose,
        };
        self.write(&written, now, out)
    }
}
