//! What the treasury's commands need, apart from the engine.
//!
//! Promises: a fault in what they do not use can't keep them from working. Refuses: to judge limits
//! and modes; a `Config` does.

use crate::config::accounts::Need;
use crate::config::fault::Faults;
use crate::config::raw::Raw;
use crate::config::values::Reader;
use crate::config::{Accounts, Config, L1, Place, from_env};
use crate::keys::passphrase::Unlock;
use crate::keys::{self, Secret};
use crate::market::units::Notional;
use std::path::Path;

/// Everything the treasury's commands need: accounts, state, and its own settings.
#[derive(Debug)]
pub struct Holdings {
    /// Where the accounts are.
    pub accounts: Accounts,
    /// Where their book is kept.
    pub place: Place,
    /// What is watched for.
    pub treasury: Treasury,
    /// Where Ethereum is; `None`: not set, so that nothing is sent there.
    pub l1: Option<L1>,
    /// The wallet's key, where it is asked for and there is one.
    pub wallet: Option<Secret>,
}

impl Holdings {
    /// From the sources of `Config::from_env`, the keystore opened if one is set. What the engine
    /// trades by is not judged.
    pub fn from_env(file: Option<&Path>, unlock: &Unlock) -> Result<Holdings, Faults> {
        let mut raw = from_env(file);
        raw.open_keystore(unlock);
        holdings(raw)
    }

    /// As [`Holdings::from_env`], with the key of the wallet: for what moves money.
    pub fn with_wallet(file: Option<&Path>, unlock: &Unlock) -> Result<Holdings, Faults> {
        let mut raw = from_env(file);
        raw.wants_wallet = true;
        raw.open_keystore(unlock);
        holdings(raw)
    }
}

/// The treasury's settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Treasury {
    /// TREASURY_POLL_S.
    pub poll_s: u64,
    /// DRIFT_ALARM_USD, by venue.
    pub drift_max: Notional,
    /// REBALANCE_EXTENDED_PCT, as 10^-4.
    pub extended_e4: u32,
    /// REBALANCE_MIN_USD.
    pub rebalance_min: Notional,
    /// REBALANCE_DAY_MAX_USD.
    pub rebalance_day_max: Notional,
    /// REBALANCE_FEE_MAX_USD.
    pub fee_max: Notional,
    /// AUTO_REBALANCE.
    pub is_auto: bool,
}

/// Reads what the treasury's commands need, and judges nothing of what is traded.
pub fn holdings(raw: Raw) -> Result<Holdings, Faults> {
    let mut reader = Reader::new(raw);
    reader.is_conservative = reader.word("CONSERVATIVE_MODE") == "true";
    let is_paper = reader.word("TRADING_MODE") != "live";
    let extended = reader.extended(Need::IfThere);
    let lighter = reader.lighter(Need::IfThere);
    let extra_root_pem = reader.extra_root();
    let dir = reader.state_dir();
    let treasury = reader.treasury();
    let l1 = reader.l1();
    let wallet = reader.wallet();
    match (extended, lighter) {
        (Some(extended), Some(lighter)) if reader.faults.is_empty() => Ok(Holdings {
            accounts: Accounts {
                extra_root_pem,
                extended,
                lighter,
            },
            place: Place { dir, is_paper },
            treasury,
            l1,
            wallet,
        }),
        _ => Err(Faults(reader.faults)),
    }
}

impl Reader {
    /// The wallet's key, where it is wanted; a bad one is a fault wherever it stands.
    pub(super) fn wallet(&mut self) -> Option<Secret> {
        self.secret("ETH_PRIVATE_KEY", keys::ethereum_key);
        let is_wanted = self.raw.wants_wallet || self.is_auto();
        let set = self.raw.value("ETH_PRIVATE_KEY").filter(|_| is_wanted);
        set.map(|text| Secret::new(text.trim().to_owned()))
    }

    /// AUTO_REBALANCE is true; where it is neither, that is told elsewhere.
    pub(super) fn is_auto(&self) -> bool {
        self.raw.value("AUTO_REBALANCE").map(str::trim) == Some("true")
    }

    /// What a run that rebalances by itself can't do without.
    pub(super) fn demand_rebalance(&mut self, config: &Config) {
        let there = [
            ("L1_RPC_URL", config.l1.is_some(), "name a node of Ethereum"),
            (
                "STATE_DIR",
                config.state_dir.is_some(),
                "name a folder: what is under way is written down there",
            ),
        ];
        for (name, is_there, fix) in there {
            if !is_there {
                let wrong = "is not set, and AUTO_REBALANCE is true";
                self.fault(name, wrong, fix);
            }
        }
        if config.wallet.is_none() {
            let wrong = "is true, and there is no key of the wallet that owns both accounts";
            let fix = "`parallax keys import ethereum` (one in the keystore), or ETH_PRIVATE_KEY";
            self.fault("AUTO_REBALANCE", wrong, fix);
        }
    }

    /// The treasury's own settings.
    pub(super) fn treasury(&mut self) -> Treasury {
        Treasury {
            poll_s: self.count("TREASURY_POLL_S"),
            drift_max: self.usd("DRIFT_ALARM_USD"),
            extended_e4: self.per_cent_e4("REBALANCE_EXTENDED_PCT"),
            rebalance_min: self.usd("REBALANCE_MIN_USD"),
            rebalance_day_max: self.usd("REBALANCE_DAY_MAX_USD"),
            fee_max: self.usd("REBALANCE_FEE_MAX_USD"),
            is_auto: self.word("AUTO_REBALANCE") == "true",
        }
    }
}
