//! Reads both venues' market lists and the account's tier again while the plant runs, and says what
//! has changed. Cold.
//!
//! Promises: fees, Lighter's delay and its orders a minute are what the tier makes them, these up
//! to the setting. An instrument whose market has
//! closed, became reduce-only, has another grid or another number, or that the market map would not
//! pair any more, is not entered from then on; it is again when that is over. Exits are left alone.
//! Refuses: giving a new grid to a running plant, and deciding anything on a list that could not be
//! read.

use crate::config::{Config, Markets};
use crate::market::event::{Control, Terms};
use crate::market::units::{Bps, MS};
use crate::market::{Instrument, Market, VENUE_COUNT, VENUES, Venue};
use crate::session::SessionError;
use crate::session::market_map::MarketMap;
use crate::session::table::{Listed, Table};
use crate::session::venues::{fees_of, first_token, is_trading, lighter_key};
use crate::stage::clock::Clock;
use crate::venue::Listing;
use crate::venue::extended::MarketConfig;
use crate::venue::extended::account::{ExtendedRest, Fees, MarketInfo};
use crate::venue::lighter::account::{LighterRest, Limits, MarketRow};
use crate::venue::lighter::orders::ApiKey;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

/// How often the lists are read. Larger: a change is noticed later (the venue refuses our orders
/// meanwhile). Smaller: a list of all markets, some 2 MiB, more often, against the read budget.
const READ_EVERY: Duration = Duration::from_secs(600);

/// What a reading brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// The scanner is to know this; and one sentence for people, empty where it was said already.
    Change(Control, String),
    /// A list could not be read: whose, and why. What was known holds.
    Unread(String),
}

/// What the account's tier makes of its orders.
struct Tier {
    extended: Vec<Fees>,
    lighter: Limits,
}

/// The thread that reads. It ends by itself when this is dropped, after the request it is in.
pub struct Refresh {
    /// What it found.
    pub news: Receiver<News>,
    _until_dropped: Sender<()>,
}

