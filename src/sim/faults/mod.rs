//! Faults of the simulated venues, on request: what goes wrong between a venue and its client.
//!
//! `plan` says when, [`Faults`] at which market and connection, [`tap`] does it to what a
//! connection is told, and `extended` and `lighter` know how each venue's frames bear it; `orders`,
//! `news` and `request` are the same for orders, the account's news and requests. Promises: equal
//! seeds give equal plans; faults of market data strike only connections that carry nothing else; a
//! fault is counted when it really happened; a run without faults pays one branch a frame.
//! Refuses: to let the exchange itself be wrong. Whatever is told late or never, its positions,
//! money and queries are true.

pub mod extended;
pub mod fuse;
pub mod kind;
pub mod lighter;
pub mod news;
pub mod orders;
pub mod plan;
pub mod request;
pub mod spec;
pub mod tap;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_extended;
#[cfg(test)]
mod tests_lighter;
#[cfg(test)]
mod tests_orders;
#[cfg(test)]
mod tests_tap;

use crate::market::book::Side;
use crate::market::units::{Nanos, Price, SECOND, Size};
use crate::market::{InstrumentId, Venue};
use crate::sim::exchange::Rules;
use crate::sim::faults::kind::{Channel, KINDS, Kind};
use crate::sim::faults::plan::Plan;
use crate::sim::faults::spec::{Item, Spec, SpecError};
use crate::sim::server::Floor;
use crate::sim::server::rt::broadcast;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A frozen book stays so this long. Longer tests patience, shorter may pass for a quiet market.
const FROZEN_NS: u64 = 20 * SECOND;
/// Upgrades are refused this long.
const REFUSING_NS: u64 = 8 * SECOND;
/// A crossing bid stands this far above the best ask, 10^-4: farther than a market moves between
/// two snapshots, so that no honest change takes it back.
const CROSSED_BPS: i64 = 30;
/// A market that says nothing for this long, being silent or frozen, is given up for another.
const AIM_NS: u64 = 3 * SECOND;
/// Shutdown notices kept for a connection that is busy; one at a time is given.
const NOTICES_MAX: usize = 8;

/// Whom a connection's frames concern: a channel, of one market or of all.
pub type Watched = (Channel, Option<InstrumentId>);

/// A frame of public market data on its way to one connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Told {
    /// What about.
    pub channel: Channel,
    /// Of which market.
    pub market: InstrumentId,
    /// It came by a subscription to all markets.
    pub is_shared: bool,
    /// It tells the whole book.
    pub is_snapshot: bool,
}

/// A fault that takes hold of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Strike {
    /// What.
    pub kind: Kind,
    /// For whatever must be chosen.
    pub draw: u64,
}

/// What the venue's state means for one frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sight {
    /// Its market's book is frozen.
    pub is_frozen: bool,
    /// It is struck.
    pub strike: Option<Strike>,
}

/// A fault that is due and waits for its frame.
#[derive(Clone, Copy, Debug)]
struct Due {
    item: usize,
    strike: Strike,
    /// Chosen among what is listened to, and again when nobody listens to it any more or no frame
    /// of it comes.
    aim: Option<(InstrumentId, Channel)>,
    aimed_at: Nanos,
    aims: u64,
}

/// What changes while the venue runs.
struct State {
    plan: Plan,
    due: Vec<Due>,
    /// Public connections by number, and what they are told.
    lines: BTreeMap<u64, Vec<Watched>>,
    lines_opened: u64,
    frozen: Vec<(InstrumentId, Nanos)>,
    refusing: Option<(u16, Nanos)>,
    orders: orders::Orders,
    done: [u64; KINDS.len()],
}

/// One venue's faults.
pub struct Faults {
    venue: Venue,
    start: Nanos,
    spec: Spec,
    /// The market of each item that names one.
    wanted: Vec<Option<InstrumentId>>,
    /// The venue's own number of each market.
    numbers: Vec<u32>,
    state: Mutex<State>,
    notices: broadcast::Sender<()>,
}

