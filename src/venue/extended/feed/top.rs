//! The fast top (`depth=1`), and how it is merged with the full book. This is the rule:
//!
//! The freshest stamp wins. Both topics stamp their messages with the venue's clock, in
//! milliseconds. A top that is newer than the book's last message is the best of both sides until a
//! message of the book comes that is at least as new; behind it, the full book gives the depth. A
//! top that is not newer says nothing. Of two tops the later one wins. Every top is whole: what is
//! wrong with one ends what is shown and is made good by the next, without a new connection.
//!
//! Promises: two records, bid before ask, a side with nobody there told as such.
//! Refuses: tops over a book that is not in step, a top that crosses itself, more than one level on
//! a side.
//! Sources: D1 (10 ms beside the book's 100 ms, always whole), C1 (own row of numbers).

use super::taking::Taking;
use super::track::BookState;
use crate::market::book::{Level, Side, flags};
use crate::market::event::FrameKind;
use crate::market::units::Size;
use crate::venue::extended::frame::Head;
use crate::venue::extended::wire::{BookData, Depth, WireLevel, read_level};

/// Best bid and ask, as told.
type Best = [Option<Level>; 2];

impl Taking<'_> {
    /// A top of the known shape. `None` for everything that is not in order.
    #[inline]
    pub fn scan_top(&mut self, head: Head<'_>) -> Option<FrameKind> {
        if !head.is_snapshot {
            return None;
        }
        let mut best: Best = [None, None];
        head.read(Depth::Top, |side, level| put(&mut best, side, level))?;
        Some(self.finish_top(best))
    }

    /// A top from the parser.
    pub fn parsed_top(
        &mut self,
        is_snapshot: bool,
        data: &BookData<'_, '_>,
    ) -> Result<FrameKind, FrameKind> {
        let is_top = is_snapshot && data.is_of(Depth::Top);
        let sides = data.sides.filter(|_| is_top).ok_or(FrameKind::Malformed)?;
        let mut best: Best = [None, None];
        for (side, levels) in [Side::Bid, Side::Ask].into_iter().zip(sides) {
            for level in levels.elements() {
                let level = read_level(level, is_snapshot)?;
                put(&mut best, side, level).ok_or(FrameKind::Malformed)?;
            }
        }
        Ok(self.finish_top(best))
    }

    #[inline]
    fn finish_top(&mut self, best: Best) -> FrameKind {
        if let [Some(bid), Some(ask)] = best
            && bid.price >= ask.price
        {
            return FrameKind::Crossed;
        }
        let stamp_ms = self.stamps.stamp_ms;
        let is_newest =
            stamp_ms > self.track.book_ms && self.track.top_ms.is_none_or(|top| stamp_ms >= top);
        let is_in_step = self.track.state == BookState::Live;
        if !is_newest || !is_in_step || self.told.deltas.room() < best.len() {
            return FrameKind::Top;
        }
        let blank = self.blank(false);
        let [bid, mut ask] = blank.tops(best);
        ask.flags |= flags::LAST;
        self.told.deltas.extend([bid, ask].into_iter());
        self.track.top_ms = Some(stamp_ms);
        self.witness(best);
        FrameKind::Top
    }

    /// A best price that the full book does not have: the book owes a change.
    #[inline]
    fn witness(&mut self, best: Best) {
        let Some(book) = self.book else {
            return;
        };
        let price = |level: Option<Level>| level.map(|level| level.price);
        let is_same = [Side::Bid, Side::Ask]
            .iter()
            .all(|side| price(best[side.idx()]) == price(book.full_levels(*side).next()));
        if !is_same {
            self.track.watch.owe(self.stamps.now);
        }
    }
}

/// Takes one level of a side; `None` when there is one already. Size zero is nobody.
#[inline]
fn put(best: &mut Best, side: Side, level: WireLevel) -> Option<()> {
    let own = &mut best[side.idx()];
    if level.size == Size::ZERO {
        return Some(());
    }
    let is_first = own.is_none();
    *own = Some(Level {
        price: level.price,
        size: level.size,
    });
    is_first.then_some(())
}
