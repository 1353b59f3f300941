//! The corridor without sockets: a message's bytes in, an order's bytes out.
//!
//! `cargo bench --bench corridor`. Feed, scanner and the venue's order room stand as a run has
//! them, between the links a run has; the message is the 22 levels of the `wire` bench, the
//! order signed with a nonce point made ahead. What the venue would say to the order is said by
//! hand, outside of what is timed, so that each message meets an engine at rest.
//!
//! - *one thread*: the whole, beside the sum of its stages, each measured by itself in rounds that
//!   take turns; budget 1.15 of the sum.
//! - *across links*: the order is signed on another core; beside the same sum.
//! - *tails*: the same at a set rate of arrivals. Each is timed from when it was to arrive, so a
//!   stall counts against every arrival it kept waiting (coordinated omission).
//!
//! Every order is asserted to be the one that the message asks for.

#[allow(dead_code, reason = "the wire bench uses the rest")]
#[path = "wire/books.rs"]
mod books;
#[allow(dead_code, reason = "the wire bench uses the rest")]
#[path = "wire/engine.rs"]
mod engine;

use books::Shape;
use core_affinity::CoreId;
use engine::{MARKETS, Whereabouts};
use hdrhistogram::Histogram;
use parallax::feed::{self, FeedStage};
use parallax::market::event::{Control, Event};
use parallax::market::order::{Order, OrderId, OrderState, Report, ReportKind, Signing};
use parallax::market::units::{Bps, MS, Nanos, Notional, Size};
use parallax::market::{Instrument, InstrumentId, VENUES, Venue};
use parallax::net::{Connection, Lanes, TlsClient};
use parallax::scanner::{Ends, Scanner};
use parallax::stage::Stage;
use parallax::stage::clock::Clock;
use parallax::stage::link::{Rx, Tx, link};
use parallax::venue::LaneSpec;
use parallax::venue::extended::feed::ExtendedFeed;
use parallax::venue::extended::orders::ExtendedOrders;
use parallax::venue::extended::sign as stark;
use parallax::venue::lighter::feed::LighterFeed;
use parallax::venue::lighter::orders::LighterOrders;
use parallax::venue::lighter::sign as schnorr;
use parallax::venue::points::Point;
use parallax::venue::{Orders, Outbox, Reports};
use parallax::{stage, topology};
use std::hint::black_box;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// Timed messages of a round; points are made between rounds.
const MESSAGES: usize = 64;
const ROUNDS: usize = 40;
const RATIO_MAX: f64 = 1.15;
/// Arrivals of the tail's measurement, and the time between them.
const ARRIVALS: usize = 20_000;
const ARRIVAL_EVERY: Duration = Duration::from_micros(100);
/// Made-up time between two messages: as many orders a minute as Lighter's gateway sends.
const MESSAGE_EVERY_NS: u64 = 25 * MS;
/// The histogram's upper bound; what takes longer is counted there.
const TAIL_NS_MAX: u64 = 1_000_000_000;

/// A venue's room for orders, and what must be said to it.
trait Room: Orders + Send + 'static {
    /// Everything up.
    fn open(&mut self, now: Nanos, said: &mut Said);
    /// The venue refuses the order written last: room and key are as free as before.
    fn refuse(&mut self, order: &Order, now: Nanos, said: &mut Said);
}

/// Where a room puts what it has to say.
struct Said {
    reports: Reports,
    out: Outbox,
}

impl Room for ExtendedOrders {
    fn open(&mut self, now: Nanos, said: &mut Said) {
        for lane in [0, 1] {
            self.on_link(lane, true, now, &mut said.reports, &mut said.out);
        }
    }

    fn refuse(&mut self, _: &Order, now: Nanos, said: &mut Said) {
        let mut bytes = br#"{"status":"ERROR","error":{"code":1140,"message":"no"}}"#.to_vec();
        let (reports, out) = (&mut said.reports, &mut said.out);
        let _ = self.on_message(1, 400, &mut bytes, now, reports, out);
    }
}

