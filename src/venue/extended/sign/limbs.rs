//! Four limbs and their double width: carries, products, and Montgomery's reduction modulo P.
//!
//! Promises: straight lines, no branch and no look-up; what is independent is written so, because
//! the permutation's length in time is that of one chain of these. Refuses nothing. Ranges are the
//! business of `field`, which alone uses the reductions.
//!
//! Source: Montgomery, *Modular multiplication without trial division* (1985); the shortened form
//! follows from P = 1 modulo 2^192.

/// 256 bits, least significant limb first.
pub type Limbs = [u64; 4];

/// The top limb of P; the lowest is 1 and the two between are 0.
pub const TOP: u64 = 0x0800_0000_0000_0011;

/// Sum modulo 2^256.
#[inline(always)]
pub fn add(left: &Limbs, right: &Limbs) -> Limbs {
    let (a, carry) = left[0].carrying_add(right[0], false);
    let (b, carry) = left[1].carrying_add(right[1], carry);
    let (c, carry) = left[2].carrying_add(right[2], carry);
    [a, b, c, left[3].carrying_add(right[3], carry).0]
}

/// Difference modulo 2^256.
#[inline(always)]
pub fn subtract(left: &Limbs, right: &Limbs) -> Limbs {
    subtract_borrow(left, right).0
}

/// Difference modulo 2^256, and whether it went below zero.
#[inline(always)]
pub fn subtract_borrow(left: &Limbs, right: &Limbs) -> (Limbs, bool) {
    let (a, borrow) = left[0].borrowing_sub(right[0], false);
    let (b, borrow) = left[1].borrowing_sub(right[1], borrow);
    let (c, borrow) = left[2].borrowing_sub(right[2], borrow);
    let (d, borrow) = left[3].borrowing_sub(right[3], borrow);
    ([a, b, c, d], borrow)
}

/// `right` where the mask is all ones, `left` where it is zero.
#[inline(always)]
pub fn select(left: &Limbs, right: &Limbs, mask: u64) -> Limbs {
    std::array::from_fn(|idx| left[idx] ^ (mask & (left[idx] ^ right[idx])))
}

/// `left * limb + top * 2^256`: four products, then one chain of carries. `top` is at most `TOP`.
#[inline(always)]
fn row(left: &Limbs, limb: u64, top: u64) -> [u64; 5] {
    let (a, a_high) = left[0].carrying_mul(limb, 0);
    let (b, b_high) = left[1].carrying_mul(limb, 0);
    let (c, c_high) = left[2].carrying_mul(limb, 0);
    let (d, d_high) = left[3].carrying_mul(limb, 0);
    let (b, carry) = b.carrying_add(a_high, false);
    let (c, carry) = c.carrying_add(b_high, carry);
    let (d, carry) = d.carrying_add(c_high, carry);
    [a, b, c, d, d_high.carrying_add(top, carry).0]
}

/// Adds a row to `sum` from limb `at` up; the limb above is the row's and the carry's.
#[inline(always)]
fn add_row(sum: &mut [u64; 8], at: usize, row: [u64; 5]) {
    let mut carry = false;
    for (idx, limb) in row.into_iter().enumerate() {
        (sum[at + idx], carry) = sum[at + idx].carrying_add(limb, carry);
    }
}

/// The 512-bit product plus `tops * 2^256`: a small addend that rides on carries that run anyway.
#[inline(always)]
pub fn multiply(left: &Limbs, right: &Limbs, tops: Limbs) -> [u64; 8] {
    let [a, b, c, d, e] = row(left, right[0], tops[0]);
    let mut sum = [a, b, c, d, e, 0, 0, 0];
    add_row(&mut sum, 1, row(left, right[1], tops[1]));
    add_row(&mut sum, 2, row(left, right[2], tops[2]));
    add_row(&mut sum, 3, row(left, right[3], tops[3]));
    sum
}

