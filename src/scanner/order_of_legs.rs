//! Which leg goes first: learned on each market and direction, from the engine's own books.
//!
//! At every edge above the minimum, taken or not, both executable prices are remembered and looked
//! at again when orders sent at that moment would have been matched. From these looks follows what
//! each order of the legs would have made of that edge, misses and unwinds included; the order with
//! the best mean is the one that is sent.
//!
//! Promises: fixed memory, no allocation, integers only; answers depend on what was observed and on
//! `now` alone. Fewer than [`SAMPLES_MIN`] edges in (decayed) memory is *cold*: slow leg first.
//! Refuses: to know why a price moved; our own orders move books too, by what the haircut leaves.

use crate::market::units::{Bps, Nanos, Price, SECOND};
use crate::market::{Instrument, VENUE_COUNT, VENUES, Venue};
use crate::scanner::board::Touch;
use crate::scanner::risk::{Limits, SLOW};
use crate::scanner::spread::{half_spread, ratio};

// The idea. An edge is two prices that disagree, and one of them is about to give in. If the fast
// venue's price is the one that moves, it must be taken first, and the slow leg follows at leisure.
// If the slow venue's moves, its leg must be on its way at once, since it is matched a delay later.
// Rather than name who corrects toward whom and reason from there, each order of legs is played
// through on the prices that came: what was paid on each venue at its own moment of match, whether
// the limit still held, and, where the second leg ran away beyond its band, what taking the first
// one back cost. The mean of that *is* the value including unwinds, and conditions such as "given
// that the slow leg filled" need no model: they happened or they did not.
//
// Three looks tell all of it, d and D being the fast and the slow venue's time to a match:
//   A at d      the fast leg is matched, if it went first or at once
//   B at D      the slow leg is matched, if it went first or at once
//   C at d + D  the leg that followed is matched
//
// Memory decays by half in half an hour, on a fixed grid of time, so that it makes no difference in
// how many steps time passed. Left out: sizes beyond the touch (the walk's last piece pays by then
// or is not sent), and weighing each edge by its size.

/// Edges (decayed) that must be in memory. Larger: slow first for longer. Smaller: chance decides.
pub const SAMPLES_MIN: u32 = 8;
/// Another order than slow first must be worth this much more. Larger: rarely another. Smaller:
/// noise flips it.
const MARGIN: Bps = Bps::from_bits(1 << 14);
/// Memory halves in this time. Larger: slower to notice a change. Smaller: cold more often.
const HALF_LIFE_NS: u64 = 1_800 * SECOND;
/// Steps of the grid in a half-life, and 2^(-1/16) in units of 2^-16.
const GRID_STEPS: u64 = 16;
const GRID_FACTOR: i128 = 62_757;
/// Edges of one direction that may be under observation at once; one more is not learned from.
const PROBES: usize = 4;
/// Looks at prices after an edge: A, B and C above.
const LOOKS: usize = 3;
const A: usize = 0;
const B: usize = 1;
const C: usize = 2;
/// One sample, in units of the weight.
const ONE: i128 = 1 << 16;
/// A value or a move beyond this is a broken book; it counts as this much.
const BEYOND: i64 = 1_000 << 16;
/// The band of a hedge in deviations of the price over the delay.
const DEVIATIONS: i128 = 3;

/// The venue that matches at once.
const FAST: Venue = SLOW.other();

/// What the values depend on beside prices.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    /// From sending to match, by venue.
    pub delay_ns: [u64; VENUE_COUNT],
    /// What a first order may pay beyond the price seen.
    pub slippage: Bps,
    /// What a following order may pay beyond the price of its moment.
    pub hedge_band: Bps,
    /// Taker fees, by venue.
    pub fees: [Bps; VENUE_COUNT],
    /// Price steps, by venue.
    pub ticks: [Price; VENUE_COUNT],
}

