//! How much of what a demo sends was foreseen: the engine in virtual time, and a naive ladder.

use crate::virtual_time::Scenario;
use crate::virtual_time::engine::{Said, demo_limits, run_at};
use parallax::market::Venue;
use parallax::market::book::Side;
use parallax::market::foresight::{Foresight, Rung};
use parallax::market::order::{Action, Order};
use parallax::market::units::{MS, Nanos, SECOND};
use parallax::scanner::risk::{LegOrder, Limits};

/// Seeds that nothing was learned on.
const SEEDS: std::ops::RangeInclusive<u64> = 1..=15;
/// From a word until its order lies ready: a few waiting before it, spaced as the gateway does.
const SIGNING_NS: u64 = 3 * MS;
/// As the default of EXTENDED_READY_ORDERS_S.
const LIFE_NS: u64 = 5 * SECOND;
/// Kept for each market and side.
const KEPT: usize = 8;

/// A ladder as it is meant: the last few of each side, each used once.
#[derive(Default)]
struct Naive {
    rungs: Vec<(Nanos, Rung)>,
}

impl Naive {
    fn hear(&mut self, now: Nanos, word: &Foresight) {
        match word {
            Foresight::Rung(rung) => {
                let is_known =
                    |(t, own): &(Nanos, Rung)| own == rung && now.since(*t) < LIFE_NS / 2;
                if self.rungs.iter().any(is_known) {
                    return;
                }
                self.rungs.push((now, *rung));
                let is_side = |(_, own): &(Nanos, Rung)| seat(own) == seat(rung);
                if self.rungs.iter().filter(|own| is_side(own)).count() > KEPT {
                    let oldest = self.rungs.iter().position(is_side);
                    self.rungs.remove(oldest.expect("there are some"));
                }
            }
            Foresight::Drop(instrument) => {
                self.rungs.retain(|(_, own)| own.instrument != *instrument);
            }
            Foresight::DropAll => self.rungs.clear(),
        }
    }

    /// Whether an order lies ready.
    fn take(&mut self, now: Nanos, order: &Order) -> bool {
        let is_it = |(t, own): &(Nanos, Rung)| {
            let waited_ns = now.since(*t);
            (own.instrument, own.side) == (order.instrument, order.side)
                && (own.price, own.size) == (order.price, order.size)
                && (SIGNING_NS..LIFE_NS).contains(&waited_ns)
        };
        let found = self.rungs.iter().position(is_it);
        found.map(|at| self.rungs.remove(at)).is_some()
    }
}

fn seat(rung: &Rung) -> (u16, Side) {
    (rung.instrument.0, rung.side)
}

/// Orders of a kind, and how many of them were ready.
#[derive(Clone, Copy, Debug, Default)]
struct Hits {
    sent: usize,
    ready: usize,
}

impl Hits {
    fn add(&mut self, is_ready: bool) {
        self.sent += 1;
        self.ready += usize::from(is_ready);
    }

    /// There are some, and at least so many of a hundred were ready.
    fn are(&self, least_percent: usize) -> bool {
        self.sent >= 5 && 100 * self.ready >= least_percent * self.sent
    }
}

/// What was sent to Extended over all seeds.
#[derive(Clone, Copy, Debug, Default)]
struct Sent {
    firsts: Hits,
    hedges: Hits,
    exits: Hits,
    words: usize,
    seconds: u64,
}

/// Most first orders on Extended find theirs ready: an edge mostly comes by the other venue's
/// price, or is entered some time after it came. They go first on the way out too, and that comes
/// by Extended's own price: a third of those do.
#[test]
fn most_of_what_a_demo_sends_was_foreseen() {
    let sent = sent(LegOrder::Auto);
    println!("{sent:?}");
    assert!(sent.firsts.are(70) && sent.exits.are(30), "{sent:?}");
    assert!(sent.words < 30 * sent.seconds as usize, "{sent:?}");
}

/// Where Lighter goes first, in and out, what follows on Extended is waited for: nearly all of it
/// lies ready.
#[test]
fn what_follows_a_first_leg_was_foreseen() {
    let sent = sent(LegOrder::SlowFirst);
    println!("{sent:?}");
    assert!(sent.hedges.are(90) && sent.exits.are(80), "{sent:?}");
}

fn sent(leg_order: LegOrder) -> Sent {
    let mut sent = Sent::default();
    for seed in SEEDS {
        let scenario = Scenario::new(seed);
        sent.seconds += scenario.seconds;
        let limits = Limits {
            leg_order,
            ..demo_limits()
        };
        let (engine, _) = run_at(&scenario, limits);
        let mut ladder = Naive::default();
        for (now, said) in &engine.said {
            match said {
                Said::Foresaw(word) => {
                    sent.words += 1;
                    ladder.hear(*now, word);
                }
                Said::Sent(order) if order.venue == Venue::Lighter => {}
                Said::Sent(order) if order.action != Action::Place => {}
                Said::Sent(order) => {
                    let is_ready = ladder.take(*now, order);
                    match (order.t_tick == Nanos::ZERO, order.reduce_only) {
                        (false, _) => sent.firsts.add(is_ready),
                        (true, false) => sent.hedges.add(is_ready),
                        (true, true) => sent.exits.add(is_ready),
                    }
                }
            }
        }
    }
    sent
}
