//! The fair basis of one instrument: medians of the mid basis on a fixed time grid, slow and fast.
//!
//! Two perpetuals of one asset differ for reasons that last; only what stands *over* that is an
//! edge. Each 100 ms the basis that held then is one sample, so the medians are weighted by time
//! and a burst of messages weighs nothing. The slow median is the fair; the fast one, and the
//! spread of the slow one, say how far it may be wrong.
//!
//! Promises: no allocation after `new`; an edge never teaches (sampling is frozen while one
//! stands or a pair is open); a jump that stays is learned anew with entries stopped meanwhile.
//! Refuses: a basis beyond 256 bps, which no fair explains.

use crate::market::VENUE_COUNT;
use crate::market::units::{Bps, MS, Nanos, Price, SECOND};
use crate::scanner::median::Median;
use crate::scanner::risk::Limits;
use crate::scanner::spread::basis;

// The uncertainty of the fair is what two independent errors make together, added in squares:
//   drift   |fast - slow|: the slow median is where the basis was half a window ago
//   chance  IQR / sqrt(n): the error of a median of n independent samples. For a normal
//           distribution it is 1.2533 sigma / sqrt(n), and sigma = IQR / 1.349: 0.93 IQR / sqrt(n).
// Samples 100 ms apart are not independent: a hundred count as one (`SAMPLES_PER_EFFECTIVE`).

/// Time between samples. Larger: coarser weighting. Smaller: a longer ring for the same window.
const GRID_NS: u64 = 100 * MS;
/// A basis older than this is no sample: the books were not both live.
const HOLD_NS_MAX: u64 = 5 * SECOND;
/// The edge must be gone this long before the clock of a regime change starts anew.
const CALM_NS: u64 = SECOND;
/// Samples that say as much as one independent one: ten seconds. Larger: more uncertain for longer.
/// Smaller: a fair of two minutes passes for exact.
const SAMPLES_PER_EFFECTIVE: u64 = 100;
/// Window of what the basis is right now, edges included. Larger: a common move is seen later.
/// Smaller: an edge of a second passes for one.
const RAW_NS: u64 = 5 * SECOND;

/// How far the executable spread stands over the fair, in the better direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edge {
    /// Below half of what freezes.
    Calm,
    /// Between.
    Some,
    /// Enough to freeze the fair.
    High,
    /// Beyond belief, or not long ago: it teaches nothing, and is no regime.
    Absurd,
}

/// The fair basis of one instrument.
pub struct Fair {
    slow: Median,
    fast: Median,
    /// Of everything, frozen or not.
    raw: Median,
    uncertainty: Bps,
    held: Option<Held>,
    /// What held until then, while it is yet to be sampled.
    late: Option<(Held, Nanos)>,
    high_since: Option<Nanos>,
    calm_since: Option<Nanos>,
    stretch: u32,
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
    /// An unknown fair over the windows of these limits, known after their least samples.
    pub fn new(limits: &Limits) -> Fair {
        let over = |window_ns: u64| Median::new((window_ns / GRID_NS) as usize);
        let slow = over(limits.fair_window_ns);
        let samples_min = (limits.fair_samples_min as usize).clamp(1, slow.capacity());
        Fair {
            slow,
            fast: over(limits.edge.fair_fast_ns),
            raw: over(RAW_NS),
            uncertainty: Bps::ZERO,
            held: None,
            late: None,
            high_since: None,
            calm_since: None,
            stretch: 0,
            samples_min,
            regime_after_ns: limits.regime_after_ns,
            relearning: false,
        }
    }

    /// The fair, once there are enough samples.
    #[inline]
    pub fn known(&self) -> Option<Bps> {
        if self.slow.count() < self.samples_min {
            return None;
        }
        self.provisional()
    }

    /// The median of whatever samples there are: good for showing, not for trading.
    #[inline]
    pub fn provisional(&self) -> Option<Bps> {
        self.slow.value()
    }

