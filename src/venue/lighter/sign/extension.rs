//! The quintic extension GF(p^5) = Fp\[z\]/(z^5 - 3): curve coordinates, hashes, encodings.
//!
//! Promises: limbs are canonical at all times. Sums, products, squares, Frobenius maps and
//! inverses run without branches on values; square roots and the square test (public keys only) do
//! not. A product is 25 multiplications with one reduction a limb.
//! Refuses: limbs of p or more when decoding.
//!
//! Source: *crypto* in the venue's Sources; judged by `tests/data/lighter/lighter_curve.json`.

use super::field::{Fp, P, reduce};
use std::ops::{Add, Mul, Neg, Sub};
use zeroize::Zeroize;

/// Frobenius factor 3^((p-1)/5): z^p = PHI * z.
const PHI: u64 = 1_041_288_259_238_279_555;
/// PHI^i: what the Frobenius map multiplies limb i by.
const TWIST: [Fp; 5] = powers(PHI);
/// PHI^(2i): the same for the map applied twice.
const TWIST_TWICE: [Fp; 5] = powers((PHI as u128 * PHI as u128 % P as u128) as u64);

/// An element a0 + a1 z + ... + a4 z^4, limb 0 first.
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
            *limb = Fp::from_canonical(u64::from_le_bytes(*chunk))?;
        }
        Some(Fp5(limbs))
    }

    /// To 40 little-endian bytes.
    pub fn to_bytes(self) -> [u8; 40] {
        let mut bytes = [0; 40];
        for (chunk, limb) in bytes.as_chunks_mut::<8>().0.iter_mut().zip(self.0) {
            *chunk = limb.value().to_le_bytes();
        }
        bytes
    }

    /// `other` where the mask is all ones, `self` where it is zero.
    #[inline(always)]
    pub(super) fn select(self, other: Fp5, mask: u64) -> Fp5 {
        limbwise(|i| self.0[i].select(other.0[i], mask))
    }

    /// Takes over `other` where the mask is all ones, into an element that is zero.
    #[inline(always)]
    pub(super) fn merge(&mut self, other: &Fp5, mask: u64) {
        for (limb, other) in self.0.iter_mut().zip(&other.0) {
            limb.merge(*other, mask);
        }
    }

    /// Twice.
    #[inline(always)]
    pub fn double(self) -> Fp5 {
        self + self
    }

    /// The square: 15 products where a general product takes 25.
    #[inline(always)]
    pub fn square(self) -> Fp5 {
        #[cfg(test)]
        super::count::product();
        let [a0, a1, a2, a3, a4] = self.0.map(Fp::value);
        let [b0, b1, b2, b3, _] = self.double().0.map(Fp::value);
        let (t3, t4) = (self.0[3].triple(), self.0[4].triple());
        Fp5([
            sum_of([(a0, a0), (b1, t4), (b2, t3)]),
            sum_of([(b0, a1), (b2, t4), (a3, t3)]),
            sum_of([(b0, a2), (a1, a1), (b3, t4)]),
            sum_of([(b0, a3), (b1, a2), (a4, t4)]),
            sum_of([(b0, a4), (b1, a3), (a2, a2)]),
        ])
    }

    /// Times an element of the base field.
    #[inline(always)]
    pub fn scale(self, factor: Fp) -> Fp5 {
        limbwise(|i| self.0[i] * factor)
    }

    /// Times factor * z, with `factor` below 2^29: a rotation of limbs, the wrapped one three-fold.
    #[inline(always)]
    pub(super) fn times_small_z(self, factor: u32) -> Fp5 {
        let [a0, a1, a2, a3, a4] = self.0;
        Fp5([
            a4.times_small(3 * factor),
            a0.times_small(factor),
            a1.times_small(factor),
            a2.times_small(factor),
            a3.times_small(factor),
        ])
    }

    /// The map a -> a^p. Linear: limb i is multiplied by PHI^i.
    pub fn frobenius(self) -> Fp5 {
        limbwise(|i| self.0[i] * TWIST[i])
    }

    /// The map a -> a^(p^2).
    pub fn frobenius_twice(self) -> Fp5 {
        limbwise(|i| self.0[i] * TWIST_TWICE[i])
    }

    /// a^(p + p^2 + p^3 + p^4), and the norm: its product with a, which lies in the base field.
    fn conjugates(self) -> (Fp5, Fp) {
        let first = self.frobenius();
        let pair = first * first.frobenius();
        let all = pair * pair.frobenius_twice();
        (all, (self * all).0[0])
    }

    /// The norm: the product of all five conjugates, in the base field.
    pub fn norm(self) -> Fp {
        self.conjugates().1
    }

    /// 1 / self; 0 for 0. By the norm (Itoh and Tsujii): one inversion in the base field.
    pub fn invert(self) -> Fp5 {
        let (conjugates, norm) = self.conjugates();
        conjugates.scale(norm.invert())
    }

    /// Inverts every element by one inversion: the product of all is inverted once and multiplied
    /// back, three products an element (Montgomery's trick). A single zero makes every result
    /// zero.
    pub fn invert_all<const N: usize>(elements: [Fp5; N]) -> [Fp5; N] {
        let mut inverses = [Fp5::ONE; N];
        let mut product = Fp5::ONE;
        for (before, element) in inverses.iter_mut().zip(elements) {
            *before = product;
            product = product * element;
        }
        let mut rest = product.invert();
        for (inverse, element) in inverses.iter_mut().zip(elements).rev() {
            *inverse = *inverse * rest;
            rest = rest * element;
        }
        inverses
    }

    /// Whether a square root exists: the norm decides.
    pub fn is_square(self) -> bool {
        self.norm().is_square()
    }

    /// A square root, if there is one. e = a^((p + p^2 + p^3 + p^4) / 2) gives a * e^2 = norm(a) in
    /// the base field, so sqrt(a) = sqrt(norm) / e.
    pub fn sqrt(self) -> Option<Fp5> {
        // h = a^((p + 1) / 2), and (p + 1) / 2 = 2^63 - 2^31 + 1.
        let low = (0..31).fold(self, |power, _| power.square());
        let high = (0..32).fold(low, |power, _| power.square());
        let half = high * low.invert() * self;
        let e = (half * half.frobenius_twice()).frobenius();
        let norm = (self * e.square()).0[0];
        norm.sqrt().map(|root| e.invert().scale(root))
    }
}

