//! Whether a book message names a level twice.
//!
//! Promises: an exact answer in one pass where prices come in order, as both venues write them, and
//! in one sort per side where they do not. Refuses to say which of the two sizes is meant: the
//! message is not to be believed.

use crate::market::book::Delta;

/// Memory for the sort.
pub struct Repeats {
    prices: Vec<i64>,
}

/// Levels of one side kept ready for; a longer side costs one allocation.
const LEVELS_HINT: usize = 8_192;

impl Repeats {
    /// Takes its memory.
    pub fn new() -> Repeats {
        Repeats {
            prices: Vec::with_capacity(LEVELS_HINT),
        }
    }

    /// Whether two changes with the same `group` (side, and what else keeps changes apart) have the
    /// same price. A group's changes stand together.
    pub fn are_in<G: PartialEq>(
        &mut self,
        deltas: &[Delta],
        group: impl Fn(&Delta) -> G + Copy,
    ) -> bool {
        let is_same = |a: &Delta, b: &Delta| group(a) == group(b);
        deltas.chunk_by(is_same).any(|side| self.are_within(side))
    }

    fn are_within(&mut self, side: &[Delta]) -> bool {
        let rises = side.is_sorted_by(|a, b| a.price < b.price);
        if rises || side.is_sorted_by(|a, b| a.price > b.price) {
            return false;
        }
        self.prices.clear();
        self.prices.extend(side.iter().map(|delta| delta.price.0));
        self.prices.sort_unstable();
        self.prices.windows(2).any(|pair| pair[0] == pair[1])
    }
}

impl Default for Repeats {
    fn default() -> Repeats {
        Repeats::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::market::book::Side;
    use crate::market::units::{Nanos, Price, Size};
    use crate::market::{InstrumentId, Venue};
    use proptest::prelude::*;

    fn delta((is_ask, price): (bool, i64)) -> Delta {
        Delta {
            price: Price(price),
            size: Size(1),
            t_recv: Nanos::ZERO,
            t_made: Nanos::ZERO,
            t_push: Nanos::ZERO,
            instrument: InstrumentId(0),
            venue: Venue::Lighter,
            side: if is_ask { Side::Ask } else { Side::Bid },
            flags: 0,
        }
    }

    fn are_in(levels: &[(bool, i64)]) -> bool {
        let deltas: Vec<Delta> = levels.iter().copied().map(delta).collect();
        Repeats::new().are_in(&deltas, |delta| delta.side)
    }

    #[test]
    fn both_sides_may_have_a_price_one_side_only_once() {
        assert!(!are_in(&[]));
        assert!(!are_in(&[(true, 5), (false, 5)]));
        assert!(!are_in(&[(true, 5), (true, 6), (false, 6), (false, 5)]));
        assert!(!are_in(&[(true, 6), (true, 4), (true, 5)]));
        assert!(are_in(&[(true, 5), (true, 5)]));
        assert!(are_in(&[(true, 5), (true, 6), (true, 5)]));
        assert!(are_in(&[(true, 5), (false, 9), (false, 1), (false, 9)]));
    }

    proptest! {
        #[test]
        fn equals_a_comparison_of_all_pairs(
            asks in prop::collection::vec(1..30_i64, 0..8),
            bids in prop::collection::vec(1..30_i64, 0..8),
        ) {
            let twice = |side: &[i64]| {
                (0..side.len()).any(|at| side[..at].contains(&side[at]))
            };
            let levels: Vec<_> = asks.iter().map(|price| (true, *price))
                .chain(bids.iter().map(|price| (false, *price)))
                .collect();
            prop_assert_eq!(are_in(&levels), twice(&asks) || twice(&bids));
        }
    }
}
