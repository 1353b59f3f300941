//! What venues were seen to do with orders, row by row.

use crate::limits;
use crate::scripted::*;
use parallax::market::book::Side;
use parallax::market::event::{Control, Event, HaltCause, PairEnd};
use parallax::market::order::{Action, Order, OrderId, OrderState, ReportKind};
use parallax::market::units::{Notional, Size};
use parallax::scanner::risk::{LegOrder, Limits};

#[test]
fn row_17_an_order_taken_by_word_alone_is_hedged_by_nobody() {
    let mut rig = Rig::ready(limits());
    rig.edge();
    let slow = rig.only(Lighter);
    rig.tell(Lighter, slow.id, ReportKind::Acknowledged);
    rig.pass(2_900);
    assert!(rig.placed().is_empty(), "queued is not filled");
    rig.pass(200);
    assert_eq!(rig.asked(Action::Query)[0].id, slow.id);
    assert_eq!(rig.asked(Action::Cancel)[0].id, slow.id);
    rig.pass(10_000);
    assert_eq!(rig.summary().end, PairEnd::Missed, "the position has told");
    assert!(!rig.halt.is_raised());
}

#[test]
fn row_18_a_close_that_is_dropped_in_silence_is_made_again_once_that_is_proven() {
    let mut rig = Rig::ready(limits());
    let (slow, _) = rig.hedged();
    rig.command(Control::Drain);
    rig.pass(10);
    let dropped = rig.only(Lighter);
    rig.pass(12_900);
    assert!(rig.placed().is_empty(), "nobody knows yet");
    rig.pass(300);
    let again = rig.placed();
    let is_again = |order: &&Order| order.venue == Lighter && order.id != dropped.id;
    let found = again.iter().find(is_again).expect("it is made again");
    assert!(found.reduce_only && found.size == slow.size);
    again.iter().for_each(|order| rig.fill_all(order));
    rig.pass(3_100);
    assert_eq!(rig.summary().end, PairEnd::Closed);
}

#[test]
fn row_19_five_orders_refused_or_dropped_in_a_row_close_the_market() {
    for is_silent in [false, true] {
        let mut rig = Rig::ready(limits());
        let struck = |event: &Event| matches!(event, Event::StruckOut { venue: Lighter, .. });
        let mut orders = 0;
        for round in 0..12 {
            rig.edge();
            for order in rig.placed() {
                orders += 1;
                match is_silent {
                    // It says after a while that it knows nothing of it.
                    true => {
                        rig.pass(3_100);
                        rig.state(&order, OrderState::Cancelled, Size::ZERO);
                        rig.turn();
                    }
                    false => rig.reject(&order),
                }
            }
            assert_eq!(rig.count(struck), usize::from(orders >= 5), "round {round}");
            rig.pass(4_500);
            // A new episode: the old one's tries are used up.
            rig.settle();
            rig.pass(200);
            rig.settle();
        }
        assert_eq!(orders, 5, "silent: {is_silent}");
        // The lists may not open it again.
        rig.command(Control::Entries {
            instrument: BTC,
            allowed: true,
        });
        rig.edge();
        assert!(rig.placed().is_empty());
    }
}

#[test]
fn row_20_what_may_still_fill_late_counts_as_if_it_had_and_had_not() {
    let mut rig = Rig::ready(limits());
    rig.edge();
    let slow = rig.only(Lighter);
    rig.fill_all(&slow);
    let mut hedges = Vec::new();
    for _ in 0..2 {
        let hedge = rig.only(Extended);
        rig.fill_part(&hedge, Size::ZERO);
        hedges.push(hedge);
        rig.pass(60);
    }
    // Both may have filled all the same: a third could leave two legs too many, and so could
    // taking the first leg back.
    rig.pass(2_800);
    assert!(rig.placed().is_empty());
    // One of them had.
    rig.fill(&hedges[1], hedges[1].size, price("1000.1"));
    rig.turn();
    rig.pass(50);
    assert!(rig.placed().is_empty());
    assert_eq!(rig.count(|e| matches!(e, Event::Hedged { .. })), 1);
    assert_eq!(rig.last_status.pairs_legged, 0);
}

