//! Lighter's reads of the account over HTTP: who it is, what it holds, what it sent.
//!
//! Promises: every field of the models of the official Python library 1.1.8. Refuses other
//! accounts than the one there is (21100); whether a token is wanted is decided in `rest`.

use super::account;
use super::codes::{self, Refusal};
use super::desk::{Desk, lock};
use super::form::Parameters;
use super::models;
use super::numbers::usdc;
use super::rest::{Answer, PAGE_MAX, limit, number, number_or, text};
use super::sign;
use crate::sim::exchange::{Exchange, LighterTier};
use serde_json::{Value, json};

/// As a market number: every market.
const ALL_MARKETS: u64 = 255;

/// Our own fills, newest first, of one order where that is asked. Foreign ones are read from
/// `recentTrades`.
pub fn trades(desk: &Desk, form: &Parameters) -> Answer {
    let order = number_or(form, "order_index", 0)?;
    let only = match number_or(form, "market_id", 255)? {
        255 => None,
        id => Some(u32::try_from(id).map_err(|_| codes::MARKET)?),
    };
    let own = desk.credentials.account_index;
    let trades = desk
        .floor
        .look(|exchange| account::trades(exchange, own, only, usize::MAX));
    let is_of = |row: &Value| order == 0 || row["ask_id"] == order || row["bid_id"] == order;
    let rows = trades.into_iter().filter(is_of).collect();
    page(form, ("trades", "trade_id"), rows)
}

/// A page of rows: `cursor` is the number of the last row seen, and there is one in the answer
/// while there are more.
fn page(form: &Parameters, (name, id): (&str, &str), rows: Vec<Value>) -> Answer {
    let limit = limit(form, PAGE_MAX)?;
    let after = form.get("cursor").filter(|cursor| !cursor.is_empty());
    let from = match after {
        None => 0,
        Some(cursor) => {
            let seen = rows
                .iter()
                .position(|row| row[id].as_u64() == cursor.parse().ok());
            1 + seen.ok_or_else(|| codes::parameter("invalid cursor"))?
        }
    };
    let left = &rows[from..];
    let shown = &left[..left.len().min(limit)];
    let mut answer = json!({"code": 200, name: shown});
    if shown.len() < left.len() {
        answer["next_cursor"] = shown[shown.len() - 1][id].to_string().into();
    }
    Ok(answer)
}

/// The fields that `Account` and `DetailedAccount` share.
fn account_base(desk: &Desk, exchange: &Exchange) -> Value {
    let money = exchange.account();
    let open = account::active_orders(exchange).len();
    let index = desk.credentials.account_index;
    json!({
        "code": 0, "account_type": 0, "account_trading_mode": 0, "index": index,
        "account_index": index, "l1_address": desk.credentials.l1_address,
        "cancel_all_time": lock(&desk.schedule).at_ms, "total_order_count": open,
        "total_isolated_order_count": 0, "pending_order_count": 0,
        "available_balance": usdc(money.available), "status": 1,
        "collateral": usdc(money.collateral), "transaction_time": 0,
    })
}

/// Every market is listed with its margin setting, traded or not: clients look leverage up here.
fn account_detail(desk: &Desk, exchange: &Exchange) -> Value {
    let money = exchange.account();
    let mut detail = account_base(desk, exchange);
    let positions = exchange
        .rules()
        .iter()
        .filter_map(|rules| account::position(exchange, rules.venue_market));
    let more = json!({
        "name": "", "description": "", "can_invite": false, "referral_points_percentage": "",
        "positions": positions.collect::<Vec<_>>(), "assets": [models::asset(&money)],
        "total_asset_value": usdc(money.equity), "cross_asset_value": usdc(money.equity),
        "cross_initial_margin_requirement": usdc(money.initial_margin),
        "cross_maintenance_margin_requirement": usdc(money.maintenance_margin),
        "pool_info": {
            "status": 0, "operator_fee": "", "min_operator_share_rate": "", "total_shares": 0,
            "operator_shares": 0, "annual_percentage_yield": 0, "daily_returns": [],
            "share_prices": [], "sharpe_ratio": 0, "strategies": [],
        },
        "shares": [], "pending_unlocks": [], "approved_integrators": [],
        "created_at": 0, "can_rfq": false, "can_rfq_market_ids": [], "metadata": {"color": ""},
        "agent_enabled": false, "bo_positions": [],
    });
    models::join(&mut detail, more);
    detail
}

