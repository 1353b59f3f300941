//! A run against the built-in venues: starts them, writes the settings a user would, runs, and says
//! afterwards what was planted and what was not.
//!
//! Promises: the engine is the same as in `run`; it is told nothing of what is planted. Only the
//! report, at the end, knows.

use crate::cli::{LighterTier, Plant as PlantFlag, Show};
use crate::config::{self, Config, Faults};
use crate::market::Instrument;
use crate::market::units::Bps;
use crate::record::PlantedWindow;
use crate::session::{Job, Outcome, SessionError, Signals};
use crate::sim::exchange::LighterTier as Tier;
use crate::sim::plant::Plant;
use crate::sim::tape::Tape;
use crate::sim::{Description, Options, Sim, SimError};
use crate::stage::clock::Clock;
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
            DemoError::Settings(_) => true,
            DemoError::Session(error) => error.is_setting(),
            DemoError::Tape(_) | DemoError::Plant(_) | DemoError::Sim(_) => false,
        }
    }
}

impl fmt::Display for DemoError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DemoError::Tape(why) | DemoError::Plant(why) => f.write_str(why),
            DemoError::Sim(error) => error.fmt(f),
            DemoError::Settings(faults) => faults.fmt(f),
            DemoError::Session(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for DemoError {}

/// Name by which the tape that ships is asked for.
pub const TAPE_NAME: &str = "binance-20240808";

/// What the venues are to show, from the flags. Addresses are left to the system.
pub fn options(show: &Show) -> Result<Options, DemoError> {
    let mut options = Options::new(show.seed);
    options.tape = Arc::new(tape(show.tape.as_deref())?);
    options.plant = plant(&show.plant)?;
    options.tier = match show.lighter_tier {
        LighterTier::Standard => Tier::Standard,
        LighterTier::Premium200 => Tier::Premium200,
        LighterTier::Premium140 => Tier::Premium140,
    };
    options.markets = show.markets.map(usize::from);
    options.rate = f64::from(show.rate);
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
}

/// Starts both venues, runs the engine against them, stops them.
pub fn play(show: &Show, seconds: u64, signals: &Signals) -> Result<Played, DemoError> {
    let options = options(show)?;
    let clock = Clock::new();
    let sim = crate::sim::start(&options).map_err(DemoError::Sim)?;
    let mut config =
        Config::for_simulation(settings(&sim.description)).map_err(DemoError::Settings)?;
    config.extra_root_pem = Some(sim.description.ca_pem.clone().into_bytes());
    let job = Job {
        config,
        seconds: Some(seconds),
        fair_seeds: fair_seeds(&options),
        clock,
    };
    let outcome = crate::session::run(job, signals).map_err(DemoError::Session)?;
    let planted = windows(&sim, &outcome.instruments, clock);
    sim.stop();
    Ok(Played { outcome, planted })
}

/// The settings a user would write for these venues. What differs from the defaults of a real run
/// is the fair's window, short because the tape is.
fn settings(description: &Description) -> Vec<(String, String)> {
    let (e, l) = (&description.extended, &description.lighter);
    let keys: Vec<String> = l
        .keys
        .iter()
        .map(|key| format!("{}:{}", key.index, key.private_key))
        .collect();
    let made = [
        ("TRADING_MODE", "live".to_string()),
        ("AUTO_EXECUTION_ENABLED", "true".to_string()),
        ("EXTENDED_BASE_URL", e.rest.clone()),
        ("EXTENDED_STREAM_URL", e.stream.clone()),
        ("EXTENDED_API_KEY", e.api_key.clone()),
        ("EXTENDED_PRIVATE_KEY", e.private_key.clone()),
        ("EXTENDED_VAULT", e.vault.to_string()),
        ("EXTENDED_CHAIN_ID", e.chain_id.clone()),
        ("LIGHTER_BASE_URL", l.rest.clone()),
        ("LIGHTER_WS_URL", l.ws.clone()),
        ("LIGHTER_ACCOUNT_INDEX", l.account_index.to_string()),
        ("LIGHTER_API_KEYS", keys.join(",")),
        ("LIGHTER_CHAIN_ID", l.chain_id.to_string()),
        ("FAIR_WINDOW_S", "60".to_string()),
        ("FAIR_SAMPLES_MIN", "100".to_string()),
    ];
    // Limits and seats in the environment hold for a demo too.
    let mut settings = config::engine_settings();
    for (name, value) in made {
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
