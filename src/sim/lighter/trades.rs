//! Public trades as the board keeps and tells them.
//!
//! Promises: what nobody asks for is never written; a trade of the crowd is kept as a few numbers,
//! because 200 markets keep a hundred each.

use super::frames;
use super::models::{self, OTHERS_ACCOUNT, Parties};
use crate::market::book::Side;
use crate::market::units::{Nanos, Price, Size};
use crate::sim::exchange::{Rules, TradeKind};
use std::fmt::Write;
use std::sync::Arc;

/// A public trade, kept for late subscribers.
#[derive(Clone)]
pub(super) enum Shown {
    /// Among others; its text is made when it is asked for.
    Crowd(CrowdTrade),
    /// One of ours, as text.
    Own(Arc<str>),
}

/// A trade among others.
#[derive(Clone, Copy)]
pub(super) struct CrowdTrade {
    pub(super) number: u64,
    /// The taker's.
    pub(super) side: Side,
    pub(super) price: Price,
    pub(super) size: Size,
    pub(super) t: Nanos,
}

impl Shown {
    /// As both REST and the stream show it. Accounts and orders of others are the crowd's.
    pub(super) fn text(&self, rules: &Rules) -> String {
        let trade = match self {
            Shown::Crowd(trade) => trade,
            Shown::Own(text) => return text.to_string(),
        };
        let crowd = |side: Side| {
            let number = (1 << 40) + trade.number;
            let index = models::order_index(number, rules.venue_market, side);
            (index, 0, OTHERS_ACCOUNT)
        };
        let parties = Parties {
            ask: crowd(Side::Ask),
            bid: crowd(Side::Bid),
            is_maker_ask: trade.side == Side::Bid,
            taker_fee_e6: 0,
            maker_fee_e6: 0,
            taker_before: Size::ZERO,
            maker_before: Size::ZERO,
            tx_hash: frames::synthetic_hash(trade.number, trade.t),
            kind: TradeKind::Order,
        };
        let fill = (trade.price.0, trade.size, trade.t);
        models::trade_text(trade.number, fill, rules, &parties)
    }
}

/// The whole message of a trade frame.
pub(super) fn trades_text(channel: &str, nonce: u64, kind: &str, rows: &[String]) -> String {
    let mut text = String::with_capacity(160 + rows.iter().map(|row| row.len() + 1).sum::<usize>());
    let (trades, forced): (Vec<&String>, Vec<&String>) =
        rows.iter().partition(|row| row.contains(ORDINARY));
    let _ = write!(text, r#"{{"channel":"{channel}","liquidation_trades":["#);
    push_rows(&mut text, &forced);
    let _ = write!(text, r#"],"nonce":{nonce},"trades":["#);
    push_rows(&mut text, &trades);
    let _ = write!(text, r#"],"type":"{kind}/trade"}}"#);
    text
}

/// How the type of a trade between orders is written; others are told apart from it. As captured.
const ORDINARY: &str = r#""type":"trade""#;

fn push_rows(text: &mut String, rows: &[&String]) {
    for (idx, row) in rows.iter().enumerate() {
        text.push_str(if idx == 0 { "" } else { "," });
        text.push_str(row);
    }
}
