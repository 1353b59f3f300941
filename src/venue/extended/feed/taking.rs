//! One message of a full book being taken, by the scanner or from the parser.
//!
//! Promises: records leave only when the whole message is good; the first one of a whole book
//! empties the one before, the last one of any message lets consumers look. A message in which
//! nothing changed is a word of the book too: it leaves as a record without a level, because it
//! says how fresh the book is.
//! Refuses: a change without its new absolute size (`c`), one that does not fit the size we hold,
//! a level told twice, and a message that does not fit the batch.

use super::audit;
use super::track::{BookState, Track};
use crate::market::Venue;
use crate::market::book::{Book, Delta, Side, flags};
use crate::market::event::{Doubt, Event, FrameKind};
use crate::market::units::{Nanos, Price, Size};
use crate::venue::Told;
use crate::venue::extended::frame::Head;
use crate::venue::extended::wire::{BookData, Depth, Json, WireLevel, read_level};
use crate::venue::repeats::Repeats;

/// When a message was built and read.
#[derive(Clone, Copy)]
pub(super) struct Stamps {
    /// The venue's milliseconds; 0 when it does not say.
    pub stamp_ms: u64,
    /// The same on our clock; zero when that can't be told.
    pub made: Nanos,
    /// When it was read.
    pub now: Nanos,
}

/// One message being taken.
pub(super) struct Taking<'a> {
    pub track: &'a mut Track,
    pub told: &'a mut Told,
    /// The full book before the message, if anybody keeps it.
    pub book: Option<&'a Book>,
    pub repeats: &'a mut Repeats,
    /// Where this message's records begin.
    pub start: usize,
    pub stamps: Stamps,
}

