//! Lighter's vector files of whole messages: transactions, refusals, texts for Ethereum keys, auth
//! tokens.
//!
//! A transaction is made from the official signer's parameters; its hash, its text and the official
//! signature over it must then agree, and each hash on the way must follow from the one before.

use super::Verdict;
use super::case::{Case, bytes, equal};
use super::info::{NoTransaction, of_inputs, transaction as from_info};
use super::primitives::private_key;
use super::signing::Bench;
use crate::keys::ceremony::EthereumKey;
use crate::venue::lighter::sign::ethereum::EthereumSignature;
use crate::venue::lighter::sign::field::{Fp, Fp5};
use crate::venue::lighter::sign::kinds::Kind;
use crate::venue::lighter::sign::poseidon2::hash_to_element;
use crate::venue::lighter::sign::token::{AuthToken, token_hash};
use crate::venue::lighter::sign::transaction::Transaction;
use crate::venue::lighter::sign::{Message, NonceSource, Signature, verify};
use crate::venue::{OutKind, Outbox};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

/// Longest text of a transaction: three orders in a group stay below 2,000 bytes.
const TEXT_BYTES_MAX: usize = 4096;
/// Whoever made the refusals called the signer so.
const REFUSAL_CHAIN_ID: u64 = 304;
const REFUSAL_ACCOUNT: i64 = 12_345;
const REFUSAL_KEY: i64 = 5;
/// Where a refusal has no expiry, any time will do: it came before one was filled in.
const REFUSAL_EXPIRED_AT_MS: i64 = 1_795_340_211_530;

/// One transaction, or one refusal.
pub fn transaction(case: &Case<'_>, bench: &mut Bench) -> Verdict {
    if case.value().get("accepted").is_some() {
        return refusal(*case);
    }
    let text = case.text("tx_info")?;
    let ours = of_parameters(*case, text)?;
    signed(*case, &ours, text, bench)?;
    says(&ours, case.value()["message_to_sign"].as_str())
}

/// A transaction with the owner's Ethereum signature, made anew, and without.
pub fn with_l1_signature(case: &Case<'_>, bench: &mut Bench) -> Verdict {
    let key = EthereumKey::parse_hex(case.text("eth_private_key")?)
        .map_err(|why| format!("`eth_private_key`: {why:?}"))?;
    let address = key.address().to_string();
    equal("eth_address", address.as_str(), case.text("eth_address")?)?;
    let unsigned_text = case.text("tx_info_unsigned_l1")?;
    let unsigned = of_parameters(*case, unsigned_text)?;
    signed(*case, &unsigned, unsigned_text, bench)?;
    let message = case.text("l1_message")?;
    says(&unsigned, Some(message))?;
    let signature = key.sign_personal(message);
    equal("l1_signature", signature, case.bytes("l1_signature")?)?;
    let signature = EthereumSignature::from_bytes(signature).ok_or("`l1_signature` has no v")?;
    let complete = unsigned
        .with_ethereum_signature(signature)
        .map_err(|why| format!("refused: {why}"))?;
    signed(*case, &complete, case.text("tx_info")?, bench)
}

/// From the signer's parameters, with the expiry that it filled in.
fn of_parameters(case: Case<'_>, text: &str) -> Result<Transaction, String> {
    let info = parsed(text)?;
    let head = [
        case.signed("nonce")?,
        Case::new(&info).signed("ExpiredAt")?,
        case.signed("account_index")?,
        case.signed("api_key_index")?,
    ];
    let kind = kind(case)?;
    equal("name", kind.name, case.text("name")?)?;
    let info = of_inputs(kind, head, &case.value()["inputs"])?;
    from_info(kind, case.number("chain_id")?, &info).map_err(NoTransaction::text)
}

