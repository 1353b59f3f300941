//! One look at one instrument: follow its edges, leave pairs that are due, enter where all agrees.
//!
//! Cheap questions come first: both touches, then two comparisons a direction without a division.
//! Only an edge above the minimum is priced, walked and held against the limits, in the order of
//! the corridor: is it true, does it pay, may we, how much. The first "no" is the reason given,
//! once per episode and reason.

use crate::market::book::Side;
use crate::market::edge::Parts;
use crate::market::event::{Event, Level, Reason};
use crate::market::units::{Bps, Nanos, Price, Size};
use crate::market::{InstrumentId, VENUE_COUNT, VENUES, Venue};
use crate::scanner::arrival::key::Key;
use crate::scanner::board::Touch;
use crate::scanner::fair::Edge;
use crate::scanner::hedge::{self, Plan};
use crate::scanner::pair::State;
use crate::scanner::ripe::Fit;
use crate::scanner::risk::{Account, room};
use crate::scanner::send::Scene;
use crate::scanner::spread::{Haircut, Terms, Walk, Yardstick, take};
use crate::scanner::{Scanner, edge, ramp};

/// More than any size: all depth within a limit is counted.
const DEPTH_MAX: Size = Size(i64::MAX / 4);

/// One direction of one instrument whose edge stands out.
#[derive(Clone, Copy)]
pub(super) struct Chance {
    pub(super) instrument: InstrumentId,
    pub(super) long: Venue,
    pub(super) touches: [Touch; VENUE_COUNT],
    pub(super) yardstick: Yardstick,
    t_tick: Nanos,
    pub(super) now: Nanos,
    /// Which kind of edge; known once it stands above the minimum.
    pub(super) key: Key,
}

impl Chance {
    /// Prices met first: the ask where we buy, the bid where we sell.
    fn ask_bid(&self) -> (Price, Price) {
        let ask = self.touches[self.long.idx()].ask;
        let bid = self.touches[self.long.other().idx()].bid;
        (ask, bid)
    }

    /// Whether the touch alone stands this far over the fair. No division.
    pub(super) fn pays(&self, edge: Bps) -> bool {
        let (ask, bid) = self.ask_bid();
        self.yardstick.pays(self.long, ask, bid, edge)
    }

    /// Whether the way back, a pair's other two legs at the touch, costs at least so much over the
    /// fair. No division.
    fn costs_over(&self, edge: Bps) -> bool {
        let got = self.touches[self.long.idx()].bid;
        let paid = self.touches[self.long.other().idx()].ask;
        self.yardstick.pays(self.long, got, paid, edge)
    }

    /// The side that opens on a venue.
    pub fn side(&self, venue: Venue) -> Side {
        match venue == self.long {
            true => Side::Bid,
            false => Side::Ask,
        }
    }

    /// How far the touch stands over the fair, for the journal. Divides.
    pub(super) fn gross(&self) -> Bps {
        let (ask, bid) = self.ask_bid();
        self.yardstick.gross(self.long, ask, bid)
    }
}

impl Scanner {
    /// Looks at an instrument after a whole message has been applied to one of its books.
    /// The fair is asked before it is taught: an edge is judged by what was known before it came.
    pub(super) fn look(&mut self, instrument: InstrumentId, t_tick: Nanos, now: Nanos) {
        let were_borders = self.unripen(instrument);
        let touches = self.boards[instrument.idx()].touches();
        self.observe(instrument, touches, now);
        let Some(touches) = touches else {
            return;
        };
        let mids = touches.map(|touch| touch.mid());
        let pinned = self
            .slots_of(instrument)
            .any(|slot| self.tally.is_active(slot));
        let chances = self.chances(instrument, t_tick, now);
        let half = Bps::from_bits(self.limits.gross_min.bits() / 2);
        let stands = |edge: Bps| chances.is_some_and(|both| both.iter().any(|c| c.pays(edge)));
        let edge = match stands(self.limits.gross_min) {
            true => Edge::High,
            false if stands(half) => Edge::Some,
            false => Edge::Calm,
        };
        let is_absurd = edge == Edge::High && stands(self.limits.plausible_max);
        let board = &mut self.boards[instrument.idx()];
        if is_absurd && board.fair.known().is_some() {
            board.t_absurd = now.plus(self.limits.edge.absurd_rest_ns);
        }
        let edge = match now < board.t_absurd {
            true => Edge::Absurd,
            false => edge,
        };
        if board.fair.observe(now, mids, edge, pinned) {
            self.unsettled.push(instrument);
        }
        // Close before open: an exit frees its slot, its margin and its direction.
        if pinned {
            for slot in self.slots_of(instrument) {
                self.look_at_exit(slot, now);
            }
        }
        for chance in chances.into_iter().flatten() {
            self.release(&chance);
            self.follow(&chance, half, were_borders[chance.long.idx()]);
        }
    }

