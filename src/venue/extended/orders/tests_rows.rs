//! Failures that other bots had on this venue, by their rows in the project's list of failures.

use super::table::ORDERS_MAX;
use super::tests_rig::*;
use super::*;
use crate::market::order::Force;
use crate::market::units::SECOND;
use proptest::prelude::*;
use serde_json::Value;

const OK: &str = r#"{"status":"OK","data":{}}"#;

fn envelope(code: u32) -> String {
    format!(r#"{{"status":"ERROR","error":{{"code":{code},"message":"x"}}}}"#)
}

/// A trade as the account's list tells it: the venue's id of the order, not ours.
fn listed(trade: u64, size: &str) -> String {
    trade_json(trade, "").replace("0.0010000000000000", size)
}

fn list(trades: &[String]) -> String {
    format!(r#"{{"status":"OK","data":[{}]}}"#, trades.join(","))
}

fn sizes(kinds: &[ReportKind]) -> Vec<(u64, i64)> {
    let fill = |kind: &ReportKind| match kind {
        ReportKind::Fill { trade, size, .. } => Some((*trade, size.0)),
        _ => None,
    };
    kinds.iter().filter_map(fill).collect()
}

/// The request that the last beat wrote, if any.
fn line(rig: &mut Rig) -> Option<(Lane, String)> {
    let mut asked = rig.asked();
    assert!(asked.len() <= 1, "{asked:?}");
    asked.pop()
}

/// What is held has its payments of funding asked for; there are none.
fn pay_nothing(rig: &mut Rig) {
    let (lane, asked) = line(rig).expect("a position is held");
    assert!(asked.contains("/user/funding/history"), "{asked}");
    rig.say(lane, 200, &list(&[]));
}

#[test]
fn row_13_pages_and_walls_are_never_an_order_s_end() {
    let page = "<html><body>Are you a robot?</body></html>";
    let statuses = [
        301, 400, 401, 403, 404, 405, 408, 429, 500, 502, 503, 504, 520,
    ];
    for (status, action) in statuses.into_iter().flat_map(|status| {
        [Action::Place, Action::Query, Action::Cancel].map(|action| (status, action))
    }) {
        let mut rig = Rig::live();
        let mut lane = rig.place(77);
        if action != Action::Place {
            rig.agree(lane);
            rig.now = rig.now.plus(10 * SECOND);
            let order = rig.order(action, 77);
            lane = rig.send(&order).unwrap();
        }
        rig.kinds();
        rig.say(lane, status, page);
        let kinds = rig.kinds();
        let first = kinds.first().copied();
        let unknown = state(OrderState::Unknown, 0);
        assert_eq!(first, Some(unknown), "{status} {action:?}");
        let rest = [ReportKind::Closed { closed: true }, ReportKind::Down];
        let rest: &[ReportKind] = if status == 503 { &rest } else { &[] };
        assert_eq!(&kinds[1..], rest, "{status} {action:?}");
    }
}

#[test]
fn row_13_a_wall_is_a_pause_for_entries() {
    for (status, body) in [(403, "<html>"), (405, ""), (429, "")] {
        let mut rig = Rig::live();
        rig.out.clear();
        rig.beat_after(super::lanes::WARM_NS);
        let (lane, _) = line(&mut rig).unwrap();
        rig.say(lane, status, body);
        let mut order = rig.order(Action::Place, 1);
        assert_eq!(rig.send(&order), Err(Refusal::RateBudget), "{status}");
        order.reduce_only = true;
        assert!(rig.send(&order).is_ok(), "{status}");
    }
}

#[test]
fn row_15_what_the_lane_did_not_take_was_never_made() {
    let mut rig = Rig::live();
    let lane = rig.place(77);
    let now = rig.now;
    assert!(!rig.orders.on_unsent(lane + 1, now), "another lane");
    assert!(rig.orders.on_unsent(lane, now));
    assert!(!rig.orders.on_unsent(lane, now), "once");
    // Nothing waits for an answer, and nothing is Unknown when the lane goes.
    rig.beat_after(4 * SECOND);
    rig.link(lane, false);
    assert_eq!(rig.kinds(), []);
    // The same id goes out again, and answers as new.
    let other = rig.place(77);
    assert_ne!(other, lane);
    rig.agree(other);
    assert_eq!(rig.kinds(), [ReportKind::Acknowledged]);
    let now = rig.now;
    assert!(!rig.orders.on_unsent(other, now), "it was answered");
}

#[test]
fn row_39_the_venue_says_when_to_come_again() {
    let mut rig = Rig::live();
    let lane = rig.place(77);
    rig.orders.on_retry_after(lane, 3);
    rig.say(lane, 429, "");
    let mut order = rig.order(Action::Place, 78);
    for (t_tick, refused) in [(rig.now, 2), (Nanos::ZERO, 2)] {
        order.t_tick = t_tick;
        for second in 0..=refused {
            let at = rig.now.plus(second * SECOND);
            let signed = rig.orders.sign(&order, at, || None);
            assert_eq!(signed, Err(Refusal::RateBudget), "{second}");
        }
        let at = rig.now.plus(3 * SECOND);
        assert!(rig.orders.sign(&order, at, || None).is_ok());
    }
    // It was said of that answer, not of the next: the pause is ours again, and doubled.
    rig.now = rig.now.plus(3 * SECOND);
    let lane = rig.send(&order).unwrap();
    rig.say(lane, 429, "");
    order.id = OrderId(79);
    rig.now = rig.now.plus(SECOND);
    assert!(rig.send(&order).is_ok(), "a hedge goes on");
}

#[test]
fn row_19_a_late_refusal_ends_an_accepted_order() {
    let mut rig = Rig::live();
    let lane = rig.place(77);
    rig.agree(lane);
    let order = order_json("px-77", "REJECTED", "0").replace(
        r#""filledQty""#,
        r#""statusReason":"NOT_ENOUGH_FUNDS","filledQty""#,
    );
    rig.tell(&format!(r#"{{"orders":[{order}]}}"#));
    let expected = [ReportKind::Acknowledged, state(OrderState::Rejected, 0)];
    assert_eq!(rig.kinds(), expected);
}

#[test]
fn row_20_a_late_trade_corrects_the_last_word() {
    for (status, first) in [
        ("CANCELLED", OrderState::Cancelled),
        ("REJECTED", OrderState::Rejected),
    ] {
        let mut rig = Rig::live();
        rig.place(77);
        let order = order_json("px-77", status, "0");
        rig.tell(&format!(r#"{{"orders":[{order}]}}"#));
        assert_eq!(rig.kinds(), [state(first, 0)]);
        let trade = trade_json(5, r#""externalOrderId":"px-77","#);
        rig.tell(&format!(r#"{{"trades":[{trade}]}}"#));
        let kinds = rig.kinds();
        assert_eq!(sizes(&kinds), [(5, 1_000_000)]);
        assert_eq!(kinds[1], state(OrderState::Cancelled, 1_000_000));
    }
}

#[test]
fn row_20_missing_trades_are_asked_for_and_told_once() {
    let mut rig = Rig::live();
    for number in [77, 78] {
        let lane = rig.place(number);
        rig.agree(lane);
    }
    let order = order_json("px-77", "FILLED", "0.001");
    rig.tell(&format!(r#"{{"orders":[{order}]}}"#));
    let trade = trade_json(5, r#""externalOrderId":"px-77","#).replace("0.0010000", "0.0004000");
    rig.tell(&format!(r#"{{"trades":[{trade}]}}"#));
    rig.kinds();
    rig.asked();
    rig.beat_after(1);
    pay_nothing(&mut rig);
    rig.beat_after(SECOND - 1);
    assert_eq!(line(&mut rig), None, "the rest may only be late");
    rig.beat_after(1);
    let (lane, asked) = line(&mut rig).unwrap();
    let path = "GET /api/v1/user/trades?market=BTC-USD&limit=50 HTTP/1.1";
    assert_eq!(asked, path);
    // One we miss, one we have, one of nobody's, one too many.
    let stranger = listed(8, "0.0010").replace("9223372036854775808", "17");
    let rows = [
        listed(9, "0.0006"),
        listed(5, "0.0004"),
        stranger,
        listed(7, "0.0001"),
    ];
    assert_eq!(rig.say(lane, 200, &list(&rows)), FrameKind::Control);
    let fills = rig.kinds();
    assert_eq!(sizes(&fills), [(9, 600_000)]);
    // The stream tells it after all.
    let late = trade_json(9, r#""externalOrderId":"px-77","#);
    rig.tell(&format!(r#"{{"trades":[{late}]}}"#));
    rig.beat_after(10 * SECOND);
    // But a stream that had to be asked after is not trusted any more.
    assert_eq!(rig.kinds(), [ReportKind::Down]);
    assert_eq!(rig.orders.missing_count(), 0);
}

/// What ended before a stream began is not its to tell, nor what has only just happened: giving it
/// up for that would leave the legs without one for as long as a dial may take.
#[test]
fn row_20_a_stream_is_given_up_for_what_was_sent_while_it_was_heard_only() {
    for is_later in [false, true] {
        let mut rig = Rig::live();
        let lane = rig.place(77);
        rig.agree(lane);
        rig.beat_after(1);
        if is_later {
            rig.link(0, false);
            rig.link(0, true);
            rig.tell(r#"{"isSnapshot":true,"orders":[]}"#);
            rig.tell(r#"{"isSnapshot":true,"balance":{"equity":"7.5","availableForTrade":"7"}}"#);
            rig.tell(r#"{"isSnapshot":true,"positions":[]}"#);
        }
        let order = order_json("px-77", "FILLED", "0.001");
        rig.tell(&format!(r#"{{"orders":[{order}]}}"#));
        rig.asked();
        rig.beat_after(1);
        rig.beat_after(SECOND);
        let (lane, _) = line(&mut rig).unwrap();
        rig.say(lane, 200, &list(&[listed(9, "0.0010")]));
        assert_eq!(sizes(&rig.kinds()), [(9, 1_000_000)]);
        rig.beat_after(1);
        assert_eq!(rig.reconnects() == [0], !is_later);
    }
}

/// The end was told wrong, and the fill that belies it was lost with its stream.
#[test]
fn row_20_a_listed_trade_belies_an_end_that_left_it_out() {
    let mut rig = Rig::live();
    let lane = rig.place(77);
    rig.agree(lane);
    let order = order_json("px-77", "CANCELLED", "0");
    rig.tell(&format!(r#"{{"orders":[{order}]}}"#));
    rig.link(0, false);
    rig.link(0, true);
    let position = r#"{"market":"BTC-USD","side":"LONG","size":"0.001"}"#;
    rig.tell(&format!(
        r#"{{"isSnapshot":true,"positions":[{position}]}}"#
    ));
    rig.kinds();
    rig.asked();
    rig.beat_after(1);
    let (lane, _) = line(&mut rig).unwrap();
    rig.say(lane, 200, &list(&[listed(9, "0.0010")]));
    let told = rig.kinds();
    assert_eq!(sizes(&told), [(9, 1_000_000)]);
    assert!(told.contains(&state(OrderState::Cancelled, 1_000_000)));
}

#[test]
fn row_20_trades_that_nobody_lists_are_given_up_and_counted() {
    let mut rig = Rig::live();
    let lane = rig.place(77);
    rig.agree(lane);
    let order = order_json("px-77", "FILLED", "0.001");
    rig.tell(&format!(r#"{{"orders":[{order}]}}"#));
    rig.asked();
    rig.beat_after(1);
    for answer in [
        (200, "[]"),
        (404, "<html>"),
        (200, r#"{"status":"OK","data":[]}"#),
    ] {
        rig.kinds();
        rig.beat_after(SECOND);
        let (lane, asked) = line(&mut rig).unwrap();
        assert!(asked.contains("/user/trades"), "{asked}");
        rig.say(lane, answer.0, answer.1);
        assert_eq!(rig.kinds(), []);
    }
    rig.beat_after(SECOND);
    assert_eq!(rig.kinds(), [state(OrderState::Filled, 1_000_000)]);
    rig.beat_after(SECOND);
    assert_eq!((rig.kinds(), line(&mut rig)), (vec![], None));
    assert_eq!(rig.orders.missing_count(), 1);
}

#[test]
fn a_trade_from_a_break_in_the_stream_is_told() {
    let mut rig = Rig::live();
    let lane = rig.place(77);
    let text = r#"{"status":"OK","data":{"id":9223372036854775808}}"#;
    rig.say(lane, 200, text);
    rig.link(0, false);
    rig.link(0, true);
    rig.kinds();
    let rows = [listed(5, "0.0004"), listed(6, "0.0006")].join(",");
    let text = format!(r#"{{"isSnapshot":true,"trades":[{rows}],"orders":[]}}"#);
    rig.tell(&text);
    rig.tell(&text);
    assert_eq!(sizes(&rig.kinds()), [(5, 400_000), (6, 600_000)]);
}

#[test]
fn a_trade_that_is_faster_than_its_order_waits_for_it() {
    let mut rig = Rig::live();
    let lane = rig.place(77);
    let trade = trade_json(5, "");
    rig.tell(&format!(r#"{{"trades":[{trade}]}}"#));
    assert_eq!(rig.kinds(), []);
    let text = r#"{"status":"OK","data":{"id":9223372036854775808}}"#;
    rig.say(lane, 200, text);
    let told: Vec<_> = rig.reports.items().iter().map(|r| r.order).collect();
    assert_eq!(told, [OrderId(77), OrderId(77)]);
    assert_eq!(sizes(&rig.kinds()), [(5, 1_000_000)]);
    // One that nobody explains is a stranger's, a second later.
    rig.place(78);
    let stranger = trade_json(6, "").replace("9223372036854775808", "17");
    rig.tell(&format!(r#"{{"trades":[{stranger}]}}"#));
    rig.beat_after(super::fills::HELD_NS_MAX);
    assert_eq!(rig.kinds(), []);
    rig.beat_after(1);
    assert_eq!(rig.reports.items()[0].order, OrderId::NONE);
    assert_eq!(sizes(&rig.kinds()), [(6, 1_000_000)]);
    assert_eq!(rig.orders.foreign_count(), 1);
}

#[test]
fn row_24_a_position_on_a_market_we_do_not_know_is_an_alarm() {
    let mut rig = Rig::live();
    let rows = r#"{"market":"BTC-USD-PERP","side":"LONG","size":"1"},
        {"market":"BTC-USD","side":"LONG","size":"0.5"}"#;
    let kind = rig.tell(&format!(r#"{{"positions":[{rows}]}}"#));
    assert_eq!(kind, FrameKind::WrongMarket);
    assert_eq!(rig.orders.foreign_count(), 1);
    // What is known is told all the same, and nothing else is lost.
    let size = Size(500_000_000);
    assert_eq!(rig.kinds(), [ReportKind::Position { size }]);
    let gone = r#"{"market":"BTC-USD-PERP","side":"LONG","size":"0"}"#;
    let kind = rig.tell(&format!(r#"{{"positions":[{gone}]}}"#));
    assert_eq!(kind, FrameKind::Update, "nothing is held there");
}

#[test]
fn row_25_one_question_is_not_enough() {
    let mut rig = Rig::live();
    let lane = rig.place(77);
    rig.say(lane, 502, "");
    rig.kinds();
    for (wait_ns, expected) in [
        (5 * SECOND, OrderState::Unknown),
        (SECOND / 2, OrderState::Unknown),
        (SECOND / 2, OrderState::Rejected),
    ] {
        rig.now = rig.now.plus(wait_ns);
        let lane = rig.query(77);
        rig.say(lane, 404, &envelope(404));
        assert_eq!(rig.kinds(), [state(expected, 0)]);
    }
    // It was only late: the stream's word is the better one.
    let order = order_json("px-77", "CANCELLED", "0.0004");
    rig.tell(&format!(r#"{{"orders":[{order}]}}"#));
    assert_eq!(rig.kinds(), [state(OrderState::Cancelled, 400_000)]);
}

#[test]
fn row_25_an_order_of_an_earlier_run_is_not_missed_too_soon_either() {
    let mut rig = Rig::live();
    for expected in [OrderState::Unknown, OrderState::Rejected] {
        let lane = rig.query(4_242);
        rig.say(lane, 200, r#"{"status":"OK","data":[]}"#);
        assert_eq!(rig.reports.items()[0].instrument, BTC);
        assert_eq!(rig.kinds(), [state(expected, 0)]);
        rig.now = rig.now.plus(4 * SECOND);
    }
    // One that was there has its fills from before: none of them is asked for.
    let lane = rig.query(4_243);
    let order = order_json("px-4243", "FILLED", "0.001");
    rig.say(lane, 200, &format!(r#"{{"status":"OK","data":[{order}]}}"#));
    assert_eq!(rig.kinds(), [state(OrderState::Filled, 1_000_000)]);
    rig.asked();
    for _ in 0..3 {
        rig.beat_after(5 * SECOND);
        assert_eq!(line(&mut rig), None);
    }
}

#[test]
fn row_35_forced_trades_are_told_as_such_once() {
    for (name, why) in [
        ("LIQUIDATION", Force::Liquidation),
        ("DELEVERAGE", Force::Deleverage),
    ] {
        let mut rig = Rig::live();
        let own = |id: &str| {
            let id = format!(r#""externalOrderId":"{id}","#);
            trade_json(5, &id).replace(r#""TRADE""#, &format!(r#""{name}""#))
        };
        for _ in 0..2 {
            rig.tell(&format!(r#"{{"trades":[{}]}}"#, own("ext-1")));
        }
        assert_eq!(rig.reports.items()[0].order, OrderId::NONE);
        assert_eq!(rig.reports.items()[0].instrument, BTC);
        let kinds = rig.kinds();
        let [
            ReportKind::Forced {
                trade: 5,
                why: told,
                size,
                ..
            },
        ] = kinds[..]
        else {
            panic!("{kinds:?}");
        };
        assert_eq!((told, size), (why, Size(1_000_000)));
        // With an order of ours in flight it is not taken for that order's.
        rig.place(77);
        let forced = own("ext-2").replace(r#""id":5"#, r#""id":6"#);
        rig.tell(&format!(r#"{{"trades":[{forced}]}}"#));
        assert!(matches!(
            rig.kinds()[..],
            [ReportKind::Forced { trade: 6, .. }]
        ));
        // Against an order of ours, whoever was forced, it is our order's fill.
        let ours = own("px-77").replace(r#""id":5"#, r#""id":7"#);
        rig.tell(&format!(r#"{{"trades":[{ours}]}}"#));
        assert_eq!(sizes(&rig.kinds()), [(7, 1_000_000)]);
        assert_eq!(rig.orders.foreign_count(), 0);
    }
}

/// What the venue takes while nobody listens is in no snapshot: a position that changed meanwhile
/// has its trades asked for, again where the answer says nothing; the news among them is told.
#[test]
fn row_35_what_was_taken_in_a_break_is_asked_for() {
    let mut rig = Rig::live();
    let held = |size: &str| {
        format!(
            r#"{{"isSnapshot":true,"positions":[{{"market":"BTC-USD","side":"LONG",
            "size":"{size}"}}]}}"#
        )
    };
    rig.tell(&held("0.003").replace("true", "false"));
    rig.link(0, false);
    rig.link(0, true);
    rig.tell(&held("0.003"));
    rig.asked();
    rig.beat_after(1);
    pay_nothing(&mut rig);
    rig.beat_after(1);
    assert_eq!(line(&mut rig), None, "nothing has changed");
    rig.tell(&held("0.001"));
    rig.kinds();
    rig.beat_after(1);
    let (lane, asked) = line(&mut rig).unwrap();
    assert!(asked.contains("/user/trades?market=BTC-USD"), "{asked}");
    rig.say(lane, 502, "<html>");
    rig.beat_after(SECOND - 1);
    assert_eq!(line(&mut rig), None, "not at once");
    rig.beat_after(1);
    let (lane, _) = line(&mut rig).unwrap();
    let made = |trade, ms: u64| {
        let made = format!(r#""createdTime":{ms},"tradeType":"LIQUIDATION""#);
        listed(trade, "0.0020").replace(r#""tradeType":"TRADE""#, &made)
    };
    let start_ms = rig.now.epoch_ms() - 2_000;
    let rows = [made(6, rig.now.epoch_ms()), made(5, start_ms - 60_000)];
    assert_eq!(rig.say(lane, 200, &list(&rows)), FrameKind::Control);
    let told = rig.kinds();
    assert!(
        matches!(told[..], [ReportKind::Forced { trade: 6, .. }]),
        "{told:?}"
    );
    rig.beat_after(SECOND);
    assert_eq!(line(&mut rig), None);
}

/// The order's fill was told, its position was not; the venue took all of it in the break.
#[test]
fn row_35_a_position_as_before_a_fill_is_news_after_it() {
    let mut rig = Rig::live();
    rig.place(77);
    let trade = trade_json(5, r#""externalOrderId":"px-77","#);
    rig.tell(&format!(r#"{{"trades":[{trade}]}}"#));
    rig.link(0, false);
    rig.link(0, true);
    rig.asked();
    rig.tell(r#"{"isSnapshot":true,"positions":[]}"#);
    rig.beat_after(1);
    let asked = line(&mut rig).map(|(_, asked)| asked);
    assert!(asked.is_some_and(|asked| asked.contains("/user/trades?market=BTC-USD")));
}

/// A stream that tells a trade and not the position it made has died between the two.
#[test]
fn row_11_a_trade_without_its_position_ends_the_stream() {
    for is_told in [false, true] {
        let mut rig = Rig::live();
        rig.place(77);
        rig.beat_after(2 * SECOND);
        let trade = trade_json(5, r#""externalOrderId":"px-77","#);
        rig.tell(&format!(r#"{{"trades":[{trade}]}}"#));
        if is_told {
            let position = r#"{"market":"BTC-USD","side":"LONG","size":"0.001"}"#;
            rig.tell(&format!(r#"{{"positions":[{position}]}}"#));
        }
        rig.kinds();
        rig.asked();
        rig.beat_after(SECOND);
        if is_told {
            pay_nothing(&mut rig);
        }
        for _ in 0..4 {
            rig.beat_after(SECOND);
        }
        assert_eq!(rig.kinds().contains(&ReportKind::Down), !is_told);
    }
}

#[test]
fn row_37_maintenance_closes_and_the_first_good_answer_opens() {
    for (status, body, told) in [
        (400, envelope(1010), ReportKind::Rejected { code: 1010 }),
        (503, envelope(1010), ReportKind::Rejected { code: 1010 }),
        (503, "<html>".to_owned(), state(OrderState::Unknown, 0)),
        (503, String::new(), state(OrderState::Unknown, 0)),
    ] {
        let mut rig = Rig::live();
        let lane = rig.place(77);
        rig.say(lane, status, &body);
        let closed = ReportKind::Closed { closed: true };
        assert_eq!(rig.kinds(), [told, closed, ReportKind::Down]);
        let entry = rig.order(Action::Place, 78);
        let exit = Order {
            reduce_only: true,
            t_tick: Nanos::ZERO,
            ..entry
        };
        for order in [entry, exit] {
            assert_eq!(rig.send(&order), Err(Refusal::NotConnected));
        }
        // Questions may be asked, and a probe goes each second.
        let lane = rig.query(77);
        rig.say(lane, 503, "");
        rig.kinds();
        rig.out.clear();
        for _ in 0..3 {
            rig.beat_after(SECOND);
            let (lane, asked) = line(&mut rig).unwrap();
            assert!(asked.starts_with("GET /api/v1/info/settings"), "{asked}");
            rig.say(lane, 503, "<html>");
            rig.beat_after(1);
            assert_eq!((rig.kinds(), line(&mut rig)), (vec![], None));
        }
        rig.beat_after(SECOND);
        let (lane, _) = line(&mut rig).unwrap();
        rig.say(lane, 200, OK);
        let open = ReportKind::Closed { closed: false };
        assert_eq!(rig.kinds(), [open, ReportKind::Up]);
        assert!(rig.send(&exit).is_ok());
    }
}

#[test]
fn row_37_a_stream_in_step_does_not_open_a_closed_venue() {
    let mut rig = Rig::live();
    let lane = rig.place(77);
    rig.say(lane, 503, "");
    rig.link(0, false);
    rig.link(0, true);
    rig.kinds();
    rig.tell(
        r#"{"isSnapshot":true,"orders":[],"positions":[],
        "balance":{"equity":"7.5","availableForTrade":"7"}}"#,
    );
    assert!(!rig.kinds().contains(&ReportKind::Up));
}

#[test]
fn row_39_upkeep_leaves_the_reserve_alone() {
    let mut rig = Rig::new(10);
    rig.link(1, true);
    rig.link(2, true);
    for number in 0..8 {
        let lane = rig.place(number + 1);
        rig.agree(lane);
    }
    rig.out.clear();
    rig.beat_after(super::lanes::WARM_NS);
    assert_eq!(line(&mut rig), None);
    rig.beat_after(super::lanes::WARM_NS + 2 * SECOND);
    assert!(line(&mut rig).is_some(), "the minute is over");
}

#[test]
fn row_41_an_id_that_is_there_already_is_asked_about() {
    let mut rig = Rig::live();
    let lane = rig.place(77);
    rig.say(lane, 502, "");
    let lane = rig.place(77);
    rig.say(lane, 400, &envelope(1134));
    let unknown = state(OrderState::Unknown, 0);
    assert_eq!(rig.kinds(), [unknown, unknown]);
    let lane = rig.query(77);
    let order = order_json("px-77", "FILLED", "0.001");
    rig.say(lane, 200, &format!(r#"{{"status":"OK","data":[{order}]}}"#));
    assert_eq!(rig.kinds(), [state(OrderState::Filled, 1_000_000)]);
}

#[test]
fn rows_46_53_54_every_order_expires_rests_never_and_spares_our_own() {
    for reduce_only in [false, true] {
        let mut rig = Rig::live();
        let order = Order {
            reduce_only,
            ..rig.order(Action::Place, 77)
        };
        rig.send(&order).unwrap();
        let text = std::str::from_utf8(rig.out.payload(&rig.out.items()[0])).unwrap();
        let body: Value = serde_json::from_str(text.split_once("\r\n\r\n").unwrap().1).unwrap();
        // Mandatory for IOC too: in whole seconds, and within the test network's 28 days.
        let expiry_ms = body["expiryEpochMillis"].as_u64().unwrap();
        let life_ms = expiry_ms - rig.now.epoch_ms();
        assert_eq!(expiry_ms % 1000, 0);
        assert!((5_000..=28 * 86_400_000).contains(&life_ms), "{life_ms}");
        assert_eq!(
            (&body["timeInForce"], &body["postOnly"]),
            (&"IOC".into(), &false.into())
        );
        assert_eq!(body["selfTradeProtectionLevel"], "ACCOUNT");
    }
}

#[test]
fn row_53_unfinished_orders_are_bounded() {
    let mut rig = Rig::live();
    for number in 0..ORDERS_MAX as u64 {
        let order = Order {
            t_tick: Nanos::ZERO,
            ..rig.order(Action::Place, number + 1)
        };
        let lane = rig.send(&order).unwrap();
        rig.agree(lane);
    }
    let more = rig.order(Action::Place, 1_000);
    assert_eq!(rig.send(&more), Err(Refusal::Busy));
    let order = order_json("px-5", "CANCELLED", "0");
    rig.tell(&format!(r#"{{"orders":[{order}]}}"#));
    assert!(rig.send(&more).is_ok());
}

#[test]
fn row_52_orders_and_trades_of_others_are_told_as_nobody_s() {
    let mut rig = Rig::live();
    let order = order_json("12345", "NEW", "0").replace("9223372036854775808", "17");
    rig.tell(&format!(r#"{{"orders":[{order}]}}"#));
    let trade = trade_json(5, r#""externalOrderId":"ext-1","#).replace("9223372036854775808", "17");
    rig.tell(&format!(r#"{{"trades":[{trade}]}}"#));
    // Another instance of ours has ids of another run.
    let theirs = OrderId::new(9, 1, 0);
    let trade = trade_json(6, &format!(r#""externalOrderId":"px-{}","#, theirs.0));
    rig.tell(&format!(r#"{{"trades":[{trade}]}}"#));
    let told: Vec<_> = rig.reports.items().iter().map(|r| r.order).collect();
    assert_eq!(told, [OrderId::NONE, OrderId::NONE, theirs]);
    let kinds = rig.kinds();
    assert_eq!(kinds[0], state(OrderState::Working, 0));
    assert_eq!(sizes(&kinds), [(5, 1_000_000), (6, 1_000_000)]);
    assert_eq!(rig.orders.foreign_count(), 2);
}

#[test]
fn the_dead_man_s_switch_is_renewed_at_a_third_of_its_time() {
    let mut off = Rig::live();
    off.out.clear();
    off.beat_after(1);
    assert_eq!(line(&mut off), None);
    let mut rig = Rig::live();
    rig.orders.core.upkeep = Upkeep::new(60);
    rig.out.clear();
    let mut renewed = Vec::new();
    for second in 0..100 {
        rig.beat_after(SECOND);
        for (lane, asked) in rig.asked() {
            let is_switch = asked.starts_with("POST /api/v1/user/deadmanswitch?countdownTime=");
            renewed.extend(is_switch.then_some(second));
            // Nothing, as the venue answers it; a page now and then.
            let (status, body) = if second == 40 {
                (502, "<html>")
            } else {
                (200, "")
            };
            rig.say(lane, status, body);
        }
    }
    assert_eq!(renewed, [0, 20, 40, 60, 80]);
    assert_eq!(rig.kinds(), []);
}

/// What happened to one order, in the order the test tells it.
#[derive(Clone, Copy, Debug)]
enum Tell {
    Answer,
    Order,
    Trade(usize),
    Query,
    Beat,
    Break,
}

fn tell() -> impl Strategy<Value = Tell> {
    prop_oneof![
        Just(Tell::Answer),
        Just(Tell::Order),
        (0_usize..4).prop_map(Tell::Trade),
        Just(Tell::Query),
        Just(Tell::Beat),
        Just(Tell::Break),
    ]
}

/// An order of 0.001 that traded 0.0001 each time, with or without our id in its trades.
struct Past {
    trades: usize,
    names_ours: bool,
    lane: Option<Lane>,
    fills: Vec<(u64, i64)>,
    filled: i64,
}

impl Past {
    fn filled(&self) -> String {
        format!("0.000{}", self.trades)
    }

    fn order(&self) -> String {
        let status = if self.trades == 0 {
            "REJECTED"
        } else {
            "CANCELLED"
        };
        order_json("px-77", status, &self.filled())
    }

    fn trade(&self, idx: usize) -> String {
        let ours = r#""externalOrderId":"px-77","#;
        let id = if self.names_ours { ours } else { "" };
        trade_json(idx as u64 + 1, id).replace("0.0010000000000000", "0.0001")
    }

    fn play(&mut self, rig: &mut Rig, tell: Tell) {
        let order = self.order();
        match tell {
            Tell::Answer => {
                if let Some(lane) = self.lane.take() {
                    let text = r#"{"status":"OK","data":{"id":9223372036854775808}}"#;
                    rig.say(lane, 200, text);
                }
            }
            Tell::Order => {
                rig.tell(&format!(r#"{{"orders":[{order}]}}"#));
            }
            Tell::Trade(idx) if idx < self.trades => {
                let trade = self.trade(idx);
                rig.tell(&format!(r#"{{"trades":[{trade}]}}"#));
            }
            Tell::Trade(_) => {}
            Tell::Query => {
                let asked = rig.order(Action::Query, 77);
                if let Ok(lane) = rig.send(&asked) {
                    rig.say(lane, 200, &format!(r#"{{"status":"OK","data":[{order}]}}"#));
                }
            }
            Tell::Beat => {
                // Nobody could tell a trade without any id from a stranger's for longer than this.
                if !self.names_ours {
                    self.play(rig, Tell::Answer);
                }
                rig.beat_after(SECOND / 2);
                self.answer(rig);
            }
            Tell::Break => {
                rig.link(0, false);
                rig.link(0, true);
                rig.tell(r#"{"isSnapshot":true,"orders":[]}"#);
            }
        }
        self.note(rig);
    }

    /// Answers what upkeep asked.
    fn answer(&mut self, rig: &mut Rig) {
        let rows: Vec<_> = (0..self.trades).map(|idx| self.trade(idx)).collect();
        for (lane, asked) in rig.asked() {
            let text = if asked.contains("/user/trades") {
                list(&rows)
            } else {
                OK.to_owned()
            };
            rig.say(lane, 200, &text);
        }
    }

    fn note(&mut self, rig: &mut Rig) {
        assert!(
            rig.reports
                .items()
                .iter()
                .all(|r| { r.order == OrderId(77) || !matches!(r.kind, ReportKind::Fill { .. }) })
        );
        let kinds = rig.kinds();
        self.fills.extend(sizes(&kinds));
        for kind in kinds {
            if let ReportKind::State { filled, .. } = kind {
                assert!(filled.0 >= self.filled, "filled sizes only grow");
                self.filled = filled.0;
            }
        }
    }
}

proptest! {
    /// Whatever is told twice, late, out of order, or not at all: each trade is a fill once, and
    /// the last word on the order is what its trades add up to.
    #[test]
    fn row_20_fills_states_and_trades_agree_in_the_end(
        tells in proptest::collection::vec(tell(), 0..16),
        trades in 0_usize..4,
        names_ours in any::<bool>(),
    ) {
        let mut rig = Rig::live();
        let lane = Some(rig.place(77));
        rig.asked();
        let mut past = Past { trades, names_ours, lane, fills: Vec::new(), filled: 0 };
        for tell in tells {
            past.play(&mut rig, tell);
        }
        // In the end the venue says how the order stands, and time passes.
        past.play(&mut rig, Tell::Query);
        for _ in 0..8 {
            past.play(&mut rig, Tell::Beat);
        }
        past.play(&mut rig, Tell::Query);
        past.fills.sort_unstable();
        let truth: Vec<_> = (0..trades as u64).map(|idx| (idx + 1, 100_000)).collect();
        prop_assert_eq!(&past.fills, &truth);
        prop_assert_eq!(past.filled, trades as i64 * 100_000);
        prop_assert_eq!(rig.orders.missing_count(), 0);
    }
}
