//! The house rules, checked: limits, hot list, who may name whom, doors, words, settings in step.
//!
//! Each rule is also fed a bad snippet: a rule that cannot complain is no rule.

mod bad;
mod rules;
mod source;

use parallax::config::KEYS;
use source::{LineKind, Source};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

#[test]
fn src_keeps_the_rules() {
    let found: Vec<String> = sources("src").iter().flat_map(rules::all).collect();
    assert!(
        found.is_empty(),
        "{} complaints:\n{}",
        found.len(),
        found.join("\n")
    );
}

#[test]
fn tests_and_benches_keep_theirs() {
    let mut all = sources("tests");
    all.extend(sources("benches"));
    let found: Vec<String> = all.iter().flat_map(rules::loose).collect();
    assert!(
        found.is_empty(),
        "{} complaints:\n{}",
        found.len(),
        found.join("\n")
    );
}

/// Comment lines among the lines of `src` that say something and are not tests. The rule is for the
/// whole; the files that lack most are named.
#[test]
fn comment_share() {
    let mut lacking: Vec<(i64, String)> = Vec::new();
    let (mut comments, mut code) = (0, 0);
    for source in sources("src") {
        let (own_comments, own_code) = (
            source.count(LineKind::Comment),
            source.count(LineKind::Code),
        );
        comments += own_comments;
        code += own_code;
        let lacks = (own_comments + own_code) as i64 / 5 - own_comments as i64;
        lacking.push((lacks, source.path));
    }
    lacking.sort_by_key(|(lacks, _)| std::cmp::Reverse(*lacks));
    let percent = 100 * comments / (comments + code).max(1);
    let most: Vec<String> = lacking
        .iter()
        .take(25)
        .map(|(n, path)| format!("{n} {path}"))
        .collect();
    assert!(
        (20..=40).contains(&percent),
        "{percent} % of src are comments; lines lacking to 20 %:\n{}",
        most.join("\n")
    );
}

/// Test lines in `src` and `tests` (with the Python that drives the official libraries) for each
/// line of code in `src`.
#[test]
fn test_share() {
    let src = sources("src");
    let code: usize = src.iter().map(|source| source.count(LineKind::Code)).sum();
    let capabilities = sources("tests");
    let all = src.iter().chain(&capabilities);
    let rust: usize = all.map(|source| source.count(LineKind::Test)).sum();
    let tests = rust + lines_of(&root().join("tests"), "py");
    assert!(
        10 * tests >= 6 * code,
        "{tests} test lines for {code} lines of code"
    );
}

/// `.env.example` names every setting once, with its default.
#[test]
fn env_example_is_in_step() {
    let text = std::fs::read_to_string(root().join(".env.example")).unwrap();
    let found: Vec<(&str, &str)> = text
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_once('='))
        .collect();
    let names: Vec<&str> = found.iter().map(|(name, _)| *name).collect();
    for key in KEYS {
        let count = names.iter().filter(|name| **name == key.name).count();
        assert_eq!(
            count, 1,
            "{} stands {count} times in .env.example",
            key.name
        );
    }
    for (name, value) in found {
        let key = KEYS.iter().find(|key| key.name == name);
        let key = key.unwrap_or_else(|| panic!("{name} is in .env.example and not in config"));
        assert_eq!(value, key.default, "the default of {name}");
    }
}

/// A new package needs a reason in its commit, and its name here.
#[test]
fn dependencies_are_the_agreed_ones() {
    let agreed: BTreeSet<&str> =
        "alloy-rlp argon2 aws-lc-rs axum base64 chacha20poly1305 clap core_affinity \
        criterion crossbeam dotenvy fixed flate2 futures-sink getrandom goldilocks-crypto \
        hdrhistogram httparse mio nix num-bigint poseidon-hash proptest rcgen region rtrb rusqlite \
        rustix rustls secp256k1 serde serde_json sha2 sha3 signal-hook simd-json socket2 sonic-rs \
        starknet-crypto starknet-types-core thread-priority time tokio \
        tokio-rustls tungstenite ureq \
        webpki-roots zeroize"
            .split_whitespace()
            .collect();
    let text = std::fs::read_to_string(root().join("Cargo.toml")).unwrap();
    for name in dependencies(&text) {
        assert!(
            agreed.contains(name.as_str()),
            "{name} is not on the agreed list"
        );
    }
}

fn dependencies(cargo_toml: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut is_inside = false;
    for line in cargo_toml.lines() {
        if line.starts_with('[') {
            is_inside = line.trim().ends_with("dependencies]");
        } else if let Some((name, _)) = line.split_once('=').filter(|_| is_inside) {
            let name = name.trim();
            if !name.starts_with('#') && !line.starts_with(' ') {
                names.push(name.to_owned());
            }
        }
    }
    names
}

#[test]
fn dependencies_are_read() {
    let text = "[features]\na = []\n[dependencies]\nb = \"1\"\n[dev-dependencies]\nc = { x = 1 }\n";
    assert_eq!(dependencies(text), ["b", "c"]);
}

fn root() -> PathBuf {
    PathBuf::from(std::env::var("CARGO_MANIFEST_DIR").expect("cargo sets it for tests"))
}

/// Every Rust file under a folder of the project; none when there is no such folder. The rules'
/// own folder names what it bans, and is read by people.
fn sources(folder: &str) -> Vec<Source> {
    let root = root();
    let mut paths = Vec::new();
    list(&root.join(folder), "rs", &mut paths);
    paths.sort();
    let relative = |path: &PathBuf| path.strip_prefix(&root).ok()?.to_str().map(str::to_owned);
    let names = paths.iter().filter_map(relative);
    names.map(|name| Source::read(&root, &name)).collect()
}

/// Lines that are not blank in all files with this ending.
fn lines_of(folder: &Path, ending: &str) -> usize {
    let mut paths = Vec::new();
    list(folder, ending, &mut paths);
    let texts = paths
        .iter()
        .filter_map(|path| std::fs::read_to_string(path).ok());
    let count = |text: String| text.lines().filter(|line| !line.trim().is_empty()).count();
    texts.map(count).sum()
}

fn list(folder: &Path, ending: &str, paths: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return;
    };
    for entry in entries.flatten() {
        let path = entry.path();
        if path.is_dir() {
            list(&path, ending, paths);
        } else if path
            .extension()
            .is_some_and(|found| found.to_str() == Some(ending))
        {
            paths.push(path);
        }
    }
}
