//! Lighter's orders and account: recorded frames decode to the expected values, requests read as
//! the official ones, arbitrary bytes do no harm.

use parallax::market::book::Side;
use parallax::market::event::FrameKind;
use parallax::market::order::{Action, Order, OrderId, OrderState, Refusal, Report, ReportKind};
use parallax::market::units::{Bps, Nanos, Notional, Price, SECOND, Size};
use parallax::market::{Bounds, InstrumentId, Market, Name, Venue};
use parallax::venue::lighter::orders::{ApiKey, LighterOrders, Setup, SetupError};
use parallax::venue::lighter::sign::order::CreateOrder;
use parallax::venue::lighter::sign::transaction::{Envelope, Transaction};
use parallax::venue::lighter::sign::{PrivateKey, verify};
use parallax::venue::{Orders, OutKind, Outbox, Reports};
use proptest::prelude::*;
use serde_json::{Value, json};

pub const MESSAGES: &str = include_str!("../data/lighter/lighter_messages.jsonl");
const TRANSACTIONS: &str = include_str!("../data/lighter/lighter_tx.json");
pub const NOW: Nanos = Nanos(1_785_432_000 * SECOND);

/// A recorded market: id, price decimals, size decimals.
pub fn market(instrument: u16, venue_market: u32, decimals: (u32, u32)) -> Market {
    Market {
        venue: Venue::Lighter,
        instrument: InstrumentId(instrument),
        name: Name::new("X").unwrap(),
        venue_market,
        tick: Price::from_scaled(1, decimals.0).unwrap(),
        lot: Size::from_scaled(1, decimals.1).unwrap(),
        size_min: Size(1),
        notional_min: Notional::ZERO,
        fee_taker: Bps::ZERO,
        fee_maker: Bps::ZERO,
        bounds: Bounds::default(),
    }
}

pub fn markets() -> Vec<Market> {
    vec![
        market(0, 0, (2, 4)),
        market(1, 1, (1, 5)),
        market(2, 36, (5, 1)),
    ]
}

/// Recorded messages of one kind whose source has `source` in it.
pub fn recorded(kind: &str, source: &str) -> Vec<Value> {
    let lines = MESSAGES
        .lines()
        .map(|line| -> Value { serde_json::from_str(line).unwrap() });
    let found: Vec<Value> = lines
        .filter(|line| line["kind"] == kind && line["source"].as_str().unwrap().contains(source))
        .map(|line| line["message"].clone())
        .collect();
    assert!(!found.is_empty(), "{kind}");
    found
}

pub fn sent(out: &Outbox) -> Vec<String> {
    let items = out.items().iter();
    items
        .map(|item| match item.kind {
            OutKind::Reconnect => format!("reconnect {}", item.lane),
            OutKind::Wake => format!("wake {}", item.lane),
            OutKind::Hang => format!("hang {}", item.lane),
            OutKind::Text | OutKind::Http => String::from_utf8(out.payload(item).to_vec()).unwrap(),
        })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let mut desk = Desk::live();
        desk.hear_bytes(0, bytes.clone());
        desk.hear_bytes(1, bytes);
    }

    #[test]
    fn bent_recorded_messages_never_panic(
        pick in any::<usize>(),
        at in any::<usize>(),
        byte in any::<u8>(),
    ) {
        let bytes = bent(pick, at, byte);
        let mut desk = Desk::live();
        desk.hear_bytes(0, bytes.clone());
        desk.hear_bytes(1, bytes);
    }
}

/// A recorded message with one other byte.
pub fn bent(pick: usize, at: usize, byte: u8) -> Vec<u8> {
    let lines: Vec<&str> = MESSAGES.lines().collect();
    let line: Value = serde_json::from_str(lines[pick % lines.len()]).unwrap();
    let mut bytes = line["message"].to_string().into_bytes();
    let at = at % bytes.len();
    bytes[at] = byte;
    bytes
}

pub const ACCOUNT: u64 = 516;

pub struct Desk {
    pub orders: LighterOrders,
    pub reports: Reports,
    pub out: Outbox,
    pub now: Nanos,
}

