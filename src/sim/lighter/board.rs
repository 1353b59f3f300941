//! What happens, written up as frames of Lighter's stream: once per frame, not once per client.
//!
//! Promises: called under the exchange's lock, so a snapshot taken by [`Board::open`] in one look
//! at the exchange is continued by the very next frame; the chain of begin_nonce and nonce of a
//! market never breaks; a frame nobody listens to is not written. Books leave in batches, tickers
//! at once: a book frame with a ticker's nonce or a higher one contains what the ticker said.
//! Refuses: orders that are still on their way, which the venue does not show.

use super::account;
use super::channel::{self, Topic};
use super::frames::{self, Place};
use super::keys::Credentials;
use super::markets::{self, Prices};
use super::models;
use super::shelves::{Shelves, Touched, prices, touch};
use super::trades::{CrowdTrade, Shown, trades_text};
use crate::market::InstrumentId;
use crate::market::book::Side;
use crate::market::units::{Nanos, Notional, Price};
use crate::sim::exchange::{Exchange, Happening, OrderView, Rules, Status, Trade};
use crate::sim::faults::Faults;
use crate::sim::faults::news::{Bend, Class};
use crate::sim::server::Moment;
use crate::sim::server::rt::broadcast;
use crate::sim::server::web::Utf8Bytes;
use serde_json::{Value, json};
use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

/// Frames held for a reader before it is cut. Larger only costs memory; smaller cuts readers that
/// merely paused (200 markets make 17,000 a second: 1.9 s).
const FRAMES_MAX: usize = 32_768;
/// Public trades kept per market: `recentTrades` gives up to 100, the stream replays 50.
const TRADES_MAX: usize = 100;
/// Trades a new subscriber is given.
const TRADES_REPLAYED: usize = 50;

/// One frame for whoever subscribed to its channel.
pub struct Frame {
    /// As frames spell it.
    pub channel: Arc<str>,
    /// Rising over all frames.
    pub sequence: u64,
    /// The whole message.
    pub text: Utf8Bytes,
}

/// Frames, and who listens to what.
pub struct Board {
    frames: broadcast::Sender<Arc<Frame>>,
    account: u64,
    shelves: Mutex<Shelves>,
    faults: OnceLock<Arc<Faults>>,
}

impl Board {
    /// Starts with the books as they are.
    pub fn new(exchange: &Exchange, credentials: &Credentials) -> Board {
        Board {
            frames: broadcast::Sender::new(FRAMES_MAX),
            account: credentials.account_index,
            shelves: Mutex::new(Shelves::new(exchange)),
            faults: OnceLock::new(),
        }
    }

    /// Has the account's news go wrong by these faults. Once.
    pub fn set_faults(&self, faults: &Arc<Faults>) {
        let _ = self.faults.set(Arc::clone(faults));
    }

    /// All frames from now on.
    pub fn listen(&self) -> broadcast::Receiver<Arc<Frame>> {
        self.frames.subscribe()
    }

    /// Opens a channel for one more listener: its `subscribed/...` frame, and the sequence after
    /// which frames continue it. Call inside a look at the exchange.
    pub fn open(&self, topic: Topic, channel: &str, exchange: &Exchange, now: Nanos) -> Opened {
        let mut shelves = self.lock();
        let name: Arc<str> = channel::in_frames(channel).into();
        if let Topic::OrderBook(market) = topic {
            // The snapshot has them: those who listen already are given them now.
            let mut all = exchange.rules().iter();
            if let Some(idx) = all.position(|rules| rules.venue_market == market) {
                self.flush(&mut shelves, exchange, idx, now);
            }
        }
        let snapshot = self.snapshot(&shelves, topic, &name, exchange, now);
        *shelves.listeners.entry(Arc::clone(&name)).or_default() += 1;
        Opened {
            channel: name,
            after: shelves.sequence,
            text: snapshot.into(),
        }
    }

    /// One listener less.
    pub fn close(&self, channel: &str) {
        let mut shelves = self.lock();
        if let Some(count) = shelves.listeners.get_mut(channel) {
            *count -= 1;
            if *count == 0 {
                shelves.listeners.remove(channel);
            }
        }
    }

