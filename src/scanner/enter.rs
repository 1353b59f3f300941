//! One look at one instrument: follow its edges, leave pairs that are due, enter where all agrees.
//!
//! Cheap questions come first: both touches, then two comparisons a direction without a division.
//! Only an edge above the minimum is priced, walked and held against the limits, in the order of
//! the corridor: is it true, does it pay, may we, how much. The first "no" is the reason given,
//! once per episode and reason.

use crate::market::event::{Event, Reason, Step};
use crate::market::units::{Bps, Nanos, Notional, Price, Size};
use crate::market::{InstrumentId, VENUE_COUNT, VENUES, Venue};
use crate::scanner::Scanner;
use crate::scanner::board::Touch;
use crate::scanner::fair::Edge;
use crate::scanner::hedge::{self, Plan};
use crate::scanner::pair::{Pair, State};
use crate::scanner::risk::{Exposure, LegOrder, room};
use crate::scanner::send::Scene;
use crate::scanner::spread::{Haircut, Terms, Walk, Yardstick, half_spread};

/// One direction of one instrument whose edge stands out.
#[derive(Clone, Copy)]
struct Chance {
    instrument: InstrumentId,
    long: Venue,
    touches: [Touch; VENUE_COUNT],
    yardstick: Yardstick,
    t_tick: Nanos,
    now: Nanos,
}

impl Chance {
    /// Prices met first: the ask where we buy, the bid where we sell.
    fn ask_bid(&self) -> (Price, Price) {
        let ask = self.touches[self.long.idx()].ask;
        let bid = self.touches[self.long.other().idx()].bid;
        (ask, bid)
    }

    /// Whether the touch alone stands this far over the fair. No division.
    fn pays(&self, edge: Bps) -> bool {
        let (ask, bid) = self.ask_bid();
        self.yardstick.pays(self.long, ask, bid, edge)
    }

    /// How far the touch stands over the fair, for the journal. Divides.
    fn gross(&self) -> Bps {
        let (ask, bid) = self.ask_bid();
        self.yardstick.gross(self.long, ask, bid)
    }
}

impl Scanner {
    /// Looks at an instrument after a whole message has been applied to one of its books.
    /// The fair is asked before it is taught: an edge is judged by what was known before it came.
    pub(super) fn look(&mut self, instrument: InstrumentId, t_tick: Nanos, now: Nanos) {
        let board = &mut self.boards[instrument.idx()];
        let touches = board.touches();
        board.legs.observe(now, touches);
        let Some(touches) = touches else {
            return;
        };
        let mids = touches.map(|touch| touch.mid());
        let pinned = self.pairs[self.slots_of(instrument)]
            .iter()
            .any(Pair::is_active);
        // While the fair is not known yet, its provisional median still shows what would be seen,
        // so that a refusal for warm-up is counted like any other.
        let chances = self.boards[instrument.idx()]
            .fair
            .provisional()
            .map(|fair| {
                VENUES.map(|long| Chance {
                    instrument,
                    long,
                    touches,
                    yardstick: Yardstick::new(fair),
                    t_tick,
                    now,
                })
            });
        let half = Bps::from_bits(self.limits.gross_min.bits() / 2);
        let stands = |edge: Bps| chances.is_some_and(|both| both.iter().any(|c| c.pays(edge)));
        let edge = match (stands(self.limits.gross_min), stands(half)) {
            (true, _) => Edge::High,
            (false, true) => Edge::Some,
            (false, false) => Edge::Calm,
        };
        let fair = &mut self.boards[instrument.idx()].fair;
        fair.observe(now, mids, edge, pinned);
        // Close before open: an exit frees its slot, its margin and its direction.
        if pinned {
            for slot in self.slots_of(instrument) {
                self.look_at_exit(slot, now);
            }
        }
        for chance in chances.into_iter().flatten() {
            self.follow(&chance, half);
        }
    }

