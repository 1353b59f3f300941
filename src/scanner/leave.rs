//! The way out of a hedged pair: when, at what price, and both legs down together.
//!
//! A pair is judged on what leaving would bring *now*, on executable prices, against the fair it
//! was entered on. It leaves as it came, leading leg first, the other on its fills; when that has
//! missed once and the cause is not convergence, both legs go at once.
//!
//! Promises: every order here is reduce-only; an exit that misses leaves an even pair behind.
//! Refuses: to call a pair converged on a stale, crossed or thin book.

use crate::market::book::Side;
use crate::market::event::{ExitCause, PairEnd};
use crate::market::units::Nanos;
use crate::market::{VENUE_COUNT, VENUES, Venue};
use crate::scanner::board::Board;
use crate::scanner::hedge::{advance, tell};
use crate::scanner::pair::{Pair, Role, State};
use crate::scanner::risk::Limits;
use crate::scanner::send::{Scene, Wish, close, place};
use crate::scanner::spread::{Haircut, Taken, take};
use crate::scanner::table::When;

/// Starts to leave a hedged pair. What the ladders give for it now becomes the promise its fills
/// are booked against; with a book missing, the last touch stands in.
pub fn leave(pair: &mut Pair, cause: ExitCause, scene: &mut Scene<'_>) {
    tell(pair, When::ExitDue, &scene.desk.rules);
    pair.cause = cause;
    pair.close_tries = 0;
    let quote = promise_exit(pair, scene.board);
    // While late fills may come, a leg may hold less than it seems to.
    let lead = leading(pair).filter(|lead| {
        let size = pair.legs[lead.idx()].held.min(pair.size);
        pair.keeps_even(*lead, false, size)
    });
    pair.in_turn = lead.is_some();
    // A converged pair is in no hurry: its leading leg asks for what was seen, and may miss.
    if let (ExitCause::Converged, Some(lead), Some(quote)) = (cause, lead, quote) {
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
        ExitCause::Converged => pair.lead,
        ExitCause::Stop | ExitCause::Time | ExitCause::Drain => {
            pair.lead.filter(|_| !pair.exit_missed)
        }
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
/// needs no book; convergence and stop are not believed on a stale one.
pub fn exit_cause(pair: &Pair, board: &Board, limits: &Limits, now: Nanos) -> Option<ExitCause> {
    if now.since(pair.t_entry) >= limits.hold_max_ns {
        return Some(ExitCause::Time);
    }
    if board.doubt(now, limits.stale_after_ns).is_some() {
        return None;
    }
    let quote = exit_quote(pair, board)?;
    let (long, short) = (pair.long.idx(), pair.long.other().idx());
    let got = quote[long].average(pair.legs[long].held);
    let paid = quote[short].average(pair.legs[short].held);
    // The way back seen as an edge: what buying back costs over what selling brings.
    if pair.knows_fair && pair.yardstick.gross(pair.long, got, paid) <= limits.exit_over_fair {
        return Some(ExitCause::Converged);
    }
    // The stop compares with what was really paid, fees left out: they are lost either way.
    let bought = pair.legs[long].entry_average();
    let sold = pair.legs[short].entry_average();
    let made = (sold - bought) + (got - paid);
    (made <= -limits.stop.of_price(bought)).then_some(ExitCause::Stop)
}
