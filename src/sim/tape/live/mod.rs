//! Captures of the venues' own streams, as `parallax record` writes them, into a tape.
//!
//! A capture is gzip. Its first line is a [`Header`]; every other one is `<receive time, ns>
//! <venue> <JSON>`: a message as the venue sent it, or a whole book carried over from the segment
//! before (see [`carried`]). Promises: a capture that was cut gives what came before the cut; a
//! book that misses a message, crosses itself or loses a side stands still on the tape until it is
//! whole again, and that is counted. Refuses: an instrument whose books were not whole on every
//! recorded venue within [`JOIN_NS`]; it is left out and named.

mod message;

use super::codec::{Frame, Kind, NUMBER_MAX, Writer};
use super::convert::{Converted, write};
use super::kept::Kept;
use super::{STEP_MAX, Stream, Tape, TapeError};
use crate::market::book::Side;
use crate::market::units::{DECIMAL_TEXT_MAX, Nanos, Price, Size, write_decimal};
use crate::market::{VENUES, Venue};
use flate2::read::MultiGzDecoder;
use message::{Joins, Said};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::ops::ControlFlow;
use std::path::Path;

/// The version of captures that is written and read.
pub const VERSION: u32 = 1;
/// How a capture begins, once unpacked.
const BEGINNING: &[u8] = b"{\"parallax_capture\":";
/// A book that is first whole later than this after the first of all is left out. Larger: one slow
/// market cuts the beginning off for all. Smaller: markets are lost to a slow subscription.
pub const JOIN_NS: u64 = 30_000_000_000;

/// A capture's first line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// [`VERSION`].
    pub parallax_capture: u32,
    /// What is recorded, in the order of instruments.
    pub markets: Vec<Listed>,
}

/// One market as it is recorded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listed {
    /// The venue's name, as [`Venue::name`].
    pub venue: String,
    /// The underlying: `BTC`.
    pub base: String,
    /// The venue's own name of the market: `BTC-USD`.
    pub name: String,
    /// The venue's own number: Lighter's `market_id`.
    pub number: u32,
    /// Price step, 10^-9.
    pub tick_e9: i64,
    /// Size step, 10^-9.
    pub lot_e9: i64,
}

impl Listed {
    /// The venue, if its name is one of ours.
    pub fn venue(&self) -> Option<Venue> {
        VENUES.into_iter().find(|venue| venue.name() == self.venue)
    }

    /// Levels as (tick, lots), sizes floored onto the lot; `None` when a price is off the grid or a
    /// number is beyond what a tape holds.
    fn on_grid(&self, levels: &[(Price, Size)]) -> Option<Vec<(i64, i64)>> {
        let level = |&(price, size): &(Price, Size)| {
            let (tick, lots) = (price.0 / self.tick_e9, size.0 / self.lot_e9);
            let is_on_grid = price.0 > 0 && price.0 % self.tick_e9 == 0 && size.0 >= 0;
            (is_on_grid && tick.max(lots) < NUMBER_MAX).then_some((tick, lots))
        };
        levels.iter().map(level).collect()
    }
}

/// A line of a capture, with its end. Line breaks in the message, which JSON allows between its
/// tokens only, become spaces.
pub fn line(t_recv: Nanos, venue: Venue, message: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(t_recv.0.to_string().as_bytes());
    out.push(b' ');
    out.extend_from_slice(venue.name().as_bytes());
    out.push(b' ');
    let plain = |byte: &u8| {
        if matches!(byte, b'\n' | b'\r') {
            b' '
        } else {
            *byte
        }
    };
    out.extend(message.iter().map(plain));
    out.push(b'\n');
}

