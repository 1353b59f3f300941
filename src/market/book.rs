//! One side, one level, one change, one book: the only `apply` in the house.
//!
//! A [`Book`] is two [`Ladder`]s (see `ladder.rs` for how levels lie in memory) and, over them, the
//! venue's fast top while that is ahead: what is better than it is not shown, what is worse is the
//! full book's. Its capacity is fixed when it is made; what does not fit is cut off at the far end,
//! counted, and can never become the top. The feed's book is the truth, the scanner's is its
//! mirror; both come here.

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
    /// When the venue made the message, on our clock (see `venue/clock.rs`): never after `t_recv`.
    /// [`Nanos::ZERO`] when that can't be told: then the message proves nothing about freshness.
    pub t_made: Nanos,
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

impl Delta {
    /// This record's market and time, as both sides of a fast top: bid, then ask. `LAST` is the
    /// caller's to say.
    #[inline]
    pub fn tops(self, best: [Option<Level>; 2]) -> [Delta; 2] {
        [Side::Bid, Side::Ask].map(|side| {
            let (price, size, none) = match best[side.idx()] {
                Some(level) => (level.price, level.size, 0),
                None => (Price::ZERO, Size::ZERO, flags::EMPTY),
            };
            Delta {
                price,
                size,
                side,
                flags: flags::TOP | none,
                ..self
            }
        })
    }
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
    /// One side of the fast top, not a level of the full book: until `CAUGHT_UP` this is the best
    /// of its side. With `EMPTY`: nobody stands there.
    pub const TOP: u8 = 32;
    /// The full book is at least as new as the fast top from here on: forget that one.
    pub const CAUGHT_UP: u8 = 64;
}

const _: () = assert!(std::mem::size_of::<Delta>() == 48);

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

/// Both ladders of one market at one venue, and the fast top while it is ahead of them.
pub struct Book {
    grid: Grid,
    ladders: [Ladder; 2],
    /// By side; `None` while the full book is the newest there is.
    top: Option<[Option<Level>; 2]>,
}

impl Book {
    /// An empty book on this tick. Takes about 200 KiB, once.
    pub fn new(tick: Price) -> Book {
        assert!(
            tick.0 > 0,
            "a market's tick is positive: it is checked when the market is read"
        );
        Book {
            grid: Grid::new(tick.0),
            ladders: [Ladder::new(), Ladder::new()],
            top: None,
        }
    }

    /// Sets a level to an absolute size; zero removes it.
    #[inline]
    pub fn apply(&mut self, side: Side, price: Price, size: Size) -> Applied {
        let Some(ticks) = self.grid.ticks(price).filter(|_| size.0 >= 0) else {
            return Applied::OffGrid;
        };
        let ladder = &mut self.ladders[side.idx()];
        if ladder.set(key(side, ticks), size.0) {
            Applied::Done
        } else {
            Applied::Cut
        }
    }

    /// Applies a record with all that its flags say. `EMPTY` and `STALE` records carry no level.
    #[inline]
    pub fn apply_delta(&mut self, delta: &Delta) -> Applied {
        const RARE: u8 = !(flags::LAST | flags::SNAPSHOT);
        if delta.flags & RARE != 0
            && let Some(applied) = self.heed(delta)
        {
            return applied;
        }
        self.apply(delta.side, delta.price, delta.size)
    }

    /// What the rare flags ask for. `None` when a level of the full book is left to be applied.
    fn heed(&mut self, delta: &Delta) -> Option<Applied> {
        let has = |flag: u8| delta.flags & flag != 0;
        if has(flags::CLEAR) {
            self.ladders[0].clear();
            self.ladders[1].clear();
        }
        if has(flags::STALE | flags::CAUGHT_UP) {
            self.top = None;
        }
        if !has(flags::TOP) {
            return has(flags::EMPTY | flags::STALE).then_some(Applied::Done);
        }
        let (price, size) = (delta.price, delta.size);
        let is_level = !has(flags::EMPTY);
        if is_level && (size.0 <= 0 || self.grid.ticks(price).is_none()) {
            return Some(Applied::OffGrid);
        }
        let top = self.top.get_or_insert_default();
        top[delta.side.idx()] = is_level.then_some(Level { price, size });
        Some(Applied::Done)
    }

