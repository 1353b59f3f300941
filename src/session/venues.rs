//! Reads both venues over REST and readies each venue's parts of the plant.
//!
//! Promises: grids, ids and fees come from the venues, never from defaults; the keys are proved to
//! belong to the accounts, and to sign well here, before any thread starts. Refuses: a market that
//! only one venue lists, is not open for trading, or has a grid we can't hold.

use crate::config::{Config, ExtendedAccount, LighterAccount, LighterKey, Mode};
use crate::market::units::{Bps, Nanos, Notional, SECOND};
use crate::market::{Market, Venue};
use crate::net::{Connection, ConnectionLimits, Endpoint, Protocol, TlsClient};
use crate::selftest;
use crate::session::left_out::LeftOut;
use crate::session::plant::{Blueprint, ExtendedKind, LighterKind, VenueParts};
use crate::session::refresh::{Standing, Started};
use crate::session::table::{Listed, ShortLeverage, Table};
use crate::session::watching::Gate;
use crate::session::{SessionError, limits, paper};
use crate::stage::clock::Clock;
use crate::topology::Plan;
use crate::venue::extended::REQUESTS_PER_MINUTE_DEFAULT;
use crate::venue::extended::account::{ExtendedRest, Fees, Leverage, MarketInfo};
use crate::venue::extended::feed::ExtendedFeed;
use crate::venue::extended::orders::{ExtendedOrders, OrdersSettings};
use crate::venue::extended::sign::StarkKey;
use crate::venue::extended::sign::hash::Chain;
use crate::venue::lighter::account::{LighterRest, Limits as LighterLimits, MarketRow};
use crate::venue::lighter::feed::LighterFeed;
use crate::venue::lighter::orders::{ApiKey, LighterOrders, Setup};
use crate::venue::lighter::sign::token::AuthToken;
use crate::venue::lighter::sign::{NonceSource, PrivateKey};
use crate::venue::{LaneProtocol, LaneSpec, Listing};
use crate::venue::{extended, lighter};

/// All that was read before the start.
pub struct Ready {
    /// What the plant is built from.
    pub blueprint: Blueprint,
    /// Markets that are not traded, and why.
    pub left_out: Vec<LeftOut>,
    /// What later lists are compared with.
    pub started: Started,
}

/// Reads and checks everything there is to know before the start.
pub fn read(config: &Config, plan: Plan, clock: Clock) -> Result<Ready, SessionError> {
    let pem = config.extra_root_pem.as_deref();
    let tls = TlsClient::new(pem)
        .map_err(|_| venue("TLS_CA_FILE holds no certificate that can be used".into()))?;
    let extended = ExtendedSide::read(config)?;
    let lighter = LighterSide::read(config, clock.now())?;
    let listed = Listed {
        extended: &extended.markets,
        fees: &extended.fees,
        lighter: &lighter.markets,
        lighter_fees: lighter.fees(),
    };
    let table = listed
        .join(&config.markets)
        .map_err(SessionError::NoInstruments)?;
    let run = run_number(clock.now());
    extended.check_leverage(&table, config.limits.position_max)?;
    lighter.check_margin(&table)?;
    let standing = Standing {
        match_delay_ns: config.limits.match_delay_ns,
        lighter_delay_ms: lighter
            .limits
            .as_ref()
            .and_then(LighterLimits::taker_delay_ms),
        orders_per_minute: config.limits.orders_per_minute,
        lighter_sends: lighter
            .limits
            .as_ref()
            .and_then(LighterLimits::sends_per_minute),
    };
    let started = Started::new(&table, standing);
    let blueprint = Blueprint {
        extended: extended.parts(config, &tls, &table, clock.now())?,
        lighter: lighter.parts(config, &tls, &table, clock.now())?,
        instruments: table.instruments,
        limits: limits::of(config),
        paper: config.is_paper().then_some(config.paper_equity),
        run,
        plan,
        real_time: config.machine.real_time,
    };
    Ok(Ready {
        blueprint,
        left_out: table.left_out,
        started,
    })
}

pub(super) fn venue(why: String) -> SessionError {
    SessionError::Venue(why)
}

