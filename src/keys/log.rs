//! What was done with keys: a log beside the keystore that only grows.
//!
//! One line of JSON an act: when, who (user and process), what was done, with which key by its
//! public part, and what was signed, in words. A signature of an Ethereum key is written down
//! before it is made: a crash leaves a line too many, never one too few.
//! Promises: no secret is given to it by any caller; a line is on disk when [`Log::write`] returns.
//! Refuses: signing where it can't be written.

use super::keystore::beside;
use crate::stage::clock::Clock;
use serde_json::json;
use std::fmt;
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::onboarding::MessageTime;

/// The log of one keystore.
#[derive(Debug)]
pub struct Log {
    path: PathBuf,
    clock: Clock,
}

/// The log can't be written: where, and why.
#[derive(Debug)]
pub struct LogError(PathBuf, io::Error);

impl fmt::Display for LogError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let LogError(path, error) = self;
        write!(
            f,
            "the log of key uses {} can't be written, so nothing was signed: {error}\n    fix: \
             make room, and give it to this user",
            path.display()
        )
    }
}

impl std::error::Error for LogError {}

impl Log {
    /// Beside this keystore: its name and `.log`.
    pub fn of(keystore: &Path, clock: Clock) -> Log {
        Log {
            path: beside(keystore, ".log"),
            clock,
        }
    }

    /// Adds a line. `key` is public, `text` is what was signed, word for word, or empty.
    pub fn write(&self, act: &str, key: &str, text: &str) -> Result<(), LogError> {
        let unix_s = self.clock.now().epoch_ms() / 1000;
        let at = MessageTime::from_unix_s(unix_s).map_or(String::new(), |at| at.to_string());
        let line = json!({
            "at": at,
            "user": rustix::process::getuid().as_raw(),
            "process": std::process::id(),
            "act": act,
            "key": key,
            "signed": text,
        });
        let append = || {
            let mut options = OpenOptions::new();
            let mut file = options
                .append(true)
                .create(true)
                .mode(0o600)
                .open(&self.path)?;
            // One write, so that lines of two processes do not mix.
            file.write_all(format!("{line}\n").as_bytes())?;
            file.sync_data()
        };
        append().map_err(|error| LogError(self.path.clone(), error))
    }
}
