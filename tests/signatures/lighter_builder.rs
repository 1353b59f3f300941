//! Lighter transactions from a `tx_info`: by its names, and through the constructors.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use parallax::venue::lighter::sign::attributes::Attributes;
use parallax::venue::lighter::sign::checks::Fault;
use parallax::venue::lighter::sign::cold::{
    Direction, IntegratorApproval, MarginMode, ModifyOrder, Route, TradingMode, Transfer,
};
use parallax::venue::lighter::sign::ethereum::EthereumSignature;
use parallax::venue::lighter::sign::group::{Grouping, Orders};
use parallax::venue::lighter::sign::kinds::Kind;
use parallax::venue::lighter::sign::order::{CreateOrder, OrderType, TimeInForce};
use parallax::venue::lighter::sign::transaction::{CancelAll, Envelope, Extra, Transaction};
use serde_json::Value;

/// The ten numbers of an order, in the official sequence.
pub const ORDER: [&str; 10] = [
    "MarketIndex",
    "ClientOrderIndex",
    "BaseAmount",
    "Price",
    "IsAsk",
    "Type",
    "TimeInForce",
    "ReduceOnly",
    "TriggerPrice",
    "OrderExpiry",
];

/// From a parsed `tx_info`.
pub fn from_info(kind: &'static Kind, chain_id: u64, info: &Value) -> Result<Transaction, Fault> {
    let numbers: Vec<i64> = kind.rules().map(|rule| integer(&info[rule.name])).collect();
    let mut transaction = Transaction::from_numbers(kind, chain_id, &numbers, extra(info)?)?;
    if let Some(pairs) = info["L2TxAttributes"].as_object() {
        let mut attributes = Attributes::NONE;
        for (id, value) in pairs {
            attributes = attributes.with(id.parse().unwrap(), integer(value))?;
        }
        transaction = transaction.with(attributes)?;
    }
    match info["L1Sig"].as_str() {
        None | Some("") => Ok(transaction),
        Some(text) => {
            let signature = EthereumSignature::parse_hex(text).unwrap();
            transaction.with_ethereum_signature(signature)
        }
    }
}

fn extra(info: &Value) -> Result<Extra, Fault> {
    if let Some(text) = info["PubKey"].as_str() {
        let key = STANDARD.decode(text).unwrap();
        return Ok(Extra::PublicKey(key.try_into().unwrap()));
    }
    if let Some(memo) = info["Memo"].as_array() {
        return Ok(Extra::Memo(std::array::from_fn(|i| {
            integer(&memo[i]) as u8
        })));
    }
    if let Some(orders) = info["Orders"].as_array() {
        let row = |order: &Value| ORDER.map(|name| integer(&order[name]));
        let rows: Vec<_> = orders.iter().map(row).collect();
        return Ok(Extra::Orders(Orders::from_rows(&rows)?));
    }
    Ok(Extra::Nothing)
}

/// Bytes of `2 * N` hexadecimal digits.
pub fn unhex<const N: usize>(hex: &str) -> [u8; N] {
    assert_eq!(hex.len(), 2 * N);
    std::array::from_fn(|i| u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).unwrap())
}

fn integer(value: &Value) -> i64 {
    value
        .as_i64()
        .unwrap_or_else(|| panic!("{value} is no integer"))
}

