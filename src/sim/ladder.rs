//! One side of a simulated book: what the tape says, and what of it is shown.
//!
//! Shown is the tape scaled by a factor, thinned where a planted event says so, our own fills
//! taken out. A frame changes few levels, so only those are worked out anew; a change of the view
//! (factor, depth, cap) rebuilds the side and tells the difference.
//!
//! Levels are sorted vectors, best last, so that work near the touch moves little memory. A level's
//! *key* is its tick for bids and minus its tick for asks: then for both sides the best is the
//! largest and rounding away from the touch is rounding down, so a scaled book is never crossed.

use crate::market::book::Side;
use crate::market::units::Nanos;

/// Units of one in [`View::factor_e9`].
pub const FACTOR_ONE: i64 = 1_000_000_000;
/// Units of one in [`View::depth_e3`].
pub const DEPTH_ONE: i64 = 1_000;
/// Frames that touch more levels than this are cheaper to rebuild than to patch.
const PATCH_MAX: usize = 64;

/// How the tape's levels are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct View {
    /// Prices are multiplied by this, 10^-9.
    pub factor_e9: i64,
    /// Sizes are multiplied by this, 10^-3, and floored.
    pub depth_e3: i64,
    /// Most lots shown on the side in all; `i64::MAX` where there is no cap.
    pub cap_lots: i64,
}

impl View {
    /// The tape as it is.
    pub const PLAIN: View = View {
        factor_e9: FACTOR_ONE,
        depth_e3: DEPTH_ONE,
        cap_lots: i64::MAX,
    };
}

/// A level by key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Rung {
    key: i64,
    lots: i64,
}

/// One level that is shown differently now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Move {
    /// Price in ticks.
    pub tick: i64,
    /// Lots before.
    pub before: i64,
    /// Lots now; zero: gone.
    pub after: i64,
}

/// Lots of ours missing from a level of the tape.
#[derive(Clone, Copy, Debug)]
struct Taken {
    key: i64,
    lots: i64,
    until: Nanos,
}

/// One side of one simulated book.
#[derive(Clone, Debug)]
pub struct Ladder {
    side: Side,
    view: View,
    raw: Vec<Rung>,
    shown: Vec<Rung>,
    spare: Vec<Rung>,
    taken: Vec<Taken>,
    touched: Vec<i64>,
}

impl Ladder {
    /// An empty side.
    pub fn new(side: Side) -> Ladder {
        Ladder {
            side,
            view: View::PLAIN,
            raw: Vec::new(),
            shown: Vec::new(),
            spare: Vec::new(),
            taken: Vec::new(),
            touched: Vec::new(),
        }
    }

    /// Applies a tape frame's levels (tick, absolute lots; zero removes) under `view`. With `clear`
    /// the levels are the whole side. What is shown differently goes to `moves`.
    pub fn apply(&mut self, clear: bool, levels: &[(i64, i64)], view: View, moves: &mut Vec<Move>) {
        if clear {
            self.raw.clear();
            self.taken.clear();
        }
        self.touched.clear();
        for &(tick, lots) in levels {
            let key = self.key(tick);
            match self.raw.binary_search_by_key(&key, |rung| rung.key) {
                Ok(at) if lots == 0 => drop(self.raw.remove(at)),
                Ok(at) => self.raw[at].lots = lots,
                Err(_) if lots == 0 => {}
                Err(at) => self.raw.insert(at, Rung { key, lots }),
            }
            // Absolute sizes: a frame can be applied over any state.
            // The tape has spoken about this level: what we took is in its word already.
            self.taken.retain(|taken| taken.key != key);
            self.touched.push(key);
        }
        // Patching looks each touched level up again; it knows nothing of a cap, which reaches over
        // the whole side, nor of a changed view, which touches every level.
        let patch = !clear
            && view == self.view
            && view.cap_lots == i64::MAX
            && self.touched.len() <= PATCH_MAX;
        self.view = view;
        if patch {
            for idx in 0..self.touched.len() {
                let key = self.scaled(self.touched[idx]);
                self.refresh(key, moves);
            }
        } else {
            self.rebuild(moves);
        }
    }

    /// Takes `lots` of ours out of the shown level at `tick` until the tape restates it or `until`.
    pub fn take(&mut self, tick: i64, lots: i64, until: Nanos, moves: &mut Vec<Move>) {
        let scaled = self.key(tick);
        let mut left = lots;
        // Several tape levels may be shown as one; our fill is laid on them in order.
        let from = self.raw.partition_point(|r| self.scaled(r.key) < scaled);
        for idx in from..self.raw.len() {
            let rung = self.raw[idx];
            if left == 0 || self.scaled(rung.key) != scaled {
                break;
            }
            let lots = left.min(self.visible(rung));
            if lots > 0 {
                let key = rung.key;
                self.taken.push(Taken { key, lots, until });
                left -= lots;
            }
        }
        if self.view.cap_lots == i64::MAX {
            self.refresh(scaled, moves);
        } else {
            self.rebuild(moves);
        }
    }

