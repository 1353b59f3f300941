//! Best quotes of two venues, about one row a second, into a tape: days of basis in a small file.
//!
//! A folder holds `quotes_lighter_btc*.csv` and `quotes_extended_btc*.csv` (gzipped or plain), each
//! with the header `timestamp,ask_amount,ask_price,bid_price,bid_amount`; times are
//! `YYYY-MM-DD HH:MM:SS[.fraction]`, UTC. Every row becomes a whole book of one level a side.
//! What such a tape can show: the basis, its median and its excursions, how often an edge stands.
//! What it can't: anything shorter than its rows, or deeper than the touch.
//! Refuses: rows out of order, off the grid, or no numbers; the error names file and line. Rows
//! whose bid is not below the ask say nothing and are left out.

use super::codec::{Frame, Kind, Writer};
use super::convert::{opened, symbol_grid};
use super::{Stream, TapeError};
use crate::market::Venue;
use crate::market::calendar::epoch_s;
use crate::market::units::{Price, SECOND, Size};
use std::io::BufRead;
use std::path::Path;

const HEADER: &str = "timestamp,ask_amount,ask_price,bid_price,bid_amount";

/// Which venue plays a file of quotes, and of what it is; `None` where the name is of none.
pub fn naming(name: &str) -> Option<(Venue, String)> {
    let mut words = name.split(['_', '.', '-']);
    if words.next()? != "quotes" {
        return None;
    }
    let venue = match words.next()? {
        "lighter" => Venue::Lighter,
        "extended" => Venue::Extended,
        _ => return None,
    };
    let base = words.next()?;
    symbol_grid(base)?;
    Some((venue, base.to_uppercase()))
}

/// One file of quotes, read.
pub struct Quotes {
    venue: Venue,
    base: String,
    tick: Price,
    lot: Size,
    rows: Vec<Row>,
}

/// One row: time since 1970, and both touches as (tick, lots).
struct Row {
    t_ns: u64,
    bid: (i64, i64),
    ask: (i64, i64),
}

impl Quotes {
    /// Reads a file whose name [`naming`] knows.
    pub fn read(path: &Path, (venue, base): (Venue, String)) -> Result<Quotes, TapeError> {
        let (tick, lot) = symbol_grid(&base.to_lowercase()).expect("the name was of a known base");
        let mut quotes = Quotes {
            venue,
            base,
            tick,
            lot,
            rows: Vec::new(),
        };
        let name = path.display().to_string();
        let unreadable = |error| TapeError::Unreadable(path.into(), error);
        for (at, line) in opened(path)?.lines().enumerate() {
            let line = line.map_err(unreadable)?;
            let fault = |why| TapeError::Capture(name.clone(), at + 1, why);
            if at == 0 {
                if line.trim_end() != HEADER {
                    return Err(fault("the header is not that of quotes"));
                }
                continue;
            }
            let row = quotes.row(line.trim_end()).map_err(fault)?;
            if quotes.rows.last().is_some_and(|last| last.t_ns > row.t_ns) {
                return Err(fault("time goes back"));
            }
            let is_quote = row.bid.0 < row.ask.0 && row.bid.1 > 0 && row.ask.1 > 0;
            if is_quote {
                quotes.rows.push(row);
            }
        }
        match quotes.rows.is_empty() {
            true => Err(TapeError::Capture(name, 0, "no row is a quote")),
            false => Ok(quotes),
        }
    }

    fn row(&self, line: &str) -> Result<Row, &'static str> {
        let mut cells = line.split(',');
        let mut cell = || cells.next().ok_or("a cell is missing");
        let t_ns = time_ns(cell()?).ok_or("the time is not YYYY-MM-DD HH:MM:SS")?;
        let [ask_size, ask, bid, bid_size] = [cell()?, cell()?, cell()?, cell()?];
        Ok(Row {
            t_ns,
            bid: self.level(bid, bid_size)?,
            ask: self.level(ask, ask_size)?,
        })
    }

    fn level(&self, price: &str, size: &str) -> Result<(i64, i64), &'static str> {
        let price = Price::parse(price.as_bytes()).map_err(|_| "a price is no decimal")?;
        let size = Size::parse(size.as_bytes()).map_err(|_| "a size is no decimal")?;
        if price.0 <= 0 || price.0 % self.tick.0 != 0 || size.0 < 0 {
            return Err("a price is off the grid");
        }
        Ok((price.0 / self.tick.0, size.0 / self.lot.0))
    }

    /// Who plays it.
    pub fn venue(&self) -> Venue {
        self.venue
    }

    /// When the first quote stood.
    pub fn first_ns(&self) -> u64 {
        self.rows[0].t_ns
    }

    /// The stream from `zero_ns` on: what stood then, then every change.
    pub fn encode(&self, zero_ns: u64) -> Stream {
        let mut writer = Writer::default();
        let first = self.rows.partition_point(|row| row.t_ns <= zero_ns);
        for row in &self.rows[first.saturating_sub(1)..] {
            writer.write(&Frame {
                t_ns: row.t_ns.saturating_sub(zero_ns),
                kind: Kind::Snapshot,
                bids: vec![row.bid],
                asks: vec![row.ask],
            });
        }
        Stream {
            venue: self.venue,
            base: self.base.clone(),
            tick: self.tick,
            lot: self.lot,
            frames: writer.bytes,
        }
    }
}

