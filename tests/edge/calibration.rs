//! Predicted against realised: whether the edge that is expected, given the fill, is the edge that
//! comes.
//!
//! The judge is the venues' own touches, kept by the rig: for each trigger it asks where orders
//! sent at that moment would have met both books. Forecasts come in as plain numbers, so that any
//! forecaster can be judged, the engine's and those that are known to be wrong.

use crate::reference::script;
use crate::virtual_time::engine::{Engine, demo_limits, run, run_as_demo, run_with, shipped};
use crate::virtual_time::{Outcome, START, Scenario};
use parallax::market::book::Side;
use parallax::market::units::{MS, Nanos, SECOND};
use parallax::market::{Instrument, InstrumentId, Venue};
use parallax::sim::plant::Plant;
use std::collections::BTreeMap;
use std::ops::RangeInclusive;

/// An edge as the engine followed it, taken or not.
#[derive(Clone, Copy, Debug)]
pub struct Trigger {
    pub instrument: InstrumentId,
    /// Where it would buy.
    pub long: Venue,
    /// When orders would leave.
    pub t: Nanos,
    /// The leg that would go first.
    pub lead: Venue,
}

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Realised {
    /// The first leg met nothing within its limit.
    Missed,
    /// Both legs filled: this much net, bps, by what they paid, fees of four legs and the closing
    /// half spreads taken off.
    Filled(f64),
}

/// One forecast and what came of it, bps.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    pub predicted: f64,
    pub realised: f64,
    /// Which edge it is of: looks at one edge at several ages say nearly the same.
    pub edge: usize,
}

/// How forecasts came out.
#[derive(Clone, Copy, Debug)]
pub struct Calibration {
    /// Triggers whose first leg filled, and the edges they are of.
    pub n: usize,
    pub edges: usize,
    pub predicted: f64,
    pub realised: f64,
    /// Standard error of the mean of the differences.
    pub standard_error: f64,
    /// Mean squared error, and that of always saying the mean of what was realised before.
    pub squared_error: f64,
    pub squared_error_of_constant: f64,
}

impl Calibration {
    /// The constant it is held against is the best there is, the mean of what was realised. Looks
    /// at one edge count as one in the standard error.
    pub fn of(samples: &[Sample]) -> Calibration {
        let n = samples.len();
        let sum = |of: &dyn Fn(&Sample) -> f64| samples.iter().map(of).sum::<f64>();
        let mean = |of: &dyn Fn(&Sample) -> f64| sum(of) / n as f64;
        let (predicted, realised) = (mean(&|s| s.predicted), mean(&|s| s.realised));
        let mut of_edge: BTreeMap<usize, f64> = BTreeMap::new();
        for sample in samples {
            let off = sample.predicted - sample.realised - (predicted - realised);
            *of_edge.entry(sample.edge).or_default() += off;
        }
        let squares: f64 = of_edge.values().map(|off| off * off).sum();
        Calibration {
            n,
            edges: of_edge.len(),
            predicted,
            realised,
            standard_error: squares.sqrt() / n as f64,
            squared_error: mean(&|s| (s.predicted - s.realised).powi(2)),
            squared_error_of_constant: mean(&|s| (realised - s.realised).powi(2)),
        }
    }

    /// The mean is right within what chance allows, and it says more than a constant.
    pub fn is_good(&self) -> bool {
        let allowed = 0.15_f64.max(2.0 * self.standard_error);
        let is_right = (self.predicted - self.realised).abs() <= allowed;
        is_right && self.squared_error < self.squared_error_of_constant
    }
}

impl std::fmt::Display for Calibration {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "n {} of {} edges, {:+.2} bps predicted, {:+.2} realised, standard error {:.2}; \
             squared error {:.1}, of a constant {:.1}",
            self.n,
            self.edges,
            self.predicted,
            self.realised,
            self.standard_error,
            self.squared_error,
            self.squared_error_of_constant
        )
    }
}

/// A finished scenario, as the judge of forecasts looks at it.
pub struct Judge<'a> {
    pub scenario: &'a Scenario,
    pub instruments: &'a [Instrument],
    pub outcome: &'a Outcome,
}