/// What each order of legs is worth, bps of notional an edge, misses counted as nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Values {
    /// The slow leg first, the fast one on its fill.
    pub slow_first: Bps,
    /// The fast leg first, the slow one on its fill.
    pub fast_first: Bps,
    /// Both at the same moment.
    pub both: Bps,
}

/// What prices did after an edge, in bps of the price at the edge; positive is against us.
#[derive(Clone, Copy, Debug)]
pub struct Moves {
    /// By venue, then by look: at d, at D, at d + D.
    pub against: [[Bps; LOOKS]; VENUE_COUNT],
    /// Whole spread at the last look, by venue.
    pub spread: [Bps; VENUE_COUNT],
}

/// The learner of one instrument.
pub struct OrderOfLegs {
    terms: Terms,
    /// Both touches as they stand since the last message; `None` while a book is not good.
    held: Option<[Touch; VENUE_COUNT]>,
    /// By the venue where the direction buys.
    directions: [Direction; VENUE_COUNT],
}

/// One direction: the edges under observation, and what was learned.
#[derive(Clone, Copy, Default)]
struct Direction {
    probes: [Option<Probe>; PROBES],
    memory: Memory,
}

/// An edge under observation.
#[derive(Clone, Copy)]
struct Probe {
    t: Nanos,
    net: Bps,
    start: [Touch; VENUE_COUNT],
    looks: [Option<[Touch; VENUE_COUNT]>; LOOKS],
}

/// Decayed sums over edges.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Memory {
    t: Nanos,
    weight: i128,
    /// Slow first, fast first, both; in 2^-16 bps, times the weight of a sample.
    values: [i128; 3],
    /// Square of the slow price's move while a following slow leg is under way.
    square: i128,
}

impl OrderOfLegs {
    /// Knows nothing yet.
    pub fn new(instrument: &Instrument, limits: &Limits) -> OrderOfLegs {
        let [extended, lighter] = &instrument.markets;
        OrderOfLegs {
            terms: Terms {
                delay_ns: limits.match_delay_ns,
                slippage: limits.slippage,
                hedge_band: limits.hedge_band,
                fees: [extended.fee_taker, lighter.fee_taker],
                ticks: [extended.tick, lighter.tick],
            },
            held: None,
            directions: [Direction::default(); VENUE_COUNT],
        }
    }

    /// These are both touches from `now` on, `None` while they can't be believed. Looks that fell
    /// due before `now` see what was held until now.
    #[inline]
    pub fn observe(&mut self, now: Nanos, touches: Option<[Touch; VENUE_COUNT]>) {
        for long in VENUES {
            if self.directions[long.idx()].is_observing() {
                self.look(long, now);
            }
        }
        self.held = touches;
    }

    /// An edge stands at the touches just observed: buying on `long` makes `net` when both legs
    /// fill at them, all fees and closing half spreads paid.
    pub fn trigger(&mut self, long: Venue, net: Bps, now: Nanos) {
        let Some(start) = self.held else { return };
        let probes = &mut self.directions[long.idx()].probes;
        if let Some(free) = probes.iter_mut().find(|probe| probe.is_none()) {
            *free = Some(Probe {
                t: now,
                net,
                start,
                looks: [None; LOOKS],
            });
        }
    }

    /// The leg to send first, `None` for both at once: the order that has been worth most, and slow
    /// first while that is unknown or nearly the same.
    pub fn lead(&self, long: Venue, now: Nanos) -> Option<Venue> {
        self.values(long, now)
            .map_or(Some(SLOW), |values| values.lead())
    }

    /// What each order of legs has been worth; `None` while cold.
    pub fn values(&self, long: Venue, now: Nanos) -> Option<Values> {
        let memory = self.directions[long.idx()].memory.aged(now);
        memory.is_warm().then(|| {
            let [slow_first, fast_first, both] = memory.values.map(|sum| memory.mean(sum));
            Values {
                slow_first,
                fast_first,
                both,
            }
        })
    }

