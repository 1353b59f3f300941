//! The simulated Lighter as a client meets it: each wrong request and its code, what an accepted
//! transaction does later.

use super::codes::Refusal;
use super::desk::{Desk, Options, lock};
use super::keys::{Credentials, credentials};
use super::{check, sign};
use crate::market::book::Side;
use crate::market::units::{MS, Nanos};
use crate::market::{InstrumentId, Venue};
use crate::sim::exchange::{Exchange, LighterTier, Settings, rig};
use crate::sim::faults::Faults;
use crate::sim::faults::spec::Spec;
use crate::sim::flow::{Flow, FlowOptions};
use crate::sim::server::Floor;
use crate::stage::clock::Clock;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use std::sync::Arc;

const BTC: u32 = 1;

pub(super) fn floor() -> Arc<Floor> {
    floor_with(None)
}

/// With these faults, planned from this seed and due from now on.
pub(super) fn floor_with(faults: Option<(&str, u64)>) -> Arc<Floor> {
    let start = Clock::new().now();
    let options = FlowOptions::new(Venue::Lighter, 1, start);
    let flow = Flow::new(rig::embedded(), options).unwrap();
    let faults = faults.map(|(spec, seed)| {
        let here = (Venue::Lighter, start);
        Faults::new(&Spec::parse(spec).unwrap(), seed, here, flow.rules()).unwrap()
    });
    let settings = Settings::lighter(LighterTier::Standard, 1);
    let floor = Floor::new(Exchange::new(settings, flow), None);
    if let Some(faults) = faults {
        floor.set_faults(faults);
    }
    floor
}

/// A client with the account's keys and a signer of its own.
pub(super) struct Client {
    pub(super) desk: Arc<Desk>,
    pub(super) credentials: Credentials,
}

impl Client {
    fn new() -> Client {
        Client::with(Options::of(LighterTier::Standard))
    }

    fn with(options: Options) -> Client {
        Client::on(floor(), options)
    }

    /// A client of a venue on this floor.
    pub(super) fn on(floor: Arc<Floor>, options: Options) -> Client {
        let credentials = credentials(1);
        let desk = Desk::new(floor, credentials.clone(), options);
        Client { desk, credentials }
    }

    fn now_ms(&self) -> u64 {
        self.desk.floor.now().epoch_ms()
    }

    pub(super) fn nonce(&self, key: usize) -> i64 {
        lock(&self.desk.slots)[key].next_nonce
    }

    /// The fields every transaction has, and its own, signed with key `key` for `chain_id`.
    fn signed(&self, tx_type: u8, own: Value, key: usize, chain_id: u64) -> String {
        let mut info = json!({
            "AccountIndex": self.credentials.account_index,
            "ApiKeyIndex": self.credentials.keys[key].index,
            "ExpiredAt": self.now_ms() + 599_000, "Nonce": self.nonce(key),
            "L2TxAttributes": null,
        });
        super::models::join(&mut info, own);
        let hash = sign::transaction_hash(chain_id, tx_type, info.as_object().unwrap()).unwrap();
        let signature = self.signature(key, &hash);
        info["Sig"] = STANDARD.encode(signature).into();
        info.to_string()
    }

    fn signature(&self, key: usize, hash: &[u8]) -> Vec<u8> {
        let private_key = sign::unhex(&self.credentials.keys[key].private_key_hex).unwrap();
        goldilocks_crypto::sign_hashed_message(&private_key, hash, &[7; 39]).unwrap()
    }

    pub(super) fn sign(&self, tx_type: u8, own: Value) -> String {
        self.signed(tx_type, own, 0, self.credentials.chain_id)
    }

    /// A buy of 0.001 BTC, far enough through the book to fill.
    pub(super) fn buy(&self) -> Value {
        let price = self.desk.floor.look(|exchange| {
            let best = exchange.book(InstrumentId(0), Side::Ask)[0].0;
            best.to_scaled(exchange.rules()[0].price_decimals).unwrap()
        });
        json!({
            "MarketIndex": BTC, "ClientOrderIndex": 42, "BaseAmount": 100,
            "Price": price + price / 200, "IsAsk": 0, "Type": 0, "TimeInForce": 0,
            "ReduceOnly": 0, "TriggerPrice": 0, "OrderExpiry": 0,
        })
    }

    /// A post-only bid a little below the book.
    pub(super) fn rest(&self) -> Value {
        let mut order = self.buy();
        let price = order["Price"].as_i64().unwrap() * 98 / 100;
        order["Price"] = price.into();
        order["TimeInForce"] = 2.into();
        order["OrderExpiry"] = (self.now_ms() + 3_600_000).into();
        order
    }

