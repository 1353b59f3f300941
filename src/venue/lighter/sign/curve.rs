//! The group of ECgFp5: points, their 40-byte encoding, and multiplication by scalars.
//!
//! The curve is y^2 = x (x^2 + 2x + 263 z) over GF(p^5), of order 2n; the group is its n points
//! outside the odd-order subgroup, with P * Q = P + Q + N and N = (0, 0) neutral. A point is kept
//! as x = X/Z and u = x/y = U/T, which makes one addition formula right for every pair of points,
//! and is told apart by w = y/x = T/U alone: that is its encoding.
//!
//! `multiply_generator` is for secrets: a table of multiples of G, one window of five bits at a
//! time, no doublings. Its look-ups follow the secret's digits; the machine is ours, so cache
//! timing is accepted. `Point::multiply` is for public values.
//!
//! Source: *crypto* in the venue's Sources; judged by `tests/data/lighter/lighter_curve.json`.

use super::field::{Fp, Fp5};
use super::scalar::Scalar;
use std::sync::OnceLock;

/// Bits of a scalar per table look-up. One more bit halves nothing and doubles the table (164 kB).
const WINDOW: usize = 5;
/// Windows of a 320-bit scalar.
const WINDOW_COUNT: usize = 320 / WINDOW;
/// Entries per window: digits 1 to 31; digit 0 adds nothing.
const WINDOW_LEN: usize = (1 << WINDOW) - 1;

/// A member of the group in fractional coordinates.
#[derive(Clone, Copy, Debug)]
pub struct Point {
    x: Fp5,
    z: Fp5,
    u: Fp5,
    t: Fp5,
}

/// A member that is not neutral, with Z = U = 1: x and w.
#[derive(Clone, Copy, Debug, Default)]
struct Affine {
    x: Fp5,
    w: Fp5,
}

/// Times b = 263 z: a rotation of limbs, the wrapped one three-fold.
#[inline]
fn times_b(a: Fp5) -> Fp5 {
    let (b, wrapped) = (Fp::new(263), Fp::new(789));
    let [a0, a1, a2, a3, a4] = a.0;
    Fp5([a4 * wrapped, a0 * b, a1 * b, a2 * b, a3 * b])
}

impl Point {
    /// N, the neutral element.
    pub const NEUTRAL: Point = Point {
        x: Fp5::ZERO,
        z: Fp5::ONE,
        u: Fp5::ZERO,
        t: Fp5::ONE,
    };

    /// G, the generator: w = 4.
    pub const GENERATOR: Point = Point {
        x: Fp5::from_limbs([
            12_883_135_586_176_881_569,
            4_356_519_642_755_055_268,
            5_248_930_565_894_896_907,
            2_165_973_894_480_315_022,
            2_448_410_071_095_648_785,
        ]),
        z: Fp5::ONE,
        u: Fp5::ONE,
        t: Fp5::from_limbs([4, 0, 0, 0, 0]),
    };

    /// w = y/x as a field element; zero for the neutral.
    pub fn encode(self) -> Fp5 {
        self.t * self.u.invert()
    }

    /// The point with this w, if there is one. Of the two candidates for x the non-square is the
    /// member.
    pub fn decode(w: Fp5) -> Option<Point> {
        if w == Fp5::ZERO {
            return Some(Point::NEUTRAL);
        }
        let two = Fp5::from_limbs([2, 0, 0, 0, 0]);
        let e = w.square() - two;
        let root = (e.square() - times_b(two.square())).sqrt()?;
        let half = Fp::new(2).invert();
        let (plus, minus) = ((e + root).scale(half), (e - root).scale(half));
        let x = if plus.is_square() { minus } else { plus };
        Some(Affine { x, w }.to_point())
    }

    /// Whether it is the neutral element.
    pub fn is_neutral(self) -> bool {
        self.u == Fp5::ZERO
    }

