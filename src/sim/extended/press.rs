//! Writes what happened as the venue's frames, once each, and hands them to whoever subscribed.
//!
//! A frame is written under the exchange's lock, so joining a topic there gives a snapshot and
//! every later frame, none missed or repeated. Only what somebody listens to is written. The
//! sequence number is the connection's own and is added when the frame is sent.
//!
//! Promises: `q` is the signed change and `c` the new size of a level; a full snapshot a minute;
//! some snapshot prices in the venue's longer spelling. Refuses to wait for slow clients: they
//! lag and are cut off.

use crate::market::InstrumentId;
use crate::market::book::Side;
use crate::market::units::{MS, Nanos, Price, SECOND, Size};
use crate::sim::exchange::{Change, Exchange, Happening, Status};
use crate::sim::extended::frame::{Frame, Kind, Topic};
use crate::sim::extended::{Desk, Listing, venue_id, wire};
use crate::sim::server::rt::broadcast;
use serde_json::{Value, json};
use std::collections::{HashMap, VecDeque};
use std::fmt::Write;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Frames held for a subscriber before it is cut off. Larger costs memory a topic; smaller cuts
/// off clients in a shorter stall (at 90 frames a second this is 45 s).
const FRAMES_MAX: usize = 4_096;
/// Trades shown to a new subscriber. [CAP: 50]
const TRADES_SHOWN: usize = 50;
/// A full snapshot this often. [DOC Order book stream]
const SNAPSHOT_NS: u64 = 60 * SECOND;
/// Best bid and ask at most this often. [DOC: up to every 10 ms]; a little less, so that a tape
/// with frames just 10 ms apart loses none.
const TOUCH_NS: u64 = 9 * MS;

/// What the press remembers of one market.
#[derive(Default)]
struct Shown {
    trades: VecDeque<Value>,
    last: Option<Price>,
    snapshot: Nanos,
    touch: [Option<(Price, Size)>; 2],
    touch_written: Nanos,
    funding_written: Nanos,
}

#[derive(Default)]
struct Rack {
    lanes: HashMap<Topic, broadcast::Sender<Frame>>,
    shown: HashMap<InstrumentId, Shown>,
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
    fn read(&self, topic: Topic) -> Option<&broadcast::Sender<Frame>> {
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
        self.rack().shown.get(&instrument)?.last
    }

    /// The last public trades, oldest first.
    pub fn recent_trades(&self, instrument: InstrumentId) -> Vec<Value> {
        let rack = self.rack();
        let shown = rack.shown.get(&instrument);
        shown.map_or_else(Vec::new, |shown| shown.trades.iter().cloned().collect())
    }
}

impl Desk {
    /// Writes up what happened. Runs under the exchange's lock.
    pub(super) fn print(&self, exchange: &Exchange, now: Nanos, happened: &[Happening]) {
        let mut rack = self.press.rack();
        let mut moved: Vec<InstrumentId> = Vec::new();
        for happening in happened {
            if let Some(instrument) = self.print_one(&mut rack, exchange, now, happening)
                && !moved.contains(&instrument)
            {
                moved.push(instrument);
            }
        }
        for instrument in moved {
            self.print_state(&mut rack, exchange, now, instrument);
        }
    }

