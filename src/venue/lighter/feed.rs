//! Lighter's books: subscriptions, snapshot and continuity, absolute level changes out.
//!
//! Promises: deltas of a market are continuous from a `CLEAR` on, or a `STALE` has said otherwise.
//! A frame is taken whole or not at all. A fault of one market resyncs that market only; a frame
//! nobody can be named for resyncs all. Inside a frame removals go before insertions, as the venue
//! asks.
//! Refuses: updates that do not begin where the last one ended; frames while a market is being
//! left.
//!
//! ```text
//! subscription: Wanted -> Subscribing -> Subscribed -> Leaving -> Wanted
//! market:       AwaitingSnapshot -> Live { sequence } -> Stale -> Live
//! ```

use super::pulse::Pulse;
use super::wire::{self, BookBody, Decoder, Json, Kind};
use crate::market::book::{Delta, Side, flags};
use crate::market::event::FrameKind;
use crate::market::units::{Nanos, Price, SECOND, Size};
use crate::market::{InstrumentId, Market, Venue};
use crate::venue::{Deltas, Feed, Heard, Lane, OutKind, Outbox};

/// The only connection.
const LANE: Lane = 0;
/// How long a subscribe or unsubscribe may go unanswered before it is repeated. A snapshot took 522
/// ms and an acknowledgement 267 ms in practice.
const ANSWER_NS_MAX: u64 = 10 * SECOND;
/// Subscribes and unsubscribes unanswered at once; the venue allows 50 messages in flight.
const IN_FLIGHT_MAX: usize = 40;
/// Requests per window; the venue allows 200 client messages a minute, pings and pongs included.
const REQUESTS_MAX: u32 = 180;
/// The window.
const REQUESTS_WINDOW_NS: u64 = 60 * SECOND;
/// "Already subscribed": the venue sends no snapshot then, so leave and come back.
const CODE_ALREADY_SUBSCRIBED: u32 = 30_003;
/// No row in the table of market ids.
const NO_ROW: u16 = u16::MAX;

/// Whether a market's book can be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Book {
    /// Nothing was said about it yet on this connection.
    AwaitingSnapshot,
    /// In step; the next update must begin at `sequence`.
    Live { sequence: u64 },
    /// It was in step and is no more; a `STALE` was pushed.
    Stale,
}

/// Where a market's subscription stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Subscription {
    /// To be subscribed as soon as the limits allow.
    Wanted,
    /// Asked for; the snapshot is the answer.
    Subscribing { until: Nanos },
    /// The snapshot has come.
    Subscribed,
    /// To be left as soon as the limits allow: the only way to a new snapshot.
    LeaveWanted,
    /// Left; frames still on their way are let pass until the acknowledgement.
    Leaving { until: Nanos },
}

/// One market. Two states, because they move apart: a book can be stale while its subscription is
/// being left, and a subscription can be fresh while its book is not there yet.
#[derive(Clone, Copy, Debug)]
struct Row {
    instrument: InstrumentId,
    venue_market: u32,
    book: Book,
    subscription: Subscription,
}

/// Market data of Lighter.
pub struct LighterFeed {
    decoder: Decoder,
    rows: Rows,
    pulse: Pulse,
}

/// The markets and the request budget: all but the parser, so that a parsed message can be borrowed
/// while they change.
struct Rows {
    rows: Box<[Row]>,
    /// Row by market id, `NO_ROW` where the venue has a market that we do not follow.
    row_of_market: Box<[u16]>,
    window_start: Nanos,
    requests: u32,
}

impl LighterFeed {
    /// A feed for the Lighter markets among `markets`; others are skipped.
    pub fn new(markets: &[Market]) -> LighterFeed {
        let rows: Box<[Row]> = markets
            .iter()
            .filter(|market| market.venue == Venue::Lighter)
            .map(|market| Row {
                instrument: market.instrument,
                venue_market: market.venue_market,
                book: Book::AwaitingSnapshot,
                subscription: Subscription::Wanted,
            })
            .collect();
        let top = rows.iter().map(|row| row.venue_market as usize + 1).max();
        let mut row_of_market = vec![NO_ROW; top.unwrap_or(0)];
        for (row_idx, row) in rows.iter().enumerate() {
            row_of_market[row.venue_market as usize] = row_idx as u16;
        }
        LighterFeed {
            decoder: Decoder::new(),
            rows: Rows {
                rows,
                row_of_market: row_of_market.into_boxed_slice(),
                window_start: Nanos::ZERO,
                requests: 0,
            },
            pulse: Pulse::new(LANE),
        }
    }
}

