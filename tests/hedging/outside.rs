//! What comes from outside: positions taken over, legs taken away, venues that close.

use crate::limits;
use crate::scripted::*;
use parallax::market::InstrumentId;
use parallax::market::book::Side;
use parallax::market::event::{Adopted, Control, Event, ExitCause, HaltCause, PairEnd};
use parallax::market::order::{Order, OrderId, OrderState, Refusal, ReportKind};
use parallax::market::units::{Bps, Notional, SECOND, Size};
use parallax::market::{VENUES, Venue};
use parallax::scanner::risk::Limits;

fn adopted() -> Adopted {
    Adopted {
        instrument: BTC,
        long: Extended,
        size: size("0.4"),
        entry: [price("1000.0"), price("1001.0")],
    }
}

/// Both venues up and funded, their positions told.
fn opened(limits: Limits, positions: [&str; 2]) -> Rig {
    let mut rig = Rig::new(limits);
    open(&mut rig, positions);
    rig
}

fn open(rig: &mut Rig, positions: [&str; 2]) {
    for (venue, position) in VENUES.into_iter().zip(positions) {
        rig.position(venue, size(position));
        let equity = Notional::from_usd(5_000);
        let available = equity;
        let balance = ReportKind::Balance { equity, available };
        rig.tell(venue, OrderId::NONE, balance);
        rig.tell(venue, OrderId::NONE, ReportKind::Up);
    }
    rig.turn();
}

#[test]
fn row_50_what_stood_hedged_is_adopted_and_left_when_it_has_converged() {
    // The positions are heard before the adoption, or after; a tenth of one is a stranger's.
    for is_heard in [true, false] {
        let mut rig = Rig::new(limits());
        if is_heard {
            open(&mut rig, ["0.5", "-0.4"]);
        }
        rig.command(Control::Adopt(adopted()));
        if !is_heard {
            open(&mut rig, ["0.5", "-0.4"]);
        }
        rig.settle();
        rig.book(Lighter, "1000.9", "1001.1");
        rig.pass(1_000);
        assert!(rig.placed().is_empty(), "the fair is not known");
        assert_eq!(rig.last_status.pairs_open, 1);
        let (instrument, basis) = (BTC, Bps::ZERO);
        rig.command(Control::FairSeed { instrument, basis });
        rig.book(Lighter, "1000.9", "1001.1");
        assert!(rig.placed().is_empty(), "the fair is not met");
        rig.book(Lighter, "999.9", "1000.0");
        rig.book(Extended, "1000.0", "1000.1");
        let slow = rig.only(Lighter);
        assert_eq!(
            (slow.side, slow.size, slow.reduce_only),
            (Side::Bid, size("0.4"), true)
        );
        rig.positions_follow = false;
        rig.fill(&slow, slow.size, price("1000.0"));
        rig.position(Lighter, Size::ZERO);
        rig.turn();
        let fast = rig.only(Extended);
        rig.fill(&fast, fast.size, price("1000.0"));
        rig.position(Extended, size("0.1"));
        rig.turn();
        let told = rig.summary();
        assert_eq!(
            (told.end, told.cause),
            (PairEnd::Closed, ExitCause::Converged)
        );
        // Bought at 1000, sold at 1001, and out of both at 1000; the stranger's tenth stays.
        assert_eq!(told.edge, price("1.0") * size("0.4"));
        rig.pass(15_000);
        assert!(!rig.halt.is_raised());
    }
}

#[test]
fn row_50_without_a_fair_an_adopted_pair_is_left_by_stop_time_and_drain_only() {
    let mut rig = opened(limits(), ["0.4", "-0.4"]);
    rig.command(Control::Adopt(adopted()));
    rig.settle();
    rig.pass(500);
    assert!(rig.placed().is_empty(), "even at the price of convergence");
    rig.book(Lighter, "1006.9", "1007.0");
    rig.only(Lighter);
    let mut rig = opened(limits(), ["0.4", "-0.4"]);
    rig.command(Control::Adopt(adopted()));
    rig.settle();
    rig.command(Control::Drain);
    for venue in [Lighter, Extended] {
        rig.pass(10);
        let order = rig.only(venue);
        assert!(order.reduce_only && order.id.run() == RUN);
        rig.fill_all(&order);
    }
    assert_eq!(rig.summary().cause, ExitCause::Drain);
}

