//! Feeds over every kind of message that was ever recorded, over books that are whole, changed,
//! broken and asked for anew, and over bytes that no venue sends.

use super::counted;
use super::instrument::{NOW, instrument, market};
use parallax::feed::{FeedStage, Parts};
use parallax::market::Venue;
use parallax::market::book::Delta;
use parallax::market::event::{Event, FrameKind};
use parallax::market::reference::Reference;
use parallax::market::units::{MS, Nanos};
use parallax::net::{Connection, ConnectionLimits, Endpoint, Lanes, Protocol, TlsClient};
use parallax::stage::Stage;
use parallax::stage::clock::Clock;
use parallax::stage::link::{Rx, link};
use parallax::venue::extended::feed::ExtendedFeed;
use parallax::venue::lighter::feed::LighterFeed;
use parallax::venue::{Feed, Lane};
use serde_json::Value;

/// More levels than a feed sends in one turn: the rest follows by its cursor.
const DEEP: usize = 700;

struct Rig<F> {
    stage: FeedStage<F>,
    deltas: Rx<Delta>,
    references: Rx<Reference>,
    journal: Rx<Event>,
    lanes_len: usize,
    venue: Venue,
    now: Nanos,
}

impl<F: Feed> Rig<F> {
    fn new(venue: Venue, feed: F, lanes_len: usize) -> Rig<F> {
        let tls = TlsClient::new(None).unwrap();
        let asleep = |lane| {
            let url = "ws://127.0.0.1:9/stream";
            let endpoint = Endpoint::parse(url, "", Vec::new(), Protocol::WebSocket).unwrap();
            let mut lane = Connection::new(endpoint, lane, &tls, ConnectionLimits::default(), 1);
            lane.sleep();
            lane
        };
        let (tx, deltas) = link("deltas", 16_384);
        let (references_tx, references) = link("references", 2_048);
        let (journal_tx, journal) = link("journal", 65_536);
        let parts = Parts {
            feed,
            lanes: Lanes::new((0..lanes_len).map(asleep).collect()).unwrap(),
            deltas: tx,
            references: references_tx,
            journal: journal_tx,
            clock: Clock::new(),
        };
        Rig {
            stage: FeedStage::new(venue, &[instrument()], parts),
            deltas,
            references,
            journal,
            lanes_len,
            venue,
            now: NOW,
        }
    }

    /// Allocations of one message, of the turns that send what it brought, and of a beat.
    fn hear(&mut self, lane: Lane, text: &str) -> (FrameKind, u64) {
        let mut bytes = text.as_bytes().to_vec();
        self.now = self.now.plus(20 * MS);
        let mut kind = FrameKind::Unknown;
        let mut count = counted(|| kind = self.stage.hear(lane, &mut bytes, self.now));
        for _ in 0..8 {
            count += counted(|| {
                self.stage.turn(self.now);
            });
            while self.deltas.pop().is_some() {}
        }
        count += counted(|| self.stage.housekeeping(self.now));
        while self.references.pop().is_some() {}
        while self.journal.pop().is_some() {}
        (kind, count)
    }

    /// The lane is dialled anew.
    fn come_up(&mut self, lane: Lane) {
        self.stage.on_link(lane, false, self.now);
        self.stage.on_link(lane, true, self.now);
        if self.venue == Venue::Lighter {
            let mut greeting = *br#"{"type":"connected"}"#;
            self.stage.hear(lane, &mut greeting, self.now);
        }
    }

    /// Everything once on every lane, each freshly up. Kinds met, and allocations by message.
    fn round(&mut self, texts: &[String]) -> (Vec<FrameKind>, Vec<(u64, String)>) {
        let (mut kinds, mut taken) = (Vec::new(), Vec::new());
        for lane in 0..self.lanes_len {
            self.come_up(lane);
            for text in texts {
                // Extended counts the messages of a connection from 1.
                let is_first = ["\"seq\":1}", "\"seq\":1,"]
                    .iter()
                    .any(|it| text.contains(it));
                if self.venue == Venue::Extended && is_first {
                    self.come_up(lane);
                }
                let (kind, count) = self.hear(lane, text);
                if !kinds.contains(&kind) {
                    kinds.push(kind);
                }
                if count > 0 {
                    taken.push((count, text.chars().take(120).collect()));
                }
            }
        }
        (kinds, taken)
    }
}

