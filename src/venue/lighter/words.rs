//! What Lighter's rows say: an order, a trade of ours, the verdict on a transaction. REST and
//! stream write them alike.
//!
//! Promises: a row is read whole or not at all. Refuses: to guess a state from a word it does not
//! know; that is Unknown.
//!
//! Source: *orders*, *fees*, *rest* in the venue's Sources.

use super::wire::{self, Json};
use crate::market::book::Side;
use crate::market::order::{Force, OrderId, OrderState, ReportKind};
use crate::market::units::{Notional, Price, Size};

/// Millionths: the unit of `taker_fee` and `maker_fee` in a trade (source *fees*).
const FEE_SCALE: i128 = 1_000_000;

/// One row of an order list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OrderRow {
    /// Market id.
    pub venue_market: u64,
    /// Client order index; [`OrderId::NONE`] when it was placed without.
    pub id: OrderId,
    /// Where it stands.
    pub state: OrderState,
    /// Cumulative filled size.
    pub filled: Size,
    /// When that was so, microseconds; 0 when it is not said. `created_at` and `updated_at` can tie
    /// between two states, so they are not read.
    pub updated_us: u64,
}

/// Reads an order; `None` when a field is missing or ill-typed.
pub fn order_row(row: Json) -> Option<OrderRow> {
    let updated_us = row.field("transaction_time").and_then(Json::integer);
    Some(OrderRow {
        venue_market: row.field("market_index")?.integer()?,
        id: OrderId(row.field("client_order_index")?.integer()?),
        state: order_state(row.field("status")?.text()?),
        filled: wire::size(row.field("filled_base_amount")?.text()?.as_bytes()).ok()?,
        updated_us: updated_us.unwrap_or(0),
    })
}

/// The venue's status words: every kind of `canceled-...` is over. A word we do not know is not
/// guessed at.
pub fn order_state(status: &str) -> OrderState {
    match status {
        "open" | "pending" | "in-progress" => OrderState::Working,
        "filled" => OrderState::Filled,
        _ if status.starts_with("canceled") => OrderState::Cancelled,
        _ => OrderState::Unknown,
    }
}

/// What all sides of one trade have in common.
#[derive(Clone, Copy)]
pub struct TradeRow<'t, 'm> {
    /// Market id.
    pub venue_market: u64,
    /// The trade's number, unique at the venue.
    pub number: u64,
    row: Json<'t, 'm>,
}

/// One side of a trade that is ours.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OwnSide {
    /// The order it names; [`OrderId::NONE`] where it names none.
    pub order: OrderId,
    /// A fill, whoever's order it was.
    pub fill: ReportKind,
    /// The same as something no order made, where the venue's word allows that reading.
    pub forced: Option<ReportKind>,
}

/// Reads market and number of a trade.
pub fn trade_row<'t, 'm>(row: Json<'t, 'm>) -> Option<TradeRow<'t, 'm>> {
    Some(TradeRow {
        venue_market: row.field("market_id")?.integer()?,
        number: row.field("trade_id")?.integer()?,
        row,
    })
}

impl TradeRow<'_, '_> {
    /// Venue time in microseconds; `timestamp` is in milliseconds.
    pub fn made_us(&self) -> Option<u64> {
        let exact = self.row.field("transaction_time").and_then(Json::integer);
        exact.or_else(|| self.row.field("timestamp")?.integer()?.checked_mul(1000))
    }