    pub(super) fn send(&self, tx_type: u8, own: Value) -> Result<String, Refusal> {
        let info = self.sign(tx_type, own);
        let receipt = self.desk.send(u64::from(tx_type), &info)?;
        Ok(receipt.hashes[0].clone())
    }

    /// Lets `ms` pass on the exchange.
    pub(super) fn pass(&self, ms: u64) {
        self.desk.floor.act(|exchange, now, out| {
            exchange.advance(now.plus(ms * MS), out);
        });
    }

    /// `ae` of a transaction, parsed; null when empty. And its status.
    pub(super) fn verdict(&self, hash: &str) -> (Value, u64) {
        let shown = self.desk.floor.look(|exchange| {
            let ledger = lock(&self.desk.ledger);
            ledger.by_hash(hash).unwrap().show(exchange, 1, "")
        });
        let event: Value = serde_json::from_str(shown["event_info"].as_str().unwrap()).unwrap();
        let ae = event["ae"].as_str().unwrap();
        let ae = serde_json::from_str(ae).unwrap_or(Value::Null);
        (ae, shown["status"].as_u64().unwrap())
    }
}

pub(super) fn changed(mut order: Value, key: &str, value: Value) -> Value {
    order[key] = value;
    order
}

#[test]
fn each_wrong_transaction_has_its_code_and_spends_no_nonce() {
    let client = Client::with(Options {
        sends_per_minute: 1_000,
        ..Options::of(LighterTier::Standard)
    });
    let buy = client.buy();
    let wrong = [
        (21100, "AccountIndex", json!(5)),
        (21102, "AccountIndex", json!(-5)),
        (21109, "ApiKeyIndex", json!(99)),
        (21110, "ApiKeyIndex", json!(255)),
        (21104, "Nonce", json!(1)),
        (21104, "Nonce", json!(-1)),
        (21711, "ExpiredAt", json!(client.now_ms() - 1)),
        (21501, "Price", json!("1")),
        (21501, "L2TxAttributes", json!({"99": 1})),
        (21602, "MarketIndex", json!(77)),
        (21702, "Price", json!(0)),
        (21701, "BaseAmount", json!(0)),
        (21706, "BaseAmount", json!(1)),
        (21727, "ClientOrderIndex", json!(check::WIDTH_48 + 1)),
        (21705, "TimeInForce", json!(7)),
        (21711, "TimeInForce", json!(1)),
        (21729, "TriggerPrice", json!(7)),
        (21732, "ReduceOnly", json!(1)),
        (21733, "Price", json!(buy["Price"].as_i64().unwrap() * 2)),
        (21734, "Price", json!(buy["Price"].as_i64().unwrap() / 2)),
    ];
    for (code, key, value) in wrong {
        let order = changed(buy.clone(), key, value.clone());
        // A malformed field can't be hashed: such a request carries any signature.
        let info = if code == 21501 {
            let good: Value = serde_json::from_str(&client.sign(14, buy.clone())).unwrap();
            changed(good, key, value).to_string()
        } else {
            client.sign(14, order)
        };
        let refused = client.desk.send(14, &info).unwrap_err();
        assert_eq!(refused.code, code, "{key}");
        assert_eq!(client.nonce(0), 0, "{key}");
    }
    assert_eq!(client.desk.send(14, "{}").unwrap_err().code, 21501);
    assert_eq!(client.desk.send(28, "{}").unwrap_err().code, 21505);
}

#[test]
fn a_signature_of_another_key_or_chain_is_21120() {
    let client = Client::new();
    let as_key_0 = json!({"ApiKeyIndex": client.credentials.keys[0].index, "Nonce": 0});
    let mut order = client.buy();
    super::models::join(&mut order, as_key_0);
    let by_other = client.signed(14, order, 1, client.credentials.chain_id);
    assert_eq!(client.desk.send(14, &by_other).unwrap_err().code, 21120);
    let other_chain = client.signed(14, client.buy(), 0, 300);
    assert_eq!(client.desk.send(14, &other_chain).unwrap_err().code, 21120);
    let mut tampered: Value = serde_json::from_str(&client.sign(14, client.buy())).unwrap();
    tampered["BaseAmount"] = 101.into();
    let refused = client.desk.send(14, &tampered.to_string()).unwrap_err();
    assert_eq!(refused.code, 21120);
    assert_eq!(client.nonce(0), 0);
}

