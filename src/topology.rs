//! The plant on one page: stages, links with their capacities, and cores.
//!
//! ```text
//! link              item     depth   from               to        when full
//! deltas.extended   Delta    65,536  feed-extended      scanner   market falls behind, book resent
//! deltas.lighter    Delta    65,536  feed-lighter       scanner   the same
//! references.*      Ref.      2,048   each feed          scanner   dropped, the next says it again
//! orders.extended   Order       256  scanner            gateway   entry dropped; hedge: halt
//! orders.lighter    Order       256  scanner            gateway   the same
//! reports.extended  Report    4,096  gateway-extended   scanner   held in the gateway's backlog
//! reports.lighter   Report    4,096  gateway-lighter    scanner   the same
//! foresight.ext.    Foresight    64  scanner            gateway   told again later
//! points.extended   point        64  signer-extended    gateway   signer waits
//! points.lighter    point        64  signer-lighter     gateway   the same
//! journal.* (five)  Event    65,536  each stage         recorder  dropped, counted
//! pace.lighter      u32          64  main               gateway   main waits
//! control           Control     512  main               scanner   main waits
//! status            Status        8  scanner            main      latest dropped
//! board             Ranked    1,024  scanner            recorder  the rest of a board dropped
//!
//! stage             core in `own`    stage              core in `own`
//! feed-extended     1                gateway-extended   4
//! feed-lighter      2                gateway-lighter    5
//! scanner           3                signers, recorder, main, simulated venues: not pinned
//! ```

use crate::stage::idle::Idle;
use std::fmt;

/// A whole Lighter book (7,000 levels) and a burst of all markets fit several times over.
pub const DELTAS_LEN: usize = 65_536;
/// A mark, an index and a funding rate of every market at once, with room.
pub const REFERENCES_LEN: usize = 2_048;
/// Slots times instruments times legs that could leave in one turn, with room.
pub const ORDERS_LEN: usize = 256;
/// A full account snapshot fits.
pub const REPORTS_LEN: usize = 4_096;
/// Signatures made with a point before one must be made in full, should the signer get no time at
/// all: more than may be in flight at Lighter (50). Larger: longer to fill at the start (a batch of
/// 16 takes under 0.3 ms) and more secrets in memory. Smaller: bursts sign in full.
pub const POINTS_LEN: usize = 64;
/// What may be sent next of a few markets: the gateway reads all of it in each turn. Larger: an
/// order may wait behind more advice. Smaller: the rest is told a turn later.
pub const FORESIGHT_LEN: usize = 64;
/// About a second of records at 50,000 a second; the recorder drains every millisecond.
pub const JOURNAL_LEN: usize = 65_536;
/// Orders a minute, told for each market whose terms have changed; read at each beat.
pub const PACE_LEN: usize = 64;
/// What was learned of every instrument before (fair, size), what is adopted, a few commands.
pub const CONTROL_LEN: usize = 1024;
/// A board of every instrument in both directions.
pub const BOARD_LEN: usize = 1_024;
/// The latest counts.
pub const STATUS_LEN: usize = 8;

/// The five pinned stages, in corridor order.
pub const STAGES: [&str; 5] = [
    "feed-extended",
    "feed-lighter",
    "scanner",
    "gateway-extended",
    "gateway-lighter",
];

/// What SEATS asks for.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub enum Seating {
    /// Chosen from the cores there are.
    #[default]
    Auto,
    /// All five stages on one thread.
    Fused,
    /// Two threads: feeds and scanner, gateways.
    Shared,
    /// A thread and a core for each.
    Own,
    /// A core for each stage, in corridor order; stages with the same core share a thread.
    Cores([usize; STAGES.len()]),
}

impl Seating {
    /// Reads the SEATS setting: `auto`, `fused`, `shared`, `own`, or five core numbers with commas.
    pub fn parse(text: &str) -> Option<Seating> {
        match text {
            "auto" => return Some(Seating::Auto),
            "fused" => return Some(Seating::Fused),
            "shared" => return Some(Seating::Shared),
            "own" => return Some(Seating::Own),
            _ => {}
        }
        let list: Result<Vec<usize>, _> = text.split(',').map(|part| part.trim().parse()).collect();
        list.ok()?.try_into().ok().map(Seating::Cores)
    }
}

/// One thread of the plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedSeat {
    /// Core to pin to.
    pub core: Option<usize>,
    /// Indexes into [`STAGES`], ascending.
    pub stages: Vec<usize>,
    /// How its thread waits.
    pub idle: Idle,
}

/// Who sits where, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Threads.
    pub seats: Vec<PlannedSeat>,
    /// One sentence for the log.
    pub why: String,
}

/// SEATS can't be had on this host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SeatsError {
    /// The setting names a core this process may not use.
    NoSuchCore {
        /// The core asked for.
        asked: usize,
        /// The cores there are.
        have: Vec<usize>,
    },
    /// `own` needs more cores.
    TooFewCores {
        /// Needed.
        need: usize,
        /// There are.
        have: usize,
    },
}

