//! Lighter's gateway when things go wrong: the rows of the list of failures, by number.

use crate::lighter::{ACCOUNT, Desk, NOW, channel_frame, order, setup, state, trade};
use parallax::market::InstrumentId;
use parallax::market::event::FrameKind;
use parallax::market::order::{Action, Force, Order, OrderState, Refusal, ReportKind};
use parallax::market::units::{Nanos, SECOND, Size};
use parallax::venue::Orders;
use parallax::venue::lighter::orders::{LighterOrders, SetupError};
use serde_json::{Value, json};

fn entry(id: u64) -> Order {
    Order {
        reduce_only: false,
        ..order(id, Action::Place)
    }
}

/// An order whose leg has traded: not an entry.
fn hedge(id: u64) -> Order {
    Order {
        t_tick: Nanos::ZERO,
        ..entry(id)
    }
}

fn accept(desk: &mut Desk, id: &str) {
    let answer = json!({"type": "jsonapi/sendtx", "code": 200, "id": id});
    desk.hear(0, &answer);
}

fn refuse(desk: &mut Desk, id: &str, code: u32) {
    desk.hear(
        0,
        &json!({"error": {"code": code, "message": ""}, "id": id}),
    );
}

fn nonce(text: &str) -> u64 {
    let tail = text.split_once("\"Nonce\":").unwrap().1;
    tail.split(',').next().unwrap().parse().unwrap()
}

/// What the beat wants sent, of what begins like this.
fn wanted(desk: &mut Desk, head: &str) -> Vec<String> {
    desk.beat(0);
    let texts = desk.sent().into_iter();
    texts.filter(|text| text.starts_with(head)).collect()
}

fn requests(desk: &mut Desk) -> Vec<String> {
    let requests = wanted(desk, "GET ").into_iter();
    let line = |text: String| text.split(" HTTP").next().unwrap()[4..].to_string();
    requests.map(line).collect()
}

fn row(id: u64, status: &str, filled: &str, us: u64) -> Value {
    json!({
        "market_index": 1, "client_order_index": id, "status": status,
        "filled_base_amount": filled, "transaction_time": us,
    })
}

const UNKNOWN: OrderState = OrderState::Unknown;

#[test]
fn row_15_a_lost_order_is_fenced_off_by_its_own_nonce() {
    let mut desk = Desk::live();
    desk.send(&entry(1)).unwrap();
    desk.beat(3);
    assert_eq!(desk.told(), [(1, state(UNKNOWN, b"0"))]);
    assert_eq!(desk.sent().len(), 1, "the question for the nonce");
    desk.hear(2, &json!({"code": 200, "nonce": 100}));
    let fences = wanted(&mut desk, "{\"type\":\"jsonapi/sendtx\"");
    assert_eq!(fences.len(), 1);
    assert!(
        fences[0].contains("\"id\":\"f1\",\"tx_type\":15,"),
        "{}",
        fences[0]
    );
    assert!(fences[0].contains("\"Index\":1,") && nonce(&fences[0]) == 100);
    assert_eq!(desk.told(), [], "nothing is concluded from the nonce alone");
    accept(&mut desk, "f1");
    assert_eq!(desk.told(), [(1, state(OrderState::Cancelled, b"0"))]);
    assert_eq!(nonce(&desk.send(&entry(2)).unwrap()), 101);

    // Refused: it was on its way, and arrived before the fence.
    desk.beat(3);
    desk.sent();
    desk.hear(2, &json!({"code": 200, "nonce": 101}));
    assert_eq!(wanted(&mut desk, "{\"type\":\"jsonapi/sendtx\"").len(), 1);
    refuse(&mut desk, "f2", 21_104);
    assert_eq!(desk.told(), [(2, state(UNKNOWN, b"0"))]);
    assert_eq!(desk.asked(), Some(5));
    desk.hear(2, &json!({"code": 200, "nonce": 102}));
    desk.send(&order(2, Action::Query)).unwrap();
    let path = "/api/v1/accountActiveOrders?account_index=516&market_id=1";
    assert_eq!(requests(&mut desk), [path]);
    assert_eq!(desk.told(), [], "the venue is asked first");
    desk.hear(2, &json!({"code": 200, "orders": [row(9, "open", "0", 5)]}));
    let path = "/api/v1/accountInactiveOrders?account_index=516&market_id=1&limit=100";
    assert_eq!(requests(&mut desk), [path]);
    let rows = [row(7, "canceled", "0", 9), row(2, "filled", "0.001", 8)];
    desk.hear(2, &json!({"code": 200, "orders": rows}));
    assert_eq!(desk.told(), [(2, state(OrderState::Filled, b"0.001"))]);
}

