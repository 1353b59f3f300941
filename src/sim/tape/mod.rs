//! The tape: recorded depth and trades of both venues on one clock, in a compact file.
//!
//! A file is eight bytes of magic and version, then a zlib body: a table of the streams, each with
//! its frames as varints (time gaps in microseconds, prices in ticks against the last, sizes in
//! lots). The first frame of a stream is its whole book at time zero. A tape is walked through once
//! when it is read, so playback cannot meet a malformed frame.
//! A tape that tells of one venue alone is played by both, each from its own copy of the books.
//! Refuses: anything cut, damaged, crossed, or told by both venues but for some instrument; the
//! error says which.
//! Where the embedded tape comes from and what was cut: `README.md` beside this file.

pub mod codec;
pub mod convert;
mod kept;
pub mod live;
mod mids;
pub mod pace;
mod quotes;

use crate::market::units::{Price, Size};
use crate::market::{InstrumentId, VENUES, Venue};
use codec::{Cursor, get, put};
use flate2::Compression;
use flate2::read::ZlibDecoder;
use flate2::write::ZlibEncoder;
use pace::Pace;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

/// First bytes of every tape file; the last one is the version.
pub const MAGIC: [u8; 8] = *b"PLXTAPE\x01";
/// A body larger than this is refused: it is no tape but a bomb.
const BODY_BYTES_MAX: u64 = 1 << 30;
/// Largest tick and lot, 10^-9: a thousand.
const STEP_MAX: i64 = 1_000_000_000_000;
/// Nanoseconds of tape before playback starts, where the tape is long enough: they seed the fair.
pub const LEAD_NS: u64 = 60_000_000_000;

/// Why there is no tape.
#[derive(Debug)]
pub enum TapeError {
    /// The operator's path: not there or not readable.
    Unreadable(PathBuf, std::io::Error),
    /// The result could not be written.
    Unwritable(PathBuf, std::io::Error),
    /// The file does not begin as a tape does.
    NotATape,
    /// A tape of a version this program does not know.
    Version(u8),
    /// The file ends in the middle, or its compression is damaged.
    Cut,
    /// The body contradicts itself.
    Malformed(&'static str),
    /// A capture's name does not tell venue and instrument.
    CaptureName(String),
    /// A capture has a line that cannot be used (file, line, why).
    Capture(String, usize, &'static str),
}

impl std::fmt::Display for TapeError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            TapeError::Unreadable(path, error) => {
                write!(f, "cannot read {}: {error}", path.display())
            }
            TapeError::Unwritable(path, error) => {
                write!(f, "cannot write {}: {error}", path.display())
            }
            TapeError::NotATape => f.write_str("not a tape file (bad magic)"),
            TapeError::Version(version) => write!(f, "tape version {version} is not known"),
            TapeError::Cut => f.write_str("the tape is cut or damaged"),
            TapeError::Malformed(why) => write!(f, "the tape is malformed: {why}"),
            TapeError::CaptureName(name) => write!(
                f,
                "the name {name} does not tell venue and instrument (expected e.g. \
                 binance_usdm_btcusdt.gz, binance_cm_btcusd_perp.gz, or quotes_lighter_btc.csv.gz \
                 and quotes_extended_btc.csv.gz in one folder; captures of \
                 `parallax record` are converted one by one)"
            ),
            TapeError::Capture(file, line, why) => write!(f, "{file}, line {line}: {why}"),
        }
    }
}

impl std::error::Error for TapeError {}

/// One venue's recording of one instrument.
#[derive(Clone, Debug)]
pub struct Stream {
    /// Which simulated venue plays it.
    pub venue: Venue,
    /// The underlying: `BTC`.
    pub base: String,
    /// Price step of the frames.
    pub tick: Price,
    /// Size step of the frames.
    pub lot: Size,
    /// The frames, encoded.
    pub frames: Vec<u8>,
}

impl Stream {
    /// A reader at the first frame.
    pub fn cursor(&self) -> Cursor {
        Cursor::default()
    }
}

/// How one venue's playback of an instrument is displaced right after the loop's seam.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Seam {
    /// Common to both venues: the price at the end over the price at the start.
    pub common_bps: f64,
    /// This venue's half of the difference of the bases at the end and at the start.
    pub residual_bps: f64,
}

/// Recordings of the instruments both venues list, on one clock.
#[derive(Clone, Debug)]
pub struct Tape {
    streams: Vec<Stream>,
    bases: Vec<Base>,
    span_ns: u64,
}

