//! Ready-signed orders through the order side as a whole: the same bytes, a good signature, and no
//! use after anything that ends it.

use super::tests_rig::*;
use super::*;
use crate::market::book::Side;
use crate::market::foresight::Rung;
use crate::market::units::Price;
use crate::venue::extended::sign::amounts::{Exact, OrderValue, order_amounts};
use crate::venue::extended::sign::hash::{Chain, OrderTerms};
use crate::venue::extended::sign::{Felt, PointMaker, Signature, parse_felt, verify};
use proptest::prelude::*;
use serde_json::Value;
use std::collections::HashSet;

const LIFE_NS: u64 = 5 * SECOND;

/// Live, with a ladder, and a maker of points.
fn live() -> (Rig, PointMaker) {
    let mut rig = Rig::live();
    rig.orders = rig.orders.with_ladder(LIFE_NS);
    (rig, PointMaker::new(&StarkKey::parse_hex(KEY).unwrap()))
}

fn rung_of(order: &Order) -> Rung {
    Rung {
        instrument: order.instrument,
        side: order.side,
        price: order.price,
        size: order.size,
    }
}

/// Has an order foreseen and signed.
fn ready(rig: &mut Rig, maker: &mut PointMaker, order: &Order) {
    let word = Foresight::Rung(rung_of(order));
    rig.orders.foresee(&word, rig.now);
    let mut points = maker.prepare().unwrap().into_iter();
    assert!(rig.orders.prepare(rig.now, || points.next()));
    assert!(!rig.orders.prepare(rig.now, || points.next()), "one word");
    assert_eq!(rig.orders.ready_count(rig.now), 1);
}

/// How an order is signed that no point is there for.
fn how(rig: &mut Rig, order: &Order) -> Signing {
    rig.orders.sign(order, rig.now, || None).unwrap()
}

/// The request of the order signed last, and its body.
fn request(rig: &mut Rig) -> (String, Value) {
    rig.out.clear();
    rig.orders.encode(rig.now, &mut rig.out);
    let item = rig.out.items()[0];
    let text = String::from_utf8(rig.out.payload(&item).to_vec()).unwrap();
    let body = serde_json::from_str(text.split_once("\r\n\r\n").unwrap().1).unwrap();
    rig.agree(item.lane);
    rig.kinds();
    (text, body)
}

fn salt_of(body: &Value) -> u64 {
    body["nonce"].as_str().unwrap().parse().unwrap()
}

fn signature_of(body: &Value) -> Signature {
    let part = |name: &str| {
        let text = body["settlement"]["signature"][name].as_str();
        parse_felt(text.unwrap()).unwrap()
    };
    Signature {
        r: part("r"),
        s: part("s"),
    }
}

/// Whether the signature in a body is good for what the body and the order say.
fn is_good(order: &Order, body: &Value) -> bool {
    let config = config("BTC-USD", BTC);
    let amounts = order_amounts(&OrderValue {
        side: order.side,
        size: Exact::nano(order.size.0),
        price: Exact::nano(order.price.0),
        fee_rate: Exact::nano(config.fee_rate_taker),
        base_resolution: config.base_resolution,
        quote_resolution: config.quote_resolution,
    })
    .unwrap();
    let public_key = StarkKey::parse_hex(KEY).unwrap().public_key();
    let hasher = OrderHasher::new(Chain::Main, public_key, 10_002);
    let hash = hasher.order_hash(&OrderTerms {
        base_asset: config.base_asset,
        base_amount: amounts.base,
        quote_asset: Felt::ONE,
        quote_amount: amounts.quote,
        fee_amount: amounts.fee,
        expiration_s: body["expiryEpochMillis"].as_u64().unwrap() / 1000 + 1_209_600,
        salt: salt_of(body),
    });
    verify(public_key, hash, &signature_of(body))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// A ready order's request is, byte for byte, the one that signing on the spot would have
    /// written with the same salt, expiry and signature, and its signature is good.
    #[test]
    fn a_ready_order_is_the_same_order(
        is_bid in any::<bool>(),
        price in 1_000..200_000_i64,
        lots in 10..10_000_000_i64,
        number in 1..1_u64 << 48,
        reduce_only in any::<bool>(),
        waited_ns in 0..LIFE_NS,
    ) {
        let (mut rig, mut maker) = live();
        let order = Order {
            side: if is_bid { Side::Bid } else { Side::Ask },
            price: Price(price * 1_000_000_000),
            size: Size(lots * 10_000),
            reduce_only,
            ..rig.order(Action::Place, number)
        };
        ready(&mut rig, &mut maker, &order);
        let expiry_ms = (rig.now.epoch_ms().div_ceil(1000) + 60) * 1000;
        rig.now = rig.now.plus(waited_ns);
        prop_assert_eq!(how(&mut rig, &order), Signing::Ready);
        let (text, body) = request(&mut rig);
        prop_assert!(is_good(&order, &body), "{}", body);
        prop_assert_eq!(&body["id"], &format!("px-{number}"));
        prop_assert_eq!(&body["reduceOnly"], reduce_only);
        prop_assert_eq!(&body["expiryEpochMillis"], expiry_ms);
        let fields = PlaceFields {
            id: order.id,
            market_idx: 0,
            side: order.side,
            size: order.size,
            price: order.price,
            reduce_only,
            expiry_ms,
            salt: salt_of(&body) as u32,
            signature: signature_of(&body),
        };
        rig.out.clear();
        prop_assert!(rig.orders.core.requests.place(1, &fields, &mut rig.out));
        let spot = rig.out.payload(&rig.out.items()[0]);
        prop_assert_eq!(text.as_bytes(), spot);
        // And all but salt, expiry and signature is what the full way makes of the order by itself.
        prop_assert_eq!(how(&mut rig, &order), Signing::Full);
        let (_, mut full) = request(&mut rig);
        prop_assert!(is_good(&order, &full));
        for name in ["nonce", "expiryEpochMillis"] {
            full[name] = body[name].clone();
        }
        full["settlement"]["signature"] = body["settlement"]["signature"].clone();
        prop_assert_eq!(full, body);
    }
}