fn kind(case: Case<'_>) -> Result<&'static Kind, String> {
    let tx_type = u8::try_from(case.number("tx_type")?).ok();
    let kind = tx_type.and_then(Kind::of);
    kind.ok_or_else(|| "`tx_type` is unknown".to_owned())
}

fn parsed(text: &str) -> Result<Value, String> {
    serde_json::from_str(text).map_err(|why| format!("`tx_info` is no JSON: {why}"))
}

/// Hashes, the official signature, the text, and the key.
fn signed(case: Case<'_>, ours: &Transaction, text: &str, bench: &mut Bench) -> Verdict {
    let message = ours.hash();
    equal("tx_hash", message.to_bytes(), case.bytes("tx_hash")?)?;
    hashes_follow(case)?;
    let signature = signature(Case::new(&parsed(text)?))?;
    let key = private_key(case)?;
    equal("public_key", key.public_key(), case.bytes("public_key")?)?;
    if !verify(&key.public_key(), message, &signature) {
        return Err("the official signature does not verify".to_owned());
    }
    bench.lighter(&key, message);
    equal("tx_info", written(ours, &signature).as_str(), text)
}

/// Elements to body, body and attributes to the whole.
fn hashes_follow(case: Case<'_>) -> Verdict {
    let elements: Vec<Fp> = case
        .decimals("elements")?
        .into_iter()
        .map(Fp::new)
        .collect();
    let body = hash_to_element(&elements);
    equal("body_hash", body.to_bytes(), case.bytes("body_hash")?)?;
    let mut whole = body;
    if case.has("attributes_hash") {
        let attributes = Fp5::from_bytes(&case.bytes("attributes_hash")?);
        let attributes = attributes.ok_or("`attributes_hash` has a limb of p or more")?;
        whole = hash_to_element(&[body.0, attributes.0].concat());
    }
    equal(
        "tx_hash from its parts",
        whole.to_bytes(),
        case.bytes("tx_hash")?,
    )
}

fn written(transaction: &Transaction, signature: &Signature) -> String {
    let mut out = Outbox::new(TEXT_BYTES_MAX, 1);
    out.message(0, OutKind::Text, |text| transaction.write(signature, text));
    let bytes = out.items().first().map(|item| out.payload(item));
    String::from_utf8_lossy(bytes.unwrap_or_default()).into_owned()
}

/// The text for the Ethereum key.
fn says(transaction: &Transaction, official: Option<&str>) -> Verdict {
    let ours = transaction.ethereum_message();
    let ours = ours
        .as_ref()
        .map(|ours| String::from_utf8_lossy(ours.text()));
    equal("message_to_sign", ours.as_deref(), official)
}

/// Parameters that the official signer refused, or was seen to accept.
fn refusal(case: Case<'_>) -> Verdict {
    let official = &case.value()["tx_info"];
    let expired_at = official["ExpiredAt"].as_i64();
    let head = [
        case.signed("nonce")?,
        expired_at.unwrap_or(REFUSAL_EXPIRED_AT_MS),
        REFUSAL_ACCOUNT,
        REFUSAL_KEY,
    ];
    let kind = kind(case)?;
    equal("name", kind.name, case.text("name")?)?;
    let info = of_inputs(kind, head, &case.value()["inputs"])?;
    let ours = from_info(kind, REFUSAL_CHAIN_ID, &info);
    match (ours, case.flag("accepted")?) {
        (Err(NoTransaction::Unread(why)), _) => Err(why),
        (Ok(_), false) => Err(format!("accepted; officially: {}", case.text("error")?)),
        (Err(why), true) => Err(why.text()),
        (Err(NoTransaction::Refused(fault)), false) => {
            let field = refused_field(case.text("error")?);
            equal("the field at fault", Some(fault.field), field)
        }
        (Ok(ours), true) => {
            let signature = signature(Case::new(official))?;
            let text = written(&ours, &signature);
            equal("tx_info", &parsed(&text)?, official)
        }
    }
}

/// The signature of the API key in a `tx_info`.
fn signature(info: Case<'_>) -> Result<Signature, String> {
    let bytes = STANDARD.decode(info.text("Sig")?).ok();
    let signature = bytes.and_then(|bytes| bytes.try_into().ok());
    signature.ok_or_else(|| "`Sig` is not 80 bytes in base64".to_owned())
}

/// The field that an official refusal is about, by how its text begins.
fn refused_field(error: &str) -> Option<&'static str> {
    const BEGINNINGS: [(&str, &str); 30] = [
        ("MarketIndex is", "MarketIndex"),
        ("ClientOrderIndex", "ClientOrderIndex"),
        ("BaseAmount", "BaseAmount"),
        ("OrderPrice", "Price"),
        ("IsAsk", "IsAsk"),
        ("OrderType", "Type"),
        ("OrderTimeInForce", "TimeInForce"),
        ("ReduceOnly", "ReduceOnly"),
        ("OrderExpiry", "OrderExpiry"),
        ("TriggerPrice", "TriggerPrice"),
        ("IntegratorAccountIndex", "IntegratorAccountIndex"),
        ("Integrator fees", "IntegratorTakerFee"),
        ("Self-trade", "SelfTradeBehaviorMode"),
        ("Reduce self-trade", "SelfTradeBehaviorMode"),
        ("SelfTradeBehaviorMode", "SelfTradeBehaviorMode"),
        ("SelfTradeEqualityMode", "SelfTradeEqualityMode"),
        ("AccountNonce", "Nonce"),
        ("OrderIndex", "Index"),
        ("CancelAllTime should", "Time"),
        ("CancelAllTimeInForce", "TimeInForce"),
        ("Cancel all for market", "CancelAllMarketIndex"),
        ("InitialMarginFraction", "InitialMarginFraction"),
        ("MarginMode", "MarginMode"),
        ("TransferAmount", "USDCAmount"),
        ("Margin movement", "Direction"),
        ("AssetIndex", "AssetIndex"),
        ("RouteType", "RouteType"),
        ("WithdrawalAmount", "Amount"),
        ("Too many attributes", "L2TxAttributes"),
        ("OrderOrderVersion", "OrderVersion"),
    ];
    let row = BEGINNINGS
        .iter()
        .find(|(start, _)| error.starts_with(start));
    row.map(|(_, field)| *field)
}

