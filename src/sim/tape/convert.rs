//! Captures into a tape: the recorder's own (`live`), best quotes (`quotes`), and Binance
//! combined-stream recordings of two perpetual venues.
//!
//! Of the last, a line is `<receive time, ns> <JSON>`, gzipped or plain: `depthUpdate` events
//! chained by `pu`, one REST depth answer (`lastUpdateId`), trades; `bookTicker` is left out, since
//! the depth stream says the same. USD-M files become Lighter's side, COIN-M files Extended's,
//! contracts turned into coins and floored onto the lot.
//! Source: Binance futures documentation, *How to manage a local order book correctly*.
//! Refuses: a broken chain, a snapshot that does not join it, off-grid prices.

use super::codec::{Frame, Kind, Writer};
use super::kept::Kept;
use super::quotes::{self, Quotes};
use super::{Stream, Tape, TapeError, live};
use crate::market::book::Side;
use crate::market::units::{Price, SCALE, Size};
use crate::market::{VENUES, Venue};
use flate2::read::MultiGzDecoder;
use serde::Deserialize;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

/// What was converted, for the command to print.
#[derive(Clone, Debug)]
pub struct Converted {
    /// Venue, base and bytes of each stream.
    pub streams: Vec<(Venue, String, usize)>,
    /// What is not on the tape: files of the folder that are no captures this program knows, or
    /// markets of a capture that were not whole.
    pub skipped: Vec<String>,
    /// Times a book stood still on the tape because messages were missing.
    pub breaks: u64,
    /// Length of the tape.
    pub span_ns: u64,
    /// Bytes written.
    pub bytes_len: usize,
}

/// Converts a capture of the recorder into the tape file `out`; or a folder of captures of others
/// (or those captures given one by one).
/// Venue and instrument are told by the file name: `binance_usdm_btcusdt*` is Lighter's BTC,
/// `binance_cm_ethusd_perp*` Extended's ETH. Each instrument needs both.
pub fn convert(inputs: &[PathBuf], out: &Path) -> Result<Converted, TapeError> {
    if let [one] = inputs
        && live::is_capture(one)
    {
        return live::convert(one, out);
    }
    let mut skipped: Vec<String> = Vec::new();
    let (mut captures, mut quoted) = (Vec::new(), Vec::new());
    for path in list(inputs)? {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        match (Naming::of(&name), quotes::naming(&name)) {
            (Some(naming), _) => captures.push(Capture::read(&path, naming)?),
            (None, Some(naming)) => quoted.push(Quotes::read(&path, naming)?),
            (None, None) if inputs.contains(&path) => {
                return Err(TapeError::CaptureName(name.into()));
            }
            (None, None) => skipped.push(name.into()),
        }
    }
    // A tape of one venue would be played by both: these recorders' venues only stand for ours.
    let of_captures = captures.iter().map(|c: &Capture| c.naming.venue);
    let told: Vec<Venue> = of_captures
        .chain(quoted.iter().map(Quotes::venue))
        .collect();
    if let (true, Some(name)) = (told.is_empty(), skipped.first()) {
        return Err(TapeError::CaptureName(name.clone()));
    }
    let is_told = |venue| told.contains(&venue);
    if !VENUES.into_iter().all(is_told) {
        return Err(TapeError::Malformed("an instrument is not once per venue"));
    }
    // The order of instruments is the order of their names, whatever the folder's.
    captures.sort_by_key(|capture| (capture.naming.base.clone(), capture.naming.venue.idx()));
    // Time zero is when the last of the books was known: from there all can be shown together.
    let ready = captures.iter().map(|c| c.ready_ns);
    let zero_ns = ready.chain(quoted.iter().map(Quotes::first_ns)).max();
    let zero_ns = zero_ns.unwrap_or(0);
    let mut streams: Vec<Stream> = captures.iter().map(|c| c.encode(zero_ns)).collect();
    streams.extend(quoted.iter().map(|quotes| quotes.encode(zero_ns)));
    write(&Tape::new(streams)?, (skipped, 0), out)
}

