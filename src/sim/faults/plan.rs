//! When which fault is due at which venue: drawn from the seed alone.
//!
//! Both venues draw the same plan and each keeps its own part, as they do with planted events, so
//! they need no word between them. Promises: equal seeds give equal plans, whatever the clients
//! do. Refuses to know who listens.

use crate::market::units::{MS, SECOND};
use crate::market::{VENUES, Venue};
use crate::sim::faults::spec::{Item, Spec};
use crate::sim::random::Random;

/// No fault that comes by chance before this: clients connect and learn first.
const FIRST_NS: u64 = 5 * SECOND;
/// The first comes within this after it.
const FIRST_SPREAD_MS: u64 = 5_000;
/// Between two of one item in the mean, where the item does not say. Shorter would meet clients
/// that still recover from a fault of their market data.
const EVERY_MS: u64 = 15_000;

/// A fault that is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// After the venues started.
    pub at_ns: u64,
    /// Where.
    pub venue: Venue,
    /// For whatever else must be chosen.
    pub draw: u64,
}

/// One item's moments, without end for an item without a time.
#[derive(Clone, Debug)]
struct Course {
    random: Random,
    item: Item,
    /// Moments drawn so far.
    drawn: u64,
    /// Which venue begins.
    begins: u64,
    next: Option<Moment>,
}

impl Course {
    fn new(seed: u64, idx: usize, item: &Item) -> Course {
        let mut random = Random::new(seed, &format!("fault {idx} {}", item.kind.name()));
        let begins = random.between(0, 1);
        let mut course = Course {
            random,
            item: item.clone(),
            drawn: 0,
            begins,
            next: None,
        };
        let spread_ms = item.every_ns.map_or(FIRST_SPREAD_MS, |every| every / MS);
        let first_ms = course.random.between(0, spread_ms.min(FIRST_SPREAD_MS));
        let first_ns = FIRST_NS + first_ms * MS;
        course.next = Some(course.draw(item.at_ns.unwrap_or(first_ns)));
        course
    }

    /// The venue of the item, else each in turn, but for what one of them does not have.
    fn draw(&mut self, at_ns: u64) -> Moment {
        let turn = VENUES[((self.begins + self.drawn) % 2) as usize];
        self.drawn += 1;
        let wanted = self.item.venue.unwrap_or(turn);
        let venue = if self.item.kind.is_of(wanted) {
            wanted
        } else {
            wanted.other()
        };
        let draw = self.random.next_u64();
        Moment { at_ns, venue, draw }
    }

    /// The next moment, when it has come.
    fn take(&mut self, t_ns: u64) -> Option<Moment> {
        let moment = self.next.filter(|moment| moment.at_ns <= t_ns)?;
        self.next = None;
        let every_ms = match (self.item.every_ns, self.item.at_ns) {
            (Some(every_ns), _) => Some(every_ns / MS),
            (None, None) => Some(EVERY_MS),
            (None, Some(_)) => None,
        };
        if let Some(every_ms) = every_ms {
            // A third more or less.
            let after_ms = self.random.between(every_ms * 2 / 3, every_ms * 4 / 3);
            self.next = Some(self.draw(moment.at_ns + after_ms * MS));
        }
        Some(moment)
    }
}

/// One venue's part of the plan. Time only goes forward.
#[derive(Clone, Debug)]
pub struct Plan {
    venue: Venue,
    courses: Vec<Course>,
    /// No moment of either venue before this.
    next_ns: u64,
}

impl Plan {
    /// The plan of `seed`, as seen from `venue`.
    pub fn new(spec: &Spec, seed: u64, venue: Venue) -> Plan {
        let items = spec.items.iter().enumerate();
        let courses = items.map(|(idx, item)| Course::new(seed, idx, item));
        let mut plan = Plan {
            venue,
            courses: courses.collect(),
            next_ns: 0,
        };
        plan.next_ns = plan.soonest();
        plan
    }

    fn soonest(&self) -> u64 {
        let next = self.courses.iter().filter_map(|course| course.next);
        next.map(|moment| moment.at_ns).min().unwrap_or(u64::MAX)
    }

