//! A tick and its order over loopback sockets, plain and through TLS: system calls and allocations
//! between the tick's arrival and the order's departure.
//!
//! Feed stage, gateway stage and everything below them are the engine's own; what a venue's room
//! would say is as short as it can be, since only calls and memory are counted here.

use super::counted;
use super::instrument::{ID, NOW, instrument};
use parallax::feed::{FeedStage, Parts};
use parallax::gateway::{self, Gateway};
use parallax::market::Venue;
use parallax::market::book::{Delta, Side, flags};
use parallax::market::event::{Event, FrameKind};
use parallax::market::order::{Action, Order, OrderId, Refusal, Report, ReportKind};
use parallax::market::units::{Nanos, Price, Size};
use parallax::net::{
    Connection, ConnectionLimits, Endpoint, Lanes, Protocol, SystemCalls, TlsClient,
};
use parallax::signer::Ahead;
use parallax::stage::Stage;
use parallax::stage::clock::Clock;
use parallax::stage::halt::Halt;
use parallax::stage::link::{Rx, Tx, link};
use parallax::venue::points::Point;
use parallax::venue::{Call, Feed, Heard, Lane, Orders, OutKind, Outbox, Reports, Signing};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use tungstenite::{Message, WebSocket, accept};

const TICKS: usize = 200;
/// Longest that a machine under load may take to carry a few bytes.
const PATIENCE: Duration = Duration::from_secs(20);
/// Stamped reads, one in sixteen, are among them.
const WARM_TICKS: usize = 40;
/// What rustls may take for one tick read, one order written and its answer read.
#[cfg(feature = "sim")]
const LIBRARY_MAX: u64 = 4;

/// Every message is a bid of one.
struct Bid;

