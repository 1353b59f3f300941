//! What comes from outside the pairs: positions taken over, venues that close, legs that a venue
//! takes away, and hands that are not ours.
//!
//! A leg is known to be taken away by the venue's own word (a forced trade), or by its position:
//! smaller than our fills explain, said twice some time apart, or once and standing for seconds.
//! Then the other leg is closed at once and the market rests. The venue then owes the trade; what
//! no trade has told after a while halts as well.
//!
//! Promises: nothing here trades; it tells the pairs and raises halt.
//! Refuses: to guess. One position report is one source at one time.

use crate::market::book::Side;
use crate::market::event::{Adopted, HaltCause};
use crate::market::order::{OrderId, Report, ReportKind};
use crate::market::units::{Nanos, Notional, SECOND, Size};
use crate::market::{InstrumentId, VENUE_COUNT, VENUES, Venue};
use crate::scanner::Scanner;
use crate::scanner::gone::Late;
use crate::scanner::hedge;
use crate::scanner::pair::Fill;
use crate::scanner::send::Scene;

/// Two reports of one smaller position agree when they are this far apart. Larger: later. Smaller:
/// a burst of reports about one moment counts as two.
const APART_NS: u64 = SECOND;

/// A position that is smaller without another report of it is believed after this time: longer than
/// a stream that died between a trade and its position is taken for alive. Larger: the other leg
/// stands alone for longer. Smaller: a dead stream closes legs that stand.
pub(super) const SHRUNK_NS: u64 = 5 * SECOND;

/// A market rests for so long after a venue took a leg there. Larger: edges missed. Smaller: a new
/// pair stands on a margin that is still being taken apart.
const FORCED_REST_NS: u64 = 60 * SECOND;

/// The trade behind a position that shrank is waited for so long: a question for it may be held
/// back for a minute by the venue's own word. Larger: a human is called later. Smaller: a front
/// door that is shut ends a run whose legs are even.
const OWED_NS_MAX: u64 = 180 * SECOND;
/// The same while everything is being left: a run does not end with a question open.
const OWED_NS_DRAINING: u64 = 30 * SECOND;

/// What is noticed of one instrument beside its pairs.
#[derive(Clone, Copy, Default)]
pub struct Watch {
    /// Its position was heard, by venue.
    pub is_heard: [bool; VENUE_COUNT],
    /// By how much it is smaller than the pairs explain, and since when, by venue.
    shrunk: [(Size, Nanos); VENUE_COUNT],
    /// Since when a trade is owed for what its position has lost, by venue.
    pub owed: [Option<Nanos>; VENUE_COUNT],
}

/// Who has looked at a position.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The venue's report of it.
    Report,
    /// We, at the beat, at what was reported before.
    Beat,
}

/// What a venue took of a leg.
#[derive(Clone, Copy)]
struct Taken {
    venue: Venue,
    fill: Fill,
    /// As a trade; otherwise its position shows it.
    is_told: bool,
}

impl Scanner {
    /// A pair of this run from now on, in a free slot. Without one, or on an instrument that is not
    /// there, nobody would manage it: that halts.
    #[cold]
    pub(super) fn adopt(&mut self, adopted: &Adopted, now: Nanos) {
        let instrument = adopted.instrument;
        let is_sane = adopted.size.0 > 0 && adopted.entry.iter().all(|price| price.0 > 0);
        let is_known = self.boards.get(instrument.idx()).is_some();
        let free = match is_sane && is_known {
            true => self
                .slots_of(instrument)
                .find(|at| !self.pairs[*at].is_active()),
            false => None,
        };
        let Some(slot) = free else {
            return self.desk.raise(HaltCause::Unexplained);
        };
        let number = self.pairs_made.wrapping_add(1) & 0xFF_FFFF;
        self.pairs_made = number;
        let mut scene = Scene {
            board: &self.boards[instrument.idx()],
            limits: &self.limits,
            desk: &mut self.desk,
            ours: [None; VENUE_COUNT],
            now,
        };
        hedge::adopt(&mut self.pairs[slot], adopted, number, &mut scene);
        self.tally.count(slot, &self.pairs[slot]);
        // What was heard of the position before took all of it for a stranger's.
        for venue in VENUES {
            if self.watches[instrument.idx()].is_heard[venue.idx()] {
                let ours = self.pairs[slot].position(venue);
                self.boards[instrument.idx()].base[venue.idx()] -= ours;
            }
        }
    }

