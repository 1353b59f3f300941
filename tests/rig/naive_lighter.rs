//! Lighter's hash and signature once more, from the published rules alone and too simple to be
//! wrong: remainders by `%`, polynomials multiplied term by term, division by solving five
//! equations, the curve in its short Weierstrass form with chord and tangent, matrices as
//! matrices. Shares no formula with `src`. Slow, and for public values only.
//!
//! Sources: Pornin, "EcGFp5" (2022): curve, group, encoding; "Poseidon2" (2023); Lighter's
//! `elliottech/poseidon_crypto`: constants, sponge, signature.

use num_bigint::BigUint;
use serde_json::Value;

const P: u64 = 0xffff_ffff_0000_0001;
/// Order of the group, decimal.
const ORDER: &str = concat!(
    "10679935167171469510414849165717927027450577405817",
    "27230159139685185762082554198619328292418486241",
);
const CONSTANTS: &str = include_str!("../data/lighter/lighter_poseidon2_constants.json");

/// a0 + a1 z + .. + a4 z^4 with z^5 = 3.
pub type Element = [u64; 5];
const ZERO: Element = [0; 5];
const ONE: Element = [1, 0, 0, 0, 0];
/// The curve's a and b: y^2 = x (x^2 + a x + b).
pub const A: Element = [2, 0, 0, 0, 0];
pub const B: Element = [0, 263, 0, 0, 0];

/// What x is moved by in short Weierstrass form: a / 3.
pub const MOVE: Element = [6148914689804861441, 0, 0, 0, 0];
/// The coefficient of x there: b - a^2 / 3.
pub const LINEAR: Element = [6148914689804861439, 263, 0, 0, 0];

/// What a create-order transaction says, before any hashing.
#[derive(Clone, Debug)]
pub struct Order {
    pub chain_id: u64,
    pub nonce: u64,
    pub expired_at_ms: u64,
    pub account_index: u64,
    pub api_key_index: u64,
    pub market_index: u64,
    pub client_order_index: u64,
    pub base_amount: u64,
    pub price: u64,
    pub is_ask: u64,
    pub order_type: u64,
    pub time_in_force: u64,
    pub reduce_only: u64,
    pub trigger_price: u64,
    pub order_expiry_ms: u64,
    /// Identifier and value, by identifier; at most four.
    pub attributes: Vec<(u64, u64)>,
}

/// Whether a signature (s, then e) is good.
pub fn naive_accepts(public: &[u8; 40], message: &[u8; 40], signature: &[u8; 80]) -> bool {
    let n = order();
    let s = BigUint::from_bytes_le(&signature[..40]);
    let e = BigUint::from_bytes_le(&signature[40..]);
    let (Some(public), Some(message)) = (element(public), element(message)) else {
        return false;
    };
    let Some(key) = decode(&public) else {
        return false;
    };
    if s >= n || e >= n || public == ZERO {
        return false;
    }
    let r = encode(&combine(&multiply(&s, &generator()), &multiply(&e, &key)));
    BigUint::from_bytes_le(&bytes(&hash5(&[r, message].concat()))) % n == e
}

/// Encoding of `private * G`.
pub fn public_key(private: &[u8; 40]) -> [u8; 40] {
    let private = BigUint::from_bytes_le(private) % order();
    bytes(&encode(&multiply(&private, &generator())))
}

/// The hash that is signed for a create-order transaction.
pub fn order_message(order: &Order) -> [u8; 40] {
    let body = hash5(&[
        order.chain_id,
        14,
        order.nonce,
        order.expired_at_ms,
        order.account_index,
        order.api_key_index,
        order.market_index,
        order.client_order_index,
        order.base_amount,
        order.price,
        order.is_ask,
        order.order_type,
        order.time_in_force,
        order.reduce_only,
        order.trigger_price,
        order.order_expiry_ms,
    ]);
    if order.attributes.is_empty() {
        return bytes(&body);
    }
    let mut pairs = order.attributes.clone();
    pairs.resize(4, (0, 0));
    let pairs: Vec<u64> = pairs
        .into_iter()
        .flat_map(|(id, value)| [id, value])
        .collect();
    bytes(&hash5(&[body, hash5(&pairs)].concat()))
}

/// Poseidon2 as a sponge: each chunk of eight overwrites the first lanes; five lanes come out.
pub fn hash5(inputs: &[u64]) -> Element {
    let rules = Rules::read();
    let mut state = [0; 12];
    for chunk in inputs.chunks(8) {
        for (lane, input) in state.iter_mut().zip(chunk) {
            *lane = input % P;
        }
        state = rules.permute(state);
    }
    std::array::from_fn(|at| state[at])
}

/// The permutation's constants and its two matrices, written out.
pub struct Rules {
    external: Vec<Vec<u64>>,
    internal: Vec<u64>,
    full_matrix: Vec<Vec<u64>>,
    partial_matrix: Vec<Vec<u64>>,
}

