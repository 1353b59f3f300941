//! Nonces against a naive venue that takes the next one only, while messages, answers and
//! connections are lost, late or out of order: no order is forgotten, none is said to have failed
//! that was taken, and none is said to stand that was not.

use crate::lighter::{Desk, order, setup};
use parallax::market::order::{Action, Order, OrderState, ReportKind};
use parallax::market::units::{Nanos, SECOND};
use parallax::venue::lighter::sign::order::CreateOrder;
use parallax::venue::lighter::sign::transaction::{Envelope, Transaction};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

const SLOTS: [u8; 3] = [5, 6, 7];

/// What happens to one message: seconds until it arrives, and until its answer does. `None`: never.
type Fate = (Option<u64>, Option<u64>);

/// The venue's whole idea of nonces, and what it took.
struct Venue {
    next: BTreeMap<u64, u64>,
    taken: BTreeSet<u64>,
    /// Names of accepted transactions.
    hashes: BTreeSet<String>,
    /// Bytes under way, and answers, each with the connection that it belongs to.
    coming: Vec<(Nanos, Nanos, u32, Value)>,
    going: Vec<(Nanos, u32, Value)>,
    connection: u32,
}

impl Venue {
    /// Takes a transaction that has arrived; gives its answer.
    fn take(&mut self, data: &Value) -> Value {
        let info = &data["tx_info"];
        let (slot, nonce) = (&info["ApiKeyIndex"], &info["Nonce"]);
        let next = self.next.get_mut(&slot.as_u64().unwrap()).unwrap();
        if nonce.as_u64() != Some(*next) {
            return json!({"error": {"code": 21_104, "message": ""}, "id": data["id"]});
        }
        *next += 1;
        self.hashes.insert(hash(data));
        if data["tx_type"] == 14 {
            let id = info["ClientOrderIndex"].as_u64().unwrap();
            assert!(self.taken.insert(id), "an order was taken twice");
        }
        json!({"type": "jsonapi/sendtx", "code": 200, "id": data["id"]})
    }

    fn rest(&self, path: &str) -> (u16, Value) {
        let slot = |tail: &str| tail.split(' ').next().unwrap().parse::<u64>().unwrap();
        if let Some((_, tail)) = path.split_once("api_key_index=") {
            return (200, json!({"code": 200, "nonce": self.next[&slot(tail)]}));
        }
        if let Some((_, tail)) = path.split_once("/tx?by=hash&value=") {
            if self.hashes.contains(&tail[..80]) {
                return (200, json!({"code": 200, "event_info": "{\"ae\":\"\"}"}));
            }
            return (400, json!({"code": 21_500, "message": "not found"}));
        }
        if path.contains("/trades?") {
            return (200, json!({"code": 200, "trades": []}));
        }
        let all = self.taken.iter().filter(|_| path.contains("Inactive"));
        let row = |id: &u64| {
            json!({
                "market_index": 1, "client_order_index": id, "status": "filled",
                "filled_base_amount": "0.001", "transaction_time": 9,
            })
        };
        (
            200,
            json!({"code": 200, "orders": all.map(row).collect::<Vec<_>>()}),
        )
    }
}