/// The message that stands for a whole book that was known when the segment began. Sides are bids
/// and asks.
pub fn carried<'a>(
    name: &str,
    sides: [&mut dyn Iterator<Item = (Price, Size)>; 2],
    out: &'a mut Vec<u8>,
) -> &'a [u8] {
    out.clear();
    out.extend_from_slice(format!("{{\"carried\":\"{name}\"").as_bytes());
    for (word, side) in ["bids", "asks"].into_iter().zip(sides) {
        out.extend_from_slice(format!(",\"{word}\":[").as_bytes());
        for (idx, (price, size)) in side.enumerate() {
            out.extend_from_slice(if idx == 0 { b"[\"" } else { b",[\"" });
            decimal(price.0, out);
            out.extend_from_slice(b"\",\"");
            decimal(size.0, out);
            out.extend_from_slice(b"\"]");
        }
        out.push(b']');
    }
    out.push(b'}');
    out
}

fn decimal(value: i64, out: &mut Vec<u8>) {
    let mut text = [0; DECIMAL_TEXT_MAX];
    let len = write_decimal(value, &mut text);
    out.extend_from_slice(&text[..len]);
}

/// Whether a file begins as a capture of the recorder does.
pub fn is_capture(path: &Path) -> bool {
    let mut beginning = [0; BEGINNING.len()];
    let file = File::open(path).map(MultiGzDecoder::new);
    file.is_ok_and(|mut file| file.read_exact(&mut beginning).is_ok() && beginning == BEGINNING)
}

/// Converts one capture into the tape file `out`. The capture is read twice: once up to the moment
/// when the books are known, once whole.
pub fn convert(capture: &Path, out: &Path) -> Result<Converted, TapeError> {
    let mut lines = Lines::open(capture)?;
    let (zero_ns, is_in) = survey(&mut lines)?;
    let mut lines = Lines::open(capture)?;
    let (books, is_cut) = play(&mut lines, zero_ns, &is_in);
    let mut skipped = Vec::new();
    let mut streams = Vec::new();
    let mut breaks = 0;
    for (book, is_in) in books.into_iter().zip(is_in) {
        if is_in {
            breaks += book.breaks;
            streams.extend(book.stream());
        } else {
            let Listed { venue, base, .. } = book.listed;
            skipped.push(format!("{base} of {venue}: its books were not whole"));
        }
    }
    if is_cut {
        skipped.push("the end: the capture is cut".to_owned());
    }
    write(&Tape::new(streams)?, (skipped, breaks), out)
}

/// When all books that will be on the tape were known, and which those are.
fn survey(lines: &mut Lines) -> Result<(u64, Vec<bool>), TapeError> {
    let markets = lines.header.markets.clone();
    let mut books: Vec<Book> = markets.iter().cloned().map(Book::new).collect();
    let mut first_ns: Vec<Option<u64>> = vec![None; books.len()];
    let mut join_by = u64::MAX;
    lines.each(|t_ns, said| {
        if t_ns > join_by {
            return ControlFlow::Break(());
        }
        let first = &mut first_ns[said.market_idx];
        if first.is_none() && books[said.market_idx].take(&said).is_some() {
            *first = Some(t_ns);
            join_by = join_by.min(t_ns.saturating_add(JOIN_NS));
        }
        ControlFlow::Continue(())
    });
    let is_whole = |base: &str| {
        let mut rows = markets.iter().zip(&first_ns);
        rows.all(|(market, first)| market.base != base || first.is_some())
    };
    let is_in: Vec<bool> = markets
        .iter()
        .map(|market| is_whole(&market.base))
        .collect();
    let known = first_ns.iter().zip(&is_in).filter(|(_, is_in)| **is_in);
    match known.filter_map(|(first, _)| *first).max() {
        Some(zero_ns) => Ok((zero_ns, is_in)),
        None => Err(TapeError::Capture(
            lines.name.clone(),
            0,
            "no instrument's books were whole on every recorded venue",
        )),
    }
}

