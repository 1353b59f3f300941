//! One level set and both bests read: our book beside a dense array and a sorted map.
//!
//! `cargo bench --bench book` prints criterion's figures and, at the end, ratios from rounds in
//! which the three take turns. The answers are asserted equal before anything is timed. The dense
//! array is the idea of hftbacktest's ROIVector, not its code: a slot for every tick of a range
//! chosen beforehand, the best kept beside it and looked for tick by tick once it is gone. It is
//! the harder peer: in a crate of its own, on this stream and an AMD EPYC (2026-11-22), ROIVector
//! of hftbacktest 0.9.4 took 1.8 times as long, since it takes prices as floats. The crate itself
//! is no dependency here: it brings 76 packages, a C library among them, for tapes and archives.

use criterion::{Criterion, Throughput};
use parallax::market::book::{Book, Side};
use parallax::market::units::{Price, Size};
use std::collections::BTreeMap;
use std::hint::black_box;
use std::time::Instant;

/// Steps of the stream; long enough that branch predictors do not learn it by heart.
const STEPS_LEN: usize = 21_600;
/// The tick, 0.1 in our unit.
const TICK: i64 = 100_000_000;
/// Where the middle begins, in ticks.
const MIDDLE: i64 = 600_000;
/// Ticks the array covers on both sides of the middle.
const REACH: i64 = 16_384;
/// Rounds of the ratios.
const ROUNDS: usize = 101;

/// One level's new size; zero removes it.
#[derive(Clone, Copy)]
struct Change {
    side: Side,
    ticks: i64,
    size: i64,
}

/// Whoever can be asked the question: set the level, then tell both bests.
trait Candidate {
    /// Both best prices in ticks, folded into one number; an empty side counts as zero.
    fn answer(&mut self, change: &Change) -> i64;
}

impl Candidate for Book {
    fn answer(&mut self, change: &Change) -> i64 {
        let price = Price(change.ticks * TICK);
        self.apply(change.side, price, Size(change.size));
        let best = |side| self.best(side).map_or(0, |level| level.price.0);
        best(Side::Bid) ^ best(Side::Ask)
    }
}

/// A side as a sorted map.
#[derive(Default)]
struct Maps([BTreeMap<i64, i64>; 2]);

impl Candidate for Maps {
    fn answer(&mut self, change: &Change) -> i64 {
        let levels = &mut self.0[change.side.idx()];
        if change.size == 0 {
            levels.remove(&change.ticks);
        } else {
            levels.insert(change.ticks, change.size);
        }
        let bid = self.0[0].last_key_value().map_or(0, |(ticks, _)| *ticks);
        let ask = self.0[1].first_key_value().map_or(0, |(ticks, _)| *ticks);
        (bid * TICK) ^ (ask * TICK)
    }
}

/// One side as an array over the range; best = highest, asks are mirrored.
struct DenseSide {
    sizes: Vec<i64>,
    best: Option<usize>,
    /// No level lies below.
    lowest: usize,
}

impl DenseSide {
    fn set(&mut self, at: usize, size: i64) {
        self.sizes[at] = size;
        if size != 0 {
            self.best = self.best.max(Some(at));
            self.lowest = self.lowest.min(at);
        } else if self.best == Some(at) {
            let below = self.lowest..at;
            self.best = below.rev().find(|at| self.sizes[*at] != 0);
        }
    }
}

/// Both sides as arrays.
struct Dense([DenseSide; 2]);

impl Dense {
    fn new() -> Dense {
        let side = || DenseSide {
            sizes: vec![0; 2 * REACH as usize + 1],
            best: None,
            lowest: usize::MAX,
        };
        Dense([side(), side()])
    }
}

impl Candidate for Dense {
    fn answer(&mut self, change: &Change) -> i64 {
        let far = change.ticks * TICK / black_box(TICK) - MIDDLE;
        let at = match change.side {
            Side::Bid => REACH + far,
            Side::Ask => REACH - far,
        };
        self.0[change.side.idx()].set(at as usize, change.size);
        let price = |at: usize| (MIDDLE + at as i64 - REACH) * TICK;
        let bid = self.0[0].best.map_or(0, price);
        let ask = self.0[1]
            .best
            .map_or(0, |at| price(2 * REACH as usize - at));
        bid ^ ask
    }
}

/// A venue's book and what it told of its changes.
struct Teller {
    levels: i64,
    middle: i64,
    sides: [BTreeMap<i64, i64>; 2],
    told: Vec<Change>,
}

impl Teller {
    fn set(&mut self, side: Side, ticks: i64, size: i64) {
        let levels = &mut self.sides[side.idx()];
        let before = if size == 0 {
            levels.remove(&ticks)
        } else {
            levels.insert(ticks, size)
        };
        if before.unwrap_or(0) != size {
            self.told.push(Change { side, ticks, size });
        }
    }

