//! `parallax sim` in a process of its own, stopped when dropped.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

/// Both simulated venues on free ports.
pub struct Simulation {
    /// The process.
    pub child: Child,
    /// Its first line: endpoints, keys and certificate as JSON.
    pub description: String,
}

impl Simulation {
    /// Starts it with these further flags and waits for its description.
    pub fn start(flags: &[&str]) -> Simulation {
        let mut child = Command::new(env!("CARGO_BIN_EXE_parallax"))
            .arg("sim")
            .args(["--listen-extended", "127.0.0.1:0"])
            .args(["--listen-lighter", "127.0.0.1:0"])
            .args(flags)
            .stdout(Stdio::piped())
            .spawn()
            .expect("the binary was built for this test");
        let mut description = String::new();
        let stdout = child.stdout.take().expect("standard output is piped");
        BufReader::new(stdout)
            .read_line(&mut description)
            .expect("the first line is the description");
        Simulation { child, description }
    }
}

impl Drop for Simulation {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
