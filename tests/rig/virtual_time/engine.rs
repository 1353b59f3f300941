//! The engine's own scanner as a trader: all of it, through its links, with its gateways' first
//! word (`Sent`) at once.

use super::{News, Outcome, Scenario, Trader, play, within};
use parallax::config::Config;
use parallax::demo::ARRIVAL_TABLE;
use parallax::market::book::{Book, Delta, Side};
use parallax::market::event::{Control, Event, PairSummary, Reason, Score, Status};
use parallax::market::foresight::Foresight;
use parallax::market::order::{Order, Report, ReportKind};
use parallax::market::reference::Reference;
use parallax::market::units::{Nanos, Notional, Price, Size};
use parallax::market::{Instrument, VENUES, Venue};
use parallax::scanner::arrival::table::Table;
use parallax::scanner::{Ends, Limits, Scanner};
use parallax::session::limits;
use parallax::stage::Stage;
use parallax::stage::clock::Clock;
use parallax::stage::halt::Halt;
use parallax::stage::link::{Rx, Tx, link};
use parallax::topology;

/// This run's number.
const RUN: u16 = 7;

/// The scanner and the other ends of its links.
pub struct Engine {
    scanner: Scanner,
    deltas: [Tx<Delta>; 2],
    references: [Tx<Reference>; 2],
    reports: [Tx<Report>; 2],
    orders: [Rx<Order>; 2],
    control: Tx<Control>,
    status: Rx<Status>,
    journal: Rx<Event>,
    foresight: Rx<Foresight>,
    last_status: Status,
    is_draining: bool,
    /// Raised by the scanner.
    pub halt: Halt,
    /// Both books of each instrument as the scanner has them, by instrument and venue.
    pub books: Vec<[Book; 2]>,
    /// All it told but durations.
    pub events: Vec<Event>,
    /// Every entry order, and the depth behind it when it left.
    pub sights: Vec<Sight>,
    /// Reads a count before and after all that the scanner does, from this moment on.
    pub meter: Option<(fn() -> u64, Nanos)>,
    /// What was counted, and over how many calls.
    pub metered: (u64, u64),
    /// What it foresaw and what it sent, in turn.
    pub said: Vec<(Nanos, Said)>,
}

/// What a gateway hears.
#[derive(Clone, Copy, Debug)]
pub enum Said {
    Foresaw(Foresight),
    Sent(Order),
}

/// One entry order as it left, and the books it was decided on.
#[derive(Clone, Copy, Debug)]
pub struct Sight {
    /// The order.
    pub order: Order,
    /// What stood on its own venue's book within its limit.
    pub depth: Size,
    /// What stood on the other venue's book within the hedge band.
    pub other_depth: Size,
}

/// The limits of a demo at its default configuration.
pub fn demo_limits() -> Limits {
    let settings = [
        ("TRADING_MODE", "dry_run"),
        ("FAIR_WINDOW_S", "60"),
        ("FAIR_SAMPLES_MIN", "100"),
        ("RAMP_PAIRS", "0"),
    ];
    let settings = settings.map(|(name, value)| (name.to_string(), value.to_string()));
    let config = Config::for_simulation(settings.to_vec()).expect("the defaults are sound");
    Limits {
        // A dry run is asked for, since it needs no keys; here orders go to virtual venues.
        entries_enabled: true,
        ..limits::of(&config)
    }
}

/// The engine's run of a scenario as in a demo: at its limits, begun with what ships.
pub fn run_as_demo(scenario: &Scenario) -> (Engine, Outcome) {
    run_with(scenario, shipped(scenario))
}

/// The engine's run of a scenario, at a demo's limits, cold.
pub fn run(scenario: &Scenario) -> (Engine, Outcome) {
    let mut engine = Engine::new(scenario, demo_limits());
    let outcome = play(scenario, &mut engine);
    (engine, outcome)
}

/// The same at other limits.
pub fn run_at(scenario: &Scenario, limits: Limits) -> (Engine, Outcome) {
    let mut engine = Engine::new(scenario, limits);
    engine.scanner = engine.scanner.learned(shipped(scenario));
    let outcome = play(scenario, &mut engine);
    (engine, outcome)
}

/// What is known of edges beforehand, as it ships with the demo.
pub fn shipped(scenario: &Scenario) -> Table {
    Table::from_text(ARRIVAL_TABLE, &scenario.instruments()).expect("it was made for this version")
}

