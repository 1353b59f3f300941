//! Stark signatures: the key, and ECDSA over the Stark curve.
//!
//! Promises: the key never leaves this room, is never printed and is wiped on drop; equal input
//! gives equal signatures (RFC 6979), as the official SDK does; a signature that the venue's ranges
//! would refuse (r, s or hash at or above 2^251) is never handed out; what touches a secret takes
//! the same steps and reads the same memory whatever it is.
//! Refuses: keys outside `1..N`.
//!
//! Hash, field, curve and scalars are the room's own; `starknet_crypto` judges them in the tests,
//! draws the deterministic k, and verifies. Sources: entries S1 and S2 of the venue's list.

pub mod amounts;
mod curve;
mod field;
mod hades;
pub mod hash;
mod limbs;
mod meter;
pub mod onboarding;
mod point;
mod rounds;
mod scalar;

use curve::{multiply_generator, x_coordinates};
use field::Element;
use scalar::{Integer, Scalar, is_in_range};
use starknet_crypto::rfc6979_generate_k;
use std::fmt;
use zeroize::{Zeroize, Zeroizing};

pub use point::{BATCH, NoRandomness, NoncePoint, PointMaker};
pub use starknet_types_core::felt::Felt;

// Where it comes from
//
// Papers: Poseidon (eprint 2019/458) and Hades (eprint 2019/1107) for the hash; SNIP-12 for the
// struct of the messages; RFC 6979 for the deterministic k; Montgomery 1985 and 1987 for reduction
// and shared inversion; Sutherland's XYZZ coordinates by way of the Explicit-Formulas Database for
// the addition. Parameters of field, curve and hash: Starknet's, S2. The ranges of r, s and hash,
// the shift of the candidate k and the retry counter: the venue's SDK, S1.
//
// Judges: the crates `starknet-crypto` 0.8 and `starknet-types-core` 0.2 on random and extreme
// input, for every layer; 240 orders with 44 legs, vault-share orders, transfers and withdrawals
// signed by the venue's SDK (`tests/data/extended`); the published permutation of zero. Only read:
// the Rust source of the venue's signing library, S2. Not at hand: the settlement contract.
//
// What was won by leaving the crates' arithmetic stands in `field` (a reduction that suits P),
// `hades` (a partial round as a recurrence), `curve` (a comb without doublings) and `point` (the
// slow half ahead of time).

/// How many deterministic nonces are tried before giving up. One failure has a chance of about
/// 2^-50; larger changes nothing anyone could see.
const NONCE_TRIES: u32 = 16;
/// Longest text [`write_hex`] makes.
pub const HEX_TEXT_MAX: usize = 64;

/// Why a key was refused; the configuration is at fault. Says nothing about its digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyError {
    /// Not hexadecimal, or longer than 64 digits.
    NotHex,
    /// Zero, or at or above the group order.
    OutOfRange,
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            KeyError::NotHex => "the Stark private key is not hexadecimal text",
            KeyError::OutOfRange => "the Stark private key is not in the range of the curve",
        })
    }
}

impl std::error::Error for KeyError {}

/// Why a message hash was not signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignError {
    /// The hash is not below 2^251. Has a chance of about 2^-54 an order; a new salt cures it.
    HashTooLarge,
    /// The signature fell out of the venue's range, with a chance of about 2^-50. Another nonce
    /// cures it; a full signature tries several by itself.
    OutOfRange,
    /// The nonce point was used before. The caller's fault.
    Spent,
}

/// A signature: both parts in `1..2^251`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signature {
    /// x coordinate of the nonce point.
    pub r: Felt,
    /// The proof.
    pub s: Felt,
}

/// A Stark private key with its public key.
pub struct StarkKey {
    /// Big endian, in `1..N`. Turned into a scalar only for the length of a call.
    private: Zeroizing<[u8; 32]>,
    /// x coordinate; the y coordinate is never needed.
    public: Felt,
}

impl fmt::Debug for StarkKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StarkKey(public {:#x}, private redacted)", self.public)
    }
}