/// The 512-bit square plus `tops * 2^256`: ten products instead of sixteen, because the later
/// limbs come doubled into each row. Takes limbs below 2^255.
#[inline(always)]
pub fn square(x: &Limbs, tops: Limbs) -> [u64; 8] {
    let (b, c, d) = (x[1] << 1, x[2] << 1, x[3] << 1);
    let (c_full, d_full) = (c | x[1] >> 63, d | x[2] >> 63);
    let [s0, s1, s2, s3, s4] = row(&[x[0], b, c_full, d_full], x[0], tops[0]);

    let (l0, h0) = x[1].carrying_mul(x[1], 0);
    let (l1, h1) = x[1].carrying_mul(c, 0);
    let (l2, h2) = x[1].carrying_mul(d_full, 0);
    let (l1, carry) = l1.carrying_add(h0, false);
    let (l2, carry) = l2.carrying_add(h1, carry);
    let h2 = h2.carrying_add(tops[1], carry).0;
    let (s2, carry) = s2.carrying_add(l0, false);
    let (s3, carry) = s3.carrying_add(l1, carry);
    let (s4, carry) = s4.carrying_add(l2, carry);
    let s5 = h2.carrying_add(0, carry).0;

    let (l0, h0) = x[2].carrying_mul(x[2], 0);
    let (l1, h1) = x[2].carrying_mul(d, 0);
    let (l3, h3) = x[3].carrying_mul(x[3], 0);
    let (l1, carry) = l1.carrying_add(h0, false);
    let h1 = h1.carrying_add(tops[2], carry).0;
    let (s4, carry) = s4.carrying_add(l0, false);
    let (s5, carry) = s5.carrying_add(l1, carry);
    let (s6, carry) = h1.carrying_add(l3, carry);
    let s7 = h3.carrying_add(tops[3], carry).0;
    [s0, s1, s2, s3, s4, s5, s6, s7]
}

/// What Montgomery's reduction takes away: `m * P / 2^256`, as four limbs and a borrow out of the
/// lower half, where m is the one 256-bit number with `m * P = t` modulo 2^256.
///
/// The idea: the low limbs of P are 1, 0, 0, so taking `t_i * P` away clears limb i exactly, with
/// no borrow, and touches otherwise only what stands three limbs higher. Three quarters of m are
/// thus the low limbs of t as they stand, three products that wait for nothing; only the last
/// quarter is `t3` less what the first product left there. No inverse modulo 2^64 is needed: it is
/// 1.
#[inline(always)]
fn quotient(t: &[u64; 8]) -> (Limbs, bool) {
    let (l0, h0) = t[0].carrying_mul(TOP, 0);
    let (l1, h1) = t[1].carrying_mul(TOP, 0);
    let (l2, h2) = t[2].carrying_mul(TOP, 0);
    let (m3, borrow) = t[3].borrowing_sub(l0, false);
    let (l3, h3) = m3.carrying_mul(TOP, 0);
    let (v0, carry) = h0.carrying_add(l1, false);
    let (v1, carry) = h1.carrying_add(l2, carry);
    let (v2, carry) = h2.carrying_add(l3, carry);
    ([v0, v1, v2, h3 + u64::from(carry)], borrow)
}

/// `t / 2^256 mod P`, for t to which `P * 2^256` was added: gives less than t / 2^256.
#[inline(always)]
pub fn reduce(t: [u64; 8]) -> Limbs {
    let (taken, borrow) = quotient(&t);
    let (a, borrow) = t[4].borrowing_sub(taken[0], borrow);
    let (b, borrow) = t[5].borrowing_sub(taken[1], borrow);
    let (c, borrow) = t[6].borrowing_sub(taken[2], borrow);
    [a, b, c, t[7].borrowing_sub(taken[3], borrow).0]
}

/// `P - t / 2^256 mod P`. The one P more rides along as above.
#[inline(always)]
pub fn reduce_negated(t: [u64; 8]) -> Limbs {
    let (l0, h0) = t[0].carrying_mul(TOP, 0);
    let (l1, h1) = t[1].carrying_mul(TOP, 0);
    let (l2, h2) = t[2].carrying_mul(TOP, 0);
    let (m3, borrow) = t[3].borrowing_sub(l0, false);
    let (l3, h3) = m3.carrying_mul(TOP, 0);
    let (v0, carry) = (h0 + 1).carrying_add(l1, borrow);
    let (v1, carry) = h1.carrying_add(l2, carry);
    let (v2, carry) = h2.carrying_add(l3, carry);
    let v3 = (h3 + TOP).carrying_add(0, carry).0;
    subtract(&[v0, v1, v2, v3], &[t[4], t[5], t[6], t[7]])
}

/// `addend + t / 2^256 mod P`; the addend is at least P.
#[inline(always)]
pub fn reduce_plus(t: [u64; 8], addend: &Limbs) -> Limbs {
    let (taken, borrow) = quotient(&t);
    let [a, b, c, d] = add(&[t[4], t[5], t[6], t[7]], addend);
    let (a, borrow) = a.borrowing_sub(taken[0], borrow);
    let (b, borrow) = b.borrowing_sub(taken[1], borrow);
    let (c, borrow) = c.borrowing_sub(taken[2], borrow);
    [a, b, c, d.borrowing_sub(taken[3], borrow).0]
}
