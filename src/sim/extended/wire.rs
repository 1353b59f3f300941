//! Extended's spelling of markets, orders, trades, positions and balances.
//!
//! Promises: field names, units and number spelling as in the captures and as the official
//! library's models demand. Refuses to decide anything.

use crate::market::book::Side;
use crate::market::units::{Nanos, Notional, Price, SCALE, Size};
use crate::sim::decimal::push_exact;
use crate::sim::exchange::{
    Exchange, OrderView, Payment, PositionView, Stage, Status, TimeInForce, Trade, TradeKind,
    Transfer, Way,
};
use crate::sim::extended::{
    COLLATERAL_RESOLUTION, Desk, LIMIT_VALUE_USD_MAX, Ledger, Listing, MARKET_VALUE_USD_MAX,
    OPEN_ORDERS_MAX, venue_id,
};
use serde_json::{Value, json};

/// A value at 10^-9 with exactly `places` digits after the point (more when it has more).
pub fn padded(value: i64, places: u32) -> String {
    let mut text = String::new();
    push_exact(&mut text, value, places);
    text
}

/// Money with `places` digits (at most 18), cut towards zero.
pub fn money(value: Notional, places: u32) -> String {
    let unit = 10_u128.pow(18 - places);
    let magnitude = value.0.unsigned_abs() / unit;
    let scale = 10_u128.pow(places);
    let sign = if value.0 < 0 && magnitude > 0 {
        "-"
    } else {
        ""
    };
    let width = places as usize;
    format!("{sign}{}.{:0width$}", magnitude / scale, magnitude % scale)
}

/// `part / whole` with `places` digits, cut towards zero; `0` when `whole` is zero.
pub fn ratio(part: Notional, whole: Notional, places: u32) -> String {
    if whole.0 == 0 || part.0 == 0 {
        return "0".into();
    }
    let scale = 10_i128.pow(places);
    // Both are cut to 10^-9 so that the scaled part fits.
    let whole = (whole.0 / i128::from(SCALE)).max(1);
    let value = part.0 / i128::from(SCALE) * scale / whole;
    let width = places as usize;
    format!("{}.{:0width$}", value / scale, (value % scale).abs())
}

/// A mark or index price the way the venue prints its doubles. [CAP: up to 17 digits]
pub fn long_price(price: Price) -> String {
    padded(price.0, 1)
}

/// Sides by their orders, not by their place in the book.
fn side_text(side: Side) -> &'static str {
    match side {
        Side::Bid => "BUY",
        Side::Ask => "SELL",
    }
}

/// One row of `/info/markets`. [CAP of 2026-09-26]
pub fn market(desk: &Desk, exchange: &Exchange, listing: &Listing, now: Nanos) -> Value {
    let rules = &listing.rules;
    json!({
        "name": rules.name,
        "type": "PERPETUAL",
        "uiName": rules.name,
        "category": "Crypto",
        "subCategory": "L1",
        "assetName": rules.base,
        "assetPrecision": listing.qty_places,
        "collateralAssetName": "USD",
        "collateralAssetPrecision": 6,
        "description": rules.base,
        "active": true,
        "isRfq": false,
        "isOffHours": false,
        "status": "ACTIVE",
        "tradingHours": "CONTINUOUS",
        "marketStats": stats(desk, exchange, listing, now),
        "tradingConfig": trading_config(listing),
        "l2Config": {
            "type": "STARKX",
            "collateralId": format!("{:#x}", listing.assets.collateral_id),
            "syntheticId": format!("{:#x}", listing.assets.synthetic_id),
            "syntheticResolution": listing.assets.synthetic_resolution,
            "collateralResolution": COLLATERAL_RESOLUTION,
        },
        "visibleOnUi": true,
        "referenceMarket": "null",
        "createdAt": desk.opened.epoch_ms(),
    })
}

