//! One pair: two legs, at most one order in flight on each, and its account to the last unit.
//!
//! Plain state and pure bookkeeping; what to do next is `hedge.rs`. A leg's `held` is what Fill
//! reports say was opened less what they say was closed, and nothing else; an order is over only
//! when the venue's word on it and the fills received agree, and even then what it left unfilled
//! may fill late: until that can't be any more, a leg is the worst of both outcomes.
//!
//! Money: every fill is booked against a *promise* (what the ladder showed when it was decided).
//! The promise goes to edge, the rest to slippage, or to repair where the order was not part of the
//! plan. The parts therefore sum to the cash that moved, exactly.

use crate::market::book::Side;
use crate::market::event::{ExitCause, PairEnd, PairSummary};
use crate::market::order::OrderId;
use crate::market::units::{Bps, Nanos, Notional, Price, Size};
use crate::market::{InstrumentId, VENUE_COUNT, VENUES, Venue};
use crate::scanner::alone::Alone;
use crate::scanner::assumed::{ASSUMED_MAX, Assumed};
use crate::scanner::impact::Foreseen;
use crate::scanner::spread::Yardstick;

pub use crate::scanner::table::State;
pub use crate::scanner::working::{Fill, LATE_FILL_NS, ORDERS_MASK, Role, Standing, Working};

/// Trade ids a leg remembers: a fill told twice counts once. The gateways tell each once already;
/// this holds for the last few, where a repetition would be.
const TRADES_KEPT: usize = 4;

/// One leg of a pair.
#[derive(Clone, Copy, Debug, Default)]
pub struct Leg {
    /// Opened less closed. Negative only after an over-close, which is never intended.
    pub held: Size,
    /// The order in flight.
    pub order: Option<Working>,
    /// Average price that the ladder promised at entry.
    pub entry_promise: Price,
    /// And at the last exit decision.
    pub exit_promise: Price,
    /// Everything opened so far, and what it cost.
    pub opened: Size,
    pub opened_notional: Notional,
    /// Price of the last that was opened.
    opened_at: Price,
    pub(super) assumed: [Option<Assumed>; ASSUMED_MAX],
    /// Number of an order that never left its gateway: free to be used again.
    pub spare: Option<u8>,
    /// What orders that are over by word may still open by late fills.
    pub late_open: Size,
    /// And what they may still close.
    pub late_close: Size,
    /// Until when, the venue's streams being live.
    pub t_late: Nanos,
    /// What opening orders that are over by word have not filled, however long ago: a stream may
    /// have been dead while it was waited for.
    pub left_open: Size,
    /// Told by the venue as taken, of what it must have opened first in fills that it has not told.
    pub taken_early: Option<Fill>,
    trades: [Option<u64>; TRADES_KEPT],
    trades_count: u8,
}

impl Leg {
    /// Average price of what was opened. Divides where that was at more than one price.
    pub fn entry_average(&self) -> Price {
        if self.opened.0 != 0 && self.opened_notional == self.opened_at * self.opened {
            return self.opened_at;
        }
        let average = self.opened_notional.0.checked_div(self.opened.0.into());
        average.map_or(self.entry_promise, |price| Price(price as i64))
    }

    /// Fills of orders that are over by word may still come.
    pub fn may_fill_late(&self) -> bool {
        self.late_open.0 > 0 || self.late_close.0 > 0
    }

    /// An order is over by word with so much of it unfilled: that may come late.
    pub fn expect_late(&mut self, opens: bool, size: Size, until: Nanos) {
        match opens {
            true => {
                self.late_open += size;
                self.left_open += size;
            }
            false => self.late_close += size,
        }
        self.t_late = self.t_late.max(until);
    }

    /// What untold fills may have opened and the venue is not known to have taken.
    pub fn may_be_taken(&self) -> Size {
        let taken = self.taken_early.map_or(Size::ZERO, |fill| fill.size);
        (self.most() - self.held - taken).max(Size::ZERO)
    }

    /// So much of what has opened by now was told as taken before.
    pub fn take_early(&mut self) -> Option<Fill> {
        let early = self.taken_early.as_mut()?;
        let mut fill = *early;
        fill.size = early.size.min(self.held);
        early.size -= fill.size;
        early.fee = Notional::ZERO;
        self.taken_early = self.taken_early.filter(|early| early.size.0 > 0);
        (fill.size.0 > 0).then_some(fill)
    }

