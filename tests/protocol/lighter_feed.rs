//! Lighter's market data: recorded frames decode to the expected values, requests leave in their
//! order and within the venue's limits, books and tops equal naive ones, and each failure that was
//! seen in public bots has a test with its row.

use crate::driven::Driven;
use crate::lighter::{MESSAGES, NOW, bent, market, markets, recorded, sent};
use parallax::market::InstrumentId;
use parallax::market::book::{Book, Delta, Level, Side, flags};
use parallax::market::event::{Doubt, Event, FrameKind};
use parallax::market::reference::ReferenceKind;
use parallax::market::units::{MS, Nanos, Price, SECOND, Size, parse_decimal};
use parallax::market::{Market, Venue};
use parallax::venue::lighter::feed::LighterFeed;
use parallax::venue::{OutKind, Outbox, Told};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

const BOOKS: usize = 0;
const TOPS: usize = 1;
const OTHERS: usize = 2;
/// From a lane to the one that sleeps beside it.
const SPARE: usize = 3;
const ROOM: usize = 16_384;

/// A feed, the books that consume its records as the scanner would, and what it noted.
struct Rig {
    driven: Driven<LighterFeed>,
    is_trusted: Vec<bool>,
    /// Records of the last call.
    records: Vec<Delta>,
    notes: Vec<Event>,
}

impl Rig {
    fn new() -> Rig {
        Rig::with(&markets())
    }