#[test]
fn an_accepted_order_is_pending_until_its_delay_has_passed() {
    let client = Client::new();
    let hash = client.send(14, client.buy()).unwrap();
    assert_eq!(client.nonce(0), 1);
    assert_eq!(client.verdict(&hash), (Value::Null, 1));
    let shown = client.desk.floor.look(super::account::active_orders);
    assert!(shown.is_empty());
    client.pass(400);
    assert_eq!(client.verdict(&hash), (Value::Null, 2));
    let position = client
        .desk
        .floor
        .look(|exchange| super::account::position(exchange, BTC).unwrap());
    assert_eq!(position["position"], "0.00100");
}

#[test]
fn a_duplicate_client_order_index_shows_only_in_the_transaction() {
    let client = Client::new();
    client.send(14, client.rest()).unwrap();
    client.pass(400);
    let channel = format!("account_all_orders/{}", client.credentials.account_index);
    let desk = &client.desk;
    let topic = super::channel::Topic::AccountAllOrders;
    let mut frames = desk.board.listen();
    desk.floor
        .look(|exchange| desk.board.open(topic, &channel, exchange, Nanos(1)));
    let hash = client.send(14, client.rest()).unwrap();
    assert_eq!(client.nonce(0), 2);
    client.pass(400);
    let (ae, _) = client.verdict(&hash);
    assert_eq!(ae["code"], 21728);
    assert!(frames.try_recv().is_err(), "nothing on the channel");
}

#[test]
fn cancels_work_by_both_indexes_and_a_late_one_is_told_afterwards() {
    let client = Client::new();
    client.send(14, client.rest()).unwrap();
    client.pass(400);
    let open = || client.desk.floor.look(super::account::active_orders);
    let index = super::models::order_index(open()[0].number, BTC, Side::Bid);
    let by = |index: u64| json!({"MarketIndex": BTC, "Index": index});
    client.send(15, by(index)).unwrap();
    client.pass(800);
    assert!(open().is_empty());
    let late = client.send(15, by(42)).unwrap();
    assert_eq!(client.verdict(&late).0["code"], 21600);
    assert_eq!(client.send(15, by(0)).unwrap_err().code, 21700);
    client.send(14, client.rest()).unwrap();
    client.pass(1_200);
    client.send(15, by(42)).unwrap();
    client.pass(1_600);
    assert!(open().is_empty());
}

#[test]
fn cancel_all_checks_its_time_and_cancels() {
    let client = Client::new();
    client.send(14, client.rest()).unwrap();
    client
        .send(14, changed(client.rest(), "ClientOrderIndex", json!(43)))
        .unwrap();
    client.pass(400);
    let all = |tif: u64, time: u64| json!({"TimeInForce": tif, "Time": time});
    for (code, tif, time) in [
        (21714, 0, 5),
        (21714, 1, client.now_ms() + 1_000),
        (21714, 2, 5),
        (21713, 3, 0),
    ] {
        assert_eq!(client.send(16, all(tif, time)).unwrap_err().code, code);
    }
    client.send(16, all(0, 0)).unwrap();
    client.pass(800);
    let open = client.desk.floor.look(super::account::active_orders);
    assert!(open.is_empty());
}

#[test]
fn leverage_changes_only_where_nothing_is_open() {
    let client = Client::new();
    let set = |fraction: u64, mode: u64| {
        let keys = json!({"MarketIndex": BTC, "MarginMode": mode});
        changed(keys, "InitialMarginFraction", json!(fraction))
    };
    assert_eq!(client.send(20, set(1, 0)).unwrap_err().code, 21113);
    let position = |exchange: &Exchange| super::account::position(exchange, BTC).unwrap();
    for mode in [1, 0] {
        client.send(20, set(1_000, mode)).unwrap();
        let position = client.desk.floor.look(position);
        assert_eq!(position["initial_margin_fraction"], "10.00");
        assert_eq!(position["margin_mode"], mode);
        // Isolated margin is not modelled, so nothing is traded on it.
        let sent = client.send(14, changed(client.buy(), "BaseAmount", json!(0)));
        let refused = [21701, 21613][mode as usize];
        assert_eq!(sent.unwrap_err().code, refused);
    }
    client.send(14, client.rest()).unwrap();
    assert_eq!(client.send(20, set(500, 0)).unwrap_err().code, 21132);
}

