//! What is so: the meaning of each `when` of the machine's table, asked of a pair and its scene.
//!
//! Promises: every question is pure, costs a few comparisons, and is answered from what is proven;
//! what is unknown or may come late counts as the worst of both outcomes.
//! Refuses: to change anything.

use crate::market::book::Side;
use crate::market::event::ExitCause;
use crate::market::units::{Bps, SECOND, Size};
use crate::market::{VENUES, Venue};
use crate::scanner::pair::{Pair, Role, State};
use crate::scanner::repair::Way;
use crate::scanner::send::{Scene, Wish, is_closable, price_at_touch, widened};
use crate::scanner::table::When;

/// Hedges that may fall short before the other leg is taken back.
const HEDGE_TRIES: u8 = 3;
/// And while the other leg's venue is away, so that it can't be taken back. Their band widens no
/// further.
const HEDGE_TRIES_AWAY: u8 = 2 * HEDGE_TRIES;
/// Closes that may fall short before a human is called. Larger: a venue that takes none is asked
/// for longer. Smaller: a venue that finds a reason against each of a few in a row leaves a leg to
/// a human. With the default band the last one goes out at the bound below.
const CLOSE_TRIES: u8 = 10;
/// The same where what is left is too small for its venue by the venue's own rules: fewer, since
/// most of them are refused for that.
const DUST_TRIES: u8 = 5;
/// A lone leg waits this long for the venue that would settle it to come back: then, on the way in,
/// it is taken back where it stands; on the way out, what stands on the other venue is hedged anew.
/// Larger: longer alone through a maintenance. Smaller: a reconnect (two seconds and the state read
/// anew) costs an unwind, or another way out.
const AWAY_NS_MAX: u64 = 10 * SECOND;
/// A human is called when a leg has stood alone, or in doubt, for so long; the machine goes on.
/// Larger: later. Smaller: a front door that blocks an address for a minute, or a question to a
/// slow venue, calls one for nothing.
const ALONE_NS_MAX: u64 = 180 * SECOND;
/// Most that taking a lone leg back may cost, of its notional. Larger: a flash crash is sold into.
/// Smaller: a leg that ran away while its venue was closed stays open, frozen, for a human. Ten
/// times the default hedge band: it takes a failing venue to get there.
pub(super) const UNWIND_COST_MAX: Bps = Bps::whole(300);

/// Whether it is so. News are never: they are told, not seen.
pub fn is_so(when: When, pair: &Pair, scene: &Scene<'_>) -> bool {
    let (large, excess) = pair.excess();
    match when {
        When::Entry
        | When::Adoption
        | When::Opened
        | When::Closed
        | When::Taken
        | When::ExitDue => false,
        When::Else => true,
        When::OverClosed => pair.legs.iter().any(|leg| leg.held.0 < 0),
        When::TooLong => is_too_long(pair, scene),
        When::InFlight => pair.is_waiting(),
        When::MayFillLate => pair.may_fill_late(),
        When::Paused => scene.now < pair.t_retry,
        When::SmallInFlight => pair.legs[large.other().idx()].order.is_some(),
        When::HedgePaused => wants_hedge(pair, scene) && scene.now < pair.t_retry,
        When::SmallAway => wants_hedge(pair, scene) && is_small_away(pair, scene),
        When::EdgeGone => is_edge_gone(pair, scene),
        When::HedgeDoubtful => {
            let (small, size) = hedge_size(pair, scene);
            !pair.keeps_even(small, true, size) && hedge_wish(pair, scene).is_some()
        }
        When::Hedgeable => hedge_wish(pair, scene).is_some(),
        When::Removable => is_removable(pair, scene),
        When::FlatInDoubt => pair.is_flat() && is_in_doubt(pair),
        When::Flat => pair.is_flat(),
        When::Settled => !is_removable(pair, scene),
        When::HedgeAgain => {
            let is_due = pair.state != State::Leaving || is_left_half_way(pair, scene);
            scene.desk.is_away(large) && is_due && hedge_wish(pair, scene).is_some()
        }
        When::LargeAway => scene.desk.is_away(large),
        When::TopUpDue => is_top_up_due(pair, scene),
        When::SpentInDoubt => is_spent(pair) && is_in_doubt(pair),
        When::SpentDust => {
            pair.close_tries >= DUST_TRIES && !is_in_doubt(pair) && is_dust(pair, scene)
        }
        When::Spent => is_spent(pair),
        When::TooDear => is_too_dear(pair, scene),
        When::CloseDoubtful => !pair.keeps_even(large, false, excess),
        When::EvenlyDue => {
            is_left_evenly(pair)
                && is_to_be_evened(pair, scene)
                && scene.now >= pair.t_retry
                && !scene.desk.is_away(large)
                && pair.keeps_even(large, false, excess)
        }
        When::EvenlyPending => {
            is_left_evenly(pair) && (is_to_be_evened(pair, scene) || pair.is_waiting())
        }
        When::EvenlyDone => {
            let is_beside = pair.legs.iter().all(|leg| leg.held.0 > 0);
            is_left_evenly(pair) && !is_spent(pair) && is_beside
        }
    }
}

