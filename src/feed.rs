//! Stage: a venue's market-data sockets in, absolute level changes out on one link.
//!
//! Owns the connections, the venue's decoder and the full books. Promises: what goes onto the link
//! rebuilds the same book on the other side (the mirror), or the market is marked stale first. The
//! scanner is never waited for: when the link is full the market falls *behind*, and its whole book
//! follows by a cursor as room appears. Refuses to guess: a crossed book is asked for anew.

use crate::market::book::{Applied, Book, Delta, Side, flags};
use crate::market::event::{Event, FrameKind, Step};
use crate::market::units::{Nanos, Price, Size};
use crate::market::{INSTRUMENTS_MAX, Instrument, InstrumentId, Venue};
use crate::net::{Incoming, Lanes};
use crate::stage::Stage;
use crate::stage::clock::Clock;
use crate::stage::link::Tx;
use crate::venue::{Deltas, Feed, Heard, Lane, OutKind, Outbox};

/// Level changes of one message: a Lighter snapshot has about 7,000 levels.
pub const DELTAS_PER_MESSAGE_MAX: usize = 16_384;
/// Messages handled per lane and turn before others get theirs. Larger: a burst on one socket keeps
/// the rest of a fused thread waiting.
const MESSAGES_PER_TURN: usize = 32;
/// Levels of a whole book sent per market and turn when it fell behind.
const RESEND_PER_TURN: usize = 256;
/// Room never used for levels, so that every instrument can be marked stale on a full link.
const RESERVE: usize = INSTRUMENTS_MAX;
/// Room needed before a market that is behind may go on.
const RESEND_ROOM: usize = RESERVE + RESEND_PER_TURN + 2;

/// What a feed stage is given; it keeps all of it.
pub struct Parts<F> {
    /// The venue's decoder.
    pub feed: F,
    /// One connection per lane the venue listed.
    pub lanes: Lanes,
    /// To the scanner.
    pub deltas: Tx<Delta>,
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
    books: Vec<Book>,
    /// The venue's own word: not to be trusted until the next whole book.
    is_stale: Vec<bool>,
    ways: Vec<Way>,
    batch: Deltas,
    outbox: Outbox,
}