    /// Both directions of an instrument, by the venue where each buys; `None` while a book is not
    /// good or nothing at all is known of the fair. While it is not known well, its provisional
    /// median still shows what would be seen, so that a refusal for warm-up is counted like any
    /// other.
    pub(super) fn chances(
        &self,
        instrument: InstrumentId,
        t_tick: Nanos,
        now: Nanos,
    ) -> Option<[Chance; VENUE_COUNT]> {
        let board = &self.boards[instrument.idx()];
        let (touches, fair) = (board.touches()?, board.fair.provisional()?);
        Some(VENUES.map(|long| Chance {
            instrument,
            long,
            touches,
            yardstick: Yardstick::new(fair),
            t_tick,
            now,
            key: Key::default(),
        }))
    }

    /// A direction may be entered again once its edge has come back to where a pair made of it
    /// would be left, whatever became of the pair. One look is enough, as it is for the pair; an
    /// episode still takes longer to end.
    fn release(&mut self, chance: &Chance) {
        let board = &mut self.boards[chance.instrument.idx()];
        if board.entered[chance.long.idx()].is_some()
            && !chance.costs_over(self.limits.exit_over_fair)
            && chance.now >= board.t_absurd
            && board
                .doubt(chance.now, self.limits.stale_after_ns)
                .is_none()
        {
            board.entered[chance.long.idx()] = None;
        }
    }

    /// Follows one direction's episode; what is ripe of it waits for the turn's end. An episode
    /// is told once when it begins, once per reason that refused it, and once when it is taken, so
    /// that the counters count opportunities and not messages. `was_border`: a look of this turn
    /// met a border of age, and was not settled.
    fn follow(&mut self, chance: &Chance, half: Bps, was_border: bool) {
        let above = chance.pays(self.limits.gross_min);
        let low = !above && !chance.pays(half);
        let (instrument, long, t) = (chance.instrument, chance.long, chance.now);
        let episode = &mut self.boards[instrument.idx()].episodes[long.idx()];
        if episode.follow(t, above, low) {
            self.arrival.begin(instrument, long);
            self.desk.note(Event::Seen {
                instrument,
                long,
                gross: chance.gross(),
                t,
            });
        }
        if !above {
            self.arrival.part(instrument, long);
            return;
        }
        let (chance, is_border) = self.meet(chance);
        let is_border = is_border || was_border;
        let is_ripe = self.boards[instrument.idx()].episodes[long.idx()].is_ripe();
        match is_ripe.then(|| self.ripen(&chance, is_border)) {
            None => self.conclude(&chance, None, is_border),
            Some(Err(reason)) => self.conclude(&chance, Some(Err(reason)), is_border),
            // It is entered, or not, and settled at the end of the turn's news.
            Some(Ok(())) => {}
        }
    }

    /// An edge was taken or refused, or met while nothing may be made of it: it is told where that
    /// is news, and followed to its arrival.
    pub(super) fn conclude(
        &mut self,
        chance: &Chance,
        entered: Option<Result<(), Reason>>,
        is_border: bool,
    ) {
        let (instrument, long, t) = (chance.instrument, chance.long, chance.now);
        let episode = &mut self.boards[instrument.idx()].episodes[long.idx()];
        let reason = entered.and_then(Result::err);
        let is_first = match reason {
            Some(reason) => episode.refuse(reason),
            None => entered.is_some(),
        };
        if let Some(reason) = reason.filter(|_| is_first) {
            self.desk.note(Event::Refused {
                instrument,
                long,
                reason,
                t,
            });
        }
        if is_border || is_first {
            self.follow_on(chance, (reason, is_first), is_border);
        }
    }

