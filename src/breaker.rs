//! The circuit breakers' file, and `parallax breaker`: what is open, why, and a human's reset.
//!
//! Cold. Promises: every opening and every reset stays in the file, with its time and reason, for
//! as long as the file is kept; what is open follows from that list alone, so that nothing can be
//! closed without a line that says who wanted it. A file that can't be read is never taken for
//! closed breakers. Refuses: a reset without a reason; to open or close anything by itself.

use crate::config::Place;
use crate::market::calendar::utc;
use crate::market::event::HaltCause;
use crate::market::lasting::{BREAKERS, Breaker, Breakers, Restored, Sight};
use crate::market::units::{Nanos, Notional, Price};
use crate::state::{Folder, StateError};
use serde_json::{Value, json};
use std::fmt;

/// Version of the file.
const VERSION: u64 = 1;
/// Most letters of a reason.
const REASON_LETTERS_MAX: usize = 500;

/// Name of the file: paper trading has its own, so that paper losses never stop real trading.
pub fn file_name(is_paper: bool) -> &'static str {
    match is_paper {
        true => "paper-breaker.json",
        false => "breaker.json",
    }
}

/// What stands in the file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    /// Openings and resets, oldest first.
    pub log: Vec<Line>,
    /// Day, its realised result and the peak of equity, as [`Breakers`] has them.
    pub sums: (u32, Notional, Notional),
}

/// One opening or reset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// When.
    pub t: Nanos,
    /// Which.
    pub breaker: Breaker,
    /// It was opened; else it was reset.
    pub opened: bool,
    /// What was seen, or why it was reset.
    pub why: String,
}

impl Kept {
    /// From the file's bytes; nothing was kept where there is no file.
    pub fn read(bytes: Option<&[u8]>) -> Result<Kept, Malformed> {
        let Some(bytes) = bytes else {
            return Ok(Kept::default());
        };
        let json: Value = serde_json::from_slice(bytes).map_err(|_| Malformed("is no JSON"))?;
        if json["version"].as_u64() != Some(VERSION) {
            return Err(Malformed(
                "is of a version that this parallax does not know",
            ));
        }
        let usd = |name: &str| {
            let number = json[name].as_str().map(str::as_bytes).map(Price::parse);
            match number {
                Some(Ok(number)) => Ok(Notional::from_nano(number.0)),
                _ => Err(Malformed("has a sum that is none")),
            }
        };
        let day = json["day"].as_u64().and_then(|day| u32::try_from(day).ok());
        let day = day.ok_or(Malformed("has a day that is none"))?;
        let log = json["log"].as_array().ok_or(Malformed("has no log"))?;
        let lines: Option<Vec<Line>> = log.iter().map(Line::read).collect();
        Ok(Kept {
            log: lines.ok_or(Malformed("has a line in its log that is none"))?,
            sums: (day, usd("realised_usd")?, usd("peak_usd")?),
        })
    }

    /// The file's bytes, for people as well.
    pub fn bytes(&self) -> Vec<u8> {
        let (day, realised, peak) = self.sums;
        let usd = |sum: Notional| Price(sum.to_nano()).to_string();
        let log: Vec<Value> = self.log.iter().map(Line::json).collect();
        let json = json!({
            "version": VERSION,
            "day": day,
            "realised_usd": usd(realised),
            "peak_usd": usd(peak),
            "log": log,
        });
        format!("{json:#}\n").into_bytes()
    }

    /// Since when a breaker is open, and why.
    pub fn opening(&self, breaker: Breaker) -> Option<&Line> {
        let last = self.log.iter().rfind(|line| line.breaker == breaker);
        last.filter(|line| line.opened)
    }

    /// What the scanner begins with.
    pub fn restored(&self) -> Restored {
        let (day, realised, peak) = self.sums;
        Restored {
            open: BREAKERS.map(|breaker| self.opening(breaker).map(|line| line.t)),
            day,
            realised,
            peak,
            word: 0,
        }
    }

    /// Adds what has opened since.
    pub fn add_openings(&mut self, now: &Breakers) {
        for breaker in BREAKERS {
            let opened = now.open[breaker.idx()].filter(|opened| opened.sight != Sight::Earlier);
            let Some(opened) = opened else { continue };
            let is_known =
                |line: &Line| line.opened && line.breaker == breaker && line.t == opened.t;
            if !self.log.iter().any(is_known) {
                self.log.push(Line {
                    t: opened.t,
                    breaker,
                    opened: true,
                    why: told(&opened.sight),
                });
            }
        }
        // Sums of before a reset that the run has not heard of yet would open them again.
        if !self.is_reset(now) {
            self.sums = (now.day, now.realised, now.peak);
        }
    }

