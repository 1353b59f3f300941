//! Every limit of a size, alone: what it leaves, and that it is named. And what is on its way.

use crate::scripted::*;
use crate::{money, refused};
use parallax::market::event::{Control, Event, ExitCause, Reason};
use parallax::market::order::{OrderId, ReportKind};
use parallax::market::reference::ReferenceKind;
use parallax::market::units::{Bps, Notional, SCALE};
use parallax::market::{Bounds, InstrumentId, VENUES, Venue};
use parallax::scanner::margin::Levels;
use parallax::scanner::risk::Limits;

fn usd(usd: i64) -> Notional {
    Notional::from_usd(usd)
}

/// A rig in which one thing is other than usual.
type Turn = fn(&mut Limits, &mut [Bounds; 2]);

fn turned(turn: Turn) -> Rig {
    let (mut limits, mut bounds) = (Limits::default(), [Bounds::default(); 2]);
    turn(&mut limits, &mut bounds);
    Rig::within(limits, bounds)
}

/// What is entered is what the limit leaves, on either venue; without it the same edge gives more.
#[test]
fn each_limit_alone_makes_the_pair_smaller() {
    let cases: [(Turn, &str); 9] = [
        (|_, _| {}, "0.499"),
        (|limits, _| limits.position_max = usd(300), "0.299"),
        (|limits, _| limits.gross_max = usd(400), "0.199"),
        // Of 5,000 USD.
        (|limits, _| limits.equity_share_e4 = 600, "0.299"),
        (|limits, _| limits.balance_ratio_e4 = 250_000, "0.199"),
        (
            |_, bounds| bounds[1].order_value_max = Some(usd(200)),
            "0.199",
        ),
        (
            |_, bounds| bounds[0].position_value_max = Some(usd(200)),
            "0.199",
        ),
        (
            |_, bounds| bounds[0].open_interest_left = Some(usd(100)),
            "0.099",
        ),
        // 5,000 USD bear 25 sigma of at least 2.6 % and half for maintenance, and no more.
        (
            |limits, bounds| {
                limits.margin.stop_milli = 600_000;
                limits.margin.warn_milli = 700_000;
                bounds[1].maintenance_margin_e4 = 120;
            },
            "0.308",
        ),
    ];
    for (at, (turn, expected)) in cases.into_iter().enumerate() {
        let mut rig = turned(turn);
        rig.edge();
        assert_eq!(rig.only(Lighter).size, size(expected), "case {at}");
        assert!(rig.reasons().is_empty());
    }
}

/// Where a limit leaves less than the venues take, it is the reason, by its name.
#[test]
fn each_limit_alone_refuses_under_its_name() {
    let cases: [(Turn, Reason); 9] = [
        (
            |limits, _| limits.position_max = usd(9),
            Reason::MaxPosition,
        ),
        (|limits, _| limits.gross_max = usd(19), Reason::MaxGross),
        (|limits, _| limits.equity_share_e4 = 18, Reason::EquityShare),
        (
            |limits, _| limits.balance_ratio_e4 = 6_000_000,
            Reason::BalanceRatio,
        ),
        (
            |_, bounds| bounds[0].order_value_max = Some(usd(9)),
            Reason::OpenInterest,
        ),
        (
            |_, bounds| bounds[1].position_value_max = Some(usd(9)),
            Reason::OpenInterest,
        ),
        (
            |_, bounds| bounds[1].open_interest_left = Some(usd(0)),
            Reason::OpenInterest,
        ),
        (
            |limits, _| {
                limits.margin = Levels {
                    stop_milli: 90_000_000,
                    ..limits.margin
                }
            },
            Reason::MarginDistance,
        ),
        (
            |limits, _| limits.margin.queue_stop = 0,
            Reason::MarginDistance,
        ),
    ];
    for (turn, reason) in cases {
        assert_eq!(refused(&mut turned(turn)), reason);
    }
}

/// The smaller venue's equity counts, and its word of it alone makes a size smaller.
#[test]
fn the_smaller_equity_is_shared_out() {
    for venue in VENUES {
        let mut rig = turned(|limits, _| limits.equity_share_e4 = 2_500);
        let (equity, available) = (usd(800), usd(5_000));
        rig.tell(
            venue,
            OrderId::NONE,
            ReportKind::Balance { equity, available },
        );
        rig.edge();
        assert_eq!(rig.only(Lighter).size, size("0.199"), "{venue:?}");
    }
}

