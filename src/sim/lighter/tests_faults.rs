//! What each fault of orders and of the account does at Lighter's door and on its channels, by a
//! clock in the hand; and that reads tell the truth all the while.

use super::board::Frame;
use super::channel::Topic;
use super::desk::{Desk, Options};
use super::form::Parameters;
use super::tests::{Client, changed, floor_with};
use super::{reads, rest};
use crate::market::InstrumentId;
use crate::market::book::Side;
use crate::market::units::{MS, SECOND, Size};
use crate::sim::exchange::{LighterTier, rig};
use crate::sim::server::rt::broadcast;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;

const BTC: InstrumentId = InstrumentId(0);
/// Seeds enough for every variant of a fault to come up.
const SEEDS: u64 = 24;

fn client(spec: &str, seed: u64) -> Client {
    let options = Options {
        sends_per_minute: 1_000,
        ..Options::of(LighterTier::Standard)
    };
    Client::on(floor_with(Some((spec, seed))), options)
}

/// How often a kind happened.
fn done(client: &Client, name: &str) -> u64 {
    let all = client.desk.floor.faults().unwrap().done().into_iter();
    let mut named = all.filter(|(kind, _)| kind.name() == name);
    named.next().expect("the kind was asked for").1
}

fn held(client: &Client) -> Size {
    client
        .desk
        .floor
        .look(|exchange| exchange.position(BTC).size)
}

/// A read of the account, with these parameters.
fn ask(
    client: &Client,
    read: fn(&Desk, &Parameters) -> rest::Answer,
    more: &[(&str, &str)],
) -> Value {
    let own = client.credentials.account_index.to_string();
    let mut form = Parameters::from([("account_index".to_owned(), own)]);
    form.extend(
        more.iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned())),
    );
    read(&client.desk, &form).unwrap()
}

/// The order with the client's own number 42, as the account's reads show it.
fn row(client: &Client) -> Option<Value> {
    let reads = [
        reads::active_orders as fn(&Desk, &Parameters) -> rest::Answer,
        reads::inactive_orders,
    ];
    let rows = reads.map(|read| ask(client, read, &[])["orders"].take());
    let mut all = rows.iter().flat_map(|rows| rows.as_array().unwrap());
    all.find(|row| row["client_order_index"] == 42).cloned()
}

/// A reader of the account's orders, trades and positions.
struct Reader(broadcast::Receiver<Arc<Frame>>);

impl Reader {
    fn new(client: &Client) -> Reader {
        let (desk, own) = (&client.desk, client.credentials.account_index);
        let frames = desk.board.listen();
        for (topic, name) in [
            (Topic::AccountAllOrders, "account_all_orders"),
            (Topic::AccountAllTrades, "account_all_trades"),
            (Topic::AccountAllPositions, "account_all_positions"),
        ] {
            let channel = format!("{name}/{own}");
            desk.floor
                .look(|exchange| desk.board.open(topic, &channel, exchange, desk.floor.now()));
        }
        Reader(frames)
    }

    /// What came since the last look: the channel's first word, and the message.
    fn read(&mut self) -> Vec<(String, Value)> {
        let mut all = Vec::new();
        while let Ok(frame) = self.0.try_recv() {
            let name = frame.channel.split(':').next().unwrap().to_owned();
            all.push((name, serde_json::from_str(&frame.text).unwrap()));
        }
        all
    }
}

fn names(frames: &[(String, Value)]) -> Vec<&str> {
    frames.iter().map(|(name, _)| name.as_str()).collect()
}

/// Lets the venue run ahead of the clock.
fn run(client: &Client, seconds: u64) {
    let until = client.desk.floor.now().plus(seconds * SECOND);
    while client.desk.floor.play(until) <= until {}
}

const WHOLE: [&str; 3] = [
    "account_all_orders",
    "account_all_trades",
    "account_all_positions",
];

#[test]
fn a_rejected_order_has_a_code_of_the_venue_and_spends_no_nonce() {
    let mut codes = BTreeSet::new();
    for seed in 0..SEEDS {
        let client = client("reject:lighter:BTC@0", seed);
        codes.insert(client.send(14, client.buy()).unwrap_err().code);
        assert_eq!((client.nonce(0), row(&client)), (0, None));
        assert_eq!(done(&client, "reject"), 1);
        client.send(14, client.buy()).unwrap();
    }
    assert_eq!(codes, BTreeSet::from([21506, 21601, 21733, 21734]));
}

