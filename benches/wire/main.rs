//! Byte to byte: from a tick's first byte at a venue's socket to its order's first byte there.
//!
//! `cargo bench --bench wire`. Two simulated venues on one core and the engine's own stages fused
//! on another meet over loopback TLS; the venues take the time, outside of both. Beside it, in the
//! same run and in alternating rounds: BASE, an echo of rustls and tungstenite that spins, with an
//! order made long ago; and plain TCP. Told are ratios between best rounds, since those agree from
//! run to run. A run whose floor is noisy, or whose base is handicapped, is repeated while there is
//! time, and then discarded: the exit status says so.
//!
//! `-- --steps` also tells how long each step of the engine took; `-- --rounds 2` is soon over.

// A tick is 22 levels, about 1 KB, and moves a market 15 bps; the first leg of a pair answers it.
// The venue fills it, its hedge and, after a second tick that moves the market back, both exits;
// then the next market has its turn. So every second tick is timed, for the base as well. Nonce
// points and ready orders are made in pauses, as two cores leave no other time, and used up in what
// is timed. All orders of all pairs are judged after the run (`judge.rs`).

mod books;
mod echo;
mod engine;
mod judge;
mod peer;
mod rounds;
mod table;
mod venues;

use core_affinity::CoreId;
use echo::Kind;
use engine::Signing;
use parallax::market::Venue;
use parallax::stage;
use parallax::topology::{self, Seating};
use rounds::{Row, Site, What};
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// Rounds of each row. Fewer: the best of them is less sure.
const ROUNDS: usize = 8;
const ROUNDS_SLOW: usize = 4;
/// Shortest time between two ticks; the longest is twice as much.
const PACE_US: u64 = 100;
const PACE_SLOW_US: u64 = 5_000;
/// No round is repeated after so long.
const TIME_MAX: Duration = Duration::from_secs(170);
/// More cores than this, and the engine is also seated apart.
const APART_CORES_MIN: usize = 4;

use Signing::{Ahead, Full, Ready};
use Venue::{Extended, Lighter};

/// The rows, and what is allowed of each: ratios to the base, p50 and p99.
fn rows() -> Vec<Row> {
    let engine = |name, lead, signing| Row::new(name, What::Engine(lead, signing));
    vec![
        Row::new("raw", What::Echo(Kind::Raw)),
        Row::new("raw, ACK after", What::Echo(Kind::RawAck)),
        Row::new("base", What::Echo(Kind::Base)),
        engine("Extended ready", Extended, Ready).within(1.00, 1.00),
        engine("Lighter ahead", Lighter, Ahead).within(1.80, 1.90),
        engine("Extended ahead", Extended, Ahead).within(3.20, 3.45),
        engine("Lighter full", Lighter, Full),
        engine("Extended full", Extended, Full),
    ]
}

fn main() -> ExitCode {
    let begun = Instant::now();
    let words: Vec<String> = std::env::args().collect();
    let tells_steps = words.iter().any(|word| word == "--steps");
    let asked = words.iter().position(|word| word == "--rounds");
    let asked = asked.and_then(|at| words.get(at + 1)?.parse().ok());
    let (rounds, rounds_slow) = asked.map_or((ROUNDS, ROUNDS_SLOW), |rounds| (rounds, rounds));
    let cores = stage::cores();
    // The venues have the first core, as the kernel has it in a run.
    if let Some(id) = cores.first() {
        core_affinity::set_for_current(CoreId { id: *id });
    }
    let fused = topology::plan(&Seating::Fused, &cores).expect("fused always fits");
    let mut site = Site::new(fused, tells_steps);

    let mut slow = rows();
    site.play(&mut slow, rounds_slow, PACE_SLOW_US);
    let mut fast = rows();
    let mut fault;
    loop {
        site.play(&mut fast, rounds, PACE_US);
        fault = table::fault(&fast);
        if fault.is_none() || asked.is_some() || begun.elapsed() > TIME_MAX {
            break;
        }
    }
    if cores.len() >= APART_CORES_MIN {
        site.plan = topology::plan(&Seating::Shared, &cores).expect("there are cores");
        let mut apart = rows();
        site.play(&mut apart, rounds, PACE_US);
        table::print("seated apart, a tick every 0.1..0.2 ms", &apart);
    }
    table::print("a tick every 5..10 ms", &slow);
    table::print("a tick every 0.1..0.2 ms", &fast);
    site.tell();
    let is_discarded = fault.is_some();
    if let Some(fault) = fault {
        println!("discarded: {fault}");
    }
    table::last_line(&fast);
    ExitCode::from(u8::from(is_discarded))
}
