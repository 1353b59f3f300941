//! Two model venues and one pair under the hedge machine, a step at a time, for `tests_explore.rs`.
//!
//! The venues' own positions are the judge: the machine is told of them by reports, late, wrongly,
//! twice or never. What the model holds venues to: a reduce-only order never turns a position, an
//! order is dead nine seconds after it was pushed, and a report is at most three seconds late
//! while the streams live.

use super::board::Board;
use super::breaker::Breakers;
use super::desk::Desk;
use super::hedge::{self, Plan};
use super::leave;
use super::pair::{Fill, Pair, Role, State};
use super::repair::Way;
use super::risk::{Account, Budget, LegOrder, Limits};
use super::send::Scene;
use super::spread::{Taken, Yardstick};
use super::table::Rules;
use crate::market::book::{Delta, Side, flags};
use crate::market::event::{Adopted, Event, ExitCause};
use crate::market::order::{Action, Order, OrderId, OrderState, Refusal, Report, ReportKind};
use crate::market::units::{Bps, MS, Nanos, Notional, Price, SECOND, Size};
use crate::market::{Bounds, Instrument, InstrumentId, Market, Name, VENUES, Venue};
use crate::stage::halt::Halt;
use crate::stage::link::{Rx, link};
use std::hash::{DefaultHasher, Hash, Hasher};

/// One unit of size: the lot of both model venues.
pub const UNIT: i64 = 1_000_000_000;
const PRICE: i64 = 1_000;
const RUN: u16 = 9;
/// Beyond this age an order that said nothing is dead.
const AGE_MAX: u8 = 3;
const LATE_LEN: usize = 6;

/// Everything that may happen next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Happening {
    /// The venue says that it took the order.
    Ack(Venue),
    /// Half of what is left trades, and is told.
    Part(Venue),
    /// All of what is left trades, and is told.
    Fill(Venue),
    /// All of what is left trades, and is not told yet.
    Lag(Venue),
    /// The venue says that the order is over, with its true sum.
    Over(Venue),
    /// All of what is left trades untold, and the venue says that the order was cancelled.
    Wrong(Venue),
    Reject(Venue),
    /// The venue forgets the order without a word.
    Drop(Venue),
    /// The gateway did not send it.
    NotSent(Venue),
    /// What was traded untold is told.
    Late(Venue),
    /// The last report comes once more.
    Twice(Venue),
    /// A question is answered.
    Answer(Venue),
    Down(Venue),
    Up(Venue),
    /// The venue takes the position away and says so.
    Force(Venue),
    /// The venue takes the position away and says only what is left.
    Snatch(Venue),
    /// A fill is told that never was, on the closing side.
    Lie(Venue),
    /// The process is killed, and the next one adopts what is even.
    Restart,
    /// The exit is due.
    Leave,
    /// A tenth of a second.
    Short,
    /// Longer than an order may stay unanswered, and than a report may be late.
    Long,
}

/// An order at its venue.
#[derive(Clone, Copy, Debug, Hash)]
struct Live {
    id: OrderId,
    side: Side,
    size: i64,
    filled: i64,
    told: i64,
    reduce: bool,
    acked: bool,
    /// Nothing more trades.
    dead: bool,
    /// And the machine may know it.
    over: bool,
    age: u8,
}

