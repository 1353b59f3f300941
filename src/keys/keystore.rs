//! The keystore: one encrypted file that holds the keys.
//!
//! Promises: without the passphrase nothing of it is known but its size and the cost of a try; a
//! file that was cut, damaged or altered is refused, and which of it, is said; the old file or the
//! new one is there after a crash, never half of either; however often a passphrase was wrong, the
//! next one is tried all the same. A write has a fresh nonce.
//! Refuses: a file that others can read; costs below [`Cost::LEAST`]; to see that somebody put back
//! an older copy of the whole file.
//!
//! Sources: RFC 9106 (Argon2id, and its recommendation for little memory), the OWASP password
//! storage cheat sheet of 2023 (the least cost), draft-irtf-cfrg-xchacha-03 (XChaCha20-Poly1305).

use super::entry::{self, Entry};
use super::{Secret, SecretBytes};
use argon2::{Algorithm, Argon2, Block, Params, Version};
use chacha20poly1305::aead::{AeadInPlace, KeyInit};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use sha2::{Digest, Sha256};
use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use zeroize::{Zeroize, Zeroizing};

// The file, all numbers little-endian:
//
//   16  magic: "parallax-keys", a line feed, version, suite
//   12  cost of the key derivation: KiB of memory, passes, lanes
//   32  salt
//   24  nonce
//    4  length of the body
//    n  body: the entries as text, XChaCha20-Poly1305, its tag at the end
//   32  SHA-256 of all before
//
// All that stands before the body is authenticated with it. The checksum has no secret in it: it
// tells a disk that lost bytes from a passphrase that is wrong, and nothing else. Who alters the
// file and its checksum is seen by the cipher.

/// What one try at a passphrase costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cost {
    /// Memory, KiB.
    pub memory_kib: u32,
    /// Passes over it.
    pub passes: u32,
    /// Lanes; they are worked through one after the other here.
    pub lanes: u32,
}

impl Cost {
    /// For new files: RFC 9106's second recommendation. About 0.2 s.
    pub const STANDARD: Cost = Cost {
        memory_kib: 64 * 1024,
        passes: 3,
        lanes: 4,
    };
    /// The least that is made or opened, in any build: OWASP's least for Argon2id. An alteration
    /// can't lower a cost (the key would be another), so this guards against a careless maker.
    pub const LEAST: Cost = Cost {
        memory_kib: 19 * 1024,
        passes: 2,
        lanes: 1,
    };
    /// The most that is tried: an altered header must not take the host down.
    const MOST: Cost = Cost {
        memory_kib: 4 * 1024 * 1024,
        passes: 64,
        lanes: 64,
    };

    fn is_in_bounds(self) -> bool {
        let fits = |least: u32, value: u32, most: u32| (least..=most).contains(&value);
        let (least, most) = (Cost::LEAST, Cost::MOST);
        fits(least.memory_kib, self.memory_kib, most.memory_kib)
            && fits(least.passes, self.passes, most.passes)
            && fits(least.lanes, self.lanes, most.lanes)
    }
}

/// An open keystore.
#[derive(Debug)]
pub struct Keystore {
    path: PathBuf,
    cost: Cost,
    salt: [u8; SALT_BYTES],
    key: SecretBytes<32>,
    /// What is kept.
    pub entries: Vec<Entry>,
    /// Held while it may be changed.
    turn: Option<File>,
}

impl Keystore {
    /// Makes an empty one. Whatever stands there already is left alone.
    pub fn create(path: &Path, passphrase: &Secret, cost: Cost) -> Result<Keystore, KeystoreError> {
        if !cost.is_in_bounds() {
            return Err(KeystoreError::Cost);
        }
        let turn = take_turn(path)?;
        if fs::symlink_metadata(path).is_ok() {
            return Err(KeystoreError::Exists(path.to_owned()));
        }
        let salt = random()?;
        let store = Keystore {
            path: path.to_owned(),
            cost,
            salt,
            key: derive(passphrase, &salt, cost)?,
            entries: Vec::new(),
            turn: Some(turn),
        };
        store.save()?;
        Ok(store)
    }

