//! Message hashes: SNIP-12 structs over Poseidon, as the venue's settlement layer checks them.
//!
//! Promises: the venue's hashes, checked against its vectors; 7 permutations an order, no
//! allocation. `Felt` goes in and comes out; inside are the room's own elements, which are the
//! same limbs.
//! Refuses nothing: every input is a field element; ranges are the caller's duty (`amounts`).
//!
//! Sources: entries S1 and S2 of the venue's list; SNIP-12. Vectors:
//! `tests/signatures/extended.rs`.

use super::Felt;
use super::field::Element;
use super::hades::permute;

// How a message is hashed
//
// The idea: a message is `poseidon("StarkNet Message", domain, public key, struct)` and a struct is
// `poseidon(type selector, members..)`. Poseidon is a sponge: it adds two elements to the first two
// lanes of its state, permutes, and takes the next two; a list is closed by a one, and a zero if
// that is needed to make pairs. The answer is the first lane.
//
// The trick: the first pair of both lists (selector and position; prefix and domain) never changes
// for an account. The states after them are kept, and 7 of 9 permutations remain an order.
//
// Left out: keeping the state after the base asset's pair too, which would need the amount fixed
// ahead; and hashing the struct of one order beside another's (two permutations interleave well),
// because on the path there is one order.

/// Low 250 bits of Keccak-256 of `"Order"(..)`, S2.
const ORDER_SELECTOR: Felt =
    Felt::from_hex_unchecked("0x36da8d51815527cabfaa9c982f564c80fa7429616739306036f1f9b608dd112");
/// The same of `"LimitOrder"(..)`.
const LIMIT_ORDER_SELECTOR: Felt =
    Felt::from_hex_unchecked("0x3c79b3b5997e78a29ab2fb5e8bc8244f222c5e01ae914c10f956bd0f805199a");
/// The same of `"TransferArgs"(..)`.
const TRANSFER_SELECTOR: Felt =
    Felt::from_hex_unchecked("0x1db88e2709fdf2c59e651d141c3296a42b209ce770871b40413ea109846a3b4");
/// The same of `"WithdrawArgs"(..)`.
const WITHDRAW_SELECTOR: Felt =
    Felt::from_hex_unchecked("0x250a5fa378e8b771654bd43dcb34844534f9d1e29e16b14760d7936ea7f4b1d");
/// The same of `"StarknetDomain"(..)`.
const DOMAIN_SELECTOR: Felt =
    Felt::from_hex_unchecked("0x1ff2f602e42168014d405a94f75e8a93d640751d71d16311266e140d8b0a210");
/// The ASCII text `StarkNet Message`.
const MESSAGE_PREFIX: Felt = Felt::from_hex_unchecked("0x537461726b4e6574204d657373616765");
/// The ASCII text `Perpetuals`, the domain's name.
const DOMAIN_NAME: Felt = Felt::from_hex_unchecked("0x50657270657475616c73");
/// The ASCII text `v0`, the domain's version.
const DOMAIN_VERSION: Felt = Felt::from_hex_unchecked("0x7630");

/// Which Starknet the signatures are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Chain {
    /// Mainnet.
    Main,
    /// The test network.
    Sepolia,
}

impl Chain {
    /// From the venue's own text, `SN_MAIN` or `SN_SEPOLIA`.
    pub fn parse(text: &str) -> Option<Chain> {
        match text {
            "SN_MAIN" => Some(Chain::Main),
            "SN_SEPOLIA" => Some(Chain::Sepolia),
            _ => None,
        }
    }

    /// The chain id as a short text in a field element.
    const fn id(self) -> Felt {
        match self {
            Chain::Main => Felt::from_hex_unchecked("0x534e5f4d41494e"),
            Chain::Sepolia => Felt::from_hex_unchecked("0x534e5f5345504f4c4941"),
        }
    }

