//! How long an order takes to its match: measured on our own fills, by venue.
//!
//! Promises: a bounded number of measurements, the newest kept; the same calls draw the same
//! delays.

use crate::market::units::SECOND;

/// Measurements kept. Larger: slower to notice that a venue has become slower.
const KEPT: usize = 16;
/// What takes longer is no delay of a venue but an order that was asked about.
const NS_MAX: u64 = 5 * SECOND;

/// One venue's.
#[derive(Clone, Copy, Debug)]
pub struct Delays {
    configured_ns: u64,
    measured_ns: [u64; KEPT],
    count: usize,
    drawn: usize,
}

impl Delays {
    /// Nothing measured yet.
    pub fn new(configured_ns: u64) -> Delays {
        Delays {
            configured_ns,
            measured_ns: [0; KEPT],
            count: 0,
            drawn: 0,
        }
    }

    /// What is to be expected from now on; true where it is another than before, and what was
    /// measured no longer holds.
    pub fn configure(&mut self, ns: u64) -> bool {
        let is_other = ns != self.configured_ns;
        if is_other {
            *self = Delays::new(ns);
        }
        is_other
    }

    /// From decision to fill of one order of ours.
    pub fn measure(&mut self, ns: u64) {
        if ns <= NS_MAX {
            self.measured_ns[self.count % KEPT] = ns;
            self.count = self.count.wrapping_add(1).max(1);
        }
    }

    /// One of the last measured, each in its turn; what is configured while there is none.
    pub fn draw(&mut self) -> u64 {
        let held = self.count.min(KEPT);
        if held == 0 {
            return self.configured_ns;
        }
        self.drawn = (self.drawn + 1) % held;
        self.measured_ns[self.drawn]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::market::units::MS;

    #[test]
    fn draws_what_was_measured_last_each_in_turn() {
        let mut delays = Delays::new(350 * MS);
        assert_eq!((delays.draw(), delays.draw()), (350 * MS, 350 * MS));
        delays.measure(NS_MAX + 1);
        assert_eq!(delays.draw(), 350 * MS, "not a delay");
        delays.measure(360 * MS);
        assert_eq!((delays.draw(), delays.draw()), (360 * MS, 360 * MS));
        (0..40).for_each(|ms| delays.measure(ms * MS));
        let mut drawn: Vec<u64> = (0..KEPT).map(|_| delays.draw() / MS).collect();
        drawn.sort_unstable();
        assert_eq!(drawn, (24..40).collect::<Vec<u64>>());
    }
}
