//! Why the chain gave nothing, by whose fault it is, and what to do.
//!
//! Promises: a node is named by its host alone, as the path of its address may be a key.

use crate::config::UrlFault;
use crate::keys::ceremony::Address;
use std::fmt;

/// A node's code for too many requests (EIP-1474).
const CODE_LIMIT: i64 = -32_005;

/// Why a question or a transaction came to nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChainError {
    /// Ours: the extra root certificate is not PEM.
    BadCertificate,
    /// Ours: the node's address is none.
    BadUrl(UrlFault),
    /// Ours: a call of this room that makes no sense, in words.
    Misused(&'static str),
    /// Ours: a transaction's fields, bytes and signature do not belong together: what was written
    /// down was changed. Its nonce.
    Bent(u64),
    /// Ours: the node is of another chain than L1_CHAIN_ID says.
    WrongChain {
        /// L1_CHAIN_ID.
        wanted: u64,
        /// The node's.
        found: u64,
    },
    /// The network's, or the node's: no answer.
    Network {
        /// The node's host.
        host: String,
        /// In words.
        why: String,
    },
    /// The node's: an HTTP status that is no answer (401 and 403: its key; 429: too many requests).
    Status {
        /// The node's host.
        host: String,
        /// HTTP status.
        status: u16,
    },
    /// The node refused, with its own code and words.
    Refused {
        /// What was asked.
        method: &'static str,
        /// The node's code (JSON-RPC).
        code: i64,
        /// The node's message.
        message: String,
    },
    /// The node's: an answer that can't be read.
    Malformed(&'static str),
    /// The token's: it says no to an approval, without a reason.
    NotGranted(Address),
    /// The contract refuses this call, in its own words: nothing was sent.
    WouldRevert(String),
    /// Nothing stands at the address: a call would succeed and do nothing.
    NoContract(Address),
    /// The call would take more gas than anything of ours ever should.
    Gas {
        /// The node's estimate.
        found: u64,
        /// Our bound.
        most: u64,
    },
    /// The chain is dearer now than L1_FEE_MAX_GWEI. Wei a gas.
    Dear {
        /// What the next block may ask.
        found: u128,
        /// What is allowed.
        most: u128,
    },
    /// The wallet can't pay for the transaction. Wei.
    NoEther {
        /// What it has.
        found: u128,
        /// What the transaction may cost.
        needed: u128,
    },
}

impl ChainError {
    /// Whether asking again later, with nothing changed by anybody, may help.
    pub fn is_passing(&self) -> bool {
        match self {
            ChainError::Network { .. } | ChainError::Malformed(_) | ChainError::Dear { .. } => true,
            ChainError::Status { status, .. } => *status == 429 || *status >= 500,
            ChainError::Refused { code, .. } => *code == CODE_LIMIT,
            _ => false,
        }
    }
}

impl fmt::Display for ChainError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ChainError::BadCertificate => f.write_str("our extra root certificate is not PEM"),
            ChainError::BadUrl(fault) => write!(f, "L1_RPC_URL {fault}"),
            ChainError::Misused(why) => write!(f, "the chain was asked wrongly: {why}"),
            ChainError::Bent(nonce) => write!(
                f,
                "transaction {nonce} is not what was signed, so nothing was sent\n    fix: bring \
                 back the file it was read from"
            ),
            ChainError::WrongChain { wanted, found } => write!(
                f,
                "the node is of chain {found}, and L1_CHAIN_ID is {wanted}: nothing was sent\n    \
                 fix: give the address of a node of chain {wanted} as L1_RPC_URL"
            ),
            ChainError::Network { host, why } => {
                write!(f, "the node at {host} gives no answer: {why}")
            }
            ChainError::Status { host, status } => {
                let fix = match status {
                    401 | 403 => "check the key in L1_RPC_URL",
                    429 => "wait, or use a node that takes more requests",
                    _ => "check L1_RPC_URL, or use another node",
                };
                write!(
                    f,
                    "the node at {host} answers HTTP {status}\n    fix: {fix}"
                )
            }
            ChainError::Refused {
                method,
                code,
                message,
            } => write!(f, "the node refused {method}: {message} (code {code})"),
            ChainError::Malformed(what) => write!(f, "the node's answer has no usable {what}"),
            ChainError::NotGranted(token) => {
                write!(f, "the token {token} would say no, so nothing was sent")
            }
            ChainError::WouldRevert(reason) => {
                write!(
                    f,
                    "the contract would refuse, so nothing was sent: {reason}"
                )
            }
            ChainError::NoContract(address) => write!(
                f,
                "there is no contract at {address}, so nothing was sent\n    fix: check that \
                 L1_CHAIN_ID is the chain the venue means"
            ),
            ChainError::Gas { found, most } => write!(
                f,
                "the call would take {found} gas, more than {most}, so nothing was sent"
            ),
            ChainError::Dear { found, most } => write!(
                f,
                "the chain asks {} gwei a gas, more than {}, so nothing was sent\n    fix: wait, \
                 or raise L1_FEE_MAX_GWEI",
                decimal(*found, 9),
                decimal(*most, 9)
            ),
            ChainError::NoEther { found, needed } => write!(
                f,
                "the wallet has {} ETH for fees and the transaction may cost {}, so nothing was \
                 sent\n    fix: send ether to the wallet",
                decimal(*found, 18),
                decimal(*needed, 18)
            ),
        }
    }
}

impl std::error::Error for ChainError {}

/// An amount of the smallest unit as the decimal number people say, exact.
fn decimal(amount: u128, decimals: u32) -> String {
    let one = 10_u128.pow(decimals);
    let text = format!(
        "{}.{:0width$}",
        amount / one,
        amount % one,
        width = decimals as usize
    );
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_told_exactly() {
        for (amount, decimals, text) in [
            (0, 9, "0"),
            (1, 9, "0.000000001"),
            (1_500_000_000, 9, "1.5"),
            (30_000_000_000, 9, "30"),
            (1_000_000_000_000_000_001, 18, "1.000000000000000001"),
        ] {
            assert_eq!(decimal(amount, decimals), text);
        }
    }
}
