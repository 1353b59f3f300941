//! Faults of orders: which order, position or moment a fault that is due takes hold of, and the
//! windows of time that some of them open.
//!
//! A fault waits for its opportunity and takes the first it can bear: an order at the door, a
//! request on the order channel, a position. Promises: each is taken once and counted when it
//! happens; one that could not happen after all, as a partial fill where nothing was there to
//! fill, waits again. Refuses to know a venue's codes: the venues' own rooms word the answers.

use crate::market::units::{MS, Nanos, SECOND, Size};
use crate::market::{InstrumentId, Venue};
use crate::sim::exchange::TradeKind;
use crate::sim::exchange::{Exchange, Fate, Happening, LighterTier, NewOrder, Reject, TimeInForce};
use crate::sim::faults::kind::Kind;
use crate::sim::faults::{Faults, State, Strike};
use std::collections::BTreeMap;

/// A page of a front door is shown this long. Longer leaves a short run no time to trade.
const PAGE_NS: u64 = 2_500 * MS;
/// Maintenance takes this long: planned ones of minutes would be the whole run.
const MAINTENANCE_NS: u64 = 4 * SECOND;
/// The account's channels are refused this long.
const DOWN_NS: u64 = 3 * SECOND;
/// Statuses of a front door that can't reach what is behind it. The last one reached it.
const STATUSES_5XX: [u16; 4] = [500, 502, 503, TAKEN];
/// Gateway time-out: the request went through, the answer did not.
const TAKEN: u16 = 504;
/// Least and most of a position or of a fill that is left or taken, 10^-3.
const SHARE_E3: (u64, u64) = (200, 800);
/// Bytes of an answer that leave before its connection ends, at most: less than its head.
const BYTES_MAX: u64 = 40;

/// A fault that is due and waits for its opportunity.
#[derive(Clone, Copy, Debug)]
pub(super) struct Waiting {
    item: usize,
    strike: Strike,
}

/// What changes while the venue runs.
#[derive(Debug, Default)]
pub(super) struct Orders {
    waiting: Vec<Waiting>,
    /// Orders that will show whether their fault happened, by the exchange's number.
    fated: BTreeMap<u64, Waiting>,
    page: Option<Page>,
    maintenance_until: Nanos,
    down_until: Nanos,
    tier: Option<LighterTier>,
}

/// A page that is shown for a while.
#[derive(Clone, Copy, Debug)]
struct Page {
    status: u16,
    retry_after_s: Option<u32>,
    until: Nanos,
}

impl Orders {
    /// Nothing begins any more.
    pub(super) fn forget(&mut self) {
        self.waiting.clear();
    }

    /// It is due. One item never has two waiting.
    pub(super) fn wait(&mut self, item: usize, strike: Strike) {
        if self.waiting.iter().all(|waiting| waiting.item != item) {
            self.waiting.push(Waiting { item, strike });
        }
    }
}

/// What became of a legal order at the door.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    /// The exchange took it and gave it this number.
    Taken(u64),
    /// It was struck, and the exchange did not see it; the venue words what it says.
    Struck(Strike),
}

/// What becomes of a request on the order channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Detour {
    /// The venue sees it, and does what it asks.
    pub is_taken: bool,
    /// What its sender gets instead of the answer.
    pub ending: Ending,
}

/// What the sender of a request gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// A page with this status; on a socket, the end of the connection.
    Page(u16),
    /// So many bytes of the answer, and the end of the connection.
    Break(u64),
    /// Nothing, on a connection that stays and is dead.
    Hang,
    /// Nothing, on a connection that lives.
    Silence,
}

impl Faults {
    /// Takes the first fault that waits for this market and that the opportunity can bear. Where
    /// no market is known every item will do.
    pub(super) fn seize(
        &self,
        now: Nanos,
        market: Option<InstrumentId>,
        bears: impl Fn(Strike) -> bool,
    ) -> Option<Strike> {
        let waiting = self.seize_from(&mut self.state(), (now, market), bears)?;
        self.count(waiting.strike.kind);
        Some(waiting.strike)
    }

    /// The same without counting it.
    fn seize_from(
        &self,
        state: &mut State,
        (now, market): (Nanos, Option<InstrumentId>),
        bears: impl Fn(Strike) -> bool,
    ) -> Option<Waiting> {
        self.collect(state, now);
        let fits = |waiting: &Waiting| {
            let wanted = self.wanted[waiting.item];
            (wanted.is_none() || market.is_none() || wanted == market) && bears(waiting.strike)
        };
        let waiting = &mut state.orders.waiting;
        let idx = waiting.iter().position(fits)?;
        Some(waiting.remove(idx))
    }

