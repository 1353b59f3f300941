//! What is remembered of orders and trades: a bounded table and a bounded ring.
//!
//! Promises: the newest orders are known by their own id and by the venue's; what is over stays
//! over, and filled sizes never shrink, whatever order the streams tell things in.
//! Refuses: growing. A finished order of long ago makes room; a table full of unfinished ones says
//! so.

use crate::market::InstrumentId;
use crate::market::order::{OrderId, OrderState};
use crate::market::units::{Nanos, Size};

/// Orders remembered. The engine has a handful open at a time; the rest is memory for late news.
/// Larger: slower look-ups. Smaller: late trades without an own id can't be explained. It bounds
/// what may be open at once, too, far below the 200 a market that the venue allows (D1, error 1126:
/// MaxOpenOrdersNumberExceeded); and none of them rests, because all are immediate-or-cancel.
pub(super) const ORDERS_MAX: usize = 128;
const _: () = assert!(
    ORDERS_MAX < 200,
    "the venue's limit of open orders a market"
);
/// Trade ids remembered. Snapshots after a reconnect and answers to questions repeat trades.
const TRADES_MAX: usize = 1024;
/// How often the trades of one order are asked for. Larger: a fill that the venue never lists is
/// given up later. Smaller: a list that is late is given up too soon.
pub(super) const ASKS_MAX: u8 = 3;

/// One order.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    /// Our id.
    pub(super) id: OrderId,
    pub(super) instrument: InstrumentId,
    /// What it may trade at most; zero for an order of an earlier run, whose trades are not ours to
    /// count.
    pub(super) size: Size,
    /// As far as anybody has told.
    pub(super) state: OrderState,
    /// Cumulative: the larger of what the venue says and what its trades add up to.
    pub(super) filled: Size,
    /// What the trades add up to.
    pub(super) traded: Size,
    /// The venue's own id; 0 until it is known.
    pub(super) venue_id: u64,
    /// When its request was written; an order not found later than a while after is not there.
    pub(super) t_sent: Nanos,
    /// How many trades had been seen when it was sent.
    pub(super) seen_count: u64,
    /// When it was asked for and not found, first; zero while nobody missed it.
    pub(super) t_absent: Nanos,
    /// It is over only because the venue did not find it, which a late word may still prove wrong.
    is_inferred: bool,
    /// Since when the trades fall short of the filled size; zero when they do not.
    t_short: Nanos,
    /// Times the missing trades were asked for.
    pub(super) asks: u8,
}

/// Orders, in seats that are taken in turn: a new one takes the next whose order is over.
pub(super) struct OrderTable {
    entries: Box<[Option<Entry>]>,
    /// Whose each seat is, close together for the search; [`OrderId::NONE`] where it is nobody's.
    ids: Box<[OrderId]>,
    /// Where the search for a seat begins. Mostly it ends there too: the order there is the one
    /// that was sent longest ago.
    next: usize,
}

impl OrderTable {
    pub(super) fn new() -> OrderTable {
        OrderTable {
            entries: vec![None; ORDERS_MAX].into_boxed_slice(),
            ids: vec![OrderId::NONE; ORDERS_MAX].into_boxed_slice(),
            next: 0,
        }
    }

    /// Whether one more order can be remembered.
    pub(super) fn has_room(&self) -> bool {
        self.seat().is_some()
    }

    /// The seat to take. `None` when every order in the table may still do something.
    #[inline]
    fn seat(&self) -> Option<usize> {
        let is_free = |seat: &usize| {
            let entry = &self.entries[*seat];
            entry.as_ref().is_none_or(|entry| entry.state.is_over())
        };
        (self.next..ORDERS_MAX).chain(0..self.next).find(is_free)
    }

    /// Remembers an order; without room it is not (see [`Self::has_room`]). One that is sent again
    /// under the same id keeps its entry and what it has filled.
    pub(super) fn insert(&mut self, entry: Entry) {
        if let Some(known) = self.by_id(entry.id) {
            known.state = entry.state;
            known.t_sent = entry.t_sent;
            known.t_absent = Nanos::ZERO;
        } else if let Some(seat) = self.seat() {
            self.ids[seat] = entry.id;
            self.entries[seat] = Some(entry);
            self.next = (seat + 1) % ORDERS_MAX;
        }
    }

    /// Forgets an order that can't have reached the venue, and of which nothing was heard.
    pub(super) fn forget(&mut self, id: OrderId) {
        let Some(seat) = self.seat_of(id) else { return };
        let is_unheard = |entry: &Entry| entry.venue_id == 0 && entry.filled == Size::ZERO;
        if self.entries[seat].as_ref().is_some_and(is_unheard) {
            (self.entries[seat], self.ids[seat]) = (None, OrderId::NONE);
        }
    }

