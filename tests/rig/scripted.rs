//! A scanner on hand-turned links with a scripted venue on either side: the test says what each
//! book shows and what becomes of each order. No threads, no sockets, time is an argument.
#![allow(dead_code)]

use parallax::market::book::{Delta, Side, flags};
use parallax::market::event::{Control, Event, HaltCause, PairSummary, Reason, Status};
use parallax::market::foresight::Foresight;
use parallax::market::order::{Action, Force, Order, OrderId, OrderState, Report, ReportKind};
use parallax::market::reference::{Reference, ReferenceKind};
use parallax::market::units::{Bps, MS, Nanos, Notional, Price, SCALE, SECOND, Size};
use parallax::market::{Bounds, Instrument, InstrumentId, Market, Name, VENUES, Venue};
use parallax::scanner::arrival::key::{KEYS, Key};
use parallax::scanner::arrival::memory::{Cell, Sums};
use parallax::scanner::arrival::table::Table;
use parallax::scanner::risk::Limits;
use parallax::scanner::{Ends, Scanner};
use parallax::stage::Stage;
use parallax::stage::clock::Clock;
use parallax::stage::halt::Halt;
use parallax::stage::link::{Rx, Tx, link};

pub const RUN: u16 = 77;
pub const BTC: InstrumentId = InstrumentId(0);
pub use parallax::market::Venue::{Extended, Lighter};

pub fn price(text: &str) -> Price {
    Price::parse(text.as_bytes()).unwrap()
}

pub fn size(text: &str) -> Size {
    Size::parse(text.as_bytes()).unwrap()
}

pub fn bps(text: &str) -> Bps {
    Bps::parse(text).unwrap()
}

/// Grids like the venues' own: ticks 0.1 and 0.01, lots 0.001 and 0.0005, least 10 USD.
pub fn instrument(id: u16) -> Instrument {
    let market = |venue, tick, lot, size_min, fee| Market {
        venue,
        instrument: InstrumentId(id),
        name: Name::new("BTC").unwrap(),
        venue_market: 1,
        tick: price(tick),
        lot: size(lot),
        size_min: size(size_min),
        notional_min: Notional::from_usd(10),
        fee_taker: bps(fee),
        fee_maker: Bps::ZERO,
        bounds: Bounds::default(),
    };
    Instrument {
        id: InstrumentId(id),
        name: Name::new("BTC").unwrap(),
        markets: [
            market(Extended, "0.1", "0.001", "0.01", "2.5"),
            market(Lighter, "0.01", "0.0005", "0.005", "0"),
        ],
    }
}

/// A memory in which edges of every kind have always stayed as they were seen.
pub fn steady() -> Table {
    let mut table = Table::new(2);
    let whole = || Sums {
        filled: 1 << 20,
        ..Sums::default()
    };
    let cell = Cell {
        tries: 1 << 20,
        orders: [whole(); 3],
    };
    for number in 0..KEYS as u16 {
        let key = Key::from_number(number).unwrap();
        table.all.restore(key, cell);
    }
    table
}

pub struct Rig {
    pub scanner: Scanner,
    pub now: Nanos,
    pub halt: Halt,
    deltas: [Tx<Delta>; 2],
    references: [Tx<Reference>; 2],
    reports: [Tx<Report>; 2],
    orders: [Rx<Order>; 2],
    control: Tx<Control>,
    status: Rx<Status>,
    journal: Rx<Event>,
    pub events: Vec<Event>,
    pub last_status: Status,
    /// Orders seen so far and not yet taken by the test.
    pub seen: Vec<Order>,
    trade: u64,
    /// Whether a fill is followed by the position it makes, as the venues do.
    pub positions_follow: bool,
    positions: [Size; 2],
}

impl Rig {
    pub fn new(limits: Limits) -> Rig {
        Rig::sized(limits, 64)
    }

    /// Ready to trade on markets whose venues state these margins and limits.
    pub fn within(limits: Limits, bounds: [Bounds; 2]) -> Rig {
        let mut rig = Rig::of(limits, 64, bounds);
        rig.open_for_business();
        rig
    }

    /// With order links of a given capacity.
    pub fn sized(limits: Limits, order_capacity: usize) -> Rig {
        Rig::of(limits, order_capacity, [Bounds::default(); 2])
    }

