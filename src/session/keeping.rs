//! What a run keeps for the next one: circuit breakers, and what each market's pairs have earned.
//!
//! Cold. Promises: an open breaker of an earlier run is open before the first book comes; one that
//! opens is on disk within moments; a human's reset is heard while the run goes on; markets that
//! this run does not trade keep what they had. Refuses: to start where what was kept can't be read,
//! and to trade beyond this machine with nowhere to keep anything.

use crate::breaker::{self, BreakerError, Kept, told};
use crate::config::{Config, Mode};
use crate::market::calendar::utc;
use crate::market::event::{Control, Status};
use crate::market::lasting::{BREAKERS, Breakers, Sight, Standing};
use crate::market::units::{Nanos, SECOND};
use crate::market::{Instrument, InstrumentId, Name};
use crate::record::Totals;
use crate::session::SessionError;
use crate::stage::link::Tx;
use crate::state::{Folder, StateError};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// How often what has changed is written. Larger: a crash forgets more of the day's sum.
const WRITE_EVERY_NS: u64 = SECOND;
/// How often a run whose breakers are open looks for a human's reset.
const RESET_EVERY_NS: u64 = 2 * SECOND;
/// Version of the standings' file.
const VERSION: u64 = 1;

/// Keeps, and restores.
pub struct Keeper {
    folder: Option<Folder>,
    is_paper: bool,
    names: Vec<Name>,
    kept: Kept,
    /// The breakers as last written.
    written: Option<Breakers>,
    /// The standings as last written.
    standings: BTreeMap<InstrumentId, Standing>,
    /// The breakers as last seen.
    seen: Breakers,
    /// Number of our last word on breakers to the scanner.
    word: u32,
    due: Nanos,
    is_failing: bool,
}

impl Keeper {
    /// Opens the folder and reads the breakers, before anything is traded. A run that enters no
    /// pairs keeps nothing.
    pub fn open(config: &Config) -> Result<Keeper, SessionError> {
        let is_paper = config.mode == Mode::DryRun;
        let wanted = config.state_dir.as_ref().filter(|_| config.auto_execution);
        if config.auto_execution && wanted.is_none() && !is_paper && !config.is_loopback() {
            let why = "there is nowhere to keep circuit breakers\n    fix: set STATE_DIR";
            return Err(SessionError::State(why.to_owned()));
        }
        let folder = wanted.map(|path| Folder::open(path)).transpose();
        let folder = folder.map_err(|error| SessionError::State(error.to_string()))?;
        let kept = folder
            .as_ref()
            .map(|folder| breaker::load(folder, is_paper));
        let kept = kept.transpose();
        let kept = kept.map_err(|error| SessionError::State(error.to_string()))?;
        Ok(Keeper {
            folder,
            is_paper,
            names: Vec::new(),
            kept: kept.unwrap_or_default(),
            written: None,
            standings: BTreeMap::new(),
            seen: Breakers::default(),
            word: 0,
            due: Nanos::ZERO,
            is_failing: false,
        })
    }

    /// Tells the scanner, and loudly the user, what the run before has left. Standings that can't
    /// be read are none: every market starts at its smallest size.
    pub fn restore(&mut self, control: &mut Tx<Control>, instruments: &[Instrument]) {
        self.names = instruments
            .iter()
            .map(|instrument| instrument.name)
            .collect();
        let Some(folder) = &self.folder else { return };
        let mut restored = self.kept.restored();
        restored.word = 1;
        // The link was just made and holds a word for every instrument, and more.
        let _ = control.push(Control::Breakers(restored));
        let breakers = restored.breakers();
        (self.word, self.seen, self.written) = (1, breakers, Some(breakers));
        for breaker in BREAKERS {
            if let Some(line) = self.kept.opening(breaker) {
                eprintln!(
                    "parallax: NO PAIR WILL BE ENTERED: the circuit breaker {} is open since {}: \
                     {}\n    fix: find out why, then: parallax breaker reset --reason TEXT",
                    breaker.name(),
                    utc(line.t),
                    line.why
                );
            }
        }
        match folder
            .read(standings_name(self.is_paper))
            .map(read_standings)
        {
            Ok(Ok(all)) => {
                for instrument in instruments {
                    let Some(standing) = all.get(instrument.name.as_str()) else {
                        continue;
                    };
                    self.standings.insert(instrument.id, *standing);
                    let _ = control.push(Control::Standing {
                        instrument: instrument.id,
                        standing: *standing,
                    });
                }
            }
            Ok(Err(why)) => eprintln!("parallax: {why}; every market starts small"),
            Err(error) => eprintln!("parallax: {error}; every market starts small"),
        }
    }

