//! Counts what the constant-time tests compare: products and table reads. Outside tests both
//! functions are empty and vanish.

#[cfg(test)]
thread_local! {
    static COUNTS: std::cell::Cell<[u64; 2]> = const { std::cell::Cell::new([0; 2]) };
}

/// One more field or scalar multiplication.
#[inline(always)]
pub fn multiplied() {
    #[cfg(test)]
    COUNTS.set([COUNTS.get()[0] + 1, COUNTS.get()[1]]);
}

/// One more table entry read.
#[inline(always)]
pub fn looked_up() {
    #[cfg(test)]
    COUNTS.set([COUNTS.get()[0], COUNTS.get()[1] + 1]);
}

/// What was counted on this thread since the last call.
#[cfg(test)]
pub fn take() -> [u64; 2] {
    COUNTS.replace([0; 2])
}
