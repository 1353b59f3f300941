//! The Hades permutation with Starknet's parameters: width 3, cubes, 8 full and 83 partial rounds.
//!
//! Promises: the published permutation, judged against `starknet_crypto` on random and extreme
//! states; no allocation, no branch on values.
//! Refuses nothing: any state of elements below 4.5u (u = 2^251) is taken.
//!
//! Sources: Grassi and others, *On a generalization of substitution-permutation networks: the HADES
//! design strategy* (eprint 2019/1107) and *Poseidon* (eprint 2019/458); parameters and constants
//! of Starknet, entry S2 of the venue's list.

use super::field::Element;
use super::rounds::{CLOSING, ENTRY, EXIT, OPENING, PARTIAL};

// How the permutation is computed
//
// The definition: a round adds three constants to the state (a, b, c), cubes all three elements
// (first and last four rounds) or only c (83 rounds between), and mixes: with t = a + b + c the
// state becomes (t + 2a, t - 2b, t - 3c). Its length in time is that of the chain through c: two
// dependent multiplications a round, 182 in all. Everything else has to vanish beside them.
//
// The idea for partial rounds: after the mix c is `(a + b) - 2 c^3`, so of a and b only their sum s
// is ever wanted. The mix maps (a, b) linearly with characteristic polynomial x^2 - 2x - 4, so the
// sum obeys a recurrence of two terms in which a and b do not occur. With x for c as it enters the
// cube, and the cube expressed by the next x,
//
//     x' = s - 2 x^3             s' = 3 s + 4 s_before - x' + k
//
// That is a whole round. All constants of rounds that had three meet in one k, as everything about
// them is linear; k is pushed so far ahead that the first line needs none.
//
// The tricks: -2 x^3 is the product of 2x and -x^2, both made without an extra step (the negative
// square by turning a subtraction round), and s is added to the double-width product before its
// reduction. So the chain is exactly one square and one product with one wider addition; the second
// line has the time of a whole square to itself. At the end a and b come back from the last two
// sums by one halving.
//
// Left out: scaling the state by the square root of one half, which would drop the factor 2, for
// one doubling beside the chain against three multiplications a permutation; vector instructions,
// which have no 64-bit product at the baseline; inline assembly, which would not be safe code.

/// Permutes the state. Takes elements below 4.5u, gives elements below 2u.
pub fn permute(state: &mut [Element; 3]) {
    let [opening, first, second, third, fourth] = &OPENING;
    let mut lanes = std::array::from_fn(|lane| state[lane].plus(&opening[lane]));
    lanes = two_full_rounds(&lanes, first, second);
    lanes = two_full_rounds(&lanes, third, fourth);
    lanes = partial_rounds(&lanes);
    let [first, second, third, fourth] = &CLOSING;
    lanes = two_full_rounds(&lanes, first, second);
    *state = two_full_rounds(&lanes, third, fourth);
}

/// Takes lanes below 5.6u, gives lanes below 2u. Folding after every second round is enough: the
/// first leaves cubes below 1.4u and so lanes below 8u, the second cubes below 1.8u and lanes below
/// 10u.
#[inline(always)]
fn two_full_rounds(
    lanes: &[Element; 3],
    first: &[Element; 3],
    second: &[Element; 3],
) -> [Element; 3] {
    let [a, b, c] = full_round(&full_round(lanes, first), second);
    [a.fold(), b.fold(), c.fold()]
}

/// Cubes, mix, and the next round's constants, of which the second and third stand 4P too high and
/// so make up for what the mix takes away. Adding a number twice is cheaper than doubling it.
#[inline(always)]
fn full_round(lanes: &[Element; 3], constants: &[Element; 3]) -> [Element; 3] {
    let [a, b, c] = lanes;
    let (a, b, c) = (a.cube(), b.cube(), c.cube());
    let outer = a.plus(&b);
    let all = outer.plus(&c);
    [
        all.plus(&a).plus(&a).plus(&constants[0]),
        all.plus(&constants[1]).less(&b).less(&b),
        outer.plus(&constants[2]).less(&c).less(&c),
    ]
}

/// The 83 partial rounds. Takes lanes below 2u with the first round's constants in them;
/// gives lanes below 5.6u with those of the first closing round in them.
#[inline(always)]
fn partial_rounds(lanes: &[Element; 3]) -> [Element; 3] {
    let [a, b, mut x] = *lanes;
    let mut sum = lift(&a.plus(&b).plus(&ENTRY));
    let mut before = lift(&a.minus(&b).halve());
    for constant in &PARTIAL {
        // x is below 3.5u, so 2x below 7u, -x^2 at most 2P, and what comes below 3.5u again.
        let next = x.plus(&x).product_plus(&x.negated_square(), &sum);
        (sum, before) = (Element::recur(&sum, &before, &next, constant), sum);
        x = next;
    }
    let a = sum.halve().plus(&before).plus(&EXIT).fold();
    let b = sum.minus(&a).fold();
    [a, b, x]
}

/// A value in 2u .. 3u, give or take 2^202, as the recurrence wants it.
#[inline(always)]
fn lift(value: &Element) -> Element {
    value.plus(&Element::MODULUS).fold().plus(&Element::MODULUS)
}

