//! Rounds: each begins with a new engine or client, warms it up, and times some hundred ticks.

use crate::books::Shape;
use crate::echo::{self, Echo, Kind};
use crate::engine::{Engine, MARKETS, Signing, Whereabouts};
use crate::judge;
use crate::venues::Venues;
use parallax::market::book::Side;
use parallax::market::event::Event;
use parallax::market::foresight::{Foresight, Rung};
use parallax::market::{InstrumentId, VENUES, Venue};
use parallax::topology::Plan;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Pairs before the first that is timed.
const WARM: usize = 32;
/// Timed pairs between two pauses: each market once in either direction.
const PART: usize = 2 * MARKETS;
/// Parts of a round.
const PARTS: usize = 2;
/// Timed pairs of a round at a slow pace.
const SLOW: usize = 80;
/// An edge is over 50 ms after it has gone.
const PAUSE: Duration = Duration::from_millis(80);
/// Time for the engine to take in what it was told.
const SETTLE: Duration = Duration::from_millis(20);
/// A gateway signs a ready order each two milliseconds, idle.
const RUNG_EVERY: Duration = Duration::from_micros(2_200);
/// Events told, latest first, when a round can't go on.
const TOLD_MAX: usize = 40;
const WAIT_MAX: Duration = Duration::from_secs(20);

/// What a row times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    Echo(Kind),
    /// The first legs that go to this venue, on its own ticks.
    Engine(Venue, Signing),
}

/// One row of the tables.
pub struct Row {
    pub name: &'static str,
    pub what: What,
    /// Most that p50 and p99 may be of the base's.
    pub budget: Option<(f64, f64)>,
    /// p50 and p99 of each round, us.
    rounds: Vec<(f64, f64)>,
    pub orders: usize,
    pub lost: usize,
}

impl Row {
    pub fn new(name: &'static str, what: What) -> Row {
        Row {
            name,
            what,
            budget: None,
            rounds: Vec::new(),
            orders: 0,
            lost: 0,
        }
    }

    pub fn within(self, p50: f64, p99: f64) -> Row {
        Row {
            budget: Some((p50, p99)),
            ..self
        }
    }

    /// Least p50 and least p99 of any round.
    pub fn best(&self) -> (f64, f64) {
        let least = |best: (f64, f64), one: &(f64, f64)| (best.0.min(one.0), best.1.min(one.1));
        self.rounds.iter().fold((f64::MAX, f64::MAX), least)
    }

    fn add(&mut self, took: &[Option<u64>]) {
        let mut all: Vec<u64> = took.iter().flatten().copied().collect();
        self.lost += took.len() - all.len();
        self.orders += all.len();
        all.sort_unstable();
        let at = |percent: usize| {
            all.get(all.len() * percent / 100)
                .map(|ns| *ns as f64 / 1e3)
        };
        if let (Some(p50), Some(p99)) = (at(50), at(99)) {
            self.rounds.push((p50, p99));
        }
    }
}

/// Draws the waits between ticks.
struct Pace {
    least_ns: u64,
    state: u64,
    next: Instant,
}

impl Pace {
    fn new(least_us: u64) -> Pace {
        Pace {
            least_ns: least_us * 1_000,
            state: 0x9e37_79b9_7f4a_7c15,
            next: Instant::now(),
        }
    }

    /// Does this until the next tick is due: one to two paces after the last.
    fn wait(&mut self, mut meanwhile: impl FnMut()) {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        let wait_ns = self.least_ns + self.state % self.least_ns;
        self.next = self.next.max(Instant::now()) + Duration::from_nanos(wait_ns);
        while Instant::now() < self.next {
            meanwhile();
        }
    }
}

/// Where everything happens.
pub struct Site {
    pub plan: Plan,
    venues: Venues,
    tells_steps: bool,
    /// Least nanoseconds that a nonce point took to make, by venue.
    refill_ns: [f64; 2],
    /// How first orders were signed, by row.
    signed: BTreeMap<String, usize>,
}

impl Site {
    pub fn new(plan: Plan, tells_steps: bool) -> Site {
        Site {
            plan,
            venues: Venues::new(),
            tells_steps,
            refill_ns: [f64::MAX; 2],
            signed: BTreeMap::new(),
        }
    }

