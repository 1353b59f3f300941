//! Why a market is not traded: one reason each, with its fix, and the lines printed at the start.
//!
//! Promises: every reason names the venue whose word it rests on; a summary has one line a reason.
//! Refuses: deciding. `market_map` does.

use crate::market::Venue;
use std::fmt;

/// Why a market, or a pair of markets, is left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// MARKETS does not name it.
    NotChosen,
    /// A field of the venue's row can't be read exactly.
    Unreadable(Venue, &'static str),
    /// Spot, or with an end.
    NotPerpetual(Venue),
    /// Not open for trading; the venue's word.
    NotOpen(Venue, String),
    /// Only orders that reduce a position are taken.
    ReduceOnly(Venue),
    /// Request for quote: the public book is indicative.
    QuoteOnly(Venue),
    /// Has a session (equities, commodities, currencies); the venue's word.
    NotContinuous(Venue, String),
    /// The venue states a contract multiplier other than one.
    Multiplied(Venue),
    /// This venue does not list the underlying.
    NotListed(Venue),
    /// This venue lists it, but its market is left out for a reason of its own.
    TwinLeftOut(Venue),
    /// A venue has more than one market of the underlying.
    Ambiguous,
    /// One venue counts in other units than the other (1000PEPE and PEPE).
    UnitsUnlike,
    /// Ticks, lots or names are beyond what can be held, or the lots never meet.
    Grid,
    /// Sizes on its book could exceed what an `i64` holds at 10^-9.
    SizeRange(Venue),
    /// A price the comparison needs is not given.
    PriceUnknown(Venue, &'static str),
    /// Prices of the two markets are further apart than two of one asset can be; bps.
    MidsApart(u64),
    /// Index prices are further apart than two of one asset can be; bps.
    IndexesApart(u64),
    /// Beyond the most instruments one run can hold.
    TooMany,
}

impl Reason {
    /// What all markets left out for the same reason have in common.
    pub fn headline(&self) -> String {
        let (venue, what) = match self {
            Reason::NotChosen => (None, "not named in MARKETS"),
            Reason::Unreadable(venue, _) => (Some(venue), "not readable as listed by"),
            Reason::NotPerpetual(venue) => (Some(venue), "spot or dated on"),
            Reason::NotOpen(venue, _) => (Some(venue), "not open on"),
            Reason::ReduceOnly(venue) => (Some(venue), "reduce-only on"),
            Reason::QuoteOnly(venue) => (Some(venue), "request for quote on"),
            Reason::NotContinuous(venue, _) => (Some(venue), "not continuously traded on"),
            Reason::Multiplied(venue) => (Some(venue), "with a contract multiplier on"),
            Reason::NotListed(venue) => (Some(venue), "not listed by"),
            Reason::TwinLeftOut(venue) => (Some(venue), "not tradable on"),
            Reason::Ambiguous => (None, "listed more than once by a venue"),
            Reason::UnitsUnlike => (None, "in unlike units on the venues"),
            Reason::Grid => (None, "with grids that can't be held or never meet"),
            Reason::SizeRange(venue) => (Some(venue), "with sizes beyond range on"),
            Reason::PriceUnknown(venue, _) => (Some(venue), "without a price to compare on"),
            Reason::MidsApart(_) => (None, "with mids more than 2 % apart"),
            Reason::IndexesApart(_) => (None, "with indexes more than 1 % apart"),
            Reason::TooMany => (None, "beyond the most instruments of one run"),
        };
        match venue {
            None => what.to_owned(),
            Some(venue) => format!("{what} {}", venue.name()),
        }
    }

    /// The headline with what is special about this one.
    pub fn said(&self) -> String {
        match self.detail() {
            None => self.headline(),
            Some(detail) => format!("{} ({detail})", self.headline()),
        }
    }

    /// What is special about this one, if anything.
    fn detail(&self) -> Option<String> {
        match self {
            Reason::Unreadable(_, field) | Reason::PriceUnknown(_, field) => {
                Some((*field).to_owned())
            }
            Reason::NotOpen(_, word) | Reason::NotContinuous(_, word) => Some(word.clone()),
            Reason::MidsApart(bps) | Reason::IndexesApart(bps) => Some(format!("{bps} bps")),
            _ => None,
        }
    }

    /// What a user can do about it.
    const fn fix(&self) -> &'static str {
        match self {
            Reason::NotChosen => "name it in MARKETS",
            Reason::Unreadable(..) => "report it: the venue's form has changed",
            Reason::NotPerpetual(_) | Reason::QuoteOnly(_) | Reason::NotContinuous(..) => {
                "take it off MARKETS: this kind of market is not traded"
            }
            Reason::NotOpen(..) | Reason::ReduceOnly(_) | Reason::TwinLeftOut(_) => {
                "take it off MARKETS until the venue opens it"
            }
            Reason::NotListed(_) => "take it off MARKETS: a pair needs both venues",
            Reason::Ambiguous | Reason::UnitsUnlike | Reason::Multiplied(_) => {
                "take it off MARKETS: sizes on the two venues can't be matched safely"
            }
            Reason::Grid | Reason::SizeRange(_) => {
                "take it off MARKETS: its numbers can't be held exactly"
            }
            Reason::PriceUnknown(..) => "try again when the venue shows its price",
            Reason::MidsApart(_) | Reason::IndexesApart(_) => {
                "check that both venues mean the same asset, and take it off MARKETS"
            }
            Reason::TooMany => "name fewer in MARKETS",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.said(), self.fix())
    }
}

