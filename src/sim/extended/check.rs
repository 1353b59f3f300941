//! The venue's checks of a new order, in the order they are made. Each has its own code.
//!
//! Key (in `private`), shape, market, kind, quantity, price, value, expiry, fee, nonce, id, vault,
//! public key, signature, then what depends on the account: open orders, reduce-only, margin.
//!
//! Promises: a signed order passes only if the amounts recomputed from its own fields hash to
//! what was signed. Refuses what the exchange does not carry: conditional, TP/SL and TWAP orders.

use crate::market::book::Side;
use crate::market::units::{Nanos, Notional, Price, Size};
use crate::sim::exchange::{NewOrder, PositionView, Reject, TimeInForce};
use crate::sim::extended::reply::{Code, Refusal};
use crate::sim::extended::settlement::{self, Decimal, Felt, Terms, parse_hex};
use crate::sim::extended::{
    Desk, EXPIRY_MS_MAX, LIMIT_VALUE_USD_MAX, Listing, MARKET_VALUE_USD_MAX, PRICE_CAP_PERCENT,
};
use serde::Deserialize;
use serde_json::Value;

/// Longest own id. Open: the venue's limit is not documented; the official library's default, a
/// hash in decimal, has up to 76 digits.
const ID_LEN_MAX: usize = 128;
/// Highest nonce. The documentation says 2^31, the official library draws up to 2^32 - 1 and is
/// served, so that is the limit here.
const NONCE_MAX: u64 = u32::MAX as u64;

/// The request as it stands. Unknown members are let pass, as by the venue.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Request {
    id: String,
    market: String,
    #[serde(rename = "type")]
    kind: String,
    side: String,
    qty: String,
    price: Option<String>,
    #[serde(default)]
    reduce_only: bool,
    #[serde(default)]
    post_only: bool,
    #[serde(default = "good_till_time")]
    time_in_force: String,
    expiry_epoch_millis: u64,
    fee: String,
    nonce: String,
    self_trade_protection_level: Option<String>,
    cancel_id: Option<String>,
    settlement: Option<Settlement>,
    trigger: Option<Value>,
    tp_sl_type: Option<Value>,
    take_profit: Option<Value>,
    stop_loss: Option<Value>,
    builder_fee: Option<String>,
}

