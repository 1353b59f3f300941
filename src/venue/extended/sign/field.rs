//! The Stark field: integers modulo P = 2^251 + 17 * 2^192 + 1, four limbs, least significant
//! first.
//!
//! Promises: no branch and no look-up depends on a value; no allocation; every operation says which
//! ranges it takes and gives, in units of u = 2^251 (a little less than P).
//! Refuses: nothing. A value outside a stated range would give a wrong residue, so ranges are
//! stated where they arise and tried at their edges.
//!
//! Values stand in Montgomery form, `x * 2^256 mod P`, the same form and radix that the Starknet
//! crates use inside: passing to and from `Felt` reverses limbs and multiplies nothing. Judged by
//! `Felt` in the tests.

use super::limbs::{
    Limbs, TOP, add, multiply, reduce, reduce_negated, reduce_plus, select, square, subtract,
    subtract_borrow,
};
use super::{Felt, meter};
use zeroize::Zeroize;

/// A residue modulo P in Montgomery form, not always the least one: see each operation's range.
#[derive(Clone, Copy, Debug, Default, Zeroize)]
pub struct Element(Limbs);

/// `2^512 mod P`: a product with it brings an integer into Montgomery form.
const RADIX_SQUARED: Element =
    Element::hex(b"07ffd4ab5e008810ffffffffff6f800000000001330ffffffffffd737e000401");

impl Element {
    /// Zero.
    pub const ZERO: Element = Element([0; 4]);
    /// One: `2^256 mod P`.
    pub const ONE: Element =
        Element::hex(b"07fffffffffffdf0ffffffffffffffffffffffffffffffffffffffffffffffe1");

    /// P itself: zero in another guise.
    pub const MODULUS: Element = Element([1, 0, 0, TOP]);

    /// From limbs that are in Montgomery form already.
    #[inline(always)]
    pub fn raw(limbs: Limbs) -> Element {
        Element(limbs)
    }

    /// From 64 lower-case hexadecimal digits that are in Montgomery form already: for constants.
    pub const fn hex(digits: &[u8; 64]) -> Element {
        let mut limbs = [0; 4];
        let mut idx = 0;
        while idx < 64 {
            let digit = digits[idx];
            let value = if digit > b'9' {
                digit - b'a' + 10
            } else {
                digit - b'0'
            };
            limbs[3 - idx / 16] = limbs[3 - idx / 16] << 4 | value as u64;
            idx += 1;
        }
        Element(limbs)
    }

    /// From the crates' type. Below P.
    #[inline]
    pub fn from_felt(felt: Felt) -> Element {
        Element(felt.to_raw_reversed())
    }

    /// To the crates' type. Takes anything below 2^256.
    #[inline]
    pub fn to_felt(self) -> Felt {
        let [a, b, c, d] = self.canonical().0;
        Felt::from_raw([d, c, b, a])
    }

    /// From an integer below 2^252. Below 2u.
    #[inline]
    pub fn from_integer(integer: &Limbs) -> Element {
        Element(*integer).product(&RADIX_SQUARED)
    }

    /// From an unsigned integer. Below 2u.
    #[inline]
    pub fn from_u64(value: u64) -> Element {
        Element::from_integer(&[value, 0, 0, 0])
    }

    /// From a signed integer. At most 2P. For public values: branches.
    #[inline]
    pub fn from_i64(value: i64) -> Element {
        let magnitude = Element::from_u64(value.unsigned_abs());
        if value < 0 {
            magnitude.negate()
        } else {
            magnitude
        }
    }

    /// The integer itself, in `0..P`. Takes anything below 2^256.
    pub fn to_integer(self) -> Limbs {
        self.fold().product(&Element([1, 0, 0, 0])).canonical().0
    }

    /// Sum. The caller sees to it that it stays below 2^256 = 32u.
    #[inline(always)]
    pub fn plus(&self, other: &Element) -> Element {
        Element(add(&self.0, &other.0))
    }

    /// Difference. The caller sees to it that it stays above zero.
    #[inline(always)]
    pub fn less(&self, other: &Element) -> Element {
        Element(subtract(&self.0, &other.0))
    }

    /// Difference plus 4P. Takes a subtrahend below 4u; gives less than `self` + 4P.
    #[inline(always)]
    pub fn minus(&self, other: &Element) -> Element {
        Element(subtract(&add(&self.0, &[4, 0, 0, 4 * TOP]), &other.0))
    }

    /// The negative: 2P less the value. Takes at most 2P, gives at most 2P.
    #[inline(always)]
    pub fn negate(&self) -> Element {
        Element(subtract(&[2, 0, 0, 2 * TOP], &self.0))
    }

