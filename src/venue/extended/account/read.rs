//! Answers of the start-up REST, from JSON to values.
//!
//! Promises: what orders depend on (grid, ids, resolutions, fee rates, sizes) is exact or the whole
//! object is refused; what only informs (mark, index, funding, money) is rounded to 10^-9.
//! Ids and counters come as numbers or as their texts, times in milliseconds.
//! Sources: D1 (public REST, private REST), S1 (`models.*`), C1.

use super::{
    AccountInfo, BalanceInfo, Fees, Leverage, MarketInfo, OrderInfo, PositionInfo, RestError,
};
use crate::market::Name;
use crate::market::book::Side;
use crate::market::units::{Notional, Price, Size, parse_decimal, parse_decimal_rounded};
use crate::venue::extended::orders::parse_id;
use crate::venue::extended::sign::parse_felt;
use crate::venue::{Listing, Unread};
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

pub(super) fn text(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

fn side(value: &Value) -> Option<Side> {
    match value.as_str()? {
        "BUY" => Some(Side::Bid),
        "SELL" => Some(Side::Ask),
        _ => None,
    }
}

/// All markets of a list. A row without a name is an error: nobody could say what is missing.
pub(super) fn read_markets(data: &Value) -> Result<Listing<MarketInfo>, RestError> {
    let mut listing = Listing::default();
    for row in list(data, "markets")? {
        let name = text(&row["name"]).ok_or(RestError::Unreadable("market name"))?;
        match read_market(row) {
            Ok(market) => listing.markets.push(market),
            Err(field) => listing.unread.push(Unread { name, field }),
        }
    }
    Ok(listing)
}

/// A market, or the first field of its grid, its ids or its limits that can't be read. Prices may
/// be missing: a market that has none yet is still one that can be named.
fn read_market(value: &Value) -> Result<MarketInfo, &'static str> {
    let (trading, l2, stats) = (
        &value["tradingConfig"],
        &value["l2Config"],
        &value["marketStats"],
    );
    let grid = |field: &'static str| exact(&trading[field]).ok_or(field);
    let limit = |field: &'static str| money(&trading[field]).ok_or(field);
    let flag = |field: &'static str| value[field].as_bool().ok_or(field);
    let asset = |field: &'static str| l2[field].as_str().and_then(parse_felt).ok_or(field);
    let resolution = |field: &'static str| number(&l2[field]).ok_or(field);
    let price = |field| rounded(&stats[field]).filter(|p| *p > 0).map(Price);
    let name = value["name"].as_str().and_then(Name::new);
    let kind = value["type"].as_str();
    let hours = text(&value["tradingHours"]);
    let margins = trading["riskFactorConfig"].as_array();
    let margin = |row: &Value| Some((money(&row["upperBound"])?, exact(&row["riskFactor"])?));
    let margins = margins.and_then(|rows| rows.iter().map(margin).collect());
    let market = MarketInfo {
        name: name.ok_or("name")?,
        base: text(&value["assetName"]).ok_or("assetName")?,
        is_perpetual: kind.is_none_or(|kind| kind == "PERPETUAL"),
        is_active: flag("active")?,
        status: text(&value["status"]).ok_or("status")?,
        is_rfq: flag("isRfq")?,
        category: text(&value["category"]).unwrap_or_default(),
        trading_hours: hours.unwrap_or_else(|| "CONTINUOUS".to_owned()),
        tick: Price(grid("minPriceChange")?),
        lot: Size(grid("minOrderSizeChange")?),
        size_min: Size(grid("minOrderSize")?),
        order_value_max: limit("maxLimitOrderValue")?,
        position_value_max: limit("maxPositionValue")?,
        open_interest_left: open_interest_left(trading, stats),
        price_cap: grid("limitPriceCap")?,
        price_floor: grid("limitPriceFloor")?,
        mid: mid(price("bidPrice"), price("askPrice")),
        mark: price("markPrice"),
        index: price("indexPrice"),
        daily_volume: money(&stats["dailyVolume"]).unwrap_or(Notional::ZERO),
        funding_rate: rounded(&stats["fundingRate"]).unwrap_or(0),
        funding_next_ms: number(&stats["nextFundingRate"]).unwrap_or(0),
        margins: margins.ok_or("riskFactorConfig")?,
        base_asset: asset("syntheticId")?,
        base_resolution: resolution("syntheticResolution")?,
        quote_asset: asset("collateralId")?,
        quote_resolution: resolution("collateralResolution")?,
    };
    match (market.tick > Price::ZERO, market.lot > Size::ZERO) {
        (true, true) => Ok(market),
        (false, _) => Err("minPriceChange"),
        (true, false) => Err("minOrderSizeChange"),
    }
}

/// The limit less what is open, in USD both. Every row seen says zero: no limit.
fn open_interest_left(trading: &Value, stats: &Value) -> Option<Notional> {
    let most = money(&trading["openInterestLimit"]).filter(|most| most.0 > 0)?;
    let open = money(&stats["openInterest"]).unwrap_or(Notional::ZERO);
    Some((most - open).max(Notional::ZERO))
}

/// Half-way between the best prices, where they make a book.
fn mid(bid: Option<Price>, ask: Option<Price>) -> Option<Price> {
    let (bid, ask) = (bid?, ask?);
    (bid < ask).then_some(Price(bid.0 + (ask.0 - bid.0) / 2))
}

