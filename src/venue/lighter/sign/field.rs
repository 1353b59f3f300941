//! Goldilocks numbers `Fp` and their quintic extension `Fp5`: the arithmetic under hash and curve.
//!
//! Promises: every value is canonical (below p) at all times, so equality is equality of limbs and
//! encoding is a copy. No allocation, no tables. The additive and multiplicative parts of both
//! types run without branches on their values; square roots and Legendre symbols (public keys only)
//! do not.
//! Refuses: limbs of p or more when decoding.
//!
//! Source: *crypto* in the venue's Sources; judged by `tests/data/lighter/lighter_curve.json`.

use std::ops::{Add, Mul, Neg, Sub};
use zeroize::Zeroize;

/// The Goldilocks prime, 2^64 - 2^32 + 1.
pub const P: u64 = 0xFFFF_FFFF_0000_0001;
/// 2^64 mod p: what a carry out of 64 bits is worth.
const EPSILON: u64 = 0xFFFF_FFFF;
/// Frobenius factor 3^((p-1)/5): z^p = PHI * z.
const PHI: Fp = Fp(1_041_288_259_238_279_555);
/// z^5: the extension is Fp\[z\]/(z^5 - 3).
const Z5: Fp = Fp(3);

/// A number mod p, canonical.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Zeroize)]
pub struct Fp(u64);

impl Fp {
    /// Zero.
    pub const ZERO: Fp = Fp(0);
    /// One.
    pub const ONE: Fp = Fp(1);

    /// Any 64-bit value, reduced.
    #[inline]
    pub const fn new(value: u64) -> Fp {
        Fp(if value >= P { value - P } else { value })
    }

    /// The canonical value, below p.
    #[cfg(test)]
    pub const fn value(self) -> u64 {
        self.0
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

    /// 1 / self; 0 for 0.
    pub fn invert(self) -> Fp {
        self.pow(P - 2)
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
            for _ in 0..order_log - log - 1 {
                twist = twist * twist;
            }
            root = root * twist;
            twist = twist * twist;
            rest = rest * twist;
            order_log = log;
        }
        Some(root)
    }
}

/// `value` or zero, without a branch.
#[inline]
const fn only_if(value: u64, flag: bool) -> u64 {
    value & (flag as u64).wrapping_neg()
}

/// A 128-bit product to its residue. With hi = h1 * 2^32 + h0: lo - h1 + h0 * (2^32 - 1), because
/// 2^64 = 2^32 - 1 and 2^96 = -1.
#[inline]
fn reduce(product: u128) -> Fp {
    let (low, high) = (product as u64, (product >> 64) as u64);
    let (difference, borrow) = low.overflowing_sub(high >> 32);
    let difference = difference.wrapping_sub(only_if(EPSILON, borrow));
    let (sum, carry) = difference.overflowing_add((high & EPSILON) * EPSILON);
    Fp::new(sum.wrapping_add(only_if(EPSILON, carry)))
}

impl Add for Fp {
    type Output = Fp;
    #[inline]
    fn add(self, other: Fp) -> Fp {
        let (sum, carry) = self.0.overflowing_add(other.0);
        Fp::new(sum.wrapping_add(only_if(EPSILON, carry)))
    }
}

impl Sub for Fp {
    type Output = Fp;
    #[inline]
    fn sub(self, other: Fp) -> Fp {
        let (difference, borrow) = self.0.overflowing_sub(other.0);
        Fp(difference.wrapping_add(only_if(P, borrow)))
    }
}

impl Neg for Fp {
    type Output = Fp;
    #[inline]
    fn neg(self) -> Fp {
        Fp::ZERO - self
    }
}

impl Mul for Fp {
    type Output = Fp;
    #[inline]
    fn mul(self, other: Fp) -> Fp {
        reduce(u128::from(self.0) * u128::from(other.0))
    }
}

/// A sum of up to 2^32 products, reduced once at the end instead of once per product.
#[derive(Clone, Copy, Default)]
struct Products {
    low: u128,
    carries: u64,
}

impl Products {
    #[inline]
    fn add(&mut self, a: Fp, b: Fp) {
        let (sum, carry) = self.low.overflowing_add(u128::from(a.0) * u128::from(b.0));
        self.low = sum;
        self.carries += u64::from(carry);
    }