    /// Nothing can come late any more.
    pub fn forget_late(&mut self) {
        (self.late_open, self.late_close) = (Size::ZERO, Size::ZERO);
    }

    /// Most that it may turn out to hold.
    pub fn most(&self) -> Size {
        self.held + self.late_open + self.rest_of(true)
    }

    /// Least that it may turn out to hold: the venue lets no reduce-only order below nothing.
    pub fn least(&self) -> Size {
        let least = self.held - self.late_close - self.rest_of(false);
        least.max(Size::ZERO)
    }

    /// How far apart the most and the least are that it may turn out to hold.
    pub fn in_doubt(&self) -> Size {
        (self.most() - self.least()).max(Size::ZERO)
    }

    /// What the order in flight may still open or close.
    fn rest_of(&self, opens: bool) -> Size {
        let order = self.order.as_ref();
        let order = order.filter(|order| order.role.opens() == opens);
        order.map_or(Size::ZERO, Working::rest)
    }

    /// Whether this trade was told before; it is remembered from now on.
    pub fn is_repeated(&mut self, trade: u64) -> bool {
        let is_repeated = self.trades.contains(&Some(trade));
        if !is_repeated {
            self.trades[usize::from(self.trades_count) % TRADES_KEPT] = Some(trade);
            self.trades_count = self.trades_count.wrapping_add(1);
        }
        is_repeated
    }
}

/// The account of a pair while it lives.
#[derive(Clone, Copy, Debug, Default)]
struct Money {
    edge: Notional,
    slippage: Notional,
    fees: Notional,
    funding: Notional,
    repair: Notional,
}

/// A pair slot.
#[derive(Clone, Copy, Debug)]
pub struct Pair {
    /// Where it stands.
    pub state: State,
    /// Its number within the run.
    pub number: u32,
    /// On which instrument.
    pub instrument: InstrumentId,
    /// Where it buys to open.
    pub long: Venue,
    /// Which leg leads; `None`: both at once.
    pub lead: Option<Venue>,
    /// The fair it was entered on; its exit is judged on that.
    pub yardstick: Yardstick,
    /// That fair is known; it may not be when a pair is adopted.
    pub knows_fair: bool,
    /// It is left one leg after the other.
    pub in_turn: bool,
    /// An exit has missed, in whole or in part.
    pub exit_missed: bool,
    /// Both legs, by venue.
    pub legs: [Leg; VENUE_COUNT],
    /// Size asked at entry.
    pub size: Size,
    /// Largest size that stood on both legs.
    pub matched: Size,
    /// Gross edge at the decision.
    pub gross: Bps,
    /// Net edge at the decision.
    pub net: Bps,
    /// What each entry was foreseen to pay beyond the touch, by venue.
    pub foreseen: [Foreseen; VENUE_COUNT],
    /// When the entry was decided.
    pub t_entry: Nanos,
    /// When the bytes that caused the last decision were read.
    pub t_tick: Nanos,
    /// Why it is left.
    pub cause: ExitCause,
    /// Hedges that fell short.
    pub hedge_tries: u8,
    /// Closes that fell short.
    pub close_tries: u8,
    /// A remainder was topped up, or that was tried: once is enough.
    pub is_topped_up: bool,
    /// Orders that the gateway would not send, in a row.
    pub unsent: u16,
    /// Orders made so far: the attempt in their ids.
    pub orders: u8,
    /// No new order before this (after a failure).
    pub t_retry: Nanos,
    /// Since when the legs have been uneven.
    pub t_uneven: Option<Nanos>,
    /// What that risked.
    pub alone: Alone,
    /// A human was called because it stood alone for too long.
    pub told_alone: bool,
    /// Other pairs hold positions of this market on the same venues.
    pub is_crowded: bool,
    /// Time of the last fill.
    pub t_fill: Nanos,
    /// `Event::Hedged` was told.
    pub told_hedged: bool,
    /// How the last pair in this slot ended.
    pub end: PairEnd,
    money: Money,
}

