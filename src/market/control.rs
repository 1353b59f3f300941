//! What `main` and the scanner tell each other: rare words one way, a state at every beat back.
//!
//! Promises: plain values on links of their own, apart from the journal. Refuses: deciding.

use crate::market::lasting::{Breakers, Restored, Standing};
use crate::market::units::{Bps, Notional, Price, Size};
use crate::market::{InstrumentId, VENUE_COUNT, Venue};

/// What `main` tells the scanner. Cold, rare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Control {
    /// No new pairs from now on; open pairs go on as they would. `drained` says that none moves.
    EntriesOff,
    /// No new pairs, and leave every open pair now; then report `drained`.
    Drain,
    /// Whether one instrument may be entered, from now on; its open pairs go on as they would.
    Entries {
        /// Which instrument.
        instrument: InstrumentId,
        /// It may.
        allowed: bool,
    },
    /// What the account's orders on one market cost and how long they take, from now on.
    Terms(Terms),
    /// What a venue has left of a market's open-interest limit now; `None`: it states none.
    OpenInterest {
        /// Which instrument.
        instrument: InstrumentId,
        /// On which venue.
        venue: Venue,
        /// So much.
        left: Option<Notional>,
    },
    /// Money is on its way between the venues: what it leaves bounds the positions of either.
    Transfer {
        /// On which venue.
        venue: Venue,
        /// Most that all positions may come to there until it has arrived, USD. `None`: it has.
        most: Option<Notional>,
    },
    /// A hedged position that stood when the run began, to be managed as a pair of this run.
    Adopt(Adopted),
    /// The circuit breakers as they are kept: at the start, and after a human's reset.
    Breakers(Restored),
    /// What a market's pairs had earned it before the run began.
    Standing {
        /// Which.
        instrument: InstrumentId,
        /// So much.
        standing: Standing,
    },
    /// What the fair basis was before the run began (Lighter mid over Extended mid, bps).
    FairSeed {
        /// Which instrument.
        instrument: InstrumentId,
        /// The basis.
        basis: Bps,
    },
}

/// What an account's tier means for its orders on one market.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// Which instrument.
    pub instrument: InstrumentId,
    /// On which venue.
    pub venue: Venue,
    /// Taker fee, bps of notional.
    pub fee_taker: Bps,
    /// Maker fee.
    pub fee_maker: Bps,
    /// From sending an order to its match, nanoseconds.
    pub match_delay_ns: u64,
    /// Orders a minute on all of the venue's markets; the start's is the most.
    pub orders_per_minute: u32,
}

/// Two legs of one size that were there before the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Adopted {
    /// On which instrument.
    pub instrument: InstrumentId,
    /// Where it is long; it is short on the other.
    pub long: Venue,
    /// Size of each leg, positive, on both lots.
    pub size: Size,
    /// Average entry prices by the venues, by venue.
    pub entry: [Price; VENUE_COUNT],
}

/// What the scanner tells `main` at every beat; the latest counts, a full link drops it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Status {
    /// Pairs that are hedged or on their way in or out.
    pub pairs_open: u32,
    /// Pairs with exposure on one venue only.
    pub pairs_legged: u32,
    /// Pairs that need a human.
    pub pairs_stuck: u32,
    /// Pairs finished so far, missed ones included.
    pub pairs_done: u32,
    /// Both gateways report their streams live.
    pub gateways_up: bool,
    /// Instruments whose fair is known and whose books are both live.
    pub instruments_live: u32,
    /// Nothing is open and nothing will be opened.
    pub drained: bool,
    /// The circuit breakers.
    pub breakers: Breakers,
}
