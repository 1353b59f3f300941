//! One scenario under way: moment by moment, the venues first, then what has come to the trader,
//! then the trader's turn.

use super::venue::VirtualVenue;
use super::{News, Outcome, START, Scenario, Trader, Ways};
use parallax::market::book::Side;
use parallax::market::order::Order;
use parallax::market::units::{MS, Nanos, Price, SECOND, Size};
use parallax::market::{VENUES, Venue};
use std::collections::VecDeque;

/// The trader comes this long after the venues, as the engine of a demo does: it reads lists,
/// connects and subscribes first.
const OPENS_AFTER_NS: u64 = SECOND;
/// Most that a drain may take, as in a demo.
const DRAIN_NS_MAX: u64 = 60 * SECOND;
/// As `stage::BEAT_NS`.
const BEAT_NS: u64 = 10 * MS;

/// Plays a scenario to its end.
pub fn play(scenario: &Scenario, trader: &mut impl Trader) -> Outcome {
    let venues = VENUES.map(|venue| VirtualVenue::new(scenario, venue));
    let opens = START.plus(OPENS_AFTER_NS);
    let mut run = Run {
        venues,
        ways: scenario.ways,
        orders: Default::default(),
        news: Default::default(),
        beat: opens,
        now: opens,
    };
    let until = opens.plus(scenario.seconds * SECOND);
    run.open();
    run.until(until, trader, |_| false);
    let planted = run.venues[0].planted(until);
    trader.drain(run.now);
    run.turn(trader);
    let latest = until.plus(DRAIN_NS_MAX);
    run.until(latest, trader, |trader| trader.is_drained());
    Outcome {
        ledgers: run.venues.map(VirtualVenue::ledger),
        planted,
        is_drained: trader.is_drained(),
    }
}

/// A scenario under way.
struct Run {
    venues: [VirtualVenue; 2],
    ways: Ways,
    /// On their way to a venue's door, by venue.
    orders: [VecDeque<(Nanos, Order)>; 2],
    /// On its way to the trader, by venue; each kind keeps its order.
    news: [[VecDeque<(Nanos, News)>; 2]; 2],
    beat: Nanos,
    now: Nanos,
}

impl Run {
    /// The first word of both venues: whole books, the account, and that all connections stand.
    fn open(&mut self) {
        for venue in VENUES {
            let told = self.venues[venue.idx()].open(self.now);
            self.send(venue, self.now, told);
        }
    }

    /// Moment by moment, until a time or until the trader is where it should be.
    fn until<T: Trader>(&mut self, until: Nanos, trader: &mut T, is_over: impl Fn(&T) -> bool) {
        while !is_over(trader) {
            let next = self.next();
            if next > until {
                self.now = until;
                return;
            }
            self.now = next;
            self.play_venues();
            self.deliver(trader);
            if self.beat <= self.now {
                trader.beat(self.now);
                self.beat = self.beat.plus(BEAT_NS);
            }
            self.turn(trader);
        }
    }

    /// The next moment at which anything happens.
    fn next(&self) -> Nanos {
        let venues = self.venues.iter().map(VirtualVenue::next_due);
        let orders = self.orders.iter().filter_map(|way| Some(way.front()?.0));
        let news = self.news.iter().flatten();
        let news = news.filter_map(|way| Some(way.front()?.0));
        let all = venues.chain(orders).chain(news).chain([self.beat]);
        all.min().expect("there is always a beat")
    }

    /// Lets both venues come to this moment, and takes in what stands at their doors.
    fn play_venues(&mut self) {
        for venue in VENUES {
            let at = venue.idx();
            while self.venues[at].next_due() <= self.now {
                let told = self.venues[at].step();
                self.send(venue, self.now, told);
            }
            while let Some((_, order)) = self.orders[at].pop_front_if(|(t, _)| *t <= self.now) {
                let told = self.venues[at].take(&order, self.now);
                self.send(venue, self.now, told);
            }
        }
    }

    /// What a venue tells goes on its way.
    fn send(&mut self, venue: Venue, at: Nanos, told: Vec<News>) {
        for news in told {
            let (way, ns) = match news {
                News::Book(_) | News::Reference(_) => (0, self.ways.data_ns),
                News::Report(_) => (1, self.ways.report_ns),
            };
            self.news[venue.idx()][way].push_back((at.plus(ns), news));
        }
    }

    /// What has come to the trader by now.
    fn deliver(&mut self, trader: &mut impl Trader) {
        for venue in VENUES {
            for way in &mut self.news[venue.idx()] {
                while let Some((t, mut news)) = way.pop_front_if(|(t, _)| *t <= self.now) {
                    stamp(&mut news, t);
                    trader.hear(venue, &news, t);
                }
            }
        }
    }

    /// The trader's turn; what it orders leaves at once.
    fn turn(&mut self, trader: &mut impl Trader) {
        let mut orders = Vec::new();
        trader.turn(self.now, &mut orders);
        let at = self.now.plus(self.ways.order_ns);
        for order in orders {
            self.orders[order.venue.idx()].push_back((at, order));
        }
    }
}

/// When it was read.
fn stamp(news: &mut News, t: Nanos) {
    match news {
        News::Book(deltas) => {
            for delta in deltas {
                (delta.t_recv, delta.t_push) = (t, t);
            }
        }
        News::Reference(reference) => reference.t_recv = t,
        News::Report(report) => report.t = t,
    }
}

/// What stands on a side within a limit.
pub fn within(levels: impl Iterator<Item = (Price, Size)>, side: Side, limit: Price) -> Size {
    let is_within = |price: Price| match side {
        Side::Bid => price <= limit,
        Side::Ask => price >= limit,
    };
    let met = levels.take_while(|(price, _)| is_within(*price));
    Size(met.map(|(_, size)| size.0).sum())
}
