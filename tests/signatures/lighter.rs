//! Lighter's signatures against the official signer's own output: every transaction type built from
//! plain numbers, auth tokens, and signatures that must be refused.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use parallax::venue::lighter::sign::transaction::{
    AuthToken, CreateOrder, Envelope, Transaction, token_hash,
};
use parallax::venue::lighter::sign::{Message, NonceSource, PrivateKey, Signature, verify};
use parallax::venue::{OutKind, Outbox};
use serde_json::Value;

const TRANSACTIONS: &str = include_str!("../data/lighter/lighter_tx.json");
const TOKENS: &str = include_str!("../data/lighter/lighter_auth_tokens.json");
const SCHNORR: &str = include_str!("../data/lighter/lighter_schnorr.json");

fn cases(file: &str) -> Vec<Value> {
    let root: Value = serde_json::from_str(file).unwrap();
    root["cases"].as_array().unwrap().clone()
}

fn text<'a>(case: &'a Value, key: &str) -> &'a str {
    case[key].as_str().unwrap()
}

fn bytes<const N: usize>(hex: &str) -> [u8; N] {
    assert_eq!(hex.len(), 2 * N);
    std::array::from_fn(|i| u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).unwrap())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn integer(info: &Value, key: &str) -> u64 {
    info[key].as_u64().unwrap_or_else(|| panic!("{key}"))
}

fn envelope(case: &Value, info: &Value, account: &str) -> Envelope {
    Envelope {
        chain_id: integer(case, "chain_id"),
        account_index: integer(info, account),
        api_key_index: integer(info, "ApiKeyIndex") as u8,
        expired_at_ms: integer(info, "ExpiredAt"),
        nonce: integer(info, "Nonce"),
    }
}

/// The fields between the key's and `ExpiredAt`, in the order of the official text.
fn body_fields(tx_info: &str) -> Vec<(String, u64)> {
    let body = tx_info.split(",\"ExpiredAt\"").next().unwrap();
    let pairs = body.trim_start_matches('{').split(',').skip(2);
    pairs
        .map(|pair| {
            let (name, value) = pair.split_once(':').unwrap();
            (name.trim_matches('"').to_owned(), value.parse().unwrap())
        })
        .collect()
}

fn build(case: &Value) -> Option<Transaction> {
    let tx_info = text(case, "tx_info");
    let info: Value = serde_json::from_str(tx_info).unwrap();
    let tx_type = integer(case, "tx_type") as u8;
    let mut transaction = match tx_type {
        8 | 12 | 28 | 45 => return None,
        14 => Transaction::create_order(
            envelope(case, &info, "AccountIndex"),
            &CreateOrder {
                market_index: integer(&info, "MarketIndex"),
                client_order_index: integer(&info, "ClientOrderIndex"),
                base_amount: integer(&info, "BaseAmount"),
                price: integer(&info, "Price"),
                is_ask: integer(&info, "IsAsk") == 1,
                order_type: integer(&info, "Type") as u8,
                time_in_force: integer(&info, "TimeInForce") as u8,
                reduce_only: integer(&info, "ReduceOnly") == 1,
                trigger_price: integer(&info, "TriggerPrice"),
                order_expiry_ms: integer(&info, "OrderExpiry"),
            },
        ),
        15 => Transaction::cancel_order(
            envelope(case, &info, "AccountIndex"),
            integer(&info, "MarketIndex"),
            integer(&info, "Index"),
        ),
        16 => Transaction::cancel_all(
            envelope(case, &info, "AccountIndex"),
            integer(&info, "TimeInForce") as u8,
            integer(&info, "Time"),
        ),
        _ => generic(tx_type, case, &info),
    };
    if let Some(attributes) = info["L2TxAttributes"].as_object() {
        let mut pairs: Vec<(u8, u64)> = attributes
            .iter()
            .map(|(id, value)| (id.parse().unwrap(), value.as_u64().unwrap()))
            .collect();
        pairs.sort_unstable();
        for (id, value) in pairs {
            transaction = transaction.attribute(id, value);
        }
    }
    Some(transaction)
}

fn generic(tx_type: u8, case: &Value, info: &Value) -> Transaction {
    let account = if tx_type == 13 {
        "FromAccountIndex"
    } else {
        "AccountIndex"
    };
    let mut transaction = Transaction::new(tx_type, envelope(case, info, account), account);
    for (name, value) in body_fields(text(case, "tx_info")) {
        let name: &'static str = name.leak();
        let is_wide = matches!((tx_type, name), (13, "Amount") | (29, "USDCAmount"));
        transaction = if is_wide {
            transaction.wide_field(name, value)
        } else {
            transaction.field(name, value)
        };
    }
    transaction
}