impl StarkKey {
    /// From hexadecimal text, with or without `0x`.
    pub fn parse_hex(text: &str) -> Result<StarkKey, KeyError> {
        let digits = text.strip_prefix("0x").unwrap_or(text).as_bytes();
        if digits.is_empty() || digits.len() > HEX_TEXT_MAX {
            return Err(KeyError::NotHex);
        }
        let mut private = Zeroizing::new([0; 32]);
        for (idx, &digit) in digits.iter().rev().enumerate() {
            let value = char::from(digit).to_digit(16).ok_or(KeyError::NotHex)? as u8;
            private[31 - idx / 2] |= value << (4 * (idx % 2));
        }
        StarkKey::from_bytes(&private)
    }

    /// From 32 big-endian bytes, as key derivation makes them.
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<StarkKey, KeyError> {
        let scalar = Zeroizing::new(integer_of(bytes));
        if !is_in_range(&scalar) {
            return Err(KeyError::OutOfRange);
        }
        // Also builds the generator's table, so that no signature pays for it.
        let point = Zeroizing::new([multiply_generator(&scalar)]);
        let [public] = x_coordinates(&point);
        Ok(StarkKey {
            private: Zeroizing::new(*bytes),
            public: public.to_felt(),
        })
    }

    /// x coordinate of `private * G`; the venue's `l2Key` and `starkKey`.
    pub fn public_key(&self) -> Felt {
        self.public
    }

    /// Signs a message hash: equal input, equal signature. Some twelve microseconds.
    pub fn sign(&self, message: Felt) -> Result<Signature, SignError> {
        let hash = hash_integer(message)?;
        let mut scalar = Felt::from_bytes_be(&self.private);
        let mut answer = Err(SignError::OutOfRange);
        for retry in 0..NONCE_TRIES {
            // The extra data of the nonce generator: empty at first, then the retry counter.
            let seed = Felt::from(retry);
            let seed = (retry > 0).then_some(&seed);
            let mut nonce = rfc6979_generate_k(&message, &scalar, seed);
            let made = self.sign_with(&hash, &nonce);
            wipe(&mut nonce);
            if let Some(signature) = made {
                answer = Ok(signature);
                break;
            }
        }
        wipe(&mut scalar);
        answer
    }

    /// The signature of a hash under a given k in `1..N`, or `None` outside the venue's range.
    fn sign_with(&self, hash: &Integer, nonce: &Felt) -> Option<Signature> {
        let nonce = Zeroizing::new(Element::from_felt(*nonce).to_integer());
        let point = Zeroizing::new([multiply_generator(&nonce)]);
        let [r] = x_coordinates(&point).map(|x| x.to_integer());
        let private = Zeroizing::new(Scalar::from_integer(&integer_of(&self.private)));
        let inverse = Zeroizing::new(Scalar::from_integer(&nonce).invert());
        let product = inverse.product(&private).product(&Scalar::from_integer(&r));
        let s = inverse.multiply_add(hash, &product.to_integer());
        (is_signable(&r) && is_signable(&s)).then(|| Signature {
            r: Element::from_integer(&r).to_felt(),
            s: Element::from_integer(&s).to_felt(),
        })
    }
}

/// A message hash as an integer, if it can be signed.
fn hash_integer(message: Felt) -> Result<Integer, SignError> {
    let hash = Element::from_felt(message).to_integer();
    if hash[3] >> 59 != 0 {
        return Err(SignError::HashTooLarge);
    }
    Ok(hash)
}

/// Whether r or s is in the venue's range, `1..2^251`.
fn is_signable(part: &Integer) -> bool {
    *part != [0; 4] && part[3] >> 59 == 0
}

/// Big-endian bytes as an integer.
fn integer_of(bytes: &[u8; 32]) -> Integer {
    let (chunks, _) = bytes.as_chunks();
    std::array::from_fn(|idx| u64::from_be_bytes(chunks[3 - idx]))
}

/// Pedersen's hash of two elements, which key derivation wants. Cold: by the library.
pub fn pedersen_hash(left: Felt, right: Felt) -> Felt {
    starknet_crypto::pedersen_hash(&left, &right)
}