impl Pair {
    /// A free slot of an instrument.
    pub fn new(instrument: InstrumentId) -> Pair {
        Pair {
            state: State::Flat,
            number: 0,
            instrument,
            long: Venue::Extended,
            lead: None,
            yardstick: Yardstick::new(Bps::ZERO),
            knows_fair: true,
            in_turn: false,
            exit_missed: false,
            legs: [Leg::default(); VENUE_COUNT],
            size: Size::ZERO,
            matched: Size::ZERO,
            gross: Bps::ZERO,
            net: Bps::ZERO,
            foreseen: [Foreseen::default(); VENUE_COUNT],
            t_entry: Nanos::ZERO,
            t_tick: Nanos::ZERO,
            cause: ExitCause::NotHedged,
            hedge_tries: 0,
            close_tries: 0,
            is_topped_up: false,
            unsent: 0,
            orders: 0,
            t_retry: Nanos::ZERO,
            t_uneven: None,
            alone: Alone::default(),
            told_alone: false,
            is_crowded: false,
            t_fill: Nanos::ZERO,
            told_hedged: false,
            end: PairEnd::Missed,
            money: Money::default(),
        }
    }

    /// The slot holds a pair, stuck ones included.
    pub fn is_active(&self) -> bool {
        self.state != State::Flat
    }

    /// Something is under way: neither free nor hedged nor given up.
    pub fn is_moving(&self) -> bool {
        match self.state {
            State::Entering | State::Legged | State::Leaving | State::Unwinding => true,
            State::Flat | State::Hedged | State::Stuck => false,
        }
    }

    /// An order is in flight on either leg.
    pub fn is_waiting(&self) -> bool {
        self.legs.iter().any(|leg| leg.order.is_some())
    }

    /// The side that opens on a venue.
    pub fn opening_side(&self, venue: Venue) -> Side {
        if venue == self.long {
            Side::Bid
        } else {
            Side::Ask
        }
    }

    /// Signed position that this pair explains on a venue.
    pub fn position(&self, venue: Venue) -> Size {
        let held = self.legs[venue.idx()].held;
        if venue == self.long { held } else { -held }
    }

    /// The leg that holds more, and by how much.
    pub fn excess(&self) -> (Venue, Size) {
        let [extended, lighter] = &self.legs;
        if extended.held > lighter.held {
            (Venue::Extended, extended.held - lighter.held)
        } else {
            (Venue::Lighter, lighter.held - extended.held)
        }
    }

    /// Fills of orders that are over by word may still come on either leg.
    pub fn may_fill_late(&self) -> bool {
        self.legs.iter().any(Leg::may_fill_late)
    }

    /// It was adopted, and has made no order yet.
    pub fn is_untouched(&self) -> bool {
        self.orders == 0
    }

    /// Both legs hold nothing.
    pub fn is_flat(&self) -> bool {
        self.legs.iter().all(|leg| leg.held.0 == 0)
    }

    /// Worst-case size on a venue: what is held and all that may still be opened, by the order in
    /// flight, known or unknown, and by late fills.
    pub fn exposure(&self, venue: Venue) -> Size {
        let leg = &self.legs[venue.idx()];
        let most = leg.most().max(-leg.held);
        match self.state {
            State::Flat => Size::ZERO,
            State::Entering | State::Legged => most.max(self.size),
            State::Hedged | State::Leaving | State::Unwinding | State::Stuck => most,
        }
    }

    /// Whether an order for so much more on a venue keeps the legs within what one leg was planned
    /// for, whatever becomes of everything in flight, unknown or late. Where they may already be
    /// further apart, an order that makes that no worse is kept within it too.
    pub fn keeps_even(&self, venue: Venue, opens: bool, size: Size) -> bool {
        let (one, other) = (&self.legs[venue.idx()], &self.legs[venue.other().idx()]);
        let apart = |most: Size, least: Size| {
            let ahead = most - other.least();
            ahead.max(other.most() - least)
        };
        let before = apart(one.most(), one.least());
        let after = match opens {
            true => apart(one.most() + size, one.least()),
            false => apart(one.most(), (one.least() - size).max(Size::ZERO)),
        };
        // Beside other pairs the venue guards only the sum of all: what a late fill may close
        // of this leg must not be closed once more, or it would be taken from theirs.
        let is_proven = opens || !self.is_crowded || size <= one.held - one.late_close;
        is_proven && after <= self.size.max(before)
    }