impl Faults {
    /// The faults of `spec` at `venue`, planned from `seed`, for the markets of `rules`.
    ///
    /// # Errors
    /// [`SpecError`] when an item names a market that is not listed.
    pub fn new(
        spec: &Spec,
        seed: u64,
        (venue, start): (Venue, Nanos),
        rules: &[Rules],
    ) -> Result<Arc<Faults>, SpecError> {
        let wanted: Result<Vec<_>, SpecError> = spec.items.iter().map(|i| find(i, rules)).collect();
        Ok(Arc::new(Faults {
            venue,
            start,
            spec: spec.clone(),
            wanted: wanted?,
            numbers: rules.iter().map(|rules| rules.venue_market).collect(),
            state: Mutex::new(State {
                plan: Plan::new(spec, seed, venue),
                due: Vec::new(),
                lines: BTreeMap::new(),
                lines_opened: 0,
                frozen: Vec::new(),
                refusing: None,
                orders: orders::Orders::default(),
                done: [0; KINDS.len()],
            }),
            notices: broadcast::Sender::new(NOTICES_MAX),
        }))
    }

    /// What really happened so far: every kind asked for, also those that did not happen.
    pub fn done(&self) -> Vec<(Kind, u64)> {
        let done = self.state().done;
        let kinds = self.spec.kinds(self.venue);
        kinds.map(|kind| (kind, done[kind as usize])).collect()
    }

    /// The status with which upgrades are refused at the moment.
    pub fn refused(&self, now: Nanos) -> Option<u16> {
        let (status, until) = self.state().refusing?;
        (now < until).then_some(status)
    }

    /// The market of that number, as the venue counts them.
    pub fn market_of(&self, number: u32) -> Option<InstrumentId> {
        let idx = self.numbers.iter().position(|other| *other == number)?;
        Some(InstrumentId(idx as u16))
    }

    /// A new connection's number. It is struck only once it watches something.
    fn open(&self) -> u64 {
        let mut state = self.state();
        state.lines_opened += 1;
        state.lines_opened
    }

    /// The connection is told of this from now on.
    fn join(&self, line: u64, watched: Watched) {
        let mut state = self.state();
        let all = state.lines.entry(line).or_default();
        if !all.contains(&watched) {
            all.push(watched);
        }
    }

    /// No longer.
    fn leave(&self, line: u64, watched: Watched) {
        if let Some(all) = self.state().lines.get_mut(&line) {
            all.retain(|other| *other != watched);
        }
    }

    /// The connection is gone, or not to be struck.
    fn close(&self, line: u64) {
        self.state().lines.remove(&line);
    }

    /// Whether the connection carries public market data.
    fn watches(&self, line: u64) -> bool {
        let state = self.state();
        state.lines.get(&line).is_some_and(|all| !all.is_empty())
    }

    /// It happened.
    fn count(&self, kind: Kind) {
        self.state().done[kind as usize] += 1;
    }

    /// Looks at one frame; where `is_free`, a fault that is due may take hold of it. What concerns
    /// the whole venue happens here, the rest is the connection's.
    fn judge(&self, now: Nanos, told: Told, is_free: bool) -> Sight {
        let mut state = self.state();
        let strike = if is_free {
            self.take(&mut state, now, told)
        } else {
            None
        };
        if let Some(Strike { kind, draw }) = strike {
            match kind {
                Kind::Frozen => state
                    .frozen
                    .push((told.market, Nanos(now.0.saturating_add(FROZEN_NS)))),
                Kind::Shutdown => {
                    let _ = self.notices.send(());
                }
                _ => {}
            }
            if let Some(status) = kind.status(draw) {
                state.refusing = Some((status, Nanos(now.0.saturating_add(REFUSING_NS))));
            }
            // These two still have to be done: by the next frame, or with the book as it is.
            if !matches!(kind, Kind::Reorder | Kind::Crossed) {
                state.done[kind as usize] += 1;
            }
        }
        state.frozen.retain(|(_, until)| now < *until);
        let is_frozen = told.channel != Channel::Trades
            && state
                .frozen
                .iter()
                .any(|(market, _)| *market == told.market);
        Sight { is_frozen, strike }
    }

