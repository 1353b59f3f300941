//! Lighter transactions from vector files: from a `tx_info`, and from the official signer's own
//! parameters.
//!
//! Promises: nothing is filled in but what the official signer fills in (nil attributes are left
//! out); a name that is missing is an error, never a zero.

use super::case::bytes;
use crate::venue::lighter::sign::attributes::Attributes;
use crate::venue::lighter::sign::checks::Fault;
use crate::venue::lighter::sign::ethereum::EthereumSignature;
use crate::venue::lighter::sign::group::Orders;
use crate::venue::lighter::sign::kinds::Kind;
use crate::venue::lighter::sign::transaction::{Extra, Transaction};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

/// Why there is no transaction.
pub enum NoTransaction {
    /// The numbers are refused, as the official signer may refuse them.
    Refused(Fault),
    /// The case can't be read.
    Unread(String),
}

impl From<Fault> for NoTransaction {
    fn from(fault: Fault) -> NoTransaction {
        NoTransaction::Refused(fault)
    }
}

impl From<String> for NoTransaction {
    fn from(why: String) -> NoTransaction {
        NoTransaction::Unread(why)
    }
}

impl NoTransaction {
    /// For cases that must not be refused.
    pub fn text(self) -> String {
        match self {
            NoTransaction::Refused(fault) => format!("refused: {fault}"),
            NoTransaction::Unread(why) => why,
        }
    }
}

