//! Circuit breakers as a user meets them: a run opens one, the next finds it open, a human resets
//! it with a reason, and the run goes on. Each in a process of its own.

#[path = "rig/command.rs"]
mod command;

use command::{object, parallax, text};
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A state folder of this test alone.
struct Scene(PathBuf);

impl Scene {
    fn new(name: &str) -> Scene {
        let place = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("breaker-{name}"));
        let _ = std::fs::remove_dir_all(&place);
        Scene(place)
    }

    /// A demo has live mode, so its state is that of live trading.
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = parallax(arguments);
        command
            .env("STATE_DIR", &self.0)
            .env("MISSES_IN_A_ROW_MAX", "1")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    fn breaker(&self, arguments: &[&str]) -> Command {
        let mut command = self.command(&["breaker"]);
        command.args(arguments).env("TRADING_MODE", "live");
        command
    }
}

/// Ends a run as a user does, and waits for it.
fn terminate(child: &mut Child) -> i32 {
    let pid = child.id().to_string();
    let sent = Command::new("kill").args(["-TERM", &pid]).status();
    assert!(sent.expect("kill is there").success());
    child.wait().expect("it ends").code().expect("by itself")
}

#[test]
fn a_breaker_outlives_its_run_until_a_human_resets_it() {
    let scene = Scene::new("restart");
    // An order on Extended, whose leg leads, is refused every second: the first pair misses.
    let flags = [
        "--faults",
        "reject:extended@5~1",
        "--lighter-tier",
        "premium-140",
    ];
    let mut first = scene.command(&["demo", "--seconds", "120"]);
    let mut first = first.args(flags).spawn().expect("the binary was built");
    let mut lines = BufReader::new(first.stderr.take().expect("piped")).lines();
    let opened = lines.any(|line| {
        let line = line.expect("text");
        line.contains("the circuit breaker misses is open (1 in a row)")
    });
    assert!(opened, "no entry missed");
    std::thread::spawn(move || lines.for_each(drop));
    assert_eq!(terminate(&mut first), 1, "not all is well");

    let shown = scene.breaker(&["--json"]).output().expect("it runs");
    assert_eq!(shown.status.code(), Some(1));
    assert_eq!(object(&shown)["open"]["misses"]["why"], "1 in a row");
    assert!(text(&shown.stderr).contains("misses      OPEN since 20"));

    let second = scene.command(&["demo", "--seconds", "24", "--json"]);
    let second = { second }.output().expect("it runs");
    let (report, said) = (object(&second), text(&second.stderr));
    assert!(
        said.contains("NO PAIR WILL BE ENTERED: the circuit breaker misses"),
        "{said}"
    );
    assert_eq!(report["opportunities"]["taken"], 0, "{report}");
    assert_eq!(second.status.code(), Some(1));

    // A reset says why, or is none.
    for arguments in [&["reset"][..], &["reset", "--reason", " "]] {
        let refused = scene.breaker(arguments).output().expect("it runs");
        assert_eq!(refused.status.code(), Some(2), "{arguments:?}");
    }
    assert_eq!(
        scene.breaker(&[]).output().expect("it runs").status.code(),
        Some(1)
    );

    // The run that goes on meanwhile hears of the reset.
    let mut third = scene
        .command(&["demo", "--seconds", "120"])
        .spawn()
        .expect("it runs");
    let mut lines = BufReader::new(third.stderr.take().expect("piped")).lines();
    let mut says = |words: &str| {
        let until = Instant::now() + Duration::from_secs(60);
        let mut lines = lines.by_ref().map(|line| line.expect("text"));
        lines.any(|line| line.contains(words) || Instant::now() > until)
    };
    assert!(says("NO PAIR WILL BE ENTERED"));
    let reset = scene.breaker(&["reset", "--json", "--reason", "the fault was mine"]);
    let reset = { reset }.output().expect("it runs");
    assert_eq!(reset.status.code(), Some(0), "{}", text(&reset.stderr));
    assert_eq!(object(&reset)["reset"][0], "misses");
    assert!(says(
        "the circuit breakers were reset: pairs are entered again"
    ));
    terminate(&mut third);

    // Both the opening and the reset stay on record.
    let shown = scene.breaker(&["--json"]).output().expect("it runs");
    let log = object(&shown)["log"].clone();
    assert_eq!(log[0]["event"], "opened");
    assert_eq!(log[1]["event"], "reset");
    assert_eq!(log[1]["why"], "the fault was mine");
}

#[test]
fn what_was_kept_and_cannot_be_read_ends_the_start() {
    let scene = Scene::new("broken");
    std::fs::create_dir_all(&scene.0).expect("the target folder can be written");
    use std::os::unix::fs::PermissionsExt;
    let private = std::fs::Permissions::from_mode(0o700);
    std::fs::set_permissions(&scene.0, private).expect("it is ours");
    std::fs::write(scene.0.join("breaker.json"), "{\"version\":1,").expect("there is room");
    for arguments in [&["demo", "--seconds", "5"][..], &["breaker"]] {
        let mut command = scene.command(arguments);
        let output = command
            .env("TRADING_MODE", "live")
            .output()
            .expect("it runs");
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(
            said.contains("breaker.json is no JSON, so nobody knows"),
            "{said}"
        );
    }
}
