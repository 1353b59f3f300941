//! Poseidon2 over Goldilocks: the permutation and the sponge that hash transactions, challenges and
//! auth tokens.
//!
//! The sponge has no padding, no length and no domain separation: `[x]` and `[x, 0]` hash alike. So
//! only inputs whose length is fixed by their type may be hashed here; every transaction's is.
//! Promises: no allocation. Not for secrets: once in some 2^28 reductions a branch is taken that
//! depends on the value, which is harmless because everything hashed here is published.
//!
//! Source: *crypto* in the venue's Sources, and "Poseidon2" (eprint 2023/323) for the structure;
//! judged by `tests/data/lighter/lighter_poseidon2.json` and by a textbook version in the tests.

use super::constants::{DIAGONAL, EXTERNAL, INTERNAL, RATE, WIDTH};
use super::field::{EPSILON, Fp, Fp5, P};

// The idea. Thirty rounds; each adds constants, raises lanes to the 7th power and mixes. In the
// eight full rounds all twelve lanes are raised, in the 22 partial ones only lane 0. A full round
// is bound by how much a core can do at once, a partial round by how long one thing takes after the
// other; so the two are written differently.
//
// The tricks.
// - Between the first and the last step a lane is any 64-bit number of the right residue, so sums
//   and products are mended once (a carry is worth 2^32 - 1) and not brought below p as well.
// - What follows a product is added into its 128 bits before these are reduced; what follows the
//   external layer, the next round's constants, into its sums.
// - Full rounds take one step of all twelve S-boxes before the next step, in the order of the
//   program: a core looks ahead a few S-boxes at most, so it does not find that order by itself.
// - In a partial round lane 0 becomes d0 x^7 + S where S = x^7 + T sums all lanes, that is
//   (d0 + 1) x^7 + T: as x^4 * (x^2 * (x * (d0 + 1))) three products deep. T needs the other lanes,
//   lane' = d lane + S; but a sum of all d lane + 11 S does not wait for S. So nothing but these
//   three products is passed from round to round in a hurry. The eleven products d lane are
//   written between the steps of the three, which leave the core idle.
//
// Left out. Vector instructions: the target is plain x86-64, which has no 64-bit products of
// vectors. Two partial rounds at once, with squared diagonals and half the reductions: fewer
// steps, but measured no faster. Keeping lanes in Montgomery form: measured slower.

/// Twelve numbers, each any 64-bit representative of its residue.
type Lanes = [u64; WIDTH];

/// What the four opening full rounds add after mixing: the constants of the round to come.
const AFTER_OPENING: [Lanes; 4] = {
    let mut after = [EXTERNAL[1], EXTERNAL[2], EXTERNAL[3], [0; WIDTH]];
    after[3][0] = INTERNAL[0];
    after
};
/// What the partial rounds add to lane 0: the constants of the round to come.
const AFTER_PARTIAL: [u64; 22] = {
    let mut after = [EXTERNAL[4][0]; 22];
    let mut round = 0;
    while round < 21 {
        after[round] = INTERNAL[round + 1];
        round += 1;
    }
    after
};
/// The same for the closing full rounds.
const AFTER_CLOSING: [Lanes; 4] = [EXTERNAL[5], EXTERNAL[6], EXTERNAL[7], [0; WIDTH]];
/// d0 + 1.
const LEADING: u64 = DIAGONAL[0] + 1;

/// The permutation of twelve elements.
pub fn permute(state: &mut [Fp; WIDTH]) {
    let mut lanes = state.map(Fp::value);
    external_layer(&mut lanes, &EXTERNAL[0]);
    for after in &AFTER_OPENING {
        seventh_powers(&mut lanes);
        external_layer(&mut lanes, after);
    }
    partial_rounds(&mut lanes);
    for after in &AFTER_CLOSING {
        seventh_powers(&mut lanes);
        external_layer(&mut lanes, after);
    }
    for (element, lane) in state.iter_mut().zip(lanes) {
        *element = Fp::new(lane);
    }
}