    /// A venue comes, goes, or closes: whatever waits for it is looked at once more.
    #[cold]
    pub(super) fn hear_of_venue(&mut self, venue: Venue, kind: &ReportKind, now: Nanos) {
        if let ReportKind::Closed { closed } = *kind {
            self.desk.is_closed[venue.idx()] = closed;
            // It also says so itself; but nothing may be entered in between.
            self.desk.accounts[venue.idx()].is_up &= !closed;
        }
        if *kind == ReportKind::Up {
            self.desk.t_up[venue.idx()] = now;
            // What stood before nobody listened has not stood since.
            for watch in &mut self.watches {
                watch.shrunk[venue.idx()] = (Size::ZERO, now);
            }
        }
        for (slot, pair) in self.pairs.iter().enumerate() {
            if pair.is_moving() {
                self.dirty[slot / 64] |= 1 << (slot % 64);
            }
        }
    }

    /// A fill that no order of this run explains: another run or program trades on this account.
    #[cold]
    pub(super) fn hear_of_stranger(&mut self, report: &Report) {
        if let ReportKind::Fill { .. } = report.kind {
            self.desk.raise(HaltCause::Foreign);
        }
    }

    /// A fill of this run whose pair is over: what it left open gets a pair again, which completes
    /// it or takes it back. What can't be explained is exposure that nobody manages, and halts.
    #[cold]
    pub(super) fn hear_of_nobody(&mut self, report: &Report) {
        let Some(mut fill) = Fill::of(report) else {
            return;
        };
        let (venue, instrument) = (report.venue, report.instrument);
        match self.gone.hear(report.order.pair(), venue, &fill) {
            Late::Known => {}
            Late::Lone(long, size) => {
                let mut slots = self.slots_of(instrument);
                let Some(slot) = slots.find(|at| !self.pairs[*at].is_active()) else {
                    let apart = self.apart(instrument);
                    return self.desk.raise_about(HaltCause::Unexplained, apart);
                };
                fill.size = size;
                self.pairs_made = self.pairs_made.wrapping_add(1) & 0xFF_FFFF;
                let fair = self.boards[instrument.idx()].fair.known();
                let late = (self.pairs_made, long, fair);
                hedge::reopen(
                    &mut self.pairs[slot],
                    late,
                    (venue, &fill),
                    &self.desk.rules,
                );
                self.dirty[slot / 64] |= 1 << (slot % 64);
                self.tally.count(slot, &self.pairs[slot]);
                self.uneven[instrument.idx() / 64] |= 1 << (instrument.idx() % 64);
            }
            Late::Strange => {
                let apart = self.apart(instrument);
                self.desk.raise_about(HaltCause::Unexplained, apart);
            }
        }
    }

    /// The venue traded for us by right.
    #[cold]
    pub(super) fn hear_forced(&mut self, venue: Venue, report: &Report, now: Nanos) {
        let ReportKind::Forced {
            side,
            price,
            size,
            fee,
            ..
        } = report.kind
        else {
            return;
        };
        let fill = Fill {
            id: OrderId::NONE,
            side,
            price,
            size,
            fee,
            t: report.t,
        };
        let taken = Taken {
            venue,
            fill,
            is_told: true,
        };
        self.take_away(report.instrument, taken, now);
    }

    /// A position was reported: has it become smaller than the pairs explain?
    pub(super) fn look_at_position(&mut self, venue: Venue, at: InstrumentId, now: Nanos) {
        if self.boards.get(at.idx()).is_some() {
            self.follow_shrunk(at, venue, now, Source::Report);
        }
    }

