//! Nonce points prepared ahead of time: the slow half of a signature, done while nothing waits.
//!
//! Idea: ECDSA is `r = x(k*G)`, `s = (hash + r*private) / k mod N`, and only `hash` belongs to the
//! order. With `a = 1/k` and `b = r*private/k` at hand `s = hash*a + b`: one product and one sum
//! instead of a curve multiplication and an inversion.
//!
//! Promises: a point is used at most once (it is consumed by value and cannot be copied), because
//! one `k` under two hashes gives the private key away; it is wiped when it goes. `k` is drawn from
//! the system's generator, hashed together with the key and a counter, so that a weak generator
//! alone does not repeat it.
//! Refuses: writing points down. After a crash they are simply gone.

use super::{Felt, GROUP_ORDER, SignError, Signature, StarkKey, wipe};
use sha2::{Digest, Sha256};
use starknet_crypto::sign;
use starknet_types_core::felt::NonZeroFelt;
use std::fmt;
use zeroize::{Zeroize, Zeroizing};

/// Separates these hashes from any other use of the key.
const DRAW_LABEL: &[u8] = b"parallax nonce point v1";
/// How many draws are tried; each succeeds with a chance of a half.
const DRAW_TRIES: u32 = 64;

/// A nonce's public part and its two secret factors.
///
/// Good for the key it was prepared with, and no other.
pub struct NoncePoint {
    /// x coordinate of `k*G`; public once used.
    r: Felt,
    /// `1/k mod N`.
    inverse: Felt,
    /// `r * private / k mod N`.
    product: Felt,
}

impl fmt::Debug for NoncePoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NoncePoint(redacted)")
    }
}

impl Drop for NoncePoint {
    fn drop(&mut self) {
        wipe(&mut self.inverse);
        wipe(&mut self.product);
    }
}

impl StarkKey {
    /// Draws a nonce and does its slow half. `counter` must differ from call to call. `None` when
    /// the system gives no randomness, or (2^-50) the point is out of the venue's range. Cold: a
    /// curve multiplication.
    pub fn prepare(&self, counter: u64) -> Option<NoncePoint> {
        for attempt in 0..DRAW_TRIES {
            let mut seed = Zeroizing::new([0; 32]);
            getrandom::fill(&mut *seed).ok()?;
            let mut digest = Sha256::new();
            digest.update(DRAW_LABEL);
            digest.update(*self.private);
            digest.update(counter.to_be_bytes());
            digest.update(attempt.to_be_bytes());
            digest.update(*seed);
            let mut bytes: [u8; 32] = digest.finalize().into();
            // 252 bits, the width of N; values at or above N are drawn again, so none is favoured.
            bytes[0] &= 0x0f;
            let in_range = bytes != [0; 32] && bytes < GROUP_ORDER.to_bytes_be();
            let mut nonce = Felt::from_bytes_be(&bytes);
            bytes.zeroize();
            let point = in_range.then(|| self.point(&nonce)).flatten();
            wipe(&mut nonce);
            if point.is_some() {
                return point;
            }
        }
        None
    }

    /// The point of a given nonce in `1..N`.
    fn point(&self, nonce: &Felt) -> Option<NoncePoint> {
        let order = NonZeroFelt::from_felt_unchecked(GROUP_ORDER);
        let mut scalar = Felt::from_bytes_be(&self.private);
        // A signature over zero is `s = r * private / k`: the library's own arithmetic gives both
        // r and the product, and checks their ranges.
        let made = sign(&scalar, &Felt::ZERO, nonce);
        wipe(&mut scalar);
        let made = made.ok()?;
        Some(NoncePoint {
            r: made.r,
            inverse: nonce.mod_inverse(&order)?,
            product: made.s,
        })
    }
}

impl NoncePoint {
    /// Signs a message hash with the key this point was prepared for.
    pub fn sign(self, message: Felt) -> Result<Signature, SignError> {
        let limit = range_limit();
        if message >= limit {
            return Err(SignError);
        }
        let order = NonZeroFelt::from_felt_unchecked(GROUP_ORDER);
        let s = add_mod_order(message.mul_mod(&self.inverse, &order), self.product);
        if s == Felt::ZERO || s >= limit {
            return Err(SignError);
        }
        Ok(Signature { r: self.r, s })
    }
}

