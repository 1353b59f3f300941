//! What the edges that were taken were made of, and what lay in the books when our orders matched.
//!
//! Promises: sums are exact; means are worked out only to be shown. Refuses: printing.

use crate::market::edge::Parts;
use crate::market::units::{Bps, Size};
use crate::record::durations::{Durations, Quantiles};
use serde_json::{Map, Value, json};

/// Names of the parts, in the order in which they are shown.
pub const PARTS: [&str; 8] = [
    "gross",
    "fees",
    "closing",
    "slippage",
    "rounding",
    "funding",
    "uncertainty",
    "net",
];

/// Everything counted of them.
pub struct Edges {
    count: i64,
    /// Sums in 2^-16 bps, in the order of [`PARTS`].
    sums: [i64; PARTS.len()],
    impact_e4: i64,
    /// Size of a fill against the depth within its limit, in 10^-4.
    shares: Durations,
}

impl Edges {
    /// Nothing yet.
    pub fn new() -> Edges {
        Edges {
            count: 0,
            sums: [0; PARTS.len()],
            impact_e4: 0,
            shares: Durations::new(),
        }
    }

    /// An edge was taken.
    pub fn add(&mut self, parts: &Parts) {
        let all = [
            parts.gross,
            parts.fees,
            parts.closing,
            parts.slippage,
            parts.rounding,
            parts.funding,
            parts.uncertainty,
            parts.net(),
        ];
        for (sum, part) in self.sums.iter_mut().zip(all) {
            *sum = sum.saturating_add(part.bits());
        }
        self.count += 1;
        self.impact_e4 += i64::from(parts.impact_e4);
    }

    /// An order matched so much where `depth` lay within its limit. No depth at all: our own fill
    /// was taken off already, and it was the whole.
    pub fn add_match(&mut self, size: Size, depth: Size) {
        let share = (i128::from(size.0) * 10_000).checked_div(i128::from(depth.0));
        let share = share.unwrap_or(10_000).clamp(0, SHARE_MAX_E4);
        self.shares.add(share as u64);
    }

    /// Mean of each part in bps, in the order of [`PARTS`]; `None` when no edge was taken.
    pub fn means(&self) -> Option<[f64; PARTS.len()]> {
        let mean = |sum: i64| Bps::from_bits(sum / self.count.max(1)).to_f64();
        (self.count > 0).then(|| self.sums.map(mean))
    }

    /// Mean impact score, 0 to 1.
    pub fn impact(&self) -> Option<f64> {
        (self.count > 0).then(|| self.impact_e4 as f64 / self.count as f64 / 1e4)
    }

    /// Size against depth at match, in 10^-4.
    pub fn shares(&self) -> Option<Quantiles> {
        self.shares.quantiles()
    }

    /// For programs; null where nothing was taken, or nothing matched.
    pub fn json(&self) -> Value {
        let parts: Option<Map<String, Value>> = self.means().map(|means| {
            let named = PARTS.iter().zip(means);
            named
                .map(|(name, mean)| ((*name).to_owned(), mean.into()))
                .collect()
        });
        let share = |pick: fn(&Quantiles) -> u64| self.shares().map(|q| pick(&q) as f64 / 1e4);
        json!({
            "taken_bps_mean": parts,
            "impact_mean": self.impact(),
            "match_size_of_depth": {
                "count": self.shares.count(),
                "p50": share(|q| q.p50),
                "p90": share(|q| q.p90),
                "p99": share(|q| q.p99),
                "max": share(|q| q.max),
            },
        })
    }
}

impl Default for Edges {
    fn default() -> Self {
        Edges::new()
    }
}

/// A thousand times the depth; beyond that it makes no difference.
const SHARE_MAX_E4: i128 = 10_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn means_and_shares() {
        let mut edges = Edges::new();
        assert_eq!(edges.json()["taken_bps_mean"], Value::Null);
        for gross in [10, 14] {
            edges.add(&Parts {
                gross: Bps::whole(gross),
                fees: Bps::whole(5),
                impact_e4: 1_000,
                ..Parts::default()
            });
        }
        for (size, depth) in [(1, 4), (1, 2), (3, 0)] {
            edges.add_match(Size(size), Size(depth));
        }
        let told = edges.json();
        assert_eq!(told["taken_bps_mean"]["gross"], 12.0);
        assert_eq!(told["taken_bps_mean"]["net"], 7.0);
        assert_eq!(told["impact_mean"], 0.1);
        // A histogram's quantile, to three digits.
        let half = told["match_size_of_depth"]["p50"].as_f64().unwrap();
        assert!((half - 0.5).abs() < 0.001, "{half}");
        assert_eq!(told["match_size_of_depth"]["count"], 3);
    }
}
