//! Each limit stops what it says, under its own name; halt stops entries and ends.

#[path = "rig/scripted.rs"]
mod scripted;

use parallax::market::event::{Control, Event, PairEnd, Reason};
use parallax::market::order::{OrderId, ReportKind};
use parallax::market::units::{Bps, Notional, SECOND, Size};
use parallax::market::{InstrumentId, VENUES};
use parallax::scanner::risk::Limits;
use scripted::*;

/// Shows the standing edge and gives the only reason that was named; no order may have left.
fn refused(rig: &mut Rig) -> Reason {
    rig.edge();
    assert!(rig.placed().is_empty());
    assert_eq!(rig.count(|e| matches!(e, Event::Seen { .. })), 1);
    let reasons = rig.reasons();
    assert_eq!(reasons.len(), 1, "{reasons:?}");
    reasons[0]
}

fn refused_with(limits: Limits) -> Reason {
    refused(&mut Rig::ready(limits))
}

fn money(rig: &mut Rig, usd: i64) {
    let equity = Notional::from_usd(usd);
    let available = equity;
    for venue in VENUES {
        rig.tell(
            venue,
            OrderId::NONE,
            ReportKind::Balance { equity, available },
        );
    }
}

#[test]
fn the_same_edge_passes_when_no_limit_binds() {
    let mut rig = Rig::ready(Limits::default());
    rig.edge();
    assert_eq!(rig.placed().len(), 1);
    assert!(rig.reasons().is_empty());
    assert_eq!(rig.count(|e| matches!(e, Event::Taken { .. })), 1);
}

#[test]
fn a_market_that_the_lists_have_closed_is_not_entered_and_others_are() {
    let mut rig = Rig::ready(Limits::default());
    let bar = |instrument, allowed| Control::Entries {
        instrument,
        allowed,
    };
    // An instrument that is not there is nobody's.
    rig.command(bar(InstrumentId(900), false));
    rig.command(bar(InstrumentId(1), false));
    rig.command(bar(BTC, false));
    assert_eq!(refused(&mut rig), Reason::MarketOff);
    rig.command(bar(BTC, true));
    rig.edge();
    assert_eq!(rig.placed().len(), 1);
}

#[test]
fn a_closed_market_is_still_left() {
    let mut rig = Rig::ready(Limits::default());
    rig.hedged();
    rig.command(Control::Entries {
        instrument: BTC,
        allowed: false,
    });
    rig.command(Control::Drain);
    rig.pass(100);
    assert!(!rig.placed().is_empty(), "the exit goes out all the same");
}

#[test]
fn plain_limits_bind_under_their_names() {
    let base = Limits::default();
    for (limits, reason) in [
        (
            Limits {
                entries_enabled: false,
                ..base
            },
            Reason::EntriesOff,
        ),
        (
            Limits {
                net_min: bps("6"),
                ..base
            },
            Reason::NetBelowMin,
        ),
        (
            Limits {
                plausible_max: bps("12"),
                ..base
            },
            Reason::Implausible,
        ),
        (
            Limits {
                position_max: Notional::from_usd(9),
                ..base
            },
            Reason::MaxPosition,
        ),
        (
            Limits {
                gross_max: Notional::from_usd(19),
                ..base
            },
            Reason::MaxGross,
        ),
        (
            Limits {
                depth_haircut_e4: 9_980,
                ..base
            },
            Reason::SizeBelowMin,
        ),
        (
            Limits {
                orders_per_minute: [800, 2],
                ..base
            },
            Reason::RateBudget,
        ),
    ] {
        assert_eq!(refused_with(limits), reason);
    }
}

#[test]
fn below_the_gross_minimum_nothing_is_even_seen() {
    let mut rig = Rig::ready(Limits {
        gross_min: bps("14"),
        ..Limits::default()
    });
    rig.edge();
    assert!(rig.placed().is_empty() && rig.reasons().is_empty());
    assert_eq!(rig.count(|e| matches!(e, Event::Seen { .. })), 0);
}

#[test]
fn accounts_and_gateways_must_be_there() {
    let mut rig = Rig::ready(Limits::default());
    rig.tell(Extended, OrderId::NONE, ReportKind::Down);
    assert_eq!(refused(&mut rig), Reason::GatewayDown);

    let mut rig = Rig::ready(Limits::default());
    money(&mut rig, 9);
    assert_eq!(refused(&mut rig), Reason::Margin);

    let mut rig = Rig::ready(Limits::default());
    money(&mut rig, 200);
    rig.edge();
    assert_eq!(rig.only(Lighter).size, size("0.199"), "what 200 USD carry");
}

