//! Margins and limits of a market as the house knows them, from the venue's row.
//!
//! Promises: where the row leaves room, the safer reading. Source: D1 (markets), user documentation
//! (trading rules). Refuses: a margin above the whole value.

use super::MarketInfo;
use crate::market::Bounds;
use crate::market::units::{Notional, SCALE};

/// The largest position that a setting can ask for (MAX_POSITION_SIZE_USD).
const POSITION_MOST: Notional = Notional::from_usd(1_000_000);
/// Ratios at 10^-9 in one of 10^-4.
const RATIO_PER_E4: i64 = 100_000;

/// Leverage that the account has set on one market.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leverage {
    /// `BTC-USD`.
    pub market: String,
    /// Position value in margin; a ratio at 10^-9.
    pub ratio: i64,
}

impl MarketInfo {
    /// Largest value of a position at this leverage (a ratio at 10^-9): the bound of the last row
    /// whose margin is no more than the leverage sets aside. `None` where the venue lists no rows.
    pub fn position_value_at(&self, leverage: i64) -> Option<Notional> {
        let is_had = |ratio: i64| {
            let margin = i128::from(ratio) * i128::from(leverage);
            margin <= i128::from(SCALE) * i128::from(SCALE)
        };
        let rows = self.margins.iter().filter(|(_, ratio)| is_had(*ratio));
        let most = rows.map(|(most, _)| *most).max();
        (!self.margins.is_empty()).then(|| most.unwrap_or(Notional::ZERO))
    }

    /// The highest whole leverage with which a position of this value is had. `None` where the
    /// venue lists no rows, or takes none so large.
    pub fn leverage_for(&self, value: Notional) -> Option<u32> {
        let holds = self.margins.iter().filter(|(most, _)| *most >= value);
        let ratio = holds.map(|(_, ratio)| *ratio).min()?;
        u32::try_from(SCALE.checked_div(ratio)?)
            .ok()
            .filter(|whole| *whole > 0)
    }

    /// Margins and limits. The margin is that of the largest position that a setting allows, so
    /// that it holds for every smaller one; the venue's own figures don't say what is liquidated at
    /// which value, and its published schedules halve the initial margin (user documentation).
    pub(super) fn bounds(&self) -> Bounds {
        let holds = |row: &&(Notional, i64)| row.0 >= POSITION_MOST;
        let row = self.margins.iter().find(holds).or(self.margins.last());
        let stated = row.map(|(_, ratio)| (ratio / RATIO_PER_E4).clamp(1, 10_000) as u32);
        let unknown = Bounds::default();
        let some = |most: Notional| (most.0 > 0).then_some(most);
        Bounds {
            initial_margin_e4: stated.unwrap_or(unknown.initial_margin_e4),
            maintenance_margin_e4: stated
                .map_or(unknown.maintenance_margin_e4, |initial| initial.div_ceil(2)),
            order_value_max: some(self.order_value_max),
            position_value_max: some(self.position_value_max),
            open_interest_left: self.open_interest_left,
            price_cap_e9: Some(self.price_cap),
            price_floor_e9: Some(self.price_floor),
        }
    }
}