fn key() -> PrivateKey {
    PrivateKey::parse_hex(&"42".repeat(40)).unwrap()
}

pub fn setup(slots: &[u8]) -> Setup {
    let api_key = |index: &u8| ApiKey {
        index: *index,
        private: key(),
    };
    Setup {
        account_index: ACCOUNT,
        chain_id: 300,
        keys: slots.iter().map(api_key).collect(),
        sends_per_minute: 60,
        rest_url: "https://mainnet.zklighter.elliot.ai".into(),
        dead_mans_switch_s: 0,
    }
}

impl Desk {
    pub fn new(slots: &[u8]) -> Desk {
        Desk {
            orders: LighterOrders::new(setup(slots), &markets()).unwrap(),
            reports: Reports::new(64),
            out: Outbox::new(1 << 16, 64),
            now: NOW,
        }
    }

    /// Two keys, all lanes live, channels confirmed, nonces known, boxes empty.
    pub fn live() -> Desk {
        Desk::of(setup(&[5, 6]))
    }

    /// The same with other settings; slot n's next nonce is 100 * (n - 4).
    pub fn of(setup: Setup) -> Desk {
        let slots: Vec<u8> = setup.keys.iter().map(|key| key.index).collect();
        let mut desk = Desk::new(&[5]);
        desk.orders = LighterOrders::new(setup, &markets()).unwrap();
        desk.link(0, true);
        desk.hear(0, &json!({"type": "connected"}));
        desk.listen();
        desk.link(2, true);
        for slot in slots {
            desk.orders.set_nonce(slot, 100 * (u64::from(slot) - 4));
        }
        desk.told();
        desk.sent();
        desk
    }

    /// The account connection comes up, and all its channels are confirmed.
    pub fn listen(&mut self) {
        self.link(1, true);
        self.hear(1, &json!({"type": "connected"}));
        for (channel, body) in [
            ("account_all_orders", json!({"orders": {}})),
            ("account_all_trades", json!({"trades": {}})),
            ("account_all_positions", json!({"positions": {}})),
            (
                "user_stats",
                json!({"stats": {"portfolio_value": "10", "available_balance": "9"}}),
            ),
        ] {
            self.hear(1, &channel_frame("subscribed", channel, body));
        }
    }

    pub fn link(&mut self, lane: usize, up: bool) {
        let (reports, out) = (&mut self.reports, &mut self.out);
        self.orders.on_link(lane, up, self.now, reports, out);
    }

    pub fn hear(&mut self, lane: usize, message: &Value) -> FrameKind {
        self.hear_bytes(lane, message.to_string().into_bytes())
    }

    pub fn hear_bytes(&mut self, lane: usize, bytes: Vec<u8>) -> FrameKind {
        self.hear_status(lane, if lane == 2 { 200 } else { 0 }, bytes)
    }

    /// The same with an HTTP status.
    pub fn hear_status(&mut self, lane: usize, status: u16, mut bytes: Vec<u8>) -> FrameKind {
        let (reports, out) = (&mut self.reports, &mut self.out);
        self.orders
            .on_message(lane, status, &mut bytes, self.now, reports, out)
    }

    pub fn beat(&mut self, after_s: u64) {
        self.now = self.now.plus(after_s * SECOND);
        self.orders
            .on_beat(self.now, &mut self.reports, &mut self.out);
    }

    pub fn send(&mut self, order: &Order) -> Result<String, Refusal> {
        self.orders.sign(order, self.now, || None)?;
        self.orders.encode(self.now, &mut self.out);
        Ok(self.sent().join("|"))
    }

    /// Whether it was taken; what it wants sent stays in the outbox.
    pub fn orders_sign(&mut self, order: &Order) -> bool {
        let is_signed = self.orders.sign(order, self.now, || None).is_ok();
        self.orders.encode(self.now, &mut self.out);
        is_signed
    }

    pub fn sent(&mut self) -> Vec<String> {
        let texts = sent(&self.out);
        self.out.clear();
        texts
    }

