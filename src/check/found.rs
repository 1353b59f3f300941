//! What the venues' part of `check` found, for people and for programs.
//!
//! Promises: what arms a live run is told only where nothing is wrong.

use serde_json::{Value, json};
use std::fmt;

/// What was found.
#[derive(Debug)]
pub struct Found {
    /// In the order it was asked.
    pub rows: Vec<Row>,
    pub(super) fingerprint: String,
}

/// One thing that was asked.
#[derive(Debug)]
pub struct Row {
    /// What it is about.
    pub about: &'static str,
    /// What is.
    pub is: String,
    /// What is wrong with that, and what to do; `None`: nothing.
    pub fix: Option<String>,
}

impl Found {
    /// Nothing is wrong.
    pub fn is_good(&self) -> bool {
        self.rows.iter().all(|row| row.fix.is_none())
    }

    /// What arms a live run of these accounts, limits and endpoints.
    pub fn acknowledgement(&self) -> Option<&str> {
        self.is_good().then_some(&*self.fingerprint)
    }

    /// For programs.
    pub fn json(&self) -> Value {
        let row = |row: &Row| {
            let is_ok = row.fix.is_none();
            json!({"item": row.about, "ok": is_ok, "why": row.is, "fix": row.fix})
        };
        json!({
            "venues": self.rows.iter().map(row).collect::<Vec<_>>(),
            "live_ack": self.acknowledgement(),
        })
    }

    pub(super) fn good(&mut self, about: &'static str, is: String) {
        let fix = None;
        self.rows.push(Row { about, is, fix });
    }

    pub(super) fn bad(&mut self, about: &'static str, is: String, fix: &str) {
        let fix = Some(fix.to_owned());
        self.rows.push(Row { about, is, fix });
    }

    pub(super) fn judge(&mut self, about: &'static str, is_good: bool, is: String, fix: &str) {
        match is_good {
            true => self.good(about, is),
            false => self.bad(about, is, fix),
        }
    }
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for row in &self.rows {
            match &row.fix {
                None => writeln!(f, "ok   {}: {}", row.about, row.is)?,
                Some(fix) => writeln!(f, "BAD  {}: {}\n     fix: {fix}", row.about, row.is)?,
            }
        }
        match self.acknowledgement() {
            Some(ack) => writeln!(
                f,
                "These accounts, limits and endpoints can trade. To arm them:\nLIVE_ACK={ack}"
            ),
            None => writeln!(f, "Not armed: mend what is BAD, then check again."),
        }
    }
}
