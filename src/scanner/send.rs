//! One order's life as the pair sees it: made, pushed, asked about, and ended.
//!
//! Promises: an order whose fate is unknown is asked about each second, and never forgotten: it
//! ends by the venue's word and its fills, at last by the venue's position, or the pair is stuck.
//! Refuses: to price anything off the tick, or to send past the attempts an id can number.

use crate::market::book::Side;
use crate::market::event::{Event, HaltCause};
use crate::market::order::{Action, Order, OrderId, OrderState};
use crate::market::units::{Bps, MS, Nanos, Price, SECOND, Size};
use crate::market::{VENUE_COUNT, Venue};
use crate::scanner::board::Board;
use crate::scanner::desk::Desk;
use crate::scanner::hedge::{fold, give_up};
use crate::scanner::outside::SHRUNK_NS;
use crate::scanner::pair::{
    Fill, LATE_FILL_NS, Leg, ORDERS_MASK, Pair, Role, Standing, State, Working,
};
use crate::scanner::risk::Limits;
use crate::scanner::sight::UNWIND_COST_MAX;
use crate::scanner::spread::{Haircut, take};
use crate::scanner::table::{LegDeed, LegWhen};

/// Orders of one pair, all told: the attempt field of an id has seven bits.
const ORDERS_MAX: u8 = 120;
/// Pause after an order that fell short, times the tries so far; after a close, times their square:
/// ten take six seconds and not one. Larger: longer alone. Smaller: the next try meets the same
/// book.
const RETRY_NS: u64 = 20 * MS;
/// The pause, times the tries, after a close that the venue refused: not the price is at fault, and
/// what is may take a moment to pass. Larger: longer alone. Smaller: a few bad seconds use all
/// tries up.
const REFUSED_RETRY_NS: u64 = 250 * MS;
/// Pause after a close of what seems to be gone already.
const OVERTAKEN_RETRY_NS: u64 = 500 * MS;
/// Pause after an order that its gateway would not send.
const UNSENT_RETRY_NS: u64 = 100 * MS;
/// An unexplained order is asked about this often, and judged by the position after so long with
/// the gateway up. After so much longer a human is called: nothing was heard that could settle it.
const QUERY_NS: u64 = SECOND;
const UNSURE_NS_MAX: u64 = 10 * SECOND;
const DOUBT_NS_MAX: u64 = 180 * SECOND;

/// What a decision about one pair looks at, and where its orders go.
pub struct Scene<'a> {
    /// The instrument's books.
    pub board: &'a Board,
    /// The run's limits.
    pub limits: &'a Limits,
    /// Links and accounts.
    pub desk: &'a mut Desk,
    /// What each venue's position says of this pair alone; `None` when others are in the way.
    pub ours: [Option<Size>; VENUE_COUNT],
    /// Now.
    pub now: Nanos,
}

/// One order about to be made.
#[derive(Clone, Copy)]
pub(super) struct Wish {
    pub venue: Venue,
    pub side: Side,
    pub size: Size,
    pub price: Price,
    pub role: Role,
    pub planned: bool,
}

/// Lowers a leg, reduce-only, within a band that widens with each try; never by more than is proven
/// to be held, and a lone leg never dearer than the bound. A size below the venue's minimum is
/// asked all the same: the venue may take a reduce-only remainder, and a refusal counts as a try.
pub(super) fn close(
    pair: &mut Pair,
    venue: Venue,
    size: Size,
    planned: bool,
    scene: &mut Scene<'_>,
) {
    let side = pair.opening_side(venue).other();
    let band = widened(scene.limits.hedge_band, pair.close_tries);
    let Some(price) = price_at_touch(scene.board, venue, side, band) else {
        return;
    };
    let lot = scene.board.market(venue).lot;
    let held = pair.legs[venue.idx()].held;
    let floored = size.floor_to(lot);
    let wish = Wish {
        venue,
        side,
        size: if floored.0 > 0 { floored } else { lot }.min(held),
        price: match pair.state == State::Unwinding {
            true => bounded(pair, venue, price, scene.board),
            false => price,
        },
        role: Role::Close,
        planned,
    };
    place(pair, wish, scene);
}

