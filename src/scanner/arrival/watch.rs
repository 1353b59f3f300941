//! One instrument's edges under observation: prices are looked at again when the orders of an edge
//! would have been matched.
//!
//! Promises: fixed memory; a look sees what was shown before its moment and nothing later. A book
//! that is lost takes the edges under observation with it. One edge more than there is room for is
//! not followed.

use crate::market::score::Score;
use crate::market::units::{Bps, MS, Nanos, Price};
use crate::market::{Instrument, VENUE_COUNT, VENUES, Venue};
use crate::scanner::arrival::key::{Age, Key};
use crate::scanner::board::Touch;
use crate::scanner::order_of_legs::{Band, LOOKS, Moves, Terms, worth};
use crate::scanner::risk::{Limits, SLOW};
use std::hint::black_box;

/// Edges of one direction that may be under observation at once: a new one each border of age,
/// over the time to the last look, and those that were refused or taken in between.
const PROBES: usize = 12;
/// How often it is noted where each venue's own price stands. The level is one to two of these old.
const LEVEL_NS: u64 = 500 * MS;

/// One instrument.
pub struct Watched {
    /// What values depend on.
    pub terms: Terms,
    /// Both touches as they stand since the last message; `None` while a book is not good.
    held: Option<[Touch; VENUE_COUNT]>,
    /// Mids by venue, of late and before that.
    levels: [[Price; VENUE_COUNT]; 2],
    t_level: Nanos,
    directions: [Direction; VENUE_COUNT],
}

/// One direction, by the venue where it buys.
#[derive(Clone, Copy)]
pub struct Direction {
    /// How long its edge has stood.
    pub age: Age,
    /// Whose price made it.
    pub moved: Venue,
    probes: [Option<Probe>; PROBES],
    /// When the next look is due; the end of time while nothing is observed.
    due: Nanos,
    band: Band,
}

/// An edge under observation.
#[derive(Clone, Copy)]
struct Probe {
    score: Score,
    start: [Touch; VENUE_COUNT],
    due: [Nanos; LOOKS],
    looks: [Option<[Touch; VENUE_COUNT]>; LOOKS],
}

impl Direction {
    const NEW: Direction = Direction {
        age: Age::NEW,
        moved: SLOW,
        probes: [None; PROBES],
        due: Nanos(u64::MAX),
        band: Band::NEW,
    };

    /// The earliest look that is still to come.
    fn next_due(&self) -> Nanos {
        let probes = self.probes.iter().flatten();
        let open = probes.flat_map(|probe| probe.due.iter().zip(&probe.looks));
        let open = open.filter(|(_, look)| look.is_none());
        open.map(|(due, _)| *due).min().unwrap_or(Nanos(u64::MAX))
    }
}

impl Watched {
    /// Nothing seen yet.
    pub fn new(instrument: &Instrument, limits: &Limits) -> Watched {
        let [extended, lighter] = &instrument.markets;
        Watched {
            terms: Terms {
                slippage: limits.slippage,
                hedge_band: limits.hedge_band,
                fees: [extended.fee_taker, lighter.fee_taker],
                ticks: [extended.tick, lighter.tick],
            },
            held: None,
            levels: [[Price::ZERO; VENUE_COUNT]; 2],
            t_level: Nanos::ZERO,
            directions: [Direction::NEW; VENUE_COUNT],
        }
    }

    /// A venue's taker fee from now on.
    pub fn set_fee(&mut self, venue: Venue, fee_taker: Bps) {
        self.terms.fees[venue.idx()] = fee_taker;
    }

    /// One direction, to be read.
    pub fn met(&self, long: Venue) -> &Direction {
        &self.directions[long.idx()]
    }

    /// One direction.
    pub fn direction(&mut self, long: Venue) -> &mut Direction {
        &mut self.directions[long.idx()]
    }

