//! One level update and a read of both bests: our book beside a sorted map, on the same changes.
//!
//! `cargo bench --bench book` prints both; the answer is asserted before anything is timed.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use parallax::market::book::{Book, Side};
use parallax::market::units::{Price, Size};
use std::collections::BTreeMap;
use std::hint::black_box;

/// Changes in the stream; long enough that branch predictors do not learn it by heart.
const CHANGES_LEN: usize = 21_600;

struct Change {
    side: Side,
    price: i64,
    size: i64,
}

/// Geometric distance from a walking middle (mean 6 levels), a third removals.
fn changes(levels: i64) -> Vec<Change> {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut random = move |bound: u64| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % bound
    };
    let mut middle = 600_000_i64;
    (0..CHANGES_LEN)
        .map(|_| {
            middle += random(3) as i64 - 1;
            let mut far = 1;
            while random(6) != 0 && far < levels {
                far += 1;
            }
            let side = if random(2) == 0 { Side::Bid } else { Side::Ask };
            let price = if side == Side::Bid {
                middle - far
            } else {
                middle + far
            };
            Change {
                side,
                price,
                size: if random(3) == 0 {
                    0
                } else {
                    1 + random(99) as i64
                },
            }
        })
        .collect()
}

fn apply_ours(book: &mut Book, change: &Change) -> i64 {
    book.apply(change.side, Price(change.price), Size(change.size));
    let best = |side| book.best(side).map_or(0, |level| level.price.0);
    best(Side::Bid) ^ best(Side::Ask)
}

fn apply_map(sides: &mut [BTreeMap<i64, i64>; 2], change: &Change) -> i64 {
    if change.size == 0 {
        sides[change.side.idx()].remove(&change.price);
    } else {
        sides[change.side.idx()].insert(change.price, change.size);
    }
    let bid = sides[0].last_key_value().map_or(0, |(price, _)| *price);
    bid ^ sides[1].first_key_value().map_or(0, |(price, _)| *price)
}

fn book(criterion: &mut Criterion) {
    for levels in [20, 100, 1_000] {
        let stream = changes(levels);
        let (mut ours, mut map) = (Book::new(Price(1)), Default::default());
        for change in &stream {
            assert_eq!(apply_ours(&mut ours, change), apply_map(&mut map, change));
        }
        let mut group = criterion.benchmark_group(format!("book/{levels}"));
        group.throughput(Throughput::Elements(stream.len() as u64));
        group.bench_function("ours", |bencher| {
            bencher.iter(|| {
                stream
                    .iter()
                    .fold(0, |sum, c| sum ^ apply_ours(&mut ours, black_box(c)))
            })
        });
        group.bench_function("sorted map", |bencher| {
            bencher.iter(|| {
                stream
                    .iter()
                    .fold(0, |sum, c| sum ^ apply_map(&mut map, black_box(c)))
            })
        });
        group.finish();
    }
}

criterion_group!(benches, book);
criterion_main!(benches);
