//! The venue judged: one wrong request for each check, and whole lives of orders. Nothing sleeps;
//! the exchange is given its time by hand.

use super::frame::Topic;
use super::reply::Reply;
use super::rest::{Asked, Query};
use super::settlement::{Amounts, Decimal, Terms, domain_hash, parse_hex};
use super::*;
use crate::market::Venue;
use crate::market::book::Side;
use crate::market::units::{MS, Price};
use crate::sim::exchange::{Settings, rig};
use crate::sim::faults::Faults;
use crate::sim::faults::spec::Spec;
use crate::sim::flow::{Flow, FlowOptions};
use crate::sim::plant::Plant;
use crate::stage::clock::Clock;
use serde_json::{Value, json};
use std::collections::BTreeMap;

pub(super) const BTC: InstrumentId = InstrumentId(0);

pub(super) fn open() -> Arc<Desk> {
    open_with(None)
}

/// The venue with these faults, planned from this seed and due from now on.
pub(super) fn open_with(faults: Option<(&str, u64)>) -> Arc<Desk> {
    let settings = Settings::extended(5);
    let fees = Fees {
        taker_e6: settings.taker_fee_e6,
        maker_e6: settings.maker_fee_e6,
    };
    let mut options = FlowOptions::new(Venue::Extended, 5, Clock::new().now());
    options.plant = Plant::Off;
    let start = options.start;
    let flow = Flow::new(rig::embedded(), options).unwrap();
    let faults = faults.map(|(spec, seed)| {
        let here = (Venue::Extended, start);
        Faults::new(&Spec::parse(spec).unwrap(), seed, here, flow.rules()).unwrap()
    });
    let floor = Floor::new(Exchange::new(settings, flow), None);
    if let Some(faults) = faults {
        floor.set_faults(faults);
    }
    Desk::new(floor, Credentials::from_seed(5), fees)
}

/// Lets the exchange run ahead of the clock, as if this long had passed.
pub(super) fn pass(desk: &Desk, ms: u64) {
    desk.floor
        .act(|exchange, now, out| exchange.advance(now.plus(ms * MS), out));
}

pub(super) fn ask(desk: &Arc<Desk>, method: &str, target: &str, body: &Value) -> (u16, Value) {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let reply = desk.answer(&Asked {
        method,
        path: &format!("/api/v1{path}"),
        query: Query::parse(query),
        api_key: Some(&desk.keys.api_key),
        user_agent: Some("tests"),
        body: body.to_string().as_bytes(),
        ..Asked::default()
    });
    (reply.status, parse(&reply))
}

fn parse(reply: &Reply) -> Value {
    if reply.body.is_empty() {
        return Value::Null;
    }
    serde_json::from_str(&reply.body).unwrap()
}

pub(super) fn get(desk: &Arc<Desk>, target: &str) -> Value {
    let (status, mut body) = ask(desk, "GET", target, &Value::Null);
    assert_eq!(status, 200, "{target}: {body}");
    body["data"].take()
}

pub(super) fn best(desk: &Desk, side: Side) -> Price {
    desk.floor.look(|exchange| exchange.book(BTC, side)[0].0)
}

/// What a client fills in before it signs.
#[derive(Clone)]
pub(super) struct Draft {
    pub(super) side: &'static str,
    pub(super) qty: String,
    pub(super) price: String,
    fee: String,
    pub(super) nonce: u64,
    expiry_ms: u64,
}

fn draft(desk: &Desk) -> Draft {
    let below = Price(best(desk, Side::Bid).0 / 100 * 98).floor_to(desk.market(BTC).rules.tick);
    Draft {
        side: "BUY",
        qty: "0.001".into(),
        price: below.to_string(),
        fee: "0.00025".into(),
        nonce: 77,
        expiry_ms: desk.floor.now().epoch_ms() + 3_600_000,
    }
}

