//! An account's owner and API keys over REST, the transaction that changes a key, and the venue's
//! time.
//!
//! Promises: a slot that nobody has written is none, not an error. Refuses: to send a change again
//! by itself; whether one arrived is seen by asking for the key.
//!
//! Sources: *rest*, *signer*, *nonces* in the venue's Sources.

use super::write::Sender;
use super::{LighterRest, RestError, integer, list, text};
use crate::market::units::Nanos;
use crate::venue::date;
use crate::venue::lighter::sign::PublicKey;
use crate::venue::lighter::sign::ethereum::EthereumSignature;
use crate::venue::lighter::sign::transaction::Transaction;

/// An API key as the venue has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRow {
    /// Its slot.
    pub slot: u8,
    /// 80 digits, small letters.
    pub public_key: String,
}

/// `api_key_index` that means every slot.
const ALL_SLOTS: u8 = 255;
/// No such API key.
const CODE_NO_KEY: u64 = 21_109;

impl LighterRest {
    /// The Ethereum address that owns the account.
    pub fn owner(&self, account: u64) -> Result<String, RestError> {
        let body = self.fetch(&format!("account?by=index&value={account}"), None)?;
        let row = list(&body, "accounts")?.first();
        let owner = text(row.ok_or(RestError::Malformed("accounts"))?, "l1_address")?;
        match owner.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            true => Ok(owner.to_owned()),
            false => Err(RestError::Malformed("l1_address")),
        }
    }

    /// The keys of every slot that was ever written.
    pub fn keys(&self, account_index: u64) -> Result<Vec<KeyRow>, RestError> {
        let path = format!("apikeys?account_index={account_index}&api_key_index={ALL_SLOTS}");
        let body = match self.fetch(&path, None) {
            Err(RestError::Refused {
                code: CODE_NO_KEY, ..
            }) => return Ok(Vec::new()),
            answer => answer?,
        };
        let read = |row| {
            let slot = u8::try_from(integer(row, "api_key_index")?);
            let key = text(row, "public_key")?.trim_start_matches("0x");
            Ok(KeyRow {
                slot: slot.map_err(|_| RestError::Malformed("api_key_index"))?,
                public_key: key.to_ascii_lowercase(),
            })
        };
        list(&body, "api_keys")?.iter().map(read).collect()
    }

    /// Whether the venue has this public key in this slot.
    pub fn has_key(
        &self,
        account_index: u64,
        api_key_index: u8,
        public_key: &PublicKey,
    ) -> Result<bool, RestError> {
        let path = format!("apikeys?account_index={account_index}&api_key_index={api_key_index}");
        let body = match self.fetch(&path, None) {
            Err(RestError::Refused {
                code: CODE_NO_KEY, ..
            }) => return Ok(false),
            answer => answer?,
        };
        let wanted: String = public_key
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let mut rows = list(&body, "api_keys")?.iter();
        Ok(rows.any(|row| {
            row["api_key_index"].as_u64() == Some(u64::from(api_key_index))
                && row["public_key"]
                    .as_str()
                    .is_some_and(|key| key.trim_start_matches("0x").eq_ignore_ascii_case(&wanted))
        }))
    }

    /// The venue's time by its answer, seconds since 1970.
    pub fn date_s(&self) -> Result<u64, RestError> {
        let answer = self.agent.get(format!("{}/", self.base_url)).call();
        let answer = answer.map_err(|error| RestError::Network(error.to_string()))?;
        let date = answer
            .headers()
            .get("date")
            .and_then(|date| date.to_str().ok());
        date.and_then(date::read)
            .ok_or(RestError::Malformed("Date"))
    }

    /// The change that puts the sender's own key into its slot, yet without the owner's signature.
    pub fn key_change(&self, sender: &Sender, now: Nanos) -> Result<Transaction, RestError> {
        let (slot, public_key) = sender.public_key();
        let nonce = self.next_nonce(sender.account_index(), slot)?;
        let change = Transaction::change_public_key(sender.envelope(nonce, now), public_key);
        change.map_err(|fault| RestError::Unsigned(fault.field))
    }

    /// Sends a change with the owner's signature of its message. Code 200 is "queued".
    pub fn send_key_change(
        &self,
        sender: &Sender,
        change: Transaction,
        signature: EthereumSignature,
    ) -> Result<(), RestError> {
        let signed = change.with_ethereum_signature(signature);
        let signed = signed.map_err(|fault| RestError::Unsigned(fault.field))?;
        let tx_type = u64::from(signed.kind().tx_type);
        self.send(tx_type, &sender.text(&signed)?).map(|_| ())
    }
}
