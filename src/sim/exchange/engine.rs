//! The exchange's doors: orders in, happenings out, everything on the caller's clock.
//!
//! Promises: what happens depends on seed, options and calls, not on how often `advance` is called;
//! happenings are appended in the order of their own times. Every refusal is made at the door,
//! before an order gets a number. Refuses: signatures, nonces, spelling and rate limits, which are
//! the wire rooms' own.

use super::account::{self, Exposure, Position};
use super::fate::Fate;
use super::transfers::Transfers;
use super::{
    AccountView, Happening, NewOrder, OrderView, Payment, PositionView, Reject, Rules, Settings,
    Status, TimeInForce, Trade,
};
use crate::market::book::Side;
use crate::market::units::{Nanos, Notional, Price, Size};
use crate::market::{InstrumentId, Venue};
use crate::sim::flow::Flow;
use crate::sim::random::Random;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::sync::Arc;

/// Closed orders and own trades kept for queries; older ones are forgotten.
pub(super) const HISTORY_MAX: usize = 4_096;
/// Most open orders on one Extended market (`maxNumOrders`, market configuration).
const EXTENDED_ORDERS_MAX: usize = 200;
/// Most open orders of a Lighter account (assumed; the documented limit is per tier).
const LIGHTER_ORDERS_MAX: usize = 1_000;
/// How far a limit may lie beyond mark, 10^-2 (`limitPriceCap`, `limitPriceFloor`; the same is
/// assumed for Lighter's 21734).
const BAND_PERCENT: i128 = 5;
const DAY_MS: u64 = 86_400_000;

/// Something that comes due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Due {
    /// An accepted order reaches the book.
    Arrive(u64),
    /// A cancel takes effect.
    Cancel(u64),
    /// A resting order's time is over.
    Expire(u64),
    /// Positions are charged.
    Funding,
}

/// One simulated exchange.
#[derive(Debug)]
pub struct Exchange {
    pub(super) settings: Settings,
    pub(super) flow: Flow,
    pub(super) rules: Vec<Rules>,
    /// Orders that can still trade, by number.
    pub(super) live: HashMap<u64, OrderView>,
    pub(super) closed: VecDeque<Arc<OrderView>>,
    pub(super) trades: VecDeque<Arc<Trade>>,
    pub(super) payments: VecDeque<Arc<Payment>>,
    pub(super) payment_count: u64,
    pub(super) money: Transfers,
    pub(super) positions: Vec<Position>,
    pub(super) collateral: Notional,
    /// Resting orders per market, in order of arrival.
    pub(super) resting: Vec<Vec<u64>>,
    /// Soonest first; the count keeps things of one moment in the order they were asked.
    due: BinaryHeap<Reverse<(Nanos, u64, Due)>>,
    due_count: u64,
    pub(super) order_count: u64,
    pub(super) trade_count: u64,
    /// What is going to happen to orders on their way, and what came of it.
    pub(super) fates: HashMap<u64, Fate>,
    pub(super) fated: Vec<(u64, bool)>,
    /// Draws taker delays and nothing else.
    random: Random,
}

impl Exchange {
    /// Opens for business with the deposit of its settings.
    pub fn new(settings: Settings, flow: Flow) -> Exchange {
        let rules = flow.rules().to_vec();
        let charge = settings.funding.next(flow.start());
        let mut exchange = Exchange {
            live: HashMap::new(),
            closed: VecDeque::new(),
            trades: VecDeque::new(),
            payments: VecDeque::new(),
            payment_count: 0,
            money: Transfers::default(),
            positions: vec![Position::default(); rules.len()],
            collateral: settings.deposit,
            resting: vec![Vec::new(); rules.len()],
            due: BinaryHeap::new(),
            due_count: 0,
            order_count: 0,
            trade_count: 0,
            fates: HashMap::new(),
            fated: Vec::new(),
            random: Random::new(settings.seed, settings.venue.name()),
            settings,
            flow,
            rules,
        };
        exchange.schedule(charge, Due::Funding);
        exchange
    }

    /// What it was opened with, fees as set last.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The playback beneath it.
    pub fn flow(&self) -> &Flow {
        &self.flow
    }

    /// Grid and limits of every market, by instrument.
    pub fn rules(&self) -> &[Rules] {
        &self.rules
    }