/// The request, signed by an independent library with the account's key.
fn signed(desk: &Desk, draft: &Draft) -> Value {
    let exact = |text: &str| Decimal::parse(text).unwrap_or(Decimal::ZERO);
    let terms = Terms {
        is_buy: draft.side == "BUY",
        qty: exact(&draft.qty),
        price: exact(&draft.price),
        fee: exact(&draft.fee),
        nonce: draft.nonce,
        expiry_ms: draft.expiry_ms,
        vault: desk.keys.vault,
        public_key: desk.account_key,
        assets: desk.market(BTC).assets,
    };
    // A draft that can't be signed is refused before anyone looks at the signature.
    let nothing = Amounts {
        base: 0,
        quote: 0,
        fee: 0,
        expiration_s: 0,
    };
    let amounts = terms.amounts().unwrap_or(nothing);
    let hash = terms.message_hash(domain_hash(CHAIN_ID), &amounts);
    let key = parse_hex(&desk.keys.private_key).unwrap();
    let (r, s) = settlement::sign(&key, &hash);
    json!({
        "id": hash.to_string(),
        "market": "BTC-USD",
        "type": "LIMIT",
        "side": draft.side,
        "qty": draft.qty,
        "price": draft.price,
        "reduceOnly": false,
        "postOnly": false,
        "timeInForce": "GTT",
        "expiryEpochMillis": draft.expiry_ms,
        "fee": draft.fee,
        "nonce": draft.nonce.to_string(),
        "selfTradeProtectionLevel": "ACCOUNT",
        "settlement": {
            "signature": {
                "r": format!("{r:#x}"),
                "s": format!("{s:#x}"),
            },
            "starkKey": desk.keys.public_key,
            "collateralPosition": desk.keys.vault.to_string(),
        },
    })
}

fn code(desk: &Arc<Desk>, body: &Value) -> u64 {
    let (status, reply) = ask(desk, "POST", "/user/order", body);
    if status == 200 {
        return 0;
    }
    assert_eq!(reply["status"], "ERROR");
    reply["error"]["code"].as_u64().unwrap()
}

/// A signed order whose draft was changed, and then its members.
pub(super) fn altered(desk: &Desk, draw: impl Fn(&mut Draft), write: impl Fn(&mut Value)) -> Value {
    let mut terms = draft(desk);
    draw(&mut terms);
    let mut body = signed(desk, &terms);
    write(&mut body);
    body
}

#[test]
fn shape_kind_and_size_have_their_own_codes() {
    let desk = open();
    let drawn = |draw: &dyn Fn(&mut Draft)| altered(&desk, draw, |_| {});
    let written = |write: &dyn Fn(&mut Value)| altered(&desk, |_| {}, write);
    let cases: Vec<(&str, u64, Value)> = vec![
        ("market", 1001, written(&|b| b["market"] = "NO-USD".into())),
        ("not an object", 422, json!([1, 2])),
        ("side", 422, written(&|b| b["side"] = "HOLD".into())),
        ("type", 422, written(&|b| b["type"] = "STOP".into())),
        ("qty a number", 422, written(&|b| b["qty"] = 1.into())),
        ("tpsl", 1132, written(&|b| b["type"] = "TPSL".into())),
        ("legs", 1132, written(&|b| b["takeProfit"] = json!({}))),
        (
            "market rests",
            1139,
            written(&|b| b["type"] = "MARKET".into()),
        ),
        ("fok", 1133, written(&|b| b["timeInForce"] = "FOK".into())),
        ("qty text", 1133, written(&|b| b["qty"] = "1e1".into())),
        ("lot", 1121, drawn(&|d| d.qty = "0.001001".into())),
        (
            "precision",
            1123,
            drawn(&|d| d.qty = "0.00100000001".into()),
        ),
        ("smallest", 1120, drawn(&|d| d.qty = "0.00005".into())),
        ("none", 1120, drawn(&|d| d.qty = "0".into())),
        ("negative", 1120, drawn(&|d| d.qty = "-0.001".into())),
        ("no price", 1130, written(&|b| b["price"] = Value::Null)),
    ];
    refused(&desk, &cases);
}

