//! Two accounts made even: what the start of a run does before anything is entered.
//!
//! Promises: a leg that stands alone is closed, a hedged pair is kept, and both are explained by
//! the venues' own lists. Refuses: to call anything even while an order rests or a venue can't be
//! read; to touch a position in a market it does not know.

use crate::hands::plan::{Found, Plan, plan};
use crate::hands::settle::{Pace, Scope, Settled, both, cancel, patiently, reduce, steady};
use crate::hands::{Done, Hands, HandsError};
use crate::market::{Instrument, VENUE_COUNT};

/// Rounds at most: a fill that came late on one venue makes another part lone.
const ROUNDS: usize = 3;

/// What a start found and what it left.
#[derive(Clone, Debug)]
pub struct Evened {
    /// Before anything was closed.
    pub before: Plan,
    /// After.
    pub after: Plan,
    /// What was done, by venue.
    pub settled: [Settled; VENUE_COUNT],
}

impl Evened {
    /// Nothing rests, no leg of a known instrument stands alone, and that is known. Foreign
    /// positions may stand: they are in `after`.
    pub fn is_done(&self) -> bool {
        let has_lone = self.after.found.iter().any(Found::is_lone);
        !has_lone && self.settled.iter().all(Settled::is_done)
    }
}

/// Both accounts without a leg alone: every order cancelled, even positions kept, the rest of every
/// known instrument closed. Fails, with positions as they are, while an order still rests or a
/// venue can't be read: then nobody can say what is even.
pub fn even_out(
    hands: &mut [Box<dyn Hands + Send>; VENUE_COUNT],
    instruments: &[Instrument],
    pace: &Pace<'_>,
) -> Result<Evened, HandsError> {
    let mut evened = even_once(hands, instruments, pace)?;
    for _ in 1..ROUNDS {
        if evened.is_done() {
            break;
        }
        let again = even_once(hands, instruments, pace)?;
        evened.after = again.after;
        for (side, mut again) in evened.settled.iter_mut().zip(again.settled) {
            side.orders.gone.extend(again.orders.gone);
            let mut closed = std::mem::take(&mut side.positions.closed);
            closed.append(&mut again.positions.closed);
            side.positions = again.positions;
            side.positions.closed = closed;
        }
    }
    Ok(evened)
}

/// What stands, untouched. Fails while an order rests: then nobody can say what is even.
pub fn look(
    hands: &mut [Box<dyn Hands + Send>; VENUE_COUNT],
    instruments: &[Instrument],
    pace: &Pace<'_>,
) -> Result<Plan, HandsError> {
    for hand in hands.iter_mut() {
        let open = patiently(hand.as_mut(), pace, |hand| hand.resting())?;
        if !open.is_empty() {
            let (count, venue) = (open.len(), hand.venue().name());
            return Err(HandsError(format!("{venue}: {count} orders rest there")));
        }
    }
    Ok(read(hands, instruments, pace)?.0)
}

/// What both accounts hold by two agreeing reads, and the orders that explain it.
fn read(
    hands: &mut [Box<dyn Hands + Send>; VENUE_COUNT],
    instruments: &[Instrument],
    pace: &Pace<'_>,
) -> Result<(Plan, [Vec<Done>; VENUE_COUNT]), HandsError> {
    let [one, other] = both(hands, |hand| steady(hand.as_mut(), pace));
    let (one, other) = (one?, other?);
    let done = both(hands, |hand| explanations(hand.as_mut(), pace));
    let found = plan([&one, &other], [&done[0], &done[1]], instruments);
    Ok((found, done))
}

/// One round: cancel, look, decide, reduce.
fn even_once(
    hands: &mut [Box<dyn Hands + Send>; VENUE_COUNT],
    instruments: &[Instrument],
    pace: &Pace<'_>,
) -> Result<Evened, HandsError> {
    let orders = both(hands, |hand| cancel(hand.as_mut(), &Scope::All, pace));
    for (orders, hand) in orders.iter().zip(hands.iter()) {
        if let Some(fault) = &orders.fault {
            return Err(fault.clone());
        }
        if !orders.resting.is_empty() {
            let (count, venue) = (orders.resting.len(), hand.venue().name());
            return Err(HandsError(format!(
                "{venue}: {count} orders can't be cancelled"
            )));
        }
    }
    let (before, done) = read(hands, instruments, pace)?;
    let positions = both(hands, |hand| {
        let aim = before.aim(hand.venue(), instruments);
        reduce(hand.as_mut(), &aim, pace)
    });
    // Closing orders explain as well.
    let done = match positions.iter().all(|side| side.closed.is_empty()) {
        true => done,
        false => both(hands, |hand| explanations(hand.as_mut(), pace)),
    };
    let held = [&positions[0].held[..], &positions[1].held[..]];
    let after = plan(held, [&done[0], &done[1]], instruments);
    let [first, second] = orders;
    let [here, there] = positions;
    let side = |orders, positions| Settled { orders, positions };
    Ok(Evened {
        before,
        after,
        settled: [side(first, here), side(second, there)],
    })
}

/// What traded, which only explains: without it the positions are still what they are.
fn explanations(hand: &mut dyn Hands, pace: &Pace<'_>) -> Vec<Done> {
    hand.done().unwrap_or_else(|why| {
        (pace.tell)(hand.venue(), &format!("{why}; nothing is explained"));
        Vec::new()
    })
}