impl Feed for Bid {
    fn on_link(&mut self, _: Lane, _: bool, _: &mut Call<'_>) {}

    fn on_message(&mut self, _: Lane, _: &mut [u8], call: &mut Call<'_>) -> Heard {
        call.told.deltas.push(Delta {
            price: Price(100_000_000_000),
            size: Size(1_000_000_000),
            t_recv: call.now,
            t_made: call.now,
            t_push: call.now,
            instrument: ID,
            venue: Venue::Lighter,
            side: Side::Bid,
            flags: flags::LAST,
        });
        Heard {
            kind: FrameKind::Update,
            instrument: Some(ID),
        }
    }

    fn on_beat(&mut self, _: &mut Call<'_>) {}

    fn resync(&mut self, _: parallax::market::InstrumentId, _: &mut Call<'_>) {}
}

/// A point with nothing in it.
struct Blank;

impl Point for Blank {
    fn move_out(&mut self) -> Blank {
        Blank
    }
}

/// Every order is one short message, every answer accepts it.
struct Short {
    /// The lane is up.
    is_up: Arc<AtomicBool>,
}

impl Orders for Short {
    type Point = Blank;

    fn on_link(&mut self, _: Lane, is_up: bool, _: Nanos, _: &mut Reports, _: &mut Outbox) {
        self.is_up.store(is_up, Ordering::Relaxed);
    }

    fn sign(
        &mut self,
        _: &Order,
        _: Nanos,
        _: impl FnOnce() -> Option<Blank>,
    ) -> Result<Signing, Refusal> {
        Ok(Signing::Full)
    }

    fn encode(&mut self, _: Nanos, out: &mut Outbox) {
        assert!(out.message(0, OutKind::Text, |text| {
            text.put(&[b'o'; 600]);
        }));
    }

    fn on_message(
        &mut self,
        _: Lane,
        _: u16,
        _: &mut [u8],
        now: Nanos,
        reports: &mut Reports,
        _: &mut Outbox,
    ) -> FrameKind {
        assert!(reports.push(Report {
            venue: Venue::Lighter,
            instrument: ID,
            order: OrderId(7),
            t: now,
            kind: ReportKind::Acknowledged,
        }));
        FrameKind::Update
    }

    fn on_beat(&mut self, _: Nanos, _: &mut Reports, _: &mut Outbox) {}
}

/// One feed and one gateway, each with one lane to a venue of the test.
struct Rig {
    feed: FeedStage<Bid>,
    gateway: Gateway<Short>,
    deltas: Rx<Delta>,
    orders: Tx<Order>,
    reports: Rx<Report>,
    journals: [Rx<Event>; 2],
    clock: Clock,
    /// The gateway may send.
    is_up: Arc<AtomicBool>,
}

impl Rig {
    fn new(urls: [String; 2], tls: &TlsClient) -> Rig {
        let lanes = |url: &str| {
            let endpoint = Endpoint::parse(url, "", Vec::new(), Protocol::WebSocket).unwrap();
            let limits = ConnectionLimits::default();
            Lanes::new(vec![Connection::new(endpoint, 0, tls, limits, 1)]).unwrap()
        };
        let (clock, is_up) = (Clock::new(), Arc::new(AtomicBool::new(false)));
        let (deltas_tx, deltas) = link("deltas", 1_024);
        let (orders, requests) = link("orders", 16);
        let (reports_tx, reports) = link("reports", 64);
        let [feed_journal, gateway_journal] = [link("journal", 65_536), link("journal", 65_536)];
        let feed = Parts {
            feed: Bid,
            lanes: lanes(&urls[0]).stamped(),
            deltas: deltas_tx,
            references: link("references", 64).0,
            journal: feed_journal.0,
            clock,
        };
        let gateway = gateway::Parts {
            orders: Short {
                is_up: Arc::clone(&is_up),
            },
            points: Ahead::new(link("points", 4).1),
            lanes: lanes(&urls[1]),
            requests,
            reports: reports_tx,
            journal: gateway_journal.0,
            halt: Halt::default(),
            clock,
        };
        Rig {
            feed: FeedStage::new(Venue::Lighter, &[instrument()], feed),
            gateway: Gateway::new(Venue::Lighter, gateway),
            deltas,
            orders,
            reports,
            journals: [feed_journal.1, gateway_journal.1],
            clock,
            is_up,
        }
    }

    /// Turns both until the venues have accepted and the gateway has heard of it.
    fn come_up<T>(&mut self, venues: [JoinHandle<T>; 2]) -> [T; 2] {
        let is_over = |venues: &[JoinHandle<T>; 2]| venues.iter().all(JoinHandle::is_finished);
        while !is_over(&venues) || !self.is_up.load(Ordering::Relaxed) {
            self.turn();
        }
        // The last of the feed's handshake is read.
        (0..100).for_each(|_| self.turn());
        venues.map(|venue| venue.join().unwrap())
    }

    fn turn(&mut self) {
        let now = self.clock.now();
        self.feed.housekeeping(now);
        self.gateway.housekeeping(now);
        self.feed.turn(now);
        self.gateway.turn(now);
        thread::yield_now();
    }

    /// Waits for one tick and answers it with an order: calls and allocations of feed and gateway,
    /// from the look that finds the tick until the order has left.
    fn answer(&mut self) -> ([SystemCalls; 2], u64) {
        let mut before = self.feed.system_calls();
        let mut allocations = 0;
        let mut work = 0;
        let begin = Instant::now();
        while work == 0 {
            assert!(begin.elapsed() < PATIENCE, "no tick came");
            before = self.feed.system_calls();
            allocations = counted(|| work = self.feed.turn(self.clock.now()));
        }
        let heard = since(before, self.feed.system_calls());
        let tick = self.deltas.pop().unwrap();
        let order = Order {
            id: OrderId(7),
            action: Action::Place,
            venue: Venue::Lighter,
            instrument: ID,
            side: Side::Ask,
            price: tick.price,
            size: tick.size,
            reduce_only: false,
            t_tick: tick.t_recv,
            t_decide: NOW,
        };
        self.orders.push(order).unwrap();
        let before = self.gateway.system_calls();
        allocations += counted(|| {
            self.gateway.relay(self.clock.now());
        });
        let sent = since(before, self.gateway.system_calls());
        while self.reports.pop().is_some() {}
        for journal in &mut self.journals {
            while journal.pop().is_some() {}
        }
        ([heard, sent], allocations)
    }

    /// Waits for the venue's word on the order: allocations of hearing and passing it on.
    fn hear(&mut self) -> u64 {
        let (mut allocations, mut work) = (0, 0);
        let begin = Instant::now();
        while work == 0 {
            assert!(begin.elapsed() < PATIENCE, "no answer came");
            allocations = counted(|| work = self.gateway.turn(self.clock.now()));
        }
        let report = self.reports.pop().unwrap();
        assert_eq!(report.kind, ReportKind::Acknowledged);
        allocations
    }
}

fn since(before: SystemCalls, after: SystemCalls) -> SystemCalls {
    SystemCalls {
        polls: after.polls - before.polls,
        reads: after.reads - before.reads,
        reads_empty: after.reads_empty - before.reads_empty,
        writes: after.writes - before.writes,
    }
}

/// Plays ticks; most allocations that one took after warm-up.
fn play<S: Read + Write>(rig: &mut Rig, [mut market, mut desk]: [WebSocket<S>; 2]) -> u64 {
    let mut most = 0;
    for tick in 0..TICKS {
        market.send(Message::text("{\"a tick\":1}")).unwrap();
        let ([heard, sent], allocations) = rig.answer();
        let looked = SystemCalls {
            polls: 1,
            reads: 1,
            ..SystemCalls::default()
        };
        assert_eq!(heard, looked, "tick {tick}");
        let wrote = SystemCalls {
            writes: 1,
            ..SystemCalls::default()
        };
        assert_eq!(sent, wrote, "tick {tick}");
        assert_eq!(desk.read().unwrap().into_data().len(), 600);
        desk.send(Message::text("accepted")).unwrap();
        let allocations = allocations + rig.hear();
        if tick >= WARM_TICKS {
            most = most.max(allocations);
        }
    }
    most
}

#[test]
fn a_tick_and_its_order_are_one_look_one_read_one_write() {
    let listeners = [0, 1].map(|_| TcpListener::bind("127.0.0.1:0").unwrap());
    let urls = [0, 1].map(|at: usize| format!("ws://{}", listeners[at].local_addr().unwrap()));
    let mut rig = Rig::new(urls, &TlsClient::new(None).unwrap());
    let venue = |listener: TcpListener| -> JoinHandle<WebSocket<TcpStream>> {
        thread::spawn(move || accept(listener.accept().unwrap().0).unwrap())
    };
    let venues = rig.come_up(listeners.map(venue));
    let most = play(&mut rig, venues);
    println!("without TLS: at most {most} allocations a tick, its order and the answer");
    assert_eq!(most, 0);
}

#[cfg(feature = "sim")]
#[test]
fn with_tls_the_calls_are_the_same_and_the_library_is_counted() {
    use rustls::pki_types::PrivateKeyDer;
    use rustls::{ServerConfig, ServerConnection, StreamOwned};
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_string()]).unwrap();
    let key = PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let config = Arc::new(config);
    let listeners = [0, 1].map(|_| TcpListener::bind("127.0.0.1:0").unwrap());
    let port = |at: usize| listeners[at].local_addr().unwrap().port();
    let urls = [0, 1].map(|at| format!("wss://localhost:{}", port(at)));
    let tls = TlsClient::new(Some(made.cert.pem().as_bytes())).unwrap();
    let mut rig = Rig::new(urls, &tls);
    let venue = |listener: TcpListener| {
        let config = Arc::clone(&config);
        thread::spawn(move || {
            let session = ServerConnection::new(config).unwrap();
            accept(StreamOwned::new(session, listener.accept().unwrap().0)).unwrap()
        })
    };
    let venues = rig.come_up(listeners.map(venue));
    let most = play(&mut rig, venues);
    println!("with TLS: at most {most} allocations (rustls) a tick, its order and the answer");
    assert!(most <= LIBRARY_MAX, "{most}");
}