/// A trade that was not told yet.
#[derive(Clone, Copy, Debug)]
struct Untold {
    id: OrderId,
    side: Side,
    size: i64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Site {
    position: i64,
    told: i64,
    is_down: bool,
    downs: u8,
    t_up: Nanos,
    live: Option<Live>,
    untold: [Option<Untold>; LATE_LEN],
    asked: bool,
    last: Option<(OrderId, ReportKind)>,
}

/// A state of the world.
#[derive(Clone)]
pub struct World {
    pub pair: Pair,
    now: Nanos,
    sites: [Site; 2],
    pub alarm: bool,
    trades: u64,
    /// Restarts, forced trades (and refusals by the gateway), lies and repetitions still allowed.
    pub budget: [u8; 4],
    /// A lie or a snatch was told: the books are no longer ours to judge.
    pub is_deceived: bool,
    /// A venue took a leg away.
    is_forced: bool,
    fill_price: i64,
    cause: ExitCause,
}

/// How the run of a configuration begins.
#[derive(Clone, Copy, Debug)]
pub struct Setup {
    pub name: &'static str,
    pub order: LegOrder,
    /// Units of each leg, and least that a venue takes.
    pub units: i64,
    pub units_min: i64,
    /// Both legs are held and the exit is sent; otherwise the entry is.
    pub leaves: Option<ExitCause>,
    pub cheaper: fn(&Pair, &Board, Venue, Size) -> Way,
    /// Price of fills in dollars; books stand at 1,000.
    pub fill_price: i64,
    pub budget: [u8; 4],
    pub depth: u8,
}

/// What worlds share: the machine's surroundings, which hold nothing between two steps.
pub struct Rig {
    board: Board,
    limits: Limits,
    pub desk: Desk,
    orders: [Rx<Order>; 2],
    journal: Rx<Event>,
}

impl Rig {
    pub fn new(setup: &Setup, rules: Rules) -> Rig {
        let limits = Limits {
            leg_order: setup.order,
            ..Limits::default()
        };
        let mut board = Board::new(&instrument(setup.units_min), &limits);
        for venue in VENUES {
            for (side, price, flags) in [
                (Side::Bid, PRICE * UNIT - UNIT / 10, flags::CLEAR),
                (Side::Ask, PRICE * UNIT + UNIT / 10, flags::LAST),
            ] {
                board.apply(&Delta {
                    price: Price(price),
                    size: Size(1_000 * UNIT),
                    t_recv: Nanos(SECOND),
                    t_made: Nanos(SECOND),
                    t_push: Nanos(SECOND),
                    instrument: InstrumentId(0),
                    venue,
                    side,
                    flags,
                });
            }
        }
        let [o0, o1] = [link("orders", 16), link("orders", 16)];
        let (journal_tx, journal) = link("journal", 256);
        let mut accounts = [Account::new(1), Account::new(1)];
        for account in &mut accounts {
            account.is_up = true;
        }
        let breakers = Breakers::new(limits.breaker);
        let outside = ([Budget::new(9), Budget::new(9)], accounts, breakers);
        let mut desk = Desk::new(RUN, [o0.0, o1.0], journal_tx, Halt::default(), outside);
        desk.rules = Rules::new(rules.pair, rules.leg, setup.cheaper);
        Rig {
            board,
            limits,
            desk,
            orders: [o0.1, o1.1],
            journal,
        }
    }
}

fn instrument(units_min: i64) -> Instrument {
    let market = |venue| Market {
        venue,
        instrument: InstrumentId(0),
        name: Name::new("BTC").unwrap(),
        venue_market: 1,
        tick: Price(UNIT / 10),
        lot: Size(UNIT),
        size_min: Size(units_min * UNIT),
        notional_min: Notional::ZERO,
        fee_taker: Bps::ZERO,
        fee_maker: Bps::ZERO,
        bounds: Bounds::default(),
    };
    Instrument {
        id: InstrumentId(0),
        name: Name::new("BTC").unwrap(),
        markets: VENUES.map(market),
    }
}

const LONG: Venue = Venue::Extended;

impl World {
    /// Entry sent, or both legs held and the exit sent.
    pub fn new(setup: &Setup, rig: &mut Rig) -> Result<World, String> {
        let mut world = World {
            pair: Pair::new(InstrumentId(0)),
            now: Nanos(1_000 * SECOND),
            sites: Default::default(),
            alarm: false,
            trades: 0,
            budget: setup.budget,
            is_deceived: false,
            is_forced: false,
            fill_price: setup.fill_price,
            cause: setup.leaves.unwrap_or(ExitCause::Stop),
        };
        let taken = Taken {
            worst: Price(PRICE * UNIT),
            notional: Price(PRICE * UNIT) * Size(setup.units * UNIT),
        };
        let plan = Plan {
            number: 1,
            long: LONG,
            lead: setup.order.lead(),
            yardstick: Yardstick::new(Bps::ZERO),
            size: Size(setup.units * UNIT),
            taken: [taken; 2],
            prices: [Price(PRICE * UNIT); 2],
            gross: Bps::ZERO,
            net: Bps::ZERO,
            parts: Default::default(),
            bound: None,
            foreseen: Default::default(),
            t_tick: Nanos::ZERO,
        };
        world.deed(rig, |pair, scene| {
            hedge::open(pair, &plan, scene);
        })?;
        if setup.leaves.is_some() {
            for venue in [LONG.other(), LONG, LONG.other()] {
                world.happen(Happening::Fill(venue), rig)?;
            }
            world.happen(Happening::Leave, rig)?;
        }
        Ok(world)
    }