impl Refresh {
    /// Starts the thread. It is not pinned and shares no thread with a stage.
    pub fn start(config: &Config, started: Started, clock: Clock) -> Result<Refresh, SessionError> {
        let reader = Reader::new(config, clock)?;
        let (tell, news) = channel();
        let (until_dropped, dropped) = channel::<()>();
        let read = move || {
            let mut started = started;
            while let Err(RecvTimeoutError::Timeout) = dropped.recv_timeout(READ_EVERY) {
                let found = reader.read(&mut started);
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

/// Both venues over REST, and whose account it is where orders are sent.
struct Reader {
    extended: ExtendedRest,
    lighter: LighterRest,
    account: Option<(u64, [ApiKey; 1])>,
    clock: Clock,
}

impl Reader {
    fn new(config: &Config, clock: Clock) -> Result<Reader, SessionError> {
        let pem = config.extra_root_pem.as_deref();
        let ours = config.extended.account.as_ref();
        let theirs = config.lighter.account.as_ref();
        let accounts = ours.zip(theirs).filter(|_| is_trading(config));
        let api_key = accounts.map_or("", |(ours, _)| ours.api_key.expose());
        let account = match accounts.and_then(|(_, theirs)| Some((theirs, theirs.keys.first()?))) {
            None => None,
            Some((theirs, key)) => {
                let (index, private) = (key.index, lighter_key(key)?);
                Some((theirs.index, [ApiKey { index, private }]))
            }
        };
        Ok(Reader {
            extended: ExtendedRest::new(config.extended.base.as_str(), api_key, pem)
                .map_err(|error| SessionError::Venue(error.to_string()))?,
            lighter: LighterRest::new(config.lighter.base.as_str(), pem)
                .map_err(|error| SessionError::Venue(error.to_string()))?,
            account,
            clock,
        })
    }

    /// Everything once.
    fn read(&self, started: &mut Started) -> Vec<News> {
        let (extended, lighter) = match (self.extended.markets(), self.lighter.markets()) {
            (Ok(extended), Ok(lighter)) => (extended, lighter),
            (Err(error), _) => return vec![News::Unread(error.to_string())],
            (_, Err(error)) => return vec![News::Unread(error.to_string())],
        };
        match self.tier() {
            Ok(tier) => started.compare((&extended, &lighter), tier.as_ref()),
            Err(why) => {
                let mut news = started.compare((&extended, &lighter), None);
                news.push(News::Unread(why));
                news
            }
        }
    }

    /// The tier; `None` without an account.
    fn tier(&self) -> Result<Option<Tier>, String> {
        let Some((index, keys)) = &self.account else {
            return Ok(None);
        };
        let token = first_token(*index, keys, self.clock.now()).map_err(|e| e.to_string())?;
        Ok(Some(Tier {
            extended: self.extended.fees(&[]).map_err(|e| e.to_string())?,
            lighter: self
                .lighter
                .limits(*index, &token)
                .map_err(|e| e.to_string())?,
        }))
    }
}

/// What the engine reckons with from the start.
#[derive(Clone, Copy)]
pub struct Standing {
    /// Time to a match as configured, by venue; it holds for the tier of the start.
    pub match_delay_ns: [u64; VENUE_COUNT],
    /// Lighter's documented delay of that tier.
    pub lighter_delay_ms: Option<u64>,
    /// Orders a minute as configured, by venue.
    pub orders_per_minute: [u32; VENUE_COUNT],
    /// Lighter's documented transactions a minute of that tier.
    pub lighter_sends: Option<u32>,
}

/// What the plant was built on, which of its instruments are barred by now, and what is known of
/// the account's terms.
pub struct Started {
    markets: Markets,
    instruments: Vec<Instrument>,
    extended: Vec<MarketConfig>,
    is_barred: Vec<bool>,
    standing: Standing,
    /// By instrument and venue, as last told.
    terms: Vec<[Terms; VENUE_COUNT]>,
}

impl Started {
    /// From the table of the start.
    pub fn new(table: &Table, standing: Standing) -> Started {
        let names = table.instruments.iter().map(|instrument| instrument.name);
        let terms = |instrument: &Instrument| {
            let market = |venue: Venue| &instrument.markets[venue.idx()];
            VENUES.map(|venue| {
                let pace = (
                    standing.match_delay_ns[venue.idx()],
                    standing.orders_per_minute[venue.idx()],
                );
                terms(market(venue), pace)
            })
        };
        Started {
            markets: Markets::Only(names.collect()),
            instruments: table.instruments.clone(),
            extended: table.extended.clone(),
            is_barred: vec![false; table.instruments.len()],
            standing,
            terms: table.instruments.iter().map(terms).collect(),
        }
    }

    /// What these lists change. Each instrument is told of when it becomes barred and when it no
    /// longer is, not in between.
    fn compare(
        &mut self,
        lists: (&Listing<MarketInfo>, &Listing<MarketRow>),
        tier: Option<&Tier>,
    ) -> Vec<News> {
        let listed = Listed {
            extended: lists.0,
            fees: tier.map_or(&[], |tier| &tier.extended),
            lighter: lists.1,
            lighter_fees: tier.map_or((Bps::ZERO, Bps::ZERO), |tier| fees_of(&tier.lighter)),
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
            let dearer = || tier.and_then(|_| self.dearer(idx, &table));
            let why = unpaired
                .or_else(|| self.renumbered(idx, &table))
                .or_else(dearer);
            if why.is_some() == self.is_barred[idx] {
                continue;
            }
            self.is_barred[idx] = why.is_some();
            let Instrument { id, name, .. } = self.instruments[idx];
            let word = Control::Entries {
                instrument: id,
                allowed: why.is_none(),
            };
            let said = match why {
                Some(why) => format!("{name}: no entries from now on: {why}"),
                None => format!("{name}: entries are allowed again"),
            };
            news.push(News::Change(word, said));
        }
        self.compare_open_interest(&table, &mut news);
        if let Some(tier) = tier {
            self.compare_terms(&table, tier, &mut news);
        }
        news
    }

    /// What has become of open-interest limits, where a venue states any. Extended tells of them in
    /// its list alone.
    fn compare_open_interest(&mut self, now: &Table, news: &mut Vec<News>) {
        for found in &now.instruments {
            let mut known = self.instruments.iter_mut();
            let Some(known) = known.find(|known| known.name == found.name) else {
                continue;
            };
            for venue in VENUES {
                let left = found.markets[venue.idx()].bounds.open_interest_left;
                let bounds = &mut known.markets[venue.idx()].bounds;
                if std::mem::replace(&mut bounds.open_interest_left, left) != left {
                    let word = Control::OpenInterest {
                        instrument: known.id,
                        venue,
                        left,
                    };
                    news.push(News::Change(word, String::new()));
                }
            }
        }
    }

    /// What has become of fees and delays. A tier changes them on every market at once: it is said
    /// of the first.
    fn compare_terms(&mut self, now: &Table, tier: &Tier, news: &mut Vec<News>) {
        let paces = VENUES.map(|venue| {
            let delay_ns = self.match_delay_ns(venue, &tier.lighter);
            (delay_ns, self.orders_per_minute(venue, &tier.lighter))
        });
        let mut is_said = [false; VENUE_COUNT];
        for instrument in &now.instruments {
            let same = |then: &Instrument| then.name == instrument.name;
            let Some(at) = self.instruments.iter().position(same) else {
                continue;
            };
            for venue in VENUES {
                let side = venue.idx();
                let mut found = terms(&instrument.markets[side], paces[side]);
                found.instrument = self.instruments[at].id;
                if std::mem::replace(&mut self.terms[at][side], found) == found {
                    continue;
                }
                let is_first = !std::mem::replace(&mut is_said[side], true);
                let said = || {
                    let (fee, ms) = (found.fee_taker.to_f64(), found.match_delay_ns / MS);
                    let (place, orders) = (venue.name(), found.orders_per_minute);
                    format!(
                        "{place}: the account's tier has changed: taker {fee:.2} bps, {ms} ms, \
                         {orders} orders a minute"
                    )
                };
                let said = if is_first { said() } else { String::new() };
                news.push(News::Change(Control::Terms(found), said));
            }
        }
    }

    /// Time to a match: as configured for the tier of the start, and by as much longer or shorter
    /// as the venue documents of the tier of now.
    fn match_delay_ns(&self, venue: Venue, lighter: &Limits) -> u64 {
        let configured = self.standing.match_delay_ns[venue.idx()];
        let documented = self.standing.lighter_delay_ms.zip(lighter.taker_delay_ms());
        match (venue, documented) {
            (Venue::Lighter, Some((then, now))) => {
                (configured + now * MS).saturating_sub(then * MS)
            }
            (Venue::Lighter, None) | (Venue::Extended, _) => configured,
        }
    }

    /// Orders a minute: as configured for the tier of the start, and as much fewer as the venue
    /// documents of the tier of now. More than configured are never sent.
    fn orders_per_minute(&self, venue: Venue, lighter: &Limits) -> u32 {
        let configured = self.standing.orders_per_minute[venue.idx()];
        let documented = self.standing.lighter_sends.zip(lighter.sends_per_minute());
        match (venue, documented) {
            (Venue::Lighter, Some((then, now))) if now < then => {
                let share = u64::from(configured) * u64::from(now) / u64::from(then);
                (share as u32).max(1)
            }
            (Venue::Lighter | Venue::Extended, _) => configured,
        }
    }

    /// Extended's orders are signed with the highest fee that may be taken, that of the start.
    fn dearer(&self, idx: usize, now: &Table) -> Option<String> {
        let then = &self.extended[idx];
        let same = |other: &&MarketConfig| other.market.name == then.market.name;
        let is_dearer = now.extended.iter().find(same)?.fee_rate_taker > then.fee_rate_taker;
        let said = "its fee on extended is above what its orders are signed for; start again to \
                    trade it";
        is_dearer.then(|| said.to_owned())
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

/// What a market's row, a delay and orders a minute come to.
fn terms(market: &Market, (match_delay_ns, orders_per_minute): (u64, u32)) -> Terms {
    Terms {
        instrument: market.instrument,
        venue: market.venue,
        fee_taker: market.fee_taker,
        fee_maker: market.fee_maker,
        match_delay_ns,
        orders_per_minute,
    }
}

/// The first number of a market that is no longer what it was. Fees are the account's: they may
/// change.
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
    use crate::market::InstrumentId;
    use crate::market::units::{Notional, Price, Size};
    use crate::session::tests_rows::{PRICE, listing, market, row};

    fn started() -> Started {
        started_at(60)
    }

    /// With the documented transactions a minute of the tier at the start.
    fn started_at(lighter_sends: u32) -> Started {
        let (ours, theirs) = lists();
        let listed = Listed {
            extended: &ours,
            fees: &[],
            lighter: &theirs,
            lighter_fees: (Bps::from_milli(2_800), Bps::ZERO),
        };
        let standing = Standing {
            match_delay_ns: [10 * MS, 360 * MS],
            lighter_delay_ms: Some(300),
            orders_per_minute: [800, 2_000],
            lighter_sends: Some(lighter_sends),
        };
        Started::new(&listed.join(&Markets::All).unwrap(), standing)
    }

    fn lists() -> (Listing<MarketInfo>, Listing<MarketRow>) {
        let ours = listing(["BTC", "ETH"].map(market).to_vec());
        (ours, listing(vec![row("ETH", 0), row("BTC", 1)]))
    }

    /// What is told when BTC's rows have been changed: the first sentence, and no more than one.
    fn told(change: impl FnOnce(&mut MarketInfo, &mut MarketRow)) -> Option<(Control, String)> {
        let (mut ours, mut theirs) = lists();
        change(&mut ours.markets[0], &mut theirs.markets[1]);
        let mut news = started().compare((&ours, &theirs), None);
        assert!(news.len() < 2, "{news:?}");
        match news.pop() {
            Some(News::Change(word, said)) => Some((word, said)),
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
            let (word, said) = told(turn).unwrap();
            assert_eq!(word, entries(0, false));
            let begins = said.starts_with("BTC: no entries from now on: ");
            assert!(begins && said.contains(why), "{said} lacks {why}");
        }
    }

    #[test]
    fn it_is_told_once_and_taken_back_once() {
        let mut started = started();
        let (ours, theirs) = lists();
        let mut closed = ours.clone();
        closed.markets[1].status = "DISABLED".into();
        assert_eq!(started.compare((&ours, &theirs), None), []);
        let news = started.compare((&closed, &theirs), None);
        assert_eq!(news.len(), 1);
        assert_eq!(started.compare((&closed, &theirs), None), []);
        let said = "ETH: entries are allowed again".to_owned();
        let back = News::Change(entries(1, true), said);
        assert_eq!(started.compare((&ours, &theirs), None), [back]);
        // An empty list bars everything.
        let news = started.compare((&listing(Vec::new()), &theirs), None);
        assert_eq!(news.len(), 2);
    }

    fn entries(instrument: u16, allowed: bool) -> Control {
        Control::Entries {
            instrument: InstrumentId(instrument),
            allowed,
        }
    }

    fn tier(name: &str, taker_fee_e6: u32, extended_rate: i64) -> Tier {
        let fees = |market: &str| Fees {
            market: market.to_owned(),
            maker_rate: 0,
            taker_rate: extended_rate,
        };
        Tier {
            extended: ["BTC-USD", "ETH-USD"].map(fees).to_vec(),
            lighter: Limits {
                tier: name.to_owned(),
                taker_fee_e6,
                maker_fee_e6: 0,
            },
        }
    }

    #[test]
    fn row_55_another_tier_is_told_of_every_market_once() {
        let mut started = started();
        let (ours, theirs) = lists();
        let mut told = |name: &str, fee_e6| {
            let tier = tier(name, fee_e6, 250_000);
            let news = started.compare((&ours, &theirs), Some(&tier));
            let line = |news: News| match news {
                News::Change(Control::Terms(t), said) => {
                    let fee = (t.fee_taker.to_f64() * 100.0).round() as u32;
                    (t.instrument.0, t.venue, fee, t.match_delay_ns / MS, said)
                }
                other => panic!("{other:?}"),
            };
            news.into_iter().map(line).collect::<Vec<_>>()
        };
        // The start's 2.8 bps belong to 300 ms in this test; all that counts is the difference.
        assert_eq!(told("standard", 280), []);
        let changed = told("premium", 196);
        let lines = changed.iter().map(|l| (l.0, l.1, l.2, l.3));
        let expected = [0, 1].map(|at| (at, Venue::Lighter, 196, 200));
        assert_eq!(lines.collect::<Vec<_>>(), expected);
        assert!(changed[0].4.contains("the account's tier has changed"));
        assert_eq!(changed[1].4, "", "said once");
        assert_eq!(told("premium", 196), []);
        // A stake that the table does not know: the fee is known, the delay stays configured.
        let unknown = told("premium", 111);
        assert_eq!((unknown[0].2, unknown[0].3), (111, 360));
        assert_eq!(told("standard", 0)[0].3, 360);
    }

    #[test]
    fn row_55_a_tier_with_fewer_transactions_slows_the_orders_down() {
        let mut started = started_at(4_000);
        let (ours, theirs) = lists();
        let mut told = |name: &str, fee_e6| {
            let tier = tier(name, fee_e6, 250_000);
            let news = started.compare((&ours, &theirs), Some(&tier));
            let pace = |news: &News| match news {
                News::Change(Control::Terms(t), _) => (t.venue, t.orders_per_minute),
                other => panic!("{other:?}"),
            };
            pace(&news[0])
        };
        // Half of the venue's 4,000 were configured, so half of its 60 are left; more than
        // configured are none.
        assert_eq!(told("premium", 196), (Venue::Lighter, 2_000));
        assert_eq!(told("standard", 0), (Venue::Lighter, 30));
        assert_eq!(told("premium", 280), (Venue::Lighter, 2_000));
    }

    #[test]
    fn row_55_a_fee_above_the_signed_one_bars_entries_on_extended() {
        let mut started = started();
        let (ours, theirs) = lists();
        let mut news = |rate| {
            let tier = tier("standard", 280, rate);
            started.compare((&ours, &theirs), Some(&tier))
        };
        let dearer = news(300_000);
        assert!(
            matches!(&dearer[0], News::Change(word, said)
                if *word == entries(0, false) && said.contains("signed for")),
            "{dearer:?}"
        );
        // And the fee itself, which exits pay.
        assert_eq!(dearer.len(), 4);
        let back = news(200_000);
        assert!(matches!(&back[0], News::Change(word, _) if *word == entries(0, true)));
    }
}
