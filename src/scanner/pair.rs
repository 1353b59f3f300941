//! One pair: two legs, at most one order in flight on each, and its account to the last unit.
//!
//! Plain state and pure bookkeeping; what to do next is `hedge.rs`. A leg's `held` is what Fill
//! reports say was opened less what they say was closed, and nothing else; an order is over only
//! when the venue's word on it and the fills received agree.
//!
//! Money: every fill is booked against a *promise* (what the ladder showed when it was decided).
//! The promise goes to edge, the rest to slippage, or to repair where the order was not part of the
//! plan. The parts therefore sum to the cash that moved, exactly.

use crate::market::book::Side;
use crate::market::event::{ExitCause, PairEnd, PairSummary};
use crate::market::order::{OrderId, OrderState};
use crate::market::units::{Bps, Nanos, Notional, Price, SECOND, Size};
use crate::market::{InstrumentId, VENUE_COUNT, VENUES, Venue};
use crate::scanner::spread::Yardstick;

/// After a venue's last word on an order, fills may still come for this long. Larger: slots are
/// held longer after a miss. Smaller: a late fill finds nobody.
pub const LATE_FILL_NS: u64 = 3 * SECOND;

/// Where a pair stands. What leads from one to the next:
///
/// ```text
/// Flat      -> Entering   an edge passed all limits, the first order was pushed
/// Entering  -> Legged     the first fill
///           -> Flat       nothing filled (missed)
/// Legged    -> Hedged     both legs even
///           -> Unwinding  the other leg can't be had
/// Hedged    -> Leaving    converged, stop, time, drain; or a late fill of an exit
///           -> Legged     a late fill of the entry
/// Leaving   -> Flat       both legs closed
///           -> Hedged     the exit missed, in whole or evenly in part
///           -> Stuck      out of tries
/// Unwinding -> Flat       the lone leg was taken back (unwound)
///           -> Hedged     what is left is even
///           -> Stuck      out of tries
/// any       -> Stuck      an order that nobody can explain
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// The slot is free.
    Flat,
    /// The entry is out, nothing has filled.
    Entering,
    /// One leg holds more than the other.
    Legged,
    /// Both legs are even.
    Hedged,
    /// On the way out.
    Leaving,
    /// The lone leg is being taken back.
    Unwinding,
    /// Needs a human; halt was raised.
    Stuck,
}

/// What an order is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// First order of the entry.
    Entry,
    /// Follows a fill of the other leg.
    Hedge,
    /// First order of an exit, reduce-only.
    Exit,
    /// Any other close, reduce-only.
    Close,
}

impl Role {
    /// It makes the position larger.
    pub const fn opens(self) -> bool {
        match self {
            Role::Entry | Role::Hedge => true,
            Role::Exit | Role::Close => false,
        }
    }
}

/// How far an order is understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// In flight within its time.
    Open,
    /// Nobody knows: too long without a word, or words that disagree.
    Unsure,
    /// Nothing more can happen to it.
    Over,
}

/// An order in flight.
#[derive(Clone, Copy, Debug)]
pub struct Working {
    /// Its client id.
    pub id: OrderId,
    /// What it is for.
    pub role: Role,
    /// Buys or sells.
    pub side: Side,
    /// Its limit.
    pub price: Price,
    /// What it asked.
    pub size: Size,
    /// Sum of its fills.
    pub filled: Size,
    /// What the ladder promised.
    pub promise: Price,
    /// Part of the plan; otherwise its deviation is repair.
    pub planned: bool,
    /// By the venue.
    pub state: OrderState,
    /// Cumulative fill by the venue's last word, once the order is over there.
    pub said: Option<Size>,
    /// Refused by the gateway: it never left.
    pub never_left: bool,
    /// Something was heard of it that only an order that left can cause.
    pub has_left: bool,
    /// When it was pushed.
    pub t_push: Nanos,
    /// When the venue's last word came.
    pub t_said: Nanos,
    /// When it became unsure.
    pub unsure_since: Option<Nanos>,
    /// When to ask next.
    pub t_query: Nanos,
}

