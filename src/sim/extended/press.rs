//! Writes what happened as the venue's frames, once each, and hands them to whoever subscribed.
//!
//! A frame is written under the exchange's lock, so joining a topic there gives a snapshot and
//! every later frame, none missed or repeated. Only what somebody listens to is written. The
//! sequence number is the connection's own and is added when the frame is sent.
//!
//! Promises: `q` is the signed change and `c` the new size of a level; a full snapshot a minute,
//! the markets one after the other; some snapshot prices in the venue's longer spelling; best bid
//! and ask leave before the book frame that moves them, so they are never older than the full book.
//! The tape's own gaps stand for the venue's cadences (100 ms, 10 ms): nothing is conflated.
//! Refuses to wait for slow clients: they lag and are cut off.

use crate::market::InstrumentId;
use crate::market::book::Side;
use crate::market::units::{Nanos, Price, SECOND, Size};
use crate::sim::decimal::{push_exact, push_whole};
use crate::sim::exchange::{Change, Exchange, Happening};
use crate::sim::extended::frame::{Frame, Kind, Topic};
use crate::sim::extended::wire::padded;
use crate::sim::extended::{Desk, Listing, venue_id};
use crate::sim::faults::news::Courier;
use crate::sim::server::Moment;
use crate::sim::server::rt::broadcast;
use serde_json::{Value, json};
use std::collections::{HashMap, VecDeque};
use std::fmt::Write;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Frames of one market held for a subscriber before it is cut off. Larger costs memory a topic;
/// smaller cuts off clients in a shorter stall (at 90 frames a second this is 22 s).
const FRAMES_MAX: usize = 2_048;
/// The same of all markets together (at 12,000 a second, 200 markets, this is 2.7 s).
const FRAMES_OF_ALL_MAX: usize = 32_768;
/// Trades shown to a new subscriber. [CAP: 50]
const TRADES_SHOWN: usize = 50;
/// A full snapshot this often. [DOC Order book stream]
const SNAPSHOT_NS: u64 = 60 * SECOND;
/// What the press remembers of one market.
#[derive(Default)]
struct Shown {
    trades: VecDeque<PublicTrade>,
    touch: [Option<(Price, Size)>; 2],
}

/// A trade of the crowd.
#[derive(Clone, Copy)]
struct PublicTrade {
    number: u64,
    /// The taker's.
    side: Side,
    price: Price,
    size: Size,
    t: Nanos,
}

/// What the press keeps: who listens, and what was shown.
#[derive(Default)]
pub(super) struct Rack {
    lanes: HashMap<Topic, broadcast::Sender<Frame>>,
    shown: HashMap<InstrumentId, Shown>,
    /// Minute snapshots that have been due so far, over all markets.
    beats: u64,
    /// Holds the account's frames back where a fault has it.
    pub(super) courier: Courier<Frame>,
}

impl Rack {
    /// Writes a frame for one market's lane and the lane of all markets, where there are readers.
    fn publish(
        &self,
        topic: impl Fn(Option<InstrumentId>) -> Topic,
        instrument: InstrumentId,
        frame: impl FnOnce() -> Frame,
    ) {
        let lanes = [topic(Some(instrument)), topic(None)].map(|one| self.read(one));
        if lanes.iter().all(Option::is_none) {
            return;
        }
        let frame = frame();
        for lane in lanes.into_iter().flatten() {
            let _ = lane.send(frame.clone());
        }
    }

    /// A lane somebody reads; others are not written for.
    pub(super) fn read(&self, topic: Topic) -> Option<&broadcast::Sender<Frame>> {
        let lane = self.lanes.get(&topic)?;
        (lane.receiver_count() > 0).then_some(lane)
    }
}

/// The frames' writer. Its lock is only taken inside the exchange's, or for reading alone.
#[derive(Default)]
pub struct Press {
    rack: Mutex<Rack>,
}

impl Press {
    /// A panic while a frame was written leaves the rack usable: at worst that frame is missing.
    fn rack(&self) -> MutexGuard<'_, Rack> {
        self.rack.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Price of the last public trade.
    pub fn last_price(&self, instrument: InstrumentId) -> Option<Price> {
        let rack = self.rack();
        Some(rack.shown.get(&instrument)?.trades.back()?.price)
    }

