//! Planted dislocations: edges put on top of the real tape, by a seeded law, and told of openly.
//!
//! Both venues run this with the same seed and so agree on the schedule without a word between
//! them. One event at a time; two in three last longer than a slow venue's taker delay (payers),
//! one in three does not (decoys), with the same amplitude, so that it does not tell them apart.
//! An event is a *shock* (one venue is displaced and returns), a *lag* (both step for good, one
//! venue late) or, in scripts, a *shift* (one venue is displaced for good).
//! Refuses: to hide. Every event can be listed beforehand, so planted and natural stay apart.

use crate::market::units::{Nanos, Size};
use crate::market::{InstrumentId, Venue};
use crate::sim::random::Random;
use std::collections::VecDeque;

const MS: u64 = 1_000_000;
/// No event before this: the fair is learned first.
const WARM_UP_NS: u64 = 12_000 * MS;
/// A displacement below this is over (half a quantum of playback).
const OVER_BPS: f64 = 0.125;
/// Depth is back this long after onset.
const DEPTH_BACK_NS: u64 = 2_000 * MS;
/// The steps lags leave behind are steered back beyond this, so a long run keeps its price.
const STEPS_BPS_MAX: f64 = 60.0;
/// Scripted events shorter than this are decoys: over before a slow venue matches.
const DECOY_LIFE_NS: u64 = 300 * MS;

/// How a dislocation ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// The displaced venue returns.
    Shock,
    /// The other venue stepped; the displaced one follows, late.
    Lag,
    /// Never.
    Shift,
}

/// One line of a planting script.
#[derive(Clone, Debug, PartialEq)]
pub struct PlantLine {
    /// Where it stands in its file, from 1; for messages.
    pub line_number: usize,
    /// Start of the onset, milliseconds after the start of the run.
    pub at_ms: u64,
    /// Underlying (`BTC`) or the venue's name of the market.
    pub market: String,
    /// The displaced venue (of a lag: the late one).
    pub venue: Venue,
    /// Its displacement against the other venue, signed.
    pub bps: f64,
    /// Depth left on each of its sides while displaced; `None`: as the law thins it.
    pub size: Option<Size>,
    /// How long it stands before it decays.
    pub life_ms: u64,
    /// How it ends.
    pub shape: Shape,
}

/// Whether and what to plant.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Plant {
    /// By the law, from the seed.
    #[default]
    On,
    /// Nothing: the tape alone.
    Off,
    /// These and no others.
    Script(Vec<PlantLine>),
}

/// A planted event as the report sees it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PlantedEvent {
    /// Start of the onset.
    pub start: Nanos,
    /// When the displacement is over; of a shift: after its stated life.
    pub end: Nanos,
    /// Where.
    pub instrument: InstrumentId,
    /// The displaced venue.
    pub venue: Venue,
    /// Displacement of that venue against the other, signed, bps.
    pub amplitude_bps: f64,
    /// Too short to be taken by a slow venue.
    pub is_decoy: bool,
    /// How it ends.
    pub shape: Shape,
}

/// What planting does to one market of one venue at one moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Displacement {
    /// Displacement of the price, bps.
    pub bps: f64,
    /// The part of it that lasts and belongs to both venues (index follows only this).
    pub common_bps: f64,
    /// Multiplier of depth, 10^-3.
    pub depth_e3: i64,
    /// Most depth on a side.
    pub cap: Option<Size>,
}

/// One event with all its draws; times in nanoseconds after the start of the run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Dislocation {
    pub start_ns: u64,
    pub onset_ns: u64,
    pub plateau_ns: u64,
    pub half_life_ns: u64,
    pub instrument: InstrumentId,
    pub venue: Venue,
    pub bps: f64,
    pub depth: f64,
    pub cap: Option<Size>,
    pub is_decoy: bool,
    pub shape: Shape,
}

impl Dislocation {
    // The life of an event, at the displaced venue:
    //
    //    bps |      ____________
    //        |     /            \\_
    //        |    /               \\__
    //        |___/                    \\_____
    //            onset  plateau   decay, by half-lives

