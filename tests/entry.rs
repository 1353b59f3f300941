//! Edges through the scanner: what they are made of, and what keeps them from being taken.

#[path = "rig/scripted.rs"]
mod scripted;

use parallax::market::book::{Side, flags};
use parallax::market::edge::Parts;
use parallax::market::event::{Control, Event, PairEnd, Reason};
use parallax::market::order::{OrderId, OrderState, ReportKind};
use parallax::market::reference::ReferenceKind;
use parallax::market::units::{Bps, MS, Nanos, Notional, Price, SECOND, Size};
use parallax::market::{InstrumentId, VENUES, Venue};
use parallax::scanner::arrival::key::{KEYS, Key};
use parallax::scanner::arrival::memory::{Cell, Sums};
use parallax::scanner::edge::Settings;
use parallax::scanner::funding::{HOUR_NS, Hours};
use parallax::scanner::risk::{LegOrder, Limits};
use parallax::scanner::spread::Haircut;
use proptest::prelude::*;
use scripted::*;

const ETH: InstrumentId = InstrumentId(1);

fn with(edge: Settings) -> Limits {
    Limits {
        edge,
        ..Limits::default()
    }
}

fn parts(rig: &Rig) -> Vec<Parts> {
    let taken = |event: &Event| match event {
        Event::Taken { parts, .. } => Some(*parts),
        _ => None,
    };
    rig.events.iter().filter_map(taken).collect()
}

/// Back at the fair on executable prices.
fn back(rig: &mut Rig) {
    rig.book(Extended, "999.9", "1000.1");
    rig.book(Lighter, "999.7", "999.9");
}

fn near(bps: Bps, expected: f64) -> bool {
    (bps.to_f64() - expected).abs() < 0.02
}

// --- the parts ---

#[test]
fn every_part_of_a_taken_edge_is_told() {
    let mut rig = Rig::ready(Limits::default());
    rig.edge();
    let parts = parts(&rig)[0];
    // Bought at 1000.1 and sold at 1001.4; 2.5 bps twice on one venue; books 2 bps wide.
    assert!(near(parts.gross, 13.0), "{parts:?}");
    assert_eq!(parts.fees, Bps::whole(5));
    assert!(near(parts.closing, 2.0));
    assert_eq!(parts.slippage, Bps::from_milli(500));
    assert!(parts.rounding > Bps::ZERO && parts.rounding < Bps::from_milli(5));
    assert_eq!((parts.funding, parts.uncertainty), (Bps::ZERO, Bps::ZERO));
    assert!((1..10_000).contains(&parts.impact_e4));
    assert!(near(parts.net(), 5.5));
}

#[test]
fn own_fills_teach_slippage_and_the_depth_at_match_is_told() {
    let mut rig = Rig::ready(Limits {
        cooldown_ns: 0,
        ..Limits::default()
    });
    rig.edge();
    let slow = rig.only(Lighter);
    // Two units at each tick; the limit reaches half a basis point below 1001.4.
    rig.fill(&slow, slow.size, price("1001.35"));
    rig.state(&slow, OrderState::Filled, slow.size);
    rig.turn();
    let matched = |event: &Event| match event {
        Event::Matched { size, depth, .. } => Some((*size, *depth)),
        _ => None,
    };
    let seen: Vec<_> = rig.events.iter().filter_map(matched).collect();
    assert_eq!(seen, [(slow.size, size("2"))]);
    let fast = rig.only(Extended);
    rig.fill_all(&fast);
    back(&mut rig);
    for _ in VENUES {
        for order in rig.placed() {
            rig.fill_all(&order);
        }
    }
    assert_eq!(rig.summary().end, PairEnd::Closed);
    rig.pass(1_100);
    rig.settle();
    rig.edge();
    let all = parts(&rig);
    assert_eq!(all.len(), 2, "{:?}", rig.reasons());
    assert_ne!(all[1].slippage, all[0].slippage, "it was learned");
    // What the opening legs slip is in what is learned of arrival, here nothing, and not taken off
    // beside it; what the closing legs slip is, once.
    let net = rig.events.iter().rev().find_map(|event| match event {
        Event::Taken { net, .. } => Some(*net),
        _ => None,
    });
    let without = all[1].net() + all[1].slippage;
    assert!(net.is_some_and(|net| net > all[1].net() && net < without));
}

// --- the fair ---