    /// Writes up what happened and what is due; tells when something is due next.
    pub fn write_up(&self, exchange: &Exchange, moment: Moment, happenings: &[Happening]) -> Nanos {
        let now = moment.now;
        let mut shelves = self.lock();
        self.flush_due(&mut shelves, exchange, moment);
        let mut touched = Touched::default();
        let mut moved = BTreeSet::new();
        for happening in happenings {
            match happening {
                Happening::Book {
                    instrument,
                    changes,
                    t,
                } => {
                    shelves.note(instrument.idx(), changes, *t);
                    moved.insert(instrument.idx());
                }
                Happening::PublicTrade { .. } => {
                    self.public_trade(&mut shelves, exchange, happening)
                }
                Happening::Mark { instrument, .. } => {
                    self.stats(&mut shelves, exchange, *instrument, now);
                }
                Happening::Order(order) if order.status == Status::Pending => {}
                Happening::Order(order) => {
                    touched.orders.insert(order.number, Arc::clone(order));
                    let market = exchange.rules()[order.asked.instrument.idx()].venue_market;
                    touched.positions.insert(market);
                }
                Happening::Trade(trade) => {
                    let row = self.own_trade(&mut shelves, exchange, trade);
                    touched.trades.push(row);
                }
                Happening::Position { instrument, .. } => {
                    let market = exchange.rules()[instrument.idx()].venue_market;
                    touched.positions.insert(market);
                }
                Happening::Funding(payment) => {
                    let rules = &exchange.rules()[payment.instrument.idx()];
                    let row = models::payment(payment, rules);
                    touched.fundings.push((rules.venue_market, row));
                    // Taken to be told at once, as every other change of a position's figures.
                    touched.positions.insert(rules.venue_market);
                }
                Happening::Account(_) => touched.money = true,
            }
        }
        for instrument in moved {
            self.ticker(&mut shelves, exchange, instrument, now);
        }
        self.height(&mut shelves, now);
        self.tell_account(&mut shelves, exchange, moment, (&touched, happenings));
        let next = shelves.batches.peek();
        let next = next.map_or(Nanos(u64::MAX), |Reverse((due, _))| *due);
        next.min(shelves.courier.due())
    }

    /// Tells the account what concerns it, unless a fault has it told otherwise. A frame has its
    /// place in the count from when it was written: one that is held back is not told to those
    /// whose snapshot came after it.
    fn tell_account(
        &self,
        shelves: &mut Shelves,
        exchange: &Exchange,
        moment: Moment,
        (touched, happenings): (&Touched, &[Happening]),
    ) {
        let (at, now) = (moment.at, moment.now);
        for frame in shelves.courier.take_due(at) {
            let _ = self.frames.send(frame);
        }
        if touched.is_empty() {
            return;
        }
        let mut frames = account::frames(self.account, exchange, shelves, touched, now);
        frames.retain(|(channel, _)| shelves.listeners.contains_key(channel.as_str()));
        let faults = self.faults.get().filter(|_| !frames.is_empty());
        match faults.and_then(|faults| faults.bend(at, happenings)) {
            None => {}
            Some(Bend::Late { orders_ns, rest_ns }) => {
                shelves.courier.delay(Class::Orders, at.plus(orders_ns));
                shelves.courier.delay(Class::Rest, at.plus(rest_ns));
            }
            Some(Bend::Lie { told, late_ns }) => {
                self.lie(shelves, exchange, &told, now);
                shelves.courier.delay(Class::Orders, at.plus(late_ns));
                shelves.courier.delay(Class::Rest, at.plus(late_ns));
            }
            Some(Bend::Twice) => frames.extend(frames.clone()),
        }
        for (channel, message) in frames {
            let Some(frame) = self.write(shelves, &channel, || message.to_string()) else {
                continue;
            };
            let class = account::class(&channel);
            if let Some(frame) = shelves.courier.pass(at, class, frame) {
                let _ = self.frames.send(frame);
            }
        }
    }

    /// Tells an order as it is not, on the channels of orders alone.
    fn lie(&self, shelves: &mut Shelves, exchange: &Exchange, told: &Arc<OrderView>, now: Nanos) {
        let mut touched = Touched::default();
        touched.orders.insert(told.number, Arc::clone(told));
        let rules = &exchange.rules()[told.asked.instrument.idx()];
        touched.positions.insert(rules.venue_market);
        for (channel, message) in account::frames(self.account, exchange, shelves, &touched, now) {
            if account::class(&channel) == Class::Orders {
                self.emit(shelves, &channel, || message.to_string());
            }
        }
    }

    /// Tells the account's subscribers of an accepted transaction.
    pub fn transaction(&self, shown: &Value) {
        let mut shelves = self.lock();
        let channel = format!("account_tx:{}", self.account);
        let message = json!({
            "channel": channel, "txs": [shown], "type": "update/account_tx",
        });
        self.emit(&mut shelves, &channel, || message.to_string());
    }