#[test]
fn row_15_a_late_acceptance_takes_the_nonce_back() {
    let mut desk = Desk::live();
    desk.send(&entry(1)).unwrap();
    desk.beat(3);
    desk.told();
    desk.orders.set_nonce(5, 100);
    accept(&mut desk, "1");
    assert_eq!(desk.told(), [(1, ReportKind::Acknowledged)]);
    assert_eq!(nonce(&desk.send(&entry(2)).unwrap()), 101);
    assert_eq!(wanted(&mut desk, "{\"type\":\"jsonapi/sendtx\"").len(), 0);
}

/// Found by random losses: two orders tried under one nonce, and the fence of the second takes it.
/// The second is refused for it, the first has to hear of a fence that is not its own.
#[test]
fn row_15_a_nonce_that_went_to_the_fence_of_another_proves_both_dead() {
    let mut desk = Desk::of(setup(&[5]));
    let sends = "{\"type\":\"jsonapi/sendtx\"";
    let unanswered = |desk: &mut Desk, nonce: &Value| {
        for lane in [0, 1] {
            desk.hear(lane, &json!({"type": "pong"}));
        }
        desk.beat(3);
        desk.hear(2, nonce);
    };
    let still = json!({"code": 200, "nonce": 100});
    desk.send(&order(1, Action::Place)).unwrap();
    unanswered(&mut desk, &still);
    assert!(wanted(&mut desk, sends)[0].contains("\"f1\""));
    // The connection breaks, and the fence never arrives.
    desk.link(0, false);
    desk.link(0, true);
    desk.hear(0, &json!({"type": "connected"}));
    assert_eq!(desk.asked(), Some(5));
    desk.hear(2, &still);
    assert_eq!(desk.told()[0], (1, state(UNKNOWN, b"0")));
    assert_eq!(nonce(&desk.send(&order(2, Action::Place)).unwrap()), 100);
    unanswered(&mut desk, &still);
    assert_eq!(desk.told(), [(2, state(UNKNOWN, b"0"))]);
    let fence = wanted(&mut desk, sends).remove(0);
    assert!(fence.contains("\"f2\"") && nonce(&fence) == 100);
    // Nobody answers the fence that arrives; what it overtook is refused late.
    unanswered(&mut desk, &json!({"code": 200, "nonce": 101}));
    refuse(&mut desk, "2", 21_104);
    assert_eq!(desk.told(), [(2, ReportKind::Rejected { code: 21_104 })]);
    assert!(wanted(&mut desk, sends).is_empty(), "nothing to fence");

    desk.send(&order(1, Action::Query)).unwrap();
    for list in ["accountActiveOrders", "accountInactiveOrders"] {
        assert!(requests(&mut desk)[0].contains(list));
        desk.hear(2, &json!({"code": 200, "orders": []}));
    }
    let mut names = Vec::new();
    let mut ask = |desk: &mut Desk| {
        let asked = requests(desk).remove(0);
        let name = asked.strip_prefix("/api/v1/tx?by=hash&value=").unwrap();
        assert!(!names.contains(&name.to_string()), "each is asked once");
        names.push(name.to_string());
    };
    // Its own, its fence, the other order.
    for _ in 0..3 {
        ask(&mut desk);
        let not_found = json!({"code": 21_500, "message": "transaction not found"});
        desk.hear_status(2, 400, not_found.to_string().into());
        assert_eq!(desk.told(), [], "not found is not never was");
    }
    ask(&mut desk);
    desk.hear(2, &json!({"code": 200, "event_info": "{\"ae\":\"\"}"}));
    assert_eq!(desk.told(), [(1, state(OrderState::Cancelled, b"0"))]);
}

