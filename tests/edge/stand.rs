//! What the reference knows of one market: both books, the fair, an edge and who moved, what it
//! holds and what is in flight.

use crate::policy::Lead;
use crate::view::View;
use parallax::market::book::Side;
use parallax::market::order::{OrderId, Report, ReportKind};
use parallax::market::units::{MS, Nanos, Price, Size};
use parallax::market::{Instrument, VENUES, Venue};
use std::collections::VecDeque;

/// Usable share of a visible level, largest notional a market and venue, bound of a first order
/// beyond the worst price walked and of a following one beyond the touch: the demo's limits.
const HAIRCUT: f64 = 0.5;
const POSITION_NANO: i128 = 500_000_000_000;
pub const SLIPPAGE_BPS: f64 = 0.5;
pub const BAND_BPS: f64 = 30.0;
/// An edge begins when this much stands over the fair, and is over below half of it.
const ONSET_BPS: f64 = 4.0;
/// Prices before an onset are compared with those of so long before it.
const BEFORE_NS: u64 = 60 * MS;
/// The fair: samples of calm moments.
const SAMPLE_NS: u64 = 100 * MS;
const SAMPLES_MAX: usize = 600;
const SAMPLES_SEEDED: usize = 100;
/// Rest after anything that did not go as planned.
const REST_NS: u64 = 50 * MS;

/// Where a market's pair stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    Flat,
    Entering,
    Hedged,
    Leaving,
}

/// One market.
pub struct Market {
    pub instrument: Instrument,
    pub views: [View; 2],
    pub samples: VecDeque<f64>,
    pub fair: f64,
    pub mids: VecDeque<(Nanos, [f64; 2])>,
    /// Where an edge stands: where it would buy, since when, and mids before it.
    pub onset: Option<(Venue, Nanos, [f64; 2])>,
    pub phase: Phase,
    pub long: Venue,
    pub lead: Lead,
    pub held: [i64; 2],
    pub paid: [f64; 2],
    pub flights: [Option<Flight>; 2],
    pub rest_until: Nanos,
    pub sample_due: Nanos,
}

/// An order under way.
#[derive(Clone, Copy)]
pub struct Flight {
    pub id: OrderId,
    pub size: i64,
    pub filled: i64,
    /// What the venue said was filled, once it is over.
    pub over: Option<i64>,
}

impl Market {
    pub fn new(instrument: &Instrument, fair: f64) -> Market {
        Market {
            instrument: *instrument,
            views: Default::default(),
            samples: std::iter::repeat_n(fair, SAMPLES_SEEDED).collect(),
            fair,
            mids: VecDeque::new(),
            onset: None,
            phase: Phase::Flat,
            long: Venue::Extended,
            lead: Lead::Slow,
            held: [0; 2],
            paid: [0.0; 2],
            flights: [None; 2],
            rest_until: Nanos::ZERO,
            sample_due: Nanos::ZERO,
        }
    }

    /// The side that opens a leg.
    pub fn opening(&self, venue: Venue) -> Side {
        match venue == self.long {
            true => Side::Bid,
            false => Side::Ask,
        }
    }

    /// The leg that holds more, and by how much.
    pub fn excess(&self) -> (Venue, i64) {
        let held = self.held.map(i64::abs);
        let large = match held[0] >= held[1] {
            true => Venue::Extended,
            false => Venue::Lighter,
        };
        (large, held[large.idx()] - held[large.other().idx()])
    }

    /// A price on a venue, made comparable by the fair.
    fn value(&self, venue: Venue, price: f64) -> f64 {
        match venue {
            Venue::Extended => price * (1.0 + self.fair / 10_000.0),
            Venue::Lighter => price,
        }
    }

    /// What buying on `long` and selling on the other brings over the fair, bps.
    fn edge(&self, long: Venue, bought: f64, sold: f64) -> f64 {
        (self.value(long.other(), sold) / self.value(long, bought) - 1.0) * 10_000.0
    }

    fn fee(&self, venue: Venue) -> f64 {
        self.instrument.markets[venue.idx()].fee_taker.to_f64()
    }

    /// Fees of four legs and both half spreads on the way out.
    fn costs(&self) -> f64 {
        let halves: f64 = self.views.iter().map(View::half_spread).sum();
        2.0 * (self.fee(Venue::Extended) + self.fee(Venue::Lighter)) + halves
    }

