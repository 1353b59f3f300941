//! Entries that come ripe in one turn: the best is entered first, whichever news came first.
//!
//! Promises: what waits here waits for the end of the news of its turn and no longer; each that is
//! entered is held against the limits as those before it have left them. What is learned of an
//! entry waits until its orders have left, and is learned before any other news. Fixed memory.
//! Refuses: to keep an entry whose book stands in the middle of a message; its end looks again.

use crate::market::event::{Event, Reason, Step};
use crate::market::score::Expected;
use crate::market::units::{Nanos, Notional};
use crate::market::{InstrumentId, VENUE_COUNT, VENUES, Venue};
use crate::scanner::Scanner;
use crate::scanner::enter::Chance;
use crate::scanner::hedge::Plan;

/// An entry that fits, and what it promises.
#[derive(Clone, Copy)]
pub(super) struct Fit {
    /// A free slot of its instrument.
    pub slot: usize,
    /// What would be sent.
    pub plan: Plan,
    /// What is expected of it at arrival.
    pub expected: Expected,
}

impl Fit {
    /// Expected money at arrival, of the size planned.
    pub fn value(&self) -> Notional {
        let notional = self.plan.taken[self.plan.long.idx()].notional;
        self.expected.value(notional)
    }

    /// Order tokens that it is expected to take on a venue, in 10^-4: a first order is spent
    /// whether it fills or not, the way out and a leg that follows only where it has filled.
    fn tokens_e4(&self, venue: Venue) -> i128 {
        let fill_e4 = i128::from(self.expected.fill_e4);
        match self.expected.lead.is_some_and(|lead| lead != venue) {
            true => 2 * fill_e4,
            false => 10_000 + fill_e4,
        }
    }
}

/// One that waits.
pub(super) struct Ripe {
    chance: Chance,
    is_border: bool,
    fit: Fit,
    /// Orders that might leave when it was held against the limits, by venue.
    left: [usize; VENUE_COUNT],
}

/// One that was entered or refused, and is to be followed to its arrival.
#[derive(Clone, Copy)]
pub(super) struct Met {
    chance: Chance,
    entered: Result<(), Reason>,
    is_border: bool,
}

impl Scanner {
    /// Keeps a chance that fits until the turn's news are heard; or says what stands in its way.
    pub(super) fn ripen(&mut self, chance: &Chance, is_border: bool) -> Result<(), Reason> {
        let fit = self.fit(chance)?;
        let left = self.left(chance.now);
        self.ripe.push(Ripe {
            chance: *chance,
            is_border,
            fit,
            left,
        });
        Ok(())
    }

    fn left(&mut self, now: Nanos) -> [usize; VENUE_COUNT] {
        let [extended, lighter] = &mut self.desk.budgets;
        [extended.left(now), lighter.left(now)]
    }

    /// An instrument is looked at anew: what waited of it waits no longer. True, by the venue where
    /// it would have bought, where that stood at a border of its age.
    #[inline]
    pub(super) fn unripen(&mut self, instrument: InstrumentId) -> [bool; VENUE_COUNT] {
        let mut were_borders = [false; VENUE_COUNT];
        if !self.ripe.is_empty() {
            self.ripe.retain(|ripe| {
                let stays = ripe.chance.instrument != instrument;
                were_borders[ripe.chance.long.idx()] |= !stays && ripe.is_border;
                stays
            });
        }
        were_borders
    }

    /// All news of the turn are heard: enters what is ripe, best first.
    #[inline]
    pub(super) fn enter_ripe(&mut self, now: Nanos) {
        if self.ripe.is_empty() {
            return;
        }
        let open = self.open;
        self.ripe
            .retain(|ripe| !open.contains(&Some(ripe.chance.instrument)));
        while let Some(at) = self.best(now) {
            let ripe = self.ripe.swap_remove(at);
            let chance = &ripe.chance;
            // Whatever left since, an entry or an exit, has taken tokens, margin or room.
            let fit = match self.left(now) == ripe.left && !self.desk.is_halted() {
                true => Ok(ripe.fit),
                false => self.fit(chance),
            };
            let entered = fit.and_then(|mut fit| {
                self.cut_to_depth(chance, &mut fit.plan)?;
                self.take(chance, fit.slot, &fit.plan)
            });
            self.met.push(Met {
                chance: ripe.chance,
                entered,
                is_border: ripe.is_border,
            });
        }
    }

    /// Learns of what was entered, seen and filled, now that orders have left: all that is
    /// remembered of edges under observation is far more memory than the entry itself needs, and
    /// none of it near.
    #[inline]
    pub(super) fn follow_up(&mut self) {
        if self.matches.is_any() {
            self.weigh_matches();
        }
        for at in 0..self.met.len() {
            let met = self.met[at];
            self.conclude(&met.chance, Some(met.entered), met.is_border);
        }
        self.met.clear();
        for instrument in self.unsettled.drain(..) {
            self.boards[instrument.idx()].fair.settle();
        }
    }

    /// Which of what waits is worth most: in money, or, where a venue's tokens will not carry all
    /// of it, in money for each of those.
    fn best(&mut self, now: Nanos) -> Option<usize> {
        let others = self.ripe.len().checked_sub(1)?;
        if others == 0 {
            return Some(0);
        }
        let binds = VENUES.into_iter().find(|venue| {
            let budget = &mut self.desk.budgets[venue.idx()];
            let awaited = self.tally.awaited[venue.idx()] + others;
            !budget.allows_entry(now, self.tally.active + others, awaited)
        });
        let worth = |ripe: &Ripe| {
            let tokens_e4 = binds.map_or(10_000, |venue| ripe.fit.tokens_e4(venue));
            let worth = ripe.fit.value().0 * 10_000 / tokens_e4.max(1);
            (worth, std::cmp::Reverse(ripe.chance.instrument.idx()))
        };
        let best = self
            .ripe
            .iter()
            .enumerate()
            .max_by_key(|ripe| worth(ripe.1));
        best.map(|(at, _)| at)
    }

    /// Whether a chance is true, pays and may be entered, and how large. The time that limits and
    /// sizing take is noted as its own step of the corridor, apart from the walk of an edge that
    /// does not pay anyway.
    fn fit(&mut self, chance: &Chance) -> Result<Fit, Reason> {
        let (edge_min, costs) = self.edge_wanted(chance)?;
        let t_risk = self.clock.now();
        let answer = self.plan(chance, edge_min, &costs);
        if matches!(answer, Err(Reason::NoSlot)) {
            self.give_way(chance);
        }
        let ns = self.clock.now().since(t_risk);
        self.desk.note(Event::Latency {
            step: Step::Risk,
            ns,
        });
        answer
    }
}