    /// Is the edge true and does its first piece pay? Gives the gross edge every piece must have,
    /// and what goes off it.
    pub(super) fn edge_wanted(&self, chance: &Chance) -> Result<(Bps, Parts), Reason> {
        let board = &self.boards[chance.instrument.idx()];
        if let Some(doubt) = board.doubt(chance.now, self.limits.stale_after_ns) {
            return Err(doubt);
        }
        if board.is_divergent(&chance.touches) {
            return Err(Reason::Divergent);
        }
        if chance.now < board.t_absurd || chance.pays(self.limits.plausible_max) {
            return Err(Reason::Implausible);
        }
        if board.fair.known().is_none() {
            return Err(match board.fair.is_relearning() {
                true => Reason::RegimeChange,
                false => Reason::FairWarmup,
            });
        }
        if board.entered[chance.long.idx()] == Some(board.fair.stretch()) {
            return Err(Reason::RegimeChange);
        }
        if self.common.is_moving() {
            return Err(Reason::CommonMode);
        }
        // Both minima in one threshold on the gross edge: the walk then has one number to hold.
        let costs = self.costs(chance);
        let edge_min = self.limits.net_min + costs.costs();
        let edge_min = self.limits.gross_min.max(edge_min);
        if !chance.pays(edge_min) {
            return Err(match chance.pays(edge_min - costs.uncertainty) {
                true => Reason::Uncertain,
                false => Reason::NetBelowMin,
            });
        }
        match self.limits.edge.hours.is_between(chance.now) {
            true => Err(Reason::FundingWindow),
            false => Ok((edge_min, costs)),
        }
    }

    /// What a pair costs on the way. The entry's own half spreads are in the walk already: it buys
    /// at asks and sells at bids.
    pub(super) fn costs(&self, chance: &Chance) -> Parts {
        let board = &self.boards[chance.instrument.idx()];
        let direction = (chance.long, &chance.touches);
        edge::costs(board, &self.limits.edge.hours, direction, chance.now)
    }

    /// May we, and how much? The size is bound three times: by the limits at the touch, by what the
    /// ladders hold, and by the limits again at the worst price walked.
    pub(super) fn plan(
        &mut self,
        chance: &Chance,
        edge_min: Bps,
        costs: &Parts,
    ) -> Result<Fit, Reason> {
        let slot = self.permit(chance)?;
        let ground = self.ground(chance);
        let board = &self.boards[chance.instrument.idx()];
        let touch_prices = self.limit_prices(chance, chance.touches.map(|t| (t.ask, t.bid)));
        let bids = chance.touches.map(|touch| touch.bid);
        let size_min = board.lattice.size_min(bids);
        let earned = ramp::left(board, &self.limits.ramp, (size_min, &ground));
        let (cap, bound) = earned.or(room(&self.limits, &ground, touch_prices));
        let terms = Terms {
            yardstick: chance.yardstick,
            long: chance.long,
            edge_min,
            haircut: Haircut::cut_e4(self.limits.depth_haircut_e4),
            cap,
            step: board.lattice.step(),
        };
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
        let room = room(&self.limits, &ground, self.limit_prices(chance, worst));
        let (cap, bound) = earned.or(room);
        let is_bound =
            walk.size > cap.floor_to(terms.step) || walk.size == terms.cap.floor_to(terms.step);
        let walk = match walk.size > cap {
            true => Walk::sized(books, &terms, cap).ok_or(bound)?,
            false => walk,
        };
        if walk.size < size_min {
            return Err(Reason::SizeBelowMin);
        }
        let worst = walk.taken.map(|taken| (taken.worst, taken.worst));
        let gross = walk.gross(&terms);
        let seen = self.seen_net(chance, gross, costs);
        let (instrument, key, now) = (chance.instrument, chance.key, chance.now);
        let expected = self.arrival.admit(instrument, key, seen, now)?;
        let plan = Plan {
            number: self.pairs_made.wrapping_add(1) & 0xFF_FFFF,
            long: chance.long,
            lead: expected.lead,
            yardstick: chance.yardstick,
            size: walk.size,
            taken: walk.taken,
            prices: self.limit_prices(chance, worst),
            gross,
            net: expected.edge,
            parts: Parts { gross, ..*costs },
            foreseen: Default::default(),
            bound: is_bound.then_some(bound),
            t_tick: chance.t_tick,
        };
        Ok(Fit {
            slot,
            plan,
            expected,
        })
    }

