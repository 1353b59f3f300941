//! Rows of the history: what each thing heard writes into which table.
//!
//! Promises: one statement a row, prepared once; what is told twice is written once where it has a
//! number of its own. Refuses: clocks; every entry brings its time.

use super::{Begun, Entry, Seen, What};
use crate::market::InstrumentId;
use crate::market::book::Side;
use crate::market::event::{Event, PairSummary};
use crate::market::order::{Force, OrderId, OrderState};
use crate::market::units::{Nanos, Notional, SECOND};
use crate::record::names;
use rusqlite::{Connection, Params, params};

/// How long balances are kept, both venues' some 17,000 a day: all else is the owner's account of
/// what was traded, and is kept for good. Larger: longer curves, and 1.5 MB more a day.
const BALANCES_KEPT_NS: i64 = (30 * 86_400 * SECOND) as i64;

/// One run's place in the file.
pub(super) struct Rows<'a> {
    pub(super) connection: &'a Connection,
    pub(super) run: i64,
    /// Names of the markets by instrument.
    pub(super) markets: &'a [String],
}

/// Opens a run; tells its number in the file.
pub(super) fn begin(connection: &Connection, begun: &Begun) -> rusqlite::Result<i64> {
    connection.execute(
        "INSERT INTO runs (number, mode, version, markets, started_ns) VALUES (?1, ?2, ?3, ?4, ?5)",
        params![
            begun.number,
            begun.mode,
            env!("CARGO_PKG_VERSION"),
            begun.markets.join(","),
            ns(begun.started),
        ],
    )?;
    Ok(connection.last_insert_rowid())
}