impl Feed for LighterFeed {
    fn on_link(&mut self, _: Lane, up: bool, now: Nanos, deltas: &mut Deltas, _: &mut Outbox) {
        self.pulse.on_link(up, now);
        for row in &mut self.rows.rows {
            row.subscription = Subscription::Wanted;
            if up {
                row.book = Book::AwaitingSnapshot;
            } else {
                row.book = Book::Stale;
                push_stale(row.instrument, now, deltas);
            }
        }
    }

    fn on_message(
        &mut self,
        _: Lane,
        bytes: &mut [u8],
        now: Nanos,
        deltas: &mut Deltas,
        out: &mut Outbox,
    ) -> Heard {
        let (rows, pulse) = (&mut self.rows, &mut self.pulse);
        let start = deltas.items().len();
        let heard = self.decoder.read(bytes, |root| {
            let (kind, name) = wire::classify(root);
            if pulse.take(kind, now, out) {
                if kind == Kind::Connected {
                    rows.pump(now, out);
                }
                return about_none(FrameKind::Control);
            }
            match kind {
                Kind::Subscribed | Kind::Update if name == "order_book" => {
                    rows.on_book(kind, root, now, deltas)
                }
                Kind::Unsubscribed if name == "order_book" => rows.on_unsubscribed(root, now, out),
                Kind::Error => rows.on_refusal(root, now, out),
                _ => about_none(FrameKind::Unknown),
            }
        });
        let heard = heard.unwrap_or(about_none(FrameKind::Malformed));
        if matches!(heard.kind, FrameKind::Malformed | FrameKind::Gap) {
            deltas.truncate(start);
            rows.distrust(heard.instrument, now, deltas, out);
        }
        heard
    }

    fn on_beat(&mut self, now: Nanos, _: &mut Deltas, out: &mut Outbox) {
        self.pulse.on_beat(now, out);
        if !self.pulse.is_live() {
            return;
        }
        for row in &mut self.rows.rows {
            match row.subscription {
                // The answer to the subscribe was lost, or the market is one that answers nothing:
                // leaving first makes the next subscribe good in both cases.
                Subscription::Subscribing { until } if now >= until => {
                    row.subscription = Subscription::LeaveWanted;
                }
                Subscription::Leaving { until } if now >= until => {
                    row.subscription = Subscription::Wanted;
                }
                _ => {}
            }
        }
        self.rows.pump(now, out);
    }

    fn resync(
        &mut self,
        instrument: InstrumentId,
        now: Nanos,
        deltas: &mut Deltas,
        out: &mut Outbox,
    ) {
        self.rows.distrust(Some(instrument), now, deltas, out);
    }
}

impl Rows {
    /// The row of a market id, by table: ids are small numbers.
    fn row_idx(&self, venue_market: u64) -> Option<usize> {
        let row_idx = *self
            .row_of_market
            .get(usize::try_from(venue_market).ok()?)?;
        (row_idx != NO_ROW).then_some(usize::from(row_idx))
    }

    /// One book frame. The order of the questions matters: a frame for nobody is Unknown even if
    /// the rest of it is nonsense; a frame for a market being left says nothing, since its
    /// successor may have been lost; only then is the content read, and only a book in step takes
    /// an update.
    fn on_book(&mut self, kind: Kind, root: Json, now: Nanos, deltas: &mut Deltas) -> Heard {
        let Some(venue_market) = wire::channel_number(root) else {
            return about_none(FrameKind::Malformed);
        };
        let Some(row_idx) = self.row_idx(venue_market) else {
            return about_none(FrameKind::Unknown);
        };
        let row = &mut self.rows[row_idx];
        let heard = |kind| Heard {
            kind,
            instrument: Some(row.instrument),
        };
        let is_leaving = matches!(
            row.subscription,
            Subscription::LeaveWanted | Subscription::Leaving { .. }
        );
        if is_leaving {
            return heard(FrameKind::Control);
        }
        let Some(body) = wire::book_body(root) else {
            return heard(FrameKind::Malformed);
        };
        let frame = Frame {
            instrument: row.instrument,
            now,
        };
        if kind == Kind::Subscribed {
            if frame.snapshot(&body, deltas).is_none() {
                return heard(FrameKind::Malformed);
            }
            row.book = Book::Live {
                sequence: body.nonce,
            };
            row.subscription = Subscription::Subscribed;
            return heard(FrameKind::Snapshot);
        }
        let Book::Live { sequence } = row.book else {
            return heard(FrameKind::Control);
        };
        let Some(begin_nonce) = body.begin_nonce else {
            return heard(FrameKind::Malformed);
        };
        if begin_nonce != sequence {
            return heard(FrameKind::Gap);
        }
        if frame.update(&body, deltas).is_none() {
            return heard(FrameKind::Malformed);
        }
        row.book = Book::Live {
            sequence: body.nonce,
        };
        heard(FrameKind::Update)
    }