    /// Hash of the signing domain. The revision is the number 1, not its text.
    pub fn domain_hash(self) -> Felt {
        hash_list([
            felt(DOMAIN_SELECTOR),
            felt(DOMAIN_NAME),
            felt(DOMAIN_VERSION),
            felt(self.id()),
            Element::ONE,
        ])
    }
}

/// What an order's hash covers, beside the account.
#[derive(Clone, Copy, Debug)]
pub struct OrderTerms {
    /// `syntheticId` of the market.
    pub base_asset: Felt,
    /// Signed base amount.
    pub base_amount: i64,
    /// `collateralId` of the market; also the fee's asset.
    pub quote_asset: Felt,
    /// Signed quote amount, of the other sign.
    pub quote_amount: i64,
    /// Highest fee.
    pub fee_amount: u64,
    /// Signed expiration in epoch seconds: 14 days after the order's own expiry.
    pub expiration_s: u64,
    /// The request's `nonce`.
    pub salt: u64,
}

/// The account-wide part of every hash, computed once.
#[derive(Clone, Debug)]
pub struct OrderHasher {
    /// After selector and vault.
    order_state: State,
    /// After prefix and domain.
    message_state: State,
    public_key: Element,
}

impl OrderHasher {
    /// For one account: its chain, its public key and its vault (position id).
    pub fn new(chain: Chain, public_key: Felt, vault: u32) -> OrderHasher {
        let mut order_state = EMPTY;
        absorb(&mut order_state, felt(ORDER_SELECTOR), number(vault.into()));
        let mut message_state = EMPTY;
        absorb(
            &mut message_state,
            felt(MESSAGE_PREFIX),
            felt(chain.domain_hash()),
        );
        OrderHasher {
            order_state,
            message_state,
            public_key: felt(public_key),
        }
    }

    /// Hash of the order struct alone.
    pub fn struct_hash(&self, terms: &OrderTerms) -> Felt {
        self.order_struct(terms).to_felt()
    }

    /// The message hash that is signed.
    pub fn order_hash(&self, terms: &OrderTerms) -> Felt {
        self.message(self.order_struct(terms)).to_felt()
    }

    /// The message hash of any struct of this account.
    pub fn message_hash(&self, struct_hash: Felt) -> Felt {
        self.message(felt(struct_hash)).to_felt()
    }

    fn order_struct(&self, terms: &OrderTerms) -> Element {
        let mut state = self.order_state;
        let quote_asset = felt(terms.quote_asset);
        absorb(
            &mut state,
            felt(terms.base_asset),
            signed(terms.base_amount),
        );
        absorb(&mut state, quote_asset, signed(terms.quote_amount));
        absorb(&mut state, quote_asset, number(terms.fee_amount));
        absorb(&mut state, number(terms.expiration_s), number(terms.salt));
        // Ten elements: the padding of an even list is a pair of its own.
        absorb(&mut state, Element::ONE, Element::ZERO);
        state[0]
    }

    fn message(&self, struct_hash: Element) -> Element {
        let mut state = self.message_state;
        absorb(&mut state, self.public_key, struct_hash);
        absorb(&mut state, Element::ONE, Element::ZERO);
        state[0]
    }
}

/// The sponge's three lanes.
type State = [Element; 3];
/// The sponge before anything was absorbed.
const EMPTY: State = [Element::ZERO; 3];

/// Adds one pair to the state and permutes. Takes elements of at most 2P, on a state below 2u.
#[inline]
fn absorb(state: &mut State, first: Element, second: Element) {
    state[0] = state[0].plus(&first);
    state[1] = state[1].plus(&second);
    permute(state);
}

/// Hash of a whole list.
fn hash_list<const COUNT: usize>(list: [Element; COUNT]) -> Felt {
    let mut state = EMPTY;
    let (pairs, rest) = list.as_chunks();
    for &[first, second] in pairs {
        absorb(&mut state, first, second);
    }
    match rest {
        [last] => absorb(&mut state, *last, Element::ONE),
        _ => absorb(&mut state, Element::ONE, Element::ZERO),
    }
    state[0].to_felt()
}

