//! One transaction as a client sends it: the JSON of `tx_info`, read by name and checked for form.
//!
//! Promises: what comes out has every key its type needs, each an integer in range of `i64`, a
//! signature of 80 bytes and attributes the venue knows. Refuses (21501) what is not so, and
//! (21505) types the simulated venue does not carry out.

use super::change::{self, Change};
use super::codes::{self, Refusal};
use super::money::{Across, Withdraw};
use super::sign;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

/// Type number of a change of an API key.
const CHANGE_KEY: u64 = 8;
/// Type number of a transfer.
const TRANSFER: u64 = 12;
/// Type number of a withdrawal.
const WITHDRAW: u64 = 13;
/// Type number of a new order.
pub const CREATE_ORDER: u64 = 14;
/// The attribute that lets a nonce be skipped.
const ATTRIBUTE_SKIP_NONCE: u64 = 4;
/// The attribute that limits a cancel-all to one market.
const ATTRIBUTE_CANCEL_MARKET: u64 = 5;

/// An order as asked for, on the venue's integers. Widths and ranges are judged in `check`.
#[derive(Clone, Copy, Debug)]
pub struct Create {
    /// Market number.
    pub market: i64,
    /// The client's own number, 0 for none.
    pub client_order_index: i64,
    /// Size at the market's scale.
    pub base_amount: i64,
    /// Price at the market's scale.
    pub price: i64,
    /// 1 sells.
    pub is_ask: i64,
    /// 0 limit, 1 market, others are conditional.
    pub order_type: i64,
    /// 0 immediate or cancel, 1 good till time, 2 post-only.
    pub time_in_force: i64,
    /// 1 only reduces.
    pub reduce_only: i64,
    /// 0 for none.
    pub trigger_price: i64,
    /// Epoch milliseconds, 0 for none.
    pub order_expiry: i64,
}

/// What a transaction asks for.
#[derive(Clone, Copy, Debug)]
pub enum Ask {
    /// Type 14.
    Create(Create),
    /// Type 15; `index` is an order index or a client order index.
    Cancel {
        /// Market number.
        market: i64,
        /// Order index (from 2^48) or client order index (below).
        index: i64,
    },
    /// Type 16.
    CancelAll {
        /// 0 at once, 1 scheduled, 2 abort the schedule.
        time_in_force: i64,
        /// Epoch milliseconds of the schedule.
        time: i64,
        /// Only this market.
        market: Option<u64>,
    },
    /// Type 8.
    ChangeKey(Change),
    /// Type 12.
    Transfer(Across),
    /// Type 13.
    Withdraw(Withdraw),
    /// Type 20.
    Leverage {
        /// Market number.
        market: i64,
        /// Initial margin, 10^-4 of notional.
        fraction: i64,
        /// 0 cross, 1 isolated.
        mode: i64,
    },
}

/// A transaction of good form.
#[derive(Clone, Debug)]
pub struct Transaction {
    /// Its type number.
    pub tx_type: u8,
    /// Who.
    pub account: i64,
    /// With which key.
    pub api_key: i64,
    /// Its nonce.
    pub nonce: i64,
    /// Epoch milliseconds after which it is void.
    pub expired_at: i64,
    /// Schnorr signature, s then e.
    pub signature: Vec<u8>,
    /// The skip-nonce attribute is set.
    pub skips_nonce: bool,
    /// What it asks for.
    pub ask: Ask,
    /// The keys as read, for the hash.
    pub fields: Map<String, Value>,
    /// The text as received, for `GET tx`.
    pub info: String,
}

impl Transaction {
    /// Reads `tx_info` of a transaction of type `tx_type`.
    ///
    /// # Errors
    /// 21505 for a type that is not carried out here, 21501 for everything malformed.
    pub fn read(tx_type: u64, info: &str) -> Result<Transaction, Refusal> {
        if ![CHANGE_KEY, WITHDRAW, CREATE_ORDER, 15, 16, 20].contains(&tx_type) {
            return Err(codes::TX_TYPE);
        }
        Transaction::read_form(tx_type, info)
    }

    /// Reads the transfer of a fast withdrawal, which is taken nowhere else.
    ///
    /// # Errors
    /// 21501 for everything malformed.
    pub fn read_transfer(info: &str) -> Result<Transaction, Refusal> {
        Transaction::read_form(TRANSFER, info)
    }

