//! What was expected of an edge at arrival, and what it would have made: the words for both.

use crate::market::units::{Bps, Nanos, Notional};
use crate::market::{InstrumentId, Reason, Venue};

/// Ways to order the legs of a pair, in the order of [`Score::edges`]: the slow venue's first, the
/// fast venue's first, both at once.
pub const ORDERS: usize = 3;

/// What an entry is expected to find when its first order matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expected {
    /// The leg that would go first; `None`: both at once.
    pub lead: Option<Venue>,
    /// Probability that the first order fills at its limit, in 10^-4.
    pub fill_e4: u32,
    /// Net edge given that fill, all legs, unwinds and misses of the second leg included.
    pub edge: Bps,
    /// One standard error of that edge.
    pub error: Bps,
    /// Edges (decayed, this market's and others') behind it.
    pub samples: u32,
}

impl Expected {
    /// Expected money: probability of the fill, times the edge given it, of this notional. What
    /// opportunities are ranked by.
    pub fn value(&self, notional: Notional) -> Notional {
        let made = self.edge.of(notional);
        Notional(made.0 * i128::from(self.fill_e4) / 10_000)
    }
}

/// An edge that was followed until its orders would have been matched, taken or not.
#[derive(Clone, Copy, Debug)]
pub struct Score {
    /// Which instrument.
    pub instrument: InstrumentId,
    /// Where the direction buys.
    pub long: Venue,
    /// Why it was refused then; `None`: it was taken.
    pub reason: Option<Reason>,
    /// It is the first of its episode for this reason (or the taking): sums over these count each
    /// opportunity once.
    pub is_first: bool,
    /// It is learned from: its books were good, its fair known, and it met a border of age.
    pub teaches: bool,
    /// Which kind of edge: venue that moved, age and size, by the scanner's own numbering.
    pub key: u16,
    /// When it was looked at.
    pub t_seen: Nanos,
    /// When the last of its orders would have been matched.
    pub t: Nanos,
    /// What both legs would have brought at the prices seen, all costs but slippage taken off.
    pub net: Bps,
    /// What was expected then; `None`: nothing was known.
    pub expected: Option<Expected>,
    /// What it would have made by the order of legs expected (slow first when nothing was known),
    /// `None` where the first order would have missed.
    pub made: Option<Bps>,
    /// The same for each order of legs.
    pub edges: [Option<Bps>; ORDERS],
    /// What could have been traded: depth at the touch less the haircut, at most the limit.
    pub notional: Notional,
}
