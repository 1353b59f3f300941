//! `keys bootstrap lighter` and the rotation of a Lighter key.
//!
//! The order of things: a key is made and stored as pending; the change is signed by the new key
//! and by the owner's Ethereum key, and sent; the venue is asked until it reports the key; a token
//! signed by it reads what only the account may read; then the key is active. Whatever ends this in
//! between, the same command finds the pending key, asks the venue how far it came, and goes on.
//! Promises: nothing is sent before the key is on disk; a slot that holds another key is never
//! written, unless it is to be retired; what the Ethereum key signs is told first and logged.
//! Refuses: slots 0 to 3 (the venue's own front ends), an owner that is not the account's.
//!
//! Sources: *rest*, *signer* in `venue/lighter`'s Sources.

use super::ceremony::{Address, EthereumKey, personal_digest, recover};
use super::command::{add, lighter_public, missing, name_of, no_account};
use super::entry::{Entry, State, What};
use super::keystore::Keystore;
use super::log::Log;
use super::room::{KeysError, Room, Said, line, shown};
use super::{Secret, SecretBytes};
use crate::venue::lighter::account::{KeyRow, LighterRest, RestError, Sender};
use crate::venue::lighter::sign::PrivateKey;
use crate::venue::lighter::sign::ethereum::EthereumSignature;
use crate::venue::lighter::sign::transaction::Transaction;
use serde_json::json;
use std::time::Duration;

/// What to make known.
#[derive(Clone, Debug)]
pub struct Bootstrap {
    /// The account; `None`: of the settings.
    pub account: Option<u64>,
    /// The slot; `None`: the first that is free.
    pub slot: Option<u8>,
    /// Who signs for the owner.
    pub owner: Owner,
}

/// Who signs for the account's owner.
#[derive(Clone, Debug)]
pub enum Owner {
    /// An Ethereum key of the keystore (by its name, or the only one) or of the settings.
    Key(Option<String>),
    /// Somebody else: print the message.
    Elsewhere,
    /// Somebody else, who has: `0x` and 130 digits.
    Signed(String),
}

/// Makes an API key and has the venue know it.
pub fn bootstrap(room: &Room, what: &Bootstrap) -> Result<Said, KeysError> {
    let account = what.account.or(room.settings.lighter_account);
    let mut work = Work::begin(room, account.ok_or_else(no_account)?)?;
    let name = work.pending(what.slot)?;
    match &what.owner {
        Owner::Elsewhere => return work.message(&name),
        owner => work.register(&name, owner)?,
    }
    work.activate(&name, None)
}

/// Replaces a key: the new one is active before the old slot is overwritten.
pub fn rotate(
    room: &Room,
    store: Keystore,
    old: &str,
    wallet: Option<&str>,
) -> Result<Said, KeysError> {
    let found = store.entry(old).ok_or_else(|| missing(old))?;
    let What::Lighter { account, slot, .. } = found.what else {
        return Err(KeysError::Usage(format!("{old} is no Lighter key")));
    };
    let is_retired = found.state == State::Retired;
    let mut work = Work::with(room, account, store)?;
    let owner = Owner::Key(wallet.map(str::to_owned));
    // A first run may have come as far as the retirement; the new key is there then.
    let said = match is_retired {
        true => None,
        false => {
            let name = work.pending(None)?;
            work.register(&name, &owner)?;
            Some(work.activate(&name, Some(old))?)
        }
    };
    work.retire(old, slot, &owner)?;
    let text = said.as_ref().map_or("", |said| said.text.as_str());
    Ok(Said {
        text: format!("{text}{old} is retired: its slot {slot} has a key that nobody knows\n"),
        json: json!({"retired": old, "new": said.map(|said| said.json)}),
    })
}

/// One account, its keystore and its venue.
struct Work<'a> {
    room: &'a Room,
    log: Log,
    store: Keystore,
    rest: LighterRest,
    account: u64,
    chain_id: u32,
}