/// Sixteen bits that differ between runs a second apart for the next eighteen hours; never zero.
fn run_number(now: Nanos) -> u16 {
    ((now.epoch_ms() / 1000) as u16).max(1)
}

/// A key that belongs to the account and does not sign well here: the build or the machine is at
/// fault, and nothing may be sent.
fn unproven(name: &str, why: &str) -> SessionError {
    venue(format!(
        "{name}: signatures made on this host are not good ({why}); run `parallax selftest`"
    ))
}

/// Orders leave this process only in live mode, with an account.
pub(super) fn is_trading(config: &Config) -> bool {
    config.mode == Mode::Live
}

/// What Extended says before the start.
struct ExtendedSide<'a> {
    markets: Listing<MarketInfo>,
    fees: Vec<Fees>,
    leverages: Vec<Leverage>,
    account: Option<(&'a ExtendedAccount, StarkKey)>,
}

impl ExtendedSide<'_> {
    fn read(config: &Config) -> Result<ExtendedSide<'_>, SessionError> {
        let account = config
            .extended
            .account
            .as_ref()
            .filter(|_| is_trading(config));
        let api_key = account.map_or("", |account| account.api_key.expose());
        let base = config.extended.base.as_str();
        let fault = |error| venue(format!("{error} ({base})"));
        let rest =
            ExtendedRest::new(base, api_key, config.extra_root_pem.as_deref()).map_err(fault)?;
        let markets = rest.markets().map_err(fault)?;
        let Some(account) = account else {
            return Ok(ExtendedSide {
                markets,
                fees: Vec::new(),
                leverages: Vec::new(),
                account: None,
            });
        };
        let info = rest.account_info().map_err(fault)?;
        let key = stark_key(account)?;
        if info.public_key != Some(key.public_key()) {
            return Err(venue(
                "Extended: EXTENDED_PRIVATE_KEY does not belong to the account of \
                 EXTENDED_API_KEY: its public key differs from the one the venue has"
                    .into(),
            ));
        }
        if info.vault != account.vault {
            let (ours, theirs) = (account.vault, info.vault);
            return Err(venue(format!(
                "Extended: EXTENDED_VAULT is {ours}, the account's is {theirs}"
            )));
        }
        selftest::prove_extended(&key).map_err(|why| unproven("Extended", &why))?;
        let fees = rest.fees(&[]).map_err(fault)?;
        let leverages = rest.leverages().map_err(fault)?;
        Ok(ExtendedSide {
            markets,
            fees,
            leverages,
            account: Some((account, key)),
        })
    }

    fn check_leverage(&self, table: &Table, most: Notional) -> Result<(), SessionError> {
        let short = table.short_leverages(&self.markets.markets, &self.leverages, most);
        match short.first() {
            Some(short) => Err(venue(format!("Extended: {short}: {}", ShortLeverage::FIX))),
            None => Ok(()),
        }
    }

    fn parts(
        self,
        config: &Config,
        tls: &TlsClient,
        table: &Table,
        now: Nanos,
    ) -> Result<VenueParts<ExtendedKind>, SessionError> {
        let feed = ExtendedFeed::new(&table.markets(Venue::Extended));
        let stream = config.extended.stream.as_str();
        let feed_lanes = dial_plan(stream, 0, feed.lanes(), tls)?;
        let Some((account, key)) = self.account else {
            let (orders, maker) = match config.is_paper() {
                true => {
                    let (paper, maker) = paper::extended(config, &table.extended, now)?;
                    (Gate::Paper(paper), Some(maker))
                }
                false => (Gate::Watching, None),
            };
            // Without a connection nothing can leave.
            return Ok(VenueParts {
                feed,
                feed_lanes,
                orders,
                order_lanes: vec![],
                maker,
            });
        };
        let maker = Some(extended::sign::PointMaker::new(&key));
        let settings = OrdersSettings {
            order_url: config.extended.order.as_str(),
            api_key: account.api_key.expose(),
            key,
            chain: match config.extended.chain {
                crate::config::StarknetChain::Main => Chain::Main,
                crate::config::StarknetChain::Sepolia => Chain::Sepolia,
            },
            vault: account.vault,
            markets: &table.extended,
            http_lanes: config.extended.order_lanes,
            requests_per_minute: REQUESTS_PER_MINUTE_DEFAULT,
            dead_mans_switch_s: config.extended.dead_mans_switch_s,
        };
        let orders = ExtendedOrders::new(settings)
            .map_err(|error| venue(format!("Extended: orders can't be set up: {error:?}")))?
            .with_ladder(config.extended.ready_orders_ns);
        // The account stream comes first, then the requests' connections on their own host.
        let mut streams = orders.lanes();
        let http = streams.split_off(1);
        let mut order_lanes = dial_plan(stream, 0, streams, tls)?;
        order_lanes.extend(dial_plan(config.extended.order.as_str(), 1, http, tls)?);
        Ok(VenueParts {
            feed,
            feed_lanes,
            orders: Gate::Trading(orders),
            order_lanes,
            maker,
        })
    }
}