#[inline]
fn felt(value: Felt) -> Element {
    Element::from_felt(value)
}

#[inline]
fn number(value: u64) -> Element {
    Element::from_u64(value)
}

#[inline]
fn signed(value: i64) -> Element {
    Element::from_i64(value)
}

/// Struct hash of a vault-share order: source and receiving position are the same vault.
pub fn limit_order_hash(vault: u32, terms: &OrderTerms) -> Felt {
    hash_list([
        felt(LIMIT_ORDER_SELECTOR),
        number(vault.into()),
        number(vault.into()),
        felt(terms.base_asset),
        signed(terms.base_amount),
        felt(terms.quote_asset),
        signed(terms.quote_amount),
        felt(terms.quote_asset),
        number(terms.fee_amount),
        number(terms.expiration_s),
        number(terms.salt),
    ])
}

/// What a transfer's or withdrawal's hash covers.
#[derive(Clone, Copy, Debug)]
pub struct MoveTerms {
    /// Receiving position, or receiving Starknet address for a withdrawal.
    pub recipient: Felt,
    /// Paying vault.
    pub vault: u32,
    /// Asset id of the collateral.
    pub asset: Felt,
    /// Amount in the settlement layer's units.
    pub amount: u64,
    /// Expiration in epoch seconds.
    pub expiration_s: u64,
    /// Salt.
    pub salt: u64,
}

/// Struct hash of a transfer between vaults.
pub fn transfer_hash(terms: &MoveTerms) -> Felt {
    move_hash(TRANSFER_SELECTOR, terms)
}

/// Struct hash of a withdrawal.
pub fn withdraw_hash(terms: &MoveTerms) -> Felt {
    move_hash(WITHDRAW_SELECTOR, terms)
}

