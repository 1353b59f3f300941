//! The storm: every fault of orders and of the account, mixed by seed, over real sockets. Whatever
//! the venues do, both end flat or hedged, with nothing that nobody explains and no leg left over.
//!
//! Each seed is a demonstration of its own, one after the other. `PARALLAX_STORMS` says how many,
//! `PARALLAX_STORM_FIRST` which is the first, `PARALLAX_STORM_SECONDS` how long each trades: two
//! from the first on for a minute each, by default. A whole storm is twenty, for 150 s each, which
//! must add up to five hundred pairs and to twenty faults of each kind:
//! `PARALLAX_STORMS=20 cargo test --locked --test storm -- --nocapture`, about an hour.
//! All rows of the list of failures that are about legs, 14 to 43 and 49 to 54, end to end.

#[path = "rig/command.rs"]
mod command;
#[path = "rig/private.rs"]
mod private;

use command::{object, parallax, text};
use private::private_file;
use serde_json::Value;
use std::collections::BTreeMap;
use std::process::Output;

/// What strikes an order, a fill or a position.
const LIGHT: [&str; 10] = [
    "reject",
    "drop",
    "partial",
    "late-fill",
    "twice",
    "fill-after-cancel",
    "nonce",
    "margin",
    "liquidation",
    "adl",
];
/// What takes a venue away for seconds, and for longer where the engine must then leave it alone.
const HEAVY: [&str; 7] = [
    "account-down",
    "orders-down",
    "half-open",
    "maintenance",
    "page-429",
    "page-405",
    "page-5xx",
];
/// How often each comes, about.
const LIGHT_EVERY_S: u64 = 10;
/// The heavy ones come one after the other, in an order that turns with the seed. Closer together,
/// and the venues would hardly ever be up at once.
const HEAVY_FIRST_S: u64 = 16;
const HEAVY_APART_S: u64 = 13;
/// How long each seed trades where nothing is said: long enough for pairs and for four heavy ones.
const SECONDS: u64 = 60;
/// How long a whole storm's does: every heavy one comes.
const SECONDS_WHOLE: u64 = 150;
/// The markets of one demonstration, and the time from one dislocation to the next.
const MARKETS: u64 = 16;
const PLANT_MS: u64 = 200;
/// So many seeds must add up to so many pairs, and to so many faults of each kind.
const SEEDS_WHOLE: u64 = 20;
const PAIRS_MIN: u64 = 500;
const FAULTS_MIN: u64 = 20;
/// `MAX_POSITION_SIZE_USD`, and what prices may move while a leg of that size stands alone. What a
/// venue takes away comes on top: nobody can call back what is under way on the other.
const EXPOSURE_USD_MAX: f64 = 500.0 * 1.02;
const FORCED_USD_MAX: f64 = 2.0 * EXPOSURE_USD_MAX;

fn name(market: u64) -> String {
    let base = ["BTC", "ETH"][(market % 2) as usize];
    match market / 2 {
        0 => base.to_owned(),
        more => format!("{base}{}", more + 1),
    }
}

/// Dislocations in turn on every market, at each venue, either way.
fn plant(seconds: u64) -> String {
    let line = |n: u64| {
        let (market, at_ms) = (name(n % MARKETS), 13_000 + n * PLANT_MS);
        let venue = ["lighter", "extended"][(n / MARKETS % 2) as usize];
        let bps = [15, -15][(n / MARKETS / 2 % 2) as usize];
        format!(
            r#"{{"at_ms":{at_ms},"market":"{market}","venue":"{venue}","bps":{bps},"life_ms":900}}"#
        )
    };
    (0..seconds * 1_000 / PLANT_MS)
        .map(|n| line(n) + "\n")
        .collect()
}

fn faults(seed: u64) -> String {
    let light = LIGHT.map(|kind| format!("{kind}~{LIGHT_EVERY_S}"));
    let len = HEAVY.len() as u64;
    let place = |at: u64| HEAVY_FIRST_S + (at + seed) % len * HEAVY_APART_S;
    let every = len * HEAVY_APART_S;
    let heavy = (0..len).map(|at| format!("{}@{}~{every}", HEAVY[at as usize], place(at)));
    light.into_iter().chain(heavy).collect::<Vec<_>>().join(",")
}