fn refused(desk: &Arc<Desk>, cases: &[(&str, u64, Value)]) {
    for (name, wanted, body) in cases {
        assert_eq!(code(desk, body), *wanted, "{name}");
    }
    let open = desk.floor.look(|exchange| exchange.open_orders().len());
    assert_eq!(open, 0);
}

#[test]
fn price_terms_and_signature_have_their_own_codes() {
    let desk = open();
    let now_ms = desk.floor.now().epoch_ms();
    let as_drawn = |_: &mut Value| {};
    let drawn = |draw: &dyn Fn(&mut Draft)| altered(&desk, draw, as_drawn);
    let written = |write: &dyn Fn(&mut Value)| altered(&desk, |_| {}, write);
    let above = (best(&desk, Side::Ask).0 / SCALE_USD * 12 / 10).to_string();
    let below = (best(&desk, Side::Bid).0 / SCALE_USD * 8 / 10).to_string();
    let cases: Vec<(&str, u64, Value)> = vec![
        ("zero price", 1141, drawn(&|d| d.price = "0".into())),
        ("tick", 1124, drawn(&|d| d.price = "60000.01".into())),
        (
            "price precision",
            1125,
            drawn(&|d| d.price = "1.0000000001".into()),
        ),
        ("cap", 1141, drawn(&|d| d.price.clone_from(&above))),
        (
            "floor",
            1141,
            drawn(&|d| (d.side, d.price) = ("SELL", below.clone())),
        ),
        ("value", 1122, drawn(&|d| d.qty = "300".into())),
        ("past", 1135, drawn(&|d| d.expiry_ms = now_ms - 1)),
        (
            "far",
            1135,
            drawn(&|d| d.expiry_ms = now_ms + EXPIRY_MS_MAX + 60_000),
        ),
        ("fee", 1128, drawn(&|d| d.fee = "0.00024".into())),
        ("nonce 0", 1133, drawn(&|d| d.nonce = 0)),
        ("nonce", 1133, drawn(&|d| d.nonce = 1 << 32)),
        ("nonce text", 1133, written(&|b| b["nonce"] = "+7".into())),
        ("empty id", 1133, written(&|b| b["id"] = "".into())),
        (
            "no settlement",
            1101,
            written(&|b| b["settlement"] = Value::Null),
        ),
        (
            "vault",
            1102,
            written(&|b| b["settlement"]["collateralPosition"] = "10003".into()),
        ),
        (
            "key",
            1100,
            written(&|b| b["settlement"]["starkKey"] = "0x123".into()),
        ),
        (
            "r",
            1101,
            written(&|b| b["settlement"]["signature"]["r"] = "0x123".into()),
        ),
        (
            "s not hex",
            1101,
            written(&|b| b["settlement"]["signature"]["s"] = "123".into()),
        ),
        ("signed qty", 1101, written(&|b| b["qty"] = "0.002".into())),
        ("signed side", 1101, written(&|b| b["side"] = "SELL".into())),
        ("signed fee", 1101, written(&|b| b["fee"] = "0.0005".into())),
        ("signed nonce", 1101, written(&|b| b["nonce"] = "78".into())),
        (
            "builder",
            1101,
            written(&|b| b["builderFee"] = "0.001".into()),
        ),
        (
            "signed expiry",
            1101,
            written(&|b| b["expiryEpochMillis"] = (now_ms + 9_000_000).into()),
        ),
        ("replace", 1142, written(&|b| b["cancelId"] = "none".into())),
        ("reduce", 1137, written(&|b| b["reduceOnly"] = true.into())),
        ("margin", 1140, drawn(&|d| d.qty = "20".into())),
    ];
    refused(&desk, &cases);
    assert_eq!(code(&desk, &signed(&desk, &draft(&desk))), 0);
}

const SCALE_USD: i64 = 1_000_000_000;

#[test]
fn one_order_is_taken_once() {
    let desk = open();
    let body = signed(&desk, &draft(&desk));
    assert_eq!(code(&desk, &body), 0);
    assert_eq!(code(&desk, &body), 1134);
    let mut renamed = body.clone();
    renamed["id"] = "renamed".into();
    assert_eq!(code(&desk, &renamed), 1134);
    let all = json!({"cancelAll": true});
    assert_eq!(ask(&desk, "POST", "/user/order/massCancel", &all).0, 200);
    pass(&desk, 50);
    assert_eq!(get(&desk, "/user/orders"), json!([]));
    assert_eq!(code(&desk, &body), 1134, "closed orders count too");
}

