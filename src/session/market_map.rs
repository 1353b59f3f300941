//! The market map: which market of one venue belongs to which of the other. Pure.
//!
//! Promises: every row of both lists comes out exactly once, in a pair or left out with one reason;
//! no pair joins markets whose prices deny that they are of one asset; pairs come in the order of
//! MARKETS, or by the smaller of the two venues' daily volumes, largest first.
//! Refuses: guessing. Of two markets that could be meant, neither is taken.
//!
//! Sources: Extended `GET /info/markets`, Lighter `GET orderBookDetails` (fields at the readers).

use crate::config::Markets;
use crate::market::units::{Notional, Price, Size};
use crate::market::{INSTRUMENTS_MAX, Name, VENUES, Venue};
use crate::scanner::spread::joint_step;
use crate::session::left_out::{LeftOut, Reason};
use crate::venue::extended::account::MarketInfo;
use crate::venue::lighter::account::MarketRow;
use crate::venue::{Listing, Unread};
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// Mids may be this far apart, bps of the lower. Larger: two assets that share a name may pass.
const MIDS_APART_BPS_MAX: u64 = 200;
/// Indexes may be this far apart, bps of the lower: they leave out what the perpetuals themselves
/// are paid to differ by.
const INDEXES_APART_BPS_MAX: u64 = 100;
/// Value of the largest level a book is expected to hold where the venue allows larger orders
/// (Lighter's limit of 281 million on most markets is the width of a field, not a size anyone
/// rests). Larger: cheap coins are left out that could be traded; smaller: a level beyond range
/// makes its message unreadable and the book stale.
const LEVEL_USD_MAX: i64 = 10_000_000;
/// Classes of assets that have a session, in case the hours don't say so. Source: Extended's
/// `category` (`Crypto` for BTC) and its page on TradFi markets; the classes of Lighter's token
/// list (STOCK, ETF, FX, COMMODITIES, PRE_IPO, BONDS).
const SESSION_CLASSES: &[&str] = &[
    "tradfi",
    "stock",
    "stocks",
    "equity",
    "equities",
    "etf",
    "etfs",
    "index",
    "indices",
    "commodity",
    "commodities",
    "metals",
    "fx",
    "forex",
    "bonds",
    "pre_ipo",
    "pre-ipo",
];

/// What the two venues' lists come to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MarketMap {
    /// The pairs to trade, in order, at most [`INSTRUMENTS_MAX`].
    pub pairs: Vec<Pair>,
    /// Everything else.
    pub left_out: Vec<LeftOut>,
}

/// One market of each venue, of the same asset in the same units.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    /// The instrument's name: the underlying, after its multiplier if it has one (`1000PEPE`).
    pub name: Name,
    /// Index in Extended's list.
    pub extended: usize,
    /// Index in Lighter's list.
    pub lighter: usize,
}

impl MarketMap {
    /// Draws the map for these MARKETS.
    pub fn draw(
        extended: &Listing<MarketInfo>,
        lighter: &Listing<MarketRow>,
        wanted: &Markets,
    ) -> MarketMap {
        let mut by_underlying: BTreeMap<String, Vec<Row>> = BTreeMap::new();
        for row in rows(extended, lighter) {
            let key = row.unit.underlying.clone();
            by_underlying.entry(key).or_default().push(row);
        }
        let mut map = MarketMap::default();
        let mut drafts = Vec::new();
        for rows in by_underlying.into_values() {
            if is_chosen(&rows[0].unit, wanted) {
                drafts.extend(map.settle(rows));
            } else {
                map.leave_each(rows, |_| Reason::NotChosen);
            }
        }
        map.admit(drafts, wanted);
        map
    }

    /// All of `wanted` is in the map, or the fault: every name that is not, with its reason.
    pub fn holds(&self, wanted: &Markets) -> Result<(), String> {
        let faults: Vec<String> = match wanted {
            Markets::All => Vec::new(),
            Markets::Only(names) => {
                let missing = names
                    .iter()
                    .filter(|name| !self.pairs.iter().any(|pair| pair.name == **name));
                missing.map(|name| self.why_not(name)).collect()
            }
        };
        match faults.is_empty() {
            true => Ok(()),
            false => Err(format!("MARKETS: {}", faults.join(". "))),
        }
    }

    /// Why there is no pair of this name; `None` when there is one.
    pub fn why_unpaired(&self, name: &Name) -> Option<String> {
        if self.pairs.iter().any(|pair| pair.name == *name) {
            return None;
        }
        let neither = || "not listed by either venue".to_owned();
        Some(
            self.left(name)
                .map_or_else(neither, |left| left.reason.said()),
        )
    }