/// Writes the tape and tells of it; `lacking` are the parts left out and the breaks.
pub(super) fn write(
    tape: &Tape,
    lacking: (Vec<String>, u64),
    out: &Path,
) -> Result<Converted, TapeError> {
    let bytes = tape.to_bytes();
    std::fs::write(out, &bytes).map_err(|e| TapeError::Unwritable(out.into(), e))?;
    let told = |s: &Stream| (s.venue, s.base.clone(), s.frames.len());
    let (skipped, breaks) = lacking;
    Ok(Converted {
        streams: tape.streams.iter().map(told).collect(),
        skipped,
        breaks,
        span_ns: tape.span_ns(),
        bytes_len: bytes.len(),
    })
}

/// The files meant: a folder stands for what is in it.
fn list(inputs: &[PathBuf]) -> Result<Vec<PathBuf>, TapeError> {
    let mut paths = Vec::new();
    for input in inputs {
        let unreadable = |error| TapeError::Unreadable(input.clone(), error);
        if !input.is_dir() {
            paths.push(input.clone());
            continue;
        }
        for entry in std::fs::read_dir(input).map_err(unreadable)? {
            paths.push(entry.map_err(unreadable)?.path());
        }
    }
    paths.sort();
    Ok(paths)
}

/// Tick and lot of the simulated markets, of which the captures' are multiples.
pub(super) fn symbol_grid(base: &str) -> Option<(Price, Size)> {
    match base {
        "btc" => Some((Price(100_000_000), Size(10_000))),
        "eth" => Some((Price(10_000_000), Size(100_000))),
        _ => None,
    }
}

/// A file to be read line by line, gzipped or plain.
pub(super) fn opened(path: &Path) -> Result<Box<dyn BufRead>, TapeError> {
    let bytes = std::fs::read(path).map_err(|e| TapeError::Unreadable(path.into(), e))?;
    Ok(match bytes.starts_with(&[0x1F, 0x8B]) {
        true => Box::new(BufReader::with_capacity(
            1 << 16,
            MultiGzDecoder::new(std::io::Cursor::new(bytes)),
        )),
        false => Box::new(std::io::Cursor::new(bytes)),
    })
}

/// What a capture's name tells.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Naming {
    venue: Venue,
    base: String,
    /// Dollars a contract; `None` where sizes are coins.
    contract_usd: Option<i64>,
    tick: Price,
    lot: Size,
}

impl Naming {
    fn of(name: &str) -> Option<Naming> {
        let mut words = name.split(['_', '.']);
        // USD-M sends depth about every 50 ms, COIN-M as it changes: the first plays the venue
        // whose takers wait, the second the one whose takers do not.
        let (venue, is_coin_margined) = match (words.next()?, words.next()?) {
            ("binance", "usdm") => (Venue::Lighter, false),
            ("binance", "cm") => (Venue::Extended, true),
            _ => return None,
        };
        let symbol = words.next()?;
        let base = symbol
            .strip_suffix("usdt")
            .or_else(|| symbol.strip_suffix("usd"))?;
        let (tick, lot) = symbol_grid(base)?;
        let contract_usd = if base == "btc" { 100 } else { 10 };
        Some(Naming {
            venue,
            base: base.to_uppercase(),
            contract_usd: is_coin_margined.then_some(contract_usd),
            tick,
            lot,
        })
    }

    /// Lots of a quantity (10^-9) at a price; COIN-M contracts become coins, floored.
    fn lots(&self, tick: i64, quantity: i64) -> i64 {
        match self.contract_usd {
            None => quantity / self.lot.0,
            Some(usd) => {
                let price = i128::from(tick) * i128::from(self.tick.0);
                let coins = i128::from(quantity) * i128::from(usd) * i128::from(SCALE) / price;
                (coins / i128::from(self.lot.0)) as i64
            }
        }
    }
}