    /// The last public trades of a market, newest first.
    pub fn recent_trades(
        &self,
        exchange: &Exchange,
        instrument: InstrumentId,
        limit: usize,
    ) -> Vec<Value> {
        let shelves = self.lock();
        let trades = shelves.markets[instrument.idx()].trades.iter().rev();
        let rules = &exchange.rules()[instrument.idx()];
        let trades = trades.take(limit).map(|trade| trade.text(rules));
        trades
            .map(|text| serde_json::from_str(&text).unwrap_or_default())
            .collect()
    }

    /// What moves on a market, for REST.
    pub fn prices(&self, exchange: &Exchange, instrument: InstrumentId) -> Prices {
        prices(&self.lock(), exchange, instrument)
    }

    /// What the account traded in all, USDC.
    pub fn volume(&self) -> Notional {
        self.lock().volume
    }

    /// A panic in one writer must not silence the venue.
    fn lock(&self) -> MutexGuard<'_, Shelves> {
        self.shelves.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes the text only if somebody listens; the sequence counts written frames alone.
    fn emit(&self, shelves: &mut Shelves, channel: &str, text: impl FnOnce() -> String) {
        if let Some(frame) = self.write(shelves, channel, text) {
            // No receiver is an ordinary state: the last client has just left.
            let _ = self.frames.send(frame);
        }
    }

    /// The frame alone, with its place in the count.
    fn write(
        &self,
        shelves: &mut Shelves,
        channel: &str,
        text: impl FnOnce() -> String,
    ) -> Option<Arc<Frame>> {
        let (name, _) = shelves.listeners.get_key_value(channel)?;
        let channel = Arc::clone(name);
        shelves.sequence += 1;
        Some(Arc::new(Frame {
            channel,
            sequence: shelves.sequence,
            text: text().into(),
        }))
    }

    /// Sends the batches that are due, each at its own moment.
    fn flush_due(&self, shelves: &mut Shelves, exchange: &Exchange, moment: Moment) {
        while let Some(&Reverse((due, idx))) = shelves.batches.peek()
            && due <= moment.at
        {
            shelves.batches.pop();
            // One that left early for a snapshot is still on the list.
            if shelves.markets[idx].batch_due == due {
                self.flush(shelves, exchange, idx, moment.now);
            }
        }
    }

    /// Sends what a market's batch holds as one update; a level that changed twice is told once.
    fn flush(&self, shelves: &mut Shelves, exchange: &Exchange, idx: usize, now: Nanos) {
        let Some((levels, place)) = shelves.take_batch(idx, now) else {
            return;
        };
        let channel = std::mem::take(&mut shelves.markets[idx].channels.book);
        let rules = &exchange.rules()[idx];
        self.emit(shelves, &channel, || frames::book(rules, &levels, &place));
        shelves.markets[idx].channels.book = channel;
    }

    /// Told at once when the best price or size of a side has moved, ahead of the batch it is in.
    fn ticker(&self, shelves: &mut Shelves, exchange: &Exchange, instrument: usize, now: Nanos) {
        let rules = &exchange.rules()[instrument];
        let touch = touch(exchange, rules.instrument);
        let shelf = &mut shelves.markets[instrument];
        if std::mem::replace(&mut shelf.touch, touch) == touch {
            return;
        }
        let nonce = shelf.nonce;
        let channel = std::mem::take(&mut shelf.channels.ticker);
        self.emit(shelves, &channel, || {
            frames::ticker(rules, &touch, nonce, "update", now)
        });
        shelves.markets[instrument].channels.ticker = channel;
    }

    /// Mark moves about once a second; both the market's own channel and the one of all markets are
    /// told.
    fn stats(&self, shelves: &mut Shelves, exchange: &Exchange, of: InstrumentId, now: Nanos) {
        let rules = &exchange.rules()[of.idx()];
        let stats = markets::stats(rules, &prices(shelves, exchange, of), now);
        let one = format!("market_stats:{}", rules.venue_market);
        let message = |channel: &str, stats: Value| {
            json!({
                "channel": channel, "market_stats": stats, "timestamp": now.epoch_ms(),
                "type": "update/market_stats",
            })
        };
        self.emit(shelves, &one, || message(&one, stats.clone()).to_string());
        let id = rules.venue_market.to_string();
        self.emit(shelves, "market_stats:all", || {
            message("market_stats:all", json!({id: stats})).to_string()
        });
    }

    /// A trade among others.
    fn public_trade(&self, shelves: &mut Shelves, exchange: &Exchange, happening: &Happening) {
        let &Happening::PublicTrade {
            instrument,
            side,
            price,
            size,
            number,
            t,
        } = happening
        else {
            return;
        };
        let shown = Shown::Crowd(CrowdTrade {
            number,
            side,
            price,
            size,
            t,
        });
        self.show_trade(shelves, &exchange.rules()[instrument.idx()], price, shown);
    }