/// The S-box on all lanes: 7 is the smallest exponent prime to p - 1.
#[inline(always)]
fn seventh_powers(lanes: &mut Lanes) {
    let (mut squares, mut cubes, mut fourths) = ([0; WIDTH], [0; WIDTH], [0; WIDTH]);
    for i in 0..WIDTH {
        squares[i] = residue(product(lanes[i], lanes[i]));
    }
    for i in 0..WIDTH {
        fourths[i] = residue(product(squares[i], squares[i]));
    }
    for i in 0..WIDTH {
        cubes[i] = residue(product(squares[i], lanes[i]));
    }
    for i in 0..WIDTH {
        lanes[i] = residue(product(fourths[i], cubes[i]));
    }
}

/// Each block of four times M = [[2,3,1,1],[1,2,3,1],[1,1,2,3],[3,1,1,2]], then each lane plus the
/// sum of its place over the three blocks, then `after`. M x = sum(x) + x + (x shifted up by one),
/// plus that shifted once more. The sums stay below 2^70.
#[inline(always)]
fn external_layer(lanes: &mut Lanes, after: &Lanes) {
    let mut mixed = [0; WIDTH];
    for block in [0, 4, 8] {
        let [a, b, c, d] = [0, 1, 2, 3].map(|i| u128::from(lanes[block + i]));
        let (ab, bc, cd, da) = (a + b, b + c, c + d, d + a);
        let sum = ab + cd;
        mixed[block] = sum + ab + b;
        mixed[block + 1] = sum + bc + c;
        mixed[block + 2] = sum + cd + d;
        mixed[block + 3] = sum + da + a;
    }
    for place in 0..4 {
        let sum = mixed[place] + mixed[place + 4] + mixed[place + 8];
        for i in [place, place + 4, place + 8] {
            lanes[i] = short_residue(mixed[i] + sum + u128::from(after[i]));
        }
    }
}

/// All partial rounds; lane 0 comes with the constant of the first, and every lane leaves with the
/// constant of the full round that follows.
#[inline(always)]
fn partial_rounds(lanes: &mut Lanes) {
    let mut x = lanes[0];
    // Lanes 1 to 11 are lanes[i] + sum, and `rest` is their sum.
    let mut sum = 0;
    let mut rest = lanes[1..].iter().map(|lane| u128::from(*lane)).sum();
    for after in AFTER_PARTIAL {
        let next_rest = short_residue(rest);
        let next_rest_and_constant = short_residue(rest + u128::from(after));
        let mut scaled = 0;
        let mut scale = |from: usize, to: usize| {
            for i in from..to {
                lanes[i] = residue(product(add(lanes[i], sum), DIAGONAL[i]));
                scaled += u128::from(lanes[i]);
            }
        };
        let square = residue(product(x, x));
        let leading = residue(product(x, LEADING));
        scale(1, 4);
        let fourth = residue(product(square, square));
        let leading_cube = residue(product(square, leading));
        let cube = residue(product(square, x));
        scale(4, 8);
        x = residue(product(fourth, leading_cube) + u128::from(next_rest_and_constant));
        let next_sum = residue(product(fourth, cube) + u128::from(next_rest));
        scale(8, WIDTH);
        sum = Fp::new(next_sum).value();
        rest = scaled + 11 * u128::from(sum);
    }
    lanes[0] = x;
    for i in 1..WIDTH {
        lanes[i] = short_residue(u128::from(add(lanes[i], sum)) + u128::from(EXTERNAL[4][i]));
    }
}

#[inline(always)]
const fn product(a: u64, b: u64) -> u128 {
    a as u128 * b as u128
}

/// A sum; `b` is below p, so that mending a carry can't carry again.
#[inline(always)]
const fn add(a: u64, b: u64) -> u64 {
    let (sum, carry) = a.overflowing_add(b);
    let mended = a.wrapping_add(b.wrapping_add(EPSILON));
    if carry { mended } else { sum }
}