/// The name of a transaction, made from what is said in it.
fn hash(data: &Value) -> String {
    let get = |key: &str| data["tx_info"][key].as_u64().unwrap();
    let envelope = Envelope {
        chain_id: 300,
        account_index: get("AccountIndex"),
        api_key_index: get("ApiKeyIndex") as u8,
        expired_at_ms: get("ExpiredAt"),
        nonce: get("Nonce"),
    };
    let transaction = if data["tx_type"] == 14 {
        let create = CreateOrder {
            market_index: get("MarketIndex"),
            client_order_index: get("ClientOrderIndex"),
            base_amount: get("BaseAmount"),
            price: get("Price"),
            is_ask: get("IsAsk") == 1,
            reduce_only: get("ReduceOnly") == 1,
            ..CreateOrder::default()
        };
        Transaction::create_order(envelope, &create)
    } else {
        Transaction::cancel_order(envelope, get("MarketIndex"), get("Index"))
    };
    let bytes = transaction.unwrap().hash().to_bytes();
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

struct Rig {
    desk: Desk,
    venue: Venue,
    fates: Vec<Fate>,
    /// Every order, with what was said of it for good: it stood, or it never was.
    said: BTreeMap<u64, BTreeSet<bool>>,
    /// When each key's last transaction was written, until it is answered.
    busy: BTreeMap<u64, (Nanos, String)>,
}

impl Rig {
    fn new(fates: Vec<Fate>) -> Rig {
        let mut all = setup(&SLOTS);
        all.sends_per_minute = 4_000;
        let desk = Desk::of(all);
        let next = SLOTS.map(|slot| (u64::from(slot), 100 * (u64::from(slot) - 4)));
        Rig {
            desk,
            venue: Venue {
                next: next.into(),
                taken: BTreeSet::new(),
                hashes: BTreeSet::new(),
                coming: Vec::new(),
                going: Vec::new(),
                connection: 0,
            },
            fates,
            said: BTreeMap::new(),
            busy: BTreeMap::new(),
        }
    }

    fn place(&mut self, id: u64, is_entry: bool) {
        let asked = Order {
            reduce_only: !is_entry,
            ..order(id, Action::Place)
        };
        if self.desk.orders_sign(&asked) {
            self.said.insert(id, BTreeSet::new());
            self.carry();
        }
    }

    /// A cancel may take the nonce that a lost order has.
    fn cancel(&mut self, id: u64) {
        if self.said.contains_key(&id) && self.desk.orders_sign(&order(id, Action::Cancel)) {
            self.carry();
        }
    }

    /// Takes what the desk wants sent on its way.
    fn carry(&mut self) {
        for text in self.desk.sent() {
            if text.starts_with("GET ") {
                let (status, body) = self.venue.rest(&text);
                self.desk.hear_status(2, status, body.to_string().into());
                continue;
            }
            let Ok(message) = serde_json::from_str::<Value>(&text) else {
                // A query that finds a fill which the account stream has not told doubts it.
                if text != "reconnect 1" {
                    assert_eq!(text, "reconnect 0", "no other connection is given up");
                    self.cut();
                }
                continue;
            };
            if message["type"] != "jsonapi/sendtx" {
                continue;
            }
            self.one_at_a_time(&message["data"]);
            let (arrives, answers) = self.fates.pop().unwrap_or((Some(0), Some(0)));
            if let Some(arrives_s) = arrives {
                let arrives = self.desk.now.plus(arrives_s * SECOND);
                let answered = arrives.plus(answers.unwrap_or(1 << 30) * SECOND);
                let data = message["data"].clone();
                let connection = self.venue.connection;
                self.venue
                    .coming
                    .push((arrives, answered, connection, data));
            }
        }
    }

    /// A key has one transaction on its way, or the last was given up.
    fn one_at_a_time(&mut self, data: &Value) {
        let slot = data["tx_info"]["ApiKeyIndex"].as_u64().unwrap();
        let id = data["id"].as_str().unwrap().to_string();
        if let Some((since, _)) = self.busy.insert(slot, (self.desk.now, id)) {
            assert!(self.desk.now.since(since) >= 3 * SECOND, "two at once");
        }
    }

    /// The connection breaks. Answers are lost; bytes that left may arrive all the same.
    fn cut(&mut self) {
        self.venue.connection += 1;
        self.busy.clear();
        self.desk.link(0, false);
        self.desk.link(0, true);
        self.desk.hear(0, &json!({"type": "connected"}));
    }

    fn step(&mut self, seconds: u64) {
        for _ in 0..seconds.max(1) {
            self.desk.now = self.desk.now.plus(seconds.min(1) * SECOND);
            let now = self.desk.now;
            let (due, coming) = std::mem::take(&mut self.venue.coming)
                .into_iter()
                .partition(|(arrives, ..)| *arrives <= now);
            self.venue.coming = coming;
            for (_, answered, connection, data) in due as Vec<(Nanos, Nanos, u32, Value)> {
                let answer = self.venue.take(&data);
                self.venue.going.push((answered, connection, answer));
            }
            let (due, going): (Vec<_>, Vec<_>) = std::mem::take(&mut self.venue.going)
                .into_iter()
                .partition(|(answered, ..)| *answered <= now);
            self.venue.going = going;
            for (_, connection, answer) in due {
                if connection == self.venue.connection {
                    let id = answer["id"].as_str().unwrap();
                    self.busy.retain(|_, (_, waiting)| waiting != id);
                    self.desk.hear(0, &answer);
                }
            }
            self.desk.hear(0, &json!({"type": "pong"}));
            self.desk.hear(1, &json!({"type": "pong"}));
            self.desk.beat(0);
            self.carry();
            self.listen();
        }
    }

    fn listen(&mut self) {
        for (id, kind) in self.desk.told() {
            let stood = match kind {
                ReportKind::NotSent { .. } | ReportKind::Rejected { .. } => false,
                ReportKind::State { state, .. } => match state {
                    OrderState::Filled => true,
                    OrderState::Cancelled | OrderState::Rejected => false,
                    OrderState::Sent | OrderState::Working | OrderState::Unknown => continue,
                },
                _ => continue,
            };
            self.said
                .get_mut(&id)
                .expect("an order of ours")
                .insert(stood);
        }
    }

    /// Everything arrives now, and every open order is asked about, until all are known or their
    /// time is over.
    fn settle(&mut self) {
        self.fates.clear();
        // Well before a transaction's life is over: nothing may depend on that.
        for _ in 0..45 {
            self.step(10);
            let open = self.said.iter().filter(|(_, said)| said.is_empty());
            let open: Vec<u64> = open.map(|(id, _)| *id).collect();
            if open.is_empty() && self.venue.coming.is_empty() {
                break;
            }
            for id in open.iter().take(4) {
                let _ = self.desk.send(&order(*id, Action::Query));
            }
        }
        for (id, said) in &self.said {
            let was_taken = self.venue.taken.contains(id);
            let said: Vec<bool> = said.iter().copied().collect();
            assert_eq!(said, [was_taken], "order {id}");
        }
    }
}

fn fate() -> impl Strategy<Value = Fate> {
    let late = || prop_oneof![4 => Just(Some(0)), 2 => (0..8_u64).prop_map(Some), 1 => Just(None)];
    (late(), late())
}

#[derive(Clone, Copy, Debug)]
enum Act {
    Place(bool),
    /// Of the order placed so many acts ago, if one was.
    Cancel(u64),
    Step(u64),
    Cut,
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        6 => any::<bool>().prop_map(Act::Place),
        1 => (1..6_u64).prop_map(Act::Cancel),
        5 => (0..4_u64).prop_map(Act::Step),
        1 => Just(Act::Cut),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn row_14_row_15_nonces_survive_any_loss(
        acts in prop::collection::vec(act(), 1..40),
        fates in prop::collection::vec(fate(), 0..60),
    ) {
        let mut rig = Rig::new(fates);
        for (id, act) in (1..).zip(acts) {
            match act {
                Act::Place(is_entry) => rig.place(id, is_entry),
                Act::Cancel(ago) => rig.cancel(id.saturating_sub(ago)),
                Act::Step(seconds) => rig.step(seconds),
                Act::Cut => rig.cut(),
            }
        }
        rig.settle();
    }
}