/// There is an excess, and the other leg may still be raised to it.
fn wants_hedge(pair: &Pair, scene: &Scene<'_>) -> bool {
    let (large, excess) = pair.excess();
    excess.0 > 0 && pair.hedge_tries < hedge_tries_max(large, scene)
}

/// While the large leg's venue is away a hedge is the only way there is.
fn hedge_tries_max(large: Venue, scene: &Scene<'_>) -> u8 {
    match scene.desk.is_away(large) {
        true => HEDGE_TRIES_AWAY,
        false => HEDGE_TRIES,
    }
}

/// An exit has closed one leg, and the other's venue has been away for long: nothing is under way
/// that could still even it out. What was taken away, or has to go for want of margin, is not
/// raised again.
fn is_left_half_way(pair: &Pair, scene: &Scene<'_>) -> bool {
    let (small, size) = hedge_size(pair, scene);
    let since = pair.t_uneven.unwrap_or(scene.now);
    !matches!(pair.cause, ExitCause::Forced | ExitCause::Margin)
        && scene.now.since(since) >= AWAY_NS_MAX
        && scene.now >= pair.t_retry
        && !pair.is_waiting()
        && pair.keeps_even(small, true, size)
}

/// The small leg's venue is away, and it is waited for.
fn is_small_away(pair: &Pair, scene: &Scene<'_>) -> bool {
    let (large, _) = pair.excess();
    let since = pair.t_uneven.unwrap_or(scene.now);
    let is_patient = scene.now.since(since) < AWAY_NS_MAX;
    scene.desk.is_away(large.other()) && (is_patient || scene.desk.is_away(large))
}

/// The hedge could go out, but to take the excess back is cheaper by now. Asked in the order in
/// which most hedges are told apart soonest.
fn is_edge_gone(pair: &Pair, scene: &Scene<'_>) -> bool {
    let (large, excess) = pair.excess();
    !scene.desk.is_away(large)
        && is_removable(pair, scene)
        && (scene.desk.rules.cheaper)(pair, scene.board, large, excess) == Way::Unwind
        && hedge_wish(pair, scene).is_some()
}

/// Where the hedge would go, and of what size: never more than one leg was planned for.
fn hedge_size(pair: &Pair, scene: &Scene<'_>) -> (Venue, Size) {
    let (large, excess) = pair.excess();
    let small = large.other();
    let excess = excess.min(pair.size - pair.legs[small.idx()].held);
    (small, excess.floor_to(scene.board.market(small).lot))
}

/// The hedge that could go out now: never more than one leg was planned for, so that a leg which a
/// late fill made larger is lowered and not followed. Priced from the touch of this moment, not
/// from the promise: the promise is gone, and the lone leg is the greater risk.
pub(super) fn hedge_wish(pair: &Pair, scene: &Scene<'_>) -> Option<Wish> {
    let (small, size) = hedge_size(pair, scene);
    if !wants_hedge(pair, scene) || scene.desk.is_away(small) {
        return None;
    }
    let side = pair.opening_side(small);
    let (board, most) = (scene.board, scene.limits.hedge_band);
    let band = board.hedge_band(pair.lead, pair.long, most);
    let band = widened(band, pair.hedge_tries.min(HEDGE_TRIES - 1));
    let price = price_at_touch(scene.board, small, side, band)?;
    let wish = Wish {
        venue: small,
        side,
        size,
        price,
        role: Role::Hedge,
        planned: pair.lead.is_some() && pair.hedge_tries == 0 && !pair.told_hedged,
    };
    let lattice = &scene.board.lattice;
    lattice.takes_floored(small, size, price).then_some(wish)
}

