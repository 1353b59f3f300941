//! Whole books sent by a cursor: what follows when the link was full, and large snapshots.
//!
//! Promises: a market that falls behind is stale at once; its book follows best first, a stretch a
//! turn, with the changes of others in between; changes of its own may overtake the cursor, because
//! sizes are absolute, but nobody may look before the end.

use super::FeedStage;
use crate::market::book::{Delta, Side, flags};
use crate::market::event::Event;
use crate::market::units::{Nanos, Price, Size};
use crate::market::{INSTRUMENTS_MAX, InstrumentId, Venue};
use crate::venue::Feed;

/// Levels of a whole book sent per market and turn when it fell behind.
pub(super) const RESEND_PER_TURN: usize = 256;
/// Room never used for levels, so that every instrument can be marked stale on a full link.
pub(super) const RESERVE: usize = INSTRUMENTS_MAX;
/// Room needed before a market that is behind may go on: its levels, the clean slate, the fast top,
/// and the end.
const RESEND_ROOM: usize = RESERVE + RESEND_PER_TURN + 4;
/// Room below which whole books wait for the scanner: three quarters of the link, so that those of
/// 200 markets at once (the start, the minute of a shared connection) never crowd out changes.
pub(super) fn room_wanted(capacity: usize) -> usize {
    RESEND_ROOM.max(capacity / 4 * 3)
}

/// What precedes a whole book that is sent again.
const CLEAN_SLATE: u8 = flags::CLEAR | flags::SNAPSHOT | flags::CAUGHT_UP;

/// How a market's changes travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// Each change goes onto the link as it comes.
    Straight,
    /// The link was full: stale was said, and nothing of this market has been sent since.
    Lost,
    /// A large snapshot has come, and waits for its turn of the cursor; the mirror still shows the
    /// book before it.
    Waiting,
    /// The whole book is being sent, best first; `side` and `after` say how far it is.
    Resending { side: Side, after: Option<Price> },
}

impl<F: Feed> FeedStage<F> {
    /// No room: the market is stale at once, and its whole book follows when there is room again.
    #[cold]
    pub(super) fn fall_behind(&mut self, id: InstrumentId, now: Nanos) {
        let way = &mut self.ways[id.idx()];
        if *way != Way::Lost {
            *way = Way::Lost;
            self.is_any_behind = true;
            // The reserve holds one such mark for every instrument.
            let stale = mark(self.venue, id, flags::STALE, now);
            let _ = self.parts.deltas.push(stale);
            let venue = self.venue;
            let behind = Event::Behind {
                venue,
                instrument: id,
            };
            self.tell_journal(behind);
        }
    }

    /// Goes on with the books of markets that fell behind. In most turns there are none.
    #[inline]
    pub(super) fn catch_up(&mut self, now: Nanos) -> usize {
        match self.is_any_behind {
            true => self.resend_all(now),
            false => 0,
        }
    }

    #[cold]
    fn resend_all(&mut self, now: Nanos) -> usize {
        let mut work = 0;
        for idx in 0..self.ways.len() {
            if self.ways[idx] != Way::Straight && self.parts.deltas.room() >= self.room_wanted {
                work += self.resend(idx, now);
            }
        }
        self.is_any_behind = self.ways.iter().any(|way| *way != Way::Straight);
        work
    }

    /// One stretch of a whole book: `CLEAR` first, `LAST` at its end.
    #[cold]
    fn resend(&mut self, idx: usize, now: Nanos) -> usize {
        let (venue, id) = (self.venue, InstrumentId(idx as u16));
        let top = self.books[idx].top();
        let tx = &mut self.parts.deltas;
        let (mut side, mut after) = match self.ways[idx] {
            Way::Straight => return 0,
            Way::Lost | Way::Waiting if self.is_stale[idx] => {
                // There is nothing true to send; the next whole book comes straight.
                self.ways[idx] = Way::Straight;
                return 1;
            }
            Way::Lost | Way::Waiting => {
                let _ = tx.push(mark(venue, id, CLEAN_SLATE, now));
                (Side::Bid, None)
            }
            Way::Resending { side, after } => (side, after),
        };
        let mut sent = 0;
        loop {
            let from = after;
            let rest = self.books[idx]
                .full_levels(side)
                .filter(|l| is_beyond(l.price, side, from));
            for level in rest {
                if sent == RESEND_PER_TURN {
                    break;
                }
                let row = Delta {
                    price: level.price,
                    size: level.size,
                    side,
                    flags: flags::SNAPSHOT,
                    ..mark(venue, id, 0, now)
                };
                let _ = tx.push(row);
                after = Some(level.price);
                sent += 1;
            }
            match (sent == RESEND_PER_TURN, side) {
                (true, _) => {
                    self.ways[idx] = Way::Resending { side, after };
                    return sent;
                }
                (false, Side::Bid) => (side, after) = (Side::Ask, None),
                (false, Side::Ask) => break,
            }
        }
        let blank = Delta {
            t_made: self.made[idx],
            ..mark(venue, id, flags::SNAPSHOT, now)
        };
        for record in top.into_iter().flat_map(|best| blank.tops(best)) {
            let _ = tx.push(record);
        }
        let _ = tx.push(Delta {
            flags: blank.flags | flags::LAST,
            ..blank
        });
        self.ways[idx] = Way::Straight;
        sent + 1
    }
}

/// A record without a level.
fn mark(venue: Venue, instrument: InstrumentId, meaning: u8, now: Nanos) -> Delta {
    Delta {
        price: Price::ZERO,
        size: Size::ZERO,
        t_recv: now,
        t_made: Nanos::ZERO,
        t_push: now,
        instrument,
        venue,
        side: Side::Bid,
        flags: meaning | flags::EMPTY,
    }
}

/// Whether a price lies further from the touch than the last one sent.
fn is_beyond(price: Price, side: Side, after: Option<Price>) -> bool {
    match (side, after) {
        (_, None) => true,
        (Side::Bid, Some(last)) => price < last,
        (Side::Ask, Some(last)) => price > last,
    }
}
