//! A Lighter account over REST, with a token that is good: what its purse and its exits share.
//!
//! Promises: the last key signs, the one that waits behind no order of the engine's; a transaction
//! by it in the middle of a run costs the engine one refused cancel and a question for the nonce.
//! Refuses: an account without a key.

use crate::config::Lighter;
use crate::hands::HandsError;
use crate::market::units::{Nanos, SECOND};
use crate::stage::clock::Clock;
use crate::venue::lighter::account::{LighterRest, MoneyReader, Sender};
use crate::venue::lighter::sign::PrivateKey;
use crate::venue::lighter::sign::token::AuthToken;
use std::cell::RefCell;

/// A token lives for ten minutes; it is renewed well before.
const TOKEN_AGE_NS_MAX: u64 = 300 * SECOND;

/// One account and its last key.
pub(super) struct LighterDoor {
    /// The account's number.
    pub account: u64,
    /// Which network.
    pub chain_id: u64,
    /// The venue.
    pub rest: LighterRest,
    /// The key.
    pub sender: Sender,
    /// The time.
    pub clock: Clock,
    /// The last token, and when it was made.
    token: RefCell<Option<(Nanos, AuthToken)>>,
}

impl LighterDoor {
    /// For the account of the settings. `pem` is TLS_CA_FILE.
    pub fn new(
        settings: &Lighter,
        pem: Option<&[u8]>,
        clock: Clock,
    ) -> Result<LighterDoor, HandsError> {
        let account = settings.account.as_ref();
        let found = account.and_then(|account| Some((account.index, account.keys.last()?)));
        let (account, key) = found.ok_or_else(|| missing("Lighter", "LIGHTER_API_KEYS"))?;
        let private = PrivateKey::parse_hex(key.private_key.to_hex().expose());
        let private = private.map_err(|error| {
            let slot = key.index;
            HandsError(format!(
                "Lighter: the key for slot {slot} can't be used: {error:?}"
            ))
        })?;
        let chain_id = u64::from(settings.chain_id);
        Ok(LighterDoor {
            account,
            chain_id,
            rest: LighterRest::new(settings.base.as_str(), pem)?,
            sender: Sender::new(account, chain_id, key.index, private),
            clock,
            token: RefCell::new(None),
        })
    }

    /// Asks with a token that is good.
    pub fn read<T>(
        &self,
        read: impl FnOnce(MoneyReader<'_>) -> Result<T, HandsError>,
    ) -> Result<T, HandsError> {
        let now = self.clock.now();
        let mut kept = self.token.borrow_mut();
        let is_good = |kept: &&mut (Nanos, AuthToken)| now.since(kept.0) < TOKEN_AGE_NS_MAX;
        let (_, token) = match kept.as_mut().filter(is_good) {
            Some(kept) => kept,
            None => kept.insert((now, self.sender.token(now)?)),
        };
        read(MoneyReader {
            account: self.account,
            token,
        })
    }
}

/// What is said where an account is not configured.
pub(super) fn missing(venue: &str, name: &str) -> HandsError {
    HandsError(format!(
        "{venue}: no account is configured: {name} and what belongs to it are needed"
    ))
}
