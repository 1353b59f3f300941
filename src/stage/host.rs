//! What is asked of the operating system at the start: memory that stays, and a priority.
//!
//! Cold. Promises: what is refused comes back as a fault that says what is missing and how to
//! grant it; nothing here ends a run. Refuses: to change the host (that is `tuning/`), and limits
//! that would make a later request for memory fail.
//!
//! Sources: mlock(2) on MCL_ONFAULT and RLIMIT_MEMLOCK, sched(7) on SCHED_FIFO, capabilities(7).

use rustix::mm::{MlockAllFlags, mlockall};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::fmt;
use thread_priority::unix::{
    RealtimeThreadSchedulePolicy, ThreadSchedulePolicy, set_thread_priority_and_policy,
    thread_native_id,
};
use thread_priority::{ThreadPriority, ThreadPriorityValue};

/// What the system did not grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// RLIMIT_MEMLOCK is too small for all of our memory.
    MemoryLimit {
        /// Most that may be locked, bytes.
        bytes_max: u64,
    },
    /// The system would not lock memory for another reason: its error number.
    Memory(i32),
    /// RLIMIT_RTPRIO does not allow this priority.
    Priority {
        /// The priority asked for.
        asked: u8,
    },
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::MemoryLimit { bytes_max } => write!(
                f,
                "memory is not locked: the limit is {} KiB; allow it with LimitMEMLOCK=infinity \
                 in the service, or ulimit -l unlimited",
                bytes_max >> 10
            ),
            Fault::Memory(number) => {
                let error = std::io::Error::from_raw_os_error(*number);
                write!(
                    f,
                    "memory is not locked: {error}; LOCK_MEMORY=false stops asking"
                )
            }
            Fault::Priority { asked } => write!(
                f,
                "no real-time priority {asked}: allow it with LimitRTPRIO={asked} in the service, \
                 or ulimit -r {asked}"
            ),
        }
    }
}

impl std::error::Error for Fault {}

/// What the system allows this process. `None`: without bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowed {
    /// Locked memory, bytes.
    pub locked_bytes: Option<u64>,
    /// Highest real-time priority; 0: none.
    pub priority: Option<u64>,
    /// Open files and sockets.
    pub files: Option<u64>,
}

/// What may be had at most: hard limits, lifted where a capability stands above them.
pub fn allowed() -> Allowed {
    let most = |resource| getrlimit(resource).maximum;
    let unless = |capability: u32, limit: Option<u64>| match has_capability(capability) {
        true => None,
        false => limit,
    };
    Allowed {
        locked_bytes: unless(CAP_IPC_LOCK, most(Resource::Memlock)),
        priority: unless(CAP_SYS_NICE, most(Resource::Rtprio)),
        files: most(Resource::Nofile),
    }
}

/// Faults in and locks what the process has now, and locks what it will touch later, page by page.
/// Call it when all stages have taken their memory.
///
/// Where the limit is bounded only the present is locked: with a bound on the future the next
/// request beyond it would be refused, and that ends the process.
pub fn lock_memory() -> Result<(), Fault> {
    let limit = getrlimit(Resource::Memlock);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    // Raising the soft limit to the hard one needs no right.
    let _ = setrlimit(Resource::Memlock, raised);
    let bytes_max = allowed().locked_bytes;
    if let Err(error) = mlockall(MlockAllFlags::CURRENT) {
        return Err(match bytes_max {
            Some(bytes_max) => Fault::MemoryLimit { bytes_max },
            None => Fault::Memory(error.raw_os_error()),
        });
    }
    if bytes_max.is_some() {
        return Ok(());
    }
    let later = MlockAllFlags::FUTURE | MlockAllFlags::ONFAULT;
    mlockall(later).map_err(|error| Fault::Memory(error.raw_os_error()))
}

/// Gives the calling thread a real-time priority, first in, first out.
pub fn set_real_time(priority: u8) -> Result<(), Fault> {
    let refused = Fault::Priority { asked: priority };
    let value = ThreadPriorityValue::try_from(priority).map_err(|_| refused)?;
    let policy = ThreadSchedulePolicy::Realtime(RealtimeThreadSchedulePolicy::Fifo);
    let priority = ThreadPriority::Crossplatform(value);
    set_thread_priority_and_policy(thread_native_id(), priority, policy).map_err(|_| refused)
}

/// Whether a stage's thread will get this priority: tried on a thread that ends at once.
pub fn try_real_time(priority: u8) -> Result<(), Fault> {
    let tried = std::thread::spawn(move || set_real_time(priority)).join();
    tried.unwrap_or(Err(Fault::Priority { asked: priority }))
}

/// From the effective set as the kernel prints it.
fn has_capability(number: u32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let set = line.and_then(|line| u64::from_str_radix(line.trim(), 16).ok());
    set.unwrap_or(0) >> number & 1 == 1
}

/// Locks memory beyond RLIMIT_MEMLOCK. Source: linux/capability.h.
const CAP_IPC_LOCK: u32 = 14;
/// Takes priorities beyond RLIMIT_RTPRIO. Source: linux/capability.h.
const CAP_SYS_NICE: u32 = 23;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_allowed_is_granted_and_the_rest_is_a_sentence() {
        let asked = 1;
        let may = allowed().priority.is_none_or(|most| most >= 1);
        assert_eq!(try_real_time(asked).is_ok(), may);
        // Nobody gets a priority that does not exist.
        assert_eq!(try_real_time(255), Err(Fault::Priority { asked: 255 }));
        for (fault, part) in [
            (Fault::Priority { asked: 5 }, "LimitRTPRIO=5"),
            (
                Fault::MemoryLimit { bytes_max: 8 << 20 },
                "the limit is 8192 KiB",
            ),
            (Fault::Memory(12), "LOCK_MEMORY=false"),
        ] {
            assert!(fault.to_string().contains(part), "{fault}");
        }
    }

    #[test]
    fn memory_is_locked_where_it_may_be() {
        let locked_kib = || {
            let status = std::fs::read_to_string("/proc/self/status").unwrap();
            let line = status.lines().find_map(|line| line.strip_prefix("VmLck:"));
            let number = line.unwrap().trim().trim_end_matches(" kB");
            number.parse::<u64>().unwrap()
        };
        match lock_memory() {
            Ok(()) => assert!(locked_kib() > 1_000),
            Err(fault) => assert!(allowed().locked_bytes.is_some(), "{fault}"),
        }
    }
}