    /// When `advance` is next due.
    pub fn next_due(&self) -> Nanos {
        let own = self.next_own_due();
        let flow = self.flow.next_due();
        own.map_or(flow, |own| own.min(flow))
    }

    /// Runs everything due up to `now` in order of its own time: tape frames, planted steps,
    /// arrivals, cancels, expiries, funding. Happenings are appended to `out` in order.
    pub fn advance(&mut self, now: Nanos, out: &mut Vec<Happening>) {
        loop {
            let own = self.next_own_due();
            // At equal times the book moves first: nobody sees a frame before it is shown.
            if own.is_none_or(|own| self.flow.next_due() <= own) {
                if !self.flow_step(now, out) {
                    return;
                }
                continue;
            }
            if own.is_none_or(|own| own > now) {
                return;
            }
            if let Some(Reverse((at, _, due))) = self.due.pop() {
                self.run(at, due, out);
            }
        }
    }

    /// Takes an order, or says why not. It reaches the book after its delay.
    pub fn place(
        &mut self,
        now: Nanos,
        order: NewOrder,
        out: &mut Vec<Happening>,
    ) -> Result<u64, Reject> {
        // The door judges by the state of this moment, so what is due comes first.
        self.advance(now, out);
        self.check(now, &order)?;
        self.order_count += 1;
        let number = self.order_count;
        let delay_ns = match order.time_in_force {
            // A post-only order cannot take, so it waits only as makers do.
            TimeInForce::PostOnly => self.settings.cancel_delay_ns,
            TimeInForce::ImmediateOrCancel | TimeInForce::GoodTillTime => self.random.between(
                self.settings.taker_delay_min_ns,
                self.settings.taker_delay_max_ns,
            ),
        };
        let view = OrderView {
            number,
            asked: order,
            status: Status::Pending,
            filled: Size::ZERO,
            filled_notional: Notional::ZERO,
            fee: Notional::ZERO,
            created: now,
            updated: now,
        };
        out.push(Happening::Order(Arc::new(view.clone())));
        self.live.insert(number, view);
        self.schedule(now.plus(delay_ns), Due::Arrive(number));
        Ok(number)
    }

    /// Asks for a cancel, which takes effect after its delay. An order still on its way is caught
    /// only if the cancel gets there first.
    pub fn cancel(
        &mut self,
        now: Nanos,
        number: u64,
        out: &mut Vec<Happening>,
    ) -> Result<(), Reject> {
        self.advance(now, out);
        if !self.live.contains_key(&number) {
            return Err(Reject::OrderNotFound);
        }
        let at = now.plus(self.settings.cancel_delay_ns);
        self.schedule(at, Due::Cancel(number));
        // Without a delay it has taken effect when the caller gets its answer.
        if self.settings.cancel_delay_ns == 0 {
            self.advance(now, out);
        }
        Ok(())
    }

    /// Asks for a cancel of every open order (of one market); tells how many there are.
    pub fn cancel_all(
        &mut self,
        now: Nanos,
        instrument: Option<InstrumentId>,
        out: &mut Vec<Happening>,
    ) -> usize {
        self.advance(now, out);
        let wanted = |o: &&OrderView| instrument.is_none_or(|i| i == o.asked.instrument);
        let numbers = self.live.values().filter(wanted).map(|order| order.number);
        let mut numbers: Vec<u64> = numbers.collect();
        // A map has no order; oldest first, so that equal seeds give equal happenings.
        numbers.sort_unstable();
        for &number in &numbers {
            let at = now.plus(self.settings.cancel_delay_ns);
            self.schedule(at, Due::Cancel(number));
        }
        self.advance(now, out);
        numbers.len()
    }

    /// An open or recently closed order.
    pub fn order(&self, number: u64) -> Option<Arc<OrderView>> {
        let live = self.live.get(&number).cloned().map(Arc::new);
        live.or_else(|| self.closed.iter().find(|o| o.number == number).cloned())
    }

    /// The open order with this client id, else the last closed one with it.
    pub fn order_by_client(&self, client_id: &str) -> Option<Arc<OrderView>> {
        let named = |order: &&OrderView| order.asked.client_id == client_id;
        let live = self.live.values().find(named).cloned().map(Arc::new);
        let closed = || self.closed.iter().find(|o| o.asked.client_id == client_id);
        live.or_else(|| closed().cloned())
    }

