//! Prices and rates beside the books: what risk is judged by.

use crate::market::units::Nanos;
use crate::market::{InstrumentId, Venue};

/// What a [`Reference`] is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum ReferenceKind {
    /// The price by which the venue judges margin, quote per base.
    Mark = 0,
    /// The price of the underlying elsewhere, quote per base.
    Index = 1,
    /// What longs pay at the next hour, a ratio of notional (negative: shorts pay).
    Funding = 2,
    /// What is left of the market's open-interest limit, quote.
    OpenInterestLeft = 3,
}

/// Kinds there are.
pub const REFERENCE_KINDS: usize = 4;

/// One price or rate, on its way from a feed to the scanner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reference {
    /// Which instrument.
    pub instrument: InstrumentId,
    /// Which venue.
    pub venue: Venue,
    /// What it is.
    pub kind: ReferenceKind,
    /// Price or ratio at 10^-9, rounded to nearest.
    pub value_e9: i64,
    /// When the bytes were read.
    pub t_recv: Nanos,
}