    /// Follows edges: begins one, ends one.
    pub fn follow(&mut self, now: Nanos) {
        let [Some(extended), Some(lighter)] = [self.views[0].touch(), self.views[1].touch()] else {
            return;
        };
        let touches = [extended, lighter];
        let edges = VENUES.map(|long| {
            let (bought, sold) = (touches[long.idx()].1, touches[long.other().idx()].0);
            self.edge(long, bought, sold)
        });
        match self.onset {
            Some((long, ..)) if edges[long.idx()] < ONSET_BPS / 2.0 => self.onset = None,
            Some(_) => {}
            None => {
                let long = VENUES
                    .into_iter()
                    .find(|long| edges[long.idx()] >= ONSET_BPS);
                let is_before = |(t, _): &&(Nanos, [f64; 2])| now.since(*t) >= BEFORE_NS;
                let before = self
                    .mids
                    .iter()
                    .rev()
                    .find(is_before)
                    .map(|(_, mids)| *mids);
                self.onset = long.zip(before).map(|(long, before)| (long, now, before));
            }
        }
    }

    /// The venue that has moved further since before the onset.
    pub fn moved(&self, before: [f64; 2]) -> Option<Venue> {
        let moves = VENUES.map(|venue| {
            let mid = self.views[venue.idx()].mid();
            mid.map(|mid| (mid / before[venue.idx()] - 1.0).abs())
        });
        let [Some(extended), Some(lighter)] = moves else {
            return None;
        };
        Some(VENUES[usize::from(lighter > extended)])
    }

    /// At the beat: mids are remembered, calm moments teach the fair.
    pub fn remember(&mut self, now: Nanos) {
        let [Some(extended), Some(lighter)] = [self.views[0].mid(), self.views[1].mid()] else {
            return;
        };
        self.mids.push_back((now, [extended, lighter]));
        if self.mids.len() > 50 {
            self.mids.pop_front();
        }
        if now < self.sample_due {
            return;
        }
        self.sample_due = now.plus(SAMPLE_NS);
        if self.onset.is_some() || self.phase != Phase::Flat {
            return;
        }
        self.samples
            .push_back((lighter / extended - 1.0) * 10_000.0);
        if self.samples.len() > SAMPLES_MAX {
            self.samples.pop_front();
        }
        let mut sorted: Vec<f64> = self.samples.iter().copied().collect();
        sorted.sort_unstable_by(f64::total_cmp);
        self.fair = sorted[sorted.len() / 2];
    }

    /// The largest size whose last piece pays `net_min`, under the haircut and the position limit,
    /// and the worst price on either venue.
    pub fn walk(&self, long: Venue, net_min: f64) -> Option<(i64, [Price; 2])> {
        let wanted = self.costs() + net_min;
        let cut = |(price, size): (i64, i64)| (price, (size as f64 * HAIRCUT) as i64);
        let short = long.other();
        let mut asks = self.views[long.idx()].levels(Side::Ask).map(cut);
        let mut bids = self.views[short.idx()].levels(Side::Bid).map(cut);
        let (mut ask, mut bid) = (asks.next()?, bids.next()?);
        let (mut size, mut worst) = (0, [Price(0); 2]);
        while self.edge(long, ask.0 as f64, bid.0 as f64) >= wanted {
            let piece = ask.1.min(bid.1);
            size += piece;
            worst[long.idx()] = Price(ask.0);
            worst[short.idx()] = Price(bid.0);
            (ask.1, bid.1) = (ask.1 - piece, bid.1 - piece);
            if ask.1 == 0 {
                let Some(next) = asks.next() else { break };
                ask = next;
            }
            if bid.1 == 0 {
                let Some(next) = bids.next() else { break };
                bid = next;
            }
        }
        for venue in VENUES {
            // The limit holds at the worst price that the order may pay.
            let price = beyond(worst[venue.idx()], self.side_of(long, venue), SLIPPAGE_BPS);
            let room = (POSITION_NANO * 1_000_000_000) as f64 / price.max(1.0);
            size = size.min(room as i64 - self.held[venue.idx()].abs());
        }
        let markets = &self.instrument.markets;
        let step = markets[0].lot.0.max(markets[1].lot.0);
        let size = size / step * step;
        let is_enough = markets.iter().zip(worst).all(|(market, price)| {
            size >= market.size_min.0 && price * Size(size) >= market.notional_min
        });
        (size > 0 && is_enough).then_some((size, worst))
    }

