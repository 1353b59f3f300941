//! What is remembered of orders and trades: a bounded table and a bounded ring.
//!
//! Promises: the newest orders are known by their own id and by the venue's; what is over stays
//! over, and filled sizes never shrink, whatever order the streams tell things in.
//! Refuses: growing. The oldest finished order makes room; a table full of unfinished ones says so.

use crate::market::InstrumentId;
use crate::market::order::{OrderId, OrderState};
use crate::market::units::{Nanos, Size};

/// Orders remembered. The engine has a handful open at a time; the rest is memory for late news.
/// Larger: slower look-ups. Smaller: late trades without an own id can't be explained.
pub(super) const ORDERS_MAX: usize = 128;
/// Trade ids remembered. Only a snapshot after a reconnect repeats trades.
const TRADES_MAX: usize = 1024;

/// One order.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    /// Our id.
    pub(super) id: OrderId,
    pub(super) instrument: InstrumentId,
    /// As far as anybody has told.
    pub(super) state: OrderState,
    /// Cumulative.
    pub(super) filled: Size,
    /// The venue's own id; 0 until it is known.
    pub(super) venue_id: u64,
    /// When its request was written; an order not found later than a while after is not there.
    pub(super) t_sent: Nanos,
}

/// Whether nothing more can happen to an order.
pub(super) const fn is_over(state: OrderState) -> bool {
    match state {
        OrderState::Filled | OrderState::Cancelled | OrderState::Rejected => true,
        OrderState::Sent | OrderState::Working | OrderState::Unknown => false,
    }
}

/// Orders, newest overwriting the oldest that is over.
pub(super) struct OrderTable {
    entries: Box<[Option<Entry>]>,
}

impl OrderTable {
    pub(super) fn new() -> OrderTable {
        OrderTable {
            entries: vec![None; ORDERS_MAX].into_boxed_slice(),
        }
    }

    /// Whether one more order can be remembered.
    pub(super) fn has_room(&self) -> bool {
        self.seat().is_some()
    }

    /// The seat to take: one never used, else the one of the order that was sent longest ago among
    /// those that are over. `None` when every order in the table may still do something.
    fn seat(&self) -> Option<usize> {
        let age = |entry: &Option<Entry>| entry.map_or(0, |entry| entry.t_sent.0 + 1);
        let free = |entry: &Option<Entry>| entry.is_none_or(|entry| is_over(entry.state));
        let seats = self.entries.iter().enumerate();
        let free = seats.filter(|(_, entry)| free(entry));
        free.min_by_key(|(_, entry)| age(entry)).map(|(idx, _)| idx)
    }

    /// Remembers an order; without room it is not (see [`Self::has_room`]). One that is sent again
    /// under the same id keeps its entry and what it has filled.
    pub(super) fn insert(&mut self, entry: Entry) {
        if let Some(known) = self.by_id(entry.id) {
            known.state = entry.state;
            known.t_sent = entry.t_sent;
        } else if let Some(idx) = self.seat() {
            self.entries[idx] = Some(entry);
        }
    }

    pub(super) fn by_id(&mut self, id: OrderId) -> Option<&mut Entry> {
        self.iter_mut().find(|entry| entry.id == id)
    }

    pub(super) fn by_venue_id(&mut self, venue_id: u64) -> Option<&mut Entry> {
        self.iter_mut()
            .find(|entry| entry.venue_id == venue_id && venue_id != 0)
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Entry> {
        self.entries.iter_mut().flatten()
    }
}

impl Entry {
    /// Takes the venue's word on state and cumulative size. What is over stays over, because news
    /// may come late; the filled size only grows.
    pub(super) fn learn(&mut self, state: OrderState, filled: Size) {
        if !is_over(self.state) {
            self.state = state;
        }
        self.filled = self.filled.max(filled);
    }
}

/// Trades booked already.
pub(super) struct SeenTrades {
    ids: Box<[u64]>,
    next: usize,
}

impl SeenTrades {
    pub(super) fn new() -> SeenTrades {
        SeenTrades {
            ids: vec![0; TRADES_MAX].into_boxed_slice(),
            next: 0,
        }
    }

    /// Whether this trade is new; from now on it is not.
    pub(super) fn is_new(&mut self, id: u64) -> bool {
        if self.ids.contains(&id) {
            return false;
        }
        self.ids[self.next] = id;
        self.next = (self.next + 1) % TRADES_MAX;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(id: u64, t: u64) -> Entry {
        Entry {
            id: OrderId(id),
            instrument: InstrumentId(0),
            state: OrderState::Sent,
            filled: Size::ZERO,
            venue_id: id + 1000,
            t_sent: Nanos(t),
        }
    }

    #[test]
    fn the_oldest_finished_order_makes_room() {
        let mut table = OrderTable::new();
        for id in 0..ORDERS_MAX as u64 {
            assert!(table.has_room());
            table.insert(entry(id + 1, id));
        }
        assert!(!table.has_room());
        for id in [9, 5] {
            let entry = table.by_id(OrderId(id)).unwrap();
            entry.learn(OrderState::Cancelled, Size::ZERO);
        }
        table.insert(entry(900, 900));
        assert!(table.by_id(OrderId(5)).is_none());
        assert!(table.by_id(OrderId(9)).is_some());
        assert!(table.by_venue_id(1900).is_some());
        assert!(table.by_venue_id(0).is_none());
    }

    #[test]
    fn an_order_sent_again_is_one_order() {
        let mut table = OrderTable::new();
        table.insert(entry(1, 1));
        let first = table.by_id(OrderId(1)).unwrap();
        first.learn(OrderState::Unknown, Size(3));
        table.insert(entry(1, 9));
        assert_eq!(table.iter_mut().count(), 1);
        let again = table.by_id(OrderId(1)).unwrap();
        assert_eq!((again.state, again.filled), (OrderState::Sent, Size(3)));
    }

    #[test]
    fn what_is_over_stays_over_and_fills_only_grow() {
        let mut entry = entry(1, 1);
        entry.learn(OrderState::Working, Size(3));
        entry.learn(OrderState::Filled, Size(10));
        entry.learn(OrderState::Working, Size(0));
        assert_eq!((entry.state, entry.filled), (OrderState::Filled, Size(10)));
    }

    #[test]
    fn a_trade_is_new_once() {
        let mut seen = SeenTrades::new();
        assert!(seen.is_new(7));
        assert!(!seen.is_new(7));
        for id in 100..100 + TRADES_MAX as u64 {
            assert!(seen.is_new(id));
        }
        // Long forgotten: the ring is bounded.
        assert!(seen.is_new(7));
    }
}
