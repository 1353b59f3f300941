//! The Stark curve, y^2 = x^3 + x + b: multiples of its generator by secret scalars.
//!
//! Promises: `k * G` costs 41 additions and no doubling; it reads every entry of every window of
//! its table whatever k is, and takes no branch on k. One inversion serves a whole batch of points.
//! Refuses nothing; the scalar zero, which has no point, is the caller's to exclude.
//!
//! Source of curve and generator: entry S2 of the venue's list. Formulas: mixed addition in
//! extended Jacobian coordinates (Sutherland's XYZZ, *madd-2008-s* of the Explicit-Formulas
//! Database). Judged by `starknet_crypto::get_public_key`.

use super::field::Element;
use super::meter;
use super::scalar::{Integer, ORDER};
use std::hint::black_box;
use std::sync::OnceLock;
use zeroize::Zeroize;

/// Bits of a scalar per window. Seven: 5 additions less, but each window's full read doubles, and
/// the table grows from 86 to 147 kB. Five: 9 additions more.
const WINDOW: usize = 6;
/// Windows of a 252-bit scalar.
const WINDOW_COUNT: usize = 42;
/// Entries of a window: the odd digits 1, 3, .. 63. Negative ones are the same points mirrored.
const WINDOW_LEN: usize = 1 << (WINDOW - 1);

/// A point by its coordinates.
#[derive(Clone, Copy, Debug, Default)]
struct Affine {
    x: Element,
    y: Element,
}

/// A point as (x / zz, y / zzz) with zz^3 = zzz^2. Not the neutral element.
///
/// Ranges, with u = 2^251: x below 4u, the others at most 2P.
#[derive(Clone, Copy, Debug, Default, Zeroize)]
pub struct Point {
    x: Element,
    y: Element,
    zz: Element,
    zzz: Element,
}

/// G, the generator, in Montgomery form.
const GENERATOR: Affine = Affine {
    x: Element::hex(b"033840300bf6cec10429bf5184041c7b51a9bf65d4403deac9019623cf0273dd"),
    y: Element::hex(b"05a0e71610f55329fbd89a97cf4b33ad0939e3442869bbe7569d0da34235308a"),
};

type Table = [[Affine; WINDOW_LEN]; WINDOW_COUNT];

// k * G in constant time
//
// The idea: a sum of digits times powers of 64, with every `digit * 64^i * G` in a table, needs one
// addition a window and no doubling. The digits are odd and signed: -63, -61, .. 63. That has three
// uses. No digit is zero, so no window is skipped. A window holds only the 32 positive odd
// multiples; the sign is applied to y. And the partial sums can be told apart from the entries
// (below), so the short addition formula, which fails for equal and opposite points, is never given
// them.
//
// The digits: an odd t below 2^252 is the sum of 252 bits that are each +1 or -1, namely those of
// `(t - 1) / 2 + 2^251` with 1 for +1 and 0 for -1. Six such bits, read as a number e, make the
// digit `2 e - 63`. For an even k we take N - k, which is odd and whose point has the same x; and
// only x is ever asked for.
//
// Why no addition is exceptional: let 0 < t < N be the odd number, S the sum of the lower windows
// and D = d * 64^i the entry to be added. |S| < 64^i <= |D|, so S and D are neither equal nor
// opposite as integers, and neither is zero. Below the last window |S| + |D| < 64^41 < N, so they
// are not so modulo N either. In the last one S + D = t is no multiple of N. S = D modulo N would
// need S - D = 2S - t to be a multiple of N; it is odd, so not zero, and it lies in (-2^247 - N,
// 2^247), so only -N is left. Then D = N + S with S = (t - N) / 2 < 0, hence d * 2^246 < N, so d <=
// 31, as N / 2^246 is just above 32 and d is odd; but then S = D - N < -2^246, which |S| < 64^41 =
// 2^246 forbids.
//
// Left out: fewer windows with doublings between (a smaller table, more time), the tricks of curves
// with an endomorphism (this one has none), and affine additions with a shared inversion across a
// batch (an inversion costs as much as some thirty additions, each of them would need one, and a
// batch is small).

