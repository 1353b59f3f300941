//! What happens, written up as frames of Lighter's stream: once per frame, not once per client.
//!
//! Promises: called under the exchange's lock, so a snapshot taken by [`Board::open`] in one look
//! at the exchange is continued by the very next frame; the chain of begin_nonce and nonce of a
//! market never breaks; a frame nobody listens to is not written. Refuses: orders that are still on
//! their way, which the venue does not show.

use super::account;
use super::channel::{self, Topic};
use super::frames::{self, Place, Touch};
use super::keys::Credentials;
use super::markets::{self, Prices};
use super::models::{self, OTHERS_ACCOUNT, Parties};
use crate::market::InstrumentId;
use crate::market::book::Side;
use crate::market::units::{Nanos, Notional, Price, Size};
use crate::sim::exchange::{Change, Exchange, Happening, OrderView, Rules, Status, Trade};
use crate::sim::server::rt::broadcast;
use crate::sim::server::web::Utf8Bytes;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Frames held for a reader before it is cut. Larger only costs memory; smaller cuts readers that
/// merely paused.
const FRAMES_MAX: usize = 8_192;
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
}

/// What is kept between frames.
pub(super) struct Shelves {
    sequence: u64,
    /// The engine's own counter, shared by all markets.
    nonce: u64,
    height: u64,
    markets: Vec<Shelf>,
    listeners: HashMap<Arc<str>, usize>,
    /// What the account traded in all, USDC.
    pub(super) volume: Notional,
}

/// One market's own.
struct Shelf {
    /// Nonce of its last book frame.
    nonce: u64,
    /// The API server's own counter, of no use to anybody, as on the venue.
    offset: u64,
    last: Price,
    touch: Touch,
    trades: VecDeque<Value>,
}

impl Shelves {
    /// The engine's counter now.
    pub(super) fn nonce(&self) -> u64 {
        self.nonce
    }
}

/// What of one batch concerns the account: it is told once, at the end.
#[derive(Default)]
pub(super) struct Touched {
    pub(super) orders: BTreeMap<u64, Arc<OrderView>>,
    pub(super) trades: Vec<(u32, Value)>,
    pub(super) positions: BTreeSet<u32>,
    pub(super) money: bool,
}