    /// So many rounds of all rows, in turn.
    pub fn play(&mut self, rows: &mut [Row], rounds: usize, pace_us: u64) {
        let parts = if pace_us > 1_000 {
            (SLOW, 1)
        } else {
            (PART, PARTS)
        };
        for _ in 0..rounds {
            for row in &mut *rows {
                let took = match row.what {
                    What::Echo(kind) => self.echo(kind, pace_us, parts.0 * parts.1),
                    What::Engine(lead, signing) => {
                        self.engine(row.name, (lead, signing), pace_us, parts)
                    }
                };
                row.add(&took);
            }
        }
    }

    fn echo(&mut self, kind: Kind, pace_us: u64, ticks: usize) -> Vec<Option<u64>> {
        let core = self.plan.seats.first().and_then(|seat| seat.core);
        let mut echo = Echo::start(kind, core, self.venues.tls());
        let mut pace = Pace::new(pace_us);
        let mut took = Vec::with_capacity(ticks);
        for tick in 0..WARM + ticks {
            pace.wait(|| {});
            let ns = echo.tick_to_order();
            if tick >= WARM {
                took.push(ns);
            }
            pace.wait(|| {});
            echo.tick();
        }
        echo.stop();
        took
    }

    fn engine(
        &mut self,
        name: &str,
        (lead, signing): (Venue, Signing),
        pace_us: u64,
        (part, parts): (usize, usize),
    ) -> Vec<Option<u64>> {
        let venues = &mut self.venues;
        venues.reset();
        let ca_pem = venues.ca_pem.clone();
        let whereabouts = Whereabouts {
            extended: venues.url(Venue::Extended),
            lighter: venues.url(Venue::Lighter),
            ca_pem: &ca_pem,
            nonces: venues.nonces,
        };
        let engine = Engine::start(&whereabouts, &self.plan, lead, signing);
        for (least, ns) in self.refill_ns.iter_mut().zip(engine.refill_ns) {
            *least = least.min(if ns > 0.0 { ns } else { f64::MAX });
        }
        let mut round = Round {
            venues,
            engine,
            lead,
            pair: 0,
        };
        round.warm_up();
        let mut took = Vec::with_capacity(part * parts);
        for _ in 0..parts {
            round.pause(signing);
            round.time(part, pace_us, &mut took);
        }
        round.serve_for(PAUSE);
        let events = round.engine.events();
        round.engine.stop();
        for event in &events {
            if let Event::Signed {
                how,
                is_first: true,
                ..
            } = event
            {
                *self.signed.entry(format!("{name}: {how:?}")).or_default() += 1;
            }
        }
        if self.tells_steps {
            tell_steps(name, &events);
        }
        took
    }

    /// What is told beside the tables.
    pub fn tell(&self) {
        for (venue, ns) in VENUES.into_iter().zip(self.refill_ns) {
            let us = ns / 1e3;
            let name = venue.name();
            println!(
                "refill, {name}: {us:.2} us an order, {:.0} orders a second",
                1e6 / us
            );
        }
        println!("first orders signed, the warm-up's too: {:?}", self.signed);
        let (ticks, orders) = (self.venues.tick_bytes, self.venues.order_bytes);
        println!(
            "bytes of a tick: extended {}, lighter {}, base {}; of an order's body: extended {}, \
             lighter {}, base {}",
            ticks[0],
            ticks[1],
            echo::TICK_BYTES,
            orders[0],
            orders[1],
            echo::ORDER_BYTES
        );
        let [extended, lighter] = judge::judge(&self.venues.received);
        println!(
            "judged: {extended} orders of extended and {lighter} of lighter, every signature good, \
             every nonce used once, every price within its bound"
        );
    }
}

/// One round against a new engine.
struct Round<'a> {
    venues: &'a mut Venues,
    engine: Engine,
    lead: Venue,
    /// Number of the next pair.
    pair: usize,
}