    /// Opens one to read it.
    pub fn open(path: &Path, passphrase: &Secret) -> Result<Keystore, KeystoreError> {
        let bytes = read(path)?;
        let header = Header::read(path, &bytes)?;
        let key = derive(passphrase, &header.salt, header.cost)?;
        let mut body = Zeroizing::new(bytes[HEADER_BYTES..bytes.len() - SUM_BYTES].to_vec());
        let nonce = XNonce::from(header.nonce);
        let opened = cipher(&key).decrypt_in_place(&nonce, &bytes[..HEADER_BYTES], &mut *body);
        opened.map_err(|_| KeystoreError::Passphrase(path.to_owned()))?;
        let text = std::str::from_utf8(&body).ok();
        let entries = text.and_then(entry::read_all);
        Ok(Keystore {
            path: path.to_owned(),
            cost: header.cost,
            salt: header.salt,
            key,
            entries: entries.ok_or_else(|| KeystoreError::Unknown(path.to_owned()))?,
            turn: None,
        })
    }

    /// Opens one to change it: nobody else may until this one is dropped.
    pub fn open_to_change(path: &Path, passphrase: &Secret) -> Result<Keystore, KeystoreError> {
        // Before anything is made beside it.
        read(path)?;
        let turn = take_turn(path)?;
        let mut store = Keystore::open(path, passphrase)?;
        store.turn = Some(turn);
        Ok(store)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What a try costs.
    pub fn cost(&self) -> Cost {
        self.cost
    }

    /// The entry of this name.
    pub fn entry(&self, name: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.name == name)
    }

    /// The entry of this name, to change it.
    pub fn entry_mut(&mut self, name: &str) -> Option<&mut Entry> {
        self.entries.iter_mut().find(|entry| entry.name == name)
    }

    /// Another passphrase, salt and key from the next [`Keystore::save`] on.
    pub fn change_passphrase(&mut self, passphrase: &Secret) -> Result<(), KeystoreError> {
        self.salt = random()?;
        self.key = derive(passphrase, &self.salt, self.cost)?;
        Ok(())
    }

    /// Replaces the file, durably. Only of a keystore that was opened to be changed.
    pub fn save(&self) -> Result<(), KeystoreError> {
        self.turn.as_ref().ok_or(KeystoreError::ReadOnly)?;
        let nonce: [u8; NONCE_BYTES] = random()?;
        let mut body = entry::write_all(&self.entries);
        let header = Header {
            cost: self.cost,
            salt: self.salt,
            nonce,
            body_len: body.len() + TAG_BYTES,
        };
        let mut bytes = header.bytes();
        let sealed = cipher(&self.key).encrypt_in_place(&XNonce::from(nonce), &bytes, &mut *body);
        sealed.map_err(|_| KeystoreError::TooLarge)?;
        bytes.extend_from_slice(&body);
        let sum = Sha256::digest(&bytes);
        bytes.extend_from_slice(&sum);
        if bytes.len() > FILE_BYTES_MAX {
            return Err(KeystoreError::TooLarge);
        }
        replace(&self.path, &bytes)
            .map_err(|error| KeystoreError::Unwritable(self.path.clone(), error))
    }
}

/// Why a keystore can't be used.
#[derive(Debug)]
pub enum KeystoreError {
    /// There is none.
    Missing(PathBuf),
    /// There is one already.
    Exists(PathBuf),
    /// Others can read or change it: its mode.
    OpenToOthers(PathBuf, u32),
    /// The system can't read it.
    Unreadable(PathBuf, io::Error),
    /// The system can't write it; the old one stands.
    Unwritable(PathBuf, io::Error),
    /// Not a keystore at all.
    NotOurs(PathBuf),
    /// Of a later version: its number.
    Version(PathBuf, u8),
    /// Bytes are missing at its end, or were added.
    Cut(PathBuf),
    /// Bytes in it have changed.
    Damaged(PathBuf),
    /// Derivation costs out of bounds.
    Cost,
    /// The passphrase is wrong, or the file was altered by somebody who took care.
    Passphrase(PathBuf),
    /// It opened, and what stands in it is of a later version.
    Unknown(PathBuf),
    /// Another process changes it at this moment.
    Busy(PathBuf),
    /// More keys than fit.
    TooLarge,
    /// Ours: it was opened to be read only.
    ReadOnly,
    /// The system gives no random numbers.
    NoRandomness,
    /// The system gives no memory for the derivation.
    NoMemory,
}