impl Working {
    /// How far it is understood now.
    pub fn standing(&self, now: Nanos, timeout_ns: u64) -> Standing {
        if self.never_left || self.filled >= self.size {
            return Standing::Over;
        }
        match self.said {
            Some(said) if self.filled >= said => Standing::Over,
            Some(_) if now.since(self.t_said) < LATE_FILL_NS => Standing::Open,
            Some(_) => Standing::Unsure,
            None if self.state == OrderState::Unknown => Standing::Unsure,
            None if now.since(self.t_push) >= timeout_ns => Standing::Unsure,
            None => Standing::Open,
        }
    }

    /// Takes the venue's (or the gateway's) word on its state.
    pub fn hear(&mut self, state: OrderState, filled: Size, t: Nanos) {
        self.has_left = true;
        self.state = state;
        match state {
            OrderState::Filled | OrderState::Cancelled | OrderState::Rejected => {
                let said = self.said.unwrap_or(Size::ZERO);
                self.said = Some(said.max(filled));
                self.t_said = t;
            }
            OrderState::Sent | OrderState::Working | OrderState::Unknown => {}
        }
    }

    /// What may still fill.
    pub fn rest(&self) -> Size {
        Size((self.size - self.filled).0.max(0))
    }
}

/// A fill that was concluded from a position report, until the true one comes.
#[derive(Clone, Copy, Debug)]
struct Assumed {
    id: OrderId,
    price: Price,
    size: Size,
}

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
    opened_notional: Notional,
    assumed: Option<Assumed>,
    /// Number of an order that never left its gateway: free to be used again.
    pub spare: Option<u8>,
}

impl Leg {
    /// Average price of what was opened. Divides.
    pub fn entry_average(&self) -> Price {
        let average = self.opened_notional.0.checked_div(self.opened.0.into());
        average.map_or(self.entry_promise, |price| Price(price as i64))
    }
}

/// One trade of ours on one leg.
#[derive(Clone, Copy, Debug)]
pub struct Fill {
    /// Of which order.
    pub id: OrderId,
    /// Bought or sold.
    pub side: Side,
    /// Price.
    pub price: Price,
    /// Size.
    pub size: Size,
    /// Fee paid.
    pub fee: Notional,
    /// When it was read.
    pub t: Nanos,
}