fn move_hash(selector: Felt, terms: &MoveTerms) -> Felt {
    hash_list([
        felt(selector),
        felt(terms.recipient),
        number(terms.vault.into()),
        felt(terms.asset),
        number(terms.amount),
        number(terms.expiration_s),
        number(terms.salt),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use sha3::{Digest, Keccak256};
    use starknet_crypto::poseidon_hash_many;

    const TAIL: &str = concat!(
        r#""PositionId"("value":"u32")"AssetId"("value":"felt")"#,
        r#""Timestamp"("seconds":"u64")"#
    );

    /// Keccak-256 of the type text, lowest 250 bits: the selectors are recomputed, not believed.
    fn selector(text: &str) -> Felt {
        let mut digest: [u8; 32] = Keccak256::digest(text.as_bytes()).into();
        digest[0] &= 0x03;
        Felt::from_bytes_be(&digest)
    }

    #[test]
    fn selectors_follow_from_their_texts() {
        let order = concat!(
            r#"("base_asset_id":"AssetId","base_amount":"i64","quote_asset_id":"AssetId","#,
            r#""quote_amount":"i64","fee_asset_id":"AssetId","fee_amount":"u64","#,
            r#""expiration":"Timestamp","salt":"felt")"#
        );
        let members = &order[1..];
        let text = format!(r#""Order"("position_id":"felt",{members}{TAIL}"#);
        assert_eq!(selector(&text), ORDER_SELECTOR);
        let positions = r#""source_position":"PositionId","receive_position":"PositionId""#;
        let text = format!(r#""LimitOrder"({positions},{members}{TAIL}"#);
        assert_eq!(selector(&text), LIMIT_ORDER_SELECTOR);
        let rest = concat!(
            r#""position_id":"PositionId","collateral_id":"AssetId","amount":"u64","#,
            r#""expiration":"Timestamp","salt":"felt")"#
        );
        let text = format!(r#""TransferArgs"("recipient":"PositionId",{rest}{TAIL}"#);
        assert_eq!(selector(&text), TRANSFER_SELECTOR);
        let text = format!(r#""WithdrawArgs"("recipient":"ContractAddress",{rest}{TAIL}"#);
        assert_eq!(selector(&text), WITHDRAW_SELECTOR);
        let text = concat!(
            r#""StarknetDomain"("name":"shortstring","version":"shortstring","#,
            r#""chainId":"shortstring","revision":"shortstring")"#
        );
        assert_eq!(selector(text), DOMAIN_SELECTOR);
    }

    #[test]
    fn domains_are_the_published_ones() {
        assert_eq!(
            Chain::Main.domain_hash(),
            Felt::from_hex_unchecked(
                "0x38d7910d4785470e8138ba27e6130abe78124c7f39b2af4c28a5a426e631b79"
            )
        );
        assert_eq!(
            Chain::parse("SN_SEPOLIA").map(Chain::domain_hash),
            Some(Felt::from_hex_unchecked(
                "0x62a6f0272bbf7ebbc25bf7432754da4522ff6d54a9c1015f3d4248a0b3941e7"
            ))
        );
        assert_eq!(Chain::parse("sn_main"), None);
    }

    /// The order's members as the definition lists them.
    fn members(vault: u32, terms: &OrderTerms) -> [Felt; 9] {
        [
            Felt::from(vault),
            terms.base_asset,
            Felt::from(terms.base_amount),
            terms.quote_asset,
            Felt::from(terms.quote_amount),
            terms.quote_asset,
            Felt::from(terms.fee_amount),
            Felt::from(terms.expiration_s),
            Felt::from(terms.salt),
        ]
    }

    fn check(public_key: Felt, vault: u32, terms: &OrderTerms) {
        let hasher = OrderHasher::new(Chain::Main, public_key, vault);
        let mut list = vec![ORDER_SELECTOR];
        list.extend(members(vault, terms));
        let whole = poseidon_hash_many(&list);
        assert_eq!(hasher.struct_hash(terms), whole);
        let domain = Chain::Main.domain_hash();
        let message = poseidon_hash_many(&[MESSAGE_PREFIX, domain, public_key, whole]);
        assert_eq!(hasher.order_hash(terms), message);
        assert_eq!(hasher.message_hash(whole), message);
        let mut list = vec![LIMIT_ORDER_SELECTOR, Felt::from(vault)];
        list.extend(members(vault, terms));
        assert_eq!(limit_order_hash(vault, terms), poseidon_hash_many(&list));
    }

    #[test]
    fn ends_of_every_range() {
        let top = Felt::ZERO - Felt::ONE;
        for (amount, number) in [(0, 0), (i64::MIN, u64::MAX), (i64::MAX, 1), (-1, 2)] {
            check(
                top,
                u32::MAX,
                &OrderTerms {
                    base_asset: top,
                    base_amount: amount,
                    quote_asset: top,
                    quote_amount: amount.wrapping_neg(),
                    fee_amount: number,
                    expiration_s: number,
                    salt: number,
                },
            );
        }
    }

    proptest! {
        /// Kept states and own arithmetic change nothing: the crate's hash of the whole list.
        #[test]
        fn equals_the_hash_of_the_list(
            (key, base_asset, quote_asset) in any::<([u8; 32], [u8; 32], [u8; 32])>(),
            (base_amount, quote_amount) in any::<(i64, i64)>(),
            (vault, fee_amount, expiration_s, salt) in any::<(u32, u64, u64, u64)>(),
        ) {
            check(
                Felt::from_bytes_be(&key),
                vault,
                &OrderTerms {
                    base_asset: Felt::from_bytes_be(&base_asset),
                    base_amount,
                    quote_asset: Felt::from_bytes_be(&quote_asset),
                    quote_amount,
                    fee_amount,
                    expiration_s,
                    salt,
                },
            );
        }
    }
}
