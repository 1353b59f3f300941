//! Edge at arrival: what will still stand when the orders of an edge are matched, learned from what
//! became of all edges before it, taken or not.
//!
//! At every edge above the minimum, and again each time it has come of age, both prices are
//! remembered and looked at when orders sent at that moment would have been matched. From these
//! looks follows what each order of the legs would have made. An edge is entered on the mean of
//! edges of its kind (who moved, how old, how large) given that the first order fills, less the
//! doubt of that mean; and not before the age at which entering has made the most.
//!
//! Promises: fixed memory, no allocation after `new`, integers only; what is expected depends on
//! what was observed and on `now` alone. What was never seen is not expected: cold is refused.

mod delays;
pub mod key;
mod lately;
pub mod memory;
pub mod table;
#[cfg(test)]
mod tests;
mod watch;

use crate::market::event::Terms;
use crate::market::score::{Expected, ORDERS, Score};
use crate::market::units::{Bps, Nanos, Notional};
use crate::market::{Instrument, InstrumentId, Reason, VENUE_COUNT, Venue};
use crate::scanner::arrival::delays::Delays;
use crate::scanner::arrival::key::{AGES, KEYS, Key, SIZES};
use crate::scanner::arrival::lately::{corrected, row};
use crate::scanner::arrival::memory::{Known, ONE, Wide};
use crate::scanner::arrival::table::Table;
use crate::scanner::arrival::watch::Watched;
use crate::scanner::board::Touch;
use crate::scanner::order_of_legs::{LEADS, order_set};
use crate::scanner::risk::{LegOrder, Limits};

/// Another order than slow first must be worth this much more. Larger: rarely another. Smaller:
/// noise flips it.
const MARGIN: Bps = Bps::from_bits(1 << 14);
/// Standard errors that come off an expected edge before it is held against the minimum. Larger:
/// later warm, fewer false hopes.
const DOUBTS: i64 = 2;
/// A later age must have made more by this part, 2^-4, for an edge to wait for it. Larger: in
/// sooner, and some edges that were about to end with it.
const LATER_BITS: u32 = 4;
/// Edges of an age (decayed) before it is worth waiting for.
const LATER_MIN: i64 = 8 * ONE;

/// Kinds that an idle turn looks at for one to settle. More: settled sooner after a lesson, and an
/// idle turn, which a message may have to wait for, is longer.
const KEYS_PER_LOOK: usize = 8;

/// What is learned, and what it says.
pub struct Arrival {
    table: Table,
    watched: Box<[Watched]>,
    answers: Box<[Answer]>,
    /// What all markets say of each kind, with the version that it came from.
    wides: Box<[Option<(u32, Wide)>]>,
    /// The kind that was settled last.
    settled: usize,
    /// By venue that moved: an edge of this age waits for a later one.
    waits: [[bool; AGES]; VENUE_COUNT],
    delays: [Delays; VENUE_COUNT],
    legs: LegOrder,
    net_min: Bps,
    fill_min_e4: u32,
}

/// What is known of a kind in a market, as worked out last.
#[derive(Clone, Copy)]
struct Answer {
    /// Versions of the memories it came from, added up: both only grow.
    version: Option<u32>,
    orders: [Option<Known>; ORDERS],
}

/// An edge as it is met: where, which kind, and whether it has just come of that age.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Met {
    /// Which kind.
    pub key: Key,
    /// It has just begun, grown anew or come of an age: it is to be followed.
    pub is_border: bool,
}

/// What is to be known of an edge that is followed.
#[derive(Clone, Copy, Debug)]
pub struct Followed {
    /// Which instrument.
    pub instrument: InstrumentId,
    /// Where the direction buys.
    pub long: Venue,
    /// Which kind.
    pub key: Key,
    /// Why it is not taken; `None`: it is.
    pub reason: Option<Reason>,
    /// First of its episode for this reason.
    pub is_first: bool,
    /// It may be learned from.
    pub teaches: bool,
    /// What both legs bring at the touches, all costs but the opening legs' slippage taken off.
    pub net: Bps,
    /// What could be traded.
    pub notional: Notional,
}

