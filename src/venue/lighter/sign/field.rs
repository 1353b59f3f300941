//! Goldilocks numbers: the base field under hash and curve.
//!
//! Promises: every `Fp` is canonical (below p) at all times, so equality is equality of limbs and
//! encoding is a copy. Sums, products and inverses run without branches on values, since the curve
//! gives them secrets; powers, square roots and the square test are for public values.
//! Refuses: nothing; `Fp::new` reduces. Who must refuse asks `Fp::from_canonical`.
//!
//! Source: *crypto* in the venue's Sources; judged by `tests/data/lighter/lighter_curve.json`.

pub use super::extension::Fp5;
use std::ops::{Add, Mul, Neg, Sub};
use zeroize::Zeroize;

/// The Goldilocks prime, 2^64 - 2^32 + 1.
pub const P: u64 = 0xFFFF_FFFF_0000_0001;
/// 2^64 mod p: what a carry out of 64 bits is worth.
pub(super) const EPSILON: u64 = 0xFFFF_FFFF;

/// A number mod p, canonical.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Zeroize)]
pub struct Fp(u64);

impl Fp {
    /// Zero.
    pub const ZERO: Fp = Fp(0);
    /// One.
    pub const ONE: Fp = Fp(1);

    /// Any 64-bit value, reduced.
    #[inline(always)]
    pub const fn new(value: u64) -> Fp {
        // Adding 2^64 - p carries exactly when the value is p or more.
        let (less, is_enough) = value.overflowing_add(EPSILON);
        Fp(pick(value, less, is_enough))
    }

    /// A value below p; `None` for p and more.
    pub const fn from_canonical(value: u64) -> Option<Fp> {
        if value < P { Some(Fp(value)) } else { None }
    }

    /// The canonical value, below p.
    #[inline(always)]
    pub const fn value(self) -> u64 {
        self.0
    }

    /// `other` where the mask is all ones, `self` where it is zero.
    #[inline(always)]
    pub(super) const fn select(self, other: Fp, mask: u64) -> Fp {
        Fp(self.0 ^ ((self.0 ^ other.0) & mask))
    }

    /// Takes over `other` where the mask is all ones, into a zero; nothing where it is zero.
    #[inline(always)]
    pub(super) const fn merge(&mut self, other: Fp, mask: u64) {
        self.0 |= other.0 & mask;
    }

    /// Times a small constant; `factor` is below 2^31.
    #[inline(always)]
    pub(super) fn times_small(self, factor: u32) -> Fp {
        let product = u128::from(self.0) * u128::from(factor);
        reduce(product as u64, (product >> 64) as u64, 0)
    }

    /// Three times the value, as any 64-bit number of that residue.
    #[inline(always)]
    pub(super) const fn triple(self) -> u64 {
        let product = 3 * self.0 as u128;
        let above = (product >> 64) as u64 * EPSILON;
        let (sum, carry) = (product as u64).overflowing_add(above);
        // Canonical values are small enough that this does not carry again.
        sum.wrapping_add(only_if(EPSILON, carry))
    }

    /// `self^exponent`, for public values: time depends on the exponent.
    pub fn pow(self, exponent: u64) -> Fp {
        let mut power = Fp::ONE;
        for bit in (0..u64::BITS - exponent.leading_zeros()).rev() {
            power = power * power;
            if exponent >> bit & 1 == 1 {
                power = power * self;
            }
        }
        power
    }

    /// `self^(2^count)`.
    #[inline(always)]
    fn square_times(self, count: usize) -> Fp {
        (0..count).fold(self, |power, _| power * power)
    }

