//! From an order to its request's bytes on Extended, by the three ways it may be signed.
//!
//! `cargo bench --bench encode`. *Ready* finds the order signed and its body written; *ahead* has a
//! nonce point and hashes; *full* has nothing. Every request is checked before anything is timed:
//! its signature by `starknet-crypto`, its length, and that all three say the same of the order.
//! Ladders and points are filled in untimed pauses between the rounds, in which the ways take turns
//! on the same 64 orders. *Refill* is what such a pause costs an order.

use parallax::market::book::Side;
use parallax::market::foresight::{Foresight, Rung};
use parallax::market::order::{Action, Order, OrderId, Signing};
use parallax::market::units::{Bps, MS, Nanos, Notional, Price, SCALE, SECOND, Size};
use parallax::market::{Bounds, InstrumentId, Market, Name, Venue};
use parallax::venue::extended::MarketConfig;
use parallax::venue::extended::orders::{ExtendedOrders, OrdersSettings};
use parallax::venue::extended::sign::hash::{Chain, OrderHasher, OrderTerms};
use parallax::venue::extended::sign::{
    Felt, NoncePoint, PointMaker, Signature, StarkKey, parse_felt, verify,
};
use parallax::venue::{Orders, Outbox, Reports};
use serde_json::Value;
use std::hint::black_box;
use std::time::Instant;

const KEY: &str = "0x7a7ff6fd3cab02ccdcd4a572563f5976f8976899b03a39773795a3c486d4986";
const VAULT: u32 = 10_002;
/// Orders of one round: eight limits on either side of each market fill every place of a ladder.
const MARKETS: u16 = 4;
const LIMITS: i64 = 8;
/// Rounds; the median over all calls of all rounds is told.
const ROUNDS: usize = 201;
/// Budgets on the build machine, microseconds: the hash is the least that *ahead* can take; most of
/// *ready* is the order table's search for a free seat, once in either step.
const READY_US_MAX: f64 = 2.0;
const AHEAD_US_MAX: f64 = 17.0;