impl Judge<'_> {
    /// What would have become of a trigger: the first leg is matched a delay after it left, the
    /// second leaves when that fill is told. Delays are the middle of what the exchange draws.
    pub fn realise(&self, trigger: &Trigger) -> Option<Realised> {
        let ways = self.scenario.ways;
        let (lead, follow) = (trigger.lead, trigger.lead.other());
        let t_lead = trigger.t.plus(ways.order_ns + self.delay_ns(lead));
        let t_follow = t_lead.plus(ways.report_ns + ways.order_ns + self.delay_ns(follow));
        let t_seen = Nanos(trigger.t.0 - ways.data_ns);
        let side = |venue: Venue| match venue == trigger.long {
            true => Side::Bid,
            false => Side::Ask,
        };
        let met = |venue: Venue, t: Nanos| {
            let (bid, ask) = self.outcome.ledgers[venue.idx()].touch_at(trigger.instrument, t)?;
            Some(match side(venue) {
                Side::Bid => ask.0 as f64,
                Side::Ask => bid.0 as f64,
            })
        };
        let (seen, first) = (met(lead, t_seen)?, met(lead, t_lead)?);
        let worse = match side(lead) {
            Side::Bid => first / seen - 1.0,
            Side::Ask => 1.0 - first / seen,
        };
        if worse * 10_000.0 > demo_limits().slippage.to_f64() {
            return Some(Realised::Missed);
        }
        let second = met(follow, t_follow)?;
        let (bought, sold) = match lead == trigger.long {
            true => (first, second),
            false => (second, first),
        };
        let fair = self.fair(trigger.instrument, t_seen)?;
        let gross = edge(trigger.long, bought, sold, fair);
        Some(Realised::Filled(gross - self.costs(trigger, t_follow)?))
    }

    fn delay_ns(&self, venue: Venue) -> u64 {
        let settings = self.scenario.settings(venue);
        (settings.taker_delay_min_ns + settings.taker_delay_max_ns) / 2
    }

    /// Fees of four legs and the closing half spreads, bps.
    fn costs(&self, trigger: &Trigger, t: Nanos) -> Option<f64> {
        let markets = &self.instruments[trigger.instrument.idx()].markets;
        let mut costs: f64 = markets.iter().map(|m| 2.0 * m.fee_taker.to_f64()).sum();
        for ledger in &self.outcome.ledgers {
            let (bid, ask) = ledger.touch_at(trigger.instrument, t)?;
            costs += (ask.0 - bid.0) as f64 / (ask.0 + bid.0) as f64 * 10_000.0;
        }
        Some(costs)
    }

    /// Median basis of the minute before, bps: events fill less than half of it.
    fn fair(&self, instrument: InstrumentId, t: Nanos) -> Option<f64> {
        let mid = |venue: Venue, t: Nanos| {
            let (bid, ask) = self.outcome.ledgers[venue.idx()].touch_at(instrument, t)?;
            Some((bid.0 + ask.0) as f64)
        };
        let basis = |n: u64| {
            let t = Nanos(t.0 - n * 100 * MS);
            let ratio = mid(Venue::Lighter, t)? / mid(Venue::Extended, t)?;
            Some((ratio - 1.0) * 10_000.0)
        };
        let mut all: Vec<f64> = (1..=600).filter_map(basis).collect();
        all.sort_unstable_by(f64::total_cmp);
        all.get(all.len() / 2).copied()
    }
}

/// What buying and selling brings over the fair, bps.
fn edge(long: Venue, bought: f64, sold: f64, fair: f64) -> f64 {
    let fair = 1.0 + fair / 10_000.0;
    let gross = match long {
        Venue::Extended => sold / (bought * fair),
        Venue::Lighter => sold * fair / bought,
    };
    (gross - 1.0) * 10_000.0
}

/// Forecasts and what came of them, in order of time: edges at a border of their age, followed
/// whether taken or not, of which something was expected and whose first order would have filled.
fn samples(engine: &Engine, from: Nanos, known: &mut Vec<Sample>) {
    let mut edge = known.last().map_or(0, |last| last.edge);
    let mut before = None;
    for score in engine
        .scores()
        .filter(|score| score.teaches && score.t_seen >= from)
    {
        let this = (score.instrument, score.long);
        let is_same =
            before.is_some_and(|(other, t)| other == this && score.t_seen.since(t) < APART_NS);
        edge += usize::from(!is_same);
        before = Some((this, score.t_seen));
        if let (Some(expected), Some(made)) = (score.expected, score.made) {
            known.push(Sample {
                predicted: expected.edge.to_f64(),
                realised: made.to_f64(),
                edge,
            });
        }
    }
}

/// Looks further apart are of two edges: planted events are.
const APART_NS: u64 = 2 * SECOND;

/// What is asked of forecasts, by name.
fn hold(judged: &[(&str, Vec<Sample>)]) {
    let mut bad: Vec<&str> = Vec::new();
    for (name, samples) in judged {
        let told = Calibration::of(samples);
        println!("{name}: {told}");
        bad.extend((!told.is_good()).then_some(*name));
    }
    assert!(bad.is_empty(), "not as expected: {bad:?}");
}

/// What the engine expects in a minute each of these seeds, begun as a demo.
fn of_seeds(seeds: RangeInclusive<u64>) -> Vec<Sample> {
    let mut known = Vec::new();
    for seed in seeds {
        samples(&run_as_demo(&Scenario::new(seed)).0, START, &mut known);
    }
    known
}

/// Learned in the first half of a run of the whole tape and judged in its second.
#[test]
fn what_is_expected_comes() {
    let long = Scenario {
        seconds: 345,
        ..Scenario::new(3_001)
    };
    let half = START.plus(long.seconds * SECOND / 2);
    let mut later = Vec::new();
    samples(&run(&long).0, half, &mut later);
    hold(&[("second half", later)]);
}

