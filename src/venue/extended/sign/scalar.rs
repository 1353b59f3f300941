//! Scalars: integers modulo N, the order of the Stark curve's group.
//!
//! Promises: no branch and no look-up depends on a value; an inversion is a fixed sequence of
//! products. Values stand in Montgomery form, below 2N, four limbs, least significant first.
//! Refuses nothing: callers check ranges where a range is asked for.
//!
//! N has no shape that would help (unlike P), so this is Montgomery's method as everyone writes it:
//! a row of the product, then a row of the reduction. Judged by `Felt::mul_mod` and `mod_inverse`.

use super::meter;
use zeroize::Zeroize;

/// An integer of 256 bits, least significant limb first.
pub type Integer = [u64; 4];

/// A residue modulo N as `x * 2^256 mod N`, below 2N. May be secret: holders wipe it.
#[derive(Clone, Copy, Default, Zeroize)]
pub struct Scalar(Integer);

/// N, the group order.
pub const ORDER: Integer = [
    0x1e66_a241_adc6_4d2f,
    0xb781_126d_cae7_b232,
    0xffff_ffff_ffff_ffff,
    0x0800_0000_0000_0010,
];
/// `-1 / N mod 2^64`: what makes a row's lowest limb vanish.
const ORDER_INVERSE: u64 = 0xbb6b_3c4c_e8bd_e631;
/// `2^512 mod N`: brings an integer into Montgomery form.
const RADIX_SQUARED: Scalar = Scalar([
    0x6021_b3f1_ea1c_688d,
    0x509c_f64d_14ce_60b9,
    0xbaf0_ab4c_f78b_babb,
    0x07d9_e57c_2333_766e,
]);
/// `2^768 mod N`: the same for the upper half of 512 bits.
const RADIX_CUBED: Scalar = Scalar([
    0x8114_7668_fddd_0429,
    0x1da2_136e_b8b3_f20e,
    0x1f0d_9ded_fedf_da50,
    0x01b2_ba88_ca1f_e18a,
]);

impl Scalar {
    /// One: `2^256 mod N`.
    pub const ONE: Scalar = Scalar([
        0x5192_5a0b_f4fc_a74f,
        0xc75e_c4b4_6df1_6bee,
        0x0000_0000_0000_0008,
        0x07ff_ffff_ffff_fdf1,
    ]);

    /// From an integer of any size below 2^256.
    pub fn from_integer(integer: &Integer) -> Scalar {
        Scalar(multiply(integer, &RADIX_SQUARED.0))
    }

    /// From 64 uniform bytes: uniform modulo N but for 2^-260.
    pub fn from_wide(bytes: &[u8; 64]) -> Scalar {
        let mut halves = [[0; 4]; 2];
        for (limb, chunk) in halves
            .as_flattened_mut()
            .iter_mut()
            .zip(bytes.as_chunks().0)
        {
            *limb = u64::from_le_bytes(*chunk);
        }
        let low = multiply(&halves[0], &RADIX_SQUARED.0);
        let high = multiply(&halves[1], &RADIX_CUBED.0);
        halves.zeroize();
        Scalar(add_modulo(&reduce_once(&low), &reduce_once(&high)))
    }

    /// The integer itself, in `0..N`.
    pub fn to_integer(self) -> Integer {
        reduce_once(&multiply(&self.0, &[1, 0, 0, 0]))
    }

    /// Product.
    #[inline]
    pub fn product(&self, other: &Scalar) -> Scalar {
        Scalar(multiply(&self.0, &other.0))
    }

    /// `self * integer + addend` as an integer in `0..N`: the online step of a signature. Both
    /// integers are below N.
    #[inline]
    pub fn multiply_add(&self, integer: &Integer, addend: &Integer) -> Integer {
        // Montgomery form times plain form is plain form.
        add_modulo(&reduce_once(&multiply(&self.0, integer)), addend)
    }

    /// The inverse, zero for zero: the power N - 2 by windows of four bits. The exponent is public,
    /// so the look-ups are.
    pub fn invert(&self) -> Scalar {
        let exponent = [ORDER[0] - 2, ORDER[1], ORDER[2], ORDER[3]];
        let mut powers = [Scalar::ONE; 16];
        for idx in 1..16 {
            powers[idx] = powers[idx - 1].product(self);
        }
        let mut power = Scalar::ONE;
        for limb in exponent.iter().rev() {
            for shift in (0..64).step_by(4).rev() {
                for _ in 0..4 {
                    power = power.product(&power);
                }
                power = power.product(&powers[(limb >> shift) as usize & 15]);
            }
        }
        powers.zeroize();
        power
    }
}

/// Whether an integer is in `1..N`, without a branch on its limbs.
pub fn is_in_range(integer: &Integer) -> bool {
    let any = integer.iter().fold(0, |all, limb| all | limb);
    (any != 0) & subtract(integer, &ORDER).1
}

/// `left * right / 2^256 mod N`. Takes factors whose product is below 2^508; gives less than 2N.
#[inline]
fn multiply(left: &Integer, right: &Integer) -> Integer {
    meter::multiplied();
    let mut sum = [0; 6];
    for &limb in right {
        add_row(&mut sum, left, limb);
        let clearing = sum[0].wrapping_mul(ORDER_INVERSE);
        add_row(&mut sum, &ORDER, clearing);
        // The lowest limb is zero now; dividing by 2^64 is a move.
        sum = [sum[1], sum[2], sum[3], sum[4], sum[5], 0];
    }
    [sum[0], sum[1], sum[2], sum[3]]
}

