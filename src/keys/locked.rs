//! Memory for secrets: pages of their own, kept out of swap, wiped before they are given back.
//!
//! Promises: no two secrets share a page, so that the end of one never unlocks another (the system
//! locks pages, and does not count); what is dropped is wiped first and unlocked afterwards.
//! Refuses: failing because the system grants no locked memory. Then a secret is only wiped, and
//! [`shield`](super::shield) has said so at the start.

use zeroize::Zeroize;

/// Bytes on locked pages.
pub(super) struct Locked {
    // Before the memory: pages are unlocked while they are still ours.
    _guard: Option<region::LockGuard>,
    memory: Vec<u8>,
    start: usize,
    len: usize,
}

impl Locked {
    /// Copies the bytes to pages of their own and locks these; the source is wiped.
    pub(super) fn take(source: &mut [u8]) -> Locked {
        let page = region::page::size();
        let whole = source.len().next_multiple_of(page);
        let mut locked = Locked::unlocked(source, whole + page, |at| at.align_offset(page));
        if whole > 0 {
            let start = locked.bytes().as_ptr();
            locked._guard = region::lock(start, whole).ok();
        }
        locked
    }

    /// As [`Locked::take`], wiped in the end but not locked: for text that only may stand beside
    /// secrets.
    pub(super) fn wiped(source: &mut [u8]) -> Locked {
        Locked::unlocked(source, source.len(), |_| 0)
    }

    fn unlocked(source: &mut [u8], size: usize, place: impl Fn(*const u8) -> usize) -> Locked {
        let mut memory = vec![0; size];
        let start = place(memory.as_ptr());
        memory[start..start + source.len()].copy_from_slice(source);
        let len = source.len();
        source.zeroize();
        Locked {
            _guard: None,
            memory,
            start,
            len,
        }
    }

    /// What was taken.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.memory[self.start..self.start + self.len]
    }
}

impl Drop for Locked {
    fn drop(&mut self) {
        self.memory.zeroize();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_stand_at_the_start_of_a_page_and_the_source_is_wiped() {
        let page = region::page::size();
        for len in [0, 1, 40, page, page + 1] {
            let wanted: Vec<u8> = (0..len).map(|at| at as u8 | 1).collect();
            let mut source = wanted.clone();
            let locked = Locked::take(&mut source);
            assert_eq!(locked.bytes(), wanted);
            assert!(source.iter().all(|byte| *byte == 0));
            assert_eq!(locked.bytes().as_ptr().align_offset(page), 0);
            assert_eq!(Locked::wiped(&mut wanted.clone()).bytes(), wanted);
        }
    }

    /// The system's own count of what this process has locked.
    #[test]
    fn pages_are_locked_while_they_are_held() {
        let locked_kib = || {
            let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
            let line = status
                .lines()
                .find(|line| line.starts_with("VmLck"))
                .unwrap();
            let number = line.split_whitespace().nth(1).unwrap();
            number.parse::<u64>().unwrap()
        };
        let held: Vec<Locked> = (0..4).map(|_| Locked::take(&mut [7; 32])).collect();
        if held.iter().any(|locked| locked._guard.is_none()) {
            return; // This host grants no locked memory.
        }
        // Other tests of this process lock as well, so only a floor can be stated.
        assert!(locked_kib() >= 16);
    }
}