fn stark_key(account: &ExtendedAccount) -> Result<StarkKey, SessionError> {
    StarkKey::parse_hex(account.private_key.to_hex().expose())
        .map_err(|error| venue(format!("EXTENDED_PRIVATE_KEY can't be used: {error:?}")))
}

/// What Lighter says before the start.
struct LighterSide<'a> {
    markets: Listing<MarketRow>,
    limits: Option<LighterLimits>,
    keys: Vec<ApiKey>,
    nonces: Vec<(u8, u64)>,
    /// Markets that the account has set to isolated margin.
    isolated: Vec<u32>,
    account: Option<&'a LighterAccount>,
}

impl LighterSide<'_> {
    fn read(config: &Config, now: Nanos) -> Result<LighterSide<'_>, SessionError> {
        let account = config
            .lighter
            .account
            .as_ref()
            .filter(|_| is_trading(config));
        let base = config.lighter.base.as_str();
        let fault = |error| venue(format!("{error} ({base})"));
        let rest = LighterRest::new(base, config.extra_root_pem.as_deref()).map_err(fault)?;
        let markets = rest.markets().map_err(fault)?;
        let Some(account) = account else {
            return Ok(LighterSide {
                markets,
                limits: None,
                keys: Vec::new(),
                nonces: Vec::new(),
                isolated: Vec::new(),
                account: None,
            });
        };
        let (mut keys, mut nonces) = (Vec::new(), Vec::new());
        for key in &account.keys {
            let private = lighter_key(key)?;
            if !rest
                .has_key(account.index, key.index, &private.public_key())
                .map_err(fault)?
            {
                let (slot, index) = (key.index, account.index);
                return Err(venue(format!(
                    "Lighter: LIGHTER_API_KEYS: the key for slot {slot} is not the one that \
                     account {index} has there"
                )));
            }
            selftest::prove_lighter(&private).map_err(|why| unproven("Lighter", &why))?;
            let nonce = rest.next_nonce(account.index, key.index).map_err(fault)?;
            nonces.push((key.index, nonce));
            let index = key.index;
            keys.push(ApiKey { index, private });
        }
        let token = first_token(account.index, &keys, now)?;
        let limits = rest.limits(account.index, &token).map_err(fault)?;
        let isolated = rest.account(account.index).map_err(fault)?.isolated;
        Ok(LighterSide {
            markets,
            limits: Some(limits),
            keys,
            nonces,
            isolated,
            account: Some(account),
        })
    }

    /// Taker and maker fee, bps; a standard account's when there is no account.
    fn fees(&self) -> (Bps, Bps) {
        self.limits.as_ref().map_or((Bps::ZERO, Bps::ZERO), fees_of)
    }

    /// The engine holds the whole notional of a pair in free margin of the whole account, on both
    /// venues, so that any leverage will do. What it can't do is to stand by a market whose margin
    /// stands for itself: a leg there may be liquidated beside a full account. Extended knows no
    /// such mode.
    fn check_margin(&self, table: &Table) -> Result<(), SessionError> {
        let markets = table.markets(Venue::Lighter);
        let mut isolated = markets.iter();
        let is_isolated = |market: &&Market| self.isolated.contains(&market.venue_market);
        isolated.find(is_isolated).map_or(Ok(()), |market| {
            Err(venue(format!(
                "Lighter: {} is set to isolated margin, and a leg there could be liquidated \
                 beside a full account: set it to cross at the venue (with no position and no \
                 order open there), or leave it out of MARKETS",
                market.name
            )))
        })
    }

    fn parts(
        self,
        config: &Config,
        tls: &TlsClient,
        table: &Table,
        now: Nanos,
    ) -> Result<VenueParts<LighterKind>, SessionError> {
        let markets = table.markets(Venue::Lighter);
        let feed = LighterFeed::paced(&markets, config.lighter.messages_per_minute);
        let ws = config.lighter.ws.as_str();
        let feed_lanes = dial_plan(ws, 0, feed.lanes(), tls)?;
        let Some(account) = self.account else {
            let (orders, maker) = match config.is_paper() {
                true => {
                    let (paper, maker) = paper::lighter(config, &markets, now)?;
                    (Gate::Paper(paper), Some(maker))
                }
                false => (Gate::Watching, None),
            };
            // Without a connection nothing can leave.
            return Ok(VenueParts {
                feed,
                feed_lanes,
                orders,
                order_lanes: vec![],
                maker,
            });
        };
        let maker = self
            .keys
            .first()
            .map(|key| lighter::sign::PointMaker::new(&key.private));
        let setup = Setup {
            account_index: account.index,
            chain_id: u64::from(config.lighter.chain_id),
            keys: self.keys,
            rest_url: config.lighter.base.as_str().to_string(),
            sends_per_minute: config.limits.orders_per_minute[Venue::Lighter.idx()],
            dead_mans_switch_s: config.lighter.dead_mans_switch_s,
        };
        let mut orders = LighterOrders::new(setup, &markets)
            .map_err(|error| venue(format!("Lighter: orders can't be set up: {error:?}")))?;
        self.nonces
            .iter()
            .for_each(|(slot, nonce)| orders.set_nonce(*slot, *nonce));
        let mut order_lanes = dial_plan(ws, 0, lighter::order_lanes(), tls)?;
        let rest_url = config.lighter.base.as_str();
        order_lanes.extend(dial_plan(
            rest_url,
            order_lanes.len(),
            vec![lighter::rest_lane()],
            tls,
        )?);
        Ok(VenueParts {
            feed,
            feed_lanes,
            orders: Gate::Trading(orders),
            order_lanes,
            maker,
        })
    }
}