/// An underlying, where its two streams are, and what was measured when they were walked through.
#[derive(Clone, Debug)]
struct Base {
    name: String,
    stream_idx: [usize; 2],
    basis_before_bps: f64,
    seams: [Seam; 2],
    paces: [Pace; 2],
}

impl Tape {
    /// Puts streams together, in the order of instruments, and walks through them. Each base must
    /// be there once per venue, or all of them once for the same single venue; each stream must
    /// begin with its whole book at time zero and never show a crossed one.
    pub fn new(streams: Vec<Stream>) -> Result<Tape, TapeError> {
        let walks: Result<Vec<_>, _> = streams.iter().map(mids::walk).collect();
        let walks = walks?;
        let span_ns = walks.iter().map(|walk| walk.span_ns).min().unwrap_or(0);
        if span_ns < mids::SAMPLE_NS {
            return Err(TapeError::Malformed("no streams, or no time passes"));
        }
        let lead_ns = LEAD_NS.min(span_ns / 5);
        let told = VENUES.map(|venue| streams.iter().any(|stream| stream.venue == venue));
        let mut bases: Vec<Base> = Vec::new();
        for stream in &streams {
            if bases.iter().any(|base| base.name == stream.base) {
                continue;
            }
            let mut stream_idx = [0; 2];
            for venue in VENUES {
                let source = if told[venue.idx()] {
                    venue
                } else {
                    venue.other()
                };
                let of = |s: &&(usize, &Stream)| s.1.venue == source && s.1.base == stream.base;
                let all: Vec<_> = streams.iter().enumerate().collect();
                let mut found = all.iter().filter(of);
                match (found.next(), found.next()) {
                    (Some(one), None) => stream_idx[venue.idx()] = one.0,
                    _ => return Err(TapeError::Malformed("an instrument is not once per venue")),
                }
            }
            let both = stream_idx.map(|idx| &walks[idx]);
            bases.push(Base {
                name: stream.base.clone(),
                stream_idx,
                basis_before_bps: mids::basis_bps(both, 0, lead_ns),
                seams: mids::seams(both, span_ns),
                paces: both.map(|walk| Pace::new(walk, span_ns)),
            });
        }
        Ok(Tape {
            streams,
            bases,
            span_ns,
        })
    }

    /// The tape that ships: BTC and ETH, two real perpetual venues on one clock (see README.md).
    pub fn embedded() -> Tape {
        let bytes = include_bytes!("binance_20240808.tape");
        Tape::from_bytes(bytes).expect("the embedded tape is read by a test of every build")
    }

    /// Reads a tape file.
    pub fn load(path: &Path) -> Result<Tape, TapeError> {
        let bytes = std::fs::read(path).map_err(|e| TapeError::Unreadable(path.into(), e))?;
        Tape::from_bytes(&bytes)
    }

    /// Writes a tape file.
    pub fn write(&self, path: &Path) -> Result<(), TapeError> {
        std::fs::write(path, self.to_bytes()).map_err(|e| TapeError::Unwritable(path.into(), e))
    }

    /// Decodes the content of a tape file.
    pub fn from_bytes(bytes: &[u8]) -> Result<Tape, TapeError> {
        let (magic, body) = bytes
            .split_at_checked(MAGIC.len())
            .ok_or(TapeError::NotATape)?;
        if magic[..7] != MAGIC[..7] {
            return Err(TapeError::NotATape);
        }
        if magic[7] != MAGIC[7] {
            return Err(TapeError::Version(magic[7]));
        }
        let mut plain = Vec::new();
        let mut decoder = ZlibDecoder::new(body).take(BODY_BYTES_MAX);
        decoder
            .read_to_end(&mut plain)
            .map_err(|_| TapeError::Cut)?;
        Tape::new(read_streams(&plain)?)
    }