    /// The acknowledgement of a leave: now, and not before, a subscribe brings a snapshot.
    #[cold]
    fn on_unsubscribed(&mut self, root: Json, now: Nanos, out: &mut Outbox) -> Heard {
        let row_idx = wire::channel_number(root).and_then(|number| self.row_idx(number));
        let Some(row_idx) = row_idx else {
            return about_none(FrameKind::Unknown);
        };
        let row = &mut self.rows[row_idx];
        if let Subscription::Leaving { .. } = row.subscription {
            row.subscription = Subscription::Wanted;
        }
        let instrument = Some(row.instrument);
        self.pump(now, out);
        Heard {
            kind: FrameKind::Control,
            instrument,
        }
    }

    /// A refusal names no channel but in its text. "Already subscribed" is repaired at once;
    /// anything else leaves the subscription unanswered, and its deadline repairs it.
    #[cold]
    fn on_refusal(&mut self, root: Json, now: Nanos, out: &mut Outbox) -> Heard {
        let (code, message) = wire::refusal(root);
        if code == Some(CODE_ALREADY_SUBSCRIBED) {
            let number = message.rsplit_once("order_book:").map(|(_, tail)| tail);
            let row_idx = number.and_then(wire::digits).and_then(|n| self.row_idx(n));
            if let Some(row) = row_idx.map(|row_idx| &mut self.rows[row_idx])
                && let Subscription::Subscribing { .. } = row.subscription
            {
                row.subscription = Subscription::LeaveWanted;
                self.pump(now, out);
            }
        }
        about_none(FrameKind::Control)
    }

    /// Marks one market (or, with `None`, every one) stale and starts to ask for it anew.
    #[cold]
    fn distrust(
        &mut self,
        instrument: Option<InstrumentId>,
        now: Nanos,
        deltas: &mut Deltas,
        out: &mut Outbox,
    ) {
        for row in &mut self.rows {
            if instrument.is_some_and(|instrument| instrument != row.instrument) {
                continue;
            }
            if let Book::Live { .. } = row.book {
                row.book = Book::Stale;
                push_stale(row.instrument, now, deltas);
            }
            match row.subscription {
                Subscription::Subscribed => row.subscription = Subscription::LeaveWanted,
                // Its snapshot was the bad frame: nothing else will come.
                Subscription::Subscribing { .. } if instrument.is_some() => {
                    row.subscription = Subscription::LeaveWanted;
                }
                _ => {}
            }
        }
        self.pump(now, out);
    }

    /// Sends the subscribes and unsubscribes that are wanted, as far as the venue's limits allow.
    /// What does not go out stays wanted for the next beat.
    #[cold]
    fn pump(&mut self, now: Nanos, out: &mut Outbox) {
        if now.since(self.window_start) >= REQUESTS_WINDOW_NS {
            self.window_start = now;
            self.requests = 0;
        }
        let is_in_flight = |row: &&Row| {
            matches!(
                row.subscription,
                Subscription::Subscribing { .. } | Subscription::Leaving { .. }
            )
        };
        let mut in_flight = self.rows.iter().filter(is_in_flight).count();
        for row in &mut self.rows {
            if in_flight >= IN_FLIGHT_MAX || self.requests >= REQUESTS_MAX {
                return;
            }
            let until = now.plus(ANSWER_NS_MAX);
            let (verb, next): (&[u8], _) = match row.subscription {
                Subscription::Wanted => (b"subscribe", Subscription::Subscribing { until }),
                Subscription::LeaveWanted => (b"unsubscribe", Subscription::Leaving { until }),
                Subscription::Subscribing { .. }
                | Subscription::Subscribed
                | Subscription::Leaving { .. } => continue,
            };
            let sent = out.message(LANE, OutKind::Text, |text| {
                text.put(b"{\"type\":\"").put(verb);
                text.put(b"\",\"channel\":\"order_book/");
                text.put_integer(u64::from(row.venue_market)).put(b"\"}");
            });
            if !sent {
                return;
            }
            row.subscription = next;
            self.requests += 1;
            in_flight += 1;
        }
    }
}

