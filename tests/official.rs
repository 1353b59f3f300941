//! The venues' official Python libraries, unmodified, against `parallax sim --plain`.
//!
//! The judge is not ours: if these libraries can follow the books, place, fill and cancel orders,
//! and are refused with the venue's own codes, then the simulated venues speak as the real ones do.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

/// `parallax sim --plain` on free ports; stopped when dropped.
struct Simulation {
    child: Child,
    description: PathBuf,
}

impl Simulation {
    fn start(name: &str) -> Simulation {
        let mut child = Command::new(env!("CARGO_BIN_EXE_parallax"))
            .args(["sim", "--plain", "--plant", "off"])
            .args([
                "--listen-extended",
                "127.0.0.1:0",
                "--listen-lighter",
                "127.0.0.1:0",
            ])
            .stdout(Stdio::piped())
            .spawn()
            .expect("the binary was built for this test");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("standard output is piped");
        BufReader::new(stdout)
            .read_line(&mut line)
            .expect("the first line is the description");
        let description = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.json"));
        std::fs::write(&description, line).expect("the target folder can be written");
        Simulation { child, description }
    }

    /// Runs a script of `tests/official/` and shows what it printed when it fails.
    fn judge(&self, script: &str) {
        let python = std::env::var("PARALLAX_PYTHON").unwrap_or_else(|_| "python3".into());
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
            .join("tests/official")
            .join(script);
        let output = Command::new(python)
            .arg(path)
            .arg(&self.description)
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
}

impl Drop for Simulation {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
#[ignore = "needs the venues' Python libraries: pip install -r tests/official/requirements.txt"]
fn extended_library_trades_on_the_simulated_venue() {
    Simulation::start("official-extended").judge("extended.py");
}

#[test]
#[ignore = "needs the venues' Python libraries: pip install -r tests/official/requirements.txt"]
fn lighter_library_trades_on_the_simulated_venue() {
    Simulation::start("official-lighter").judge("lighter.py");
}
