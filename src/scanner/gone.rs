//! Pairs that are over, for as long as somebody may still speak of their orders.
//!
//! A venue may tell a fill seconds after it called the order cancelled, and after the pair was
//! given up as missed. Such a leg is ours, and stands alone: it gets a pair again. A fill that was
//! concluded from the position before is no news. Promises: fixed memory, the oldest goes first.
//! Refuses: to explain a fill that took back what had been taken back already.

use crate::market::book::Side;
use crate::market::order::OrderId;
use crate::market::units::Size;
use crate::market::{InstrumentId, VENUE_COUNT, VENUES, Venue};
use crate::scanner::assumed::ASSUMED_MAX;
use crate::scanner::pair::{Fill, Pair};

/// Pairs remembered. Larger: a longer search at a rare word. Smaller: at ten pairs a second a fill
/// six seconds late finds nobody.
const PAIRS_MAX: usize = 64;

/// What is left of a pair.
#[derive(Clone, Copy)]
struct Past {
    number: u32,
    instrument: InstrumentId,
    long: Venue,
    /// Concluded from the position and not told yet, by venue.
    untold: [[Option<(OrderId, Side, Size)>; ASSUMED_MAX]; VENUE_COUNT],
    /// Told as taken, of what untold fills must have opened, by venue.
    taken: [Size; VENUE_COUNT],
    /// Told as taken, of what was concluded to be an order's fill, by venue.
    swapped: [Size; VENUE_COUNT],
}

impl Past {
    /// What it was found to have lost, and nobody has told.
    fn taken(&self, venue: Venue) -> Size {
        let untold = self.untold[venue.idx()].iter().flatten();
        let taken = untold.filter(|(id, ..)| *id == OrderId::NONE);
        taken.fold(Size::ZERO, |sum, (_, _, size)| sum + *size)
    }
}

/// What a late fill is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Late {
    /// Known already.
    Known,
    /// So much of a leg that nobody holds, of a pair that was long there.
    Lone(Venue, Size),
    /// Nothing that a pair of this run did.
    Strange,
}

/// The memory.
pub struct Gone {
    pairs: [Option<Past>; PAIRS_MAX],
    next: usize,
}

impl Gone {
    /// Nothing is over yet.
    pub fn new() -> Gone {
        Gone {
            pairs: [None; PAIRS_MAX],
            next: 0,
        }
    }

    /// Remembers a pair that is over. One for which the venue owes a trade gives way last.
    pub fn keep(&mut self, pair: &Pair) {
        for _ in 0..PAIRS_MAX {
            let is_owed = |past: &Past| VENUES.into_iter().any(|venue| past.taken(venue).0 > 0);
            if !self.pairs[self.next].as_ref().is_some_and(is_owed) {
                break;
            }
            self.next = (self.next + 1) % PAIRS_MAX;
        }
        self.pairs[self.next] = Some(Past {
            number: pair.number,
            instrument: pair.instrument,
            long: pair.long,
            untold: VENUES.map(|venue| pair.untold(venue)),
            taken: pair
                .legs
                .map(|leg| leg.taken_early.map_or(Size::ZERO, |fill| fill.size)),
            swapped: [Size::ZERO; VENUE_COUNT],
        });
        self.next = (self.next + 1) % PAIRS_MAX;
    }

    /// What pairs of this market were found to have lost, and no trade of the venue has told.
    pub fn taken_untold(&self, instrument: InstrumentId, venue: Venue) -> Size {
        let all = self.pairs.iter().flatten();
        let of_it = all.filter(|past| past.instrument == instrument);
        of_it.fold(Size::ZERO, |sum, past| sum + past.taken(venue))
    }

    /// The venue tells that it took something: so much of it was concluded before, to be taken or,
    /// since the position does not say whose doing it shows, to be the fill of a close.
    pub fn hear_taken(&mut self, instrument: InstrumentId, venue: Venue, fill: &Fill) -> Size {
        let mut left = fill.size;
        for is_orders in [false, true] {
            let all = self.pairs.iter_mut().flatten();
            for past in all.filter(|past| past.instrument == instrument) {
                let is_closing = (fill.side == Side::Bid) != (venue == past.long);
                for (id, side, untold) in past.untold[venue.idx()].iter_mut().flatten() {
                    let is_it = is_closing && *side == fill.side;
                    if is_it && (*id != OrderId::NONE) == is_orders {
                        let known = left.min(*untold);
                        *untold -= known;
                        left -= known;
                        if is_orders {
                            past.swapped[venue.idx()] += known;
                        }
                    }
                }
            }
        }
        fill.size - left
    }

