//! Kinds of edges: who moved, how long the edge has stood, how large it is. And the age of an edge
//! as its prices come.
//!
//! Promises: a kind is a number below [`KEYS`]; borders are constants, since what was learned under
//! others means nothing.

use crate::market::Venue;
use crate::market::units::{Bps, MS, Nanos};

/// Borders of age in ms: an edge belongs to the last one it has reached. Closer borders around the
/// lives of fleeting edges tell them apart sooner, and need more edges to learn from.
pub const AGES_MS: [u64; AGES] = [0, 50, 100, 150, 200, 260, 400, 600, 1_000, 1_600];
/// Borders of size in bps of gross edge.
pub const SIZES_BPS: [i32; SIZES] = [0, 5, 7, 10, 14, 20];
/// Kinds by age.
pub const AGES: usize = 10;
/// Kinds by size.
pub const SIZES: usize = 6;
/// All kinds.
pub const KEYS: usize = 2 * AGES * SIZES;

/// Levels at which it is noted since when an edge has stood, in halves of the smallest gross edge.
const LEVELS_HALVES: [i64; LEVELS] = [2, 3, 4, 6, 8, 12, 16, 24];
const LEVELS: usize = 8;
/// An edge that grows within this time of its beginning is one edge. Larger: a jump on top of
/// another passes for the first. Smaller: one edge counts as several.
const ONSET_NS: u64 = 50 * MS;

/// A kind of edge.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Key(u16);

impl Key {
    /// Of an edge that `moved` made, so old and so large.
    pub fn new(moved: Venue, age_idx: usize, gross: Bps) -> Key {
        let is_reached = |border: &&i32| gross >= Bps::whole(**border);
        let size = SIZES_BPS[1..].iter().take_while(is_reached).count();
        Key(((moved.idx() * AGES + age_idx.min(AGES - 1)) * SIZES + size) as u16)
    }

    /// From its number; `None` beyond the last.
    pub fn from_number(number: u16) -> Option<Key> {
        (usize::from(number) < KEYS).then_some(Key(number))
    }

    /// Its number, below [`KEYS`].
    pub fn idx(self) -> usize {
        usize::from(self.0)
    }

    /// Which border of age it has reached.
    pub fn age_idx(self) -> usize {
        self.idx() / SIZES % AGES
    }

    /// Whose price made it.
    pub fn moved(self) -> Venue {
        crate::market::VENUES[self.idx() / (AGES * SIZES)]
    }

    /// The same kind, made by the other venue.
    pub fn twin(self) -> Key {
        Key(((self.idx() + KEYS / 2) % KEYS) as u16)
    }

    /// All kinds of one age, made by the same venue.
    pub fn of_age(self, age_idx: usize) -> std::ops::Range<usize> {
        let moved = self.idx() / (AGES * SIZES);
        let first = (moved * AGES + age_idx) * SIZES;
        first..first + SIZES
    }
}

/// How long one direction's edge has stood.
///
/// An edge is as old as the time for which it has stood at two thirds of what it is now: a new jump
/// on top of an old small edge is new. A level is lost below half of it, so that noise about a
/// level does not make an edge young again.
#[derive(Clone, Copy, Debug)]
pub struct Age {
    since: [Option<Nanos>; LEVELS],
    /// The youngest origin that was probed, and the border that it had reached.
    probed: Option<(Nanos, usize)>,
    /// When the next border is due; `None` while the edge is below the minimum.
    due: Option<Nanos>,
}

/// Where an edge stands in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stand {
    /// Border of age that it has reached.
    pub age_idx: usize,
    /// It has just come to it: for the first time, or grown anew.
    pub is_border: bool,
    /// It begins here.
    pub is_new: bool,
}

impl Age {
    /// No edge stands.
    pub const NEW: Age = Age {
        since: [None; LEVELS],
        probed: None,
        due: None,
    };

    /// The edge stands at `gross`, at least the minimum.
    pub fn stand(&mut self, now: Nanos, gross: Bps, gross_min: Bps) -> Stand {
        let half = gross_min.bits() / 2;
        let mut origin = now;
        for (since, halves) in self.since.iter_mut().zip(LEVELS_HALVES) {
            let level = half * halves;
            if gross.bits() >= level {
                let since = *since.get_or_insert(now);
                // The lowest level always counts: gross is at least the minimum.
                if halves == LEVELS_HALVES[0] || gross.bits() * 2 >= level * 3 {
                    origin = since;
                }
            } else if gross.bits() * 2 < level {
                *since = None;
            }
        }
        // What still grows is not new: the onset of an edge counts from its first step.
        if let Some((youngest, _)) = self.probed
            && origin > youngest
            && origin.since(youngest) <= ONSET_NS
        {
            origin = youngest;
        }
        let age_ms = now.since(origin) / MS;
        let age_idx = AGES_MS[1..].iter().take_while(|border| age_ms >= **border);
        let age_idx = age_idx.count();
        let is_new = self.probed.is_none_or(|(youngest, _)| origin > youngest);
        let is_older = self.probed.is_some_and(|(_, idx)| age_idx > idx);
        if is_new || is_older {
            let youngest = self.probed.map_or(origin, |(youngest, _)| youngest);
            self.probed = Some((origin.max(youngest), age_idx));
        }
        let next_ms = AGES_MS.get(age_idx + 1);
        self.due = next_ms.map(|ms| origin.plus(ms * MS));
        Stand {
            age_idx,
            is_border: is_new || is_older,
            is_new,
        }
    }