/// Taker and maker fee of a Lighter account, bps: 10^-6 of notional is a hundredth of one.
pub(super) fn fees_of(limits: &LighterLimits) -> (Bps, Bps) {
    let bps = |e6: u32| Bps::from_milli(i64::from(e6) * 10);
    (bps(limits.taker_fee_e6), bps(limits.maker_fee_e6))
}

pub(super) fn lighter_key(key: &LighterKey) -> Result<PrivateKey, SessionError> {
    PrivateKey::parse_hex(key.private_key.to_hex().expose()).map_err(|error| {
        venue(format!(
            "LIGHTER_API_KEYS: the key for slot {} can't be used: {error:?}",
            key.index
        ))
    })
}

/// A token for reads over REST, good for ten minutes.
pub(super) fn first_token(
    account_index: u64,
    keys: &[ApiKey],
    now: Nanos,
) -> Result<AuthToken, SessionError> {
    let key = keys
        .first()
        .ok_or_else(|| venue("LIGHTER_API_KEYS is empty".into()))?;
    let deadline_s = now.plus(600 * SECOND).epoch_ms() / 1000;
    let mut source = NonceSource::new();
    AuthToken::sign(
        &key.private,
        deadline_s,
        account_index,
        key.index,
        &mut source,
    )
    .map_err(|_| venue("the operating system gives no random numbers".into()))
}

/// Shortest time from one dial of a lane to its next. Extended's firewall blocks clients that come
/// back faster (a third party's report); Lighter allows 60 new connections a minute and address.
const REDIAL_NS_MIN: u64 = 5 * SECOND;

