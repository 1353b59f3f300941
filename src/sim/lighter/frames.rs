//! The texts of the public frames: book, ticker, height. Pure; who gets them is the board's matter.
//!
//! Shapes are those of captured mainnet frames of 2026-07: microseconds in `last_updated_at`,
//! milliseconds in `timestamp`, sizes and prices with the market's own number of places, an empty
//! side of the ticker as empty texts.

use crate::market::book::Side;
use crate::market::units::{Nanos, Price, Size};
use crate::sim::decimal::push_fixed;
use crate::sim::exchange::Rules;
use std::fmt::Write;

/// Best bid and best ask with their sizes, by [`Side::idx`].
pub type Touch = [Option<(Price, Size)>; 2];

/// The whole message of a book frame, written by hand: it is by far the most frequent one.
pub fn book(rules: &Rules, levels: &[(Side, Price, Size)], place: &Place) -> String {
    let Place {
        kind,
        begin,
        nonce,
        offset,
        t,
        now,
    } = place;
    let (market, us, ms) = (rules.venue_market, t.0 / 1000, now.epoch_ms());
    // A level is about forty bytes.
    let mut text = String::with_capacity(320 + levels.len() * 44);
    // Writing to a String can't fail.
    let _ = write!(
        text,
        r#"{{"channel":"order_book:{market}","last_updated_at":{us},"offset":{offset},"#
    );
    text.push_str(r#""order_book":{"code":0,"#);
    for (name, of) in [(r#""asks":["#, Side::Ask), (r#""bids":["#, Side::Bid)] {
        text.push_str(name);
        let mut comma = "";
        for (_, price, size) in levels.iter().filter(|(side, ..)| *side == of) {
            text.push_str(comma);
            push_level(&mut text, rules, *price, *size);
            comma = ",";
        }
        text.push_str("],");
    }
    let _ = write!(
        text,
        r#""offset":{offset},"nonce":{nonce},"last_updated_at":{us},"begin_nonce":{begin}}},"#
    );
    let _ = write!(text, r#""timestamp":{ms},"type":"{kind}/order_book"}}"#);
    text
}

/// `{"price":"84052.0","size":"0.00020"}`
fn push_level(text: &mut String, rules: &Rules, price: Price, size: Size) {
    text.push_str(r#"{"price":""#);
    push_fixed(text, price.0, rules.price_decimals);
    text.push_str(r#"","size":""#);
    push_fixed(text, size.0, rules.size_decimals);
    text.push_str(r#""}"#);
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
    /// Venue time of the last change in it.
    pub t: Nanos,
    /// When it is sent.
    pub now: Nanos,
}

/// A ticker frame; `kind` is `subscribed` or `update`.
pub fn ticker(rules: &Rules, touch: &Touch, nonce: u64, kind: &str, now: Nanos) -> String {
    let (market, symbol) = (rules.venue_market, &rules.name);
    let (us, ms) = (now.0 / 1000, now.epoch_ms());
    let mut text = String::with_capacity(320);
    let _ = write!(
        text,
        r#"{{"channel":"ticker:{market}","last_updated_at":{us},"nonce":{nonce},"#
    );
    let _ = write!(text, r#""ticker":{{"s":"{symbol}""#);
    for (name, level) in [(r#","a":"#, touch[1]), (r#","b":"#, touch[0])] {
        text.push_str(name);
        match level {
            Some((price, size)) => push_level(&mut text, rules, price, size),
            None => text.push_str(r#"{"price":"","size":""}"#),
        }
    }
    let _ = write!(
        text,
        r#","last_updated_at":{us}}},"timestamp":{ms},"type":"{kind}/ticker"}}"#
    );
    text
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
