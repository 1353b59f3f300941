//! How an account's equity has moved of late, transfers apart: what a forecast stands on.
//!
//! Promises: reads only, a file that is in use included. Refuses: to make much of little: less than
//! an hour of history is none.

use super::{FILE, HistoryError};
use crate::market::Venue;
use crate::market::units::{Nanos, Notional, SECOND};
use crate::state::Folder;
use rusqlite::{Connection, OpenFlags, OptionalExtension, params};

const DAY_NS: u64 = 86_400 * SECOND;
/// Least span between the first look and the last. Smaller: noise is taken for a trend.
const SPAN_NS_MIN: i64 = (3_600 * SECOND) as i64;

/// By how much a venue's equity moved in a day, transfers apart, by the looks of the last day;
/// `None` where there are too few. USD.
pub fn trend(folder: &Folder, venue: Venue, now: Nanos) -> Result<Option<Notional>, HistoryError> {
    let path = folder.path(FILE);
    if !path.exists() {
        return Ok(None);
    }
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let since = now.0.saturating_sub(DAY_NS) as i64;
    let look = |order: &str| {
        let sql = format!(
            "SELECT t_ns, equity_e9 FROM balances WHERE venue = ?1 AND source = 'rest' AND \
             t_ns >= ?2 ORDER BY t_ns {order} LIMIT 1"
        );
        let row = connection.query_row(&sql, params![venue.name(), since], |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?))
        });
        row.optional()
    };
    let (Some(first), Some(last)) = (look("ASC")?, look("DESC")?) else {
        return Ok(None);
    };
    let span = last.0 - first.0;
    if span < SPAN_NS_MIN {
        return Ok(None);
    }
    let transferred: i64 = connection.query_row(
        "SELECT coalesce(sum(counted_e9), 0) FROM transfers WHERE venue = ?1 AND asked_ns > ?2 \
         AND asked_ns <= ?3",
        params![venue.name(), first.0, last.0],
        |row| row.get(0),
    )?;
    let moved = i128::from(last.1) - i128::from(first.1) - i128::from(transferred);
    let nano = moved * i128::from(DAY_NS) / i128::from(span);
    Ok(i64::try_from(nano).ok().map(Notional::from_nano))
}

#[cfg(test)]
mod tests {
    use super::super::schema;
    use super::*;

    #[test]
    fn a_transfer_is_no_trend_and_an_hour_is_the_least() {
        let path = std::env::temp_dir().join(format!("parallax-trend-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        let folder = Folder::open(&path).unwrap();
        let now = Nanos(10 * DAY_NS);
        assert_eq!(trend(&folder, Venue::Lighter, now).unwrap(), None);
        let mut connection = Connection::open(folder.path(FILE)).unwrap();
        schema::migrate(&mut connection).unwrap();
        let run = "INSERT INTO runs (number, mode, version, markets, started_ns) \
                   VALUES (7, 'live', '0', 'BTC', 1)";
        connection.execute(run, []).unwrap();
        let look = |hours_ago: u64, usd: i64| {
            let t = now.0 - hours_ago * 3_600 * SECOND;
            let sql = "INSERT INTO balances (run, t_ns, venue, source, equity_e9, available_e9) \
                       VALUES (1, ?1, 'lighter', 'rest', ?2, 0)";
            let usd_e9 = usd * 1_000_000_000;
            connection.execute(sql, params![t as i64, usd_e9]).unwrap();
        };
        look(30, 5_000);
        look(12, 1_000);
        assert_eq!(trend(&folder, Venue::Lighter, now).unwrap(), None);
        look(0, 1_110);
        let per_day = |usd| Some(Notional::from_usd(usd));
        assert_eq!(trend(&folder, Venue::Lighter, now).unwrap(), per_day(220));
        let sql = "INSERT INTO transfers VALUES ('lighter', 'x', 'deposit', 'completed', ?1, ?2)";
        let asked = (now.0 - 3_600 * SECOND) as i64;
        connection
            .execute(sql, params![asked, 100_000_000_000_i64])
            .unwrap();
        assert_eq!(trend(&folder, Venue::Lighter, now).unwrap(), per_day(20));
        assert_eq!(trend(&folder, Venue::Extended, now).unwrap(), None);
        drop(std::fs::remove_dir_all(&path));
    }
}
