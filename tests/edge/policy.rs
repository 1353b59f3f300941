//! The reference: a small trader that knows the law of the planted events and nothing else.
//!
//! What it knows is design knowledge, not sight: one event at a time, amplitudes of 12 to 18 bps
//! whatever the kind, lives of either at most 0.4 s or at least 0.9 s, one venue displaced. It is
//! not told of any event's kind, life or venue; it sees the books that the scanner sees, when the
//! scanner sees them, and its orders travel as the scanner's do. Tick, lot, minima, fees, haircut
//! and limits are the engine's. It decides by an edge's age, by the venue that was seen to move,
//! and by what the ladders hold; what is free in that (how long it waits, which leg goes first,
//! when it leaves) is a [`Policy`], found by search on other seeds than the judged ones.
//!
//! The clairvoyant is the same trader with the list of events in its hand: it knows the displaced
//! venue and the life of each at onset. Nobody can do what it does; it bounds the reference.
//! No code of the scanner's is used.

use crate::stand::{BAND_BPS, Flight, Market, Phase, SLIPPAGE_BPS, beyond};
use crate::virtual_time::{News, Scenario, Trader};
use parallax::market::book::Side;
use parallax::market::order::{Action, Order, OrderId};
use parallax::market::units::{MS, Nanos, Price, SECOND, Size};
use parallax::market::{Instrument, VENUES, Venue};
use parallax::sim::plant::PlantedEvent;
use std::collections::VecDeque;

/// Which leg goes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lead {
    Slow,
    Fast,
    Both,
}

impl Lead {
    /// Whether this venue's leg leaves at once.
    fn goes_first(self, venue: Venue) -> bool {
        match self {
            Lead::Slow => venue == Venue::Lighter,
            Lead::Fast => venue == Venue::Extended,
            Lead::Both => true,
        }
    }
}

/// How an edge is entered.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Entry {
    /// Age the edge must have.
    pub wait_ms: u64,
    /// Which leg goes first.
    pub lead: Lead,
    /// Whether it is entered at all.
    pub is_taken: bool,
}

/// What is free.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Policy {
    /// By the venue that was seen to move (clairvoyant: that is displaced, payers then decoys).
    pub entry: [[Entry; 2]; 2],
    /// Net edge, bps, that the last piece of an entry has at least when it is sent.
    pub net_min: f64,
    /// A pair is left when its executable exit stands this close to the fair, bps.
    pub exit_bps: f64,
    /// Which leg goes first on the way out.
    pub exit_lead: Lead,
}

/// Orders a minute on the slow venue, kept free for ways out.
const SLOW_ORDERS_MAX: usize = 40;
const SLOW_ORDERS_KEPT: usize = 4;

/// The trader.
pub struct Reference {
    policy: Policy,
    /// The clairvoyant's list.
    oracle: Option<Vec<PlantedEvent>>,
    markets: Vec<Market>,
    slow_orders: VecDeque<Nanos>,
    orders_made: u64,
    is_draining: bool,
}

impl Reference {
    pub fn new(scenario: &Scenario, policy: Policy) -> Reference {
        let market = |instrument: &Instrument| {
            let fair = scenario.basis_before(instrument.id).to_f64();
            Market::new(instrument, fair)
        };
        Reference {
            policy,
            oracle: None,
            markets: scenario.instruments().iter().map(market).collect(),
            slow_orders: VecDeque::new(),
            orders_made: 0,
            is_draining: false,
        }
    }

    pub fn clairvoyant(
        scenario: &Scenario,
        policy: Policy,
        events: Vec<PlantedEvent>,
    ) -> Reference {
        Reference {
            oracle: Some(events),
            ..Reference::new(scenario, policy)
        }
    }

    /// How to enter an edge: by what was seen to move, or by what is known.
    fn entry(&self, market: &Market, now: Nanos) -> Option<Entry> {
        let (_, since, before) = market.onset?;
        let Some(events) = &self.oracle else {
            return Some(self.policy.entry[market.moved(before)?.idx()][0]);
        };
        let is_it = |event: &&PlantedEvent| {
            let slack = 200 * MS;
            event.instrument == market.instrument.id
                && event.start <= now
                && since.0 < event.end.0 + slack
        };
        let event = events.iter().rev().find(is_it)?;
        Some(self.policy.entry[event.venue.idx()][usize::from(event.is_decoy)])
    }

    fn step(&mut self, at: usize, now: Nanos, orders: &mut Vec<Order>) {
        self.markets[at].end_flights();
        if now < self.markets[at].rest_until {
            return;
        }
        match self.markets[at].phase {
            Phase::Flat => self.look_in(at, now, orders),
            Phase::Entering => self.even(at, now, orders),
            Phase::Hedged => {
                if !self.look_out(at, now, orders) {
                    self.look_in(at, now, orders);
                }
            }
            Phase::Leaving => self.lower(at, now, orders),
        }
    }

