//! A set of lanes as bits: which of them have something to do.
//!
//! Promises: finding the next member, or that there is none, costs two words looked at, whatever
//! the number of lanes.

use super::socket::LANES_MAX;

/// Words of 64 lanes.
const WORDS: usize = LANES_MAX.div_ceil(64);

const _: () = assert!(WORDS <= 8, "a byte says which words have members");

/// Lanes by number, each in it or not. Numbers beyond the most lanes of a stage are never in it.
#[derive(Clone, Copy, Default)]
pub(super) struct LaneSet {
    words: [u64; WORDS],
    /// Words with members, a bit each.
    filled: u8,
}

impl LaneSet {
    /// Puts a lane in.
    #[inline]
    pub(super) fn insert(&mut self, lane: usize) {
        if let Some(word) = self.words.get_mut(lane / 64) {
            *word |= 1 << (lane % 64);
            self.filled |= 1 << (lane / 64);
        }
    }

    /// Takes a lane out.
    #[inline]
    pub(super) fn remove(&mut self, lane: usize) {
        if let Some(word) = self.words.get_mut(lane / 64) {
            *word &= !(1 << (lane % 64));
            self.filled &= !(u8::from(*word == 0) << (lane / 64));
        }
    }

    /// The first member at or after `from`.
    #[inline]
    pub(super) fn next(&self, from: usize) -> Option<usize> {
        let first = from / 64;
        let rest = self.words.get(first)? & (u64::MAX << (from % 64));
        if rest != 0 {
            return Some(first * 64 + rest.trailing_zeros() as usize);
        }
        let later = u32::from(self.filled) & (u32::MAX << (first + 1));
        let word = later.trailing_zeros() as usize;
        let rest = self.words.get(word).filter(|_| later != 0)?;
        Some(word * 64 + rest.trailing_zeros() as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        /// A sorted set is the naive judge.
        #[test]
        fn behaves_as_a_set(
            steps in prop::collection::vec((any::<bool>(), 0..LANES_MAX + 9), 0..60),
            from in 0..LANES_MAX + 200,
        ) {
            let (mut set, mut judge) = (LaneSet::default(), BTreeSet::new());
            for (is_insert, lane) in steps {
                if is_insert {
                    set.insert(lane);
                    if lane < LANES_MAX {
                        judge.insert(lane);
                    }
                } else {
                    set.remove(lane);
                    judge.remove(&lane);
                }
            }
            prop_assert_eq!(set.next(from), judge.range(from..).next().copied());
        }
    }
}
