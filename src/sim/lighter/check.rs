//! What an order must be before the venue takes it, in the venue's order and with its codes.
//!
//! Pure: rules, mark, position and time come in as arguments. What only the matching engine can
//! know (a client order index in use, margin at the moment of the match) is not judged here.

use super::codes::{self, Refusal};
use super::transaction::Create;
use crate::market::book::Side;
use crate::market::units::{Notional, Price, Size};
use crate::sim::exchange::{NewOrder, Rules, TimeInForce};

/// Order sizes and client order indexes have 48 bits, less the nil value.
pub const WIDTH_48: i64 = (1 << 48) - 1;
/// Order indexes have 60 bits.
pub const WIDTH_60: i64 = (1 << 60) - 1;
/// Prices have 32 bits.
const PRICE_MAX: i64 = (1 << 32) - 1;
/// Orders live between 5 minutes and 30 days.
const EXPIRY_MS_MIN: i64 = 5 * 60_000;
const EXPIRY_MS_MAX: i64 = 30 * 24 * 3_600_000;
/// Largest order value, USDC at 10^-6: `order_quote_limit` of every captured market row.
const QUOTE_MAX_E6: i128 = 281_474_976_710_655;
/// Allowed distance from mark, per cent. The venue's own bands are unknown; clients are advised to
/// stay within a few per cent. Larger hides orders that the real venue may refuse.
const BAND_PER_CENT: i64 = 5;

/// What the check needs to know of the market at this moment.
pub struct Situation<'a> {
    /// Grid and limits.
    pub rules: &'a Rules,
    /// Mark price.
    pub mark: Price,
    /// Our signed position.
    pub position: Size,
    /// Wall time, epoch milliseconds.
    pub now_ms: i64,
}

/// Judges a create order and turns it into what the exchange matches.
///
/// # Errors
/// The venue's own refusal; nothing has happened then and the nonce is unspent.
pub fn order(asked: &Create, at: &Situation<'_>) -> Result<NewOrder, Refusal> {
    if !matches!(asked.is_ask, 0 | 1) {
        return Err(codes::IS_ASK);
    }
    if !matches!(asked.reduce_only, 0 | 1) {
        return Err(codes::REDUCE_ONLY_MODE);
    }
    let time_in_force = kind(asked)?;
    if !(1..=PRICE_MAX).contains(&asked.price) {
        return Err(codes::PRICE);
    }
    if !(0..=WIDTH_48).contains(&asked.client_order_index) {
        return Err(codes::CLIENT_ORDER_INDEX);
    }
    expiry(asked, time_in_force, at.now_ms)?;
    let side = if asked.is_ask == 1 {
        Side::Ask
    } else {
        Side::Bid
    };
    let price = Price::from_scaled(asked.price, at.rules.price_decimals).ok_or(codes::PRICE)?;
    let size = amount(asked, at)?;
    limits(price, size, asked.reduce_only == 1, at.rules)?;
    reduces(asked, side, at.position)?;
    band(side, price, at.mark)?;
    Ok(NewOrder {
        instrument: at.rules.instrument,
        side,
        price,
        size,
        time_in_force,
        reduce_only: asked.reduce_only == 1,
        client_id: match asked.client_order_index {
            0 => String::new(),
            index => index.to_string(),
        },
        expiry_ms: asked.order_expiry as u64,
        tag: String::new(),
    })
}

/// The table of types, time in force and trigger price. Conditional orders and TWAP are refused
/// as a kind that is not served: the simulated venue holds none.
fn kind(asked: &Create) -> Result<TimeInForce, Refusal> {
    let time_in_force = match (asked.order_type, asked.time_in_force) {
        (0 | 1, 0) => TimeInForce::ImmediateOrCancel,
        (0, 1) => TimeInForce::GoodTillTime,
        (0, 2) => TimeInForce::PostOnly,
        (0 | 1, _) => return Err(codes::TIME_IN_FORCE),
        (2..=6, _) => return Err(codes::UNSUPPORTED_ORDER_TYPE),
        _ => return Err(codes::ORDER_TYPE),
    };
    if asked.trigger_price != 0 {
        return Err(codes::TRIGGER_PRICE);
    }
    Ok(time_in_force)
}

/// Immediate orders must have none, resting ones must have one in range.
fn expiry(asked: &Create, time_in_force: TimeInForce, now_ms: i64) -> Result<(), Refusal> {
    let ahead = asked.order_expiry.saturating_sub(now_ms);
    let ok = match time_in_force {
        TimeInForce::ImmediateOrCancel => asked.order_expiry == 0,
        TimeInForce::GoodTillTime | TimeInForce::PostOnly => {
            (EXPIRY_MS_MIN..=EXPIRY_MS_MAX).contains(&ahead)
        }
    };
    ok.then_some(()).ok_or(codes::EXPIRY)
}

/// The size in base; an amount of zero on a reduce-only order means the whole position.
fn amount(asked: &Create, at: &Situation<'_>) -> Result<Size, Refusal> {
    if !(0..=WIDTH_48).contains(&asked.base_amount) {
        return Err(codes::BASE_AMOUNT);
    }
    if asked.base_amount == 0 {
        let whole = Size(at.position.0.abs());
        let ok = asked.reduce_only == 1;
        return ok.then_some(whole).ok_or(codes::BASE_AMOUNT);
    }
    Size::from_scaled(asked.base_amount, at.rules.size_decimals).ok_or(codes::BASE_AMOUNT)
}