    fn of(limits: Limits, order_capacity: usize, bounds: [Bounds; 2]) -> Rig {
        let [d0, d1] = [link("deltas", 1024), link("deltas", 1024)];
        let [f0, f1] = [link("references", 64), link("references", 64)];
        let [r0, r1] = [link("reports", 1024), link("reports", 1024)];
        let [o0, o1] = [
            link("orders", order_capacity),
            link("orders", order_capacity),
        ];
        let (control, control_rx) = link("control", 16);
        let (status_tx, status) = link("status", 4);
        let (journal_tx, journal) = link("journal", 1 << 14);
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
        let instruments = [0, 1].map(|id| {
            let mut instrument = instrument(id);
            for venue in VENUES {
                instrument.markets[venue.idx()].bounds = bounds[venue.idx()];
            }
            instrument
        });
        Rig {
            scanner: Scanner::new(&instruments, limits, RUN, ends).learned(steady()),
            now: Nanos(1_000_000 * SECOND),
            halt,
            deltas: [d0.0, d1.0],
            references: [f0.0, f1.0],
            reports: [r0.0, r1.0],
            orders: [o0.1, o1.1],
            control,
            status,
            journal,
            events: Vec::new(),
            last_status: Status::default(),
            seen: Vec::new(),
            trade: 0,
            positions_follow: true,
            positions: [Size::ZERO; 2],
        }
    }

    /// Up, funded, fair known to be zero, both books at 1000: ready to trade.
    pub fn ready(limits: Limits) -> Rig {
        let mut rig = Rig::new(limits);
        rig.open_for_business();
        rig
    }

    /// On paper, with this much money at each venue: fair known to be zero, both books at 1000. The
    /// test is the gateway (`sign_all`), nobody is the venue.
    pub fn on_paper(limits: Limits, usd: i64) -> Rig {
        let rig = Rig::new(limits);
        let mut rig = Rig {
            scanner: rig.scanner.on_paper(Notional::from_usd(usd)),
            ..rig
        };
        let (instrument, basis) = (BTC, Bps::ZERO);
        rig.command(Control::FairSeed { instrument, basis });
        rig.settle();
        rig.pass(10);
        rig
    }

    /// With another memory of edges than the steady one; before anything is heard.
    pub fn knowing(self, table: Table) -> Rig {
        let scanner = self.scanner.learned(table);
        Rig { scanner, ..self }
    }

    /// With somebody to whom the scanner tells what it would send next, `capacity` words at a time.
    pub fn foreseeing(self, capacity: usize) -> (Rig, Rx<Foresight>) {
        let (words, heard) = link("foresight", capacity);
        let scanner = self.scanner.foreseeing(words);
        (Rig { scanner, ..self }, heard)
    }

    /// Says of every order placed that it is on its way; gives them.
    pub fn sign_all(&mut self) -> Vec<Order> {
        let placed = self.placed();
        for order in &placed {
            self.tell(order.venue, order.id, ReportKind::Sent);
        }
        self.turn();
        placed
    }

    pub fn open_for_business(&mut self) {
        for venue in VENUES {
            self.tell(venue, OrderId::NONE, ReportKind::Up);
            let equity = Notional::from_usd(5_000);
            let available = equity;
            self.tell(
                venue,
                OrderId::NONE,
                ReportKind::Balance { equity, available },
            );
            let size = Size::ZERO;
            self.tell(venue, OrderId::NONE, ReportKind::Position { size });
        }
        let (instrument, basis) = (BTC, Bps::ZERO);
        self.command(Control::FairSeed { instrument, basis });
        self.turn();
        self.settle();
    }

    /// As many calm messages as books need before they are traded on.
    pub fn settle(&mut self) {
        self.settle_at(BTC);
    }

    /// The same at another instrument.
    pub fn settle_at(&mut self, at: InstrumentId) {
        for venue in [Extended, Lighter].repeat(3) {
            self.book_of(at, venue, ("999.9", "1000.1"), "2");
        }
    }

    /// Both books at 1000, one basis point wide on either side.
    pub fn calm(&mut self) {
        self.book(Extended, "999.9", "1000.1");
        self.book(Lighter, "999.9", "1000.1");
    }

    /// Both books at 1000, so that what is open is left at its fair: the touches meet.
    pub fn converge(&mut self) {
        self.book(Lighter, "999.9", "1000.0");
        self.book(Extended, "1000.0", "1000.1");
    }

    /// A mark, an index or a funding rate of BTC, at 10^-9.
    pub fn reference(&mut self, venue: Venue, kind: ReferenceKind, value_e9: i64) {
        let reference = Reference {
            instrument: BTC,
            venue,
            kind,
            value_e9,
            t_recv: self.now,
        };
        self.references[venue.idx()].push(reference).unwrap();
        self.turn();
    }