    /// A human has reset what the run still holds open.
    pub fn is_reset(&self, now: &Breakers) -> bool {
        let mut both = BREAKERS.into_iter();
        both.any(|b| now.open[b.idx()].is_some() && self.opening(b).is_none())
    }

    /// Closes all that is open; gives those. The sums begin anew, or the next look would open them
    /// again.
    fn reset(&mut self, reason: &str, t: Nanos) -> Vec<Breaker> {
        let is_open = |breaker: &Breaker| self.opening(*breaker).is_some();
        let open: Vec<Breaker> = BREAKERS.into_iter().filter(is_open).collect();
        for breaker in &open {
            match breaker {
                Breaker::DailyLoss => self.sums.1 = Notional::ZERO,
                Breaker::Drawdown => self.sums.2 = Notional::ZERO,
                Breaker::Halt | Breaker::Unwinds | Breaker::Misses => {}
            }
            self.log.push(Line {
                t,
                breaker: *breaker,
                opened: false,
                why: reason.to_owned(),
            });
        }
        open
    }
}

impl Line {
    fn read(json: &Value) -> Option<Line> {
        let word = json["event"].as_str()?;
        Some(Line {
            t: Nanos(json["t_ns"].as_u64()?),
            breaker: Breaker::named(json["breaker"].as_str()?)?,
            opened: match word {
                "opened" => true,
                "reset" => false,
                _ => return None,
            },
            why: json["why"].as_str()?.to_owned(),
        })
    }

    fn json(&self) -> Value {
        json!({
            "t_ns": self.t.0,
            "at": utc(self.t),
            "breaker": self.breaker.name(),
            "event": match self.opened { true => "opened", false => "reset" },
            "why": self.why,
        })
    }
}

/// What a breaker saw, in a sentence's part.
pub fn told(sight: &Sight) -> String {
    match sight {
        Sight::Loss(lost, limit) => {
            format!("the day has lost {lost} USD (DAILY_LOSS_MAX_USD {limit})")
        }
        Sight::Drawdown(equity, peak, limit) => {
            let per_cent = limit.to_f64() / 100.0;
            format!(
                "equity over both venues is {equity} USD, its highest was {peak} \
                 (MAX_DRAWDOWN_PCT {per_cent})"
            )
        }
        Sight::Halt(why) => match why {
            Some(HaltCause::PairStuck) => "halt: a pair is stuck",
            Some(HaltCause::Unexplained) => "halt: a position or fill that nobody explains",
            Some(HaltCause::Foreign) => "halt: somebody else trades on the account",
            Some(HaltCause::Forced) => "halt: a position is smaller than our fills explain",
            Some(HaltCause::HedgeLinkFull) => "halt: a hedge could not be handed on",
            Some(HaltCause::ReportBacklogFull) | None => "halt: a gateway could not go on",
        }
        .to_owned(),
        Sight::InARow(count) => format!("{count} in a row"),
        Sight::Earlier => "open since an earlier run".to_owned(),
    }
}

/// Reads what a folder keeps.
pub fn load(folder: &Folder, is_paper: bool) -> Result<Kept, BreakerError> {
    let name = file_name(is_paper);
    parse(folder, name, folder.read(name)?.as_deref())
}

fn parse(folder: &Folder, name: &str, bytes: Option<&[u8]>) -> Result<Kept, BreakerError> {
    let path = || folder.path(name).display().to_string();
    Kept::read(bytes).map_err(|Malformed(why)| BreakerError::Malformed(path(), why))
}

/// Adds to what a folder keeps what has happened since; gives what it then keeps.
pub fn keep(folder: &Folder, is_paper: bool, now: &Breakers) -> Result<Kept, BreakerError> {
    let name = file_name(is_paper);
    let mut result = Kept::default();
    folder.update(name, |bytes| {
        let mut kept = parse(folder, name, bytes.as_deref())?;
        kept.add_openings(now);
        result = kept;
        Ok::<_, BreakerError>(result.bytes())
    })?;
    Ok(result)
}

/// `parallax breaker`: what is open, and everything that ever was.
pub struct Shown {
    kept: Kept,
    folder: String,
    /// What was reset just now; `None` when nothing was to be.
    reset: Option<Vec<Breaker>>,
}