    /// The edge is below the minimum: what stood higher than twice that is over.
    pub fn fall(&mut self) {
        self.due = None;
        for (since, halves) in self.since.iter_mut().zip(LEVELS_HALVES) {
            if halves >= 4 {
                *since = None;
            }
        }
    }

    /// Border of age that the edge met last had reached.
    pub fn reached(&self) -> usize {
        self.probed.map_or(0, |(_, age_idx)| age_idx)
    }

    /// A border has passed while no message came.
    #[inline]
    pub fn is_due(&self, now: Nanos) -> bool {
        self.due.is_some_and(|due| due <= now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_numbered_without_gaps() {
        let mut seen = [0; KEYS];
        for moved in crate::market::VENUES {
            for age in 0..AGES {
                for border in SIZES_BPS {
                    let key = Key::new(moved, age, Bps::whole(border));
                    seen[key.idx()] += 1;
                    assert_eq!(key.age_idx(), age);
                    assert!(key.of_age(age).contains(&key.idx()));
                    assert_eq!(key.twin(), Key::new(moved.other(), age, Bps::whole(border)));
                    assert_eq!(Key::from_number(key.idx() as u16), Some(key));
                }
            }
        }
        assert_eq!(seen, [1; KEYS]);
        assert_eq!(Key::from_number(KEYS as u16), None);
        let just_below = Bps::whole(7) - Bps::from_bits(1);
        let idx = |gross| Key::new(Venue::Extended, 0, gross).idx();
        assert_eq!((idx(just_below), idx(Bps::whole(7))), (1, 2));
        assert_eq!(idx(Bps::whole(-9)), 0);
    }

    /// Shows gross edges in bps at times in ms; gives (age in ms, border) of each.
    fn ages(shown: &[(u64, i32)]) -> Vec<(u64, bool)> {
        let mut age = Age::NEW;
        let mut found = Vec::new();
        for (ms, gross) in shown {
            if *gross < 3 {
                age.fall();
                continue;
            }
            let now = Nanos(1_000_000 * MS + ms * MS);
            let stand = age.stand(now, Bps::whole(*gross), Bps::whole(3));
            found.push((AGES_MS[stand.age_idx], stand.is_border));
        }
        found
    }

    #[test]
    fn an_edge_is_as_old_as_its_body() {
        for (shown, expected) in [
            // Each border once.
            (
                &[(0, 15), (10, 15), (49, 15), (50, 15), (120, 15), (130, 15)][..],
                &[
                    (0, true),
                    (0, false),
                    (0, false),
                    (50, true),
                    (100, true),
                    (100, false),
                ][..],
            ),
            // A jump on top of an old edge is new; what is left when it is over is old.
            (
                &[(0, 4), (500, 4), (510, 15), (560, 15), (600, 4)],
                &[(0, true), (400, true), (0, true), (50, true), (600, true)],
            ),
            // What grows is one edge, and noise about a level makes none anew.
            (
                &[
                    (0, 4),
                    (5, 9),
                    (10, 14),
                    (15, 18),
                    (60, 17),
                    (70, 11),
                    (80, 17),
                ],
                &[
                    (0, true),
                    (0, false),
                    (0, false),
                    (0, false),
                    (50, true),
                    (50, false),
                    (50, false),
                ],
            ),
            // Below the minimum everything but the small edge begins anew.
            (
                &[(0, 15), (60, 15), (70, 2), (80, 15), (140, 4)],
                &[(0, true), (50, true), (0, true), (100, true)],
            ),
        ] {
            assert_eq!(ages(shown), expected, "{shown:?}");
        }
    }

    #[test]
    fn a_border_is_due_without_a_message() {
        let mut age = Age::NEW;
        let at = |ms: u64| Nanos((5_000 + ms) * MS);
        assert!(!age.is_due(at(0)));
        age.stand(at(0), Bps::whole(8), Bps::whole(3));
        assert!(!age.is_due(at(49)) && age.is_due(at(50)));
        age.stand(at(50), Bps::whole(8), Bps::whole(3));
        assert!(!age.is_due(at(99)) && age.is_due(at(100)));
        age.stand(at(9_000), Bps::whole(8), Bps::whole(3));
        assert!(!age.is_due(at(90_000)), "no border beyond the last");
        age.stand(at(0), Bps::whole(8), Bps::whole(3));
        age.fall();
        assert!(!age.is_due(at(90_000)));
    }
}
