//! Nonce points prepared ahead of time: the slow half of a signature, done while nothing waits.
//!
//! Promises: a point is used at most once: signing consumes it, it cannot be copied, and moving it
//! out of a seat empties the seat; it is wiped when it goes. k is drawn from the system's
//! randomness, hashed with the key and a counter, so that a weak generator alone does not repeat
//! it. Refuses: writing points down (after a crash they are simply gone), and signing with a spent
//! one. Who owns a `PointMaker` keeps it, and its points, in one process: after a fork or a
//! restored snapshot both copies would hold the same k.
//!
//! Judged by `starknet_crypto::sign` under the same k, and by its `verify`.

use super::curve::{Point, multiply_generator, x_coordinates};
use super::field::Element;
use super::scalar::{Integer, Scalar};
use super::{Felt, SignError, Signature, StarkKey, hash_integer, integer_of, is_signable};
use crate::venue::points;
use sha2::{Digest, Sha512};
use std::fmt;
use zeroize::{Zeroize, Zeroizing};

/// Points made by one call. Larger: the shared inversions cost less a point (at 16 they are a
/// twentieth of it) but a call takes longer and holds more secrets. Smaller: the other way round.
pub const BATCH: usize = 16;

/// Separates these hashes from any other use of the key.
const DRAW_LABEL: &[u8] = b"parallax nonce point v2";
/// How often a batch is drawn anew. A draw is refused with a chance of 2^-50, so a second refusal
/// means that the randomness is none.
const DRAW_TRIES: u8 = 4;

/// The system gave no randomness, or none that deserves the name. Nothing was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoRandomness;

// A signature in two halves
//
// The idea: ECDSA is `r = x(k*G)` and `s = (hash + r*private) / k mod N`, and of this only `hash`
// belongs to the order. With 1/k and r*private/k at hand, `s = hash * (1/k) + r*private/k`: one
// product and one sum instead of a curve multiplication and an inversion.
//
// The trick: sixteen at a time, so that both inversions (of the points' denominators, and of the
// k) happen once for all, each point paying three products instead (Montgomery's trick).
//
// No verifier can tell how k was drawn, so RFC 6979 binds nobody; k must be secret, uniform and
// used once. One k under two hashes gives away the private key.

/// A nonce's public part and its two secret factors. Good for the key it was made with, and no
/// other: the private key is part of `product`.
///
/// A point signs once:
///
/// ```
/// use parallax::venue::extended::sign::{Felt, PointMaker, StarkKey};
/// let key = StarkKey::parse_hex("0x1234").unwrap();
/// let [point, other, ..] = PointMaker::new(&key).prepare().unwrap();
/// point.sign(Felt::ONE).unwrap();
/// other.sign(Felt::TWO).unwrap();
/// ```
///
/// and then it is gone:
///
/// ```compile_fail,E0382
/// use parallax::venue::extended::sign::{Felt, PointMaker, StarkKey};
/// let key = StarkKey::parse_hex("0x1234").unwrap();
/// let [point, other, ..] = PointMaker::new(&key).prepare().unwrap();
/// point.sign(Felt::ONE).unwrap();
/// point.sign(Felt::TWO).unwrap();
/// ```
pub struct NoncePoint {
    /// x coordinate of `k*G`; public once used. Zero: spent.
    r: Felt,
    /// `1/k mod N`.
    inverse: Scalar,
    /// `r * private / k mod N`, as an integer.
    product: Integer,
}

impl NoncePoint {
    /// Signs a message hash with the key this point was made with. The point is gone whatever the
    /// answer; after [`SignError::OutOfRange`] the caller signs in full.
    pub fn sign(self, message: Felt) -> Result<Signature, SignError> {
        if self.r == Felt::ZERO {
            return Err(SignError::Spent);
        }
        let message = hash_integer(message)?;
        let s = self.inverse.multiply_add(&message, &self.product);
        if !is_signable(&s) {
            return Err(SignError::OutOfRange);
        }
        Ok(Signature {
            r: self.r,
            s: Element::from_integer(&s).to_felt(),
        })
    }

    fn wipe(&mut self) {
        self.r = Felt::ZERO;
        self.inverse.zeroize();
        self.product.zeroize();
    }
}

impl fmt::Debug for NoncePoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NoncePoint(redacted)")
    }
}

impl Drop for NoncePoint {
    fn drop(&mut self) {
        self.wipe();
    }
}