    /// Folds the top: takes anything below 2^256, gives less than 2u, and more than u - 2^202 for
    /// values from u up.
    ///
    /// With h the bits from 2^251 up, `(h - 1) * P` is taken away: all but one, so that the
    /// difference cannot go below zero.
    #[inline(always)]
    pub fn fold(&self) -> Element {
        let high = (self.0[3] >> 59).saturating_sub(1);
        Element(subtract(&self.0, &[high, 0, 0, high.wrapping_mul(TOP)]))
    }

    /// Half. Takes anything below 2^255; gives less than (`self` + P) / 2.
    #[inline(always)]
    pub fn halve(&self) -> Element {
        let odd = (self.0[0] & 1).wrapping_neg();
        let [a, b, c, d] = add(&self.0, &[odd & 1, 0, 0, odd & TOP]);
        Element([a >> 1 | b << 63, b >> 1 | c << 63, c >> 1 | d << 63, d >> 1])
    }

    /// The least residue, in `0..P`. Takes anything below 2^256.
    #[inline(always)]
    pub fn canonical(&self) -> Element {
        // Below 2u after the fold: one P at most is left to take.
        let folded = self.fold().0;
        let (reduced, borrow) = subtract_borrow(&folded, &[1, 0, 0, TOP]);
        // Opaque, so that the mask stays a mask.
        let mask = std::hint::black_box(u64::from(borrow).wrapping_neg());
        Element(select(&reduced, &folded, mask))
    }

    /// Product. Takes factors whose product is some q u^2 with q below 32; gives less than
    /// P + q/32 u, so less than 2u.
    #[inline(always)]
    pub fn product(&self, other: &Element) -> Element {
        meter::multiplied();
        Element(reduce(multiply(&self.0, &other.0, [1, 0, 0, TOP])))
    }

    /// Square. Takes anything below 5.6u; gives less than 2u.
    #[inline(always)]
    pub fn square(&self) -> Element {
        meter::multiplied();
        Element(reduce(square(&self.0, [1, 0, 0, TOP])))
    }

    /// Cube. Takes some q u below 8u; gives less than P + s q/32 u, where s u is the bound P +
    /// q^2/32 u of the square: 1.4u for 5.6u, 1.8u for 8u.
    #[inline(always)]
    pub fn cube(&self) -> Element {
        meter::multiplied();
        let square = reduce(square(&self.0, [1, 0, 0, TOP]));
        Element(square).product(self)
    }

    /// Minus the square. Takes anything below 5.6u; gives at most 2P.
    #[inline(always)]
    pub fn negated_square(&self) -> Element {
        meter::multiplied();
        Element(reduce_negated(square(&self.0, [0; 4])))
    }

    /// `self * other + addend` with one reduction. Takes factors whose product is below 32 u^2 and
    /// an addend of at least P; gives less than `addend` + u, and more than `addend` - P.
    #[inline(always)]
    pub fn product_plus(&self, other: &Element, addend: &Element) -> Element {
        meter::multiplied();
        let product = multiply(&self.0, &other.0, [0; 4]);
        Element(reduce_plus(product, &addend.0))
    }

    /// `self * other + left * right` with one reduction. Takes factors whose two products are
    /// together q u^2 with q below 32; gives less than P + q/32 u, so less than 2u.
    #[inline(always)]
    pub fn product_sum(&self, other: &Element, left: &Element, right: &Element) -> Element {
        meter::multiplied();
        meter::multiplied();
        let first = multiply(&self.0, &other.0, [1, 0, 0, TOP]);
        let second = multiply(&left.0, &right.0, [0; 4]);
        let mut sum = [0; 8];
        let mut carry = false;
        for (idx, limb) in sum.iter_mut().enumerate() {
            (*limb, carry) = first[idx].carrying_add(second[idx], carry);
        }
        Element(reduce(sum))
    }