/// A number of the same residue. With the upper word h1 * 2^32 + h0 it is
/// low - h1 + h0 * (2^32 - 1), because 2^64 is worth 2^32 - 1 and 2^96 is worth -1.
#[inline(always)]
const fn residue(wide: u128) -> u64 {
    let (low, high) = (wide as u64, (wide >> 64) as u64);
    let (difference, borrow) = low.overflowing_sub(high >> 32);
    if borrow {
        return remainder(wide);
    }
    let more = (high & EPSILON) * EPSILON;
    let (sum, carry) = difference.overflowing_add(more);
    let mended = difference.wrapping_add(more.wrapping_add(EPSILON));
    if carry { mended } else { sum }
}

/// The same for numbers below 2^96, whose low word seldom carries.
#[inline(always)]
const fn short_residue(wide: u128) -> u64 {
    let more = (wide >> 64) as u64 * EPSILON;
    let (sum, carry) = (wide as u64).overflowing_add(more);
    if carry { remainder(wide) } else { sum }
}

/// The seldom case of both: by long division.
#[cold]
#[inline(never)]
const fn remainder(wide: u128) -> u64 {
    (wide % P as u128) as u64
}

/// Hashes `inputs` to `N` elements. Input overwrites lanes, eight at a time; a short last chunk
/// leaves the other lanes as they are. No input: no permutation before the first output.
pub fn hash<const N: usize>(inputs: &[Fp]) -> [Fp; N] {
    let mut state = [Fp::ZERO; WIDTH];
    for chunk in inputs.chunks(RATE) {
        state[..chunk.len()].copy_from_slice(chunk);
        permute(&mut state);
    }
    let mut outputs = [Fp::ZERO; N];
    for (i, chunk) in outputs.chunks_mut(RATE).enumerate() {
        if i > 0 {
            permute(&mut state);
        }
        chunk.copy_from_slice(&state[..chunk.len()]);
    }
    outputs
}

