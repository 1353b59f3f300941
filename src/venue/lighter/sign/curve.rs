//! The group of ECgFp5: points, their 40-byte encoding, and multiplication by scalars.
//!
//! The curve is y^2 = x (x^2 + 2x + 263 z) over GF(p^5), of order 2n; the group is its n points
//! outside the odd-order subgroup, with P * Q = P + Q + N and N = (0, 0) neutral. A point is kept
//! as x = X/Z and u = x/y = U/T, which makes one addition formula right for every pair of points,
//! and is told apart by w = y/x = T/U alone: that is its encoding.
//!
//! Promises: addition, doubling and encoding run without branches on values and without exceptional
//! cases; `decode` and `multiply` are for public values.
//!
//! Source: *crypto* in the venue's Sources; judged by `tests/data/lighter/lighter_curve.json`.

pub use super::comb::multiply_generator;
use super::extension::Fp5;
use super::field::Fp;
use super::scalar::{Scalar, WINDOW, WINDOW_COUNT};
use std::ops::Add;

/// The curve's b is 263 z.
const B: u32 = 263;

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
pub(super) struct Affine {
    x: Fp5,
    w: Fp5,
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
        let root = (e.square() - Fp5::from_limbs([4, 0, 0, 0, 0]).times_small_z(B)).sqrt()?;
        let half = Fp::new(2).invert();
        let (plus, minus) = ((e + root).scale(half), (e - root).scale(half));
        let x = if plus.is_square() { minus } else { plus };
        Some(Affine { x, w }.to_point())
    }

    /// The encodings of several points by one inversion. A neutral among them makes every result
    /// zero.
    pub(super) fn encode_all<const N: usize>(points: &[Point; N]) -> [Fp5; N] {
        let mut encodings = Fp5::invert_all(points.map(|point| point.u));
        for (encoding, point) in encodings.iter_mut().zip(points) {
            *encoding = *encoding * point.t;
        }
        encodings
    }

    /// x, as vectors give it; zero for the neutral.
    pub fn affine_x(self) -> Fp5 {
        self.x * self.z.invert()
    }

    /// Whether it is the neutral element.
    pub fn is_neutral(self) -> bool {
        self.u == Fp5::ZERO
    }

    /// Sum with a table entry: Z = U = 1 saves two products and the sums around them.
    #[inline(always)]
    pub(super) fn add_affine(self, other: &Affine) -> Point {
        let p1 = self.x * other.x;
        let p4 = self.t * other.w;
        let p5 = self.z * other.x + self.x;
        let p6 = self.u * other.w + self.t;
        Point::finish_add([p1, self.z, self.u, p4, p5, p6])
    }

    /// The common second half of both additions.
    #[inline(always)]
    fn finish_add([p1, p2, p3, p4, p5, p6]: [Fp5; 6]) -> Point {
        let bp2 = p2.times_small_z(B);
        let c = p1 + bp2;
        let d = p4 * c;
        let e = p3 * (p5.times_small_z(B) + c).double();
        let f = (p4 + p3.double()) * (p5 + c);
        Point {
            x: (f - d).times_small_z(B),
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
            x: v_squared.times_small_z(4 * B),
            z: s_squared,
            u: (s * v).double(),
            t: q2.square().double() - v_squared.double().double() - s_squared,
        }
    }

    /// The inverse member where the mask is all ones, this one where it is zero.
    #[inline]
    pub(super) fn negate_if(self, mask: u64) -> Point {
        Point {
            u: self.u.select(-self.u, mask),
            ..self
        }
    }

    /// A scalar times this point, for public values: the windows of `comb`, but of a point that was
    /// not known before, so with five doublings between two windows.
    pub fn multiply(self, scalar: Scalar) -> Point {
        let twice = self.double();
        let mut odd_multiples = [self; 16];
        for i in 1..16 {
            odd_multiples[i] = odd_multiples[i - 1] + twice;
        }
        let digits = scalar.odd_digits();
        let mut sum = Point::NEUTRAL;
        for i in (0..WINDOW_COUNT).rev() {
            sum = (0..WINDOW).fold(sum, |sum, _| sum.double());
            let digit = digits.digit(i);
            let multiple = odd_multiples[digit.half as usize];
            sum = sum + multiple.negate_if(digit.negative);
        }
        sum.negate_if(digits.negated)
    }

    /// What `to_affine` needs the inverse of: Z U.
    pub(super) fn denominator(self) -> Fp5 {
        self.z * self.u
    }

    /// Z = U = 1, given the inverse of the denominator. Not for the neutral.
    pub(super) fn to_affine(self, inverse: Fp5) -> Affine {
        Affine {
            x: self.x * self.u * inverse,
            w: self.t * self.z * inverse,
        }
    }
}

impl Add for Point {
    type Output = Point;
    /// Complete: no case distinction for equal, opposite or neutral points. 10 products.
    fn add(self, other: Point) -> Point {
        let p1 = self.x * other.x;
        let p2 = self.z * other.z;
        let p3 = self.u * other.u;
        let p4 = self.t * other.t;
        let p5 = (self.x + self.z) * (other.x + other.z) - p1 - p2;
        let p6 = (self.u + self.t) * (other.u + other.t) - p3 - p4;
        Point::finish_add([p1, p2, p3, p4, p5, p6])
    }
}

impl Affine {
    pub(super) fn to_point(self) -> Point {
        Point {
            x: self.x,
            z: Fp5::ONE,
            u: Fp5::ONE,
            t: self.w,
        }
    }

    /// Takes over `other` where the mask is all ones; nothing where it is zero. At most one entry
    /// may be taken over into a default one.
    #[inline]
    pub(super) fn merge(&mut self, other: &Affine, mask: u64) {
        self.x.merge(&other.x, mask);
        self.w.merge(&other.w, mask);
    }

    /// The inverse member where the mask is all ones, this one where it is zero.
    #[inline]
    pub(super) fn negate_if(self, mask: u64) -> Affine {
        Affine {
            x: self.x,
            w: self.w.select(-self.w, mask),
        }
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
            assert_eq!((p + q).encode().to_bytes(), bytes40(&case["sum"]));
            assert_eq!(p.double().encode().to_bytes(), bytes40(&case["double_p"]));
            assert_eq!((p + p).encode().to_bytes(), bytes40(&case["double_p"]));
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
        assert!(seen > 0);
    }
}