impl Room for LighterOrders {
    fn open(&mut self, now: Nanos, said: &mut Said) {
        let (reports, out) = (&mut said.reports, &mut said.out);
        self.on_link(0, true, now, reports, out);
        let mut bytes = br#"{"session_id":"1","type":"connected"}"#.to_vec();
        let _ = self.on_message(0, 0, &mut bytes, now, reports, out);
    }

    fn refuse(&mut self, order: &Order, now: Nanos, said: &mut Said) {
        let text = format!(
            r#"{{"code":21702,"message":"no","id":"{}","type":"jsonapi/sendtx"}}"#,
            order.id.0
        );
        let (reports, out) = (&mut said.reports, &mut said.out);
        let _ = self.on_message(0, 0, &mut text.into_bytes(), now, reports, out);
    }
}

/// A room with its points and its outbox: the gateway without its sockets.
struct Desk<R: Room> {
    room: R,
    points: Vec<R::Point>,
    said: Said,
}

impl<R: Room> Desk<R> {
    /// Signs and writes: the bytes of the request.
    #[inline]
    fn write(&mut self, order: &Order, now: Nanos) -> usize {
        self.sign(order, now);
        self.encode(now)
    }

    #[inline]
    fn sign(&mut self, order: &Order, now: Nanos) {
        let points = &mut self.points;
        let signing = self.room.sign(order, now, || points.pop());
        assert_eq!(signing, Ok(Signing::Ahead));
    }

    #[inline]
    fn encode(&mut self, now: Nanos) -> usize {
        self.room.encode(now, &mut self.said.out);
        let items = self.said.out.items();
        let bytes = items.iter().map(|item| self.said.out.payload(item).len());
        bytes.sum()
    }

    /// What the venue says to it, outside of what is timed.
    fn settle(&mut self, order: &Order, bytes: usize, now: Nanos) {
        assert!(bytes > 400, "a whole request");
        self.said.out.clear();
        self.room.refuse(order, now, &mut self.said);
        self.said.reports.clear();
        self.said.out.clear();
    }
}

/// Feeds and scanner, and the ends where the gateways would be.
struct Rig {
    feed_e: FeedStage<ExtendedFeed>,
    feed_l: FeedStage<LighterFeed>,
    scanner: Scanner,
    reports: [Tx<Report>; 2],
    orders: [Rx<Order>; 2],
    control: Tx<Control>,
    told: Rx<Event>,
    now: Nanos,
    pair: usize,
    trade: u64,
    held: Vec<[Size; 2]>,
    /// Last number of each Lighter book, and of Extended's connection.
    chains: Vec<u64>,
    number: u64,
    lead: Venue,
}

impl Rig {
    // Long: the plant is read from the top.
    fn new(lead: Venue) -> Rig {
        let table = engine::instruments();
        let clock = Clock::new();
        let journal = || link("journal", topology::JOURNAL_LEN).0;
        let (scanner_journal, told) = link("journal", topology::JOURNAL_LEN);
        let [d_e, d_l] = [(); 2].map(|()| link("deltas", topology::DELTAS_LEN));
        let [f_e, f_l] = [(); 2].map(|()| link("references", topology::REFERENCES_LEN));
        let [o_e, o_l] = [(); 2].map(|()| link("orders", topology::ORDERS_LEN));
        let [r_e, r_l] = [(); 2].map(|()| link("reports", topology::REPORTS_LEN));
        let (control, control_rx) = link("control", topology::CONTROL_LEN);
        let ends = Ends {
            deltas: [d_e.1, d_l.1],
            references: [f_e.1, f_l.1],
            reports: [r_e.1, r_l.1],
            orders: [o_e.0, o_l.0],
            control: control_rx,
            status: link("status", topology::STATUS_LEN).0,
            board: link("board", topology::BOARD_LEN).0,
            journal: scanner_journal,
            halt: Default::default(),
            clock,
        };
        let scanner = Scanner::new(&table, engine::limits(lead), 7, ends);
        let site = nowhere();
        let list = |venue: Venue| {
            let markets = table.iter().map(|i: &Instrument| i.markets[venue.idx()]);
            markets.collect::<Vec<_>>()
        };
        let feed = ExtendedFeed::new(&list(Venue::Extended));
        let lanes = asleep(&site.extended, feed.lanes());
        let feed_e = feed::Parts {
            feed,
            lanes: Lanes::new(lanes).expect("a poller"),
            deltas: d_e.0,
            references: f_e.0,
            journal: journal(),
            clock,
        };
        let feed = LighterFeed::paced(&list(Venue::Lighter), 100_000);
        let lanes = asleep(&site.lighter, feed.lanes());
        let feed_l = feed::Parts {
            feed,
            lanes: Lanes::new(lanes).expect("a poller"),
            deltas: d_l.0,
            references: f_l.0,
            journal: journal(),
            clock,
        };
        let mut rig = Rig {
            feed_e: FeedStage::new(Venue::Extended, &table, feed_e),
            feed_l: FeedStage::new(Venue::Lighter, &table, feed_l),
            scanner: scanner.learned(engine::steady()),
            reports: [r_e.0, r_l.0],
            orders: [o_e.1, o_l.1],
            control,
            told,
            now: clock.now(),
            pair: 0,
            trade: 0,
            held: vec![[Size::ZERO; 2]; MARKETS],
            chains: vec![1; MARKETS],
            number: 0,
            lead,
        };
        rig.open();
        rig
    }