#[test]
fn a_dropped_order_is_in_no_list_and_its_transaction_says_why() {
    for seed in 0..SEEDS {
        let client = client("drop:lighter:BTC@0", seed);
        let mut reader = Reader::new(&client);
        let hash = client.send(14, client.buy()).unwrap();
        assert_eq!(client.nonce(0), 1);
        client.pass(400);
        assert_eq!(client.verdict(&hash).0["code"], 21601);
        assert_eq!((row(&client), held(&client)), (None, Size::ZERO));
        assert_eq!(reader.read(), []);
        assert_eq!(done(&client, "drop"), 1);
    }
}

#[test]
fn a_dropped_close_says_that_it_would_have_grown_the_position() {
    let client = client("drop:lighter:BTC@0", 1);
    // Behind the door's back, so that the close is the first order there.
    client.desk.floor.act(|exchange, now, out| {
        let price = exchange.book(BTC, Side::Ask)[0].0;
        let buy = rig::order(Side::Bid, &price.to_string(), "0.001");
        exchange.place(now, buy, out).unwrap();
        exchange.advance(now.plus(400 * MS), out);
    });
    let mut close = client.buy();
    let price = close["Price"].as_i64().unwrap() * 98 / 100;
    super::models::join(
        &mut close,
        json!({"IsAsk": 1, "ReduceOnly": 1, "Price": price}),
    );
    let hash = client.send(14, close).unwrap();
    assert_eq!(client.verdict(&hash).0["code"], 21732);
    client.pass(800);
    assert_eq!(held(&client), Size::parse(b"0.001").unwrap());
    assert_eq!(done(&client, "drop"), 1);
}

#[test]
fn a_partial_fill_leaves_what_the_book_would_have_given() {
    for seed in 0..SEEDS {
        let client = client("partial:lighter:BTC@0", seed);
        client.send(14, client.buy()).unwrap();
        assert_eq!(done(&client, "partial"), 0, "not before it matched");
        client.pass(400);
        let row = row(&client).unwrap();
        let filled = row["filled_base_amount"].as_str().unwrap();
        let filled = Size::parse(filled.as_bytes()).unwrap();
        assert!(filled > Size::ZERO && filled < Size::parse(b"0.001").unwrap());
        assert_eq!(
            (row["status"].as_str(), held(&client)),
            (Some("canceled"), filled)
        );
        assert_eq!(done(&client, "partial"), 1);
    }
}

#[test]
fn a_late_fill_is_true_at_once_and_told_within_four_seconds() {
    let mut firsts = BTreeSet::new();
    for seed in 0..SEEDS {
        let client = client("late-fill:lighter:BTC@0", seed);
        let mut reader = Reader::new(&client);
        client.send(14, client.buy()).unwrap();
        client.pass(400);
        let first = reader.read();
        firsts.insert(first.len());
        assert!(names(&first).iter().all(|name| *name == WHOLE[0]));
        assert_eq!(row(&client).unwrap()["status"], "filled");
        let trades = ask(&client, reads::trades, &[]);
        assert_eq!(trades["trades"].as_array().unwrap().len(), 1);
        // Who comes now is shown the truth, and the held frames are older than what he is shown.
        let own = client.credentials.account_index;
        let (desk, channel) = (&client.desk, format!("account_all_positions/{own}"));
        let opened = desk.floor.look(|exchange| {
            let topic = Topic::AccountAllPositions;
            desk.board.open(topic, &channel, exchange, desk.floor.now())
        });
        assert!(opened.text.contains("0.00100"));
        let mut later = desk.board.listen();
        run(&client, 5);
        let all = [first, reader.read()].concat();
        assert_eq!(names(&all), WHOLE);
        while let Ok(frame) = later.try_recv() {
            assert!(frame.channel != opened.channel || frame.sequence <= opened.after);
        }
        assert_eq!(done(&client, "late-fill"), 1);
    }
    assert_eq!(firsts, BTreeSet::from([0, 1]), "with and without the order");
}