    /// 1 / self; 0 for 0. The power p - 2, in 63 squarings and 9 products: written in bits, p - 2
    /// is 31 ones, a zero, 32 ones; and a run of ones is put together from shorter runs.
    pub fn invert(self) -> Fp {
        let ones_2 = self.square_times(1) * self;
        let ones_3 = ones_2.square_times(1) * self;
        let ones_6 = ones_3.square_times(3) * ones_3;
        let ones_12 = ones_6.square_times(6) * ones_6;
        let ones_24 = ones_12.square_times(12) * ones_12;
        let ones_30 = ones_24.square_times(6) * ones_6;
        let ones_31 = ones_30.square_times(1) * self;
        let ones_32 = ones_31.square_times(1) * self;
        ones_31.square_times(33) * ones_32
    }

    /// Whether a square root exists (0 counts as a square).
    pub fn is_square(self) -> bool {
        self.pow((P - 1) / 2).0 <= 1
    }

    /// A square root, by Tonelli and Shanks: p - 1 = 2^32 * odd, and 7^odd generates the 2-part.
    pub fn sqrt(self) -> Option<Fp> {
        const ODD: u64 = EPSILON;
        if self.0 == 0 {
            return Some(self);
        }
        let half = self.pow((ODD - 1) / 2);
        let mut root = self * half;
        let mut rest = root * half;
        let mut twist = Fp(7).pow(ODD);
        let mut order_log = 32;
        // Invariant: root^2 = self * rest, and rest has an order dividing 2^(order_log - 1) if self
        // is a square. Each pass lowers order_log, so at most 32 passes.
        while rest != Fp::ONE {
            let mut log = 0;
            let mut power = rest;
            while power != Fp::ONE {
                power = power * power;
                log += 1;
                if log == order_log {
                    return None;
                }
            }
            twist = twist.square_times(order_log - log - 1);
            root = root * twist;
            twist = twist * twist;
            rest = rest * twist;
            order_log = log;
        }
        Some(root)
    }
}

/// `value` or zero, without a branch.
#[inline(always)]
pub(super) const fn only_if(value: u64, flag: bool) -> u64 {
    value & (flag as u64).wrapping_neg()
}

/// `value`, or `other` when `flag`. Both are computed before, so this becomes a conditional move: a
/// look at the machine code of `comb` found no jump but those of its loops (Rust 1.95, x86-64).
#[inline(always)]
const fn pick(value: u64, other: u64, flag: bool) -> u64 {
    if flag { other } else { value }
}

/// low + 2^64 high + 2^128 top to its residue, without a branch; `top` is below 2^31.
///
/// With high = h1 * 2^32 + h0 the value is low - (h1 + 2^32 top) + h0 * (2^32 - 1), because 2^64 is
/// worth 2^32 - 1, 2^96 is worth -1 and 2^128 is worth -2^32. A borrow takes, a carry gives
/// 2^32 - 1 again; neither can happen twice.
#[inline(always)]
pub(super) const fn reduce(low: u64, high: u64, top: u64) -> Fp {
    let (less, borrow) = low.overflowing_sub(high >> 32 | top << 32);
    let difference = pick(less, less.wrapping_add(P), borrow);
    let more = (high & EPSILON) * EPSILON;
    let (sum, carry) = difference.overflowing_add(more);
    let mended = difference.wrapping_add(more.wrapping_add(EPSILON));
    Fp::new(pick(sum, mended, carry))
}

impl Add for Fp {
    type Output = Fp;
    /// a + (b - p) carries exactly when a + b is p or more: then it is the sum.
    #[inline(always)]
    fn add(self, other: Fp) -> Fp {
        let (less, is_enough) = self.0.overflowing_add(other.0.wrapping_add(EPSILON));
        let sum = self.0.wrapping_add(other.0);
        Fp(pick(sum, less, is_enough))
    }
}

impl Sub for Fp {
    type Output = Fp;
    #[inline(always)]
    fn sub(self, other: Fp) -> Fp {
        let (difference, borrow) = self.0.overflowing_sub(other.0);
        Fp(pick(difference, difference.wrapping_add(P), borrow))
    }
}

