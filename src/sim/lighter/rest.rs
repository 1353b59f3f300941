//! Lighter over HTTP: `/`, `/info` and `/api/v1`.
//!
//! Promises: bodies with every field the official Python library 1.1.8 insists on; errors as
//! `{"code","message"}` with the venue's HTTP status. Auth by header `Authorization` or, the old
//! way, by query parameter `auth`.

use super::codes::{self, Refusal};
use super::desk::Desk;
use super::form::{self, Parameters};
use super::markets;
use super::models;
use super::money;
use super::numbers::fixed;
use super::reads;
use super::transaction::CREATE_ORDER;
use crate::market::book::Side;
use crate::market::units::Price;
use crate::sim::exchange::{Exchange, Rules};
use crate::sim::faults::request;
use crate::sim::server::web::{self, Bytes, Extensions, HeaderMap, IntoResponse, Response};
use crate::sim::server::web::{RawQuery, Router, State, StatusCode, get, post};
use serde_json::{Value, json};
use std::sync::Arc;

pub type Answer = Result<Value, Refusal>;
type Read = fn(&Desk, &Parameters) -> Answer;

/// Reads that anybody may make.
const PUBLIC: [(&str, Read); 19] = [
    ("/", root),
    ("/info", money::info),
    ("/api/v1/orderBooks", order_books),
    ("/api/v1/orderBookDetails", order_book_details),
    ("/api/v1/orderBookOrders", order_book_orders),
    ("/api/v1/recentTrades", recent_trades),
    ("/api/v1/account", reads::account),
    ("/api/v1/accountsByL1Address", reads::accounts_by_l1_address),
    ("/api/v1/apikeys", reads::api_keys),
    ("/api/v1/nextNonce", reads::next_nonce),
    ("/api/v1/tx", reads::tx),
    ("/api/v1/fundings", fundings),
    ("/api/v1/funding-rates", funding_rates),
    ("/api/v1/candles", candles),
    ("/api/v1/exchangeStats", exchange_stats),
    ("/api/v1/assetDetails", money::asset_details),
    ("/api/v1/withdrawalDelay", money::withdrawal_delay),
    ("/api/v1/systemConfig", system_config),
    ("/api/v1/currentHeight", current_height),
];

/// Reads of the account, with a token of it.
const PRIVATE: [(&str, Read); 11] = [
    ("/api/v1/accountActiveOrders", reads::active_orders),
    ("/api/v1/accountInactiveOrders", reads::inactive_orders),
    ("/api/v1/accountLimits", reads::account_limits),
    ("/api/v1/accountTxs", reads::account_txs),
    ("/api/v1/trades", reads::trades),
    ("/api/v1/positionFunding", reads::position_funding),
    ("/api/v1/deposit/history", money::deposits),
    ("/api/v1/withdraw/history", money::withdrawals),
    ("/api/v1/transfer/history", money::transfers),
    ("/api/v1/transferFeeInfo", money::transfer_fee),
    ("/api/v1/fastwithdraw/info", money::fast_terms),
];

/// Rows of a page.
pub const PAGE_MAX: usize = 100;
/// Rows of `orderBookOrders`.
const ORDERS_MAX: usize = 250;

/// Every HTTP route but the stream.
pub fn routes(desk: Arc<Desk>) -> Router {
    let mut router = Router::new();
    for (path, read) in PUBLIC {
        let public = move |State(desk): State<Arc<Desk>>,
                           RawQuery(query): RawQuery,
                           extensions: Extensions| async move {
            let reply = || respond(read(&desk, &parameters(query)));
            request::answer(&desk.floor, asked(&extensions), reply).await
        };
        router = router.route(path, get(public));
    }
    for (path, read) in PRIVATE {
        let private = move |State(desk): State<Arc<Desk>>,
                            RawQuery(query): RawQuery,
                            headers: HeaderMap,
                            extensions: Extensions| async move {
            let query = parameters(query);
            let reply =
                || respond(authorized(&desk, &headers, &query).and_then(|()| read(&desk, &query)));
            request::answer(&desk.floor, asked(&extensions), reply).await
        };
        router = router.route(path, get(private));
    }
    router
        .route("/api/v1/sendTx", post(send))
        .route("/api/v1/sendTxBatch", post(send_batch))
        .route("/api/v1/fastwithdraw", post(fast_withdraw))
        .fallback(|| async { respond(Err(Refusal::with(404, 29404, "not found"))) })
        .with_state(desk)
}

/// A request that brings no order.
fn asked(extensions: &Extensions) -> request::Asked<'_> {
    request::Asked {
        extensions,
        order: None,
    }
}