#[test]
fn an_uncertain_fair_eats_the_edge() {
    // Nine seconds at nothing, then three at 2.9 bps: the fast median has gone, the slow has not.
    let mut rig = Rig::ready(Limits {
        fair_window_ns: 20 * SECOND,
        net_min: bps("4"),
        edge: Settings {
            fair_fast_ns: 3 * SECOND,
            ..Settings::DEFAULT
        },
        ..Limits::default()
    });
    for step in 0..120 {
        match step < 90 {
            true => rig.calm(),
            false => rig.book(Lighter, "1000.14", "1000.34"),
        }
        rig.pass(100);
    }
    rig.book(Extended, "999.9", "1000.1");
    rig.edge();
    assert!(rig.placed().is_empty());
    assert_eq!(rig.reasons(), [Reason::Uncertain]);
}

/// A shift of 10 bps that never reverts, and that flickers: entered once, left by time, and not
/// again before the fair was learned anew.
#[test]
fn a_flickering_shift_is_entered_once_a_regime() {
    let mut rig = Rig::ready(Limits {
        regime_after_ns: 20 * SECOND,
        hold_max_ns: 3 * SECOND,
        cooldown_ns: 100 * MS,
        ..Limits::default()
    });
    let mut entries = 0;
    for step in 0..180 {
        rig.book(Extended, "999.9", "1000.1");
        // Each half second the edge is gone for 150 ms: an episode ends, a calm second never comes.
        match step % 5 {
            0 => rig.book(Lighter, "1000.0", "1000.2"),
            _ => rig.edge(),
        }
        rig.pass(100);
        for order in rig.placed() {
            entries += u32::from(!order.reduce_only && order.venue == Lighter);
            rig.fill_all(&order);
        }
    }
    assert_eq!(entries, 1);
    assert!(rig.refused(Reason::RegimeChange), "{:?}", rig.reasons());
    let begun = |event: &Event| matches!(event, Event::Seen { .. });
    assert!(rig.count(begun) > 10, "it did flicker");
}

#[test]
fn an_edge_beyond_belief_freezes_its_market() {
    let mut rig = Rig::ready(Limits::default());
    rig.book(Lighter, "1011.4", "1011.6");
    assert_eq!(rig.reasons(), [Reason::Implausible]);
    rig.calm();
    rig.pass(100);
    // A plausible one half a minute later is refused all the same, and taken a minute later.
    for (second, taken) in [(30, 0), (61, 1)] {
        for _ in 0..second * 2 {
            rig.calm();
            rig.pass(500);
        }
        rig.edge();
        assert_eq!(rig.placed().len(), taken, "{second}");
        rig.calm();
        rig.pass(200);
    }
}

// --- common mode ---

fn both(rig: &mut Rig, bid: &str, ask: &str) {
    for at in [BTC, ETH] {
        rig.book_of(at, Extended, ("999.9", "1000.1"), "2");
        rig.book_of(at, Lighter, (bid, ask), "2");
    }
}

fn two_markets() -> Rig {
    two_markets_with(Limits::default())
}

fn two_markets_with(limits: Limits) -> Rig {
    with_second(Rig::ready(limits))
}

/// The second market beside the first, both fairs known.
fn with_second(mut rig: Rig) -> Rig {
    let (instrument, basis) = (ETH, Bps::ZERO);
    rig.command(Control::FairSeed { instrument, basis });
    rig.settle_at(ETH);
    for _ in 0..70 {
        both(&mut rig, "999.9", "1000.1");
        rig.pass(100);
    }
    rig
}

#[test]
fn a_move_of_all_markets_stops_every_entry() {
    let mut rig = two_markets();
    // Two seconds and a half until the median of five has gone; below the minimum net edge.
    for _ in 0..40 {
        both(&mut rig, "1000.6", "1000.8");
        rig.pass(100);
    }
    assert!(rig.placed().is_empty());
    both(&mut rig, "1001.4", "1001.6");
    assert!(rig.placed().is_empty());
    assert!(rig.refused(Reason::CommonMode), "{:?}", rig.reasons());
}

#[test]
fn a_move_of_one_market_is_its_own() {
    let mut rig = two_markets();
    for _ in 0..40 {
        both(&mut rig, "999.9", "1000.1");
        rig.book(Lighter, "1000.6", "1000.8");
        rig.pass(100);
    }
    rig.edge();
    assert_eq!(rig.placed().len(), 1, "{:?}", rig.reasons());
}