/// Found by random losses: taken for each other, their answers moved the wrong nonces on.
#[test]
fn row_14_two_cancels_of_one_order_are_answered_apart() {
    let mut desk = Desk::of(setup(&[5, 6]));
    desk.send(&entry(1)).unwrap();
    accept(&mut desk, "1");
    let by = |slot: u8| format!("\"ApiKeyIndex\":{slot},");
    let first = desk.send(&order(1, Action::Cancel)).unwrap();
    let second = desk.send(&order(1, Action::Cancel)).unwrap();
    assert!(
        first.contains("\"c1.2\"") && first.contains(&by(6)),
        "{first}"
    );
    assert!(
        second.contains("\"c1.3\"") && second.contains(&by(5)),
        "{second}"
    );
    accept(&mut desk, "c1.2");
    assert_eq!(
        desk.send(&entry(2)),
        Err(Refusal::Busy),
        "the other waits on"
    );
    let third = desk.send(&order(1, Action::Cancel)).unwrap();
    assert!(third.contains(&by(6)) && nonce(&third) == 201, "{third}");
    accept(&mut desk, "c1.3");
    assert_eq!(nonce(&desk.send(&entry(2)).unwrap()), 102);
}

#[test]
fn row_15_what_the_lane_did_not_take_keeps_its_nonce() {
    let mut desk = Desk::live();
    assert_eq!(nonce(&desk.send(&entry(1)).unwrap()), 100);
    assert!(!desk.orders.on_unsent(1, NOW), "another lane");
    assert!(desk.orders.on_unsent(0, NOW) && !desk.orders.on_unsent(0, NOW));
    assert_eq!(nonce(&desk.send(&entry(1)).unwrap()), 100);
    accept(&mut desk, "1");
    desk.send(&order(2, Action::Query)).unwrap();
    assert!(
        !desk.orders.on_unsent(0, NOW),
        "a query is not on that lane"
    );
    assert_eq!(desk.told(), [(1, ReportKind::Acknowledged)]);
    desk.beat(4);
    assert_eq!(desk.told(), []);
}

#[test]
fn row_16_pages_and_refusals_are_no_answers_and_are_not_hurried() {
    for (status, body, rest_s) in [
        (
            429,
            "{\"code\":23000,\"message\":\"Too Many Requests!\"}",
            10,
        ),
        (405, "<html>not allowed</html>", 10),
        (403, "", 10),
        (200, "<html><body>captcha</body></html>", 5),
        (502, "<html>bad gateway</html>", 5),
        (200, "{\"code\":200}", 5),
    ] {
        let mut desk = Desk::live();
        desk.send(&entry(1)).unwrap();
        desk.beat(3);
        assert_eq!(desk.sent().len(), 1);
        desk.hear_status(2, status, body.into());
        desk.beat(rest_s - 1);
        let pong = json!({"type": "pong"});
        assert_eq!(
            (desk.hear(0, &pong), desk.hear(1, &pong)).0,
            FrameKind::Control
        );
        desk.sent();
        assert_eq!(desk.asked(), None, "{status} {body}");
        desk.beat(1);
        let asked = desk.sent();
        assert!(
            asked.iter().any(|text| text.contains("nextNonce")),
            "{status} {body}"
        );
    }
    // When it says for how long itself, for so long; not longer than a minute.
    for (stated_s, rest_s) in [(2, 2), (33, 33), (600, 60), (0, 10)] {
        let mut desk = Desk::live();
        desk.send(&entry(1)).unwrap();
        desk.beat(3);
        desk.sent();
        desk.orders.on_retry_after(2, stated_s);
        desk.hear_status(2, 429, "".into());
        let waited_s = (1..=60).find(|_| {
            desk.hear(0, &json!({"type": "pong"}));
            desk.hear(1, &json!({"type": "pong"}));
            desk.beat(1);
            desk.sent().iter().any(|text| text.contains("nextNonce"))
        });
        assert_eq!(waited_s, Some(rest_s), "{stated_s}");
    }
    // Refused again and again: ever longer, to a minute.
    let mut desk = Desk::live();
    desk.send(&entry(1)).unwrap();
    desk.beat(3);
    let mut rests = Vec::new();
    for _ in 0..6 {
        desk.sent();
        desk.hear_status(2, 500, "<html>".into());
        let mut rest_s = 0;
        loop {
            rest_s += 1;
            desk.hear(0, &json!({"type": "pong"}));
            desk.hear(1, &json!({"type": "pong"}));
            desk.beat(1);
            if desk.sent().iter().any(|text| text.contains("nextNonce")) {
                break;
            }
        }
        rests.push(rest_s);
    }
    assert_eq!(rests, [5, 10, 20, 40, 60, 60]);
}