    /// Hands a legal order to the exchange, unless it is struck.
    ///
    /// # Errors
    /// The exchange's own reason: such an order is no opportunity.
    pub fn place(
        &self,
        now: Nanos,
        exchange: &mut Exchange,
        order: NewOrder,
        out: &mut Vec<Happening>,
    ) -> Result<Door, Reject> {
        exchange.judge(now, &order, out)?;
        let lot = exchange.rules()[order.instrument.idx()].lot;
        let is_immediate = order.time_in_force == TimeInForce::ImmediateOrCancel;
        let bears = |strike: Strike| match strike.kind {
            Kind::Reject | Kind::Drop | Kind::Margin | Kind::Maintenance => true,
            Kind::Partial => is_immediate && order.size >= lot + lot,
            _ => false,
        };
        let key = (now, Some(order.instrument));
        let seized = self.seize_from(&mut self.state(), key, bears);
        let Some(waiting) = seized else {
            return exchange.place(now, order, out).map(Door::Taken);
        };
        let Strike { kind, draw } = waiting.strike;
        let fate = match kind {
            Kind::Partial => Some(Fate::Partial(share(draw))),
            Kind::Margin if draw & 1 == 1 => Some(Fate::Margin),
            // Extended remembers such an order as rejected, or not at all; on Lighter nothing but
            // the transaction's own result says what became of it.
            Kind::Drop if draw & 1 == 1 && self.venue == Venue::Extended => Some(Fate::Vanish),
            _ => None,
        };
        let Some(fate) = fate else {
            self.count(kind);
            if kind == Kind::Maintenance {
                self.state().orders.maintenance_until = now.plus(MAINTENANCE_NS);
            }
            return Ok(Door::Struck(waiting.strike));
        };
        let number = exchange.place(now, order, out)?;
        exchange.set_fate(number, fate);
        self.state().orders.fated.insert(number, waiting);
        Ok(Door::Taken(number))
    }

    /// Has what waits for positions, and for a flat account, happen; and hears of orders with a
    /// fate what came of it. Called whenever time passes.
    pub fn visit(&self, now: Nanos, exchange: &mut Exchange, out: &mut Vec<Happening>) {
        for (number, happened) in exchange.take_fated() {
            let mut state = self.state();
            match state.orders.fated.remove(&number) {
                Some(waiting) if happened => state.done[waiting.strike.kind as usize] += 1,
                Some(waiting) => state.orders.wait(waiting.item, waiting.strike),
                None => {}
            }
        }
        if !self.is_visit_due(now) {
            return;
        }
        for idx in 0..self.numbers.len() {
            let market = InstrumentId(idx as u16);
            if exchange.position(market).size == Size::ZERO {
                continue;
            }
            let bears = |strike: Strike| matches!(strike.kind, Kind::Liquidation | Kind::Adl);
            if let Some(Strike { kind, draw }) = self.seize(now, Some(market), bears) {
                let cause = match kind {
                    Kind::Adl => TradeKind::Deleverage,
                    _ => TradeKind::Liquidation,
                };
                // Every other time all of it.
                let share_e3 = if draw & 1 == 0 { 1_000 } else { share(draw) };
                exchange.close_out(now, (market, share_e3), cause, out);
            }
        }
        self.change_tier(now, exchange);
    }

    /// Whether something waits for a position, or for none.
    fn is_visit_due(&self, now: Nanos) -> bool {
        let mut state = self.state();
        self.collect(&mut state, now);
        let mut waiting = state.orders.waiting.iter();
        waiting.any(|one| matches!(one.strike.kind, Kind::Liquidation | Kind::Adl | Kind::Tier))
    }

    /// The venue changes a tier only while the account has no positions and no orders (errors
    /// 62001 to 62006 of its constants page).
    fn change_tier(&self, now: Nanos, exchange: &mut Exchange) {
        let is_flat = exchange.open_orders().is_empty()
            && (0..self.numbers.len())
                .all(|idx| exchange.position(InstrumentId(idx as u16)).size == Size::ZERO);
        if !is_flat {
            return;
        }
        let Some(Strike { draw, .. }) = self.seize(now, None, |one| one.kind == Kind::Tier) else {
            return;
        };
        let now_at = exchange.settings().tier;
        let others: Vec<LighterTier> = LighterTier::ALL
            .into_iter()
            .filter(|tier| *tier != now_at)
            .collect();
        let tier = others[(draw % others.len() as u64) as usize];
        exchange.set_tier(tier);
        self.state().orders.tier = Some(tier);
    }