#[test]
fn an_order_fills_and_is_closed_reduce_only() {
    let desk = open();
    let (opening, mut frames) = desk.join(Topic::Account);
    assert_eq!(opening.len(), 3);
    let high = Price(best(&desk, Side::Ask).0 / 100 * 101).floor_to(desk.market(BTC).rules.tick);
    let buy = altered(
        &desk,
        |d| d.price = high.to_string(),
        |b| b["timeInForce"] = "IOC".into(),
    );
    let (status, reply) = ask(&desk, "POST", "/user/order", &buy);
    assert_eq!(status, 200);
    let id = reply["data"]["id"].as_u64().unwrap();
    assert_eq!(reply["data"]["externalId"], buy["id"]);
    assert!(
        frames.try_recv().is_err(),
        "nothing is told before it matched"
    );
    pass(&desk, 50);
    let mut kinds = BTreeMap::new();
    while let Ok(frame) = frames.try_recv() {
        let data: Value = serde_json::from_str(&frame.data).unwrap();
        kinds.insert(frame.kind.v2(), data);
    }
    let order = &kinds["ACCOUNT.ORDER"]["orders"][0];
    assert_eq!(order["status"], "FILLED");
    assert_eq!(order["id"], id);
    let trade = &kinds["ACCOUNT.TRADE"]["trades"][0];
    assert_eq!(
        (&trade["orderId"], &trade["isTaker"]),
        (&id.into(), &true.into())
    );
    assert_eq!(trade["externalOrderId"], buy["id"]);
    assert_eq!(kinds["ACCOUNT.POSITION"]["positions"][0]["size"], "0.00100");
    assert_eq!(kinds["ACCOUNT.BALANCE"]["balance"]["status"], "ACTIVE");
    assert_eq!(
        get(&desk, "/user/positions?side=LONG")
            .as_array()
            .unwrap()
            .len(),
        1
    );
    assert_eq!(get(&desk, "/user/positions?side=SHORT"), json!([]));
    assert_eq!(
        get(&desk, &format!("/user/orders/{id}"))["filledQty"],
        "0.00100"
    );
    assert_eq!(get(&desk, "/user/trades")[0]["orderId"], id);

    let reduce = |side: &'static str, qty: &str, nonce: u64| {
        let low = Price(best(&desk, Side::Bid).0 / 100 * 99).floor_to(Price(SCALE_USD));
        altered(
            &desk,
            |d| (d.side, d.price, d.qty, d.nonce) = (side, low.to_string(), qty.into(), nonce),
            |b| (b["reduceOnly"], b["timeInForce"]) = (true.into(), "IOC".into()),
        )
    };
    assert_eq!(code(&desk, &reduce("BUY", "0.001", 2)), 1138);
    assert_eq!(code(&desk, &reduce("SELL", "0.002", 3)), 1136);
    assert_eq!(code(&desk, &reduce("SELL", "0.001", 4)), 0);
    pass(&desk, 100);
    assert_eq!(get(&desk, "/user/positions"), json!([]));
    let history = get(&desk, "/user/orders/history?limit=1");
    assert_eq!(history.as_array().unwrap().len(), 1);
    let cursor = &history[0]["id"];
    let older = get(&desk, &format!("/user/orders/history?cursor={cursor}"));
    assert_eq!(older[0]["id"], id);
}