    /// Follows what has made the pairs' legs smaller; true when something has. Proven, it is
    /// booked. An order under way proves nothing and disproves nothing: what no outcome of it
    /// explains counts, and what was seen before it left stays seen.
    pub(super) fn follow_shrunk(
        &mut self,
        instrument: InstrumentId,
        venue: Venue,
        now: Nanos,
        source: Source,
    ) -> bool {
        let Some(lost) = self.lost(instrument, venue) else {
            return false;
        };
        let pairs = &self.pairs[self.slots_of(instrument)];
        let active = pairs.iter().filter(|pair| pair.is_active());
        let ours = active.fold(Size::ZERO, |sum, pair| sum + pair.position(venue));
        let is_bound = self.drift(instrument, venue).is_none();
        let seen = &mut self.watches[instrument.idx()].shrunk[venue.idx()];
        let is_within = is_bound && (lost.0 == 0 || lost.0.signum() == seen.0.0.signum());
        if !is_within || lost.0.abs() > seen.0.0.abs() {
            let is_ours = lost.0.abs() <= ours.0.abs();
            let lost = if is_ours { lost } else { Size::ZERO };
            if seen.0 != lost || lost.0 == 0 {
                *seen = (lost, now);
                return lost.0 != 0;
            }
        }
        let stood_ns = now.since(seen.1);
        let is_told_twice = source == Source::Report && stood_ns >= APART_NS;
        if lost.0 != 0 && (is_told_twice || stood_ns >= SHRUNK_NS) {
            *seen = (Size::ZERO, now);
            self.book_shrunk(instrument, venue, lost, now);
        }
        lost.0 != 0
    }

    /// The position has shown it: taken at the last price seen, until the venue tells the trade.
    #[cold]
    fn book_shrunk(&mut self, instrument: InstrumentId, venue: Venue, drift: Size, now: Nanos) {
        let side = match drift.0 > 0 {
            true => Side::Bid,
            false => Side::Ask,
        };
        let board = &self.boards[instrument.idx()];
        let size = Size(drift.0.abs());
        let price = board.touch_last(venue).map(|touch| touch.against(side));
        let price = price.unwrap_or_default();
        let fill = Fill {
            id: OrderId::NONE,
            side,
            price,
            size,
            fee: board.market(venue).fee_taker.of(price * size),
            t: now,
        };
        let taken = Taken {
            venue,
            fill,
            is_told: false,
        };
        self.take_away(instrument, taken, now);
    }

    /// Books what was taken to the pairs that held it, in slot order, and calls a human. What no
    /// pair held was a stranger's; the audit tells of that.
    #[cold]
    fn take_away(&mut self, instrument: InstrumentId, taken: Taken, now: Nanos) {
        let Some(board) = self.boards.get_mut(instrument.idx()) else {
            return;
        };
        board.t_rest = board.t_rest.max(now.plus(FORCED_REST_NS));
        // What the venue says that it took is a known loss. What it merely no longer holds is not.
        if !taken.is_told {
            let owed = &mut self.watches[instrument.idx()].owed[taken.venue.idx()];
            owed.get_or_insert(now);
        }
        self.allot(instrument, taken, None, now);
    }

    /// At the beat: a position that shrank is explained by now, or its market rests on, until a
    /// human is called.
    pub(super) fn look_at_owed(&mut self, instrument: InstrumentId, venue: Venue, now: Nanos) {
        let Some(since) = self.watches[instrument.idx()].owed[venue.idx()] else {
            return;
        };
        let pairs = self.pairs[self.slots_of(instrument)].iter();
        let active = pairs.filter(|pair| pair.is_active());
        let untold = active.fold(Size::ZERO, |sum, pair| sum + pair.taken_untold(venue));
        let is_told = (untold + self.gone.taken_untold(instrument, venue)).0 == 0;
        let most_ns = match self.draining {
            true => OWED_NS_DRAINING,
            false => OWED_NS_MAX,
        };
        let is_over = now.since(since) >= most_ns;
        if is_told || is_over {
            self.watches[instrument.idx()].owed[venue.idx()] = None;
        } else {
            let board = &mut self.boards[instrument.idx()];
            board.t_rest = board.t_rest.max(now.plus(SECOND));
        }
        if is_over && !is_told {
            let apart = self.apart(instrument);
            self.desk.raise_about(HaltCause::Forced, apart);
        }
    }

