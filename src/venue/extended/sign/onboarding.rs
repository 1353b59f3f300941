//! Onboarding from an Ethereum key: what that key signs, and the Stark key that follows from it.
//!
//! Two EIP-712 messages. The signature of `AccountCreation` is the seed of the Stark key, so the
//! same wallet, index and domain always give the same key; that signature is as secret as the key.
//! The signature of `AccountRegistration` goes to the venue with the Stark key's own signature of
//! the wallet. Texts and request bodies are made in `keys/onboarding.rs`.
//!
//! Promises: every field is bound by the digest; deriving a key takes no branch on a secret but
//! whether a candidate is refused, which one in 32 is, and says nothing about the one taken.
//! Refuses: a message without acceptance of the terms of service; the venue wants it in both.
//!
//! Sources: entries D1 and S1 (`signing.onboarding`) of the venue's list; EIP-712.
//! Vectors: `tests/data/extended/extended_onboarding.json`.

use super::limbs::{Limbs, select, subtract_borrow};
use super::scalar::ORDER;
use super::{Felt, integer_of, pedersen_hash};
use sha2::{Digest, Sha256};
use sha3::Keccak256;
use zeroize::{Zeroize, Zeroizing};

/// The EIP-712 type of the domain: a name, and neither version, chain nor contract.
const DOMAIN_TYPE: &str = "EIP712Domain(string name)";
const CREATION_TYPE: &str = "AccountCreation(int8 accountIndex,address wallet,bool tosAccepted)";
const REGISTRATION_TYPE: &str = "AccountRegistration(int8 accountIndex,address wallet,\
    bool tosAccepted,string time,string action,string host)";
/// How often the group order goes into 2^256. A candidate at or above this many orders would make
/// small keys likelier and is refused.
const ORDERS_WHOLE: u64 = 31;

/// The message whose signature the Stark key is made from. Signing it accepts the venue's terms of
/// service: ask first.
#[derive(Clone, Copy, Debug)]
pub struct AccountCreation {
    /// 0 is the main account, others are sub-accounts. The venue's type is int8.
    pub account_index: i8,
    /// Address of the Ethereum key.
    pub wallet: [u8; 20],
}

impl AccountCreation {
    /// EIP-712 `hashStruct`.
    pub fn struct_hash(&self) -> [u8; 32] {
        self.begin(CREATION_TYPE).finalize().into()
    }

    /// The type and the members that both messages share.
    fn begin(&self, type_text: &str) -> Keccak256 {
        Keccak256::new()
            .chain_update(keccak(type_text.as_bytes()))
            .chain_update(index_word(self.account_index))
            .chain_update(address_word(&self.wallet))
            .chain_update(TRUE_WORD)
    }
}

/// What a registration asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// The first account of a wallet.
    Register,
    /// One more account of a wallet that is registered.
    CreateSubAccount,
}

impl Action {
    /// As the venue writes it.
    pub fn text(self) -> &'static str {
        match self {
            Action::Register => "REGISTER",
            Action::CreateSubAccount => "CREATE_SUB_ACCOUNT",
        }
    }
}

/// The message that registers an account; its values stand in the request as `accountCreation`.
#[derive(Clone, Copy, Debug)]
pub struct AccountRegistration<'a> {
    /// Whose account, and which.
    pub account: AccountCreation,
    /// UTC in whole seconds, `2026-11-22T09:00:00Z`.
    pub time: &'a str,
    /// What is asked for.
    pub action: Action,
    /// Base URL the request goes to, without a path.
    pub host: &'a str,
}

impl AccountRegistration<'_> {
    /// EIP-712 `hashStruct`.
    pub fn struct_hash(&self) -> [u8; 32] {
        let shared = self.account.begin(REGISTRATION_TYPE);
        let timed = shared.chain_update(keccak(self.time.as_bytes()));
        let asked = timed.chain_update(keccak(self.action.text().as_bytes()));
        asked
            .chain_update(keccak(self.host.as_bytes()))
            .finalize()
            .into()
    }
}

/// EIP-712 domain separator of a signing domain, such as `extended.exchange`.
pub fn domain_separator(signing_domain: &str) -> [u8; 32] {
    Keccak256::new()
        .chain_update(keccak(DOMAIN_TYPE.as_bytes()))
        .chain_update(keccak(signing_domain.as_bytes()))
        .finalize()
        .into()
}