#[test]
fn row_20_after_the_grace_the_hedge_goes_out_again() {
    let mut rig = Rig::ready(limits());
    rig.edge();
    let slow = rig.only(Lighter);
    rig.fill_all(&slow);
    for _ in 0..2 {
        let hedge = rig.only(Extended);
        rig.fill_part(&hedge, Size::ZERO);
        rig.pass(60);
    }
    // The account stream breaks: what was late is now later.
    rig.tell(Extended, OrderId::NONE, ReportKind::Down);
    rig.pass(2_000);
    rig.position(Extended, Size::ZERO);
    rig.tell(Extended, OrderId::NONE, ReportKind::Up);
    rig.pass(2_900);
    assert!(rig.placed().is_empty());
    rig.pass(200);
    let third = rig.only(Extended);
    rig.fill_all(&third);
    assert_eq!(rig.count(|e| matches!(e, Event::Hedged { .. })), 1);
}

#[test]
fn row_20_a_fill_told_twice_counts_once() {
    let mut rig = Rig::ready(limits());
    rig.edge();
    let slow = rig.only(Lighter);
    rig.fill(&slow, size("0.2"), slow.price);
    let kind = ReportKind::Fill {
        trade: 1,
        side: slow.side,
        price: slow.price,
        size: size("0.2"),
        fee: Notional::ZERO,
    };
    rig.tell(Lighter, slow.id, kind);
    rig.turn();
    assert_eq!(rig.only(Extended).size, size("0.2"));
}

#[test]
fn row_21_cancelled_says_nothing_of_what_filled() {
    let mut rig = Rig::ready(Limits {
        leg_order: LegOrder::Both,
        ..limits()
    });
    rig.edge();
    let both = rig.placed();
    let (fast, slow) = match both[0].venue {
        Extended => (both[0], both[1]),
        Lighter => (both[1], both[0]),
    };
    // One is cancelled after most of it has traded, the other fills half: the sums decide.
    rig.fill(&fast, size("0.4"), fast.price);
    rig.state(&fast, OrderState::Cancelled, size("0.4"));
    rig.fill(&slow, size("0.25"), slow.price);
    rig.state(&slow, OrderState::Cancelled, size("0.25"));
    rig.turn();
    let rest = rig.only(Lighter);
    assert_eq!((rest.side, rest.size), (Side::Ask, size("0.15")));
}

#[test]
fn row_23_no_exit_is_larger_than_what_is_proven_to_be_held() {
    let mut rig = Rig::ready(limits());
    let (slow, fast) = rig.hedged();
    rig.command(Control::Drain);
    rig.pass(10);
    let mut held = [fast.size, slow.size];
    for _ in 0..40 {
        for order in rig.placed() {
            let left = &mut held[order.venue.idx()];
            assert!(order.reduce_only && order.size <= *left);
            let part = Size(order.size.0 / 2).floor_to(size("0.001"));
            let part = if order.size < size("0.1") {
                order.size
            } else {
                part
            };
            *left -= part;
            rig.fill_part(&order, part);
        }
        rig.pass(100);
    }
    rig.pass(3_100);
    assert_eq!(held, [Size::ZERO; 2]);
    assert_eq!(rig.summary().end, PairEnd::Closed);
}

#[test]
fn row_29_a_leg_that_ran_away_is_not_sold_at_any_price() {
    let mut rig = Rig::ready(limits());
    rig.edge();
    let slow = rig.only(Lighter);
    rig.fill_all(&slow);
    // Extended refuses, and meanwhile Lighter, where we are short, runs up by four per cent.
    for _ in 0..3 {
        let hedge = rig.only(Extended);
        rig.book(Lighter, "1040.0", "1042.0");
        rig.reject(&hedge);
        rig.pass(80);
    }
    assert!(rig.placed().is_empty());
    assert_eq!(rig.halted(), [HaltCause::PairStuck]);
    assert_eq!(rig.summary().end, PairEnd::Stuck);
}

