//! The default run, as a user starts it: simulated venues, real sockets, signed orders, a report.

#[path = "rig/command.rs"]
mod command;
#[path = "rig/private.rs"]
mod private;
#[path = "rig/simulation.rs"]
mod simulation;
#[path = "rig/venues.rs"]
mod venues;

use command::{object, parallax, text};
use private::private_file;
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use venues::Venues;

/// What every finished run must be able to say of itself.
fn is_settled(report: &Value) {
    assert_eq!(report["pairs"]["stuck"], 0, "{report}");
    for (market, position) in report["positions"]
        .as_object()
        .expect("positions by market")
    {
        let net = position["net"]
            .as_f64()
            .or_else(|| position["net"].as_str()?.parse().ok());
        assert_eq!(net, Some(0.0), "{market} is not hedged: {position}");
    }
}

#[test]
fn demo_trades_and_reports() {
    let output = parallax(&["demo", "--seconds", "40", "--seed", "7", "--json"])
        .output()
        .expect("the binary was built for this test");
    assert!(output.status.success(), "{}", text(&output.stderr));
    let report = object(&output);
    is_settled(&report);
    assert_eq!(report["venues"], "simulated");
    for venue in ["extended", "lighter"] {
        assert!(
            report["frames"][venue].as_u64() > Some(100),
            "{venue}: {report}"
        );
        assert!(report["orders"][venue].is_object(), "{report}");
    }
    assert!(report["pairs"]["opened"].as_u64() >= Some(1), "{report}");
    assert!(report["pairs"]["closed"].as_u64() >= Some(1), "{report}");
    assert_eq!(report["gaps"], 0, "{report}");
    let signed = |way: &str| report["signing"][way].as_u64().unwrap_or(0);
    assert!(
        signed("nonce_ahead") + signed("ready") >= 4 && signed("ready") > 0,
        "{report}"
    );
    assert_eq!(report["signing"]["full"], 0, "the points ran out: {report}");
    for step in [
        "recv",
        "decode",
        "book",
        "link",
        "scan",
        "risk",
        "sign",
        "encode",
        "send",
        "tick_to_send",
        "send_to_ack",
        "send_to_fill",
    ] {
        let row = &report["latency_ns"][step];
        let [p50, p99, max] = ["p50", "p99", "max"].map(|key| row[key].as_u64().unwrap_or(0));
        assert!(row["count"].as_u64() >= Some(1), "{step}: {row}");
        assert!(0 < p50 && p50 <= p99 && p99 <= max, "{step}: {row}");
    }
    let money = |key: &str| report["pnl_usd"][key].as_f64().unwrap_or(f64::NAN);
    let causes =
        money("edge") + money("slippage") - money("fees") + money("funding") + money("repair");
    assert!(
        (causes - money("total")).abs() < 0.01,
        "{}",
        report["pnl_usd"]
    );
}

#[test]
fn a_run_trades_with_venues_in_another_process() {
    let venues = Venues::start(&["--seed", "7"]);
    let env = venues.env_file("run", "");
    let output = parallax(&["run", "--seconds", "40", "--json", "--env"])
        .arg(&env)
        .output()
        .expect("the binary was built for this test");
    assert!(output.status.success(), "{}", text(&output.stderr));
    let report = object(&output);
    is_settled(&report);
    assert!(report["pairs"]["opened"].as_u64() >= Some(1), "{report}");
    let secrets = [
        &venues.description["extended"]["private_key"],
        &venues.description["extended"]["api_key"],
    ];
    for secret in secrets {
        let secret = secret.as_str().expect("a text");
        assert!(!text(&output.stderr).contains(secret) && !text(&output.stdout).contains(secret));
    }
}

/// Both venues die while pairs are open: the run lives on, ends by its own clock and a bounded
/// drain, and says what it leaves instead of calling it a success.
#[test]
fn venues_that_die_leave_a_truthful_end() {
    let mut venues = Venues::start(&["--seed", "7"]);
    // No pair converges: what is opened before the end of the venues is open then.
    let env = venues.env_file("dying", "EXIT_BPS=-400\nDRAIN_S=20\n");
    let run = parallax(&["run", "--seconds", "35", "--json", "--env"])
        .arg(&env)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary was built for this test");
    // The simulated venues die in the middle of the run, wherever its pairs then stand.
    std::thread::sleep(std::time::Duration::from_secs(28));
    let _ = venues.simulation.child.kill();
    let output = run.wait_with_output().expect("it ends by itself");
    let (report, err) = (object(&output), text(&output.stderr));
    assert!(!err.contains("panicked"), "{err}");
    assert!(report["seconds"].as_f64() < Some(60.0), "{report}");
    let halts = report["halts"].as_object().expect("counts by cause");
    let is_halted = halts.values().any(|count| count.as_u64() > Some(0));
    let is_left = err.contains("nobody manages them");
    let is_clean = !is_left && !is_halted;
    assert_eq!(output.status.success(), is_clean, "{report}\n{err}");
    let count = |key: &str| report["pairs"][key].as_u64().unwrap_or(0);
    if count("opened") > count("closed") + count("unwound") {
        assert!(!is_clean, "{report}\n{err}");
    }
}

