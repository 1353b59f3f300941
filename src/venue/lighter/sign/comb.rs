//! Multiples of the generator, for secret scalars: keys and one-time numbers.
//!
//! Promises: the same additions and the same table reads for every scalar; no branch and no address
//! depends on it. No allocation after `warm_up`.
//!
//! Source: *crypto* in the venue's Sources; judged by `tests/data/lighter/lighter_curve.json` and
//! by doubling and adding.

use super::curve::{Affine, Point};
use super::extension::Fp5;
use super::scalar::{OddDigit, OddDigits, Scalar, WINDOW_COUNT};
use std::hint::black_box;
use std::sync::OnceLock;

// The idea: write the scalar in base 32, so that it is a sum of digits times powers of 32. Every
// `digit * 32^i * G` is a constant and stands in a table, so 64 additions do what 320 doublings and
// as many additions would.
//
// The tricks. Digits are odd, from -31 to 31 (see `Scalar::odd_digits`): none is zero, so no
// addition is left out and none is special; and a negative one is the entry with -w in place of w,
// so 16 entries serve 32 digits. Entries are affine, which makes an addition 8 products in the
// extension instead of 10. A look-up reads all 16 entries and keeps one by masks. Of several
// scalars the same window is added before the next, so a window's 1,280 bytes come from the
// second-level cache once a batch.
//
// Left out: windows of six bits (ten additions fewer, but 138 kB instead of 82 and twice the reads
// a look-up); affine sums on the Weierstrass form with one shared inversion a window (fewer
// products, but not complete, and useless for one scalar alone).

/// Entries of a window: the digits 1, 3, ... 31.
const ENTRIES: usize = 16;

type Table = [[Affine; ENTRIES]; WINDOW_COUNT];

/// scalar * G.
pub fn multiply_generator(scalar: Scalar) -> Point {
    multiply_generator_all(&[scalar.odd_digits()])[0]
}

/// Each scalar times G.
pub(super) fn multiply_generator_all<const N: usize>(scalars: &[OddDigits; N]) -> [Point; N] {
    let mut sums = [Point::NEUTRAL; N];
    for (i, window) in generator_table().iter().enumerate() {
        for (sum, digits) in sums.iter_mut().zip(scalars) {
            let entry = look_up(window, digits.digit(i));
            *sum = if i == 0 {
                entry.to_point()
            } else {
                sum.add_affine(&entry)
            };
        }
    }
    for (sum, digits) in sums.iter_mut().zip(scalars) {
        *sum = sum.negate_if(digits.negated);
    }
    sums
}

/// The entry of a digit. All are read; masks keep one.
#[inline(always)]
fn look_up(window: &[Affine; ENTRIES], digit: OddDigit) -> Affine {
    let mut found = Affine::default();
    for (i, entry) in (0..).zip(window) {
        #[cfg(test)]
        super::count::read();
        // All ones where the numbers agree: only then does subtracting one borrow. Opaque to the
        // compiler, which may otherwise turn the mask into a branch that skips the read.
        let keep = black_box(((i ^ digit.half).wrapping_sub(1) >> 63).wrapping_neg());
        found.merge(entry, keep);
    }
    found.negate_if(digit.negative)
}

/// Builds the table now, so that no signature pays for it.
pub fn warm_up() {
    generator_table();
}

/// The table, built at the first call (some milliseconds): `warm_up` makes that happen at start.
fn generator_table() -> &'static Table {
    static TABLE: OnceLock<Box<Table>> = OnceLock::new();
    TABLE.get_or_init(build_table)
}

/// Entry `j` of window `i` is (2 j + 1) * 32^i * G.
#[cold]
fn build_table() -> Box<Table> {
    let mut table = vec![[Affine::default(); ENTRIES]; WINDOW_COUNT];
    let mut base = Point::GENERATOR;
    for window in &mut table {
        let twice = base.double();
        let mut multiples = [base; ENTRIES];
        for j in 1..ENTRIES {
            multiples[j] = multiples[j - 1] + twice;
        }
        base = multiples[ENTRIES - 1] + base;
        let inverses = Fp5::invert_all(multiples.map(Point::denominator));
        for ((entry, multiple), inverse) in window.iter_mut().zip(multiples).zip(inverses) {
            *entry = multiple.to_affine(inverse);
        }
    }
    table
        .into_boxed_slice()
        .try_into()
        .expect("the vector has WINDOW_COUNT entries")
}

#[cfg(test)]
mod tests {
    use super::super::count;
    use super::super::vectors::{bytes40, cases};
    use super::*;
    use proptest::prelude::*;

    const FILE: &str = include_str!("../../../../tests/data/lighter/lighter_curve.json");

    /// Doubling and adding, bit by bit.
    fn naive(scalar: Scalar) -> Point {
        let mut sum = Point::NEUTRAL;
        for byte in scalar.to_bytes().iter().rev() {
            for bit in (0..8).rev() {
                sum = sum.double();
                if byte >> bit & 1 == 1 {
                    sum = sum + Point::GENERATOR;
                }
            }
        }
        sum
    }

    fn one() -> Scalar {
        Scalar::from_limbs([1, 0, 0, 0, 0])
    }

    /// 0, 1, 2, n - 1, n - 2, and single bits.
    fn extremes() -> Vec<Scalar> {
        let two = one() + one();
        let mut all = vec![Scalar::ZERO, one(), two];
        all.extend([one(), two].map(|small| Scalar::ZERO - small));
        let mut bit = one();
        for i in 0..319 {
            if [0, 1, 4, 5].contains(&(i % 32)) || i == 318 {
                all.push(bit);
            }
            bit = bit + bit;
        }
        all
    }

    #[test]
    fn multiplication_vectors() {
        let mut seen = 0;
        for case in cases(FILE, "mul_g") {
            let k = Scalar::from_bytes(&bytes40(&case["k"]));
            let encoding = multiply_generator(k).encode();
            assert_eq!(encoding.to_bytes(), bytes40(&case["w"]));
            assert_eq!(Point::GENERATOR.multiply(k).encode(), encoding);
            seen += 1;
        }
        assert!(seen > 0);
    }

    #[test]
    fn extreme_scalars_as_by_doubling_and_adding() {
        for scalar in extremes() {
            assert_eq!(multiply_generator(scalar).encode(), naive(scalar).encode());
        }
    }

    #[test]
    fn the_group_has_order_n() {
        let last = Scalar::ZERO - one();
        assert!((multiply_generator(last) + Point::GENERATOR).is_neutral());
    }

    #[test]
    fn every_scalar_takes_the_same_products_and_reads() {
        warm_up();
        let (products, reads) = count::of(|| multiply_generator(one()));
        assert_eq!(reads, (WINDOW_COUNT * ENTRIES) as u64);
        assert!(products > 0);
        for scalar in extremes() {
            let steps = count::of(|| multiply_generator(scalar));
            assert_eq!(steps, (products, reads));
        }
        let eight = count::of(|| multiply_generator_all(&[(); 8].map(|()| one().odd_digits())));
        assert_eq!(eight, (8 * products, 8 * reads));
    }

    proptest! {
        #[test]
        fn scalars_as_by_doubling_and_adding(limbs in any::<[u64; 5]>()) {
            let scalar = Scalar::from_limbs(limbs);
            warm_up();
            let expected = naive(scalar).encode();
            let steps = count::of(|| {
                assert_eq!(multiply_generator(scalar).encode(), expected);
            });
            prop_assert_eq!(steps, count::of(|| multiply_generator(one()).encode()));
            prop_assert_eq!(Point::GENERATOR.multiply(scalar).encode(), expected);
        }
    }
}
