//! A run against the built-in venues: starts them, writes the settings a user would, runs, and says
//! afterwards what was planted and what was not.
//!
//! Promises: the engine is the same as in `run`; it is told nothing of what is planted. Only the
//! report, at the end, knows.

use crate::cli::{LighterTier, Plant as PlantFlag, Show};
use crate::config::{self, Config, Faults};
use crate::market::units::{Bps, SECOND};
use crate::market::{Instrument, VENUES, Venue};
use crate::record::PlantedWindow;
use crate::session::{Job, Learned, Outcome, SessionError, Signals};
use crate::sim::exchange::LighterTier as Tier;
use crate::sim::faults::spec::{Spec, SpecError};
use crate::sim::plant::Plant;
use crate::sim::tape::Tape;
use crate::sim::{Description, Options, Sim, SimError};
use crate::stage::clock::Clock;
use serde_json::Value;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

/// Why a demo could not be given.
#[derive(Debug)]
pub enum DemoError {
    /// The tape can't be read. Path and why.
    Tape(String),
    /// The plant file can't be read. Path and why.
    Plant(String),
    /// The faults asked for can't be read.
    Spec(SpecError),
    /// The venues did not start.
    Sim(SimError),
    /// A setting of the environment was refused.
    Settings(Faults),
    /// The run did not start.
    Session(SessionError),
}

impl DemoError {
    /// Whether a setting is to blame, so that mending it is the user's part.
    pub fn is_setting(&self) -> bool {
        match self {
            DemoError::Settings(_) | DemoError::Spec(_) => true,
            DemoError::Sim(error) => matches!(error, SimError::Faults(_)),
            DemoError::Session(error) => error.is_setting(),
            DemoError::Tape(_) | DemoError::Plant(_) => false,
        }
    }
}

