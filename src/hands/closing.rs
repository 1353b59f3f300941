//! What the closing orders of both venues have in common: ids, side, size and worst price.
//!
//! Promises: a size never beyond the position, on the lot; a price never further from the mark than
//! asked, on the tick; an id that no engine's order has. Refuses: what is less than a lot.

use crate::hands::{HandsError, Held};
use crate::market::Venue;
use crate::market::book::Side;
use crate::market::order::OrderId;
use crate::market::units::{Bps, Price, Size};

/// First pair number of orders made by hand. The engine counts its pairs up from one and would need
/// years for sixteen million; these are counted down from the top.
const HAND_PAIR_MIN: u32 = 0xFF_0000;
/// Last pair number there is.
const PAIR_MAX: u32 = 0xFF_FFFF;

/// Whether an order of ours was made by hand (`flatten`, or the start of a run).
pub fn is_by_hand(id: OrderId) -> bool {
    id != OrderId::NONE && id.pair() >= HAND_PAIR_MIN
}

/// Ids of one venue's closing orders in one run.
pub(super) struct Ids {
    run: u16,
    /// Set apart by venue as the engine's ids are: the highest bit of the last eight.
    leg: u8,
    pair: u32,
}

impl Ids {
    pub(super) fn new(run: u16, venue: Venue) -> Ids {
        Ids {
            run,
            leg: (venue.idx() as u8) << 7 | 1,
            pair: PAIR_MAX,
        }
    }

    /// One that was not given before, for the first 65,536.
    pub(super) fn next(&mut self) -> OrderId {
        let id = OrderId::new(self.run, self.pair, self.leg);
        self.pair = match self.pair {
            HAND_PAIR_MIN => PAIR_MAX,
            pair => pair - 1,
        };
        id
    }
}

/// Side and size that take `wanted` off a position.
pub(super) fn cut(held: &Held, wanted: Size, lot: Size) -> Result<(Side, Size), HandsError> {
    let (side, whole) = match held.size > Size::ZERO {
        true => (Side::Ask, held.size),
        false => (Side::Bid, -held.size),
    };
    let size = wanted.min(whole).floor_to(lot);
    if size <= Size::ZERO {
        let (market, wanted) = (&held.market, wanted.min(whole));
        let why = format!("{market}: {wanted} is less than one lot ({lot}): dust");
        return Err(HandsError(why));
    }
    Ok((side, size))
}

/// The worst price within `band` of the mark, rounded towards the mark.
pub(super) fn worst_price(side: Side, mark: Price, band: Bps, tick: Price) -> Price {
    let away = band.of_price(mark);
    match side {
        Side::Bid => (mark + away).floor_to(tick),
        Side::Ask => (mark - away).ceil_to(tick),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn held(size: i64) -> Held {
        Held {
            market: "BTC".into(),
            size: Size(size),
            entry: Price(1),
        }
    }

    #[test]
    fn ids_are_new_and_told_from_the_engines() {
        let mut ids = [Venue::Extended, Venue::Lighter].map(|venue| Ids::new(7, venue));
        let drawn: Vec<OrderId> = (0..4).map(|n| ids[n % 2].next()).collect();
        let mut known = drawn.clone();
        known.sort_unstable();
        known.dedup();
        assert_eq!(known.len(), 4);
        assert!(drawn.iter().all(|id| is_by_hand(*id) && id.run() == 7));
        assert!(!is_by_hand(OrderId::new(7, 1, 1)) && !is_by_hand(OrderId::NONE));
        ids[0].pair = HAND_PAIR_MIN;
        ids[0].next();
        assert!(is_by_hand(ids[0].next()));
    }

    proptest! {
        #[test]
        fn a_cut_makes_a_position_smaller_and_never_turns_it(
            size in -1_000_000_i64..1_000_000,
            wanted in 1_i64..2_000_000,
            lot in 1_i64..5_000,
        ) {
            prop_assume!(size != 0);
            match cut(&held(size), Size(wanted), Size(lot)) {
                Ok((side, cut)) => {
                    let after = match side {
                        Side::Bid => size + cut.0,
                        Side::Ask => size - cut.0,
                    };
                    prop_assert!(after.abs() < size.abs() && after.signum() * size.signum() >= 0);
                    prop_assert!(cut.0 <= wanted && cut.0 % lot == 0);
                }
                Err(why) => {
                    prop_assert!(wanted.min(size.abs()) < lot);
                    prop_assert!(why.0.contains("dust"));
                }
            }
        }

        #[test]
        fn a_price_stays_within_its_band(
            mark in 1_000_000_i64..100_000_000_000_000,
            tick in 1_i64..1_000_000,
            band in 1_i32..300,
        ) {
            let bound = i128::from(mark) * i128::from(band) / 10_000 + 1;
            for side in [Side::Bid, Side::Ask] {
                let price = worst_price(side, Price(mark), Bps::whole(band), Price(tick));
                prop_assert_eq!(price.0 % tick, 0);
                let beyond = match side {
                    Side::Bid => price.0 - mark,
                    Side::Ask => mark - price.0,
                };
                prop_assert!(i128::from(beyond) <= bound);
                prop_assert!(i128::from(beyond) >= bound - i128::from(tick) - 2);
            }
        }
    }
}