pub(super) fn read_fees(value: &Value) -> Option<Fees> {
    Some(Fees {
        market: text(&value["market"])?,
        maker_rate: exact(&value["makerFeeRate"])?,
        taker_rate: exact(&value["takerFeeRate"])?,
    })
}

pub(super) fn read_leverage(value: &Value) -> Option<Leverage> {
    Some(Leverage {
        market: text(&value["market"])?,
        ratio: exact(&value["leverage"])?,
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
    use crate::venue::tests_bent::each_bent;

    /// Recorded and documented answers of one kind, opened.
    fn recorded(kind: &str) -> Vec<Value> {
        let lines = include_str!("../../../../tests/data/extended/extended_messages.jsonl").lines();
        let lines = lines.map(|line| serde_json::from_str::<Value>(line).unwrap());
        let of_kind = lines.filter(|line| line["kind"] == kind);
        of_kind
            .map(|line| open(200, line["message"].to_string().as_bytes()).unwrap().0)
            .collect()
    }

    fn usd(nano: i64) -> Notional {
        Notional::from_nano(nano)
    }

    #[test]
    fn the_recorded_market() {
        let data = &recorded("rest.markets")[0];
        let listing = read_markets(data).unwrap();
        assert!(listing.unread.is_empty());
        let market = &listing.markets[0];
        assert_eq!(
            (market.name.as_str(), market.base.as_str()),
            ("BTC-USD", "BTC")
        );
        assert!(market.is_perpetual && market.is_active && !market.is_rfq);
        assert_eq!(
            (market.status.as_str(), market.category.as_str()),
            ("ACTIVE", "Crypto")
        );
        assert_eq!(market.mid, Some(Price(84_077_500_000_000)));
        assert_eq!(market.mark, Some(Price(84_058_473_541_750)));
        assert_eq!(market.index, Some(Price(84_105_146_005_013)));
        assert_eq!(market.daily_volume, usd(92_863_013_450_600_000));
        assert_eq!((market.tick.0, market.lot.0), (1_000_000_000, 10_000));
        assert_eq!((market.size_min.0, market.price_cap), (100_000, 50_000_000));
        assert_eq!(market.base_resolution, 1_000_000);
        assert_eq!(market.quote_asset, Felt::ONE);
        assert_eq!(
            market.base_asset,
            parse_felt("0x4254432d3600000000000000000000").unwrap()
        );
        assert_eq!(market.order_value_max, Notional::from_usd(15_000_000));
        assert_eq!(market.open_interest_left, None, "zero is no limit");
        assert!(!market.margins.is_empty());
        let fees = &read_list(&recorded("rest.fees")[0], "fees", read_fees).unwrap()[0];
        assert_eq!((fees.maker_rate, fees.taker_rate), (0, 250_000));
        let config = market.config(InstrumentId(3), fees);
        assert_eq!(config.market.fee_taker, Bps::from_milli(2500));
        assert_eq!(config.fee_rate_taker, 250_000);
    }

    #[test]
    fn a_market_without_a_grid_is_named_and_the_others_are_read() {
        let good = recorded("rest.markets")[0][0].clone();
        for (place, name) in [
            ("tradingConfig", "minPriceChange"),
            ("tradingConfig", "minOrderSizeChange"),
            ("l2Config", "syntheticId"),
            ("l2Config", "syntheticResolution"),
        ] {
            let mut bad = good.clone();
            bad[place][name] = Value::Null;
            bad["name"] = "ODD-USD".into();
            let listing = read_markets(&Value::from(vec![bad, good.clone()])).unwrap();
            assert_eq!(listing.markets.len(), 1);
            let (odd, field) = ("ODD-USD".to_owned(), name);
            assert_eq!(listing.unread, [Unread { name: odd, field }]);
        }
        let mut bad = good.clone();
        bad["tradingConfig"]["minPriceChange"] = "0".into();
        assert_eq!(read_market(&bad).unwrap_err(), "minPriceChange");
        bad["name"] = Value::Null;
        assert!(read_markets(&bad).is_err(), "it can't even be named");
    }

    #[test]
    fn prices_may_be_missing() {
        let mut market = recorded("rest.markets")[0][0].clone();
        market["marketStats"]["askPrice"] = "84077".into();
        market["marketStats"]["markPrice"] = "0".into();
        market["marketStats"]["indexPrice"] = Value::Null;
        let market = read_market(&market).unwrap();
        assert_eq!((market.mid, market.mark, market.index), (None, None, None));
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

    #[test]
    fn bent_answers_are_an_error_or_a_value() {
        let lines = include_str!("../../../../tests/data/extended/extended_messages.jsonl").lines();
        for line in lines {
            let line: Value = serde_json::from_str(line).unwrap();
            let kind = line["kind"].as_str().unwrap();
            if !kind.starts_with("rest.") || kind.ends_with("request") {
                continue;
            }
            each_bent(&line["message"], |bent| {
                let Ok((data, _)) = open(200, bent.to_string().as_bytes()) else {
                    return;
                };
                let fees = Fees {
                    market: String::new(),
                    maker_rate: 0,
                    taker_rate: 0,
                };
                for info in read_markets(&data).unwrap_or_default().markets {
                    info.config(InstrumentId(0), &fees);
                }
                let _ = read_list(&data, "fees", read_fees);
                let _ = read_list(&data, "positions", read_position);
                let _ = read_list(&data, "orders", read_order);
                let _ = (read_account(&data), read_balance(&data), read_order(&data));
            });
        }
    }
}