impl Round<'_> {
    fn serve_for(&mut self, wait: Duration) {
        let begun = Instant::now();
        while begun.elapsed() < wait {
            self.venues.serve();
        }
    }

    fn serve_until(&mut self, what: &str, done: impl Fn(&Venues) -> bool) {
        let begun = Instant::now();
        while !done(self.venues) {
            self.venues.serve();
            if begun.elapsed() > WAIT_MAX {
                let is_told =
                    |event: &&Event| !matches!(event, Event::Latency { .. } | Event::Frame { .. });
                let said = self.engine.events();
                let last = said.iter().filter(is_told).rev().take(TOLD_MAX);
                last.for_each(|event| eprintln!("{event:?}"));
                panic!("{what} did not come; halted: {}", self.engine.is_halted());
            }
        }
    }

    /// Where the next pair is made, and what the market shows for it.
    fn next(&mut self) -> (usize, Shape) {
        let pair = self.pair;
        self.pair += 1;
        let shape = match (pair / MARKETS) % 2 {
            0 => Shape::Up,
            _ => Shape::Down,
        };
        (pair % MARKETS, shape)
    }

    /// Connections, books that are trusted, a few pairs in both directions.
    fn warm_up(&mut self) {
        self.serve_until("connections", Venues::is_complete);
        self.serve_for(SETTLE);
        for _ in 0..4 {
            for market in 0..MARKETS {
                for venue in VENUES {
                    self.venues.tick(venue, market, Shape::Calm);
                    self.venues.serve();
                }
            }
        }
        self.serve_for(SETTLE);
        for pair in 0..WARM {
            let (market, _) = self.next();
            let shape = [Shape::Up, Shape::Down][pair % 2];
            let before = self.venues.received.len();
            self.venues.tick(self.lead, market, shape);
            self.serve_until("an entry", |it| it.received.len() >= before + 2);
            self.venues.tick(self.lead, market, Shape::Calm);
            self.serve_until("an exit", |it| {
                it.received.len() >= before + 4 && it.is_flat()
            });
        }
        self.pair = 0;
    }

    /// Episodes end, and what was used up is made again.
    fn pause(&mut self, signing: Signing) {
        self.serve_until("a flat account", Venues::is_flat);
        self.serve_for(PAUSE);
        // An episode is over when a look has found its edge gone for long enough.
        for market in 0..MARKETS {
            self.venues.tick(self.lead, market, Shape::Calm);
            self.venues.serve();
        }
        self.serve_for(SETTLE);
        if signing != Signing::Ready {
            return;
        }
        for side in [Side::Bid, Side::Ask] {
            let first = self.venues.received.iter().rev().find(|order| {
                order.venue == self.lead && order.opens && order.is_buy() == (side == Side::Bid)
            });
            let (price, size) = first.expect("the warm-up had both").terms();
            for market in 0..MARKETS {
                let rung = Foresight::Rung(Rung {
                    instrument: InstrumentId(market as u16),
                    side,
                    price,
                    size,
                });
                // A gateway that has no time yet reads on later.
                while self.engine.foresight.push(rung).is_err() {
                    self.serve_for(RUNG_EVERY);
                }
                self.serve_for(RUNG_EVERY);
            }
        }
    }

    fn time(&mut self, pairs: usize, pace_us: u64, took: &mut Vec<Option<u64>>) {
        let mut pace = Pace::new(pace_us);
        for _ in 0..pairs {
            let (market, shape) = self.next();
            self.serve_until("a flat account", Venues::is_flat);
            let venues = &mut *self.venues;
            pace.wait(|| {
                venues.serve();
            });
            took.push(venues.tick_to_order(self.lead, market, shape));
            pace.wait(|| {
                venues.serve();
            });
            venues.tick(self.lead, market, Shape::Calm);
        }
    }
}

/// How long each step of the engine took.
fn tell_steps(name: &str, events: &[Event]) {
    let mut steps: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    let mut refused: BTreeMap<String, usize> = BTreeMap::new();
    for event in events {
        match event {
            Event::Latency { step, ns } => {
                steps.entry(format!("{step:?}")).or_default().push(*ns);
            }
            Event::Refused { reason, .. } => {
                *refused.entry(format!("{reason:?}")).or_default() += 1
            }
            Event::NotSent { why, .. } => *refused.entry(format!("{why:?}")).or_default() += 1,
            _ => {}
        }
    }
    println!("{name}, refused: {refused:?}");
    for (step, mut all) in steps {
        all.sort_unstable();
        let at = |percent: usize| all[(all.len() * percent / 100).min(all.len() - 1)];
        println!(
            "{name}, {step}: {} times, p50 {} ns, p99 {} ns",
            all.len(),
            at(50),
            at(99)
        );
    }
}
