//! Is there an edge, and how much of it: exact integer arithmetic over two ladders.
//!
//! The idea: prices of both venues are made comparable by a factor each (the fair basis stands in
//! them, see [`Yardstick`]), then the asks of one book and the bids of the other are walked
//! together from the best outwards. Each step trades the smaller of the two remainders and goes on
//! only while that *marginal* piece still pays the asked threshold. Since every piece pays it, so
//! does their sum.
//!
//! The trick: thresholds are multiplied up once, so a step of the walk is two multiplications and
//! one comparison; nothing is divided until an edge is there. Left out: a search over sizes (the
//! walk is monotone, the first failing piece ends it) and any weighting of deep levels beyond the
//! haircut.
//!
//! Refuses: to know fees, limits or slots; they come in as terms.

use crate::market::book::{Book, Level, Side};
use crate::market::quotient::quotient;
use crate::market::units::{Bps, Notional, Price, Size};
use crate::market::{VENUE_COUNT, Venue};

/// One whole (10,000 bps) in units of 2^-16 bps, the scale every factor here has.
const WHOLE: i64 = 10_000 << 16;

/// Levels that are counted within a limit. Larger: a wide limit takes longer to look through.
const LEVELS_MAX: usize = 128;

/// Makes prices of both venues comparable: value = price x factor of its venue. Built from a fair
/// basis (Lighter mid over Extended mid), so that equal values mean "at fair".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Yardstick {
    factors: [i64; VENUE_COUNT],
}

impl Yardstick {
    /// For a fair basis; sane for anything within plus or minus 5,000 bps.
    pub fn new(fair: Bps) -> Yardstick {
        let mut factors = [WHOLE; VENUE_COUNT];
        factors[Venue::Extended.idx()] = WHOLE + fair.bits();
        Yardstick { factors }
    }

    #[inline]
    fn value(&self, venue: Venue, price: Price) -> i128 {
        i128::from(price.0) * i128::from(self.factors[venue.idx()])
    }

    /// What selling at `bid` on the other venue brings over buying at `ask` on `long`, in bps over
    /// the fair. Divides once: not for the inner loop.
    pub fn gross(&self, long: Venue, ask: Price, bid: Price) -> Bps {
        let paid = self.value(long, ask);
        let got = self.value(long.other(), bid);
        ratio(got - paid, paid)
    }

    /// As [`Yardstick::gross`], on what whole walks paid and got. Taken at 10^-9 of quote.
    pub fn gross_of(&self, long: Venue, paid: Notional, got: Notional) -> Bps {
        self.gross(long, Price(paid.to_nano()), Price(got.to_nano()))
    }

    /// Whether `bid` stands at least `edge` over `ask`. No division.
    #[inline]
    pub fn pays(&self, long: Venue, ask: Price, bid: Price, edge: Bps) -> bool {
        let paid = i128::from(ask.0) * self.raised(long, edge);
        let got = i128::from(bid.0) * self.raised(long.other(), Bps::ZERO);
        got >= paid
    }

    /// A venue's factor with an edge multiplied in: at most 62 bits, so the product with any price
    /// stays inside an `i128`.
    #[inline]
    fn raised(&self, venue: Venue, edge: Bps) -> i128 {
        i128::from(self.factors[venue.idx()]) * i128::from(WHOLE + edge.bits())
    }
}

/// `part / whole` in bps, clamped; zero when there is no whole. The only division in this room's
/// comparisons, and never in a walk.
pub(super) fn ratio(part: i128, whole: i128) -> Bps {
    let bits = quotient(part * i128::from(WHOLE), whole).unwrap_or(0);
    Bps::from_bits(bits.clamp(i64::MIN.into(), i64::MAX.into()) as i64)
}

/// Basis of two mids (Lighter over Extended) in bps; `None` when a price is not positive.
pub fn basis(mids: [Price; VENUE_COUNT]) -> Option<Bps> {
    let [extended, lighter] = mids;
    let sane = extended.0 > 0 && lighter.0 > 0;
    sane.then(|| ratio(i128::from(lighter.0 - extended.0), i128::from(extended.0)))
}

/// Half of a book's spread, in bps of its mid.
pub fn half_spread(bid: Price, ask: Price) -> Bps {
    ratio(
        i128::from(ask.0 - bid.0),
        i128::from(ask.0) + i128::from(bid.0),
    )
}

/// How much of a visible level counts, as a fraction of 2^16, so that no walk divides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Haircut(i64);

impl Haircut {
    /// All of what is visible.
    pub const NONE: Haircut = Haircut(1 << 16);

    /// Cuts off so much, in 10^-4 (7,500 leaves a quarter). What is kept is rounded down; a cut of
    /// more than all leaves nothing.
    pub fn cut_e4(cut_e4: u32) -> Haircut {
        let kept_e4 = 10_000_u32.saturating_sub(cut_e4);
        Haircut((i64::from(kept_e4) << 16) / 10_000)
    }