    /// Books a fill, whichever of the pair's orders it belongs to.
    pub fn fill(&mut self, venue: Venue, fill: &Fill) {
        let (fill, better) = self.net_assumed(venue, fill);
        self.money.slippage += better;
        if fill.size.0 == 0 {
            return;
        }
        let opens = fill.side == self.opening_side(venue);
        let leg = &mut self.legs[venue.idx()];
        // A late fill of an order that is over: its promise is the leg's, and it was planned.
        let late = match opens {
            true => leg.entry_promise,
            false if leg.exit_promise.0 > 0 => leg.exit_promise,
            false => leg.entry_promise,
        };
        let (mut promise, mut planned) = (late, true);
        if let Some(order) = leg.order.as_mut().filter(|order| order.id == fill.id) {
            order.filled += fill.size;
            (promise, planned) = (order.promise, order.planned);
        } else if fill.id == OrderId::NONE {
            // The venue's own doing was nobody's plan.
            planned = opens;
        } else if opens {
            leg.late_open = (leg.late_open - fill.size).max(Size::ZERO);
            leg.left_open = (leg.left_open - fill.size).max(Size::ZERO);
        } else {
            leg.late_close = (leg.late_close - fill.size).max(Size::ZERO);
        }
        if opens {
            leg.held += fill.size;
            leg.opened += fill.size;
            leg.opened_notional += fill.price * fill.size;
            leg.opened_at = fill.price;
        } else {
            leg.held -= fill.size;
        }
        self.book(&fill, promise, planned);
        self.note_evenness(fill.t);
    }

    /// What it would have made if what it holds were closed at these prices, by venue.
    pub fn worth(&self, prices: [Price; VENUE_COUNT]) -> Notional {
        let money = &self.money;
        let mut worth = money.edge + money.slippage - money.fees + money.repair;
        for venue in VENUES {
            let close = self.opening_side(venue).other();
            worth += signed(close, prices[venue.idx()] * self.legs[venue.idx()].held);
        }
        worth
    }

    /// Splits what moved into the promise and the deviation from it.
    fn book(&mut self, fill: &Fill, promise: Price, planned: bool) {
        let deviation = signed(fill.side, (fill.price - promise) * fill.size);
        self.money.edge += signed(fill.side, promise * fill.size);
        if planned {
            self.money.slippage += deviation;
        } else {
            self.money.repair += deviation;
        }
        self.money.fees += fill.fee;
    }

    /// Remembers since when one leg has held more, and the most that both have held.
    fn note_evenness(&mut self, t: Nanos) {
        self.t_fill = t;
        let [extended, lighter] = &self.legs;
        self.matched = self.matched.max(extended.held.min(lighter.held));
        if self.t_uneven.is_none() {
            if extended.held == lighter.held {
                return;
            }
            self.t_uneven = Some(t);
            self.alone = Alone::default();
        }
        let (large, excess) = self.excess();
        let leg = &self.legs[large.idx()];
        let basis = match self.state == State::Leaving && leg.exit_promise.0 > 0 {
            true => leg.exit_promise,
            false => leg.entry_average(),
        };
        self.alone.set(t, excess, basis);
    }

    /// Funding was received for what it holds; negative: paid.
    pub fn take_funding(&mut self, amount: Notional) {
        self.money.funding += amount;
    }

    /// The account at the end. What is left on a leg (dust) is carried at its promised price, so
    /// that it makes neither profit nor loss here.
    pub fn summary(&self, end: PairEnd, t_end: Nanos) -> PairSummary {
        let mut money = self.money;
        for venue in VENUES {
            let leg = &self.legs[venue.idx()];
            let close = self.opening_side(venue).other();
            money.edge += signed(close, leg.entry_promise * leg.held);
        }
        let cause = match end {
            PairEnd::Closed => self.cause,
            PairEnd::Missed | PairEnd::Unwound | PairEnd::Stuck => ExitCause::NotHedged,
        };
        PairSummary {
            pair: self.number,
            instrument: self.instrument,
            long: self.long,
            end,
            cause,
            t_entry: self.t_entry,
            t_end,
            size: self.matched,
            gross: self.gross,
            net: self.net,
            edge: money.edge,
            slippage: money.slippage,
            fees: money.fees,
            funding: money.funding,
            repair: money.repair,
            total: money.edge + money.slippage - money.fees + money.funding + money.repair,
        }
    }
}

