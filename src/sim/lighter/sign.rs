//! Judges Lighter's signatures: the transaction hash by type, the auth token, Schnorr on ECgFp5.
//!
//! Promises: the field, curve and hash come from the independent crates `goldilocks-crypto` and
//! `poseidon-hash`; only the lists of what is hashed, the attributes and the strictness that those
//! crates leave out (canonical scalars, the neutral key) are ours. Refuses: anything the client
//! side of parallax wrote; the two must agree by the official vectors alone.
//!
//! Source of the lists: the official Go signer library and its native build 1.1.8.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use goldilocks_crypto::{Fp5Element, Goldilocks, Point, ScalarField};
use poseidon_hash::{hash_n_to_one, hash_no_pad, hash_to_quintic_extension};
use serde_json::{Map, Value};

/// A hash or a key: one element of the quintic field, 40 bytes little endian.
pub type Bytes40 = [u8; 40];

/// How one key of a transaction enters the hash.
#[derive(Clone, Copy)]
enum Part {
    /// One element.
    One(&'static str),
    /// Two elements: the low 32 bits, then the rest.
    Two(&'static str),
    /// Base64 of a 40-byte key, as its five limbs.
    Key(&'static str),
    /// The grouped orders, folded to one four-element digest.
    Orders(&'static str),
}

use Part::{Key, One, Orders, Two};

/// The ten keys of an order, in hashing order.
const ORDER_KEYS: [&str; 10] = [
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

/// What follows chain, type, nonce and expiry in the hash of a transaction; `None`: unknown type.
/// The numbers are the venue's transaction types; every list is judged by official vectors.
fn parts(tx_type: u8) -> Option<Vec<Part>> {
    let rest: &[Part] = match tx_type {
        8 => &[Key("PubKey")],
        9 => &[],
        10 => &[
            One("OperatorFee"),
            One("InitialTotalShares"),
            One("MinOperatorShareRate"),
        ],
        11 => &[
            One("PublicPoolIndex"),
            One("Status"),
            One("OperatorFee"),
            One("MinOperatorShareRate"),
        ],
        12 => &[
            One("ToAccountIndex"),
            One("AssetIndex"),
            One("FromRouteType"),
            One("ToRouteType"),
            Two("Amount"),
            Two("USDCFee"),
        ],
        13 => &[One("AssetIndex"), One("RouteType"), Two("Amount")],
        14 => &ORDER_KEYS.map(One),
        15 => &[One("MarketIndex"), One("Index")],
        16 => &[One("TimeInForce"), One("Time")],
        17 => &MODIFY_KEYS.map(One),
        18 | 19 => &[One("PublicPoolIndex"), One("ShareAmount")],
        20 => &LEVERAGE_KEYS.map(One),
        28 => &[One("GroupingType"), Orders("Orders")],
        29 => &[One("MarketIndex"), Two("USDCAmount"), One("Direction")],
        35 | 36 => &[One("StakingPoolIndex"), One("ShareAmount")],
        41 => &[One("AccountTradingMode")],
        42 => &[One("AssetIndex"), One("AssetMarginMode")],
        45 => &INTEGRATOR_KEYS.map(One),
        _ => return None,
    };
    // Transfers and withdrawals alone call the account by another name.
    let account = match tx_type {
        12 | 13 => "FromAccountIndex",
        _ => "AccountIndex",
    };
    let mut all = vec![One(account), One("ApiKeyIndex")];
    all.extend_from_slice(rest);
    Some(all)
}

const MODIFY_KEYS: [&str; 5] = [
    "MarketIndex",
    "Index",
    "BaseAmount",
    "Price",
    "TriggerPrice",
];

const LEVERAGE_KEYS: [&str; 3] = ["MarketIndex", "InitialMarginFraction", "MarginMode"];

const INTEGRATOR_KEYS: [&str; 6] = [
    "IntegratorAccountIndex",
    "MaxPerpsTakerFee",
    "MaxPerpsMakerFee",
    "MaxSpotTakerFee",
    "MaxSpotMakerFee",
    "ApprovalExpiry",
];

/// The hash a transaction's signature is over. `None` where a key is missing or not an integer, or
/// the type is unknown.
pub fn transaction_hash(chain_id: u64, tx_type: u8, info: &Map<String, Value>) -> Option<Bytes40> {
    let mut elements = vec![
        element(chain_id),
        element(u64::from(tx_type)),
        field(info, "Nonce")?,
        field(info, "ExpiredAt")?,
    ];
    for part in parts(tx_type)? {
        match part {
            One(key) => elements.push(field(info, key)?),
            Two(key) => {
                let value = integer(info.get(key)?)?;
                elements.extend([element(value & 0xffff_ffff), element(value >> 32)]);
            }
            Key(key) => {
                let key = STANDARD.decode(info.get(key)?.as_str()?).ok()?;
                elements.extend(limbs(&key).filter(|_| key.len() == 40)?);
            }
            Orders(key) => elements.extend(grouped(info.get(key)?.as_array()?)?),
        }
    }
    let body = hash_to_quintic_extension(&elements);
    let Some(pairs) = attribute_elements(info.get("L2TxAttributes"))? else {
        return Some(body.to_bytes_le());
    };
    let attributes = hash_to_quintic_extension(&pairs);
    let both: Vec<Goldilocks> = body.0.into_iter().chain(attributes.0).collect();
    Some(hash_to_quintic_extension(&both).to_bytes_le())
}

/// The attribute pairs as hashed: sorted by id, nil values left out, padded to four pairs. Inner
/// `None`: nothing is set, so attributes do not enter the hash. Outer `None`: malformed.
fn attribute_elements(attributes: Option<&Value>) -> Option<Option<Vec<Goldilocks>>> {
    let pairs = attribute_pairs(attributes)?;
    if pairs.is_empty() {
        return Some(None);
    }
    let mut elements = Vec::with_capacity(8);
    for (id, value) in pairs {
        elements.extend([element(id), element(value)]);
    }
    elements.resize(8, Goldilocks::zero());
    Some(Some(elements))
}

/// The attributes that are set, as `(id, value)` sorted by id. `None`: malformed, an unknown id, or
/// more than four.
pub fn attribute_pairs(attributes: Option<&Value>) -> Option<Vec<(u64, u64)>> {
    let object = match attributes {
        None | Some(Value::Null) => return Some(Vec::new()),
        Some(Value::Object(object)) => object,
        Some(_) => return None,
    };
    let mut pairs = Vec::new();
    for (id, value) in object {
        let id = id.parse::<u64>().ok().filter(|id| (1..=8).contains(id))?;
        let value = integer(value)?;
        // Only the market of a cancel-all has a nil other than zero: market 0 is a real one.
        let nil = if id == 5 { 255 } else { 0 };
        if value != nil {
            pairs.push((id, value));
        }
    }
    pairs.sort_unstable();
    (pairs.len() <= 4).then_some(pairs)
}

/// Orders of a group are hashed one by one and folded from left to right.
fn grouped(orders: &[Value]) -> Option<[Goldilocks; 4]> {
    let digests = orders
        .iter()
        .map(|order| {
            let order = order.as_object()?;
            let fields: Option<Vec<_>> = ORDER_KEYS.iter().map(|key| field(order, key)).collect();
            Some(hash_no_pad(&fields?))
        })
        .collect::<Option<Vec<_>>>()?;
    (!digests.is_empty()).then(|| hash_n_to_one(&digests))
}

/// One integer of the transaction as a field element.
fn field(info: &Map<String, Value>, key: &str) -> Option<Goldilocks> {
    integer(info.get(key)?).map(element)
}

/// An integer as the venue hashes it: a negative one as its two's complement.
fn integer(value: &Value) -> Option<u64> {
    value
        .as_u64()
        .or_else(|| value.as_i64().map(|value| value as u64))
}

/// Reduced into the field; only a negative integer or a 64-bit limb ever needs it.
fn element(value: u64) -> Goldilocks {
    Goldilocks::from_canonical_u64(value % Goldilocks::MODULUS)
}

/// Little-endian limbs of up to eight bytes each, the last one padded with zeros.
fn limbs(bytes: &[u8]) -> Option<Vec<Goldilocks>> {
    let limb = |chunk: &[u8]| {
        let mut limb = [0; 8];
        limb[..chunk.len()].copy_from_slice(chunk);
        element(u64::from_le_bytes(limb))
    };
    Some(bytes.chunks(8).map(limb).collect())
}

/// The hash an auth token's signature is over: `<expiry s>:<account>:<api key>` in eight-byte
/// limbs.
pub fn token_hash(text: &str) -> Bytes40 {
    let elements = limbs(text.as_bytes()).unwrap_or_default();
    hash_to_quintic_extension(&elements).to_bytes_le()
}

/// Whether `signature` (s, then e, 40 bytes each) over `message` was made by the owner of
/// `public_key`. False for every malformed input.
///
/// Composed here from the crate's points because its own `verify_signature` takes scalars that are
/// not reduced and, in debug builds, prints to standard output on a refusal.
pub fn verify(public_key: &Bytes40, message: &Bytes40, signature: &[u8]) -> bool {
    let Ok(signature) = <&[u8; 80]>::try_from(signature) else {
        return false;
    };
    let (Ok(s), Ok(e)) = (
        ScalarField::from_bytes_le(&signature[..40]),
        ScalarField::from_bytes_le(&signature[40..]),
    ) else {
        return false;
    };
    let (Some(key), Some(message)) = (fp5(public_key), fp5(message)) else {
        return false;
    };
    if !s.is_canonical() || !e.is_canonical() {
        return false;
    }
    let Some(key) = Point::decode(&key).filter(|key| !key.is_neutral()) else {
        return false;
    };
    let nonce = Point::generator().mul(&s).add(&key.mul(&e)).encode();
    let challenge: Vec<Goldilocks> = nonce.0.into_iter().chain(message.0).collect();
    ScalarField::from_fp5_element(&hash_to_quintic_extension(&challenge)).equals(&e)
}

/// A field element from foreign bytes; `None` where a limb is not reduced.
fn fp5(bytes: &Bytes40) -> Option<Fp5Element> {
    let reduced = bytes.chunks(8).all(|chunk| {
        let limb = <[u8; 8]>::try_from(chunk).map(u64::from_le_bytes);
        limb.is_ok_and(|limb| limb < Goldilocks::MODULUS)
    });
    Fp5Element::from_bytes_le(bytes).ok().filter(|_| reduced)
}

/// The public key of a private one.
pub fn public_key(private_key: &Bytes40) -> Option<Bytes40> {
    let scalar = ScalarField::from_bytes_le(private_key).ok()?;
    Some(Point::generator().mul(&scalar).encode().to_bytes_le())
}

/// Lower-case hex.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Bytes of hex text; `None` when it is not hex.
pub fn unhex(text: &str) -> Option<Vec<u8>> {
    let ok = text.len().is_multiple_of(2) && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let byte = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).ok();
    ok.then(|| (0..text.len()).step_by(2).map(byte).collect())?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cases(file: &str) -> Vec<Value> {
        let path = format!("{}/tests/data/lighter/{file}", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(path).unwrap();
        let mut file: Value = serde_json::from_str(&text).unwrap();
        match file["cases"].take() {
            Value::Array(cases) => cases,
            _ => panic!("no cases"),
        }
    }

    fn bytes(value: &Value) -> Bytes40 {
        unhex(value.as_str().unwrap()).unwrap().try_into().unwrap()
    }

    #[test]
    fn official_transactions_hash_and_verify() {
        let cases = cases("lighter_tx.json");
        assert!(cases.len() >= 300);
        for case in cases {
            let tx_type = case["tx_type"].as_u64().unwrap() as u8;
            let chain_id = case["chain_id"].as_u64().unwrap();
            let info: Value = serde_json::from_str(case["tx_info"].as_str().unwrap()).unwrap();
            let info = info.as_object().unwrap();
            let hash = transaction_hash(chain_id, tx_type, info);
            assert_eq!(hash, Some(bytes(&case["tx_hash"])), "type {tx_type}");
        }
    }

    #[test]
    fn official_signatures_verify_and_break_with_any_field() {
        for case in cases("lighter_tx.json").iter().step_by(5) {
            let tx_type = case["tx_type"].as_u64().unwrap() as u8;
            let chain_id = case["chain_id"].as_u64().unwrap();
            let info: Value = serde_json::from_str(case["tx_info"].as_str().unwrap()).unwrap();
            let info = info.as_object().unwrap();
            let key = bytes(&case["public_key"]);
            let signature = STANDARD.decode(info["Sig"].as_str().unwrap()).unwrap();
            let hash = transaction_hash(chain_id, tx_type, info).unwrap();
            assert!(verify(&key, &hash, &signature), "type {tx_type}");
            let other_chain = transaction_hash(chain_id + 1, tx_type, info).unwrap();
            assert!(!verify(&key, &other_chain, &signature));
            for name in ["Nonce", "ExpiredAt", "ApiKeyIndex", "Price", "Index"] {
                let Some(value) = info.get(name).and_then(Value::as_u64) else {
                    continue;
                };
                let mut changed = info.clone();
                changed.insert(name.into(), (value + 1).into());
                let hash = transaction_hash(chain_id, tx_type, &changed).unwrap();
                assert!(!verify(&key, &hash, &signature), "{name} of type {tx_type}");
            }
        }
    }

    #[test]
    fn every_field_of_a_create_order_enters_the_hash() {
        let cases = cases("lighter_tx.json");
        let case = cases.iter().find(|case| case["tx_type"] == 14).unwrap();
        let info: Value = serde_json::from_str(case["tx_info"].as_str().unwrap()).unwrap();
        let info = info.as_object().unwrap();
        let hash = transaction_hash(304, 14, info);
        for key in ORDER_KEYS.iter().chain(&["AccountIndex"]) {
            let mut changed = info.clone();
            changed.insert((*key).into(), (info[*key].as_u64().unwrap() + 1).into());
            assert_ne!(transaction_hash(304, 14, &changed), hash, "{key}");
            changed.remove(*key);
            assert_eq!(transaction_hash(304, 14, &changed), None, "{key}");
        }
    }

    #[test]
    fn schnorr_vectors_agree_in_both_verdicts() {
        let mut judged = [0, 0];
        for case in cases("lighter_schnorr.json") {
            let (Some(signature), Some(valid)) =
                (case["signature"].as_str(), case["valid"].as_bool())
            else {
                continue;
            };
            let signature = unhex(signature).unwrap();
            let message = bytes(&case["message_hash"]);
            let verdict = verify(&bytes(&case["public_key"]), &message, &signature);
            assert_eq!(verdict, valid, "{case}");
            judged[usize::from(valid)] += 1;
        }
        assert!(judged[0] > 5 && judged[1] > 20, "{judged:?}");
    }

    #[test]
    fn official_auth_tokens_verify() {
        for case in cases("lighter_auth_tokens.json") {
            let hash = token_hash(case["message"].as_str().unwrap());
            assert_eq!(hash, bytes(&case["message_hash"]));
            let token = case["token"].as_str().unwrap();
            let signature = unhex(token.rsplit(':').next().unwrap()).unwrap();
            assert!(verify(&bytes(&case["public_key"]), &hash, &signature));
            assert!(!verify(
                &bytes(&case["public_key"]),
                &token_hash("1:2:3"),
                &signature
            ));
        }
    }

    #[test]
    fn foreign_bytes_are_refused_without_panic() {
        let good = [1; 40];
        assert!(!verify(&good, &good, &[0; 79]));
        assert!(!verify(&[0; 40], &good, &[1; 80]));
        assert!(!verify(&[255; 40], &good, &[1; 80]));
        assert!(!verify(&good, &good, &[255; 80]));
        assert_eq!(unhex("0g"), None);
        assert_eq!(unhex("abc"), None);
    }
}