/// The order that makes a lone remainder large enough to be closed.
pub(super) fn top_up_wish(pair: &Pair, scene: &Scene<'_>) -> Option<Wish> {
    let (venue, _) = pair.excess();
    let side = pair.opening_side(venue);
    let band = scene.limits.hedge_band;
    let price = price_at_touch(scene.board, venue, side, band)?;
    // Enough that it is closed at a price a band below this moment's, too.
    let low = price_at_touch(scene.board, venue, Side::Ask, band)?;
    let size = scene.board.lattice.least(venue, low);
    let wish = Wish {
        venue,
        side,
        size,
        price,
        role: Role::TopUp,
        planned: false,
    };
    pair.keeps_even(venue, true, size).then_some(wish)
}

/// A lone remainder is asked for as it is first, since a venue may take it; one that was refused is
/// topped up, once. Beside another leg it is carried.
fn is_top_up_due(pair: &Pair, scene: &Scene<'_>) -> bool {
    let (venue, excess) = pair.excess();
    let is_refused = pair.close_tries > 0 && !pair.is_topped_up && scene.now >= pair.t_retry;
    is_refused
        && !pair.is_waiting()
        && pair.legs[venue.other().idx()].held.0 == 0
        && excess.0 > 0
        && !is_closable(pair, venue, excess, scene.board)
        && !scene.desk.is_away(venue)
        && top_up_wish(pair, scene).is_some()
}

/// There is an excess, and its venue takes it back or nothing stands beside it.
fn is_removable(pair: &Pair, scene: &Scene<'_>) -> bool {
    let (large, excess) = pair.excess();
    let is_lone = pair.legs[large.other().idx()].held.0 == 0;
    excess.0 > 0 && (is_lone || is_closable(pair, large, excess, scene.board))
}

/// The touch alone is further from what the leg was entered at than the bound.
fn is_too_dear(pair: &Pair, scene: &Scene<'_>) -> bool {
    let (large, _) = pair.excess();
    let entry = pair.legs[large.idx()].entry_average();
    let side = pair.opening_side(large).other();
    let Some(touch) = scene.board.touch_last(large) else {
        return false;
    };
    let cost = match large == pair.long {
        true => entry - touch.against(side),
        false => touch.against(side) - entry,
    };
    cost > UNWIND_COST_MAX.of_price(entry)
}

/// An excess that an exit made, and that a close can even out.
fn is_to_be_evened(pair: &Pair, scene: &Scene<'_>) -> bool {
    let (large, excess) = pair.excess();
    let is_idle = pair.legs[large.idx()].order.is_none();
    is_idle && !is_spent(pair) && is_closable(pair, large, excess, scene.board)
}

/// A pair that leaves one leg after the other may rest half-way; a late fill of an exit order (no
/// cause yet) only has to be evened out. Else both legs go to nothing.
fn is_left_evenly(pair: &Pair) -> bool {
    match pair.cause {
        ExitCause::NotHedged => true,
        ExitCause::Forced => false,
        ExitCause::Converged
        | ExitCause::Stop
        | ExitCause::Time
        | ExitCause::Drain
        | ExitCause::Opposite
        | ExitCause::Funding
        | ExitCause::Margin => pair.in_turn,
    }
}

fn is_in_doubt(pair: &Pair) -> bool {
    pair.is_waiting() || pair.may_fill_late()
}

fn is_spent(pair: &Pair) -> bool {
    pair.close_tries >= CLOSE_TRIES
}

/// What is left to close is too small for its venue: the excess, or, on the way out, each leg.
fn is_dust(pair: &Pair, scene: &Scene<'_>) -> bool {
    if pair.state == State::Unwinding {
        let (large, excess) = pair.excess();
        return !is_closable(pair, large, excess, scene.board);
    }
    VENUES.into_iter().all(|venue| {
        let held = pair.legs[venue.idx()].held;
        !is_closable(pair, venue, held, scene.board)
    })
}

/// Alone, or waiting for late fills that a venue's silence keeps possible.
fn is_too_long(pair: &Pair, scene: &Scene<'_>) -> bool {
    if pair.told_alone {
        return false;
    }
    let is_alone = pair.t_uneven;
    let in_doubt = pair.legs.iter().filter(|leg| leg.may_fill_late());
    let in_doubt = in_doubt.map(|leg| leg.t_late).min();
    let orders = pair.legs.iter().filter_map(|leg| leg.order.as_ref());
    let unsure = orders.filter_map(|order| order.unsure_since);
    let mut since = is_alone.into_iter().chain(in_doubt).chain(unsure);
    since.any(|since| scene.now.since(since) >= ALONE_NS_MAX)
}
