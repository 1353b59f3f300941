//! Where settings come from: the process environment and one `.env` file, as they were written.
//!
//! Promises: the process environment wins over the file; nothing is exported into the process;
//! values are wiped when they are dropped; a fault never repeats a line of the file, which may
//! hold a secret. Refuses: a file that others can read, names that are not ours, judging values.

use crate::config::fault::Fault;
use crate::config::names::{self, Key, Kind};
use crate::keys::Secret;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Settings as text, every name known.
pub struct Raw {
    values: BTreeMap<&'static str, Secret>,
    /// Faults found while reading.
    pub faults: Vec<Fault>,
    /// Where this user's programs keep their state: XDG_STATE_HOME, or `.local/state` at home (XDG
    /// Base Directory Specification 0.8). `None` where settings were given without an environment.
    pub state_home: Option<PathBuf>,
    /// Keys are in a keystore that was not opened.
    pub is_locked: bool,
    /// The key of the wallet is wanted from it as well, as it is where AUTO_REBALANCE is true.
    pub wants_wallet: bool,
}

impl Raw {
    /// Takes settings given by name; every name must be known and stand once.
    pub fn from_settings(settings: Vec<(String, String)>) -> Raw {
        let mut raw = Raw {
            values: BTreeMap::new(),
            faults: Vec::new(),
            state_home: None,
            is_locked: false,
            wants_wallet: false,
        };
        for (name, value) in settings {
            raw.add(&name, value, "");
        }
        raw.note_keystore();
        raw
    }

    /// Reads the file, if one is given, and then lays the process environment over it.
    pub fn from_sources(file: Option<&Path>, process: Vec<(String, String)>) -> Raw {
        let mut raw = Raw::from_settings(Vec::new());
        if let Some(path) = file {
            raw.read_file(path);
        }
        raw.state_home = state_home(&process);
        for (name, value) in process {
            match names::find(&name) {
                Some(key) => {
                    raw.values.insert(key.name, hold(key, value));
                }
                None => {
                    // It may have been meant for one of ours: wiped like one.
                    drop(Secret::beside(value));
                    if is_judged(&name) {
                        raw.faults.push(unknown(&name, " (environment)"));
                    }
                }
            }
        }
        raw.note_keystore();
        raw
    }

    /// Sets a value that was found elsewhere.
    pub fn put(&mut self, name: &'static str, value: String) {
        self.values.insert(name, Secret::new(value));
    }

    /// The value of a setting, if it was set to anything but nothing.
    pub fn value(&self, name: &str) -> Option<&str> {
        let value = self.values.get(name)?;
        let text = value.expose();
        (!text.is_empty()).then_some(text)
    }

    /// Whether the setting stands there without a value.
    pub fn is_blank(&self, name: &str) -> bool {
        self.values
            .get(name)
            .is_some_and(|value| value.expose().is_empty())
    }

    fn read_file(&mut self, path: &Path) {
        if let Err(fault) = refuse_readable_by_others(path) {
            self.faults.push(fault);
            return;
        }
        let text = match fs::read_to_string(path) {
            Ok(text) => Secret::new(text),
            Err(error) => {
                self.faults.push(unreadable(path, &error));
                return;
            }
        };
        let text = text.expose();
        let plain = text.strip_prefix('\u{feff}').unwrap_or(text);
        for item in dotenvy::from_read_iter(plain.as_bytes()) {
            match item {
                Ok((name, value)) => {
                    self.add(&name, value, &format!(" ({})", path.display()));
                }
                Err(error) => {
                    let place = place_of(plain, error);
                    self.faults.push(Fault::new(
                        &path.display().to_string(),
                        &format!("has something at {place} that is not NAME=value"),
                        "write one NAME=value a line; put values with spaces or # in quotes",
                    ));
                }
            }
        }
    }

    fn add(&mut self, name: &str, value: String, place: &str) {
        let Some(key) = names::find(name) else {
            drop(Secret::beside(value));
            self.faults.push(unknown(name, place));
            return;
        };
        if self.values.insert(key.name, hold(key, value)).is_some() {
            let fault = Fault::new(
                &format!("{name}{place}"),
                "is set more than once",
                "keep one of the lines",
            );
            self.faults.push(fault);
        }
    }
}

/// Only what is a secret is worth a locked page.
fn hold(key: &Key, value: String) -> Secret {
    match key.kind {
        Kind::Secret => Secret::new(value),
        _ => Secret::beside(value),
    }
}

/// The file that is read when none is named: `.env` in the current folder, if there is one.
pub fn default_file() -> Option<PathBuf> {
    let path = PathBuf::from(".env");
    path.exists().then_some(path)
}

/// Where the service manager puts credentials for this process (systemd.exec(5)).
pub fn credentials_dir() -> Option<PathBuf> {
    std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from)
}

