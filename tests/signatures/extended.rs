//! Official signatures of Extended: every amount, hash and signature of the vectors, recomputed.
//!
//! The vectors were made with the venue's official SDK (see `tests/data/extended/README.md`).

use parallax::market::book::Side;
use parallax::venue::extended::sign::amounts::{
    Exact, OrderValue, Rounding, order_amounts, settle,
};
use parallax::venue::extended::sign::hash::{
    Chain, MoveTerms, OrderHasher, OrderTerms, limit_order_hash, transfer_hash, withdraw_hash,
};
use parallax::venue::extended::sign::{Felt, Signature, StarkKey, parse_felt, verify};
use serde_json::Value;

/// Signed expirations lie this much after an order's own expiry: 14 days.
const ORDER_EXPIRATION_EXTRA_S: u64 = 1_209_600;

fn cases(text: &str) -> Vec<Value> {
    let file: Value = serde_json::from_str(text).unwrap();
    file["cases"].as_array().unwrap().clone()
}

fn felt(value: &Value) -> Felt {
    parse_felt(value.as_str().unwrap()).unwrap()
}

fn exact(value: &Value) -> Exact {
    Exact::parse(value.as_str().unwrap().as_bytes()).unwrap()
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap()
}

fn side(value: &Value) -> Side {
    match value.as_str().unwrap() {
        "BUY" => Side::Bid,
        "SELL" => Side::Ask,
        other => panic!("{other}"),
    }
}

fn account(input: &Value) -> (StarkKey, OrderHasher, u32) {
    let key = StarkKey::parse_hex(input["private_key"].as_str().unwrap()).unwrap();
    assert_eq!(key.public_key(), felt(&input["public_key"]));
    let vault = input["vault"].as_u64().or(input["from_vault"].as_u64());
    let vault = u32::try_from(vault.unwrap()).unwrap();
    let chain = Chain::parse(input["chain_id"].as_str().unwrap()).unwrap();
    let hasher = OrderHasher::new(chain, key.public_key(), vault);
    (key, hasher, vault)
}

fn check_signature(key: &StarkKey, hash: Felt, r: &Value, s: &Value) {
    let signature = key.sign(hash).unwrap();
    assert_eq!(
        signature,
        Signature {
            r: felt(r),
            s: felt(s)
        }
    );
}

/// One signed order, entry or leg, against its expected amounts, hashes and signature.
fn check_order(input: &Value, expected: &Value) {
    let (key, hasher, _) = account(input);
    let l2 = &input["l2_config"];
    let mut fee_rate = exact(&input["fee_rate"]);
    if input["builder_fee"].is_string() {
        let builder = exact(&input["builder_fee"]);
        let digits = fee_rate.digits.max(builder.digits);
        let lift = |fee: Exact| fee.value * 10_i128.pow(digits - fee.digits);
        fee_rate = Exact {
            value: lift(fee_rate) + lift(builder),
            digits,
        };
    }
    let amounts = order_amounts(&OrderValue {
        side: side(&expected["side"]),
        size: exact(&input["qty"]),
        price: exact(&expected["price"]),
        fee_rate,
        base_resolution: number(&l2["syntheticResolution"]),
        quote_resolution: number(&l2["collateralResolution"]),
    })
    .unwrap();
    assert_eq!(Some(amounts.base), expected["base_amount"].as_i64());
    assert_eq!(Some(amounts.quote), expected["quote_amount"].as_i64());
    assert_eq!(Some(amounts.fee), expected["fee_amount"].as_u64());
    let expiration_s =
        number(&input["expiry_epoch_millis"]).div_ceil(1000) + ORDER_EXPIRATION_EXTRA_S;
    assert_eq!(expiration_s, number(&expected["settlement_expiration"]));
    let terms = OrderTerms {
        base_asset: felt(&l2["syntheticId"]),
        base_amount: amounts.base,
        quote_asset: felt(&l2["collateralId"]),
        quote_amount: amounts.quote,
        fee_amount: amounts.fee,
        expiration_s,
        salt: number(&input["nonce"]),
    };
    assert_eq!(hasher.struct_hash(&terms), felt(&expected["struct_hash"]));
    let hash = hasher.order_hash(&terms);
    assert_eq!(hash, felt(&expected["order_hash"]));
    check_signature(&key, hash, &expected["r"], &expected["s"]);
}

