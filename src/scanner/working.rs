//! An order in flight as its leg sees it: what it is for, what was said of it, how far it is
//! understood.
//!
//! Promises: an order is over only when the venue's word on it and the fills received agree, or
//! when it can't have left. Refuses: to act; that is `send.rs`.

use crate::market::book::Side;
use crate::market::order::{OrderId, OrderState, Report, ReportKind};
use crate::market::units::{Nanos, Notional, Price, SECOND, Size};

/// After a venue's last word on an order, fills may still come for this long. Larger: slots are
/// held longer after a miss. Smaller: a late fill finds nobody.
pub const LATE_FILL_NS: u64 = 3 * SECOND;

/// The bits of an id's attempt that number a pair's orders; the eighth names the venue.
pub const ORDERS_MASK: u8 = 0x7F;

/// What an order is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// First order of the entry.
    Entry,
    /// Follows a fill of the other leg.
    Hedge,
    /// First order of an exit, reduce-only.
    Exit,
    /// Any other close, reduce-only.
    Close,
    /// Raises a lone remainder that is too small to be closed, so that it can be.
    TopUp,
}

impl Role {
    /// It makes the position larger.
    pub const fn opens(self) -> bool {
        match self {
            Role::Entry | Role::Hedge | Role::TopUp => true,
            Role::Exit | Role::Close => false,
        }
    }
}

/// How far an order is understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// In flight within its time.
    Open,
    /// Nobody knows: too long without a word, or words that disagree.
    Unsure,
    /// Nothing more can happen to it.
    Over,
}

/// An order in flight.
#[derive(Clone, Copy, Debug)]
pub struct Working {
    /// Its client id.
    pub id: OrderId,
    /// What it is for.
    pub role: Role,
    /// Buys or sells.
    pub side: Side,
    /// Its limit.
    pub price: Price,
    /// What it asked.
    pub size: Size,
    /// Sum of its fills.
    pub filled: Size,
    /// What the ladder promised.
    pub promise: Price,
    /// What the ladder showed for it when it left; zero: not looked at.
    pub shown: Price,
    /// Part of the plan; otherwise its deviation is repair.
    pub planned: bool,
    /// By the venue.
    pub state: OrderState,
    /// Cumulative fill by the venue's last word, once the order is over there.
    pub said: Option<Size>,
    /// Refused by the gateway: it never left.
    pub never_left: bool,
    /// Something was heard of it that only an order that left can cause.
    pub has_left: bool,
    /// When it was pushed.
    pub t_push: Nanos,
    /// When the venue's last word came.
    pub t_said: Nanos,
    /// When it became unsure.
    pub unsure_since: Option<Nanos>,
    /// When to ask next.
    pub t_query: Nanos,
}

impl Working {
    /// How far it is understood now.
    pub fn standing(&self, now: Nanos, timeout_ns: u64) -> Standing {
        if self.never_left || self.filled >= self.size {
            return Standing::Over;
        }
        match self.said {
            Some(said) if self.filled >= said => Standing::Over,
            Some(_) if now.since(self.t_said) < LATE_FILL_NS => Standing::Open,
            Some(_) => Standing::Unsure,
            None if self.state == OrderState::Unknown => Standing::Unsure,
            None if now.since(self.t_push) >= timeout_ns => Standing::Unsure,
            None => Standing::Open,
        }
    }

    /// Takes the venue's (or the gateway's) word on its state.
    pub fn hear(&mut self, state: OrderState, filled: Size, t: Nanos) {
        self.has_left = true;
        self.state = state;
        if state.is_over() {
            let said = self.said.unwrap_or(Size::ZERO);
            self.said = Some(said.max(filled));
            self.t_said = t;
        }
    }

    /// What may still fill.
    pub fn rest(&self) -> Size {
        Size((self.size - self.filled).0.max(0))
    }
}

/// One trade of ours on one leg.
#[derive(Clone, Copy, Debug)]
pub struct Fill {
    /// Of which order.
    pub id: OrderId,
    /// Bought or sold.
    pub side: Side,
    /// Price.
    pub price: Price,
    /// Size.
    pub size: Size,
    /// Fee paid.
    pub fee: Notional,
    /// When it was read.
    pub t: Nanos,
}

impl Fill {
    /// What a report tells, if it is of a trade.
    pub fn of(report: &Report) -> Option<Fill> {
        let ReportKind::Fill {
            side,
            price,
            size,
            fee,
            ..
        } = report.kind
        else {
            return None;
        };
        Some(Fill {
            id: report.order,
            side,
            price,
            size,
            fee,
            t: report.t,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNIT: i64 = 1_000_000_000;

    #[test]
    fn an_order_is_over_when_word_and_fills_agree() {
        let mut order = Working {
            id: OrderId::new(1, 1, 1),
            role: Role::Entry,
            side: Side::Bid,
            price: Price(UNIT),
            size: Size(4),
            filled: Size::ZERO,
            promise: Price(UNIT),
            shown: Price(UNIT),
            planned: true,
            state: OrderState::Sent,
            said: None,
            never_left: false,
            has_left: false,
            t_push: Nanos(0),
            t_said: Nanos(0),
            unsure_since: None,
            t_query: Nanos(0),
        };
        let timeout = SECOND;
        assert_eq!(order.standing(Nanos(1), timeout), Standing::Open);
        assert_eq!(order.standing(Nanos(SECOND), timeout), Standing::Unsure);
        order.hear(OrderState::Cancelled, Size(3), Nanos(10));
        assert_eq!(order.standing(Nanos(11), timeout), Standing::Open);
        let late = Nanos(10 + LATE_FILL_NS);
        assert_eq!(order.standing(late, timeout), Standing::Unsure);
        order.filled = Size(3);
        assert_eq!(order.standing(late, timeout), Standing::Over);
        // A second, smaller word does not take the first back.
        order.hear(OrderState::Cancelled, Size(0), Nanos(12));
        assert_eq!(order.said, Some(Size(3)));
        assert_eq!(order.rest(), Size(1));
    }
}
