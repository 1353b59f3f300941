//! What the Lighter gateway remembers: recent orders, transactions without an answer, trades
//! already reported.
//!
//! Promises: fixed memory; the newest `ORDERS_MAX` orders, `LOST_MAX` lost transactions and
//! `TRADES_MAX` trades are known, older ones are forgotten. An order's state follows the venue's
//! time, so a late frame never undoes a newer one.
//! Refuses: nothing.

use crate::market::InstrumentId;
use crate::market::order::{OrderId, OrderState, Strays};
use crate::market::units::{Nanos, Size};

/// Orders remembered. Larger: longer searches. Smaller: a late word on an old order finds no entry.
const ORDERS_MAX: usize = 256;
/// Transactions without an answer remembered. Larger: longer searches. Smaller: after a long run of
/// losses a doubt may have to wait for the end of its order's life.
const LOST_MAX: usize = 64;
/// Trade ids remembered. A snapshot after a reconnect repeats recent trades; it must fit.
const TRADES_MAX: usize = 1024;

/// What is known of the nonce that an order was signed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spent {
    /// Nothing: the order may still be accepted.
    Open,
    /// It is gone; whether on this order or on another with the same, nobody has said.
    Gone,
    /// The venue has named this very order.
    Own,
    /// The venue has named another transaction with it.
    Other,
}

impl Spent {
    /// The venue has said on what.
    pub fn is_named(self) -> bool {
        matches!(self, Spent::Own | Spent::Other)
    }
}

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
    /// The venue's name for its transaction.
    pub hash: [u8; 40],
    /// When it was written.
    pub t_sent: Nanos,
    /// What is known of its nonce.
    pub spent: Spent,
    /// Fences sent for it, and when the next may go.
    pub fences: u8,
    /// See `fences`.
    pub fence_at: Nanos,
    /// Venue time of the last state, microseconds; 0: none yet.
    pub updated_us: u64,
}

/// A transaction whose answer never came, or said nothing: who may have taken a nonce.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lost {
    /// Row of the key that signed it, and the nonce.
    pub signed: (usize, u64),
    /// The venue's name for it.
    pub hash: [u8; 40],
}

/// The memory.
pub struct Ledger {
    orders: Box<[Option<Entry>]>,
    next_order: usize,
    lost: Box<[Option<Lost>]>,
    next_lost: usize,
    trades: Box<[u64]>,
    next_trade: usize,
    /// What nothing here explains.
    pub strays: Strays,
}

impl Default for Ledger {
    fn default() -> Ledger {
        Ledger::new()
    }
}

impl Ledger {
    /// Empty.
    pub fn new() -> Ledger {
        Ledger {
            orders: vec![None; ORDERS_MAX].into_boxed_slice(),
            next_order: 0,
            lost: vec![None; LOST_MAX].into_boxed_slice(),
            next_lost: 0,
            trades: vec![0; TRADES_MAX].into_boxed_slice(),
            next_trade: 0,
            strays: Strays::default(),
        }
    }

    /// Remembers an order; the oldest is forgotten.
    pub fn insert(&mut self, entry: Entry) {
        self.orders[self.next_order] = Some(entry);
        self.next_order = (self.next_order + 1) % ORDERS_MAX;
    }

    /// Remembers a transaction without an answer, however often it was sent, once.
    pub fn lose(&mut self, lost: Lost) {
        if !self.lost.contains(&Some(lost)) {
            self.lost[self.next_lost] = Some(lost);
            self.next_lost = (self.next_lost + 1) % LOST_MAX;
        }
    }

    /// Of the lost transactions that have the nonce of an order, the one after `asked` (the first
    /// after the order's own).
    pub fn rival_after(&self, order: &Entry, asked: &[u8; 40]) -> Option<[u8; 40]> {
        let signed = (order.key_idx, order.nonce);
        let all = self.lost.iter().flatten();
        let rivals = all.filter(|lost| lost.signed == signed && lost.hash != order.hash);
        let mut hashes = rivals.map(|lost| lost.hash);
        if *asked == order.hash {
            return hashes.next();
        }
        hashes.find(|hash| hash == asked)?;
        hashes.next()
    }

    /// Forgets an order that never left.
    pub fn forget(&mut self, id: OrderId) {
        for slot in &mut self.orders {
            if slot.is_some_and(|entry| entry.id == id) {
                *slot = None;
            }
        }
    }

    /// When the last order that is not over was written: the account stream owes word of it.
    pub fn last_open(&mut self) -> Option<Nanos> {
        let open = self.entries().filter(|entry| !entry.state.is_over());
        open.map(|entry| entry.t_sent).max()
    }

    /// Whether an order is neither over nor in doubt.
    pub fn is_any_open(&mut self) -> bool {
        let is_open = |state| matches!(state, OrderState::Sent | OrderState::Working);
        self.entries().any(|entry| is_open(entry.state))
    }

    /// A lost order whose nonce went to another, and who that is: the winner, key and nonce.
    pub fn outdone(&self) -> Option<(OrderId, (usize, u64))> {
        let all = || self.orders.iter().flatten();
        let is_lost = |e: &&Entry| e.state == OrderState::Unknown && !e.spent.is_named();
        all().filter(is_lost).find_map(|lost| {
            let spent = (lost.key_idx, lost.nonce);
            let is_winner = |e: &&Entry| e.spent.is_named() && (e.key_idx, e.nonce) == spent;
            all().find(is_winner).map(|winner| (winner.id, spent))
        })
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
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_and_trades_are_bounded() {
        let mut ledger = Ledger::new();
        for id in 1..=ORDERS_MAX as u64 + 1 {
            ledger.insert(Entry {
                id: OrderId(id),
                instrument: InstrumentId(0),
                state: OrderState::Sent,
                filled: Size::ZERO,
                key_idx: 0,
                nonce: id,
                hash: [0; 40],
                t_sent: Nanos::ZERO,
                spent: Spent::Open,
                fences: 0,
                fence_at: Nanos::ZERO,
                updated_us: 0,
            });
        }
        assert!(ledger.find(OrderId(1)).is_none());
        assert!(ledger.find(OrderId(2)).is_some() && ledger.is_any_open());
        ledger.forget(OrderId(2));
        assert!(ledger.find(OrderId(2)).is_none() && ledger.find(OrderId(3)).is_some());
        for trade in 1..=TRADES_MAX as u64 + 1 {
            assert!(!ledger.is_seen(trade));
            ledger.see(trade);
        }
        assert!(!ledger.is_seen(1) && ledger.is_seen(2));
    }
}