#[test]
fn a_position_that_was_there_before_counts() {
    let mut rig = Rig::ready(Limits::default());
    rig.position(Lighter, size("-0.4"));
    rig.edge();
    assert_eq!(rig.only(Lighter).size, size("0.099"));

    let mut rig = Rig::ready(Limits::default());
    rig.position(Lighter, size("0.5"));
    assert_eq!(refused(&mut rig), Reason::MaxPosition);
}

#[test]
fn an_unknown_fair_refuses_and_a_known_one_is_taken_out() {
    let mut rig = Rig::new(Limits::default());
    for venue in VENUES {
        rig.tell(venue, OrderId::NONE, ReportKind::Up);
    }
    money(&mut rig, 5_000);
    rig.settle();
    rig.pass(500);
    rig.calm();
    assert_eq!(refused(&mut rig), Reason::FairWarmup);

    // The same prices are no edge at all where they have always been so.
    let mut rig = Rig::ready(Limits::default());
    let (instrument, basis) = (BTC, Bps::from_milli(15_000));
    rig.command(Control::FairSeed { instrument, basis });
    rig.edge();
    assert_eq!(
        rig.count(|e| matches!(e, Event::Seen { long, .. } if *long == Extended)),
        0
    );
}

#[test]
fn a_basis_that_moved_for_good_is_not_entered_again_and_again() {
    let mut rig = Rig::ready(Limits {
        regime_after_ns: 10 * SECOND,
        hold_max_ns: 5 * SECOND,
        cooldown_ns: SECOND,
        ..Limits::default()
    });
    let mut pairs = 0;
    for _ in 0..600 {
        rig.book(Extended, "999.9", "1000.1");
        rig.edge();
        rig.pass(50);
        for order in rig.placed() {
            pairs += u32::from(!order.reduce_only && order.venue == Lighter);
            rig.fill_all(&order);
        }
    }
    assert_eq!(pairs, 1, "entered once, left by time");
    assert!(rig.reasons().contains(&Reason::RegimeChange) || rig.reasons().is_empty());
    // After the new fair is learned the way back is an edge like any other.
    assert_eq!(rig.last_status.instruments_live, 1);
    rig.calm();
    assert_eq!(rig.placed().len(), 1);
}

#[test]
fn a_regime_change_stops_entries_until_it_is_learned() {
    let mut rig = Rig::ready(Limits {
        regime_after_ns: 2 * SECOND,
        net_min: bps("50"),
        ..Limits::default()
    });
    for _ in 0..60 {
        rig.book(Extended, "999.9", "1000.1");
        rig.edge();
        rig.pass(50);
    }
    assert_eq!(rig.last_status.instruments_live, 0);
    // The other direction: an edge against the half-learned fair is refused by name.
    rig.calm();
    assert!(
        rig.reasons().contains(&Reason::RegimeChange),
        "{:?}",
        rig.reasons()
    );
}

#[test]
fn stale_books_are_not_traded() {
    let mut rig = Rig::ready(Limits::default());
    rig.now = rig.now.plus(6 * SECOND);
    assert_eq!(refused(&mut rig), Reason::StaleBook);
    rig.book(Extended, "999.9", "1000.1");
    assert_eq!(rig.placed().len(), 1, "fresh again within the same episode");

    let mut rig = Rig::ready(Limits::default());
    rig.stale(Extended);
    rig.edge();
    assert!(rig.placed().is_empty() && rig.reasons().is_empty());
    for _ in 0..2 {
        rig.book(Extended, "999.9", "1000.1");
        assert!(rig.placed().is_empty());
        assert_eq!(
            rig.reasons(),
            [Reason::Settling],
            "back, and not yet believed"
        );
    }
    rig.book(Extended, "999.9", "1000.1");
    assert_eq!(rig.placed().len(), 1);

    let mut rig = Rig::ready(Limits::default());
    rig.book(Extended, "1000.2", "1000.1");
    rig.edge();
    assert!(rig.placed().is_empty(), "a crossed book is not looked at");
}

#[test]
fn slots_cooldown_and_the_other_direction() {
    let mut rig = Rig::ready(Limits {
        slots: 1,
        ..Limits::default()
    });
    rig.hedged();
    rig.pass(10);
    // The edge goes below half without converging, and returns: a new episode, but no slot.
    rig.book(Lighter, "1000.2", "1000.9");
    rig.pass(100);
    rig.book(Lighter, "1000.2", "1000.9");
    rig.edge();
    assert_eq!(rig.reasons(), [Reason::NoSlot]);

    // After a pair has ended: a rest.
    rig.command(Control::EntriesOff);
    rig.book(Lighter, "999.9", "1000.0");
    rig.book(Extended, "1000.0", "1000.1");
    let out = rig.only(Lighter);
    rig.fill_all(&out);
    let out = rig.only(Extended);
    rig.fill_all(&out);
    assert_eq!(rig.summary().end, PairEnd::Closed);

    let mut rig = Rig::ready(Limits::default());
    rig.edge();
    let slow = rig.only(Lighter);
    rig.reject(&slow);
    rig.edge();
    assert_eq!(rig.reasons(), [Reason::Cooldown]);

    // A pair the other way round would net with the open one at the venue.
    let mut rig = Rig::ready(Limits::default());
    rig.edge();
    rig.only(Lighter);
    rig.book(Lighter, "998.4", "998.6");
    assert_eq!(rig.reasons(), [Reason::NoSlot]);
}