/// Hashes, r and s must be below 2^251 (S2).
fn range_limit() -> Felt {
    let mut bytes = [0; 32];
    bytes[0] = 0x08;
    Felt::from_bytes_be(&bytes)
}

/// Sum of two numbers below N, modulo N. Not the field's own sum: that is modulo P.
fn add_mod_order(left: Felt, right: Felt) -> Felt {
    let (left, right) = (left.to_le_digits(), right.to_le_digits());
    let mut sum = [0; 4];
    let mut carry = false;
    for (idx, digit) in sum.iter_mut().enumerate() {
        let (partial, over) = left[idx].overflowing_add(right[idx]);
        let (total, over_again) = partial.overflowing_add(u64::from(carry));
        *digit = total;
        carry = over | over_again;
    }
    // Both are below 2^252, so the sum fits 256 bits and at most one N has to go.
    let order = GROUP_ORDER.to_le_digits();
    let mut reduced = [0; 4];
    let mut borrow = false;
    for (idx, digit) in reduced.iter_mut().enumerate() {
        let (partial, under) = sum[idx].overflowing_sub(order[idx]);
        let (total, under_again) = partial.overflowing_sub(u64::from(borrow));
        *digit = total;
        borrow = under | under_again;
    }
    let digits = if borrow { sum } else { reduced };
    let mut bytes = [0; 32];
    for (chunk, digit) in bytes.chunks_exact_mut(8).zip(digits) {
        chunk.copy_from_slice(&digit.to_le_bytes());
    }
    Felt::from_bytes_le(&bytes)
}

#[cfg(test)]
mod tests {
    use super::super::{parse_felt, verify};
    use super::*;
    use proptest::prelude::*;
    use starknet_crypto::sign as library_sign;

    const KEY: &str = "0x7a7ff6fd3cab02ccdcd4a572563f5976f8976899b03a39773795a3c486d4986";

    #[test]
    fn prepared_signatures_verify_and_differ() {
        let key = StarkKey::parse_hex(KEY).unwrap();
        let message = parse_felt("0x2bd7a5b").unwrap();
        let signatures: Vec<_> = (0..4)
            .map(|counter| key.prepare(counter).unwrap().sign(message).unwrap())
            .collect();
        for signature in &signatures {
            assert!(verify(key.public_key(), message, signature));
            let same = signatures.iter().filter(|other| other.r == signature.r);
            assert_eq!(same.count(), 1, "a nonce came twice");
        }
    }

    #[test]
    fn a_hash_beyond_the_range_is_not_signed() {
        let key = StarkKey::parse_hex(KEY).unwrap();
        let point = key.prepare(0).unwrap();
        assert_eq!(point.sign(range_limit()), Err(SignError));
    }

    #[test]
    fn sums_wrap_at_the_group_order() {
        let last = GROUP_ORDER - Felt::ONE;
        assert_eq!(add_mod_order(last, Felt::ONE), Felt::ZERO);
        assert_eq!(add_mod_order(last, last), GROUP_ORDER - Felt::TWO);
        assert_eq!(add_mod_order(Felt::ONE, Felt::TWO), Felt::THREE);
    }

    proptest! {
        /// For any nonce and message: exactly the library's signature.
        #[test]
        fn prepared_equals_full(nonce in 1_u128.., message in any::<u128>()) {
            let key = StarkKey::parse_hex(KEY).unwrap();
            let (nonce, message) = (Felt::from(nonce), Felt::from(message));
            let scalar = Felt::from_bytes_be(&key.private);
            let full = library_sign(&scalar, &message, &nonce).unwrap();
            let ahead = key.point(&nonce).unwrap().sign(message).unwrap();
            prop_assert_eq!((ahead.r, ahead.s), (full.r, full.s));
        }
    }
}
