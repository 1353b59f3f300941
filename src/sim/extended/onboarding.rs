//! Wallets: registration, accounts, API keys, vouched for by an Ethereum key.
//!
//! Promises: the wallet's signatures, the account's Stark signature, the action and the time are
//! checked; the account that trades is the wallet's first; further ones can be opened and read, and
//! hold nothing. Refuses: a request signed more than a minute from now (how far the venue lets
//! clocks differ is not documented), a key or an account that is there already (409).
//!
//! Sources: [SDK] signing.onboarding, clients.onboarding; EIP-712 (encoding).

use super::money::bridge_address;
use super::reply::{Code, Refusal, Reply};
use super::rest::Asked;
use super::settlement::{Felt, is_signed, parse_hex};
use super::{Credentials, Desk, SIGNING_DOMAIN, digest};
use crate::keys::ceremony::{Address, personal_digest, recover};
use crate::keys::onboarding::MessageTime;
use serde::Deserialize;
use serde_json::{Value, json};
use sha3::{Digest, Keccak256};
use std::collections::HashMap;

/// Seconds that a signed time may lie from ours.
const TIME_S_MAX: u64 = 60;
/// Accounts of one wallet. [DOC Account]
const ACCOUNTS_MAX: usize = 10;

/// The headers by which a wallet vouches for a request.
#[derive(Clone, Copy, Default)]
pub struct L1<'a> {
    /// `L1_SIGNATURE`.
    pub signature: Option<&'a str>,
    /// `L1_MESSAGE_TIME`.
    pub time: Option<&'a str>,
    /// `X-X10-ACTIVE-ACCOUNT`.
    pub account: Option<&'a str>,
}

/// An account of a wallet.
#[derive(Clone)]
pub struct Opened {
    wallet: String,
    index: i8,
    /// Account id.
    pub id: u64,
    vault: u32,
    public_key: String,
    description: String,
}

/// Every account that was opened, and the API keys that were made.
pub struct Wallets {
    accounts: Vec<Opened>,
    api_keys: HashMap<String, u64>,
}

impl Wallets {
    /// With the account that trades.
    pub fn new(keys: &Credentials) -> Wallets {
        let first = Opened {
            wallet: keys.wallet.clone(),
            index: 0,
            id: keys.account_id,
            vault: keys.vault,
            public_key: keys.public_key.clone(),
            description: "Simulated account".into(),
        };
        Wallets {
            accounts: vec![first],
            api_keys: HashMap::from([(keys.api_key.clone(), keys.account_id)]),
        }
    }

    /// The account of an API key.
    pub fn account(&self, api_key: &str) -> Option<&Opened> {
        let id = self.api_keys.get(api_key)?;
        self.accounts.iter().find(|account| account.id == *id)
    }
}

