//! What leaves a Lighter account for Ethereum and what reaches it: contract and token, fees and
//! limits, both kinds of withdrawal, and what the venue says of them.
//!
//! Promises: a transaction is made whole before anything is sent, so that it can be written down;
//! its nonce binds it, so that it is taken once or never. Refuses: to ask for another nonce by
//! itself; to read a row that is not as documented.
//!
//! Sources: *rest*, *signer*, *nonces* in the venue's Sources; models `TransferFeeInfo`,
//! `WithdrawHistoryItem`, `DepositHistoryItem` of the Python SDK 1.1.8; *Deposits, Transfers and
//! Withdrawals* (apidocs.lighter.xyz).

use super::money::Reader;
use super::write::Sender;
use super::{LighterRest, RestError, decimal, finish, integer, list, text};
use crate::market::units::{Nanos, Notional};
use crate::venue::lighter::sign::cold::{Route, Transfer};
use crate::venue::lighter::sign::ethereum::EthereumSignature;
use crate::venue::lighter::sign::transaction::{Envelope, Transaction};
use serde_json::Value;

/// USDC among the assets.
const USDC: u64 = 3;
/// How long a withdrawal may wait to be taken. Larger: one whose nonce another transaction took
/// blocks the next for longer. Smaller: clocks that disagree have it refused (21711).
const LIFE_MS: u64 = 300_000;
/// No such transaction, yet.
const CODE_NO_TX: u64 = 21_500;
/// The venue counts in millionths of a dollar.
const UNIT_NANO: i64 = 1_000;

/// USDC as the venue lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// Its address on Ethereum.
    pub address: String,
    /// The venue's number of it.
    pub asset: u16,
    /// Least that a withdrawal takes. USD.
    pub withdrawal_min: Notional,
}

/// The pool that pays fast withdrawals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pool {
    /// Its account.
    pub account: u64,
    /// Most that one takes. USD.
    pub most: Notional,
    /// What a transfer to it costs, on top of the amount. USD.
    pub fee: Notional,
}

/// A transaction that was made and not sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exit {
    /// `tx_info`.
    pub text: String,
    /// The venue's name of it: 80 digits.
    pub hash: String,
    /// Its nonce.
    pub nonce: u64,
    /// When it ends, epoch milliseconds.
    pub expires_ms: u64,
}

/// What a fast withdrawal says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fast {
    /// The pool.
    pub pool: u64,
    /// What it is to pay. USD.
    pub amount: Notional,
    /// What the transfer costs on top. USD.
    pub fee: Notional,
    /// Whom it is to pay.
    pub to: [u8; 20],
}

/// What became of a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Taken, and not refused so far.
    Taken,
    /// Refused after it was taken, in the venue's words.
    Refused(String),
}

/// A withdrawal as the venue lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WithdrawalRow {
    /// The venue's id.
    pub id: String,
    /// Paid by the pool.
    pub is_fast: bool,
    /// What is withdrawn, without a fee. USD.
    pub amount: Notional,
    /// `pending`, `claimable`, `completed`, `failed` or `refunded`.
    pub status: String,
}

impl LighterRest {
    /// The contract on Ethereum that takes deposits and pays claims.
    pub fn contract(&self) -> Result<String, RestError> {
        let body = self.bare("info")?;
        text(&body, "contract_address").map(str::to_owned)
    }

    /// USDC.
    pub fn token(&self) -> Result<Token, RestError> {
        let body = self.fetch("assetDetails", None)?;
        let mut rows = list(&body, "asset_details")?.iter();
        let row = rows.find(|row| row["asset_id"].as_u64() == Some(USDC));
        let row = row.ok_or(RestError::Malformed("asset_details"))?;
        let is_usdc = text(row, "symbol")? == "USDC" && integer(row, "l1_decimals")? == 6;
        if !is_usdc {
            return Err(RestError::Malformed("symbol"));
        }
        Ok(Token {
            address: text(row, "l1_address")?.to_owned(),
            asset: USDC as u16,
            withdrawal_min: usd(row, "min_withdrawal_amount")?,
        })
    }

    /// The pool, what it takes, and what it costs.
    pub fn pool(&self, reader: Reader<'_>) -> Result<Pool, RestError> {
        let own = reader.account;
        let path = format!("fastwithdraw/info?account_index={own}");
        let terms = self.fetch(&path, Some(reader.token))?;
        let account = integer(&terms, "to_account_index")?;
        let limits = ["withdraw_limit", "max_withdrawal_amount"];
        let [limit, most] = limits.map(|field| usd(&terms, field));
        let path = format!("transferFeeInfo?account_index={own}&to_account_index={account}");
        let fee = integer(&self.fetch(&path, Some(reader.token))?, "transfer_fee_usdc")?;
        let fee = i64::try_from(fee)
            .ok()
            .and_then(|fee| fee.checked_mul(UNIT_NANO));
        Ok(Pool {
            account,
            most: limit?.min(most?),
            fee: Notional::from_nano(fee.ok_or(RestError::Malformed("transfer_fee_usdc"))?),
        })
    }

