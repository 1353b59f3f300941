//! The text of `--faults`: `all`, or items `KIND[:VENUE[:MARKET]][@SECONDS]` between commas.
//!
//! Promises: what is read is known and in range; a refusal names the item, what is known, and the
//! fix. Refuses to know which markets there are: that is asked when the venues start.

use crate::market::units::SECOND;
use crate::market::{VENUES, Venue};
use crate::sim::faults::kind::{KINDS, Kind};
use std::fmt;

/// One wish of the flag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// As it was written, for messages.
    pub text: String,
    /// What.
    pub kind: Kind,
    /// Where; `None`: at each venue in turn.
    pub venue: Option<Venue>,
    /// Underlying, such as `BTC`; `None`: by the seed, among those with a listening client.
    pub market: Option<String>,
    /// Once, this long after the venues started; `None`: again and again.
    pub at_ns: Option<u64>,
}

/// The whole flag, read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Spec {
    /// The wishes, in the order in which they were given.
    pub items: Vec<Item>,
}

/// Why a text was refused: the item, and what is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpecError {
    /// The item as it was written.
    pub item: String,
    /// What is wrong, and how it is made right.
    pub why: String,
}

impl fmt::Display for SpecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "--faults {}: {}", self.item, self.why)
    }
}

impl std::error::Error for SpecError {}

/// Latest moment of a fault, a day: keeps the arithmetic in range.
const SECONDS_MAX: f64 = 86_400.0;
/// Most items of one flag. More would only hide each other.
const ITEMS_MAX: usize = 64;
/// How an item is spelt, for messages.
const SPELLING: &str = "write KIND[:VENUE[:MARKET]][@SECONDS], for example gap:extended:BTC@20";

impl Spec {
    /// Reads the flag.
    ///
    /// # Errors
    /// [`SpecError`], the user's to mend.
    pub fn parse(text: &str) -> Result<Spec, SpecError> {
        if text == "all" {
            let kinds = KINDS.into_iter().filter(|kind| kind.is_of_all());
            let item = |kind: Kind| Item {
                text: kind.name().to_owned(),
                kind,
                venue: None,
                market: None,
                at_ns: None,
            };
            let items = kinds.map(item).collect();
            return Ok(Spec { items });
        }
        let items: Result<Vec<Item>, SpecError> = text.split(',').map(parse_item).collect();
        let items = items?;
        if items.len() > ITEMS_MAX {
            let why = format!("{} items, at most {ITEMS_MAX} are taken", items.len());
            return Err(refusal(text, why));
        }
        Ok(Spec { items })
    }

    /// The kinds asked for that this venue has, each once, in the order of [`KINDS`].
    pub fn kinds(&self, venue: Venue) -> impl Iterator<Item = Kind> + '_ {
        KINDS.into_iter().filter(move |kind| {
            let mut items = self.items.iter();
            items.any(|item| {
                item.kind == *kind && kind.is_of(venue) && item.venue.is_none_or(|v| v == venue)
            })
        })
    }
}

fn refusal(item: &str, why: String) -> SpecError {
    SpecError {
        item: item.to_owned(),
        why,
    }
}

/// Reads one item.
fn parse_item(item: &str) -> Result<Item, SpecError> {
    let refuse = |why: String| refusal(item, why);
    let (what, when) = match item.split_once('@') {
        Some((what, when)) => (what, Some(when)),
        None => (item, None),
    };
    let mut parts = what.split(':');
    let kind = parse_kind(parts.next().unwrap_or_default()).map_err(refuse)?;
    let venue = parts.next().map(parse_venue).transpose().map_err(refuse)?;
    let market = parts.next().map(str::to_uppercase);
    if market.as_deref() == Some("") || parts.next().is_some() {
        return Err(refuse(format!("has an empty or a fourth part: {SPELLING}")));
    }
    if let Some(venue) = venue.filter(|venue| !kind.is_of(*venue)) {
        let (kind, other) = (kind.name(), venue.other().name());
        let venue = venue.name();
        return Err(refuse(format!(
            "{venue} has no {kind}: write {kind}:{other}"
        )));
    }
    Ok(Item {
        text: item.to_owned(),
        kind,
        venue,
        market,
        at_ns: when.map(parse_seconds).transpose().map_err(refuse)?,
    })
}

fn parse_kind(name: &str) -> Result<Kind, String> {
    if let Some(kind) = KINDS.into_iter().find(|kind| kind.name() == name) {
        return Ok(kind);
    }
    if name.is_empty() {
        return Err(format!("names no kind: {SPELLING}; {}", known()));
    }
    if name == "all" {
        return Err("all stands alone: write --faults all, or name the kinds".to_owned());
    }
    let nearest = KINDS
        .into_iter()
        .min_by_key(|kind| distance(kind.name(), name));
    let nearest = nearest.map_or("gap", Kind::name);
    Err(format!(
        "unknown kind {name}, did you mean {nearest}? {}",
        known()
    ))
}

/// The kinds there are, for messages.
fn known() -> String {
    format!("Known kinds: {}", KINDS.map(Kind::name).join(", "))
}