#[test]
fn row_17_row_18_an_accepted_order_that_never_was_is_found_out() {
    let mut desk = Desk::live();
    desk.send(&hedge(1)).unwrap();
    accept(&mut desk, "1");
    assert_eq!(desk.told(), [(1, ReportKind::Acknowledged)]);
    desk.send(&order(1, Action::Query)).unwrap();
    for _ in 0..2 {
        assert!(requests(&mut desk)[0].contains("Orders?"));
        desk.hear(2, &json!({"code": 200, "orders": []}));
    }
    let asked = requests(&mut desk);
    let hash = asked[0].strip_prefix("/api/v1/tx?by=hash&value=").unwrap();
    assert!(hash.len() == 80 && hash.bytes().all(|b| b.is_ascii_hexdigit()));
    // Not known yet: that proves nothing.
    let body = json!({"code": 21_500, "message": "transaction not found"}).to_string();
    desk.hear_status(2, 400, body.into());
    assert_eq!(desk.told(), [(1, state(OrderState::Working, b"0"))]);
    desk.send(&order(1, Action::Query)).unwrap();
    for _ in 0..2 {
        requests(&mut desk);
        desk.hear(2, &json!({"code": 200, "orders": []}));
    }
    requests(&mut desk);
    let info = json!({"ae": json!({"code": 21_732, "message": "reduce only"}).to_string()});
    desk.hear(
        2,
        &json!({"code": 200, "status": 2, "event_info": info.to_string()}),
    );
    assert_eq!(desk.told(), [(1, ReportKind::Rejected { code: 21_732 })]);
    desk.send(&order(1, Action::Query)).unwrap();
    assert_eq!(requests(&mut desk), [""; 0], "over: answered from memory");
    assert_eq!(desk.told(), [(1, state(OrderState::Rejected, b"0"))]);
}

/// What ended before a stream began is not its to tell: giving it up for that would leave the legs
/// without one for as long as a dial may take.
#[test]
fn row_20_a_stream_is_given_up_for_what_was_sent_while_it_was_heard_only() {
    for is_later in [false, true] {
        let mut desk = Desk::live();
        desk.send(&hedge(1)).unwrap();
        accept(&mut desk, "1");
        if is_later {
            desk.beat(1);
            desk.link(1, false);
            desk.listen();
        }
        desk.beat(4);
        desk.sent();
        desk.send(&order(1, Action::Query)).unwrap();
        if is_later {
            desk.hear(2, &json!({"code": 200, "trades": []}));
        }
        assert!(requests(&mut desk)[0].contains("accountActiveOrders"));
        desk.hear(
            2,
            &json!({"code": 200, "orders": [row(1, "filled", "0.1", 5)]}),
        );
        assert!(
            desk.told()
                .contains(&(1, state(OrderState::Filled, b"0.1")))
        );
        desk.beat(0);
        assert_eq!(desk.sent().contains(&"reconnect 1".to_owned()), !is_later);
    }
}

#[test]
fn one_page_settles_every_order_that_is_looked_for_on_it() {
    let mut desk = Desk::live();
    for id in [71, 72, 73] {
        desk.send(&order(id, Action::Query)).unwrap();
    }
    assert!(requests(&mut desk)[0].contains("accountActiveOrders"));
    let open = [row(72, "open", "0.1", 5)];
    desk.hear(2, &json!({"code": 200, "orders": open}));
    assert_eq!(desk.told(), [(72, state(OrderState::Working, b"0.1"))]);
    assert!(requests(&mut desk)[0].contains("accountInactiveOrders"));
    let over = [row(73, "filled", "0.3", 7), row(71, "canceled", "0", 6)];
    desk.hear(2, &json!({"code": 200, "orders": over}));
    let mut told = desk.told();
    told.sort_by_key(|(id, _)| *id);
    let expected = [
        (71, state(OrderState::Cancelled, b"0")),
        (73, state(OrderState::Filled, b"0.3")),
    ];
    assert_eq!(told, expected);
    assert_eq!(
        requests(&mut desk),
        [""; 0],
        "two questions for three orders"
    );
}

