//! The keystore's own commands: init, import, list, export-public, rotate (the passphrase), remove.
//!
//! Promises: what is done stands in the file before it is told; a secret is typed unseen or read
//! from an open file, never taken from an argument. Refuses: showing a private key, to anybody.

use super::bootstrap;
use super::ceremony::{EthereumKey, hex};
use super::entry::{Entry, State, What, is_name};
use super::keystore::{Cost, Keystore};
use super::onboard;
use super::passphrase::{Unlock, new_passphrase, secrets};
use super::room::{KeysError, Room, Said, line, shown};
use super::{Secret, api_key, lighter_key, stark_key};
use crate::venue::extended::sign::StarkKey;
use crate::venue::lighter::sign::PrivateKey;
use serde_json::{Value, json};

/// What to import. Numbers that are not given are taken from the settings.
#[derive(Clone, Debug)]
pub enum Import {
    /// A wallet's key.
    Ethereum,
    /// Stark key and API key of an account.
    Extended {
        /// Position id.
        vault: Option<u32>,
    },
    /// An API key.
    Lighter {
        /// The account.
        account: Option<u64>,
        /// The key's slot.
        slot: u8,
    },
}

/// Makes an empty keystore.
pub fn init(room: &Room, memory_mib: u32) -> Result<Said, KeysError> {
    let cost = Cost {
        memory_kib: memory_mib * 1024,
        ..Cost::STANDARD
    };
    // Before anybody thinks of a passphrase.
    if std::fs::symlink_metadata(&room.path).is_ok() {
        let path = room.path.clone();
        return Err(super::keystore::KeystoreError::Exists(path).into());
    }
    let store = Keystore::create(&room.path, &new_passphrase(&room.unlock)?, cost)?;
    room.log().write("keystore made", "", "")?;
    let path = store.path().display();
    Ok(Said {
        text: format!(
            "made {path}\nset KEYSTORE={path} in .env; without the passphrase nobody opens it, you \
             included: keep it\n"
        ),
        json: json!({"keystore": path.to_string()}),
    })
}

/// Takes a key into the keystore.
pub fn import(
    room: &Room,
    what: &Import,
    name: Option<&str>,
    secret_fd: Option<u32>,
) -> Result<Said, KeysError> {
    let mut store = room.open_to_change()?;
    let (what, private) = match what {
        Import::Ethereum => ethereum(secret_fd)?,
        Import::Extended { vault } => extended(room, *vault, secret_fd)?,
        Import::Lighter { account, slot } => lighter(room, *account, *slot, secret_fd)?,
    };
    let entry = Entry {
        name: name.map_or_else(|| name_of(&what), str::to_owned),
        state: State::Active,
        made_s: room.now_s(),
        what,
        private,
    };
    let (told, json) = (line(&entry), shown(&entry));
    let public = entry.what.public().to_owned();
    add(&mut store, entry)?;
    store.save()?;
    room.log().write("key imported", &public, "")?;
    Ok(Said {
        text: format!("imported {told}public {public}\n"),
        json,
    })
}

/// What is kept.
pub fn list(room: &Room) -> Result<Said, KeysError> {
    let store = room.open()?;
    let cost = store.cost();
    let mut text: String = store.entries.iter().map(line).collect();
    if store.entries.is_empty() {
        text = "the keystore is empty\n".to_owned();
    }
    Ok(Said {
        text,
        json: json!({
            "keys": store.entries.iter().map(shown).collect::<Vec<Value>>(),
            "kdf": {"memory_kib": cost.memory_kib, "passes": cost.passes, "lanes": cost.lanes},
        }),
    })
}

/// Public keys and addresses, of one key or of all.
pub fn export_public(room: &Room, name: Option<&str>) -> Result<Said, KeysError> {
    let store = room.open()?;
    let mut found = Vec::new();
    for entry in &store.entries {
        if name.is_none_or(|name| name == entry.name) {
            found.push(entry);
        }
    }
    if let (Some(name), true) = (name, found.is_empty()) {
        return Err(missing(name));
    }
    let lines = found.iter();
    let lines = lines.map(|entry| format!("{} {}\n", entry.name, entry.what.public()));
    Ok(Said {
        text: lines.collect(),
        json: found.iter().map(|entry| shown(entry)).collect(),
    })
}

/// Another passphrase.
pub fn rotate_passphrase(room: &Room, new: &Unlock) -> Result<Said, KeysError> {
    let mut store = room.open_to_change()?;
    store.change_passphrase(&new_passphrase(new)?)?;
    store.save()?;
    room.log().write("passphrase changed", "", "")?;
    Ok(Said {
        text: "the passphrase is changed; copies of the old file still open with the old one\n"
            .to_owned(),
        json: json!({"changed": true}),
    })
}

/// Another key in the place of this one, by its kind.
pub fn rotate_key(room: &Room, name: &str, wallet: Option<&str>) -> Result<Said, KeysError> {
    let store = room.open_to_change()?;
    let entry = store.entry(name).ok_or_else(|| missing(name))?;
    match entry.what {
        What::Lighter { .. } => bootstrap::rotate(room, store, name, wallet),
        What::Extended { .. } => onboard::rotate(room, store, name, wallet),
        What::Ethereum { .. } => Err(KeysError::Usage(format!(
            "{name} is an Ethereum key: its address is the account, and can't be replaced here"
        ))),
    }
}

