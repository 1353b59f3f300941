//! What is told: ratios between best rounds, and whether the run counts.

use crate::echo::Kind;
use crate::engine::Signing;
use crate::rounds::{Row, What};
use parallax::market::Venue;

/// A base slower than plain TCP by more is not the base that others have.
const BASE_OVER_RAW_MAX: f64 = 1.15;
/// In a quiet minute the floor's p99 is at most this much of its p50, in its best round.
const FLOOR_SPREAD_MAX: f64 = 2.0;

fn find(rows: &[Row], what: What) -> &Row {
    let found = rows.iter().find(|row| row.what == what);
    found.expect("every table has all rows")
}

/// Why a run does not count, if it does not.
pub fn fault(rows: &[Row]) -> Option<String> {
    let [base, raw, floor] =
        [Kind::Base, Kind::Raw, Kind::RawAck].map(|kind| find(rows, What::Echo(kind)).best());
    let over = base.0 / raw.0;
    if over > BASE_OVER_RAW_MAX {
        return Some(format!("the base is handicapped: {over:.2} of plain TCP"));
    }
    let spread = floor.1 / floor.0;
    (spread > FLOOR_SPREAD_MAX)
        .then(|| format!("the machine is noisy: the floor's p99 is {spread:.2} of its p50"))
}

/// One pace's table.
pub fn print(title: &str, rows: &[Row]) {
    let base = find(rows, What::Echo(Kind::Base)).best();
    println!("{title}: us, best of the rounds; ratios to the base");
    println!(
        "| row            |  orders | lost |    p50 |    p99 | p50 / base | p99 / base | budget |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    for row in rows {
        let (p50, p99) = row.best();
        let (half, tail) = (p50 / base.0, p99 / base.1);
        let budget = row.budget.map_or(String::new(), |most| {
            let is_met = half <= most.0 && tail <= most.1;
            let word = if is_met { "met" } else { "missed" };
            format!("{:.2}, {:.2}: {word}", most.0, most.1)
        });
        let (name, orders, lost) = (row.name, row.orders, row.lost);
        print!("| {name:<14} | {orders:>7} | {lost:>4} | {p50:>6.2} | {p99:>6.2} ");
        println!("| {half:>10.2} | {tail:>10.2} | {budget} |");
    }
}

/// What programs read.
pub fn last_line(rows: &[Row]) {
    let base = find(rows, What::Echo(Kind::Base)).best();
    let ratios = |lead, signing| {
        let (p50, p99) = find(rows, What::Engine(lead, signing)).best();
        format!("p50 {:.2} p99 {:.2}", p50 / base.0, p99 / base.1)
    };
    println!(
        "wire: lighter {} extended {} ready {} (base {:.2} us)",
        ratios(Venue::Lighter, Signing::Ahead),
        ratios(Venue::Extended, Signing::Ahead),
        ratios(Venue::Extended, Signing::Ready),
        base.0
    );
}