    /// Open orders (pending ones too), oldest first.
    pub fn open_orders(&self) -> Vec<Arc<OrderView>> {
        let mut orders: Vec<_> = self.live.values().cloned().map(Arc::new).collect();
        orders.sort_unstable_by_key(|order| order.number);
        orders
    }

    /// Closed orders, newest first; the last few thousand.
    pub fn closed_orders(&self) -> Vec<Arc<OrderView>> {
        self.closed.iter().cloned().collect()
    }

    /// Our trades, newest first; the last few thousand.
    pub fn trades(&self) -> Vec<Arc<Trade>> {
        self.trades.iter().cloned().collect()
    }

    /// Our position on a market.
    pub fn position(&self, instrument: InstrumentId) -> PositionView {
        let (mark, _) = self.flow.mark(instrument);
        self.positions[instrument.idx()].view(mark)
    }

    /// Our money.
    pub fn account(&self) -> AccountView {
        self.account_with(None)
    }

    /// The whole book shown, best first.
    pub fn book(&self, instrument: InstrumentId, side: Side) -> Vec<(Price, Size)> {
        self.flow.ladder(instrument, side).collect()
    }

    /// Mark and index.
    pub fn mark(&self, instrument: InstrumentId) -> (Price, Price) {
        self.flow.mark(instrument)
    }

    /// Fees from now on, 10^-6 of notional.
    pub fn set_fees(&mut self, taker_e6: u32, maker_e6: u32) {
        self.settings.taker_fee_e6 = taker_e6;
        self.settings.maker_fee_e6 = maker_e6;
    }

    /// Initial margin of a market from now on, 10^-4, and whether it is isolated.
    pub fn set_margin(&mut self, instrument: InstrumentId, (e4, is_isolated): (u32, bool)) {
        let rules = &mut self.rules[instrument.idx()];
        (rules.initial_margin_e4, rules.is_isolated) = (e4, is_isolated);
    }
}

/// Checks at the door, and the calendar.
impl Exchange {
    /// When the next arrival, cancel, expiry or charge is due.
    pub(super) fn next_own_due(&self) -> Option<Nanos> {
        self.due.peek().map(|Reverse((at, ..))| *at)
    }

    /// Puts something on the calendar.
    pub(super) fn schedule(&mut self, at: Nanos, due: Due) {
        self.due_count += 1;
        self.due.push(Reverse((at, self.due_count, due)));
    }

    /// One step of playback; numbers its public trades and lets resting orders meet its books.
    fn flow_step(&mut self, now: Nanos, out: &mut Vec<Happening>) -> bool {
        let from = out.len();
        let Some(at) = self.flow.step(now, out) else {
            return false;
        };
        // Resting orders meet a book only after the whole frame has been applied.
        let mut moved = Vec::new();
        for happening in &mut out[from..] {
            match happening {
                Happening::PublicTrade { number, .. } => {
                    self.trade_count += 1;
                    *number = self.trade_count;
                }
                Happening::Book { instrument, .. } => moved.push(*instrument),
                _ => {}
            }
        }
        for instrument in moved {
            self.meet_resting(at, instrument, out);
        }
        true
    }

    /// All checks of the door, cheapest first; the first that fails is the answer, as the venues
    /// give one reason only.
    pub(super) fn check(&self, now: Nanos, order: &NewOrder) -> Result<(), Reject> {
        let rules = self.rules.get(order.instrument.idx());
        let rules = rules.ok_or(Reject::UnknownMarket)?;
        if order.price.0 <= 0 || order.price.0 % rules.tick.0 != 0 {
            return Err(Reject::PriceGrid);
        }
        if order.size.0 <= 0 || order.size.0 % rules.lot.0 != 0 {
            return Err(Reject::SizeGrid);
        }
        // A reduce-only order may close what is left of a position, however small.
        if !order.reduce_only && order.size < rules.size_min {
            return Err(Reject::SizeMin);
        }
        if !order.reduce_only && order.price * order.size < rules.notional_min {
            return Err(Reject::NotionalMin);
        }
        self.check_band(order)?;
        self.check_expiry(now, order)?;
        self.check_reduce_only(order)?;
        self.check_open_orders(order)?;
        if order.reduce_only || self.carries(order) {
            Ok(())
        } else {
            Err(Reject::Margin)
        }
    }

