//! What the host grants a run, said where it grants less: cores, priority, memory, knobs.
//!
//! Cold. Promises: whatever is missing, the run goes on, and one line each says so with its fix.

use crate::check::host;
use crate::config::Config;
use crate::stage::host::{lock_memory, try_real_time};
use crate::stage::idle::Idle;
use crate::topology::Plan;
use std::path::Path;

/// Lines on what the stages will not have. Before they start.
pub(super) fn ask(config: &Config, plan: &Plan) -> Vec<String> {
    let mut lines = Vec::new();
    lines.extend(priority(config.machine.real_time, plan));
    lines.extend(knobs(plan));
    lines
}

/// Keeps all memory; a line when that is not granted. After the stages have taken theirs.
pub(super) fn lock(config: &Config) -> Option<String> {
    let fault = config.machine.lock_memory.then(lock_memory)?.err()?;
    Some(fault.to_string())
}

fn priority(asked: u8, plan: &Plan) -> Option<String> {
    if asked == 0 {
        return None;
    }
    if plan.seats.iter().all(|seat| seat.idle != Idle::Spin) {
        return Some(format!(
            "REALTIME_PRIORITY={asked} is left out: stages that share a core with other programs \
             must let them run; SEATS=own gives each its own"
        ));
    }
    try_real_time(asked).err().map(|fault| fault.to_string())
}

/// One line on all knobs: `check --host` has one for each.
fn knobs(plan: &Plan) -> Option<String> {
    let rows = host::knobs(Path::new("/"), &host::seat_cores(plan));
    let rows = host::Findings {
        rows,
        ..host::Findings::default()
    };
    let (off, all) = (rows.off_len(), rows.rows.len());
    (off > 0).then(|| {
        format!("host: {off} of {all} settings cost latency; `parallax check --host` has each fix")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topology::{Seating, plan};

    #[test]
    fn what_is_asked_in_vain_is_said() {
        let cores: Vec<usize> = (0..8).collect();
        let fused = plan(&Seating::Fused, &cores).unwrap();
        let own = plan(&Seating::Own, &cores).unwrap();
        assert_eq!(priority(0, &fused), None);
        assert!(priority(5, &fused).unwrap().contains("is left out"));
        assert_eq!(priority(1, &own).is_none(), try_real_time(1).is_ok());
        // More knobs than none, on any machine.
        assert!(knobs(&own).is_none_or(|line| line.contains("check --host")));
    }
}
