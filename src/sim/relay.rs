//! What stands between the simulated venues and a chain: the venues know no chain, so a test's
//! relayer is told what waits to be paid out, and tells what was paid and what came in.
//!
//! Promises: a withdrawal waits until it was said to be over; a deposit is credited once for its
//! transaction. Refuses: a deposit of a wallet that has no account, or by a quote that was not
//! committed.

use crate::keys::ceremony::Address;
use crate::market::Venue;
use crate::market::units::Notional;
use std::fmt;

/// The contracts on the chain that the venues name to their clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Contracts {
    /// The bridge that Extended names.
    pub bridge: Address,
    /// Lighter's own.
    pub lighter: Address,
    /// USDC.
    pub token: Address,
}

impl Default for Contracts {
    /// Addresses without a chain, for runs without one.
    fn default() -> Contracts {
        Contracts {
            bridge: Address([0xB1; 20]),
            lighter: Address([0x11; 20]),
            token: Address([0x0C; 20]),
        }
    }
}

/// How a withdrawal reaches the wallet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Payout {
    /// The bridge pays the wallet.
    Bridge,
    /// The contract owes it to the wallet, which claims it.
    Claim,
    /// The venue's pool pays the wallet.
    Pool,
}

/// A withdrawal that waits to be paid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leaving {
    /// Who pays.
    pub venue: Venue,
    /// The venue's number of it.
    pub number: u64,
    /// Who is paid.
    pub wallet: Address,
    /// What arrives there, without any fee. USD.
    pub amount: Notional,
    /// How.
    pub by: Payout,
    /// Claimable already: said so before, and not claimed yet.
    pub is_claimable: bool,
}

/// What became of a withdrawal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Paid {
    /// The contract owes it: only for [`Payout::Claim`].
    Claimable,
    /// The wallet has it.
    Done,
    /// It will not be paid: the account has it back.
    Failed,
}

/// A deposit that was mined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arriving {
    /// For which venue.
    pub venue: Venue,
    /// Who paid.
    pub wallet: Address,
    /// What was paid in. USD.
    pub amount: Notional,
    /// The chain's transaction.
    pub transaction: [u8; 32],
    /// What it named for the bridge; zeros on Lighter.
    pub commitment: [u8; 32],
}

/// Why the relayer was refused: the test's own fault, or money that a real bridge would keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RelayError {
    /// No such withdrawal waits.
    UnknownWithdrawal(u64),
    /// It does not go by a claim.
    NoClaim(u64),
    /// The wallet has no account there.
    UnknownWallet(Address),
    /// No committed quote has this commitment and this amount.
    UnknownCommitment,
}

impl fmt::Display for RelayError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RelayError::UnknownWithdrawal(number) => write!(f, "no withdrawal {number} waits"),
            RelayError::NoClaim(number) => write!(f, "withdrawal {number} goes by no claim"),
            RelayError::UnknownWallet(wallet) => write!(f, "{wallet} has no account"),
            RelayError::UnknownCommitment => {
                f.write_str("no committed quote has this commitment and amount")
            }
        }
    }
}

impl std::error::Error for RelayError {}
