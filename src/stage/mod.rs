//! What every pinned thread has in common: the stage contract and the runner that pins and loops.

pub mod aside;
pub mod clock;
pub mod halt;
pub mod host;
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
    /// The part of a pass that needs no system call: what stands on links goes on its way. On a
    /// shared thread it follows at once when a stage before this one has done something.
    fn relay(&mut self, _now: Nanos) -> usize {
        0
    }
    /// One cold pass, every [`BEAT_NS`] or so.
    fn housekeeping(&mut self, now: Nanos);
    /// Once, after the last turn; returns how many journal records were dropped for want of room.
    fn stop(&mut self, now: Nanos) -> u64;
}

/// Time between two housekeeping passes of a stage. Larger: time-outs and reconnects are seen
/// later. Smaller: more of the hot thread goes into cold work.
pub const BEAT_NS: u64 = 10_000_000;

/// Cores that a set of them can name. Source: CPU_SETSIZE, CPU_SET(3).
const CORES_MAX: usize = 1_024;

/// Stages that share one thread, run in turn in this order.
pub struct Seat {
    /// Thread name; the stage's own where it sits alone.
    pub name: String,
    /// Core to pin to; `None` lets the kernel choose.
    pub core: Option<usize>,
    /// What to do when a pass found nothing.
    pub idle: Idle,
    /// Real-time priority where it spins; 0: an ordinary one.
    pub real_time: u8,
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

/// Keeps the calling thread on this core; false when the system refuses.
pub fn pin(core: usize) -> bool {
    // The package breaks on a number beyond the system's set of cores.
    core < CORES_MAX && core_affinity::set_for_current(core_affinity::CoreId { id: core })
}

/// Starts a seat's thread: pin, start, turn until `stop` is raised, stop. It ends with the number
/// of journal records its stages dropped.
pub fn run(seat: Seat, clock: Clock, stop: Flag) -> io::Result<JoinHandle<u64>> {
    Builder::new()
        .name(seat.name.clone())
        .spawn(move || run_here(seat, clock, &stop))
}

/// One pass of stages that share a thread, in corridor order. What one of them has heard goes down
/// the whole corridor before the next asks the system for news: between a tick's arrival and its
/// order's departure lie one look at readiness, one read and one write.
pub fn pass(stages: &mut [Box<dyn Stage + Send>], now: Nanos) -> usize {
    let mut work = 0;
    for at in 0..stages.len() {
        let done = stages[at].turn(now);
        work += done;
        if done > 0 {
            let after = stages[at + 1..].iter_mut();
            work += after.map(|stage| stage.relay(now)).sum::<usize>();
        }
    }
    work
}

fn run_here(mut seat: Seat, clock: Clock, stop: &Flag) -> u64 {
    // A refusal leaves the thread where the kernel puts it: slower, never wrong.
    let _ = seat.core.map(pin);
    if seat.real_time > 0 && seat.idle == Idle::Spin {
        // The same; `session` has tried it before and said so.
        let _ = host::set_real_time(seat.real_time);
    }
    seat.stages
        .iter_mut()
        .for_each(|stage| stage.start(clock.now()));
    let mut beat_due = clock.now();
    let mut idle_passes = 0_u32;
    while !stop.is_raised() {
        let now = clock.now();
        let work = pass(&mut seat.stages, now);
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    /// Notes what it is asked to do; has work in the first turns.
    struct Noting {
        name: &'static str,
        turns_left: usize,
        notes: Arc<Mutex<Vec<String>>>,
    }

    impl Noting {
        fn note(&self, what: &str) {
            let text = format!("{} {what}", self.name);
            self.notes.lock().unwrap().push(text);
        }
    }

    impl Stage for Noting {
        fn name(&self) -> &'static str {
            self.name
        }

        fn start(&mut self, _now: Nanos) {}

        fn turn(&mut self, _now: Nanos) -> usize {
            self.note("turns");
            let work = self.turns_left.min(1);
            self.turns_left -= work;
            work
        }

        fn relay(&mut self, _now: Nanos) -> usize {
            self.note("relays");
            0
        }

        fn housekeeping(&mut self, _now: Nanos) {}

        fn stop(&mut self, _now: Nanos) -> u64 {
            0
        }
    }

    #[test]
    fn what_was_heard_goes_down_the_corridor_before_the_next_turn() {
        let notes = Arc::new(Mutex::new(Vec::new()));
        let noting = |name, turns_left| {
            let notes = Arc::clone(&notes);
            Box::new(Noting {
                name,
                turns_left,
                notes,
            }) as Box<dyn Stage + Send>
        };
        let mut stages = [
            noting("feed", 1),
            noting("scanner", 0),
            noting("gateway", 1),
        ];
        assert_eq!(pass(&mut stages, Nanos::ZERO), 2);
        let wanted = [
            "feed turns",
            "scanner relays",
            "gateway relays",
            "scanner turns",
            "gateway turns",
        ];
        assert_eq!(*notes.lock().unwrap(), wanted);
        notes.lock().unwrap().clear();
        assert_eq!(pass(&mut stages, Nanos::ZERO), 0);
        let quiet = ["feed turns", "scanner turns", "gateway turns"];
        assert_eq!(*notes.lock().unwrap(), quiet);
    }
}
