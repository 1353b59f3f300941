//! Does the venue hold what we think it holds? Asked at every beat, of every market.
//!
//! What a market should hold is what was there before the run, plus what the pairs explain by their
//! fills. The venue's position may run ahead of the fills or behind them for a moment, so only a
//! difference that stays while nothing is under way counts. Where the pairs' legs have become
//! smaller, the venue took them away, and the other legs follow (`outside.rs`). Any other means a
//! fill that never reached us or somebody else's hand: nothing this engine may trade on top of.
//!
//! Promises: a position that no pair explains raises halt, whether or not a pair is open.
//! Refuses: to correct it. What to do about a stranger's position is for a human to say.

use crate::market::event::{Apart, HaltCause};
use crate::market::units::{Nanos, SECOND, Size};
use crate::market::{InstrumentId, VENUE_COUNT, VENUES, Venue};
use crate::scanner::Scanner;
use crate::scanner::outside::Source;
use crate::scanner::pair::Pair;

/// A difference must stay this long. Larger: longer blind. Smaller: a slow position stream halts
/// a healthy run. Longer than a late fill may take, and than a stream that died without a word is
/// taken for alive while something trades.
const DRIFT_NS_MAX: u64 = 30 * SECOND;

impl Scanner {
    /// A position heard before the first pair was made is not ours: it was there before. Of the
    /// first word on a market that comes after a pair was adopted there, the pair's part is ours.
    pub(super) fn note_base(&mut self, venue: Venue, instrument: InstrumentId, size: Size) {
        let Some(watch) = self.watches.get_mut(instrument.idx()) else {
            return;
        };
        let is_first = !std::mem::replace(&mut watch.is_heard[venue.idx()], true);
        let pairs = &self.pairs[self.slots_of(instrument)];
        let is_adopted = |pair: &Pair| !pair.is_active() || pair.is_untouched();
        if self.pairs_made == 0 {
            self.boards[instrument.idx()].base[venue.idx()] = size;
        } else if is_first && pairs.iter().all(is_adopted) {
            let ours = pairs.iter().filter(|pair| pair.is_active());
            let ours = ours.fold(Size::ZERO, |sum, pair| sum + pair.position(venue));
            self.boards[instrument.idx()].base[venue.idx()] = size - ours;
        }
    }

    /// Compares every market's position with what explains it.
    pub(super) fn audit(&mut self, now: Nanos) {
        for idx in 0..self.boards.len() {
            let instrument = self.boards[idx].instrument.id;
            for venue in VENUES {
                self.look_at_owed(instrument, venue, now);
                if self.follow_shrunk(instrument, venue, now, Source::Beat) {
                    continue;
                }
                let drift = self.drift(instrument, venue).unwrap_or(Size::ZERO);
                let board = &mut self.boards[idx];
                let since = &mut board.drift_since[venue.idx()];
                if drift.0 == 0 {
                    *since = None;
                } else if now.since(*since.get_or_insert(now)) >= DRIFT_NS_MAX {
                    // Told once: from here on it counts as a stranger's.
                    *since = None;
                    board.base[venue.idx()] += drift;
                    let mut apart = self.apart(instrument);
                    apart.told[venue.idx()] = apart.told[venue.idx()].map(|told| told + drift);
                    self.desk.raise_about(HaltCause::Unexplained, apart);
                }
            }
        }
    }

    /// Both venues can be heard, hold what the pairs explain, and owe no trade, if any pair was
    /// ever made.
    pub(super) fn is_reconciled(&self) -> bool {
        let is_up = self.desk.accounts.iter().all(|account| account.is_up);
        if self
            .watches
            .iter()
            .any(|watch| watch.owed != [None; VENUE_COUNT])
        {
            return false;
        }
        let mut ids = self.boards.iter().map(|board| board.instrument.id);
        let is_even = |id| {
            VENUES
                .into_iter()
                .all(|venue| self.drift(id, venue).is_none_or(|drift| drift.0 == 0))
        };
        self.pairs_made == 0 || (is_up && ids.all(is_even))
    }

    /// The venue's word less everything that explains it. `None` while something is under way
    /// there, or while the venue can't be heard: that proves nothing, and disproves nothing.
    pub(super) fn drift(&self, instrument: InstrumentId, venue: Venue) -> Option<Size> {
        let account = &self.desk.accounts[venue.idx()];
        let position = account.position(instrument).filter(|_| account.is_up);
        let mut drift = position?;
        drift -= self.boards[instrument.idx()].base[venue.idx()];
        let pairs = self.pairs[self.slots_of(instrument)].iter();
        for pair in pairs.filter(|pair| pair.is_active()) {
            // What is under way on the other venue moves nothing here.
            let leg = &pair.legs[venue.idx()];
            if leg.order.is_some() || leg.may_fill_late() {
                return None;
            }
            drift -= pair.position(venue);
        }
        Some(drift)
    }

    /// A market's legs by our fills, and by the venues' word less what was there before.
    pub(super) fn apart(&self, instrument: InstrumentId) -> Apart {
        let (mut counted, mut in_doubt) = ([Size::ZERO; VENUE_COUNT], [Size::ZERO; VENUE_COUNT]);
        let pairs = self.pairs[self.slots_of(instrument)].iter();
        for pair in pairs.filter(|pair| pair.is_active()) {
            for venue in VENUES {
                counted[venue.idx()] += pair.position(venue);
                in_doubt[venue.idx()] += pair.legs[venue.idx()].in_doubt();
            }
        }
        let base = self.boards[instrument.idx()].base;
        Apart {
            pair: None,
            instrument,
            counted,
            in_doubt,
            told: VENUES.map(|venue| {
                let position = self.desk.accounts[venue.idx()].position(instrument);
                position.map(|position| position - base[venue.idx()])
            }),
        }
    }

    /// What the venue's word is nearer to nothing than the least that the pairs may hold there,
    /// whatever becomes of all that is under way; `None` while the venue can't be heard.
    pub(super) fn lost(&self, instrument: InstrumentId, venue: Venue) -> Option<Size> {
        let account = &self.desk.accounts[venue.idx()];
        let position = account.position(instrument).filter(|_| account.is_up);
        let position = position? - self.boards[instrument.idx()].base[venue.idx()];
        let [mut ours, mut lowest, mut highest] = [Size::ZERO; 3];
        let pairs = self.pairs[self.slots_of(instrument)].iter();
        for pair in pairs.filter(|pair| pair.is_active()) {
            let leg = &pair.legs[venue.idx()];
            let (least, most) = (leg.least().min(leg.held), leg.most());
            ours += pair.position(venue);
            lowest += if venue == pair.long { least } else { -most };
            highest += if venue == pair.long { most } else { -least };
        }
        Some(match ours.0.signum() {
            1 => (position - lowest).min(Size::ZERO),
            -1 => (position - highest).max(Size::ZERO),
            _ => Size::ZERO,
        })
    }
}