/// Forgets a key. At its venue it goes on to be good.
pub fn remove(room: &Room, name: &str) -> Result<Said, KeysError> {
    let mut store = room.open_to_change()?;
    let at = store.entries.iter().position(|entry| entry.name == name);
    let at = at.ok_or_else(|| missing(name))?;
    let told = line(&store.entries[at]);
    room.agree(&format!(
        "This forgets {told}for good: nobody can bring it back. Where it is known (at its venue, \
         on the chain) it stays valid."
    ))?;
    let entry = store.entries.remove(at);
    store.save()?;
    room.log().write("key removed", entry.what.public(), "")?;
    Ok(Said {
        text: format!("removed {told}"),
        json: shown(&entry),
    })
}

/// Adds an entry whose name and key are new.
pub(super) fn add(store: &mut Keystore, entry: Entry) -> Result<(), KeysError> {
    if !is_name(&entry.name) {
        let name = &entry.name;
        return Err(KeysError::Usage(format!(
            "{name:?} is no name for a key\n    fix: use small letters, digits and dashes"
        )));
    }
    let twin = store
        .entries
        .iter()
        .find(|other| other.name == entry.name || other.what.public() == entry.what.public());
    if let Some(twin) = twin {
        let what = if twin.name == entry.name {
            "name"
        } else {
            "key"
        };
        return Err(KeysError::Usage(format!(
            "the keystore has this {what} already: {}    fix: remove that one first, or use \
             another --name",
            line(twin)
        )));
    }
    store.entries.push(entry);
    Ok(())
}

/// A name that says whose it is.
pub(super) fn name_of(what: &What) -> String {
    match what {
        What::Ethereum { address } => {
            let digits = address.trim_start_matches("0x").to_ascii_lowercase();
            format!("ethereum-{}", digits.get(..8).unwrap_or(&digits))
        }
        What::Extended {
            vault: Some(vault), ..
        } => format!("extended-{vault}"),
        What::Extended { public_key, .. } => {
            let digits = public_key.trim_start_matches("0x");
            format!("extended-new-{}", digits.get(..8).unwrap_or(digits))
        }
        What::Lighter { account, slot, .. } => format!("lighter-{account}-{slot}"),
    }
}

pub(super) fn missing(name: &str) -> KeysError {
    KeysError::Usage(format!(
        "the keystore has no key {name:?}\n    fix: `parallax keys list` shows what it has"
    ))
}

fn ethereum(fd: Option<u32>) -> Result<(What, Secret), KeysError> {
    let text = secrets(fd, &["Ethereum private key (hex): "])?.remove(0);
    let key = EthereumKey::parse_hex(text.expose().trim());
    let key = key.map_err(|fault| KeysError::Key("the Ethereum key", fault))?;
    let address = key.address().to_string();
    Ok((What::Ethereum { address }, key.to_hex()))
}

fn extended(room: &Room, vault: Option<u32>, fd: Option<u32>) -> Result<(What, Secret), KeysError> {
    let vault = vault.or(room.settings.vault).ok_or_else(|| {
        KeysError::Usage("no vault is named\n    fix: use --vault N, or set EXTENDED_VAULT".into())
    })?;
    let questions = ["Stark private key (hex): ", "API key: "];
    let [private, api] = secrets(fd, &questions)?
        .try_into()
        .expect("as many as were asked for");
    let private = stark_key(private.expose().trim());
    let private = private.map_err(|fault| KeysError::Key("the Stark key", fault))?;
    let api = api_key(api.expose().trim());
    let api = api.map_err(|fault| KeysError::Key("the API key", fault))?;
    let what = What::Extended {
        chain: room.settings.accounts.extended.chain.name().to_owned(),
        index: 0,
        vault: Some(vault),
        public_key: stark_public(&private)?,
        api_key: Some(api),
    };
    Ok((what, private.to_hex()))
}

/// `0x` and digits, as the venue writes it.
pub(super) fn stark_public(private: &super::SecretBytes<32>) -> Result<String, KeysError> {
    let key = StarkKey::from_bytes(private.expose());
    let key =
        key.map_err(|error| KeysError::Usage(format!("the Stark key is refused: {error}")))?;
    Ok(format!("{:#x}", key.public_key()))
}

fn lighter(
    room: &Room,
    account: Option<u64>,
    slot: u8,
    fd: Option<u32>,
) -> Result<(What, Secret), KeysError> {
    let account = account
        .or(room.settings.lighter_account)
        .ok_or_else(no_account)?;
    let text = secrets(fd, &["Lighter API private key (hex): "])?.remove(0);
    let private = lighter_key(text.expose().trim());
    let private = private
        .map_err(|fault| KeysError::Key("the Lighter key", fault))?
        .to_hex();
    let what = What::Lighter {
        chain_id: room.settings.accounts.lighter.chain_id,
        account,
        slot,
        public_key: lighter_public(&private)?,
    };
    Ok((what, private))
}

pub(super) fn no_account() -> KeysError {
    KeysError::Usage(
        "no Lighter account is named\n    fix: use --account N, or set LIGHTER_ACCOUNT_INDEX"
            .into(),
    )
}

/// 80 digits, as the venue writes it.
pub(super) fn lighter_public(private: &Secret) -> Result<String, KeysError> {
    let key = PrivateKey::parse_hex(private.expose());
    let key =
        key.map_err(|error| KeysError::Usage(format!("the Lighter key is refused: {error:?}")))?;
    Ok(hex(&key.public_key()))
}
