//! The text of `--faults`: items `KIND[:VENUE[:MARKET]][@SECONDS][~SECONDS]` between commas.
//!
//! `page-429=SECONDS` states when another request is welcome; no source says whether the venues do.
//! `@` is when an item comes first, `~` about how often it comes again; with `@` alone it comes
//! once, with neither about every 15 s. In place of a kind stands a group of them: `market`,
//! `orders`, or `all`, which is both.
//!
//! Promises: what is read is known and in range; a refusal names the item, what is known, and the
//! fix. Refuses to know which markets there are: that is asked when the venues start.

use crate::market::units::SECOND;
use crate::market::{VENUES, Venue};
use crate::sim::faults::kind::{Group, KINDS, Kind};
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
    /// First, this long after the venues started; `None`: by chance.
    pub at_ns: Option<u64>,
    /// Again after about this long, and again; `None`: as often as the plan has it, and once where
    /// a first moment is given.
    pub every_ns: Option<u64>,
    /// What the `Retry-After` of a page of status 429 says, seconds; `None`: it has none.
    pub retry_after_s: Option<u32>,
}

/// The whole flag, read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Spec {
    /// The wishes, in the order in which they were given.
    pub items: Vec<Item>,
    /// No fault begins later after the venues' start; `None`: without end.
    pub until_ns: Option<u64>,
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
/// Shortest time from one fault of an item to its next, seconds.
const EVERY_SECONDS_MIN: f64 = 0.1;
/// Most items of one flag. More would only hide each other.
const ITEMS_MAX: usize = 64;
/// How an item is spelt, for messages.
const SPELLING: &str =
    "write KIND[:VENUE[:MARKET]][@SECONDS][~SECONDS], for example gap:extended:BTC@20";

