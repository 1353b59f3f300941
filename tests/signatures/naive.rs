//! Our signatures before judges that share no code with us: the naive implementations of both
//! venues, and the library that Starknet itself is built with. The naive ones first prove
//! themselves on official vectors.

use crate::{naive_lighter, naive_stark};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use num_bigint::BigUint;
use parallax::venue::extended::sign::hash::{Chain, OrderHasher, OrderTerms};
use parallax::venue::extended::sign::{Felt, PointMaker, Signature, StarkKey, parse_felt};
use parallax::venue::lighter::sign::attributes::Attributes;
use parallax::venue::lighter::sign::order::{CreateOrder, OrderType, TimeInForce};
use parallax::venue::lighter::sign::transaction::{Envelope, Transaction};
use parallax::venue::lighter::sign::{self as lighter, Message, NonceSource, PrivateKey};
use proptest::prelude::*;
use serde_json::Value;

const ORDERS: &str = include_str!("../data/extended/extended_orders.json");
const POSEIDON2: &str = include_str!("../data/lighter/lighter_poseidon2.json");
const CURVE: &str = include_str!("../data/lighter/lighter_curve.json");
const SCHNORR: &str = include_str!("../data/lighter/lighter_schnorr.json");
const TRANSACTIONS: &str = include_str!("../data/lighter/lighter_tx.json");

/// Whether the naive judge of Extended finds a signature good.
pub fn naive_accepts_extended(public: Felt, message: Felt, signature: &Signature) -> bool {
    let [public, message, r, s] =
        [public, message, signature.r, signature.s].map(|felt| felt.to_bytes_be());
    naive_stark::naive_accepts(&public, &message, &r, &s)
}

/// Whether the naive judge of Lighter finds a signature good.
pub fn naive_accepts_lighter(
    public: &lighter::PublicKey,
    message: Message,
    signature: &lighter::Signature,
) -> bool {
    naive_lighter::naive_accepts(public, &message.to_bytes(), signature)
}

/// All judges of Extended, who must agree.
fn extended_accepts(public: Felt, message: Felt, signature: &Signature) -> bool {
    let naive = naive_accepts_extended(public, message, signature);
    let library = starknet_crypto::verify(&public, &message, &signature.r, &signature.s);
    assert_eq!(library.unwrap_or(false), naive, "{signature:?}");
    naive
}

/// All judges of Lighter, who must agree. Our own `verify` among them is what the naive one judges.
fn lighter_accepts(
    public: &lighter::PublicKey,
    message: Message,
    signature: &lighter::Signature,
) -> bool {
    let naive = naive_accepts_lighter(public, message, signature);
    assert_eq!(lighter::verify(public, message, signature), naive);
    naive
}

fn cases(file: &str) -> Vec<Value> {
    let root: Value = serde_json::from_str(file).unwrap();
    root["cases"].as_array().unwrap().clone()
}

