//! The run's table of instruments: the market map with grids, ids and fees filled in. Pure.
//!
//! Promises: grids, ids and fees are the venues' own. Refuses: a name in MARKETS that can't be
//! traded, each with its reason; an empty table.

use crate::config::Markets;
use crate::market::units::{Bps, Notional, SCALE};
use crate::market::{INSTRUMENTS_MAX, Instrument, InstrumentId, Market, Name, Venue};
use crate::session::left_out::{LeftOut, summary};
use crate::session::market_map::{MarketMap, Pair};
use crate::venue::Listing;
use crate::venue::extended::MarketConfig;
use crate::venue::extended::account::{Fees, Leverage, MarketInfo};
use crate::venue::lighter::account::MarketRow;
use std::fmt;

/// Extended's flat taker fee, 2.5 bps at 10^-9 (user documentation, trading fees): what is reckoned
/// with while there is no account to ask.
const TAKER_RATE_PUBLISHED: i64 = 250_000;

/// What the venues say, side by side.
pub struct Listed<'a> {
    /// Extended's markets.
    pub extended: &'a Listing<MarketInfo>,
    /// The account's fees there, by market; empty without an account.
    pub fees: &'a [Fees],
    /// Lighter's markets.
    pub lighter: &'a Listing<MarketRow>,
    /// The account's taker and maker fee there, the same on every market.
    pub lighter_fees: (Bps, Bps),
}

/// The instruments both venues list, and what Extended needs to sign on them.
pub struct Table {
    /// In index order.
    pub instruments: Vec<Instrument>,
    /// The same, with Extended's own numbers.
    pub extended: Vec<MarketConfig>,
    /// What is not traded, and why.
    pub left_out: Vec<LeftOut>,
}

/// A leverage with which the venue takes no position as large as a leg may become.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShortLeverage {
    /// Where, and what is set.
    pub market: Leverage,
    /// Largest position with it. USD.
    pub allowed: Notional,
    /// MAX_POSITION_SIZE_USD.
    pub most: Notional,
    /// The highest whole leverage that carries that, if any does.
    pub fitting: Option<u32>,
}

impl fmt::Display for ShortLeverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} is set to a leverage of {}, with which the venue takes positions up to {:.2} USD \
             there, less than MAX_POSITION_SIZE_USD ({:.2})",
            self.market.market,
            self.market.ratio as f64 / SCALE as f64,
            self.allowed.to_usd_f64(),
            self.most.to_usd_f64()
        )
    }
}

impl ShortLeverage {
    /// What to do about it.
    pub const FIX: &str = "set a lower leverage (`parallax check --venues --set` does), lower \
                           MAX_POSITION_SIZE_USD, or leave it out of MARKETS";
}

impl Table {
    /// The leverages set on Extended that are too high for a position of `most`. One is had up to a
    /// position's value only: a leg that must grow beyond it is refused while the other stands. How
    /// much margin it sets aside is no matter, as the engine holds a leg's whole notional.
    pub fn short_leverages(
        &self,
        listed: &[MarketInfo],
        leverages: &[Leverage],
        most: Notional,
    ) -> Vec<ShortLeverage> {
        let short = |traded: Market| {
            let name = traded.name.as_str();
            let set = leverages.iter().find(|set| set.market == name)?;
            let market = listed.iter().find(|market| market.name == traded.name)?;
            let allowed = market.position_value_at(set.ratio)?;
            (allowed < most).then(|| ShortLeverage {
                market: set.clone(),
                allowed,
                most,
                fitting: market.leverage_for(most),
            })
        };
        let markets = self.markets(Venue::Extended);
        markets.into_iter().filter_map(short).collect()
    }

    /// One venue's markets, in index order.
    pub fn markets(&self, venue: Venue) -> Vec<Market> {
        let of_venue = |instrument: &Instrument| instrument.markets[venue.idx()];
        self.instruments.iter().map(of_venue).collect()
    }
}

