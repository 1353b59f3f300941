//! Checking public keys and signatures, for self-checks and tests. Public values only.
//!
//! Promises: an answer that names what is wrong. Costs some six full signatures.
//! Refuses: encodings that are not canonical, the neutral key, halves of n or more.
//!
//! Source: *crypto* in the venue's Sources; judged by `tests/data/lighter/lighter_schnorr.json`.

use super::curve::Point;
use super::extension::Fp5;
use super::scalar::Scalar;
use super::{Message, PublicKey, Signature, challenge, comb};

/// Why a public key was refused. Whoever gave it is at fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PublicKeyError {
    /// A limb is p or more.
    NotCanonical,
    /// No point of the group has this encoding.
    NotOnCurve,
    /// The neutral point, for which everyone could sign.
    Neutral,
}

/// Why a signature was refused. Whoever gave it, or the key, or the message is at fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignatureError {
    /// The public key itself is unfit.
    PublicKey(PublicKeyError),
    /// s, the first 40 bytes, is n or more.
    SOutOfRange,
    /// e, the last 40 bytes, is n or more.
    EOutOfRange,
    /// Well formed, but not this key's on this message.
    Mismatch,
}

/// Whether a public key is one.
pub fn check_public_key(public_key: &PublicKey) -> Result<(), PublicKeyError> {
    decode(public_key).map(|_| ())
}

/// Whether a signature is this key's on this message.
pub fn verify(public_key: &PublicKey, message: Message, signature: &Signature) -> bool {
    check_signature(public_key, message, signature).is_ok()
}

/// `verify`, with the reason: r' = enc(s G + e Q) must give the challenge e again.
pub fn check_signature(
    public_key: &PublicKey,
    message: Message,
    signature: &Signature,
) -> Result<(), SignatureError> {
    let key = decode(public_key).map_err(SignatureError::PublicKey)?;
    let ([s, e], _) = signature.as_chunks::<40>() else {
        return Err(SignatureError::Mismatch);
    };
    let s = Scalar::from_canonical(s).ok_or(SignatureError::SOutOfRange)?;
    let e = Scalar::from_canonical(e).ok_or(SignatureError::EOutOfRange)?;
    let r = (comb::multiply_generator(s) + key.multiply(e)).encode();
    if challenge(r, message) == e {
        Ok(())
    } else {
        Err(SignatureError::Mismatch)
    }
}

fn decode(public_key: &PublicKey) -> Result<Point, PublicKeyError> {
    let w = Fp5::from_bytes(public_key).ok_or(PublicKeyError::NotCanonical)?;
    let key = Point::decode(w).ok_or(PublicKeyError::NotOnCurve)?;
    if key.is_neutral() {
        return Err(PublicKeyError::Neutral);
    }
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::super::vectors::{bytes40, cases};
    use super::super::{NonceSource, PrivateKey};
    use super::*;
    use serde_json::Value;

    const CURVE: &str = include_str!("../../../../tests/data/lighter/lighter_curve.json");
    const SCHNORR: &str = include_str!("../../../../tests/data/lighter/lighter_schnorr.json");

    fn signature(case: &Value) -> Signature {
        let text = case["signature"].as_str().unwrap();
        std::array::from_fn(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).unwrap())
    }

    #[test]
    fn every_negative_vector_is_refused_for_its_reason() {
        let mut seen = 0;
        for case in cases(SCHNORR, "verify") {
            let message = Message::from_bytes(&bytes40(&case["message_hash"])).unwrap();
            let key = bytes40(&case["public_key"]);
            let found = check_signature(&key, message, &signature(&case));
            let expected = match case["kind"].as_str().unwrap() {
                "s_plus_n" => Err(SignatureError::SOutOfRange),
                "e_plus_n" => Err(SignatureError::EOutOfRange),
                _ => found.and(Err(SignatureError::Mismatch)),
            };
            assert_eq!(found, expected, "{}", case["kind"]);
            seen += 1;
        }
        assert!(seen > 0);
    }

    #[test]
    fn public_keys_are_checked() {
        assert_eq!(check_public_key(&[0; 40]), Err(PublicKeyError::Neutral));
        let all_ones = check_public_key(&[0xFF; 40]);
        assert_eq!(all_ones, Err(PublicKeyError::NotCanonical));
        let mut refused = 0;
        for case in cases(CURVE, "decode") {
            let checked = check_public_key(&bytes40(&case["w"]));
            if case["ok"] == false {
                assert_eq!(checked, Err(PublicKeyError::NotOnCurve));
                refused += 1;
            }
        }
        assert!(refused > 0);
        let key = PrivateKey::parse_hex(&"17".repeat(40)).unwrap();
        assert_eq!(check_public_key(&key.public_key()), Ok(()));
    }

    #[test]
    fn every_bit_counts() {
        let key = PrivateKey::parse_hex(&"17".repeat(40)).unwrap();
        let message = Message::from_bytes(&[9; 40]).unwrap();
        let good = key.sign(message, &mut NonceSource::new()).unwrap();
        assert!(verify(&key.public_key(), message, &good));
        for bit in (0..640).step_by(37) {
            let mut bent = good;
            bent[bit / 8] ^= 1 << (bit % 8);
            assert!(!verify(&key.public_key(), message, &bent), "bit {bit}");
        }
    }
}
