//! The venues' official Python libraries, unmodified, against `parallax sim --plain`.
//!
//! The judge is not ours: if these libraries can follow the books, place, fill and cancel orders,
//! and are refused with the venue's own codes, then the simulated venues speak as the real ones do.

#[path = "rig/simulation.rs"]
mod simulation;

use simulation::Simulation;
use std::path::PathBuf;
use std::process::Command;

/// Runs a script of `tests/official/` against fresh venues and shows what it printed when it fails.
fn judge(script: &str) {
    let simulation = Simulation::start(&["--plain", "--plant", "off"]);
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    let description = folder.join(format!("{script}.json"));
    std::fs::write(&description, &simulation.description)
        .expect("the target folder can be written");
    let python = std::env::var("PARALLAX_PYTHON").unwrap_or_else(|_| "python3".into());
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/official")
        .join(script);
    let output = Command::new(python)
        .arg(path)
        .arg(&description)
        .output()
        .expect("python3 is installed, or PARALLAX_PYTHON names it");
    let (out, err) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    println!("{out}");
    assert!(output.status.success(), "{script} failed:\n{out}\n{err}");
    assert!(
        out.contains(" passed, 0 failed"),
        "{script} did not count its checks:\n{out}"
    );
}

#[test]
#[ignore = "needs the venues' Python libraries: pip install -r tests/official/requirements.txt"]
fn extended_library_trades_on_the_simulated_venue() {
    judge("extended.py");
}

#[test]
#[ignore = "needs the venues' Python libraries: pip install -r tests/official/requirements.txt"]
fn lighter_library_trades_on_the_simulated_venue() {
    judge("lighter.py");
}
