//! Which order, request or connection a fault takes hold of, by a clock in the hand; what a request
//! over HTTP and a connection over a real socket come to; and that all of it follows from the seed.

use super::fuse::Fuse;
use super::orders::{Detour, Ending};
use super::request::{self, Asked};
use super::spec::Spec;
use super::tests::{Client, End, done, knock, open, venues};
use super::{Faults, Strike};
use crate::market::book::Side;
use crate::market::units::{MS, Nanos, SECOND};
use crate::market::{InstrumentId, VENUES, Venue};
use crate::sim::Sim;
use crate::sim::exchange::{Exchange, Rules, Settings, rig, rules};
use crate::sim::faults::kind::{KINDS, Kind};
use crate::sim::flow::{Flow, FlowOptions};
use crate::sim::server::Floor;
use crate::sim::server::web::{Extensions, IntoResponse, StatusCode};
use crate::stage::clock::Clock;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

const START: Nanos = Nanos(1_000 * SECOND);
const BTC: InstrumentId = InstrumentId(0);
const ETH: InstrumentId = InstrumentId(1);
/// Seeds enough for every variant of a fault to come up.
const SEEDS: u64 = 24;

fn at(ms: u64) -> Nanos {
    START.plus(ms * MS)
}

fn faults(spec: &str, seed: u64, venue: Venue) -> Arc<Faults> {
    let tape = rig::embedded();
    let rules: Vec<Rules> = [BTC, ETH]
        .map(|market| rules::rules(&tape, venue, market))
        .into();
    Faults::new(&Spec::parse(spec).unwrap(), seed, (venue, START), &rules).unwrap()
}

fn count(faults: &Faults, name: &str) -> u64 {
    let done = faults.done();
    done.iter().find(|(kind, _)| kind.name() == name).unwrap().1
}

/// What the first request with an order comes to, by seed.
fn detours(kind: &str, venue: Venue) -> Vec<Option<Detour>> {
    let seeds = 0..SEEDS;
    let spec = format!("{kind}:{}@0", venue.name());
    seeds
        .map(|seed| {
            let faults = faults(&spec, seed, venue);
            let detour = faults.detour(at(1), Some(BTC));
            assert_eq!(count(&faults, kind), u64::from(detour.is_some()));
            detour
        })
        .collect()
}

#[test]
fn a_request_ends_as_its_fault_has_it_before_or_after_the_order_was_taken() {
    for venue in VENUES {
        let down: Vec<Detour> = detours("orders-down", venue)
            .into_iter()
            .flatten()
            .collect();
        assert_eq!(down.len() as u64, SEEDS);
        let taken: BTreeSet<bool> = down.iter().map(|detour| detour.is_taken).collect();
        assert_eq!(taken.len(), 2);
        assert!(
            down.iter()
                .all(|one| matches!(one.ending, Ending::Break(bytes) if bytes < 40))
        );
        // The other half strikes the account's connection.
        let hung = detours("half-open", venue);
        assert!(hung.contains(&None));
        let hung: Vec<Detour> = hung.into_iter().flatten().collect();
        assert!(hung.iter().all(|detour| detour.ending == Ending::Hang));
        assert!(hung.iter().any(|one| one.is_taken) && hung.iter().any(|one| !one.is_taken));
        for (kind, statuses) in [
            ("page-429", vec![429]),
            ("page-405", vec![405]),
            ("page-5xx", vec![500, 502, 503, 504]),
        ] {
            let seen: BTreeSet<u16> = detours(kind, venue)
                .into_iter()
                .map(|detour| match detour.expect("it waits for any order") {
                    Detour {
                        is_taken,
                        ending: Ending::Page(status),
                    } => {
                        assert_eq!(is_taken, status == 504);
                        status
                    }
                    other => panic!("{other:?}"),
                })
                .collect();
            assert_eq!(seen, BTreeSet::from_iter(statuses));
        }
    }
    let lost: Vec<Detour> = detours("nonce", Venue::Lighter)
        .into_iter()
        .flatten()
        .collect();
    assert!(lost.len() > 3 && (lost.len() as u64) < SEEDS);
    assert!(
        lost.iter()
            .all(|one| one.is_taken && one.ending == Ending::Silence)
    );
}

