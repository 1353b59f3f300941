//! Latency by step as `.hgrm` files: the percentile distribution that HdrHistogram tools plot.
//!
//! One file a step, named after it: rows of value, percentile, count up to there and
//! 1/(1-percentile), then mean, deviation, longest and count. Values are nanoseconds. Every step
//! halves what is left to 100 % in five rows, as HdrHistogram does, and the percentiles that are
//! printed elsewhere have rows of their own, so that a file says them exactly.
//!
//! Promises: what is written is read back with the same figures; a malformed file is a fault with
//! its line. Refuses: steps that were never taken have no file.
//!
//! Source: HdrHistogram's `outputPercentileDistribution` (github.com/HdrHistogram/HdrHistogram).

use super::Totals;
use super::durations::Durations;
use crate::market::event::STEPS;
use std::fmt::{self, Write as _};
use std::path::Path;
use std::{fs, io};

/// What a file says of its step, in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Durations counted.
    pub count: u64,
    /// Half were shorter.
    pub p50: u64,
    /// 99 in 100 were shorter.
    pub p99: u64,
    /// 999 in 1,000 were shorter.
    pub p999: u64,
    /// The longest.
    pub max: u64,
}

/// Why a text is no such file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HgrmFault {
    /// This line, from 1, is neither a row nor a remark.
    Line(usize),
    /// It has no row.
    Empty,
}

impl fmt::Display for HgrmFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HgrmFault::Line(number) => {
                write!(f, "line {number} is no row of value, percentile and count")
            }
            HgrmFault::Empty => f.write_str("no row of value, percentile and count is in it"),
        }
    }
}

impl std::error::Error for HgrmFault {}

/// Writes a file for each step that was taken, and removes those that an earlier run has left of
/// others. How many it wrote.
pub fn save(totals: &Totals, folder: &Path) -> io::Result<usize> {
    fs::create_dir_all(folder)?;
    let mut written = 0;
    for step in STEPS {
        let path = folder.join(step.name()).with_extension(ENDING);
        match text(totals.step(step)) {
            Some(text) => {
                fs::write(path, text)?;
                written += 1;
            }
            None => match fs::remove_file(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            },
        }
    }
    Ok(written)
}

/// The file's text; `None` when nothing was counted.
pub fn text(durations: &Durations) -> Option<String> {
    let figures = durations.quantiles()?;
    let histogram = durations.histogram();
    let mut text = format!(
        "{:>12} {:>14} {:>10} {:>14}\n\n",
        "Value", "Percentile", "TotalCount", "1/(1-Percentile)"
    );
    // Writing to a text never fails.
    let mut row = |value: u64, quantile: f64, count: u64| {
        let value = value as f64;
        let _ = match quantile {
            1.0.. => writeln!(text, "{value:>12.3} {quantile:>2.12} {count:>10}"),
            _ => {
                let inverse = 1.0 / (1.0 - quantile);
                writeln!(
                    text,
                    "{value:>12.3} {quantile:>2.12} {count:>10} {inverse:>14.2}"
                )
            }
        };
    };
    for quantile in quantiles(figures.count) {
        let value = histogram.value_at_quantile(quantile).min(figures.max);
        let count = match value >= figures.max {
            true => figures.count,
            false => histogram.count_between(0, value),
        };
        row(value, quantile, count);
    }
    row(figures.max, 1.0, figures.count);
    let (mean, deviation) = (histogram.mean(), histogram.stdev());
    let (max, count) = (figures.max as f64, figures.count);
    let _ = write!(
        text,
        "#[Mean    = {mean:>12.3}, StdDeviation   = {deviation:>12.3}]\n\
         #[Max     = {max:>12.3}, Total count    = {count:>12}]\n\
         #[Buckets = {:>12}, SubBuckets     = {:>12}]\n",
        histogram.buckets(),
        1 << (histogram.sigfig() as u32 * 10 / 3 + 1)
    );
    Some(text)
}

/// Reads such a file, also one of other tools. A percentile that has no row of its own is that of
/// the next row above it.
pub fn read(text: &str) -> Result<Figures, HgrmFault> {
    let mut rows: Vec<(f64, f64, u64)> = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let is_remark = line.starts_with('#') || line.trim().is_empty();
        if is_remark || line.trim_start().starts_with("Value") {
            continue;
        }
        rows.push(row(line).ok_or(HgrmFault::Line(at + 1))?);
    }
    let last = rows.last().ok_or(HgrmFault::Empty)?;
    let at = |quantile: f64| {
        let row = rows.iter().find(|row| row.1 >= quantile);
        row.unwrap_or(last).0.round() as u64
    };
    Ok(Figures {
        count: last.2,
        p50: at(0.5),
        p99: at(0.99),
        p999: at(0.999),
        max: at(1.0),
    })
}

