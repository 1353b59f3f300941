//! What the scanner tells a gateway beside orders: what it would send next, so that it can be
//! signed before it is wanted. Advice: no order is made of it, and none is lost when it is.

use crate::market::InstrumentId;
use crate::market::book::Side;
use crate::market::units::{Price, Size};

/// One order that may be sent soon, as far as its signature covers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rung {
    /// On which instrument.
    pub instrument: InstrumentId,
    /// `Bid` buys, `Ask` sells.
    pub side: Side,
    /// Worst acceptable price, on the market's tick.
    pub price: Price,
    /// Size on the market's lot, positive.
    pub size: Size,
}

/// One word of advice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Foresight {
    /// The next order may be this one.
    Rung(Rung),
    /// Nothing signed ahead for this instrument may be used any more.
    Drop(InstrumentId),
    /// Nor for any other.
    DropAll,
}