    /// What counts of a visible size, rounded down.
    #[inline]
    pub fn of(self, size: Size) -> Size {
        Size(((i128::from(size.0) * i128::from(self.0)) >> 16) as i64)
    }
}

/// What a walk must obey.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    /// The fair, as factors.
    pub yardstick: Yardstick,
    /// Where we buy.
    pub long: Venue,
    /// Gross edge over the fair that the last piece must still have.
    pub edge_min: Bps,
    /// How much of a visible level counts.
    pub haircut: Haircut,
    /// Largest size wanted.
    pub cap: Size,
    /// The size is floored to this: both venues' lots in one.
    pub step: Size,
}

/// One ladder, taken to a size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taken {
    /// Price of the last level touched.
    pub worst: Price,
    /// Price times size over all levels touched.
    pub notional: Notional,
}

impl Taken {
    /// Average price of `size`, rounded towards zero. Divides.
    pub fn average(&self, size: Size) -> Price {
        // One level holds it all, mostly: nothing to divide.
        if size.0 != 0 && self.notional == self.worst * size {
            return self.worst;
        }
        let price = self.notional.0.checked_div(i128::from(size.0));
        Price(price.unwrap_or(0) as i64)
    }
}

/// Both ladders, taken to the size that pays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Walk {
    /// Largest size whose last piece still pays, under the haircut, on the lattice.
    pub size: Size,
    /// What each venue's ladder gives for it, by venue.
    pub taken: [Taken; VENUE_COUNT],
}

impl Walk {
    /// Walks the asks of `long`'s book and the bids of the other. `None` when no piece of at least
    /// one step pays.
    pub fn new(books: [&Book; VENUE_COUNT], terms: &Terms) -> Option<Walk> {
        let asks = books[terms.long.idx()].levels(Side::Ask);
        let bids = books[terms.long.other().idx()].levels(Side::Bid);
        let reach = deepest(asks, bids, terms);
        match reach.floored(terms.step) {
            // Mostly the floor takes back a part of the last levels only.
            Some(walk) if terms.long == Venue::Extended => Some(walk),
            Some(Walk { size, taken }) => Some(Walk {
                size,
                taken: [taken[1], taken[0]],
            }),
            None => Walk::sized(books, terms, reach.size),
        }
    }

    /// What both ladders give for a size, floored to the step.
    pub fn sized(books: [&Book; VENUE_COUNT], terms: &Terms, size: Size) -> Option<Walk> {
        let size = size.floor_to(terms.step);
        if size.0 <= 0 {
            return None;
        }
        let side_of = |venue: Venue| match venue == terms.long {
            true => Side::Ask,
            false => Side::Bid,
        };
        let on = |venue: Venue| {
            let levels = books[venue.idx()].levels(side_of(venue));
            take(levels, terms.haircut, size)
        };
        let taken = [on(Venue::Extended)?, on(Venue::Lighter)?];
        Some(Walk { size, taken })
    }

    /// Gross edge of the whole walk over the fair.
    pub fn gross(&self, terms: &Terms) -> Bps {
        let paid = self.taken[terms.long.idx()].notional;
        let got = self.taken[terms.long.other().idx()].notional;
        terms.yardstick.gross_of(terms.long, paid, got)
    }
}

/// How far both ladders can be walked: asks, then bids.
struct Reach {
    size: Size,
    taken: [Taken; VENUE_COUNT],
    /// What was taken of the last level on either side, the smaller.
    last: Size,
}

impl Reach {
    /// Taken back to a whole number of steps; `None` when that leaves none of a last level, or
    /// nothing at all.
    fn floored(&self, step: Size) -> Option<Walk> {
        let size = self.size.floor_to(step);
        let cut = self.size - size;
        let taken = self.taken.map(|taken| Taken {
            worst: taken.worst,
            notional: taken.notional - taken.worst * cut,
        });
        (size.0 > 0 && cut < self.last).then_some(Walk { size, taken })
    }
}

