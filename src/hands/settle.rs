//! Brings an account to where it should stand: orders cancelled, positions no larger than asked.
//!
//! Promises: every loop is bounded; nothing is believed that two reads apart in time do not agree
//! on; a position is only ever made smaller; what could not be done is said. Refuses: to go on for
//! ever (it gives up loudly), and to wait by itself: time comes in through [`Pace`].

use crate::hands::{Hands, HandsError, Held, Resting};
use crate::market::units::{Bps, Size};
use crate::market::{VENUE_COUNT, Venue};
use std::time::Duration;

// The essay: what a venue's list is worth.
//
// A list read over REST may be older than what was just done, may miss an order that is held back,
// and has been seen to say "nothing" of an account that held a position. An accepted order is not a
// filled one; an order without an answer may still trade. So the loop believes only positions, only
// when two reads apart in time say the same, and decides anew each time from what it then sees. An
// order that was accepted and has changed nothing yet is given a grace before it is repeated:
// repeated too early, both could trade, and more would be taken off than was asked. Turned it can't
// be, as every order is reduce-only.
//
// The band widens with every attempt. A book that is thin for a moment is paid little for, and one
// that stays thin is paid for up to 3 %. After that a human decides: each further attempt would be
// the same again.

/// Bands of the attempts, in turn. Wider ones at once would pay more than needed; more of them
/// would keep a hopeless case waiting.
const BANDS: [Bps; 7] = [
    Bps::whole(20),
    Bps::whole(50),
    Bps::whole(100),
    Bps::whole(200),
    Bps::whole(300),
    Bps::whole(300),
    Bps::whole(300),
];
/// Between two reads that must agree. Shorter: a late list may lie twice.
const APART: Duration = Duration::from_millis(1000);
/// From an order to the next look. Lighter holds takers back 300 to 370 ms. After a refusal it
/// grows with every attempt: a budget that is used up, or a firewall, wants time.
const AFTER: Duration = Duration::from_millis(700);
/// For an accepted order that shows no effect, before it is repeated. Fills seconds late were seen.
const GRACE: Duration = Duration::from_millis(3000);
/// Waits after reads that failed, in turn. In all about 16 s: a venue that is gone for longer is
/// said to be gone.
const RETRIES: [Duration; 5] = [
    Duration::from_millis(500),
    Duration::from_millis(1000),
    Duration::from_millis(2000),
    Duration::from_millis(4000),
    Duration::from_millis(8000),
];
/// Reads until two in a row agree.
const STEADY_READS: usize = 8;
/// Cancels sent at most, each followed by a look.
const CANCELS: u32 = 6;
/// From the first cancel to the look; doubles each time.
const CANCEL_WAIT: Duration = Duration::from_millis(400);

/// How waiting is done and who hears what happens.
pub struct Pace<'a> {
    /// Waits.
    pub sleep: &'a (dyn Fn(Duration) + Sync),
    /// Hears a sentence on every step.
    pub tell: &'a (dyn Fn(Venue, &str) + Sync),
}

/// Which markets are meant, by the venue's own names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// All of the account.
    All,
    /// These. No order and no position elsewhere is touched.
    Markets(Vec<String>),
}

impl Scope {
    /// Whether a market is meant.
    pub fn has(&self, market: &str) -> bool {
        match self {
            Scope::All => true,
            Scope::Markets(names) => names.iter().any(|name| name == market),
        }
    }

    /// The orders that are meant.
    fn of(&self, mut orders: Vec<Resting>) -> Vec<Resting> {
        orders.retain(|order| self.has(&order.market));
        orders
    }
}

/// Where an account should stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Aim {
    /// What is meant.
    pub scope: Scope,
    /// Signed sizes to keep, by market; of any other market of the scope nothing.
    pub keep: Vec<(String, Size)>,
}

impl Aim {
    /// Nothing is kept.
    pub fn flat(scope: Scope) -> Aim {
        Aim {
            scope,
            keep: Vec::new(),
        }
    }

    /// What of a position is too much, with its sign. A size to keep that lies on the other side of
    /// zero, or beyond the position, can't be reached by making it smaller: then all, or nothing,
    /// is too much.
    fn excess(&self, held: &Held) -> Size {
        if !self.scope.has(&held.market) {
            return Size::ZERO;
        }
        let kept = self.keep.iter().find(|(name, _)| *name == held.market);
        let keep = kept.map_or(Size::ZERO, |(_, size)| *size);
        match held.size > Size::ZERO {
            true => (held.size - keep.max(Size::ZERO)).max(Size::ZERO),
            false => (held.size - keep.min(Size::ZERO)).min(Size::ZERO),
        }
    }

    /// All that is too much, with the last refusal of each market.
    fn left(&self, held: &[Held], refusals: &[(String, HandsError)]) -> Vec<Left> {
        let left = |held: &Held| {
            let mut refusals = refusals.iter();
            let refusal = refusals.find(|(name, _)| *name == held.market);
            Left {
                market: held.market.clone(),
                size: self.excess(held),
                why: refusal.map(|(_, why)| why.clone()),
            }
        };
        let all = held.iter().map(left);
        all.filter(|left| left.size != Size::ZERO).collect()
    }
}

