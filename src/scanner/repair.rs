//! One leg stands alone: is it cheaper to complete the pair or to take the leg back?
//!
//! What the lone leg cost is spent either way; compared is what comes after. Completing buys the
//! edge that is left at the prices of this moment, against the pair's own fair, and owes the small
//! leg's way in and both legs' way out. Taking back owes the large leg's way out alone, and the
//! time that it stands alone beyond what was planned ([`time_alone`]).
//!
//! Promises: prices are what the ladders give for the whole excess, not their best level.
//! Refuses: to decide without both books; then the hedge is tried, as the lone leg is the risk.

use crate::market::Venue;
use crate::market::book::Side;
use crate::market::units::{Bps, Price, SECOND, Size};
use crate::scanner::board::Board;
use crate::scanner::lattice::Remedy;
use crate::scanner::order_of_legs::DEVIATIONS;
use crate::scanner::pair::Pair;
use crate::scanner::risk::SLOW;
use crate::scanner::spread::{Haircut, half_spread, ratio, take};

/// Deviation of a price in a second, bps, while no edge of this market and direction has taught it:
/// at 27 edges of the built-in scenario Lighter's price moved by 5.9 bps (root mean square) over
/// the 350 ms that followed, which is 10 bps in a second. That is far above a calm market's 1 bps,
/// and must be: a leg stands alone just after a price has moved. Larger: a pair that no longer pays
/// is completed all the same, for the fees. Smaller: a leg stands alone for the slow venue's delay
/// to save a fee.
const DEVIATION_PER_SECOND: Bps = Bps::whole(10);

/// How a lone leg is dealt with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Raise the smaller leg.
    Hedge,
    /// Lower the larger one.
    Unwind,
}

/// The cheaper way now, for `excess` that stands alone on `large`. A tie is a hedge: it is what was
/// planned. Where one venue does not take the order, the other way is the only one; where a book
/// does not hold the size, the other way is the only one that is whole.
pub fn cheaper(pair: &Pair, board: &Board, large: Venue, excess: Size) -> Way {
    let Some(touches) = board.touches() else {
        return Way::Hedge;
    };
    let small = large.other();
    let (into, back) = (pair.opening_side(small), pair.opening_side(large).other());
    let mut prices = [Price::ZERO; 2];
    prices[small.idx()] = touches[small.idx()].against(into);
    prices[large.idx()] = touches[large.idx()].against(back);
    match board.lattice.remedy(large, excess, prices) {
        Remedy::Either(_) => {}
        Remedy::Hedge(_) => return Way::Hedge,
        Remedy::Close | Remedy::Dust => return Way::Unwind,
    }
    let completed = average(board, small, into, excess);
    let taken_back = average(board, large, back, excess);
    match (completed, taken_back) {
        (Some(small_price), Some(large_price)) => {
            let half = |venue: Venue| {
                let touch = touches[venue.idx()];
                half_spread(touch.bid, touch.ask)
            };
            let stands = pair.legs[large.idx()].entry_average();
            let (ask, bid) = match large == pair.long {
                true => (stands, small_price),
                false => (small_price, stands),
            };
            // Completing brings the edge between what stands and the small leg's price, less three
            // fees (the large leg's first is paid) and the closing half spreads. Taking back brings
            // the move, less one fee, which both owe. So what the edge must make good is:
            let fee = board.market(small).fee_taker;
            let moved = moved(pair, large, (stands, large_price));
            let needed = moved + fee + fee + half(large) + half(small);
            let pays = |edge: Bps| pair.yardstick.pays(pair.long, ask, bid, edge);
            // Time is on the first hedge's side: mostly it need not be reckoned.
            let is_planned = pair.hedge_tries == 0;
            match is_planned && pays(needed) || pays(needed - time_alone(pair, board, large)) {
                true => Way::Hedge,
                false => Way::Unwind,
            }
        }
        (None, Some(_)) => Way::Unwind,
        (_, None) => Way::Hedge,
    }
}

/// The large leg's move since it filled, in our favour, if it is taken back at this price.
fn moved(pair: &Pair, large: Venue, (stands, price): (Price, Price)) -> Bps {
    let better = match pair.opening_side(large) {
        Side::Bid => price - stands,
        Side::Ask => stands - price,
    };
    ratio(better.0.into(), stands.0.into())
}