    /// The first fault that waits for such a frame.
    fn take(&self, state: &mut State, now: Nanos, told: Told) -> Option<Strike> {
        self.collect(state, now);
        let State { due, lines, .. } = state;
        for waiting in due.iter_mut() {
            let is_late = now.since(waiting.aimed_at) >= AIM_NS;
            if is_late || !waiting.aim.is_some_and(|aim| is_watched(lines, aim)) {
                waiting.aim = self.aim(lines, waiting);
                waiting.aimed_at = now;
                waiting.aims += 1;
            }
        }
        let wanted = Some((told.market, told.channel));
        let idx = due.iter().position(|waiting| waiting.aim == wanted)?;
        Some(due.remove(idx).strike)
    }

    /// Takes down what has become due. One item never has two waiting.
    fn collect(&self, state: &mut State, now: Nanos) {
        let State {
            plan, due, orders, ..
        } = state;
        let elapsed_ns = now.since(self.start);
        if self.spec.until_ns.is_some_and(|until| elapsed_ns >= until) {
            due.clear();
            return orders.forget();
        }
        plan.due(elapsed_ns, |item, moment| {
            let (kind, draw) = (self.spec.items[item].kind, moment.draw);
            let strike = Strike { kind, draw };
            if kind.is_of_orders() {
                return orders.wait(item, strike);
            }
            if due.iter().all(|waiting| waiting.item != item) {
                due.push(Due {
                    item,
                    strike,
                    aim: None,
                    aimed_at: now,
                    aims: 0,
                });
            }
        });
    }

    /// Picks by the seed: first among the markets with a listening client, then among the channels
    /// listened to.
    fn aim(
        &self,
        lines: &BTreeMap<u64, Vec<Watched>>,
        due: &Due,
    ) -> Option<(InstrumentId, Channel)> {
        let channels = due.strike.kind.channels(self.venue);
        let wanted = self.wanted[due.item];
        let all = (0..self.numbers.len()).map(|idx| InstrumentId(idx as u16));
        let markets: Vec<InstrumentId> = all
            .filter(|market| wanted.is_none_or(|wanted| wanted == *market))
            .filter(|market| {
                channels
                    .iter()
                    .any(|one| is_watched(lines, (*market, *one)))
            })
            .collect();
        let draw = due.strike.draw.wrapping_add(due.aims);
        let market = *pick(&markets, draw)?;
        let mut channels = channels.to_vec();
        channels.retain(|channel| is_watched(lines, (market, *channel)));
        let channel = *pick(&channels, (draw >> 32).wrapping_add(due.aims))?;
        Some((market, channel))
    }

    /// A panic in one connection must not end the faults of the others.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Some connection is told of this channel of this market.
fn is_watched(
    lines: &BTreeMap<u64, Vec<Watched>>,
    (market, channel): (InstrumentId, Channel),
) -> bool {
    let fits = |(other, of): &Watched| *other == channel && of.is_none_or(|of| of == market);
    lines.values().flatten().any(fits)
}

/// One of them, by a draw.
fn pick<T>(all: &[T], draw: u64) -> Option<&T> {
    let idx = draw.checked_rem(all.len() as u64)?;
    all.get(idx as usize)
}

/// The market an item names, if it names one.
fn find(item: &Item, rules: &[Rules]) -> Result<Option<InstrumentId>, SpecError> {
    let Some(base) = &item.market else {
        return Ok(None);
    };
    let mut all = rules.iter();
    let found = all.find(|rules| rules.base.eq_ignore_ascii_case(base));
    found
        .map(|rules| Some(rules.instrument))
        .ok_or_else(|| SpecError {
            item: item.text.clone(),
            why: format!(
                "{base} is not listed: write one of {}",
                rules
                    .iter()
                    .map(|rules| rules.base.as_str())
                    .collect::<Vec<_>>()
                    .join(", ")
            ),
        })
}

/// A bid beyond the best ask, on the market's grid, of the best ask's size. `None` while there is
/// no ask.
fn crossing_bid(floor: &Floor, market: InstrumentId) -> Option<(Price, Size)> {
    floor.look(|exchange| {
        let (ask, size) = exchange.flow().ladder(market, Side::Ask).next()?;
        let beyond = Price(ask.0 + ask.0 / 10_000 * CROSSED_BPS);
        let tick = exchange.rules()[market.idx()].tick;
        Some((beyond.ceil_to(tick), size))
    })
}