    /// Buys may not be asked far above mark, nor sells far below it.
    fn check_band(&self, order: &NewOrder) -> Result<(), Reject> {
        let (mark, _) = self.flow.mark(order.instrument);
        let beyond = match order.side {
            Side::Bid => i128::from(order.price.0 - mark.0),
            Side::Ask => i128::from(mark.0 - order.price.0),
        };
        if beyond * 100 > i128::from(mark.0) * BAND_PERCENT {
            return Err(Reject::PriceBand);
        }
        Ok(())
    }

    /// Resting orders need an end; an IOC order may carry one.
    fn check_expiry(&self, now: Nanos, order: &NewOrder) -> Result<(), Reject> {
        let now_ms = now.0 / 1_000_000;
        let rests = order.time_in_force != TimeInForce::ImmediateOrCancel;
        if order.expiry_ms == 0 && !rests {
            return Ok(());
        }
        // Extended: up to 90 days (order documentation). Lighter: 5 minutes to 30 days, resting
        // orders only.
        let (soonest_ms, latest_ms) = match self.settings.venue {
            Venue::Extended => (1, 90 * DAY_MS),
            Venue::Lighter => (300_000, 30 * DAY_MS),
        };
        if (now_ms + soonest_ms..=now_ms + latest_ms).contains(&order.expiry_ms) {
            Ok(())
        } else {
            Err(Reject::Expiry)
        }
    }

    /// Refused when there is nothing it could reduce now; how much it may, is seen at the match.
    fn check_reduce_only(&self, order: &NewOrder) -> Result<(), Reject> {
        let held = self.positions[order.instrument.idx()].size;
        let change = account::signed(order.side, order.size);
        if order.reduce_only && (held.0 == 0 || (held.0 > 0) == (change.0 > 0)) {
            return Err(Reject::ReduceOnly);
        }
        Ok(())
    }

    /// The client id must be free and the book of our orders not full.
    fn check_open_orders(&self, order: &NewOrder) -> Result<(), Reject> {
        let client_id = &order.client_id;
        let live = self.live.values();
        // Lighter: unique among live orders (21728). Extended: an id is never taken twice; beyond
        // the orders remembered here it would be, which no run is long enough to see.
        let used = !client_id.is_empty()
            && (live.clone().any(|o| o.asked.client_id == *client_id)
                || self.settings.venue == Venue::Extended
                    && self.closed.iter().any(|o| o.asked.client_id == *client_id));
        if used {
            return Err(Reject::DuplicateClientId);
        }
        let full = match self.settings.venue {
            Venue::Extended => {
                let same = live.filter(|o| o.asked.instrument == order.instrument);
                same.count() >= EXTENDED_ORDERS_MAX
            }
            Venue::Lighter => live.count() >= LIGHTER_ORDERS_MAX,
        };
        if full {
            return Err(Reject::TooManyOrders);
        }
        Ok(())
    }

    /// Whether the account could carry this order beside all it has (Extended, *Order cost*; the
    /// same is assumed for Lighter's 21739). An order that needs no more margin than before, as
    /// closing orders do, is always carried.
    pub(super) fn carries(&self, order: &NewOrder) -> bool {
        let before = self.account_with(None);
        let after = self.account_with(Some(order));
        let (mark, _) = self.flow.mark(order.instrument);
        // Filled at its limit, the order would at once stand this far under water.
        let beyond = match order.side {
            Side::Bid => order.price - mark,
            Side::Ask => mark - order.price,
        };
        let loss = Price(beyond.0.max(0)) * order.size;
        let fee = account::fee(order.price * order.size, self.settings.taker_fee_e6);
        let grows = after.initial_margin > before.initial_margin;
        !grows || after.available - loss - fee >= Notional::ZERO
    }

    /// The account, with one more order than there is.
    pub(super) fn account_with(&self, extra: Option<&NewOrder>) -> AccountView {
        let mut exposures: Vec<Exposure> = Vec::with_capacity(self.rules.len());
        for (rules, &position) in self.rules.iter().zip(&self.positions) {
            let (mark, _) = self.flow.mark(rules.instrument);
            exposures.push(Exposure {
                position,
                mark,
                ..Exposure::default()
            });
        }
        // Orders on their way reserve margin as resting ones do. Reduce-only orders reserve none:
        // they can only free it.
        let live = self.live.values().map(|order| {
            let left = Size(order.asked.size.0 - order.filled.0);
            (&order.asked, left)
        });
        let extra = extra.into_iter().map(|order| (order, order.size));
        for (order, left) in live.chain(extra).filter(|(o, _)| !o.reduce_only) {
            let exposure = &mut exposures[order.instrument.idx()];
            match order.side {
                Side::Bid => exposure.buys += order.price * left,
                Side::Ask => exposure.sells += order.price * left,
            }
        }
        account::view(self.collateral, exposures.into_iter().zip(&self.rules))
    }

