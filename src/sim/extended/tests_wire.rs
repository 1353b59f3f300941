//! What the venue says, judged: frames against captures, books followed against the exchange's own,
//! and the spelling of numbers.

use super::frame::{Frame, Topic};
use super::rest::Query;
use super::settlement::{Decimal, parse_hex};
use super::tests::{BTC, ask, open, pass};
use super::wire::{money, padded, ratio};
use super::*;
use crate::market::book::Side;
use crate::market::units::{MS, Notional};
use serde_json::Value;
use std::collections::BTreeMap;

/// Applies v1 frames as the documentation says; checks that `q` and `c` agree.
#[derive(Default)]
struct Follower {
    sides: [BTreeMap<i64, i64>; 2],
}

impl Follower {
    fn apply(&mut self, frame: &Frame, sequence: u64) {
        let message: Value = serde_json::from_str(&frame.v1_text(sequence)).unwrap();
        assert_eq!(message["seq"], sequence);
        let whole = message["type"] == "SNAPSHOT";
        for (side, name) in ["b", "a"].iter().enumerate() {
            if whole {
                self.sides[side].clear();
            }
            for level in message["data"][*name].as_array().unwrap() {
                let nano = |key: &str| {
                    let text = level[key].as_str()?;
                    Some(Decimal::parse(text).unwrap().to_nano().unwrap())
                };
                let price = nano("p").unwrap();
                let moved = nano("q").unwrap();
                let before = self.sides[side].get(&price).copied().unwrap_or(0);
                let after = nano("c").unwrap_or(moved);
                assert!(whole || before + moved == after, "{level}");
                if after == 0 {
                    self.sides[side].remove(&price);
                } else {
                    self.sides[side].insert(price, after);
                }
            }
        }
    }

    fn equals(&self, desk: &Desk) -> bool {
        let shown = |side| -> Vec<(i64, i64)> {
            let mut levels: Vec<_> = (desk.floor)
                .look(|exchange| exchange.book(BTC, side))
                .into_iter()
                .map(|(price, size)| (price.0, size.0))
                .collect();
            levels.sort_unstable();
            levels
        };
        let mine = |side: usize| -> Vec<(i64, i64)> {
            self.sides[side].iter().map(|(p, s)| (*p, *s)).collect()
        };
        mine(0) == shown(Side::Bid) && mine(1) == shown(Side::Ask)
    }
}

#[test]
fn followed_books_equal_the_exchange() {
    let desk = open();
    let (opening, mut frames) = desk.join(Topic::Book(Some(BTC)));
    let mut follower = Follower::default();
    let mut sequence = 1;
    follower.apply(&opening[0], sequence);
    assert!(follower.equals(&desk));
    for step in 1..40 {
        pass(&desk, step * 250);
        while let Ok(frame) = frames.try_recv() {
            sequence += 1;
            follower.apply(&frame, sequence);
        }
        assert!(follower.equals(&desk), "step {step}");
    }
    assert!(sequence > 100, "{sequence}");
}

#[test]
fn the_fast_top_is_never_older_than_the_full_book() {
    let desk = open();
    let start = desk.floor.now();
    while desk.floor.play(start) <= start {}
    let (opening, mut books) = desk.join(Topic::Book(Some(BTC)));
    let (first, mut tops) = desk.join(Topic::Touch(None));
    assert_eq!(first.len(), desk.listings.len());
    let mut follower = Follower::default();
    follower.apply(&opening[0], 1);
    let mut top = first[0].clone();
    let (mut moved, mut sequence) = (0, 1);
    for ms in 1..6_000 {
        desk.floor.play(start.plus(ms * MS));
        while let Ok(frame) = tops.try_recv() {
            if frame.data.contains("\"BTC-USD\"") {
                let text = frame.v1_text(1);
                assert!(text.starts_with("{\"type\":\"SNAPSHOT\""));
                assert!(text.contains(&format!(",\"ts\":{},\"seq\":1}}", frame.ts)));
                top = frame;
                moved += 1;
            }
        }
        while let Ok(frame) = books.try_recv() {
            sequence += 1;
            follower.apply(&frame, sequence);
        }
        let best = [
            follower.sides[0].last_key_value().unwrap(),
            follower.sides[1].first_key_value().unwrap(),
        ];
        let data: Value = serde_json::from_str(&top.data).unwrap();
        assert_eq!(data["d"], "1");
        for (name, (price, size)) in ["b", "a"].iter().zip(best) {
            let level = &data[*name][0];
            let nano = |key: &str| {
                let text = level[key].as_str().unwrap();
                Decimal::parse(text).unwrap().to_nano().unwrap()
            };
            assert_eq!((nano("p"), nano("q")), (*price, *size), "{ms} ms");
        }
    }
    assert!(moved > 30, "{moved}");
}