    /// When the plateau ends and the decay begins.
    fn plateau_end_ns(&self) -> u64 {
        self.start_ns + self.onset_ns + self.plateau_ns
    }

    /// When the displacement is over.
    pub fn end_ns(&self) -> u64 {
        if self.shape == Shape::Shift {
            return self.plateau_end_ns();
        }
        // An exponential never ends; it is over when playback can no longer show it.
        let half_lives = (self.bps.abs() / OVER_BPS).max(1.0).log2();
        self.plateau_end_ns() + (self.half_life_ns as f64 * half_lives) as u64
    }

    /// When it needs no more attention: displacement and depth are both back.
    fn settled_ns(&self) -> u64 {
        let depth_back = self.start_ns + self.onset_ns + DEPTH_BACK_NS;
        self.end_ns().max(depth_back)
    }

    /// How much of the step has been made; linear, because an onset of milliseconds in one jump
    /// would be a frame no real book sends. From 0 to 1.
    fn risen(&self, t_ns: u64) -> f64 {
        let since = t_ns.saturating_sub(self.start_ns) as f64;
        (since / self.onset_ns.max(1) as f64).min(1.0)
    }

    /// The relative displacement at `t_ns`, bps.
    fn relative_bps(&self, t_ns: u64) -> f64 {
        let plateau_end = self.plateau_end_ns();
        if t_ns <= plateau_end || self.shape == Shape::Shift {
            return self.bps * self.risen(t_ns);
        }
        if t_ns >= self.end_ns() {
            return 0.0;
        }
        let half_lives = (t_ns - plateau_end) as f64 / self.half_life_ns.max(1) as f64;
        self.bps * (-half_lives).exp2()
    }

    /// What the step of a lag adds to both venues at `t_ns`, bps.
    fn common_bps(&self, t_ns: u64) -> f64 {
        match self.shape {
            Shape::Lag => -self.bps * self.risen(t_ns),
            Shape::Shock | Shape::Shift => 0.0,
        }
    }

    /// The venue whose book was hit and is thin after it: the one that moved first.
    fn hit(&self) -> Venue {
        match self.shape {
            Shape::Lag => self.venue.other(),
            Shape::Shock | Shape::Shift => self.venue,
        }
    }

    /// Depth multiplier of the hit venue at `t_ns`.
    fn depth_at(&self, t_ns: u64) -> f64 {
        let back = t_ns.saturating_sub(self.start_ns + self.onset_ns) as f64;
        let back = (back / DEPTH_BACK_NS as f64).min(1.0);
        let thin = 1.0 - (1.0 - self.depth) * self.risen(t_ns);
        thin + (1.0 - thin) * back
    }

    /// The next moment after `t_ns` at which a frame of its own should show it.
    fn next_step_ns(&self, t_ns: u64) -> u64 {
        let full = self.start_ns + self.onset_ns;
        if t_ns < full {
            // The onset in steps of 5 ms, its end exactly: it is seen even where the tape is
            // silent. On the plateau and in the decay the tape's own frames carry most of it.
            let from = t_ns.max(self.start_ns);
            return (from + 5 * MS).min(full);
        }
        if t_ns < self.plateau_end_ns() {
            return (t_ns + 100 * MS).min(self.plateau_end_ns());
        }
        (t_ns + 20 * MS).min(self.settled_ns())
    }
}

/// Where events come from. The law is drawn one event at a time, without end: a run of any length
/// has the same first events.
#[derive(Clone, Debug)]
enum Source {
    Law {
        random: Random,
        markets_len: usize,
        /// What lags have added so far, per market.
        steps_bps: Vec<f64>,
        /// The earliest start of the next event.
        free_ns: u64,
    },
    /// A script, in order of start.
    List(VecDeque<Dislocation>),
}

