//! One side, one level, one change, one book: the only `apply` in the house.
//!
//! A [`Book`] is two [`Ladder`]s (see `ladder.rs` for how levels lie in memory). Its capacity is
//! fixed when it is made; what does not fit is cut off at the far end, counted, and can never
//! become the top. The feed's book is the truth, the scanner's is its mirror; both come here.

use crate::market::ladder::{Ladder, Levels};

use crate::market::units::{Nanos, Price, Size};
use crate::market::{InstrumentId, Venue};

/// A side of the book, and the direction of an order: `Bid` buys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Side {
    /// Buyers; best is highest.
    Bid = 0,
    /// Sellers; best is lowest.
    Ask = 1,
}

impl Side {
    /// Index into per-side arrays.
    pub const fn idx(self) -> usize {
        self as usize
    }

    /// The other side.
    pub const fn other(self) -> Side {
        match self {
            Side::Bid => Side::Ask,
            Side::Ask => Side::Bid,
        }
    }
}

/// One price and the size that stands there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Level {
    /// Price.
    pub price: Price,
    /// Size, positive.
    pub size: Size,
}

/// One level's new absolute size (zero: gone), on its way from a feed to the scanner.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Delta {
    /// Price of the level.
    pub price: Price,
    /// New absolute size; zero removes.
    pub size: Size,
    /// When the bytes were read.
    pub t_recv: Nanos,
    /// When the feed pushed it; set on `LAST` only.
    pub t_push: Nanos,
    /// Which instrument.
    pub instrument: InstrumentId,
    /// Which venue.
    pub venue: Venue,
    /// Which side.
    pub side: Side,
    /// See [`flags`].
    pub flags: u8,
}

/// Bits of [`Delta::flags`].
pub mod flags {
    /// Last record of a venue message: now a consumer may look.
    pub const LAST: u8 = 1;
    /// Empty the book before this record.
    pub const CLEAR: u8 = 2;
    /// Part of a whole book.
    pub const SNAPSHOT: u8 = 4;
    /// The book is not to be trusted until the next `CLEAR`. Price and size mean nothing.
    pub const STALE: u8 = 8;
    /// No level in this record (an empty snapshot, or a mark such as `STALE`).
    pub const EMPTY: u8 = 16;
}

const _: () = assert!(std::mem::size_of::<Delta>() == 40);

/// What `apply` made of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applied {
    /// The level now holds the new size (or is gone).
    Done,
    /// The price is not a positive multiple of the tick, or the size is negative. Nothing changed.
    OffGrid,
    /// Beyond capacity at the far end: not kept, counted.
    Cut,
}

/// Both ladders of one market at one venue.
pub struct Book {
    tick: i64,
    ladders: [Ladder; 2],
}

impl Book {
    /// An empty book on this tick. Takes about 200 KiB, once.
    pub fn new(tick: Price) -> Book {
        assert!(
            tick.0 > 0,
            "a market's tick is positive: it is checked when the market is read"
        );
        Book {
            tick: tick.0,
            ladders: [Ladder::new(), Ladder::new()],
        }
    }

    /// Sets a level to an absolute size; zero removes it.
    #[inline]
    pub fn apply(&mut self, side: Side, price: Price, size: Size) -> Applied {
        let ticks = price.0 / self.tick;
        if price.0 <= 0 || size.0 < 0 || ticks * self.tick != price.0 {
            return Applied::OffGrid;
        }
        let ladder = &mut self.ladders[side.idx()];
        if ladder.set(key(side, ticks), size.0) {
            Applied::Done
        } else {
            Applied::Cut
        }
    }

    /// Applies a delta's level, after emptying the book where it says `CLEAR`. `EMPTY` and `STALE`
    /// records carry no level.
    #[inline]
    pub fn apply_delta(&mut self, delta: &Delta) -> Applied {
        if delta.flags & flags::CLEAR != 0 {
            self.clear();
        }
        if delta.flags & (flags::EMPTY | flags::STALE) != 0 {
            return Applied::Done;
        }
        self.apply(delta.side, delta.price, delta.size)
    }

    /// Empties both sides.
    pub fn clear(&mut self) {
        self.ladders[0].clear();
        self.ladders[1].clear();
    }

    /// The best level of a side.
    #[inline]
    pub fn best(&self, side: Side) -> Option<Level> {
        self.levels(side).next()
    }

    /// A side's levels, best first.
    #[inline]
    pub fn levels(&self, side: Side) -> LevelsOf<'_> {
        LevelsOf {
            inner: self.ladders[side.idx()].levels(),
            side,
            tick: self.tick,
        }
    }

    /// Best bid at or above best ask: the book can't be true.
    #[inline]
    pub fn is_crossed(&self) -> bool {
        match (self.best(Side::Bid), self.best(Side::Ask)) {
            (Some(bid), Some(ask)) => bid.price >= ask.price,
            _ => false,
        }
    }

    /// Half-way between the bests, rounded down; `None` when a side is empty.
    #[inline]
    pub fn mid(&self) -> Option<Price> {
        let (bid, ask) = (self.best(Side::Bid)?, self.best(Side::Ask)?);
        Some(Price(bid.price.0 + (ask.price.0 - bid.price.0) / 2))
    }

    /// Levels cut off for want of room since the last `clear`, both sides.
    pub fn cut_count(&self) -> u64 {
        self.ladders[0].cut_count() + self.ladders[1].cut_count()
    }
}