/// What ends a ready order's life.
#[derive(Clone, Copy, Debug)]
enum End {
    Used,
    Life,
    Dropped,
    AllDropped,
    StreamDown,
    LanesDown,
}

#[test]
fn nothing_is_used_after_its_end_and_no_salt_twice() {
    let mut salts = HashSet::new();
    for end in [
        End::Used,
        End::Life,
        End::Dropped,
        End::AllDropped,
        End::StreamDown,
        End::LanesDown,
    ] {
        let (mut rig, mut maker) = live();
        let order = rig.order(Action::Place, 77);
        ready(&mut rig, &mut maker, &order);
        match end {
            End::Used => {
                assert_eq!(how(&mut rig, &order), Signing::Ready);
                let (_, body) = request(&mut rig);
                assert!(salts.insert(salt_of(&body)));
            }
            End::Life => rig.now = rig.now.plus(LIFE_NS),
            End::Dropped => rig.orders.foresee(&Foresight::Drop(BTC), rig.now),
            End::AllDropped => rig.orders.foresee(&Foresight::DropAll, rig.now),
            End::StreamDown => rig.link(0, false),
            End::LanesDown => {
                (1..3).for_each(|lane| rig.link(lane, false));
            }
        }
        assert_eq!(rig.orders.ready_count(rig.now), 0, "{end:?}");
        if matches!(end, End::LanesDown) {
            let word = Foresight::Rung(rung_of(&order));
            rig.orders.foresee(&word, rig.now);
            let mut points = maker.prepare().unwrap().into_iter();
            let is_signed = rig.orders.prepare(rig.now, || points.next());
            assert!(!is_signed, "nothing could carry it");
            (1..3).for_each(|lane| rig.link(lane, true));
        }
        assert_eq!(how(&mut rig, &order), Signing::Full, "{end:?}");
        let (_, body) = request(&mut rig);
        assert!(salts.insert(salt_of(&body)), "{end:?}");
    }
}

#[test]
fn another_market_is_not_dropped_with_it() {
    let (mut rig, mut maker) = live();
    let order = rig.order(Action::Place, 77);
    ready(&mut rig, &mut maker, &order);
    rig.orders.foresee(&Foresight::Drop(ETH), rig.now);
    rig.orders
        .foresee(&Foresight::Drop(InstrumentId(200)), rig.now);
    assert_eq!(how(&mut rig, &order), Signing::Ready);
}

#[test]
fn what_can_not_be_sent_or_signed_ahead_is_not_kept() {
    let (mut rig, mut maker) = live();
    let good = rig.order(Action::Place, 77);
    for bad in [
        Order {
            price: Price(1),
            ..good
        },
        Order {
            price: Price::ZERO,
            ..good
        },
        Order {
            size: Size(1),
            ..good
        },
        Order {
            size: Size::ZERO,
            ..good
        },
        Order {
            instrument: InstrumentId(200),
            ..good
        },
    ] {
        rig.orders.foresee(&Foresight::Rung(rung_of(&bad)), rig.now);
        let mut points = maker.prepare().unwrap().into_iter();
        assert!(!rig.orders.prepare(rig.now, || points.next()), "{bad:?}");
    }
    // Without a point it waits for one, and is not signed in full.
    rig.orders
        .foresee(&Foresight::Rung(rung_of(&good)), rig.now);
    assert!(!rig.orders.prepare(rig.now, || None));
    assert_eq!(rig.orders.ready_count(rig.now), 0);
    let mut points = maker.prepare().unwrap().into_iter();
    assert!(rig.orders.prepare(rig.now, || points.next()));
    assert_eq!(rig.orders.ready_count(rig.now), 1);
    // Without a ladder nothing is kept at all.
    let mut rig = Rig::live();
    rig.orders
        .foresee(&Foresight::Rung(rung_of(&good)), rig.now);
    assert!(!rig.orders.prepare(rig.now, || points.next()));
}

/// The lane took nothing of it: the order was never sent, and what was signed for it is gone all
/// the same.
#[test]
fn an_order_that_did_not_leave_takes_its_signature_with_it() {
    let (mut rig, mut maker) = live();
    let order = rig.order(Action::Place, 77);
    ready(&mut rig, &mut maker, &order);
    assert_eq!(rig.send(&order), Ok(1));
    let now = rig.now;
    assert!(rig.orders.on_unsent(1, now));
    assert_eq!(how(&mut rig, &order), Signing::Full);
}