/// No worse than the bound on what taking a lone leg back may cost.
fn bounded(pair: &Pair, venue: Venue, price: Price, board: &Board) -> Price {
    let entry = pair.legs[venue.idx()].entry_average();
    let opening = pair.opening_side(venue);
    let bound = board.limit(venue, opening.other(), entry, UNWIND_COST_MAX);
    match opening {
        Side::Bid => price.max(bound),
        Side::Ask => price.min(bound),
    }
}

/// What a venue's book gives for so much now, closing on `side`: its ladder, or the last good touch
/// where that is not whole or too thin.
pub(super) fn executable(board: &Board, venue: Venue, side: Side, size: Size) -> Option<Price> {
    let mirror = &board.mirrors[venue.idx()];
    let levels = board.book(venue).levels(side.other());
    let taken = mirror
        .touch()
        .and_then(|_| take(levels, Haircut::NONE, size));
    let touch = board.touch_last(venue)?;
    Some(taken.map_or(touch.against(side), |taken| taken.average(size)))
}

/// Each try goes one band further: a price worse by a known amount beats a leg that stands alone
/// for an unknown time.
pub(super) fn widened(band: Bps, tries: u8) -> Bps {
    Bps::from_bits(band.bits() * (i64::from(tries) + 1))
}

/// A limit one band beyond the last good touch, however old: with the feed gone a hedge is still
/// better than none, and the venue's own price band guards the rest.
pub(super) fn price_at_touch(board: &Board, venue: Venue, side: Side, band: Bps) -> Option<Price> {
    let touch = board.touch_last(venue)?;
    Some(board.limit(venue, side, touch.against(side), band))
}

/// Whether a venue takes an order that lowers a leg by so much: above its minimum size and
/// notional. Below is dust.
pub(super) fn is_closable(pair: &Pair, venue: Venue, size: Size, board: &Board) -> bool {
    let side = pair.opening_side(venue).other();
    let touch = board.touch_last(venue);
    touch.is_some_and(|touch| board.is_placeable(venue, size, touch.against(side)))
}

/// Pushes an order and remembers it. A link that is full for anything but an entry raises halt; the
/// order is made again at the next beat.
pub(super) fn place(pair: &mut Pair, wish: Wish, scene: &mut Scene<'_>) {
    // A number that never left is as good as new; a long outage must not use them all up.
    let spare = pair.legs[wish.venue.idx()].spare;
    if spare.is_none() && pair.orders >= ORDERS_MAX {
        return give_up(pair, scene, HaltCause::PairStuck);
    }
    let number = spare.unwrap_or(pair.orders + 1);
    pair.orders = pair.orders.max(number);
    let attempt = (wish.venue.idx() as u8) << 7 | number;
    let id = OrderId::new(scene.desk.run, pair.number, attempt);
    let order = order(pair, id, &wish, scene.now);
    // Only now does the leg know of it: an order that was not pushed was never made.
    if !scene.desk.send(&order, scene.now) {
        pair.t_retry = scene.now.plus(RETRY_NS);
        return scene.desk.raise(HaltCause::HedgeLinkFull);
    }
    let leg = &mut pair.legs[wish.venue.idx()];
    leg.spare = None;
    let promise = promise_of(leg, wish.role);
    leg.order = Some(Working {
        id,
        role: wish.role,
        side: wish.side,
        price: wish.price,
        size: wish.size,
        filled: Size::ZERO,
        promise,
        // The promise of a first order is of this moment, that of any other is not.
        shown: match wish.role {
            Role::Entry | Role::Exit => promise,
            Role::Hedge | Role::Close | Role::TopUp => Price::ZERO,
        },
        planned: wish.planned,
        state: OrderState::Sent,
        said: None,
        never_left: false,
        has_left: false,
        t_push: scene.now,
        t_said: Nanos::ZERO,
        unsure_since: None,
        t_query: Nanos::ZERO,
    });
}