    /// Lighter stands 15 bps over Extended.
    pub fn edge(&mut self) {
        self.book(Lighter, "1001.4", "1001.6");
    }

    pub fn command(&mut self, control: Control) {
        self.control.push(control).unwrap();
        self.turn();
    }

    /// A whole new book: ten levels a side, two units each, ten ticks of 0.1 apart.
    pub fn book(&mut self, venue: Venue, bid: &str, ask: &str) {
        self.book_of(BTC, venue, (bid, ask), "2");
    }

    pub fn book_of(&mut self, at: InstrumentId, venue: Venue, best: (&str, &str), each: &str) {
        let step = SCALE;
        let mut flags = flags::CLEAR | flags::SNAPSHOT;
        for level in 0..10 {
            for (side, best, sign) in [(Side::Bid, best.0, -1), (Side::Ask, best.1, 1)] {
                if level == 9 && side == Side::Ask {
                    flags |= flags::LAST;
                }
                let at_price = Price(price(best).0 + sign * level * step);
                self.delta(at, venue, (side, at_price, size(each)), flags);
                flags = flags::SNAPSHOT;
            }
        }
        self.turn();
    }

    /// Puts a bid of 1001.4 on Lighter's book and takes the ask away to 1001.6, unheard as yet.
    pub fn shift_unheard(&mut self, at: InstrumentId) {
        let mut flags = flags::CLEAR | flags::SNAPSHOT;
        for (side, best) in [(Side::Bid, "1001.4"), (Side::Ask, "1001.6")] {
            self.delta(at, Lighter, (side, price(best), size("2")), flags);
            flags = flags::SNAPSHOT | flags::LAST;
        }
    }

    pub fn delta(
        &mut self,
        instrument: InstrumentId,
        venue: Venue,
        (side, price, size): (Side, Price, Size),
        flags: u8,
    ) {
        let delta = Delta {
            price,
            size,
            t_recv: self.now,
            t_made: self.now,
            t_push: self.now,
            instrument,
            venue,
            side,
            flags,
        };
        self.deltas[venue.idx()].push(delta).unwrap();
    }

    /// Marks a book stale.
    pub fn stale(&mut self, venue: Venue) {
        let mark = flags::STALE | flags::EMPTY | flags::LAST;
        self.delta(BTC, venue, (Side::Bid, Price::ZERO, Size::ZERO), mark);
        self.turn();
    }

    pub fn tell(&mut self, venue: Venue, order: OrderId, kind: ReportKind) {
        self.tell_of(BTC, venue, order, kind);
    }

    /// Not yet heard: `turn` does that.
    pub fn tell_of(&mut self, at: InstrumentId, venue: Venue, order: OrderId, kind: ReportKind) {
        let report = Report {
            venue,
            instrument: at,
            order,
            t: self.now,
            kind,
        };
        self.reports[venue.idx()].push(report).unwrap();
    }

    /// One trade on an order. Not yet heard: `turn` does that.
    pub fn fill(&mut self, order: &Order, of: Size, at: Price) {
        self.trade += 1;
        let kind = ReportKind::Fill {
            trade: self.trade,
            side: order.side,
            price: at,
            size: of,
            fee: Notional((at * of).0 / 4_000),
        };
        self.tell(order.venue, order.id, kind);
        if self.positions_follow && order.instrument == BTC {
            let held = self.positions[order.venue.idx()];
            let held = match order.side {
                Side::Bid => held + of,
                Side::Ask => held - of,
            };
            self.position(order.venue, held);
        }
    }

    pub fn state(&mut self, order: &Order, state: OrderState, filled: Size) {
        self.tell(order.venue, order.id, ReportKind::State { state, filled });
    }

    /// Fills an order whole at its own limit and lets the scanner hear of it.
    pub fn fill_all(&mut self, order: &Order) {
        self.fill(order, order.size, order.price);
        self.state(order, OrderState::Filled, order.size);
        self.turn();
    }

    /// Ends an order after a partial fill (or none) at its limit.
    pub fn fill_part(&mut self, order: &Order, of: Size) {
        if of.0 > 0 {
            self.fill(order, of, order.price);
        }
        self.state(order, OrderState::Cancelled, of);
        self.turn();
    }

    pub fn reject(&mut self, order: &Order) {
        self.tell(order.venue, order.id, ReportKind::Rejected { code: 1140 });
        self.turn();
    }