/// By index or by owner; the venue answers a list even for one.
pub fn account(desk: &Desk, form: &Parameters) -> Answer {
    let value = text(form, "value")?;
    let ours = match text(form, "by")? {
        "index" => value.parse() == Ok(desk.credentials.account_index),
        "l1_address" => value.eq_ignore_ascii_case(&desk.credentials.l1_address),
        _ => return Err(codes::parameter("by is neither index nor l1_address")),
    };
    if !ours {
        return Err(codes::ACCOUNT_NOT_FOUND);
    }
    let detail = desk.floor.look(|exchange| account_detail(desk, exchange));
    Ok(json!({"code": 200, "total": 1, "accounts": [detail], "next_cursor": ""}))
}

/// Ethereum addresses are compared without regard to their checksum capitals.
pub fn accounts_by_l1_address(desk: &Desk, form: &Parameters) -> Answer {
    let owner = &desk.credentials.l1_address;
    if !text(form, "l1_address")?.eq_ignore_ascii_case(owner) {
        return Err(codes::ACCOUNT_NOT_FOUND);
    }
    let base = desk.floor.look(|exchange| account_base(desk, exchange));
    Ok(json!({"code": 200, "l1_address": owner, "sub_accounts": [base]}))
}

/// There is one account; every other is unknown rather than forbidden.
pub(super) fn own_account(desk: &Desk, form: &Parameters) -> Result<u64, Refusal> {
    let index = number(form, "account_index")?;
    let ok = index == desk.credentials.account_index;
    ok.then_some(index).ok_or(codes::ACCOUNT_NOT_FOUND)
}

/// 255 asks for all slots. Nonces are the next ones, as in `nextNonce`.
pub fn api_keys(desk: &Desk, form: &Parameters) -> Answer {
    let account = own_account(desk, form)?;
    let wanted = number_or(form, "api_key_index", 255)?;
    let slots = lock(&desk.slots);
    let keys: Vec<Value> = slots
        .iter()
        .filter(|slot| wanted == 255 || u64::from(slot.index) == wanted)
        .map(|slot| {
            json!({
                "account_index": account, "api_key_index": slot.index,
                "nonce": slot.next_nonce, "public_key": sign::hex(&slot.public_key),
                "transaction_time": slot.changed_us,
            })
        })
        .collect();
    if keys.is_empty() {
        return Err(codes::API_KEY_NOT_FOUND);
    }
    Ok(json!({"code": 200, "api_keys": keys}))
}

/// Clients must ask at start: a fresh key's first nonce is 0 or 1.
pub fn next_nonce(desk: &Desk, form: &Parameters) -> Answer {
    own_account(desk, form)?;
    let wanted = number(form, "api_key_index")?;
    let slots = lock(&desk.slots);
    let slot = slots.iter().find(|slot| u64::from(slot.index) == wanted);
    // A slot that nobody has written yet is there to be written.
    let nonce = match (slot, wanted) {
        (Some(slot), _) => slot.next_nonce,
        (None, 0..=254) => 0,
        (None, _) => return Err(codes::API_KEY_INDEX),
    };
    Ok(json!({"code": 200, "nonce": nonce}))
}