/// Ladders order their keys best = highest, so asks are mirrored.
#[inline]
fn key(side: Side, ticks: i64) -> i64 {
    match side {
        Side::Bid => ticks,
        Side::Ask => -ticks,
    }
}

/// Iterator over a side, best first.
pub struct LevelsOf<'a> {
    inner: Levels<'a>,
    side: Side,
    tick: i64,
}

impl Iterator for LevelsOf<'_> {
    type Item = Level;

    #[inline]
    fn next(&mut self) -> Option<Level> {
        let (key_at, size) = self.inner.next()?;
        Some(Level {
            price: Price(key(self.side, key_at) * self.tick),
            size: Size(size),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    /// Too simple to be wrong: the judge of the fast book.
    #[derive(Default)]
    struct NaiveBook {
        sides: [BTreeMap<i64, i64>; 2],
    }

    impl NaiveBook {
        fn apply(&mut self, side: Side, price: i64, size: i64) {
            if size == 0 {
                self.sides[side.idx()].remove(&price);
            } else {
                self.sides[side.idx()].insert(price, size);
            }
        }

        fn levels(&self, side: Side) -> Vec<(i64, i64)> {
            let rows = self.sides[side.idx()]
                .iter()
                .map(|(price, size)| (*price, *size));
            match side {
                Side::Bid => rows.rev().collect(),
                Side::Ask => rows.collect(),
            }
        }
    }

    fn agree(book: &Book, naive: &NaiveBook) {
        for side in [Side::Bid, Side::Ask] {
            let fast: Vec<_> = book.levels(side).map(|l| (l.price.0, l.size.0)).collect();
            assert_eq!(fast, naive.levels(side));
        }
    }

    /// Prices walk, jump near and far, and die out, so that the window has to move both ways.
    fn changes() -> impl Strategy<Value = Vec<(bool, i64, i64)>> {
        let near = (
            any::<bool>(),
            9_000_i64..9_400,
            prop_oneof![Just(0_i64), 1..50_i64],
        );
        let wide = (
            any::<bool>(),
            1_i64..40_000,
            prop_oneof![Just(0_i64), 1..50_i64],
        );
        prop::collection::vec(prop_oneof![3 => near, 1 => wide], 1..600)
    }

    proptest! {
        #[test]
        fn equals_a_sorted_map(list in changes()) {
            let (mut book, mut naive) = (Book::new(Price(100)), NaiveBook::default());
            for (bid, ticks, size) in list {
                let side = if bid { Side::Bid } else { Side::Ask };
                prop_assert_eq!(book.apply(side, Price(ticks * 100), Size(size)), Applied::Done);
                naive.apply(side, ticks * 100, size);
                let fast = book.best(side).map(|l| (l.price.0, l.size.0));
                prop_assert_eq!(fast, naive.levels(side).first().copied());
            }
            agree(&book, &naive);
        }

        #[test]
        fn a_drifting_touch_is_followed(steps in prop::collection::vec(-900_i64..900, 1..80)) {
            let (mut book, mut naive) = (Book::new(Price(1)), NaiveBook::default());
            let mut touch = 100_000_i64;
            for step in steps {
                for near in 0..12 {
                    let price = touch - near * 3;
                    book.apply(Side::Bid, Price(price), Size(near + 1));
                    naive.apply(Side::Bid, price, near + 1);
                }
                touch += step;
                let gone: Vec<_> = naive.sides[0].range(touch..).map(|(p, _)| *p).collect();
                for price in gone {
                    book.apply(Side::Bid, Price(price), Size::ZERO);
                    naive.apply(Side::Bid, price, 0);
                }
                agree(&book, &naive);
            }
        }
    }

    #[test]
    fn off_grid_and_crossed_are_seen() {
        let mut book = Book::new(Price(10));
        assert_eq!(book.apply(Side::Bid, Price(105), Size(1)), Applied::OffGrid);
        assert_eq!(book.apply(Side::Bid, Price(-10), Size(1)), Applied::OffGrid);
        assert_eq!(
            book.apply(Side::Bid, Price(100), Size(-1)),
            Applied::OffGrid
        );
        assert_eq!(book.mid(), None);
        book.apply(Side::Bid, Price(100), Size(1));
        book.apply(Side::Ask, Price(120), Size(1));
        assert!(!book.is_crossed());
        assert_eq!(book.mid(), Some(Price(110)));
        book.apply(Side::Ask, Price(100), Size(1));
        assert!(book.is_crossed());
        book.clear();
        assert_eq!(book.best(Side::Ask), None);
    }

    #[test]
    fn what_was_cut_never_becomes_the_top() {
        let mut book = Book::new(Price(1));
        // Far more bids than any capacity, best at the end.
        for price in 1..=20_000_i64 {
            book.apply(Side::Bid, Price(price), Size(1));
        }
        assert!(book.cut_count() > 0);
        for price in (2..=20_000_i64).rev() {
            book.apply(Side::Bid, Price(price), Size::ZERO);
            if let Some(best) = book.best(Side::Bid) {
                assert_eq!(best.price.0, price - 1, "the top shown is the true top");
            }
        }
        assert_eq!(
            book.best(Side::Bid),
            None,
            "the level at 1 was cut and stays unseen"
        );
    }
}
