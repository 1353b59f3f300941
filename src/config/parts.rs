//! `Raw` → a part of the configuration: what commands need that stand apart from the engine.
//!
//! Promises: a fault in what a command does not use can't keep it from working. Refuses: to judge
//! limits and modes; a `Config` does.

use crate::config::fault::Faults;
use crate::config::raw::Raw;
use crate::config::values::Reader;
use crate::config::{Accounts, Holdings, Place, Treasury};

/// Reads where the accounts are and their keys, and judges nothing else: limits and modes can't
/// keep anybody from getting out.
pub fn accounts(raw: Raw) -> Result<Accounts, Faults> {
    let mut reader = Reader::new(raw);
    let extended = reader.extended(false);
    let lighter = reader.lighter(false);
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
    let extended = reader.extended(false);
    let lighter = reader.lighter(false);
    let dir = reader.state_dir(&extended, &lighter);
    match reader.faults.is_empty() {
        true => Ok(Place { dir, is_paper }),
        false => Err(Faults(reader.faults)),
    }
}

/// Reads what the treasury's commands need, and judges nothing of what is traded.
pub fn holdings(raw: Raw) -> Result<Holdings, Faults> {
    let mut reader = Reader::new(raw);
    reader.is_conservative = reader.word("CONSERVATIVE_MODE") == "true";
    let is_paper = reader.word("TRADING_MODE") != "live";
    let extended = reader.extended(false);
    let lighter = reader.lighter(false);
    let extra_root_pem = reader.extra_root();
    let dir = reader.state_dir(&extended, &lighter);
    let treasury = reader.treasury();
    match (extended, lighter) {
        (Some(extended), Some(lighter)) if reader.faults.is_empty() => Ok(Holdings {
            accounts: Accounts {
                extra_root_pem,
                extended,
                lighter,
            },
            place: Place { dir, is_paper },
            treasury,
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
