//! The contract with an exchange: bytes in, values out. No sockets, no threads, no clocks.
//!
//! A venue folder has six rooms: `mod` (endpoints, limits, sources), `wire` (messages as the venue
//! writes them), `feed` (snapshot, continuity -> `Delta`), `orders` (`Order` -> bytes, bytes ->
//! `Report`), `sign`, `account` (start-up REST). A *lane* is one connection of a stage, numbered
//! from 0 in the order the venue lists its streams.

pub mod extended;
pub mod lighter;
pub mod points;
mod repeats;
mod scan;
#[cfg(test)]
mod tests_bent;

use crate::market::InstrumentId;
use crate::market::book::Delta;
use crate::market::event::FrameKind;
use crate::market::order::{Order, Refusal, Report};
use crate::market::units::Nanos;
use crate::venue::points::Point;

/// Index of a connection within its stage.
pub type Lane = usize;

/// What a lane speaks, for whoever dials it. Host, port and TLS come from the base URL.
#[derive(Clone)]
pub struct LaneSpec {
    /// Path and query after the base URL, e.g. `/orderbooks/BTC-USD`. For HTTP lanes: empty.
    pub path: String,
    /// Extra request headers of the upgrade (WebSocket lanes only). May hold secrets: not printed.
    pub headers: Vec<(&'static str, String)>,
    /// Which protocol.
    pub protocol: LaneProtocol,
}

/// What is spoken on a lane once it is live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LaneProtocol {
    /// WebSocket text messages.
    WebSocket,
    /// HTTP/1.1 keep-alive, one request in flight.
    Http,
}

/// A venue's whole list of markets. Nothing of it is lost: a row that can't be read is named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing<M> {
    /// The rows that could be read, in the venue's order.
    pub markets: Vec<M>,
    /// The others.
    pub unread: Vec<Unread>,
}

impl<M> Default for Listing<M> {
    fn default() -> Listing<M> {
        Listing {
            markets: Vec::new(),
            unread: Vec::new(),
        }
    }
}

/// A row of a market list that can't be read exactly.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unread {
    /// The venue's name of the market.
    pub name: String,
    /// The first field that stood in the way, as the venue spells it.
    pub field: &'static str,
}

/// Market data of one venue, sans I/O.
pub trait Feed {
    /// The lane went up (`true`: subscribe now) or down (`false`: its markets are stale; push one
    /// `STALE` delta for each).
    fn on_link(&mut self, lane: Lane, up: bool, now: Nanos, deltas: &mut Deltas, out: &mut Outbox);
    /// One whole message. Pushes absolute level changes, the last one flagged `LAST`. The bytes may
    /// be overwritten (the JSON parser works in place). Never panics, whatever the bytes.
    fn on_message(
        &mut self,
        lane: Lane,
        bytes: &mut [u8],
        now: Nanos,
        deltas: &mut Deltas,
        out: &mut Outbox,
    ) -> Heard;
    /// Keepalives, subscribe deadlines, silence watchdog.
    fn on_beat(&mut self, now: Nanos, deltas: &mut Deltas, out: &mut Outbox);
    /// The full book disagrees with itself (crossed, overflowed): mark stale and ask for it anew.
    fn resync(
        &mut self,
        instrument: InstrumentId,
        now: Nanos,
        deltas: &mut Deltas,
        out: &mut Outbox,
    );
}

/// What a feed made of one message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heard {
    /// Kind, for the counters.
    pub kind: FrameKind,
    /// The instrument, when the message was about one.
    pub instrument: Option<InstrumentId>,
}

/// Which way the messages of a feed were read, ever.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Paths {
    /// Book frames of the exact shape the venue writes, read by the byte scanner.
    pub fast: u64,
    /// Everything else, through the JSON parser. Should a venue change its spelling, this one grows
    /// and nothing breaks.
    pub slow: u64,
}

/// Orders and the account stream of one venue, sans I/O. Driven by one gateway; single owner of
/// keys, nonces and the open-order table.
pub trait Orders {
    /// What its signatures may be prepared with.
    type Point: Point;

    /// A lane went up (subscribe, authenticate) or down (its unanswered orders become Unknown).
    fn on_link(
        &mut self,
        lane: Lane,
        up: bool,
        now: Nanos,
        reports: &mut Reports,
        out: &mut Outbox,
    );
    /// Hash and sign (for `Query` and unsigned cancels: prepare). On success the order is held for
    /// the `encode` that must follow at once. `ahead` gives the next prepared point, if there is
    /// one; it is asked once, after everything that can refuse, and without it the signature is
    /// made in full.
    fn sign(
        &mut self,
        order: &Order,
        now: Nanos,
        ahead: impl FnOnce() -> Option<Self::Point>,
    ) -> Result<Signing, Refusal>;
    /// Writes the request of the order signed last into the outbox.
    fn encode(&mut self, now: Nanos, out: &mut Outbox);
    /// One whole message. `status` is the HTTP status on HTTP lanes and 0 on WebSocket lanes.
    /// Never panics, whatever the bytes.
    // Wide: everything that comes with a message, at the one place where it comes in.
    fn on_message(
        &mut self,
        lane: Lane,
        status: u16,
        bytes: &mut [u8],
        now: Nanos,
        reports: &mut Reports,
        out: &mut Outbox,
    ) -> FrameKind;
    /// Keepalives, answer deadlines (-> Unknown), token renewal.
    fn on_beat(&mut self, now: Nanos, reports: &mut Reports, out: &mut Outbox);
}

/// How an order came by its signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signing {
    /// It needs none (queries, unsigned cancels).
    Unsigned,
    /// With a nonce point prepared ahead.
    Ahead,
    /// In full, on the spot.
    Full,
}