    /// The tier the account has now, where it was changed.
    pub fn tier(&self) -> Option<LighterTier> {
        self.state().orders.tier
    }

    /// What becomes of a request that brings an order for this market, `None` where that can't be
    /// read; `None` when nothing happens to it.
    pub fn detour(&self, now: Nanos, market: Option<InstrumentId>) -> Option<Detour> {
        if let Some(status) = self.page(now) {
            let ending = Ending::Page(status);
            return Some(Detour {
                is_taken: false,
                ending,
            });
        }
        let bears = |strike: Strike| match strike.kind {
            Kind::OrdersDown | Kind::Page429 | Kind::Page405 | Kind::Page5xx => true,
            // The other half of these strikes elsewhere.
            Kind::HalfOpen => strike.draw & 1 == 1,
            Kind::Nonce => !is_used_up(strike),
            _ => false,
        };
        let Waiting { item, strike } = self.seize_from(&mut self.state(), (now, market), bears)?;
        let Strike { kind, draw } = strike;
        self.count(kind);
        let status = match kind {
            Kind::Page429 => Some(429),
            Kind::Page405 => Some(405),
            Kind::Page5xx => Some(STATUSES_5XX[(draw % STATUSES_5XX.len() as u64) as usize]),
            _ => None,
        };
        if let Some(status) = status {
            self.state().orders.page = Some(Page {
                status,
                retry_after_s: self.spec.items[item].retry_after_s,
                until: now.plus(PAGE_NS),
            });
        }
        let (is_taken, ending) = match (kind, status) {
            (_, Some(status)) => (status == TAKEN, Ending::Page(status)),
            (Kind::OrdersDown, _) => (draw & 1 == 1, Ending::Break((draw >> 1) % BYTES_MAX)),
            (Kind::Nonce, _) => (true, Ending::Silence),
            _ => (draw & 2 == 2, Ending::Hang),
        };
        Some(Detour { is_taken, ending })
    }

    /// Whether a transaction finds its nonce used by somebody else.
    pub fn uses_up_nonce(&self, now: Nanos, market: Option<InstrumentId>) -> bool {
        let bears = |strike: Strike| strike.kind == Kind::Nonce && is_used_up(strike);
        self.seize(now, market, bears).is_some()
    }

    /// The status of the page that orders and REST requests get at the moment.
    pub fn page(&self, now: Nanos) -> Option<u16> {
        let page = self.state().orders.page?;
        (now < page.until).then_some(page.status)
    }

    /// What the last page said of when another request is welcome, seconds.
    pub fn retry_after_s(&self) -> Option<u32> {
        self.state().orders.page?.retry_after_s
    }

    /// Whether the venue is in maintenance.
    pub fn is_in_maintenance(&self, now: Nanos) -> bool {
        now < self.state().orders.maintenance_until
    }

    /// The status with which a connection for orders or the account is refused at the moment.
    pub fn refused_private(&self, now: Nanos) -> Option<u16> {
        let is_down = now < self.state().orders.down_until;
        let page = self.page(now);
        page.or_else(|| is_down.then_some(503))
    }

    /// What happens to a connection with a frame of the account on its way to it.
    pub(super) fn strike_account(&self, now: Nanos) -> Option<Strike> {
        let bears = |strike: Strike| match strike.kind {
            Kind::AccountDown => true,
            Kind::HalfOpen => strike.draw & 1 == 0,
            _ => false,
        };
        let strike = self.seize(now, None, bears)?;
        if strike.kind == Kind::AccountDown {
            self.state().orders.down_until = now.plus(DOWN_NS);
        }
        Some(strike)
    }
}

/// Half of the strikes on a nonce lose the answer, the others the nonce.
fn is_used_up(strike: Strike) -> bool {
    strike.draw & 1 == 1
}

/// A share, by a draw, 10^-3.
fn share(draw: u64) -> u64 {
    let (low, high) = SHARE_E3;
    low + (draw >> 8) % (high - low)
}