    /// All that may happen now.
    pub fn next(&self) -> Vec<Happening> {
        let mut all = vec![Happening::Long];
        for venue in VENUES {
            let site = &self.sites[venue.idx()];
            match (site.is_down, site.downs) {
                (true, _) => all.push(Happening::Up(venue)),
                (false, 0) => all.push(Happening::Down(venue)),
                (false, _) => {}
            }
            let is_late = site.untold.iter().any(Option::is_some);
            if let Some(live) = site.live.as_ref().filter(|live| !live.dead) {
                let rest = self.tradable(venue, live);
                if rest > UNIT {
                    all.push(Happening::Part(venue));
                }
                if rest > 0 {
                    all.extend([Happening::Fill(venue), Happening::Lag(venue)]);
                    if !site.is_down {
                        all.push(Happening::Wrong(venue));
                    }
                }
                all.push(Happening::Drop(venue));
                if live.filled == 0 && !live.acked {
                    if self.budget[1] > 0 {
                        all.push(Happening::NotSent(venue));
                    }
                    if !site.is_down {
                        all.extend([Happening::Reject(venue), Happening::Ack(venue)]);
                    }
                }
            }
            if site.is_down {
                continue;
            }
            if site
                .live
                .is_some_and(|live| !live.over && (live.filled > 0 || !live.dead))
            {
                all.push(Happening::Over(venue));
            }
            if is_late {
                all.push(Happening::Late(venue));
            } else if self.budget[1] > 0 && self.pair.legs[venue.idx()].held.0 > 0 {
                all.push(Happening::Force(venue));
            }
            if site.last.is_some() && self.budget[3] > 0 {
                all.push(Happening::Twice(venue));
            }
            if site.asked {
                all.push(Happening::Answer(venue));
            }
            if self.budget[2] > 0 {
                all.push(Happening::Lie(venue));
                if site.position != 0 {
                    all.push(Happening::Snatch(venue));
                }
            }
        }
        let is_up = self.sites.iter().all(|site| !site.is_down);
        if self.pair.state == State::Hedged && is_up {
            all.push(Happening::Leave);
        }
        if self.budget[0] > 0 {
            all.push(Happening::Restart);
        }
        all
    }

    /// What of an order can still trade.
    fn tradable(&self, venue: Venue, live: &Live) -> i64 {
        let rest = live.size - live.filled;
        let position = self.sites[venue.idx()].position;
        match (live.reduce, live.side) {
            (false, _) => rest,
            (true, Side::Ask) => rest.min(position.max(0)),
            (true, Side::Bid) => rest.min((-position).max(0)),
        }
    }

    /// Trades at the venue; told later.
    fn trade(&mut self, venue: Venue, size: i64) {
        let site = &mut self.sites[venue.idx()];
        let Some(live) = site.live.as_mut() else {
            return;
        };
        live.filled += size;
        live.dead |= live.filled == live.size;
        site.position += if live.side == Side::Bid { size } else { -size };
        let untold = Untold {
            id: live.id,
            side: live.side,
            size,
        };
        let free = site.untold.iter_mut().find(|untold| untold.is_none());
        *free.expect("fewer orders than places") = Some(untold);
    }

    /// Tells the trades that were not told, if the streams live.
    fn tell_trades(&mut self, venue: Venue, rig: &mut Rig) {
        if self.sites[venue.idx()].is_down {
            return;
        }
        for at in 0..LATE_LEN {
            let Some(untold) = self.sites[venue.idx()].untold[at].take() else {
                continue;
            };
            let site = &mut self.sites[venue.idx()];
            site.told = site.position;
            if let Some(live) = site.live.as_mut().filter(|live| live.id == untold.id) {
                live.told += untold.size;
                live.over |= live.told == live.size;
            }
            self.trades += 1;
            let price = Price(self.fill_price * UNIT);
            let kind = ReportKind::Fill {
                trade: self.trades,
                side: untold.side,
                price,
                size: Size(untold.size),
                fee: Notional::ZERO,
            };
            self.report(venue, untold.id, kind, rig);
        }
    }

