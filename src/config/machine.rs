//! What a run asks of its machine: cores, memory that stays, a priority.
//!
//! Promises: bounds are those of the table; whether the machine grants it is `session`'s question.

use super::STAGE_COUNT;
use super::fault::Faults;
use super::raw::{Raw, default_file, process_environment};
use super::values::Reader;
use std::path::Path;

/// What is asked of the operating system beside cores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Machine {
    /// LOCK_MEMORY.
    pub lock_memory: bool,
    /// REALTIME_PRIORITY of stages that have a core of their own; 0: an ordinary priority.
    pub real_time: u8,
}

/// How stages are seated on cores.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seats {
    /// By the number of cores of the host.
    Auto,
    /// All five stages on one thread.
    Fused,
    /// Several stages share a core, none has its own.
    Shared,
    /// Each stage has a core of its own.
    Own,
    /// The core of each stage: feed-extended, feed-lighter, scanner, gateway-extended,
    /// gateway-lighter.
    Cores([usize; STAGE_COUNT]),
}

impl Seats {
    /// From the sources of [`Config::from_env`]; nothing else of them is judged.
    pub fn from_env(file: Option<&Path>) -> Result<Seats, Faults> {
        let found = file.map(Path::to_owned).or_else(default_file);
        seats(Raw::from_sources(found.as_deref(), process_environment()))
    }
}

/// Reads how stages are seated, and judges nothing else.
fn seats(raw: Raw) -> Result<Seats, Faults> {
    let mut reader = Reader::new(raw);
    let seats = reader.seats();
    match reader.faults.is_empty() {
        true => Ok(seats),
        false => Err(Faults(reader.faults)),
    }
}

impl Reader {
    /// LOCK_MEMORY and REALTIME_PRIORITY.
    pub(super) fn machine(&mut self) -> Machine {
        Machine {
            lock_memory: self.word("LOCK_MEMORY") == "true",
            real_time: self.count("REALTIME_PRIORITY") as u8,
        }
    }
}
