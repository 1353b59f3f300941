//! Recorded payloads of Extended decode to the expected values, by the feed and the order side.
//!
//! Every line of `tests/data/extended/extended_messages.jsonl` has its own source.

use crate::driven::Driven;
use parallax::market::book::{Book, Delta, Side, flags};
use parallax::market::event::{Doubt, Event, FrameKind};
use parallax::market::order::{Force, OrderId, OrderState, ReportKind};
use parallax::market::reference::ReferenceKind;
use parallax::market::units::{Bps, Nanos, Notional, Price, SECOND, Size, parse_decimal};
use parallax::market::{Bounds, InstrumentId, Market, Name, Venue};
use parallax::venue::extended::MarketConfig;
use parallax::venue::extended::feed::{BookState, ExtendedFeed};
use parallax::venue::extended::orders::{ExtendedOrders, OrdersSettings};
use parallax::venue::extended::sign::hash::Chain;
use parallax::venue::extended::sign::{StarkKey, parse_felt};
use parallax::venue::{Lane, Orders, Outbox, Reports};
use serde_json::Value;
use std::collections::BTreeMap;

const NOW: Nanos = Nanos(1_790_000_000_000_000_000);

/// Recorded messages of one kind, in file order.
fn recorded(kind: &str) -> Vec<Value> {
    let lines = include_str!("../data/extended/extended_messages.jsonl").lines();
    let lines = lines.map(|line| serde_json::from_str::<Value>(line).unwrap());
    let of_kind = lines.filter(|line| line["kind"] == kind);
    of_kind.map(|line| line["message"].clone()).collect()
}

fn market(name: &str) -> Market {
    Market {
        venue: Venue::Extended,
        instrument: InstrumentId(0),
        name: Name::new(name).unwrap(),
        venue_market: 0,
        tick: Price(1),
        lot: Size(1),
        size_min: Size(1),
        notional_min: Notional::ZERO,
        fee_taker: Bps::ZERO,
        fee_maker: Bps::ZERO,
        bounds: Bounds::default(),
    }
}

/// Lanes of a feed for one market.
const BOOK: Lane = 0;
const TOP: Lane = 1;
const TRADES: Lane = 2;
const MARK: Lane = 3;
const INDEX: Lane = 4;
const FUNDING: Lane = 5;

/// A feed for one market with all its lanes up. It is shown no books unless a test keeps them: many
/// recorded frames are cut, so that changes do not fit what came before.
fn driven(name: &str) -> Driven<ExtendedFeed> {
    let mut driven = Driven::new(ExtendedFeed::new(&[market(name)]), 1024, NOW);
    (BOOK..=FUNDING).for_each(|lane| driven.link(lane, true));
    driven
}

/// Says a message, with this number on its lane.
fn say(driven: &mut Driven<ExtendedFeed>, lane: Lane, message: &Value, number: u64) -> FrameKind {
    driven.told.clear();
    let mut message = message.clone();
    message["seq"] = number.into();
    driven
        .hear(lane, &mut message.to_string().into_bytes())
        .kind
}

/// The venue's v2 frames hold the same data in another envelope.
fn as_v1(mut frame: Value) -> Value {
    let kind = frame["type"].as_str().unwrap().replace("ORDERBOOKS.", "");
    frame["type"] = kind.into();
    frame
}

type Naive = BTreeMap<(u8, i64), i64>;

fn apply(book: &mut Naive, deltas: &[Delta]) {
    for delta in deltas {
        if delta.flags & flags::CLEAR != 0 {
            book.clear();
        }
        if delta.flags & flags::EMPTY != 0 {
            continue;
        }
        let key = (delta.side as u8, delta.price.0);
        match delta.size.0 {
            0 => book.remove(&key),
            size => book.insert(key, size),
        };
    }
}

fn nano(value: &Value) -> i64 {
    parse_decimal(value.as_str().unwrap().as_bytes()).unwrap()
}

