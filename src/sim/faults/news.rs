//! Faults of the account's news: what of orders, trades and positions is told late, twice, or after
//! a word that was not true.
//!
//! Promises: every frame is written when its event happens, with the state of that moment, and in
//! the end is told, in order within its class; a late word never overtakes an earlier one. Refuses
//! to lie about trades, positions and money: only an order's end is ever told wrong, and only until
//! its fill is told.

use crate::market::units::{MS, Nanos, Notional, Size};
use crate::sim::exchange::{Happening, OrderView, Status, TimeInForce, Trade, TradeKind};
use crate::sim::faults::kind::Kind;
use crate::sim::faults::{Faults, Strike};
use std::collections::VecDeque;
use std::sync::Arc;

/// Fills are told this much later: least, and most.
const LATE_MS: (u64, u64) = (1_000, 4_000);

/// What a frame of the account is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Orders.
    Orders,
    /// Trades, positions and money.
    Rest,
}

/// What happens to the news of one moment.
#[derive(Clone, Debug)]
pub enum Bend {
    /// Told late, each class by its own time, nanoseconds.
    Late {
        /// Of orders; zero: at once.
        orders_ns: u64,
        /// Of all else.
        rest_ns: u64,
    },
    /// This is told at once, and what is true so much later, nanoseconds.
    Lie {
        /// The order, cancelled with too little filled.
        told: Arc<OrderView>,
        /// How much later.
        late_ns: u64,
    },
    /// Told again behind itself.
    Twice,
}

impl Faults {
    /// What happens to the news of one moment, for somebody who listens.
    pub fn bend(&self, now: Nanos, happened: &[Happening]) -> Option<Bend> {
        let trade = happened.iter().find_map(own_trade);
        let order = happened.iter().find_map(|one| match one {
            Happening::Order(order) if order.status != Status::Pending => Some(order),
            _ => None,
        });
        let market = trade.map(|trade| trade.instrument);
        let market = market.or(order.map(|order| order.asked.instrument))?;
        let is_its = |order: &&Arc<OrderView>| trade.is_some_and(|one| one.order == order.number);
        let ended = order
            .filter(is_its)
            .filter(|order| is_filled_at_once(order));
        let bears = |strike: Strike| match strike.kind {
            Kind::LateFill => trade.is_some(),
            Kind::FillAfterCancel => ended.is_some(),
            Kind::Twice => true,
            _ => false,
        };
        let Strike { kind, draw } = self.seize(now, Some(market), bears)?;
        let (low, high) = LATE_MS;
        let late_ns = (low + (draw >> 8) % (high - low)) * MS;
        Some(match (kind, ended) {
            (Kind::LateFill, _) => Bend::Late {
                orders_ns: late_ns / 2 * (draw % 3),
                rest_ns: late_ns,
            },
            (Kind::FillAfterCancel, Some(order)) => Bend::Lie {
                told: Arc::new(untrue(order, trade.filter(|_| draw & 1 == 1))),
                late_ns,
            },
            _ => Bend::Twice,
        })
    }
}

/// A trade of an order of ours.
fn own_trade(happening: &Happening) -> Option<&Arc<Trade>> {
    match happening {
        Happening::Trade(trade) if trade.kind == TradeKind::Order => Some(trade),
        _ => None,
    }
}

/// An immediate order that is over, and has filled at least in part.
fn is_filled_at_once(order: &OrderView) -> bool {
    order.asked.time_in_force == TimeInForce::ImmediateOrCancel
        && matches!(order.status, Status::Filled | Status::Cancelled)
        && order.filled > Size::ZERO
}

/// The order, cancelled with nothing filled, or with no more than its first trade where it has
/// several.
fn untrue(order: &OrderView, first: Option<&Arc<Trade>>) -> OrderView {
    let mut told = order.clone();
    told.status = Status::Cancelled;
    (told.filled, told.filled_notional, told.fee) = match first {
        Some(trade) if trade.size < order.filled => {
            (trade.size, trade.price * trade.size, trade.fee)
        }
        _ => (Size::ZERO, Notional::ZERO, Notional::ZERO),
    };
    told
}

/// Frames of the account on their way to those who listen.
#[derive(Debug)]
pub struct Courier<T> {
    /// By [`Class`]: until when frames are held, and those that are, each with its place in the
    /// order of writing.
    classes: [(Nanos, VecDeque<(u64, T)>); 2],
    written: u64,
}

impl<T> Default for Courier<T> {
    fn default() -> Courier<T> {
        Courier {
            classes: [(Nanos(0), VecDeque::new()), (Nanos(0), VecDeque::new())],
            written: 0,
        }
    }
}

impl<T> Courier<T> {
    /// Holds a class back from now on, at least until this moment.
    pub fn delay(&mut self, class: Class, until: Nanos) {
        let (held_until, _) = &mut self.classes[class as usize];
        *held_until = until.max(*held_until);
    }

    /// Takes a frame: gives it back to be told at once, or keeps it.
    pub fn pass(&mut self, now: Nanos, class: Class, frame: T) -> Option<T> {
        self.written += 1;
        let (until, held) = &mut self.classes[class as usize];
        if now >= *until && held.is_empty() {
            return Some(frame);
        }
        held.push_back((self.written, frame));
        None
    }

    /// When the next frames are to be told.
    pub fn due(&self) -> Nanos {
        let held = self.classes.iter().filter(|(_, held)| !held.is_empty());
        let next = held.map(|(until, _)| *until).min();
        next.unwrap_or(Nanos(u64::MAX))
    }

    /// What is to be told by now, in the order in which it was written.
    pub fn take_due(&mut self, now: Nanos) -> Vec<T> {
        let mut due = Vec::new();
        for (until, held) in &mut self.classes {
            if now >= *until {
                due.extend(held.drain(..));
            }
        }
        due.sort_by_key(|(place, _)| *place);
        due.into_iter().map(|(_, frame)| frame).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_courier_keeps_the_order_of_each_class() {
        let mut courier = Courier::default();
        let at = Nanos;
        assert_eq!(courier.pass(at(1), Class::Rest, "a"), Some("a"));
        courier.delay(Class::Rest, at(10));
        assert_eq!(courier.pass(at(2), Class::Rest, "b"), None);
        assert_eq!(courier.pass(at(2), Class::Orders, "c"), Some("c"));
        assert_eq!(courier.due(), at(10));
        courier.delay(Class::Orders, at(8));
        assert_eq!(courier.pass(at(3), Class::Orders, "d"), None);
        assert_eq!(courier.pass(at(4), Class::Rest, "e"), None);
        assert_eq!(courier.due(), at(8));
        assert_eq!(courier.take_due(at(7)), Vec::<&str>::new());
        assert_eq!(courier.take_due(at(10)), ["b", "d", "e"]);
        assert_eq!(courier.due(), at(u64::MAX));
        assert_eq!(courier.pass(at(10), Class::Rest, "f"), Some("f"));
    }

    #[test]
    fn what_is_due_but_not_yet_told_is_not_overtaken() {
        let mut courier = Courier::default();
        courier.delay(Class::Rest, Nanos(10));
        assert_eq!(courier.pass(Nanos(5), Class::Rest, 1), None);
        assert_eq!(courier.pass(Nanos(11), Class::Rest, 2), None);
        assert_eq!(courier.take_due(Nanos(11)), [1, 2]);
    }
}