impl fmt::Display for KeystoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (path, what) = match self {
            KeystoreError::Missing(path) => (
                path,
                "does not exist\n    fix: make one with `parallax keys init`, or name yours in \
                 KEYSTORE"
                    .to_owned(),
            ),
            KeystoreError::Exists(path) => (
                path,
                "exists already and is left as it is\n    fix: use it, or name another file"
                    .to_owned(),
            ),
            KeystoreError::OpenToOthers(path, mode) => {
                let fix = format!("chmod 600 {}", path.display());
                let mode = format!("is open to others (mode {mode:03o})\n    fix: {fix}");
                (path, mode)
            }
            KeystoreError::Unreadable(path, error) => (path, format!("can't be read: {error}")),
            KeystoreError::Unwritable(path, error) => (
                path,
                format!(
                    "can't be written: {error}; what it held is still there\n    fix: make room, \
                     and give its folder to this user"
                ),
            ),
            KeystoreError::NotOurs(path) => (path, "is not a keystore of parallax".to_owned()),
            KeystoreError::Version(path, version) => (
                path,
                format!("is of version {version}, which this parallax does not know: update it"),
            ),
            KeystoreError::Cut(path) => (
                path,
                format!("was cut, or something was added to it\n    fix: {RESTORE}"),
            ),
            KeystoreError::Damaged(path) => (
                path,
                format!("was altered or is damaged\n    fix: {RESTORE}"),
            ),
            KeystoreError::Passphrase(path) => (
                path,
                "does not open: the passphrase is wrong (or somebody altered the file on purpose)\
                 \n    fix: try again; nothing locks"
                    .to_owned(),
            ),
            KeystoreError::Unknown(path) => (
                path,
                "opened and holds what this parallax does not know: update it".to_owned(),
            ),
            KeystoreError::Busy(path) => (
                path,
                "is being changed by another parallax: wait for it".to_owned(),
            ),
            KeystoreError::Cost => return f.write_str(COST),
            KeystoreError::TooLarge => return f.write_str("a keystore holds at most 1 MiB"),
            KeystoreError::ReadOnly => return f.write_str("the keystore was opened to be read"),
            KeystoreError::NoRandomness => {
                return f.write_str("the operating system gives no random numbers");
            }
            KeystoreError::NoMemory => {
                return f.write_str(
                    "there is no memory for the key derivation that the keystore asks for",
                );
            }
        };
        write!(f, "the keystore {} {what}", path.display())
    }
}

impl std::error::Error for KeystoreError {}

const RESTORE: &str = "put a copy back, or make a new one and import the keys again";
const COST: &str = "the keystore asks for a key derivation out of bounds (19 MiB and 2 passes to \
                    4 GiB and 64 passes, 1 to 64 lanes): it was altered, or made by another \
                    program";

/// All that stands before the body.
struct Header {
    cost: Cost,
    salt: [u8; SALT_BYTES],
    nonce: [u8; NONCE_BYTES],
    body_len: usize,
}

impl Header {
    fn bytes(&self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend([VERSION, SUITE]);
        for number in [self.cost.memory_kib, self.cost.passes, self.cost.lanes] {
            bytes.extend(number.to_le_bytes());
        }
        bytes.extend(self.salt);
        bytes.extend(self.nonce);
        bytes.extend((self.body_len as u32).to_le_bytes());
        bytes
    }