/// `YYYY-MM-DD HH:MM:SS[.fraction]` as nanoseconds since 1970.
fn time_ns(text: &str) -> Option<u64> {
    let (date, clock) = text.split_once([' ', 'T'])?;
    let mut parts = date.splitn(3, '-').map(str::parse::<u16>);
    let mut part = || parts.next()?.ok();
    let date = [part()?, part()?, part()?];
    let mut hands = clock.trim_end_matches('Z').splitn(3, ':');
    let (hour, minute) = (hands.next()?.parse().ok()?, hands.next()?.parse().ok()?);
    let seconds = Size::parse(hands.next()?.as_bytes()).ok()?;
    let whole = epoch_s(date, [hour, minute, 0])?;
    let nanos = u64::try_from(seconds.0).ok()?;
    whole.checked_mul(SECOND)?.checked_add(nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_those_of_the_calendar() {
        for (text, seconds) in [
            ("1970-01-01 00:00:00", Some(0)),
            ("2000-02-29 12:00:00", Some(951_825_600)),
            ("2000-03-01 00:00:00", Some(951_868_800)),
            ("2026-01-01 00:00:17", Some(1_767_225_617)),
            ("2026-01-01T00:00:17Z", Some(1_767_225_617)),
            ("2026-13-01 00:00:17", None),
            ("2026-01-01", None),
            ("now", None),
        ] {
            assert_eq!(
                time_ns(text).map(|ns| ns / 1_000_000_000),
                seconds,
                "{text}"
            );
        }
        assert_eq!(time_ns("1970-01-01 00:00:01.25"), Some(1_250_000_000));
    }

    #[test]
    fn rows_become_whole_books() {
        let folder = std::env::temp_dir().join(format!("parallax-quotes-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let write = |name: &str, rows: &str| {
            std::fs::write(folder.join(name), format!("{HEADER}\n{rows}")).unwrap();
        };
        let row = |second: u64, bid: &str, ask: &str| {
            format!("2026-01-01 00:00:{second:02},1.5,{ask},{bid},0.25\n")
        };
        // The crossed row says nothing; what stood at the later start is the first book.
        let lighter = [
            row(1, "100.0", "100.1"),
            row(2, "101.0", "100.1"),
            row(9, "99.9", "100.0"),
        ];
        write("quotes_lighter_btc.csv", &lighter.concat());
        let extended = [row(4, "100.2", "100.4"), row(8, "100.3", "100.4")];
        write("quotes_extended_btc.csv", &extended.concat());
        let out = folder.join("out.tape");
        super::super::convert::convert(std::slice::from_ref(&folder), &out).unwrap();
        let tape = super::super::Tape::load(&out).unwrap();
        let stream = tape.stream(Venue::Lighter, crate::market::InstrumentId(0));
        let (mut cursor, mut frame, mut seen) = (stream.cursor(), Frame::default(), Vec::new());
        while cursor.read(&stream.frames, &mut frame).unwrap() {
            assert_eq!(frame.kind, Kind::Snapshot);
            seen.push((frame.t_ns, frame.bids.clone(), frame.asks.clone()));
        }
        let book = |t_s: u64, bid, ask| {
            (
                t_s * 1_000_000_000,
                vec![(bid, 25_000)],
                vec![(ask, 150_000)],
            )
        };
        assert_eq!(seen, [book(0, 1_000, 1_001), book(5, 999, 1_000)]);
        write("quotes_lighter_btc.csv", &row(3, "100.05", "100.1"));
        let error =
            super::super::convert::convert(std::slice::from_ref(&folder), &out).unwrap_err();
        assert!(
            matches!(error, TapeError::Capture(_, 2, "a price is off the grid")),
            "{error}"
        );
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn names_tell_venue_and_base() {
        let lighter = Some((Venue::Lighter, "BTC".to_owned()));
        assert_eq!(naming("quotes_lighter_btc_20260101.csv.gz"), lighter);
        assert!(naming("quotes_extended_eth.csv").is_some());
        for other in [
            "quotes_binance_btc.csv",
            "quotes_lighter_doge.csv",
            "btc.csv",
        ] {
            assert_eq!(naming(other), None, "{other}");
        }
    }
}