    /// Writes what is new, passes a reset on; gives what is to be said.
    pub fn look(
        &mut self,
        status: &Status,
        totals: &Totals,
        control: &mut Tx<Control>,
        now: Nanos,
    ) -> Vec<String> {
        let breakers = &status.breakers;
        // What the scanner said before it heard our last word is out of date.
        if breakers.word != self.word {
            return Vec::new();
        }
        let is_new = |idx: &usize| self.seen.open[*idx].is_none() && breakers.open[*idx].is_some();
        let opened: Vec<usize> = (0..BREAKERS.len()).filter(is_new).collect();
        if now < self.due && opened.is_empty() {
            return Vec::new();
        }
        let is_open = breakers.first_open().is_some();
        self.seen = *breakers;
        self.due = now.plus(match is_open {
            true => RESET_EVERY_NS,
            false => WRITE_EVERY_NS,
        });
        let opened = opened.into_iter().filter_map(|idx| open_one(breakers, idx));
        let mut said: Vec<String> = opened.collect();
        said.extend(self.write(breakers, totals, is_open));
        if self.folder.is_some() && self.kept.is_reset(breakers) {
            said.extend(self.tell(control));
        }
        said
    }

    /// Passes what is kept on to the scanner, after a human's reset.
    fn tell(&mut self, control: &mut Tx<Control>) -> Option<String> {
        let mut restored = self.kept.restored();
        restored.word = self.word.wrapping_add(1);
        control.push(Control::Breakers(restored)).ok()?;
        let breakers = restored.breakers();
        self.word = restored.word;
        (self.seen, self.written) = (breakers, Some(breakers));
        Some("the circuit breakers were reset: pairs are entered again".to_owned())
    }

    /// The last word of a run.
    pub fn finish(&mut self, status: &Status, totals: &Totals) {
        if status.breakers.word != self.word {
            return;
        }
        if let Some(line) = self.write(&status.breakers, totals, false) {
            eprintln!("parallax: {line}");
        }
    }

    /// Writes what differs from what was written; breakers also when a reset is to be looked for.
    /// Gives what is to be said of failures: once, until it works again.
    fn write(&mut self, breakers: &Breakers, totals: &Totals, looks: bool) -> Option<String> {
        let folder = self.folder.as_ref()?;
        let mut result = Ok(());
        if looks || self.written != Some(*breakers) {
            match breaker::keep(folder, self.is_paper, breakers) {
                Ok(kept) => {
                    self.kept = kept;
                    self.written = Some(*breakers);
                }
                Err(error) => result = Err(error),
            }
        }
        let changed = totals.standings.iter();
        let changed = changed.filter(|(id, now)| self.standings.get(id) != Some(now));
        let changed: Vec<(InstrumentId, Standing)> = changed.map(|(id, now)| (*id, *now)).collect();
        if !changed.is_empty() {
            match keep_standings(folder, self.is_paper, &self.names, &changed) {
                Ok(()) => self.standings.extend(changed),
                Err(error) => result = Err(BreakerError::State(error)),
            }
        }
        let was_failing = std::mem::replace(&mut self.is_failing, result.is_err());
        let error = result.err().filter(|_| !was_failing)?;
        Some(format!(
            "what the next run must know was not written: {error}"
        ))
    }
}

/// The open breakers in sentences.
pub fn open_said(breakers: &Breakers) -> Vec<String> {
    (0..BREAKERS.len())
        .filter_map(|idx| open_one(breakers, idx))
        .collect()
}

fn open_one(breakers: &Breakers, idx: usize) -> Option<String> {
    let opened = breakers.open[idx]?;
    let (name, why) = (BREAKERS[idx].name(), told(&opened.sight));
    let since = match opened.sight {
        Sight::Earlier => format!("since {}", utc(opened.t)),
        _ => why,
    };
    Some(format!(
        "the circuit breaker {name} is open ({since}): no pair is entered until `parallax breaker \
         reset --reason TEXT`"
    ))
}

