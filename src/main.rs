//! The command line: one short arm per command. Text for people goes to standard output, or to
//! standard error when `--json` puts an object on the last line of standard output.

#[path = "main/check.rs"]
mod check;
#[path = "main/keys.rs"]
mod keys;
#[path = "main/rebalance.rs"]
mod rebalance;

use clap::Parser;
use keys::shielded;
use parallax::breaker::{self, BreakerError};
use parallax::check::venues;
use parallax::cli::{
    Balance, Breaker, BreakerCommand, Cli, Command, Flatten, Report, Run, Selftest,
};
use parallax::config::{Accounts, Config, Holdings, Mode, Place, Purpose, is_configured};
use parallax::flatten::{self, FlattenError, Options};
use parallax::keys::room::KeysError;
use parallax::keys::shield;
use parallax::market::Name;
use parallax::record::compare::{CompareError, Comparison};
use parallax::record::{Facts, PlantedWindow, hgrm, json, report};
use parallax::selftest::{self, SelftestError};
use parallax::session::{self, Job, Learned, Outcome, SessionError, Signals};
use parallax::stage::clock::Clock;
use parallax::treasury::balance;
use parallax::treasury::ledger::BookError;
use std::fmt::Display;
use std::io::{IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode;

/// Bad usage or configuration.
const USAGE: u8 = 2;
/// Anything else that is not well.
const FAILED: u8 = 1;

fn main() -> ExitCode {
    let command = Cli::parse().command.unwrap_or_else(default_command);
    let done = match command {
        Command::Run(run) => return run_venues(&run),
        Command::Flatten(flags) => flatten(&flags),
        Command::Breaker(flags) => breaker(&flags),
        Command::Balance(flags) => balance(&flags),
        Command::Rebalance(flags) => rebalance::rebalance(&flags),
        Command::Report(flags) => compare(&flags),
        Command::Check(flags) => check::check(&flags),
        Command::Keys(flags) => keys::keys(&flags),
        Command::Selftest(flags) => selftest(&flags),
        #[cfg(feature = "sim")]
        Command::Demo(demo) => simulated::demo(&demo),
        #[cfg(feature = "sim")]
        Command::Sim(sim) => simulated::sim(&sim),
        #[cfg(feature = "sim")]
        Command::Record(record) => simulated::record(&record),
        #[cfg(feature = "sim")]
        Command::Tape(tape) => match tape.command {
            parallax::cli::TapeCommand::Convert { input, output } => {
                simulated::convert(&input, &output)
            }
        },
        #[cfg(not(feature = "sim"))]
        Command::Demo(_) | Command::Sim(_) | Command::Record(_) | Command::Tape(_) => {
            let why = "this build has no simulated venues: build with the feature `sim`";
            Err(Failure::of(&why, false))
        }
    };
    finish(done)
}

fn default_command() -> Command {
    if is_configured() {
        Command::Run(Run::default())
    } else {
        Command::Demo(parallax::cli::Demo::default())
    }
}

/// True: all is well.
type Done = Result<bool, Failure>;

/// What ended a command early, and with which status.
struct Failure {
    text: String,
    status: u8,
}

impl Failure {
    /// A setting is to blame or it is not.
    fn of(error: &dyn Display, is_setting: bool) -> Failure {
        Failure {
            text: error.to_string(),
            status: if is_setting { USAGE } else { FAILED },
        }
    }
}

impl From<SessionError> for Failure {
    fn from(error: SessionError) -> Failure {
        Failure::of(&error, error.is_setting())
    }
}

impl From<SelftestError> for Failure {
    fn from(error: SelftestError) -> Failure {
        Failure::of(&error, true)
    }
}

impl From<FlattenError> for Failure {
    fn from(error: FlattenError) -> Failure {
        Failure::of(&error, true)
    }
}

impl From<BreakerError> for Failure {
    fn from(error: BreakerError) -> Failure {
        Failure::of(&error, true)
    }
}

impl From<BookError> for Failure {
    fn from(error: BookError) -> Failure {
        Failure::of(&error, true)
    }
}

impl From<CompareError> for Failure {
    fn from(error: CompareError) -> Failure {
        Failure::of(&error, true)
    }
}

impl From<KeysError> for Failure {
    fn from(error: KeysError) -> Failure {
        Failure::of(&error, error.is_setting())
    }
}

impl From<shield::Unshielded> for Failure {
    fn from(error: shield::Unshielded) -> Failure {
        Failure::of(&error, false)
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Failure {
        Failure::of(&error, false)
    }
}

fn finish(done: Done) -> ExitCode {
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(FAILED),
        Err(failure) => {
            eprintln!("parallax: {}", failure.text);
            ExitCode::from(failure.status)
        }
    }
}

fn run_venues(run: &Run) -> ExitCode {
    let unlock = match shielded(&run.asked.unlocking) {
        Ok(unlock) => unlock,
        Err(failure) => return finish(Err(failure)),
    };
    let config = match Config::unlocked(run.asked.env.as_deref(), &unlock, Purpose::Run) {
        Ok(config) => config,
        Err(faults) => {
            eprintln!("{faults}");
            return ExitCode::from(USAGE);
        }
    };
    for note in &config.notes {
        eprintln!("parallax: {note}");
    }
    let (mode, is_simulated) = (config.mode.name(), config.is_loopback());
    if config.mode == Mode::Live && !is_simulated {
        // What was acknowledged may be so no longer.
        let found = venues::check(&config, false, Clock::new());
        if !found.is_good() {
            eprint!("{found}");
            return ExitCode::from(FAILED);
        }
    }
    let job = Job {
        config,
        seconds: run.seconds,
        fair_seeds: Vec::new(),
        learned: Learned::Kept,
        clock: Clock::new(),
    };
    finish((|| {
        let outcome = session::run(job, &Signals::watch()?)?;
        let facts = facts(&outcome, mode, is_simulated, None);
        print(&outcome, &facts, run.asked.json, |_| {})?;
        save(&outcome, run.hgrm.as_deref())?;
        Ok(outcome.is_clean())
    })())
}

fn flatten(flags: &Flatten) -> Done {
    let unlock = shielded(&flags.asked.unlocking)?;
    let accounts = Accounts::from_env(flags.asked.env.as_deref(), &unlock);
    let accounts = accounts.map_err(|faults| Failure::of(&faults, true))?;
    let options = Options {
        market: flags.market.clone(),
        execute: flags.execute,
    };
    let is_shown = std::io::stderr().is_terminal();
    let result = flatten::flatten(&accounts, &options, Clock::new(), &|venue, step| {
        if is_shown {
            eprintln!("{}: {step}", venue.name());
        }
    })?;
    tell(&result, flags.asked.json.then(|| result.json()))?;
    Ok(result.is_flat())
}

fn breaker(flags: &Breaker) -> Done {
    let place = Place::from_env(flags.env.as_deref());
    let place = place.map_err(|faults| Failure::of(&faults, true))?;
    let reason = flags.command.as_ref().map(|command| match command {
        BreakerCommand::Reset { reason } => reason.as_str(),
    });
    let shown = breaker::command(&place, reason, Clock::new().now())?;
    tell(&shown, flags.json.then(|| shown.json()))?;
    Ok(shown.is_closed())
}

fn balance(flags: &Balance) -> Done {
    let unlock = shielded(&flags.asked.unlocking)?;
    let holdings = Holdings::from_env(flags.asked.env.as_deref(), &unlock);
    let holdings = holdings.map_err(|faults| Failure::of(&faults, true))?;
    let balances = balance::command(&holdings, flags.accept.as_deref(), Clock::new())?;
    tell(&balances, flags.asked.json.then(|| balances.json()))?;
    Ok(balances.is_well())
}

fn compare(flags: &Report) -> Done {
    let [first, second] = flags.compare.as_slice() else {
        return Err(Failure::of(&"--compare wants two runs", true));
    };
    let compared = Comparison::of(first, second)?;
    tell(&compared, flags.json.then(|| compared.json()))?;
    Ok(true)
}

fn selftest(flags: &Selftest) -> Done {
    let results = selftest::run(flags.vectors.as_deref())?;
    tell(&results, flags.json.then(|| results.to_json()))?;
    Ok(results.is_clean())
}

/// What a command has found: as text, or as an object on the last line beside the text.
fn tell(found: &dyn Display, object: Option<serde_json::Value>) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    let Some(object) = object else {
        return write!(out, "{found}");
    };
    eprint!("{found}");
    writeln!(out, "{object}")
}

