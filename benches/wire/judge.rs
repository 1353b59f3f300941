//! Every order that came, judged after the run by libraries that share nothing with `src`.
//!
//! goldilocks-crypto and poseidon-hash hash and verify Lighter's transactions, starknet-crypto
//! Extended's. Each signature must be good for what the order says, each nonce, salt and nonce
//! point used once, and each price within what its order may pay.

use crate::engine::{
    BASE_ASSET, BASE_RESOLUTION, HEDGE_BAND_BPS, LIGHTER_ACCOUNT, LIGHTER_CHAIN, LIGHTER_KEYS,
    QUOTE_RESOLUTION, STARK_KEY, VAULT,
};
use crate::venues::Received;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use goldilocks_crypto::{Goldilocks, Point, ScalarField, verify_signature};
use parallax::market::Venue;
use poseidon_hash::hash_to_quintic_extension;
use serde_json::Value;
use starknet_crypto::{Felt, poseidon_hash_many};
use std::collections::HashSet;

/// `starknet_keccak` of the type texts of the domain and of an order (source: the official signing
/// library, `rust-crypto-lib-base`).
const DOMAIN_SELECTOR: &str = "0x1ff2f602e42168014d405a94f75e8a93d640751d71d16311266e140d8b0a210";
const ORDER_SELECTOR: &str = "0x36da8d51815527cabfaa9c982f564c80fa7429616739306036f1f9b608dd112";
/// Seconds from an order's expiry to the settlement's.
const SETTLEMENT_EXTRA_S: u64 = 14 * 86_400;
/// An order's fields, in the order in which Lighter hashes them after chain and type.
const LIGHTER_FIELDS: [&str; 14] = [
    "Nonce",
    "ExpiredAt",
    "AccountIndex",
    "ApiKeyIndex",
    "MarketIndex",
    "ClientOrderIndex",
    "BaseAmount",
    "Price",
    "IsAsk",
    "Type",
    "TimeInForce",
    "ReduceOnly",
    "TriggerPrice",
    "OrderExpiry",
];

/// How many orders were good, by venue.
pub fn judge(received: &[Received]) -> [usize; 2] {
    let half = received.len() / 2;
    let (first, second) = received.split_at(half);
    std::thread::scope(|scope| {
        let other = scope.spawn(|| second.iter().for_each(check_signature));
        first.iter().for_each(check_signature);
        other.join().expect("every signature is good");
    });
    let mut used = HashSet::new();
    for order in received {
        check_price(order);
        for once in once(order) {
            assert!(
                used.insert((order.venue, once)),
                "used twice: {}",
                order.text
            );
        }
    }
    let of = |venue| received.iter().filter(|order| order.venue == venue).count();
    [of(Venue::Extended), of(Venue::Lighter)]
}

fn check_signature(order: &Received) {
    let fields: Value = serde_json::from_str(&order.text).expect("it was read before");
    let is_good = match order.venue {
        Venue::Extended => extended_is_good(&fields),
        Venue::Lighter => lighter_is_good(&fields),
    };
    assert!(is_good, "a bad signature: {}", order.text);
}

fn text<'a>(fields: &'a Value, name: &str) -> &'a str {
    fields[name].as_str().expect("a text")
}

fn number(fields: &Value, name: &str) -> u64 {
    fields[name].as_u64().expect("a number")
}

/// What may be used by one order only. Salts are an engine's own: two engines draw theirs from 2^31
/// and may meet (in one run of this bench in four), which no venue minds, as the rest of what is
/// hashed differs.
fn once(order: &Received) -> [String; 2] {
    let fields: Value = serde_json::from_str(&order.text).expect("it was read before");
    match order.venue {
        Venue::Extended => {
            let r = text(&fields["settlement"]["signature"], "r");
            [
                format!("salt {} {}", order.round, fields["nonce"]),
                format!("r {r}"),
            ]
        }
        Venue::Lighter => {
            let (key, nonce) = (number(&fields, "ApiKeyIndex"), number(&fields, "Nonce"));
            let signature = text(&fields, "Sig").to_owned();
            [format!("nonce {key} {nonce}"), signature]
        }
    }
}