impl Spec {
    /// Reads the flag.
    ///
    /// # Errors
    /// [`SpecError`], the user's to mend.
    pub fn parse(text: &str) -> Result<Spec, SpecError> {
        let items: Result<Vec<Vec<Item>>, SpecError> = text.split(',').map(parse_item).collect();
        let items = items?.concat();
        if items.len() > ITEMS_MAX {
            let why = format!("{} items, at most {ITEMS_MAX} are taken", items.len());
            return Err(refusal(text, why));
        }
        Ok(Spec {
            items,
            until_ns: None,
        })
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

/// Reads one item: one kind, or those of a group that the venue has.
fn parse_item(item: &str) -> Result<Vec<Item>, SpecError> {
    let refuse = |why: String| refusal(item, why);
    let cut = |text: &'_ str, at| -> (String, Option<String>) {
        match text.split_once(at) {
            Some((what, when)) => (what.to_owned(), Some(when.to_owned())),
            None => (text.to_owned(), None),
        }
    };
    let (rest, every) = cut(item, '~');
    let (what, when) = cut(&rest, '@');
    let mut parts = what.split(':');
    let name = parts.next().unwrap_or_default();
    let (name, retry_after_s) = parse_retry_after(name).map_err(refuse)?;
    let group = Group::parse(name);
    let kinds = match group {
        Some(group) => group.kinds().collect(),
        None => vec![parse_kind(name).map_err(refuse)?],
    };
    let venue = parts.next().map(parse_venue).transpose().map_err(refuse)?;
    let market = parts.next().map(str::to_uppercase);
    if market.as_deref() == Some("") || parts.next().is_some() {
        return Err(refuse(format!("has an empty or a fourth part: {SPELLING}")));
    }
    let at_ns = when.map(|text| parse_seconds(&text)).transpose();
    let every_ns = every.map(|text| parse_rate(&text)).transpose();
    let (at_ns, every_ns) = (at_ns.map_err(refuse)?, every_ns.map_err(refuse)?);
    let mut items = Vec::with_capacity(kinds.len());
    for kind in kinds {
        match venue.filter(|venue| !kind.is_of(*venue)) {
            None => items.push(Item {
                text: item.to_owned(),
                kind,
                venue,
                market: market.clone(),
                at_ns,
                every_ns,
                retry_after_s,
            }),
            Some(_) if group.is_some() => {}
            Some(venue) => {
                let (kind, venue, other) = (kind.name(), venue.name(), venue.other().name());
                let why = format!("{venue} has no {kind}: write {kind}:{other}");
                return Err(refuse(why));
            }
        }
    }
    Ok(items)
}

/// The name of a kind, and the seconds behind it, which only a page of status 429 has.
fn parse_retry_after(name: &str) -> Result<(&str, Option<u32>), String> {
    let Some((kind, seconds)) = name.split_once('=') else {
        return Ok((name, None));
    };
    let seconds = seconds
        .parse()
        .ok()
        .filter(|_| kind == Kind::Page429.name());
    let refuse = || {
        format!(
            "{name} takes no seconds, or not these: write page-429=SECONDS, for example page-429=7"
        )
    };
    seconds.map(|s| (kind, Some(s))).ok_or_else(refuse)
}

fn parse_kind(name: &str) -> Result<Kind, String> {
    if let Some(kind) = KINDS.into_iter().find(|kind| kind.name() == name) {
        return Ok(kind);
    }
    if name.is_empty() {
        return Err(format!("names no kind: {SPELLING}; {}", known()));
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
    let kinds = KINDS.map(Kind::name).join(", ");
    format!("Known kinds: {kinds}; and the groups market, orders, all")
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

/// How often, as nanoseconds.
fn parse_rate(text: &str) -> Result<u64, String> {
    let seconds = text.parse::<f64>().ok();
    let seconds = seconds.filter(|seconds| (EVERY_SECONDS_MIN..=SECONDS_MAX).contains(seconds));
    let seconds = seconds.ok_or_else(|| {
        format!(
            "~{text} is no rate: write seconds from {EVERY_SECONDS_MIN} to {SECONDS_MAX} between \
             two, for example ~5"
        )
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
            every_ns: None,
            retry_after_s: None,
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
            (
                "late-fill:lighter:ETH@20~2.5",
                Item {
                    every_ns: Some(2_500_000_000),
                    ..item(Kind::LateFill, lighter, Some("ETH"), Some(20 * SECOND))
                },
            ),
            (
                "page-429=7:extended",
                Item {
                    retry_after_s: Some(7),
                    ..item(Kind::Page429, extended, None, None)
                },
            ),
            (
                "page-5xx~4",
                Item {
                    every_ns: Some(4 * SECOND),
                    ..item(Kind::Page5xx, None, None, None)
                },
            ),
        ] {
            let text_of_it = text.to_owned();
            let items = vec![Item {
                text: text_of_it,
                ..wanted
            }];
            let parsed = Spec::parse(text).map(|spec| spec.items);
            assert_eq!(parsed, Ok(items), "{text}");
        }
        let several = Spec::parse("gap,gap@3,403:lighter").unwrap();
        assert_eq!(several.items.len(), 3);
        let kinds = |venue| several.kinds(venue).map(Kind::name).collect::<Vec<_>>();
        assert_eq!(kinds(Venue::Extended), ["gap"]);
        assert_eq!(kinds(Venue::Lighter), ["gap", "403"]);
    }

    #[test]
    fn a_group_is_its_kinds_where_they_exist() {
        let all = Spec::parse("all").unwrap();
        assert_eq!(all.items.len(), 28);
        assert_eq!(all.kinds(Venue::Lighter).count(), 28);
        let extended: Vec<_> = all.kinds(Venue::Extended).collect();
        assert_eq!(extended.len(), 26);
        assert!(!extended.contains(&Kind::Shutdown) && !extended.contains(&Kind::Nonce));
        let orders = Spec::parse("orders:extended:btc~3,market@7").unwrap();
        assert_eq!(orders.items.len(), 16 + 11);
        let first = &orders.items[0];
        assert_eq!(
            (first.kind, first.every_ns),
            (Kind::Reject, Some(3 * SECOND))
        );
        assert_eq!(first.market.as_deref(), Some("BTC"));
        assert!(
            orders.items[16..]
                .iter()
                .all(|item| item.at_ns == Some(7 * SECOND))
        );
    }

    #[test]
    fn refusals_name_the_item_the_known_kinds_and_the_fix() {
        for (text, item, fix) in [
            ("gpa", "gpa", "did you mean gap?"),
            ("gap,dissconect@3", "dissconect@3", "mean disconnect?"),
            ("404", "404", "Known kinds: gap, reorder,"),
            ("", "", "names no kind"),
            (
                "gap,",
                "",
                "write KIND[:VENUE[:MARKET]][@SECONDS][~SECONDS]",
            ),
            ("all:", "all:", "write extended or lighter"),
            ("nonce:extended", "nonce:extended", "nonce:lighter"),
            ("drop~", "drop~", "is no rate"),
            ("drop~0.01", "drop~0.01", "seconds from 0.1 to"),
            ("drop~5@3", "drop~5@3", "is no rate"),
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