#[test]
fn minute_snapshots_come_one_market_after_the_other() {
    let desk = open();
    let (_, mut books) = desk.join(Topic::Book(None));
    let (_, mut rates) = desk.join(Topic::Funding(None));
    let mut seen = Vec::new();
    for second in 1..=121 {
        let until = desk.opened.plus(second * SECOND);
        while desk.floor.play(until) <= until {}
        while let Ok(frame) = books.try_recv() {
            if frame.kind == frame::Kind::Snapshot {
                let data: Value = serde_json::from_str(&frame.data).unwrap();
                seen.push((second, data["m"].as_str().unwrap().to_string()));
            }
        }
    }
    let at = |second, name: &str| (second, name.to_string());
    let (btc, eth) = ("BTC-USD", "ETH-USD");
    let wanted = [at(30, btc), at(60, eth), at(90, btc), at(120, eth)];
    assert_eq!(seen, wanted);
    let told = std::iter::from_fn(|| rates.try_recv().ok());
    assert_eq!(told.count(), 4);
}

/// Every member the capture has, ours has, with the same JSON type.
fn covers(ours: &Value, theirs: &Value, path: &str) {
    match (ours, theirs) {
        (Value::Object(mine), Value::Object(captured)) => {
            for (name, value) in captured {
                let here = format!("{path}.{name}");
                let own = mine
                    .get(name)
                    .unwrap_or_else(|| panic!("{here} is missing"));
                covers(own, value, &here);
            }
        }
        (Value::Array(mine), Value::Array(captured)) => {
            if let (Some(own), Some(value)) = (mine.first(), captured.first()) {
                covers(own, value, path);
            }
        }
        (Value::String(_), Value::String(_))
        | (Value::Number(_), Value::Number(_))
        | (Value::Bool(_), Value::Bool(_)) => {}
        _ => panic!("{path}: {ours} is not like {theirs}"),
    }
}

