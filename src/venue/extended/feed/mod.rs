//! Market data of Extended: books, fast tops and references in, absolute deltas out.
//!
//! Promises: a book that leaves this room is whole and in order, or it is marked stale first. Every
//! change is audited against the size it changes, the minute's snapshot against the book we hold,
//! and a book that falls silent or does not follow its trades is doubted (`venue/watch.rs`). A
//! break in a connection's row of numbers costs every market it carries, a fault in one market's
//! message on a shared connection that market alone: its next snapshot comes within a minute.
//! Frames of the known shape are read by the byte scanner, all else by the parser, to one result.
//! Refuses: guessing. What could not be read is not believed in part.
//!
//! Connections: `lanes.rs`. A market's states: `track.rs`. Book and fast top as one: `top.rs`.
//! Sources: D1 (public streams), C1.

mod audit;
mod lanes;
mod names;
mod references;
mod taking;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_books;
#[cfg(test)]
mod tests_faults;
#[cfg(test)]
mod tests_freshness;
#[cfg(test)]
mod tests_walk;
mod top;
mod track;

pub use lanes::{SILENCE_NS_MAX, SINGLE_MARKETS_MAX};
pub use track::BookState;

use crate::market::event::{Doubt, Event, FrameKind};
use crate::market::units::{MS, Nanos, SECOND};
use crate::market::{InstrumentId, Market, Venue};
use crate::venue::agent::USER_AGENT;
use crate::venue::clock::VenueClock;
use crate::venue::extended::feed::lanes::{Link, Scope, Topic};
use crate::venue::extended::feed::names::Names;
use crate::venue::extended::feed::references::Referring;
use crate::venue::extended::feed::taking::{Stamps, Taking};
use crate::venue::extended::feed::track::Track;
use crate::venue::extended::frame;
use crate::venue::extended::wire::{Decoder, read_book, read_envelope};
use crate::venue::repeats::Repeats;
use crate::venue::{Call, Feed, Heard, Lane, LaneProtocol, LaneSpec, Paths};

/// Largest message expected: 6,000 levels were 169 KiB (C1). A larger one costs one allocation.
const MESSAGE_BYTES: usize = 512 * 1024;
/// How often the clocks' offset is told.
const OFFSET_EVERY_NS: u64 = 10 * SECOND;

/// What a message was, and how far its fault reaches.
#[derive(Clone, Copy)]
struct Verdict {
    kind: FrameKind,
    /// The market it was about.
    row: Option<usize>,
    /// The connection can't be believed any more.
    is_over: bool,
}

impl Verdict {
    /// The whole connection is at fault.
    const fn over(kind: FrameKind) -> Verdict {
        Verdict {
            kind,
            row: None,
            is_over: true,
        }
    }

    /// One market is, if any.
    const fn of(kind: FrameKind, row: Option<usize>) -> Verdict {
        Verdict {
            kind,
            row,
            is_over: false,
        }
    }
}

/// Market data of Extended, sans I/O.
pub struct ExtendedFeed {
    decoder: Decoder,
    repeats: Repeats,
    paths: Paths,
    clock: VenueClock,
    t_offset: Nanos,
    names: Names,
    links: Box<[Link]>,
    /// A row for each market, in the order given.
    tracks: Box<[Track]>,
}

impl ExtendedFeed {
    /// A feed for these markets, most important first; takes all its memory.
    pub fn new(markets: &[Market]) -> ExtendedFeed {
        ExtendedFeed::with(markets, lanes::links(markets.len()))
    }

    /// The full books alone, a connection each: what a recording needs, whose messages are numbered
    /// market by market then. It takes as many sockets as there are markets.
    pub fn books_alone(markets: &[Market]) -> ExtendedFeed {
        ExtendedFeed::with(markets, lanes::book_links(markets.len()))
    }

    fn with(markets: &[Market], links: Box<[Link]>) -> ExtendedFeed {
        ExtendedFeed {
            decoder: Decoder::new(MESSAGE_BYTES),
            repeats: Repeats::new(),
            paths: Paths::default(),
            clock: VenueClock::default(),
            t_offset: Nanos::ZERO,
            names: Names::new(markets),
            links,
            tracks: markets.iter().map(Track::new).collect(),
        }
    }