impl fmt::Display for DemoError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DemoError::Tape(why) | DemoError::Plant(why) => f.write_str(why),
            DemoError::Spec(error) => error.fmt(f),
            DemoError::Sim(error) => error.fmt(f),
            DemoError::Settings(faults) => faults.fmt(f),
            DemoError::Session(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for DemoError {}

/// What planted edges have become in virtual time, on seeds that no test judges by. Its first lines
/// say how it was made and how it is made again.
pub const ARRIVAL_TABLE: &[u8] = include_bytes!("sim/arrival.table");

/// Name by which the tape that ships is asked for.
pub const TAPE_NAME: &str = "binance-20240808";

/// Client messages a minute that the simulated Lighter takes under load, instead of the venue's
/// 200: the subscriptions of 200 markets would take three minutes, and load is what is asked for.
const MESSAGES_PER_MINUTE_LOADED: usize = 6_000;

/// What the venues are to show, from the flags. Addresses are left to the system.
pub fn options(show: &Show) -> Result<Options, DemoError> {
    let mut options = Options::new(show.seed);
    options.tape = Arc::new(tape(show.tape.as_deref())?);
    options.plant = plant(&show.plant)?;
    let spec = show.faults.as_deref().map(Spec::parse).transpose();
    options.faults = spec.map_err(DemoError::Spec)?;
    options.tier = match show.lighter_tier {
        LighterTier::Standard => Tier::Standard,
        LighterTier::Premium200 => Tier::Premium200,
        LighterTier::Premium140 => Tier::Premium140,
    };
    options.markets = show.markets.map(usize::from);
    options.rate = show.rate;
    options.funding_every_ns = u64::from(show.funding_every) * SECOND;
    if show.rate.is_some() {
        options.lighter_messages_per_minute = MESSAGES_PER_MINUTE_LOADED;
    }
    Ok(options)
}

fn tape(name: Option<&str>) -> Result<Tape, DemoError> {
    match name {
        None | Some(TAPE_NAME) => Ok(Tape::embedded()),
        Some(path) => Tape::load(Path::new(path)).map_err(|error| {
            DemoError::Tape(format!("--tape {path}: {error}; built in is {TAPE_NAME}"))
        }),
    }
}

fn plant(flag: &PlantFlag) -> Result<Plant, DemoError> {
    let path = match flag {
        PlantFlag::On => return Ok(Plant::On),
        PlantFlag::Off => return Ok(Plant::Off),
        PlantFlag::File(path) => path,
    };
    let why =
        |error: &dyn fmt::Display| DemoError::Plant(format!("--plant {}: {error}", path.display()));
    let text = std::fs::read_to_string(path).map_err(|error| why(&error))?;
    Plant::script(&text).map_err(|error| why(&error))
}

/// A finished demo: the run, and what had been planted while it ran.
pub struct Played {
    /// The run.
    pub outcome: Outcome,
    /// When and where something was planted.
    pub planted: Vec<PlantedWindow>,
    /// What of the faults asked for really happened; `None` when none were asked for.
    pub injected: Option<Injected>,
    /// Which simulated venue could not keep up, if one could not.
    pub complaint: Option<String>,
}

/// Faults that were put between the venues and the engine: kind, venue, how often.
pub struct Injected(pub Vec<(&'static str, Venue, u64)>);

impl Injected {
    /// The member `injected` of the report: counts by kind, by venue.
    pub fn json(&self) -> Value {
        let of = |venue: Venue| -> Value {
            let all = self.0.iter().filter(|(_, at, _)| *at == venue);
            all.map(|(kind, _, count)| ((*kind).to_owned(), Value::from(*count)))
                .collect()
        };
        let venues = VENUES.map(|venue| (venue.name().to_owned(), of(venue)));
        venues.into_iter().collect()
    }
}

/// One line, the counts of both venues together.
impl fmt::Display for Injected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut kinds: Vec<(&str, u64)> = Vec::new();
        for (kind, _, count) in &self.0 {
            match kinds.iter_mut().find(|(other, _)| other == kind) {
                Some((_, sum)) => *sum += count,
                None => kinds.push((kind, *count)),
            }
        }
        let texts = kinds.iter().map(|(kind, sum)| format!("{kind} {sum}"));
        let texts: Vec<String> = texts.collect();
        write!(f, "faults injected   {}", texts.join(", "))
    }
}

/// Starts both venues, runs the engine against them, stops them.
pub fn play(
    show: &Show,
    learned: Learned,
    seconds: u64,
    signals: &Signals,
) -> Result<Played, DemoError> {
    let mut options = options(show)?;
    // What the faults broke is mended while the run drains.
    if let Some(spec) = &mut options.faults {
        spec.until_ns = Some(seconds * SECOND);
    }
    let clock = Clock::new();
    let sim = crate::sim::start(&options).map_err(DemoError::Sim)?;
    let mut config = Config::for_simulation(settings(
        &sim.description,
        options.lighter_messages_per_minute,
    ))
    .map_err(DemoError::Settings)?;
    config.extra_root_pem = Some(sim.description.ca_pem.clone().into_bytes());
    let job = Job {
        config,
        seconds: Some(seconds),
        fair_seeds: fair_seeds(&options),
        learned,
        clock,
    };
    let outcome = crate::session::run(job, signals).map_err(DemoError::Session)?;
    let planted = windows(&sim, &outcome.instruments, clock);
    let complaint = sim.complaint();
    let injected = options
        .faults
        .is_some()
        .then(|| Injected(sim.faults_done()));
    sim.stop();
    Ok(Played {
        outcome,
        planted,
        complaint,
        injected,
    })
}

/// The settings a user would write for these venues. What differs from the defaults of a real run
/// is the fair's window, short because the tape is, and that no market has to earn its size: a
/// minute's pairs are too few for that, and nobody's money is at stake.
fn settings(description: &Description, messages_per_minute: usize) -> Vec<(String, String)> {
    let of_demo = [
        ("TRADING_MODE", "live".to_string()),
        ("AUTO_EXECUTION_ENABLED", "true".to_string()),
        (
            "LIGHTER_WS_MESSAGES_PER_MIN",
            (messages_per_minute * 9 / 10).to_string(),
        ),
        ("RAMP_PAIRS", "0".to_string()),
        ("FAIR_WINDOW_S", "60".to_string()),
        ("FAIR_SAMPLES_MIN", "100".to_string()),
    ];
    // Limits and seats in the environment hold for a demo too.
    let mut settings = config::engine_settings();
    for (name, value) in description.settings().into_iter().chain(of_demo) {
        if settings.iter().all(|(other, _)| other != name) {
            settings.push((name.to_string(), value));
        }
    }
    settings
}

/// The basis of the tape before the part that is played.
fn fair_seeds(options: &Options) -> Vec<(String, Bps)> {
    let tape = &options.tape;
    let seed = |(idx, base): (usize, &str)| {
        let basis = tape.basis_before(crate::market::InstrumentId(idx as u16));
        (base.to_string(), Bps::from_milli((basis * 1000.0) as i64))
    };
    tape.bases().enumerate().map(seed).collect()
}

fn windows(sim: &Sim, instruments: &[Instrument], clock: Clock) -> Vec<PlantedWindow> {
    let floor = sim.floor(crate::market::Venue::Extended);
    let bases: Vec<String> =
        floor.look(|exchange| exchange.rules().iter().map(|r| r.base.clone()).collect());
    let window = |event: crate::sim::plant::PlantedEvent| {
        let base = bases.get(event.instrument.idx())?;
        let found = instruments.iter().find(|i| i.name.as_str() == base)?;
        Some(PlantedWindow {
            instrument: found.id,
            start: event.start,
            end: event.end,
        })
    };
    sim.plants(clock.now())
        .into_iter()
        .filter_map(window)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn injected_faults_are_told_by_venue_to_programs_and_in_sum_to_people() {
        let injected = Injected(vec![
            ("gap", Venue::Extended, 2),
            ("cut", Venue::Extended, 0),
            ("gap", Venue::Lighter, 1),
        ]);
        let told = r#"{"extended":{"cut":0,"gap":2},"lighter":{"gap":1}}"#;
        assert_eq!(injected.json().to_string(), told);
        assert_eq!(injected.to_string(), "faults injected   gap 3, cut 0");
    }

    #[test]
    fn faults_that_cannot_be_read_are_a_setting() {
        let show = |faults: &str| Show {
            faults: Some(faults.to_owned()),
            ..Show::default()
        };
        let error = options(&show("gpa")).err().expect("no such kind");
        assert!(error.is_setting());
        assert!(error.to_string().contains("did you mean gap?"));
        let spec = options(&show("gap,cut@3")).ok().and_then(|o| o.faults);
        assert_eq!(spec.map(|spec| spec.items.len()), Some(2));
    }
}