    /// The last public trades, oldest first, as a list; empty where there are none.
    fn trades_text(&self, market: &Listing) -> String {
        let rack = self.rack();
        let shown = rack.shown.get(&market.rules.instrument);
        let mut text = String::new();
        for trade in shown.iter().flat_map(|shown| &shown.trades) {
            text.push(if text.is_empty() { '[' } else { ',' });
            push_trade(&mut text, market, trade);
        }
        if !text.is_empty() {
            text.push(']');
        }
        text
    }

    /// The last public trades, oldest first.
    pub fn recent_trades(&self, market: &Listing) -> Vec<Value> {
        // Nothing traded yet reads as an empty text.
        serde_json::from_str(&self.trades_text(market)).unwrap_or_default()
    }
}

impl Desk {
    /// Writes up what happened, and what is due by the minute; tells when that is next. Runs under
    /// the exchange's lock.
    pub(super) fn print(
        &self,
        exchange: &Exchange,
        moment: Moment,
        happened: &[Happening],
    ) -> Nanos {
        let mut rack = self.press.rack();
        for happening in happened {
            self.print_one(&mut rack, exchange, moment.now, happening);
        }
        self.print_account(&mut rack, exchange, moment, happened);
        loop {
            let due = self.beat_due(rack.beats);
            if due > moment.at {
                return due.min(rack.courier.due());
            }
            let idx = rack.beats as usize % self.listings.len();
            rack.beats += 1;
            let market = &self.listings[idx];
            let instrument = market.rules.instrument;
            rack.publish(Topic::Book, instrument, || {
                snapshot(market, exchange, moment.now)
            });
            rack.publish(Topic::Funding, instrument, || {
                funding(market, exchange, moment.now)
            });
        }
    }

    /// When the next market's minute is over: all have theirs in a minute, one after the other.
    fn beat_due(&self, beats: u64) -> Nanos {
        let every_ns = SNAPSHOT_NS / self.listings.len().max(1) as u64;
        self.opened.plus((beats + 1) * every_ns)
    }

    /// Writes one happening.
    fn print_one(&self, rack: &mut Rack, exchange: &Exchange, now: Nanos, happening: &Happening) {
        match happening {
            Happening::Book {
                instrument,
                changes,
                ..
            } => {
                let market = self.market(*instrument);
                self.print_touch(rack, exchange, now, market);
                rack.publish(Topic::Book, *instrument, || {
                    Frame::new(Kind::Delta, delta(market, changes), now)
                });
            }
            &Happening::PublicTrade {
                instrument,
                side,
                price,
                size,
                number,
                t,
            } => {
                let trade = PublicTrade {
                    number,
                    side,
                    price,
                    size,
                    t,
                };
                let shown = rack.shown.entry(instrument).or_default();
                if shown.trades.len() == TRADES_SHOWN {
                    shown.trades.pop_front();
                }
                shown.trades.push_back(trade);
                rack.publish(Topic::Trades, instrument, || {
                    let mut text = String::from("[");
                    push_trade(&mut text, self.market(instrument), &trade);
                    text.push(']');
                    Frame::new(Kind::Trades, text, now)
                });
            }
            Happening::Mark { instrument, t, .. } => {
                for topic in [Topic::Mark, Topic::Index] {
                    rack.publish(topic, *instrument, || {
                        self.price_frame(exchange, topic(Some(*instrument)), *instrument, (now, *t))
                    });
                }
            }
            Happening::Order(_)
            | Happening::Trade(_)
            | Happening::Position { .. }
            | Happening::Funding(_)
            | Happening::Account(_) => {}
        }
    }

