//! Orders of Extended: `Order` to signed request bytes; answers and account stream to `Report`s.
//!
//! Promises: an acknowledgement is never taken for a fill; an answer that did not come, or could
//! not be read, makes an order *Unknown* until the venue's own list or stream says otherwise; a
//! trade is reported once; a break in the account stream ends the connection and says `Down`.
//! Refuses: orders off the market's grid; entries past 80 % of the request budget; a second request
//! on a connection whose answer is outstanding.
//!
//! Lane 0 is the account stream, lanes `1..` are HTTP connections for requests, one at a time each.
//! Sources: D1 (create or edit order, account updates stream, rate limits), S1.

mod answer;
mod budget;
mod lanes;
mod place;
mod request;
mod stream;
mod table;

pub use request::SetupError;
pub(super) use request::parse_id;

use crate::market::event::FrameKind;
use crate::market::order::{Action, Order, OrderId, OrderState, Refusal, Report, ReportKind};
use crate::market::units::{Nanos, Size};
use crate::market::{INSTRUMENTS_MAX, InstrumentId, Venue};
use crate::venue::extended::sign::hash::{Chain, OrderHasher};
use crate::venue::extended::sign::{NoncePoint, Salts, StarkKey};
use crate::venue::extended::wire::Decoder;
use crate::venue::extended::{MarketConfig, USER_AGENT};
use crate::venue::{Lane, LaneProtocol, LaneSpec, Orders, Outbox, Reports, Signing};
use budget::{Budget, Claim};
use lanes::{Job, LaneState};
use request::{PlaceFields, Requests};
use stream::Stream;
use table::{Entry, OrderTable, SeenTrades, is_over};
use zeroize::Zeroizing;

/// HTTP connections where the settings name no other number. Larger: more orders at the same
/// moment, more requests to keep them warm. Smaller: orders are refused as Busy.
pub const HTTP_LANES_DEFAULT: usize = 3;
/// The lane of the account stream.
const STREAM_LANE: Lane = 0;
/// Largest account message or answer expected; a larger one costs one allocation.
const MESSAGE_BYTES: usize = 64 * 1024;

/// What the order side of one account is built from.
pub struct OrdersSettings<'a> {
    /// Base URL for order requests, e.g. `https://api.starknet.extended.exchange/api/v1`.
    pub order_url: &'a str,
    /// The account's API key.
    pub api_key: &'a str,
    /// The account's Stark key.
    pub key: StarkKey,
    /// Chain of the signing domain.
    pub chain: Chain,
    /// The account's vault (position id).
    pub vault: u32,
    /// Markets that may be traded.
    pub markets: &'a [MarketConfig],
    /// HTTP connections, at least 1; see [`HTTP_LANES_DEFAULT`].
    pub http_lanes: usize,
    /// Requests a minute the account may make.
    pub requests_per_minute: u32,
}

/// A request that was signed and waits for `encode`.
#[derive(Clone, Copy)]
struct Prepared {
    lane: Lane,
    job: Job,
    instrument: InstrumentId,
    /// What was signed; nothing for questions and cancels, which carry no signature.
    fields: Option<PlaceFields>,
}

/// Orders and the account stream of Extended, sans I/O.
pub struct ExtendedOrders {
    decoder: Decoder,
    core: Core,
    api_key: Zeroizing<String>,
}

/// Everything but the decoder, so that both can be borrowed at once.
struct Core {
    requests: Requests,
    key: StarkKey,
    hasher: OrderHasher,
    salts: Salts,
    markets: Box<[MarketConfig]>,
    /// Position in `markets` by instrument; `NO_MARKET` where there is none.
    market_idx: Box<[usize; INSTRUMENTS_MAX]>,
    /// HTTP lanes; lane `n` is at `n - 1`.
    lanes: Box<[LaneState]>,
    next_lane_idx: usize,
    budget: Budget,
    /// Orders sent lately.
    table: OrderTable,
    /// Trades booked lately.
    seen: SeenTrades,
    stream: Stream,
    /// The last word reported, `Up` or `Down`.
    is_up: bool,
    /// Between `sign` and `encode`.
    prepared: Option<Prepared>,
    /// The outbox had no room for this one; said at the next beat.
    unsent: Option<Prepared>,
    foreign_count: u64,
}

/// Marks an instrument that this account does not trade.
const NO_MARKET: usize = usize::MAX;

