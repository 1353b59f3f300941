//! One side of a recorded book: all of it, and the best part that the tape keeps.
//!
//! Promises: what a change tells, applied to the part told before, is the part kept now. The whole
//! side is known, so a level that comes near the touch again has its true size.

use crate::market::book::Side;
use std::collections::BTreeMap;

/// Levels kept a side: refilled to `LEVELS` below the first, cut to it above the last. Fewer make
/// a smaller file and cheaper playback; more, a truer deep book.
const LEVELS_MIN: usize = 80;
const LEVELS: usize = 100;
const LEVELS_MAX: usize = 120;

/// A whole side, and the best part of it that the tape keeps.
pub struct Kept {
    side: Side,
    /// Key (see `ladder`: the best is largest) to lots, everything known.
    all: BTreeMap<i64, i64>,
    /// Keys at least this good are kept.
    deepest: i64,
    /// How many those are.
    len: usize,
}

impl Kept {
    /// An empty side.
    pub fn new(side: Side) -> Kept {
        Kept {
            side,
            all: BTreeMap::new(),
            deepest: i64::MAX,
            len: 0,
        }
    }

    /// Turns ticks into keys and back.
    fn sign(&self) -> i64 {
        match self.side {
            Side::Bid => 1,
            Side::Ask => -1,
        }
    }

    /// Which side this is.
    pub fn side(&self) -> Side {
        self.side
    }

    /// Applies absolute (tick, lots), zero removing; returns what changes in the kept part, ticks
    /// ascending.
    pub fn change(&mut self, levels: &[(i64, i64)]) -> Vec<(i64, i64)> {
        // A map, because a level may be cut or refilled after it was changed: the last word counts.
        let mut told: BTreeMap<i64, i64> = BTreeMap::new();
        for &(tick, lots) in levels {
            let key = tick * self.sign();
            let before = match lots {
                0 => self.all.remove(&key),
                _ => self.all.insert(key, lots),
            };
            // Deeper than what is kept, or said again unchanged: nobody is told.
            if key < self.deepest || before.unwrap_or(0) == lots {
                continue;
            }
            self.len += usize::from(lots > 0);
            self.len -= usize::from(before.is_some());
            told.insert(tick, lots);
        }
        if !(LEVELS_MIN..=LEVELS_MAX).contains(&self.len) {
            self.cut_or_refill(&mut told);
        }
        told.into_iter().collect()
    }

    /// As [`Kept::change`], where the levels are the whole side.
    pub fn replace(&mut self, levels: &[(i64, i64)]) -> Vec<(i64, i64)> {
        let gone = self.all.keys().map(|key| (key * self.sign(), 0));
        let mut changes: BTreeMap<i64, i64> = gone.collect();
        changes.extend(levels.iter().copied());
        let changes: Vec<_> = changes.into_iter().collect();
        self.change(&changes)
    }

    /// The best tick; `None` while the side is empty.
    pub fn best(&self) -> Option<i64> {
        let best = self.all.last_key_value();
        best.map(|(key, _)| key * self.sign())
    }

    /// Moves the deepest kept key so that `LEVELS` are kept again.
    fn cut_or_refill(&mut self, told: &mut BTreeMap<i64, i64>) {
        let best: Vec<_> = self.all.iter().rev().take(LEVELS).collect();
        let deepest = best.last().map_or(i64::MAX, |level| *level.0);
        if deepest > self.deepest {
            for &key in self.all.range(self.deepest..deepest).map(|level| level.0) {
                told.insert(key * self.sign(), 0);
            }
        } else {
            for (&key, &lots) in self.all.range(deepest..self.deepest) {
                told.insert(key * self.sign(), lots);
            }
        }
        self.len = best.len();
        self.deepest = deepest;
    }

    /// The kept part as (tick, lots), ticks ascending.
    pub fn whole(&self) -> Vec<(i64, i64)> {
        let kept = self.all.range(self.deepest..);
        let mut levels: Vec<_> = kept
            .map(|(&key, &lots)| (key * self.sign(), lots))
            .collect();
        levels.sort_unstable();
        levels
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kept_part_follows_the_touch() {
        let mut kept = Kept::new(Side::Bid);
        let all: Vec<_> = (1_000..1_300).map(|tick| (tick, 7)).collect();
        assert_eq!(kept.change(&all).len(), LEVELS);
        assert_eq!(kept.whole()[0].0, 1_200);
        // Deeper levels change unseen; the touch is lost level by level until a refill.
        assert!(kept.change(&[(1_100, 14)]).is_empty());
        let gone: Vec<_> = (1_275..1_300).map(|tick| (tick, 0)).collect();
        let told = kept.change(&gone);
        assert_eq!(kept.whole().len(), LEVELS);
        assert_eq!(told.iter().filter(|level| level.1 > 0).count(), 25);
        // And back: the deepest are cut when there are too many.
        let back: Vec<_> = (1_275..1_300).map(|tick| (tick, 7)).collect();
        let told = kept.change(&back);
        assert_eq!(kept.whole().len(), LEVELS);
        assert_eq!(told.iter().filter(|level| level.1 == 0).count(), 25);
        assert_eq!(kept.best(), Some(1_299));
    }

    #[test]
    fn a_whole_side_tells_only_what_differs() {
        let mut kept = Kept::new(Side::Ask);
        assert_eq!(kept.replace(&[(10, 1), (11, 2)]), [(10, 1), (11, 2)]);
        assert_eq!(kept.replace(&[(11, 2), (12, 3)]), [(10, 0), (12, 3)]);
        assert_eq!(
            (kept.best(), kept.whole()),
            (Some(11), vec![(11, 2), (12, 3)])
        );
        assert_eq!(kept.replace(&[]), [(11, 0), (12, 0)]);
        assert_eq!(kept.best(), None);
    }
}
