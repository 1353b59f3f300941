//! `parallax report --compare A B`: latency by step of two runs side by side, and the ratio.
//!
//! A run is a folder of `.hgrm` files, one such file, or what `--json` printed. Promises: the same
//! figures whichever it is; a file that can't be read is named with its reason; a step that one
//! side lacks is shown and not judged. Refuses: to say which run is better where counts differ.

use super::hgrm::{self, Figures};
use super::report::duration;
use crate::market::event::STEPS;
use serde_json::{Value, json};
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

/// Two runs, step by step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comparison {
    names: [String; 2],
    steps: Vec<(String, [Option<Figures>; 2])>,
}

/// Why two runs can't be compared. Names the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CompareError {
    /// The system would not give it. Its reason.
    Unreadable(PathBuf, String),
    /// A folder without `.hgrm` files.
    NoFiles(PathBuf),
    /// A `.hgrm` file that is none.
    Malformed(PathBuf, hgrm::HgrmFault),
    /// Neither a `.hgrm` file nor a report with `latency_ns`.
    NoReport(PathBuf),
    /// The two have no step in common.
    NothingShared,
}

impl fmt::Display for CompareError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CompareError::Unreadable(path, why) => write!(f, "{}: {why}", path.display()),
            CompareError::NoFiles(path) => write!(
                f,
                "{}: no .hgrm file is in it; `demo --hgrm {0}` writes them",
                path.display()
            ),
            CompareError::Malformed(path, fault) => {
                write!(f, "{}: {fault}: not an .hgrm file", path.display())
            }
            CompareError::NoReport(path) => write!(
                f,
                "{}: neither a folder of .hgrm files nor a report as --json prints it",
                path.display()
            ),
            CompareError::NothingShared => f.write_str("the two runs have no step in common"),
        }
    }
}

impl std::error::Error for CompareError {}

impl Comparison {
    /// Reads both.
    pub fn of(first: &Path, second: &Path) -> Result<Comparison, CompareError> {
        let runs = [load(first)?, load(second)?];
        let names = [first, second].map(|path| path.display().to_string());
        Comparison::between(names, runs)
    }

    fn between(
        names: [String; 2],
        [first, second]: [Vec<(String, Figures)>; 2],
    ) -> Result<Comparison, CompareError> {
        let find = |run: &[(String, Figures)], name: &str| {
            let found = run.iter().find(|(step, _)| step == name);
            found.map(|(_, figures)| *figures)
        };
        let mut order: Vec<String> = STEPS.iter().map(|step| step.name().to_owned()).collect();
        for (name, _) in first.iter().chain(&second) {
            if !order.contains(name) {
                order.push(name.clone());
            }
        }
        let both = |name: String| {
            let both = [find(&first, &name), find(&second, &name)];
            (name, both)
        };
        let rows = order.into_iter().map(both);
        let rows = rows.filter(|(_, both)| both.iter().any(Option::is_some));
        let steps: Vec<_> = rows.collect();
        match steps
            .iter()
            .any(|(_, both)| both.iter().all(Option::is_some))
        {
            true => Ok(Comparison { names, steps }),
            false => Err(CompareError::NothingShared),
        }
    }