    /// From a whole file, whose length and checksum are judged as well. Length first: a file that
    /// was cut would fail every later question and tell less.
    fn read(path: &Path, bytes: &[u8]) -> Result<Header, KeystoreError> {
        let is_ours = bytes
            .iter()
            .zip(MAGIC)
            .all(|(found, wanted)| found == wanted);
        if !is_ours || bytes.is_empty() {
            return Err(KeystoreError::NotOurs(path.to_owned()));
        }
        let cut = || KeystoreError::Cut(path.to_owned());
        let (head, rest) = bytes.split_at_checked(HEADER_BYTES).ok_or_else(cut)?;
        let [version, suite] = [head[MAGIC.len()], head[MAGIC.len() + 1]];
        if (version, suite) != (VERSION, SUITE) {
            return Err(KeystoreError::Version(path.to_owned(), version));
        }
        let number = |at: usize| {
            let bytes = head[at..]
                .first_chunk()
                .expect("numbers lie within the header");
            u32::from_le_bytes(*bytes)
        };
        let body_len = number(LEN_AT) as usize;
        if rest.len() != body_len + SUM_BYTES || body_len < TAG_BYTES {
            return Err(cut());
        }
        let (all, sum) = bytes.split_at(bytes.len() - SUM_BYTES);
        if Sha256::digest(all)[..] != *sum {
            return Err(KeystoreError::Damaged(path.to_owned()));
        }
        let cost = Cost {
            memory_kib: number(COST_AT),
            passes: number(COST_AT + 4),
            lanes: number(COST_AT + 8),
        };
        if !cost.is_in_bounds() {
            return Err(KeystoreError::Cost);
        }
        let salt = head[SALT_AT..].first_chunk();
        let nonce = head[SALT_AT + SALT_BYTES..].first_chunk();
        Ok(Header {
            cost,
            salt: *salt.expect("the salt lies within the header"),
            nonce: *nonce.expect("the nonce lies within the header"),
            body_len,
        })
    }
}

/// The key of a passphrase. The memory it took is wiped: who finds it would have the key.
fn derive(passphrase: &Secret, salt: &[u8], cost: Cost) -> Result<SecretBytes<32>, KeystoreError> {
    let params = Params::new(cost.memory_kib, cost.passes, cost.lanes, Some(32));
    let params = params.map_err(|_| KeystoreError::Cost)?;
    let mut memory: Vec<Block> = Vec::new();
    let count = params.block_count();
    let taken = memory.try_reserve_exact(count);
    taken.map_err(|_| KeystoreError::NoMemory)?;
    memory.resize(count, Block::default());
    let argon = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let mut key = [0; 32];
    let text = passphrase.expose().as_bytes();
    let made = argon.hash_password_into_with_memory(text, salt, &mut key, &mut memory);
    memory.iter_mut().for_each(Zeroize::zeroize);
    let key = SecretBytes::take(&mut key);
    made.map(|()| key).map_err(|_| KeystoreError::Cost)
}

fn cipher(key: &SecretBytes<32>) -> XChaCha20Poly1305 {
    XChaCha20Poly1305::new(key.expose().into())
}

fn random<const N: usize>() -> Result<[u8; N], KeystoreError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|_| KeystoreError::NoRandomness)?;
    Ok(bytes)
}

/// The whole file, when it is this user's alone.
fn read(path: &Path) -> Result<Vec<u8>, KeystoreError> {
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => KeystoreError::Missing(path.to_owned()),
        _ => KeystoreError::Unreadable(path.to_owned(), error),
    };
    let file = File::open(path).map_err(failed)?;
    let about = file.metadata().map_err(failed)?;
    let mode = about.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(KeystoreError::OpenToOthers(path.to_owned(), mode));
    }
    let mut bytes = Vec::new();
    let mut bounded = file.take(FILE_BYTES_MAX as u64 + 1);
    bounded.read_to_end(&mut bytes).map_err(failed)?;
    match bytes.len() > FILE_BYTES_MAX {
        true => Err(KeystoreError::NotOurs(path.to_owned())),
        false => Ok(bytes),
    }
}

/// Beside the old file, made durable, then moved over it in one step (rename(2)); the folder's own
/// entry is made durable last.
fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let beside = beside(path, ".new");
    // What a crash left there was never a keystore.
    let _ = fs::remove_file(&beside);
    let mut options = OpenOptions::new();
    let mut file = options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&beside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&beside, path)?;
    let folder = path.parent().filter(|folder| *folder != Path::new(""));
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

/// Held while a keystore may be changed; given back when it is dropped, or with the process.
fn take_turn(path: &Path) -> Result<File, KeystoreError> {
    let failed = |error| KeystoreError::Unwritable(path.to_owned(), error);
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false).mode(0o600);
    let file = options.open(beside(path, ".lock")).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(fs::TryLockError::WouldBlock) => Err(KeystoreError::Busy(path.to_owned())),
        Err(fs::TryLockError::Error(error)) => Err(failed(error)),
    }
}

