//! The order side as a whole: requests, answers, the account stream.

use super::lanes::{ANSWER_NS_MAX, WARM_NS};
use super::tests_rig::*;
use super::*;
use crate::market::units::{Notional, Price, SECOND};
use crate::venue::extended::sign::hash::{Chain, OrderTerms};
use crate::venue::extended::sign::{BATCH, Felt, PointMaker, Signature, parse_felt, verify};
use proptest::prelude::*;
use serde_json::Value;

#[test]
fn an_order_is_signed_for_what_its_body_says() {
    let mut rig = Rig::live();
    let lane = rig.place(77);
    let text = std::str::from_utf8(rig.out.payload(&rig.out.items()[0])).unwrap();
    assert!(text.contains("\r\nX-Api-Key: the-key\r\n"));
    let body: Value = serde_json::from_str(text.split_once("\r\n\r\n").unwrap().1).unwrap();
    let number = |name: &str| body[name].as_str().unwrap().parse::<u64>().unwrap();
    let expiry_ms = body["expiryEpochMillis"].as_u64().unwrap();
    assert_eq!(expiry_ms, 1_790_000_061_000);
    let key = StarkKey::parse_hex(KEY).unwrap();
    // The hash is made from the body alone, as the venue does.
    let hash = OrderHasher::new(Chain::Main, key.public_key(), 10_002).order_hash(&OrderTerms {
        base_asset: parse_felt("0x4254432d3600000000000000000000").unwrap(),
        base_amount: 1000,
        quote_asset: Felt::ONE,
        quote_amount: -84_050_000,
        fee_amount: 21_013,
        expiration_s: expiry_ms / 1000 + 1_209_600,
        salt: number("nonce"),
    });
    let signature = &body["settlement"]["signature"];
    let part = |name: &str| parse_felt(signature[name].as_str().unwrap()).unwrap();
    let signature = Signature {
        r: part("r"),
        s: part("s"),
    };
    assert!(verify(key.public_key(), hash, &signature));
    assert_eq!(body["qty"], "0.001");
    assert_eq!(body["fee"], "0.00025");
    assert_eq!(body["id"], "px-77");
    assert!((1..=2).contains(&lane));
}

#[test]
fn a_point_is_taken_for_a_signature_and_for_nothing_else() {
    let mut rig = Rig::live();
    let mut maker = PointMaker::new(&StarkKey::parse_hex(KEY).unwrap());
    let mut points = maker.prepare().unwrap().into_iter();
    for (action, left) in [
        (Action::Query, BATCH),
        (Action::Place, BATCH - 1),
        (Action::Place, BATCH - 2),
    ] {
        let order = rig.order(action, 1);
        let signing = match action {
            Action::Place => Signing::Ahead,
            Action::Query | Action::Cancel => Signing::Unsigned,
        };
        let signed = rig.orders.sign(&order, rig.now, || points.next());
        assert_eq!((signed, points.len()), (Ok(signing), left));
    }
    let off_grid = Order {
        price: Price(1),
        ..rig.order(Action::Place, 1)
    };
    let refused = rig.orders.sign(&off_grid, rig.now, || points.next());
    assert_eq!(refused, Err(Refusal::OffGrid));
    assert_eq!(points.len(), BATCH - 2, "a refusal costs no point");
    let order = rig.order(Action::Place, 1);
    assert_eq!(rig.orders.sign(&order, rig.now, || None), Ok(Signing::Full));
}