/// Plays the capture through whole books; what is said up to time zero builds the first ones.
fn play(lines: &mut Lines, zero_ns: u64, is_in: &[bool]) -> (Vec<Book>, bool) {
    let markets = lines.header.markets.iter().cloned();
    let mut books: Vec<Book> = markets.map(Book::new).collect();
    let mut started = false;
    let mut end_ns = 0;
    let is_cut = lines.each(|t_ns, said| {
        if t_ns > zero_ns && !started {
            started = true;
            books.iter_mut().for_each(Book::start);
        }
        let idx = said.market_idx;
        if is_in[idx] {
            end_ns = t_ns.saturating_sub(zero_ns);
            books[idx].tell(&said, started.then_some(end_ns));
        }
        ControlFlow::Continue(())
    });
    if !started {
        books.iter_mut().for_each(Book::start);
    }
    // All streams end together, or the quietest market would set the length of the tape.
    books.iter_mut().for_each(|book| book.end(end_ns));
    (books, is_cut)
}

/// One recorded book on its way onto the tape.
struct Book {
    listed: Listed,
    sides: [Kept; 2],
    chain: Chain,
    /// What the tape shows is what stands in `sides`.
    is_shown: bool,
    /// Times it stopped being shown.
    breaks: u64,
    frame: Frame,
    writer: Writer,
}

/// Which message a book can take next.
#[derive(Clone, Copy)]
enum Chain {
    /// A whole book only.
    Lost,
    /// Any: it was carried over from the segment before, between two messages.
    Carried,
    /// A change that follows this number.
    At(u64),
}

/// What changes in the kept parts of both sides, ticks ascending.
type Told = [Vec<(i64, i64)>; 2];

impl Book {
    fn new(listed: Listed) -> Book {
        Book {
            listed,
            sides: [Kept::new(Side::Bid), Kept::new(Side::Ask)],
            chain: Chain::Lost,
            is_shown: false,
            breaks: 0,
            frame: Frame::default(),
            writer: Writer::default(),
        }
    }

    /// Takes a message. `None` when the book cannot be shown after it.
    fn take(&mut self, said: &Said) -> Option<Told> {
        let told = self.apply(said);
        if told.is_none() && std::mem::take(&mut self.is_shown) {
            self.breaks += 1;
        }
        told
    }

    fn apply(&mut self, said: &Said) -> Option<Told> {
        let is_next = match (said.joins, self.chain) {
            (Joins::Whole, _) | (Joins::After(_), Chain::Carried) => true,
            (Joins::After(number), Chain::At(last)) => number == last,
            (Joins::After(_), Chain::Lost) => false,
        };
        self.chain = Chain::Lost;
        let [bids, asks] = &said.sides;
        let levels = [self.listed.on_grid(bids)?, self.listed.on_grid(asks)?];
        if !is_next {
            return None;
        }
        self.chain = said.sequence.map_or(Chain::Carried, Chain::At);
        let mut told = [Vec::new(), Vec::new()];
        for (idx, side) in self.sides.iter_mut().enumerate() {
            told[idx] = match said.joins {
                Joins::Whole => side.replace(&levels[idx]),
                Joins::After(_) => side.change(&levels[idx]),
            };
        }
        // A crossed book, or one without a side, is not shown; the next message may mend it.
        let is_fit = self.sides[0].best()? < self.sides[1].best()?;
        is_fit.then_some(told)
    }

    /// Takes a message and writes what is shown differently at `t_ns` of the tape; before the tape
    /// begins (`None`) the last fit book is kept for its first frame.
    fn tell(&mut self, said: &Said, t_ns: Option<u64>) {
        let Some(told) = self.take(said) else {
            return;
        };
        let is_change = self.is_shown && t_ns.is_some();
        self.is_shown = true;
        let [bids, asks] = match is_change {
            true => told,
            false => [self.sides[0].whole(), self.sides[1].whole()],
        };
        self.frame = Frame {
            t_ns: t_ns.unwrap_or(0),
            kind: if is_change {
                Kind::Depth
            } else {
                Kind::Snapshot
            },
            bids,
            asks,
        };
        let says_something = !self.frame.bids.is_empty() || !self.frame.asks.is_empty();
        if t_ns.is_some() && says_something {
            self.writer.write(&self.frame);
        }
    }

