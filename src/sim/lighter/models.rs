//! The account's side of Lighter's JSON: orders, trades, positions, balances.
//!
//! Promises: keys, types and number formats as in captured frames, plus every field that the models
//! of the official Python library 1.1.8 require, so that REST and stream share one shape. Fields
//! that have no meaning here (integrators, pools, isolated margin) carry the venue's nil.

use super::markets;
use super::numbers::{fixed, per_cent, usdc};
use crate::market::book::Side;
use crate::market::units::{Nanos, Notional, Size};
use crate::sim::exchange::{
    AccountView, NewOrder, OrderView, Payment, PositionView, Rules, Status, TimeInForce, Trade,
    TradeKind,
};
use serde_json::{Map, Value, json};
use std::fmt::Write;

/// An order's number inside its market is in the lower 48 bits of its index, which starts at
/// (market + 1) * 2^48; asks count up from 1 and bids down from 2^48 - 1.
const ORDER_SPAN: u64 = 1 << 48;
/// Anybody who trades with us or among themselves on the simulated venue.
pub const OTHERS_ACCOUNT: u64 = 91_249;
/// An asset number of the venue: USDC.
pub const ASSET_USDC: u64 = 3;

/// Order type and transaction hash travel in the order's tag, as `<hash>:<type>`.
pub fn tag(hash: &str, order_type: i64) -> String {
    format!("{hash}:{order_type}")
}

/// The transaction hash in a tag.
pub fn tag_hash(order: &NewOrder) -> &str {
    order.tag.split(':').next().unwrap_or_default()
}

/// The engine knows limits only; the type asked for is kept for what the venue shows.
fn is_market_order(order: &NewOrder) -> bool {
    order.tag.ends_with(":1")
}

/// The venue's order index of our exchange's order `number`.
pub fn order_index(number: u64, market: u32, side: Side) -> u64 {
    (u64::from(market) + 1) * ORDER_SPAN + order_nonce(number, side)
}

/// Asks count up and bids down, so that the lower number is always the older one of its side.
fn order_nonce(number: u64, side: Side) -> u64 {
    match side {
        Side::Ask => number,
        Side::Bid => ORDER_SPAN - number,
    }
}

/// The exchange's number behind an order index, and the market it names.
pub fn order_number(index: u64) -> (u64, u32) {
    let nonce = index % ORDER_SPAN;
    let number = if nonce < ORDER_SPAN / 2 {
        nonce
    } else {
        ORDER_SPAN - nonce
    };
    let market = (index / ORDER_SPAN).saturating_sub(1);
    (number, u32::try_from(market).unwrap_or(u32::MAX))
}

/// Status text. `Pending` is not shown by the venue: an order appears when its delay has passed.
pub fn status(order: &OrderView) -> &'static str {
    match order.status {
        Status::Pending => "in-progress",
        Status::Open => "open",
        Status::Filled => "filled",
        Status::Cancelled if is_market_order(&order.asked) => "canceled-too-much-slippage",
        Status::Cancelled => "canceled",
        Status::CancelledPostOnly => "canceled-post-only",
        Status::CancelledMargin => "canceled-margin-not-allowed",
        Status::CancelledReduceOnly => "canceled-reduce-only",
        Status::Expired => "canceled-expired",
    }
}

/// Block height at a time: about six blocks a second, as captured heights rise.
pub fn block_height(at: Nanos) -> u64 {
    at.epoch_ms().saturating_sub(1_737_000_000_000) / 160
}

