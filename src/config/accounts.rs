//! Whose accounts, where, and with which keys: the settings that every command shares.
//!
//! Promises: an account is whole or not there at all. With a KEYSTORE, keys come from there and
//! nowhere else; where it was not opened, there are no accounts, and that is no fault.
//! Refuses: limits and modes, which are `read`'s business.

use crate::config::fault::Faults;
use crate::config::raw::Raw;
use crate::config::values::{Reader, known};
use crate::config::{
    Extended, ExtendedAccount, Lighter, LighterAccount, LighterKey, Mode, Purpose, StarknetChain,
    from_env,
};
use crate::keys::passphrase::Unlock;
use crate::keys::{self, Secret};
use crate::market::units::SECOND;
use std::path::{Path, PathBuf};

/// Where the accounts are and their keys: all that it takes to make them smaller.
#[derive(Debug)]
pub struct Accounts {
    /// Contents of TLS_CA_FILE.
    pub extra_root_pem: Option<Vec<u8>>,
    /// Venue Extended.
    pub extended: Extended,
    /// Venue Lighter.
    pub lighter: Lighter,
}

impl Accounts {
    /// From the sources of `Config::from_env`, the keystore opened if one
    /// is set. Modes, limits and what arms live trading are not judged. A venue may be without an
    /// account.
    pub fn from_env(file: Option<&Path>, unlock: &Unlock) -> Result<Accounts, Faults> {
        let mut raw = from_env(file);
        raw.open_keystore(unlock);
        accounts(raw)
    }
}

/// What key ceremonies need to know.
#[derive(Debug)]
pub struct Ceremony {
    /// Where the venues are; the accounts have no keys here.
    pub accounts: Accounts,
    /// KEYSTORE.
    pub keystore: Option<PathBuf>,
    /// LIGHTER_ACCOUNT_INDEX.
    pub lighter_account: Option<u64>,
    /// EXTENDED_VAULT.
    pub vault: Option<u32>,
    /// ETH_PRIVATE_KEY, well formed.
    pub wallet: Option<Secret>,
}

impl Ceremony {
    /// From the sources of `Config::from_env`. The keystore is not opened
    /// here.
    pub fn from_env(file: Option<&Path>) -> Result<Ceremony, Faults> {
        ceremony(from_env(file))
    }
}

/// Where the runs of a configuration keep what the next one must know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The folder, if there is any.
    pub dir: Option<PathBuf>,
    /// `dry_run`: nothing real is kept apart from it.
    pub is_paper: bool,
}

impl Place {
    /// From the sources of `Config::from_env`. Limits are not judged:
    /// what they say must not keep anybody from seeing why a run has stopped.
    pub fn from_env(file: Option<&Path>) -> Result<Place, Faults> {
        place(from_env(file))
    }
}

/// Whether accounts are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// Not even looked at.
    No,
    /// Where they are set.
    IfThere,
    /// Orders are signed.
    Must,
}

impl Need {
    /// What this mode wants for this purpose.
    pub fn of(mode: Mode, purpose: Purpose) -> Need {
        match (mode, purpose) {
            (Mode::Live, Purpose::Run | Purpose::Check) => Need::Must,
            _ => Need::IfThere,
        }
    }
}

/// Least time of Lighter's dead man's switch: the venue's five minutes, and half of one for clocks
/// that disagree.
const LIGHTER_SWITCH_S_MIN: u32 = 330;

/// Account indexes have 48 bits (Lighter's transaction constraints).
const LIGHTER_ACCOUNT_MAX: u64 = (1 << 48) - 1;
/// Largest API key index on Lighter; 255 means "all" in its queries (apidocs.lighter.xyz, apikeys).
const API_KEY_INDEX_MAX: u8 = 254;

/// Reads where the accounts are and their keys, and judges nothing else: limits and modes can't
/// keep anybody from getting out.
pub fn accounts(raw: Raw) -> Result<Accounts, Faults> {
    let mut reader = Reader::new(raw);
    let extended = reader.extended(Need::IfThere);
    let lighter = reader.lighter(Need::IfThere);
    let extra_root_pem = reader.extra_root();
    match (extended, lighter) {
        (Some(extended), Some(lighter)) if reader.faults.is_empty() => Ok(Accounts {
            extra_root_pem,
            extended,
            lighter,
        }),
        _ => Err(Faults(reader.faults)),
    }
}

/// Reads where state is kept, and of which mode.
pub fn place(raw: Raw) -> Result<Place, Faults> {
    let mut reader = Reader::new(raw);
    let is_paper = reader.word("TRADING_MODE") != "live";
    // Their faults are told; no key is wanted.
    reader.extended(Need::IfThere);
    reader.lighter(Need::IfThere);
    let dir = reader.state_dir();
    match reader.faults.is_empty() {
        true => Ok(Place { dir, is_paper }),
        false => Err(Faults(reader.faults)),
    }
}

