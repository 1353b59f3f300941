//! Totals counted by hand; and the invented run that the tests of `report` and `json` share.

use super::*;
use crate::market::Venue;
use crate::market::book::Side;
use crate::market::event::{ExitCause, FrameKind, HaltCause, Reason};
use crate::market::order::{Force, OrderId, OrderState, Refusal, Signing, Strays};
use crate::market::units::{Price, SCALE};
use crate::stage::link::link;

pub const BTC: InstrumentId = InstrumentId(0);
pub const ETH: InstrumentId = InstrumentId(1);

/// A pair that made `cents` by its edge alone.
pub fn pair(number: u32, end: PairEnd, cause: ExitCause, cents: i64) -> PairSummary {
    let cent = Notional::from_nano(SCALE / 100).0;
    let made = Notional(cent * i128::from(cents));
    PairSummary {
        pair: number,
        instrument: BTC,
        long: Venue::Lighter,
        end,
        cause,
        t_entry: Nanos(u64::from(number) * SECOND),
        t_end: Nanos(u64::from(number) * SECOND + 700_000_000),
        size: Size(SCALE / 100),
        gross: Bps::from_milli(8_200),
        net: Bps::from_milli(4_100),
        edge: made + Notional(cent),
        slippage: Notional(-cent),
        fees: Notional(2 * cent),
        funding: Notional(cent),
        repair: Notional(cent),
        total: made,
    }
}

const SECOND: u64 = 1_000_000_000;

/// A run of one minute: a pair closed at a gain, one at a loss, one missed, one unwound, one open.
pub fn run() -> (Totals, Facts) {
    let mut totals = Totals::new();
    for step in STEPS {
        for ns in 1..=100 {
            totals.add(&Event::Latency {
                step,
                ns: ns * 1_000,
            });
        }
    }
    for (number, end, cause, cents) in [
        (12, PairEnd::Closed, ExitCause::Converged, 31),
        (20, PairEnd::Closed, ExitCause::Stop, -12),
        (25, PairEnd::Missed, ExitCause::NotHedged, 0),
        (30, PairEnd::Unwound, ExitCause::NotHedged, -5),
    ] {
        let lead = match number {
            20 => Some(Venue::Extended),
            25 => None,
            _ => Some(Venue::Lighter),
        };
        totals.add(&taken(number, lead));
        totals.add(&Event::Pair(pair(number, end, cause, cents)));
    }
    totals.add(&taken(50, Some(Venue::Lighter)));
    for (number, worst, best) in [(12, -1, 2), (20, -3, -1), (50, -2, 1)] {
        let t = Nanos(0);
        totals.add(&Event::Hedged { pair: number, t });
        totals.add(&Event::Unhedged {
            pair: number,
            ns: 320_000_000,
            usd_s: Notional::from_usd(10),
            most: Notional::from_usd(300),
            is_forced: number == 20,
            worst: Notional::from_usd(worst),
            best: Notional::from_usd(best),
        });
    }
    for _ in 0..7 {
        totals.add(&seen(9_500));
    }
    for reason in [Reason::FairWarmup, Reason::FairWarmup, Reason::Cooldown] {
        let (instrument, long, t) = (BTC, Venue::Extended, Nanos(1));
        totals.add(&Event::Refused {
            instrument,
            long,
            reason,
            t,
        });
    }
    totals.add(&fill(Venue::Extended));
    totals.add(&frame(FrameKind::Update, 12));
    totals.add(&frame(FrameKind::Gap, 0));
    let instrument = BTC;
    troubles(&mut totals, instrument);
    for (venue, size) in [
        (Venue::Extended, Size(-5_000_000)),
        (Venue::Lighter, Size(5_000_000)),
    ] {
        totals.add(&Event::Position {
            venue,
            instrument,
            size,
        });
    }
    (totals, facts())
}

/// Facts of that run: BTC planted around pair 12.
pub fn facts() -> Facts {
    Facts {
        mode: "live",
        is_simulated: true,
        is_paper: false,
        start: Nanos(0),
        elapsed_ns: 60 * SECOND,
        seats: vec![
            ("scanner".to_owned(), Some(1)),
            ("feed-extended".to_owned(), None),
        ],
        markets: ["BTC", "ETH"].map(|name| Name::new(name).unwrap()).to_vec(),
        planted: Some(vec![PlantedWindow {
            instrument: BTC,
            start: Nanos(11 * SECOND),
            end: Nanos(13 * SECOND),
        }]),
        journal_dropped: 0,
    }
}

