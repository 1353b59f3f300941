//! Which frames are struck, by a clock in the hand: who listens, what is private, when silence and
//! freezing end, and that nothing happens twice or uncounted.

use super::fuse::Fuse;
use super::kind::{Channel, Kind};
use super::spec::Spec;
use super::tap::{Act, Tap, Verdict};
use super::tests::{open, options, venues};
use super::{Faults, Told};
use crate::market::units::{Nanos, SECOND};
use crate::market::{InstrumentId, VENUES, Venue};
use crate::sim::exchange::Rules;
use crate::sim::exchange::rules;
use crate::sim::tape::Tape;
use crate::sim::{SimError, start};
use std::sync::Arc;

const START: Nanos = Nanos(1_000 * SECOND);
const BTC: InstrumentId = InstrumentId(0);
const ETH: InstrumentId = InstrumentId(1);

fn at(seconds: u64) -> Nanos {
    START.plus(seconds * SECOND)
}

fn faults(spec: &str, seed: u64, venue: Venue) -> Arc<Faults> {
    let tape = Tape::embedded();
    let rules: Vec<Rules> = [BTC, ETH]
        .map(|market| rules::rules(&tape, venue, market))
        .into();
    Faults::new(&Spec::parse(spec).unwrap(), seed, (venue, START), &rules).unwrap()
}

fn tap(faults: &Arc<Faults>) -> Tap {
    Tap::new(faults, Fuse::default())
}

fn told(channel: Channel, market: InstrumentId) -> Told {
    Told {
        channel,
        market,
        is_shared: false,
        is_snapshot: false,
    }
}

fn shared(channel: Channel, is_snapshot: bool) -> Told {
    Told {
        is_shared: true,
        is_snapshot,
        ..told(channel, BTC)
    }
}

/// What a frame comes to: its texts, or nothing.
fn pass(tap: &mut Tap, now: Nanos, told: Told) -> Vec<Act> {
    match tap.judge(now, told) {
        Verdict::Pass => tap.strike(told, "frame".into()),
        _ => Vec::new(),
    }
}

fn count(faults: &Faults, kind: Kind) -> u64 {
    let done = faults.done();
    done.iter().find(|(other, _)| *other == kind).unwrap().1
}

#[test]
fn a_fault_waits_for_a_listener_of_its_market_and_happens_once() {
    let faults = faults("gap:extended:ETH@1", 1, Venue::Extended);
    let said = vec![Act::Say("frame".into())];
    let mut line = tap(&faults);
    line.join((Channel::Book, Some(BTC)));
    for second in 0..100 {
        assert_eq!(pass(&mut line, at(second), told(Channel::Book, BTC)), said);
    }
    assert_eq!(count(&faults, Kind::Gap), 0);
    line.join((Channel::Book, Some(ETH)));
    assert_eq!(pass(&mut line, at(101), told(Channel::Book, ETH)), []);
    assert_eq!(pass(&mut line, at(101), told(Channel::Book, ETH)), said);
    assert_eq!(count(&faults, Kind::Gap), 1);
}

#[test]
fn a_fault_aimed_at_a_listener_that_left_is_aimed_anew() {
    for seed in 0..8 {
        let faults = faults("gap:lighter@1", seed, Venue::Lighter);
        let (mut gone, mut kept) = (tap(&faults), tap(&faults));
        gone.join((Channel::Book, Some(BTC)));
        kept.join((Channel::Book, Some(ETH)));
        // A frame nobody aims at: only now is an aim chosen.
        pass(&mut kept, at(2), told(Channel::Trades, ETH));
        drop(gone);
        pass(&mut kept, at(3), told(Channel::Book, ETH));
        assert_eq!(count(&faults, Kind::Gap), 1, "seed {seed}");
    }
}

#[test]
fn a_fault_aimed_at_a_market_that_says_nothing_takes_another() {
    for seed in 0..8 {
        let faults = faults("gap:lighter@1", seed, Venue::Lighter);
        let mut line = tap(&faults);
        line.join((Channel::Book, Some(BTC)));
        line.join((Channel::Book, Some(ETH)));
        for second in 1..6 {
            pass(&mut line, at(second), told(Channel::Book, ETH));
        }
        assert_eq!(count(&faults, Kind::Gap), 1, "seed {seed}");
    }
}

