//! `parallax flatten`: out of everything, on both venues, by hand.
//!
//! Promises: needs the keys and the venues and nothing else, so that it works while an engine
//! hangs, takes no lock and asks no limit; a venue that is down keeps the other from nothing;
//! "flat" is said of what two reads agree on. Refuses: to do anything unless told to; a market's
//! name that no venue lists, as a slip would look like an account without positions.

use crate::config::Accounts;
use crate::hands::extended::ExtendedHands;
use crate::hands::lighter::LighterHands;
use crate::hands::settle::{self, Aim, Pace, Scope, Settled, both, patiently};
use crate::hands::{Hands, HandsError, Resting};
use crate::market::{VENUE_COUNT, VENUES, Venue};
use crate::stage::clock::Clock;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::fmt;

/// What to do.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// One market alone: the underlying, or a venue's own name of it.
    pub market: Option<String>,
    /// Do it, and not only say what would be done.
    pub execute: bool,
}

/// Why nothing could be begun. A setting or an argument is to blame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FlattenError {
    /// Neither venue has keys that can be used. Whole sentences.
    NoAccounts(String),
    /// No venue that answers lists the market.
    UnknownMarket(String),
}

impl fmt::Display for FlattenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FlattenError::NoAccounts(why) => f.write_str(why),
            FlattenError::UnknownMarket(name) => write!(
                f,
                "no venue that answers lists a market {name}; name an underlying (BTC) or a \
                 venue's market (BTC-USD)"
            ),
        }
    }
}

impl std::error::Error for FlattenError {}

/// What became of both accounts.
#[derive(Clone, Debug)]
pub struct Flattened {
    /// By venue; an error where nothing could be done or known there.
    sides: [Result<Settled, HandsError>; VENUE_COUNT],
    executed: bool,
}

/// One venue on the way.
struct Side {
    hand: Result<Box<dyn Hands + Send>, HandsError>,
    aim: Result<Aim, HandsError>,
}

/// Flattens both accounts, or looks at what there is to flatten. Blocks for some seconds, and for
/// up to a few minutes where a venue answers badly. `tell` hears every step.
pub fn flatten(
    accounts: &Accounts,
    options: &Options,
    clock: Clock,
    tell: &(dyn Fn(Venue, &str) + Sync),
) -> Result<Flattened, FlattenError> {
    let pace = Pace {
        sleep: &std::thread::sleep,
        tell,
    };
    let mut sides = hands(accounts, clock).map(|hand| Side {
        hand,
        aim: Ok(Aim::flat(Scope::All)),
    });
    if let [Err(one), Err(other)] = [&sides[0].hand, &sides[1].hand] {
        return Err(FlattenError::NoAccounts(format!("{one}\n{other}")));
    }
    if let Some(market) = &options.market {
        narrow(&mut sides, market, &pace)?;
    }
    let sides = both(&mut sides, |side| {
        let hand = side.hand.as_mut().map_err(|why| why.clone())?;
        let aim = side.aim.as_ref().map_err(|why| why.clone())?;
        Ok(match options.execute {
            true => settle::settle(hand.as_mut(), aim, &pace),
            false => settle::look(hand.as_mut(), aim, &pace),
        })
    });
    Ok(Flattened {
        sides,
        executed: options.execute,
    })
}

/// Hands on both accounts, as far as they are configured.
pub(crate) fn hands(
    accounts: &Accounts,
    clock: Clock,
) -> [Result<Box<dyn Hands + Send>, HandsError>; VENUE_COUNT] {
    let pem = accounts.extra_root_pem.as_deref();
    // Differs from the run of any engine that was started in another second of the last 18 hours.
    let run = ((clock.now().epoch_ms() / 1000) as u16).max(1);
    let extended = ExtendedHands::new(&accounts.extended, pem, run, clock);
    let lighter = LighterHands::new(&accounts.lighter, pem, run, clock);
    [
        extended.map(|hand| Box::new(hand) as Box<dyn Hands + Send>),
        lighter.map(|hand| Box::new(hand) as Box<dyn Hands + Send>),
    ]
}

