//! What leaves an Extended account for Ethereum and what reaches it: the bridge's contract and
//! quotes, the signed withdrawal, and what the venue lists of both.
//!
//! Promises: the signature covers the integers that the body says; an amount is rounded as the SDK
//! does. Refuses: a quote without a readable fee; sending again by itself.
//!
//! Sources: D1 (bridge, deposits, withdrawals, asset operations), S1 (`signing.withdrawal`).
//! Vectors: `tests/data/extended/extended_withdrawals.json`.

use super::read::{list, number, text};
use super::write::OrderSigner;
use super::{ExtendedRest, RestError, is_plain};
use crate::market::units::{Notional, parse_decimal_rounded};
use crate::venue::extended::sign::amounts::{Exact, Rounding, settle};
use crate::venue::extended::sign::hash::{MoveTerms, withdraw_hash};
use crate::venue::extended::sign::{Felt, parse_felt};
use serde_json::{Value, json};

/// Ethereum, as the venue calls it (D1, example of asset operations).
const ETHEREUM: &str = "ETH";
/// Starknet, as the venue calls it (D1, withdrawals).
const STARKNET: &str = "STRK";
/// The collateral, as the venue calls it (D1, withdrawals).
const COLLATERAL: &str = "USD";
/// How long a withdrawal's signature lives: S1. The venue wants 14 days at least (error 1604).
const LIFE_S: u64 = 15 * 24 * 3600;

/// Which way the bridge is crossed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crossing {
    /// From Starknet to Ethereum: a withdrawal.
    Out,
    /// From Ethereum to Starknet: a deposit.
    In,
}

/// What the bridge offers. When the offer ends, the venue does not say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BridgeQuote {
    /// The bridge's id of it.
    pub id: String,
    /// What is taken of the amount. USD.
    pub fee: Notional,
}

/// Who pays and by which way, as far as the venue knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payer {
    /// Account number.
    pub account_id: u64,
    /// Starknet address by which the account's money reaches the bridge.
    pub bridge: Felt,
    /// Collateral's id in the settlement layer.
    pub asset: Felt,
    /// Units of the settlement layer in one dollar.
    pub resolution: u64,
}

/// A signed withdrawal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Withdrawal {
    /// The request's body.
    pub body: String,
    /// The message hash that was signed: the settlement layer takes each once.
    pub hash: Felt,
    /// Salt.
    pub salt: u64,
    /// When the signature ends, epoch seconds.
    pub expiration_s: u64,
}

/// A deposit, withdrawal or transfer as the venue lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    /// The venue's id.
    pub id: String,
    /// Its type.
    pub kind: String,
    /// Its status.
    pub status: String,
    /// Absolute amount. USD.
    pub amount: Notional,
    /// Hash of the chain's transaction; empty where there is none.
    pub transaction: String,
}

impl OrderSigner {
    /// Signs a withdrawal of so many dollars to the bridge, by a committed quote.
    pub fn withdrawal(
        &mut self,
        payer: &Payer,
        amount: &str,
        quote_id: &str,
        now_ms: u64,
    ) -> Result<Withdrawal, RestError> {
        let salt = u64::from(self.salts.draw());
        let sending = Sending {
            payer,
            amount,
            to: (ETHEREUM, Some(quote_id)),
            salt,
            now_ms,
        };
        self.sign_withdrawal(&sending)
    }

    fn sign_withdrawal(&self, sending: &Sending<'_>) -> Result<Withdrawal, RestError> {
        let range = RestError::Settings("the withdrawal's amount is out of range");
        let payer = sending.payer;
        let exact = Exact::parse(sending.amount.as_bytes());
        let units = exact.and_then(|exact| settle(exact, payer.resolution, Rounding::HalfEven));
        let units = units.ok().and_then(|units| u64::try_from(units).ok());
        let (_, vault) = self.account;
        let terms = MoveTerms {
            recipient: payer.bridge,
            vault,
            asset: payer.asset,
            amount: units.filter(|units| *units > 0).ok_or(range)?,
            expiration_s: sending.now_ms.div_ceil(1000) + LIFE_S,
            salt: sending.salt,
        };
        let hash = self.hasher.message_hash(withdraw_hash(&terms));
        let signature = self.key.sign(hash);
        let unsigned = RestError::Settings("the withdrawal can't be signed");
        let signature = signature.map_err(|_| unsigned)?;
        let hex = |felt: Felt| format!("{felt:#x}");
        let (chain, quote_id) = sending.to;
        let body = json!({
            "accountId": payer.account_id,
            "amount": sending.amount,
            "description": null,
            "chainId": chain,
            "quoteId": quote_id,
            "asset": COLLATERAL,
            "settlement": {
                "recipient": hex(terms.recipient),
                "positionId": vault,
                "collateralId": hex(terms.asset),
                "amount": terms.amount,
                "expiration": {"seconds": terms.expiration_s},
                "salt": terms.salt,
                "signature": {"r": hex(signature.r), "s": hex(signature.s)},
            },
        });
        Ok(Withdrawal {
            body: body.to_string(),
            hash,
            salt: terms.salt,
            expiration_s: terms.expiration_s,
        })
    }
}

