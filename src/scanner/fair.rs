//! The fair basis of one instrument: the exact median of the mid basis on a fixed time grid.
//!
//! Two perpetuals of one asset differ for reasons that last; only what stands *over* that is an
//! edge. Each 100 ms the basis that held then is one sample, so the median is weighted by time and
//! a burst of messages weighs nothing. Samples lie in a ring and in counting bins of 1/32 bps; a
//! pointer at the median moves by a few bins per sample.
//!
//! Promises: no allocation after `new`; an edge never teaches (sampling is frozen while one
//! stands or a pair is open); a jump that stays is learned anew with entries stopped meanwhile.
//! Refuses: a basis beyond 256 bps, which no fair explains.

use crate::market::VENUE_COUNT;
use crate::market::units::{Bps, MS, Nanos, Price, SECOND};
use crate::scanner::spread::basis;

/// Time between samples. Larger: coarser weighting. Smaller: a longer ring for the same window.
const GRID_NS: u64 = 100 * MS;
/// Units of 2^-16 bps in a bin: 1/32 bps. Larger: coarser fair. Smaller: longer moves.
const BIN_BITS: i64 = 1 << 11;
/// Bins on either side of zero: 256 bps.
const BINS_HALF: i64 = 256 * 32;
const BINS_LEN: usize = 2 * BINS_HALF as usize;
/// Most samples in a ring, so that a bin's count fits 16 bits: 100 minutes.
const SAMPLES_MAX: u64 = 60_000;
/// A basis older than this is no sample: the books were not both live.
const HOLD_NS_MAX: u64 = 5 * SECOND;
/// The edge must be gone this long before the clock of a regime change starts anew.
const CALM_NS: u64 = SECOND;

/// How far the executable spread stands over the fair, in the better direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edge {
    /// Below half of what freezes.
    Calm,
    /// Between.
    Some,
    /// Enough to freeze the fair.
    High,
}

/// The fair basis of one instrument.
pub struct Fair {
    ring: Box<[u16]>,
    bins: Box<[u16]>,
    len: usize,
    next_idx: usize,
    median_bin: usize,
    below: usize,
    held: Option<Held>,
    high_since: Option<Nanos>,
    calm_since: Option<Nanos>,
    samples_min: usize,
    regime_after_ns: u64,
    relearning: bool,
}

/// The basis that holds until the next one comes.
#[derive(Clone, Copy)]
struct Held {
    mids: [Price; VENUE_COUNT],
    t: Nanos,
    t_sample: Nanos,
    frozen: bool,
}

impl Fair {
    /// An unknown fair over a window, known after `samples_min` samples.
    pub fn new(window_ns: u64, samples_min: u32, regime_after_ns: u64) -> Fair {
        let samples = (window_ns / GRID_NS).clamp(1, SAMPLES_MAX) as usize;
        Fair {
            ring: vec![0; samples].into_boxed_slice(),
            bins: vec![0; BINS_LEN].into_boxed_slice(),
            len: 0,
            next_idx: 0,
            median_bin: BINS_HALF as usize,
            below: 0,
            held: None,
            high_since: None,
            calm_since: None,
            samples_min: (samples_min as usize).clamp(1, samples),
            regime_after_ns,
            relearning: false,
        }
    }

    /// The fair, once there are enough samples.
    #[inline]
    pub fn known(&self) -> Option<Bps> {
        if self.len < self.samples_min {
            return None;
        }
        self.provisional()
    }

    /// The median of whatever samples there are: good for showing, not for trading.
    #[inline]
    pub fn provisional(&self) -> Option<Bps> {
        let inside = (1..BINS_LEN - 1).contains(&self.median_bin);
        let bits = (self.median_bin as i64 - BINS_HALF) * BIN_BITS + BIN_BITS / 2;
        (self.len > 0 && inside).then_some(Bps::from_bits(bits))
    }

    /// The basis has moved for good and is being learned anew.
    pub fn is_relearning(&self) -> bool {
        self.relearning && self.len < self.samples_min
    }

    /// Takes what the basis was before the run for known, until samples outvote it.
    pub fn seed(&mut self, basis: Bps) {
        self.reset();
        self.relearning = false;
        for _ in 0..self.samples_min {
            self.add(basis);
        }
    }

    /// These are both venues' mids from `now` on. `edge` is what stands over the fair now; `pinned`
    /// when a pair is open on it. The basis is worked out only where the grid samples it: a
    /// division each 100 ms, not one a message.
    pub fn observe(&mut self, now: Nanos, mids: [Price; VENUE_COUNT], edge: Edge, pinned: bool) {
        self.catch_up(now);
        self.judge_regime(now, edge);
        let known = self.len >= self.samples_min;
        let frozen = known && (pinned || edge == Edge::High);
        let t_sample = self.held.map_or(now, |held| held.t_sample);
        self.held = Some(Held {
            mids,
            t: now,
            t_sample,
            frozen,
        });
    }

    /// Samples the grid up to `now` with the basis that held.
    fn catch_up(&mut self, now: Nanos) {
        let Some(mut held) = self.held else { return };
        // After a silence nobody knows what held meanwhile: the grid starts anew.
        if now.since(held.t) > HOLD_NS_MAX {
            held.t_sample = now;
        }
        while held.t_sample < now {
            if let Some(basis) = basis(held.mids).filter(|_| !held.frozen) {
                self.add(basis);
            }
            held.t_sample = held.t_sample.plus(GRID_NS);
        }
        self.held = Some(held);
    }

