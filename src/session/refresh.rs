//! Reads both venues' market lists again while the plant runs, and says what has changed. Cold.
//!
//! Promises: an instrument whose market has closed, became reduce-only, has another grid or another
//! number, or that the market map would not pair any more, is not entered from then on; it is again
//! when that is over. Exits are left alone. Refuses: giving a new grid to a running plant, and
//! deciding anything on a list that could not be read.

use crate::config::{Config, Markets};
use crate::market::units::Bps;
use crate::market::{Instrument, InstrumentId, Market, VENUES, Venue};
use crate::session::SessionError;
use crate::session::market_map::MarketMap;
use crate::session::table::{Listed, Table};
use crate::venue::Listing;
use crate::venue::extended::MarketConfig;
use crate::venue::extended::account::{ExtendedRest, MarketInfo};
use crate::venue::lighter::account::{LighterRest, MarketRow};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

/// How often the lists are read. Larger: a change is noticed later (the venue refuses our orders
/// meanwhile). Smaller: a list of all markets, some 2 MiB, more often, against the read budget.
const READ_EVERY: Duration = Duration::from_secs(600);

/// What a reading brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// An instrument may not be entered any more, or may again.
    Change(Change),
    /// A list could not be read: whose, and why. What was known holds.
    Unread(String),
}

/// A change of one instrument.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Which.
    pub instrument: InstrumentId,
    /// It may be entered.
    pub allowed: bool,
    /// One sentence for people.
    pub said: String,
}

/// The thread that reads. It ends by itself when this is dropped, after the request it is in.
pub struct Refresh {
    /// What it found.
    pub news: Receiver<News>,
    _until_dropped: Sender<()>,
}

impl Refresh {
    /// Starts the thread. It is not pinned and shares no thread with a stage.
    pub fn start(config: &Config, started: Started) -> Result<Refresh, SessionError> {
        let pem = config.extra_root_pem.as_deref();
        let extended = ExtendedRest::new(config.extended.base.as_str(), "", pem)
            .map_err(|error| SessionError::Venue(error.to_string()))?;
        let lighter = LighterRest::new(config.lighter.base.as_str(), pem)
            .map_err(|error| SessionError::Venue(error.to_string()))?;
        let (tell, news) = channel();
        let (until_dropped, dropped) = channel::<()>();
        let read = move || {
            let mut started = started;
            while let Err(RecvTimeoutError::Timeout) = dropped.recv_timeout(READ_EVERY) {
                let found = match (extended.markets(), lighter.markets()) {
                    (Ok(extended), Ok(lighter)) => started.compare((&extended, &lighter)),
                    (Err(error), _) => vec![News::Unread(error.to_string())],
                    (_, Err(error)) => vec![News::Unread(error.to_string())],
                };
                // Nobody listens any more only when the run is over.
                found.into_iter().for_each(|one| drop(tell.send(one)));
            }
        };
        let thread = std::thread::Builder::new().name("market-lists".into());
        thread.spawn(read).map_err(SessionError::Thread)?;
        Ok(Refresh {
            news,
            _until_dropped: until_dropped,
        })
    }
}

/// What the plant was built on, and which of its instruments are barred by now.
pub struct Started {
    markets: Markets,
    instruments: Vec<Instrument>,
    extended: Vec<MarketConfig>,
    is_barred: Vec<bool>,
}

impl Started {
    /// From the table of the start.
    pub fn new(table: &Table) -> Started {
        let names = table.instruments.iter().map(|instrument| instrument.name);
        Started {
            markets: Markets::Only(names.collect()),
            instruments: table.instruments.clone(),
            extended: table.extended.clone(),
            is_barred: vec![false; table.instruments.len()],
        }
    }

    /// What these lists change. Each instrument is told of when it becomes barred and when it no
    /// longer is, not in between.
    fn compare(&mut self, lists: (&Listing<MarketInfo>, &Listing<MarketRow>)) -> Vec<News> {
        let listed = Listed {
            extended: lists.0,
            fees: &[],
            lighter: lists.1,
            lighter_fees: (Bps::ZERO, Bps::ZERO),
        };
        let map = MarketMap::draw(lists.0, lists.1, &self.markets);
        let unpaired: Vec<Option<String>> = self
            .instruments
            .iter()
            .map(|then| map.why_unpaired(&then.name))
            .collect();
        let table = listed.table(map);
        let mut news = Vec::new();
        for (idx, unpaired) in unpaired.into_iter().enumerate() {
            let why = unpaired.or_else(|| self.renumbered(idx, &table));
            if why.is_some() == self.is_barred[idx] {
                continue;
            }
            self.is_barred[idx] = why.is_some();
            let Instrument { id, name, .. } = self.instruments[idx];
            news.push(News::Change(Change {
                instrument: id,
                allowed: why.is_none(),
                said: match why {
                    Some(why) => format!("{name}: no entries from now on: {why}"),
                    None => format!("{name}: entries are allowed again"),
                },
            }));
        }
        news
    }

