//! One venue's half of an instrument: the mirror book, whether it can be believed, and the venue's
//! own reference prices.
//!
//! A book is *whole* from its last `CLEAR` to `LAST` on, *settled* after some clean messages more,
//! *late* when its last message was long on the way by the venue's clock, *stale* when it is long
//! ago. Promises: a book is looked at only after a whole message; the last
//! good touch is kept, because a hedge must be priced even on a bad day.
//! Refuses: to decide anything.

use crate::market::book::{Book, Delta, Side, flags};
use crate::market::event::Reason;
use crate::market::reference::{REFERENCE_KINDS, Reference, ReferenceKind};
use crate::market::units::{MS, Nanos, Price};

/// Clean messages after which a book that was stale may be traded on; the snapshot is the first.
/// Larger: later back after a break. Smaller: a venue that recovers by fits and starts is believed.
pub const CLEAN_MESSAGES_MIN: u8 = 3;
/// A message that took this much longer than the fastest of late shows a book that is gone. Larger:
/// a jam is traded on. Smaller: hiccups of the network refuse good edges.
const LATE_NS_MIN: u64 = 1_000 * MS;

/// Best prices of a book that was good: two-sided and not crossed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Touch {
    /// Best bid.
    pub bid: Price,
    /// Best ask.
    pub ask: Price,
}

impl Touch {
    /// The price an order of this side meets first.
    pub fn against(&self, side: Side) -> Price {
        match side {
            Side::Bid => self.ask,
            Side::Ask => self.bid,
        }
    }

    /// Half-way.
    pub fn mid(&self) -> Price {
        Price(self.bid.0 + (self.ask.0 - self.bid.0) / 2)
    }
}

/// One venue's mirror.
pub struct Mirror {
    /// The book, as the feed has it.
    pub book: Book,
    /// A `CLEAR` has come since the last `STALE`.
    is_filling: bool,
    /// And a `LAST` after it.
    is_whole: bool,
    /// The book is two-sided and not crossed right now.
    is_good: bool,
    /// Messages since it was stale, up to the number that matters.
    clean: u8,
    t_recv: Nanos,
    t_made: Nanos,
    touch: Option<Touch>,
    references_e9: [Option<i64>; REFERENCE_KINDS],
}

impl Mirror {
    /// Empty, on the market's tick.
    pub fn new(tick: Price) -> Mirror {
        Mirror {
            book: Book::new(tick),
            is_filling: false,
            is_whole: false,
            is_good: false,
            clean: 0,
            t_recv: Nanos::ZERO,
            t_made: Nanos::ZERO,
            touch: None,
            references_e9: [None; REFERENCE_KINDS],
        }
    }

    /// Takes a change. True when a whole message has been applied and the book is to be looked at.
    #[inline]
    pub fn apply(&mut self, delta: &Delta) -> bool {
        if delta.flags & flags::STALE != 0 {
            self.is_filling = false;
            self.is_whole = false;
            self.clean = 0;
        }
        if delta.flags & flags::CLEAR != 0 {
            self.is_filling = true;
            self.is_whole = false;
        }
        self.book.apply_delta(delta);
        if delta.flags & flags::LAST == 0 || !self.is_filling {
            return false;
        }
        self.is_whole = true;
        self.clean = (self.clean + 1).min(CLEAN_MESSAGES_MIN);
        // What can't be dated proves nothing.
        if delta.t_made != Nanos::ZERO {
            self.t_recv = delta.t_recv;
            self.t_made = delta.t_made;
        }
        // A crossed or one-sided book is kept and repaired by the next deltas, but not looked at.
        self.is_good = false;
        if let (Some(bid), Some(ask)) = (self.book.best(Side::Bid), self.book.best(Side::Ask)) {
            self.is_good = bid.price < ask.price;
            if self.is_good {
                let (bid, ask) = (bid.price, ask.price);
                self.touch = Some(Touch { bid, ask });
            }
        }
        true
    }

    /// The touch, when the book is whole, two-sided and not crossed.
    #[inline]
    pub fn touch(&self) -> Option<Touch> {
        self.touch.filter(|_| self.is_whole && self.is_good)
    }

    /// The last good touch, however old.
    pub fn touch_last(&self) -> Option<Touch> {
        self.touch
    }

    /// Why the book must not be traded on now, if it must not.
    #[inline]
    pub fn doubt(&self, now: Nanos, stale_after_ns: u64) -> Option<Reason> {
        if now.since(self.t_recv) >= stale_after_ns {
            return Some(Reason::StaleBook);
        }
        if self.t_recv.since(self.t_made) >= LATE_NS_MIN {
            return Some(Reason::LateBook);
        }
        (self.clean < CLEAN_MESSAGES_MIN).then_some(Reason::Settling)
    }

    /// Takes a mark, an index or a funding rate.
    pub fn note(&mut self, reference: &Reference) {
        self.references_e9[reference.kind as usize] = Some(reference.value_e9);
    }

    /// The venue's last word on this, at 10^-9.
    pub fn reference_e9(&self, kind: ReferenceKind) -> Option<i64> {
        self.references_e9[kind as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::market::units::{SECOND, Size};
    use crate::market::{InstrumentId, Venue};

    fn record(t_recv: Nanos, t_made: Nanos, flags: u8) -> Delta {
        Delta {
            price: Price::ZERO,
            size: Size::ZERO,
            t_recv,
            t_made,
            t_push: t_recv,
            instrument: InstrumentId(0),
            venue: Venue::Lighter,
            side: Side::Bid,
            flags: flags | flags::EMPTY,
        }
    }

    const CLEAR: u8 = flags::CLEAR | flags::SNAPSHOT | flags::LAST;
    const NOW: Nanos = Nanos(1_000 * SECOND);

    #[test]
    fn trading_resumes_after_clean_messages() {
        let mut mirror = Mirror::new(Price(1));
        for stale in [flags::STALE | flags::LAST; 2] {
            mirror.apply(&record(NOW, NOW, stale));
            assert!(
                !mirror.apply(&record(NOW, NOW, flags::LAST)),
                "nothing whole yet"
            );
            for (message, expected) in [
                (CLEAR, Some(Reason::Settling)),
                (flags::LAST, Some(Reason::Settling)),
                (flags::LAST, None),
            ] {
                assert!(mirror.apply(&record(NOW, NOW, message)));
                assert_eq!(mirror.doubt(NOW, SECOND), expected);
            }
        }
    }

    /// Row 9: age is judged by when the venue made the message, not by when it came.
    #[test]
    fn row_9_what_was_long_on_the_way_is_late() {
        let mut mirror = Mirror::new(Price(1));
        let hear = |mirror: &mut Mirror, t_recv: Nanos, t_made: Nanos| {
            for message in [CLEAR, flags::LAST, flags::LAST] {
                mirror.apply(&record(t_recv, t_made, message));
            }
            mirror.doubt(t_recv, 5 * SECOND)
        };
        let ago = |ms: u64| Nanos(NOW.0 - ms * MS);
        assert_eq!(hear(&mut mirror, NOW, ago(999)), None);
        assert_eq!(hear(&mut mirror, NOW, ago(1_000)), Some(Reason::LateBook));
        assert_eq!(hear(&mut mirror, NOW, NOW), None);
        // A message that can't be dated proves nothing.
        let later = NOW.plus(5 * SECOND);
        assert_eq!(
            hear(&mut mirror, later, Nanos::ZERO),
            Some(Reason::StaleBook)
        );
        let later = NOW.plus(5 * SECOND);
        assert_eq!(mirror.doubt(later, 5 * SECOND), Some(Reason::StaleBook));
    }
}