/// The arithmetic that settles what `q` and `c` mean: old size + `q` = `c`, for every level of the
/// delta captured right after a snapshot; and our book holds `c`.
#[test]
fn captured_changes_add_up_to_captured_sizes() {
    let snapshot = as_v1(recorded("rpc2.orderbooks.snapshot")[0].clone());
    let delta = as_v1(recorded("rpc2.orderbooks.delta")[0].clone());
    let (mut rig, mut book) = (driven("BTC-USD"), Naive::new());
    assert_eq!(say(&mut rig, BOOK, &snapshot, 1), FrameKind::Snapshot);
    apply(&mut book, rig.told.deltas.items());
    assert_eq!(book.len(), 61);
    // The feed's own audit finds the same, and a change by a cent more is refused.
    let mut full = Book::new(Price(1));
    for change in rig.told.deltas.items() {
        full.apply_delta(change);
    }
    rig.books.push(full);
    let before = book.clone();
    assert_eq!(say(&mut rig, BOOK, &delta, 2), FrameKind::Update);
    apply(&mut book, rig.told.deltas.items());
    let mut bent = delta.clone();
    let change = &mut bent["data"]["b"][0]["q"];
    *change = Size(nano(change) + 10_000_000).to_string().into();
    assert_eq!(say(&mut rig, BOOK, &bent, 3), FrameKind::Misfit);
    let mut audited = 0;
    for (side, name) in [(Side::Bid, "b"), (Side::Ask, "a")] {
        for level in delta["data"][name].as_array().unwrap() {
            let key = (side as u8, nano(&level["p"]));
            let old = before.get(&key).copied().unwrap_or(0);
            assert_eq!(old + nano(&level["q"]), nano(&level["c"]), "{level}");
            assert_eq!(book.get(&key).copied(), Some(nano(&level["c"])));
            audited += 1;
        }
    }
    assert_eq!(audited, 8);
    // Spellings differ ("84052.0", "84050.000000"), values do not: the touch is uncrossed.
    let bids = book.keys().filter(|key| key.0 == 0).map(|key| key.1);
    let asks = book.keys().filter(|key| key.0 == 1).map(|key| key.1);
    assert_eq!(bids.max(), Some(84_077_000_000_000));
    assert_eq!(asks.min(), Some(84_078_000_000_000));
}

#[test]
fn a_recorded_connection_from_first_frame_to_minute_snapshot() {
    let mut rig = driven("NVDA_24_5-USD");
    let of_market = |kind| {
        let mut frames = recorded(kind);
        frames.retain(|frame| frame["data"]["m"] == "NVDA_24_5-USD");
        frames
    };
    let (snapshots, deltas) = (
        of_market("v1.orderbook.snapshot"),
        of_market("v1.orderbook.delta"),
    );
    // The capture is cut: the numbers between are closed up, the frames are as they came.
    let frames = [&snapshots[0], &deltas[0], &deltas[1], &snapshots[1]];
    let mut book = Naive::new();
    let mut sizes = Vec::new();
    for (idx, frame) in frames.into_iter().enumerate() {
        say(&mut rig, BOOK, frame, idx as u64 + 1);
        apply(&mut book, rig.told.deltas.items());
        sizes.push(book.len());
        let last = rig.told.deltas.items().last().unwrap();
        assert!(last.flags & flags::LAST != 0);
    }
    // 5 levels; two of them go, one comes; nothing; 3 levels anew.
    assert_eq!(sizes, [5, 4, 4, 3]);
    assert_eq!(rig.feed.state(InstrumentId(0)), Some(BookState::Live));
    assert!(rig.out.items().is_empty());
}

#[test]
fn every_recorded_v1_book_frame_is_understood() {
    for (kind, lane, what) in [
        ("v1.orderbook.snapshot", BOOK, FrameKind::Snapshot),
        ("v1.orderbook.rfq.snapshot", BOOK, FrameKind::Snapshot),
        ("v1.orderbook.delta", BOOK, FrameKind::Update),
        ("v1.orderbook.depth1", TOP, FrameKind::Top),
        // The best prices are not the book.
        ("v1.orderbook.depth1", BOOK, FrameKind::Malformed),
    ] {
        let frames = recorded(kind);
        assert!(!frames.is_empty());
        for frame in frames {
            let mut rig = driven(frame["data"]["m"].as_str().unwrap());
            assert_eq!(say(&mut rig, lane, &frame, 1), what, "{frame}");
        }
    }
    // Other topics on a book lane: understood as foreign, counted in the row, no harm done.
    for kind in [
        "v1.trades",
        "v1.mark",
        "v1.funding",
        "v1.candles",
        "v1.index",
    ] {
        for frame in recorded(kind) {
            let mut rig = driven("BTC-USD");
            assert_eq!(
                say(&mut rig, BOOK, &frame, 1),
                FrameKind::Unknown,
                "{frame}"
            );
            assert!(rig.told.deltas.items().is_empty());
        }
    }
    let mut rig = driven("BTC-USD");
    let error = recorded("v1.error")[0].to_string();
    let heard = rig.hear(BOOK, &mut error.into_bytes());
    assert_eq!(heard.kind, FrameKind::Malformed);
}