/// All that a withdrawal says.
struct Sending<'a> {
    payer: &'a Payer,
    amount: &'a str,
    /// Chain and quote.
    to: (&'a str, Option<&'a str>),
    salt: u64,
    now_ms: u64,
}

impl ExtendedRest {
    /// The bridge's contract on Ethereum, as the venue writes it.
    pub fn bridge_contract(&self) -> Result<String, RestError> {
        let config = self.call("GET", "/user/bridge/config")?;
        let mut chains = list(&config["chains"], "bridge chains")?.iter();
        let found = chains.find(|row| row["chain"].as_str() == Some(ETHEREUM));
        let contract = found.and_then(|row| text(&row["contractAddress"]));
        contract.ok_or(RestError::Unreadable("contractAddress"))
    }

    /// What the bridge takes for an amount, decimal text of dollars.
    pub fn bridge_quote(&self, crossing: Crossing, amount: &str) -> Result<BridgeQuote, RestError> {
        let (from, to) = match crossing {
            Crossing::Out => (STARKNET, ETHEREUM),
            Crossing::In => (ETHEREUM, STARKNET),
        };
        let path = format!("/user/bridge/quote?chainIn={from}&chainOut={to}&amount={amount}");
        read_quote(&self.call("GET", &path)?).ok_or(RestError::Unreadable("bridge quote"))
    }

    /// Binds a quote. Again is no error.
    pub fn commit_quote(&self, id: &str) -> Result<(), RestError> {
        if !is_plain(id) {
            return Err(RestError::Settings("the quote's id is not plain text"));
        }
        let path = ["/user/bridge/quote?id=", id].concat();
        self.post(&path, b"").map(|_| ())
    }

    /// Who pays a withdrawal.
    pub fn payer(&self) -> Result<Payer, RestError> {
        let account = self.call("GET", "/user/account/info")?;
        let assets = self.call("GET", "/info/assets")?;
        let asset = list(&assets, "assets")?.iter();
        let mut asset = asset.filter(|row| row["name"].as_str() == Some(COLLATERAL));
        let asset = asset.next().ok_or(RestError::Unreadable("assets"))?;
        let felt = |value: &Value| value.as_str().and_then(parse_felt);
        let bridge = felt(&account["bridgeStarknetAddress"]).filter(|felt| *felt != Felt::ZERO);
        let id = number(&account["accountId"]).or_else(|| number(&account["id"]));
        let unreadable = RestError::Unreadable;
        Ok(Payer {
            account_id: id.ok_or(unreadable("accountId"))?,
            bridge: bridge.ok_or(unreadable("bridgeStarknetAddress"))?,
            asset: felt(&asset["starkexId"]).ok_or(unreadable("starkexId"))?,
            resolution: number(&asset["starkexResolution"])
                .ok_or(unreadable("starkexResolution"))?,
        })
    }

    /// Sends a withdrawal's body; the venue's id of it.
    pub fn withdraw(&self, body: &str) -> Result<String, RestError> {
        let id = self.post("/user/withdrawal", body.as_bytes())?;
        number(&id)
            .map(|id| id.to_string())
            .ok_or(RestError::Unreadable("withdrawal id"))
    }

    /// What was asked for since `from_ms`, newest first.
    pub fn operations(&self, from_ms: u64) -> Result<Vec<Operation>, RestError> {
        let mut found = Vec::new();
        self.each_operation(from_ms, |row| {
            found.push(read_operation(row)?);
            Some(())
        })?;
        Ok(found)
    }
}

/// The fee comes as a text (D1) and may come as a number.
fn read_quote(data: &Value) -> Option<BridgeQuote> {
    let fee = match &data["fee"] {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => return None,
    };
    let fee = parse_decimal_rounded(fee.as_bytes()).ok()?;
    let id = data["id"].as_str().filter(|id| is_plain(id))?;
    (fee >= 0 && !id.is_empty()).then(|| BridgeQuote {
        id: id.to_owned(),
        fee: Notional::from_nano(fee),
    })
}

