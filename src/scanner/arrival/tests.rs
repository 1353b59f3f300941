//! The memory of edges against a naive one with floats and the whole history, and what it must
//! never do.

use super::key::SIZES;
use super::memory::{Cell, HALF_LIFE_NS, Memory, SAMPLES_MIN, Sums};
use super::table::{Table, TableError};
use super::*;
use crate::market::units::{MS, Price, SCALE, SECOND, Size};
use crate::market::{Bounds, Market, Name, VENUES};
use crate::scanner::order_of_legs::FAST;
use proptest::prelude::*;

const START: Nanos = Nanos(1_000_000 * SECOND);
const NAMES: [&str; 3] = ["BTC", "ETH", "SOL"];
const HERE: InstrumentId = InstrumentId(0);
const ELSEWHERE: InstrumentId = InstrumentId(1);

fn instruments(len: usize) -> Vec<Instrument> {
    let of = |idx: usize| {
        let market = |venue, fee| Market {
            venue,
            instrument: InstrumentId(idx as u16),
            name: Name::new(NAMES[idx]).unwrap(),
            venue_market: 1,
            tick: Price(SCALE / 10),
            lot: Size(SCALE / 1_000),
            size_min: Size(SCALE / 100),
            notional_min: Notional::ZERO,
            fee_taker: Bps::from_milli(fee),
            fee_maker: Bps::ZERO,
            bounds: Bounds::default(),
        };
        Instrument {
            id: InstrumentId(idx as u16),
            name: Name::new(NAMES[idx]).unwrap(),
            markets: [market(Venue::Extended, 2_500), market(Venue::Lighter, 0)],
        }
    };
    (0..len).map(of).collect()
}

fn limits(legs: LegOrder) -> Limits {
    Limits {
        match_delay_ns: [10 * MS, 350 * MS],
        slippage: Bps::from_milli(570),
        hedge_band: Bps::from_milli(12_340),
        leg_order: legs,
        ..Limits::default()
    }
}

fn arrival() -> Arrival {
    Arrival::new(&instruments(2), &limits(LegOrder::Auto))
}

/// A touch in tenths.
fn touch(bid: i64, ask: i64) -> Touch {
    Touch {
        bid: Price(bid * SCALE / 10),
        ask: Price(ask * SCALE / 10),
    }
}

/// Both touches one tick either side of these tenths.
fn around(extended: i64, lighter: i64) -> Option<[Touch; VENUE_COUNT]> {
    Some([extended, lighter].map(|mid| touch(mid - 1, mid + 1)))
}

fn edge(instrument: InstrumentId, key: Key, net: Bps) -> Followed {
    Followed {
        instrument,
        long: Venue::Extended,
        key,
        reason: None,
        is_first: true,
        teaches: true,
        net,
        notional: Notional::from_usd(100),
    }
}

fn key(age: usize) -> Key {
    Key::new(Venue::Lighter, age, Bps::whole(15))
}

/// Prices in tenths from a time in ms on.
type Course<'a> = &'a [(u64, i64, i64)];

/// Shows the same course of events so many times. Gives the end and what was told.
fn teach(on: &mut Arrival, times: u64, edge: &Followed, course: Course) -> (Nanos, Vec<Score>) {
    let mut now = START;
    let mut told = Vec::new();
    let at = edge.instrument;
    for _ in 0..times {
        on.observe(at, (now, around(10_000, 10_015)), |score| told.push(score));
        on.follow(edge, now);
        for (ms, extended, lighter) in course {
            let shown = (now.plus(ms * MS), around(*extended, *lighter));
            on.observe(at, shown, |score| told.push(score));
        }
        now = now.plus(10 * SECOND);
        on.observe(at, (now, around(10_000, 10_000)), |score| told.push(score));
    }
    (now, told)
}

const STAYS: Course = &[(400, 10_000, 10_015)];

