//! One-time numbers k and their points r = enc(k G): drawn at the moment, or ahead of need.
//!
//! Promises: k is never used twice, since a point is consumed by its signature, has no copy and is
//! wiped where it lay; k is uniform mod n and hashed from the system's randomness, the key, a
//! counter and a label, so even a repeated random value would not repeat it. No allocation.
//! Refuses: an emptied point; a system without randomness.
//!
//! Source: *crypto* in the venue's Sources.

use super::curve::Point;
use super::extension::Fp5;
use super::key::PrivateKey;
use super::scalar::Scalar;
use super::{Message, comb};
use crate::venue::points;
use sha2::{Digest, Sha512};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// Points made at once. More would share the one inversion and the one call for randomness further,
/// though both are small beside sixteen multiplications; fewer would yield the core sooner.
pub const BATCH: usize = 16;

/// The system gave no randomness. Nothing was signed or prepared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoRandomness;

/// A one-time number k and the encoding of k G, for one signature by any key.
///
/// Who knows k knows the key that signed with it, and two signatures by one k give that key away.
/// So it can't be copied, and a signature consumes it:
///
/// ```no_run
/// use parallax::venue::lighter::sign::{Message, NoncePoint, PrivateKey};
/// fn once(key: &PrivateKey, a: Message, b: Message, point: NoncePoint, other: NoncePoint) {
///     let first = key.sign_ahead(a, point);
///     let second = key.sign_ahead(b, other);
/// }
/// ```
///
/// ```compile_fail,E0382
/// use parallax::venue::lighter::sign::{Message, NoncePoint, PrivateKey};
/// fn once(key: &PrivateKey, a: Message, b: Message, point: NoncePoint, other: NoncePoint) {
///     let first = key.sign_ahead(a, point);
///     let second = key.sign_ahead(b, point);
/// }
/// ```
///
/// It must not reach a disk, a second process, a fork or a snapshot.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct NoncePoint {
    k: Scalar,
    r: Fp5,
}

impl std::fmt::Debug for NoncePoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("NoncePoint(..)")
    }
}

impl NoncePoint {
    /// The point of a given k.
    pub(super) fn from_nonce(k: Scalar) -> NoncePoint {
        NoncePoint {
            k,
            r: comb::multiply_generator(k).encode(),
        }
    }

    /// Whether the point was moved out. Signing with k = 0 would give the key away.
    pub(super) fn is_spent(&self) -> bool {
        self.k.is_zero()
    }

    /// k, for the one signature.
    pub(super) fn k(&self) -> Scalar {
        self.k
    }

    /// r, for the challenge.
    pub(super) fn r(&self) -> Fp5 {
        self.r
    }
}

/// Makes points ahead of need, in batches. One per thread; never cloned. It mixes a key into what
/// it draws, but its points serve any key.
#[derive(Debug)]
pub struct PointMaker {
    key: PrivateKey,
    counter: u64,
}

impl PointMaker {
    /// A maker with its own copy of the key, wiped when the maker is dropped.
    pub fn new(key: &PrivateKey) -> PointMaker {
        PointMaker {
            key: key.copy(),
            counter: 0,
        }
    }

    /// A batch of points: one call for randomness, one pass over the table, one inversion.
    pub fn prepare(&mut self) -> Result<[NoncePoint; BATCH], NoRandomness> {
        let draw = Draw::start(b"ecgfp5 point", self.key.scalar())?;
        let mut numbers = Zeroizing::new([Scalar::ZERO; BATCH]);
        for k in numbers.iter_mut() {
            self.counter += 1;
            *k = draw.number(self.counter, &[])?;
        }
        let digits = std::array::from_fn(|i| numbers[i].odd_digits());
        let points = comb::multiply_generator_all::<BATCH>(&digits);
        let encodings = Point::encode_all(&points);
        Ok(std::array::from_fn(|i| NoncePoint {
            k: numbers[i],
            r: encodings[i],
        }))
    }
}