/// A level as the capture writes it: price and quantity, decimal text.
type Pair<'a> = (&'a str, &'a str);

#[derive(Deserialize)]
struct Combined<T> {
    data: T,
}

#[derive(Deserialize)]
struct DepthUpdate<'a> {
    #[serde(rename = "U")]
    first: u64,
    #[serde(rename = "u")]
    last: u64,
    #[serde(rename = "pu")]
    previous: u64,
    #[serde(borrow, rename = "b")]
    bids: Vec<Pair<'a>>,
    #[serde(borrow, rename = "a")]
    asks: Vec<Pair<'a>>,
}

#[derive(Deserialize)]
struct DepthAnswer<'a> {
    #[serde(rename = "lastUpdateId")]
    last: u64,
    #[serde(borrow)]
    bids: Vec<Pair<'a>>,
    #[serde(borrow)]
    asks: Vec<Pair<'a>>,
}

#[derive(Deserialize)]
struct TradeEvent<'a> {
    #[serde(rename = "p")]
    price: &'a str,
    #[serde(rename = "q")]
    quantity: &'a str,
    /// The buyer was the maker: the taker sold.
    #[serde(rename = "m")]
    is_sell: bool,
}

/// What a capture line said, on the grid: (tick, quantity at 10^-9).
#[derive(Clone, Debug)]
struct Said {
    t_ns: u64,
    /// The taker's side, where it is a trade.
    trade: Option<Side>,
    bids: Vec<(i64, i64)>,
    asks: Vec<(i64, i64)>,
    /// First and last update id, and the last one of the event before.
    chain: (u64, u64, u64),
}

/// One capture, read and proven continuous.
struct Capture {
    naming: Naming,
    /// When the snapshot arrived: the book is known from here.
    ready_ns: u64,
    /// The REST answer.
    snapshot: Said,
    /// Events the snapshot does not contain, and all trades, in order of arrival.
    said: Vec<Said>,
}

impl Capture {
    fn read(path: &Path, naming: Naming) -> Result<Capture, TapeError> {
        let name = path.display().to_string();
        let unreadable = |error| TapeError::Unreadable(path.into(), error);
        let mut bytes = Vec::new();
        let mut lines = opened(path)?;
        let mut snapshot = None;
        let mut said: Vec<Said> = Vec::new();
        let mut chain = None;
        for line_number in 1.. {
            let fault = |why| TapeError::Capture(name.clone(), line_number, why);
            bytes.clear();
            if lines.read_until(b'\n', &mut bytes).map_err(unreadable)? == 0 {
                break;
            }
            let line = std::str::from_utf8(&bytes).map_err(|_| fault("not text"))?;
            match read_line(&naming, line).map_err(fault)? {
                Line::Other => {}
                Line::Trade(trade) => said.push(trade),
                Line::Snapshot(whole) if snapshot.is_none() => snapshot = Some(whole),
                Line::Snapshot(_) => {}
                Line::Depth(depth) => {
                    let (_, last, previous) = depth.chain;
                    // Checked over the whole capture, before the snapshot too: a recorder that lost
                    // a frame once is not to be trusted elsewhere.
                    if chain.is_some_and(|before| before != previous) {
                        return Err(fault("the chain of depth updates is broken"));
                    }
                    chain = Some(last);
                    said.push(depth);
                }
            }
        }
        let fault = |why| TapeError::Capture(name.clone(), 0, why);
        let snapshot = snapshot.ok_or_else(|| fault("no REST depth answer"))?;
        let id = snapshot.chain.1;
        // What the snapshot has already is dropped; the first event kept must overlap it.
        said.retain(|said| said.trade.is_some() || said.chain.1 >= id);
        let first = said.iter().find(|said| said.trade.is_none());
        let first = first.ok_or_else(|| fault("no depth updates after the snapshot"))?;
        if first.chain.0 > id + 1 && first.chain.2 > id {
            return Err(fault("the snapshot does not join the chain"));
        }
        Ok(Capture {
            ready_ns: snapshot.t_ns.max(first.t_ns),
            naming,
            snapshot,
            said,
        })
    }

