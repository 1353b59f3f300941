//! Books of Extended: snapshots and changes in, absolute deltas out, continuity kept.
//!
//! Promises: a book that leaves this room is whole and in order, or it is marked stale first. Every
//! message of a connection carries the number after the one before it, 1 at first; any break, any
//! message that is not what the venue writes, and 65 s of silence end the connection (there is no
//! resend and no partial resync). A snapshot replaces the book, at the start and once a minute.
//! Frames of the known shape are read by the byte scanner, all else by the parser, to one result.
//! Refuses: guessing. A change without its new absolute size (`c`) is malformed, not added up.
//!
//! One lane per market. Sources: D1 (order book stream), C1.

use crate::market::book::{Delta, Side, flags};
use crate::market::event::FrameKind;
use crate::market::units::{Nanos, Price, SECOND, Size};
use crate::market::{InstrumentId, Market, Name, Venue};
use crate::venue::extended::USER_AGENT;
use crate::venue::extended::frame;
use crate::venue::extended::wire::{Decoder, Envelope, Json, WireLevel};
use crate::venue::extended::wire::{read_envelope, read_level};
use crate::venue::repeats::Repeats;
use crate::venue::{Deltas, Feed, Heard, Lane, LaneProtocol, LaneSpec, Outbox, Paths};

/// Silence that ends a connection. The venue sends a snapshot each minute even when nothing trades
/// (D1). Larger: a frozen book is believed for longer. Smaller: a quiet market reconnects for ever.
pub const SILENCE_NS_MAX: u64 = 65 * SECOND;
/// Largest message expected: 6,000 levels were 169 KiB (C1). A larger one costs one allocation.
const MESSAGE_BYTES: usize = 512 * 1024;

/// Where a market's book stands.
///
/// ```text
/// Stale -> AwaitingSnapshot (link up) -> Live -> Stale (break, silence, link down, resync)
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BookState {
    /// Connected; no snapshot yet.
    AwaitingSnapshot,
    /// In step with the venue.
    Live {
        /// Number of the last message.
        sequence: u64,
    },
    /// Not connected, or being reconnected.
    Stale,
}

/// One market on its lane.
struct Track {
    instrument: InstrumentId,
    /// Every message must name it: a lane that tells another market's book is a broken lane.
    name: Name,
    state: BookState,
    /// Messages counted on this connection.
    sequence: u64,
    /// When the connection last said anything.
    t_heard: Nanos,
    /// A stale mark is still to be handed over (the batch was full).
    mark_due: bool,
    /// A reconnect is still to be asked for (the outbox was full).
    reconnect_due: bool,
}

/// Market data of Extended, sans I/O.
pub struct ExtendedFeed {
    decoder: Decoder,
    repeats: Repeats,
    paths: Paths,
    tracks: Box<[Track]>,
}

impl ExtendedFeed {
    /// A feed for these markets; lane `n` carries the `n`th.
    pub fn new(markets: &[Market]) -> ExtendedFeed {
        let track = |market: &Market| Track {
            instrument: market.instrument,
            name: market.name,
            state: BookState::Stale,
            sequence: 0,
            t_heard: Nanos::ZERO,
            mark_due: false,
            reconnect_due: false,
        };
        ExtendedFeed {
            decoder: Decoder::new(MESSAGE_BYTES),
            repeats: Repeats::new(),
            paths: Paths::default(),
            tracks: markets.iter().map(track).collect(),
        }
    }

    /// What to dial, in lane order, below the stream's base URL.
    pub fn lanes(&self) -> Vec<LaneSpec> {
        let spec = |track: &Track| LaneSpec {
            path: ["/orderbooks/", track.name.as_str()].concat(),
            headers: vec![("User-Agent", USER_AGENT.to_owned())],
            protocol: LaneProtocol::WebSocket,
        };
        self.tracks.iter().map(spec).collect()
    }

    /// How many messages the scanner read and how many the parser.
    pub fn paths(&self) -> Paths {
        self.paths
    }