#[test]
fn row_50_what_nobody_can_manage_halts() {
    let unknown = Adopted {
        instrument: InstrumentId(7),
        ..adopted()
    };
    let nothing = Adopted {
        size: Size::ZERO,
        ..adopted()
    };
    for adopted in [unknown, nothing] {
        let mut rig = opened(limits(), ["0", "0"]);
        rig.command(Control::Adopt(adopted));
        assert_eq!(rig.halted(), [HaltCause::Unexplained]);
    }
    let one_slot = Limits {
        slots: 1,
        ..limits()
    };
    let mut rig = opened(one_slot, ["0.8", "-0.8"]);
    rig.command(Control::Adopt(adopted()));
    assert!(!rig.halt.is_raised());
    rig.command(Control::Adopt(adopted()));
    assert_eq!(rig.halted(), [HaltCause::Unexplained]);
}

#[test]
fn row_35_a_leg_that_is_liquidated_takes_the_other_with_it_at_once() {
    for part in ["0.499", "0.2"] {
        let mut rig = Rig::ready(limits());
        let (slow, _) = rig.hedged();
        rig.pass(100);
        rig.force(Lighter, Side::Bid, size(part), price("1010.0"));
        rig.turn();
        assert!(!rig.halt.is_raised(), "it is told and known");
        let left = slow.size - size(part);
        let mut out: Vec<_> = rig.placed();
        out.retain(|order| order.reduce_only);
        let of = |venue: Venue| out.iter().find(|order| order.venue == venue).copied();
        assert_eq!(of(Extended).map(|order| order.size), Some(slow.size));
        assert_eq!(
            of(Lighter).map(|order| order.size),
            (left.0 > 0).then_some(left)
        );
        for order in &out {
            rig.fill_all(order);
        }
        rig.pass(3_100);
        let told = rig.summary();
        assert_eq!((told.end, told.cause), (PairEnd::Closed, ExitCause::Forced));
        assert!(
            told.repair.0 < 0,
            "the liquidation's price was nobody's plan"
        );
        rig.pass(35_000);
        assert_eq!(rig.halts(), 0);
        // And the market rests.
        rig.edge();
        assert!(rig.placed().is_empty());
    }
}

/// After a break nobody says in which order things were.
#[test]
fn row_35_what_was_taken_before_its_fill_was_told_is_taken_from_that_fill() {
    for part in ["0.499", "0.2"] {
        let mut rig = Rig::ready(limits());
        rig.edge();
        let slow = rig.only(Lighter);
        rig.positions_follow = false;
        rig.force(Lighter, Side::Bid, size(part), price("1010.0"));
        rig.turn();
        assert!(rig.placed().is_empty());
        rig.fill_all(&slow);
        let left = slow.size - size(part);
        rig.position(Lighter, -left);
        rig.positions_follow = true;
        rig.turn();
        if left.0 > 0 {
            let out = rig.only(Lighter);
            assert_eq!((out.size, out.reduce_only), (left, true));
            rig.fill_all(&out);
        }
        rig.pass(40_000);
        assert_eq!(rig.summary().repair.0.signum(), -1);
        assert_eq!(rig.halts(), 0);
    }
}

/// Two pairs of one market on their way out: their closes on Lighter. Positions are told by hand.
fn two_leaving() -> (Rig, Vec<Order>) {
    let mut rig = opened(limits(), ["0.8", "-0.8"]);
    rig.command(Control::Adopt(adopted()));
    rig.command(Control::Adopt(adopted()));
    rig.command(Control::Drain);
    rig.book(Lighter, "1000.9", "1001.1");
    rig.book(Extended, "999.9", "1000.1");
    rig.pass(100);
    let mut closes = rig.placed();
    closes.retain(|order| order.venue == Lighter);
    assert_eq!(closes.len(), 2);
    rig.positions_follow = false;
    (rig, closes)
}

fn both_are_closed(rig: &Rig) {
    let ends = rig.summaries();
    assert_eq!(ends.len(), 2);
    assert!(ends.iter().all(|told| told.end == PairEnd::Closed));
}