impl ExtendedOrders {
    /// Builds every constant text and table. Fails on settings that cannot work.
    pub fn new(settings: OrdersSettings<'_>) -> Result<ExtendedOrders, SetupError> {
        let public_key = settings.key.public_key();
        let account = (public_key, settings.vault);
        let (url, api_key) = (settings.order_url, settings.api_key);
        let requests = Requests::new(url, api_key, account, settings.markets)?;
        let mut market_idx = Box::new([NO_MARKET; INSTRUMENTS_MAX]);
        for (idx, config) in settings.markets.iter().enumerate() {
            let slot = market_idx.get_mut(config.market.instrument.idx());
            *slot.ok_or(SetupError::Instrument)? = idx;
        }
        let core = Core {
            requests,
            hasher: OrderHasher::new(settings.chain, public_key, settings.vault),
            key: settings.key,
            salts: Salts::random().ok_or(SetupError::NoRandomness)?,
            markets: settings.markets.into(),
            market_idx,
            lanes: vec![LaneState::Down; settings.http_lanes.max(1)].into_boxed_slice(),
            next_lane_idx: 0,
            budget: Budget::new(settings.requests_per_minute),
            table: OrderTable::new(),
            seen: SeenTrades::new(),
            stream: Stream::default(),
            is_up: false,
            prepared: None,
            unsent: None,
            foreign_count: 0,
        };
        Ok(ExtendedOrders {
            decoder: Decoder::new(MESSAGE_BYTES),
            core,
            api_key: Zeroizing::new(api_key.to_owned()),
        })
    }

    /// What to dial: the account stream below the stream's base URL, then the HTTP connections to
    /// the order URL's host.
    pub fn lanes(&self) -> Vec<LaneSpec> {
        let stream = LaneSpec {
            path: "/account".to_owned(),
            headers: vec![
                ("X-Api-Key", self.api_key.to_string()),
                ("User-Agent", USER_AGENT.to_owned()),
            ],
            protocol: LaneProtocol::WebSocket,
            is_spare: false,
        };
        let http = LaneSpec {
            path: String::new(),
            headers: Vec::new(),
            protocol: LaneProtocol::Http,
            is_spare: false,
        };
        let https = std::iter::repeat_n(http, self.core.lanes.len());
        std::iter::once(stream).chain(https).collect()
    }

    /// Account news that nobody here can explain: orders of others on this account, markets that
    /// are not in the table. Zero on a healthy account.
    pub fn foreign_count(&self) -> u64 {
        self.core.foreign_count
    }
}

impl Orders for ExtendedOrders {
    type Point = NoncePoint;

    fn on_link(&mut self, lane: Lane, up: bool, now: Nanos, reports: &mut Reports, _: &mut Outbox) {
        let core = &mut self.core;
        if lane == STREAM_LANE {
            core.stream = if up {
                Stream::connected(now)
            } else {
                Stream::default()
            };
        } else if let Some(slot) = core.lanes.get_mut(lane - 1) {
            let before = *slot;
            *slot = if up {
                LaneState::Idle { since: now }
            } else {
                LaneState::Down
            };
            if let LaneState::Busy { job, .. } = before {
                core.lose(job, now, reports);
            }
        }
        core.refresh_up(now, reports);
    }

    fn sign(
        &mut self,
        order: &Order,
        now: Nanos,
        ahead: impl FnOnce() -> Option<NoncePoint>,
    ) -> Result<Signing, Refusal> {
        let core = &mut self.core;
        core.prepared = None;
        let market_idx = core.market_at(order.instrument);
        let market_idx = market_idx.ok_or(Refusal::UnknownMarket)?;
        let (job, claim) = match order.action {
            // A hedge opens, but it closes the gap that a lone leg is; only a new pair's first
            // orders answer to a tick.
            Action::Place if order.reduce_only || order.t_tick == Nanos::ZERO => {
                (Job::Place(order.id), Claim::Exit)
            }
            Action::Place => (Job::Place(order.id), Claim::Entry),
            Action::Query => (Job::Query(order.id), Claim::Exit),
            Action::Cancel => (Job::Cancel(order.id), Claim::Cancel),
        };
        let lane = core.free_lane()?;
        if !core.budget.allows(claim, now) {
            return Err(Refusal::RateBudget);
        }
        let (fields, signing) = match order.action {
            Action::Place => {
                let (fields, signing) = core.sign_place(order, market_idx, now, ahead)?;
                (Some(fields), signing)
            }
            Action::Query | Action::Cancel => (None, Signing::Unsigned),
        };
        core.prepared = Some(Prepared {
            lane,
            job,
            instrument: order.instrument,
            fields,
        });
        Ok(signing)
    }

    fn encode(&mut self, now: Nanos, out: &mut Outbox) {
        if let Some(prepared) = self.core.prepared.take()
            && !self.core.write(&prepared, now, out)
        {
            self.core.unsent = Some(prepared);
        }
    }

    fn on_message(
        &mut self,
        lane: Lane,
        status: u16,
        bytes: &mut [u8],
        now: Nanos,
        reports: &mut Reports,
        out: &mut Outbox,
    ) -> FrameKind {
        let core = &mut self.core;
        let kind = if lane == STREAM_LANE {
            let kind = self
                .decoder
                .read(bytes, |root| core.take_stream(root, now, reports));
            if matches!(kind, FrameKind::Malformed | FrameKind::Gap) {
                core.lose_stream(out);
            }
            kind
        } else {
            let is_empty = bytes.iter().all(u8::is_ascii_whitespace);
            self.decoder.read(bytes, |root| {
                let answer = answer::Arrived {
                    status,
                    root,
                    is_empty,
                };
                core.take_answer(lane, answer, now, reports)
            })
        };
        self.core.refresh_up(now, reports);
        kind
    }

