//! What the treasury's commands need, apart from the engine.
//!
//! Promises: a fault in what they do not use can't keep them from working. Refuses: to judge limits
//! and modes; a `Config` does.

use crate::config::accounts::Need;
use crate::config::fault::Faults;
use crate::config::raw::Raw;
use crate::config::values::Reader;
use crate::config::{Accounts, L1, Place, from_env};
use crate::keys::passphrase::Unlock;
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
}

impl Holdings {
    /// From the sources of `Config::from_env`, the keystore opened if one is set. What the engine
    /// trades by is not judged.
    pub fn from_env(file: Option<&Path>, unlock: &Unlock) -> Result<Holdings, Faults> {
        let mut raw = from_env(file);
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
        }),
        _ => Err(Faults(reader.faults)),
    }
}

impl Reader {
    /// The treasury's own settings.
    pub(super) fn treasury(&mut self) -> Treasury {
        Treasury {
            poll_s: self.count("TREASURY_POLL_S"),
            drift_max: self.usd("DRIFT_ALARM_USD"),
            extended_e4: self.per_cent_e4("REBALANCE_EXTENDED_PCT"),
            rebalance_min: self.usd("REBALANCE_MIN_USD"),
            rebalance_day_max: self.usd("REBALANCE_DAY_MAX_USD"),
        }
    }
}