/// What the Ethereum key signs, from a domain separator and a struct hash.
pub fn typed_digest(separator: &[u8; 32], struct_hash: &[u8; 32]) -> [u8; 32] {
    Keccak256::new()
        .chain_update([0x19, 0x01])
        .chain_update(separator)
        .chain_update(struct_hash)
        .finalize()
        .into()
}

/// The Stark private key, big endian, in `0..N`, from r of the signature of [`AccountCreation`].
///
/// SHA-256 of r and a counter, both without leading zero bytes, until the digest lies below the
/// largest multiple of the group order; the key is the remainder. Zero has a chance of 2^-251 and
/// is left to [`super::StarkKey::from_bytes`] to refuse.
pub fn grind(r: &[u8; 32]) -> Zeroizing<[u8; 32]> {
    let zeros = r.iter().take_while(|&&byte| byte == 0).count().min(31);
    let attempt = |counter: u8| {
        let hash = Sha256::new().chain_update(&r[zeros..]);
        let mut digest: [u8; 32] = hash.chain_update([counter]).finalize().into();
        let (orders, remainder) = divide_by_order(&digest);
        digest.zeroize();
        (orders < ORDERS_WHOLE).then_some(remainder)
    };
    (0..=u8::MAX)
        .find_map(attempt)
        .expect("256 candidates in a row are refused with a chance of 2^-1280")
}

/// What the Stark key signs to register: Pedersen hash of the wallet and the public key.
pub fn registration_message(wallet: &[u8; 20], public_key: Felt) -> Felt {
    pedersen_hash(Felt::from_bytes_be(&address_word(wallet)), public_key)
}

/// Quotient and remainder by the group order, in time that does not depend on the number: the
/// order times 16, 8, 4, 2, 1 is taken away where it fits, and the choice is a mask.
fn divide_by_order(number: &[u8; 32]) -> (u64, Zeroizing<[u8; 32]>) {
    let mut rest = Zeroizing::new(integer_of(number));
    let mut orders = 0;
    for shift in (0..5).rev() {
        let (less, borrow) = subtract_borrow(&rest, &shifted(&ORDER, shift));
        let fits = u64::from(!borrow);
        *rest = select(&rest, &less, fits.wrapping_neg());
        orders |= fits << shift;
    }
    (orders, Zeroizing::new(bytes_of(&rest)))
}

/// Big endian.
fn bytes_of(number: &Limbs) -> [u8; 32] {
    let mut bytes = [0; 32];
    for (chunk, limb) in bytes.as_chunks_mut().0.iter_mut().rev().zip(number) {
        *chunk = limb.to_be_bytes();
    }
    bytes
}

/// `number << by`; the caller knows that it fits. `by` is public and below 64.
fn shifted(number: &Limbs, by: u32) -> Limbs {
    let mut carry = 0;
    number.map(|limb| {
        let wide = (u128::from(limb) << by) | carry;
        carry = wide >> 64;
        wide as u64
    })
}

/// The ABI word of `true`.
const TRUE_WORD: [u8; 32] = index_word(1);

/// The ABI word of an int8: two's complement over all 32 bytes.
const fn index_word(index: i8) -> [u8; 32] {
    let mut word = [if index < 0 { 0xff } else { 0 }; 32];
    word[31] = index as u8;
    word
}

/// The ABI word of an address: the low 20 bytes.
fn address_word(address: &[u8; 20]) -> [u8; 32] {
    let mut word = [0; 32];
    word[12..].copy_from_slice(address);
    word
}