/// A recorded top over a recorded book, 100 ms older.
#[test]
fn a_recorded_top_is_shown_over_the_book() {
    let top = recorded("v1.orderbook.depth1")
        .into_iter()
        .find(|top| top["data"]["m"] == "BTC-USD")
        .expect("one is recorded");
    let mut snapshot = as_v1(recorded("rpc2.orderbooks.snapshot")[0].clone());
    snapshot["ts"] = (top["ts"].as_u64().unwrap() - 100).into();
    let mut rig = driven("BTC-USD");
    say(&mut rig, BOOK, &snapshot, 1);
    assert_eq!(say(&mut rig, TOP, &top, 1), FrameKind::Top);
    let told: Vec<_> = rig.told.deltas.items().iter().collect();
    assert_eq!(told.len(), 2);
    for (record, side, name) in [(told[0], Side::Bid, "b"), (told[1], Side::Ask, "a")] {
        let level = &top["data"][name][0];
        assert_eq!(record.side, side);
        assert_eq!(record.price.0, nano(&level["p"]));
        assert_eq!(record.size.0, nano(&level["q"]));
        assert!(record.flags & flags::TOP != 0);
    }
    assert!(told[1].flags & flags::LAST != 0);
}

#[test]
fn recorded_references_are_told_rounded() {
    let told = |lane: Lane, kind: &str| -> Vec<(ReferenceKind, i64)> {
        let value = |message: Value| {
            let mut rig = driven(message["data"]["m"].as_str().unwrap());
            assert_eq!(say(&mut rig, lane, &message, 1), FrameKind::Reference);
            assert_eq!(rig.told.references.items().len(), 1);
            let told = rig.told.references.items()[0];
            (told.kind, told.value_e9)
        };
        recorded(kind).into_iter().map(value).collect()
    };
    let marks = [
        63_807_605_956_625,
        82_603_900_514_500,
        80_988_400_408_625,
        25_670_000_000_000,
    ];
    let marks = marks.map(|value| (ReferenceKind::Mark, value));
    assert_eq!(told(MARK, "v1.mark"), marks);
    let index = (ReferenceKind::Index, 25_680_000_000_000);
    assert_eq!(told(INDEX, "v1.index"), [index]);
    let funding = (ReferenceKind::Funding, 1_000_000);
    assert_eq!(told(FUNDING, "v1.funding"), [funding]);
}

/// A recorded trade that the book does not follow within a second.
#[test]
fn recorded_trades_bear_witness() {
    let trades = recorded("v1.trades");
    assert!(!trades.is_empty());
    for message in trades {
        let row = &message["data"][0];
        let name = row["m"].as_str().unwrap();
        let mut rig = driven(name);
        let mut snapshot = recorded("v1.orderbook.snapshot")[0].clone();
        snapshot["data"]["m"] = name.into();
        snapshot["ts"] = (row["T"].as_u64().unwrap() - 50).into();
        say(&mut rig, BOOK, &snapshot, 1);
        assert_eq!(say(&mut rig, TRADES, &message, 1), FrameKind::Reference);
        rig.now = NOW.plus(SECOND);
        rig.told.clear();
        rig.beat();
        let doubts = rig.told.notes.items().iter();
        let is_frozen = |note: &Event| {
            matches!(
                note,
                Event::Doubted {
                    why: Doubt::Frozen,
                    ..
                }
            )
        };
        assert_eq!(
            doubts.filter(|note| is_frozen(note)).count(),
            1,
            "{message}"
        );
        let other = driven("DOGE-USD").hear(TRADES, &mut message.to_string().into_bytes());
        assert_eq!(other.instrument, None);
    }
}

struct Account {
    orders: ExtendedOrders,
    reports: Reports,
    out: Outbox,
    sequence: u64,
}

impl Account {
    fn new() -> Account {
        let config = |name, instrument| MarketConfig {
            market: Market {
                instrument: InstrumentId(instrument),
                ..market(name)
            },
            base_asset: parse_felt("0x4254432d3600000000000000000000").unwrap(),
            base_resolution: 1_000_000,
            quote_asset: parse_felt("0x1").unwrap(),
            quote_resolution: 1_000_000,
            fee_rate_taker: 250_000,
        };
        let orders = ExtendedOrders::new(OrdersSettings {
            order_url: "https://api.starknet.extended.exchange/api/v1",
            api_key: "key",
            key: StarkKey::parse_hex("0x1234").unwrap(),
            chain: Chain::Main,
            vault: 500_343,
            markets: &[config("BTC-USD", 0), config("ETH-USD", 1)],
            http_lanes: 1,
            requests_per_minute: 1000,
            dead_mans_switch_s: 0,
        });
        let mut account = Account {
            orders: orders.unwrap(),
            reports: Reports::new(64),
            out: Outbox::new(64, 8),
            sequence: 0,
        };
        for lane in [0, 1] {
            let (reports, out) = (&mut account.reports, &mut account.out);
            account.orders.on_link(lane, true, NOW, reports, out);
        }
        account
    }