    fn report(&mut self, venue: Venue, order: OrderId, kind: ReportKind, rig: &mut Rig) {
        // Venues repeat themselves; our own gateway says once that it did not send.
        let is_own = matches!(kind, ReportKind::NotSent { .. });
        self.sites[venue.idx()].last = (!is_own).then_some((order, kind));
        let report = Report {
            venue,
            instrument: InstrumentId(0),
            order,
            t: self.now,
            kind,
        };
        if order.pair() == self.pair.number {
            hedge::hear(&mut self.pair, &report, &rig.desk.rules);
        }
    }

    /// Says that the order is over, with this sum.
    fn say_over(&mut self, venue: Venue, filled: i64, rig: &mut Rig) {
        let Some(live) = self.sites[venue.idx()].live.as_mut() else {
            return;
        };
        (live.dead, live.over) = (true, true);
        let state = match filled == live.size {
            true => OrderState::Filled,
            false => OrderState::Cancelled,
        };
        let (id, filled) = (live.id, Size(filled));
        self.report(venue, id, ReportKind::State { state, filled }, rig);
    }

    /// One thing happens, and the machine acts on it. An error is a broken promise.
    pub fn happen(&mut self, what: Happening, rig: &mut Rig) -> Result<(), String> {
        // Longer than any pause between two tries: what happens within one happens before it.
        self.now = self.now.plus(100 * MS);
        self.befall(what, rig);
        match what {
            Happening::Leave => {
                let cause = self.cause;
                self.deed(rig, |pair, scene| leave::leave(pair, cause, scene))
            }
            Happening::Restart => self.restart(rig),
            _ => self.deed(rig, hedge::advance),
        }
    }

    fn befall(&mut self, what: Happening, rig: &mut Rig) {
        let part = |world: &World, venue: Venue| {
            let live = world.sites[venue.idx()].live;
            live.map_or(0, |live| world.tradable(venue, &live))
        };
        match what {
            Happening::Short => {}
            Happening::Long => self.pass(3_100 * MS, rig),
            Happening::Part(venue) => {
                let half = part(self, venue) / 2 / UNIT * UNIT;
                self.trade(venue, half.max(UNIT));
                self.tell_trades(venue, rig);
            }
            Happening::Fill(venue) => {
                self.trade(venue, part(self, venue));
                self.tell_trades(venue, rig);
            }
            Happening::Lag(venue) => self.trade(venue, part(self, venue)),
            Happening::Late(venue) => self.tell_trades(venue, rig),
            Happening::Over(venue) => {
                let filled = self.sites[venue.idx()].live.map_or(0, |live| live.filled);
                self.say_over(venue, filled, rig);
            }
            Happening::Answer(venue) => {
                self.sites[venue.idx()].asked = false;
                let filled = self.sites[venue.idx()].live.map_or(0, |live| live.filled);
                self.say_over(venue, filled, rig);
            }
            Happening::Wrong(venue) => {
                let told = self.sites[venue.idx()].live.map_or(0, |live| live.told);
                self.trade(venue, part(self, venue));
                self.say_over(venue, told, rig);
            }
            Happening::Ack(venue) => {
                let live = self.sites[venue.idx()].live.as_mut().unwrap();
                live.acked = true;
                let id = live.id;
                self.report(venue, id, ReportKind::Acknowledged, rig);
            }
            Happening::Reject(venue) | Happening::NotSent(venue) => {
                let live = self.sites[venue.idx()].live.as_mut().unwrap();
                (live.dead, live.over) = (true, true);
                let id = live.id;
                let why = Refusal::NotConnected;
                let kind = match what {
                    Happening::Reject(_) => ReportKind::Rejected { code: 1 },
                    _ => ReportKind::NotSent { why },
                };
                self.report(venue, id, kind, rig);
            }
            Happening::Drop(venue) => {
                self.sites[venue.idx()].live.as_mut().unwrap().dead = true;
            }
            Happening::Twice(venue) => {
                self.budget[3] -= 1;
                if let Some((id, kind)) = self.sites[venue.idx()].last.take() {
                    self.report(venue, id, kind, rig);
                    self.sites[venue.idx()].last = None;
                }
            }
            Happening::Down(venue) => {
                let site = &mut self.sites[venue.idx()];
                (site.is_down, site.downs) = (true, 1);
            }
            Happening::Up(venue) => {
                let site = &mut self.sites[venue.idx()];
                site.is_down = false;
                (site.told, site.t_up) = (site.position, self.now);
            }
            Happening::Force(venue) => self.force(venue, true, rig),
            Happening::Snatch(venue) => {
                self.is_deceived = true;
                self.budget[2] -= 1;
                let site = &mut self.sites[venue.idx()];
                (site.position, site.told) = (0, 0);
            }
            Happening::Lie(venue) => {
                self.is_deceived = true;
                self.budget[2] -= 1;
                self.trades += 1;
                let kind = ReportKind::Fill {
                    trade: self.trades,
                    side: self.pair.opening_side(venue).other(),
                    price: Price(PRICE * UNIT),
                    size: self.pair.size,
                    fee: Notional::ZERO,
                };
                let id = OrderId::new(RUN, self.pair.number, 0x7F);
                self.report(venue, id, kind, rig);
            }
            Happening::Leave | Happening::Restart => {}
        }
    }

