//! What now: the machine that takes one pair from its first order to its last fill.
//!
//! The idea: fills set how much each leg holds; the machine only ever asks *which leg holds more,
//! and may the other still follow*. On the way in the smaller leg is raised (hedge); when it can't
//! be, the larger is lowered (unwind); on the way out the larger is lowered until both are flat.
//! So a fill that comes late, twice in pieces, or for an order thought dead is folded in by the
//! same rule, and no path needs to know how the imbalance came about. The transitions stand in
//! [`State`].
//!
//! Promises: at most one order in flight per leg; every close is reduce-only; tries are bounded and
//! their bands widen; what can't be settled ends as Stuck with halt raised, never in silence.
//! Refuses: to act on words alone. Only fills move money; an order is over only when word and
//! fills agree, else it is asked about and finally judged by the venue's position.

use crate::market::event::{Event, HaltCause, PairEnd};
use crate::market::order::{OrderId, OrderState, Refusal, ReportKind};
use crate::market::units::{Bps, Nanos, Price, Size};
use crate::market::{VENUE_COUNT, VENUES, Venue};
use crate::scanner::leave::leaving;
use crate::scanner::pair::{Fill, Pair, Role, State};
use crate::scanner::send::{
    Scene, Wish, close, count_try, is_closable, place, price_at_touch, settle_order, widened,
};
use crate::scanner::spread::{Taken, Yardstick};

/// Hedges that may fall short before the other leg is taken back.
const HEDGE_TRIES: u8 = 3;
/// Closes that may fall short while unwinding before a human is called.
const UNWIND_TRIES: u8 = 5;
/// So many orders that a gateway would not send count as one try.
const UNSENT_PER_HEDGE_TRY: u16 = 10;
const UNSENT_PER_CLOSE_TRY: u16 = 50;

/// An entry that has passed all limits.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// The pair's number.
    pub number: u32,
    /// Where it buys.
    pub long: Venue,
    /// The fair it is entered on.
    pub yardstick: Yardstick,
    /// Size of both legs.
    pub size: Size,
    /// What each ladder promised.
    pub taken: [Taken; VENUE_COUNT],
    /// Limit of each leg's first order.
    pub prices: [Price; VENUE_COUNT],
    /// Gross edge over the fair.
    pub gross: Bps,
    /// Net edge.
    pub net: Bps,
    /// When the bytes behind it were read.
    pub t_tick: Nanos,
}

/// Opens a pair in a free slot. False when not one order could be pushed: the slot stays free.
pub fn open(pair: &mut Pair, plan: &Plan, scene: &mut Scene<'_>) -> bool {
    let mut fresh = Pair::new(pair.instrument);
    fresh.number = plan.number;
    fresh.long = plan.long;
    fresh.lead = scene.limits.leg_order.lead();
    fresh.yardstick = plan.yardstick;
    fresh.size = plan.size;
    (fresh.gross, fresh.net) = (plan.gross, plan.net);
    (fresh.t_entry, fresh.t_tick) = (scene.now, plan.t_tick);
    // Room on both links before either leg is sent: the second leg must not be the one to find out.
    let room = |venue: Venue| scene.desk.orders[venue.idx()].room() > 0;
    if !VENUES.into_iter().all(room) {
        return false;
    }
    *pair = fresh;
    pair.state = State::Entering;
    for venue in VENUES {
        pair.legs[venue.idx()].entry_promise = plan.taken[venue.idx()].average(plan.size);
    }
    for venue in VENUES {
        if pair.lead.is_none_or(|lead| lead == venue) {
            let wish = Wish {
                venue,
                side: pair.opening_side(venue),
                size: plan.size,
                price: plan.prices[venue.idx()],
                role: Role::Entry,
                planned: true,
            };
            place(pair, wish, scene);
        }
    }
    true
}