    /// Slot of the key whose nonce is asked for on the REST lane.
    pub fn asked(&mut self) -> Option<u8> {
        self.beat(0);
        let texts = self.sent();
        let path = "GET /api/v1/nextNonce?account_index=";
        let question = texts.iter().find(|text| text.starts_with(path))?;
        let (_, tail) = question.split_once("api_key_index=")?;
        tail.split(' ').next()?.parse().ok()
    }

    pub fn told(&mut self) -> Vec<(u64, ReportKind)> {
        let line = |report: &Report| (report.order.0, report.kind);
        let told = self.reports.items().iter().map(line).collect();
        self.reports.clear();
        told
    }
}

pub fn channel_frame(kind: &str, channel: &str, body: Value) -> Value {
    let mut frame = body;
    frame["type"] = json!(format!("{kind}/{channel}"));
    frame["channel"] = json!(format!("{channel}:{ACCOUNT}"));
    frame
}

pub fn order(id: u64, action: Action) -> Order {
    Order {
        id: OrderId(id),
        action,
        venue: Venue::Lighter,
        instrument: InstrumentId(1),
        side: Side::Ask,
        price: Price::parse(b"58300.0").unwrap(),
        size: Size::parse(b"0.001").unwrap(),
        reduce_only: true,
        t_tick: NOW,
        t_decide: NOW,
    }
}

pub fn state(state: OrderState, filled: &[u8]) -> ReportKind {
    let filled = Size::parse(filled).unwrap();
    ReportKind::State { state, filled }
}

#[test]
fn a_request_is_the_official_one_and_validly_signed() {
    let mut desk = Desk::live();
    let text = desk.send(&order(424_242_424_242, Action::Place)).unwrap();
    let request: Value = serde_json::from_str(&text).unwrap();
    let sig = request["data"]["tx_info"]["Sig"].as_str().unwrap();
    let expired_at = NOW.epoch_ms() + 599_000;
    assert_eq!(
        text,
        format!(
            "{{\"type\":\"jsonapi/sendtx\",\"data\":{{\"id\":\"424242424242\",\"tx_type\":14,\
             \"tx_info\":{{\"AccountIndex\":516,\"ApiKeyIndex\":5,\"MarketIndex\":1,\
             \"ClientOrderIndex\":424242424242,\"BaseAmount\":100,\"Price\":583000,\"IsAsk\":1,\
             \"Type\":0,\"TimeInForce\":0,\"ReduceOnly\":1,\"TriggerPrice\":0,\"OrderExpiry\":0,\
             \"ExpiredAt\":{expired_at},\"Nonce\":100,\"Sig\":\"{sig}\",\
             \"L2TxAttributes\":null}}}}}}"
        )
    );
    let envelope = Envelope {
        chain_id: 300,
        account_index: ACCOUNT,
        api_key_index: 5,
        expired_at_ms: expired_at,
        nonce: 100,
    };
    let create = CreateOrder {
        market_index: 1,
        client_order_index: 424_242_424_242,
        base_amount: 100,
        price: 583_000,
        is_ask: true,
        reduce_only: true,
        ..CreateOrder::default()
    };
    let hash = Transaction::create_order(envelope, &create).unwrap().hash();
    use base64::Engine;
    let signature = base64::engine::general_purpose::STANDARD
        .decode(sig)
        .unwrap();
    let signature = signature.try_into().unwrap();
    assert!(verify(&key().public_key(), hash, &signature));

    let cancel = desk.send(&order(424_242_424_242, Action::Cancel)).unwrap();
    assert!(
        cancel.contains("\"id\":\"c424242424242.2\",\"tx_type\":15,"),
        "{cancel}"
    );
    assert!(cancel.contains("\"MarketIndex\":1,\"Index\":424242424242,\"ExpiredAt\""));
}

