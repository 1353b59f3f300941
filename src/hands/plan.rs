//! What two accounts hold, said in words, and what of it is worth keeping.
//!
//! Pure. Promises: the even part and the lone part of every position sum to it; a position that no
//! order of ours explains is said to be so. Refuses: to drop a position in a market it does not
//! know: such a one is foreign.

use crate::hands::settle::{Aim, Scope};
use crate::hands::{Done, Held, is_by_hand};
use crate::market::book::Side;
use crate::market::event::Adopted;
use crate::market::order::OrderId;
use crate::market::units::Size;
use crate::market::{Instrument, InstrumentId, VENUE_COUNT, VENUES, Venue};
use crate::scanner::spread::joint_step;
use std::fmt;

/// What both accounts hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// By instrument, those that are held on a venue at least, in the order of the table.
    pub found: Vec<Found>,
    /// In markets that are not in the table.
    pub foreign: Vec<Foreign>,
}

/// What is held of one instrument.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Which.
    pub instrument: InstrumentId,
    /// Opposite positions, as far as they are of one size on both lots.
    pub even: Option<Adopted>,
    /// The rest, signed, by venue.
    pub lone: [Size; VENUE_COUNT],
    /// What is held and what made it, for people.
    pub words: String,
}

/// A position that no instrument of this run explains.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Foreign {
    /// Where.
    pub venue: Venue,
    /// What.
    pub held: Held,
    /// What it is and what made it, for people.
    pub words: String,
}

impl Found {
    /// Signed size of the even part on a venue.
    pub fn even_on(&self, venue: Venue) -> Size {
        match self.even {
            None => Size::ZERO,
            Some(even) if even.long == venue => even.size,
            Some(even) => -even.size,
        }
    }

    /// Whether a part of it stands alone.
    pub fn is_lone(&self) -> bool {
        self.lone != [Size::ZERO; VENUE_COUNT]
    }
}

impl Plan {
    /// Whether all that is held is hedged, and known.
    pub fn is_even(&self) -> bool {
        self.foreign.is_empty() && !self.found.iter().any(Found::is_lone)
    }

    /// Every even part, to be managed on.
    pub fn adopted(&self) -> impl Iterator<Item = Adopted> {
        self.found.iter().filter_map(|found| found.even)
    }

    /// What to bring a venue to so that the even parts alone are left. Foreign positions stay.
    pub fn aim(&self, venue: Venue, instruments: &[Instrument]) -> Aim {
        let name = |instrument: &Instrument| instrument.markets[venue.idx()].name.to_string();
        let kept = |found: &Found| {
            let of_it = |instrument: &&Instrument| instrument.id == found.instrument;
            let instrument = instruments.iter().find(of_it)?;
            Some((name(instrument), found.even_on(venue)))
        };
        Aim {
            scope: Scope::Markets(instruments.iter().map(name).collect()),
            keep: self.found.iter().filter_map(kept).collect(),
        }
    }
}

/// For people: a sentence a line.
impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let found = self.found.iter().map(|found| &found.words);
        for words in found.chain(self.foreign.iter().map(|foreign| &foreign.words)) {
            writeln!(f, "{words}")?;
        }
        Ok(())
    }
}

/// Sorts what is held, by venue, into even, lone and foreign. `done` is each venue's list of orders
/// that traded, newest first; without it nothing is explained, and all the rest holds.
pub fn plan(
    held: [&[Held]; VENUE_COUNT],
    done: [&[Done]; VENUE_COUNT],
    instruments: &[Instrument],
) -> Plan {
    let mut plan = Plan::default();
    for instrument in instruments {
        let size = |venue: Venue| {
            let name = instrument.markets[venue.idx()].name;
            size_of(held[venue.idx()], name.as_str())
        };
        let sizes = VENUES.map(size);
        if sizes != [Size::ZERO; VENUE_COUNT] {
            plan.found.push(find(instrument, sizes, held, done));
        }
    }
    for venue in VENUES {
        let is_known = |market: &str| {
            let mut names = instruments.iter().map(|i| i.markets[venue.idx()].name);
            names.any(|name| name.as_str() == market)
        };
        for held in held[venue.idx()].iter().filter(|h| !is_known(&h.market)) {
            let origin = explain(&held.market, held.size, done[venue.idx()]);
            let (market, size, title) = (&held.market, signed(held.size), title(venue));
            plan.foreign.push(Foreign {
                venue,
                held: held.clone(),
                words: format!(
                    "{market}: {title} {size}: a market that is not traded here; {origin}"
                ),
            });
        }
    }
    plan
}

/// A venue may list one market twice (cross and isolated): what counts is the sum.
fn size_of(held: &[Held], market: &str) -> Size {
    let sizes = held.iter().filter(|h| h.market == market);
    sizes.fold(Size::ZERO, |sum, held| sum + held.size)
}

