//! What the board keeps between frames: each market's place in the engine's count, its batch of
//! book changes, its last trades; and what of a turn concerns the account.
//!
//! Promises: the nonce of a book frame covers every change up to it, and its begin_nonce is the
//! nonce of the frame before. Refuses to write or send anything.

use super::board::Frame;
use super::frames::{Place, Touch};
use super::markets::Prices;
use super::trades::Shown;
use crate::market::InstrumentId;
use crate::market::book::Side;
use crate::market::units::{Nanos, Notional, Price, Size};
use crate::sim::exchange::{Change, Exchange, OrderView, Rules};
use crate::sim::faults::news::Courier;
use crate::sim::tape::pace;
use serde_json::Value;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap, VecDeque};
use std::sync::Arc;

/// What is kept between frames.
pub(super) struct Shelves {
    pub(super) sequence: u64,
    /// The engine's own counter, shared by all markets.
    pub(super) nonce: u64,
    pub(super) height: u64,
    pub(super) markets: Vec<Shelf>,
    /// Length of a batch of book changes.
    pub(super) batch_ns: u64,
    /// When which market's batch leaves, soonest first.
    pub(super) batches: BinaryHeap<Reverse<(Nanos, usize)>>,
    pub(super) listeners: HashMap<Arc<str>, usize>,
    /// What the account traded in all, USDC.
    pub(super) volume: Notional,
    /// Holds the account's frames back where a fault has it.
    pub(super) courier: Courier<Arc<Frame>>,
}

/// One market's own.
pub(super) struct Shelf {
    /// Nonce of its last event, told or not.
    pub(super) nonce: u64,
    /// Nonce of its last book frame.
    pub(super) told: u64,
    /// What changed since that frame, in order.
    pub(super) pending: Vec<Level>,
    /// Venue time of the last of these.
    pub(super) pending_t: Nanos,
    /// When they leave.
    pub(super) batch_due: Nanos,
    /// The API server's own counter, of no use to anybody, as on the venue.
    pub(super) offset: u64,
    pub(super) last: Price,
    pub(super) touch: Touch,
    pub(super) trades: VecDeque<Shown>,
    pub(super) channels: Channels,
}

/// A market's channels as frames spell them.
pub(super) struct Channels {
    pub(super) book: String,
    pub(super) ticker: String,
    pub(super) trade: String,
}

/// What of one batch concerns the account: it is told once, at the end.
#[derive(Default)]
pub(super) struct Touched {
    pub(super) orders: BTreeMap<u64, Arc<OrderView>>,
    pub(super) trades: Vec<(u32, Value)>,
    pub(super) fundings: Vec<(u32, Value)>,
    pub(super) positions: BTreeSet<u32>,
    pub(super) money: bool,
}

impl Shelves {
    /// The books as they are.
    pub(super) fn new(exchange: &Exchange) -> Shelves {
        Shelves {
            sequence: 0,
            nonce: FIRST_NONCE,
            height: 0,
            markets: exchange
                .rules()
                .iter()
                .map(|rules| Shelf::new(exchange, rules))
                .collect(),
            batch_ns: pace::batch_ns(exchange.flow().speed()),
            batches: BinaryHeap::new(),
            listeners: HashMap::new(),
            volume: Notional::ZERO,
            courier: Courier::default(),
        }
    }

    /// The engine's counter now.
    pub(super) fn nonce(&self) -> u64 {
        self.nonce
    }

    /// One tape frame is one event; it leaves with its batch. The nonce moves on by more than one,
    /// as other markets of a real engine would move it.
    pub(super) fn note(&mut self, idx: usize, changes: &[Change], t: Nanos) {
        if changes.is_empty() {
            return;
        }
        self.nonce += 1 + changes.len() as u64;
        let phase_ns = self.batch_ns * idx as u64 / self.markets.len() as u64;
        let shelf = &mut self.markets[idx];
        shelf.nonce = self.nonce;
        if !self.listeners.contains_key(shelf.channels.book.as_str()) {
            shelf.told = self.nonce;
            return;
        }
        if shelf.pending.is_empty() {
            // A grid of its own for every market, or all of them would leave at once.
            let batch = t.0.saturating_sub(phase_ns) / self.batch_ns + 1;
            shelf.batch_due = Nanos(batch * self.batch_ns + phase_ns);
            self.batches.push(Reverse((shelf.batch_due, idx)));
        }
        shelf.pending_t = t;
        let levels = changes.iter().map(|c| (c.side, c.price, c.after));
        shelf.pending.extend(levels);
    }

    /// What a market's batch holds, and its place in the chain; a level that changed twice is there
    /// once. `None` where nothing has changed.
    pub(super) fn take_batch(&mut self, idx: usize, now: Nanos) -> Option<(Vec<Level>, Place)> {
        let shelf = &mut self.markets[idx];
        if shelf.pending.is_empty() {
            return None;
        }
        let mut levels = std::mem::take(&mut shelf.pending);
        // Stable, so that the last word on a level stays last.
        levels.sort_by_key(|(side, price, _)| (side.idx(), *price));
        levels.dedup_by(|later, kept| {
            let same = (later.0, later.1) == (kept.0, kept.1);
            if same {
                kept.2 = later.2;
            }
            same
        });
        let begin = std::mem::replace(&mut shelf.told, shelf.nonce);
        shelf.offset += 1;
        let place = Place {
            kind: "update",
            begin,
            nonce: shelf.nonce,
            offset: shelf.offset,
            t: shelf.pending_t,
            now,
        };
        Some((levels, place))
    }
}

impl Shelf {
    fn new(exchange: &Exchange, rules: &Rules) -> Shelf {
        let named = |kind: &str| format!("{kind}:{}", rules.venue_market);
        Shelf {
            nonce: FIRST_NONCE,
            told: FIRST_NONCE,
            pending: Vec::new(),
            pending_t: Nanos(0),
            batch_due: Nanos(0),
            offset: 1_000,
            last: exchange.mark(rules.instrument).0,
            touch: touch(exchange, rules.instrument),
            trades: VecDeque::new(),
            channels: Channels {
                book: named("order_book"),
                ticker: named("ticker"),
                trade: named("trade"),
            },
        }
    }
}

impl Touched {
    /// Whether the account was not concerned.
    pub(super) fn is_empty(&self) -> bool {
        let rows = self.orders.is_empty() && self.trades.is_empty();
        rows && self.positions.is_empty() && !self.money
    }
}

/// A level and its size now.
pub(super) type Level = (Side, Price, Size);

/// Engine nonces start high, as a long-running engine's do.
const FIRST_NONCE: u64 = 18_032_383_898;

/// Best bid and ask as shown.
pub(super) fn touch(exchange: &Exchange, instrument: InstrumentId) -> Touch {
    let best = |side: Side| exchange.flow().ladder(instrument, side).next();
    [best(Side::Bid), best(Side::Ask)]
}

/// What moves on a market.
pub(super) fn prices(shelves: &Shelves, exchange: &Exchange, instrument: InstrumentId) -> Prices {
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
        funding: exchange.settings().funding,
    }
}