#[test]
fn news_are_told_twice() {
    let client = client("twice:lighter:BTC@0", 3);
    let mut reader = Reader::new(&client);
    client.send(14, client.buy()).unwrap();
    client.pass(400);
    let frames = reader.read();
    assert_eq!(names(&frames), [WHOLE, WHOLE].concat());
    assert_eq!(frames[..3], frames[3..]);
    assert_eq!(done(&client, "twice"), 1);
    assert_eq!(held(&client), Size::parse(b"0.001").unwrap());
}

#[test]
fn a_cancelled_order_turns_out_to_be_filled() {
    for seed in 0..SEEDS {
        let client = client("fill-after-cancel:lighter:BTC@0", seed);
        let mut reader = Reader::new(&client);
        client.send(14, client.buy()).unwrap();
        client.pass(400);
        let first = reader.read();
        assert_eq!(names(&first), [WHOLE[0]]);
        let told = &first[0].1["orders"]["1"][0];
        assert_eq!(told["status"], "canceled");
        assert_eq!(told["filled_base_amount"], "0.00000");
        assert_eq!(row(&client).unwrap()["status"], "filled");
        run(&client, 5);
        let then = reader.read();
        assert_eq!(names(&then), WHOLE);
        assert_eq!(then[0].1["orders"]["1"][0]["status"], "filled");
        assert_eq!(done(&client, "fill-after-cancel"), 1);
    }
}

#[test]
fn a_nonce_used_by_somebody_else_is_refused_and_gone() {
    let mut used_up = 0;
    for seed in 0..SEEDS {
        let client = client("nonce:lighter:BTC@0", seed);
        match client.send(14, client.buy()) {
            // The other half loses answers, on their way over a connection.
            Ok(_) => assert_eq!(done(&client, "nonce"), 0),
            Err(refusal) => {
                used_up += 1;
                assert_eq!((refusal.code, done(&client, "nonce")), (21104, 1));
                let key = client.credentials.keys[0].index.to_string();
                let next = ask(&client, reads::next_nonce, &[("api_key_index", &key)]);
                assert_eq!(next["nonce"], 1);
                client.send(14, client.buy()).unwrap();
            }
        }
    }
    assert!(0 < used_up && used_up < SEEDS, "{used_up}");
}

#[test]
fn margin_is_missing_at_the_door_for_makers_and_later_for_takers() {
    let mut ends = BTreeSet::new();
    for seed in 0..SEEDS {
        for rests in [false, true] {
            let client = client("margin:lighter:BTC@0", seed);
            let order = if rests { client.rest() } else { client.buy() };
            let sent = client.send(14, order);
            client.pass(400);
            let code = match &sent {
                Ok(hash) => client.verdict(hash).0["code"].as_u64(),
                Err(refusal) => Some(u64::from(refusal.code)),
            };
            assert_eq!(code, Some(21739));
            let status = row(&client).map(|row| row["status"].as_str().unwrap().to_owned());
            ends.insert((rests, sent.is_ok(), status));
            assert_eq!(done(&client, "margin"), 1);
        }
    }
    let status = Some("canceled-margin-not-allowed".to_owned());
    let wanted = [
        (false, true, None),
        (false, true, status.clone()),
        (true, false, None),
        (true, true, status),
    ];
    assert_eq!(ends, BTreeSet::from(wanted));
}

#[test]
fn maintenance_refuses_transactions_and_shows_no_market_active() {
    let client = client("maintenance:lighter@0", 1);
    for _ in 0..3 {
        assert_eq!(client.send(14, client.buy()).unwrap_err().code, 21605);
    }
    let all = json!({"TimeInForce": 0, "Time": 0});
    assert_eq!(client.send(16, all).unwrap_err().code, 21605);
    assert_eq!(client.nonce(0), 0);
    for row in rest::order_books(&client.desk, &Parameters::new()).unwrap()["order_books"]
        .as_array()
        .unwrap()
    {
        assert_eq!(row["status"], "inactive");
    }
    assert_eq!(done(&client, "maintenance"), 1, "one window");
}

