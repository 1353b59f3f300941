//! What a recording says of itself: a line while it runs, a few lines or one object at its end.

use super::{Left, Made};
use crate::market::VENUES;
use crate::market::units::{MS, Nanos};
use crate::record::report::duration;
use serde_json::{Value, json};
use std::io::{self, IsTerminal, Write};

/// The progress line is rewritten this often.
const PROGRESS_EVERY_NS: u64 = 500 * MS;
/// To the start of the line, and erase it (ECMA-48, EL).
const CLEAR: &str = "\r\x1b[K";
/// Bytes in the unit that people are told.
const MIB: f64 = (1 << 20) as f64;

/// Why a recording ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Its time was over.
    Time,
    /// Ctrl-C or SIGTERM.
    Signal,
    /// The disk had less left than recording must leave (free, least), bytes.
    DiskShort(u64, u64),
    /// Something could not be written.
    Failed(String),
}

impl Ended {
    /// It ended as it was meant to.
    pub fn is_wanted(&self) -> bool {
        matches!(self, Ended::Time | Ended::Signal)
    }

    /// Name in JSON.
    pub fn name(&self) -> &'static str {
        match self {
            Ended::Time => "time",
            Ended::Signal => "signal",
            Ended::DiskShort(..) => "disk_short",
            Ended::Failed(_) => "failed",
        }
    }
}

/// A finished recording.
#[derive(Clone, Debug)]
pub struct Summary {
    /// Why it ended.
    pub ended: Ended,
    /// Everything recorded became a tape.
    pub is_whole: bool,
    /// How long it ran.
    pub ran_ns: u64,
    /// Messages written down, by `Venue::idx`.
    pub messages: [u64; 2],
    /// Messages after which a book was asked for anew, by `Venue::idx`.
    pub gaps: [u64; 2],
    /// The tapes that were made, also of what an earlier recorder left. Some may be gone again.
    pub made: Vec<Made>,
    /// Captures that no tape could be made of, also those of an earlier recorder; they are still
    /// there.
    pub left: Vec<Left>,
    /// Our files that were removed to stay within the bound.
    pub removed: usize,
    /// Bytes of our files in the folder at the end.
    pub bytes: u64,
}

impl Summary {
    /// All is well: it ended as it was meant to, and everything recorded became a tape.
    pub fn is_clean(&self) -> bool {
        self.ended.is_wanted() && self.is_whole
    }

    /// What a human must know, in one sentence; `None` when all is well.
    pub fn complaint(&self) -> Option<String> {
        match &self.ended {
            Ended::DiskShort(free, least) => Some(disk_short(*free, *least)),
            Ended::Failed(why) => Some(format!("recording has stopped: {why}")),
            Ended::Time | Ended::Signal => None,
        }
    }

    /// For programs.
    pub fn json(&self) -> Value {
        let by_venue = |counts: [u64; 2]| -> Value {
            let pair = |venue: crate::market::Venue| (venue.name(), counts[venue.idx()]);
            VENUES.into_iter().map(pair).collect()
        };
        json!({
            "seconds": self.ran_ns as f64 / 1e9,
            "ended": self.ended.name(),
            "messages": by_venue(self.messages),
            "gaps": by_venue(self.gaps),
            "tapes": self.made,
            "left": self.left,
            "removed": self.removed,
            "folder_bytes": self.bytes,
        })
    }

    /// For people.
    pub fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        for venue in VENUES {
            let (messages, gaps) = (self.messages[venue.idx()], self.gaps[venue.idx()]);
            if messages > 0 {
                let name = venue.name();
                writeln!(out, "{name}: {messages} messages, {gaps} gaps")?;
            }
        }
        for made in &self.made {
            let (file, bytes) = (made.file.display(), made.bytes);
            writeln!(out, "{file}: {bytes} bytes, {:.1} s", made.seconds)?;
            if made.breaks > 0 {
                writeln!(out, "  books stand still {} times", made.breaks)?;
            }
            for what in &made.left_out {
                writeln!(out, "  left out: {what}")?;
            }
        }
        for left in &self.left {
            writeln!(out, "{}: no tape: {}", left.file.display(), left.why)?;
        }
        if self.removed > 0 {
            writeln!(
                out,
                "{} of the oldest removed to stay within the bound",
                self.removed
            )?;
        }
        let megabytes = self.bytes as f64 / MIB;
        let ran = duration(self.ran_ns);
        writeln!(out, "recorded {ran}; {megabytes:.1} MiB in the folder")
    }
}

