//! The mirror equals the truth after any sequence of messages, on any link, at both venues.
//!
//! Messages are written as the venues write them, pass the real decoders and feed stages, cross a
//! link that is sometimes far too short, and rebuild a second book on the other side. The judge is
//! a sorted map.

#[path = "rig/instrument.rs"]
mod instrument;
#[path = "rig/scripted.rs"]
mod scripted;

use instrument::{ID, NOW, instrument, market};
use parallax::feed::{FeedStage, Parts};
use parallax::market::book::{Book, Delta, Side, flags};
use parallax::market::event::{Event, FrameKind, Reason};
use parallax::market::reference::ReferenceKind;
use parallax::market::units::{Price, Size};
use parallax::market::{Instrument, InstrumentId, VENUES, Venue};
use parallax::net::{Connection, ConnectionLimits, Endpoint, Lanes, Protocol, TlsClient};
use parallax::scanner::risk::Limits;
use parallax::sim::tape::codec::{Frame, Kind};
use parallax::sim::tape::{Stream, Tape};
use parallax::stage::Stage;
use parallax::stage::clock::Clock;
use parallax::stage::link::{Rx, link};
use parallax::venue::Feed;
use parallax::venue::extended::feed::ExtendedFeed;
use parallax::venue::lighter::feed::LighterFeed;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::fmt::Write;

/// Twice the reserve of a feed and a stretch of a whole book: as short as a link may be.
const SHORT: usize = 1024;

type Sides = [BTreeMap<i64, i64>; 2];

/// One message: levels by side, tick and size (zero removes).
#[derive(Clone, Debug)]
enum Message {
    Snapshot(Vec<(bool, i64, i64)>),
    Update(Vec<(bool, i64, i64)>),
    /// An update whose sequence does not follow.
    Gap,
    /// Bytes that no venue sends.
    Garbage(Vec<u8>),
    /// An update that makes the book cross itself.
    Crossing,
}

fn levels(len: usize) -> impl Strategy<Value = Vec<(bool, i64, i64)>> {
    let size = prop_oneof![1 => Just(0_i64), 3 => 1..1000_i64];
    prop::collection::vec((any::<bool>(), 1..900_i64, size), 0..len)
}

fn messages() -> impl Strategy<Value = Vec<(Message, usize)>> {
    let message = prop_oneof![
        2 => levels(600).prop_map(Message::Snapshot),
        20 => levels(40).prop_map(Message::Update),
        1 => Just(Message::Gap),
        1 => prop::collection::vec(any::<u8>(), 0..60).prop_map(Message::Garbage),
        1 => Just(Message::Crossing),
    ];
    // With each message: how many records the reader takes after it.
    prop::collection::vec((message, 0..400_usize), 1..40)
}

/// Bids stand below 1,000 ticks, asks above, so that only `Crossing` crosses.
fn tick_of(is_bid: bool, far: i64) -> i64 {
    if is_bid { 1_000 - far } else { 1_000 + far }
}

/// Whether it is a bid, and the level.
type Row = (bool, Price, Size);

/// Writes frames as a venue does and keeps its sequence, and what stands where: Extended tells
/// changes beside sizes.
struct Writer {
    venue: Venue,
    sequence: u64,
    held: BTreeMap<(bool, i64), i64>,
}

impl Writer {
    fn new(venue: Venue) -> Writer {
        Writer {
            venue,
            sequence: 0,
            held: BTreeMap::new(),
        }
    }

