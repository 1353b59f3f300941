//! The market's side of Lighter's JSON: rows of `orderBooks` and `orderBookDetails`, statistics.
//!
//! Promises: every field of the official Python library's models 1.1.8, with the values of captured
//! mainnet rows where the simulated venue has none of its own.

use super::numbers::{fixed, usdc};
use crate::market::units::{Nanos, Price};
use crate::sim::exchange::{Funding, Rules};
use serde_json::{Map, Value, json};

/// When the captured ETH market was created, epoch milliseconds.
const CREATED_AT_MS: &str = "1737098461100";

/// Smallest initial margin a leverage change may ask for: ETH and BTC have 500 by default and allow
/// 200 (10^-4 of notional), so the same ratio serves all.
pub fn initial_margin_min_e4(rules: &Rules) -> u32 {
    rules.initial_margin_e4.min(500) * 2 / 5
}

/// One row of `orderBooks`.
pub fn row(rules: &Rules) -> Map<String, Value> {
    let row = json!({
        "symbol": rules.name, "market_id": rules.venue_market, "market_type": "perp",
        "base_asset_id": 0, "quote_asset_id": 0, "status": "active",
        "taker_fee": "0.0000", "is_taker_fee_enabled": true,
        "maker_fee": "0.0000", "is_maker_fee_enabled": true, "liquidation_fee": "1.0000",
        "min_base_amount": fixed(rules.size_min.0, rules.size_decimals),
        "min_quote_amount": usdc(rules.notional_min),
        "order_quote_limit": "281474976.710655",
        "supported_size_decimals": rules.size_decimals,
        "supported_price_decimals": rules.price_decimals, "supported_quote_decimals": 6,
        "created_at": CREATED_AT_MS, "multiplier": "1.000000000000000000",
        "start_timestamp": 0, "end_timestamp": 0, "settlement_type": 0, "settlement_price": 0,
        "settlement_cap": 0, "outcome": 0, "default_price": 0, "operator_account_index": 0,
        "is_frozen": false, "open_interest": "0.000000",
    });
    match row {
        Value::Object(row) => row,
        _ => Map::new(),
    }
}

/// What the venue says of a market that moves.
#[derive(Clone, Copy, Debug)]
pub struct Prices {
    /// Mark price.
    pub mark: Price,
    /// Index price.
    pub index: Price,
    /// Last traded price; the mark before the first trade.
    pub last: Price,
    /// Between best bid and best ask; the mark where a side is empty.
    pub mid: Price,
    /// Funding.
    pub funding: Funding,
}

/// One row of `orderBookDetails`.
pub fn details(rules: &Rules, prices: &Prices) -> Value {
    let mut row = row(rules);
    let price = |value: Price| fixed(value.0, rules.price_decimals);
    let last: f64 = price(prices.last).parse().unwrap_or(0.0);
    let more = json!({
        "size_decimals": rules.size_decimals, "price_decimals": rules.price_decimals,
        "quote_multiplier": 1,
        "default_initial_margin_fraction": rules.initial_margin_e4,
        "min_initial_margin_fraction": initial_margin_min_e4(rules),
        "maintenance_margin_fraction": rules.maintenance_margin_e4,
        "closeout_margin_fraction": rules.maintenance_margin_e4 * 2 / 3,
        "last_trade_price": last, "daily_trades_count": 0, "daily_base_token_volume": 0,
        "daily_quote_token_volume": 0, "daily_price_low": last, "daily_price_high": last,
        "daily_price_change": 0, "open_interest": 0, "daily_chart": {},
        "market_config": {
            "market_margin_mode": 0, "insurance_fund_account_index": 281_474_976_710_654_u64,
            "liquidation_mode": 0, "force_reduce_only": false,
            "funding_fee_discounts_enabled": false, "trading_hours": "", "hidden": false,
            "rfq_enabled": false,
        },
        "strategy_index": 0, "funding_clamp_small": "0.0500", "funding_clamp_big": "4.0000",
        "base_interest_rate": "0.0100", "mark_price": price(prices.mark),
        "index_price": price(prices.index), "market_flags": 0, "funding_premium_multiplier": 100,
    });
    if let Value::Object(more) = more {
        row.extend(more);
    }
    Value::Object(row)
}