    fn read_form(tx_type: u64, info: &str) -> Result<Transaction, Refusal> {
        let Ok(Value::Object(fields)) = serde_json::from_str(info) else {
            return Err(codes::TX_INFO);
        };
        let int = |key: &str| {
            let value = fields.get(key).and_then(Value::as_i64);
            value.ok_or(codes::TX_INFO)
        };
        let signature = fields.get("Sig").and_then(Value::as_str);
        let signature = signature.and_then(|text| STANDARD.decode(text).ok());
        let attributes =
            sign::attribute_pairs(fields.get("L2TxAttributes")).ok_or(codes::TX_INFO)?;
        let attribute = |id: u64| {
            attributes
                .iter()
                .find(|pair| pair.0 == id)
                .map(|pair| pair.1)
        };
        check_attributes(&attributes)?;
        Ok(Transaction {
            tx_type: tx_type as u8,
            account: int(match tx_type {
                TRANSFER | WITHDRAW => "FromAccountIndex",
                _ => "AccountIndex",
            })?,
            api_key: int("ApiKeyIndex")?,
            nonce: int("Nonce")?,
            expired_at: int("ExpiredAt")?,
            signature: signature
                .filter(|bytes| bytes.len() == 80)
                .ok_or(codes::TX_INFO)?,
            skips_nonce: attribute(ATTRIBUTE_SKIP_NONCE) == Some(1),
            ask: match tx_type {
                CHANGE_KEY => Ask::ChangeKey(read_change(&fields).ok_or(codes::TX_INFO)?),
                TRANSFER => Ask::Transfer(Across::read(&fields).ok_or(codes::TX_INFO)?),
                WITHDRAW => Ask::Withdraw(Withdraw::read(&fields).ok_or(codes::TX_INFO)?),
                _ => read_ask(tx_type, &int, attribute(ATTRIBUTE_CANCEL_MARKET))?,
            },
            info: info.to_owned(),
            fields,
        })
    }
}

/// The signer's own rules: integrator fees need an integrator; self-trade modes exclude fees.
fn check_attributes(attributes: &[(u64, u64)]) -> Result<(), Refusal> {
    let has = |id: u64| attributes.iter().any(|pair| pair.0 == id);
    let fees = has(2) || has(3);
    let skip_is_flag = attributes.iter().all(|pair| pair.0 != 4 || pair.1 == 1);
    let ok = skip_is_flag && (!fees || has(1) && !has(6) && !has(7));
    ok.then_some(()).ok_or(codes::TX_INFO)
}

/// The keys of each type, by name; more keys than these do no harm.
fn read_ask(
    tx_type: u64,
    int: &impl Fn(&str) -> Result<i64, Refusal>,
    cancel_market: Option<u64>,
) -> Result<Ask, Refusal> {
    Ok(match tx_type {
        14 => Ask::Create(Create {
            market: int("MarketIndex")?,
            client_order_index: int("ClientOrderIndex")?,
            base_amount: int("BaseAmount")?,
            price: int("Price")?,
            is_ask: int("IsAsk")?,
            order_type: int("Type")?,
            time_in_force: int("TimeInForce")?,
            reduce_only: int("ReduceOnly")?,
            trigger_price: int("TriggerPrice")?,
            order_expiry: int("OrderExpiry")?,
        }),
        15 => Ask::Cancel {
            market: int("MarketIndex")?,
            index: int("Index")?,
        },
        16 => Ask::CancelAll {
            time_in_force: int("TimeInForce")?,
            time: int("Time")?,
            market: cancel_market,
        },
        _ => Ask::Leverage {
            market: int("MarketIndex")?,
            fraction: int("InitialMarginFraction")?,
            mode: int("MarginMode")?,
        },
    })
}

/// A change carries a key in base64 and the owner's signature in hexadecimal digits.
fn read_change(fields: &Map<String, Value>) -> Option<Change> {
    let text = |key: &str| fields.get(key).and_then(Value::as_str);
    Some(Change {
        public_key: STANDARD.decode(text("PubKey")?).ok()?.try_into().ok()?,
        owner_signature: change::owner_signature(text("L1Sig")?)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn cancel() -> Value {
        json!({
            "AccountIndex": 516, "ApiKeyIndex": 5, "MarketIndex": 1, "Index": 7,
            "ExpiredAt": 1, "Nonce": 2, "Sig": STANDARD.encode([0; 80]), "L2TxAttributes": null
        })
    }

    #[test]
    fn reads_by_name() {
        let read = Transaction::read(15, &cancel().to_string()).unwrap();
        assert_eq!((read.account, read.api_key, read.nonce), (516, 5, 2));
        assert!(!read.skips_nonce);
        assert!(matches!(
            read.ask,
            Ask::Cancel {
                market: 1,
                index: 7
            }
        ));
        let mut skipping = cancel();
        skipping["L2TxAttributes"] = json!({"4": 1});
        let read = Transaction::read(15, &skipping.to_string()).unwrap();
        assert!(read.skips_nonce);
    }

    #[test]
    fn every_malformed_text_is_21501() {
        for (key, value) in [
            ("Index", json!("7")),
            ("Nonce", json!(1.5)),
            ("Sig", json!("AAAA")),
            ("Sig", json!(null)),
            ("L2TxAttributes", json!({"9": 1})),
            ("L2TxAttributes", json!({"2": 1})),
            ("L2TxAttributes", json!([])),
        ] {
            let mut wrong = cancel();
            wrong[key] = value;
            let refused = Transaction::read(15, &wrong.to_string()).unwrap_err();
            assert_eq!(refused, codes::TX_INFO, "{key}");
        }
        for text in ["", "[]", "{", "{}"] {
            assert_eq!(Transaction::read(15, text).unwrap_err(), codes::TX_INFO);
        }
        assert_eq!(Transaction::read(99, "{}").unwrap_err(), codes::TX_TYPE);
    }
}