/// Reads what key ceremonies need: where the venues are, which accounts, where keys are kept. An
/// account needs no keys yet.
pub fn ceremony(raw: Raw) -> Result<Ceremony, Faults> {
    let mut reader = Reader::new(raw);
    let extended = reader.extended(Need::No);
    let lighter = reader.lighter(Need::No);
    let extra_root_pem = reader.extra_root();
    let lighter_account = reader.account_number("LIGHTER_ACCOUNT_INDEX", LIGHTER_ACCOUNT_MAX);
    let vault = reader.account_number("EXTENDED_VAULT", u64::from(u32::MAX));
    reader.secret("ETH_PRIVATE_KEY", keys::ethereum_key);
    let wallet = reader.raw.value("ETH_PRIVATE_KEY").map(str::trim);
    let wallet = wallet.map(|text| Secret::new(text.to_owned()));
    let keystore = reader.raw.value("KEYSTORE").map(PathBuf::from);
    match (extended, lighter) {
        (Some(extended), Some(lighter)) if reader.faults.is_empty() => Ok(Ceremony {
            accounts: Accounts {
                extra_root_pem,
                extended,
                lighter,
            },
            keystore,
            lighter_account,
            vault: vault.and_then(|vault| u32::try_from(vault).ok()),
            wallet,
        }),
        _ => Err(Faults(reader.faults)),
    }
}

impl Reader {
    /// Everything of venue Extended. All addresses are read before any is missed, so that their
    /// faults come together.
    pub fn extended(&mut self, need: Need) -> Option<Extended> {
        let base = self.url("EXTENDED_BASE_URL");
        let stream = self.url("EXTENDED_STREAM_URL");
        let order = self.url("EXTENDED_ORDER_URL").or_else(|| base.clone());
        let rpc = self.url("EXTENDED_RPC_URL");
        let onboarding = self.url("EXTENDED_ONBOARDING_URL");
        let chain = match self.word("EXTENDED_CHAIN_ID") {
            "SN_SEPOLIA" => StarknetChain::Sepolia,
            _ => StarknetChain::Main,
        };
        let signing_domain = self.text("EXTENDED_SIGNING_DOMAIN");
        let order_lanes = self.count("EXTENDED_ORDER_LANES") as usize;
        let dead_mans_switch_s = self.count("EXTENDED_DEAD_MANS_SWITCH_S") as u32;
        let ready_orders_ns = self.count("EXTENDED_READY_ORDERS_S") * SECOND;
        let account = self.extended_account(need);
        Some(Extended {
            base: base?,
            stream: stream?,
            order: order?,
            rpc: rpc?,
            onboarding: onboarding?,
            chain,
            signing_domain,
            order_lanes,
            dead_mans_switch_s,
            ready_orders_ns,
            account,
        })
    }

    /// The account on Extended, when all three of its settings are there and sound.
    fn extended_account(&mut self, need: Need) -> Option<ExtendedAccount> {
        const NAMES: [&str; 3] = ["EXTENDED_API_KEY", "EXTENDED_PRIVATE_KEY", "EXTENDED_VAULT"];
        self.require(&NAMES, need, "app.extended.exchange, API management")?;
        let api_key = self.secret(NAMES[0], keys::api_key);
        let private_key = self.secret(NAMES[1], keys::stark_key);
        let vault = self.account_number(NAMES[2], u64::from(u32::MAX));
        Some(ExtendedAccount {
            api_key: api_key?,
            private_key: private_key?,
            vault: u32::try_from(vault?).ok()?,
        })
    }

    /// Everything of venue Lighter.
    pub fn lighter(&mut self, need: Need) -> Option<Lighter> {
        let base = self.url("LIGHTER_BASE_URL");
        let ws = self.url("LIGHTER_WS_URL");
        let chain_id = self.count("LIGHTER_CHAIN_ID") as u32;
        let messages_per_minute = self.count("LIGHTER_WS_MESSAGES_PER_MIN") as usize;
        let dead_mans_switch_s = self.count("LIGHTER_DEAD_MANS_SWITCH_S") as u32;
        if (1..LIGHTER_SWITCH_S_MIN).contains(&dead_mans_switch_s) {
            let wrong =
                format!("is {dead_mans_switch_s}, and the venue takes no less than 5 minutes");
            let fix = "use 0 (off), or 330 and more";
            self.fault("LIGHTER_DEAD_MANS_SWITCH_S", &wrong, fix);
        }
        const NAMES: [&str; 2] = ["LIGHTER_ACCOUNT_INDEX", "LIGHTER_API_KEYS"];
        let wanted = self.require(&NAMES, need, "app.lighter.xyz, API keys");
        let account = wanted.and_then(|()| {
            let index = self.account_number(NAMES[0], LIGHTER_ACCOUNT_MAX);
            let keys = self.lighter_keys(NAMES[1]);
            let (keys, index) = keys.zip(index)?;
            Some(LighterAccount { index, keys })
        });
        Some(Lighter {
            base: base?,
            ws: ws?,
            chain_id,
            messages_per_minute,
            dead_mans_switch_s,
            account,
        })
    }