    /// Lanes up, whole books that are trusted, an account with money.
    fn open(&mut self) {
        let now = self.now;
        books::STAMP_US.store(now.0 / 1_000, Ordering::Relaxed);
        self.feed_e.on_link(0, true, now);
        self.feed_l.on_link(0, true, now);
        let greeting = r#"{"session_id":"1","type":"connected"}"#;
        self.feed_l
            .hear(0, &mut greeting.to_owned().into_bytes(), now);
        for market in 0..MARKETS {
            self.number += 1;
            let text = books::snapshot(Venue::Extended, market, self.number);
            self.feed_e.hear(0, &mut text.into_bytes(), now);
            let text = books::snapshot(Venue::Lighter, market, 1);
            self.feed_l.hear(0, &mut text.into_bytes(), now);
            self.scanner.turn(now);
        }
        for venue in VENUES {
            let equity = Notional::from_usd(1_000_000_000);
            let available = equity;
            self.tell(venue, InstrumentId(0), OrderId::NONE, ReportKind::Up);
            let balance = ReportKind::Balance { equity, available };
            self.tell(venue, InstrumentId(0), OrderId::NONE, balance);
        }
        for idx in 0..MARKETS {
            let (instrument, basis) = (InstrumentId(idx as u16), Bps::ZERO);
            let seed = Control::FairSeed { instrument, basis };
            self.control.push(seed).expect("there is room");
            self.scanner.turn(now);
        }
        for _ in 0..4 {
            for market in 0..MARKETS {
                for venue in VENUES {
                    let mut bytes = self.bytes(venue, market, (Shape::Calm, Shape::Calm));
                    self.hear(venue, &mut bytes);
                    self.scanner.turn(now);
                }
            }
        }
    }

    fn bytes(&mut self, venue: Venue, market: usize, way: (Shape, Shape)) -> Vec<u8> {
        let number = match venue {
            Venue::Extended => {
                self.number += 1;
                self.number
            }
            Venue::Lighter => {
                self.chains[market] += 1;
                self.chains[market]
            }
        };
        books::update(venue, market, way, number).into_bytes()
    }

    #[inline]
    fn hear(&mut self, venue: Venue, bytes: &mut [u8]) {
        let kind = match venue {
            Venue::Extended => self.feed_e.hear(0, bytes, self.now),
            Venue::Lighter => self.feed_l.hear(0, bytes, self.now),
        };
        black_box(kind);
    }

    fn tell(&mut self, venue: Venue, instrument: InstrumentId, order: OrderId, kind: ReportKind) {
        let report = Report {
            venue,
            instrument,
            order,
            t: self.now,
            kind,
        };
        self.reports[venue.idx()]
            .push(report)
            .expect("there is room");
    }