/// A file next to the keystore.
pub(super) fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}

const MAGIC: &[u8] = b"parallax-keys\n";
const VERSION: u8 = 1;
/// Argon2id and XChaCha20-Poly1305.
const SUITE: u8 = 1;
const COST_AT: usize = MAGIC.len() + 2;
const SALT_AT: usize = COST_AT + 12;
const SALT_BYTES: usize = 32;
const NONCE_BYTES: usize = 24;
const LEN_AT: usize = SALT_AT + SALT_BYTES + NONCE_BYTES;
const HEADER_BYTES: usize = LEN_AT + 4;
const TAG_BYTES: usize = 16;
const SUM_BYTES: usize = 32;
/// A few thousand keys.
const FILE_BYTES_MAX: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::entry::{State, What};

    /// A folder of one test, removed when dropped.
    struct Place(PathBuf);

    impl Place {
        fn new(name: &str) -> Place {
            let name = format!("parallax-keystore-{}-{name}", std::process::id());
            let place = std::env::temp_dir().join(name);
            let _ = fs::remove_dir_all(&place);
            fs::create_dir_all(&place).unwrap();
            Place(place)
        }

        fn file(&self) -> PathBuf {
            self.0.join("keys")
        }
    }

    impl Drop for Place {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn words(text: &str) -> Secret {
        Secret::new(text.to_owned())
    }

    fn made(place: &Place) -> Keystore {
        let mut store = Keystore::create(&place.file(), &words("right"), Cost::LEAST).unwrap();
        store.entries.push(Entry {
            name: "lighter-7-4".into(),
            state: State::Active,
            made_s: 5,
            what: What::Lighter {
                chain_id: 304,
                account: 7,
                slot: 4,
                public_key: "ab".repeat(40),
            },
            private: words(&"11".repeat(40)),
        });
        store.save().unwrap();
        store
    }

    #[test]
    fn what_is_kept_is_found_again_and_no_secret_stands_in_the_file() {
        let place = Place::new("round");
        drop(made(&place));
        let bytes = fs::read(place.file()).unwrap();
        let holds = |text: &[u8]| bytes.windows(text.len()).any(|part| part == text);
        assert!(!holds(b"1111") && !holds(b"lighter") && !holds(b"abab"));
        let mode = fs::metadata(place.file()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let store = Keystore::open(&place.file(), &words("right")).unwrap();
        assert_eq!(store.entries.len(), 1);
        let found = store.entry("lighter-7-4").unwrap();
        assert_eq!(found.private.expose(), "11".repeat(40));
        assert!(matches!(store.save(), Err(KeystoreError::ReadOnly)));
        assert!(!format!("{store:?}").contains("1111"));
    }

    #[test]
    fn wrong_passphrases_lock_nothing_and_another_one_replaces_it() {
        let place = Place::new("wrong");
        drop(made(&place));
        for wrong in ["", "Right", "right "] {
            let refused = Keystore::open(&place.file(), &words(wrong)).unwrap_err();
            assert!(matches!(refused, KeystoreError::Passphrase(_)), "{refused}");
        }
        let mut store = Keystore::open_to_change(&place.file(), &words("right")).unwrap();
        let busy = Keystore::open_to_change(&place.file(), &words("right")).unwrap_err();
        assert!(matches!(busy, KeystoreError::Busy(_)), "{busy}");
        store.change_passphrase(&words("other")).unwrap();
        store.save().unwrap();
        drop(store);
        assert!(Keystore::open(&place.file(), &words("right")).is_err());
        assert!(Keystore::open(&place.file(), &words("other")).is_ok());
    }

    /// Every length short of the whole, and every byte bent, is refused before the passphrase is
    /// asked of the derivation; with its checksum made good, the cipher sees it.
    #[test]
    fn cut_damaged_and_altered_files_are_told_apart() {
        let place = Place::new("bent");
        drop(made(&place));
        let whole = fs::read(place.file()).unwrap();
        let judge = |bytes: &[u8]| Header::read(&place.file(), bytes).map(|_| ());
        assert!(judge(&whole).is_ok());
        for len in 0..whole.len() {
            let refused = judge(&whole[..len]).unwrap_err();
            let fits = matches!(refused, KeystoreError::Cut(_) | KeystoreError::NotOurs(_));
            assert!(fits, "{len}: {refused}");
        }
        let mut longer = whole.clone();
        longer.push(0);
        assert!(matches!(judge(&longer), Err(KeystoreError::Cut(_))));
        for at in 0..whole.len() {
            let mut bent = whole.clone();
            bent[at] ^= 1;
            assert!(judge(&bent).is_err(), "{at}");
        }
        for at in [
            SALT_AT,
            SALT_AT + SALT_BYTES,
            HEADER_BYTES,
            HEADER_BYTES + 60,
        ] {
            let mut bent = whole.clone();
            bent[at] ^= 1;
            make_good(&mut bent);
            write(&place, &bent);
            let refused = Keystore::open(&place.file(), &words("right")).unwrap_err();
            assert!(
                matches!(refused, KeystoreError::Passphrase(_)),
                "{at}: {refused}"
            );
        }
        write(&place, &whole);
        assert!(Keystore::open(&place.file(), &words("right")).is_ok());
    }

    #[test]
    fn costs_out_of_bounds_are_refused_before_any_is_paid() {
        let place = Place::new("cost");
        drop(made(&place));
        let whole = fs::read(place.file()).unwrap();
        for (at, value) in [
            (COST_AT, 8_u32),
            (COST_AT, u32::MAX),
            (COST_AT + 4, 1),
            (COST_AT + 4, u32::MAX),
            (COST_AT + 8, 0),
            (COST_AT + 8, 65),
        ] {
            let mut bent = whole.clone();
            bent[at..at + 4].copy_from_slice(&value.to_le_bytes());
            make_good(&mut bent);
            let refused = Header::read(&place.file(), &bent).err();
            assert!(matches!(refused, Some(KeystoreError::Cost)));
        }
        let cheap = Cost {
            memory_kib: 1024,
            ..Cost::LEAST
        };
        let other = place.0.join("cheap");
        let refused = Keystore::create(&other, &words("x"), cheap).unwrap_err();
        assert!(matches!(refused, KeystoreError::Cost) && !other.exists());
        assert!(Cost::STANDARD.is_in_bounds());
    }

    #[test]
    fn files_of_others_and_for_others_are_left_alone() {
        let place = Place::new("others");
        let missing = Keystore::open(&place.file(), &words("x")).unwrap_err();
        assert!(matches!(missing, KeystoreError::Missing(_)));
        drop(made(&place));
        let again = Keystore::create(&place.file(), &words("x"), Cost::LEAST).unwrap_err();
        assert!(matches!(again, KeystoreError::Exists(_)));
        fs::set_permissions(place.file(), fs::Permissions::from_mode(0o640)).unwrap();
        let said = Keystore::open(&place.file(), &words("right")).unwrap_err();
        let said = said.to_string();
        assert!(
            said.contains("mode 640") && said.contains("fix: chmod 600"),
            "{said}"
        );
        let other = place.0.join("other");
        fs::write(&other, b"#!/bin/sh\n").unwrap();
        fs::set_permissions(&other, fs::Permissions::from_mode(0o600)).unwrap();
        let refused = Keystore::open(&other, &words("x")).unwrap_err();
        assert!(matches!(refused, KeystoreError::NotOurs(_)));
    }

    #[test]
    fn what_a_crash_left_beside_it_does_no_harm() {
        let place = Place::new("crash");
        drop(made(&place));
        fs::write(beside(&place.file(), ".new"), b"half of").unwrap();
        let store = Keystore::open_to_change(&place.file(), &words("right")).unwrap();
        store.save().unwrap();
        assert!(!beside(&place.file(), ".new").exists());
        drop(store);
        assert!(Keystore::open(&place.file(), &words("right")).is_ok());
    }

    fn make_good(bytes: &mut [u8]) {
        let at = bytes.len() - SUM_BYTES;
        let sum = Sha256::digest(&bytes[..at]);
        bytes[at..].copy_from_slice(&sum);
    }

    fn write(place: &Place, bytes: &[u8]) {
        fs::write(place.file(), bytes).unwrap();
    }
}