    /// How far a slow leg that follows the fast one may go beyond the touch: three deviations of
    /// its price over the delay, at least one tick, at most the limit; the limit while cold.
    pub fn band(&self, long: Venue, now: Nanos) -> Bps {
        let most = self.terms.hedge_band;
        let memory = self.directions[long.idx()].memory.aged(now);
        let Some(held) = self.held.filter(|_| memory.is_warm()) else {
            return most;
        };
        let square = (memory.square / memory.weight).max(0);
        let deviations = Bps::from_bits((DEVIATIONS * square.isqrt()) as i64);
        let tick = i128::from(self.terms.ticks[SLOW.idx()].0);
        // Rounded up, so that it comes back as a whole tick.
        let tick = ratio(tick, i128::from(held[SLOW.idx()].bid.0)) + Bps::from_bits(1);
        deviations.max(tick).min(most)
    }

    /// Looks whose time has come, and what an edge has taught once it has been looked at whole.
    fn look(&mut self, long: Venue, now: Nanos) {
        let [fast, slow] = [FAST, SLOW].map(|venue| self.terms.delay_ns[venue.idx()]);
        let band = self.band(long, now);
        let direction = &mut self.directions[long.idx()];
        for place in &mut direction.probes {
            let Some(probe) = place else { continue };
            let mut is_blind = false;
            for (look, due_ns) in probe.looks.iter_mut().zip([fast, slow, fast + slow]) {
                if look.is_none() && probe.t.plus(due_ns) < now {
                    *look = self.held;
                    is_blind |= self.held.is_none();
                }
            }
            if let Some(moves) = probe.moves(long) {
                let values = worth(&moves, &self.terms, probe.net, band);
                direction.memory.add(now, values, &moves);
                *place = None;
            } else if is_blind {
                *place = None;
            }
        }
    }
}

impl Values {
    /// The leg to send first by these values.
    fn lead(self) -> Option<Venue> {
        let mut best = (Some(SLOW), self.slow_first + MARGIN);
        if self.fast_first > best.1 {
            best = (Some(FAST), self.fast_first + MARGIN);
        }
        if self.both > best.1 {
            best.0 = None;
        }
        best.0
    }
}

impl Direction {
    fn is_observing(&self) -> bool {
        self.probes.iter().any(Option::is_some)
    }
}

impl Probe {
    /// What prices did, once every look is there.
    fn moves(&self, long: Venue) -> Option<Moves> {
        let [Some(a), Some(b), Some(c)] = self.looks else {
            return None;
        };
        let against = |venue: Venue, look: [Touch; VENUE_COUNT]| {
            let (start, then) = (self.start[venue.idx()], look[venue.idx()]);
            let (from, worse) = match venue == long {
                true => (start.ask, then.ask - start.ask),
                false => (start.bid, start.bid - then.bid),
            };
            bounded(ratio(worse.0.into(), from.0.into()))
        };
        let spread = |venue: Venue| {
            let half = half_spread(c[venue.idx()].bid, c[venue.idx()].ask);
            bounded(half + half)
        };
        Some(Moves {
            against: VENUES.map(|venue| [a, b, c].map(|look| against(venue, look))),
            spread: VENUES.map(spread),
        })
    }
}

impl Memory {
    /// The same memory at a later time. Whole half-lives are divided out at once, so that the rest
    /// takes at most fifteen steps.
    fn aged(mut self, now: Nanos) -> Memory {
        let grid = |t: Nanos| t.0 / (HALF_LIFE_NS / GRID_STEPS);
        let steps = grid(now).saturating_sub(grid(self.t));
        let halves = (steps / GRID_STEPS).min(100) as u32;
        self.t = self.t.max(now);
        self.scale(1, 1 << halves);
        for _ in 0..steps % GRID_STEPS {
            self.scale(GRID_FACTOR, ONE);
        }
        self
    }