    /// Follows one direction's episode; tries to enter while it is ripe. An episode is told once
    /// when it begins, once per reason that refused it, and once when it is taken, so that the
    /// counters count opportunities and not messages.
    fn follow(&mut self, chance: &Chance, half: Bps) {
        let above = chance.pays(self.limits.gross_min);
        let low = !above && !chance.pays(half);
        let (instrument, long, t) = (chance.instrument, chance.long, chance.now);
        let episode = &mut self.boards[instrument.idx()].episodes[long.idx()];
        if episode.follow(t, above, low) {
            let gross = chance.gross();
            self.teach(chance, gross);
            self.desk.note(Event::Seen {
                instrument,
                long,
                gross,
                t,
            });
        }
        let is_ripe = self.boards[instrument.idx()].episodes[long.idx()].is_ripe();
        if !above || !is_ripe {
            return;
        }
        if let Err(reason) = self.enter(chance) {
            let episode = &mut self.boards[instrument.idx()].episodes[long.idx()];
            if episode.refuse(reason) {
                self.desk.note(Event::Refused {
                    instrument,
                    long,
                    reason,
                    t,
                });
            }
        }
    }

    /// An edge begins, taken or not: what follows tells which leg should have gone first. One that
    /// is not believed teaches nothing. Slippage is not taken off, since it is what will be seen.
    fn teach(&mut self, chance: &Chance, gross: Bps) {
        let net = gross + self.limits.slippage - self.costs(chance);
        let is_believed = !chance.pays(self.limits.plausible_max);
        let board = &mut self.boards[chance.instrument.idx()];
        let doubt = board.doubt(chance.now, self.limits.stale_after_ns);
        if is_believed && doubt.is_none() && board.fair.known().is_some() {
            board.legs.trigger(chance.long, net, chance.now);
        }
    }

    /// Which leg goes first: as set, or as learned.
    fn lead(&self, chance: &Chance) -> Option<Venue> {
        match self.limits.leg_order {
            LegOrder::Auto => {
                let legs = &self.boards[chance.instrument.idx()].legs;
                legs.lead(chance.long, chance.now)
            }
            set => set.lead(),
        }
    }

    /// Enters, or says which limit stood in the way. The time that limits and sizing take is noted
    /// as its own step of the corridor, apart from the walk of an edge that does not pay anyway.
    fn enter(&mut self, chance: &Chance) -> Result<(), Reason> {
        let edge_min = self.edge_wanted(chance)?;
        let t_risk = self.clock.now();
        let answer = self.plan(chance, edge_min);
        let ns = self.clock.now().since(t_risk);
        self.desk.note(Event::Latency {
            step: Step::Risk,
            ns,
        });
        let (slot, plan) = answer?;
        self.take(chance, slot, &plan)
    }

    /// Is the edge true and does its first piece pay? Gives the gross edge every piece must have.
    fn edge_wanted(&self, chance: &Chance) -> Result<Bps, Reason> {
        let board = &self.boards[chance.instrument.idx()];
        if let Some(doubt) = board.doubt(chance.now, self.limits.stale_after_ns) {
            return Err(doubt);
        }
        if board.is_divergent(&chance.touches) {
            return Err(Reason::Divergent);
        }
        if chance.pays(self.limits.plausible_max) {
            return Err(Reason::Implausible);
        }
        if board.fair.known().is_none() {
            return Err(match board.fair.is_relearning() {
                true => Reason::RegimeChange,
                false => Reason::FairWarmup,
            });
        }
        // Both minima in one threshold on the gross edge: the walk then has one number to hold.
        let edge_min = self
            .limits
            .gross_min
            .max(self.limits.net_min + self.costs(chance));
        match chance.pays(edge_min) {
            true => Ok(edge_min),
            false => Err(Reason::NetBelowMin),
        }
    }