/// Two pairs of one market: the first one's close was not heard, and what the venue then took was
/// the second one's.
#[test]
fn row_35_a_close_that_was_not_heard_leaves_what_was_taken_to_the_other_pair() {
    let (mut rig, closes) = two_leaving();
    rig.position(Lighter, size("-0.4"));
    rig.force(Lighter, Side::Bid, size("0.4"), price("1010.0"));
    rig.turn();
    rig.fill_all(&closes[0]);
    rig.turn();
    rig.reject(&closes[1]);
    for _ in 0..50 {
        rig.pass(100);
        for order in rig.placed() {
            assert_eq!(order.venue, Extended, "nothing is left on Lighter");
            rig.fill_all(&order);
        }
    }
    rig.position(Extended, Size::ZERO);
    rig.pass(35_000);
    assert_eq!(rig.halts(), 0);
    both_are_closed(&rig);
}

/// A close was called cancelled and had filled; the next one, seconds later, closed another pair's
/// leg: the venue sees one position.
#[test]
fn row_23_a_close_too_many_takes_the_other_pairs_second_leg_with_it() {
    let (mut rig, closes) = two_leaving();
    rig.fill_part(&closes[0], Size::ZERO);
    rig.state(&closes[1], OrderState::Unknown, Size::ZERO);
    rig.pass(3_500);
    let mut fast = rig.placed();
    let again = fast.iter().position(|order| order.venue == Lighter);
    let again = fast.remove(again.expect("the first pair goes on"));
    rig.fill_all(&again);
    rig.fill(&closes[0], size("0.4"), closes[0].price);
    rig.position(Lighter, Size::ZERO);
    rig.reject(&closes[1]);
    rig.pass(10);
    let mut out = Size::ZERO;
    for _ in 0..60 {
        fast.extend(rig.placed());
        for order in fast.drain(..) {
            assert_eq!(order.venue, Extended, "nothing is left on Lighter");
            out += order.size;
            rig.fill_all(&order);
        }
        rig.pass(100);
    }
    assert_eq!((out, rig.halts()), (size("0.8"), 0));
    both_are_closed(&rig);
}

#[test]
fn row_35_a_forced_trade_of_what_no_pair_holds_moves_no_pair() {
    let mut rig = Rig::ready(limits());
    rig.hedged();
    rig.force(Lighter, Side::Ask, size("0.1"), price("1000.0"));
    rig.turn();
    assert!(rig.placed().is_empty());
}

#[test]
fn row_25_a_position_that_shrank_is_believed_when_it_is_said_twice_or_stands() {
    for is_said_twice in [true, false] {
        let mut rig = Rig::ready(limits());
        let (slow, _) = rig.hedged();
        rig.pass(100);
        rig.position(Lighter, Size::ZERO);
        rig.pass(900);
        rig.position(Lighter, Size::ZERO);
        rig.pass(50);
        assert!(!rig.halt.is_raised(), "two reports of one moment are one");
        if is_said_twice {
            rig.pass(100);
            rig.position(Lighter, Size::ZERO);
            rig.turn();
        } else {
            rig.pass(3_900);
            assert!(!rig.halt.is_raised());
            rig.pass(200);
        }
        let out = rig.only(Extended);
        assert_eq!((out.size, out.reduce_only), (slow.size, true));
        rig.fill_all(&out);
        rig.pass(10);
        rig.positions_follow = false;
        rig.tell(
            Lighter,
            OrderId::NONE,
            ReportKind::Position { size: Size::ZERO },
        );
        rig.pass(3_100);
        assert_eq!(rig.summary().cause, ExitCause::Forced);
        // The market rests while the venue owes the trade; nobody is called for what it may yet
        // tell, somebody is when it does not.
        rig.pass(170_000);
        assert_eq!(rig.halts(), 0);
        rig.edge();
        assert!(rig.placed().is_empty());
        rig.pass(10_000);
        assert_eq!(rig.halted(), [HaltCause::Forced]);
        rig.pass(300_000);
        assert_eq!(rig.halts(), 1, "once");
    }
}