#[cfg(test)]
mod tests {
    use super::super::{Felt, parse_felt};
    use super::*;
    use proptest::prelude::*;
    use sha2::{Digest, Sha256};
    use starknet_crypto::poseidon_permute_comp;

    /// The published constants, by their rule.
    fn published() -> Vec<Felt> {
        let constant = |idx: usize| {
            let digest: [u8; 32] = Sha256::digest(format!("Hades{idx}")).into();
            Felt::from_bytes_be(&digest)
        };
        (0..273).map(constant).collect()
    }

    #[test]
    fn constants_follow_from_their_rule() {
        let published = published();
        let hex = "0x6861759ea556a2339dd92f9562a30b9e58e2ad98109ae4780b7fd8eac77fe6f";
        assert_eq!(Some(published[0]), parse_felt(hex));
        let of = |round: usize, lane: usize| published[3 * round + lane];
        let (two, four) = (Felt::TWO, Felt::from(4_u8));
        for (round, row) in OPENING.iter().enumerate() {
            assert_eq!(
                row.map(Element::to_felt),
                [0, 1, 2].map(|lane| of(round, lane))
            );
        }
        for (idx, row) in CLOSING[..3].iter().enumerate() {
            assert_eq!(
                row.map(Element::to_felt),
                [0, 1, 2].map(|lane| of(88 + idx, lane))
            );
        }
        assert_eq!(CLOSING[3].map(Element::to_felt), [Felt::ZERO; 3]);
        assert_eq!(ENTRY.to_felt(), of(5, 2));
        for (idx, merged) in PARTIAL.iter().enumerate() {
            let round = idx + 5;
            let mut expected = of(round, 0) + of(round, 1) - two * of(round, 2);
            if round < 87 {
                expected += of(round + 1, 2);
            }
            if round > 5 {
                expected += two * (of(round - 1, 0) - of(round - 1, 1)) - four * of(round - 1, 2);
            }
            assert_eq!(merged.to_felt(), expected, "round {round}");
            let lowest = merged.limbs()[0];
            assert!((64..u64::MAX - 2).contains(&lowest), "room for the guess");
        }
        let half = Felt::TWO.inverse().unwrap();
        let exit = of(87, 0) - of(87, 2) - (of(87, 0) + of(87, 1)) * half;
        assert_eq!(EXIT.to_felt(), exit);
    }

    #[test]
    fn the_published_permutation_of_zero() {
        let mut state = [Element::ZERO; 3];
        permute(&mut state);
        let expected = [
            "0x79e8d1e78258000a28fc9d49e233bc6852357968577b1e386550ed6a9086133",
            "0x3840d003d0f3f96dbb796ff6aa6a63be5b5404b91ccaabca256154cbb6fb984",
            "0x1eb39da3f7d3b04142d0ac83d9da00c9325a61fb2ef326e50b70eaa8a3c7cc7",
        ];
        assert_eq!(
            state.map(|lane| Some(lane.to_felt())),
            expected.map(parse_felt)
        );
    }

    fn check(lanes: [Felt; 3], multiples: [u64; 3]) {
        let mut expected = lanes;
        poseidon_permute_comp(&mut expected);
        let mut state = lanes.map(Element::from_felt);
        for (lane, count) in state.iter_mut().zip(multiples) {
            for _ in 0..count {
                *lane = lane.plus(&Element::MODULUS);
            }
        }
        permute(&mut state);
        assert_eq!(
            state.map(|lane| lane.to_felt()),
            expected,
            "{lanes:?} {multiples:?}"
        );
        assert!(
            state.iter().all(|lane| lane.limbs()[3] < 1 << 60),
            "below 2u"
        );
    }

    #[test]
    fn extreme_states() {
        let power = |exponent: u32| Felt::TWO.pow(exponent);
        let mut values = vec![Felt::ZERO, Felt::ONE, Felt::ZERO - Felt::ONE];
        for exponent in [64, 128, 191, 192, 193, 196, 250, 251] {
            let around = [-Felt::ONE, Felt::ZERO, Felt::ONE];
            values.extend(around.map(|step| power(exponent) + step));
        }
        for &a in &values {
            for &b in &values {
                check([a, b, a], [0, 3, 1]);
                check([b, a, a * b], [3, 0, 2]);
            }
        }
    }

    /// A long row of states, each made from the answer to the one before.
    #[test]
    fn a_walk_of_states() {
        let mut expected = [Felt::ONE, Felt::TWO, Felt::THREE];
        let mut state = expected.map(Element::from_felt);
        for step in 0..4_000 {
            poseidon_permute_comp(&mut expected);
            permute(&mut state);
            assert_eq!(state.map(|lane| lane.to_felt()), expected, "step {step}");
        }
    }

    proptest! {
        /// Any state, with up to three P on top of each lane.
        #[test]
        fn equals_the_crate(lanes in any::<[[u8; 32]; 3]>(), multiples in any::<[u8; 3]>()) {
            let lanes = lanes.map(|bytes| Felt::from_bytes_be(&bytes));
            check(lanes, multiples.map(|count| u64::from(count % 4)));
        }
    }
}