    /// Gives back what was taken and is due at `now`: nobody restated the level, so it is assumed
    /// refilled.
    pub fn give_back(&mut self, now: Nanos, moves: &mut Vec<Move>) {
        if self.taken.iter().all(|taken| taken.until > now) {
            return;
        }
        self.taken.retain(|taken| taken.until > now);
        self.rebuild(moves);
    }

    /// When `give_back` is next due.
    pub fn next_give_back(&self) -> Option<Nanos> {
        self.taken.iter().map(|taken| taken.until).min()
    }

    /// Shown levels as (tick, lots), best first.
    pub fn shown(&self) -> impl Iterator<Item = (i64, i64)> + '_ {
        let side = self.side;
        let rungs = self.shown.iter().rev();
        rungs.map(move |rung| (tick_of(side, rung.key), rung.lots))
    }

    /// The tape's own levels as (tick, lots), best first.
    pub fn raw(&self) -> impl Iterator<Item = (i64, i64)> + '_ {
        let side = self.side;
        let rungs = self.raw.iter().rev();
        rungs.map(move |rung| (tick_of(side, rung.key), rung.lots))
    }

    /// Which side this is.
    pub fn side(&self) -> Side {
        self.side
    }

    fn key(&self, tick: i64) -> i64 {
        tick_of(self.side, tick)
    }

    /// The key a tape key is shown at. Monotone, so levels that fall together are neighbours.
    fn scaled(&self, key: i64) -> i64 {
        if self.view.factor_e9 == FACTOR_ONE {
            return key;
        }
        let wide = i128::from(key) * i128::from(self.view.factor_e9);
        wide.div_euclid(i128::from(FACTOR_ONE)) as i64
    }

    /// Lots of one tape level that are shown.
    fn visible(&self, rung: Rung) -> i64 {
        let lots = rung.lots * self.view.depth_e3 / DEPTH_ONE;
        let ours = self.taken.iter().filter(|taken| taken.key == rung.key);
        (lots - ours.map(|taken| taken.lots).sum::<i64>()).max(0)
    }

    /// Works out one shown level anew.
    fn refresh(&mut self, scaled: i64, moves: &mut Vec<Move>) {
        let from = self.raw.partition_point(|r| self.scaled(r.key) < scaled);
        let after: i64 = self.raw[from..]
            .iter()
            .take_while(|rung| self.scaled(rung.key) == scaled)
            .map(|&rung| self.visible(rung))
            .sum();
        let found = self.shown.binary_search_by_key(&scaled, |rung| rung.key);
        let before = found.map_or(0, |at| self.shown[at].lots);
        if before == after {
            return;
        }
        match found {
            Ok(at) if after == 0 => drop(self.shown.remove(at)),
            Ok(at) => self.shown[at].lots = after,
            Err(at) => {
                let rung = Rung {
                    key: scaled,
                    lots: after,
                };
                self.shown.insert(at, rung);
            }
        }
        let tick = tick_of(self.side, scaled);
        moves.push(Move {
            tick,
            before,
            after,
        });
    }

    /// Works out the whole side anew and tells the difference.
    fn rebuild(&mut self, moves: &mut Vec<Move>) {
        let mut next = std::mem::take(&mut self.spare);
        next.clear();
        let ours: i64 = self.taken.iter().map(|taken| taken.lots).sum();
        // What we took out of a capped side stays taken: the cap shrinks by it.
        let mut room = self.view.cap_lots.saturating_sub(ours).max(0);
        for &rung in self.raw.iter().rev() {
            let lots = self.visible(rung).min(room);
            room -= lots;
            if lots == 0 {
                continue;
            }
            let key = self.scaled(rung.key);
            // Walking best first, levels that fall together follow each other.
            match next.last_mut() {
                Some(last) if last.key == key => last.lots += lots,
                _ => next.push(Rung { key, lots }),
            }
        }
        // Best last again; the old vector is kept so that playback does not allocate.
        next.reverse();
        tell_difference(self.side, &self.shown, &next, moves);
        self.spare = std::mem::replace(&mut self.shown, next);
    }
}

/// Key to tick and back: the same reflection both ways.
fn tick_of(side: Side, key: i64) -> i64 {
    match side {
        Side::Bid => key,
        Side::Ask => -key,
    }
}

