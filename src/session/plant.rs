//! Puts the plant together: links, stages, seats, the recorder. One page, read from the top.
//!
//! Everything is built here, before anything runs; `topology.rs` says how deep the links are and
//! who sits where. What comes back runs already; `Plant::stop` ends it in order.

use crate::feed::{self, FeedStage};
use crate::gateway::{self, Gateway};
use crate::market::book::Delta;
use crate::market::event::{Control, Event, Status};
use crate::market::foresight::Foresight;
use crate::market::order::{Order, Report};
use crate::market::reference::Reference;
use crate::market::units::Notional;
use crate::market::{Instrument, Venue};
use crate::net::{Connection, Lanes};
use crate::record::Recorder;
use crate::scanner::arrival::table::Table;
use crate::scanner::risk::Limits;
use crate::scanner::{Ends, Scanner};
use crate::session::SessionError;
use crate::session::watching::Gate;
use crate::signer::{Ahead, Signer};
use crate::stage::clock::Clock;
use crate::stage::halt::Flag;
use crate::stage::idle::Idle;
use crate::stage::link::{Rx, Tx, link};
use crate::stage::{self, Seat, Stage};
use crate::topology::{self, Plan};
use crate::venue::extended::feed::ExtendedFeed;
use crate::venue::extended::orders::ExtendedOrders;
use crate::venue::lighter::feed::LighterFeed;
use crate::venue::lighter::orders::LighterOrders;
use crate::venue::points::Maker;
use crate::venue::{Feed, Orders, extended, lighter};
use std::thread::JoinHandle;

/// What a venue is made of: the three kinds of parts that belong together.
pub trait Kind {
    /// Its decoder of market data.
    type Feed: Feed + Send + 'static;
    /// Its orders and account.
    type Orders: Orders<Point = <Self::Maker as Maker>::Point> + Send + 'static;
    /// Its maker of nonce points.
    type Maker: Maker;
}

/// Extended.
pub struct ExtendedKind;

impl Kind for ExtendedKind {
    type Feed = ExtendedFeed;
    type Orders = Gate<ExtendedOrders>;
    type Maker = extended::sign::PointMaker;
}

/// Lighter.
pub struct LighterKind;

impl Kind for LighterKind {
    type Feed = LighterFeed;
    type Orders = Gate<LighterOrders>;
    type Maker = lighter::sign::PointMaker;
}

/// One venue's parts, ready to be seated: decoder and lanes of the feed, signer and lanes of the
/// gateway.
pub struct VenueParts<V: Kind> {
    /// Market data.
    pub feed: V::Feed,
    /// Its connections.
    pub feed_lanes: Vec<Connection>,
    /// Orders and account.
    pub orders: V::Orders,
    /// Its connections.
    pub order_lanes: Vec<Connection>,
    /// Who makes nonce points; nobody where nothing is signed.
    pub maker: Option<V::Maker>,
}

/// What the plant is built from.
pub struct Blueprint {
    /// Instruments in index order.
    pub instruments: Vec<Instrument>,
    /// The scanner's limits.
    pub limits: Limits,
    /// Trades on paper, with this much money at each venue.
    pub paper: Option<Notional>,
    /// This run's number, in every order id.
    pub run: u16,
    /// Who sits where.
    pub plan: Plan,
    /// Real-time priority of stages that have a core of their own; 0: none.
    pub real_time: u8,
    /// Venue Extended.
    pub extended: VenueParts<ExtendedKind>,
    /// Venue Lighter.
    pub lighter: VenueParts<LighterKind>,
}

type BoxedStage = Box<dyn Stage + Send>;

/// A running plant.
pub struct Plant {
    /// To the scanner.
    pub control: Tx<Control>,
    /// To Lighter's gateway: orders a minute, as the account's tier lets go.
    pub pace: Tx<u32>,
    /// From the scanner.
    pub status: Rx<Status>,
    /// Raised by any stage that must not go on.
    pub halt: Flag,
    stop: Flag,
    threads: Vec<JoinHandle<u64>>,
}