/// The official signer's immediate-or-cancel orders, sent through the gateway: same keys, same
/// order, same integers.
#[test]
fn official_orders_through_the_gateway_read_the_same() {
    let root: Value = serde_json::from_str(TRANSACTIONS).unwrap();
    let mut seen = 0;
    for case in root["cases"].as_array().unwrap() {
        let official = case["tx_info"].as_str().unwrap();
        let info: Value = serde_json::from_str(official).unwrap();
        let get = |key: &str| info[key].as_u64().unwrap();
        let is_ours = case["tx_type"] == 14
            && (get("Type"), get("TimeInForce")) == (0, 0)
            && info["L2TxAttributes"].is_null()
            && get("MarketIndex") < 4096
            && get("ClientOrderIndex") > 0
            && get("BaseAmount") > 0
            && get("BaseAmount") < 1 << 40;
        if !is_ours {
            continue;
        }
        let api_key = ApiKey {
            index: get("ApiKeyIndex") as u8,
            private: PrivateKey::parse_hex(case["private_key"].as_str().unwrap()).unwrap(),
        };
        let setup = Setup {
            account_index: get("AccountIndex"),
            chain_id: case["chain_id"].as_u64().unwrap(),
            keys: vec![api_key],
            sends_per_minute: 60,
            rest_url: String::new(),
            dead_mans_switch_s: 0,
        };
        let market = market(7, get("MarketIndex") as u32, (6, 6));
        let mut desk = Desk::new(&[5]);
        desk.orders = LighterOrders::new(setup, &[market]).unwrap();
        desk.orders
            .set_nonce(get("ApiKeyIndex") as u8, get("Nonce"));
        desk.now = Nanos((get("ExpiredAt") - 599_000) * 1_000_000);
        desk.link(0, true);
        desk.hear(0, &json!({"type": "connected"}));
        let order = Order {
            instrument: InstrumentId(7),
            side: if get("IsAsk") == 1 {
                Side::Ask
            } else {
                Side::Bid
            },
            price: Price::from_scaled(get("Price") as i64, 6).unwrap(),
            size: Size::from_scaled(get("BaseAmount") as i64, 6).unwrap(),
            reduce_only: get("ReduceOnly") == 1,
            ..order(get("ClientOrderIndex"), Action::Place)
        };
        let text = desk.send(&order).unwrap();
        let bare = |text: &str| {
            let (head, tail) = text.split_once("\"Sig\":\"").unwrap();
            format!("{head}{}", tail.split_once('"').unwrap().1)
        };
        let ours = text.split_once("\"tx_info\":").unwrap().1;
        assert_eq!(bare(ours.strip_suffix("}}").unwrap()), bare(official));
        seen += 1;
    }
    assert!(seen >= 3, "{seen}");
}

#[test]
fn row_14_keys_rotate_and_nonces_follow_the_answers() {
    let mut desk = Desk::live();
    let nonce = |text: &str| -> u64 {
        let tail = text.split_once("\"Nonce\":").unwrap().1;
        tail.split(',').next().unwrap().parse().unwrap()
    };
    assert_eq!(nonce(&desk.send(&order(1, Action::Place)).unwrap()), 100);
    assert_eq!(nonce(&desk.send(&order(2, Action::Place)).unwrap()), 200);
    assert_eq!(desk.send(&order(3, Action::Place)), Err(Refusal::Busy));

    let mut answer = recorded("ws jsonapi/sendtx response", "ccxt")[0].clone();
    answer["id"] = json!("1");
    desk.hear(0, &answer);
    assert_eq!(desk.told(), [(1, ReportKind::Acknowledged)]);
    let mut refusal = recorded("ws sendtx rejection", "")[0].clone();
    refusal["id"] = json!("2");
    refusal["error"]["code"] = json!(21_702);
    desk.hear(0, &refusal);
    assert_eq!(desk.told(), [(2, ReportKind::Rejected { code: 21_702 })]);
    assert_eq!(nonce(&desk.send(&order(3, Action::Place)).unwrap()), 101);
    assert_eq!(nonce(&desk.send(&order(4, Action::Place)).unwrap()), 200);

    desk.hear(
        0,
        &json!({"error": {"code": 21_104, "message": "invalid nonce"}, "id": "4"}),
    );
    assert_eq!(desk.told(), [(4, ReportKind::Rejected { code: 21_104 })]);
    assert_eq!(desk.asked(), Some(6));
    desk.hear(
        0,
        &json!({"type": "jsonapi/sendtx", "code": 200, "id": "3"}),
    );
    assert_eq!(nonce(&desk.send(&order(5, Action::Place)).unwrap()), 102);
    assert_eq!(desk.send(&order(6, Action::Place)), Err(Refusal::Busy));
    desk.hear(2, &json!({"code": 200, "nonce": 207}));
    assert_eq!(nonce(&desk.send(&order(6, Action::Place)).unwrap()), 207);
}

