//! The run's table of instruments: the market map with grids, ids and fees filled in. Pure.
//!
//! Promises: grids, ids and fees are the venues' own. Refuses: a name in MARKETS that can't be
//! traded, each with its reason; an empty table.

use crate::config::Markets;
use crate::market::units::Bps;
use crate::market::{Instrument, InstrumentId, Market, Name, Venue};
use crate::session::left_out::{LeftOut, summary};
use crate::session::market_map::{MarketMap, Pair};
use crate::venue::Listing;
use crate::venue::extended::MarketConfig;
use crate::venue::extended::account::{Fees, MarketInfo};
use crate::venue::lighter::account::MarketRow;

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

impl Table {
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

    /// Both markets of a pair, with the account's fees.
    fn sides(&self, pair: &Pair, id: InstrumentId) -> (MarketConfig, Market) {
        const DRAWN: &str = "the map pairs only rows of these lists whose grid can be held";
        let info = &self.extended.markets[pair.extended];
        let row = &self.lighter.markets[pair.lighter];
        let theirs = Market {
            venue: Venue::Lighter,
            instrument: id,
            name: Name::new(&row.symbol).expect(DRAWN),
            venue_market: row.market_id,
            tick: row.tick().expect(DRAWN),
            lot: row.lot().expect(DRAWN),
            size_min: row.size_min,
            notional_min: row.notional_min,
            fee_taker: self.lighter_fees.0,
            fee_maker: self.lighter_fees.1,
        };
        (info.config(id, &self.fees_of(info.name.as_str())), theirs)
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
}
