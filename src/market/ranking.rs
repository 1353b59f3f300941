//! The board: every direction of every instrument, best first, as a cold thread may read it.

use crate::market::edge::Parts;
use crate::market::score::Expected;
use crate::market::units::{Nanos, Notional, Size};
use crate::market::{InstrumentId, Reason, Venue};

/// One direction of one instrument, and its place among all.
#[derive(Clone, Copy, Debug)]
pub struct Ranked {
    /// Its place; 1 is the best.
    pub rank: u16,
    /// How many there are: the last row of a board is the one whose rank this is.
    pub of: u16,
    /// When it was looked at.
    pub t: Nanos,
    /// Which instrument.
    pub instrument: InstrumentId,
    /// Where we would buy.
    pub long: Venue,
    /// The edge at the touches, and everything that goes off it.
    pub parts: Parts,
    /// What is expected of it at arrival: survival, and the edge given a fill; `None` while nothing
    /// is known of its kind, or no edge stands.
    pub expected: Option<Expected>,
    /// What would be entered now; zero where it is refused before a size is known.
    pub size: Size,
    /// Expected money at arrival, of that size: what boards are ranked by.
    pub value: Notional,
    /// The limit that bound the size; `None`: the books did.
    pub bound: Option<Reason>,
    /// Why it would not be entered now; `None`: it would.
    pub refused: Option<Reason>,
}

impl Ranked {
    /// A direction of which nothing is known but why; not ranked yet.
    pub fn blank(instrument: InstrumentId, long: Venue, t: Nanos, refused: Reason) -> Ranked {
        Ranked {
            rank: 0,
            of: 0,
            t,
            instrument,
            long,
            parts: Parts::default(),
            expected: None,
            size: Size::ZERO,
            value: Notional::ZERO,
            bound: None,
            refused: Some(refused),
        }
    }
}
