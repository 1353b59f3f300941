//! Sizes that both venues take: lots, smallest sizes and smallest notionals in one place.
//!
//! Entry, hedge and close ask the same question here: does this venue take an order of this size at
//! this price? From it follow the smallest pair, what can be done about a lone remainder, and the
//! **dust**: a remainder so small that neither venue takes an order for it.
//!
//! Promises: of a pair of at least `size_min`, any part that fills on the leading leg can be hedged
//! (to the other's lot), or taken back, or raised by [`Lattice::least`] until it can be,
//! within the pair's own size. Refuses: to know books or pairs; prices come in.

use crate::market::units::{Bps, Notional, Price, Size};
use crate::market::{Market, VENUE_COUNT, Venue};
use crate::scanner::spread::joint_step;

/// So far may prices fall after an entry, and the smallest pair still be above both venues'
/// smallest notionals. Larger: larger smallest pairs. Smaller: a fall can leave a pair that can't
/// be closed.
const FALL: Bps = Bps::whole(500);
/// Beyond any order: what a smallest notional asks at a price that is none. A quarter, so that two
/// of them and a step add up without overflow.
const OUT_OF_REACH: i64 = i64::MAX / 4;

/// What can be done about a remainder that stands alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// Raise the smaller leg by so much or lower the larger one: both venues take their order.
    Either(Size),
    /// Raise the smaller leg by so much; the larger one can't be lowered by so little.
    Hedge(Size),
    /// Lower the larger leg; the other venue does not take so little.
    Close,
    /// Neither: dust. Carried in its pair and closed with its leg, or topped up, or told as left.
    Dust,
}

/// The size rules of one instrument on both venues.
#[derive(Clone, Copy, Debug)]
pub struct Lattice {
    rules: [Rules; VENUE_COUNT],
    step: Size,
    /// The largest size that both lots are whole numbers of: what a difference of legs counts in.
    grain: Size,
}

#[derive(Clone, Copy, Debug)]
struct Rules {
    lot: Size,
    size_min: Size,
    notional_min: Notional,
}

impl Lattice {
    /// From both markets, by venue.
    pub fn new(markets: &[Market; VENUE_COUNT]) -> Lattice {
        let rules = |market: &Market| Rules {
            lot: market.lot,
            size_min: market.size_min,
            notional_min: market.notional_min,
        };
        let [extended, lighter] = markets;
        let step = joint_step([extended.lot, lighter.lot]);
        let grain = step.map(|step| extended.lot.0 / (step.0 / lighter.lot.0));
        Lattice {
            rules: [rules(extended), rules(lighter)],
            step: step.unwrap_or(Size::ZERO),
            grain: Size(grain.unwrap_or(1)),
        }
    }

    /// Step of a pair's size: a whole number of both lots, so that a whole fill is hedged exactly.
    /// Zero when the lots do not meet within range: never traded.
    pub fn step(&self) -> Size {
        self.step
    }

    /// A size on a venue's lot, rounded down.
    pub fn floor(&self, venue: Venue, size: Size) -> Size {
        size.floor_to(self.rules[venue.idx()].lot)
    }

    /// Whether a venue takes an order of this size, floored to its lot, at this limit.
    pub fn takes(&self, venue: Venue, size: Size, price: Price) -> bool {
        self.takes_floored(venue, self.floor(venue, size), price)
    }

    /// The same of a size that lies on the venue's lot.
    #[inline]
    pub fn takes_floored(&self, venue: Venue, size: Size, price: Price) -> bool {
        let rules = &self.rules[venue.idx()];
        size.0 > 0 && size >= rules.size_min && price * size >= rules.notional_min
    }

    /// Smallest order that a venue takes at this price, on its lot.
    pub fn least(&self, venue: Venue, price: Price) -> Size {
        let rules = &self.rules[venue.idx()];
        let by_notional = smallest_worth(rules.notional_min, price);
        let least = rules.lot.max(rules.size_min).max(by_notional);
        Size(least.0.min(OUT_OF_REACH)).ceil_to(rules.lot)
    }

    /// What can be done about `excess` that stands alone on `large`, at the price that an order on
    /// each venue would have.
    pub fn remedy(&self, large: Venue, excess: Size, prices: [Price; VENUE_COUNT]) -> Remedy {
        let small = large.other();
        let hedge = self.floor(small, excess);
        let hedges = self.takes_floored(small, hedge, prices[small.idx()]);
        let closes = self.takes(large, excess, prices[large.idx()]);
        match (hedges, closes) {
            (true, true) => Remedy::Either(hedge),
            (true, false) => Remedy::Hedge(hedge),
            (false, true) => Remedy::Close,
            (false, false) => Remedy::Dust,
        }
    }

