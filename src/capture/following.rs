//! One venue's books followed: every message written down as it came, then read, so that the lanes
//! live and the books are known when a new segment begins.
//!
//! Promises: the bytes written are those the venue sent, before anyone has read them. Refuses:
//! pinned threads, orders, an account.

use super::segment::Segment;
use crate::feed::DELTAS_PER_MESSAGE_MAX;
use crate::market::book::{Delta, flags};
use crate::market::event::FrameKind;
use crate::market::units::{Nanos, Price, Size};
use crate::market::{INSTRUMENTS_MAX, InstrumentId, Market, Name, Venue};
use crate::net::{Incoming, Lanes};
use crate::session::market_data::Books;
use crate::sim::tape::live::{Listed, carried};
use crate::stage::clock::Clock;
use crate::venue::{Call, Feed, Lane, OutKind, Outbox, Told};
use std::collections::BTreeMap;
use std::io;

/// Messages taken from one venue before the other gets its turn, shared out over its lanes: Lighter
/// has one lane for all markets, Extended one for each.
const MESSAGES_PER_TURN: usize = 1024;
/// A lane's share is at least this.
const MESSAGES_PER_LANE_MIN: usize = 16;

/// A venue, its lanes and its books.
pub struct Following {
    venue: Venue,
    feed: Box<dyn Feed>,
    lanes: Lanes,
    is_book_lane: fn(Lane) -> bool,
    books: Vec<Book>,
    told: Told,
    out: Outbox,
    /// Messages written down.
    pub messages: u64,
    /// Messages after which a book could not be trusted and was asked for anew.
    pub gaps: u64,
}

/// One book as it stands.
struct Book {
    /// How the capture's header lists it.
    listed: Listed,
    id: InstrumentId,
    /// Whole and in order.
    is_live: bool,
    sides: [BTreeMap<Price, Size>; 2],
}

impl Following {
    /// Takes the venue's parts over; the first beat dials.
    pub fn new(books: Books) -> io::Result<Following> {
        let Books {
            venue,
            markets,
            feed,
            lanes,
            is_book_lane,
        } = books;
        let book = |(base, market): &(Name, Market)| Book {
            listed: Listed {
                venue: venue.name().to_owned(),
                base: base.to_string(),
                name: market.name.to_string(),
                number: market.venue_market,
                tick_e9: market.tick.0,
                lot_e9: market.lot.0,
            },
            id: market.instrument,
            is_live: false,
            sides: [BTreeMap::new(), BTreeMap::new()],
        };
        Ok(Following {
            venue,
            feed,
            lanes: Lanes::new(lanes)?,
            is_book_lane,
            books: markets.iter().map(book).collect(),
            told: Told::new(DELTAS_PER_MESSAGE_MAX),
            out: Outbox::new(64 * 1024, 2 * INSTRUMENTS_MAX),
            messages: 0,
            gaps: 0,
        })
    }

    /// Which venue.
    pub fn venue(&self) -> Venue {
        self.venue
    }

    /// What of it stands in a capture's header.
    pub fn listed(&self) -> impl Iterator<Item = &Listed> {
        self.books.iter().map(|book| &book.listed)
    }

    /// Writes down and reads what has come; how much that was.
    pub fn turn(&mut self, clock: Clock, segment: &mut Segment) -> io::Result<usize> {
        self.lanes.poll();
        let mut handled = 0;
        let lanes_len = self.lanes.count().max(1);
        let share = (MESSAGES_PER_TURN / lanes_len).max(MESSAGES_PER_LANE_MIN);
        for lane in 0..self.lanes.count() {
            for _ in 0..share {
                if !self.hear(lane, clock.now(), segment)? {
                    break;
                }
                handled += 1;
            }
        }
        Ok(handled)
    }