impl Arrival {
    /// Knows nothing yet.
    pub fn new(instruments: &[Instrument], limits: &Limits) -> Arrival {
        let watched = |instrument| Watched::new(instrument, limits);
        let unknown = Answer {
            version: None,
            orders: [None; ORDERS],
        };
        Arrival {
            table: Table::new(instruments.len()),
            watched: instruments.iter().map(watched).collect(),
            answers: vec![unknown; instruments.len() * KEYS].into_boxed_slice(),
            wides: vec![None; KEYS].into_boxed_slice(),
            settled: 0,
            waits: [[false; AGES]; VENUE_COUNT],
            delays: limits.match_delay_ns.map(Delays::new),
            legs: limits.leg_order,
            net_min: limits.net_min,
            fill_min_e4: limits.fill_min_e4,
        }
    }

    /// Goes on from what was learned before. A table of another number of instruments is not ours.
    #[cold]
    pub fn learned(&mut self, table: Table) {
        if table.markets.len() == self.watched.len() {
            self.table = table;
            for answer in &mut self.answers {
                answer.version = None;
            }
            self.wides.fill(None);
            for moved in crate::market::VENUES {
                self.weigh_ages(Key::new(moved, 0, Bps::ZERO));
            }
        }
    }

    /// These are both touches of an instrument from `now` on, `None` while they can't be believed.
    /// Edges whose orders would have been matched by now are learned from and told.
    #[inline]
    pub fn observe(
        &mut self,
        instrument: InstrumentId,
        (now, touches): (Nanos, Option<[Touch; VENUE_COUNT]>),
        mut tell: impl FnMut(Score),
    ) {
        let Arrival { table, watched, .. } = self;
        let mut learned = None;
        watched[instrument.idx()].observe(now, touches, |mut score| {
            let lead = score.expected.map(|expected| expected.lead);
            let order = LEADS.iter().position(|leg| Some(*leg) == lead);
            let order = order.or(order_set(self.legs)).unwrap_or(0);
            score.made = score.edges[order];
            table.learn(&score);
            if score.teaches {
                learned = Key::from_number(score.key);
            }
            tell(score);
        });
        if let Some(key) = learned {
            self.weigh_ages(key);
        }
    }

    /// Asks memory for what an edge that begins now, made by this venue, would be judged by.
    #[inline]
    pub fn bring_near(&self, instrument: InstrumentId, moved: Venue) {
        self.watched[instrument.idx()].bring_near();
        self.table.markets[instrument.idx()].bring_near(Key::new(moved, 0, Bps::ZERO));
    }

    /// An episode begins: whatever stood before is over.
    pub fn begin(&mut self, instrument: InstrumentId, long: Venue) {
        self.watched[instrument.idx()].direction(long).age = key::Age::NEW;
    }

    /// A direction's edge stands at `gross`, at least `gross_min`, by the touches just observed.
    pub fn meet(
        &mut self,
        (instrument, long): (InstrumentId, Venue),
        now: Nanos,
        gross: Bps,
        gross_min: Bps,
    ) -> Met {
        let watched = &mut self.watched[instrument.idx()];
        let stand = watched.direction(long).age.stand(now, gross, gross_min);
        if stand.is_new {
            watched.direction(long).moved = watched.moved(long);
        }
        let moved = watched.direction(long).moved;
        Met {
            key: Key::new(moved, stand.age_idx, gross),
            is_border: stand.is_border,
        }
    }

    /// Which kind a direction's edge is now, as it was met last.
    pub fn kind(&self, instrument: InstrumentId, long: Venue, gross: Bps) -> Key {
        let direction = self.watched[instrument.idx()].met(long);
        Key::new(direction.moved, direction.age.reached(), gross)
    }

    /// A direction's edge is below the minimum.
    #[inline]
    pub fn part(&mut self, instrument: InstrumentId, long: Venue) {
        self.watched[instrument.idx()].direction(long).age.fall();
    }

