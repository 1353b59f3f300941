//! A venue that turns requests away and says when the next is welcome: both gateways, over real
//! sockets, send none before, and one soon after. Row 13 of the list of failures.

#[path = "rig/private.rs"]
mod private;

use parallax::gateway::{Gateway, Parts};
use parallax::market::InstrumentId;
use parallax::market::Venue;
use parallax::market::book::Side;
use parallax::market::order::{Action, Order, OrderId};
use parallax::market::units::{MS, Nanos, Price, Size};
use parallax::net::{Connection, ConnectionLimits, Endpoint, Lanes, Protocol, TlsClient};
use parallax::signer::Ahead;
use parallax::sim::faults::spec::Spec;
use parallax::sim::{Options, Sim, start};
use parallax::stage::Stage;
use parallax::stage::clock::Clock;
use parallax::stage::halt::Halt;
use parallax::stage::link::{Tx, link};
use parallax::venue::extended::account::ExtendedRest;
use parallax::venue::extended::orders::{ExtendedOrders, OrdersSettings};
use parallax::venue::extended::sign::StarkKey;
use parallax::venue::extended::sign::hash::Chain;
use parallax::venue::lighter;
use parallax::venue::lighter::orders::{ApiKey, LighterOrders, Setup};
use parallax::venue::lighter::sign::PrivateKey;
use parallax::venue::{LaneProtocol, LaneSpec, Orders};
use private::private_file;
use serde_json::Value;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// What the pages state. Without it both gateways would wait for ten seconds.
const STATED_MS: u64 = 3_000;
/// How long the gateways run.
const RUN_MS: u64 = 4_500;

fn dial(base_url: &str, first: usize, lanes: Vec<LaneSpec>) -> Vec<Connection> {
    let tls = TlsClient::new(None).expect("the roots that are built in");
    let connection = |(at, lane): (usize, LaneSpec)| {
        let protocol = match lane.protocol {
            LaneProtocol::WebSocket => Protocol::WebSocket,
            LaneProtocol::Http => Protocol::Http,
        };
        let endpoint = Endpoint::parse(base_url, &lane.path, lane.headers, protocol);
        let (limits, at) = (ConnectionLimits::default(), first + at);
        Connection::new(endpoint.expect("the venue's own"), at, &tls, limits, 1)
    };
    lanes.into_iter().enumerate().map(connection).collect()
}

/// A gateway and the link on which it is asked.
fn gateway<O: Orders>(venue: Venue, orders: O, lanes: Vec<Connection>) -> (Gateway<O>, Tx<Order>) {
    let (ask, requests) = link("orders", 64);
    let parts = Parts {
        orders,
        points: Ahead::new(link("points", 1).1),
        lanes: Lanes::new(lanes).expect("a poller"),
        requests,
        reports: link("reports", 4_096).0,
        journal: link("journal", 4_096).0,
        halt: Halt::default(),
        clock: Clock::new(),
    };
    (Gateway::new(venue, parts), ask)
}

fn lighter(sim: &Sim) -> (Gateway<LighterOrders>, Tx<Order>) {
    let told = &sim.description.lighter;
    let setup = Setup {
        account_index: told.account_index,
        chain_id: told.chain_id,
        keys: vec![ApiKey {
            index: told.api_key_index,
            private: PrivateKey::parse_hex(&told.private_key).expect("the venue's own"),
        }],
        sends_per_minute: 60,
        rest_url: told.rest.clone(),
        dead_mans_switch_s: 0,
    };
    let orders = LighterOrders::new(setup, &[]).expect("fine settings");
    let mut lanes = dial(&told.ws, 0, lighter::order_lanes());
    lanes.extend(dial(&told.rest, 2, vec![lighter::rest_lane()]));
    gateway(Venue::Lighter, orders, lanes)
}

