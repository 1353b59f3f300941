//! What every pinned thread has in common: the stage contract and the runner that pins and loops.

pub mod clock;
pub mod halt;
pub mod idle;
pub mod link;

use crate::market::units::Nanos;
use crate::stage::clock::Clock;
use crate::stage::halt::Flag;
use crate::stage::idle::Idle;
use std::io;
use std::thread::{Builder, JoinHandle};

/// A pinned job. The runner calls `turn` again and again and `housekeeping` at the beat; tests call
/// them by hand. Nothing in here knows which thread it runs on.
pub trait Stage {
    /// Name for threads and reports.
    fn name(&self) -> &'static str;
    /// Once, on the stage's own thread, before the first turn.
    fn start(&mut self, now: Nanos);
    /// One pass; returns how much work was done (0: nothing to do).
    fn turn(&mut self, now: Nanos) -> usize;
    /// One cold pass, every [`BEAT_NS`] or so.
    fn housekeeping(&mut self, now: Nanos);
    /// Once, after the last turn; returns how many journal records were dropped for want of room.
    fn stop(&mut self, now: Nanos) -> u64;
}

/// Time between two housekeeping passes of a stage. Larger: time-outs and reconnects are seen
/// later. Smaller: more of the hot thread goes into cold work.
pub const BEAT_NS: u64 = 10_000_000;

/// Stages that share one thread, run in turn in this order.
pub struct Seat {
    /// Thread name; the stage's own where it sits alone.
    pub name: String,
    /// Core to pin to; `None` lets the kernel choose.
    pub core: Option<usize>,
    /// What to do when a pass found nothing.
    pub idle: Idle,
    /// Who sits here.
    pub stages: Vec<Box<dyn Stage + Send>>,
}

/// Cores this process may run on, ascending. Empty when the system won't say.
pub fn cores() -> Vec<usize> {
    let mut ids: Vec<usize> = core_affinity::get_core_ids()
        .unwrap_or_default()
        .iter()
        .map(|core| core.id)
        .collect();
    ids.sort_unstable();
    ids
}

/// Starts a seat's thread: pin, start, turn until `stop` is raised, stop. It ends with the number
/// of journal records its stages dropped.
pub fn run(seat: Seat, clock: Clock, stop: Flag) -> io::Result<JoinHandle<u64>> {
    Builder::new()
        .name(seat.name.clone())
        .spawn(move || run_here(seat, clock, &stop))
}

fn run_here(mut seat: Seat, clock: Clock, stop: &Flag) -> u64 {
    if let Some(id) = seat.core {
        // A refusal leaves the thread where the kernel puts it: slower, never wrong.
        core_affinity::set_for_current(core_affinity::CoreId { id });
    }
    seat.stages
        .iter_mut()
        .for_each(|stage| stage.start(clock.now()));
    let mut beat_due = clock.now();
    let mut idle_passes = 0_u32;
    while !stop.is_raised() {
        let now = clock.now();
        let work: usize = seat.stages.iter_mut().map(|stage| stage.turn(now)).sum();
        if now >= beat_due {
            seat.stages
                .iter_mut()
                .for_each(|stage| stage.housekeeping(now));
            beat_due = now.plus(BEAT_NS);
        }
        if work == 0 {
            idle_passes = idle_passes.saturating_add(1);
            seat.idle.wait(idle_passes);
        } else {
            idle_passes = 0;
        }
    }
    seat.stages
        .iter_mut()
        .map(|stage| stage.stop(clock.now()))
        .sum()
}