impl Board {
    /// Starts with the books as they are.
    pub fn new(exchange: &Exchange, credentials: &Credentials) -> Board {
        let shelf = |rules: &Rules| Shelf {
            nonce: FIRST_NONCE,
            offset: 1_000,
            last: exchange.mark(rules.instrument).0,
            touch: touch(exchange, rules.instrument),
            trades: VecDeque::new(),
        };
        Board {
            frames: broadcast::Sender::new(FRAMES_MAX),
            account: credentials.account_index,
            shelves: Mutex::new(Shelves {
                sequence: 0,
                nonce: FIRST_NONCE,
                height: 0,
                markets: exchange.rules().iter().map(shelf).collect(),
                listeners: HashMap::new(),
                volume: Notional::ZERO,
            }),
        }
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

    /// Writes up one batch of happenings.
    pub fn write_up(&self, exchange: &Exchange, now: Nanos, happenings: &[Happening]) {
        let mut shelves = self.lock();
        let mut touched = Touched::default();
        let mut moved = BTreeSet::new();
        for happening in happenings {
            match happening {
                Happening::Book {
                    instrument,
                    changes,
                    t,
                } => {
                    let rules = &exchange.rules()[instrument.idx()];
                    self.book(&mut shelves, rules, changes, *t);
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
                Happening::Account(_) => touched.money = true,
            }
        }
        for instrument in moved {
            self.ticker(&mut shelves, exchange, instrument, now);
        }
        self.height(&mut shelves, now);
        for (channel, message) in account::frames(self.account, exchange, &shelves, &touched, now) {
            self.emit(&mut shelves, &channel, || message.to_string());
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
    pub fn recent_trades(&self, instrument: InstrumentId, limit: usize) -> Vec<Value> {
        let shelves = self.lock();
        let trades = shelves.markets[instrument.idx()].trades.iter().rev();
        trades.take(limit).cloned().collect()
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
        let Some((name, _)) = shelves.listeners.get_key_value(channel) else {
            return;
        };
        let name = Arc::clone(name);
        shelves.sequence += 1;
        let frame = Frame {
            channel: name,
            sequence: shelves.sequence,
            text: text().into(),
        };
        // No receiver is an ordinary state: the last client has just left.
        let _ = self.frames.send(Arc::new(frame));
    }

    /// One tape frame is one update. The nonce moves on by more than one, as other markets of a
    /// real engine would move it.
    fn book(&self, shelves: &mut Shelves, rules: &Rules, changes: &[Change], t: Nanos) {
        if changes.is_empty() {
            return;
        }
        shelves.nonce += 1 + changes.len() as u64;
        let nonce = shelves.nonce;
        let shelf = &mut shelves.markets[rules.instrument.idx()];
        let begin = std::mem::replace(&mut shelf.nonce, nonce);
        shelf.offset += 1;
        let offset = shelf.offset;
        let channel = format!("order_book:{}", rules.venue_market);
        self.emit(shelves, &channel, || {
            let levels = changes.iter().map(|c| (c.side, c.price, c.after));
            frames::book(
                rules,
                levels,
                &Place {
                    kind: "update",
                    begin,
                    nonce,
                    offset,
                    t,
                },
            )
        });
    }

    /// Told when the best price or size of a side has moved, at most once a batch, after the books.
    fn ticker(&self, shelves: &mut Shelves, exchange: &Exchange, instrument: usize, now: Nanos) {
        let rules = &exchange.rules()[instrument];
        let touch = touch(exchange, rules.instrument);
        let shelf = &mut shelves.markets[instrument];
        if std::mem::replace(&mut shelf.touch, touch) == touch {
            return;
        }
        let nonce = shelf.nonce;
        let channel = format!("ticker:{}", rules.venue_market);
        self.emit(shelves, &channel, || {
            frames::ticker(rules, &touch, nonce, "update", now).to_string()
        });
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

    /// A trade among others: accounts and orders are the crowd's.
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
        let rules = &exchange.rules()[instrument.idx()];
        let crowd = |side: Side| {
            let index = models::order_index((1 << 40) + number, rules.venue_market, side);
            (index, 0, OTHERS_ACCOUNT)
        };
        let parties = Parties {
            ask: crowd(Side::Ask),
            bid: crowd(Side::Bid),
            is_maker_ask: side == Side::Bid,
            taker_fee_e6: 0,
            maker_fee_e6: 0,
            taker_before: Size::ZERO,
            maker_before: Size::ZERO,
            tx_hash: frames::synthetic_hash(number, t),
        };
        let row = models::trade(number, (price.0, size, t), rules, &parties);
        self.show_trade(shelves, rules, price, row);
    }

    /// A trade of ours is public as well: it goes to both kinds of channel, in one shape.
    fn own_trade(&self, shelves: &mut Shelves, exchange: &Exchange, own: &Trade) -> (u32, Value) {
        let rules = &exchange.rules()[own.instrument.idx()];
        let row = account::own_trade(exchange, own, rules, self.account);
        let amount = own.price * own.size;
        shelves.volume += amount;
        self.show_trade(shelves, rules, own.price, row.clone());
        (rules.venue_market, row)
    }

    /// Keeps the trade for late subscribers and tells the market's channel.
    fn show_trade(&self, shelves: &mut Shelves, rules: &Rules, price: Price, row: Value) {
        let nonce = shelves.nonce;
        let shelf = &mut shelves.markets[rules.instrument.idx()];
        shelf.last = price;
        if shelf.trades.len() == TRADES_MAX {
            shelf.trades.pop_front();
        }
        shelf.trades.push_back(row.clone());
        let channel = format!("trade:{}", rules.venue_market);
        self.emit(shelves, &channel, || {
            json!({
                "channel": channel, "liquidation_trades": [], "nonce": nonce, "trades": [row],
                "type": "update/trade",
            })
            .to_string()
        });
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
                frames::ticker(rules, &shelf.touch, shelf.nonce, "subscribed", now).to_string()
            }
            Topic::Trade(market) => {
                let shelf = &shelves.markets[rules_of(market).instrument.idx()];
                let trades: Vec<_> = shelf.trades.iter().rev().take(TRADES_REPLAYED).collect();
                json!({
                    "channel": channel, "liquidation_trades": [], "nonce": shelves.nonce,
                    "trades": trades, "type": "subscribed/trade",
                })
                .to_string()
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

/// Engine nonces start high, as a long-running engine's do.
const FIRST_NONCE: u64 = 18_032_383_898;

/// Best bid and ask as shown.
fn touch(exchange: &Exchange, instrument: InstrumentId) -> Touch {
    let best = |side: Side| exchange.flow().ladder(instrument, side).next();
    [best(Side::Bid), best(Side::Ask)]
}

fn prices(shelves: &Shelves, exchange: &Exchange, instrument: InstrumentId) -> Prices {
    let (mark, index) = exchange.mark(instrument);
    let shelf = &shelves.markets[instrument.idx()];
    let mid = match shelf.touch {
        [Some((bid, _)), Some((ask, _))] => Price(bid.0 + (ask.0 - bid.0) / 2),
        _ => mark,
    };
    Prices {
        mark,
        index,
        last: shelf.last,
        mid,
    }
}

/// All levels; the begin_nonce of 0 tells a snapshot from an update.
fn book_snapshot(shelves: &Shelves, rules: &Rules, exchange: &Exchange, now: Nanos) -> String {
    let shelf = &shelves.markets[rules.instrument.idx()];
    let of = |side: Side| {
        let levels = exchange.flow().ladder(rules.instrument, side);
        levels.map(move |(price, size)| (side, price, size))
    };
    let levels = of(Side::Ask).chain(of(Side::Bid));
    let place = Place {
        kind: "subscribed",
        begin: 0,
        nonce: shelf.nonce,
        offset: shelf.offset,
        t: now,
    };
    frames::book(rules, levels, &place)
}