    fn scale(&mut self, by: i128, over: i128) {
        let scaled = |sum: i128| sum * by / over;
        self.weight = scaled(self.weight);
        self.values = self.values.map(scaled);
        self.square = scaled(self.square);
    }

    /// One edge more.
    fn add(&mut self, now: Nanos, values: [Bps; 3], moves: &Moves) {
        *self = self.aged(now);
        self.weight += ONE;
        for (sum, value) in self.values.iter_mut().zip(values) {
            *sum += i128::from(bounded(value).bits()) * ONE;
        }
        let slow = &moves.against[SLOW.idx()];
        let under_way = i128::from((slow[C] - slow[A]).bits());
        self.square += under_way * under_way * ONE;
    }

    fn is_warm(&self) -> bool {
        self.weight >= i128::from(SAMPLES_MIN) * ONE
    }

    /// Mean of a sum, rounded towards zero. Only of a memory that is not empty.
    fn mean(&self, sum: i128) -> Bps {
        Bps::from_bits((sum / self.weight) as i64)
    }
}

/// What one edge would have made by each order of legs: slow first, fast first, both at once.
///
/// `net` is what it makes when both legs fill at the prices seen; each leg's move against us until
/// its own match comes off it. A first leg beyond its slippage misses and makes nothing. A second
/// leg beyond its band leaves the first one to be taken back, at the last look: its own move since,
/// the whole spread, two fees.
pub fn worth(moves: &Moves, terms: &Terms, net: Bps, band: Bps) -> [Bps; 3] {
    let (slow, fast) = (&moves.against[SLOW.idx()], &moves.against[FAST.idx()]);
    let fills = |first: Bps| first <= terms.slippage;
    let unwound = |venue: Venue, paid: Bps| {
        let fee = terms.fees[venue.idx()];
        moves.against[venue.idx()][C] - paid - moves.spread[venue.idx()] - fee - fee
    };
    let slow_filled = match fast[C] - fast[B] <= terms.hedge_band {
        true => net - slow[B] - fast[C],
        false => unwound(SLOW, slow[B]),
    };
    let fast_filled = match slow[C] - slow[A] <= band {
        true => net - fast[A] - slow[C],
        false => unwound(FAST, fast[A]),
    };
    let both = match (fills(slow[B]), fills(fast[A])) {
        (true, true) => net - slow[B] - fast[A],
        (true, false) => slow_filled,
        (false, true) => unwound(FAST, fast[A]),
        (false, false) => Bps::ZERO,
    };
    let or_missed = |filled: bool, value: Bps| if filled { value } else { Bps::ZERO };
    [
        or_missed(fills(slow[B]), slow_filled),
        or_missed(fills(fast[A]), fast_filled),
        both,
    ]
}