fn read_operation(row: &Value) -> Option<Operation> {
    let amount = parse_decimal_rounded(row["amount"].as_str()?.as_bytes()).ok()?;
    Some(Operation {
        id: text(&row["id"]).or_else(|| number(&row["id"]).map(|id| id.to_string()))?,
        kind: text(&row["type"])?,
        status: text(&row["status"])?,
        amount: Notional::from_nano(amount).abs(),
        transaction: text(&row["transactionHash"]).unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::venue::extended::sign::StarkKey;
    use crate::venue::extended::sign::hash::Chain;

    /// Every body of the official library, made again from what went into it.
    #[test]
    fn official_withdrawals_are_made_again() {
        let file = include_str!("../../../../tests/data/extended/extended_withdrawals.json");
        let file: Value = serde_json::from_str(file).unwrap();
        let cases = file["cases"].as_array().unwrap();
        assert_eq!(cases.len(), 40);
        let felt = |value: &Value| parse_felt(value.as_str().unwrap()).unwrap();
        let of = |value: &Value| value.as_u64().unwrap();
        for case in cases {
            let (input, expected) = (&case["input"], &case["sdk_request_body"]);
            let key = StarkKey::parse_hex(input["private_key"].as_str().unwrap()).unwrap();
            let chain = Chain::parse(input["chain_id"].as_str().unwrap()).unwrap();
            let vault = of(&input["vault"]) as u32;
            let signer = OrderSigner::new(key, chain, vault).unwrap();
            let payer = Payer {
                account_id: of(&input["account_id"]),
                bridge: felt(&input["recipient"]),
                asset: felt(&input["collateral_id"]),
                resolution: of(&input["resolution"]),
            };
            let sending = Sending {
                payer: &payer,
                amount: expected["amount"].as_str().unwrap(),
                to: (
                    input["target_chain"].as_str().unwrap(),
                    input["quote_id"].as_str(),
                ),
                salt: of(&input["nonce"]),
                now_ms: of(&input["now_epoch_millis"]),
            };
            let made = signer.sign_withdrawal(&sending).unwrap();
            let body: Value = serde_json::from_str(&made.body).unwrap();
            assert_eq!(&body, expected);
            assert_eq!(made.hash, felt(&case["message_hash"]));
        }
    }

    #[test]
    fn amounts_that_are_none_are_not_signed() {
        let key = StarkKey::parse_hex("0x5eed").unwrap();
        let mut signer = OrderSigner::new(key, Chain::Main, 7).unwrap();
        let payer = Payer {
            account_id: 1,
            bridge: Felt::from(9_u32),
            asset: Felt::ONE,
            resolution: 1_000_000,
        };
        for amount in ["", "0", "0.0000001", "-1", "1e3", "99999999999999999999"] {
            let made = signer.withdrawal(&payer, amount, "q", 1);
            assert!(matches!(made, Err(RestError::Settings(_))), "{amount}");
        }
        let [one, other] = ["2", "2"].map(|amount| {
            let made = signer.withdrawal(&payer, amount, "q", 1_000_001);
            made.unwrap()
        });
        assert_eq!(one.expiration_s, 1001 + LIFE_S);
        assert!(one.salt != other.salt && one.hash != other.hash);
    }

    #[test]
    fn quotes_and_operations_are_read_as_documented() {
        let quote = |id: Value, fee: Value| read_quote(&json!({"id": id, "fee": fee}));
        let fee = Notional::from_nano(100_000_000);
        for told in [json!("0.1"), json!(0.1), json!("0.100000000")] {
            let id = "68aaa".to_owned();
            assert_eq!(quote(json!("68aaa"), told), Some(BridgeQuote { id, fee }));
        }
        for (id, fee) in [
            (json!("68aaa"), json!(null)),
            (json!("68aaa"), json!("-1")),
            (json!("a&b"), json!("1")),
            (json!(""), json!("1")),
            (json!(7), json!("1")),
        ] {
            assert_eq!(quote(id, fee), None);
        }
        let file = include_str!("../../../../tests/data/extended/extended_messages.jsonl");
        let lines = file.lines().filter(|line| !line.is_empty());
        let mut lines = lines.map(|line| serde_json::from_str::<Value>(line).unwrap());
        let example = lines.find(|line| line["kind"] == "rest.asset-operations");
        let rows = example.unwrap()["message"]["data"].clone();
        let read: Vec<Operation> = rows
            .as_array()
            .unwrap()
            .iter()
            .map(|row| read_operation(row).unwrap())
            .collect();
        assert_eq!(read[0].amount, Notional::from_usd(3));
        let deposit = &read[1];
        assert_eq!(
            (deposit.kind.as_str(), deposit.amount.to_nano()),
            ("DEPOSIT", 4_989_999_000)
        );
        assert_eq!(deposit.transaction.len(), 66);
    }
}