fn find(
    instrument: &Instrument,
    sizes: [Size; VENUE_COUNT],
    held: [&[Held]; VENUE_COUNT],
    done: [&[Done]; VENUE_COUNT],
) -> Found {
    let markets = &instrument.markets;
    let [extended, lighter] = sizes;
    let is_opposite = extended.0.signum() * lighter.0.signum() < 0;
    let step = joint_step(markets.map(|market| market.lot));
    let size = step.filter(|_| is_opposite).map_or(Size::ZERO, |step| {
        let smaller = extended.0.unsigned_abs().min(lighter.0.unsigned_abs());
        Size(i64::try_from(smaller).unwrap_or(i64::MAX)).floor_to(step)
    });
    let entry = VENUES.map(|venue| {
        let market = markets[venue.idx()].name;
        let mut rows = held[venue.idx()].iter();
        let row = rows.find(|held| held.market == market.as_str());
        row.map_or_else(Default::default, |held| held.entry)
    });
    let long = match extended > Size::ZERO {
        true => Venue::Extended,
        false => Venue::Lighter,
    };
    let even = (size > Size::ZERO).then_some(Adopted {
        instrument: instrument.id,
        long,
        size,
        entry,
    });
    let mut found = Found {
        instrument: instrument.id,
        even,
        lone: sizes,
        words: String::new(),
    };
    found.lone = VENUES.map(|venue| sizes[venue.idx()] - found.even_on(venue));
    let origins = VENUES.map(|venue| {
        let market = markets[venue.idx()].name;
        explain(market.as_str(), sizes[venue.idx()], done[venue.idx()])
    });
    found.words = words(instrument, sizes, &origins, &found);
    found
}

/// What made a position, as far as a venue's list of orders says. All its sizes sum to it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// Pairs of ours that the position is made of, newest first: any order of the pair, and what
    /// the pair's orders sum to.
    pub pairs: Vec<(OrderId, Size)>,
    /// By orders that are not this program's.
    pub others: Size,
    /// By no order that is listed.
    pub unexplained: Size,
}

/// Explains a position by the newest orders that sum to it. Where none do (the list is too short,
/// or the venue took some of it away) by all that are listed, and the rest is unexplained.
pub fn explain(market: &str, size: Size, done: &[Done]) -> Origin {
    let of_it = || done.iter().filter(|order| order.market == market);
    let change = |order: &Done| match order.side {
        Side::Bid => order.filled,
        Side::Ask => -order.filled,
    };
    if size == Size::ZERO {
        return Origin::default();
    }
    let mut sum = Size::ZERO;
    let exact = of_it().position(|order| {
        sum += change(order);
        sum == size
    });
    let count = exact.map_or(usize::MAX, |at| at + 1);
    let mut origin = Origin {
        unexplained: size,
        ..Origin::default()
    };
    for order in of_it().take(count) {
        let part = change(order);
        origin.unexplained -= part;
        if order.id == OrderId::NONE {
            origin.others += part;
            continue;
        }
        let is_same = |(id, _): &&mut (OrderId, Size)| pair_of(*id) == pair_of(order.id);
        match origin.pairs.iter_mut().find(is_same) {
            Some((_, size)) => *size += part,
            None => origin.pairs.push((order.id, part)),
        }
    }
    origin.pairs.retain(|(_, size)| *size != Size::ZERO);
    origin
}

/// Run and pair: what an id names besides the leg.
fn pair_of(id: OrderId) -> (u16, u32) {
    (id.run(), id.pair())
}

/// The pair that alone made a position.
fn only_pair(origin: &Origin) -> Option<OrderId> {
    let is_all = origin.others == Size::ZERO && origin.unexplained == Size::ZERO;
    match origin.pairs[..] {
        [(id, _)] if is_all => Some(id),
        _ => None,
    }
}

fn words(
    instrument: &Instrument,
    sizes: [Size; VENUE_COUNT],
    origins: &[Origin; VENUE_COUNT],
    found: &Found,
) -> String {
    let held = VENUES.map(|venue| match sizes[venue.idx()] {
        Size::ZERO => format!("{} nothing", title(venue)),
        size => format!("{} {}", title(venue), signed(size)),
    });
    let [extended, lighter] = origins;
    let both = (only_pair(extended), only_pair(lighter));
    let why = match both {
        (Some(one), Some(other)) if pair_of(one) == pair_of(other) => match found.is_lone() {
            false => format!("{}, both legs filled", name_of(one)),
            true => format!("{}, its legs uneven", name_of(one)),
        },
        (Some(one), None) if sizes[1] == Size::ZERO => format!("{}, one leg alone", name_of(one)),
        (None, Some(one)) if sizes[0] == Size::ZERO => format!("{}, one leg alone", name_of(one)),
        _ => {
            let of = |venue: Venue| {
                let is_held = sizes[venue.idx()] != Size::ZERO;
                is_held.then(|| format!("{}: {}", title(venue), origins[venue.idx()]))
            };
            let parts: Vec<String> = VENUES.into_iter().filter_map(of).collect();
            parts.join("; ")
        }
    };
    format!("{}: {}: {why}", instrument.name, held.join(", "))
}

