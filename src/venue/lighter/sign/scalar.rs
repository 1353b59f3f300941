//! Integers modulo n, the prime order of the ECgFp5 group: keys, nonces and both signature halves.
//!
//! Promises: values are canonical (below n); arithmetic and digits run without branches on values,
//! since they touch secrets. Multiplication is Montgomery's with R = 2^320 (word by word, as in
//! "CIOS").
//! Refuses nothing: 320-bit input is reduced; who must refuse (a verifier) asks `from_canonical`.
//!
//! Source: *crypto* in the venue's Sources; judged by `tests/data/lighter/lighter_curve.json`.

use super::field::only_if;
use std::hint::black_box;
use std::ops::{Add, Mul, Sub};
use zeroize::{Zeroize, ZeroizeOnDrop};

/// n, little-endian limbs; 319 bits.
const N: [u64; 5] = [
    0xE80F_D996_948B_FFE1,
    0xE888_5C39_D724_A09C,
    0x7FFF_FFE6_CFB8_0639,
    0x7FFF_FFF1_0000_0016,
    0x7FFF_FFFD_8000_0007,
];
/// -1/n mod 2^64.
const N_NEGATIVE_INVERSE: u64 = 0xD78B_EF72_057B_7BDF;
/// 2^640 mod n: takes a Montgomery product back out of Montgomery form.
const R_SQUARED: Scalar = Scalar([
    0xA010_01DC_E33D_C739,
    0x6C32_28D3_3F62_ACCF,
    0xD1D7_96CC_91CF_8525,
    0xAADF_FF5D_1574_C1D8,
    0x4ACA_13B2_8CA2_51F5,
]);

/// An integer mod n, canonical. Often a secret: no `Debug`.
#[derive(Clone, Copy, Default, PartialEq, Eq, Zeroize)]
pub struct Scalar([u64; 5]);

/// A scalar written in odd digits, lowest first; wiped on drop.
#[derive(ZeroizeOnDrop)]
pub(super) struct OddDigits {
    /// 320 bits and an unused word, so that a window never ends outside.
    bits: [u64; 6],
    /// All ones where the digits are those of n minus the scalar, else zero.
    pub(super) negated: u64,
}

/// Bits of a window, and windows of a scalar.
pub(super) const WINDOW: usize = 5;
/// Windows of a 320-bit scalar.
pub(super) const WINDOW_COUNT: usize = 320 / WINDOW;

/// One odd digit: its size is 2 * `half` + 1.
#[derive(Clone, Copy)]
pub(super) struct OddDigit {
    /// From 0 to 15.
    pub(super) half: u64,
    /// All ones where it counts negatively, else zero.
    pub(super) negative: u64,
}

impl OddDigits {
    /// Digit `i` of 64: five bits v stand for 2 v - 31.
    #[inline]
    pub(super) fn digit(&self, i: usize) -> OddDigit {
        let (limb_idx, shift) = (i * WINDOW / 64, i * WINDOW % 64);
        let upper = (self.bits[limb_idx + 1] << 1) << (63 - shift);
        let bits = (self.bits[limb_idx] >> shift | upper) & 31;
        let negative = black_box((bits >> 4).wrapping_sub(1));
        OddDigit {
            half: (bits ^ negative) & 15,
            negative,
        }
    }
}

/// a + b + carry as (low, carry).
#[inline]
const fn add_carry(a: u64, b: u64, carry: u64) -> (u64, u64) {
    let sum = a as u128 + b as u128 + carry as u128;
    (sum as u64, (sum >> 64) as u64)
}

/// a - b - borrow as (low, borrow).
#[inline]
const fn sub_borrow(a: u64, b: u64, borrow: u64) -> (u64, u64) {
    let difference = (a as u128).wrapping_sub(b as u128 + borrow as u128);
    (difference as u64, (difference >> 64) as u64 & 1)
}

/// sum + a * b + carry as (low, carry); cannot overflow 128 bits.
#[inline]
const fn mul_add(sum: u64, a: u64, b: u64, carry: u64) -> (u64, u64) {
    let wide = a as u128 * b as u128 + sum as u128 + carry as u128;
    (wide as u64, (wide >> 64) as u64)
}

/// Takes n away once if `limbs` (with `top` above them) is n or more.
#[inline]
fn reduce_once(limbs: [u64; 5], top: u64) -> [u64; 5] {
    let mut less = [0; 5];
    let mut borrow = 0;
    for i in 0..5 {
        (less[i], borrow) = sub_borrow(limbs[i], N[i], borrow);
    }
    // A borrow that the top word does not cover means the value was already below n.
    let keep = black_box((borrow & (top ^ 1)).wrapping_neg());
    std::array::from_fn(|i| (limbs[i] & keep) | (less[i] & !keep))
}