#[test]
fn skipped_nonces_need_the_attribute() {
    let client = Client::new();
    let mut order = client.buy();
    order["Nonce"] = 10.into();
    assert_eq!(client.send(14, order.clone()).unwrap_err().code, 21104);
    order["L2TxAttributes"] = json!({"4": 1});
    client.send(14, order.clone()).unwrap();
    assert_eq!(client.nonce(0), 11);
    assert_eq!(client.send(14, order).unwrap_err().code, 21104);
}

#[test]
fn margin_is_refused_at_the_door_for_makers_and_afterwards_for_takers() {
    let client = Client::new();
    // 10,000 dollars at 5 % carry 200,000; four coins are more than that.
    let large = changed(client.rest(), "BaseAmount", json!(4_000_000));
    assert_eq!(client.send(14, large).unwrap_err().code, 21739);
    assert_eq!(client.nonce(0), 0);
    let large = changed(client.buy(), "BaseAmount", json!(4_000_000));
    let hash = client.send(14, large).unwrap();
    assert_eq!(client.nonce(0), 1);
    assert_eq!(client.verdict(&hash).0["code"], 21739);
}

#[test]
fn a_batch_has_one_owner_and_rising_nonces() {
    let client = Client::new();
    let all = json!({"TimeInForce": 0, "Time": 0});
    let at = |nonce: u64| changed(all.clone(), "Nonce", json!(nonce));
    let batch = |infos: &[String]| {
        let types = json!(vec![16; infos.len()]).to_string();
        client.desk.send_batch(&types, &json!(infos).to_string())
    };
    let (zero, one) = (client.sign(16, at(0)), client.sign(16, at(1)));
    let other = client.signed(16, at(2), 1, client.credentials.chain_id);
    let code = |infos: &[String]| batch(infos).unwrap_err().code;
    assert_eq!(code(&[one.clone(), zero.clone()]), 21105);
    assert_eq!(code(&[zero.clone(), other]), 21121);
    assert_eq!(code(&vec![zero.clone(); 16]), 21514);
    assert_eq!(
        client.desk.send_batch("[16]", "[]").unwrap_err().code,
        21513
    );
    let receipt = batch(&[zero, one]).unwrap();
    assert_eq!(receipt.hashes.len(), 2);
    assert_eq!(client.nonce(0), 2);
}

#[test]
fn the_sixty_first_transaction_of_a_minute_is_429() {
    let client = Client::new();
    let all = json!({"TimeInForce": 0, "Time": 0});
    for _ in 0..60 {
        client.send(16, all.clone()).unwrap();
    }
    let refused = client.send(16, all).unwrap_err();
    assert_eq!((refused.status, refused.code), (429, 23000));
    assert_eq!(client.nonce(0), 60);
}

#[test]
fn a_premium_account_pays_creates_from_its_quota() {
    let client = Client::with(Options::of(LighterTier::Premium140));
    client.send(14, client.rest()).unwrap();
    client
        .send(16, json!({"TimeInForce": 0, "Time": 0}))
        .unwrap();
    lock(&client.desk.quota).spent = 1_000;
    client.pass(400);
    client.send(14, client.rest()).unwrap();
    client.pass(800);
    let again = changed(client.rest(), "ClientOrderIndex", json!(43));
    assert_eq!(client.send(14, again).unwrap_err().code, 23000);
}

#[test]
fn tokens_are_judged() {
    let client = Client::new();
    let now_s = client.now_ms() / 1000;
    let account = client.credentials.account_index;
    let token = |deadline: u64, account: u64, key: u64| {
        let text = format!("{deadline}:{account}:{key}");
        let signature = client.signature(0, &sign::token_hash(&text));
        format!("{text}:{}", sign::hex(&signature))
    };
    let judged = |token: &str| {
        let refused = client.desk.authenticate(token);
        refused.map_err(|refused| refused.message.into_owned())
    };
    assert_eq!(judged(&token(now_s + 600, account, 4)), Ok(account));
    for (token, why) in [
        (token(now_s - 1, account, 4), "invalid deadline"),
        (token(now_s + 8 * 3600 + 60, account, 4), "invalid deadline"),
        (token(now_s + 600, 5, 4), "invalid account index"),
        (token(now_s + 600, account, 5), "invalid signature"),
        (token(now_s + 600, account, 99), "api key not found"),
        ("nonsense".into(), "invalid auth string"),
        ("1:2:3:xx".into(), "invalid auth string"),
    ] {
        assert_eq!(
            judged(&token),
            Err(format!("invalid auth: {why}")),
            "{token}"
        );
    }
}