    /// What a pair costs on the way: the fees of all four legs, both half spreads when closing, and
    /// slippage. Each entry leg may slip by the allowance and is expected to use half of it. The
    /// entry's own half spreads are in the walk already: it buys at asks and sells at bids.
    /// Open: funding for the payment instants that will be crossed, once a feed reports the rates.
    fn costs(&self, chance: &Chance) -> Bps {
        let board = &self.boards[chance.instrument.idx()];
        let [extended, lighter] = chance
            .touches
            .map(|touch| half_spread(touch.bid, touch.ask));
        board.fees_round() + extended + lighter + self.limits.slippage
    }

    /// May we, and how much? The size is bound three times: by the limits at the touch, by what the
    /// ladders hold, and by the limits again at the worst price walked.
    fn plan(&mut self, chance: &Chance, edge_min: Bps) -> Result<(usize, Plan), Reason> {
        let slot = self.permit(chance)?;
        // What is held and what is under way, as if all of it had filled.
        let exposure = self.exposure(chance.instrument);
        let board = &self.boards[chance.instrument.idx()];
        let accounts = &self.desk.accounts;
        let touch_prices = self.limit_prices(chance, chance.touches.map(|t| (t.ask, t.bid)));
        let (cap, bound) = room(&self.limits, accounts, &exposure, touch_prices);
        let terms = Terms {
            yardstick: chance.yardstick,
            long: chance.long,
            edge_min,
            haircut: Haircut::cut_e4(self.limits.depth_haircut_e4),
            cap,
            step: board.lattice.step(),
        };
        let bids = chance.touches.map(|touch| touch.bid);
        let size_min = board.lattice.size_min(bids);
        if terms.step.0 == 0 {
            return Err(Reason::SizeBelowMin);
        }
        // A limit that leaves less than the venues take is the reason, not the size.
        if cap < size_min {
            return Err(bound);
        }
        let books = VENUES.map(|venue| board.book(venue));
        let walk = Walk::new(books, &terms).ok_or(Reason::SizeBelowMin)?;
        // Deeper levels cost more than the touch: the limits are held at the worst price as well.
        let worst = walk.taken.map(|taken| (taken.worst, taken.worst));
        let (cap, bound) = room(
            &self.limits,
            accounts,
            &exposure,
            self.limit_prices(chance, worst),
        );
        let walk = match walk.size > cap {
            true => Walk::sized(books, &terms, cap).ok_or(bound)?,
            false => walk,
        };
        if walk.size < size_min {
            return Err(Reason::SizeBelowMin);
        }
        let worst = walk.taken.map(|taken| (taken.worst, taken.worst));
        let gross = walk.gross(&terms);
        let plan = Plan {
            number: self.pairs_made.wrapping_add(1) & 0xFF_FFFF,
            long: chance.long,
            lead: self.lead(chance),
            yardstick: chance.yardstick,
            size: walk.size,
            taken: walk.taken,
            prices: self.limit_prices(chance, worst),
            gross,
            net: gross - self.costs(chance),
            t_tick: chance.t_tick,
        };
        Ok((slot, plan))
    }

    /// The limits that do not depend on size, in the order in which a person would ask: is it
    /// wanted, is it possible, is it too soon, is there a place, are there tokens. Gives a free
    /// slot.
    fn permit(&mut self, chance: &Chance) -> Result<usize, Reason> {
        if !(self.limits.entries_enabled && self.entries_on) || self.desk.is_halted() {
            return Err(Reason::EntriesOff);
        }
        if !self.boards[chance.instrument.idx()].entries_on {
            return Err(Reason::MarketOff);
        }
        if !self.desk.accounts.iter().all(|account| account.is_up) {
            return Err(Reason::GatewayDown);
        }
        if chance.now < self.boards[chance.instrument.idx()].t_rest {
            return Err(Reason::Cooldown);
        }
        let slots = self.slots_of(chance.instrument);
        let mut free = None;
        for slot in slots {
            let pair = &self.pairs[slot];
            if !pair.is_active() {
                free = free.or(Some(slot));
            } else if pair.long != chance.long {
                // The venues net what we hold there: a pair the other way round would turn its
                // reduce-only exits away. Close before open.
                return Err(Reason::NoSlot);
            }
        }
        let slot = free.ok_or(Reason::NoSlot)?;
        match self.has_tokens(chance.now) {
            true => Ok(slot),
            false => Err(Reason::RateBudget),
        }
    }