/// `k * G` up to sign, for an integer k in `1..N`.
pub fn multiply_generator(k: &Integer) -> Point {
    let table = generator_table();
    let mut bits = odd_digits(k);
    let mut sum = Point::from_affine(&look_up(&table[0], &bits));
    for window in &table[1..] {
        shift_window(&mut bits);
        sum = sum.add_affine(&look_up(window, &bits));
    }
    bits.zeroize();
    sum
}

/// The x coordinates of points, in Montgomery form. Inverting the product of all denominators once
/// and multiplying back costs three products a point instead of an inversion (Montgomery's trick).
pub fn x_coordinates<const COUNT: usize>(points: &[Point; COUNT]) -> [Element; COUNT] {
    let mut prefixes = [Element::ONE; COUNT];
    let mut product = Element::ONE;
    for (prefix, point) in prefixes.iter_mut().zip(points) {
        *prefix = product;
        product = product.product(&point.zz);
    }
    let mut inverse = product.invert();
    let mut coordinates = [Element::ZERO; COUNT];
    for idx in (0..COUNT).rev() {
        coordinates[idx] = points[idx].x.product(&inverse.product(&prefixes[idx]));
        inverse = inverse.product(&points[idx].zz);
    }
    coordinates
}

/// The sign bits of k, or of N - k if k is even: `(t - 1) / 2 + 2^251`.
fn odd_digits(k: &Integer) -> Integer {
    let even = black_box((k[0] & 1).wrapping_sub(1));
    let mut odd = [0; 4];
    let mut borrow = false;
    for (idx, limb) in odd.iter_mut().enumerate() {
        let (less, under) = ORDER[idx].borrowing_sub(k[idx], borrow);
        *limb = k[idx] ^ (even & (less ^ k[idx]));
        borrow = under;
    }
    shift_right(&mut odd, 1);
    odd[3] |= 1 << 59;
    odd
}

fn shift_window(bits: &mut Integer) {
    shift_right(bits, WINDOW as u32);
}

fn shift_right(bits: &mut Integer, count: u32) {
    let [a, b, c, d] = *bits;
    let up = 64 - count;
    *bits = [
        a >> count | b << up,
        b >> count | c << up,
        c >> count | d << up,
        d >> count,
    ];
}

/// The window's entry for the lowest six bits. Reads all entries.
#[inline]
fn look_up(window: &[Affine; WINDOW_LEN], bits: &Integer) -> Affine {
    let digit = bits[0] & 63;
    // e >= 32 is the digit 2e - 63 = 2(e - 32) + 1; e < 32 is minus 2(31 - e) + 1.
    let negative = black_box((digit >> 5).wrapping_sub(1));
    let wanted = (digit ^ negative) & 31;
    let mut found = [[0; 4]; 2];
    for (idx, entry) in window.iter().enumerate() {
        meter::looked_up();
        // All ones where the indices are equal. Opaque to the compiler, which otherwise does turn
        // the mask back into a branch that skips the read.
        let mask = black_box(((idx as u64 ^ wanted).wrapping_sub(1) >> 63).wrapping_neg());
        for (into, from) in found.iter_mut().zip([entry.x.limbs(), entry.y.limbs()]) {
            for (limb, part) in into.iter_mut().zip(from) {
                *limb |= part & mask;
            }
        }
    }
    let [x, y] = found.map(Element::raw);
    Affine {
        x,
        y: y.choose(&y.negate(), negative),
    }
}

impl Point {
    fn from_affine(point: &Affine) -> Point {
        Point {
            x: point.x,
            y: point.y,
            zz: Element::ONE,
            zzz: Element::ONE,
        }
    }

