//! An order as the venue takes it: its ten numbers, and which of them go together.
//!
//! | type | time in force | trigger | expiry |
//! |---|---|---|---|
//! | limit | immediate-or-cancel | none | none |
//! | limit | good-till-time, post-only | none | set |
//! | market | immediate-or-cancel | none | none |
//! | stop-loss, take-profit | immediate-or-cancel | set | set |
//! | the same with a limit | any | set | set |
//! | TWAP | good-till-time | none | set |
//!
//! Source: *signer* in the venue's Sources; judged by the `rejections` of `lighter_tx.json`.

use super::checks::{Fault, Rule, signed};
use super::fields::{
    BASE_AMOUNT, CLIENT_ORDER_INDEX, IS_ASK, MARKET, ORDER_EXPIRY, PRICE, REDUCE_ONLY,
    TIME_IN_FORCE, TRIGGER_PRICE, TYPE, is_market,
};

/// An order's numbers, in the official sequence.
pub(super) type Row = [i64; 10];

/// The rule of each.
pub(super) static ORDER: [Rule; 10] = [
    MARKET,
    CLIENT_ORDER_INDEX,
    BASE_AMOUNT,
    PRICE,
    IS_ASK,
    TYPE,
    TIME_IN_FORCE,
    REDUCE_ONLY,
    TRIGGER_PRICE,
    ORDER_EXPIRY,
];

/// Fields of a CreateOrder besides the envelope, in the venue's own integers.
#[derive(Clone, Copy, Debug, Default)]
pub struct CreateOrder {
    /// Market id, below 2^48; 0 is a real market, 255 is none.
    pub market_index: u64,
    /// Client order index, 1..2^48-1, unlike that of any other live order; 0: none.
    pub client_order_index: u64,
    /// Size in units of 10^-size_decimals, 1..2^48-1; 0 in a reduce-only order: all of it.
    pub base_amount: u64,
    /// Price in units of 10^-price_decimals, 1..2^32-1; a market order's worst price.
    pub price: u64,
    /// Sells.
    pub is_ask: bool,
    /// What kind of order.
    pub order_type: OrderType,
    /// How long it stays.
    pub time_in_force: TimeInForce,
    /// Only reduces.
    pub reduce_only: bool,
    /// The mark price that releases it, as `price`; 0: none.
    pub trigger_price: u64,
    /// Milliseconds since the epoch; 0 for immediate-or-cancel, which refuses anything else. The
    /// venue wants 5 minutes to 30 days ahead.
    pub order_expiry_ms: u64,
}

/// What kind of order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum OrderType {
    /// At its price or better.
    #[default]
    Limit = 0,
    /// At once, down to its worst price.
    Market = 1,
    /// A market order once the mark price has fallen to the trigger.
    StopLoss = 2,
    /// A limit order then.
    StopLossLimit = 3,
    /// A market order once the mark price has risen to the trigger.
    TakeProfit = 4,
    /// A limit order then.
    TakeProfitLimit = 5,
    /// In parts, over time.
    Twap = 6,
}

/// How long an order stays.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum TimeInForce {
    /// What does not trade at once is dropped.
    #[default]
    ImmediateOrCancel = 0,
    /// Until its expiry.
    GoodTillTime = 1,
    /// Until its expiry; refused if it would trade at once.
    PostOnly = 2,
}

impl CreateOrder {
    /// The numbers, not checked.
    #[inline]
    pub(super) fn row(&self) -> Row {
        [
            signed(self.market_index),
            signed(self.client_order_index),
            signed(self.base_amount),
            signed(self.price),
            i64::from(self.is_ask),
            self.order_type as i64,
            self.time_in_force as i64,
            i64::from(self.reduce_only),
            signed(self.trigger_price),
            signed(self.order_expiry_ms),
        ]
    }
}

/// Ranges, then what goes together.
pub(super) fn check_order(row: &Row) -> Result<(), Fault> {
    for (rule, value) in ORDER.iter().zip(row) {
        rule.check(*value)?;
    }
    check_parts(row)
}