    /// One thing that a lane has to say; `false` when it has none.
    fn hear(&mut self, lane: Lane, now: Nanos, segment: &mut Segment) -> io::Result<bool> {
        let Some(incoming) = self.lanes.next(lane, now) else {
            return Ok(false);
        };
        let mut call = Call {
            now,
            books: &[],
            told: &mut self.told,
            out: &mut self.out,
        };
        match incoming {
            Incoming::Text(bytes) => {
                if (self.is_book_lane)(lane) {
                    segment.write(now, self.venue, bytes)?;
                    self.messages += 1;
                }
                let kind = self.feed.on_message(lane, bytes, &mut call).kind;
                if matches!(kind, FrameKind::Gap | FrameKind::Malformed) {
                    self.gaps += 1;
                }
            }
            Incoming::Up => self.feed.on_link(lane, true, &mut call),
            Incoming::Down(_) => self.feed.on_link(lane, false, &mut call),
            Incoming::Response { .. } => {}
        }
        self.settle(now);
        Ok(true)
    }

    /// Dials, deadlines, keepalives.
    pub fn beat(&mut self, now: Nanos) {
        self.lanes.beat(now);
        self.call(now, |feed, call| feed.on_beat(call));
        self.settle(now);
    }

    /// Hands the feed what every call needs; it is shown no full books, and audits none.
    fn call(&mut self, now: Nanos, deed: impl FnOnce(&mut dyn Feed, &mut Call<'_>)) {
        let mut call = Call {
            now,
            books: &[],
            told: &mut self.told,
            out: &mut self.out,
        };
        deed(&mut *self.feed, &mut call);
    }

    /// Brings the books up to date, asks anew for one that crossed itself, sends what is to be
    /// sent.
    fn settle(&mut self, now: Nanos) {
        let mut crossed = None;
        for delta in self.told.deltas.items() {
            if let Some(book) = self.books.get_mut(delta.instrument.idx()) {
                book.apply(delta);
                let is_end = delta.flags & flags::LAST != 0;
                if is_end && book.is_live && book.is_crossed() {
                    crossed = Some(book.id);
                }
            }
        }
        self.told.clear();
        if let Some(id) = crossed {
            self.gaps += 1;
            // The venue marks the market stale; such marks hold no level, so this ends here.
            self.call(now, |feed, call| feed.resync(id, call));
            for delta in self.told.deltas.items() {
                self.books[delta.instrument.idx()].apply(delta);
            }
            self.told.clear();
        }
        let lanes = &mut self.lanes;
        self.out.deliver(|item, payload| match item.kind {
            OutKind::Text => lanes.send_text(item.lane, payload, now),
            OutKind::Http => lanes.send_raw(item.lane, payload, now),
            OutKind::Reconnect => lanes.reconnect(item.lane, now),
            OutKind::Wake => lanes.wake(item.lane, now),
            OutKind::Hang => lanes.hang(item.lane),
        });
    }

    /// Writes every whole book down, so that a new segment can be played from its beginning.
    pub fn carry(&self, now: Nanos, segment: &mut Segment) -> io::Result<()> {
        let mut text = Vec::new();
        for book in self.books.iter().filter(|book| book.is_live) {
            let level = |(price, size): (&Price, &Size)| (*price, *size);
            let [bids, asks] = &book.sides;
            let (mut bids, mut asks) = (bids.iter().map(level), asks.iter().map(level));
            let message = carried(&book.listed.name, [&mut bids, &mut asks], &mut text);
            segment.write(now, self.venue, message)?;
        }
        Ok(())
    }

    /// Says goodbye.
    pub fn close(&mut self) {
        self.lanes.close();
    }
}

impl Book {
    fn apply(&mut self, delta: &Delta) {
        if delta.flags & flags::STALE != 0 {
            self.is_live = false;
        }
        if delta.flags & flags::CLEAR != 0 {
            self.is_live = true;
            self.sides.iter_mut().for_each(BTreeMap::clear);
        }
        // A recording has the full book alone.
        if delta.flags & (flags::EMPTY | flags::STALE | flags::TOP) == 0 {
            let side = &mut self.sides[delta.side.idx()];
            match delta.size {
                Size::ZERO => drop(side.remove(&delta.price)),
                size => drop(side.insert(delta.price, size)),
            }
        }
    }