/// Salts of orders (the request's `nonce`): never the same twice, in `1..=2^31 - 1` (D1).
///
/// A random start and a random stride over a prime modulus visit every value once before any comes
/// again, without asking the system for randomness on the hot path.
#[derive(Debug)]
pub struct Salts {
    /// The last one drawn, less one.
    at: u64,
    /// Distance to the next, in `1..SALT_COUNT`.
    stride: u64,
}

/// How many salts there are; a prime.
const SALT_COUNT: u64 = (1 << 31) - 1;

impl Salts {
    /// A new row of salts, or `None` when the system has no randomness to give.
    pub fn random() -> Option<Salts> {
        let mut seed = [0; 16];
        getrandom::fill(&mut seed).ok()?;
        let seed = u128::from_le_bytes(seed);
        Some(Salts {
            at: (seed >> 64) as u64 % SALT_COUNT,
            stride: seed as u64 % (SALT_COUNT - 1) + 1,
        })
    }

    /// The next one.
    pub fn draw(&mut self) -> u32 {
        self.at = (self.at + self.stride) % SALT_COUNT;
        (self.at + 1) as u32
    }
}

/// Whether a signature is good for a public key and a message hash. For checks, not for trading.
pub fn verify(public_key: Felt, message: Felt, signature: &Signature) -> bool {
    starknet_crypto::verify(&public_key, &message, &signature.r, &signature.s).unwrap_or(false)
}

/// Overwrites a secret scalar on the stack.
fn wipe(scalar: &mut Felt) {
    let mut raw = scalar.to_raw();
    raw.zeroize();
    *scalar = std::hint::black_box(Felt::from_raw(raw));
}

/// A field element from the venue's hexadecimal text (`0x` and up to 64 digits), or `None`.
pub fn parse_felt(text: &str) -> Option<Felt> {
    let digits = text.strip_prefix("0x").unwrap_or(text);
    let ok = (1..=HEX_TEXT_MAX).contains(&digits.len())
        && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    ok.then(|| Felt::from_hex(text).ok()).flatten()
}

