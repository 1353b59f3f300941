//! The books of all markets: continuity, faults, doubts.
//!
//! Promises: deltas of a market are continuous from a `CLEAR` on, or a `STALE` has said otherwise;
//! a frame is taken whole or not at all, the same by scanner and parser. A fault or a doubt costs
//! one market its trust; a frame that nobody can be named for costs all of its connection.
//! Refuses: updates that do not begin where the last one ended; frames of a market that is being
//! left, or that lives on another connection by now.
//!
//! ```text
//! AwaitingSnapshot -> Live { sequence } -> Stale -> Live
//! ```

use super::channel::Topic;
use super::channels::{Channels, Hearing, kind_of, place};
use crate::market::book::flags;
use crate::market::event::{Doubt, Event, FrameKind};
use crate::market::units::{Nanos, SECOND};
use crate::market::{InstrumentId, Market, Venue};
use crate::venue::clock::VenueClock;
use crate::venue::lighter::FEED_LANES;
use crate::venue::lighter::changes::{Frame, group};
use crate::venue::lighter::frame::{self, Levels};
use crate::venue::lighter::wire::{self, Json, Kind};
use crate::venue::repeats::Repeats;
use crate::venue::watch::Watch;
use crate::venue::{Call, Deltas, Heard, Lane};

/// No row in the table of market ids.
const NO_ROW: u16 = u16::MAX;
/// Between two words about the venue's clock.
const OFFSET_EVERY_NS: u64 = 10 * SECOND;
/// When so many books are found silent while their connection has brought nothing else, it is the
/// connection that is at fault, and not each of them: it is given up before the minute's requests
/// are spent on it. Larger: more of them are. Smaller: a lull in a few thin markets costs it.
const DEAD_DOUBTS: u32 = 4;
/// And nothing else for this long.
const DEAD_NS: u64 = 5 * SECOND;

/// Whether a market's book can be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Book {
    /// Nothing was said about it yet on this connection.
    AwaitingSnapshot,
    /// In step; the next update must begin at `sequence`.
    Live {
        /// The engine's, after the last frame.
        sequence: u64,
    },
    /// It was in step and is no more; a `STALE` was pushed.
    Stale,
}

/// One market.
pub struct Row {
    /// Whose it is.
    pub instrument: InstrumentId,
    /// Its book.
    pub book: Book,
    /// Sequence of the fast top, while that is shown; only over a live book.
    pub top: Option<u64>,
    /// Silence and frost.
    pub watch: Watch,
}

impl Row {
    /// A record without a level.
    fn mark(&self, meaning: u8, now: Nanos, deltas: &mut Deltas) {
        let frame = Frame {
            instrument: self.instrument,
            now,
            made: Nanos::ZERO,
            first: 0,
        };
        deltas.push(frame.mark(meaning | flags::LAST));
    }

    /// Not to be trusted from here on, nor its fast top.
    fn spoil(&mut self, now: Nanos, deltas: &mut Deltas) {
        self.book = Book::Stale;
        self.top = None;
        self.mark(flags::STALE, now, deltas);
    }

    /// Forgets the fast top, if one is shown: the full book is what there is.
    pub fn uncover(&mut self, now: Nanos, deltas: &mut Deltas) {
        if self.top.take().is_some() {
            self.mark(flags::CAUGHT_UP, now, deltas);
        }
    }

    /// What the first record of a frame up to this sequence says beside its level.
    fn first(&self, sequence: u64) -> u8 {
        match self.top {
            Some(top) if sequence >= top => flags::CAUGHT_UP,
            _ => 0,
        }
    }
}

/// The markets, and all but the parser, so that a parsed message can be borrowed while they change.
pub struct Rows {
    /// In the order of the instruments.
    pub rows: Box<[Row]>,
    /// Row by market id, `NO_ROW` where the venue has a market that we do not follow.
    row_of_market: Box<[u16]>,
    /// What is asked for, and where.
    pub channels: Channels,
    repeats: Repeats,
    clock: VenueClock,
    offset_told: Nanos,
    /// When each lane last brought what it is for.
    data_heard: [Nanos; FEED_LANES],
    /// Books found silent since a lane brought anything, and when it did.
    silent: (Nanos, u32),
}

