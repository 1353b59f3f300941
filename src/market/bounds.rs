//! What a venue asks as margin on a market, and the largest order and position it takes there.
//!
//! Promises: where a venue states nothing, margins are the safest there are, and there is no limit.
//! Refuses: to know what we hold, or where prices stand.

use crate::market::book::Side;
use crate::market::units::{Notional, Price, SCALE};

/// One market's margins and limits, as the venue stated them at the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Initial margin of a position, 10^-4 of its value.
    pub initial_margin_e4: u32,
    /// Margin below which it is liquidated, 10^-4 of its value.
    pub maintenance_margin_e4: u32,
    /// Largest value of one order; `None` where none is stated.
    pub order_value_max: Option<Notional>,
    /// Largest value of a position; `None` where none is stated.
    pub position_value_max: Option<Notional>,
    /// What was left of the market's open-interest limit; `None` where none is stated.
    pub open_interest_left: Option<Notional>,
    /// A buy's limit may stand this far over the venue's mark, a ratio at 10^-9.
    pub price_cap_e9: Option<i64>,
    /// A sale's limit may stand this far below it, a ratio at 10^-9.
    pub price_floor_e9: Option<i64>,
}

impl Default for Bounds {
    /// Nothing stated: no leverage, liquidation at half of it (the rule of Extended's published
    /// schedules, user documentation, TradFi markets), no limits.
    fn default() -> Bounds {
        Bounds {
            initial_margin_e4: 10_000,
            maintenance_margin_e4: 5_000,
            order_value_max: None,
            position_value_max: None,
            open_interest_left: None,
            price_cap_e9: None,
            price_floor_e9: None,
        }
    }
}

impl Bounds {
    /// Whether the venue takes an order of this side at this limit while its mark stands there.
    /// Source: Extended, private REST, create or edit order.
    #[inline]
    pub fn takes_price(&self, side: Side, limit: Price, mark: Price) -> bool {
        let apart = match side {
            Side::Bid => self.price_cap_e9.map(|most| (limit.0 - mark.0, most)),
            Side::Ask => self.price_floor_e9.map(|most| (mark.0 - limit.0, most)),
        };
        apart.is_none_or(|(apart, most)| {
            i128::from(apart) * i128::from(SCALE) <= i128::from(mark.0) * i128::from(most)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_may_stand_so_far_from_mark() {
        let bounds = Bounds {
            price_cap_e9: Some(50_000_000),
            price_floor_e9: Some(40_000_000),
            ..Bounds::default()
        };
        let mark = Price(1_000 * SCALE);
        for (side, limit, takes) in [
            (Side::Bid, 1_050 * SCALE, true),
            (Side::Bid, 1_050 * SCALE + 1, false),
            (Side::Bid, 1, true),
            (Side::Ask, 960 * SCALE, true),
            (Side::Ask, 960 * SCALE - 1, false),
            (Side::Ask, 9_000 * SCALE, true),
        ] {
            assert_eq!(bounds.takes_price(side, Price(limit), mark), takes);
            let unbound = Bounds::default();
            assert!(unbound.takes_price(side, Price(limit), mark));
        }
    }
}