/// One order.
pub fn order(order: &OrderView, rules: &Rules, account: u64) -> Value {
    let asked = &order.asked;
    let live = matches!(order.status, Status::Open | Status::Pending);
    let left = Size(asked.size.0 - order.filled.0);
    let remaining = if live { left } else { Size::ZERO };
    let size = |value: Size| fixed(value.0, rules.size_decimals);
    let price = |value: i64| fixed(value, rules.price_decimals);
    let index = order_index(order.number, rules.venue_market, asked.side);
    let client_index = asked.client_id.parse::<u64>().unwrap_or(0);
    let updated_s = order.updated.epoch_ms() / 1000;
    json!({
        "order_index": index, "order_id": index.to_string(),
        "client_order_index": client_index, "client_order_id": client_index.to_string(),
        "market_index": rules.venue_market, "market_symbol": rules.name, "market_kind": "perp",
        "owner_account_index": account,
        "initial_base_amount": size(asked.size), "remaining_base_amount": size(remaining),
        "filled_base_amount": size(order.filled),
        "filled_quote_amount": usdc(order.filled_notional),
        "price": price(asked.price.0),
        "base_size": remaining.to_scaled(rules.size_decimals).unwrap_or(0),
        "base_price": asked.price.to_scaled(rules.price_decimals).unwrap_or(0),
        "nonce": order_nonce(order.number, asked.side),
        "is_ask": asked.side == Side::Ask, "side": "",
        "type": if is_market_order(asked) { "market" } else { "limit" },
        "time_in_force": time_in_force(asked.time_in_force),
        "reduce_only": asked.reduce_only,
        "trigger_price": price(0), "trigger_status": "na", "trigger_time": 0,
        "order_expiry": asked.expiry_ms, "status": status(order),
        "parent_order_index": 0, "parent_order_id": "0",
        "to_trigger_order_id_0": "0", "to_trigger_order_id_1": "0", "to_cancel_order_id_0": "0",
        "integrator_fee_collector_index": "0", "integrator_taker_fee": "0",
        "integrator_maker_fee": "0", "order_flags": 0, "order_version": 0,
        "block_height": block_height(order.updated),
        "timestamp": updated_s, "created_at": order.created.epoch_ms() / 1000,
        "updated_at": updated_s, "transaction_time": order.updated.0 / 1000,
    })
}

/// Texts as captured.
fn time_in_force(value: TimeInForce) -> &'static str {
    match value {
        TimeInForce::ImmediateOrCancel => "immediate-or-cancel",
        TimeInForce::GoodTillTime => "good-till-time",
        TimeInForce::PostOnly => "post-only",
    }
}

/// What the two sides of a trade are, for [`trade`].
pub struct Parties {
    /// Index, client index and account of the seller's order.
    pub ask: (u64, u64, u64),
    /// The same of the buyer's.
    pub bid: (u64, u64, u64),
    /// The resting order was the ask.
    pub is_maker_ask: bool,
    /// Rates, 10^-6 of notional; left out of the JSON when zero, as the venue does.
    pub taker_fee_e6: u32,
    /// The maker's rate.
    pub maker_fee_e6: u32,
    /// The taker's signed position before.
    pub taker_before: Size,
    /// The maker's.
    pub maker_before: Size,
    /// Its transaction.
    pub tx_hash: String,
    /// What made it.
    pub kind: TradeKind,
}

/// The parties of one of our own trades; the other side is the venue's crowd.
pub fn own_parties(trade: &Trade, rules: &Rules, account: u64, tx_hash: String) -> Parties {
    let index = order_index(trade.order, rules.venue_market, trade.side);
    let ours = (index, trade.client_id.parse().unwrap_or(0), account);
    // Far above any number our own orders reach, so the two never meet.
    let crowd = order_index(
        (1 << 40) + trade.number,
        rules.venue_market,
        trade.side.other(),
    );
    let theirs = (crowd, 0, OTHERS_ACCOUNT);
    let sells = trade.side == Side::Ask;
    let (ask, bid) = if sells {
        (ours, theirs)
    } else {
        (theirs, ours)
    };
    let (taker, maker) = if trade.is_taker {
        ((trade.fee_rate_e6, trade.position_before), (0, Size::ZERO))
    } else {
        ((0, Size::ZERO), (trade.fee_rate_e6, trade.position_before))
    };
    Parties {
        ask,
        bid,
        is_maker_ask: sells != trade.is_taker,
        taker_fee_e6: taker.0,
        maker_fee_e6: maker.0,
        taker_before: taker.1,
        maker_before: maker.1,
        tx_hash,
        kind: trade.kind,
    }
}