/// What goes together, for numbers in range. The first complaint is the official signer's first.
#[inline]
pub(super) fn check_parts(row: &Row) -> Result<(), Fault> {
    let [
        market,
        _,
        base,
        _,
        _,
        kind,
        time_in_force,
        reduce_only,
        trigger,
        expiry,
    ] = *row;
    is_market(market)?;
    if base == 0 && reduce_only == 0 {
        return Err(BASE_AMOUNT.below(0, 1, "only a reduce-only order may go without a size"));
    }
    let (is_market_order, is_twap) = (matches!(kind, 1 | 2 | 4), kind == 6);
    if is_market_order && time_in_force != 0 {
        let reason = "market, stop-loss and take-profit orders are immediate-or-cancel (0)";
        return Err(TIME_IN_FORCE.forbidden(time_in_force, reason));
    }
    if is_twap && time_in_force != 1 {
        return Err(TIME_IN_FORCE.forbidden(time_in_force, "a TWAP order is good-till-time (1)"));
    }
    let is_triggered = matches!(kind, 2..=5);
    if is_triggered && trigger == 0 {
        return Err(TRIGGER_PRICE.below(0, 1, "stop-loss and take-profit need their trigger"));
    }
    if !is_triggered && trigger != 0 {
        let reason = "only stop-loss and take-profit orders have a trigger";
        return Err(TRIGGER_PRICE.forbidden(trigger, reason));
    }
    let ends_at_once = kind == 1 || kind == 0 && time_in_force == 0;
    if ends_at_once && expiry != 0 {
        let reason = "immediate-or-cancel and market orders have none, 0";
        return Err(ORDER_EXPIRY.forbidden(expiry, reason));
    }
    if !ends_at_once && expiry == 0 {
        return Err(ORDER_EXPIRY.below(0, 1, "an order that may wait needs its expiry"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The header's table, one line per type: allowed times in force, trigger, expiry by time in
    /// force.
    const TABLE: [(&[i64], bool, [bool; 3]); 7] = [
        (&[0, 1, 2], false, [false, true, true]),
        (&[0], false, [false, false, false]),
        (&[0], true, [true, true, true]),
        (&[0, 1, 2], true, [true, true, true]),
        (&[0], true, [true, true, true]),
        (&[0, 1, 2], true, [true, true, true]),
        (&[1], false, [true, true, true]),
    ];

    #[test]
    fn every_combination_is_judged_as_the_table_says() {
        for code in 0..7 * 3 * 2 * 2 {
            let (kind, time_in_force) = (code % 7, code / 7 % 3);
            let (trigger, expiry) = (code / 21 % 2, code / 42 % 2);
            let (times, has_trigger, has_expiry) = TABLE[kind as usize];
            let is_good = times.contains(&time_in_force)
                && has_trigger == (trigger == 1)
                && has_expiry[time_in_force as usize] == (expiry == 1);
            let row = [0, 1, 100, 1000, 0, kind, time_in_force, 0, trigger, expiry];
            assert_eq!(check_order(&row).is_ok(), is_good, "{row:?}");
        }
    }

    #[test]
    fn every_range_ends_where_it_says() {
        let good = [0, 1, 100, 1000, 0, 3, 1, 0, 5, 9];
        for (at, rule) in ORDER.iter().enumerate() {
            for (value, is_in_range) in [
                (rule.minimum - 1, false),
                (rule.maximum, true),
                (rule.maximum + 1, false),
            ] {
                let mut row = good;
                row[at] = value;
                let fault = check_order(&row).err();
                // The largest values of Type and TimeInForce go with other neighbours only.
                let is_named = fault.is_some_and(|fault| fault.field == rule.name);
                let is_bound = matches!(at, 5 | 6) && is_in_range;
                assert!(is_named != is_in_range || is_bound, "{} {value}", rule.name);
            }
        }
    }

    #[test]
    fn only_a_reduce_only_order_may_have_no_size_and_255_is_no_market() {
        let mut row = [0, 1, 0, 1000, 0, 0, 0, 0, 0, 0];
        assert_eq!(check_order(&row).unwrap_err().field, "BaseAmount");
        row[7] = 1;
        assert_eq!(check_order(&row), Ok(()));
        row[0] = 255;
        assert_eq!(check_order(&row).unwrap_err().field, "MarketIndex");
    }
}