fn facts(
    outcome: &Outcome,
    mode: &'static str,
    is_simulated: bool,
    planted: Option<Vec<PlantedWindow>>,
) -> Facts {
    let markets: Vec<Name> = outcome.instruments.iter().map(|i| i.name).collect();
    Facts {
        mode,
        is_simulated,
        is_paper: outcome.is_paper,
        start: outcome.started,
        elapsed_ns: outcome.ran_ns,
        seats: outcome
            .seats
            .iter()
            .map(|(name, core)| (name.to_string(), *core))
            .collect(),
        markets,
        planted,
        journal_dropped: outcome.journal_dropped,
    }
}

/// The `.hgrm` files, where they are wanted.
fn save(outcome: &Outcome, folder: Option<&Path>) -> std::io::Result<()> {
    let Some(folder) = folder else {
        return Ok(());
    };
    let named = |error: std::io::Error| {
        let why = format!("--hgrm {}: {error}", folder.display());
        std::io::Error::new(error.kind(), why)
    };
    let written = hgrm::save(outcome.recorder.totals(), folder).map_err(named)?;
    eprintln!("parallax: {written} .hgrm files in {}", folder.display());
    Ok(())
}

/// `more` may add to the object.
fn print(
    outcome: &Outcome,
    facts: &Facts,
    is_json: bool,
    more: impl FnOnce(&mut serde_json::Value),
) -> std::io::Result<()> {
    let totals = outcome.recorder.totals();
    if let Some(left) = outcome.leftover() {
        eprintln!("parallax: {left}");
    }
    for open in &outcome.breakers_open {
        eprintln!("parallax: {open}");
    }
    if let Some(held) = outcome.held() {
        eprintln!("parallax: {held}");
    }
    if !is_json {
        return report::write(totals, facts, &mut std::io::stdout().lock());
    }
    report::write(totals, facts, &mut std::io::stderr().lock())?;
    let mut out = std::io::stdout().lock();
    let mut report = json::report(totals, facts);
    more(&mut report);
    writeln!(out, "{report}")
}