    fn force(&mut self, venue: Venue, told: bool, rig: &mut Rig) {
        self.budget[1] -= 1;
        self.is_forced = true;
        let site = &mut self.sites[venue.idx()];
        let size = Size(site.position.abs());
        (site.position, site.told) = (0, 0);
        let fill = Fill {
            id: OrderId::NONE,
            side: self.pair.opening_side(venue).other(),
            price: Price(PRICE * UNIT),
            size: size.min(self.pair.legs[venue.idx()].held),
            fee: Notional::ZERO,
            t: self.now,
        };
        self.alarm = true;
        let mut pair = self.pair;
        self.with_scene(rig, |_, scene| {
            hedge::take_away(&mut pair, venue, &fill, told, scene)
        });
        self.pair = pair;
    }

    /// Time goes by: reports come in within three seconds, and silent orders die.
    fn pass(&mut self, ns: u64, rig: &mut Rig) {
        if ns > 3 * SECOND {
            for venue in VENUES {
                self.tell_trades(venue, rig);
                if let Some(live) = self.sites[venue.idx()].live.as_mut() {
                    live.age = (live.age + 1).min(AGE_MAX);
                    if live.age == AGE_MAX {
                        (live.dead, live.over) = (true, true);
                    }
                }
            }
        }
        self.now = self.now.plus(ns);
    }

    /// The next process: orders cancelled, what is uneven closed by the repair, the rest adopted.
    fn restart(&mut self, rig: &mut Rig) -> Result<(), String> {
        self.budget[0] -= 1;
        let [one, other] = &mut self.sites;
        let even = one.position.abs().min(other.position.abs());
        for (site, sign) in [(one, 1), (other, -1)] {
            *site = Site {
                position: sign * even,
                told: sign * even,
                t_up: self.now,
                ..Site::default()
            };
        }
        self.is_forced = false;
        let number = self.pair.number + 1;
        let size = Size(even);
        self.pair = Pair::new(InstrumentId(0));
        let adopted = Adopted {
            instrument: InstrumentId(0),
            long: LONG,
            size,
            entry: [Price(PRICE * UNIT); 2],
        };
        if even == 0 {
            return Ok(());
        }
        self.deed(rig, |pair, scene| {
            hedge::adopt(pair, &adopted, number, scene)
        })
    }