/// Value, percentile and count; the fourth column says nothing new.
fn row(line: &str) -> Option<(f64, f64, u64)> {
    let mut words = line.split_whitespace();
    let value: f64 = words.next()?.parse().ok()?;
    let quantile: f64 = words.next()?.parse().ok()?;
    let count = words.next()?.parse().ok()?;
    let is_sound = value.is_finite() && value >= 0.0 && (0.0..=1.0).contains(&quantile);
    is_sound.then_some((value, quantile, count))
}

/// From 0 towards 1, five rows for each halving of what is left, until a row would stand for less
/// than one duration.
fn quantiles(count: u64) -> Vec<f64> {
    let mut all = PRINTED.to_vec();
    let mut left = 1.0;
    while left * count as f64 >= 0.5 {
        let step = left / (2 * ROWS_PER_HALF) as f64;
        all.extend((0..ROWS_PER_HALF).map(|row| 1.0 - left + step * row as f64));
        left /= 2.0;
    }
    all.sort_by(f64::total_cmp);
    all.dedup_by(|a, b| (*a - *b).abs() < 1e-12);
    all
}

/// Ending of the files' names.
pub const ENDING: &str = "hgrm";
/// As HdrHistogram's tools have it by default.
const ROWS_PER_HALF: u32 = 5;
/// Percentiles that the report prints.
const PRINTED: [f64; 4] = [0.5, 0.9, 0.99, 0.999];

#[cfg(test)]
mod tests {
    use super::*;

    fn durations(values: impl Iterator<Item = u64>) -> Durations {
        let mut durations = Durations::new();
        values.for_each(|ns| durations.add(ns));
        durations
    }

    #[test]
    fn what_is_written_is_read_back() {
        for list in [
            vec![17],
            vec![5, 5, 5, 5_000_000],
            (0..20_000).map(|i| (i * i) % 99_991 + 1).collect(),
        ] {
            let durations = durations(list.iter().copied());
            let figures = durations.quantiles().unwrap();
            let read = read(&text(&durations).unwrap()).unwrap();
            let wanted = Figures {
                count: figures.count,
                p50: figures.p50,
                p99: figures.p99,
                p999: figures.p999,
                max: figures.max,
            };
            assert_eq!(read, wanted);
        }
        assert_eq!(text(&Durations::new()), None);
    }

    #[test]
    fn rows_are_in_order_and_end_at_all() {
        let text = text(&durations(1..=1_000)).unwrap();
        assert!(text.starts_with("       Value     Percentile TotalCount 1/(1-Percentile)\n\n"));
        let rows: Vec<_> = text.lines().filter_map(row).collect();
        let rises = rows
            .windows(2)
            .all(|pair| pair[0].0 <= pair[1].0 && pair[0].1 < pair[1].1 && pair[0].2 <= pair[1].2);
        assert!(rises, "{text}");
        assert_eq!(rows.first().map(|row| row.1), Some(0.0));
        assert_eq!(rows.last(), Some(&(1_000.0, 1.0, 1_000)));
        assert!(text.contains("#[Max     =     1000.000, Total count    =         1000]"));
        assert!((40..=70).contains(&rows.len()), "{}", rows.len());
    }

    #[test]
    fn what_is_no_such_file_is_refused() {
        for (text, fault) in [
            ("", HgrmFault::Empty),
            ("       Value Percentile\n\n#[Mean = 1]\n", HgrmFault::Empty),
            ("1.0 0.5 3 2.0\n{\"a\":1}\n", HgrmFault::Line(2)),
            ("1.0 1.5 3\n", HgrmFault::Line(1)),
            ("NaN 0.5 3\n", HgrmFault::Line(1)),
            ("1.0 0.5 -3\n", HgrmFault::Line(1)),
        ] {
            assert_eq!(read(text), Err(fault), "{text:?}");
        }
    }

    #[test]
    fn other_tools_rows_are_rounded_up() {
        let text = "Value Percentile TotalCount 1/(1-Percentile)\n\n  1.5 0.0 1 1.00\n \
                    20.0 0.95 95 20.00\n 30.25 0.9921875 99 128.00\n 40.0 1.0 100 inf\n\
                    #[Mean = 2]\n";
        let figures = read(text).unwrap();
        assert_eq!((figures.p50, figures.p99, figures.p999), (20, 30, 40));
        assert_eq!((figures.max, figures.count), (40, 100));
    }

    #[test]
    fn steps_never_taken_leave_no_file() {
        let folder = std::env::temp_dir().join(format!("parallax-hgrm-{}", std::process::id()));
        let (totals, _) = crate::record::tests::run();
        let taken = STEPS.iter().filter(|step| totals.step(**step).count() > 0);
        let taken = taken.count();
        assert_eq!(save(&totals, &folder).unwrap(), taken);
        assert_eq!(fs::read_dir(&folder).unwrap().count(), taken);
        assert_eq!(save(&Totals::new(), &folder).unwrap(), 0);
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 0);
        fs::remove_dir(&folder).unwrap();
    }
}
