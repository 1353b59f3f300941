//! The way out of a hedged pair: when, at what price, and both legs down together.
//!
//! A pair is judged on what leaving would bring *now*, on executable prices, against the fair it
//! was entered on. It leaves as it came, leading leg first, the other on its fills; when that has
//! missed once and the cause is not convergence, both legs go at once.
//!
//! Promises: every order here is reduce-only; an exit that misses leaves an even pair behind.
//! Refuses: to call a pair converged on a stale, crossed or thin book. A stop works with one book
//! gone; with a venue gone that takes no orders nothing is sent, since half an exit is a lone leg.

use crate::market::book::Side;
use crate::market::event::{ExitCause, PairEnd, Reason};
use crate::market::units::{Bps, Nanos, Price, SECOND};
use crate::market::{VENUE_COUNT, VENUES, Venue};
use crate::scanner::board::Board;
use crate::scanner::funding::HOUR_NS;
use crate::scanner::hedge::{advance, tell};
use crate::scanner::pair::{Pair, Role, State};
use crate::scanner::risk::Limits;
use crate::scanner::send::{Scene, Wish, close, executable, place};
use crate::scanner::spread::{Haircut, Taken, take};
use crate::scanner::table::When;

/// A pair that is to be out before funding leaves so long before nothing may be ended any more.
/// Larger: leaves more convergence behind. Smaller: an exit that misses is charged all the same.
const FUNDING_EXIT_NS: u64 = 30 * SECOND;

/// Starts to leave a hedged pair. What the ladders give for it now becomes the promise its fills
/// are booked against; with a book missing, the last touch stands in.
pub fn leave(pair: &mut Pair, cause: ExitCause, scene: &mut Scene<'_>) {
    tell(pair, When::ExitDue, &scene.desk.rules);
    pair.cause = cause;
    // An exit that asked for what was seen may miss, and counts no try: that says nothing of one
    // that must go, which would stand alone for the slow venue's delay if both legs went at once.
    pair.exit_missed &= pair.close_tries > 0;
    pair.close_tries = 0;
    let quote = promise_exit(pair, scene.board);
    // While late fills may come, a leg may hold less than it seems to.
    let lead = leading(pair).filter(|lead| {
        let size = pair.legs[lead.idx()].held.min(pair.size);
        pair.keeps_even(*lead, false, size)
    });
    pair.in_turn = lead.is_some();
    // A converged pair is in no hurry: its leading leg asks for what was seen, and may miss. Nor is
    // one that gives way to an edge: that is gone too where this misses.
    let is_calm = matches!(cause, ExitCause::Converged | ExitCause::Opposite);
    if let (true, Some(lead), Some(quote)) = (is_calm, lead, quote) {
        let side = pair.opening_side(lead).other();
        let worst = quote[lead.idx()].worst;
        let wish = Wish {
            venue: lead,
            side,
            size: pair.legs[lead.idx()].held,
            price: scene.board.limit(lead, side, worst, scene.limits.slippage),
            role: Role::Exit,
            planned: true,
        };
        return place(pair, wish, scene);
    }
    match lead {
        Some(lead) => {
            let size = pair.legs[lead.idx()].held.min(pair.size);
            close(pair, lead, size, true, scene);
        }
        None => advance(pair, scene),
    }
}

/// What each leg should bring from now on; gives what the ladders say.
pub(super) fn promise_exit(pair: &mut Pair, board: &Board) -> Option<[Taken; VENUE_COUNT]> {
    let quote = exit_quote(pair, board);
    for venue in VENUES {
        let touch = board.touch_last(venue);
        let leg = &mut pair.legs[venue.idx()];
        leg.exit_promise = match (&quote, touch) {
            (Some(quote), _) => quote[venue.idx()].average(leg.held),
            (None, Some(touch)) if venue == pair.long => touch.bid,
            (None, Some(touch)) => touch.ask,
            (None, None) => leg.entry_promise,
        };
    }
    quote
}

/// The leading leg, when the pair leaves one leg after the other: both at once would leave one
/// alone for as long as the slow venue holds takers back. A stop, a drain or the end of its time
/// does so once; what must go and has missed goes both at once.
fn leading(pair: &Pair) -> Option<Venue> {
    match pair.cause {
        ExitCause::Converged | ExitCause::Opposite => pair.lead,
        ExitCause::Stop
        | ExitCause::Time
        | ExitCause::Drain
        | ExitCause::Funding
        | ExitCause::Margin => pair.lead.filter(|_| !pair.exit_missed),
        ExitCause::Forced | ExitCause::NotHedged => None,
    }
}

/// Lowers both legs to nothing, by no more at a time than they may be uneven. With one venue away
/// only what stands alone on the other is taken back: half an exit would be a lone leg.
pub(super) fn close_both(pair: &mut Pair, scene: &mut Scene<'_>) {
    let planned = pair.close_tries == 0;
    let (large, excess) = pair.excess();
    let is_whole = VENUES.into_iter().all(|venue| !scene.desk.is_away(venue));
    for venue in VENUES {
        let leg = &pair.legs[venue.idx()];
        let size = match (is_whole, venue == large) {
            (true, _) => leg.held.min(pair.size),
            (false, true) => excess,
            (false, false) => continue,
        };
        let is_free = leg.order.is_none() && !scene.desk.is_away(venue);
        // The first of the two may have come to its last order and be stuck by now.
        let goes = is_free && size.0 > 0 && pair.state == State::Leaving;
        if goes && pair.keeps_even(venue, false, size) {
            close(pair, venue, size, planned, scene);
        }
    }
}

