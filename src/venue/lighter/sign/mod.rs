//! Lighter's signatures: API keys, Schnorr over ECgFp5 with Poseidon2, transaction hashes, auth
//! tokens.
//!
//! Promises: same results as the official signer, checked against its vectors; no allocation after
//! `PrivateKey::parse_hex`; secrets are wiped on drop and never printed. A one-time number k is
//! hashed from the system's randomness, the key, a counter and the message: even a repeated random
//! value would not repeat k for two messages, which would give the key away.
//! Refuses: keys that are zero, foreign encodings that are not canonical.
//!
//! Source: *crypto* in the venue's Sources.

mod constants;
mod curve;
mod field;
mod poseidon2;
mod scalar;
pub mod transaction;

use curve::Point;
use field::{Fp, Fp5};
use scalar::Scalar;
use sha2::{Digest, Sha512};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// Bytes of a signature: s, then e, 40 each, little-endian.
pub const SIGNATURE_BYTES: usize = 80;
/// A signature as it stands on the wire before base64 or hex.
pub type Signature = [u8; SIGNATURE_BYTES];
/// A public key: the encoding of sk * G. 80 hex digits in the venue's `apikeys`.
pub type PublicKey = [u8; 40];

/// Why a key text was refused. The operator's fault, always.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyError {
    /// Not 80 hexadecimal digits (with or without `0x`).
    NotHex,
    /// Zero modulo the group order.
    Zero,
}

/// The system gave no randomness. Nothing was signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoRandomness;

/// What is signed: a Poseidon2 hash of five limbs. Also the transaction hash the venue answers
/// with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message(Fp5);

impl Message {
    /// From the 40 bytes the venue shows as `tx_hash`; `None` when a limb is out of range.
    pub fn from_bytes(bytes: &[u8; 40]) -> Option<Message> {
        Fp5::from_bytes(bytes).map(Message)
    }

    /// The 40 bytes the venue shows as `tx_hash` (in hex).
    pub fn to_bytes(self) -> [u8; 40] {
        self.0.to_bytes()
    }
}

/// An API key's secret. Prints as `PrivateKey(..)`.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct PrivateKey(Scalar);

impl std::fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PrivateKey(..)")
    }
}

impl PrivateKey {
    /// From 80 hexadecimal digits, little-endian, with or without `0x`, as the venue's tools print
    /// it. Values of n and more are reduced, as the official signer does. Builds the curve's table,
    /// so that no signature waits for it.
    pub fn parse_hex(text: &str) -> Result<PrivateKey, KeyError> {
        let digits = text.trim();
        let digits = digits.strip_prefix("0x").unwrap_or(digits).as_bytes();
        if digits.len() != 80 {
            return Err(KeyError::NotHex);
        }
        let mut bytes = Zeroizing::new([0; 40]);
        for (byte, pair) in bytes.iter_mut().zip(digits.as_chunks::<2>().0) {
            let high = hex_digit(pair[0]).ok_or(KeyError::NotHex)?;
            let low = hex_digit(pair[1]).ok_or(KeyError::NotHex)?;
            *byte = high << 4 | low;
        }
        curve::warm_up();
        let scalar = Scalar::from_bytes(&bytes);
        if scalar.is_zero() {
            return Err(KeyError::Zero);
        }
        Ok(PrivateKey(scalar))
    }

    /// sk * G, encoded.
    pub fn public_key(&self) -> PublicKey {
        curve::multiply_generator(self.0).encode().to_bytes()
    }

    /// Signs with a fresh one-time number.
    pub fn sign(
        &self,
        message: Message,
        source: &mut NonceSource,
    ) -> Result<Signature, NoRandomness> {
        let mut k = source.draw(&self.0, message)?;
        let signature = self.sign_with(k, message);
        k.zeroize();
        Ok(signature)
    }

    /// The signature for a given one-time number: r = enc(k G); e = H(r, m); s = k - e sk.
    ///
    /// Who knows k knows the key, since sk = (k - s) / e; and two messages under one k give it away
    /// by subtraction. So k never leaves this file, and is wiped by whoever drew it. k G is nearly
    /// all of the cost. It does not depend on the message, so it could be prepared ahead; that is
    /// left out here, because prepared points must then be guarded as well as keys are.
    fn sign_with(&self, k: Scalar, message: Message) -> Signature {
        let e = challenge(curve::multiply_generator(k).encode(), message);
        let s = k.sub(e.mul(self.0));
        let mut signature = [0; SIGNATURE_BYTES];
        signature[..40].copy_from_slice(&s.to_bytes());
        signature[40..].copy_from_slice(&e.to_bytes());
        signature
    }
}

/// H5(r, m) as an integer mod n.
fn challenge(r: Fp5, message: Message) -> Scalar {
    let mut inputs = [Fp::ZERO; 10];
    inputs[..5].copy_from_slice(&r.0);
    inputs[5..].copy_from_slice(&message.0.0);
    Scalar::from_bytes(&poseidon2::hash_to_element(&inputs).to_bytes())
}