    /// Where a lane's book stands; `None` for a lane that does not exist.
    pub fn state(&self, lane: Lane) -> Option<BookState> {
        self.tracks.get(lane).map(|track| track.state)
    }
}

impl Feed for ExtendedFeed {
    fn on_link(&mut self, lane: Lane, up: bool, now: Nanos, deltas: &mut Deltas, _: &mut Outbox) {
        let Some(track) = self.tracks.get_mut(lane) else {
            return;
        };
        track.sequence = 0;
        track.t_heard = now;
        track.reconnect_due = false;
        if up {
            track.state = BookState::AwaitingSnapshot;
        } else {
            track.state = BookState::Stale;
            track.mark_due = true;
            hand_over_mark(track, now, deltas);
        }
    }

    fn on_message(
        &mut self,
        lane: Lane,
        bytes: &mut [u8],
        now: Nanos,
        deltas: &mut Deltas,
        out: &mut Outbox,
    ) -> Heard {
        let Some(track) = self.tracks.get_mut(lane) else {
            return Heard {
                kind: FrameKind::Unknown,
                instrument: None,
            };
        };
        // A reconnect was asked for: whatever still arrives belongs to a book given up already.
        let kind = if track.state == BookState::Stale {
            FrameKind::Unknown
        } else {
            let start = deltas.items().len();
            let mut taking = Taking {
                track,
                deltas,
                repeats: &mut self.repeats,
                start,
                now,
            };
            let kind = match taking.scan(bytes) {
                Some(kind) => {
                    self.paths.fast += 1;
                    kind
                }
                None => {
                    self.paths.slow += 1;
                    self.decoder.read(bytes, |root| taking.parsed(root))
                }
            };
            if kind.is_fault() {
                deltas.truncate(start);
                lose_step(lane, track, now, deltas, out);
            }
            kind
        };
        Heard {
            kind,
            instrument: Some(track.instrument),
        }
    }

    fn on_beat(&mut self, now: Nanos, deltas: &mut Deltas, out: &mut Outbox) {
        for (lane, track) in self.tracks.iter_mut().enumerate() {
            if track.state != BookState::Stale && now.since(track.t_heard) > SILENCE_NS_MAX {
                lose_step(lane, track, now, deltas, out);
            }
            if track.mark_due {
                hand_over_mark(track, now, deltas);
            }
            if track.reconnect_due {
                track.reconnect_due = !out.reconnect(lane);
            }
        }
    }

    fn resync(
        &mut self,
        instrument: InstrumentId,
        now: Nanos,
        deltas: &mut Deltas,
        out: &mut Outbox,
    ) {
        for (lane, track) in self.tracks.iter_mut().enumerate() {
            // A connection that is given up already needs no second reconnect.
            if track.instrument == instrument && track.state != BookState::Stale {
                lose_step(lane, track, now, deltas, out);
            }
        }
    }
}

/// One message being taken, either way.
struct Taking<'a> {
    track: &'a mut Track,
    deltas: &'a mut Deltas,
    repeats: &'a mut Repeats,
    /// Where this message's records begin.
    start: usize,
    now: Nanos,
}

