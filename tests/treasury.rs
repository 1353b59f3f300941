//! The treasury against the simulated venues: `parallax balance` explains to the cent what moved
//! both accounts and finds what nobody lists; a run leaves a history that can be asked.

#[path = "rig/command.rs"]
mod command;
#[path = "rig/private.rs"]
mod private;
#[path = "rig/simulation.rs"]
mod simulation;
#[path = "rig/venues.rs"]
mod venues;

use command::{object, parallax, text};
use parallax::market::book::Side;
use parallax::market::units::{Notional, SECOND, Size};
use parallax::market::{InstrumentId, VENUES, Venue};
use parallax::sim::exchange::{LighterTier, NewOrder, NewTransfer, Stage, TimeInForce, Way};
use parallax::sim::plant::Plant;
use parallax::sim::start::{Options, Sim, start};
use private::private_file;
use rusqlite::Connection;
use rusqlite::types::FromSql;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::Duration;
use venues::Venues;

/// Both venues in this process, so that they can be traded on from within, and settings.
struct Scene {
    venues: Sim,
    env: PathBuf,
    state: PathBuf,
}

impl Scene {
    fn new(name: &str) -> Scene {
        let options = Options {
            plain: true,
            plant: Plant::Off,
            // A tier that pays fees, and funding every second.
            tier: LighterTier::Premium200,
            funding_every_ns: SECOND,
            ..Options::new(11)
        };
        let venues = start(&options).expect("loopback ports are free");
        let state = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("treasury-{name}"));
        let _ = std::fs::remove_dir_all(&state);
        let settings = venues
            .description
            .settings()
            .into_iter()
            .chain([("STATE_DIR", state.to_str().expect("UTF-8").to_owned())]);
        let lines = settings.map(|(name, value)| format!("{name}={value}\n"));
        let lines: String = lines.collect();
        let env = private_file(&format!("treasury-{name}.env"), &lines);
        Scene { venues, env, state }
    }

    /// Buys (positive) or sells so many thousandths of a coin, through the book.
    fn trade(&self, venue: Venue, instrument: u16, thousandths: i64) {
        let side = if thousandths > 0 {
            Side::Bid
        } else {
            Side::Ask
        };
        self.venues.floor(venue).act(|exchange, now, out| {
            let instrument = InstrumentId(instrument);
            let (mark, _) = exchange.mark(instrument);
            let tick = exchange.rules()[instrument.idx()].tick;
            let beyond = mark.0 / 100 * if side == Side::Bid { 1 } else { -1 };
            let order = NewOrder {
                instrument,
                side,
                price: parallax::market::units::Price(mark.0 + beyond).floor_to(tick),
                size: Size(thousandths.abs() * 1_000_000),
                time_in_force: TimeInForce::ImmediateOrCancel,
                reduce_only: false,
                client_id: String::new(),
                expiry_ms: 0,
                tag: String::new(),
            };
            exchange.place(now, order, out).expect("a sound order");
        });
    }

    fn transfer(&self, venue: Venue, way: Way, usd: i64, stage: Stage) {
        self.venues.floor(venue).act(|exchange, now, out| {
            let wanted = NewTransfer {
                way,
                amount: Notional::from_usd(usd),
                fee: Notional::ZERO,
                mark: String::new(),
            };
            let number = exchange
                .transfer(now, wanted, out)
                .expect("there is so much");
            exchange.move_transfer(number, stage, out);
        });
    }

    fn balance(&self, flags: &[&str]) -> (Option<i32>, Value) {
        let mut command = parallax(&["balance", "--json", "--env"]);
        let output: Output = command
            .arg(&self.env)
            .args(flags)
            .output()
            .expect("it runs");
        eprint!("{}", text(&output.stderr));
        (output.status.code(), object(&output))
    }

    /// What is not explained, in whole cents.
    fn cents(told: &Value) -> i64 {
        (told["drift_usd"].as_f64().expect("it is known") * 100.0).round() as i64
    }
}