/// Writes a field element in lower-case hexadecimal, no `0x`, no leading zeros; returns the length.
pub fn write_hex(value: Felt, out: &mut [u8; HEX_TEXT_MAX]) -> usize {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut len = 0;
    for byte in value.to_bytes_be() {
        for nibble in [byte >> 4, byte & 15] {
            if len > 0 || nibble != 0 {
                out[len] = DIGITS[usize::from(nibble)];
                len += 1;
            }
        }
    }
    if len == 0 {
        out[0] = b'0';
        len = 1;
    }
    len
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn felt(text: &str) -> Felt {
        parse_felt(text).unwrap()
    }

    /// The check of the reference implementation (S2).
    #[test]
    fn the_reference_signature() {
        let key = StarkKey::parse_hex(
            "0x139fe4d6f02e666e86a6f58e65060f115cd3c185bd9e98bd829636931458f79",
        )
        .unwrap();
        let signature = key.sign(felt("0x2bd7a5b")).unwrap();
        assert_eq!(
            signature,
            Signature {
                r: felt("0x8ea6351e4ee2ec3d38c0aad6b61f0f15ed1ee64e34c87fe00dae48fa89df1d"),
                s: felt("0x7c59fbf5701c7a534d6f88f541ceff285d501f154aa0476dea52a30da88a163"),
            }
        );
        assert!(verify(key.public_key(), felt("0x2bd7a5b"), &signature));
        assert!(!verify(key.public_key(), felt("0x2bd7a5c"), &signature));
    }

    #[test]
    fn keys_out_of_range_are_refused() {
        for (text, why) in [
            ("", KeyError::NotHex),
            ("0x", KeyError::NotHex),
            ("0xzz", KeyError::NotHex),
            ("0", KeyError::OutOfRange),
            (
                "0x800000000000010ffffffffffffffffb781126dcae7b2321e66a241adc64d2f",
                KeyError::OutOfRange,
            ),
        ] {
            assert_eq!(StarkKey::parse_hex(text).err(), Some(why), "{text}");
        }
        let too_long = "1".repeat(65);
        assert_eq!(StarkKey::parse_hex(&too_long).err(), Some(KeyError::NotHex));
    }

    #[test]
    fn keys_from_bytes_are_the_same_keys() {
        let text = "0x7a7ff6fd3cab02ccdcd4a572563f5976f8976899b03a39773795a3c486d4986";
        let bytes = felt(text).to_bytes_be();
        let key = StarkKey::from_bytes(&bytes).unwrap();
        let parsed = StarkKey::parse_hex(text).unwrap();
        assert_eq!(key.public_key(), parsed.public_key());
        assert_eq!(key.sign(Felt::ONE), parsed.sign(Felt::ONE));
        for bytes in [[0; 32], [0xff; 32]] {
            assert_eq!(
                StarkKey::from_bytes(&bytes).err(),
                Some(KeyError::OutOfRange)
            );
        }
    }

    /// The first vector of StarkWare's own tests (`crypto-cpp`, `pedersen_hash_test`).
    #[test]
    fn the_reference_pedersen_hash() {
        let hash = pedersen_hash(
            felt("0x3d937c035c878245caf64531a5756109c53068da139362728feb561405371cb"),
            felt("0x208a0a10250e382e1e4bbe2880906c2791bf6275695e02fbbc6aeff9cd8b31a"),
        );
        let expected = "0x30e480bed5fe53fa909cc0f8c4d99b8f9f2c016be4c41e13a4848797979c662";
        assert_eq!(hash, felt(expected));
    }

    #[test]
    fn a_hash_beyond_the_range_is_not_signed() {
        let key = StarkKey::parse_hex("0x1").unwrap();
        assert_eq!(
            key.sign(Felt::ZERO - Felt::ONE),
            Err(SignError::HashTooLarge)
        );
    }

    #[test]
    fn a_key_is_never_printed() {
        let key = StarkKey::parse_hex("0xabcdef123456789").unwrap();
        let text = format!("{key:?}");
        assert!(!text.contains("abcdef123456789"), "{text}");
        assert!(text.contains("redacted"));
    }

    #[test]
    fn salts_do_not_repeat() {
        let mut salts = Salts::random().unwrap();
        let drawn: std::collections::HashSet<u32> = (0..10_000).map(|_| salts.draw()).collect();
        assert_eq!(drawn.len(), 10_000);
        assert!(drawn.iter().all(|salt| (1..1 << 31).contains(salt)));
        let mut last = Salts {
            at: SALT_COUNT - 2,
            stride: 1,
        };
        assert_eq!((last.draw(), last.draw()), ((1 << 31) - 1, 1));
    }

    #[test]
    fn hex_has_no_leading_zeros() {
        let mut text = [0; HEX_TEXT_MAX];
        for (value, expected) in [(0_u32, "0"), (1, "1"), (0x0a0b, "a0b")] {
            let len = write_hex(Felt::from(value), &mut text);
            assert_eq!(std::str::from_utf8(&text[..len]).unwrap(), expected);
        }
        assert_eq!(parse_felt("0xa0b"), Some(Felt::from(0x0a0b_u32)));
        assert_eq!(parse_felt("0x"), None);
        assert_eq!(parse_felt("xyz"), None);
    }

    proptest! {
        /// For any key and message: the library's signature, digit by digit.
        #[test]
        fn equals_the_crate(private in any::<[u8; 32]>(), message in any::<[u8; 32]>()) {
            let (mut private, mut message) = (private, message);
            private[0] &= 7;
            message[0] &= 7;
            let key = StarkKey::from_bytes(&private).unwrap();
            let (scalar, message) = (Felt::from_bytes_be(&private), Felt::from_bytes_be(&message));
            let nonce = rfc6979_generate_k(&message, &scalar, None);
            let full = starknet_crypto::sign(&scalar, &message, &nonce).unwrap();
            let signature = key.sign(message).unwrap();
            prop_assert_eq!((signature.r, signature.s), (full.r, full.s));
            prop_assert_eq!(key.public_key(), starknet_crypto::get_public_key(&scalar));
        }
    }
}