    /// The sides that are the account's, ask first. Both are when it traded with itself; then it is
    /// two fills under one number.
    ///
    /// Who is forced: in a liquidation the taker, as the venue sells out an account into the book,
    /// and an order of ours that stood there has simply traded; in a deleveraging both sides, as
    /// no book is asked.
    pub fn own_sides(&self, account_index: u64) -> Option<[Option<OwnSide>; 2]> {
        let row = self.row;
        let price = wire::price(row.field("price")?.text()?.as_bytes()).ok()?;
        let size = wire::size(row.field("size")?.text()?.as_bytes()).ok()?;
        let is_maker_ask = row.field("is_maker_ask")?.boolean()?;
        let kind = row.field("type").and_then(Json::text).unwrap_or("trade");
        let mut own = [None; 2];
        for (slot, (side, account, client)) in own.iter_mut().zip(SIDES) {
            if row.field(account)?.integer()? != account_index {
                continue;
            }
            let order = row.field(client).and_then(Json::integer).unwrap_or(0);
            let is_maker = is_maker_ask == (side == Side::Ask);
            let rate = row.field(if is_maker { "maker_fee" } else { "taker_fee" });
            let rate = rate.and_then(Json::signed).unwrap_or(0);
            let (trade, fee) = (self.number, fee_of(price, size, rate));
            let why = match kind {
                "liquidation" if !is_maker => Some(Force::Liquidation),
                "deleverage" => Some(Force::Deleverage),
                _ => None,
            };
            *slot = Some(OwnSide {
                order: OrderId(order),
                fill: ReportKind::Fill {
                    trade,
                    side,
                    price,
                    size,
                    fee,
                },
                forced: why.map(|why| ReportKind::Forced {
                    trade,
                    side,
                    price,
                    size,
                    fee,
                    why,
                }),
            });
        }
        Some(own)
    }
}

/// Where a trade says who stood on which side.
const SIDES: [(Side, &str, &str); 2] = [
    (Side::Ask, "ask_account_id", "ask_client_id"),
    (Side::Bid, "bid_account_id", "bid_client_id"),
];

/// A rate in millionths of the notional, rounded up; a rebate counts as nothing.
pub(super) fn fee_of(price: Price, size: Size, rate_e6: i64) -> Notional {
    let part = (price * size).0.saturating_mul(i128::from(rate_e6.max(0)));
    Notional(part.saturating_add(FEE_SCALE - 1) / FEE_SCALE)
}

/// What `GET tx` says became of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Applied: there is, or was, an order.
    Applied,
    /// Taken, and refused by the engine afterwards: there never was one.
    Refused {
        /// The engine's code.
        code: u32,
    },
}

/// Reads the verdict; `None` when the answer has none yet. It hides as text in text: `event_info`
/// is JSON in a string, its `ae` is empty or JSON in a string again. That is looked for by hand:
/// the parser would need the inner text to itself. `status` is 2 either way and says nothing.
pub fn verdict(root: Json) -> Option<Verdict> {
    const KEY: &str = "\"ae\":\"";
    let info = root.field("event_info")?.text()?;
    let error = &info[info.find(KEY)? + KEY.len()..];
    if error.starts_with('"') {
        return Some(Verdict::Applied);
    }
    let digits = error[error.find("code")?..].trim_start_matches(|c: char| !c.is_ascii_digit());
    let end = digits.find(|c: char| !c.is_ascii_digit());
    let code = digits[..end.unwrap_or(digits.len())].parse().ok()?;
    Some(Verdict::Refused { code })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::venue::lighter::wire::Decoder;
    use proptest::prelude::*;

    fn read(text: &str) -> Option<Verdict> {
        Decoder::new()
            .read(&mut text.to_string().into_bytes(), verdict)
            .flatten()
    }

    #[test]
    fn row_17_the_verdict_is_inside_the_text() {
        let refused = r#"{"code":200,"status":2,"event_info":
            "{\"i\":1,\"to\":{},\"ae\":\"{\\\"code\\\": 21728, \\\"message\\\": \\\"x\\\"}\"}"}"#;
        assert_eq!(read(refused), Some(Verdict::Refused { code: 21_728 }));
        let applied = r#"{"code":200,"status":2,"event_info":"{\"a\":1,\"i\":404,\"ae\":\"\"}"}"#;
        assert_eq!(read(applied), Some(Verdict::Applied));
        for none in [
            r#"{"code":21500,"message":"transaction not found"}"#,
            r#"{"code":200,"status":1,"event_info":""}"#,
            r#"{"code":200,"status":1,"event_info":"{\"ae\":\""}"#,
            r#"{"code":200,"status":1,"event_info":"{\"ae\":\"x\"}"}"#,
        ] {
            assert_eq!(read(none), None, "{none}");
        }
    }

    proptest! {
        #[test]
        fn no_event_text_panics(info in ".{0,60}", at in 0..60_usize) {
            let mut info = info;
            let at = (0..=at.min(info.len())).rev().find(|at| info.is_char_boundary(*at));
            info.insert_str(at.unwrap_or(0), "\"ae\":\"code");
            let text = serde_json::json!({"event_info": info}).to_string();
            let _ = read(&text);
        }
    }
}