#[test]
fn what_is_cold_is_refused() {
    let mut arrival = arrival();
    let net = Bps::whole(8);
    let none = arrival.admit(HERE, key(0), net, START);
    assert_eq!(none, Err(Reason::Arrival));
    let few = SAMPLES_MIN as u64 - 1;
    let (now, _) = teach(&mut arrival, few, &edge(HERE, key(0), net), STAYS);
    assert_eq!(arrival.expect(HERE, key(0), net, now), None);
    let (now, _) = teach(&mut arrival, 1, &edge(HERE, key(0), net), STAYS);
    let expected = arrival.expect(HERE, key(0), net, now).unwrap();
    assert_eq!((expected.fill_e4, expected.edge), (10_000, net));
    assert_eq!(arrival.admit(HERE, key(0), net, now), Ok(expected));
    // Few samples that agree are no certainty: an edge just above the minimum is refused.
    let slim = Bps::from_milli(1_100);
    let none = arrival.admit(HERE, key(0), slim, now);
    assert_eq!(none, Err(Reason::Arrival));
    // Of other kinds nothing is known, of other markets what this one has taught, with more doubt.
    assert_eq!(arrival.expect(HERE, key(1), net, now), None);
    let elsewhere = arrival.expect(ELSEWHERE, key(0), net, now).unwrap();
    assert_eq!(elsewhere.edge, net);
    assert!(elsewhere.error > expected.error);
    assert_eq!(elsewhere.samples, SAMPLES_MIN as u32);
}

#[test]
fn an_edge_that_may_not_teach_is_told_and_not_learned_from() {
    let mut arrival = arrival();
    let silent = Followed {
        teaches: false,
        reason: Some(Reason::FairWarmup),
        ..edge(HERE, key(0), Bps::whole(8))
    };
    let (now, told) = teach(&mut arrival, 20, &silent, STAYS);
    assert_eq!(arrival.expect(HERE, key(0), Bps::whole(8), now), None);
    assert_eq!(told.len(), 20);
    let one = told[0];
    assert_eq!(one.made, Some(Bps::whole(8)));
    assert_eq!((one.reason, one.expected), (Some(Reason::FairWarmup), None));
    assert_eq!(one.t_seen, START);
}

#[test]
fn the_venue_that_corrects_goes_first() {
    // Extended, which is fast, comes up to Lighter after 100 ms.
    let fast_corrects: Course = &[(100, 10_015, 10_015), (400, 10_015, 10_015)];
    // Lighter falls back.
    let slow_corrects: Course = &[(100, 10_000, 10_000), (400, 10_000, 10_000)];
    // Each gives in just after its own match: only two orders at once get both.
    let each_in_turn: Course = &[(11, 10_004, 10_015), (359, 10_004, 10_004)];
    let net = Bps::whole(8);
    for (course, lead, made) in [
        (fast_corrects, Some(Some(FAST)), 8.0),
        (slow_corrects, Some(Some(FAST)), -7.0),
        (each_in_turn, Some(None), 8.0),
        (STAYS, Some(Some(SLOW_FIRST)), 8.0),
    ] {
        let mut arrival = arrival();
        let (now, _) = teach(&mut arrival, 20, &edge(HERE, key(0), net), course);
        let expected = arrival.expect(HERE, key(0), net, now);
        assert_eq!(expected.map(|e| e.lead), lead, "{course:?}");
        let found = expected.map_or(0.0, |e| e.edge.to_f64());
        assert!((found - made).abs() < 0.1, "{course:?} {found}");
    }
    // LEG_ORDER overrides: slow first always misses where the slow venue corrects.
    let mut arrival = Arrival::new(&instruments(2), &limits(LegOrder::SlowFirst));
    let (now, told) = teach(&mut arrival, 20, &edge(HERE, key(0), net), slow_corrects);
    assert_eq!(
        arrival.expect(HERE, key(0), net, now),
        None,
        "it never fills"
    );
    assert!(told.iter().all(|score| score.made.is_none()));
}

const SLOW_FIRST: Venue = Venue::Lighter;