/// One trade. `number` is the trade's own, `price` and `size` in our units, `at` its time.
pub fn trade(number: u64, fill: (i64, Size, Nanos), rules: &Rules, parties: &Parties) -> Value {
    let text = trade_text(number, fill, rules, parties);
    serde_json::from_str(&text).expect("the text is written as an object, names hold no quotes")
}

/// The text of [`trade`], without a tree in between: a busy venue shows thousands a second.
pub fn trade_text(
    number: u64,
    fill: (i64, Size, Nanos),
    rules: &Rules,
    parties: &Parties,
) -> String {
    let (price, size, at) = fill;
    let amount = usdc(Notional(i128::from(price) * i128::from(size.0)));
    let size_text = |value: Size| fixed(value.0, rules.size_decimals);
    let (ask, bid) = (parties.ask, parties.bid);
    let mut text = String::with_capacity(1_536);
    let (market, symbol) = (rules.venue_market, &rules.name);
    // Writing to a String can't fail.
    let _ = write!(
        text,
        "{{\"trade_id\":{number},\"trade_id_str\":\"{number}\",\"tx_hash\":\"{}\",\
         \"type\":\"{}\",\"market_id\":{market},\"market_symbol\":\"{symbol}\",\
         \"market_kind\":\"perp\",\"size\":\"{}\",\"price\":\"{}\",\"usd_amount\":\"{amount}\"",
        parties.tx_hash,
        kind_text(parties.kind),
        size_text(size),
        fixed(price, rules.price_decimals),
    );
    for (side, (index, client, account)) in [("ask", ask), ("bid", bid)] {
        let _ = write!(
            text,
            ",\"{side}_id\":{index},\"{side}_id_str\":\"{index}\",\"{side}_client_id\":{client},\
             \"{side}_client_id_str\":\"{client}\",\"{side}_account_id\":{account}"
        );
    }
    let _ = write!(
        text,
        ",\"is_maker_ask\":{},\"block_height\":{},\"timestamp\":{},\"transaction_time\":{}",
        parties.is_maker_ask,
        block_height(at),
        at.epoch_ms(),
        at.0 / 1000,
    );
    let margin_e4 = rules.initial_margin_e4;
    let befores = [
        ("taker", parties.taker_before, parties.taker_fee_e6),
        ("maker", parties.maker_before, parties.maker_fee_e6),
    ];
    for (role, before, fee_e6) in befores {
        let _ = write!(
            text,
            ",\"{role}_position_size_before\":\"{}\",\"{role}_entry_quote_before\":\"0.000000\",\
             \"{role}_initial_margin_fraction_before\":{margin_e4},\
             \"{role}_position_sign_changed\":false",
            size_text(before)
        );
        if fee_e6 != 0 {
            let _ = write!(text, ",\"{role}_fee\":{fee_e6}");
        }
    }
    text.push_str(TRADE_NILS);
    text
}

/// `liquidation` as captured; `deleverage` is the documentation's.
fn kind_text(kind: TradeKind) -> &'static str {
    match kind {
        TradeKind::Order => "trade",
        TradeKind::Liquidation => "liquidation",
        TradeKind::Deleverage => "deleverage",
    }
}

/// What a trade carries for things that do not exist here.
const TRADE_NILS: &str = concat!(
    r#","ask_account_pnl":"","bid_account_pnl":"","#,
    r#""integrator_maker_fee":0,"integrator_maker_fee_collector_index":0,"#,
    r#""integrator_taker_fee":0,"integrator_taker_fee_collector_index":0,"#,
    r#""taker_allocated_margin_usdc_before":0,"taker_allocated_margin_usdc_after":0,"#,
    r#""maker_allocated_margin_usdc_before":0,"maker_allocated_margin_usdc_after":0,"#,
    r#""bid_order_version":0,"ask_order_version":0}"#,
);