/// What every delta of one frame has in common.
#[derive(Clone, Copy)]
struct Frame {
    instrument: InstrumentId,
    now: Nanos,
}

impl Frame {
    fn delta(self, side: Side, price: Price, size: Size, flags: u8) -> Delta {
        Delta {
            price,
            size,
            t_recv: self.now,
            t_push: Nanos::ZERO,
            instrument: self.instrument,
            venue: Venue::Lighter,
            side,
            flags,
        }
    }

    /// A whole book: `CLEAR` on the first record, `SNAPSHOT` on all. `None` when a level is
    /// ill-formed or the batch is full.
    fn snapshot(self, body: &BookBody, deltas: &mut Deltas) -> Option<()> {
        let start = deltas.items().len();
        for (side, levels) in sides(body) {
            for level in levels.items()? {
                let (price, size) = wire::level_text(level)?;
                let (price, size) = (wire::price(price)?, wire::size(size)?);
                if size > Size::ZERO {
                    let delta = self.delta(side, price, size, flags::SNAPSHOT);
                    deltas.push(delta).then_some(())?;
                }
            }
        }
        if deltas.items().len() == start {
            let none = flags::SNAPSHOT | flags::EMPTY;
            let delta = self.delta(Side::Bid, Price::ZERO, Size::ZERO, none);
            deltas.push(delta).then_some(())?;
        }
        deltas.items_mut()[start].flags |= flags::CLEAR;
        mark_last(start, deltas);
        Some(())
    }

    /// Changes, in two passes: removals, then the rest. `None` as for a snapshot.
    ///
    /// The venue does not order the levels of a frame, and asks for removals first, so that a level
    /// that goes and comes back in one frame ends up there. Telling a removal from its text
    /// ("0.0000") is cheaper than sorting parsed levels: each level is parsed once, in the pass it
    /// belongs to, and a size that only looks like zero (".") is refused by the parser there.
    fn update(self, body: &BookBody, deltas: &mut Deltas) -> Option<()> {
        let start = deltas.items().len();
        for is_removal_pass in [true, false] {
            for (side, levels) in sides(body) {
                self.changes(side, levels, is_removal_pass, deltas)?;
            }
        }
        mark_last(start, deltas);
        Some(())
    }

    fn changes(
        self,
        side: Side,
        levels: Json,
        is_removal_pass: bool,
        deltas: &mut Deltas,
    ) -> Option<()> {
        for level in levels.items()? {
            let (price, size) = wire::level_text(level)?;
            if is_removal_pass == size.iter().all(|byte| matches!(byte, b'0' | b'.')) {
                let (price, size) = (wire::price(price)?, wire::size(size)?);
                let delta = self.delta(side, price, size, 0);
                deltas.push(delta).then_some(())?;
            }
        }
        Some(())
    }
}

/// The sides a frame mentions.
fn sides<'t, 'm>(body: &BookBody<'t, 'm>) -> impl Iterator<Item = (Side, Json<'t, 'm>)> {
    let asks = body.asks.map(|levels| (Side::Ask, levels));
    let bids = body.bids.map(|levels| (Side::Bid, levels));
    asks.into_iter().chain(bids)
}

fn mark_last(start: usize, deltas: &mut Deltas) {
    if let Some(last) = deltas.items_mut()[start..].last_mut() {
        last.flags |= flags::LAST;
    }
}

fn push_stale(instrument: InstrumentId, now: Nanos, deltas: &mut Deltas) {
    let frame = Frame { instrument, now };
    let marks = flags::STALE | flags::EMPTY | flags::LAST;
    deltas.push(frame.delta(Side::Bid, Price::ZERO, Size::ZERO, marks));
}

fn about_none(kind: FrameKind) -> Heard {
    Heard {
        kind,
        instrument: None,
    }
}