impl Taking<'_> {
    /// A message of the known shape, for a book that takes it. `None`, with nothing changed, for
    /// everything else: the parser asks the same questions and more.
    #[inline]
    fn scan(&mut self, bytes: &[u8]) -> Option<FrameKind> {
        let head = frame::book_head(bytes, self.track.name.as_str())?;
        let is_snapshot = head.is_snapshot;
        if !is_snapshot && self.track.state == BookState::AwaitingSnapshot {
            return None;
        }
        let blank = self.blank(is_snapshot);
        let deltas = &mut *self.deltas;
        let tail = head.read(|side, level| {
            if is_snapshot && level.size == Size::ZERO {
                return Some(());
            }
            // The parser's way counts what does not fit.
            (deltas.room() > 0 && deltas.push(with(blank, side, level))).then_some(())
        });
        let Some(tail) = tail else {
            self.deltas.truncate(self.start);
            return None;
        };
        if !self.follows(tail.sequence) {
            return Some(FrameKind::Gap);
        }
        Some(self.finish(is_snapshot, tail.is_in_order))
    }

    /// A message from the parser. Its number is checked before the content is looked at, and
    /// counted whatever the content is: empty changes and kinds we do not know take a place in the
    /// row too (C1). A message at the wrong place is never read, because what it changes is not the
    /// book we hold.
    fn parsed(&mut self, root: Option<Json<'_, '_>>) -> FrameKind {
        let Some(envelope) = root.and_then(read_envelope) else {
            return FrameKind::Malformed;
        };
        if envelope.is_error {
            return FrameKind::Malformed;
        }
        if !self.follows(envelope.sequence) {
            return FrameKind::Gap;
        }
        self.content(&envelope).unwrap_or_else(|fault| fault)
    }

    /// Whether this number is the next in the row; if so it is counted.
    #[inline]
    fn follows(&mut self, sequence: u64) -> bool {
        let is_next = sequence == self.track.sequence + 1;
        if is_next {
            self.track.sequence = sequence;
            self.track.t_heard = self.now;
            if let BookState::Live { sequence: last } = &mut self.track.state {
                *last = sequence;
            }
        }
        is_next
    }

    /// Reads a book message and pushes what it says. Both sides and the market's name must be
    /// there: a side that is missing is not an empty side.
    fn content(&mut self, envelope: &Envelope<'_, '_>) -> Result<FrameKind, FrameKind> {
        let is_snapshot = match envelope.kind {
            "SNAPSHOT" => true,
            "DELTA" => false,
            _ => return Ok(FrameKind::Unknown),
        };
        let (mut bids, mut asks, mut market) = (None, None, None);
        for (name, value) in envelope.data.iter().flat_map(|data| data.members()) {
            match name {
                "m" => market = value.text(),
                "b" => bids = Some(value),
                "a" => asks = Some(value),
                _ => {}
            }
        }
        let (Some(bids), Some(asks), Some(market)) = (bids, asks, market) else {
            return Err(FrameKind::Malformed);
        };
        if market != self.track.name.as_str() {
            return Err(FrameKind::WrongMarket);
        }
        if !bids.is_array() || !asks.is_array() {
            return Err(FrameKind::Malformed);
        }
        // A change to a book that was never whole says nothing yet; it only counts in the row.
        if !is_snapshot && self.track.state == BookState::AwaitingSnapshot {
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
        for level in levels.elements() {
            let level = read_level(level, is_snapshot)?;
            let says_nothing = is_snapshot && level.size == Size::ZERO;
            if !says_nothing && !self.deltas.push(with(blank, side, level)) {
                return Err(FrameKind::Malformed);
            }
        }
        Ok(())
    }

    /// All levels are pushed: the first record of a whole book empties the one before, the last of
    /// any message lets consumers look, never at half a message.
    #[inline]
    fn finish(&mut self, is_snapshot: bool, is_in_order: bool) -> FrameKind {
        let pushed = &self.deltas.items()[self.start..];
        if !is_in_order && self.repeats.are_in(pushed, |delta| delta.side) {
            return FrameKind::DuplicateLevel;
        }
        if is_snapshot && pushed.is_empty() && !self.deltas.push(empty_book(self.track, self.now)) {
            return FrameKind::Malformed;
        }
        if let [first, ..] = &mut self.deltas.items_mut()[self.start..] {
            first.flags |= if is_snapshot { flags::CLEAR } else { 0 };
        }
        if let [.., last] = &mut self.deltas.items_mut()[self.start..] {
            last.flags |= flags::LAST;
        }
        if !is_snapshot {
            return FrameKind::Update;
        }
        // The snapshot clears what a stale mark still due would have condemned.
        self.track.mark_due = false;
        self.track.state = BookState::Live {
            sequence: self.track.sequence,
        };
        FrameKind::Snapshot
    }

    /// What all records of the message have in common. The stage stamps the push.
    #[inline]
    fn blank(&self, is_snapshot: bool) -> Delta {
        Delta {
            price: Price::ZERO,
            size: Size::ZERO,
            t_recv: self.now,
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

/// Gives up a connection's book: stale at once, then a new connection.
#[cold]
fn lose_step(lane: Lane, track: &mut Track, now: Nanos, deltas: &mut Deltas, out: &mut Outbox) {
    track.state = BookState::Stale;
    track.mark_due = true;
    hand_over_mark(track, now, deltas);
    track.reconnect_due = !out.reconnect(lane);
}

/// Pushes the stale mark, or leaves it due for the next beat when the batch is full.
#[cold]
fn hand_over_mark(track: &mut Track, now: Nanos, deltas: &mut Deltas) {
    let mark = Delta {
        flags: flags::STALE | flags::EMPTY | flags::LAST,
        ..empty_book(track, now)
    };
    track.mark_due = !deltas.push(mark);
}

/// A record without a level.
#[cold]
fn empty_book(track: &Track, now: Nanos) -> Delta {
    Delta {
        price: Price::ZERO,
        size: Size::ZERO,
        t_recv: now,
        t_push: Nanos::ZERO,
        instrument: track.instrument,
        venue: Venue::Extended,
        side: Side::Bid,
        flags: flags::SNAPSHOT | flags::EMPTY,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::market::units::{Bps, Notional};
    use crate::venue::OutKind;
    use proptest::prelude::*;
    use std::collections::{BTreeMap, BTreeSet};

    fn market(name: &str, instrument: u16) -> Market {
        Market {
            venue: Venue::Extended,
            instrument: InstrumentId(instrument),
            name: Name::new(name).unwrap(),
            venue_market: 0,
            tick: Price(1),
            lot: Size(1),
            size_min: Size(1),
            notional_min: Notional::ZERO,
            fee_taker: Bps::ZERO,
            fee_maker: Bps::ZERO,
        }
    }

    struct Rig {
        feed: ExtendedFeed,
        deltas: Deltas,
        out: Outbox,
        now: Nanos,
    }

    impl Rig {
        fn new() -> Rig {
            let mut rig = Rig {
                feed: ExtendedFeed::new(&[market("BTC-USD", 4), market("ETH-USD", 7)]),
                deltas: Deltas::new(64),
                out: Outbox::new(1024, 8),
                now: Nanos(SECOND),
            };
            rig.link(0, true);
            rig
        }

        fn link(&mut self, lane: Lane, up: bool) {
            self.deltas.clear();
            let (deltas, out) = (&mut self.deltas, &mut self.out);
            self.feed.on_link(lane, up, self.now, deltas, out);
        }

        fn say(&mut self, text: &str) -> FrameKind {
            self.deltas.clear();
            let mut bytes = text.as_bytes().to_vec();
            let (deltas, out) = (&mut self.deltas, &mut self.out);
            let heard = self.feed.on_message(0, &mut bytes, self.now, deltas, out);
            assert_eq!(heard.instrument, Some(InstrumentId(4)));
            heard.kind
        }

        fn beat(&mut self) {
            self.deltas.clear();
            self.feed.on_beat(self.now, &mut self.deltas, &mut self.out);
        }

        fn state(&self) -> BookState {
            self.feed.state(0).unwrap()
        }

        fn reconnects(&mut self) -> usize {
            let count = self.out.items().len();
            assert!(
                self.out
                    .items()
                    .iter()
                    .all(|item| item.kind == OutKind::Reconnect)
            );
            self.out.clear();
            count
        }
    }

    /// As the venue writes it, member by member.
    fn frame(kind: &str, sequence: u64, bids: &str, asks: &str) -> String {
        let head = format!(r#"{{"type":"{kind}","data":{{"t":"{kind}","m":"BTC-USD","#);
        let tail = format!(r#""d":"f"}},"ts":1785778403000,"seq":{sequence}}}"#);
        format!(r#"{head}"b":[{bids}],"a":[{asks}],{tail}"#)
    }

    const LEVEL: &str = r#"{"q":"1","p":"9"}"#;

    #[test]
    fn a_break_in_the_row_ends_the_connection() {
        for wrong in [1, 3, 0] {
            let mut rig = Rig::new();
            assert_eq!(
                rig.say(&frame("SNAPSHOT", 1, LEVEL, "")),
                FrameKind::Snapshot
            );
            assert_eq!(rig.say(&frame("DELTA", wrong, "", "")), FrameKind::Gap);
            assert_eq!(rig.deltas.items().len(), 1);
            assert!(rig.deltas.items()[0].flags & flags::STALE != 0);
            assert_eq!((rig.reconnects(), rig.state()), (1, BookState::Stale));
            // What still arrives is not believed, and asks for nothing more.
            assert_eq!(
                rig.say(&frame("SNAPSHOT", 2, LEVEL, "")),
                FrameKind::Unknown
            );
            assert_eq!((rig.deltas.items().len(), rig.reconnects()), (0, 0));
        }
    }

    #[test]
    fn the_first_message_is_number_one() {
        let mut rig = Rig::new();
        assert_eq!(rig.say(&frame("SNAPSHOT", 2, LEVEL, "")), FrameKind::Gap);
        rig.link(0, false);
        rig.link(0, true);
        assert_eq!(
            rig.say(&frame("SNAPSHOT", 1, LEVEL, "")),
            FrameKind::Snapshot
        );
        assert_eq!(rig.state(), BookState::Live { sequence: 1 });
    }

    #[test]
    fn a_minute_snapshot_is_no_gap() {
        let mut rig = Rig::new();
        rig.say(&frame("SNAPSHOT", 1, LEVEL, ""));
        assert_eq!(rig.say(&frame("DELTA", 2, "", "")), FrameKind::Update);
        assert_eq!(rig.deltas.items().len(), 0);
        assert_eq!(
            rig.say(&frame("SNAPSHOT", 3, "", LEVEL)),
            FrameKind::Snapshot
        );
        let only = rig.deltas.items()[0];
        assert_eq!(only.flags, flags::CLEAR | flags::SNAPSHOT | flags::LAST);
        assert_eq!((only.side, only.price.0), (Side::Ask, 9_000_000_000));
        assert_eq!(rig.reconnects(), 0);
    }

    #[test]
    fn an_empty_snapshot_still_clears() {
        let mut rig = Rig::new();
        assert_eq!(rig.say(&frame("SNAPSHOT", 1, "", "")), FrameKind::Snapshot);
        let only = rig.deltas.items()[0];
        let expected = flags::CLEAR | flags::SNAPSHOT | flags::EMPTY | flags::LAST;
        assert_eq!((rig.deltas.items().len(), only.flags), (1, expected));
    }

    #[test]
    fn changes_before_the_snapshot_only_count() {
        let mut rig = Rig::new();
        let change = r#"{"q":"1","p":"9","c":"1"}"#;
        assert_eq!(rig.say(&frame("DELTA", 1, change, "")), FrameKind::Update);
        assert_eq!(rig.deltas.items().len(), 0);
        assert_eq!(rig.state(), BookState::AwaitingSnapshot);
        assert_eq!(
            rig.say(&frame("SNAPSHOT", 2, LEVEL, "")),
            FrameKind::Snapshot
        );
    }

    #[test]
    fn unknown_kinds_count_in_the_row() {
        let mut rig = Rig::new();
        rig.say(&frame("SNAPSHOT", 1, LEVEL, ""));
        assert_eq!(rig.say(&frame("NEWS", 2, "", "")), FrameKind::Unknown);
        assert_eq!(rig.say(&frame("DELTA", 3, "", "")), FrameKind::Update);
        assert_eq!(rig.state(), BookState::Live { sequence: 3 });
    }

    #[test]
    fn what_the_venue_does_not_write_ends_the_connection() {
        let good = frame("SNAPSHOT", 1, LEVEL, "");
        let level = |level: &str| frame("SNAPSHOT", 1, level, "");
        for (bad, kind) in [
            ("not json".to_owned(), FrameKind::Malformed),
            ("{}".to_owned(), FrameKind::Malformed),
            (
                r#"{"error":"market not found"}"#.to_owned(),
                FrameKind::Malformed,
            ),
            (
                r#"{"status":"ERROR","error":{"code":1001,"message":"No."}}"#.to_owned(),
                FrameKind::Malformed,
            ),
            (good.replace("BTC-USD", "ETH-USD"), FrameKind::WrongMarket),
            (good.replace("\"9\"", "\"nine\""), FrameKind::Malformed),
            (
                good.replace("[{", "{").replace("}]", "}"),
                FrameKind::Malformed,
            ),
            (level(r#"{"q":"1"}"#), FrameKind::Malformed),
            (level(r#"{"q":"1","p":"1e10"}"#), FrameKind::OutOfRange),
            (
                level(r#"{"q":"9223372037","p":"1"}"#),
                FrameKind::OutOfRange,
            ),
            (level(r#"{"q":"1","p":"1.0000000001"}"#), FrameKind::Inexact),
            (
                level(r#"{"q":"0.000000000000000000000000000001","p":"1"}"#),
                FrameKind::Inexact,
            ),
            (level(r#"{"q":"-1","p":"1"}"#), FrameKind::Negative),
            (level(r#"{"q":"1","p":"-1"}"#), FrameKind::Negative),
            (
                level(r#"{"q":"1","p":"9"},{"q":"1","p":"8"},{"q":"2","p":"9.0"}"#),
                FrameKind::DuplicateLevel,
            ),
        ] {
            let mut rig = Rig::new();
            assert_eq!(rig.say(&bad), kind, "{bad}");
            assert_eq!((rig.reconnects(), rig.state()), (1, BookState::Stale));
            assert_eq!(rig.deltas.items().len(), 1, "nothing but the mark leaves");
        }
        // A change without its new absolute size is a guess.
        let mut rig = Rig::new();
        rig.say(&good);
        assert_eq!(rig.say(&frame("DELTA", 2, LEVEL, "")), FrameKind::Malformed);
        assert_eq!(rig.deltas.items().len(), 1);
    }

    #[test]
    fn silence_ends_the_connection_once() {
        let mut rig = Rig::new();
        rig.say(&frame("SNAPSHOT", 1, LEVEL, ""));
        rig.now = rig.now.plus(SILENCE_NS_MAX);
        rig.beat();
        assert_eq!(rig.reconnects(), 0);
        rig.now = rig.now.plus(1);
        rig.beat();
        assert_eq!((rig.reconnects(), rig.deltas.items().len()), (1, 1));
        rig.beat();
        assert_eq!((rig.reconnects(), rig.deltas.items().len()), (0, 0));
    }

    #[test]
    fn a_full_batch_or_outbox_is_made_up_for() {
        let mut rig = Rig::new();
        rig.deltas = Deltas::new(1);
        rig.out = Outbox::new(0, 0);
        let two = r#"{"q":"1","p":"9"},{"q":"1","p":"8"}"#;
        assert_eq!(
            rig.say(&frame("SNAPSHOT", 1, two, "")),
            FrameKind::Malformed
        );
        assert!(rig.deltas.items()[0].flags & flags::STALE != 0);
        rig.out = Outbox::new(8, 8);
        rig.beat();
        assert_eq!(rig.reconnects(), 1);
    }

    #[test]
    fn resync_is_per_instrument() {
        let mut rig = Rig::new();
        rig.link(1, true);
        rig.deltas.clear();
        let (deltas, out) = (&mut rig.deltas, &mut rig.out);
        rig.feed.resync(InstrumentId(7), rig.now, deltas, out);
        assert_eq!(rig.state(), BookState::AwaitingSnapshot);
        assert_eq!(rig.feed.state(1), Some(BookState::Stale));
        assert_eq!(rig.deltas.items()[0].instrument, InstrumentId(7));
        assert_eq!(rig.reconnects(), 1);
    }

    #[test]
    fn lanes_are_the_markets_in_order() {
        let lanes = Rig::new().feed.lanes();
        let paths: Vec<_> = lanes.iter().map(|lane| lane.path.as_str()).collect();
        assert_eq!(paths, ["/orderbooks/BTC-USD", "/orderbooks/ETH-USD"]);
        assert_eq!(lanes[0].headers[0].0, "User-Agent");
    }

    type Naive = BTreeMap<(bool, i64), i64>;

    fn apply(book: &mut Naive, deltas: &[Delta]) {
        for delta in deltas {
            if delta.flags & flags::CLEAR != 0 {
                book.clear();
            }
            let key = (delta.side == Side::Ask, delta.price.0);
            if delta.flags & flags::EMPTY == 0 && delta.size.0 > 0 {
                book.insert(key, delta.size.0);
            } else {
                book.remove(&key);
            }
        }
    }

    proptest! {
        /// Random walks of a venue's book, told as the venue tells them (changes and sizes,
        /// trailing zeros, snapshots now and then), end in the venue's own book.
        #[test]
        fn the_book_told_is_the_book_kept(
            steps in proptest::collection::vec(
                (
                    any::<bool>(),
                    proptest::collection::vec((any::<bool>(), 1_i64..40, 0_i64..5), 0..6),
                ),
                1..30,
            )
        ) {
            let mut rig = Rig::new();
            let (mut truth, mut kept) = (Naive::new(), Naive::new());
            for (idx, (snapshot, changes)) in steps.iter().enumerate() {
                let snapshot = *snapshot || idx == 0;
                let mut sides = [String::new(), String::new()];
                let mut told = BTreeSet::new();
                for &(ask, price, size) in changes {
                    // The venue tells a level once in a message.
                    if !told.insert((ask, price)) {
                        continue;
                    }
                    let before = truth.insert((ask, price), size).unwrap_or(0);
                    let side = &mut sides[usize::from(ask)];
                    let comma = if side.is_empty() { "" } else { "," };
                    *side += &format!(
                        r#"{comma}{{"q":"{}.00","p":"{price}.0","c":"{size}"}}"#,
                        size - before
                    );
                }
                truth.retain(|_, size| *size > 0);
                if snapshot {
                    for (ask, side) in [false, true].into_iter().zip(&mut sides) {
                        let levels: Vec<_> = truth
                            .iter()
                            .filter(|((own, _), _)| *own == ask)
                            .map(|((_, price), size)| format!(r#"{{"q":"{size}","p":"{price}"}}"#))
                            .collect();
                        *side = levels.join(",");
                    }
                }
                let kind = if snapshot { "SNAPSHOT" } else { "DELTA" };
                rig.say(&frame(kind, idx as u64 + 1, &sides[0], &sides[1]));
                apply(&mut kept, rig.deltas.items());
                let scaled: Naive = truth
                    .iter()
                    .map(|((ask, price), size)| {
                        ((*ask, price * 1_000_000_000), size * 1_000_000_000)
                    })
                    .collect();
                prop_assert_eq!(&kept, &scaled);
            }
            prop_assert_eq!(rig.reconnects(), 0);
            let paths = rig.feed.paths();
            prop_assert_eq!((paths.fast, paths.slow), (steps.len() as u64, 0));
        }

        #[test]
        fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut rig = Rig::new();
            let mut bytes = bytes;
            let (deltas, out) = (&mut rig.deltas, &mut rig.out);
            rig.feed.on_message(0, &mut bytes, rig.now, deltas, out);
        }
    }
}