#[test]
fn a_refusal_without_id_belongs_to_the_only_one_on_its_way() {
    let mut desk = Desk::live();
    desk.send(&order(1, Action::Place)).unwrap();
    desk.hear(
        0,
        &json!({"error": {"code": 21_501, "message": "invalid tx info"}}),
    );
    assert_eq!(desk.told(), [(1, ReportKind::Rejected { code: 21_501 })]);
    desk.send(&order(2, Action::Place)).unwrap();
    desk.send(&order(3, Action::Place)).unwrap();
    desk.hear(
        0,
        &json!({"error": {"code": 21_501, "message": "invalid tx info"}}),
    );
    assert_eq!(desk.told(), []);
}

#[test]
fn row_15_silence_and_a_broken_lane_mean_unknown() {
    let mut desk = Desk::live();
    desk.send(&order(1, Action::Place)).unwrap();
    desk.beat(2);
    assert_eq!(desk.told(), []);
    desk.beat(1);
    assert_eq!(desk.told(), [(1, state(OrderState::Unknown, b"0"))]);
    assert_eq!(desk.asked(), Some(5));
    desk.send(&order(2, Action::Place)).unwrap();
    desk.link(0, false);
    let unknown = state(OrderState::Unknown, b"0");
    assert_eq!(desk.told(), [(2, unknown), (0, ReportKind::Down)]);
    assert_eq!(
        desk.send(&order(3, Action::Place)),
        Err(Refusal::NotConnected)
    );

    // The first order turns out to have arrived after all; the second stays in doubt.
    desk.link(0, true);
    desk.hear(0, &json!({"type": "connected"}));
    assert_eq!(desk.told(), [(0, ReportKind::Up)]);
    desk.hear(
        0,
        &json!({"code": 200, "id": "1", "type": "jsonapi/sendtx"}),
    );
    assert_eq!(desk.told(), [(1, ReportKind::Acknowledged)]);
}

#[test]
fn row_16_a_refused_question_for_a_nonce_is_not_asked_again_at_once() {
    let mut desk = Desk::live();
    desk.link(2, true);
    desk.send(&order(1, Action::Place)).unwrap();
    desk.beat(3);
    let first = desk.sent();
    assert!(
        first.iter().any(|text| text.contains("nextNonce")),
        "{first:?}"
    );
    desk.hear(2, &json!({"code": 23_000, "message": "Too Many Requests"}));
    desk.beat(0);
    desk.beat(4);
    assert_eq!(desk.asked(), None);
    desk.beat(1);
    let again = desk.sent();
    assert!(
        again.iter().any(|text| text.contains("nextNonce")),
        "{again:?}"
    );
}

#[test]
fn row_15_a_nonce_taken_by_another_order_settles_the_lost_one() {
    let mut desk = Desk::live();
    desk.send(&order(1, Action::Place)).unwrap();
    desk.beat(3);
    desk.told();
    desk.orders.set_nonce(5, 100);
    desk.send(&order(2, Action::Place)).unwrap();
    desk.send(&order(3, Action::Place)).unwrap();
    desk.hear(
        0,
        &json!({"code": 200, "id": "2", "type": "jsonapi/sendtx"}),
    );
    let settled = state(OrderState::Cancelled, b"0");
    assert_eq!(desk.told(), [(2, ReportKind::Acknowledged), (1, settled)]);
    desk.hear(
        0,
        &json!({"code": 200, "id": "3", "type": "jsonapi/sendtx"}),
    );
    assert_eq!(desk.told(), [(3, ReportKind::Acknowledged)]);
}