    /// Sum; complete: no case distinction for equal, opposite or neutral points. 10 products.
    pub fn add(self, other: Point) -> Point {
        let p1 = self.x * other.x;
        let p2 = self.z * other.z;
        let p3 = self.u * other.u;
        let p4 = self.t * other.t;
        let p5 = (self.x + self.z) * (other.x + other.z) - p1 - p2;
        let p6 = (self.u + self.t) * (other.u + other.t) - p3 - p4;
        Point::finish_add([p1, p2, p3, p4, p5, p6])
    }

    /// Sum with a table entry: Z = U = 1 saves two products.
    #[inline]
    fn add_affine(self, other: &Affine) -> Point {
        let p1 = self.x * other.x;
        let p4 = self.t * other.w;
        let p5 = (self.x + self.z) * (other.x + Fp5::ONE) - p1 - self.z;
        let p6 = (self.u + self.t) * (other.w + Fp5::ONE) - self.u - p4;
        Point::finish_add([p1, self.z, self.u, p4, p5, p6])
    }

    /// The common second half of both additions.
    #[inline]
    fn finish_add([p1, p2, p3, p4, p5, p6]: [Fp5; 6]) -> Point {
        let bp2 = times_b(p2);
        let c = p1 + bp2;
        let d = p4 * c;
        let e = p3 * (times_b(p5) + c).double();
        let f = (p4 + p3.double()) * (p5 + c);
        Point {
            x: times_b(f - d),
            z: d - e,
            u: p6 * (bp2 - p1),
            t: d + e,
        }
    }

    /// Twice this point.
    pub fn double(self) -> Point {
        let q1 = self.z * self.t;
        let q2 = q1 * self.t;
        let v = q1 * self.u;
        let s = q2 - (self.u.square() * (self.x + self.z)).double();
        let (v_squared, s_squared) = (v.square(), s.square());
        Point {
            x: times_b(v_squared.double().double()),
            z: s_squared,
            u: (s * v).double(),
            t: q2.square().double() - v_squared.double().double() - s_squared,
        }
    }

    /// A scalar times this point, most significant digit first: doubling and adding four bits at a
    /// time. For public values.
    pub fn multiply(self, scalar: Scalar) -> Point {
        let mut multiples = [Point::NEUTRAL; 16];
        for i in 1..16 {
            multiples[i] = multiples[i - 1].add(self);
        }
        let mut sum = Point::NEUTRAL;
        for start in (0..320).step_by(4).rev() {
            sum = sum.double().double().double().double();
            sum = sum.add(multiples[scalar.window(start, 4)]);
        }
        sum
    }
}

impl Affine {
    fn to_point(self) -> Point {
        Point {
            x: self.x,
            z: Fp5::ONE,
            u: Fp5::ONE,
            t: self.w,
        }
    }
}

/// scalar * G by the table: one addition per non-zero window.
///
/// The idea: write the scalar in base 32, so that it is a sum of digits times powers of 32; every
/// `digit * 2^(5 i) * G` is a constant and stands in the table, so 64 additions do what 320
/// doublings and as many additions would. Entries are affine, which makes each addition 8 products
/// in the extension (200 in the base field) instead of 10. Left out: signed digits, which would
/// halve the table, and wider windows, which would push it out of the second-level cache.
pub fn multiply_generator(scalar: Scalar) -> Point {
    let table = generator_table();
    let mut sum = Point::NEUTRAL;
    for (i, window) in table.iter().enumerate() {
        let digit = scalar.window(i * WINDOW, WINDOW);
        if digit != 0 {
            sum = sum.add_affine(&window[digit - 1]);
        }
    }
    sum
}

type Table = [[Affine; WINDOW_LEN]; WINDOW_COUNT];

/// The table, built at the first call (a few milliseconds): `warm_up` makes that happen at start.
fn generator_table() -> &'static Table {
    static TABLE: OnceLock<Box<Table>> = OnceLock::new();
    TABLE.get_or_init(build_table)
}

/// Builds the table now, so that no signature pays for it.
pub fn warm_up() {
    generator_table();
}