fn keccak(bytes: &[u8]) -> [u8; 32] {
    Keccak256::digest(bytes).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use num_bigint::BigUint;
    use proptest::prelude::*;

    const ACCOUNT: AccountCreation = AccountCreation {
        account_index: 4,
        wallet: [0xda; 20],
    };
    const REGISTRATION: AccountRegistration = AccountRegistration {
        account: ACCOUNT,
        time: "2026-08-10T23:13:52Z",
        action: Action::Register,
        host: "https://api.starknet.extended.exchange",
    };

    #[test]
    fn words() {
        for (index, first, last) in [(0, 0, 0), (4, 0, 4), (127, 0, 127), (-1, 255, 255)] {
            assert_eq!(index_word(index)[..31], [first; 31]);
            assert_eq!(index_word(index)[31], last);
        }
        assert_eq!(index_word(-128)[30..], [0xff, 0x80]);
        assert_eq!(address_word(&[7; 20])[11..13], [0, 7]);
    }

    /// The published check of the hash: `pedersen(1, 2)`, S2.
    #[test]
    fn pedersen() {
        let expected = Felt::from_hex_unchecked(
            "0x5bb9440e27889a364bcb678b1f679ecd1347acdedcbf36e83494f857cc58026",
        );
        let mut one = [0; 20];
        one[19] = 1;
        assert_eq!(registration_message(&one, Felt::TWO), expected);
        assert_eq!(pedersen_hash(Felt::ONE, Felt::TWO), expected);
    }

    #[test]
    fn an_r_of_zero_bytes_hashes_as_one_zero_byte() {
        let digest: [u8; 32] = Sha256::digest([0, 0]).into();
        let (orders, remainder) = divide_by_order(&digest);
        assert!(orders < ORDERS_WHOLE);
        assert_eq!(grind(&[0; 32]), remainder);
    }

    #[test]
    fn division_at_its_borders() {
        let order = bytes_of(&ORDER);
        assert_eq!(divide_by_order(&order), (1, Zeroizing::new([0; 32])));
        let mut below = order;
        below[31] -= 1;
        assert_eq!(divide_by_order(&below), (0, Zeroizing::new(below)));
        assert_eq!(divide_by_order(&[0; 32]), (0, Zeroizing::new([0; 32])));
        assert_eq!(divide_by_order(&[0xff; 32]).0, ORDERS_WHOLE);
    }

    #[test]
    fn some_candidates_are_refused() {
        let refused = (0..=255_u8).filter(|&seed| {
            let digest: [u8; 32] = Sha256::digest([seed, 0]).into();
            divide_by_order(&digest).0 == ORDERS_WHOLE
        });
        let seeds: Vec<u8> = refused.collect();
        // One in 32 of 256 seeds; the count is what SHA-256 makes it.
        assert!((2..=20).contains(&seeds.len()), "{seeds:?}");
        for seed in seeds {
            let mut r = [0; 32];
            r[31] = seed;
            let next = (1..9).find_map(|counter| {
                let digest: [u8; 32] = Sha256::digest([seed, counter]).into();
                let (orders, key) = divide_by_order(&digest);
                (orders < ORDERS_WHOLE).then_some(key)
            });
            assert_eq!(Some(grind(&r)), next);
        }
    }

    proptest! {
        #[test]
        fn division_is_that_of_big_integers(bytes in any::<[u8; 32]>()) {
            let (orders, remainder) = divide_by_order(&bytes);
            let number = BigUint::from_bytes_be(&bytes);
            let order = BigUint::from_bytes_be(&bytes_of(&ORDER));
            prop_assert_eq!(BigUint::from(orders), &number / &order);
            prop_assert_eq!(BigUint::from_bytes_be(remainder.as_slice()), number % order);
        }

        #[test]
        fn every_field_is_bound(
            index in any::<i8>(),
            byte in 0..20_usize,
            bit in 0..8_u32,
            text in "[ -~]{0,40}",
        ) {
            let separator = domain_separator("extended.exchange");
            let digest = |message: &AccountRegistration| {
                typed_digest(&separator, &message.struct_hash())
            };
            let mut wallet = ACCOUNT.wallet;
            wallet[byte] ^= 1 << bit;
            let other_wallet = AccountCreation { wallet, ..ACCOUNT };
            let other_index = AccountCreation { account_index: index, ..ACCOUNT };
            let whole = digest(&REGISTRATION);
            let by = |account| AccountRegistration { account, ..REGISTRATION };
            prop_assert_ne!(digest(&by(other_wallet)), whole);
            prop_assert_eq!(digest(&by(other_index)) == whole, index == ACCOUNT.account_index);
            let changed = AccountRegistration { time: &text, ..REGISTRATION };
            prop_assert_ne!(digest(&changed), whole);
            let changed = AccountRegistration { host: &text, ..REGISTRATION };
            prop_assert_ne!(digest(&changed), whole);
            let changed = AccountRegistration { action: Action::CreateSubAccount, ..REGISTRATION };
            prop_assert_ne!(digest(&changed), whole);
            let elsewhere = domain_separator(&text);
            prop_assert_ne!(typed_digest(&elsewhere, &REGISTRATION.struct_hash()), whole);

            let seed = ACCOUNT.struct_hash();
            prop_assert_ne!(seed, REGISTRATION.struct_hash());
            prop_assert_ne!(other_wallet.struct_hash(), seed);
            prop_assert_eq!(other_index.struct_hash() == seed, index == ACCOUNT.account_index);
        }
    }
}