    fn on_beat(&mut self, now: Nanos, reports: &mut Reports, out: &mut Outbox) {
        let core = &mut self.core;
        if let Some(prepared) = core.unsent.take() {
            core.own_up(&prepared, now, reports);
        }
        for idx in 0..core.lanes.len() {
            if let Some(job) = core.lanes[idx].overdue(now) {
                core.lanes[idx] = LaneState::Failed;
                core.lose(job, now, reports);
            }
            if core.lanes[idx] == LaneState::Failed && out.reconnect(idx + 1) {
                core.lanes[idx] = LaneState::Down;
            }
        }
        core.keep_warm(now, out);
        core.watch_stream(now, out);
        core.refresh_up(now, reports);
    }
}

impl Core {
    fn market_at(&self, instrument: InstrumentId) -> Option<usize> {
        let idx = *self.market_idx.get(instrument.idx())?;
        (idx != NO_MARKET).then_some(idx)
    }

    /// Writes a prepared request and counts it; false when the outbox is full.
    fn write(&mut self, prepared: &Prepared, now: Nanos, out: &mut Outbox) -> bool {
        let lane = prepared.lane;
        let written = match (prepared.job, &prepared.fields) {
            (Job::Place(_), Some(fields)) => self.requests.place(lane, fields, out),
            (Job::Query(id), _) => self.requests.query(lane, id, out),
            (Job::Cancel(id), _) => self.requests.cancel(lane, id, out),
            (Job::Place(_) | Job::Warm, _) => self.requests.warm(lane, out),
        };
        if !written {
            return false;
        }
        self.budget.spend(now);
        self.lanes[lane - 1] = LaneState::Busy {
            job: prepared.job,
            t_sent: now,
        };
        if let Some(fields) = &prepared.fields {
            self.table.insert(Entry {
                id: fields.id,
                instrument: prepared.instrument,
                state: OrderState::Sent,
                filled: Size::ZERO,
                venue_id: 0,
                t_sent: now,
            });
        }
        true
    }

    /// Reports a change of readiness, once: the stream in step and a connection for orders.
    fn refresh_up(&mut self, now: Nanos, reports: &mut Reports) {
        let live = |lane: &LaneState| match lane {
            LaneState::Idle { .. } | LaneState::Busy { .. } => true,
            LaneState::Down | LaneState::Failed => false,
        };
        let is_up = self.stream.is_in_step() && self.lanes.iter().any(live);
        let kind = if is_up {
            ReportKind::Up
        } else {
            ReportKind::Down
        };
        // A full batch leaves the old word standing, so that the next beat says it again.
        if is_up != self.is_up && reports.push(report(OrderId::NONE, InstrumentId(0), now, kind)) {
            self.is_up = is_up;
        }
    }

    /// Reports where an order stands by the table.
    fn report_state(&mut self, id: OrderId, now: Nanos, reports: &mut Reports) {
        let (instrument, state, filled) = match self.table.by_id(id) {
            Some(entry) => (entry.instrument, entry.state, entry.filled),
            None => (InstrumentId(0), OrderState::Unknown, Size::ZERO),
        };
        let kind = ReportKind::State { state, filled };
        reports.push(report(id, instrument, now, kind));
    }

    /// The answer to this job will not come, or said nothing: unless the stream has told the end
    /// already, nobody knows.
    #[cold]
    fn lose(&mut self, job: Job, now: Nanos, reports: &mut Reports) {
        let (Job::Place(id) | Job::Cancel(id) | Job::Query(id)) = job else {
            return;
        };
        if let Some(entry) = self.table.by_id(id)
            && !is_over(entry.state)
        {
            entry.state = OrderState::Unknown;
        }
        self.report_state(id, now, reports);
    }

    /// The outbox had no room: a new order never left, a question stays open.
    #[cold]
    fn own_up(&mut self, prepared: &Prepared, now: Nanos, reports: &mut Reports) {
        match prepared.job {
            Job::Place(id) => {
                let why = Refusal::Busy;
                let kind = ReportKind::NotSent { why };
                reports.push(report(id, prepared.instrument, now, kind));
            }
            Job::Cancel(_) | Job::Query(_) | Job::Warm => self.lose(prepared.job, now, reports),
        }
    }
}

/// A report of this venue.
fn report(order: OrderId, instrument: InstrumentId, t: Nanos, kind: ReportKind) -> Report {
    Report {
        venue: Venue::Extended,
        instrument,
        order,
        t,
        kind,
    }
}

#[cfg(test)]
mod tests {
    use super::lanes::{ANSWER_NS_MAX, WARM_NS};
    use super::*;
    use crate::market::book::Side;
    use crate::market::units::{Bps, MS, Notional, Price, SECOND};
    use crate::market::{Market, Name};
    use crate::venue::OutKind;
    use crate::venue::extended::sign::hash::OrderTerms;
    use crate::venue::extended::sign::{BATCH, Felt, PointMaker, Signature, parse_felt, verify};
    use proptest::prelude::*;
    use serde_json::Value;