    /// How far the fair may be wrong, in either direction.
    #[inline]
    pub fn uncertainty(&self) -> Bps {
        self.uncertainty
    }

    /// What the basis has been in the last seconds, edges included; `None` before they are over.
    pub fn raw(&self) -> Option<Bps> {
        self.raw
            .value()
            .filter(|_| self.raw.count() == self.raw.capacity())
    }

    /// The basis has moved for good and is being learned anew.
    pub fn is_relearning(&self) -> bool {
        self.relearning && self.slow.count() < self.samples_min
    }

    /// Number of the stretch of time since edges were last gone for a calm second. An edge that
    /// came and never left is in one stretch, however often it flickers.
    #[inline]
    pub fn stretch(&self) -> u32 {
        self.stretch
    }

    /// Takes what the basis was before the run for known, until samples outvote it.
    pub fn seed(&mut self, basis: Bps) {
        self.reset();
        self.relearning = false;
        for _ in 0..self.samples_min {
            self.add(basis);
        }
        self.judge_uncertainty();
    }

    /// These are both venues' mids from `now` on. `edge` is what stands over the fair now; `pinned`
    /// when a pair is open on it. The basis is worked out only where the grid samples it: a
    /// division each 100 ms, not one a message. True when the grid has passed what held until now:
    /// [`Fair::settle`] samples it, once there is time.
    pub fn observe(
        &mut self,
        now: Nanos,
        mids: [Price; VENUE_COUNT],
        edge: Edge,
        pinned: bool,
    ) -> bool {
        self.settle();
        let t_sample = self.put_aside(now);
        self.judge_regime(now, edge);
        let known = self.slow.count() >= self.samples_min;
        let frozen = match edge {
            Edge::Absurd => true,
            Edge::High => known,
            Edge::Some | Edge::Calm => known && pinned,
        };
        self.held = Some(Held {
            mids,
            t: now,
            t_sample,
            frozen,
        });
        self.late.is_some()
    }

    /// Puts what held until now aside where the grid has passed it; when the grid is due next.
    fn put_aside(&mut self, now: Nanos) -> Nanos {
        let Some(mut held) = self.held else {
            return now;
        };
        if held.t_sample >= now {
            return held.t_sample;
        }
        // After a silence nobody knows what held meanwhile: the grid starts anew, and so does the
        // clock of a regime change. An edge that stood before is still the same stretch.
        if now.since(held.t) > HOLD_NS_MAX {
            held.t_sample = now;
            self.high_since = self.high_since.map(|_| now);
            self.calm_since = None;
        }
        self.late = Some((held, now));
        let steps = now.since(held.t_sample).div_ceil(GRID_NS);
        held.t_sample.plus(steps * GRID_NS)
    }

    /// Samples what was put aside: three medians in far memory, too much for the path of an order,
    /// which is judged by what was known before it.
    #[inline]
    pub fn settle(&mut self) {
        let Some((held, until)) = self.late.take() else {
            return;
        };
        let mut t_sample = held.t_sample;
        while t_sample < until {
            if let Some(basis) = basis(held.mids) {
                self.raw.add(basis);
                if !held.frozen {
                    self.add(basis);
                }
            }
            t_sample = t_sample.plus(GRID_NS);
        }
        self.judge_uncertainty();
    }