    /// The first frame of the tape.
    fn start(&mut self) {
        self.writer.write(&self.frame);
    }

    /// The last frame of the tape says nothing; it tells how long the stream is.
    fn end(&mut self, t_ns: u64) {
        self.writer.write(&Frame {
            t_ns,
            kind: Kind::Depth,
            ..Frame::default()
        });
    }

    fn stream(self) -> Option<Stream> {
        Some(Stream {
            venue: self.listed.venue()?,
            base: self.listed.base,
            tick: Price(self.listed.tick_e9),
            lot: Size(self.listed.lot_e9),
            frames: self.writer.bytes,
        })
    }
}

/// A capture, line by line.
struct Lines {
    name: String,
    header: Header,
    lines: BufReader<MultiGzDecoder<BufReader<File>>>,
}

impl Lines {
    /// Opens a capture and checks its header.
    fn open(path: &Path) -> Result<Lines, TapeError> {
        let unreadable = |error| TapeError::Unreadable(path.into(), error);
        let name = path.display().to_string();
        let file = BufReader::new(File::open(path).map_err(unreadable)?);
        let mut lines = BufReader::with_capacity(1 << 16, MultiGzDecoder::new(file));
        let mut first = Vec::new();
        lines.read_until(b'\n', &mut first).map_err(unreadable)?;
        let fault = |why| TapeError::Capture(name.clone(), 1, why);
        let header: Header =
            serde_json::from_slice(&first).map_err(|_| fault("not a capture's header"))?;
        if header.parallax_capture != VERSION {
            return Err(fault("a version of captures that is not known"));
        }
        let steps = 1..=STEP_MAX;
        let is_sound = |market: &Listed| {
            market.venue().is_some()
                && steps.contains(&market.tick_e9)
                && steps.contains(&market.lot_e9)
        };
        if !header.markets.iter().all(is_sound) {
            return Err(fault("a market's venue, tick or lot"));
        }
        Ok(Lines {
            name,
            header,
            lines,
        })
    }

    /// Hands out the book messages with their times, which never go back. True when the capture
    /// ends in the middle: a line without its end, or compression without its.
    fn each(&mut self, mut take: impl FnMut(u64, Said) -> ControlFlow<()>) -> bool {
        let mut bytes = Vec::new();
        let mut last_ns = 0;
        loop {
            bytes.clear();
            match self.lines.read_until(b'\n', &mut bytes) {
                Ok(0) => return false,
                Ok(_) if bytes.ends_with(b"\n") => {}
                Ok(_) | Err(_) => return true,
            }
            let Some((t_ns, said)) = self.read(&bytes) else {
                continue;
            };
            last_ns = t_ns.max(last_ns);
            if take(last_ns, said).is_break() {
                return false;
            }
        }
    }

