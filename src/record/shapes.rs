//! The shape of every step's durations, drawn: one row a step, a column for each half doubling.
//!
//! Percentiles hide a second hump (a sleeping core, a neighbour on it); a shape shows it, and rows
//! under one scale show where the time goes. Promises: whatever was counted is seen, however rare;
//! the highest column of a row is its commonest duration. Refuses: to compare heights of two rows.

use super::Totals;
use super::report::duration;
use crate::market::event::STEPS;
use std::io::{Result, Write};

/// Writes the rows under a scale; nothing when nothing was counted.
pub(super) fn write(totals: &Totals, out: &mut dyn Write) -> Result<()> {
    let rows = STEPS.map(|step| {
        (
            step.name(),
            columns(|from, to| totals.step(step).between(from, to)),
        )
    });
    let used = |at: usize| rows.iter().any(|(_, counts)| counts[at] > 0);
    let Some(first) = (0..COLUMNS).find(|at| used(*at)) else {
        return Ok(());
    };
    let last = (0..COLUMNS).rfind(|at| used(*at)).unwrap_or(first);
    // The scale begins at a mark.
    let first = first / COLUMNS_PER_MARK * COLUMNS_PER_MARK;
    let marks = (first..=last).step_by(COLUMNS_PER_MARK);
    let marks = marks.map(|at| format!("{:<COLUMNS_PER_MARK$}", duration(low(at))));
    let marks: String = marks.collect();
    writeln!(out, "\n{:<14}{}", "shape, from", marks.trim_end())?;
    for (name, counts) in &rows {
        let most = counts.iter().max().copied().unwrap_or(0);
        if most > 0 {
            let shape: String = counts[first..=last]
                .iter()
                .map(|count| bar(*count, most))
                .collect();
            writeln!(out, "{name:<14}{}", shape.trim_end())?;
        }
    }
    Ok(())
}

/// How many durations stand in each column; what is below the first or above the last stands there.
fn columns(between: impl Fn(u64, u64) -> u64) -> [u64; COLUMNS] {
    std::array::from_fn(|at| {
        let from = if at == 0 { 0 } else { low(at) };
        let to = if at + 1 == COLUMNS {
            u64::MAX
        } else {
            low(at + 1) - 1
        };
        between(from, to)
    })
}

/// Shortest duration of a column, nanoseconds: a power of two, or one and a half of it.
fn low(column: usize) -> u64 {
    let doubled = LOWEST_NS << (column / 2);
    doubled + doubled / 2 * (column as u64 % 2)
}

/// Rounded up: what was counted shows.
fn bar(count: u64, most: u64) -> char {
    const HEIGHTS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    HEIGHTS[(count * 8).div_ceil(most) as usize]
}

/// Below this all is one column.
const LOWEST_NS: u64 = 16;
/// Up to 34 s; what is longer stands in the last.
const COLUMNS: usize = 62;
/// Four doublings.
const COLUMNS_PER_MARK: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::market::event::{Event, Step};

    #[test]
    fn columns_join_without_gap() {
        assert_eq!([low(0), low(1), low(2), low(3)], [16, 24, 32, 48]);
        assert!((1..COLUMNS).all(|at| low(at) > low(at - 1)));
        let all = columns(|from, to| u64::from((from..=to).contains(&48)));
        assert_eq!(all.iter().sum::<u64>(), 1);
        assert_eq!(all[3], 1);
    }

    #[test]
    fn a_row_has_its_humps_and_its_rare_one() {
        let mut totals = Totals::new();
        let mut add = |ns, times| {
            let step = Step::Scan;
            (0..times).for_each(|_| totals.add(&Event::Latency { step, ns }));
        };
        add(300, 800);
        add(5_000, 400);
        add(40_000_000, 1);
        let mut out = Vec::new();
        write(&totals, &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 3, "{text}");
        assert!(
            lines[1].starts_with("shape, from   256 ns  4.10 us 65.5 us"),
            "{text}"
        );
        assert!(lines[2].starts_with("scan          █"), "{text}");
        let heights: Vec<char> = lines[2].chars().skip(14).filter(|c| *c != ' ').collect();
        assert_eq!(heights, ['█', '▄', '▁']);
        let mut nothing = Vec::new();
        write(&Totals::new(), &mut nothing).unwrap();
        assert!(nothing.is_empty());
    }
}
