//! What would be sent next, told to a gateway in idle turns, so that it can be signed beforehand.
//!
//! For each instrument: the first order of an entry either way as the limits would size it now, and
//! of each open pair the hedge that follows a fill or the order that leaves. Which edge comes is
//! not known; what would be sent if it came by the other venue's price mostly is.
//!
//! Promises: nothing is told while anything forbids entries, and what was told is taken back as
//! soon as that is so or a book is not to be believed; it costs the path a bit in a word, the rest
//! is done in turns that found nothing to do, one instrument a turn.
//! Refuses: to decide. An order is sent by the rooms that send orders, whatever was told.

use crate::market::foresight::{Foresight, Rung};
use crate::market::units::{Bps, MS, Nanos, Price, SECOND, Size};
use crate::market::{INSTRUMENTS_MAX, InstrumentId, VENUE_COUNT, VENUES, Venue};
use crate::scanner::enter::Chance;
use crate::scanner::leave::exit_quote;
use crate::scanner::pair::{Pair, State};
use crate::scanner::risk::{SLOTS_MAX, room};
use crate::scanner::send::{price_at_touch, widened};
use crate::scanner::spread::{Haircut, Terms, Walk};
use crate::scanner::{Scanner, ramp};
use crate::stage::link::Tx;

/// The only venue whose gateway keeps orders ready.
const VENUE: Venue = Venue::Extended;
/// What still holds is told again after so long, so that it is signed again before its life ends.
/// Larger: a gap at the end of each life. Smaller: words for nothing.
const AGAIN_NS: u64 = SECOND;
/// What no message tells (a book that is silent for too long, a limit that has changed) is looked
/// for this often. Larger: a word stands longer than what it was told on.
const LOOK_NS: u64 = 250 * MS;
/// Rungs of one instrument: an entry either way, and one of each pair.
const RUNGS: usize = 2 + SLOTS_MAX;

// What is not foreseen
//
// An order that this venue's own price brings about has the limit of a touch that nobody has seen
// yet. Neighbours of the touch (two ticks either way) were tried and met none of them: a price that
// moves far enough to matter moves by more ticks than are worth a signature each.
/// Instruments that a beat tells about, where no turn ever is idle.
const PER_BEAT: usize = 4;

/// Where words go, and which have gone.
pub(super) struct Outlook {
    link: Option<Tx<Foresight>>,
    /// Instruments with news, a bit each.
    due: [u64; INSTRUMENTS_MAX / 64],
    /// Told of last.
    last: InstrumentId,
    told: Box<[Told]>,
    /// Everything was taken back, and nothing told since.
    is_silent: bool,
    /// When all are due again.
    t_look: Nanos,
}

/// What stands told of one instrument, and when it was.
#[derive(Clone, Copy, Default)]
struct Told {
    rungs: [Option<(Rung, Nanos)>; RUNGS],
}

impl Outlook {
    /// For so many instruments; tells nobody yet.
    pub(super) fn new(instruments: usize) -> Outlook {
        Outlook {
            link: None,
            due: [0; INSTRUMENTS_MAX / 64],
            last: InstrumentId(0),
            told: vec![Told::default(); instruments].into_boxed_slice(),
            is_silent: true,
            t_look: Nanos::ZERO,
        }
    }

    /// Something about this instrument has changed.
    #[inline]
    pub(super) fn mark(&mut self, instrument: InstrumentId) {
        let idx = instrument.idx();
        self.due[idx / 64] |= 1 << (idx % 64);
    }

    /// The next that is due after the last one, round and round.
    fn next_due(&self) -> Option<InstrumentId> {
        let (first, bit) = (self.last.idx() / 64, self.last.idx() % 64);
        let after = |word: usize| match word {
            0 => self.due[first] & (!1 << bit),
            word => self.due[(first + word) % self.due.len()],
        };
        let word = (0..=self.due.len()).find(|word| after(*word) != 0)?;
        let at = (first + word) % self.due.len() * 64;
        Some(InstrumentId(
            at as u16 + after(word).trailing_zeros() as u16,
        ))
    }

