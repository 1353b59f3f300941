//! The real engine as a run builds it: two feeds, the scanner, two gateways, their links, one seat.
//!
//! What a run reads from the venues before it starts is stated here; what its signers do on a core
//! of their own is done in the pauses, so that two cores are enough.

use crate::books;
use parallax::feed::{self, FeedStage};
use parallax::gateway::{self, Gateway};
use parallax::market::event::{Control, Event, Status};
use parallax::market::foresight::Foresight;
use parallax::market::ranking::Ranked;
use parallax::market::units::{Bps, Notional, Price, SCALE, SECOND, Size};
use parallax::market::{Bounds, Instrument, InstrumentId, Market, Name, VENUES, Venue};
use parallax::net::{Connection, ConnectionLimits, Endpoint, Lanes, Protocol, TlsClient};
use parallax::scanner::arrival::key::{KEYS, Key};
use parallax::scanner::arrival::memory::{Cell, Sums};
use parallax::scanner::arrival::table::Table;
use parallax::scanner::breaker;
use parallax::scanner::edge::Settings;
use parallax::scanner::funding::Hours;
use parallax::scanner::ramp;
use parallax::scanner::risk::{LegOrder, Limits};
use parallax::scanner::{Ends, Scanner};
use parallax::signer::{Ahead, Signer};
use parallax::stage::clock::Clock;
use parallax::stage::halt::Flag;
use parallax::stage::host;
use parallax::stage::link::{Rx, Tx, link};
use parallax::stage::{self, Seat, Stage};
use parallax::topology::{self, Plan};
use parallax::venue::extended::MarketConfig;
use parallax::venue::extended::feed::ExtendedFeed;
use parallax::venue::extended::orders::{ExtendedOrders, OrdersSettings};
use parallax::venue::extended::sign::hash::Chain;
use parallax::venue::extended::sign::{self as stark, Felt, StarkKey};
use parallax::venue::lighter::feed::LighterFeed;
use parallax::venue::lighter::orders::{ApiKey, LighterOrders, Setup};
use parallax::venue::lighter::sign::{self as schnorr, PrivateKey};
use parallax::venue::{LaneProtocol, LaneSpec, lighter};
use std::thread::JoinHandle;
use std::time::Instant;

/// Markets: as many as it takes that an edge on one has been over for 50 ms, as an episode wants,
/// when its turn comes again.
pub const MARKETS: usize = 96;
pub const STARK_KEY: &str = "0x7a7ff6fd3cab02ccdcd4a572563f5976f8976899b03a39773795a3c486d4986";
pub const VAULT: u32 = 10_002;
pub const LIGHTER_KEYS: [(u8, &str); 3] = [
    (
        4,
        "a2d24bb8d2ee2d9bb9b7e3b8d5c3a7a18e1c5e6f708192a3b4c5d6e7f8091a2b3c4d5e6f70819201",
    ),
    (
        5,
        "b1d24bb8d2ee2d9bb9b7e3b8d5c3a7a18e1c5e6f708192a3b4c5d6e7f8091a2b3c4d5e6f70819202",
    ),
    (
        6,
        "c0d24bb8d2ee2d9bb9b7e3b8d5c3a7a18e1c5e6f708192a3b4c5d6e7f8091a2b3c4d5e6f70819203",
    ),
];
pub const LIGHTER_ACCOUNT: u64 = 281_474_976_710_654;
pub const LIGHTER_CHAIN: u64 = 304;
/// Settlement's names and scales, the same for every market.
pub const BASE_ASSET: &str = "0x4254432d3600000000000000000000";
pub const BASE_RESOLUTION: u64 = 1_000_000;
pub const QUOTE_RESOLUTION: u64 = 1_000_000;
/// Highest fee signed, a ratio at 10^-9.
pub const FEE_RATE: i64 = 250_000;
/// Points of a round: all its orders, hedges and exits too.
const POINTS_LEN: usize = 2_048;
/// A ready order lasts a round.
const LADDER_LIFE_NS: u64 = 60 * SECOND;
/// Worst price a first order may take beyond what was seen.
pub const SLIPPAGE_MILLI: i64 = 500;
/// The same of every other order.
pub const HEDGE_BAND_BPS: i32 = 30;

/// How orders are signed in a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signing {
    /// On the spot.
    Full,
    /// With a nonce point made ahead.
    Ahead,
    /// Whole, before it is wanted; where it was not foreseen, as `Ahead`.
    Ready,
}

/// Where the venues are, and where the next Lighter nonces stand.
pub struct Whereabouts<'a> {
    pub extended: String,
    pub lighter: String,
    pub ca_pem: &'a [u8],
    pub nonces: [u64; LIGHTER_KEYS.len()],
}