/// Five outputs read as an element of the extension: what is signed.
pub fn hash_to_element(inputs: &[Fp]) -> Fp5 {
    Fp5(hash::<5>(inputs))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::venue::lighter::sign::vectors::{bytes40, cases, numbers};
    use proptest::prelude::*;

    const FILE: &str = include_str!("../../../../tests/data/lighter/lighter_poseidon2.json");

    fn elements(value: &serde_json::Value) -> Vec<Fp> {
        numbers(value).into_iter().map(Fp::new).collect()
    }

    #[test]
    fn permutation_vectors() {
        let mut seen = 0;
        for case in cases(FILE, "permute") {
            let mut state: [Fp; WIDTH] = elements(&case["in"]).try_into().unwrap();
            permute(&mut state);
            assert_eq!(state.to_vec(), elements(&case["out"]));
            seen += 1;
        }
        assert!(seen > 0);
    }

    #[test]
    fn sponge_vectors() {
        let mut seen = 0;
        for case in cases(FILE, "hash4") {
            let digest = hash::<4>(&elements(&case["in"]));
            assert_eq!(digest.to_vec(), elements(&case["out"]));
            seen += 1;
        }
        for case in cases(FILE, "hash5") {
            let digest = hash_to_element(&elements(&case["in"]));
            assert_eq!(digest.0.to_vec(), elements(&case["out"]));
            assert_eq!(digest.to_bytes(), bytes40(&case["out_bytes"]));
            seen += 1;
        }
        for case in cases(FILE, "two_to_one") {
            let both = [elements(&case["left"]), elements(&case["right"])].concat();
            assert_eq!(hash::<4>(&both).to_vec(), elements(&case["out"]));
            seen += 1;
        }
        for case in cases(FILE, "hash_n") {
            let wanted = elements(&case["out"]);
            assert_eq!(wanted.len() as u64, case["n_out"].as_u64().unwrap());
            let digest = hash::<24>(&elements(&case["in"]));
            assert_eq!(digest[..wanted.len()], wanted);
            seen += 1;
        }
        assert!(seen > 0);
    }

    /// The permutation as the paper has it: matrices, constants and nothing else, on canonical
    /// elements.
    fn textbook(mut state: [Fp; WIDTH]) -> [Fp; WIDTH] {
        let block = [[2, 3, 1, 1], [1, 2, 3, 1], [1, 1, 2, 3], [3, 1, 1, 2]];
        let external = |state: [Fp; WIDTH]| {
            let row = |i: usize| {
                (0..WIDTH).fold(Fp::ZERO, |sum, j| {
                    let twice = if i / 4 == j / 4 { 2 } else { 1 };
                    sum + state[j] * Fp::new(twice * block[i % 4][j % 4])
                })
            };
            std::array::from_fn(row)
        };
        let internal = |state: [Fp; WIDTH]| {
            let row = |i: usize| {
                (0..WIDTH).fold(Fp::ZERO, |sum, j| {
                    let diagonal = if i == j { DIAGONAL[i] } else { 0 };
                    sum + state[j] * (Fp::new(diagonal) + Fp::ONE)
                })
            };
            std::array::from_fn(row)
        };
        let full = |state: [Fp; WIDTH], constants: &[u64; WIDTH]| {
            external(std::array::from_fn(|i| {
                (state[i] + Fp::new(constants[i])).pow(7)
            }))
        };
        state = external(state);
        for constants in &EXTERNAL[..4] {
            state = full(state, constants);
        }
        for constant in INTERNAL {
            state[0] = (state[0] + Fp::new(constant)).pow(7);
            state = internal(state);
        }
        for constants in &EXTERNAL[4..] {
            state = full(state, constants);
        }
        state
    }

    fn permuted(mut state: [Fp; WIDTH]) -> [Fp; WIDTH] {
        permute(&mut state);
        state
    }

    #[test]
    fn extreme_states_are_permuted_as_by_the_textbook() {
        let extremes = [0, 1, EPSILON, EPSILON + 1, P - EPSILON, P - 2, P - 1].map(Fp::new);
        for a in extremes {
            assert_eq!(permuted([a; WIDTH]), textbook([a; WIDTH]));
            for b in extremes {
                for lane in 0..WIDTH {
                    let mut state = [a; WIDTH];
                    state[lane] = b;
                    assert_eq!(permuted(state), textbook(state));
                }
            }
        }
    }

    /// Words at which borrows and carries appear, which hashing would not meet in a lifetime.
    #[test]
    fn seldom_residues() {
        let words = [0, 1, EPSILON - 1, EPSILON, EPSILON + 1, P - 1, P, u64::MAX];
        for high in words {
            for low in words {
                let wide = u128::from(high) << 64 | u128::from(low);
                assert_eq!(Fp::new(residue(wide)).value(), remainder(wide));
                let short = u128::from(high >> 32) << 64 | u128::from(low);
                assert_eq!(Fp::new(short_residue(short)).value(), remainder(short));
                let sum = u128::from(low) + u128::from(high % P);
                assert_eq!(Fp::new(add(low, high % P)).value(), remainder(sum));
            }
        }
    }

    proptest! {
        #[test]
        fn states_are_permuted_as_by_the_textbook(limbs in any::<[u64; WIDTH]>()) {
            let state = limbs.map(Fp::new);
            prop_assert_eq!(permuted(state), textbook(state));
        }

        #[test]
        fn residues_by_long_division(wide in any::<u128>(), a in any::<u64>(), b in 0..P) {
            prop_assert_eq!(Fp::new(residue(wide)).value(), remainder(wide));
            let short = wide >> 32;
            prop_assert_eq!(Fp::new(short_residue(short)).value(), remainder(short));
            let sum = u128::from(a) + u128::from(b);
            prop_assert_eq!(Fp::new(add(a, b)).value(), remainder(sum));
        }
    }
}