impl fmt::Display for SeatsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SeatsError::NoSuchCore { asked, have } => {
                write!(
                    f,
                    "SEATS names core {asked}, but this process may use {have:?}; choose among them"
                )
            }
            SeatsError::TooFewCores { need, have } => {
                write!(
                    f,
                    "SEATS=own needs {need} cores and there are {have}; use auto, shared or fused"
                )
            }
        }
    }
}

impl std::error::Error for SeatsError {}

/// Cores wanted before each stage gets its own: five, one for the kernel and cold threads, two
/// more for the simulated venues or the recorder's bursts.
pub const OWN_CORES_MIN: usize = 8;
/// Cores wanted before feeds and gateways part.
const SHARED_CORES_MIN: usize = 4;

/// Decides who sits where on these cores. The first core is left to the kernel where there is more
/// than one.
pub fn plan(seating: &Seating, cores: &[usize]) -> Result<Plan, SeatsError> {
    let n = cores.len();
    let chosen = match seating {
        Seating::Auto if n >= OWN_CORES_MIN => Seating::Own,
        Seating::Auto if n >= SHARED_CORES_MIN => Seating::Shared,
        Seating::Auto => Seating::Fused,
        other => other.clone(),
    };
    let asked = match seating {
        Seating::Auto => format!("chosen for {n} cores"),
        _ => "as SEATS asks".to_string(),
    };
    let last = |back: usize| n.checked_sub(back).filter(|_| n > 1).map(|at| cores[at]);
    let (seats, how) = match chosen {
        Seating::Own => {
            if n <= STAGES.len() {
                return Err(SeatsError::TooFewCores {
                    need: STAGES.len() + 1,
                    have: n,
                });
            }
            let seat = |s: usize| seat(Some(cores[s + 1]), vec![s], Idle::Spin);
            (
                (0..STAGES.len()).map(seat).collect(),
                "a core for each stage, spinning",
            )
        }
        Seating::Shared => (
            vec![
                seat(last(2).or(last(1)), vec![0, 1, 2], Idle::Yield),
                seat(last(1), vec![3, 4], Idle::Yield),
            ],
            "feeds and scanner share one thread, gateways another, yielding",
        ),
        Seating::Cores(list) => (listed(&list, cores)?, "pinned as listed, spinning"),
        Seating::Fused | Seating::Auto => (
            vec![seat(last(1), (0..STAGES.len()).collect(), Idle::Yield)],
            "all five stages fused on one thread, yielding",
        ),
    };
    Ok(Plan {
        seats,
        why: format!("{how} ({asked})"),
    })
}

fn seat(core: Option<usize>, stages: Vec<usize>, idle: Idle) -> PlannedSeat {
    PlannedSeat { core, stages, idle }
}

fn listed(list: &[usize], cores: &[usize]) -> Result<Vec<PlannedSeat>, SeatsError> {
    let mut seats: Vec<PlannedSeat> = Vec::new();
    for (stage, core) in list.iter().enumerate() {
        if !cores.contains(core) {
            return Err(SeatsError::NoSuchCore {
                asked: *core,
                have: cores.to_vec(),
            });
        }
        match seats.iter_mut().find(|s| s.core == Some(*core)) {
            Some(found) => found.stages.push(stage),
            None => seats.push(seat(Some(*core), vec![stage], Idle::Spin)),
        }
    }
    Ok(seats)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn everyone_sits_once(plan: &Plan) {
        let mut all: Vec<usize> = plan.seats.iter().flat_map(|s| s.stages.clone()).collect();
        all.sort_unstable();
        assert_eq!(all, (0..STAGES.len()).collect::<Vec<_>>(), "{}", plan.why);
    }

    #[test]
    fn the_choice_follows_the_cores() {
        for (n, threads) in [
            (0, 1),
            (1, 1),
            (2, 1),
            (3, 1),
            (4, 2),
            (7, 2),
            (8, 5),
            (64, 5),
        ] {
            let cores: Vec<usize> = (0..n).collect();
            let plan = plan(&Seating::Auto, &cores).expect("auto always fits");
            assert_eq!(plan.seats.len(), threads, "{n} cores");
            everyone_sits_once(&plan);
            if n > 1 {
                assert!(
                    plan.seats.iter().all(|s| s.core != Some(0)),
                    "core 0 is the kernel's"
                );
            }
        }
    }

    #[test]
    fn a_list_fuses_what_shares_a_core() {
        let seating = Seating::parse("1, 1,2,3,3").expect("five numbers");
        let plan = plan(&seating, &[0, 1, 2, 3]).expect("the cores are there");
        assert_eq!(plan.seats.len(), 3);
        everyone_sits_once(&plan);
    }

    #[test]
    fn what_cannot_be_had_is_refused() {
        assert_eq!(Seating::parse("sideways"), None);
        assert_eq!(Seating::parse("1,2,3"), None);
        let missing = plan(&Seating::Cores([9; 5]), &[0, 1]);
        assert_eq!(
            missing,
            Err(SeatsError::NoSuchCore {
                asked: 9,
                have: vec![0, 1]
            })
        );
        let few = plan(&Seating::Own, &[0, 1]);
        assert_eq!(few, Err(SeatsError::TooFewCores { need: 6, have: 2 }));
    }
}
