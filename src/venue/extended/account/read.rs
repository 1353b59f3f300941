//! Answers of the start-up REST, from JSON to values.
//!
//! Promises: what orders depend on (grid, ids, resolutions, fee rates, sizes) is exact or the whole
//! object is refused; what only informs (mark, index, funding, money) is rounded to 10^-9.
//! Ids and counters come as numbers or as their texts, times in milliseconds.
//! Sources: D1 (public REST, private REST), S1 (`models.*`), C1.

use super::{AccountInfo, BalanceInfo, Fees, MarketInfo, OrderInfo, PositionInfo, RestError};
use crate::market::Name;
use crate::market::book::Side;
use crate::market::units::{Notional, Price, Size, parse_decimal, parse_decimal_rounded};
use crate::venue::extended::orders::parse_id;
use crate::venue::extended::sign::parse_felt;
use serde_json::Value;

/// The items of a list; a single object is a list of one.
pub(super) fn list<'a>(data: &'a Value, what: &'static str) -> Result<&'a [Value], RestError> {
    match data {
        Value::Array(items) => Ok(items),
        Value::Object(_) => Ok(std::slice::from_ref(data)),
        _ => Err(RestError::Unreadable(what)),
    }
}

/// Reads every item, or fails as a whole.
pub(super) fn read_list<T>(
    data: &Value,
    what: &'static str,
    read: fn(&Value) -> Option<T>,
) -> Result<Vec<T>, RestError> {
    let items = list(data, what)?.iter().map(read);
    items
        .map(|item| item.ok_or(RestError::Unreadable(what)))
        .collect()
}

/// A whole number, written as a number or as its text.
pub(super) fn number(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}

/// A decimal text that must be exact at 10^-9.
fn exact(value: &Value) -> Option<i64> {
    parse_decimal(value.as_str()?.as_bytes()).ok()
}

/// A decimal text that may be finer (mark prices are doubles printed in full, C1).
fn rounded(value: &Value) -> Option<i64> {
    parse_decimal_rounded(value.as_str()?.as_bytes()).ok()
}

/// An amount of USD.
fn money(value: &Value) -> Option<Notional> {
    rounded(value).map(Notional::from_nano)
}

