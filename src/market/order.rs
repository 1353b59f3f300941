//! What crosses the order and report links: orders out, reports back. Plain `Copy` values.
//!
//! An [`OrderId`] explains an order by itself: run, pair, and leg with attempt. It is the client id
//! at both venues, so after a crash the venue's own list explains every order without a disk.

use crate::market::book::Side;
use crate::market::units::{Nanos, Notional, Price, Size};
use crate::market::{InstrumentId, Venue};

/// Client order id: 48 bits (Lighter's width) = 16 run, 24 pair, 8 leg and attempt. Never zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OrderId(pub u64);

impl OrderId {
    /// Not an order of ours.
    pub const NONE: OrderId = OrderId(0);

    /// Puts an id together. `pair` wraps at 2^24; `leg_attempt` counts orders of one pair.
    pub const fn new(run: u16, pair: u32, leg_attempt: u8) -> OrderId {
        OrderId(((run as u64) << 32) | (((pair & 0xFF_FFFF) as u64) << 8) | leg_attempt as u64)
    }

    /// The run that made it.
    pub const fn run(self) -> u16 {
        (self.0 >> 32) as u16
    }

    /// The pair within the run, modulo 2^24.
    pub const fn pair(self) -> u32 {
        ((self.0 >> 8) & 0xFF_FFFF) as u32
    }

    /// Leg and attempt within the pair.
    pub const fn leg_attempt(self) -> u8 {
        self.0 as u8
    }
}

/// What the scanner asks of a gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Immediate-or-cancel limit order at `Order::price` (the worst acceptable price).
    Place,
    /// Cancel the order with this id, if it is still open.
    Cancel,
    /// Ask the venue what became of this order (after a time-out); the answer comes as reports.
    Query,
}

/// An instruction for one leg, from the scanner to a gateway.
#[derive(Clone, Copy, Debug)]
pub struct Order {
    /// Client id; the same at the venue.
    pub id: OrderId,
    /// What to do.
    pub action: Action,
    /// Where.
    pub venue: Venue,
    /// On which instrument.
    pub instrument: InstrumentId,
    /// `Bid` buys, `Ask` sells.
    pub side: Side,
    /// Worst acceptable price, on the market's tick.
    pub price: Price,
    /// Size on the market's lot, positive.
    pub size: Size,
    /// May only make a position smaller.
    pub reduce_only: bool,
    /// When the market data that caused an entry was read; zero on any other order.
    pub t_tick: Nanos,
    /// When the scanner decided.
    pub t_decide: Nanos,
}

/// Where an order stands. *Unknown* is a state: it is what a time-out means.
///
/// ```text
/// Sent -> Working | Filled | Cancelled | Rejected | Unknown
/// Working -> Filled | Cancelled | Unknown;  Unknown -> any, by the venue's own word
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OrderState {
    /// Bytes left; nothing heard.
    Sent,
    /// The venue has taken it; that is not a fill.
    Working,
    /// All of it traded.
    Filled,
    /// Over, possibly after partial fills.
    Cancelled,
    /// Refused; nothing traded.
    Rejected,
    /// Nobody knows; counts as the worst of both outcomes.
    Unknown,
}

impl OrderState {
    /// Nothing more can happen to it.
    pub const fn is_over(self) -> bool {
        match self {
            OrderState::Filled | OrderState::Cancelled | OrderState::Rejected => true,
            OrderState::Sent | OrderState::Working | OrderState::Unknown => false,
        }
    }
}

/// What came back, from a gateway to the scanner.
#[derive(Clone, Copy, Debug)]
pub struct Report {
    /// Which gateway speaks.
    pub venue: Venue,
    /// The instrument; meaningless for account-wide kinds.
    pub instrument: InstrumentId,
    /// Our order, or [`OrderId::NONE`].
    pub order: OrderId,
    /// When the bytes were read.
    pub t: Nanos,
    /// What happened.
    pub kind: ReportKind,
}

