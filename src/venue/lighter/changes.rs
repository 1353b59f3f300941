//! What one Lighter book frame does to a book, as deltas.
//!
//! Promises: the same records in the same order from the scanner's levels and from the parser's
//! tree; removals before the rest; `CLEAR` on the first record of a whole book, `LAST` on the last
//! of any. Refuses: to judge whether the frame may be taken at all: that is the feed's matter.

use super::frame::Levels;
use super::wire::{self, BookBody, Json};
use crate::market::book::{Delta, Level, Side, flags};
use crate::market::event::FrameKind;
use crate::market::units::{Nanos, Price, Size};
use crate::market::{InstrumentId, Venue};
use crate::venue::Deltas;

/// What every delta of one frame has in common.
#[derive(Clone, Copy)]
pub struct Frame {
    /// Whose book it changes.
    pub instrument: InstrumentId,
    /// When its bytes were read.
    pub now: Nanos,
    /// When the venue made it, on our clock; zero when that can't be told.
    pub made: Nanos,
    /// Flags of its first record, beside what a whole book has there.
    pub first: u8,
}

impl Frame {
    /// A record of this frame.
    pub fn delta(self, side: Side, price: Price, size: Size, flags: u8) -> Delta {
        Delta {
            price,
            size,
            t_recv: self.now,
            t_made: self.made,
            t_push: Nanos::ZERO,
            instrument: self.instrument,
            venue: Venue::Lighter,
            side,
            flags,
        }
    }

    /// What the scanner read. `None`, with nothing pushed, when the batch has no room for it.
    #[inline]
    pub fn known(self, is_snapshot: bool, levels: &Levels, deltas: &mut Deltas) -> Option<()> {
        let start = deltas.items().len();
        let ((asks_gone, bids_gone), (asks, bids)) = (levels.removed(), levels.standing());
        let base = if is_snapshot { flags::SNAPSHOT } else { 0 };
        let gone = |side| move |price: &Price| self.delta(side, *price, Size::ZERO, base);
        let stands = |side| move |level: &Level| self.delta(side, level.price, level.size, base);
        let standing_len = asks.len() + bids.len();
        // Room for a whole book without a level too.
        if standing_len + asks_gone.len() + bids_gone.len() >= deltas.room() {
            return None;
        }
        if !is_snapshot {
            deltas.extend(asks_gone.iter().map(gone(Side::Ask)));
            deltas.extend(bids_gone.iter().map(gone(Side::Bid)));
        }
        deltas.extend(asks.iter().map(stands(Side::Ask)));
        deltas.extend(bids.iter().map(stands(Side::Bid)));
        self.finish(is_snapshot, start, deltas).ok()
    }

    /// A whole book: `CLEAR` on the first record, `SNAPSHOT` on all. The fault, when a level is
    /// ill-formed or the batch is full.
    pub fn snapshot(self, body: &BookBody, deltas: &mut Deltas) -> Result<(), FrameKind> {
        let start = deltas.items().len();
        for (side, levels) in sides(body) {
            for level in levels.items().ok_or(FrameKind::Malformed)? {
                let (price, size) = wire::level_text(level).ok_or(FrameKind::Malformed)?;
                let (price, size) = (wire::price(price)?, wire::size(size)?);
                if size > Size::ZERO {
                    push(self.delta(side, price, size, flags::SNAPSHOT), deltas)?;
                }
            }
        }
        self.finish(true, start, deltas)
    }

    /// A record without a level.
    pub fn mark(self, meaning: u8) -> Delta {
        self.delta(Side::Bid, Price::ZERO, Size::ZERO, meaning | flags::EMPTY)
    }

    /// Flags the first and the last record; a frame without a level may need one for that.
    #[inline]
    fn finish(self, is_snapshot: bool, start: usize, deltas: &mut Deltas) -> Result<(), FrameKind> {
        let whole = flags::CLEAR | flags::SNAPSHOT;
        let first = self.first | if is_snapshot { whole } else { 0 };
        if deltas.items().len() == start && first != 0 {
            push(self.mark(0), deltas)?;
        }
        if let [head, ..] = &mut deltas.items_mut()[start..] {
            head.flags |= first;
        }
        if let [.., last] = &mut deltas.items_mut()[start..] {
            last.flags |= flags::LAST;
        }
        Ok(())
    }

    /// Changes, in two passes: removals, then the rest. The fault as for a snapshot.
    ///
    /// The venue does not order the levels of a frame, and asks for removals first, so that a level
    /// that goes and comes back in one frame ends up there. Telling a removal from its text
    /// ("0.0000") is cheaper than sorting parsed levels: each level is parsed once, in the pass it
    /// belongs to, and a size that only looks like zero (".") is refused by the parser there.
    pub fn update(self, body: &BookBody, deltas: &mut Deltas) -> Result<(), FrameKind> {
        let start = deltas.items().len();
        for is_removal_pass in [true, false] {
            for (side, levels) in sides(body) {
                self.changes(side, levels, is_removal_pass, deltas)?;
            }
        }
        self.finish(false, start, deltas)
    }

    fn changes(
        self,
        side: Side,
        levels: Json,
        is_removal_pass: bool,
        deltas: &mut Deltas,
    ) -> Result<(), FrameKind> {
        for level in levels.items().ok_or(FrameKind::Malformed)? {
            let (price, size) = wire::level_text(level).ok_or(FrameKind::Malformed)?;
            if is_removal_pass == is_removal(size) {
                let (price, size) = (wire::price(price)?, wire::size(size)?);
                push(self.delta(side, price, size, 0), deltas)?;
            }
        }
        Ok(())
    }
}

/// A batch that is full makes the message one that cannot be taken whole.
fn push(delta: Delta, deltas: &mut Deltas) -> Result<(), FrameKind> {
    deltas.push(delta).then_some(()).ok_or(FrameKind::Malformed)
}

/// A side's removals are apart from its other levels: one price may be in both.
pub fn group(delta: &Delta) -> (Side, bool) {
    (delta.side, delta.size == Size::ZERO)
}

/// The sides a frame mentions.
fn sides<'t, 'm>(body: &BookBody<'t, 'm>) -> impl Iterator<Item = (Side, Json<'t, 'm>)> {
    let asks = body.asks.map(|levels| (Side::Ask, levels));
    let bids = body.bids.map(|levels| (Side::Bid, levels));
    asks.into_iter().chain(bids)
}

/// Whether a size's text removes its level. What only looks like zero (".") is refused by the
/// parser afterwards.
#[inline]
fn is_removal(size: &[u8]) -> bool {
    let is_plain_zero = size.iter().all(|byte| matches!(byte, b'0' | b'.'));
    is_plain_zero || is_odd_zero(size)
}

/// Zero with a sign or an exponent.
fn is_odd_zero(size: &[u8]) -> bool {
    let is_odd = size.iter().any(|byte| matches!(byte, b'-' | b'e' | b'E'));
    is_odd && Size::parse(size) == Ok(Size::ZERO)
}