#[test]
fn a_page_is_shown_to_everybody_for_a_while() {
    let faults = faults("page-405:extended@0", 1, Venue::Extended);
    assert_eq!(
        (faults.page(at(1)), faults.refused_private(at(1))),
        (None, None)
    );
    assert!(faults.detour(at(1), None).is_some());
    for ms in [1, 1_000, 2_500] {
        assert_eq!(faults.page(at(ms)), Some(405), "{ms}");
        assert_eq!(faults.refused_private(at(ms)), Some(405));
        let detour = faults.detour(at(ms), Some(BTC)).unwrap();
        assert_eq!((detour.is_taken, detour.ending), (false, Ending::Page(405)));
    }
    assert_eq!(
        (faults.page(at(2_502)), faults.detour(at(2_502), None)),
        (None, None)
    );
    assert_eq!(count(&faults, "page-405"), 1, "one window is one fault");
}

#[test]
fn a_fault_of_a_market_leaves_the_others_alone() {
    let faults = faults("orders-down:lighter:ETH@0", 1, Venue::Lighter);
    assert_eq!(faults.detour(at(1), Some(BTC)), None);
    assert!(faults.detour(at(2), Some(ETH)).is_some());
    assert_eq!(faults.detour(at(3), Some(ETH)), None, "once");
}

#[test]
fn a_rate_gives_each_kind_its_twenty_strikes_in_five_hundred_orders() {
    for venue in VENUES {
        let faults = faults(&format!("orders:{}~2", venue.name()), 7, venue);
        for order in 0..500 {
            let now = at(5_000 + order * 200);
            // The window of one fault must not count for another.
            let mut ms = 0;
            while faults.page(now.plus(ms * MS)).is_some() {
                ms += 100;
            }
            let _ = faults.detour(now.plus(ms * MS), Some(BTC));
            let _ = faults.strike_account(now.plus(ms * MS));
            let _ = faults.uses_up_nonce(now.plus(ms * MS), Some(BTC));
        }
        for kind in [
            Kind::OrdersDown,
            Kind::HalfOpen,
            Kind::Page429,
            Kind::Page405,
            Kind::Page5xx,
            Kind::AccountDown,
            Kind::Nonce,
        ] {
            if kind.is_of(venue) {
                let done = count(&faults, kind.name());
                assert!(done >= 20, "{} {}: {done}", venue.name(), kind.name());
            }
        }
    }
}

#[test]
fn equal_seeds_and_opportunities_give_equal_strikes() {
    let play = |seed: u64| {
        let faults = faults("orders~1", seed, Venue::Lighter);
        let mut all = Vec::new();
        for order in 0..200 {
            let now = at(order * 500);
            let market = [BTC, ETH][(order % 2) as usize];
            all.push((faults.detour(now, Some(market)), faults.strike_account(now)));
        }
        format!("{all:?} {:?}", faults.done())
    };
    assert_eq!(play(5), play(5));
    assert_ne!(play(5), play(6));
}

#[test]
fn an_account_connection_is_dropped_and_refused_or_left_dead() {
    for seed in 0..SEEDS {
        let down = faults("account-down:extended@0", seed, Venue::Extended);
        let struck = down.strike_account(at(1));
        assert!(matches!(
            struck,
            Some(Strike {
                kind: Kind::AccountDown,
                ..
            })
        ));
        assert_eq!(down.refused_private(at(2_999)), Some(503));
        assert_eq!(down.refused_private(at(3_001)), None);
        assert_eq!(down.page(at(1)), None, "requests are answered");
        assert_eq!(down.strike_account(at(1)), None);
    }
}

#[test]
fn every_kind_of_orders_has_its_opportunity_and_no_frame_of_market_data() {
    for kind in KINDS.into_iter().filter(|kind| kind.is_of_orders()) {
        assert!(kind.is_of(Venue::Lighter));
        assert_eq!(kind.status(0), None, "{}", kind.name());
        assert!(kind.channels(Venue::Lighter).is_empty());
    }
}