    /// What was left out of a name's underlying. What is wrong with one market says more than that
    /// the other could not be joined to it.
    fn left(&self, name: &Name) -> Option<&LeftOut> {
        let underlying = Unit::of(name.as_str()).underlying;
        let same = |left: &&LeftOut| left.underlying == underlying;
        let is_echo = |left: &&LeftOut| matches!(left.reason, Reason::TwinLeftOut(_));
        let all = || self.left_out.iter().filter(same);
        all().find(|left| !is_echo(left)).or_else(|| all().next())
    }

    /// Why a name of MARKETS is not among the pairs, and what to do.
    fn why_not(&self, name: &Name) -> String {
        let underlying = Unit::of(name.as_str()).underlying;
        let mut paired = self.pairs.iter().map(|pair| Unit::of(pair.name.as_str()));
        match self.left(name) {
            Some(LeftOut {
                reason: Reason::NotChosen,
                markets,
                ..
            }) => {
                let names: Vec<&str> = markets.iter().map(|(_, name)| name.as_str()).collect();
                format!(
                    "{name} is listed by another multiple: {}; name that",
                    names.join(", ")
                )
            }
            Some(left) => format!("{name} is {}", left.reason),
            None if paired.any(|unit| unit.underlying == underlying) => {
                format!("{name} is named in two multiples; keep the one that is listed")
            }
            None => format!("{name} is listed by neither venue; take it off MARKETS"),
        }
    }

    /// Sorts out the rows of one underlying: at most one pair comes of them.
    fn settle(&mut self, rows: Vec<Row>) -> Option<Draft> {
        let (barred, open): (Vec<Row>, Vec<Row>) =
            rows.into_iter().partition(|row| row.fault.is_some());
        let has = |rows: &[Row], venue| rows.iter().any(|row| row.venue == venue);
        let lacking = VENUES.into_iter().find(|venue| !has(&open, *venue));
        let missing = lacking.map(|venue| match has(&barred, venue) {
            true => Reason::TwinLeftOut(venue),
            false => Reason::NotListed(venue),
        });
        self.leave_each(barred, |row| row.fault.clone().unwrap_or(Reason::NotChosen));
        if let Some(reason) = missing {
            self.leave_each(open, |_| reason.clone());
            return None;
        }
        match draft(open) {
            Ok(draft) => Some(draft),
            Err((rows, reason)) => {
                self.left_out.push(left_out(&rows, reason));
                None
            }
        }
    }

    /// Puts the pairs in order and bars those beyond the limit, or in other units than were named.
    fn admit(&mut self, mut drafts: Vec<Draft>, wanted: &Markets) {
        let place = |draft: &Draft| match wanted {
            Markets::All => Some(0),
            Markets::Only(names) => names.iter().position(|name| *name == draft.pair.name),
        };
        // By volume within one place, and in Extended's own order where volumes are equal.
        drafts.sort_by_key(|draft| (place(draft), Reverse(draft.volume), draft.pair.extended));
        for draft in drafts {
            let reason = match place(&draft) {
                Some(_) if self.pairs.len() < INSTRUMENTS_MAX => {
                    self.pairs.push(draft.pair);
                    continue;
                }
                Some(_) => Reason::TooMany,
                None => Reason::NotChosen,
            };
            self.left_out.push(left_out(&draft.rows, reason));
        }
    }

    /// Leaves each market out by itself.
    fn leave_each(&mut self, rows: Vec<Row>, reason: impl Fn(&Row) -> Reason) {
        for row in rows {
            let reason = reason(&row);
            self.left_out.push(left_out(&[row], reason));
        }
    }
}

fn left_out(rows: &[Row], reason: Reason) -> LeftOut {
    LeftOut {
        underlying: rows[0].unit.underlying.clone(),
        markets: rows
            .iter()
            .map(|row| (row.venue, row.name.clone()))
            .collect(),
        reason,
    }
}

/// A pair that could be traded, with the rows it came from.
struct Draft {
    pair: Pair,
    volume: Notional,
    rows: Vec<Row>,
}

/// The pair that the open rows of one underlying make, both venues having some, or why there is
/// none.
fn draft(rows: Vec<Row>) -> Result<Draft, (Vec<Row>, Reason)> {
    let (extended, lighter) = match rows.as_slice() {
        [one, other] if one.venue == Venue::Extended => (one, other),
        [one, other] => (other, one),
        _ => return Err((rows, Reason::Ambiguous)),
    };
    let volume = extended.volume.min(lighter.volume);
    let (e, l) = (extended.place, lighter.place);
    match judge(extended, lighter) {
        Ok(name) => {
            let pair = Pair {
                name,
                extended: e,
                lighter: l,
            };
            Ok(Draft { pair, volume, rows })
        }
        Err(reason) => Err((rows, reason)),
    }
}