    pub(super) fn by_id(&mut self, id: OrderId) -> Option<&mut Entry> {
        let seat = self.seat_of(id)?;
        self.entries[seat].as_mut()
    }

    #[inline]
    fn seat_of(&self, id: OrderId) -> Option<usize> {
        self.ids.iter().position(|known| *known == id)
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
    /// An order of which nothing was heard yet.
    pub(super) const fn new(
        id: OrderId,
        instrument: InstrumentId,
        size: Size,
        t_sent: Nanos,
    ) -> Entry {
        Entry {
            id,
            instrument,
            size,
            state: OrderState::Sent,
            filled: Size::ZERO,
            traded: Size::ZERO,
            venue_id: 0,
            t_sent,
            seen_count: 0,
            t_absent: Nanos::ZERO,
            is_inferred: false,
            t_short: Nanos::ZERO,
            asks: 0,
        }
    }

    /// Takes the venue's word on state and cumulative size. What is over by its word stays over,
    /// because news may come late; the filled size only grows.
    pub(super) fn learn(&mut self, state: OrderState, filled: Size) {
        if !self.state.is_over() || self.is_inferred {
            self.state = state;
        }
        self.is_inferred = false;
        self.t_absent = Nanos::ZERO;
        self.fill_to(filled);
    }

    /// A trade of this order. True when it contradicts what was said before: the order was over
    /// with less, so that its last word must be said again.
    pub(super) fn trade(&mut self, size: Size) -> bool {
        self.traded = Size(self.traded.0.saturating_add(size.0));
        self.t_absent = Nanos::ZERO;
        let was_wrong = self.state.is_over() && self.traded > self.filled;
        self.fill_to(self.traded);
        was_wrong
    }

    /// The venue does not know it any more, or never did: over, with nothing beyond what is known.
    pub(super) fn conclude_absent(&mut self) {
        // One that the venue had given an id was there; some accounts' histories keep no order that
        // ended unfilled (D1, rate limits).
        self.state = match self.venue_id {
            0 => OrderState::Rejected,
            _ => OrderState::Cancelled,
        };
        self.is_inferred = true;
    }

    /// The venue's or the trades' cumulative size. What traded was never rejected.
    fn fill_to(&mut self, filled: Size) {
        self.filled = self.filled.max(filled);
        if self.state == OrderState::Rejected && self.filled > Size::ZERO {
            self.state = OrderState::Cancelled;
        }
    }

    /// How far trades told outside of the stream's row may fill it: up to its size, because its end
    /// may have been told wrong and the trades that belie it lost with their stream. But where its
    /// own trades may have been forgotten (`is_forgotten`), no more than its end leaves room for.
    pub(super) fn has_room_for(&self, size: Size, is_forgotten: bool) -> bool {
        let limit = if self.state.is_over() && is_forgotten {
            self.filled.min(self.size)
        } else {
            self.size
        };
        self.traded.0.saturating_add(size.0) <= limit.0
    }

    /// Whether its trades have fallen short of its filled size for this long.
    pub(super) fn is_short_since(&mut self, now: Nanos, grace_ns: u64) -> bool {
        let is_short = self.filled > self.traded && self.size > Size::ZERO;
        self.t_short = match (is_short, self.t_short) {
            (false, _) => Nanos::ZERO,
            (true, Nanos::ZERO) => now,
            (true, since) => since,
        };
        is_short && now.since(self.t_short) >= grace_ns
    }

    /// Its missing trades, if any are, are being asked for: they have the grace anew.
    pub(super) fn ask_trades(&mut self, now: Nanos) {
        if self.t_short != Nanos::ZERO {
            self.t_short = now;
            self.asks = (self.asks + 1).min(ASKS_MAX);
        }
    }

    /// Nobody told the missing trades. True the first time.
    pub(super) fn give_up_on_trades(&mut self) -> bool {
        let is_first = self.asks == ASKS_MAX;
        self.asks = ASKS_MAX + 1;
        is_first
    }
}

/// Trades booked already.
pub(super) struct SeenTrades {
    ids: Box<[u64]>,
    next: usize,
    /// All there ever were.
    pub(super) count: u64,
}

impl SeenTrades {
    pub(super) fn new() -> SeenTrades {
        SeenTrades {
            ids: vec![0; TRADES_MAX].into_boxed_slice(),
            next: 0,
            count: 0,
        }
    }