    /// A high edge that stays for `regime_after_ns`, with no calm second in between, is a new fair.
    fn judge_regime(&mut self, now: Nanos, edge: Edge) {
        match edge {
            Edge::High => {
                self.calm_since = None;
                if self.high_since.is_none() {
                    self.stretch = self.stretch.wrapping_add(1);
                }
                let since = *self.high_since.get_or_insert(now);
                let is_long = now.since(since) >= self.regime_after_ns;
                if is_long && self.slow.count() >= self.samples_min {
                    self.settle();
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
            Edge::Absurd => (self.high_since, self.calm_since) = (None, None),
        }
    }

    /// Forgets every sample of the fair.
    fn reset(&mut self) {
        self.slow.clear();
        self.fast.clear();
        self.late = None;
        self.high_since = None;
        self.calm_since = None;
    }

    fn add(&mut self, basis: Bps) {
        self.slow.add(basis);
        self.fast.add(basis);
    }

    /// Drift and chance together; see above.
    fn judge_uncertainty(&mut self) {
        let (Some(fast), Some(slow)) = (self.fast.value(), self.slow.value()) else {
            return;
        };
        let drift = (fast - slow).bits();
        let effective = (self.slow.count() as u64).max(SAMPLES_PER_EFFECTIVE) << 16;
        let root = (effective / SAMPLES_PER_EFFECTIVE).isqrt() as i64;
        let chance = (self.slow.quartile_range().bits() << 8) / root;
        // Both are below 2^26: their squares fit.
        let square = drift * drift + chance * chance;
        self.uncertainty = Bps::from_bits(square.isqrt());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fair(window_s: u64, samples_min: u32, regime_after_s: u64) -> Fair {
        Fair::new(&Limits {
            fair_window_ns: window_s * SECOND,
            fair_samples_min: samples_min,
            regime_after_ns: regime_after_s * SECOND,
            ..Limits::default()
        })
    }

    impl Fair {
        /// Observed, and sampled at once.
        fn see(&mut self, now: Nanos, mids: [Price; VENUE_COUNT], edge: Edge, pinned: bool) {
            self.observe(now, mids, edge, pinned);
            self.settle();
        }
    }

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
        let mut fair = fair(600, 10, 60);
        let five = mids(5_000);
        for _ in 0..1_000 {
            fair.see(at(0), five, Edge::Calm, false);
        }
        assert_eq!(fair.provisional(), None);
        fair.see(at(900), five, Edge::Calm, false);
        assert_eq!(fair.known(), None);
        fair.see(at(1_001), five, Edge::Calm, false);
        assert!(near(fair.known(), 5.0));
        // A silence is not a sample.
        let before = fair.slow.count();
        fair.see(at(60_000), five, Edge::Calm, false);
        assert_eq!(fair.slow.count(), before);
    }

    #[test]
    fn what_is_sampled_later_is_the_same() {
        let [mut at_once, mut later] = [(); 2].map(|()| fair(10, 5, 60));
        for step in 0..400_u64 {
            let (now, milli) = (at(step * 37), (step as i64 * 7) % 40 * 100);
            let edge = [Edge::Calm, Edge::Some, Edge::High][step as usize / 50 % 3];
            at_once.see(now, mids(milli), edge, false);
            let before = later.late.is_none().then(|| later.fast.count());
            let is_late = later.observe(now, mids(milli), edge, false);
            let after = later.fast.count();
            assert_eq!(before.unwrap_or(after), after, "nothing on the path");
            // Whoever settles, the next look does at the latest.
            if is_late && step % 2 == 0 {
                later.settle();
            }
        }
        later.settle();
        let told = |fair: &Fair| (fair.known(), fair.uncertainty(), fair.raw(), fair.stretch());
        assert_eq!(told(&at_once), told(&later));
    }

    #[test]
    fn an_edge_does_not_teach_but_a_new_regime_does() {
        let mut fair = fair(600, 100, 60);
        fair.seed(Bps::from_milli(2_000));
        let jumped = mids(9_000);
        let mut ms = 0;
        while ms < 59_000 {
            fair.see(at(ms), jumped, Edge::High, false);
            ms += 50;
        }
        assert!(near(fair.known(), 2.0) && !fair.is_relearning());
        assert!(
            near(fair.raw(), 9.0),
            "what it is now is known all the same"
        );
        while ms < 62_000 {
            fair.see(at(ms), jumped, Edge::High, false);
            ms += 50;
        }
        assert!(fair.known().is_none() && fair.is_relearning());
        while ms < 75_000 {
            fair.see(at(ms), jumped, Edge::Calm, false);
            ms += 50;
        }
        assert!(near(fair.known(), 9.0) && !fair.is_relearning());
    }

    #[test]
    fn an_open_pair_pins_the_fair() {
        let mut fair = fair(10, 5, 60);
        fair.seed(Bps::ZERO);
        for step in 0..200 {
            fair.see(at(step * 100), mids(1_500), Edge::Some, true);
        }
        assert!(near(fair.known(), 0.0));
        for step in 200..300 {
            fair.see(at(step * 100), mids(1_500), Edge::Some, false);
        }
        assert!(near(fair.known(), 1.5));
    }

    #[test]
    fn what_is_beyond_belief_is_no_regime() {
        let mut fair = fair(600, 10, 2);
        fair.seed(Bps::ZERO);
        for step in 0..600 {
            fair.see(at(step * 100), mids(150_000), Edge::Absurd, false);
        }
        assert!(near(fair.known(), 0.0));
    }

    #[test]
    fn a_silence_is_neither_a_regime_nor_a_calm_second() {
        let mut fair = fair(600, 100, 60);
        fair.seed(Bps::ZERO);
        fair.see(at(0), mids(9_000), Edge::High, false);
        // An hour in which nothing was heard.
        fair.see(at(3_600_000), mids(9_000), Edge::High, false);
        assert!(near(fair.known(), 0.0) && !fair.is_relearning());
        fair.see(at(3_600_100), mids(0), Edge::Calm, false);
        fair.see(at(3_610_000), mids(0), Edge::Calm, false);
        fair.see(at(3_610_100), mids(9_000), Edge::High, false);
        assert_eq!(fair.stretch(), 1);
        for ms in (0..62_000).step_by(50) {
            let t = at(3_611_000 + ms);
            fair.see(t, mids(9_000), Edge::High, false);
        }
        assert!(fair.is_relearning(), "it has stood for a minute by now");
    }

    #[test]
    fn a_stretch_ends_with_a_calm_second() {
        let mut fair = fair(600, 10, 60);
        fair.seed(Bps::ZERO);
        let mut seen = Vec::new();
        for (ms, edge) in [
            (0, Edge::High),
            (500, Edge::Calm),
            (1_400, Edge::Some),
            (1_500, Edge::High),
            (2_000, Edge::Calm),
            (3_000, Edge::Calm),
            (3_100, Edge::High),
        ] {
            fair.see(at(ms), mids(6_000), edge, false);
            seen.push(fair.stretch());
        }
        assert_eq!(seen, [1, 1, 1, 1, 1, 1, 2]);
    }

    /// The judge: the formula in floats, on a fair that drifts and one that scatters.
    #[test]
    fn uncertainty_is_drift_and_chance() {
        let mut steady = fair(600, 100, 60);
        steady.seed(Bps::whole(3));
        assert_eq!(steady.uncertainty(), Bps::ZERO);
        // Eight minutes at 0, then two at 4: the fast median has gone, the slow one has not.
        let mut moved = fair(600, 100, 60);
        for step in 0..6_001_u64 {
            let milli = if step < 4_800 { 0 } else { 4_000 };
            moved.observe(at(step * 100), mids(milli), Edge::Calm, false);
        }
        assert!(near(moved.known(), 0.0) && near(Some(moved.uncertainty()), 4.0));
        // Evenly over 4 bps: quartiles 2 bps apart, 6,000 samples as good as 60.
        let mut wide = fair(600, 100, 60);
        for step in 0..6_001_u64 {
            let milli = (step * 1_237 % 4_000) as i64;
            wide.observe(at(step * 100), mids(milli), Edge::Calm, false);
        }
        let expected = 2.0 / 60.0_f64.sqrt();
        let told = wide.uncertainty().to_f64();
        assert!((told - expected).abs() < 0.07, "{told} {expected}");
    }
}
