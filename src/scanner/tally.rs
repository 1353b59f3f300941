//! What all pairs together stand for, kept up as each of them acts, so that a decision costs the
//! same with one pair open as with eight hundred.
//!
//! Promises: equals the sum over all pairs, each at its worst case, whenever every pair that has
//! changed was counted since. Refuses: to know limits.

use crate::market::units::Notional;
use crate::market::{VENUE_COUNT, VENUES, Venue};
use crate::scanner::pair::Pair;

/// One pair's part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Part {
    /// Notional open or on its way, by venue.
    pub gross: [Notional; VENUE_COUNT],
    /// Notional on its way in, by venue.
    pub pending: [Notional; VENUE_COUNT],
    /// Its following leg is yet to be sent, by venue.
    pub awaits: [bool; VENUE_COUNT],
}

impl Part {
    /// Of a pair as it stands now.
    pub fn of(pair: &Pair) -> Part {
        let mut part = Part::default();
        if !pair.is_active() {
            return part;
        }
        for venue in VENUES {
            let idx = venue.idx();
            let (leg, size) = (&pair.legs[idx], pair.exposure(venue));
            part.gross[idx] = leg.entry_promise * size;
            part.pending[idx] = leg.entry_promise * (size - leg.held);
            part.awaits[idx] = awaits(pair, venue);
        }
        part
    }
}

/// A following leg that has not filled is still to be sent, or sent again: that order is spoken
/// for.
fn awaits(pair: &Pair, venue: Venue) -> bool {
    let leg = &pair.legs[venue.idx()];
    let follows = pair.lead.is_some_and(|lead| lead != venue);
    follows && pair.is_moving() && leg.order.is_none() && leg.opened.0 == 0
}

/// The sum of all parts.
pub struct Tally {
    parts: Box<[Part]>,
    /// Slots that are taken: close together, since all of them are asked at every beat.
    taken: Box<[bool]>,
    /// Notional open or on its way, by venue.
    pub gross: [Notional; VENUE_COUNT],
    /// Notional on its way in, by venue; may be below nothing after an over-close.
    pub pending: [Notional; VENUE_COUNT],
    /// Following legs yet to be sent, by venue.
    pub awaited: [usize; VENUE_COUNT],
    /// Pairs that hold their slots.
    pub active: usize,
}

impl Tally {
    /// For so many slots, all free.
    pub fn new(slots: usize) -> Tally {
        Tally {
            parts: vec![Part::default(); slots].into_boxed_slice(),
            taken: vec![false; slots].into_boxed_slice(),
            gross: [Notional::ZERO; VENUE_COUNT],
            pending: [Notional::ZERO; VENUE_COUNT],
            awaited: [0; VENUE_COUNT],
            active: 0,
        }
    }

    /// Counts a slot anew.
    pub fn count(&mut self, slot: usize, pair: &Pair) {
        let now = Part::of(pair);
        let before = std::mem::replace(&mut self.parts[slot], now);
        for idx in 0..VENUE_COUNT {
            self.gross[idx] += now.gross[idx] - before.gross[idx];
            self.pending[idx] += now.pending[idx] - before.pending[idx];
            self.awaited[idx] += usize::from(now.awaits[idx]);
            self.awaited[idx] -= usize::from(before.awaits[idx]);
        }
        let was_taken = std::mem::replace(&mut self.taken[slot], pair.is_active());
        self.active += usize::from(pair.is_active());
        self.active -= usize::from(was_taken);
    }

    /// Whether it is the sum over these pairs. Looks at all of them: what tests hold it against.
    pub fn is_of(&self, pairs: &[Pair]) -> bool {
        let mut gross = [Notional::ZERO; VENUE_COUNT];
        let mut pending = [Notional::ZERO; VENUE_COUNT];
        let mut awaited = [0; VENUE_COUNT];
        for part in pairs.iter().map(Part::of) {
            for idx in 0..VENUE_COUNT {
                gross[idx] += part.gross[idx];
                pending[idx] += part.pending[idx];
                awaited[idx] += usize::from(part.awaits[idx]);
            }
        }
        let active = pairs.iter().filter(|pair| pair.is_active()).count();
        let sums = (self.gross, self.pending, self.awaited, self.active);
        sums == (gross, pending, awaited, active)
    }

    /// Whether a slot was taken when it was counted last.
    #[inline]
    pub fn is_active(&self, slot: usize) -> bool {
        self.taken[slot]
    }

    /// Notional of a slot on a venue.
    pub fn value(&self, slot: usize, venue: Venue) -> Notional {
        self.parts[slot].gross[venue.idx()]
    }
}
