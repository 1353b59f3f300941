//! The calls we make to contracts, and their answers, as bytes: Ethereum's ABI.
//!
//! Every argument is one word of 32 bytes, so that a call is a selector and its words; a library
//! that can do more would be two dozen packages. The judges are contracts that Solidity's own
//! compiler made (`tests/chain.rs`).
//!
//! Sources: the *Contract ABI Specification* of Solidity's documentation; EIP-20; Lighter's
//! contract as it stands on Ethereum (its selectors); Rhino.fi's documentation, *Bridge*, and
//! Extended's, *Deposits*.

use super::hex::{digits, hex32};
use crate::keys::ceremony::Address;
use serde::{Deserialize, Serialize};

/// An argument or an answer.
type Word = [u8; 32];
/// What a function is called by: the first bytes of the hash of its name and types.
type Selector = [u8; 4];

/// `approve(address,uint256)`.
const APPROVE: Selector = [0x09, 0x5e, 0xa7, 0xb3];
/// `balanceOf(address)`.
const BALANCE: Selector = [0x70, 0xa0, 0x82, 0x31];
/// `allowance(address,address)`.
const ALLOWANCE: Selector = [0xdd, 0x62, 0xed, 0x3e];
/// `deposit(address,uint16,uint8,uint256)`.
const LIGHTER_DEPOSIT: Selector = [0x8a, 0x85, 0x70, 0x83];
/// `withdrawPendingBalance(address,uint16,uint128)`.
const LIGHTER_CLAIM: Selector = [0x2f, 0x25, 0x80, 0x7e];
/// `getPendingBalance(address,uint16)`.
const LIGHTER_PENDING: Selector = [0xd1, 0xcb, 0xc6, 0x4f];
/// `depositWithId(address,uint256,uint256)`.
const BRIDGE_DEPOSIT: Selector = [0x27, 0x00, 0xbb, 0xaf];
/// `Error(string)`, what `require` reverts with.
const ERROR: Selector = [0x08, 0xc3, 0x79, 0xa0];
/// `Panic(uint256)`, what broken arithmetic reverts with.
const PANIC: Selector = [0x4e, 0x48, 0x7b, 0x71];
/// Longest reason that is told. A contract can write anything there.
const REASON_BYTES_MAX: usize = 200;

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
        #[serde(with = "digits")]
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
        #[serde(with = "digits")]
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
        #[serde(with = "digits")]
        amount: u128,
    },
    /// A deposit to Extended over its bridge, of what was approved.
    ExtendedDeposit {
        /// The bridge's contract.
        bridge: Address,
        /// The token.
        token: Address,
        /// Exactly the quoted amount: the bridge can't give back what is not.
        #[serde(with = "digits")]
        amount: u128,
        /// The quote's number.
        #[serde(with = "hex32")]
        commitment: [u8; 32],
    },
}

impl Call {
    /// The contract that is called.
    pub fn to(&self) -> Address {
        match self {
            Call::Approve { token, .. } => *token,
            Call::LighterDeposit { contract, .. } | Call::LighterClaim { contract, .. } => {
                *contract
            }
            Call::ExtendedDeposit { bridge, .. } => *bridge,
        }
    }

    /// What the contract is given.
    pub(super) fn data(&self) -> Vec<u8> {
        match *self {
            Call::Approve {
                spender, amount, ..
            } => encode(APPROVE, &[address(spender), number(amount)]),
            Call::LighterDeposit {
                to,
                asset,
                route,
                amount,
                ..
            } => {
                let (asset, route) = (number(asset.into()), number(route.into()));
                encode(
                    LIGHTER_DEPOSIT,
                    &[address(to), asset, route, number(amount)],
                )
            }
            Call::LighterClaim {
                owner,
                asset,
                amount,
                ..
            } => {
                let words = [address(owner), number(asset.into()), number(amount)];
                encode(LIGHTER_CLAIM, &words)
            }
            Call::ExtendedDeposit {
                token,
                amount,
                commitment,
                ..
            } => encode(
                BRIDGE_DEPOSIT,
                &[address(token), number(amount), commitment],
            ),
        }
    }

    /// Whether what the call gives back means yes. Tokens that give nothing back revert instead of
    /// saying no; what the other contracts give back means nothing.
    pub(super) fn is_granted(&self, answer: &[u8]) -> bool {
        let is_token = matches!(self, Call::Approve { .. });
        !is_token || answer.is_empty() || read_number(answer).is_some_and(|yes| yes != 0)
    }
}

/// Asks a token what somebody has.
pub(super) fn balance(of: Address) -> Vec<u8> {
    encode(BALANCE, &[address(of)])
}

/// Asks a token what somebody may still take from somebody.
pub(super) fn allowance(owner: Address, spender: Address) -> Vec<u8> {
    encode(ALLOWANCE, &[address(owner), address(spender)])
}

/// Asks Lighter's contract what waits for somebody.
pub(super) fn claimable(owner: Address, asset: u16) -> Vec<u8> {
    encode(LIGHTER_PENDING, &[address(owner), number(asset.into())])
}

/// One word as a number. What is beyond our numbers counts as the largest of them: an approval
/// without end is such a one.
pub(super) fn read_number(answer: &[u8]) -> Option<u128> {
    let word = Word::try_from(answer).ok()?;
    let (high, low) = word.split_at(16);
    let is_beyond = high.iter().any(|byte| *byte != 0);
    let low = u128::from_be_bytes(low.try_into().expect("half a word is 16 bytes"));
    Some(if is_beyond { u128::MAX } else { low })
}