    /// 2^128 = -2^32 mod p, so each carry takes 2^32 away.
    #[inline]
    fn residue(self) -> Fp {
        reduce(self.low) - Fp(self.carries << 32)
    }
}

/// An element of GF(p^5): a0 + a1 z + ... + a4 z^4, limb 0 first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Zeroize)]
pub struct Fp5(pub [Fp; 5]);

impl Fp5 {
    /// Zero.
    pub const ZERO: Fp5 = Fp5([Fp::ZERO; 5]);
    /// One.
    pub const ONE: Fp5 = Fp5([Fp::ONE, Fp::ZERO, Fp::ZERO, Fp::ZERO, Fp::ZERO]);

    /// From five values, each reduced.
    pub const fn from_limbs(limbs: [u64; 5]) -> Fp5 {
        Fp5([
            Fp::new(limbs[0]),
            Fp::new(limbs[1]),
            Fp::new(limbs[2]),
            Fp::new(limbs[3]),
            Fp::new(limbs[4]),
        ])
    }

    /// From 40 little-endian bytes; `None` when a limb is p or more.
    pub fn from_bytes(bytes: &[u8; 40]) -> Option<Fp5> {
        let mut limbs = [Fp::ZERO; 5];
        for (limb, chunk) in limbs.iter_mut().zip(bytes.as_chunks::<8>().0) {
            let value = u64::from_le_bytes(*chunk);
            if value >= P {
                return None;
            }
            *limb = Fp(value);
        }
        Some(Fp5(limbs))
    }

    /// To 40 little-endian bytes.
    pub fn to_bytes(self) -> [u8; 40] {
        let mut bytes = [0; 40];
        for (chunk, limb) in bytes.as_chunks_mut::<8>().0.iter_mut().zip(self.0) {
            *chunk = limb.0.to_le_bytes();
        }
        bytes
    }

    /// Twice.
    #[inline]
    pub fn double(self) -> Fp5 {
        self + self
    }

    /// The square: 15 products where a general product takes 25.
    #[inline]
    pub fn square(self) -> Fp5 {
        let [a0, a1, a2, a3, a4] = self.0;
        let (b0, b1, b2, b3) = (a0 + a0, a1 + a1, a2 + a2, a3 + a3);
        let (t3, t4) = (Z5 * a3, Z5 * a4);
        let sum = |terms: [(Fp, Fp); 3]| {
            let mut products = Products::default();
            for (a, b) in terms {
                products.add(a, b);
            }
            products.residue()
        };
        Fp5([
            sum([(a0, a0), (b1, t4), (b2, t3)]),
            sum([(b0, a1), (b2, t4), (a3, t3)]),
            sum([(b0, a2), (a1, a1), (b3, t4)]),
            sum([(b0, a3), (b1, a2), (a4, t4)]),
            sum([(b0, a4), (b1, a3), (a2, a2)]),
        ])
    }

    /// Times an element of the base field.
    #[inline]
    pub fn scale(self, factor: Fp) -> Fp5 {
        Fp5(self.0.map(|limb| limb * factor))
    }

    /// The map a -> a^p. Linear: limb i is multiplied by PHI^i.
    pub fn frobenius(self) -> Fp5 {
        self.twist(PHI)
    }

    /// The map a -> a^(p^2).
    pub fn frobenius_twice(self) -> Fp5 {
        self.twist(PHI * PHI)
    }

    fn twist(self, step: Fp) -> Fp5 {
        let mut factor = Fp::ONE;
        Fp5(self.0.map(|limb| {
            let twisted = limb * factor;
            factor = factor * step;
            twisted
        }))
    }

    /// a^(p + p^2 + p^3 + p^4), and the norm: its product with a, which lies in the base field.
    fn conjugates(self) -> (Fp5, Fp) {
        let first = self.frobenius();
        let pair = first * first.frobenius();
        let all = pair * pair.frobenius_twice();
        (all, (self * all).0[0])
    }

    /// 1 / self; 0 for 0. By the norm (Itoh and Tsujii): one inversion in the base field.
    pub fn invert(self) -> Fp5 {
        let (conjugates, norm) = self.conjugates();
        conjugates.scale(norm.invert())
    }

    /// Whether a square root exists: the norm decides.
    pub fn is_square(self) -> bool {
        self.conjugates().1.is_square()
    }