/// What still rests after cancelling.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cancelled {
    /// Orders that were open and are no longer.
    pub gone: Vec<Resting>,
    /// Orders that are still open.
    pub resting: Vec<Resting>,
    /// Why it is not known, or not done.
    pub fault: Option<HandsError>,
}

/// A position, or a part of one, that could not be closed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Left {
    /// The venue's name of the market.
    pub market: String,
    /// What is beyond the aim, signed.
    pub size: Size,
    /// The last refusal, if the last order was refused.
    pub why: Option<HandsError>,
}

/// What became of the positions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reduced {
    /// By market, the signed size that is no longer held.
    pub closed: Vec<(String, Size)>,
    /// What is beyond the aim still.
    pub left: Vec<Left>,
    /// All positions as they were read last.
    pub held: Vec<Held>,
    /// Why it is not known: then nothing above is the venue's last word.
    pub fault: Option<HandsError>,
}

/// One account, settled as far as it could be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settled {
    /// Its orders.
    pub orders: Cancelled,
    /// Its positions.
    pub positions: Reduced,
}

impl Settled {
    /// Nothing rests, nothing is beyond the aim, and both are known.
    pub fn is_done(&self) -> bool {
        let (orders, positions) = (&self.orders, &self.positions);
        orders.resting.is_empty()
            && orders.fault.is_none()
            && positions.left.is_empty()
            && positions.fault.is_none()
    }
}

/// Cancels, then reduces to the aim. Positions are closed even where orders can't be cancelled: an
/// order that rests is the smaller risk.
pub fn settle(hand: &mut dyn Hands, aim: &Aim, pace: &Pace<'_>) -> Settled {
    let mut orders = cancel(hand, &aim.scope, pace);
    let positions = reduce(hand, aim, pace);
    // Somebody may have gone on placing orders meanwhile, and who says "flat" must know. A venue
    // that just did not answer is not asked once more.
    if orders.fault.is_none() && positions.fault.is_none() {
        match patiently(hand, pace, |hand| hand.resting()) {
            Ok(open) => orders.resting = aim.scope.of(open),
            Err(fault) => orders.fault = Some(fault),
        }
    }
    Settled { orders, positions }
}

/// What [`settle`] would find now. Nothing is sent, and one read is believed.
pub fn look(hand: &mut dyn Hands, aim: &Aim, pace: &Pace<'_>) -> Settled {
    let mut seen = Settled::default();
    match patiently(hand, pace, |hand| hand.resting()) {
        Ok(open) => seen.orders.resting = aim.scope.of(open),
        Err(fault) => seen.orders.fault = Some(fault),
    }
    match patiently(hand, pace, |hand| hand.positions()) {
        Ok(held) => {
            seen.positions.left = aim.left(&held, &[]);
            seen.positions.held = held;
        }
        Err(fault) => seen.positions.fault = Some(fault),
    }
    seen
}

/// Cancels all orders of the scope and waits until none is listed.
///
/// The first cancel goes out whatever the list says: an order on its way is on no list.
pub fn cancel(hand: &mut dyn Hands, scope: &Scope, pace: &Pace<'_>) -> Cancelled {
    let mut done = Cancelled::default();
    let mut refused = None;
    for turn in 0..=CANCELS {
        let open = match patiently(hand, pace, |hand| hand.resting()) {
            Ok(open) => scope.of(open),
            // Cancelling needs no list.
            Err(fault) => {
                done.fault = cancel_scope(hand, scope).err().or(Some(fault));
                return done;
            }
        };
        let before = std::mem::replace(&mut done.resting, open);
        done.gone.extend(missing(before, &done.resting));
        if turn == CANCELS || turn > 0 && done.resting.is_empty() {
            break;
        }
        if !done.resting.is_empty() {
            let count = done.resting.len();
            (pace.tell)(hand.venue(), &format!("cancelling {count} orders"));
        }
        if let Err(fault) = cancel_scope(hand, scope) {
            (pace.tell)(hand.venue(), &fault.0);
            refused = Some(fault);
        }
        (pace.sleep)(CANCEL_WAIT * 2_u32.pow(turn));
    }
    if !done.resting.is_empty() {
        done.fault = refused;
    }
    done
}

/// Those of `before` that are not in `now`; equal ones are counted.
fn missing(before: Vec<Resting>, now: &[Resting]) -> Vec<Resting> {
    let mut now: Vec<&Resting> = now.iter().collect();
    let mut gone = before;
    gone.retain(|order| match now.iter().position(|other| *other == order) {
        Some(at) => {
            now.swap_remove(at);
            false
        }
        None => true,
    });
    gone
}