impl Rules {
    pub fn read() -> Rules {
        let file: Value = serde_json::from_str(CONSTANTS).unwrap();
        let number = |value: &Value| match value.as_str() {
            Some(text) => text.parse::<u64>().unwrap(),
            None => value.as_u64().unwrap(),
        };
        let list = |value: &Value| value.as_array().unwrap().iter().map(number).collect();
        let lists = |value: &Value| value.as_array().unwrap().iter().map(list).collect();
        let block: Vec<Vec<u64>> = lists(&file["external_block_m4"]);
        let diagonal: Vec<u64> = list(&file["internal_diagonal"]);
        let twice_on_diagonal = |row: usize, column: usize| 1 + u64::from(row / 4 == column / 4);
        let full =
            |row: usize, column: usize| twice_on_diagonal(row, column) * block[row % 4][column % 4];
        let partial =
            |row: usize, column: usize| plus(1, if row == column { diagonal[row] } else { 0 });
        let matrix = |entry: &dyn Fn(usize, usize) -> u64| -> Vec<Vec<u64>> {
            let row = |row| (0..12).map(|column| entry(row, column)).collect();
            (0..12).map(row).collect()
        };
        Rules {
            external: lists(&file["external_constants"]),
            internal: list(&file["internal_constants"]),
            full_matrix: matrix(&full),
            partial_matrix: matrix(&partial),
        }
    }

    pub fn permute(&self, mut state: [u64; 12]) -> [u64; 12] {
        state = apply(&self.full_matrix, &state);
        for constants in &self.external[..4] {
            state = self.full_round(&state, constants);
        }
        for constant in &self.internal {
            state[0] = power(plus(state[0], *constant), 7);
            state = apply(&self.partial_matrix, &state);
        }
        for constants in &self.external[4..] {
            state = self.full_round(&state, constants);
        }
        state
    }

    fn full_round(&self, state: &[u64; 12], constants: &[u64]) -> [u64; 12] {
        let state = std::array::from_fn(|at| power(plus(state[at], constants[at]), 7));
        apply(&self.full_matrix, &state)
    }
}

fn apply(matrix: &[Vec<u64>], state: &[u64; 12]) -> [u64; 12] {
    std::array::from_fn(|row| {
        let terms = matrix[row].iter().zip(state);
        terms.fold(0, |sum, (&entry, &lane)| plus(sum, times(entry, lane)))
    })
}

/// A point in short Weierstrass form, y^2 = x^3 + A' x + B' with x moved by a third of a; the
/// infinite point is `None`.
pub type Point = Option<(Element, Element)>;

/// The group's law: the sum on the curve, and N once more.
pub fn combine(left: &Point, right: &Point) -> Point {
    add(&add(left, right), &neutral())
}

/// Double and add, highest bit first.
pub fn multiply(factor: &BigUint, point: &Point) -> Point {
    let mut sum = neutral();
    for bit in (0..factor.bits()).rev() {
        sum = combine(&sum, &sum);
        if factor.bit(bit) {
            sum = combine(&sum, point);
        }
    }
    sum
}

/// w = y / x before the move, and zero for N.
pub fn encode(point: &Point) -> Element {
    let (x, y) = point.expect("the group does not hold the infinite point");
    let x = minus5(&x, &MOVE);
    if x == ZERO { ZERO } else { divide(&y, &x) }
}

/// x^2 - (w^2 - a) x + b = 0; of its two roots the one that is no square belongs to the group.
pub fn decode(w: &Element) -> Option<Point> {
    if *w == ZERO {
        return Some(neutral());
    }
    let e = minus5(&times5(w, w), &A);
    let four_b = times5(&[4, 0, 0, 0, 0], &B);
    let root = square_root(&minus5(&times5(&e, &e), &four_b))?;
    let two = [2, 0, 0, 0, 0];
    let roots = [plus5(&e, &root), minus5(&e, &root)].map(|twice| divide(&twice, &two));
    let x = roots.into_iter().find(|x| !is_square(x))?;
    Some(Some((plus5(&x, &MOVE), times5(w, &x))))
}

/// The group's generator: w = 4.
pub fn generator() -> Point {
    let x = [
        12883135586176881569,
        4356519642755055268,
        5248930565894896907,
        2165973894480315022,
        2448410071095648785,
    ];
    Some((plus5(&x, &MOVE), times5(&[4, 0, 0, 0, 0], &x)))
}

/// N, the point of order two: x = 0 and y = 0 before the move.
fn neutral() -> Point {
    Some((MOVE, ZERO))
}

/// Chord or tangent.
fn add(left: &Point, right: &Point) -> Point {
    let (Some((x1, y1)), Some((x2, y2))) = (left, right) else {
        return left.or(*right);
    };
    let (rise, run) = if x1 != x2 {
        (minus5(y2, y1), minus5(x2, x1))
    } else if y1 == y2 && *y1 != ZERO {
        let three_squares = times5(&[3, 0, 0, 0, 0], &times5(x1, x1));
        (plus5(&three_squares, &LINEAR), plus5(y1, y1))
    } else {
        return None;
    };
    let slope = divide(&rise, &run);
    let x = minus5(&minus5(&times5(&slope, &slope), x1), x2);
    let y = minus5(&times5(&slope, &minus5(x1, &x)), y1);
    Some((x, y))
}