impl Rows {
    /// Of the Lighter markets among these.
    pub fn new(markets: &[Market], messages_per_minute: usize) -> Rows {
        let own = markets
            .iter()
            .filter(|market| market.venue == Venue::Lighter);
        let numbers = own.clone().map(|market| market.venue_market);
        let top = numbers
            .clone()
            .max()
            .map_or(0, |number| number as usize + 1);
        let mut row_of_market = vec![NO_ROW; top];
        for (row_idx, number) in numbers.clone().enumerate() {
            row_of_market[number as usize] = row_idx as u16;
        }
        let row = |market: &Market| Row {
            instrument: market.instrument,
            book: Book::AwaitingSnapshot,
            top: None,
            watch: Watch::default(),
        };
        Rows {
            channels: Channels::new(numbers, messages_per_minute),
            rows: own.map(row).collect(),
            row_of_market: row_of_market.into_boxed_slice(),
            repeats: Repeats::new(),
            clock: VenueClock::default(),
            offset_told: Nanos::ZERO,
            data_heard: [Nanos::ZERO; FEED_LANES],
            silent: (Nanos::ZERO, 0),
        }
    }

    /// The row of a market id, by table: ids are small numbers.
    #[inline]
    pub fn row_idx(&self, venue_market: u64) -> Option<usize> {
        let row_idx = *self
            .row_of_market
            .get(usize::try_from(venue_market).ok()?)?;
        (row_idx != NO_ROW).then_some(usize::from(row_idx))
    }

    /// A message that the scanner has read: the connection lives, and brings what it is for.
    #[inline]
    pub fn hear(&mut self, lane: Lane, now: Nanos) {
        self.channels.hear(lane, now);
        self.data_heard[lane] = now;
    }

    /// When the venue made a frame, on our clock. Only what is sent as soon as it is made tells
    /// about the clock: a first frame may be of long ago.
    #[inline]
    pub fn made(&mut self, is_first: bool, updated_at_us: u64, now: Nanos) -> Nanos {
        let stamp = stamp(updated_at_us);
        if !is_first {
            self.clock.hear(now, stamp);
        }
        self.clock.made(now, stamp)
    }

    /// One book frame of the known shape, for a market whose book takes it. `None`, with nothing
    /// changed, for everything else: the parser asks the same questions and more.
    #[inline]
    pub fn scan_book(
        &mut self,
        lane: Lane,
        bytes: &[u8],
        levels: &mut Levels,
        call: &mut Call<'_>,
    ) -> Option<Heard> {
        let head = frame::book_head(bytes)?;
        let row_idx = self.row_idx(head.market)?;
        let is_snapshot = head.is_snapshot;
        let hearing = self.channels.hearing(Topic::Book, row_idx, lane);
        let row = &self.rows[row_idx];
        let begins = match (hearing, row.book) {
            (Hearing::Not, _) => return None,
            _ if is_snapshot => None,
            (Hearing::Living, Book::Live { sequence }) => Some(sequence),
            _ => return None,
        };
        if let Some(book) = call.books.get(row.instrument.idx()) {
            book.bring_near();
        }
        let chain = head.read(levels)?;
        let heard = |kind| Some(about(row.instrument, kind));
        if begins.is_some_and(|sequence| sequence != chain.begin_nonce) {
            return heard(FrameKind::Gap);
        }
        let frame = Frame {
            instrument: row.instrument,
            now: call.now,
            first: row.first(chain.nonce),
            made: self.made(is_snapshot, chain.updated_at_us, call.now),
        };
        let deltas = &mut call.told.deltas;
        let start = deltas.items().len();
        frame.known(is_snapshot, levels, deltas)?;
        let kind = if !chain.is_in_order && self.repeats.are_in(&deltas.items()[start..], group) {
            FrameKind::DuplicateLevel
        } else {
            self.advance(row_idx, is_snapshot.then_some(lane), chain.nonce, call.now)
        };
        Some(about(frame.instrument, kind))
    }