/// Narrows both sides down to one market, by the venues' own lists.
fn narrow(
    sides: &mut [Side; VENUE_COUNT],
    market: &str,
    pace: &Pace<'_>,
) -> Result<(), FlattenError> {
    let names = both(sides, |side| {
        let hand = side.hand.as_mut().map_err(|why| why.clone())?;
        let mut names = patiently(hand.as_mut(), pace, |hand| hand.markets())?;
        names.retain(|name| is_named(name, market));
        Ok(names)
    });
    let is_listed = |names: &Result<Vec<String>, _>| names.as_ref().is_ok_and(|n| !n.is_empty());
    if !names.iter().any(is_listed) {
        return Err(FlattenError::UnknownMarket(market.to_owned()));
    }
    for (side, names) in sides.iter_mut().zip(names) {
        side.aim = names.map(|names| Aim::flat(Scope::Markets(names)));
    }
    Ok(())
}

/// Whether a venue's name is meant by what was asked for: Extended puts `-USD` behind what Lighter
/// says alone.
fn is_named(name: &str, asked: &str) -> bool {
    let base = |text: &str| {
        text.strip_suffix("-USD")
            .unwrap_or(text)
            .to_ascii_uppercase()
    };
    base(name) == base(&asked.to_ascii_uppercase())
}

impl Flattened {
    /// Whether nothing rests and nothing is held, on both venues, and that is known.
    pub fn is_flat(&self) -> bool {
        let is_done =
            |side: &Result<Settled, HandsError>| side.as_ref().is_ok_and(Settled::is_done);
        self.sides.iter().all(is_done)
    }

    /// For programs: what was cancelled (orders by market), closed (signed sizes by market) and
    /// left, by venue. Nothing is left of a venue that is flat.
    pub fn json(&self) -> Value {
        let mut cancelled = Map::new();
        let mut closed = Map::new();
        let mut left = Map::new();
        for (venue, side) in VENUES.into_iter().zip(&self.sides) {
            let name = venue.name().to_owned();
            match side {
                Ok(settled) => {
                    cancelled.insert(name.clone(), json!(counts(&settled.orders.gone)));
                    let sizes = settled.positions.closed.iter();
                    let sizes: BTreeMap<&str, String> = sizes
                        .map(|(market, size)| (market.as_str(), size.to_string()))
                        .collect();
                    closed.insert(name.clone(), json!(sizes));
                    if !settled.is_done() {
                        left.insert(name, left_of(settled));
                    }
                }
                Err(why) => {
                    left.insert(name, json!({"why": [why.0]}));
                }
            }
        }
        json!({
            "executed": self.executed, "flat": self.is_flat(),
            "cancelled": cancelled, "closed": closed, "left": left,
        })
    }

    /// One venue for people.
    fn side(&self, venue: Venue, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = venue.name();
        let settled = match &self.sides[venue.idx()] {
            Ok(settled) => settled,
            Err(why) => return writeln!(f, "{name}: NOT KNOWN: {why}"),
        };
        for (market, count) in counts(&settled.orders.gone) {
            writeln!(f, "{name}: {market}: {count} orders cancelled")?;
        }
        for (market, size) in &settled.positions.closed {
            writeln!(f, "{name}: {market}: {size} closed")?;
        }
        let (open, held) = match self.executed {
            true => ("orders are STILL OPEN", "is STILL HELD"),
            false => ("orders would be cancelled", "would be closed"),
        };
        for (market, count) in counts(&settled.orders.resting) {
            writeln!(f, "{name}: {market}: {count} {open}")?;
        }
        for left in &settled.positions.left {
            let (market, size) = (&left.market, left.size);
            write!(f, "{name}: {market}: {size} {held}")?;
            match &left.why {
                Some(why) => writeln!(f, ": {why}")?,
                None => writeln!(f)?,
            }
        }
        let faults = [&settled.orders.fault, &settled.positions.fault];
        for why in faults.into_iter().flatten() {
            writeln!(f, "{name}: NOT KNOWN: {why}")?;
        }
        match settled.is_done() {
            true => writeln!(f, "{name}: flat"),
            false => writeln!(f, "{name}: NOT FLAT"),
        }
    }
}

