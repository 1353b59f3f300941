//! The scanner's pair slots: whose report it is, who acts, and what follows when a pair has acted.
//!
//! Promises: a slot acts on one state of the world, with what the venue's position says of this
//! pair alone; what a pair leaves behind is accounted for before the next one looks.
//! Refuses: to decide for a pair; that is the machine in `hedge.rs`.

use crate::market::event::{Event, ExitCause, PairEnd};
use crate::market::order::Report;
use crate::market::units::{Nanos, Size};
use crate::market::{InstrumentId, VENUE_COUNT, VENUES, Venue};
use crate::scanner::pair::{Pair, State};
use crate::scanner::send::Scene;
use crate::scanner::spread::Yardstick;
use crate::scanner::{Scanner, hedge, leave, ramp};

impl Scanner {
    /// The slot of the pair whose order a report is about: among its instrument's, or, should the
    /// gateway not have known that, among all.
    pub(super) fn slot_of(&self, report: &Report) -> Option<usize> {
        let number = report.order.pair();
        let is_it =
            |slot: &usize| self.tally.is_active(*slot) && self.pairs[*slot].number == number;
        let near = self.slots_of(report.instrument);
        let near = near.start.min(self.pairs.len())..near.end.min(self.pairs.len());
        near.into_iter()
            .find(is_it)
            .or_else(|| (0..self.pairs.len()).find(is_it))
    }

    /// Lets every pair act that has news, in slot order.
    pub(super) fn advance_dirty(&mut self, now: Nanos) {
        for word in 0..self.pairs.len().div_ceil(64) {
            if self.dirty[word] == 0 {
                continue;
            }
            let mut bits = std::mem::take(&mut self.dirty[word]);
            while bits != 0 {
                let slot = word * 64 + bits.trailing_zeros() as usize;
                bits &= bits - 1;
                self.act(slot, now, hedge::advance);
            }
        }
    }

    /// Lets one pair act, and clears up behind it when that ended it.
    pub(super) fn act(
        &mut self,
        slot: usize,
        now: Nanos,
        deed: impl FnOnce(&mut Pair, &mut Scene<'_>),
    ) {
        let (ours, is_crowded) = self.ours(slot);
        let pair = &mut self.pairs[slot];
        if !pair.is_active() {
            return;
        }
        pair.is_crowded = is_crowded;
        let board = &mut self.boards[pair.instrument.idx()];
        let mut scene = Scene {
            board,
            limits: &self.limits,
            desk: &mut self.desk,
            ours,
            now,
        };
        deed(pair, &mut scene);
        self.tally.count(slot, pair);
        if self.desk.strikes.is_out(pair.instrument) {
            board.entries_on = false;
        }
        if pair.t_uneven.is_some() {
            self.uneven[pair.instrument.idx() / 64] |= 1 << (pair.instrument.idx() % 64);
        }
        if pair.is_active() {
            return self.note_shown(slot, now);
        }
        board.own_pair_over(pair, now);
        // The pair is gone. What it may have left on a venue (dust) is from now on accounted for as
        // a position that was there before.
        board.t_rest = now.plus(self.limits.cooldown_ns);
        let [extended, lighter] = pair.legs.map(|leg| leg.opened_notional);
        let summary = pair.summary(pair.end, now);
        let notional = extended.max(lighter);
        if ramp::learn(&mut board.standing, &self.limits.ramp, &summary, notional) {
            self.desk.note(Event::Standing {
                instrument: pair.instrument,
                standing: board.standing,
            });
        }
        if pair.end == PairEnd::Missed {
            board.episodes[pair.long.idx()].miss();
        }
        for venue in VENUES {
            board.base[venue.idx()] += pair.position(venue);
        }
        self.gone.keep(pair);
    }

    /// What each venue's position says that this pair holds there: all of it, less what was there
    /// before and what the other pairs explain; `None` while another pair has an order there. And
    /// whether there are other pairs. Free slots are told by the tally, whose answers lie close
    /// together, and not by their pairs, each of which lies in memory of its own.
    fn ours(&self, slot: usize) -> ([Option<Size>; VENUE_COUNT], bool) {
        let instrument = self.pairs[slot].instrument;
        let base = &self.boards[instrument.idx()].base;
        let of = |venue: Venue| {
            let position = self.desk.accounts[venue.idx()].position(instrument)?;
            Some(position - base[venue.idx()])
        };
        let mut ours = [of(Venue::Extended), of(Venue::Lighter)];
        let mut is_crowded = false;
        for other in self.slots_of(instrument) {
            if other == slot || !self.tally.is_active(other) {
                continue;
            }
            is_crowded = true;
            let pair = &self.pairs[other];
            for venue in VENUES {
                let ours = &mut ours[venue.idx()];
                let is_free = pair.legs[venue.idx()].order.is_none();
                *ours = ours
                    .filter(|_| is_free)
                    .map(|ours| ours - pair.position(venue));
            }
        }
        (ours, is_crowded)
    }

    /// Leaves a hedged pair when its time has come. A drain takes every pair, and margin those that
    /// it must; halt alone takes none: a hedged pair is safe where it is, and what to do with it is
    /// a human's choice.
    pub(super) fn look_at_exit(&mut self, slot: usize, now: Nanos) {
        let by_margin = self.margin_cause(slot);
        let pair = &mut self.pairs[slot];
        if self.draining && pair.state == State::Leaving && pair.cause != ExitCause::Forced {
            pair.cause = ExitCause::Drain;
        }
        if pair.state != State::Hedged || now < pair.t_retry {
            return;
        }
        // Half an exit would be a lone leg: it waits until both venues take orders.
        if VENUES.into_iter().any(|venue| self.desk.is_away(venue)) {
            return;
        }
        if let (false, Some(fair)) = (
            pair.knows_fair,
            self.boards[pair.instrument.idx()].fair.known(),
        ) {
            pair.yardstick = Yardstick::new(fair);
            pair.knows_fair = true;
        }
        let cause = match (self.draining, self.desk.is_halted()) {
            (true, _) => Some(ExitCause::Drain),
            _ if by_margin.is_some() => by_margin,
            (false, true) => None,
            (false, false) if self.desk.breakers.leaves() => Some(ExitCause::Stop),
            (false, false) => {
                let board = &self.boards[pair.instrument.idx()];
                let funding = leave::funding_ahead(pair, board, &self.limits, now);
                leave::exit_cause(pair, board, &self.limits, funding, now)
            }
        };
        // Between two payments of one hour a leg that goes alone is charged for both; what must go
        // goes all the same.
        let may_wait = matches!(cause, Some(ExitCause::Converged | ExitCause::Time));
        if may_wait && self.limits.edge.hours.is_between(now) {
            return;
        }
        if let Some(cause) = cause {
            self.act(slot, now, |pair, scene| leave::leave(pair, cause, scene));
        }
    }

    /// What stands alone on an instrument is worth something else now.
    #[cold]
    pub(super) fn look_at_uneven(&mut self, instrument: InstrumentId, now: Nanos) {
        let board = &self.boards[instrument.idx()];
        let mut is_any = false;
        for slot in self.slots_of(instrument) {
            let pair = &mut self.pairs[slot];
            if pair.t_uneven.is_some() {
                is_any = true;
                hedge::look_alone(pair, board, now);
            }
        }
        if !is_any {
            self.uneven[instrument.idx() / 64] &= !(1 << (instrument.idx() % 64));
        }
    }
}