/// One auth token: its text, its hash, the official signature, and one of ours.
pub fn token(case: &Case<'_>, bench: &mut Bench) -> Verdict {
    let key = private_key(*case)?;
    let public = key.public_key();
    equal("public_key", public, case.bytes("public_key")?)?;
    let index = u8::try_from(case.number("api_key_index")?);
    let ours = AuthToken::sign(
        &key,
        case.number("deadline")?,
        case.number("account_index")?,
        index.map_err(|_| "`api_key_index` is beyond 8 bits")?,
        &mut NonceSource::new(),
    )
    .map_err(|_| "the operating system gives no random numbers")?;
    let (official, text) = (case.text("token")?, case.text("message")?);
    let hash = token_hash(text.as_bytes());
    equal("message_hash", hash.to_bytes(), case.bytes("message_hash")?)?;
    for (whose, token) in [("official", official.as_bytes()), ("our", ours.text())] {
        token_holds(&public, hash, text, token).map_err(|why| format!("{whose} token: {why}"))?;
    }
    bench.lighter(&key, hash);
    Ok(())
}

/// A token is its text, a colon, and a signature over the text.
fn token_holds(public: &[u8; 40], hash: Message, text: &str, token: &[u8]) -> Verdict {
    let token = str::from_utf8(token).map_err(|_| "is not UTF-8")?;
    let (head, signature) = token.rsplit_once(':').ok_or("has no colon")?;
    equal("text", head, text)?;
    let signature = bytes(signature).ok_or("its signature is not 80 bytes in hexadecimal")?;
    match verify(public, hash, &signature) {
        true => Ok(()),
        false => Err("its signature does not verify".to_owned()),
    }
}