fn cases_of(file: &str, op: &str) -> Vec<Value> {
    let mut cases = cases(file);
    cases.retain(|case| case["op"] == op);
    assert!(!cases.is_empty(), "{op}");
    cases
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

fn bytes<const N: usize>(value: &Value) -> [u8; N] {
    let digits = text(value);
    assert_eq!(digits.len(), 2 * N);
    std::array::from_fn(|at| u8::from_str_radix(&digits[2 * at..2 * at + 2], 16).unwrap())
}

fn element(value: &Value) -> naive_lighter::Element {
    naive_lighter::element(&bytes(value)).unwrap()
}

fn numbers(value: &Value) -> Vec<u64> {
    let list = value.as_array().unwrap().iter();
    list.map(|number| text(number).parse().unwrap()).collect()
}

fn big(felt: Felt) -> BigUint {
    BigUint::from_bytes_be(&felt.to_bytes_be())
}

/// Check values of the Poseidon parameters: first constants, a permutation, a hash.
#[test]
fn naive_poseidon_is_starknets() {
    for (idx, expected) in [
        "0x6861759ea556a2339dd92f9562a30b9e58e2ad98109ae4780b7fd8eac77fe6f",
        "0x3827681995d5af9ffc8397a3d00425a3da43f76abf28a64e4ab1a22f27508c4",
        "0x3a3956d2fad44d0e7f760a2277dc7cb2cac75dc279b2d687a0dbe17704a8309",
    ]
    .into_iter()
    .enumerate()
    {
        assert_eq!(
            naive_stark::round_constant(idx),
            naive_stark::number(expected)
        );
    }
    let expected = [
        "0x79e8d1e78258000a28fc9d49e233bc6852357968577b1e386550ed6a9086133",
        "0x3840d003d0f3f96dbb796ff6aa6a63be5b5404b91ccaabca256154cbb6fb984",
        "0x1eb39da3f7d3b04142d0ac83d9da00c9325a61fb2ef326e50b70eaa8a3c7cc7",
    ];
    let state = naive_stark::permute([BigUint::ZERO, BigUint::ZERO, BigUint::ZERO]);
    assert_eq!(state, expected.map(naive_stark::number));
    let hash = naive_stark::poseidon(&[1_u8.into(), 2_u8.into()]);
    let expected = "0x371cb6995ea5e7effcd2e174de264b5b407027a75a231a70c2c8d196107f0e7";
    assert_eq!(hash, naive_stark::number(expected));
}

/// Orders signed by the official SDK: key, hash, signature.
#[test]
fn naive_extended_reads_official_orders() {
    let whole = |value: &Value| value.as_i64().unwrap();
    for case in cases(ORDERS).iter().step_by(24) {
        let (input, expected) = (&case["input"], &case["expected"]);
        let l2 = &input["l2_config"];
        let order = naive_stark::Order {
            position_id: whole(&input["vault"]).try_into().unwrap(),
            base_asset: naive_stark::number(text(&l2["syntheticId"])),
            base_amount: whole(&expected["base_amount"]),
            quote_asset: naive_stark::number(text(&l2["collateralId"])),
            quote_amount: whole(&expected["quote_amount"]),
            fee_amount: whole(&expected["fee_amount"]).try_into().unwrap(),
            expiration_s: expected["settlement_expiration"].as_u64().unwrap(),
            salt: input["nonce"].as_u64().unwrap(),
        };
        let private = naive_stark::number(text(&input["private_key"]));
        let public = naive_stark::public_key(&private);
        assert_eq!(public, naive_stark::number(text(&input["public_key"])));
        let hash = naive_stark::order_message(text(&input["chain_id"]), &public, &order);
        let felt = |value: &Value| parse_felt(text(value)).unwrap();
        assert_eq!(hash, big(felt(&expected["order_hash"])));
        let signature = Signature {
            r: felt(&expected["r"]),
            s: felt(&expected["s"]),
        };
        let public = felt(&input["public_key"]);
        let hash = felt(&expected["order_hash"]);
        assert!(extended_accepts(public, hash, &signature));
        assert!(!extended_accepts(public, hash + Felt::ONE, &signature));
    }
}

#[test]
fn naive_poseidon2_is_lighters() {
    let rules = naive_lighter::Rules::read();
    for case in cases_of(POSEIDON2, "permute").iter().step_by(7) {
        let state: [u64; 12] = numbers(&case["in"]).try_into().unwrap();
        assert_eq!(rules.permute(state).to_vec(), numbers(&case["out"]));
    }
    for case in cases_of(POSEIDON2, "hash5") {
        let hash = naive_lighter::hash5(&numbers(&case["in"]));
        assert_eq!(hash.to_vec(), numbers(&case["out"]));
    }
}

#[test]
fn naive_field_and_group_are_lighters() {
    use naive_lighter::{A, B, LINEAR, MOVE, combine, decode, divide, encode, generator};
    use naive_lighter::{multiply, plus5, times5};
    let three = [3, 0, 0, 0, 0];
    assert_eq!(times5(&three, &MOVE), A);
    assert_eq!(plus5(&LINEAR, &divide(&times5(&A, &A), &three)), B);
    assert_eq!(decode(&[4, 0, 0, 0, 0]), Some(generator()));
    for case in cases_of(CURVE, "fp5") {
        let (a, b) = (element(&case["a"]), element(&case["b"]));
        assert_eq!(times5(&a, &b), element(&case["mul"]));
        if a != [0; 5] {
            assert_eq!(divide(&[1, 0, 0, 0, 0], &a), element(&case["inv_a"]));
        }
    }
    let (mut good, mut bad) = (0, 0);
    for case in cases_of(CURVE, "decode") {
        let point = decode(&element(&case["w"]));
        assert_eq!(point.is_some(), case["ok"].as_bool().unwrap());
        *(if point.is_some() { &mut good } else { &mut bad }) += 1;
        let Some(point) = point else { continue };
        assert_eq!(encode(&point), element(&case["encoded"]));
    }
    assert!(good > 3 && bad > 3, "{good} good, {bad} bad");
    for case in cases_of(CURVE, "group") {
        let [p, q] = ["p", "q"].map(|name| decode(&element(&case[name])).unwrap());
        assert_eq!(encode(&combine(&p, &q)), element(&case["sum"]));
        assert_eq!(encode(&combine(&p, &p)), element(&case["double_p"]));
    }
    for case in cases_of(CURVE, "mul_g").iter().step_by(6) {
        let k = BigUint::from_bytes_le(&bytes::<40>(&case["k"]));
        assert_eq!(encode(&multiply(&k, &generator())), element(&case["w"]));
    }
    for case in cases_of(CURVE, "mul").iter().step_by(4) {
        let point = decode(&element(&case["p"])).unwrap();
        let k = BigUint::from_bytes_le(&bytes::<40>(&case["k"]));
        assert_eq!(encode(&multiply(&k, &point)), element(&case["w"]));
    }
}

#[test]
fn naive_schnorr_is_lighters() {
    for case in cases_of(SCHNORR, "keygen_official").iter().step_by(5) {
        let public = naive_lighter::public_key(&bytes(&case["private_key"]));
        assert_eq!(public, bytes(&case["public_key"]));
    }
    let mut all = cases_of(SCHNORR, "verify");
    all.extend(cases_of(SCHNORR, "sign_with_nonce").into_iter().step_by(10));
    let mut good = 0;
    for case in &all {
        let valid = naive_lighter::naive_accepts(
            &bytes(&case["public_key"]),
            &bytes(&case["message_hash"]),
            &bytes(&case["signature"]),
        );
        assert_eq!(Some(valid), case["valid"].as_bool(), "{}", case["kind"]);
        good += usize::from(valid);
    }
    assert_eq!((all.len(), good), (26, 6));
}

/// Orders signed by the official signer, with attributes and without.
#[test]
fn naive_lighter_reads_official_orders() {
    let mut all = cases(TRANSACTIONS);
    all.retain(|case| case["tx_type"] == 14);
    let mut with_attributes = 0;
    for case in all.iter().step_by(6) {
        let info: Value = serde_json::from_str(text(&case["tx_info"])).unwrap();
        let number = |name: &str| info[name].as_u64().unwrap_or_else(|| panic!("{name}"));
        let attributes = info["L2TxAttributes"].as_object().into_iter().flatten();
        let pair = |(id, value): (&String, &Value)| (id.parse().unwrap(), value.as_u64().unwrap());
        let mut attributes: Vec<(u64, u64)> = attributes.map(pair).collect();
        attributes.sort_unstable();
        with_attributes += usize::from(!attributes.is_empty());
        let message = naive_lighter::order_message(&naive_lighter::Order {
            chain_id: case["chain_id"].as_u64().unwrap(),
            nonce: number("Nonce"),
            expired_at_ms: number("ExpiredAt"),
            account_index: number("AccountIndex"),
            api_key_index: number("ApiKeyIndex"),
            market_index: number("MarketIndex"),
            client_order_index: number("ClientOrderIndex"),
            base_amount: number("BaseAmount"),
            price: number("Price"),
            is_ask: number("IsAsk"),
            order_type: number("Type"),
            time_in_force: number("TimeInForce"),
            reduce_only: number("ReduceOnly"),
            trigger_price: number("TriggerPrice"),
            order_expiry_ms: number("OrderExpiry"),
            attributes,
        });
        assert_eq!(message, bytes(&case["tx_hash"]));
        let signature = STANDARD.decode(text(&info["Sig"])).unwrap();
        let public = bytes(&case["public_key"]);
        let signature: [u8; 80] = signature.try_into().unwrap();
        assert!(naive_lighter::naive_accepts(&public, &message, &signature));
    }
    assert!(with_attributes > 0);
}

/// Few cases and hardly any shrinking: each case is a dozen naive multiplications and more.
fn config() -> ProptestConfig {
    ProptestConfig {
        cases: 24,
        max_shrink_iters: 16,
        ..ProptestConfig::default()
    }
}

/// What may stand together: kind, life, whether there is a trigger, and an expiry.
const KINDS: [(OrderType, TimeInForce, bool, bool); 9] = {
    use OrderType::{Limit, Market, StopLoss, StopLossLimit, TakeProfit, TakeProfitLimit, Twap};
    use TimeInForce::{GoodTillTime, ImmediateOrCancel, PostOnly};
    [
        (Limit, ImmediateOrCancel, false, false),
        (Limit, GoodTillTime, false, true),
        (Limit, PostOnly, false, true),
        (Market, ImmediateOrCancel, false, false),
        (StopLoss, ImmediateOrCancel, true, true),
        (StopLossLimit, GoodTillTime, true, true),
        (TakeProfit, ImmediateOrCancel, true, true),
        (TakeProfitLimit, PostOnly, true, true),
        (Twap, GoodTillTime, false, true),
    ]
};

proptest! {
    #![proptest_config(config())]

    /// From fields to signature: our hash is the naive one, our signatures (made at once, or from a
    /// prepared point) are good for every judge, and bent ones for none.
    #[test]
    fn extended_signatures_stand_before_all_judges(
        private in prop::array::uniform32(1_u8..),
        vault in any::<u32>(),
        assets in prop::array::uniform2(1_u64..),
        base_amount in any::<i64>(),
        quote_amount in any::<i64>(),
        numbers in prop::array::uniform3(any::<u64>()),
        is_main in any::<bool>(),
        bit in 0..248_usize,
    ) {
        let mut private = private;
        private[0] &= 7;
        let key = StarkKey::from_bytes(&private).unwrap();
        let public = key.public_key();
        let naive_public = naive_stark::public_key(&BigUint::from_bytes_be(&private));
        prop_assert_eq!(&big(public), &naive_public);

        let [base_asset, quote_asset] = assets;
        let [fee_amount, expiration_s, salt] = numbers;
        let chain = if is_main { Chain::Main } else { Chain::Sepolia };
        let message = OrderHasher::new(chain, public, vault).order_hash(&OrderTerms {
            base_asset: base_asset.into(),
            base_amount,
            quote_asset: quote_asset.into(),
            quote_amount,
            fee_amount,
            expiration_s,
            salt,
        });
        let chain_id = if is_main { "SN_MAIN" } else { "SN_SEPOLIA" };
        let naive = naive_stark::order_message(chain_id, &naive_public, &naive_stark::Order {
            position_id: vault,
            base_asset: base_asset.into(),
            base_amount,
            quote_asset: quote_asset.into(),
            quote_amount,
            fee_amount,
            expiration_s,
            salt,
        });
        prop_assert_eq!(big(message), naive);

        let [point, ..] = PointMaker::new(&key).prepare().unwrap();
        for signature in [key.sign(message).unwrap(), point.sign(message).unwrap()] {
            prop_assert!(extended_accepts(public, message, &signature));
            let bent = Felt::TWO.pow(bit as u64);
            let (r, s) = (signature.r, signature.s);
            let elsewhere = Signature { r: r + bent, s };
            prop_assert!(!extended_accepts(public, message, &elsewhere));
            let otherwise = Signature { r, s: s + bent };
            prop_assert!(!extended_accepts(public, message, &otherwise));
            prop_assert!(!extended_accepts(public, message + bent, &signature));
            let stranger = StarkKey::parse_hex("0x1234").unwrap().public_key();
            prop_assert!(!extended_accepts(stranger, message, &signature));
        }
    }

    /// The same for Lighter.
    #[test]
    fn lighter_signatures_stand_before_all_judges(
        private in prop::array::uniform32(any::<u8>()),
        wide in prop::array::uniform7(0..1_u64 << 48),
        narrow in prop::array::uniform5(any::<u32>()),
        flags in prop::array::uniform2(any::<bool>()),
        attribute in 0..3_u64,
        bit in 0..320_usize,
    ) {
        let digits: String = private.iter().map(|byte| format!("{byte:02x}")).collect();
        let digits = format!("{digits}{:016x}", wide[0] | 1 << 60);
        let key = PrivateKey::parse_hex(&digits).unwrap();
        let public = key.public_key();
        let mut secret = [0; 40];
        secret[..32].copy_from_slice(&private);
        secret[32..].copy_from_slice(&(wide[0] | 1 << 60).to_be_bytes());
        prop_assert_eq!(public, naive_lighter::public_key(&secret));

        let [chain_id, price, market, trigger_price, kinds] = narrow.map(u64::from);
        let [account, expired_at_ms, nonce, order_index, amount, expiry, slot] = wide;
        let (account_index, slot) = (account.min((1 << 48) - 2), (slot % 255) as u8);
        // 255 stands for no market; amounts and prices begin at 1.
        let (market, amount, price) = (market | 256, amount.max(1), price.max(1));
        let (order_type, time_in_force, has_trigger, has_expiry) =
            KINDS[kinds as usize % KINDS.len()];
        let trigger_price = if has_trigger { trigger_price.max(1) } else { 0 };
        let expiry = if has_expiry { expiry.max(1) } else { 0 };
        let envelope = Envelope {
            chain_id,
            account_index,
            api_key_index: slot,
            expired_at_ms,
            nonce,
        };
        let transaction = Transaction::create_order(envelope, &CreateOrder {
            market_index: market,
            client_order_index: order_index,
            base_amount: amount,
            price,
            is_ask: flags[0],
            order_type,
            time_in_force,
            reduce_only: flags[1],
            trigger_price,
            order_expiry_ms: expiry,
        });
        // None, skip nonce, or an integrator as well.
        let attributes: Vec<(u64, u64)> = match attribute {
            0 => Vec::new(),
            1 => vec![(4, 1)],
            _ => vec![(1, 9), (4, 1)],
        };
        let mut set = Attributes::NONE;
        for &(id, value) in &attributes {
            set = set.with(id as u8, value as i64).unwrap();
        }
        let message = transaction.unwrap().with(set).unwrap().hash();
        let naive = naive_lighter::order_message(&naive_lighter::Order {
            chain_id,
            nonce,
            expired_at_ms,
            account_index,
            api_key_index: slot.into(),
            market_index: market,
            client_order_index: order_index,
            base_amount: amount,
            price,
            is_ask: flags[0].into(),
            order_type: order_type as u64,
            time_in_force: time_in_force as u64,
            reduce_only: flags[1].into(),
            trigger_price,
            order_expiry_ms: expiry,
            attributes,
        });
        prop_assert_eq!(message.to_bytes(), naive);

        let [point, ..] = lighter::PointMaker::new(&key).prepare().unwrap();
        let ahead = key.sign_ahead(message, point).unwrap();
        prop_assert!(lighter_accepts(&public, message, &ahead));
        let signature = key.sign(message, &mut NonceSource::new()).unwrap();
        prop_assert!(lighter_accepts(&public, message, &signature));
        for half in [0, 40] {
            let mut bent = signature;
            bent[half + bit / 8] ^= 1 << (bit % 8);
            prop_assert!(!lighter_accepts(&public, message, &bent));
        }
        let mut other = message.to_bytes();
        other[bit / 8] ^= 1 << (bit % 8);
        // A limb at or above p is no message at all.
        if let Some(other) = Message::from_bytes(&other) {
            prop_assert!(!lighter_accepts(&public, other, &signature));
        }
        let stranger = PrivateKey::parse_hex(&"5a".repeat(40)).unwrap().public_key();
        prop_assert!(!lighter_accepts(&stranger, message, &signature));
    }
}
