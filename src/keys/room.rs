//! What every command on keys works with, and what may go wrong in it.

use super::ceremony::EthereumKey;
use super::entry::{Entry, State, What};
use super::keystore::{Keystore, KeystoreError};
use super::log::{Log, LogError};
use super::passphrase::{self, PassphraseError, Unlock};
use super::{KeyFault, Secret};
use crate::config::Ceremony;
use crate::stage::clock::Clock;
use serde_json::{Value, json};
use std::fmt;
use std::path::PathBuf;

/// A command's surroundings.
#[derive(Debug)]
pub struct Room {
    /// Settings.
    pub settings: Ceremony,
    /// The keystore.
    pub path: PathBuf,
    /// Where its passphrase comes from.
    pub unlock: Unlock,
    /// `--yes`: nobody is asked before something is signed, sent or removed.
    pub is_agreed: bool,
    /// The time.
    pub clock: Clock,
}

/// What a command has to say.
#[derive(Debug)]
pub struct Said {
    /// For a person, lines with their ends.
    pub text: String,
    /// For a program.
    pub json: Value,
}

/// Why a command on keys ended, whose fault it is and what to do.
#[derive(Debug)]
pub enum KeysError {
    /// The user's: an argument or a setting.
    Usage(String),
    /// The user's: a key that is none. Its place, and what is wrong with it.
    Key(&'static str, KeyFault),
    /// The keystore.
    Keystore(KeystoreError),
    /// Passphrase or secret input.
    Passphrase(PassphraseError),
    /// The log.
    Log(LogError),
    /// The user did not agree.
    NotAgreed,
    /// A venue's, or the way to it; what was made is kept and the same command finishes it.
    Venue(String),
}

impl KeysError {
    /// Whether arguments or settings are to blame.
    pub fn is_setting(&self) -> bool {
        matches!(self, KeysError::Usage(_) | KeysError::Key(..))
    }
}

impl fmt::Display for KeysError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            KeysError::Usage(text) | KeysError::Venue(text) => f.write_str(text),
            KeysError::Key(place, fault) => write!(
                f,
                "{place} {fault}\n    fix: copy it again, whole and without quotes"
            ),
            KeysError::Keystore(error) => write!(f, "{error}"),
            KeysError::Passphrase(error) => write!(f, "{error}"),
            KeysError::Log(error) => write!(f, "{error}"),
            KeysError::NotAgreed => f.write_str("not agreed: nothing was signed, sent or removed"),
        }
    }
}

impl std::error::Error for KeysError {}

impl From<KeystoreError> for KeysError {
    fn from(error: KeystoreError) -> KeysError {
        KeysError::Keystore(error)
    }
}

impl From<PassphraseError> for KeysError {
    fn from(error: PassphraseError) -> KeysError {
        KeysError::Passphrase(error)
    }
}

impl From<LogError> for KeysError {
    fn from(error: LogError) -> KeysError {
        KeysError::Log(error)
    }
}

impl Room {
    /// In these surroundings; the keystore is the one named, or the one set.
    pub fn new(
        settings: Ceremony,
        named: Option<PathBuf>,
        unlock: Unlock,
        is_agreed: bool,
    ) -> Result<Room, KeysError> {
        let path = named.or_else(|| settings.keystore.clone()).ok_or_else(|| {
            KeysError::Usage(
                "no keystore is named\n    fix: set KEYSTORE in .env, or use --keystore FILE"
                    .into(),
            )
        })?;
        Ok(Room {
            settings,
            path,
            unlock,
            is_agreed,
            clock: Clock::new(),
        })
    }

    /// The keystore, to be read.
    pub fn open(&self) -> Result<Keystore, KeysError> {
        Ok(Keystore::open(&self.path, &self.passphrase()?)?)
    }

    /// The keystore, to be changed.
    pub fn open_to_change(&self) -> Result<Keystore, KeysError> {
        Ok(Keystore::open_to_change(&self.path, &self.passphrase()?)?)
    }

    fn passphrase(&self) -> Result<Secret, PassphraseError> {
        let question = format!("Passphrase of {}: ", self.path.display());
        self.unlock.passphrase(&question)
    }

    /// The log beside it.
    pub fn log(&self) -> Log {
        Log::of(&self.path, self.clock)
    }

    /// Seconds since 1970.
    pub fn now_s(&self) -> u64 {
        self.clock.now().epoch_ms() / 1000
    }

    /// Goes on when `--yes` was given or a person agrees; what is agreed to was said before.
    pub fn agree(&self, said: &str) -> Result<(), KeysError> {
        if self.is_agreed {
            return Ok(());
        }
        match passphrase::confirm(&format!("{said}\nGo on?")) {
            Ok(true) => Ok(()),
            Ok(false) => Err(KeysError::NotAgreed),
            Err(PassphraseError::NoTerminal) => Err(KeysError::Usage(format!(
                "{said}\nnobody is there to agree: standard input is no terminal\n    fix: read \
                 the above, then use --yes"
            ))),
            Err(error) => Err(error.into()),
        }
    }

    /// The wallet's key: the one of this name in the keystore, the only one there, or the one set.
    pub fn wallet(&self, store: &Keystore, name: Option<&str>) -> Result<EthereumKey, KeysError> {
        let is_wallet = |entry: &&Entry| {
            matches!(entry.what, What::Ethereum { .. })
                && name.is_none_or(|name| name == entry.name)
        };
        let mut found = store.entries.iter().filter(is_wallet);
        let private = match (found.next(), found.next(), &self.settings.wallet) {
            (Some(entry), None, _) => &entry.private,
            (None, _, Some(set)) if name.is_none() => set,
            (Some(_), Some(_), _) => {
                return Err(KeysError::Usage(
                    "the keystore has several Ethereum keys\n    fix: name one with --wallet NAME"
                        .into(),
                ));
            }
            _ => {
                return Err(KeysError::Usage(
                    "there is no Ethereum key\n    fix: `parallax keys import ethereum`, or sign \
                     elsewhere (--offline)"
                        .into(),
                ));
            }
        };
        let key = EthereumKey::parse_hex(private.expose());
        key.map_err(|fault| KeysError::Key("the Ethereum key", fault))
    }
}

/// An entry as programs read it; nothing of it is secret.
pub fn shown(entry: &Entry) -> Value {
    let mut row = json!({
        "name": entry.name,
        "state": entry.state.name(),
        "made_s": entry.made_s,
        "public": entry.what.public(),
    });
    let more = match &entry.what {
        What::Ethereum { .. } => json!({"kind": "ethereum"}),
        What::Extended {
            chain,
            index,
            vault,
            api_key,
            ..
        } => json!({
            "kind": "extended", "chain": chain, "account_index": index, "vault": vault,
            "has_api_key": api_key.is_some(),
        }),
        What::Lighter {
            chain_id,
            account,
            slot,
            ..
        } => json!({"kind": "lighter", "chain_id": chain_id, "account": account, "slot": slot}),
    };
    if let (Value::Object(row), Value::Object(more)) = (&mut row, more) {
        row.extend(more);
    }
    row
}

/// One line about an entry.
pub fn line(entry: &Entry) -> String {
    let state = match entry.state {
        State::Active => String::new(),
        other => format!(" ({})", other.name()),
    };
    format!("{}: {}{state}\n", entry.name, entry.what)
}