impl points::Point for NoncePoint {
    fn move_out(&mut self) -> NoncePoint {
        let moved = NoncePoint {
            k: self.k,
            r: self.r,
        };
        self.zeroize();
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

/// Where one-time numbers come from when none was prepared. One per thread; never cloned.
#[derive(Debug, Default)]
pub struct NonceSource {
    counter: u64,
}

impl NonceSource {
    /// A source; its counter starts at zero, its strength is the system's randomness.
    pub fn new() -> NonceSource {
        NonceSource::default()
    }

    /// A point for this key and message.
    pub(super) fn draw(
        &mut self,
        key: &Scalar,
        message: Message,
    ) -> Result<NoncePoint, NoRandomness> {
        self.counter += 1;
        let draw = Draw::start(b"ecgfp5 nonce", key)?;
        let k = draw.number(self.counter, &message.to_bytes())?;
        Ok(NoncePoint::from_nonce(k))
    }
}

/// SHA-512 over label, system randomness and key: the beginning that the numbers of a batch share.
/// 384 random bits are more than n has, and leave room for the counter in the hash's first block.
struct Draw(Sha512);

impl Draw {
    fn start(label: &[u8; 12], key: &Scalar) -> Result<Draw, NoRandomness> {
        let mut random = Zeroizing::new([0; 48]);
        getrandom::fill(random.as_mut_slice()).map_err(|_| NoRandomness)?;
        let mut hasher = Sha512::new();
        hasher.update(label);
        hasher.update(random.as_slice());
        hasher.update(Zeroizing::new(key.to_bytes()).as_slice());
        Ok(Draw(hasher))
    }

    /// The hash of all and `rest`, mod n: 512 bits make the bias smaller than 2^-190.
    fn number(&self, counter: u64, rest: &[u8]) -> Result<Scalar, NoRandomness> {
        let mut hasher = self.0.clone();
        hasher.update(counter.to_le_bytes());
        hasher.update(rest);
        let mut wide = Zeroizing::new([0; 64]);
        wide.copy_from_slice(&hasher.finalize());
        let k = Scalar::from_wide(&wide);
        if k.is_zero() {
            return Err(NoRandomness);
        }
        Ok(k)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{SpentPoint, count, verify};
    use super::*;
    use points::Point as _;
    use std::collections::HashSet;

    fn key() -> PrivateKey {
        PrivateKey::parse_hex(&"17".repeat(40)).unwrap()
    }

    #[test]
    fn prepared_points_are_those_of_their_numbers_and_all_differ() {
        let mut maker = PointMaker::new(&key());
        let mut seen = HashSet::new();
        for _ in 0..4 {
            for point in maker.prepare().unwrap() {
                let alone = NoncePoint::from_nonce(point.k);
                assert_eq!(point.r, alone.r);
                assert_eq!(Point::GENERATOR.multiply(point.k).encode(), point.r);
                assert!(seen.insert(point.k.to_bytes()));
                assert!(seen.insert(point.r.to_bytes()));
            }
        }
        assert_eq!(seen.len(), 2 * 4 * BATCH);
    }

    #[test]
    fn one_random_value_gives_different_numbers_by_counter_message_and_key() {
        let mut random = [Sha512::new(), Sha512::new()].map(Draw);
        random[1].0.update([1]);
        let mut seen = HashSet::new();
        for draw in &random {
            for counter in 0..3 {
                for rest in [&[][..], &[7][..]] {
                    let k = draw.number(counter, rest).unwrap();
                    assert!(seen.insert(k.to_bytes()));
                }
            }
        }
    }

    #[test]
    fn a_point_signs_for_any_key_and_a_spent_one_for_none() {
        let message = Message::from_bytes(&[3; 40]).unwrap();
        let other = PrivateKey::parse_hex(&"2b".repeat(40)).unwrap();
        let [mut slot, ..] = PointMaker::new(&key()).prepare().unwrap();
        let point = slot.move_out();
        assert_eq!(slot.k.to_bytes(), [0; 40]);
        assert_eq!(slot.r, Fp5::ZERO);
        let signature = other.sign_ahead(message, point).unwrap();
        assert!(verify(&other.public_key(), message, &signature));
        assert_eq!(key().sign_ahead(message, slot), Err(SpentPoint));
    }

    #[test]
    fn nothing_is_printed() {
        let mut maker = PointMaker::new(&key());
        let [point, ..] = maker.prepare().unwrap();
        assert_eq!(format!("{point:?}"), "NoncePoint(..)");
        assert_eq!(
            format!("{maker:?}"),
            "PointMaker { key: PrivateKey(..), counter: 16 }"
        );
    }

    #[test]
    fn every_batch_takes_the_same_steps() {
        let mut maker = PointMaker::new(&key());
        let first = count::of(|| maker.prepare().unwrap());
        for _ in 0..8 {
            assert_eq!(count::of(|| maker.prepare().unwrap()), first);
        }
    }
}