/// A market that is not traded, or the markets of a pair that is not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOut {
    /// The underlying, without a multiplier: `PEPE` for `1000PEPE`.
    pub underlying: String,
    /// The venues' names of the markets it is about, at least one.
    pub markets: Vec<(Venue, String)>,
    /// Why.
    pub reason: Reason,
}

impl LeftOut {
    /// The name to show: the market's own where there is one, the underlying of a pair.
    fn name(&self) -> &str {
        match self.markets.as_slice() {
            [(_, name)] => name,
            _ => &self.underlying,
        }
    }
}

/// Names shown of each reason. Larger: longer lines at the start.
const NAMES_SHOWN: usize = 10;

/// One line a reason, the most frequent first: how many, why, and the first names.
pub fn summary(left_out: &[LeftOut]) -> Vec<String> {
    let mut groups: Vec<(String, Vec<&str>)> = Vec::new();
    for one in left_out {
        let headline = one.reason.headline();
        match groups.iter_mut().find(|(known, _)| *known == headline) {
            Some((_, names)) => names.push(one.name()),
            None => groups.push((headline, vec![one.name()])),
        }
    }
    groups.sort_by_key(|(_, names)| std::cmp::Reverse(names.len()));
    let line = |(headline, names): &(String, Vec<&str>)| {
        let count = names.len();
        format!(
            "left out: {count} {headline}: {}",
            shorten(names, NAMES_SHOWN)
        )
    };
    groups.iter().map(line).collect()
}

/// The first names of a list, and how many more there are.
pub fn shorten(names: &[&str], shown: usize) -> String {
    let first = names[..names.len().min(shown)].join(", ");
    match names.len().saturating_sub(shown) {
        0 => first,
        more => format!("{first} and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Venue::{Extended, Lighter};

    fn left_out(name: &str, reason: Reason) -> LeftOut {
        LeftOut {
            underlying: name.into(),
            markets: vec![(Lighter, name.into())],
            reason,
        }
    }

    #[test]
    fn a_reason_says_where_what_and_what_to_do() {
        for (reason, said) in [
            (
                Reason::NotOpen(Extended, "DELISTED".into()),
                "not open on extended (DELISTED); take it off MARKETS until the venue opens it",
            ),
            (
                Reason::MidsApart(312),
                "with mids more than 2 % apart (312 bps); check that both venues mean the same \
                 asset, and take it off MARKETS",
            ),
            (
                Reason::TooMany,
                "beyond the most instruments of one run; name fewer in MARKETS",
            ),
        ] {
            assert_eq!(reason.to_string(), said);
        }
    }

    #[test]
    fn one_line_a_reason_with_few_names() {
        let names: Vec<String> = (0..12).map(|n| format!("M{n}")).collect();
        let alone = names
            .iter()
            .map(|name| left_out(name, Reason::NotListed(Extended)));
        let mut all = vec![left_out("X", Reason::MidsApart(250))];
        all.extend(alone);
        all.push(left_out("Y", Reason::MidsApart(900)));
        let pair = LeftOut {
            markets: vec![(Extended, "PEPE-USD".into()), (Lighter, "1000PEPE".into())],
            ..left_out("PEPE", Reason::UnitsUnlike)
        };
        all.push(pair);
        assert_eq!(
            summary(&all),
            [
                "left out: 12 not listed by extended: M0, M1, M2, M3, M4, M5, M6, M7, M8, M9 and \
                 2 more",
                "left out: 2 with mids more than 2 % apart: X, Y",
                "left out: 1 in unlike units on the venues: PEPE",
            ]
        );
        assert!(summary(&[]).is_empty());
    }
}