#[test]
fn markets_and_channels_are_chosen_by_the_seed() {
    let chosen = |seed| {
        let faults = faults("cut:extended@1", seed, Venue::Extended);
        let mut line = tap(&faults);
        line.join((Channel::Book, None));
        line.join((Channel::Touch, None));
        let all = [BTC, ETH].map(|of| [(Channel::Book, of), (Channel::Touch, of)]);
        all.concat().into_iter().position(|(channel, market)| {
            let mut told = told(channel, market);
            told.is_shared = true;
            pass(&mut line, at(2), told) == [Act::Say("fr".into())]
        })
    };
    let of_seeds: Vec<_> = (0..32).map(chosen).collect();
    assert_eq!(of_seeds, (0..32).map(chosen).collect::<Vec<_>>());
    for one in 0..4 {
        assert!(of_seeds.contains(&Some(one)), "{of_seeds:?}");
    }
}

#[test]
fn private_lines_and_lines_without_books_are_left_alone() {
    let text = "gap:lighter@0,slow:lighter@0,refuse:lighter@0,frozen:lighter@0,silent:lighter@0";
    let faults = faults(text, 1, Venue::Lighter);
    let said = vec![Act::Say("frame".into())];
    let (mut private, mut trades) = (tap(&faults), tap(&faults));
    private.join((Channel::Book, Some(BTC)));
    private.exempt();
    private.join((Channel::Touch, Some(BTC)));
    trades.join((Channel::Trades, Some(BTC)));
    for second in 0..30 {
        for channel in [Channel::Book, Channel::Touch, Channel::Trades] {
            assert_eq!(pass(&mut private, at(second), told(channel, BTC)), said);
        }
        let frame = told(Channel::Trades, BTC);
        assert_eq!(pass(&mut trades, at(second), frame), said);
    }
    assert!(faults.done().iter().all(|(_, count)| *count == 0));
    assert_eq!(faults.refused(at(30)), None);
}

#[test]
fn silence_on_a_line_of_all_markets_ends_with_the_markets_snapshot() {
    let faults = faults("silent:extended:BTC@1", 1, Venue::Extended);
    let mut line = tap(&faults);
    line.join((Channel::Book, None));
    assert_eq!(
        line.judge(at(1), shared(Channel::Book, false)),
        Verdict::Hush
    );
    for second in 2..59 {
        let frame = shared(Channel::Book, false);
        assert_eq!(line.judge(at(second), frame), Verdict::Hush);
        let other = Told {
            market: ETH,
            ..shared(Channel::Book, second % 2 == 0)
        };
        assert_eq!(line.judge(at(second), other), Verdict::Pass);
    }
    assert_eq!(
        line.judge(at(60), shared(Channel::Book, true)),
        Verdict::Pass
    );
    assert_eq!(
        line.judge(at(60), shared(Channel::Book, false)),
        Verdict::Pass
    );
    // The top and the trades have no snapshot of the minute.
    for channel in [Channel::Touch, Channel::Trades] {
        assert_eq!(line.judge(at(60), shared(channel, true)), Verdict::Hush);
        assert_eq!(line.judge(at(61), shared(channel, false)), Verdict::Pass);
    }
    assert_eq!(count(&faults, Kind::Silent), 1);
}

#[test]
fn silence_on_a_line_of_one_market_ends_with_a_subscription_alone() {
    let faults = faults("silent:extended:BTC@1", 1, Venue::Extended);
    let mut line = tap(&faults);
    line.join((Channel::Book, Some(BTC)));
    let snapshot = Told {
        is_snapshot: true,
        ..told(Channel::Book, BTC)
    };
    assert_eq!(line.judge(at(1), told(Channel::Book, BTC)), Verdict::Hush);
    assert_eq!(line.judge(at(200), snapshot), Verdict::Hush);
    line.join((Channel::Book, Some(BTC)));
    assert_eq!(line.judge(at(201), told(Channel::Book, BTC)), Verdict::Pass);
    assert_eq!(
        line.judge(at(201), told(Channel::Trades, BTC)),
        Verdict::Hush
    );
}