/// A missing query is an empty one: each read says itself what it cannot do without.
fn parameters(query: Option<String>) -> Parameters {
    form::urlencoded(&query.unwrap_or_default())
}

/// Success bodies carry their own `code`; of a refusal the HTTP status is part of the wire, as the
/// official library raises different errors by it.
fn respond(answer: Answer) -> Response {
    let (status, body) = match answer {
        Ok(body) => (200, body),
        Err(refusal) => (refusal.status, refusal.body()),
    };
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let kind = [(web::header::CONTENT_TYPE, "application/json")];
    (status, kind, body.to_string()).into_response()
}

/// The header goes before the query, as clients that send both mean the newer form. A token of one
/// account does not open another.
fn authorized(desk: &Desk, headers: &HeaderMap, query: &Parameters) -> Result<(), Refusal> {
    let header = headers.get(web::header::AUTHORIZATION);
    let header = header.and_then(|value| value.to_str().ok());
    let token = header.or_else(|| query.get("auth").map(String::as_str));
    let Some(token) = token.filter(|token| !token.is_empty()) else {
        return Err(codes::parameter(
            "auth query param and Authorization header are empty",
        ));
    };
    desk.authenticate(token)?;
    if let Ok(asked) = number(query, "account_index")
        && asked != desk.credentials.account_index
    {
        return Err(codes::auth("invalid account index"));
    }
    Ok(())
}

/// `sendTx`: form fields `tx_type` and `tx_info`; `price_protection`, whose effect is not
/// documented, is taken and ignored.
async fn send(
    State(desk): State<Arc<Desk>>,
    (headers, extensions): (HeaderMap, Extensions),
    body: Bytes,
) -> Response {
    let order = || {
        let form = read_form(&headers, &body).ok()?;
        let info: Value = serde_json::from_str(form.get("tx_info")?).ok()?;
        let is_order = number(&form, "tx_type").ok()? == CREATE_ORDER;
        let market = info["MarketIndex"].as_u64();
        let market = market.and_then(|number| u32::try_from(number).ok());
        is_order.then(|| desk.floor.faults()?.market_of(market?))
    };
    let struck = request::Asked {
        extensions: &extensions,
        order: desk.floor.faults().and_then(|_| order()),
    };
    let reply = || {
        respond(sent(&headers, &body, |form| {
            let tx_type = number(form, "tx_type")?;
            let receipt = desk.send(tx_type, text(form, "tx_info")?)?;
            Ok(receipt.body(false))
        }))
    };
    request::answer(&desk.floor, struck, reply).await
}

/// `sendTxBatch`: two form fields that each hold the JSON text of a list.
async fn send_batch(
    State(desk): State<Arc<Desk>>,
    (headers, extensions): (HeaderMap, Extensions),
    body: Bytes,
) -> Response {
    let struck = request::Asked {
        extensions: &extensions,
        order: Some(None),
    };
    let reply = || {
        respond(sent(&headers, &body, |form| {
            let receipt = desk.send_batch(text(form, "tx_types")?, text(form, "tx_infos")?)?;
            Ok(receipt.body(true))
        }))
    };
    request::answer(&desk.floor, struck, reply).await
}

/// `fastwithdraw`: form fields `tx_info` and `to_address`, with a token of the account.
async fn fast_withdraw(
    State(desk): State<Arc<Desk>>,
    (headers, extensions): (HeaderMap, Extensions),
    body: Bytes,
) -> Response {
    let reply = || {
        respond(sent(&headers, &body, |form| {
            authorized(&desk, &headers, form)?;
            let receipt = desk.fast_withdraw(text(form, "tx_info")?, text(form, "to_address")?)?;
            Ok(receipt.body(false))
        }))
    };
    request::answer(&desk.floor, asked(&extensions), reply).await
}

/// Multipart and urlencoded are both seen from real clients; anything else is no form.
fn sent(headers: &HeaderMap, body: &[u8], act: impl FnOnce(&Parameters) -> Answer) -> Answer {
    act(&read_form(headers, body)?)
}

/// The form in a body.
fn read_form(headers: &HeaderMap, body: &[u8]) -> Result<Parameters, Refusal> {
    let kind = headers.get(web::header::CONTENT_TYPE);
    let kind = kind.and_then(|value| value.to_str().ok());
    let form = form::body(kind.unwrap_or_default(), body);
    form.ok_or_else(|| codes::parameter("the body is not a form"))
}

