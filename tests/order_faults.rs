//! What venues do to orders and accounts, done to a running engine over real sockets: whatever
//! happens, both venues end flat or hedged, with nothing that nobody explains.
//!
//! One fault after the other, at each venue, with pairs under way on sixteen markets all the time.
//! Rows 15, 17 to 21, 30, 32, 35, 37 and 41 of the list of failures, end to end.

#[path = "rig/command.rs"]
mod command;
#[path = "rig/private.rs"]
mod private;

use command::{object, parallax, text};
use private::private_file;

/// Each at both venues but the last, which only Lighter has.
const KINDS: [&str; 12] = [
    "reject",
    "drop",
    "partial",
    "late-fill",
    "twice",
    "fill-after-cancel",
    "margin",
    "liquidation",
    "adl",
    "orders-down",
    "maintenance",
    "nonce",
];
/// The first comes when pairs are being made, the others this far apart: a pair that lost an answer
/// is settled by then.
const FIRST_S: usize = 16;
const APART_S: usize = 5;
/// The markets of the demonstration.
const MARKETS: u64 = 16;

fn name(market: u64) -> String {
    let base = ["BTC", "ETH"][(market % 2) as usize];
    match market / 2 {
        0 => base.to_owned(),
        more => format!("{base}{}", more + 1),
    }
}

/// Dislocations in turn on every market, at each venue, either way.
fn plant() -> String {
    let line = |n: u64| {
        let (market, at_ms) = (name(n % MARKETS), 13_000 + n * 300);
        let venue = ["lighter", "extended"][(n / MARKETS % 2) as usize];
        let bps = [15, -15][(n / MARKETS / 2 % 2) as usize];
        format!(
            r#"{{"at_ms":{at_ms},"market":"{market}","venue":"{venue}","bps":{bps},"life_ms":900}}"#
        )
    };
    (0..1_000).map(|n| line(n) + "\n").collect()
}

#[test]
fn every_fault_of_an_order_ends_flat_or_hedged() {
    let mut faults = Vec::new();
    for (at, kind) in KINDS.iter().enumerate() {
        for (venue_at, venue) in ["extended", "lighter"].into_iter().enumerate() {
            if *kind == "nonce" && venue == "extended" {
                continue;
            }
            let second = FIRST_S + (2 * at + venue_at) * APART_S;
            faults.push(format!("{kind}:{venue}@{second}"));
        }
    }
    let seconds = FIRST_S + 2 * KINDS.len() * APART_S + APART_S;
    let plant = private_file("order-faults-plant.jsonl", &plant());
    let output = parallax(&["demo", "--json", "--lighter-tier", "premium-140"])
        .args(["--seconds", &seconds.to_string()])
        .args(["--markets", &MARKETS.to_string()])
        .args(["--plant", plant.to_str().expect("UTF-8")])
        .args(["--faults", &faults.join(",")])
        .env("LIGHTER_ORDERS_PER_MIN", "2000")
        .env("EXTENDED_ORDERS_PER_MIN", "5000")
        .env("EXTENDED_ORDER_LANES", "8")
        .env("MAX_GROSS_USD", "20000")
        // A venue that asked to be left alone for a minute answers for its orders after that.
        .env("DRAIN_S", "180")
        // What the faults cost must not end what they are to show.
        .env("DAILY_LOSS_MAX_USD", "10000")
        .env("MAX_DRAWDOWN_PCT", "90")
        .env("UNWINDS_IN_A_ROW_MAX", "1000")
        .env("MISSES_IN_A_ROW_MAX", "10000")
        .env("LOSING_RUN_MAX", "1000")
        .output()
        .expect("the binary was built for this test");
    let (report, err) = (object(&output), text(&output.stderr));
    assert!(!err.contains("panicked"), "{err}");
    for (market, held) in report["positions"].as_object().expect("by market") {
        assert_eq!(held["net"], 0.0, "{market}: {report}\n{err}");
    }
    for why in [
        "unexplained",
        "foreign",
        "hedge_link_full",
        "pair_stuck",
        "forced",
    ] {
        assert_eq!(report["halts"][why], 0, "{why}: {report}\n{err}");
    }
    // Nothing is left for the next start to settle.
    assert!(output.status.success(), "{report}\n{err}");
    assert!(report["pairs"]["opened"].as_u64() >= Some(50), "{report}");
    let injected = |venue: &str, kind: &str| report["injected"][venue][kind].as_u64();
    for kind in KINDS {
        let sum = injected("extended", kind).unwrap_or(0) + injected("lighter", kind).unwrap_or(0);
        assert!(sum >= 1, "{kind} never happened: {report}");
    }
    println!(
        "{} pairs, exposure {}",
        report["pairs"]["opened"], report["exposure"]
    );
}