    pub fn position(&mut self, venue: Venue, size: Size) {
        self.positions[venue.idx()] = size;
        self.tell(venue, OrderId::NONE, ReportKind::Position { size });
    }

    /// Where both positions were told to stand.
    pub fn held(&self) -> [Size; 2] {
        self.positions
    }

    pub fn turn(&mut self) {
        self.scanner.turn(self.now);
        self.collect();
    }

    /// Lets time pass, with a beat each 10 ms and both books alive at what they last showed.
    pub fn pass(&mut self, ms: u64) {
        for _ in 0..ms.div_ceil(10) {
            self.now = self.now.plus(10 * MS);
            self.scanner.turn(self.now);
            self.scanner.housekeeping(self.now);
            self.collect();
        }
    }

    fn collect(&mut self) {
        for orders in &mut self.orders {
            while let Some(order) = orders.pop() {
                self.seen.push(order);
            }
        }
        while let Some(event) = self.journal.pop() {
            self.events.push(event);
        }
        while let Some(status) = self.status.pop() {
            self.last_status = status;
        }
    }

    /// The only order placed since the last look, on this venue.
    pub fn only(&mut self, venue: Venue) -> Order {
        let orders = self.placed();
        assert_eq!(orders.len(), 1, "{orders:?}");
        assert_eq!(orders[0].venue, venue);
        orders[0]
    }

    /// Orders placed since the last look.
    pub fn placed(&mut self) -> Vec<Order> {
        let is_place = |order: &Order| order.action == Action::Place;
        let placed = self.seen.iter().copied().filter(is_place).collect();
        self.seen.retain(|order| !is_place(order));
        placed
    }

    /// Questions and cancels since the last look.
    pub fn asked(&mut self, action: Action) -> Vec<Order> {
        let asked = self.seen.iter().copied().filter(|o| o.action == action);
        let asked = asked.collect();
        self.seen.retain(|order| order.action != action);
        asked
    }

    /// Enters the standing edge and fills both legs: (Lighter, Extended).
    pub fn hedged(&mut self) -> (Order, Order) {
        self.edge();
        let slow = self.only(Lighter);
        self.fill_all(&slow);
        let fast = self.only(Extended);
        self.fill(&fast, fast.size, price("1000.1"));
        self.state(&fast, OrderState::Filled, fast.size);
        self.turn();
        (slow, fast)
    }

    pub fn summaries(&self) -> Vec<PairSummary> {
        let pair = |event: &Event| match event {
            Event::Pair(summary) => Some(*summary),
            _ => None,
        };
        self.events.iter().filter_map(pair).collect()
    }

    /// The summary of the only pair that has ended.
    pub fn summary(&self) -> PairSummary {
        let all = self.summaries();
        assert_eq!(all.len(), 1, "{all:?}");
        let one = all[0];
        let sum = one.edge + one.slippage - one.fees + one.funding + one.repair;
        assert_eq!(one.total, sum);
        one
    }

    pub fn reasons(&self) -> Vec<Reason> {
        let reason = |event: &Event| match event {
            Event::Refused { reason, .. } => Some(*reason),
            _ => None,
        };
        self.events.iter().filter_map(reason).collect()
    }

    pub fn count(&self, test: impl Fn(&Event) -> bool) -> usize {
        self.events.iter().filter(|event| test(event)).count()
    }

    /// Whether an opportunity was refused for this reason.
    pub fn refused(&self, why: Reason) -> bool {
        self.count(|event| matches!(event, Event::Refused { reason, .. } if *reason == why)) > 0
    }

    /// Why halt was raised, in order.
    pub fn halted(&self) -> Vec<HaltCause> {
        let cause = |event: &Event| match event {
            Event::Halt { why } => Some(*why),
            _ => None,
        };
        self.events.iter().filter_map(cause).collect()
    }

    /// A trade that the venue made for us by right, and the position it leaves.
    pub fn force(&mut self, venue: Venue, side: Side, of: Size, at: Price) {
        self.trade += 1;
        let kind = ReportKind::Forced {
            trade: self.trade,
            side,
            price: at,
            size: of,
            fee: Notional((at * of).0 / 4_000),
            why: Force::Liquidation,
        };
        self.tell(venue, OrderId::NONE, kind);
        let held = self.positions[venue.idx()];
        let held = match side {
            Side::Bid => held + of,
            Side::Ask => held - of,
        };
        self.position(venue, held);
    }

    pub fn halts(&self) -> usize {
        self.count(|event| matches!(event, Event::Halt { .. }))
    }
}