/// Takes a report about one of the pair's orders. A fill counts for the pair even when its order
/// is no longer the one in flight; any other word counts for the order in flight alone. Acting on
/// it is [`advance`]'s work, after all waiting reports are in.
pub fn hear(pair: &mut Pair, venue: Venue, id: OrderId, t: Nanos, kind: &ReportKind) {
    if let ReportKind::Fill {
        side,
        price,
        size,
        fee,
        ..
    } = *kind
    {
        let fill = Fill {
            id,
            side,
            price,
            size,
            fee,
            t,
        };
        pair.fill(venue, &fill);
        fold(pair, side == pair.opening_side(venue));
        return;
    }
    let order = pair.legs[venue.idx()].order.as_mut();
    let Some(order) = order.filter(|order| order.id == id) else {
        return;
    };
    match *kind {
        ReportKind::NotSent { why } => never_left(pair, venue, why),
        ReportKind::Acknowledged => {
            if order.said.is_none() {
                order.hear(OrderState::Working, Size::ZERO, t);
            }
        }
        ReportKind::Rejected { .. } => order.hear(OrderState::Rejected, Size::ZERO, t),
        ReportKind::State { state, filled } => order.hear(state, filled, t),
        ReportKind::Sent => order.has_left = true,
        ReportKind::Fill { .. }
        | ReportKind::Position { .. }
        | ReportKind::Balance { .. }
        | ReportKind::Up
        | ReportKind::Down => {}
    }
}

/// A fill of a pair that thought itself settled sets it moving again.
pub(super) fn fold(pair: &mut Pair, opens: bool) {
    match (pair.state, opens) {
        (State::Entering | State::Hedged, true) => pair.state = State::Legged,
        (State::Hedged, false) => pair.state = State::Leaving,
        (State::Entering, false)
        | (
            State::Flat | State::Legged | State::Leaving | State::Unwinding | State::Stuck,
            true | false,
        ) => {}
    }
}

/// The gateway did not send it: nothing happened, but it must not be tried again at full speed. The
/// same words about a question (which carries the order's id) say nothing about the order itself.
fn never_left(pair: &mut Pair, venue: Venue, why: Refusal) {
    let Some(order) = pair.legs[venue.idx()].order.as_mut() else {
        return;
    };
    if order.has_left || order.unsure_since.is_some() {
        return;
    }
    order.never_left = true;
    pair.unsent += 1;
    let per_try = match (why, order.role) {
        (Refusal::OffGrid | Refusal::UnknownMarket | Refusal::Signing, _) => 1,
        (_, Role::Entry | Role::Hedge) => UNSENT_PER_HEDGE_TRY,
        (_, Role::Exit | Role::Close) => UNSENT_PER_CLOSE_TRY,
    };
    if pair.unsent.is_multiple_of(per_try) {
        count_try(pair, venue);
    }
}

/// Does whatever is due: ends orders that are over, asks about unsure ones, and takes the pair's
/// next step. Called after reports and at every beat; with nothing due it changes nothing.
pub fn advance(pair: &mut Pair, scene: &mut Scene<'_>) {
    if matches!(pair.state, State::Flat | State::Stuck) {
        return;
    }
    // Orders first: whether one is still in flight decides what the pair may do next.
    for venue in VENUES {
        settle_order(pair, venue, scene);
    }
    // More closed than was ever open: the venue let a reduce-only order open a position, or another
    // hand was in it. No rule here may act on that.
    if pair.is_moving() && pair.legs.iter().any(|leg| leg.held.0 < 0) {
        return give_up(pair, scene, HaltCause::Unexplained);
    }
    match pair.state {
        State::Flat | State::Stuck | State::Hedged => {}
        State::Entering => entering(pair, scene),
        State::Legged => legged(pair, scene),
        State::Leaving => leaving(pair, scene),
        State::Unwinding => unwinding(pair, scene),
    }
    tell_evenness(pair, scene);
}

/// Entering: nothing has filled. With no order left, the pair has missed. A cancelled order may
/// still have traded (venues have said "nothing filled" and filled), so the slot waits that out.
fn entering(pair: &mut Pair, scene: &mut Scene<'_>) {
    if !pair.is_waiting() {
        finish(pair, PairEnd::Missed, scene);
    }
}

