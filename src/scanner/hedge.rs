//! What now: the machine that takes one pair from its first order to its last fill.
//!
//! The idea: fills set how much each leg holds; the machine only ever asks *which leg holds more,
//! and may the other still follow*. On the way in the smaller leg is raised (hedge); when it can't
//! be, the larger is lowered (unwind); on the way out the larger is lowered until both are flat.
//! So a fill that comes late, twice in pieces, or for an order thought dead is folded in by the
//! same rule, and no path needs to know how the imbalance came about. The transitions stand in
//! `table.rs`; here they are executed.
//!
//! Promises: at most one order in flight per leg; every close is reduce-only; tries are bounded and
//! their bands widen; what can't be settled ends as Stuck with halt raised, never in silence.
//! Refuses: to act on words alone. Only fills move money; an order is over only when word and
//! fills agree, else it is asked about and finally judged by the venue's position.

use crate::market::edge::Parts;
use crate::market::event::{Adopted, Apart, Event, ExitCause, HaltCause, PairEnd, Reason};
use crate::market::order::{OrderId, OrderState, Refusal, Report, ReportKind};
use crate::market::units::{Bps, Nanos, Notional, Price, Size};
use crate::market::{VENUE_COUNT, VENUES, Venue};
use crate::scanner::board::Board;
use crate::scanner::impact::Foreseen;
use crate::scanner::leave::{close_both, end_of_left, promise_exit, stay};
use crate::scanner::pair::{Fill, Pair, Role, State};
use crate::scanner::send::{Scene, Wish, close, count_try, executable, place, settle_order};
use crate::scanner::sight::{hedge_wish, is_so, top_up_wish};
use crate::scanner::spread::{Taken, Yardstick};
use crate::scanner::table::{Deed, Row, Rules, When};

/// So many hedges that a gateway would not send count as one try; then the other leg may be the
/// better one to act on. A close that can't be sent is not a close that failed: it goes out when
/// its gateway can, and a human is called by time.
const UNSENT_PER_HEDGE_TRY: u16 = 10;
/// Rows taken in one step. Three lead from any state to an order or a wait (call a human, turn to
/// unwinding, close); one more is spare.
const ROWS_PER_STEP: usize = 4;

/// An entry that has passed all limits.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// The pair's number.
    pub number: u32,
    /// Where it buys.
    pub long: Venue,
    /// Whose leg goes first; `None`: both at once.
    pub lead: Option<Venue>,
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
    /// What both are made of.
    pub parts: Parts,
    /// What each order is foreseen to pay beyond its touch.
    pub foreseen: [Foreseen; VENUE_COUNT],
    /// The limit that bound the size; `None`: the books did.
    pub bound: Option<Reason>,
    /// When the bytes behind it were read.
    pub t_tick: Nanos,
}