    fn unmark(&mut self, instrument: InstrumentId) {
        let idx = instrument.idx();
        self.due[idx / 64] &= !(1 << (idx % 64));
    }

    /// False when the link is full: said again at the next turn.
    fn say(&mut self, word: Foresight) -> bool {
        let link = self.link.as_mut();
        link.is_none_or(|link| link.push(word).is_ok())
    }
}

impl Scanner {
    /// Tells a gateway what would be sent next.
    pub fn foreseeing(mut self, link: Tx<Foresight>) -> Scanner {
        self.outlook.link = Some(link);
        self
    }

    /// Tells about one instrument that has changed; for turns with nothing else to do.
    pub(super) fn foretell(&mut self, now: Nanos) -> usize {
        if self.outlook.link.is_none() {
            return 0;
        }
        if self.is_silenced() {
            return usize::from(self.take_back());
        }
        let Some(instrument) = self.outlook.next_due() else {
            return 0;
        };
        self.outlook.last = instrument;
        if self.tell_of(instrument, now) {
            self.outlook.unmark(instrument);
        }
        1
    }

    /// What was forbidden meanwhile is taken back even in a turn that never idles, and what is told
    /// is told again before it is too old.
    pub(super) fn beat_outlook(&mut self, now: Nanos) {
        if now >= self.outlook.t_look {
            self.outlook.t_look = now.plus(LOOK_NS);
            let instruments = 0..self.outlook.told.len();
            instruments.for_each(|idx| self.outlook.mark(InstrumentId(idx as u16)));
        }
        for _ in 0..PER_BEAT {
            self.foretell(now);
        }
    }

    /// No entry may be sent on any market: risk has the word.
    fn is_silenced(&self) -> bool {
        self.desk.is_halted()
            || self.draining
            || !(self.limits.entries_enabled && self.entries_on)
            || self.desk.breakers.refusal().is_some()
            || !self.desk.accounts.iter().all(|account| account.is_up)
    }

    /// Takes everything back, once; true when that was said.
    fn take_back(&mut self) -> bool {
        let outlook = &mut self.outlook;
        if outlook.is_silent || !outlook.say(Foresight::DropAll) {
            return false;
        }
        outlook.is_silent = true;
        outlook.told.fill(Told::default());
        true
    }

    /// Says what has changed of an instrument; false when not all of it could be said.
    fn tell_of(&mut self, instrument: InstrumentId, now: Nanos) -> bool {
        let board = &self.boards[instrument.idx()];
        let doubt = board.doubt(now, self.limits.stale_after_ns);
        // An entry that may not be sent any more takes all with it.
        let (rungs, ends) = match doubt.is_none() && board.touches().is_some() && board.entries_on {
            true => (self.rungs(instrument, now), VENUES.len()),
            false => ([None; RUNGS], RUNGS),
        };
        let told = &self.outlook.told[instrument.idx()].rungs;
        let mut ended = told.iter().zip(&rungs).take(ends);
        if ended.any(|(told, rung)| told.is_some() && rung.is_none()) {
            if !self.outlook.say(Foresight::Drop(instrument)) {
                return false;
            }
            self.outlook.told[instrument.idx()] = Told::default();
        }
        for (at, rung) in rungs.into_iter().enumerate() {
            let told = self.outlook.told[instrument.idx()].rungs[at];
            let stands = |rung| told.is_some_and(|(old, t)| old == rung && now.since(t) < AGAIN_NS);
            let Some(rung) = rung.filter(|rung| !stands(*rung)) else {
                continue;
            };
            if !self.outlook.say(Foresight::Rung(rung)) {
                return false;
            }
            self.outlook.told[instrument.idx()].rungs[at] = Some((rung, now));
            self.outlook.is_silent = false;
        }
        true
    }

