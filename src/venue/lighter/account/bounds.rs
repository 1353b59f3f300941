//! Margins and limits of a market as the house knows them, from the venue's row.
//!
//! Promises: where the row is silent, the safest margin and no limit. Source: *rest* in the venue's
//! Sources. Refuses: to guess a price cap.

use super::MarketRow;
use crate::market::Bounds;

impl MarketRow {
    /// Margins and limits. How far from its mark the venue takes a price is not documented.
    pub fn bounds(&self) -> Bounds {
        let unknown = Bounds::default();
        let initial_margin_e4 = self.initial_margin_e4.unwrap_or(unknown.initial_margin_e4);
        Bounds {
            initial_margin_e4,
            maintenance_margin_e4: self
                .maintenance_margin_e4
                .unwrap_or(initial_margin_e4.min(unknown.maintenance_margin_e4)),
            order_value_max: self.order_value_max,
            open_interest_left: self.open_interest_left,
            ..unknown
        }
    }
}