/// Learned on some seeds and judged on others: thirty at a time, for what a user meets, and all of
/// them, since a table's own error is the same in each thirty.
#[test]
fn what_is_expected_comes_of_other_seeds() {
    let sets = [1..=30, 5_001..=5_030, 5_031..=5_060, 5_061..=5_090];
    let mut judged = Vec::new();
    let mut all: Vec<Sample> = Vec::new();
    for seeds in sets {
        let name = format!("seeds {} to {}", seeds.start(), seeds.end());
        let these = of_seeds(seeds);
        let before = all.last().map_or(0, |last| last.edge);
        all.extend(these.iter().map(|sample| Sample {
            edge: before + sample.edge,
            ..*sample
        }));
        judged.push((name, these));
    }
    judged.push(("all other seeds".to_string(), all));
    let named = judged
        .iter()
        .map(|(name, these)| (name.as_str(), these.clone()));
    hold(&named.collect::<Vec<_>>());
}

/// And on lives of events that it has never met: minute after minute, each begun with what those
/// before it have taught, as a run that is started again. Learned in seven minutes, judged in the
/// eight that follow.
#[test]
fn what_is_expected_comes_of_other_lives() {
    let higher = script(&[1_500, 120, 1_100], &[24.0, 20.0], "shock");
    of_plants(&[
        (
            "longer lives",
            script(&[3_000, 2_500], &[12.0, 16.0], "shock"),
        ),
        (
            "shorter lives",
            script(&[700, 150, 1_200], &[18.0, 14.0, 16.0], "lag"),
        ),
        ("lives of the law, half as high again", higher),
    ]);
}

/// One market's edges end sooner than those of the other: each must be told its own.
#[test]
fn what_is_expected_comes_of_fleeting_lives() {
    of_plants(&[("fleeting lives", script(&[200, 450], &[20.0, 15.0], "lag"))]);
}

fn of_plants(plants: &[(&str, String)]) {
    let mut judged = Vec::new();
    for (name, text) in plants {
        let (first, then) = in_turn(text);
        println!("{name}, while it learns: {}", Calibration::of(&first));
        judged.push((*name, then));
    }
    hold(&judged);
}

/// Fifteen minutes of a script, begun with what ships: the first seven, and the rest.
fn in_turn(plant: &str) -> (Vec<Sample>, Vec<Sample>) {
    let mut table = shipped(&Scenario::new(1));
    let mut known = (Vec::new(), Vec::new());
    for seed in 1..=15 {
        let scenario = Scenario {
            plant: Plant::script(plant).expect("a script of ours"),
            ..Scenario::new(seed)
        };
        let (engine, _) = run_with(&scenario, table.clone());
        engine.scores().for_each(|score| table.learn(score));
        let known = if seed <= 7 {
            &mut known.0
        } else {
            &mut known.1
        };
        samples(&engine, START, known);
    }
    known
}

/// What the engine says that an edge would have made is what the venues' books say.
#[test]
fn its_looks_back_agree_with_the_venues_books() {
    let (mut both, mut apart) = (Vec::new(), 0);
    for seed in 1..=10 {
        let scenario = Scenario::new(seed);
        let (engine, outcome) = run_as_demo(&scenario);
        let judge = Judge {
            scenario: &scenario,
            instruments: &scenario.instruments(),
            outcome: &outcome,
        };
        for score in engine.scores().filter(|score| score.teaches) {
            let lead = score
                .expected
                .map_or(Some(Venue::Lighter), |said| said.lead);
            // Both at once is no order that this judge plays through.
            let Some(lead) = lead else { continue };
            let trigger = Trigger {
                instrument: score.instrument,
                long: score.long,
                t: score.t_seen,
                lead,
            };
            match (judge.realise(&trigger), score.made) {
                (Some(Realised::Filled(realised)), Some(made)) => both.push(Sample {
                    predicted: made.to_f64(),
                    realised,
                    edge: both.len(),
                }),
                (Some(Realised::Missed), None) | (None, _) => {}
                (Some(_), _) => apart += 1,
            }
        }
    }
    let told = Calibration::of(&both);
    println!("engine's looks against the venues' books: {told}; {apart} fill on one side only");
    assert!((told.predicted - told.realised).abs() <= 1.0 && told.n >= 50);
    assert!(apart * 5 <= told.n, "{apart} of {}", told.n);
}

/// The judge accepts a forecaster that is right, and refuses one that is off by a third of a basis
/// point and one that says the same whatever it sees.
#[test]
fn the_judge_tells_good_from_bad() {
    let truth = |n: usize| 3.0 + (n % 7) as f64;
    let noise = |n: usize| ((n * 7919) % 101) as f64 / 50.0 - 1.0;
    let samples = |said: &dyn Fn(usize) -> f64| -> Vec<Sample> {
        let sample = |n| Sample {
            predicted: said(n),
            realised: truth(n) + noise(n),
            edge: n,
        };
        (0..4_000).map(sample).collect()
    };
    assert!(Calibration::of(&samples(&truth)).is_good());
    assert!(!Calibration::of(&samples(&|n| truth(n) + 0.33)).is_good());
    assert!(!Calibration::of(&samples(&|_| 6.1)).is_good());
}