/// The account stream broke, the venue took the leg meanwhile, and its front door is shut to the
/// question for the trade: legs are even within seconds, and the run goes on when it is told.
#[test]
fn row_35_a_trade_that_is_told_a_minute_late_ends_nothing() {
    for is_over in [true, false] {
        let mut rig = Rig::ready(limits());
        let (slow, _) = rig.hedged();
        rig.pass(100);
        rig.tell(Lighter, OrderId::NONE, ReportKind::Down);
        rig.pass(7_000);
        rig.position(Lighter, Size::ZERO);
        rig.tell(Lighter, OrderId::NONE, ReportKind::Up);
        rig.turn();
        rig.pass(5_100);
        let out = rig.only(Extended);
        assert_eq!((out.size, out.reduce_only), (slow.size, true));
        if is_over {
            rig.fill_all(&out);
        }
        rig.pass(60_000);
        assert_eq!(rig.summaries().len(), usize::from(is_over));
        rig.force(Lighter, Side::Bid, slow.size, price("1010.0"));
        rig.position(Lighter, Size::ZERO);
        rig.turn();
        if !is_over {
            rig.fill_all(&out);
        }
        rig.pass(300_000);
        assert_eq!(rig.summary().cause, ExitCause::Forced);
        assert_eq!(rig.halts(), 0, "over before it was told: {is_over}");
        assert_eq!(rig.last_status.pairs_open, 0);
    }
}

/// The front door is shut: nobody knows what became of an order, and the venue takes some of that
/// order's leg meanwhile. Its trade can't be asked for yet, only its position tells.
#[test]
fn row_20_row_35_what_is_taken_beside_an_unknown_order_takes_the_other_leg_with_it() {
    // What of the hedge did trade, and what the venue then took of both.
    for (traded, taken) in [("0", "0.1"), ("0.199", "0.3"), ("0.1", "0.4"), ("0", "0.3")] {
        let mut rig = Rig::ready(limits());
        rig.edge();
        let slow = rig.only(Lighter);
        rig.fill_all(&slow);
        let first = rig.only(Extended);
        rig.fill_part(&first, size("0.3"));
        rig.pass(3_200);
        let unknown = rig.only(Extended);
        assert_eq!(unknown.size, slow.size - size("0.3"));
        rig.state(&unknown, OrderState::Unknown, Size::ZERO);
        rig.turn();
        rig.pass(2_000);
        let left = size("0.3") + size(traded) - size(taken);
        rig.position(Extended, left);
        rig.pass(5_100);
        // Long before the order is judged: both legs go, of Extended what is proven to be there.
        let out = rig.only(Lighter);
        assert_eq!((out.size, out.reduce_only), (slow.size, true));
        rig.fill_all(&out);
        for _ in 0..100 {
            rig.pass(100);
            for order in rig.placed() {
                assert!(order.venue == Extended && order.reduce_only);
                assert_eq!(order.size, left);
                rig.fill_all(&order);
            }
        }
        assert_eq!(rig.halts(), 0, "{traded} {taken}");
        // A minute later both are told, in the order in which they were.
        rig.pass(60_000);
        rig.positions_follow = false;
        if size(traded).0 > 0 {
            rig.fill(&unknown, size(traded), unknown.price);
        }
        rig.force(Extended, Side::Ask, size(taken), price("990.0"));
        rig.position(Extended, Size::ZERO);
        rig.turn();
        rig.pass(300_000);
        assert_eq!(rig.halts(), 0, "{traded} {taken}");
        let told = rig.summaries();
        assert!(told.iter().all(|told| told.end != PairEnd::Stuck));
        assert_eq!(
            (told[0].end, told[0].cause),
            (PairEnd::Closed, ExitCause::Forced)
        );
        assert_eq!(rig.last_status.pairs_open, 0);
    }
}

/// What the position shows of a close that nobody knows may have been the venue's doing.
#[test]
fn row_20_row_35_what_was_taken_for_a_closes_fill_is_not_taken_once_more() {
    for is_filled in [false, true] {
        let mut rig = Rig::ready(limits());
        let (slow, _) = rig.hedged();
        rig.pass(100);
        rig.command(Control::Drain);
        rig.pass(10);
        let close = rig.only(Lighter);
        rig.state(&close, OrderState::Unknown, Size::ZERO);
        rig.position(Lighter, size("-0.2"));
        rig.turn();
        rig.pass(10_300);
        let part = slow.size - size("0.2");
        let mut out = rig.placed();
        rig.positions_follow = false;
        match is_filled {
            true => rig.fill(&close, part, close.price),
            false => {
                rig.force(Lighter, Side::Bid, part, price("1010.0"));
                rig.position(Lighter, size("-0.2"));
            }
        }
        rig.positions_follow = true;
        rig.turn();
        for _ in 0..100 {
            out.extend(rig.placed());
            for order in out.drain(..) {
                assert!(order.reduce_only);
                rig.fill_all(&order);
            }
            rig.pass(100);
        }
        rig.pass(60_000);
        assert_eq!((rig.halts(), rig.last_status.pairs_open), (0, 0));
        assert_eq!(rig.summary().end, PairEnd::Closed, "{is_filled}");
        assert_eq!(rig.held(), [Size::ZERO; 2]);
    }
}