    /// The next message that asks for an order, at rest since the last; which market it moves.
    fn edge(&mut self) -> (usize, Shape, Vec<u8>) {
        self.now = self.now.plus(MESSAGE_EVERY_NS);
        books::STAMP_US.store(self.now.0 / 1_000, Ordering::Relaxed);
        let (market, pair) = (self.pair % MARKETS, self.pair);
        self.pair += 1;
        let shape = [Shape::Up, Shape::Down][(pair / MARKETS) % 2];
        let other = self.lead.other();
        let mut calm = self.bytes(other, market, (Shape::Calm, Shape::Calm));
        self.hear(other, &mut calm);
        self.settle();
        let bytes = self.bytes(self.lead, market, (Shape::Calm, shape));
        (market, shape, bytes)
    }

    /// The order that a message brought.
    #[inline]
    fn decide(&mut self) -> Order {
        self.scanner.turn(self.now);
        match self.orders[self.lead.idx()].pop() {
            Some(order) => order,
            None => self.missed(),
        }
    }

    #[cold]
    fn missed(&mut self) -> ! {
        while let Some(event) = self.told.pop() {
            if let Event::Refused { .. } | Event::Seen { .. } = event {
                eprintln!("{event:?}");
            }
        }
        panic!("the message asks for an order");
    }

    /// The order fills, the other leg too; the market comes back and both are left.
    fn finish(&mut self, order: &Order, market: usize, shape: Shape) {
        assert_eq!(order.instrument.idx(), market);
        self.fill(order);
        self.settle();
        let mut bytes = self.bytes(self.lead, market, (shape, Shape::Calm));
        self.hear(self.lead, &mut bytes);
        self.settle();
        assert_eq!(self.held[market], [Size::ZERO; 2], "the pair is over");
        while self.told.pop().is_some() {}
    }

    fn settle(&mut self) {
        for _ in 0..8 {
            self.scanner.turn(self.now);
            for venue in VENUES {
                while let Some(order) = self.orders[venue.idx()].pop() {
                    self.fill(&order);
                }
            }
        }
    }

    fn fill(&mut self, order: &Order) {
        use parallax::market::book::Side;
        let (venue, at, id) = (order.venue, order.instrument, order.id);
        self.trade += 1;
        let fill = ReportKind::Fill {
            trade: self.trade,
            side: order.side,
            price: order.price,
            size: order.size,
            fee: Notional::ZERO,
        };
        let held = &mut self.held[at.idx()][venue.idx()];
        match order.side {
            Side::Bid => *held += order.size,
            Side::Ask => *held -= order.size,
        }
        let size = *held;
        let state = ReportKind::State {
            state: OrderState::Filled,
            filled: order.size,
        };
        self.tell(venue, at, id, ReportKind::Sent);
        self.tell(venue, at, id, fill);
        self.tell(venue, at, id, state);
        self.tell(venue, at, OrderId::NONE, ReportKind::Position { size });
    }
}

/// Fills a pool up to so many points.
fn extended_points(len: usize) -> impl Fn(&mut Vec<stark::NoncePoint>) + Clone {
    move |points| {
        let mut maker = stark::PointMaker::new(&engine::stark_key());
        while points.len() < len {
            points.extend(maker.prepare().expect("the system gives randomness"));
        }
    }
}

/// The same for Lighter.
fn lighter_points(len: usize) -> impl Fn(&mut Vec<schnorr::NoncePoint>) + Clone {
    move |points| {
        let mut maker = schnorr::PointMaker::new(&engine::lighter_key(engine::LIGHTER_KEYS[0].1));
        while points.len() < len {
            points.extend(maker.prepare().expect("the system gives randomness"));
        }
    }
}

/// Connections that are never dialled.
fn asleep(base: &str, specs: Vec<LaneSpec>) -> Vec<Connection> {
    let tls = TlsClient::new(None).expect("the built-in roots");
    let mut all = engine::lanes(base, 0, specs, &tls);
    all.iter_mut().for_each(Connection::sleep);
    all
}

