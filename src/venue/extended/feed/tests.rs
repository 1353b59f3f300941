//! The feed turned by hand, beside a stage too simple to be wrong: it applies what it is told.
//!
//! Rows are those of the table of failures seen in other engines.

pub(super) use super::*;
pub(super) use crate::market::book::{Book, Level, Side, flags};
pub(super) use crate::market::units::{Bps, Notional, Price, Size};
pub(super) use crate::market::{Bounds, Name};
pub(super) use crate::venue::{OutKind, Outbox, Told};

pub(super) fn market(name: &str, instrument: u16) -> Market {
    Market {
        venue: Venue::Extended,
        instrument: InstrumentId(instrument),
        name: Name::new(name).unwrap(),
        venue_market: 0,
        tick: Price(1),
        lot: Size(1),
        size_min: Size(1),
        notional_min: Notional::ZERO,
        fee_taker: Bps::ZERO,
        fee_maker: Bps::ZERO,
        bounds: Bounds::default(),
    }
}

/// 2026-08-03, when the frames below were written.
pub(super) const NOW: Nanos = Nanos(1_785_778_403_000 * MS);
pub(super) const LEVEL: &str = r#"{"q":"1","p":"9"}"#;
/// The lanes of two markets.
pub(super) const TOPS: Lane = 2;
pub(super) const TRADES: Lane = 4;
pub(super) const MARK: Lane = 5;
pub(super) const INDEX: Lane = 6;
pub(super) const FUNDING: Lane = 7;

pub(super) struct Rig {
    pub feed: ExtendedFeed,
    pub told: Told,
    pub out: Outbox,
    pub now: Nanos,
    /// By instrument; empty where a test keeps none.
    pub books: Vec<Book>,
    pub is_stale: Vec<bool>,
    /// Numbers of the messages, by lane.
    pub sequences: Vec<u64>,
}

impl Rig {
    /// Two markets on lanes of their own, the first one up.
    pub fn new() -> Rig {
        let mut rig = Rig::of(&[market("BTC-USD", 0), market("ETH-USD", 1)]);
        rig.link(0, true);
        rig
    }

    /// Eight markets on shared lanes, all up.
    pub fn shared() -> Rig {
        let names: Vec<String> = (2..8).map(|idx| format!("M{idx}-USD")).collect();
        let mut markets = vec![market("BTC-USD", 0), market("ETH-USD", 1)];
        let rest = names.iter().zip(2..);
        markets.extend(rest.map(|(name, idx)| market(name, idx)));
        let mut rig = Rig::of(&markets);
        for lane in 0..rig.sequences.len() {
            rig.link(lane, true);
        }
        rig
    }

    pub fn of(markets: &[Market]) -> Rig {
        let feed = ExtendedFeed::new(markets);
        Rig {
            sequences: vec![0; feed.lanes().len()],
            feed,
            told: Told::new(256),
            out: Outbox::new(1024, 64),
            now: NOW,
            books: markets.iter().map(|_| Book::new(Price(1))).collect(),
            is_stale: vec![true; markets.len()],
        }
    }