impl Rows<'_> {
    /// Closes the run: when, and how many entries were lost on the way here.
    pub(super) fn end(&self, now: Nanos, lost: u64) -> rusqlite::Result<()> {
        self.write(
            "UPDATE runs SET ended_ns = ?2, lost = ?3 WHERE run = ?1",
            params![self.run, ns(now), lost as i64],
        )
    }

    /// Writes one entry.
    pub(super) fn add(&self, entry: &Entry) -> rusqlite::Result<()> {
        let t = entry.t;
        match &entry.what {
            What::Event(event) => self.event(t, event),
            What::Seen(seen) => self.seen(t, seen),
            What::Alarm(text) => self.alarm(t, text),
        }
    }

    // Long: one arm for each kind that is kept.
    fn event(&self, t: Nanos, event: &Event) -> rusqlite::Result<()> {
        let run = self.run;
        match *event {
            Event::Taken {
                pair,
                instrument,
                long,
                size,
                gross,
                net,
                t,
                ..
            } => self.write(
                "INSERT INTO pairs (run, pair, market, long, size_e9, gross_bps, net_bps, \
                 entered_ns) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT DO NOTHING",
                params![
                    run,
                    pair,
                    self.market(instrument),
                    long.name(),
                    size.0,
                    gross.to_f64(),
                    net.to_f64(),
                    ns(t),
                ],
            ),
            Event::Hedged { pair, t } => self.write(
                "UPDATE pairs SET hedged_ns = ?3 WHERE run = ?1 AND pair = ?2",
                params![run, pair, ns(t)],
            ),
            Event::Pair(pair) => self.pair(&pair),
            Event::OrderSent {
                venue,
                order,
                side,
                price,
                size,
            } => self.write(
                "INSERT INTO orders (run, id, venue, pair, side, price_e9, size_e9, sent_ns, \
                 state, changed_ns) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, 'sent', ?8) \
                 ON CONFLICT DO NOTHING",
                params![
                    run,
                    order.0 as i64,
                    venue.name(),
                    order.pair(),
                    side_name(side),
                    price.0,
                    size.0,
                    ns(t),
                ],
            ),
            Event::OrderState {
                order, state, code, ..
            } => self.state(t, order, state_name(state), code),
            Event::NotSent { order, why, .. } => self.state(t, order, names::refusal(why), 0),
            Event::Fill {
                venue,
                order,
                side,
                price,
                size,
                fee,
            } => self.write(
                "INSERT INTO fills (run, t_ns, venue, id, kind, side, price_e9, size_e9, fee_e9) \
                 VALUES (?1, ?2, ?3, ?4, 'order', ?5, ?6, ?7, ?8)",
                params![
                    run,
                    ns(t),
                    venue.name(),
                    order.0 as i64,
                    side_name(side),
                    price.0,
                    size.0,
                    fee.to_nano(),
                ],
            ),
            Event::Forced {
                venue,
                instrument,
                side,
                price,
                size,
                fee,
                why,
            } => self.write(
                "INSERT INTO fills (run, t_ns, venue, market, kind, side, price_e9, size_e9, \
                 fee_e9) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
                params![
                    run,
                    ns(t),
                    venue.name(),
                    self.market(instrument),
                    force_name(why),
                    side_name(side),
                    price.0,
                    size.0,
                    fee.to_nano(),
                ],
            ),
            Event::Funding {
                venue,
                instrument,
                amount,
            } => self.write(
                "INSERT INTO funding (run, t_ns, venue, market, amount_e9) \
                 VALUES (?1, ?2, ?3, ?4, ?5)",
                params![
                    run,
                    ns(t),
                    venue.name(),
                    self.market(instrument),
                    amount.to_nano(),
                ],
            ),
            Event::Balance {
                venue,
                equity,
                available,
            } => self.write(
                "INSERT INTO balances (run, t_ns, venue, source, equity_e9, available_e9) \
                 VALUES (?1, ?2, ?3, 'stream', ?4, ?5)",
                params![
                    run,
                    ns(t),
                    venue.name(),
                    equity.to_nano(),
                    available.to_nano()
                ],
            ),
            Event::Halt { why } => self.alarm(t, &format!("halt: {}", names::halt_cause(why))),
            // Counters only: the report and the journal have them.
            _ => Ok(()),
        }
    }

    /// A finished pair, whole: also one whose beginning was lost on the way.
    fn pair(&self, pair: &PairSummary) -> rusqlite::Result<()> {
        let parts = [
            pair.edge,
            pair.slippage,
            pair.fees,
            pair.funding,
            pair.repair,
            pair.total,
        ];
        let [edge, slippage, fees, funding, repair, total] = parts.map(Notional::to_nano);
        self.write(
            "INSERT INTO pairs (run, pair, market, long, size_e9, gross_bps, net_bps, entered_ns, \
             ended_ns, outcome, cause, edge_e9, slippage_e9, fees_e9, funding_e9, repair_e9, \
             total_e9) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, \
             ?16, ?17) ON CONFLICT DO UPDATE SET size_e9 = ?5, ended_ns = ?9, outcome = ?10, \
             cause = ?11, edge_e9 = ?12, slippage_e9 = ?13, fees_e9 = ?14, funding_e9 = ?15, \
             repair_e9 = ?16, total_e9 = ?17",
            params![
                self.run,
                pair.pair,
                self.market(pair.instrument),
                pair.long.name(),
                pair.size.0,
                pair.gross.to_f64(),
                pair.net.to_f64(),
                ns(pair.t_entry),
                ns(pair.t_end),
                names::pair_end(pair.end),
                names::exit_cause(pair.cause),
                edge,
                slippage,
                fees,
                funding,
                repair,
                total,
            ],
        )
    }

    /// What the treasury has read of an account.
    fn seen(&self, t: Nanos, seen: &Seen) -> rusqlite::Result<()> {
        let money = &seen.money;
        self.write(
            "INSERT INTO balances (run, t_ns, venue, source, equity_e9, available_e9, \
             withdrawable_e9, margin_ratio_e9, drift_e9) VALUES (?1, ?2, ?3, 'rest', ?4, ?5, ?6, \
             ?7, ?8)",
            params![
                self.run,
                ns(t),
                seen.venue.name(),
                money.equity.to_nano(),
                money.available.to_nano(),
                money.withdrawable.to_nano(),
                money.margin_ratio_e9,
                seen.drift.to_nano(),
            ],
        )?;
        // Some at a time, so that years of them hold nothing up. Freed pages are used again.
        self.write(
            "DELETE FROM balances WHERE rowid IN (SELECT rowid FROM balances WHERE venue = ?1 \
             AND t_ns < ?2 LIMIT 10000)",
            params![seen.venue.name(), ns(t).saturating_sub(BALANCES_KEPT_NS)],
        )?;
        for transfer in &seen.transfers {
            self.write(
                "INSERT INTO transfers (venue, id, kind, status, asked_ns, counted_e9) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6) \
                 ON CONFLICT DO UPDATE SET status = ?4, counted_e9 = ?6",
                params![
                    seen.venue.name(),
                    transfer.id,
                    transfer.kind,
                    transfer.status,
                    (transfer.t_ms as i64).saturating_mul(1_000_000),
                    transfer.counted.to_nano(),
                ],
            )?;
        }
        Ok(())
    }

    fn alarm(&self, t: Nanos, what: &str) -> rusqlite::Result<()> {
        self.write(
            "INSERT INTO alarms (run, t_ns, what) VALUES (?1, ?2, ?3)",
            params![self.run, ns(t), what],
        )
    }

    fn state(&self, t: Nanos, order: OrderId, state: &str, code: u32) -> rusqlite::Result<()> {
        self.write(
            "UPDATE orders SET state = ?3, code = ?4, changed_ns = ?5 WHERE run = ?1 AND id = ?2",
            params![self.run, order.0 as i64, state, code, ns(t)],
        )
    }

    fn write(&self, sql: &str, values: impl Params) -> rusqlite::Result<()> {
        self.connection
            .prepare_cached(sql)?
            .execute(values)
            .map(drop)
    }

    fn market(&self, instrument: InstrumentId) -> &str {
        self.markets
            .get(instrument.idx())
            .map_or("", String::as_str)
    }
}