/// What standing alone until the large leg's venue has matched costs beyond standing alone until
/// the small one's has: three deviations of the price over the one delay, less the same over the
/// other. The first hedge's own time was planned, and weighed when the order of legs was chosen, so
/// that taking back where it is faster earns nothing then; a hedge that has missed is to be weighed
/// with the time that another takes.
///
/// `3 * deviation * (sqrt(delay of large) - sqrt(delay of small))`, where the deviation is that of
/// a second: the slow venue's over its delay, as the edges here have shown it, divided by the root
/// of that delay.
fn time_alone(pair: &Pair, board: &Board, large: Venue) -> Bps {
    let root = |delay_ns: u64| delay_ns.isqrt() as i64;
    let [own, other] = [large, large.other()].map(|venue| root(board.delays_ns[venue.idx()]));
    let longer = match pair.hedge_tries {
        0 => (own - other).max(0),
        _ => own - other,
    };
    let (deviation, over) = match board.deviations[pair.long.idx()] {
        Some(learned) => (learned, root(board.delays_ns[SLOW.idx()]).max(1)),
        None => (DEVIATION_PER_SECOND, root(SECOND)),
    };
    Bps::from_bits(DEVIATIONS * deviation.bits() * longer / over)
}

/// Average price of an order of this side and size on a venue's book; `None` when it is too thin.
fn average(board: &Board, venue: Venue, side: Side, size: Size) -> Option<Price> {
    let levels = board.book(venue).levels(side.other());
    take(levels, Haircut::NONE, size).map(|taken| taken.average(size))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::market::book::{Delta, flags};
    use crate::market::order::OrderId;
    use crate::market::units::{MS, Nanos, Notional, SCALE};
    use crate::market::{Bounds, Instrument, InstrumentId, Market, Name, VENUES};
    use crate::scanner::pair::Fill;
    use crate::scanner::risk::Limits;
    use crate::scanner::spread::Yardstick;
    use Venue::{Extended, Lighter};

    /// Prices in tenths; two units on each level; fees 2.5 and 0 bps. Both venues match alike.
    fn board(extended: [i64; 2], lighter: [i64; 2]) -> Board {
        board_within([350 * MS; 2], extended, lighter)
    }

    /// The same with these delays to a match.
    fn board_within(delay_ns: [u64; 2], extended: [i64; 2], lighter: [i64; 2]) -> Board {
        let market = |venue, fee| Market {
            venue,
            instrument: InstrumentId(0),
            name: Name::new("BTC").unwrap(),
            venue_market: 1,
            tick: Price(SCALE / 10),
            lot: Size(SCALE / 1_000),
            size_min: Size(SCALE / 100),
            notional_min: Notional::from_usd(10),
            fee_taker: Bps::from_milli(fee),
            fee_maker: Bps::ZERO,
            bounds: Bounds::default(),
        };
        let instrument = Instrument {
            id: InstrumentId(0),
            name: Name::new("BTC").unwrap(),
            markets: [market(Extended, 2_500), market(Lighter, 0)],
        };
        let limits = Limits {
            match_delay_ns: delay_ns,
            ..Limits::default()
        };
        let mut board = Board::new(&instrument, &limits);
        for (venue, [bid, ask]) in [(Extended, extended), (Lighter, lighter)] {
            for (side, price, flags) in [
                (Side::Bid, bid, flags::CLEAR | flags::SNAPSHOT),
                (Side::Ask, ask, flags::SNAPSHOT | flags::LAST),
            ] {
                board.apply(&Delta {
                    price: Price(price * SCALE / 10),
                    size: Size(2 * SCALE),
                    t_recv: Nanos(1),
                    t_made: Nanos(1),
                    t_push: Nanos(1),
                    instrument: InstrumentId(0),
                    venue,
                    side,
                    flags,
                });
            }
        }
        board
    }

    /// A pair at a fair of zero whose leg on `large` has filled one unit at this many tenths.
    fn lone(long: Venue, large: Venue, price: i64) -> Pair {
        let mut pair = Pair::new(InstrumentId(0));
        pair.long = long;
        pair.yardstick = Yardstick::new(Bps::ZERO);
        let fill = Fill {
            id: OrderId::new(1, 1, 1),
            side: pair.opening_side(large),
            price: Price(price * SCALE / 10),
            size: Size(SCALE),
            fee: Notional::ZERO,
            t: Nanos(1),
        };
        pair.fill(large, &fill);
        pair
    }

    const UNIT: Size = Size(SCALE);

    #[test]
    fn the_cheaper_way_by_the_edge_that_is_left() {
        // Sold 1 on Lighter at 1001.5, 15 bps over; half spreads of 1 bps, three fees of Extended's
        // kind but one: 5 bps. Taking back costs 2 bps and what Lighter rose meanwhile.
        for (extended, lighter, way) in [
            // Nothing has moved: 14 bps are left, less 7, against -2.
            ([9_999, 10_001], [10_014, 10_016], Way::Hedge),
            // Lighter fell to fair: the lone leg itself has made the edge. 7 against 14.
            ([9_999, 10_001], [9_999, 10_001], Way::Unwind),
            // Extended rose to fair: the edge is gone, both ways cost. -7.9 against -1.
            ([10_014, 10_016], [10_014, 10_016], Way::Unwind),
            // Both rose by 20 bps: -27 against -21.
            ([10_034, 10_036], [10_034, 10_036], Way::Unwind),
            // Lighter alone rose: 7 against -21.
            ([9_999, 10_001], [10_034, 10_036], Way::Hedge),
            // Extended fell further: more edge than there was.
            ([9_979, 9_981], [10_014, 10_016], Way::Hedge),
        ] {
            let board = board(extended, lighter);
            let pair = lone(Extended, Lighter, 10_015);
            let found = cheaper(&pair, &board, Lighter, UNIT);
            assert_eq!(found, way, "{extended:?} {lighter:?}");
            // The same the other way round: bought on Lighter, prices mirrored about 1000.
            let mirrored = |[bid, ask]: [i64; 2]| [20_000 - ask, 20_000 - bid];
            let board = self::board(mirrored(extended), mirrored(lighter));
            let pair = lone(Lighter, Lighter, 9_985);
            let found = cheaper(&pair, &board, Lighter, UNIT);
            assert_eq!(found, way, "mirrored {extended:?} {lighter:?}");
        }
    }

    #[test]
    fn taking_back_on_the_slow_venue_must_be_worth_its_time() {
        // Alone for 350 ms and not for 10: 3 deviations of 10 bps a second, 14.7 bps.
        let slow = |extended, lighter| board_within([10 * MS, 350 * MS], extended, lighter);
        let pair = lone(Extended, Lighter, 10_015);
        for (extended, lighter, way) in [
            // The edge is gone either way round: the fees of a pair are less than that.
            ([9_999, 10_001], [9_999, 10_001], Way::Hedge),
            ([10_014, 10_016], [10_014, 10_016], Way::Hedge),
            // Extended is on beyond: -14.9 against -15.7, then -15.9.
            ([10_021, 10_023], [10_014, 10_016], Way::Hedge),
            ([10_022, 10_024], [10_014, 10_016], Way::Unwind),
        ] {
            let found = cheaper(&pair, &slow(extended, lighter), Lighter, UNIT);
            assert_eq!(found, way, "{extended:?} {lighter:?}");
        }
        // The leg that is taken back fast owes nothing, and gains nothing by it.
        let mut pair = lone(Extended, Extended, 10_000);
        for (lighter, way) in [(10_002, Way::Hedge), (9_999, Way::Unwind)] {
            let board = slow([9_999, 10_001], [lighter - 1, lighter + 1]);
            assert_eq!(cheaper(&pair, &board, Extended, UNIT), way, "{lighter}");
        }
        // Once the slow hedge has missed, the time of another counts against it.
        pair.hedge_tries = 1;
        for (lighter, way) in [(10_002, Way::Unwind), (10_030, Way::Hedge)] {
            let board = slow([9_999, 10_001], [lighter - 1, lighter + 1]);
            assert_eq!(cheaper(&pair, &board, Extended, UNIT), way, "{lighter}");
        }
    }

    #[test]
    fn what_the_edges_taught_is_what_a_second_alone_costs() {
        let even = [9_999, 10_001];
        let mut board = board_within([10 * MS, 350 * MS], even, even);
        let pair = lone(Extended, Lighter, 10_015);
        assert_eq!(cheaper(&pair, &board, Lighter, UNIT), Way::Hedge);
        // After none of these edges did Lighter move.
        board.deviations[Extended.idx()] = Some(Bps::ZERO);
        assert_eq!(cheaper(&pair, &board, Lighter, UNIT), Way::Unwind);
    }

    #[test]
    fn the_pairs_own_fair_is_the_measure() {
        // Lighter stands 15 bps over by nature: what looks like an edge is none.
        let board = board([9_999, 10_001], [10_014, 10_016]);
        let mut pair = lone(Extended, Lighter, 10_015);
        pair.yardstick = Yardstick::new(Bps::whole(15));
        assert_eq!(cheaper(&pair, &board, Lighter, UNIT), Way::Unwind);
    }

    #[test]
    fn without_both_books_the_hedge_is_tried() {
        let mut board = board([10_014, 10_016], [10_014, 10_016]);
        let pair = lone(Extended, Lighter, 10_015);
        assert_eq!(cheaper(&pair, &board, Lighter, UNIT), Way::Unwind);
        board.apply(&Delta {
            price: Price::ZERO,
            size: Size::ZERO,
            t_recv: Nanos(2),
            t_made: Nanos(2),
            t_push: Nanos(2),
            instrument: InstrumentId(0),
            venue: Extended,
            side: Side::Bid,
            flags: flags::STALE | flags::EMPTY | flags::LAST,
        });
        assert_eq!(cheaper(&pair, &board, Lighter, UNIT), Way::Hedge);
    }

    #[test]
    fn a_way_that_a_venue_or_a_book_does_not_take_is_none() {
        let dear = board([10_014, 10_016], [10_014, 10_016]);
        let good = board([9_999, 10_001], [10_014, 10_016]);
        let pair = lone(Extended, Lighter, 10_015);
        // Below both minima: only the venue that holds it may take so little.
        let dust = Size(SCALE / 1_000);
        assert_eq!(cheaper(&pair, &good, Lighter, dust), Way::Unwind);
        // Three units stand nowhere, one book alone does not hold the size.
        let much = Size(3 * SCALE);
        assert_eq!(cheaper(&pair, &dear, Lighter, much), Way::Hedge);
        for (venue, way) in [(Extended, Way::Hedge), (Lighter, Way::Unwind)] {
            let mut thick = board([10_014, 10_016], [10_014, 10_016]);
            for side in [Side::Bid, Side::Ask] {
                let price = Price(if side == Side::Bid { 10_014 } else { 10_016 } * SCALE / 10);
                thick.mirrors[venue.idx()]
                    .book
                    .apply(side, price, Size(9 * SCALE));
            }
            assert_eq!(cheaper(&pair, &thick, Lighter, much), way, "{venue:?}");
        }
    }

    /// Exact rationals in place of fixed point, over a grid of prices, both directions and legs.
    #[test]
    fn as_a_plain_model_says() {
        let mut counts = [0; 2];
        for (step, at) in (0..40_i64).flat_map(|x| (0..40_i64).map(move |y| (x, y))) {
            let extended = [9_970 + step, 9_972 + step];
            let lighter = [9_970 + at, 9_973 + at];
            let board = board(extended, lighter);
            for (long, large) in VENUES.into_iter().flat_map(|a| VENUES.map(|b| (a, b))) {
                let entry = 10_000;
                let touch = |venue: Venue| [extended, lighter][venue.idx()].map(|p| p as f64);
                let [bid, ask] = touch(large);
                let [small_bid, small_ask] = touch(large.other());
                let half = |[bid, ask]: [f64; 2]| (ask - bid) / (ask + bid);
                let fee = |venue: Venue| if venue == Extended { 2.5e-4 } else { 0.0 };
                let stands = entry as f64;
                let (gross, back) = match large == long {
                    true => ((small_bid - stands) / stands, (bid - stands) / stands),
                    false => ((stands - small_ask) / small_ask, (stands - ask) / stands),
                };
                let hedged = gross
                    - 2.0 * fee(large.other())
                    - fee(large)
                    - half(touch(Extended))
                    - half(touch(Lighter));
                let unwound = back - fee(large);
                if (hedged - unwound).abs() < 1e-8 {
                    continue;
                }
                let way = if hedged > unwound {
                    Way::Hedge
                } else {
                    Way::Unwind
                };
                let pair = lone(long, large, entry);
                assert_eq!(
                    cheaper(&pair, &board, large, UNIT),
                    way,
                    "{extended:?} {lighter:?}"
                );
                counts[way as usize] += 1;
            }
        }
        assert!(counts.iter().all(|count| *count > 500), "{counts:?}");
    }
}
