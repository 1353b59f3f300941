//! One line that is rewritten while a run is on, for a person at a terminal.
//!
//! Promises: writes nothing at all when nobody watches (standard error is not a terminal), and
//! leaves no half line behind. Refuses: reading clocks; the caller says how long it has been.

use crate::record::Totals;
use crate::record::report::duration;
use std::io::{Result, Write};

/// The line and what it needs to show a rate.
pub struct Progress<W: Write> {
    out: W,
    is_terminal: bool,
    is_shown: bool,
    /// What the profit and loss is called: on paper it says so.
    pnl: &'static str,
    frames_before: u64,
    elapsed_before_ns: u64,
}

impl<W: Write> Progress<W> {
    /// For standard error, with `is_terminal` as the system says, of a run on paper or not.
    pub fn new(out: W, is_terminal: bool, is_paper: bool) -> Progress<W> {
        Progress {
            out,
            is_terminal,
            is_shown: false,
            pnl: if is_paper { "paper pnl" } else { "pnl" },
            frames_before: 0,
            elapsed_before_ns: 0,
        }
    }

    /// Rewrites the line. Call it about twice a second; the rate is that since the last call.
    pub fn show(&mut self, totals: &Totals, elapsed_ns: u64) -> Result<()> {
        if !self.is_terminal {
            return Ok(());
        }
        let frames: u64 = totals.frames.iter().flatten().sum();
        let passed_ns = elapsed_ns.saturating_sub(self.elapsed_before_ns).max(1);
        let rate = (frames - self.frames_before) as f64 * 1e9 / passed_ns as f64;
        self.frames_before = frames;
        self.elapsed_before_ns = elapsed_ns;
        self.is_shown = true;
        write!(
            self.out,
            "{CLEAR}{:>8}  pairs {}  {} {} USD  {rate:.0} messages/s  best edge {:.2} bps",
            duration(elapsed_ns),
            totals.opened(),
            self.pnl,
            totals.money.total,
            totals.edge_best.to_f64()
        )?;
        self.out.flush()
    }

    /// Takes the line away, so that a report can follow.
    pub fn finish(&mut self) -> Result<()> {
        if !std::mem::take(&mut self.is_shown) {
            return Ok(());
        }
        write!(self.out, "{CLEAR}")?;
        self.out.flush()
    }
}

/// To the start of the line, and erase it (ECMA-48, EL).
const CLEAR: &str = "\r\x1b[K";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::tests::run;

    #[test]
    fn one_line_rewritten_and_taken_away() {
        let (totals, _) = run();
        let mut progress = Progress::new(Vec::new(), true, false);
        progress.show(&totals, 2_000_000_000).unwrap();
        progress.show(&totals, 2_500_000_000).unwrap();
        progress.finish().unwrap();
        progress.finish().unwrap();
        let text = String::from_utf8(progress.out).unwrap();
        let lines: Vec<_> = text.split(CLEAR).collect();
        assert_eq!(
            lines,
            [
                "",
                "  2.00 s  pairs 4  pnl 0.140 USD  1 messages/s  best edge 9.50 bps",
                "  2.50 s  pairs 4  pnl 0.140 USD  0 messages/s  best edge 9.50 bps",
                ""
            ]
        );
    }

    #[test]
    fn paper_is_called_paper() {
        let (totals, _) = run();
        let mut progress = Progress::new(Vec::new(), true, true);
        progress.show(&totals, 2_000_000_000).unwrap();
        let text = String::from_utf8(progress.out).unwrap();
        assert!(text.contains("paper pnl 0.140 USD"), "{text}");
    }

    #[test]
    fn silent_when_nobody_watches() {
        let (totals, _) = run();
        let mut progress = Progress::new(Vec::new(), false, false);
        progress.show(&totals, 1).unwrap();
        progress.finish().unwrap();
        assert!(progress.out.is_empty());
    }
}
