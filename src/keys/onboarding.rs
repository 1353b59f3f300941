//! Extended's onboarding: request bodies and headers made from an Ethereum key.
//!
//! The order of things: derive the Stark key, register the wallet, perhaps add sub-accounts, then
//! ask for an API key. Only the first needs no request. What is hashed and signed is in
//! `venue/extended/sign/onboarding.rs`; sending is the caller's business.
//!
//! Promises: equal input gives equal text, as the official SDK makes it.
//! Refuses: times that the venue's text cannot say.
//!
//! Sources: entry S1 of `venue/extended` (`signing.onboarding`, `clients.onboarding`).
//! Vectors: `tests/data/extended/extended_onboarding.json`.

use super::SecretBytes;
use super::ceremony::{EthereumKey, hex};
pub use crate::venue::extended::account::{
    ACTIVE_ACCOUNT_HEADER, API_KEY_PATH, L1_SIGNATURE_HEADER, L1_TIME_HEADER, REGISTER_PATH,
    SUB_ACCOUNT_PATH, Vouch,
};
pub use crate::venue::extended::sign::hash::Chain;
use crate::venue::extended::sign::onboarding::{
    AccountCreation, AccountRegistration, Action, domain_separator, grind, registration_message,
    typed_digest,
};
use crate::venue::extended::sign::{SignError, StarkKey};
use serde_json::{Value, json};
use std::fmt;
use zeroize::Zeroize;

/// The domain that an Ethereum key signs for.
pub fn signing_domain(chain: Chain) -> &'static str {
    match chain {
        Chain::Main => "extended.exchange",
        Chain::Sepolia => "starknet.sepolia.extended.exchange",
    }
}

/// Where and as whom an account is opened.
#[derive(Clone, Copy, Debug)]
pub struct Onboarding<'a> {
    /// The key that owns the account.
    pub key: &'a EthereumKey,
    /// Which network.
    pub chain: Chain,
    /// Base URL the requests go to, without a path.
    pub host: &'a str,
    /// 0 is the main account.
    pub account_index: i8,
}

impl Onboarding<'_> {
    /// The account's Stark private key, big endian; always the same for the same key, network and
    /// index. Signs the venue's terms of service on the way: ask first.
    pub fn stark_key(&self) -> SecretBytes<32> {
        let separator = domain_separator(signing_domain(self.chain));
        let digest = typed_digest(&separator, &self.account().struct_hash());
        let mut signature = self.key.sign_digest(&digest);
        let mut r: [u8; 32] = std::array::from_fn(|at| signature[at]);
        let mut private = grind(&r);
        // Whoever has this signature has the key.
        signature.zeroize();
        r.zeroize();
        SecretBytes::take(&mut private)
    }

    /// Body of the request to [`REGISTER_PATH`]. Fails with a chance of 2^-50, for good: take
    /// another account index.
    pub fn register_body(
        &self,
        stark: &StarkKey,
        time: MessageTime,
        referral_code: Option<&str>,
    ) -> Result<String, SignError> {
        let time = time.to_string();
        let registration = self.registration(Action::Register, &time);
        let separator = domain_separator(signing_domain(self.chain));
        let digest = typed_digest(&separator, &registration.struct_hash());
        let mut body = self.body(stark, &registration)?;
        body["l1Signature"] = hex(&self.key.sign_digest(&digest)).into();
        body["referralCode"] = referral_code.into();
        Ok(body.to_string())
    }

    /// Body of the request to [`SUB_ACCOUNT_PATH`], which also needs [`L1Headers`]. Fails as
    /// [`Onboarding::register_body`] does.
    pub fn sub_account_body(
        &self,
        stark: &StarkKey,
        time: MessageTime,
        description: &str,
    ) -> Result<String, SignError> {
        let time = time.to_string();
        let mut body = self.body(stark, &self.registration(Action::CreateSubAccount, &time))?;
        body["description"] = description.into();
        Ok(body.to_string())
    }

    /// The part that both bodies share.
    fn body(&self, stark: &StarkKey, values: &AccountRegistration) -> Result<Value, SignError> {
        let wallet = self.key.address();
        let public = stark.public_key();
        let signature = stark.sign(registration_message(&wallet.0, public))?;
        let hex = |value| format!("{value:#x}");
        Ok(json!({
            "l2Key": hex(public),
            "l2Signature": { "r": hex(signature.r), "s": hex(signature.s) },
            "accountCreation": {
                "accountIndex": values.account.account_index,
                "wallet": wallet.to_string(),
                "tosAccepted": true,
                "time": values.time,
                "action": values.action.text(),
                "host": values.host,
            },
        }))
    }

    fn account(&self) -> AccountCreation {
        AccountCreation {
            account_index: self.account_index,
            wallet: self.key.address().0,
        }
    }

    fn registration<'a>(&'a self, action: Action, time: &'a str) -> AccountRegistration<'a> {
        AccountRegistration {
            account: self.account(),
            time,
            action,
            host: self.host,
        }
    }
}

/// The headers by which an Ethereum key vouches for a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct L1Headers {
    /// Value of [`L1_SIGNATURE_HEADER`]: hexadecimal without `0x`, as the SDK's example sends it.
    pub signature: String,
    /// Value of [`L1_TIME_HEADER`].
    pub time: String,
}

impl L1Headers {
    /// As a request takes them.
    pub fn vouch(&self) -> Vouch<'_> {
        Vouch {
            signature: &self.signature,
            time: &self.time,
        }
    }

    /// For one request path, as called, without the host. How old the time may be is not
    /// documented: keep the clock within a second.
    pub fn sign(key: &EthereumKey, path: &str, time: MessageTime) -> L1Headers {
        let time = time.to_string();
        let signature = key.sign_personal(&format!("{path}@{time}"));
        L1Headers {
            signature: hex(&signature),
            time,
        }
    }
}