/// Edges that are over before a late age, and edges that stay: entering late makes more.
#[test]
fn an_edge_waits_for_the_age_that_has_made_the_most() {
    let mut arrival = Arrival::new(&instruments(2), &limits(LegOrder::SlowFirst));
    let net = Bps::whole(8);
    // Extended corrects while the slow leg is on its way: that fills, and the other pays for it.
    let gone: Course = &[(100, 10_015, 10_015), (400, 10_015, 10_015)];
    let mut now = START;
    for round in 0..40 {
        // One in two is a decoy: it is met at age 0 and never at the later one.
        let course = if round % 2 == 0 { gone } else { STAYS };
        now = teach(&mut arrival, 1, &edge(HERE, key(0), net), course).0;
        if round % 2 == 1 {
            now = teach(&mut arrival, 1, &edge(HERE, key(5), net), STAYS).0;
        }
    }
    let early = arrival.expect(HERE, key(0), Bps::whole(20), now).unwrap();
    assert!(
        early.edge > Bps::whole(10),
        "the mean alone would pay: {early:?}"
    );
    let admitted = |arrival: &mut Arrival, age| arrival.admit(HERE, key(age), Bps::whole(20), now);
    assert_eq!(admitted(&mut arrival, 0), Err(Reason::Arrival));
    assert!(admitted(&mut arrival, 5).is_ok());
}

/// Edges that stayed for half an hour are over sooner from now on: a handful of them is enough.
#[test]
fn other_lives_are_noticed_after_a_few_edges() {
    let mut arrival = Arrival::new(&instruments(2), &limits(LegOrder::SlowFirst));
    let net = Bps::whole(8);
    let one = edge(HERE, key(0), net);
    let gone: Course = &[(100, 10_015, 10_015), (400, 10_015, 10_015)];
    let mut expected = |times: u64, course: Course| {
        let (now, _) = teach(&mut arrival, times, &one, course);
        let expected = arrival.expect(HERE, key(0), net, now).unwrap();
        (expected.edge.to_f64(), expected.error)
    };
    let (long, sure) = expected(400, STAYS);
    assert!((long - 8.0).abs() < 0.01);
    let (few, doubt) = expected(4, gone);
    assert!(few < 5.0 && doubt > sure, "{few} {doubt:?}");
    let (more, _) = expected(16, gone);
    assert!(more < -2.0, "each makes -7: {more}");
    let (back, _) = expected(16, STAYS);
    assert!(back > 5.0, "{back}");
}

#[test]
fn memory_fades_and_is_cold_again() {
    let mut arrival = arrival();
    let net = Bps::whole(8);
    let times = 2 * SAMPLES_MIN as u64;
    let (now, _) = teach(&mut arrival, times, &edge(HERE, key(0), net), STAYS);
    let mut at = |ns: u64| arrival.expect(HERE, key(0), net, now.plus(ns));
    assert_eq!(at(HALF_LIFE_NS / 2).map(|e| e.edge), Some(net));
    assert_eq!(at(HALF_LIFE_NS * 5 / 4), None);
    assert_eq!(at(u64::MAX / 2), None);
}

#[test]
fn a_book_that_was_lost_teaches_nothing() {
    let mut arrival = arrival();
    let mut now = START;
    for _ in 0..50 {
        let never = |score| panic!("{score:?}");
        arrival.observe(HERE, (now, around(10_000, 10_015)), never);
        arrival.follow(&edge(HERE, key(0), Bps::whole(8)), now);
        arrival.observe(HERE, (now.plus(200 * MS), None), never);
        let back = now.plus(500 * MS);
        arrival.observe(HERE, (back, around(10_000, 10_015)), never);
        now = now.plus(SECOND);
    }
    assert!((0..KEYS).all(|number| arrival.table.all.cell(number).tries == 0));
    // No price to start from.
    arrival.observe(HERE, (now, None), |_| ());
    arrival.follow(&edge(HERE, key(0), Bps::whole(8)), now);
    let shown = (now.plus(SECOND), around(10_000, 10_015));
    arrival.observe(HERE, shown, |score| panic!("{score:?}"));
}