/// A running engine.
pub struct Engine {
    threads: Vec<JoinHandle<u64>>,
    stop: Flag,
    halt: Flag,
    control: Tx<Control>,
    /// What Extended's gateway is to sign before it is wanted.
    pub foresight: Tx<Foresight>,
    _status: Rx<Status>,
    _board: Rx<Ranked>,
    journal: Vec<Rx<Event>>,
    /// Nanoseconds a point took to make, by venue; 0 where none was made.
    pub refill_ns: [f64; 2],
}

impl Engine {
    /// Builds everything and starts the threads; pools are filled first.
    // Long: the plant is read from the top, link by link, as the session's is.
    pub fn start(site: &Whereabouts<'_>, plan: &Plan, lead: Venue, signing: Signing) -> Engine {
        let clock = Clock::new();
        let (halt, stop) = (Flag::default(), Flag::default());
        let table = instruments();
        let mut journal = Vec::new();
        let mut journal_link = || {
            let (tx, rx) = link("journal", topology::JOURNAL_LEN);
            journal.push(rx);
            tx
        };
        let [d_e, d_l] = [(); 2].map(|()| link("deltas", topology::DELTAS_LEN));
        let [f_e, f_l] = [(); 2].map(|()| link("references", topology::REFERENCES_LEN));
        let [o_e, o_l] = [(); 2].map(|()| link("orders", topology::ORDERS_LEN));
        let [r_e, r_l] = [(); 2].map(|()| link("reports", topology::REPORTS_LEN));
        let (control, control_rx) = link("control", topology::CONTROL_LEN);
        let (status_tx, status) = link("status", topology::STATUS_LEN);
        let (board_tx, board) = link("board", topology::BOARD_LEN);
        let (points_e, points_e_rx) = link("points.extended", POINTS_LEN);
        let (points_l, points_l_rx) = link("points.lighter", POINTS_LEN);
        let (foresight, foresight_rx) = link("foresight.extended", topology::FORESIGHT_LEN);
        let tls = TlsClient::new(Some(site.ca_pem)).expect("our own certificate");
        let ends = Ends {
            deltas: [d_e.1, d_l.1],
            references: [f_e.1, f_l.1],
            reports: [r_e.1, r_l.1],
            orders: [o_e.0, o_l.0],
            control: control_rx,
            status: status_tx,
            board: board_tx,
            journal: journal_link(),
            halt: halt.clone(),
            clock,
        };
        let scanner = Scanner::new(&table, limits(lead), 7, ends).learned(steady());

        let feed = ExtendedFeed::new(&markets(&table, Venue::Extended));
        let feed_lanes = lanes(&site.extended, 0, feed.lanes(), &tls);
        let feed_e = feed::Parts {
            feed,
            lanes: Lanes::new(feed_lanes).expect("a poller"),
            deltas: d_e.0,
            references: f_e.0,
            journal: journal_link(),
            clock,
        };
        let feed = LighterFeed::paced(&markets(&table, Venue::Lighter), 100_000);
        let feed_lanes = lanes(&site.lighter, 0, feed.lanes(), &tls);
        let feed_l = feed::Parts {
            feed,
            lanes: Lanes::new(feed_lanes).expect("a poller"),
            deltas: d_l.0,
            references: f_l.0,
            journal: journal_link(),
            clock,
        };
        let mut orders = extended_room(site, &table);
        let order_lanes = extended_lanes(site, &orders, &tls);
        if signing == Signing::Ready {
            orders = orders.with_ladder(LADDER_LIFE_NS);
        }
        let gateway_e = gateway::Parts {
            orders,
            points: Ahead::new(points_e_rx),
            lanes: Lanes::new(order_lanes).expect("a poller"),
            requests: o_e.1,
            reports: r_e.0,
            journal: journal_link(),
            halt: halt.clone(),
            clock,
        };
        let orders = lighter_room(site, &table);
        let order_lanes = lighter_lanes(site, &tls);
        let gateway_l = gateway::Parts {
            orders,
            points: Ahead::new(points_l_rx),
            lanes: Lanes::new(order_lanes).expect("a poller"),
            requests: o_l.1,
            reports: r_l.0,
            journal: journal_link(),
            halt: halt.clone(),
            clock,
        };
        let stages: [Box<dyn Stage + Send>; 5] = [
            Box::new(FeedStage::new(Venue::Extended, &table, feed_e)),
            Box::new(FeedStage::new(Venue::Lighter, &table, feed_l)),
            Box::new(scanner),
            Box::new(Gateway::new(Venue::Extended, gateway_e).foreseeing(foresight_rx)),
            Box::new(Gateway::new(Venue::Lighter, gateway_l)),
        ];

        let mut refill_ns = [0.0; 2];
        if signing != Signing::Full {
            let maker = stark::PointMaker::new(&stark_key());
            let signer = Signer::new(Venue::Extended, maker, points_e);
            refill_ns[0] = fill(signer, clock);
            let maker = schnorr::PointMaker::new(&lighter_key(LIGHTER_KEYS[0].1));
            let signer = Signer::new(Venue::Lighter, maker, points_l);
            refill_ns[1] = fill(signer, clock);
        }
        // As a run does once its stages have taken their memory; a refusal is noise, not a fault.
        let _ = host::lock_memory();
        let run = |seat| stage::run(seat, clock, stop.clone()).expect("a thread");
        let threads = seats(plan, stages).into_iter().map(run).collect();
        let mut engine = Engine {
            threads,
            stop,
            halt,
            control,
            foresight,
            _status: status,
            _board: board,
            journal,
            refill_ns,
        };
        for idx in 0..MARKETS {
            let (instrument, basis) = (InstrumentId(idx as u16), Bps::ZERO);
            let seed = Control::FairSeed { instrument, basis };
            engine.control.push(seed).expect("there is room");
        }
        engine
    }

