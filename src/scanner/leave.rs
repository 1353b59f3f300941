//! The way out of a hedged pair: when, at what price, and both legs down together.
//!
//! A pair is judged on what leaving would bring *now*, on executable prices, against the fair it
//! was entered on. A converged pair leaves as it came, leading leg first, the other on its fills;
//! a stop, a drain or the end of its time takes both legs at once.
//!
//! Promises: every order here is reduce-only; an exit that misses leaves an even pair behind.
//! Refuses: to call a pair converged on a stale, crossed or thin book.

use crate::market::book::Side;
use crate::market::event::{ExitCause, HaltCause, PairEnd};
use crate::market::units::Nanos;
use crate::market::{VENUE_COUNT, VENUES, Venue};
use crate::scanner::board::Board;
use crate::scanner::hedge::{finish, give_up, rest};
use crate::scanner::pair::{Pair, Role, State};
use crate::scanner::risk::Limits;
use crate::scanner::send::{Scene, Wish, close, is_closable, place};
use crate::scanner::spread::{Haircut, Taken, take};

/// Closes that may fall short while leaving before a human is called.
const LEAVE_TRIES: u8 = 10;

/// Starts to leave a hedged pair. What the ladders give for it now becomes the promise its fills
/// are booked against; with a book missing, the last touch stands in.
pub fn leave(pair: &mut Pair, cause: ExitCause, scene: &mut Scene<'_>) {
    pair.state = State::Leaving;
    pair.cause = cause;
    pair.close_tries = 0;
    let quote = exit_quote(pair, scene.board);
    for venue in VENUES {
        let touch = scene.board.touch_last(venue);
        let leg = &mut pair.legs[venue.idx()];
        leg.exit_promise = match (&quote, touch) {
            (Some(quote), _) => quote[venue.idx()].average(leg.held),
            (None, Some(touch)) if venue == pair.long => touch.bid,
            (None, Some(touch)) => touch.ask,
            (None, None) => leg.entry_promise,
        };
    }
    // A converged pair is in no hurry: its leading leg asks for what was seen, and may miss.
    if let (Some(lead), Some(quote)) = (one_after_other(pair), quote) {
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
    leaving(pair, scene);
}

/// The leading leg, when the pair leaves one leg after the other; a stop, a drain or the end of
/// its time takes both at once.
fn one_after_other(pair: &Pair) -> Option<Venue> {
    match pair.cause {
        ExitCause::Converged => pair.lead,
        ExitCause::Stop | ExitCause::Time | ExitCause::Drain | ExitCause::NotHedged => None,
    }
}

/// Leaving: lower both legs evenly as the leading one fills, or both to nothing at once. The second
/// way has no even state to go back to: it ends flat, or out of tries.
pub(super) fn leaving(pair: &mut Pair, scene: &mut Scene<'_>) {
    let flat = pair.legs.iter().all(|leg| leg.held.0 == 0);
    if flat {
        if !pair.is_waiting() {
            finish(pair, end_of_left(pair), scene);
        }
        return;
    }
    // A late fill of an exit order (no cause yet) only has to be evened out.
    let evenly = match pair.cause {
        ExitCause::Converged => pair.lead.is_some(),
        ExitCause::NotHedged => true,
        ExitCause::Stop | ExitCause::Time | ExitCause::Drain => false,
    };
    if evenly && leave_evenly(pair, scene) {
        return;
    }
    if pair.close_tries >= LEAVE_TRIES {
        return out_of_tries(pair, scene);
    }
    if scene.now < pair.t_retry {
        return;
    }
    let planned = pair.close_tries == 0;
    for venue in VENUES {
        let leg = &pair.legs[venue.idx()];
        if leg.order.is_none() && leg.held.0 > 0 {
            close(pair, venue, leg.held, planned, scene);
        }
    }
}

/// Lowers the larger leg to the smaller one. False when that is not enough: out of tries, or only
/// a remainder on one leg is left.
fn leave_evenly(pair: &mut Pair, scene: &mut Scene<'_>) -> bool {
    let (large, excess) = pair.excess();
    let spent = pair.close_tries >= LEAVE_TRIES;
    let idle = pair.legs[large.idx()].order.is_none();
    if idle && !spent && is_closable(pair, large, excess, scene.board) {
        if scene.now >= pair.t_retry {
            close(pair, large, excess, pair.close_tries == 0, scene);
        }
        return true;
    }
    if pair.is_waiting() {
        return true;
    }
    let lone = pair.legs[large.other().idx()].held.0 == 0;
    if spent || lone {
        return false;
    }
    rest(pair, scene);
    true
}

/// What is left is dust that the venues won't take, or a case for a human.
fn out_of_tries(pair: &mut Pair, scene: &mut Scene<'_>) {
    if pair.is_waiting() {
        return;
    }
    let mut legs = VENUES.into_iter();
    let dust = legs.all(|venue| {
        let held = pair.legs[venue.idx()].held;
        !is_closable(pair, venue, held, scene.board)
    });
    match dust {
        true => finish(pair, end_of_left(pair), scene),
        false => give_up(pair, scene, HaltCause::PairStuck),
    }
}

/// A pair whose legs never stood even was not closed but taken back.
fn end_of_left(pair: &Pair) -> PairEnd {
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
    if pair.yardstick.gross(pair.long, got, paid) <= limits.exit_over_fair {
        return Some(ExitCause::Converged);
    }
    // The stop compares with what was really paid, fees left out: they are lost either way.
    let bought = pair.legs[long].entry_average();
    let sold = pair.legs[short].entry_average();
    let made = (sold - bought) + (got - paid);
    (made <= -limits.stop.of_price(bought)).then_some(ExitCause::Stop)
}
