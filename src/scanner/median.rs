//! The exact median and quartiles of the last samples of a basis, in constant time a sample.
//!
//! Samples lie in a ring and in counting bins of 1/32 bps; three pointers stand at the quartiles
//! and move by a few bins a sample. Promises: no allocation after `new`; the same as sorting.
//! Refuses: a basis beyond 256 bps, which no fair explains: it counts as that much.

use crate::market::units::Bps;

/// Units of 2^-16 bps in a bin: 1/32 bps. Larger: coarser. Smaller: longer moves.
pub const BIN_BITS: i64 = 1 << 11;
/// Bins on either side of zero: 256 bps.
const BINS_HALF: i64 = 256 * 32;
const BINS_LEN: usize = 2 * BINS_HALF as usize;
/// Most samples in a ring, so that a bin's count fits 16 bits.
const SAMPLES_MAX: usize = 60_000;

/// A sliding window of samples.
pub struct Median {
    ring: Box<[u16]>,
    bins: Box<[u16]>,
    len: usize,
    next_idx: usize,
    /// At the lower quartile, the median and the upper quartile.
    marks: [Mark; 3],
}

/// A pointer at one quantile.
#[derive(Clone, Copy)]
struct Mark {
    bin: usize,
    /// Samples in the bins below.
    below: usize,
}

impl Median {
    /// Empty, for at most so many samples.
    pub fn new(samples: usize) -> Median {
        let mark = Mark {
            bin: BINS_HALF as usize,
            below: 0,
        };
        Median {
            ring: vec![0; samples.clamp(1, SAMPLES_MAX)].into_boxed_slice(),
            bins: vec![0; BINS_LEN].into_boxed_slice(),
            len: 0,
            next_idx: 0,
            marks: [mark; 3],
        }
    }

    /// Samples in the window now.
    #[inline]
    pub fn count(&self) -> usize {
        self.len
    }

    /// Samples that the window takes.
    pub fn capacity(&self) -> usize {
        self.ring.len()
    }

    /// The lower median; `None` without a sample, or where it lies beyond belief.
    #[inline]
    pub fn value(&self) -> Option<Bps> {
        let bin = self.marks[1].bin;
        let is_inside = (1..BINS_LEN - 1).contains(&bin);
        let bits = (bin as i64 - BINS_HALF) * BIN_BITS + BIN_BITS / 2;
        (self.len > 0 && is_inside).then_some(Bps::from_bits(bits))
    }

    /// Distance of the quartiles; zero without a sample.
    pub fn quartile_range(&self) -> Bps {
        let [lower, _, upper] = self.marks;
        let bins = upper.bin as i64 - lower.bin as i64;
        Bps::from_bits(if self.len > 0 { bins * BIN_BITS } else { 0 })
    }

    /// Forgets every sample; the pointers stay, an empty window has no median.
    pub fn clear(&mut self) {
        self.bins.fill(0);
        self.len = 0;
        self.next_idx = 0;
        for mark in &mut self.marks {
            mark.below = 0;
        }
    }

    /// One sample in, the oldest out when the ring is full.
    pub fn add(&mut self, basis: Bps) {
        let bin = (basis.bits().div_euclid(BIN_BITS) + BINS_HALF).clamp(0, BINS_LEN as i64 - 1);
        let bin = bin as usize;
        let mut old = None;
        if self.len == self.ring.len() {
            let first = usize::from(self.ring[self.next_idx]);
            self.bins[first] -= 1;
            old = Some(first);
        } else {
            self.len += 1;
        }
        self.ring[self.next_idx] = bin as u16;
        self.next_idx = (self.next_idx + 1) % self.ring.len();
        self.bins[bin] += 1;
        for (quarter, mark) in (1..).zip(&mut self.marks) {
            mark.below -= usize::from(old.is_some_and(|old| old < mark.bin));
            mark.below += usize::from(bin < mark.bin);
            mark.settle(&self.bins, (self.len - 1) * quarter / 4);
        }
    }
}

impl Mark {
    /// Moves until exactly this rank lies in its bin.
    fn settle(&mut self, bins: &[u16], rank: usize) {
        while self.below > rank {
            self.bin -= 1;
            self.below -= usize::from(bins[self.bin]);
        }
        while self.below + usize::from(bins[self.bin]) <= rank {
            self.below += usize::from(bins[self.bin]);
            self.bin += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_basis_beyond_belief_has_no_median() {
        let mut median = Median::new(50);
        assert_eq!((median.value(), median.quartile_range()), (None, Bps::ZERO));
        median.add(Bps::whole(400));
        assert_eq!(median.value(), None);
        median.clear();
        median.add(Bps::whole(4));
        assert_eq!(
            median.value(),
            Some(Bps::from_bits((4 << 16) + BIN_BITS / 2))
        );
    }

    proptest! {
        #[test]
        fn as_sorting_says(samples in prop::collection::vec(-3_000_i64..3_000, 1..200)) {
            let mut median = Median::new(50);
            for sample in &samples {
                median.add(Bps::from_bits(sample * 64));
            }
            let window = &samples[samples.len().saturating_sub(50)..];
            let bin = |sample: &i64| (sample * 64).div_euclid(BIN_BITS);
            let mut sorted: Vec<i64> = window.iter().map(bin).collect();
            sorted.sort_unstable();
            let at = |quarter: usize| sorted[(sorted.len() - 1) * quarter / 4] * BIN_BITS;
            prop_assert_eq!(median.value(), Some(Bps::from_bits(at(2) + BIN_BITS / 2)));
            prop_assert_eq!(median.quartile_range(), Bps::from_bits(at(3) - at(1)));
        }
    }
}
