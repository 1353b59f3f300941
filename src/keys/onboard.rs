//! `keys onboard extended`, and the rotation of an Extended API key.
//!
//! The order of things: the Stark key is derived and stored as pending; the venue is asked for the
//! wallet's accounts, and the account is registered where it is missing; an API key is made, used
//! once to read the account, and stored. Whatever ends this in between, the same command goes on: a
//! wallet always derives the same key, and the venue knows which accounts it has. An API key that
//! was made and could not be stored is lost, and harmless: it signs nothing.
//! Promises: what the Ethereum key signs is told first and logged before it is signed.
//! Refuses: an account whose Stark key at the venue is another one.
//!
//! Source: entry S1 of `venue/extended` (`clients.onboarding`).

use super::command::{add, missing, name_of, stark_public};
use super::entry::{Entry, State, What};
use super::keystore::Keystore;
use super::log::Log;
use super::onboarding::{API_KEY_PATH, L1Headers, MessageTime, Onboarding, SUB_ACCOUNT_PATH};
use super::onboarding::{REGISTER_PATH, signing_domain};
use super::room::{KeysError, Room, Said, line, shown};
use super::{Secret, SecretBytes, api_key, ceremony::EthereumKey, stark_key};
use crate::config::StarknetChain;
use crate::venue::extended::account::WalletRest;
use crate::venue::extended::account::{ACCOUNTS_PATH, AccountInfo, ExtendedRest, RestError};
use crate::venue::extended::sign::StarkKey;
use crate::venue::extended::sign::hash::Chain;

/// Opens an account of a wallet, or logs in to it, and makes its API key.
pub fn onboard(room: &Room, index: i8, wallet: Option<&str>) -> Result<Said, KeysError> {
    let store = room.open_to_change()?;
    let key = room.wallet(&store, wallet)?;
    let mut work = Work::with(room, store, key, index)?;
    let address = work.key.address();
    let host = work.host();
    room.agree(&format!(
        "The Ethereum key {address} signs, for {host}:\n  that it accepts the venue's terms of \
         service for its account {index} (from this signature the Stark key is made),\n  the \
         registration of that account where it is new,\n  and requests to list its accounts and to \
         make an API key."
    ))?;
    let name = work.pending()?;
    let account = work.account(&name)?;
    work.activate(&name, &account)
}

/// Replaces the API key of an account.
pub fn rotate(
    room: &Room,
    store: Keystore,
    name: &str,
    wallet: Option<&str>,
) -> Result<Said, KeysError> {
    let entry = store.entry(name).ok_or_else(|| missing(name))?;
    let What::Extended { index, .. } = entry.what else {
        return Err(KeysError::Usage(format!("{name} is no Extended key")));
    };
    let key = room.wallet(&store, wallet)?;
    let mut work = Work::with(room, store, key, index)?;
    room.agree(&format!(
        "The Ethereum key {} signs requests to {} to list its accounts and to make a new API key \
         for {name}. The venue offers no way to end the old one here: end it on its web page.",
        work.key.address(),
        work.host()
    ))?;
    let account = work.account(name)?;
    work.activate(name, &account)
}

/// One account of one wallet, the keystore and the venue.
struct Work<'a> {
    room: &'a Room,
    log: Log,
    store: Keystore,
    key: EthereumKey,
    rest: WalletRest,
    chain: Chain,
    index: i8,
}