#[test]
fn row_25_a_position_that_comes_back_was_only_late() {
    let mut rig = Rig::ready(limits());
    let (slow, _) = rig.hedged();
    rig.pass(100);
    rig.position(Lighter, Size::ZERO);
    rig.pass(2_000);
    rig.position(Lighter, -slow.size);
    rig.pass(2_000);
    rig.position(Lighter, size("-0.1"));
    rig.pass(2_000);
    rig.position(Lighter, -slow.size);
    rig.pass(20_000);
    assert!(!rig.halt.is_raised() && rig.placed().is_empty());
}

/// The stream was lost between a fill and its position; in the break the venue took the leg, and
/// tells the trade a moment after it can be heard again.
#[test]
fn row_25_what_shrank_before_a_break_has_not_stood_through_it() {
    let mut rig = Rig::ready(limits());
    let (slow, _) = rig.hedged();
    rig.pass(100);
    rig.position(Lighter, Size::ZERO);
    rig.pass(200);
    rig.tell(Lighter, OrderId::NONE, ReportKind::Down);
    rig.pass(16_000);
    rig.position(Lighter, Size::ZERO);
    rig.tell(Lighter, OrderId::NONE, ReportKind::Up);
    rig.turn();
    rig.pass(500);
    assert!(!rig.halt.is_raised() && rig.placed().is_empty());
    rig.force(Lighter, Side::Bid, slow.size, price("1010.0"));
    rig.turn();
    let out = rig.only(Extended);
    assert_eq!((out.size, out.reduce_only), (slow.size, true));
    rig.fill_all(&out);
    rig.pass(3_100);
    assert_eq!(rig.summary().cause, ExitCause::Forced);
    assert!(!rig.halt.is_raised(), "it is told and known");
}

#[test]
fn row_35_a_forced_trade_told_after_its_position_is_not_counted_twice() {
    let mut rig = Rig::ready(limits());
    let (slow, _) = rig.hedged();
    rig.pass(100);
    rig.position(Lighter, Size::ZERO);
    rig.pass(5_100);
    let out = rig.only(Extended);
    rig.force(Lighter, Side::Bid, slow.size, price("1010.0"));
    rig.position(Lighter, Size::ZERO);
    rig.turn();
    rig.fill_all(&out);
    rig.pass(3_100);
    let told = rig.summary();
    assert_eq!((told.end, told.cause), (PairEnd::Closed, ExitCause::Forced));
    // Sold at 1001.35 by promise of 1001.4 and bought back at 1010, not at the last ask.
    let lighter = (price("1001.35") - price("1010.0")) * slow.size;
    let extended = (out.price - price("1000.1")) * slow.size;
    assert_eq!(told.total + told.fees, lighter + extended);
    rig.pass(300_000);
    assert_eq!(rig.halts(), 0);
}

/// While the pair is on its way out, too: what is gone can't be closed, and the refusals are no
/// tries that ran out.
#[test]
fn row_35_what_is_gone_on_the_way_out_is_seen_and_not_closed_in_vain() {
    let mut rig = Rig::ready(limits());
    let (slow, _) = rig.hedged();
    rig.pass(100);
    rig.command(Control::Drain);
    rig.pass(10);
    let lead = rig.only(Lighter);
    rig.position(Extended, Size::ZERO);
    rig.fill_all(&lead);
    let mut refused = 0;
    for _ in 0..60 {
        for order in rig.placed() {
            assert_eq!((order.venue, order.size), (Extended, slow.size));
            rig.reject(&order);
            refused += 1;
        }
        rig.pass(100);
    }
    assert!((2..=12).contains(&refused), "{refused}");
    assert_eq!(rig.summary().cause, ExitCause::Forced);
    assert_eq!(rig.last_status.pairs_stuck, 0);
    assert!(!rig.last_status.drained, "the venue owes a trade");
    assert_eq!(rig.halts(), 0);
    rig.pass(30_000);
    assert_eq!(rig.halted(), [HaltCause::Forced], "seen, and a human told");
    assert!(rig.last_status.drained);
}

