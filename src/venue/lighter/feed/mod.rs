//! Lighter's market data: every message to whom it is for, and what it says into one box.
//!
//! `channels` asks for what is wanted and moves it from connection to connection (with `channel`,
//! one subscription's life, and `budget`); `books` keeps the books continuous, `tops` lays the
//! fast tops over them, `references` reads the rest. A frame goes through the byte scanner where it
//! has the known shape and through the parser else, with the same result.
//! Promises: never panics, whatever the bytes; no memory after `new`. Refuses: to believe a frame
//! on a connection where its channel was not asked for.

mod books;
mod budget;
mod channel;
mod channels;
mod references;
mod tops;

use self::books::{Rows, about_none};
use self::channel::Topic;
use self::channels::{kind_of, place};
use super::frame::Levels;
use super::wire::{self, Decoder, Json, Kind};
use crate::market::event::{Event, FrameKind};
use crate::market::{InstrumentId, Market, Venue};
use crate::venue::{Call, Feed, Heard, Lane, LaneSpec, Paths};

/// "Already subscribed": the venue sends no first frame then, so leave and come back.
const CODE_ALREADY_SUBSCRIBED: u32 = 30_003;

/// Market data of Lighter.
pub struct LighterFeed {
    decoder: Decoder,
    levels: Levels,
    rows: Rows,
    paths: Paths,
}

impl LighterFeed {
    /// A feed for the Lighter markets among `markets`; others are skipped. Requests leave in this
    /// order, so whoever is to be live first comes first.
    pub fn new(markets: &[Market]) -> LighterFeed {
        LighterFeed::paced(markets, budget::MESSAGES_PER_MINUTE)
    }

    /// The same, where the venue takes another number of client messages a minute.
    pub fn paced(markets: &[Market], messages_per_minute: usize) -> LighterFeed {
        LighterFeed {
            decoder: Decoder::new(),
            levels: Levels::new(),
            rows: Rows::new(markets, messages_per_minute),
            paths: Paths::default(),
        }
    }

    /// The connections it needs.
    pub fn lanes(&self) -> Vec<LaneSpec> {
        super::feed_lanes()
    }

    /// How many messages the scanner read and how many the parser.
    pub fn paths(&self) -> Paths {
        self.paths
    }

    /// The scanner of what this lane is for.
    #[inline]
    fn scan(&mut self, lane: Lane, bytes: &[u8], call: &mut Call<'_>) -> Option<Heard> {
        const BOOKS: usize = kind_of(Topic::Book);
        const TOPS: usize = kind_of(Topic::Top);
        match place(lane).0 {
            BOOKS => self.rows.scan_book(lane, bytes, &mut self.levels, call),
            TOPS => self.rows.scan_top(lane, bytes, call),
            _ => None,
        }
    }
}

impl Feed for LighterFeed {
    fn on_link(&mut self, lane: Lane, up: bool, call: &mut Call<'_>) {
        self.rows.on_link(lane, up, call);
    }

    fn on_message(&mut self, lane: Lane, bytes: &mut [u8], call: &mut Call<'_>) -> Heard {
        let start = call.told.deltas.items().len();
        let heard = match self.scan(lane, bytes, call) {
            Some(heard) => {
                self.paths.fast += 1;
                self.rows.hear(lane, call.now);
                heard
            }
            None => {
                self.paths.slow += 1;
                let rows = &mut self.rows;
                let parsed = self
                    .decoder
                    .read(bytes, |root| rows.parse(lane, root, call));
                parsed.unwrap_or(about_none(FrameKind::Malformed))
            }
        };
        // A market that was not asked for is counted and that is all: ours prove themselves by
        // their chain.
        if heard.kind.is_fault() && heard.kind != FrameKind::WrongMarket {
            call.told.deltas.truncate(start);
            self.rows.distrust(lane, heard.instrument, call);
        }
        heard
    }

    fn on_beat(&mut self, call: &mut Call<'_>) {
        self.rows.on_beat(call);
    }

    fn resync(&mut self, instrument: InstrumentId, call: &mut Call<'_>) {
        self.rows.resync(instrument, call);
    }
}

impl Rows {
    /// A message from the parser.
    fn parse(&mut self, lane: Lane, root: Json, call: &mut Call<'_>) -> Heard {
        let (kind, name) = wire::classify(root);
        if kind == Kind::Shutdown {
            if self.channels.on_shutdown(lane, call.now, call.out) {
                let venue = Venue::Lighter;
                call.told.notes.push(Event::Shutdown { venue });
            }
            return about_none(FrameKind::Control);
        }
        if self.channels.take(lane, kind, call.now, call.out) {
            return about_none(FrameKind::Control);
        }
        match kind {
            Kind::Subscribed | Kind::Update => {
                self.hear(lane, call.now);
                self.on_channel(lane, kind, (name, root), call)
            }
            Kind::Unsubscribed => self.on_unsubscribed(lane, name, root, call),
            Kind::Error => self.on_refusal(lane, root, call),
            _ => about_none(FrameKind::Unknown),
        }
    }

    /// A channel's frame.
    fn on_channel(
        &mut self,
        lane: Lane,
        kind: Kind,
        (name, root): (&str, Json),
        call: &mut Call<'_>,
    ) -> Heard {
        let Some(topic) = Topic::named(name) else {
            return about_none(FrameKind::Unknown);
        };
        if kind_of(topic) != place(lane).0 {
            return about_none(FrameKind::WrongMarket);
        }
        match topic {
            Topic::Book => self.on_book(lane, kind, root, call),
            Topic::Top => self.on_top(lane, kind, root, call),
            Topic::Stats => self.on_stats(lane, kind, root, call),
            Topic::Trade => self.on_trade(lane, kind, root, call),
        }
    }

    /// The acknowledgement of a leave.
    #[cold]
    fn on_unsubscribed(
        &mut self,
        lane: Lane,
        name: &str,
        root: Json,
        call: &mut Call<'_>,
    ) -> Heard {
        let number = wire::channel_number(root);
        let Some((topic, row_idx)) = self.channel(name, number) else {
            return about_none(FrameKind::Unknown);
        };
        self.channels.left(topic, row_idx, lane);
        self.channels.pump(call.now, call.out);
        about_none(FrameKind::Control)
    }

    /// A refusal names no channel but in its text. "Already subscribed" is repaired at once;
    /// anything else leaves the subscription unanswered, and its deadline repairs it.
    #[cold]
    fn on_refusal(&mut self, lane: Lane, root: Json, call: &mut Call<'_>) -> Heard {
        let (code, message) = wire::refusal(root);
        let channel = message.rsplit(' ').next().unwrap_or("");
        let (name, number) = channel.split_once(':').unwrap_or((channel, ""));
        if code == Some(CODE_ALREADY_SUBSCRIBED)
            && let Some((topic, row_idx)) = self.channel(name, wire::digits(number))
        {
            let now = call.now;
            self.channels.is_there_already(topic, row_idx, lane, now);
            self.channels.pump(now, call.out);
        }
        about_none(FrameKind::Control)
    }

    /// A channel of ours by its name and its market's number.
    fn channel(&self, name: &str, number: Option<u64>) -> Option<(Topic, usize)> {
        let topic = Topic::named(name)?;
        let row_idx = match topic {
            Topic::Stats => 0,
            Topic::Book | Topic::Top | Topic::Trade => self.row_idx(number?)?,
        };
        Some((topic, row_idx))
    }
}
