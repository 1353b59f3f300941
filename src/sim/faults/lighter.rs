//! How Lighter's frames bear faults: what a channel is about, how a chain resumes, how it crosses.
//!
//! Promises: after a freeze the next update carries every level that changed meanwhile, chained to
//! the last nonce told, so that the client's book is whole again without a new subscription.

use crate::market::InstrumentId;
use crate::sim::faults::fuse::Fuse;
use crate::sim::faults::kind::Channel;
use crate::sim::faults::tap::{Act, Tap, Verdict};
use crate::sim::faults::{Told, Watched, crossing_bid};
use crate::sim::lighter::numbers::fixed;
use crate::sim::server::Floor;
use crate::sim::server::web::Utf8Bytes;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The sides of a book frame.
const SIDES: [&str; 2] = ["asks", "bids"];

/// What frozen frames of one book left to be told.
struct Debt {
    /// The nonce that was told last.
    begin: Value,
    /// Size by price, as the frames spell them, by [`SIDES`].
    levels: [BTreeMap<String, Value>; 2],
}

/// The tap of one connection.
pub struct Line {
    tap: Tap,
    floor: Arc<Floor>,
    debts: BTreeMap<InstrumentId, Debt>,
}

impl Line {
    /// A tap for a new connection, where the venue has faults.
    pub fn open(floor: &Arc<Floor>, fuse: Fuse) -> Option<Line> {
        Some(Line {
            tap: Tap::new(floor.faults()?, fuse),
            floor: Arc::clone(floor),
            debts: BTreeMap::new(),
        })
    }

    /// Subscribed to a channel, as frames spell it. Public channels are struck or harmless; all
    /// others are the client's own.
    pub fn join(&mut self, channel: &str) {
        match self.watched(channel) {
            Some((channel, market)) => {
                self.tap.join((channel, Some(market)));
                if channel == Channel::Book {
                    self.debts.remove(&market);
                }
            }
            None if is_harmless(channel) => {}
            None => self.tap.exempt(),
        }
    }

    /// Unsubscribed from a channel.
    pub fn leave(&mut self, channel: &str) {
        if let Some((channel, market)) = self.watched(channel) {
            let watched: Watched = (channel, Some(market));
            self.tap.leave(watched);
        }
    }

    /// The client sent a transaction: its answers must come.
    pub fn exempt(&mut self) {
        self.tap.exempt();
    }

    /// Passes one frame of a channel.
    pub fn show(&mut self, channel: &str, text: &Utf8Bytes) -> Vec<Act> {
        let Some((channel, market)) = self.watched(channel) else {
            return match is_harmless(channel) {
                true => self.tap.pass(text.clone()),
                false => self.tap.tell_account(self.floor.now(), text.clone()),
            };
        };
        let told = Told {
            channel,
            market,
            is_shared: false,
            is_snapshot: false,
        };
        match self.tap.judge(self.floor.now(), told) {
            Verdict::Pass => self.tap.strike(told, text.clone()),
            Verdict::Hush => Vec::new(),
            Verdict::Freeze => {
                if channel == Channel::Book {
                    self.owe(market, text);
                }
                Vec::new()
            }
            Verdict::Thaw => {
                let text = self.repay(market, text);
                self.tap.strike(told, text)
            }
            Verdict::Cross => {
                let crossed = self.crossed(market, text);
                if crossed.is_some() {
                    self.tap.crossed();
                }
                self.tap
                    .strike(told, crossed.unwrap_or_else(|| text.clone()))
            }
        }
    }

    /// Passes an answer.
    pub fn pass(&mut self, text: Utf8Bytes) -> Vec<Act> {
        self.tap.pass(text)
    }

    /// Waits for what the tap does of its own accord. May be dropped and called again.
    pub async fn due(&mut self) -> Vec<Act> {
        self.tap.due().await
    }

    /// Keeps what a frozen frame changes.
    fn owe(&mut self, market: InstrumentId, text: &str) {
        let Ok(frame) = serde_json::from_str::<Value>(text) else {
            return;
        };
        let book = &frame["order_book"];
        let debt = self.debts.entry(market).or_insert_with(|| Debt {
            begin: book["begin_nonce"].clone(),
            levels: Default::default(),
        });
        debt.add(book);
    }

    /// The frame with everything that is owed, chained to what was told last.
    fn repay(&mut self, market: InstrumentId, text: &Utf8Bytes) -> Utf8Bytes {
        let read = serde_json::from_str::<Value>(text);
        let (Some(mut debt), Ok(mut frame)) = (self.debts.remove(&market), read) else {
            return text.clone();
        };
        debt.add(&frame["order_book"]);
        frame["order_book"]["begin_nonce"] = debt.begin;
        for (side, levels) in SIDES.iter().zip(debt.levels) {
            let level = |(price, size)| json!({"price": price, "size": size});
            frame["order_book"][side] = levels.into_iter().map(level).collect();
        }
        frame.to_string().into()
    }

    /// The frame with one bid more, beyond the best ask.
    fn crossed(&self, market: InstrumentId, text: &str) -> Option<Utf8Bytes> {
        let (price, size) = crossing_bid(&self.floor, market)?;
        let (price, size) = self.floor.look(|exchange| {
            let rules = &exchange.rules()[market.idx()];
            let price = fixed(price.0, rules.price_decimals);
            (price, fixed(size.0, rules.size_decimals))
        });
        let (before, after) = text.split_once("\"bids\":[")?;
        let comma = if after.starts_with(']') { "" } else { "," };
        let level = format!(r#"{{"price":"{price}","size":"{size}"}}"#);
        Some(format!("{before}\"bids\":[{level}{comma}{after}").into())
    }

    /// What of a channel can be struck.
    fn watched(&self, channel: &str) -> Option<(Channel, InstrumentId)> {
        let (name, number) = channel.split_once(':')?;
        let channel = match name {
            "order_book" => Channel::Book,
            "ticker" => Channel::Touch,
            "trade" => Channel::Trades,
            _ => return None,
        };
        Some((channel, self.tap.faults().market_of(number.parse().ok()?)?))
    }
}

impl Debt {
    /// Sizes are absolute, so the last one told of a price is the one that counts.
    fn add(&mut self, book: &Value) {
        for (side, kept) in SIDES.iter().zip(&mut self.levels) {
            for level in book[side].as_array().into_iter().flatten() {
                if let Some(price) = level["price"].as_str() {
                    kept.insert(price.to_owned(), level["size"].clone());
                }
            }
        }
    }
}

/// Public, and of no interest to faults.
fn is_harmless(channel: &str) -> bool {
    channel == "height" || channel.starts_with("market_stats:")
}
