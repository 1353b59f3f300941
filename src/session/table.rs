//! Joins what the two venues list into the run's table of instruments. Pure.
//!
//! Promises: grids, ids and fees are the venues' own. Refuses: a market that only one venue lists,
//! that is not open for trading, or whose grid we can't hold; a name in MARKETS that finds nothing.

use crate::config::Markets;
use crate::market::units::Bps;
use crate::market::{INSTRUMENTS_MAX, Instrument, InstrumentId, Market, Name, Venue};
use crate::venue::extended::MarketConfig;
use crate::venue::extended::account::{Fees, MarketInfo};
use crate::venue::lighter::account::MarketRow;

/// Extended's flat taker fee, 2.5 bps at 10^-9 (user documentation, trading fees): what is reckoned
/// with while there is no account to ask.
const TAKER_RATE_PUBLISHED: i64 = 250_000;

/// What the venues say, side by side.
pub struct Listed<'a> {
    /// Extended's markets.
    pub extended: &'a [MarketInfo],
    /// The account's fees there, by market; empty without an account.
    pub fees: &'a [Fees],
    /// Lighter's markets.
    pub lighter: &'a [MarketRow],
    /// The account's taker and maker fee there, the same on every market.
    pub lighter_fees: (Bps, Bps),
}

/// The instruments both venues list, and what Extended needs to sign on them.
pub struct Table {
    /// In index order.
    pub instruments: Vec<Instrument>,
    /// The same, with Extended's own numbers.
    pub extended: Vec<MarketConfig>,
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
        let mut table = Table {
            instruments: Vec::new(),
            extended: Vec::new(),
        };
        for info in self.extended {
            let id = InstrumentId(table.instruments.len() as u16);
            let Some((name, ours, theirs)) = self.pair(info, id) else {
                continue;
            };
            let is_wanted = match wanted {
                Markets::All => true,
                Markets::Only(names) => names.contains(&name),
            };
            if is_wanted && table.instruments.len() < INSTRUMENTS_MAX {
                let markets = [ours.market, theirs];
                table.instruments.push(Instrument { id, name, markets });
                table.extended.push(ours);
            }
        }
        let found = |name: &Name| table.instruments.iter().any(|i| i.name == *name);
        let missing: Vec<&str> = match wanted {
            Markets::All => Vec::new(),
            Markets::Only(names) => {
                let unknown = names.iter().filter(|name| !found(name));
                unknown.map(Name::as_str).collect()
            }
        };
        if !missing.is_empty() {
            return Err(format!(
                "MARKETS: not open for trading as a perpetual on both venues: {}; name others, or \
                 use ALL",
                missing.join(", ")
            ));
        }
        if table.instruments.is_empty() {
            return Err("no market is open for trading as a perpetual on both venues".into());
        }
        Ok(table)
    }

    /// The two sides of one instrument, if both are there and can be traded.
    fn pair(&self, info: &MarketInfo, id: InstrumentId) -> Option<(Name, MarketConfig, Market)> {
        let is_twin = |row: &&MarketRow| {
            row.is_perp && row.is_active && row.symbol.eq_ignore_ascii_case(&info.base)
        };
        let row = self
            .lighter
            .iter()
            .find(is_twin)
            .filter(|_| info.is_tradable)?;
        let theirs = Market {
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
        };
        let ours = info.config(id, &self.fees_of(info.name.as_str()));
        Some((Name::new(&info.base)?, ours, theirs))
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
    use crate::market::units::{Notional, Price, Size};
    use crate::venue::extended::sign::Felt;

    fn extended(base: &str) -> MarketInfo {
        MarketInfo {
            name: Name::new(&format!("{base}-USD")).unwrap(),
            base: base.into(),
            status: "ACTIVE".into(),
            is_tradable: true,
            is_rfq: false,
            trading_hours: "CONTINUOUS".into(),
            tick: Price(100_000_000),
            lot: Size(10_000),
            size_min: Size(100_000),
            order_value_max: Notional::from_usd(1_000_000),
            position_value_max: Notional::from_usd(1_000_000),
            price_cap: 50_000_000,
            price_floor: 50_000_000,
            mark: Price(1),
            index: Price(1),
            funding_rate: 0,
            funding_next_ms: 0,
            margins: Vec::new(),
            base_asset: Felt::from(7_u8),
            base_resolution: 1_000_000,
            quote_asset: Felt::from(1_u8),
            quote_resolution: 1_000_000,
        }
    }

    fn lighter(symbol: &str, market_id: u32) -> MarketRow {
        MarketRow {
            symbol: symbol.into(),
            market_id,
            is_perp: true,
            is_active: true,
            price_decimals: 1,
            size_decimals: 5,
            size_min: Size(200_000),
            notional_min: Notional::from_usd(10),
            initial_margin_e4: Some(500),
            maintenance_margin_e4: Some(120),
        }
    }

    fn only(names: &[&str]) -> Markets {
        Markets::Only(names.iter().map(|name| Name::new(name).unwrap()).collect())
    }

    #[test]
    fn only_what_both_list_and_trade_is_joined() {
        let rfq = MarketInfo {
            is_tradable: false,
            ..extended("TSLA")
        };
        let spot = MarketRow {
            is_perp: false,
            ..lighter("SOL", 2048)
        };
        let closed = MarketRow {
            is_active: false,
            ..lighter("XRP", 9)
        };
        let fine = MarketRow {
            size_decimals: 12,
            ..lighter("PEPE", 11)
        };
        let ours = ["BTC", "SOL", "XRP", "PEPE", "ETH", "DOGE"].map(extended);
        let ours: Vec<_> = ours.into_iter().chain([rfq]).collect();
        let theirs = [
            spot,
            closed,
            fine,
            lighter("ETH", 0),
            lighter("BTC", 1),
            lighter("TSLA", 5),
        ];
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
        let table = listed.join(&Markets::All).unwrap();
        let names: Vec<_> = table.instruments.iter().map(|i| i.name.as_str()).collect();
        assert_eq!(names, ["BTC", "ETH"]);
        // Id 0 is a real market, not a default.
        let eth = table.instruments[1].markets[Venue::Lighter.idx()];
        assert_eq!((eth.venue_market, eth.instrument), (0, InstrumentId(1)));
        let fee = |idx: usize, venue: Venue| table.markets(venue)[idx].fee_taker;
        assert_eq!(fee(0, Venue::Extended), Bps::from_milli(1_500));
        assert_eq!(
            fee(1, Venue::Extended),
            Bps::from_milli(2_500),
            "the published one"
        );
        assert_eq!(fee(1, Venue::Lighter), Bps::from_milli(2_800));
    }

    #[test]
    fn a_name_that_finds_nothing_is_told() {
        let (ours, theirs) = ([extended("BTC")], [lighter("BTC", 1)]);
        let listed = Listed {
            extended: &ours,
            fees: &[],
            lighter: &theirs,
            lighter_fees: (Bps::ZERO, Bps::ZERO),
        };
        assert_eq!(listed.join(&only(&["BTC"])).unwrap().instruments.len(), 1);
        let fault = listed.join(&only(&["BTC", "BTCC", "ETH"])).err().unwrap();
        assert!(
            fault.contains("BTCC, ETH") && fault.contains("MARKETS"),
            "{fault}"
        );
        let nothing = Listed {
            lighter: &[],
            ..listed
        };
        assert!(nothing.join(&Markets::All).is_err());
    }
}
