//! Markets that refuse or drop our orders again and again.
//!
//! A strike is an order that a venue rejected, or took and then did nothing with, as it turned out
//! when it was asked or by the position; a fill wipes the market's strikes out. An order that
//! missed its price is none.
//!
//! Refuses: to close a market for exits and hedges; those have tries of their own.

use crate::market::{INSTRUMENTS_MAX, InstrumentId, VENUE_COUNT, Venue};

/// Strikes in a row that close a market for entries. Larger: more of the budget goes into a market
/// that can't be traded. Smaller: one bad minute closes it for the run. An unwind may use five
/// orders on its own, so fewer would let one pair close a market.
const STRIKES_MAX: u8 = 5;

/// Strikes of every market.
pub struct Strikes {
    counts: [[u8; VENUE_COUNT]; INSTRUMENTS_MAX],
    out: [bool; INSTRUMENTS_MAX],
}

impl Strikes {
    /// None so far.
    pub fn new() -> Strikes {
        Strikes {
            counts: [[0; VENUE_COUNT]; INSTRUMENTS_MAX],
            out: [false; INSTRUMENTS_MAX],
        }
    }

    /// One more; true when it is the one that closes the market.
    pub fn strike(&mut self, venue: Venue, instrument: InstrumentId) -> bool {
        let count = &mut self.counts[instrument.idx()][venue.idx()];
        *count = count.saturating_add(1);
        *count >= STRIKES_MAX && !std::mem::replace(&mut self.out[instrument.idx()], true)
    }

    /// Something traded there.
    pub fn wipe(&mut self, venue: Venue, instrument: InstrumentId) {
        if let Some(counts) = self.counts.get_mut(instrument.idx()) {
            counts[venue.idx()] = 0;
        }
    }

    /// Closed for entries until the run ends.
    pub fn is_out(&self, instrument: InstrumentId) -> bool {
        self.out.get(instrument.idx()).copied().unwrap_or(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_in_a_row_without_a_fill_close_a_market_once() {
        let mut strikes = Strikes::new();
        let (at, other) = (InstrumentId(3), InstrumentId(4));
        for _ in 0..4 {
            assert!(!strikes.strike(Venue::Lighter, at));
            assert!(!strikes.strike(Venue::Lighter, other));
        }
        assert!(!strikes.strike(Venue::Extended, at), "the other venue's");
        strikes.wipe(Venue::Lighter, other);
        assert!(strikes.strike(Venue::Lighter, at));
        assert!(!strikes.strike(Venue::Lighter, at), "told once");
        assert!(!strikes.strike(Venue::Lighter, other));
        assert!(strikes.is_out(at) && !strikes.is_out(other));
        strikes.wipe(Venue::Lighter, InstrumentId(u16::MAX));
        assert!(!strikes.is_out(InstrumentId(u16::MAX)));
    }
}