fn parse_venue(name: &str) -> Result<Venue, String> {
    let found = VENUES.into_iter().find(|venue| venue.name() == name);
    found.ok_or_else(|| format!("unknown venue {name:?}: write extended or lighter; {SPELLING}"))
}

/// Seconds, with a fraction or without, as nanoseconds.
fn parse_seconds(text: &str) -> Result<u64, String> {
    let seconds = text.parse::<f64>().ok();
    let seconds = seconds.filter(|seconds| (0.0..=SECONDS_MAX).contains(seconds));
    let seconds = seconds.ok_or_else(|| {
        format!("@{text} is no time: write seconds from 0 to {SECONDS_MAX}, for example @20")
    })?;
    Ok((seconds * SECOND as f64) as u64)
}

/// How many letters must be added, dropped or changed to make one word the other (Levenshtein,
/// 1966), one row of the table at a time.
fn distance(one: &str, other: &str) -> usize {
    let other = other.as_bytes();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (at, letter) in one.bytes().enumerate() {
        let mut corner = row[0];
        row[0] = at + 1;
        for (idx, against) in other.iter().enumerate() {
            let changed = corner + usize::from(letter != *against);
            corner = row[idx + 1];
            row[idx + 1] = changed.min(row[idx] + 1).min(corner + 1);
        }
    }
    row[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_are_read_with_all_their_parts() {
        let item = |kind, venue, market: Option<&str>, at_ns| Item {
            text: String::new(),
            kind,
            venue,
            market: market.map(str::to_owned),
            at_ns,
        };
        let (extended, lighter) = (Some(Venue::Extended), Some(Venue::Lighter));
        for (text, wanted) in [
            ("gap", item(Kind::Gap, None, None, None)),
            ("429", item(Kind::Refuse429, None, None, None)),
            ("cut@20", item(Kind::Cut, None, None, Some(20 * SECOND))),
            (
                "slow:lighter@2.5",
                item(Kind::Slow, lighter, None, Some(2_500_000_000)),
            ),
            (
                "frozen:extended:btc",
                item(Kind::Frozen, extended, Some("BTC"), None),
            ),
            ("shutdown@0", item(Kind::Shutdown, None, None, Some(0))),
        ] {
            let text_of_it = text.to_owned();
            let items = vec![Item {
                text: text_of_it,
                ..wanted
            }];
            assert_eq!(Spec::parse(text), Ok(Spec { items }), "{text}");
        }
        let several = Spec::parse("gap,gap@3,403:lighter").unwrap();
        assert_eq!(several.items.len(), 3);
        let kinds = |venue| several.kinds(venue).map(Kind::name).collect::<Vec<_>>();
        assert_eq!(kinds(Venue::Extended), ["gap"]);
        assert_eq!(kinds(Venue::Lighter), ["gap", "403"]);
    }

    #[test]
    fn all_is_every_kind_once_and_shutdown_only_where_it_exists() {
        let all = Spec::parse("all").unwrap();
        assert_eq!(all.items.len(), 11);
        assert_eq!(all.kinds(Venue::Lighter).count(), 11);
        let extended: Vec<_> = all.kinds(Venue::Extended).collect();
        assert_eq!(extended.len(), 10);
        assert!(!extended.contains(&Kind::Shutdown));
    }

    #[test]
    fn refusals_name_the_item_the_known_kinds_and_the_fix() {
        for (text, item, fix) in [
            ("gpa", "gpa", "did you mean gap?"),
            ("gap,dissconect@3", "dissconect@3", "mean disconnect?"),
            ("404", "404", "Known kinds: gap, reorder,"),
            ("", "", "names no kind"),
            ("gap,", "", "write KIND[:VENUE[:MARKET]][@SECONDS]"),
            ("gap,all", "all", "stands alone"),
            ("gap:binance", "gap:binance", "write extended or lighter"),
            ("gap:lighter:", "gap:lighter:", "empty"),
            ("gap:lighter:BTC:x", "gap:lighter:BTC:x", "fourth"),
            ("gap@", "gap@", "is no time"),
            ("gap@-1", "gap@-1", "seconds from 0 to 86400"),
            ("gap@NaN", "gap@NaN", "is no time"),
            ("gap@1e9", "gap@1e9", "is no time"),
            ("shutdown:extended", "shutdown:extended", "shutdown:lighter"),
        ] {
            let error = Spec::parse(text).expect_err(text);
            assert_eq!(error.item, item);
            assert!(error.why.contains(fix), "{error}");
            assert!(error.to_string().starts_with("--faults "), "{error}");
        }
        assert!(Spec::parse(&["gap"; 64].join(",")).is_ok());
        assert!(Spec::parse(&["gap"; 65].join(",")).is_err());
    }

    #[test]
    fn distances_are_the_textbook_ones() {
        for (one, other, wanted) in [
            ("", "", 0),
            ("gap", "gap", 0),
            ("gap", "", 3),
            ("gap", "gpa", 2),
            ("kitten", "sitting", 3),
            ("slow", "slows", 1),
        ] {
            assert_eq!(distance(one, other), wanted, "{one} {other}");
            assert_eq!(distance(other, one), wanted, "{other} {one}");
        }
    }
}