#[test]
fn tokens_for_exits_are_kept_back() {
    // Room for an entry, an exit and one repair: one pair, not two.
    let mut rig = Rig::ready(Limits {
        orders_per_minute: [800, 5],
        ..Limits::default()
    });
    rig.hedged();
    rig.book(Lighter, "1000.2", "1000.9");
    rig.pass(100);
    rig.book(Lighter, "1000.2", "1000.9");
    rig.edge();
    assert_eq!(rig.reasons(), [Reason::RateBudget]);
}

#[test]
fn in_flight_orders_count_as_filled() {
    let mut rig = Rig::ready(Limits {
        position_max: Notional::from_usd(300),
        gross_max: Notional::from_usd(1_000),
        ..Limits::default()
    });
    rig.edge();
    let slow = rig.only(Lighter);
    assert_eq!(slow.size, size("0.299"));
    // Nothing has been heard of it. Another instrument has what MAX_GROSS_USD leaves.
    let other = InstrumentId(1);
    rig.command(Control::FairSeed {
        instrument: other,
        basis: Bps::ZERO,
    });
    rig.settle_at(other);
    rig.book_of(other, Lighter, ("1001.4", "1001.6"), "2");
    let second = rig.only(Lighter);
    assert_eq!(second.instrument, other);
    assert_eq!(second.size, size("0.2"));
}

#[test]
fn depth_is_taken_with_a_haircut() {
    let mut rig = Rig::ready(Limits::default());
    rig.book_of(BTC, Lighter, ("1001.4", "1001.6"), "0.3");
    // Half of 0.3 at 1001.4; the next level at 1000.4 no longer pays.
    assert_eq!(rig.only(Lighter).size, size("0.15"));
}

#[test]
fn a_full_order_link_drops_the_entry() {
    let mut rig = Rig::sized(Limits::default(), 1);
    rig.open_for_business();
    // Orders are collected after a turn: two entries in one turn need two places.
    let other = InstrumentId(1);
    rig.command(Control::FairSeed {
        instrument: other,
        basis: Bps::ZERO,
    });
    rig.settle_at(other);
    rig.shift_unheard(BTC);
    rig.shift_unheard(other);
    rig.turn();
    assert_eq!(rig.placed().len(), 1);
    assert_eq!(rig.reasons(), [Reason::LinkFull]);
    assert!(!rig.halt.is_raised());
}

#[test]
fn control_and_halt_stop_entries() {
    let mut rig = Rig::ready(Limits::default());
    rig.command(Control::EntriesOff);
    assert_eq!(refused(&mut rig), Reason::EntriesOff);
    rig.pass(10);
    assert!(!rig.last_status.drained);

    let mut rig = Rig::ready(Limits::default());
    rig.halt.raise();
    assert_eq!(refused(&mut rig), Reason::EntriesOff);
    rig.pass(10);
    assert!(rig.last_status.drained);
}

#[test]
fn an_episode_is_seen_once_and_refused_once_per_reason() {
    let mut rig = Rig::ready(Limits {
        net_min: bps("6"),
        ..Limits::default()
    });
    for _ in 0..20 {
        rig.edge();
        rig.pass(10);
    }
    assert_eq!(rig.count(|e| matches!(e, Event::Seen { .. })), 1);
    rig.tell(Extended, OrderId::NONE, ReportKind::Down);
    rig.book(Lighter, "1002.4", "1002.6");
    assert_eq!(rig.reasons(), [Reason::NetBelowMin, Reason::GatewayDown]);
    rig.calm();
    rig.pass(60);
    rig.calm();
    rig.edge();
    assert_eq!(rig.count(|e| matches!(e, Event::Seen { .. })), 2);
    assert_eq!(rig.reasons().len(), 3);
}

#[test]
fn the_status_says_what_is_live() {
    let mut rig = Rig::new(Limits::default());
    rig.pass(10);
    assert!(!rig.last_status.gateways_up);
    assert_eq!(rig.last_status.instruments_live, 0);
    rig.open_for_business();
    rig.pass(10);
    assert!(rig.last_status.gateways_up);
    assert_eq!(rig.last_status.instruments_live, 1);
    rig.hedged();
    rig.pass(10);
    let status = rig.last_status;
    assert_eq!((status.pairs_open, status.pairs_legged), (1, 0));
    assert_eq!(Size::ZERO, size("0"));
}