/// Grid and limits. Sizes of the risk table are the live ones of BTC. [CAP tradingConfig]
fn trading_config(listing: &Listing) -> Value {
    let rules = &listing.rules;
    let base_e4 = rules.initial_margin_e4.max(1);
    // As live: every further 4 M USD costs the first row's factor once more, up to all of it.
    let rows: Vec<Value> = (1..=(10_000 / base_e4).max(1))
        .map(|step| {
            let factor = i64::from((base_e4 * step).min(10_000)) * (SCALE / 10_000);
            json!({
                "upperBound": (u64::from(step) * 4_000_000).to_string(),
                "riskFactor": padded(factor, 0),
                "isAvailableForUsers": step <= 15,
            })
        })
        .collect();
    json!({
        "minOrderSize": padded(rules.size_min.0, 0),
        "minOrderSizeChange": padded(rules.lot.0, 0),
        "minPriceChange": padded(rules.tick.0, 0),
        "maxMarketOrderValue": MARKET_VALUE_USD_MAX.to_string(),
        "maxLimitOrderValue": LIMIT_VALUE_USD_MAX.to_string(),
        "maxPositionValue": "60000000",
        "maxLeverage": leverage_max(rules.initial_margin_e4),
        "hourlyFundingRateCap": "0.25",
        "openInterestLimit": "0",
        "maxNumOrders": OPEN_ORDERS_MAX.to_string(),
        "limitPriceCap": "0.05",
        "limitPriceFloor": "0.05",
        "riskFactorConfig": rows,
        "uPnlWithdrawable": true,
        "postWithdrawalMarginFactor": "0.1",
    })
}

/// `50.00` for an initial margin of 2 %.
pub fn leverage_max(initial_margin_e4: u32) -> String {
    let hundredths = 1_000_000 / u64::from(initial_margin_e4.max(1));
    format!("{}.{:02}", hundredths / 100, hundredths % 100)
}

/// `/info/markets/{market}/stats`. Volumes are not modelled.
pub fn stats(desk: &Desk, exchange: &Exchange, listing: &Listing, now: Nanos) -> Value {
    let instrument = listing.rules.instrument;
    let (mark, index) = exchange.mark(instrument);
    let touch = |side| {
        let best = exchange.flow().ladder(instrument, side).next();
        best.map_or(mark, |(price, _)| price)
    };
    let bid = touch(Side::Bid);
    let last = desk.press.last_price(instrument).unwrap_or(bid);
    let funding = exchange.settings().funding;
    json!({
        "dailyVolume": "0.000000",
        "dailyVolumeBase": "0",
        "dailyPriceChange": "0",
        "dailyPriceChangePercentage": "0.0000",
        "dailyLow": padded(last.0, 0),
        "dailyHigh": padded(last.0, 0),
        "lastPrice": padded(last.0, 0),
        "askPrice": padded(touch(Side::Ask).0, 0),
        "bidPrice": padded(bid.0, 0),
        "markPrice": long_price(mark),
        "indexPrice": long_price(index),
        "fundingRate": padded(funding.rate_e9, 6),
        "nextFundingRate": funding.next(now).epoch_ms(),
        "openInterest": "0.000000",
        "openInterestBase": "0",
        "deleverageLevels": {"shortPositions": [], "longPositions": []},
    })
}

/// `status` and `statusReason` of an order.
pub fn order_status(view: &OrderView, was_replaced: bool) -> (&'static str, &'static str) {
    let refused = if view.filled == Size::ZERO {
        "REJECTED"
    } else {
        "CANCELLED"
    };
    match view.status {
        Status::Pending => ("NEW", "NONE"),
        Status::Open if view.filled == Size::ZERO => ("NEW", "NONE"),
        Status::Open => ("PARTIALLY_FILLED", "NONE"),
        Status::Filled => ("FILLED", "NONE"),
        Status::Cancelled if was_replaced => ("CANCELLED", "ORDER_REPLACED"),
        Status::Cancelled => match view.asked.time_in_force {
            TimeInForce::ImmediateOrCancel => ("CANCELLED", "NO_LIQUIDITY"),
            TimeInForce::GoodTillTime | TimeInForce::PostOnly => ("CANCELLED", "NONE"),
        },
        Status::CancelledPostOnly => (refused, "POST_ONLY_FAILED"),
        Status::CancelledMargin => (refused, "NOT_ENOUGH_FUNDS"),
        Status::CancelledReduceOnly => (refused, "REDUCE_ONLY_FAILED"),
        Status::Expired => ("EXPIRED", "NONE"),
    }
}