/// With its sign, a plus as well: a position has a side.
fn signed(size: Size) -> String {
    match size > Size::ZERO {
        true => format!("+{size}"),
        false => size.to_string(),
    }
}

/// A pair as people know it.
fn name_of(id: OrderId) -> String {
    match is_by_hand(id) {
        true => format!("an order by hand of run {}", id.run()),
        false => format!("pair {} of run {}", id.pair(), id.run()),
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pairs = self.pairs.iter();
        let mut parts: Vec<String> = pairs
            .map(|(id, size)| format!("{} by {}", signed(*size), name_of(*id)))
            .collect();
        if self.others != Size::ZERO {
            let others = signed(self.others);
            parts.push(format!("{others} by orders that are not this program's"));
        }
        if self.unexplained != Size::ZERO || parts.is_empty() {
            let rest = signed(self.unexplained);
            parts.push(format!("{rest} that no listed order explains"));
        }
        f.write_str(&parts.join(", "))
    }
}

const fn title(venue: Venue) -> &'static str {
    match venue {
        Venue::Extended => "Extended",
        Venue::Lighter => "Lighter",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::market::units::{Bps, Notional, Price};
    use crate::market::{Bounds, Market, Name};
    use proptest::prelude::*;

    fn instrument(id: u16, base: &str, lots: [i64; 2]) -> Instrument {
        let market = |venue: Venue| Market {
            venue,
            instrument: InstrumentId(id),
            name: Name::new(&match venue {
                Venue::Extended => format!("{base}-USD"),
                Venue::Lighter => base.to_owned(),
            })
            .unwrap(),
            venue_market: 0,
            tick: Price(1),
            lot: Size(lots[venue.idx()]),
            size_min: Size(1),
            notional_min: Notional::ZERO,
            fee_taker: Bps::ZERO,
            fee_maker: Bps::ZERO,
            bounds: Bounds::default(),
        };
        Instrument {
            id: InstrumentId(id),
            name: Name::new(base).unwrap(),
            markets: VENUES.map(market),
        }
    }

    fn held(market: &str, size: &str) -> Held {
        Held {
            market: market.into(),
            size: Size::parse(size.as_bytes()).unwrap(),
            entry: Price(7),
        }
    }

    fn done(market: &str, id: OrderId, size: &str) -> Done {
        let size = Size::parse(size.as_bytes()).unwrap();
        Done {
            market: market.into(),
            id,
            side: if size > Size::ZERO {
                Side::Bid
            } else {
                Side::Ask
            },
            filled: size.max(-size),
        }
    }

    fn said(ours: (&[Held], &[Done]), theirs: (&[Held], &[Done])) -> String {
        let instruments = [instrument(0, "BTC", [10_000, 10_000])];
        plan([ours.0, theirs.0], [ours.1, theirs.1], &instruments).to_string()
    }

    /// Held and done on Extended, held and done on Lighter, and what is said of it.
    type Case<'a> = (&'a [Held], &'a [Done], &'a [Held], &'a [Done], &'a str);

    #[test]
    fn what_is_found_is_said_in_words() {
        let (e, l) = ("BTC-USD", "BTC");
        let pair = |number| OrderId::new(4711, number, 1);
        let leg = |number| OrderId::new(4711, number, 0x81);
        let long = [held(e, "0.005")];
        let short = [held(l, "-0.005")];
        let table: [Case<'_>; 7] = [
            (
                &long,
                &[done(e, pair(3), "0.005")],
                &short,
                &[done(l, leg(3), "-0.005")],
                "BTC: Extended +0.005, Lighter -0.005: pair 3 of run 4711, both legs filled\n",
            ),
            (
                &long,
                &[done(e, pair(3), "0.005"), done(e, pair(2), "-0.004")],
                &[],
                &[done(l, leg(2), "0.004")],
                "BTC: Extended +0.005, Lighter nothing: pair 3 of run 4711, one leg alone\n",
            ),
            (
                &long,
                &[done(e, pair(3), "0.005")],
                &[held(l, "-0.003")],
                &[done(l, leg(3), "-0.003")],
                "BTC: Extended +0.005, Lighter -0.003: pair 3 of run 4711, its legs uneven\n",
            ),
            (
                &[],
                &[],
                &short,
                &[done(l, OrderId::NONE, "-0.005")],
                "BTC: Extended nothing, Lighter -0.005: Lighter: -0.005 by orders that are not \
                 this program's\n",
            ),
            (
                &long,
                &[],
                &[],
                &[],
                "BTC: Extended +0.005, Lighter nothing: Extended: +0.005 that no listed order \
                 explains\n",
            ),
            // The newest orders that sum to the position: a part was given back already.
            (
                &long,
                &[
                    done(e, pair(9), "-0.003"),
                    done("ETH-USD", pair(8), "1"),
                    done(e, pair(9), "0.008"),
                    done(e, pair(5), "0.001"),
                ],
                &[],
                &[],
                "BTC: Extended +0.005, Lighter nothing: pair 9 of run 4711, one leg alone\n",
            ),
            (
                &[held("DOGE-USD", "3")],
                &[done("DOGE-USD", OrderId::new(7, 0xFF_FFFF, 1), "3")],
                &[],
                &[],
                "DOGE-USD: Extended +3: a market that is not traded here; +3 by an order by hand \
                 of run 7\n",
            ),
        ];
        for (ours, our_orders, theirs, their_orders, expected) in table {
            assert_eq!(said((ours, our_orders), (theirs, their_orders)), expected);
        }
    }

    #[test]
    fn even_is_what_both_lots_allow() {
        let instruments = [instrument(5, "BTC", [20, 30])];
        let size = |market: &str, size: i64| Held {
            market: market.into(),
            size: Size(size),
            entry: Price(size.abs()),
        };
        let ours = [size("BTC-USD", -500), size("X-USD", 1)];
        let theirs = [size("BTC", 290)];
        let plan = plan([&ours, &theirs], [&[], &[]], &instruments);
        let found = &plan.found[0];
        let even = Adopted {
            instrument: InstrumentId(5),
            long: Venue::Lighter,
            size: Size(240),
            entry: [Price(500), Price(290)],
        };
        assert_eq!(found.even, Some(even));
        assert_eq!(found.lone, [Size(-260), Size(50)]);
        assert!(!plan.is_even() && plan.foreign.len() == 1);
        let aim = plan.aim(Venue::Extended, &instruments);
        assert_eq!(aim.keep, [("BTC-USD".to_owned(), Size(-240))]);
        assert!(aim.scope.has("BTC-USD") && !aim.scope.has("X-USD"));
        assert_eq!(plan.adopted().collect::<Vec<_>>(), [even]);
    }

    proptest! {
        #[test]
        fn parts_sum_to_the_position(
            sizes in (-10_000_i64..10_000, -10_000_i64..10_000),
            lots in (1_i64..50, 1_i64..50),
            orders in prop::collection::vec((0_u32..4, -3_000_i64..3_000), 0..12),
        ) {
            let instruments = [instrument(0, "BTC", [lots.0, lots.1])];
            let rows = |market: &str, size: i64| {
                let row = Held {
                    market: market.into(),
                    size: Size(size),
                    entry: Price(1),
                };
                Vec::from_iter((size != 0).then_some(row))
            };
            let order = |(pair, size): &(u32, i64)| Done {
                market: "BTC-USD".into(),
                id: match pair {
                    0 => OrderId::NONE,
                    pair => OrderId::new(1, *pair, 1),
                },
                side: if *size > 0 { Side::Bid } else { Side::Ask },
                filled: Size(size.abs()),
            };
            let listed: Vec<Done> = orders.iter().filter(|o| o.1 != 0).map(order).collect();
            let (ours, theirs) = (rows("BTC-USD", sizes.0), rows("BTC", sizes.1));
            let plan = plan([&ours, &theirs], [&listed, &[]], &instruments);
            prop_assert_eq!(plan.found.is_empty(), sizes == (0, 0));
            for found in &plan.found {
                for (venue, size) in VENUES.into_iter().zip([sizes.0, sizes.1]) {
                    let even = found.even_on(venue);
                    prop_assert_eq!(even + found.lone[venue.idx()], Size(size));
                    prop_assert_eq!(even.0 % lots.0, 0);
                    prop_assert_eq!(even.0 % lots.1, 0);
                    prop_assert!(even.0.abs() <= size.abs());
                    prop_assert!(even.0.signum() * size.signum() >= 0);
                }
                let [ours, theirs] = VENUES.map(|venue| found.even_on(venue));
                prop_assert_eq!(ours, -theirs);
            }
            let origin = explain("BTC-USD", Size(sizes.0), &listed);
            let mut pairs = Size::ZERO;
            origin.pairs.iter().for_each(|(_, size)| pairs += *size);
            prop_assert_eq!(pairs + origin.others + origin.unexplained, Size(sizes.0));
            let total: i64 = orders.iter().map(|(_, size)| size).sum();
            if sizes.0 == total && total != 0 {
                prop_assert_eq!(origin.unexplained, Size::ZERO);
            }
        }
    }
}