/// A first leg pays at most what was seen, as half a basis point is less than a tick; every other
/// order at most its band.
fn check_price(order: &Received) {
    let fields: Value = serde_json::from_str(&order.text).expect("it was read before");
    let (ticks, is_buy) = match order.venue {
        Venue::Extended => {
            let price: f64 = text(&fields, "price").parse().expect("a decimal");
            (
                (price * 10.0).round() as i64,
                text(&fields, "side") == "BUY",
            )
        }
        Venue::Lighter => (
            number(&fields, "Price") as i64,
            number(&fields, "IsAsk") == 0,
        ),
    };
    let (bid, ask) = order.touch;
    let worse = if is_buy { ticks - ask } else { bid - ticks };
    let band = i64::from(HEDGE_BAND_BPS) * bid / 10_000 + 1;
    let most = if order.is_first { 0 } else { band };
    assert!(
        worse <= most,
        "{worse} ticks beyond its bound: {}",
        order.text
    );
}

fn lighter_is_good(fields: &Value) -> bool {
    let element = |value: u64| Goldilocks::from_canonical_u64(value % Goldilocks::MODULUS);
    let mut elements = vec![element(LIGHTER_CHAIN), element(14)];
    elements.extend(LIGHTER_FIELDS.map(|name| element(number(fields, name))));
    let message = hash_to_quintic_extension(&elements).to_bytes_le();
    let key = number(fields, "ApiKeyIndex");
    let mut keys = LIGHTER_KEYS.iter();
    let (_, hex) = keys
        .find(|(index, _)| u64::from(*index) == key)
        .expect("one of ours");
    let secret: Vec<u8> = (0..40)
        .map(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).expect("hex"))
        .collect();
    let secret = ScalarField::from_bytes_le(&secret).expect("below the order");
    let public = Point::generator().mul(&secret).encode().to_bytes_le();
    let signature = STANDARD.decode(text(fields, "Sig")).expect("base64");
    let is_ours = number(fields, "AccountIndex") == LIGHTER_ACCOUNT;
    is_ours && verify_signature(&signature, &message, &public).ok() == Some(true)
}

/// A decimal as its digits and the number of places.
fn decimal(text: &str) -> (i128, u32) {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let digits = [whole, part].concat().parse().expect("a decimal");
    (digits, part.len() as u32)
}

/// The product in settlement units, rounded up where it has more places.
fn units(factors: &[&str], resolution: u64) -> i128 {
    let (mut product, mut places) = (1, 0);
    for factor in factors {
        let (digits, more) = decimal(factor);
        (product, places) = (product * digits, places + more);
    }
    let (value, scale) = (product * i128::from(resolution), 10_i128.pow(places));
    (value + scale - 1) / scale
}

fn short_text(text: &str) -> Felt {
    Felt::from_bytes_be_slice(text.as_bytes())
}

fn extended_is_good(fields: &Value) -> bool {
    let hex = |text: &str| Felt::from_hex(text).expect("hex");
    let secret = hex(STARK_KEY);
    let public = starknet_crypto::get_public_key(&secret);
    let [qty, price, fee] = ["qty", "price", "fee"].map(|name| text(fields, name));
    let sign = if text(fields, "side") == "BUY" { 1 } else { -1 };
    let base = units(&[qty], BASE_RESOLUTION) * sign;
    let quote = units(&[qty, price], QUOTE_RESOLUTION) * -sign;
    let expiry_s = number(fields, "expiryEpochMillis").div_ceil(1000) + SETTLEMENT_EXTRA_S;
    let salt: u64 = text(fields, "nonce").parse().expect("a number");
    let domain = poseidon_hash_many(&[
        hex(DOMAIN_SELECTOR),
        short_text("Perpetuals"),
        short_text("v0"),
        short_text("SN_SEPOLIA"),
        Felt::ONE,
    ]);
    let order = poseidon_hash_many(&[
        hex(ORDER_SELECTOR),
        Felt::from(VAULT),
        hex(BASE_ASSET),
        Felt::from(base),
        Felt::ONE,
        Felt::from(quote),
        Felt::ONE,
        Felt::from(units(&[qty, price, fee], QUOTE_RESOLUTION)),
        Felt::from(expiry_s),
        Felt::from(salt),
    ]);
    let message = poseidon_hash_many(&[short_text("StarkNet Message"), domain, public, order]);
    let signature = &fields["settlement"]["signature"];
    let (r, s) = (hex(text(signature, "r")), hex(text(signature, "s")));
    starknet_crypto::verify(&public, &message, &r, &s).ok() == Some(true)
}