/// A parameter that must be there; 20001 names it.
pub fn text<'a>(form: &'a Parameters, name: &str) -> Result<&'a str, Refusal> {
    let value = form.get(name).map(String::as_str);
    value.ok_or_else(|| codes::parameter(&format!("field \"{name}\" is not set")))
}

/// A parameter that must be a number.
pub fn number(form: &Parameters, name: &str) -> Result<u64, Refusal> {
    let wrong = || codes::parameter(&format!("field \"{name}\" is not a number"));
    text(form, name)?.parse().map_err(|_| wrong())
}

/// A parameter that may be left out, but not be nonsense.
pub fn number_or(form: &Parameters, name: &str, default: u64) -> Result<u64, Refusal> {
    if form.contains_key(name) {
        number(form, name)
    } else {
        Ok(default)
    }
}

/// Page sizes are bounded by the venue; outside the bounds is an error, not a shorter page.
pub fn limit(form: &Parameters, most: usize) -> Result<usize, Refusal> {
    let limit = number_or(form, "limit", most as u64)? as usize;
    let ok = (1..=most).contains(&limit);
    ok.then_some(limit)
        .ok_or_else(|| codes::parameter("limit is out of range"))
}

/// The market a read is about; here a missing number is an error.
fn market<'a>(exchange: &'a Exchange, form: &Parameters) -> Result<&'a Rules, Refusal> {
    let wanted = number(form, "market_id")?;
    let mut all = exchange.rules().iter();
    all.find(|rules| u64::from(rules.venue_market) == wanted)
        .ok_or(codes::MARKET)
}

/// Markets asked for; 255, or nothing, is all of them.
fn markets_asked<'a>(exchange: &'a Exchange, form: &Parameters) -> Result<Vec<&'a Rules>, Refusal> {
    if form.get("filter").is_some_and(|filter| filter == "spot") {
        return Ok(Vec::new());
    }
    let mut rows: Vec<&Rules> = match number_or(form, "market_id", 255)? {
        255 => exchange.rules().iter().collect(),
        _ => vec![market(exchange, form)?],
    };
    rows.sort_by_key(|rules| rules.venue_market);
    Ok(rows)
}

/// The network number equals the chain id of the hashes on the real networks.
fn root(desk: &Desk, _: &Parameters) -> Answer {
    let timestamp = desk.floor.now().epoch_ms() / 1000;
    let network_id = desk.credentials.chain_id;
    Ok(json!({"status": 200, "network_id": network_id, "timestamp": timestamp}))
}

/// Markets as the start-up of every client reads them.
pub fn order_books(desk: &Desk, form: &Parameters) -> Answer {
    desk.floor.look(|exchange| {
        let rows = markets_asked(exchange, form)?;
        let rows: Vec<Value> = rows
            .into_iter()
            .map(|rules| with_status(desk, Value::Object(markets::row(rules))))
            .collect();
        Ok(json!({"code": 200, "order_books": rows}))
    })
}

/// A market's row; in maintenance none is active.
fn with_status(desk: &Desk, mut row: Value) -> Value {
    let faults = desk.floor.faults();
    if faults.is_some_and(|faults| faults.is_in_maintenance(desk.floor.now())) {
        row["status"] = "inactive".into();
    }
    row
}

/// The same with margins and prices. There are no spot markets here.
fn order_book_details(desk: &Desk, form: &Parameters) -> Answer {
    desk.floor.look(|exchange| {
        let rows = markets_asked(exchange, form)?;
        let rows: Vec<Value> = rows
            .into_iter()
            .map(|rules| {
                let prices = desk.board.prices(exchange, rules.instrument);
                with_status(desk, markets::details(rules, &prices))
            })
            .collect();
        Ok(json!({
            "code": 200, "order_book_details": rows, "spot_order_book_details": [],
        }))
    })
}

/// Levels are shown as one order each: the simulated book knows no single foreign orders.
fn order_book_orders(desk: &Desk, form: &Parameters) -> Answer {
    let limit = limit(form, ORDERS_MAX)?;
    let now = desk.floor.now();
    desk.floor.look(|exchange| {
        let rules = market(exchange, form)?;
        let side = |side: Side| -> Vec<Value> {
            let levels = exchange.flow().ladder(rules.instrument, side).take(limit);
            let row = |(price, size): (Price, _)| {
                let ticks = (price.0 / rules.tick.0) as u64;
                let index = models::order_index((1 << 42) + ticks, rules.venue_market, side);
                let size: crate::market::units::Size = size;
                let size = fixed(size.0, rules.size_decimals);
                json!({
                    "order_index": index, "order_id": index.to_string(),
                    "owner_account_index": models::OTHERS_ACCOUNT,
                    "initial_base_amount": size, "remaining_base_amount": size,
                    "price": fixed(price.0, rules.price_decimals),
                    "order_expiry": now.epoch_ms() + 86_400_000,
                    "transaction_time": now.0 / 1000,
                })
            };
            levels.map(row).collect()
        };
        let (asks, bids) = (side(Side::Ask), side(Side::Bid));
        Ok(json!({
            "code": 200, "total_asks": asks.len(), "asks": asks, "total_bids": bids.len(),
            "bids": bids,
        }))
    })
}