fn text(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

fn side(value: &Value) -> Option<Side> {
    match value.as_str()? {
        "BUY" => Some(Side::Bid),
        "SELL" => Some(Side::Ask),
        _ => None,
    }
}

/// A market; `None` when its grid, its ids or its limits cannot be read.
pub(super) fn read_market(value: &Value) -> Option<MarketInfo> {
    let (trading, l2, stats) = (
        &value["tradingConfig"],
        &value["l2Config"],
        &value["marketStats"],
    );
    let is_rfq = value["isRfq"].as_bool()?;
    let status = text(&value["status"])?;
    let trading_hours = text(&value["tradingHours"]).unwrap_or_else(|| "CONTINUOUS".to_owned());
    let is_perpetual = value["type"]
        .as_str()
        .is_none_or(|kind| kind == "PERPETUAL");
    let margins = trading["riskFactorConfig"].as_array()?.iter();
    let margins = margins.map(|row| Some((money(&row["upperBound"])?, exact(&row["riskFactor"])?)));
    let market = MarketInfo {
        name: Name::new(value["name"].as_str()?)?,
        base: text(&value["assetName"])?,
        is_tradable: value["active"].as_bool()?
            && is_perpetual
            && !is_rfq
            && status == "ACTIVE"
            && trading_hours == "CONTINUOUS",
        status,
        is_rfq,
        trading_hours,
        tick: Price(exact(&trading["minPriceChange"])?),
        lot: Size(exact(&trading["minOrderSizeChange"])?),
        size_min: Size(exact(&trading["minOrderSize"])?),
        order_value_max: money(&trading["maxLimitOrderValue"])?,
        position_value_max: money(&trading["maxPositionValue"])?,
        price_cap: exact(&trading["limitPriceCap"])?,
        price_floor: exact(&trading["limitPriceFloor"])?,
        mark: Price(rounded(&stats["markPrice"])?),
        index: Price(rounded(&stats["indexPrice"])?),
        funding_rate: rounded(&stats["fundingRate"])?,
        funding_next_ms: number(&stats["nextFundingRate"]).unwrap_or(0),
        margins: margins.collect::<Option<_>>()?,
        base_asset: parse_felt(l2["syntheticId"].as_str()?)?,
        base_resolution: number(&l2["syntheticResolution"])?,
        quote_asset: parse_felt(l2["collateralId"].as_str()?)?,
        quote_resolution: number(&l2["collateralResolution"])?,
    };
    let has_grid = market.tick > Price::ZERO && market.lot > Size::ZERO;
    has_grid.then_some(market)
}

pub(super) fn read_fees(value: &Value) -> Option<Fees> {
    Some(Fees {
        market: text(&value["market"])?,
        maker_rate: exact(&value["makerFeeRate"])?,
        taker_rate: exact(&value["takerFeeRate"])?,
    })
}

/// Vault and account number come as numbers or as texts (C1, D1).
pub(super) fn read_account(value: &Value) -> Option<AccountInfo> {
    Some(AccountInfo {
        account_id: number(&value["accountId"]).or_else(|| number(&value["id"]))?,
        status: text(&value["status"]).unwrap_or_default(),
        public_key: value["l2Key"].as_str().and_then(parse_felt),
        vault: u32::try_from(number(&value["l2Vault"])?).ok()?,
    })
}

pub(super) fn read_balance(value: &Value) -> Option<BalanceInfo> {
    Some(BalanceInfo {
        balance: money(&value["balance"])?,
        equity: money(&value["equity"])?,
        available: money(&value["availableForTrade"])?,
        initial_margin: money(&value["initialMargin"])?,
        margin_ratio: rounded(&value["marginRatio"])?,
    })
}

/// A position; CLOSED is flat whatever size it still shows.
pub(super) fn read_position(value: &Value) -> Option<PositionInfo> {
    let size = Size(exact(&value["size"])?.checked_abs()?);
    let size = match (value["status"].as_str(), value["side"].as_str()?) {
        (Some("CLOSED"), _) => Size::ZERO,
        (_, "LONG") => size,
        (_, "SHORT") => -size,
        _ => return None,
    };
    Some(PositionInfo {
        market: text(&value["market"])?,
        size,
        entry: Price(rounded(&value["openPrice"])?),
        mark: Price(rounded(&value["markPrice"])?),
        unrealised: money(&value["unrealisedPnl"])?,
    })
}

/// An order; one of the type POSITION has no price of its own.
pub(super) fn read_order(value: &Value) -> Option<OrderInfo> {
    let external_id = text(&value["externalId"])?;
    Some(OrderInfo {
        venue_id: number(&value["id"])?,
        id: parse_id(&external_id),
        external_id,
        market: text(&value["market"])?,
        side: side(&value["side"])?,
        status: text(&value["status"])?,
        price: Price(rounded(&value["price"]).unwrap_or(0)),
        size: Size(exact(&value["qty"])?),
        filled: Size(exact(&value["filledQty"]).unwrap_or(0)),
    })
}

#[cfg(test)]
mod tests {
    use super::super::open;
    use super::*;
    use crate::market::InstrumentId;
    use crate::market::order::OrderId;
    use crate::market::units::Bps;
    use crate::venue::extended::sign::Felt;

    /// Recorded and documented answers of one kind, opened.
    fn recorded(kind: &str) -> Vec<Value> {
        let lines = include_str!("../../../../tests/data/extended/extended_messages.jsonl").lines();
        let lines = lines.map(|line| serde_json::from_str::<Value>(line).unwrap());
        let of_kind = lines.filter(|line| line["kind"] == kind);
        of_kind
            .map(|line| open(200, line["message"].to_string().as_bytes()).unwrap())
            .collect()
    }

    fn usd(nano: i64) -> Notional {
        Notional::from_nano(nano)
    }

    #[test]
    fn the_recorded_market() {
        let data = &recorded("rest.markets")[0];
        let markets = read_list(data, "markets", read_market).unwrap();
        let market = &markets[0];
        assert_eq!(
            (market.name.as_str(), market.base.as_str()),
            ("BTC-USD", "BTC")
        );
        assert!(market.is_tradable && !market.is_rfq);
        assert_eq!((market.tick.0, market.lot.0), (1_000_000_000, 10_000));
        assert_eq!((market.size_min.0, market.price_cap), (100_000, 50_000_000));
        assert_eq!(market.base_resolution, 1_000_000);
        assert_eq!(market.quote_asset, Felt::ONE);
        assert_eq!(
            market.base_asset,
            parse_felt("0x4254432d3600000000000000000000").unwrap()
        );
        assert_eq!(market.order_value_max, Notional::from_usd(15_000_000));
        assert!(!market.margins.is_empty());
        let fees = &read_list(&recorded("rest.fees")[0], "fees", read_fees).unwrap()[0];
        assert_eq!((fees.maker_rate, fees.taker_rate), (0, 250_000));
        let config = market.config(InstrumentId(3), fees);
        assert_eq!(config.market.fee_taker, Bps::from_milli(2500));
        assert_eq!(config.fee_rate_taker, 250_000);
    }

    #[test]
    fn a_market_without_a_grid_is_refused() {
        let good = recorded("rest.markets")[0][0].clone();
        for (place, name) in [
            ("tradingConfig", "minPriceChange"),
            ("tradingConfig", "minOrderSizeChange"),
            ("l2Config", "syntheticId"),
            ("l2Config", "syntheticResolution"),
        ] {
            let mut bad = good.clone();
            bad[place][name] = Value::Null;
            assert!(read_market(&bad).is_none(), "{name}");
        }
        let mut bad = good.clone();
        bad["tradingConfig"]["minPriceChange"] = "0".into();
        assert!(read_market(&bad).is_none());
        for (name, value) in [("isRfq", true.into()), ("status", "REDUCE_ONLY".into())] {
            let mut market = good.clone();
            market[name] = value;
            assert!(!read_market(&market).unwrap().is_tradable, "{name}");
        }
    }

    #[test]
    fn vaults_come_as_numbers_and_as_texts() {
        let infos: Vec<_> = recorded("rest.account-info")
            .iter()
            .map(|data| read_account(data).unwrap())
            .collect();
        assert_eq!((infos[0].vault, infos[0].public_key), (500_343, None));
        assert_eq!(infos[1].vault, 321);
        assert_eq!(infos[1].public_key, Some(Felt::from(0x123_u32)));
    }

    #[test]
    fn money_of_the_account() {
        let balance = read_balance(&recorded("rest.balance")[0]).unwrap();
        assert_eq!(balance.equity, usd(7_667_333_000));
        assert_eq!(balance.margin_ratio, 0);
    }

    #[test]
    fn positions_are_signed() {
        let mut value = recorded("rest.positions")[0][0].clone();
        let size = |value: &Value| read_position(value).unwrap().size;
        assert_eq!(size(&value), Size(100_000_000));
        value["side"] = "SHORT".into();
        assert_eq!(size(&value), Size(-100_000_000));
        value["status"] = "CLOSED".into();
        assert_eq!(size(&value), Size::ZERO);
        value["side"] = "BOTH".into();
        value["status"] = "OPENED".into();
        assert!(read_position(&value).is_none());
    }

    #[test]
    fn orders_of_others_are_not_ours() {
        let orders = read_list(&recorded("rest.open-orders")[0], "orders", read_order).unwrap();
        assert_eq!(orders[0].id, OrderId::NONE);
        assert_eq!(orders[0].venue_id, 1_775_511_783_722_512_384);
        assert_eq!(orders[0].filled, Size(100_000_000));
        // A single object is a list of one.
        let mut single = recorded("rest.order")[0].clone();
        single["externalId"] = "px-9".into();
        let orders = read_list(&single, "order", read_order).unwrap();
        assert_eq!((orders.len(), orders[0].id), (1, OrderId(9)));
    }
}
