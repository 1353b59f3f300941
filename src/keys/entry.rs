//! What a keystore keeps: a key, whose it is and where it stands in its life.
//!
//! Promises: what is written is read again as it was; a secret is shown by nothing but its own
//! [`Secret::expose`]. Refuses: fields and kinds it does not know (of a later version), since to
//! write them back would lose them.

use super::Secret;
use std::collections::BTreeMap;
use std::fmt;
use zeroize::Zeroizing;

/// One key.
#[derive(Debug)]
pub struct Entry {
    /// What the user calls it: small letters, digits and dashes; each once.
    pub name: String,
    /// Where it stands.
    pub state: State,
    /// When it was made or imported, seconds since 1970.
    pub made_s: u64,
    /// Which key.
    pub what: What,
    /// Private key, hexadecimal digits.
    pub private: Secret,
}

/// Where a key stands in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Made, and not yet known to work at its venue.
    Pending,
    /// In use.
    Active,
    /// Replaced; no run is given it.
    Retired,
}

impl State {
    /// As it is written and shown.
    pub const fn name(self) -> &'static str {
        match self {
            State::Pending => "pending",
            State::Active => "active",
            State::Retired => "retired",
        }
    }
}

/// Which key, by what may be public.
#[derive(Debug)]
pub enum What {
    /// The owner's wallet.
    Ethereum {
        /// With its checksum (EIP-55).
        address: String,
    },
    /// An account on Extended: its Stark key, and its API key once there is one.
    Extended {
        /// SN_MAIN or SN_SEPOLIA.
        chain: String,
        /// The account's place under its wallet; 0 is the main one.
        index: i8,
        /// Position id; `None` until the venue has told it.
        vault: Option<u32>,
        /// Public Stark key, `0x` and digits.
        public_key: String,
        /// `None` until there is one.
        api_key: Option<Secret>,
    },
    /// An API key of an account on Lighter.
    Lighter {
        /// The network.
        chain_id: u32,
        /// The account.
        account: u64,
        /// The key's slot.
        slot: u8,
        /// 80 digits.
        public_key: String,
    },
}

impl What {
    /// The public part as one text.
    pub fn public(&self) -> &str {
        match self {
            What::Ethereum { address } => address,
            What::Extended { public_key, .. } | What::Lighter { public_key, .. } => public_key,
        }
    }
}

impl fmt::Display for What {
    /// Whose it is, in words.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            What::Ethereum { address } => write!(f, "Ethereum {address}"),
            What::Extended {
                chain,
                index,
                vault,
                api_key,
                ..
            } => {
                write!(f, "Extended {chain}, account {index}")?;
                if let Some(vault) = vault {
                    write!(f, ", vault {vault}")?;
                }
                f.write_str(if api_key.is_some() {
                    ""
                } else {
                    ", no API key yet"
                })
            }
            What::Lighter {
                chain_id,
                account,
                slot,
                ..
            } => write!(
                f,
                "Lighter chain {chain_id}, account {account}, slot {slot}"
            ),
        }
    }
}

/// Whether a text can be an entry's name.
pub fn is_name(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=NAME_BYTES_MAX).contains(&text.len()) && text.bytes().all(fits)
}

/// All entries as text, one a line, with room for a cipher's tag behind it: it never grows, so that
/// no copy of it is left unwiped.
pub(super) fn write_all(entries: &[Entry]) -> Zeroizing<Vec<u8>> {
    let mut size = Size(0);
    write_to(&mut size, entries);
    let mut out = Zeroizing::new(Vec::with_capacity(size.0 + TAG_BYTES));
    write_to(&mut Text(&mut out), entries);
    out
}

fn write_to(out: &mut dyn fmt::Write, entries: &[Entry]) {
    let mut put = |text: &str| {
        out.write_str(text)
            .expect("neither counting nor a Vec fails")
    };
    put(FIRST_LINE);
    for entry in entries {
        let made = entry.made_s.to_string();
        put("\n");
        put(entry.what.kind());
        let mut field = |name: &str, value: &str| {
            put(" ");
            put(name);
            put("=");
            put(value);
        };
        field("name", &entry.name);
        field("state", entry.state.name());
        field("made", &made);
        match &entry.what {
            What::Ethereum { address } => field("address", address),
            What::Extended {
                chain,
                index,
                vault,
                public_key,
                api_key,
            } => {
                field("chain", chain);
                field("index", &index.to_string());
                if let Some(vault) = vault {
                    field("vault", &vault.to_string());
                }
                field("public", public_key);
                if let Some(api_key) = api_key {
                    field("api-key", api_key.expose());
                }
            }
            What::Lighter {
                chain_id,
                account,
                slot,
                public_key,
            } => {
                field("chain", &chain_id.to_string());
                field("account", &account.to_string());
                field("slot", &slot.to_string());
                field("public", public_key);
            }
        }
        field("private", entry.private.expose());
    }
}

impl What {
    const fn kind(&self) -> &'static str {
        match self {
            What::Ethereum { .. } => "ethereum",
            What::Extended { .. } => "extended",
            What::Lighter { .. } => "lighter",
        }
    }
}

