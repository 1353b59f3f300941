//! Stage: a venue's market-data sockets in, absolute level changes out on one link.
//!
//! Owns the connections, the venue's decoder and the full books. Promises: what goes onto the link
//! rebuilds the same book on the other side (the mirror), or the market is marked stale first. The
//! scanner is never waited for: when the link is full the market falls *behind*, and its whole book
//! follows by a cursor as room appears; a large snapshot goes the same way, so that it does not
//! stand before the changes of others. Refuses to guess: a book that can't be true (crossed, off
//! its grid, used up) is asked for anew.

mod behind;

use crate::market::book::{Applied, Book, Delta, flags};
use crate::market::event::{Event, FrameKind, Step};
use crate::market::reference::Reference;
use crate::market::units::Nanos;
use crate::market::{INSTRUMENTS_MAX, Instrument, InstrumentId, Venue};
use crate::net::{Incoming, Lanes, SystemCalls};
use crate::stage::Stage;
use crate::stage::aside::Aside;
use crate::stage::clock::Clock;
use crate::stage::link::Tx;
use crate::venue::{Call, Feed, Heard, Lane, OutKind, Outbox, Told};
use behind::{RESEND_PER_TURN, RESERVE, Way};

/// Level changes of one message: a Lighter snapshot has about 7,000 levels.
pub const DELTAS_PER_MESSAGE_MAX: usize = 16_384;
/// Messages handled per lane and turn before others get theirs. Larger: a burst on one socket keeps
/// the rest of a fused thread waiting.
const MESSAGES_PER_TURN: usize = 32;
/// Records of a few messages, which are moved on by the next turn.
const NOTES_PLACES: usize = 64;

/// What a feed stage is given; it keeps all of it.
pub struct Parts<F> {
    /// The venue's decoder.
    pub feed: F,
    /// One connection per lane the venue listed.
    pub lanes: Lanes,
    /// To the scanner.
    pub deltas: Tx<Delta>,
    /// Marks, indexes and funding rates to the scanner.
    pub references: Tx<Reference>,
    /// To the recorder.
    pub journal: Tx<Event>,
    /// For time stamps.
    pub clock: Clock,
}

/// The stage. See the module's page.
pub struct FeedStage<F> {
    name: &'static str,
    venue: Venue,
    parts: Parts<F>,
    /// For the journal, until the scanner has what the message brought.
    notes: Aside<Event>,
    books: Vec<Book>,
    /// The venue's own word: not to be trusted until the next whole book.
    is_stale: Vec<bool>,
    ways: Vec<Way>,
    /// Some market's way may not be straight: else no turn looks at them.
    is_any_behind: bool,
    /// When the venue made the last message about each book.
    made: Vec<Nanos>,
    /// Room on the link to the scanner without which whole books wait; the least there ever was,
    /// and what of that was told.
    room_wanted: usize,
    room_least: usize,
    room_told: usize,
    /// The rest after refused dials that was told last.
    cooldown_until: Option<Nanos>,
    told: Told,
    outbox: Outbox,
}

impl<F: Feed> FeedStage<F> {
    /// Takes all memory the stage will use. `instruments` are in index order.
    pub fn new(venue: Venue, instruments: &[Instrument], parts: Parts<F>) -> FeedStage<F> {
        assert!(
            instruments.len() <= INSTRUMENTS_MAX,
            "topology bounds the table"
        );
        let tick = |i: &Instrument| Book::new(i.markets[venue.idx()].tick);
        FeedStage {
            name: match venue {
                Venue::Extended => "feed-extended",
                Venue::Lighter => "feed-lighter",
            },
            venue,
            notes: Aside::new(NOTES_PLACES),
            books: instruments.iter().map(tick).collect(),
            is_stale: vec![true; instruments.len()],
            ways: vec![Way::Straight; instruments.len()],
            is_any_behind: false,
            made: vec![Nanos::ZERO; instruments.len()],
            room_wanted: behind::room_wanted(parts.deltas.capacity()),
            room_least: parts.deltas.room(),
            room_told: parts.deltas.room(),
            cooldown_until: None,
            told: Told::new(DELTAS_PER_MESSAGE_MAX),
            // Subscriptions for every market may leave in one go.
            outbox: Outbox::new(64 * 1024, 2 * INSTRUMENTS_MAX),
            parts,
        }
    }

    /// The full book of an instrument: the truth that the scanner's mirror follows.
    pub fn book(&self, instrument: InstrumentId) -> &Book {
        &self.books[instrument.idx()]
    }