/// Shows, or with a reason resets, the breakers of a configuration.
pub fn command(place: &Place, reason: Option<&str>, now: Nanos) -> Result<Shown, BreakerError> {
    let path = place.dir.as_deref().ok_or(BreakerError::NoFolder)?;
    let folder = Folder::open(path)?;
    let Some(reason) = reason else {
        let kept = load(&folder, place.is_paper)?;
        return Ok(Shown {
            kept,
            folder: path.display().to_string(),
            reset: None,
        });
    };
    let reason = reason.trim();
    if reason.is_empty() || reason.chars().count() > REASON_LETTERS_MAX {
        return Err(BreakerError::NoReason);
    }
    let name = file_name(place.is_paper);
    let (mut kept, mut reset) = (Kept::default(), Vec::new());
    folder.update(name, |bytes| {
        kept = parse(&folder, name, bytes.as_deref())?;
        reset = kept.reset(reason, now);
        Ok::<_, BreakerError>(kept.bytes())
    })?;
    Ok(Shown {
        kept,
        folder: path.display().to_string(),
        reset: Some(reset),
    })
}

impl Shown {
    /// No breaker is open.
    pub fn is_closed(&self) -> bool {
        BREAKERS.iter().all(|b| self.kept.opening(*b).is_none())
    }

    /// For programs: `{"open":{name:{"at","why"}},"reset":[..],"log":[..],"state_dir"}`.
    pub fn json(&self) -> Value {
        let mut open = serde_json::Map::new();
        for breaker in BREAKERS {
            if let Some(line) = self.kept.opening(breaker) {
                let said = json!({ "at": utc(line.t), "why": line.why });
                open.insert(breaker.name().to_owned(), said);
            }
        }
        let reset = self.reset.iter().flatten().map(|b| b.name());
        json!({
            "open": open,
            "reset": reset.collect::<Vec<_>>(),
            "log": self.kept.log.iter().map(Line::json).collect::<Vec<_>>(),
            "state_dir": self.folder,
        })
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.reset {
            Some(reset) if reset.is_empty() => writeln!(f, "no breaker was open; nothing changed")?,
            Some(reset) => {
                let names: Vec<&str> = reset.iter().map(|b| b.name()).collect();
                writeln!(f, "reset: {}", names.join(", "))?;
            }
            None => {}
        }
        for breaker in BREAKERS {
            match self.kept.opening(breaker) {
                None => writeln!(f, "{:<11} closed", breaker.name())?,
                Some(line) => {
                    let at = utc(line.t);
                    writeln!(f, "{:<11} OPEN since {at}: {}", breaker.name(), line.why)?;
                }
            }
        }
        for line in &self.kept.log {
            let word = match line.opened {
                true => "opened",
                false => "reset",
            };
            let name = line.breaker.name();
            writeln!(f, "  {} {name} {word}: {}", utc(line.t), line.why)?;
        }
        match self.is_closed() {
            true => Ok(()),
            false => writeln!(
                f,
                "no pair is entered while one is open; when you know why it opened:\n  parallax \
                 breaker reset --reason \"what you found\""
            ),
        }
    }
}

/// A file of ours that is not as we write it: what is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed(&'static str);

/// Why breakers could not be shown, kept or reset.
#[derive(Debug)]
pub enum BreakerError {
    /// The state folder.
    State(StateError),
    /// The file can't be understood: which, and why.
    Malformed(String, &'static str),
    /// There is neither STATE_DIR nor a home to keep state in.
    NoFolder,
    /// A reset needs a reason.
    NoReason,
}

impl From<StateError> for BreakerError {
    fn from(error: StateError) -> BreakerError {
        BreakerError::State(error)
    }
}

impl fmt::Display for BreakerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BreakerError::State(error) => error.fmt(f),
            BreakerError::Malformed(path, why) => write!(
                f,
                "{path} {why}, so nobody knows whether a breaker is open\n    fix: mend it, or \
                 move it away if you are sure that none should be"
            ),
            BreakerError::NoFolder => f.write_str(
                "there is no folder to keep breakers in: neither STATE_DIR nor HOME is set",
            ),
            BreakerError::NoReason => write!(
                f,
                "--reason says nothing, or more than {REASON_LETTERS_MAX} letters: write why \
                 trading may go on"
            ),
        }
    }
}

impl std::error::Error for BreakerError {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::market::lasting::Opened;
    use crate::market::units::{Bps, SECOND};
    use proptest::prelude::*;

    fn opened(seconds: u64, sight: Sight) -> Option<Opened> {
        let t = Nanos(seconds * SECOND);
        Some(Opened { t, sight })
    }