#[test]
fn refusals_before_anything_is_sent() {
    let mut desk = Desk::live();
    let good = order(1, Action::Place);
    for bad in [
        Order {
            price: Price(1),
            ..good
        },
        Order {
            size: Size(1),
            ..good
        },
        Order {
            price: Price(0),
            ..good
        },
        Order {
            size: -good.size,
            ..good
        },
        Order {
            price: Price::parse(b"429496729.6").unwrap(),
            ..good
        },
        Order {
            id: OrderId(0),
            ..good
        },
        Order {
            id: OrderId(1 << 48),
            ..good
        },
    ] {
        assert_eq!(desk.send(&bad), Err(Refusal::OffGrid));
    }
    let elsewhere = Order {
        instrument: InstrumentId(9),
        ..good
    };
    assert_eq!(desk.send(&elsewhere), Err(Refusal::UnknownMarket));
    for id in 1..=60 {
        desk.send(&order(id, Action::Place)).unwrap();
        desk.hear(
            0,
            &json!({"code": 200, "id": id.to_string(), "type": "jsonapi/sendtx"}),
        );
    }
    assert_eq!(
        desk.send(&order(61, Action::Place)),
        Err(Refusal::RateBudget)
    );

    let fresh = LighterOrders::new(setup(&[]), &markets()).err();
    assert_eq!(fresh, Some(SetupError::NoKeys));
    let fresh = LighterOrders::new(setup(&[7, 7]), &markets()).err();
    assert_eq!(fresh, Some(SetupError::DuplicateSlot(7)));
    let mut odd = market(0, 0, (2, 4));
    odd.tick = Price(50_000_000);
    let fresh = LighterOrders::new(setup(&[7]), &[odd]).err();
    assert_eq!(fresh, Some(SetupError::Grid(InstrumentId(0))));
    let mut desk = Desk::new(&[7]);
    desk.link(0, true);
    desk.hear(0, &json!({"type": "connected"}));
    assert_eq!(desk.send(&good), Err(Refusal::NonceUnknown));
}

#[test]
fn up_needs_both_lanes_and_every_channel() {
    let mut desk = Desk::new(&[5]);
    desk.link(0, true);
    desk.hear(0, &json!({"type": "connected"}));
    desk.link(1, true);
    desk.hear(1, &json!({"type": "connected"}));
    let texts = desk.sent();
    let channels = [
        "account_all_orders",
        "account_all_trades",
        "account_all_positions",
        "user_stats",
    ];
    for (text, channel) in texts.iter().zip(channels) {
        let head = format!("{{\"type\":\"subscribe\",\"channel\":\"{channel}/516\",\"auth\":\"");
        assert!(text.starts_with(&head), "{text}");
        let deadline = NOW.0 / SECOND + 8 * 3600 - 600;
        assert!(text.contains(&format!("\"{deadline}:516:5:")));
    }
    assert_eq!(texts.len(), 4);
    let orders = &recorded("ws subscribed/account_all_orders", "docs/lighter")[0];
    desk.hear(1, orders);
    let positions = &recorded("ws subscribed/account_all_positions", "choosemycoins")[0];
    desk.hear(1, positions);
    desk.hear(
        1,
        &recorded("ws subscribed/account_all_trades", "choosemycoins")[0],
    );
    let flat = ReportKind::Position { size: Size::ZERO };
    assert_eq!(desk.told(), [(0, flat); 3]);
    let mut stats = recorded("ws user_stats_with_position", "")[0].clone();
    stats["channel"] = json!("user_stats:516");
    desk.hear(1, &stats);
    let balance = ReportKind::Balance {
        equity: Notional::from_nano(39_995_169_000),
        available: Notional::from_nano(39_168_314_000),
    };
    assert_eq!(desk.told(), [(0, balance), (0, ReportKind::Up)]);
    desk.link(1, false);
    assert_eq!(desk.told(), [(0, ReportKind::Down)]);
}