/// Makes nonce points for one key, of which it keeps a copy of its own, wiped when it goes. Single
/// owner: two makers of one key never meet in a k, as both draw it at random.
pub struct PointMaker {
    private: Zeroizing<[u8; 32]>,
    /// Points drawn so far, part of what makes each different.
    drawn_count: u64,
}

impl points::Point for NoncePoint {
    fn move_out(&mut self) -> NoncePoint {
        let moved = NoncePoint {
            r: self.r,
            inverse: self.inverse,
            product: self.product,
        };
        self.wipe();
        moved
    }
}

impl points::Maker for PointMaker {
    type Point = NoncePoint;
    const BATCH: usize = BATCH;

    fn prepare(&mut self, put: impl FnMut(&mut NoncePoint)) -> Result<(), points::NoPoints> {
        let mut batch = PointMaker::prepare(self).map_err(|NoRandomness| points::NoPoints)?;
        batch.iter_mut().for_each(put);
        Ok(())
    }
}

impl fmt::Debug for PointMaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PointMaker(redacted)")
    }
}

impl PointMaker {
    /// For a key.
    pub fn new(key: &StarkKey) -> PointMaker {
        PointMaker {
            private: key.private.clone(),
            drawn_count: 0,
        }
    }

    /// Makes a batch. Some five microseconds a point; allocates nothing.
    pub fn prepare(&mut self) -> Result<[NoncePoint; BATCH], NoRandomness> {
        for _ in 0..DRAW_TRIES {
            let nonces = self.draw()?;
            if let Some(points) = self.points(&nonces) {
                return Ok(points);
            }
        }
        Err(NoRandomness)
    }

    /// Sixteen k, uniform in `0..N` but for 2^-260, by one call to the system.
    fn draw(&mut self) -> Result<Zeroizing<[Scalar; BATCH]>, NoRandomness> {
        let mut seeds = Zeroizing::new([[0; 32]; BATCH]);
        getrandom::fill(seeds.as_flattened_mut()).map_err(|_| NoRandomness)?;
        let mut nonces = Zeroizing::new([Scalar::default(); BATCH]);
        for (nonce, seed) in nonces.iter_mut().zip(seeds.iter()) {
            let mut digest = Sha512::new();
            digest.update(DRAW_LABEL);
            digest.update(*self.private);
            digest.update(self.drawn_count.to_be_bytes());
            digest.update(seed);
            self.drawn_count += 1;
            let mut bytes = digest.finalize().into();
            *nonce = Scalar::from_wide(&bytes);
            bytes.zeroize();
        }
        Ok(nonces)
    }

    /// The points of given nonces, or `None` when one of them has no point in the venue's range.
    fn points(&self, nonces: &[Scalar; BATCH]) -> Option<[NoncePoint; BATCH]> {
        // A k of zero would spoil the whole batch's inverse, and has no point.
        let integers = Zeroizing::new(nonces.map(Scalar::to_integer));
        if integers.contains(&[0; 4]) {
            return None;
        }
        let mut points = Zeroizing::new([Point::default(); BATCH]);
        for (point, integer) in points.iter_mut().zip(integers.iter()) {
            *point = multiply_generator(integer);
        }
        let coordinates = x_coordinates(&points).map(|x| x.to_integer());
        if !coordinates.iter().all(is_signable) {
            return None;
        }
        let private = Zeroizing::new(Scalar::from_integer(&integer_of(&self.private)));
        let inverses = invert_all(nonces);
        Some(std::array::from_fn(|idx| {
            let r = &coordinates[idx];
            let inverse = inverses[idx];
            let product = inverse.product(&private).product(&Scalar::from_integer(r));
            NoncePoint {
                r: Element::from_integer(r).to_felt(),
                inverse,
                product: product.to_integer(),
            }
        }))
    }
}

/// The inverses of scalars other than zero, by one inversion and three products each.
fn invert_all(scalars: &[Scalar; BATCH]) -> Zeroizing<[Scalar; BATCH]> {
    let mut inverses = Zeroizing::new([Scalar::ONE; BATCH]);
    let mut product = Zeroizing::new(Scalar::ONE);
    for (prefix, scalar) in inverses.iter_mut().zip(scalars) {
        *prefix = *product;
        *product = product.product(scalar);
    }
    let mut inverse = Zeroizing::new(product.invert());
    for (prefix, scalar) in inverses.iter_mut().zip(scalars).rev() {
        *prefix = prefix.product(&inverse);
        *inverse = inverse.product(scalar);
    }
    inverses
}