/// A floor with these faults.
fn floor(spec: &str, seed: u64) -> Arc<Floor> {
    let start = Clock::new().now();
    let options = FlowOptions::new(Venue::Extended, 1, start);
    let flow = Flow::new(rig::embedded(), options).unwrap();
    let here = (Venue::Extended, start);
    let faults = Faults::new(&Spec::parse(spec).unwrap(), seed, here, flow.rules()).unwrap();
    let floor = Floor::new(Exchange::new(Settings::extended(1), flow), None);
    floor.set_faults(faults);
    floor
}

/// One request with an order: the status, where there is an answer at once; whether the venue saw
/// it; and how many bytes of the answer may leave.
fn request_order(spec: &str, seed: u64) -> (Option<u16>, bool, u64) {
    let floor = floor(spec, seed);
    let fuse = Fuse::default();
    let mut extensions = Extensions::new();
    extensions.insert(axum::extract::ConnectInfo(fuse.clone()));
    let seen = AtomicU32::new(0);
    let make = || {
        seen.fetch_add(1, Ordering::Relaxed);
        StatusCode::OK.into_response()
    };
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_all().build().unwrap();
    let status = runtime.block_on(async {
        let asked = Asked {
            extensions: &extensions,
            order: Some(None),
        };
        let answer = request::answer(&floor, asked, make);
        let soon = std::time::Duration::from_millis(20);
        let answer = tokio::time::timeout(soon, answer).await;
        answer.ok().map(|answer| answer.status().as_u16())
    });
    (status, seen.into_inner() == 1, fuse.left())
}

#[test]
fn an_answer_over_http_is_a_page_a_torn_connection_or_none() {
    let mut seen = BTreeSet::new();
    for seed in 0..SEEDS {
        assert_eq!(request_order("drop@0", seed), (Some(200), true, u64::MAX));
        assert_eq!(
            request_order("page-429:extended@0", seed),
            (Some(429), false, u64::MAX)
        );
        let (status, is_seen, left) = request_order("orders-down:extended@0", seed);
        assert!(status.is_some() && left < 40, "{left}");
        assert!(is_seen || left == 0, "what was not done is not answered");
        seen.insert(("down", is_seen));
        let (status, is_seen, left) = request_order("half-open:extended@0", seed);
        assert_eq!(left, u64::MAX);
        if status.is_none() {
            seen.insert(("half-open", is_seen));
        }
    }
    assert_eq!(seen.len(), 4);
}

/// Buys a little at once, straight at the exchange: news for the account.
fn trade(sim: &Sim, venue: Venue) {
    sim.floor(venue).act(|exchange, now, out| {
        let price = exchange.book(BTC, Side::Ask)[0].0;
        let order = rig::order(Side::Bid, &price.to_string(), "0.001");
        exchange.place(now, order, out).unwrap();
    });
}

/// A connection that is told of the account.
fn account(sim: &Sim, venue: Venue) -> Client {
    match venue {
        Venue::Extended => {
            let told = &sim.description.extended;
            let line = knock(&format!("{}/account", told.stream), Some(&told.api_key));
            let mut line = line.unwrap_or_else(|status| panic!("{status}"));
            for _ in 0..3 {
                line.next();
            }
            line
        }
        Venue::Lighter => {
            let told = &sim.description.lighter;
            let mut line = open(&told.ws);
            line.next();
            let channel = format!("account_all_positions/{}", told.account_index);
            line.say(&json!({"type": "subscribe", "channel": channel}));
            assert_eq!(line.next()["type"], "subscribed/account_all_positions");
            line
        }
    }
}

#[test]
fn account_connections_are_dropped_over_real_sockets() {
    for venue in VENUES {
        let sim = venues(&format!("account-down:{}@0", venue.name()));
        let mut line = account(&sim, venue);
        trade(&sim, venue);
        assert_eq!(line.rest().1, End::Broken);
        let told = &sim.description;
        let again = match venue {
            Venue::Extended => {
                let url = format!("{}/account", told.extended.stream);
                knock(&url, Some(&told.extended.api_key)).err()
            }
            Venue::Lighter => knock(&told.lighter.ws, None).err(),
        };
        assert_eq!(again, Some(503));
        assert_eq!(done(&sim, "account-down", venue), 1);
    }
}