    /// Plays the capture through whole books (all levels known, so that a level that comes near the
    /// touch again has its true size) and writes what of them is kept.
    fn encode(&self, zero_ns: u64) -> Stream {
        let naming = &self.naming;
        let mut sides = [Kept::new(Side::Bid), Kept::new(Side::Ask)];
        let mut writer = Writer::default();
        let mut frame = Frame::default();
        for side in &mut sides {
            let whole = self.snapshot.lots(naming, side.side());
            side.change(&whole);
        }
        let mut started = false;
        // What was said before time zero only builds the first book.
        for said in &self.said {
            if said.t_ns > zero_ns && !started {
                started = true;
                frame.kind = Kind::Snapshot;
                frame.bids = sides[0].whole();
                frame.asks = sides[1].whole();
                writer.write(&frame);
            }
            frame.t_ns = said.t_ns.saturating_sub(zero_ns);
            if let Some(side) = said.trade {
                frame.kind = Kind::Trade(side);
                frame.bids = said.lots(naming, Side::Bid);
                frame.asks = said.lots(naming, Side::Ask);
                // Floored to nothing: a contract worth less than a lot. It moved no price here.
                let lots = frame.bids.iter().chain(&frame.asks).map(|level| level.1);
                if started && lots.sum::<i64>() > 0 {
                    writer.write(&frame);
                }
                continue;
            }
            frame.kind = Kind::Depth;
            frame.bids = sides[0].change(&said.lots(naming, Side::Bid));
            frame.asks = sides[1].change(&said.lots(naming, Side::Ask));
            if started && (!frame.bids.is_empty() || !frame.asks.is_empty()) {
                writer.write(&frame);
            }
        }
        Stream {
            venue: naming.venue,
            base: naming.base.clone(),
            tick: naming.tick,
            lot: naming.lot,
            frames: writer.bytes,
        }
    }
}

impl Said {
    fn levels(&self, side: Side) -> &[(i64, i64)] {
        match side {
            Side::Bid => &self.bids,
            Side::Ask => &self.asks,
        }
    }

    fn lots(&self, naming: &Naming, side: Side) -> Vec<(i64, i64)> {
        let levels = self.levels(side).iter();
        levels
            .map(|&(tick, q)| (tick, naming.lots(tick, q)))
            .collect()
    }
}

/// What a line can be.
enum Line {
    /// Nothing the tape keeps: best quotes, other streams.
    Other,
    /// The REST answer: a whole book as of its `lastUpdateId`.
    Snapshot(Said),
    /// One `depthUpdate`.
    Depth(Said),
    /// One public trade.
    Trade(Said),
}

fn read_line(naming: &Naming, line: &str) -> Result<Line, &'static str> {
    let (t_ns, json) = line.split_once(' ').ok_or("no receive time")?;
    let t_ns = t_ns.parse().map_err(|_| "no receive time")?;
    let said = |bids: &[Pair], asks: &[Pair], chain| {
        Ok::<Said, &'static str>(Said {
            t_ns,
            trade: None,
            bids: on_grid(naming, bids)?,
            asks: on_grid(naming, asks)?,
            chain,
        })
    };
    let malformed = |_| "JSON is not as expected";
    // The stream's name comes first in a line; looking at it saves parsing what is not used.
    let head = &json[..json.len().min(64)];
    if head.contains("lastUpdateId") {
        let answer: DepthAnswer = serde_json::from_str(json).map_err(malformed)?;
        let chain = (answer.last, answer.last, answer.last);
        return said(&answer.bids, &answer.asks, chain).map(Line::Snapshot);
    }
    if head.contains("@depth") {
        let depth: Combined<DepthUpdate> = serde_json::from_str(json).map_err(malformed)?;
        let depth = depth.data;
        let chain = (depth.first, depth.last, depth.previous);
        return said(&depth.bids, &depth.asks, chain).map(Line::Depth);
    }
    if head.contains("@trade") {
        let trade: Combined<TradeEvent> = serde_json::from_str(json).map_err(malformed)?;
        let trade = trade.data;
        let level = [(trade.price, trade.quantity)];
        if Price::parse(trade.price.as_bytes()) == Ok(Price::ZERO) {
            // Internal transfers are told as trades at price zero.
            return Ok(Line::Other);
        }
        let (bids, asks): (&[Pair], &[Pair]) = match trade.is_sell {
            true => (&[], &level),
            false => (&level, &[]),
        };
        let mut said = said(bids, asks, (0, 0, 0))?;
        said.trade = Some(if trade.is_sell { Side::Ask } else { Side::Bid });
        return Ok(Line::Trade(said));
    }
    Ok(Line::Other)
}