impl Listed<'_> {
    /// The table for these MARKETS, or the fault with its fix.
    pub fn join(&self, wanted: &Markets) -> Result<Table, String> {
        let map = MarketMap::draw(self.extended, self.lighter, wanted);
        map.holds(wanted)?;
        if map.pairs.is_empty() {
            let why = summary(&map.left_out).join("; ");
            return Err(format!("no market can be traded on both venues ({why})"));
        }
        Ok(self.table(map))
    }

    /// The table of a map that was drawn from these lists.
    pub fn table(&self, map: MarketMap) -> Table {
        let mut table = Table {
            instruments: Vec::with_capacity(map.pairs.len()),
            extended: Vec::with_capacity(map.pairs.len()),
            left_out: map.left_out,
        };
        for pair in &map.pairs {
            let id = InstrumentId(table.instruments.len() as u16);
            let (ours, theirs) = self.sides(pair, id);
            table.instruments.push(Instrument {
                id,
                name: pair.name,
                markets: [ours.market, theirs],
            });
            table.extended.push(ours);
        }
        table
    }

    /// One venue's open perpetuals for these MARKETS, whatever the other lists, with the names of
    /// their underlyings; or the fault with its fix.
    pub fn alone(&self, venue: Venue, wanted: &Markets) -> Result<Vec<(Name, Market)>, String> {
        let mut found: Vec<(Name, Market)> = match venue {
            Venue::Extended => {
                let rows = self.extended.markets.iter();
                let open = rows.filter(|info| info.is_perpetual && info.is_active && !info.is_rfq);
                let market = |info: &MarketInfo| {
                    let ours = info.config(InstrumentId(0), &self.fees_of(info.name.as_str()));
                    Some((Name::new(&info.base)?, ours.market))
                };
                open.filter_map(market).collect()
            }
            Venue::Lighter => {
                let rows = self.lighter.markets.iter();
                let market = |row: &MarketRow| {
                    let theirs = self.theirs(row, InstrumentId(0))?;
                    Some((theirs.name, theirs))
                };
                rows.filter(|row| row.is_perp && row.is_active)
                    .filter_map(market)
                    .collect()
            }
        };
        found.retain(|(name, _)| is_wanted(wanted, name));
        found.truncate(INSTRUMENTS_MAX);
        for (idx, (_, market)) in found.iter_mut().enumerate() {
            market.instrument = InstrumentId(idx as u16);
        }
        let names: Vec<Name> = found.iter().map(|(name, _)| *name).collect();
        lacking(venue, wanted, &names).map_or(Ok(found), Err)
    }

    /// Both markets of a pair, with the account's fees.
    fn sides(&self, pair: &Pair, id: InstrumentId) -> (MarketConfig, Market) {
        const DRAWN: &str = "the map pairs only rows of these lists whose grid can be held";
        let info = &self.extended.markets[pair.extended];
        let row = &self.lighter.markets[pair.lighter];
        let theirs = self.theirs(row, id).expect(DRAWN);
        (info.config(id, &self.fees_of(info.name.as_str())), theirs)
    }

    /// A row of Lighter's list as the house knows it, if we can hold its grid.
    fn theirs(&self, row: &MarketRow, id: InstrumentId) -> Option<Market> {
        Some(Market {
            venue: Venue::Lighter,
            instrument: id,
            name: Name::new(&row.symbol)?,
            venue_market: row.market_id,
            tick: row.tick()?,
            lot: row.lot()?,
            size_min: row.size_min,
            notional_min: row.notional_min,
            fee_taker: self.lighter_fees.0,
            fee_maker: self.lighter_fees.1,
            bounds: row.bounds(),
        })
    }

    fn fees_of(&self, market: &str) -> Fees {
        let found = self.fees.iter().find(|fees| fees.market == market);
        found.cloned().unwrap_or(Fees {
            market: market.to_string(),
            maker_rate: 0,
            taker_rate: TAKER_RATE_PUBLISHED,
        })
    }
}

fn is_wanted(wanted: &Markets, name: &Name) -> bool {
    match wanted {
        Markets::All => true,
        Markets::Only(names) => names.contains(name),
    }
}

