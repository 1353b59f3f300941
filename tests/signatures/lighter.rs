//! Lighter's transactions by our own constructors against the official signer's output, hashes that
//! the live venue answered with, and signatures that must be refused.

use super::lighter_builder::{constructed, from_info, unhex};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use parallax::venue::lighter::sign::kinds::Kind;
use parallax::venue::lighter::sign::transaction::Transaction;
use parallax::venue::lighter::sign::{NonceSource, PrivateKey, Signature, verify};
use parallax::venue::{OutKind, Outbox};
use serde_json::{Value, json};
use std::collections::BTreeMap;

pub const TRANSACTIONS: &str = include_str!("../data/lighter/lighter_tx.json");

pub fn rows(file: &str, list: &str) -> Vec<Value> {
    let root: Value = serde_json::from_str(file).unwrap();
    root[list].as_array().unwrap().clone()
}

pub fn cases(file: &str) -> Vec<Value> {
    rows(file, "cases")
}

fn text<'a>(case: &'a Value, key: &str) -> &'a str {
    case[key].as_str().unwrap()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub fn integer(info: &Value, key: &str) -> u64 {
    info[key].as_u64().unwrap_or_else(|| panic!("{key}"))
}

pub fn kind(case: &Value) -> &'static Kind {
    Kind::of(integer(case, "tx_type") as u8).unwrap()
}

/// A text of a case, parsed.
pub fn parsed(case: &Value, key: &str) -> Value {
    serde_json::from_str(text(case, key)).unwrap()
}

fn build(case: &Value) -> Transaction {
    let info = parsed(case, "tx_info");
    from_info(kind(case), integer(case, "chain_id"), &info).unwrap()
}

fn signature(info: &Value) -> Signature {
    let signature = STANDARD.decode(text(info, "Sig")).unwrap();
    signature.try_into().unwrap()
}

fn written(transaction: &Transaction, signature: &Signature) -> String {
    let mut out = Outbox::new(4096, 1);
    out.message(0, OutKind::Text, |text| transaction.write(signature, text));
    String::from_utf8(out.payload(&out.items()[0]).to_vec()).unwrap()
}

/// Hash, text, the official signature, and the text for the Ethereum key.
fn assert_official(transaction: &Transaction, case: &Value, message: &Value) {
    let (name, info) = (&case["name"], parsed(case, "tx_info"));
    let hash = transaction.hash();
    assert_eq!(hex(&hash.to_bytes()), text(case, "tx_hash"), "{name}");
    let signature = signature(&info);
    let public_key = unhex(text(case, "public_key"));
    assert!(verify(&public_key, hash, &signature), "{name}");
    assert_eq!(written(transaction, &signature), text(case, "tx_info"));
    let ours = transaction.ethereum_message();
    let ours = ours
        .as_ref()
        .map(|ours| std::str::from_utf8(ours.text()).unwrap());
    assert_eq!(ours, message.as_str(), "{name}");
}

/// `parallax selftest` builds them from the official signer's parameters; these are our own
/// constructors, and the text read back.
#[test]
fn transactions_from_each_constructor_are_the_official_ones() {
    let mut seen = BTreeMap::new();
    for case in cases(TRANSACTIONS) {
        let (kind, chain_id) = (kind(&case), integer(&case, "chain_id"));
        let message = &case["message_to_sign"];
        assert_official(&build(&case), &case, message);
        let constructed = constructed(kind, chain_id, &parsed(&case, "tx_info")).unwrap();
        assert_official(&constructed, &case, message);
        *seen.entry(kind.tx_type).or_insert(0) += 1;
    }
    assert_eq!(seen.values().sum::<i32>(), 400);
    let types: Vec<u8> = seen.into_keys().collect();
    let all = [
        8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 28, 29, 35, 36, 41, 42, 45,
    ];
    assert_eq!(types, all);
}

#[test]
fn our_signatures_are_valid_and_bound_to_key_field_chain_and_nonce() {
    let mut source = NonceSource::new();
    for case in cases(TRANSACTIONS).iter().step_by(20) {
        let transaction = build(case);
        let key = PrivateKey::parse_hex(text(case, "private_key")).unwrap();
        assert_eq!(hex(&key.public_key()), text(case, "public_key"));
        let hash = transaction.hash();
        let signature = key.sign(hash, &mut source).unwrap();
        assert!(verify(&key.public_key(), hash, &signature));

        let mut info = parsed(case, "tx_info");
        info["Nonce"] = json!(integer(&info, "Nonce") ^ 1);
        let other = from_info(kind(case), integer(case, "chain_id"), &info).unwrap();
        assert!(!verify(&key.public_key(), other.hash(), &signature));
        let stranger = PrivateKey::parse_hex(&"5a".repeat(40)).unwrap();
        assert!(!verify(&stranger.public_key(), hash, &signature));
        let mut bent = signature;
        bent[17] ^= 1;
        assert!(!verify(&key.public_key(), hash, &bent));
    }
}

/// The venue itself accepted these on its test network and answered with these hashes.
#[test]
fn hashes_the_live_test_network_answered_with() {
    let mut seen = 0;
    for line in include_str!("../data/lighter/lighter_messages.jsonl").lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        if line["kind"] != "tx accepted by venue" {
            continue;
        }
        let mut case = line["message"].clone();
        case["tx_info"] = Value::String(case["tx_info"].to_string());
        let transaction = build(&case);
        assert_eq!(hex(&transaction.hash().to_bytes()), text(&case, "tx_hash"));
        seen += 1;
    }
    assert_eq!(seen, 5);
}