    /// Enters, or adds to what is there in the same direction.
    fn look_in(&mut self, at: usize, now: Nanos, orders: &mut Vec<Order>) {
        let market = &self.markets[at];
        let (Some((long, since, _)), Some(entry)) = (market.onset, self.entry(market, now)) else {
            return;
        };
        let is_ripe = entry.is_taken && now.since(since) >= entry.wait_ms * MS;
        let is_other_way = market.phase == Phase::Hedged && market.long != long;
        while self
            .slow_orders
            .front()
            .is_some_and(|t| now.since(*t) >= 60 * SECOND)
        {
            self.slow_orders.pop_front();
        }
        let has_room = self.slow_orders.len() + SLOW_ORDERS_KEPT < SLOW_ORDERS_MAX;
        if !is_ripe || is_other_way || !has_room || self.is_draining {
            return;
        }
        let Some((size, worst)) = market.walk(long, self.policy.net_min) else {
            return;
        };
        let market = &mut self.markets[at];
        (market.phase, market.long, market.lead) = (Phase::Entering, long, entry.lead);
        for venue in VENUES {
            let goes = entry.lead.goes_first(venue);
            if goes {
                let side = self.markets[at].opening(venue);
                let limit = beyond(worst[venue.idx()], side, SLIPPAGE_BPS);
                self.send(at, (venue, side, size, limit, false), now, orders);
            }
        }
    }

    /// Raises the smaller leg to the larger, or takes the larger back where that is cheaper.
    fn even(&mut self, at: usize, now: Nanos, orders: &mut Vec<Order>) {
        let market = &self.markets[at];
        let (large, excess) = market.excess();
        let small = large.other();
        if market.flights[small.idx()].is_some() {
            return;
        }
        if excess == 0 {
            if market.flights[large.idx()].is_none() {
                self.markets[at].settle(now);
            }
            return;
        }
        let is_late = market.is_cheaper_back(large, excess);
        let (venue, side, reduces) = match is_late {
            true if market.flights[large.idx()].is_some() => return,
            true => (large, market.opening(large).other(), true),
            false => (small, market.opening(small), false),
        };
        let Some(taken) = market.views[venue.idx()].take(side, Size(excess)) else {
            return;
        };
        let limit = beyond(taken.worst, side, BAND_BPS);
        self.send(at, (venue, side, excess, limit, reduces), now, orders);
    }

    /// Leaves when it has converged. True when it did.
    fn look_out(&mut self, at: usize, now: Nanos, orders: &mut Vec<Order>) -> bool {
        let market = &self.markets[at];
        let size = market.held[0].abs();
        let Some(stands) = market.exit_edge(size) else {
            return false;
        };
        if stands > self.policy.exit_bps && !self.is_draining {
            return false;
        }
        let lead = self.policy.exit_lead;
        self.markets[at].phase = Phase::Leaving;
        self.markets[at].lead = lead;
        for venue in VENUES {
            let goes = lead.goes_first(venue);
            let market = &self.markets[at];
            let side = market.opening(venue).other();
            let band = if self.is_draining {
                BAND_BPS
            } else {
                SLIPPAGE_BPS
            };
            if let Some(taken) = market.views[venue.idx()]
                .take(side, Size(size))
                .filter(|_| goes)
            {
                let limit = beyond(taken.worst, side, band);
                self.send(at, (venue, side, size, limit, true), now, orders);
            }
        }
        true
    }

    /// On the way out: the larger leg is lowered to the smaller one.
    fn lower(&mut self, at: usize, now: Nanos, orders: &mut Vec<Order>) {
        let market = &self.markets[at];
        let (large, excess) = market.excess();
        if market.flights[large.idx()].is_some() {
            return;
        }
        if excess == 0 {
            if market.flights[large.other().idx()].is_none() {
                self.markets[at].settle(now);
            }
            return;
        }
        let side = market.opening(large).other();
        let Some(taken) = market.views[large.idx()].take(side, Size(excess)) else {
            return;
        };
        let limit = beyond(taken.worst, side, BAND_BPS);
        self.send(at, (large, side, excess, limit, true), now, orders);
    }

    fn send(
        &mut self,
        at: usize,
        (venue, side, size, limit, reduce_only): (Venue, Side, i64, f64, bool),
        now: Nanos,
        orders: &mut Vec<Order>,
    ) {
        self.orders_made += 1;
        if venue == Venue::Lighter {
            self.slow_orders.push_back(now);
        }
        let market = &mut self.markets[at];
        let tick = market.instrument.markets[venue.idx()].tick;
        let limit = Price(limit as i64);
        let id = OrderId(self.orders_made);
        market.flights[venue.idx()] = Some(Flight {
            id,
            size,
            filled: 0,
            over: None,
        });
        orders.push(Order {
            id,
            action: Action::Place,
            venue,
            instrument: market.instrument.id,
            side,
            price: match side {
                Side::Bid => limit.floor_to(tick),
                Side::Ask => limit.ceil_to(tick),
            },
            size: Size(size),
            reduce_only,
            t_tick: Nanos::ZERO,
            t_decide: now,
        });
    }
}

impl Trader for Reference {
    fn hear(&mut self, venue: Venue, news: &News, _now: Nanos) {
        match news {
            News::Book(deltas) => {
                for delta in deltas {
                    self.markets[delta.instrument.idx()].views[venue.idx()].apply(delta);
                }
            }
            News::Report(report) if report.order != OrderId::NONE => {
                self.markets[report.instrument.idx()].hear(report);
            }
            News::Report(_) | News::Reference(_) => {}
        }
    }

    fn turn(&mut self, now: Nanos, orders: &mut Vec<Order>) {
        for at in 0..self.markets.len() {
            self.markets[at].follow(now);
            self.step(at, now, orders);
        }
    }

    fn beat(&mut self, now: Nanos) {
        for market in &mut self.markets {
            market.remember(now);
        }
    }

    fn drain(&mut self, _now: Nanos) {
        self.is_draining = true;
    }

    fn is_drained(&self) -> bool {
        let is_idle =
            |market: &Market| market.held == [0, 0] && market.flights.iter().all(Option::is_none);
        self.is_draining && self.markets.iter().all(is_idle)
    }
}