/// Entry `d - 1` of window `i` is d * 2^(5 i) * G.
#[cold]
fn build_table() -> Box<Table> {
    let mut table = vec![[Affine::default(); WINDOW_LEN]; WINDOW_COUNT];
    let mut base = Point::GENERATOR;
    for window in &mut table {
        let mut multiples = [base; WINDOW_LEN];
        for d in 1..WINDOW_LEN {
            multiples[d] = multiples[d - 1].add(base);
        }
        base = multiples[WINDOW_LEN - 1].add(base);
        to_affine(&multiples, window);
    }
    table
        .into_boxed_slice()
        .try_into()
        .expect("the vector has WINDOW_COUNT entries")
}

/// Brings points to Z = U = 1. Inverting the product of all denominators once and multiplying back
/// costs three products per denominator instead of an inversion (Montgomery's trick).
#[cold]
fn to_affine(points: &[Point; WINDOW_LEN], out: &mut [Affine; WINDOW_LEN]) {
    let mut prefix = [Fp5::ONE; WINDOW_LEN + 1];
    for (i, point) in points.iter().enumerate() {
        prefix[i + 1] = prefix[i] * point.z * point.u;
    }
    let mut inverse = prefix[WINDOW_LEN].invert();
    for (i, point) in points.iter().enumerate().rev() {
        let both = inverse * prefix[i];
        out[i] = Affine {
            x: point.x * both * point.u,
            w: point.t * both * point.z,
        };
        inverse = inverse * point.z * point.u;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::venue::lighter::sign::vectors::{bytes40, cases};
    use serde_json::Value;

    const FILE: &str = include_str!("../../../../tests/data/lighter/lighter_curve.json");

    fn point(value: &Value) -> Point {
        Point::decode(Fp5::from_bytes(&bytes40(value)).unwrap()).unwrap()
    }

    #[test]
    fn decoding_vectors() {
        let mut seen = 0;
        for case in cases(FILE, "decode") {
            let w = Fp5::from_bytes(&bytes40(&case["w"])).unwrap();
            let decoded = Point::decode(w);
            assert_eq!(decoded.is_some(), case["ok"].as_bool().unwrap());
            let Some(decoded) = decoded else { continue };
            assert_eq!(
                decoded.is_neutral(),
                case["neutral"].as_bool().unwrap_or(false)
            );
            assert_eq!(decoded.encode().to_bytes(), bytes40(&case["encoded"]));
            if case["x"].is_string() && !decoded.is_neutral() {
                let x = decoded.x * decoded.z.invert();
                assert_eq!(x.to_bytes(), bytes40(&case["x"]));
            }
            seen += 1;
        }
        assert!(seen > 0);
    }

    #[test]
    fn group_vectors() {
        let mut seen = 0;
        for case in cases(FILE, "group") {
            let (p, q) = (point(&case["p"]), point(&case["q"]));
            assert_eq!(p.add(q).encode().to_bytes(), bytes40(&case["sum"]));
            assert_eq!(p.double().encode().to_bytes(), bytes40(&case["double_p"]));
            assert_eq!(p.add(p).encode().to_bytes(), bytes40(&case["double_p"]));
            assert_eq!((-p.encode()).to_bytes(), bytes40(&case["neg_p"]));
            seen += 1;
        }
        assert!(seen > 0);
    }

    #[test]
    fn multiplication_vectors() {
        let mut seen = 0;
        for case in cases(FILE, "mul") {
            let k = Scalar::from_bytes(&bytes40(&case["k"]));
            let product = point(&case["p"]).multiply(k);
            assert_eq!(product.encode().to_bytes(), bytes40(&case["w"]));
            seen += 1;
        }
        for case in cases(FILE, "mul_g") {
            let k = Scalar::from_bytes(&bytes40(&case["k"]));
            let (fast, slow) = (multiply_generator(k), Point::GENERATOR.multiply(k));
            assert_eq!(fast.encode().to_bytes(), bytes40(&case["w"]));
            assert_eq!(slow.encode(), fast.encode());
            seen += 1;
        }
        assert!(seen > 0);
    }

    #[test]
    fn the_group_has_order_n() {
        let last = Scalar::ZERO.sub(Scalar::from_limbs([1, 0, 0, 0, 0]));
        let sum = multiply_generator(last).add(Point::GENERATOR);
        assert!(sum.is_neutral());
    }
}