    /// What to dial, in lane order, below the stream's base URL.
    pub fn lanes(&self) -> Vec<LaneSpec> {
        let spec = |link: &Link| {
            let (before, after) = link.topic.path();
            let name = link.topic.named().map(|row| &self.tracks[row].name);
            LaneSpec {
                path: [before, name.map_or("", |name| name.as_str()), after].concat(),
                headers: vec![("User-Agent", USER_AGENT.to_owned())],
                protocol: LaneProtocol::WebSocket,
                is_spare: false,
            }
        };
        self.links.iter().map(spec).collect()
    }

    /// How many book messages the scanner read and how many the parser.
    pub fn paths(&self) -> Paths {
        self.paths
    }

    /// Where a market's book stands; `None` for one we do not follow.
    pub fn state(&self, instrument: InstrumentId) -> Option<BookState> {
        let mut tracks = self.tracks.iter();
        let track = tracks.find(|track| track.instrument == instrument)?;
        Some(track.state)
    }

    /// A book message of the known shape, for a market that takes it. `None`, with nothing changed,
    /// for everything else: the parser asks the same questions and more.
    #[inline]
    fn scan(&mut self, lane: Lane, bytes: &[u8], call: &mut Call<'_>) -> Option<Verdict> {
        let head = frame::head(bytes)?;
        let row = self.names.find(head.market);
        let link = self.links.get_mut(lane)?;
        let is_top = matches!(link.topic, Topic::Top(_));
        if !link.is_next(head.tail.sequence) {
            return None;
        }
        let (Topic::Book(scope) | Topic::Top(scope)) = link.topic else {
            return None;
        };
        match (scope, row) {
            (Scope::One(own), row) if row != Some(own) => return None,
            (Scope::All, None) => {
                link.count(call.now);
                return Some(Verdict::of(FrameKind::Control, None));
            }
            _ => {}
        }
        let row = row?;
        let is_prompt = is_top || !head.is_snapshot;
        let mut taking = Taking {
            track: &mut self.tracks[row],
            repeats: &mut self.repeats,
            start: call.told.deltas.items().len(),
            stamps: stamps(&mut self.clock, head.tail.stamp_ms, is_prompt, call.now),
            book: None,
            told: call.told,
        };
        taking.book = call.books.get(taking.track.instrument.idx());
        if let Some(book) = taking.book {
            book.bring_near();
        }
        let kind = if is_top {
            taking.scan_top(head)?
        } else {
            taking.scan(head)?
        };
        link.count(call.now);
        Some(Verdict::of(kind, Some(row)))
    }

    /// A book message from the parser. Its number is checked before the content is looked at, and
    /// counted whatever the content is: empty changes and kinds we do not know take a place in the
    /// row too (C1). A message at the wrong place is never read, because what it changes is not the
    /// book we hold. On a shared lane the name is read first: as long as that is there, one market
    /// alone is at fault.
    fn parse(&mut self, lane: Lane, bytes: &mut [u8], call: &mut Call<'_>) -> Verdict {
        let link = &mut self.links[lane];
        self.decoder.read(bytes, |root| {
            let Some(envelope) = root.and_then(read_envelope).filter(|it| !it.is_error) else {
                return Verdict::over(FrameKind::Malformed);
            };
            if !link.is_next(envelope.sequence) {
                return Verdict::over(FrameKind::Gap);
            }
            link.count(call.now);
            let (is_top, scope) = match link.topic {
                Topic::Book(scope) => (false, scope),
                Topic::Top(scope) => (true, scope),
                topic => {
                    let mut referring = Referring {
                        names: &self.names,
                        tracks: &mut self.tracks,
                        told: call.told,
                        now: call.now,
                    };
                    let (kind, row) = referring.read(topic, &envelope);
                    return Verdict::of(kind, row);
                }
            };
            let is_snapshot = envelope.kind == "SNAPSHOT";
            if !is_snapshot && envelope.kind != "DELTA" {
                return Verdict::of(FrameKind::Unknown, None);
            }
            let data = envelope.data.map(read_book);
            let Some((data, market)) = data.and_then(|data| Some((data, data.market?))) else {
                return Verdict::over(FrameKind::Malformed);
            };
            let row = match (self.names.find(market.as_bytes()), scope) {
                (row, Scope::One(own)) if row != Some(own) => {
                    return Verdict::over(FrameKind::WrongMarket);
                }
                (None, _) => return Verdict::of(FrameKind::Control, None),
                (Some(row), _) => row,
            };
            let is_prompt = is_top || !is_snapshot;
            let track = &mut self.tracks[row];
            let mut taking = Taking {
                repeats: &mut self.repeats,
                start: call.told.deltas.items().len(),
                stamps: stamps(&mut self.clock, envelope.stamp_ms, is_prompt, call.now),
                book: call.books.get(track.instrument.idx()),
                track,
                told: call.told,
            };
            let kind = if is_top {
                taking.parsed_top(is_snapshot, &data)
            } else {
                taking.parsed(is_snapshot, &data)
            };
            Verdict::of(kind.unwrap_or_else(|fault| fault), Some(row))
        })
    }

