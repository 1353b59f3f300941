//! What an entry stands on, put together for the rules in `risk.rs`; and who must give way to it.
//!
//! Promises: costs the same whatever else is open; what is on its way counts as if it had filled.
//! Refuses: to judge it.

use crate::market::event::ExitCause;
use crate::market::reference::ReferenceKind;
use crate::market::units::{Notional, Price};
use crate::market::{VENUES, Venue};
use crate::scanner::Scanner;
use crate::scanner::enter::Chance;
use crate::scanner::leave::leave;
use crate::scanner::pair::{Pair, State};
use crate::scanner::risk::Ground;
use crate::scanner::send::Scene;

impl Scanner {
    /// What an entry stands on: everything open or on its way, worst case, and what both accounts
    /// bear.
    pub(super) fn ground(&self, chance: &Chance) -> Ground<'_> {
        let (instrument, idx) = (chance.instrument, chance.instrument.idx());
        let free = |venue: Venue| {
            let available = self.desk.accounts[venue.idx()].available;
            let pending = self.tally.pending[venue.idx()].max(Notional::ZERO);
            available.unwrap_or(Notional::ZERO) - pending
        };
        let spare = |venue: Venue| {
            let gross = self.tally.gross[venue.idx()];
            self.margin.spare_e9((idx, venue), gross)
        };
        let staying = |venue: Venue| {
            let most = self.staying[venue.idx()];
            most.map(|most| most - self.tally.gross[venue.idx()])
        };
        let mark = |venue: Venue| {
            let mirror = &self.boards[idx].mirrors[venue.idx()];
            mirror.reference_e9(ReferenceKind::Mark).map(Price)
        };
        Ground {
            markets: &self.boards[idx].instrument.markets,
            sides: VENUES.map(|venue| chance.side(venue)),
            marks: VENUES.map(mark),
            open: VENUES.map(|venue| self.open_at(instrument, venue)),
            gross: self.tally.gross[0] + self.tally.gross[1],
            free: VENUES.map(free),
            share: self.margin.share(self.limits.equity_share_e4),
            staying: VENUES.map(staying),
            spare_e9: VENUES.map(spare),
        }
    }

    /// The venues net what we hold there: a pair the other way round would turn the reduce-only
    /// exits of one that stands away. So close before open: what stands hedged is left, and the
    /// chance, if it lasts, is entered after that.
    #[cold]
    pub(super) fn give_way(&mut self, chance: &Chance) {
        for slot in self.slots_of(chance.instrument) {
            let pair = &self.pairs[slot];
            let is_free = pair.state == State::Hedged && chance.now >= pair.t_retry;
            if is_free && pair.long != chance.long {
                let deed = |pair: &mut Pair, scene: &mut Scene<'_>| {
                    leave(pair, ExitCause::Opposite, scene);
                };
                self.act(slot, chance.now, deed);
            }
        }
    }
}