fn standings_name(is_paper: bool) -> &'static str {
    match is_paper {
        true => "paper-ramp.json",
        false => "ramp.json",
    }
}

/// Standings by market, from the file's bytes.
fn read_standings(bytes: Option<Vec<u8>>) -> Result<BTreeMap<String, Standing>, &'static str> {
    const WRONG: &str = "what the markets' sizes had grown to can't be understood";
    let Some(bytes) = bytes else {
        return Ok(BTreeMap::new());
    };
    let json: Value = serde_json::from_slice(&bytes).map_err(|_| WRONG)?;
    if json["version"].as_u64() != Some(VERSION) {
        return Err(WRONG);
    }
    let read = |(name, row): (&String, &Value)| {
        let number = |field: &str| row[field].as_u64();
        let standing = Standing {
            level: u8::try_from(number("level")?).ok()?,
            kept: u16::try_from(number("kept")?).ok()?,
            lost: u16::try_from(number("lost")?).ok()?,
            t_rest: Nanos(number("rest_until_ns")?),
        };
        Some((name.clone(), standing))
    };
    let rows = json["markets"].as_object().ok_or(WRONG)?.iter();
    rows.map(read).collect::<Option<_>>().ok_or(WRONG)
}

/// Replaces these markets' rows and leaves the others.
fn keep_standings(
    folder: &Folder,
    is_paper: bool,
    names: &[Name],
    changed: &[(InstrumentId, Standing)],
) -> Result<(), StateError> {
    folder.update(standings_name(is_paper), |bytes| {
        let mut all = read_standings(bytes).unwrap_or_default();
        for (id, standing) in changed {
            if let Some(name) = names.get(id.idx()) {
                all.insert(name.as_str().to_owned(), *standing);
            }
        }
        Ok(write_standings(&all))
    })
}

