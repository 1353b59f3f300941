//! What the Lighter gateway remembers: recent orders, trades already reported, sends of the last
//! minute.
//!
//! Promises: fixed memory; the newest `ORDERS_MAX` orders and `TRADES_MAX` trades are known, older
//! ones are forgotten. An order's state follows the venue's time, so a late frame never undoes a
//! newer one.
//! Refuses: nothing.

use crate::market::InstrumentId;
use crate::market::order::{OrderId, OrderState};
use crate::market::units::{Nanos, SECOND, Size};

/// Orders remembered. Larger: longer searches. Smaller: a late word on an old order finds no entry.
const ORDERS_MAX: usize = 256;
/// Trade ids remembered. A snapshot after a reconnect repeats recent trades; it must fit.
const TRADES_MAX: usize = 1024;
/// Sends tracked at most; tiers above this rate are held to it (68 a second).
const SENDS_MAX: usize = 4096;
/// The venue counts sends per minute.
const MINUTE_NS: u64 = 60 * SECOND;

/// One order of ours.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// Client id.
    pub id: OrderId,
    /// Where.
    pub instrument: InstrumentId,
    /// Last known state.
    pub state: OrderState,
    /// Cumulative filled size by the venue's order messages.
    pub filled: Size,
    /// Row of the key that signed it.
    pub key_idx: usize,
    /// Nonce it was signed with.
    pub nonce: u64,
    /// Venue time of the last state, microseconds; 0: none yet.
    pub updated_us: u64,
}

/// The memory.
pub struct Ledger {
    orders: Box<[Option<Entry>]>,
    next_order: usize,
    trades: Box<[u64]>,
    next_trade: usize,
    sends: Box<[Nanos]>,
    next_send: usize,
}

impl Ledger {
    /// Empty; `sends_per_minute` is the account tier's limit, at least 1.
    pub fn new(sends_per_minute: u32) -> Ledger {
        let sends = (sends_per_minute as usize).clamp(1, SENDS_MAX);
        Ledger {
            orders: vec![None; ORDERS_MAX].into_boxed_slice(),
            next_order: 0,
            trades: vec![0; TRADES_MAX].into_boxed_slice(),
            next_trade: 0,
            sends: vec![Nanos::ZERO; sends].into_boxed_slice(),
            next_send: 0,
        }
    }

    /// Remembers an order; the oldest is forgotten.
    pub fn insert(&mut self, entry: Entry) {
        self.orders[self.next_order] = Some(entry);
        self.next_order = (self.next_order + 1) % ORDERS_MAX;
    }

    /// The entry of an order.
    pub fn find(&mut self, id: OrderId) -> Option<&mut Entry> {
        self.entries().find(|entry| entry.id == id)
    }

    /// All entries, in no order.
    pub fn entries(&mut self) -> impl Iterator<Item = &mut Entry> {
        self.orders.iter_mut().flatten()
    }

    /// Whether a trade was reported before.
    pub fn is_seen(&self, trade: u64) -> bool {
        self.trades.contains(&trade)
    }

    /// Remembers a reported trade.
    pub fn see(&mut self, trade: u64) {
        self.trades[self.next_trade] = trade;
        self.next_trade = (self.next_trade + 1) % TRADES_MAX;
    }

    /// Whether one more transaction stays within the tier's limit. Exact: the slot to be used next
    /// holds the send that many sends ago.
    pub fn may_send(&self, now: Nanos) -> bool {
        now.since(self.sends[self.next_send]) >= MINUTE_NS
    }

    /// Counts a transaction.
    pub fn sent(&mut self, now: Nanos) {
        self.sends[self.next_send] = now;
        self.next_send = (self.next_send + 1) % self.sends.len();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_send_limit_is_exact_over_any_minute() {
        let mut ledger = Ledger::new(3);
        let mut sent: Vec<Nanos> = Vec::new();
        for second in 100..600 {
            let now = Nanos(second * SECOND);
            let recent = sent.iter().filter(|t| now.since(**t) < MINUTE_NS).count();
            assert_eq!(ledger.may_send(now), recent < 3);
            if ledger.may_send(now) {
                ledger.sent(now);
                sent.push(now);
            }
        }
        assert!(sent.len() >= 24);
    }

    #[test]
    fn orders_and_trades_are_bounded() {
        let mut ledger = Ledger::new(1);
        for id in 1..=ORDERS_MAX as u64 + 1 {
            ledger.insert(Entry {
                id: OrderId(id),
                instrument: InstrumentId(0),
                state: OrderState::Sent,
                filled: Size::ZERO,
                key_idx: 0,
                nonce: id,
                updated_us: 0,
            });
        }
        assert!(ledger.find(OrderId(1)).is_none());
        assert!(ledger.find(OrderId(2)).is_some());
        for trade in 1..=TRADES_MAX as u64 + 1 {
            assert!(!ledger.is_seen(trade));
            ledger.see(trade);
        }
        assert!(!ledger.is_seen(1) && ledger.is_seen(2));
    }
}