    /// What has become of an instrument's numbers, if they are others than those of the start.
    fn renumbered(&self, idx: usize, now: &Table) -> Option<String> {
        let then = &self.instruments[idx];
        let at = now
            .instruments
            .iter()
            .position(|other| other.name == then.name)?;
        let changed = VENUES.into_iter().find_map(|venue| {
            let side = venue.idx();
            let field = changed(&then.markets[side], &now.instruments[at].markets[side])?;
            Some((venue, field))
        });
        let signed = |config: &MarketConfig| {
            let assets = (config.base_asset, config.quote_asset);
            (assets, config.base_resolution, config.quote_resolution)
        };
        let is_signed_alike = signed(&self.extended[idx]) == signed(&now.extended[at]);
        let assets = (Venue::Extended, "settlement asset");
        let (venue, field) = changed.or((!is_signed_alike).then_some(assets))?;
        let venue = venue.name();
        Some(format!(
            "its {field} on {venue} has changed; start again to trade it"
        ))
    }
}

/// The first number of a market that is no longer what it was. Fees are the account's, and not read
/// here.
fn changed(then: &Market, now: &Market) -> Option<&'static str> {
    [
        ("name", then.name != now.name),
        ("market number", then.venue_market != now.venue_market),
        ("tick", then.tick != now.tick),
        ("lot", then.lot != now.lot),
        ("smallest size", then.size_min != now.size_min),
        ("smallest notional", then.notional_min != now.notional_min),
    ]
    .into_iter()
    .find_map(|(field, is_other)| is_other.then_some(field))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::market::units::{Notional, Price, Size};
    use crate::session::tests_rows::{PRICE, listing, market, row};

    fn started() -> Started {
        let (ours, theirs) = lists();
        let listed = Listed {
            extended: &ours,
            fees: &[],
            lighter: &theirs,
            lighter_fees: (Bps::from_milli(2_800), Bps::ZERO),
        };
        Started::new(&listed.join(&Markets::All).unwrap())
    }

    fn lists() -> (Listing<MarketInfo>, Listing<MarketRow>) {
        let ours = listing(["BTC", "ETH"].map(market).to_vec());
        (ours, listing(vec![row("ETH", 0), row("BTC", 1)]))
    }

    /// What is told when BTC's rows have been changed: the first sentence, and no more than one.
    fn told(change: impl FnOnce(&mut MarketInfo, &mut MarketRow)) -> Option<Change> {
        let (mut ours, mut theirs) = lists();
        change(&mut ours.markets[0], &mut theirs.markets[1]);
        let mut news = started().compare((&ours, &theirs));
        assert!(news.len() < 2, "{news:?}");
        match news.pop() {
            Some(News::Change(change)) => Some(change),
            Some(News::Unread(why)) => panic!("{why}"),
            None => None,
        }
    }

    #[test]
    fn prices_volumes_and_fees_may_move() {
        let change = told(|ours, theirs| {
            ours.mid = Some(Price(PRICE.0 / 100 * 101));
            ours.funding_rate = 5;
            theirs.daily_volume = Notional::ZERO;
        });
        assert_eq!(change, None);
    }

    #[test]
    fn every_other_change_bars_the_instrument() {
        type Turn = fn(&mut MarketInfo, &mut MarketRow);
        let cases: [(Turn, &str); 10] = [
            (
                |e, _| e.status = "REDUCE_ONLY".into(),
                "reduce-only on extended",
            ),
            (
                |e, _| e.is_active = false,
                "not open on extended (not active)",
            ),
            (|_, l| l.is_reduce_only = true, "reduce-only on lighter"),
            (|_, l| l.symbol = "BTC2".into(), "not listed by lighter"),
            (
                |_, l| l.mark = Some(Price(PRICE.0 * 2)),
                "more than 2 % apart (10000 bps)",
            ),
            (|e, _| e.tick = Price(1), "its tick on extended has changed"),
            (
                |e, _| e.size_min = Size(9),
                "its smallest size on extended has changed",
            ),
            (|_, l| l.size_decimals = 4, "its lot on lighter has changed"),
            (
                |_, l| l.market_id = 7,
                "its market number on lighter has changed",
            ),
            (
                |e, _| e.base_resolution = 10,
                "its settlement asset on extended has changed",
            ),
        ];
        for (turn, why) in cases {
            let change = told(turn).unwrap();
            assert_eq!(
                (change.instrument, change.allowed),
                (InstrumentId(0), false)
            );
            let begins = change.said.starts_with("BTC: no entries from now on: ");
            assert!(
                begins && change.said.contains(why),
                "{} lacks {why}",
                change.said
            );
        }
    }

    #[test]
    fn it_is_told_once_and_taken_back_once() {
        let mut started = started();
        let (ours, theirs) = lists();
        let mut closed = ours.clone();
        closed.markets[1].status = "DISABLED".into();
        assert_eq!(started.compare((&ours, &theirs)), []);
        let news = started.compare((&closed, &theirs));
        assert_eq!(news.len(), 1);
        assert_eq!(started.compare((&closed, &theirs)), []);
        let said = "ETH: entries are allowed again".into();
        let back = Change {
            instrument: InstrumentId(1),
            allowed: true,
            said,
        };
        assert_eq!(started.compare((&ours, &theirs)), [News::Change(back)]);
        // An empty list bars everything.
        let news = started.compare((&listing(Vec::new()), &theirs));
        assert_eq!(news.len(), 2);
    }
}