/// An element from its limbs. A plain loop: the compiler unrolls it where it leaves
/// `array::from_fn` a call.
#[inline(always)]
fn limbwise(limb: impl Fn(usize) -> Fp) -> Fp5 {
    let mut limbs = [Fp::ZERO; 5];
    for (i, out) in limbs.iter_mut().enumerate() {
        *out = limb(i);
    }
    Fp5(limbs)
}

/// A sum of at most 2^31 products of any 64-bit numbers, reduced once instead of once a product.
/// Written in words and not with `u128::overflowing_add`, whose carries the compiler counts by way
/// of vector registers.
#[inline(always)]
fn sum_of<const N: usize>(terms: [(u64, u64); N]) -> Fp {
    let (mut low, mut high, mut top) = (0_u64, 0_u64, 0_u64);
    for (a, b) in terms {
        let product = u128::from(a) * u128::from(b);
        let first = u128::from(low) + u128::from(product as u64);
        let second = u128::from(high) + (product >> 64) + (first >> 64);
        low = first as u64;
        high = second as u64;
        top += (second >> 64) as u64;
    }
    reduce(low, high, top)
}

const fn powers(base: u64) -> [Fp; 5] {
    let (mut all, mut power, mut i) = ([Fp::ONE; 5], 1, 1);
    while i < 5 {
        power = power * base as u128 % P as u128;
        all[i] = Fp::new(power as u64);
        i += 1;
    }
    all
}

impl Add for Fp5 {
    type Output = Fp5;
    #[inline(always)]
    fn add(self, other: Fp5) -> Fp5 {
        limbwise(|i| self.0[i] + other.0[i])
    }
}

