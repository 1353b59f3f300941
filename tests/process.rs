//! Recording in processes of its own, as a user does: the simulated venues in one, the recorder in
//! another, and what it made played by a third.

#[path = "rig/command.rs"]
mod command;
#[path = "rig/simulation.rs"]
mod simulation;

use command::{object, parallax, text};
use parallax::market::{InstrumentId, VENUES, Venue};
use parallax::sim::tape::Tape;
use parallax::sim::tape::codec::{Frame, Kind};
use serde_json::Value;
use simulation::Simulation;
use std::collections::BTreeMap;
use std::ops::Range;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The simulated venues playing the tape that ships and nothing else, settings that lead there and
/// an empty folder. A configuration without an account is all that a recorder needs.
struct Scene {
    _simulation: Simulation,
    env: String,
    folder: PathBuf,
}

impl Scene {
    fn new(name: &str) -> Scene {
        let simulation = Simulation::start(&["--plain", "--plant", "off"]);
        let told: Value = serde_json::from_str(&simulation.description).expect("JSON");
        let setting = |key: &str, venue: &str, field: &str| {
            let value = told[venue][field].as_str().expect("a text");
            format!("{key}={value}\n")
        };
        let settings = [
            setting("EXTENDED_BASE_URL", "extended", "rest"),
            setting("EXTENDED_STREAM_URL", "extended", "stream"),
            setting("LIGHTER_BASE_URL", "lighter", "rest"),
            setting("LIGHTER_WS_URL", "lighter", "ws"),
        ];
        let place = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("record-{name}"));
        let _ = std::fs::remove_dir_all(&place);
        std::fs::create_dir_all(&place).expect("the target folder can be written");
        let env = place.join("env");
        std::fs::write(&env, settings.concat()).expect("there is room");
        let private = std::fs::Permissions::from_mode(0o600);
        std::fs::set_permissions(&env, private).expect("it is ours");
        Scene {
            _simulation: simulation,
            env: env.to_str().expect("UTF-8").to_owned(),
            folder: place.join("tapes"),
        }
    }

    fn record(&self, flags: &[&str]) -> Command {
        let folder = self.folder.to_str().expect("UTF-8");
        let mut command = parallax(&["record", "--json", "--env", &self.env, "--dir", folder]);
        command
            .args(flags)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Names in the folder that end so.
    fn files(&self, ending: &str) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(&self.folder).into_iter().flatten();
        let paths = entries.map(|entry| entry.expect("it can be listed").path());
        let fits = |path: &PathBuf| path.to_string_lossy().ends_with(ending);
        paths.filter(fits).collect()
    }

    /// A recorder that has recorded for a while.
    fn recording(&self) -> Child {
        let child = self.record(&[]).spawn().expect("the binary was built");
        let until = Instant::now() + Duration::from_secs(30);
        // A capture beyond its header: books have come and were flushed.
        let is_filled = |path: &PathBuf| path.metadata().is_ok_and(|about| about.len() > 8_000);
        while !self.files(".capture.gz").iter().any(is_filled) {
            assert!(Instant::now() < until, "nothing is recorded");
            std::thread::sleep(Duration::from_millis(50));
        }
        std::thread::sleep(Duration::from_millis(1_500));
        child
    }
}

/// A whole book: bids and asks, lots by tick.
type Book = [BTreeMap<i64, i64>; 2];

/// Every book that a stream shows in a part of its time, in seconds.
fn books(tape: &Tape, venue: Venue, instrument: InstrumentId, part: Range<u64>) -> Vec<Book> {
    let stream = tape.stream(venue, instrument);
    let (mut cursor, mut frame) = (stream.cursor(), Frame::default());
    let mut book = Book::default();
    let mut found = Vec::new();
    while cursor.read(&stream.frames, &mut frame).expect("whole") {
        if matches!(frame.kind, Kind::Trade(_)) {
            continue;
        }
        for (side, levels) in book.iter_mut().zip([&frame.bids, &frame.asks]) {
            if frame.kind == Kind::Snapshot {
                side.clear();
            }
            side.extend(levels.iter().copied());
            side.retain(|_, lots| *lots > 0);
        }
        if part.contains(&(frame.t_ns / 1_000_000_000)) {
            found.push(book.clone());
        }
    }
    found
}

/// Whether one book is the best part of another, to the last lot: a tape keeps 80 levels or more.
fn is_best_of(part: &Book, whole: &Book) -> bool {
    let [bids, asks] = part;
    let [all_bids, all_asks] = whole;
    bids.len().min(asks.len()) >= 80
        && bids.len() <= all_bids.len()
        && asks.len() <= all_asks.len()
        && bids.iter().rev().eq(all_bids.iter().rev().take(bids.len()))
        && asks.iter().eq(all_asks.iter().take(asks.len()))
}

/// Every recorded book is one that the venues' own tape shows, in its order. They send it as it is,
/// from its 60th second on, several changes in one message.
fn recorded_as_served(recorded: &Tape, served: &Tape) {
    for venue in VENUES {
        for instrument in [InstrumentId(0), InstrumentId(1)] {
            let stream = recorded.stream(venue, instrument);
            let origin = served.stream(venue, instrument);
            assert_eq!((stream.tick, stream.lot), (origin.tick, origin.lot));
            let shown = books(served, venue, instrument, 59..150);
            let told = books(recorded, venue, instrument, 0..60);
            assert!(told.len() > 10, "{venue:?}: {} books", told.len());
            let mut at = 0;
            for (idx, book) in told.iter().enumerate() {
                // The same again is fine: what changed may lie deeper than what is kept.
                let found = shown[at..].iter().position(|other| is_best_of(book, other));
                let found = found.unwrap_or_else(|| panic!("{venue:?}: book {idx} was not shown"));
                at += found;
            }
            assert!(at > 10, "{venue:?}: nothing moved");
        }
    }
}

