//! Does the venue hold what we think it holds? Asked at every beat, of every market.
//!
//! What a market should hold is what was there before the run, plus what the pairs explain by their
//! fills. The venue's position may run ahead of the fills or behind them for a moment, so only a
//! difference that stays while nothing is under way counts. It means a fill that never reached us,
//! a liquidation, or somebody else's hand: nothing this engine may trade on top of.
//!
//! Promises: a position that no pair explains raises halt, whether or not a pair is open.
//! Refuses: to correct it. What to do about a stranger's position is for a human to say.

use crate::market::event::HaltCause;
use crate::market::units::{Nanos, SECOND, Size};
use crate::market::{InstrumentId, VENUES, Venue};
use crate::scanner::Scanner;

/// A difference must stay this long. Larger: longer blind. Smaller: a slow position stream halts
/// a healthy run. Longer than a late fill may take.
const DRIFT_NS_MAX: u64 = 10 * SECOND;

impl Scanner {
    /// A position heard before the first pair was made is not ours: it was there before.
    pub(super) fn note_base(&mut self, venue: Venue, instrument: InstrumentId, size: Size) {
        if self.pairs_made > 0 {
            return;
        }
        if let Some(board) = self.boards.get_mut(instrument.idx()) {
            board.base[venue.idx()] = size;
        }
    }

    /// Compares every market's position with what explains it.
    pub(super) fn audit(&mut self, now: Nanos) {
        for idx in 0..self.boards.len() {
            let instrument = self.boards[idx].instrument.id;
            for venue in VENUES {
                let drift = self.drift(instrument, venue, now);
                let board = &mut self.boards[idx];
                let since = &mut board.drift_since[venue.idx()];
                if drift.0 == 0 {
                    *since = None;
                } else if now.since(*since.get_or_insert(now)) >= DRIFT_NS_MAX {
                    // Told once: from here on it counts as a stranger's.
                    *since = None;
                    board.base[venue.idx()] += drift;
                    self.desk.raise(HaltCause::Unexplained);
                }
            }
        }
    }

    /// The venue's word less everything that explains it; zero while something is under way, or
    /// while the venue can't be heard.
    fn drift(&self, instrument: InstrumentId, venue: Venue, now: Nanos) -> Size {
        let account = &self.desk.accounts[venue.idx()];
        let position = account.position(instrument).filter(|_| account.is_up);
        let Some(mut drift) = position else {
            return Size::ZERO;
        };
        drift -= self.boards[instrument.idx()].base[venue.idx()];
        for pair in &self.pairs[self.slots_of(instrument)] {
            if pair.is_moving() || (pair.is_active() && now < pair.t_late) {
                return Size::ZERO;
            }
            if pair.is_active() {
                drift -= pair.position(venue);
            }
        }
        drift
    }
}