    /// The dust rule: the largest excess of either leg that neither venue takes at these prices,
    /// one grain below the smaller of what each asks for. Zero: every excess can be dealt with.
    pub fn dust(&self, prices: [Price; VENUE_COUNT]) -> Size {
        let [extended, lighter] = self.least_of_both(prices);
        extended.min(lighter) - self.grain
    }

    fn least_of_both(&self, prices: [Price; VENUE_COUNT]) -> [Size; VENUE_COUNT] {
        let [extended, lighter] = prices;
        [
            self.least(Venue::Extended, extended),
            self.least(Venue::Lighter, lighter),
        ]
    }

    /// Smallest pair at these bids, on the joint step: what both venues take after the fall in
    /// price that is allowed for, and beside it the dust that may have to be topped up.
    pub fn size_min(&self, bids: [Price; VENUE_COUNT]) -> Size {
        let low = bids.map(|bid| bid - FALL.of_price(bid));
        let [extended, lighter] = self.least_of_both(low);
        // The larger, and beside it the dust: what lies a grain below the smaller.
        let whole = extended + lighter - self.grain;
        Size(whole.0.min(2 * OUT_OF_REACH)).ceil_to(self.step.max(Size(1)))
    }
}

/// The smallest size whose notional at a price is at least this.
fn smallest_worth(notional: Notional, price: Price) -> Size {
    let price = i128::from(price.0.max(1));
    let size = (notional.0 + price - 1) / price;
    Size(i64::try_from(size).unwrap_or(OUT_OF_REACH))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::market::units::SCALE;
    use crate::market::{Bounds, InstrumentId, Name};
    use proptest::prelude::*;

    fn market(venue: Venue, lot: i64, size_min: i64, notional_min: Notional) -> Market {
        Market {
            venue,
            instrument: InstrumentId(0),
            name: Name::new("BTC").unwrap(),
            venue_market: 1,
            tick: Price(SCALE / 10),
            lot: Size(lot),
            size_min: Size(size_min),
            notional_min,
            fee_taker: Bps::ZERO,
            fee_maker: Bps::ZERO,
            bounds: Bounds::default(),
        }
    }

    /// Lots and minima as on the venues for BTC: 0.00001 on both; 0.0001 on Extended; 0.0002 and 10
    /// USD on Lighter.
    fn bitcoin() -> Lattice {
        Lattice::new(&[
            market(Venue::Extended, 10_000, 100_000, Notional::ZERO),
            market(Venue::Lighter, 10_000, 200_000, Notional::from_usd(10)),
        ])
    }

    const USD_40_000: [Price; VENUE_COUNT] = [Price(40_000 * SCALE); VENUE_COUNT];

    #[test]
    fn what_a_venue_takes() {
        let lattice = bitcoin();
        let price = USD_40_000[0];
        for (venue, size, takes) in [
            (Venue::Extended, 100_000, true),
            (Venue::Extended, 109_999, true),
            (Venue::Extended, 99_999, false),
            (Venue::Lighter, 250_000, true),
            // 9.6 USD.
            (Venue::Lighter, 240_000, false),
            (Venue::Extended, 0, false),
            (Venue::Extended, -100_000, false),
        ] {
            assert_eq!(lattice.takes(venue, Size(size), price), takes, "{size}");
        }
        assert_eq!(lattice.least(Venue::Extended, price), Size(100_000));
        assert_eq!(lattice.least(Venue::Lighter, price), Size(250_000));
        assert_eq!(lattice.step(), Size(10_000));
    }

    #[test]
    fn remainders_and_what_is_done_about_them() {
        let lattice = bitcoin();
        let at = |excess| lattice.remedy(Venue::Lighter, Size(excess), USD_40_000);
        assert_eq!(at(300_000), Remedy::Either(Size(300_000)));
        assert_eq!(at(240_000), Remedy::Hedge(Size(240_000)));
        assert_eq!(at(90_000), Remedy::Dust);
        let other = lattice.remedy(Venue::Extended, Size(240_000), USD_40_000);
        assert_eq!(other, Remedy::Close);
        // Nine lots are the most that neither takes.
        let dust = lattice.dust(USD_40_000);
        assert_eq!(dust, Size(90_000));
        // After a fall of 5 %: 10 USD are 27 lots, and nine of dust.
        assert_eq!(lattice.size_min(USD_40_000), Size(270_000 + 90_000));
    }

    #[test]
    fn lots_that_do_not_meet_leave_less_than_a_lot() {
        let lattice = Lattice::new(&[
            market(Venue::Extended, 30, 30, Notional::ZERO),
            market(Venue::Lighter, 20, 40, Notional::ZERO),
        ]);
        assert_eq!(lattice.step(), Size(60));
        let at = |excess| lattice.remedy(Venue::Lighter, Size(excess), USD_40_000);
        assert_eq!(at(40), Remedy::Either(Size(30)));
        assert_eq!(at(20), Remedy::Dust);
        // A hedge of 30 against 50 leaves 20; one of 40 against 60 would, too.
        assert_eq!(lattice.dust(USD_40_000), Size(20));
        let never = Lattice::new(&[
            market(Venue::Extended, i64::MAX, 1, Notional::ZERO),
            market(Venue::Lighter, i64::MAX - 1, 1, Notional::ZERO),
        ]);
        assert_eq!(never.step(), Size::ZERO);
    }

    #[test]
    fn a_price_that_is_none_is_out_of_reach() {
        let lattice = bitcoin();
        let none = [Price::ZERO; VENUE_COUNT];
        assert!(lattice.size_min(none) > Size(1_000_000_000 * SCALE));
        assert!(!lattice.takes(Venue::Lighter, Size(SCALE), Price::ZERO));
    }

    /// The judge: a venue's rules as its page states them, one lot after the other.
    #[derive(Clone, Copy, Debug)]
    struct Naive {
        lot: i64,
        size_min: i64,
        notional_min: i64,
        price: i64,
    }

    impl Naive {
        fn takes(&self, size: i64) -> bool {
            let on_lot = size > 0 && size % self.lot == 0;
            on_lot && size >= self.size_min && size * self.price >= self.notional_min
        }

        /// Largest order of at most this size that the venue takes.
        fn most(&self, size: i64) -> Option<i64> {
            (1..=size).rev().find(|size| self.takes(*size))
        }

        fn rules(&self, venue: Venue) -> Market {
            // Prices of the judge are whole units: notionals carry the square of the scale.
            let notional = Notional(i128::from(self.notional_min) * i128::from(SCALE));
            market(venue, self.lot, self.size_min, notional)
        }
    }

    fn naive() -> impl Strategy<Value = Naive> {
        (1_i64..8, 0_i64..30, 0_i64..4_000, 1_i64..200).prop_map(|(lot, least, notional, price)| {
            Naive {
                lot,
                size_min: least,
                notional_min: notional,
                price,
            }
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(400))]
        /// Whatever part of the smallest pair fills on the leading leg, at the prices of the entry
        /// or after the fall that is allowed for: it is hedged to the other's lot, or taken back,
        /// or no more than the stated dust; and dust can be topped up within the pair's size.
        #[test]
        fn every_partial_fill_can_be_dealt_with(
            rules in [naive(), naive()],
            fall in 0_i64..=5,
            leads in any::<bool>(),
        ) {
            let lattice = Lattice::new(&[
                rules[0].rules(Venue::Extended),
                rules[1].rules(Venue::Lighter),
            ]);
            let bids = rules.map(|rules| Price(rules.price * SCALE));
            let size = lattice.size_min(bids).0;
            // In hundredths, so that the fall is exact.
            let fallen = rules.map(|rules| Naive {
                price: rules.price * (100 - fall),
                notional_min: rules.notional_min * 100,
                ..rules
            });
            let prices = fallen.map(|rules| Price(rules.price * (SCALE / 100)));
            let lead = if leads { Venue::Lighter } else { Venue::Extended };
            let (large, small) = (fallen[lead.idx()], fallen[lead.other().idx()]);
            let dust = lattice.dust(prices).0;
            prop_assert!(large.takes(size) && small.takes(size), "the whole pair");
            for filled in (large.lot..=size).step_by(large.lot as usize) {
                let hedge = small.most(filled);
                let closes = large.takes(filled);
                let expected = match (hedge, closes) {
                    (Some(hedge), true) => Remedy::Either(Size(hedge)),
                    (Some(hedge), false) => Remedy::Hedge(Size(hedge)),
                    (None, true) => Remedy::Close,
                    (None, false) => Remedy::Dust,
                };
                prop_assert_eq!(lattice.remedy(lead, Size(filled), prices), expected);
                // What a hedge leaves is closed, or less than the other's lot and mere dust.
                let rest = filled - hedge.unwrap_or(0);
                if hedge.is_some() {
                    prop_assert!(rest < small.lot);
                    prop_assert!(large.most(rest).is_some() || rest <= dust);
                } else if !closes {
                    prop_assert!(filled <= dust, "{} of {}", filled, dust);
                    let more = lattice.least(lead, prices[lead.idx()]).0;
                    prop_assert!(large.takes(more) && filled + more <= size);
                    prop_assert!(large.takes(filled + more));
                }
            }
            // The rule is no wider than it must be: the largest dust is dust.
            if dust > 0 {
                prop_assert!(!large.takes(dust) && small.most(dust).is_none());
            }
        }
    }
}
