//! What a feed does about a fault, at both venues: a gap, a bad frame, a cut in the middle of a
//! message, a silent peer, a full link. Each time the market is stale before anything else is said,
//! and in step again with the next whole book.
//!
//! Rows 5, 8, 11 and 12 of the list of failures seen in public bots. How a run recovers after a
//! crash (50, 52) is in `kill.rs`; how pairs do after a venue was away (35, 37), in
//! `hedging/outside.rs`.
//!
//! Feed stages are turned by hand; time is an argument. Only the cut needs a real socket, since a
//! cut is something that happens below the messages.

#[path = "rig/driven.rs"]
mod driven;
#[path = "rig/instrument.rs"]
mod instrument;

use driven::Driven;
use instrument::{NOW, instrument, market};
use parallax::feed::{FeedStage, Parts};
use parallax::market::book::{Book, Delta, Side, flags};
use parallax::market::event::{Event, FrameKind};
use parallax::market::units::{Nanos, Price, SECOND, Size};
use parallax::market::{VENUES, Venue};
use parallax::net::{Connection, ConnectionLimits, Endpoint, Lanes, Protocol, TlsClient};
use parallax::stage::Stage;
use parallax::stage::clock::Clock;
use parallax::stage::link::{Rx, link};
use parallax::venue::extended::feed::ExtendedFeed;
use parallax::venue::lighter::feed::LighterFeed;
use parallax::venue::{Feed, OutKind, Outbox};
use std::io::Write;
use std::net::{TcpListener, TcpStream};
use tungstenite::handshake::HandshakeError;
use tungstenite::{Message, WebSocket};

/// A book message as the venue writes it: one bid and one ask, `size` each, after 5 each.
fn frame(venue: Venue, sequence: u64, is_snapshot: bool, size: &str) -> String {
    frame_after(venue, sequence, is_snapshot, (5, size))
}