/// The commands that need the simulated venues, or their tapes.
#[cfg(feature = "sim")]
mod simulated {
    use super::{Done, Failure, facts, print, save};
    use parallax::capture::{self, CaptureError, Options};
    use parallax::cli::{Demo, Record, RecordedVenue, Sim};
    use parallax::config::Config;
    use parallax::demo::{self, DemoError};
    use parallax::market::units::SECOND;
    use parallax::market::{VENUES, Venue};
    use parallax::session::{Learned, Signals};
    use parallax::sim;
    use parallax::sim::tape::convert;
    use parallax::stage::clock::Clock;
    use std::io::Write;
    use std::path::{Path, PathBuf};
    use std::time::Duration;

    impl From<DemoError> for Failure {
        fn from(error: DemoError) -> Failure {
            Failure::of(&error, error.is_setting())
        }
    }

    impl From<CaptureError> for Failure {
        fn from(error: CaptureError) -> Failure {
            Failure::of(&error, error.is_setting())
        }
    }

    pub fn demo(flags: &Demo) -> Done {
        eprintln!(
            "parallax demo: both venues are simulated on this machine; no account, no network, no \
             real money"
        );
        let learned = match flags.cold {
            true => Learned::Cold,
            false => Learned::Given(demo::ARRIVAL_TABLE),
        };
        let played = demo::play(&flags.show, learned, flags.seconds, &Signals::watch()?)?;
        let facts = facts(&played.outcome, "demo", true, Some(played.planted));
        let injected = played.injected.as_ref();
        print(&played.outcome, &facts, flags.json, |report| {
            if let Some(injected) = injected {
                report["injected"] = injected.json();
            }
        })?;
        save(&played.outcome, flags.hgrm.as_deref())?;
        if let Some(injected) = injected {
            eprintln!("{injected}");
        }
        if let Some(complaint) = played.complaint {
            eprintln!("parallax: {complaint}");
        }
        Ok(played.outcome.is_clean())
    }

    pub fn sim(flags: &Sim) -> Done {
        let signals = Signals::watch()?;
        let mut options = demo::options(&flags.show)?;
        options.listen_extended = flags.listen_extended;
        options.listen_lighter = flags.listen_lighter;
        options.plain = flags.plain;
        options.log = flags.log_requests.clone();
        let venues = sim::start(&options).map_err(DemoError::Sim)?;
        let description = serde_json::to_string(&venues.description);
        println!(
            "{}",
            description.map_err(|error| Failure::of(&error, false))?
        );
        eprintln!("parallax sim: both venues are up; Ctrl-C ends them");
        while !signals.has_come() {
            std::thread::sleep(Duration::from_millis(50));
        }
        if options.faults.is_some() {
            eprintln!("{}", demo::Injected(venues.faults_done()));
        }
        if let Some(complaint) = venues.complaint() {
            eprintln!("parallax: {complaint}");
        }
        venues.stop();
        Ok(true)
    }

    pub fn record(flags: &Record) -> Done {
        let config = Config::from_env(flags.env.as_deref());
        let config = config.map_err(|faults| Failure::of(&faults, true))?;
        let options = Options {
            venues: match flags.venue {
                None => VENUES.to_vec(),
                Some(RecordedVenue::Extended) => vec![Venue::Extended],
                Some(RecordedVenue::Lighter) => vec![Venue::Lighter],
            },
            folder: flags.dir.clone(),
            seconds: flags.seconds,
            rotate_ns: flags.rotate_minutes * 60 * SECOND,
            bytes_max: flags.max_mb << 20,
            free_bytes_min: flags.min_free_mb << 20,
            free_bytes: capture::free_bytes,
        };
        let summary = capture::record(&config, options, &Signals::watch()?, Clock::new())?;
        if let Some(complaint) = summary.complaint() {
            eprintln!("parallax: {complaint}");
        }
        if flags.json {
            summary.write(&mut std::io::stderr().lock())?;
            writeln!(std::io::stdout(), "{}", summary.json())?;
        } else {
            summary.write(&mut std::io::stdout().lock())?;
        }
        Ok(summary.is_clean())
    }

    pub fn convert(input: &Path, output: &Path) -> Done {
        let made = convert::convert(&[PathBuf::from(input)], output)
            .map_err(|error| Failure::of(&error, false))?;
        for (venue, base, bytes_len) in &made.streams {
            println!(
                "{} {base}: {bytes_len} bytes before compression",
                venue.name()
            );
        }
        let seconds = made.span_ns / 1_000_000_000;
        println!(
            "{}: {} bytes, {seconds} s",
            output.display(),
            made.bytes_len
        );
        for name in &made.skipped {
            println!("left out: {name}");
        }
        if made.breaks > 0 {
            println!("books that stood still for a while: {}", made.breaks);
        }
        Ok(true)
    }
}
