//! Recorded payloads of Extended decode to the expected values, by the feed and the order side.
//!
//! Every line of `tests/data/extended/extended_messages.jsonl` has its own source.

use parallax::market::book::{Delta, Side, flags};
use parallax::market::event::FrameKind;
use parallax::market::order::{OrderId, OrderState, ReportKind};
use parallax::market::units::{Bps, Nanos, Notional, Price, Size, parse_decimal};
use parallax::market::{InstrumentId, Market, Name, Venue};
use parallax::venue::extended::MarketConfig;
use parallax::venue::extended::feed::{BookState, ExtendedFeed};
use parallax::venue::extended::orders::{ExtendedOrders, OrdersSettings};
use parallax::venue::extended::sign::hash::Chain;
use parallax::venue::extended::sign::{StarkKey, parse_felt};
use parallax::venue::{Deltas, Feed, Orders, Outbox, Reports};
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
    }
}

struct Rig {
    feed: ExtendedFeed,
    deltas: Deltas,
    out: Outbox,
}

impl Rig {
    fn new(name: &str) -> Rig {
        let mut rig = Rig {
            feed: ExtendedFeed::new(&[market(name)]),
            deltas: Deltas::new(1024),
            out: Outbox::new(64, 8),
        };
        rig.feed
            .on_link(0, true, NOW, &mut rig.deltas, &mut rig.out);
        rig
    }

    fn say(&mut self, message: &Value) -> FrameKind {
        self.deltas.clear();
        let mut bytes = message.to_string().into_bytes();
        let (deltas, out) = (&mut self.deltas, &mut self.out);
        self.feed.on_message(0, &mut bytes, NOW, deltas, out).kind
    }
}

/// The venue's v2 frames hold the same data in another envelope, counted from 0.
fn as_v1(mut frame: Value) -> Value {
    let kind = frame["type"].as_str().unwrap().replace("ORDERBOOKS.", "");
    frame["type"] = kind.into();
    frame["seq"] = (frame["seq"].as_u64().unwrap() + 1).into();
    frame
}

type Naive = BTreeMap<(u8, i64), i64>;

fn apply(book: &mut Naive, deltas: &[Delta]) {
    for delta in deltas {
        if delta.flags & flags::CLEAR != 0 {
            book.clear();
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
    let (mut rig, mut book) = (Rig::new("BTC-USD"), Naive::new());
    assert_eq!(rig.say(&snapshot), FrameKind::Snapshot);
    apply(&mut book, rig.deltas.items());
    assert_eq!(book.len(), 61);
    let before = book.clone();
    assert_eq!(rig.say(&delta), FrameKind::Update);
    apply(&mut book, rig.deltas.items());
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
    let mut rig = Rig::new("NVDA_24_5-USD");
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
        let mut frame = frame.clone();
        frame["seq"] = (idx as u64 + 1).into();
        rig.say(&frame);
        apply(&mut book, rig.deltas.items());
        sizes.push(book.len());
        if let Some(last) = rig.deltas.items().last() {
            assert!(last.flags & flags::LAST != 0);
        }
    }
    // 5 levels; two of them go, one comes; nothing; 3 levels anew.
    assert_eq!(sizes, [5, 4, 4, 3]);
    assert_eq!(rig.feed.state(0), Some(BookState::Live { sequence: 4 }));
    assert!(rig.out.items().is_empty());
}

#[test]
fn every_recorded_v1_book_frame_is_understood() {
    for kind in [
        "v1.orderbook.snapshot",
        "v1.orderbook.depth1",
        "v1.orderbook.rfq.snapshot",
    ] {
        for mut frame in recorded(kind) {
            let mut rig = Rig::new(frame["data"]["m"].as_str().unwrap());
            frame["seq"] = 1.into();
            assert_eq!(rig.say(&frame), FrameKind::Snapshot, "{frame}");
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
        for mut frame in recorded(kind) {
            let mut rig = Rig::new("BTC-USD");
            frame["seq"] = 1.into();
            assert_eq!(rig.say(&frame), FrameKind::Unknown, "{frame}");
            assert!(rig.deltas.items().is_empty());
        }
    }
    let mut rig = Rig::new("BTC-USD");
    let error = &recorded("v1.error")[0];
    assert_eq!(rig.say(error), FrameKind::Malformed);
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
    // An order with an id that is not ours is counted, not reported.
    let mut order = recorded("v1.account.order")[1].clone();
    let (kind, reports) = account.say(&order);
    assert_eq!((kind, reports.len()), (FrameKind::Update, 0));
    assert_eq!(account.orders.foreign_count(), 1);
    order["data"]["orders"][0]["externalId"] = "px-4294967553".into();
    let (_, reports) = account.say(&order);
    let filled = Size(3_513_000_000);
    let state = OrderState::Working;
    let expected = ReportKind::State { state, filled };
    assert_eq!(reports, [(OrderId(4_294_967_553), expected)]);

    let (_, reports) = account.say(&recorded("v1.account.position")[1]);
    let short = ReportKind::Position {
        size: Size(-300_000_000),
    };
    assert_eq!(reports, [(OrderId::NONE, short)]);
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
    // A deleverage: somebody else's doing, reported without an order of ours.
    let (_, reports) = account.say(&trades[0]);
    let expected = ReportKind::Fill {
        trade: 1_784_963_886_257_016_832,
        side: Side::Bid,
        price: Price(58_853_400_000_000),
        size: Size(90_000_000),
        fee: Notional::ZERO,
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