    /// A trade of ours is public as well: it goes to both kinds of channel, in one shape.
    fn own_trade(&self, shelves: &mut Shelves, exchange: &Exchange, own: &Trade) -> (u32, Value) {
        let rules = &exchange.rules()[own.instrument.idx()];
        let row = account::own_trade(exchange, own, rules, self.account);
        let amount = own.price * own.size;
        shelves.volume += amount;
        let shown = Shown::Own(row.to_string().into());
        self.show_trade(shelves, rules, own.price, shown);
        (rules.venue_market, row)
    }

    /// Keeps the trade for late subscribers and tells the market's channel.
    fn show_trade(&self, shelves: &mut Shelves, rules: &Rules, price: Price, trade: Shown) {
        let nonce = shelves.nonce;
        let shelf = &mut shelves.markets[rules.instrument.idx()];
        shelf.last = price;
        if shelf.trades.len() == TRADES_MAX {
            shelf.trades.pop_front();
        }
        shelf.trades.push_back(trade.clone());
        let channel = std::mem::take(&mut shelf.channels.trade);
        self.emit(shelves, &channel, || {
            trades_text(&channel, nonce, "update", &[trade.text(rules)])
        });
        shelves.markets[rules.instrument.idx()].channels.trade = channel;
    }

    /// At most once a batch, when it has risen.
    fn height(&self, shelves: &mut Shelves, now: Nanos) {
        let height = models::block_height(now);
        if std::mem::replace(&mut shelves.height, height) != height {
            self.emit(shelves, "height", || frames::height(height, "update", now));
        }
    }

    /// The first frame of a channel, from the exchange as it is under the lock.
    fn snapshot(
        &self,
        shelves: &Shelves,
        topic: Topic,
        channel: &str,
        exchange: &Exchange,
        now: Nanos,
    ) -> String {
        let rules_of = |market: u32| {
            let mut all = exchange.rules().iter();
            all.find(|rules| rules.venue_market == market)
                .expect("the channel was read against the list of markets")
        };
        match topic {
            Topic::OrderBook(market) => book_snapshot(shelves, rules_of(market), exchange, now),
            Topic::Ticker(market) => {
                let rules = rules_of(market);
                let shelf = &shelves.markets[rules.instrument.idx()];
                frames::ticker(rules, &shelf.touch, shelf.nonce, "subscribed", now)
            }
            Topic::Trade(market) => {
                let rules = rules_of(market);
                let trades = shelves.markets[rules.instrument.idx()].trades.iter();
                let trades = trades.rev().take(TRADES_REPLAYED);
                let rows: Vec<String> = trades.map(|trade| trade.text(rules)).collect();
                trades_text(channel, shelves.nonce, "subscribed", &rows)
            }
            Topic::MarketStats(market) => {
                let stats = |rules: &Rules| {
                    let prices = prices(shelves, exchange, rules.instrument);
                    markets::stats(rules, &prices, now)
                };
                let all = || exchange.rules().iter();
                let stats = match market {
                    Some(market) => stats(rules_of(market)),
                    None => all()
                        .map(|r| (r.venue_market.to_string(), stats(r)))
                        .collect(),
                };
                json!({
                    "channel": channel, "market_stats": stats, "timestamp": now.epoch_ms(),
                    "type": "subscribed/market_stats",
                })
                .to_string()
            }
            Topic::Height => frames::height(models::block_height(now), "subscribed", now),
            _ => {
                account::snapshot(topic, channel, self.account, exchange, shelves, now).to_string()
            }
        }
    }
}

/// What a new listener is given.
pub struct Opened {
    /// As frames spell it.
    pub channel: Arc<str>,
    /// Frames up to this sequence are part of the snapshot.
    pub after: u64,
    /// The `subscribed/...` frame.
    pub text: Utf8Bytes,
}

/// All levels; the begin_nonce of 0 tells a snapshot from an update.
fn book_snapshot(shelves: &Shelves, rules: &Rules, exchange: &Exchange, now: Nanos) -> String {
    let shelf = &shelves.markets[rules.instrument.idx()];
    let of = |side: Side| {
        let levels = exchange.flow().ladder(rules.instrument, side);
        levels.map(move |(price, size)| (side, price, size))
    };
    let levels: Vec<_> = of(Side::Ask).chain(of(Side::Bid)).collect();
    let place = Place {
        kind: "subscribed",
        begin: 0,
        nonce: shelf.nonce,
        offset: shelf.offset,
        t: now,
        now,
    };
    frames::book(rules, &levels, &place)
}