#[test]
fn measured_delays_move_the_looks() {
    let mut arrival = arrival();
    let net = Bps::whole(8);
    // Lighter is back at 500 ms: after the delay that is configured, before the one measured.
    let back: Course = &[(500, 10_000, 10_000), (900, 10_000, 10_000)];
    let one = edge(HERE, key(0), net);
    assert_eq!(teach(&mut arrival, 1, &one, back).1[0].edges[0], Some(net));
    arrival.measure(Venue::Lighter, 600 * MS);
    assert_eq!(teach(&mut arrival, 1, &one, back).1[0].edges[0], None);
}

/// Ten looks at one edge are no ten edges: the band of a hedge is learned from the first of each.
#[test]
fn a_band_is_learned_from_edges_not_from_looks() {
    let mut arrival = arrival();
    let net = Bps::whole(8);
    for age in 1..AGES {
        teach(&mut arrival, 20, &edge(HERE, key(age), net), STAYS);
    }
    assert_eq!(arrival.deviation(HERE, Venue::Extended), None);
    let few = SAMPLES_MIN as u64 - 1;
    teach(&mut arrival, few, &edge(HERE, key(0), net), STAYS);
    assert_eq!(arrival.deviation(HERE, Venue::Extended), None);
    teach(&mut arrival, 1, &edge(HERE, key(0), net), STAYS);
    assert_eq!(arrival.deviation(HERE, Venue::Extended), Some(Bps::ZERO));
}

/// When, where, which kind, its net, and what each order of legs made of it.
type Lesson = (u64, usize, usize, f64, [Option<f64>; 3]);

/// The whole memory over again, in floats and with the whole history kept.
#[derive(Default)]
struct Naive {
    samples: Vec<Lesson>,
}

impl Naive {
    /// Weight, fills, mean and mean square of the drift, over samples that are wanted.
    fn sums(&self, order: usize, now: u64, wanted: impl Fn(usize, usize) -> bool) -> [f64; 4] {
        let grid = HALF_LIFE_NS / 16;
        let mut sums = [0.0; 4];
        for (t, market, key, net, edges) in &self.samples {
            if !wanted(*market, *key) {
                continue;
            }
            let weight = 0.5_f64.powf((now / grid - t / grid) as f64 / 16.0);
            sums[0] += weight;
            if let Some(edge) = edges[order] {
                sums[1] += weight;
                sums[2] += weight * (edge - net);
                sums[3] += weight * (edge - net) * (edge - net);
            }
        }
        sums
    }

    /// The same over edges of one age, of any size and whoever moved.
    fn of_age(&self, key: usize, order: usize, now: u64) -> [f64; 4] {
        let age = |key: usize| key / SIZES % AGES;
        self.sums(order, now, |_, k| age(k) == age(key))
    }

    /// Fill, drift and error, or nothing.
    fn known(&self, market: usize, key: usize, order: usize, now: u64) -> Option<[f64; 3]> {
        let twin = (key + KEYS / 2) % KEYS;
        let own = self.sums(order, now, |m, k| m == market && k == key);
        let pool = self.sums(order, now, |_, k| k == key);
        let wide = self.sums(order, now, |_, k| k == key || k == twin);
        let any = self.of_age(key, order, now);
        if any[1] < 8.0 {
            return None;
        }
        let means = |s: [f64; 4]| {
            let by = |sum: f64, over: f64| if over > 0.0 { sum / over } else { 0.0 };
            [s[0], s[1], by(s[1], s[0]), by(s[2], s[1]), by(s[3], s[1])]
        };
        let drawn = |own: [f64; 5], wide: [f64; 5]| {
            let worth = |w: f64| 16.0 * w / (16.0 + w);
            let (tries, fills) = (worth(wide[0]), worth(wide[1]));
            let mix = |a: f64, wa: f64, b: f64, wb: f64| (a * wa + b * wb) / (wa + wb).max(1e-9);
            [
                own[0] + tries,
                own[1] + fills,
                mix(own[2], own[0], wide[2], tries),
                mix(own[3], own[1], wide[3], fills),
                mix(own[4], own[1], wide[4], fills),
            ]
        };
        let wide = drawn(means(wide), means(any));
        let all = drawn(means(own), drawn(means(pool), wide));
        let spread = (all[4] - all[3] * all[3]).max(0.0);
        let variance = (spread * all[1] + 9.0 * 4.0) / (all[1] + 4.0);
        Some([all[2], all[3], (variance / all[1]).sqrt()])
    }
}