    fn with_scene(&mut self, rig: &mut Rig, deed: impl FnOnce(&mut Pair, &mut Scene<'_>)) {
        for venue in VENUES {
            let site = &self.sites[venue.idx()];
            rig.desk.accounts[venue.idx()].is_up = !site.is_down;
            rig.desk.t_up[venue.idx()] = site.t_up;
        }
        let mut scene = Scene {
            board: &rig.board,
            limits: &rig.limits,
            desk: &mut rig.desk,
            ours: VENUES.map(|venue| Some(Size(self.sites[venue.idx()].told))),
            now: self.now,
        };
        deed(&mut self.pair, &mut scene);
    }

    /// The machine acts; its orders reach the venues; every promise is held against the truth.
    fn deed(
        &mut self,
        rig: &mut Rig,
        deed: impl FnOnce(&mut Pair, &mut Scene<'_>),
    ) -> Result<(), String> {
        self.with_scene(rig, deed);
        rig.desk.tell();
        while let Some(event) = rig.journal.pop() {
            self.alarm |= matches!(event, Event::Halt { .. });
        }
        for venue in VENUES {
            while let Some(order) = rig.orders[venue.idx()].pop() {
                match order.action {
                    Action::Place => self.receive(&order)?,
                    Action::Query => self.sites[venue.idx()].asked = true,
                    Action::Cancel => {}
                }
            }
        }
        self.check()
    }

    /// An order comes in. It must have a reason, one leg one order, and may not turn a position.
    fn receive(&mut self, order: &Order) -> Result<(), String> {
        let leg = &self.pair.legs[order.venue.idx()];
        let role = leg.order.filter(|known| known.id == order.id);
        let Some(role) = role.map(|known| known.role) else {
            return Err(format!("{order:?} is not its leg's order"));
        };
        let has_reason = match role {
            Role::Entry => self.pair.state == State::Entering,
            Role::Hedge => self.pair.state == State::Legged && order.size <= self.pair.excess().1,
            Role::Exit => self.pair.state == State::Leaving,
            Role::Close => matches!(self.pair.state, State::Leaving | State::Unwinding),
            Role::TopUp => {
                let is_alone = self.pair.legs[order.venue.other().idx()].held.0 == 0;
                is_alone && self.pair.excess().1.0 > 0
            }
        };
        if !has_reason || order.size.0 <= 0 {
            return Err(format!("no reason for {role:?} in {:?}", self.pair.state));
        }
        if order.reduce_only == role.opens() || (order.reduce_only && order.size > leg.held) {
            return Err(format!("a close of {:?} of {:?}", order.size, leg.held));
        }
        let site = &mut self.sites[order.venue.idx()];
        if site.live.is_some_and(|live| !live.over) && !self.is_deceived {
            return Err("two orders in flight on one leg".to_owned());
        }
        site.asked = false;
        site.live = Some(Live {
            id: order.id,
            side: order.side,
            size: order.size.0,
            filled: 0,
            told: 0,
            reduce: order.reduce_only,
            acked: false,
            dead: false,
            over: false,
            age: 0,
        });
        Ok(())
    }

    /// The promises that hold at every step, by the venues' own positions.
    fn check(&self) -> Result<(), String> {
        let [long, short] = self.sites.each_ref().map(|site| site.position);
        let state = self.pair.state;
        if state == State::Stuck && !self.alarm {
            return Err("stuck without an alarm".to_owned());
        }
        if self.is_deceived {
            return Ok(());
        }
        if long < 0 || short > 0 {
            return Err(format!("a position was turned: {long} {short}"));
        }
        // What a venue takes away comes on top of what was in flight: nobody can call that back.
        let cap = self.pair.size.0 * if self.is_forced { 2 } else { 1 };
        if (long + short).abs() > cap && self.pair.number > 0 && state != State::Flat {
            return Err(format!("exposure {} over {cap}", long + short));
        }
        // A trade whose position was told has been settled by that; told after all, it is nobody's.
        let is_busy = |site: &Site| {
            let is_untold = site.untold.iter().any(Option::is_some);
            let is_live = site.live.is_some_and(|live| !live.over);
            is_live || (is_untold && site.told != site.position)
        };
        if state == State::Flat && self.sites.iter().any(is_busy) {
            return Err(format!(
                "freed while something may still come: {:?}",
                self.sites
            ));
        }
        Ok(())
    }

    /// Nothing more is to be done by the machine: and is it where it must end?
    pub fn is_settled(&self, units_min: i64) -> Result<bool, String> {
        let [long, short] = self.sites.each_ref().map(|site| site.position);
        let dust = |units: i64| units.abs() < units_min.max(1) * UNIT;
        if self.is_deceived {
            return Ok(self.alarm || !self.pair.is_moving());
        }
        match self.pair.state {
            State::Stuck => Ok(self.alarm),
            State::Flat => match dust(long) && dust(short) {
                true => Ok(true),
                false => Err(format!("left behind: {long} {short}")),
            },
            State::Hedged if self.pair.is_waiting() || self.pair.may_fill_late() => Ok(false),
            State::Hedged => match dust(long + short) {
                true => Ok(true),
                false => Err(format!("hedged, it says: {long} {short}")),
            },
            State::Entering | State::Legged | State::Leaving | State::Unwinding => Ok(false),
        }
    }

    /// Both legs stand even and nothing is under way: hedged, whatever the machine still wants.
    pub fn is_even(&self) -> bool {
        let [long, short] = self.sites.each_ref().map(|site| site.position);
        long + short == 0 && !self.pair.is_waiting() && !self.pair.may_fill_late()
    }

    /// What the venue does first under a policy of the ending, for an order that waits.
    pub fn waiting(&self, venue: Venue) -> Option<(bool, bool)> {
        let live = self.sites[venue.idx()].live.filter(|live| !live.over)?;
        Some((live.dead, live.filled == 0))
    }

    pub fn is_down(&self, venue: Venue) -> bool {
        self.sites[venue.idx()].is_down
    }

    /// What decides what the world does next, times as seen from now.
    pub fn key(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        let into = &mut hasher;
        // Times count in longs: below that, happenings are a tenth of a second apart, and what
        // differs by some of those behaves alike.
        let longs = |ns: u64| (ns + 1_500 * MS) / (3_100 * MS);
        let ago = |t: Nanos| longs(self.now.since(t));
        let ahead = |t: Nanos| longs(t.since(self.now));
        let pair = &self.pair;
        (pair.state, pair.cause as u8, pair.size, pair.matched).hash(into);
        (
            pair.hedge_tries,
            pair.close_tries,
            pair.is_topped_up,
            pair.unsent,
            ahead(pair.t_retry),
        )
            .hash(into);
        (
            pair.t_uneven.map(ago),
            pair.told_alone,
            self.alarm,
            self.budget,
        )
            .hash(into);
        (self.is_deceived, self.is_forced, pair.number).hash(into);
        for venue in VENUES {
            let (leg, site) = (&pair.legs[venue.idx()], &self.sites[venue.idx()]);
            (
                leg.held,
                leg.late_open,
                leg.late_close,
                leg.exit_promise.0 > 0,
            )
                .hash(into);
            leg.may_fill_late().then(|| ago(leg.t_late)).hash(into);
            let own = |id: OrderId| leg.order.is_some_and(|order| order.id == id);
            if let Some(order) = &leg.order {
                (
                    order.role as u8,
                    order.size,
                    order.filled,
                    order.state as u8,
                )
                    .hash(into);
                (order.said, order.never_left, order.has_left, order.planned).hash(into);
                (ago(order.t_push), order.said.map(|_| ago(order.t_said))).hash(into);
                (order.unsure_since.map(ago), ahead(order.t_query)).hash(into);
            }
            (
                site.position,
                site.told,
                site.is_down,
                site.downs,
                site.asked,
            )
                .hash(into);
            ahead(site.t_up.plus(3 * SECOND)).hash(into);
            if let Some(live) = &site.live {
                (
                    own(live.id),
                    live.side as u8,
                    live.size,
                    live.filled,
                    live.told,
                )
                    .hash(into);
                (live.acked, live.dead, live.over, live.age, live.reduce).hash(into);
            }
            for untold in site.untold.iter().flatten() {
                (own(untold.id), untold.side as u8, untold.size).hash(into);
            }
            if let Some((id, kind)) = &site.last {
                (own(*id), std::mem::discriminant(kind)).hash(into);
                if let ReportKind::State { state, filled } = kind {
                    (*state as u8, *filled).hash(into);
                }
            }
        }
        hasher.finish()
    }
}