    /// What a fill of an order of pair `number` is, now that the pair is over.
    pub fn hear(&mut self, number: u32, venue: Venue, fill: &Fill) -> Late {
        let mut pairs = self.pairs.iter_mut().flatten();
        let Some(past) = pairs.find(|past| past.number == number) else {
            return Late::Strange;
        };
        let mut size = fill.size;
        // The position does not say whose fill it showed: its own first, then another order's.
        for is_other in [false, true] {
            for (id, side, untold) in past.untold[venue.idx()].iter_mut().flatten() {
                let is_its = match is_other {
                    false => *id == fill.id,
                    true => *side == fill.side,
                };
                let known = match is_its {
                    true => size.min(*untold),
                    false => Size::ZERO,
                };
                *untold -= known;
                size -= known;
            }
        }
        let opens = (fill.side == Side::Bid) == (venue == past.long);
        if opens {
            let taken = size.min(past.taken[venue.idx()]);
            past.taken[venue.idx()] -= taken;
            size -= taken;
        } else {
            let swapped = size.min(past.swapped[venue.idx()]);
            past.swapped[venue.idx()] -= swapped;
            size -= swapped;
        }
        match (size.0, opens) {
            (0, _) => Late::Known,
            (_, true) => Late::Lone(past.long, size),
            (_, false) => Late::Strange,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::market::units::{Nanos, Notional, Price};

    fn fill(id: u8, side: Side, size: i64) -> Fill {
        Fill {
            id: OrderId::new(1, 7, id),
            side,
            price: Price(100),
            size: Size(size),
            fee: Notional::ZERO,
            t: Nanos(1),
        }
    }

    /// An order was called cancelled and had closed the leg; the next found no answer, and the
    /// position was taken for its fill.
    #[test]
    fn row_20_what_was_concluded_of_one_order_may_be_told_of_another() {
        let mut pair = Pair::new(InstrumentId(0));
        (pair.number, pair.long, pair.orders) = (7, Venue::Extended, 3);
        pair.fill(Venue::Extended, &fill(1, Side::Bid, 5));
        pair.assume(Venue::Extended, &fill(3, Side::Ask, 5));
        let mut gone = Gone::new();
        gone.keep(&pair);
        let told = fill(2, Side::Ask, 5);
        assert_eq!(gone.hear(7, Venue::Extended, &told), Late::Known);
        assert_eq!(gone.hear(7, Venue::Extended, &told), Late::Strange);
        // The same while the pair lives. A later order had no part in it.
        pair.fill(Venue::Extended, &told);
        assert_eq!(pair.position(Venue::Extended), Size::ZERO);
        pair.fill(Venue::Extended, &fill(1, Side::Bid, 5));
        pair.assume(Venue::Extended, &fill(3, Side::Ask, 5));
        pair.fill(Venue::Extended, &fill(1, Side::Bid, 5));
        pair.fill(Venue::Extended, &fill(4, Side::Ask, 5));
        assert_eq!(pair.position(Venue::Extended), Size::ZERO);
        assert_eq!(pair.closed_untold(Venue::Extended), Size(5));
    }

    /// The position had shown a close's fill, it seemed, but the venue had taken the leg.
    #[test]
    fn row_35_what_was_concluded_of_an_order_may_be_told_as_taken() {
        let mut pair = Pair::new(InstrumentId(0));
        (pair.number, pair.long) = (7, Venue::Extended);
        pair.fill(Venue::Extended, &fill(1, Side::Bid, 5));
        pair.assume(Venue::Extended, &fill(2, Side::Ask, 5));
        let mut gone = Gone::new();
        gone.keep(&pair);
        let taken = Fill {
            id: OrderId::NONE,
            ..fill(0, Side::Ask, 5)
        };
        let mut hear = || gone.hear_taken(InstrumentId(0), Venue::Extended, &taken);
        assert_eq!([hear(), hear()], [Size(5), Size::ZERO]);
        // Both did happen, after all: that is known too, once.
        let told = fill(2, Side::Ask, 5);
        assert_eq!(gone.hear(7, Venue::Extended, &told), Late::Known);
        assert_eq!(gone.hear(7, Venue::Extended, &told), Late::Strange);
    }

    #[test]
    fn row_20_what_was_concluded_is_no_news_and_the_rest_stands_alone() {
        let mut pair = Pair::new(InstrumentId(0));
        (pair.number, pair.long) = (7, Venue::Extended);
        pair.assume(Venue::Extended, &fill(1, Side::Bid, 5));
        let mut gone = Gone::new();
        assert_eq!(
            gone.hear(7, Venue::Extended, &fill(1, Side::Bid, 3)),
            Late::Strange
        );
        gone.keep(&pair);
        let mut hear = |venue, id, side, size| gone.hear(7, venue, &fill(id, side, size));
        assert_eq!(hear(Venue::Extended, 1, Side::Bid, 3), Late::Known);
        let lone = Late::Lone(Venue::Extended, Size(2));
        assert_eq!(hear(Venue::Extended, 1, Side::Bid, 4), lone);
        let lone = Late::Lone(Venue::Extended, Size(4));
        assert_eq!(hear(Venue::Lighter, 2, Side::Ask, 4), lone);
        assert_eq!(hear(Venue::Lighter, 3, Side::Bid, 4), Late::Strange);
        let mut taken = Pair::new(InstrumentId(3));
        taken.number = 8;
        taken.assume(Venue::Lighter, &fill(1, Side::Ask, 4));
        taken.assume(
            Venue::Lighter,
            &Fill {
                id: OrderId::NONE,
                ..fill(0, Side::Bid, 3)
            },
        );
        gone.keep(&taken);
        for number in 0..PAIRS_MAX as u32 {
            pair.number = 100 + number;
            gone.keep(&pair);
        }
        assert_eq!(
            gone.hear(7, Venue::Lighter, &fill(2, Side::Ask, 4)),
            Late::Strange
        );
        // What is owed a trade has stayed; the trade is of its market, venue and side.
        let owed = |gone: &Gone| gone.taken_untold(InstrumentId(3), Venue::Lighter).0;
        assert_eq!(owed(&gone), 3);
        let told = fill(0, Side::Bid, 5);
        let other = gone.hear_taken(InstrumentId(2), Venue::Lighter, &told);
        let wrong = gone.hear_taken(InstrumentId(3), Venue::Lighter, &fill(0, Side::Ask, 5));
        assert_eq!((other, wrong, owed(&gone)), (Size::ZERO, Size::ZERO, 3));
        let known = gone.hear_taken(InstrumentId(3), Venue::Lighter, &told);
        assert_eq!((known, owed(&gone)), (Size(3), 0));
    }
}