/// The largest size, before flooring, whose last piece still has `terms.edge_min`, and what it
/// takes of both ladders. Bounded by the levels that pay.
fn deepest(
    mut asks: impl Iterator<Item = Level>,
    mut bids: impl Iterator<Item = Level>,
    terms: &Terms,
) -> Reach {
    let paid_factor = terms.yardstick.raised(terms.long, terms.edge_min);
    let got_factor = terms.yardstick.raised(terms.long.other(), Bps::ZERO);
    let nothing = Taken {
        worst: Price::ZERO,
        notional: Notional::ZERO,
    };
    let mut reach = Reach {
        size: Size::ZERO,
        taken: [nothing; VENUE_COUNT],
        last: Size::ZERO,
    };
    let (Some(mut ask), Some(mut bid)) = (asks.next(), bids.next()) else {
        return reach;
    };
    if terms.cap.0 <= 0 {
        return reach;
    }
    let (mut ask_left, mut bid_left) = (terms.haircut.of(ask.size), terms.haircut.of(bid.size));
    // Taken of the current level on either side.
    let (mut ask_here, mut bid_here) = (Size::ZERO, Size::ZERO);
    while i128::from(bid.price.0) * got_factor >= i128::from(ask.price.0) * paid_factor {
        let piece = ask_left.min(bid_left).min(terms.cap - reach.size);
        reach.size += piece;
        ask_left -= piece;
        bid_left -= piece;
        ask_here += piece;
        bid_here += piece;
        for (taken, price) in reach.taken.iter_mut().zip([ask.price, bid.price]) {
            taken.worst = price;
            taken.notional += price * piece;
        }
        reach.last = ask_here.min(bid_here);
        if reach.size >= terms.cap {
            break;
        }
        if ask_left.0 == 0 {
            let Some(next) = asks.next() else { break };
            ask = next;
            (ask_left, ask_here) = (terms.haircut.of(ask.size), Size::ZERO);
        }
        if bid_left.0 == 0 {
            let Some(next) = bids.next() else { break };
            bid = next;
            (bid_left, bid_here) = (terms.haircut.of(bid.size), Size::ZERO);
        }
    }
    reach
}

/// Takes `size` from a ladder; `None` when it does not hold that much after the haircut.
pub fn take(levels: impl Iterator<Item = Level>, haircut: Haircut, size: Size) -> Option<Taken> {
    let mut left = size;
    let mut notional = Notional::ZERO;
    for level in levels {
        let piece = haircut.of(level.size).min(left);
        notional += level.price * piece;
        left -= piece;
        if left.0 == 0 {
            let worst = level.price;
            return Some(Taken { worst, notional });
        }
    }
    None
}

/// What counts of the levels no worse than `limit` for an order of this side, haircut taken off;
/// stops once it is `enough`, or after [`LEVELS_MAX`] levels: what it gives is there at least.
pub fn within(
    levels: impl Iterator<Item = Level>,
    (side, limit): (Side, Price),
    haircut: Haircut,
    enough: Size,
) -> Size {
    let mut depth = Size::ZERO;
    for level in levels.take(LEVELS_MAX) {
        let is_beyond = match side {
            Side::Bid => level.price > limit,
            Side::Ask => level.price < limit,
        };
        if is_beyond || depth >= enough {
            break;
        }
        depth += haircut.of(level.size);
    }
    depth
}