    /// Closes an order and remembers it.
    pub(super) fn close(
        &mut self,
        now: Nanos,
        number: u64,
        status: Status,
        out: &mut Vec<Happening>,
    ) {
        let Some(mut order) = self.live.remove(&number) else {
            return;
        };
        self.resting[order.asked.instrument.idx()].retain(|&n| n != number);
        if self.fates.remove(&number).is_some() {
            self.fated.push((number, false));
        }
        order.status = status;
        order.updated = now;
        let order = Arc::new(order);
        self.closed.push_front(order.clone());
        self.closed.truncate(HISTORY_MAX);
        out.push(Happening::Order(order));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::exchange::{LighterTier, rig};

    const MS: u64 = 1_000_000;

    fn refused(exchange: &mut Exchange, order: NewOrder) -> Reject {
        let mut out = Vec::new();
        let error = exchange.place(rig::START, order, &mut out).unwrap_err();
        assert!(out.iter().all(|h| !matches!(h, Happening::Order(_))));
        error
    }

    #[test]
    fn what_is_off_the_rules_is_refused() {
        let mut exchange = rig::exchange(Settings::lighter(LighterTier::Standard, 1));
        let good = rig::order(Side::Bid, "60010", "0.01");
        let mut check = |change: &dyn Fn(&mut NewOrder), want: Reject| {
            let mut order = good.clone();
            change(&mut order);
            assert_eq!(refused(&mut exchange, order), want);
        };
        check(&|o| o.instrument = InstrumentId(9), Reject::UnknownMarket);
        check(&|o| o.price.0 += 1, Reject::PriceGrid);
        check(&|o| o.price = Price::ZERO, Reject::PriceGrid);
        check(&|o| o.size.0 += 1, Reject::SizeGrid);
        check(&|o| o.size = Size::ZERO, Reject::SizeGrid);
        check(&|o| o.size = Size(190_000), Reject::SizeMin);
        // 5 % over a mark of 60,000 is 63,000.
        check(
            &|o| o.price = Price::parse(b"63000.1").unwrap(),
            Reject::PriceBand,
        );
        check(&|o| o.size = Size::parse(b"4").unwrap(), Reject::Margin);
        check(&|o| o.reduce_only = true, Reject::ReduceOnly);
        check(
            &|o| o.time_in_force = TimeInForce::GoodTillTime,
            Reject::Expiry,
        );
        check(
            &|o| {
                o.time_in_force = TimeInForce::PostOnly;
                o.expiry_ms = rig::START.0 / MS + 299_000;
            },
            Reject::Expiry,
        );
        check(
            &|o| {
                o.side = Side::Ask;
                o.price = Price::parse(b"56999.9").unwrap();
            },
            Reject::PriceBand,
        );
        let mut cheap = rig::order(Side::Bid, "40000", "0.00020");
        cheap.expiry_ms = rig::START.0 / MS + 600_000;
        assert_eq!(refused(&mut exchange, cheap), Reject::NotionalMin);
        let mut out = Vec::new();
        assert_eq!(
            exchange.cancel(rig::START, 77, &mut out),
            Err(Reject::OrderNotFound)
        );
        exchange.place(rig::START, good, &mut out).unwrap();
    }

    #[test]
    fn client_ids_are_unique_as_each_venue_has_it() {
        for settings in [
            Settings::lighter(LighterTier::Premium140, 1),
            Settings::extended(1),
        ] {
            let venue = settings.venue;
            let mut exchange = rig::exchange(settings);
            let mut order = rig::order(Side::Bid, "60010", "0.01");
            order.client_id = "42".into();
            let mut out = Vec::new();
            let number = exchange.place(rig::START, order.clone(), &mut out).unwrap();
            assert_eq!(
                refused(&mut exchange, order.clone()),
                Reject::DuplicateClientId
            );
            assert_eq!(exchange.order_by_client("42").unwrap().number, number);
            let later = rig::START.plus(500 * MS);
            exchange.advance(later, &mut out);
            assert_eq!(
                exchange.order_by_client("42").unwrap().status,
                Status::Filled
            );
            // Lighter lets an id be used again once its order is over; Extended does not.
            let again = exchange.place(later, order, &mut out);
            assert_eq!(again.is_ok(), venue == Venue::Lighter);
        }
    }

    #[test]
    fn too_many_orders_are_refused_by_market() {
        let mut exchange = rig::exchange(Settings::extended(1));
        let mut out = Vec::new();
        for n in 0..EXTENDED_ORDERS_MAX {
            let order = rig::resting(Side::Bid, "50000", "0.0001", &format!("{n}"));
            exchange.place(rig::START, order, &mut out).unwrap();
        }
        let order = rig::resting(Side::Bid, "50000", "0.0001", "one more");
        assert_eq!(refused(&mut exchange, order.clone()), Reject::TooManyOrders);
        let mut elsewhere = order;
        elsewhere.instrument = InstrumentId(1);
        elsewhere.price = Price::parse(b"2500").unwrap();
        elsewhere.size = Size::parse(b"0.01").unwrap();
        exchange.place(rig::START, elsewhere, &mut out).unwrap();
        let all = exchange.cancel_all(rig::START, Some(InstrumentId(0)), &mut out);
        assert_eq!(all, EXTENDED_ORDERS_MAX);
        exchange.advance(rig::START.plus(100 * MS), &mut out);
        assert_eq!(exchange.open_orders().len(), 1);
        assert_eq!(exchange.closed_orders().len(), EXTENDED_ORDERS_MAX);
    }

    #[test]
    fn delays_are_the_tiers() {
        for (settings, range) in [
            (Settings::extended(3), 4..=8),
            (Settings::lighter(LighterTier::Standard, 3), 350..=370),
            (Settings::lighter(LighterTier::Premium200, 3), 250..=270),
            (Settings::lighter(LighterTier::Premium140, 3), 190..=210),
        ] {
            let mut exchange = rig::exchange(settings);
            let mut out = Vec::new();
            for n in 0..20 {
                let now = rig::START.plus(n * 1_000 * MS);
                let order = rig::order(Side::Bid, "60010", "0.001");
                let number = exchange.place(now, order, &mut out).unwrap();
                exchange.advance(now.plus(900 * MS), &mut out);
                let order = exchange.order(number).unwrap();
                assert_eq!(order.created, now);
                assert!(range.contains(&(order.updated.since(now) / MS)));
            }
        }
    }

    #[test]
    fn tiers_are_spelled_as_on_the_command_line() {
        assert_eq!(LighterTier::parse("standard"), Some(LighterTier::Standard));
        assert_eq!(
            LighterTier::parse("premium-200"),
            Some(LighterTier::Premium200)
        );
        assert_eq!(
            LighterTier::parse("premium-140"),
            Some(LighterTier::Premium140)
        );
        assert_eq!(LighterTier::parse("gold"), None);
        let fees = |tier| {
            let settings = Settings::lighter(tier, 1);
            (settings.taker_fee_e6, settings.maker_fee_e6)
        };
        assert_eq!(fees(LighterTier::Standard), (0, 0));
        assert_eq!(fees(LighterTier::Premium200), (280, 40));
        assert_eq!(fees(LighterTier::Premium140), (196, 28));
        assert_eq!(Settings::extended(1).taker_fee_e6, 250);
    }

    #[test]
    fn fees_change_from_the_next_trade_on() {
        let mut exchange = rig::exchange(Settings::extended(1));
        let mut out = Vec::new();
        for (ms, rate) in [(0, 250), (1_000, 196)] {
            exchange.set_fees(rate, 0);
            let now = rig::START.plus(ms * MS);
            let order = rig::order(Side::Bid, "60010", "0.01");
            exchange.place(now, order, &mut out).unwrap();
            exchange.advance(now.plus(20 * MS), &mut out);
            assert_eq!(exchange.trades()[0].fee_rate_e6, rate);
        }
        assert_eq!(exchange.settings().taker_fee_e6, 196);
    }

    /// What must hold whatever was asked, after everything that happened.
    fn hold(exchange: &Exchange, seen: &mut HashMap<u64, OrderView>, out: &[Happening]) {
        for happening in out {
            let Happening::Order(order) = happening else {
                continue;
            };
            if let Some(before) = seen.insert(order.number, (**order).clone()) {
                let was_live = matches!(before.status, Status::Pending | Status::Open);
                assert!(was_live, "{before:?} then {order:?}");
                assert!(order.filled >= before.filled && order.updated >= before.updated);
            }
            assert!(order.filled <= order.asked.size);
            assert_eq!(
                order.status == Status::Filled,
                order.filled == order.asked.size
            );
        }
        let account = exchange.account();
        assert_eq!(account.available, account.equity - account.initial_margin);
        assert!(account.maintenance_margin <= account.initial_margin);
        let live = |o: &&OrderView| matches!(o.status, Status::Pending | Status::Open);
        assert_eq!(
            seen.values().filter(live).count(),
            exchange.open_orders().len()
        );
        let resting: usize = exchange.resting.iter().map(Vec::len).sum();
        let open = exchange.open_orders();
        assert_eq!(
            resting,
            open.iter().filter(|o| o.status == Status::Open).count()
        );
    }

    #[test]
    fn anything_asked_leaves_orders_and_account_in_step() {
        for (seed, settings) in [
            (1, Settings::extended(1)),
            (2, Settings::lighter(LighterTier::Standard, 2)),
            (3, Settings::lighter(LighterTier::Premium200, 3)),
        ] {
            let mut exchange = rig::live(settings);
            let mut random = Random::new(seed, "anything");
            let mut seen = HashMap::new();
            let mut now = rig::START;
            for n in 0..400 {
                let mut out = Vec::new();
                now = now.plus(random.between(0, 120) * MS);
                let instrument = InstrumentId(random.between(0, 1) as u16);
                let rules = exchange.rules()[instrument.idx()].clone();
                let mark = exchange.mark(instrument).0;
                let away = random.between(0, 20) as i64 - 10;
                let kinds = [
                    TimeInForce::ImmediateOrCancel,
                    TimeInForce::GoodTillTime,
                    TimeInForce::PostOnly,
                ];
                let kind = kinds[random.between(0, 2) as usize];
                let rests = kind != TimeInForce::ImmediateOrCancel;
                let order = NewOrder {
                    instrument,
                    side: [Side::Bid, Side::Ask][random.between(0, 1) as usize],
                    price: Price(mark.0 + mark.0 / 20_000 * away).floor_to(rules.tick),
                    size: Size(rules.size_min.0 * random.between(1, 400) as i64),
                    time_in_force: kind,
                    reduce_only: random.between(0, 4) == 0,
                    client_id: format!("{n}"),
                    expiry_ms: if rests { now.0 / MS + 301_000 } else { 0 },
                    tag: String::new(),
                };
                match random.between(0, 9) {
                    0 => drop(exchange.cancel_all(now, Some(instrument), &mut out)),
                    1 => drop(exchange.cancel(now, random.between(1, n + 1), &mut out)),
                    _ => drop(exchange.place(now, order, &mut out)),
                }
                exchange.advance(now, &mut out);
                hold(&exchange, &mut seen, &out);
            }
            assert!(exchange.trades().len() > 50, "{}", exchange.trades().len());
        }
    }

    #[test]
    fn the_whole_exchange_is_a_function_of_seed_and_calls() {
        let run = |step_ms: usize| {
            let settings = Settings::lighter(LighterTier::Standard, 5);
            let mut exchange = rig::live(settings);
            let mut out = Vec::new();
            for ms in (0..15_000_u64).step_by(step_ms) {
                let now = rig::START.plus(ms * MS);
                exchange.advance(now, &mut out);
                if ms % 2_000 == 0 {
                    let side = [Side::Bid, Side::Ask][(ms / 2_000 % 2) as usize];
                    let (mark, _) = exchange.mark(InstrumentId(0));
                    let mut order = rig::order(side, "60000", "0.02");
                    let far = if side == Side::Bid { 1 } else { -1 };
                    order.price = Price(mark.0 + far * mark.0 / 100);
                    order.price = order.price.floor_to(exchange.rules()[0].tick);
                    exchange.place(now, order, &mut out).unwrap();
                }
            }
            exchange.advance(rig::START.plus(15_000 * MS), &mut out);
            assert_eq!(exchange.trades().len(), exchange.trades.len());
            assert!(exchange.next_due() > rig::START.plus(15_000 * MS));
            format!("{out:?}")
        };
        assert!(run(10) == run(2_000));
    }
}