/// Whether a signature is this key's on this message. Public values only; about ten times the cost
/// of signing.
pub fn verify(public_key: &PublicKey, message: Message, signature: &Signature) -> bool {
    let (s, e) = signature.split_at(40);
    let canonical = |half: &[u8]| Scalar::from_canonical(half.try_into().ok()?);
    let (Some(s), Some(e)) = (canonical(s), canonical(e)) else {
        return false;
    };
    let Some(key) = Fp5::from_bytes(public_key).and_then(Point::decode) else {
        return false;
    };
    if key.is_neutral() {
        return false;
    }
    let r = curve::multiply_generator(s).add(key.multiply(e)).encode();
    challenge(r, message) == e
}

/// Where one-time numbers come from. One per thread; never cloned.
#[derive(Debug, Default)]
pub struct NonceSource {
    counter: u64,
}

impl NonceSource {
    /// A source; its counter starts at zero, its strength is the system's randomness.
    pub fn new() -> NonceSource {
        NonceSource::default()
    }

    /// SHA-512(random, key, counter, message), reduced mod n.
    fn draw(&mut self, key: &Scalar, message: Message) -> Result<Scalar, NoRandomness> {
        let mut random = Zeroizing::new([0; 64]);
        getrandom::fill(random.as_mut_slice()).map_err(|_| NoRandomness)?;
        self.counter += 1;
        let mut hasher = Sha512::new();
        hasher.update(random.as_slice());
        hasher.update(Zeroizing::new(key.to_bytes()).as_slice());
        hasher.update(self.counter.to_le_bytes());
        hasher.update(message.to_bytes());
        let mut wide = Zeroizing::new([0; 64]);
        wide.copy_from_slice(&hasher.finalize());
        let k = Scalar::from_wide(&wide);
        if k.is_zero() {
            return Err(NoRandomness);
        }
        Ok(k)
    }
}

fn hex_digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).map(|digit| digit as u8)
}

/// Reading the vector files, for the tests of this room.
#[cfg(test)]
pub(crate) mod vectors {
    use serde_json::Value;

    /// The cases of one `op`.
    pub fn cases(file: &str, op: &str) -> Vec<Value> {
        let mut root: Value = serde_json::from_str(file).unwrap();
        let Value::Array(list) = root["cases"].take() else {
            panic!("no cases")
        };
        list.into_iter().filter(|case| case["op"] == op).collect()
    }

    /// A decimal string.
    pub fn number(value: &Value) -> u64 {
        value.as_str().unwrap().parse().unwrap()
    }

    /// A list of decimal strings.
    pub fn numbers(value: &Value) -> Vec<u64> {
        value.as_array().unwrap().iter().map(number).collect()
    }

    /// 80 hexadecimal digits.
    pub fn bytes40(value: &Value) -> [u8; 40] {
        let text = value.as_str().unwrap();
        assert_eq!(text.len(), 80);
        std::array::from_fn(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).unwrap())
    }
}

#[cfg(test)]
mod tests {
    use super::vectors::{bytes40, cases};
    use super::*;

    const FILE: &str = include_str!("../../../../tests/data/lighter/lighter_schnorr.json");

    #[test]
    fn signatures_with_the_official_one_time_number_are_the_official_ones() {
        let mut seen = 0;
        for case in cases(FILE, "sign_with_nonce") {
            let key = PrivateKey::parse_hex(case["private_key"].as_str().unwrap()).unwrap();
            let message = Message::from_bytes(&bytes40(&case["message_hash"])).unwrap();
            let k = Scalar::from_bytes(&bytes40(&case["k"]));
            let r = curve::multiply_generator(k).encode();
            assert_eq!(r.to_bytes(), bytes40(&case["r"]));
            let signature = key.sign_with(k, message);
            assert_eq!(signature[40..], bytes40(&case["e"]));
            let text: String = signature.iter().map(|b| format!("{b:02x}")).collect();
            assert_eq!(text, case["signature"].as_str().unwrap());
            assert_eq!(key.public_key(), bytes40(&case["public_key"]));
            assert!(verify(&key.public_key(), message, &signature));
            seen += 1;
        }
        assert!(seen > 0);
    }

    #[test]
    fn one_time_numbers_differ_even_for_one_message() {
        let key = PrivateKey(Scalar::from_limbs([7, 0, 0, 0, 0]));
        let message = Message(Fp5::ONE);
        let mut source = NonceSource::new();
        let a = key.sign(message, &mut source).unwrap();
        let b = key.sign(message, &mut source).unwrap();
        assert_ne!(a, b);
        assert!(verify(&key.public_key(), message, &a));
        assert!(verify(&key.public_key(), message, &b));
        assert!(!verify(&key.public_key(), Message(Fp5::ZERO), &b));
    }

    #[test]
    fn keys_are_checked_and_never_printed() {
        let zero = "0".repeat(80);
        assert_eq!(PrivateKey::parse_hex(&zero).err(), Some(KeyError::Zero));
        for text in ["", "12", &"g".repeat(80), &"é".repeat(40)] {
            assert_eq!(PrivateKey::parse_hex(text).err(), Some(KeyError::NotHex));
        }
        let text = format!("0x{}", "ab".repeat(39) + "00");
        let key = PrivateKey::parse_hex(&text).unwrap();
        assert_eq!(format!("{key:?}"), "PrivateKey(..)");
    }
}
