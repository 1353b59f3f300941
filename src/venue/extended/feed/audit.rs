//! The venue's two words about one level, compared: its changes and snapshots against our book.
//!
//! Promises: what differs is seen, level by level; what can't be known (a level cut off for want of
//! room, a price off the grid) is not held against anybody. Refuses: to say who is right.
//!
//! Source: C1; on captured frames old size + `q` = `c` for every level.

use crate::market::book::{Book, Delta, Level, Side};
use crate::venue::extended::wire::WireLevel;

/// Whether a change leads from the size we hold to the size it tells.
#[inline]
pub(super) fn fits(book: &Book, side: Side, level: &WireLevel) -> bool {
    match book.size_at(side, level.price) {
        Some(before) => before.0.checked_add(level.change.0) == Some(level.size.0),
        None => true,
    }
}

/// Whether a whole book as told is the one we hold. Bids stand before asks.
pub(super) fn agrees(book: &Book, told: &[Delta]) -> bool {
    let bids_len = told.partition_point(|delta| delta.side == Side::Bid);
    let (bids, asks) = told.split_at(bids_len);
    side_agrees(book, Side::Bid, bids) && side_agrees(book, Side::Ask, asks)
}

/// Both come best first, so one walk will do. What we cut off is the far end: there the venue knows
/// more than we.
fn side_agrees(book: &Book, side: Side, told: &[Delta]) -> bool {
    let is_best_first = match side {
        Side::Bid => told.is_sorted_by(|a, b| a.price > b.price),
        Side::Ask => told.is_sorted_by(|a, b| a.price < b.price),
    };
    let is_whole = book.cut_count() == 0;
    if !is_best_first {
        let is_ours = |delta: &Delta| {
            let size = book.size_at(side, delta.price);
            size.is_none_or(|size| size == delta.size)
        };
        let is_long = told.len() == book.full_levels(side).count();
        return (is_long || !is_whole) && told.iter().all(is_ours);
    }
    let mut rest = told.iter().map(|delta| Level {
        price: delta.price,
        size: delta.size,
    });
    let are_equal = book
        .full_levels(side)
        .all(|level| rest.next() == Some(level));
    are_equal && (!is_whole || rest.next().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::market::units::{Nanos, Price, Size};
    use crate::market::{InstrumentId, Venue};
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn told(side: Side, price: i64, size: i64) -> Delta {
        Delta {
            price: Price(price),
            size: Size(size),
            t_recv: Nanos::ZERO,
            t_made: Nanos::ZERO,
            t_push: Nanos::ZERO,
            instrument: InstrumentId(0),
            venue: Venue::Extended,
            side,
            flags: 0,
        }
    }

    fn book_of(levels: &[Delta]) -> Book {
        let mut book = Book::new(Price(1));
        for delta in levels {
            book.apply_delta(delta);
        }
        book
    }

    /// Row 3: `q` is the change and `c` the size; read the other way round nothing fits.
    #[test]
    fn row_3_a_change_fits_the_size_before() {
        let book = book_of(&[told(Side::Bid, 100, 7)]);
        for (price, change, size, is_fit) in [
            (100, -2, 5, true),
            (100, 5, -2, false),
            (100, -7, 0, true),
            (100, 5, 5, false),
            (99, 5, 5, true),
            (99, 4, 5, false),
            // Off the grid nothing is known; the stage will say so.
            (-1, 4, 5, true),
            (100, i64::MAX, 5, false),
        ] {
            let level = WireLevel {
                price: Price(price),
                size: Size(size),
                change: Size(change),
            };
            assert_eq!(fits(&book, Side::Bid, &level), is_fit, "{price} {change}");
        }
    }

    #[test]
    fn what_was_cut_off_is_not_held_against_the_venue() {
        let levels: Vec<Delta> = (1..=20_000)
            .map(|price| told(Side::Ask, price, price))
            .collect();
        let book = book_of(&levels);
        assert!(book.cut_count() > 0);
        assert!(agrees(&book, &levels));
        let mut bent = levels.clone();
        bent[0].size = Size(5);
        assert!(!agrees(&book, &bent));
        assert!(!agrees(&book, &levels[..4_000]), "levels we hold are gone");
        let mut turned = levels;
        turned.reverse();
        assert!(agrees(&book, &turned));
    }

    proptest! {
        /// Equal books agree, in whatever order they are told; books that differ do not.
        #[test]
        fn equals_a_comparison_of_maps(
            ours in prop::collection::btree_map((any::<bool>(), 1..12_i64), 1..4_i64, 0..12),
            theirs in prop::collection::btree_map((any::<bool>(), 1..12_i64), 1..4_i64, 0..12),
            is_same in any::<bool>(),
            is_best_first in any::<bool>(),
        ) {
            type Levels = BTreeMap<(bool, i64), i64>;
            let rows = |levels: &Levels, is_ask: bool| -> Vec<Delta> {
                let side = if is_ask { Side::Ask } else { Side::Bid };
                let own = levels.iter().filter(|((own, _), _)| *own == is_ask);
                own.map(|((_, price), size)| told(side, *price, *size)).collect()
            };
            let theirs = if is_same { &ours } else { &theirs };
            let (mut bids, asks) = (rows(theirs, false), rows(theirs, true));
            if is_best_first {
                bids.reverse();
            }
            let book = book_of(&[rows(&ours, false), rows(&ours, true)].concat());
            prop_assert_eq!(agrees(&book, &[bids, asks].concat()), *theirs == ours);
        }
    }
}