/// A close outside an exit takes back what the entry promised.
fn promise_of(leg: &Leg, role: Role) -> Price {
    match role {
        Role::Entry | Role::Hedge | Role::TopUp => leg.entry_promise,
        Role::Exit | Role::Close if leg.exit_promise.0 > 0 => leg.exit_promise,
        Role::Exit | Role::Close => leg.entry_promise,
    }
}

/// The order as it crosses the link. Only an entry answers to a tick of market data.
fn order(pair: &Pair, id: OrderId, wish: &Wish, now: Nanos) -> Order {
    Order {
        id,
        action: Action::Place,
        venue: wish.venue,
        instrument: pair.instrument,
        side: wish.side,
        price: wish.price,
        size: wish.size,
        reduce_only: !wish.role.opens(),
        t_tick: match wish.role {
            Role::Entry => pair.t_tick,
            Role::Hedge | Role::Exit | Role::Close | Role::TopUp => Nanos::ZERO,
        },
        t_decide: now,
    }
}

/// Does what is due about the order in flight on a leg: ends it when it is over, asks about it when
/// nobody knows. And forgets what can't come late any more.
pub(super) fn settle_order(pair: &mut Pair, venue: Venue, scene: &mut Scene<'_>) {
    let leg = &mut pair.legs[venue.idx()];
    if leg.may_fill_late() && scene.desk.is_past_late(venue, leg.t_late, scene.now) {
        leg.forget_late();
    }
    for idx in 0..scene.desk.rules.leg.len() {
        let Some(order) = &pair.legs[venue.idx()].order else {
            return;
        };
        let row = scene.desk.rules.leg[idx];
        if !is_so(row.when, order, pair, venue, scene) {
            continue;
        }
        #[cfg(test)]
        {
            scene.desk.leg_reached |= 1 << idx;
        }
        match row.deed {
            LegDeed::Wait => return,
            LegDeed::End => return end_order(pair, venue, scene),
            LegDeed::Ask => ask_about(pair, venue, scene),
            LegDeed::Judge => return judge(pair, venue, scene),
            LegDeed::Freeze(why) => return give_up(pair, scene, why),
        }
    }
}

/// What the rows for an order in flight ask.
fn is_so(when: LegWhen, order: &Working, pair: &Pair, venue: Venue, scene: &Scene<'_>) -> bool {
    let standing = || order.standing(scene.now, scene.limits.order_timeout_ns);
    let since = order.unsure_since.unwrap_or(scene.now);
    let waited_ns = scene.now.since(since);
    // With the gateway down nobody can answer, and the position is the one from before: its return
    // brings the true one. While late fills of other orders may come, it can't be told whose it is.
    let is_judge = || {
        let is_up = scene.desk.accounts[venue.idx()].is_up;
        is_up && waited_ns >= UNSURE_NS_MAX && !pair.legs[venue.idx()].may_fill_late()
    };
    match when {
        LegWhen::Open => standing() == Standing::Open,
        LegWhen::Over => standing() == Standing::Over,
        LegWhen::QuestionDue => scene.now >= order.t_query,
        LegWhen::Explained => is_judge() && shown(order, pair, venue, scene) == Some(Shown::Fill),
        LegWhen::Contradicted => {
            is_judge() && shown(order, pair, venue, scene) == Some(Shown::Strange)
        }
        LegWhen::Hopeless => waited_ns >= DOUBT_NS_MAX,
        LegWhen::Unknown => true,
    }
}

