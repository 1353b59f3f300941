//! Distance to liquidation: each level does what it says, on the venue's own mark, and neither one
//! sample of equity nor a venue that can't be heard raises any of them.

use crate::scripted::*;
use parallax::market::event::{Control, Event, ExitCause, Level, PairEnd, Reason};
use parallax::market::order::{OrderId, ReportKind};
use parallax::market::reference::ReferenceKind;
use parallax::market::units::{Bps, Notional, SCALE, SECOND};
use parallax::market::{InstrumentId, VENUES, Venue};
use parallax::scanner::risk::Limits;

/// Held for long, so that nothing else ends a pair.
fn limits() -> Limits {
    Limits {
        hold_max_ns: 100_000 * SECOND,
        stop: bps("9000"),
        position_max: Notional::from_usd(300),
        ..Limits::default()
    }
}

fn equity(rig: &mut Rig, venue: Venue, usd: i64) {
    let (equity, available) = (Notional::from_usd(usd), Notional::from_usd(usd));
    let kind = ReportKind::Balance { equity, available };
    rig.tell(venue, OrderId::NONE, kind);
}

/// Equity told often enough to be believed, and time for a level to stand.
fn believed(rig: &mut Rig, venue: Venue, usd: i64) {
    equity(rig, venue, usd);
    rig.pass(5_000);
}

fn levels(rig: &Rig) -> Vec<(Venue, Level)> {
    let level = |event: &Event| match event {
        Event::Margin { venue, level, .. } => Some((*venue, *level)),
        _ => None,
    };
    rig.events.iter().filter_map(level).collect()
}

/// A hedged pair of 0.299 at 1,000 on either venue: 150 USD of maintenance, a sigma of about 7.8.
fn held() -> Rig {
    let mut rig = Rig::ready(limits());
    rig.hedged();
    rig.pass(5_000);
    assert_eq!(levels(&rig), []);
    rig
}

#[test]
fn each_level_begins_at_its_distance() {
    for (usd, level) in [
        (230, None),
        (205, Some(Level::Warn)),
        (183, Some(Level::Stop)),
        (168, Some(Level::Shrink)),
        (155, Some(Level::Flatten)),
        (-40, Some(Level::Flatten)),
    ] {
        for venue in VENUES {
            let mut rig = held();
            believed(&mut rig, venue, usd);
            let expected: Vec<_> = level.map(|level| (venue, level)).into_iter().collect();
            assert_eq!(levels(&rig), expected, "{usd}");
        }
    }
}

#[test]
fn a_warning_changes_nothing_and_a_stop_stops_entries_only() {
    for (usd, level, reasons) in [
        (205, Level::Warn, vec![]),
        (183, Level::Stop, vec![Reason::MarginDistance]),
    ] {
        let mut rig = held();
        believed(&mut rig, Lighter, usd);
        assert_eq!(levels(&rig), [(Lighter, level)]);
        assert!(rig.placed().is_empty(), "no pair is left");
        let (equity, available) = (Notional::from_usd(usd), Notional::from_usd(5_000));
        rig.tell(
            Lighter,
            OrderId::NONE,
            ReportKind::Balance { equity, available },
        );
        let (instrument, basis) = (InstrumentId(1), Bps::ZERO);
        rig.command(Control::FairSeed { instrument, basis });
        rig.settle_at(instrument);
        rig.book_of(instrument, Lighter, ("1001.4", "1001.6"), "2");
        assert_eq!(rig.reasons(), reasons);
        // What is entered after a warning is what leaves the distance of a stop: 16 USD of equity
        // at half for maintenance and 13 % for five sigma.
        let sizes: Vec<_> = rig.placed().iter().map(|order| order.size).collect();
        match level {
            Level::Warn => assert_eq!(sizes, [size("0.025")]),
            _ => assert!(sizes.is_empty()),
        }
    }
}

/// Both legs together: the largest pair goes first, and only when it is gone the next.
#[test]
fn shrinking_leaves_one_pair_with_both_legs() {
    let mut rig = held();
    believed(&mut rig, Extended, 168);
    assert_eq!(levels(&rig), [(Extended, Level::Shrink)]);
    let first = rig.only(Lighter);
    assert!(first.reduce_only);
    rig.fill_all(&first);
    let second = rig.only(Extended);
    assert!(second.reduce_only);
    rig.fill_all(&second);
    let told = rig.summary();
    assert_eq!((told.end, told.cause), (PairEnd::Closed, ExitCause::Margin));
    // Nothing is held any more: nothing is near.
    rig.pass(3_000);
    assert_eq!(levels(&rig).last(), Some(&(Extended, Level::Calm)));
}

/// An exit for margin is not held back by halt, nor by an empty budget.
#[test]
fn flattening_goes_on_in_halt() {
    let mut rig = held();
    rig.halt.raise();
    believed(&mut rig, Lighter, 152);
    let first = rig.only(Lighter);
    rig.fill_all(&first);
    let second = rig.only(Extended);
    rig.fill_all(&second);
    assert_eq!(rig.summary().cause, ExitCause::Margin);
}