    /// A high edge that stays for `regime_after_ns`, with no calm second in between, is a new fair.
    fn judge_regime(&mut self, now: Nanos, edge: Edge) {
        match edge {
            Edge::High => {
                self.calm_since = None;
                let since = *self.high_since.get_or_insert(now);
                if now.since(since) >= self.regime_after_ns && self.len >= self.samples_min {
                    self.reset();
                    self.relearning = true;
                }
            }
            Edge::Some => self.calm_since = None,
            Edge::Calm => {
                let since = *self.calm_since.get_or_insert(now);
                if now.since(since) >= CALM_NS {
                    self.high_since = None;
                }
            }
        }
    }

    /// Forgets every sample; the pointer stays, an empty ring has no median.
    fn reset(&mut self) {
        self.bins.fill(0);
        self.len = 0;
        self.next_idx = 0;
        self.below = 0;
        self.high_since = None;
        self.calm_since = None;
    }

    /// One sample in, the oldest out when the ring is full.
    fn add(&mut self, basis: Bps) {
        let bin = (basis.bits().div_euclid(BIN_BITS) + BINS_HALF).clamp(0, BINS_LEN as i64 - 1);
        let bin = bin as usize;
        if self.len == self.ring.len() {
            let old = usize::from(self.ring[self.next_idx]);
            self.bins[old] -= 1;
            self.below -= usize::from(old < self.median_bin);
        } else {
            self.len += 1;
        }
        self.ring[self.next_idx] = bin as u16;
        self.next_idx = (self.next_idx + 1) % self.ring.len();
        self.bins[bin] += 1;
        self.below += usize::from(bin < self.median_bin);
        self.settle();
    }

    /// Moves the pointer until exactly the lower median's rank lies in its bin.
    fn settle(&mut self) {
        let rank = (self.len - 1) / 2;
        while self.below > rank {
            self.median_bin -= 1;
            self.below -= usize::from(self.bins[self.median_bin]);
        }
        while self.below + usize::from(self.bins[self.median_bin]) <= rank {
            self.below += usize::from(self.bins[self.median_bin]);
            self.median_bin += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(ms: u64) -> Nanos {
        Nanos(1_000 * SECOND + ms * MS)
    }

    /// Two mids so many thousandths of a basis point apart.
    fn mids(milli: i64) -> [Price; VENUE_COUNT] {
        [Price(1_000_000_000), Price(1_000_000_000 + milli * 100)]
    }

    fn near(fair: Option<Bps>, bps: f64) -> bool {
        fair.is_some_and(|fair| (fair.to_f64() - bps).abs() <= 1.0 / 32.0)
    }

    #[test]
    fn warms_up_in_samples_of_time() {
        let mut fair = Fair::new(600 * SECOND, 10, 60 * SECOND);
        let five = mids(5_000);
        for _ in 0..1_000 {
            fair.observe(at(0), five, Edge::Calm, false);
        }
        assert_eq!(fair.provisional(), None);
        fair.observe(at(900), five, Edge::Calm, false);
        assert_eq!(fair.known(), None);
        fair.observe(at(1_001), five, Edge::Calm, false);
        assert!(near(fair.known(), 5.0));
        // A silence is not a sample.
        let before = fair.len;
        fair.observe(at(60_000), five, Edge::Calm, false);
        assert_eq!(fair.len, before);
    }

    #[test]
    fn an_edge_does_not_teach_but_a_new_regime_does() {
        let mut fair = Fair::new(600 * SECOND, 100, 60 * SECOND);
        fair.seed(Bps::from_milli(2_000));
        let jumped = mids(9_000);
        let mut ms = 0;
        while ms < 59_000 {
            fair.observe(at(ms), jumped, Edge::High, false);
            ms += 50;
        }
        assert!(near(fair.known(), 2.0) && !fair.is_relearning());
        while ms < 62_000 {
            fair.observe(at(ms), jumped, Edge::High, false);
            ms += 50;
        }
        assert!(fair.known().is_none() && fair.is_relearning());
        while ms < 75_000 {
            fair.observe(at(ms), jumped, Edge::Calm, false);
            ms += 50;
        }
        assert!(near(fair.known(), 9.0) && !fair.is_relearning());
    }

    #[test]
    fn an_open_pair_pins_the_fair() {
        let mut fair = Fair::new(10 * SECOND, 5, 60 * SECOND);
        fair.seed(Bps::ZERO);
        for step in 0..200 {
            fair.observe(at(step * 100), mids(1_500), Edge::Some, true);
        }
        assert!(near(fair.known(), 0.0));
        for step in 200..300 {
            fair.observe(at(step * 100), mids(1_500), Edge::Some, false);
        }
        assert!(near(fair.known(), 1.5));
    }

    #[test]
    fn a_basis_beyond_belief_is_no_fair() {
        let mut fair = Fair::new(10 * SECOND, 5, 60 * SECOND);
        fair.seed(Bps::from_milli(400_000));
        assert_eq!(fair.known(), None);
    }

    proptest! {
        #[test]
        fn the_median_is_exact(samples in prop::collection::vec(-3_000_i64..3_000, 1..200)) {
            let mut fair = Fair::new(5 * SECOND, 1, 60 * SECOND);
            for sample in &samples {
                fair.add(Bps::from_bits(sample * 64));
            }
            let window = &samples[samples.len().saturating_sub(50)..];
            let bin = |sample: &i64| (sample * 64).div_euclid(BIN_BITS);
            let mut sorted: Vec<i64> = window.iter().map(bin).collect();
            sorted.sort_unstable();
            let expected = sorted[(sorted.len() - 1) / 2] * BIN_BITS + BIN_BITS / 2;
            prop_assert_eq!(fair.provisional(), Some(Bps::from_bits(expected)));
        }
    }
}