    /// Encodes the content of a tape file.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut plain = Vec::new();
        put(&mut plain, self.streams.len() as u64);
        for stream in &self.streams {
            put(&mut plain, stream.venue.idx() as u64);
            put(&mut plain, stream.base.len() as u64);
            plain.extend_from_slice(stream.base.as_bytes());
            put(&mut plain, stream.tick.0 as u64);
            put(&mut plain, stream.lot.0 as u64);
            put(&mut plain, stream.frames.len() as u64);
            plain.extend_from_slice(&stream.frames);
        }
        let mut encoder = ZlibEncoder::new(MAGIC.to_vec(), Compression::best());
        let written = encoder.write_all(&plain).and_then(|()| encoder.finish());
        written.expect("writing to memory does not fail")
    }

    /// The underlyings, in the order of their [`InstrumentId`].
    pub fn bases(&self) -> impl ExactSizeIterator<Item = &str> {
        self.bases.iter().map(|base| base.name.as_str())
    }

    /// Length of the tape: the end of its shortest stream.
    pub fn span_ns(&self) -> u64 {
        self.span_ns
    }

    /// Where playback starts: what lies before seeds the fair.
    pub fn lead_ns(&self) -> u64 {
        LEAD_NS.min(self.span_ns / 5)
    }

    /// Median basis before playback starts: Lighter's mid over Extended's, less one, in bps.
    pub fn basis_before(&self, instrument: InstrumentId) -> f64 {
        self.base(instrument).basis_before_bps
    }

    /// What the loop must bridge for one venue of an instrument.
    pub fn seam(&self, venue: Venue, instrument: InstrumentId) -> Seam {
        self.base(instrument).seams[venue.idx()]
    }

    /// The recording of one instrument on one venue. Clones of instruments (see
    /// `FlowOptions::markets_len`) share it.
    pub fn stream(&self, venue: Venue, instrument: InstrumentId) -> &Stream {
        &self.streams[self.base(instrument).stream_idx[venue.idx()]]
    }

    fn base(&self, instrument: InstrumentId) -> &Base {
        &self.bases[instrument.idx() % self.bases.len()]
    }
}

/// Decodes the streams' table.
fn read_streams(plain: &[u8]) -> Result<Vec<Stream>, TapeError> {
    let mut at = 0;
    let mut streams = Vec::new();
    for _ in 0..get(plain, &mut at)? {
        let venue = get(plain, &mut at)? as usize;
        let venue = *VENUES.get(venue).ok_or(TapeError::Malformed("venue"))?;
        let base = String::from_utf8(read_bytes(plain, &mut at)?.to_vec())
            .map_err(|_| TapeError::Malformed("base"))?;
        let tick = Price(get(plain, &mut at)? as i64);
        let lot = Size(get(plain, &mut at)? as i64);
        if !(1..=STEP_MAX).contains(&tick.0) || !(1..=STEP_MAX).contains(&lot.0) {
            return Err(TapeError::Malformed("tick or lot"));
        }
        let frames = read_bytes(plain, &mut at)?.to_vec();
        streams.push(Stream {
            venue,
            base,
            tick,
            lot,
            frames,
        });
    }
    Ok(streams)
}

