//! What a wallet may ask without an API key: its accounts, a new one, an API key.
//!
//! Promises: a request is vouched for by the wallet's signature of its path and time, as the SDK
//! makes it. Refuses: deciding anything; the ceremony is in `keys`.
//!
//! Sources: S1 (`clients.onboarding`), D1 (account info).

use super::read::{number, read_account, read_list, text};
use super::{AccountInfo, ExtendedRest, RestError, finish};
use serde_json::{Value, json};
use zeroize::Zeroizing;

/// Path that lists the accounts of a wallet.
pub const ACCOUNTS_PATH: &str = "/api/v1/user/accounts";

/// Path that registers a wallet with its first account.
pub const REGISTER_PATH: &str = "/auth/onboard";
/// Path that adds an account to a registered wallet. HTTP 409 means that it exists already.
pub const SUB_ACCOUNT_PATH: &str = "/auth/onboard/subaccount";
/// Path that makes an API key for the account named in [`ACTIVE_ACCOUNT_HEADER`].
pub const API_KEY_PATH: &str = "/api/v1/user/account/api-key";
/// Header for [`Vouch::signature`].
pub const L1_SIGNATURE_HEADER: &str = "L1_SIGNATURE";
/// Header for [`Vouch::time`].
pub const L1_TIME_HEADER: &str = "L1_MESSAGE_TIME";
/// Header for the id of the account that a request is about.
pub const ACTIVE_ACCOUNT_HEADER: &str = "X-X10-ACTIVE-ACCOUNT";

/// The headers by which a wallet vouches for a request.
#[derive(Clone, Copy, Debug)]
pub struct Vouch<'a> {
    /// Hexadecimal digits without `0x`.
    pub signature: &'a str,
    /// As it was signed.
    pub time: &'a str,
}

/// The venue's onboarding host.
pub struct WalletRest(ExtendedRest);

impl WalletRest {
    /// For EXTENDED_ONBOARDING_URL; `ca_pem` as in [`ExtendedRest::new`].
    pub fn new(host: &str, ca_pem: Option<&[u8]>) -> Result<WalletRest, RestError> {
        ExtendedRest::new(host, "", ca_pem).map(WalletRest)
    }

    /// The accounts of the wallet that signed, each with its place under the wallet. One that is
    /// not known has none.
    pub fn accounts(&self, headers: Vouch<'_>) -> Result<Vec<(i64, AccountInfo)>, RestError> {
        let url = [&self.0.base_url, ACCOUNTS_PATH].concat();
        let request = self.0.agent.get(url);
        let request = request.header(L1_SIGNATURE_HEADER, headers.signature);
        let data = match finish(request.header(L1_TIME_HEADER, headers.time).call()) {
            Err(RestError::Refused {
                status: 401 | 403 | 404,
                ..
            }) => return Ok(Vec::new()),
            answer => answer?.0,
        };
        read_list(&data, "accounts", |row| {
            Some((
                number(&row["accountIndex"])?.cast_signed(),
                read_account(row)?,
            ))
        })
    }

    /// Registers a wallet with its first account. Known already: HTTP 409 is no error.
    pub fn register(&self, body: &str) -> Result<(), RestError> {
        exists(self.post(REGISTER_PATH, body, None, None))
    }

    /// Adds an account to a wallet. There already: HTTP 409 is no error.
    pub fn add_account(&self, body: &str, headers: Vouch<'_>) -> Result<(), RestError> {
        exists(self.post(SUB_ACCOUNT_PATH, body, Some(headers), None))
    }

    /// Makes an API key for an account of the wallet.
    pub fn make_api_key(
        &self,
        headers: Vouch<'_>,
        account_id: u64,
        description: &str,
    ) -> Result<Zeroizing<String>, RestError> {
        let body = json!({"description": description}).to_string();
        let data = self.post(API_KEY_PATH, &body, Some(headers), Some(account_id))?;
        let key = text(&data["key"]).ok_or(RestError::Unreadable("API key"))?;
        Ok(Zeroizing::new(key))
    }

    fn post(
        &self,
        path: &str,
        body: &str,
        headers: Option<Vouch<'_>>,
        account_id: Option<u64>,
    ) -> Result<Value, RestError> {
        let url = [&self.0.base_url, path].concat();
        let mut request = self
            .0
            .agent
            .post(url)
            .header("Content-Type", "application/json");
        if let Some(headers) = headers {
            request = request.header(L1_SIGNATURE_HEADER, headers.signature);
            request = request.header(L1_TIME_HEADER, headers.time);
        }
        if let Some(account_id) = account_id {
            request = request.header(ACTIVE_ACCOUNT_HEADER, account_id.to_string());
        }
        finish(request.send(body.as_bytes())).map(|(data, _)| data)
    }
}

fn exists(answer: Result<Value, RestError>) -> Result<(), RestError> {
    match answer {
        Ok(_) | Err(RestError::Refused { status: 409, .. }) => Ok(()),
        Err(error) => Err(error),
    }
}