fn plus(left: u64, right: u64) -> u64 {
    ((u128::from(left) + u128::from(right)) % u128::from(P)) as u64
}

fn minus(left: u64, right: u64) -> u64 {
    ((u128::from(left) + u128::from(P) - u128::from(right)) % u128::from(P)) as u64
}

fn times(left: u64, right: u64) -> u64 {
    (u128::from(left) * u128::from(right) % u128::from(P)) as u64
}

fn power(base: u64, exponent: u64) -> u64 {
    let bits = (0..64).rev().map(|bit| exponent >> bit & 1);
    bits.fold(1, |product, bit| {
        let square = times(product, product);
        if bit == 1 {
            times(square, base)
        } else {
            square
        }
    })
}

pub fn plus5(left: &Element, right: &Element) -> Element {
    std::array::from_fn(|at| plus(left[at], right[at]))
}

fn minus5(left: &Element, right: &Element) -> Element {
    std::array::from_fn(|at| minus(left[at], right[at]))
}

/// Term by term; z^5 is 3.
pub fn times5(left: &Element, right: &Element) -> Element {
    let mut product = ZERO;
    for (i, &a) in left.iter().enumerate() {
        for (j, &b) in right.iter().enumerate() {
            let term = if i + j < 5 {
                times(a, b)
            } else {
                times(3, times(a, b))
            };
            product[(i + j) % 5] = plus(product[(i + j) % 5], term);
        }
    }
    product
}

/// Solves `divisor * x = dividend` for the five coefficients of x, by elimination. The divisor is
/// not zero.
pub fn divide(dividend: &Element, divisor: &Element) -> Element {
    let mut rows = [[0; 6]; 5];
    // Column by column: the divisor times a power of z.
    let mut product = *divisor;
    for column in 0..5 {
        for (row, value) in rows.iter_mut().zip(product) {
            row[column] = value;
        }
        product = times5(&product, &[0, 1, 0, 0, 0]);
    }
    for (row, value) in rows.iter_mut().zip(dividend) {
        row[5] = *value;
    }
    for column in 0..5 {
        let pivot = (column..5).find(|&row| rows[row][column] != 0).unwrap();
        rows.swap(column, pivot);
        let inverse = power(rows[column][column], P - 2);
        rows[column] = rows[column].map(|value| times(value, inverse));
        let leading = rows[column];
        for row in (0..5).filter(|&row| row != column) {
            let factor = rows[row][column];
            let reduced = |at: usize| minus(rows[row][at], times(factor, leading[at]));
            rows[row] = std::array::from_fn(reduced);
        }
    }
    rows.map(|row| row[5])
}

fn power5(base: &Element, exponent: &BigUint) -> Element {
    let mut product = ONE;
    for bit in (0..exponent.bits()).rev() {
        product = times5(&product, &product);
        if exponent.bit(bit) {
            product = times5(&product, base);
        }
    }
    product
}

/// By Euler's criterion.
fn is_square(element: &Element) -> bool {
    *element == ZERO || power5(element, &(field_units() >> 1)) == ONE
}

/// By Tonelli and Shanks; 7 is no square, and p^5 - 1 is odd times 2^32.
fn square_root(square: &Element) -> Option<Element> {
    if !is_square(square) {
        return None;
    }
    if *square == ZERO {
        return Some(ZERO);
    }
    let odd = field_units() >> 32;
    let mut step = power5(&[7, 0, 0, 0, 0], &odd);
    let mut root = power5(square, &((&odd + 1_u8) >> 1));
    let mut rest = power5(square, &odd);
    let mut height = 32;
    while rest != ONE {
        let mut element = rest;
        let mut depth = 0;
        while element != ONE {
            element = times5(&element, &element);
            depth += 1;
        }
        let factor = power5(&step, &(BigUint::from(1_u8) << (height - depth - 1)));
        root = times5(&root, &factor);
        step = times5(&factor, &factor);
        rest = times5(&rest, &step);
        height = depth;
    }
    Some(root)
}

/// How many elements have an inverse: p^5 - 1.
fn field_units() -> BigUint {
    BigUint::from(P).pow(5) - 1_u8
}

fn order() -> BigUint {
    ORDER.parse().unwrap()
}

/// Five little-endian limbs, each below p.
pub fn element(bytes: &[u8; 40]) -> Option<Element> {
    let limb = |at: usize| u64::from_le_bytes(bytes[8 * at..8 * at + 8].try_into().unwrap());
    let limbs: Element = std::array::from_fn(limb);
    limbs.iter().all(|&limb| limb < P).then_some(limbs)
}

pub fn bytes(element: &Element) -> [u8; 40] {
    std::array::from_fn(|at| element[at / 8].to_le_bytes()[at % 8])
}