impl Work<'_> {
    fn with(
        room: &Room,
        store: Keystore,
        key: EthereumKey,
        index: i8,
    ) -> Result<Work<'_>, KeysError> {
        let accounts = &room.settings.accounts;
        let settings = &accounts.extended;
        let chain = match settings.chain {
            StarknetChain::Main => Chain::Main,
            StarknetChain::Sepolia => Chain::Sepolia,
        };
        let (set, wanted) = (&settings.signing_domain, signing_domain(chain));
        if set != wanted {
            return Err(KeysError::Usage(format!(
                "EXTENDED_SIGNING_DOMAIN is {set}, and that of {} is {wanted}: another Stark key \
                 would come of it\n    fix: set it to {wanted}",
                settings.chain.name()
            )));
        }
        let pem = accounts.extra_root_pem.as_deref();
        Ok(Work {
            room,
            log: room.log(),
            rest: WalletRest::new(settings.onboarding.as_str(), pem)?,
            store,
            key,
            chain,
            index,
        })
    }

    fn host(&self) -> String {
        self.room
            .settings
            .accounts
            .extended
            .onboarding
            .as_str()
            .to_owned()
    }

    fn signed(&self, what: &str) -> Result<(), KeysError> {
        let address = self.key.address().to_string();
        Ok(self
            .log
            .write("message signed for Extended", &address, what)?)
    }

    /// The key in the keystore: derived anew, and stored where it is not yet.
    fn pending(&mut self) -> Result<String, KeysError> {
        let index = self.index;
        self.signed(&format!(
            "terms of service accepted, account {index}: derives the Stark key"
        ))?;
        let host = self.host();
        let private = self.onboarding(&host).stark_key();
        let public = stark_public(&private)?;
        let mut entries = self.store.entries.iter();
        if let Some(entry) = entries.find(|entry| entry.what.public() == public) {
            return Ok(entry.name.clone());
        }
        let what = What::Extended {
            chain: self.room.settings.accounts.extended.chain.name().to_owned(),
            index,
            vault: None,
            public_key: public.clone(),
            api_key: None,
        };
        let name = name_of(&what);
        let entry = Entry {
            name: name.clone(),
            state: State::Pending,
            made_s: self.room.now_s(),
            what,
            private: private.to_hex(),
        };
        add(&mut self.store, entry)?;
        self.store.save()?;
        self.log.write("Stark key derived", &public, "")?;
        Ok(name)
    }

    /// The account at the venue, registered where it is missing.
    fn account(&self, name: &str) -> Result<AccountInfo, KeysError> {
        let entry = self.store.entry(name).ok_or_else(|| missing(name))?;
        let private = stark_key(entry.private.expose());
        let private = private.map_err(|fault| KeysError::Key("the Stark key", fault))?;
        if let Some(account) = self.find(&private)? {
            return Ok(account);
        }
        self.register(&private)?;
        self.find(&private)?.ok_or_else(|| {
            KeysError::Venue(
                "Extended took the registration and does not list the account yet\n    fix: the \
                 key is kept as pending: run the same command again in a minute"
                    .into(),
            )
        })
    }

    /// The wallet's account of this index, which must have this key.
    fn find(&self, private: &SecretBytes<32>) -> Result<Option<AccountInfo>, KeysError> {
        self.signed(&format!("GET {ACCOUNTS_PATH}"))?;
        let accounts = self.rest.accounts(self.headers(ACCOUNTS_PATH)?.vouch())?;
        let index = i64::from(self.index);
        let Some((_, account)) = accounts.into_iter().find(|(at, _)| *at == index) else {
            return Ok(None);
        };
        if account.public_key == Some(self.stark(private)?.public_key()) {
            return Ok(Some(account));
        }
        Err(KeysError::Venue(format!(
            "account {index} of the wallet {} has another Stark key at Extended than the one this \
             wallet derives\n    fix: check EXTENDED_CHAIN_ID and EXTENDED_ONBOARDING_URL; for an \
             account opened elsewhere, `parallax keys import extended`",
            self.key.address()
        )))
    }

    fn register(&self, private: &SecretBytes<32>) -> Result<(), KeysError> {
        let (host, stark) = (self.host(), self.stark(private)?);
        let onboarding = self.onboarding(&host);
        let unsigned =
            |error| KeysError::Usage(format!("the registration can't be signed: {error:?}"));
        match self.index {
            0 => {
                self.signed(&format!(
                    "POST {REGISTER_PATH}: registers the wallet, account 0"
                ))?;
                let body = onboarding.register_body(&stark, self.time()?, None);
                self.rest.register(&body.map_err(unsigned)?)?;
            }
            index => {
                self.signed(&format!("POST {SUB_ACCOUNT_PATH}: adds account {index}"))?;
                let description = format!("parallax {index}");
                let body = onboarding.sub_account_body(&stark, self.time()?, &description);
                let headers = self.headers(SUB_ACCOUNT_PATH)?;
                self.rest
                    .add_account(&body.map_err(unsigned)?, headers.vouch())?;
            }
        }
        Ok(())
    }

    /// Makes an API key, proves it, and stores both it and the vault.
    fn activate(&mut self, name: &str, account: &AccountInfo) -> Result<Said, KeysError> {
        self.signed(&format!(
            "POST {API_KEY_PATH}, account {}",
            account.account_id
        ))?;
        let headers = self.headers(API_KEY_PATH)?;
        let made = self
            .rest
            .make_api_key(headers.vouch(), account.account_id, "parallax")?;
        let made = api_key(&made);
        let made = made.map_err(|fault| KeysError::Key("the venue's API key", fault))?;
        self.prove(&made, account)?;
        let entry = self.store.entry_mut(name).ok_or_else(|| missing(name))?;
        if let What::Extended { vault, api_key, .. } = &mut entry.what {
            *vault = Some(account.vault);
            *api_key = Some(made);
        }
        if entry.state == State::Pending {
            entry.name = name_of(&entry.what);
        }
        entry.state = State::Active;
        let (told, json) = (line(entry), shown(entry));
        let public = entry.what.public().to_owned();
        self.store.save()?;
        self.log
            .write("Extended account proven and active", &public, "")?;
        Ok(Said {
            text: format!(
                "active {told}public {public}\nset EXTENDED_VAULT={}\n",
                account.vault
            ),
            json,
        })
    }

    fn prove(&self, made: &Secret, account: &AccountInfo) -> Result<(), KeysError> {
        let accounts = &self.room.settings.accounts;
        let base = accounts.extended.base.as_str();
        let rest = ExtendedRest::new(base, made.expose(), accounts.extra_root_pem.as_deref())?;
        let seen = rest.account_info()?;
        if (seen.account_id, seen.vault) == (account.account_id, account.vault) {
            return Ok(());
        }
        Err(KeysError::Venue(
            "Extended's new API key is of another account than the one it was made for".into(),
        ))
    }

    fn onboarding<'a>(&'a self, host: &'a str) -> Onboarding<'a> {
        Onboarding {
            key: &self.key,
            chain: self.chain,
            host,
            account_index: self.index,
        }
    }

    fn stark(&self, private: &SecretBytes<32>) -> Result<StarkKey, KeysError> {
        let key = StarkKey::from_bytes(private.expose());
        key.map_err(|error| KeysError::Usage(format!("the Stark key is refused: {error}")))
    }

    fn time(&self) -> Result<MessageTime, KeysError> {
        let time = MessageTime::from_unix_s(self.room.now_s());
        time.map_err(|error| KeysError::Usage(error.to_string()))
    }

    fn headers(&self, path: &str) -> Result<L1Headers, KeysError> {
        Ok(L1Headers::sign(&self.key, path, self.time()?))
    }
}

impl From<RestError> for KeysError {
    fn from(error: RestError) -> KeysError {
        KeysError::Venue(format!(
            "{error}\n    fix: nothing is lost; the same command goes on from here"
        ))
    }
}