/// Reads what [`write_all`] wrote; `None` for anything else.
pub(super) fn read_all(text: &str) -> Option<Vec<Entry>> {
    let mut lines = text.split('\n');
    (lines.next()? == FIRST_LINE).then_some(())?;
    lines.map(read_entry).collect()
}

fn read_entry(line: &str) -> Option<Entry> {
    let mut words = line.split(' ');
    let kind = words.next()?;
    let fields: Option<BTreeMap<&str, &str>> = words.map(|word| word.split_once('=')).collect();
    let mut fields = fields?;
    let mut take = |name: &str| fields.remove(name);
    let own = |text: &str| text.to_owned();
    let secret = |text: &str| Secret::new(text.to_owned());
    let what = match kind {
        "ethereum" => What::Ethereum {
            address: own(take("address")?),
        },
        "extended" => What::Extended {
            chain: own(take("chain")?),
            index: take("index")?.parse().ok()?,
            vault: match take("vault") {
                Some(text) => Some(text.parse().ok()?),
                None => None,
            },
            public_key: own(take("public")?),
            api_key: take("api-key").map(secret),
        },
        "lighter" => What::Lighter {
            chain_id: take("chain")?.parse().ok()?,
            account: take("account")?.parse().ok()?,
            slot: take("slot")?.parse().ok()?,
            public_key: own(take("public")?),
        },
        _ => return None,
    };
    let state = take("state")?;
    let states = [State::Pending, State::Active, State::Retired];
    let entry = Entry {
        name: own(take("name")?),
        state: states.into_iter().find(|known| known.name() == state)?,
        made_s: take("made")?.parse().ok()?,
        what,
        private: secret(take("private")?),
    };
    fields.is_empty().then_some(entry)
}

/// Counts what would be written.
struct Size(usize);

impl fmt::Write for Size {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0 += text.len();
        Ok(())
    }
}

/// Writes into bytes that have room.
struct Text<'a>(&'a mut Vec<u8>);

impl fmt::Write for Text<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.extend_from_slice(text.as_bytes());
        Ok(())
    }
}

const FIRST_LINE: &str = "parallax keys 1";
const TAG_BYTES: usize = 16;
const NAME_BYTES_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn entries() -> Vec<Entry> {
        let secret = |text: &str| Secret::new(text.to_owned());
        let entry = |name: &str, state, what| Entry {
            name: name.to_owned(),
            state,
            made_s: 1_795_000_000,
            what,
            private: secret(name),
        };
        let extended = |vault, api_key| What::Extended {
            chain: "SN_MAIN".to_owned(),
            index: -1,
            vault,
            public_key: "0x5".to_owned(),
            api_key,
        };
        let address = "0xAb".to_owned();
        let lighter = What::Lighter {
            chain_id: 304,
            account: 1 << 47,
            slot: 254,
            public_key: "cd".to_owned(),
        };
        vec![
            entry("one", State::Active, What::Ethereum { address }),
            entry("two", State::Pending, extended(None, None)),
            entry(
                "three",
                State::Active,
                extended(Some(7), Some(secret("k=1"))),
            ),
            entry("four", State::Retired, lighter),
        ]
    }

    #[test]
    fn what_is_written_is_read_again_and_never_grew() {
        for count in 0..=4 {
            let entries = &entries()[..count];
            let bytes = write_all(entries);
            assert!(bytes.capacity() >= bytes.len() + TAG_BYTES);
            let text = std::str::from_utf8(&bytes).unwrap();
            let read = read_all(text).unwrap();
            assert_eq!(write_all(&read)[..], bytes[..]);
            assert_eq!(read.len(), count);
            for (read, entry) in read.iter().zip(entries) {
                assert_eq!(read.private.expose(), entry.private.expose());
                assert_eq!(format!("{read:?}"), format!("{entry:?}"));
            }
        }
    }

    #[test]
    fn what_is_not_known_is_refused_whole() {
        let bytes = write_all(&entries());
        let text = std::str::from_utf8(&bytes).unwrap();
        for (from, to) in [
            ("keys 1", "keys 2"),
            ("lighter", "brighter"),
            ("slot=254", "slot=255 more=1"),
            ("slot=254", "slot=256"),
            ("state=active", "state=asleep"),
            (" private=one", ""),
            ("made=", "made"),
        ] {
            assert!(text.contains(from) && read_all(&text.replacen(from, to, 1)).is_none());
        }
    }

    #[test]
    fn nothing_secret_is_shown() {
        for entry in entries() {
            let shown = format!("{entry:?} {}", entry.what);
            assert!(!shown.contains("k=1"), "{shown}");
            assert!(shown.contains("<secret>"), "{shown}");
        }
    }

    #[test]
    fn names() {
        assert!(is_name("lighter-7-4") && is_name("a"));
        for bad in ["", "A", "a b", "a=b", "é", &"x".repeat(65)] {
            assert!(!is_name(bad), "{bad}");
        }
    }
}
