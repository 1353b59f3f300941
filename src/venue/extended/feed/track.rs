//! One market: where its book stands, how fresh it is, and what is still to be said of it.
//!
//! Promises: a stale mark or the end of a fast top that did not fit the batch is said at the next
//! beat. Refuses: to judge messages; it is told what they were.

use super::lanes::Scope;
use crate::market::book::{Delta, Side, flags};
use crate::market::units::{Nanos, Price, Size};
use crate::market::{InstrumentId, Market, Name, Venue};
use crate::venue::Deltas;
use crate::venue::watch::Watch;

/// Where a market's book stands.
///
/// ```text
/// Stale            -> AwaitingSnapshot   its book lane went up
/// AwaitingSnapshot -> Live               snapshot
/// Live             -> AwaitingSnapshot   shared lane: a message of this market was at fault, its
///                                        book is doubted, or the stage asked for it anew; the
///                                        minute's snapshot follows on the same connection
/// any              -> Stale              break in the lane's row, silence, no answer, lane down;
///                                        own lane: also whatever leads back to AwaitingSnapshot
///                                        on a shared one
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BookState {
    /// Connected; no snapshot yet, or none since a fault.
    AwaitingSnapshot,
    /// In step with the venue.
    Live,
    /// Not connected, or being reconnected.
    Stale,
}

/// One market.
pub(super) struct Track {
    pub instrument: InstrumentId,
    pub name: Name,
    pub state: BookState,
    pub watch: Watch,
    /// Stamp of the last message of the full book, the venue's milliseconds.
    pub book_ms: u64,
    /// Stamp of the fast top while it is ahead of the book. Zero: it is to be forgotten, and the
    /// batch had no room to say so.
    pub top_ms: Option<u64>,
    /// A stale mark is still to be handed over (the batch was full).
    pub mark_due: bool,
    /// Since when a snapshot is awaited.
    t_awaiting: Nanos,
    /// It had its lane dialled anew for want of a snapshot, and none has come since.
    pub has_asked: bool,
}

impl Track {
    /// Not connected.
    pub fn new(market: &Market) -> Track {
        Track {
            instrument: market.instrument,
            name: market.name,
            state: BookState::Stale,
            watch: Watch::default(),
            book_ms: 0,
            top_ms: None,
            mark_due: false,
            t_awaiting: Nanos::ZERO,
            has_asked: false,
        }
    }

    /// A snapshot will come on the connection there is.
    pub fn await_snapshot(&mut self, now: Nanos) {
        self.state = BookState::AwaitingSnapshot;
        self.t_awaiting = now;
    }

    /// The book is not to be believed; nothing more is known.
    #[cold]
    pub fn lose(&mut self, now: Nanos, deltas: &mut Deltas) {
        self.state = BookState::Stale;
        self.mark_due = true;
        // The mark ends the fast top too.
        self.top_ms = None;
        self.hand_over(now, deltas);
    }

    /// The fast top is not to be shown any more.
    #[cold]
    pub fn drop_top(&mut self, now: Nanos, deltas: &mut Deltas) {
        if self.top_ms.is_some() {
            self.top_ms = Some(0);
            self.hand_over(now, deltas);
        }
    }

    /// Says what is due and did not fit before.
    #[cold]
    pub fn hand_over(&mut self, now: Nanos, deltas: &mut Deltas) {
        const MARK: u8 = flags::EMPTY | flags::LAST;
        if self.mark_due {
            let mark = self.mark(flags::STALE | MARK, now);
            self.mark_due = !deltas.push(mark);
        }
        if self.top_ms == Some(0) && deltas.push(self.mark(flags::CAUGHT_UP | MARK, now)) {
            self.top_ms = None;
        }
    }

    /// A record of our own, without a level: it proves nothing about freshness.
    pub fn mark(&self, meaning: u8, now: Nanos) -> Delta {
        Delta {
            price: Price::ZERO,
            size: Size::ZERO,
            t_recv: now,
            t_made: Nanos::ZERO,
            t_push: Nanos::ZERO,
            instrument: self.instrument,
            venue: Venue::Extended,
            side: Side::Bid,
            flags: meaning,
        }
    }

    /// Whether its snapshot should have come by now.
    pub fn is_overdue(&self, scope: Scope, now: Nanos) -> bool {
        self.state == BookState::AwaitingSnapshot
            && now.since(self.t_awaiting) > scope.answer_ns_max()
    }
}