/// Level changes of one message; capacity taken at start.
pub type Deltas = Batch<Delta>;
/// Reports of one message; capacity taken at start.
pub type Reports = Batch<Report>;

/// A list of fixed capacity that a callee fills and its owner drains. Never grows.
pub struct Batch<T> {
    items: Vec<T>,
    overflow_count: u64,
}

impl<T> Batch<T> {
    /// Room for `capacity` items.
    pub fn new(capacity: usize) -> Batch<T> {
        Batch {
            items: Vec::with_capacity(capacity),
            overflow_count: 0,
        }
    }

    /// Adds an item; when full it is dropped, counted, and `false` comes back.
    #[inline]
    pub fn push(&mut self, item: T) -> bool {
        if self.items.len() == self.items.capacity() {
            self.overflow_count += 1;
            return false;
        }
        self.items.push(item);
        true
    }

    /// Items that can still be pushed.
    #[inline]
    pub fn room(&self) -> usize {
        self.items.capacity() - self.items.len()
    }

    /// Adds all of these or, when they do not fit, none; then they are counted and `false` comes
    /// back.
    #[inline]
    pub fn extend(&mut self, items: impl ExactSizeIterator<Item = T>) -> bool {
        let fits = items.len() <= self.room();
        if fits {
            self.items.extend(items);
        } else {
            self.overflow_count += items.len() as u64;
        }
        fits
    }

    /// What was pushed since the last `clear`.
    pub fn items(&self) -> &[T] {
        &self.items
    }

    /// The same, to be changed in place (flags of the last item).
    pub fn items_mut(&mut self) -> &mut [T] {
        &mut self.items
    }

    /// Forgets the items, keeps the room.
    pub fn clear(&mut self) {
        self.items.clear();
    }

    /// Forgets the items after the first `len`: a message that turned out bad half way.
    pub fn truncate(&mut self, len: usize) {
        self.items.truncate(len);
    }

    /// Items dropped because the batch was full, ever.
    pub fn overflow_count(&self) -> u64 {
        self.overflow_count
    }
}

/// What a venue wants sent: messages in one fixed buffer, each bound for a lane.
pub struct Outbox {
    bytes: Vec<u8>,
    items: Vec<OutItem>,
}

/// One entry of an [`Outbox`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutItem {
    /// Which connection.
    pub lane: Lane,
    /// What to do there.
    pub kind: OutKind,
    start: usize,
    end: usize,
}

/// What an outbox entry asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutKind {
    /// Send as one WebSocket text message.
    Text,
    /// Send as raw HTTP request bytes (head and body).
    Http,
    /// Drop the connection and dial again. No bytes.
    Reconnect,
}

impl Outbox {
    /// A buffer of `bytes` in all, at most `messages` entries before it is drained.
    pub fn new(bytes: usize, messages: usize) -> Outbox {
        Outbox {
            bytes: Vec::with_capacity(bytes),
            items: Vec::with_capacity(messages),
        }
    }

    /// Adds a message; `write` appends its bytes. Returns false, with nothing added, when it does
    /// not fit.
    pub fn message(
        &mut self,
        lane: Lane,
        kind: OutKind,
        write: impl FnOnce(&mut Text<'_>),
    ) -> bool {
        if self.items.len() == self.items.capacity() {
            return false;
        }
        let start = self.bytes.len();
        let mut text = Text {
            bytes: &mut self.bytes,
            overflow: false,
        };
        write(&mut text);
        if text.overflow {
            self.bytes.truncate(start);
            return false;
        }
        let end = self.bytes.len();
        self.items.push(OutItem {
            lane,
            kind,
            start,
            end,
        });
        true
    }

    /// Asks for a lane to be dropped and dialled again.
    pub fn reconnect(&mut self, lane: Lane) -> bool {
        self.message(lane, OutKind::Reconnect, |_| {})
    }

    /// Entries in order.
    pub fn items(&self) -> &[OutItem] {
        &self.items
    }

    /// The bytes of an entry.
    pub fn payload(&self, item: &OutItem) -> &[u8] {
        &self.bytes[item.start..item.end]
    }

    /// Forgets everything, keeps the room.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.items.clear();
    }

    /// Hands every entry with its bytes to whoever owns the lanes, in order, and forgets them.
    #[inline]
    pub fn deliver(&mut self, mut send: impl FnMut(&OutItem, &[u8])) {
        for item in &self.items {
            send(item, &self.bytes[item.start..item.end]);
        }
        self.clear();
    }
}

/// Appends text into the outbox without growing it.
pub struct Text<'a> {
    bytes: &'a mut Vec<u8>,
    overflow: bool,
}

impl Text<'_> {
    /// Appends bytes; past the buffer's end the message is marked as not fitting.
    #[inline]
    pub fn put(&mut self, bytes: &[u8]) -> &mut Self {
        if self.bytes.len() + bytes.len() > self.bytes.capacity() {
            self.overflow = true;
        } else {
            self.bytes.extend_from_slice(bytes);
        }
        self
    }

    /// Appends an unsigned integer in decimal.
    pub fn put_integer(&mut self, value: u64) -> &mut Self {
        let mut text = [0; 20];
        let len = crate::market::units::write_integer(value, &mut text);
        self.put(&text[..len])
    }

    /// Appends an integer at 10^-9 as shortest decimal text.
    pub fn put_decimal(&mut self, value: i64) -> &mut Self {
        let mut text = [0; crate::market::units::DECIMAL_TEXT_MAX];
        let len = crate::market::units::write_decimal(value, &mut text);
        self.put(&text[..len])
    }
}