impl Source {
    fn next(&mut self) -> Option<Dislocation> {
        match self {
            Source::List(events) => events.pop_front(),
            Source::Law {
                random,
                markets_len,
                steps_bps,
                free_ns,
            } => {
                let event = draw(random, *markets_len, steps_bps, *free_ns);
                let gap_ms = random.uniform(2_500.0, 3_500.0);
                *free_ns = event.end_ns() + (gap_ms * MS as f64) as u64;
                Some(event)
            }
        }
    }
}

/// Draws one event of the law. The order of draws is part of the law: do not change it lightly.
fn draw(random: &mut Random, markets_len: usize, steps: &mut [f64], start: u64) -> Dislocation {
    let ms = |value: f64| (value * MS as f64) as u64;
    let market = random.between(0, markets_len as u64 - 1) as usize;
    let venue = crate::market::VENUES[random.between(0, 1) as usize];
    // Drawn before it is known whether the event pays, so that size says nothing about life.
    let amplitude = random.uniform(12.0, 18.0);
    let mut bps = if random.between(0, 1) == 0 {
        amplitude
    } else {
        -amplitude
    };
    let shape = [Shape::Shock, Shape::Lag][random.between(0, 1) as usize];
    let onset_ns = ms(random.uniform(10.0, 40.0));
    let is_decoy = random.between(0, 2) == 0;
    let (plateau_ns, half_life_ns) = if is_decoy {
        (ms(random.uniform(60.0, 220.0)), 40 * MS)
    } else {
        let more = random.exponential(700.0).min(2_000.0);
        (ms(900.0 + more), ms(random.uniform(250.0, 500.0)))
    };
    if shape == Shape::Lag {
        // A random walk of steps would carry the price away over days; beyond a bound it turns.
        if (steps[market] - bps).abs() > STEPS_BPS_MAX {
            bps = -bps;
        }
        steps[market] -= bps;
    }
    Dislocation {
        start_ns: start,
        onset_ns,
        plateau_ns,
        half_life_ns,
        instrument: InstrumentId(market as u16),
        venue,
        bps,
        // Uniform in 0.25..0.6 because the amplitude is uniform: the larger, the thinner.
        depth: 0.6 - 0.35 * (amplitude - 12.0) / 6.0,
        cap: None,
        is_decoy,
        shape,
    }
}

/// The schedule as one venue lives through it. Time only goes forward.
#[derive(Clone, Debug)]
pub(crate) struct Planter {
    source: Source,
    next: Option<Dislocation>,
    active: Vec<Dislocation>,
    /// What ended events left behind, per instrument: common steps, then shifts per venue.
    left: Vec<(f64, [f64; 2])>,
}

impl Planter {
    /// By the law, for this many markets.
    pub fn law(seed: u64, markets_len: usize) -> Planter {
        let source = Source::Law {
            random: Random::new(seed, "plant"),
            markets_len,
            steps_bps: vec![0.0; markets_len],
            free_ns: 0,
        };
        let mut planter = Planter::from_source(source, markets_len);
        if let Source::Law {
            random, free_ns, ..
        } = &mut planter.source
        {
            *free_ns = WARM_UP_NS + random.between(0, 1_000) * MS;
        }
        planter.next = planter.source.next();
        planter
    }

    /// These events and no others.
    pub fn list(mut events: Vec<Dislocation>, markets_len: usize) -> Planter {
        events.sort_by_key(|event| event.start_ns);
        let mut planter = Planter::from_source(Source::List(events.into()), markets_len);
        planter.next = planter.source.next();
        planter
    }

    fn from_source(source: Source, markets_len: usize) -> Planter {
        Planter {
            source,
            next: None,
            active: Vec::new(),
            left: vec![(0.0, [0.0; 2]); markets_len],
        }
    }