/// One order, REST and stream alike. [DOC Get open orders, SDK models.order]
pub fn order(desk: &Desk, ledger: &Ledger, view: &OrderView) -> Value {
    let asked = &view.asked;
    let market = desk.market(asked.instrument);
    let (status, reason) = order_status(view, ledger.replaced.contains(&view.number));
    let is_open = matches!(view.status, Status::Pending | Status::Open);
    let cancelled = if is_open {
        Size::ZERO
    } else {
        asked.size - view.filled
    };
    let average = match i128::from(view.filled.0) {
        0 => 0,
        filled => i64::try_from(view.filled_notional.0 / filled).unwrap_or(0),
    };
    let time_in_force = match asked.time_in_force {
        TimeInForce::ImmediateOrCancel => "IOC",
        TimeInForce::GoodTillTime | TimeInForce::PostOnly => "GTT",
    };
    json!({
        "id": venue_id(view.number),
        "accountId": desk.keys.account_id,
        "externalId": asked.client_id,
        "market": market.rules.name,
        "type": asked.tag,
        "side": side_text(asked.side),
        "status": status,
        "statusReason": reason,
        "price": padded(asked.price.0, 0),
        "averagePrice": padded(average, 0),
        "qty": padded(asked.size.0, market.qty_places),
        "filledQty": padded(view.filled.0, market.qty_places),
        "cancelledQty": padded(cancelled.0, market.qty_places),
        "payedFee": money(view.fee, 16),
        "reduceOnly": asked.reduce_only,
        "postOnly": asked.time_in_force == TimeInForce::PostOnly,
        "createdTime": view.created.epoch_ms(),
        "updatedTime": view.updated.epoch_ms(),
        "expireTime": asked.expiry_ms,
        "timeInForce": time_in_force,
    })
}

/// One trade of ours; the stream's rows carry the external id of the order, REST's do not.
pub fn trade(desk: &Desk, trade: &Trade, on_stream: bool) -> Value {
    let market = desk.market(trade.instrument);
    let mut row = json!({
        "id": venue_id(trade.number),
        "accountId": desk.keys.account_id,
        "market": market.rules.name,
        "orderId": venue_id(trade.order),
        "side": side_text(trade.side),
        "price": padded(trade.price.0, 16),
        "qty": padded(trade.size.0, 16),
        "value": money(trade.price * trade.size, 16),
        "fee": money(trade.fee, 16),
        "isTaker": trade.is_taker,
        "tradeType": match trade.kind {
            TradeKind::Order => "TRADE",
            TradeKind::Liquidation => "LIQUIDATION",
            TradeKind::Deleverage => "DELEVERAGE",
        },
        "createdTime": trade.t.epoch_ms(),
    });
    if on_stream {
        row["externalOrderId"] = trade.client_id.clone().into();
    }
    row
}

/// One payment of funding. A negative fee was paid (other clients of the venue read it so; the
/// documentation has only a zero). [DOC Get funding payments]
pub fn payment(desk: &Desk, payment: &Payment) -> Value {
    let market = desk.market(payment.instrument);
    json!({
        "id": payment.number,
        "accountId": desk.keys.account_id,
        "market": market.rules.name,
        "positionId": venue_id(u64::from(payment.instrument.0)),
        "side": direction(payment.size),
        "size": padded(payment.size.0.abs(), market.qty_places),
        "value": money((payment.mark * payment.size).abs(), 8),
        "markPrice": padded(payment.mark.0, 0),
        "fundingFee": money(payment.amount, 6),
        "fundingRate": padded(payment.rate_e9, 6),
        "paidTime": payment.t.epoch_ms(),
    })
}