    /// The list of API keys. Faults name entries by their place, never by their text.
    fn lighter_keys(&mut self, name: &str) -> Option<Vec<LighterKey>> {
        let parsed = parse_lighter_keys(self.raw.value(name)?);
        match parsed {
            Ok(keys) => Some(keys),
            Err(wrong) => {
                let fix = "write index:hex,index:hex with indexes 0 to 254, each once";
                self.fault(name, &wrong, fix);
                None
            }
        }
    }

    /// Whether an account is to be read at all.
    fn require(&mut self, names: &[&str], need: Need, place: &str) -> Option<()> {
        if need == Need::No || self.raw.is_locked {
            return None;
        }
        self.require_together(names, need == Need::Must, place);
        Some(())
    }

    /// STATE_DIR as it stands; else a folder of this account's own, so that what one account did
    /// never stops another.
    pub fn state_dir(&mut self) -> Option<PathBuf> {
        let text = self.text("STATE_DIR");
        if !text.is_empty() {
            if !Path::new(&text).is_absolute() {
                let wrong = format!("is {text:?}, which depends on where parallax is started");
                self.fault("STATE_DIR", &wrong, "write the whole path, from / on");
            }
            return Some(PathBuf::from(text));
        }
        let words = [
            "EXTENDED_CHAIN_ID",
            "EXTENDED_VAULT",
            "LIGHTER_CHAIN_ID",
            "LIGHTER_ACCOUNT_INDEX",
        ];
        // What is no number is a fault already, and nothing is kept there.
        let is_plain = |text: &str| text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        let words = words.map(|name| {
            let text = self.raw.value(name).map(str::trim);
            let text = text.filter(|text| is_plain(text));
            text.unwrap_or(match known(name).default {
                "" => "none",
                default => default,
            })
            .to_owned()
        });
        Some(
            self.raw
                .state_home
                .as_ref()?
                .join("parallax")
                .join(words.join("-")),
        )
    }
}

/// `index:hex,index:hex`; each index once, since two keys of one index would share a nonce.
fn parse_lighter_keys(text: &str) -> Result<Vec<LighterKey>, String> {
    let mut keys: Vec<LighterKey> = Vec::new();
    for (at, part) in text.split(',').enumerate() {
        let place = at + 1;
        let Some((index, hex)) = part.trim().split_once(':') else {
            return Err(format!("has no colon in its entry {place}"));
        };
        let is_plain = index.bytes().all(|byte| byte.is_ascii_digit());
        let index = match index.parse::<u8>() {
            Ok(index) if is_plain && index <= API_KEY_INDEX_MAX => index,
            _ => return Err(format!("has an index out of range in its entry {place}")),
        };
        let private_key = keys::lighter_key(hex.trim())
            .map_err(|fault| format!("has a key in its entry {place} that {fault}"))?;
        if keys.iter().any(|key| key.index == index) {
            return Err(format!("names index {index} twice"));
        }
        keys.push(LighterKey { index, private_key });
    }
    Ok(keys)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_are_read_whatever_the_engine_may_do() {
        let own = |list: &[(&str, &str)]| {
            let list = list.iter().map(|(n, v)| (n.to_string(), v.to_string()));
            accounts(Raw::from_settings(list.collect()))
        };
        // Each of these keeps an engine from starting.
        let read = own(&[
            ("TRADING_MODE", "live"),
            ("AUTO_EXECUTION_ENABLED", "maybe"),
            ("MAX_GROSS_USD", "1"),
            ("LIVE_ACK", "later"),
            ("LIGHTER_ACCOUNT_INDEX", "7"),
            ("LIGHTER_API_KEYS", &format!("4:{}", "07".repeat(40))),
        ]);
        let read = read.unwrap();
        assert_eq!(read.lighter.account.map(|account| account.index), Some(7));
        assert!(read.extended.account.is_none());
        // These say whose account it is, and where.
        let faults = own(&[("LIGHTER_ACCOUNT_INDEX", "7"), ("EXTENDED_BASE_URL", "x")]);
        let named: Vec<String> = faults.unwrap_err().0.into_iter().map(|f| f.name).collect();
        assert_eq!(named, ["EXTENDED_BASE_URL", "LIGHTER_API_KEYS"]);
    }

    #[test]
    fn lighter_key_lists() {
        let key = "11".repeat(40);
        let keys = parse_lighter_keys(&format!("2:{key}, 254:0x{key}")).unwrap();
        assert_eq!(keys.iter().map(|k| k.index).collect::<Vec<_>>(), [2, 254]);
        for (text, wrong) in [
            (key.clone(), "has no colon in its entry 1"),
            (
                format!("255:{key}"),
                "has an index out of range in its entry 1",
            ),
            (
                format!("+1:{key}"),
                "has an index out of range in its entry 1",
            ),
            (format!("1:{key},1:{key}"), "names index 1 twice"),
            (format!("1:{key},"), "has no colon in its entry 2"),
        ] {
            assert_eq!(parse_lighter_keys(&text).unwrap_err(), wrong);
        }
        let short = parse_lighter_keys("1:abcd").unwrap_err();
        assert!(short.contains("4 hexadecimal digits") && !short.contains("abcd"));
    }
}