    /// `3 * sum + 4 * before - next + constant`, the step of Hades' partial rounds.
    ///
    /// Takes `sum` and `before` in 2u .. 3u (give or take 2^202), `next` below 3.5u, a canonical
    /// constant whose lowest limb is at least 64; gives 2u .. 3u again. Everything is added first,
    /// three `sum` and four `before` as five sums of different numbers (a doubling would become the
    /// slow double shift); at 9u to 22u the top is then folded down to 2u. Its count h is guessed
    /// from the top limbs alone, before the borrows below have run: a guess one off where the sum
    /// stands within 2^193 of a boundary, which the stated 2^202 cover. That lets `constant - h *
    /// P` be made of two limbs' changes without any borrow, off the chain.
    #[inline(always)]
    pub fn recur(sum: &Element, before: &Element, next: &Element, constant: &Element) -> Element {
        let once = add(&sum.0, &before.0);
        let twice = add(&add(&once, &sum.0), &once);
        let total = add(&add(&twice, &before.0), &before.0);
        let [k0, k1, k2, k3] = constant.0;
        let high = total[3].wrapping_sub(next.0[3]).wrapping_add(k3) >> 59;
        let k3 = k3
            .wrapping_add(2 * TOP)
            .wrapping_sub(high.wrapping_mul(TOP));
        let rest = subtract(&total, &next.0);
        Element(add(
            &rest,
            &[k0.wrapping_add(2).wrapping_sub(high), k1, k2, k3],
        ))
    }

    /// `if_set` where `mask` is all ones, `self` where it is zero.
    #[inline(always)]
    pub fn choose(&self, if_set: &Element, mask: u64) -> Element {
        Element(select(&self.0, &if_set.0, mask))
    }

    /// The limbs, for look-ups that read every entry under a mask.
    #[inline(always)]
    pub fn limbs(&self) -> &Limbs {
        &self.0
    }

    /// The inverse, zero for zero: the power P - 2 = (2^59 + 16) * 2^192 + (2^192 - 1), a fixed
    /// sequence. Takes anything below 5.6u; gives less than 2u.
    pub fn invert(&self) -> Element {
        // Runs of ones: x^(2^n - 1) for n = 2, 3, 6, 12.
        let two = self.square().product(self);
        let three = two.square().product(self);
        let six = three.squared_times(3).product(&three);
        let twelve = six.squared_times(6).product(&six);
        // 2^59 + 16 = (2^55 + 1) * 2^4, then 192 ones by twelves.
        let mut power = self.squared_times(55).product(self).squared_times(4);
        for _ in 0..16 {
            power = power.squared_times(12).product(&twelve);
        }
        power
    }