fn write_standings(all: &BTreeMap<String, Standing>) -> Vec<u8> {
    let row = |(name, standing): (&String, &Standing)| {
        let row = json!({
            "level": standing.level,
            "kept": standing.kept,
            "lost": standing.lost,
            "rest_until_ns": standing.t_rest.0,
        });
        (name.clone(), row)
    };
    let markets: Map<String, Value> = all.iter().map(row).collect();
    let json = json!({ "version": VERSION, "markets": markets });
    format!("{json:#}\n").into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::market::lasting::{Breaker, Opened};
    use crate::market::units::Notional;
    use crate::stage::link::{Rx, link};
    use std::path::PathBuf;

    struct Place(PathBuf);

    impl Place {
        fn new(name: &str) -> Place {
            let place = std::env::temp_dir()
                .join(format!("parallax-keeping-{}-{name}", std::process::id()));
            let _ = std::fs::remove_dir_all(&place);
            Place(place)
        }

        /// A keeper as a paper run of one market has it.
        fn keeper(&self) -> (Keeper, Tx<Control>, Rx<Control>) {
            let folder = Folder::open(&self.0).unwrap();
            let kept = breaker::load(&folder, true).unwrap();
            let keeper = Keeper {
                folder: Some(folder),
                is_paper: true,
                names: vec![Name::new("BTC").unwrap()],
                kept,
                written: None,
                standings: BTreeMap::new(),
                seen: Breakers::default(),
                word: 0,
                due: Nanos::ZERO,
                is_failing: false,
            };
            let (control, heard) = link("control", 16);
            (keeper, control, heard)
        }

        fn reset(&self) {
            let place = crate::config::Place {
                dir: Some(self.0.clone()),
                is_paper: true,
            };
            breaker::command(&place, Some("looked into it"), Nanos(9 * SECOND)).unwrap();
        }
    }

    impl Drop for Place {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    fn halted() -> Status {
        let mut status = Status::default();
        let (t, sight) = (Nanos(SECOND), Sight::Halt(None));
        status.breakers.open[Breaker::Halt.idx()] = Some(Opened { t, sight });
        status.breakers.realised = Notional::from_usd(-3);
        status
    }

    #[test]
    fn what_opens_is_kept_at_once_and_a_reset_is_passed_on_once() {
        let place = Place::new("reset");
        let (mut keeper, mut control, mut heard) = place.keeper();
        let totals = Totals::new();
        let mut at = |status: &Status, s: u64| {
            let said = keeper.look(status, &totals, &mut control, Nanos(s * SECOND));
            (said.len(), heard.pop())
        };
        assert_eq!(at(&Status::default(), 10).0, 0);
        // Not due, and yet written and told.
        assert_eq!(at(&halted(), 10).0, 1);
        let folder = Folder::open(&place.0).unwrap();
        assert!(
            breaker::load(&folder, true)
                .unwrap()
                .opening(Breaker::Halt)
                .is_some()
        );
        assert_eq!(at(&halted(), 20).0, 0);
        place.reset();
        let (said, word) = at(&halted(), 30);
        assert_eq!(said, 1);
        let Some(Control::Breakers(breakers)) = word else {
            panic!("{word:?}");
        };
        assert_eq!(breakers.breakers().first_open(), None);
        // The scanner's status is behind: nothing is opened, told or passed on again.
        for s in [40, 50] {
            let (said, word) = at(&halted(), s);
            assert!(said == 0 && word.is_none());
        }
        let mut heard_it = Status::default();
        heard_it.breakers.word = breakers.word;
        heard_it.breakers.realised = Notional::from_usd(-1);
        let (said, word) = at(&heard_it, 60);
        assert!(said == 0 && word.is_none());
        let kept = breaker::load(&folder, true).unwrap();
        assert_eq!(
            (kept.log.len(), kept.restored().breakers().first_open()),
            (2, None)
        );
        assert_eq!(kept.sums.1, Notional::from_usd(-1));
    }

    #[test]
    fn a_run_begins_with_what_was_kept_and_a_status_from_before_changes_nothing() {
        let place = Place::new("begin");
        let (mut keeper, mut control, mut heard) = place.keeper();
        let totals = Totals::new();
        keeper.look(&halted(), &totals, &mut control, Nanos(SECOND));
        let (mut keeper, mut control, mut heard_now) = place.keeper();
        assert!(heard.pop().is_none());
        keeper.restore(&mut control, &[]);
        let Some(Control::Breakers(breakers)) = heard_now.pop() else {
            panic!("nothing was restored");
        };
        assert_eq!(breakers.breakers().first_open(), Some(Breaker::Halt));
        assert_eq!(breakers.realised, Notional::from_usd(-3));
        keeper.look(
            &Status::default(),
            &totals,
            &mut control,
            Nanos(90 * SECOND),
        );
        keeper.finish(&Status::default(), &totals);
        let folder = Folder::open(&place.0).unwrap();
        let kept = breaker::load(&folder, true).unwrap();
        assert_eq!(kept.sums.1, Notional::from_usd(-3));
        assert_eq!(kept.log.len(), 1);
    }

    #[test]
    fn standings_of_other_markets_stay() {
        let place = Place::new("standings");
        let folder = Folder::open(&place.0).unwrap();
        let standing = |level| Standing {
            level,
            kept: 1,
            lost: 2,
            t_rest: Nanos(u64::MAX),
        };
        let names = ["ETH", "BTC"].map(|name| Name::new(name).unwrap());
        keep_standings(&folder, false, &names, &[(InstrumentId(0), standing(3))]).unwrap();
        keep_standings(
            &folder,
            false,
            &names[1..],
            &[(InstrumentId(0), standing(5))],
        )
        .unwrap();
        let all = read_standings(folder.read("ramp.json").unwrap()).unwrap();
        let found: Vec<_> = all.into_iter().collect();
        let wanted = [
            ("BTC".to_owned(), standing(5)),
            ("ETH".to_owned(), standing(3)),
        ];
        assert_eq!(found, wanted);
        for bad in [
            "",
            "{}",
            r#"{"version":2,"markets":{}}"#,
            r#"{"version":1,"markets":{"A":{}}}"#,
        ] {
            assert!(read_standings(Some(bad.into())).is_err(), "{bad}");
        }
        assert_eq!(read_standings(None), Ok(BTreeMap::new()));
    }
}