impl Scalar {
    /// Zero.
    pub const ZERO: Scalar = Scalar([0; 5]);

    /// From 40 little-endian bytes, reduced.
    pub fn from_bytes(bytes: &[u8; 40]) -> Scalar {
        Scalar::from_limbs(limbs_of(bytes))
    }

    /// From 40 little-endian bytes; `None` when n or more.
    pub fn from_canonical(bytes: &[u8; 40]) -> Option<Scalar> {
        let scalar = Scalar::from_bytes(bytes);
        (scalar.0 == limbs_of(bytes)).then_some(scalar)
    }

    /// From five little-endian limbs, reduced. 2^320 is below 3n, so two subtractions suffice.
    pub fn from_limbs(limbs: [u64; 5]) -> Scalar {
        Scalar(reduce_once(reduce_once(limbs, 0), 0))
    }

    /// From 64 uniform bytes: reduced mod n with a bias below 2^-190.
    pub fn from_wide(bytes: &[u8; 64]) -> Scalar {
        let (chunks, _) = bytes.as_chunks::<8>();
        let limb = |i: usize| u64::from_le_bytes(chunks[i]);
        let low = Scalar::from_limbs(std::array::from_fn(limb));
        let high = Scalar([limb(5), limb(6), limb(7), 0, 0]);
        low + high.montgomery(R_SQUARED)
    }

    /// To 40 little-endian bytes.
    pub fn to_bytes(self) -> [u8; 40] {
        let mut bytes = [0; 40];
        for (chunk, limb) in bytes.as_chunks_mut::<8>().0.iter_mut().zip(self.0) {
            *chunk = limb.to_le_bytes();
        }
        bytes
    }

    /// Whether it is zero.
    pub fn is_zero(self) -> bool {
        self.0.iter().fold(0, |all, limb| all | limb) == 0
    }

    /// The scalar, or n minus it, as 64 odd digits in base 32.
    ///
    /// An odd k below 2^320 is a sum of b_i 2^i with every b_i one or minus one: take the bits of
    /// (k + 2^320 - 1) / 2 and read 0 as -1. Five of them together are an odd digit from -31 to 31,
    /// never zero. Of k and n - k exactly one is odd, because n is.
    pub(super) fn odd_digits(self) -> OddDigits {
        let mut less = N;
        let mut borrow = 0;
        for (limb, own) in less.iter_mut().zip(self.0) {
            (*limb, borrow) = sub_borrow(*limb, own, borrow);
        }
        let negated = black_box((self.0[0] & 1).wrapping_sub(1));
        let mut bits = [0; 6];
        for (i, bit) in bits.iter_mut().take(5).enumerate() {
            *bit = self.0[i] ^ ((self.0[i] ^ less[i]) & negated);
        }
        // Odd, so adding 2^320 - 1 and halving is: drop the lowest bit, set bit 319.
        bits[5] = 1;
        for i in 0..5 {
            bits[i] = bits[i] >> 1 | bits[i + 1] << 63;
        }
        less.zeroize();
        OddDigits { bits, negated }
    }

    /// self * other / 2^320 mod n.
    ///
    /// Word by word: add one word of `self` times `other`, then add the multiple of n that makes
    /// the lowest word zero, then drop that word. Each drop divides by 2^64; five drops by 2^320.
    /// The sum stays below 2n, so one subtraction at the end makes it canonical.
    fn montgomery(self, other: Scalar) -> Scalar {
        let mut t = [0; 7];
        for word in self.0 {
            let mut carry = 0;
            for (slot, factor) in t.iter_mut().zip(other.0) {
                (*slot, carry) = mul_add(*slot, word, factor, carry);
            }
            (t[5], t[6]) = add_carry(t[5], carry, 0);
            // t + factor * n is divisible by 2^64, because n * N_NEGATIVE_INVERSE = -1 there.
            let factor = t[0].wrapping_mul(N_NEGATIVE_INVERSE);
            (_, carry) = mul_add(t[0], factor, N[0], 0);
            for j in 1..5 {
                (t[j - 1], carry) = mul_add(t[j], factor, N[j], carry);
            }
            (t[4], carry) = add_carry(t[5], carry, 0);
            t[5] = t[6] + carry;
        }
        Scalar(reduce_once([t[0], t[1], t[2], t[3], t[4]], t[5]))
    }
}

impl Add for Scalar {
    type Output = Scalar;
    fn add(self, other: Scalar) -> Scalar {
        let mut sum = [0; 5];
        let mut carry = 0;
        for (i, limb) in sum.iter_mut().enumerate() {
            (*limb, carry) = add_carry(self.0[i], other.0[i], carry);
        }
        Scalar(reduce_once(sum, carry))
    }
}