/// One edge of a kind: wait, market, kind, net, what came of each order of legs.
type Sample = (u64, usize, usize, i64, [Option<i64>; 3]);

fn sample() -> impl Strategy<Value = Sample> {
    let made = || prop::option::weighted(0.8, -30_000_i64..30_000);
    let wait = prop_oneof![8 => 0_u64..60, 1 => 600_u64..9_000];
    (
        wait,
        0_usize..2,
        0_usize..4,
        0_i64..20_000,
        [made(), made(), made()],
    )
}

proptest! {
    #[test]
    fn as_a_naive_memory_with_floats(samples in prop::collection::vec(sample(), 10..120)) {
        let mut table = Table::new(2);
        let mut naive = Naive::default();
        let mut now = START;
        // Two kinds that are twins, one of their age but of another size, and one of another age.
        let larger = Key::new(Venue::Lighter, 2, Bps::whole(30));
        let kinds = [key(2), key(2).twin(), larger, key(3)];
        for (wait_s, market, kind, net, edges) in samples {
            now = now.plus(wait_s * SECOND);
            let (net, made) = (Bps::from_milli(net), edges.map(|e| e.map(Bps::from_milli)));
            let score = Score {
                instrument: InstrumentId(market as u16),
                key: kinds[kind].idx() as u16,
                net,
                edges: made,
                t: now,
                ..blank()
            };
            table.learn(&score);
            let floats = made.map(|e| e.map(Bps::to_f64));
            naive.samples.push((now.0, market, kinds[kind].idx(), net.to_f64(), floats));
        }
        for market in 0..2 {
            for kind in kinds {
                table.all.fade(now);
                table.markets[market].fade(now);
                let known = memory::known(&table.markets[market], &table.all, kind);
                for (order, known) in known.into_iter().enumerate() {
                    let judge = naive.known(market, kind.idx(), order, now.0);
                    // Which of two roundings passes the mark first is nobody's business.
                    let any = naive.of_age(kind.idx(), order, now.0);
                    if (any[1] - 8.0).abs() < 0.1 {
                        continue;
                    }
                    prop_assert_eq!(known.is_some(), judge.is_some());
                    let (Some(known), Some(judge)) = (known, judge) else { continue };
                    let found = [
                        f64::from(known.fill_e4) / 1e4,
                        known.drift.to_f64(),
                        known.error.to_f64(),
                    ];
                    for (found, judge) in found.into_iter().zip(judge) {
                        let off = (found - judge).abs();
                        prop_assert!(off < 0.02 + judge.abs() / 200.0, "{found} {judge}");
                    }
                }
            }
        }
    }

    /// A market's mean lies between its own and that of all markets, nearer to its own the more it
    /// has seen; and the error shrinks with what it has seen.
    #[test]
    fn thin_markets_are_drawn_to_the_others(
        own in -20_i32..20,
        others in -20_i32..20,
        few in 1_u64..20,
        more in 20_u64..200,
    ) {
        let found = |times: u64| {
            let (mut here, mut all) = (Memory::new(), Memory::new());
            let zero = Bps::ZERO;
            for _ in 0..200 {
                all.add(START, key(0), zero, &[Some(Bps::whole(others)); ORDERS]);
            }
            for _ in 0..times {
                here.add(START, key(0), zero, &[Some(Bps::whole(own)); ORDERS]);
            }
            let known = memory::known(&here, &all, key(0))[0].unwrap();
            (known.drift.to_f64(), known.error)
        };
        let ((thin, doubt), (thick, less)) = (found(few), found(more));
        let (low, high) = (own.min(others), own.max(others));
        for drift in [thin, thick] {
            prop_assert!(f64::from(low) - 0.01 < drift && drift < f64::from(high) + 0.01);
        }
        let far = |drift: f64| (drift - f64::from(own)).abs();
        prop_assert!(far(thick) <= far(thin) + 0.001);
        if own == others {
            prop_assert!(less <= doubt);
        }
    }

    #[test]
    fn what_is_put_away_comes_back(samples in prop::collection::vec(sample(), 0..60)) {
        let table = made_of(&samples);
        let listed = instruments(2);
        let text = table.to_text(&listed, "made by hand\nfor a test");
        let back = Table::from_text(text.as_bytes(), &listed).unwrap();
        prop_assert_eq!(&text, &back.to_text(&listed, "made by hand\nfor a test"));
        for number in 0..KEYS {
            prop_assert_eq!(back.all.cell(number), table.all.cell(number));
            for market in 0..2 {
                let cells = [&back, &table].map(|t| *t.markets[market].cell(number));
                prop_assert_eq!(cells[0], cells[1]);
            }
        }
        for row in 0..KEYS / SIZES {
            prop_assert_eq!(back.all.lately(row), table.all.lately(row));
            prop_assert_eq!(back.markets[1].lately(row), table.markets[1].lately(row));
        }
    }

    /// Nothing that was cut or altered is taken, and nothing makes it break.
    #[test]
    fn damage_is_refused(at in 0.0_f64..1.0, byte in any::<u8>(), cut in any::<bool>()) {
        let samples = [(0, 0, 0, 5, [Some(3), None, Some(4)]), (9, 1, 2, 7, [None; 3])];
        let listed = instruments(2);
        let mut bytes = made_of(&samples).to_text(&listed, "x").into_bytes();
        let place = (at * bytes.len() as f64) as usize;
        if cut {
            bytes.truncate(place);
        } else if bytes[place] == byte {
            return Ok(());
        } else {
            bytes[place] = byte;
        }
        prop_assert!(Table::from_text(&bytes, &listed).is_err());
    }
}