    /// A secure withdrawal of so much, signed with the key's next nonce.
    pub fn secure_exit(
        &self,
        sender: &Sender,
        amount: Notional,
        now: Nanos,
    ) -> Result<Exit, RestError> {
        let units = units(amount)?;
        self.exit(sender, now, |envelope| {
            Transaction::withdraw(envelope, USDC, Route::Perps, units).map_err(unsigned)
        })
    }

    /// A fast one; `sign` makes the owner's signature of a text.
    pub fn fast_exit(
        &self,
        sender: &Sender,
        fast: &Fast,
        now: Nanos,
        sign: impl Fn(&str) -> [u8; 65],
    ) -> Result<Exit, RestError> {
        let mut memo = [0; 32];
        memo[..20].copy_from_slice(&fast.to);
        let transfer = Transfer {
            to_account_index: fast.pool,
            asset_index: USDC,
            from_route: Route::Perps,
            to_route: Route::Perps,
            amount: units(fast.amount)?,
            usdc_fee: units(fast.fee)?,
            memo,
        };
        self.exit(sender, now, |envelope| {
            let made = Transaction::transfer(envelope, &transfer).map_err(unsigned)?;
            let none = RestError::Unsigned("a transfer without a text for its owner");
            let message = made.ethereum_message().ok_or(none.clone())?;
            let message = std::str::from_utf8(message.text()).map_err(|_| none.clone())?;
            let signature = EthereumSignature::from_bytes(sign(message)).ok_or(none)?;
            made.with_ethereum_signature(signature).map_err(unsigned)
        })
    }

    fn exit(
        &self,
        sender: &Sender,
        now: Nanos,
        make: impl Fn(Envelope) -> Result<Transaction, RestError>,
    ) -> Result<Exit, RestError> {
        let (slot, _) = sender.public_key();
        let nonce = self.next_nonce(sender.account_index(), slot)?;
        let expires_ms = now.epoch_ms() + LIFE_MS;
        let made = make(Envelope {
            expired_at_ms: expires_ms,
            ..sender.envelope(nonce, now)
        })?;
        let hash = made.hash().to_bytes();
        Ok(Exit {
            text: sender.text(&made)?,
            hash: hash.iter().map(|byte| format!("{byte:02x}")).collect(),
            nonce,
            expires_ms,
        })
    }

    /// Sends a secure withdrawal. Code 200 is "queued, nonce spent".
    pub fn send_secure(&self, tx_info: &str) -> Result<(), RestError> {
        const WITHDRAW: u64 = 13;
        self.send(WITHDRAW, tx_info).map(|_| ())
    }

    /// Sends a fast one, to be paid to this wallet.
    pub fn send_fast(
        &self,
        reader: Reader<'_>,
        tx_info: &str,
        wallet: &str,
    ) -> Result<(), RestError> {
        let url = format!("{}/api/v1/fastwithdraw", self.base_url);
        let token = std::str::from_utf8(reader.token.text()).expect("a token is ASCII");
        let request = self.agent.post(url).header("Authorization", token);
        let fields = [("tx_info", tx_info), ("to_address", wallet)];
        finish(request.send_form(fields)).map(|_| ())
    }

    /// What became of a transaction by its hash; `None` where the venue has none such. One that
    /// was just taken may not be there yet.
    pub fn verdict(&self, hash: &str) -> Result<Option<Verdict>, RestError> {
        match self.fetch(&format!("tx?by=hash&value={hash}"), None) {
            Err(RestError::Refused {
                code: CODE_NO_TX, ..
            }) => Ok(None),
            answer => read_verdict(&answer?).map(Some),
        }
    }

    /// Withdrawals in USDC asked for since `from_ms`, newest first.
    pub fn withdrawals(
        &self,
        reader: Reader<'_>,
        from_ms: u64,
    ) -> Result<Vec<WithdrawalRow>, RestError> {
        let account = reader.account;
        let path = format!("withdraw/history?account_index={account}&filter=all");
        let mut found = Vec::new();
        self.pages(reader, &path, "withdraws", |row| {
            if integer(row, "timestamp")? < from_ms {
                return Ok(false);
            }
            if row["asset_id"].as_u64().unwrap_or(USDC) == USDC {
                found.push(read_withdrawal(row)?);
            }
            Ok(true)
        })?;
        Ok(found)
    }