#[test]
fn what_moves_an_account_is_explained_to_the_cent_and_what_is_not_listed_is_found() {
    let scene = Scene::new("cent");
    let (status, first) = scene.balance(&[]);
    assert_eq!((status, Scene::cents(&first)), (Some(0), 0), "{first}");

    // Positions are opened, added to, reduced and turned while marks move and funding is charged.
    let sizes = [30, -10, 25, -60, 15, 7, -31, 40];
    for (at, size) in sizes.into_iter().enumerate() {
        for venue in VENUES {
            let sign = if venue == Venue::Extended { 1 } else { -1 };
            scene.trade(venue, (at % 2) as u16, sign * size);
        }
        std::thread::sleep(Duration::from_millis(150));
        if at == 3 {
            let (status, told) = scene.balance(&[]);
            assert_eq!((status, Scene::cents(&told)), (Some(0), 0), "{told}");
        }
    }
    scene.transfer(Venue::Extended, Way::In, 250, Stage::Completed);
    scene.transfer(Venue::Extended, Way::Out, 100, Stage::Claimable);
    scene.transfer(Venue::Lighter, Way::Out, 40, Stage::Failed);
    scene.transfer(Venue::Lighter, Way::Across, 70, Stage::Completed);
    std::thread::sleep(Duration::from_millis(1_500));

    let (status, told) = scene.balance(&[]);
    assert_eq!((status, Scene::cents(&told)), (Some(0), 0), "{told}");
    for venue in ["extended", "lighter"] {
        let moved = &told[venue]["moved_usd"];
        let sum = |name: &str| moved[name].as_f64().expect("a number");
        assert!(sum("fees") > 0.0 && sum("trades") != 0.0, "{told}");
        assert!(sum("funding") != 0.0, "{told}");
        let positions = told[venue]["positions"].as_object().expect("an object");
        assert_eq!(positions.len(), 2, "{told}");
        let margin = told[venue]["margin_ratio"].as_f64().expect("a number");
        assert!(margin > 0.0 && margin < 1.0, "{told}");
    }
    assert_eq!(told["extended"]["moved_usd"]["transfers"], 150.0);
    assert_eq!(told["lighter"]["moved_usd"]["transfers"], -70.0);

    // Two dollars and a cent that no list explains: found once, and kept until accepted.
    scene.venues.floor(Venue::Lighter).act(|exchange, _, out| {
        exchange.leak(Notional::from_nano(-2_010_000_000), out);
    });
    for _ in 0..2 {
        let (status, told) = scene.balance(&[]);
        assert_eq!((status, Scene::cents(&told)), (Some(1), -201), "{told}");
        assert_eq!(
            told["extended"]["drift_usd"].as_f64().map(f64::round),
            Some(0.0)
        );
    }
    let (status, told) = scene.balance(&["--accept", "the test took it"]);
    assert_eq!((status, Scene::cents(&told)), (Some(0), 0), "{told}");
    let book = std::fs::read(scene.state.join("treasury.json")).expect("it is kept");
    let book: Value = serde_json::from_slice(&book).expect("JSON");
    assert_eq!(book["accepted"][0]["why"], "the test took it");
    assert_eq!(scene.balance(&[]).0, Some(0));
}

#[test]
fn a_plan_is_made_of_what_is_there_and_ends_at_the_days_cap() {
    let scene = Scene::new("plan");
    let planned = || {
        let mut command = parallax(&["rebalance", "--json", "--env"]);
        let output = command.arg(&scene.env).output().expect("it runs");
        eprint!("{}", text(&output.stderr));
        assert_eq!(output.status.code(), Some(0));
        object(&output)
    };
    // Both were opened with the same deposit.
    let even = planned();
    assert_eq!(
        (&even["empty"], &even["surplus"]),
        (&json!(true), &Value::Null),
        "{even}"
    );

    scene.transfer(Venue::Extended, Way::In, 2_000, Stage::Completed);
    let told = planned();
    assert_eq!(
        told["surplus"],
        json!({"venue": "extended", "amount": 1_000.0}),
        "{told}"
    );
    assert_eq!(
        (&told["send"]["amount"], &told["bound"]),
        (&json!(500.0), &json!("day"))
    );
    let wallet = told["wallet"].as_str().expect("the venue names it");
    assert!(wallet.starts_with("0x") && wallet.len() == 42, "{told}");
    let sum = |field: &str| {
        let part = |venue: &str| told[venue][field].as_f64().expect("a number");
        part("extended") + part("lighter")
    };
    let cost = told["cost_usd"].as_f64().expect("a number");
    assert!((sum("equity") - sum("after") - cost).abs() < 1e-6, "{told}");

    // Whoever sent it: the day is used up.
    scene.transfer(Venue::Extended, Way::Out, 480, Stage::Claimable);
    let told = planned();
    assert_eq!(
        (&told["send"], &told["bound"]),
        (&Value::Null, &json!("day")),
        "{told}"
    );
    assert_eq!(told["extended"]["sent_today"], 480.0, "{told}");
}