/// Levels as (tick, quantity), exactly or not at all.
fn on_grid(naming: &Naming, levels: &[Pair]) -> Result<Vec<(i64, i64)>, &'static str> {
    let level = |&(price, quantity): &Pair| {
        let price = Price::parse(price.as_bytes()).map_err(|_| "a price is no decimal")?;
        let quantity = Size::parse(quantity.as_bytes()).map_err(|_| "a size is no decimal")?;
        if price.0 % naming.tick.0 != 0 || price.0 <= 0 || quantity.0 < 0 {
            return Err("a price is off the grid");
        }
        Ok((price.0 / naming.tick.0, quantity.0))
    };
    levels.iter().map(level).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use std::io::Write;

    /// A capture of a few lines in the format of the recorders.
    fn capture(symbol: &str, price: i64, breaks: bool) -> String {
        let level =
            |ticks: i64, quantity: &str| format!("[\"{}.0\",\"{quantity}\"]", price + ticks);
        let depth = |t: u64, ids: (u64, u64, u64), bids: String, asks: String| {
            format!(
                "{t} {{\"stream\":\"{symbol}@depth@0ms\",\"data\":{{\"e\":\"depthUpdate\",\"U\":{},\
                 \"u\":{},\"pu\":{},\"b\":[{bids}],\"a\":[{asks}]}}}}\n",
                ids.0, ids.1, ids.2
            )
        };
        let trade = format!(
            "1900000000 {{\"stream\":\"{symbol}@trade\",\"data\":{{\"e\":\"trade\",\
             \"p\":\"{price}.0\",\"q\":\"2\",\"m\":true}}}}\n"
        );
        let ticker =
            "1000000001 {\"stream\":\"x@bookTicker\",\"data\":{\"b\":\"1\"}}\n".to_string();
        let snapshot = format!(
            "1000000002 {{\"lastUpdateId\":20,\"bids\":[{},{}],\"asks\":[{}]}}\n",
            level(0, "3"),
            level(-1, "4"),
            level(1, "5")
        );
        [
            // Before the snapshot: dropped; overlapping it: applied over it.
            depth(900_000_000, (1, 10, 0), level(0, "99"), String::new()),
            depth(950_000_000, (11, 25, 10), level(-1, "7"), String::new()),
            ticker,
            snapshot,
            depth(
                1_500_000_000,
                (26, 30, if breaks { 24 } else { 25 }),
                level(0, "0"),
                String::new(),
            ),
            trade,
            depth(2_000_000_000, (31, 40, 30), String::new(), level(0, "8")),
        ]
        .concat()
    }

    fn folder(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("parallax-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        folder
    }

    fn gzip(text: &str) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn captures_become_a_tape() {
        let folder = folder("convert");
        let usdm = capture("btcusdt", 50_000, false);
        let cm = capture("btcusd_perp", 50_000, false);
        std::fs::write(folder.join("binance_usdm_btcusdt_day.gz"), gzip(&usdm)).unwrap();
        std::fs::write(folder.join("binance_cm_btcusd_perp_day.txt"), cm).unwrap();
        std::fs::write(folder.join("notes.md"), "not a capture").unwrap();
        let out = folder.join("out.tape");
        let told = convert(std::slice::from_ref(&folder), &out).unwrap();
        assert_eq!(told.skipped, ["notes.md"]);
        assert_eq!(told.span_ns / 1_000, 999_999);
        let tape = Tape::load(&out).unwrap();
        assert_eq!(tape.bases().collect::<Vec<_>>(), ["BTC"]);
        let mut frames = Vec::new();
        for venue in crate::market::VENUES {
            let stream = tape.stream(venue, crate::market::InstrumentId(0));
            let (mut cursor, mut frame) = (stream.cursor(), Frame::default());
            while cursor.read(&stream.frames, &mut frame).unwrap() {
                frames.push(frame.clone());
            }
        }
        // Extended: contracts of 100 dollars at 50,000 are 0.002 coins, 200 lots, floored.
        assert_eq!(frames[0].kind, Kind::Snapshot);
        assert_eq!(frames[0].bids, [(499_990, 1_400), (500_000, 600)]);
        assert_eq!(frames[0].asks, [(500_010, 999)]);
        assert_eq!(frames[1].bids, [(500_000, 0)]);
        assert_eq!(frames[1].t_ns / 1_000, 499_999);
        assert_eq!(
            (frames[2].kind, &frames[2].asks[..]),
            (Kind::Trade(Side::Ask), &[(500_000, 400)][..])
        );
        assert_eq!(frames[3].asks, [(500_000, 1_600)]);
        // Lighter: coins.
        assert_eq!(frames[4].bids, [(499_990, 700_000), (500_000, 300_000)]);
        assert_eq!(frames.len(), 8);
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn what_cannot_be_used_is_told_where_it_is() {
        let folder = folder("refuse");
        let write = |name: &str, text: &str| {
            let path = folder.join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let out = folder.join("out.tape");
        let refused = |path: PathBuf| convert(&[path], &out).unwrap_err();
        let good = capture("btcusdt", 50_000, false);
        let name = "binance_usdm_btcusdt.txt";
        assert!(matches!(
            refused(folder.join("gone")),
            TapeError::CaptureName(_)
        ));
        assert!(matches!(
            refused(write("usdm.txt", &good)),
            TapeError::CaptureName(_)
        ));
        let unnamed = folder.join("unnamed");
        std::fs::create_dir(&unnamed).unwrap();
        std::fs::write(unnamed.join("bbo_btc.csv.gz"), "").unwrap();
        let unnamed = refused(unnamed);
        assert!(unnamed.to_string().contains("bbo_btc.csv.gz"), "{unnamed}");
        let one_sided = refused(write(name, &good));
        assert!(matches!(one_sided, TapeError::Malformed(_)), "{one_sided}");
        let broken = refused(write(name, &capture("btcusdt", 50_000, true)));
        assert!(matches!(broken, TapeError::Capture(_, 5, _)), "{broken}");
        let off_grid = refused(write(name, &good.replace("50001.0", "50001.05")));
        assert!(matches!(
            off_grid,
            TapeError::Capture(_, 4, "a price is off the grid")
        ));
        let no_snapshot = refused(write(name, &good.replace("lastUpdateId", "other")));
        assert!(
            matches!(no_snapshot, TapeError::Capture(_, 0, _)),
            "{no_snapshot}"
        );
        let late = refused(write(
            name,
            &good.replace("\"lastUpdateId\":20", "\"lastUpdateId\":5"),
        ));
        assert!(matches!(late, TapeError::Malformed(_)), "{late}");
        let far = refused(write(
            name,
            &good.replace("\"lastUpdateId\":20", "\"lastUpdateId\":90"),
        ));
        assert!(matches!(far, TapeError::Capture(_, 0, _)), "{far}");
        std::fs::remove_dir_all(folder).unwrap();
    }
}
