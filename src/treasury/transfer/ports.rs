//! What a transfer reaches out to, each behind a small trait, so that tests can end the process
//! before and after every act.

use super::journal::{FILE, Journal, Transfer};
use crate::hands::HandsError;
use crate::keys::ceremony::{Address, EthereumKey};
use crate::market::Venue;
use crate::market::units::Notional;
use crate::state::{Folder, StateError};
use crate::treasury::chain::{Call, Chain, ChainError, Outcome, Signed};
use crate::treasury::exits::Exits;

/// A node of the chain; [`Chain`] is one.
pub trait Node {
    /// What an address has of a token, in its units.
    fn balance(&self, token: Address, of: Address) -> Result<u128, ChainError>;
    /// What it has for fees, wei.
    fn native(&self, of: Address) -> Result<u128, ChainError>;
    /// How much of a token a contract may still take.
    fn allowance(
        &self,
        token: Address,
        owner: Address,
        spender: Address,
    ) -> Result<u128, ChainError>;
    /// A transaction, signed and not sent.
    fn prepare(&self, key: &EthereumKey, call: &Call) -> Result<Signed, ChainError>;
    /// The same one, dearer.
    fn replace(&self, key: &EthereumKey, last: &Signed) -> Result<Signed, ChainError>;
    /// Sends; twice is no error.
    fn send(&self, signed: &Signed) -> Result<(), ChainError>;
    /// What became of attempts that share a nonce.
    fn outcome(&self, attempts: &[Signed]) -> Result<Outcome, ChainError>;
}

impl Node for Chain {
    fn balance(&self, token: Address, of: Address) -> Result<u128, ChainError> {
        Chain::balance(self, token, of)
    }

    fn native(&self, of: Address) -> Result<u128, ChainError> {
        Chain::native(self, of)
    }

    fn allowance(
        &self,
        token: Address,
        owner: Address,
        spender: Address,
    ) -> Result<u128, ChainError> {
        Chain::allowance(self, token, owner, spender)
    }

    fn prepare(&self, key: &EthereumKey, call: &Call) -> Result<Signed, ChainError> {
        Chain::prepare(self, key, call)
    }

    fn replace(&self, key: &EthereumKey, last: &Signed) -> Result<Signed, ChainError> {
        Chain::replace(self, key, last)
    }

    fn send(&self, signed: &Signed) -> Result<(), ChainError> {
        Chain::send(self, signed)
    }

    fn outcome(&self, attempts: &[Signed]) -> Result<Outcome, ChainError> {
        Chain::outcome(self, attempts)
    }
}

/// Both accounts, as far as a withdrawal needs them.
pub trait Accounts {
    /// What may be withdrawn now. USD.
    fn withdrawable(&self, venue: Venue) -> Result<Notional, HandsError>;
    /// Makes the positions no larger than the transfer keeps; once more changes nothing.
    fn close(&self, transfer: &Transfer) -> Result<(), HandsError>;
}

/// Where the journal is kept.
pub trait Shelf {
    /// Replaces it, durably.
    fn keep(&self, journal: &Journal) -> Result<(), StateError>;
}

impl Shelf for Folder {
    fn keep(&self, journal: &Journal) -> Result<(), StateError> {
        self.write(FILE, &journal.bytes())
    }
}

/// Everything that a transfer reaches out to, and its bounds.
pub struct Outside<'a> {
    /// The venues.
    pub exits: &'a dyn Exits,
    /// The chain.
    pub node: &'a dyn Node,
    /// Both accounts.
    pub accounts: &'a dyn Accounts,
    /// Where the journal is kept.
    pub shelf: &'a dyn Shelf,
    /// The wallet's key.
    pub key: &'a EthereumKey,
    /// Epoch seconds.
    pub now_s: &'a dyn Fn() -> u64,
    /// Most that both ways may cost together. USD.
    pub fee_max: Notional,
    /// Most that may be sent in a day. USD.
    pub day_max: Notional,
}