/// The disk is short, in one sentence with its fix.
pub(super) fn disk_short(free_bytes: u64, least_bytes: u64) -> String {
    let [free, least] = [free_bytes, least_bytes].map(|bytes| bytes as f64 / MIB);
    format!(
        "recording stops: the disk has {free:.0} MiB left and must keep {least:.0}; free some, \
         record to another disk (--dir), or lower --min-free-mb"
    )
}

/// One line on standard error, only for a person at a terminal.
pub(super) struct Progress {
    is_terminal: bool,
    began: Nanos,
    due: Nanos,
}

impl Progress {
    /// Nothing is shown before the first due time.
    pub(super) fn new(began: Nanos) -> Progress {
        Progress {
            is_terminal: io::stderr().is_terminal(),
            began,
            due: began.plus(PROGRESS_EVERY_NS),
        }
    }

    /// Rewrites the line when it is due. A terminal that has gone away is no reason to stop.
    pub(super) fn show(&mut self, now: Nanos, messages: u64, folder_bytes: u64) {
        if !self.is_terminal || now < self.due {
            return;
        }
        self.due = now.plus(PROGRESS_EVERY_NS);
        let ran = duration(now.since(self.began));
        let megabytes = folder_bytes as f64 / MIB;
        let mut out = io::stderr().lock();
        let _ = write!(
            out,
            "{CLEAR}{ran:>8}  {messages} messages  {megabytes:.1} MiB in the folder"
        );
        let _ = out.flush();
    }
}

impl Drop for Progress {
    /// Takes the line away, so that a report can follow.
    fn drop(&mut self) {
        if self.is_terminal {
            let _ = write!(io::stderr(), "{CLEAR}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summary() -> Summary {
        Summary {
            ended: Ended::Signal,
            is_whole: true,
            ran_ns: 5_000_000_000,
            messages: [0, 12],
            gaps: [0, 1],
            made: vec![Made {
                file: "tapes/a.tape".into(),
                bytes: 3,
                seconds: 4.5,
                breaks: 2,
                left_out: vec!["DOGE of lighter: its books were not whole".into()],
            }],
            left: Vec::new(),
            removed: 1,
            bytes: 3 << 20,
        }
    }

    #[test]
    fn people_and_programs_are_told_the_same() {
        let summary = summary();
        assert!(summary.is_clean() && summary.complaint().is_none());
        let told = summary.json();
        assert_eq!(told["seconds"], 5.0);
        assert_eq!(told["ended"], "signal");
        assert_eq!(told["messages"]["lighter"], 12);
        assert_eq!(told["gaps"]["lighter"], 1);
        assert_eq!(told["tapes"][0]["file"], "tapes/a.tape");
        assert_eq!(told["folder_bytes"], 3 << 20);
        let mut text = Vec::new();
        summary.write(&mut text).unwrap();
        assert_eq!(
            String::from_utf8(text).unwrap(),
            "lighter: 12 messages, 1 gaps\n\
             tapes/a.tape: 3 bytes, 4.5 s\n  books stand still 2 times\n  \
             left out: DOGE of lighter: its books were not whole\n\
             1 of the oldest removed to stay within the bound\n\
             recorded 5.00 s; 3.0 MiB in the folder\n"
        );
    }

    #[test]
    fn what_is_not_well_is_said() {
        let mut summary = summary();
        summary.is_whole = false;
        assert!(!summary.is_clean());
        summary.is_whole = true;
        summary.left.push(Left {
            file: "b.capture.gz".into(),
            why: "no book".into(),
        });
        assert!(summary.is_clean());
        let mut text = Vec::new();
        summary.write(&mut text).unwrap();
        let text = String::from_utf8(text).unwrap();
        assert!(text.contains("b.capture.gz: no tape: no book"), "{text}");
        summary.ended = Ended::DiskShort(512 << 20, 1 << 30);
        assert!(!summary.is_clean());
        let said = summary.complaint().unwrap();
        assert!(said.contains("512 MiB left and must keep 1024"), "{said}");
        summary.ended = Ended::Failed("no".into());
        assert_eq!(summary.json()["ended"], "failed");
        assert!(summary.complaint().is_some() && !summary.is_clean());
    }
}