    /// An edge of this instrument has come of age while no message came: it is to be looked at.
    #[inline]
    pub fn is_due(&mut self, instrument: InstrumentId, now: Nanos) -> bool {
        let watched = &mut self.watched[instrument.idx()];
        crate::market::VENUES
            .into_iter()
            .any(|long| watched.direction(long).age.is_due(now))
    }

    /// Follows an edge to its arrival, taken or not.
    pub fn follow(&mut self, edge: &Followed, now: Nanos) {
        let expected = self.expect(edge.instrument, edge.key, edge.net, now);
        let score = Score {
            instrument: edge.instrument,
            long: edge.long,
            reason: edge.reason,
            is_first: edge.is_first,
            teaches: edge.teaches,
            key: edge.key.idx() as u16,
            t_seen: now,
            t: now,
            net: edge.net,
            expected,
            made: None,
            edges: [None; ORDERS],
            notional: edge.notional,
        };
        let delays_ns = std::array::from_fn(|venue| self.delays[venue].draw());
        self.watched[edge.instrument.idx()].follow(score, delays_ns);
    }

    /// What an edge is expected to be when it is met by its orders, by the best order of legs or by
    /// the one that is set. `net` is what it brings at the prices seen, costs but the opening legs'
    /// slippage taken off. `None` while too little is known.
    #[inline]
    pub fn expect(
        &mut self,
        instrument: InstrumentId,
        key: Key,
        net: Bps,
        now: Nanos,
    ) -> Option<Expected> {
        let orders = self.answer(instrument, key, now);
        let expected = |order: usize| {
            let known = orders[order]?;
            Some(Expected {
                lead: LEADS[order],
                fill_e4: known.fill_e4,
                edge: net + known.drift,
                error: known.error,
                samples: known.samples,
            })
        };
        if let Some(order) = order_set(self.legs) {
            return expected(order);
        }
        let mut best: Option<(Expected, i64)> = None;
        for order in 0..ORDERS {
            let Some(expected) = expected(order) else {
                continue;
            };
            let worth = expected.edge.bits() * i64::from(expected.fill_e4) / 10_000;
            if best.is_none_or(|(_, most)| worth > most + MARGIN.bits()) {
                best = Some((expected, worth));
            }
        }
        best.map(|(expected, _)| expected)
    }

    /// Whether an edge is to be entered now: what it is expected to be, less the doubt, pays the
    /// minimum, and no later age is worth waiting for.
    #[inline]
    pub fn admit(
        &mut self,
        instrument: InstrumentId,
        key: Key,
        net: Bps,
        now: Nanos,
    ) -> Result<Expected, Reason> {
        let expected = self.expect(instrument, key, net, now);
        let expected = expected.ok_or(Reason::Arrival)?;
        let doubt = Bps::from_bits(expected.error.bits() * DOUBTS);
        let waits = self.waits[key.moved().idx()][key.age_idx()];
        let fills = expected.fill_e4 >= self.fill_min_e4;
        match expected.edge - doubt >= self.net_min && fills && !waits {
            true => Ok(expected),
            false => Err(Reason::Arrival),
        }
    }

    /// How far a slow leg that follows the fast one may go beyond the touch.
    pub fn band(&mut self, instrument: InstrumentId, long: Venue, now: Nanos) -> Bps {
        self.watched[instrument.idx()].band(long, now)
    }

    /// Deviation of the slow venue's price over its delay; `None` while too little is known.
    pub fn deviation(&self, instrument: InstrumentId, long: Venue) -> Option<Bps> {
        self.watched[instrument.idx()].deviation(long)
    }

    /// The account's tier has changed. A fee is reckoned with from now on; what was learned at
    /// another delay says nothing of this one, and is learned anew.
    #[cold]
    pub fn set_terms(&mut self, terms: &Terms) {
        let (venue, watched) = (terms.venue, &mut self.watched[terms.instrument.idx()]);
        watched.set_fee(venue, terms.fee_taker);
        if self.delays[venue.idx()].configure(terms.match_delay_ns) {
            self.learned(Table::new(self.watched.len()));
        }
    }

