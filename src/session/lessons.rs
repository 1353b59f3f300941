//! What is learned of edges, kept from one run to the next: a cold copy of the scanner's memory,
//! taught by the same scores, written down now and then.
//!
//! Promises: the scanner never waits for it; what can't be read is said, and the run starts cold.
//! A copy that missed scores (a full journal link) is only the poorer for it.

use crate::config::Config;
use crate::market::Instrument;
use crate::market::event::Score;
use crate::market::units::{Nanos, SECOND};
use crate::scanner::arrival::table::Table;
use crate::state::Folder;

/// Name of the file in STATE_DIR.
pub const FILE: &str = "arrival.table";
/// How often it is written. Larger: a crash forgets more.
const SAVE_EVERY_NS: u64 = 180 * SECOND;

/// What a run begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Learned {
    /// Nothing: everything is refused until enough has been seen.
    Cold,
    /// What the last run with this STATE_DIR has left; kept for the next one.
    Kept,
    /// This text; nothing is kept.
    Given(&'static [u8]),
}

/// The copy.
pub struct Lessons {
    table: Table,
    folder: Option<Folder>,
    instruments: Vec<Instrument>,
    due: Nanos,
}

impl Lessons {
    /// What the run begins with. A table that can't be used is told of on standard error.
    pub fn open(from: Learned, config: &Config, instruments: &[Instrument], now: Nanos) -> Lessons {
        let path = config.state_dir.as_ref().filter(|_| from == Learned::Kept);
        let opened = path.map(|path| Folder::open(path)).transpose();
        let folder = opened.unwrap_or_else(|error| {
            eprintln!("parallax: what is learned of edges will not be kept: {error}");
            None
        });
        let mut lessons = Lessons {
            table: Table::new(instruments.len()),
            folder,
            instruments: instruments.to_vec(),
            due: now.plus(SAVE_EVERY_NS),
        };
        match lessons.read(from) {
            Ok(Some(table)) => lessons.table = table,
            Ok(None) => {}
            Err(why) => eprintln!("parallax: nothing is known of edges, entries wait: {why}"),
        }
        lessons.table.resume(now);
        lessons
    }

    fn read(&self, from: Learned) -> Result<Option<Table>, String> {
        let kept;
        let bytes = match (from, &self.folder) {
            (Learned::Given(bytes), _) => Some(bytes),
            (Learned::Kept, Some(folder)) => {
                kept = folder.read(FILE).map_err(|error| error.to_string())?;
                kept.as_deref()
            }
            (Learned::Kept, None) | (Learned::Cold, _) => None,
        };
        let table = bytes.map(|bytes| Table::from_text(bytes, &self.instruments));
        let named = |error| format!("{FILE}: {error}");
        table.transpose().map_err(named)
    }

    /// For the scanner.
    pub fn table(&self) -> &Table {
        &self.table
    }

    /// Takes what became of edges.
    pub fn learn(&mut self, scores: impl Iterator<Item = Score>) {
        scores.for_each(|score| self.table.learn(&score));
    }

    /// Writes it down when it is time. A failure is told and tried again later.
    pub fn beat(&mut self, now: Nanos) {
        if now >= self.due {
            self.due = now.plus(SAVE_EVERY_NS);
            self.save();
        }
    }

    /// Writes it down.
    pub fn save(&self) {
        let Some(folder) = &self.folder else { return };
        let label = "What parallax has learned of edges at arrival, by its own runs.";
        let text = self.table.to_text(&self.instruments, label);
        if let Err(error) = folder.write(FILE, text.as_bytes()) {
            eprintln!("parallax: what was learned of edges was not kept: {error}");
        }
    }
}