    /// Takes up events that have started and lets go of those that are settled.
    pub fn advance(&mut self, t_ns: u64) {
        while let Some(event) = self.next.filter(|event| event.start_ns <= t_ns) {
            self.active.push(event);
            self.next = self.source.next();
        }
        let left = &mut self.left;
        self.active.retain(|event| {
            let over = event.settled_ns() <= t_ns;
            if over {
                // What never reverts is kept as a sum: the step of a lag, the whole of a shift.
                let (common, shifts) = &mut left[event.instrument.idx()];
                *common += event.common_bps(t_ns);
                shifts[event.venue.idx()] += event.relative_bps(t_ns);
            }
            !over
        });
    }

    /// What is shown at `t_ns`; `advance` must have been called with it.
    pub fn at(&self, venue: Venue, instrument: InstrumentId, t_ns: u64) -> Displacement {
        let (common, shifts) = self.left[instrument.idx()];
        let mut shown = Displacement {
            bps: common + shifts[venue.idx()],
            common_bps: common,
            depth_e3: 1_000,
            cap: None,
        };
        for event in self.active.iter().filter(|e| e.instrument == instrument) {
            shown.bps += event.common_bps(t_ns);
            shown.common_bps += event.common_bps(t_ns);
            if event.venue == venue {
                shown.bps += event.relative_bps(t_ns);
            }
            // Makers of a book that was run over step back on both sides, not only on the swept
            // one: whoever comes to take the edge meets the thin book too.
            if event.hit() == venue {
                // In steps of 1/16, so that depth alone makes few frames.
                let depth = (event.depth_at(t_ns) * 16.0).round() / 16.0;
                shown.depth_e3 = shown.depth_e3.min((depth * 1_000.0) as i64);
            }
            if event.venue == venue && t_ns < event.end_ns() {
                shown.cap = shown.cap.into_iter().chain(event.cap).min();
            }
        }
        shown
    }

    /// The instrument and moment of the next planted frame after `t_ns`.
    pub fn next_step(&self, t_ns: u64) -> Option<u64> {
        let active = self.active.iter().map(|event| event.next_step_ns(t_ns));
        let next = self.next.iter().map(|event| event.start_ns);
        active.chain(next).min()
    }

    /// Instruments that an active event touches.
    pub fn touched(&self) -> impl Iterator<Item = InstrumentId> + '_ {
        self.active.iter().map(|event| event.instrument)
    }

    /// Every event that starts before `until_ns`, in order. Call on a fresh planter.
    pub fn events(mut self, until_ns: u64) -> Vec<Dislocation> {
        let mut events = Vec::new();
        while let Some(event) = self.next.filter(|event| event.start_ns < until_ns) {
            events.push(event);
            self.next = self.source.next();
        }
        events
    }
}