    /// What a message that must not be believed costs.
    #[cold]
    fn on_fault(&mut self, lane: Lane, verdict: Verdict, call: &mut Call<'_>) {
        let row = verdict.row.filter(|_| !verdict.is_over);
        match (self.links[lane].topic, row) {
            (Topic::Book(_), Some(row)) => self.begin_anew(lane, row, call),
            (Topic::Top(_), Some(row)) => {
                self.tracks[row].drop_top(call.now, &mut call.told.deltas);
            }
            _ if verdict.is_over => self.give_up(lane, call),
            _ => {}
        }
    }

    /// One market's book is asked for anew: a new connection where it has its own, the minute's
    /// snapshot where it shares one.
    #[cold]
    fn begin_anew(&mut self, lane: Lane, row: usize, call: &mut Call<'_>) {
        let track = &mut self.tracks[row];
        if self.links[lane].topic != Topic::Book(Scope::All) {
            self.give_up(lane, call);
        } else if track.state == BookState::Live {
            track.lose(call.now, &mut call.told.deltas);
            track.await_snapshot(call.now);
        }
    }

    /// A connection is given up, and with it all it carried.
    #[cold]
    fn give_up(&mut self, lane: Lane, call: &mut Call<'_>) {
        self.links[lane].give_up(lane, call.out);
        self.lose(lane, call);
    }

    /// What a connection carried is not to be believed.
    #[cold]
    fn lose(&mut self, lane: Lane, call: &mut Call<'_>) {
        let (now, deltas) = (call.now, &mut call.told.deltas);
        match self.links[lane].topic {
            Topic::Book(scope) => {
                let tracks = scope.of(&mut self.tracks);
                tracks.iter_mut().for_each(|track| track.lose(now, deltas));
            }
            Topic::Top(scope) => {
                let tracks = scope.of(&mut self.tracks);
                tracks
                    .iter_mut()
                    .for_each(|track| track.drop_top(now, deltas));
            }
            Topic::Trades | Topic::Mark | Topic::Index | Topic::Funding => {}
        }
    }

    /// The lane that carries a market's book.
    fn book_lane(&self, row: usize) -> Lane {
        // Books come first, in the markets' order.
        match self.links[0].topic {
            Topic::Book(Scope::One(_)) => row,
            _ => 0,
        }
    }

    /// Snapshots that should have come by now. A market of a shared lane has that dialled anew only
    /// once while others live on it: perhaps it is no market any more.
    #[cold]
    fn watch_answers(&mut self, lane: Lane, call: &mut Call<'_>) {
        let link = &self.links[lane];
        let (Topic::Book(scope), true) = (link.topic, link.is_live()) else {
            return;
        };
        let tracks = scope.of(&mut self.tracks);
        let is_any_live = tracks.iter().any(|track| track.state == BookState::Live);
        let mut is_missed = false;
        for track in tracks {
            if track.is_overdue(scope, call.now) && !(track.has_asked && is_any_live) {
                track.has_asked = true;
                is_missed = true;
                note(call, track.instrument, Doubt::Unanswered);
            }
        }
        if is_missed {
            self.give_up(lane, call);
        }
    }