    /// One book frame. The order of the questions matters: a frame for nobody is not looked into
    /// even if the rest of it is nonsense; a frame for a market being left says nothing, since its
    /// successor may have been lost; only then is the content read, and only a book in step takes
    /// an update.
    pub fn on_book(&mut self, lane: Lane, kind: Kind, root: Json, call: &mut Call<'_>) -> Heard {
        let Some(venue_market) = wire::channel_number(root) else {
            return about_none(FrameKind::Malformed);
        };
        let Some(row_idx) = self.row_idx(venue_market) else {
            return about_none(FrameKind::WrongMarket);
        };
        let hearing = self.channels.hearing(Topic::Book, row_idx, lane);
        let row = &self.rows[row_idx];
        let heard = |kind| about(row.instrument, kind);
        if hearing == Hearing::Not {
            return heard(FrameKind::Control);
        }
        let Some(body) = wire::book_body(root) else {
            return heard(FrameKind::Malformed);
        };
        let is_snapshot = kind == Kind::Subscribed;
        if !is_snapshot {
            let (Hearing::Living, Book::Live { sequence }) = (hearing, row.book) else {
                return heard(FrameKind::Control);
            };
            match body.begin_nonce {
                None => return heard(FrameKind::Malformed),
                Some(begins) if begins != sequence => return heard(FrameKind::Gap),
                Some(_) => {}
            }
        }
        let frame = Frame {
            instrument: row.instrument,
            now: call.now,
            first: row.first(body.nonce),
            made: self.made(is_snapshot, body.updated_at_us, call.now),
        };
        let deltas = &mut call.told.deltas;
        let start = deltas.items().len();
        let pushed = match is_snapshot {
            true => frame.snapshot(&body, deltas),
            false => frame.update(&body, deltas),
        };
        let kind = match pushed {
            Err(fault) => fault,
            Ok(()) if self.repeats.are_in(&deltas.items()[start..], group) => {
                FrameKind::DuplicateLevel
            }
            Ok(()) => self.advance(row_idx, is_snapshot.then_some(lane), body.nonce, call.now),
        };
        about(frame.instrument, kind)
    }

    /// A frame was taken, up to this engine sequence; a whole book with the lane it came by.
    #[inline]
    fn advance(
        &mut self,
        row_idx: usize,
        whole_on: Option<Lane>,
        sequence: u64,
        now: Nanos,
    ) -> FrameKind {
        let row = &mut self.rows[row_idx];
        if row.first(sequence) != 0 {
            row.top = None;
        }
        row.book = Book::Live { sequence };
        let Some(lane) = whole_on else {
            row.watch.hear(now);
            return FrameKind::Update;
        };
        row.watch.start(now);
        self.channels.answer(Topic::Book, row_idx, lane, now);
        FrameKind::Snapshot
    }

    /// A message on this lane must not be believed; with no instrument, nobody knows whose it was.
    /// On the books' lanes it costs trust, on the tops' what is shown of them, elsewhere nothing.
    #[cold]
    pub fn distrust(&mut self, lane: Lane, instrument: Option<InstrumentId>, call: &mut Call<'_>) {
        let (kind, _) = place(lane);
        for row_idx in 0..self.rows.len() {
            let row = &mut self.rows[row_idx];
            if instrument.is_some_and(|instrument| instrument != row.instrument) {
                continue;
            }
            if kind == kind_of(Topic::Book) {
                self.distrust_book(lane, row_idx, instrument.is_some(), call);
            } else if kind == kind_of(Topic::Top) {
                row.uncover(call.now, &mut call.told.deltas);
            }
        }
        self.channels.pump(call.now, call.out);
    }

    /// Marks one book stale and starts to ask for it anew. A market that was not named and is still
    /// awaiting its snapshot goes on waiting.
    fn distrust_book(&mut self, lane: Lane, row_idx: usize, is_named: bool, call: &mut Call<'_>) {
        let row = &mut self.rows[row_idx];
        let is_live = matches!(row.book, Book::Live { .. });
        match self.channels.hearing(Topic::Book, row_idx, lane) {
            Hearing::Living => {
                if is_live {
                    row.spoil(call.now, &mut call.told.deltas);
                }
                if is_live || is_named {
                    self.channels.repair(Topic::Book, row_idx, call.now);
                }
            }
            Hearing::Arriving if is_named => {
                self.channels
                    .repair_at(Topic::Book, row_idx, lane, call.now);
            }
            Hearing::Arriving | Hearing::Not => {}
        }
    }