#[test]
fn a_replaced_order_gives_way_to_its_successor() {
    let desk = open();
    let first = altered(&desk, |_| {}, |b| b["postOnly"] = true.into());
    assert_eq!(code(&desk, &first), 0);
    pass(&desk, 50);
    let old = first["id"].clone();
    let second = altered(&desk, |d| d.nonce = 78, |b| b["cancelId"] = old.clone());
    assert_eq!(code(&desk, &second), 0);
    pass(&desk, 100);
    let by_own_id = |id: &Value| {
        let target = format!("/user/orders/external/{}", id.as_str().unwrap());
        get(&desk, &target)[0].clone()
    };
    assert_eq!(by_own_id(&old)["statusReason"], "ORDER_REPLACED");
    assert_eq!(by_own_id(&second["id"])["status"], "NEW");
    let id = by_own_id(&second["id"])["id"].clone();
    assert_eq!(
        ask(&desk, "DELETE", &format!("/user/order/{id}"), &Value::Null).0,
        200
    );
    pass(&desk, 150);
    let target = format!("/user/order?externalId={}", second["id"].as_str().unwrap());
    assert_eq!(ask(&desk, "DELETE", &target, &Value::Null).0, 404);
    assert_eq!(by_own_id(&second["id"])["status"], "CANCELLED");
}

#[test]
fn open_orders_are_limited() {
    let desk = open();
    for nonce in 1..=OPEN_ORDERS_MAX as u64 {
        let body = altered(
            &desk,
            |d| (d.nonce, d.qty) = (nonce, "0.0001".into()),
            |b| b["postOnly"] = true.into(),
        );
        assert_eq!(code(&desk, &body), 0);
    }
    let body = altered(&desk, |d| d.nonce = 1_000, |_| {});
    assert_eq!(code(&desk, &body), 1126);
}

#[test]
fn the_gate() {
    let desk = open();
    let bare = |api_key: Option<&str>, user_agent: Option<&str>, path: &str| {
        let reply = desk.answer(&Asked {
            method: "GET",
            path,
            query: Query::default(),
            api_key,
            user_agent,
            ..Asked::default()
        });
        (reply.status, parse(&reply)["error"]["code"].as_u64())
    };
    let agent = Some("tests");
    assert_eq!(bare(None, agent, "/api/v1/info/markets"), (200, None));
    assert_eq!(bare(None, None, "/api/v1/info/markets"), (400, Some(400)));
    assert_eq!(bare(None, agent, "/api/v1/user/balance"), (401, Some(401)));
    assert_eq!(
        bare(Some("x"), agent, "/api/v1/user/balance"),
        (401, Some(401))
    );
    assert_eq!(bare(None, agent, "/api/v1/info/none"), (404, Some(404)));
    assert_eq!(bare(None, agent, "/elsewhere"), (404, Some(404)));
    let unknown = "/api/v1/info/markets/NO-USD/stats";
    assert_eq!(bare(None, agent, unknown), (404, Some(1001)));
    for _ in 6..REQUESTS_PER_MINUTE_MAX {
        assert_ne!(bare(None, agent, "/elsewhere").0, 429);
    }
    assert_eq!(bare(None, agent, "/api/v1/info/markets"), (429, Some(429)));
}

#[test]
fn the_minute_slides() {
    let mut ledger = Ledger::default();
    let at = |ms: u64| Nanos(SECOND * 1_000 + ms * MS);
    for request in 0..REQUESTS_PER_MINUTE_MAX as u64 {
        assert!(ledger.admit(at(request)));
    }
    assert!(!ledger.admit(at(59_999)));
    assert!(ledger.admit(at(60_000)), "the first is a minute old");
    assert!(!ledger.admit(at(60_000)));
}

#[test]
fn leverage_is_bounded_by_the_market() {
    let desk = open();
    let set = |leverage: &str| {
        let change = json!({"market": "BTC-USD", "leverage": leverage});
        let (_, reply) = ask(&desk, "PATCH", "/user/leverage", &change);
        reply["error"]["code"].as_u64().unwrap_or(0)
    };
    assert_eq!(get(&desk, "/user/leverage")[0]["leverage"], "50");
    assert_eq!(set("0.5"), 1049);
    assert_eq!(set("51"), 1050);
    assert_eq!(set("7.123"), 1053);
    assert_eq!(set("7"), 0);
    assert_eq!(
        get(&desk, "/user/leverage?market=BTC-USD")[0]["leverage"],
        "7"
    );
}