    /// Gives what was taken to the pairs but one: first to those that are over and were found to
    /// have lost it, then to those that held it, then to those that may have opened it by fills
    /// that nobody has told. What is left is a stranger's.
    fn allot(
        &mut self,
        instrument: InstrumentId,
        taken: Taken,
        except: Option<usize>,
        now: Nanos,
    ) -> Size {
        let mut fill = taken.fill;
        let mut left = fill.size;
        if taken.is_told {
            left -= self.gone.hear_taken(instrument, taken.venue, &fill);
        }
        for slot in self.slots_of(instrument).filter(|at| Some(*at) != except) {
            let pair = &mut self.pairs[slot];
            let is_closing = pair.is_active() && fill.side != pair.opening_side(taken.venue);
            let held = pair.legs[taken.venue.idx()].held.max(Size::ZERO);
            let untold = match taken.is_told {
                true => pair.closed_untold(taken.venue),
                false => Size::ZERO,
            };
            fill.size = left.min(held + untold);
            if is_closing && fill.size.0 > 0 {
                self.book_taken(slot, (taken.venue, &fill), taken.is_told, now);
                left -= fill.size;
                // The fee is paid once.
                fill.fee = Notional::ZERO;
            }
        }
        for slot in self.slots_of(instrument).filter(|at| Some(*at) != except) {
            let pair = &mut self.pairs[slot];
            let is_closing = pair.is_active() && fill.side != pair.opening_side(taken.venue);
            let leg = &mut pair.legs[taken.venue.idx()];
            fill.size = left.min(leg.may_be_taken());
            if taken.is_told && is_closing && fill.size.0 > 0 {
                left -= fill.size;
                let before = leg.taken_early.unwrap_or(Fill {
                    size: Size::ZERO,
                    fee: Notional::ZERO,
                    ..fill
                });
                leg.taken_early = Some(Fill {
                    size: before.size + fill.size,
                    fee: before.fee + fill.fee,
                    ..fill
                });
                fill.fee = Notional::ZERO;
            }
        }
        left
    }

    fn book_taken(&mut self, slot: usize, (venue, fill): (Venue, &Fill), told: bool, now: Nanos) {
        let pair = &mut self.pairs[slot];
        let scene = Scene {
            board: &self.boards[pair.instrument.idx()],
            limits: &self.limits,
            desk: &mut self.desk,
            ours: [None; VENUE_COUNT],
            now,
        };
        hedge::take_away(pair, venue, fill, told, &scene);
        self.dirty[slot / 64] |= 1 << (slot % 64);
    }

    /// A fill may come after the word that the venue took what it opened, or show that what was
    /// taken was another pair's: after a break nobody says in which order things were. Or a close
    /// whose leg an untold fill had closed already took it from another pair: the venue lets no
    /// reduce-only order turn a position, but knows of no pairs.
    pub(super) fn settle_taken(&mut self, slot: usize, report: &Report, now: Nanos) {
        let Some(fill) = Fill::of(report) else { return };
        let (venue, instrument) = (report.venue, report.instrument);
        let leg = &mut self.pairs[slot].legs[venue.idx()];
        if let Some(early) = leg.take_early() {
            self.book_taken(slot, (venue, &early), true, now);
        }
        let pair = &self.pairs[slot];
        let over = -pair.legs[venue.idx()].held;
        if over.0 <= 0 {
            return;
        }
        let fill = Fill {
            id: OrderId::NONE,
            size: over,
            fee: Notional::ZERO,
            ..fill
        };
        let taken = Taken {
            venue,
            fill,
            is_told: true,
        };
        let left = self.allot(instrument, taken, Some(slot), now);
        // It has closed so much that the venue had not taken here.
        let fill = Fill {
            side: fill.side.other(),
            size: over - left,
            ..fill
        };
        if fill.size.0 > 0 {
            self.pairs[slot].fill(venue, &fill);
        }
    }
}