#[test]
fn transactions_hash_and_read_as_the_official_signer_has_them() {
    let (mut checked, mut skipped) = (0, 0);
    for case in cases(TRANSACTIONS) {
        let Some(transaction) = build(&case) else {
            skipped += 1;
            continue;
        };
        let hash = transaction.hash();
        assert_eq!(
            hex(&hash.to_bytes()),
            text(&case, "tx_hash"),
            "{}",
            case["name"]
        );

        let info: Value = serde_json::from_str(text(&case, "tx_info")).unwrap();
        let signature = STANDARD.decode(text(&info, "Sig")).unwrap();
        let signature: Signature = signature.try_into().unwrap();
        let public_key = bytes(text(&case, "public_key"));
        assert!(verify(&public_key, hash, &signature), "{}", case["name"]);

        let mut out = Outbox::new(4096, 1);
        out.message(0, OutKind::Text, |text| transaction.write(&signature, text));
        let written = out.payload(&out.items()[0]);
        assert_eq!(
            std::str::from_utf8(written).unwrap(),
            text(&case, "tx_info")
        );
        checked += 1;
    }
    println!("transactions: {checked} checked, {skipped} of types not written yet");
    assert_eq!((checked, skipped), (323, 77));
}

#[test]
fn our_signatures_are_valid_and_bound_to_key_field_chain_and_nonce() {
    let mut source = NonceSource::new();
    for case in cases(TRANSACTIONS).iter().take(20) {
        let Some(transaction) = build(case) else {
            continue;
        };
        let key = PrivateKey::parse_hex(text(case, "private_key")).unwrap();
        assert_eq!(hex(&key.public_key()), text(case, "public_key"));
        let hash = transaction.hash();
        let signature = key.sign(hash, &mut source).unwrap();
        assert!(verify(&key.public_key(), hash, &signature));

        let other = transaction.skip_nonce().hash();
        assert!(!verify(&key.public_key(), other, &signature));
        let stranger = PrivateKey::parse_hex(&"5a".repeat(40)).unwrap();
        assert!(!verify(&stranger.public_key(), hash, &signature));
        let mut bent = signature;
        bent[17] ^= 1;
        assert!(!verify(&key.public_key(), hash, &bent));
    }
}

#[test]
fn schnorr_vectors_with_every_negative_case() {
    let (mut good, mut bad) = (0, 0);
    for case in cases(SCHNORR) {
        if text(&case, "op") == "keygen_official" {
            let key = PrivateKey::parse_hex(text(&case, "private_key")).unwrap();
            assert_eq!(hex(&key.public_key()), text(&case, "public_key"));
            continue;
        }
        let public_key = bytes(text(&case, "public_key"));
        let expected = case["valid"].as_bool().unwrap();
        let message = Message::from_bytes(&bytes(text(&case, "message_hash")));
        let signature = bytes(text(&case, "signature"));
        let valid = message.is_some_and(|message| verify(&public_key, message, &signature));
        assert_eq!(valid, expected, "{}", case["kind"]);
        *(if expected { &mut good } else { &mut bad }) += 1;
    }
    assert!(good == 60 && bad == 20, "{good} good, {bad} bad");
}

#[test]
fn auth_tokens() {
    let mut source = NonceSource::new();
    for case in cases(TOKENS) {
        let message = text(&case, "message");
        let hash = token_hash(message.as_bytes());
        assert_eq!(hex(&hash.to_bytes()), text(&case, "message_hash"));
        let public_key = bytes(text(&case, "public_key"));
        let (_, official) = text(&case, "token").rsplit_once(':').unwrap();
        assert!(verify(&public_key, hash, &bytes(official)));

        let key = PrivateKey::parse_hex(text(&case, "private_key")).unwrap();
        let (deadline, account) = (integer(&case, "deadline"), integer(&case, "account_index"));
        let slot = integer(&case, "api_key_index") as u8;
        let token = AuthToken::sign(&key, deadline, account, slot, &mut source).unwrap();
        let ours = std::str::from_utf8(token.text()).unwrap();
        let (head, signature) = ours.rsplit_once(':').unwrap();
        assert_eq!(head, message);
        assert!(verify(&public_key, hash, &bytes(signature)));
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
        let transaction = build(&case).unwrap();
        assert_eq!(hex(&transaction.hash().to_bytes()), text(&case, "tx_hash"));
        seen += 1;
    }
    assert_eq!(seen, 5);
}