/// Forgets an order that is over, counts it when it fell short, and sets the pause before the next.
/// What it left unfilled may still come late, unless it was refused.
fn end_order(pair: &mut Pair, venue: Venue, scene: &mut Scene<'_>) {
    let Some(order) = pair.legs[venue.idx()].order else {
        return;
    };
    if !order.never_left && order.state != OrderState::Rejected {
        let until = order.t_said.plus(LATE_FILL_NS);
        let leg = &mut pair.legs[venue.idx()];
        if order.rest().0 > 0 {
            leg.expect_late(order.role.opens(), order.rest(), until);
        }
    }
    let is_refused = order.state == OrderState::Rejected;
    let is_dropped = order.unsure_since.is_some() && order.filled.0 == 0;
    if !order.never_left && order.filled.0 == 0 && (is_refused || is_dropped) {
        strike(pair, venue, scene);
    }
    forget_order(pair, venue, scene);
}

/// The order was refused, or taken and dropped.
#[cold]
fn strike(pair: &Pair, venue: Venue, scene: &mut Scene<'_>) {
    let instrument = pair.instrument;
    if scene.desk.strikes.strike(venue, instrument) {
        scene.desk.note(Event::StruckOut { venue, instrument });
    }
}

/// Clears the leg for its next order.
fn forget_order(pair: &mut Pair, venue: Venue, scene: &Scene<'_>) {
    let now = scene.now;
    let Some(order) = pair.legs[venue.idx()].order else {
        return;
    };
    if order.never_left {
        pair.t_retry = now.plus(UNSENT_RETRY_NS);
        pair.legs[venue.idx()].spare = Some(order.id.leg_attempt() & ORDERS_MASK);
    } else if order.filled >= order.size {
        pair.unsent = 0;
    } else {
        pair.unsent = 0;
        let is_refused = order.state == OrderState::Rejected && !order.role.opens();
        if is_refused && is_overtaken(pair, venue, scene) {
            pair.legs[venue.idx()].order = None;
            pair.t_retry = now.plus(OVERTAKEN_RETRY_NS);
            return;
        }
        count_try(pair, venue);
        let tries = match order.role {
            Role::Hedge => pair.hedge_tries,
            Role::Close => pair.close_tries,
            Role::Entry | Role::Exit | Role::TopUp => 0,
        };
        let tries = u64::from(tries);
        let retry_ns = match (is_refused, order.role) {
            (true, _) => REFUSED_RETRY_NS,
            (false, Role::Close) => RETRY_NS * tries,
            (false, _) => RETRY_NS,
        };
        pair.t_retry = now
            .plus(retry_ns * tries)
            .max(t_clear(pair, venue, &order, scene));
    }
    pair.legs[venue.idx()].order = None;
}

/// A close may have been refused because what it was to close is gone: the close before it filled
/// and has not said so yet, or the venue took the leg and its position shows it already. That says
/// nothing about how the market takes it, and the position is told about soon.
fn is_overtaken(pair: &Pair, venue: Venue, scene: &Scene<'_>) -> bool {
    let leg = &pair.legs[venue.idx()];
    let shown = held_by_word(pair, venue, scene);
    leg.may_fill_late() || shown.is_some_and(|shown| shown < leg.held)
}

/// When it is clear what became of a leg whose close filled nothing, while the venue holds less of
/// it than we do: by then a late fill is told, or what the venue took is proven and booked. A close
/// sent before that would be in the way of both.
fn t_clear(pair: &Pair, venue: Venue, order: &Working, scene: &Scene<'_>) -> Nanos {
    let leg = &pair.legs[venue.idx()];
    let is_less = held_by_word(pair, venue, scene).is_some_and(|shown| shown < leg.held);
    match order.role == Role::Close && order.filled.0 == 0 && is_less {
        true => leg.t_late.plus(SHRUNK_NS + SECOND),
        false => Nanos::ZERO,
    }
}

/// What the venue's position says that a leg holds.
fn held_by_word(pair: &Pair, venue: Venue, scene: &Scene<'_>) -> Option<Size> {
    scene.ours[venue.idx()].map(|ours| match venue == pair.long {
        true => ours,
        false => -ours,
    })
}

