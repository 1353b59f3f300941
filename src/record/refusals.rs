//! What became of opportunities that were let go: each refusal counted, and scored at its arrival.
//!
//! An edge that is refused is followed all the same until its orders would have been matched. What
//! it would have made, misses and fees included, is booked to the reason that refused it first. A
//! limit whose edges would have lost has saved that much; one whose edges would have gained has
//! cost it.
//! Promises: each opportunity counts once for each reason. Refuses: to say that a limit is wrong; a
//! few edges say little, and what was not sent moved no book.

use crate::market::event::{REASONS, Reason};
use crate::market::score::Score;
use crate::market::units::Notional;
use crate::market::{INSTRUMENTS_MAX, InstrumentId, Name};
use serde_json::{Value, json};
use std::io::{Result, Write};

/// Orders that a pair takes on both venues: in and out. One that misses takes one.
const ORDERS_OF_PAIR: u64 = 4;

/// Opportunities that were let go.
pub struct Refusals {
    by_reason: [Scored; REASONS.len()],
    /// Refusals by instrument, then by reason.
    by_market: Box<[[u32; REASONS.len()]]>,
}

/// What the edges of one reason came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scored {
    /// Edges followed to their arrival.
    pub count: u64,
    /// Of these, how many would have filled.
    pub filled: u64,
    /// What all would have made, fees and unwinds included, misses as nothing.
    pub made: Notional,
    /// What was expected of them, fill included.
    pub expected: Notional,
    /// Orders that they would have taken.
    pub orders: u64,
}

impl Scored {
    fn add(&mut self, score: &Score) {
        self.count += 1;
        self.filled += u64::from(score.made.is_some());
        self.orders += score.made.map_or(1, |_| ORDERS_OF_PAIR);
        if let Some(made) = score.made {
            self.made += made.of(score.notional);
        }
        if let Some(expected) = score.expected {
            self.expected += expected.value(score.notional);
        }
    }
}

impl Refusals {
    /// Nothing refused yet, with all memory taken.
    pub fn new() -> Refusals {
        Refusals {
            by_reason: std::array::from_fn(|_| Scored::default()),
            by_market: vec![[0; REASONS.len()]; INSTRUMENTS_MAX].into_boxed_slice(),
        }
    }

    /// One refusal.
    pub fn refuse(&mut self, instrument: InstrumentId, reason: Reason) {
        if let Some(market) = self.by_market.get_mut(instrument.idx()) {
            market[reason as usize] += 1;
        }
    }

    /// What became of an edge. Those that were taken, and later looks at the same, are not
    /// refusals.
    pub fn score(&mut self, score: &Score) {
        if let Some(reason) = score.reason.filter(|_| score.is_first) {
            self.by_reason[reason as usize].add(score);
        }
    }

    /// How many were refused for a reason, in all markets.
    pub fn count(&self, reason: Reason) -> u64 {
        let of_market = |market: &[u32; REASONS.len()]| u64::from(market[reason as usize]);
        self.by_market.iter().map(of_market).sum()
    }

    /// The table for people: the commonest reason first.
    pub fn write(&self, out: &mut dyn Write) -> Result<()> {
        let mut rows: Vec<_> = REASONS.map(|reason| (self.count(reason), reason)).to_vec();
        rows.retain(|(count, _)| *count > 0);
        rows.sort_by_key(|(count, _)| std::cmp::Reverse(*count));
        for (count, reason) in rows {
            let name = reason.name();
            write!(out, "  refused {count:>8}  {name:<18}")?;
            match self.by_reason[reason as usize] {
                Scored { count: 0, .. } => writeln!(out, " not followed")?,
                scored => writeln!(out, " {}", worth(&scored))?,
            }
        }
        Ok(())
    }

