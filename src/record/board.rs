//! The board of opportunities as it was read last: whole, best first.
//!
//! Promises: what is shown is one board, not parts of two; a row that was lost on the way spoils
//! its board only. Refuses: to rank.

use crate::market::Name;
use crate::market::ranking::Ranked;
use crate::market::units::{Bps, SCALE};
use serde_json::{Value, json};
use std::io::{Result, Write};

/// Rows shown to people.
const SHOWN: usize = 10;

/// The last whole board, and the next in the making.
#[derive(Default)]
pub struct LastBoard {
    whole: Vec<Ranked>,
    coming: Vec<Ranked>,
}

impl LastBoard {
    /// One row more.
    pub fn add(&mut self, row: Ranked) {
        if usize::from(row.rank) != self.coming.len() + 1 {
            self.coming.clear();
        }
        if usize::from(row.rank) == self.coming.len() + 1 {
            self.coming.push(row);
        }
        if row.rank == row.of && self.coming.len() == usize::from(row.of) {
            std::mem::swap(&mut self.whole, &mut self.coming);
            self.coming.clear();
        }
    }

    /// Best first; empty before the first board was whole.
    pub fn rows(&self) -> &[Ranked] {
        &self.whole
    }

    /// The best rows for people.
    pub fn write(&self, markets: &[Name], out: &mut dyn Write) -> Result<()> {
        if self.whole.is_empty() {
            return Ok(());
        }
        let (rows, all) = (self.whole.len().min(SHOWN), self.whole.len());
        writeln!(out, "\nthe board at the end, {rows} of {all} directions:")?;
        writeln!(
            out,
            "  {:<10}{:<10}{:>9}{:>9}{:>8}{:>9}{:>9}  now",
            "market", "buy on", "edge bps", "net bps", "fill %", "then bps", "USD"
        )?;
        for row in &self.whole[..rows] {
            let (fill, then) = match row.expected {
                Some(expected) => (
                    format!("{:.0}", f64::from(expected.fill_e4) / 100.0),
                    format!("{:.2}", expected.edge.to_f64()),
                ),
                None => ("-".to_owned(), "-".to_owned()),
            };
            writeln!(
                out,
                "  {:<10}{:<10}{:>9.2}{:>9.2}{fill:>8}{then:>9}{:>9}  {}",
                name(row, markets),
                row.long.name(),
                row.parts.gross.to_f64(),
                row.parts.net().to_f64(),
                row.value,
                word(row)
            )?;
        }
        Ok(())
    }

    /// All rows for programs.
    pub fn json(&self, markets: &[Name]) -> Value {
        let bps = |bps: Bps| bps.to_f64();
        let row = |row: &Ranked| {
            json!({
                "rank": row.rank,
                "market": name(row, markets),
                "long": row.long.name(),
                "size": row.size.0 as f64 / SCALE as f64,
                "value_usd": row.value.to_usd_f64(),
                "edge_bps": {
                    "gross": bps(row.parts.gross), "fees": bps(row.parts.fees),
                    "closing": bps(row.parts.closing), "slippage": bps(row.parts.slippage),
                    "rounding": bps(row.parts.rounding), "funding": bps(row.parts.funding),
                    "uncertainty": bps(row.parts.uncertainty), "net": bps(row.parts.net()),
                },
                "at_arrival": row.expected.map(|expected| json!({
                    "fill": f64::from(expected.fill_e4) / 10_000.0,
                    "edge_bps": bps(expected.edge),
                    "error_bps": bps(expected.error),
                    "edges": expected.samples,
                })),
                "bound": row.bound.map(|reason| reason.name()),
                "refused": row.refused.map(|reason| reason.name()),
            })
        };
        Value::Array(self.whole.iter().map(row).collect())
    }
}

fn name<'a>(row: &Ranked, markets: &'a [Name]) -> &'a str {
    markets.get(row.instrument.idx()).map_or("?", Name::as_str)
}

/// What would become of it now.
fn word(row: &Ranked) -> String {
    match (row.refused, row.bound) {
        (Some(reason), _) => format!("refused: {}", reason.name()),
        (None, Some(bound)) => format!("enter {}, bound by {}", row.size, bound.name()),
        (None, None) => format!("enter {}, all that the books hold", row.size),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::market::edge::Parts;
    use crate::market::event::Reason;
    use crate::market::score::Expected;
    use crate::market::units::{Nanos, Notional, Size};
    use crate::market::{InstrumentId, Venue};

    fn row(rank: u16, of: u16, instrument: u16) -> Ranked {
        Ranked {
            rank,
            of,
            t: Nanos(1),
            instrument: InstrumentId(instrument),
            long: Venue::Extended,
            parts: Parts {
                gross: Bps::whole(9),
                fees: Bps::whole(5),
                ..Parts::default()
            },
            expected: None,
            size: Size::ZERO,
            value: Notional::ZERO,
            bound: None,
            refused: Some(Reason::Arrival),
        }
    }

    #[test]
    fn only_whole_boards_are_shown() {
        let mut board = LastBoard::default();
        let rows = |board: &LastBoard| {
            let of = |row: &Ranked| row.instrument.0;
            board.rows().iter().map(of).collect::<Vec<_>>()
        };
        for (rank, instrument, shown) in [
            // The end of a board whose beginning was lost.
            (2, 7, vec![]),
            (1, 3, vec![]),
            (2, 4, vec![3, 4]),
            // Its end is lost; the next one counts.
            (1, 8, vec![3, 4]),
            (1, 5, vec![3, 4]),
            (2, 6, vec![5, 6]),
        ] {
            board.add(row(rank, 2, instrument));
            assert_eq!(rows(&board), shown);
        }
    }

    #[test]
    fn rows_say_what_would_become_of_them() {
        let mut board = LastBoard::default();
        let expected = Expected {
            lead: None,
            fill_e4: 6_200,
            edge: Bps::from_milli(3_500),
            error: Bps::ZERO,
            samples: 40,
        };
        board.add(Ranked {
            expected: Some(expected),
            size: Size(SCALE / 10),
            value: Notional::from_usd(2),
            bound: Some(Reason::MaxPosition),
            refused: None,
            ..row(1, 2, 0)
        });
        board.add(row(2, 2, 1));
        let names = ["BTC", "ETH"].map(|name| Name::new(name).unwrap());
        let mut text = Vec::new();
        board.write(&names, &mut text).unwrap();
        let text = String::from_utf8(text).unwrap();
        let lines: Vec<Vec<&str>> = text
            .lines()
            .map(|l| l.split_whitespace().collect())
            .collect();
        let [first, second] = [
            "BTC extended 9.00 4.00 62 3.50 2.000 enter 0.1, bound by max_position",
            "ETH extended 9.00 4.00 - - 0.000 refused: arrival",
        ]
        .map(|line| line.split_whitespace().collect::<Vec<_>>());
        assert_eq!(lines[3..], [first, second]);
        let json = board.json(&names);
        assert_eq!(json[0]["at_arrival"]["fill"], 0.62);
        assert_eq!(json[1]["refused"], "arrival");
        assert_eq!(json[1]["edge_bps"]["net"], 4.0);
    }
}