    /// Writes one happening; answers with the market whose book moved.
    fn print_one(
        &self,
        rack: &mut Rack,
        exchange: &Exchange,
        now: Nanos,
        happening: &Happening,
    ) -> Option<InstrumentId> {
        match happening {
            Happening::Book {
                instrument,
                changes,
                ..
            } => {
                let market = self.market(*instrument);
                rack.publish(Topic::Book, *instrument, || {
                    Frame::new(Kind::Delta, delta(market, changes), now)
                });
                return Some(*instrument);
            }
            Happening::PublicTrade {
                instrument,
                side,
                price,
                size,
                number,
                t,
            } => {
                let market = self.market(*instrument);
                let row = json!({
                    "i": venue_id(*number),
                    "m": market.rules.name,
                    "S": if *side == Side::Bid { "BUY" } else { "SELL" },
                    "tT": "TRADE",
                    "T": t.epoch_ms(),
                    "p": wire::padded(price.0, 0),
                    "q": wire::padded(size.0, market.qty_places),
                });
                let shown = rack.shown.entry(*instrument).or_default();
                shown.last = Some(*price);
                if shown.trades.len() == TRADES_SHOWN {
                    shown.trades.pop_front();
                }
                shown.trades.push_back(row.clone());
                rack.publish(Topic::Trades, *instrument, || {
                    Frame::new(Kind::Trades, json!([row]).to_string(), now)
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
            | Happening::Account(_) => {
                if let Some(lane) = rack.read(Topic::Account)
                    && let Some(frame) = self.account_frame(exchange, now, happening)
                {
                    let _ = lane.send(frame);
                }
            }
        }
        None
    }

    /// The frames that show a state, not a change: best bid and ask, the minute's snapshot, the
    /// minute's funding rate.
    fn print_state(
        &self,
        rack: &mut Rack,
        exchange: &Exchange,
        now: Nanos,
        instrument: InstrumentId,
    ) {
        let market = self.market(instrument);
        let shown = rack.shown.entry(instrument).or_default();
        let snapshot_due = now.since(shown.snapshot) >= SNAPSHOT_NS;
        let first = shown.snapshot == Nanos::ZERO;
        if snapshot_due {
            shown.snapshot = now;
        }
        let funding_due = now.since(shown.funding_written) >= SNAPSHOT_NS;
        if funding_due {
            shown.funding_written = now;
        }
        let touch_due = now.since(shown.touch_written) >= TOUCH_NS;
        if snapshot_due && !first {
            rack.publish(Topic::Book, instrument, || snapshot(market, exchange, now));
        }
        if funding_due {
            rack.publish(Topic::Funding, instrument, || funding(market, now));
        }
        let lanes = [Topic::Touch(Some(instrument)), Topic::Touch(None)];
        if !touch_due || lanes.iter().all(|lane| rack.read(*lane).is_none()) {
            return;
        }
        let touch = best(exchange, instrument);
        let shown = rack.shown.entry(instrument).or_default();
        if shown.touch != touch {
            shown.touch = touch;
            shown.touch_written = now;
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
        let data = json!({"m": name, "p": wire::long_price(price), "ts": inner_ms});
        Frame::new(kind, data.to_string(), now)
    }

    /// A frame for each change, as the venue sends them; several changes are never put into one.
    fn account_frame(
        &self,
        exchange: &Exchange,
        now: Nanos,
        happening: &Happening,
    ) -> Option<Frame> {
        let (kind, data) = match happening {
            // Between accepting and matching the venue says nothing. Open: whether an order that
            // is filled at once is ever shown as NEW.
            Happening::Order(view) if view.status == Status::Pending => return None,
            Happening::Order(view) => {
                let row = wire::order(self, &self.ledger(), view);
                (Kind::Order, json!({"isSnapshot": false, "orders": [row]}))
            }
            Happening::Trade(trade) => {
                let row = wire::trade(self, trade, true);
                (Kind::Trade, json!({"isSnapshot": false, "trades": [row]}))
            }
            Happening::Position {
                instrument,
                position,
            } => {
                let market = self.market(*instrument);
                let leverage = self.leverage_of(market);
                let row = wire::position(self, market, position, leverage, now);
                let data = json!({"isSnapshot": false, "positions": [row]});
                (Kind::Position, data)
            }
            Happening::Account(_) => (Kind::Balance, self.balance_data(exchange, now, false)),
            Happening::Book { .. } | Happening::PublicTrade { .. } | Happening::Mark { .. } => {
                return None;
            }
        };
        Some(Frame::new(kind, data.to_string(), now))
    }

    /// The balance as the account stream shows it.
    fn balance_data(&self, exchange: &Exchange, now: Nanos, is_snapshot: bool) -> Value {
        let mut balance = wire::balance(self, exchange, now);
        // The stream has a member that REST has not. [CAP v1.account.balance]
        balance["status"] = "ACTIVE".into();
        json!({"isSnapshot": is_snapshot, "balance": balance})
    }

    /// Joins a topic: what stands now, and every frame from here on, with no gap between.
    pub(in crate::sim) fn join(&self, topic: Topic) -> (Vec<Frame>, broadcast::Receiver<Frame>) {
        let now = self.floor.now();
        self.floor.look(|exchange| {
            let opening = self.opening(exchange, topic, now);
            let mut rack = self.press.rack();
            let lane = rack.lanes.entry(topic);
            let lane = lane.or_insert_with(|| broadcast::Sender::new(FRAMES_MAX));
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
                .map(|market| self.press.recent_trades(market.rules.instrument))
                .filter(|rows| !rows.is_empty())
                .map(|rows| Frame::new(Kind::Trades, Value::from(rows).to_string(), now))
                .collect(),
            Topic::Mark(one) | Topic::Index(one) => wanted(one)
                .map(|market| {
                    self.price_frame(exchange, topic, market.rules.instrument, (now, now))
                })
                .collect(),
            Topic::Funding(one) => wanted(one).map(|market| funding(market, now)).collect(),
            Topic::Account => self.account_opening(exchange, now),
        }
    }

    /// ORDER, BALANCE, POSITION, in the order seen. [CAP v1.account.*]
    fn account_opening(&self, exchange: &Exchange, now: Nanos) -> Vec<Frame> {
        let orders = json!({"isSnapshot": true, "orders": self.open_order_rows(exchange)});
        let positions = json!({"isSnapshot": true, "positions": self.position_rows(exchange)});
        let frames = [
            (Kind::Order, orders),
            (Kind::Balance, self.balance_data(exchange, now, true)),
            (Kind::Position, positions),
        ];
        frames
            .map(|(kind, data)| Frame::new(kind, data.to_string(), now))
            .into()
    }
}

/// Best bid and ask shown, without copying the ladder.
fn best(exchange: &Exchange, instrument: InstrumentId) -> [Option<(Price, Size)>; 2] {
    [Side::Bid, Side::Ask].map(|side| exchange.flow().ladder(instrument, side).next())
}

/// Funding is not charged by the simulated venues, so the rate told is zero, once a minute.
fn funding(market: &Listing, now: Nanos) -> Frame {
    let data = json!({"m": market.rules.name, "f": "0.000000", "T": now.epoch_ms()});
    Frame::new(Kind::Funding, data.to_string(), now)
}

/// The whole book. Written by hand: a book has hundreds of levels and this runs under the lock.
fn snapshot(market: &Listing, exchange: &Exchange, now: Nanos) -> Frame {
    let mut text = format!("{{\"t\":\"SNAPSHOT\",\"m\":\"{}\"", market.rules.name);
    for (name, side) in [("b", Side::Bid), ("a", Side::Ask)] {
        let _ = write!(text, ",\"{name}\":[");
        let levels = exchange.book(market.rules.instrument, side);
        for (idx, (price, size)) in levels.iter().enumerate() {
            let comma = if idx == 0 { "" } else { "," };
            let qty = wire::padded(size.0, market.qty_places);
            let price = snapshot_price(*price, market.rules.tick);
            let _ = write!(text, "{comma}{{\"q\":\"{qty}\",\"p\":\"{price}\"}}");
        }
        text.push(']');
    }
    text.push_str(",\"d\":\"f\"}");
    Frame::new(Kind::Snapshot, text, now)
}

/// Snapshots mix spellings of a price (`84052.0`, `84050.000000`); deltas do not. [CAP]
fn snapshot_price(price: Price, tick: Price) -> String {
    let step = price.0 / tick.0.max(1);
    let shortest = wire::padded(price.0, 0);
    if step % 25 == 0 {
        wire::padded(price.0, 6)
    } else if step % 16 == 0 && !shortest.contains('.') {
        wire::padded(price.0, 1)
    } else {
        shortest
    }
}

/// The state of the touch; a side may be empty. [CAP v1.orderbook.depth1]
fn touch_frame(market: &Listing, touch: [Option<(Price, Size)>; 2], now: Nanos) -> Frame {
    let row = |level: Option<(Price, Size)>| -> Vec<Value> {
        level
            .map(|(price, size)| {
                json!({
                    "q": wire::padded(size.0, market.qty_places),
                    "p": wire::padded(price.0, 0),
                })
            })
            .into_iter()
            .collect()
    };
    let data = json!({
        "t": "SNAPSHOT",
        "m": market.rules.name,
        "b": row(touch[0]),
        "a": row(touch[1]),
        "d": "1",
    });
    Frame::new(Kind::Snapshot, data.to_string(), now)
}

/// The changes of one tape frame; an empty one is sent too, and counts in the sequence alone.
fn delta(market: &Listing, changes: &[Change]) -> String {
    let mut text = format!("{{\"t\":\"DELTA\",\"m\":\"{}\"", market.rules.name);
    for (name, side) in [("b", Side::Bid), ("a", Side::Ask)] {
        let _ = write!(text, ",\"{name}\":[");
        let mut comma = "";
        for change in changes.iter().filter(|change| change.side == side) {
            let moved = wire::padded(change.after.0 - change.before.0, market.qty_places);
            let price = wire::padded(change.price.0, 0);
            let now = if change.after == Size::ZERO {
                "0".into()
            } else {
                wire::padded(change.after.0, market.qty_places)
            };
            let _ = write!(
                text,
                "{comma}{{\"q\":\"{moved}\",\"p\":\"{price}\",\"c\":\"{now}\"}}"
            );
            comma = ",";
        }
        text.push(']');
    }
    text.push_str(",\"d\":\"f\"}");
    text
}