impl Taking<'_> {
    /// A message of the known shape. `None`, with nothing changed, for everything that is not in
    /// order: the parser asks the same questions and names what is wrong.
    #[inline]
    pub fn scan(&mut self, head: Head<'_>) -> Option<FrameKind> {
        let is_snapshot = head.is_snapshot;
        if !is_snapshot && self.track.state != BookState::Live {
            return Some(FrameKind::Update);
        }
        let blank = self.blank(is_snapshot);
        let deltas = &mut self.told.deltas;
        // The parser's way counts what does not fit.
        let mut take = |side, level| {
            let is_taken = deltas.room() > 0 && deltas.push(with(blank, side, level));
            is_taken.then_some(())
        };
        let is_in_order = match self.book {
            _ if is_snapshot => head.read(Depth::Full, |side, level| match level.size {
                Size::ZERO => Some(()),
                _ => take(side, level),
            }),
            None => head.read(Depth::Full, take),
            Some(book) => head.read(Depth::Full, |side, level| {
                let is_good = audit::fits(book, side, &level);
                is_good.then(|| take(side, level))?
            }),
        };
        let Some(is_in_order) = is_in_order else {
            self.told.deltas.truncate(self.start);
            return None;
        };
        Some(self.finish(is_snapshot, is_in_order))
    }

    /// A message from the parser.
    pub fn parsed(
        &mut self,
        is_snapshot: bool,
        data: &BookData<'_, '_>,
    ) -> Result<FrameKind, FrameKind> {
        let sides = data.sides.filter(|_| data.is_of(Depth::Full));
        let [bids, asks] = sides.ok_or(FrameKind::Malformed)?;
        // A change to a book that was never whole says nothing yet; it only counts in the row.
        if !is_snapshot && self.track.state != BookState::Live {
            return Ok(FrameKind::Update);
        }
        self.side(Side::Bid, bids, is_snapshot)?;
        self.side(Side::Ask, asks, is_snapshot)?;
        Ok(self.finish(is_snapshot, false))
    }

    /// Pushes one side. A level that cannot be read or a batch that is full is a fault, because a
    /// book with a level missing is not whole.
    fn side(
        &mut self,
        side: Side,
        levels: Json<'_, '_>,
        is_snapshot: bool,
    ) -> Result<(), FrameKind> {
        let blank = self.blank(is_snapshot);
        let book = self.book.filter(|_| !is_snapshot);
        for level in levels.elements() {
            let level = read_level(level, is_snapshot)?;
            if book.is_some_and(|book| !audit::fits(book, side, &level)) {
                return Err(FrameKind::Misfit);
            }
            let says_nothing = is_snapshot && level.size == Size::ZERO;
            if !says_nothing && !self.told.deltas.push(with(blank, side, level)) {
                return Err(FrameKind::Malformed);
            }
        }
        Ok(())
    }

    /// All levels are pushed: what they are together.
    #[inline]
    fn finish(&mut self, is_snapshot: bool, is_in_order: bool) -> FrameKind {
        let pushed = &self.told.deltas.items()[self.start..];
        if !is_in_order && self.repeats.are_in(pushed, |delta| delta.side) {
            return FrameKind::DuplicateLevel;
        }
        let is_in_step = self.track.state == BookState::Live;
        let held = self.book.filter(|_| is_snapshot && is_in_step);
        let is_held = held.map(|book| audit::agrees(book, pushed));
        let is_doubted = is_held == Some(false);
        // What is held already need not be told again, unless some of it had been cut off.
        let is_news = is_held != Some(true) || held.is_some_and(|book| book.cut_count() > 0);
        if !is_news {
            self.told.deltas.truncate(self.start);
        }
        let blank = self.blank(is_snapshot);
        if self.told.deltas.items().len() == self.start && !self.push_mark(blank, flags::EMPTY) {
            return FrameKind::Malformed;
        }
        // A snapshot makes good what a stale mark still due would have condemned, and ends the top
        // that this mark would have ended.
        let stamp_ms = self.stamps.stamp_ms;
        let is_ahead = self.track.top_ms.is_none_or(|top_ms| stamp_ms < top_ms);
        let has_caught_up = !is_ahead || (is_snapshot && self.track.mark_due);
        if let [first, ..] = &mut self.told.deltas.items_mut()[self.start..] {
            first.flags |= if is_snapshot && is_news {
                flags::CLEAR
            } else {
                0
            };
            first.flags |= if has_caught_up { flags::CAUGHT_UP } else { 0 };
        }
        if let [.., last] = &mut self.told.deltas.items_mut()[self.start..] {
            last.flags |= flags::LAST;
        }
        if is_doubted && !self.doubt() {
            return FrameKind::Malformed;
        }
        self.keep(is_snapshot, has_caught_up || is_doubted)
    }

    /// The message is good: what is remembered of it.
    #[inline]
    fn keep(&mut self, is_snapshot: bool, is_top_over: bool) -> FrameKind {
        let track = &mut *self.track;
        track.book_ms = self.stamps.stamp_ms;
        if is_top_over {
            track.top_ms = None;
        }
        if track.state == BookState::Live {
            track.watch.hear(self.stamps.now);
        } else {
            track.watch.start(self.stamps.now);
        }
        if !is_snapshot {
            return FrameKind::Update;
        }
        track.mark_due = false;
        track.has_asked = false;
        track.state = BookState::Live;
        FrameKind::Snapshot
    }

    /// The minute's snapshot is not the book we held: that one is marked stale before it goes, so
    /// that nobody acts until the new one has proved itself.
    ///
    /// Open: whether a minute's snapshot can hold changes that no delta told before it. Then busy
    /// markets would be doubted each minute; a recording of two minutes of one settles it.
    #[cold]
    fn doubt(&mut self) -> bool {
        let mark = flags::STALE | flags::EMPTY | flags::LAST;
        let mark = self.track.mark(mark, self.stamps.now);
        let is_said = self.told.deltas.push(mark);
        if is_said {
            self.told.deltas.items_mut()[self.start..].rotate_right(1);
            self.told.notes.push(Event::Doubted {
                venue: Venue::Extended,
                instrument: self.track.instrument,
                why: Doubt::Disagreed,
            });
        }
        is_said
    }

    #[inline]
    fn push_mark(&mut self, blank: Delta, meaning: u8) -> bool {
        let flags = blank.flags | meaning;
        self.told.deltas.push(Delta { flags, ..blank })
    }

    /// What all records of the message have in common. The stage stamps the push.
    #[inline]
    pub fn blank(&self, is_snapshot: bool) -> Delta {
        Delta {
            price: Price::ZERO,
            size: Size::ZERO,
            t_recv: self.stamps.now,
            t_made: self.stamps.made,
            t_push: Nanos::ZERO,
            instrument: self.track.instrument,
            venue: Venue::Extended,
            side: Side::Bid,
            flags: if is_snapshot { flags::SNAPSHOT } else { 0 },
        }
    }
}

/// One level's record.
#[inline]
fn with(blank: Delta, side: Side, level: WireLevel) -> Delta {
    Delta {
        price: level.price,
        size: level.size,
        side,
        ..blank
    }
}