/// A venue that finds another reason against each of nine closes is not the end: no leg is left to
/// a human for that, and they are not sent in one breath.
#[test]
fn row_29_a_leg_is_taken_back_behind_nine_closes_that_failed() {
    for is_refused in [true, false] {
        let mut rig = Rig::ready(limits());
        rig.edge();
        let slow = rig.only(Lighter);
        rig.book(Lighter, "1001.3", "1001.4");
        rig.book(Extended, "1004.9", "1005.1");
        rig.fill_all(&slow);
        let mut closes = 0;
        let mut passed_ms = 0;
        while rig.last_status.pairs_open > 0 || closes < 10 {
            for order in rig.placed() {
                assert_eq!((order.venue, order.reduce_only), (Lighter, true));
                closes += 1;
                match (closes, is_refused) {
                    (10.., _) => rig.fill_all(&order),
                    (_, true) => rig.reject(&order),
                    (_, false) => rig.state(&order, OrderState::Cancelled, Size::ZERO),
                }
            }
            rig.pass(10);
            passed_ms += 10;
            assert!(passed_ms < 60_000 && !rig.halt.is_raised(), "{closes}");
        }
        assert_eq!((closes, rig.summary().end), (10, PairEnd::Unwound));
        assert!(passed_ms >= 5_000, "{passed_ms}");
    }
}

#[test]
fn row_29_the_last_close_is_no_dearer_than_the_bound() {
    let mut rig = Rig::ready(Limits {
        hedge_band: bps("200"),
        ..limits()
    });
    rig.edge();
    let slow = rig.only(Lighter);
    rig.fill_all(&slow);
    let mut worst = slow.price;
    for _ in 0..200 {
        for order in rig.placed() {
            if order.reduce_only {
                worst = worst.max(order.price);
            }
            rig.reject(&order);
        }
        rig.pass(20);
    }
    // Three per cent over where it was sold, on the tick.
    let bound = slow.price + bps("300").of_price(slow.price);
    assert!(worst <= bound && worst > bound - price("0.02"), "{worst:?}");
}

#[test]
fn row_30_an_order_is_replaced_only_when_it_is_over_and_its_late_fill_is_folded_in() {
    let mut rig = Rig::ready(limits());
    rig.edge();
    let slow = rig.only(Lighter);
    rig.fill_all(&slow);
    let hedge = rig.only(Extended);
    rig.state(&hedge, OrderState::Working, Size::ZERO);
    rig.pass(3_500);
    assert!(rig.placed().is_empty(), "it may still fill");
    assert_eq!(rig.asked(Action::Cancel)[0].id, hedge.id);
    rig.fill_part(&hedge, size("0.1"));
    rig.pass(50);
    let rest = rig.only(Extended);
    assert_eq!(rest.size, slow.size - size("0.1"));
    // Another tenth of the first comes in while the second is out, which fills whole.
    rig.fill(&hedge, size("0.1"), hedge.price);
    rig.turn();
    rig.fill_all(&rest);
    rig.pass(50);
    let over = rig.only(Extended);
    assert_eq!(
        (over.side, over.size, over.reduce_only),
        (Side::Ask, size("0.1"), true)
    );
    rig.fill_all(&over);
    rig.pass(100);
    assert_eq!(rig.last_status.pairs_legged, 0);
    assert!(!rig.halt.is_raised());
}

#[test]
fn row_41_an_id_that_was_used_already_is_asked_about_and_not_taken_for_a_refusal() {
    let mut rig = Rig::ready(limits());
    rig.edge();
    let slow = rig.only(Lighter);
    // So the gateway says it: the order with this id is there, in whatever state.
    rig.state(&slow, OrderState::Unknown, Size::ZERO);
    rig.turn();
    rig.pass(10);
    assert_eq!(rig.asked(Action::Query)[0].id, slow.id);
    assert!(rig.summaries().is_empty());
    rig.fill_all(&slow);
    assert_eq!(rig.only(Extended).size, slow.size);
}