#[test]
fn orders_and_their_legs() {
    let cases = cases(include_str!("../data/extended/extended_orders.json"));
    let mut legs = 0;
    for case in &cases {
        check_order(&case["input"], &case["expected"]);
        for leg in ["take_profit", "stop_loss"] {
            if case["legs"][leg].is_object() {
                check_order(&case["input"], &case["legs"][leg]);
                legs += 1;
            }
        }
    }
    assert_eq!((cases.len(), legs), (240, 44));
}

#[test]
fn vault_share_orders() {
    for case in cases(include_str!("../data/extended/extended_limit_orders.json")) {
        let input = &case["input"];
        let (key, hasher, vault) = account(input);
        let is_buy = input["is_buy"].as_bool().unwrap();
        // Away from zero, on the magnitude; the sign comes after.
        let base = settle(
            exact(&input["base_amount"]),
            number(&input["base_resolution"]),
            Rounding::Up,
        )
        .unwrap() as i64;
        let quote = settle(
            exact(&input["quote_amount"]),
            number(&input["quote_resolution"]),
            Rounding::Up,
        )
        .unwrap() as i64;
        let terms = OrderTerms {
            base_asset: felt(&input["base_asset_id"]),
            base_amount: if is_buy { base } else { -base },
            quote_asset: felt(&input["quote_asset_id"]),
            quote_amount: if is_buy { -quote } else { quote },
            fee_amount: 0,
            expiration_s: number(&input["now_epoch_millis"]).div_ceil(1000)
                + 3600
                + ORDER_EXPIRATION_EXTRA_S,
            salt: number(&input["nonce"]),
        };
        let expected = &case["sdk_settlement"];
        assert_eq!(Some(terms.base_amount), expected["baseAmount"].as_i64());
        assert_eq!(Some(terms.quote_amount), expected["quoteAmount"].as_i64());
        let struct_hash = limit_order_hash(vault, &terms);
        assert_eq!(struct_hash, felt(&case["struct_hash"]));
        let hash = hasher.message_hash(struct_hash);
        assert_eq!(hash, felt(&case["message_hash"]));
        let signature = &expected["signature"];
        check_signature(&key, hash, &signature["r"], &signature["s"]);
    }
}

/// Transfers and withdrawals differ in selector, recipient and how long they last.
fn check_move(case: &Value, recipient: Felt, days: u64, struct_hash: fn(&MoveTerms) -> Felt) {
    let input = &case["input"];
    let (key, hasher, vault) = account(input);
    let amount = settle(
        exact(&input["amount"]),
        number(&input["resolution"]),
        Rounding::HalfEven,
    )
    .unwrap();
    let terms = MoveTerms {
        recipient,
        vault,
        asset: felt(&input["collateral_id"]),
        amount: u64::try_from(amount).unwrap(),
        expiration_s: number(&input["now_epoch_millis"]).div_ceil(1000) + days * 86_400,
        salt: number(&input["nonce"]),
    };
    let expected = &case["expected"];
    assert_eq!(terms.amount, number(&expected["amount"]));
    assert_eq!(terms.expiration_s, number(&expected["expiration"]));
    let hash = struct_hash(&terms);
    assert_eq!(hash, felt(&case["struct_hash"]));
    let hash = hasher.message_hash(hash);
    assert_eq!(hash, felt(&case["message_hash"]));
    check_signature(&key, hash, &expected["r"], &expected["s"]);
}

#[test]
fn transfers() {
    for case in cases(include_str!("../data/extended/extended_transfers.json")) {
        let recipient = Felt::from(number(&case["input"]["to_vault"]));
        check_move(&case, recipient, 21, transfer_hash);
    }
}

#[test]
fn withdrawals() {
    for case in cases(include_str!("../data/extended/extended_withdrawals.json")) {
        let recipient = felt(&case["input"]["recipient"]);
        check_move(&case, recipient, 15, withdraw_hash);
    }
}

#[test]
fn a_wrong_key_or_field_does_not_verify() {
    let case = &cases(include_str!("../data/extended/extended_orders.json"))[0];
    let expected = &case["expected"];
    let signature = Signature {
        r: felt(&expected["r"]),
        s: felt(&expected["s"]),
    };
    let public = felt(&case["input"]["public_key"]);
    let hash = felt(&expected["order_hash"]);
    assert!(verify(public, hash, &signature));
    assert!(!verify(public, hash + Felt::ONE, &signature));
    let other = StarkKey::parse_hex("0x1234").unwrap();
    assert!(!verify(other.public_key(), hash, &signature));
}