/// Adds the keys of one object to another.
pub fn join(to: &mut Value, more: Value) {
    if let (Value::Object(to), Value::Object(more)) = (to, more) {
        to.extend(more);
    }
}

/// One position, with the funding received since it was opened (whether the venue's figure
/// outlives the position is not known). A flat one has sign 1 and, as captured, a value of minus
/// zero.
pub fn position(
    position: &PositionView,
    rules: &Rules,
    open_orders: usize,
    account: &AccountView,
) -> Value {
    let size = position.size;
    let value = position.mark * Size(size.0.abs());
    let price = |value: i64| fixed(value, rules.price_decimals);
    let flat = size.0 == 0;
    json!({
        "market_id": rules.venue_market, "symbol": rules.name,
        "initial_margin_fraction": fixed(i64::from(rules.initial_margin_e4) * 10_000_000, 2),
        "open_order_count": open_orders, "pending_order_count": 0,
        "position_tied_order_count": 0,
        "sign": if size.0 < 0 { -1 } else { 1 },
        "position": fixed(size.0.abs(), rules.size_decimals),
        "avg_entry_price": price(if flat { 0 } else { position.entry.0 }),
        "position_value": if flat { "-0.000000".into() } else { usdc(value) },
        "unrealized_pnl": usdc(position.unrealised), "realized_pnl": usdc(position.realised),
        "liquidation_price": liquidation_price(position, rules, account),
        "total_funding_paid_out": usdc(position.funding),
        "margin_mode": u8::from(rules.is_isolated), "margin_set_flag": 1,
        "allocated_margin": "0.000000",
        "total_discount": "0.000000",
    })
}

/// One payment of funding. Amounts are what came in, so that paying reads negative, as totals of
/// live accounts were seen to; the rate is taken to be per cent, as in `fundings`.
pub fn payment(payment: &Payment, rules: &Rules) -> Value {
    json!({
        "timestamp": payment.t.epoch_ms() / 1000, "market_id": rules.venue_market,
        "funding_id": payment.number, "change": usdc(payment.amount),
        "rate": markets::percent(payment.rate_e9),
        "position_size": fixed(payment.size.0.abs(), rules.size_decimals),
        "position_side": if payment.size.0 < 0 { "short" } else { "long" },
        "discount": "0.000000",
    })
}

/// Where mark would have to go for equity to meet the maintenance margin, all else unchanged.
fn liquidation_price(position: &PositionView, rules: &Rules, account: &AccountView) -> String {
    if position.size.0 == 0 {
        return "0".into();
    }
    let spare = account.equity.0 - account.maintenance_margin.0;
    let per_unit = spare / i128::from(position.size.0.abs()).max(1);
    let away = i64::try_from(per_unit).unwrap_or(i64::MAX);
    let price = if position.size.0 > 0 {
        position.mark.0.saturating_sub(away)
    } else {
        position.mark.0.saturating_add(away)
    };
    fixed(price.max(0), rules.price_decimals)
}

/// The account's assets: all of it is USDC margin.
pub fn asset(account: &AccountView) -> Value {
    json!({
        "symbol": "USDC", "asset_id": ASSET_USDC, "balance": "0.000000",
        "locked_balance": "0.000000", "margin_mode": "disabled",
        "margin_balance": usdc(account.collateral), "multiplier": "1.000000000000000000",
    })
}

/// `stats` of the `user_stats` channel.
pub fn user_stats(account: &AccountView, gross: Notional) -> Value {
    let leverage = per_cent(gross, account.equity);
    let leverage = leverage.parse::<f64>().unwrap_or(0.0) / 100.0;
    let stats = json!({
        "collateral": usdc(account.collateral),
        "portfolio_value": usdc(account.equity),
        "leverage": format!("{leverage:.2}"),
        "available_balance": usdc(account.available),
        "margin_usage": per_cent(account.initial_margin, account.equity),
        "buying_power": "0",
    });
    let mut all = stats.as_object().cloned().unwrap_or_default();
    all.insert("account_trading_mode".into(), 0.into());
    all.insert("cross_stats".into(), stats.clone());
    all.insert("total_stats".into(), stats);
    Value::Object(all)
}