/// What is left of an exit is to be hedged again: it is a pair of that size from now on, entered at
/// what its legs were.
#[cold]
pub(super) fn stay(pair: &mut Pair) {
    (pair.hedge_tries, pair.close_tries) = (0, 0);
    for leg in &mut pair.legs {
        leg.opened_notional = leg.entry_average() * leg.held;
        leg.opened = leg.held;
        leg.exit_promise = Price::ZERO;
    }
}

/// A pair whose legs never stood even was not closed but taken back.
pub(super) fn end_of_left(pair: &Pair) -> PairEnd {
    match pair.matched.0 {
        0 => PairEnd::Unwound,
        _ => PairEnd::Closed,
    }
}

/// What both ladders give for leaving with all that is held: the long leg into the bids, the short
/// one into the asks, without a haircut, because it is asked for and not hoped for. `None` when a
/// book is not whole or too thin.
pub fn exit_quote(pair: &Pair, board: &Board) -> Option<[Taken; VENUE_COUNT]> {
    board.touches()?;
    let on = |venue: Venue| {
        let side = match venue == pair.long {
            true => Side::Bid,
            false => Side::Ask,
        };
        let levels = board.book(venue).levels(side);
        take(levels, Haircut::NONE, pair.legs[venue.idx()].held)
    };
    Some([on(Venue::Extended)?, on(Venue::Lighter)?])
}

/// Whether a hedged pair should be left now, judged on executable prices and its own fair. Time
/// needs no book; convergence is not believed on a stale one, and a stop takes what is known.
/// `funding`: what the payments just ahead would cost, where leaving now would spare them.
pub fn exit_cause(
    pair: &Pair,
    board: &Board,
    limits: &Limits,
    funding: Option<Bps>,
    now: Nanos,
) -> Option<ExitCause> {
    if now.since(pair.t_entry) >= limits.hold_max_ns {
        return Some(ExitCause::Time);
    }
    if let Some(quote) = exit_quote(pair, board)
        && board.doubt(now, limits.stale_after_ns).is_none()
    {
        let (long, short) = (pair.long.idx(), pair.long.other().idx());
        let got = quote[long].average(pair.legs[long].held);
        let paid = quote[short].average(pair.legs[short].held);
        // The way back seen as an edge: what buying back costs over what selling brings.
        let back = pair.yardstick.gross(pair.long, got, paid);
        if pair.knows_fair && back <= limits.exit_over_fair {
            return Some(ExitCause::Converged);
        }
        // All that waiting can still bring is the way back to its fair.
        if pair.knows_fair && funding.is_some_and(|cost| cost > back - limits.exit_over_fair) {
            return Some(ExitCause::Funding);
        }
    }
    let [long, short] = [pair.long, pair.long.other()];
    let got = stop_price(pair, board, long, limits, now)?;
    let paid = stop_price(pair, board, short, limits, now)?;
    // The stop compares with what was really paid, fees left out: they are lost either way.
    let bought = pair.legs[long.idx()].entry_average();
    let sold = pair.legs[short.idx()].entry_average();
    let made = (sold - bought) + (got - paid);
    (made <= -limits.stop.of_price(bought)).then_some(ExitCause::Stop)
}

/// What the next payments of both venues cost a pair, when they are close enough that it has to
/// leave now to be spared them, and not so close that its legs might be charged one by one.
pub fn funding_ahead(pair: &Pair, board: &Board, limits: &Limits, now: Nanos) -> Option<Bps> {
    let hours = &limits.edge.hours;
    let due = now.plus(hours.before_ns + FUNDING_EXIT_NS);
    let is_due = |venue| hours.crossed(venue, now, due) > 0;
    if !VENUES.into_iter().any(is_due) || hours.is_between(now) {
        return None;
    }
    // The two payments of one hour are at most half of it apart.
    let both = due.plus(HOUR_NS / 2);
    let cost = hours.cost(&board.mirrors, pair.long, (now, both));
    (cost > Bps::ZERO).then_some(cost)
}

/// The price at which the stop takes a leg to be closed. A book that is believed gives what its
/// ladder does, or its touch where that is too thin. One that has been silent for too long gives
/// its last good touch: the other venue's prices go on, and a pair that loses by all that is known
/// is better left than watched with one eye. A book that has just come back, or comes late, is
/// given the moment it needs: `None`.
fn stop_price(
    pair: &Pair,
    board: &Board,
    venue: Venue,
    limits: &Limits,
    now: Nanos,
) -> Option<Price> {
    let side = pair.opening_side(venue).other();
    let mirror = &board.mirrors[venue.idx()];
    match mirror.doubt(now, limits.stale_after_ns) {
        None => executable(board, venue, side, pair.legs[venue.idx()].held),
        Some(Reason::StaleBook) => Some(mirror.touch_last()?.against(side)),
        Some(_) => None,
    }
}