/// Nanoseconds since 1970 fit until the year 2262.
fn ns(t: Nanos) -> i64 {
    t.0 as i64
}

const fn side_name(side: Side) -> &'static str {
    match side {
        Side::Bid => "buy",
        Side::Ask => "sell",
    }
}

const fn state_name(state: OrderState) -> &'static str {
    match state {
        OrderState::Sent => "sent",
        OrderState::Working => "working",
        OrderState::Filled => "filled",
        OrderState::Cancelled => "cancelled",
        OrderState::Rejected => "rejected",
        OrderState::Unknown => "unknown",
    }
}

const fn force_name(force: Force) -> &'static str {
    match force {
        Force::Liquidation => "liquidation",
        Force::Deleverage => "deleverage",
    }
}

#[cfg(test)]
mod tests {
    use super::super::schema;
    use super::*;
    use crate::market::Venue;
    use crate::venue::money::Money;

    #[test]
    fn balances_are_kept_for_their_time() {
        let mut connection = Connection::open_in_memory().unwrap();
        schema::migrate(&mut connection).unwrap();
        let begun = Begun {
            number: 1,
            mode: "live",
            markets: Vec::new(),
            started: Nanos(0),
        };
        let rows = Rows {
            run: begin(&connection, &begun).unwrap(),
            connection: &connection,
            markets: &[],
        };
        let look = |venue: Venue, days: u64| {
            let seen = Seen {
                venue,
                money: Money::default(),
                drift: Notional::ZERO,
                transfers: Vec::new(),
            };
            let what = What::Seen(Box::new(seen));
            let t = Nanos(days * 86_400 * SECOND);
            rows.add(&Entry { t, what }).unwrap();
            let count = "SELECT count(*) FROM balances";
            connection
                .query_row(count, [], |row| row.get::<_, i64>(0))
                .unwrap()
        };
        assert_eq!(look(Venue::Extended, 1), 1);
        assert_eq!(look(Venue::Lighter, 1), 2);
        assert_eq!(look(Venue::Extended, 31), 3);
        // A day later the first is too old; the other venue's is left until it is looked at.
        assert_eq!(look(Venue::Extended, 32), 3);
        assert_eq!(look(Venue::Lighter, 90), 3);
    }
}