    /// For programs: by reason what was followed, and by market how often each refused.
    pub fn json(&self, markets: &[Name]) -> (Value, Value) {
        let scored = REASONS.iter().map(|reason| {
            let scored = &self.by_reason[*reason as usize];
            let row = json!({
                "followed": scored.count,
                "filled": scored.filled,
                "made_usd": scored.made.to_usd_f64(),
                "expected_usd": scored.expected.to_usd_f64(),
                "orders": scored.orders,
            });
            (reason.name().to_owned(), row)
        });
        let by_market = markets.iter().zip(&self.by_market).map(|(name, counts)| {
            let counted = REASONS.iter().zip(counts).filter(|(_, count)| **count > 0);
            let counted = counted.map(|(reason, count)| (reason.name().to_owned(), json!(count)));
            (name.as_str().to_owned(), Value::Object(counted.collect()))
        });
        (
            Value::Object(scored.collect()),
            Value::Object(by_market.collect()),
        )
    }
}

impl Default for Refusals {
    fn default() -> Refusals {
        Refusals::new()
    }
}

/// One reason's edges in words.
fn worth(scored: &Scored) -> String {
    let per_cent = scored.filled * 100 / scored.count.max(1);
    let verdict = match scored.made.0.signum() {
        -1 => "saved",
        1 => "cost",
        _ => "cost nothing",
    };
    let sum = match scored.made.0 {
        0 => String::new(),
        made => format!(" {} USD", Notional(made.abs())),
    };
    format!(
        "would fill {per_cent:>3} % of {}, with {} orders: {verdict}{sum}",
        scored.count, scored.orders
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::market::Venue;
    use crate::market::score::{Expected, ORDERS};
    use crate::market::units::{Bps, Nanos};

    fn score(reason: Option<Reason>, made: Option<i32>, is_first: bool) -> Score {
        Score {
            instrument: InstrumentId(1),
            long: Venue::Lighter,
            reason,
            is_first,
            teaches: true,
            key: 0,
            t_seen: Nanos(1),
            t: Nanos(2),
            net: Bps::ZERO,
            expected: Some(Expected {
                lead: None,
                fill_e4: 5_000,
                edge: Bps::whole(4),
                error: Bps::ZERO,
                samples: 9,
            }),
            made: made.map(Bps::whole),
            edges: [None; ORDERS],
            notional: Notional::from_usd(500),
        }
    }

    #[test]
    fn each_reason_has_what_its_edges_would_have_made() {
        let mut refusals = Refusals::new();
        let arrival = Some(Reason::Arrival);
        for (reason, made, is_first) in [
            (arrival, Some(-6), true),
            (arrival, None, true),
            // The same edge again, an age later; and one that was taken.
            (arrival, Some(9), false),
            (None, Some(9), true),
            (Some(Reason::NoSlot), Some(8), true),
        ] {
            refusals.score(&score(reason, made, is_first));
        }
        for (market, reason) in [
            (0, Reason::Arrival),
            (1, Reason::Arrival),
            (1, Reason::NoSlot),
        ] {
            refusals.refuse(InstrumentId(market), reason);
        }
        let mut text = Vec::new();
        refusals.write(&mut text).unwrap();
        // 6 bps of 500 USD; 8 bps of 500 USD.
        assert_eq!(
            String::from_utf8(text).unwrap(),
            "  refused        2  arrival            would fill  50 % of 2, with 5 orders: \
             saved 0.300 USD\n  refused        1  no_slot            would fill 100 % of 1, with 4 \
             orders: cost 0.400 USD\n"
        );
        let names = ["BTC", "ETH"].map(|name| Name::new(name).unwrap());
        let (scored, by_market) = refusals.json(&names);
        assert_eq!(scored["arrival"]["made_usd"], -0.3);
        // Half of 4 bps of 500 USD, twice.
        assert_eq!(scored["arrival"]["expected_usd"], 0.2);
        assert_eq!(by_market["BTC"], json!({"arrival": 1}));
        assert_eq!(by_market["ETH"], json!({"arrival": 1, "no_slot": 1}));
    }
}
