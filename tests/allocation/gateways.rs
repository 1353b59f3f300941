//! Gateways: an order of each venue with a point ahead and in full, its answer, its fills, and
//! everything that the account streams were ever seen to say.

use super::counted;
use super::instrument::{NOW, instrument, market};
use parallax::market::Venue;
use parallax::market::book::Side;
use parallax::market::order::{Action, Order, OrderId, ReportKind};
use parallax::market::units::{MS, Nanos, Price, Size};
use parallax::venue::extended::MarketConfig;
use parallax::venue::extended::orders::{ExtendedOrders, OrdersSettings};
use parallax::venue::extended::sign::hash::Chain;
use parallax::venue::extended::sign::{self as stark, Felt, StarkKey};
use parallax::venue::lighter::orders::{ApiKey, LighterOrders, Setup};
use parallax::venue::lighter::sign::{self as schnorr, PrivateKey};
use parallax::venue::{Lane, Orders, Outbox, Reports};
use serde_json::Value;

/// One venue's order side with its boxes, and prepared points.
struct Rig<O: Orders> {
    orders: O,
    reports: Reports,
    out: Outbox,
    points: Vec<O::Point>,
    now: Nanos,
    /// Lanes that speak HTTP.
    is_http: fn(Lane) -> bool,
    lanes_len: usize,
}

impl<O: Orders> Rig<O> {
    fn link(&mut self, lane: Lane, up: bool) {
        let (reports, out) = (&mut self.reports, &mut self.out);
        self.orders.on_link(lane, up, self.now, reports, out);
        self.clear();
    }

    /// What it told and wanted sent is taken; reports that matter were looked at.
    fn clear(&mut self) {
        self.reports.clear();
        self.out.clear();
    }

    /// Allocations of one message; what it told stays.
    fn say(&mut self, lane: Lane, text: &str) -> u64 {
        let mut bytes = text.as_bytes().to_vec();
        self.now = self.now.plus(MS);
        let status = if (self.is_http)(lane) { 200 } else { 0 };
        let (reports, out, orders) = (&mut self.reports, &mut self.out, &mut self.orders);
        counted(|| {
            orders.on_message(lane, status, &mut bytes, self.now, reports, out);
        })
    }

    /// Allocations of an order, signed and written.
    fn place(&mut self, venue: Venue, number: u64, is_ahead: bool) -> u64 {
        let order = Order {
            id: OrderId(number),
            action: Action::Place,
            venue,
            instrument: instrument().id,
            side: Side::Bid,
            price: Price::parse(b"84050").unwrap(),
            size: Size::parse(b"0.001").unwrap(),
            reduce_only: false,
            t_tick: self.now,
            t_decide: self.now,
        };
        let point = is_ahead.then(|| self.points.pop().unwrap());
        let (orders, out, now) = (&mut self.orders, &mut self.out, self.now);
        let count = counted(|| {
            orders.sign(&order, now, || point).unwrap();
            orders.encode(now, out);
        });
        assert_eq!(self.out.items().len(), 1);
        count
    }

    fn has_filled(&self, number: u64) -> bool {
        let reports = self.reports.items().iter();
        let mut of_order = reports.filter(|report| report.order == OrderId(number));
        of_order.any(|report| matches!(report.kind, ReportKind::Fill { .. }))
    }

    /// Everything recorded, on every lane. Allocations by message.
    fn hear_all(&mut self, recorded: &str) -> Vec<(u64, String)> {
        let mut taken = Vec::new();
        for lane in 0..self.lanes_len {
            for line in recorded.lines() {
                let line: Value = serde_json::from_str(line).unwrap();
                let text = line["message"].to_string();
                let count = self.say(lane, &text);
                self.clear();
                if count > 0 {
                    taken.push((count, text.chars().take(120).collect()));
                }
            }
            let (orders, reports, out) = (&mut self.orders, &mut self.reports, &mut self.out);
            let beat = counted(|| orders.on_beat(self.now, reports, out));
            if beat > 0 {
                taken.push((beat, "the beat".to_owned()));
            }
            self.clear();
        }
        taken
    }
}