    /// One object: both runs by step, and the ratio of the second to the first.
    pub fn json(&self) -> Value {
        let side = |figures: &Option<Figures>| {
            figures.map(|figures| {
                json!({
                    "count": figures.count,
                    "p50": figures.p50,
                    "p99": figures.p99,
                    "p999": figures.p999,
                    "max": figures.max,
                })
            })
        };
        let step = |(name, both): &(String, [Option<Figures>; 2])| {
            let ratio = |pick: fn(&Figures) -> u64| ratio(both, pick);
            let row = json!({
                "a": side(&both[0]),
                "b": side(&both[1]),
                "ratio": {
                    "p50": ratio(|it| it.p50),
                    "p99": ratio(|it| it.p99),
                    "p999": ratio(|it| it.p999),
                    "max": ratio(|it| it.max),
                },
            });
            (name.clone(), row)
        };
        let steps: serde_json::Map<String, Value> = self.steps.iter().map(step).collect();
        json!({"a": self.names[0], "b": self.names[1], "unit": "ns", "steps": steps})
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b] = &self.names;
        writeln!(f, "A: {a}\nB: {b}\n")?;
        write!(f, "{:<13}{:>9}{:>9}", "latency", "count A", "count B")?;
        for figure in ["p50", "p99", "max"] {
            let heads = [" A", " B"].map(|side| format!("{figure}{side}"));
            write!(f, "{:>10}{:>10}{:>7}", heads[0], heads[1], "B/A")?;
        }
        writeln!(f)?;
        for (name, both) in &self.steps {
            write!(f, "{name:<13}")?;
            for side in both {
                match side {
                    Some(figures) => write!(f, "{:>9}", figures.count)?,
                    None => write!(f, "{:>9}", "-")?,
                }
            }
            let picks: [fn(&Figures) -> u64; 3] = [|it| it.p50, |it| it.p99, |it| it.max];
            for pick in picks {
                for side in both {
                    let text = side.map_or("-".to_owned(), |figures| duration(pick(&figures)));
                    write!(f, "{text:>10}")?;
                }
                match ratio(both, pick) {
                    Some(ratio) => write!(f, "{ratio:>7.2}")?,
                    None => write!(f, "{:>7}", "-")?,
                }
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

/// The second to the first; `None` when one is missing.
fn ratio(both: &[Option<Figures>; 2], pick: fn(&Figures) -> u64) -> Option<f64> {
    let [first, second] = (*both).map(|side| side.map(|figures| pick(&figures)));
    Some(second? as f64 / first?.max(1) as f64)
}

/// Every step of one run.
fn load(path: &Path) -> Result<Vec<(String, Figures)>, CompareError> {
    let unreadable =
        |error: std::io::Error| CompareError::Unreadable(path.to_owned(), error.to_string());
    if !path.is_dir() {
        let bytes = fs::read(path).map_err(unreadable)?;
        let text = String::from_utf8_lossy(&bytes);
        return match is_hgrm(path) {
            true => Ok(vec![one(path, &text)?]),
            false => report(&text).ok_or_else(|| CompareError::NoReport(path.to_owned())),
        };
    }
    let mut steps = Vec::new();
    for entry in fs::read_dir(path).map_err(unreadable)? {
        let file = entry.map_err(unreadable)?.path();
        if is_hgrm(&file) {
            let text = fs::read_to_string(&file)
                .map_err(|error| CompareError::Unreadable(file.clone(), error.to_string()))?;
            steps.push(one(&file, &text)?);
        }
    }
    steps.sort_by(|(a, _), (b, _)| a.cmp(b));
    match steps.is_empty() {
        true => Err(CompareError::NoFiles(path.to_owned())),
        false => Ok(steps),
    }
}

fn is_hgrm(path: &Path) -> bool {
    path.extension()
        .is_some_and(|ending| ending == hgrm::ENDING)
}

/// A file is named after its step.
fn one(path: &Path, text: &str) -> Result<(String, Figures), CompareError> {
    let name = path.file_stem().unwrap_or_default().to_string_lossy();
    let malformed = |fault| CompareError::Malformed(path.to_owned(), fault);
    Ok((name.into_owned(), hgrm::read(text).map_err(malformed)?))
}

/// The object on the last line that is one; steps never taken are left out.
fn report(text: &str) -> Option<Vec<(String, Figures)>> {
    let last = text.lines().rev().find(|line| !line.trim().is_empty())?;
    let value = serde_json::from_str::<Value>(last).or_else(|_| serde_json::from_str(text));
    let value = value.ok()?;
    let steps = value["latency_ns"].as_object()?;
    let figures = |row: &Value| {
        let figure = |name: &str| row[name].as_u64();
        Some(Figures {
            count: figure("count").filter(|count| *count > 0)?,
            p50: figure("p50")?,
            p99: figure("p99")?,
            p999: figure("p999")?,
            max: figure("max")?,
        })
    };
    let taken = steps
        .iter()
        .filter_map(|(name, row)| Some((name.clone(), figures(row)?)));
    Some(taken.collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::tests::{facts, run};
    use crate::record::{Totals, json};

    fn figures(p50: u64) -> Figures {
        Figures {
            count: 10,
            p50,
            p99: 3 * p50,
            p999: 4 * p50,
            max: 5 * p50,
        }
    }

    fn named(steps: &[(&str, u64)]) -> Vec<(String, Figures)> {
        let named = steps
            .iter()
            .map(|(name, p50)| ((*name).to_owned(), figures(*p50)));
        named.collect()
    }

    fn names() -> [String; 2] {
        ["before", "after"].map(str::to_owned)
    }

    #[test]
    fn both_sides_and_the_ratio() {
        let a = named(&[("sign", 1_000), ("recv", 200), ("old", 7)]);
        let b = named(&[("recv", 100), ("sign", 1_500), ("link", 50)]);
        let both = Comparison::between(names(), [a, b]).unwrap();
        let text = both.to_string();
        let rows: Vec<&str> = text.lines().skip(4).collect();
        assert_eq!(rows.len(), 4, "{text}");
        assert!(
            rows[0].starts_with("recv ") && rows[0].contains(" 0.50"),
            "{text}"
        );
        assert!(
            rows[1].starts_with("link ") && rows[1].contains(" - "),
            "{text}"
        );
        assert!(
            rows[2].starts_with("sign ") && rows[2].contains("1.50 us"),
            "{text}"
        );
        assert!(rows[3].starts_with("old "), "{text}");
        let json = both.json();
        assert_eq!(json["steps"]["sign"]["ratio"]["p99"], 1.5);
        assert_eq!(json["steps"]["link"]["a"], Value::Null);
        assert_eq!(json["steps"]["link"]["ratio"]["p50"], Value::Null);
        let apart = [named(&[("recv", 1)]), named(&[("sign", 1)])];
        let nothing = Comparison::between(names(), apart);
        assert_eq!(nothing, Err(CompareError::NothingShared));
    }

    #[test]
    fn a_folder_and_a_report_of_one_run_are_equal() {
        let folder = std::env::temp_dir().join(format!("parallax-compare-{}", std::process::id()));
        let (totals, facts) = run();
        hgrm::save(&totals, &folder).unwrap();
        let file = folder.join("report.json");
        fs::write(&file, format!("{}\n", json::report(&totals, &facts))).unwrap();
        let both = Comparison::of(&folder, &file).unwrap();
        assert!(both.steps.len() > 5);
        for (name, [a, b]) in &both.steps {
            assert_eq!(a, b, "{name}");
        }
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn what_is_no_run_is_named() {
        let folder = std::env::temp_dir().join(format!("parallax-no-run-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let good = folder.join("good.json");
        fs::write(&good, json::report(&run().0, &facts()).to_string()).unwrap();
        let said = |path: &Path| Comparison::of(&good, path).unwrap_err().to_string();
        assert!(said(&folder).contains("no .hgrm file is in it"));
        assert!(said(&folder.join("missing")).contains("missing: "));
        let bad = folder.join("scan.hgrm");
        fs::write(&bad, "\n\nnot a row\n").unwrap();
        assert!(said(&bad).contains("line 3 is no row"));
        let other = folder.join("other.json");
        for text in ["{}", "", "[1]", "words"] {
            fs::write(&other, text).unwrap();
            assert!(said(&other).contains("neither a folder"), "{text}");
        }
        fs::write(&other, json::report(&Totals::new(), &facts()).to_string()).unwrap();
        assert!(said(&other).contains("no step in common"));
        fs::remove_dir_all(&folder).unwrap();
    }
}