impl Work<'_> {
    fn begin(room: &Room, account: u64) -> Result<Work<'_>, KeysError> {
        Work::with(room, account, room.open_to_change()?)
    }

    fn with(room: &Room, account: u64, store: Keystore) -> Result<Work<'_>, KeysError> {
        let accounts = &room.settings.accounts;
        let pem = accounts.extra_root_pem.as_deref();
        Ok(Work {
            room,
            log: room.log(),
            store,
            rest: LighterRest::new(accounts.lighter.base.as_str(), pem)?,
            account,
            chain_id: accounts.lighter.chain_id,
        })
    }

    /// The pending key of this account: the one that an earlier run left, or a new one, on disk
    /// before anything else is done. Its slot is free at the venue, or has this very key.
    fn pending(&mut self, wanted: Option<u8>) -> Result<String, KeysError> {
        let rows = self.rest.keys(self.account)?;
        let left = self.store.entries.iter().position(|entry| {
            let is_here = matches!(entry.what, What::Lighter { chain_id, account, .. }
                if (chain_id, account) == (self.chain_id, self.account));
            is_here && entry.state == State::Pending
        });
        let Some(at) = left else {
            let slot = self.free(&rows, wanted)?;
            return self.make(slot);
        };
        let (slot, public) = of_lighter(&self.store.entries[at]);
        if wanted.is_some_and(|wanted| wanted != slot) {
            let told = line(&self.store.entries[at]);
            return Err(KeysError::Usage(format!(
                "an earlier run began with slot {slot}: {told}    fix: finish it with --slot \
                 {slot}, or `parallax keys remove` it first"
            )));
        }
        let is_taken = rows
            .iter()
            .any(|row| row.slot == slot && row.public_key != public);
        if is_taken {
            // Somebody else wrote the slot since: the key goes elsewhere.
            let free = self.free(&rows, None)?;
            let entry = &mut self.store.entries[at];
            if let What::Lighter { slot, .. } = &mut entry.what {
                *slot = free;
            }
            entry.name = name_of(&entry.what);
            self.store.save()?;
        }
        Ok(self.store.entries[at].name.clone())
    }

    /// The slot asked for, or the first that neither the venue nor the keystore knows a key of.
    fn free(&self, rows: &[KeyRow], wanted: Option<u8>) -> Result<u8, KeysError> {
        let is_kept = |slot: u8| {
            let mut entries = self.store.entries.iter();
            entries.any(|entry| {
                matches!(entry.what, What::Lighter { chain_id, account, slot: kept, .. }
                    if (chain_id, account, kept) == (self.chain_id, self.account, slot))
            })
        };
        let is_free = |slot: &u8| !rows.iter().any(|row| row.slot == *slot) && !is_kept(*slot);
        let mut slots = match wanted {
            Some(slot) => slot..=slot,
            None => SLOTS,
        };
        slots.find(is_free).ok_or_else(|| {
            KeysError::Usage(match wanted {
                Some(slot) => format!(
                    "slot {slot} of Lighter account {} holds a key already, and is left as it \
                     is\n    fix: leave --slot out for a free one, or `parallax keys rotate` \
                     that key",
                    self.account
                ),
                None => format!(
                    "Lighter account {} has a key in every slot from 4 to 254\n    fix: `parallax \
                     keys rotate` one of them",
                    self.account
                ),
            })
        })
    }

    fn make(&mut self, slot: u8) -> Result<String, KeysError> {
        let private = random_key()?;
        let what = What::Lighter {
            chain_id: self.chain_id,
            account: self.account,
            slot,
            public_key: lighter_public(&private)?,
        };
        let name = name_of(&what);
        let public = what.public().to_owned();
        let entry = Entry {
            name: name.clone(),
            state: State::Pending,
            made_s: self.room.now_s(),
            what,
            private,
        };
        add(&mut self.store, entry)?;
        self.store.save()?;
        self.log.write("Lighter key made", &public, "")?;
        Ok(name)
    }

    fn entry(&self, name: &str) -> &Entry {
        let entry = self.store.entry(name);
        entry.expect("the name was found in this keystore, and nothing was removed since")
    }

    /// Prints what the owner's wallet must sign.
    fn message(&self, name: &str) -> Result<Said, KeysError> {
        let (slot, public) = of_lighter(self.entry(name));
        let sender = self.sender(slot, &self.entry(name).private)?;
        let owner = self.rest.owner(self.account)?;
        let change = self.rest.key_change(&sender, self.room.clock.now())?;
        let message = message_of(&change);
        Ok(Said {
            text: format!(
                "The wallet {owner} must sign this message (personal_sign, EIP-191), between the \
                 lines:\n----\n{message}\n----\nIt puts the API key {public} into slot {slot} of \
                 Lighter account {}.\nThen: parallax keys bootstrap lighter --account {} \
                 --signature 0x...\n",
                self.account, self.account
            ),
            json: json!({"owner": owner, "message": message, "slot": slot, "public": public}),
        })
    }

    /// Has the venue know a pending key, unless it does already.
    fn register(&self, name: &str, owner: &Owner) -> Result<(), KeysError> {
        let entry = self.entry(name);
        let (slot, public) = of_lighter(entry);
        if self.holds(slot, &public)? {
            return Ok(());
        }
        let sender = self.sender(slot, &entry.private)?;
        let words = format!(
            "This puts a new API key into slot {slot} of Lighter account {} ({}):\n  {public}\n\
             With \
             it parallax can trade for the account and withdraw to its owner's own address.",
            self.account, self.room.settings.accounts.lighter.base
        );
        self.change(&sender, owner, &words)?;
        self.wait(slot, &public)
    }

    /// Signs, and sends one change of a key.
    fn change(&self, sender: &Sender, owner: &Owner, words: &str) -> Result<(), KeysError> {
        let listed = self.rest.owner(self.account)?;
        let change = self.rest.key_change(sender, self.room.clock.now())?;
        let message = message_of(&change);
        let (signature, signer) = match owner {
            Owner::Key(wallet) => {
                let key = self.room.wallet(&self.store, wallet.as_deref())?;
                self.is_owner(key.address(), &listed)?;
                self.room.agree(&format!(
                    "{words}\nThe Ethereum key {} signs this message:\n----\n{message}\n----",
                    key.address()
                ))?;
                (self.sign(&key, &message)?, key.address())
            }
            Owner::Signed(text) => {
                let signature = parse_signature(text)?;
                let signer = recover(&personal_digest(&message), &signature);
                let signer = signer.ok_or_else(|| not_of(&listed))?;
                let is_owner = signer.to_string().eq_ignore_ascii_case(&listed);
                is_owner.then_some(()).ok_or_else(|| not_of(&listed))?;
                self.room.agree(words)?;
                (signature, signer)
            }
            Owner::Elsewhere => unreachable!("the message was printed, and nothing is sent"),
        };
        let public = super::ceremony::hex(&sender.public_key().1);
        let act = format!("Lighter key {public} sent to the venue");
        self.log.write(&act, &signer.to_string(), "")?;
        let signature = EthereumSignature::from_bytes(signature);
        let signature = signature.expect("v is 27 or 28, or nobody would have been recovered");
        Ok(self.rest.send_key_change(sender, change, signature)?)
    }

    /// The log's line comes before the signature.
    fn sign(&self, key: &EthereumKey, message: &str) -> Result<[u8; 65], KeysError> {
        let address = key.address().to_string();
        self.log
            .write("message signed for Lighter", &address, message)?;
        Ok(key.sign_personal(message))
    }

    fn is_owner(&self, address: Address, listed: &str) -> Result<(), KeysError> {
        if address.to_string().eq_ignore_ascii_case(listed) {
            return Ok(());
        }
        Err(KeysError::Usage(format!(
            "the Ethereum key {address} does not own Lighter account {}: {listed} does\n    fix: \
             use that wallet's key (--wallet NAME), or the right account (LIGHTER_ACCOUNT_INDEX)",
            self.account
        )))
    }

    /// Whether the venue has this key in this slot.
    fn holds(&self, slot: u8, public: &str) -> Result<bool, KeysError> {
        let rows = self.rest.keys(self.account)?;
        Ok(rows
            .iter()
            .any(|row| row.slot == slot && row.public_key == public))
    }

    /// Until the venue reports the key. It asks seldom: the question is dear (150 of a minute's
    /// weight).
    fn wait(&self, slot: u8, public: &str) -> Result<(), KeysError> {
        for wait_s in WAITS_S {
            if self.holds(slot, public)? {
                return Ok(());
            }
            std::thread::sleep(Duration::from_secs(wait_s));
        }
        Err(KeysError::Venue(format!(
            "Lighter took the change and does not report the key in slot {slot} yet\n    fix: the \
             key is kept as pending: run the same command again in a minute"
        )))
    }

    /// Proves a key at the venue and makes it active; the one it replaces is retired in the same
    /// write, so that a rotation that was interrupted never makes a third.
    fn activate(&mut self, name: &str, replaces: Option<&str>) -> Result<Said, KeysError> {
        let (slot, public) = of_lighter(self.entry(name));
        let sender = self.sender(slot, &self.entry(name).private)?;
        let token = sender.token(self.room.clock.now())?;
        self.rest.limits(self.account, &token)?;
        let entry = self.store.entry_mut(name);
        entry.expect("it was found just now").state = State::Active;
        if let Some(old) = replaces.and_then(|old| self.store.entry_mut(old)) {
            old.state = State::Retired;
        }
        self.store.save()?;
        self.log
            .write("Lighter key proven and active", &public, "")?;
        let entry = self.entry(name);
        Ok(Said {
            text: format!("active {}public {public}\n", line(entry)),
            json: shown(entry),
        })
    }

    /// Ends a retired key: its slot at the venue gets a key that nobody keeps; then it is
    /// forgotten.
    fn retire(&mut self, name: &str, slot: u8, owner: &Owner) -> Result<(), KeysError> {
        let public = self.entry(name).what.public().to_owned();
        if self.holds(slot, &public)? {
            let sender = self.sender(slot, &random_key()?)?;
            let words = format!(
                "This makes the old key in slot {slot} of Lighter account {} worthless:\n  \
                 {public}",
                self.account
            );
            self.change(&sender, owner, &words)?;
            let unknown = super::ceremony::hex(&sender.public_key().1);
            self.wait(slot, &unknown)?;
        }
        self.store.entries.retain(|entry| entry.name != name);
        self.store.save()?;
        self.log.write("Lighter key retired", &public, "")?;
        Ok(())
    }

    fn sender(&self, slot: u8, private: &Secret) -> Result<Sender, KeysError> {
        let key = PrivateKey::parse_hex(private.expose());
        let key = key.map_err(|_| {
            KeysError::Usage("the keystore holds a Lighter key that is none".into())
        })?;
        Ok(Sender::new(
            self.account,
            u64::from(self.chain_id),
            slot,
            key,
        ))
    }
}