/// The same, begun with what was learned before.
pub fn run_with(scenario: &Scenario, table: Table) -> (Engine, Outcome) {
    let mut engine = Engine::begun_with(scenario, table);
    let outcome = play(scenario, &mut engine);
    (engine, outcome)
}

impl Engine {
    /// At a demo's limits, begun with what was learned before.
    pub fn begun_with(scenario: &Scenario, table: Table) -> Engine {
        let mut engine = Engine::new(scenario, demo_limits());
        engine.scanner = engine.scanner.learned(table);
        engine
    }

    /// As `session::plant` builds it; the fair is seeded from the tape.
    pub fn new(scenario: &Scenario, limits: Limits) -> Engine {
        let instruments = &scenario.instruments();
        let [d0, d1] = ["deltas.extended", "deltas.lighter"].map(|n| link(n, topology::DELTAS_LEN));
        let [f0, f1] = ["references"; 2].map(|n| link(n, topology::REFERENCES_LEN));
        let [r0, r1] = ["reports"; 2].map(|n| link(n, topology::REPORTS_LEN));
        let [o0, o1] = ["orders"; 2].map(|n| link(n, topology::ORDERS_LEN));
        let (mut control, control_rx) = link("control", topology::CONTROL_LEN);
        let (status_tx, status) = link("status", topology::STATUS_LEN);
        let (journal_tx, journal) = link("journal", topology::JOURNAL_LEN);
        let (words, foresight) = link("foresight", topology::FORESIGHT_LEN);
        let halt = Halt::default();
        let ends = Ends {
            deltas: [d0.1, d1.1],
            references: [f0.1, f1.1],
            reports: [r0.1, r1.1],
            orders: [o0.0, o1.0],
            control: control_rx,
            status: status_tx,
            journal: journal_tx,
            board: link("board", 1_024).0,
            halt: halt.clone(),
            clock: Clock::new(),
        };
        for instrument in instruments {
            let basis = scenario.basis_before(instrument.id);
            let instrument = instrument.id;
            let seed = Control::FairSeed { instrument, basis };
            control.push(seed).expect("the link was just made");
        }
        let book = |instrument: &Instrument| instrument.markets.map(|m| Book::new(m.tick));
        Engine {
            scanner: Scanner::new(instruments, limits, RUN, ends).foreseeing(words),
            deltas: [d0.0, d1.0],
            references: [f0.0, f1.0],
            reports: [r0.0, r1.0],
            orders: [o0.1, o1.1],
            control,
            status,
            journal,
            foresight,
            last_status: Status::default(),
            is_draining: false,
            halt,
            books: instruments.iter().map(book).collect(),
            events: Vec::new(),
            sights: Vec::new(),
            meter: None,
            metered: (0, 0),
            said: Vec::new(),
        }
    }

    /// One call of the scanner, metered.
    fn scanner_does<T>(&mut self, now: Nanos, deed: impl FnOnce(&mut Scanner) -> T) -> T {
        let Some((count, _)) = self.meter.filter(|(_, from)| now >= *from) else {
            return deed(&mut self.scanner);
        };
        let before = count();
        let done = deed(&mut self.scanner);
        self.metered.0 += count() - before;
        self.metered.1 += 1;
        done
    }

    /// Every finished pair.
    pub fn pairs(&self) -> impl Iterator<Item = &PairSummary> {
        self.events.iter().filter_map(|event| match event {
            Event::Pair(summary) => Some(summary),
            _ => None,
        })
    }

    /// What became of every edge that was followed, and what had been expected of it.
    pub fn scores(&self) -> impl Iterator<Item = &Score> {
        self.events.iter().filter_map(|event| match event {
            Event::Scored(score) => Some(score),
            _ => None,
        })
    }

    /// Pairs that were really opened.
    pub fn opened(&self) -> impl Iterator<Item = &PairSummary> {
        self.pairs()
            .filter(|pair| pair.size.0 > 0 || pair.total.0 != 0)
    }

    /// What its pairs say they made.
    pub fn told(&self) -> Notional {
        Notional(self.pairs().map(|pair| pair.total.0).sum())
    }

    /// Funding that stands in no pair's account.
    pub fn funding_apart(&self) -> Notional {
        let apart = self.events.iter().map(|event| match event {
            Event::FundingApart { amount, .. } => amount.0,
            _ => 0,
        });
        Notional(apart.sum())
    }

