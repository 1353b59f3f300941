//! What a spinning core loses: how long it is away between two looks at the clock.
//!
//! A stage that spins on a core of its own should never be away for longer than a look takes. What
//! takes it away is what `tuning/` is about: other programs, timer ticks, interrupts, the firmware,
//! a hypervisor. So it is measured as a stage works: a thread on the core that does nothing else,
//! every gap counted. Before and after tuning can be compared by these figures.
//!
//! Promises: as the stage would meet it, in the time that was given. Refuses: to say who it was.

use super::host::{Grade, Row};
use crate::record::durations::{Durations, Quantiles};
use crate::record::report::duration;
use crate::stage;
use crate::stage::clock::Clock;
use serde_json::{Value, json};
use std::io;

/// The gaps of one core.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Jitter {
    /// Which.
    pub core: usize,
    /// How long it was watched, nanoseconds.
    pub watched_ns: u64,
    /// From one look to the next.
    pub gaps: Quantiles,
    /// Looks after which it was away for longer than [`AWAY_NS`].
    pub away_count: u64,
    /// How long that was together, nanoseconds.
    pub away_ns: u64,
}

/// Longer than any look at the clock takes, shorter than any interrupt.
pub const AWAY_NS: u64 = 1_000;
/// Longest gap of a core that is left alone: an interrupt or two.
const GOOD_NS_MAX: u64 = 50_000;
/// Longest gap that costs an order its place but no trade.
const POOR_NS_MAX: u64 = 1_000_000;

/// Watches one core for this long on a thread pinned to it. Blocks.
pub fn measure(core: usize, watch_ns: u64, clock: Clock) -> io::Result<Jitter> {
    let watch = move || {
        if !stage::pin(core) {
            let why = format!("core {core} is not to be had");
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, why));
        }
        Ok(watch(core, watch_ns, || clock.now().0))
    };
    let thread = std::thread::Builder::new().spawn(watch)?;
    let broken = |_| Err(io::Error::other("the measuring thread broke"));
    thread.join().unwrap_or_else(broken)
}

fn watch(core: usize, watch_ns: u64, mut look: impl FnMut() -> u64) -> Jitter {
    let mut gaps = Durations::new();
    let (mut away_count, mut away_ns) = (0, 0);
    let start = look();
    let mut last = start;
    while last - start < watch_ns {
        let now = look();
        let gap = now - last;
        gaps.add(gap);
        if gap > AWAY_NS {
            away_count += 1;
            away_ns += gap;
        }
        last = now;
    }
    let none = Quantiles::default();
    Jitter {
        core,
        watched_ns: last - start,
        gaps: gaps.quantiles().unwrap_or(none),
        away_count,
        away_ns,
    }
}

impl Jitter {
    /// How often in a second it was away.
    fn away_per_second(&self) -> f64 {
        self.away_count as f64 * 1e9 / self.watched_ns.max(1) as f64
    }

    /// What of the time it was away, per cent.
    fn away_pct(&self) -> f64 {
        self.away_ns as f64 * 100.0 / self.watched_ns.max(1) as f64
    }

    pub(super) fn row(&self) -> Row {
        let grade = match self.gaps.max {
            max if max <= GOOD_NS_MAX => Grade::Ok,
            max if max <= POOR_NS_MAX => Grade::Warn,
            _ => Grade::Bad,
        };
        let fix = "the rows above, cpu and irq first; then measure again".to_owned();
        Row {
            knob: format!("jitter of core {}", self.core),
            value: Some(format!(
                "max {}, p99.9 {}, away {:.0} times a second, {:.3} % of the time",
                duration(self.gaps.max),
                duration(self.gaps.p999),
                self.away_per_second(),
                self.away_pct()
            )),
            wanted: format!("max {} or less", duration(GOOD_NS_MAX)),
            why: "What a stage that spins there would have missed.".to_owned(),
            fix: (grade > Grade::Ok).then_some(fix),
            grade,
        }
    }

    pub(super) fn json(&self) -> Value {
        json!({
            "core": self.core,
            "seconds": self.watched_ns as f64 / 1e9,
            "looks": self.gaps.count,
            "p50_ns": self.gaps.p50,
            "p99_ns": self.gaps.p99,
            "p999_ns": self.gaps.p999,
            "max_ns": self.gaps.max,
            "away_per_second": self.away_per_second(),
            "away_pct": self.away_pct(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_are_counted_and_graded() {
        for (longest, grade) in [
            (900, Grade::Ok),
            (49_000, Grade::Ok),
            (60_000, Grade::Warn),
            (4_000_000, Grade::Bad),
        ] {
            let (mut now, mut looks) = (5, 0);
            let jitter = watch(3, 10_000_000, || {
                looks += 1;
                now += if looks == 100 { longest } else { 25 };
                now
            });
            assert_eq!(jitter.gaps.p50, 25);
            assert!(jitter.gaps.max.abs_diff(longest) * 500 <= longest);
            assert_eq!(jitter.away_count, u64::from(longest > AWAY_NS));
            let row = jitter.row();
            assert_eq!(row.grade, grade, "{longest}");
            assert_eq!(row.fix.is_some(), grade > Grade::Ok);
            assert_eq!(row.knob, "jitter of core 3");
        }
    }

    #[test]
    fn a_core_of_this_machine_is_watched() {
        let Some(core) = stage::cores().pop() else {
            return;
        };
        let jitter = measure(core, 20_000_000, Clock::new()).unwrap();
        assert!(jitter.watched_ns >= 20_000_000 && jitter.gaps.count > 100);
        assert!(jitter.gaps.p50 <= jitter.gaps.max);
        assert!(
            measure(4_095, 1, Clock::new()).is_err(),
            "there is no such core"
        );
    }
}