    /// What the venue says first on a connection.
    fn greeting(&mut self) -> Option<String> {
        self.sequence = 0;
        self.held.clear();
        (self.venue == Venue::Lighter).then(|| r#"{"type":"connected"}"#.to_string())
    }

    fn side(&mut self, list: &[Row], bids: bool, is_snapshot: bool) -> String {
        let mut text = String::new();
        if is_snapshot {
            self.held.retain(|level, _| level.0 != bids);
        }
        for (_, price, size) in list.iter().filter(|row| row.0 == bids) {
            let before = self.held.insert((bids, price.0), size.0).unwrap_or(0);
            let change = Size(size.0 - before);
            let comma = if text.is_empty() { "" } else { "," };
            let _ = match (self.venue, is_snapshot) {
                (Venue::Lighter, _) => {
                    write!(text, r#"{comma}{{"price":"{price}","size":"{size}"}}"#)
                }
                (Venue::Extended, true) => write!(text, r#"{comma}{{"q":"{size}","p":"{price}"}}"#),
                (Venue::Extended, false) => {
                    write!(
                        text,
                        r#"{comma}{{"q":"{change}","p":"{price}","c":"{size}"}}"#
                    )
                }
            };
        }
        text
    }

    fn frame(&mut self, list: &[(bool, i64, i64)], is_snapshot: bool) -> String {
        let row = |(is_bid, far, size): &(bool, i64, i64)| {
            let ticks = tick_of(*is_bid, *far);
            (*is_bid, Price(ticks * 100_000_000), Size(size * 10_000))
        };
        self.write(&list.iter().map(row).collect::<Vec<_>>(), is_snapshot)
    }

    fn write(&mut self, list: &[Row], is_snapshot: bool) -> String {
        let (bids, asks) = (
            self.side(list, true, is_snapshot),
            self.side(list, false, is_snapshot),
        );
        let before = self.sequence;
        self.sequence += 1;
        let sequence = self.sequence;
        match self.venue {
            Venue::Extended => {
                let kind = if is_snapshot { "SNAPSHOT" } else { "DELTA" };
                format!(
                    "{{\"type\":\"{kind}\",\"data\":{{\"t\":\"{kind}\",\"m\":\"BTC-USD\",\
                     \"b\":[{bids}],\"a\":[{asks}]}},\"ts\":1,\"seq\":{sequence}}}"
                )
            }
            Venue::Lighter => {
                let (kind, begin) = if is_snapshot {
                    ("subscribed", 0)
                } else {
                    ("update", before)
                };
                format!(
                    "{{\"channel\":\"order_book:1\",\"last_updated_at\":1,\"offset\":1,\
                     \"order_book\":{{\"code\":0,\"asks\":[{asks}],\"bids\":[{bids}],\"offset\":1,\
                     \"nonce\":{sequence},\"last_updated_at\":1,\"begin_nonce\":{begin}}},\
                     \"timestamp\":1,\"type\":\"{kind}/order_book\"}}"
                )
            }
        }
    }
}

/// A feed stage with one lane that is never dialled, and a mirror at the end of its link.
struct Rig<F> {
    stage: FeedStage<F>,
    deltas: Rx<Delta>,
    journal: Rx<Event>,
    mirror: Book,
    /// The mirror may be looked at.
    is_live: bool,
    writer: Writer,
}

impl<F: Feed> Rig<F> {
    fn new(venue: Venue, feed: F, link_len: usize) -> Rig<F> {
        Rig::of(venue, feed, link_len, &[instrument()])
    }

    fn of(venue: Venue, feed: F, link_len: usize, instruments: &[Instrument]) -> Rig<F> {
        let url = "ws://127.0.0.1:9/stream";
        let endpoint = Endpoint::parse(url, "", Vec::new(), Protocol::WebSocket);
        let tls = TlsClient::new(None).expect("the public roots are built in");
        let lane = Connection::new(
            endpoint.expect("a loopback address"),
            0,
            &tls,
            ConnectionLimits::default(),
            1,
        );
        let (tx, deltas) = link("deltas", link_len);
        let (journal_tx, journal) = link("journal", 65_536);
        let parts = Parts {
            feed,
            lanes: Lanes::new(vec![lane]).expect("the system has a poller"),
            deltas: tx,
            references: link("references", 64).0,
            journal: journal_tx,
            clock: Clock::new(),
        };
        let mut rig = Rig {
            stage: FeedStage::new(venue, instruments, parts),
            deltas,
            journal,
            mirror: Book::new(instruments[0].markets[venue.idx()].tick),
            is_live: false,
            writer: Writer::new(venue),
        };
        rig.connect();
        rig
    }

    /// The lane comes up anew, as after a reconnect.
    fn connect(&mut self) {
        self.stage.on_link(0, false, NOW);
        self.stage.on_link(0, true, NOW);
        if let Some(text) = self.writer.greeting() {
            self.hear(text.into_bytes());
        }
    }

    fn hear(&mut self, mut bytes: Vec<u8>) -> FrameKind {
        self.stage.hear(0, &mut bytes, NOW)
    }

    /// The reader takes some records.
    fn take(&mut self, count: usize) -> usize {
        let mut taken = 0;
        while taken < count {
            let Some(delta) = self.deltas.pop() else {
                break;
            };
            taken += 1;
            self.mirror.apply_delta(&delta);
            if delta.flags & (flags::STALE | flags::CLEAR) != 0 {
                self.is_live = false;
            }
            if delta.flags & flags::LAST != 0 && delta.flags & flags::SNAPSHOT != 0 {
                self.is_live = true;
            }
        }
        while self.journal.pop().is_some() {}
        taken
    }

    /// Turns until nothing moves any more.
    fn settle(&mut self) {
        for _ in 0..64 {
            let work = self.stage.turn(NOW) + self.take(usize::MAX);
            if work == 0 {
                return;
            }
        }
        panic!("the feed never comes to rest");
    }

    /// Says a message and keeps the naive book; `None`: not to be trusted until a snapshot.
    fn say(&mut self, message: &Message, truth: &mut Option<Sides>) {
        match message {
            Message::Snapshot(list) => {
                let full: Vec<_> = list.iter().copied().filter(|row| row.2 > 0).collect();
                let text = self.writer.frame(&full, true);
                assert_eq!(self.hear(text.into_bytes()), FrameKind::Snapshot);
                *truth = Some(Sides::default());
                set(truth, &full);
            }
            Message::Update(list) => {
                let text = self.writer.frame(list, false);
                self.hear(text.into_bytes());
                set(truth, list);
            }
            Message::Gap => {
                self.writer.sequence += 1;
                let text = self.writer.frame(&[(true, 5, 7)], false);
                let kind = self.hear(text.into_bytes());
                if truth.take().is_some() {
                    assert_eq!(kind, FrameKind::Gap);
                }
                self.connect();
            }
            Message::Garbage(bytes) => {
                let kind = self.hear(bytes.clone());
                assert!(
                    matches!(kind, FrameKind::Malformed | FrameKind::Unknown),
                    "{kind:?}"
                );
                *truth = None;
                self.connect();
            }
            Message::Crossing => {
                let text = self.writer.frame(&[(true, -900, 7), (false, 1, 7)], false);
                self.hear(text.into_bytes());
                *truth = None;
                self.settle();
                assert!(!self.is_live, "a crossed book is never shown as live");
                self.connect();
            }
        }
    }

    fn agrees(&self, truth: &Option<Sides>) {
        assert_eq!(
            self.is_live,
            truth.is_some(),
            "live exactly when the book can be true"
        );
        let Some(sides) = truth else { return };
        for side in [Side::Bid, Side::Ask] {
            let rows = |book: &Book| -> Vec<_> {
                book.levels(side)
                    .map(|l| (l.price.0 / 100_000_000, l.size.0))
                    .collect()
            };
            let ascending = sides[side.idx()].iter().map(|(tick, size)| (*tick, *size));
            let naive: Vec<_> = match side {
                Side::Bid => ascending.rev().collect(),
                Side::Ask => ascending.collect(),
            };
            assert_eq!(rows(self.stage.book(ID)), naive, "the feed's book");
            assert_eq!(rows(&self.mirror), naive, "the mirror");
        }
    }
}

/// In one frame removals come before insertions at Lighter, and a level named twice is never sent:
/// the last word of a list is kept here, and lists are made without repeats.
fn set(truth: &mut Option<Sides>, list: &[(bool, i64, i64)]) {
    let Some(sides) = truth else { return };
    for (is_bid, far, size) in list {
        let side = &mut sides[if *is_bid { 0 } else { 1 }];
        if *size == 0 {
            side.remove(&tick_of(*is_bid, *far));
        } else {
            side.insert(tick_of(*is_bid, *far), size * 10_000);
        }
    }
}

fn without_repeats(message: &Message) -> Message {
    let unique = |list: &[(bool, i64, i64)]| {
        let by_level: BTreeMap<_, _> = list.iter().map(|r| ((r.0, r.1), r.2)).collect();
        by_level
            .into_iter()
            .map(|((is_bid, far), size)| (is_bid, far, size))
            .collect()
    };
    match message {
        Message::Snapshot(list) => Message::Snapshot(unique(list)),
        Message::Update(list) => Message::Update(unique(list)),
        other => other.clone(),
    }
}

fn mirror_follows<F: Feed>(mut rig: Rig<F>, list: &[(Message, usize)]) {
    let mut truth = None;
    for (message, taken) in list {
        rig.say(&without_repeats(message), &mut truth);
        rig.take(*taken);
        rig.stage.turn(NOW);
    }
    rig.settle();
    rig.agrees(&truth);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn the_mirror_equals_the_truth(list in messages(), is_short in any::<bool>()) {
        let link_len = if is_short { SHORT } else { 65_536 };
        for venue in VENUES {
            let markets = [market(venue)];
            match venue {
                Venue::Extended => {
                    mirror_follows(Rig::new(venue, ExtendedFeed::new(&markets), link_len), &list);
                }
                Venue::Lighter => {
                    mirror_follows(Rig::new(venue, LighterFeed::new(&markets), link_len), &list);
                }
            }
        }
    }
}

#[test]
fn a_reader_that_sleeps_through_everything_still_ends_with_the_truth() {
    let big = |size: i64| -> Vec<_> {
        (1..900)
            .flat_map(|far| [(true, far, size), (false, far, size)])
            .collect()
    };
    let mut rig = Rig::new(
        Venue::Extended,
        ExtendedFeed::new(&[market(Venue::Extended)]),
        SHORT,
    );
    let mut truth = None;
    rig.say(&Message::Snapshot(big(5)), &mut truth);
    for size in 1..20 {
        rig.say(&Message::Update(big(size)), &mut truth);
        rig.stage.turn(NOW);
    }
    assert!(!rig.is_live, "nobody has looked yet");
    rig.settle();
    rig.agrees(&truth);
}

/// The feed's book and the mirror after these messages, whole, updates, at both venues.
fn after(messages: &[Message], check: impl Fn(Venue, &Book)) {
    for venue in VENUES {
        let markets = [market(venue)];
        let (mut truth, check) = (None, &check);
        macro_rules! play {
            ($feed:expr) => {{
                let mut rig = Rig::new(venue, $feed, 65_536);
                for message in messages {
                    rig.say(message, &mut truth);
                }
                rig.settle();
                rig.agrees(&truth);
                check(venue, &rig.mirror);
            }};
        }
        match venue {
            Venue::Extended => play!(ExtendedFeed::new(&markets)),
            Venue::Lighter => play!(LighterFeed::new(&markets)),
        }
    }
}

fn size_at(book: &Book, is_bid: bool, far: i64) -> i64 {
    let side = if is_bid { Side::Bid } else { Side::Ask };
    let price = Price(tick_of(is_bid, far) * 100_000_000);
    book.size_at(side, price).map_or(-1, |size| size.0 / 10_000)
}

#[test]
fn row_2_a_change_leaves_the_rest_of_its_side() {
    let whole = vec![(true, 1, 5), (true, 2, 6), (false, 1, 7), (false, 2, 8)];
    let change = vec![(true, 2, 9)];
    after(
        &[Message::Snapshot(whole), Message::Update(change)],
        |venue, book| {
            let sizes = [(true, 1), (true, 2), (false, 1), (false, 2)];
            let sizes = sizes.map(|(is_bid, far)| size_at(book, is_bid, far));
            assert_eq!(sizes, [5, 9, 7, 8], "{venue:?}");
        },
    );
}

/// Row 3: Extended's `q` is the change and `c` the size; one that does not fit is not believed.
#[test]
fn row_3_the_signed_change_is_never_a_size() {
    let whole = vec![(true, 1, 5), (false, 1, 7)];
    let change = vec![(true, 1, 3), (false, 1, 9)];
    after(
        &[Message::Snapshot(whole.clone()), Message::Update(change)],
        |venue, book| {
            assert_eq!(size_at(book, true, 1), 3, "{venue:?}");
            assert_eq!(size_at(book, false, 1), 9, "{venue:?}");
        },
    );
    let feed = ExtendedFeed::new(&[market(Venue::Extended)]);
    let mut rig = Rig::new(Venue::Extended, feed, 65_536);
    rig.say(&Message::Snapshot(whole), &mut None);
    rig.settle();
    assert!(rig.is_live);
    // The venue would have to hold 6 there, and we hold 5.
    let price = Price(tick_of(true, 1) * 100_000_000);
    rig.writer.held.insert((true, price.0), 60_000);
    let text = rig.writer.frame(&[(true, 1, 4)], false);
    assert_eq!(rig.hear(text.into_bytes()), FrameKind::Misfit);
    rig.settle();
    assert!(!rig.is_live, "asked for anew");
}

#[test]
fn row_4_a_whole_book_leaves_nothing_of_the_one_before() {
    let before = vec![(true, 1, 5), (true, 9, 6), (false, 1, 7), (false, 9, 8)];
    let now = vec![(true, 2, 4), (false, 2, 3)];
    after(
        &[Message::Snapshot(before), Message::Snapshot(now)],
        |venue, book| {
            for side in [Side::Bid, Side::Ask] {
                assert_eq!(book.levels(side).count(), 1, "{venue:?}");
            }
        },
    );
}

/// Two markets on one Lighter connection: a snapshot of thousands of levels of one, and changes of
/// the other behind it.
#[test]
fn a_large_snapshot_does_not_stand_before_the_changes_of_others() {
    let other = InstrumentId(1);
    let mut both = [instrument(), instrument()];
    both[1].id = other;
    for theirs in &mut both[1].markets {
        theirs.instrument = other;
        theirs.venue_market = 0;
    }
    let markets = both.map(|i| i.markets[Venue::Lighter.idx()]);
    let mut rig = Rig::of(Venue::Lighter, LighterFeed::new(&markets), 65_536, &both);
    let text = |writer: &mut Writer, list: &[(bool, i64, i64)], whole, market: &str| {
        let text = writer.frame(list, whole);
        text.replace("order_book:1", market).into_bytes()
    };
    let mut theirs = Writer::new(Venue::Lighter);
    let small = [(true, 1, 5), (false, 1, 7)];
    rig.hear(text(&mut theirs, &small, true, "order_book:0"));
    rig.take(usize::MAX);
    let large: Vec<_> = (1..=3_500)
        .flat_map(|far| [(true, far, 5), (false, far, 7)])
        .filter(|(is_bid, far, _)| tick_of(*is_bid, *far) > 0)
        .collect();
    let whole = rig.writer.frame(&large, true);
    assert_eq!(rig.hear(whole.into_bytes()), FrameKind::Snapshot);
    let mut before = Vec::new();
    for size in 1..=20 {
        rig.hear(text(&mut theirs, &[(true, 1, size)], false, "order_book:0"));
        let mut waited = 0;
        loop {
            let delta = rig.deltas.pop().expect("the change is on its way");
            if delta.instrument == other {
                break;
            }
            rig.mirror.apply_delta(&delta);
            waited += 1;
        }
        before.push(waited);
        rig.stage.turn(NOW);
    }
    assert_eq!(before[0], 0, "nothing of the snapshot went before it");
    assert!(before.iter().all(|waited| *waited <= 260), "{before:?}");
    rig.settle();
    for side in [Side::Bid, Side::Ask] {
        let levels = |book: &Book| book.levels(side).collect::<Vec<_>>();
        assert_eq!(levels(&rig.mirror), levels(rig.stage.book(ID)));
    }
    assert!(rig.is_live);
}

/// Row 1: one venue froze for 23 minutes while the price moved. What stands there is no edge.
#[test]
fn row_1_a_frozen_market_is_no_opportunity() {
    use scripted::{BTC, Extended, Lighter, Rig, bps, price};
    let limits = Limits {
        gross_min: bps("5"),
        ..Limits::default()
    };
    let moved = |rig: &mut Rig, bid: &str, ask: &str| {
        for _ in 0..3 {
            rig.book(Extended, bid, ask);
        }
        assert!(rig.placed().is_empty(), "{bid}");
    };
    // Thousands of basis points are not believed, two per cent are no longer one asset.
    let mut rig = Rig::ready(limits);
    moved(&mut rig, "1199.9", "1200.1");
    assert!(rig.refused(Reason::Implausible) || rig.refused(Reason::Divergent));
    // An edge that could be true is none beside an index that has left the book behind.
    let mut rig = Rig::ready(limits);
    rig.reference(Lighter, ReferenceKind::Index, price("1030").0);
    moved(&mut rig, "1001.4", "1001.6");
    assert!(rig.refused(Reason::Divergent));
    // Nor when the frozen book has been silent for too long, or its venue marked it.
    let mut rig = Rig::ready(limits);
    rig.now = rig.now.plus(limits.stale_after_ns);
    moved(&mut rig, "1001.4", "1001.6");
    assert!(rig.refused(Reason::StaleBook));
    let mut rig = Rig::ready(limits);
    rig.stale(Lighter);
    moved(&mut rig, "1001.4", "1001.6");
    // The same edge between two living books is taken.
    let mut rig = Rig::ready(limits);
    rig.book_of(BTC, Extended, ("1001.4", "1001.6"), "2");
    assert_eq!(rig.placed().len(), 1);
}

#[test]
fn row_10_a_book_with_one_side_is_no_opportunity() {
    use scripted::{BTC, Lighter, Rig, bps, price, size};
    let limits = Limits {
        gross_min: bps("5"),
        ..Limits::default()
    };
    let mut rig = Rig::ready(limits);
    let whole = flags::CLEAR | flags::SNAPSHOT;
    for _ in 0..3 {
        rig.delta(
            BTC,
            Lighter,
            (Side::Bid, price("1002"), size("2")),
            whole | flags::LAST,
        );
        rig.turn();
        assert!(rig.placed().is_empty());
    }
    rig.delta(
        BTC,
        Lighter,
        (Side::Ask, price("1002.1"), size("2")),
        flags::LAST,
    );
    rig.turn();
    assert_eq!(rig.placed().len(), 1, "with both sides it is one");
}

/// Everything on the shipped tape, written as each venue writes it: after every message the bests,
/// now and then every level, as the sorted map has them.
#[test]
fn the_shipped_tape_builds_the_naive_book() {
    let tape = Tape::embedded();
    for (idx, venue) in [0, 1]
        .into_iter()
        .flat_map(|idx| VENUES.map(|venue| (idx, venue)))
    {
        let stream = tape.stream(venue, InstrumentId(idx));
        let mut instrument = instrument();
        instrument.markets[venue.idx()].tick = stream.tick;
        let markets = [instrument.markets[venue.idx()]];
        match venue {
            Venue::Extended => {
                let rig = Rig::of(venue, ExtendedFeed::new(&markets), 65_536, &[instrument]);
                tape_agrees(rig, stream);
            }
            Venue::Lighter => {
                let rig = Rig::of(venue, LighterFeed::new(&markets), 65_536, &[instrument]);
                tape_agrees(rig, stream);
            }
        }
    }
}

fn tape_agrees<F: Feed>(mut rig: Rig<F>, stream: &Stream) {
    let (mut cursor, mut frame) = (stream.cursor(), Frame::default());
    let mut naive = Sides::default();
    let mut told = 0;
    while cursor
        .read(&stream.frames, &mut frame)
        .expect("the tape is sound")
    {
        let is_snapshot = frame.kind == Kind::Snapshot;
        if let Kind::Trade(_) = frame.kind {
            continue;
        }
        if is_snapshot {
            naive = Sides::default();
        }
        let mut rows = Vec::new();
        for (side, levels) in [&frame.bids, &frame.asks].into_iter().enumerate() {
            for (tick, lots) in levels {
                let (price, size) = (tick * stream.tick.0, lots * stream.lot.0);
                rows.push((side == 0, Price(price), Size(size)));
                match size {
                    0 => naive[side].remove(&price),
                    _ => naive[side].insert(price, size),
                };
            }
        }
        let text = rig.writer.write(&rows, is_snapshot);
        let kind = rig.hear(text.into_bytes());
        assert!(
            matches!(kind, FrameKind::Snapshot | FrameKind::Update),
            "{kind:?}"
        );
        rig.settle();
        let book = &rig.mirror;
        let best = |side| book.best(side).map(|level| (level.price.0, level.size.0));
        let pair = |(price, size): (&i64, &i64)| (*price, *size);
        assert_eq!(best(Side::Bid), naive[0].last_key_value().map(pair));
        assert_eq!(best(Side::Ask), naive[1].first_key_value().map(pair));
        told += 1;
        if told % 500 == 0 {
            let levels = |side| book.levels(side).map(|level| (level.price.0, level.size.0));
            assert!(levels(Side::Bid).eq(naive[0].iter().rev().map(pair)));
            assert!(levels(Side::Ask).eq(naive[1].iter().map(pair)));
        }
    }
    assert!(told > 1_000, "{told} messages");
}