/// While money is on its way between the venues, what it leaves bounds the positions of either, all
/// markets together; when it has arrived, nothing does.
#[test]
fn what_a_transfer_leaves_bounds_the_positions_on_both_venues() {
    for venue in VENUES {
        let mut rig = Rig::ready(Limits::default());
        let most = Some(usd(200));
        rig.command(Control::Transfer { venue, most });
        rig.edge();
        assert_eq!(rig.only(Lighter).size, size("0.199"), "{venue:?}");
        // What is on its way in counts, on whichever market.
        let (other, basis) = (InstrumentId(1), Bps::ZERO);
        rig.command(Control::FairSeed {
            instrument: other,
            basis,
        });
        rig.settle_at(other);
        rig.book_of(other, Lighter, ("1001.4", "1001.6"), "2");
        assert!(rig.placed().is_empty(), "{venue:?}");
        assert!(rig.reasons().contains(&Reason::Transfer), "{venue:?}");
    }
    for venue in VENUES {
        let mut rig = Rig::ready(Limits::default());
        let most = Some(usd(9));
        rig.command(Control::Transfer { venue, most });
        assert_eq!(refused(&mut rig), Reason::Transfer);
        rig.command(Control::Transfer { venue, most: None });
        rig.edge();
        assert_eq!(rig.only(Lighter).size, size("0.499"));
    }
}

/// Row 32: what is on its way in is reserved on both venues before the next leg is sent.
#[test]
fn margin_is_reserved_on_both_venues() {
    let mut rig = Rig::ready(Limits::default());
    money(&mut rig, 600);
    rig.edge();
    assert_eq!(rig.only(Lighter).size, size("0.499"));
    let other = InstrumentId(1);
    rig.command(Control::FairSeed {
        instrument: other,
        basis: Bps::ZERO,
    });
    rig.settle_at(other);
    rig.book_of(other, Lighter, ("1001.4", "1001.6"), "2");
    // Neither venue has yet taken anything from what is free.
    assert_eq!(rig.only(Lighter).size, size("0.1"));
}

/// A limit beyond what the venue takes against its mark is not sent to be refused.
#[test]
fn a_price_beyond_the_venues_cap_is_not_entered() {
    let bounds = Bounds {
        price_cap_e9: Some(SCALE / 20),
        price_floor_e9: Some(SCALE / 20),
        ..Bounds::default()
    };
    for (venue, mark, passes) in [
        (Extended, 1_000, true),
        (Extended, 953, true),
        (Extended, 952, false),
        (Extended, 1_900, true),
        (Lighter, 1_054, true),
        (Lighter, 1_055, false),
        (Lighter, 500, true),
    ] {
        let mut rig = Rig::within(Limits::default(), [bounds; 2]);
        rig.reference(venue, ReferenceKind::Mark, mark * SCALE);
        rig.edge();
        assert_eq!(rig.placed().len(), usize::from(passes), "{venue:?} {mark}");
        assert_eq!(rig.refused(Reason::OpenInterest), !passes);
    }
}

/// A market on which the venue would take our position among the first is not entered.
#[test]
fn the_head_of_the_queue_is_not_made_longer() {
    for venue in VENUES {
        let mut rig = Rig::ready(Limits::default());
        let rank = |rig: &mut Rig, rank| {
            rig.tell(venue, OrderId::NONE, ReportKind::Queue { rank });
        };
        rank(&mut rig, 4);
        assert_eq!(refused(&mut rig), Reason::MarginDistance, "{venue:?}");
        rank(&mut rig, 3);
        rig.edge();
        assert_eq!(rig.placed().len(), 1);
    }
}

/// An edge the other way round makes the open pair give way first, and is entered after it.
#[test]
fn the_opposite_opportunity_first_closes() {
    let mut rig = Rig::ready(Limits {
        // So far from its own fair that it would not converge by itself.
        exit_over_fair: bps("-100"),
        cooldown_ns: 0,
        ..Limits::default()
    });
    rig.hedged();
    rig.pass(2_000);
    rig.book(Extended, "999.9", "1000.1");
    rig.book(Lighter, "998.4", "998.6");
    let out = rig.only(Lighter);
    assert!(out.reduce_only);
    assert_eq!(rig.reasons().last(), Some(&Reason::NoSlot));
    rig.fill_all(&out);
    let out = rig.only(Extended);
    assert!(out.reduce_only);
    rig.fill_all(&out);
    assert_eq!(rig.summary().cause, ExitCause::Opposite);
    rig.book(Lighter, "998.4", "998.6");
    let entry = rig.only(Lighter);
    assert!(!entry.reduce_only);
    let is_other = |event: &Event| {
        matches!(
            event,
            Event::Taken {
                long: Venue::Lighter,
                ..
            }
        )
    };
    assert_eq!(rig.count(is_other), 1);
}
