//! A transaction with fees of EIP-1559 (type 2): built, signed, written down.

use super::call::Call;
use crate::keys::ceremony::Address;
use serde::{Deserialize, Serialize};

/// A signed transaction, whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signed {
    /// The chain it is for.
    pub chain_id: u64,
    /// Who signed.
    pub from: Address,
    /// The sender's number of it.
    pub nonce: u64,
    /// Most of the fee that goes to whoever builds the block, wei a gas.
    pub tip: u128,
    /// Most that is paid altogether, wei a gas.
    pub fee_max: u128,
    /// Most gas it may take.
    pub gas: u64,
    /// What it does.
    pub call: Call,
    /// Its name on the chain.
    pub hash: [u8; 32],
    /// What is sent.
    pub raw: Vec<u8>,
}