    /// Whether some of those seen since there were so many may be forgotten.
    pub(super) fn is_forgotten(&self, count: u64) -> bool {
        self.count - count >= TRADES_MAX as u64
    }

    /// Whether it was seen already.
    pub(super) fn knows(&self, id: u64) -> bool {
        self.ids.contains(&id)
    }

    /// Whether this trade is new; from now on it is not.
    pub(super) fn is_new(&mut self, id: u64) -> bool {
        if self.knows(id) {
            return false;
        }
        self.ids[self.next] = id;
        self.next = (self.next + 1) % TRADES_MAX;
        self.count += 1;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(id: u64, t: u64) -> Entry {
        Entry {
            venue_id: id + 1000,
            ..Entry::new(OrderId(id), InstrumentId(0), Size(100), Nanos(t))
        }
    }

    #[test]
    fn a_finished_order_of_long_ago_makes_room() {
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
        // Seats are taken in turn; one that is given back is found again.
        let last = table.by_id(OrderId(3)).unwrap();
        last.learn(OrderState::Filled, Size(100));
        for (id, gone) in [(901, 9), (902, 3)] {
            table.insert(entry(id, id));
            assert!(table.by_id(OrderId(gone)).is_none());
        }
        assert!(!table.has_room());
        table.insert(entry(903, 903));
        assert!(table.by_id(OrderId(903)).is_none(), "there was no room");
        let unheard = table.by_id(OrderId(902)).unwrap();
        unheard.venue_id = 0;
        table.forget(OrderId(902));
        table.forget(OrderId(901));
        assert!(table.by_id(OrderId(902)).is_none() && table.has_room());
        assert!(table.by_id(OrderId(901)).is_some(), "the venue knows it");
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
    fn what_an_end_leaves_out_may_still_be_told_while_trades_are_remembered() {
        let mut ended = entry(1, 1);
        ended.learn(OrderState::Cancelled, Size(40));
        assert!(ended.has_room_for(Size(100), false));
        assert!(!ended.has_room_for(Size(101), false));
        assert!(ended.has_room_for(Size(40), true));
        assert!(!ended.has_room_for(Size(41), true));
    }

    #[test]
    fn the_last_word_is_wrong_when_more_traded() {
        let mut entry = entry(1, 1);
        assert!(!entry.trade(Size(3)));
        entry.learn(OrderState::Cancelled, Size(5));
        assert!(!entry.trade(Size(2)), "late, but it was counted");
        assert!(entry.trade(Size(1)));
        assert_eq!((entry.filled, entry.traded), (Size(6), Size(6)));
        let mut refused = self::entry(2, 1);
        refused.learn(OrderState::Rejected, Size::ZERO);
        assert!(refused.trade(Size(1)));
        assert_eq!(refused.state, OrderState::Cancelled);
    }

    #[test]
    fn an_absence_is_believed_less_than_a_word() {
        let mut missed = Entry::new(OrderId(1), InstrumentId(0), Size(9), Nanos(1));
        missed.conclude_absent();
        assert_eq!(missed.state, OrderState::Rejected);
        missed.learn(OrderState::Working, Size(2));
        assert_eq!(
            (missed.state, missed.filled),
            (OrderState::Working, Size(2))
        );
        let mut known = entry(1, 1);
        known.conclude_absent();
        assert_eq!(known.state, OrderState::Cancelled);
    }

    #[test]
    fn missing_trades_are_asked_for_and_given_up() {
        let mut entry = entry(1, 1);
        entry.learn(OrderState::Filled, Size(5));
        let mut now = Nanos(1_000);
        for ask in 0..ASKS_MAX {
            assert!(!entry.is_short_since(now, 10), "ask {ask}");
            now = now.plus(10);
            assert!(entry.is_short_since(now, 10), "ask {ask}");
            entry.ask_trades(now);
        }
        assert!(entry.give_up_on_trades());
        assert!(!entry.give_up_on_trades(), "once");
        entry.trade(Size(5));
        assert!(!entry.is_short_since(now.plus(99), 10));
        let mut earlier = Entry::new(OrderId(2), InstrumentId(0), Size::ZERO, Nanos(1));
        earlier.learn(OrderState::Filled, Size(5));
        assert!(!earlier.is_short_since(now, 0), "another run's");
        assert!(!earlier.has_room_for(Size(5), false));
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
        assert!(seen.is_forgotten(0) && !seen.is_forgotten(2));
        assert!(seen.is_new(7));
    }
}