#[test]
fn what_we_say_looks_like_the_captures() {
    let desk = open();
    // Several seconds, so that every topic has something to say.
    let topics = [
        ("v1.orderbook.snapshot", Topic::Book(Some(BTC))),
        ("v1.orderbook.depth1", Topic::Touch(Some(BTC))),
        ("v1.trades", Topic::Trades(Some(BTC))),
        ("v1.mark", Topic::Mark(Some(BTC))),
        ("rpc2.prices.index", Topic::Index(Some(BTC))),
        ("v1.account.balance", Topic::Account),
    ];
    let deltas = desk.join(Topic::Book(Some(BTC)));
    pass(&desk, 4_000);
    let mut ours: BTreeMap<&str, Value> = BTreeMap::new();
    for (kind, topic) in topics {
        for frame in desk.join(topic).0 {
            let text = match kind.starts_with("rpc2") {
                true => frame.v2_text(0, "prices.index.BTC-USD"),
                false => frame.v1_text(1),
            };
            let message: Value = serde_json::from_str(&text).unwrap();
            let is_balance = message["data"].get("balance").is_some();
            if !kind.ends_with("balance") || is_balance {
                ours.insert(kind, message);
            }
        }
    }
    let (_, mut frames) = deltas;
    let text = std::iter::from_fn(|| frames.try_recv().ok())
        .map(|frame| frame.v1_text(2))
        .find(|text| text.contains("\"b\":[{"))
        .unwrap();
    ours.insert("v1.orderbook.delta", serde_json::from_str(&text).unwrap());
    for (kind, target) in [
        ("rest.markets", "/info/markets?market=BTC-USD"),
        ("rest.stats", "/info/markets/BTC-USD/stats"),
        ("rest.orderbook", "/info/markets/BTC-USD/orderbook"),
        ("rest.trades", "/info/markets/BTC-USD/trades"),
        ("rest.assets", "/info/assets"),
        ("rest.balance", "/user/balance"),
        ("rest.fees", "/user/fees?market=BTC-USD"),
        ("rest.leverage", "/user/leverage"),
    ] {
        ours.insert(kind, ask(&desk, "GET", target, &Value::Null).1);
    }
    let text = include_str!("../../../tests/data/extended/extended_messages.jsonl");
    let mut compared = 0;
    for line in text.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        // The documentation's examples are older than what is live.
        let captured = line["source"].as_str().unwrap().starts_with("capture")
            || line["source"].as_str().unwrap().starts_with("example");
        let kind = line["kind"].as_str().unwrap();
        if let (true, Some(own)) = (captured, ours.get(kind)) {
            covers(own, &line["message"], kind);
            compared += 1;
        }
    }
    assert!(compared >= 15, "{compared}");
}

#[test]
fn settlement_ids_are_the_live_ones() {
    let desk = open();
    let btc = desk.listing("BTC-USD").unwrap().assets;
    let live = parse_hex("0x4254432d3600000000000000000000").unwrap();
    assert_eq!(
        (btc.synthetic_id, btc.synthetic_resolution),
        (live, 1_000_000)
    );
}

#[test]
fn numbers_are_spelled_as_the_venue_does() {
    assert_eq!(padded(84_052_000_000_000, 1), "84052.0");
    assert_eq!(padded(84_052_000_000_000, 0), "84052");
    assert_eq!(padded(200_000, 5), "0.00020");
    assert_eq!(padded(-50_000, 5), "-0.00005");
    assert_eq!(padded(58_853_400_000_000, 16), "58853.4000000000000000");
    assert_eq!(padded(123_456_789, 2), "0.123456789");
    assert_eq!(money(Notional::from_usd(-3), 6), "-3.000000");
    assert_eq!(money(Notional(1_234_567_890_123), 6), "0.000001");
    let usd = Notional::from_usd;
    assert_eq!(ratio(usd(1), usd(3), 4), "0.3333");
    assert_eq!(ratio(usd(0), usd(3), 4), "0");
    assert_eq!(ratio(usd(1), usd(0), 4), "0");
}

#[test]
fn query_filters_repeat_and_escape() {
    let query = Query::parse("market=A&market=B%2DC&side=");
    assert_eq!(query.all("market").collect::<Vec<_>>(), ["A", "B-C"]);
    assert!(query.lets("market", "B-C") && !query.lets("market", "D"));
    assert!(query.lets("type", "anything"));
    assert_eq!(query.one("side"), Some(""));
    assert_eq!(Query::parse("a=%zz&b=%2").one("a"), Some("%zz"));
}

#[test]
fn a_seed_gives_one_account() {
    let one = Credentials::from_seed(1);
    assert_eq!(one.private_key, Credentials::from_seed(1).private_key);
    assert_ne!(one.private_key, Credentials::from_seed(2).private_key);
    let key = parse_hex(&one.private_key).unwrap();
    assert_eq!(
        format!("{:#x}", settlement::public_key(&key)),
        one.public_key
    );
    assert_eq!(one.api_key.len(), 32);
}