    /// Entries taken.
    pub fn taken(&self) -> usize {
        let is_taken = |event: &&Event| matches!(event, Event::Taken { .. });
        self.events.iter().filter(is_taken).count()
    }

    /// Episodes in which a direction stood out.
    pub fn seen(&self) -> usize {
        let is_seen = |event: &&Event| matches!(event, Event::Seen { .. });
        self.events.iter().filter(is_seen).count()
    }

    /// Refusals by reason, first come first.
    pub fn refusals(&self) -> Vec<(Reason, usize)> {
        let mut counts: Vec<(Reason, usize)> = Vec::new();
        for event in &self.events {
            let Event::Refused { reason, .. } = event else {
                continue;
            };
            match counts.iter_mut().find(|(known, _)| known == reason) {
                Some((_, count)) => *count += 1,
                None => counts.push((*reason, 1)),
            }
        }
        counts
    }

    /// Turns until nothing waits: a burst may take more than one turn.
    fn settle(&mut self, now: Nanos, orders: &mut Vec<Order>) {
        while self.scanner_does(now, |scanner| scanner.turn(now)) > 0 {
            for venue in VENUES {
                while let Some(order) = self.orders[venue.idx()].pop() {
                    self.note_sight(&order);
                    let sent = Report {
                        venue,
                        instrument: order.instrument,
                        order: order.id,
                        t: now,
                        kind: ReportKind::Sent,
                    };
                    self.reports[venue.idx()]
                        .push(sent)
                        .expect("the link is drained each turn");
                    self.said.push((now, Said::Sent(order)));
                    orders.push(order);
                }
            }
            self.drain_foresight(now);
            self.drain_journal();
        }
        self.drain_foresight(now);
        self.drain_journal();
    }

    /// The mirror's depth behind an entry's first order.
    fn note_sight(&mut self, order: &Order) {
        if order.t_tick == Nanos::ZERO {
            return;
        }
        let depth = |venue: Venue, side: Side, limit: Option<Price>| {
            let book = &self.books[order.instrument.idx()][venue.idx()];
            let levels = || {
                let levels = book.levels(side.other());
                levels.map(|level| (level.price, level.size))
            };
            let touch = levels().next().map_or(Price::ZERO, |(price, _)| price);
            let band = demo_limits().hedge_band.of_price(touch);
            let widest = match side {
                Side::Bid => touch + band,
                Side::Ask => touch - band,
            };
            within(levels(), side, limit.unwrap_or(widest))
        };
        let (venue, side) = (order.venue, order.side);
        self.sights.push(Sight {
            order: *order,
            depth: depth(venue, side, Some(order.price)),
            other_depth: depth(venue.other(), side.other(), None),
        });
    }

    fn drain_foresight(&mut self, now: Nanos) {
        while let Some(word) = self.foresight.pop() {
            self.said.push((now, Said::Foresaw(word)));
        }
    }

    fn drain_journal(&mut self) {
        while let Some(event) = self.journal.pop() {
            if !matches!(event, Event::Latency { .. }) {
                self.events.push(event);
            }
        }
        while let Some(status) = self.status.pop() {
            self.last_status = status;
        }
    }
}

impl Trader for Engine {
    fn hear(&mut self, venue: Venue, news: &News, _now: Nanos) {
        let at = venue.idx();
        let pushed = match news {
            News::Book(deltas) => deltas.iter().all(|delta| {
                self.books[delta.instrument.idx()][at].apply_delta(delta);
                self.deltas[at].push(*delta).is_ok()
            }),
            News::Reference(reference) => self.references[at].push(*reference).is_ok(),
            News::Report(report) => self.reports[at].push(*report).is_ok(),
        };
        assert!(pushed, "the scanner empties its links at every moment");
    }

    fn turn(&mut self, now: Nanos, orders: &mut Vec<Order>) {
        self.settle(now, orders);
    }

    fn beat(&mut self, now: Nanos) {
        self.scanner_does(now, |scanner| scanner.housekeeping(now));
        self.drain_journal();
    }

    fn drain(&mut self, _now: Nanos) {
        self.is_draining = true;
        self.last_status.drained = false;
        self.control
            .push(Control::Drain)
            .expect("the link is read at every turn");
    }

    fn is_drained(&self) -> bool {
        self.is_draining && self.last_status.drained
    }
}
