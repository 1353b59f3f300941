//! `parallax selftest`: proves on this host that hashes and signatures equal the official ones.
//!
//! Runs vector files: those built in, or every file of a folder in the same form. A file's kind is
//! its name without the ending; each of its cases passes or fails on its own, with the first
//! difference named. Besides, every message met is signed by us twice, with a nonce point made
//! ahead and carried over a link as in a run, and in full; both must verify. These are kinds of
//! their own. Promises: a kind it does not know is skipped and named, never passed; a file that
//! can't be read, or has no cases, fails. Refuses a folder without files.

mod case;
mod extended;
mod info;
mod lighter;
mod onboarding;
mod primitives;
mod signing;

pub use signing::{prove_extended, prove_lighter};

use case::Case;
use serde_json::{Value, json};
use signing::Bench;
use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// The official vectors that ship, by kind.
const BUILT_IN: [(&str, &str); 11] = [
    (
        "extended_orders",
        include_str!("../../tests/data/extended/extended_orders.json"),
    ),
    (
        "extended_limit_orders",
        include_str!("../../tests/data/extended/extended_limit_orders.json"),
    ),
    (
        "extended_transfers",
        include_str!("../../tests/data/extended/extended_transfers.json"),
    ),
    (
        "extended_withdrawals",
        include_str!("../../tests/data/extended/extended_withdrawals.json"),
    ),
    (
        "extended_onboarding",
        include_str!("../../tests/data/extended/extended_onboarding.json"),
    ),
    (
        "lighter_tx",
        include_str!("../../tests/data/lighter/lighter_tx.json"),
    ),
    (
        "lighter_changepubkey",
        include_str!("../../tests/data/lighter/lighter_changepubkey.json"),
    ),
    (
        "lighter_auth_tokens",
        include_str!("../../tests/data/lighter/lighter_auth_tokens.json"),
    ),
    (
        "lighter_poseidon2",
        include_str!("../../tests/data/lighter/lighter_poseidon2.json"),
    ),
    (
        "lighter_curve",
        include_str!("../../tests/data/lighter/lighter_curve.json"),
    ),
    (
        "lighter_schnorr",
        include_str!("../../tests/data/lighter/lighter_schnorr.json"),
    ),
];

/// What a case says: nothing when all is equal, else the first difference.
type Verdict = Result<(), String>;
/// The judge of one kind.
type Judge = fn(&Case<'_>, &mut Bench) -> Verdict;

/// Who judges which kind.
fn judge_of(kind: &str) -> Option<Judge> {
    Some(match kind {
        "extended_orders" => extended::order,
        "extended_limit_orders" => extended::limit_order,
        "extended_transfers" => extended::transfer,
        "extended_withdrawals" => extended::withdrawal,
        "extended_onboarding" => onboarding::case,
        "lighter_tx" => lighter::transaction,
        "lighter_changepubkey" => lighter::with_l1_signature,
        "lighter_auth_tokens" => lighter::token,
        "lighter_poseidon2" => primitives::poseidon2,
        "lighter_curve" => primitives::curve,
        "lighter_schnorr" => primitives::schnorr,
        _ => return None,
    })
}

/// Cases of one kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Equal in everything.
    pub passed: u64,
    /// Different, or unreadable.
    pub failed: u64,
    /// Nobody here knows how to judge them.
    pub skipped: u64,
}

/// What became of every case.
#[derive(Debug, Default)]
pub struct Results {
    /// By kind.
    pub kinds: BTreeMap<String, Tally>,
    /// The first faults, each with its file, its case and what differed. At most [`FAULTS_MAX`].
    pub faults: Vec<String>,
}

/// Faults kept in words; all are counted. A broken build fails thousands alike.
pub const FAULTS_MAX: usize = 20;

/// Why nothing could be tested. The fault of the folder that was given.
#[derive(Debug)]
pub enum SelftestError {
    /// It can't be listed.
    Folder(PathBuf, io::Error),
    /// It holds no vector file.
    Empty(PathBuf),
}

impl fmt::Display for SelftestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SelftestError::Folder(path, why) => {
                write!(f, "--vectors {}: can't be listed: {why}", path.display())
            }
            SelftestError::Empty(path) => write!(
                f,
                "--vectors {}: holds no .json or .jsonl file; leave the flag out to run the \
                 vectors that are built in",
                path.display()
            ),
        }
    }
}

impl std::error::Error for SelftestError {}

/// Runs the vectors that are built in, or all files of a folder.
pub fn run(folder: Option<&Path>) -> Result<Results, SelftestError> {
    let mut results = Results::default();
    let mut bench = Bench::new();
    match folder {
        None => {
            for (kind, text) in BUILT_IN {
                results.take_text(kind, text, &mut bench);
            }
        }
        Some(folder) => {
            for path in files(folder)? {
                results.take_file(&path, &mut bench);
            }
        }
    }
    for (kind, verdict) in bench.finish() {
        results.count(kind, verdict);
    }
    Ok(results)
}