/// For people: some lines a venue, the last of them says whether it is flat.
impl fmt::Display for Flattened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        VENUES
            .into_iter()
            .try_for_each(|venue| self.side(venue, f))?;
        match self.executed || self.is_flat() {
            true => Ok(()),
            false => writeln!(f, "Nothing was done; --execute does it."),
        }
    }
}

/// Orders by market.
fn counts(orders: &[Resting]) -> BTreeMap<&str, usize> {
    let mut counts = BTreeMap::new();
    for order in orders {
        *counts.entry(order.market.as_str()).or_default() += 1;
    }
    counts
}

/// What is left of one venue, and why.
fn left_of(settled: &Settled) -> Value {
    let held = settled.positions.left.iter();
    let sizes: BTreeMap<&str, String> = held
        .map(|left| (left.market.as_str(), left.size.to_string()))
        .collect();
    let held = settled.positions.left.iter();
    let faults = [&settled.orders.fault, &settled.positions.fault];
    let reasons = held
        .filter_map(|left| left.why.as_ref())
        .chain(faults.into_iter().flatten());
    let reasons: Vec<&str> = reasons.map(|why| why.0.as_str()).collect();
    json!({
        "orders": counts(&settled.orders.resting), "positions": sizes, "why": reasons,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hands::settle::{Cancelled, Left, Reduced};
    use crate::market::order::OrderId;
    use crate::market::units::Size;

    fn rests(market: &str) -> Resting {
        Resting {
            market: market.into(),
            id: OrderId::NONE,
        }
    }

    #[test]
    fn a_market_is_named_as_either_venue_names_it() {
        for (name, asked, is_it) in [
            ("BTC-USD", "BTC", true),
            ("BTC", "BTC-USD", true),
            ("BTC-USD", "btc", true),
            ("kPEPE", "KPEPE", true),
            ("ETHW-USD", "ETH", false),
            ("BTC2", "BTC", false),
        ] {
            assert_eq!(is_named(name, asked), is_it, "{name} {asked}");
        }
    }

    #[test]
    fn what_is_done_and_left_is_told() {
        let done = Settled {
            orders: Cancelled {
                gone: vec![rests("BTC-USD"), rests("BTC-USD")],
                ..Cancelled::default()
            },
            positions: Reduced {
                closed: vec![("BTC-USD".into(), Size(-5_000_000))],
                ..Reduced::default()
            },
        };
        let mut stuck = Settled::default();
        stuck.positions.left.push(Left {
            market: "BTC".into(),
            size: Size(1_000_000),
            why: Some(HandsError("dust".into())),
        });
        let mut flattened = Flattened {
            sides: [Ok(done.clone()), Ok(stuck)],
            executed: true,
        };
        let told = flattened.json();
        assert_eq!(told["cancelled"]["extended"]["BTC-USD"], 2);
        assert_eq!(told["closed"]["extended"]["BTC-USD"], "-0.005");
        assert_eq!(told["left"]["lighter"]["positions"]["BTC"], "0.001");
        assert_eq!(told["left"]["lighter"]["why"][0], "dust");
        assert!(told["left"].get("extended").is_none() && !flattened.is_flat());
        let text = flattened.to_string();
        assert!(
            text.contains("extended: BTC-USD: 2 orders cancelled\n"),
            "{text}"
        );
        assert!(text.contains("lighter: BTC: 0.001 is STILL HELD: dust\nlighter: NOT FLAT\n"));

        flattened.executed = false;
        let text = flattened.to_string();
        assert!(
            text.contains("0.001 would be closed") && text.contains("--execute"),
            "{text}"
        );

        flattened.sides[1] = Err(HandsError("down".into()));
        assert!(!flattened.is_flat());
        assert_eq!(flattened.json()["left"]["lighter"]["why"][0], "down");
        flattened.sides[1] = Ok(done);
        assert!(flattened.is_flat());
        assert_eq!(flattened.json()["left"], json!({}));
    }
}