/// Connections for the lanes a venue listed, numbered from `first`.
pub(super) fn dial_plan(
    base_url: &str,
    first: usize,
    lanes: Vec<LaneSpec>,
    tls: &TlsClient,
) -> Result<Vec<Connection>, SessionError> {
    let dial = |(at, lane): (usize, LaneSpec)| {
        let protocol = match lane.protocol {
            LaneProtocol::WebSocket => Protocol::WebSocket,
            LaneProtocol::Http => Protocol::Http,
        };
        let endpoint = Endpoint::parse(base_url, &lane.path, lane.headers, protocol)
            .map_err(|error| venue(format!("{base_url} can't be dialled: {error}")))?;
        let token = first + at;
        let limits = ConnectionLimits {
            redial_ns_min: REDIAL_NS_MIN,
            ..ConnectionLimits::default()
        };
        let mut connection = Connection::new(endpoint, token, tls, limits, token as u64);
        if lane.is_spare {
            connection.sleep();
        }
        Ok(connection)
    };
    lanes.into_iter().enumerate().map(dial).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Markets;
    use crate::market::units::SCALE;
    use crate::session::tests_rows::{listing, market, row};

    #[test]
    fn row_34_a_market_with_isolated_margin_is_refused_by_its_name() {
        let ours = listing(["BTC", "ETH"].map(market).to_vec());
        let theirs = listing(vec![row("ETH", 0), row("BTC", 1)]);
        let listed = Listed {
            extended: &ours,
            fees: &[],
            lighter: &theirs,
            lighter_fees: (Bps::ZERO, Bps::ZERO),
        };
        let table = listed.join(&Markets::All).unwrap();
        let refused = |isolated: &[u32]| {
            let side = LighterSide {
                markets: theirs.clone(),
                limits: None,
                keys: Vec::new(),
                nonces: Vec::new(),
                isolated: isolated.to_vec(),
                account: None,
            };
            side.check_margin(&table)
                .err()
                .map(|error| error.to_string())
        };
        // Market 7 is not traded here.
        assert_eq!(refused(&[7]), None);
        let why = refused(&[7, 0]).unwrap();
        assert!(
            why.contains("Lighter: ETH is set to isolated margin"),
            "{why}"
        );
    }

    #[test]
    fn row_34_a_leverage_that_does_not_carry_the_largest_position_is_refused() {
        let mut btc = market("BTC");
        // 50-fold up to 4,000 USD, 25-fold up to 8,000.
        let margins = [(4_000, 20_000_000), (8_000, 40_000_000)];
        btc.margins = margins
            .map(|(usd, e9)| (Notional::from_usd(usd), e9))
            .into();
        let (ours, theirs) = (listing(vec![btc]), listing(vec![row("BTC", 1)]));
        let listed = Listed {
            extended: &ours,
            fees: &[],
            lighter: &theirs,
            lighter_fees: (Bps::ZERO, Bps::ZERO),
        };
        let table = listed.join(&Markets::All).unwrap();
        let refused = |market: &str, leverage: i64, most: i64| {
            let side = ExtendedSide {
                markets: ours.clone(),
                fees: Vec::new(),
                leverages: vec![Leverage {
                    market: market.into(),
                    ratio: leverage * SCALE,
                }],
                account: None,
            };
            let checked = side.check_leverage(&table, Notional::from_usd(most));
            checked.err().map(|error| error.to_string())
        };
        for (leverage, most) in [(50, 4_000), (26, 4_000), (25, 8_000), (1, 8_000)] {
            assert_eq!(refused("BTC-USD", leverage, most), None);
        }
        assert_eq!(refused("ETH-USD", 50, 8_000), None, "not traded here");
        let why = refused("BTC-USD", 26, 4_001).unwrap();
        for part in [
            "BTC-USD",
            "leverage of 26",
            "up to 4000.00 USD",
            "MAX_POSITION_SIZE_USD (4001.00)",
        ] {
            assert!(why.contains(part), "{why}");
        }
        assert!(refused("BTC-USD", 51, 1).is_some());
        // What carries it: no more than the first row that is large enough allows.
        for (most, fitting) in [(4_000, Some(50)), (4_001, Some(25)), (8_001, None)] {
            let most = Notional::from_usd(most);
            assert_eq!(ours.markets[0].leverage_for(most), fitting);
        }
    }
}