/// A break leaves orders of many markets in doubt at once.
#[test]
fn row_39_one_page_of_all_markets_settles_the_orders_of_many() {
    let mut desk = Desk::live();
    for (id, market) in [(71, 0), (72, 1), (73, 0)] {
        let query = Order {
            instrument: InstrumentId(market),
            ..order(id, Action::Query)
        };
        desk.send(&query).unwrap();
    }
    let account = "account_index=516";
    let asked = format!("/api/v1/accountActiveOrders?{account}&market_id=255");
    assert_eq!(requests(&mut desk), [asked]);
    desk.hear(2, &json!({"code": 200, "orders": []}));
    let asked = format!("/api/v1/accountInactiveOrders?{account}&limit=100");
    assert_eq!(requests(&mut desk), [asked]);
    let over = [71, 72, 73].map(|id| row(id, "canceled", "0", 6));
    desk.hear(2, &json!({"code": 200, "orders": over}));
    assert_eq!(desk.told().len(), 3);
    assert_eq!(requests(&mut desk), [""; 0]);
}

#[test]
fn row_39_the_trades_of_a_break_are_asked_for_when_queries_have_spent_their_part() {
    let mut desk = spent();
    desk.link(1, false);
    desk.listen();
    assert!(requests(&mut desk)[0].starts_with("/api/v1/trades?"));
}

#[test]
fn row_37_a_closed_venue_is_asked_when_queries_have_spent_their_part() {
    let mut desk = spent();
    desk.send(&hedge(99)).unwrap();
    refuse(&mut desk, "99", 21_605);
    desk.told();
    desk.beat(10);
    let probes = desk.sent().into_iter();
    assert_eq!(probes.filter(|text| text.starts_with("GET / ")).count(), 1);
}

/// Queries have spent their part of the minute.
fn spent() -> Desk {
    let mut desk = Desk::live();
    let mut asked = 0;
    for id in 1..50 {
        desk.send(&order(id, Action::Query)).unwrap();
        while !requests(&mut desk).is_empty() {
            desk.hear(2, &json!({"code": 200, "orders": []}));
            asked += 1;
        }
    }
    assert_eq!(asked, 30);
    desk
}

#[test]
fn an_order_of_an_earlier_run_is_given_up_when_its_life_is_over() {
    let mut desk = Desk::live();
    for (after_s, expected) in [(0, UNKNOWN), (629, UNKNOWN), (1, OrderState::Cancelled)] {
        for _ in 0..after_s {
            desk.beat(1);
            desk.hear(0, &json!({"type": "pong"}));
            desk.hear(1, &json!({"type": "pong"}));
            desk.sent();
        }
        desk.send(&order(77, Action::Query)).unwrap();
        for _ in 0..2 {
            assert_eq!(requests(&mut desk).len(), 1, "{after_s}");
            desk.hear(2, &json!({"code": 200, "orders": []}));
        }
        assert_eq!(desk.told(), [(77, state(expected, b"0"))], "{after_s}");
    }
    // A full page that does not go back far enough proves nothing.
    desk.send(&order(78, Action::Query)).unwrap();
    requests(&mut desk);
    desk.hear(2, &json!({"code": 200, "orders": []}));
    requests(&mut desk);
    let rows: Vec<Value> = (100..200).map(|id| row(id, "filled", "1", 1)).collect();
    desk.hear(2, &json!({"code": 200, "orders": rows}));
    assert_eq!(desk.told(), [(78, state(UNKNOWN, b"0"))]);
}