/// The same after a size: Extended tells the change beside the size.
fn frame_after(
    venue: Venue,
    sequence: u64,
    is_snapshot: bool,
    (before, size): (i64, &str),
) -> String {
    let change = size.parse::<i64>().map_or(0, |size| size - before);
    let level = |price: &str| match (venue, is_snapshot) {
        (Venue::Extended, true) => format!(r#"{{"q":"{size}","p":"{price}"}}"#),
        (Venue::Extended, false) => format!(r#"{{"q":"{change}","p":"{price}","c":"{size}"}}"#),
        (Venue::Lighter, _) => format!(r#"{{"price":"{price}","size":"{size}"}}"#),
    };
    frame_of(
        venue,
        sequence,
        is_snapshot,
        [&level("99.9"), &level("100.1")],
    )
}

/// A book message with these bids and asks.
fn frame_of(venue: Venue, sequence: u64, is_snapshot: bool, [bids, asks]: [&str; 2]) -> String {
    match venue {
        Venue::Extended => {
            let kind = if is_snapshot { "SNAPSHOT" } else { "DELTA" };
            format!(r#"{{"type":"{kind}","data":{{"t":"{kind}","m":"BTC-USD","b":[{bids}],"#)
                + &format!(r#""a":[{asks}]}},"ts":1,"seq":{sequence}}}"#)
        }
        Venue::Lighter => {
            let kind = if is_snapshot { "subscribed" } else { "update" };
            let begin = sequence - 1;
            let head = r#"{"channel":"order_book:1","last_updated_at":1,"offset":1,"#;
            format!(r#"{head}"order_book":{{"code":0,"asks":[{asks}],"bids":[{bids}],"offset":1,"#)
                + &format!(r#""nonce":{sequence},"last_updated_at":1,"begin_nonce":{begin}}},"#)
                + &format!(r#""timestamp":1,"type":"{kind}/order_book"}}"#)
        }
    }
}

/// One level of an update.
fn level(venue: Venue, price: &str, size: &str) -> String {
    match venue {
        Venue::Extended => format!(r#"{{"q":"{size}","p":"{price}","c":"{size}"}}"#),
        Venue::Lighter => format!(r#"{{"price":"{price}","size":"{size}"}}"#),
    }
}

struct Rig {
    stage: Box<dyn Drive>,
    venue: Venue,
    deltas: Rx<Delta>,
    journal: Rx<Event>,
    mirror: Book,
    is_live: bool,
    /// Stale marks seen.
    stales: u32,
    /// Size of each level last told.
    told: i64,
}

/// A feed stage of either venue.
trait Drive {
    fn on_link(&mut self, up: bool);
    fn hear(&mut self, bytes: &mut [u8]) -> FrameKind;
    fn turn(&mut self, now: Nanos);
    fn beat(&mut self, now: Nanos);
}

impl<F: Feed> Drive for FeedStage<F> {
    fn on_link(&mut self, up: bool) {
        FeedStage::on_link(self, 0, up, NOW);
    }

    fn hear(&mut self, bytes: &mut [u8]) -> FrameKind {
        FeedStage::hear(self, 0, bytes, NOW)
    }

    fn turn(&mut self, now: Nanos) {
        Stage::turn(self, now);
    }

    fn beat(&mut self, now: Nanos) {
        Stage::housekeeping(self, now);
    }
}

impl Rig {
    fn new(venue: Venue, url: &str, link_len: usize) -> Rig {
        let (tx, deltas) = link("deltas", link_len);
        let (journal_tx, journal) = link("journal", 65_536);
        let endpoint = Endpoint::parse(url, "", Vec::new(), Protocol::WebSocket);
        let endpoint = endpoint.expect("a loopback address");
        let tls = TlsClient::new(None).expect("the public roots are built in");
        let lane = Connection::new(endpoint, 0, &tls, ConnectionLimits::default(), 1);
        let lanes = Lanes::new(vec![lane]).expect("the system has a poller");
        let instrument = instrument();
        let (markets, clock) = ([market(venue)], Clock::new());
        let stage: Box<dyn Drive> = match venue {
            Venue::Extended => {
                let feed = ExtendedFeed::new(&markets);
                let parts = Parts {
                    feed,
                    lanes,
                    deltas: tx,
                    references: link("references", 64).0,
                    journal: journal_tx,
                    clock,
                };
                Box::new(FeedStage::new(venue, &[instrument], parts))
            }
            Venue::Lighter => {
                let feed = LighterFeed::new(&markets);
                let parts = Parts {
                    feed,
                    lanes,
                    deltas: tx,
                    references: link("references", 64).0,
                    journal: journal_tx,
                    clock,
                };
                Box::new(FeedStage::new(venue, &[instrument], parts))
            }
        };
        let mirror = Book::new(Price(100_000_000));
        Rig {
            stage,
            venue,
            deltas,
            journal,
            mirror,
            is_live: false,
            stales: 0,
            told: 0,
        }
    }

    /// Up, greeted, and in step at sequence 1.
    fn live(venue: Venue, link_len: usize) -> Rig {
        let mut rig = Rig::new(venue, "ws://127.0.0.1:9/stream", link_len);
        rig.connect();
        assert_eq!(rig.book(1, true, "5"), FrameKind::Snapshot);
        rig.take();
        assert!(rig.is_live);
        rig.stales = 0;
        rig
    }

    /// A new connection, as after a redial.
    fn connect(&mut self) {
        self.stage.on_link(false);
        self.stage.on_link(true);
        if self.venue == Venue::Lighter {
            self.say(r#"{"type":"connected"}"#);
        }
    }

    fn say(&mut self, text: &str) -> FrameKind {
        self.stage.hear(&mut text.as_bytes().to_vec())
    }

    fn book(&mut self, sequence: u64, is_snapshot: bool, size: &str) -> FrameKind {
        let text = frame_after(self.venue, sequence, is_snapshot, (self.told, size));
        self.told = size.parse().expect("a whole size");
        self.say(&text)
    }

    /// Reads the link to its end, as the scanner does.
    fn take(&mut self) {
        while let Some(delta) = self.deltas.pop() {
            self.mirror.apply_delta(&delta);
            self.stales += u32::from(delta.flags & flags::STALE != 0);
            if delta.flags & (flags::STALE | flags::CLEAR) != 0 {
                self.is_live = false;
            }
            let whole = flags::LAST | flags::SNAPSHOT;
            if delta.flags & whole == whole && delta.flags & flags::STALE == 0 {
                self.is_live = true;
            }
        }
        while self.journal.pop().is_some() {}
    }

    fn holds(&self, size: &str) -> bool {
        let size = Size::parse(size.as_bytes()).expect("a size");
        let holds = |side| {
            self.mirror
                .best(side)
                .is_some_and(|level| level.size == size)
        };
        self.is_live && holds(Side::Bid) && holds(Side::Ask)
    }

    /// The market is stale; nothing but a whole book makes it live, and then it is that book.
    fn is_stale_until_resynced(&mut self) {
        self.take();
        assert!(!self.is_live && self.stales > 0, "{:?}", self.venue);
        self.book(9, false, "8");
        self.take();
        assert!(!self.is_live, "an update repairs nothing");
        self.connect();
        assert_eq!(self.book(1, true, "6"), FrameKind::Snapshot);
        self.book(2, false, "7");
        self.take();
        assert!(self.holds("7"), "{:?}", self.venue);
    }
}

#[test]
fn row_5_a_gap_is_stale_until_the_next_whole_book() {
    for venue in VENUES {
        let mut rig = Rig::live(venue, 1024);
        assert_eq!(rig.book(3, false, "9"), FrameKind::Gap);
        rig.is_stale_until_resynced();
        assert!(!rig.holds("9"), "what came after the gap was never shown");
    }
}

#[test]
fn a_bad_frame_is_stale_until_the_next_whole_book() {
    for venue in VENUES {
        let whole = frame(venue, 2, false, "9");
        for bad in [
            "",
            "{",
            "\u{0}",
            &whole[..whole.len() / 2],
            &whole.replace('9', "x"),
        ] {
            let mut rig = Rig::live(venue, 1024);
            assert_eq!(rig.say(bad), FrameKind::Malformed, "{bad:?}");
            rig.is_stale_until_resynced();
        }
    }
}

/// Numbers and levels no book can hold: each kind has its own count, and costs the book its trust
/// whichever way it is spelled.
#[test]
fn bad_numbers_are_counted_by_kind_and_the_book_is_asked_for_anew() {
    let thirty = format!("0.{}1", "0".repeat(29));
    let cases = [
        (FrameKind::OutOfRange, "9", "9223372037"),
        (FrameKind::OutOfRange, "9", "1e10"),
        (FrameKind::OutOfRange, "99999999999999999999", "1"),
        (FrameKind::Inexact, "9", thirty.as_str()),
        (FrameKind::Inexact, "9.0000000001", "1"),
        (FrameKind::Inexact, "9", "1e-10"),
        (FrameKind::Negative, "9", "-1"),
        (FrameKind::Negative, "-9", "1"),
        (FrameKind::Negative, "9", "-0.5e0"),
        (FrameKind::Malformed, "0", "1"),
        (FrameKind::Malformed, "9", "NaN"),
    ];
    for venue in VENUES {
        for (kind, price, size) in cases {
            let mut rig = Rig::live(venue, 1024);
            let level = level(venue, price, size);
            let bad = frame_of(venue, 2, false, [&level, ""]);
            assert_eq!(rig.say(&bad), kind, "{bad}");
            rig.is_stale_until_resynced();
        }
    }
}

#[test]
fn a_level_told_twice_is_counted_and_the_book_is_asked_for_anew() {
    for venue in VENUES {
        // In order, out of order, and spelled another way.
        for prices in [["99", "99", "98"], ["99", "98", "99"], ["99.0", "98", "99"]] {
            for is_snapshot in [true, false] {
                let mut rig = Rig::live(venue, 1024);
                let levels = prices.map(|price| level(venue, price, "1")).join(",");
                let bad = frame_of(venue, 2, is_snapshot, [&levels, ""]);
                assert_eq!(rig.say(&bad), FrameKind::DuplicateLevel, "{bad}");
                rig.is_stale_until_resynced();
            }
        }
    }
    // On Lighter a level may go and come back in one frame, in whatever order they are told.
    let mut rig = Rig::live(Venue::Lighter, 1024);
    let level = |size| level(Venue::Lighter, "99", size);
    let both = [level("7"), level("0.0")].join(",");
    let frame = frame_of(Venue::Lighter, 2, false, [&both, ""]);
    assert_eq!(rig.say(&frame), FrameKind::Update);
}

/// Extended's connections carry one market: another's book there is not to be trusted at all.
/// Lighter's carry all, and a market nobody asked for concerns none of ours.
#[test]
fn a_book_of_a_wrong_market_is_counted() {
    for venue in VENUES {
        let mut rig = Rig::live(venue, 1024);
        let bad = frame(venue, 2, false, "9")
            .replace("BTC-USD", "ETH-USD")
            .replace("order_book:1", "order_book:7");
        assert_eq!(rig.say(&bad), FrameKind::WrongMarket, "{bad}");
        if venue == Venue::Extended {
            rig.is_stale_until_resynced();
            continue;
        }
        assert_eq!(rig.book(2, false, "7"), FrameKind::Update);
        rig.take();
        assert!(rig.holds("7"));
    }
}

#[test]
fn row_11_a_lost_connection_is_stale_until_the_next_whole_book() {
    for venue in VENUES {
        let mut rig = Rig::live(venue, 1024);
        rig.stage.on_link(false);
        rig.is_stale_until_resynced();
    }
}

#[test]
fn row_12_a_full_link_is_stale_and_the_whole_book_follows() {
    for venue in VENUES {
        let mut rig = Rig::live(venue, 1024);
        // Nobody reads: a few levels a message, until the link has no room for more.
        for sequence in 2..1_000 {
            rig.book(sequence, false, "8");
            rig.stage.turn(NOW);
        }
        rig.book(1_000, false, "3");
        rig.stage.turn(NOW);
        rig.take();
        assert!(
            !rig.is_live && rig.stales == 1,
            "{venue:?}: stale, said once"
        );
        rig.stage.turn(NOW);
        rig.take();
        assert!(rig.holds("3"), "{venue:?}: the book as it is now");
    }
}

/// A peer that keeps the connection and says nothing is given up by the venue's own deadline.
#[test]
fn row_8_a_silent_peer_is_given_up() {
    let (extended, lighter) = ([market(Venue::Extended)], [market(Venue::Lighter)]);
    given_up(Venue::Extended, ExtendedFeed::new(&extended), (60, 66));
    given_up(Venue::Lighter, LighterFeed::new(&lighter), (31, 45));
}

/// Lighter answers pings within 45 s; Extended tells the whole book each minute.
fn given_up<F: Feed>(venue: Venue, feed: F, (soonest, latest): (u64, u64)) {
    let mut rig = Driven::new(feed, 64, NOW);
    rig.link(0, true);
    let mut texts = vec![frame(venue, 1, true, "5")];
    if venue == Venue::Lighter {
        texts.insert(0, r#"{"type":"connected"}"#.to_string());
    }
    for text in texts {
        rig.hear(0, &mut text.into_bytes());
    }
    let asks = |out: &Outbox| {
        let mut items = out.items().iter();
        items.any(|item| item.lane == 0 && item.kind == OutKind::Reconnect)
    };
    let given_up = (1..=70).find(|second| {
        rig.out.clear();
        rig.now = NOW.plus(second * SECOND);
        rig.beat();
        asks(&rig.out)
    });
    let second = given_up.expect("a silent peer is given up");
    assert!((soonest..=latest).contains(&second), "{second}");
    let is_stale = |delta: &Delta| delta.flags & flags::STALE != 0;
    rig.link(0, false);
    assert!(rig.told.deltas.items().last().is_some_and(is_stale));
}

/// The far end of a lane, turned by hand with the stage.
struct Far {
    listener: TcpListener,
    clock: Clock,
    /// Added to the beat's time, so that a redial needs no waiting.
    ahead_ns: u64,
}

impl Far {
    fn step(&self, rig: &mut Rig) {
        let now = self.clock.now();
        rig.stage.beat(now.plus(self.ahead_ns));
        rig.stage.turn(now);
        rig.take();
        std::thread::yield_now();
    }

    /// Accepts the lane's next connection and its upgrade.
    fn accept(&self, rig: &mut Rig) -> WebSocket<TcpStream> {
        let begun = self.clock.now();
        let mut waiting = None;
        while self.clock.now().since(begun) < 20 * SECOND {
            self.step(rig);
            let answer = match waiting.take() {
                None => match self.listener.accept() {
                    Ok((stream, _)) => {
                        stream.set_nonblocking(true).expect("a socket option");
                        tungstenite::accept(stream)
                    }
                    Err(_) => continue,
                },
                Some(HandshakeError::Interrupted(handshake)) => handshake.handshake(),
                Some(HandshakeError::Failure(error)) => panic!("{error}"),
            };
            match answer {
                Ok(socket) => return socket,
                Err(error) => waiting = Some(error),
            }
        }
        panic!("the lane never came");
    }

    fn until(&self, rig: &mut Rig, what: &str, done: impl Fn(&Rig) -> bool) {
        let begun = self.clock.now();
        while !done(rig) {
            assert!(self.clock.now().since(begun) < 20 * SECOND, "never: {what}");
            self.step(rig);
        }
    }
}

#[test]
fn a_cut_in_the_middle_of_a_message_is_stale_until_the_redial_brings_a_whole_book() {
    for venue in VENUES {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        listener.set_nonblocking(true).expect("a socket option");
        let port = listener.local_addr().expect("it is bound").port();
        let clock = Clock::new();
        let mut far = Far {
            listener,
            clock,
            ahead_ns: 0,
        };
        let mut rig = Rig::new(venue, &format!("ws://127.0.0.1:{port}"), 1024);
        let greeting = |peer: &mut WebSocket<TcpStream>| {
            if venue == Venue::Lighter {
                let text = r#"{"type":"connected"}"#;
                peer.send(Message::text(text)).expect("there is room");
            }
        };
        let mut peer = far.accept(&mut rig);
        greeting(&mut peer);
        let first = Message::text(frame(venue, 1, true, "5"));
        peer.send(first).expect("there is room");
        far.until(&mut rig, "the first book", |rig| rig.holds("5"));

        // A frame of 100 bytes, of which 20 come.
        let text = frame(venue, 2, false, "9");
        let socket = peer.get_mut();
        socket.write_all(&[0x81, 100]).expect("there is room");
        socket
            .write_all(&text.as_bytes()[..20])
            .expect("there is room");
        drop(peer);
        far.until(&mut rig, "stale", |rig| !rig.is_live && rig.stales > 0);

        far.ahead_ns = 60 * SECOND;
        let mut peer = far.accept(&mut rig);
        far.ahead_ns = 0;
        greeting(&mut peer);
        let again = Message::text(frame(venue, 1, true, "6"));
        peer.send(again).expect("there is room");
        far.until(&mut rig, "the book of the new connection", |rig| {
            rig.holds("6")
        });
    }
}
