//! Poseidon2 over Goldilocks: the permutation and the sponge that hash transactions, challenges and
//! auth tokens.
//!
//! The sponge has no padding, no length and no domain separation: `[x]` and `[x, 0]` hash alike. So
//! only inputs whose length is fixed by their type may be hashed here; every transaction's is.
//! Promises: no allocation, no branch on values.
//!
//! Source: *crypto* in the venue's Sources; judged by `tests/data/lighter/lighter_poseidon2.json`.

use super::constants::{DIAGONAL, EXTERNAL, INTERNAL, RATE, WIDTH};
use super::field::{Fp, Fp5};

type State = [Fp; WIDTH];

/// Rounds in three parts: 4 full rounds, 22 partial rounds, 4 full rounds, with the external layer
/// once before.
pub fn permute(state: &mut State) {
    external_layer(state);
    for constants in &EXTERNAL[..4] {
        full_round(state, constants);
    }
    for constant in INTERNAL {
        state[0] = seventh_power(state[0] + Fp::new(constant));
        internal_layer(state);
    }
    for constants in &EXTERNAL[4..] {
        full_round(state, constants);
    }
}

#[inline]
fn full_round(state: &mut State, constants: &[u64; WIDTH]) {
    for (lane, constant) in state.iter_mut().zip(constants) {
        *lane = seventh_power(*lane + Fp::new(*constant));
    }
    external_layer(state);
}

/// The S-box: 7 is the smallest exponent prime to p - 1.
#[inline]
fn seventh_power(x: Fp) -> Fp {
    let square = x * x;
    square * square * square * x
}

/// Each block of four times M = [[2,3,1,1],[1,2,3,1],[1,1,2,3],[3,1,1,2]], then each lane plus the
/// sum of its place over the three blocks. M x = sum(x) + x + 2 * (x shifted up by one), in
/// additions.
#[inline]
fn external_layer(state: &mut State) {
    let (blocks, _) = state.as_chunks_mut::<4>();
    for block in blocks.iter_mut() {
        let [a, b, c, d] = *block;
        let sum = (a + b) + (c + d);
        *block = [
            sum + a + b + b,
            sum + b + c + c,
            sum + c + d + d,
            sum + d + a + a,
        ];
    }
    let sums: [Fp; 4] = std::array::from_fn(|i| state[i] + state[i + 4] + state[i + 8]);
    for (i, lane) in state.iter_mut().enumerate() {
        *lane = *lane + sums[i % 4];
    }
}

/// Each lane times its diagonal constant, plus the sum of all lanes.
#[inline]
fn internal_layer(state: &mut State) {
    let sum = state.iter().fold(Fp::ZERO, |sum, lane| sum + *lane);
    for (lane, factor) in state.iter_mut().zip(DIAGONAL) {
        *lane = *lane * Fp::new(factor) + sum;
    }
}

/// Hashes `inputs` to `N` elements. Input overwrites lanes, eight at a time; a short last chunk
/// leaves the other lanes as they are. No input: zeros. `N` is at most 8, so one squeeze is enough.
pub fn hash<const N: usize>(inputs: &[Fp]) -> [Fp; N] {
    const { assert!(N <= RATE) };
    let mut state = [Fp::ZERO; WIDTH];
    for chunk in inputs.chunks(RATE) {
        state[..chunk.len()].copy_from_slice(chunk);
        permute(&mut state);
    }
    std::array::from_fn(|i| state[i])
}

/// Five outputs read as an element of the extension: what is signed.
pub fn hash_to_element(inputs: &[Fp]) -> Fp5 {
    Fp5(hash::<5>(inputs))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::venue::lighter::sign::vectors::{bytes40, cases, numbers};

    const FILE: &str = include_str!("../../../../tests/data/lighter/lighter_poseidon2.json");

    fn elements(value: &serde_json::Value) -> Vec<Fp> {
        numbers(value).into_iter().map(Fp::new).collect()
    }

    #[test]
    fn permutation_vectors() {
        let mut seen = 0;
        for case in cases(FILE, "permute") {
            let mut state: State = elements(&case["in"]).try_into().unwrap();
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
            let first = wanted.len().min(RATE);
            let digest = hash::<8>(&elements(&case["in"]));
            assert_eq!(digest[..first], wanted[..first]);
            seen += 1;
        }
        assert!(seen > 0);
    }
}