/// The kinds of report.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ReportKind {
    /// The order's bytes have left (`t` is when).
    Sent,
    /// The order never left: the gateway refused it. Nothing can have happened.
    NotSent {
        /// Why.
        why: Refusal,
    },
    /// The venue took the order ("queued"). Not a fill.
    Acknowledged,
    /// The venue refused it with its own code. Nothing traded.
    Rejected {
        /// The venue's own error code.
        code: u32,
    },
    /// A trade of ours, from the account stream, once per trade id.
    Fill {
        /// The venue's trade id.
        trade: u64,
        /// `Bid` if we bought.
        side: Side,
        /// Price of this trade.
        price: Price,
        /// Size of this trade, positive.
        size: Size,
        /// Fee we paid for it; zero or positive.
        fee: Notional,
    },
    /// The venue's word on the order: its state and cumulative filled size.
    State {
        /// Where it stands.
        state: OrderState,
        /// Cumulative filled size.
        filled: Size,
    },
    /// Our position on the market, signed (long positive), by the venue.
    Position {
        /// Signed size.
        size: Size,
    },
    /// Account money by the venue.
    Balance {
        /// Collateral and unrealised profit.
        equity: Notional,
        /// Free for new positions.
        available: Notional,
    },
    /// Funding was paid for our position on the market; once per payment.
    Funding {
        /// Received; negative: paid.
        amount: Notional,
        /// The position it was paid for, signed.
        size: Size,
    },
    /// Our place in the venue's queue for deleveraging on this market.
    Queue {
        /// 1 to 4, 4 is taken first; 0 without a position, or where the venue's word is not known.
        rank: u8,
    },
    /// A trade on our account that no order made: the venue took a position away. Once per trade
    /// id.
    Forced {
        /// The venue's trade id.
        trade: u64,
        /// `Bid` if it bought for us.
        side: Side,
        /// Price of this trade.
        price: Price,
        /// Size of this trade, positive.
        size: Size,
        /// Fee we paid for it; zero or positive.
        fee: Notional,
        /// By what right.
        why: Force,
    },
    /// The venue says that it is closed for maintenance, or open again. While closed it takes no
    /// orders, and `Down` holds.
    Closed {
        /// Closed from now on.
        closed: bool,
    },
    /// Account stream and order connection are both live and in step.
    Up,
    /// One of them is lost: nothing may be entered until `Up`.
    Down,
}

/// By what right a venue trades for an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Force {
    /// The margin was used up.
    Liquidation,
    /// Somebody else's margin was, and our gain was taken against it (auto-deleveraging).
    Deleverage,
}

/// How an order came by its signature; the faster ways first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signing {
    /// It was signed as a whole before it was asked for.
    Ready,
    /// With a nonce point prepared ahead.
    Ahead,
    /// In full, on the spot.
    Full,
    /// It needs none (queries, unsigned cancels).
    Unsigned,
}

/// News of the account that nothing in the gateway explains. Zero on a healthy account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Strays {
    /// Orders, trades and positions of somebody else: placed by hand, by another program, or on a
    /// market that this run does not know.
    pub foreign: u64,
    /// Orders that have filled further, by the venue's lists, than its account stream has told.
    pub missing: u64,
}

/// Why a gateway did not send an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The connection for orders is not live.
    NotConnected,
    /// No free lane: every key or connection has an unanswered order.
    Busy,
    /// Price or size is off the market's grid or out of the venue's range.
    OffGrid,
    /// The market is not in this gateway's table.
    UnknownMarket,
    /// The venue's nonce must be asked anew first.
    NonceUnknown,
    /// The venue's rate budget is used up.
    RateBudget,
    /// Signing failed (should not happen; counted).
    Signing,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_keep_their_parts() {
        let id = OrderId::new(0xBEEF, 0x01_2345, 7);
        assert_eq!(
            (id.run(), id.pair(), id.leg_attempt()),
            (0xBEEF, 0x01_2345, 7)
        );
        assert!(id.0 < 1 << 48);
        assert_eq!(OrderId::new(1, 0x0100_0001, 0).pair(), 1);
    }
}
