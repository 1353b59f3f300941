//! What each fault of orders and of the account does at Extended's door and on its account stream,
//! by a clock in the hand; and that REST tells the truth all the while.

use super::frame::{Frame, Kind, Topic};
use super::tests::{BTC, altered, ask, best, get, open_with, pass};
use super::*;
use crate::market::book::Side;
use crate::market::units::{Price, Size};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Seeds enough for every variant of a fault to come up.
const SEEDS: u64 = 24;

/// An order that would fill at once.
fn order(desk: &Desk, side: &'static str, qty: &str, nonce: u64) -> Value {
    let tick = desk.market(BTC).rules.tick;
    let price = match side {
        "BUY" => Price(best(desk, Side::Ask).0 / 100 * 101),
        _ => Price(best(desk, Side::Bid).0 / 100 * 99),
    };
    altered(
        desk,
        |d| {
            (d.side, d.qty, d.nonce) = (side, qty.into(), nonce);
            d.price = price.floor_to(tick).to_string();
        },
        |b| b["timeInForce"] = "IOC".into(),
    )
}

/// How often a kind happened.
fn done(desk: &Desk, name: &str) -> u64 {
    let all = desk.floor.faults().unwrap().done().into_iter();
    let mut named = all.filter(|(kind, _)| kind.name() == name);
    named.next().expect("the kind was asked for").1
}

/// The error code of an answer; 0 for none.
fn code(answer: &(u16, Value)) -> u64 {
    answer.1["error"]["code"].as_u64().unwrap_or(0)
}

fn held(desk: &Desk) -> Size {
    desk.floor.look(|exchange| exchange.position(BTC).size)
}

/// By own id, as a client asks after a lost answer.
fn by_own_id(desk: &Arc<Desk>, order: &Value) -> (u16, Value) {
    let id = order["id"].as_str().unwrap();
    let target = format!("/user/orders/external/{id}");
    let (status, reply) = ask(desk, "GET", &target, &Value::Null);
    (status, reply["data"].get(0).cloned().unwrap_or_default())
}

/// A reader of the account stream.
struct Reader(crate::sim::server::rt::broadcast::Receiver<Frame>);

impl Reader {
    fn new(desk: &Desk) -> Reader {
        Reader(desk.join(Topic::Account).1)
    }

    /// What came since the last look: kind and rows.
    fn read(&mut self) -> Vec<(Kind, Value)> {
        let mut all = Vec::new();
        while let Ok(frame) = self.0.try_recv() {
            all.push((frame.kind, serde_json::from_str(&frame.data).unwrap()));
        }
        all
    }
}

fn kinds(frames: &[(Kind, Value)]) -> Vec<Kind> {
    frames.iter().map(|(kind, _)| *kind).collect()
}

/// Lets the venue run ahead of the clock.
fn run(desk: &Desk, seconds: u64) {
    let until = desk.floor.now().plus(seconds * SECOND);
    while desk.floor.play(until) <= until {}
}

const WHOLE: [Kind; 4] = [Kind::Order, Kind::Trade, Kind::Position, Kind::Balance];

#[test]
fn a_rejected_order_has_a_code_of_the_venue_and_the_next_one_is_taken() {
    let mut codes = BTreeSet::new();
    for seed in 0..SEEDS {
        let desk = open_with(Some(("reject:extended:BTC@0", seed)));
        let refused = order(&desk, "BUY", "0.001", 1);
        let answer = ask(&desk, "POST", "/user/order", &refused);
        assert_eq!(answer.0, 400);
        codes.insert(code(&answer));
        assert_eq!(by_own_id(&desk, &refused).0, 404);
        assert_eq!(done(&desk, "reject"), 1);
        // The same order again: a refused one is as if it had never been.
        assert_eq!(ask(&desk, "POST", "/user/order", &refused).0, 200);
    }
    assert_eq!(codes, BTreeSet::from([1006, 1126, 1127, 1141, 1147]));
}

#[test]
fn an_order_that_is_no_order_is_no_opportunity() {
    let desk = open_with(Some(("reject:extended:BTC@0", 1)));
    let large = order(&desk, "BUY", "20", 1);
    assert_eq!(code(&ask(&desk, "POST", "/user/order", &large)), 1140);
    assert_eq!(done(&desk, "reject"), 0);
}

