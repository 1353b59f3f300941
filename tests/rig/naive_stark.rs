//! Extended's hash and signature once more, from the published rules alone and too simple to be
//! wrong: big integers, affine points, one inversion an addition, constants made where they are
//! used. Shares no line and no library with `src`. Slow, and for public values only.
//!
//! Sources: StarkWare's STARK curve and Poseidon parameters, SNIP-12; the type texts of Extended's
//! `x10xchange/rust-crypto-lib-base`.

use num_bigint::BigUint;
use sha2::{Digest, Sha256};
use sha3::Keccak256;

const PRIME: &str = "800000000000011000000000000000000000000000000000000000000000001";
const ORDER: &str = "800000000000010ffffffffffffffffb781126dcae7b2321e66a241adc64d2f";
/// y^2 = x^3 + x + BETA.
const BETA: &str = "6f21413efbe40de150e596d72f7a8c5609ad26c15c915c1f4cdfcb99cee9e89";
const BASE_X: &str = "1ef15c18599971b7beced415a40f0c7deacfd9b0d1819e03d723d8bc943cfca";
const BASE_Y: &str = "5668060aa49730b7be4801df46ec62de53ecd11abe43a32873000c36e8dc1f";

const ORDER_TYPE: &str = concat!(
    r#""Order"("position_id":"felt","base_asset_id":"AssetId","base_amount":"i64","#,
    r#""quote_asset_id":"AssetId","quote_amount":"i64","fee_asset_id":"AssetId","#,
    r#""fee_amount":"u64","expiration":"Timestamp","salt":"felt")"#,
    r#""PositionId"("value":"u32")"AssetId"("value":"felt")"Timestamp"("seconds":"u64")"#,
);
const DOMAIN_TYPE: &str = concat!(
    r#""StarknetDomain"("name":"shortstring","version":"shortstring","#,
    r#""chainId":"shortstring","revision":"shortstring")"#,
);

/// What an order says, before any hashing.
#[derive(Clone, Debug)]
pub struct Order {
    pub position_id: u32,
    pub base_asset: BigUint,
    pub base_amount: i64,
    pub quote_asset: BigUint,
    pub quote_amount: i64,
    pub fee_amount: u64,
    pub expiration_s: u64,
    pub salt: u64,
}

/// Whether a signature is good; all numbers big endian, the public key by its x.
pub fn naive_accepts(public: &[u8; 32], hash: &[u8; 32], r: &[u8; 32], s: &[u8; 32]) -> bool {
    let [public, hash, r, s] = [public, hash, r, s].map(|bytes| BigUint::from_bytes_be(bytes));
    let limit = BigUint::from(1_u8) << 251;
    let is_outside = |part: &BigUint| *part == BigUint::ZERO || *part >= limit;
    if is_outside(&r) || is_outside(&s) || hash >= limit || public >= number(PRIME) {
        return false;
    }
    let Some(public) = lift(&public) else {
        return false;
    };
    let n = number(ORDER);
    let inverse = s.modinv(&n).unwrap();
    let base = (number(BASE_X), number(BASE_Y));
    let left = multiply(&(&hash * &inverse % &n), &Some(base));
    let right = multiply(&(&r * &inverse % &n), &Some(public));
    // Only x of the key is known, so its point may be either of two.
    let is_r = |point: Point| point.is_some_and(|(x, _)| x == r);
    is_r(add(&left, &right)) || is_r(add(&left, &negate(&right)))
}

/// x of `private * G`.
pub fn public_key(private: &BigUint) -> BigUint {
    let base = (number(BASE_X), number(BASE_Y));
    multiply(private, &Some(base)).unwrap().0
}

/// What is signed for an order; `chain_id` is `SN_MAIN` or `SN_SEPOLIA`.
pub fn order_message(chain_id: &str, public: &BigUint, order: &Order) -> BigUint {
    let domain = poseidon(&[
        selector(DOMAIN_TYPE),
        short_text("Perpetuals"),
        short_text("v0"),
        short_text(chain_id),
        BigUint::from(1_u8),
    ]);
    let order = poseidon(&[
        selector(ORDER_TYPE),
        order.position_id.into(),
        order.base_asset.clone(),
        signed(order.base_amount),
        order.quote_asset.clone(),
        signed(order.quote_amount),
        order.quote_asset.clone(),
        order.fee_amount.into(),
        order.expiration_s.into(),
        order.salt.into(),
    ]);
    let prefix = short_text("StarkNet Message");
    poseidon(&[prefix, domain, public.clone(), order])
}

/// Hash of a list: a one is appended, then a zero if that makes the length odd.
pub fn poseidon(list: &[BigUint]) -> BigUint {
    let p = number(PRIME);
    let mut list = list.to_vec();
    list.push(BigUint::from(1_u8));
    if list.len() % 2 == 1 {
        list.push(BigUint::ZERO);
    }
    let mut state = [BigUint::ZERO, BigUint::ZERO, BigUint::ZERO];
    for pair in list.chunks(2) {
        state[0] = (&state[0] + &pair[0]) % &p;
        state[1] = (&state[1] + &pair[1]) % &p;
        state = permute(state);
    }
    let [hash, _, _] = state;
    hash
}

