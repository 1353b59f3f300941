//! What is told when: words against orders, one situation at a time.

use crate::scripted::*;
use parallax::market::InstrumentId;
use parallax::market::event::Control;
use parallax::market::foresight::{Foresight, Rung};
use parallax::market::order::{Order, OrderId, ReportKind};
use parallax::market::units::{Price, SECOND};
use parallax::scanner::risk::{LegOrder, Limits};
use parallax::stage::link::Rx;

/// Long enough for a gateway to sign all of an instrument.
const WORDS: usize = 64;

fn limits(leg_order: LegOrder) -> Limits {
    Limits {
        leg_order,
        ..Limits::default()
    }
}

/// Turns that find nothing to do, and the words told in them.
fn idle(rig: &mut Rig, words: &mut Rx<Foresight>) -> Vec<Foresight> {
    for _ in 0..8 {
        rig.turn();
    }
    std::iter::from_fn(|| words.pop()).collect()
}

/// As a word that foresees it.
fn foreseen(order: &Order) -> Foresight {
    Foresight::Rung(Rung {
        instrument: order.instrument,
        side: order.side,
        price: order.price,
        size: order.size,
    })
}

fn is_rung(word: &Foresight) -> bool {
    matches!(word, Foresight::Rung(_))
}

/// Lighter comes back to where Extended stands.
fn back(rig: &mut Rig) {
    rig.book(Lighter, "999.7", "999.9");
}

#[test]
fn an_entry_that_the_other_venue_brings_about_was_foreseen_to_the_last_digit() {
    for leg_order in [LegOrder::FastFirst, LegOrder::Both] {
        let (mut rig, mut words) = Rig::ready(limits(leg_order)).foreseeing(WORDS);
        rig.calm();
        let told = idle(&mut rig, &mut words);
        assert_eq!(
            told.iter().filter(|word| is_rung(word)).count(),
            2,
            "{told:?}"
        );
        rig.edge();
        let placed = rig.placed();
        let order = placed.iter().find(|order| order.venue == Extended);
        let order = order.expect("its leg goes out with the edge");
        assert!(told.contains(&foreseen(order)), "{order:?} in {told:?}");
    }
}

#[test]
fn the_hedge_and_the_way_out_were_foreseen_while_they_were_waited_for() {
    for leg_order in [LegOrder::SlowFirst, LegOrder::FastFirst] {
        let (mut rig, mut words) = Rig::ready(limits(leg_order)).foreseeing(WORDS);
        rig.edge();
        let mut told = Vec::new();
        // Both legs of the entry, then both of the exit; between them the other venue moves.
        for step in 0..4 {
            if step == 2 {
                back(&mut rig);
            }
            let placed = rig.placed();
            assert_eq!(placed.len(), 1, "{leg_order:?} {step} {placed:?}");
            let is_judged = placed[0].venue == Extended && step > 0;
            let is_told = told.contains(&foreseen(&placed[0]));
            assert!(
                is_told || !is_judged,
                "{leg_order:?} {step}: {placed:?} in {told:?}"
            );
            told.extend(idle(&mut rig, &mut words));
            rig.fill_all(&placed[0]);
            told.extend(idle(&mut rig, &mut words));
        }
        assert_eq!(rig.summaries().len(), 1);
    }
}

#[test]
fn what_stands_told_is_told_again_only_when_it_grows_old() {
    let (mut rig, mut words) = Rig::ready(Limits::default()).foreseeing(WORDS);
    rig.calm();
    let first = idle(&mut rig, &mut words);
    rig.calm();
    assert_eq!(idle(&mut rig, &mut words), [], "nothing has changed");
    rig.now = rig.now.plus(SECOND);
    rig.calm();
    assert_eq!(idle(&mut rig, &mut words), first);
}

#[test]
fn a_book_that_is_not_believed_takes_its_words_back() {
    let (mut rig, mut words) = Rig::ready(Limits::default()).foreseeing(WORDS);
    rig.calm();
    assert!(!idle(&mut rig, &mut words).is_empty());
    rig.stale(Lighter);
    assert_eq!(idle(&mut rig, &mut words), [Foresight::Drop(BTC)]);
    rig.settle();
    assert!(idle(&mut rig, &mut words).iter().all(is_rung));
    // Silence makes a book stale as well, at the beat.
    rig.pass(6_000);
    let told = idle(&mut rig, &mut words);
    assert_eq!(told.last(), Some(&Foresight::Drop(BTC)), "{told:?}");
    rig.settle();
    assert!(!idle(&mut rig, &mut words).is_empty());
    let (instrument, allowed) = (BTC, false);
    rig.command(Control::Entries {
        instrument,
        allowed,
    });
    rig.calm();
    assert_eq!(idle(&mut rig, &mut words), [Foresight::Drop(BTC)]);
}

#[test]
fn every_stop_takes_all_words_back_and_silences() {
    type Stop = fn(&mut Rig);
    let stops: [(&str, Stop); 4] = [
        ("halt", |rig| rig.halt.raise()),
        ("entries off", |rig| rig.command(Control::EntriesOff)),
        ("drain", |rig| rig.command(Control::Drain)),
        ("gateway down", |rig| {
            rig.tell(Lighter, OrderId::NONE, ReportKind::Down);
        }),
    ];
    for (name, stop) in stops {
        let (mut rig, mut words) = Rig::ready(Limits::default()).foreseeing(WORDS);
        rig.calm();
        assert!(!idle(&mut rig, &mut words).is_empty(), "{name}");
        stop(&mut rig);
        rig.calm();
        rig.pass(20);
        assert_eq!(idle(&mut rig, &mut words), [Foresight::DropAll], "{name}");
        rig.pass(1_500);
        rig.calm();
        assert_eq!(idle(&mut rig, &mut words), [], "{name}");
    }
}

#[test]
fn a_full_link_loses_nothing_that_still_holds() {
    let (mut rig, mut words) = Rig::ready(Limits::default()).foreseeing(1);
    rig.calm();
    let mut told = Vec::new();
    for _ in 0..8 {
        rig.turn();
        told.extend(words.pop());
    }
    let prices: Vec<Price> = told
        .iter()
        .filter_map(|word| match word {
            Foresight::Rung(rung) => Some(rung.price),
            Foresight::Drop(_) | Foresight::DropAll => None,
        })
        .collect();
    assert_eq!(prices, [price("1000.1"), price("999.9")], "{told:?}");
    // Not heard yet, and one more word than fits: it comes as soon as there is room.
    rig.book(Extended, "999.8", "1000.0");
    idle_full(&mut rig);
    rig.stale(Extended);
    idle_full(&mut rig);
    assert!(words.pop().is_some_and(|word| is_rung(&word)));
    rig.turn();
    assert_eq!(words.pop(), Some(Foresight::Drop(BTC)));
    assert_eq!(BTC, InstrumentId(0));
}

fn idle_full(rig: &mut Rig) {
    (0..8).for_each(|_| rig.turn());
}