#[test]
fn row_37_a_closed_venue_is_told_and_its_return_too() {
    let mut desk = Desk::live();
    desk.link(0, false);
    assert_eq!(desk.told(), [(0, ReportKind::Down)]);
    desk.beat(4);
    assert_eq!(requests(&mut desk), [""; 0]);
    desk.beat(1);
    desk.sent();
    desk.hear_status(2, 503, "<html>maintenance</html>".into());
    let closed = |closed| (0, ReportKind::Closed { closed });
    assert_eq!(desk.told(), [closed(true)]);
    desk.beat(15);
    let probe = desk
        .sent()
        .into_iter()
        .find(|text| text.starts_with("GET "));
    assert!(
        probe
            .unwrap()
            .starts_with("GET / HTTP/1.1\r\nHost: mainnet.zklighter")
    );
    desk.hear(2, &json!({"status": 200, "network_id": 304}));
    assert_eq!(desk.told(), [closed(false)]);
    desk.beat(15);
    desk.sent();
    desk.hear_status(2, 503, "{}".into());
    assert_eq!(desk.told(), [closed(true)]);
    desk.link(0, true);
    desk.hear(0, &json!({"type": "connected"}));
    desk.hear(1, &json!({"type": "pong"}));
    assert_eq!(desk.told(), [closed(false), (0, ReportKind::Up)]);

    // While orders can be sent, a broken REST side closes nothing.
    desk.send(&entry(1)).unwrap();
    desk.beat(3);
    desk.told();
    desk.hear_status(2, 503, "<html>".into());
    assert_eq!(desk.told(), []);
}

#[test]
fn row_39_what_is_left_is_kept_for_reducing_orders_and_cancels() {
    let mut desk = Desk::of(setup(&[5, 6, 7]));
    for id in 1..=48 {
        desk.send(&entry(id)).unwrap();
        accept(&mut desk, &id.to_string());
    }
    assert_eq!(desk.send(&entry(49)), Err(Refusal::RateBudget));
    for id in 49..=59 {
        desk.send(&hedge(id)).unwrap();
        accept(&mut desk, &id.to_string());
    }
    desk.send(&order(1, Action::Cancel)).unwrap();
    accept(&mut desk, "c1.60");
    assert_eq!(desk.send(&hedge(60)), Err(Refusal::RateBudget));

    let mut desk = Desk::live();
    desk.send(&entry(1)).unwrap();
    let answer = json!({
        "type": "jsonapi/sendtx", "code": 200, "id": "1", "volume_quota_remaining": 19,
    });
    desk.hear(0, &answer);
    assert_eq!(desk.send(&entry(2)), Err(Refusal::RateBudget));
    desk.send(&hedge(2)).unwrap();
    refuse(&mut desk, "2", 23_000);
    desk.send(&hedge(3)).unwrap();
}

#[test]
fn row_40_a_socket_with_forty_unanswered_takes_no_more_entries() {
    let mut all = setup(&[5, 6, 7]);
    all.sends_per_minute = 4_000;
    let mut desk = Desk::of(all);
    let (mut sent, mut next) = (0, 1_000);
    let mut flood = |desk: &mut Desk, order: fn(u64) -> Order| loop {
        let id = sent + 1;
        match desk.send(&order(id)) {
            Ok(_) => sent = id,
            Err(why) => return (sent, why),
        }
        desk.beat(3);
        desk.hear(0, &json!({"type": "pong"}));
        desk.hear(1, &json!({"type": "pong"}));
        next += 1_000;
        for slot in [5, 6, 7] {
            desk.orders.set_nonce(slot, next);
        }
        desk.reports.clear();
        desk.out.clear();
    };
    assert_eq!(flood(&mut desk, entry), (40, Refusal::Busy));
    assert_eq!(flood(&mut desk, hedge), (47, Refusal::Busy));
    let again = |desk: &mut Desk| desk.sent().contains(&"reconnect 0".to_string());
    desk.beat(8);
    assert!(!again(&mut desk));
    desk.beat(1);
    assert!(again(&mut desk), "it owes answers for half a minute");
    desk.link(0, false);
    desk.link(0, true);
    desk.hear(0, &json!({"type": "connected"}));
    assert!(desk.send(&entry(100)).is_ok());
    let full = json!({"error": {"code": 30_010, "message": "Too Many Inflight Messages!"}});
    desk.hear(0, &full);
    assert_eq!(desk.send(&entry(101)), Err(Refusal::RateBudget));
    assert!(desk.send(&hedge(101)).is_ok());
}