    fn squared_times(&self, count: u32) -> Element {
        (0..count).fold(*self, |power, _| power.square())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The limbs as a plain integer modulo P: the crate's own reduction, no Montgomery form.
    fn residue(element: Element) -> Felt {
        let bytes: Vec<u8> = element
            .0
            .iter()
            .flat_map(|limb| limb.to_le_bytes())
            .collect();
        Felt::from_bytes_le_slice(&bytes)
    }

    /// 2^256 modulo P.
    fn radix() -> Felt {
        Felt::from(1_u128 << 127).square() * Felt::from(4_u8)
    }

    /// In eighths of u, rounded down.
    fn eighths(element: Element) -> u64 {
        element.0[3] >> 56
    }

    /// Values at the edges of limbs, of P and of the lazy ranges, all below 5.6u.
    fn edges() -> Vec<Element> {
        let mut edges = vec![Element::ZERO, Element::ONE, RADIX_SQUARED];
        for multiple in 0..=5_u64 {
            for low in [0, 1, u64::MAX] {
                let base = Element([multiple, 0, 0, multiple * TOP]);
                edges.push(base.plus(&Element([low, 0, 0, 0])));
                edges.push(base.plus(&Element([low, low, low, 0])));
                edges.push(base.plus(&Element([low, 0, low, 1 << 58])));
            }
            if multiple > 0 {
                let below = [multiple, 0, 0, multiple * TOP];
                edges.push(Element(subtract(&below, &[1, 0, 0, 0])));
                edges.push(Element([
                    u64::MAX,
                    u64::MAX,
                    u64::MAX,
                    (multiple << 59) - 1,
                ]));
            }
        }
        edges
    }

    fn check(a: Element, b: Element) {
        let (x, y) = (residue(a), residue(b));
        let product = a.product(&b);
        assert_eq!(residue(product) * radix(), x * y, "{a:?} {b:?}");
        assert!(eighths(product) < 16);
        let square = a.square();
        assert_eq!(residue(square) * radix(), x * x, "{a:?}");
        assert!(eighths(square) < 16);
        let negated = a.negated_square();
        assert_eq!(residue(negated) * radix(), -(x * x), "{a:?}");
        assert!(subtract_borrow(&[2, 0, 0, 2 * TOP], &negated.0) != ([0; 4], true));
        assert_eq!(residue(a.plus(&b)), x + y);
        assert_eq!(residue(a.minus(&b.fold())), x - y, "{a:?} {b:?}");
        assert_eq!(residue(a.fold()), x, "{a:?}");
        assert!(eighths(a.fold()) < 16);
        assert_eq!(residue(a.fold().negate()), -x, "{a:?}");
        assert_eq!(residue(a.halve()) * Felt::TWO, x, "{a:?}");
        assert_eq!(Felt::from_bytes_le(&bytes(a.canonical().0)), x, "{a:?}");
        assert!(
            subtract_borrow(&a.canonical().0, &[1, 0, 0, TOP]).1,
            "{a:?}"
        );
        let addend = b.fold().plus(&Element::MODULUS);
        let sum = a.product_plus(&a, &addend);
        assert_eq!(residue(sum) * radix(), x * x + y * radix(), "{a:?} {b:?}");
        assert!(eighths(sum) <= eighths(addend) + 8);
        let (small, other) = (a.fold(), b.fold());
        let sum = a.product_sum(&small, &b, &other);
        assert_eq!(residue(sum) * radix(), x * x + y * y, "{a:?} {b:?}");
        assert!(eighths(sum) < 16);
    }

    fn bytes(limbs: Limbs) -> [u8; 32] {
        let mut bytes = [0; 32];
        for (chunk, limb) in bytes.chunks_exact_mut(8).zip(limbs) {
            chunk.copy_from_slice(&limb.to_le_bytes());
        }
        bytes
    }

    #[test]
    fn edges_of_every_range() {
        for a in edges() {
            for b in edges() {
                check(a, b);
            }
        }
    }

    #[test]
    fn recurrence_at_its_edges() {
        // 2u and 3u give or take what the contract allows, and every guess of the top bits.
        let tops = [
            (1 << 60) - (1 << 9),
            (1 << 60) - 1,
            1 << 60,
            (1 << 60) + (1 << 58),
            (3 << 59) - 1,
            3 << 59,
        ];
        let nexts = [0, 1, 1 << 59, (3 << 59) + (1 << 57)];
        for (sum, before) in tops.iter().flat_map(|a| tops.map(|b| (*a, b))) {
            for (next, low) in nexts
                .iter()
                .flat_map(|a| [0, 77, u64::MAX].map(|b| (*a, b)))
            {
                let sum = Element([low, low, low, sum]);
                let before = Element([low, 0, low, before]);
                let next = Element([low, low, 5, next]);
                let constant = Element([64, low, low, low >> 6]);
                let got = Element::recur(&sum, &before, &next, &constant);
                let expected = residue(sum) * Felt::THREE + residue(before) * Felt::from(4_u8)
                    - residue(next)
                    + residue(constant);
                assert_eq!(residue(got), expected);
                let top = got.0[3];
                let range = (1 << 60) - (1 << 10)..=(3 << 59) + (1 << 10);
                assert!(range.contains(&top));
            }
        }
    }

    #[test]
    fn forms_and_integers() {
        for value in [0, 1, 2, u64::MAX, 1 << 63] {
            let element = Element::from_u64(value);
            assert_eq!(element.to_felt(), Felt::from(value));
            assert_eq!(element.to_integer(), [value, 0, 0, 0]);
        }
        for value in [0, 1, -1, i64::MIN, i64::MAX, -12_345] {
            assert_eq!(Element::from_i64(value).to_felt(), Felt::from(value));
        }
        let last = Felt::ZERO - Felt::ONE;
        assert_eq!(Element::from_felt(last).to_felt(), last);
        assert_eq!(Element::from_felt(last).to_integer(), [0, 0, 0, TOP]);
        assert_eq!(Element::from_integer(&[0, 0, 0, TOP]).to_felt(), last);
        assert_eq!(Element::MODULUS.to_felt(), Felt::ZERO);
        assert_eq!(Element::ZERO.invert().to_felt(), Felt::ZERO);
    }

    proptest! {
        /// Any residue, with up to four P on top.
        #[test]
        fn equals_the_crate(a in any::<[u8; 32]>(), b in any::<[u8; 32]>(), more in 0..25_u64) {
            let lift = |felt: Felt, more: u64| {
                Element::from_felt(felt).plus(&Element([more, 0, 0, more * TOP]))
            };
            let (x, y) = (Felt::from_bytes_be(&a), Felt::from_bytes_be(&b));
            let (a, b) = (lift(x, more % 5), lift(y, more / 5));
            check(a, b);
            prop_assert_eq!(a.product(&b).to_felt(), x * y);
            if let Some(inverse) = x.inverse() {
                prop_assert_eq!(a.invert().to_felt(), inverse);
            }
        }
    }
}