    /// The status of the deposit that this chain transaction made, `0x` and 64 digits, asked for
    /// since `from_ms`; `None` where the venue lists none.
    pub fn deposit_status(
        &self,
        reader: Reader<'_>,
        transaction: &str,
        from_ms: u64,
    ) -> Result<Option<String>, RestError> {
        let account = reader.account;
        let owner = self.owner(account)?;
        let path = format!("deposit/history?account_index={account}&l1_address={owner}&filter=all");
        let mut found = None;
        self.pages(reader, &path, "deposits", |row| {
            if integer(row, "timestamp")? < from_ms {
                return Ok(false);
            }
            if text(row, "l1_tx_hash")?.eq_ignore_ascii_case(transaction) {
                found = Some(text(row, "status")?.to_owned());
            }
            Ok(found.is_none())
        })?;
        Ok(found)
    }
}

fn unsigned(fault: crate::venue::lighter::sign::checks::Fault) -> RestError {
    RestError::Unsigned(fault.field)
}

fn usd(row: &Value, field: &'static str) -> Result<Notional, RestError> {
    decimal(row, field).map(Notional::from_nano)
}

/// In millionths, exactly.
fn units(amount: Notional) -> Result<u64, RestError> {
    let nano = amount.to_nano();
    let is_whole = Notional::from_nano(nano) == amount && nano % UNIT_NANO == 0;
    let units = u64::try_from(nano / UNIT_NANO).ok();
    let units = units.filter(|_| is_whole);
    units.ok_or(RestError::Unsigned("the amount is no whole millionths"))
}

/// `event_info` is JSON in a text, and its `ae` again: empty where nothing was wrong.
fn read_verdict(body: &Value) -> Result<Verdict, RestError> {
    const FAILED: u64 = 0;
    let event: Value = serde_json::from_str(text(body, "event_info")?).unwrap_or_default();
    let fault = event["ae"].as_str().unwrap_or("");
    let said: Value = serde_json::from_str(fault).unwrap_or_default();
    let words = said["message"].as_str().unwrap_or(fault);
    match (fault.is_empty(), integer(body, "status")?) {
        (true, FAILED) => Ok(Verdict::Refused("the transaction has failed".into())),
        (true, _) => Ok(Verdict::Taken),
        (false, _) => Ok(Verdict::Refused(words.to_owned())),
    }
}

fn read_withdrawal(row: &Value) -> Result<WithdrawalRow, RestError> {
    let id = match &row["id"] {
        Value::String(text) => text.clone(),
        _ => integer(row, "id")?.to_string(),
    };
    Ok(WithdrawalRow {
        id,
        is_fast: text(row, "type")? == "fast",
        amount: usd(row, "amount")?.abs(),
        status: text(row, "status")?.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_verdict_is_a_text_in_a_text() {
        let of = |event: &str, status: u64| {
            read_verdict(&json!({"event_info": event, "status": status}))
        };
        assert_eq!(of(r#"{"ae":""}"#, 2), Ok(Verdict::Taken));
        assert_eq!(of("", 1), Ok(Verdict::Taken));
        let low = r#"{"ae":"{\"code\":21301,\"message\":\"not enough collateral\"}"}"#;
        let refused = |words: &str| Ok(Verdict::Refused(words.to_owned()));
        assert_eq!(of(low, 2), refused("not enough collateral"));
        assert_eq!(of(r#"{"ae":"no JSON"}"#, 2), refused("no JSON"));
        assert_eq!(of(r#"{"ae":""}"#, 0), refused("the transaction has failed"));
        assert!(read_verdict(&json!({"status": 2})).is_err());
    }

    #[test]
    fn amounts_are_whole_millionths() {
        assert_eq!(units(Notional::from_nano(1_000)), Ok(1));
        assert_eq!(units(Notional::from_usd(4_001)), Ok(4_001_000_000));
        for amount in [1, 1_001, -1_000] {
            assert!(units(Notional::from_nano(amount)).is_err(), "{amount}");
        }
        assert!(units(Notional(1_000_000_000_001)).is_err());
    }

    #[test]
    fn withdrawals_are_read_with_their_kind() {
        let row = |kind: &str| {
            json!({"id": "7", "type": kind, "amount": "12.500000", "status": "pending",
                   "timestamp": 1, "asset_id": 3, "l1_tx_hash": ""})
        };
        let fast = read_withdrawal(&row("fast")).unwrap();
        assert!(fast.is_fast && fast.id == "7");
        assert_eq!(fast.amount, Notional::from_nano(12_500_000_000));
        assert!(!read_withdrawal(&row("secure")).unwrap().is_fast);
        let mut bad = row("fast");
        bad["amount"] = Value::Null;
        assert!(read_withdrawal(&bad).is_err());
    }
}