/// A place nobody dials.
fn nowhere() -> Whereabouts<'static> {
    Whereabouts {
        extended: "wss://127.0.0.1:9".to_owned(),
        lighter: "wss://127.0.0.1:9".to_owned(),
        ca_pem: b"",
        nonces: [1; 3],
    }
}

/// Nanoseconds of the whole way of one round's messages, one by one.
fn whole<R: Room>(rig: &mut Rig, desk: &mut Desk<R>) -> Vec<f64> {
    let mut took = Vec::with_capacity(MESSAGES);
    for _ in 0..MESSAGES {
        let (market, shape, mut bytes) = rig.edge();
        let begun = Instant::now();
        rig.hear(rig.lead, &mut bytes);
        let order = rig.decide();
        let written = desk.write(&order, rig.now);
        took.push(begun.elapsed().as_nanos() as f64);
        desk.settle(&order, written, rig.now);
        rig.finish(&order, market, shape);
    }
    took
}

/// The same, stage by stage: feed, scanner, signature, text.
fn stages<R: Room>(rig: &mut Rig, desk: &mut Desk<R>) -> Vec<[f64; 4]> {
    let mut took = Vec::with_capacity(MESSAGES);
    for _ in 0..MESSAGES {
        let (market, shape, mut bytes) = rig.edge();
        let marks = [(); 5].map(|()| Instant::now());
        let mut marks = marks;
        marks[0] = Instant::now();
        rig.hear(rig.lead, &mut bytes);
        marks[1] = Instant::now();
        let order = rig.decide();
        marks[2] = Instant::now();
        desk.sign(&order, rig.now);
        marks[3] = Instant::now();
        let written = desk.encode(rig.now);
        marks[4] = Instant::now();
        let each = |at: usize| marks[at + 1].duration_since(marks[at]).as_nanos() as f64;
        took.push([0, 1, 2, 3].map(each));
        desk.settle(&order, written, rig.now);
        rig.finish(&order, market, shape);
    }
    took
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// What reading the clock costs.
fn clock_ns() -> f64 {
    let one = |_| {
        let begun = Instant::now();
        for _ in 0..1_000 {
            black_box(Instant::now());
        }
        begun.elapsed().as_nanos() as f64 / 1_000.0
    };
    median((0..51).map(one).collect())
}

/// One thread, beside the sum of its stages; gives that sum.
fn on_one_thread<R: Room>(
    rig: &mut Rig,
    desk: &mut Desk<R>,
    mut refill: impl FnMut(&mut Vec<R::Point>),
) -> f64 {
    let clock_ns = clock_ns();
    let (mut wholes, mut parts) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        refill(&mut desk.points);
        wholes.extend(whole(rig, desk));
        refill(&mut desk.points);
        parts.extend(stages(rig, desk));
        if round == 0 {
            // Cold code and tables.
            wholes.clear();
            parts.clear();
        }
    }
    let stage = |at: usize| median(parts.iter().map(|part| part[at]).collect()) - clock_ns;
    let [feed, scan, sign, text] = [0, 1, 2, 3].map(stage);
    let (sum, whole) = (feed + scan + sign + text, median(wholes) - clock_ns);
    println!(
        "{}: feed {feed:.0} ns, scan and decide {scan:.0}, sign {sign:.0}, encode {text:.0}",
        rig.lead.name()
    );
    told("one thread", whole, sum);
    sum
}

fn told(how: &str, whole: f64, sum: f64) {
    let ratio = whole / sum;
    let word = if ratio <= RATIO_MAX { "met" } else { "missed" };
    println!("  {how}: {whole:.0} ns, {ratio:.2} of the sum (budget {RATIO_MAX}: {word})");
}

