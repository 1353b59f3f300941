//! What our own paper fills have taken out of one book that does not know of them.
//!
//! The rule: what was taken at a level stays gone until the venue, after a whole message, shows
//! another size there. Then the level is believed again as shown: whoever moved it has seen the
//! true book. Promises: no fill takes more of a level than is shown less what was taken before; a
//! level that can't be remembered is not touched. Refuses: to guess what our fills would have
//! changed in others; a paper order moves nobody.

use crate::market::book::{Book, Level, Side};
use crate::market::units::{Price, Size};

/// Levels remembered, and so the most that one order takes. Larger: more of a deep sweep is filled.
/// Smaller: a long row of fills on a book that stands still ends sooner.
pub const HOLES_MAX: usize = 16;

/// One level of which something is gone.
#[derive(Clone, Copy)]
struct Hole {
    side: Side,
    price: Price,
    /// What the venue showed when it was taken.
    shown: Size,
    taken: Size,
}

/// The levels of one market that our fills have taken from.
#[derive(Clone, Copy)]
pub struct Holes {
    rows: [Hole; HOLES_MAX],
    len: usize,
}

/// What an order found: the part of each level that it took, best first.
#[derive(Clone, Copy)]
pub struct Found {
    rows: [Level; HOLES_MAX],
    len: usize,
}

impl Found {
    /// An order that met nobody.
    pub const NOTHING: Found = Found {
        rows: [Level {
            price: Price::ZERO,
            size: Size::ZERO,
        }; HOLES_MAX],
        len: 0,
    };

    /// Level by level.
    pub fn levels(&self) -> &[Level] {
        &self.rows[..self.len]
    }

    /// All of it.
    pub fn size(&self) -> Size {
        let levels = self.levels().iter();
        levels.fold(Size::ZERO, |sum, level| sum + level.size)
    }
}

impl Holes {
    /// A book of which nothing was taken.
    pub const NONE: Holes = Holes {
        rows: [Hole {
            side: Side::Bid,
            price: Price::ZERO,
            shown: Size::ZERO,
            taken: Size::ZERO,
        }; HOLES_MAX],
        len: 0,
    };

    /// A whole message has been applied to the book: levels that now show another size are whole
    /// again.
    #[inline]
    pub fn look(&mut self, book: &Book) {
        let mut at = 0;
        while at < self.len {
            let hole = self.rows[at];
            if shown(book, hole.side, hole.price).is_none_or(|size| size == hole.shown) {
                at += 1;
            } else {
                self.len -= 1;
                self.rows[at] = self.rows[self.len];
            }
        }
    }

    /// An order of this side meets the book, and takes what it finds up to its limit and size.
    pub fn take(&mut self, book: &Book, side: Side, limit: Price, size: Size) -> Found {
        let mut found = Found::NOTHING;
        let mut rest = size;
        for level in book.levels(side.other()) {
            let is_beyond = match side {
                Side::Bid => level.price > limit,
                Side::Ask => level.price < limit,
            };
            if rest.0 <= 0 || is_beyond || found.len == HOLES_MAX {
                break;
            }
            let Some(hole) = self.at(side.other(), level) else {
                break;
            };
            let part = Size((hole.shown - hole.taken).0.min(rest.0));
            if part.0 > 0 {
                hole.taken += part;
                rest -= part;
                found.rows[found.len] = Level {
                    price: level.price,
                    size: part,
                };
                found.len += 1;
            }
        }
        found
    }

    /// The hole of a level, a new one where nothing was taken yet; `None` when there is no room.
    fn at(&mut self, side: Side, level: Level) -> Option<&mut Hole> {
        let is_it = |hole: &Hole| hole.side == side && hole.price == level.price;
        let at = match self.rows[..self.len].iter().position(is_it) {
            Some(at) => at,
            None if self.len == HOLES_MAX => return None,
            None => {
                self.rows[self.len] = Hole {
                    side,
                    price: level.price,
                    shown: level.size,
                    taken: Size::ZERO,
                };
                self.len += 1;
                self.len - 1
            }
        };
        Some(&mut self.rows[at])
    }
}

