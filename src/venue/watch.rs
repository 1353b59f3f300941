//! When must a market's book be doubted although the connection lives?
//!
//! Two watchdogs. *Silent*: the book's channel has said nothing for a dozen times its usual gap; a
//! thin market has long gaps and is given the time, and each doubt that turns out groundless
//! doubles the patience. *Frozen*: somebody else (a trade, the fast top) told of a change, and the
//! book did not follow within a second, though every trade changes a book.
//!
//! Promises: time is an argument; a doubt is told once and then armed anew. Refuses: to judge a
//! book that is not in step; whoever asks knows whether it is.

use crate::market::event::Doubt;
use crate::market::units::{MS, Nanos, SECOND};

/// Usual gaps after which a channel is silent: with gaps at random, one in 160,000 is longer.
const GAPS_MAX: u64 = 12;
/// A channel is never silent before this. Larger: a frozen book is believed for longer. Smaller: a
/// lull at night resubscribes every market.
const SILENT_NS_MIN: u64 = 5 * SECOND;
/// And always after this, times the patience. Extended tells every book once a minute even when
/// nothing trades, and that must be in time.
const SILENT_NS_MAX: u64 = 75 * SECOND;
/// Doublings of the patience: a market where nothing happens is asked anew every 20 minutes.
const PATIENCE_MAX: u32 = 4;
/// How long after a witness the book may take to follow. Books come every 50 ms (Lighter) or 100 ms
/// (Extended); a second covers a jam.
const FOLLOW_NS_MAX: u64 = 1_000 * MS;
/// Weight of a new gap in the usual one: one in eight.
const GAP_SHIFT: u32 = 3;

/// The watch over one market's book.
#[derive(Clone, Copy, Debug)]
pub struct Watch {
    heard: Nanos,
    /// The usual gap between two words of the book, a running mean.
    gap_ns: u64,
    patience: u32,
    /// Since when the book owes a change that a witness told.
    owed: Option<Nanos>,
}

impl Default for Watch {
    fn default() -> Watch {
        Watch {
            heard: Nanos::ZERO,
            gap_ns: SILENT_NS_MAX / GAPS_MAX,
            patience: 0,
            owed: None,
        }
    }
}

impl Watch {
    /// A snapshot has come: from now on it is watched.
    pub fn start(&mut self, now: Nanos) {
        self.heard = now;
        self.owed = None;
    }

    /// A change of the book, or word that nothing changed.
    #[inline]
    pub fn hear(&mut self, now: Nanos) {
        let gap = now.since(self.heard).min(SILENT_NS_MAX);
        self.gap_ns = self.gap_ns - (self.gap_ns >> GAP_SHIFT) + (gap >> GAP_SHIFT);
        self.heard = now;
        self.owed = None;
        self.patience = 0;
    }

    /// A trade, or a fast top that is not the book's: the book must follow.
    #[inline]
    pub fn owe(&mut self, now: Nanos) {
        self.owed.get_or_insert(now);
    }

    /// A fast top newer than the book is the book's own: whatever changed has changed back.
    #[inline]
    pub fn settle(&mut self) {
        self.owed = None;
    }

    /// Why the book must be doubted now, if it must. Asked at every beat.
    pub fn doubt(&mut self, now: Nanos) -> Option<Doubt> {
        if self
            .owed
            .is_some_and(|since| now.since(since) >= FOLLOW_NS_MAX)
        {
            self.start(now);
            return Some(Doubt::Frozen);
        }
        let silent_ns = (self.gap_ns * GAPS_MAX).clamp(SILENT_NS_MIN, SILENT_NS_MAX);
        if now.since(self.heard) >= silent_ns << self.patience {
            self.patience = (self.patience + 1).min(PATIENCE_MAX);
            self.start(now);
            return Some(Doubt::Silent);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A watch over a book that speaks every `gap_ms` up to the hundredth word; and that moment.
    fn used_to(gap_ms: u64) -> (Watch, Nanos) {
        let mut watch = Watch::default();
        let mut now = Nanos(1_000 * SECOND);
        watch.start(now);
        for _ in 0..100 {
            now = now.plus(gap_ms * MS);
            assert_eq!(watch.doubt(now), None, "{gap_ms}");
            watch.hear(now);
        }
        (watch, now)
    }

    fn silent_after(watch: &mut Watch, now: Nanos) -> u64 {
        let doubted = |s: &u64| watch.doubt(now.plus(s * SECOND)) == Some(Doubt::Silent);
        (1..10_000).find(doubted).expect("silence is seen at last")
    }

    /// Row 8: pings are fine and data has stopped; a thin market is not called stale for it.
    #[test]
    fn row_8_silence_is_measured_by_the_market_itself() {
        for (gap_ms, seconds) in [(50, 5), (400, 5), (1_000, 12), (3_000, 36), (20_000, 75)] {
            let (mut watch, now) = used_to(gap_ms);
            let found = silent_after(&mut watch, now);
            assert!(found.abs_diff(seconds) <= 1, "{gap_ms} ms: {found} s");
        }
    }

    #[test]
    fn groundless_doubts_teach_patience_and_a_word_ends_it() {
        let (mut watch, mut now) = used_to(20_000);
        for seconds in [75, 150, 300, 600, 1_200, 1_200] {
            assert_eq!(silent_after(&mut watch, now), seconds);
            now = now.plus(seconds * SECOND);
        }
        watch.hear(now);
        assert_eq!(silent_after(&mut watch, now), 75);
    }

    /// Row 8, the other half: a book that does not follow its own trades.
    #[test]
    fn row_8_a_book_that_ignores_its_trades_is_frozen() {
        let (mut watch, now) = used_to(50);
        watch.owe(now);
        watch.owe(now.plus(900 * MS));
        assert_eq!(watch.doubt(now.plus(999 * MS)), None);
        assert_eq!(watch.doubt(now.plus(1_000 * MS)), Some(Doubt::Frozen));
        assert_eq!(watch.doubt(now.plus(1_001 * MS)), None, "told once");
        // Nor is one that was right before it had to follow.
        let (mut watch, now) = used_to(50);
        watch.owe(now);
        watch.settle();
        assert_eq!(watch.doubt(now.plus(2_000 * MS)), None);
        // One that follows is not.
        let (mut watch, now) = used_to(50);
        watch.owe(now);
        watch.hear(now.plus(100 * MS));
        assert_eq!(watch.doubt(now.plus(2_000 * MS)), None);
    }
}