/// What a market's name counts: so many of an underlying.
///
/// Cheap coins are listed by the thousand, as `1000PEPE` on both venues or as `kPEPE`. Equal
/// multiples need no scaling: price, size and lattice mean the same on both sides, and the name is
/// all that differs. Unlike ones (`1000PEPE` here, `PEPE` there) could be scaled exactly by powers
/// of ten, but then every price, size, fill, position and limit of that market would carry a factor
/// at both edges, and one that is missed is a position a thousand times too large; besides, coins
/// cheap enough to be multiplied have sizes beyond range when they are not. So they are refused.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Unit {
    multiple: u64,
    /// Upper case.
    underlying: String,
}

impl Unit {
    /// A small `k` before a capital is a thousand, and so are digits that make a power of ten of at
    /// least a thousand before a letter. Other digits belong to the name (`1INCH`, `0G`).
    fn of(symbol: &str) -> Unit {
        let digits_len = symbol.bytes().take_while(u8::is_ascii_digit).count();
        let (digits, rest) = symbol.split_at(digits_len);
        let is_power = digits.len() > 3 && digits.len() < 10 && digits.trim_end_matches('0') == "1";
        let begins = |test: fn(&u8) -> bool, text: &str| text.as_bytes().first().is_some_and(test);
        let (multiple, name) = match symbol.strip_prefix('k') {
            Some(name) if begins(u8::is_ascii_uppercase, name) => (1000, name),
            _ if is_power && begins(u8::is_ascii_alphabetic, rest) => {
                (digits.parse().unwrap_or(1), rest)
            }
            _ => (1, symbol),
        };
        Unit {
            multiple,
            underlying: name.to_ascii_uppercase(),
        }
    }

    fn name(&self) -> Option<Name> {
        match self.multiple {
            1 => Name::new(&self.underlying),
            multiple => Name::new(&format!("{multiple}{}", self.underlying)),
        }
    }
}

/// MARKETS names the underlying, in whatever multiple.
fn is_chosen(unit: &Unit, wanted: &Markets) -> bool {
    let is_same = |name: &Name| Unit::of(name.as_str()).underlying == unit.underlying;
    match wanted {
        Markets::All => true,
        Markets::Only(names) => names.iter().any(is_same),
    }
}

/// One row of either list, in the same words.
struct Row {
    venue: Venue,
    /// Index in the venue's list; without meaning for a row that could not be read.
    place: usize,
    name: String,
    unit: Unit,
    /// What bars it whatever the other venue lists.
    fault: Option<Reason>,
    tick: Option<Price>,
    lot: Option<Size>,
    price: Option<Price>,
    index: Option<Price>,
    volume: Notional,
    order_value_max: Notional,
}

/// All rows of both lists, those that could not be read as well.
fn rows(extended: &Listing<MarketInfo>, lighter: &Listing<MarketRow>) -> Vec<Row> {
    let ours = extended.markets.iter().enumerate();
    let theirs = lighter.markets.iter().enumerate();
    let unread = |venue| move |row: &Unread| Row::unread(venue, row);
    ours.map(Row::of_extended)
        .chain(theirs.map(Row::of_lighter))
        .chain(extended.unread.iter().map(unread(Venue::Extended)))
        .chain(lighter.unread.iter().map(unread(Venue::Lighter)))
        .collect()
}

impl Row {
    /// The book's own mid is the price; the mark where the book has none.
    fn of_extended((place, info): (usize, &MarketInfo)) -> Row {
        let venue = Venue::Extended;
        let hours = &info.trading_hours;
        let fault = if !info.is_perpetual {
            Some(Reason::NotPerpetual(venue))
        } else if info.status == "REDUCE_ONLY" {
            Some(Reason::ReduceOnly(venue))
        } else if info.status != "ACTIVE" {
            Some(Reason::NotOpen(venue, info.status.clone()))
        } else if !info.is_active {
            Some(Reason::NotOpen(venue, "not active".into()))
        } else if info.is_rfq {
            Some(Reason::QuoteOnly(venue))
        } else if hours != "CONTINUOUS" {
            Some(Reason::NotContinuous(venue, hours.clone()))
        } else if SESSION_CLASSES.contains(&info.category.to_ascii_lowercase().as_str()) {
            Some(Reason::NotContinuous(venue, info.category.clone()))
        } else {
            None
        };
        Row {
            venue,
            place,
            name: info.name.to_string(),
            unit: Unit::of(&info.base),
            fault,
            tick: Some(info.tick),
            lot: Some(info.lot),
            price: info.mid.or(info.mark),
            index: info.index,
            volume: info.daily_volume,
            order_value_max: info.order_value_max,
        }
    }

