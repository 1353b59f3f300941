//! The binary as a user starts it, and what it printed.

use serde_json::Value;
use std::process::{Command, Output};

/// The binary with these arguments.
pub fn parallax(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_parallax"));
    // An empty folder: no `.env` of the developer's may leak in. No home: no test may leave a
    // circuit breaker open for the next one, or for the developer.
    command
        .args(arguments)
        .env_remove("XDG_STATE_HOME")
        .env_remove("HOME")
        .current_dir(env!("CARGO_TARGET_TMPDIR"));
    command
}

/// What it printed, as text.
pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The JSON object on the last line of standard output.
#[allow(dead_code, reason = "not every test reads the report")]
pub fn object(output: &Output) -> Value {
    let out = text(&output.stdout);
    let last = out.lines().last().unwrap_or_default();
    serde_json::from_str(last)
        .unwrap_or_else(|e| panic!("{e} in {last:?}\nstderr:\n{}", text(&output.stderr)))
}
