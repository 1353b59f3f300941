//! A storm in virtual time: the whole scanner against two venues that execute, refuse, forget, lie
//! and take away by seed, their streams broken and their front doors shut for a while.
//!
//! Promises: equal seeds give equal runs; what a venue holds is true, and in the end all is told.
//! Refuses: sockets, signatures and nonces; that storm is `tests/storm.rs`.

use crate::limits;
use crate::scripted::*;
use parallax::market::book::Side;
use parallax::market::event::{Control, Event, PairEnd};
use parallax::market::order::{Action, Force, Order, OrderId, OrderState, ReportKind};
use parallax::market::units::{MS, Nanos, Notional, SECOND, Size};
use parallax::market::{VENUES, Venue};
use parallax::sim::random::Random;

/// How long faults come, and how long the venues then have to tell all.
const STORM_NS: u64 = 240 * SECOND;
const CALM_NS: u64 = 400 * SECOND;
/// Seeds of a test run; each takes a fraction of a second.
const SEEDS: u64 = 12;
/// An edge, or the way back from it, comes so often.
const MOVES_EVERY_NS: u64 = 1_500 * MS;

/// A word of a venue, and whether it comes from the stream of the account.
#[derive(Clone, Copy, Debug)]
struct Word {
    order: OrderId,
    kind: ReportKind,
    is_streamed: bool,
}

/// What is due at a venue.
#[derive(Clone, Copy, Debug)]
enum Due {
    Match(Order, Fate),
    Tell(Word),
    Ask(Order),
}

/// How an order that the venue took is told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Plain,
    Part,
    Late,
    Lie,
    Twice,
}

/// An order as its venue knows it: what has filled, and whether it is over.
struct Known {
    id: OrderId,
    size: Size,
    filled: Size,
    is_over: bool,
}

struct Site {
    position: Size,
    due: Vec<(Nanos, Due)>,
    known: Vec<Known>,
    /// Until when its stream says nothing, and from when on the gateway knows.
    dead_until: Nanos,
    noticed: Option<Nanos>,
    is_dead: bool,
    /// Trades that were not told for that.
    missed: Vec<Word>,
    /// Until when its front door is shut.
    shut_until: Nanos,
    /// When the last word on orders, and the last on all else, is told: none overtakes another.
    told_at: [Nanos; 2],
}

struct Weather {
    rig: Rig,
    random: Random,
    sites: [Site; 2],
    trades: u64,
    log: Vec<String>,
}

impl Weather {
    fn new(seed: u64) -> Weather {
        let site = |_| Site {
            position: Size::ZERO,
            due: Vec::new(),
            known: Vec::new(),
            dead_until: Nanos::ZERO,
            noticed: None,
            is_dead: false,
            missed: Vec::new(),
            shut_until: Nanos::ZERO,
            told_at: [Nanos::ZERO; 2],
        };
        let mut rig = Rig::ready(limits());
        rig.positions_follow = false;
        Weather {
            rig,
            random: Random::new(seed, "weather"),
            sites: VENUES.map(site),
            trades: 0,
            log: Vec::new(),
        }
    }

    fn note(&mut self, venue: Venue, what: String) {
        let ms = self.rig.now.0 / MS % 1_000_000;
        self.log.push(format!("{ms:>7} {:<8} {what}", venue.name()));
    }

    /// True once in so many times.
    fn once_in(&mut self, many: u64) -> bool {
        self.random.between(1, many) == 1
    }

    fn after(&mut self, venue: Venue, ns: u64, due: Due) {
        let at = self.rig.now.plus(ns);
        self.sites[venue.idx()].due.push((at, due));
    }

    /// From the stream of the account, or as the answer to a request.
    fn say(
        &mut self,
        venue: Venue,
        ns: u64,
        is_streamed: bool,
        (order, kind): (OrderId, ReportKind),
    ) {
        let word = Word {
            order,
            kind,
            is_streamed,
        };
        let mut at = self.rig.now.plus(ns);
        let site = &mut self.sites[venue.idx()];
        if is_streamed {
            let is_of_orders = matches!(kind, ReportKind::State { .. });
            let last = &mut site.told_at[usize::from(is_of_orders)];
            at = at.max(*last);
            *last = at;
        }
        site.due.push((at, Due::Tell(word)));
    }