    /// The list has no mid: the mark stands for it, or the last trade where there is no mark.
    /// `rfq_enabled` bars nothing here: ETH has it beside the liveliest of books.
    fn of_lighter((place, row): (usize, &MarketRow)) -> Row {
        let venue = Venue::Lighter;
        let hours = &row.trading_hours;
        let fault = if !row.is_perp {
            Some(Reason::NotPerpetual(venue))
        } else if !row.is_active {
            Some(Reason::NotOpen(venue, row.status.clone()))
        } else if row.is_reduce_only {
            Some(Reason::ReduceOnly(venue))
        } else if !hours.is_empty() {
            Some(Reason::NotContinuous(venue, hours.clone()))
        } else if row.is_multiplied {
            Some(Reason::Multiplied(venue))
        } else {
            None
        };
        Row {
            venue,
            place,
            name: row.symbol.clone(),
            unit: Unit::of(&row.symbol),
            fault,
            tick: row.tick(),
            lot: row.lot(),
            price: row.mark.or(row.last),
            index: row.index,
            volume: row.daily_volume,
            order_value_max: row
                .order_value_max
                .unwrap_or(Notional::from_usd(LEVEL_USD_MAX)),
        }
    }

    /// The underlying of a row that can't be read is known from its name alone: `BTC-USD`, `BTC`.
    fn unread(venue: Venue, row: &Unread) -> Row {
        let base = row.name.strip_suffix("-USD").unwrap_or(&row.name);
        Row {
            venue,
            place: 0,
            name: row.name.clone(),
            unit: Unit::of(base),
            fault: Some(Reason::Unreadable(venue, row.field)),
            tick: None,
            lot: None,
            price: None,
            index: None,
            volume: Notional::ZERO,
            order_value_max: Notional::ZERO,
        }
    }

    /// Whether the largest level to be expected fits the range of a size.
    fn fits_range(&self) -> bool {
        let value = self.order_value_max.min(Notional::from_usd(LEVEL_USD_MAX));
        let fits = |price: Price| value.0 / i128::from(price.0.max(1)) <= i128::from(i64::MAX);
        self.price.is_some_and(fits)
    }
}

/// The name of the instrument that two open markets of one underlying make, or why they may not be
/// traded against each other.
fn judge(extended: &Row, lighter: &Row) -> Result<Name, Reason> {
    if extended.unit != lighter.unit {
        return Err(Reason::UnitsUnlike);
    }
    let both = [extended, lighter];
    let has_ticks = both.iter().all(|row| row.tick.is_some());
    let step = joint_step(both.map(|row| row.lot.unwrap_or(Size::ZERO)));
    // Lighter's own name crosses links as well; Extended's was held when it was read.
    let names = extended.unit.name().zip(Name::new(&lighter.name));
    let (name, _) = names
        .filter(|_| has_ticks && step.is_some())
        .ok_or(Reason::Grid)?;
    let unknown = |row: &Row, what| Reason::PriceUnknown(row.venue, what);
    let price = |row: &Row| row.price.ok_or_else(|| unknown(row, "price"));
    let index = |row: &Row| row.index.ok_or_else(|| unknown(row, "index"));
    let mids = apart_bps(price(extended)?, price(lighter)?);
    if mids > MIDS_APART_BPS_MAX {
        return Err(Reason::MidsApart(mids));
    }
    let indexes = apart_bps(index(extended)?, index(lighter)?);
    if indexes > INDEXES_APART_BPS_MAX {
        return Err(Reason::IndexesApart(indexes));
    }
    match both.into_iter().find(|row| !row.fits_range()) {
        Some(row) => Err(Reason::SizeRange(row.venue)),
        None => Ok(name),
    }
}