    /// These are both touches from `now` on. Looks that fell due before `now` see what was held
    /// until now; edges that have been looked at whole are told.
    #[inline]
    pub fn observe(
        &mut self,
        now: Nanos,
        touches: Option<[Touch; VENUE_COUNT]>,
        mut tell: impl FnMut(Score),
    ) {
        for long in VENUES {
            if self.directions[long.idx()].due < now {
                self.look(long, now, &mut tell);
            }
        }
        self.held = touches;
        if now.since(self.t_level) >= LEVEL_NS
            && let Some(touches) = touches
        {
            self.t_level = now;
            self.levels = [touches.map(|touch| touch.mid()), self.levels[0]];
        }
    }

    /// Asks memory for what a look begins with.
    #[inline]
    pub fn bring_near(&self) {
        black_box((self.held.is_some(), self.t_level));
        for direction in &self.directions {
            black_box((direction.due, direction.moved));
        }
    }

    /// Whose price has moved further in the edge's favour since the level of a second ago: the
    /// buying venue's down, or the other's up.
    pub fn moved(&self, long: Venue) -> Venue {
        let Some(held) = self.held else { return SLOW };
        let since = |venue: Venue| {
            let (now, then) = (held[venue.idx()].mid(), self.levels[1][venue.idx()]);
            if then.0 > 0 { (now - then).0 } else { 0 }
        };
        match -since(long) >= since(long.other()) {
            true => long,
            false => long.other(),
        }
    }

    /// Follows an edge at the touches just observed. `delays_ns` are from sending to match, by
    /// venue.
    pub fn follow(&mut self, score: Score, delays_ns: [u64; VENUE_COUNT]) {
        let Some(start) = self.held else { return };
        let direction = &mut self.directions[score.long.idx()];
        let [fast, slow] = [SLOW.other(), SLOW].map(|venue| delays_ns[venue.idx()]);
        let due = [fast, slow, fast + slow].map(|ns| score.t_seen.plus(ns));
        let probe = Probe {
            score,
            start,
            due,
            looks: [None; LOOKS],
        };
        if let Some(free) = direction.probes.iter_mut().find(|probe| probe.is_none()) {
            *free = Some(probe);
            direction.due = direction.next_due();
        }
    }

    /// Deviation of the slow venue's price over its delay; `None` while too little is known.
    pub fn deviation(&self, long: Venue) -> Option<Bps> {
        self.directions[long.idx()].band.deviation()
    }

    /// How far a slow leg that follows the fast one may go beyond the touch.
    pub fn band(&mut self, long: Venue, now: Nanos) -> Bps {
        let Some(held) = self.held else {
            return self.terms.hedge_band;
        };
        let band = &mut self.directions[long.idx()].band;
        band.width(now, &self.terms, held[SLOW.idx()].bid)
    }

    /// Looks whose time has come, and what became of an edge once it has been looked at whole.
    fn look(&mut self, long: Venue, now: Nanos, tell: &mut impl FnMut(Score)) {
        let (terms, held) = (self.terms, self.held);
        let width = self.band(long, now);
        let direction = &mut self.directions[long.idx()];
        for place in &mut direction.probes {
            let Some(probe) = place else { continue };
            let mut is_blind = false;
            for (look, due) in probe.looks.iter_mut().zip(probe.due) {
                if look.is_none() && due < now {
                    *look = held;
                    is_blind |= held.is_none();
                }
            }
            if let [Some(a), Some(b), Some(c)] = probe.looks {
                let moves = Moves::new(long, &probe.start, [a, b, c]);
                let mut score = probe.score;
                score.edges = worth(&moves, &terms, score.net, width);
                score.t = now;
                // Later looks at one edge overlap with its first: they are no edges more.
                if score.teaches && is_first_look(&score) {
                    direction.band.add(now, &moves);
                }
                *place = None;
                tell(score);
            } else if is_blind {
                *place = None;
            }
        }
        direction.due = direction.next_due();
    }
}

/// The edge had just begun, or grown anew.
fn is_first_look(score: &Score) -> bool {
    Key::from_number(score.key).is_some_and(|key| key.age_idx() == 0)
}