/// Why a contract reverted, in its words where it has any.
pub(super) fn read_reason(data: &[u8]) -> String {
    let Some((selector, rest)) = data.split_first_chunk::<4>() else {
        return "it gives no reason".to_owned();
    };
    match *selector {
        ERROR => read_text(rest).unwrap_or_else(|| "its reason can't be read".to_owned()),
        PANIC => match rest
            .try_into()
            .ok()
            .and_then(|word: Word| read_number(&word))
        {
            Some(code) => format!("its code panics (0x{code:02x})"),
            None => "its code panics".to_owned(),
        },
        _ => format!(
            "error 0x{} of its own",
            crate::keys::ceremony::hex(selector)
        ),
    }
}

/// A text as the only argument: where it begins, its length, its bytes. A contract's text is shown
/// to people, so that what can't be printed is left out.
fn read_text(arguments: &[u8]) -> Option<String> {
    let word_at = |at: usize| arguments.get(at..at.checked_add(32)?).and_then(read_number);
    let at = usize::try_from(word_at(0)?).ok()?;
    let length = usize::try_from(word_at(at)?).ok()?;
    let from = at.checked_add(32)?;
    let text = arguments.get(from..from.checked_add(length)?)?;
    let text = String::from_utf8_lossy(&text[..length.min(REASON_BYTES_MAX)]);
    Some(text.chars().filter(|c| !c.is_control()).collect())
}

fn encode(selector: Selector, words: &[Word]) -> Vec<u8> {
    let mut data = selector.to_vec();
    data.extend(words.iter().flatten());
    data
}

fn address(address: Address) -> Word {
    let mut word = [0; 32];
    word[12..].copy_from_slice(&address.0);
    word
}

fn number(number: u128) -> Word {
    let mut word = [0; 32];
    word[16..].copy_from_slice(&number.to_be_bytes());
    word
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::ceremony::{hex, keccak256};
    use proptest::prelude::*;

    const A: Address = Address([0xaa; 20]);
    const B: Address = Address([0xbb; 20]);

    #[test]
    fn selectors_are_of_their_names() {
        for (selector, name) in [
            (APPROVE, "approve(address,uint256)"),
            (BALANCE, "balanceOf(address)"),
            (ALLOWANCE, "allowance(address,address)"),
            (LIGHTER_DEPOSIT, "deposit(address,uint16,uint8,uint256)"),
            (
                LIGHTER_CLAIM,
                "withdrawPendingBalance(address,uint16,uint128)",
            ),
            (LIGHTER_PENDING, "getPendingBalance(address,uint16)"),
            (BRIDGE_DEPOSIT, "depositWithId(address,uint256,uint256)"),
            (ERROR, "Error(string)"),
            (PANIC, "Panic(uint256)"),
        ] {
            let hash = keccak256(name.as_bytes());
            assert_eq!(hex(&selector), hex(&hash[..4]), "{name}");
        }
    }

    #[test]
    fn a_deposit_word_by_word() {
        let call = Call::LighterDeposit {
            contract: A,
            to: B,
            asset: 3,
            route: 1,
            amount: 1_000_000,
        };
        let wanted = [
            "8a857083".to_owned(),
            format!("{}{}", "0".repeat(24), "b".repeat(40)),
            format!("{:064x}", 3),
            format!("{:064x}", 1),
            format!("{:064x}", 1_000_000),
        ];
        assert_eq!((hex(&call.data()), call.to()), (wanted.concat(), A));
    }

    #[test]
    fn reasons_are_told() {
        let text = |words: &[Word], tail: &[u8]| {
            let mut data = encode(ERROR, words);
            data.extend(tail);
            read_reason(&data)
        };
        assert_eq!(text(&[number(32), number(2)], b"no\0\0"), "no");
        assert_eq!(text(&[number(32), number(3)], b"n\x1bo\0"), "no");
        let unread = "its reason can't be read";
        for words in [
            &[][..],
            &[number(32)],
            &[number(32), number(99)],
            &[number(u128::MAX)],
            &[number(32), number(u128::MAX)],
            &[number(usize::MAX as u128), number(2)],
        ] {
            assert_eq!(text(words, b""), unread, "{words:?}");
        }
        for (data, told) in [
            (vec![], "it gives no reason"),
            (encode(PANIC, &[number(0x11)]), "its code panics (0x11)"),
            (encode(PANIC, &[]), "its code panics"),
            (vec![0xde, 0xad, 0xbe, 0xef], "error 0xdeadbeef of its own"),
        ] {
            assert_eq!(read_reason(&data), told);
        }
    }

    #[test]
    fn a_token_that_says_no_is_heard() {
        let approve = Call::Approve {
            token: A,
            spender: B,
            amount: 1,
        };
        for (answer, is_granted) in [
            (vec![], true),
            (number(1).to_vec(), true),
            (number(0).to_vec(), false),
            (vec![1], false),
        ] {
            assert_eq!(approve.is_granted(&answer), is_granted, "{answer:?}");
        }
    }

    proptest! {
        #[test]
        fn numbers_come_back_and_reasons_never_fail(
            value in any::<u128>(),
            data in prop::collection::vec(any::<u8>(), 0..200),
        ) {
            prop_assert_eq!(read_number(&number(value)), Some(value));
            let mut beyond = number(value);
            beyond[0] = 1;
            prop_assert_eq!(read_number(&beyond), Some(u128::MAX));
            read_reason(&data);
            read_reason(&[&ERROR[..], &data].concat());
        }
    }
}