/// How far two prices are apart, bps of the lower, rounded up so that what is over a limit shows as
/// over it.
fn apart_bps(one: Price, other: Price) -> u64 {
    let (low, high) = (one.min(other), one.max(other));
    let gap = i128::from(high.0) - i128::from(low.0);
    let bps = (gap * 10_000)
        .unsigned_abs()
        .div_ceil(u128::from(low.0.max(1).unsigned_abs()));
    u64::try_from(bps).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::market::units::SCALE;
    use crate::session::tests_rows::{PRICE, listing, market, row};
    use Venue::{Extended, Lighter};
    use proptest::prelude::*;

    fn draw(ours: &[MarketInfo], theirs: &[MarketRow], wanted: &Markets) -> MarketMap {
        MarketMap::draw(&listing(ours.to_vec()), &listing(theirs.to_vec()), wanted)
    }

    fn only(names: &[&str]) -> Markets {
        Markets::Only(names.iter().map(|name| Name::new(name).unwrap()).collect())
    }

    fn names(map: &MarketMap) -> Vec<&str> {
        map.pairs.iter().map(|pair| pair.name.as_str()).collect()
    }

    fn times(price: Price, e4: i64) -> Option<Price> {
        Some(Price(price.0 / 10_000 * e4))
    }

    /// Draws X beside the sound pair BTC and gives the reasons that X was left out for, by the
    /// venue's name of what was left out; a pair has both.
    fn reasons(ours: &[MarketInfo], theirs: &[MarketRow]) -> Vec<(String, Reason)> {
        let ours: Vec<_> = ours.iter().cloned().chain([market("BTC")]).collect();
        let theirs: Vec<_> = theirs.iter().cloned().chain([row("BTC", 1)]).collect();
        let map = draw(&ours, &theirs, &Markets::All);
        assert_eq!(names(&map), ["BTC"]);
        let told = map.left_out.into_iter().map(|left| {
            let names: Vec<String> = left.markets.into_iter().map(|(_, name)| name).collect();
            (names.join("+"), left.reason)
        });
        told.collect()
    }

    #[test]
    fn what_extended_says_bars_its_market() {
        let x = || market("X");
        for (odd, reason) in [
            (
                MarketInfo {
                    is_perpetual: false,
                    ..x()
                },
                Reason::NotPerpetual(Extended),
            ),
            (
                MarketInfo {
                    status: "DELISTED".into(),
                    ..x()
                },
                Reason::NotOpen(Extended, "DELISTED".into()),
            ),
            (
                MarketInfo {
                    is_active: false,
                    ..x()
                },
                Reason::NotOpen(Extended, "not active".into()),
            ),
            (
                MarketInfo {
                    status: "REDUCE_ONLY".into(),
                    ..x()
                },
                Reason::ReduceOnly(Extended),
            ),
            (
                MarketInfo {
                    is_rfq: true,
                    ..x()
                },
                Reason::QuoteOnly(Extended),
            ),
            (
                MarketInfo {
                    trading_hours: "WEEKDAYS".into(),
                    ..x()
                },
                Reason::NotContinuous(Extended, "WEEKDAYS".into()),
            ),
            (
                MarketInfo {
                    category: "Equities".into(),
                    ..x()
                },
                Reason::NotContinuous(Extended, "Equities".into()),
            ),
        ] {
            let told = reasons(&[odd], &[row("X", 9)]);
            let twin = ("X".into(), Reason::TwinLeftOut(Extended));
            assert_eq!(told, [("X-USD".into(), reason), twin]);
        }
    }

    #[test]
    fn what_lighter_says_bars_its_market() {
        let x = || row("X", 9);
        for (odd, reason) in [
            (
                MarketRow {
                    is_perp: false,
                    ..x()
                },
                Reason::NotPerpetual(Lighter),
            ),
            (
                MarketRow {
                    is_active: false,
                    status: "inactive".into(),
                    ..x()
                },
                Reason::NotOpen(Lighter, "inactive".into()),
            ),
            (
                MarketRow {
                    is_reduce_only: true,
                    ..x()
                },
                Reason::ReduceOnly(Lighter),
            ),
            (
                MarketRow {
                    trading_hours: "NYSE".into(),
                    ..x()
                },
                Reason::NotContinuous(Lighter, "NYSE".into()),
            ),
            (
                MarketRow {
                    is_multiplied: true,
                    ..x()
                },
                Reason::Multiplied(Lighter),
            ),
        ] {
            let told = reasons(&[market("X")], &[odd]);
            let twin = ("X-USD".into(), Reason::TwinLeftOut(Lighter));
            assert_eq!(told, [("X".into(), reason), twin]);
        }
    }

    #[test]
    fn what_both_say_together_bars_the_pair() {
        let (e, l) = (|| market("X"), || row("X", 9));
        let cheap = |price: &str| {
            let price = Some(Price::parse(price.as_bytes()).unwrap());
            let ours = MarketInfo {
                mid: price,
                index: price,
                ..e()
            };
            (
                ours,
                MarketRow {
                    mark: price,
                    index: price,
                    ..l()
                },
            )
        };
        let limited = MarketInfo {
            order_value_max: Notional::from_usd(100_000),
            ..cheap("0.001").0
        };
        for ((ours, theirs), reason) in [
            (
                (
                    e(),
                    MarketRow {
                        size_decimals: 10,
                        ..l()
                    },
                ),
                Reason::Grid,
            ),
            (
                (
                    e(),
                    MarketRow {
                        price_decimals: 10,
                        ..l()
                    },
                ),
                Reason::Grid,
            ),
            (
                (
                    MarketInfo {
                        lot: Size(i64::MAX - 24),
                        ..e()
                    },
                    l(),
                ),
                Reason::Grid,
            ),
            (
                (e(), MarketRow { mark: None, ..l() }),
                Reason::PriceUnknown(Lighter, "price"),
            ),
            (
                (
                    MarketInfo {
                        mid: None,
                        mark: None,
                        ..e()
                    },
                    l(),
                ),
                Reason::PriceUnknown(Extended, "price"),
            ),
            (
                (e(), MarketRow { index: None, ..l() }),
                Reason::PriceUnknown(Lighter, "index"),
            ),
            (
                (
                    e(),
                    MarketRow {
                        mark: times(PRICE, 10_201),
                        ..l()
                    },
                ),
                Reason::MidsApart(201),
            ),
            (
                (
                    e(),
                    MarketRow {
                        mark: times(PRICE, 5_000),
                        ..l()
                    },
                ),
                Reason::MidsApart(10_000),
            ),
            (
                (
                    e(),
                    MarketRow {
                        index: times(PRICE, 10_101),
                        ..l()
                    },
                ),
                Reason::IndexesApart(101),
            ),
            (cheap("0.001"), Reason::SizeRange(Lighter)),
            ((limited, cheap("0.001").1), Reason::SizeRange(Lighter)),
            (
                (
                    MarketInfo {
                        order_value_max: Notional::from_usd(9_000_000),
                        ..cheap("0.0009").0
                    },
                    MarketRow {
                        order_value_max: Some(Notional::ZERO),
                        ..cheap("0.0009").1
                    },
                ),
                Reason::SizeRange(Extended),
            ),
        ] {
            assert_eq!(reasons(&[ours], &[theirs]), [("X-USD+X".into(), reason)]);
        }
    }

    #[test]
    fn limits_themselves_are_allowed() {
        let theirs = MarketRow {
            mark: times(PRICE, 10_200),
            index: times(PRICE, 9_910),
            ..row("X", 9)
        };
        assert_eq!(
            names(&draw(&[market("X")], &[theirs], &Markets::All)),
            ["X"]
        );
        let price = Some(Price::parse(b"0.0011").unwrap());
        let ours = MarketInfo {
            mid: None,
            mark: price,
            index: price,
            ..market("X")
        };
        let theirs = MarketRow {
            mark: None,
            last: price,
            index: price,
            ..row("X", 9)
        };
        let map = draw(&[ours], &[theirs], &Markets::All);
        assert_eq!(names(&map), ["X"], "mark and last trade stand in");
    }

    #[test]
    fn one_venue_alone_or_twice() {
        let alone = reasons(&[market("X")], &[row("Y", 9)]);
        assert_eq!(
            alone,
            [
                ("X-USD".into(), Reason::NotListed(Lighter)),
                ("Y".into(), Reason::NotListed(Extended)),
            ]
        );
        let twice = reasons(&[market("X")], &[row("X", 9), row("X", 10)]);
        assert_eq!(twice, [("X-USD+X+X".into(), Reason::Ambiguous)]);
        // A closed one beside it is no rival.
        let closed = MarketRow {
            is_active: false,
            ..row("X", 8)
        };
        let map = draw(&[market("X")], &[closed, row("X", 9)], &Markets::All);
        assert_eq!((map.pairs[0].lighter, map.left_out.len()), (1, 1));
    }

    #[test]
    fn units_are_read_from_names() {
        for (symbol, multiple, underlying) in [
            ("BTC", 1, "BTC"),
            ("1000PEPE", 1000, "PEPE"),
            ("kPEPE", 1000, "PEPE"),
            ("1000000MOG", 1_000_000, "MOG"),
            ("1000000000000X", 1, "1000000000000X"),
            ("KAITO", 1, "KAITO"),
            ("k", 1, "K"),
            ("1INCH", 1, "1INCH"),
            ("1000", 1, "1000"),
            ("2000X", 1, "2000X"),
            ("0G", 1, "0G"),
            ("", 1, ""),
        ] {
            let unit = Unit::of(symbol);
            assert_eq!(
                (unit.multiple, unit.underlying.as_str()),
                (multiple, underlying)
            );
        }
    }

    #[test]
    fn equal_multiples_are_one_instrument_and_unlike_ones_none() {
        let map = draw(&[market("kPEPE")], &[row("1000PEPE", 9)], &Markets::All);
        assert_eq!(names(&map), ["1000PEPE"]);
        for (base, symbol) in [
            ("1000PEPE", "PEPE"),
            ("PEPE", "1000PEPE"),
            ("kPEPE", "PEPE"),
        ] {
            let told = reasons(&[market(base)], &[row(symbol, 9)]);
            assert_eq!(
                told,
                [(format!("{base}-USD+{symbol}"), Reason::UnitsUnlike)]
            );
        }
        let both = reasons(&[market("kPEPE")], &[row("1000PEPE", 9), row("PEPE", 10)]);
        assert_eq!(both[0].1, Reason::Ambiguous);
    }

    #[test]
    fn rows_that_could_not_be_read_are_in_the_map() {
        let mut ours = listing(vec![market("BTC")]);
        let (name, field) = ("X-USD".to_owned(), "minPriceChange");
        ours.unread.push(Unread { name, field });
        let map = MarketMap::draw(&ours, &listing(vec![row("X", 1)]), &Markets::All);
        let told: Vec<_> = map.left_out.into_iter().map(|left| left.reason).collect();
        assert_eq!(
            told,
            [
                Reason::NotListed(Lighter),
                Reason::Unreadable(Extended, field),
                Reason::TwinLeftOut(Extended),
            ]
        );
    }

    #[test]
    fn the_order_is_that_of_markets_or_of_the_thinner_side() {
        let sized = |base: &str, usd| MarketInfo {
            daily_volume: Notional::from_usd(usd),
            ..market(base)
        };
        let turned = |symbol: &str, usd| MarketRow {
            daily_volume: Notional::from_usd(usd),
            ..row(symbol, 1)
        };
        let ours = [
            sized("A", 5),
            sized("B", 900),
            sized("C", 30),
            sized("D", 5),
        ];
        let theirs = [
            turned("D", 7),
            turned("C", 40),
            turned("B", 20),
            turned("A", 9),
        ];
        assert_eq!(
            names(&draw(&ours, &theirs, &Markets::All)),
            ["C", "B", "A", "D"]
        );
        let some = draw(&ours, &theirs, &only(&["D", "B"]));
        assert_eq!(names(&some), ["D", "B"]);
        assert!(
            some.left_out
                .iter()
                .all(|left| left.reason == Reason::NotChosen)
        );
        assert_eq!(some.left_out.len(), 4);
        assert_eq!(some.holds(&only(&["D", "B"])), Ok(()));
    }

    #[test]
    fn more_than_fit_are_left_out_thinnest_first() {
        let ours: Vec<_> = (0..INSTRUMENTS_MAX + 2)
            .map(|n| MarketInfo {
                daily_volume: Notional::from_usd(n as i64),
                ..market(&format!("M{n}"))
            })
            .collect();
        let theirs: Vec<_> = ours.iter().map(|info| row(&info.base, 1)).collect();
        let map = draw(&ours, &theirs, &Markets::All);
        assert_eq!(map.pairs.len(), INSTRUMENTS_MAX);
        let left: Vec<_> = map
            .left_out
            .iter()
            .map(|left| left.underlying.as_str())
            .collect();
        assert_eq!(left, ["M1", "M0"]);
        assert!(
            map.left_out
                .iter()
                .all(|left| left.reason == Reason::TooMany)
        );
    }

    #[test]
    fn every_name_that_cannot_be_had_is_told_with_its_reason() {
        let rfq = MarketInfo {
            is_rfq: true,
            ..market("TSLA")
        };
        let ours = [market("BTC"), rfq, market("kPEPE"), market("ETH")];
        let theirs = [
            row("BTC", 1),
            row("TSLA", 5),
            row("1000PEPE", 6),
            row("SOL", 7),
        ];
        let wanted = only(&["BTC", "TSLA", "PEPE", "ETH", "FOO"]);
        let map = draw(&ours, &theirs, &wanted);
        assert_eq!(names(&map), ["BTC"]);
        assert_eq!(
            map.holds(&wanted).unwrap_err(),
            "MARKETS: TSLA is request for quote on extended; take it off MARKETS: this kind of \
             market is not traded. PEPE is listed by another multiple: kPEPE-USD, 1000PEPE; name \
             that. ETH is not listed by lighter; take it off MARKETS: a pair needs both venues. \
             FOO is listed by neither venue; take it off MARKETS"
        );
        assert!(
            draw(&ours, &theirs, &only(&["1000PEPE"]))
                .holds(&only(&["1000PEPE"]))
                .is_ok()
        );
        let twice = only(&["PEPE", "1000PEPE"]);
        let fault = draw(&ours, &theirs, &twice).holds(&twice).unwrap_err();
        assert!(fault.contains("PEPE is named in two multiples"), "{fault}");
    }

    /// So many names that pairs are frequent, and so few that rivals and unlike multiples are.
    fn any_name() -> impl Strategy<Value = String> {
        let names = [
            "A", "B", "C", "D", "E", "F", "G", "H", "I", "J", "1000A", "kA", "1000B", "kC",
        ];
        prop::sample::select(names.to_vec()).prop_map(String::from)
    }

    /// Mostly near enough to each other to be on either side of the limits.
    fn any_price() -> impl Strategy<Value = Option<Price>> {
        let near = (9_850_i64..=10_150).prop_map(|e4| Some(Price(SCALE / 10_000 * e4)));
        prop_oneof![1 => Just(None), 20 => near, 1 => (1..i64::MAX).prop_map(|p| Some(Price(p)))]
    }

    fn any_market() -> impl Strategy<Value = MarketInfo> {
        let fields = (any_name(), any_price(), any_price(), 0..12_u8, 0..1_000_i64);
        fields.prop_map(|(base, mid, index, odd, usd)| MarketInfo {
            mid,
            mark: None,
            index,
            is_rfq: odd == 0,
            status: if odd == 1 { "REDUCE_ONLY" } else { "ACTIVE" }.into(),
            daily_volume: Notional::from_usd(usd),
            ..market(&base)
        })
    }

    fn any_row() -> impl Strategy<Value = MarketRow> {
        let fields = (any_name(), any_price(), any_price(), 0..12_u8, 0..1_000_i64);
        fields.prop_map(|(symbol, mark, index, odd, usd)| MarketRow {
            mark,
            index,
            is_active: odd != 0,
            size_decimals: if odd == 1 { 11 } else { 5 },
            daily_volume: Notional::from_usd(usd),
            ..row(&symbol, 1)
        })
    }

    proptest! {
        #[test]
        fn nothing_is_lost_and_nothing_unlike_is_joined(
            ours in prop::collection::vec(any_market(), 0..10),
            theirs in prop::collection::vec(any_row(), 0..10),
            named in prop::option::of(prop::collection::vec(any_name(), 1..4)),
        ) {
            let wanted = match &named {
                None => Markets::All,
                Some(names) => Markets::Only(names.iter().filter_map(|n| Name::new(n)).collect()),
            };
            let map = draw(&ours, &theirs, &wanted);
            // Every row appears exactly once.
            let mut told: Vec<(usize, String)> = Vec::new();
            for pair in &map.pairs {
                told.push((0, ours[pair.extended].name.to_string()));
                told.push((1, theirs[pair.lighter].symbol.clone()));
            }
            let left = map.left_out.iter().flat_map(|left| &left.markets);
            told.extend(left.map(|(venue, name)| (venue.idx(), name.clone())));
            let mut all: Vec<(usize, String)> = Vec::new();
            all.extend(ours.iter().map(|info| (0, info.name.to_string())));
            all.extend(theirs.iter().map(|row| (1, row.symbol.clone())));
            told.sort();
            all.sort();
            prop_assert_eq!(told, all);
            // What is joined is one asset by its prices, in one unit, and was asked for.
            for pair in &map.pairs {
                let (info, row) = (&ours[pair.extended], &theirs[pair.lighter]);
                prop_assert_eq!(Unit::of(&info.base), Unit::of(&row.symbol));
                let apart = |one: Option<Price>, other: Option<Price>| {
                    let (one, other) = (one.unwrap().0 as f64, other.unwrap().0 as f64);
                    (one - other).abs() / one.min(other)
                };
                prop_assert!(apart(info.mid, row.mark) <= 0.020_000_1);
                prop_assert!(apart(info.index, row.index) <= 0.010_000_1);
                if let Markets::Only(names) = &wanted {
                    prop_assert!(names.contains(&pair.name));
                }
            }
            let lost = match &wanted {
                Markets::All => false,
                Markets::Only(names) => {
                    let has = |name: &Name| map.pairs.iter().any(|pair| pair.name == *name);
                    !names.iter().all(has)
                }
            };
            prop_assert_eq!(map.holds(&wanted).is_err(), lost);
        }
    }
}