/// The same `tx_info` through the type's own constructor.
pub fn constructed(kind: &Kind, chain_id: u64, info: &Value) -> Result<Transaction, Fault> {
    let n = |name: &str| info[name].as_u64().unwrap_or_else(|| panic!("{name}"));
    let account = info.get("AccountIndex").or(info.get("FromAccountIndex"));
    let envelope = Envelope {
        chain_id,
        account_index: account.unwrap().as_u64().unwrap(),
        api_key_index: n("ApiKeyIndex") as u8,
        expired_at_ms: n("ExpiredAt"),
        nonce: n("Nonce"),
    };
    let route = |name: &str| [Route::Perps, Route::Spot][n(name) as usize];
    let transaction = match (kind.tx_type, extra(info)?) {
        (8, Extra::PublicKey(key)) => Transaction::change_public_key(envelope, key),
        (9, _) => Transaction::create_sub_account(envelope),
        (10, _) => Transaction::create_public_pool(
            envelope,
            n("OperatorFee"),
            n("InitialTotalShares"),
            n("MinOperatorShareRate"),
        ),
        (11, _) => Transaction::update_public_pool(
            envelope,
            n("PublicPoolIndex"),
            n("Status"),
            n("OperatorFee"),
            n("MinOperatorShareRate"),
        ),
        (12, Extra::Memo(memo)) => {
            let transfer = Transfer {
                to_account_index: n("ToAccountIndex"),
                asset_index: n("AssetIndex"),
                from_route: route("FromRouteType"),
                to_route: route("ToRouteType"),
                amount: n("Amount"),
                usdc_fee: n("USDCFee"),
                memo,
            };
            Transaction::transfer(envelope, &transfer)
        }
        (13, _) => {
            Transaction::withdraw(envelope, n("AssetIndex"), route("RouteType"), n("Amount"))
        }
        (14, _) => Transaction::create_order(envelope, &order(info)),
        (15, _) => Transaction::cancel_order(envelope, n("MarketIndex"), n("Index")),
        (16, _) => Transaction::cancel_all(envelope, cancel_all(info)),
        (17, _) => {
            let order = ModifyOrder {
                market_index: n("MarketIndex"),
                index: n("Index"),
                base_amount: n("BaseAmount"),
                price: n("Price"),
                trigger_price: n("TriggerPrice"),
            };
            Transaction::modify_order(envelope, &order)
        }
        (18, _) => Transaction::mint_shares(envelope, n("PublicPoolIndex"), n("ShareAmount")),
        (19, _) => Transaction::burn_shares(envelope, n("PublicPoolIndex"), n("ShareAmount")),
        (20, _) => {
            let mode = [MarginMode::Cross, MarginMode::Isolated][n("MarginMode") as usize];
            let fraction = n("InitialMarginFraction");
            Transaction::update_leverage(envelope, n("MarketIndex"), fraction, mode)
        }
        (28, _) => {
            let grouping = match n("GroupingType") {
                1 => Grouping::OneTriggersTheOther,
                2 => Grouping::OneCancelsTheOther,
                _ => Grouping::OneTriggersAPair,
            };
            let orders: Vec<_> = info["Orders"]
                .as_array()
                .unwrap()
                .iter()
                .map(order)
                .collect();
            Transaction::create_grouped_orders(envelope, grouping, &orders)
        }
        (29, _) => {
            let direction = [Direction::Remove, Direction::Add][n("Direction") as usize];
            Transaction::update_margin(envelope, n("MarketIndex"), n("USDCAmount"), direction)
        }
        (35, _) => Transaction::stake_assets(envelope, n("StakingPoolIndex"), n("ShareAmount")),
        (36, _) => Transaction::unstake_assets(envelope, n("StakingPoolIndex"), n("ShareAmount")),
        (41, _) => {
            let mode = [TradingMode::Classic, TradingMode::Unified];
            Transaction::update_account_config(envelope, mode[n("AccountTradingMode") as usize])
        }
        (42, _) => {
            let is_margin = n("AssetMarginMode") == 1;
            Transaction::update_account_asset_config(envelope, n("AssetIndex"), is_margin)
        }
        (45, _) => {
            let approval = IntegratorApproval {
                integrator_account_index: n("IntegratorAccountIndex"),
                perps_taker_fee_max: n("MaxPerpsTakerFee"),
                perps_maker_fee_max: n("MaxPerpsMakerFee"),
                spot_taker_fee_max: n("MaxSpotTakerFee"),
                spot_maker_fee_max: n("MaxSpotMakerFee"),
                expiry_ms: n("ApprovalExpiry"),
            };
            Transaction::approve_integrator(envelope, &approval)
        }
        (other, _) => panic!("type {other}"),
    };
    // Cancelling one market's orders has set its attribute.
    let mut attributes = Attributes::NONE;
    let pairs = info["L2TxAttributes"].as_object().into_iter().flatten();
    for (id, value) in pairs.filter(|(id, _)| *id != "5") {
        attributes = attributes.with(id.parse().unwrap(), integer(value))?;
    }
    transaction?.with(attributes)
}

fn order(info: &Value) -> CreateOrder {
    let n = |name: &str| info[name].as_u64().unwrap_or_else(|| panic!("{name}"));
    CreateOrder {
        market_index: n("MarketIndex"),
        client_order_index: n("ClientOrderIndex"),
        base_amount: n("BaseAmount"),
        price: n("Price"),
        is_ask: n("IsAsk") == 1,
        order_type: match n("Type") {
            0 => OrderType::Limit,
            1 => OrderType::Market,
            2 => OrderType::StopLoss,
            3 => OrderType::StopLossLimit,
            4 => OrderType::TakeProfit,
            5 => OrderType::TakeProfitLimit,
            _ => OrderType::Twap,
        },
        time_in_force: match n("TimeInForce") {
            0 => TimeInForce::ImmediateOrCancel,
            1 => TimeInForce::GoodTillTime,
            _ => TimeInForce::PostOnly,
        },
        reduce_only: n("ReduceOnly") == 1,
        trigger_price: n("TriggerPrice"),
        order_expiry_ms: n("OrderExpiry"),
    }
}

fn cancel_all(info: &Value) -> CancelAll {
    match (info["TimeInForce"].as_u64(), &info["L2TxAttributes"]["5"]) {
        (Some(0), Value::Null) => CancelAll::Now,
        (Some(0), market) => CancelAll::Market(market.as_u64().unwrap()),
        (Some(1), _) => CancelAll::At(info["Time"].as_u64().unwrap()),
        _ => CancelAll::Abort,
    }
}