#[test]
fn an_acknowledgement_is_not_a_fill() {
    let mut rig = Rig::live();
    let lane = rig.place(77);
    let reply = r#"{"status":"OK","data":{"id":1791389621914243072,"externalId":"px-77"}}"#;
    assert_eq!(rig.say(lane, 200, reply), FrameKind::Control);
    assert_eq!(rig.kinds(), [ReportKind::Acknowledged]);
    // A trade without our own id is explained by the venue's.
    let trade = trade_json(5, "").replace("9223372036854775808", "1791389621914243072");
    rig.tell(&format!(r#"{{"trades":[{trade}]}}"#));
    assert_eq!(rig.reports.items()[0].order, OrderId(77));
    let ReportKind::Fill {
        size, fee, price, ..
    } = rig.kinds()[0]
    else {
        panic!("a fill");
    };
    assert_eq!((size.0, price.0), (1_000_000, 84_049_000_000_000));
    assert_eq!(fee, Notional::from_nano(21_012_250));
}

#[test]
fn refusals_and_silences_are_told_apart() {
    let reject = |code: &str| format!(r#"{{"status":"ERROR","error":{{"code":{code}}}}}"#);
    let rejected = |code| Some(ReportKind::Rejected { code });
    let unknown = Some(state(OrderState::Unknown, 0));
    for (status, body, expected) in [
        (400, reject("1140"), rejected(1140)),
        (200, reject("1101"), rejected(1101)),
        (503, reject("1010"), rejected(1010)),
        (404, reject("\"NOT_FOUND\""), rejected(404)),
        (429, reject("429"), rejected(429)),
        (429, String::new(), unknown),
        (429, "<html>".to_owned(), unknown),
        (405, String::new(), unknown),
        (405, r#"{"status":"ERROR"}"#.to_owned(), unknown),
        (403, r#"{"error":{"code":403}}"#.to_owned(), unknown),
        (404, "<html>".to_owned(), unknown),
        (502, reject("422"), unknown),
        (400, reject("1134"), unknown),
        (500, reject("500"), unknown),
        (400, reject("1006"), unknown),
        (503, "<html>".to_owned(), unknown),
        (200, "<html>".to_owned(), unknown),
        (403, "<html>".to_owned(), unknown),
        (500, r#"{"status":"OK"}"#.to_owned(), unknown),
        (204, String::new(), Some(ReportKind::Acknowledged)),
    ] {
        let mut rig = Rig::live();
        let lane = rig.place(77);
        rig.say(lane, status, &body);
        assert_eq!(rig.kinds().first().copied(), expected, "{status} {body}");
    }
}

#[test]
fn after_too_many_requests_entries_wait_and_exits_slow_down() {
    let mut rig = Rig::live();
    let lane = rig.place(77);
    rig.say(lane, 429, "");
    let entry = rig.order(Action::Place, 78);
    assert_eq!(rig.send(&entry), Err(Refusal::RateBudget));
    let cancel = rig.order(Action::Cancel, 77);
    let lane = rig.send(&cancel).unwrap();
    rig.say(lane, 502, "");
    let exit = |number| Order {
        id: OrderId(number),
        reduce_only: true,
        ..entry
    };
    let lane = rig.send(&exit(78)).unwrap();
    rig.say(lane, 502, "");
    assert_eq!(rig.send(&exit(79)), Err(Refusal::RateBudget));
    rig.now = rig.now.plus(SECOND / 2);
    let lane = rig.send(&exit(79)).unwrap();
    // It takes requests again: a lone leg need not wait, entries still do.
    rig.agree(lane);
    let lane = rig.send(&exit(80)).unwrap();
    rig.agree(lane);
    assert_eq!(rig.send(&entry), Err(Refusal::RateBudget));
}

#[test]
fn the_stream_may_be_faster_than_the_answer() {
    let mut rig = Rig::live();
    let lane = rig.place(77);
    let order = order_json("px-77", "FILLED", "0.0010000000000000");
    rig.tell(&format!(r#"{{"orders":[{order}]}}"#));
    assert_eq!(rig.kinds(), [state(OrderState::Filled, 1_000_000)]);
    // The answer gets lost: what the stream said stands.
    rig.link(lane, false);
    assert_eq!(rig.kinds(), [state(OrderState::Filled, 1_000_000)]);
}

#[test]
fn row_21_filled_size_decides_not_the_status() {
    for (status, filled, expected) in [
        ("CANCELLED", "0.0004", state(OrderState::Cancelled, 400_000)),
        ("FILLED", "0.0004", state(OrderState::Cancelled, 400_000)),
        ("REJECTED", "0.0004", state(OrderState::Cancelled, 400_000)),
        ("REJECTED", "0", state(OrderState::Rejected, 0)),
        ("EXPIRED", "0", state(OrderState::Cancelled, 0)),
        (
            "PARTIALLY_FILLED",
            "0.0004",
            state(OrderState::Working, 400_000),
        ),
        ("SOMETHING_NEW", "0", state(OrderState::Unknown, 0)),
    ] {
        let mut rig = Rig::live();
        rig.place(77);
        let order = order_json("px-77", status, filled);
        rig.tell(&format!(r#"{{"orders":[{order}]}}"#));
        assert_eq!(rig.kinds(), [expected], "{status}");
    }
}

#[test]
fn a_lost_answer_is_unknown_until_asked() {
    let mut rig = Rig::live();
    let lane = rig.place(77);
    rig.beat_after(ANSWER_NS_MAX);
    assert_eq!(rig.kinds(), []);
    rig.out.clear();
    rig.beat_after(1);
    assert_eq!(rig.kinds(), [state(OrderState::Unknown, 0)]);
    assert_eq!(rig.reconnects(), [lane]);
    // A late answer on the given-up connection explains nothing.
    assert_eq!(rig.say(lane, 200, r#"{"status":"OK"}"#), FrameKind::Unknown);
    let asked = rig.query(77);
    assert_ne!(asked, lane);
    let order = order_json("px-77", "CANCELLED", "0.0003");
    rig.say(
        asked,
        200,
        &format!(r#"{{"status":"OK","data":[{order}]}}"#),
    );
    assert_eq!(rig.kinds(), [state(OrderState::Cancelled, 300_000)]);
}

#[test]
fn row_25_absent_is_certain_only_after_a_while() {
    let absent = [
        (404, r#"{"status":"ERROR","error":{"code":404}}"#),
        (404, ""),
        (200, r#"{"status":"OK","data":[]}"#),
    ];
    for (status, body) in absent {
        let mut rig = Rig::live();
        let lane = rig.place(77);
        rig.say(lane, 502, "");
        let lane = rig.query(77);
        rig.say(lane, status, body);
        let unknown = state(OrderState::Unknown, 0);
        assert_eq!(rig.kinds(), [unknown, unknown], "{body}");
        rig.now = rig.now.plus(3 * SECOND);
        let lane = rig.query(77);
        rig.say(lane, status, body);
        assert_eq!(rig.kinds(), [state(OrderState::Rejected, 0)], "{body}");
    }
}

#[test]
fn a_query_that_fails_leaves_it_unknown() {
    let other = format!(
        r#"{{"status":"OK","data":[{}]}}"#,
        order_json("px-78", "FILLED", "0.001")
    );
    for (status, body) in [
        (500, ""),
        (200, "<html>"),
        (200, other.as_str()),
        (401, "{}"),
    ] {
        let mut rig = Rig::live();
        let lane = rig.place(77);
        rig.say(lane, 502, "");
        rig.now = rig.now.plus(10 * SECOND);
        let lane = rig.query(77);
        rig.kinds();
        rig.say(lane, status, body);
        assert_eq!(
            rig.kinds(),
            [state(OrderState::Unknown, 0)],
            "{status} {body}"
        );
    }
}

#[test]
fn connections_carry_one_request_at_a_time() {
    let mut rig = Rig::live();
    assert_ne!(rig.place(1), rig.place(2));
    let third = rig.order(Action::Place, 3);
    assert_eq!(rig.send(&third), Err(Refusal::Busy));
    rig.say(1, 200, r#"{"status":"OK"}"#);
    assert_eq!(rig.send(&third), Ok(1));
    rig.link(1, false);
    rig.link(2, false);
    assert_eq!(rig.send(&third), Err(Refusal::NotConnected));
    let kinds = rig.kinds();
    assert!(kinds.contains(&ReportKind::Down), "{kinds:?}");
}

#[test]
fn off_the_grid_is_refused_before_it_is_signed() {
    let mut rig = Rig::live();
    let good = rig.order(Action::Place, 1);
    let decimal = |text: &str| Size::parse(text.as_bytes()).unwrap();
    let price = |text: &str| Price::parse(text.as_bytes()).unwrap();
    for bad in [
        Order {
            size: decimal("0.000101234"),
            ..good
        },
        Order {
            size: decimal("0.00001"),
            ..good
        },
        Order {
            size: decimal("-0.001"),
            ..good
        },
        Order {
            price: price("84050.5"),
            ..good
        },
        Order {
            price: price("0"),
            ..good
        },
        Order {
            size: decimal("9000000000"),
            price: price("9000000000"),
            ..good
        },
    ] {
        assert_eq!(rig.send(&bad), Err(Refusal::OffGrid), "{bad:?}");
    }
    let elsewhere = Order {
        instrument: InstrumentId(5),
        ..good
    };
    assert_eq!(rig.send(&elsewhere), Err(Refusal::UnknownMarket));
    // A remainder may leave below the smallest size.
    let rest = Order {
        size: decimal("0.00001"),
        reduce_only: true,
        ..good
    };
    assert!(rig.send(&rest).is_ok());
}

#[test]
fn row_39_entries_leave_a_reserve_for_exits() {
    let mut rig = Rig::new(10);
    rig.link(1, true);
    for number in 0..8 {
        let lane = rig.place(number + 1);
        rig.say(lane, 200, r#"{"status":"OK"}"#);
    }
    let entry = rig.order(Action::Place, 9);
    assert_eq!(rig.send(&entry), Err(Refusal::RateBudget));
    let hedge = Order {
        t_tick: Nanos::ZERO,
        ..entry
    };
    assert!(rig.orders.sign(&hedge, rig.now, || None).is_ok());
    let exit = Order {
        reduce_only: true,
        ..entry
    };
    assert!(rig.send(&exit).is_ok());
}

#[test]
fn a_trade_is_booked_once_and_never_from_a_snapshot() {
    let mut rig = Rig::live();
    let trade = trade_json(5, r#""externalOrderId":"px-77","#);
    rig.tell(&format!(r#"{{"trades":[{trade}]}}"#));
    rig.tell(&format!(r#"{{"trades":[{trade}]}}"#));
    assert_eq!(rig.reports.items().len(), 1);
    let old = trade_json(6, r#""externalOrderId":"px-77","#);
    rig.tell(&format!(r#"{{"isSnapshot":true,"trades":[{old}]}}"#));
    rig.tell(&format!(r#"{{"trades":[{old}]}}"#));
    assert_eq!(rig.kinds().len(), 1);
}

#[test]
fn several_members_in_one_message() {
    let mut rig = Rig::live();
    let trade = trade_json(5, r#""externalOrderId":"px-77","#);
    let order = order_json("px-77", "FILLED", "0.001");
    let position = r#"{"market":"ETH-USD","side":"SHORT","size":"0.3"}"#;
    rig.tell(&format!(
        r#"{{"orders":[{order}],"trades":[{trade}],"positions":[{position}],
        "balance":{{"equity":"1.000001","availableForTrade":"-0.5"}}}}"#
    ));
    let kinds = rig.kinds();
    assert!(matches!(kinds[0], ReportKind::Fill { trade: 5, .. }));
    assert_eq!(kinds[1], state(OrderState::Filled, 1_000_000));
    let size = Size(-300_000_000);
    assert_eq!(kinds[2], ReportKind::Position { size });
    let equity = Notional::from_nano(1_000_001_000);
    let available = Notional::from_nano(-500_000_000);
    assert_eq!(kinds[3], ReportKind::Balance { equity, available });
}

#[test]
fn a_position_tells_its_place_in_the_queue() {
    let mut rig = Rig::live();
    for (adl, rank) in [
        ("4", Some(4)),
        ("1", Some(1)),
        ("5", Some(0)),
        ("\"2.5\"", None),
    ] {
        rig.tell(&format!(
            r#"{{"positions":[{{"market":"BTC-USD","side":"LONG","size":"0.2","adl":{adl}}}]}}"#
        ));
        let rank = rank.map(|rank| ReportKind::Queue { rank });
        let position = ReportKind::Position {
            size: Size(200_000_000),
        };
        let expected: Vec<_> = std::iter::once(position).chain(rank).collect();
        assert_eq!(rig.kinds(), expected, "{adl}");
    }
}

#[test]
fn a_position_snapshot_names_every_market() {
    let mut rig = Rig::live();
    rig.link(0, false);
    rig.link(0, true);
    rig.kinds();
    let position = r#"{"market":"BTC-USD","side":"LONG","size":"0.2"}"#;
    rig.tell(&format!(
        r#"{{"isSnapshot":true,"positions":[{position}]}}"#
    ));
    let told: Vec<_> = rig.reports.items().iter().map(|r| r.instrument).collect();
    assert_eq!(told, [BTC, ETH]);
    let (long, flat) = (Size(200_000_000), Size::ZERO);
    let expected = [long, flat].map(|size| ReportKind::Position { size });
    assert_eq!(rig.kinds(), expected);
    rig.tell(
        r#"{"positions":[{"market":"BTC-USD","side":"LONG","size":"0.2","status":"CLOSED"}]}"#,
    );
    assert_eq!(rig.kinds(), [ReportKind::Position { size: flat }]);
}

#[test]
fn a_break_in_the_stream_is_down_at_once() {
    for break_it in [
        |rig: &mut Rig| {
            rig.sequence += 1;
            rig.tell("{}")
        },
        |rig: &mut Rig| rig.say(0, 0, "nonsense"),
        |rig: &mut Rig| rig.say(0, 0, r#"{"error":"gone"}"#),
        |rig: &mut Rig| rig.tell(r#"{"trades":[{"id":"x"}]}"#),
    ] {
        let mut rig = Rig::live();
        rig.out.clear();
        let kind = break_it(&mut rig);
        assert!(matches!(kind, FrameKind::Gap | FrameKind::Malformed));
        assert_eq!(rig.kinds(), [ReportKind::Down]);
        assert_eq!(rig.reconnects(), [0]);
        // What still arrives is not believed.
        assert_eq!(
            rig.tell(r#"{"isSnapshot":true,"orders":[]}"#),
            FrameKind::Unknown
        );
    }
}

#[test]
fn orders_that_ended_in_a_gap_are_unknown() {
    let mut rig = Rig::live();
    let lane = rig.place(77);
    rig.say(lane, 200, r#"{"status":"OK"}"#);
    rig.link(0, false);
    rig.now = rig.now.plus(SECOND);
    rig.link(0, true);
    rig.kinds();
    rig.tell(r#"{"isSnapshot":true,"orders":[]}"#);
    assert_eq!(rig.kinds(), [state(OrderState::Unknown, 0)]);
}

#[test]
fn a_stream_that_never_speaks_is_given_up() {
    let mut rig = Rig::new(1000);
    rig.link(0, true);
    rig.beat_after(10 * SECOND + 1);
    assert_eq!(rig.reconnects(), [0]);
}

#[test]
fn idle_connections_are_kept_warm_one_at_a_time() {
    let mut rig = Rig::live();
    rig.out.clear();
    rig.beat_after(WARM_NS);
    rig.beat_after(1);
    assert_eq!(rig.out.items().len(), 1);
    let lane = rig.out.items()[0].lane;
    assert_eq!(
        rig.say(lane, 200, r#"{"status":"OK","data":{}}"#),
        FrameKind::Control
    );
    rig.beat_after(1);
    assert_eq!(rig.out.items().len(), 2);
    assert_ne!(rig.out.items()[1].lane, lane);
    assert_eq!(rig.kinds(), []);
}

#[test]
fn an_order_that_did_not_fit_never_left() {
    let mut rig = Rig::live();
    rig.out = Outbox::new(16, 4);
    let order = rig.order(Action::Place, 7);
    assert!(rig.orders.sign(&order, rig.now, || None).is_ok());
    rig.orders.encode(rig.now, &mut rig.out);
    rig.beat_after(1);
    let why = Refusal::Busy;
    assert_eq!(rig.kinds(), [ReportKind::NotSent { why }]);
}

#[test]
fn a_cancel_that_fails_says_what_is_known() {
    let mut rig = Rig::live();
    let lane = rig.place(77);
    rig.say(lane, 200, r#"{"status":"OK"}"#);
    rig.kinds();
    let cancel = rig.order(Action::Cancel, 77);
    let lane = rig.send(&cancel).unwrap();
    rig.say(lane, 200, r#"{"status":"OK"}"#);
    assert_eq!(rig.kinds(), []);
    let lane = rig.send(&cancel).unwrap();
    rig.say(lane, 404, r#"{"status":"ERROR","error":{"code":1142}}"#);
    assert_eq!(rig.kinds(), [state(OrderState::Unknown, 0)]);
}

proptest! {
    #[test]
    fn any_bytes_are_survived(
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
        lane in 0_usize..5,
        status in any::<u16>(),
    ) {
        let mut rig = Rig::live();
        rig.place(77);
        let mut bytes = bytes;
        let (reports, out) = (&mut rig.reports, &mut rig.out);
        rig.orders.on_message(lane, status, &mut bytes, rig.now, reports, out);
    }

    /// Damaged messages of the real shape: any answer, never a panic.
    #[test]
    fn damaged_messages_are_survived(
        at in 0_usize..400,
        byte in any::<u8>(),
        http in any::<bool>(),
    ) {
        let mut rig = Rig::live();
        let lane = rig.place(77);
        let order = order_json("px-77", "FILLED", "0.001");
        let trade = trade_json(5, "");
        let text = match http {
            true => format!(r#"{{"status":"OK","data":[{order}]}}"#),
            false => format!(r#"{{"data":{{"trades":[{trade}],"orders":[{order}]}},"seq":4}}"#),
        };
        let mut bytes = text.into_bytes();
        let idx = at % bytes.len();
        bytes[idx] = byte;
        let (reports, out) = (&mut rig.reports, &mut rig.out);
        let lane = if http { lane } else { 0 };
        rig.orders.on_message(lane, 200, &mut bytes, rig.now, reports, out);
    }
}