    /// The middle moves by a tick: the level it reaches is taken, and the window of what the venue
    /// tells moves along at both far ends.
    fn step(&mut self, by: i64) {
        self.middle += by;
        let (taken, left) = if by > 0 {
            (Side::Ask, Side::Bid)
        } else {
            (Side::Bid, Side::Ask)
        };
        self.set(taken, self.middle, 0);
        self.set(taken, self.middle + by * self.levels, 7);
        self.set(left, self.middle - by * (self.levels + 1), 0);
    }
}

/// A full book at first; then the middle walks out and back, and at each step a level changes at a
/// geometric distance from it (mean 6 levels), a third of the times to nothing. The book is never
/// crossed, and in the end it is as at first, so the stream can be played again and again.
fn changes(levels: i64) -> Vec<Change> {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut random = move |bound: u64| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % bound
    };
    let out = (0..STEPS_LEN / 2).map(|_| match random(16) {
        0 => 1,
        1 => -1,
        _ => 0,
    });
    let out: Vec<i64> = out.collect();
    let back: Vec<i64> = out.iter().rev().map(|by| -by).collect();
    let mut venue = Teller {
        levels,
        middle: MIDDLE,
        sides: Default::default(),
        told: Vec::new(),
    };
    for far in 1..=levels {
        venue.set(Side::Bid, MIDDLE - far, 1 + far % 99);
        venue.set(Side::Ask, MIDDLE + far, 1 + far % 99);
    }
    let first = venue.sides.clone();
    for by in out.into_iter().chain(back) {
        if by != 0 {
            venue.step(by);
        }
        let mut far = 1;
        while random(6) != 0 && far < levels {
            far += 1;
        }
        let is_removal = random(3) == 0;
        let size = if is_removal { 0 } else { 1 + random(99) as i64 };
        match random(2) {
            0 => venue.set(Side::Bid, venue.middle - far, size),
            _ => venue.set(Side::Ask, venue.middle + far, size),
        }
    }
    for side in [Side::Bid, Side::Ask] {
        let last = venue.sides[side.idx()].clone();
        for ticks in last.keys() {
            if !first[side.idx()].contains_key(ticks) {
                venue.set(side, *ticks, 0);
            }
        }
        for (ticks, size) in &first[side.idx()] {
            venue.set(side, *ticks, *size);
        }
    }
    venue.told
}

/// The whole stream; the answers, folded.
fn play(candidate: &mut impl Candidate, stream: &[Change]) -> i64 {
    let answers = stream.iter().map(|c| candidate.answer(black_box(c)));
    answers.fold(0, |sum, answer| sum ^ answer)
}

/// Nanoseconds of one change.
fn timed(candidate: &mut impl Candidate, stream: &[Change]) -> f64 {
    let start = Instant::now();
    black_box(play(candidate, stream));
    start.elapsed().as_secs_f64() * 1e9 / stream.len() as f64
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Asserts, lets criterion measure, and returns the line of ratios.
fn measure(criterion: &mut Criterion, levels: i64) -> String {
    let stream = changes(levels);
    let mut ours = Book::new(Price(TICK));
    let (mut dense, mut maps) = (Dense::new(), Maps::default());
    for change in stream.iter().chain(&stream) {
        let answer = ours.answer(change);
        assert_eq!(answer, maps.answer(change));
        assert_eq!(answer, dense.answer(change));
    }
    assert_eq!(maps.0.each_ref().map(BTreeMap::len), [levels as usize; 2]);
    let mut group = criterion.benchmark_group(format!("book/{levels}"));
    group.throughput(Throughput::Elements(stream.len() as u64));
    group.bench_function("ours", |b| b.iter(|| play(&mut ours, &stream)));
    group.bench_function("dense array", |b| b.iter(|| play(&mut dense, &stream)));
    group.bench_function("sorted map", |b| b.iter(|| play(&mut maps, &stream)));
    group.finish();
    let round = |_| {
        let own = timed(&mut ours, &stream);
        let array = timed(&mut dense, &stream);
        (own, array, timed(&mut maps, &stream))
    };
    let rounds: Vec<(f64, f64, f64)> = (0..ROUNDS).map(round).collect();
    let of = |value: fn(&(f64, f64, f64)) -> f64| median(rounds.iter().map(value).collect());
    format!(
        "{levels:5} levels a side: ours {:5.1} ns, dense array {:5.1}, sorted map {:5.1}; of the \
         dense array {:.2}, of the sorted map {:.2}",
        of(|r| r.0),
        of(|r| r.1),
        of(|r| r.2),
        of(|r| r.0 / r.1),
        of(|r| r.0 / r.2)
    )
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let lines = [20, 100, 1_000].map(|levels| measure(&mut criterion, levels));
    criterion.final_summary();
    println!(
        "\nBudget: ROIVector, 1.8 times the dense array. Medians over rounds and their ratios."
    );
    for line in lines {
        println!("{line}");
    }
}
