//! The tables of the history, and how an older file becomes one of today.
//!
//! Promises: each step is carried out once, in order, in one transaction with its number; a file of
//! a later version is refused, not guessed at. Refuses: to change a step that was ever shipped; a
//! new table is a new step.
//!
//! Units: whole numbers at 10^-9 end in `_e9` (dollars, prices, sizes), times are nanoseconds since
//! the Unix epoch and end in `_ns`. Views end in `_usd` and say the same in dollars and UTC.

use super::HistoryError;
use rusqlite::Connection;

/// The steps from an empty file to today's.
const STEPS: &[&str] = &[FIRST];

const FIRST: &str = "
CREATE TABLE runs (
    run INTEGER PRIMARY KEY,
    number INTEGER NOT NULL,
    mode TEXT NOT NULL,
    version TEXT NOT NULL,
    markets TEXT NOT NULL,
    started_ns INTEGER NOT NULL,
    ended_ns INTEGER,
    lost INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE pairs (
    run INTEGER NOT NULL REFERENCES runs,
    pair INTEGER NOT NULL,
    market TEXT NOT NULL,
    long TEXT NOT NULL,
    size_e9 INTEGER NOT NULL,
    gross_bps REAL NOT NULL,
    net_bps REAL NOT NULL,
    entered_ns INTEGER NOT NULL,
    hedged_ns INTEGER,
    ended_ns INTEGER,
    outcome TEXT,
    cause TEXT,
    edge_e9 INTEGER,
    slippage_e9 INTEGER,
    fees_e9 INTEGER,
    funding_e9 INTEGER,
    repair_e9 INTEGER,
    total_e9 INTEGER,
    PRIMARY KEY (run, pair)
);
CREATE TABLE orders (
    run INTEGER NOT NULL REFERENCES runs,
    id INTEGER NOT NULL,
    venue TEXT NOT NULL,
    pair INTEGER NOT NULL,
    side TEXT NOT NULL,
    price_e9 INTEGER NOT NULL,
    size_e9 INTEGER NOT NULL,
    sent_ns INTEGER NOT NULL,
    state TEXT NOT NULL,
    code INTEGER NOT NULL DEFAULT 0,
    changed_ns INTEGER NOT NULL,
    PRIMARY KEY (run, id)
);
CREATE TABLE fills (
    run INTEGER NOT NULL REFERENCES runs,
    t_ns INTEGER NOT NULL,
    venue TEXT NOT NULL,
    id INTEGER,
    market TEXT,
    kind TEXT NOT NULL,
    side TEXT NOT NULL,
    price_e9 INTEGER NOT NULL,
    size_e9 INTEGER NOT NULL,
    fee_e9 INTEGER NOT NULL
);
CREATE INDEX fills_by_order ON fills (run, id);
CREATE TABLE funding (
    run INTEGER NOT NULL REFERENCES runs,
    t_ns INTEGER NOT NULL,
    venue TEXT NOT NULL,
    market TEXT NOT NULL,
    amount_e9 INTEGER NOT NULL
);
CREATE TABLE transfers (
    venue TEXT NOT NULL,
    id TEXT NOT NULL,
    kind TEXT NOT NULL,
    status TEXT NOT NULL,
    asked_ns INTEGER NOT NULL,
    counted_e9 INTEGER NOT NULL,
    PRIMARY KEY (venue, id)
);
CREATE TABLE balances (
    run INTEGER NOT NULL REFERENCES runs,
    t_ns INTEGER NOT NULL,
    venue TEXT NOT NULL,
    source TEXT NOT NULL,
    equity_e9 INTEGER NOT NULL,
    available_e9 INTEGER NOT NULL,
    withdrawable_e9 INTEGER,
    margin_ratio_e9 INTEGER,
    drift_e9 INTEGER
);
CREATE INDEX balances_by_time ON balances (venue, t_ns);
CREATE TABLE alarms (
    run INTEGER NOT NULL REFERENCES runs,
    t_ns INTEGER NOT NULL,
    what TEXT NOT NULL
);
CREATE VIEW pairs_usd AS
    SELECT run, pair, market, long, size_e9 / 1e9 AS size, gross_bps, net_bps,
        datetime(entered_ns / 1000000000, 'unixepoch') AS entered,
        datetime(ended_ns / 1000000000, 'unixepoch') AS ended, outcome, cause,
        edge_e9 / 1e9 AS edge, slippage_e9 / 1e9 AS slippage, fees_e9 / 1e9 AS fees,
        funding_e9 / 1e9 AS funding, repair_e9 / 1e9 AS repair, total_e9 / 1e9 AS total
    FROM pairs;
CREATE VIEW fills_usd AS
    SELECT f.run, datetime(f.t_ns / 1000000000, 'unixepoch') AS at, f.venue, o.pair,
        coalesce(f.market, p.market) AS market, f.kind, f.side, f.price_e9 / 1e9 AS price,
        f.size_e9 / 1e9 AS size, f.fee_e9 / 1e9 AS fee
    FROM fills f
    LEFT JOIN orders o ON o.run = f.run AND o.id = f.id
    LEFT JOIN pairs p ON p.run = o.run AND p.pair = o.pair;
CREATE VIEW balances_usd AS
    SELECT run, datetime(t_ns / 1000000000, 'unixepoch') AS at, venue, source,
        equity_e9 / 1e9 AS equity, available_e9 / 1e9 AS available,
        withdrawable_e9 / 1e9 AS withdrawable, margin_ratio_e9 / 1e9 AS margin_ratio,
        drift_e9 / 1e9 AS drift
    FROM balances;
CREATE VIEW transfers_usd AS
    SELECT venue, id, kind, status, datetime(asked_ns / 1000000000, 'unixepoch') AS asked,
        counted_e9 / 1e9 AS counted
    FROM transfers;
";

/// Brings a file up to today's version.
pub(super) fn migrate(connection: &mut Connection) -> Result<(), HistoryError> {
    migrate_by(connection, STEPS)
}

fn migrate_by(connection: &mut Connection, steps: &[&str]) -> Result<(), HistoryError> {
    let version: usize =
        connection.query_row("PRAGMA user_version", [], |row| row.get::<_, u32>(0))? as usize;
    if version > steps.len() {
        return Err(HistoryError::Later(version));
    }
    for (at, step) in steps.iter().enumerate().skip(version) {
        let transaction = connection.transaction()?;
        transaction.execute_batch(step)?;
        transaction.pragma_update(None, "user_version", at as u32 + 1)?;
        transaction.commit()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND_STEP: &str = "ALTER TABLE runs ADD COLUMN colour TEXT NOT NULL DEFAULT 'grey';";

    #[test]
    fn an_older_file_is_brought_up_and_keeps_its_rows() {
        let mut connection = Connection::open_in_memory().unwrap();
        migrate(&mut connection).unwrap();
        let row = "INSERT INTO runs (number, mode, version, markets, started_ns) \
                   VALUES (7, 'live', '0', 'BTC', 1)";
        connection.execute(row, []).unwrap();
        migrate(&mut connection).unwrap();
        migrate_by(&mut connection, &[FIRST, SECOND_STEP]).unwrap();
        let found: (i64, String) = connection
            .query_row("SELECT number, colour FROM runs", [], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })
            .unwrap();
        assert_eq!(found, (7, "grey".to_owned()));
        // This program is the older one now.
        let refused = migrate(&mut connection).unwrap_err();
        assert!(matches!(refused, HistoryError::Later(2)), "{refused}");
    }

    #[test]
    fn a_step_that_fails_leaves_the_file_as_it_was() {
        let mut connection = Connection::open_in_memory().unwrap();
        let half = "CREATE TABLE one (a); CREATE TABLE one (a);";
        assert!(migrate_by(&mut connection, &[half]).is_err());
        let tables: u32 = connection
            .query_row("SELECT count(*) FROM sqlite_master", [], |row| row.get(0))
            .unwrap();
        assert_eq!(tables, 0);
        migrate(&mut connection).unwrap();
    }
}