/// The venue's default. [SDK models.order]
fn good_till_time() -> String {
    "GTT".into()
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Settlement {
    signature: Signature,
    stark_key: String,
    collateral_position: String,
}

#[derive(Deserialize)]
struct Signature {
    r: String,
    s: String,
}

/// An order that passed every check but the exchange's own.
#[derive(Debug)]
pub struct Checked {
    /// For the exchange.
    pub order: NewOrder,
    /// What was signed.
    pub hash: Felt,
    /// Own id of the order it replaces.
    pub replaces: Option<String>,
}

/// Checks a request body. The exchange is only looked at; placing it is the caller's.
///
/// # Errors
/// The venue's code for the first check that fails.
pub fn check(desk: &Desk, body: &[u8], now: Nanos) -> Result<Checked, Refusal> {
    let request: Request = serde_json::from_slice(body)
        .map_err(|error| Code::UnprocessableEntity.because(error.to_string()))?;
    let market = desk.listing(&request.market).ok_or(Code::MarketNotFound)?;
    let instrument = market.rules.instrument;
    let (mark, position) =
        (desk.floor).look(|exchange| (exchange.mark(instrument).0, exchange.position(instrument)));
    let side = match request.side.as_str() {
        "BUY" => Side::Bid,
        "SELL" => Side::Ask,
        _ => return Err(Code::UnprocessableEntity.because("side")),
    };
    let time_in_force = kind(&request)?;
    let (qty, size) = quantity(&request, market)?;
    let (price_text, price) = price(&request, market, side, mark)?;
    value(&request, price * size)?;
    expiry(&request, now)?;
    let fee = fee(&request, desk, time_in_force)?;
    let nonce = nonce(&request)?;
    own_id(&request, desk)?;

    let terms = Terms {
        is_buy: side == Side::Bid,
        qty,
        price: price_text,
        fee,
        nonce,
        expiry_ms: request.expiry_epoch_millis,
        vault: desk.keys.vault,
        public_key: desk.account_key,
        assets: market.assets,
    };
    let hash = signature(&request, desk, &terms)?;
    let order = NewOrder {
        instrument,
        side,
        price,
        size,
        time_in_force,
        reduce_only: request.reduce_only,
        client_id: request.id,
        expiry_ms: request.expiry_epoch_millis,
        tag: request.kind,
    };
    if order.reduce_only {
        reduces(&order, &position)?;
    }
    Ok(Checked {
        order,
        hash,
        replaces: request.cancel_id,
    })
}

/// Type, time in force and the members that only triggered orders have. What is spelled wrong is a
/// malformed request (422); what is spelled right but does not go together has its own code.
fn kind(request: &Request) -> Result<TimeInForce, Refusal> {
    let is_market = match request.kind.as_str() {
        "LIMIT" => false,
        "MARKET" => true,
        "CONDITIONAL" | "TPSL" | "TWAP" => {
            return Err(Code::NotAllowedOrderType.because("not carried by the simulated venue"));
        }
        _ => return Err(Code::UnprocessableEntity.because("type")),
    };
    let has_legs = request.tp_sl_type.is_some()
        || request.take_profit.is_some()
        || request.stop_loss.is_some()
        || request.trigger.is_some();
    if has_legs {
        return Err(Code::NotAllowedOrderType.because("triggers are not carried"));
    }
    match request.self_trade_protection_level.as_deref() {
        None | Some("DISABLED" | "ACCOUNT" | "CLIENT") => {}
        Some(_) => return Err(Code::UnprocessableEntity.because("selfTradeProtectionLevel")),
    }
    let is_immediate = match request.time_in_force.as_str() {
        "GTT" => false,
        "IOC" => true,
        "FOK" | "TOB" => return Err(Code::InvalidOrderParameters.because("timeInForce")),
        _ => return Err(Code::UnprocessableEntity.because("timeInForce")),
    };
    if is_market && !is_immediate {
        return Err(Code::MarketOrderMustBeIOC.into());
    }
    match (is_immediate, request.post_only) {
        (true, true) => Err(Code::InvalidOrderParameters.because("postOnly and IOC")),
        (true, false) => Ok(TimeInForce::ImmediateOrCancel),
        (false, true) => Ok(TimeInForce::PostOnly),
        (false, false) => Ok(TimeInForce::GoodTillTime),
    }
}

/// Text that is no decimal number names its member in the refusal.
fn decimal(text: &str, name: &str) -> Result<Decimal, Refusal> {
    Decimal::parse(text).ok_or_else(|| Code::InvalidOrderParameters.because(name))
}

/// The lot before the smallest size: a quantity that is both off the lot and too small is told the
/// lot first. Zero and below are always too small.
fn quantity(request: &Request, market: &Listing) -> Result<(Decimal, Size), Refusal> {
    let qty = decimal(&request.qty, "qty")?;
    let size = Size(qty.to_nano().ok_or(Code::InvalidQtyPrecision)?);
    if size.0.rem_euclid(market.rules.lot.0) != 0 {
        return Err(Code::InvalidQtyWrongSizeIncrement.into());
    }
    if size < market.rules.size_min || size <= Size::ZERO {
        return Err(Code::OrderQtyLessThanMinTradeSize.into());
    }
    Ok((qty, size))
}

/// Every type carries a price, market orders their worst. Buyers are capped above mark and sellers
/// below it; the other way round a price is only foolish. [DOC Create or edit order]
fn price(
    request: &Request,
    market: &Listing,
    side: Side,
    mark: Price,
) -> Result<(Decimal, Price), Refusal> {
    let text = request.price.as_deref().ok_or(Code::MissingOrderPrice)?;
    let exact = decimal(text, "price")?;
    let price = Price(exact.to_nano().ok_or(Code::InvalidPricePrecision)?);
    if price <= Price::ZERO {
        return Err(Code::InvalidPriceAmount.because("price must be positive"));
    }
    if price.0.rem_euclid(market.rules.tick.0) != 0 {
        return Err(Code::InvalidPriceWrongPriceMovement.into());
    }
    let band = Price(mark.0 / 100 * PRICE_CAP_PERCENT);
    let outside = match side {
        Side::Bid => price > mark + band,
        Side::Ask => price < mark - band,
    };
    if outside && mark > Price::ZERO {
        let why = format!("price = {price}, mark price = {mark}");
        return Err(Code::InvalidPriceAmount.because(why));
    }
    Ok((exact, price))
}

/// The larger limit belongs to the orders that may rest. [CAP tradingConfig]
fn value(request: &Request, value: Notional) -> Result<(), Refusal> {
    let usd_max = if request.kind == "MARKET" {
        MARKET_VALUE_USD_MAX
    } else {
        LIMIT_VALUE_USD_MAX
    };
    if value > Notional::from_usd(usd_max) {
        return Err(Code::OrderValueExceedsMaxOrderValue.into());
    }
    Ok(())
}

/// Also of immediate orders: the expiry is signed, so it must be there. [DOC error 1135]
fn expiry(request: &Request, now: Nanos) -> Result<(), Refusal> {
    let now_ms = now.epoch_ms();
    let expiry_ms = request.expiry_epoch_millis;
    if expiry_ms <= now_ms || expiry_ms > now_ms + EXPIRY_MS_MAX {
        return Err(Code::InvalidOrderExpiration.into());
    }
    Ok(())
}

/// The whole signed rate, builder's part included.
fn fee(request: &Request, desk: &Desk, kind: TimeInForce) -> Result<Decimal, Refusal> {
    let fee = decimal(&request.fee, "fee")?;
    let needed_e6 = match kind {
        TimeInForce::PostOnly => desk.fees.maker_e6,
        TimeInForce::ImmediateOrCancel | TimeInForce::GoodTillTime => desk.fees.taker_e6,
    };
    let rate = fee.to_nano().ok_or(Code::InvalidTradingFees)?;
    if rate < i64::from(needed_e6) * 1000 {
        let why = format!("fee = {}, needed = {needed_e6} millionths", request.fee);
        return Err(Code::InvalidTradingFees.because(why));
    }
    let builder = match &request.builder_fee {
        Some(text) => decimal(text, "builderFee")?,
        None => Decimal::ZERO,
    };
    if builder.is_negative() {
        return Err(Code::InvalidTradingFees.because("builderFee"));
    }
    fee.plus(builder)
        .ok_or_else(|| Code::InvalidTradingFees.into())
}

/// Plain digits only; a sign or spaces would be another number to another parser.
fn nonce(request: &Request) -> Result<u64, Refusal> {
    let plain = request.nonce.bytes().all(|byte| byte.is_ascii_digit());
    match request.nonce.parse() {
        Ok(nonce) if plain && (1..=NONCE_MAX).contains(&nonce) => Ok(nonce),
        Ok(_) | Err(_) => Err(Code::InvalidOrderParameters.because("nonce")),
    }
}

/// An own id is good for one order in the life of the account, closed orders included.
fn own_id(request: &Request, desk: &Desk) -> Result<(), Refusal> {
    let printable = request.id.bytes().all(|byte| byte.is_ascii_graphic());
    if request.id.is_empty() || request.id.len() > ID_LEN_MAX || !printable {
        return Err(Code::InvalidOrderParameters.because("id"));
    }
    if desk.ledger().ids.contains_key(&request.id) {
        return Err(Code::DuplicateOrder.because("id"));
    }
    Ok(())
}

/// Vault and key first: a signature by a stranger for a strange vault is told of the vault. The
/// refusal shows the venue's own hash and amounts, without which a rounding fault is hard to find.
fn signature(request: &Request, desk: &Desk, terms: &Terms) -> Result<Felt, Refusal> {
    let settlement = request
        .settlement
        .as_ref()
        .ok_or_else(|| Code::InvalidStarknetSignature.because("settlement is missing"))?;
    if settlement.collateral_position.parse() != Ok(desk.keys.vault) {
        return Err(Code::InvalidStarknetVault.into());
    }
    if parse_hex(&settlement.stark_key) != Some(desk.account_key) {
        return Err(Code::InvalidStarknetPublicKey.into());
    }
    let amounts = terms
        .amounts()
        .ok_or_else(|| Code::InvalidOrderParameters.because("amounts out of range"))?;
    let hash = terms.message_hash(desk.domain, &amounts);
    let parts = (
        parse_hex(&settlement.signature.r),
        parse_hex(&settlement.signature.s),
    );
    let signed = match parts {
        (Some(r), Some(s)) => settlement::is_signed(&terms.public_key, &hash, &r, &s),
        (_, _) => false,
    };
    if !signed {
        let why = format!("hash = {hash:#x}, amounts = {amounts:?}");
        return Err(Code::InvalidStarknetSignature.because(why));
    }
    if desk.ledger().hashes.contains(&hash.to_bytes_be()) {
        return Err(Code::DuplicateOrder.because("equal content and nonce"));
    }
    Ok(hash)
}

/// Judged on the position alone; what rests on the other side is the exchange's concern.
fn reduces(order: &NewOrder, position: &PositionView) -> Result<(), Refusal> {
    let held = position.size;
    if held == Size::ZERO {
        return Err(Code::ReduceOnlyOrderPositionIsMissing.into());
    }
    if (held > Size::ZERO) == (order.side == Side::Bid) {
        return Err(Code::ReduceOnlyOrderPositionSameSide.into());
    }
    if order.size.0 > held.0.abs() {
        return Err(Code::ReduceOnlyOrderSizeExceedsPositionSize.into());
    }
    Ok(())
}

/// The venue's code for what the exchange itself refuses.
pub fn code_of(reject: Reject) -> Code {
    match reject {
        Reject::UnknownMarket => Code::MarketNotFound,
        Reject::PriceGrid => Code::InvalidPriceWrongPriceMovement,
        Reject::SizeGrid => Code::InvalidQtyWrongSizeIncrement,
        Reject::SizeMin | Reject::NotionalMin => Code::OrderQtyLessThanMinTradeSize,
        Reject::PriceBand => Code::InvalidPriceAmount,
        Reject::Expiry => Code::InvalidOrderExpiration,
        Reject::Margin => Code::OrderCostExceedsBalance,
        Reject::ReduceOnly => Code::ReduceOnlyOrderPositionIsMissing,
        Reject::DuplicateClientId => Code::DuplicateOrder,
        Reject::TooManyOrders => Code::MaxOpenOrdersNumberExceeded,
        Reject::OrderNotFound => Code::NotFound,
    }
}