/// What a book shows at a price, its fast top taken into account as [`Book::levels`] does; `None`
/// where it can't be known.
fn shown(book: &Book, side: Side, price: Price) -> Option<Size> {
    let Some(top) = book.top() else {
        return book.size_at(side, price);
    };
    let Some(best) = top[side.idx()] else {
        return Some(Size::ZERO);
    };
    let is_hidden = match side {
        Side::Bid => price > best.price,
        Side::Ask => price < best.price,
    };
    match (price == best.price, is_hidden) {
        (true, _) => Some(best.size),
        (false, true) => Some(Size::ZERO),
        (false, false) => book.size_at(side, price),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::market::book::{Delta, flags};
    use crate::market::units::Nanos;
    use crate::market::{InstrumentId, Venue};
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    const TICK: i64 = 10;

    fn told(side: Side, price: i64, size: i64, flags: u8) -> Delta {
        Delta {
            price: Price(price),
            size: Size(size),
            t_recv: Nanos(1),
            t_made: Nanos(1),
            t_push: Nanos(1),
            instrument: InstrumentId(0),
            venue: Venue::Lighter,
            side,
            flags,
        }
    }

    fn book(levels: &[(Side, i64, i64)]) -> Book {
        let mut book = Book::new(Price(TICK));
        for &(side, price, size) in levels {
            book.apply(side, Price(price), Size(size));
        }
        book
    }

    fn parts(found: &Found) -> Vec<(i64, i64)> {
        let levels = found.levels().iter();
        levels.map(|level| (level.price.0, level.size.0)).collect()
    }

    #[test]
    fn an_order_takes_best_first_up_to_its_limit_and_not_twice() {
        let mut book = book(&[
            (Side::Ask, 100, 3),
            (Side::Ask, 110, 4),
            (Side::Ask, 120, 9),
        ]);
        let mut holes = Holes::NONE;
        let mut buy = |book: &Book, limit, size| {
            let found = holes.take(book, Side::Bid, Price(limit), Size(size));
            holes.look(book);
            assert_eq!(
                found.size().0,
                parts(&found).iter().map(|part| part.1).sum::<i64>()
            );
            parts(&found)
        };
        assert_eq!(buy(&book, 110, 5), [(100, 3), (110, 2)]);
        assert_eq!(buy(&book, 110, 5), [(110, 2)], "the rest, and no more");
        assert_eq!(buy(&book, 110, 5), []);
        // Another size at one of them: that one is believed again as shown, the other is not.
        book.apply(Side::Ask, Price(100), Size(2));
        assert_eq!(buy(&book, 90, 5), [], "below the market");
        assert_eq!(buy(&book, 110, 5), [(100, 2)]);
        // Gone and back with the size it had is a change, seen in between.
        book.apply(Side::Ask, Price(110), Size::ZERO);
        assert_eq!(buy(&book, 110, 5), []);
        book.apply(Side::Ask, Price(110), Size(4));
        assert_eq!(buy(&book, 119, 5), [(110, 4)]);
        assert_eq!(buy(&book, 120, 50), [(120, 9)], "what there is, at most");
    }

    #[test]
    fn a_fast_top_is_the_book_while_it_is_ahead() {
        let mut book = book(&[(Side::Bid, 100, 5), (Side::Bid, 90, 5)]);
        let mut holes = Holes::NONE;
        let mut sell = |book: &Book| {
            holes.look(book);
            parts(&holes.take(book, Side::Ask, Price(90), Size(7)))
        };
        book.apply_delta(&told(Side::Bid, 90, 6, flags::TOP));
        assert_eq!(sell(&book), [(90, 6)], "100 is gone, and 90 is fresher");
        assert_eq!(sell(&book), []);
        book.apply_delta(&told(Side::Bid, 0, 0, flags::CAUGHT_UP | flags::EMPTY));
        assert_eq!(
            sell(&book),
            [(100, 5), (90, 2)],
            "the full book says otherwise"
        );
    }

    #[test]
    fn a_level_that_cant_be_remembered_is_not_touched() {
        let levels: Vec<_> = (1..=20).map(|n| (Side::Ask, n * TICK, 1)).collect();
        let book = book(&levels);
        let mut holes = Holes::NONE;
        let first = holes.take(&book, Side::Bid, Price(1_000), Size(100));
        assert_eq!(first.size(), Size(HOLES_MAX as i64));
        let again = holes.take(&book, Side::Bid, Price(1_000), Size(100));
        assert_eq!(again.size(), Size::ZERO);
    }

    /// Too simple to be wrong: a map of what is shown, and of what was taken since it was shown so.
    #[derive(Default)]
    struct Naive(BTreeMap<(bool, i64), (i64, i64)>);

    impl Naive {
        fn show(&mut self, side: Side, price: i64, size: i64) {
            let row = self.0.entry((side == Side::Bid, price)).or_default();
            if row.0 != size {
                *row = (size, 0);
            }
        }
    }

    #[derive(Clone, Debug)]
    enum Deed {
        Show(bool, i64, i64),
        Order(bool, i64, i64),
    }

    fn deed() -> impl Strategy<Value = Deed> {
        prop_oneof![
            (any::<bool>(), 1_i64..12, 0_i64..5).prop_map(|(b, p, s)| Deed::Show(b, p, s)),
            (any::<bool>(), 1_i64..24, 1_i64..9).prop_map(|(b, p, s)| Deed::Order(b, p, s)),
        ]
    }

    proptest! {
        /// Fills never take more of a level than the book shows less what we already took, never
        /// past the limit, never more than was asked, and leave nothing that they could have had.
        #[test]
        fn fills_are_what_is_shown_less_what_was_taken(
            deeds in prop::collection::vec(deed(), 1..200),
        ) {
            let (mut book, mut naive, mut holes) = (book(&[]), Naive::default(), Holes::NONE);
            for deed in deeds {
                let (is_bid, ticks, size) = match deed {
                    Deed::Show(is_bid, ticks, size) => {
                        // Bids stand at 1 to 11 ticks, asks at 13 to 23.
                        let side = if is_bid { Side::Bid } else { Side::Ask };
                        let price = (if is_bid { ticks } else { ticks + 12 }) * TICK;
                        book.apply(side, Price(price), Size(size));
                        naive.show(side, price, size);
                        holes.look(&book);
                        continue;
                    }
                    Deed::Order(is_bid, ticks, size) => (is_bid, ticks, size),
                };
                let side = if is_bid { Side::Bid } else { Side::Ask };
                let found = holes.take(&book, side, Price(ticks * TICK), Size(size));
                let mut rest = size;
                let mut expected = Vec::new();
                let mut rows: Vec<_> = naive.0.iter_mut().collect();
                // A seller meets the highest bid first, a buyer the lowest ask.
                if !is_bid {
                    rows.reverse();
                }
                for ((at_bid, price), (shown, taken)) in rows {
                    let is_within = match is_bid {
                        true => *price <= ticks * TICK,
                        false => *price >= ticks * TICK,
                    };
                    let part = rest.min(*shown - *taken);
                    if *at_bid != is_bid && is_within && part > 0 {
                        *taken += part;
                        rest -= part;
                        expected.push((*price, part));
                    }
                }
                // The memory may be full: then the fill is short, never long.
                let got = parts(&found);
                match holes.len < HOLES_MAX {
                    true => prop_assert_eq!(got, expected),
                    false => {
                        prop_assert!(expected.starts_with(&got), "{:?} {:?}", got, expected);
                        break;
                    }
                }
            }
        }
    }
}