/// Opens a pair in a free slot. False when not one order could be pushed: the slot stays free.
pub fn open(pair: &mut Pair, plan: &Plan, scene: &mut Scene<'_>) -> bool {
    let mut fresh = Pair::new(pair.instrument);
    fresh.number = plan.number;
    fresh.long = plan.long;
    fresh.lead = plan.lead;
    fresh.yardstick = plan.yardstick;
    fresh.size = plan.size;
    (fresh.gross, fresh.net) = (plan.gross, plan.net);
    fresh.foreseen = plan.foreseen;
    (fresh.t_entry, fresh.t_tick) = (scene.now, plan.t_tick);
    // Room on both links before either leg is sent: the second leg must not be the one to find out.
    let room = |venue: Venue| scene.desk.orders[venue.idx()].room() > 0;
    if !VENUES.into_iter().all(room) {
        return false;
    }
    *pair = fresh;
    tell(pair, When::Entry, &scene.desk.rules);
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

/// Takes over, in a free slot, what stood hedged when the run began. It is judged from what the
/// venues say it was entered at, and on the fair as soon as that is known.
#[cold]
pub fn adopt(pair: &mut Pair, adopted: &Adopted, number: u32, scene: &mut Scene<'_>) {
    let fair = scene.board.fair.known();
    let mut fresh = Pair::new(pair.instrument);
    fresh.number = number;
    fresh.long = adopted.long;
    fresh.lead = scene.limits.leg_order.lead();
    fresh.yardstick = Yardstick::new(fair.unwrap_or(Bps::ZERO));
    fresh.knows_fair = fair.is_some();
    fresh.size = adopted.size;
    fresh.t_entry = scene.now;
    fresh.told_hedged = true;
    for venue in VENUES {
        fresh.legs[venue.idx()].entry_promise = adopted.entry[venue.idx()];
        let fill = Fill {
            id: OrderId::NONE,
            side: fresh.opening_side(venue),
            price: adopted.entry[venue.idx()],
            size: adopted.size,
            fee: Notional::ZERO,
            t: scene.now,
        };
        fresh.fill(venue, &fill);
    }
    // Between the two lines above one leg stood alone on paper only.
    fresh.t_uneven = None;
    *pair = fresh;
    tell(pair, When::Adoption, &scene.desk.rules);
}

/// A leg that filled after its pair was over gets a pair again, in a free slot: `late` is its
/// number, the venue where the old one was long, and the fair.
#[cold]
pub(super) fn reopen(
    pair: &mut Pair,
    (number, long, fair): (u32, Venue, Option<Bps>),
    (venue, fill): (Venue, &Fill),
    rules: &Rules,
) {
    let mut fresh = Pair::new(pair.instrument);
    (fresh.number, fresh.long) = (number, long);
    fresh.yardstick = Yardstick::new(fair.unwrap_or(Bps::ZERO));
    fresh.knows_fair = fair.is_some();
    fresh.size = fill.size;
    (fresh.t_entry, fresh.t_tick) = (fill.t, fill.t);
    for leg in &mut fresh.legs {
        leg.entry_promise = fill.price;
    }
    tell(&mut fresh, When::Entry, rules);
    fresh.fill(venue, fill);
    tell(&mut fresh, When::Opened, rules);
    *pair = fresh;
}

/// Takes a report about one of the pair's orders. A fill counts for the pair even when its order
/// is no longer the one in flight; any other word counts for the order in flight alone. Acting on
/// it is [`advance`]'s work, after all waiting reports are in.
pub fn hear(pair: &mut Pair, report: &Report, rules: &Rules) {
    let (venue, t) = (report.venue, report.t);
    if let (ReportKind::Fill { trade, .. }, Some(fill)) = (report.kind, Fill::of(report)) {
        if pair.legs[venue.idx()].is_repeated(trade) {
            return;
        }
        pair.fill(venue, &fill);
        return fold(pair, fill.side == pair.opening_side(venue), rules);
    }
    let order = pair.legs[venue.idx()].order.as_mut();
    let Some(order) = order.filter(|order| order.id == report.order) else {
        return;
    };
    match report.kind {
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
        | ReportKind::Queue { .. }
        | ReportKind::Balance { .. }
        | ReportKind::Forced { .. }
        | ReportKind::Funding { .. }
        | ReportKind::Closed { .. }
        | ReportKind::Up
        | ReportKind::Down => {}
    }
}

/// The venue took some of a leg away, as a trade that it told (`told`) or as its position shows.
/// The other leg is taken to nothing at once, and what is left of this one.
#[cold]
pub(super) fn take_away(pair: &mut Pair, venue: Venue, fill: &Fill, told: bool, scene: &Scene<'_>) {
    if pair.state != State::Leaving {
        promise_exit(pair, scene.board);
        pair.close_tries = 0;
    }
    match told {
        true => pair.fill(venue, fill),
        false => pair.assume(venue, fill),
    }
    pair.cause = ExitCause::Forced;
    tell(pair, When::Taken, &scene.desk.rules);
}

/// News change where the pair stands, if the table says so.
pub(super) fn tell(pair: &mut Pair, news: When, rules: &Rules) {
    pair.state = rules.after(pair.state, news);
}

/// A fill of a pair that thought itself settled sets it moving again.
pub(super) fn fold(pair: &mut Pair, opens: bool, rules: &Rules) {
    let news = match opens {
        true => When::Opened,
        false => When::Closed,
    };
    tell(pair, news, rules);
}

/// The gateway did not send it: nothing happened, but it must not be tried again at full speed. The
/// same words about a question (which carries the order's id) say nothing about the order itself.
fn never_left(pair: &mut Pair, venue: Venue, why: Refusal) {
    let Some(order) = pair.legs[venue.idx()].order.as_mut() else {
        return;
    };
    if order.has_left || order.unsure_since.is_some() || order.never_left {
        return;
    }
    order.never_left = true;
    pair.unsent += 1;
    let is_try = match (why, order.role) {
        (Refusal::OffGrid | Refusal::UnknownMarket | Refusal::Signing, _) => true,
        (_, Role::Entry | Role::Hedge) => pair.unsent.is_multiple_of(UNSENT_PER_HEDGE_TRY),
        (_, Role::Exit | Role::Close | Role::TopUp) => false,
    };
    if is_try {
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
    look_alone(pair, scene.board, scene.now);
    for _ in 0..ROWS_PER_STEP {
        let Some(row) = standing(pair, scene) else {
            break;
        };
        let from = std::mem::replace(&mut pair.state, row.next);
        if !perform(row.deed, from, pair, scene) {
            break;
        }
    }
    tell_evenness(pair, scene);
}

/// The first row of the pair's state that holds now.
fn standing(pair: &Pair, scene: &mut Scene<'_>) -> Option<Row> {
    let rules = &scene.desk.rules;
    let (rows, mut places) = (rules.pair, rules.rows_of(pair.state));
    let holds = |row: &Row| row.from == pair.state && is_so(row.when, pair, scene);
    let idx = places.find(|idx| holds(&rows[*idx]))?;
    #[cfg(test)]
    {
        scene.desk.reached |= 1 << idx;
    }
    Some(rows[idx])
}

/// Does what a row says. True when the machine is to look again.
fn perform(deed: Deed, from: State, pair: &mut Pair, scene: &mut Scene<'_>) -> bool {
    match deed {
        Deed::Wait => {}
        Deed::Turn => {
            // The pause was for the other leg; this one has waited long enough.
            pair.t_retry = pair.t_retry.min(scene.now);
            if from == State::Leaving {
                stay(pair);
            }
            return true;
        }
        Deed::Hedge => {
            if let Some(wish) = hedge_wish(pair, scene) {
                place(pair, wish, scene);
            }
        }
        Deed::CloseLarge => {
            let (large, excess) = pair.excess();
            let planned = pair.state == State::Leaving && pair.close_tries == 0;
            close(pair, large, excess, planned, scene);
        }
        Deed::CloseBoth => close_both(pair, scene),
        Deed::TopUp => {
            if let Some(wish) = top_up_wish(pair, scene) {
                pair.is_topped_up = true;
                place(pair, wish, scene);
            }
        }
        Deed::Rest => rest(pair, from, scene),
        Deed::Call => {
            pair.told_alone = true;
            scene
                .desk
                .raise_about(HaltCause::PairStuck, apart(pair, scene));
            return true;
        }
        Deed::EndMissed => finish(pair, PairEnd::Missed, scene),
        Deed::EndUnwound => finish(pair, PairEnd::Unwound, scene),
        Deed::EndLeft => finish(pair, end_of_left(pair), scene),
        Deed::Freeze(why) => give_up(pair, scene, why),
    }
    false
}

/// Both legs are as even as they can be: the pair is at rest. After an exit that missed it rests
/// for a cooldown, since each try costs an order of the slow venue's budget.
fn rest(pair: &mut Pair, from: State, scene: &mut Scene<'_>) {
    if from == State::Leaving {
        pair.exit_missed = true;
        // What must go is tried again at once.
        if matches!(
            pair.cause,
            ExitCause::Converged | ExitCause::Opposite | ExitCause::NotHedged
        ) {
            pair.t_retry = scene.now.plus(scene.limits.cooldown_ns);
        }
    }
    pair.hedge_tries = 0;
    if !pair.told_hedged {
        pair.told_hedged = true;
        let (pair, t) = (pair.number, pair.t_fill);
        scene.desk.note(Event::Hedged { pair, t });
    }
}

/// Frees the slot and tells the pair's account.
fn finish(pair: &mut Pair, end: PairEnd, scene: &mut Scene<'_>) {
    pair.state = State::Flat;
    pair.end = end;
    scene.desk.end(pair.summary(end, scene.now));
}

/// The machine can't settle it: halt, and leave the pair for a human. The slot stays taken and its
/// exposure counted.
#[cold]
pub(super) fn give_up(pair: &mut Pair, scene: &mut Scene<'_>, why: HaltCause) {
    pair.state = State::Stuck;
    pair.end = PairEnd::Stuck;
    scene.desk.end(pair.summary(PairEnd::Stuck, scene.now));
    scene.desk.raise_about(why, apart(pair, scene));
}

/// What its fills say of a pair, and what the venues do.
fn apart(pair: &Pair, scene: &Scene<'_>) -> Apart {
    Apart {
        pair: Some(pair.number),
        instrument: pair.instrument,
        counted: VENUES.map(|venue| pair.position(venue)),
        in_doubt: VENUES.map(|venue| pair.legs[venue.idx()].in_doubt()),
        told: scene.ours,
    }
}

/// What the lone part is worth now, on executable prices.
pub(super) fn look_alone(pair: &mut Pair, board: &Board, now: Nanos) {
    if pair.t_uneven.is_none() {
        return;
    }
    let (large, _) = pair.excess();
    let side = pair.opening_side(large).other();
    let size = pair.alone.size();
    if size.0 > 0
        && let Some(price) = executable(board, large, side, size)
    {
        pair.alone.look(now, price, side);
    }
}

/// Tells how long a leg stood alone, and what that risked, once both are even again or a human has
/// to see to it.
fn tell_evenness(pair: &mut Pair, scene: &mut Scene<'_>) {
    let Some(since) = pair.t_uneven else { return };
    let (_, excess) = pair.excess();
    if excess.0 == 0 || !pair.is_moving() {
        pair.t_uneven = None;
        pair.told_alone = false;
        let until = match excess.0 {
            0 => pair.t_fill,
            _ => scene.now,
        };
        scene.desk.note(Event::Unhedged {
            pair: pair.number,
            ns: until.since(since),
            usd_s: pair.alone.usd_s,
            most: pair.alone.most,
            is_forced: pair.cause == ExitCause::Forced,
            worst: pair.alone.worst,
            best: pair.alone.best,
        });
    }
}