/// Selling brings, buying costs.
pub(super) fn signed(side: Side, amount: Notional) -> Notional {
    match side {
        Side::Bid => -amount,
        Side::Ask => amount,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNIT: i64 = 1_000_000_000;

    fn pair() -> Pair {
        let mut pair = Pair::new(InstrumentId(0));
        pair.state = State::Legged;
        pair.legs[0].entry_promise = Price(100 * UNIT);
        pair.legs[1].entry_promise = Price(101 * UNIT);
        pair
    }

    fn fill(id: u8, side: Side, price: i64, size: i64) -> Fill {
        Fill {
            id: OrderId::new(1, 1, id),
            side,
            price: Price(price * UNIT / 10),
            size: Size(size * UNIT),
            fee: Notional::from_usd(1),
            t: Nanos(u64::from(id)),
        }
    }

    #[test]
    fn the_parts_sum_to_the_cash_that_moved() {
        let mut pair = pair();
        pair.fill(Venue::Extended, &fill(1, Side::Bid, 1001, 2));
        pair.fill(Venue::Lighter, &fill(2, Side::Ask, 1008, 2));
        assert_eq!(pair.excess().1, Size::ZERO);
        assert_eq!(pair.matched, Size(2 * UNIT));
        pair.legs[0].exit_promise = Price(102 * UNIT);
        pair.legs[1].exit_promise = Price(102 * UNIT);
        pair.fill(Venue::Extended, &fill(3, Side::Ask, 1019, 2));
        pair.fill(Venue::Lighter, &fill(4, Side::Bid, 1021, 2));
        let told = pair.summary(PairEnd::Closed, Nanos(9));
        assert_eq!(told.edge, Notional::from_usd(2));
        assert_eq!(
            told.slippage,
            -Notional(NOTIONAL_TENTH * 2 * (1 + 2 + 1 + 1))
        );
        assert_eq!(told.fees, Notional::from_usd(4));
        assert_eq!(told.repair, Notional::ZERO);
        // Bought 100.1 and 102.1, sold 100.8 and 101.9, two of each.
        let cash = 2 * (1008 + 1019 - 1001 - 1021) * NOTIONAL_TENTH;
        assert_eq!(told.total, Notional(cash) - told.fees);
    }

    const NOTIONAL_TENTH: i128 = crate::market::units::NOTIONAL_SCALE / 10;

    #[test]
    fn dust_left_makes_neither_profit_nor_loss() {
        let mut pair = pair();
        pair.fill(Venue::Extended, &fill(1, Side::Bid, 1000, 3));
        let told = pair.summary(PairEnd::Unwound, Nanos(9));
        assert_eq!((told.edge, told.repair), (Notional::ZERO, Notional::ZERO));
        assert_eq!(told.total, -Notional::from_usd(1));
    }

    #[test]
    fn an_assumed_fill_is_not_counted_twice() {
        let mut pair = pair();
        pair.assume(Venue::Extended, &fill(1, Side::Bid, 1005, 2));
        pair.fill(Venue::Extended, &fill(1, Side::Bid, 1002, 3));
        assert_eq!(pair.legs[0].held, Size(3 * UNIT));
        pair.fill(Venue::Lighter, &fill(2, Side::Ask, 1010, 3));
        let told = pair.summary(PairEnd::Closed, Nanos(9));
        let cash = (3 * 1010 - 3 * 1002) * NOTIONAL_TENTH;
        // Three fees: the estimate and the rest of the true fill, and the other leg's.
        let carried = 3 * (1010 - 1000) * NOTIONAL_TENTH;
        assert_eq!(told.total, Notional(cash - carried) - told.fees);
        assert_eq!(told.fees, Notional::from_usd(3));
    }
}
