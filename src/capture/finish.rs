//! Turns finished segments into tapes, one at a time, beside the recording.
//!
//! Promises: a tape appears whole under its name or not at all; the capture goes when its tape is
//! on the disk, and stays where it could not be made into one.

use super::folder::{CAPTURE, PART, TAPE};
use crate::sim::tape::TapeError;
use crate::sim::tape::convert::convert;
use serde::Serialize;
use std::collections::VecDeque;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::thread::{Builder, JoinHandle};

/// A tape that was made.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Made {
    /// Where it is.
    pub file: PathBuf,
    /// Its length.
    pub bytes: u64,
    /// How long it plays.
    pub seconds: f64,
    /// Times a book stands still on it because messages were missing.
    pub breaks: u64,
    /// What is not on it, and why.
    pub left_out: Vec<String>,
}

/// A capture that no tape could be made of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Left {
    /// Where it is.
    pub file: PathBuf,
    /// Why.
    pub why: String,
}

/// Segments on their way to tapes.
#[derive(Default)]
pub struct Finisher {
    waiting: VecDeque<PathBuf>,
    working: Option<(PathBuf, JoinHandle<Result<Made, TapeError>>)>,
    /// What was made.
    pub made: Vec<Made>,
    /// What could not be.
    pub left: Vec<Left>,
}

impl Finisher {
    /// Takes a capture that nobody writes to any more.
    pub fn add(&mut self, capture: PathBuf) {
        self.waiting.push_back(capture);
    }

    /// Collects what is done and begins the next.
    pub fn turn(&mut self) -> io::Result<()> {
        if let Some((capture, thread)) = self.working.take_if(|(_, thread)| thread.is_finished()) {
            self.collect(capture, thread);
        }
        if self.working.is_none()
            && let Some(capture) = self.waiting.pop_front()
        {
            let given = capture.clone();
            let builder = Builder::new().name("tape".into());
            self.working = Some((capture, builder.spawn(move || make(&given))?));
        }
        Ok(())
    }

    /// Waits until everything taken is done.
    pub fn wait(&mut self) -> io::Result<()> {
        loop {
            self.turn()?;
            match self.working.take() {
                Some((capture, thread)) => self.collect(capture, thread),
                None => return Ok(()),
            }
        }
    }

    /// The files that are read and written now; nobody else may remove them.
    pub fn in_work(&self) -> Vec<PathBuf> {
        let of = |(capture, _): &(PathBuf, _)| [capture.clone(), beside(capture, PART)];
        self.working
            .as_ref()
            .map(of)
            .into_iter()
            .flatten()
            .collect()
    }

    fn collect(&mut self, capture: PathBuf, thread: JoinHandle<Result<Made, TapeError>>) {
        let why = match thread.join() {
            Ok(Ok(made)) => return self.made.push(made),
            Ok(Err(error)) => error.to_string(),
            Err(_) => "the conversion broke".to_owned(),
        };
        let _ = fs::remove_file(beside(&capture, PART));
        self.left.push(Left { file: capture, why });
    }
}

/// Makes the tape beside its capture, then removes that.
fn make(capture: &Path) -> Result<Made, TapeError> {
    let (tape, part) = (beside(capture, TAPE), beside(capture, PART));
    let converted = convert(&[capture.to_owned()], &part)?;
    let unwritable = |error| TapeError::Unwritable(tape.clone(), error);
    // On the disk before it has its name, and before the capture goes.
    let file = File::open(&part).map_err(unwritable)?;
    file.sync_all().map_err(unwritable)?;
    fs::rename(&part, &tape).map_err(unwritable)?;
    fs::remove_file(capture).map_err(|error| TapeError::Unwritable(capture.into(), error))?;
    Ok(Made {
        file: tape,
        bytes: converted.bytes_len as u64,
        seconds: converted.span_ns as f64 / 1e9,
        breaks: converted.breaks,
        left_out: converted.skipped,
    })
}

/// The same segment with another ending.
fn beside(capture: &Path, ending: &str) -> PathBuf {
    let text = capture.to_string_lossy();
    PathBuf::from(format!("{}{ending}", text.trim_end_matches(CAPTURE)))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Place, segment};
    use super::*;
    use crate::sim::tape::Tape;

    #[test]
    fn captures_become_tapes_one_after_the_other() {
        let place = Place::new("finish");
        let path = |name: &str| place.path().join(name);
        for name in ["a", "b"] {
            segment(path(&format!("{name}.capture.gz")), 1_000);
        }
        fs::write(path("bad.capture.gz"), "no capture").unwrap();
        let mut finisher = Finisher::default();
        for name in ["a", "bad", "b", "gone"] {
            finisher.add(path(&format!("{name}.capture.gz")));
        }
        finisher.turn().unwrap();
        assert_eq!(
            finisher.in_work(),
            [path("a.capture.gz"), path("a.tape.part")]
        );
        finisher.wait().unwrap();
        assert!(finisher.in_work().is_empty());
        let files: Vec<_> = finisher.made.iter().map(|made| made.file.clone()).collect();
        assert_eq!(files, [path("a.tape"), path("b.tape")]);
        assert_eq!(finisher.made[0].seconds, 1.0);
        let left: Vec<_> = finisher.left.iter().map(|left| left.file.clone()).collect();
        assert_eq!(left, [path("bad.capture.gz"), path("gone.capture.gz")]);
        Tape::load(&path("a.tape")).unwrap();
        let mut names: Vec<_> = fs::read_dir(place.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        assert_eq!(names, ["a.tape", "b.tape", "bad.capture.gz"]);
    }
}
