//! Every fault of market data that the simulated venues know, done to a running engine over real
//! sockets: each is counted by the engine under its own name, and none leaves anything behind.

#[path = "rig/command.rs"]
mod command;

use command::{object, parallax, text};
use serde_json::Value;

/// What is done, and when: faults of one connection leave it time to come back, which Extended's
/// front door allows once in five seconds.
const EXTENDED: &[&str] = &[
    "gap:extended:BTC@5",
    "reorder:extended:ETH@6",
    "duplicate:extended:BTC@13",
    "cut:extended:ETH@14",
    "crossed:extended:BTC@21",
    "disconnect:extended:ETH@22",
    "silent:extended:BTC@29",
    "frozen:extended:ETH@29",
    "slow:extended:BTC@40",
    "429:extended@50",
];
const LIGHTER: &[&str] = &[
    "gap:lighter:BTC@5",
    "reorder:lighter:ETH@6",
    "duplicate:lighter:BTC@9",
    "cut:lighter:ETH@10",
    "crossed:lighter:BTC@13",
    "silent:lighter:ETH@16",
    "frozen:lighter:BTC@18",
    "shutdown:lighter@40",
    "disconnect:lighter@47",
    "slow:lighter@53",
];

/// A count under its name, in one venue's part of the report.
fn count(report: &Value, venue: &str, name: &str) -> u64 {
    let counted = &report["market_data"][venue]["troubles"][name];
    counted.as_u64().expect("every trouble has its count")
}

/// Rows 5 to 8 and 11 to 13, end to end.
#[test]
fn every_fault_is_counted_and_survived() {
    let spec = [EXTENDED, LIGHTER].concat().join(",");
    let output = parallax(&[
        "demo",
        "--seconds",
        "62",
        "--seed",
        "3",
        "--json",
        "--faults",
        &spec,
    ])
    .output()
    .expect("the binary was built for this test");
    assert!(output.status.success(), "{}", text(&output.stderr));
    let report = object(&output);
    for (venue, items) in [("extended", EXTENDED), ("lighter", LIGHTER)] {
        for item in items {
            let kind = item.split(':').next().expect("a kind stands first");
            assert_eq!(report["injected"][venue][kind], 1, "{item}: {report}");
        }
        let at_least = |name: &str, least: u64| {
            let found = count(&report, venue, name);
            assert!(
                found >= least,
                "{venue} {name}: {found} of {least}\n{report}"
            );
        };
        // A lost, a swapped and a repeated message are all a break in the row.
        at_least("gap", 3);
        at_least("malformed", 1);
        at_least("crossed", 1);
        at_least("connection_lost", 2);
        // A silent market that still trades is seen by its trades before its silence is.
        let doubted = count(&report, venue, "silent") + count(&report, venue, "frozen");
        assert!(doubted >= 2, "{venue}: {report}");
        assert_eq!(count(&report, venue, "behind"), 0, "{report}");
    }
    assert!(count(&report, "extended", "dials_refused") >= 1, "{report}");
    assert!(
        count(&report, "lighter", "shutdown_announced") >= 1,
        "{report}"
    );
    // The books came back in between, and what was traded on them was closed.
    assert!(
        report["opportunities"]["seen"].as_u64() >= Some(1),
        "{report}"
    );
    assert_eq!(report["pairs"]["stuck"], 0, "{report}");
    let positions = report["positions"].as_object().expect("by market");
    assert!(
        positions.values().all(|held| held["net"] == 0.0),
        "{report}"
    );
}

#[test]
fn a_fault_nobody_knows_is_refused_with_the_nearest_name() {
    let output = parallax(&["demo", "--seconds", "1", "--faults", "gab:lighter@5"])
        .output()
        .expect("the binary was built for this test");
    assert_eq!(output.status.code(), Some(2));
    let said = text(&output.stderr);
    assert!(said.contains("gab") && said.contains("gap"), "{said}");
}