/// The ends of the links that lead to one venue's two stages.
struct VenueEnds {
    deltas: Tx<Delta>,
    references: Tx<Reference>,
    requests: Rx<Order>,
    reports: Tx<Report>,
    journal: [Tx<Event>; 2],
    /// Name of the link that brings its nonce points.
    points: &'static str,
    /// What the scanner foresees; of no venue that keeps nothing ready.
    foresight: Option<Rx<Foresight>>,
    /// What the account's tier lets go; of no venue that has none.
    pace: Option<Rx<u32>>,
}

/// Builds every link and stage and starts the threads. The recorder comes back to be drained by
/// whoever owns the report.
// Long: the plant is read from the top, link by link; cutting it up would hide it.
pub fn start(
    blueprint: Blueprint,
    learned: Table,
    clock: Clock,
) -> Result<(Plant, Recorder), SessionError> {
    let (halt, stop) = (Flag::default(), Flag::default());
    let mut journal = Journal(Vec::new());
    let (control, control_rx) = link("control", topology::CONTROL_LEN);
    let (pace, pace_rx) = link("pace.lighter", topology::PACE_LEN);
    let (status_tx, status) = link("status", topology::STATUS_LEN);
    let (board_tx, board) = link("board", topology::BOARD_LEN);
    let (deltas_e, deltas_e_rx) = link("deltas.extended", topology::DELTAS_LEN);
    let (deltas_l, deltas_l_rx) = link("deltas.lighter", topology::DELTAS_LEN);
    let (references_e, references_e_rx) = link("references.extended", topology::REFERENCES_LEN);
    let (references_l, references_l_rx) = link("references.lighter", topology::REFERENCES_LEN);
    let (orders_e, orders_e_rx) = link("orders.extended", topology::ORDERS_LEN);
    let (orders_l, orders_l_rx) = link("orders.lighter", topology::ORDERS_LEN);
    let (foresight_e, foresight_e_rx) = link("foresight.extended", topology::FORESIGHT_LEN);
    let (reports_e, reports_e_rx) = link("reports.extended", topology::REPORTS_LEN);
    let (reports_l, reports_l_rx) = link("reports.lighter", topology::REPORTS_LEN);

    let ends_e = VenueEnds {
        deltas: deltas_e,
        references: references_e,
        requests: orders_e_rx,
        reports: reports_e,
        journal: [
            journal.link("journal.feed-extended"),
            journal.link("journal.gateway-extended"),
        ],
        points: "points.extended",
        foresight: Some(foresight_e_rx),
        pace: None,
    };
    let ends_l = VenueEnds {
        deltas: deltas_l,
        references: references_l,
        requests: orders_l_rx,
        reports: reports_l,
        journal: [
            journal.link("journal.feed-lighter"),
            journal.link("journal.gateway-lighter"),
        ],
        points: "points.lighter",
        // A Lighter order is signed with its nonce, and a key's nonces leave one by one: all but
        // one of a ladder would be void with the first that is used.
        foresight: None,
        pace: Some(pace_rx),
    };
    let ends = Ends {
        deltas: [deltas_e_rx, deltas_l_rx],
        references: [references_e_rx, references_l_rx],
        reports: [reports_e_rx, reports_l_rx],
        orders: [orders_e, orders_l],
        control: control_rx,
        status: status_tx,
        board: board_tx,
        journal: journal.link("journal.scanner"),
        halt: halt.clone(),
        clock,
    };

    let table = &blueprint.instruments;
    let scanner = Scanner::new(table, blueprint.limits, blueprint.run, ends);
    let mut scanner = scanner.learned(learned).foreseeing(foresight_e);
    if let Some(equity) = blueprint.paper {
        scanner = scanner.on_paper(equity);
    }
    let shared = Shared {
        table,
        clock,
        halt: &halt,
    };
    let ([feed_e, gate_e], signer_e) =
        shared.stages(Venue::Extended, blueprint.extended, ends_e)?;
    let ([feed_l, gate_l], signer_l) = shared.stages(Venue::Lighter, blueprint.lighter, ends_l)?;
    let stages = [
        feed_e,
        feed_l,
        Box::new(scanner) as BoxedStage,
        gate_e,
        gate_l,
    ];

    let signers = [signer_e, signer_l].into_iter().flatten().map(unpinned);
    let mut seats: Vec<Seat> = signers.collect();
    seats.extend(seat(&blueprint.plan, blueprint.real_time, stages));
    let run = |seat| stage::run(seat, clock, stop.clone()).map_err(SessionError::Thread);
    let threads = seats.into_iter().map(run).collect::<Result<Vec<_>, _>>()?;
    let plant = Plant {
        control,
        pace,
        status,
        halt,
        stop,
        threads,
    };
    Ok((plant, Recorder::new(journal.0).with_board(board)))
}