    /// Books in step that must be doubted all the same.
    #[cold]
    fn watch_books(&mut self, call: &mut Call<'_>) {
        for row in 0..self.tracks.len() {
            let track = &mut self.tracks[row];
            if track.state == BookState::Live
                && let Some(why) = track.watch.doubt(call.now)
            {
                note(call, track.instrument, why);
                self.begin_anew(self.book_lane(row), row, call);
            }
            self.tracks[row].hand_over(call.now, &mut call.told.deltas);
        }
    }
}

impl Feed for ExtendedFeed {
    fn on_link(&mut self, lane: Lane, up: bool, call: &mut Call<'_>) {
        let Some(link) = self.links.get_mut(lane) else {
            return;
        };
        link.set(up, call.now);
        match link.topic {
            Topic::Book(scope) if up => {
                for track in scope.of(&mut self.tracks) {
                    track.await_snapshot(call.now);
                }
            }
            _ if up => {}
            _ => self.lose(lane, call),
        }
    }

    fn on_message(&mut self, lane: Lane, bytes: &mut [u8], call: &mut Call<'_>) -> Heard {
        let Some(link) = self.links.get(lane) else {
            return Heard {
                kind: FrameKind::Unknown,
                instrument: None,
            };
        };
        let (topic, start) = (link.topic, call.told.deltas.items().len());
        let verdict = if !link.is_live() {
            // Given up: whatever still arrives belongs to a connection of before.
            Verdict::of(FrameKind::Unknown, None)
        } else if let Some(verdict) = self.scan(lane, bytes, call) {
            self.paths.fast += 1;
            verdict
        } else {
            let is_book = matches!(topic, Topic::Book(_) | Topic::Top(_));
            self.paths.slow += u64::from(is_book);
            self.parse(lane, bytes, call)
        };
        if verdict.kind.is_fault() {
            call.told.deltas.truncate(start);
            self.on_fault(lane, verdict, call);
        }
        let row = verdict.row.or(topic.named());
        Heard {
            kind: verdict.kind,
            instrument: row.map(|row| self.tracks[row].instrument),
        }
    }

    fn on_beat(&mut self, call: &mut Call<'_>) {
        for lane in 0..self.links.len() {
            if self.links[lane].is_silent(call.now) {
                self.give_up(lane, call);
            }
            self.watch_answers(lane, call);
            self.links[lane].retry(lane, call.out);
        }
        self.watch_books(call);
        if call.now.since(self.t_offset) >= OFFSET_EVERY_NS
            && let Some(ns) = self.clock.offset_ns()
        {
            self.t_offset = call.now;
            let venue = Venue::Extended;
            call.told.notes.push(Event::Offset { venue, ns });
        }
    }

    fn resync(&mut self, instrument: InstrumentId, call: &mut Call<'_>) {
        let mut rows = self.tracks.iter();
        let Some(row) = rows.position(|track| track.instrument == instrument) else {
            return;
        };
        // A connection that is given up already needs no second reconnect.
        if self.tracks[row].state != BookState::Stale {
            self.begin_anew(self.book_lane(row), row, call);
        }
    }
}

/// For the journal.
#[cold]
fn note(call: &mut Call<'_>, instrument: InstrumentId, why: Doubt) {
    call.told.notes.push(Event::Doubted {
        venue: Venue::Extended,
        instrument,
        why,
    });
}

/// When a message was made. Only one that was sent as soon as it was made tells the clocks' offset:
/// a snapshot may be a minute old.
#[inline]
fn stamps(clock: &mut VenueClock, stamp_ms: u64, is_prompt: bool, now: Nanos) -> Stamps {
    // Beyond the year 2262 there is no time.
    let ns = stamp_ms.checked_mul(MS).filter(|ns| *ns <= i64::MAX as u64);
    let t_venue = Nanos(ns.unwrap_or(0));
    if is_prompt {
        clock.hear(now, t_venue);
    }
    Stamps {
        stamp_ms,
        made: clock.made(now, t_venue),
        now,
    }
}
