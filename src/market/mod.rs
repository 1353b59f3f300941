//! The words of trade: venues, instruments, markets and their grids. Plain values, no I/O.
//!
//! Promises: every type here is `Copy` or built once at start; money and sizes are exact integers.
//! Refuses: anything that depends on how one exchange spells things.

pub mod book;
mod bounds;
pub mod calendar;
mod control;
mod decimal;
pub mod edge;
pub mod event;
pub mod foresight;
pub mod frame;
mod heard;
mod ladder;
pub mod lasting;
pub mod level;
pub mod order;
pub mod quotient;
pub mod ranking;
mod reason;
pub mod reference;
pub mod score;
pub mod step;
pub mod units;

pub use bounds::Bounds;

pub use crate::market::reason::Reason;
use crate::market::units::{Bps, Notional, Price, Size};

/// An exchange. The numeric value indexes per-venue arrays and crosses links.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Venue {
    /// Extended (Starknet), <https://extended.exchange>.
    Extended = 0,
    /// Lighter (zk order book), <https://lighter.xyz>.
    Lighter = 1,
}

/// Number of venues; the length of per-venue arrays.
pub const VENUE_COUNT: usize = 2;

/// Both venues in index order.
pub const VENUES: [Venue; VENUE_COUNT] = [Venue::Extended, Venue::Lighter];

impl Venue {
    /// Index into per-venue arrays, 0 or 1.
    pub const fn idx(self) -> usize {
        self as usize
    }

    /// The venue on the other side of a pair.
    pub const fn other(self) -> Venue {
        match self {
            Venue::Extended => Venue::Lighter,
            Venue::Lighter => Venue::Extended,
        }
    }

    /// Lower-case name as used in JSON output and thread names.
    pub const fn name(self) -> &'static str {
        match self {
            Venue::Extended => "extended",
            Venue::Lighter => "lighter",
        }
    }
}

/// Most instruments one run can hold (style: everything has a limit). Larger only costs memory.
pub const INSTRUMENTS_MAX: usize = 256;

/// Index of an instrument (what both venues list) in the run's table, `0..INSTRUMENTS_MAX`.
/// Never a venue's own market number: those live in [`Market::venue_market`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct InstrumentId(pub u16);

impl InstrumentId {
    /// Index into per-instrument tables.
    pub const fn idx(self) -> usize {
        self.0 as usize
    }
}

/// A short market name held by value, at most 23 bytes, so that it can cross links.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Name {
    len: u8,
    bytes: [u8; 23],
}

impl Name {
    /// Takes a name; `None` when it is empty, longer than 23 bytes, or not printable ASCII.
    pub fn new(text: &str) -> Option<Name> {
        let ok = (1..=23).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
        ok.then(|| {
            let mut bytes = [0; 23];
            bytes[..text.len()].copy_from_slice(text.as_bytes());
            Name {
                len: text.len() as u8,
                bytes,
            }
        })
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.bytes[..self.len as usize]).expect("ASCII was checked in new")
    }
}

impl std::fmt::Debug for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One perpetual on one venue, with the grid its orders must lie on. Read from the venue at start.
#[derive(Clone, Copy, Debug)]
pub struct Market {
    /// Which exchange.
    pub venue: Venue,
    /// The instrument both venues list; same value on both sides of a pair.
    pub instrument: InstrumentId,
    /// The venue's own name: `BTC-USD` on Extended, `BTC` on Lighter.
    pub name: Name,
    /// The venue's own number. Lighter: `market_id` (0 is a real market, ETH). Extended: unused, 0.
    pub venue_market: u32,
    /// Smallest price step.
    pub tick: Price,
    /// Smallest size step.
    pub lot: Size,
    /// Smallest order size.
    pub size_min: Size,
    /// Smallest order notional in quote; zero where the venue states none.
    pub notional_min: Notional,
    /// Our account's taker fee on this market, bps of notional.
    pub fee_taker: Bps,
    /// Our account's maker fee on this market, bps of notional.
    pub fee_maker: Bps,
    /// Margins, and the largest order and position.
    pub bounds: Bounds,
}

/// One instrument and its two markets, indexed by [`Venue::idx`].
#[derive(Clone, Copy, Debug)]
pub struct Instrument {
    /// Index in the run's table.
    pub id: InstrumentId,
    /// The underlying's name, e.g. `BTC`.
    pub name: Name,
    /// The market on each venue.
    pub markets: [Market; VENUE_COUNT],
}