impl Sub for Fp5 {
    type Output = Fp5;
    #[inline(always)]
    fn sub(self, other: Fp5) -> Fp5 {
        limbwise(|i| self.0[i] - other.0[i])
    }
}

impl Neg for Fp5 {
    type Output = Fp5;
    #[inline(always)]
    fn neg(self) -> Fp5 {
        limbwise(|i| -self.0[i])
    }
}

impl Mul for Fp5 {
    type Output = Fp5;
    /// Schoolbook; a product that wraps past z^4 comes back three-fold, so limbs of `other` are
    /// kept once as they are and once times three.
    #[inline(always)]
    fn mul(self, other: Fp5) -> Fp5 {
        #[cfg(test)]
        super::count::product();
        let [a0, a1, a2, a3, a4] = self.0.map(Fp::value);
        let [b0, b1, b2, b3, b4] = other.0.map(Fp::value);
        let [_, t1, t2, t3, t4] = other.0.map(Fp::triple);
        Fp5([
            sum_of([(a0, b0), (a1, t4), (a2, t3), (a3, t2), (a4, t1)]),
            sum_of([(a0, b1), (a1, b0), (a2, t4), (a3, t3), (a4, t2)]),
            sum_of([(a0, b2), (a1, b1), (a2, b0), (a3, t4), (a4, t3)]),
            sum_of([(a0, b3), (a1, b2), (a2, b1), (a3, b0), (a4, t4)]),
            sum_of([(a0, b4), (a1, b3), (a2, b2), (a3, b1), (a4, b0)]),
        ])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::venue::lighter::sign::vectors::{bytes40, cases, number};
    use proptest::prelude::*;
    use serde_json::Value;

    const FILE: &str = include_str!("../../../../tests/data/lighter/lighter_curve.json");

    fn element(case: &Value, key: &str) -> Fp5 {
        Fp5::from_bytes(&bytes40(&case[key])).unwrap()
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
            assert_eq!(a.norm().value(), number(&case["norm_a"]));
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
        for limb in 0..5 {
            let mut bytes = [0; 40];
            bytes[8 * limb..8 * limb + 8].copy_from_slice(&P.to_le_bytes());
            assert_eq!(Fp5::from_bytes(&bytes), None);
        }
    }

    /// Polynomials multiplied coefficient by coefficient, each product reduced by itself.
    fn naive_product(a: Fp5, b: Fp5) -> Fp5 {
        let mut limbs = [Fp::ZERO; 5];
        for i in 0..5 {
            for j in 0..5 {
                let wrapped = if i + j >= 5 { Fp::new(3) } else { Fp::ONE };
                let limb = &mut limbs[(i + j) % 5];
                *limb = *limb + a.0[i] * b.0[j] * wrapped;
            }
        }
        Fp5(limbs)
    }

    fn any_element() -> impl Strategy<Value = Fp5> {
        let limb = prop_oneof![4 => 0..P, 1 => P - 3..P, 1 => 0..3_u64];
        prop::array::uniform5(limb).prop_map(Fp5::from_limbs)
    }

    #[test]
    fn all_limbs_at_their_largest() {
        let largest = Fp5([Fp::new(P - 1); 5]);
        assert_eq!(largest * largest, naive_product(largest, largest));
        assert_eq!(largest.square(), largest * largest);
    }

    proptest! {
        #[test]
        fn products_are_the_naive_ones(a in any_element(), b in any_element()) {
            prop_assert_eq!(a * b, naive_product(a, b));
            prop_assert_eq!(a.square(), naive_product(a, a));
            let z = Fp5::from_limbs([0, 263, 0, 0, 0]);
            prop_assert_eq!(a.times_small_z(263), naive_product(a, z));
        }

        #[test]
        fn inverting_all_is_inverting_each(a in any_element(), b in any_element()) {
            let both = Fp5::invert_all([a, b]);
            if a != Fp5::ZERO && b != Fp5::ZERO {
                prop_assert_eq!(both, [a.invert(), b.invert()]);
                prop_assert_eq!(a * both[0], Fp5::ONE);
            } else {
                prop_assert_eq!(both, [Fp5::ZERO; 2]);
            }
        }
    }
}