/// A liquidation, a pause for maintenance, and a market that was left.
fn troubles(totals: &mut Totals, instrument: InstrumentId) {
    let venue = Venue::Lighter;
    totals.add(&Event::Forced {
        venue,
        instrument,
        side: Side::Bid,
        price: Price(60_000 * SCALE),
        size: Size(SCALE / 100),
        fee: Notional::ZERO,
        why: Force::Liquidation,
    });
    totals.add(&Event::StruckOut { venue, instrument });
    for foreign in [1, 3] {
        let missing = foreign - 1;
        let strays = Strays { foreign, missing };
        totals.add(&Event::Strays(venue, strays));
    }
    for closed in [true, false] {
        let venue = Venue::Extended;
        totals.add(&Event::Closed { venue, closed });
    }
}

fn taken(pair: u32, lead: Option<Venue>) -> Event {
    Event::Taken {
        pair,
        instrument: BTC,
        long: Venue::Lighter,
        lead,
        size: Size(SCALE),
        gross: Bps::ZERO,
        net: Bps::ZERO,
        parts: Default::default(),
        bound: None,
        t: Nanos(0),
    }
}

fn seen(milli: i64) -> Event {
    Event::Seen {
        instrument: ETH,
        long: Venue::Extended,
        gross: Bps::from_milli(milli),
        t: Nanos(0),
    }
}

fn fill(venue: Venue) -> Event {
    Event::Fill {
        venue,
        order: OrderId::new(1, 1, 1),
        side: Side::Bid,
        price: Price(60_000 * SCALE),
        size: Size(SCALE / 100),
        fee: Notional::from_usd(1),
    }
}

fn frame(kind: FrameKind, deltas: u32) -> Event {
    let venue = Venue::Lighter;
    Event::Frame {
        venue,
        kind,
        deltas,
    }
}

fn signed(how: Signing, is_first: bool) -> Event {
    Event::Signed {
        venue: Venue::Extended,
        how,
        is_first,
    }
}

#[test]
fn links_are_drained_fairly_and_to_the_end() {
    let (mut first, first_end) = link("first", 8192);
    let (mut second, second_end) = link("second", 16);
    let mut recorder = Recorder::new(vec![first_end, second_end]);
    for _ in 0..DRAIN_MAX + 1 {
        first.push(frame(FrameKind::Update, 2)).unwrap();
    }
    second.push(signed(Signing::Ahead, false)).unwrap();
    assert_eq!(recorder.drain(), DRAIN_MAX + 1);
    assert_eq!(recorder.totals().signed[0].ahead, 1);
    assert_eq!(recorder.drain(), 1);
    assert_eq!(recorder.drain(), 0);
    assert_eq!(recorder.totals().deltas, 2 * (DRAIN_MAX as u64 + 1));
    assert!(!recorder.is_finished());
    drop((first, second));
    assert!(recorder.is_finished());
}

#[test]
fn a_run_adds_up() {
    let (totals, facts) = run();
    assert_eq!((totals.taken, totals.hedged, totals.opened()), (5, 3, 4));
    assert_eq!(totals.ends, [1, 2, 1, 0]);
    assert_eq!(totals.causes, [1, 1, 0, 0, 0, 0, 0, 0, 2]);
    assert_eq!(totals.seen, 7);
    assert_eq!(totals.edge_best, Bps::from_milli(9_500));
    assert_eq!(totals.refusals.count(Reason::FairWarmup), 2);
    assert_eq!(
        totals.frames[Venue::Lighter.idx()][FrameKind::Gap as usize],
        1
    );
    assert_eq!(totals.deltas, 12);
    assert_eq!(totals.fills[0].notional, Notional::from_usd(600));
    assert_eq!(totals.money.total, Notional::from_nano(14 * SCALE / 100));
    assert!(totals.money.is_balanced());
    assert_eq!(totals.unbalanced, 0);
    let origins = totals.by_origin(facts.planted.as_deref()).unwrap();
    assert_eq!((origins.planted.count, origins.natural.count), (1, 2));
    assert_eq!(origins.planted.total, Notional::from_nano(31 * SCALE / 100));
    assert_eq!(
        origins.planted.total + origins.natural.total,
        totals.money.total
    );
}