/// A venue that takes each close and cancels it says as little: the next waits until it is clear
/// what became of the leg.
#[test]
fn row_20_row_35_what_is_gone_is_not_closed_again_and_again() {
    let mut rig = Rig::ready(limits());
    rig.hedged();
    rig.pass(100);
    rig.command(Control::Drain);
    rig.pass(10);
    let lead = rig.only(Lighter);
    rig.position(Extended, Size::ZERO);
    rig.fill_all(&lead);
    let mut closes = 0;
    for _ in 0..300 {
        for order in rig.placed() {
            rig.state(&order, OrderState::Cancelled, Size::ZERO);
            closes += 1;
        }
        rig.pass(100);
    }
    assert_eq!(closes, 1, "nothing is in the way of what shows it");
    assert_eq!(rig.summary().cause, ExitCause::Forced);
    assert_eq!((rig.last_status.pairs_stuck, rig.halts()), (0, 0));
    rig.pass(300_000);
    assert_eq!(rig.halted(), [HaltCause::Forced], "the venue owes a trade");
}

#[test]
fn row_37_a_hedge_waits_for_its_venue_and_goes_out_as_soon_as_it_opens() {
    let mut rig = Rig::ready(limits());
    rig.edge();
    let slow = rig.only(Lighter);
    rig.tell(Extended, OrderId::NONE, ReportKind::Closed { closed: true });
    rig.tell(Extended, OrderId::NONE, ReportKind::Down);
    rig.fill_all(&slow);
    rig.pass(8_000);
    assert!(rig.placed().is_empty(), "no try is burnt");
    rig.tell(
        Extended,
        OrderId::NONE,
        ReportKind::Closed { closed: false },
    );
    rig.turn();
    assert!(rig.placed().is_empty(), "open, but not yet in step");
    rig.tell(Extended, OrderId::NONE, ReportKind::Up);
    rig.turn();
    let fast = rig.only(Extended);
    rig.fill_all(&fast);
    assert_eq!(rig.count(|e| matches!(e, Event::Hedged { .. })), 1);
}

#[test]
fn row_37_a_lone_leg_is_taken_back_when_the_other_venue_stays_closed() {
    let mut rig = Rig::ready(limits());
    rig.edge();
    let slow = rig.only(Lighter);
    rig.tell(Extended, OrderId::NONE, ReportKind::Down);
    rig.fill_all(&slow);
    rig.pass(9_900);
    assert!(rig.placed().is_empty());
    rig.pass(200);
    let back = rig.only(Lighter);
    assert!(back.reduce_only && back.size == slow.size);
    rig.fill_all(&back);
    rig.pass(3_100);
    assert_eq!(rig.summary().end, PairEnd::Unwound);
    assert!(!rig.halt.is_raised());
}

#[test]
fn row_37_with_both_venues_away_a_human_is_called_and_the_hedge_still_goes_out() {
    let mut rig = Rig::ready(limits());
    rig.edge();
    let slow = rig.only(Lighter);
    rig.fill(&slow, slow.size, slow.price);
    for venue in VENUES {
        rig.tell(venue, OrderId::NONE, ReportKind::Down);
    }
    rig.turn();
    rig.pass(179_000);
    assert!(!rig.halt.is_raised());
    rig.pass(2_000);
    assert_eq!(rig.halted(), [HaltCause::PairStuck]);
    rig.pass(300_000);
    assert_eq!(rig.halts(), 1, "called once");
    rig.tell(Extended, OrderId::NONE, ReportKind::Up);
    rig.turn();
    let fast = rig.only(Extended);
    assert_eq!(fast.size, slow.size);
}