#[test]
fn faults_of_a_configuration_are_listed_together() {
    let env = private_file(
        "faulty.env",
        "TRADING_MODE=lively\nMAX_POSITION_SIZE_UDS=5\nEXIT_BPS=half\n\
         EXTENDED_BASE_URL=http://example.com\n",
    );
    let output = parallax(&["run", "--env"])
        .arg(&env)
        .output()
        .expect("the binary was built");
    assert_eq!(output.status.code(), Some(2), "{}", text(&output.stderr));
    let err = text(&output.stderr);
    for word in [
        "TRADING_MODE",
        "MAX_POSITION_SIZE_UDS",
        "MAX_POSITION_SIZE_USD",
        "EXIT_BPS",
        "EXTENDED_BASE_URL",
    ] {
        assert!(err.contains(word), "{word} is not named in:\n{err}");
    }
}

#[test]
fn seats_that_cannot_be_had_are_a_fault_of_the_setting() {
    for seats in ["bogus", "9999,9999,9999,9999,9999"] {
        let output = parallax(&["demo", "--seconds", "2"])
            .env("SEATS", seats)
            .output()
            .expect("the binary was built");
        assert_eq!(output.status.code(), Some(2), "{}", text(&output.stderr));
        assert!(
            text(&output.stderr).contains("SEATS"),
            "{}",
            text(&output.stderr)
        );
    }
}

#[test]
fn a_taken_port_and_a_cut_tape_are_clear_errors() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("it is bound").to_string();
    let output = parallax(&["sim", "--listen-extended", &address])
        .output()
        .expect("the binary was built");
    assert!(!output.status.success());
    assert!(
        text(&output.stderr).contains(&address),
        "{}",
        text(&output.stderr)
    );

    let cut = private_file("cut.tape", "PLX");
    for tape in [cut.to_str().expect("UTF-8"), "no-such.tape"] {
        let output = parallax(&["demo", "--seconds", "2", "--tape", tape])
            .output()
            .expect("the binary was built");
        assert!(!output.status.success());
        assert!(
            text(&output.stderr).contains(tape),
            "{}",
            text(&output.stderr)
        );
    }
}

#[test]
fn a_signal_drains_and_reports() {
    for signal in ["-INT", "-TERM"] {
        let mut child = parallax(&["demo", "--seconds", "600", "--json"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary was built for this test");
        let mut err = BufReader::new(child.stderr.take().expect("standard error is piped"));
        let mut line = String::new();
        while !line.contains("live on") {
            line.clear();
            assert!(
                err.read_line(&mut line).expect("text") > 0,
                "it ended before it began"
            );
        }
        let id = child.id().to_string();
        let sent = Command::new("kill")
            .args([signal, &id])
            .status()
            .expect("kill is installed");
        assert!(sent.success());
        // The report goes to standard error; a full pipe must not hold the program up.
        let reader = std::thread::spawn(move || std::io::read_to_string(err));
        let output = child.wait_with_output().expect("it ends by itself");
        let report = object(&output);
        assert!(output.status.success(), "{signal}: {report}");
        is_settled(&report);
        assert!(report["seconds"].as_f64() < Some(60.0), "{report}");
        let _ = reader.join();
    }
}

#[test]
fn the_selftest_counts_by_kind_and_fails_on_what_it_is_given() {
    let output = parallax(&["selftest", "--json"]).output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    let report = object(&output);
    assert_eq!(report["failed"], 0, "{report}");
    for (kind, passed) in [
        ("extended_orders", 240),
        ("lighter_tx", 464),
        ("lighter_sign_pooled", 572),
    ] {
        let counts = serde_json::json!({"passed": passed, "failed": 0, "skipped": 0});
        assert_eq!(report["kinds"][kind], counts, "{report}");
    }

    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("bent-vectors");
    std::fs::create_dir_all(&folder).unwrap();
    let tokens = include_str!("data/lighter/lighter_auth_tokens.json");
    let bent = tokens.replacen("\"deadline\": 1794611256", "\"deadline\": 1794611257", 1);
    assert_ne!(bent, tokens);
    std::fs::write(folder.join("lighter_auth_tokens.json"), bent).unwrap();
    std::fs::write(folder.join("lighter_dreams.json"), "{\"cases\":[1]}").unwrap();
    let given = ["selftest", "--vectors", folder.to_str().unwrap(), "--json"];
    let output = parallax(&given).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let report = object(&output);
    assert_eq!(
        report["kinds"]["lighter_auth_tokens"]["failed"], 1,
        "{report}"
    );
    assert_eq!(report["kinds"]["lighter_dreams"]["skipped"], 1, "{report}");
    let told = text(&output.stderr);
    assert!(
        told.contains("failed: lighter_auth_tokens: case 0"),
        "{told}"
    );

    let output = parallax(&["selftest", "--vectors", "/nowhere"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("--vectors /nowhere"));
}