/// Liquidation is judged on each venue's own mark, whatever its book shows.
#[test]
fn the_venues_own_mark_is_what_counts() {
    for (venue, mark, is_hit) in [
        // Short on Lighter: its mark over its book.
        (Lighter, 1_150, true),
        (Lighter, 850, false),
        (Extended, 700, true),
        (Extended, 1_300, false),
    ] {
        let mut rig = Rig::ready(limits());
        for one in VENUES {
            rig.reference(one, ReferenceKind::Mark, 1_000 * SCALE);
        }
        rig.hedged();
        believed(&mut rig, venue, 230);
        rig.reference(venue, ReferenceKind::Mark, mark * SCALE);
        rig.pass(2_000);
        let is_told = levels(&rig).iter().any(|(at, _)| *at == venue);
        assert_eq!(is_told, is_hit, "{venue:?} {mark}: {:?}", levels(&rig));
    }
}

/// Row 38: one bad sample, a venue that is down, and the first zero of a start arm nothing.
#[test]
fn row_38_no_bad_equity_arms_anything() {
    // One sample that the next takes back.
    let mut rig = held();
    equity(&mut rig, Lighter, 0);
    rig.pass(900);
    equity(&mut rig, Lighter, 5_000);
    rig.pass(10_000);
    assert!(levels(&rig).is_empty() && rig.placed().is_empty());

    // A venue that goes down after a bad word: the word is forgotten with the stream.
    let mut rig = held();
    equity(&mut rig, Lighter, 10);
    rig.pass(500);
    rig.tell(Lighter, OrderId::NONE, ReportKind::Down);
    rig.pass(60_000);
    rig.tell(Lighter, OrderId::NONE, ReportKind::Up);
    equity(&mut rig, Lighter, 5_000);
    rig.pass(60_000);
    assert!(levels(&rig).is_empty() && rig.placed().is_empty());
}

/// The stop takes both legs out, reduce-only, with one book gone: what is known of it stands in.
#[test]
fn a_stop_works_with_one_book_gone() {
    for gone in VENUES {
        let mut rig = Rig::ready(Limits {
            stop: bps("40"),
            hold_max_ns: 100_000 * SECOND,
            ..Limits::default()
        });
        rig.hedged();
        rig.stale(gone);
        rig.pass(6_000);
        for _ in 0..3 {
            // Long on Extended at 1000, short on Lighter at 1001.4: 60 bps against us.
            match gone {
                Extended => rig.book(Lighter, "1005.9", "1006.0"),
                Lighter => rig.book(Extended, "994.0", "994.1"),
            }
        }
        rig.pass(10);
        let lead = rig.only(Lighter);
        assert!(lead.reduce_only, "{gone:?}");
        rig.fill_all(&lead);
        let other = rig.only(Extended);
        assert!(other.reduce_only);
        rig.fill_all(&other);
        let told = rig.summary();
        assert_eq!((told.end, told.cause), (PairEnd::Closed, ExitCause::Stop));
    }
}

/// A book that has just come back is given the moment it needs; within the stop nothing leaves.
#[test]
fn a_stop_is_not_believed_on_a_book_that_settles() {
    let mut rig = Rig::ready(Limits {
        stop: bps("40"),
        ..Limits::default()
    });
    rig.hedged();
    rig.stale(Lighter);
    rig.book(Lighter, "1005.9", "1006.0");
    assert!(rig.placed().is_empty());
    rig.book(Lighter, "1002.9", "1003.0");
    rig.book(Lighter, "1002.9", "1003.0");
    assert!(rig.placed().is_empty());
}

/// Half an exit would be a lone leg: with a venue that takes no orders nothing is sent, and as soon
/// as it does, both go.
#[test]
fn a_stop_waits_for_a_venue_that_takes_no_orders() {
    let mut rig = Rig::ready(Limits {
        stop: bps("40"),
        ..Limits::default()
    });
    rig.hedged();
    rig.tell(Extended, OrderId::NONE, ReportKind::Down);
    rig.book(Lighter, "1005.9", "1006.0");
    rig.pass(1_000);
    assert!(rig.placed().is_empty());
    rig.tell(Extended, OrderId::NONE, ReportKind::Up);
    rig.pass(20);
    assert!(rig.only(Lighter).reduce_only);
}

/// A payment that costs more than the pair still brings is not waited for.
#[test]
fn a_pair_is_left_before_funding_that_costs_more_than_it_brings() {
    for (rate_e9, leaves) in [(2_000_000, true), (100_000, false), (-2_000_000, false)] {
        let mut rig = Rig::ready(Limits {
            hold_max_ns: 100_000 * SECOND,
            regime_after_ns: 100_000 * SECOND,
            stop: bps("500"),
            ..Limits::default()
        });
        rig.hedged();
        // Longs on Extended pay; the pair stands about 15 bps from its fair.
        rig.reference(Extended, ReferenceKind::Funding, rate_e9);
        rig.reference(Lighter, ReferenceKind::Funding, 0);
        let hour = 3_600 * SECOND;
        let left_ns = hour - rig.now.0 % hour;
        let both = |rig: &mut Rig| {
            for _ in 0..3 {
                rig.book(Extended, "999.9", "1000.1");
                rig.book(Lighter, "1001.4", "1001.6");
            }
        };
        rig.now = rig.now.plus(left_ns - 60 * SECOND);
        both(&mut rig);
        assert!(rig.placed().is_empty(), "too early");
        rig.now = rig.now.plus(25 * SECOND);
        both(&mut rig);
        assert_eq!(!rig.placed().is_empty(), leaves, "{rate_e9}");
    }
}