    /// Everything a lane has, up to the turn's bound.
    fn drain_lane(&mut self, lane: Lane) -> usize {
        let mut handled = 0;
        while handled < MESSAGES_PER_TURN {
            let t_read = self.parts.clock.now();
            let parts = &mut self.parts;
            let Some(incoming) = parts.lanes.next(lane, t_read) else {
                break;
            };
            handled += 1;
            match incoming {
                Incoming::Text(bytes) => {
                    let t_decode = parts.clock.now();
                    let mut call = Call {
                        now: t_read,
                        books: &self.books,
                        told: &mut self.told,
                        out: &mut self.outbox,
                    };
                    let heard = parts.feed.on_message(lane, bytes, &mut call);
                    self.note(Step::Recv, t_decode.since(t_read));
                    self.after_message(heard, t_decode);
                    self.note_wait(lane, t_read);
                }
                Incoming::Up => self.on_link(lane, true, t_read),
                Incoming::Down(_) => self.on_link(lane, false, t_read),
                Incoming::Response { .. } => {}
            }
            self.flush(t_read);
        }
        handled
    }

    /// Takes one message by hand, as a lane would: how tests and replays drive a feed.
    pub fn hear(&mut self, lane: Lane, bytes: &mut [u8], now: Nanos) -> FrameKind {
        let heard = self.call(now, |feed, call| feed.on_message(lane, bytes, call));
        self.after_message(heard, now);
        self.flush(now);
        self.notes.move_on(&mut self.parts.journal);
        heard.kind
    }