    pub fn is_halted(&self) -> bool {
        self.halt.is_raised()
    }

    /// Everything worth keeping since the last call.
    pub fn events(&mut self) -> Vec<Event> {
        let mut events = Vec::new();
        for journal in &mut self.journal {
            while let Some(event) = journal.pop() {
                events.push(event);
            }
        }
        events
    }

    /// Ends the threads.
    pub fn stop(self) {
        self.stop.raise();
        for thread in self.threads {
            thread.join().expect("no stage breaks");
        }
    }
}

/// Fills a pool by hand; gives the nanoseconds a point took.
fn fill(mut signer: impl Stage, clock: Clock) -> f64 {
    let begun = Instant::now();
    signer.start(clock.now());
    begun.elapsed().as_nanos() as f64 / POINTS_LEN as f64
}

/// As `session::plant` seats them.
fn seats(plan: &Plan, stages: [Box<dyn Stage + Send>; 5]) -> Vec<Seat> {
    let mut waiting = stages.map(Some);
    let seat = |planned: &topology::PlannedSeat| Seat {
        name: "stages".to_owned(),
        core: planned.core,
        idle: planned.idle,
        real_time: 0,
        stages: planned
            .stages
            .iter()
            .filter_map(|idx| waiting[*idx].take())
            .collect(),
    };
    plan.seats.iter().map(seat).collect()
}

pub fn stark_key() -> StarkKey {
    StarkKey::parse_hex(STARK_KEY).expect("a key")
}

pub fn lighter_key(hex: &str) -> PrivateKey {
    PrivateKey::parse_hex(hex).expect("a key")
}

/// Extended's room for orders.
pub fn extended_room(site: &Whereabouts<'_>, table: &[Instrument]) -> ExtendedOrders {
    let config = |instrument: &Instrument| MarketConfig {
        market: instrument.markets[Venue::Extended.idx()],
        base_asset: Felt::from_hex(BASE_ASSET).expect("hex"),
        base_resolution: BASE_RESOLUTION,
        quote_asset: Felt::ONE,
        quote_resolution: QUOTE_RESOLUTION,
        fee_rate_taker: FEE_RATE,
    };
    let markets: Vec<MarketConfig> = table.iter().map(config).collect();
    let orders = ExtendedOrders::new(OrdersSettings {
        order_url: &https(&site.extended),
        api_key: "0123456789abcdef0123456789abcdef",
        key: stark_key(),
        chain: Chain::Sepolia,
        vault: VAULT,
        markets: &markets,
        http_lanes: 1,
        requests_per_minute: 100_000_000,
        dead_mans_switch_s: 0,
    });
    orders.expect("the settings are whole")
}

/// Lighter's room for orders, its nonces known.
pub fn lighter_room(site: &Whereabouts<'_>, table: &[Instrument]) -> LighterOrders {
    let key = |(index, hex): &(u8, &str)| ApiKey {
        index: *index,
        private: lighter_key(hex),
    };
    let setup = Setup {
        account_index: LIGHTER_ACCOUNT,
        chain_id: LIGHTER_CHAIN,
        keys: LIGHTER_KEYS.iter().map(key).collect(),
        sends_per_minute: 4_096,
        rest_url: https(&site.lighter),
        dead_mans_switch_s: 0,
    };
    let markets: Vec<Market> = markets(table, Venue::Lighter);
    let mut orders = LighterOrders::new(setup, &markets).expect("the settings are whole");
    for ((index, _), nonce) in LIGHTER_KEYS.iter().zip(site.nonces) {
        orders.set_nonce(*index, nonce);
    }
    orders
}