    /// A square root, if there is one. e = a^((p + p^2 + p^3 + p^4) / 2) gives a * e^2 = norm(a) in
    /// the base field, so sqrt(a) = sqrt(norm) / e.
    pub fn sqrt(self) -> Option<Fp5> {
        // h = a^((p + 1) / 2), and (p + 1) / 2 = 2^63 - 2^31 + 1.
        let mut low = self;
        for _ in 0..31 {
            low = low.square();
        }
        let mut high = low;
        for _ in 0..32 {
            high = high.square();
        }
        let half = high * low.invert() * self;
        let e = (half * half.frobenius_twice()).frobenius();
        let norm = (self * e.square()).0[0];
        norm.sqrt().map(|root| e.invert().scale(root))
    }
}

impl Add for Fp5 {
    type Output = Fp5;
    #[inline]
    fn add(self, other: Fp5) -> Fp5 {
        Fp5(std::array::from_fn(|i| self.0[i] + other.0[i]))
    }
}

impl Sub for Fp5 {
    type Output = Fp5;
    #[inline]
    fn sub(self, other: Fp5) -> Fp5 {
        Fp5(std::array::from_fn(|i| self.0[i] - other.0[i]))
    }
}

impl Neg for Fp5 {
    type Output = Fp5;
    #[inline]
    fn neg(self) -> Fp5 {
        Fp5::ZERO - self
    }
}

impl Mul for Fp5 {
    type Output = Fp5;
    /// Schoolbook; a product that wraps past z^4 comes back three-fold, so `b` is kept once as it
    /// is and once times three.
    #[inline]
    fn mul(self, other: Fp5) -> Fp5 {
        let wrapped = other.0.map(|limb| Z5 * limb);
        Fp5(std::array::from_fn(|k| {
            let mut products = Products::default();
            for i in 0..5 {
                let factor = if i <= k {
                    other.0[k - i]
                } else {
                    wrapped[k + 5 - i]
                };
                products.add(self.0[i], factor);
            }
            products.residue()
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::venue::lighter::sign::vectors::{bytes40, cases, number};
    use serde_json::Value;

    const FILE: &str = include_str!("../../../../tests/data/lighter/lighter_curve.json");

    fn element(case: &Value, key: &str) -> Fp5 {
        Fp5::from_bytes(&bytes40(&case[key])).unwrap()
    }

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
    fn extension_vectors() {
        let mut seen = 0;
        for case in cases(FILE, "fp5") {
            let (a, b) = (element(&case, "a"), element(&case, "b"));
            assert_eq!(a + b, element(&case, "add"));
            assert_eq!(a - b, element(&case, "sub"));
            assert_eq!(a * b, element(&case, "mul"));
            assert_eq!(a.square(), element(&case, "sqr_a"));
            assert_eq!(a.invert(), element(&case, "inv_a"));
            assert_eq!(a.frobenius(), element(&case, "frob_a"));
            assert_eq!(a.frobenius_twice(), element(&case, "frob2_a"));
            assert_eq!(a.conjugates().1.value(), number(&case["norm_a"]));
            assert_eq!(a.is_square(), case["legendre_a"].as_i64().unwrap() >= 0);
            seen += 1;
        }
        assert!(seen > 0);
    }

    #[test]
    fn square_root_vectors() {
        let mut seen = 0;
        for case in cases(FILE, "fp5_sqrt") {
            for (key, roots) in [("square", "roots"), ("other", "other_roots")] {
                let root = element(&case, key).sqrt().map(|root| root.to_bytes());
                match case[roots].as_array() {
                    Some(list) => {
                        let root = root.unwrap();
                        assert!(list.iter().any(|one| bytes40(one) == root));
                    }
                    None => assert_eq!(root, None),
                }
            }
            seen += 1;
        }
        assert!(seen > 0);
    }

    #[test]
    fn limbs_of_p_or_more_are_refused() {
        assert_eq!(Fp5::from_bytes(&[0xFF; 40]), None);
        let mut bytes = [0; 40];
        bytes[32..].copy_from_slice(&P.to_le_bytes());
        assert_eq!(Fp5::from_bytes(&bytes), None);
        assert_eq!(Fp::new(P), Fp::ZERO);
        assert_eq!(Fp::new(u64::MAX).value(), EPSILON - 1);
    }
}