    /// The full book can't be true.
    #[cold]
    pub fn resync(&mut self, instrument: InstrumentId, call: &mut Call<'_>) {
        let is_it = |row: &Row| row.instrument == instrument;
        if let Some(row_idx) = self.rows.iter().position(is_it) {
            let lane = self.channels.lane(Topic::Book, row_idx);
            self.distrust(lane, Some(instrument), call);
        }
    }

    /// The lane went up: what it carries is awaited. Or down: books that live there are stale, tops
    /// forgotten.
    #[cold]
    pub fn on_link(&mut self, lane: Lane, up: bool, call: &mut Call<'_>) {
        let (now, deltas) = (call.now, &mut call.told.deltas);
        self.data_heard[lane] = now;
        for (row_idx, row) in self.rows.iter_mut().enumerate() {
            if lane == self.channels.lane(Topic::Book, row_idx) {
                if up {
                    row.uncover(now, deltas);
                    row.book = Book::AwaitingSnapshot;
                } else {
                    row.spoil(now, deltas);
                }
            } else if lane == self.channels.lane(Topic::Top, row_idx) && !up {
                row.uncover(now, deltas);
            }
        }
        match up {
            true => self.channels.on_up(lane, now),
            false => self.channels.on_down(lane, now, call.out),
        }
    }

    /// Doubts, deadlines, requests, and what the clock shows.
    #[cold]
    pub fn on_beat(&mut self, call: &mut Call<'_>) {
        let now = call.now;
        for row_idx in 0..self.rows.len() {
            self.doubt(row_idx, call);
        }
        let (rows, notes) = (&self.rows, &mut call.told.notes);
        self.channels.on_beat(now, call.out, |row_idx| {
            notes.push(doubted(&rows[row_idx], Doubt::Unanswered));
        });
        let is_due = now.since(self.offset_told) >= OFFSET_EVERY_NS;
        if let Some(ns) = self.clock.offset_ns().filter(|_| is_due) {
            self.offset_told = now;
            let venue = Venue::Lighter;
            notes.push(Event::Offset { venue, ns });
        }
    }

    /// Doubts one live book, if its watch does.
    fn doubt(&mut self, row_idx: usize, call: &mut Call<'_>) {
        let (now, row) = (call.now, &mut self.rows[row_idx]);
        let lane = self.channels.lane(Topic::Book, row_idx);
        if !matches!(row.book, Book::Live { .. }) || !self.channels.is_live(lane) {
            return;
        }
        let Some(why) = row.watch.doubt(now) else {
            return;
        };
        call.told.notes.push(doubted(row, why));
        row.spoil(now, &mut call.told.deltas);
        let heard = self.data_heard[lane];
        if self.silent.0 != heard {
            self.silent = (heard, 0);
        }
        self.silent.1 += u32::from(why == Doubt::Silent);
        if self.silent.1 >= DEAD_DOUBTS && now.since(heard) >= DEAD_NS {
            self.channels.give_up(lane, call.out);
        } else {
            self.channels.repair(Topic::Book, row_idx, now);
        }
    }
}

/// Microseconds on the venue's clock; zero, which says nothing, when no clock could show them.
fn stamp(us: u64) -> Nanos {
    let ns = us.checked_mul(1_000);
    let ns = ns.filter(|ns| i64::try_from(*ns).is_ok());
    Nanos(ns.unwrap_or(0))
}

fn doubted(row: &Row, why: Doubt) -> Event {
    Event::Doubted {
        venue: Venue::Lighter,
        instrument: row.instrument,
        why,
    }
}

/// What a message about one instrument was.
pub fn about(instrument: InstrumentId, kind: FrameKind) -> Heard {
    Heard {
        kind,
        instrument: Some(instrument),
    }
}

/// What a message about no instrument, or all, was.
pub fn about_none(kind: FrameKind) -> Heard {
    Heard {
        kind,
        instrument: None,
    }
}
