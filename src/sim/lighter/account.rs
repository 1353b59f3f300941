//! The account's channels: their first frames, and what of a batch of happenings is told on each.
//!
//! As on the venue, one frame carries all that one event touched (a cancel-all is one frame), and
//! positions are told again when an order opens or closes, for its `open_order_count`.

use super::channel::Topic;
use super::models::{self, ASSET_USDC};
use super::shelves::{Shelves, Touched};
use crate::market::units::{Nanos, Notional, Size};
use crate::sim::exchange::{Exchange, OrderView, Rules, Status, Trade};
use crate::sim::faults::news::Class;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Trades in the first frame of `account_market`.
const TRADES_SHOWN: usize = 50;

/// One of our trades as both sides see it.
pub fn own_trade(exchange: &Exchange, own: &Trade, rules: &Rules, account: u64) -> Value {
    let order = exchange.order(own.order);
    let hash = order.map_or(String::new(), |order| {
        models::tag_hash(&order.asked).to_owned()
    });
    let parties = models::own_parties(own, rules, account, hash);
    models::trade(own.number, (own.price.0, own.size, own.t), rules, &parties)
}

/// Orders that the venue shows as active, oldest first.
pub fn active_orders(exchange: &Exchange) -> Vec<std::sync::Arc<OrderView>> {
    let mut orders = exchange.open_orders();
    orders.retain(|order| order.status == Status::Open);
    orders
}

/// One position by market number; `None` for a market that does not exist.
pub fn position(exchange: &Exchange, market: u32) -> Option<Value> {
    let mut all = exchange.rules().iter();
    let rules = all.find(|rules| rules.venue_market == market)?;
    let open = active_orders(exchange).into_iter();
    let open = open.filter(|order| order.asked.instrument == rules.instrument);
    let view = exchange.position(rules.instrument);
    Some(models::position(
        &view,
        rules,
        open.count(),
        &exchange.account(),
    ))
}

/// Positions worth showing: not flat, or with an open order.
pub fn positions(exchange: &Exchange) -> Vec<(u32, Value)> {
    let open: BTreeSet<_> = active_orders(exchange)
        .iter()
        .map(|order| order.asked.instrument.0)
        .collect();
    exchange
        .rules()
        .iter()
        .filter(|rules| {
            let flat = exchange.position(rules.instrument).size == Size::ZERO;
            !flat || open.contains(&rules.instrument.0)
        })
        .filter_map(|rules| Some((rules.venue_market, position(exchange, rules.venue_market)?)))
        .collect()
}

/// One of our orders as the venue shows it, with its market.
pub fn order(exchange: &Exchange, order: &OrderView, account: u64) -> (u32, Value) {
    let rules = &exchange.rules()[order.asked.instrument.idx()];
    (rules.venue_market, models::order(order, rules, account))
}

/// Notional of all positions at mark.
fn gross(exchange: &Exchange) -> Notional {
    let mut gross = Notional::ZERO;
    for rules in exchange.rules() {
        let view = exchange.position(rules.instrument);
        gross += (view.mark * view.size).abs();
    }
    gross
}

/// By asset number, as the stream writes them.
fn assets(exchange: &Exchange) -> Value {
    json!({ASSET_USDC.to_string(): models::asset(&exchange.account())})
}

/// One row a market: a map, where orders and trades are lists by market.
fn by_id(rows: impl IntoIterator<Item = (u32, Value)>) -> Value {
    rows.into_iter()
        .map(|(market, row)| (market.to_string(), row))
        .collect()
}

/// The run is shorter than a day, so all spans carry the same figure. Numbers, not texts, as
/// captured.
fn volumes(shelves: &Shelves) -> Value {
    let volume = shelves.volume.to_usd_f64();
    json!({
        "daily_volume": volume, "weekly_volume": volume, "monthly_volume": volume,
        "total_volume": volume,
    })
}

/// The first frame of an account channel.
// Wide: a struct for one caller would only name the same six things twice.
pub(super) fn snapshot(
    topic: Topic,
    channel: &str,
    account: u64,
    exchange: &Exchange,
    shelves: &Shelves,
    now: Nanos,
) -> Value {
    let orders = |market: Option<u32>| -> Vec<(u32, Value)> {
        let active = active_orders(exchange);
        let rows = active.iter().map(|view| order(exchange, view, account));
        rows.filter(|row| market.is_none_or(|market| market == row.0))
            .collect()
    };
    let body = match topic {
        Topic::AccountAllOrders => json!({"orders": models::by_market(orders(None))}),
        Topic::AccountOrders(market) => json!({
            "orders": models::by_market(orders(Some(market))), "account": account,
        }),
        Topic::AccountAllPositions => {
            json!({"positions": by_id(positions(exchange)), "shares": []})
        }
        Topic::AccountAllTrades => {
            let mut body = json!({"trades": {}});
            models::join(&mut body, volumes(shelves));
            body
        }
        Topic::AccountAllAssets => {
            json!({"assets": assets(exchange), "timestamp": now.epoch_ms()})
        }
        Topic::UserStats => json!({
            "stats": models::user_stats(&exchange.account(), gross(exchange)),
            "timestamp": now.epoch_ms(),
        }),
        Topic::AccountMarket(market) => {
            let rows = orders(Some(market)).into_iter().map(|row| row.1);
            let trades = trades(exchange, account, Some(market), TRADES_SHOWN);
            market_body(exchange, account, market, (rows.collect(), trades))
        }
        Topic::AccountTx => json!({"txs": []}),
        _ => {
            let none = (json!({}), json!({}));
            let mut body = all_body(exchange, account, by_id(positions(exchange)), none);
            models::join(&mut body, volumes(shelves));
            body
        }
    };
    framed(channel, "subscribed", body)
}