#[test]
fn orders_are_counted_by_state() {
    let mut totals = Totals::new();
    let (venue, order, code) = (Venue::Extended, OrderId::new(1, 2, 3), 0);
    for state in [
        OrderState::Sent,
        OrderState::Working,
        OrderState::Unknown,
        OrderState::Filled,
        OrderState::Cancelled,
        OrderState::Rejected,
        OrderState::Rejected,
    ] {
        totals.add(&Event::OrderState {
            venue,
            order,
            state,
            code,
        });
    }
    totals.add(&Event::NotSent {
        venue,
        order,
        why: Refusal::Busy,
    });
    let counts = totals.orders[0];
    assert_eq!((counts.sent, counts.working, counts.unknown), (0, 1, 1));
    assert_eq!(
        (counts.filled, counts.cancelled, counts.rejected),
        (1, 1, 2)
    );
    assert_eq!(counts.not_sent[Refusal::Busy as usize], 1);
    assert_eq!(totals.orders[1], OrderCounts::default());
}

#[test]
fn accounts_signatures_and_halts() {
    let mut totals = Totals::new();
    let venue = Venue::Lighter;
    let (equity, available) = (Notional::from_usd(10), Notional::from_usd(4));
    totals.add(&Event::Balance {
        venue,
        equity,
        available,
    });
    for (how, is_first) in [
        (Signing::Full, false),
        (Signing::Ready, true),
        (Signing::Ready, false),
        (Signing::Unsigned, true),
    ] {
        totals.add(&signed(how, is_first));
    }
    totals.add(&Event::Halt {
        why: HaltCause::PairStuck,
    });
    totals.add(&Event::Resync {
        venue,
        instrument: BTC,
    });
    for up in [true, false, false] {
        let gateway = true;
        totals.add(&Event::Link { venue, up, gateway });
    }
    assert_eq!(totals.balances, [None, Some((equity, available))]);
    let of = |ready, ahead, full| SignedCounts { ready, ahead, full };
    assert_eq!(totals.signed, [of(2, 0, 1), of(0, 0, 0)]);
    assert_eq!(totals.signed_first, [of(1, 0, 0), of(0, 0, 0)]);
    assert_eq!(totals.halts[HaltCause::PairStuck as usize], 1);
    assert_eq!(totals.resyncs, [0, 1]);
    assert_eq!(totals.links_lost[venue.idx()], [0, 2]);
    // An instrument beyond the table is ignored, not a panic.
    let (instrument, size) = (InstrumentId(u16::MAX), Size(1));
    totals.add(&Event::Position {
        venue,
        instrument,
        size,
    });
}

#[test]
fn a_pair_that_does_not_add_up_is_counted() {
    let mut totals = Totals::new();
    let mut wrong = pair(1, PairEnd::Closed, ExitCause::Time, 10);
    wrong.total += Notional(1);
    totals.add(&Event::Pair(wrong));
    assert_eq!(totals.unbalanced, 1);
}

#[test]
fn memory_is_bounded() {
    let mut totals = Totals::new();
    for number in 0..PAIRS_MAX as u32 + 5 {
        totals.add(&Event::Pair(pair(
            number,
            PairEnd::Closed,
            ExitCause::Time,
            1,
        )));
    }
    assert_eq!(totals.pairs.len(), PAIRS_MAX);
    assert_eq!(
        totals.pairs.capacity(),
        VecDeque::<PairSummary>::with_capacity(PAIRS_MAX).capacity()
    );
    assert_eq!((totals.pairs_dropped, totals.pairs[0].pair), (5, 5));
    assert_eq!(totals.ended(PairEnd::Closed), PAIRS_MAX as u64 + 5);
    assert_eq!(totals.by_origin(Some(&[])), None);
}

#[test]
fn without_a_plant_origins_are_unknown() {
    let (totals, _) = run();
    assert_eq!(totals.by_origin(None), None);
    let none_planted = totals.by_origin(Some(&[])).unwrap();
    assert_eq!(
        (none_planted.planted.count, none_planted.natural.count),
        (0, 3)
    );
}