#[test]
fn an_edge_that_is_gone_is_taken_back_where_that_is_cheaper() {
    let mut rig = Rig::ready(limits());
    rig.edge();
    let slow = rig.only(Lighter);
    // By the time the slow leg has filled, both venues stand where Lighter stood.
    rig.book(Lighter, "1001.3", "1001.4");
    rig.book(Extended, "1004.9", "1005.1");
    rig.fill_all(&slow);
    let back = rig.only(Lighter);
    assert_eq!((back.side, back.reduce_only), (Side::Bid, true));
    rig.fill(&back, back.size, price("1001.4"));
    rig.state(&back, OrderState::Filled, back.size);
    rig.pass(3_100);
    assert_eq!(rig.summary().end, PairEnd::Unwound);
}

#[test]
fn after_a_converged_exit_that_missed_a_drain_still_leaves_in_turn() {
    let mut rig = Rig::ready(limits());
    rig.hedged();
    rig.converge();
    let missed = rig.only(Lighter);
    rig.edge();
    rig.fill_part(&missed, Size::ZERO);
    rig.pass(3_100);
    assert!(rig.placed().is_empty());
    rig.command(Control::Drain);
    rig.pass(10);
    // Lighter alone: Extended would be done a third of a second before it.
    let lead = rig.only(Lighter);
    rig.fill_all(&lead);
    let last = rig.only(Extended);
    assert_eq!(last.size, lead.size);
}

#[test]
fn what_a_lone_leg_risked_is_told() {
    let mut rig = Rig::ready(limits());
    rig.edge();
    let slow = rig.only(Lighter);
    rig.fill(&slow, slow.size, price("1001.4"));
    rig.state(&slow, OrderState::Filled, slow.size);
    rig.turn();
    let fast = rig.only(Extended);
    // Short 0.499 on Lighter for two seconds: up by 0.5, then down to 0.4 below the entry.
    rig.book(Lighter, "1001.8", "1001.9");
    rig.pass(1_000);
    rig.book(Lighter, "1000.9", "1001.0");
    rig.pass(1_000);
    rig.fill_all(&fast);
    let told = rig.events.iter().find_map(|event| match event {
        Event::Unhedged {
            ns,
            usd_s,
            worst,
            best,
            ..
        } => Some((*ns, *usd_s, *worst, *best)),
        _ => None,
    });
    let (ns, usd_s, worst, best) = told.expect("it was alone");
    assert_eq!(ns, 2_000_000_000);
    assert_eq!(worst, -(price("0.5") * slow.size));
    assert_eq!(best, price("0.4") * slow.size);
    let about = (price("1001.9") * slow.size) + (price("1001.0") * slow.size);
    let off = (usd_s - about).abs();
    assert!(off < Notional::from_usd(1), "{usd_s:?} and {about:?}");
}

/// A hedge was called cancelled and had filled, but the stream that would have told died unnoticed:
/// its fill comes to light beside the next hedge's, by the position.
#[test]
fn row_20_what_orders_before_it_may_have_filled_is_not_strange_beside_an_unknown_one() {
    let mut rig = Rig::ready(limits());
    rig.edge();
    let slow = rig.only(Lighter);
    rig.fill_all(&slow);
    rig.positions_follow = false;
    let first = rig.only(Extended);
    rig.fill_part(&first, Size::ZERO);
    rig.pass(50);
    let second = rig.only(Extended);
    rig.state(&second, OrderState::Unknown, Size::ZERO);
    rig.pass(8_000);
    rig.tell(Extended, OrderId::NONE, ReportKind::Down);
    rig.pass(4_000);
    rig.position(Extended, slow.size + slow.size);
    rig.tell(Extended, OrderId::NONE, ReportKind::Up);
    rig.pass(20);
    let back = rig.only(Extended);
    assert_eq!((back.size, back.reduce_only), (slow.size, true));
    rig.fill_all(&back);
    rig.position(Extended, slow.size);
    for hedge in [&first, &second] {
        rig.fill(hedge, hedge.size, hedge.price);
    }
    rig.turn();
    assert!(rig.placed().is_empty());
    rig.pass(40_000);
    assert_eq!((rig.halts(), rig.last_status.pairs_legged), (0, 0));
}