/// The order is signed on another core.
fn across_links<R: Room>(
    rig: &mut Rig,
    mut desk: Desk<R>,
    mut refill: impl FnMut(&mut Vec<R::Point>) + Send + 'static,
    (core, sum): (usize, f64),
) {
    let (mut orders, mut orders_rx) = link::<(Order, Nanos)>("orders", 64);
    let (mut done, mut done_rx) = link::<Instant>("done", 64);
    let other = std::thread::spawn(move || {
        core_affinity::set_for_current(CoreId { id: core });
        refill(&mut desk.points);
        loop {
            let Some((order, now)) = orders_rx.pop() else {
                if orders_rx.is_finished() {
                    return;
                }
                std::hint::spin_loop();
                continue;
            };
            let written = desk.write(&order, now);
            let at = Instant::now();
            desk.settle(&order, written, now);
            if desk.points.is_empty() {
                refill(&mut desk.points);
            }
            done.push(at).expect("one at a time");
        }
    });
    let mut took = Vec::new();
    for _ in 0..ROUNDS * MESSAGES {
        let (market, shape, mut bytes) = rig.edge();
        let begun = Instant::now();
        rig.hear(rig.lead, &mut bytes);
        let order = rig.decide();
        orders.push((order, rig.now)).expect("one at a time");
        let at = loop {
            match done_rx.pop() {
                Some(at) => break at,
                None => std::hint::spin_loop(),
            }
        };
        took.push(at.duration_since(begun).as_nanos() as f64);
        rig.finish(&order, market, shape);
    }
    drop(orders);
    other.join().expect("it ends well");
    told("across links", median(took.split_off(MESSAGES)), sum);
}

/// At a set rate of arrivals, each timed from when it was to arrive.
fn tails<R: Room>(rig: &mut Rig, desk: &mut Desk<R>, mut refill: impl FnMut(&mut Vec<R::Point>)) {
    let mut histogram = Histogram::<u64>::new_with_bounds(1, TAIL_NS_MAX, 3).expect("bounds");
    let mut due = Instant::now();
    for arrival in 0..ARRIVALS {
        if arrival % MESSAGES == 0 {
            refill(&mut desk.points);
            due = Instant::now() + ARRIVAL_EVERY;
        }
        let (market, shape, mut bytes) = rig.edge();
        while Instant::now() < due {}
        rig.hear(rig.lead, &mut bytes);
        let order = rig.decide();
        let written = desk.write(&order, rig.now);
        histogram.saturating_record(due.elapsed().as_nanos() as u64);
        desk.settle(&order, written, rig.now);
        rig.finish(&order, market, shape);
        due += ARRIVAL_EVERY;
    }
    let at = |quantile: f64| histogram.value_at_quantile(quantile) as f64 / 1e3;
    println!(
        "  tails, an arrival every {} us: p50 {:.2} us, p99 {:.2}, p99.9 {:.2}, max {:.2}",
        ARRIVAL_EVERY.as_micros(),
        at(0.5),
        at(0.99),
        at(0.999),
        at(1.0)
    );
}

fn measure<R: Room>(
    lead: Venue,
    room: impl Fn() -> R,
    refill: impl Fn(&mut Vec<R::Point>) + Clone + Send + 'static,
    core: Option<usize>,
) where
    R::Point: Point,
{
    let mut rig = Rig::new(lead);
    let desk = |now| {
        let said = Said {
            reports: Reports::new(4_096),
            out: Outbox::new(64 * 1024, 64),
        };
        let mut desk = Desk {
            room: room(),
            points: Vec::new(),
            said,
        };
        desk.room.open(now, &mut desk.said);
        desk.said.out.clear();
        desk.said.reports.clear();
        desk
    };
    let mut one = desk(rig.now);
    let sum = on_one_thread(&mut rig, &mut one, refill.clone());
    tails(&mut rig, &mut one, refill.clone());
    match core {
        Some(core) => {
            let now = rig.now;
            across_links(&mut rig, desk(now), refill, (core, sum));
        }
        None => println!("  across links: no second core"),
    }
}

fn main() {
    let cores = stage::cores();
    if let Some(id) = cores.last() {
        core_affinity::set_for_current(CoreId { id: *id });
    }
    let other = cores.first().copied().filter(|_| cores.len() > 1);
    let site = nowhere();
    let table = engine::instruments();
    measure(
        Venue::Lighter,
        || engine::lighter_room(&site, &table),
        lighter_points(MESSAGES),
        other,
    );
    measure(
        Venue::Extended,
        || engine::extended_room(&site, &table),
        extended_points(MESSAGES),
        other,
    );
}