fn bounded(bps: Bps) -> Bps {
    Bps::from_bits(bps.bits().clamp(-BEYOND, BEYOND))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::market::units::{MS, Notional, SCALE, Size};
    use crate::market::{InstrumentId, Market, Name};
    use proptest::prelude::*;

    const START: Nanos = Nanos(1_000_000 * SECOND);

    fn learner(delay_ms: [u64; VENUE_COUNT]) -> OrderOfLegs {
        let market = |venue, fee| Market {
            venue,
            instrument: InstrumentId(0),
            name: Name::new("BTC").unwrap(),
            venue_market: 1,
            tick: Price(SCALE / 10),
            lot: Size(SCALE / 1_000),
            size_min: Size(SCALE / 100),
            notional_min: Notional::ZERO,
            fee_taker: Bps::from_milli(fee),
            fee_maker: Bps::ZERO,
        };
        let instrument = Instrument {
            id: InstrumentId(0),
            name: Name::new("BTC").unwrap(),
            markets: [market(Venue::Extended, 2_500), market(Venue::Lighter, 0)],
        };
        // Between ticks, so that no comparison stands on its border.
        let limits = Limits {
            match_delay_ns: delay_ms.map(|ms| ms * MS),
            slippage: Bps::from_milli(570),
            hedge_band: Bps::from_milli(12_340),
            ..Limits::default()
        };
        OrderOfLegs::new(&instrument, &limits)
    }

    /// A touch in tenths.
    fn touch(bid: i64, ask: i64) -> Touch {
        Touch {
            bid: Price(bid * SCALE / 10),
            ask: Price(ask * SCALE / 10),
        }
    }

    /// Both touches one tick either side of these tenths.
    fn around(extended: i64, lighter: i64) -> Option<[Touch; VENUE_COUNT]> {
        Some([extended, lighter].map(|mid| touch(mid - 1, mid + 1)))
    }

    fn milli(values: [i64; 3]) -> [Bps; 3] {
        values.map(Bps::from_milli)
    }

    #[test]
    fn one_edge_played_through() {
        let terms = learner([10, 350]).terms;
        let net = Bps::from_milli(8_000);
        let band = Bps::from_milli(6_000);
        // Moves against us at d, D and d + D: on the fast venue, on the slow one.
        for (fast, slow, made) in [
            // Nothing moves: each order gets what was seen.
            ([0, 0, 0], [0, 0, 0], [8_000, 8_000, 8_000]),
            // The fast venue corrects early: who takes it first gains 5 bps.
            ([0, 5_000, 5_000], [0, 0, 0], [3_000, 8_000, 8_000]),
            // The slow venue corrects within its delay: slow first misses for nothing; fast first
            // hedges 5 bps later; both at once leaves the fast leg, taken back for 2 + 5 bps.
            ([0, 0, 0], [0, 5_000, 5_000], [0, 3_000, -7_000]),
            // It runs beyond the band: fast first takes back as well.
            ([0, 0, 0], [0, 7_000, 7_000], [0, -7_000, -7_000]),
            // It had run before the fast leg filled: the band counts from there.
            ([0, 0, 0], [5_000, 7_000, 7_000], [0, 1_000, -7_000]),
            // The fast price runs at once: fast first misses, both at once ends as slow first.
            ([3_000, 3_000, 3_000], [0, 0, 0], [5_000, 0, 5_000]),
            // Both run: nothing fills.
            ([3_000, 3_000, 3_000], [0, 5_000, 5_000], [0, 0, 0]),
            // The fast price runs away while it follows: the slow leg is taken back for 1 bps.
            ([0, 0, 20_000], [0, 0, 0], [-1_000, 8_000, 8_000]),
            // The fast venue moves our way: all the better, and taken back at that loss.
            ([0, -4_000, -4_000], [0, 0, 0], [12_000, 8_000, 8_000]),
            (
                [0, -4_000, -4_000],
                [0, 9_000, 9_000],
                [0, -11_000, -11_000],
            ),
        ] {
            let moves = Moves {
                against: [milli(fast), milli(slow)],
                spread: [Bps::from_milli(2_000), Bps::from_milli(1_000)],
            };
            assert_eq!(
                worth(&moves, &terms, net, band),
                milli(made),
                "{fast:?} {slow:?}"
            );
        }
    }

    /// Shows the same course of events so many times: prices in tenths from a time in ms on.
    fn teach(legs: &mut OrderOfLegs, times: u64, course: &[(u64, i64, i64)]) -> Nanos {
        let mut now = START;
        for _ in 0..times {
            legs.observe(now, around(10_000, 10_015));
            legs.trigger(Venue::Extended, Bps::whole(8), now);
            for (ms, extended, lighter) in course {
                legs.observe(now.plus(ms * MS), around(*extended, *lighter));
            }
            now = now.plus(10 * SECOND);
            legs.observe(now, around(10_000, 10_000));
        }
        now
    }

    #[test]
    fn the_venue_that_corrects_goes_first() {
        let enough = u64::from(SAMPLES_MIN);
        // Extended, which is fast, comes up to Lighter after 100 ms.
        let fast_corrects = [(100, 10_015, 10_015)];
        // Lighter falls back.
        let slow_corrects = [(100, 10_000, 10_000)];
        // Each gives in just after its own match: only two orders at once get both.
        let each_in_turn = [(110, 10_004, 10_015), (360, 10_004, 10_004)];
        for (course, lead) in [
            (&fast_corrects[..], Some(FAST)),
            (&slow_corrects[..], Some(SLOW)),
            (&each_in_turn[..], None),
        ] {
            let mut legs = learner([99, 350]);
            let now = teach(&mut legs, enough - 1, course);
            assert_eq!(legs.values(Venue::Extended, now), None);
            assert_eq!(legs.lead(Venue::Extended, now), Some(SLOW), "cold");
            let mut legs = learner([99, 350]);
            // One more, since a little fades within the lesson.
            let now = teach(&mut legs, enough + 1, course);
            assert_eq!(legs.lead(Venue::Extended, now), lead, "{course:?}");
            // The other direction has learned nothing.
            assert_eq!(legs.lead(Venue::Lighter, now), Some(SLOW));
        }
    }

    #[test]
    fn nearly_the_same_is_slow_first() {
        let bps = Bps::from_milli;
        for (slow, fast, both, lead) in [
            (1_000, 1_000, 1_000, Some(SLOW)),
            (1_000, 1_250, 1_250, Some(SLOW)),
            (1_000, 1_251, 1_000, Some(FAST)),
            (1_000, 1_251, 1_500, Some(FAST)),
            (1_000, 1_251, 1_502, None),
            (-9_000, -9_000, -8_000, None),
        ] {
            let values = Values {
                slow_first: bps(slow),
                fast_first: bps(fast),
                both: bps(both),
            };
            assert_eq!(values.lead(), lead, "{values:?}");
        }
    }

    #[test]
    fn memory_fades_and_is_cold_again() {
        let mut legs = learner([10, 350]);
        let now = teach(&mut legs, 16, &[(100, 10_015, 10_015)]);
        let values = legs.values(Venue::Extended, now).unwrap();
        // Half of sixteen, less what has aged within the lesson, is no longer enough.
        let soon = now.plus(HALF_LIFE_NS / 2);
        let faded = legs.values(Venue::Extended, soon).unwrap();
        assert!((faded.fast_first - values.fast_first).bits().abs() < 16);
        let late = now.plus(HALF_LIFE_NS);
        assert_eq!(legs.values(Venue::Extended, late), None);
        assert_eq!(legs.lead(Venue::Extended, Nanos(u64::MAX)), Some(SLOW));
    }

    #[test]
    fn the_band_is_three_deviations_between_a_tick_and_the_limit() {
        let most = Bps::from_milli(12_340);
        let band = |course: &[(u64, i64, i64)]| {
            let mut legs = learner([10, 350]);
            assert_eq!(legs.band(Venue::Extended, START), most, "cold");
            let now = teach(&mut legs, 20, course);
            legs.band(Venue::Extended, now).to_f64()
        };
        let tick = 1e4 / 9_999.0;
        assert!((band(&[]) - tick).abs() < 0.001, "{}", band(&[]));
        let two = band(&[(100, 10_000, 10_013)]);
        assert!((two - 3.0 * 2.0 / 1.0014).abs() < 0.01, "{two}");
        assert_eq!(band(&[(100, 10_000, 10_008)]), most.to_f64());
        // What moves before the fast leg can have filled is not the slow leg's risk.
        assert!((band(&[(5, 10_000, 10_008)]) - tick).abs() < 0.001);
    }

    #[test]
    fn a_book_that_was_lost_teaches_nothing() {
        let mut legs = learner([10, 350]);
        let mut now = START;
        for _ in 0..50 {
            legs.observe(now, around(10_000, 10_015));
            legs.trigger(Venue::Extended, Bps::whole(8), now);
            legs.observe(now.plus(200 * MS), None);
            legs.observe(now.plus(500 * MS), around(10_000, 10_015));
            now = now.plus(SECOND);
        }
        assert_eq!(legs.directions[0].memory, Memory::default());
        assert!(
            !legs.directions[0].is_observing(),
            "its place is free again"
        );
        legs.observe(now, None);
        legs.trigger(Venue::Extended, Bps::whole(8), now);
        assert!(!legs.directions[0].is_observing(), "no price to start from");
    }

    /// The whole learner over again, in floats and with the whole history kept.
    #[derive(Default)]
    struct Naive {
        history: Vec<(u64, Option<[[f64; 2]; 2]>)>,
        open: [Vec<(u64, f64)>; 2],
        samples: [Vec<(u64, [f64; 3], f64)>; 2],
    }

    impl Naive {
        /// What was shown before a moment came.
        fn at(&self, t: u64) -> Option<[[f64; 2]; 2]> {
            let shown = self.history.iter().rev().find(|(at, _)| *at <= t);
            shown.and_then(|(_, touches)| *touches)
        }

        fn weight(t: u64, now: u64) -> f64 {
            let grid = HALF_LIFE_NS / 16;
            0.5_f64.powf((now / grid - t / grid) as f64 / 16.0)
        }

        fn memory(&self, long: usize, now: u64) -> f64 {
            let samples = self.samples[long].iter();
            samples.map(|(t, ..)| Naive::weight(*t, now)).sum()
        }

        fn mean(&self, long: usize, now: u64, of: impl Fn([f64; 3], f64) -> f64) -> Option<f64> {
            let samples = &self.samples[long];
            let weight = self.memory(long, now);
            let sum = |(t, values, square): &(u64, [f64; 3], f64)| {
                Naive::weight(*t, now) * of(*values, *square)
            };
            (weight >= 8.0).then(|| samples.iter().map(sum).sum::<f64>() / weight)
        }

        fn band(&self, long: usize, now: u64) -> f64 {
            let held = self.history.last().and_then(|(_, touches)| *touches);
            match (self.mean(long, now, |_, square| square), held) {
                (Some(square), Some(held)) => {
                    (3.0 * square.sqrt()).max(1e4 / held[1][0]).min(12.34)
                }
                _ => 12.34,
            }
        }

        fn observe(&mut self, now: u64, touches: Option<[[f64; 2]; 2]>) {
            for long in 0..2 {
                let open = std::mem::take(&mut self.open[long]);
                let band = self.band(long, now);
                for (t, net) in open {
                    let due = [10, 350, 360].map(|ms| t + ms * MS);
                    let looks = due.map(|due| (due < now).then(|| self.at(due)));
                    if looks.contains(&Some(None)) {
                        continue;
                    }
                    let [Some(Some(a)), Some(Some(b)), Some(Some(c))] = looks else {
                        self.open[long].push((t, net));
                        continue;
                    };
                    let start = self.at(t).unwrap();
                    let (values, square) = Naive::score(long, [start, a, b, c], net, band);
                    self.samples[long].push((now, values, square));
                }
            }
            self.history.push((now, touches));
        }

        fn score(long: usize, looks: [[[f64; 2]; 2]; 4], net: f64, band: f64) -> ([f64; 3], f64) {
            let [start, a, b, c] = looks;
            let worse = |venue: usize, then: [[f64; 2]; 2]| match venue == long {
                true => (then[venue][1] / start[venue][1] - 1.0) * 1e4,
                false => (1.0 - then[venue][0] / start[venue][0]) * 1e4,
            };
            let spread = |v: usize| (c[v][1] - c[v][0]) / (c[v][1] + c[v][0]) * 2e4;
            let fee = [2.5, 0.0];
            let lost = |venue: usize, then| {
                worse(venue, c) - worse(venue, then) - spread(venue) - 2.0 * fee[venue]
            };
            let (slow_fills, fast_fills) = (worse(1, b) <= 0.57, worse(0, a) <= 0.57);
            let slow_first = match (slow_fills, worse(0, c) - worse(0, b) <= 12.34) {
                (false, _) => 0.0,
                (true, true) => net - worse(1, b) - worse(0, c),
                (true, false) => lost(1, b),
            };
            let fast_first = match (fast_fills, worse(1, c) - worse(1, a) <= band) {
                (false, _) => 0.0,
                (true, true) => net - worse(0, a) - worse(1, c),
                (true, false) => lost(0, a),
            };
            let both = match (slow_fills, fast_fills) {
                (true, true) => net - worse(1, b) - worse(0, a),
                (true, false) => slow_first,
                (false, true) => lost(0, a),
                (false, false) => 0.0,
            };
            let under_way = worse(1, c) - worse(1, a);
            ([slow_first, fast_first, both], under_way * under_way)
        }
    }

    /// What happens next: after so many ms, a venue's touch moves, or both books are lost, and an
    /// edge may begin.
    type Next = (u64, usize, i64, i64, u8);

    fn next() -> impl Strategy<Value = Next> {
        let wait = prop_oneof![6 => 0_u64..40, 3 => 40_u64..600, 1 => 100_000_u64..900_000];
        (wait, 0_usize..2, -12_i64..=12, 1_i64..4, 0_u8..24)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(100))]
        #[test]
        fn as_a_naive_learner_with_floats(steps in prop::collection::vec(next(), 100..400)) {
            let mut legs = learner([10, 350]);
            let mut naive = Naive::default();
            let mut now = START;
            let mut tenths = [touch(10_000, 10_001), touch(10_010, 10_012)];
            for (wait_ms, venue, move_by, spread, deed) in steps {
                now = now.plus(wait_ms * MS + 1);
                // Pulled back to where it began, so that prices stay prices.
                let old = tenths[venue].bid.0 * 10 / SCALE;
                let bid = old + move_by + (10_000 - old) / 8;
                tenths[venue] = touch(bid, bid + spread);
                let shown = (deed != 0).then_some(tenths);
                legs.observe(now, shown);
                let float = |price: Price| price.0 as f64 / SCALE as f64 * 10.0;
                let floats = |touch: Touch| [float(touch.bid), float(touch.ask)];
                naive.observe(now.0, shown.map(|both| both.map(floats)));
                if deed > 18 && shown.is_some() {
                    let long = VENUES[usize::from(deed % 2)];
                    legs.trigger(long, Bps::whole(i32::from(deed) - 12), now);
                    let open = &mut naive.open[long.idx()];
                    if open.len() < PROBES {
                        open.push((now.0, f64::from(deed) - 12.0));
                    }
                }
                for long in VENUES {
                    // Which of two roundings passes the mark first is nobody's business.
                    if (naive.memory(long.idx(), now.0) - 8.0).abs() < 0.05 {
                        continue;
                    }
                    let found = legs.values(long, now);
                    let mean = |at: usize| naive.mean(long.idx(), now.0, |values, _| values[at]);
                    let expected = [mean(0), mean(1), mean(2)];
                    prop_assert_eq!(found.is_some(), expected[0].is_some());
                    let Some(found) = found else { continue };
                    let found = [found.slow_first, found.fast_first, found.both];
                    for (found, expected) in found.iter().zip(expected) {
                        let off = (found.to_f64() - expected.unwrap_or(f64::NAN)).abs();
                        prop_assert!(off < 0.02, "{found:?} {expected:?}");
                    }
                    let off = legs.band(long, now).to_f64() - naive.band(long.idx(), now.0);
                    prop_assert!(off.abs() < 0.02);
                }
            }
        }
    }
}