#[test]
fn a_dropped_order_is_not_found_or_rejected_and_never_told() {
    let mut ends = BTreeSet::new();
    for seed in 0..SEEDS {
        let desk = open_with(Some(("drop:extended:BTC@0", seed)));
        let mut reader = Reader::new(&desk);
        let lost = order(&desk, "BUY", "0.001", 1);
        let (status, reply) = ask(&desk, "POST", "/user/order", &lost);
        assert_eq!((status, &reply["data"]["externalId"]), (200, &lost["id"]));
        pass(&desk, 50);
        let (status, row) = by_own_id(&desk, &lost);
        ends.insert((status, row["status"].as_str().map(str::to_owned)));
        assert_eq!(reader.read(), []);
        assert_eq!(held(&desk), Size::ZERO);
        assert_eq!(get(&desk, "/user/orders"), json!([]));
        assert_eq!(done(&desk, "drop"), 1);
        // Its id is used up all the same.
        assert_eq!(code(&ask(&desk, "POST", "/user/order", &lost)), 1134);
    }
    let rejected = (200, Some("REJECTED".to_owned()));
    assert_eq!(ends, BTreeSet::from([(404, None), rejected]));
}

#[test]
fn a_partial_fill_leaves_what_the_book_would_have_given() {
    for seed in 0..SEEDS {
        let desk = open_with(Some(("partial:extended:BTC@0", seed)));
        let mut reader = Reader::new(&desk);
        let part = order(&desk, "BUY", "0.01", 1);
        ask(&desk, "POST", "/user/order", &part);
        assert_eq!(done(&desk, "partial"), 0, "not before it matched");
        pass(&desk, 50);
        let (_, row) = by_own_id(&desk, &part);
        assert_eq!(row["status"], "CANCELLED");
        let filled = Size::parse(row["filledQty"].as_str().unwrap().as_bytes()).unwrap();
        let most = Size::parse(b"0.01").unwrap();
        assert!(filled > Size::ZERO && filled < most, "{row}");
        assert_eq!(held(&desk), filled);
        assert_eq!(
            reader.read()[0].1["orders"][0]["filledQty"],
            row["filledQty"]
        );
        assert_eq!(done(&desk, "partial"), 1);
    }
}

#[test]
fn a_partial_fill_waits_for_an_order_that_fills() {
    let desk = open_with(Some(("partial:extended:BTC@0", 1)));
    // One lot can't be parted, and an order far from the book does not fill.
    let lot = order(&desk, "BUY", "0.0001", 1);
    let far = altered(&desk, |d| d.nonce = 2, |b| b["timeInForce"] = "IOC".into());
    for (idle, after_ms) in [(&far, 50), (&lot, 100)] {
        assert_eq!(ask(&desk, "POST", "/user/order", idle).0, 200);
        pass(&desk, after_ms);
    }
    let waits = done(&desk, "partial") == 0;
    let parted = held(&desk) < Size::parse(b"0.0001").unwrap();
    assert_eq!(waits, !parted);
    assert_eq!(by_own_id(&desk, &far).1["filledQty"], "0.00000");
}

#[test]
fn a_late_fill_is_true_at_once_and_told_within_four_seconds() {
    let mut firsts = BTreeSet::new();
    for seed in 0..SEEDS {
        let desk = open_with(Some(("late-fill:extended:BTC@0", seed)));
        let mut reader = Reader::new(&desk);
        let late = order(&desk, "BUY", "0.001", 1);
        ask(&desk, "POST", "/user/order", &late);
        pass(&desk, 50);
        let first = reader.read();
        firsts.insert(kinds(&first).len());
        assert!(kinds(&first).iter().all(|kind| *kind == Kind::Order));
        assert_eq!(by_own_id(&desk, &late).1["status"], "FILLED");
        assert_eq!(get(&desk, "/user/positions")[0]["size"], "0.00100");
        assert_eq!(get(&desk, "/user/trades").as_array().unwrap().len(), 1);
        // Who comes now is shown the truth, and never the held frames.
        let (opening, _) = desk.join(Topic::Account);
        assert!(opening[2].data.contains("0.00100"));
        run(&desk, 5);
        let all = [first, reader.read()].concat();
        assert_eq!(kinds(&all), WHOLE);
        assert_eq!(done(&desk, "late-fill"), 1);
    }
    assert_eq!(firsts, BTreeSet::from([0, 1]), "with and without the order");
}

#[test]
fn news_are_told_twice() {
    let desk = open_with(Some(("twice:extended:BTC@0", 3)));
    let mut reader = Reader::new(&desk);
    ask(
        &desk,
        "POST",
        "/user/order",
        &order(&desk, "BUY", "0.001", 1),
    );
    pass(&desk, 50);
    let frames = reader.read();
    assert_eq!(kinds(&frames), [WHOLE, WHOLE].concat());
    assert_eq!(frames[..4], frames[4..]);
    assert_eq!(done(&desk, "twice"), 1);
    assert_eq!(held(&desk), Size::parse(b"0.001").unwrap());
}