/// The account of a pair while it lives.
#[derive(Clone, Copy, Debug, Default)]
struct Money {
    edge: Notional,
    slippage: Notional,
    fees: Notional,
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
    /// Orders that the gateway would not send, in a row.
    pub unsent: u16,
    /// Orders made so far: the attempt in their ids.
    pub orders: u8,
    /// No new order before this (after a failure).
    pub t_retry: Nanos,
    /// Fills of orders that are over may come until then.
    pub t_late: Nanos,
    /// Since when the legs have been uneven.
    pub t_uneven: Option<Nanos>,
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
            legs: [Leg::default(); VENUE_COUNT],
            size: Size::ZERO,
            matched: Size::ZERO,
            gross: Bps::ZERO,
            net: Bps::ZERO,
            t_entry: Nanos::ZERO,
            t_tick: Nanos::ZERO,
            cause: ExitCause::NotHedged,
            hedge_tries: 0,
            close_tries: 0,
            unsent: 0,
            orders: 0,
            t_retry: Nanos::ZERO,
            t_late: Nanos::ZERO,
            t_uneven: None,
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
        let [extended, lighter] = self.legs;
        if extended.held > lighter.held {
            (Venue::Extended, extended.held - lighter.held)
        } else {
            (Venue::Lighter, lighter.held - extended.held)
        }
    }

    /// Worst-case size on a venue: what is held and all that may still be opened.
    pub fn exposure(&self, venue: Venue) -> Size {
        let leg = &self.legs[venue.idx()];
        let held = Size(leg.held.0.abs());
        match self.state {
            State::Flat => Size::ZERO,
            State::Entering | State::Legged => held.max(self.size),
            State::Hedged | State::Leaving | State::Unwinding | State::Stuck => {
                let opening = leg.order.filter(|order| order.role.opens());
                held + opening.map_or(Size::ZERO, |order| order.rest())
            }
        }
    }

    /// Books a fill, whichever of the pair's orders it belongs to.
    pub fn fill(&mut self, venue: Venue, fill: &Fill) {
        let Some(fill) = self.net_assumed(venue, fill) else {
            return;
        };
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
        }
        if opens {
            leg.held += fill.size;
            leg.opened += fill.size;
            leg.opened_notional += fill.price * fill.size;
        } else {
            leg.held -= fill.size;
        }
        self.book(&fill, promise, planned);
        self.note_evenness(fill.t);
    }

    /// Books a fill that only a position report tells of, at the order's limit (the worst).
    pub fn assume(&mut self, venue: Venue, fill: &Fill) {
        self.fill(venue, fill);
        self.legs[venue.idx()].assumed = Some(Assumed {
            id: fill.id,
            price: fill.price,
            size: fill.size,
        });
    }

    /// A true fill of something already assumed only corrects the price; what is left over of it
    /// comes back. The estimated fee stands.
    fn net_assumed(&mut self, venue: Venue, fill: &Fill) -> Option<Fill> {
        let leg = &mut self.legs[venue.idx()];
        let Some(assumed) = leg.assumed.as_mut().filter(|known| known.id == fill.id) else {
            return Some(*fill);
        };
        let size = assumed.size.min(fill.size);
        assumed.size -= size;
        let better = (fill.price - assumed.price) * size;
        self.money.slippage += signed(fill.side, better);
        let rest = fill.size - size;
        (rest.0 > 0).then_some(Fill {
            size: rest,
            ..*fill
        })
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
        let [extended, lighter] = self.legs;
        self.matched = self.matched.max(extended.held.min(lighter.held));
        if extended.held != lighter.held {
            self.t_uneven.get_or_insert(t);
        }
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
            funding: Notional::ZERO,
            repair: money.repair,
            total: money.edge + money.slippage - money.fees + money.repair,
        }
    }
}

/// Selling brings, buying costs.
fn signed(side: Side, amount: Notional) -> Notional {
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

    #[test]
    fn an_order_is_over_when_word_and_fills_agree() {
        let mut order = Working {
            id: OrderId::new(1, 1, 1),
            role: Role::Entry,
            side: Side::Bid,
            price: Price(UNIT),
            size: Size(4),
            filled: Size::ZERO,
            promise: Price(UNIT),
            planned: true,
            state: OrderState::Sent,
            said: None,
            never_left: false,
            has_left: false,
            t_push: Nanos(0),
            t_said: Nanos(0),
            unsure_since: None,
            t_query: Nanos(0),
        };
        let timeout = SECOND;
        assert_eq!(order.standing(Nanos(1), timeout), Standing::Open);
        assert_eq!(order.standing(Nanos(SECOND), timeout), Standing::Unsure);
        order.hear(OrderState::Cancelled, Size(3), Nanos(10));
        assert_eq!(order.standing(Nanos(11), timeout), Standing::Open);
        let late = Nanos(10 + LATE_FILL_NS);
        assert_eq!(order.standing(late, timeout), Standing::Unsure);
        order.filled = Size(3);
        assert_eq!(order.standing(late, timeout), Standing::Over);
        // A second, smaller word does not take the first back.
        order.hear(OrderState::Cancelled, Size(0), Nanos(12));
        assert_eq!(order.said, Some(Size(3)));
        assert_eq!(order.rest(), Size(1));
    }
}