/// The ten numbers of an order, in the official sequence.
const ORDER: [&str; 10] = [
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

/// From a parsed `tx_info`; the signature of the API key is not looked at.
pub fn transaction(
    kind: &'static Kind,
    chain_id: u64,
    info: &Value,
) -> Result<Transaction, NoTransaction> {
    let numbers: Result<Vec<i64>, String> =
        kind.rules().map(|rule| integer(info, rule.name)).collect();
    let extra = extra(info)?;
    let mut transaction = Transaction::from_numbers(kind, chain_id, &numbers?, extra)?;
    if let Some(pairs) = info["L2TxAttributes"].as_object() {
        let mut attributes = Attributes::NONE;
        for id in pairs.keys() {
            let number = id
                .parse()
                .map_err(|_| format!("attribute `{id}` is no number"))?;
            attributes = attributes.with(number, integer(&info["L2TxAttributes"], id)?)?;
        }
        transaction = transaction.with(attributes)?;
    }
    match info["L1Sig"].as_str() {
        None | Some("") => Ok(transaction),
        Some(text) => {
            let signature = EthereumSignature::parse_hex(text);
            let signature = signature.ok_or_else(|| "`L1Sig` is no signature".to_owned())?;
            Ok(transaction.with_ethereum_signature(signature)?)
        }
    }
}

/// What a type carries besides numbers.
fn extra(info: &Value) -> Result<Extra, NoTransaction> {
    if let Some(text) = info["PubKey"].as_str() {
        let key = STANDARD
            .decode(text)
            .ok()
            .and_then(|key| key.try_into().ok());
        let key = key.ok_or_else(|| "`PubKey` is not 40 bytes in base64".to_owned());
        return Ok(Extra::PublicKey(key?));
    }
    if let Some(memo) = info["Memo"].as_array() {
        let memo: Option<Vec<u8>> = memo.iter().map(|b| b.as_u64()?.try_into().ok()).collect();
        let memo = memo.and_then(|memo| memo.try_into().ok());
        return Ok(Extra::Memo(
            memo.ok_or_else(|| "`Memo` is not 32 bytes".to_owned())?,
        ));
    }
    if let Some(orders) = info["Orders"].as_array() {
        let mut rows = Vec::new();
        for order in orders {
            let mut row = [0; ORDER.len()];
            for (number, name) in row.iter_mut().zip(ORDER) {
                *number = integer(order, name)?;
            }
            rows.push(row);
        }
        return Ok(Extra::Orders(Orders::from_rows(&rows)?));
    }
    Ok(Extra::Nothing)
}

fn integer(info: &Value, name: &str) -> Result<i64, String> {
    let number = info[name].as_i64();
    number.ok_or_else(|| format!("`{name}` is no number of 64 bits"))
}

/// The `tx_info`, without signatures, that the official signer's parameters stand for. `head`:
/// nonce, expiry, account, key.
pub fn of_inputs(kind: &Kind, head: [i64; 4], inputs: &Value) -> Result<Value, String> {
    let mut info = Map::new();
    let names: Vec<&str> = kind.rules().map(|rule| rule.name).collect();
    for (name, value) in names.iter().zip(head) {
        info.insert((*name).to_owned(), json!(value));
    }
    for (name, place) in names.iter().skip(head.len()).zip(places(kind.tx_type)) {
        let value = inputs.pointer(place);
        let value = value.ok_or_else(|| format!("`inputs{place}` is missing"))?;
        info.insert((*name).to_owned(), value.clone());
    }
    match kind.tx_type {
        8 => {
            let key: Option<[u8; 40]> = inputs["pubkey"].as_str().and_then(bytes);
            let key = STANDARD.encode(key.ok_or("`pubkey` is not 40 bytes")?);
            info.insert("PubKey".to_owned(), json!(key));
        }
        12 => {
            let memo: Option<[u8; 32]> = inputs["memo"].as_str().and_then(bytes);
            info.insert(
                "Memo".to_owned(),
                json!(memo.ok_or("`memo` is not 32 bytes")?),
            );
        }
        28 => {
            info.insert("Orders".to_owned(), inputs["orders"].clone());
        }
        _ => {}
    }
    let attributes = attributes(kind, inputs);
    if !attributes.is_empty() {
        info.insert("L2TxAttributes".to_owned(), Value::Object(attributes));
    }
    Ok(Value::Object(info))
}

/// Attributes that are set: id, parameter, and the value that means none.
fn attributes(kind: &Kind, inputs: &Value) -> Map<String, Value> {
    const SLOTS: [(&str, &str, u8); 9] = [
        ("1", "/attrs/0", 0),
        ("2", "/attrs/1", 0),
        ("3", "/attrs/2", 0),
        ("6", "/attrs/3", 0),
        ("7", "/attrs/4", 0),
        ("4", "/attrs/5", 0),
        ("4", "/skip", 0),
        ("5", "/market", 255),
        ("8", "/order_version", 0),
    ];
    // In other types than the cancel of all, `market` is a field.
    let slots = SLOTS
        .iter()
        .filter(|(id, ..)| *id != "5" || kind.tx_type == 16);
    let mut attributes = Map::new();
    for (id, place, nil) in slots {
        let value = inputs.pointer(place);
        if let Some(value) = value.filter(|value| **value != json!(nil)) {
            attributes.insert((*id).to_owned(), value.clone());
        }
    }
    attributes
}

/// Where each field stands among the official signer's parameters.
fn places(tx_type: u8) -> &'static [&'static str] {
    match tx_type {
        10 => &["/fee", "/shares", "/rate"],
        11 => &["/pool", "/status", "/fee", "/rate"],
        12 => &[
            "/to",
            "/asset",
            "/from_route",
            "/to_route",
            "/amount",
            "/fee",
        ],
        13 => &["/asset", "/route", "/amount"],
        14 => &[
            "/order/MarketIndex",
            "/order/ClientOrderIndex",
            "/order/BaseAmount",
            "/order/Price",
            "/order/IsAsk",
            "/order/Type",
            "/order/TimeInForce",
            "/order/ReduceOnly",
            "/order/TriggerPrice",
            "/order/OrderExpiry",
        ],
        15 => &["/market", "/index"],
        16 => &["/tif", "/time"],
        17 => &["/market", "/index", "/base", "/price", "/trigger"],
        18 | 19 | 35 | 36 => &["/pool", "/shares"],
        20 => &["/market", "/imf", "/mode"],
        28 => &["/grouping"],
        29 => &["/market", "/amount", "/direction"],
        41 => &["/mode"],
        42 => &["/asset", "/mode"],
        45 => &[
            "/integrator",
            "/fees/0",
            "/fees/1",
            "/fees/2",
            "/fees/3",
            "/expiry",
        ],
        _ => &[],
    }
}