    fn side_of(&self, long: Venue, venue: Venue) -> Side {
        match venue == long {
            true => Side::Bid,
            false => Side::Ask,
        }
    }

    /// How far over the fair leaving with a size would be: what buying back costs over what selling
    /// brings, bps.
    pub fn exit_edge(&self, size: i64) -> Option<f64> {
        let short = self.long.other();
        let got = self.views[self.long.idx()].take(Side::Ask, Size(size))?;
        let paid = self.views[short.idx()].take(Side::Bid, Size(size))?;
        Some(self.edge(self.long, got.average, paid.average))
    }

    /// Whether taking a lone leg back costs less than raising the other and leaving later at fair.
    pub fn is_cheaper_back(&self, large: Venue, excess: i64) -> bool {
        let small = large.other();
        let back = self.views[large.idx()].take(self.opening(large).other(), Size(excess));
        let on = self.views[small.idx()].take(self.opening(small), Size(excess));
        let (Some(back), Some(on)) = (back, on) else {
            return false;
        };
        let entry = self.paid[large.idx()] / self.held[large.idx()].abs().max(1) as f64;
        let (bought, sold) = match large == self.long {
            true => (entry, on.average),
            false => (on.average, entry),
        };
        let halves: f64 = self.views.iter().map(View::half_spread).sum();
        let fees = 2.0 * self.fee(small) + self.fee(large);
        let hedged = self.edge(self.long, bought, sold) - fees - halves;
        let moved = (back.average / entry - 1.0) * 10_000.0;
        let unwound = match large == self.long {
            true => moved,
            false => -moved,
        } - self.fee(large);
        unwound > hedged
    }

    /// Everything in flight is over and both legs are even.
    pub fn settle(&mut self, now: Nanos) {
        self.phase = match self.held == [0, 0] {
            true => Phase::Flat,
            false => Phase::Hedged,
        };
        if self.held == [0, 0] {
            self.paid = [0.0; 2];
        }
        self.rest_until = now.plus(REST_NS);
    }

    /// Orders whose end and fills agree are no longer in flight.
    pub fn end_flights(&mut self) {
        for flight in &mut self.flights {
            if flight.is_some_and(|f| f.over.is_some_and(|said| f.filled >= said)) {
                *flight = None;
            }
        }
    }

    pub fn hear(&mut self, report: &Report) {
        let at = report.venue.idx();
        match report.kind {
            ReportKind::Fill {
                side, price, size, ..
            } => {
                let signed = match side {
                    Side::Bid => size.0,
                    Side::Ask => -size.0,
                };
                let before = self.held[at];
                self.held[at] += signed;
                if before == 0 || (before > 0) == (signed > 0) {
                    self.paid[at] += price.0 as f64 * size.0 as f64;
                } else {
                    let average = self.paid[at] / before.abs() as f64;
                    self.paid[at] = average * self.held[at].abs() as f64;
                }
                if let Some(flight) = &mut self.flights[at].filter(|f| f.id == report.order) {
                    flight.filled += size.0;
                    self.flights[at] = Some(*flight);
                }
            }
            ReportKind::State { state, filled } if state.is_over() => {
                self.end(report, filled.0);
            }
            ReportKind::Rejected { .. } => self.end(report, 0),
            _ => {}
        }
    }

    fn end(&mut self, report: &Report, filled: i64) {
        let at = report.venue.idx();
        if let Some(mut flight) = self.flights[at].filter(|f| f.id == report.order) {
            flight.over = Some(filled);
            self.flights[at] = Some(flight);
            if filled < flight.size {
                self.rest_until = report.t.plus(REST_NS / 5);
            }
        }
    }
}

/// A price so many bps worse for whoever trades this side.
pub fn beyond(price: Price, side: Side, bps: f64) -> f64 {
    let factor = match side {
        Side::Bid => 1.0 + bps / 10_000.0,
        Side::Ask => 1.0 - bps / 10_000.0,
    };
    price.0 as f64 * factor
}
