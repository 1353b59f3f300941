//! Lighter's books: subscriptions, snapshot and continuity, absolute level changes out.
//!
//! Promises: deltas of a market are continuous from a `CLEAR` on, or a `STALE` has said otherwise.
//! A frame is taken whole or not at all, by the byte scanner where it has the known shape and by
//! the parser else, with the same result. A fault of one market resyncs that market only; a frame
//! nobody can be named for resyncs all. Inside a frame removals go before insertions, as the venue
//! asks; a level that comes twice nevertheless is a fault.
//! Refuses: updates that do not begin where the last one ended; frames while a market is left.
//!
//! ```text
//! subscription: Wanted -> Subscribing -> Subscribed -> Leaving -> Wanted
//! market:       AwaitingSnapshot -> Live { sequence } -> Stale -> Live
//! ```

use super::changes::{Frame, group};
use super::frame::{self, Levels};
use super::pulse::Pulse;
use super::wire::{self, Decoder, Json, Kind};
use crate::market::event::FrameKind;
use crate::market::units::{Nanos, SECOND};
use crate::market::{InstrumentId, Market, Venue};
use crate::venue::repeats::Repeats;
use crate::venue::{Deltas, Feed, Heard, Lane, OutKind, Outbox, Paths};

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

impl Row {
    /// Being left: its frames say nothing, since one's successor may have been lost.
    fn is_leaving(&self) -> bool {
        matches!(
            self.subscription,
            Subscription::LeaveWanted | Subscription::Leaving { .. }
        )
    }

    /// A frame was taken, up to this engine sequence.
    fn advance(&mut self, is_snapshot: bool, sequence: u64) -> FrameKind {
        self.book = Book::Live { sequence };
        if !is_snapshot {
            return FrameKind::Update;
        }
        self.subscription = Subscription::Subscribed;
        FrameKind::Snapshot
    }
}

/// Market data of Lighter.
pub struct LighterFeed {
    decoder: Decoder,
    levels: Levels,
    rows: Rows,
    pulse: Pulse,
    paths: Paths,
}

/// The markets and the request budget: all but the parser, so that a parsed message can be borrowed
/// while they change.
struct Rows {
    rows: Box<[Row]>,
    /// Row by market id, `NO_ROW` where the venue has a market that we do not follow.
    row_of_market: Box<[u16]>,
    repeats: Repeats,
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
            levels: Levels::new(),
            rows: Rows {
                rows,
                row_of_market: row_of_market.into_boxed_slice(),
                repeats: Repeats::new(),
                window_start: Nanos::ZERO,
                requests: 0,
            },
            pulse: Pulse::new(LANE),
            paths: Paths::default(),
        }
    }

    /// How many messages the scanner read and how many the parser.
    pub fn paths(&self) -> Paths {
        self.paths
    }

    /// A message through the parser.
    fn parse(
        &mut self,
        bytes: &mut [u8],
        now: Nanos,
        deltas: &mut Deltas,
        out: &mut Outbox,
    ) -> Heard {
        let (rows, pulse) = (&mut self.rows, &mut self.pulse);
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
        heard.unwrap_or(about_none(FrameKind::Malformed))
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
        let start = deltas.items().len();
        let heard = match self.rows.scan(bytes, &mut self.levels, now, deltas) {
            Some(heard) => {
                self.paths.fast += 1;
                self.pulse.hear(now);
                heard
            }
            None => {
                self.paths.slow += 1;
                self.parse(bytes, now, deltas, out)
            }
        };
        // A book of somebody else's is counted and that is all: ours prove themselves by their
        // chain.
        if heard.kind.is_fault() && heard.kind != FrameKind::WrongMarket {
            deltas.truncate(start);
            self.rows.distrust(heard.instrument, now, deltas, out);
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

    /// One book frame of the known shape, for a market whose book takes it. `None`, with nothing
    /// changed, for everything else: the parser asks the same questions and more.
    #[inline]
    fn scan(
        &mut self,
        bytes: &[u8],
        levels: &mut Levels,
        now: Nanos,
        deltas: &mut Deltas,
    ) -> Option<Heard> {
        let head = frame::book_head(bytes)?;
        let row_idx = self.row_idx(head.market)?;
        let row = &mut self.rows[row_idx];
        let is_snapshot = head.is_snapshot;
        let begins = match row.book {
            _ if row.is_leaving() => return None,
            _ if is_snapshot => None,
            Book::Live { sequence } => Some(sequence),
            Book::AwaitingSnapshot | Book::Stale => return None,
        };
        let chain = head.read(levels)?;
        let instrument = row.instrument;
        let heard = |kind| {
            Some(Heard {
                kind,
                instrument: Some(instrument),
            })
        };
        if begins.is_some_and(|sequence| sequence != chain.begin_nonce) {
            return heard(FrameKind::Gap);
        }
        let start = deltas.items().len();
        Frame { instrument, now }.known(is_snapshot, levels, deltas)?;
        if !chain.is_in_order && self.repeats.are_in(&deltas.items()[start..], group) {
            return heard(FrameKind::DuplicateLevel);
        }
        heard(row.advance(is_snapshot, chain.nonce))
    }

    /// One book frame. The order of the questions matters: a frame for nobody is not looked into
    /// even if the rest of it is nonsense; a frame for a market being left says nothing, since its
    /// successor may have been lost; only then is the content read, and only a book in step takes
    /// an update.
    fn on_book(&mut self, kind: Kind, root: Json, now: Nanos, deltas: &mut Deltas) -> Heard {
        let Some(venue_market) = wire::channel_number(root) else {
            return about_none(FrameKind::Malformed);
        };
        let Some(row_idx) = self.row_idx(venue_market) else {
            return about_none(FrameKind::WrongMarket);
        };
        let row = &mut self.rows[row_idx];
        let instrument = row.instrument;
        let heard = |kind| Heard {
            kind,
            instrument: Some(instrument),
        };
        if row.is_leaving() {
            return heard(FrameKind::Control);
        }
        let Some(body) = wire::book_body(root) else {
            return heard(FrameKind::Malformed);
        };
        let is_snapshot = kind == Kind::Subscribed;
        if !is_snapshot {
            let Book::Live { sequence } = row.book else {
                return heard(FrameKind::Control);
            };
            match body.begin_nonce {
                None => return heard(FrameKind::Malformed),
                Some(begins) if begins != sequence => return heard(FrameKind::Gap),
                Some(_) => {}
            }
        }
        let start = deltas.items().len();
        let frame = Frame { instrument, now };
        let pushed = match is_snapshot {
            true => frame.snapshot(&body, deltas),
            false => frame.update(&body, deltas),
        };
        if let Err(fault) = pushed {
            return heard(fault);
        }
        if self.repeats.are_in(&deltas.items()[start..], group) {
            return heard(FrameKind::DuplicateLevel);
        }
        heard(row.advance(is_snapshot, body.nonce))
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

fn push_stale(instrument: InstrumentId, now: Nanos, deltas: &mut Deltas) {
    deltas.push(Frame { instrument, now }.stale());
}

fn about_none(kind: FrameKind) -> Heard {
    Heard {
        kind,
        instrument: None,
    }
}