/// Asks the venue what became of an order. Until it answers, the order counts as if it had filled
/// and as if it had not.
#[cold]
fn ask_about(pair: &mut Pair, venue: Venue, scene: &mut Scene<'_>) {
    let now = scene.now;
    let Some(order) = pair.legs[venue.idx()].order.as_mut() else {
        return;
    };
    order.unsure_since.get_or_insert(now);
    order.t_query = now.plus(QUERY_NS);
    let wish = Wish {
        venue,
        side: order.side,
        size: order.size,
        price: order.price,
        role: order.role,
        planned: order.planned,
    };
    let (id, resting) = (order.id, order.state == OrderState::Working);
    let mut asked = self::order(pair, id, &wish, now);
    // An order that still works after its time must not fill behind our back.
    if resting {
        asked.action = Action::Cancel;
        scene.desk.send(&asked, now);
    }
    asked.action = Action::Query;
    scene.desk.send(&asked, now);
}

/// What the venue's position says of an order that nobody knows.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shown {
    /// It filled so much as the position moved, or nothing.
    Fill,
    /// The order can't have done this.
    Strange,
}

/// Reads an order's fills off the position: what the venue says we hold, less what everything else
/// explains. `None` when the position can't judge yet: others are in the way, the leg has become
/// smaller than the order explains (the venue took some away, which `outside.rs` books when it is
/// proven), or the venue's own word says that more has filled than the position shows. Then the
/// stream that tells positions is the one to be doubted: a broken one is found by its silence, and
/// comes back with the true position.
fn shown(order: &Working, pair: &Pair, venue: Venue, scene: &Scene<'_>) -> Option<Shown> {
    let size = moved(order, pair, venue, scene)?;
    // Of orders before it more may have filled than was told.
    let before = match order.role.opens() {
        true => pair.legs[venue.idx()].left_open,
        false => Size::ZERO,
    };
    if size.0 < 0 || size > order.rest() + before {
        let is_smaller = order.role.opens() == (size.0 < 0);
        let is_turned = held_by_word(pair, venue, scene).is_some_and(|held| held.0 < 0);
        let may_be_taken = is_smaller && (pair.is_crowded || !is_turned);
        return (!may_be_taken).then_some(Shown::Strange);
    }
    let says_more = order.said.is_some_and(|said| said > order.filled + size);
    (!says_more).then_some(Shown::Fill)
}

/// How much further the position is in the order's direction than our fills say.
fn moved(order: &Working, pair: &Pair, venue: Venue, scene: &Scene<'_>) -> Option<Size> {
    let moved = scene.ours[venue.idx()]? - pair.position(venue);
    Some(match order.side {
        Side::Bid => moved,
        Side::Ask => -moved,
    })
}

/// The last resort: the position has told what the order did. The fill itself never came: its price
/// is taken at the limit and its fee at the taker's rate, the worst it can have been, until the
/// true one corrects it.
#[cold]
fn judge(pair: &mut Pair, venue: Venue, scene: &mut Scene<'_>) {
    let Some(order) = pair.legs[venue.idx()].order else {
        return;
    };
    let size = moved(&order, pair, venue, scene).unwrap_or(Size::ZERO);
    if size.0 > 0 {
        let fee = scene.board.market(venue).fee_taker.of(order.price * size);
        let fill = Fill {
            id: order.id,
            side: order.side,
            price: order.price,
            size,
            fee,
            t: scene.now,
        };
        pair.assume(venue, &fill);
        let opens = order.side == pair.opening_side(venue);
        fold(pair, opens, &scene.desk.rules);
    } else if order.filled.0 == 0 {
        strike(pair, venue, scene);
    }
    forget_order(pair, venue, scene);
}

/// A hedge or a close fell short. First orders of an entry or an exit may miss freely.
pub(super) fn count_try(pair: &mut Pair, venue: Venue) {
    match pair.legs[venue.idx()].order.map(|order| order.role) {
        Some(Role::Hedge) => pair.hedge_tries += 1,
        Some(Role::Close) => pair.close_tries += 1,
        Some(Role::Entry | Role::Exit | Role::TopUp) | None => {}
    }
}