    /// Best bid and ask, where they have moved and somebody looks.
    fn print_touch(&self, rack: &mut Rack, exchange: &Exchange, now: Nanos, market: &Listing) {
        let instrument = market.rules.instrument;
        let lanes = [Topic::Touch(Some(instrument)), Topic::Touch(None)];
        if lanes.iter().all(|lane| rack.read(*lane).is_none()) {
            return;
        }
        let touch = best(exchange, instrument);
        let shown = rack.shown.entry(instrument).or_default();
        if std::mem::replace(&mut shown.touch, touch) != touch {
            rack.publish(Topic::Touch, instrument, || touch_frame(market, touch, now));
        }
    }

    /// Mark or index, by the topic it is for.
    fn price_frame(
        &self,
        exchange: &Exchange,
        topic: Topic,
        instrument: InstrumentId,
        (now, t): (Nanos, Nanos),
    ) -> Frame {
        let (mark, index) = exchange.mark(instrument);
        // A mark frame's inner time is zero on mainnet, an index frame's is real. [CAP]
        let (kind, price, inner_ms) = match topic {
            Topic::Index(_) => (Kind::Index, index, t.epoch_ms() / 1000 * 1000),
            _ => (Kind::Mark, mark, 0),
        };
        let name = &self.market(instrument).rules.name;
        let mut data = format!("{{\"m\":\"{name}\",\"p\":\"");
        push_exact(&mut data, price.0, 1);
        let _ = write!(data, "\",\"ts\":{inner_ms}}}");
        Frame::new(kind, data, now)
    }

    /// Joins a topic: what stands now, and every frame from here on, with no gap between.
    pub(in crate::sim) fn join(&self, topic: Topic) -> (Vec<Frame>, broadcast::Receiver<Frame>) {
        self.floor.look(|exchange| {
            let now = self.floor.now();
            let opening = self.opening(exchange, topic, now);
            let mut rack = self.press.rack();
            let lane = rack.lanes.entry(topic);
            let frames_max = match topic.is_of_all() {
                true => FRAMES_OF_ALL_MAX,
                false => FRAMES_MAX,
            };
            let lane = lane.or_insert_with(|| broadcast::Sender::new(frames_max));
            (opening, lane.subscribe())
        })
    }

    /// What a new subscriber is shown first. A book is a snapshot; trades are the last few, which a
    /// client must not take for new ones; prices are the present ones.
    fn opening(&self, exchange: &Exchange, topic: Topic, now: Nanos) -> Vec<Frame> {
        let wanted = |one: Option<InstrumentId>| {
            let markets = self.listings.iter();
            markets.filter(move |market| one.is_none_or(|id| id == market.rules.instrument))
        };
        match topic {
            Topic::Book(one) => wanted(one)
                .map(|market| snapshot(market, exchange, now))
                .collect(),
            Topic::Touch(one) => wanted(one)
                .map(|market| touch_frame(market, best(exchange, market.rules.instrument), now))
                .collect(),
            Topic::Trades(one) => wanted(one)
                .map(|market| self.press.trades_text(market))
                .filter(|rows| !rows.is_empty())
                .map(|rows| Frame::new(Kind::Trades, rows, now))
                .collect(),
            Topic::Mark(one) | Topic::Index(one) => wanted(one)
                .map(|market| {
                    self.price_frame(exchange, topic, market.rules.instrument, (now, now))
                })
                .collect(),
            Topic::Funding(one) => wanted(one)
                .map(|market| funding(market, exchange, now))
                .collect(),
            Topic::Account => self.account_opening(exchange, now),
        }
    }
}

/// Best bid and ask shown, without copying the ladder.
fn best(exchange: &Exchange, instrument: InstrumentId) -> [Option<(Price, Size)>; 2] {
    [Side::Bid, Side::Ask].map(|side| exchange.flow().ladder(instrument, side).next())
}

/// The rate of the next charge, once a minute.
fn funding(market: &Listing, exchange: &Exchange, now: Nanos) -> Frame {
    let rate = padded(exchange.settings().funding.rate_e9, 6);
    let data = json!({"m": market.rules.name, "f": rate, "T": now.epoch_ms()});
    Frame::new(Kind::Funding, data.to_string(), now)
}