fn extended() -> Rig<ExtendedOrders> {
    let key = || StarkKey::parse_hex("0x7a7ff6fd3cab02ccdcd4a572563f5976").unwrap();
    let config = MarketConfig {
        market: market(Venue::Extended),
        base_asset: Felt::from(6_u8),
        base_resolution: 1_000_000,
        quote_asset: Felt::ONE,
        quote_resolution: 1_000_000,
        fee_rate_taker: 250_000,
    };
    let orders = ExtendedOrders::new(OrdersSettings {
        order_url: "https://api.example/api/v1",
        api_key: "the-key",
        key: key(),
        chain: Chain::Main,
        vault: 10_002,
        markets: &[config],
        http_lanes: 2,
        requests_per_minute: 1_000,
        dead_mans_switch_s: 0,
    });
    let mut rig = Rig {
        orders: orders.unwrap(),
        reports: Reports::new(256),
        out: Outbox::new(1 << 16, 64),
        points: Vec::new(),
        now: NOW,
        is_http: |lane| lane > 0,
        lanes_len: 3,
    };
    let mut maker = stark::PointMaker::new(&key());
    rig.points.extend(maker.prepare().unwrap());
    (0..3).for_each(|lane| rig.link(lane, true));
    for (sequence, data) in [
        (1, r#"{"isSnapshot":true,"orders":[]}"#),
        (
            2,
            r#"{"isSnapshot":true,"balance":{"equity":"7.5","availableForTrade":"7"}}"#,
        ),
        (3, r#"{"isSnapshot":true,"positions":[]}"#),
    ] {
        rig.say(0, &account(sequence, data));
    }
    rig.clear();
    rig
}

/// A message of Extended's account stream.
fn account(sequence: u64, data: &str) -> String {
    format!(r#"{{"type":"X","data":{data},"ts":1,"seq":{sequence}}}"#)
}

#[test]
fn an_order_of_extended_and_its_reports_take_no_memory() {
    let mut rig = extended();
    let mut counts = Vec::new();
    for number in 1..=6_u64 {
        let placed = rig.place(Venue::Extended, 70 + number, number % 2 == 0);
        let lane = rig.out.items()[0].lane;
        rig.clear();
        let id = 1_791_389_621_914_243_000 + number;
        let external = format!("px-{}", 70 + number);
        let reply = format!(r#"{{"status":"OK","data":{{"id":{id},"externalId":"{external}"}}}}"#);
        let mut heard = rig.say(lane, &reply);
        let whose = format!(r#""market":"BTC-USD","side":"BUY","externalId":"{external}""#);
        let filled = r#""status":"FILLED","price":"84050.0","qty":"0.001","filledQty":"0.001""#;
        let order = format!(r#"{{"orders":[{{"id":{id},{whose},"type":"LIMIT",{filled}}}]}}"#);
        heard += rig.say(0, &account(2 + 2 * number, &order));
        let whose = format!(r#""market":"BTC-USD","side":"BUY","orderId":{id}"#);
        let what = r#""price":"84049.0","qty":"0.001","fee":"0.021","tradeType":"TRADE""#;
        let trade = format!(r#"{{"trades":[{{"id":{number},{whose},{what},"isTaker":true}}]}}"#);
        heard += rig.say(0, &account(3 + 2 * number, &trade));
        assert!(rig.has_filled(70 + number), "{:?}", rig.reports.items());
        rig.clear();
        counts.push((placed, heard));
    }
    println!("gateway-extended: allocations of an order and of its reports, in turn: {counts:?}");
    assert!(
        counts[2..].iter().all(|count| *count == (0, 0)),
        "{counts:?}"
    );
}

#[test]
fn what_extended_says_of_an_account_takes_no_memory() {
    let mut rig = extended();
    let recorded = include_str!("../data/extended/extended_messages.jsonl");
    rig.hear_all(recorded);
    let taken = rig.hear_all(recorded);
    println!("gateway-extended: {taken:?}");
    assert!(taken.is_empty(), "{taken:?}");
}

const ACCOUNT: u64 = 516;

/// A message of one of Lighter's account channels.
fn channel(kind: &str, name: &str, body: &str) -> String {
    format!(r#"{{{body},"type":"{kind}/{name}","channel":"{name}:{ACCOUNT}"}}"#)
}

fn lighter() -> Rig<LighterOrders> {
    let key = || PrivateKey::parse_hex(&"42".repeat(40)).unwrap();
    let setup = Setup {
        account_index: ACCOUNT,
        chain_id: 300,
        keys: vec![ApiKey {
            index: 5,
            private: key(),
        }],
        sends_per_minute: 1_000,
        rest_url: "https://mainnet.zklighter.elliot.ai".into(),
        dead_mans_switch_s: 0,
    };
    let mut rig = Rig {
        orders: LighterOrders::new(setup, &[market(Venue::Lighter)]).unwrap(),
        reports: Reports::new(256),
        out: Outbox::new(1 << 16, 64),
        points: Vec::new(),
        now: NOW,
        is_http: |lane| lane == 2,
        lanes_len: 3,
    };
    let mut maker = schnorr::PointMaker::new(&key());
    rig.points.extend(maker.prepare().unwrap());
    for lane in [0, 1] {
        rig.link(lane, true);
        rig.say(lane, r#"{"type":"connected"}"#);
    }
    rig.link(2, true);
    let stats = r#""stats":{"portfolio_value":"10","available_balance":"9"}"#;
    for (name, body) in [
        ("account_all_orders", r#""orders":{}"#),
        ("account_all_trades", r#""trades":{}"#),
        ("account_all_positions", r#""positions":{}"#),
        ("user_stats", stats),
    ] {
        rig.say(1, &channel("subscribed", name, body));
    }
    rig.orders.set_nonce(5, 100);
    rig.clear();
    rig
}

#[test]
fn an_order_of_lighter_and_its_reports_take_no_memory() {
    let mut rig = lighter();
    let mut counts = Vec::new();
    for number in 1..=6_u64 {
        let id = 70 + number;
        let placed = rig.place(Venue::Lighter, id, number % 2 == 0);
        rig.clear();
        let us = rig.now.0 / 1_000;
        let mut heard = rig.say(
            0,
            &format!(r#"{{"type":"jsonapi/sendtx","code":200,"id":"{id}"}}"#),
        );
        let whose = format!(r#""market_index":1,"client_order_index":{id}"#);
        let what = format!(r#""filled_base_amount":"0.001","transaction_time":{us}"#);
        let order = format!(r#""orders":{{"1":[{{{whose},"status":"filled",{what}}}]}}"#);
        let order = channel("update", "account_all_orders", &order);
        heard += rig.say(1, &order);
        let sides = format!(r#""ask_client_id":9,"bid_client_id":{id},"ask_account_id":1"#);
        let whose = format!(r#"{sides},"bid_account_id":{ACCOUNT},"is_maker_ask":true"#);
        let what = r#""type":"trade","market_id":1,"size":"0.001","price":"84049.0""#;
        let when = format!(r#""timestamp":1790000000000,"transaction_time":{us}"#);
        let fees = r#""usd_amount":"84.049","taker_fee":0,"maker_fee":0"#;
        let row = format!(r#"{{"trade_id":{number},{what},{whose},{fees},{when}}}"#);
        let trade = format!(r#""trades":{{"1":[{row}]}}"#);
        let trade = channel("update", "account_all_trades", &trade);
        heard += rig.say(1, &trade);
        assert!(rig.has_filled(id), "{:?}", rig.reports.items());
        rig.clear();
        counts.push((placed, heard));
    }
    println!("gateway-lighter: allocations of an order and of its reports, in turn: {counts:?}");
    assert!(
        counts[2..].iter().all(|count| *count == (0, 0)),
        "{counts:?}"
    );
}

#[test]
fn what_lighter_says_of_an_account_takes_no_memory() {
    let mut rig = lighter();
    let recorded = include_str!("../data/lighter/lighter_messages.jsonl");
    rig.hear_all(recorded);
    let taken = rig.hear_all(recorded);
    println!("gateway-lighter: {taken:?}");
    assert!(taken.is_empty(), "{taken:?}");
}