fn https(url: &str) -> String {
    url.replace("wss://", "https://")
}

fn markets(table: &[Instrument], venue: Venue) -> Vec<Market> {
    table.iter().map(|i| i.markets[venue.idx()]).collect()
}

fn extended_lanes(
    site: &Whereabouts<'_>,
    room: &ExtendedOrders,
    tls: &TlsClient,
) -> Vec<Connection> {
    let mut streams = room.lanes();
    let http = streams.split_off(1);
    let mut all = lanes(&site.extended, 0, streams, tls);
    all.extend(lanes(&https(&site.extended), 1, http, tls));
    all
}

fn lighter_lanes(site: &Whereabouts<'_>, tls: &TlsClient) -> Vec<Connection> {
    let mut all = lanes(&site.lighter, 0, lighter::order_lanes(), tls);
    all.extend(lanes(
        &https(&site.lighter),
        2,
        vec![lighter::rest_lane()],
        tls,
    ));
    all
}

/// Connections to a venue, numbered from `first`.
pub fn lanes(base: &str, first: usize, specs: Vec<LaneSpec>, tls: &TlsClient) -> Vec<Connection> {
    let dial = |(at, spec): (usize, LaneSpec)| {
        let protocol = match spec.protocol {
            LaneProtocol::WebSocket => Protocol::WebSocket,
            LaneProtocol::Http => Protocol::Http,
        };
        let endpoint = Endpoint::parse(base, &spec.path, spec.headers, protocol);
        let token = first + at;
        let limits = ConnectionLimits::default();
        let endpoint = endpoint.expect("a loopback URL");
        let mut made = Connection::new(endpoint, token, tls, limits, token as u64);
        if spec.is_spare {
            made.sleep();
        }
        made
    };
    specs.into_iter().enumerate().map(dial).collect()
}

pub fn instruments() -> Vec<Instrument> {
    let instrument = |idx: usize| {
        let id = InstrumentId(idx as u16);
        let name = Name::new(&books::name(idx)).expect("a short name");
        let market = |venue| Market {
            venue,
            instrument: id,
            name,
            venue_market: books::venue_market(idx),
            tick: Price(SCALE / 10),
            lot: Size(SCALE / 10_000),
            size_min: Size(SCALE / 1_000),
            notional_min: Notional::from_usd(1),
            fee_taker: Bps::ZERO,
            fee_maker: Bps::ZERO,
            bounds: Bounds::default(),
        };
        Instrument {
            id,
            name,
            markets: VENUES.map(market),
        }
    };
    (0..MARKETS).map(instrument).collect()
}

/// Everything may be entered that is 8 bps off; nothing learned on the way stops the next pair.
pub fn limits(lead: Venue) -> Limits {
    let plenty = Notional::from_usd(1_000_000_000);
    Limits {
        gross_min: Bps::whole(8),
        net_min: Bps::whole(-1_000),
        exit_over_fair: Bps::whole(5),
        position_max: Notional::from_usd(100),
        gross_max: plenty,
        slippage: Bps::from_milli(SLIPPAGE_MILLI),
        hedge_band: Bps::whole(HEDGE_BAND_BPS),
        stop: Bps::whole(4_000),
        stale_after_ns: 60 * SECOND,
        cooldown_ns: 0,
        leg_order: match lead {
            Venue::Extended => LegOrder::FastFirst,
            Venue::Lighter => LegOrder::SlowFirst,
        },
        match_delay_ns: [1; 2],
        orders_per_minute: [100_000; 2],
        breaker: breaker::Limits {
            daily_loss_max: plenty,
            drawdown_max: Bps::whole(10_000),
            unwinds_max: u16::MAX,
            misses_max: u16::MAX,
        },
        ramp: ramp::Limits {
            losing_max: u16::MAX,
            ..ramp::Limits::default()
        },
        edge: Settings {
            common_max: Bps::whole(10_000),
            hours: Hours {
                at_ns: [0; 2],
                before_ns: 0,
                after_ns: 0,
            },
            ..Settings::DEFAULT
        },
        ..Limits::default()
    }
}

/// A memory in which edges of every kind have stayed as they were seen.
pub fn steady() -> Table {
    let mut table = Table::new(MARKETS);
    let whole = || Sums {
        filled: 1 << 20,
        ..Sums::default()
    };
    let cell = Cell {
        tries: 1 << 20,
        orders: [whole(); 3],
    };
    for number in 0..KEYS as u16 {
        let key = Key::from_number(number).expect("below the count");
        table.all.restore(key, cell);
    }
    table
}