/// Channel and type are the same in every frame: the type repeats the channel's first word.
fn framed(channel: &str, kind: &str, mut body: Value) -> Value {
    let topic = channel.split(':').next().unwrap_or_default();
    body["channel"] = channel.into();
    body["type"] = format!("{kind}/{topic}").into();
    body
}

/// Body of `account_market`: in an update only what was touched.
fn market_body(
    exchange: &Exchange,
    account: u64,
    market: u32,
    rows: (Vec<Value>, Vec<Value>),
) -> Value {
    json!({
        "account": account, "orders": rows.0, "trades": rows.1,
        "position": position(exchange, market), "assets": assets(exchange),
        "funding_history": {},
    })
}

/// Body of `account_all`: positions, trades and payments of funding as given, counts over the whole
/// run.
fn all_body(
    exchange: &Exchange,
    account: u64,
    positions: Value,
    (trades, fundings): (Value, Value),
) -> Value {
    let count = exchange.trades().len();
    json!({
        "account": account, "assets": assets(exchange), "positions": positions,
        "trades": trades, "shares": [], "funding_histories": fundings,
        "daily_trades_count": count, "weekly_trades_count": count,
        "monthly_trades_count": count, "total_trades_count": count,
    })
}

/// Our trades, newest first.
pub fn trades(exchange: &Exchange, account: u64, market: Option<u32>, limit: usize) -> Vec<Value> {
    let own = exchange.trades().into_iter();
    own.filter_map(|own| {
        let rules = &exchange.rules()[own.instrument.idx()];
        let wanted = market.is_none_or(|market| market == rules.venue_market);
        wanted.then(|| own_trade(exchange, &own, rules, account))
    })
    .take(limit)
    .collect()
}

/// What a channel is about, for faults that hold some of it back.
pub(super) fn class(channel: &str) -> Class {
    let is_of_orders = ["account_all_orders:", "account_orders:"];
    match is_of_orders.iter().any(|name| channel.starts_with(name)) {
        true => Class::Orders,
        false => Class::Rest,
    }
}

/// The updates one batch makes, in the order they are sent: `(channel, message)`.
pub(super) fn frames(
    account: u64,
    exchange: &Exchange,
    shelves: &Shelves,
    touched: &Touched,
    now: Nanos,
) -> Vec<(String, Value)> {
    let mut frames = Vec::new();
    if touched.is_empty() {
        return frames;
    }
    let mut tell = |channel: String, body: Value| {
        let message = framed(&channel, "update", body);
        frames.push((channel, message));
    };
    let views = touched.orders.values();
    let orders: Vec<_> = views.map(|view| order(exchange, view, account)).collect();
    if !orders.is_empty() {
        let lists = models::by_market(orders.clone());
        tell(
            format!("account_all_orders:{account}"),
            json!({"orders": lists}),
        );
    }
    if !touched.trades.is_empty() {
        let mut body = json!({"trades": models::by_market(touched.trades.clone())});
        models::join(&mut body, volumes(shelves));
        tell(format!("account_all_trades:{account}"), body);
    }
    let touched_positions = touched.positions.iter();
    let positions: Vec<_> = touched_positions
        .filter_map(|market| Some((*market, position(exchange, *market)?)))
        .collect();
    let of = |rows: &[(u32, Value)], market: u32| -> Vec<Value> {
        let rows = rows.iter().filter(|row| row.0 == market);
        rows.map(|row| row.1.clone()).collect()
    };
    for &market in &touched.positions {
        let rows = of(&orders, market);
        if !rows.is_empty() {
            let body = json!({
                "orders": {market.to_string(): rows}, "account": account,
                "nonce": shelves.nonce(),
            });
            tell(format!("account_orders:{market}:{account}"), body);
        }
        let rows = (of(&orders, market), of(&touched.trades, market));
        let body = market_body(exchange, account, market, rows);
        tell(format!("account_market:{market}:{account}"), body);
    }
    if !positions.is_empty() {
        let body = json!({"positions": by_id(positions.clone()), "shares": []});
        tell(format!("account_all_positions:{account}"), body);
    }
    if touched.money {
        let body = json!({"assets": assets(exchange), "timestamp": now.epoch_ms()});
        tell(format!("account_all_assets:{account}"), body);
    }
    if touched.money || !positions.is_empty() {
        let stats = models::user_stats(&exchange.account(), gross(exchange));
        let body = json!({"stats": stats, "timestamp": now.epoch_ms()});
        tell(format!("user_stats:{account}"), body);
        let trades = models::by_market(touched.trades.clone());
        let fundings = models::by_market(touched.fundings.clone());
        let mut body = all_body(exchange, account, by_id(positions), (trades, fundings));
        models::join(&mut body, volumes(shelves));
        tell(format!("account_all:{account}"), body);
    }
    frames
}