    #[test]
    fn openings_are_added_once_and_stay_after_a_reset() {
        let mut kept = Kept::default();
        let mut now = Breakers {
            day: 20_000,
            realised: Notional::from_usd(-30),
            peak: Notional::from_usd(9_000),
            ..Breakers::default()
        };
        let loss = Sight::Loss(Notional::from_usd(30), Notional::from_usd(25));
        now.open[0] = opened(5, loss);
        now.open[2] = opened(6, Sight::Halt(Some(HaltCause::PairStuck)));
        kept.add_openings(&now);
        kept.add_openings(&now);
        assert_eq!(kept.log.len(), 2);
        assert!(kept.opening(Breaker::DailyLoss).is_some());
        assert!(kept.opening(Breaker::Drawdown).is_none());
        let restored = kept.restored().breakers();
        assert_eq!(restored.first_open(), Some(Breaker::DailyLoss));
        assert_eq!(restored.open[0], opened(5, Sight::Earlier));
        assert_eq!((restored.day, restored.peak), (now.day, now.peak));
        // What an earlier run has opened is not opened once more by the next.
        kept.add_openings(&restored);
        assert_eq!(kept.log.len(), 2);

        let reset = kept.reset("fees were wrong, mended", Nanos(9 * SECOND));
        assert_eq!(reset, [Breaker::DailyLoss, Breaker::Halt]);
        assert_eq!(
            (kept.log.len(), kept.restored().breakers().first_open()),
            (4, None)
        );
        assert_eq!(kept.restored().realised, Notional::ZERO);
        assert_eq!(kept.restored().peak, now.peak, "that breaker was not open");
        // The run that opened them goes on telling of it: it is known, and stays reset.
        kept.add_openings(&now);
        assert_eq!(
            (kept.log.len(), kept.restored().breakers().first_open()),
            (4, None)
        );
        assert!(kept.is_reset(&now) && kept.sums.1 == Notional::ZERO);
        now.open[0] = opened(11, loss);
        kept.add_openings(&now);
        assert_eq!(
            kept.restored().breakers().first_open(),
            Some(Breaker::DailyLoss)
        );
        assert_eq!(Kept::read(Some(&kept.bytes())), Ok(kept));
    }

    #[test]
    fn what_cannot_be_read_is_never_taken_for_closed() {
        assert_eq!(Kept::read(None), Ok(Kept::default()));
        let good = String::from_utf8(Kept::default().bytes()).unwrap();
        for (from, to) in [
            ("{", ""),
            ("\"version\": 1", "\"version\": 2"),
            ("\"version\": 1", "\"no\": 1"),
            ("\"log\": []", "\"log\": {}"),
            ("\"log\": []", "\"log\": [{}]"),
            ("\"day\": 0", "\"day\": -1"),
            ("\"peak_usd\": \"0\"", "\"peak_usd\": \"much\""),
        ] {
            assert!(good.contains(from), "{from} in {good}");
            let bad = good.replacen(from, to, 1);
            assert!(Kept::read(Some(bad.as_bytes())).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_was_seen_is_told_with_its_limit() {
        let usd = Notional::from_usd;
        for (sight, part) in [
            (
                Sight::Loss(usd(26), usd(25)),
                "lost 26.000 USD (DAILY_LOSS_MAX_USD 25.000)",
            ),
            (
                Sight::Drawdown(usd(80), usd(100), Bps::whole(1_000)),
                "is 80.000 USD, its highest was 100.000 (MAX_DRAWDOWN_PCT 10)",
            ),
            (Sight::Halt(None), "a gateway"),
            (Sight::InARow(5), "5 in a row"),
        ] {
            let told = told(&sight);
            assert!(told.contains(part), "{told}");
        }
    }

    proptest! {
        #[test]
        fn files_are_read_as_they_were_written(
            lines in prop::collection::vec((any::<u64>(), 0_usize..5, any::<bool>(), ".*"), 0..20),
            (day, realised, peak) in any::<(u32, i64, i64)>(),
        ) {
            let line = |(t, at, opened, why): (u64, usize, bool, String)| {
                let breaker = BREAKERS[at];
                Line { t: Nanos(t), breaker, opened, why }
            };
            let kept = Kept {
                log: lines.into_iter().map(line).collect(),
                sums: (day, Notional::from_nano(realised), Notional::from_nano(peak)),
            };
            prop_assert_eq!(Kept::read(Some(&kept.bytes())), Ok(kept));
        }
    }
}