#[test]
fn a_position_is_liquidated_or_deleveraged_at_mark() {
    for (kind, name, fee) in [
        ("liquidation", "liquidation", 10_000),
        ("adl", "deleverage", 0),
    ] {
        let mut left = BTreeSet::new();
        for seed in 0..SEEDS {
            let client = client(&format!("{kind}:lighter:BTC@0"), seed);
            let mut reader = Reader::new(&client);
            client.send(14, client.buy()).unwrap();
            client.pass(400);
            let trades = ask(&client, reads::trades, &[]);
            let trade = &trades["trades"][0];
            assert_eq!(trades["trades"].as_array().unwrap().len(), 2);
            assert_eq!(
                (&trade["type"], &trade["ask_client_id"]),
                (&name.into(), &0.into())
            );
            assert_eq!(trade["taker_fee"].as_u64().unwrap_or(0), fee);
            let frames = reader.read();
            let told: Vec<&Value> = frames.iter().map(|(_, message)| message).collect();
            let of = |name: &str| {
                told.iter()
                    .rfind(|one| one["channel"].as_str().unwrap().starts_with(name))
            };
            let types: Vec<&Value> = of(WHOLE[1]).unwrap()["trades"]["1"]
                .as_array()
                .unwrap()
                .iter()
                .map(|row| &row["type"])
                .collect();
            assert_eq!(types.last().unwrap(), &name);
            let size = of(WHOLE[2]).unwrap()["positions"]["1"]["position"]
                .as_str()
                .unwrap();
            assert_eq!(Size::parse(size.as_bytes()).unwrap(), held(&client));
            left.insert(held(&client) == Size::ZERO);
            assert_eq!(done(&client, kind), 1);
            let public = client.desk.floor.look(|exchange| {
                let channel = "trade/1";
                let now = client.desk.floor.now();
                client
                    .desk
                    .board
                    .open(Topic::Trade(1), channel, exchange, now)
                    .text
            });
            let public: Value = serde_json::from_str(&public).unwrap();
            assert_eq!(public["liquidation_trades"][0]["type"], name);
        }
        assert_eq!(left.len(), 2, "in part, and in whole");
    }
}

#[test]
fn a_changed_tier_is_told_and_charged_and_waits_as_long() {
    let mut tiers = BTreeSet::new();
    for seed in 0..SEEDS {
        let client = client("tier:lighter@0", seed);
        let limits = || ask(&client, reads::account_limits, &[]);
        assert_eq!(limits()["user_tier"], "standard");
        client.desk.floor.act(|_, _, _| {});
        assert_eq!(done(&client, "tier"), 1);
        let limits = limits();
        assert_eq!(limits["user_tier"], "premium");
        let fee = limits["current_taker_fee_tick"].as_u64().unwrap();
        tiers.insert(fee);
        client.send(14, client.buy()).unwrap();
        // Sooner than a standard account's orders match.
        client.pass(300);
        let trades = ask(&client, reads::trades, &[]);
        assert_eq!(trades["trades"][0]["taker_fee"], fee);
    }
    assert_eq!(tiers, BTreeSet::from([196, 280]));
}

#[test]
fn lists_have_pages() {
    let client = client("tier:lighter@1000", 1);
    for n in 0..3 {
        let order = changed(client.buy(), "ClientOrderIndex", json!(100 + n));
        client.send(14, order).unwrap();
        client.desk.floor.act(|exchange, now, out| {
            exchange.advance(now.plus((n + 1) * 400 * MS), out);
        });
    }
    for (read, name, id) in [
        (
            reads::trades as fn(&Desk, &Parameters) -> rest::Answer,
            "trades",
            "trade_id",
        ),
        (reads::inactive_orders, "orders", "order_index"),
    ] {
        let whole = ask(&client, read, &[])[name].as_array().unwrap().clone();
        assert!(whole.len() >= 3);
        let mut seen = Vec::new();
        let mut cursor = String::new();
        loop {
            let page = ask(&client, read, &[("limit", "2"), ("cursor", &cursor)]);
            seen.extend(page[name].as_array().unwrap().clone());
            match page["next_cursor"].as_str() {
                Some(next) => cursor = next.to_owned(),
                None => break,
            }
        }
        assert_eq!(seen, whole);
        assert!(whole.iter().all(|row| row[id].is_u64()));
    }
    let orders = ask(&client, reads::inactive_orders, &[]);
    let index = &orders["orders"][0]["order_index"];
    let of_one = ask(
        &client,
        reads::trades,
        &[("order_index", &index.to_string())],
    );
    let rows = of_one["trades"].as_array().unwrap();
    assert!(!rows.is_empty() && rows.iter().all(|row| row["bid_id"] == *index));
}