#[test]
fn a_frozen_market_is_frozen_on_every_line_for_its_time() {
    for venue in VENUES {
        let spec = format!("frozen:{}:BTC@1", venue.name());
        let faults = faults(&spec, 1, venue);
        let mut lines = [tap(&faults), tap(&faults), tap(&faults)];
        for line in &mut lines {
            line.join((Channel::Book, Some(BTC)));
            line.join((Channel::Touch, Some(BTC)));
        }
        let [first, second, anew] = &mut lines;
        let (book, touch) = (told(Channel::Book, BTC), told(Channel::Touch, BTC));
        let frozen = [first.judge(at(1), book), first.judge(at(1), touch)];
        assert!(frozen.contains(&Verdict::Freeze));
        for line in [&mut *first, second, anew] {
            assert_eq!(line.judge(at(20), book), Verdict::Freeze);
            assert_eq!(line.judge(at(20), touch), Verdict::Freeze);
            assert_eq!(
                line.judge(at(20), told(Channel::Trades, BTC)),
                Verdict::Pass
            );
            assert_eq!(line.judge(at(20), told(Channel::Book, ETH)), Verdict::Pass);
        }
        anew.join((Channel::Book, Some(BTC)));
        assert_eq!(anew.judge(at(21), book), Verdict::Pass);
        assert_eq!(first.judge(at(21), touch), Verdict::Pass);
        assert_eq!(first.judge(at(21), book), Verdict::Thaw);
        assert_eq!(first.judge(at(21), book), Verdict::Pass);
        assert_eq!(second.judge(at(90), book), Verdict::Thaw);
        assert_eq!(count(&faults, Kind::Frozen), 1);
    }
}

#[test]
fn refusals_last_their_time() {
    let faults = faults("429:lighter@1", 1, Venue::Lighter);
    let mut line = tap(&faults);
    line.join((Channel::Touch, Some(BTC)));
    assert_eq!(faults.refused(at(1)), None);
    assert_eq!(
        pass(&mut line, at(1), told(Channel::Touch, BTC)),
        [Act::Drop]
    );
    assert_eq!(faults.refused(at(8)), Some(429));
    assert_eq!(faults.refused(at(9)), None);
}

#[test]
fn a_swap_is_counted_when_it_is_done_and_bears_no_second_fault() {
    let faults = faults("reorder:lighter:BTC@1,gap:lighter:BTC@1", 1, Venue::Lighter);
    let mut line = tap(&faults);
    line.join((Channel::Book, Some(BTC)));
    let book = told(Channel::Book, BTC);
    assert_eq!(pass(&mut line, at(1), book), []);
    assert_eq!(count(&faults, Kind::Reorder), 0);
    let other = told(Channel::Book, ETH);
    assert_eq!(pass(&mut line, at(1), other).len(), 1);
    assert_eq!(pass(&mut line, at(1), book).len(), 2);
    assert_eq!(count(&faults, Kind::Reorder), 1);
    assert_eq!(count(&faults, Kind::Gap), 0);
    assert_eq!(pass(&mut line, at(1), book), []);
    assert_eq!(count(&faults, Kind::Gap), 1);
}

#[test]
fn unknown_markets_are_refused_before_anything_listens() {
    let error = start(&options("cut,gap:lighter:DOGE@3")).err().unwrap();
    assert!(matches!(error, SimError::Faults(_)));
    let text = error.to_string();
    assert!(
        text.starts_with("--faults gap:lighter:DOGE@3: DOGE is not"),
        "{text}"
    );
    assert!(text.contains("BTC"), "{text}");
}

#[test]
fn what_was_asked_for_is_told_though_nothing_happened() {
    let sim = venues("shutdown@0,gap:extended@0");
    let none = vec![("gap", Venue::Extended, 0), ("shutdown", Venue::Lighter, 0)];
    // A listener of prices is no listener of books.
    let mut line = open(&format!("{}/prices/mark", sim.description.extended.stream));
    line.texts(1.2);
    assert_eq!(sim.faults_done(), none);
    let mut options = options("gap");
    options.faults = None;
    let sim = start(&options).unwrap();
    assert!(
        VENUES
            .iter()
            .all(|venue| sim.floor(*venue).faults().is_none())
    );
    assert!(sim.faults_done().is_empty());
}