fn made_of(samples: &[Sample]) -> Table {
    let mut table = Table::new(2);
    let mut now = START;
    for (wait_s, market, kind, net, edges) in samples {
        now = now.plus(wait_s * SECOND);
        table.learn(&Score {
            instrument: InstrumentId(*market as u16),
            key: *kind as u16,
            net: Bps::from_milli(*net),
            edges: edges.map(|e| e.map(Bps::from_milli)),
            t: now,
            ..blank()
        });
    }
    table
}

fn blank() -> Score {
    Score {
        instrument: HERE,
        long: Venue::Extended,
        reason: None,
        is_first: true,
        teaches: true,
        key: 0,
        t_seen: START,
        t: START,
        net: Bps::ZERO,
        expected: None,
        made: None,
        edges: [None; ORDERS],
        notional: Notional::ZERO,
    }
}

#[test]
fn other_tables_are_refused_by_name_and_other_markets_begin_empty() {
    let listed = instruments(2);
    let samples = [(0, 0, 0, 5, [Some(3); 3]), (9, 1, 2, 7, [None; 3])];
    let table = made_of(&samples);
    let text = table.to_text(&listed, "x");
    let read = |text: &str, listed: &[Instrument]| Table::from_text(text.as_bytes(), listed);
    let signed = |from: &str, to: &str| {
        let body = text.replace(from, to);
        let body = &body[..body.rfind("end ").unwrap()];
        let sum = body.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |sum, byte| {
            (sum ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
        });
        format!("{body}end {sum:016x}\n")
    };
    for (other, why) in [
        (signed("arrival 2", "arrival 1"), TableError::Version),
        (String::new(), TableError::Version),
        (signed("[0, 5, 7", "[0, 6, 7"), TableError::Borders),
        (signed("market BTC", "market"), TableError::Line(7)),
        (signed("market * ", "market * x"), TableError::Line(4)),
        (
            text.replace("market BTC", "market BTX"),
            TableError::Altered,
        ),
        (text[..text.len() - 1].to_string(), TableError::Cut),
    ] {
        assert_eq!(read(&other, &listed).err(), Some(why), "{other}");
    }
    // The second market is no longer listed; a third is.
    let mut other = instruments(3);
    other.remove(1);
    let back = read(&text, &other).unwrap();
    for number in 0..KEYS {
        let kept = [&back, &table].map(|t| *t.markets[0].cell(number));
        assert_eq!(kept[0], kept[1]);
        assert_eq!(*back.markets[1].cell(number), Cell::default());
    }
}