    /// The limits that do not depend on size, in the order in which a person would ask: is it
    /// wanted, is it possible, is it too soon, is there a place, are there tokens. Gives a free
    /// slot.
    fn permit(&mut self, chance: &Chance) -> Result<usize, Reason> {
        if !(self.limits.entries_enabled && self.entries_on) || self.desk.is_halted() {
            return Err(Reason::EntriesOff);
        }
        if let Some(reason) = self.desk.breakers.refusal() {
            return Err(reason);
        }
        if !self.boards[chance.instrument.idx()].entries_on {
            return Err(Reason::MarketOff);
        }
        if !self.desk.accounts.iter().all(|account| account.is_up) {
            return Err(Reason::GatewayDown);
        }
        if self.desk.is_short(chance.now) {
            return Err(Reason::RateBudget);
        }
        let is_queued = |account: &Account| {
            account.queue_rank(chance.instrument) >= self.limits.margin.queue_stop
        };
        if self.margin.worst() >= Level::Stop || self.desk.accounts.iter().any(is_queued) {
            return Err(Reason::MarginDistance);
        }
        if chance.now < self.boards[chance.instrument.idx()].t_rest {
            return Err(Reason::Cooldown);
        }
        if chance.now < self.boards[chance.instrument.idx()].standing.t_rest {
            return Err(Reason::LosingRun);
        }
        let slots = self.slots_of(chance.instrument);
        let (mut free, mut opposed) = (None, false);
        for slot in slots {
            let pair = &self.pairs[slot];
            if !pair.is_active() {
                free = free.or(Some(slot));
            } else if pair.long != chance.long {
                opposed = true;
            }
        }
        let slot = free.filter(|_| !opposed).ok_or(Reason::NoSlot)?;
        match self.has_tokens(chance.now) {
            true => Ok(slot),
            false => Err(Reason::RateBudget),
        }
    }

    /// Whether both venues' budgets carry one more pair.
    fn has_tokens(&mut self, now: Nanos) -> bool {
        let mut budgets = self.desk.budgets.iter_mut().zip(self.tally.awaited);
        let pairs_open = self.tally.active;
        budgets.all(|(budget, awaited)| budget.allows_entry(now, pairs_open, awaited))
    }

    /// Worst prices the entry orders may pay, from (ask, bid) of each venue.
    pub(super) fn limit_prices(
        &self,
        chance: &Chance,
        prices: [(Price, Price); VENUE_COUNT],
    ) -> [Price; VENUE_COUNT] {
        let board = &self.boards[chance.instrument.idx()];
        VENUES.map(|venue| {
            let (ask, bid) = prices[venue.idx()];
            let side = chance.side(venue);
            let price = match side {
                Side::Bid => ask,
                Side::Ask => bid,
            };
            board.limit(venue, side, price, self.limits.slippage)
        })
    }

    /// The liquidity as it stands at the moment of sending: the size is never more than what lies
    /// within the orders' limits on either book, haircut taken off, whatever became of the books
    /// since the plan. The rule binds entries; a hedge goes out whatever is there, since the leg
    /// that stands alone is the greater risk.
    pub(super) fn cut_to_depth(&self, chance: &Chance, plan: &mut Plan) -> Result<(), Reason> {
        let board = &self.boards[chance.instrument.idx()];
        let haircut = Haircut::cut_e4(self.limits.depth_haircut_e4);
        let depths = VENUES.map(|venue| {
            let order = (chance.side(venue), plan.prices[venue.idx()]);
            board.within(venue, order, haircut, DEPTH_MAX)
        });
        let [extended, lighter] = depths;
        let size = plan.size.min(extended).min(lighter);
        if size < plan.size {
            let size = size.floor_to(board.lattice.step());
            let bids = chance.touches.map(|touch| touch.bid);
            if size < board.lattice.size_min(bids) {
                return Err(Reason::SizeBelowMin);
            }
            plan.size = size;
            for venue in VENUES {
                let levels = board.book(venue).levels(chance.side(venue).other());
                let taken = take(levels, haircut, size).ok_or(Reason::SizeBelowMin)?;
                plan.taken[venue.idx()] = taken;
            }
        }
        let direction = (chance.long, &chance.touches);
        plan.foreseen = edge::foreseen(direction, plan.size, &plan.taken, depths);
        plan.parts.impact_e4 = board.own.score_e4(&plan.foreseen, plan.parts.closing);
        Ok(())
    }

    /// Sends the entry. A full order link drops it: an opportunity is not worth waiting for.
    pub(super) fn take(&mut self, chance: &Chance, slot: usize, plan: &Plan) -> Result<(), Reason> {
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
        self.tally.count(slot, &self.pairs[slot]);
        let board = &mut self.boards[chance.instrument.idx()];
        board.episodes[chance.long.idx()].take();
        board.entered[chance.long.idx()] = Some(board.fair.stretch());
        self.desk.note(Event::Taken {
            pair: plan.number,
            instrument: chance.instrument,
            long: plan.long,
            lead: plan.lead,
            size: plan.size,
            gross: plan.gross,
            net: plan.net,
            parts: plan.parts,
            bound: plan.bound,
            t: chance.now,
        });
        Ok(())
    }
}