/// Values by market number, as the stream writes maps: `{"1":[..]}`.
pub fn by_market(rows: impl IntoIterator<Item = (u32, Value)>) -> Value {
    let mut lists: Map<String, Value> = Map::new();
    for (market, row) in rows {
        let list = lists
            .entry(market.to_string())
            .or_insert_with(|| Value::Array(Vec::new()));
        if let Value::Array(list) = list {
            list.push(row);
        }
    }
    Value::Object(lists)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::market::InstrumentId;
    use crate::market::units::Price;
    use std::collections::BTreeSet;

    fn rules() -> Rules {
        Rules {
            is_isolated: false,
            instrument: InstrumentId(0),
            name: "BTC".into(),
            base: "BTC".into(),
            venue_market: 1,
            tick: Price::parse(b"0.1").unwrap(),
            lot: Size::parse(b"0.00001").unwrap(),
            price_decimals: 1,
            size_decimals: 5,
            size_min: Size::parse(b"0.0002").unwrap(),
            notional_min: Notional::from_usd(10),
            initial_margin_e4: 500,
            maintenance_margin_e4: 120,
        }
    }

    fn captured(kind: &str, wanted: &str) -> Value {
        let path = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/tests/data/lighter/lighter_messages.jsonl"
        );
        let text = std::fs::read_to_string(path).unwrap();
        let line = text
            .lines()
            .find(|line| line.contains(kind) && line.contains("captured") && line.contains(wanted));
        let mut line: Value = serde_json::from_str(line.unwrap()).unwrap();
        line["message"].take()
    }

    /// Every key of `theirs` is in `ours` with the same JSON type.
    fn assert_shape(ours: &Value, theirs: &Value) {
        for (key, value) in theirs.as_object().unwrap() {
            let own = &ours[key];
            let same = std::mem::discriminant(own) == std::mem::discriminant(value);
            assert!(same, "{key}: {own} where the venue wrote {value}");
        }
    }

    fn resting() -> OrderView {
        OrderView {
            number: 1_850_172,
            asked: NewOrder {
                instrument: InstrumentId(0),
                side: Side::Bid,
                price: Price::parse(b"58300").unwrap(),
                size: Size::parse(b"0.001").unwrap(),
                time_in_force: TimeInForce::PostOnly,
                reduce_only: false,
                client_id: "424242424242".into(),
                expiry_ms: 1_787_850_871_312,
                tag: tag("ab", 0),
            },
            status: Status::Open,
            filled: Size::ZERO,
            filled_notional: Notional::ZERO,
            fee: Notional::ZERO,
            created: Nanos(1_785_431_667_000_000_000),
            updated: Nanos(1_785_431_671_836_228_000),
        }
    }

    #[test]
    fn an_open_order_reads_as_captured() {
        let theirs = captured("ws update/account_all_orders", r#""status":"open""#);
        let theirs = &theirs["orders"]["1"][0];
        let ours = order(&resting(), &rules(), 516);
        assert_shape(&ours, theirs);
        for key in [
            "order_index",
            "client_order_id",
            "initial_base_amount",
            "price",
            "nonce",
            "remaining_base_amount",
            "base_size",
            "base_price",
            "filled_quote_amount",
            "type",
            "time_in_force",
            "trigger_price",
            "order_expiry",
            "status",
            "transaction_time",
            "owner_account_index",
            "is_ask",
        ] {
            let (own, their) = (&ours[key], &theirs[key]);
            if key == "order_index" || key == "nonce" {
                continue;
            }
            assert_eq!(own, their, "{key}");
        }
        // The numbering itself: market 1, a bid counting down from 2^48 - 1.
        let index = theirs["order_index"].as_u64().unwrap();
        let (number, market) = order_number(index);
        assert_eq!(market, 1);
        assert_eq!(order_index(number, 1, Side::Bid), index);
        assert_eq!(
            order_nonce(number, Side::Bid),
            theirs["nonce"].as_u64().unwrap()
        );
    }

    #[test]
    fn a_cancelled_order_has_nothing_remaining() {
        let mut cancelled = resting();
        cancelled.status = Status::Cancelled;
        let ours = order(&cancelled, &rules(), 516);
        assert_eq!(ours["status"], "canceled");
        assert_eq!(ours["remaining_base_amount"], "0.00000");
        assert_eq!(ours["base_size"], 0);
        cancelled.asked.tag = tag("ab", 1);
        assert_eq!(
            order(&cancelled, &rules(), 1)["status"],
            "canceled-too-much-slippage"
        );
    }

    #[test]
    fn order_indexes_are_unique_over_sides_and_markets() {
        let mut seen = BTreeSet::new();
        for number in 1..50 {
            for market in [0, 1, 199] {
                for side in [Side::Bid, Side::Ask] {
                    let index = order_index(number, market, side);
                    assert!(seen.insert(index));
                    assert_eq!(order_number(index), (number, market));
                }
            }
        }
    }

    #[test]
    fn a_trade_reads_as_captured() {
        let theirs = captured("ws update/trade", "liquidation_trades");
        let own = Trade {
            number: 7,
            order: 3,
            client_id: "42".into(),
            kind: TradeKind::Order,
            instrument: InstrumentId(0),
            side: Side::Bid,
            price: Price::parse(b"80000").unwrap(),
            size: Size::parse(b"0.001").unwrap(),
            fee: Notional::ZERO,
            fee_rate_e6: 28,
            is_taker: false,
            t: Nanos(1_785_431_671_836_228_000),
            position_before: Size::ZERO,
        };
        let fill = |own: &Trade| (own.price.0, own.size, own.t);
        let parties = own_parties(&own, &rules(), 516, "ab".into());
        let ours = trade(own.number, fill(&own), &rules(), &parties);
        assert_shape(&ours, &theirs["trades"][0]);
        // A bid of ours that rested: the maker is the bid, and the ask is the crowd's.
        assert_eq!(ours["is_maker_ask"], false);
        assert_eq!(ours["bid_account_id"], 516);
        assert_eq!(ours["bid_client_id"], 42);
        assert_eq!(ours["maker_fee"], 28);
        assert!(ours.get("taker_fee").is_none());
        let taker = Trade {
            is_taker: true,
            ..own
        };
        let parties = own_parties(&taker, &rules(), 516, "ab".into());
        assert!(parties.is_maker_ask);
        assert_eq!(parties.taker_fee_e6, 28);
    }

    #[test]
    fn a_flat_position_reads_as_captured() {
        let theirs = captured("ws update/account_all_positions", "after order open");
        let ours = position(
            &PositionView::default(),
            &rules(),
            1,
            &AccountView::default(),
        );
        let theirs = &theirs["positions"]["1"];
        assert_shape(&ours, theirs);
        for (key, value) in theirs.as_object().unwrap() {
            assert_eq!(&ours[key], value, "{key}");
        }
    }

    #[test]
    fn a_short_position_has_a_negative_sign_and_an_unsigned_size() {
        let short = PositionView {
            size: Size::parse(b"-0.5").unwrap(),
            entry: Price::parse(b"80000").unwrap(),
            mark: Price::parse(b"80100").unwrap(),
            ..PositionView::default()
        };
        let account = AccountView {
            equity: Notional::from_usd(10_000),
            maintenance_margin: Notional::from_usd(500),
            ..AccountView::default()
        };
        let ours = position(&short, &rules(), 0, &account);
        assert_eq!(
            (&ours["sign"], &ours["position"]),
            (&json!(-1), &json!("0.50000"))
        );
        assert_eq!(ours["position_value"], "40050.000000");
        // 9,500 spare on half a coin: 19,000 higher.
        assert_eq!(ours["liquidation_price"], "99100.0");
    }
}