/// One `market_stats` of the stream.
pub fn stats(rules: &Rules, prices: &Prices, now: Nanos) -> Value {
    let price = |value: Price| fixed(value.0, rules.price_decimals);
    let last: f64 = price(prices.last).parse().unwrap_or(0.0);
    let rate = percent(prices.funding.rate_e9);
    json!({
        "symbol": rules.name, "market_id": rules.venue_market,
        "index_price": price(prices.index), "mark_price": price(prices.mark),
        "mid_price": price(prices.mid), "last_trade_price": price(prices.last),
        "open_interest": "0.000000", "open_interest_limit": "72057594037927936.000000",
        "funding_clamp_small": "0.0500", "funding_clamp_big": "4.0000",
        "base_interest_rate": "0.0100",
        "current_funding_rate": rate, "funding_rate": rate,
        "funding_timestamp": prices.funding.last(now).epoch_ms(),
        "daily_base_token_volume": 0.0, "daily_quote_token_volume": 0.0,
        "daily_price_low": last, "daily_price_high": last, "daily_price_change": 0.0,
    })
}

/// A rate as the venue writes it: per cent.
pub fn percent(rate_e9: i64) -> String {
    fixed(rate_e9 * 100, 4)
}

/// Rows of `fundings`, newest last: one an hour in `[start_s, end_s]`, at most `count`.
pub fn fundings(
    rules: &Rules,
    mark: Price,
    rate_e9: i64,
    span_s: (u64, u64),
    count: usize,
) -> Vec<Value> {
    let value = i128::from(mark.0) * i128::from(rate_e9) / 1_000_000_000;
    let value = fixed(value as i64, 8.min(rules.price_decimals + 6));
    let first = span_s
        .0
        .div_ceil(3600)
        .max((span_s.1 / 3600).saturating_sub(count as u64));
    (first..=span_s.1 / 3600)
        .map(|hour| {
            json!({
                "timestamp": hour * 3600, "value": value, "rate": percent(rate_e9),
                "direction": "long",
            })
        })
        .collect()
}

/// One row of `funding-rates`: of eight hours, a ratio.
pub fn funding_rate(rules: &Rules, rate_e9: i64) -> Value {
    json!({
        "market_id": rules.venue_market, "exchange": "lighter", "symbol": rules.name,
        "rate": (rate_e9 * 8) as f64 / 1e9,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::market::InstrumentId;
    use crate::market::Venue;
    use crate::market::units::{Notional, Size};

    fn eth() -> Rules {
        Rules {
            is_isolated: false,
            instrument: InstrumentId(1),
            name: "ETH".into(),
            base: "ETH".into(),
            venue_market: 0,
            tick: Price::parse(b"0.01").unwrap(),
            lot: Size::parse(b"0.0001").unwrap(),
            price_decimals: 2,
            size_decimals: 4,
            size_min: Size::parse(b"0.005").unwrap(),
            notional_min: Notional::from_usd(10),
            initial_margin_e4: 500,
            maintenance_margin_e4: 120,
        }
    }

    #[test]
    fn the_eth_row_equals_the_captured_one() {
        let path = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/tests/data/lighter/lighter_messages.jsonl"
        );
        let text = std::fs::read_to_string(path).unwrap();
        let line = text
            .lines()
            .find(|line| line.contains("rest orderBooks"))
            .unwrap();
        let line: Value = serde_json::from_str(line).unwrap();
        let theirs = line["message"]["order_books"][0].as_object().unwrap();
        let ours = row(&eth());
        for (key, value) in theirs {
            assert_eq!(ours.get(key), Some(value), "{key}");
        }
    }

    #[test]
    fn details_carry_margins_and_prices() {
        let price = Price::parse(b"2064.47").unwrap();
        let prices = Prices {
            mark: price,
            index: price,
            last: price,
            mid: price,
            funding: Funding::of(Venue::Lighter),
        };
        let details = details(&eth(), &prices);
        assert_eq!(details["mark_price"], "2064.47");
        assert_eq!(details["last_trade_price"], 2064.47);
        assert_eq!(details["closeout_margin_fraction"], 80);
        assert_eq!(details["min_initial_margin_fraction"], 200);
        let stats = stats(&eth(), &prices, Nanos(1_795_000_123_000_000_000));
        assert_eq!(stats["mid_price"], "2064.47");
        assert_eq!(stats["funding_timestamp"].as_u64().unwrap() % 3_600_000, 0);
    }

    #[test]
    fn fundings_fill_the_span_by_the_hour() {
        let mark = Price::parse(b"2256").unwrap();
        let rows = fundings(&eth(), mark, 12_000, (3600 * 10, 3600 * 20), 100);
        assert_eq!(rows.len(), 11);
        // Close to the documentation's own pair: 0.02707872 at about 2256.
        assert_eq!(rows[0]["value"], "0.02707200");
    }
}