    /// Says a recorded message with the next number of this connection.
    fn say(&mut self, message: &Value) -> (FrameKind, Vec<(OrderId, ReportKind)>) {
        self.reports.clear();
        self.sequence += 1;
        let mut message = message.clone();
        message["seq"] = self.sequence.into();
        let mut bytes = message.to_string().into_bytes();
        let (reports, out) = (&mut self.reports, &mut self.out);
        let kind = self.orders.on_message(0, 0, &mut bytes, NOW, reports, out);
        let items = self.reports.items().iter();
        (
            kind,
            items.map(|report| (report.order, report.kind)).collect(),
        )
    }
}

#[test]
fn the_recorded_start_of_an_account_stream_is_up() {
    let mut account = Account::new();
    let captured = |kind| recorded(kind)[0].clone();
    let (kind, reports) = account.say(&captured("v1.account.order"));
    assert_eq!((kind, reports.len()), (FrameKind::Snapshot, 0));
    let (_, reports) = account.say(&captured("v1.account.balance"));
    let money = Notional::from_nano(7_667_333_000);
    let expected = ReportKind::Balance {
        equity: money,
        available: money,
    };
    assert_eq!(reports, [(OrderId::NONE, expected)]);
    let (_, reports) = account.say(&captured("v1.account.position"));
    let flat = ReportKind::Position { size: Size::ZERO };
    let none = OrderId::NONE;
    assert_eq!(
        reports,
        [(none, flat), (none, flat), (none, ReportKind::Up)]
    );
}

#[test]
fn documented_account_messages_are_read() {
    let mut account = Account::new();
    // An order with an id that is not ours is told as nobody's, and counted.
    let mut order = recorded("v1.account.order")[1].clone();
    let filled = Size(3_513_000_000);
    let state = OrderState::Working;
    let expected = ReportKind::State { state, filled };
    let (kind, reports) = account.say(&order);
    assert_eq!(kind, FrameKind::Update);
    assert_eq!(reports, [(OrderId::NONE, expected)]);
    assert_eq!(account.orders.foreign_count(), 1);
    order["data"]["orders"][0]["externalId"] = "px-4294967553".into();
    let (_, reports) = account.say(&order);
    assert_eq!(reports, [(OrderId(4_294_967_553), expected)]);

    let (_, reports) = account.say(&recorded("v1.account.position")[1]);
    let short = ReportKind::Position {
        size: Size(-300_000_000),
    };
    let queue = ReportKind::Queue { rank: 1 };
    assert_eq!(reports, [(OrderId::NONE, short), (OrderId::NONE, queue)]);
    let (_, reports) = account.say(&recorded("v1.account.balance")[1]);
    let expected = ReportKind::Balance {
        equity: Notional::from_usd(20),
        available: Notional::from_usd(3),
    };
    assert_eq!(reports, [(OrderId::NONE, expected)]);
}

#[test]
fn recorded_trades_are_fills_with_padded_prices() {
    let mut account = Account::new();
    let trades = recorded("v1.account.trade");
    // A deleverage: the venue's doing, told as such.
    let (_, reports) = account.say(&trades[0]);
    let expected = ReportKind::Forced {
        trade: 1_784_963_886_257_016_832,
        side: Side::Bid,
        price: Price(58_853_400_000_000),
        size: Size(90_000_000),
        fee: Notional::ZERO,
        why: Force::Deleverage,
    };
    assert_eq!(reports, [(OrderId::NONE, expected)]);
    let mut ours = trades[1].clone();
    ours["data"]["trades"][0]["externalOrderId"] = "px-77".into();
    let (_, reports) = account.say(&ours);
    let expected = ReportKind::Fill {
        trade: 1_811_328_331_296_018_432,
        side: Side::Bid,
        price: Price(58_249_800_000_000),
        size: Size(1_000_000),
        fee: Notional::from_nano(29_124_000),
    };
    assert_eq!(reports, [(OrderId(77), expected)]);
}
