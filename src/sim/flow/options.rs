//! What is played and how, read against the tape.
//!
//! Promises: whatever contradicts the tape is refused before anything plays, with what would do.

use crate::market::Venue;
use crate::market::units::Nanos;
use crate::sim::exchange::Rules;
use crate::sim::plant::{Plant, PlantLine, Planter};
use crate::sim::tape::pace::RateRange;

/// What to play and how.
#[derive(Clone, Debug)]
pub struct FlowOptions {
    /// Which venue's streams.
    pub venue: Venue,
    /// Seed of the planted law. Both venues must be given the same.
    pub seed: u64,
    /// What to plant.
    pub plant: Plant,
    /// When the run starts. Both venues must be given the same.
    pub start: Nanos,
    /// How many markets are listed, those of the tape first, then copies of them; `None` for the
    /// tape's own.
    pub markets_len: Option<usize>,
    /// Market-data messages a second that both venues together aim at, over all markets, as
    /// `tape::pace` counts them: the tape is played faster or slower for it. `None` for the tape's
    /// own speed. Planted events keep their own time.
    pub rate: Option<u32>,
}

impl FlowOptions {
    /// The tape as it is, planted by the law.
    pub fn new(venue: Venue, seed: u64, start: Nanos) -> FlowOptions {
        FlowOptions {
            venue,
            seed,
            plant: Plant::On,
            start,
            markets_len: None,
            rate: None,
        }
    }
}

/// Why playback cannot start: the operator's options contradict the tape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FlowError {
    /// A script names a market the tape does not have; its line, from 1.
    UnknownMarket(usize, String),
    /// No markets, or more than a run can hold.
    Markets(usize),
    /// No speed of the tape gives that many messages a second.
    Rate(u32, RateRange),
}

impl std::fmt::Display for FlowError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            FlowError::UnknownMarket(line_number, name) => write!(
                f,
                "planting script, line {line_number}: market {name} is not on the tape"
            ),
            FlowError::Markets(n) => write!(
                f,
                "cannot list {n} markets: from 1 to {}",
                crate::market::INSTRUMENTS_MAX
            ),
            FlowError::Rate(rate, range) => write!(
                f,
                "cannot play {rate} messages a second: these markets of this tape give from {} to \
                 {}",
                range.least, range.most
            ),
        }
    }
}

impl std::error::Error for FlowError {}

/// What is planted, read against the markets there are.
pub(super) fn planter_for(options: &FlowOptions, rules: &[Rules]) -> Result<Planter, FlowError> {
    let lines = match &options.plant {
        Plant::On => return Ok(Planter::law(options.seed, rules.len())),
        Plant::Off => return Ok(Planter::list(Vec::new(), rules.len())),
        Plant::Script(lines) => lines,
    };
    let event = |line: &PlantLine| {
        let named = |r: &&Rules| r.base == line.market || r.name == line.market;
        // The other venue's spelling is welcome too: both read the same script.
        let short = line.market.trim_end_matches("-USD");
        let rule = rules.iter().find(named);
        let rule = rule.or_else(|| rules.iter().find(|r| r.base == short));
        let unknown = || FlowError::UnknownMarket(line.line_number, line.market.clone());
        Ok(line.event(rule.ok_or_else(unknown)?.instrument))
    };
    let events: Result<Vec<_>, FlowError> = lines.iter().map(event).collect();
    Ok(Planter::list(events?, rules.len()))
}