/// Walks two sorted sides together and lists the levels that differ, best first.
fn tell_difference(side: Side, old: &[Rung], new: &[Rung], moves: &mut Vec<Move>) {
    let (mut old, mut new) = (old.iter().rev().peekable(), new.iter().rev().peekable());
    loop {
        let keys = (old.peek().map(|r| r.key), new.peek().map(|r| r.key));
        let key = match keys {
            (None, None) => return,
            (a, b) => a.max(b).expect("one of the two is there"),
        };
        let before = old.next_if(|rung| rung.key == key).map_or(0, |r| r.lots);
        let after = new.next_if(|rung| rung.key == key).map_or(0, |r| r.lots);
        if before != after {
            let tick = tick_of(side, key);
            moves.push(Move {
                tick,
                before,
                after,
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::random::Random;
    use std::collections::BTreeMap;

    /// The naive side: a map from the tape, scaled and summed each time it is asked.
    fn naive(
        side: Side,
        raw: &BTreeMap<i64, i64>,
        view: View,
        taken: &BTreeMap<i64, i64>,
    ) -> BTreeMap<i64, i64> {
        let mut shown = BTreeMap::new();
        for (&tick, &lots) in raw {
            let exact = tick as f64 * view.factor_e9 as f64 / 1e9;
            let scaled = match side {
                Side::Bid => exact.floor(),
                Side::Ask => exact.ceil(),
            } as i64;
            let ours = taken.get(&tick).copied().unwrap_or(0);
            let lots = (lots * view.depth_e3 / 1_000 - ours).max(0);
            if lots > 0 {
                *shown.entry(scaled).or_insert(0) += lots;
            }
        }
        shown
    }

    #[test]
    fn shown_equals_the_naive_side_and_the_moves_lead_there() {
        for side in [Side::Bid, Side::Ask] {
            let mut random = Random::new(3, "ladder");
            let mut ladder = Ladder::new(side);
            let mut raw = BTreeMap::new();
            let mut mirror: BTreeMap<i64, i64> = BTreeMap::new();
            let mut view = View::PLAIN;
            for _ in 0..3_000 {
                if random.between(0, 9) == 0 {
                    // Factors whose products are exact enough for the naive side's floats.
                    view.factor_e9 =
                        FACTOR_ONE + random.between(0, 160) as i64 * 25_000 - 2_000_000;
                    view.depth_e3 = [1_000, 500, 250][random.between(0, 2) as usize];
                }
                let levels: Vec<(i64, i64)> = (0..random.between(0, 6))
                    .map(|_| {
                        (
                            60_000 + random.between(0, 90) as i64,
                            random.between(0, 5) as i64,
                        )
                    })
                    .collect();
                for &(tick, lots) in &levels {
                    match lots {
                        0 => drop(raw.remove(&tick)),
                        _ => drop(raw.insert(tick, lots)),
                    }
                }
                let mut moves = Vec::new();
                ladder.apply(false, &levels, view, &mut moves);
                for step in moves {
                    assert_eq!(mirror.remove(&step.tick).unwrap_or(0), step.before);
                    if step.after > 0 {
                        mirror.insert(step.tick, step.after);
                    }
                }
                let shown: BTreeMap<i64, i64> = ladder.shown().collect();
                assert_eq!(shown, naive(side, &raw, view, &BTreeMap::new()));
                assert_eq!(shown, mirror);
            }
        }
    }

    fn side_of_three() -> Ladder {
        let mut ladder = Ladder::new(Side::Ask);
        ladder.apply(
            true,
            &[(100, 5), (101, 7), (102, 9)],
            View::PLAIN,
            &mut Vec::new(),
        );
        ladder
    }

    fn shown(ladder: &Ladder) -> Vec<(i64, i64)> {
        ladder.shown().collect()
    }

    #[test]
    fn what_we_took_is_missing_until_restated_or_due() {
        let mut ladder = side_of_three();
        let mut moves = Vec::new();
        ladder.take(100, 5, Nanos(50), &mut moves);
        ladder.take(101, 3, Nanos(60), &mut moves);
        assert_eq!(shown(&ladder), [(101, 4), (102, 9)]);
        assert_eq!((moves[0].before, moves[0].after), (5, 0));
        // The tape's word on a level replaces ours.
        ladder.apply(false, &[(101, 8)], View::PLAIN, &mut moves);
        assert_eq!(shown(&ladder), [(101, 8), (102, 9)]);
        assert_eq!(ladder.next_give_back(), Some(Nanos(50)));
        ladder.give_back(Nanos(49), &mut moves);
        assert_eq!(shown(&ladder).len(), 2);
        ladder.give_back(Nanos(50), &mut moves);
        assert_eq!(shown(&ladder), [(100, 5), (101, 8), (102, 9)]);
        assert_eq!(ladder.next_give_back(), None);
    }

    #[test]
    fn what_we_took_follows_its_level_when_prices_move() {
        let mut ladder = side_of_three();
        let mut moves = Vec::new();
        ladder.take(100, 2, Nanos(50), &mut moves);
        let view = View {
            factor_e9: 1_100_000_000,
            ..View::PLAIN
        };
        ladder.apply(false, &[], view, &mut moves);
        // 100, 101, 102 times 1.1, rounded away from the touch.
        assert_eq!(shown(&ladder), [(110, 3), (112, 7), (113, 9)]);
    }

    #[test]
    fn a_cap_shows_the_best_lots_only_and_counts_what_we_took() {
        let mut ladder = side_of_three();
        let view = View {
            cap_lots: 8,
            ..View::PLAIN
        };
        ladder.apply(false, &[], view, &mut Vec::new());
        assert_eq!(shown(&ladder), [(100, 5), (101, 3)]);
        ladder.take(100, 5, Nanos(50), &mut Vec::new());
        assert_eq!(shown(&ladder), [(101, 3)]);
    }
}