    fn is_crossed(&self) -> bool {
        let [bids, asks] = &self.sides;
        match (bids.last_key_value(), asks.first_key_value()) {
            (Some((bid, _)), Some((ask, _))) => bid >= ask,
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Place, header};
    use super::*;
    use crate::market::Bounds;
    use crate::market::book::Side;
    use crate::market::units::{Bps, Notional};
    use crate::net::{Connection, ConnectionLimits, Endpoint, Protocol, TlsClient};
    use crate::sim::tape::live;
    use crate::venue::lighter::feed::LighterFeed;

    fn following() -> Following {
        let name = Name::new("BTC").unwrap();
        let market = Market {
            venue: Venue::Lighter,
            instrument: InstrumentId(0),
            name,
            venue_market: 1,
            tick: Price(100_000_000),
            lot: Size(10_000),
            size_min: Size(1),
            notional_min: Notional::ZERO,
            fee_taker: Bps::ZERO,
            fee_maker: Bps::ZERO,
            bounds: Bounds::default(),
        };
        // Never dialled: what is sent there is dropped.
        let nowhere = Endpoint::parse("ws://127.0.0.1:1", "", Vec::new(), Protocol::WebSocket);
        let (nowhere, tls) = (nowhere.unwrap(), TlsClient::new(None).unwrap());
        let limits = ConnectionLimits::default();
        Following::new(Books {
            venue: Venue::Lighter,
            markets: vec![(name, market)],
            feed: Box::new(LighterFeed::new(&[market])),
            lanes: vec![Connection::new(nowhere, 0, &tls, limits, 0)],
            is_book_lane: |_| true,
        })
        .unwrap()
    }

    fn delta(price: i64, size: i64, side: Side, flags: u8) -> Delta {
        Delta {
            price: Price(price * 100_000_000),
            size: Size(size),
            t_recv: Nanos::ZERO,
            t_made: Nanos::ZERO,
            t_push: Nanos::ZERO,
            instrument: InstrumentId(0),
            venue: Venue::Lighter,
            side,
            flags,
        }
    }

    #[test]
    fn only_whole_books_are_carried_over_and_a_crossed_one_is_asked_for_anew() {
        let place = Place::new("carry");
        let mut following = following();
        let carry = |following: &Following, name: &str| {
            let path = place.path().join(name);
            let mut segment = Segment::create(path.clone(), &header(), Nanos(1)).unwrap();
            following.carry(Nanos(2), &mut segment).unwrap();
            segment.finish().unwrap();
            assert!(live::is_capture(&path));
            let mut text = String::new();
            let file = std::fs::File::open(path).unwrap();
            let mut decoder = flate2::read::GzDecoder::new(file);
            io::Read::read_to_string(&mut decoder, &mut text).unwrap();
            text.lines().nth(1).map(str::to_owned)
        };
        assert_eq!(carry(&following, "none"), None);
        let push = |following: &mut Following, list: &[Delta]| {
            for delta in list {
                assert!(following.told.deltas.push(*delta));
            }
            following.settle(Nanos(3));
        };
        push(
            &mut following,
            &[
                delta(999, 5, Side::Bid, flags::CLEAR | flags::SNAPSHOT),
                delta(998, 7, Side::Bid, flags::SNAPSHOT),
                delta(1_001, 500_000_000, Side::Ask, flags::SNAPSHOT | flags::LAST),
            ],
        );
        push(&mut following, &[delta(998, 0, Side::Bid, flags::LAST)]);
        let line = "2 lighter {\"carried\":\"BTC\",\"bids\":[[\"99.9\",\"0.000000005\"]],\
                    \"asks\":[[\"100.1\",\"0.5\"]]}";
        assert_eq!(carry(&following, "one").as_deref(), Some(line));
        push(
            &mut following,
            &[delta(0, 0, Side::Bid, flags::STALE | flags::LAST)],
        );
        assert_eq!(carry(&following, "stale"), None);
        let again = delta(999, 5, Side::Bid, flags::CLEAR | flags::LAST);
        push(&mut following, &[again]);
        assert_eq!(following.gaps, 0);
        push(&mut following, &[delta(999, 5, Side::Ask, flags::LAST)]);
        assert_eq!(following.gaps, 1);
    }
}
