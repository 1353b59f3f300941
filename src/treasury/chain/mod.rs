//! One Ethereum chain over a node's JSON-RPC: balances, and the few transactions of a transfer.

mod call;
mod error;
mod transaction;

pub use call::Call;
pub use error::ChainError;
pub use transaction::Signed;

use crate::keys::ceremony::{Address, EthereumKey};

/// Where the chain is, and what it may cost.
#[derive(Clone, PartialEq, Eq)]
pub struct Settings {
    /// L1_RPC_URL. Its path may be a key.
    pub url: String,
    /// L1_CHAIN_ID.
    pub chain_id: u64,
    /// L1_FEE_MAX_GWEI: most that is paid, gwei a gas.
    pub fee_max_gwei: u64,
    /// L1_CONFIRMATIONS: blocks, its own among them, before a transaction counts.
    pub confirmations: u64,
}

/// What became of the attempts at one transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The node never heard of any: send again.
    Unknown,
    /// It waits for a block, or for confirmations.
    Pending,
    /// Done and confirmed.
    Mined {
        /// Which attempt.
        hash: [u8; 32],
        /// Its block.
        block: u64,
    },
    /// Confirmed and undone: the fee is spent, nothing else happened.
    Reverted {
        /// Which attempt.
        hash: [u8; 32],
    },
    /// A transaction that is none of these was mined in their place: none of them ever will be.
    Replaced,
}

/// A node of the chain.
pub struct Chain {
    settings: Settings,
}

impl Chain {
    /// Asks the node which chain it is of. `extra_root_pem` is trusted *instead of* the public
    /// roots.
    pub fn open(settings: &Settings, _extra_root_pem: Option<&[u8]>) -> Result<Chain, ChainError> {
        Ok(Chain {
            settings: settings.clone(),
        })
    }

    /// What an address has of a token, in the token's units.
    pub fn balance(&self, _token: Address, _of: Address) -> Result<u128, ChainError> {
        self.unbuilt()
    }

    /// What an address has for fees, wei.
    pub fn native(&self, _of: Address) -> Result<u128, ChainError> {
        self.unbuilt()
    }

    /// How much of a token a contract may still take from an owner, in the token's units.
    pub fn allowance(
        &self,
        _token: Address,
        _owner: Address,
        _spender: Address,
    ) -> Result<u128, ChainError> {
        self.unbuilt()
    }

    /// What waits for its owner in Lighter's contract, in the token's units.
    pub fn claimable(
        &self,
        _contract: Address,
        _owner: Address,
        _asset: u16,
    ) -> Result<u128, ChainError> {
        self.unbuilt()
    }

    /// A transaction ready to be sent, and not sent: the sender's next nonce, fees of now, gas as
    /// estimated. A call that would revert is refused with the contract's reason.
    pub fn prepare(&self, _key: &EthereumKey, _call: &Call) -> Result<Signed, ChainError> {
        self.unbuilt()
    }

    /// The same nonce and call, dearer, so that nodes take it for the last one.
    pub fn replace(&self, _key: &EthereumKey, _last: &Signed) -> Result<Signed, ChainError> {
        self.unbuilt()
    }

    /// Sends. The same bytes twice are no error.
    pub fn send(&self, _signed: &Signed) -> Result<(), ChainError> {
        self.unbuilt()
    }

    /// What became of attempts that share one nonce.
    pub fn outcome(&self, _attempts: &[Signed]) -> Result<Outcome, ChainError> {
        self.unbuilt()
    }

    fn unbuilt<T>(&self) -> Result<T, ChainError> {
        let _ = self.settings.chain_id;
        Err(ChainError::Misused("not built yet"))
    }
}