impl PlantLine {
    /// The event this line asks for, on `instrument`.
    pub(crate) fn event(&self, instrument: InstrumentId) -> Dislocation {
        let life_ns = self.life_ms * MS;
        let is_decoy = life_ns < DECOY_LIFE_NS;
        Dislocation {
            start_ns: self.at_ms * MS,
            onset_ns: 10 * MS,
            plateau_ns: life_ns,
            half_life_ns: if is_decoy { 40 * MS } else { 350 * MS },
            instrument,
            venue: self.venue,
            bps: self.bps,
            depth: if self.size.is_some() { 1.0 } else { 0.4 },
            cap: self.size,
            is_decoy,
            shape: self.shape,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn minute(seed: u64) -> Vec<Dislocation> {
        Planter::law(seed, 2).events(60_000 * MS)
    }

    #[test]
    fn the_law_holds_over_many_seeds() {
        let all: Vec<Vec<Dislocation>> = (0..400).map(minute).collect();
        let count: usize = all.iter().map(Vec::len).sum();
        let mean = count as f64 / 400.0;
        assert!((7.0..9.5).contains(&mean), "{mean} events a minute");
        let share = |test: fn(&Dislocation) -> bool| {
            all.iter().flatten().filter(|event| test(event)).count() as f64 / count as f64
        };
        let near = |value: f64, want: f64| (value - want).abs() < 0.035;
        assert!(near(share(|e| !e.is_decoy), 2.0 / 3.0));
        assert!(near(share(|e| e.shape == Shape::Shock), 0.5));
        assert!(near(share(|e| e.venue == Venue::Lighter), 0.5));
        assert!(near(share(|e| e.instrument.0 == 0), 0.5));
        assert!(near(share(|e| e.bps > 0.0), 0.5));
        assert!(near(share(|e| e.bps.abs() < 15.0), 0.5));
        assert!(near(share(|e| e.bps.abs() < 15.0 && e.is_decoy), 1.0 / 6.0));
        for event in all.iter().flatten() {
            let plateau_ms = event.plateau_ns / MS;
            let range = if event.is_decoy {
                60..=220
            } else {
                900..=2_900
            };
            assert!(range.contains(&plateau_ms));
            assert!((12.0..18.0).contains(&event.bps.abs()));
            assert!((10..=40).contains(&(event.onset_ns / MS)));
            assert!((0.25..=0.6).contains(&event.depth));
            assert!(event.start_ns >= WARM_UP_NS);
        }
    }

    #[test]
    fn one_event_at_a_time_with_a_gap() {
        for seed in 0..50 {
            for pair in minute(seed).windows(2) {
                let gap_ms = pair[1].start_ns.saturating_sub(pair[0].end_ns()) / MS;
                assert!((2_499..=3_501).contains(&gap_ms), "{gap_ms}");
            }
        }
    }

    /// Lives through a minute in the planter's own steps; returns the relative displacement seen.
    fn live(mut planter: Planter, until_ns: u64) -> Vec<(u64, [f64; 2])> {
        let mut seen = Vec::new();
        let mut t_ns = 0;
        while let Some(next) = planter.next_step(t_ns).filter(|&t| t < until_ns) {
            assert!(next > t_ns);
            t_ns = next;
            planter.advance(t_ns);
            let of = |venue| planter.at(venue, InstrumentId(0), t_ns).bps;
            seen.push((t_ns, [of(Venue::Extended), of(Venue::Lighter)]));
        }
        seen
    }

    #[test]
    fn a_lag_steps_both_for_good_and_a_shock_returns() {
        for seed in 0..20 {
            let events = minute(seed);
            let btc: Vec<_> = events.iter().filter(|e| e.instrument.0 == 0).collect();
            let seen = live(Planter::law(seed, 2), 60_000 * MS);
            for event in btc {
                let middle = event.start_ns + event.onset_ns;
                let Some((_, at)) = seen.iter().find(|(t, _)| *t >= middle) else {
                    continue;
                };
                let relative = at[event.venue.idx()] - at[event.venue.other().idx()];
                assert!(
                    (relative - event.bps).abs() < 0.01,
                    "{relative} {}",
                    event.bps
                );
                if let Some((_, after)) = seen.iter().find(|(t, _)| *t >= event.settled_ns()) {
                    assert!((after[0] - after[1]).abs() < 0.2, "{after:?}");
                }
            }
            let (_, last) = seen[seen.len() - 1];
            assert!(last[0].abs() < STEPS_BPS_MAX + 40.0);
        }
    }

    #[test]
    fn a_shift_never_reverts() {
        let line = PlantLine::parse(
            1,
            r#"{"at_ms":100,"market":"BTC","venue":"lighter","bps":6,"shape":"shift"}"#,
        );
        let event = line.unwrap().event(InstrumentId(0));
        let mut planter = Planter::list(vec![event], 1);
        for ms in [50, 105, 110, 300, 5_000, 60_000] {
            planter.advance(ms * MS);
            let bps = planter.at(Venue::Lighter, InstrumentId(0), ms * MS).bps;
            let want = if ms < 100 {
                0.0
            } else {
                6.0_f64.min((ms - 100) as f64 * 0.6)
            };
            assert!((bps - want).abs() < 1e-9, "{ms}: {bps}");
            assert_eq!(
                planter.at(Venue::Extended, InstrumentId(0), ms * MS).bps,
                0.0
            );
        }
    }
}