/// `sum += row * limb`.
#[inline(always)]
fn add_row(sum: &mut [u64; 6], row: &Integer, limb: u64) {
    let mut carry = 0;
    for (idx, part) in row.iter().enumerate() {
        (sum[idx], carry) = part.carrying_mul_add(limb, sum[idx], carry);
    }
    let (fifth, over) = sum[4].carrying_add(carry, false);
    sum[4] = fifth;
    sum[5] += u64::from(over);
}

/// Takes N away once where that leaves nothing negative.
fn reduce_once(integer: &Integer) -> Integer {
    let (less, borrow) = subtract(integer, &ORDER);
    // Opaque, so that the mask stays a mask.
    let mask = std::hint::black_box(u64::from(borrow).wrapping_neg());
    std::array::from_fn(|idx| less[idx] ^ (mask & (less[idx] ^ integer[idx])))
}

/// Sum of two integers below N, below N.
fn add_modulo(left: &Integer, right: &Integer) -> Integer {
    let mut sum = [0; 4];
    let mut carry = false;
    for (idx, limb) in sum.iter_mut().enumerate() {
        (*limb, carry) = left[idx].carrying_add(right[idx], carry);
    }
    reduce_once(&sum)
}

/// Difference modulo 2^256, and whether it went below zero.
fn subtract(left: &Integer, right: &Integer) -> (Integer, bool) {
    let mut difference = [0; 4];
    let mut borrow = false;
    for (idx, limb) in difference.iter_mut().enumerate() {
        (*limb, borrow) = left[idx].borrowing_sub(right[idx], borrow);
    }
    (difference, borrow)
}

#[cfg(test)]
mod tests {
    use super::super::meter;
    use super::*;
    use proptest::prelude::*;

    /// Limbs modulo N by doubling and adding one bit at a time: too simple to be wrong.
    fn modulo(limbs: &[u64]) -> Integer {
        let mut rest = [0; 4];
        for limb in limbs.iter().rev() {
            for bit in (0..64).rev() {
                rest = twice_plus(rest, limb >> bit & 1);
            }
        }
        rest
    }

    fn twice_plus(x: Integer, bit: u64) -> Integer {
        let mut twice = [x[0] << 1 | bit, 0, 0, 0];
        for idx in 1..4 {
            twice[idx] = x[idx] << 1 | x[idx - 1] >> 63;
        }
        match subtract(&twice, &ORDER) {
            (less, false) => less,
            (_, true) => twice,
        }
    }

    /// The product likewise.
    fn times(x: &Integer, y: &Integer) -> Integer {
        let (x, mut sum) = (modulo(x), [0; 4]);
        for limb in y.iter().rev() {
            for bit in (0..64).rev() {
                sum = twice_plus(sum, 0);
                if limb >> bit & 1 == 1 {
                    let room = subtract(&ORDER, &x).0;
                    let (less, borrow) = subtract(&sum, &room);
                    sum = if borrow {
                        subtract(&sum, &subtract(&[0; 4], &x).0).0
                    } else {
                        less
                    };
                }
            }
        }
        sum
    }

    fn edges() -> Vec<Integer> {
        let last = subtract(&ORDER, &[1, 0, 0, 0]).0;
        vec![
            [0; 4],
            [1, 0, 0, 0],
            [2, 0, 0, 0],
            [0, 0, 0, 1 << 59],
            [u64::MAX, u64::MAX, u64::MAX, (1 << 59) - 1],
            last,
            ORDER,
            [ORDER[0] + 1, ORDER[1], ORDER[2], ORDER[3]],
            [0, 0, 0, 1 << 63],
            [u64::MAX; 4],
        ]
    }

    fn check(x: &Integer, y: &Integer) {
        let (a, b) = (Scalar::from_integer(x), Scalar::from_integer(y));
        assert_eq!(a.to_integer(), modulo(x));
        assert_eq!(a.product(&b).to_integer(), times(x, y), "{x:?} {y:?}");
        let (plain, addend) = (modulo(y), modulo(x));
        let expected = add_modulo(&times(x, y), &addend);
        assert_eq!(a.multiply_add(&plain, &addend), expected, "{x:?} {y:?}");
        let mut wide = [0; 64];
        let limbs = [*x, *y].concat();
        for (chunk, limb) in wide.chunks_exact_mut(8).zip(&limbs) {
            chunk.copy_from_slice(&limb.to_le_bytes());
        }
        assert_eq!(Scalar::from_wide(&wide).to_integer(), modulo(&limbs));
    }

    #[test]
    fn edges_of_every_range() {
        for x in edges() {
            for y in edges() {
                check(&x, &y);
            }
            let scalar = Scalar::from_integer(&x);
            let product = scalar.product(&scalar.invert()).to_integer();
            let expected = u64::from(modulo(&x) != [0; 4]);
            assert_eq!(product, [expected, 0, 0, 0], "{x:?}");
        }
    }

    #[test]
    fn ranges() {
        let inside = edges().iter().filter(|edge| is_in_range(edge)).count();
        assert_eq!(inside, 5, "zero, N and what is above are out");
    }

    #[test]
    fn an_inversion_takes_the_same_steps() {
        let mut counts = Vec::new();
        for x in edges() {
            let scalar = Scalar::from_integer(&x);
            meter::take();
            scalar.invert();
            counts.push(meter::take());
        }
        assert!(counts[0][0] > 252);
        assert!(counts.iter().all(|count| *count == counts[0]));
    }

    proptest! {
        #[test]
        fn equals_the_naive_way(x in any::<Integer>(), y in any::<Integer>()) {
            check(&x, &y);
        }

        #[test]
        fn inverses_invert(x in any::<Integer>()) {
            let scalar = Scalar::from_integer(&x);
            prop_assert_eq!(scalar.product(&scalar.invert()).to_integer(), [1, 0, 0, 0]);
        }
    }
}
