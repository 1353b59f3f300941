//! API keys: reading them, and the two ways to sign.
//!
//! Promises: no branch and no address depends on a secret; keys are wiped on drop and never
//! printed; no allocation after `parse_hex`.
//! Refuses: texts that are not 80 hexadecimal digits, the zero key, spent points.
//!
//! Source: *crypto* in the venue's Sources; judged by `tests/data/lighter/lighter_schnorr.json`.

use super::nonces::{NoRandomness, NoncePoint, NonceSource};
use super::scalar::Scalar;
use super::{Message, PublicKey, SIGNATURE_BYTES, Signature, challenge, comb};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// Why a key text was refused. The operator's fault, always.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyError {
    /// Not 80 digits (with or without `0x` before them).
    Length,
    /// 80 characters, but not all of them hexadecimal digits.
    NotHex,
    /// Zero modulo the group order.
    Zero,
}

/// The point was moved out or wiped before: its k is zero, and a signature by it would give the key
/// away. Our fault, always.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpentPoint;

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
    /// it. Values of n and more are reduced, as the official signer does: refusing them would lock
    /// out keys that the venue knows. Builds the generator's table, so that no signature waits for
    /// it.
    pub fn parse_hex(text: &str) -> Result<PrivateKey, KeyError> {
        let digits = text.trim();
        let digits = digits.strip_prefix("0x").unwrap_or(digits);
        if digits.chars().count() != 80 {
            return Err(KeyError::Length);
        }
        let mut bytes = Zeroizing::new([0; 40]);
        let mut pairs = digits.chars().map(|digit| digit.to_digit(16));
        for byte in bytes.iter_mut() {
            let high = pairs.next().flatten().ok_or(KeyError::NotHex)?;
            let low = pairs.next().flatten().ok_or(KeyError::NotHex)?;
            *byte = (high << 4 | low) as u8;
        }
        comb::warm_up();
        let scalar = Scalar::from_bytes(&bytes);
        if scalar.is_zero() {
            return Err(KeyError::Zero);
        }
        Ok(PrivateKey(scalar))
    }

    /// sk * G, encoded.
    pub fn public_key(&self) -> PublicKey {
        comb::multiply_generator(self.0).encode().to_bytes()
    }

    /// Signs with a point prepared ahead, which it consumes: the hash and one product mod n.
    pub fn sign_ahead(&self, message: Message, point: NoncePoint) -> Result<Signature, SpentPoint> {
        if point.is_spent() {
            return Err(SpentPoint);
        }
        let e = challenge(point.r(), message);
        let s = point.k() - e * self.0;
        let mut signature = [0; SIGNATURE_BYTES];
        signature[..40].copy_from_slice(&s.to_bytes());
        signature[40..].copy_from_slice(&e.to_bytes());
        Ok(signature)
    }

    /// Signs with a fresh one-time number. Nearly all of the cost is k G.
    pub fn sign(
        &self,
        message: Message,
        source: &mut NonceSource,
    ) -> Result<Signature, NoRandomness> {
        let point = source.draw(&self.0, message)?;
        self.sign_ahead(message, point).map_err(|_| NoRandomness)
    }

    /// Signs with a given one-time number. For published vectors only: a number that is known, or
    /// used for two messages, gives the key away.
    pub fn sign_with_nonce(&self, message: Message, k: Scalar) -> Result<Signature, SpentPoint> {
        self.sign_ahead(message, NoncePoint::from_nonce(k))
    }

    /// A second copy, wiped on its own. On purpose not `Clone`: each copy is a decision.
    pub(super) fn copy(&self) -> PrivateKey {
        PrivateKey(self.0)
    }

    pub(super) fn scalar(&self) -> &Scalar {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::super::vectors::{bytes40, cases};
    use super::super::{count, verify};
    use super::*;
    use crate::venue::lighter::sign::field::Fp5;

    const FILE: &str = include_str!("../../../../tests/data/lighter/lighter_schnorr.json");

    #[test]
    fn signatures_with_the_official_one_time_number_are_the_official_ones() {
        let mut seen = 0;
        for case in cases(FILE, "sign_with_nonce") {
            let key = PrivateKey::parse_hex(case["private_key"].as_str().unwrap()).unwrap();
            let message = Message::from_bytes(&bytes40(&case["message_hash"])).unwrap();
            let k = Scalar::from_bytes(&bytes40(&case["k"]));
            let r = NoncePoint::from_nonce(k).r();
            assert_eq!(r.to_bytes(), bytes40(&case["r"]));
            let signature = key.sign_with_nonce(message, k).unwrap();
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
    fn keys_of_the_official_signer_have_their_public_keys() {
        let mut seen = 0;
        for case in cases(FILE, "keygen_official") {
            let key = PrivateKey::parse_hex(case["private_key"].as_str().unwrap()).unwrap();
            assert_eq!(key.public_key(), bytes40(&case["public_key"]));
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
        let zero = key.sign_with_nonce(message, Scalar::ZERO);
        assert_eq!(zero, Err(SpentPoint));
    }

    #[test]
    fn keys_are_checked_and_never_printed() {
        let zero = "0".repeat(80);
        assert_eq!(PrivateKey::parse_hex(&zero).err(), Some(KeyError::Zero));
        let n = "e1ff8b9496d90fe89ca024d7395c88e83906b8cfe6ffff7f160000\
                 00f1ffff7f07000080fdffff7f";
        assert_eq!(PrivateKey::parse_hex(n).err(), Some(KeyError::Zero));
        for text in ["", "12", "0x", &"1".repeat(79), &"1".repeat(81)] {
            assert_eq!(PrivateKey::parse_hex(text).err(), Some(KeyError::Length));
        }
        for text in ["g".repeat(80), "é".repeat(80), "+1".repeat(40)] {
            assert_eq!(PrivateKey::parse_hex(&text).err(), Some(KeyError::NotHex));
        }
        let text = format!("0x{}", "ab".repeat(39) + "00");
        let key = PrivateKey::parse_hex(&text).unwrap();
        assert_eq!(format!("{key:?}"), "PrivateKey(..)");
    }

    #[test]
    fn a_key_of_n_or_more_is_the_reduced_one() {
        let one = "01".to_owned() + &"0".repeat(78);
        let n_plus_one = "e2ff8b9496d90fe89ca024d7395c88e83906b8cfe6ffff7f160000\
                          00f1ffff7f07000080fdffff7f";
        let [one, same] = [&one, n_plus_one].map(|text| PrivateKey::parse_hex(text).unwrap());
        assert_eq!(one.public_key(), same.public_key());
    }

    #[test]
    fn every_key_takes_the_same_steps() {
        let keys = [
            "01".to_owned() + &"0".repeat(78),
            "fe".repeat(40),
            "3c".repeat(40),
        ];
        let message = Message(Fp5::ONE);
        let steps = keys.map(|text| {
            let key = PrivateKey::parse_hex(&text).unwrap();
            let mut source = NonceSource::new();
            let signing = count::of(|| key.sign(message, &mut source).unwrap());
            (count::of(|| key.public_key()), signing)
        });
        assert!(steps.iter().all(|one| *one == steps[0]));
    }
}