    const KEY: &str = "0x7a7ff6fd3cab02ccdcd4a572563f5976f8976899b03a39773795a3c486d4986";
    const BTC: InstrumentId = InstrumentId(4);
    const ETH: InstrumentId = InstrumentId(9);

    fn config(name: &str, instrument: InstrumentId) -> MarketConfig {
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
            },
            base_asset: parse_felt("0x4254432d3600000000000000000000").unwrap(),
            base_resolution: 1_000_000,
            quote_asset: Felt::ONE,
            quote_resolution: 1_000_000,
            fee_rate_taker: 250_000,
        }
    }

    struct Rig {
        orders: ExtendedOrders,
        reports: Reports,
        out: Outbox,
        now: Nanos,
        sequence: u64,
    }

    impl Rig {
        fn new(requests_per_minute: u32) -> Rig {
            let orders = ExtendedOrders::new(OrdersSettings {
                order_url: "https://api.example/api/v1",
                api_key: "the-key",
                key: StarkKey::parse_hex(KEY).unwrap(),
                chain: Chain::Main,
                vault: 10_002,
                markets: &[config("BTC-USD", BTC), config("ETH-USD", ETH)],
                http_lanes: 2,
                requests_per_minute,
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
        fn live() -> Rig {
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

        fn link(&mut self, lane: Lane, up: bool) {
            if lane == STREAM_LANE {
                self.sequence = 0;
            }
            let (reports, out) = (&mut self.reports, &mut self.out);
            self.orders.on_link(lane, up, self.now, reports, out);
        }

        fn say(&mut self, lane: Lane, status: u16, text: &str) -> FrameKind {
            let mut bytes = text.as_bytes().to_vec();
            let (reports, out) = (&mut self.reports, &mut self.out);
            self.orders
                .on_message(lane, status, &mut bytes, self.now, reports, out)
        }

        /// An account message with the next number.
        fn tell(&mut self, data: &str) -> FrameKind {
            self.sequence += 1;
            let sequence = self.sequence;
            let text = format!(r#"{{"type":"X","data":{data},"ts":1,"seq":{sequence}}}"#);
            self.say(STREAM_LANE, 0, &text)
        }

        fn beat_after(&mut self, ns: u64) {
            self.now = self.now.plus(ns);
            let (reports, out) = (&mut self.reports, &mut self.out);
            self.orders.on_beat(self.now, reports, out);
        }

        fn order(&self, action: Action, number: u64) -> Order {
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

        fn send(&mut self, order: &Order) -> Result<Lane, Refusal> {
            self.orders.sign(order, self.now, || None)?;
            self.out.clear();
            self.orders.encode(self.now, &mut self.out);
            Ok(self.out.items()[0].lane)
        }

        fn place(&mut self, number: u64) -> Lane {
            let order = self.order(Action::Place, number);
            self.send(&order).unwrap()
        }

        fn query(&mut self, number: u64) -> Lane {
            let order = self.order(Action::Query, number);
            self.send(&order).unwrap()
        }

        fn kinds(&mut self) -> Vec<ReportKind> {
            let kinds = self.reports.items().iter().map(|r| r.kind).collect();
            self.reports.clear();
            kinds
        }

        fn reconnects(&mut self) -> Vec<Lane> {
            let items = self.out.items().iter();
            let lanes = items.filter(|item| item.kind == OutKind::Reconnect);
            let lanes = lanes.map(|item| item.lane).collect();
            self.out.clear();
            lanes
        }
    }

    fn state(state: OrderState, filled: i64) -> ReportKind {
        ReportKind::State {
            state,
            filled: Size(filled),
        }
    }

    fn order_json(id: &str, status: &str, filled: &str) -> String {
        format!(
            r#"{{"id":9223372036854775808,"externalId":"{id}","market":"BTC-USD","type":"LIMIT",
            "side":"BUY","status":"{status}","price":"84050.000000","qty":"0.001000",
            "filledQty":"{filled}"}}"#
        )
    }

    fn trade_json(trade: u64, id: &str) -> String {
        format!(
            r#"{{"id":{trade},"market":"BTC-USD","orderId":9223372036854775808,{id}
            "side":"BUY","price":"84049.0000000000000000","qty":"0.0010000000000000",
            "fee":"0.0210122500000000","tradeType":"TRADE","isTaker":true}}"#
        )
    }

    #[test]
    fn an_order_is_signed_for_what_its_body_says() {
        let mut rig = Rig::live();
        let lane = rig.place(77);
        let text = std::str::from_utf8(rig.out.payload(&rig.out.items()[0])).unwrap();
        assert!(text.contains("\r\nX-Api-Key: the-key\r\n"));
        let body: Value = serde_json::from_str(text.split_once("\r\n\r\n").unwrap().1).unwrap();
        let number = |name: &str| body[name].as_str().unwrap().parse::<u64>().unwrap();
        let expiry_ms = body["expiryEpochMillis"].as_u64().unwrap();
        assert_eq!(expiry_ms, 1_790_000_061_000);
        let key = StarkKey::parse_hex(KEY).unwrap();
        // The hash is made from the body alone, as the venue does.
        let hash =
            OrderHasher::new(Chain::Main, key.public_key(), 10_002).order_hash(&OrderTerms {
                base_asset: parse_felt("0x4254432d3600000000000000000000").unwrap(),
                base_amount: 1000,
                quote_asset: Felt::ONE,
                quote_amount: -84_050_000,
                fee_amount: 21_013,
                expiration_s: expiry_ms / 1000 + 1_209_600,
                salt: number("nonce"),
            });
        let signature = &body["settlement"]["signature"];
        let part = |name: &str| parse_felt(signature[name].as_str().unwrap()).unwrap();
        let signature = Signature {
            r: part("r"),
            s: part("s"),
        };
        assert!(verify(key.public_key(), hash, &signature));
        assert_eq!(body["qty"], "0.001");
        assert_eq!(body["fee"], "0.00025");
        assert_eq!(body["id"], "px-77");
        assert!((1..=2).contains(&lane));
    }

    #[test]
    fn a_point_is_taken_for_a_signature_and_for_nothing_else() {
        let mut rig = Rig::live();
        let mut maker = PointMaker::new(&StarkKey::parse_hex(KEY).unwrap());
        let mut points = maker.prepare().unwrap().into_iter();
        for (action, left) in [
            (Action::Query, BATCH),
            (Action::Place, BATCH - 1),
            (Action::Place, BATCH - 2),
        ] {
            let order = rig.order(action, 1);
            let signing = match action {
                Action::Place => Signing::Ahead,
                Action::Query | Action::Cancel => Signing::Unsigned,
            };
            let signed = rig.orders.sign(&order, rig.now, || points.next());
            assert_eq!((signed, points.len()), (Ok(signing), left));
        }
        let off_grid = Order {
            price: Price(1),
            ..rig.order(Action::Place, 1)
        };
        let refused = rig.orders.sign(&off_grid, rig.now, || points.next());
        assert_eq!(refused, Err(Refusal::OffGrid));
        assert_eq!(points.len(), BATCH - 2, "a refusal costs no point");
        let order = rig.order(Action::Place, 1);
        assert_eq!(rig.orders.sign(&order, rig.now, || None), Ok(Signing::Full));
    }

    #[test]
    fn an_acknowledgement_is_not_a_fill() {
        let mut rig = Rig::live();
        let lane = rig.place(77);
        let reply = r#"{"status":"OK","data":{"id":1791389621914243072,"externalId":"px-77"}}"#;
        assert_eq!(rig.say(lane, 200, reply), FrameKind::Control);
        assert_eq!(rig.kinds(), [ReportKind::Acknowledged]);
        // A trade without our own id is explained by the venue's.
        let trade = trade_json(5, "").replace("9223372036854775808", "1791389621914243072");
        rig.tell(&format!(r#"{{"trades":[{trade}]}}"#));
        assert_eq!(rig.reports.items()[0].order, OrderId(77));
        let ReportKind::Fill {
            size, fee, price, ..
        } = rig.kinds()[0]
        else {
            panic!("a fill");
        };
        assert_eq!((size.0, price.0), (1_000_000, 84_049_000_000_000));
        assert_eq!(fee, Notional::from_nano(21_012_250));
    }

    #[test]
    fn refusals_and_silences_are_told_apart() {
        let reject = |code: &str| format!(r#"{{"status":"ERROR","error":{{"code":{code}}}}}"#);
        let rejected = |code| Some(ReportKind::Rejected { code });
        let unknown = Some(state(OrderState::Unknown, 0));
        for (status, body, expected) in [
            (400, reject("1140"), rejected(1140)),
            (200, reject("1101"), rejected(1101)),
            (503, reject("1010"), rejected(1010)),
            (404, reject("\"NOT_FOUND\""), rejected(404)),
            (429, String::new(), rejected(429)),
            (400, reject("1134"), unknown),
            (500, reject("500"), unknown),
            (400, reject("1006"), unknown),
            (503, "<html>".to_owned(), unknown),
            (200, "<html>".to_owned(), unknown),
            (403, "<html>".to_owned(), unknown),
            (500, r#"{"status":"OK"}"#.to_owned(), unknown),
            (204, String::new(), Some(ReportKind::Acknowledged)),
        ] {
            let mut rig = Rig::live();
            let lane = rig.place(77);
            rig.say(lane, status, &body);
            assert_eq!(rig.kinds().first().copied(), expected, "{status} {body}");
        }
    }

    #[test]
    fn after_too_many_requests_only_cancels_go() {
        let mut rig = Rig::live();
        let lane = rig.place(77);
        rig.say(lane, 429, "");
        let order = rig.order(Action::Place, 78);
        assert_eq!(rig.send(&order), Err(Refusal::RateBudget));
        let cancel = rig.order(Action::Cancel, 77);
        assert!(rig.send(&cancel).is_ok());
    }

    #[test]
    fn the_stream_may_be_faster_than_the_answer() {
        let mut rig = Rig::live();
        let lane = rig.place(77);
        let order = order_json("px-77", "FILLED", "0.0010000000000000");
        rig.tell(&format!(r#"{{"orders":[{order}]}}"#));
        assert_eq!(rig.kinds(), [state(OrderState::Filled, 1_000_000)]);
        // The answer gets lost: what the stream said stands.
        rig.link(lane, false);
        assert_eq!(rig.kinds(), [state(OrderState::Filled, 1_000_000)]);
    }

    #[test]
    fn filled_size_decides_not_the_status() {
        for (status, filled, expected) in [
            ("CANCELLED", "0.0004", state(OrderState::Cancelled, 400_000)),
            ("FILLED", "0.0004", state(OrderState::Cancelled, 400_000)),
            ("REJECTED", "0.0004", state(OrderState::Cancelled, 400_000)),
            ("REJECTED", "0", state(OrderState::Rejected, 0)),
            ("EXPIRED", "0", state(OrderState::Cancelled, 0)),
            (
                "PARTIALLY_FILLED",
                "0.0004",
                state(OrderState::Working, 400_000),
            ),
            ("SOMETHING_NEW", "0", state(OrderState::Unknown, 0)),
        ] {
            let mut rig = Rig::live();
            rig.place(77);
            let order = order_json("px-77", status, filled);
            rig.tell(&format!(r#"{{"orders":[{order}]}}"#));
            assert_eq!(rig.kinds(), [expected], "{status}");
        }
    }

    #[test]
    fn a_lost_answer_is_unknown_until_asked() {
        let mut rig = Rig::live();
        let lane = rig.place(77);
        rig.beat_after(ANSWER_NS_MAX);
        assert_eq!(rig.kinds(), []);
        rig.out.clear();
        rig.beat_after(1);
        assert_eq!(rig.kinds(), [state(OrderState::Unknown, 0)]);
        assert_eq!(rig.reconnects(), [lane]);
        // A late answer on the given-up connection explains nothing.
        assert_eq!(rig.say(lane, 200, r#"{"status":"OK"}"#), FrameKind::Unknown);
        let asked = rig.query(77);
        assert_ne!(asked, lane);
        let order = order_json("px-77", "CANCELLED", "0.0003");
        rig.say(
            asked,
            200,
            &format!(r#"{{"status":"OK","data":[{order}]}}"#),
        );
        assert_eq!(rig.kinds(), [state(OrderState::Cancelled, 300_000)]);
    }

    #[test]
    fn absent_is_certain_only_after_a_while() {
        let absent = [
            (404, r#"{"status":"ERROR","error":{"code":404}}"#),
            (404, ""),
            (200, r#"{"status":"OK","data":[]}"#),
        ];
        for (status, body) in absent {
            let mut rig = Rig::live();
            let lane = rig.place(77);
            rig.say(lane, 502, "");
            let lane = rig.query(77);
            rig.say(lane, status, body);
            let unknown = state(OrderState::Unknown, 0);
            assert_eq!(rig.kinds(), [unknown, unknown], "{body}");
            rig.now = rig.now.plus(3 * SECOND);
            let lane = rig.query(77);
            rig.say(lane, status, body);
            assert_eq!(rig.kinds(), [state(OrderState::Rejected, 0)], "{body}");
        }
    }

    #[test]
    fn a_query_that_fails_leaves_it_unknown() {
        let other = format!(
            r#"{{"status":"OK","data":[{}]}}"#,
            order_json("px-78", "FILLED", "0.001")
        );
        for (status, body) in [
            (500, ""),
            (200, "<html>"),
            (200, other.as_str()),
            (401, "{}"),
        ] {
            let mut rig = Rig::live();
            let lane = rig.place(77);
            rig.say(lane, 502, "");
            rig.now = rig.now.plus(10 * SECOND);
            let lane = rig.query(77);
            rig.kinds();
            rig.say(lane, status, body);
            assert_eq!(
                rig.kinds(),
                [state(OrderState::Unknown, 0)],
                "{status} {body}"
            );
        }
    }

    #[test]
    fn connections_carry_one_request_at_a_time() {
        let mut rig = Rig::live();
        assert_ne!(rig.place(1), rig.place(2));
        let third = rig.order(Action::Place, 3);
        assert_eq!(rig.send(&third), Err(Refusal::Busy));
        rig.say(1, 200, r#"{"status":"OK"}"#);
        assert_eq!(rig.send(&third), Ok(1));
        rig.link(1, false);
        rig.link(2, false);
        assert_eq!(rig.send(&third), Err(Refusal::NotConnected));
        let kinds = rig.kinds();
        assert!(kinds.contains(&ReportKind::Down), "{kinds:?}");
    }

    #[test]
    fn off_the_grid_is_refused_before_it_is_signed() {
        let mut rig = Rig::live();
        let good = rig.order(Action::Place, 1);
        let decimal = |text: &str| Size::parse(text.as_bytes()).unwrap();
        let price = |text: &str| Price::parse(text.as_bytes()).unwrap();
        for bad in [
            Order {
                size: decimal("0.000101234"),
                ..good
            },
            Order {
                size: decimal("0.00001"),
                ..good
            },
            Order {
                size: decimal("-0.001"),
                ..good
            },
            Order {
                price: price("84050.5"),
                ..good
            },
            Order {
                price: price("0"),
                ..good
            },
            Order {
                size: decimal("9000000000"),
                price: price("9000000000"),
                ..good
            },
        ] {
            assert_eq!(rig.send(&bad), Err(Refusal::OffGrid), "{bad:?}");
        }
        let elsewhere = Order {
            instrument: InstrumentId(5),
            ..good
        };
        assert_eq!(rig.send(&elsewhere), Err(Refusal::UnknownMarket));
        // A remainder may leave below the smallest size.
        let rest = Order {
            size: decimal("0.00001"),
            reduce_only: true,
            ..good
        };
        assert!(rig.send(&rest).is_ok());
    }

    #[test]
    fn entries_leave_a_reserve_for_exits() {
        let mut rig = Rig::new(10);
        rig.link(1, true);
        for number in 0..8 {
            let lane = rig.place(number + 1);
            rig.say(lane, 200, r#"{"status":"OK"}"#);
        }
        let entry = rig.order(Action::Place, 9);
        assert_eq!(rig.send(&entry), Err(Refusal::RateBudget));
        let hedge = Order {
            t_tick: Nanos::ZERO,
            ..entry
        };
        assert!(rig.orders.sign(&hedge, rig.now, || None).is_ok());
        let exit = Order {
            reduce_only: true,
            ..entry
        };
        assert!(rig.send(&exit).is_ok());
    }

    #[test]
    fn a_trade_is_booked_once_and_never_from_a_snapshot() {
        let mut rig = Rig::live();
        let trade = trade_json(5, r#""externalOrderId":"px-77","#);
        rig.tell(&format!(r#"{{"trades":[{trade}]}}"#));
        rig.tell(&format!(r#"{{"trades":[{trade}]}}"#));
        assert_eq!(rig.reports.items().len(), 1);
        let old = trade_json(6, r#""externalOrderId":"px-77","#);
        rig.tell(&format!(r#"{{"isSnapshot":true,"trades":[{old}]}}"#));
        rig.tell(&format!(r#"{{"trades":[{old}]}}"#));
        assert_eq!(rig.kinds().len(), 1);
    }

    #[test]
    fn several_members_in_one_message() {
        let mut rig = Rig::live();
        let trade = trade_json(5, r#""externalOrderId":"px-77","#);
        let order = order_json("px-77", "FILLED", "0.001");
        let position = r#"{"market":"ETH-USD","side":"SHORT","size":"0.3"}"#;
        rig.tell(&format!(
            r#"{{"orders":[{order}],"trades":[{trade}],"positions":[{position}],
            "balance":{{"equity":"1.000001","availableForTrade":"-0.5"}}}}"#
        ));
        let kinds = rig.kinds();
        assert!(matches!(kinds[0], ReportKind::Fill { trade: 5, .. }));
        assert_eq!(kinds[1], state(OrderState::Filled, 1_000_000));
        let size = Size(-300_000_000);
        assert_eq!(kinds[2], ReportKind::Position { size });
        let equity = Notional::from_nano(1_000_001_000);
        let available = Notional::from_nano(-500_000_000);
        assert_eq!(kinds[3], ReportKind::Balance { equity, available });
    }

    #[test]
    fn a_position_snapshot_names_every_market() {
        let mut rig = Rig::live();
        rig.link(0, false);
        rig.link(0, true);
        rig.kinds();
        let position = r#"{"market":"BTC-USD","side":"LONG","size":"0.2"}"#;
        rig.tell(&format!(
            r#"{{"isSnapshot":true,"positions":[{position}]}}"#
        ));
        let told: Vec<_> = rig.reports.items().iter().map(|r| r.instrument).collect();
        assert_eq!(told, [BTC, ETH]);
        let (long, flat) = (Size(200_000_000), Size::ZERO);
        let expected = [long, flat].map(|size| ReportKind::Position { size });
        assert_eq!(rig.kinds(), expected);
        rig.tell(
            r#"{"positions":[{"market":"BTC-USD","side":"LONG","size":"0.2","status":"CLOSED"}]}"#,
        );
        assert_eq!(rig.kinds(), [ReportKind::Position { size: flat }]);
        rig.tell(r#"{"positions":[{"market":"DOGE-USD","side":"LONG","size":"1"}]}"#);
        assert_eq!((rig.kinds().len(), rig.orders.foreign_count()), (0, 1));
    }

    #[test]
    fn a_break_in_the_stream_is_down_at_once() {
        for break_it in [
            |rig: &mut Rig| {
                rig.sequence += 1;
                rig.tell("{}")
            },
            |rig: &mut Rig| rig.say(0, 0, "nonsense"),
            |rig: &mut Rig| rig.say(0, 0, r#"{"error":"gone"}"#),
            |rig: &mut Rig| rig.tell(r#"{"trades":[{"id":"x"}]}"#),
        ] {
            let mut rig = Rig::live();
            rig.out.clear();
            let kind = break_it(&mut rig);
            assert!(matches!(kind, FrameKind::Gap | FrameKind::Malformed));
            assert_eq!(rig.kinds(), [ReportKind::Down]);
            assert_eq!(rig.reconnects(), [0]);
            // What still arrives is not believed.
            assert_eq!(
                rig.tell(r#"{"isSnapshot":true,"orders":[]}"#),
                FrameKind::Unknown
            );
        }
    }

    #[test]
    fn orders_that_ended_in_a_gap_are_unknown() {
        let mut rig = Rig::live();
        let lane = rig.place(77);
        rig.say(lane, 200, r#"{"status":"OK"}"#);
        rig.link(0, false);
        rig.now = rig.now.plus(SECOND);
        rig.link(0, true);
        rig.kinds();
        rig.tell(r#"{"isSnapshot":true,"orders":[]}"#);
        assert_eq!(rig.kinds(), [state(OrderState::Unknown, 0)]);
    }

    #[test]
    fn a_stream_that_never_speaks_is_given_up() {
        let mut rig = Rig::new(1000);
        rig.link(0, true);
        rig.beat_after(10 * SECOND + 1);
        assert_eq!(rig.reconnects(), [0]);
    }

    #[test]
    fn idle_connections_are_kept_warm_one_at_a_time() {
        let mut rig = Rig::live();
        rig.out.clear();
        rig.beat_after(WARM_NS);
        rig.beat_after(1);
        assert_eq!(rig.out.items().len(), 1);
        let lane = rig.out.items()[0].lane;
        assert_eq!(
            rig.say(lane, 200, r#"{"status":"OK","data":{}}"#),
            FrameKind::Control
        );
        rig.beat_after(1);
        assert_eq!(rig.out.items().len(), 2);
        assert_ne!(rig.out.items()[1].lane, lane);
        assert_eq!(rig.kinds(), []);
    }

    #[test]
    fn an_order_that_did_not_fit_never_left() {
        let mut rig = Rig::live();
        rig.out = Outbox::new(16, 4);
        let order = rig.order(Action::Place, 7);
        assert!(rig.orders.sign(&order, rig.now, || None).is_ok());
        rig.orders.encode(rig.now, &mut rig.out);
        rig.beat_after(1);
        let why = Refusal::Busy;
        assert_eq!(rig.kinds(), [ReportKind::NotSent { why }]);
    }

    #[test]
    fn a_cancel_that_fails_says_what_is_known() {
        let mut rig = Rig::live();
        let lane = rig.place(77);
        rig.say(lane, 200, r#"{"status":"OK"}"#);
        rig.kinds();
        let cancel = rig.order(Action::Cancel, 77);
        let lane = rig.send(&cancel).unwrap();
        rig.say(lane, 200, r#"{"status":"OK"}"#);
        assert_eq!(rig.kinds(), []);
        let lane = rig.send(&cancel).unwrap();
        rig.say(lane, 404, r#"{"status":"ERROR","error":{"code":1142}}"#);
        assert_eq!(rig.kinds(), [state(OrderState::Unknown, 0)]);
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(
            bytes in proptest::collection::vec(any::<u8>(), 0..200),
            lane in 0_usize..5,
            status in any::<u16>(),
        ) {
            let mut rig = Rig::live();
            rig.place(77);
            let mut bytes = bytes;
            let (reports, out) = (&mut rig.reports, &mut rig.out);
            rig.orders.on_message(lane, status, &mut bytes, rig.now, reports, out);
        }

        /// Damaged messages of the real shape: any answer, never a panic.
        #[test]
        fn damaged_messages_are_survived(
            at in 0_usize..400,
            byte in any::<u8>(),
            http in any::<bool>(),
        ) {
            let mut rig = Rig::live();
            let lane = rig.place(77);
            let order = order_json("px-77", "FILLED", "0.001");
            let trade = trade_json(5, "");
            let text = match http {
                true => format!(r#"{{"status":"OK","data":[{order}]}}"#),
                false => format!(r#"{{"data":{{"trades":[{trade}],"orders":[{order}]}},"seq":4}}"#),
            };
            let mut bytes = text.into_bytes();
            let idx = at % bytes.len();
            bytes[idx] = byte;
            let (reports, out) = (&mut rig.reports, &mut rig.out);
            let lane = if http { lane } else { 0 };
            rig.orders.on_message(lane, 200, &mut bytes, rig.now, reports, out);
        }
    }
}
