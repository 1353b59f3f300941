//! The settings of the kernel that `tuning/` knows, with what each should be and how much it hurts.
//!
//! Promises: the same paths and values as the scripts; `tests/tuning` compares them.

use super::host::Grade;

/// A file of the kernel and the word it should hold.
pub(super) struct Knob {
    /// Script in `tuning/` that sets it.
    pub(super) group: &'static str,
    /// Its file; `*` stands for the core of a stage, a second one for a number of the kernel's.
    pub(super) path: &'static str,
    /// What it should hold.
    pub(super) wanted: &'static str,
    /// What it is good for.
    pub(super) why: &'static str,
    /// What anything else costs.
    pub(super) off: Grade,
}

const fn warn(
    group: &'static str,
    path: &'static str,
    wanted: &'static str,
    why: &'static str,
) -> Knob {
    let off = Grade::Warn;
    Knob {
        group,
        path,
        wanted,
        why,
        off,
    }
}

const fn bad(
    group: &'static str,
    path: &'static str,
    wanted: &'static str,
    why: &'static str,
) -> Knob {
    let off = Grade::Bad;
    Knob {
        off,
        ..warn(group, path, wanted, why)
    }
}

/// One for the whole machine each.
pub(super) const MACHINE: [Knob; 22] = [
    warn(
        "cpu",
        "/proc/sys/kernel/nmi_watchdog",
        "0",
        "The watchdog interrupts every core each few seconds.",
    ),
    warn(
        "cpu",
        "/proc/sys/kernel/timer_migration",
        "0",
        "Timers of other cores would be handed to idle ones.",
    ),
    warn(
        "cpu",
        "/proc/sys/kernel/numa_balancing",
        "0",
        "It unmaps pages to see who touches them: page faults.",
    ),
    warn(
        "cpu",
        "/proc/sys/kernel/sched_rt_runtime_us",
        "-1",
        "Kernels before 6.12 stop a real-time stage for 50 ms of each second.",
    ),
    bad(
        "cpu",
        "/sys/devices/system/cpu/intel_pstate/no_turbo",
        "0",
        "Turbo is clock.",
    ),
    warn(
        "net",
        "/proc/sys/net/core/busy_read",
        "50",
        "Microseconds in which a read asks the card itself.",
    ),
    warn(
        "net",
        "/proc/sys/net/core/busy_poll",
        "50",
        "The same for polls.",
    ),
    warn(
        "net",
        "/proc/sys/net/core/rmem_max",
        "16777216",
        "A snapshot of every market fits while we are busy.",
    ),
    warn(
        "net",
        "/proc/sys/net/core/wmem_max",
        "4194304",
        "Orders never wait for buffer.",
    ),
    warn(
        "net",
        "/proc/sys/net/core/netdev_budget_usecs",
        "2000",
        "Bounds how long softirq holds a core.",
    ),
    bad(
        "net",
        "/proc/sys/net/ipv4/tcp_slow_start_after_idle",
        "0",
        "No slow start after a calm market.",
    ),
    warn(
        "net",
        "/proc/sys/net/ipv4/tcp_autocorking",
        "0",
        "Small writes leave at once.",
    ),
    warn(
        "net",
        "/proc/sys/net/ipv4/tcp_no_metrics_save",
        "1",
        "One bad connection must not slow the next.",
    ),
    warn(
        "net",
        "/proc/sys/net/ipv4/tcp_timestamps",
        "1",
        "Round trips are measured by them.",
    ),
    bad(
        "memory",
        "/sys/kernel/mm/transparent_hugepage/enabled",
        "madvise",
        "Huge pages where asked for, not as a surprise.",
    ),
    bad(
        "memory",
        "/sys/kernel/mm/transparent_hugepage/defrag",
        "madvise",
        "A page fault must not compact memory.",
    ),
    warn(
        "memory",
        "/sys/kernel/mm/transparent_hugepage/khugepaged/defrag",
        "0",
        "Nor may a thread in the background.",
    ),
    warn(
        "memory",
        "/proc/sys/vm/compaction_proactiveness",
        "0",
        "The same.",
    ),
    warn(
        "memory",
        "/proc/sys/vm/swappiness",
        "1",
        "Nothing of ours is to go to disk.",
    ),
    warn(
        "memory",
        "/proc/sys/vm/stat_interval",
        "120",
        "Each core's counters are gathered less often: fewer wake-ups.",
    ),
    warn(
        "memory",
        "/sys/kernel/mm/ksm/run",
        "0",
        "Merging equal pages makes the next write a fault.",
    ),
    bad(
        "clock",
        "/sys/devices/system/clocksource/clocksource0/current_clocksource",
        "tsc",
        "Read without a system call.",
    ),
];

/// One for each stage's core, or more.
pub(super) const CORE: [Knob; 3] = [
    bad(
        "cpu",
        "/sys/devices/system/cpu/cpu*/cpufreq/scaling_governor",
        "performance",
        "Full clock before work comes.",
    ),
    warn(
        "cpu",
        "/sys/devices/system/cpu/cpu*/cpufreq/energy_performance_preference",
        "performance",
        "The same, by hint.",
    ),
    bad(
        "cpu",
        "/sys/devices/system/cpu/cpu*/cpuidle/state*/disable",
        "1",
        "Deep sleep takes long to leave.",
    ),
];