impl Sub for Scalar {
    type Output = Scalar;
    fn sub(self, other: Scalar) -> Scalar {
        let mut difference = [0; 5];
        let mut borrow = 0;
        for (i, limb) in difference.iter_mut().enumerate() {
            (*limb, borrow) = sub_borrow(self.0[i], other.0[i], borrow);
        }
        // A borrow means the difference is negative: n is added back, by mask.
        let mut carry = 0;
        for (i, limb) in difference.iter_mut().enumerate() {
            (*limb, carry) = add_carry(*limb, only_if(N[i], borrow == 1), carry);
        }
        Scalar(difference)
    }
}

impl Mul for Scalar {
    type Output = Scalar;
    fn mul(self, other: Scalar) -> Scalar {
        self.montgomery(other).montgomery(R_SQUARED)
    }
}

fn limbs_of(bytes: &[u8; 40]) -> [u64; 5] {
    let (chunks, _) = bytes.as_chunks::<8>();
    std::array::from_fn(|i| u64::from_le_bytes(chunks[i]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::venue::lighter::sign::vectors::{bytes40, cases};
    use proptest::prelude::*;

    const FILE: &str = include_str!("../../../../tests/data/lighter/lighter_curve.json");

    fn n_bytes() -> [u8; 40] {
        Scalar(N).to_bytes()
    }

    #[test]
    fn vectors() {
        let mut seen = 0;
        for case in cases(FILE, "scalar") {
            let a = Scalar::from_bytes(&bytes40(&case["a"]));
            let b = Scalar::from_bytes(&bytes40(&case["b"]));
            let raw = Scalar::from_bytes(&bytes40(&case["raw320"]));
            assert_eq!((a + b).to_bytes(), bytes40(&case["add"]));
            assert_eq!((a - b).to_bytes(), bytes40(&case["sub"]));
            assert_eq!((a * b).to_bytes(), bytes40(&case["mul"]));
            assert_eq!(raw.to_bytes(), bytes40(&case["raw320_mod_n"]));
            seen += 1;
        }
        assert!(seen > 0);
    }

    #[test]
    fn edges() {
        assert!(Scalar::from_canonical(&n_bytes()).is_none());
        assert!(Scalar::from_bytes(&n_bytes()).is_zero());
        let one = Scalar([1, 0, 0, 0, 0]);
        let last = Scalar::ZERO - one;
        assert!(Scalar::from_canonical(&last.to_bytes()).is_some());
        assert!((last + one).is_zero());
        assert!(last * last == one);
    }

    /// The digits put together again, highest first.
    fn from_digits(digits: &OddDigits) -> Scalar {
        let mut sum = Scalar::ZERO;
        for i in (0..WINDOW_COUNT).rev() {
            for _ in 0..WINDOW {
                sum = sum + sum;
            }
            let digit = digits.digit(i);
            let size = Scalar([2 * digit.half + 1, 0, 0, 0, 0]);
            sum = if digit.negative != 0 {
                sum - size
            } else {
                sum + size
            };
        }
        if digits.negated != 0 {
            Scalar::ZERO - sum
        } else {
            sum
        }
    }

    #[test]
    fn odd_digits_of_the_smallest_and_the_largest() {
        let one = Scalar([1, 0, 0, 0, 0]);
        let two = one + one;
        for scalar in [
            Scalar::ZERO,
            one,
            two,
            Scalar::ZERO - one,
            Scalar::ZERO - two,
        ] {
            assert!(from_digits(&scalar.odd_digits()) == scalar);
        }
    }

    proptest! {
        #[test]
        fn odd_digits_give_the_scalar(limbs in any::<[u64; 5]>()) {
            let scalar = Scalar::from_limbs(limbs);
            prop_assert!(from_digits(&scalar.odd_digits()) == scalar);
        }

        #[test]
        fn wide_reduction_is_linear(bytes in any::<[u8; 32]>(), high in any::<[u8; 24]>()) {
            // 2^320 = sum of doublings: the high part must equal itself times 2, 320 times.
            let mut wide = [0; 64];
            wide[40..].copy_from_slice(&high);
            let mut doubled = [0; 40];
            doubled[..24].copy_from_slice(&high);
            let mut expected = Scalar::from_bytes(&doubled);
            for _ in 0..320 {
                expected = expected + expected;
            }
            prop_assert!(Scalar::from_wide(&wide) == expected);
            wide[..32].copy_from_slice(&bytes);
            let mut low = [0; 40];
            low[..32].copy_from_slice(&bytes);
            prop_assert!(Scalar::from_wide(&wide) == expected + Scalar::from_bytes(&low));
        }
    }
}