#[test]
fn a_cancelled_order_turns_out_to_be_filled() {
    for seed in 0..SEEDS {
        let desk = open_with(Some(("fill-after-cancel:extended:BTC@0", seed)));
        let mut reader = Reader::new(&desk);
        let lied = order(&desk, "BUY", "0.001", 1);
        ask(&desk, "POST", "/user/order", &lied);
        pass(&desk, 50);
        let first = reader.read();
        assert_eq!(kinds(&first), [Kind::Order]);
        let row = &first[0].1["orders"][0];
        assert_eq!(
            (&row["status"], &row["filledQty"]),
            (&"CANCELLED".into(), &"0.00000".into())
        );
        assert_eq!(by_own_id(&desk, &lied).1["status"], "FILLED");
        run(&desk, 5);
        let then = reader.read();
        assert_eq!(kinds(&then), WHOLE);
        assert_eq!(then[0].1["orders"][0]["status"], "FILLED");
        assert_eq!(done(&desk, "fill-after-cancel"), 1);
    }
}

#[test]
fn margin_is_refused_at_the_door_or_at_the_match() {
    let mut ends = BTreeSet::new();
    for seed in 0..SEEDS {
        let desk = open_with(Some(("margin:extended:BTC@0", seed)));
        let poor = order(&desk, "BUY", "0.001", 1);
        let answer = ask(&desk, "POST", "/user/order", &poor);
        pass(&desk, 50);
        let reason = by_own_id(&desk, &poor).1["statusReason"].take();
        ends.insert((code(&answer), reason.to_string()));
        assert_eq!(held(&desk), Size::ZERO);
        assert_eq!(done(&desk, "margin"), 1);
    }
    let reason = "\"NOT_ENOUGH_FUNDS\"".to_owned();
    assert_eq!(ends, BTreeSet::from([(1140, "null".into()), (0, reason)]));
}

#[test]
fn maintenance_refuses_orders_and_cancels_and_lets_read() {
    let desk = open_with(Some(("maintenance:extended@0", 1)));
    for nonce in 1..4 {
        let answer = ask(
            &desk,
            "POST",
            "/user/order",
            &order(&desk, "BUY", "0.001", nonce),
        );
        assert_eq!((answer.0, code(&answer)), (400, 1010));
    }
    let all = json!({"cancelAll": true});
    assert_eq!(
        code(&ask(&desk, "POST", "/user/order/massCancel", &all)),
        1010
    );
    assert_eq!(get(&desk, "/user/positions"), json!([]));
    assert_eq!(done(&desk, "maintenance"), 1, "one window");
}

#[test]
fn a_position_is_liquidated_or_deleveraged_at_mark() {
    for (kind, trade_type) in [("liquidation", "LIQUIDATION"), ("adl", "DELEVERAGE")] {
        let mut left = BTreeSet::new();
        for seed in 0..SEEDS {
            let desk = open_with(Some((&format!("{kind}:extended:BTC@0"), seed)));
            let mut reader = Reader::new(&desk);
            desk.floor.act(|_, _, _| {});
            assert_eq!(done(&desk, kind), 0, "there is no position");
            ask(
                &desk,
                "POST",
                "/user/order",
                &order(&desk, "BUY", "0.001", 1),
            );
            pass(&desk, 50);
            let trades = get(&desk, "/user/trades");
            assert_eq!(trades.as_array().unwrap().len(), 2);
            assert_eq!(trades[0]["tradeType"], trade_type);
            assert_eq!(trades[0]["side"], "SELL");
            let of_type = get(&desk, &format!("/user/trades?type={trade_type}"));
            assert_eq!(of_type.as_array().unwrap().len(), 1);
            let frames = reader.read();
            assert_eq!(kinds(&frames), [&WHOLE[..], &WHOLE[1..]].concat());
            assert_eq!(frames[4].1["trades"][0]["tradeType"], trade_type);
            left.insert(held(&desk) == Size::ZERO);
            let size = frames[5].1["positions"][0]["size"].as_str().unwrap();
            assert_eq!(Size::parse(size.as_bytes()).unwrap(), held(&desk));
            assert_eq!(done(&desk, kind), 1);
        }
        assert_eq!(left.len(), 2, "in part, and in whole");
    }
}
