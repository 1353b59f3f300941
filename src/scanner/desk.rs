//! What leaves the scanner: orders, journal records, halt. And what the venues say of our accounts.
//!
//! Promises: nothing here blocks or waits. A full journal link drops the record and counts it; a
//! full order link hands the refusal to the caller, who knows whether it may be dropped.

use crate::market::event::{Apart, Event, HaltCause, PairSummary};
use crate::market::order::{Action, Order};
use crate::market::units::{Nanos, SECOND};
use crate::market::{VENUE_COUNT, Venue};
use crate::scanner::breaker::Breakers;
use crate::scanner::pair::LATE_FILL_NS;
use crate::scanner::risk::{Account, Budget};
use crate::scanner::strikes::Strikes;
use crate::scanner::table::{RULES, Rules};
use crate::stage::aside::Aside;
use crate::stage::halt::Halt;
use crate::stage::link::Tx;

/// No entry for so long after a gateway has held an order back for its budget. Larger: edges are
/// missed. Smaller: legs stand alone while their hedges wait for their turn.
const SHORT_NS: u64 = SECOND;

/// Records of a turn in which a few pairs are made. More: the rest moves on within the turn.
const NOTES_PLACES: usize = 64;

/// The outward side of the scanner.
pub struct Desk {
    /// This run's number, in every order id.
    pub run: u16,
    /// Order links, by venue.
    pub orders: [Tx<Order>; VENUE_COUNT],
    /// Order budgets, by venue.
    pub budgets: [Budget; VENUE_COUNT],
    /// What each venue says of our account.
    pub accounts: [Account; VENUE_COUNT],
    /// What each venue said of maintenance: it is closed.
    pub is_closed: [bool; VENUE_COUNT],
    /// When each venue's streams last came up.
    pub t_up: [Nanos; VENUE_COUNT],
    /// What stops all entries until a human says otherwise.
    pub breakers: Breakers,
    /// When each gateway last held an order back for its budget.
    pub t_short: [Option<Nanos>; VENUE_COUNT],
    /// Markets that refuse our orders.
    pub strikes: Strikes,
    /// What the hedge machine executes.
    pub rules: Rules,
    /// Rows that were taken, a bit each.
    #[cfg(test)]
    pub reached: u128,
    /// The same for orders in flight.
    #[cfg(test)]
    pub leg_reached: u128,
    /// Pairs finished, missed ones included.
    pub pairs_done: u32,
    journal: Tx<Event>,
    /// For the journal, until the orders of a turn are on their links.
    notes: Aside<Event>,
    halt: Halt,
    halted: bool,
    why_halted: Option<HaltCause>,
}

impl Desk {
    /// Takes the links.
    pub fn new(
        run: u16,
        orders: [Tx<Order>; VENUE_COUNT],
        journal: Tx<Event>,
        halt: Halt,
        (budgets, accounts, breakers): ([Budget; VENUE_COUNT], [Account; VENUE_COUNT], Breakers),
    ) -> Desk {
        Desk {
            run,
            orders,
            budgets,
            accounts,
            is_closed: [false; VENUE_COUNT],
            t_up: [Nanos::ZERO; VENUE_COUNT],
            breakers,
            t_short: [None; VENUE_COUNT],
            strikes: Strikes::new(),
            rules: RULES,
            #[cfg(test)]
            reached: 0,
            #[cfg(test)]
            leg_reached: 0,
            pairs_done: 0,
            journal,
            notes: Aside::new(NOTES_PLACES),
            halt,
            halted: false,
            why_halted: None,
        }
    }

    /// Pushes an order to its gateway; false when the link is full.
    pub fn send(&mut self, order: &Order, now: Nanos) -> bool {
        let sent = self.orders[order.venue.idx()].push(*order).is_ok();
        if sent && order.action == Action::Place {
            self.budgets[order.venue.idx()].spend(now);
        }
        sent
    }

    /// The venue can't be heard, or takes no orders.
    #[inline]
    pub fn is_away(&self, venue: Venue) -> bool {
        self.is_closed[venue.idx()] || !self.accounts[venue.idx()].is_up
    }

    /// A gateway has just held an order back for its budget: the hedge of a new pair would wait
    /// behind those that wait already.
    #[inline]
    pub fn is_short(&self, now: Nanos) -> bool {
        let mut short = self.t_short.iter().flatten();
        short.any(|at| now.since(*at) < SHORT_NS)
    }

    /// Fills expected until then can't come any more: the venue has been heard for long enough,
    /// and without a break.
    pub fn is_past_late(&self, venue: Venue, t_late: Nanos, now: Nanos) -> bool {
        let heard = self.t_up[venue.idx()].plus(LATE_FILL_NS);
        self.accounts[venue.idx()].is_up && now >= t_late && now >= heard
    }

    /// Tells the journal, as soon as the turn is over.
    #[inline]
    pub fn note(&mut self, event: Event) {
        self.notes.put(event, &mut self.journal);
    }

    /// The turn is over.
    #[inline]
    pub fn tell(&mut self) {
        self.notes.move_on(&mut self.journal);
    }

    /// Journal records dropped because the link was full.
    pub fn dropped_count(&self) -> u64 {
        self.journal.full_count()
    }

    /// A pair is over: counted, judged and told.
    pub fn end(&mut self, summary: PairSummary) {
        self.pairs_done += 1;
        self.breakers.end(&summary);
        self.note(Event::Pair(summary));
    }

    /// Someone has raised halt.
    #[inline]
    pub fn is_halted(&self) -> bool {
        self.halted
    }

    /// Why the scanner first raised it; `None`: another stage did.
    pub fn why_halted(&self) -> Option<HaltCause> {
        self.why_halted
    }

    /// Reads the shared flag: once a turn, so that a turn decides on one state of it.
    #[inline]
    pub fn look_at_halt(&mut self) {
        self.halted = self.halt.is_raised();
    }

    /// Raises halt, says why, and what it is about.
    #[cold]
    pub fn raise_about(&mut self, why: HaltCause, apart: Apart) {
        self.raise(why);
        self.note(Event::Apart(apart));
    }

    /// Raises halt and says why.
    #[cold]
    pub fn raise(&mut self, why: HaltCause) {
        self.halt.raise();
        self.halted = true;
        self.why_halted.get_or_insert(why);
        self.note(Event::Halt { why });
    }
}