/// 4 full rounds, 83 partial ones, 4 full ones.
pub fn permute(mut state: [BigUint; 3]) -> [BigUint; 3] {
    let p = number(PRIME);
    for round in 0..91_usize {
        for (lane, value) in state.iter_mut().enumerate() {
            *value = (&*value + round_constant(3 * round + lane)) % &p;
        }
        let is_full = !(4..87).contains(&round);
        let first = if is_full { 0 } else { 2 };
        for value in &mut state[first..] {
            *value = value.modpow(&3_u8.into(), &p);
        }
        let [a, b, c] = state;
        let total = &a + &b + &c;
        state = [
            (&total + 2_u8 * a) % &p,
            (&total + 2_u8 * &p - 2_u8 * b) % &p,
            (&total + 3_u8 * &p - 3_u8 * c) % &p,
        ];
    }
    state
}

/// SHA-256 of `Hades` and the index in decimal.
pub fn round_constant(idx: usize) -> BigUint {
    BigUint::from_bytes_be(&Sha256::digest(format!("Hades{idx}"))) % number(PRIME)
}

/// The infinite point is `None`.
type Point = Option<(BigUint, BigUint)>;

/// Chord or tangent.
fn add(left: &Point, right: &Point) -> Point {
    let (Some((x1, y1)), Some((x2, y2))) = (left, right) else {
        return left.clone().or(right.clone());
    };
    let p = number(PRIME);
    let (rise, run) = if x1 != x2 {
        (y2 + &p - y1, x2 + &p - x1)
    } else if y1 == y2 && *y1 != BigUint::ZERO {
        (3_u8 * x1 * x1 + 1_u8, 2_u8 * y1)
    } else {
        return None;
    };
    let slope = rise * run.modinv(&p).unwrap() % &p;
    let x = (&slope * &slope + 2_u8 * &p - x1 - x2) % &p;
    let y = (slope * (x1 + &p - &x) + &p - y1) % &p;
    Some((x, y))
}

/// Double and add, highest bit first.
fn multiply(factor: &BigUint, point: &Point) -> Point {
    let mut sum = None;
    for bit in (0..factor.bits()).rev() {
        sum = add(&sum, &sum);
        if factor.bit(bit) {
            sum = add(&sum, point);
        }
    }
    sum
}

fn negate(point: &Point) -> Point {
    let negate = |(x, y): &(BigUint, BigUint)| (x.clone(), (number(PRIME) - y) % number(PRIME));
    point.as_ref().map(negate)
}

/// One of the two points with this x.
fn lift(x: &BigUint) -> Point {
    let p = number(PRIME);
    let square = (x * x * x + x + number(BETA)) % &p;
    Some((x.clone(), square_root(&square)?))
}

/// By Tonelli and Shanks; 3 is no square, and p - 1 is odd times 2^192.
fn square_root(square: &BigUint) -> Option<BigUint> {
    let p = number(PRIME);
    let one = BigUint::from(1_u8);
    let odd: BigUint = (&p - 1_u8) >> 192;
    let mut step = BigUint::from(3_u8).modpow(&odd, &p);
    let mut root = square.modpow(&((&odd + 1_u8) >> 1), &p);
    let mut rest = square.modpow(&odd, &p);
    // root^2 = square * rest; the order of rest is 2^height at most, and falls.
    let mut height = 192_u32;
    while rest != one {
        let mut power = rest.clone();
        let mut depth = 0;
        while power != one {
            power = &power * &power % &p;
            depth += 1;
            if depth == height {
                return None;
            }
        }
        let mut factor = step;
        for _ in 0..height - depth - 1 {
            factor = &factor * &factor % &p;
        }
        root = root * &factor % &p;
        step = &factor * &factor % &p;
        rest = rest * &step % &p;
        height = depth;
    }
    Some(root)
}

/// Low 250 bits of Keccak-256.
fn selector(text: &str) -> BigUint {
    let hash = BigUint::from_bytes_be(&Keccak256::digest(text));
    hash % (BigUint::from(1_u8) << 250)
}

/// The bytes of a text as a number.
fn short_text(text: &str) -> BigUint {
    BigUint::from_bytes_be(text.as_bytes())
}

/// Negative numbers count down from the prime.
fn signed(value: i64) -> BigUint {
    let size = BigUint::from(value.unsigned_abs());
    if value < 0 {
        number(PRIME) - size
    } else {
        size
    }
}

pub fn number(hex: &str) -> BigUint {
    BigUint::parse_bytes(hex.trim_start_matches("0x").as_bytes(), 16).unwrap()
}
