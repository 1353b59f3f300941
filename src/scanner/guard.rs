//! The margin monitor's place in the scanner: what it is told at every beat, and what follows.
//!
//! Promises: each venue is judged on its own mark, by all that stands there, ours or not, in-flight
//! orders as if they had filled; pairs are left whole, through the machine that leaves any pair.
//! Refuses: to act on an equity or a price that is not known. What was known then holds.

use crate::market::event::{Event, ExitCause, Level};
use crate::market::reference::ReferenceKind;
use crate::market::units::{Nanos, Notional, Price, SECOND, Size};
use crate::market::{InstrumentId, VENUES, Venue};
use crate::scanner::Scanner;
use crate::scanner::margin::Stand;
use crate::scanner::pair::State;

/// Beats in which every mark is looked at once: a second.
const LOOK_BEATS: usize = 100;
/// Pause between two pairs that are left to shrink: the first must show before the next is chosen.
/// Larger: slower to shrink. Smaller: more is left than had to be.
const SHRINK_NS: u64 = 2 * SECOND;

/// What is being done about margin.
#[derive(Clone, Copy, Debug, Default)]
pub struct Shrinking {
    /// The pair that is left, by slot.
    slot: Option<usize>,
    /// No other before this.
    t_next: Nanos,
    /// Whose marks are looked at next.
    turn: usize,
}

impl Scanner {
    /// At the beat: marks, where both venues stand, and which pair has to go.
    pub(super) fn guard(&mut self, now: Nanos) {
        for account in &mut self.desk.accounts {
            account.equity.settle(now);
        }
        self.look_at_marks(now);
        for venue in VENUES {
            self.stand(venue, now);
        }
        self.choose(now);
    }

    /// The venue has told its equity: sizes follow at once, levels at the beat.
    pub(super) fn hear_equity(&mut self, venue: Venue) {
        let equity = self.desk.accounts[venue.idx()].equity.least();
        self.margin.hear_equity(venue, equity);
    }

    /// What a pair has to go for, if margin wants it gone.
    pub(super) fn margin_cause(&self, slot: usize) -> Option<ExitCause> {
        let goes = match self.margin.worst() {
            Level::Flatten => true,
            Level::Shrink => self.shrinking.slot == Some(slot),
            Level::Calm | Level::Warn | Level::Stop => false,
        };
        goes.then_some(ExitCause::Margin)
    }

    /// Size open or on its way on a market, worst case: the larger of what the pairs explain, with
    /// what was there before, and what the venue says.
    pub(super) fn open_at(&self, instrument: InstrumentId, venue: Venue) -> Size {
        let mut open = Size(self.boards[instrument.idx()].base[venue.idx()].0.abs());
        for slot in self.slots_of(instrument) {
            if self.tally.is_active(slot) {
                open += self.pairs[slot].exposure(venue);
            }
        }
        let by_venue = self.desk.accounts[venue.idx()].position(instrument);
        open.max(Size(by_venue.unwrap_or(Size::ZERO).0.abs()))
    }

    /// The price by which a venue judges margin: its mark, or while that is not known the middle of
    /// its book.
    pub(super) fn mark(&self, instrument: InstrumentId, venue: Venue) -> Option<Price> {
        let mirror = &self.boards[instrument.idx()].mirrors[venue.idx()];
        let mark = mirror.reference_e9(ReferenceKind::Mark).map(Price);
        mark.or_else(|| mirror.touch_last().map(|touch| touch.mid()))
    }

    fn look_at_marks(&mut self, now: Nanos) {
        let turn = self.shrinking.turn;
        self.shrinking.turn = (turn + 1) % LOOK_BEATS;
        for idx in (turn..self.boards.len()).step_by(LOOK_BEATS) {
            let instrument = self.boards[idx].instrument;
            for venue in VENUES {
                if let Some(mark) = self.mark(instrument.id, venue) {
                    let bounds = &instrument.markets[venue.idx()].bounds;
                    self.margin.look((idx, venue), mark, bounds, now);
                }
            }
        }
    }

    /// Adds up everything a venue holds against its equity. A position without a price can't be
    /// judged, and nothing is: what was known holds.
    fn stand(&mut self, venue: Venue, now: Nanos) {
        let mut stand = Stand::default();
        let mut made = Notional::ZERO;
        for idx in 0..self.boards.len() {
            let instrument = self.boards[idx].instrument.id;
            let held = self.desk.accounts[venue.idx()].position(instrument);
            let open = self.open_at(instrument, venue);
            if open.0 == 0 {
                continue;
            }
            let Some(mark) = self.mark(instrument, venue) else {
                return;
            };
            let at = (idx, venue);
            let sigma_e9 = self.margin.sigma_e9(at);
            let bounds = &self.boards[idx].market(venue).bounds;
            stand.add(mark * open, bounds, sigma_e9);
            made += self.margin.made_since(at, held.unwrap_or(Size::ZERO), mark);
        }
        let equity = &self.desk.accounts[venue.idx()].equity;
        let (sure, least) = (equity.sure(), equity.least());
        stand.equity = sure.unwrap_or(least) + made;
        let spare = least + made - stand.needs(self.margin.levels());
        self.margin
            .keep(venue, (least, spare), self.tally.gross[venue.idx()]);
        if let Some(level) = self.margin.stand(venue, stand, sure.is_some(), now) {
            self.desk.note(Event::Margin {
                venue,
                level,
                distance: stand.distance(),
                sigmas_milli: stand.sigmas_milli(),
                t: now,
            });
        }
    }

    /// Picks the largest pair on the venue that is worse off, one at a time.
    fn choose(&mut self, now: Nanos) {
        let worst = VENUES
            .into_iter()
            .max_by_key(|venue| self.margin.level(*venue));
        let Some(venue) = worst.filter(|venue| self.margin.level(*venue) == Level::Shrink) else {
            self.shrinking.slot = None;
            return;
        };
        let is_held = |slot: &usize| self.pairs[*slot].state == State::Hedged;
        if let Some(slot) = self.shrinking.slot {
            // It is on its way out, or has missed and goes again.
            if self.pairs[slot].is_active() {
                return;
            }
            self.shrinking.slot = None;
            self.shrinking.t_next = now.plus(SHRINK_NS);
        }
        if now >= self.shrinking.t_next {
            let held = (0..self.pairs.len()).filter(is_held);
            self.shrinking.slot = held.max_by_key(|slot| self.tally.value(*slot, venue));
        }
    }
}