    fn with(markets: &[Market]) -> Rig {
        let mut driven = Driven::new(LighterFeed::new(markets), ROOM, NOW);
        driven.books = markets.iter().map(|m| Book::new(m.tick)).collect();
        Rig {
            driven,
            is_trusted: vec![false; markets.len()],
            records: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// The three lanes are up and greeted, requests are out and forgotten.
    fn live() -> Rig {
        let mut rig = Rig::new();
        for lane in [BOOKS, TOPS, OTHERS] {
            rig.link(lane, true);
            rig.greet(lane);
        }
        rig.sent();
        rig
    }

    /// Of market 0 alone: book, top and trades answered, the book at sequence 100.
    fn in_step() -> Rig {
        let mut rig = Rig::live();
        let asks = json!([level("11", "1"), level("12", "2")]);
        let bids = json!([level("10", "1"), level("9", "2")]);
        assert_eq!(
            rig.hear(&book("subscribed", 0, (0, 100), asks, bids)),
            FrameKind::Snapshot
        );
        let top = ticker("subscribed", 0, 50, ("10", "1"), ("11", "1"));
        assert_eq!(rig.hear_on(TOPS, &top), FrameKind::Top);
        rig.hear_on(OTHERS, &trade("subscribed", 0, 100, 3));
        rig
    }

    fn link(&mut self, lane: usize, up: bool) {
        self.driven.link(lane, up);
        self.settle();
    }

    fn greet(&mut self, lane: usize) {
        let greeting = json!({"session_id": "b23c70b2", "type": "connected"});
        assert_eq!(self.hear_on(lane, &greeting), FrameKind::Control);
    }

    fn hear(&mut self, message: &Value) -> FrameKind {
        self.hear_on(BOOKS, message)
    }

    fn hear_on(&mut self, lane: usize, message: &Value) -> FrameKind {
        self.hear_bytes(lane, message.to_string().into_bytes())
    }

    fn hear_bytes(&mut self, lane: usize, mut bytes: Vec<u8>) -> FrameKind {
        let heard = self.driven.hear(lane, &mut bytes);
        self.settle();
        heard.kind
    }

    fn beat(&mut self, after_ns: u64) {
        self.driven.now = self.driven.now.plus(after_ns);
        self.driven.beat();
        self.settle();
    }

    /// Books take the records, notes are kept.
    fn settle(&mut self) {
        let told = &mut self.driven.told;
        self.records = told.deltas.items().to_vec();
        self.notes.extend_from_slice(told.notes.items());
        told.clear();
        if let Some(last) = self.records.last() {
            assert!(last.flags & flags::LAST != 0, "a message ends with LAST");
        }
        for delta in &self.records {
            assert_eq!(
                (delta.venue, delta.t_recv),
                (Venue::Lighter, self.driven.now)
            );
            assert!(delta.t_made <= delta.t_recv);
            let idx = delta.instrument.idx();
            if delta.flags & flags::STALE != 0 {
                self.is_trusted[idx] = false;
            } else if delta.flags & flags::CLEAR != 0 {
                self.is_trusted[idx] = true;
            }
            self.driven.books[idx].apply_delta(delta);
        }
    }

    fn sent(&mut self) -> Vec<String> {
        let texts = sent(&self.driven.out);
        self.driven.out.clear();
        texts
    }

    fn doubts(&self) -> Vec<(u16, Doubt)> {
        let doubt = |note: &Event| match note {
            Event::Doubted {
                instrument, why, ..
            } => Some((instrument.0, *why)),
            _ => None,
        };
        self.notes.iter().filter_map(doubt).collect()
    }

    fn full(&self, instrument: usize) -> BTreeMap<(bool, i64), i64> {
        let book = &self.driven.books[instrument];
        let side = |side| {
            book.full_levels(side)
                .map(move |l| ((side == Side::Ask, l.price.0), l.size.0))
        };
        side(Side::Bid).chain(side(Side::Ask)).collect()
    }

    /// Best bid and best ask as shown.
    fn shown(&self, instrument: usize) -> [Option<i64>; 2] {
        let book = &self.driven.books[instrument];
        [Side::Bid, Side::Ask].map(|side| book.best(side).map(|level| level.price.0))
    }
}

/// A book that consumes the venue's frames the obvious way.
#[derive(Default, Clone, PartialEq, Debug)]
struct NaiveBook {
    levels: BTreeMap<(bool, i64), i64>,
}

impl NaiveBook {
    fn apply_frame(&mut self, frame: &Value) {
        if frame["type"].as_str().unwrap().starts_with("subscribed") {
            self.levels.clear();
        }
        for is_removal in [true, false] {
            for (is_ask, side) in [(true, "asks"), (false, "bids")] {
                for level in frame["order_book"][side].as_array().into_iter().flatten() {
                    let key = (is_ask, decimal(&level["price"]));
                    let size = decimal(&level["size"]);
                    if is_removal && size == 0 {
                        self.levels.remove(&key);
                    } else if !is_removal && size != 0 {
                        self.levels.insert(key, size);
                    }
                }
            }
        }
    }

    fn best(&self) -> [Option<i64>; 2] {
        let of = |is_ask: bool| {
            let prices = self.levels.keys().filter(move |key| key.0 == is_ask);
            prices.map(|key| key.1)
        };
        [of(false).max(), of(true).min()]
    }
}

fn decimal(text: &Value) -> i64 {
    parse_decimal(text.as_str().unwrap().as_bytes()).unwrap()
}

fn book(kind: &str, market: u64, nonces: (u64, u64), asks: Value, bids: Value) -> Value {
    json!({
        "type": format!("{kind}/order_book"),
        "channel": format!("order_book:{market}"),
        "timestamp": 1,
        "order_book": {
            "code": 0, "begin_nonce": nonces.0, "nonce": nonces.1, "asks": asks, "bids": bids,
        },
    })
}

fn level(price: &str, size: &str) -> Value {
    json!({"price": price, "size": size})
}

fn ticker(kind: &str, market: u64, nonce: u64, bid: (&str, &str), ask: (&str, &str)) -> Value {
    json!({
        "type": format!("{kind}/ticker"),
        "channel": format!("ticker:{market}"),
        "nonce": nonce, "timestamp": 1,
        "ticker": {"s": "X", "a": level(ask.0, ask.1), "b": level(bid.0, bid.1)},
    })
}

fn trade(kind: &str, market: u64, nonce: u64, count: usize) -> Value {
    let one = json!({"trade_id": 1, "size": "1", "price": "10"});
    json!({
        "type": format!("{kind}/trade"),
        "channel": format!("trade:{market}"),
        "nonce": nonce, "liquidation_trades": [], "trades": vec![one; count],
    })
}

fn unsubscribed(channel: &str) -> Value {
    json!({"type": "unsubscribed", "channel": channel})
}

fn request(verb: &str, channel: &str) -> String {
    format!("{{\"type\":\"{verb}\",\"channel\":\"{channel}\"}}")
}

fn shutdown() -> Value {
    recorded("ws shutdown", "").remove(0)
}

// ---- Books -------------------------------------------------------------------------------------

#[test]
fn recorded_books_equal_the_naive_map() {
    let mut rig = Rig::live();
    let mut naive = NaiveBook::default();
    let snapshot = &recorded("ws subscribed/order_book", "choosemycoins")[0];
    assert_eq!(rig.hear(snapshot), FrameKind::Snapshot);
    naive.apply_frame(snapshot);
    assert_eq!(rig.full(2), naive.levels);
    let mut sequence = snapshot["order_book"]["nonce"].as_u64().unwrap();
    let mut updates = 0;
    for update in recorded("ws update/order_book", "consecutive") {
        let mut update = update.clone();
        if updates == 0 {
            // The first recorded update is not the snapshot's immediate successor.
            update["order_book"]["begin_nonce"] = json!(sequence);
        }
        assert_eq!(rig.hear(&update), FrameKind::Update);
        sequence = update["order_book"]["nonce"].as_u64().unwrap();
        naive.apply_frame(&update);
        assert_eq!(rig.full(2), naive.levels);
        updates += 1;
    }
    assert!(updates >= 5 && naive.levels.len() > 50);
}

#[test]
fn subscribes_after_the_greeting_and_only_then() {
    let mut rig = Rig::new();
    rig.link(BOOKS, true);
    rig.beat(0);
    assert_eq!(rig.sent(), [""; 0]);
    rig.greet(BOOKS);
    let books = ["order_book/0", "order_book/1", "order_book/36"];
    assert_eq!(
        rig.sent(),
        books.map(|channel| request("subscribe", channel))
    );
    for lane in [OTHERS, TOPS] {
        rig.link(lane, true);
        rig.greet(lane);
    }
    let others = ["market_stats/all", "trade/0", "trade/1", "trade/36"];
    let tops = ["ticker/0", "ticker/1", "ticker/36"];
    let expected: Vec<String> = others
        .iter()
        .chain(&tops)
        .map(|channel| request("subscribe", channel))
        .collect();
    assert_eq!(rig.sent(), expected);
}

/// The documentation's own requests, byte for byte but for the market.
#[test]
fn requests_read_as_documented() {
    for channel in ["market_stats/all", "market_stats/0"] {
        let documented = recorded("ws subscribe", "");
        let own: Value = serde_json::from_str(&request("subscribe", channel)).unwrap();
        assert!(documented.contains(&own), "{own}");
    }
}

/// Rows 2 and 4: a snapshot is a fresh book, an update touches its own levels only.
#[test]
fn row_4_a_snapshot_leaves_no_ghosts() {
    let mut rig = Rig::in_step();
    let update = book(
        "update",
        0,
        (100, 101),
        json!([level("11", "0.0000")]),
        json!([]),
    );
    assert_eq!(rig.hear(&update), FrameKind::Update);
    assert_eq!(rig.full(0).len(), 3);
    let snapshot = book(
        "subscribed",
        0,
        (0, 102),
        json!([]),
        json!([level("9.5", "3")]),
    );
    assert_eq!(rig.hear(&snapshot), FrameKind::Snapshot);
    let left = BTreeMap::from([((false, 9_500_000_000), 3_000_000_000)]);
    assert_eq!(rig.full(0), left);
}

#[test]
fn row_5_a_gap_makes_one_market_stale_and_brings_it_back() {
    let mut rig = Rig::in_step();
    rig.hear(&book("subscribed", 1, (0, 100), json!([]), json!([])));
    let update = |nonces| book("update", 0, nonces, json!([level("11", "2")]), json!([]));
    assert_eq!(rig.hear(&update((100, 101))), FrameKind::Update);
    assert_eq!(rig.hear(&update((102, 103))), FrameKind::Gap);
    assert_eq!(rig.is_trusted[..2], [false, true]);
    assert_eq!(rig.sent(), [request("unsubscribe", "order_book/0")]);

    // Frames on their way are let pass; only the acknowledgement brings the subscribe.
    assert_eq!(rig.hear(&update((103, 104))), FrameKind::Control);
    assert_eq!(rig.sent(), [""; 0]);
    let ack = &recorded("ws unsubscribed", "choosemycoins")[0];
    assert_eq!(rig.hear(ack), FrameKind::Control);
    assert_eq!(rig.sent(), [request("subscribe", "order_book/0")]);
    assert!(!rig.is_trusted[0]);
    let snapshot = book(
        "subscribed",
        0,
        (0, 200),
        json!([]),
        json!([level("9", "3")]),
    );
    assert_eq!(rig.hear(&snapshot), FrameKind::Snapshot);
    assert!(rig.is_trusted[0]);
    assert_eq!(rig.full(0).len(), 1, "the old book is gone");
    assert_eq!(rig.hear(&update((200, 201))), FrameKind::Update);
}

#[test]
fn row_6_a_duplicate_subscribe_or_an_unasked_snapshot_is_no_gap() {
    let mut rig = Rig::in_step();
    let snapshot = book(
        "subscribed",
        0,
        (0, 150),
        json!([level("11", "4")]),
        json!([]),
    );
    assert_eq!(rig.hear(&snapshot), FrameKind::Snapshot);
    assert!(rig.is_trusted[0]);
    assert!(
        rig.records
            .iter()
            .all(|record| record.flags & flags::STALE == 0)
    );
    let update = book(
        "update",
        0,
        (150, 151),
        json!([level("11", "2")]),
        json!([]),
    );
    assert_eq!(rig.hear(&update), FrameKind::Update);
    // "Already subscribed" about a channel that has been answered changes nothing.
    let refusal = already_subscribed();
    assert_eq!(rig.hear(&refusal), FrameKind::Control);
    assert_eq!(rig.sent(), [""; 0]);
    assert!(rig.is_trusted[0]);
}

fn already_subscribed() -> Value {
    let mut refusals = recorded("ws error", "choosemycoins");
    refusals.retain(|m| m["error"]["code"] == 30_003);
    refusals.remove(0)
}

#[test]
fn already_subscribed_is_repaired_by_leaving_first() {
    let mut rig = Rig::live();
    assert_eq!(rig.hear(&already_subscribed()), FrameKind::Control);
    assert_eq!(rig.sent(), [request("unsubscribe", "order_book/0")]);
    let mut stats = already_subscribed();
    stats["error"]["message"] = json!("Already Subscribed to : market_stats:all");
    rig.hear_on(OTHERS, &stats);
    assert_eq!(rig.sent(), [request("unsubscribe", "market_stats/all")]);
}

/// Row 7: an invalid channel gets no answer. It is told, asked again ever more rarely, and keeps
/// nobody else from anything.
#[test]
fn row_7_a_market_that_never_answers_is_told_and_spends_little() {
    let mut rig = Rig::live();
    for market in [1, 36] {
        rig.hear(&book("subscribed", market, (0, 9), json!([]), json!([])));
    }
    let mut requests = 0;
    for second in 1..=3_600 {
        rig.beat(SECOND);
        rig.hear(&book("update", 1, (9, 9), json!([]), json!([])));
        rig.hear(&book("update", 36, (9, 9), json!([]), json!([])));
        for lane in [TOPS, OTHERS] {
            rig.hear_on(lane, &json!({"type": "pong"}));
        }
        let texts = rig.sent();
        let own = |text: &&String| text.contains("order_book/0");
        requests += texts.iter().filter(own).count();
        let unanswered = rig.doubts().len();
        assert_eq!(unanswered > 0, second >= 10, "told after ten seconds");
    }
    assert!(
        rig.doubts()
            .iter()
            .all(|doubt| *doubt == (0, Doubt::Unanswered))
    );
    assert!((10..30).contains(&requests), "{requests} in an hour");
    assert_eq!(rig.is_trusted, [false, true, true]);
    // Should it answer at last, all is well.
    rig.hear(&unsubscribed("order_book:0"));
    let mut is_back = false;
    for _ in 0..700 {
        rig.beat(SECOND);
        for lane in [BOOKS, TOPS, OTHERS] {
            rig.hear_on(lane, &json!({"type": "pong"}));
        }
        if rig.sent().contains(&request("subscribe", "order_book/0")) {
            rig.hear(&book("subscribed", 0, (0, 9), json!([]), json!([])));
            is_back = rig.is_trusted[0];
            break;
        }
    }
    assert!(is_back);
}

#[test]
fn lost_answers_are_asked_for_again() {
    let mut rig = Rig::new();
    rig.link(BOOKS, true);
    rig.greet(BOOKS);
    rig.sent();
    rig.beat(9 * SECOND);
    assert_eq!(rig.sent(), [""; 0]);
    for verb in ["unsubscribe", "subscribe"] {
        rig.beat(SECOND);
        let asked = ["order_book/0", "order_book/1", "order_book/36"];
        assert_eq!(rig.sent(), asked.map(|channel| request(verb, channel)));
        rig.beat(9 * SECOND);
    }
}

/// Row 8: pings are fine and data has stopped.
#[test]
fn row_8_a_silent_channel_is_doubted_and_asked_for_anew() {
    let mut rig = Rig::in_step();
    rig.hear(&book("subscribed", 1, (0, 1), json!([]), json!([])));
    let mut sequence = 100;
    let mut speak = |rig: &mut Rig, market: u64| {
        let nonces = (sequence, sequence + 1);
        sequence += 1;
        let asks = json!([level("11", if sequence % 2 == 0 { "1" } else { "2" })]);
        assert_eq!(
            rig.hear(&book("update", market, nonces, asks, json!([]))),
            FrameKind::Update
        );
    };
    for _ in 0..100 {
        rig.beat(100 * MS);
        speak(&mut rig, 0);
    }
    rig.sent();
    for _ in 0..49 {
        rig.beat(100 * MS);
    }
    assert_eq!(
        rig.doubts()
            .iter()
            .filter(|doubt| doubt.1 == Doubt::Silent)
            .count(),
        0
    );
    rig.beat(100 * MS);
    assert!(rig.doubts().contains(&(0, Doubt::Silent)));
    assert_eq!(rig.is_trusted[..2], [false, true], "and nobody else");
    assert!(rig.sent().contains(&request("unsubscribe", "order_book/0")));
}

/// Row 8, and row 1's freeze: trades or the fast top move on, the book does not.
#[test]
fn row_8_a_frozen_book_is_doubted_by_its_trades_and_its_top() {
    let news: [(usize, Value, bool); 7] = [
        (OTHERS, trade("update", 0, 101, 1), true),
        (OTHERS, trade("update", 0, 100, 1), false),
        (OTHERS, trade("update", 0, 101, 0), false),
        (OTHERS, trade("subscribed", 0, 101, 50), false),
        (
            TOPS,
            ticker("update", 0, 101, ("10", "1"), ("11.5", "1")),
            true,
        ),
        (
            TOPS,
            ticker("update", 0, 101, ("10", "7"), ("11", "7")),
            false,
        ),
        (
            TOPS,
            ticker("update", 0, 99, ("10", "1"), ("11.5", "1")),
            false,
        ),
    ];
    for (lane, message, is_witness) in news {
        let mut rig = Rig::in_step();
        assert!(!rig.hear_on(lane, &message).is_fault());
        rig.beat(999 * MS);
        assert_eq!(rig.doubts(), [], "{message}");
        rig.beat(MS);
        let doubts = rig.doubts();
        assert_eq!(
            doubts.contains(&(0, Doubt::Frozen)),
            is_witness,
            "{message}"
        );
        assert_eq!(rig.is_trusted[0], !is_witness);
        let leave = request("unsubscribe", "order_book/0");
        assert_eq!(rig.sent().contains(&leave), is_witness);
    }
    // A change that was taken back within a batch is none.
    let mut rig = Rig::in_step();
    rig.hear_on(TOPS, &ticker("update", 0, 101, ("10.5", "1"), ("11", "1")));
    rig.hear_on(TOPS, &ticker("update", 0, 102, ("10", "1"), ("11", "1")));
    rig.beat(2_000 * MS);
    assert_eq!(rig.doubts(), []);
    // A book that follows is left alone.
    let mut rig = Rig::in_step();
    rig.hear_on(OTHERS, &trade("update", 0, 101, 1));
    rig.beat(100 * MS);
    rig.hear(&book(
        "update",
        0,
        (100, 102),
        json!([level("11", "3")]),
        json!([]),
    ));
    rig.beat(2_000 * MS);
    assert_eq!(rig.doubts(), []);
}

/// A connection on which everything has stopped is given up, before its markets spend the minute's
/// requests on it.
#[test]
fn row_8_a_dead_connection_is_not_asked_market_by_market() {
    let all: Vec<Market> = (0..60)
        .map(|at| market(at, u32::from(at), (2, 4)))
        .collect();
    let mut rig = Rig::with(&all);
    rig.link(BOOKS, true);
    rig.greet(BOOKS);
    for at in 0..60 {
        rig.beat(10 * MS);
        rig.hear(&book("subscribed", at, (0, 1), json!([]), json!([])));
    }
    rig.sent();
    let mut texts = Vec::new();
    for _ in 0..85 {
        rig.beat(SECOND);
        rig.hear(&json!({"type": "pong"}));
        texts.append(&mut rig.sent());
    }
    assert!(texts.contains(&"reconnect 0".to_owned()), "{texts:?}");
    let leaves = texts.iter().filter(|text| text.contains("unsubscribe"));
    assert!(leaves.count() < 10, "{texts:?}");
}

/// Row 9: the venue's clock is seconds off; what is told is the age beyond the fastest message.
#[test]
fn row_9_ages_are_told_on_our_clock_whatever_the_venues_shows() {
    for ahead_ms in [-2_500_i64, 0, 2_500] {
        let mut rig = Rig::in_step();
        let made_at = |at: Nanos| Nanos(at.0.saturating_add_signed(ahead_ms * MS as i64)).0 / 1_000;
        let mut ages = Vec::new();
        for (sequence, way_ms) in (100_u64..).zip([20_u64, 8, 500, 8, 90]) {
            rig.beat(SECOND);
            let sent_at = Nanos(rig.driven.now.0 - way_ms * MS);
            let nonces = (sequence, sequence + 1);
            let mut frame = book("update", 0, nonces, json!([level("11", "5")]), json!([]));
            frame["order_book"]["last_updated_at"] = json!(made_at(sent_at));
            assert_eq!(rig.hear(&frame), FrameKind::Update);
            let record = rig.records[0];
            ages.push(record.t_recv.since(record.t_made) / MS);
        }
        assert_eq!(ages, [0, 0, 492, 0, 82], "{ahead_ms}");
        let offsets = |rig: &Rig| -> Vec<i64> {
            let ns = |note: &Event| match note {
                Event::Offset { ns, .. } => Some(ns / MS as i64),
                _ => None,
            };
            rig.notes.iter().filter_map(ns).collect()
        };
        let before = offsets(&rig).len();
        for _ in 0..100 {
            rig.beat(100 * MS);
        }
        assert_eq!(offsets(&rig).len() - before, 1, "once in ten seconds");
        assert_eq!(
            offsets(&rig).last(),
            Some(&(8 - ahead_ms)),
            "and never clamped"
        );
    }
}

/// A whole book and a channel's first frame may be of long ago; a stamp of nonsense says nothing.
#[test]
fn row_9_what_may_be_old_says_nothing_about_the_clock() {
    let mut rig = Rig::in_step();
    let us = NOW.0 / 1_000;
    let mut first = ticker("subscribed", 0, 150, ("10", "1"), ("11", "1"));
    first["ticker"]["last_updated_at"] = json!(us - 60_000_000);
    rig.hear_on(TOPS, &first);
    let mut snapshot = book(
        "subscribed",
        0,
        (0, 151),
        json!([level("11", "1")]),
        json!([]),
    );
    snapshot["order_book"]["last_updated_at"] = json!(us - 60_000_000);
    rig.hear(&snapshot);
    assert_eq!(rig.records[0].t_made, Nanos::ZERO, "nothing is known yet");
    for stamp in [u64::MAX, 0, u64::MAX / 1_000] {
        let mut top = ticker("update", 0, 160, ("10", "1"), ("11", "1"));
        top["ticker"]["last_updated_at"] = json!(stamp);
        assert_eq!(rig.hear_on(TOPS, &top), FrameKind::Top);
    }
    rig.beat(20 * SECOND);
    let is_offset = |note: &&Event| matches!(note, Event::Offset { .. });
    assert_eq!(rig.notes.iter().filter(is_offset).count(), 0);
}

/// Row 10: one side empty, or sizes of zero, at the start.
#[test]
fn row_10_an_empty_side_is_empty_and_a_size_of_zero_is_none() {
    let mut rig = Rig::live();
    let source = "nautechsystems";
    let mut empty = recorded("ws order_book_subscribed_empty", source).remove(0);
    empty["channel"] = json!("order_book:0");
    assert_eq!(rig.hear(&empty), FrameKind::Snapshot);
    assert_eq!((rig.shown(0), rig.is_trusted[0]), ([None, None], true));
    let zeros = json!([level("11", "0.0000"), level("12", "1")]);
    rig.hear(&book(
        "subscribed",
        0,
        (0, 5),
        zeros,
        json!([level("9", "0")]),
    ));
    assert_eq!(rig.shown(0), [None, Some(12_000_000_000)]);
    let mut top = recorded("ws ticker_subscribed_empty", source).remove(0);
    top["channel"] = json!("ticker:0");
    assert_eq!(rig.hear_on(TOPS, &top), FrameKind::Top);
    assert_eq!(
        rig.shown(0),
        [None, None],
        "the newest word is that nobody stands there"
    );
    assert!(
        rig.records
            .iter()
            .all(|record| record.flags & flags::EMPTY != 0)
    );
}

/// Row 47: market 0 is a real market; nothing may default to it.
#[test]
fn row_47_market_zero_is_real_and_never_meant_by_silence() {
    let mut rig = Rig::in_step();
    for channel in ["order_book:", "order_book", "order_book:x", "order_book:-0"] {
        let mut frame = book(
            "update",
            0,
            (100, 101),
            json!([level("11", "9")]),
            json!([]),
        );
        frame["channel"] = json!(channel);
        let mut other = Rig::in_step();
        assert!(other.hear(&frame) != FrameKind::Update, "{channel}");
        assert_eq!(other.full(0).len(), 4, "{channel}");
    }
    let foreign = book("update", 7, (1, 2), json!(7), json!([]));
    assert_eq!(rig.hear(&foreign), FrameKind::WrongMarket);
    assert!(rig.is_trusted[0]);
    let update = book(
        "update",
        0,
        (100, 101),
        json!([level("11", "9")]),
        json!([]),
    );
    assert_eq!(rig.hear(&update), FrameKind::Update);
    // Only channels of the market that were asked for on this connection are heard there.
    let top = ticker("update", 0, 200, ("10", "1"), ("11", "1"));
    assert_eq!(rig.hear(&top), FrameKind::WrongMarket);
    assert_eq!(rig.hear_on(TOPS, &update), FrameKind::WrongMarket);
    assert!(rig.is_trusted[0] && rig.sent().is_empty());
}

#[test]
fn malformed_frames_cost_their_market_its_trust() {
    let bad_levels = [
        (json!([level("x", "1")]), FrameKind::Malformed),
        (json!([level("1", "-1")]), FrameKind::Negative),
        (json!([level("0", "1")]), FrameKind::Malformed),
        (json!([level("1.0000000001", "1")]), FrameKind::Inexact),
        (json!([level("1", "1e10")]), FrameKind::OutOfRange),
        (
            json!([level("1", "1"), level("1", "2")]),
            FrameKind::DuplicateLevel,
        ),
        (json!([{"price": "1"}]), FrameKind::Malformed),
        (json!([{"price": 1, "size": "1"}]), FrameKind::Malformed),
        (json!(7), FrameKind::Malformed),
    ];
    for (bad, fault) in bad_levels {
        for (kind, nonces) in [("subscribed", (0, 9)), ("update", (1, 2))] {
            let mut rig = Rig::live();
            for market in [0, 1] {
                rig.hear(&book("subscribed", market, (0, 1), json!([]), json!([])));
            }
            let good = json!([level("5", "1")]);
            assert_eq!(
                rig.hear(&book(kind, 1, nonces, good, bad.clone())),
                fault,
                "{bad}"
            );
            assert_eq!(rig.is_trusted[..2], [true, false]);
            assert!(rig.full(1).is_empty(), "taken whole or not at all");
        }
    }
}

#[test]
fn a_frame_without_a_market_costs_all_of_its_connection() {
    for text in [
        "{",
        "{\"type\":\"update/order_book\",\"channel\":\"order_book:\"}",
    ] {
        let mut rig = Rig::live();
        for market in [0, 1] {
            rig.hear(&book("subscribed", market, (0, 1), json!([]), json!([])));
        }
        for lane in [TOPS, OTHERS, BOOKS + SPARE] {
            rig.hear_bytes(lane, b"{".to_vec());
            assert_eq!(
                rig.is_trusted[..2],
                [true, true],
                "lane {lane} carries no book"
            );
        }
        assert_eq!(rig.hear_bytes(BOOKS, text.into()), FrameKind::Malformed);
        assert_eq!(rig.is_trusted[..2], [false, false]);
        assert_eq!(rig.sent().len(), 2);
    }
}

#[test]
fn a_book_that_does_not_fit_is_refused_whole() {
    let mut rig = Rig::live();
    rig.driven.told = Told::new(4);
    rig.hear(&book("subscribed", 0, (0, 1), json!([]), json!([])));
    let levels: Vec<Value> = (1..6).map(|price| level(&price.to_string(), "1")).collect();
    let heard = rig.hear(&book("update", 0, (1, 2), json!(levels), json!([])));
    assert_eq!(heard, FrameKind::Malformed);
    assert!(!rig.is_trusted[0]);
}

#[test]
fn the_connections_own_messages() {
    let mut rig = Rig::live();
    assert_eq!(
        rig.hear_on(TOPS, &recorded("ws ping (server)", "")[0]),
        FrameKind::Control
    );
    assert_eq!(rig.driven.out.items()[0].lane, TOPS);
    assert_eq!(rig.sent(), ["{\"type\":\"pong\"}"]);
    assert_eq!(rig.hear(&recorded("ws pong", "")[0]), FrameKind::Control);
    let unknown = &recorded("ws something_unexpected", "")[0];
    assert_eq!(rig.hear(unknown), FrameKind::Unknown);
    rig.link(BOOKS, false);
    assert_eq!(rig.records.len(), 3);
    assert!(
        rig.records
            .iter()
            .all(|record| record.flags & flags::STALE != 0)
    );
}

#[test]
fn the_full_book_can_ask_for_a_market_anew() {
    let mut rig = Rig::live();
    rig.hear(&book("subscribed", 36, (0, 1), json!([]), json!([])));
    assert!(rig.is_trusted[2]);
    for _ in 0..2 {
        rig.driven.resync(InstrumentId(2));
        rig.settle();
    }
    assert!(!rig.is_trusted[2]);
    assert_eq!(rig.sent().len(), 1, "once is enough");
}

// ---- Tops, trades, references ------------------------------------------------------------------

#[test]
fn a_newer_top_is_shown_over_the_book_until_that_has_caught_up() {
    let mut rig = Rig::in_step();
    let top = |nonce, bid, ask| ticker("update", 0, nonce, (bid, "7"), (ask, "8"));
    assert_eq!(rig.hear_on(TOPS, &top(100, "10.2", "10.8")), FrameKind::Top);
    assert!(
        rig.records.is_empty(),
        "as old as the book: it says nothing"
    );
    assert_eq!(rig.hear_on(TOPS, &top(103, "9.5", "10.8")), FrameKind::Top);
    let marks: Vec<u8> = rig.records.iter().map(|record| record.flags).collect();
    assert_eq!(marks, [flags::TOP, flags::TOP | flags::LAST]);
    assert_eq!(rig.shown(0), [Some(9_500_000_000), Some(10_800_000_000)]);
    let bids: Vec<i64> = rig.driven.books[0]
        .levels(Side::Bid)
        .map(|level| level.price.0 / 1_000_000)
        .collect();
    assert_eq!(
        bids,
        [9_500, 9_000],
        "the better one of the book is gone by now"
    );
    rig.hear_on(TOPS, &top(102, "10.1", "10.9"));
    assert!(rig.records.is_empty(), "overtaken by a newer one");
    // An update that is older goes into the book behind the top.
    rig.hear(&book(
        "update",
        0,
        (100, 102),
        json!([]),
        json!([level("8", "1")]),
    ));
    assert_eq!(rig.shown(0), [Some(9_500_000_000), Some(10_800_000_000)]);
    // One as new as the top is the truth, even when it changes nothing.
    rig.hear(&book("update", 0, (102, 103), json!([]), json!([])));
    assert_eq!(rig.records.len(), 1);
    assert_eq!(
        rig.records[0].flags,
        flags::CAUGHT_UP | flags::EMPTY | flags::LAST
    );
    assert_eq!(rig.shown(0), [Some(10_000_000_000), Some(11_000_000_000)]);
}

#[test]
fn no_top_is_shown_over_a_book_that_is_not_in_step() {
    let mut rig = Rig::in_step();
    let top = |nonce| ticker("update", 0, nonce, ("10.2", "1"), ("10.8", "1"));
    rig.hear_on(TOPS, &top(101));
    assert_eq!(rig.shown(0)[0], Some(10_200_000_000));
    rig.hear(&book("update", 0, (101, 102), json!([]), json!([])));
    assert!(!rig.is_trusted[0]);
    rig.hear_on(TOPS, &top(103));
    assert!(rig.records.is_empty());
    assert_eq!(
        rig.driven.books[0].top(),
        None,
        "the stale mark took it away"
    );
}

#[test]
fn a_crossed_top_takes_the_one_before_with_it_and_leaves_the_book() {
    let mut rig = Rig::in_step();
    rig.hear_on(
        TOPS,
        &ticker("update", 0, 101, ("10.2", "1"), ("10.8", "1")),
    );
    let crossed = ticker("update", 0, 102, ("10.8", "1"), ("10.8", "1"));
    assert_eq!(rig.hear_on(TOPS, &crossed), FrameKind::Crossed);
    assert_eq!(
        rig.records[0].flags,
        flags::CAUGHT_UP | flags::EMPTY | flags::LAST
    );
    assert_eq!(rig.shown(0)[0], Some(10_000_000_000));
    assert!(rig.is_trusted[0] && rig.sent().is_empty());
}

#[test]
fn tops_go_with_their_connection_and_books_do_not() {
    let mut rig = Rig::in_step();
    rig.hear_on(
        TOPS,
        &ticker("update", 0, 101, ("10.2", "1"), ("10.8", "1")),
    );
    rig.link(TOPS, false);
    assert_eq!(rig.records.len(), 1, "only one was shown");
    assert_eq!(
        rig.records[0].flags,
        flags::CAUGHT_UP | flags::EMPTY | flags::LAST
    );
    assert_eq!(rig.shown(0)[0], Some(10_000_000_000));
    rig.link(OTHERS, false);
    assert!(rig.records.is_empty() && rig.is_trusted[0]);
}

#[test]
fn recorded_tickers_are_tops() {
    let mut rig = Rig::live();
    let whole = json!([level("63777.4", "1")]);
    rig.hear(&book(
        "subscribed",
        1,
        (0, 17_926_043_000),
        whole,
        json!([]),
    ));
    let ticker = &recorded("ws update/ticker", "")[0];
    assert_eq!(rig.hear_on(TOPS, ticker), FrameKind::Top);
    let level = |price, size| Level {
        price: Price(price),
        size: Size(size),
    };
    let [bid, ask] = rig.driven.books[1].top().unwrap();
    assert_eq!(bid, Some(level(63_777_200_000_000, 2_492_200_000)));
    assert_eq!(ask, Some(level(63_777_300_000_000, 200_000)));
    for kind in ["ws ticker_subscribed", "ws ticker_update"] {
        assert_eq!(rig.hear_on(TOPS, &recorded(kind, "")[0]), FrameKind::Top);
    }
}

/// Values as recorded, funding as a ratio of notional.
#[test]
fn recorded_statistics_are_references() {
    let (mark, index, funding) = (
        ReferenceKind::Mark,
        ReferenceKind::Index,
        ReferenceKind::Funding,
    );
    let left = ReferenceKind::OpenInterestLeft;
    // A limit of 2^56 is none.
    for (kind, instrument, values) in [
        (
            "ws market_stats_subscribed_single",
            1,
            &[
                (funding, -28_000),
                (index, 64_400_100_000_000),
                (mark, 64_356_300_000_000),
            ][..],
        ),
        (
            "ws market_stats_update_all",
            0,
            &[
                (index, 2_064_480_000_000),
                (mark, 2_064_470_000_000),
                (funding, 10),
                (left, 22_749_158_900_000),
            ][..],
        ),
        (
            "ws update/market_stats",
            0,
            &[
                (index, 3_335_040_000_000),
                (mark, 3_335_090_000_000),
                (funding, 57_000),
            ][..],
        ),
    ] {
        let mut rig = Rig::live();
        let mut bytes = recorded(kind, "")[0].to_string().into_bytes();
        let heard = rig.driven.hear(OTHERS, &mut bytes);
        assert_eq!(heard.kind, FrameKind::Reference);
        let told = rig.driven.told.references.items();
        let mut found: Vec<_> = told
            .iter()
            .map(|r| (r.instrument.0, r.kind as u8, r.value_e9))
            .collect();
        let mut expected: Vec<_> = values
            .iter()
            .map(|(k, v)| (instrument, *k as u8, *v))
            .collect();
        found.sort();
        expected.sort();
        assert_eq!(found, expected, "{kind}");
    }
}

/// What the feed tells of an open-interest limit, from a recorded message with these two fields.
fn open_interest_left(open: Value, limit: Value) -> Option<i64> {
    let mut message = recorded("ws market_stats_update_single", "")[0].clone();
    message["market_stats"]["open_interest"] = open;
    message["market_stats"]["open_interest_limit"] = limit;
    let mut rig = Rig::live();
    let mut bytes = message.to_string().into_bytes();
    let heard = rig.driven.hear(OTHERS, &mut bytes);
    assert_eq!(heard.kind, FrameKind::Reference);
    let told = rig.driven.told.references.items();
    assert!(
        told.len() >= 3,
        "mark, index and funding are told whatever these are"
    );
    let mut left = told
        .iter()
        .filter(|r| r.kind == ReferenceKind::OpenInterestLeft);
    let found = left.next().map(|r| r.value_e9);
    assert!(left.next().is_none() && told.iter().all(|r| r.instrument == InstrumentId(0)));
    found
}

/// Nothing is told of a limit that is none, nor of one where it is not known what is open.
#[test]
fn an_open_interest_limit_is_told_where_both_numbers_are() {
    for (open, limit, left) in [
        (
            json!("27250.8411"),
            json!("50000.0000"),
            Some(22_749_158_900_000),
        ),
        (json!("50000.5"), json!("50000"), Some(0)),
        (json!("0"), json!("0.000001"), Some(1_000)),
        (json!("0"), json!("0"), Some(0)),
        (
            json!("102123609.308856"),
            json!("72057594037927936.000000"),
            None,
        ),
        (json!("x"), json!("50000"), None),
        (json!("1"), json!(""), None),
        (Value::Null, json!("50000"), None),
        (json!("1"), Value::Null, None),
        // Every one seen is a text.
        (json!(1), json!(50_000), None),
    ] {
        let told = open_interest_left(open.clone(), limit.clone());
        assert_eq!(told, left, "{open} of {limit}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// As the difference of two whole numbers of millionths, which is what the venue writes.
    #[test]
    fn open_interest_left_is_the_naive_difference(
        open_e6 in 0_u64..2_000_000_000_000_000,
        limit_e6 in 0_u64..2_000_000_000_000_000,
    ) {
        let text = |e6: u64| json!(format!("{}.{:06}", e6 / 1_000_000, e6 % 1_000_000));
        let naive = limit_e6.saturating_sub(open_e6) as i64 * 1_000;
        prop_assert_eq!(open_interest_left(text(open_e6), text(limit_e6)), Some(naive));
    }
}

#[test]
fn recorded_trades_and_odd_statistics_do_no_harm() {
    let mut rig = Rig::in_step();
    let kinds = [
        "ws update/trade",
        "ws subscribed/trade",
        "ws trade_subscribed",
        "ws trade_update",
    ];
    for kind in kinds {
        for message in recorded(kind, "") {
            let heard = rig.hear_on(OTHERS, &message);
            assert!(
                matches!(heard, FrameKind::Reference | FrameKind::WrongMarket),
                "{message}"
            );
        }
    }
    let bare = recorded("ws update/market_stats", "hummingbot").remove(0);
    assert_eq!(rig.hear_on(OTHERS, &bare), FrameKind::Malformed);
    assert!(rig.is_trusted[0] && rig.sent().is_empty());
}

// ---- Planned shutdown --------------------------------------------------------------------------

/// Three books in step, and the notice that their connection will end: another is made.
fn announced() -> Rig {
    let mut rig = Rig::in_step();
    for market in [1, 36] {
        rig.hear(&book("subscribed", market, (0, 100), json!([]), json!([])));
    }
    assert_eq!(rig.hear(&shutdown()), FrameKind::Control);
    assert_eq!(rig.sent(), ["wake 3"]);
    assert!(
        rig.notes
            .iter()
            .any(|note| matches!(note, Event::Shutdown { .. }))
    );
    rig.hear(&shutdown());
    rig.beat(0);
    assert_eq!(rig.sent(), [""; 0], "once");
    rig
}

fn moved_snapshot(market: u64, nonce: u64) -> Value {
    book(
        "subscribed",
        market,
        (0, nonce),
        json!([level("11", "6")]),
        json!([]),
    )
}

#[test]
fn a_planned_shutdown_connects_first_and_then_drops() {
    let mut rig = announced();
    rig.link(BOOKS + SPARE, true);
    rig.greet(BOOKS + SPARE);
    let lanes: Vec<usize> = rig
        .driven
        .out
        .items()
        .iter()
        .map(|item| item.lane)
        .collect();
    assert_eq!(lanes, [3, 3, 3]);
    let asked = ["order_book/0", "order_book/1", "order_book/36"];
    assert_eq!(
        rig.sent(),
        asked.map(|channel| request("subscribe", channel))
    );
    let update = |nonces| book("update", 0, nonces, json!([level("12", "3")]), json!([]));
    assert_eq!(
        rig.hear(&update((100, 105))),
        FrameKind::Update,
        "the old one still feeds"
    );
    for (at, market) in [0, 1, 36].into_iter().enumerate() {
        let snapshot = moved_snapshot(market, 110);
        assert_eq!(rig.hear_on(BOOKS + SPARE, &snapshot), FrameKind::Snapshot);
        assert!(
            rig.records
                .iter()
                .all(|record| record.flags & flags::STALE == 0)
        );
        assert_eq!(
            rig.hear(&update((105, 111))),
            FrameKind::Control,
            "it has moved"
        );
        rig.beat(0);
        let is_last = at == 2;
        assert_eq!(rig.sent(), if is_last { vec!["hang 0"] } else { vec![] });
    }
    assert_eq!(rig.is_trusted, [true; 3]);
    assert_eq!(
        rig.hear_on(BOOKS + SPARE, &update((110, 112))),
        FrameKind::Update
    );
    // What becomes of the old one is nobody's business any more.
    rig.link(BOOKS, false);
    assert!(rig.records.is_empty());
    assert_eq!(rig.is_trusted, [true; 3]);

    // And back again.
    rig.hear_on(BOOKS + SPARE, &shutdown());
    assert_eq!(rig.sent(), ["wake 0"]);
    rig.link(BOOKS, true);
    rig.greet(BOOKS);
    assert_eq!(rig.sent().len(), 3);
    for market in [0, 1, 36] {
        rig.hear(&moved_snapshot(market, 120));
    }
    rig.beat(0);
    assert_eq!(rig.sent(), ["hang 3"]);
    assert_eq!(rig.is_trusted, [true; 3]);
    assert_eq!(rig.hear(&update((120, 121))), FrameKind::Update);
    rig.link(BOOKS, false);
    assert_eq!(rig.is_trusted, [false; 3], "this one is in use");
}

#[test]
fn what_has_not_moved_when_the_old_connection_ends_is_stale_until_it_has() {
    let mut rig = announced();
    rig.link(BOOKS + SPARE, true);
    rig.greet(BOOKS + SPARE);
    rig.sent();
    rig.hear_on(BOOKS + SPARE, &moved_snapshot(0, 110));
    rig.link(BOOKS, false);
    assert_eq!(rig.is_trusted, [true, false, false]);
    assert_eq!(rig.sent(), ["hang 0"]);
    for market in [1, 36] {
        rig.hear_on(BOOKS + SPARE, &moved_snapshot(market, 110));
    }
    assert_eq!(rig.is_trusted, [true; 3]);
}

#[test]
fn a_fault_while_moving_awaits_the_new_snapshot() {
    let mut rig = announced();
    let gap = book("update", 0, (101, 102), json!([]), json!([]));
    assert_eq!(rig.hear(&gap), FrameKind::Gap);
    assert_eq!(rig.is_trusted, [false, true, true]);
    rig.link(BOOKS + SPARE, true);
    rig.greet(BOOKS + SPARE);
    assert_eq!(rig.sent().len(), 3, "nothing is left on the old one");
    // A bad first frame over there costs the market nothing while it lives here.
    let bad = book("subscribed", 1, (0, 9), json!(7), json!([]));
    assert_eq!(rig.hear_on(BOOKS + SPARE, &bad), FrameKind::Malformed);
    assert_eq!(rig.is_trusted, [false, true, true]);
    rig.hear_on(BOOKS + SPARE, &moved_snapshot(0, 110));
    assert_eq!(rig.is_trusted, [true; 3]);
}

/// The new connection dies before all have moved: who had moved is stale, the rest goes on.
#[test]
fn a_new_connection_that_fails_is_made_again() {
    let mut rig = announced();
    rig.link(BOOKS + SPARE, true);
    rig.greet(BOOKS + SPARE);
    rig.hear_on(BOOKS + SPARE, &moved_snapshot(0, 110));
    rig.link(BOOKS + SPARE, false);
    assert_eq!(rig.is_trusted, [false, true, true]);
    rig.sent();
    rig.link(BOOKS + SPARE, true);
    rig.greet(BOOKS + SPARE);
    assert_eq!(rig.sent().len(), 3);
    for market in [0, 1, 36] {
        rig.hear_on(BOOKS + SPARE, &moved_snapshot(market, 120));
    }
    rig.beat(0);
    assert_eq!(
        (rig.is_trusted.clone(), rig.sent()),
        (vec![true; 3], vec!["hang 0".into()])
    );
}

#[test]
fn tops_and_the_rest_move_likewise() {
    let mut rig = Rig::in_step();
    for (lane, asked) in [(TOPS, 3), (OTHERS, 4)] {
        rig.hear_on(lane, &shutdown());
        assert_eq!(rig.sent(), [format!("wake {}", lane + SPARE)]);
        rig.link(lane + SPARE, true);
        rig.greet(lane + SPARE);
        assert_eq!(rig.sent().len(), asked);
    }
    rig.hear_on(
        TOPS + SPARE,
        &ticker("subscribed", 0, 101, ("10.2", "1"), ("10.8", "1")),
    );
    assert_eq!(rig.shown(0)[0], Some(10_200_000_000));
    rig.link(TOPS, false);
    rig.link(OTHERS, false);
    assert_eq!(rig.sent(), ["hang 1", "hang 2"]);
    assert_eq!(rig.shown(0)[0], Some(10_200_000_000), "it had moved");
    assert!(rig.is_trusted[0]);
}

// ---- Many markets ------------------------------------------------------------------------------

/// A venue that answers subscribes after a while and counts what it is sent.
struct Answering {
    log: Vec<(Nanos, String)>,
    /// Markets whose books are followed.
    live: BTreeSet<u16>,
    due: Vec<(Nanos, usize, Value)>,
}

impl Answering {
    /// What the feed sent, answered 300 ms later.
    fn take(&mut self, out: &mut Outbox, now: Nanos) {
        for item in out.items() {
            assert_eq!(item.kind, OutKind::Text);
            let text = String::from_utf8(out.payload(item).to_vec()).unwrap();
            let message: Value = serde_json::from_str(&text).unwrap();
            self.log.push((now, text));
            let answer = match message["channel"].as_str() {
                None => json!({"type": "pong"}),
                Some(channel) => first_frame(channel),
            };
            self.due.push((now.plus(300 * MS), item.lane, answer));
        }
        out.clear();
    }

    fn most_in_a_minute(&self) -> usize {
        let within = |from: Nanos| {
            let later = self.log.iter().filter(|(at, _)| *at >= from);
            later.filter(|(at, _)| at.since(from) < 60 * SECOND).count()
        };
        self.log.iter().map(|(at, _)| within(*at)).max().unwrap()
    }
}

fn first_frame(channel: &str) -> Value {
    let (name, tail) = channel.split_once('/').unwrap();
    let number = tail.parse().unwrap_or(0);
    match name {
        "order_book" => book("subscribed", number, (0, 9), json!([]), json!([])),
        "ticker" => ticker("subscribed", number, 9, ("1", "1"), ("2", "1")),
        "trade" => trade("subscribed", number, 9, 50),
        _ => json!({
            "type": "subscribed/market_stats", "channel": "market_stats:all", "market_stats": {},
        }),
    }
}

/// Turns the feed against the venue; gives the second at which all books were live.
fn run(rig: &mut Driven<LighterFeed>, venue: &mut Answering, seconds: u64, wanted: usize) -> u64 {
    let mut all_at = u64::MAX;
    for tick in 0..seconds * 10 {
        rig.now = rig.now.plus(100 * MS);
        let is_due = |due: &(Nanos, usize, Value)| due.0 <= rig.now;
        let (due, later) = venue.due.drain(..).partition(is_due);
        venue.due = later;
        for (_, lane, answer) in due {
            let heard = rig.hear(lane, &mut answer.to_string().into_bytes());
            if heard.kind == FrameKind::Snapshot {
                venue
                    .live
                    .extend(heard.instrument.map(|instrument| instrument.0));
            }
        }
        // Each book says something every ten seconds.
        for at in venue
            .live
            .iter()
            .filter(|at| u64::from(**at) % 100 == tick % 100)
        {
            let update = book("update", u64::from(*at), (9, 9), json!([]), json!([]));
            let heard = rig.hear(BOOKS, &mut update.to_string().into_bytes());
            assert_eq!(heard.kind, FrameKind::Update);
        }
        rig.beat();
        rig.told.clear();
        venue.take(&mut rig.out, rig.now);
        assert!(
            venue.due.len() <= 46,
            "in flight, six pings with them: {}",
            venue.due.len()
        );
        if venue.live.len() == wanted && all_at == u64::MAX {
            all_at = tick / 10;
        }
    }
    all_at
}

/// Row 13, our part: 200 markets from three connections, in order and within the venue's 200
/// messages a minute, at the start and when all connections come back at once.
#[test]
fn row_13_two_hundred_markets_start_and_reconnect_within_the_budget() {
    let all: Vec<Market> = (0..200)
        .map(|at| market(at, u32::from(at), (2, 4)))
        .collect();
    let mut rig = Driven::new(LighterFeed::new(&all), ROOM, NOW);
    let lanes = rig.feed.lanes();
    let spares: Vec<bool> = lanes.iter().map(|lane| lane.is_spare).collect();
    assert_eq!(spares, [false, false, false, true, true, true]);
    let mut venue = Answering {
        log: Vec::new(),
        live: BTreeSet::new(),
        due: Vec::new(),
    };
    let go_up = |rig: &mut Driven<LighterFeed>| {
        for lane in [OTHERS, TOPS, BOOKS] {
            rig.link(lane, true);
        }
        for lane in [BOOKS, TOPS, OTHERS] {
            rig.hear(lane, &mut br#"{"type":"connected"}"#.to_vec());
        }
    };
    go_up(&mut rig);
    venue.take(&mut rig.out, rig.now);
    let live_at = run(&mut rig, &mut venue, 260, 200);
    assert!(
        live_at <= 62,
        "{live_at}: the last twenty wait for the second minute"
    );
    let asked: Vec<&str> = venue
        .log
        .iter()
        .filter_map(|(_, text)| text.strip_prefix("{\"type\":\"subscribe\",\"channel\":\""))
        .map(|text| text.trim_end_matches("\"}"))
        .collect();
    let of = |name: &'static str| (0..200).map(move |at| format!("{name}/{at}"));
    let expected: Vec<String> = of("order_book")
        .chain(of("ticker"))
        .chain(["market_stats/all".to_owned()])
        .chain(of("trade"))
        .collect();
    assert!(asked == expected, "{} of {}", asked.len(), expected.len());
    let most = venue.most_in_a_minute();
    assert!(most <= 180, "{most}");

    // All is lost at once, in the middle of a minute that was used already.
    for lane in [BOOKS, TOPS, OTHERS] {
        rig.link(lane, false);
    }
    (venue.due, venue.live) = (Vec::new(), BTreeSet::new());
    go_up(&mut rig);
    venue.take(&mut rig.out, rig.now);
    let live_at = run(&mut rig, &mut venue, 260, 200);
    assert!(live_at <= 122, "{live_at}");
    let most = venue.most_in_a_minute();
    assert!(most <= 180, "{most}");
    assert!(venue.log.len() > 1_200 && rig.told.notes.items().is_empty());
}

/// A repair of a book goes before the first subscribe of a top.
#[test]
fn resyncs_go_before_first_subscribes_of_the_rest() {
    let all: Vec<Market> = (0..200)
        .map(|at| market(at, u32::from(at), (2, 4)))
        .collect();
    let mut rig = Rig::with(&all);
    for lane in [BOOKS, TOPS, OTHERS] {
        rig.link(lane, true);
        rig.greet(lane);
    }
    // Forty are in flight; as soon as one has its answer, it is found bad.
    assert_eq!(rig.sent().len(), 40);
    rig.driven.now = rig.driven.now.plus(SECOND);
    rig.hear(&book("subscribed", 7, (0, 9), json!([]), json!([])));
    rig.hear(&book("update", 7, (1, 2), json!([]), json!([])));
    assert_eq!(rig.sent(), [request("unsubscribe", "order_book/7")]);
}

// ---- Against naive models ----------------------------------------------------------------------

/// One step of a random walk over three markets.
#[derive(Clone, Debug)]
struct Step {
    market: usize,
    /// Which kind of message.
    dice: u8,
    changes: Vec<(bool, u8, u8)>,
    /// How far a ticker is ahead of the book's sequence, minus three.
    ahead: u64,
    touch: (u8, u8),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let changes = prop::collection::vec((any::<bool>(), 1_u8..12, 0_u8..4), 0..6);
    let step = (
        0..3_usize,
        0_u8..12,
        changes,
        0..9_u64,
        (1_u8..12, 1_u8..12),
    );
    let step = step.prop_map(|(market, dice, changes, ahead, touch)| Step {
        market,
        dice,
        changes,
        ahead,
        touch,
    });
    prop::collection::vec(step, 1..60)
}

/// What ought to be believed of one market.
#[derive(Clone, Default)]
struct Naive {
    book: NaiveBook,
    is_live: bool,
    is_left: bool,
    sequence: u64,
    /// Newest ticker since the book was last in step, by sequence.
    top: Option<(u64, [Option<i64>; 2])>,
}

impl Naive {
    /// The freshest sequence wins.
    fn shown(&self) -> [Option<i64>; 2] {
        match self.top {
            Some((nonce, touch)) if nonce > self.sequence => touch,
            _ => self.book.best(),
        }
    }

    fn side(step: &Step, is_ask: bool) -> Value {
        // A frame tells a level once, or once as gone and once as there. Asks stand above bids.
        let mut told = BTreeSet::new();
        let of_side = step.changes.iter().filter(|change| change.0 == is_ask);
        of_side
            .filter(|(_, price, size)| told.insert((*price, *size == 0)))
            .map(|(_, price, size)| {
                let price = u32::from(*price) + if is_ask { 20 } else { 0 };
                level(&format!("{price}.5"), &format!("{size}.0000"))
            })
            .collect()
    }
}

const NUMBERS: [u64; 3] = [0, 1, 36];

fn walk(rig: &mut Rig, naive: &mut Naive, step: &Step) {
    let number = NUMBERS[step.market];
    let sides = (Naive::side(step, true), Naive::side(step, false));
    match step.dice {
        _ if naive.is_left => {
            rig.hear(&unsubscribed(&format!("order_book:{number}")));
            naive.is_left = false;
        }
        0..5 => {
            let (bid, ask) = (step.touch.0, step.touch.1 + 20);
            let nonce = (naive.sequence + step.ahead).saturating_sub(3);
            let texts = (format!("{bid}.5"), format!("{ask}.5"));
            let has_bid = step.dice > 0;
            let bid_text = if has_bid {
                (texts.0.as_str(), "1")
            } else {
                ("", "")
            };
            let frame = ticker("update", number, nonce, bid_text, (&texts.1, "1"));
            assert_eq!(rig.hear_on(TOPS, &frame), FrameKind::Top);
            let scaled = |price: u8| i64::from(price) * 1_000_000_000 + 500_000_000;
            let touch = [has_bid.then(|| scaled(bid)), Some(scaled(ask))];
            let is_newer = naive.top.is_none_or(|(newest, _)| nonce > newest);
            if naive.is_live && nonce > naive.sequence && is_newer {
                naive.top = Some((nonce, touch));
            }
        }
        5 if naive.is_live => {
            let nonces = (naive.sequence + 1, naive.sequence + 2);
            let frame = book("update", number, nonces, sides.0, sides.1);
            assert_eq!(rig.hear(&frame), FrameKind::Gap);
            (naive.is_live, naive.is_left, naive.top) = (false, true, None);
        }
        6 => {
            naive.sequence += 1;
            let frame = book("subscribed", number, (0, naive.sequence), sides.0, sides.1);
            assert_eq!(rig.hear(&frame), FrameKind::Snapshot);
            naive.book.apply_frame(&frame);
            naive.is_live = true;
        }
        _ if naive.is_live => {
            let nonces = (naive.sequence, naive.sequence + 2);
            let frame = book("update", number, nonces, sides.0, sides.1);
            assert_eq!(rig.hear(&frame), FrameKind::Update);
            naive.book.apply_frame(&frame);
            naive.sequence += 2;
        }
        _ => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Any run of frames and tickers over three markets: books equal naive maps, and what is shown
    /// as best is always the freshest by the engine's sequence.
    #[test]
    fn books_and_tops_equal_naive_ones(steps in steps()) {
        let mut rig = Rig::live();
        let mut naive = vec![Naive::default(); 3];
        for step in &steps {
            walk(&mut rig, &mut naive[step.market], step);
            rig.driven.out.clear();
            for (at, naive) in naive.iter().enumerate() {
                prop_assert_eq!(rig.is_trusted[at], naive.is_live);
                prop_assert_eq!(&rig.full(at), &naive.book.levels);
                if naive.is_live {
                    prop_assert_eq!(rig.shown(at), naive.shown());
                }
            }
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(
        lane in 0..6_usize,
        bytes in prop::collection::vec(any::<u8>(), 0..400),
    ) {
        let mut rig = Rig::in_step();
        rig.hear_bytes(lane, bytes);
    }

    #[test]
    fn bent_recorded_messages_never_panic(
        lane in 0..6_usize,
        pick in 0..MESSAGES.lines().count(),
        at in any::<usize>(),
        byte in any::<u8>(),
    ) {
        let mut rig = Rig::in_step();
        rig.hear_bytes(lane, bent(pick, at, byte));
        rig.hear_bytes(lane, bent(pick, at, byte));
        rig.beat(SECOND);
    }
}