// --- which first, and how much ---

/// Lighter's bid on a market, unheard as yet.
fn bid_unheard(rig: &mut Rig, at: InstrumentId, bid: &str, ask: &str) {
    let mut flags = flags::CLEAR | flags::SNAPSHOT;
    for (side, best) in [(Side::Bid, bid), (Side::Ask, ask)] {
        rig.delta(at, Lighter, (side, price(best), size("2")), flags);
        flags = flags::SNAPSHOT | flags::LAST;
    }
}

/// Of two that are ripe in one turn the better is entered, whichever news came first.
#[test]
fn the_best_of_a_turn_is_entered_first() {
    let (low, high) = (("1001.4", "1001.6"), ("1002.4", "1002.6"));
    for ((btc, eth), best) in [((low, high), ETH), ((high, low), BTC)] {
        for order in [[BTC, ETH], [ETH, BTC]] {
            let mut rig = two_markets_with(Limits {
                gross_max: Notional::from_usd(300),
                ..Limits::default()
            });
            for at in order {
                let (bid, ask) = if at == BTC { btc } else { eth };
                bid_unheard(&mut rig, at, bid, ask);
            }
            rig.turn();
            let taken = |event: &Event| match event {
                Event::Taken { instrument, .. } => Some(*instrument),
                _ => None,
            };
            let taken: Vec<_> = rig.events.iter().filter_map(taken).collect();
            assert_eq!(taken, [best], "{order:?} {:?}", rig.reasons());
            assert_eq!(
                rig.reasons(),
                [Reason::MaxGross],
                "what is left is too little"
            );
        }
    }
}

/// Both markets, whose edges stay as they are seen and whose first orders fill as often as this,
/// per cent.
fn filling(limits: Limits, fills_pct: [i64; 2]) -> Rig {
    let mut table = steady();
    for (market, fill_pct) in table.markets.iter_mut().zip(fills_pct) {
        let some = Sums {
            filled: (fill_pct << 20) / 100,
            ..Sums::default()
        };
        let cell = Cell {
            tries: 1 << 20,
            orders: [some; 3],
        };
        for number in 0..KEYS as u16 {
            market.restore(Key::from_number(number).unwrap(), cell);
        }
    }
    let mut rig = Rig::new(limits).knowing(table);
    rig.open_for_business();
    with_second(rig)
}

/// Edges on both markets in one turn, this far over the calm price in hundredths: what is taken, in
/// turn, with the net edge expected and the size.
fn taken_of(rig: &mut Rig, over: [i64; 2]) -> Vec<(InstrumentId, f64)> {
    for (at, over) in [BTC, ETH].into_iter().zip(over) {
        let [bid, ask] = [100_000 + over, 100_020 + over];
        let text = |hundredths: i64| format!("{}.{:02}", hundredths / 100, hundredths % 100);
        bid_unheard(rig, at, &text(bid), &text(ask));
    }
    rig.turn();
    let taken = |event: &Event| match event {
        Event::Taken {
            instrument,
            net,
            size,
            ..
        } => Some((*instrument, net.to_f64() * size.0 as f64)),
        _ => None,
    };
    rig.events.iter().filter_map(taken).collect()
}

/// One first order that mostly misses and one that mostly fills: where tokens are scarce, one that
/// is spent on a miss is dear, and one that is spent only after a fill is not.
#[test]
fn where_tokens_bind_the_best_for_each_is_entered_first() {
    // Fill 100 and 40 in 100, for 12 and 18 bps net: more money on the first, more for each of the
    // slow venue's tokens on the second where the fast leg goes first.
    let (fills_pct, over) = ([100, 40], [200, 260]);
    for (order, scarce, first) in [
        (LegOrder::FastFirst, [800, 40], BTC),
        (LegOrder::FastFirst, [800, 5], ETH),
        (LegOrder::FastFirst, [5, 40], BTC),
        (LegOrder::SlowFirst, [5, 40], ETH),
    ] {
        let mut rig = filling(scarce_of(scarce, order), fills_pct);
        let taken = taken_of(&mut rig, over);
        assert_eq!(taken[0].0, first, "{order:?} {scarce:?} {taken:?}");
        let alone = scarce != [800, 40];
        assert_eq!(taken.len() == 1, alone, "{taken:?}");
        assert_eq!(rig.refused(Reason::RateBudget), alone);
    }
}

