//! What a process does for its secrets before it touches any: no core dump, no reading along.
//!
//! A core file holds every key in plain. A limit of zero keeps the kernel from writing one; a
//! program that the kernel pipes dumps to does not care for the limit, but a process that is not
//! dumpable is not dumped at all, and no other process of this user may attach to it or read its
//! memory and its environment.
//! Promises: [`raise`] is safe to call at any time and more than once.
//! Refuses: going on with keys where dumps can't be turned off.
//!
//! Sources: prctl(2) PR_SET_DUMPABLE, core(5), getrlimit(2), ptrace(2).

use rustix::process::{
    DumpableBehavior, Resource, Rlimit, getrlimit, set_dumpable_behavior, setrlimit,
};
use std::fmt;

/// Dumps can't be turned off: the operating system said no.
#[derive(Debug)]
pub struct Unshielded(std::io::Error);

impl fmt::Display for Unshielded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the operating system does not let parallax turn core dumps off ({}), so no key is \
             touched\n    fix: allow prctl(PR_SET_DUMPABLE) to this process",
            self.0
        )
    }
}

impl std::error::Error for Unshielded {}

/// Turns core dumps off for good, and allows this process all the locked memory it can have. What
/// comes back is a note for the user, if there is any.
pub fn raise() -> Result<Option<&'static str>, Unshielded> {
    let refused = |error: rustix::io::Errno| Unshielded(error.into());
    set_dumpable_behavior(DumpableBehavior::NotDumpable).map_err(refused)?;
    let none = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    setrlimit(Resource::Core, none).map_err(refused)?;
    let most = getrlimit(Resource::Memlock).maximum;
    let all = Rlimit {
        current: most,
        maximum: most,
    };
    // What can't be raised stays; whether it is enough is seen next.
    let _ = setrlimit(Resource::Memlock, all);
    let probe = [0_u8; 1];
    Ok(region::lock(probe.as_ptr(), probe.len()).err().map(|_| {
        "secrets can't be locked in memory here and may be swapped to disk: allow it (ulimit -l, \
         or LimitMEMLOCK= in the service)"
    }))
}