fn demo(seed: u64, seconds: u64, plant: &str) -> Output {
    parallax(&["demo", "--json", "--lighter-tier", "premium-140"])
        .args(["--seconds", &seconds.to_string()])
        .args(["--seed", &seed.to_string()])
        .args(["--markets", &MARKETS.to_string()])
        .args(["--plant", plant, "--faults", &faults(seed)])
        .env("LIGHTER_ORDERS_PER_MIN", "2000")
        .env("EXTENDED_ORDERS_PER_MIN", "5000")
        .env("EXTENDED_ORDER_LANES", "8")
        .env("MAX_GROSS_USD", "20000")
        // A venue that asked to be left alone for a minute answers for its orders after that.
        .env("DRAIN_S", "180")
        // A circuit breaker would end what is to be shown: after five unwinds, in seconds.
        .env("DAILY_LOSS_MAX_USD", "10000")
        .env("MAX_DRAWDOWN_PCT", "90")
        .env("UNWINDS_IN_A_ROW_MAX", "1000")
        .env("MISSES_IN_A_ROW_MAX", "10000")
        .env("LOSING_RUN_MAX", "1000")
        .output()
        .expect("the binary was built for this test")
}

/// What must be so at the end of every seed.
fn check(seed: u64, output: &Output, report: &Value) {
    let err = text(&output.stderr);
    let told = format!("seed {seed}: {report}\n{err}");
    assert!(!err.contains("panicked"), "{told}");
    for (market, held) in report["positions"].as_object().expect("by market") {
        assert_eq!(held["net"], 0.0, "{market}: {told}");
    }
    assert_eq!(report["pairs"]["stuck"], 0, "{told}");
    for why in [
        "unexplained",
        "foreign",
        "hedge_link_full",
        "pair_stuck",
        "forced",
    ] {
        assert_eq!(report["halts"][why], 0, "{why}: {told}");
    }
    for (most, usd_max) in [
        ("most_usd", EXPOSURE_USD_MAX),
        ("most_forced_usd", FORCED_USD_MAX),
    ] {
        let usd = report["exposure"][most].as_f64().expect("a number");
        assert!(usd <= usd_max, "{most}: {told}");
    }
    // Nothing is left for the next start to settle.
    assert!(output.status.success(), "{told}");
}

fn number(name: &str, default: u64) -> u64 {
    let given = std::env::var(name).ok();
    given.map_or(default, |text| text.parse().expect("a whole number"))
}

#[test]
fn every_seed_of_the_storm_ends_flat_or_hedged() {
    let (seeds, first) = (
        number("PARALLAX_STORMS", 2),
        number("PARALLAX_STORM_FIRST", 1),
    );
    let seconds = match seeds {
        SEEDS_WHOLE.. => SECONDS_WHOLE,
        _ => number("PARALLAX_STORM_SECONDS", SECONDS),
    };
    let plant = private_file("storm-plant.jsonl", &plant(seconds));
    let plant = plant.to_str().expect("UTF-8");
    let mut pairs = 0;
    let mut done: BTreeMap<String, u64> = BTreeMap::new();
    for seed in first..first + seeds {
        let output = demo(seed, seconds, plant);
        let report = object(&output);
        let opened = report["pairs"]["opened"].as_u64().unwrap_or(0);
        println!(
            "seed {seed}: {opened} pairs, exposure {}, halts {}",
            report["exposure"], report["halts"]
        );
        check(seed, &output, &report);
        pairs += opened;
        for venue in ["extended", "lighter"] {
            let injected = report["injected"][venue].as_object();
            for (kind, count) in injected.expect("faults were asked for") {
                *done.entry(kind.clone()).or_default() += count.as_u64().unwrap_or(0);
            }
        }
    }
    println!("{pairs} pairs; faults {done:?}");
    assert_eq!(done.len(), LIGHT.len() + HEAVY.len(), "{done:?}");
    if seeds >= SEEDS_WHOLE {
        assert!(pairs >= PAIRS_MIN, "{pairs} pairs");
        let rare: Vec<_> = done.iter().filter(|(_, n)| **n < FAULTS_MIN).collect();
        assert!(rare.is_empty(), "too rare: {rare:?}");
    }
}