#[test]
fn what_is_recorded_is_what_was_served_and_can_be_played() {
    let scene = Scene::new("both");
    let output = scene.record(&["--seconds", "5"]).output();
    let output = output.expect("the binary was built");
    assert!(output.status.success(), "{}", text(&output.stderr));
    let told = object(&output);
    assert_eq!(told["ended"], "time", "{told}");
    for venue in VENUES {
        assert!(told["messages"][venue.name()].as_u64() > Some(20), "{told}");
        assert_eq!(told["gaps"][venue.name()], 0, "{told}");
    }
    let tapes = told["tapes"].as_array().expect("a list");
    assert_eq!(tapes.len(), 1, "{told}");
    assert_eq!(tapes[0]["breaks"], 0, "{told}");
    assert!(tapes[0]["seconds"].as_f64() > Some(3.0), "{told}");
    // Nothing but the tape is left.
    assert_eq!(scene.files("").len(), 1);
    let file = tapes[0]["file"].as_str().expect("a path");
    let recorded = Tape::load(Path::new(file)).expect("it can be played");
    assert_eq!(recorded.bases().collect::<Vec<_>>(), ["BTC", "ETH"]);
    recorded_as_served(&recorded, &Tape::embedded());

    let flags = ["--seconds", "5", "--plant", "off", "--json"];
    let mut demo = parallax(&["demo", "--tape", file]);
    let output = demo.args(flags).output().expect("the binary was built");
    assert!(output.status.success(), "{}", text(&output.stderr));
    let report = object(&output);
    assert_eq!(report["gaps"], 0, "{report}");
    for venue in VENUES {
        assert!(
            report["frames"][venue.name()].as_u64() > Some(10),
            "{report}"
        );
    }
}

#[test]
fn one_venue_alone_is_played_by_both() {
    let scene = Scene::new("one");
    let output = scene
        .record(&["--seconds", "3", "--venue", "lighter"])
        .output();
    let output = output.expect("the binary was built");
    assert!(output.status.success(), "{}", text(&output.stderr));
    let told = object(&output);
    assert_eq!(told["messages"]["extended"], 0, "{told}");
    let file = told["tapes"][0]["file"].as_str().expect("a path");
    assert!(file.contains("parallax-lighter-"), "{file}");
    let tape = Tape::load(Path::new(file)).expect("it can be played");
    for venue in VENUES {
        assert_eq!(tape.stream(venue, InstrumentId(1)).venue, Venue::Lighter);
    }
}

#[test]
fn a_signal_finishes_the_tape_and_a_crash_leaves_it_to_the_next() {
    let scene = Scene::new("signal");
    let mut killed = scene.recording();
    // One recorder a folder.
    let second = scene.record(&[]).output().expect("the binary was built");
    assert_eq!(second.status.code(), Some(1));
    assert!(
        text(&second.stderr).contains("another parallax"),
        "{}",
        text(&second.stderr)
    );
    killed.kill().expect("it runs");
    killed.wait().expect("it ends");
    assert_eq!(scene.files(".capture.gz").len(), 1);
    // Between two starts a user converts it by hand, or the next recorder does.
    let capture = scene.files(".capture.gz").remove(0);
    let by_hand = scene.folder.with_file_name("by-hand.tape");
    let output = parallax(&["tape", "convert"])
        .args([&capture, &by_hand])
        .output()
        .expect("the binary was built");
    assert!(output.status.success(), "{}", text(&output.stderr));

    let stopped = scene.recording();
    let sent = Command::new("kill")
        .args(["-TERM", &stopped.id().to_string()])
        .status();
    assert!(sent.expect("kill is installed").success());
    let output = stopped.wait_with_output().expect("it ends by itself");
    assert!(output.status.success(), "{}", text(&output.stderr));
    let told = object(&output);
    assert_eq!(told["ended"], "signal", "{told}");
    assert_eq!(told["tapes"].as_array().map(Vec::len), Some(2), "{told}");
    let finished = capture.to_string_lossy().replace(".capture.gz", ".tape");
    assert_eq!(
        std::fs::read(finished).expect("it was finished"),
        std::fs::read(by_hand).expect("it was written")
    );
    assert!(scene.files(".capture.gz").is_empty());
}

#[test]
fn a_short_disk_and_dead_venues_are_clear_errors() {
    let scene = Scene::new("short");
    let huge = (1_u64 << 40).to_string();
    let output = scene.record(&["--min-free-mb", &huge]).output();
    let output = output.expect("the binary was built");
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output.stderr);
    assert!(
        said.contains("MiB left") && said.contains("--min-free-mb"),
        "{said}"
    );
    assert!(scene.files("").is_empty());

    let mut dead = scene.record(&["--seconds", "2"]);
    let output = dead.env("LIGHTER_BASE_URL", "http://127.0.0.1:1").output();
    let output = output.expect("the binary was built");
    assert_eq!(output.status.code(), Some(1));
    assert!(
        text(&output.stderr).contains("http://127.0.0.1:1"),
        "{}",
        text(&output.stderr)
    );
    assert!(scene.files("").is_empty());

    let mut wrong = scene.record(&["--seconds", "2"]);
    let output = wrong.env("MARKETS", "BTC,NOSUCH").output();
    let output = output.expect("the binary was built");
    assert_eq!(output.status.code(), Some(2));
    assert!(
        text(&output.stderr).contains("NOSUCH"),
        "{}",
        text(&output.stderr)
    );
}
