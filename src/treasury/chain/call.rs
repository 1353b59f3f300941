//! The calls we make to contracts, and their answers, as bytes: Ethereum's ABI.

use crate::keys::ceremony::Address;
use serde::{Deserialize, Serialize};

/// One call that changes something. Amounts in the token's units (USDC: 10^-6).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Call {
    /// Lets a contract take this much of a token.
    Approve {
        /// The token.
        token: Address,
        /// Who may take it.
        spender: Address,
        /// How much, altogether.
        amount: u128,
    },
    /// A deposit to Lighter, of what was approved.
    LighterDeposit {
        /// The venue's contract.
        contract: Address,
        /// Whose account it is for.
        to: Address,
        /// The venue's number of the asset; USDC is 3.
        asset: u16,
        /// 0: to the account that trades perpetuals.
        route: u8,
        /// How much.
        amount: u128,
    },
    /// Takes out what a secure withdrawal from Lighter has left to be taken.
    LighterClaim {
        /// The venue's contract.
        contract: Address,
        /// Whose it is; it goes nowhere else.
        owner: Address,
        /// The venue's number of the asset.
        asset: u16,
        /// How much.
        amount: u128,
    },
    /// A deposit to Extended over its bridge, of what was approved.
    ExtendedDeposit {
        /// The bridge's contract.
        bridge: Address,
        /// The token.
        token: Address,
        /// Exactly the quoted amount: the bridge can't give back what is not.
        amount: u128,
        /// The quote's number.
        commitment: [u8; 32],
    },
}