    /// Asks memory for what changes near the touch will need, before they are read.
    #[inline]
    pub fn bring_near(&self) {
        self.ladders[0].bring_near();
        self.ladders[1].bring_near();
    }

    /// Empties everything.
    pub fn clear(&mut self) {
        self.ladders[0].clear();
        self.ladders[1].clear();
        self.top = None;
    }

    /// The best level of a side.
    #[inline]
    pub fn best(&self, side: Side) -> Option<Level> {
        let Some(top) = &self.top else {
            let (key_at, size) = self.ladders[side.idx()].levels().next()?;
            return Some(Level {
                price: Price(key(side, key_at) * self.grid.tick),
                size: Size(size),
            });
        };
        top[side.idx()]
    }

    /// A side's levels, best first: the fast top while it is ahead, then the full book beyond it.
    #[inline]
    pub fn levels(&self, side: Side) -> LevelsOf<'_> {
        let mut levels = self.full_levels(side);
        if let Some(top) = &self.top {
            levels.first = top[side.idx()];
            levels.inner = match levels.first {
                Some(best) => levels.inner.below(key(side, best.price.0 / self.grid.tick)),
                None => levels.inner.none(),
            };
        }
        levels
    }

    /// A side's levels of the full book alone, best first, whatever the fast top says.
    #[inline]
    pub fn full_levels(&self, side: Side) -> LevelsOf<'_> {
        LevelsOf {
            inner: self.ladders[side.idx()].levels(),
            first: None,
            side,
            tick: self.grid.tick,
        }
    }

    /// The fast top while it is ahead of the full book, by [`Side::idx`].
    pub fn top(&self) -> Option<[Option<Level>; 2]> {
        self.top
    }

    /// Size at a price of the full book; zero where nobody stands, `None` where it can't be known:
    /// off the grid, or cut off.
    #[inline]
    pub fn size_at(&self, side: Side, price: Price) -> Option<Size> {
        let ticks = self.grid.ticks(price)?;
        self.ladders[side.idx()].size_at(key(side, ticks)).map(Size)
    }

    /// Best bid at or above best ask in the full book: it can't be true.
    #[inline]
    pub fn is_crossed(&self) -> bool {
        let best = |side: Side| self.ladders[side.idx()].levels().next();
        match (best(Side::Bid), best(Side::Ask)) {
            (Some((bid, _)), Some((ask, _))) => bid >= -ask,
            _ => false,
        }
    }

    /// A side of the full book has levels that can't be shown, and none that can: only a new
    /// snapshot helps.
    pub fn is_used_up(&self) -> bool {
        let is_used_up =
            |ladder: &Ladder| ladder.cut_count() > 0 && ladder.levels().next().is_none();
        self.ladders.iter().any(is_used_up)
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

/// Prices to ticks, by multiplication: each level of a message asks twice or three times.
struct Grid {
    tick: i64,
    /// 2^64 / tick, rounded up.
    inverse: u64,
}

impl Grid {
    fn new(tick: i64) -> Grid {
        Grid {
            tick,
            // For a tick of 1 it does not fit, and is not asked for.
            inverse: (u64::MAX / tick.unsigned_abs()).wrapping_add(1),
        }
    }

    /// `None` for what is not a positive multiple of the tick. The inverse is too large by less
    /// than one part in 2^64 / tick: over a price below 2^63 that is less than half a tick in a
    /// tick, so the floor of an exact multiple is exact, and any other fails the test.
    #[inline]
    fn ticks(&self, price: Price) -> Option<i64> {
        let ticks = match self.tick {
            1 => price.0,
            _ => ((i128::from(price.0) * i128::from(self.inverse)) >> 64) as i64,
        };
        (price.0 > 0 && ticks.checked_mul(self.tick) == Some(price.0)).then_some(ticks)
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
    /// Comes before all others.
    first: Option<Level>,
    side: Side,
    tick: i64,
}

impl Iterator for LevelsOf<'_> {
    type Item = Level;

    #[inline]
    fn next(&mut self) -> Option<Level> {
        if self.first.is_some() {
            return self.first.take();
        }
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

    fn record(side: Side, level: Option<(i64, i64)>, flags: u8) -> Delta {
        let (price, size) = level.unwrap_or((0, 0));
        Delta {
            price: Price(price),
            size: Size(size),
            t_recv: Nanos(1),
            t_made: Nanos(1),
            t_push: Nanos(1),
            instrument: InstrumentId(0),
            venue: Venue::Lighter,
            side,
            flags: flags | if level.is_none() { flags::EMPTY } else { 0 },
        }
    }

    /// What is shown while a fast top is ahead: it, and the full book strictly beyond it.
    fn shown(naive: &NaiveBook, side: Side, top: Option<(i64, i64)>) -> Vec<(i64, i64)> {
        let is_beyond = |price: i64, best: i64| match side {
            Side::Bid => price < best,
            Side::Ask => price > best,
        };
        let Some(best) = top else { return Vec::new() };
        let rest = naive.levels(side).into_iter();
        let beyond = rest.filter(|level| is_beyond(level.0, best.0));
        std::iter::once(best).chain(beyond).collect()
    }

    proptest! {
        #[test]
        fn ticks_are_as_by_division(tick in 1_i64..i64::MAX, price: i64, shift in 0_u32..63) {
            for tick in [tick >> shift, 1, 2, 100_000_000].map(|tick| tick.max(1)) {
                let grid = Grid::new(tick);
                let multiple = price / tick * tick;
                let (above, below) = (multiple.saturating_add(1), multiple.saturating_sub(1));
                for price in [price, multiple, above, below, tick] {
                    let is_on_grid = price > 0 && price % tick == 0;
                    let judge = is_on_grid.then(|| price / tick);
                    prop_assert_eq!(grid.ticks(Price(price)), judge);
                }
            }
        }

        /// Tops come and go over a book that changes beneath them; nothing of the book is lost.
        #[test]
        fn the_fast_top_lies_over_the_full_book(
            steps in prop::collection::vec((changes(), 8_900_i64..9_500, 0_i64..4), 1..8),
        ) {
            let (mut book, mut naive) = (Book::new(Price(1)), NaiveBook::default());
            for (list, price, size) in steps {
                for side in [Side::Bid, Side::Ask] {
                    let top = (size > 0).then_some((price, size));
                    book.apply_delta(&record(side, top, flags::TOP));
                }
                for (bid, ticks, size) in list {
                    let side = if bid { Side::Bid } else { Side::Ask };
                    book.apply_delta(&record(side, Some((ticks, size)), 0));
                    naive.apply(side, ticks, size);
                }
                let top = (size > 0).then_some((price, size));
                for side in [Side::Bid, Side::Ask] {
                    let fast: Vec<_> =
                        book.levels(side).map(|l| (l.price.0, l.size.0)).collect();
                    prop_assert_eq!(fast, shown(&naive, side, top));
                    let full: Vec<_> =
                        book.full_levels(side).map(|l| (l.price.0, l.size.0)).collect();
                    prop_assert_eq!(&full, &naive.levels(side));
                    for (at, size) in full {
                        prop_assert_eq!(book.size_at(side, Price(at)), Some(Size(size)));
                        let next = naive.sides[side.idx()].get(&(at + 1)).copied();
                        let next = Size(next.unwrap_or(0));
                        prop_assert_eq!(book.size_at(side, Price(at + 1)), Some(next));
                    }
                }
                book.apply_delta(&record(Side::Bid, None, flags::CAUGHT_UP));
                agree(&book, &naive);
            }
        }
    }

    #[test]
    fn a_top_off_the_grid_is_refused() {
        let mut book = Book::new(Price(10));
        for (price, size) in [(105, 1), (-10, 1), (100, 0)] {
            let top = record(Side::Bid, Some((price, size)), flags::TOP);
            assert_eq!(book.apply_delta(&top), Applied::OffGrid);
            assert_eq!(book.top(), None);
        }
        assert_eq!(book.size_at(Side::Bid, Price(105)), None);
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
        assert_eq!(book.size_at(Side::Bid, Price(1)), None, "nobody knows");
        assert!(book.is_used_up(), "a new snapshot is asked for");
    }
}
