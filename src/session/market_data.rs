//! A venue's books alone, without an account: which markets, whose decoder, which connections.
//!
//! Promises: endpoints and MARKETS are the configuration's, grids and numbers the venue's own; with
//! one venue wanted, the other is not asked. Refuses: keys; whatever the mode, none is read here.

use crate::config::Config;
use crate::market::units::Bps;
use crate::market::{Market, Name, VENUES, Venue};
use crate::net::{Connection, TlsClient};
use crate::session::SessionError;
use crate::session::table::Listed;
use crate::session::venues::{dial_plan, venue as venue_fault};
use crate::venue::extended::account::{ExtendedRest, MarketInfo};
use crate::venue::extended::feed::ExtendedFeed;
use crate::venue::lighter::account::{LighterRest, MarketRow};
use crate::venue::lighter::feed::LighterFeed;
use crate::venue::{Feed, Lane, Listing, lighter};

/// What it takes to follow one venue's books.
pub struct Books {
    /// Which venue.
    pub venue: Venue,
    /// Underlying and market, in the order of their instruments.
    pub markets: Vec<(Name, Market)>,
    /// The decoder.
    pub feed: Box<dyn Feed>,
    /// Its lanes, not dialled yet.
    pub lanes: Vec<Connection>,
    /// Which of them tell full books; the others are no part of a recording.
    pub is_book_lane: fn(Lane) -> bool,
}

/// Reads the lists of the venues wanted. With both, the markets are those that both list, in one
/// order; with one, whatever it lists.
pub fn read(config: &Config, wanted: &[Venue]) -> Result<Vec<Books>, SessionError> {
    let pem = config.extra_root_pem.as_deref();
    let tls = TlsClient::new(pem)
        .map_err(|_| venue_fault("TLS_CA_FILE holds no certificate that can be used".into()))?;
    let extended = match wanted.contains(&Venue::Extended) {
        true => extended_markets(config)?,
        false => Listing::default(),
    };
    let lighter = match wanted.contains(&Venue::Lighter) {
        true => lighter_markets(config)?,
        false => Listing::default(),
    };
    let listed = Listed {
        extended: &extended,
        fees: &[],
        lighter: &lighter,
        lighter_fees: (Bps::ZERO, Bps::ZERO),
    };
    let mut books = Vec::new();
    match wanted {
        [one] => {
            let markets = listed.alone(*one, &config.markets);
            let markets = markets.map_err(SessionError::NoInstruments)?;
            books.push(of_venue(config, &tls, *one, markets)?);
        }
        _ => {
            let table = listed.join(&config.markets);
            let table = table.map_err(SessionError::NoInstruments)?;
            for venue in VENUES {
                let names = table.instruments.iter().map(|instrument| instrument.name);
                let markets = names.zip(table.markets(venue)).collect();
                books.push(of_venue(config, &tls, venue, markets)?);
            }
        }
    }
    Ok(books)
}

fn extended_markets(config: &Config) -> Result<Listing<MarketInfo>, SessionError> {
    let base = config.extended.base.as_str();
    let fault = |error| venue_fault(format!("{error} ({base})"));
    let rest = ExtendedRest::new(base, "", config.extra_root_pem.as_deref()).map_err(fault)?;
    rest.markets().map_err(fault)
}

fn lighter_markets(config: &Config) -> Result<Listing<MarketRow>, SessionError> {
    let base = config.lighter.base.as_str();
    let fault = |error| venue_fault(format!("{error} ({base})"));
    let rest = LighterRest::new(base, config.extra_root_pem.as_deref()).map_err(fault)?;
    rest.markets().map_err(fault)
}

fn of_venue(
    config: &Config,
    tls: &TlsClient,
    venue: Venue,
    markets: Vec<(Name, Market)>,
) -> Result<Books, SessionError> {
    let list: Vec<Market> = markets.iter().map(|(_, market)| *market).collect();
    let (feed, lanes): (Box<dyn Feed>, _) = match venue {
        Venue::Extended => {
            let feed = ExtendedFeed::books_alone(&list);
            let stream = config.extended.stream.as_str();
            let lanes = dial_plan(stream, 0, feed.lanes(), tls)?;
            (Box::new(feed), lanes)
        }
        Venue::Lighter => {
            let feed = LighterFeed::paced(&list, config.lighter.messages_per_minute);
            let stream = config.lighter.ws.as_str();
            let lanes = dial_plan(stream, 0, feed.lanes(), tls)?;
            (Box::new(feed), lanes)
        }
    };
    Ok(Books {
        venue,
        markets,
        feed,
        lanes,
        is_book_lane: match venue {
            Venue::Extended => |_| true,
            Venue::Lighter => lighter::is_book_lane,
        },
    })
}