#[test]
fn row_41_an_order_that_exists_already_is_looked_up() {
    let mut desk = Desk::live();
    desk.send(&hedge(1)).unwrap();
    refuse(&mut desk, "1", 21_728);
    assert_eq!(desk.told(), [(1, state(UNKNOWN, b"0"))]);
    assert_eq!(desk.asked(), Some(5));
    desk.hear(2, &json!({"code": 200, "nonce": 101}));
    assert!(requests(&mut desk)[0].contains("accountActiveOrders"));
    desk.hear(
        2,
        &json!({"code": 200, "orders": [row(1, "open", "0.0004", 8)]}),
    );
    assert_eq!(desk.told(), [(1, state(OrderState::Working, b"0.0004"))]);
}

#[test]
fn row_43_a_refused_token_is_replaced_by_a_new_connection() {
    let mut desk = Desk::live();
    desk.hear(
        1,
        &json!({"error": {"code": 20_013, "message": "invalid auth"}}),
    );
    assert_eq!(desk.sent(), ["reconnect 1"]);
    desk.now = desk.now.plus(9 * 3600 * SECOND);
    desk.link(1, false);
    desk.link(1, true);
    desk.hear(1, &json!({"type": "connected"}));
    let deadline = desk.now.0 / SECOND + 8 * 3600 - 600;
    let texts = desk.sent();
    assert!(
        texts[0].contains(&format!("\"auth\":\"{deadline}:{ACCOUNT}:5:")),
        "{texts:?}"
    );
}

#[test]
fn forced_trades_are_told_once_and_only_when_no_order_of_ours_made_them() {
    let us = NOW.0 / 1000;
    let one = |frame: &Value, desk: &mut Desk| {
        assert_eq!(desk.hear(1, frame), FrameKind::Update);
        assert_eq!(desk.hear(1, frame), FrameKind::Update);
        let told = desk.told();
        assert_eq!(told.len(), 1, "{told:?}");
        told[0]
    };
    // Ours is the bid; the venue's asker was the maker.
    for (number, kind, is_maker_ask, client, why) in [
        (1, "liquidation", true, 0, Some(Force::Liquidation)),
        (2, "liquidation", true, 999, Some(Force::Liquidation)),
        (3, "liquidation", false, 0, None),
        (4, "deleverage", false, 0, Some(Force::Deleverage)),
        (5, "deleverage", true, 0, Some(Force::Deleverage)),
        (6, "deleverage", true, 31, None),
        (7, "trade", true, 0, None),
        (8, "trade", true, 999, None),
        (9, "something-new", true, 0, None),
    ] {
        let mut desk = Desk::live();
        desk.send(&hedge(31)).unwrap();
        let mut frame = trade(number, us);
        let row = &mut frame["trades"]["0"][0];
        row["type"] = json!(kind);
        row["is_maker_ask"] = json!(is_maker_ask);
        row["bid_client_id"] = json!(client);
        let (id, told) = one(&frame, &mut desk);
        match (told, why) {
            (
                ReportKind::Forced {
                    why, trade, size, ..
                },
                Some(expected),
            ) => {
                assert_eq!((id, why, trade), (0, expected, number));
                assert_eq!(size, Size::parse(b"0.1336").unwrap());
            }
            (ReportKind::Fill { .. }, None) => assert_eq!(id, client, "the id it carries"),
            other => panic!("{number} {other:?}"),
        }
    }
}