/// A relative path in XDG_STATE_HOME counts as none, by the specification.
fn state_home(process: &[(String, String)]) -> Option<PathBuf> {
    let absolute = |name: &str| {
        let (_, value) = process.iter().find(|(other, _)| other == name)?;
        Some(PathBuf::from(value)).filter(|path| path.is_absolute())
    };
    absolute("XDG_STATE_HOME").or_else(|| Some(absolute("HOME")?.join(".local/state")))
}

/// The process environment, as far as it is text.
pub fn process_environment() -> Vec<(String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

/// Of the many names in a process environment only those that look meant for us are judged.
fn is_judged(name: &str) -> bool {
    name.starts_with("EXTENDED_") || name.starts_with("LIGHTER_") || names::is_near_miss(name)
}

fn unknown(name: &str, place: &str) -> Fault {
    Fault::new(
        &format!("{name}{place}"),
        "is not a setting of parallax",
        &format!(
            "did you mean {}? .env.example lists every setting",
            names::nearest(name)
        ),
    )
}

fn unreadable(path: &Path, error: &std::io::Error) -> Fault {
    Fault::new(
        &path.display().to_string(),
        &format!("cannot be read: {error}"),
        "name a file that exists: cp .env.example .env && chmod 600 .env",
    )
}

#[cfg(unix)]
fn refuse_readable_by_others(path: &Path) -> Result<(), Fault> {
    use std::os::unix::fs::PermissionsExt;
    let metadata = fs::metadata(path).map_err(|error| unreadable(path, &error))?;
    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o077 == 0 {
        return Ok(());
    }
    Err(Fault::new(
        &path.display().to_string(),
        &format!("can be read by others (mode {mode:03o}), and it may hold keys"),
        &format!("chmod 600 {}", path.display()),
    ))
}

/// Where there are no such permissions there is nothing to check.
#[cfg(not(unix))]
fn refuse_readable_by_others(_path: &Path) -> Result<(), Fault> {
    Ok(())
}

/// The line number of a parser's complaint. The complaint itself repeats the line, so it is never
/// shown.
fn place_of(text: &str, error: dotenvy::Error) -> String {
    let dotenvy::Error::LineParse(line, _) = error else {
        return "an unknown place".to_owned();
    };
    let line = Secret::new(line);
    let first = line.expose().lines().next().unwrap_or_default().trim();
    match text.lines().position(|candidate| candidate.trim() == first) {
        Some(at) => format!("line {}", at + 1),
        None => "an unknown line".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
        let own = |(name, value): &(&str, &str)| (name.to_string(), value.to_string());
        list.iter().map(own).collect()
    }

    #[test]
    fn strangers_in_the_process_are_left_alone() {
        let raw = Raw::from_sources(
            None,
            pairs(&[("PATH", "/bin"), ("HOME", "/"), ("TRADING_MODE", "live")]),
        );
        assert!(raw.faults.is_empty());
        assert_eq!(raw.value("TRADING_MODE"), Some("live"));
        assert_eq!(raw.value("PATH"), None);
    }

    #[test]
    fn our_prefixes_and_slips_are_judged() {
        let raw = Raw::from_sources(
            None,
            pairs(&[("LIGHTER_KEY", "topsecret"), ("TRADING_MODES", "live")]),
        );
        let names: Vec<_> = raw.faults.iter().map(|fault| fault.name.as_str()).collect();
        assert_eq!(
            names,
            ["LIGHTER_KEY (environment)", "TRADING_MODES (environment)"]
        );
        assert!(raw.faults[1].fix.contains("TRADING_MODE?"));
        assert!(
            raw.faults
                .iter()
                .all(|f| !format!("{f}").contains("topsecret"))
        );
    }

    #[test]
    fn settings_stand_once_and_are_known() {
        let raw = Raw::from_settings(pairs(&[("SEATS", "auto"), ("SEATS", "own"), ("X", "1")]));
        let wrong: Vec<_> = raw
            .faults
            .iter()
            .map(|fault| fault.wrong.as_str())
            .collect();
        assert_eq!(
            wrong,
            ["is set more than once", "is not a setting of parallax"]
        );
    }

    #[test]
    fn blank_is_not_a_value() {
        let raw = Raw::from_settings(pairs(&[("SEATS", "")]));
        assert_eq!(raw.value("SEATS"), None);
        assert!(raw.is_blank("SEATS") && !raw.is_blank("MARKETS"));
    }

    #[test]
    fn a_bad_line_is_named_by_its_number() {
        let text = "SEATS=auto\nthis is not\nMARKETS=ALL\n";
        let error = dotenvy::from_read_iter(text.as_bytes())
            .find_map(Result::err)
            .unwrap();
        assert_eq!(place_of(text, error), "line 2");
    }
}