/// How a market's changes travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// Each change goes onto the link as it comes.
    Straight,
    /// The link was full: stale was said, and nothing of this market has been sent since.
    Lost,
    /// The whole book is being sent, best first; `side` and `after` say how far it is.
    Resending { side: Side, after: Option<Price> },
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
            books: instruments.iter().map(tick).collect(),
            is_stale: vec![true; instruments.len()],
            ways: vec![Way::Straight; instruments.len()],
            batch: Deltas::new(DELTAS_PER_MESSAGE_MAX),
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
                    let (batch, out) = (&mut self.batch, &mut self.outbox);
                    let heard = parts.feed.on_message(lane, bytes, t_read, batch, out);
                    self.note(Step::Recv, t_decode.since(t_read));
                    self.after_message(heard, t_decode);
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
        let (batch, out) = (&mut self.batch, &mut self.outbox);
        let heard = self.parts.feed.on_message(lane, bytes, now, batch, out);
        self.after_message(heard, now);
        self.flush(now);
        heard.kind
    }

    fn after_message(&mut self, heard: Heard, t_decode: Nanos) {
        let t_book = self.parts.clock.now();
        let deltas_len = self.batch.items().len() as u32;
        self.note(Step::Decode, t_book.since(t_decode));
        if deltas_len > 0 {
            self.publish();
            let t_done = self.parts.clock.now();
            self.note(Step::Book, t_done.since(t_book));
        }
        let frame = Event::Frame {
            venue: self.venue,
            kind: heard.kind,
            deltas: deltas_len,
        };
        let _ = self.parts.journal.push(frame);
    }

    /// Applies the batch to the full books and sends it on; nothing of a book that can't be true
    /// leaves.
    fn publish(&mut self) {
        if let Some((id, now)) = self.apply() {
            return self.on_untrue(id, now);
        }
        let t_push = self.parts.clock.now();
        let has_room = self.parts.deltas.room() > self.batch.items().len() + RESERVE;
        for at in 0..self.batch.items().len() {
            let mut delta = self.batch.items()[at];
            if !has_room {
                self.fall_behind(delta.instrument, t_push);
                continue;
            }
            if delta.flags & flags::LAST != 0 {
                delta.t_push = t_push;
            }
            self.send(delta);
        }
        self.batch.clear();
    }

    /// The instrument whose book is off its grid or crossed after the batch, if any is.
    fn apply(&mut self) -> Option<(InstrumentId, Nanos)> {
        let mut untrue = None;
        for delta in self.batch.items() {
            let idx = delta.instrument.idx();
            let mark = delta.flags & (flags::STALE | flags::CLEAR);
            if mark != 0 {
                self.is_stale[idx] = mark & flags::STALE != 0;
            }
            let applied = self.books[idx].apply_delta(delta);
            let is_end = delta.flags & flags::LAST != 0;
            if applied == Applied::OffGrid || (is_end && self.books[idx].is_crossed()) {
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
            Way::Lost => return,
            // Sizes are absolute, so changes may overtake the cursor; but nobody may look yet.
            Way::Resending { .. } => delta.flags &= !flags::LAST,
        }
        let _ = self.parts.deltas.push(delta);
    }

    /// No room: the market is stale at once, and its whole book follows when there is room again.
    #[cold]
    fn fall_behind(&mut self, id: InstrumentId, now: Nanos) {
        let way = &mut self.ways[id.idx()];
        if *way != Way::Lost {
            *way = Way::Lost;
            // The reserve holds one such mark for every instrument.
            let _ = self
                .parts
                .deltas
                .push(mark(self.venue, id, flags::STALE, now));
        }
    }

    /// Goes on with the books of markets that fell behind.
    fn catch_up(&mut self, now: Nanos) -> usize {
        let mut work = 0;
        for idx in 0..self.ways.len() {
            if self.ways[idx] != Way::Straight && self.parts.deltas.room() >= RESEND_ROOM {
                work += self.resend(idx, now);
            }
        }
        work
    }

    /// One stretch of a whole book: `CLEAR` first, `LAST` at its end.
    #[cold]
    fn resend(&mut self, idx: usize, now: Nanos) -> usize {
        let (venue, id) = (self.venue, InstrumentId(idx as u16));
        let tx = &mut self.parts.deltas;
        let (mut side, mut after) = match self.ways[idx] {
            Way::Straight => return 0,
            Way::Lost if self.is_stale[idx] => {
                // There is nothing true to send; the next whole book comes straight.
                self.ways[idx] = Way::Straight;
                return 1;
            }
            Way::Lost => {
                let _ = tx.push(mark(venue, id, flags::CLEAR | flags::SNAPSHOT, now));
                (Side::Bid, None)
            }
            Way::Resending { side, after } => (side, after),
        };
        let mut sent = 0;
        loop {
            let from = after;
            let rest = self.books[idx]
                .levels(side)
                .filter(|l| is_beyond(l.price, side, from));
            for level in rest {
                if sent == RESEND_PER_TURN {
                    break;
                }
                let row = Delta {
                    price: level.price,
                    size: level.size,
                    side,
                    flags: flags::SNAPSHOT,
                    ..mark(venue, id, 0, now)
                };
                let _ = tx.push(row);
                after = Some(level.price);
                sent += 1;
            }
            match (sent == RESEND_PER_TURN, side) {
                (true, _) => {
                    self.ways[idx] = Way::Resending { side, after };
                    return sent;
                }
                (false, Side::Bid) => (side, after) = (Side::Ask, None),
                (false, Side::Ask) => break,
            }
        }
        let _ = tx.push(mark(venue, id, flags::SNAPSHOT | flags::LAST, now));
        self.ways[idx] = Way::Straight;
        sent + 1
    }

    /// A lane went up or down: the venue subscribes, or marks its markets stale.
    #[cold]
    pub fn on_link(&mut self, lane: Lane, up: bool, now: Nanos) {
        self.parts
            .feed
            .on_link(lane, up, now, &mut self.batch, &mut self.outbox);
        self.publish();
        let _ = self.parts.journal.push(Event::Link {
            venue: self.venue,
            up,
            gateway: false,
        });
    }

    /// Drops what the message brought, tells, and asks for the market anew.
    #[cold]
    fn on_untrue(&mut self, id: InstrumentId, now: Nanos) {
        self.batch.clear();
        let (venue, kind) = (self.venue, FrameKind::Crossed);
        let told = Event::Frame {
            venue,
            kind,
            deltas: 0,
        };
        let _ = self.parts.journal.push(told);
        self.parts
            .feed
            .resync(id, now, &mut self.batch, &mut self.outbox);
        let asked = Event::Resync {
            venue,
            instrument: id,
        };
        let _ = self.parts.journal.push(asked);
        // The venue marks the market stale; such records carry no level, so this ends here.
        let _ = self.apply();
        for at in 0..self.batch.items().len() {
            let delta = self.batch.items()[at];
            self.send(delta);
        }
        self.batch.clear();
    }

    /// Sends what the venue wants sent.
    #[inline]
    fn flush(&mut self, now: Nanos) {
        let lanes = &mut self.parts.lanes;
        self.outbox.deliver(|item, payload| match item.kind {
            OutKind::Text => lanes.send_text(item.lane, payload, now),
            OutKind::Http => lanes.send_raw(item.lane, payload, now),
            OutKind::Reconnect => lanes.reconnect(item.lane, now),
        });
    }

    #[inline]
    fn note(&mut self, step: Step, ns: u64) {
        let _ = self.parts.journal.push(Event::Latency { step, ns });
    }
}

/// A record without a level.
fn mark(venue: Venue, instrument: InstrumentId, meaning: u8, now: Nanos) -> Delta {
    Delta {
        price: Price::ZERO,
        size: Size::ZERO,
        t_recv: now,
        t_push: now,
        instrument,
        venue,
        side: Side::Bid,
        flags: meaning | flags::EMPTY,
    }
}

/// Whether a price lies further from the touch than the last one sent.
fn is_beyond(price: Price, side: Side, after: Option<Price>) -> bool {
    match (side, after) {
        (_, None) => true,
        (Side::Bid, Some(last)) => price < last,
        (Side::Ask, Some(last)) => price > last,
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
        self.parts.lanes.poll();
        let mut work = 0;
        for lane in 0..self.parts.lanes.count() {
            work += self.drain_lane(lane);
        }
        work + self.catch_up(now)
    }

    fn housekeeping(&mut self, now: Nanos) {
        self.parts.lanes.beat(now);
        self.parts
            .feed
            .on_beat(now, &mut self.batch, &mut self.outbox);
        self.publish();
        self.flush(now);
    }

    fn stop(&mut self, _now: Nanos) -> u64 {
        self.parts.lanes.close();
        self.parts.journal.full_count()
    }
}