    /// Hands the feed what every call needs.
    fn call<T>(&mut self, now: Nanos, deed: impl FnOnce(&mut F, &mut Call<'_>) -> T) -> T {
        let mut call = Call {
            now,
            books: &self.books,
            told: &mut self.told,
            out: &mut self.outbox,
        };
        deed(&mut self.parts.feed, &mut call)
    }

    fn after_message(&mut self, heard: Heard, t_decode: Nanos) {
        let t_book = self.parts.clock.now();
        let deltas_len = self.told.deltas.items().len() as u32;
        self.note(Step::Decode, t_book.since(t_decode));
        self.publish();
        if deltas_len > 0 {
            let t_done = self.parts.clock.now();
            self.note(Step::Book, t_done.since(t_book));
        }
        let frame = Event::Frame {
            venue: self.venue,
            kind: heard.kind,
            deltas: deltas_len,
        };
        self.tell_journal(frame);
    }

    /// Applies what was told to the full books and sends it on; nothing of a book that can't be
    /// true leaves.
    fn publish(&mut self) {
        self.tell();
        if self.told.deltas.items().is_empty() {
            return self.told.clear();
        }
        if let Some((id, now)) = self.apply() {
            return self.on_untrue(id, now);
        }
        let t_push = self.parts.clock.now();
        let room = self.parts.deltas.room();
        self.room_least = self.room_least.min(room);
        let has_room = room > self.told.deltas.items().len() + RESERVE;
        let mut at = 0;
        while let Some(delta) = self.told.deltas.items().get(at) {
            let mut delta = *delta;
            let is_whole = delta.flags & flags::CLEAR != 0;
            if is_whole && (room < self.room_wanted || self.is_large(at)) {
                // Its levels stand in the full book; the cursor takes them from there.
                self.ways[delta.instrument.idx()] = Way::Waiting;
                self.is_any_behind = true;
                at += self.message_len(at);
                continue;
            }
            at += 1;
            if !has_room {
                self.fall_behind(delta.instrument, t_push);
                continue;
            }
            if delta.flags & flags::LAST != 0 {
                delta.t_push = t_push;
            }
            self.send(delta);
        }
        self.told.clear();
    }

    /// Passes on what is not about books. The next mark or rate says again what a full link lost.
    #[inline]
    fn tell(&mut self) {
        for reference in self.told.references.items() {
            let _ = self.parts.references.push(*reference);
        }
        for note in self.told.notes.items() {
            self.notes.put(*note, &mut self.parts.journal);
        }
    }

    /// Records from here to the end of their message.
    fn message_len(&self, start: usize) -> usize {
        let rest = &self.told.deltas.items()[start..];
        let last = rest.iter().position(|delta| delta.flags & flags::LAST != 0);
        last.map_or(rest.len(), |last| last + 1)
    }

    /// Whether the whole book that starts here is too long to stand before others' changes.
    fn is_large(&self, start: usize) -> bool {
        self.message_len(start) > RESEND_PER_TURN
    }

    /// The instrument whose book can't be true after what was told, if any is.
    fn apply(&mut self) -> Option<(InstrumentId, Nanos)> {
        let mut untrue = None;
        for delta in self.told.deltas.items() {
            let idx = delta.instrument.idx();
            let mark = delta.flags & (flags::STALE | flags::CLEAR);
            if mark != 0 {
                self.is_stale[idx] = mark & flags::STALE != 0;
            }
            self.made[idx] = delta.t_made;
            let book = &mut self.books[idx];
            let applied = book.apply_delta(delta);
            let is_end = delta.flags & flags::LAST != 0;
            let is_untrue = is_end && (book.is_crossed() || book.is_used_up());
            if applied == Applied::OffGrid || is_untrue {
                untrue = Some((delta.instrument, delta.t_recv));
            }
        }
        untrue
    }

    /// Puts a change onto the link; there is room, the caller has looked.
    #[inline]
    fn send(&mut self, mut delta: Delta) {
        let way = &mut self.ways[delta.instrument.idx()];
        if delta.flags & (flags::CLEAR | flags::STALE) != 0 {
            // A fresh whole book, or none at all, supersedes what was to be sent again.
            *way = Way::Straight;
        }
        match way {
            Way::Straight => {}
            Way::Lost | Way::Waiting => return,
            // Sizes are absolute, so changes may overtake the cursor; but nobody may look yet.
            Way::Resending { .. } => delta.flags &= !flags::LAST,
        }
        let _ = self.parts.deltas.push(delta);
    }

    /// A lane went up or down: the venue subscribes, or marks its markets stale.
    #[cold]
    pub fn on_link(&mut self, lane: Lane, up: bool, now: Nanos) {
        self.call(now, |feed, call| feed.on_link(lane, up, call));
        self.publish();
        self.tell_journal(Event::Link {
            venue: self.venue,
            up,
            gateway: false,
        });
    }

    /// Says when more waits on the link than ever.
    fn tell_fullest(&mut self) {
        if self.room_least == self.room_told {
            return;
        }
        self.room_told = self.room_least;
        let capacity = self.parts.deltas.capacity();
        let fullest = Event::Fullest {
            venue: self.venue,
            records: (capacity - self.room_least) as u32,
            of: capacity as u32,
        };
        self.tell_journal(fullest);
    }

    /// Says once that the venue turned dials away.
    fn tell_cooldown(&mut self) {
        let until = self.parts.lanes.cooldown_until();
        if until == self.cooldown_until {
            return;
        }
        self.cooldown_until = until;
        if let Some(until) = until {
            let venue = self.venue;
            self.tell_journal(Event::Cooldown { venue, until });
        }
    }

    /// Drops what the message brought, tells, and asks for the market anew.
    #[cold]
    fn on_untrue(&mut self, id: InstrumentId, now: Nanos) {
        self.told.clear();
        let (venue, kind) = (self.venue, FrameKind::Crossed);
        let told = Event::Frame {
            venue,
            kind,
            deltas: 0,
        };
        self.tell_journal(told);
        self.call(now, |feed, call| feed.resync(id, call));
        self.tell();
        let asked = Event::Resync {
            venue,
            instrument: id,
        };
        self.tell_journal(asked);
        // The venue marks the market stale; such records carry no level, so this ends here.
        let _ = self.apply();
        for at in 0..self.told.deltas.items().len() {
            let delta = self.told.deltas.items()[at];
            self.send(delta);
        }
        self.told.clear();
    }

    /// Sends what the venue wants sent.
    #[inline]
    fn flush(&mut self, now: Nanos) {
        let lanes = &mut self.parts.lanes;
        self.outbox.deliver(|item, payload| match item.kind {
            OutKind::Text => lanes.send_text(item.lane, payload, now),
            OutKind::Http => lanes.send_raw(item.lane, payload, now),
            OutKind::Reconnect => lanes.reconnect(item.lane, now),
            OutKind::Wake => lanes.wake(item.lane, now),
            OutKind::Hang => lanes.hang(item.lane),
        });
    }

    /// How long the bytes lay with the kernel, where it has said when they came.
    #[inline]
    fn note_wait(&mut self, lane: Lane, t_read: Nanos) {
        if let Some(came) = self.parts.lanes.take_stamp(lane) {
            let read = self.parts.clock.wall(t_read);
            self.note(Step::WireWait, read.since(came));
        }
    }

    /// What the stage has asked of the system.
    pub fn system_calls(&self) -> SystemCalls {
        self.parts.lanes.system_calls()
    }

    #[inline]
    fn note(&mut self, step: Step, ns: u64) {
        self.tell_journal(Event::Latency { step, ns });
    }

    #[inline]
    fn tell_journal(&mut self, event: Event) {
        self.notes.put(event, &mut self.parts.journal);
    }
}

impl<F: Feed> Stage for FeedStage<F> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn start(&mut self, now: Nanos) {
        self.housekeeping(now);
    }

    fn turn(&mut self, now: Nanos) -> usize {
        // What the last turn brought has gone down the corridor by now.
        self.notes.move_on(&mut self.parts.journal);
        self.parts.lanes.poll();
        let (mut work, mut from) = (0, 0);
        while let Some(lane) = self.parts.lanes.next_ready(from) {
            from = lane + 1;
            work += self.drain_lane(lane);
        }
        work += self.catch_up(now);
        if work == 0 {
            self.parts.lanes.acknowledge();
        }
        work
    }

    fn housekeeping(&mut self, now: Nanos) {
        self.parts.lanes.beat(now);
        self.tell_cooldown();
        self.tell_fullest();
        self.call(now, |feed, call| feed.on_beat(call));
        self.publish();
        self.flush(now);
        self.notes.move_on(&mut self.parts.journal);
    }

    fn stop(&mut self, _now: Nanos) -> u64 {
        self.parts.lanes.close();
        self.notes.move_on(&mut self.parts.journal);
        self.parts.journal.full_count()
    }
}
