//! One Ethereum chain over a node's JSON-RPC: balances, and the few transactions of a transfer.
//!
//! Promises: nothing is signed that would revert now, that goes to where no contract is, or that
//! may cost more than was allowed; a transaction can be written down whole before it is sent, and
//! the same bytes sent again do nothing twice; what became of it is said only with the
//! confirmations that were asked for. The node is believed in what it says of the chain: give the
//! address of one that can be trusted. Refuses: a node of another chain; ether sent along.
//!
//! Cold: blocks the thread that calls it. Source: Ethereum's execution API specification.

mod call;
mod error;
mod fees;
mod hex;
mod node;
mod transaction;

pub use crate::config::L1 as Settings;
pub use call::Call;
pub use error::ChainError;
pub use transaction::Signed;

use crate::keys::ceremony::{Address, EthereumKey};
use fees::{Fees, GWEI};
use node::Node;
use serde_json::{Value, json};

/// Most gas a call of ours may take. A deposit takes a tenth of it.
const GAS_MAX: u64 = 2_000_000;

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

/// A node of the chain, and what may be done there.
pub struct Chain {
    node: Node,
    chain_id: u64,
    /// Wei a gas.
    fee_max: u128,
    confirmations: u64,
}

impl Chain {
    /// Asks the node which chain it is of. `extra_root_pem` is trusted *instead of* the public
    /// roots.
    pub fn open(settings: &Settings, extra_root_pem: Option<&[u8]>) -> Result<Chain, ChainError> {
        let node = Node::new(&settings.url, extra_root_pem)?;
        let found = node.small("eth_chainId", json!([]))?;
        if found != settings.chain_id {
            return Err(ChainError::WrongChain {
                wanted: settings.chain_id,
                found,
            });
        }
        Ok(Chain {
            node,
            chain_id: found,
            fee_max: u128::from(settings.fee_max_gwei) * GWEI,
            confirmations: settings.confirmations.max(1),
        })
    }

    /// What an address has of a token, in the token's units.
    pub fn balance(&self, token: Address, of: Address) -> Result<u128, ChainError> {
        self.read(token, &call::balance(of), "token balance")
    }

    /// What an address has for fees, wei.
    pub fn native(&self, of: Address) -> Result<u128, ChainError> {
        self.node.number("eth_getBalance", json!([of, "latest"]))
    }

    /// How much of a token a contract may still take from an owner, in the token's units.
    pub fn allowance(
        &self,
        token: Address,
        owner: Address,
        spender: Address,
    ) -> Result<u128, ChainError> {
        self.read(token, &call::allowance(owner, spender), "allowance")
    }

    /// What waits for its owner in Lighter's contract, in the token's units: what a claim brings.
    pub fn claimable(
        &self,
        contract: Address,
        owner: Address,
        asset: u16,
    ) -> Result<u128, ChainError> {
        let question = call::claimable(owner, asset);
        self.read(contract, &question, "pending balance")
    }

    /// A transaction ready to be sent, and not sent: the sender's next nonce, fees of now, gas as
    /// estimated and a quarter more. A call that would revert is refused with its reason.
    pub fn prepare(&self, key: &EthereumKey, call: &Call) -> Result<Signed, ChainError> {
        let from = key.address();
        self.demand_contract(call.to())?;
        let shape = json!({"from": from, "to": call.to(), "data": hex::text(&call.data())});
        let answer = self.node.bytes("eth_call", json!([shape, "latest"]))?;
        if !call.is_granted(&answer) {
            return Err(ChainError::NotGranted(call.to()));
        }
        let gas = self.node.small("eth_estimateGas", json!([shape]))?;
        if gas > GAS_MAX {
            return Err(ChainError::Gas {
                found: gas,
                most: GAS_MAX,
            });
        }
        let fees = self.fees()?;
        let signed = Signed {
            chain_id: self.chain_id,
            from,
            nonce: self.nonce(from, "pending")?,
            tip: fees.tip,
            fee_max: fees.most,
            gas: gas + gas / 4,
            call: call.clone(),
            hash: [0; 32],
            raw: Vec::new(),
        };
        self.demand_ether(&signed)?;
        Ok(signed.sign(key))
    }

    /// The same nonce and call, dearer, so that nodes take it in place of the last one.
    pub fn replace(&self, key: &EthereumKey, last: &Signed) -> Result<Signed, ChainError> {
        if key.address() != last.from {
            return Err(ChainError::Misused("another key signed the last attempt"));
        }
        self.demand_ours(last)?;
        let fees = last.fees().above(self.fees()?, self.fee_max)?;
        let signed = Signed {
            tip: fees.tip,
            fee_max: fees.most,
            ..last.clone()
        };
        self.demand_ether(&signed)?;
        Ok(signed.sign(key))
    }

