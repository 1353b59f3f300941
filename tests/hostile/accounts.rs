//! The order side of both venues: account streams, answers to orders, HTTP bodies.

use crate::mutate::{Random, cases, extended, lighter, mutate};
use parallax::market::event::FrameKind;
use parallax::market::units::{Bps, Nanos, Notional, Price, Size};
use parallax::market::{Bounds, InstrumentId, Market, Name, Venue};
use parallax::venue::extended::MarketConfig;
use parallax::venue::extended::orders::{ExtendedOrders, OrdersSettings};
use parallax::venue::extended::sign::hash::Chain;
use parallax::venue::extended::sign::{StarkKey, parse_felt};
use parallax::venue::lighter::orders::{ApiKey, LighterOrders, Setup};
use parallax::venue::lighter::sign::PrivateKey;
use parallax::venue::{Orders, Outbox, Reports};

const NOW: Nanos = Nanos(1_785_432_000_000_000_000);
const LANES: usize = 3;
const STATUSES: [u16; 6] = [0, 200, 400, 401, 429, 503];

fn market(venue: Venue, name: &str) -> Market {
    Market {
        venue,
        instrument: InstrumentId(0),
        name: Name::new(name).expect("a short name"),
        venue_market: 1,
        tick: Price(100_000_000),
        lot: Size(10_000),
        size_min: Size(10_000),
        notional_min: Notional::ZERO,
        fee_taker: Bps::ZERO,
        fee_maker: Bps::ZERO,
        bounds: Bounds::default(),
    }
}

fn lighter_orders() -> LighterOrders {
    let setup = Setup {
        account_index: 516,
        chain_id: 300,
        keys: vec![ApiKey {
            index: 5,
            private: PrivateKey::parse_hex(&"42".repeat(40)).expect("a key"),
        }],
        sends_per_minute: 60,
        rest_url: "https://mainnet.zklighter.elliot.ai".into(),
        dead_mans_switch_s: 0,
    };
    let orders = LighterOrders::new(setup, &[market(Venue::Lighter, "BTC")]);
    let mut orders = orders.expect("a good setup");
    orders.set_nonce(5, 100);
    orders
}

fn extended_orders() -> ExtendedOrders {
    let config = MarketConfig {
        market: market(Venue::Extended, "BTC-USD"),
        base_asset: parse_felt("0x4254432d3600000000000000000000").expect("a field element"),
        base_resolution: 1_000_000,
        quote_asset: parse_felt("0x1").expect("a field element"),
        quote_resolution: 1_000_000,
        fee_rate_taker: 250_000,
    };
    let orders = ExtendedOrders::new(OrdersSettings {
        order_url: "https://api.starknet.extended.exchange/api/v1",
        api_key: "key",
        key: StarkKey::parse_hex("0x1234").expect("a key"),
        chain: Chain::Main,
        vault: 500_343,
        markets: &[config],
        http_lanes: 1,
        requests_per_minute: 1_000,
        dead_mans_switch_s: 0,
    });
    orders.expect("good settings")
}

/// Messages whole, bent and made up, on every lane and with every status; the connections come up
/// anew now and then, since most of what is wrong ends one.
fn survives(mut orders: impl Orders, recorded: &[(String, &'static str)]) {
    let (mut reports, mut out) = (Reports::new(64), Outbox::new(1 << 16, 64));
    let mut believed = 0;
    for case in 0..cases() {
        let mut random = Random(case);
        if case % 8 == 0 {
            for (lane, up) in (0..LANES).flat_map(|lane| [(lane, false), (lane, true)]) {
                orders.on_link(lane, up, NOW, &mut reports, &mut out);
            }
        }
        let text = random.pick(recorded).1;
        let mut bytes = match case % 4 {
            0 => text.as_bytes().to_vec(),
            1 => random.noise(300),
            _ => mutate(text, recorded, &mut random),
        };
        let (lane, status) = (random.below(LANES), *random.pick(&STATUSES));
        let kind = orders.on_message(lane, status, &mut bytes, NOW, &mut reports, &mut out);
        believed += u64::from(matches!(kind, FrameKind::Snapshot | FrameKind::Update));
        orders.on_beat(NOW, &mut reports, &mut out);
        assert!(reports.items().len() <= 64 && out.items().len() <= 64);
        reports.clear();
        out.clear();
    }
    assert!(believed > 0, "some of it was the account's own news");
}

#[test]
fn lighter_orders_survive_everything() {
    survives(lighter_orders(), &lighter());
}

#[test]
fn extended_orders_survive_everything() {
    survives(extended_orders(), &extended());
}