    /// An order comes to the venue's door.
    fn receive(&mut self, order: Order) {
        let venue = order.venue;
        let is_shut = self.rig.now < self.sites[venue.idx()].shut_until;
        let state = |state| {
            (
                order.id,
                ReportKind::State {
                    state,
                    filled: Size::ZERO,
                },
            )
        };
        let unknown = state(OrderState::Unknown);
        let draw = if is_shut {
            70 + self.random.between(0, 9)
        } else {
            self.random.between(0, 99)
        };
        self.note(venue, format!("{order:?} draws {draw}"));
        if draw < 10 && !is_shut {
            let what = match draw < 6 {
                true => ReportKind::Rejected { code: 1 },
                // Taken, and nothing is ever heard of it.
                false => ReportKind::Acknowledged,
            };
            return self.say(venue, 2 * MS, false, (order.id, what));
        }
        // A page in place of the answer; behind the last ones the order went through.
        if (70..80).contains(&draw) {
            self.say(venue, 2 * MS, false, unknown);
            if draw < 75 {
                return;
            }
        }
        let fate = match draw {
            10..20 => Fate::Part,
            20..26 => Fate::Late,
            26..32 => Fate::Lie,
            32..36 => Fate::Twice,
            _ => Fate::Plain,
        };
        self.sites[venue.idx()].known.push(Known {
            id: order.id,
            size: order.size,
            filled: Size::ZERO,
            is_over: false,
        });
        let delay_ns = if venue == Lighter { 300 * MS } else { 5 * MS };
        self.after(venue, delay_ns, Due::Match(order, fate));
    }

    /// It comes to match: what it finds trades at its limit.
    fn fill(&mut self, order: &Order, fate: Fate) {
        let venue = order.venue;
        let lot = lot(venue);
        let site = &mut self.sites[venue.idx()];
        let held = site.position;
        let most = match (order.reduce_only, order.side) {
            (false, _) => order.size,
            (true, Side::Ask) => order.size.min(held.max(Size::ZERO)),
            (true, Side::Bid) => order.size.min((-held).max(Size::ZERO)),
        };
        let share = self.random.between(200, 800) as i64;
        let size = match fate {
            Fate::Part => Size(most.0 / 1_000 * share).floor_to(lot),
            _ => most,
        };
        let signed = if order.side == Side::Bid { size } else { -size };
        site.position += signed;
        let known = site.known.iter_mut().find(|known| known.id == order.id);
        let known = known.expect("it was taken");
        (known.filled, known.is_over) = (size, true);
        let (position, state) = (site.position, known_state(known));
        self.note(
            venue,
            format!("fills {size} of {} as {fate:?}: {position}", order.id.0),
        );
        let late_ns = self.random.between(1_000, 4_000) * MS;
        let (first_ns, told_ns) = match fate {
            Fate::Late => (late_ns * self.random.between(0, 2) / 2, late_ns),
            Fate::Lie => (0, late_ns),
            _ => (0, 0),
        };
        if size.0 > 0 {
            self.trades += 1;
            let fill = ReportKind::Fill {
                trade: self.trades,
                side: order.side,
                price: order.price,
                size,
                fee: Notional::ZERO,
            };
            for _ in 0..if fate == Fate::Twice { 2 } else { 1 } {
                self.say(venue, told_ns, true, (order.id, fill));
            }
            let position = ReportKind::Position { size: position };
            self.say(venue, told_ns, true, (OrderId::NONE, position));
        }
        if fate == Fate::Lie {
            let (state, filled) = (OrderState::Cancelled, Size::ZERO);
            self.say(
                venue,
                0,
                true,
                (order.id, ReportKind::State { state, filled }),
            );
        }
        let filled = size;
        let over = ReportKind::State { state, filled };
        let over_ns = if fate == Fate::Lie { told_ns } else { first_ns };
        self.say(venue, over_ns, true, (order.id, over));
    }