/// One book message: a bid and an ask a tick apart at each depth.
fn book(venue: Venue, sequence: u64, is_whole: bool, depth: usize) -> String {
    let side = |sign: i64| {
        let level = |at: usize| {
            let ticks = 1_000_000 + sign * (1 + at as i64);
            let (whole, tenth) = (ticks / 10, ticks % 10);
            match (venue, is_whole) {
                (Venue::Extended, true) => format!(r#"{{"q":"5","p":"{whole}.{tenth}"}}"#),
                (Venue::Extended, false) => {
                    format!(r#"{{"q":"0","p":"{whole}.{tenth}","c":"5"}}"#)
                }
                (Venue::Lighter, _) => format!(r#"{{"price":"{whole}.{tenth}","size":"5"}}"#),
            }
        };
        (0..depth).map(level).collect::<Vec<_>>().join(",")
    };
    let (bids, asks) = (side(-1), side(1));
    match venue {
        Venue::Extended => {
            let kind = if is_whole { "SNAPSHOT" } else { "DELTA" };
            let head = format!(r#"{{"type":"{kind}","data":{{"t":"{kind}","m":"BTC-USD","#);
            let tail = format!(r#"}},"ts":1790000000000,"seq":{sequence}}}"#);
            format!(r#"{head}"b":[{bids}],"a":[{asks}]{tail}"#)
        }
        Venue::Lighter => {
            let kind = if is_whole { "subscribed" } else { "update" };
            let begin = if is_whole { 0 } else { sequence - 1 };
            let at = r#""last_updated_at":1790000000000000,"#;
            let head = format!(r#"{{"channel":"order_book:1",{at}"offset":1,"order_book":"#);
            let levels = format!(r#""code":0,"asks":[{asks}],"bids":[{bids}],"offset":1"#);
            let nonces = format!(r#""nonce":{sequence},{at}"begin_nonce":{begin}"#);
            let tail = format!(r#","timestamp":1790000000000,"type":"{kind}/order_book"}}"#);
            format!("{head}{{{levels},{nonces}}}{tail}")
        }
    }
}

/// Books in step, out of step and in step again, then all that was ever recorded.
fn messages(venue: Venue, recorded: &str) -> Vec<String> {
    let mut texts = vec![
        book(venue, 1, true, DEEP),
        book(venue, 2, false, 1),
        book(venue, 3, false, 40),
        // Out of step: the market is asked for anew.
        book(venue, 9, false, 2),
        book(venue, 1, true, 20),
        book(venue, 2, false, 2),
        "{".to_owned(),
        "no venue says this".to_owned(),
        String::new(),
    ];
    for line in recorded.lines() {
        let mut line: Value = serde_json::from_str(line).unwrap();
        if let Some(sequence) = line["message"].get_mut("seq") {
            *sequence = 1.into();
        }
        let message = line["message"].to_string();
        // The recorded markets are called as ours is.
        texts.push(message.replace(":36\"", ":1\"").replace(":0\"", ":1\""));
    }
    texts
}

fn takes_no_memory<F: Feed>(venue: Venue, mut rig: Rig<F>, recorded: &str, wanted: &[FrameKind]) {
    let texts = messages(venue, recorded);
    let (_, warm_up) = rig.round(&texts);
    let (kinds, taken) = rig.round(&texts);
    let name = venue.name();
    let warm_up: u64 = warm_up.iter().map(|(count, _)| count).sum();
    println!("feed-{name}: {warm_up} allocations in the first round, then {taken:?}; {kinds:?}");
    for kind in wanted {
        assert!(kinds.contains(kind), "{name}: {kind:?} was not met");
    }
    assert!(taken.is_empty(), "{name}: {taken:?}");
}

#[test]
fn the_feed_of_extended_takes_no_memory() {
    let venue = Venue::Extended;
    let feed = ExtendedFeed::new(&[market(venue)]);
    let lanes_len = feed.lanes().len();
    let recorded = include_str!("../data/extended/extended_messages.jsonl");
    let wanted = [
        FrameKind::Snapshot,
        FrameKind::Update,
        FrameKind::Top,
        FrameKind::Reference,
        FrameKind::Malformed,
        FrameKind::Gap,
    ];
    takes_no_memory(venue, Rig::new(venue, feed, lanes_len), recorded, &wanted);
}

#[test]
fn the_feed_of_lighter_takes_no_memory() {
    let venue = Venue::Lighter;
    let feed = LighterFeed::new(&[market(venue)]);
    let lanes_len = feed.lanes().len();
    let recorded = include_str!("../data/lighter/lighter_messages.jsonl");
    let wanted = [
        FrameKind::Snapshot,
        FrameKind::Update,
        FrameKind::Top,
        FrameKind::Reference,
        FrameKind::Control,
        FrameKind::Malformed,
        FrameKind::Gap,
    ];
    takes_no_memory(venue, Rig::new(venue, feed, lanes_len), recorded, &wanted);
}