    /// Whether both venues' budgets carry one more pair. A following leg that has not filled is
    /// still to be sent, or sent again: that order is spoken for.
    fn has_tokens(&mut self, now: Nanos) -> bool {
        let active = || self.pairs.iter().filter(|pair| pair.is_active());
        let pairs_open = active().count();
        let awaits = |pair: &Pair, venue: Venue| {
            let leg = &pair.legs[venue.idx()];
            let follows = pair.lead.is_some_and(|lead| lead != venue);
            follows && pair.is_moving() && leg.order.is_none() && leg.opened.0 == 0
        };
        let awaited = VENUES.map(|venue| active().filter(|pair| awaits(pair, venue)).count());
        let mut budgets = self.desk.budgets.iter_mut().zip(awaited);
        budgets.all(|(budget, awaited)| budget.allows_entry(now, pairs_open, awaited))
    }

    /// Everything open or on its way, worst case. On this market the larger of two views counts:
    /// what the pairs explain (with what was there before), and what the venue says.
    fn exposure(&self, instrument: InstrumentId) -> Exposure {
        let mut exposure = Exposure::default();
        for pair in self.pairs.iter().filter(|pair| pair.is_active()) {
            for venue in VENUES {
                let idx = venue.idx();
                let (leg, size) = (&pair.legs[idx], pair.exposure(venue));
                exposure.gross += leg.entry_promise * size;
                exposure.pending[idx] += leg.entry_promise * (size - leg.held);
                if pair.instrument == instrument {
                    exposure.market[idx] += size;
                }
            }
        }
        for venue in VENUES {
            let idx = venue.idx();
            let base = self.boards[instrument.idx()].base[idx];
            let by_venue = self.desk.accounts[idx].position(instrument);
            let by_venue = Size(by_venue.unwrap_or(Size::ZERO).0.abs());
            exposure.market[idx] += Size(base.0.abs());
            exposure.market[idx] = exposure.market[idx].max(by_venue);
            exposure.pending[idx] = exposure.pending[idx].max(Notional::ZERO);
        }
        exposure
    }

    /// Worst prices the entry orders may pay, from (ask, bid) of each venue.
    fn limit_prices(
        &self,
        chance: &Chance,
        prices: [(Price, Price); VENUE_COUNT],
    ) -> [Price; VENUE_COUNT] {
        let board = &self.boards[chance.instrument.idx()];
        VENUES.map(|venue| {
            let (ask, bid) = prices[venue.idx()];
            let (side, price) = match venue == chance.long {
                true => (crate::market::book::Side::Bid, ask),
                false => (crate::market::book::Side::Ask, bid),
            };
            board.limit(venue, side, price, self.limits.slippage)
        })
    }

    /// Sends the entry. A full order link drops it: an opportunity is not worth waiting for.
    fn take(&mut self, chance: &Chance, slot: usize, plan: &Plan) -> Result<(), Reason> {
        let mut scene = Scene {
            board: &self.boards[chance.instrument.idx()],
            limits: &self.limits,
            desk: &mut self.desk,
            ours: [None; VENUE_COUNT],
            now: chance.now,
        };
        if !hedge::open(&mut self.pairs[slot], plan, &mut scene) {
            return Err(Reason::LinkFull);
        }
        // From here on the pair is the hedge machine's, whatever becomes of its first order.
        debug_assert_eq!(self.pairs[slot].state, State::Entering);
        self.pairs_made = plan.number;
        self.boards[chance.instrument.idx()].episodes[chance.long.idx()].take();
        self.desk.note(Event::Taken {
            pair: plan.number,
            instrument: chance.instrument,
            long: plan.long,
            lead: plan.lead,
            size: plan.size,
            gross: plan.gross,
            net: plan.net,
            t: chance.now,
        });
        Ok(())
    }
}