    /// What would be sent next on an instrument: an entry either way, then what its pairs need.
    fn rungs(&self, instrument: InstrumentId, now: Nanos) -> [Option<Rung>; RUNGS] {
        let mut rungs = [None; RUNGS];
        let chances = self.chances(instrument, now, now);
        for (at, chance) in chances.into_iter().flatten().enumerate() {
            rungs[at] = self.foreseen(&chance).map(|(size, prices)| Rung {
                instrument,
                side: chance.side(VENUE),
                price: prices[VENUE.idx()],
                size,
            });
        }
        let slots = self.slots_of(instrument);
        for (rung, slot) in rungs[VENUES.len()..].iter_mut().zip(slots) {
            *rung = self.rung_of(&self.pairs[slot]);
        }
        rungs
    }

    /// What an entry would send if its edge paid as deep as the limits allow: its size, and the
    /// limit of each leg. As a plan is made, but for what only an edge can tell.
    fn foreseen(&self, chance: &Chance) -> Option<(Size, [Price; VENUE_COUNT])> {
        let (ground, board) = (self.ground(chance), &self.boards[chance.instrument.idx()]);
        let bids = chance.touches.map(|touch| touch.bid);
        let size_min = board.lattice.size_min(bids);
        let earned = ramp::left(board, &self.limits.ramp, (size_min, &ground));
        let cap_at = |prices| earned.or(room(&self.limits, &ground, prices)).0;
        let touch_prices = self.limit_prices(chance, chance.touches.map(|t| (t.ask, t.bid)));
        let terms = Terms {
            yardstick: chance.yardstick,
            long: chance.long,
            edge_min: Bps::ZERO,
            haircut: Haircut::cut_e4(self.limits.depth_haircut_e4),
            cap: cap_at(touch_prices),
            step: board.lattice.step(),
        };
        if terms.step.0 == 0 || terms.cap < size_min {
            return None;
        }
        let books = VENUES.map(|venue| board.book(venue));
        let limits_of = |walk: &Walk| {
            let worst = walk.taken.map(|taken| (taken.worst, taken.worst));
            self.limit_prices(chance, worst)
        };
        let walk = Walk::sized(books, &terms, terms.cap)?;
        let cap = cap_at(limits_of(&walk));
        let walk = match walk.size > cap {
            true => Walk::sized(books, &terms, cap)?,
            false => walk,
        };
        (walk.size >= size_min).then(|| (walk.size, limits_of(&walk)))
    }

    /// What a pair sends next to the venue if all goes as planned: the hedge once the other leg has
    /// filled whole, or what leaves. Nothing while an order of it is there already.
    fn rung_of(&self, pair: &Pair) -> Option<Rung> {
        let board = &self.boards[pair.instrument.idx()];
        let (leg, opening) = (&pair.legs[VENUE.idx()], pair.opening_side(VENUE));
        let band = self.limits.hedge_band;
        if leg.order.is_some() {
            return None;
        }
        let (side, price, size) = match pair.state {
            State::Entering | State::Legged if leg.held < pair.size => {
                let band = widened(
                    board.hedge_band(pair.lead, pair.long, band),
                    pair.hedge_tries,
                );
                let price = price_at_touch(board, VENUE, opening, band)?;
                (opening, price, pair.size - leg.held)
            }
            State::Hedged if pair.lead == Some(VENUE) => {
                let worst = exit_quote(pair, board)?[VENUE.idx()].worst;
                let side = opening.other();
                let price = board.limit(VENUE, side, worst, self.limits.slippage);
                (side, price, leg.held)
            }
            State::Hedged | State::Leaving => {
                let side = opening.other();
                let price = price_at_touch(board, VENUE, side, widened(band, pair.close_tries))?;
                (side, price, leg.held)
            }
            State::Flat | State::Entering | State::Legged | State::Unwinding | State::Stuck => {
                return None;
            }
        };
        let size = size.floor_to(board.market(VENUE).lot);
        (size.0 > 0 && price.0 > 0).then_some(Rung {
            instrument: pair.instrument,
            side,
            price,
            size,
        })
    }
}