/// A new private key. Forty random bytes with the two highest bits cleared: below the group's
/// order, which has 319 bits.
fn random_key() -> Result<Secret, KeysError> {
    let mut bytes = [0; 40];
    let none = RestError::Unsigned("the operating system gives no random numbers");
    getrandom::fill(&mut bytes).map_err(|_| none)?;
    bytes[39] &= 0x3f;
    Ok(SecretBytes::take(&mut bytes).to_hex())
}

/// Slot and public key of a Lighter entry.
fn of_lighter(entry: &Entry) -> (u8, String) {
    match &entry.what {
        What::Lighter {
            slot, public_key, ..
        } => (*slot, public_key.clone()),
        _ => unreachable!("only Lighter keys are worked on here"),
    }
}

fn message_of(change: &Transaction) -> String {
    let message = change.ethereum_message();
    let message = message.expect("a change of a key has one");
    String::from_utf8_lossy(message.text()).into_owned()
}

fn parse_signature(text: &str) -> Result<[u8; 65], KeysError> {
    let signature = EthereumSignature::parse_hex(text.trim()).ok_or_else(|| {
        KeysError::Usage(
            "--signature is no signature: it is 0x and 130 hexadecimal digits, the last two 1b or \
             1c"
            .into(),
        )
    })?;
    Ok(*signature.bytes())
}

fn not_of(owner: &str) -> KeysError {
    KeysError::Usage(format!(
        "--signature is not {owner}'s signature of this message\n    fix: run with --offline, sign \
         the message as it is printed now (its nonce may have changed) with the wallet {owner}"
    ))
}

impl From<RestError> for KeysError {
    fn from(error: RestError) -> KeysError {
        KeysError::Venue(format!(
            "{error}\n    fix: nothing is lost; the same command goes on from here"
        ))
    }
}

/// Slots that are the user's; 0 to 3 are the venue's own front ends'.
const SLOTS: std::ops::RangeInclusive<u8> = 4..=254;
/// Pauses between two questions, seconds; about a minute in all.
const WAITS_S: [u64; 8] = [1, 1, 2, 4, 8, 16, 16, 16];
