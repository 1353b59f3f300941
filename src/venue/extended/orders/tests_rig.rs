//! What the tests of the order side share: an account with two markets, driven by hand.

use super::*;
use crate::market::book::Side;
use crate::market::units::{Bps, MS, Notional, Price};
use crate::market::{Bounds, Market, Name};
use crate::venue::OutKind;
use crate::venue::extended::sign::hash::Chain;
use crate::venue::extended::sign::{Felt, parse_felt};

pub(super) const KEY: &str = "0x7a7ff6fd3cab02ccdcd4a572563f5976f8976899b03a39773795a3c486d4986";
pub(super) const BTC: InstrumentId = InstrumentId(4);
pub(super) const ETH: InstrumentId = InstrumentId(9);

pub(super) fn config(name: &str, instrument: InstrumentId) -> MarketConfig {
    MarketConfig {
        market: Market {
            venue: Venue::Extended,
            instrument,
            name: Name::new(name).unwrap(),
            venue_market: 0,
            tick: Price::parse(b"1").unwrap(),
            lot: Size::parse(b"0.00001").unwrap(),
            size_min: Size::parse(b"0.0001").unwrap(),
            notional_min: Notional::ZERO,
            fee_taker: Bps::ZERO,
            fee_maker: Bps::ZERO,
            bounds: Bounds::default(),
        },
        base_asset: parse_felt("0x4254432d3600000000000000000000").unwrap(),
        base_resolution: 1_000_000,
        quote_asset: Felt::ONE,
        quote_resolution: 1_000_000,
        fee_rate_taker: 250_000,
    }
}

pub(super) struct Rig {
    pub(super) orders: ExtendedOrders,
    pub(super) reports: Reports,
    pub(super) out: Outbox,
    pub(super) now: Nanos,
    pub(super) sequence: u64,
}

impl Rig {
    pub(super) fn new(requests_per_minute: u32) -> Rig {
        let orders = ExtendedOrders::new(OrdersSettings {
            order_url: "https://api.example/api/v1",
            api_key: "the-key",
            key: StarkKey::parse_hex(KEY).unwrap(),
            chain: Chain::Main,
            vault: 10_002,
            markets: &[config("BTC-USD", BTC), config("ETH-USD", ETH)],
            http_lanes: 2,
            requests_per_minute,
            dead_mans_switch_s: 0,
        });
        Rig {
            orders: orders.unwrap(),
            reports: Reports::new(64),
            out: Outbox::new(16 * 1024, 16),
            now: Nanos(1_790_000_000_400 * MS),
            sequence: 0,
        }
    }

    /// Everything connected, snapshots in, nothing pending.
    pub(super) fn live() -> Rig {
        let mut rig = Rig::new(1000);
        for lane in 0..3 {
            rig.link(lane, true);
        }
        rig.tell(r#"{"isSnapshot":true,"orders":[]}"#);
        rig.tell(r#"{"isSnapshot":true,"balance":{"equity":"7.5","availableForTrade":"7"}}"#);
        rig.tell(r#"{"isSnapshot":true,"positions":[]}"#);
        assert_eq!(rig.kinds().last(), Some(&ReportKind::Up));
        rig
    }

    pub(super) fn link(&mut self, lane: Lane, up: bool) {
        if lane == STREAM_LANE {
            self.sequence = 0;
        }
        let (reports, out) = (&mut self.reports, &mut self.out);
        self.orders.on_link(lane, up, self.now, reports, out);
    }

    pub(super) fn say(&mut self, lane: Lane, status: u16, text: &str) -> FrameKind {
        let mut bytes = text.as_bytes().to_vec();
        let (reports, out) = (&mut self.reports, &mut self.out);
        self.orders
            .on_message(lane, status, &mut bytes, self.now, reports, out)
    }

    /// An account message with the next number.
    pub(super) fn tell(&mut self, data: &str) -> FrameKind {
        self.sequence += 1;
        let sequence = self.sequence;
        let text = format!(r#"{{"type":"X","data":{data},"ts":1,"seq":{sequence}}}"#);
        self.say(STREAM_LANE, 0, &text)
    }

    pub(super) fn beat_after(&mut self, ns: u64) {
        self.now = self.now.plus(ns);
        let (reports, out) = (&mut self.reports, &mut self.out);
        self.orders.on_beat(self.now, reports, out);
    }

    pub(super) fn order(&self, action: Action, number: u64) -> Order {
        Order {
            id: OrderId(number),
            action,
            venue: Venue::Extended,
            instrument: BTC,
            side: Side::Bid,
            price: Price::parse(b"84050").unwrap(),
            size: Size::parse(b"0.001").unwrap(),
            reduce_only: false,
            t_tick: self.now,
            t_decide: self.now,
        }
    }

    pub(super) fn send(&mut self, order: &Order) -> Result<Lane, Refusal> {
        self.orders.sign(order, self.now, || None)?;
        self.out.clear();
        self.orders.encode(self.now, &mut self.out);
        Ok(self.out.items()[0].lane)
    }

    pub(super) fn place(&mut self, number: u64) -> Lane {
        let order = self.order(Action::Place, number);
        self.send(&order).unwrap()
    }

    pub(super) fn query(&mut self, number: u64) -> Lane {
        let order = self.order(Action::Query, number);
        self.send(&order).unwrap()
    }

    /// Says that a request was taken, and no more.
    pub(super) fn agree(&mut self, lane: Lane) {
        self.say(lane, 200, r#"{"status":"OK"}"#);
    }

    /// Requests written since the last call: lane and request line.
    pub(super) fn asked(&mut self) -> Vec<(Lane, String)> {
        let line = |item: &crate::venue::OutItem| {
            let text = std::str::from_utf8(self.out.payload(item)).unwrap();
            (item.lane, text.lines().next().unwrap_or("").to_owned())
        };
        let items = self.out.items().iter();
        let asked = items.filter(|item| item.kind == OutKind::Http).map(line);
        let asked = asked.collect();
        self.out.clear();
        asked
    }

    pub(super) fn kinds(&mut self) -> Vec<ReportKind> {
        let kinds = self.reports.items().iter().map(|r| r.kind).collect();
        self.reports.clear();
        kinds
    }

    pub(super) fn reconnects(&mut self) -> Vec<Lane> {
        let items = self.out.items().iter();
        let lanes = items.filter(|item| item.kind == OutKind::Reconnect);
        let lanes = lanes.map(|item| item.lane).collect();
        self.out.clear();
        lanes
    }
}

pub(super) fn state(state: OrderState, filled: i64) -> ReportKind {
    ReportKind::State {
        state,
        filled: Size(filled),
    }
}

pub(super) fn order_json(id: &str, status: &str, filled: &str) -> String {
    format!(
        r#"{{"id":9223372036854775808,"externalId":"{id}","market":"BTC-USD","type":"LIMIT",
        "side":"BUY","status":"{status}","price":"84050.000000","qty":"0.001000",
        "filledQty":"{filled}"}}"#
    )
}

pub(super) fn trade_json(trade: u64, id: &str) -> String {
    format!(
        r#"{{"id":{trade},"market":"BTC-USD","orderId":9223372036854775808,{id}
        "side":"BUY","price":"84049.0000000000000000","qty":"0.0010000000000000",
        "fee":"0.0210122500000000","tradeType":"TRADE","isTaker":true}}"#
    )
}