impl Opened {
    /// `l2Vault` is text here as in a recorded reply; the official library reads it either way.
    pub fn row(&self) -> Value {
        json!({
            "accountId": self.id,
            "id": self.id,
            "description": self.description,
            "accountIndex": self.index,
            "status": "ACTIVE",
            "l2Key": self.public_key,
            "l2Vault": self.vault.to_string(),
            "bridgeStarknetAddress": bridge_address(self.id),
            "accountIndexForKeyGeneration": self.index,
        })
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Registration {
    l1_signature: Option<String>,
    l2_key: String,
    l2_signature: StarkSignature,
    account_creation: Creation,
    description: Option<String>,
}

#[derive(Deserialize)]
struct StarkSignature {
    r: String,
    s: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Creation {
    account_index: i8,
    wallet: String,
    tos_accepted: bool,
    time: String,
    action: String,
    host: String,
}

impl Desk {
    /// Answers what a wallet may ask; `None` for other paths.
    pub(super) fn wallet(&self, asked: &Asked<'_>) -> Option<Result<Reply, Refusal>> {
        let vouched = asked.l1.signature.is_some();
        Some(match (asked.method, asked.path) {
            ("POST", "/auth/onboard") => self.register(asked),
            ("POST", "/auth/onboard/subaccount") => self.add_account(asked),
            ("POST", "/api/v1/user/account/api-key") => self.make_api_key(asked),
            ("GET", "/api/v1/user/accounts") if vouched => self.accounts(asked),
            _ => return None,
        })
    }

    fn register(&self, asked: &Asked<'_>) -> Result<Reply, Refusal> {
        let body: Registration = read(asked.body)?;
        let signature = body.l1_signature.as_deref().and_then(signature);
        let signature = signature.ok_or_else(|| Code::BadRequest.because("l1Signature"))?;
        let signer = recover(&body.account_creation.digest(), &signature);
        self.judge(&body, "REGISTER", signer)?;
        let account = self.open(&body)?;
        let wallet = &body.account_creation.wallet;
        Ok(Reply::data(
            json!({"l1Address": wallet, "defaultAccount": account.row()}),
        ))
    }

    fn add_account(&self, asked: &Asked<'_>) -> Result<Reply, Refusal> {
        let signer = self.vouched(asked)?;
        let body: Registration = read(asked.body)?;
        self.judge(&body, "CREATE_SUB_ACCOUNT", Some(signer))?;
        Ok(Reply::data(self.open(&body)?.row()))
    }

    /// The wallet is the signer's, the terms are accepted, the action is that of the path, the time
    /// is now, and the Stark key has signed for both.
    fn judge(
        &self,
        body: &Registration,
        action: &str,
        signer: Option<Address>,
    ) -> Result<(), Refusal> {
        let asked = &body.account_creation;
        let is_signers = |signer: Address| signer.to_string().eq_ignore_ascii_case(&asked.wallet);
        if !signer.is_some_and(is_signers) {
            return Err(Code::Unauthorized.because("L1 signature"));
        }
        if !asked.tos_accepted || asked.action != action {
            return Err(Code::BadRequest.because("accountCreation"));
        }
        self.is_now(&asked.time)?;
        let number = |text: &str| parse_hex(text).ok_or(Code::InvalidStarknetPublicKey);
        let public_key = number(&body.l2_key)?;
        let wallet = wallet_number(&asked.wallet).ok_or(Code::BadRequest)?;
        let message = starknet_crypto::pedersen_hash(&wallet, &public_key);
        let [r, s] = [&body.l2_signature.r, &body.l2_signature.s].map(|text| parse_hex(text));
        let (r, s) = r.zip(s).ok_or(Code::InvalidStarknetSignature)?;
        match is_signed(&public_key, &message, &r, &s) {
            true => Ok(()),
            false => Err(Code::InvalidStarknetSignature.into()),
        }
    }

    fn open(&self, body: &Registration) -> Result<Opened, Refusal> {
        let asked = &body.account_creation;
        let mut wallets = self.wallets();
        let is_of = |one: &&Opened| one.wallet.eq_ignore_ascii_case(&asked.wallet);
        let own: Vec<&Opened> = wallets.accounts.iter().filter(is_of).collect();
        let key = parse_hex(&body.l2_key);
        let is_known = |one: &Opened| parse_hex(&one.public_key) == key;
        let is_there = own.iter().any(|one| one.index == asked.account_index);
        if is_there || wallets.accounts.iter().any(is_known) {
            return Err(Code::Conflict.into());
        }
        let is_first = asked.account_index == 0;
        if is_first != own.is_empty() || own.len() >= ACCOUNTS_MAX {
            return Err(Code::BadRequest.because("accountIndex"));
        }
        let number = wallets.accounts.len() as u64;
        let account = Opened {
            wallet: asked.wallet.clone(),
            index: asked.account_index,
            id: self.keys.account_id + number,
            vault: self.keys.vault + number as u32,
            public_key: body.l2_key.clone(),
            description: body.description.clone().unwrap_or_default(),
        };
        wallets.accounts.push(account.clone());
        Ok(account)
    }

    fn accounts(&self, asked: &Asked<'_>) -> Result<Reply, Refusal> {
        let signer = self.vouched(asked)?.to_string();
        let wallets = self.wallets();
        let own = wallets.accounts.iter();
        let rows: Vec<Value> = own
            .filter(|one| one.wallet.eq_ignore_ascii_case(&signer))
            .map(Opened::row)
            .collect();
        match rows.is_empty() {
            true => Err(Code::Unauthorized.because("unknown wallet")),
            false => Ok(Reply::data(rows.into())),
        }
    }

    fn make_api_key(&self, asked: &Asked<'_>) -> Result<Reply, Refusal> {
        let signer = self.vouched(asked)?.to_string();
        let wanted = asked.l1.account.and_then(|text| text.parse::<u64>().ok());
        let wanted = wanted.ok_or_else(|| Code::BadRequest.because("X-X10-ACTIVE-ACCOUNT"))?;
        let mut wallets = self.wallets();
        let is_own = |one: &Opened| one.id == wanted && one.wallet.eq_ignore_ascii_case(&signer);
        if !wallets.accounts.iter().any(is_own) {
            return Err(Code::Unauthorized.into());
        }
        let purpose = format!("api key {} of {signer}", wallets.api_keys.len());
        let key: String = digest(wanted, &purpose)[..16]
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        wallets.api_keys.insert(key.clone(), wanted);
        Ok(Reply::data(json!({"key": key})))
    }

    /// Whose headers these are.
    fn vouched(&self, asked: &Asked<'_>) -> Result<Address, Refusal> {
        let headers = asked.l1.signature.zip(asked.l1.time);
        let (text, time) = headers.ok_or_else(|| Code::Unauthorized.because("L1 headers"))?;
        self.is_now(time)?;
        let signature = signature(text).ok_or_else(|| Code::Unauthorized.because("L1 headers"))?;
        let message = format!("{}@{time}", asked.path);
        let signer = recover(&personal_digest(&message), &signature);
        signer.ok_or_else(|| Code::Unauthorized.because("L1 signature"))
    }

    /// Times of this form stand in the order of their texts.
    fn is_now(&self, time: &str) -> Result<(), Refusal> {
        let now_s = self.floor.now().epoch_ms() / 1000;
        let text = |unix_s| MessageTime::from_unix_s(unix_s).map(|time| time.to_string());
        let ends = [now_s.saturating_sub(TIME_S_MAX), now_s + TIME_S_MAX].map(text);
        match ends {
            [Ok(least), Ok(most)] if (&*least..=&*most).contains(&time) => Ok(()),
            _ => Err(Code::Unauthorized.because("message time")),
        }
    }

    /// What an account without a position and without money may read.
    pub(super) fn empty_account(
        &self,
        account: &Opened,
        asked: &Asked<'_>,
        steps: &[&str],
    ) -> Result<Reply, Refusal> {
        match (asked.method, steps) {
            ("GET", ["account", "info"]) => Ok(Reply::data(account.row())),
            ("GET", ["positions" | "orders"]) => Ok(Reply::data(json!([]))),
            _ => Err(Code::NotFound.into()),
        }
    }
}

impl Creation {
    /// The EIP-712 digest that registers.
    fn digest(&self) -> [u8; 32] {
        let domain = [
            hash(b"EIP712Domain(string name)"),
            hash(SIGNING_DOMAIN.as_bytes()),
        ];
        let kind = b"AccountRegistration(int8 accountIndex,address wallet,bool tosAccepted,\
                     string time,string action,string host)";
        let mut index = [if self.account_index < 0 { 0xff } else { 0 }; 32];
        index[31] = self.account_index.cast_unsigned();
        let wallet = wallet_number(&self.wallet)
            .unwrap_or(Felt::ZERO)
            .to_bytes_be();
        let mut accepted = [0; 32];
        accepted[31] = u8::from(self.tos_accepted);
        let words = [
            hash(kind),
            index,
            wallet,
            accepted,
            hash(self.time.as_bytes()),
            hash(self.action.as_bytes()),
            hash(self.host.as_bytes()),
        ];
        let parts = [hash(&domain.concat()), hash(&words.concat())].concat();
        hash(&[b"\x19\x01", &parts[..]].concat())
    }
}

/// An address as a number. Unlike other numbers it is written with its leading zeros.
fn wallet_number(address: &str) -> Option<Felt> {
    let digits = address.strip_prefix("0x")?;
    parse_hex(&format!("0x{}", digits.trim_start_matches('0')))
}

fn hash(bytes: &[u8]) -> [u8; 32] {
    Keccak256::digest(bytes).into()
}

/// 130 digits without `0x`, as the SDK sends them.
fn signature(text: &str) -> Option<[u8; 65]> {
    let digits = text.as_bytes();
    if digits.len() != 130 {
        return None;
    }
    let mut bytes = [0; 65];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks(2)) {
        let pair = std::str::from_utf8(pair).ok()?;
        *byte = u8::from_str_radix(pair, 16).ok()?;
    }
    Some(bytes)
}

fn read<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Refusal> {
    serde_json::from_slice(body).map_err(|error| Code::BadRequest.because(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The registrations that the official SDK made: their digests are recovered to their wallets.
    #[test]
    fn official_registrations_are_their_wallets() {
        let file = include_str!("../../../tests/data/extended/extended_onboarding.json");
        let file: Value = serde_json::from_str(file).unwrap();
        let mut seen = 0;
        for case in file["cases"].as_array().unwrap() {
            let body = case["sdk_request_body"].to_string();
            let body: Registration = read(body.as_bytes()).unwrap();
            let address = case["input"]["eth_address"].as_str().unwrap();
            let public_key = parse_hex(&body.l2_key).unwrap();
            let wallet = wallet_number(address).unwrap();
            let message = starknet_crypto::pedersen_hash(&wallet, &public_key);
            let [r, s] = [&body.l2_signature.r, &body.l2_signature.s];
            let [r, s] = [r, s].map(|text| parse_hex(text).unwrap());
            assert!(is_signed(&public_key, &message, &r, &s));
            let is_main = case["input"]["signing_domain"] == SIGNING_DOMAIN;
            if let (Some(text), true) = (&body.l1_signature, is_main) {
                let signed = signature(text).unwrap();
                let signer = recover(&body.account_creation.digest(), &signed).unwrap();
                assert_eq!(signer.to_string(), address);
                seen += 1;
            }
        }
        assert!(seen > 2, "{seen}");
    }
}