/// Public trades, newest first, ours among them.
fn recent_trades(desk: &Desk, form: &Parameters) -> Answer {
    let limit = limit(form, PAGE_MAX)?;
    desk.floor.look(|exchange| {
        let instrument = market(exchange, form)?.instrument;
        let trades = desk.board.recent_trades(exchange, instrument, limit);
        Ok(json!({"code": 200, "trades": trades}))
    })
}

/// The rate quoted, by the hour; a run is too short for it to have changed.
fn fundings(desk: &Desk, form: &Parameters) -> Answer {
    let resolution = text(form, "resolution")?;
    if !["1h", "1d"].contains(&resolution) {
        return Err(Refusal::with(
            400,
            22402,
            "invalid resolution: resolution unsupported",
        ));
    }
    let span_s = (
        number(form, "start_timestamp")?,
        number(form, "end_timestamp")?,
    );
    let count = number_or(form, "count_back", 100)? as usize;
    desk.floor.look(|exchange| {
        let rules = market(exchange, form)?;
        let mark = exchange.mark(rules.instrument).0;
        let now_s = desk.floor.now().epoch_ms() / 1000;
        let span_s = (span_s.0, span_s.1.min(now_s));
        let rate_e9 = exchange.settings().funding.rate_e9;
        let rows = markets::fundings(rules, mark, rate_e9, span_s, count.min(PAGE_MAX));
        Ok(json!({"code": 200, "resolution": resolution, "fundings": rows}))
    })
}

/// The same rate as the venue's comparison table quotes it; other venues' rows are left out.
fn funding_rates(desk: &Desk, _: &Parameters) -> Answer {
    desk.floor.look(|exchange| {
        let rate_e9 = exchange.settings().funding.rate_e9;
        let rows = exchange.rules().iter();
        let rows: Vec<Value> = rows
            .map(|rules| markets::funding_rate(rules, rate_e9))
            .collect();
        Ok(json!({"code": 200, "funding_rates": rows}))
    })
}

/// None are kept.
fn candles(_: &Desk, form: &Parameters) -> Answer {
    Ok(json!({"code": 200, "r": text(form, "resolution")?, "c": []}))
}

/// Prices are real, volumes are zero: the tape does not know a day.
fn exchange_stats(desk: &Desk, _: &Parameters) -> Answer {
    desk.floor.look(|exchange| {
        let rows: Vec<Value> = exchange
            .rules()
            .iter()
            .map(|rules| {
                let last = desk.board.prices(exchange, rules.instrument).last;
                let last: f64 = fixed(last.0, rules.price_decimals).parse().unwrap_or(0.0);
                json!({
                    "symbol": rules.name, "last_trade_price": last, "daily_trades_count": 0,
                    "daily_base_token_volume": 0, "daily_quote_token_volume": 0,
                    "daily_price_change": 0,
                })
            })
            .collect();
        Ok(json!({
            "code": 200, "total": rows.len(), "order_book_stats": rows,
            "daily_usd_volume": 0, "daily_trades_count": 0,
        }))
    })
}

/// Pools and integrators do not exist here, so every figure is its nil.
fn system_config(_: &Desk, _: &Parameters) -> Answer {
    Ok(json!({
        "code": 200, "liquidity_pool_index": 0, "staking_pool_index": 0,
        "funding_fee_rebate_account_index": 0, "liquidity_pool_cooldown_period": 0,
        "staking_pool_lockup_period": 0, "max_integrator_perps_maker_fee": 0,
        "max_integrator_perps_taker_fee": 0, "max_integrator_spot_maker_fee": 0,
        "max_integrator_spot_taker_fee": 0, "market_maker_incentive_account_index": 0,
        "fee_collector_account_index": 0,
    }))
}

/// Rises with time alone.
fn current_height(desk: &Desk, _: &Parameters) -> Answer {
    let height = models::block_height(desk.floor.now());
    Ok(json!({"code": 200, "height": height}))
}