fn market(number: u16) -> MarketConfig {
    MarketConfig {
        market: Market {
            venue: Venue::Extended,
            instrument: InstrumentId(number),
            name: Name::new(&format!("M{number}-USD")).unwrap(),
            venue_market: 0,
            tick: Price(SCALE),
            lot: Size(SCALE / 100_000),
            size_min: Size(SCALE / 10_000),
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

struct Bench {
    orders: ExtendedOrders,
    maker: PointMaker,
    out: Outbox,
    now: Nanos,
}

impl Bench {
    fn new() -> Bench {
        let key = StarkKey::parse_hex(KEY).unwrap();
        let maker = PointMaker::new(&key);
        let markets: Vec<MarketConfig> = (0..MARKETS).map(market).collect();
        let orders = ExtendedOrders::new(OrdersSettings {
            order_url: "https://api.starknet.extended.exchange/api/v1",
            api_key: "f4aa1ba3e3038adf522981a90d2a1c57",
            key,
            chain: Chain::Main,
            vault: VAULT,
            markets: &markets,
            http_lanes: 3,
            requests_per_minute: 100_000,
            dead_mans_switch_s: 0,
        });
        let mut bench = Bench {
            orders: orders.unwrap().with_ladder(5 * SECOND),
            maker,
            out: Outbox::new(16 * 1024, 16),
            now: Nanos(1_790_000_000 * SECOND),
        };
        let mut reports = Reports::new(64);
        for lane in 1..=3 {
            let (now, out) = (bench.now, &mut bench.out);
            bench.orders.on_link(lane, true, now, &mut reports, out);
        }
        bench.out.clear();
        bench
    }

    fn points(&mut self, count: usize) -> Vec<NoncePoint> {
        let maker = &mut self.maker;
        let batches = std::iter::repeat_with(|| maker.prepare().unwrap());
        batches.flatten().take(count).collect()
    }

    /// Fills the ladder; nanoseconds an order, its point among them.
    fn refill(&mut self, all: &[Order]) -> f64 {
        for order in all {
            let rung = Rung {
                instrument: order.instrument,
                side: order.side,
                price: order.price,
                size: order.size,
            };
            self.orders.foresee(&Foresight::Rung(rung), self.now);
        }
        let start = Instant::now();
        let mut points = self.points(all.len()).into_iter();
        while self.orders.prepare(self.now, || points.next()) {}
        let ns = start.elapsed().as_nanos() as f64;
        assert_eq!(self.orders.ready_count(self.now), all.len());
        ns / all.len() as f64
    }

    /// Signs and writes one order: nanoseconds of either step. The lane is free again after it.
    fn send(&mut self, order: &Order, point: Option<NoncePoint>, how: Signing) -> [f64; 2] {
        let start = Instant::now();
        let signed = self.orders.sign(black_box(order), self.now, || point);
        let middle = Instant::now();
        self.orders.encode(self.now, &mut self.out);
        let end = Instant::now();
        assert_eq!(signed, Ok(how));
        [middle - start, end - middle].map(|step| step.as_nanos() as f64)
    }

    fn take_back(&mut self) {
        let lane = self.out.items()[0].lane;
        self.out.clear();
        assert!(self.orders.on_unsent(lane, self.now));
    }
}

/// The orders of a round: every limit of every side of every market.
fn orders() -> Vec<Order> {
    let sides = [Side::Bid, Side::Ask];
    let all = (0..MARKETS).flat_map(|market| {
        sides.into_iter().flat_map(move |side| {
            (0..LIMITS).map(move |step| Order {
                id: OrderId::new(9, u32::from(market), step as u8 + 1),
                action: Action::Place,
                venue: Venue::Extended,
                instrument: InstrumentId(market),
                side,
                price: Price((84_050 + step) * SCALE),
                size: Size(SCALE / 1000),
                reduce_only: false,
                t_tick: Nanos::ZERO,
                t_decide: Nanos::ZERO,
            })
        })
    });
    all.collect()
}

/// Checks the request that was written last; gives its body without what differs by the way.
fn checked(bench: &mut Bench, order: &Order) -> Value {
    let text = bench.out.payload(&bench.out.items()[0]).to_vec();
    bench.take_back();
    let text = String::from_utf8(text).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    assert!(head.contains(&format!("Content-Length: {}", body.len())));
    let mut body: Value = serde_json::from_str(body).unwrap();
    let signature = body["settlement"]["signature"].take();
    let part = |name: &str| parse_felt(signature[name].as_str().unwrap()).unwrap();
    let (r, s) = (part("r"), part("s"));
    let sign = if order.side == Side::Bid { 1 } else { -1 };
    let quote = order.price.0 / SCALE * 1_000;
    let public_key = StarkKey::parse_hex(KEY).unwrap().public_key();
    let hasher = OrderHasher::new(Chain::Main, public_key, VAULT);
    let hash = hasher.order_hash(&OrderTerms {
        base_asset: parse_felt("0x4254432d3600000000000000000000").unwrap(),
        base_amount: sign * 1_000,
        quote_asset: Felt::ONE,
        quote_amount: -sign * quote,
        fee_amount: (quote as u64 * 250).div_ceil(1_000_000),
        expiration_s: body["expiryEpochMillis"].as_u64().unwrap() / 1000 + 14 * 86_400,
        salt: body["nonce"].as_str().unwrap().parse().unwrap(),
    });
    assert!(verify(public_key, hash, &Signature { r, s }));
    body["nonce"].take();
    body
}

fn check(bench: &mut Bench, all: &[Order]) {
    bench.refill(all);
    for order in all {
        bench.send(order, None, Signing::Ready);
        let ready = checked(bench, order);
        let point = bench.points(1).pop();
        bench.send(order, point, Signing::Ahead);
        assert_eq!(checked(bench, order), ready);
        bench.send(order, None, Signing::Full);
        assert_eq!(checked(bench, order), ready);
    }
}

fn quantile(values: &mut [f64], percent: usize) -> f64 {
    values.sort_by(f64::total_cmp);
    values[(values.len() - 1) * percent / 100]
}

fn main() {
    let (mut bench, all) = (Bench::new(), orders());
    check(&mut bench, &all);
    let mut steps: [[Vec<f64>; 3]; 3] = Default::default();
    let mut refills = Vec::new();
    for _ in 0..ROUNDS {
        // A second apart, so that the budget of requests never binds.
        bench.now = bench.now.plus(SECOND + 7 * MS);
        refills.push(bench.refill(&all));
        for (way, how) in [Signing::Ready, Signing::Ahead, Signing::Full]
            .into_iter()
            .enumerate()
        {
            let mut points = match how {
                Signing::Ahead => bench.points(all.len()),
                _ => Vec::new(),
            };
            for order in &all {
                let [sign, encode] = bench.send(order, points.pop(), how);
                bench.take_back();
                for (kept, ns) in steps[way].iter_mut().zip([sign, encode, sign + encode]) {
                    kept.push(ns);
                }
            }
        }
    }
    println!("Extended, an order to its request's bytes; us: p50 (p99)");
    println!("| signed | sign | encode | both | of full |");
    println!("|---|---|---|---|---|");
    let mut full = steps[2][2].clone();
    let full = quantile(&mut full, 50);
    let mut both = Vec::new();
    for (name, kept) in ["ready", "ahead", "full"].into_iter().zip(&mut steps) {
        let cells = kept.each_mut().map(|values| {
            let (p50, p99) = (quantile(values, 50), quantile(values, 99));
            format!("{:.2} ({:.2})", p50 / 1e3, p99 / 1e3)
        });
        let p50 = quantile(&mut kept[2], 50);
        println!("| {name} | {} | 1/{:.1} |", cells.join(" | "), full / p50);
        both.push(p50 / 1e3);
    }
    let refill = quantile(&mut refills, 50) / 1e3;
    println!(
        "refill: {refill:.1} us an order, {:.0} orders a second",
        1e6 / refill
    );
    for (name, us, most) in [
        ("ready", both[0], READY_US_MAX),
        ("ahead", both[1], AHEAD_US_MAX),
    ] {
        let is_met = if us <= most { "met" } else { "missed" };
        println!("{name}: {us:.2} of {most} us, {is_met}");
    }
}