/// A transfer. Signs as in the documentation's example; the asset is a number, 1 for USD. [DOC Get
/// deposits, withdrawals, transfers history]
pub fn operation(desk: &Desk, transfer: &Transfer) -> Value {
    let (kind, amount) = match transfer.way {
        Way::In => ("DEPOSIT", transfer.amount),
        Way::Out => ("SLOW_WITHDRAWAL", -transfer.amount),
        Way::Across => ("TRANSFER", -transfer.amount),
    };
    json!({
        "id": transfer.number.to_string(),
        "type": kind,
        "status": match transfer.stage {
            Stage::Pending => "IN_PROGRESS",
            Stage::Claimable => "READY_FOR_CLAIM",
            Stage::Completed => "COMPLETED",
            Stage::Failed => "REJECTED",
        },
        "amount": money(amount, 16),
        "fee": money(transfer.fee, 16),
        "asset": 1,
        "time": transfer.t.epoch_ms(),
        "accountId": desk.keys.account_id,
        "transactionHash": (!transfer.mark.is_empty()).then_some(&transfer.mark),
        "chain": "ETH",
    })
}

/// The side of a position; a closed one counts as long.
fn direction(size: Size) -> &'static str {
    if size.0 < 0 { "SHORT" } else { "LONG" }
}

/// One position. `status` is what the official library asks for and no capture shows.
pub fn position(
    desk: &Desk,
    listing: &Listing,
    view: &PositionView,
    leverage: String,
    now: Nanos,
) -> Value {
    let rules = &listing.rules;
    let value = (view.mark * view.size).abs();
    let margin = Notional(value.0 / 10_000 * i128::from(rules.initial_margin_e4));
    json!({
        "id": venue_id(u64::from(rules.instrument.0)),
        "accountId": desk.keys.account_id,
        "market": rules.name,
        "status": if view.size == Size::ZERO { "CLOSED" } else { "OPENED" },
        "side": direction(view.size),
        "leverage": leverage,
        "size": padded(view.size.0.abs(), listing.qty_places),
        "value": money(value, 6),
        "openPrice": padded(view.entry.0, 0),
        "markPrice": long_price(view.mark),
        "margin": money(margin, 6),
        "unrealisedPnl": money(view.unrealised, 6),
        "realisedPnl": money(view.realised, 6),
        "adl": 1,
        "createdAt": desk.opened.epoch_ms(),
        "updatedAt": now.epoch_ms(),
    })
}

/// The account's money. [CAP rest.balance]
pub fn balance(desk: &Desk, exchange: &Exchange, now: Nanos) -> Value {
    let account = exchange.account();
    let unrealised = account.equity - account.collateral;
    let loss = unrealised.min(Notional::ZERO);
    let free = account.collateral + loss - account.initial_margin;
    let mut exposure = Notional::ZERO;
    for listing in desk.listings.iter() {
        let position = exchange.position(listing.rules.instrument);
        exposure += (position.mark * position.size).abs();
    }
    json!({
        "collateralName": "USD",
        "balance": money(account.collateral, 6),
        "equity": money(account.equity, 6),
        "availableForTrade": money(account.available, 6),
        "availableForWithdrawal": money(free.max(Notional::ZERO), 6),
        "unrealisedPnl": money(unrealised, 6),
        "initialMargin": money(account.initial_margin, 6),
        "marginRatio": ratio(account.maintenance_margin, account.equity, 6),
        "updatedTime": now.epoch_ms(),
        "exposure": money(exposure, 6),
        "leverage": ratio(exposure, account.equity, 4),
    })
}