/// Legged: raise the smaller leg; if that can't be, turn to taking the larger one back.
///
/// Each fill is followed at once if it is large enough for the other venue; what is too small waits
/// for more while the larger leg's order still works. A remainder that neither venue takes is
/// carried inside the pair and closed with its leg.
fn legged(pair: &mut Pair, scene: &mut Scene<'_>) {
    let (large, excess) = pair.excess();
    let small = large.other();
    if pair.legs[small.idx()].order.is_some() {
        return;
    }
    let has_tries = pair.hedge_tries < HEDGE_TRIES;
    if excess.0 > 0 && has_tries {
        if scene.now < pair.t_retry {
            return;
        }
        // Priced from the touch of this moment, not from the promise: the promise is gone, and the
        // lone leg is the greater risk.
        let side = pair.opening_side(small);
        let band = widened(scene.limits.hedge_band, pair.hedge_tries);
        let Some(price) = price_at_touch(scene.board, small, side, band) else {
            return;
        };
        if scene.board.is_placeable(small, excess, price) {
            let wish = Wish {
                venue: small,
                side,
                size: excess.floor_to(scene.board.market(small).lot),
                price,
                role: Role::Hedge,
                planned: pair.lead.is_some() && pair.hedge_tries == 0,
            };
            return place(pair, wish, scene);
        }
    }
    if pair.legs[large.idx()].order.is_some() {
        // More may fill there, and then be enough to follow.
        return;
    }
    // A remainder beside a hedged part may be dust that is carried; a lone leg never is.
    let lone = pair.legs[small.idx()].held.0 == 0;
    if excess.0 > 0 && (lone || is_closable(pair, large, excess, scene.board)) {
        pair.state = State::Unwinding;
        // The pause was for the other leg; this one has waited long enough.
        pair.t_retry = scene.now;
        return unwinding(pair, scene);
    }
    rest(pair, scene);
}

/// Unwinding: lower the larger leg to the smaller one's size. It begins only when nothing is in
/// flight, so that a hedge that fills late and an unwind do not chase each other; should one fill
/// late all the same, the larger leg is then the other one, and that is lowered instead.
fn unwinding(pair: &mut Pair, scene: &mut Scene<'_>) {
    if pair.is_waiting() {
        return;
    }
    let (large, excess) = pair.excess();
    let lone = pair.legs[large.other().idx()].held.0 == 0;
    let closable = is_closable(pair, large, excess, scene.board);
    if excess.0 == 0 || (!lone && !closable) {
        let flat = pair.legs.iter().all(|leg| leg.held.0 == 0);
        return match flat {
            true => finish(pair, PairEnd::Unwound, scene),
            false => rest(pair, scene),
        };
    }
    if scene.now < pair.t_retry {
        return;
    }
    if pair.close_tries >= UNWIND_TRIES {
        return match closable {
            true => give_up(pair, scene, HaltCause::PairStuck),
            // Dust that the venue won't take: below its minimum, carried outside any pair.
            false => finish(pair, PairEnd::Unwound, scene),
        };
    }
    close(pair, large, excess, false, scene);
}

/// Both legs are as even as they can be: the pair is at rest. After an exit that missed it rests
/// for a cooldown, since each try costs an order of the slow venue's budget.
pub(super) fn rest(pair: &mut Pair, scene: &mut Scene<'_>) {
    if pair.is_waiting() {
        return;
    }
    if pair.state == State::Leaving {
        pair.t_retry = scene.now.plus(scene.limits.cooldown_ns);
    }
    pair.state = State::Hedged;
    pair.hedge_tries = 0;
    if !pair.told_hedged {
        pair.told_hedged = true;
        let (pair, t) = (pair.number, pair.t_fill);
        scene.desk.note(Event::Hedged { pair, t });
    }
}

/// Frees the slot, once no late fill can come any more. Called again at each beat until then.
pub(super) fn finish(pair: &mut Pair, end: PairEnd, scene: &mut Scene<'_>) {
    if scene.now < pair.t_late {
        return;
    }
    pair.state = State::Flat;
    pair.end = end;
    scene.desk.pairs_done += 1;
    let summary = pair.summary(end, scene.now);
    scene.desk.note(Event::Pair(summary));
}

/// The machine can't settle it: halt, and leave the pair for a human. The slot stays taken and its
/// exposure counted.
#[cold]
pub(super) fn give_up(pair: &mut Pair, scene: &mut Scene<'_>, why: HaltCause) {
    pair.state = State::Stuck;
    pair.end = PairEnd::Stuck;
    scene.desk.pairs_done += 1;
    let summary = pair.summary(PairEnd::Stuck, scene.now);
    scene.desk.note(Event::Pair(summary));
    scene.desk.raise(why);
}

/// Tells how long a leg stood alone, once both are even again.
fn tell_evenness(pair: &mut Pair, scene: &mut Scene<'_>) {
    let Some(since) = pair.t_uneven else { return };
    let (_, excess) = pair.excess();
    if excess.0 == 0 || !pair.is_moving() {
        pair.t_uneven = None;
        scene.desk.note(Event::Unhedged {
            pair: pair.number,
            ns: pair.t_fill.since(since),
        });
    }
}