/// A reduce-only order may close what is left of a position, however small.
fn limits(price: Price, size: Size, reduces: bool, rules: &Rules) -> Result<(), Refusal> {
    let value = price * size;
    let too_small = size < rules.size_min || value < rules.notional_min;
    if (too_small && !reduces) || value > Notional(QUOTE_MAX_E6 * 1_000_000_000_000) {
        return Err(codes::ORDER_AMOUNT);
    }
    Ok(())
}

/// Judged on the position of this moment; orders on their way do not count.
fn reduces(asked: &Create, side: Side, position: Size) -> Result<(), Refusal> {
    let opposite = match side {
        Side::Bid => position.0 < 0,
        Side::Ask => position.0 > 0,
    };
    if asked.reduce_only == 1 && !opposite {
        return Err(codes::REDUCE_ONLY_INCREASES);
    }
    Ok(())
}

/// Paying far more than mark (or asking far less) is an accident; resting far on the other side is
/// merely too far.
fn band(side: Side, price: Price, mark: Price) -> Result<(), Refusal> {
    if mark.0 <= 0 {
        return Ok(());
    }
    let width = mark.0 / 100 * BAND_PER_CENT;
    let over = price.0 - mark.0;
    let (accidental, far) = match side {
        Side::Bid => (over > width, over < -width),
        Side::Ask => (over < -width, over > width),
    };
    match (accidental, far) {
        (true, _) => Err(codes::FAT_FINGER),
        (_, true) => Err(codes::TOO_FAR_FROM_MARK),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::market::InstrumentId;

    const NOW_MS: i64 = 1_795_000_000_000;

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

    fn buy() -> Create {
        Create {
            market: 1,
            client_order_index: 42,
            base_amount: 100,
            price: 800_000,
            is_ask: 0,
            order_type: 0,
            time_in_force: 0,
            reduce_only: 0,
            trigger_price: 0,
            order_expiry: 0,
        }
    }

    fn judge(asked: Create, position: i64) -> Result<NewOrder, u32> {
        let rules = rules();
        let situation = Situation {
            rules: &rules,
            mark: Price::parse(b"80000").unwrap(),
            position: Size(position),
            now_ms: NOW_MS,
        };
        order(&asked, &situation).map_err(|refusal| refusal.code)
    }

    #[test]
    fn a_good_order_is_on_our_scale() {
        let order = judge(buy(), 0).unwrap();
        assert_eq!(order.price, Price::parse(b"80000").unwrap());
        assert_eq!(order.size, Size::parse(b"0.001").unwrap());
        assert_eq!(order.client_id, "42");
        assert_eq!(order.time_in_force, TimeInForce::ImmediateOrCancel);
    }

    /// A code, and the change to a good order that earns it.
    type Wrong = (u32, fn(&mut Create));

    #[test]
    fn each_wrong_field_has_its_code() {
        let wrong: [Wrong; 23] = [
            (21703, |asked| asked.is_ask = 2),
            (21740, |asked| asked.reduce_only = 2),
            (21704, |asked| asked.order_type = 9),
            (21710, |asked| asked.order_type = 2),
            (21705, |asked| asked.time_in_force = 3),
            (21705, |asked| {
                (asked.order_type, asked.time_in_force) = (1, 1)
            }),
            (21702, |asked| asked.price = 0),
            (21702, |asked| asked.price = 1 << 32),
            (21727, |asked| asked.client_order_index = 1 << 48),
            (21727, |asked| asked.client_order_index = -1),
            (21729, |asked| asked.trigger_price = 5),
            (21711, |asked| asked.order_expiry = NOW_MS + 3_600_000),
            (21711, |asked| asked.time_in_force = 1),
            (21711, |asked| {
                (asked.time_in_force, asked.order_expiry) = (2, NOW_MS + 299_999);
            }),
            (21711, |asked| {
                let days = 31 * 24 * 3_600_000;
                (asked.time_in_force, asked.order_expiry) = (1, NOW_MS + days);
            }),
            (21701, |asked| asked.base_amount = 0),
            (21701, |asked| asked.base_amount = 1 << 48),
            (21706, |asked| asked.base_amount = 19),
            (21706, |asked| asked.base_amount = 1 << 47),
            (21732, |asked| asked.reduce_only = 1),
            (21733, |asked| asked.price = 840_001),
            (21734, |asked| asked.price = 759_999),
            (21733, |asked| (asked.is_ask, asked.price) = (1, 759_999)),
        ];
        for (at, (code, change)) in wrong.into_iter().enumerate() {
            let mut asked = buy();
            change(&mut asked);
            assert_eq!(judge(asked, 0).unwrap_err(), code, "case {at}");
        }
    }

    #[test]
    fn reduce_only_closes_what_is_there() {
        let mut close = buy();
        (close.is_ask, close.reduce_only, close.base_amount) = (1, 1, 0);
        let order = judge(close, 2_000_000).unwrap();
        assert_eq!(order.size, Size(2_000_000));
        assert_eq!(judge(close, -2_000_000).unwrap_err(), 21732);
        assert_eq!(judge(close, 0).unwrap_err(), 21732);
    }

    #[test]
    fn resting_orders_need_an_expiry_in_range() {
        let mut rest = buy();
        (rest.time_in_force, rest.order_expiry) = (2, NOW_MS + 300_000);
        let order = judge(rest, 0).unwrap();
        assert_eq!(order.time_in_force, TimeInForce::PostOnly);
        assert_eq!(order.expiry_ms as i64, NOW_MS + 300_000);
    }
}