    /// Sum with a point that is neither equal nor opposite. 8 products and 2 squares; two of the
    /// products share one reduction, one square takes the rest of its sum along.
    #[inline]
    fn add_affine(&self, other: &Affine) -> Point {
        // x and y of a table entry are at most 2P, so both products are below 1.2u and both
        // differences below 5.2u, whose square 27.1 u^2 is the largest product here.
        let across = other.x.product(&self.zz).minus(&self.x);
        let up = other.y.product(&self.zzz).minus(&self.y);
        let square = across.square();
        let cube = across.product(&square);
        let shared = self.x.product(&square);
        // At most 12P, at least 6u: folded, and one P more as `product_plus` wants it.
        let rest = Element::ZERO.minus(&cube).minus(&shared).minus(&shared);
        let x = up.product_plus(&up, &rest.fold().plus(&Element::MODULUS));
        // shared is below 1.3u, so the first product is below 5.2 * 5.3, the second at most 4 u^2.
        let y = up.product_sum(&shared.minus(&x), &self.y, &cube.negate());
        Point {
            x,
            y,
            zz: self.zz.product(&square),
            zzz: self.zzz.product(&cube),
        }
    }
}

/// The table, built at the first call (about a millisecond). That is when the first key is read, at
/// start, because a key computes its public half.
fn generator_table() -> &'static Table {
    static TABLE: OnceLock<Box<Table>> = OnceLock::new();
    TABLE.get_or_init(build_table)
}

/// Entry j of window i is `(2j + 1) * 64^i * G`.
#[cold]
fn build_table() -> Box<Table> {
    let mut table = vec![[Affine::default(); WINDOW_LEN]; WINDOW_COUNT];
    let mut base = GENERATOR;
    for window in &mut table {
        let step = double(&base);
        let mut multiples = [Point::from_affine(&base); WINDOW_LEN + 1];
        for idx in 1..WINDOW_LEN {
            multiples[idx] = multiples[idx - 1].add_affine(&step);
        }
        // 63 + 1: the next window's base.
        multiples[WINDOW_LEN] = multiples[WINDOW_LEN - 1].add_affine(&base);
        let affine = to_affine(&multiples);
        window.copy_from_slice(&affine[..WINDOW_LEN]);
        base = affine[WINDOW_LEN];
    }
    table
        .into_boxed_slice()
        .try_into()
        .expect("the vector has WINDOW_COUNT entries")
}

/// Twice a point, by the tangent: for the table only.
#[cold]
fn double(point: &Affine) -> Affine {
    let square = point.x.square();
    let rise = square
        .plus(&square)
        .plus(&square)
        .plus(&Element::ONE)
        .fold();
    let slope = rise.product(&point.y.plus(&point.y).invert());
    let x = slope.square().minus(&point.x).minus(&point.x).canonical();
    let y = slope.product(&point.x.minus(&x)).minus(&point.y);
    Affine {
        x,
        y: y.canonical(),
    }
}

/// Least residues of both coordinates: for the table only.
#[cold]
fn to_affine(points: &[Point; WINDOW_LEN + 1]) -> [Affine; WINDOW_LEN + 1] {
    let mut prefixes = [Element::ONE; WINDOW_LEN + 2];
    for (idx, point) in points.iter().enumerate() {
        prefixes[idx + 1] = prefixes[idx].product(&point.zzz);
    }
    let mut inverse = prefixes[WINDOW_LEN + 1].invert();
    let mut affine = [Affine::default(); WINDOW_LEN + 1];
    for (idx, point) in points.iter().enumerate().rev() {
        // 1 / zzz, and zz / zzz = 1 / z, whose square is 1 / zz.
        let over_cube = inverse.product(&prefixes[idx]);
        let over = over_cube.product(&point.zz);
        affine[idx] = Affine {
            x: point.x.product(&over.square()).canonical(),
            y: point.y.product(&over_cube).canonical(),
        };
        inverse = inverse.product(&point.zzz);
    }
    affine
}