#[test]
fn a_venue_that_is_down_keeps_the_other_from_nothing() {
    let scene = Scene::new("down");
    let settings = std::fs::read_to_string(&scene.env).expect("it was written");
    let other = private_file("treasury-down-2.env", &settings);
    let mut command = parallax(&["balance", "--json", "--env"]);
    let command = command
        .arg(&other)
        .env("EXTENDED_BASE_URL", "http://127.0.0.1:9/api/v1");
    let output = command.output().expect("it runs");
    let told = object(&output);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(told["drift_usd"], Value::Null);
    assert_eq!(told["extended"]["equity"], Value::Null);
    assert!(
        told["lighter"]["equity"]
            .as_f64()
            .is_some_and(|usd| usd > 0.0),
        "{told}"
    );
}

fn ask<T: FromSql>(state: &Path, sql: &str) -> T {
    let connection = Connection::open(state.join("history.sqlite")).expect("it is there");
    let row = connection.query_row(sql, [], |row| row.get(0));
    row.unwrap_or_else(|error| panic!("{sql}: {error}"))
}

#[test]
fn a_run_leaves_a_history_that_says_what_its_report_says() {
    let venues = Venues::start(&["--lighter-tier", "premium-140", "--funding-every", "15"]);
    let env = venues.env_file("treasury-run", "TREASURY_POLL_S=30\n");
    let state = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("treasury-run-state");
    let mut command = parallax(&["run", "--seconds", "40", "--json", "--env"]);
    let output = command.arg(&env).output().expect("it runs");
    let (report, said) = (object(&output), text(&output.stderr));
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(
        !said.contains("history") && !said.contains("DRIFT"),
        "{said}"
    );

    let whole = "SELECT count(*) FROM runs WHERE ended_ns > started_ns AND lost = 0";
    assert_eq!(ask::<i64>(&state, whole), 1);
    let sent: i64 = ["extended", "lighter"]
        .iter()
        .filter_map(|venue| report["orders"][venue]["sent"].as_i64())
        .sum();
    assert!(sent > 0, "nothing was traded: {report}");
    assert_eq!(ask::<i64>(&state, "SELECT count(*) FROM orders"), sent);
    let closed = ask::<i64>(
        &state,
        "SELECT count(*) FROM pairs WHERE outcome = 'closed'",
    );
    assert_eq!(json!(closed), report["pairs"]["closed"], "{report}");
    let total: f64 = ask(&state, "SELECT total(total_e9) / 1e9 FROM pairs");
    let reported = report["pnl_usd"]["total"].as_f64().expect("a number");
    assert!((total - reported).abs() < 0.000_1, "{total} {reported}");
    // Every fill belongs to an order and a pair that are there too.
    let lost = "SELECT count(*) FROM fills_usd WHERE kind = 'order' AND market IS NULL";
    assert_eq!(ask::<i64>(&state, lost), 0);
    let polled = "SELECT count(DISTINCT venue) FROM balances WHERE source = 'rest'";
    assert_eq!(ask::<i64>(&state, polled), 2);
    let drift = "SELECT max(abs(drift_e9)) FROM balances WHERE source = 'rest' AND t_ns = \
                 (SELECT max(t_ns) FROM balances b WHERE b.venue = balances.venue AND source = \
                 'rest')";
    assert!(
        ask::<i64>(&state, drift) < 5_000_000,
        "more than half a cent"
    );
}