    pub fn call<T>(&mut self, deed: impl FnOnce(&mut ExtendedFeed, &mut Call<'_>) -> T) -> T {
        self.told.clear();
        let mut call = Call {
            now: self.now,
            books: &self.books,
            told: &mut self.told,
            out: &mut self.out,
        };
        let answer = deed(&mut self.feed, &mut call);
        for delta in self.told.deltas.items() {
            let idx = delta.instrument.idx();
            let mark = delta.flags & (flags::STALE | flags::CLEAR);
            self.is_stale[idx] = mark & flags::STALE != 0 || (self.is_stale[idx] && mark == 0);
            if let Some(book) = self.books.get_mut(idx) {
                book.apply_delta(delta);
            }
        }
        answer
    }

    pub fn link(&mut self, lane: Lane, up: bool) {
        self.sequences[lane] = 0;
        self.call(|feed, call| feed.on_link(lane, up, call));
    }

    /// Exactly these bytes.
    pub fn say(&mut self, lane: Lane, text: &str) -> FrameKind {
        let mut bytes = text.as_bytes().to_vec();
        let heard = self.call(|feed, call| feed.on_message(lane, &mut bytes, call));
        heard.kind
    }

    /// With the next number of the lane, and stamped now by a venue whose clock is ours.
    pub fn tell(&mut self, lane: Lane, page: &Page<'_>) -> FrameKind {
        self.sequences[lane] += 1;
        let (sequence, ms) = (self.sequences[lane], self.now.epoch_ms());
        self.say(lane, &page.text(ms, sequence))
    }

    /// A reference or a list of trades, with the next number of the lane.
    pub fn refer(&mut self, lane: Lane, kind: &str, data: &str) -> FrameKind {
        self.sequences[lane] += 1;
        let (sequence, ms) = (self.sequences[lane], self.now.epoch_ms());
        self.say(
            lane,
            &format!(r#"{{{kind}"data":{data},"ts":{ms},"seq":{sequence}}}"#),
        )
    }

    pub fn later(&mut self, ms: u64) {
        self.now = self.now.plus(ms * MS);
    }

    pub fn beat(&mut self) {
        self.call(|feed, call| feed.on_beat(call));
    }

    pub fn state(&self, idx: u16) -> BookState {
        self.feed.state(InstrumentId(idx)).unwrap()
    }

    pub fn flags(&self) -> Vec<u8> {
        let items = self.told.deltas.items().iter();
        items.map(|delta| delta.flags).collect()
    }

    /// Doubts told by the last call.
    pub fn doubts(&self) -> Vec<(u16, Doubt)> {
        let doubt = |note: &Event| match note {
            Event::Doubted {
                instrument, why, ..
            } => Some((instrument.0, *why)),
            _ => None,
        };
        self.told.notes.items().iter().filter_map(doubt).collect()
    }

    /// Lanes to be dialled anew since this was asked last.
    pub fn reconnects(&mut self) -> Vec<Lane> {
        let items = self.out.items().iter();
        assert!(items.clone().all(|item| item.kind == OutKind::Reconnect));
        let lanes = items.map(|item| item.lane).collect();
        self.out.clear();
        lanes
    }
}

/// A book message, as the venue writes it, member by member.
#[derive(Clone, Copy)]
pub(super) struct Page<'t> {
    pub kind: &'t str,
    pub name: &'t str,
    pub depth: &'t str,
    pub bids: &'t str,
    pub asks: &'t str,
}

impl<'t> Page<'t> {
    pub const fn snapshot(bids: &'t str, asks: &'t str) -> Page<'t> {
        Page {
            kind: "SNAPSHOT",
            name: "BTC-USD",
            depth: "f",
            bids,
            asks,
        }
    }

    pub const fn delta(bids: &'t str, asks: &'t str) -> Page<'t> {
        Page {
            kind: "DELTA",
            ..Page::snapshot(bids, asks)
        }
    }

    pub const fn top(bids: &'t str, asks: &'t str) -> Page<'t> {
        Page {
            depth: "1",
            ..Page::snapshot(bids, asks)
        }
    }

    pub const fn of(self, name: &'t str) -> Page<'t> {
        Page { name, ..self }
    }

    pub fn text(&self, ms: u64, sequence: u64) -> String {
        let Page {
            kind,
            name,
            depth,
            bids,
            asks,
        } = self;
        let head = format!(r#"{{"type":"{kind}","data":{{"t":"{kind}","m":"{name}","#);
        let tail = format!(r#""d":"{depth}"}},"ts":{ms},"seq":{sequence}}}"#);
        format!(r#"{head}"b":[{bids}],"a":[{asks}],{tail}"#)
    }
}

/// The number as the book holds it.
pub(super) fn nano(value: i64) -> i64 {
    value * 1_000_000_000
}

pub(super) fn level(price: i64, size: i64) -> Option<Level> {
    Some(Level {
        price: Price(nano(price)),
        size: Size(nano(size)),
    })
}