impl Neg for Fp {
    type Output = Fp;
    #[inline(always)]
    fn neg(self) -> Fp {
        Fp::ZERO - self
    }
}

impl Mul for Fp {
    type Output = Fp;
    #[inline(always)]
    fn mul(self, other: Fp) -> Fp {
        let product = u128::from(self.0) * u128::from(other.0);
        reduce(product as u64, (product >> 64) as u64, 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::venue::lighter::sign::vectors::{cases, number};
    use proptest::prelude::*;

    const FILE: &str = include_str!("../../../../tests/data/lighter/lighter_curve.json");
    /// Values at which carries and borrows appear.
    const EDGES: [u64; 10] = [
        0,
        1,
        2,
        EPSILON - 1,
        EPSILON,
        EPSILON + 1,
        1 << 63,
        P - EPSILON,
        P - 2,
        P - 1,
    ];

    #[test]
    fn base_field_vectors() {
        let mut seen = 0;
        for case in cases(FILE, "fp") {
            let (a, b) = (Fp::new(number(&case["a"])), Fp::new(number(&case["b"])));
            assert_eq!((a + b).value(), number(&case["add"]));
            assert_eq!((a - b).value(), number(&case["sub"]));
            assert_eq!((a * b).value(), number(&case["mul"]));
            assert_eq!((-a).value(), number(&case["neg_a"]));
            assert_eq!(a.invert().value(), number(&case["inv_a"]));
            assert_eq!(a.is_square(), case["a_is_square"].as_bool().unwrap());
            assert_eq!(a.sqrt().is_some(), a.is_square());
            if let Some(root) = a.sqrt() {
                assert_eq!(root * root, a);
            }
            seen += 1;
        }
        assert!(seen > 0);
    }

    #[test]
    fn new_reduces_and_from_canonical_refuses() {
        assert_eq!(Fp::new(P), Fp::ZERO);
        assert_eq!(Fp::new(P - 1).value(), P - 1);
        assert_eq!(Fp::new(u64::MAX).value(), EPSILON - 1);
        assert_eq!(Fp::from_canonical(P), None);
        assert_eq!(Fp::from_canonical(P - 1), Some(Fp(P - 1)));
    }

    #[test]
    fn edges_agree_with_plain_remainders() {
        for a in EDGES {
            for b in EDGES {
                agrees(a, b);
            }
        }
    }

    /// Long division judges; every result must also be canonical.
    fn agrees(a: u64, b: u64) {
        let (wide_a, wide_b, p) = (u128::from(a), u128::from(b), u128::from(P));
        let (x, y) = (Fp(a), Fp(b));
        assert_eq!(u128::from((x + y).0), (wide_a + wide_b) % p, "{a} + {b}");
        assert_eq!(
            u128::from((x - y).0),
            (wide_a + p - wide_b) % p,
            "{a} - {b}"
        );
        assert_eq!(u128::from((x * y).0), wide_a * wide_b % p, "{a} * {b}");
        let small = b as u32 >> 1;
        let product = wide_a * u128::from(small) % p;
        assert_eq!(u128::from(x.times_small(small).0), product);
        assert_eq!(u128::from(x.triple()) % p, 3 * wide_a % p);
        assert_eq!(x.select(y, u64::MAX), y);
        assert_eq!(x.select(y, 0), x);
        assert_eq!(x.invert(), x.pow(P - 2));
    }

    proptest! {
        #[test]
        fn sums_and_products_are_those_of_plain_remainders(a in 0..P, b in 0..P) {
            agrees(a, b);
        }

        #[test]
        fn any_three_words_are_reduced(low: u64, high: u64, top in 0_u64..1 << 31) {
            let p = u128::from(P);
            let upper = (u128::from(top) << 64 | u128::from(high)) % p;
            let value = ((upper << 64) % p + u128::from(low) % p) % p;
            prop_assert_eq!(u128::from(reduce(low, high, top).0), value);
        }
    }
}
