//! Durations counted into fixed bounds: how long each step took, at the centre and at the tail.
//!
//! Promises: recording costs a constant and takes no memory after `new`; three significant digits
//! from 1 ns to 60 s. Refuses: durations beyond the bounds are counted at the bound, not lost.
//! One histogram takes about 220 KB, the recorder's thirteen about 3 MB.

use hdrhistogram::Histogram;

/// Counted durations of one step.
pub struct Durations {
    histogram: Histogram<u64>,
}

/// What is printed of them, all in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quantiles {
    /// Durations counted.
    pub count: u64,
    /// All together over their number, rounded down: what a step costs.
    pub mean: u64,
    /// Half were shorter.
    pub p50: u64,
    /// Nine in ten were shorter.
    pub p90: u64,
    /// 99 in 100 were shorter.
    pub p99: u64,
    /// 999 in 1,000 were shorter.
    pub p999: u64,
    /// The longest.
    pub max: u64,
}

/// One bar of a printed histogram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bar {
    /// Durations above the bar before and up to this many nanoseconds.
    pub up_to_ns: u64,
    /// How many.
    pub count: u64,
}

impl Durations {
    /// Empty, with all its memory.
    pub fn new() -> Durations {
        Durations {
            histogram: Histogram::new_with_bounds(1, NS_MAX, 3)
                .expect("the bounds are constants that the library accepts"),
        }
    }

    /// Counts one.
    pub fn add(&mut self, ns: u64) {
        self.histogram.saturating_record(ns.clamp(1, NS_MAX));
    }

    /// Durations counted.
    pub fn count(&self) -> u64 {
        self.histogram.len()
    }

    /// Durations from one to another, both counted, as exact as the buckets are.
    pub fn between(&self, from_ns: u64, to_ns: u64) -> u64 {
        self.histogram.count_between(from_ns, to_ns.min(NS_MAX))
    }

    /// What is counted into.
    pub(super) fn histogram(&self) -> &Histogram<u64> {
        &self.histogram
    }

    /// The figures that are printed; `None` when nothing was counted, since then none is true.
    pub fn quantiles(&self) -> Option<Quantiles> {
        let at = |quantile| {
            self.histogram
                .value_at_quantile(quantile)
                .min(self.histogram.max())
        };
        (!self.histogram.is_empty()).then(|| Quantiles {
            count: self.count(),
            mean: self.histogram.mean() as u64,
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            p999: at(0.999),
            max: self.histogram.max(),
        })
    }

    /// Bars that double in width, from the shortest duration to the longest: at most 36 of them.
    pub fn bars(&self) -> Vec<Bar> {
        let mut bars = Vec::new();
        if self.histogram.is_empty() {
            return bars;
        }
        let mut low = 0;
        let mut high = self.histogram.min().next_power_of_two();
        loop {
            let count = self.histogram.count_between(low + 1, high);
            bars.push(Bar {
                up_to_ns: high,
                count,
            });
            if high >= self.histogram.max() {
                return bars;
            }
            low = high;
            high *= 2;
        }
    }
}

impl Default for Durations {
    fn default() -> Self {
        Durations::new()
    }
}

/// Longest duration told apart, 60 s. Larger costs memory; smaller hides how long a stall was.
const NS_MAX: u64 = 60_000_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_against_a_sorted_list() {
        let mut durations = Durations::new();
        let mut list: Vec<u64> = (0..10_000_u64).map(|i| (i * i) % 99_991 + 1).collect();
        list.iter().for_each(|&ns| durations.add(ns));
        list.sort_unstable();
        let quantiles = durations.quantiles().unwrap();
        for (found, share) in [
            (quantiles.p50, 0.5),
            (quantiles.p90, 0.9),
            (quantiles.p99, 0.99),
            (quantiles.p999, 0.999),
        ] {
            let truth = list[(share * 10_000.0) as usize - 1];
            let off = found.abs_diff(truth);
            assert!(off * 500 <= truth, "{share}: {found} against {truth}");
        }
        assert_eq!(quantiles.count, 10_000);
        assert!(quantiles.max.abs_diff(list[9_999]) * 500 <= list[9_999]);
    }

    #[test]
    fn nothing_counted_is_nothing_said() {
        assert_eq!(Durations::new().quantiles(), None);
        assert!(Durations::new().bars().is_empty());
    }

    #[test]
    fn bounds_hold() {
        let mut durations = Durations::new();
        durations.add(0);
        durations.add(u64::MAX);
        let quantiles = durations.quantiles().unwrap();
        assert_eq!(quantiles.count, 2);
        assert_eq!(quantiles.p50, 1);
        assert!(quantiles.max >= NS_MAX && quantiles.max < NS_MAX + NS_MAX / 500);
        assert!(durations.bars().len() <= 37);
    }

    #[test]
    fn bars_count_everything_once() {
        let mut durations = Durations::new();
        for ns in [3, 4, 5, 8, 9, 1000, 1_000_000] {
            durations.add(ns);
        }
        let bars = durations.bars();
        assert_eq!(bars.iter().map(|bar| bar.count).sum::<u64>(), 7);
        assert_eq!(
            bars[0],
            Bar {
                up_to_ns: 4,
                count: 2
            }
        );
        assert_eq!(
            bars[1],
            Bar {
                up_to_ns: 8,
                count: 2
            }
        );
    }
}
