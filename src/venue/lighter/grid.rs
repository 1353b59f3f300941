//! Lighter's integers: one market's decimals, and an order in the venue's own units.
//!
//! Promises: exact or refused. Refuses: grids that are not powers of ten, values out of range.
//! Source: *signer* (widths of fields) in the venue's Sources.

use super::sign::checks::{MAX_48, PRICE_MAX};
use super::sign::order::{CreateOrder, OrderType, TimeInForce};
use crate::market::Market;
use crate::market::book::Side;
use crate::market::order::Order;
use crate::market::units::SCALE_DIGITS;

/// Largest client order index; 0 means none.
pub const INDEX_MAX: u64 = MAX_48 as u64;

/// One market's number and decimals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grid {
    /// Market id; 0 is a real market.
    pub venue_market: u64,
    price_decimals: u32,
    size_decimals: u32,
}

impl Grid {
    /// From a market's tick and lot; `None` unless both are powers of ten.
    pub fn new(market: &Market) -> Option<Grid> {
        Some(Grid {
            venue_market: u64::from(market.venue_market),
            price_decimals: decimals(market.tick.0)?,
            size_decimals: decimals(market.lot.0)?,
        })
    }

    /// The order as a limit, immediate-or-cancel, without trigger: then its expiry must be 0.
    /// `None` when price or size is not exact or out of range.
    pub fn create(&self, order: &Order) -> Option<CreateOrder> {
        let price = order.price.to_scaled(self.price_decimals)?;
        let base_amount = order.size.to_scaled(self.size_decimals)?;
        let is_in_range = (1..=PRICE_MAX).contains(&price) && (1..=MAX_48).contains(&base_amount);
        is_in_range.then_some(CreateOrder {
            market_index: self.venue_market,
            client_order_index: order.id.0,
            base_amount: base_amount as u64,
            price: price as u64,
            is_ask: order.side == Side::Ask,
            order_type: OrderType::Limit,
            time_in_force: TimeInForce::ImmediateOrCancel,
            reduce_only: order.reduce_only,
            trigger_price: 0,
            order_expiry_ms: 0,
        })
    }
}

/// Decimals of a grid step at 10^-9: `None` unless it is a power of ten.
fn decimals(step: i64) -> Option<u32> {
    (0..=SCALE_DIGITS).find(|decimals| 10_i64.pow(SCALE_DIGITS - decimals) == step)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_powers_of_ten_are_grids() {
        for (step, expected) in [
            (1_000_000_000, Some(0)),
            (10_000_000, Some(2)),
            (1, Some(9)),
            (5, None),
            (0, None),
            (-1, None),
            (10_000_000_000, None),
        ] {
            assert_eq!(decimals(step), expected, "{step}");
        }
    }
}