/// The whole book.
fn snapshot(market: &Listing, exchange: &Exchange, now: Nanos) -> Frame {
    let mut text = opening("SNAPSHOT", market);
    for (name, side) in SIDES {
        text.push_str(name);
        let levels = exchange.flow().ladder(market.rules.instrument, side);
        for (idx, (price, size)) in levels.enumerate() {
            let places = snapshot_places(price, market.rules.tick);
            push_level(&mut text, idx, (price, places), (size.0, market.qty_places));
            text.push_str("\"}");
        }
        text.push(']');
    }
    text.push_str(",\"d\":\"f\"}");
    Frame::new(Kind::Snapshot, text, now)
}

/// Snapshots mix spellings of a price (`84052.0`, `84050.000000`); deltas do not. [CAP]
fn snapshot_places(price: Price, tick: Price) -> u32 {
    let step = price.0 / tick.0.max(1);
    match () {
        () if step % 25 == 0 => 6,
        () if step % 16 == 0 => 1,
        () => 0,
    }
}

/// The state of the touch; a side may be empty. [CAP v1.orderbook.depth1]
fn touch_frame(market: &Listing, touch: [Option<(Price, Size)>; 2], now: Nanos) -> Frame {
    let mut text = opening("SNAPSHOT", market);
    for (name, side) in SIDES {
        text.push_str(name);
        if let Some((price, size)) = touch[side.idx()] {
            push_level(&mut text, 0, (price, 0), (size.0, market.qty_places));
            text.push_str("\"}");
        }
        text.push(']');
    }
    text.push_str(",\"d\":\"1\"}");
    Frame::new(Kind::Snapshot, text, now)
}

/// The changes of one tape frame; an empty one is sent too, and counts in the sequence alone.
fn delta(market: &Listing, changes: &[Change]) -> String {
    let mut text = opening("DELTA", market);
    for (name, side) in SIDES {
        text.push_str(name);
        let changes = changes.iter().filter(|change| change.side == side);
        for (idx, change) in changes.enumerate() {
            let moved = change.after.0 - change.before.0;
            let quantity = (moved, market.qty_places);
            push_level(&mut text, idx, (change.price, 0), quantity);
            text.push_str("\",\"c\":\"");
            match change.after {
                Size::ZERO => text.push('0'),
                after => push_exact(&mut text, after.0, market.qty_places),
            }
            text.push_str("\"}");
        }
        text.push(']');
    }
    text.push_str(",\"d\":\"f\"}");
    text
}

/// How each side's list begins.
const SIDES: [(&str, Side); 2] = [(",\"b\":[", Side::Bid), (",\"a\":[", Side::Ask)];

/// How the data of every book frame begin.
fn opening(kind: &str, market: &Listing) -> String {
    // A delta of the tape has seven levels of about fifty bytes.
    let mut text = String::with_capacity(512);
    let _ = write!(text, "{{\"t\":\"{kind}\",\"m\":\"{}\"", market.rules.name);
    text
}

/// A level, but for what ends it. Price and quantity come with their least number of decimals.
fn push_level(text: &mut String, idx: usize, price: (Price, u32), quantity: (i64, u32)) {
    text.push_str(if idx == 0 { "{\"q\":\"" } else { ",{\"q\":\"" });
    push_exact(text, quantity.0, quantity.1);
    text.push_str("\",\"p\":\"");
    push_exact(text, price.0.0, price.1);
}

/// A public trade. [CAP v1.trades]
fn push_trade(text: &mut String, market: &Listing, trade: &PublicTrade) {
    text.push_str("{\"i\":");
    push_whole(text, venue_id(trade.number));
    let side = match trade.side {
        Side::Bid => "BUY",
        Side::Ask => "SELL",
    };
    let name = &market.rules.name;
    let _ = write!(
        text,
        ",\"m\":\"{name}\",\"S\":\"{side}\",\"tT\":\"TRADE\",\"T\":"
    );
    push_whole(text, trade.t.epoch_ms());
    text.push_str(",\"p\":\"");
    push_exact(text, trade.price.0, 0);
    text.push_str("\",\"q\":\"");
    push_exact(text, trade.size.0, market.qty_places);
    text.push_str("\"}");
}