    /// Sends. The same bytes twice are no error, whatever words the node has for that.
    pub fn send(&self, signed: &Signed) -> Result<(), ChainError> {
        self.demand_ours(signed)?;
        let raw = json!([hex::text(&signed.raw)]);
        match self.node.bytes("eth_sendRawTransaction", raw) {
            Ok(hash) if hash == signed.hash => Ok(()),
            Ok(_) => Err(ChainError::Malformed("transaction hash")),
            Err(error @ ChainError::Refused { .. }) => match self.is_known(signed) {
                Ok(true) => Ok(()),
                _ => Err(error),
            },
            Err(error) => Err(error),
        }
    }

    /// What became of attempts that share one nonce; one is enough.
    ///
    /// The nonce's state is asked first and the receipts afterwards, so that an attempt mined in
    /// between is found and not taken for replaced. Confirmations also bridge what the many nodes
    /// behind one address know of each other's blocks.
    pub fn outcome(&self, attempts: &[Signed]) -> Result<Outcome, ChainError> {
        let Some((first, rest)) = attempts.split_first() else {
            return Err(ChainError::Misused("no attempt to ask about"));
        };
        if rest.iter().any(|attempt| !attempt.is_rival(first)) {
            return Err(ChainError::Misused("attempts of more than one nonce"));
        }
        attempts
            .iter()
            .try_for_each(|attempt| self.demand_ours(attempt))?;
        let (from, nonce) = (first.from, first.nonce);
        let head = self.node.small("eth_blockNumber", json!([]))?;
        let deep = head.saturating_sub(self.confirmations - 1);
        let is_settled = self.nonce(from, &format!("0x{deep:x}"))? > nonce;
        let is_used = self.nonce(from, "latest")? > nonce;
        for attempt in attempts {
            if let Some(outcome) = self.receipt(attempt, deep)? {
                return Ok(outcome);
            }
        }
        if is_settled {
            return Ok(Outcome::Replaced);
        }
        let mut is_known = is_used;
        for attempt in attempts {
            is_known = is_known || self.is_known(attempt)?;
        }
        Ok(match is_known {
            true => Outcome::Pending,
            false => Outcome::Unknown,
        })
    }

    /// What a mined attempt came to, as far as blocks up to `deep` are believed.
    fn receipt(&self, attempt: &Signed, deep: u64) -> Result<Option<Outcome>, ChainError> {
        let hash = attempt.hash;
        let named = json!([hex::text(&hash)]);
        let receipt = self.node.ask("eth_getTransactionReceipt", named)?;
        if receipt.is_null() {
            return Ok(None);
        }
        let number =
            |field: &'static str| hex::small(&receipt[field]).ok_or(ChainError::Malformed(field));
        let (block, status) = (number("blockNumber")?, number("status")?);
        Ok(Some(match (block <= deep, status) {
            (false, _) => Outcome::Pending,
            (true, 0) => Outcome::Reverted { hash },
            (true, _) => Outcome::Mined { hash, block },
        }))
    }

    fn is_known(&self, signed: &Signed) -> Result<bool, ChainError> {
        let named = json!([hex::text(&signed.hash)]);
        let found = self.node.ask("eth_getTransactionByHash", named)?;
        Ok(!found.is_null())
    }

    fn nonce(&self, of: Address, at: &str) -> Result<u64, ChainError> {
        self.node.small("eth_getTransactionCount", json!([of, at]))
    }

    /// What to offer now.
    fn fees(&self) -> Result<Fees, ChainError> {
        let block = self
            .node
            .ask("eth_getBlockByNumber", json!(["latest", false]))?;
        let base = hex::quantity(&block["baseFeePerGas"]);
        let base = base.ok_or(ChainError::Malformed("baseFeePerGas"))?;
        let tip = self.node.number("eth_maxPriorityFeePerGas", json!([]))?;
        Fees::of(base, tip, self.fee_max)
    }

    /// One number from a contract.
    fn read(&self, contract: Address, data: &[u8], what: &'static str) -> Result<u128, ChainError> {
        let shape: Value = json!({"to": contract, "data": hex::text(data)});
        let answer = self.node.bytes("eth_call", json!([shape, "latest"]))?;
        if answer.is_empty() {
            self.demand_contract(contract)?;
        }
        call::read_number(&answer).ok_or(ChainError::Malformed(what))
    }

    fn demand_contract(&self, address: Address) -> Result<(), ChainError> {
        let code = self.node.bytes("eth_getCode", json!([address, "latest"]))?;
        match code.is_empty() {
            true => Err(ChainError::NoContract(address)),
            false => Ok(()),
        }
    }

    fn demand_ether(&self, signed: &Signed) -> Result<(), ChainError> {
        let (found, needed) = (self.native(signed.from)?, signed.cost_max());
        match found < needed {
            true => Err(ChainError::NoEther { found, needed }),
            false => Ok(()),
        }
    }

    fn demand_ours(&self, signed: &Signed) -> Result<(), ChainError> {
        match (signed.chain_id == self.chain_id, signed.is_whole()) {
            (true, true) => Ok(()),
            (false, _) => Err(ChainError::Misused("a transaction of another chain")),
            (_, false) => Err(ChainError::Bent(signed.nonce)),
        }
    }
}