/// A counted run of bytes.
fn read_bytes<'a>(plain: &'a [u8], at: &mut usize) -> Result<&'a [u8], TapeError> {
    let len = get(plain, at)? as usize;
    let end = at.checked_add(len).ok_or(TapeError::Cut)?;
    let bytes = plain.get(*at..end).ok_or(TapeError::Cut)?;
    *at = end;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::codec::{Frame, Kind};
    use super::*;
    use crate::market::book::Side;
    use crate::sim::ladder::{Ladder, View};
    use std::collections::BTreeMap;

    #[test]
    fn the_embedded_tape_is_what_the_readme_says() {
        let tape = Tape::embedded();
        assert_eq!(tape.bases().collect::<Vec<_>>(), ["BTC", "ETH"]);
        assert_eq!(tape.span_ns() / 1_000_000, 342_876);
        assert_eq!(tape.lead_ns(), LEAD_NS);
        // The basis of the whole tape is -0.99 (BTC) and -2.39 (ETH) bps at the median, measured
        // by others on the captures' best quotes.
        assert!((tape.basis_before(InstrumentId(0)) + 0.99).abs() < 0.5);
        assert!((tape.basis_before(InstrumentId(1)) + 2.39).abs() < 0.5);
        let seam = tape.seam(Venue::Lighter, InstrumentId(0));
        assert!((seam.common_bps + 22.0).abs() < 1.0, "{seam:?}");
        assert!(seam.residual_bps.abs() < 2.0, "{seam:?}");
    }

    #[test]
    fn playing_levels_equals_a_naive_map() {
        let tape = Tape::embedded();
        for (venue, instrument) in [(Venue::Lighter, 0), (Venue::Extended, 1)] {
            let stream = tape.stream(venue, InstrumentId(instrument));
            let mut cursor = stream.cursor();
            let mut frame = Frame::default();
            let mut ladders = [Ladder::new(Side::Bid), Ladder::new(Side::Ask)];
            let mut naive = [BTreeMap::new(), BTreeMap::new()];
            let mut count = 0;
            while cursor.read(&stream.frames, &mut frame).unwrap() {
                if matches!(frame.kind, Kind::Trade(_)) {
                    continue;
                }
                let whole = frame.kind == Kind::Snapshot;
                for (side, levels) in [(0, &frame.bids), (1, &frame.asks)] {
                    if whole {
                        naive[side].clear();
                    }
                    for &(tick, lots) in levels {
                        match lots {
                            0 => drop(naive[side].remove(&tick)),
                            _ => drop(naive[side].insert(tick, lots)),
                        }
                    }
                    ladders[side].apply(whole, levels, View::PLAIN, &mut Vec::new());
                }
                count += 1;
                if count % 500 == 1 {
                    let bids: Vec<_> = ladders[0].shown().collect();
                    assert!(
                        bids.iter()
                            .copied()
                            .eq(naive[0].iter().rev().map(|(&t, &l)| (t, l)))
                    );
                    let asks: Vec<_> = ladders[1].shown().collect();
                    assert!(
                        asks.iter()
                            .copied()
                            .eq(naive[1].iter().map(|(&t, &l)| (t, l)))
                    );
                    assert!((80..=120).contains(&bids.len()) && (80..=120).contains(&asks.len()));
                }
            }
            assert!(count > 5_000);
        }
    }

    #[test]
    fn a_tape_survives_writing_and_reading() {
        let bytes = include_bytes!("binance_20240808.tape");
        let tape = Tape::from_bytes(bytes).unwrap();
        let again = Tape::from_bytes(&tape.to_bytes()).unwrap();
        for venue in VENUES {
            for instrument in [InstrumentId(0), InstrumentId(1)] {
                let (a, b) = (
                    tape.stream(venue, instrument),
                    again.stream(venue, instrument),
                );
                assert!(a.frames == b.frames && a.tick == b.tick && a.lot == b.lot);
            }
        }
    }

    #[test]
    fn damage_is_told_by_kind() {
        let bytes = include_bytes!("binance_20240808.tape");
        let refused = |bytes: &[u8]| Tape::from_bytes(bytes).unwrap_err();
        assert!(matches!(refused(b""), TapeError::NotATape));
        assert!(matches!(refused(b"NOTATAPE and more"), TapeError::NotATape));
        assert!(matches!(refused(b"PLXTAPE\x09body"), TapeError::Version(9)));
        assert!(matches!(refused(&bytes[..bytes.len() / 2]), TapeError::Cut));
        let missing = Tape::load(Path::new("no/such.tape")).unwrap_err();
        assert!(matches!(missing, TapeError::Unreadable(..)), "{missing}");
        // Damage inside the body: never a panic.
        let mut random = crate::sim::random::Random::new(5, "damage");
        let stream = Tape::from_bytes(bytes).unwrap().streams[3].clone();
        for _ in 0..300 {
            let mut stream = stream.clone();
            stream.frames.truncate(4_000);
            let at = random.between(0, 3_999) as usize;
            stream.frames[at] = random.next_u64() as u8;
            let _ = mids::walk(&stream);
        }
    }

    #[test]
    fn an_instrument_needs_both_venues_where_the_tape_has_both() {
        let tape = Tape::embedded();
        let three = tape.streams[..3].to_vec();
        assert!(matches!(Tape::new(three), Err(TapeError::Malformed(_))));
        let twice = vec![tape.streams[0].clone(), tape.streams[0].clone()];
        assert!(matches!(Tape::new(twice), Err(TapeError::Malformed(_))));
        assert!(matches!(
            Tape::new(Vec::new()),
            Err(TapeError::Malformed(_))
        ));
    }

    #[test]
    fn a_tape_of_one_venue_is_played_by_both() {
        let of_lighter = |stream: &&Stream| stream.venue == Venue::Lighter;
        let streams = Tape::embedded().streams;
        let tape = Tape::new(streams.iter().filter(of_lighter).cloned().collect()).unwrap();
        let tape = Tape::from_bytes(&tape.to_bytes()).unwrap();
        assert_eq!(tape.bases().collect::<Vec<_>>(), ["BTC", "ETH"]);
        for instrument in [InstrumentId(0), InstrumentId(1)] {
            let [e, l] = VENUES.map(|venue| tape.stream(venue, instrument));
            assert_eq!((e.venue, &e.base), (Venue::Lighter, &l.base));
            assert_eq!(tape.basis_before(instrument), 0.0);
        }
    }
}