#[test]
fn half_open_account_connections_are_told_nothing_and_stay() {
    // Several, since half of them wait for an order's connection.
    for venue in VENUES {
        let spec: Vec<String> = vec![format!("half-open:{}@0", venue.name()); 8];
        let sim = venues(&spec.join(","));
        let mut line = account(&sim, venue);
        trade(&sim, venue);
        while done(&sim, "half-open", venue) == 0 {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        line.hurry(700);
        assert!(!line.is_alive());
    }
}

/// Sends bytes over a plain connection; what comes back until it ends.
fn exchange_bytes(address: &str, bytes: &str) -> String {
    let mut socket = TcpStream::connect(address).unwrap();
    let patience = Some(std::time::Duration::from_secs(10));
    socket.set_read_timeout(patience).unwrap();
    socket.write_all(bytes.as_bytes()).unwrap();
    let mut answer = Vec::new();
    let _ = socket.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

#[test]
fn order_connections_end_over_real_sockets() {
    let sim = venues("orders-down:extended@0,orders-down:lighter@0");
    let told = &sim.description;
    let origin = told.extended.onboarding.strip_prefix("http://").unwrap();
    let order = "POST /api/v1/user/order HTTP/1.1\r\nhost: x\r\nuser-agent: x\r\n\
                 content-length: 2\r\n\r\n{}";
    let answer = exchange_bytes(origin, order);
    assert!(answer.len() < 40, "{answer}");
    assert_eq!(done(&sim, "orders-down", Venue::Extended), 1);
    let mut line = open(&told.lighter.ws);
    line.next();
    line.say(
        &json!({"type": "jsonapi/sendtx", "data": {"id": "1", "tx_type": 14,
        "tx_info": {"MarketIndex": 1}}}),
    );
    assert_eq!(line.rest(), (Vec::new(), End::Broken));
    assert_eq!(done(&sim, "orders-down", Venue::Lighter), 1);
}

#[test]
fn pages_meet_requests_and_upgrades_over_real_sockets() {
    let sim = venues("page-405:extended@0,page-429=7:lighter@0");
    let told = &sim.description;
    let order = "POST /api/v1/user/order HTTP/1.1\r\nhost: x\r\nuser-agent: x\r\n\
                 content-length: 2\r\nconnection: close\r\n\r\n{}";
    let read = "GET /api/v1/info/markets HTTP/1.1\r\nhost: x\r\nuser-agent: x\r\n\
                connection: close\r\n\r\n";
    let origin = told.extended.onboarding.strip_prefix("http://").unwrap();
    for request in [order, read] {
        let answer = exchange_bytes(origin, request);
        assert!(answer.starts_with("HTTP/1.1 405"), "{answer}");
        assert!(answer.contains("text/html") && answer.contains("<h1>405"));
        assert!(!answer.contains("retry-after"), "{answer}");
    }
    let account = format!("{}/account", told.extended.stream);
    assert_eq!(
        knock(&account, Some(&told.extended.api_key)).err(),
        Some(405)
    );
    assert!(knock(&format!("{}/orderbooks", told.extended.stream), None).is_ok());
    let mut line = open(&told.lighter.ws);
    line.next();
    line.say(&json!({"type": "jsonapi/sendtx", "data": {"tx_type": 14, "tx_info": {}}}));
    assert_eq!(line.rest().1, End::Broken);
    assert_eq!(knock(&told.lighter.ws, None).err(), Some(429));
    let origin = told.lighter.rest.strip_prefix("http://").unwrap();
    let answer = exchange_bytes(origin, &read.replace("info/markets", "orderBooks"));
    assert!(answer.starts_with("HTTP/1.1 429"), "{answer}");
    assert!(answer.contains("retry-after: 7\r\n"), "{answer}");
    let shown: Value = json!(sim.faults_done().iter().map(|(_, _, n)| *n).sum::<u64>());
    assert_eq!(shown, 2);
}