#[test]
fn recorded_order_frames() {
    let mut desk = Desk::live();
    let frames = recorded("ws update/account_all_orders", "step4");
    assert_eq!(desk.hear(1, &frames[0]), FrameKind::Update);
    assert_eq!(desk.hear(1, &frames[1]), FrameKind::Update);
    let id = 424_242_424_242;
    let [open, over] = [OrderState::Working, OrderState::Cancelled].map(|s| state(s, b"0"));
    assert_eq!(desk.told(), [(id, open), (id, over)]);

    // Ours: a frame older in venue time does not take the newer one back.
    desk.send(&order(id, Action::Place)).unwrap();
    desk.hear(1, &frames[1]);
    desk.hear(1, &frames[0]);
    assert_eq!(desk.told(), [(id, over)]);
    desk.hear(
        0,
        &json!({"code": 200, "id": id.to_string(), "type": "jsonapi/sendtx"}),
    );
    desk.told();
    desk.send(&order(id, Action::Query)).unwrap();
    desk.beat(0);
    assert_eq!(desk.told(), [(id, over)]);
}

#[test]
fn an_order_missing_from_a_later_snapshot_is_in_doubt() {
    let mut desk = Desk::live();
    desk.send(&order(1, Action::Place)).unwrap();
    desk.hear(
        0,
        &json!({"code": 200, "id": "1", "type": "jsonapi/sendtx"}),
    );
    desk.told();
    let none = channel_frame("subscribed", "account_all_orders", json!({"orders": {}}));
    desk.hear(1, &none);
    assert_eq!(desk.told(), [(1, state(OrderState::Unknown, b"0"))]);
}

pub fn trade(id: u64, us: u64) -> Value {
    let mut frame = recorded("ws account_all_trades_update", "")[0].clone();
    frame["channel"] = json!("account_all_trades:516");
    let trade = &mut frame["trades"]["0"][0];
    trade["bid_account_id"] = json!(ACCOUNT);
    trade["trade_id"] = json!(id);
    trade["transaction_time"] = json!(us);
    frame
}

#[test]
fn a_trade_is_a_fill_once() {
    let mut desk = Desk::live();
    let us = NOW.0 / 1000;
    assert_eq!(desk.hear(1, &trade(7, us)), FrameKind::Update);
    assert_eq!(desk.hear(1, &trade(7, us)), FrameKind::Update);
    // 314.324728 USD at 196 millionths; the venue's asker was the maker, so we took.
    let fill = ReportKind::Fill {
        trade: 7,
        side: Side::Bid,
        price: Price::parse(b"2352.73").unwrap(),
        size: Size::parse(b"0.1336").unwrap(),
        fee: Notional(61_607_646_688_000_000),
    };
    assert_eq!(desk.told(), [(7_001_011_966, fill)]);
    let mut maker = trade(8, us);
    maker["trades"]["0"][0]["is_maker_ask"] = json!(false);
    desk.hear(1, &maker);
    let [(_, ReportKind::Fill { fee, .. })] = desk.told()[..] else {
        panic!("one fill");
    };
    assert_eq!(fee, Notional(8_801_092_384_000_000));
    let mut foreign = trade(9, us);
    foreign["trades"]["0"][0]["bid_account_id"] = json!(1);
    desk.hear(1, &foreign);
    assert_eq!(desk.told(), []);
}

#[test]
fn old_trades_of_a_snapshot_are_not_news() {
    let mut desk = Desk::live();
    let us = NOW.0 / 1000;
    for (id, us, told) in [(1, us - 1, 0), (2, us, 1), (2, us, 0)] {
        let mut snapshot = trade(id, us);
        snapshot["type"] = json!("subscribed/account_all_trades");
        assert_eq!(desk.hear(1, &snapshot), FrameKind::Snapshot);
        assert_eq!(desk.told().len(), told);
    }
}