    /// A question comes in: the venue's books are true.
    fn answer(&mut self, order: &Order) {
        let venue = order.venue;
        let site = &self.sites[venue.idx()];
        let known = site.known.iter().find(|known| known.id == order.id);
        let (state, filled) = match known {
            _ if self.rig.now < site.shut_until => (OrderState::Unknown, Size::ZERO),
            Some(known) if known.is_over => (known_state(known), known.filled),
            Some(_) => (OrderState::Working, Size::ZERO),
            None => (OrderState::Cancelled, Size::ZERO),
        };
        self.say(
            venue,
            20 * MS,
            false,
            (order.id, ReportKind::State { state, filled }),
        );
    }

    /// The venue takes a position away, in whole or in part.
    fn force(&mut self, venue: Venue) {
        let share = match self.once_in(2) {
            true => 1_000,
            false => self.random.between(200, 800) as i64,
        };
        let lot = lot(venue);
        let site = &mut self.sites[venue.idx()];
        let held = site.position;
        let of = Size(held.0.abs() / 1_000 * share).floor_to(lot).max(lot);
        let of = of.min(Size(held.0.abs()));
        if of.0 == 0 {
            return;
        }
        site.position -= Size(of.0 * held.0.signum());
        let left = site.position;
        self.trades += 1;
        let kind = ReportKind::Forced {
            trade: self.trades,
            side: if held.0 > 0 { Side::Ask } else { Side::Bid },
            price: price("1000.0"),
            size: of,
            fee: Notional::ZERO,
            why: Force::Liquidation,
        };
        self.note(venue, format!("takes {of}: {left}"));
        self.say(venue, 0, true, (OrderId::NONE, kind));
        let position = ReportKind::Position { size: left };
        self.say(venue, 0, true, (OrderId::NONE, position));
    }

    /// Faults that strike no order.
    fn brew(&mut self, venue: Venue) {
        // Asked each 10 ms.
        if self.once_in(9_000) {
            self.force(venue);
        }
        if self.once_in(4_000) {
            let now = self.rig.now;
            let dead_ns = self.random.between(2_000, 9_000) * MS;
            let silent_ns = self.random.between(0, 1) * 5 * SECOND;
            let site = &mut self.sites[venue.idx()];
            if !site.is_dead {
                site.is_dead = true;
                site.noticed = Some(now.plus(silent_ns));
                site.dead_until = now.plus(silent_ns + dead_ns);
                self.note(venue, "stream breaks".to_owned());
                // Some break together with a trade.
                if self.once_in(2) {
                    self.force(venue);
                }
            }
        }
        if self.once_in(5_000) {
            let shut_ns = [2_500, 10_000, 60_000][self.random.between(0, 2) as usize] * MS;
            let until = self.rig.now.plus(shut_ns);
            let site = &mut self.sites[venue.idx()];
            site.shut_until = site.shut_until.max(until);
            self.note(venue, format!("shut for {shut_ns}"));
        }
    }

    /// Lets a venue do and say what is due.
    fn step(&mut self, venue: Venue) {
        let now = self.rig.now;
        let site = &mut self.sites[venue.idx()];
        if site.noticed.is_some_and(|at| now >= at) {
            site.noticed = None;
            self.rig.tell(venue, OrderId::NONE, ReportKind::Down);
        }
        let site = &mut self.sites[venue.idx()];
        if site.is_dead && now >= site.dead_until {
            site.is_dead = false;
            let size = site.position;
            let wait_ns = site.shut_until.since(now) + 50 * MS;
            let missed = std::mem::take(&mut site.missed);
            self.note(venue, format!("stream is back: {size}"));
            self.rig
                .tell(venue, OrderId::NONE, ReportKind::Position { size });
            self.rig.tell(venue, OrderId::NONE, ReportKind::Up);
            for word in missed {
                self.say(venue, wait_ns, false, (word.order, word.kind));
            }
        }
        let site = &mut self.sites[venue.idx()];
        let mut due = Vec::new();
        site.due.retain(|one| {
            let is_due = one.0 <= now;
            if is_due {
                due.push(*one);
            }
            !is_due
        });
        due.sort_by_key(|(at, _)| *at);
        for (_, due) in due {
            match due {
                Due::Match(order, fate) => self.fill(&order, fate),
                Due::Ask(order) => self.answer(&order),
                Due::Tell(word) => self.tell(venue, word),
            }
        }
    }