/// All at once where all are meant, else market by market.
fn cancel_scope(hand: &mut dyn Hands, scope: &Scope) -> Result<(), HandsError> {
    match scope {
        Scope::All => hand.cancel_all(),
        Scope::Markets(names) => names.iter().try_for_each(|name| hand.cancel_market(name)),
    }
}

/// Makes positions of the scope smaller until the aim is met or all attempts are used.
pub fn reduce(hand: &mut dyn Hands, aim: &Aim, pace: &Pace<'_>) -> Reduced {
    let mut first: Option<Vec<Held>> = None;
    let mut refusals: Vec<(String, HandsError)> = Vec::new();
    let mut last = Vec::new();
    let mut fault = None;
    // Positions that an accepted order has not changed yet.
    let mut waiting: Vec<Held> = Vec::new();
    for attempt in 0..=BANDS.len() {
        let mut held = steady(hand, pace);
        let is_late = |held: &Held| aim.excess(held) != Size::ZERO && waiting.contains(held);
        if held.as_ref().is_ok_and(|held| held.iter().any(is_late)) {
            (pace.sleep)(GRACE);
            held = steady(hand, pace);
        }
        match held {
            Ok(held) => last = held,
            Err(why) => {
                fault = Some(why);
                break;
            }
        }
        first.get_or_insert_with(|| last.clone());
        let beyond: Vec<&Held> = last
            .iter()
            .filter(|h| aim.excess(h) != Size::ZERO)
            .collect();
        let Some(band) = BANDS.get(attempt).filter(|_| !beyond.is_empty()) else {
            break;
        };
        waiting.clear();
        for held in beyond {
            let excess = aim.excess(held);
            let size = excess.max(-excess);
            let (market, verb) = (
                &held.market,
                if excess > Size::ZERO { "sell" } else { "buy" },
            );
            let step = format!("{market}: {verb} {size} within {band:?} of mark");
            (pace.tell)(hand.venue(), &step);
            refusals.retain(|(name, _)| name != market);
            match hand.reduce(held, size, *band) {
                Ok(()) => waiting.push(held.clone()),
                Err(why) => {
                    (pace.tell)(hand.venue(), &why.0);
                    refusals.push((market.clone(), why));
                }
            }
        }
        let patience = if refusals.is_empty() {
            1
        } else {
            attempt as u32 + 1
        };
        (pace.sleep)(AFTER * patience);
    }
    Reduced {
        closed: gone(&first.unwrap_or_default(), &last, &aim.scope),
        left: aim.left(&last, &refusals),
        held: last,
        fault,
    }
}

/// What was held and is no longer, by market.
fn gone(first: &[Held], last: &[Held], scope: &Scope) -> Vec<(String, Size)> {
    let of = |held: &Held| {
        let now = last.iter().find(|other| other.market == held.market);
        let size = held.size - now.map_or(Size::ZERO, |now| now.size);
        (held.market.clone(), size)
    };
    let inside = first.iter().filter(|held| scope.has(&held.market));
    let changes = inside.map(of);
    changes.filter(|(_, size)| *size != Size::ZERO).collect()
}

/// Positions, when two reads apart in time agree on every size.
pub fn steady(hand: &mut dyn Hands, pace: &Pace<'_>) -> Result<Vec<Held>, HandsError> {
    let mut last = patiently(hand, pace, |hand| hand.positions())?;
    for _ in 1..STEADY_READS {
        (pace.sleep)(APART);
        let next = patiently(hand, pace, |hand| hand.positions())?;
        if sizes(&last) == sizes(&next) {
            return Ok(next);
        }
        last = next;
    }
    let venue = hand.venue().name();
    let why = format!("{venue}: no two reads of the positions agree; somebody trades there");
    Err(HandsError(why))
}

/// What two reads are compared by: entry prices drift by rounding.
fn sizes(held: &[Held]) -> Vec<(&str, Size)> {
    let mut sizes: Vec<(&str, Size)> = held.iter().map(|h| (h.market.as_str(), h.size)).collect();
    sizes.sort_unstable();
    sizes
}

/// A read, again after it failed, a bounded number of times.
pub fn patiently<T>(
    hand: &mut dyn Hands,
    pace: &Pace<'_>,
    read: impl Fn(&mut dyn Hands) -> Result<T, HandsError>,
) -> Result<T, HandsError> {
    for wait in RETRIES {
        match read(hand) {
            Ok(found) => return Ok(found),
            Err(why) => (pace.tell)(hand.venue(), &format!("{why}; asking again")),
        }
        (pace.sleep)(wait);
    }
    read(hand)
}

/// Does the same on both sides at the same time, so that neither waits for the other.
pub fn both<H: Send, T: Send>(
    sides: &mut [H; VENUE_COUNT],
    work: impl Fn(&mut H) -> T + Sync,
) -> [T; VENUE_COUNT] {
    let [one, other] = sides;
    let work = &work;
    std::thread::scope(|scope| {
        let beside = scope.spawn(move || work(other));
        let here = work(one);
        let there = beside
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        [here, there]
    })
}
