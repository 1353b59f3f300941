//! Cold hands on an account: what is open, what was done, cancel all, make a position smaller.
//!
//! REST alone, blocking, no thread of the engine: `flatten` and the start of a run stand on it, and
//! it works while an engine hangs. Promises: nothing here can make a position larger; an amount
//! that can't be read exactly is an error, never zero. Refuses: to open anything, and to guess.
//!
//! [`extended`] and [`lighter`] are the hands, [`plan`] says what is held and what of it is even,
//! [`settle`] brings an account to where it should stand, [`even`] both at the start of a run.

mod closing;
pub mod even;
pub mod extended;
pub mod lighter;
pub mod plan;
pub mod settle;

#[cfg(test)]
mod tests;

pub use closing::is_by_hand;

use crate::market::Venue;
use crate::market::book::Side;
use crate::market::order::OrderId;
use crate::market::units::{Bps, Price, Size};
use std::fmt;

/// A position by the venue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// The venue's name of the market.
    pub market: String,
    /// Signed size, never zero.
    pub size: Size,
    /// Average entry price.
    pub entry: Price,
}

/// An order that rests at the venue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resting {
    /// The venue's name of the market.
    pub market: String,
    /// Our id, or [`OrderId::NONE`] when it was not made by this program.
    pub id: OrderId,
}

/// An order that is over and has traded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Done {
    /// The venue's name of the market.
    pub market: String,
    /// Our id, or [`OrderId::NONE`] when it was not made by this program.
    pub id: OrderId,
    /// Bought or sold.
    pub side: Side,
    /// What traded of it.
    pub filled: Size,
}

/// Why something could not be done: whose fault, in one sentence without secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HandsError(pub String);

impl fmt::Display for HandsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for HandsError {}

/// One venue's account.
pub trait Hands {
    /// Which venue.
    fn venue(&self) -> Venue;
    /// The venue's name of every market it lists, traded or not.
    fn markets(&self) -> Result<Vec<String>, HandsError>;
    /// Every position that is not zero, of every market of the account.
    fn positions(&self) -> Result<Vec<Held>, HandsError>;
    /// Every open order, of whoever placed it.
    fn resting(&self) -> Result<Vec<Resting>, HandsError>;
    /// The last orders that traded, newest first, as many as a few pages of the venue hold.
    fn done(&self) -> Result<Vec<Done>, HandsError>;
    /// Cancels every open order. Accepted is not done: ask [`Hands::resting`] again.
    fn cancel_all(&mut self) -> Result<(), HandsError>;
    /// The same, of one market by the venue's name.
    fn cancel_market(&mut self, market: &str) -> Result<(), HandsError>;
    /// Sends one reduce-only immediate-or-cancel order that takes `size` (positive) off what
    /// `held` says, no further than `band` beyond the venue's own mark. Accepted is not filled: ask
    /// [`Hands::positions`] again.
    fn reduce(&mut self, held: &Held, size: Size, band: Bps) -> Result<(), HandsError>;
}