impl Plant {
    /// Ends the pinned loops and waits for them: journal records dropped, or `None` when a thread
    /// broke.
    pub fn stop(self) -> Option<u64> {
        self.stop.raise();
        self.threads
            .into_iter()
            .map(|thread| thread.join().ok())
            .sum()
    }

    /// A pinned thread has ended although nobody asked it to: it broke.
    pub fn is_broken(&self) -> bool {
        self.threads.iter().any(JoinHandle::is_finished)
    }
}

/// Reading ends of the journal links, in the making.
struct Journal(Vec<Rx<Event>>);

impl Journal {
    fn link(&mut self, name: &'static str) -> Tx<Event> {
        let (tx, rx) = link(name, topology::JOURNAL_LEN);
        self.0.push(rx);
        tx
    }
}

/// What both venues' stages are built with.
struct Shared<'a> {
    table: &'a [Instrument],
    clock: Clock,
    halt: &'a Flag,
}

impl Shared<'_> {
    /// A venue's two pinned stages, and the signer that serves the second.
    fn stages<V: Kind>(
        &self,
        venue: Venue,
        parts: VenueParts<V>,
        ends: VenueEnds,
    ) -> Result<([BoxedStage; 2], Option<BoxedStage>), SessionError> {
        let [journal_feed, journal_gateway] = ends.journal;
        let (points, points_rx) = link(ends.points, topology::POINTS_LEN);
        let signer = |maker| Box::new(Signer::new(venue, maker, points)) as BoxedStage;
        let feed = feed::Parts {
            feed: parts.feed,
            lanes: Lanes::new(parts.feed_lanes)
                .map_err(SessionError::Poller)?
                .stamped(),
            deltas: ends.deltas,
            references: ends.references,
            journal: journal_feed,
            clock: self.clock,
        };
        let gateway = gateway::Parts {
            orders: parts.orders,
            points: Ahead::new(points_rx),
            lanes: Lanes::new(parts.order_lanes).map_err(SessionError::Poller)?,
            requests: ends.requests,
            reports: ends.reports,
            journal: journal_gateway,
            halt: self.halt.clone(),
            clock: self.clock,
        };
        let mut gateway = Gateway::new(venue, gateway);
        if let Some(foresight) = ends.foresight {
            gateway = gateway.foreseeing(foresight);
        }
        if let Some(pace) = ends.pace {
            gateway = gateway.paced(pace);
        }
        let pinned: [BoxedStage; 2] = [
            Box::new(FeedStage::new(venue, self.table, feed)),
            Box::new(gateway),
        ];
        Ok((pinned, parts.maker.map(signer)))
    }
}

/// A seat of its own for a cold stage, wherever the kernel puts it.
fn unpinned(stage: BoxedStage) -> Seat {
    Seat {
        name: stage.name().to_string(),
        core: None,
        idle: Idle::Park,
        real_time: 0,
        stages: vec![stage],
    }
}

/// Seats the stages as planned; `stages` come in the order of `topology::STAGES`.
fn seat(plan: &Plan, real_time: u8, stages: [BoxedStage; 5]) -> Vec<Seat> {
    let mut waiting = stages.map(Some);
    plan.seats
        .iter()
        .map(|planned| {
            let stages: Vec<_> = planned
                .stages
                .iter()
                .filter_map(|idx| waiting[*idx].take())
                .collect();
            let name = match stages.as_slice() {
                [one] => one.name().to_string(),
                _ => "stages".to_string(),
            };
            Seat {
                name,
                core: planned.core,
                idle: planned.idle,
                real_time,
                stages,
            }
        })
        .collect()
}