#[test]
fn row_37_no_exit_begins_while_one_venue_is_away() {
    let mut rig = Rig::ready(Limits {
        hold_max_ns: 5 * SECOND,
        ..limits()
    });
    rig.hedged();
    rig.tell(Lighter, OrderId::NONE, ReportKind::Down);
    rig.pass(20_000);
    assert!(rig.placed().is_empty(), "half an exit is a lone leg");
    rig.tell(Lighter, OrderId::NONE, ReportKind::Up);
    rig.pass(10);
    rig.only(Lighter);
}

#[test]
fn row_37_a_close_that_lost_its_venue_half_way_leaves_nothing_alone_for_longer() {
    let mut rig = Rig::ready(limits());
    rig.hedged();
    rig.command(Control::Drain);
    rig.pass(10);
    let why = Refusal::NotConnected;
    let lead = rig.only(Lighter);
    rig.tell(Lighter, lead.id, ReportKind::NotSent { why });
    rig.tell(Extended, OrderId::NONE, ReportKind::Down);
    rig.pass(5_000);
    assert!(rig.placed().is_empty(), "even is even: it waits for both");
    rig.tell(Extended, OrderId::NONE, ReportKind::Up);
    rig.pass(100);
    assert!(!rig.placed().is_empty());
}

/// The leg that led the way out is closed, and the other's venue goes away.
fn left_half_way() -> (Rig, Order) {
    let mut rig = Rig::ready(limits());
    rig.hedged();
    rig.command(Control::Drain);
    rig.pass(10);
    let lead = rig.only(Lighter);
    rig.tell(Extended, OrderId::NONE, ReportKind::Down);
    rig.fill_all(&lead);
    (rig, lead)
}

#[test]
fn row_37_an_exit_that_lost_its_venue_half_way_is_hedged_anew_and_leaves_later() {
    let (mut rig, lead) = left_half_way();
    rig.pass(9_900);
    assert!(rig.placed().is_empty(), "a reconnect is waited for");
    rig.pass(200);
    let again = rig.only(Lighter);
    let is_other = again.side != lead.side && !again.reduce_only;
    assert!(is_other && again.size == lead.size, "{again:?}");
    rig.fill_all(&again);
    rig.pass(60_000);
    assert!(rig.placed().is_empty(), "it stands hedged");
    assert_eq!(rig.last_status.pairs_legged, 0);
    rig.tell(Extended, OrderId::NONE, ReportKind::Up);
    rig.turn();
    for _ in 0..40 {
        for order in rig.placed() {
            assert!(order.reduce_only && order.size == lead.size);
            rig.fill_all(&order);
        }
        rig.pass(100);
    }
    let told = rig.summary();
    assert_eq!((told.end, rig.halts()), (PairEnd::Closed, 0));
    assert!(rig.last_status.drained);
}

#[test]
fn row_37_an_exit_that_lost_its_venue_for_a_moment_goes_on() {
    let (mut rig, lead) = left_half_way();
    rig.pass(5_000);
    rig.tell(Extended, OrderId::NONE, ReportKind::Up);
    rig.turn();
    let last = rig.only(Extended);
    assert!(last.reduce_only && last.size == lead.size);
}

/// Three hedges have missed, and the leg can't be taken back where it stands.
#[test]
fn row_37_while_the_lone_legs_venue_is_away_hedges_go_on() {
    let mut rig = Rig::ready(limits());
    rig.edge();
    let slow = rig.only(Lighter);
    rig.fill(&slow, slow.size, slow.price);
    rig.turn();
    rig.tell(Lighter, OrderId::NONE, ReportKind::Down);
    let mut prices = Vec::new();
    for _ in 0..100 {
        for order in rig.placed() {
            assert_eq!((order.venue, order.reduce_only), (Extended, false));
            prices.push(order.price);
            rig.reject(&order);
        }
        rig.pass(100);
    }
    assert_eq!(prices.len(), 6);
    assert!(prices[0] < prices[1] && prices[1] < prices[2]);
    assert!(prices[2..].iter().all(|price| *price == prices[2]));
    assert!(!rig.halt.is_raised());
    // It comes back: now the leg is taken back there.
    rig.tell(Lighter, OrderId::NONE, ReportKind::Up);
    rig.turn();
    let back = rig.only(Lighter);
    assert!(back.reduce_only && back.size == slow.size);
}