#[test]
fn an_announced_end_waits_for_what_is_on_its_way() {
    let notice = json!({"type": "shutdown", "close_in_ms": 4_000});
    let mut desk = Desk::live();
    desk.send(&entry(1)).unwrap();
    desk.hear(0, &notice);
    assert_eq!(desk.told(), [(0, ReportKind::Down)]);
    assert_eq!(desk.send(&entry(2)), Err(Refusal::NotConnected));
    desk.beat(1);
    assert_eq!(desk.sent(), [""; 0], "an answer is still awaited");
    desk.send(&hedge(2)).unwrap();
    accept(&mut desk, "2");
    accept(&mut desk, "1");
    desk.beat(0);
    assert_eq!(desk.sent(), ["reconnect 0"]);
    desk.beat(0);
    assert_eq!(desk.sent(), [""; 0], "once");

    let mut desk = Desk::live();
    desk.send(&entry(1)).unwrap();
    desk.hear(0, &notice);
    desk.beat(2);
    assert_eq!(desk.sent(), [""; 0]);
    desk.beat(1);
    assert!(
        desk.sent().contains(&"reconnect 0".to_string()),
        "at the latest"
    );

    // The account's connection: an order under way, then its end.
    let mut desk = Desk::live();
    desk.send(&entry(1)).unwrap();
    desk.hear(1, &notice);
    assert_eq!(desk.told(), [(0, ReportKind::Down)]);
    desk.beat(1);
    assert_eq!(desk.sent(), [""; 0]);
    let mut end = json!({"orders": {"1": [row(1, "filled", "0.001", 9)]}});
    end = channel_frame("update", "account_all_orders", end);
    assert_eq!(desk.hear(1, &end), FrameKind::Update);
    desk.beat(0);
    assert_eq!(desk.sent(), ["reconnect 1"]);
}

#[test]
fn the_switch_is_put_off_at_a_third_of_its_time_by_the_key_of_cancels() {
    let mut all = setup(&[5, 6]);
    all.dead_mans_switch_s = 600;
    let mut desk = Desk::of(all);
    let mut written = Vec::new();
    for second in 0..900_u64 {
        desk.beat(1);
        desk.hear(0, &json!({"type": "pong"}));
        desk.hear(1, &json!({"type": "pong"}));
        for text in desk.sent() {
            if text.contains("\"tx_type\":16") {
                assert!(
                    text.contains("\"ApiKeyIndex\":6,\"TimeInForce\":1,\"Time\":"),
                    "{text}"
                );
                let until = desk.now.epoch_ms() + 600_000;
                assert!(text.contains(&format!("\"Time\":{until},")), "{text}");
                // The second one is refused, and tried again sooner.
                let name = format!("d0.{}", written.len() + 1);
                match written.len() {
                    1 => refuse(&mut desk, &name, 21_712),
                    _ => accept(&mut desk, &name),
                }
                written.push(second);
            }
        }
    }
    assert_eq!(written, [0, 200, 300, 500, 700]);
    for (time_s, is_fine) in [(0, true), (329, false), (330, true), (1_296_000, false)] {
        let mut all = setup(&[5]);
        all.dead_mans_switch_s = time_s;
        let made = LighterOrders::new(all, &crate::lighter::markets());
        let fault = (!is_fine).then_some(SetupError::Switch(time_s));
        assert_eq!(made.err(), fault);
    }
}

#[test]
fn row_52_what_is_somebody_elses_on_the_account_is_counted() {
    let mut desk = Desk::live();
    let strays = |desk: &Desk| (desk.orders.strays().foreign, desk.orders.strays().missing);
    let by_hand = json!({"orders": {"1": [row(0, "open", "0", 5)]}});
    desk.hear(1, &channel_frame("update", "account_all_orders", by_hand));
    let unknown = json!({"positions": {"77": {"market_id": 77, "position": "2", "sign": 1}}});
    desk.hear(
        1,
        &channel_frame("update", "account_all_positions", unknown),
    );
    assert_eq!((desk.told(), strays(&desk)), (vec![], (2, 0)));

    // Ours, of which the stream said nothing: the list knows more.
    desk.send(&order(1, Action::Place)).unwrap();
    accept(&mut desk, "1");
    let ended = json!({"orders": {"1": [row(1, "open", "0", 6)]}});
    desk.hear(1, &channel_frame("update", "account_all_orders", ended));
    assert_eq!(strays(&desk), (2, 0));
    desk.beat(5);
    desk.send(&order(1, Action::Query)).unwrap();
    requests(&mut desk);
    let filled = [row(1, "filled", "0.001", 9)];
    desk.hear(2, &json!({"code": 200, "orders": filled}));
    assert_eq!(strays(&desk), (2, 1));
}