/// A time in whole seconds that prints as the venue wants it, UTC: `2026-11-22T09:00:00Z`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MessageTime {
    unix_s: u64,
}

/// The time lies after the year 9999; the caller's clock or unit is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeTooLate;

impl fmt::Display for TimeTooLate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the time lies after the year 9999; it is wanted in seconds")
    }
}

impl std::error::Error for TimeTooLate {}

impl MessageTime {
    /// From seconds since 1970.
    pub fn from_unix_s(unix_s: u64) -> Result<MessageTime, TimeTooLate> {
        (unix_s <= UNIX_S_MAX)
            .then_some(MessageTime { unix_s })
            .ok_or(TimeTooLate)
    }
}

/// `9999-12-31T23:59:59Z`. Milliseconds of this century lie above it.
const UNIX_S_MAX: u64 = 253_402_300_799;

impl fmt::Display for MessageTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = date(self.unix_s / 86_400);
        let second = self.unix_s % 86_400;
        let (hour, minute) = (second / 3600, second / 60 % 60);
        write!(f, "{year:04}-{month:02}-{day:02}")?;
        write!(f, "T{hour:02}:{minute:02}:{:02}Z", second % 60)
    }
}

/// Year, month and day of a count of days since 1970-01-01, by walking: a few dozen steps, once a
/// request.
fn date(mut days: u64) -> (u64, usize, u64) {
    let is_leap = |year: u64| {
        year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
    };
    let mut year = 1970;
    while days >= 365 + u64::from(is_leap(year)) {
        days -= 365 + u64::from(is_leap(year));
        year += 1;
    }
    let february = 28 + u64::from(is_leap(year));
    let mut month = 1;
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if days < length {
            break;
        }
        days -= length;
        month += 1;
    }
    (year, month, days + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn times() {
        for (unix_s, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_709_164_800, "2024-02-29T00:00:00Z"),
            (1_795_338_000, "2026-11-22T09:00:00Z"),
            (1_798_761_599, "2026-12-31T23:59:59Z"),
            (1_798_761_600, "2027-01-01T00:00:00Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
            (UNIX_S_MAX, "9999-12-31T23:59:59Z"),
        ] {
            assert_eq!(MessageTime::from_unix_s(unix_s).unwrap().to_string(), text);
        }
        assert_eq!(MessageTime::from_unix_s(UNIX_S_MAX + 1), Err(TimeTooLate));
        let milliseconds = 1_795_338_000_000;
        assert_eq!(MessageTime::from_unix_s(milliseconds), Err(TimeTooLate));
    }

    #[test]
    fn text_from_outside_is_escaped() {
        let key = EthereumKey::parse_hex(&"4c".repeat(32)).unwrap();
        let onboarding = Onboarding {
            key: &key,
            chain: Chain::Sepolia,
            host: "https://localhost",
            account_index: -1,
        };
        let stark = StarkKey::from_bytes(onboarding.stark_key().expose()).unwrap();
        let time = MessageTime::from_unix_s(1).unwrap();
        let body = onboarding.sub_account_body(&stark, time, "a\"b").unwrap();
        let read: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(read["description"], "a\"b");
        assert_eq!(read["accountCreation"]["accountIndex"], -1);
        let body = onboarding
            .register_body(&stark, time, Some("CODE"))
            .unwrap();
        let read: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(read["referralCode"], "CODE");
        assert_eq!(read["accountCreation"]["action"], "REGISTER");
    }

    #[test]
    fn key_network_and_index_make_the_stark_key() {
        let [one, other] = ["4c", "4d"].map(|byte| EthereumKey::parse_hex(&byte.repeat(32)));
        let (one, other) = (one.unwrap(), other.unwrap());
        let made = |key, chain, account_index| {
            let host = "";
            let onboarding = Onboarding {
                key,
                chain,
                host,
                account_index,
            };
            *onboarding.stark_key().expose()
        };
        let first = made(&one, Chain::Main, 0);
        assert_eq!(made(&one, Chain::Main, 0), first);
        assert_ne!(made(&other, Chain::Main, 0), first);
        assert_ne!(made(&one, Chain::Sepolia, 0), first);
        assert_ne!(made(&one, Chain::Main, 1), first);
    }

    proptest! {
        /// Days count up one by one, and every date is later than the one before.
        #[test]
        fn dates_follow_each_other(day in 0..2_900_000_u64) {
            let (before, after) = (date(day), date(day + 1));
            prop_assert!(before < after);
            let steps = after.2 == before.2 + 1 || (after.2 == 1 && before.2 >= 28);
            prop_assert!(steps, "{before:?} {after:?}");
        }

        #[test]
        fn headers_bind_path_and_time(path in "/[a-z/]{0,20}", unix_s in 0..UNIX_S_MAX) {
            let key = EthereumKey::parse_hex(&"4c".repeat(32)).unwrap();
            let time = |unix_s| MessageTime::from_unix_s(unix_s).unwrap();
            let headers = L1Headers::sign(&key, &path, time(unix_s));
            let later = L1Headers::sign(&key, &path, time(unix_s + 1));
            let other = L1Headers::sign(&key, &format!("{path}x"), time(unix_s));
            prop_assert_ne!(&later.signature, &headers.signature);
            prop_assert_ne!(&other.signature, &headers.signature);
        }
    }
}