    /// An order of ours was filled so long after it was decided.
    pub fn measure(&mut self, venue: Venue, ns: u64) {
        self.delays[venue.idx()].measure(ns);
    }

    /// What is known of a kind, worked out anew only when one of its memories has changed.
    #[inline]
    fn answer(
        &mut self,
        instrument: InstrumentId,
        key: Key,
        now: Nanos,
    ) -> [Option<Known>; ORDERS] {
        self.table.all.fade(now);
        let market = &mut self.table.markets[instrument.idx()];
        market.fade(now);
        let version = self.table.all.version().wrapping_add(market.version());
        let at = instrument.idx() * KEYS + key.idx();
        if self.answers[at].version != Some(version) {
            self.answers[at] = Answer {
                version: Some(version),
                orders: self.known_now(instrument, key),
            };
        }
        self.answers[at].orders
    }

    /// What is known of a kind in a market now: of long memory, with what is off lately. Of one
    /// order of the legs, where that is set.
    fn known_now(&mut self, instrument: InstrumentId, key: Key) -> [Option<Known>; ORDERS] {
        let wide = self.wide(key);
        let (market, all) = (&self.table.markets[instrument.idx()], &self.table.all);
        let (cell, row) = (market.cell(key.idx()), row(key));
        let (own, others) = (market.lately(row), all.lately(row));
        let set = order_set(self.legs);
        std::array::from_fn(|order| {
            let is_asked = set.is_none_or(|set| set == order);
            let known = is_asked.then(|| wide.known(cell, order)).flatten()?;
            Some(corrected(&known, &own[order], &others[order]))
        })
    }

    /// What all markets together say of a kind.
    fn wide(&mut self, key: Key) -> Wide {
        let version = self.table.all.version_of(key);
        match self.wides[key.idx()] {
            Some((of, wide)) if of == version => wide,
            _ => {
                let wide = Wide::of(&self.table.all, key);
                self.wides[key.idx()] = Some((version, wide));
                wide
            }
        }
    }

    /// For turns with nothing else to do: works out what all markets say of one kind of which
    /// something was learned since, so that the next edge of it finds that done. How many it was.
    pub fn settle(&mut self) -> usize {
        for _ in 0..KEYS_PER_LOOK {
            self.settled = (self.settled + 1) % KEYS;
            let Some(key) = Key::from_number(self.settled as u16) else {
                continue;
            };
            let version = self.table.all.version_of(key);
            if self.wides[key.idx()].is_none_or(|(of, _)| of != version) {
                self.wide(key);
                return 1;
            }
        }
        0
    }

    /// For each age, whether entering at a later one has made more in all, edges that did not live
    /// so long counted as nothing.
    ///
    /// Every episode is followed at each border that it reaches. So what entering at an age makes
    /// of all episodes is the sum over its kinds, those left out that lose; and the best age is the
    /// one with the largest sum, with no need to ask how many were still there.
    fn weigh_ages(&mut self, key: Key) {
        let made: [i64; AGES] = std::array::from_fn(|age| {
            let mut tries = 0;
            let mut sum = 0_i64;
            for idx in key.of_age(age) {
                let (cell, lately) = (self.table.all.cell(idx), self.table.all.lately(idx / SIZES));
                tries += cell.tries;
                let made = |order: usize| {
                    let (sums, lately) = (&cell.orders[order], &lately[order]);
                    sums.made + sums.filled.saturating_mul(lately.believed(sums.filled))
                };
                let made = match order_set(self.legs) {
                    Some(order) => made(order),
                    None => (0..ORDERS).map(made).max().unwrap_or(0),
                };
                sum = sum.saturating_add(made.max(0));
            }
            if tries < LATER_MIN { 0 } else { sum }
        });
        let mut later = 0;
        for age in (0..AGES).rev() {
            let margin = made[age] >> LATER_BITS;
            self.waits[key.moved().idx()][age] = later > made[age] + margin;
            later = later.max(made[age]);
        }
    }
}