    /// What became due at this venue until `t_ns`: the item's index and the moment.
    pub fn due(&mut self, t_ns: u64, mut tell: impl FnMut(usize, Moment)) {
        if t_ns < self.next_ns {
            return;
        }
        for (idx, course) in self.courses.iter_mut().enumerate() {
            while let Some(moment) = course.take(t_ns) {
                if moment.venue == self.venue {
                    tell(idx, moment);
                }
            }
        }
        self.next_ns = self.soonest();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All moments of a minute, asked for at this pace.
    fn minute(text: &str, seed: u64, venue: Venue, pace_ns: u64) -> Vec<(usize, Moment)> {
        let mut plan = Plan::new(&Spec::parse(text).unwrap(), seed, venue);
        let mut all = Vec::new();
        let mut t_ns = 0;
        while t_ns <= 60 * SECOND {
            plan.due(t_ns, |item, moment| {
                assert!(moment.at_ns <= t_ns && moment.at_ns + pace_ns >= t_ns);
                all.push((item, moment));
            });
            t_ns += pace_ns;
        }
        all
    }

    #[test]
    fn plans_follow_from_the_seed_and_not_from_the_pace() {
        let plan = |seed, pace_ns| {
            let mut all = minute("all", seed, Venue::Lighter, pace_ns);
            all.sort_by_key(|(item, moment)| (moment.at_ns, *item));
            all
        };
        assert_eq!(plan(7, 10 * MS), plan(7, 3 * SECOND));
        assert_ne!(plan(7, SECOND), plan(8, SECOND));
    }

    #[test]
    fn faults_by_chance_come_every_quarter_of_a_minute_at_each_venue_in_turn() {
        for seed in 0..20 {
            let mut both: Vec<Moment> = VENUES
                .into_iter()
                .flat_map(|venue| minute("gap", seed, venue, 10 * MS))
                .map(|(_, moment)| moment)
                .collect();
            both.sort_by_key(|moment| moment.at_ns);
            assert!((3..=6).contains(&both.len()), "{}", both.len());
            assert!(both[0].at_ns >= FIRST_NS && both[0].at_ns <= 2 * FIRST_NS);
            for pair in both.windows(2) {
                let apart_ns = pair[1].at_ns - pair[0].at_ns;
                assert!((10 * SECOND..=20 * SECOND).contains(&apart_ns));
                assert_ne!(pair[0].venue, pair[1].venue);
                assert_ne!(pair[0].draw, pair[1].draw);
            }
        }
    }

    #[test]
    fn a_fault_with_a_time_comes_once_and_where_it_was_asked_for() {
        let lighter = minute("cut:lighter@7", 3, Venue::Lighter, MS);
        assert_eq!(lighter.len(), 1);
        assert_eq!(lighter[0].1.at_ns, 7 * SECOND);
        assert!(minute("cut:lighter@7", 3, Venue::Extended, SECOND).is_empty());
        // One of the two venues, by the seed; what one of them lacks is the other's.
        for seed in 0..8 {
            let at = |text, venue| minute(text, seed, venue, SECOND).len();
            let once = at("cut@7", Venue::Lighter) + at("cut@7", Venue::Extended);
            assert_eq!(once, 1);
            assert_eq!(at("shutdown@7", Venue::Lighter), 1);
        }
    }

    #[test]
    fn a_rate_is_kept_from_the_first_moment_on() {
        for (text, first_ns) in [
            ("drop:lighter@2~0.5", 2 * SECOND..=2 * SECOND),
            ("drop:lighter~0.5", FIRST_NS..=FIRST_NS + SECOND / 2),
        ] {
            let all = minute(text, 4, Venue::Lighter, MS);
            assert!(first_ns.contains(&all[0].1.at_ns), "{text}");
            assert!((100..=130).contains(&all.len()), "{text}: {}", all.len());
            for pair in all.windows(2) {
                let apart_ms = (pair[1].1.at_ns - pair[0].1.at_ns) / MS;
                assert!((333..=666).contains(&apart_ms), "{text}: {apart_ms}");
            }
        }
    }
}
