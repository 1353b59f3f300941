//! Which market a message is about: from the name's bytes to the row of our table.
//!
//! Promises: one multiplication, and as a rule one comparison of three words; no memory after the
//! start. A name nobody follows is found to be such at the same cost.
//! Refuses: names that could not be a market's (empty, longer than 23 bytes).

use crate::market::{INSTRUMENTS_MAX, Market};

/// Slots of the table: at most half are taken, so that a search ends soon. A power of two.
const SLOTS: usize = 2 * INSTRUMENTS_MAX;
/// The golden ratio at 2^64: spreads the words' differences into the top bits.
const SPREAD: u64 = 0x9E37_79B9_7F4A_7C15;

const _: () = assert!(SLOTS.is_power_of_two());

/// A name with zeros behind it, and its length in the last byte: no two names have one key, and
/// none has the key of nothing.
type Key = [u64; 3];
const NOBODY: Key = [0; 3];

/// Names in open addressing: whoever finds the slot taken goes to the next.
pub(super) struct Names {
    slots: Box<[(Key, u16)]>,
}

impl Names {
    /// A table of these markets, by their place in the list.
    pub fn new(markets: &[Market]) -> Names {
        assert!(
            markets.len() <= INSTRUMENTS_MAX,
            "topology bounds the table"
        );
        let mut slots = vec![(NOBODY, 0); SLOTS].into_boxed_slice();
        for (row, market) in markets.iter().enumerate() {
            let key = key(market.name.as_str().as_bytes()).expect("a `Name` has 1 to 23 bytes");
            let is_free = |at: &usize| [NOBODY, key].contains(&slots[*at].0);
            let at = probes(key).find(is_free).expect("half the slots are free");
            slots[at] = (key, row as u16);
        }
        Names { slots }
    }

    /// The market's row, if we follow it.
    #[inline]
    pub fn find(&self, name: &[u8]) -> Option<usize> {
        let key = key(name)?;
        for at in probes(key) {
            let (own, row) = self.slots[at];
            if own == key {
                return Some(row.into());
            }
            if own == NOBODY {
                break;
            }
        }
        None
    }
}

#[inline]
fn key(name: &[u8]) -> Option<Key> {
    if name.is_empty() || name.len() >= 24 {
        return None;
    }
    let (words, rest) = name.as_chunks::<8>();
    let mut key = NOBODY;
    for (own, word) in key.iter_mut().zip(words) {
        *own = u64::from_le_bytes(*word);
    }
    let last = rest.iter().rev();
    key[words.len()] = last.fold(0, |word, byte| word << 8 | u64::from(*byte));
    key[2] |= (name.len() as u64) << 56;
    Some(key)
}

/// Where a key may stand, likeliest first; every slot once.
#[inline]
fn probes(key: Key) -> impl Iterator<Item = usize> {
    let mixed = key[0] ^ key[1].rotate_left(21) ^ key[2].rotate_left(43);
    let first = mixed.wrapping_mul(SPREAD) >> (64 - SLOTS.trailing_zeros());
    (0..SLOTS).map(move |step| (first as usize + step) & (SLOTS - 1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::venue::extended::feed::tests::market;
    use proptest::prelude::*;

    #[test]
    fn a_full_table_finds_each_and_nobody_else() {
        let name = |idx: usize| format!("M{idx}-USD");
        let markets: Vec<_> = (0..INSTRUMENTS_MAX)
            .map(|idx| market(&name(idx), idx as u16))
            .collect();
        let names = Names::new(&markets);
        for idx in 0..INSTRUMENTS_MAX {
            assert_eq!(names.find(name(idx).as_bytes()), Some(idx));
            assert_eq!(names.find(name(idx + INSTRUMENTS_MAX).as_bytes()), None);
        }
        for odd in ["", "M0-USD\0", "M0-US", "M0-USD-and-far-too-long-a-name"] {
            assert_eq!(names.find(odd.as_bytes()), None, "{odd:?}");
        }
        assert_eq!(Names::new(&[]).find(b"BTC-USD"), None);
    }

    proptest! {
        #[test]
        fn equals_a_walk_over_the_list(
            list in prop::collection::vec("[A-C]{1,3}|[A-Z0-9_]{1,23}", 0..40),
            asked in prop::collection::vec(any::<u8>(), 0..30),
        ) {
            let mut list = list;
            list.sort();
            list.dedup();
            let markets: Vec<_> = list.iter().map(|name| market(name, 0)).collect();
            let names = Names::new(&markets);
            for (row, name) in list.iter().enumerate() {
                prop_assert_eq!(names.find(name.as_bytes()), Some(row));
            }
            let row = list.iter().position(|name| name.as_bytes() == asked);
            prop_assert_eq!(names.find(&asked), row);
        }
    }
}