/// A table that ships says what edges mostly become, and nothing of how the last ones came out.
#[test]
fn a_table_that_ships_has_no_news() {
    let samples: Vec<Sample> = (0..60)
        .map(|n| (1, n % 2, 0, 9, [Some(n as i64 * 90); 3]))
        .collect();
    let before = made_of(&samples);
    let mut table = before.clone();
    table.settle(10);
    let (row, kind) = (lately::row(Key::from_number(0).unwrap()), 0);
    assert!(before.all.lately(row)[0].off != 0 && before.all.grid() > 0);
    for (memory, was) in [
        (&table.all, &before.all),
        (&table.markets[1], &before.markets[1]),
    ] {
        assert_eq!((memory.grid(), memory.lately(row)[0].off), (0, 0));
        assert_eq!(memory.lately(row)[0].weight, was.lately(row)[0].weight);
        let (cell, old) = (memory.cell(kind), was.cell(kind));
        assert_eq!(cell.tries, old.tries / 10);
        let mean = |sums: &Sums| sums.drift / sums.filled;
        assert_eq!(mean(&cell.orders[0]), mean(&old.orders[0]));
    }
    assert!(table.all.is_sound() && table.markets.iter().all(Memory::is_sound));
}

/// After a night it is worth half, not nothing; after no time, all.
#[test]
fn what_was_put_away_fades_by_half_at_most() {
    let mut table = Table::new(1);
    let sums = Sums {
        filled: 64 << 10,
        ..Sums::default()
    };
    let cell = Cell {
        tries: 64 << 10,
        orders: [sums; ORDERS],
    };
    let hours = |hours: u64| START.plus(hours * 3_600 * SECOND);
    table.all.fade(START);
    table.all.restore(key(0), cell);
    for (later, filled) in [(0, 64.0), (4, 32.0), (48, 32.0)] {
        let mut table = table.clone();
        table.resume(hours(later));
        let found = table.all.cell(key(0).idx()).orders[0].filled as f64 / 1024.0;
        assert!((found - filled).abs() < 0.1, "{later} h: {found}");
    }
    assert!(VENUES.len() == 2 && ELSEWHERE != HERE);
}

/// What idle turns have settled is what is worked out when it is asked for; there is an end to it
/// until the next lesson, and that makes kinds of its age old and no others.
#[test]
fn what_is_settled_is_what_is_worked_out_when_asked() {
    let lesson = |arrival: &mut Arrival, number: u16| {
        let key = Key::from_number(number).unwrap();
        let now = START.plus(u64::from(number) * SECOND);
        let edges = [Some(Bps::whole(3)), Some(Bps::whole(1)), None];
        arrival.table.all.add(now, key, Bps::whole(5), &edges);
    };
    let settle_all = |arrival: &mut Arrival| (0..1_000).map(|_| arrival.settle()).sum::<usize>();
    let (mut asked, mut settled) = (arrival(), arrival());
    for number in (0..KEYS as u16).cycle().step_by(7).take(900) {
        lesson(&mut asked, number);
        lesson(&mut settled, number);
    }
    assert_eq!(
        (settle_all(&mut settled), settle_all(&mut settled)),
        (KEYS, 0)
    );
    let now = START.plus(300 * SECOND);
    for number in 0..KEYS as u16 {
        let key = Key::from_number(number).unwrap();
        let expected = settled.expect(HERE, key, Bps::whole(4), now);
        assert_eq!(
            expected,
            asked.expect(HERE, key, Bps::whole(4), now),
            "{key:?}"
        );
    }
    settle_all(&mut settled);
    lesson(&mut settled, 0);
    assert_eq!(settle_all(&mut settled), 2 * SIZES);
}
