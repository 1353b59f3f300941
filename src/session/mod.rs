//! One run, from settings to the report: read the venues, build the plant, watch it, drain it.
//!
//! Cold. Promises: entries stop before anything else stops; open pairs are left or finished before
//! the threads end; a second signal forces the end. Refuses to start on anything it can't explain.

mod books;
pub(crate) mod claim;
mod granted;
mod keeping;
mod left_out;
mod lessons;
pub mod limits;
pub mod market_data;
mod market_map;
mod opening;
mod paper;
mod plant;
mod refresh;
pub(crate) mod table;
#[cfg(test)]
mod tests_rows;
mod venues;
mod watching;

pub use left_out::{LeftOut, Reason};
pub use lessons::Learned;

use crate::config::{Config, Mode, OnDrain};
use crate::market::event::{Adopted, Control, Status};
use crate::market::units::{Bps, MS, Nanos, SECOND};
use crate::market::{Instrument, Venue};
use crate::record::Recorder;
use crate::record::progress::Progress;
use crate::stage::clock::Clock;
use crate::stage::link::Tx;
use crate::topology::{self, Plan, STAGES, SeatsError};
use books::Books;
use claim::Claim;
use keeping::Keeper;
use left_out::{shorten, summary};
use lessons::Lessons;
use plant::Plant;
use refresh::{News, Refresh};
use std::fmt;
use std::io::{self, IsTerminal, Stderr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// What to run.
pub struct Job {
    /// Validated settings.
    pub config: Config,
    /// Drain after this long; `None`: until a signal.
    pub seconds: Option<u64>,
    /// Fair basis by underlying, known from before the run (Lighter mid over Extended mid).
    pub fair_seeds: Vec<(String, Bps)>,
    /// What is known of edges at arrival.
    pub learned: Learned,
    /// Time line of the process.
    pub clock: Clock,
}

/// A finished run.
pub struct Outcome {
    /// Everything that was counted.
    pub recorder: Recorder,
    /// The instruments, in index order.
    pub instruments: Vec<Instrument>,
    /// Markets that were not traded, and why.
    pub left_out: Vec<LeftOut>,
    /// Core of each stage, in the order of `topology::STAGES`.
    pub seats: Vec<(&'static str, Option<usize>)>,
    /// One sentence on why they sit there.
    pub seats_why: String,
    /// When trading began.
    pub started: Nanos,
    /// How long it ran, nanoseconds.
    pub ran_ns: u64,
    /// The scanner's last word.
    pub status: Status,
    /// Events that did not fit on the journal links: above 0, counts are too low.
    pub journal_dropped: u64,
    /// Halt was raised, or a pinned thread broke.
    pub halted: bool,
    /// ON_DRAIN=hold: hedged pairs were to stay.
    pub holds: bool,
    /// Circuit breakers that are open, a sentence each.
    pub breakers_open: Vec<String>,
    /// It was on paper: nothing was sent, and no money is real.
    pub is_paper: bool,
}

impl Outcome {
    /// All is well: nothing halted, no circuit breaker open, nothing left open on either venue.
    pub fn is_clean(&self) -> bool {
        !self.halted && self.breakers_open.is_empty() && self.leftover().is_none()
    }

    /// What was left on purpose, in one sentence: hedged pairs that the next run adopts.
    pub fn held(&self) -> Option<String> {
        let open = self.status.pairs_open;
        (self.holds && open > 0 && self.leftover().is_none()).then(|| {
            format!("{open} hedged pairs stay open (ON_DRAIN=hold); the next run manages them on")
        })
    }

    /// What the run leaves behind for a human, in one sentence; `None` when it is nothing.
    pub fn leftover(&self) -> Option<String> {
        let Status {
            pairs_open: open,
            pairs_legged: legged,
            pairs_stuck: stuck,
            ..
        } = self.status;
        let is_held = self.holds && self.status.drained && legged + stuck == 0;
        if self.is_paper && open + stuck > 0 {
            return Some(format!(
                "the paper run has ended with {open} pairs open and {stuck} stuck: its profit and \
                 loss lacks them, and they end with it"
            ));
        }
        (open + stuck > 0 && !is_held).then(|| {
            format!(
                "the run has ended with {open} pairs open ({legged} of them uneven) and {stuck} \
                 stuck: their positions and orders are still at the venues and nobody manages them"
            )
        })
    }
}

/// Why a run could not start or go on.
#[derive(Debug)]
pub enum SessionError {
    /// SEATS can't be had.
    Seats(SeatsError),
    /// The system refused a poller.
    Poller(io::Error),
    /// The system refused a thread.
    Thread(io::Error),
    /// Signals could not be registered.
    Signals(io::Error),
    /// A venue could not be read, or what it says can't be traded on. Whole sentence.
    Venue(String),
    /// What the run before has left can't be read. Whole sentence.
    State(String),
    /// Another engine has the account. Whole sentence.
    Taken(String),
    /// No instrument is listed by both venues and allowed by MARKETS.
    NoInstruments(String),
}

impl SessionError {
    /// Whether a setting is to blame, so that mending it is the user's part.
    pub fn is_setting(&self) -> bool {
        matches!(
            self,
            SessionError::Seats(_) | SessionError::NoInstruments(_) | SessionError::State(_)
        )
    }
}

impl fmt::Display for SessionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SessionError::Seats(error) => error.fmt(f),
            SessionError::Poller(error) => {
                write!(f, "the system refused an epoll instance: {error}")
            }
            SessionError::Thread(error) => write!(f, "the system refused a thread: {error}"),
            SessionError::Signals(error) => write!(f, "signals can't be watched: {error}"),
            SessionError::Venue(why)
            | SessionError::State(why)
            | SessionError::Taken(why)
            | SessionError::NoInstruments(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for SessionError {}

/// How often `main` looks. Larger: signals are answered later.
const WATCH_EVERY: Duration = Duration::from_millis(5);
/// Instruments named at the start; there may be 200.
const NAMES_SHOWN: usize = 24;
/// How often the progress line is rewritten.
const PROGRESS_EVERY_NS: u64 = 500 * MS;

/// Ctrl-C and SIGTERM. The first drains, the second ends the process at once with status 130.
pub struct Signals(Arc<AtomicBool>);

impl Signals {
    /// Begins to watch.
    pub fn watch() -> Result<Signals, SessionError> {
        use signal_hook::consts::{SIGINT, SIGTERM};
        use signal_hook::flag;
        let seen = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM] {
            // The order matters: the shutdown looks at the flag before this signal sets it.
            flag::register_conditional_shutdown(signal, 130, Arc::clone(&seen))
                .map_err(SessionError::Signals)?;
            flag::register(signal, Arc::clone(&seen)).map_err(SessionError::Signals)?;
        }
        Ok(Signals(seen))
    }

    /// Whether one has come.
    pub fn has_come(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Runs the job to its end. Blocks.
// Long: the road of a run, each room met once, in order.
pub fn run(job: Job, signals: &Signals) -> Result<Outcome, SessionError> {
    let Job {
        config,
        seconds,
        fair_seeds,
        learned,
        clock,
    } = job;
    let plan = topology::plan(&limits::seating(&config.seats), &crate::stage::cores())
        .map_err(SessionError::Seats)?;
    let (seats, seats_why) = (seats_of(&plan), plan.why.clone());
    let asked = granted::ask(&config, &plan);
    // Held until the report: who only watches shares the account with anybody.
    let is_trading = config.mode == Mode::Live && config.auto_execution;
    let _claim = is_trading
        .then(|| Claim::take(&config.extended, &config.lighter))
        .transpose()?;
    let mut keeper = Keeper::open(&config)?;
    let ready = venues::read(&config, plan, clock)?;
    let (blueprint, left_out) = (ready.blueprint, ready.left_out);
    let instruments = blueprint.instruments.clone();
    announce(&config, &instruments, &left_out, &seats_why);
    asked.iter().for_each(|line| eprintln!("parallax: {line}"));

    let refresh = Refresh::start(&config, ready.started, clock)?;
    let adopted = match is_trading {
        true => opening::settle(&config, &instruments, blueprint.run, clock)?,
        false => Vec::new(),
    };
    let started = clock.now();
    let (is_paper, on_drain) = (config.is_paper(), on_drain(&config));
    let lessons = Lessons::open(learned, &config, &instruments, started);
    let run = (blueprint.run, started);
    let (mut plant, recorder) = plant::start(blueprint, lessons.table().clone(), clock)?;
    let (books, history) = Books::open(&config, &instruments, run, clock);
    let known = (&instruments[..], &adopted[..], &fair_seeds[..]);
    brief(&mut plant, &mut keeper, known);
    if let Some(line) = granted::lock(&config) {
        eprintln!("parallax: {line}");
    }
    let watch = Watch {
        clock,
        started,
        until: seconds.map(|s| started.plus(s * SECOND)),
        recorder: recorder.with_history(history),
        keeper,
        lessons,
        books,
        status: Status::default(),
        progress: Progress::new(io::stderr(), io::stderr().is_terminal(), is_paper),
        progress_due: started,
        refresh,
        change: None,
        end: (on_drain, config.drain_s * SECOND),
    };
    let (mut watch, broken) = watch.until_settled(&mut plant, signals);
    let (halted, ended) = (broken | plant.halt.is_raised(), clock.now());
    let dropped = plant.stop();
    let mut recorder = watch.recorder;
    while recorder.drain() > 0 {}
    let said = watch.books.close(&mut recorder);
    said.iter().for_each(|line| eprintln!("parallax: {line}"));
    watch.keeper.finish(&watch.status, recorder.totals());
    let mut lessons = watch.lessons;
    lessons.learn(recorder.take_scores());
    lessons.save();
    Ok(Outcome {
        recorder,
        instruments,
        left_out,
        seats,
        seats_why,
        started,
        ran_ns: ended.since(started),
        status: watch.status,
        journal_dropped: dropped.unwrap_or(0),
        halted: halted | dropped.is_none(),
        holds: on_drain == OnDrain::Hold,
        is_paper,
        breakers_open: keeping::open_said(&watch.status.breakers),
    })
}

/// Says what will be traded and what will not, on standard error.
fn announce(config: &Config, traded: &[Instrument], left_out: &[LeftOut], seats_why: &str) {
    let names: Vec<&str> = traded.iter().map(|i| i.name.as_str()).collect();
    let names = shorten(&names, NAMES_SHOWN);
    let paper = match config.is_paper() {
        true => " (on paper: nothing is sent, fills are simulated)",
        false => "",
    };
    let mode = config.mode.name();
    eprintln!("parallax: {mode}{paper} on {names}; {seats_why}");
    for line in summary(left_out) {
        eprintln!("parallax: {line}");
    }
}

fn seats_of(plan: &Plan) -> Vec<(&'static str, Option<usize>)> {
    let core = |idx: usize| {
        plan.seats
            .iter()
            .find(|s| s.stages.contains(&idx))
            .and_then(|s| s.core)
    };
    STAGES
        .iter()
        .enumerate()
        .map(|(idx, name)| (*name, core(idx)))
        .collect()
}

/// Paper accounts end with their run: there is nothing to hold.
fn on_drain(config: &Config) -> OnDrain {
    match config.is_paper() {
        true => OnDrain::Flatten,
        false => config.on_drain,
    }
}

/// What was there before the run: breakers and sizes as kept, positions, fairs.
fn brief(
    plant: &mut Plant,
    keeper: &mut Keeper,
    (instruments, adopted, fair_seeds): (&[Instrument], &[Adopted], &[(String, Bps)]),
) {
    keeper.restore(&mut plant.control, instruments);
    adopt(plant, adopted);
    seed_fairs(plant, instruments, fair_seeds);
}

/// Before any book is heard: these positions are explained.
fn adopt(plant: &mut Plant, adopted: &[Adopted]) {
    for adopted in adopted {
        // One for each instrument at most, as the link holds.
        let _ = plant.control.push(Control::Adopt(*adopted));
    }
}

fn seed_fairs(plant: &mut Plant, instruments: &[Instrument], seeds: &[(String, Bps)]) {
    for (name, basis) in seeds {
        if let Some(found) = instruments.iter().find(|i| i.name.as_str() == name) {
            let seed = Control::FairSeed {
                instrument: found.id,
                basis: *basis,
            };
            // The link was just made and holds a seed for every instrument.
            let _ = plant.control.push(seed);
        }
    }
}

/// `main`'s side of a running plant.
struct Watch {
    clock: Clock,
    started: Nanos,
    until: Option<Nanos>,
    recorder: Recorder,
    keeper: Keeper,
    lessons: Lessons,
    books: Books,
    status: Status,
    progress: Progress<Stderr>,
    progress_due: Nanos,
    refresh: Refresh,
    /// A change that the control link had no room for yet, and what is said of it.
    change: Option<(Control, String)>,
    /// What becomes of hedged pairs at the end, and how long that may take.
    end: (OnDrain, u64),
}

impl Watch {
    /// Watches until time or a signal says drain, then until everything is settled. True when a
    /// pinned thread broke.
    fn until_settled(mut self, plant: &mut Plant, signals: &Signals) -> (Watch, bool) {
        let mut drain_until: Option<Nanos> = None;
        loop {
            let now = self.look(plant);
            if plant.is_broken() {
                return (self, true);
            }
            match drain_until {
                Some(until) if self.status.drained || now >= until => break,
                Some(_) => {}
                None => {
                    let timed_out = self.until.is_some_and(|until| now >= until);
                    let wanted = timed_out || signals.has_come();
                    if wanted || plant.halt.is_raised() {
                        // Halt flattens what stands alone and leaves hedged pairs to a human: what
                        // raised it may make every further order wrong.
                        let (on_drain, ns_max) = self.end;
                        let word = match (wanted, on_drain) {
                            (true, OnDrain::Flatten) => Control::Drain,
                            (true, OnDrain::Hold) | (false, _) => Control::EntriesOff,
                        };
                        // A full control link can't happen here: seeds were few and are read.
                        let _ = plant.control.push(word);
                        self.status.drained = false;
                        drain_until = Some(now.plus(ns_max));
                    }
                }
            }
        }
        let _ = self.progress.finish();
        (self, false)
    }

    fn look(&mut self, plant: &mut Plant) -> Nanos {
        let waiting = self.recorder.drain();
        self.lessons.learn(self.recorder.take_scores());
        while let Some(status) = plant.status.pop() {
            self.status = status;
        }
        self.pass_on(plant);
        let now = self.clock.now();
        let control = &mut plant.control;
        let mut said = self.books.hear(&mut self.recorder, control);
        let totals = self.recorder.totals();
        said.extend(
            self.keeper
                .look(&self.status, totals, &mut plant.control, now),
        );
        for line in said {
            let _ = self.progress.finish();
            eprintln!("parallax: {line}");
        }
        self.lessons.beat(now);
        if now >= self.progress_due {
            self.progress_due = now.plus(PROGRESS_EVERY_NS);
            // A terminal that has gone away is no reason to stop trading.
            let _ = self
                .progress
                .show(self.recorder.totals(), now.since(self.started));
        }
        if waiting == 0 {
            std::thread::sleep(WATCH_EVERY);
        }
        now
    }

    /// What the venues' lists brought, to the scanner, to the gateway whose pace it changes, and to
    /// whoever reads along. One change a look: a full link is met by waiting, and nothing is said
    /// that was not passed on.
    fn pass_on(&mut self, plant: &mut Plant) {
        let (word, said) = match self.change.take() {
            Some((word, said)) => (Some(word), said),
            None => match self.refresh.news.try_recv() {
                Err(_) => return,
                Ok(News::Unread(why)) => (None, format!("the lists stay as they were: {why}")),
                Ok(News::Change(word, said)) => (Some(word), said),
            },
        };
        if let Some(word) = word
            && !is_passed(word, &mut plant.control, &mut plant.pace)
        {
            self.change = Some((word, said));
            return;
        }
        if said.is_empty() {
            return;
        }
        // The progress line comes back by itself.
        let _ = self.progress.finish();
        eprintln!("parallax: {said}");
    }
}

/// One word to everybody whom it concerns. Not where a link is full, and then to be passed once
/// more: none of them does harm twice.
fn is_passed(word: Control, control: &mut Tx<Control>, pace: &mut Tx<u32>) -> bool {
    let pace_is_known = match word {
        Control::Terms(terms) if terms.venue == Venue::Lighter => {
            pace.push(terms.orders_per_minute).is_ok()
        }
        _ => true,
    };
    pace_is_known && control.push(word).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::market::InstrumentId;
    use crate::market::event::Terms;
    use crate::stage::link::link;

    #[test]
    fn row_55_another_tier_is_told_to_the_scanner_and_to_lighters_gateway() {
        let (mut control, mut control_rx) = link("control", 2);
        let (mut pace, mut pace_rx) = link("pace", 2);
        let terms = |venue| {
            Control::Terms(Terms {
                instrument: InstrumentId(0),
                venue,
                fee_taker: Bps::ZERO,
                fee_maker: Bps::ZERO,
                match_delay_ns: MS,
                orders_per_minute: 30,
            })
        };
        for venue in [Venue::Lighter, Venue::Extended] {
            let word = terms(venue);
            assert!(is_passed(word, &mut control, &mut pace));
            assert_eq!(control_rx.pop(), Some(word));
        }
        assert_eq!((pace_rx.pop(), pace_rx.pop()), (Some(30), None));
        // With either link full the word is kept for later.
        let word = terms(Venue::Lighter);
        for _ in 0..2 {
            assert!(control.push(Control::EntriesOff).is_ok());
        }
        assert!(!is_passed(word, &mut control, &mut pace));
    }

    fn outcome(status: Status, halted: bool) -> Outcome {
        Outcome {
            recorder: Recorder::new(Vec::new()),
            instruments: Vec::new(),
            left_out: Vec::new(),
            seats: Vec::new(),
            seats_why: String::new(),
            started: Nanos::ZERO,
            ran_ns: 1,
            status,
            journal_dropped: 0,
            halted,
            holds: false,
            breakers_open: Vec::new(),
            is_paper: false,
        }
    }

    #[test]
    fn what_is_left_open_is_said_and_is_not_a_success() {
        let nothing = Status::default();
        assert!(outcome(nothing, false).is_clean());
        assert!(!outcome(nothing, true).is_clean());
        let mut open = outcome(nothing, false);
        open.breakers_open.push("a breaker is open".to_owned());
        assert!(!open.is_clean());
        let hedged = Status {
            pairs_open: 2,
            pairs_legged: 1,
            ..nothing
        };
        let stuck = Status {
            pairs_stuck: 1,
            ..nothing
        };
        for (status, words) in [
            (hedged, "2 pairs open (1 of them uneven) and 0 stuck"),
            (stuck, "0 pairs open (0 of them uneven) and 1 stuck"),
        ] {
            let left = outcome(status, false);
            assert!(!left.is_clean());
            assert!(left.leftover().is_some_and(|said| said.contains(words)));
        }
        let even = Status {
            pairs_open: 2,
            drained: true,
            ..nothing
        };
        let mut held = outcome(even, false);
        assert!(!held.is_clean() && held.held().is_none());
        held.holds = true;
        assert!(held.is_clean());
        assert!(
            held.held()
                .is_some_and(|said| said.contains("2 hedged pairs"))
        );
        held.status.pairs_legged = 1;
        assert!(!held.is_clean() && held.held().is_none());
    }
}