fn extended(sim: &Sim) -> (Gateway<ExtendedOrders>, Tx<Order>) {
    let told = &sim.description.extended;
    let rest = ExtendedRest::new(&told.rest, &told.api_key, None).expect("the venue's own");
    let markets = rest.markets().expect("it is up").markets;
    let fees = rest.fees(&[]).expect("it is up");
    let settings = OrdersSettings {
        order_url: &told.rest,
        api_key: &told.api_key,
        key: StarkKey::parse_hex(&told.private_key).expect("the venue's own"),
        chain: Chain::Sepolia,
        vault: told.vault,
        markets: &[markets[0].config(InstrumentId(0), &fees[0])],
        http_lanes: 1,
        requests_per_minute: 1_000,
        dead_mans_switch_s: 0,
    };
    let orders = ExtendedOrders::new(settings).expect("fine settings");
    let mut streams = orders.lanes();
    let http = streams.split_off(1);
    let mut lanes = dial(&told.stream, 0, streams);
    lanes.extend(dial(&told.rest, 1, http));
    gateway(Venue::Extended, orders, lanes)
}

/// An order of somebody else, which brings the page down on all.
fn strike(rest: &str, path: &str) {
    let origin = rest.strip_prefix("http://").expect("plain");
    let host = origin.split('/').next().expect("a host");
    let mut socket = TcpStream::connect(host).expect("it listens");
    let request = format!(
        "POST {path} HTTP/1.1\r\nhost: x\r\nuser-agent: x\r\ncontent-length: 2\r\n\
         connection: close\r\n\r\n{{}}"
    );
    socket.write_all(request.as_bytes()).expect("it listens");
    let mut answer = String::new();
    socket.read_to_string(&mut answer).expect("text");
    assert!(answer.starts_with("HTTP/1.1 429"), "{answer}");
    assert!(answer.contains("retry-after: 3\r\n"), "{answer}");
}

/// An order that nobody knows is asked about.
fn question(number: u32) -> Order {
    Order {
        id: OrderId::new(9, number, 1),
        action: Action::Query,
        venue: Venue::Extended,
        instrument: InstrumentId(0),
        side: Side::Bid,
        price: Price(1),
        size: Size(1),
        reduce_only: true,
        t_tick: Nanos::ZERO,
        t_decide: Nanos::ZERO,
    }
}

#[test]
fn row_13_the_next_request_comes_when_the_venue_wants_it() {
    let log = private_file("retry-after.jsonl", "");
    let spec = "page-429=3:extended@0,page-429=3:lighter@0";
    let sim = start(&Options {
        plain: true,
        faults: Some(Spec::parse(spec).expect("known faults")),
        log: Some(log.clone()),
        ..Options::new(1)
    });
    let sim = sim.expect("free ports");
    let (mut ours, mut ask) = extended(&sim);
    let (mut theirs, _orders) = lighter(&sim);
    strike(&sim.description.extended.rest, "/api/v1/user/order");
    strike(&sim.description.lighter.rest, "/api/v1/sendTxBatch");
    let clock = Clock::new();
    let begun = clock.now();
    ours.start(begun);
    theirs.start(begun);
    let (mut number, mut beat) = (0, begun);
    while clock.now().since(begun) < RUN_MS * MS {
        let now = clock.now();
        ours.turn(now);
        theirs.turn(now);
        if now >= beat {
            beat = now.plus(100 * MS);
            number += 1;
            ours.housekeeping(now);
            theirs.housekeeping(now);
            let _ = ask.push(question(number));
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    sim.stop();

    let said = std::fs::read_to_string(log).expect("the venues wrote it");
    let asked: Vec<Value> = said
        .lines()
        .map(|line| serde_json::from_str(line).expect("an object a line"))
        .collect();
    for path in ["/user/orders/external/", "nextNonce"] {
        let is_it = |one: &&Value| one["path"].as_str().is_some_and(|text| text.contains(path));
        let times = asked.iter().filter(is_it);
        let times: Vec<u64> = times
            .map(|one| one["t_ns"].as_u64().expect("ns") / MS)
            .collect();
        assert!(times.len() >= 2, "{path}: {times:?}");
        let waited = times[1] - times[0];
        assert!(
            (STATED_MS..STATED_MS + 1_000).contains(&waited),
            "{path}: {times:?}"
        );
    }
}
