//! The mirror equals the truth after any sequence of messages, on any link, at both venues.
//!
//! Messages are written as the venues write them, pass the real decoders and feed stages, cross a
//! link that is sometimes far too short, and rebuild a second book on the other side. The judge is
//! a sorted map.

#[path = "rig/instrument.rs"]
mod instrument;

use instrument::{ID, NOW, instrument, market};
use parallax::feed::{FeedStage, Parts};
use parallax::market::book::{Book, Delta, Side, flags};
use parallax::market::event::{Event, FrameKind};
use parallax::market::units::{Price, Size};
use parallax::market::{VENUES, Venue};
use parallax::net::{Connection, ConnectionLimits, Endpoint, Lanes, Protocol, TlsClient};
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

/// Writes frames as a venue does and keeps its sequence.
struct Writer {
    venue: Venue,
    sequence: u64,
}

impl Writer {
    /// What the venue says first on a connection.
    fn greeting(&mut self) -> Option<String> {
        self.sequence = 0;
        (self.venue == Venue::Lighter).then(|| r#"{"type":"connected"}"#.to_string())
    }

    fn side(&self, list: &[(bool, i64, i64)], bids: bool, is_snapshot: bool) -> String {
        let mut text = String::new();
        for (_, far, size) in list.iter().filter(|row| row.0 == bids) {
            let price = Price(tick_of(bids, *far) * 100_000_000);
            let size = Size(size * 10_000);
            let comma = if text.is_empty() { "" } else { "," };
            let _ = match (self.venue, is_snapshot) {
                (Venue::Lighter, _) => {
                    write!(text, r#"{comma}{{"price":"{price}","size":"{size}"}}"#)
                }
                (Venue::Extended, true) => write!(text, r#"{comma}{{"q":"{size}","p":"{price}"}}"#),
                (Venue::Extended, false) => {
                    write!(
                        text,
                        r#"{comma}{{"q":"{size}","p":"{price}","c":"{size}"}}"#
                    )
                }
            };
        }
        text
    }

    fn frame(&mut self, list: &[(bool, i64, i64)], is_snapshot: bool) -> String {
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
        let instrument = instrument();
        let parts = Parts {
            feed,
            lanes: Lanes::new(vec![lane]).expect("the system has a poller"),
            deltas: tx,
            journal: journal_tx,
            clock: Clock::new(),
        };
        let mut rig = Rig {
            stage: FeedStage::new(venue, &[instrument], parts),
            deltas,
            journal,
            mirror: Book::new(Price(100_000_000)),
            is_live: false,
            writer: Writer { venue, sequence: 0 },
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