/// What is wrong with one venue's markets: a name that found nothing, or none at all.
fn lacking(venue: Venue, wanted: &Markets, found: &[Name]) -> Option<String> {
    let missing: Vec<&str> = match wanted {
        Markets::All => Vec::new(),
        Markets::Only(names) => {
            let unknown = names.iter().filter(|name| !found.contains(name));
            unknown.map(Name::as_str).collect()
        }
    };
    let place = venue.name();
    if !missing.is_empty() {
        let missing = missing.join(", ");
        return Some(format!(
            "MARKETS: not open for trading as a perpetual on {place}: {missing}; name others, or \
             use ALL"
        ));
    }
    let none = || format!("no market is open for trading as a perpetual on {place}");
    found.is_empty().then(none)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::tests_rows::{listing, market, row};

    fn only(names: &[&str]) -> Markets {
        Markets::Only(names.iter().map(|name| Name::new(name).unwrap()).collect())
    }

    #[test]
    fn pairs_get_their_numbers_and_fees() {
        let ours = listing(["BTC", "ETH"].map(market).to_vec());
        let theirs = listing(vec![row("ETH", 0), row("BTC", 1)]);
        let fees = [Fees {
            market: "BTC-USD".into(),
            maker_rate: 0,
            taker_rate: 150_000,
        }];
        let listed = Listed {
            extended: &ours,
            fees: &fees,
            lighter: &theirs,
            lighter_fees: (Bps::from_milli(2_800), Bps::ZERO),
        };
        let table = listed.join(&only(&["BTC", "ETH"])).unwrap();
        // Id 0 is a real market, not a default.
        let eth = table.instruments[1].markets[Venue::Lighter.idx()];
        assert_eq!((eth.venue_market, eth.instrument), (0, InstrumentId(1)));
        assert_eq!(table.extended[1].market.name.as_str(), "ETH-USD");
        let fee = |idx: usize, venue: Venue| table.markets(venue)[idx].fee_taker;
        assert_eq!(fee(0, Venue::Extended), Bps::from_milli(1_500));
        let published = Bps::from_milli(2_500);
        assert_eq!(fee(1, Venue::Extended), published);
        assert_eq!(fee(1, Venue::Lighter), Bps::from_milli(2_800));
    }

    #[test]
    fn a_name_that_cannot_be_traded_is_told_and_so_is_an_empty_table() {
        let (ours, theirs) = (listing(vec![market("BTC")]), listing(vec![row("BTC", 1)]));
        let listed = Listed {
            extended: &ours,
            fees: &[],
            lighter: &theirs,
            lighter_fees: (Bps::ZERO, Bps::ZERO),
        };
        assert_eq!(listed.join(&only(&["BTC"])).unwrap().instruments.len(), 1);
        let fault = listed.join(&only(&["BTC", "BTCC", "ETH"])).err().unwrap();
        assert!(
            fault.starts_with("MARKETS: BTCC is listed by neither"),
            "{fault}"
        );
        let nothing = listing(Vec::new());
        let nothing = Listed {
            lighter: &nothing,
            ..listed
        };
        let fault = nothing.join(&Markets::All).err().unwrap();
        assert!(
            fault.contains("1 not listed by lighter: BTC-USD"),
            "{fault}"
        );
    }

    #[test]
    fn one_venue_alone_lists_what_the_other_lacks() {
        let closed = MarketInfo {
            is_active: false,
            ..market("TSLA")
        };
        let ours = listing(vec![market("DOGE"), closed, market("BTC")]);
        let spot = MarketRow {
            is_perp: false,
            ..row("SOL", 2048)
        };
        let theirs = listing(vec![spot, row("ETH", 0), row("BTC", 1)]);
        let listed = Listed {
            extended: &ours,
            fees: &[],
            lighter: &theirs,
            lighter_fees: (Bps::ZERO, Bps::ZERO),
        };
        let told = |venue, wanted: &Markets| -> Vec<(String, u32, u16)> {
            let found = listed.alone(venue, wanted).unwrap().into_iter();
            let line =
                |(name, m): (Name, Market)| (name.to_string(), m.venue_market, m.instrument.0);
            found.map(line).collect()
        };
        let line = |name: &str, number, id| (name.to_string(), number, id);
        let extended = told(Venue::Extended, &Markets::All);
        assert_eq!(extended, [line("DOGE", 0, 0), line("BTC", 0, 1)]);
        let lighter = told(Venue::Lighter, &Markets::All);
        assert_eq!(lighter, [line("ETH", 0, 0), line("BTC", 1, 1)]);
        assert_eq!(told(Venue::Lighter, &only(&["BTC"])), [line("BTC", 1, 0)]);
        let fault = listed.alone(Venue::Lighter, &only(&["DOGE"])).unwrap_err();
        assert!(fault.contains("on lighter: DOGE"), "{fault}");
    }
}