fn scarce_of(orders_per_minute: [u32; 2], leg_order: LegOrder) -> Limits {
    Limits {
        orders_per_minute,
        leg_order,
        ..Limits::default()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// Money is the expected edge times size times how often the first order fills; a first order
    /// spends a token whatever becomes of it, all others only after its fill. Which of two is
    /// entered follows from that, whoever was heard first.
    #[test]
    fn which_is_first_is_as_counted_by_hand(
        fills_pct in [20_i64..=100, 20_i64..=100],
        over in [130_i64..=400, 130_i64..=400],
        order in prop::sample::select(vec![
            LegOrder::SlowFirst,
            LegOrder::FastFirst,
            LegOrder::Both,
        ]),
        scarce in prop::sample::select(vec![[800, 40], [5, 40], [800, 5]]),
    ) {
        let ample = taken_of(&mut filling(scarce_of([800, 40], order), fills_pct), over);
        prop_assert_eq!(ample.len(), 2);
        let fill = |at: InstrumentId| fills_pct[at.idx()] as f64 / 100.0;
        let goes_first = match (scarce, order) {
            ([800, 40], _) => None,
            (_, LegOrder::Both) => Some(true),
            ([5, _], _) => Some(order == LegOrder::FastFirst),
            _ => Some(order == LegOrder::SlowFirst),
        };
        let worth = |(at, made): &(InstrumentId, f64)| {
            let fill = fill(*at);
            let tokens = match goes_first {
                None => 1.0,
                // Its first order, and the way out after a fill.
                Some(true) => 1.0 + fill,
                // The hedge and the way out after a fill.
                Some(false) => fill + fill,
            };
            made * fill / tokens
        };
        let (one, other) = (worth(&ample[0]), worth(&ample[1]));
        // Which of two that are worth nearly the same is first is nobody's business.
        prop_assume!((one - other).abs() > 0.03 * one.max(other));
        let best = if one > other { ample[0].0 } else { ample[1].0 };
        let taken = taken_of(&mut filling(scarce_of(scarce, order), fills_pct), over);
        prop_assert_eq!(taken[0].0, best, "{:?} {:?}", ample, taken);
    }
}

/// What is ripe waits for the end of a message that has been heard in part, and no longer.
#[test]
fn a_book_in_the_middle_of_a_message_is_not_entered() {
    let mut rig = Rig::ready(Limits::default());
    rig.shift_unheard(BTC);
    let deeper = (Side::Bid, price("1001.3"), size("2"));
    rig.delta(BTC, Lighter, deeper, 0);
    rig.turn();
    assert!(rig.placed().is_empty());
    rig.delta(BTC, Lighter, deeper, flags::LAST);
    rig.turn();
    assert_eq!(rig.placed().len(), 1, "{:?}", rig.reasons());
}

/// What was ripe and is gone before the turn's news are heard is not entered.
#[test]
fn the_last_news_of_a_turn_counts() {
    let mut rig = Rig::ready(Limits::default());
    rig.shift_unheard(BTC);
    bid_unheard(&mut rig, BTC, "999.9", "1000.1");
    rig.turn();
    assert!(rig.placed().is_empty());
    rig.edge();
    assert_eq!(rig.placed().len(), 1, "{:?}", rig.reasons());
}

/// The venue's word of what is left of its open-interest limit counts from when it is heard.
#[test]
fn open_interest_is_followed() {
    let mut rig = Rig::ready(Limits::default());
    let left = |usd: i64| usd * 1_000_000_000;
    rig.reference(Lighter, ReferenceKind::OpenInterestLeft, left(5));
    rig.edge();
    assert!(rig.placed().is_empty());
    assert_eq!(rig.reasons(), [Reason::OpenInterest]);
    rig.reference(Lighter, ReferenceKind::OpenInterestLeft, left(100));
    rig.edge();
    let order = rig.only(Lighter);
    assert!(order.price * order.size <= Notional::from_usd(100));
    let instrument = BTC;
    let word = Control::OpenInterest {
        instrument,
        venue: Extended,
        left: Some(Notional::ZERO),
    };
    rig.fill_part(&order, Size::ZERO);
    rig.command(word);
    rig.pass(5_000);
    rig.settle();
    rig.edge();
    assert!(rig.placed().is_empty(), "{:?}", rig.reasons());
}

// --- funding ---

/// A rig ready so many seconds before a full hour, both venues' rates told.
fn before_the_hour(seconds: u64, rates_e9: [i64; 2], hours: Hours) -> Rig {
    let mut rig = Rig::new(with(Settings {
        hours,
        hold_expected_ns: 60 * SECOND,
        ..Settings::DEFAULT
    }));
    rig.now = Nanos(1_000 * HOUR_NS - seconds * SECOND);
    rig.open_for_business();
    for (venue, rate_e9) in VENUES.into_iter().zip(rates_e9) {
        rig.reference(venue, ReferenceKind::Funding, rate_e9);
    }
    rig
}

const HOURS: Hours = Hours {
    at_ns: [0, 5 * SECOND],
    before_ns: 2 * SECOND,
    after_ns: 3 * SECOND,
};

#[test]
fn only_payments_that_are_crossed_cost() {
    // Bought on Extended, sold on Lighter: 2 bps paid there, 0.5 received here.
    let rates = [200_000, 50_000];
    for (seconds, funding) in [(600, 0.0), (50, 1.5), (61, 0.0)] {
        let mut rig = before_the_hour(seconds, rates, HOURS);
        rig.edge();
        assert!(near(parts(&rig)[0].funding, funding), "{seconds}");
    }
    // At 58 s only Extended's comes within the minute.
    let mut rig = before_the_hour(58, rates, HOURS);
    rig.edge();
    assert!(near(parts(&rig)[0].funding, 2.0));
    // What would be received is shown and not counted on.
    let mut rig = before_the_hour(50, [-200_000, 0], HOURS);
    rig.edge();
    let parts = parts(&rig)[0];
    assert!(
        near(parts.funding, -2.0) && near(parts.net(), 5.5),
        "{parts:?}"
    );
}

#[test]
fn funding_that_eats_the_edge_refuses_it() {
    let mut rig = before_the_hour(50, [700_000, 0], HOURS);
    rig.edge();
    assert!(rig.placed().is_empty());
    assert_eq!(rig.reasons(), [Reason::NetBelowMin]);
}

#[test]
fn row_36_nothing_comes_or_goes_between_two_payments() {
    for (seconds, locked) in [(3, false), (2, true)] {
        let mut rig = before_the_hour(seconds, [0, 0], HOURS);
        rig.edge();
        assert_eq!(rig.placed().is_empty(), locked);
        assert_eq!(rig.refused(Reason::FundingWindow), locked);
    }
    // A pair that has converged waits until both have charged it; a drain does not.
    for (drains, ms) in [(false, 10_010), (true, 0)] {
        let mut rig = before_the_hour(3, [0, 0], HOURS);
        rig.hedged();
        rig.now = rig.now.plus(SECOND);
        if drains {
            rig.command(Control::Drain);
        }
        back(&mut rig);
        rig.pass(10);
        assert_eq!(rig.placed().is_empty(), !drains);
        if !drains {
            rig.now = rig.now.plus(ms * MS);
            back(&mut rig);
            assert_eq!(rig.placed().len(), 1);
        }
    }
}

#[test]
fn row_36_payments_are_booked_to_the_pair_that_holds_the_position() {
    let mut rig = before_the_hour(3, [0, 0], HOURS);
    let (slow, fast) = rig.hedged();
    let cent = Notional::from_nano(10_000_000);
    let mut charge = |venue: Venue, at: InstrumentId, cents: i128, size: Size| {
        let kind = ReportKind::Funding {
            amount: Notional(cent.0 * cents),
            size,
        };
        rig.tell_of(at, venue, OrderId::NONE, kind);
        rig.turn();
    };
    // Long here pays, short there receives; half of the latter position is a stranger's.
    charge(Extended, BTC, -9, slow.size);
    charge(Lighter, BTC, 8, Size(-2 * fast.size.0));
    // A market without a pair, and one that is not there.
    charge(Lighter, ETH, 100, Size(5));
    charge(Lighter, InstrumentId(77), 1_000, Size(5));
    rig.now = rig.now.plus(20 * SECOND);
    back(&mut rig);
    for order in rig.placed() {
        rig.fill_all(&order);
    }
    for order in rig.placed() {
        rig.fill_all(&order);
    }
    let summary = rig.summary();
    assert_eq!(summary.funding, Notional(cent.0 * (4 - 9)));
    let apart = rig.events.iter().map(|event| match event {
        Event::FundingApart { amount, .. } => amount.0,
        _ => 0,
    });
    assert_eq!(apart.sum::<i128>(), cent.0 * 1_104);
}

// --- liquidity ---

type Rows = Vec<(i64, i64)>;

/// Ticks of 0.1 and thousandths of a unit, from the touch outwards.
fn rows() -> impl Strategy<Value = Rows> {
    prop::collection::vec((0_i64..3, 1_i64..900), 1..6)
}

/// Shows a book of these rows.
fn show(rig: &mut Rig, venue: Venue, side: Side, best: i64, rows: &Rows) -> Vec<(Price, Size)> {
    let outward = if side == Side::Bid { -1 } else { 1 };
    let mut ticks = best;
    let levels: Vec<_> = rows
        .iter()
        .enumerate()
        .map(|(at, (gap, milli))| {
            ticks += outward * (gap + i64::from(at > 0));
            (Price(ticks * 100_000_000), Size(milli * 1_000_000))
        })
        .collect();
    let far = Price(best * 100_000_000 - outward * 200_000_000);
    let mut mark = flags::CLEAR | flags::SNAPSHOT;
    for (price, size) in &levels {
        rig.delta(BTC, venue, (side, *price, *size), mark);
        mark = flags::SNAPSHOT;
    }
    let last = flags::SNAPSHOT | flags::LAST;
    rig.delta(BTC, venue, (side.other(), far, size("2")), last);
    rig.turn();
    levels
}

/// A quarter of a thousandth: what the haircuts of the test leave of a thousandth are whole pieces.
const PIECE: i64 = 250_000;

/// The naive walk: one piece after the other, as long as it is 3 bps over the fair.
fn naive(asks: &[(Price, Size)], bids: &[(Price, Size)], haircut: Haircut) -> i64 {
    let pieces = |levels: &[(Price, Size)]| -> Vec<i64> {
        let of =
            |(price, size): &(Price, Size)| vec![price.0; (haircut.of(*size).0 / PIECE) as usize];
        levels.iter().flat_map(of).collect()
    };
    let (asks, bids) = (pieces(asks), pieces(bids));
    let pays = |(ask, bid): &(&i64, &i64)| i128::from(**bid) * 10_000 >= i128::from(**ask) * 10_003;
    asks.iter().zip(&bids).take_while(pays).count() as i64 * PIECE
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    /// Whatever the books became, message by message, an entry is never larger than what either
    /// book holds at that moment, haircut taken off, at prices that pay.
    #[test]
    fn no_entry_exceeds_the_depth_of_either_book_at_sending(
        messages in prop::collection::vec((any::<bool>(), rows(), 0_i64..12), 2..8),
        cut in prop_oneof![Just(0_u32), Just(5_000), Just(7_500)],
        order in prop_oneof![
            Just(LegOrder::SlowFirst),
            Just(LegOrder::FastFirst),
            Just(LegOrder::Both),
        ],
    ) {
        let mut rig = Rig::ready(Limits {
            depth_haircut_e4: cut,
            leg_order: order,
            net_min: Bps::ZERO,
            cooldown_ns: 0,
            position_max: Notional::from_usd(3_000),
            gross_max: Notional::from_usd(6_000),
            ..Limits::default()
        });
        let haircut = Haircut::cut_e4(cut);
        let full = |best: i64, outward: i64| -> Vec<(Price, Size)> {
            let at = |level: i64| Price((best + outward * level) * 100_000_000);
            (0..10).map(|level| (at(level), size("2"))).collect()
        };
        // Asks of Extended and bids of Lighter, as `ready` left them.
        let (mut asks, mut bids) = (full(10_001, 1), full(9_999, -1));
        for (is_ask, rows, up) in messages {
            match is_ask {
                true => asks = show(&mut rig, Extended, Side::Ask, 10_001 - up / 3, &rows),
                false => bids = show(&mut rig, Lighter, Side::Bid, 10_009 + up, &rows),
            }
            let most = naive(&asks, &bids, haircut);
            let placed = rig.placed();
            for entry in &placed {
                prop_assert!(entry.size.0 <= most, "{} of {}", entry.size, Size(most));
            }
            // It misses, so that the next book is met by the next entry.
            for entry in placed {
                rig.state(&entry, OrderState::Cancelled, Size::ZERO);
            }
            rig.turn();
            rig.pass(3_100);
            rig.placed();
            for venue in VENUES {
                rig.tell(venue, OrderId::NONE, ReportKind::Position { size: Size::ZERO });
            }
            rig.turn();
        }
    }
}