/// The only place where a late refusal of the engine shows.
pub fn tx(desk: &Desk, form: &Parameters) -> Answer {
    let value = text(form, "value")?;
    desk.floor.look(|exchange| {
        let ledger = lock(&desk.ledger);
        let entry = match text(form, "by")? {
            "hash" => ledger.by_hash(value),
            "sequence_index" => value.parse().ok().and_then(|at| ledger.by_sequence(at)),
            _ => return Err(codes::parameter("by is neither hash nor sequence_index")),
        };
        let owner = &desk.credentials;
        let entry = entry.ok_or(codes::TX_NOT_FOUND)?;
        let mut shown = entry.show(exchange, owner.account_index, &owner.l1_address);
        shown["code"] = 200.into();
        Ok(shown)
    })
}

/// Newest first, whatever the state.
pub fn account_txs(desk: &Desk, form: &Parameters) -> Answer {
    let limit = limit(form, PAGE_MAX)?;
    let owner = &desk.credentials;
    desk.floor.look(|exchange| {
        let ledger = lock(&desk.ledger);
        let newest = ledger.newest().take(limit);
        let shown = newest.map(|tx| tx.show(exchange, owner.account_index, &owner.l1_address));
        Ok(json!({"code": 200, "txs": shown.collect::<Vec<_>>()}))
    })
}

/// Orders still on their way are not listed, as on the venue.
pub fn active_orders(desk: &Desk, form: &Parameters) -> Answer {
    let own = own_account(desk, form)?;
    let wanted = number_or(form, "market_id", 255)?;
    desk.floor.look(|exchange| {
        let active = account::active_orders(exchange);
        let rows = active
            .iter()
            .map(|view| account::order(exchange, view, own));
        let rows = rows.filter(|row| wanted == 255 || u64::from(row.0) == wanted);
        let orders: Vec<Value> = rows.map(|row| row.1).collect();
        Ok(json!({"code": 200, "orders": orders}))
    })
}

/// Newest first, by pages.
pub fn inactive_orders(desk: &Desk, form: &Parameters) -> Answer {
    let own = own_account(desk, form)?;
    let wanted = number_or(form, "market_id", 255)?;
    desk.floor.look(|exchange| {
        let closed = exchange.closed_orders();
        let rows = closed
            .iter()
            .map(|view| account::order(exchange, view, own));
        let rows = rows.filter(|row| wanted == 255 || u64::from(row.0) == wanted);
        page(
            form,
            ("orders", "order_index"),
            rows.map(|row| row.1).collect(),
        )
    })
}

/// The fields of the captured answer, and two that the library wants. The unit of the fee ticks is
/// taken to be that of the trades, 10^-6.
pub fn account_limits(desk: &Desk, form: &Parameters) -> Answer {
    own_account(desk, form)?;
    let terms = desk.terms();
    let tier = match terms.tier {
        LighterTier::Standard => "standard",
        LighterTier::Premium200 | LighterTier::Premium140 => "premium",
    };
    Ok(json!({
        "code": 200, "max_llp_percentage": 100, "max_llp_amount": "0.000000",
        "user_tier": tier, "user_tier_name": tier, "user_tier_last_update": 0,
        "can_create_public_pool": false,
        "current_maker_fee_tick": terms.maker_fee_e6,
        "current_taker_fee_tick": terms.taker_fee_e6,
        "leased_lit": "0.00000000", "effective_lit_stakes": "0.00000000",
        "bo_user_tier_name": tier, "bo_fee_rate": 1.0,
    }))
}

/// Payments of funding, newest first, of one market or (none named, or 255) of all.
pub fn position_funding(desk: &Desk, form: &Parameters) -> Answer {
    own_account(desk, form)?;
    let limit = limit(form, PAGE_MAX)?;
    let wanted = number_or(form, "market_id", ALL_MARKETS)?;
    desk.floor.look(|exchange| {
        let payments = exchange.payments();
        let rows = payments.iter().filter_map(|one| {
            let rules = &exchange.rules()[one.instrument.idx()];
            let is_wanted = [ALL_MARKETS, u64::from(rules.venue_market)].contains(&wanted);
            is_wanted.then(|| models::payment(one, rules))
        });
        let rows: Vec<Value> = rows.take(limit).collect();
        Ok(json!({"code": 200, "position_fundings": rows}))
    })
}
