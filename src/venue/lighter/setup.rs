//! What Lighter's gateway is built from, and why it may be refused.
//!
//! Promises: a gateway that was built has at least one key, no slot twice, and a grid per market.
//! Refuses: anything else, by naming it. Cold: runs once, at start.

use super::grid::Grid;
use super::keyring::ApiKey;
use super::switch::{SWITCH_S_MAX, SWITCH_S_MIN};
use crate::market::{INSTRUMENTS_MAX, InstrumentId, Market, Venue};

/// What the gateway must know about the account.
#[derive(Debug)]
pub struct Setup {
    /// Account index.
    pub account_index: u64,
    /// Chain id of the network (source *networks*).
    pub chain_id: u64,
    /// Keys used in rotation. Nobody else may sign with them. At least one.
    pub keys: Vec<ApiKey>,
    /// Transactions per minute that the account's tier allows.
    pub sends_per_minute: u32,
    /// REST origin, where nonces and orders are asked for.
    pub rest_url: String,
    /// Time of the dead man's switch, seconds: 0 is off, else 330 to 15 days less half a minute.
    /// Larger: what rests on the account outlives this program longer. Smaller: more of the tier's
    /// transactions go into putting it off.
    pub dead_mans_switch_s: u32,
}

/// Why a gateway could not be built: the configuration's fault, or the venue's market table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SetupError {
    /// No key was given.
    NoKeys,
    /// Two keys have the same slot.
    DuplicateSlot(u8),
    /// The dead man's switch has a time that the venue refuses.
    Switch(u32),
    /// A market's tick or lot is not a power of ten of at most nine decimals.
    Grid(InstrumentId),
}

impl Setup {
    /// Whether the keys can be used together, and the switch be set.
    pub fn check(&self) -> Result<(), SetupError> {
        if self.keys.is_empty() {
            return Err(SetupError::NoKeys);
        }
        for (i, key) in self.keys.iter().enumerate() {
            if self.keys[..i].iter().any(|other| other.index == key.index) {
                return Err(SetupError::DuplicateSlot(key.index));
            }
        }
        let switch_s = self.dead_mans_switch_s;
        if switch_s != 0 && !(SWITCH_S_MIN..=SWITCH_S_MAX).contains(&switch_s) {
            return Err(SetupError::Switch(switch_s));
        }
        Ok(())
    }
}

/// The grid of every Lighter market among `markets`, by instrument.
pub fn grids(markets: &[Market]) -> Result<Box<[Option<Grid>]>, SetupError> {
    let mut grids = vec![None; INSTRUMENTS_MAX];
    for market in markets.iter().filter(|m| m.venue == Venue::Lighter) {
        let fault = SetupError::Grid(market.instrument);
        let slot = grids.get_mut(market.instrument.idx()).ok_or(fault)?;
        *slot = Some(Grid::new(market).ok_or(fault)?);
    }
    Ok(grids.into_boxed_slice())
}