    /// What a line says of a book; `None` when nothing.
    fn read(&self, line: &[u8]) -> Option<(u64, Said)> {
        let line = std::str::from_utf8(line).ok()?;
        let (t_ns, rest) = line.split_once(' ')?;
        let (venue, json) = rest.split_once(' ')?;
        let venue = VENUES.into_iter().find(|known| known.name() == venue)?;
        let said = message::read(&self.header.markets, venue, json.trim_end())?;
        Some((t_ns.parse().ok()?, said))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::market::InstrumentId;
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use std::io::Write;
    use std::path::PathBuf;

    const MS: u64 = 1_000_000;

    fn listed(venue: Venue, base: &str) -> Listed {
        let (name, number) = match venue {
            Venue::Extended => (format!("{base}-USD"), 0),
            Venue::Lighter => (base.to_owned(), u32::from(base == "BTC")),
        };
        Listed {
            venue: venue.name().into(),
            base: base.into(),
            name,
            number,
            tick_e9: 100_000_000,
            lot_e9: 10_000,
        }
    }

    /// A capture under way: what tests write into it by hand.
    struct Draft {
        bytes: Vec<u8>,
    }

    impl Draft {
        fn new(markets: Vec<Listed>) -> Draft {
            let header = Header {
                parallax_capture: VERSION,
                markets,
            };
            let mut bytes = serde_json::to_vec(&header).unwrap();
            bytes.push(b'\n');
            Draft { bytes }
        }

        fn both() -> Draft {
            Draft::new(vec![
                listed(Venue::Extended, "BTC"),
                listed(Venue::Lighter, "BTC"),
            ])
        }

        fn say(&mut self, ms: u64, venue: Venue, message: &str) {
            line(Nanos(ms * MS), venue, message.as_bytes(), &mut self.bytes);
        }

        /// One level a side: bid and ask in whole dollars, one coin each; a size of nothing where
        /// the message removes.
        fn extended(&mut self, ms: u64, kind: &str, seq: u64, levels: [&[(u32, &str)]; 2]) {
            let [bids, asks] = levels.map(|side| {
                let level = |(p, c): &(u32, &str)| format!(r#"{{"p":"{p}","q":"{c}","c":"{c}"}}"#);
                side.iter().map(level).collect::<Vec<_>>().join(",")
            });
            let message = format!(
                "{{\"type\":\"{kind}\",\n\"data\":{{\"m\":\"BTC-USD\",\"b\":[{bids}],\
                 \"a\":[{asks}]}},\"ts\":1,\"seq\":{seq}}}"
            );
            self.say(ms, Venue::Extended, &message);
        }

        fn lighter(&mut self, ms: u64, kind: &str, nonces: [u64; 2], bid: (u32, &str)) {
            let (price, size) = bid;
            let [begin, nonce] = nonces;
            let asks = match kind {
                "subscribed" => r#"{"price":"120","size":"1"}"#,
                _ => "",
            };
            let message = format!(
                r#"{{"channel":"order_book:1","order_book":{{"asks":[{asks}],"bids":[{{"price":
                "{price}","size":"{size}"}}],"nonce":{nonce},"begin_nonce":{begin}}},"type":
                "{kind}/order_book"}}"#
            );
            self.say(ms, Venue::Lighter, &message);
        }

        fn pack(&self) -> Vec<u8> {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
            encoder.write_all(&self.bytes).unwrap();
            encoder.finish().unwrap()
        }
    }

    /// A file of its own for each call.
    struct Place(PathBuf);

    impl Place {
        fn new(name: &str) -> Place {
            let name = format!("parallax-live-{name}-{}", std::process::id());
            Place(std::env::temp_dir().join(name))
        }

        fn convert(&self, packed: &[u8]) -> Result<(Converted, Tape), TapeError> {
            std::fs::write(&self.0, packed).unwrap();
            assert!(is_capture(&self.0));
            let out = self.0.with_extension("tape");
            let made = super::super::convert::convert(std::slice::from_ref(&self.0), &out)?;
            let tape = Tape::load(&out).unwrap();
            std::fs::remove_file(out).unwrap();
            Ok((made, tape))
        }
    }

    impl Drop for Place {
        fn drop(&mut self) {
            let _ = std::fs::remove_file(&self.0);
        }
    }

    /// Time in ms, kind, and bids.
    type Told = (u64, Kind, Vec<(i64, i64)>);

    fn frames(tape: &Tape, venue: Venue) -> Vec<Told> {
        let stream = tape.stream(venue, InstrumentId(0));
        let (mut cursor, mut frame) = (stream.cursor(), Frame::default());
        let mut found = Vec::new();
        while cursor.read(&stream.frames, &mut frame).unwrap() {
            found.push((frame.t_ns / MS, frame.kind, frame.bids.clone()));
        }
        found
    }

    const COIN: i64 = 100_000;

    /// Both books, whole at 1,000 ms and 1,200 ms; changes at 1,100, 1,300 and 2,000 ms.
    fn draft() -> Draft {
        let mut draft = Draft::both();
        draft.say(900, Venue::Lighter, r#"{"type":"connected"}"#);
        draft.extended(1_000, "SNAPSHOT", 1, [&[(100, "1")], &[(110, "1")]]);
        draft.extended(1_100, "DELTA", 2, [&[(101, "2")], &[]]);
        draft.lighter(1_200, "subscribed", [0, 7], (100, "3"));
        draft.lighter(1_300, "update", [7, 9], (99, "1"));
        draft.extended(2_000, "DELTA", 3, [&[(101, "0")], &[]]);
        draft
    }

    #[test]
    fn a_capture_becomes_a_tape() {
        let (made, tape) = Place::new("made").convert(&draft().pack()).unwrap();
        assert!(made.skipped.is_empty(), "{:?}", made.skipped);
        assert_eq!((made.breaks, made.span_ns), (0, 800 * MS));
        assert_eq!(
            frames(&tape, Venue::Extended),
            [
                (0, Kind::Snapshot, vec![(1_000, COIN), (1_010, 2 * COIN)]),
                (800, Kind::Depth, vec![(1_010, 0)]),
                (800, Kind::Depth, vec![]),
            ]
        );
        assert_eq!(
            frames(&tape, Venue::Lighter),
            [
                (0, Kind::Snapshot, vec![(1_000, 3 * COIN)]),
                (100, Kind::Depth, vec![(990, COIN)]),
                (800, Kind::Depth, vec![]),
            ]
        );
    }

    #[test]
    fn a_book_that_misses_a_message_stands_still_until_it_is_whole() {
        let mut draft = draft();
        draft.extended(2_100, "DELTA", 5, [&[(102, "1")], &[]]);
        draft.extended(2_200, "DELTA", 6, [&[(103, "1")], &[]]);
        draft.extended(2_300, "SNAPSHOT", 1, [&[(104, "1")], &[(110, "1")]]);
        // Crossed, then mended; and on the other venue a change that does not follow.
        draft.extended(2_400, "DELTA", 2, [&[(111, "1")], &[]]);
        draft.extended(2_500, "DELTA", 3, [&[(111, "0")], &[]]);
        draft.lighter(2_600, "update", [8, 10], (98, "1"));
        draft.lighter(2_700, "update", [10, 11], (97, "1"));
        let (made, tape) = Place::new("breaks").convert(&draft.pack()).unwrap();
        assert_eq!(made.breaks, 3);
        let extended = frames(&tape, Venue::Extended);
        let whole = vec![(1_040, COIN)];
        assert_eq!(
            extended[2..],
            [
                (1_100, Kind::Snapshot, whole.clone()),
                (1_300, Kind::Snapshot, whole),
                (1_500, Kind::Depth, vec![]),
            ]
        );
        assert_eq!(frames(&tape, Venue::Lighter).len(), 3);
    }

    #[test]
    fn a_capture_that_was_cut_gives_what_came_before() {
        let place = Place::new("cut");
        let mut draft = draft();
        for at in 0..400 {
            draft.extended(2_001 + at, "DELTA", 4 + at, [&[(101, "0.5")], &[]]);
            let size = if at % 2 == 0 { "2" } else { "3" };
            draft.lighter(2_001 + at, "update", [9 + at, 10 + at], (98, size));
        }
        let packed = draft.pack();
        let (mut longest_ns, mut made_count) = (0, 0);
        for len in (packed.len() / 4..packed.len()).step_by(97) {
            if let Ok((made, _)) = place.convert(&packed[..len]) {
                assert_eq!(made.skipped, ["the end: the capture is cut"], "{len}");
                assert!(made.span_ns >= longest_ns, "{len}");
                longest_ns = made.span_ns;
                made_count += 1;
            }
        }
        assert!(made_count > 3 && longest_ns > 900 * MS, "{longest_ns}");
    }

    #[test]
    fn a_segment_goes_on_from_the_books_carried_over() {
        let mut draft = Draft::both();
        let mut text = Vec::new();
        for (venue, name) in [(Venue::Extended, "BTC-USD"), (Venue::Lighter, "BTC")] {
            let level = |price: &[u8]| (Price::parse(price).unwrap(), Size(500_000_000));
            let mut bids = [level(b"99.5"), level(b"100")].into_iter();
            let mut asks = [level(b"100.1")].into_iter();
            let message = carried(name, [&mut bids, &mut asks], &mut text);
            let message = std::str::from_utf8(message).unwrap().to_owned();
            draft.say(1_000, venue, &message);
        }
        // The numbers of before are not known any more: the first change joins, the next must fit.
        draft.extended(1_500, "DELTA", 77, [&[(100, "1")], &[]]);
        draft.extended(1_600, "DELTA", 78, [&[(100, "2")], &[]]);
        draft.lighter(1_700, "update", [5, 6], (100, "4"));
        let (made, tape) = Place::new("carried").convert(&draft.pack()).unwrap();
        assert_eq!((made.breaks, made.span_ns), (0, 700 * MS));
        let half = COIN / 2;
        assert_eq!(
            frames(&tape, Venue::Extended)[0].2,
            [(995, half), (1_000, half)]
        );
        assert_eq!(frames(&tape, Venue::Extended)[2].2, [(1_000, 2 * COIN)]);
        assert_eq!(frames(&tape, Venue::Lighter)[1].2, [(1_000, 4 * COIN)]);
    }

    #[test]
    fn what_is_not_whole_on_every_recorded_venue_is_left_out() {
        let mut markets = vec![
            listed(Venue::Extended, "BTC"),
            listed(Venue::Lighter, "BTC"),
        ];
        markets.extend([
            listed(Venue::Extended, "ETH"),
            listed(Venue::Lighter, "ETH"),
        ]);
        let mut four = Draft::new(markets);
        four.bytes
            .extend(&draft().bytes[Draft::both().bytes.len()..]);
        let (made, tape) = Place::new("four").convert(&four.pack()).unwrap();
        assert_eq!(tape.bases().collect::<Vec<_>>(), ["BTC"]);
        assert_eq!(made.skipped.len(), 2, "{:?}", made.skipped);

        // Of one venue alone, both play it; of both, one side is not enough.
        let mut one = Draft::new(vec![listed(Venue::Extended, "BTC")]);
        let mut half = Draft::both();
        for draft in [&mut one, &mut half] {
            draft.extended(1_000, "SNAPSHOT", 1, [&[(100, "1")], &[(110, "1")]]);
            draft.extended(1_500, "DELTA", 2, [&[(101, "2")], &[]]);
        }
        let (_, tape) = Place::new("one").convert(&one.pack()).unwrap();
        assert_eq!(
            tape.stream(Venue::Lighter, InstrumentId(0)).venue,
            Venue::Extended
        );
        let error = Place::new("half").convert(&half.pack()).unwrap_err();
        assert!(
            error.to_string().contains("every recorded venue"),
            "{error}"
        );
    }

    #[test]
    fn headers_that_cannot_be_used_are_told() {
        let place = Place::new("headers");
        let refused = |draft: Draft| place.convert(&draft.pack()).unwrap_err().to_string();
        let with = |market: Listed| Draft::new(vec![market]);
        let mut market = listed(Venue::Lighter, "BTC");
        market.tick_e9 = 0;
        assert!(refused(with(market)).contains("line 1"));
        let mut market = listed(Venue::Lighter, "BTC");
        market.venue = "nowhere".into();
        assert!(refused(with(market)).contains("venue"));
        let mut newer = Draft::both();
        newer.bytes = String::from_utf8(newer.bytes)
            .unwrap()
            .replace("capture\":1", "capture\":9")
            .into();
        assert!(refused(newer).contains("version"));
        assert!(refused(Draft::both()).contains("whole"));
        assert!(!is_capture(Path::new("no/such/file")));
    }
}
