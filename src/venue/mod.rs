//! The contract with an exchange: bytes in, values out. No sockets, no threads, no clocks.
//!
//! A venue folder has six rooms: `mod` (endpoints, limits, sources), `wire` (messages as the venue
//! writes them), `feed` (snapshot, continuity -> `Delta`), `orders` (`Order` -> bytes, bytes ->
//! `Report`), `sign`, `account` (start-up REST). A *lane* is one connection of a stage, numbered
//! from 0 in the order the venue lists its streams.

pub mod agent;
mod batch;
pub mod clock;
mod date;
pub mod extended;
pub mod lighter;
pub mod money;
mod outbox;
pub mod points;
mod repeats;
mod scan;
#[cfg(test)]
mod tests_bent;
pub mod watch;

pub use batch::Batch;
pub use outbox::{OutItem, OutKind, Outbox, Text};

use crate::market::book::{Book, Delta};
use crate::market::event::{Event, FrameKind};
use crate::market::foresight::Foresight;
pub use crate::market::order::Signing;
use crate::market::order::{Order, Refusal, Report, Strays};
use crate::market::reference::{REFERENCE_KINDS, Reference};
use crate::market::units::Nanos;
use crate::market::{INSTRUMENTS_MAX, InstrumentId};
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
    /// Not dialled before [`OutKind::Wake`]: it takes over from a lane whose end was announced.
    pub is_spare: bool,
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

/// What a feed is given with every call.
pub struct Call<'a> {
    /// Now, or when the message was read.
    pub now: Nanos,
    /// The full books as they stood before the call, by instrument; empty where nobody keeps them,
    /// and then what needs them is not asked.
    pub books: &'a [Book],
    /// What it says.
    pub told: &'a mut Told,
    /// What it wants sent.
    pub out: &'a mut Outbox,
}

/// What a feed says in one call. Memory is taken once; whoever called drains it.
pub struct Told {
    /// Level changes, stale marks, fast tops.
    pub deltas: Deltas,
    /// Marks, indexes, funding rates.
    pub references: Batch<Reference>,
    /// For the journal.
    pub notes: Batch<Event>,
}

impl Told {
    /// Room for `deltas` records a call, and for a reference and a few notes on every market.
    pub fn new(deltas: usize) -> Told {
        Told {
            deltas: Deltas::new(deltas),
            references: Batch::new(REFERENCE_KINDS * INSTRUMENTS_MAX),
            notes: Batch::new(4 * INSTRUMENTS_MAX),
        }
    }

    /// Forgets everything, keeps the room.
    pub fn clear(&mut self) {
        self.deltas.clear();
        self.references.clear();
        self.notes.clear();
    }
}

/// Market data of one venue, sans I/O.
pub trait Feed {
    /// The lane went up (`true`: subscribe now) or down (`false`: the markets whose books it
    /// carried are stale; push one `STALE` delta for each).
    fn on_link(&mut self, lane: Lane, up: bool, call: &mut Call<'_>);
    /// One whole message. Pushes absolute level changes, the last one flagged `LAST`. The bytes may
    /// be overwritten (the JSON parser works in place). Never panics, whatever the bytes.
    fn on_message(&mut self, lane: Lane, bytes: &mut [u8], call: &mut Call<'_>) -> Heard;
    /// Keepalives, subscribe deadlines, watchdogs.
    fn on_beat(&mut self, call: &mut Call<'_>);
    /// The full book can't be true (crossed, off its grid, used up): mark stale and ask for it
    /// anew.
    fn resync(&mut self, instrument: InstrumentId, call: &mut Call<'_>);
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
    /// What may be asked of it soon. Whoever keeps nothing ready has no use for it.
    fn foresee(&mut self, _word: &Foresight, _now: Nanos) {}
    /// Signs at most one order that may be asked for soon, for who has nothing else to do; `ahead`
    /// as in `sign`, asked only when there is one to sign. False: there was nothing to do, or no
    /// point to do it with.
    fn prepare(&mut self, _now: Nanos, _ahead: impl FnOnce() -> Option<Self::Point>) -> bool {
        false
    }
    /// Writes the request of the order signed last into the outbox.
    fn encode(&mut self, now: Nanos, out: &mut Outbox);
    /// The lane took nothing of what `encode` wrote last, so that nothing of it can have happened.
    /// Called at once after that `encode`. Whether the venue's room has undone its notes of it:
    /// then the order is told as never sent; else it stays what it would be without this word,
    /// unanswered, and its deadline acts.
    fn on_unsent(&mut self, _lane: Lane, _now: Nanos) -> bool {
        false
    }
    /// The account's tier lets so many orders a minute go from now on. Whoever has no tiers has no
    /// use for it.
    fn on_pace(&mut self, _orders_per_minute: u32) {}
    /// The answer that follows at once on this lane says in how many seconds another request is
    /// welcome (`Retry-After`).
    fn on_retry_after(&mut self, _lane: Lane, _seconds: u32) {}
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
    /// What of the account's news nothing here explains, since the start.
    fn strays(&self) -> Strays {
        Strays::default()
    }
    /// Keepalives, answer deadlines (-> Unknown), token renewal.
    fn on_beat(&mut self, now: Nanos, reports: &mut Reports, out: &mut Outbox);
}

/// Level changes of one message; capacity taken at start.
pub type Deltas = Batch<Delta>;
/// Reports of one message; capacity taken at start.
pub type Reports = Batch<Report>;