/// Vector files of a folder, by name.
fn files(folder: &Path) -> Result<Vec<PathBuf>, SelftestError> {
    let fault = |why| SelftestError::Folder(folder.to_path_buf(), why);
    let entries = std::fs::read_dir(folder).map_err(fault)?;
    let paths: io::Result<Vec<PathBuf>> = entries.map(|entry| Ok(entry?.path())).collect();
    let is_vectors = |path: &PathBuf| {
        let ending = path.extension().and_then(|ending| ending.to_str());
        matches!(ending, Some("json" | "jsonl")) && path.is_file()
    };
    let mut paths: Vec<PathBuf> = paths
        .map_err(fault)?
        .into_iter()
        .filter(is_vectors)
        .collect();
    paths.sort();
    if paths.is_empty() {
        return Err(SelftestError::Empty(folder.to_path_buf()));
    }
    Ok(paths)
}

impl Results {
    /// All kinds together.
    pub fn total(&self) -> Tally {
        let mut total = Tally::default();
        for tally in self.kinds.values() {
            total.passed += tally.passed;
            total.failed += tally.failed;
            total.skipped += tally.skipped;
        }
        total
    }

    /// Something was tested, and nothing failed.
    pub fn is_clean(&self) -> bool {
        let Tally { passed, failed, .. } = self.total();
        passed > 0 && failed == 0
    }

    /// As the object that `--json` prints.
    pub fn to_json(&self) -> Value {
        let kinds: serde_json::Map<String, Value> = self
            .kinds
            .iter()
            .map(|(kind, tally)| {
                let Tally {
                    passed,
                    failed,
                    skipped,
                } = tally;
                let counts = json!({"passed": passed, "failed": failed, "skipped": skipped});
                (kind.clone(), counts)
            })
            .collect();
        let Tally { passed, failed, .. } = self.total();
        json!({"kinds": kinds, "passed": passed, "failed": failed})
    }

    fn take_file(&mut self, path: &Path, bench: &mut Bench) {
        let kind = path.file_stem().and_then(|stem| stem.to_str());
        let kind = kind.unwrap_or("(name is not UTF-8)").to_owned();
        match std::fs::read_to_string(path) {
            Ok(text) => self.take_text(&kind, &text, bench),
            Err(why) => self.count(&kind, Err(format!("can't be read: {why}"))),
        }
    }

    /// Judges one file.
    fn take_text(&mut self, kind: &str, text: &str, bench: &mut Bench) {
        let Some(judge) = judge_of(kind) else {
            self.tally(kind).skipped += cases_len(text);
            return;
        };
        let root: Value = match serde_json::from_str(text) {
            Ok(root) => root,
            Err(why) => return self.count(kind, Err(format!("is no JSON: {why}"))),
        };
        let lists = [&root["cases"], &root["rejections"]];
        let cases: Vec<&Value> = lists
            .iter()
            .filter_map(|list| list.as_array())
            .flatten()
            .collect();
        if cases.is_empty() {
            return self.count(kind, Err("has no cases".to_owned()));
        }
        for (at, case) in cases.into_iter().enumerate() {
            let verdict = judge(&Case::new(case), bench);
            self.count(kind, verdict.map_err(|why| format!("case {at}: {why}")));
        }
    }

    fn count(&mut self, kind: &str, verdict: Verdict) {
        let Err(why) = verdict else {
            self.tally(kind).passed += 1;
            return;
        };
        self.tally(kind).failed += 1;
        if self.faults.len() < FAULTS_MAX {
            self.faults.push(format!("{kind}: {why}"));
        }
    }

    fn tally(&mut self, kind: &str) -> &mut Tally {
        self.kinds.entry(kind.to_owned()).or_default()
    }
}

impl fmt::Display for Results {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:<28}{:>8}{:>8}{:>9}",
            "kind", "passed", "failed", "skipped"
        )?;
        let (name, total) = ("total".to_owned(), self.total());
        for (kind, tally) in self.kinds.iter().chain([(&name, &total)]) {
            let Tally {
                passed,
                failed,
                skipped,
            } = tally;
            writeln!(f, "{kind:<28}{passed:>8}{failed:>8}{skipped:>9}")?;
        }
        for fault in &self.faults {
            writeln!(f, "failed: {fault}")?;
        }
        for (kind, tally) in self.kinds.iter().filter(|(_, tally)| tally.skipped > 0) {
            writeln!(
                f,
                "skipped: {kind}: no judge for this kind ({} cases)",
                tally.skipped
            )?;
        }
        Ok(())
    }
}

/// Cases of a file that nobody judges: its list, its lines, or the file itself.
fn cases_len(text: &str) -> u64 {
    let root: Option<Value> = serde_json::from_str(text).ok();
    let list = root
        .as_ref()
        .map(|root| root["cases"].as_array().map_or(1, Vec::len));
    list.unwrap_or_else(|| text.lines().filter(|line| !line.trim().is_empty()).count()) as u64
}

#[cfg(test)]
mod tests;
