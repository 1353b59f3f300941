//! What is expected at arrival against what came, learned on some seeds and judged on others; and
//! the making of the table that ships.

use crate::virtual_time::Scenario;
use crate::virtual_time::engine::{Engine, run_as_demo, run_with};
use parallax::market::Venue;
use parallax::market::event::{Event, Score};
use parallax::scanner::arrival::key::{AGES, AGES_MS, KEYS, SIZES, SIZES_BPS};
use parallax::scanner::arrival::memory::{Cell, ONE};
use parallax::scanner::arrival::table::Table;
use parallax::sim::exchange::LighterTier;
use parallax::sim::plant::Plant;

/// Seeds that the table that ships is learned on; no test judges by them.
const LEARNED_ON: std::ops::RangeInclusive<u64> = 1001..=2000;
/// Each edge of theirs counts for one of so many. The mean of a hundred seeds errs by 0.3 bps.
const PART: i64 = 10;
/// How it is made again.
const COMMAND: &str = "cargo test --test edge -- --ignored the_table_that_ships_is_made";
const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/sim/arrival.table");

fn scores(engine: &Engine) -> impl Iterator<Item = &Score> {
    engine.events.iter().filter_map(|event| match event {
        Event::Scored(score) => Some(score),
        _ => None,
    })
}

/// What cold runs of these seeds teach: edges are followed whether they are taken or not.
fn learned(seeds: impl Iterator<Item = u64>) -> Table {
    let markets_len = Scenario::new(1).instruments().len();
    let mut table = Table::new(markets_len);
    for seed in seeds {
        let (engine, _) = run_with(&Scenario::new(seed), Table::new(markets_len));
        scores(&engine).for_each(|score| table.learn(score));
    }
    table.settle(PART);
    table
}

/// Learned on the seeds of the table, judged on others, at each border of age of every edge.
#[test]
fn first_orders_fill_as_often_as_expected() {
    let mut all: Vec<Score> = Vec::new();
    for seed in 201..=240 {
        let (engine, _) = run_as_demo(&Scenario::new(seed));
        all.extend(scores(&engine));
    }
    all.retain(|score| score.teaches);
    let fills = all.iter().filter_map(|score| score.expected);
    let expected: f64 = fills.map(|e| f64::from(e.fill_e4) / 1e4).sum();
    let known = || all.iter().filter(|score| score.expected.is_some());
    let (filled, known) = (
        known().filter(|score| score.made.is_some()).count() as f64,
        known().count() as f64,
    );
    println!("fills: expected {expected:.1}, came {filled} of {known}");
    assert!(known > 500.0 && (expected - filled).abs() / known < 0.03);
}

/// Nobody knows anything: the first edges are refused for that reason, and nothing is opened on
/// the tape alone.
#[test]
fn a_cold_start_refuses_until_it_has_learned() {
    let markets_len = Scenario::new(1).instruments().len();
    for tier in LighterTier::ALL {
        let scenario = Scenario {
            plant: Plant::Off,
            tier,
            ..Scenario::new(3)
        };
        let (engine, _) = run_with(&scenario, Table::new(markets_len));
        assert_eq!(engine.taken(), 0, "{tier:?}");
    }
    let long = Scenario {
        seconds: 600,
        ..Scenario::new(4)
    };
    let (engine, outcome) = run_with(&long, Table::new(markets_len));
    let first = engine.events.iter().find_map(|event| match event {
        Event::Taken { t, .. } => Some(*t),
        _ => None,
    });
    let first_s = first.map(|t| t.since(crate::virtual_time::START) / 1_000_000_000);
    println!(
        "cold, 600 s: first taken after {first_s:?} s, {} taken, made {:+.2} USD",
        engine.taken(),
        outcome.made().to_usd_f64()
    );
    assert!(first_s.is_some_and(|s| s > 60) && outcome.made().0 > 0);
}

#[test]
#[ignore = "writes src/sim/arrival.table"]
fn the_table_that_ships_is_made() {
    let table = learned(LEARNED_ON);
    let label = format!(
        "What planted edges have become, for `parallax demo` to begin with.\n\
         Learned in virtual time from cold on seeds {} to {}, a minute each, Lighter standard;\n\
         each edge counts for a tenth.\n\
         Made again by: {COMMAND}",
        LEARNED_ON.start(),
        LEARNED_ON.end()
    );
    let text = table.to_text(&Scenario::new(1).instruments(), &label);
    std::fs::write(PATH, text).unwrap();
    (0..KEYS).for_each(|number| row(number, table.all.cell(number)));
}

/// One kind, for people: how often the first order fills, mean drift given that, what it made.
fn row(number: usize, cell: &Cell) {
    if cell.tries == 0 {
        return;
    }
    let moved = if number < KEYS / 2 {
        Venue::Extended
    } else {
        Venue::Lighter
    };
    let age = AGES_MS[number / SIZES % AGES];
    let orders = cell.orders.map(|sums| {
        let filled = sums.filled.max(1) as f64;
        let drift = sums.drift as f64 / filled / 65_536.0;
        let made = sums.made as f64 / cell.tries as f64 / 65_536.0;
        format!(
            "{:4.2} {drift:+6.2} {made:+6.2}",
            filled / cell.tries as f64
        )
    });
    let (size, tries) = (SIZES_BPS[number % SIZES], cell.tries / ONE);
    let orders = orders.join(" | ");
    println!(
        "{:8} {age:4} ms {size:2} bps {tries:4} | {orders}",
        moved.name()
    );
}
