//! What of a Lighter transaction is under its hash: every number, attribute and key byte, one at a
//! time; and what is not: memo and Ethereum signature.

use super::lighter::{TRANSACTIONS, cases, integer, kind, parsed};
use super::lighter_builder::{ORDER, from_info};
use parallax::venue::lighter::sign::kinds::{KINDS, Kind};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// Other values for a number; whether one is allowed where it stands is for the checks to say.
const CHANGES: [fn(i64) -> i64; 6] = [
    |value| value + 1,
    |value| value - 1,
    |value| value ^ 1,
    |value| value ^ 1 << 32,
    |value| value + 2,
    |_| 0,
];

/// The hash of a text, if the checks let it through.
fn hash(kind: &'static Kind, chain_id: u64, info: &Value) -> Option<[u8; 40]> {
    let transaction = from_info(kind, chain_id, info).ok()?;
    Some(transaction.hash().to_bytes())
}

/// Changes the number at each of `places` (JSON pointers) by the same rule, in every way that is
/// allowed, and expects other hashes. How many ways there were.
fn expect_change(case: &Value, info: &Value, places: &[String]) -> usize {
    let (kind, chain_id) = (kind(case), integer(case, "chain_id"));
    let before = hash(kind, chain_id, info).unwrap();
    let mut seen = BTreeSet::from([before]);
    let mut ways = BTreeSet::new();
    for change in CHANGES {
        let mut other = info.clone();
        for place in places {
            let value = other.pointer_mut(place).unwrap();
            *value = json!(change(value.as_i64().unwrap()));
        }
        if other == *info {
            continue;
        }
        let after = hash(kind, chain_id, &other);
        if let Some(after) = after.filter(|_| ways.insert(other.to_string())) {
            assert!(seen.insert(after), "{} {places:?}", kind.name);
        }
    }
    ways.len()
}

#[test]
fn every_number_of_every_type_is_under_the_hash() {
    let mut ways = BTreeMap::new();
    for case in cases(TRANSACTIONS) {
        let (kind, info) = (kind(&case), parsed(&case, "tx_info"));
        for rule in kind.rules() {
            let place = format!("/{}", rule.name);
            *ways.entry((kind.tx_type, rule.name)).or_insert(0) +=
                expect_change(&case, &info, &[place]);
        }
        let chain_id = integer(&case, "chain_id");
        let hashes = [chain_id, chain_id + 1].map(|chain_id| hash(kind, chain_id, &info).unwrap());
        assert_ne!(hashes[0], hashes[1], "chain id of {}", kind.name);
    }
    for kind in KINDS {
        for rule in kind.rules() {
            // Grouping and number of orders hang together: one cannot change alone.
            let is_bound = rule.name == "GroupingType";
            let changed = ways[&(kind.tx_type, rule.name)] > 0;
            assert!(
                changed || is_bound,
                "{} {} never changed",
                kind.name,
                rule.name
            );
        }
    }
}

#[test]
fn every_number_of_every_grouped_order_is_under_the_hash() {
    let mut ways = BTreeMap::new();
    for case in cases(TRANSACTIONS)
        .iter()
        .filter(|case| case["tx_type"] == 28)
    {
        let info = parsed(case, "tx_info");
        let count = info["Orders"].as_array().unwrap().len();
        for name in ORDER {
            let places: Vec<_> = (0..count)
                .map(|at| format!("/Orders/{at}/{name}"))
                .collect();
            for (at, place) in places.iter().enumerate() {
                *ways.entry((name, at)).or_insert(0) +=
                    expect_change(case, &info, std::slice::from_ref(place));
            }
            // Some must agree between the orders: those change together.
            *ways.entry((name, 9)).or_insert(0) += expect_change(case, &info, &places[..]);
            let pair = &places[count - 2..];
            *ways.entry((name, 8)).or_insert(0) += expect_change(case, &info, pair);
        }
    }
    for name in ORDER {
        let total: usize = (0..10).filter_map(|at| ways.get(&(name, at))).sum();
        assert!(total > 0, "{name} never changed");
    }
    for name in ["ClientOrderIndex", "Price"] {
        assert!((0..3).all(|at| ways[&(name, at)] > 0), "{name}");
    }
}

#[test]
fn the_sequence_of_grouped_orders_is_under_the_hash() {
    let mut swapped = 0;
    for case in cases(TRANSACTIONS)
        .iter()
        .filter(|case| case["tx_type"] == 28)
    {
        let (kind, chain_id) = (kind(case), integer(case, "chain_id"));
        let info = parsed(case, "tx_info");
        let mut other = info.clone();
        let orders = other["Orders"].as_array_mut().unwrap();
        let last = orders.len() - 1;
        orders.swap(last - 1, last);
        if let Some(after) = hash(kind, chain_id, &other) {
            assert_ne!(Some(after), hash(kind, chain_id, &info));
            swapped += 1;
        }
    }
    assert!(swapped > 5, "{swapped}");
}

#[test]
fn every_attribute_is_under_the_hash() {
    let mut seen = BTreeMap::new();
    for case in cases(TRANSACTIONS) {
        let (kind, chain_id) = (kind(&case), integer(&case, "chain_id"));
        let info = parsed(&case, "tx_info");
        let before = hash(kind, chain_id, &info).unwrap();
        let mut hashes = BTreeSet::from([before]);
        let set = info["L2TxAttributes"]
            .as_object()
            .cloned()
            .unwrap_or_default();
        let mut ways = 0;
        for id in 1..=8 {
            let old = set.get(&id.to_string()).and_then(Value::as_i64);
            for value in [0, 1, 2, 255] {
                let nil = if id == 5 { 255 } else { 0 };
                if old.unwrap_or(nil) == value {
                    continue;
                }
                let mut other = info.clone();
                let mut pairs = set.clone();
                pairs.insert(id.to_string(), json!(value));
                other["L2TxAttributes"] = Value::Object(pairs);
                if let Some(after) = hash(kind, chain_id, &other) {
                    hashes.insert(after);
                    ways += 1;
                    *seen.entry(id).or_insert(0) += 1;
                }
            }
        }
        assert_eq!(hashes.len(), 1 + ways, "{}", kind.name);
    }
    assert_eq!(seen.len(), 8, "{seen:?}");
}

#[test]
fn every_byte_of_a_new_key_is_under_the_hash_and_memos_are_not() {
    let (mut keys, mut memos) = (0, 0);
    for case in cases(TRANSACTIONS) {
        let (kind, chain_id) = (kind(&case), integer(&case, "chain_id"));
        let info = parsed(&case, "tx_info");
        let before = hash(kind, chain_id, &info);
        if let Some(memo) = info["Memo"].as_array() {
            for at in 0..memo.len() {
                let mut other = info.clone();
                other["Memo"][at] = json!(memo[at].as_u64().unwrap() ^ 1);
                assert_eq!(hash(kind, chain_id, &other), before, "memos are not hashed");
                memos += 1;
            }
        }
        let Some(key) = info["PubKey"].as_str() else {
            continue;
        };
        // One base64 digit holds six bits; the last of 54 has two of them.
        for at in 0..key.len() - 2 {
            let mut digits: Vec<char> = key.chars().collect();
            digits[at] = if digits[at] == 'A' { 'Q' } else { 'A' };
            let mut other = info.clone();
            other["PubKey"] = json!(digits.into_iter().collect::<String>());
            assert_ne!(hash(kind, chain_id, &other), before, "digit {at} of {key}");
            keys += 1;
        }
    }
    assert!(keys > 500 && memos > 500, "{keys} {memos}");
}