#[cfg(test)]
mod tests {
    use super::super::Felt;
    use super::super::scalar::Scalar;
    use super::*;
    use proptest::prelude::*;
    use starknet_crypto::get_public_key;

    fn x_of(k: &Integer) -> Felt {
        x_coordinates(&[multiply_generator(k)])[0].to_felt()
    }

    fn check(k: &Integer) {
        let scalar = Element::from_integer(k).to_felt();
        assert_eq!(x_of(k), get_public_key(&scalar), "{k:?}");
    }

    /// The ends of the range, powers of two, and both sides of window boundaries.
    fn extremes() -> Vec<Integer> {
        let order = |less: u64| [ORDER[0] - less, ORDER[1], ORDER[2], ORDER[3]];
        let mut extremes = vec![order(1), order(2), order(3), order(62), order(64)];
        extremes.extend((1..=130).map(|small| [small, 0, 0, 0]));
        for exponent in 1..252 {
            let mut power = [0; 4];
            power[exponent / 64] = 1 << (exponent % 64);
            extremes.push(power);
            extremes.push([power[0] | 1, power[1], power[2], power[3]]);
        }
        // The top digits at which a sloppier choice of sign would meet a doubling.
        for top in [30, 31, 32] {
            let shifted = top << 54;
            extremes.push([1, 0, 0, shifted]);
            extremes.push([u64::MAX, u64::MAX, u64::MAX, shifted - 1]);
            extremes.push([u64::MAX, u64::MAX, u64::MAX, shifted | ((1 << 54) - 1) >> 5]);
        }
        let half = Scalar::from_integer(&[2, 0, 0, 0]).invert().to_integer();
        extremes.extend([half, [half[0] - 1, half[1], half[2], half[3]]]);
        extremes.retain(super::super::scalar::is_in_range);
        extremes
    }

    #[test]
    fn extreme_scalars() {
        for k in extremes() {
            check(&k);
        }
    }

    #[test]
    fn table_entries_are_the_multiples_they_say() {
        let table = generator_table();
        for (window, digit) in [
            (0, 1),
            (0, 63),
            (1, 1),
            (5, 31),
            (40, 63),
            (41, 1),
            (41, 31),
        ] {
            let mut k = [0; 4];
            let at = 6 * window;
            let wide = u128::from(digit as u64) << (at % 64);
            k[at / 64] = wide as u64;
            if at / 64 < 3 {
                k[at / 64 + 1] = (wide >> 64) as u64;
            }
            let expected = get_public_key(&Element::from_integer(&k).to_felt());
            assert_eq!(
                table[window][digit / 2].x.to_felt(),
                expected,
                "{window} {digit}"
            );
        }
    }

    #[test]
    fn batches_equal_single_points() {
        let scalars = [3, 5, 77, 1 << 40].map(|k| [k, 9, 0, 1]);
        let together = x_coordinates(&scalars.map(|k| multiply_generator(&k)));
        assert_eq!(together.map(|x| x.to_felt()), scalars.map(|k| x_of(&k)));
    }

    /// Products and table reads are the same whatever the scalar.
    #[test]
    fn every_scalar_takes_the_same_steps() {
        let mut scalars = extremes();
        scalars.extend((1..500).map(|step: u64| {
            let mixed = step.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            [mixed, mixed.rotate_left(17), !mixed, mixed >> 5]
        }));
        let mut counts = Vec::new();
        multiply_generator(&[1, 0, 0, 0]);
        for k in scalars {
            meter::take();
            multiply_generator(&k);
            counts.push(meter::take());
        }
        assert_eq!(counts[0], [41 * 10, 42 * 32]);
        assert!(counts.iter().all(|count| *count == counts[0]));
    }

    proptest! {
        #[test]
        fn equals_the_crate(bytes in any::<[u8; 64]>()) {
            check(&Scalar::from_wide(&bytes).to_integer());
        }
    }
}
