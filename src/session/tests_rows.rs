//! Rows of the venues' market lists, as tests of this room want them: BTC's numbers, any name.

use crate::market::Name;
use crate::market::units::{Notional, Price, SCALE, Size};
use crate::venue::Listing;
use crate::venue::extended::account::MarketInfo;
use crate::venue::extended::sign::Felt;
use crate::venue::lighter::account::MarketRow;

/// Every market of these tests costs this much.
pub const PRICE: Price = Price(50_000 * SCALE);

/// A list without rows that can't be read.
pub fn listing<M>(markets: Vec<M>) -> Listing<M> {
    Listing {
        markets,
        unread: Vec::new(),
    }
}

/// A market of Extended that can be traded.
pub fn market(base: &str) -> MarketInfo {
    MarketInfo {
        name: Name::new(&format!("{base}-USD")).expect("a short name"),
        base: base.into(),
        is_perpetual: true,
        is_active: true,
        status: "ACTIVE".into(),
        is_rfq: false,
        category: "Crypto".into(),
        trading_hours: "CONTINUOUS".into(),
        tick: Price(100_000_000),
        lot: Size(10_000),
        size_min: Size(100_000),
        order_value_max: Notional::from_usd(1_000_000),
        position_value_max: Notional::from_usd(1_000_000),
        open_interest_left: None,
        price_cap: 50_000_000,
        price_floor: 50_000_000,
        mid: Some(PRICE),
        mark: Some(PRICE),
        index: Some(PRICE),
        daily_volume: Notional::from_usd(1_000_000),
        funding_rate: 0,
        funding_next_ms: 0,
        margins: Vec::new(),
        base_asset: Felt::from(7_u8),
        base_resolution: 1_000_000,
        quote_asset: Felt::from(1_u8),
        quote_resolution: 1_000_000,
    }
}

/// A market of Lighter that can be traded.
pub fn row(symbol: &str, market_id: u32) -> MarketRow {
    MarketRow {
        symbol: symbol.into(),
        market_id,
        is_perp: true,
        is_active: true,
        status: "active".into(),
        is_reduce_only: false,
        is_multiplied: false,
        trading_hours: String::new(),
        price_decimals: 1,
        size_decimals: 5,
        size_min: Size(200_000),
        notional_min: Notional::from_usd(10),
        order_value_max: Some(Notional::from_usd(281_474_976)),
        open_interest_left: None,
        mark: Some(PRICE),
        index: Some(PRICE),
        last: None,
        daily_volume: Notional::from_usd(1_000_000),
        initial_margin_e4: Some(500),
        maintenance_margin_e4: Some(120),
    }
}
