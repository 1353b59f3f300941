//! Keys from the keystore into the settings they stand for.
//!
//! Promises: with a KEYSTORE no key is taken from anywhere else; the accounts are named in the
//! settings (EXTENDED_VAULT, LIGHTER_ACCOUNT_INDEX), so that a keystore with several never decides
//! which one is traded. Refuses: keys that are pending or retired.

use crate::config::fault::Fault;
use crate::config::names;
use crate::config::raw::Raw;
use crate::keys::Secret;
use crate::keys::entry::{Entry, State, What};
use crate::keys::keystore::Keystore;
use crate::keys::passphrase::Unlock;
use std::path::Path;

/// Settings that a keystore takes the place of.
const KEPT: [&str; 3] = [
    "EXTENDED_API_KEY",
    "EXTENDED_PRIVATE_KEY",
    "LIGHTER_API_KEYS",
];

impl Raw {
    /// Notes that there is a keystore, and that nobody has opened it.
    pub fn note_keystore(&mut self) {
        self.is_locked = self.value("KEYSTORE").is_some();
        if !self.is_locked {
            return;
        }
        for name in KEPT {
            if self.value(name).is_some() {
                let wrong = "is set beside KEYSTORE, and only one can hold the key";
                let fix = "remove it (`parallax keys import` takes it into the keystore first)";
                self.faults.push(Fault::new(name, wrong, fix));
            }
        }
    }

    /// Opens the keystore, if one is set, and takes from it the keys of the accounts that are set.
    pub fn open_keystore(&mut self, unlock: &Unlock) {
        let Some(path) = self.value("KEYSTORE").map(str::to_owned) else {
            return;
        };
        let question = format!("Passphrase of {path}: ");
        let opened = unlock
            .passphrase(&question)
            .map_err(|error| error.to_string())
            .and_then(|passphrase| {
                let opened = Keystore::open(Path::new(&path), &passphrase);
                opened.map_err(|error| error.to_string())
            });
        match opened {
            Ok(store) => {
                self.is_locked = false;
                self.take_extended(&store);
                self.take_lighter(&store);
                if self.wants_wallet || self.text_of("AUTO_REBALANCE") == "true" {
                    self.take_wallet(&store);
                }
            }
            Err(text) => {
                let (wrong, fix) = text
                    .split_once("\n    fix: ")
                    .unwrap_or((&text, "see above"));
                self.faults.push(Fault::new(
                    "KEYSTORE",
                    &format!("can't be used: {wrong}"),
                    fix,
                ));
            }
        }
    }

    fn take_extended(&mut self, store: &Keystore) {
        let chain = self.text_of("EXTENDED_CHAIN_ID");
        let mut known = Vec::new();
        let wanted = self.text_of("EXTENDED_VAULT");
        let mut found = None;
        for entry in active(store) {
            let What::Extended {
                chain: of,
                vault: Some(vault),
                api_key: Some(api_key),
                ..
            } = &entry.what
            else {
                continue;
            };
            if *of != chain {
                continue;
            }
            known.push(vault.to_string());
            if vault.to_string() == wanted {
                found = Some((api_key, &entry.private));
            }
        }
        match found {
            Some((api_key, private)) => {
                self.put("EXTENDED_API_KEY", api_key.expose().to_owned());
                self.put("EXTENDED_PRIVATE_KEY", private.expose().to_owned());
            }
            None => self.miss("EXTENDED_VAULT", &format!("vault on {chain}"), &known),
        }
    }

    fn take_lighter(&mut self, store: &Keystore) {
        let chain = self.text_of("LIGHTER_CHAIN_ID");
        let wanted = self.text_of("LIGHTER_ACCOUNT_INDEX");
        let mut known: Vec<String> = Vec::new();
        // Long enough for every slot, so that no copy is left behind by growing.
        let mut list = String::with_capacity(256 * 86);
        for entry in active(store) {
            let What::Lighter {
                chain_id,
                account,
                slot,
                ..
            } = &entry.what
            else {
                continue;
            };
            if chain_id.to_string() != chain {
                continue;
            }
            let account = account.to_string();
            if account == wanted {
                let comma = if list.is_empty() { "" } else { "," };
                let slot = slot.to_string();
                list.extend([comma, &slot, ":", entry.private.expose()]);
            }
            if !known.contains(&account) {
                known.push(account);
            }
        }
        match list.is_empty() {
            false => self.put("LIGHTER_API_KEYS", list),
            true => {
                drop(Secret::beside(list));
                self.miss(
                    "LIGHTER_ACCOUNT_INDEX",
                    &format!("account on chain {chain}"),
                    &known,
                );
            }
        }
    }

    /// The only Ethereum key there is. Of several none is taken: which of them owns the accounts is
    /// not known here.
    fn take_wallet(&mut self, store: &Keystore) {
        let is_wallet = |entry: &&Entry| matches!(entry.what, What::Ethereum { .. });
        let mut found = active(store).filter(is_wallet);
        if let (Some(entry), None) = (found.next(), found.next()) {
            self.put("ETH_PRIVATE_KEY", entry.private.expose().to_owned());
        }
    }

    /// A setting that names no account of the keystore. Where neither knows any, the venue simply
    /// has no account.
    fn miss(&mut self, name: &str, what: &str, known: &[String]) {
        let is_set = self.value(name).is_some();
        let held = match known {
            [] => "none".to_owned(),
            known => known.join(", "),
        };
        let wrong = match (is_set, known.is_empty()) {
            (false, true) => return,
            (false, false) => format!("is missing; the keystore has {what}: {held}"),
            (true, _) => format!(
                "is {}, and the keystore has no active key of that {what} (it has {held})",
                self.text_of(name)
            ),
        };
        let fix = "set it to one that `parallax keys list` shows as active, or make a key \
                   (`parallax keys bootstrap lighter`, `parallax keys onboard extended`)";
        self.faults.push(Fault::new(name, &wrong, fix));
    }

    fn text_of(&self, name: &str) -> String {
        let default = names::find(name).map_or("", |key| key.default);
        self.value(name).map_or(default, str::trim).to_owned()
    }
}

fn active(store: &Keystore) -> impl Iterator<Item = &Entry> {
    store
        .entries
        .iter()
        .filter(|entry| entry.state == State::Active)
}
