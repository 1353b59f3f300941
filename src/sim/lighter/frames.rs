//! The texts of the public frames: book, ticker, height. Pure; who gets them is the board's matter.
//!
//! Shapes are those of captured mainnet frames of 2026-07: microseconds in `last_updated_at`,
//! milliseconds in `timestamp`, sizes and prices with the market's own number of places, an empty
//! side of the ticker as empty texts.

use super::numbers::fixed;
use crate::market::book::Side;
use crate::market::units::{Nanos, Price, Size};
use crate::sim::exchange::Rules;
use serde_json::{Value, json};
use std::fmt::Write;

/// Best bid and best ask with their sizes, by [`Side::idx`].
pub type Touch = [Option<(Price, Size)>; 2];

/// The whole message of a book frame, written by hand: it is by far the most frequent one.
pub fn book(
    rules: &Rules,
    levels: impl Iterator<Item = (Side, Price, Size)>,
    place: &Place,
) -> String {
    let (mut asks, mut bids) = (String::new(), String::new());
    for (side, price, size) in levels {
        let list = match side {
            Side::Ask => &mut asks,
            Side::Bid => &mut bids,
        };
        let comma = if list.is_empty() { "" } else { "," };
        let price = fixed(price.0, rules.price_decimals);
        let size = fixed(size.0, rules.size_decimals);
        // Writing to a String can't fail.
        let _ = write!(list, r#"{comma}{{"price":"{price}","size":"{size}"}}"#);
    }
    let Place {
        kind,
        begin,
        nonce,
        offset,
        t,
    } = place;
    let (market, us, ms) = (rules.venue_market, t.0 / 1000, t.epoch_ms());
    format!(r#"{{"channel":"order_book:{market}","last_updated_at":{us},"offset":{offset},"#)
        + &format!(r#""order_book":{{"code":0,"asks":[{asks}],"bids":[{bids}],"offset":{offset},"#)
        + &format!(r#""nonce":{nonce},"last_updated_at":{us},"begin_nonce":{begin}}},"#)
        + &format!(r#""timestamp":{ms},"type":"{kind}/order_book"}}"#)
}

/// Where a book frame stands in the chain.
pub struct Place {
    /// `subscribed` or `update`.
    pub kind: &'static str,
    /// Nonce of the frame before; 0 in a snapshot.
    pub begin: u64,
    /// Nonce of this frame.
    pub nonce: u64,
    /// The API server's counter.
    pub offset: u64,
    /// Venue time of the change.
    pub t: Nanos,
}

/// A ticker frame; `kind` is `subscribed` or `update`.
pub fn ticker(rules: &Rules, touch: &Touch, nonce: u64, kind: &str, now: Nanos) -> Value {
    let level = |side: Option<(Price, Size)>| match side {
        Some((price, size)) => json!({
            "price": fixed(price.0, rules.price_decimals),
            "size": fixed(size.0, rules.size_decimals),
        }),
        None => json!({"price": "", "size": ""}),
    };
    let now_us = now.0 / 1000;
    json!({
        "channel": format!("ticker:{}", rules.venue_market), "last_updated_at": now_us,
        "nonce": nonce,
        "ticker": {
            "s": rules.name, "a": level(touch[1]), "b": level(touch[0]),
            "last_updated_at": now_us,
        },
        "timestamp": now.epoch_ms(), "type": format!("{kind}/ticker"),
    })
}

/// A height frame.
pub fn height(height: u64, kind: &str, now: Nanos) -> String {
    let timestamp = now.epoch_ms();
    format!(
        r#"{{"channel":"height","height":{height},"timestamp":{timestamp},"type":"{kind}/height"}}"#
    )
}

/// Internal matches carry the sequence and the time in place of a hash, then zeros.
pub fn synthetic_hash(number: u64, t: Nanos) -> String {
    format!("{number:016x}{:016x}{}", t.epoch_ms(), "0".repeat(48))
}