#[cfg(test)]
mod tests {
    use super::super::meter;
    use super::super::{parse_felt, verify};
    use super::*;
    use points::Point as _;
    use proptest::prelude::*;

    const KEY: &str = "0x7a7ff6fd3cab02ccdcd4a572563f5976f8976899b03a39773795a3c486d4986";

    fn key() -> StarkKey {
        StarkKey::parse_hex(KEY).unwrap()
    }

    #[test]
    fn prepared_signatures_verify_and_differ() {
        let (key, message) = (key(), Felt::from(0x2bd_7a5b));
        let mut maker = PointMaker::new(&key);
        let batches = [maker.prepare().unwrap(), maker.prepare().unwrap()];
        let signatures: Vec<Signature> = batches
            .into_iter()
            .flatten()
            .map(|point| point.sign(message).unwrap())
            .collect();
        assert_eq!(signatures.len(), 2 * BATCH);
        for signature in &signatures {
            assert!(verify(key.public_key(), message, signature));
            let same = signatures.iter().filter(|other| other.r == signature.r);
            assert_eq!(same.count(), 1, "a nonce came twice");
        }
    }

    #[test]
    fn a_hash_beyond_the_range_is_not_signed() {
        let limit = Felt::TWO.pow(251_u32);
        let [last, first, ..] = PointMaker::new(&key()).prepare().unwrap();
        assert!(last.sign(limit - Felt::ONE).is_ok());
        assert_eq!(first.sign(limit), Err(SignError::HashTooLarge));
    }

    #[test]
    fn a_seat_that_was_emptied_does_not_sign() {
        let [mut seat, ..] = PointMaker::new(&key()).prepare().unwrap();
        let point = seat.move_out();
        assert_eq!(seat.r, Felt::ZERO);
        assert_eq!((seat.inverse.to_integer(), seat.product), ([0; 4], [0; 4]));
        assert_eq!(seat.move_out().sign(Felt::ONE), Err(SignError::Spent));
        assert_eq!(seat.sign(Felt::ONE), Err(SignError::Spent));
        let signature = point.sign(Felt::ONE).unwrap();
        assert!(verify(key().public_key(), Felt::ONE, &signature));
    }

    #[test]
    fn secrets_are_not_printed() {
        let mut maker = PointMaker::new(&key());
        let [point, ..] = maker.prepare().unwrap();
        assert_eq!(format!("{point:?}"), "NoncePoint(redacted)");
        assert_eq!(format!("{maker:?}"), "PointMaker(redacted)");
    }

    #[test]
    fn a_zero_nonce_spoils_the_batch() {
        let mut nonces = [Scalar::ONE; BATCH];
        nonces[7] = Scalar::default();
        assert!(PointMaker::new(&key()).points(&nonces).is_none());
    }

    #[test]
    fn every_draw_takes_the_same_steps() {
        let mut maker = PointMaker::new(&key());
        let mut counts = Vec::new();
        for _ in 0..20 {
            meter::take();
            maker.prepare().unwrap();
            counts.push(meter::take());
        }
        assert!(counts.iter().all(|count| *count == counts[0]), "{counts:?}");
    }

    proptest! {
        /// For any nonces and message: exactly the library's signatures.
        #[test]
        fn prepared_equals_full(nonces in any::<[[u8; 32]; BATCH]>(), message in any::<u128>()) {
            let (key, message) = (key(), Felt::from(message).square());
            prop_assume!(hash_integer(message).is_ok());
            let scalar = parse_felt(KEY).unwrap();
            // Below 2^251 and so below N: the same number for both.
            let nonces = nonces.map(|bytes| {
                let mut integer = integer_of(&bytes);
                integer[3] >>= 5;
                integer
            });
            let points = PointMaker::new(&key).points(&nonces.map(|k| Scalar::from_integer(&k)));
            for (point, nonce) in points.unwrap().into_iter().zip(nonces) {
                let nonce = Element::from_integer(&nonce).to_felt();
                let full = starknet_crypto::sign(&scalar, &message, &nonce).unwrap();
                let ahead = point.sign(message).unwrap();
                prop_assert_eq!((ahead.r, ahead.s), (full.r, full.s));
            }
        }
    }
}