/// Smallest step that is a whole number of both lots. `None` when they do not meet within range.
pub fn joint_step(lots: [Size; VENUE_COUNT]) -> Option<Size> {
    let [first, second] = lots;
    if first.0 <= 0 || second.0 <= 0 {
        return None;
    }
    let (mut larger, mut smaller) = (first.0, second.0);
    while smaller != 0 {
        (larger, smaller) = (smaller, larger % smaller);
    }
    (first.0 / larger).checked_mul(second.0).map(Size)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TICK: Price = Price(100_000_000);

    fn bps(text: &str) -> Bps {
        Bps::parse(text).unwrap()
    }

    fn terms(long: Venue, edge: &str) -> Terms {
        Terms {
            yardstick: Yardstick::new(Bps::ZERO),
            long,
            edge_min: bps(edge),
            haircut: Haircut::NONE,
            cap: Size(i64::MAX / 4),
            step: Size(1_000_000),
        }
    }

    fn book(bids: &[(i64, i64)], asks: &[(i64, i64)]) -> Book {
        let mut book = Book::new(TICK);
        for (side, rows) in [(Side::Bid, bids), (Side::Ask, asks)] {
            for (ticks, size) in rows {
                book.apply(side, Price(ticks * TICK.0), Size(size * 1_000_000));
            }
        }
        book
    }

    #[test]
    fn walks_until_the_piece_no_longer_pays() {
        // Buy on Extended at 10000.0 and 10005.0, sell on Lighter at 10020.0 and 10010.0.
        let books = [
            book(&[(99_990, 9)], &[(100_000, 2), (100_050, 3)]),
            book(&[(100_200, 4), (100_100, 5)], &[(100_300, 9)]),
        ];
        // 20 bps, then 15 bps, then 5 bps.
        let walk = Walk::new(books.each_ref(), &terms(Venue::Extended, "10")).unwrap();
        assert_eq!(walk.size, Size(4_000_000));
        assert_eq!(walk.taken[0].worst, Price(100_050 * TICK.0));
        assert_eq!(walk.taken[1].worst, Price(100_200 * TICK.0));
        let deep = Walk::new(books.each_ref(), &terms(Venue::Extended, "4")).unwrap();
        assert_eq!(deep.size, Size(5_000_000));
        assert!(Walk::new(books.each_ref(), &terms(Venue::Extended, "21")).is_none());
        assert!(Walk::new(books.each_ref(), &terms(Venue::Lighter, "0")).is_none());
        let half = Terms {
            haircut: Haircut::cut_e4(5_000),
            ..terms(Venue::Extended, "16")
        };
        assert_eq!(
            Walk::new(books.each_ref(), &half).unwrap().size,
            Size(1_000_000)
        );
    }

    #[test]
    fn the_fair_is_taken_out() {
        let yard = Yardstick::new(bps("20"));
        let (ask, bid) = (Price(10_000 * 1_000_000_000), Price(10_020 * 1_000_000_000));
        assert_eq!(yard.gross(Venue::Extended, ask, bid), Bps::ZERO);
        assert!(yard.pays(Venue::Extended, ask, bid, Bps::ZERO));
        assert!(!yard.pays(Venue::Extended, ask, bid, Bps::from_bits(1)));
        // Bought where it is dear by nature, at the other's price: 20 bps better than fair.
        let gross = yard.gross(Venue::Lighter, ask, ask);
        assert!((gross.to_f64() - 20.0).abs() < 0.001, "{gross:?}");
        assert_eq!(basis([ask, bid]), Some(bps("20")));
        assert_eq!(basis([Price(0), bid]), None);
    }

    #[test]
    fn steps_join_two_lots() {
        for (first, second, joint) in [(10, 10, 10), (10, 4, 20), (1, 7, 7), (3, 5, 15)] {
            assert_eq!(joint_step([Size(first), Size(second)]), Some(Size(joint)));
        }
        assert_eq!(joint_step([Size(0), Size(1)]), None);
        assert_eq!(joint_step([Size(i64::MAX), Size(i64::MAX - 1)]), None);
    }

    /// The naive walk: one smallest unit at a time, with exact rationals.
    fn naive(asks: &[(i64, i64)], bids: &[(i64, i64)], terms: &Terms) -> i64 {
        let unit = 1_000_000;
        let expand = |rows: &[(i64, i64)]| -> Vec<i64> {
            let pieces = |(price, size): &(i64, i64)| {
                let kept = terms.haircut.of(Size(size * unit)).0 / unit;
                vec![*price; kept as usize]
            };
            rows.iter().flat_map(pieces).collect()
        };
        let (asks, bids) = (expand(asks), expand(bids));
        let pays = |(ask, bid): (&i64, &i64)| {
            let (ask, bid) = (Price(ask * TICK.0), Price(bid * TICK.0));
            terms.yardstick.pays(terms.long, ask, bid, terms.edge_min)
        };
        let count = asks.iter().zip(&bids).take_while(|pair| pays(*pair));
        (count.count() as i64 * unit).min(terms.cap.0)
    }

    fn rows(base: i64, sign: i64) -> impl Strategy<Value = Vec<(i64, i64)>> {
        let gaps = prop::collection::vec((1_i64..40, 1_i64..6), 0..12);
        gaps.prop_map(move |gaps| {
            let mut price = base;
            let step = |(gap, size): (i64, i64)| {
                price += sign * gap;
                (price, size * 4)
            };
            gaps.into_iter().map(step).collect()
        })
    }

    proptest! {
        #[test]
        fn as_deep_as_the_naive_walk(
            asks in rows(100_000, 1),
            bids in rows(100_200, -1),
            edge in 0_i64..20,
            fair in -30_i64..30,
            cap in 1_i64..60,
            cut in prop_oneof![Just(0_u32), Just(5_000), Just(7_500)],
        ) {
            let terms = Terms {
                yardstick: Yardstick::new(Bps::from_milli(fair * 1000)),
                edge_min: Bps::from_milli(edge * 1000),
                haircut: Haircut::cut_e4(cut),
                cap: Size(cap * 1_000_000),
                ..terms(Venue::Extended, "0")
            };
            let books = [book(&[], &asks), book(&bids, &[])];
            let walk = Walk::new(books.each_ref(), &terms);
            let size = walk.map_or(0, |walk| walk.size.0);
            prop_assert_eq!(size, naive(&asks, &bids, &terms));
            let Some(walk) = walk else { return Ok(()) };
            // One pass gives what walking each ladder to that size gives.
            prop_assert_eq!(Walk::sized(books.each_ref(), &terms, walk.size), Some(walk));
            for rows in [&asks, &bids] {
                let visible: i64 = rows.iter().map(|row| row.1 * 1_000_000).sum();
                prop_assert!(walk.size <= terms.haircut.of(Size(visible)));
            }
            // A thousandth of a basis point is room for the two roundings.
            prop_assert!(walk.gross(&terms) + Bps::from_milli(1) >= terms.edge_min);
        }
    }
}