    fn tell(&mut self, venue: Venue, word: Word) {
        let site = &mut self.sites[venue.idx()];
        let is_trade = matches!(
            word.kind,
            ReportKind::Fill { .. } | ReportKind::Forced { .. }
        );
        if word.is_streamed && site.is_dead {
            // It will be read from a list, which has each trade once.
            if is_trade && site.missed.iter().all(|known| known.kind != word.kind) {
                site.missed.push(word);
            }
            return;
        }
        self.note(venue, format!("tells {} {:?}", word.order.0, word.kind));
        self.rig.tell(venue, word.order, word.kind);
    }

    /// One beat of everything.
    fn beat(&mut self) {
        let told = self.rig.events.len();
        self.rig.pass(10);
        for at in told..self.rig.events.len() {
            let event = self.rig.events[at];
            if matches!(event, Event::Halt { .. } | Event::Apart(_) | Event::Pair(_)) {
                self.log.push(format!("{event:?}"));
            }
        }
        for action in [Action::Place, Action::Query, Action::Cancel] {
            for order in self.rig.asked(action) {
                match action {
                    Action::Place => self.receive(order),
                    Action::Query => self.after(order.venue, MS, Due::Ask(order)),
                    Action::Cancel => {}
                }
            }
        }
        for venue in VENUES {
            self.step(venue);
        }
    }

    fn run(&mut self) -> Result<usize, String> {
        let storm_until = self.rig.now.plus(STORM_NS);
        let mut moves_at = self.rig.now;
        while self.rig.now < storm_until {
            if self.rig.now >= moves_at {
                moves_at = moves_at.plus(MOVES_EVERY_NS);
                match self.random.between(0, 3) {
                    0 => self.rig.converge(),
                    1 => self.rig.calm(),
                    2 => self.rig.edge(),
                    _ => self.rig.book(Lighter, "998.4", "998.6"),
                }
            }
            for venue in VENUES {
                self.brew(venue);
            }
            self.beat();
        }
        self.rig.calm();
        self.rig.command(Control::Drain);
        let calm_until = self.rig.now.plus(CALM_NS);
        while self.rig.now < calm_until && !self.rig.last_status.drained {
            self.beat();
        }
        let positions = self.sites.each_ref().map(|site| site.position);
        let halts = self.rig.halted();
        let stuck = self
            .rig
            .summaries()
            .iter()
            .any(|pair| pair.end == PairEnd::Stuck);
        let is_well = positions == [Size::ZERO; 2] && halts.is_empty() && !stuck;
        match is_well && self.rig.last_status.drained {
            true => Ok(self.rig.summaries().len()),
            false => Err(format!("{positions:?} {halts:?} stuck {stuck}")),
        }
    }
}

fn known_state(known: &Known) -> OrderState {
    match known.filled == known.size {
        true => OrderState::Filled,
        false => OrderState::Cancelled,
    }
}

/// A venue's smallest step of size, as the rig's market has it.
fn lot(venue: Venue) -> Size {
    match venue {
        Extended => size("0.001"),
        Lighter => size("0.0005"),
    }
}

fn number(name: &str, default: u64) -> u64 {
    let given = std::env::var(name).ok();
    given.map_or(default, |text| text.parse().expect("a whole number"))
}

/// `PARALLAX_WEATHERS` says how many seeds, `PARALLAX_WEATHER_FIRST` which is the first.
#[test]
fn row_17_row_20_row_35_whatever_the_weather_both_venues_end_flat_and_nobody_is_called() {
    let first = number("PARALLAX_WEATHER_FIRST", 1);
    let (mut pairs, mut bad) = (0, Vec::new());
    for seed in first..first + number("PARALLAX_WEATHERS", SEEDS) {
        let mut weather = Weather::new(seed);
        match weather.run() {
            Ok(count) => pairs += count,
            Err(why) => bad.push((format!("seed {seed}: {why}"), weather.log)),
        }
    }
    println!("{pairs} pairs");
    let which: Vec<&String> = bad.iter().map(|(why, _)| why).collect();
    if let Some((_, log)) = bad.first() {
        panic!("{which:#?}, the first:\n{}", log.join("\n"));
    }
    assert!(pairs > 3 * SEEDS as usize || first > 1, "{pairs} pairs");
}