#[test]
fn positions_are_the_venues_own() {
    let mut desk = Desk::live();
    let mut frame = recorded("ws account_all_positions_update", "")[0].clone();
    frame["channel"] = json!("account_all_positions:516");
    desk.hear(1, &frame);
    frame["positions"]["0"]["sign"] = json!(-1);
    desk.hear(1, &frame);
    let [long, short] =
        [1_500_000_000, -1_500_000_000].map(|size| ReportKind::Position { size: Size(size) });
    assert_eq!(desk.told(), [(0, long), (0, short)]);
}

#[test]
fn row_36_funding_is_the_difference_of_totals() {
    let mut desk = Desk::live();
    let mut frame = recorded("ws account_all_positions_update", "")[0].clone();
    frame["channel"] = json!("account_all_positions:516");
    let size = Size(1_500_000_000);
    let position = (0, ReportKind::Position { size });
    // The first total is the past; a snapshot after a break says what was missed in it, once.
    for (kind, total, paid) in [
        ("update", "0.05", None),
        ("update", "-0.25", Some(-300_000_000)),
        ("subscribed", "-0.25", None),
        ("subscribed", "-0.125", Some(125_000_000)),
        ("update", "-0.125", None),
    ] {
        frame["type"] = json!(format!("{kind}/account_all_positions"));
        frame["positions"]["0"]["total_funding_paid_out"] = json!(total);
        desk.hear(1, &frame);
        let paid = paid.map(|nano| {
            let amount = Notional::from_nano(nano);
            (0, ReportKind::Funding { amount, size })
        });
        let told = desk.told();
        let of_eth = told.iter().take(1 + usize::from(paid.is_some()));
        let wanted: Vec<_> = paid.into_iter().chain([position]).collect();
        assert!(of_eth.eq(&wanted), "{total}: {told:?}");
        let more = told
            .iter()
            .filter(|one| matches!(one.1, ReportKind::Funding { .. }));
        assert_eq!(more.count(), wanted.len() - 1);
    }
}

#[test]
fn an_unreadable_account_frame_starts_the_stream_anew() {
    let mut desk = Desk::live();
    let mut frame = trade(1, 1);
    frame["trades"]["0"][0]["price"] = json!("x");
    assert_eq!(desk.hear(1, &frame), FrameKind::Malformed);
    assert_eq!(desk.sent(), ["reconnect 1"]);
    assert_eq!(desk.hear_bytes(1, b"{".to_vec()), FrameKind::Malformed);
    assert_eq!(desk.sent(), ["reconnect 1"]);
    let refused = json!({"error": {"code": 20_013, "message": "invalid auth"}});
    desk.hear(1, &refused);
    assert_eq!(desk.sent(), ["reconnect 1"]);
}

#[test]
fn row_43_tokens_are_renewed_one_channel_at_a_time_without_going_down() {
    let mut desk = Desk::live();
    let mut texts = Vec::new();
    // Keep both connections alive up to half of a token's life.
    for _ in 0..(8 * 3600 - 600) / 2 / 40 + 1 {
        desk.beat(40);
        desk.hear(0, &json!({"type": "pong"}));
        desk.hear(1, &json!({"type": "pong"}));
        texts.extend(desk.sent());
    }
    let leaves = texts.iter().filter(|text| text.contains("unsubscribe"));
    assert_eq!(leaves.count(), 1);
    assert_eq!(desk.told(), []);
    for (i, channel) in ["account_all_orders", "account_all_trades"]
        .iter()
        .enumerate()
    {
        let left = json!({"type": "unsubscribed", "channel": format!("{channel}:516")});
        desk.hear(1, &left);
        let texts = desk.sent();
        assert!(
            texts.len() == 1 && texts[0].contains("\"auth\""),
            "{i} {texts:?}"
        );
        let body = json!({"orders": {}, "trades": {}});
        desk.hear(1, &channel_frame("subscribed", channel, body));
        desk.beat(0);
        assert!(desk.sent()[0].contains("unsubscribe"));
    }
    assert_eq!(desk.told(), [], "never went down");
    desk.beat(10);
    assert_eq!(desk.sent(), ["reconnect 1"]);
    assert_eq!(desk.told(), [(0, ReportKind::Down)]);
}
