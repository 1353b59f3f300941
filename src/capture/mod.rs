//! `record`: the venues' live streams, written down and made into tapes.
//!
//! Cold, one thread, nothing pinned. What comes is written raw into the current segment; at its
//! end, by time or size, the next one begins with the books as they stand, and the finished one
//! becomes a tape beside it. Promises: our files in the folder stay within the bound, the oldest go
//! first, nobody else's ever; recording stops before the disk is short; a crash leaves the current
//! segment as a capture, and the next recorder in the folder makes it a tape. Refuses: accounts,
//! keys, orders; a folder in which another recorder is at work.

mod finish;
mod folder;
mod following;
mod report;
mod segment;

pub use finish::{Left, Made};
pub use folder::free_bytes;
pub use report::{Ended, Summary};

use crate::config::Config;
use crate::market::Venue;
use crate::market::units::{Nanos, SECOND};
use crate::session::{SessionError, Signals, market_data};
use crate::sim::tape::live::{Header, VERSION};
use crate::stage::BEAT_NS;
use crate::stage::clock::Clock;
use finish::Finisher;
use folder::{CAPTURE, Folder, VENUE_WORDS};
use following::Following;
use report::Progress;
use segment::Segment;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Folder, disk and segments are looked at this often. Larger: more is lost by a crash, and the
/// bounds are overrun further. Smaller: worse compression.
const LOOK_NS: u64 = SECOND;
/// Pause when nothing has come. Larger: coarser times of receipt. Smaller: more idle work.
const PAUSE: Duration = Duration::from_micros(500);
/// A segment ends when it has this share of the folder's bound: room for it, for the one before
/// that is being converted, and for its tape, with a quarter left for what is finished.
const SEGMENTS_PER_BOUND: u64 = 4;
/// Nor does a segment grow beyond this: it must fit in memory as a tape.
const SEGMENT_BYTES_MAX: u64 = 256 << 20;
/// A last segment shorter than this is dropped when it makes no tape: nothing happened in it.
const SEGMENT_NS_MIN: u64 = SECOND;

/// What to record, and within which bounds.
#[derive(Clone, Debug)]
pub struct Options {
    /// One venue or both.
    pub venues: Vec<Venue>,
    /// Where to; made where there is none.
    pub folder: PathBuf,
    /// Stop after this long; `None`: at a signal.
    pub seconds: Option<u64>,
    /// A tape is finished this often, nanoseconds.
    pub rotate_ns: u64,
    /// Most bytes of our files in the folder.
    pub bytes_max: u64,
    /// Recording stops when the disk has less than this left, bytes.
    pub free_bytes_min: u64,
    /// Tells what a disk has left: [`free_bytes`], or a test's.
    pub free_bytes: fn(&Path) -> io::Result<u64>,
}

/// Why nothing was recorded.
#[derive(Debug)]
pub enum CaptureError {
    /// The folder can't be made or used.
    Folder(PathBuf, io::Error),
    /// Another recorder is at work in the folder.
    Taken(PathBuf),
    /// The disk has less left than recording must leave (free, least), bytes.
    DiskShort(u64, u64),
    /// The first segment can't be begun.
    Segment(io::Error),
    /// The venues could not be read.
    Session(SessionError),
}

impl CaptureError {
    /// Whether a setting is to blame, so that mending it is the user's part.
    pub fn is_setting(&self) -> bool {
        matches!(self, CaptureError::Session(error) if error.is_setting())
    }
}

impl fmt::Display for CaptureError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CaptureError::Folder(path, error) => {
                write!(f, "the folder {} can't be used: {error}", path.display())
            }
            CaptureError::Taken(path) => write!(
                f,
                "another parallax records into {}: use another folder, or end it",
                path.display()
            ),
            CaptureError::DiskShort(free, least) => f.write_str(&report::disk_short(*free, *least)),
            CaptureError::Segment(error) => write!(f, "a recording can't be begun: {error}"),
            CaptureError::Session(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for CaptureError {}

/// Records until time, a signal or the disk ends it, and finishes the tapes. Blocks.
pub fn record(
    config: &Config,
    options: Options,
    signals: &Signals,
    clock: Clock,
) -> Result<Summary, CaptureError> {
    let folder = Folder::open(&options.folder, options.bytes_max)?;
    let unusable = |error| CaptureError::Folder(options.folder.clone(), error);
    let free = (options.free_bytes)(folder.path()).map_err(unusable)?;
    if free < options.free_bytes_min {
        return Err(CaptureError::DiskShort(free, options.free_bytes_min));
    }
    let books = market_data::read(config, &options.venues).map_err(CaptureError::Session)?;
    let told: Vec<&str> = books.iter().map(|books| books.venue.name()).collect();
    let markets = books.iter().take(1).flat_map(|books| &books.markets);
    let names: Vec<&str> = markets.map(|(name, _)| name.as_str()).collect();
    eprintln!(
        "parallax record: {} on {}, to {}",
        names.join(", "),
        told.join(" and "),
        folder.path().display()
    );
    let venues: io::Result<Vec<_>> = books.into_iter().map(Following::new).collect();
    let venues = venues.map_err(|error| CaptureError::Session(SessionError::Poller(error)))?;
    let mut recorder = Recorder::new(folder, venues, options, clock.now())?;
    let ended = recorder.run(clock, signals);
    Ok(recorder.finish(ended, clock.now()))
}

/// A recording under way.
struct Recorder {
    options: Options,
    folder: Folder,
    venues: Vec<Following>,
    header: Header,
    segment: Segment,
    finisher: Finisher,
    /// Captures that an earlier recorder left: what becomes of them is told, not judged.
    inherited: Vec<PathBuf>,
    began: Nanos,
    look_due: Nanos,
    /// Our files that were removed.
    removed: usize,
    /// Bytes of our files at the last look.
    bytes: u64,
}

impl Recorder {
    /// Begins the first segment; what a dead recorder left is finished meanwhile.
    fn new(
        folder: Folder,
        venues: Vec<Following>,
        options: Options,
        now: Nanos,
    ) -> Result<Recorder, CaptureError> {
        let mut finisher = Finisher::default();
        let found = folder.list(CAPTURE).map_err(CaptureError::Segment)?;
        let inherited: Vec<PathBuf> = found.into_iter().map(|entry| entry.path).collect();
        inherited
            .iter()
            .cloned()
            .for_each(|path| finisher.add(path));
        let listed = venues.iter().flat_map(Following::listed);
        let mut markets: Vec<_> = listed.cloned().collect();
        // By instrument, as the first venue has them: the order of a tape is that of its header.
        let order: Vec<String> = markets.iter().map(|market| market.base.clone()).collect();
        markets.sort_by_key(|market| order.iter().position(|base| *base == market.base));
        let header = Header {
            parallax_capture: VERSION,
            markets,
        };
        let path = folder.capture_path(venue_word(&options.venues), now);
        let segment = Segment::create(path, &header, now).map_err(CaptureError::Segment)?;
        Ok(Recorder {
            options,
            folder,
            venues,
            header,
            segment,
            finisher,
            inherited,
            began: now,
            look_due: now.plus(LOOK_NS),
            removed: 0,
            bytes: 0,
        })
    }

    /// Until something ends it.
    fn run(&mut self, clock: Clock, signals: &Signals) -> Ended {
        let until = self.options.seconds.map(|s| self.began.plus(s * SECOND));
        let mut progress = Progress::new(self.began);
        let mut beat_due = self.began;
        loop {
            let work = match self.turn(clock) {
                Ok(work) => work,
                Err(error) => return Ended::Failed(error.to_string()),
            };
            let now = clock.now();
            if now >= beat_due {
                beat_due = now.plus(BEAT_NS);
                self.venues.iter_mut().for_each(|venue| venue.beat(now));
            }
            if let Some(ended) = self.look(now) {
                return ended;
            }
            progress.show(now, self.messages(), self.bytes);
            if signals.has_come() {
                return Ended::Signal;
            }
            if until.is_some_and(|until| now >= until) {
                return Ended::Time;
            }
            if work == 0 {
                std::thread::sleep(PAUSE);
            }
        }
    }

    fn turn(&mut self, clock: Clock) -> io::Result<usize> {
        let mut work = 0;
        for venue in &mut self.venues {
            work += venue.turn(clock, &mut self.segment)?;
        }
        Ok(work)
    }

    /// Once in a while: hands what was written to the system, begins a new segment when it is time,
    /// keeps the folder within its bound, and says stop before the disk is short.
    fn look(&mut self, now: Nanos) -> Option<Ended> {
        if now < self.look_due {
            return None;
        }
        self.look_due = now.plus(LOOK_NS);
        match self.keep_bounds(now) {
            Ok(free) if free < self.options.free_bytes_min => {
                Some(Ended::DiskShort(free, self.options.free_bytes_min))
            }
            Ok(_) => None,
            Err(error) => Some(Ended::Failed(error.to_string())),
        }
    }

    fn keep_bounds(&mut self, now: Nanos) -> io::Result<u64> {
        let bytes = self.segment.flush()?;
        let bytes_max = (self.options.bytes_max / SEGMENTS_PER_BOUND).min(SEGMENT_BYTES_MAX);
        let is_old = now.since(self.segment.began()) >= self.options.rotate_ns;
        if is_old || bytes >= bytes_max {
            self.rotate(now)?;
        }
        self.finisher.turn()?;
        let mut in_work = self.finisher.in_work();
        in_work.push(self.segment.path().clone());
        let (removed, bytes) = self.folder.prune(&in_work)?;
        self.removed += removed;
        self.bytes = bytes;
        (self.options.free_bytes)(self.folder.path())
    }

    /// Ends the segment and begins the next with the books as they stand.
    fn rotate(&mut self, now: Nanos) -> io::Result<()> {
        let path = self
            .folder
            .capture_path(venue_word(&self.options.venues), now);
        let mut next = Segment::create(path, &self.header, now)?;
        for venue in &self.venues {
            venue.carry(now, &mut next)?;
        }
        let last = std::mem::replace(&mut self.segment, next);
        self.finisher.add(last.path().clone());
        last.finish()
    }

    fn messages(&self) -> u64 {
        self.venues.iter().map(|venue| venue.messages).sum()
    }

    /// Says goodbye to the venues and waits for the last tape.
    fn finish(mut self, mut ended: Ended, now: Nanos) -> Summary {
        self.venues.iter_mut().for_each(Following::close);
        let last = self.segment.path().clone();
        let is_short = now.since(self.segment.began()) < SEGMENT_NS_MIN;
        self.finisher.add(last.clone());
        let closed = self.segment.finish();
        let waited = self.finisher.wait();
        match closed.and(waited).and_then(|()| self.folder.prune(&[])) {
            Ok((removed, bytes)) => {
                self.removed += removed;
                self.bytes = bytes;
            }
            // The first reason to end is the one to tell.
            Err(error) if ended.is_wanted() => ended = Ended::Failed(error.to_string()),
            Err(_) => {}
        }
        let Finisher { made, mut left, .. } = self.finisher;
        if is_short && !made.is_empty() {
            let is_nothing = |one: &Left| one.file == last && std::fs::remove_file(&last).is_ok();
            left.retain(|one| !is_nothing(one));
        }
        let is_ours = |one: &Left| !self.inherited.contains(&one.file);
        let mut summary = Summary {
            ended,
            is_whole: !left.iter().any(is_ours),
            ran_ns: now.since(self.began),
            messages: [0; 2],
            gaps: [0; 2],
            made,
            left,
            removed: self.removed,
            bytes: self.bytes,
        };
        for venue in &self.venues {
            summary.messages[venue.venue().idx()] = venue.messages;
            summary.gaps[venue.venue().idx()] = venue.gaps;
        }
        summary
    }
}

/// How the venues stand in names of files.
fn venue_word(venues: &[Venue]) -> &'static str {
    let [both, extended, lighter] = VENUE_WORDS;
    match venues {
        [Venue::Extended] => extended,
        [Venue::Lighter] => lighter,
        _ => both,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::market::units::MS;
    use crate::sim::tape::live::Listed;
    use std::cell::Cell;

    /// A folder of its own for each test, gone afterwards.
    pub(super) struct Place(PathBuf);

    impl Place {
        pub(super) fn new(name: &str) -> Place {
            let name = format!("parallax-capture-{name}-{}", std::process::id());
            let path = std::env::temp_dir().join(name);
            let _ = std::fs::remove_dir_all(&path);
            std::fs::create_dir_all(&path).unwrap();
            Place(path)
        }

        pub(super) fn path(&self) -> &Path {
            &self.0
        }

        /// The endings of our files, oldest first.
        fn endings(&self, folder: &Folder) -> Vec<String> {
            let ending = |path: &Path| {
                let name = path.file_name().unwrap().to_string_lossy().into_owned();
                name.split_once('.').unwrap().1.to_owned()
            };
            let entries = folder.list("").unwrap();
            entries.iter().map(|entry| ending(&entry.path)).collect()
        }
    }

    impl Drop for Place {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    /// One market of Lighter.
    pub(super) fn header() -> Header {
        Header {
            parallax_capture: VERSION,
            markets: vec![Listed {
                venue: "lighter".into(),
                base: "BTC".into(),
                name: "BTC".into(),
                number: 1,
                tick_e9: 100_000_000,
                lot_e9: 10_000,
            }],
        }
    }

    /// Writes a book that is known from the first moment on and changes once, `ms` later.
    fn fill(segment: &mut Segment, ms: u64) {
        let began = segment.began();
        let carried = br#"{"carried":"BTC","bids":[["10","1"]],"asks":[["11","1"]]}"#;
        segment.write(began, Venue::Lighter, carried).unwrap();
        let update = br#"{"channel":"order_book:1","type":"update/order_book","order_book":
            {"bids":[{"price":"10","size":"2"}],"asks":[],"nonce":2,"begin_nonce":1}}"#;
        segment
            .write(began.plus(ms * MS), Venue::Lighter, update)
            .unwrap();
    }

    /// A finished capture of this length.
    pub(super) fn segment(path: PathBuf, ms: u64) {
        let mut segment = Segment::create(path, &header(), Nanos(SECOND)).unwrap();
        fill(&mut segment, ms);
        segment.finish().unwrap();
    }

    const START: Nanos = Nanos(1_790_000_000_000_000_000);

    fn options(place: &Place) -> Options {
        Options {
            venues: vec![Venue::Lighter],
            folder: place.path().into(),
            seconds: None,
            rotate_ns: 60 * SECOND,
            bytes_max: 1 << 20,
            free_bytes_min: 1_000,
            free_bytes: |_| Ok(1_000),
        }
    }

    fn recorder(place: &Place, options: Options) -> Recorder {
        let folder = Folder::open(place.path(), options.bytes_max).unwrap();
        let mut recorder = Recorder::new(folder, Vec::new(), options, START).unwrap();
        recorder.header = header();
        recorder.rotate(START.plus(MS)).unwrap();
        // The first segment had no market in its header.
        recorder.finisher = Finisher::default();
        std::fs::remove_file(&recorder.folder.list("").unwrap()[0].path).unwrap();
        recorder
    }

    fn seconds(s: u64) -> Nanos {
        START.plus(s * SECOND)
    }

    #[test]
    fn a_segment_ends_by_time_and_becomes_a_tape() {
        let place = Place::new("rotate");
        let mut recorder = recorder(&place, options(&place));
        fill(&mut recorder.segment, 500);
        assert_eq!(recorder.look(seconds(59)), None);
        assert_eq!(place.endings(&recorder.folder), ["capture.gz"]);
        assert_eq!(recorder.look(seconds(61)), None);
        fill(&mut recorder.segment, 700);
        recorder.finisher.wait().unwrap();
        assert_eq!(place.endings(&recorder.folder), ["tape", "capture.gz"]);
        let summary = recorder.finish(Ended::Time, seconds(70));
        assert!(summary.is_clean());
        let lengths: Vec<_> = summary.made.iter().map(|made| made.seconds).collect();
        assert_eq!(lengths, [0.5, 0.7]);
        assert_eq!((summary.removed, summary.left.len()), (0, 0));
    }

    #[test]
    fn row_51_a_segment_ends_by_size_and_the_folder_stays_within_its_bound() {
        let place = Place::new("bound");
        let bytes_max = 64 << 10;
        let mut recorder = recorder(
            &place,
            Options {
                bytes_max,
                ..options(&place)
            },
        );
        let mut random = crate::sim::random::Random::new(3, "capture");
        let mut look = 0;
        let (mut largest, mut rotations) = (0, 0);
        while look < 200 {
            look += 1;
            // About 2 kB that do not compress.
            let noise: String = (0..100)
                .map(|_| format!("{:x}", random.next_u64()))
                .collect();
            let now = START.plus(look * LOOK_NS + MS);
            recorder
                .segment
                .write(now, Venue::Lighter, noise.as_bytes())
                .unwrap();
            let before = recorder.segment.path().clone();
            assert_eq!(recorder.look(now), None);
            rotations += usize::from(*recorder.segment.path() != before);
            largest = largest.max(recorder.bytes);
        }
        assert!(rotations >= 5, "{rotations}");
        assert!(recorder.removed >= 2, "{}", recorder.removed);
        assert!((bytes_max / 2..=bytes_max).contains(&largest), "{largest}");
        assert!(recorder.segment.path().exists());
    }

    #[test]
    fn row_51_recording_stops_before_the_disk_is_short_and_keeps_what_it_has() {
        thread_local!(static FREE: Cell<u64> = const { Cell::new(5_000) });
        let place = Place::new("short");
        let free_bytes: fn(&Path) -> io::Result<u64> = |_| Ok(FREE.get());
        let mut recorder = recorder(
            &place,
            Options {
                free_bytes,
                ..options(&place)
            },
        );
        fill(&mut recorder.segment, 500);
        assert_eq!(recorder.look(seconds(1)), None);
        FREE.set(999);
        // Not looked at between the beats.
        assert_eq!(recorder.look(seconds(1).plus(MS)), None);
        let ended = recorder.look(seconds(2)).unwrap();
        assert_eq!(ended, Ended::DiskShort(999, 1_000));
        let summary = recorder.finish(ended, seconds(2));
        assert!(!summary.is_clean());
        assert_eq!(summary.made.len(), 1);
    }

    #[test]
    fn what_a_dead_recorder_left_is_finished_by_the_next() {
        let place = Place::new("dead");
        let mut first = recorder(&place, options(&place));
        fill(&mut first.segment, 400);
        first.segment.flush().unwrap();
        // No goodbye: the capture has no end.
        std::mem::forget(first.segment);
        drop(first.folder);
        let mut second = {
            let folder = Folder::open(place.path(), 1 << 20).unwrap();
            Recorder::new(folder, Vec::new(), options(&place), seconds(100)).unwrap()
        };
        second.finisher.wait().unwrap();
        assert_eq!(second.finisher.made.len(), 1, "{:?}", second.finisher.left);
        assert_eq!(
            second.finisher.made[0].left_out,
            ["the end: the capture is cut"]
        );
        // The second recorder's own segment has nothing in it, and no time has passed.
        let summary = second.finish(Ended::Signal, seconds(100));
        assert!(summary.left.is_empty() && summary.is_clean());
        let folder = Folder::open(place.path(), 1 << 20).unwrap();
        assert_eq!(place.endings(&folder), ["tape"]);
    }

    #[test]
    fn a_recording_of_nothing_is_no_success() {
        let place = Place::new("nothing");
        let recorder = recorder(&place, options(&place));
        let summary = recorder.finish(Ended::Time, seconds(30));
        assert_eq!((summary.made.len(), summary.left.len()), (0, 1));
        assert!(!summary.is_clean());
        assert!(summary.left[0].file.exists());
        // The next recorder tries again, and is not blamed.
        let folder = Folder::open(place.path(), 1 << 20).unwrap();
        let mut next = Recorder::new(folder, Vec::new(), options(&place), seconds(100)).unwrap();
        next.segment = Segment::create(place.path().join("x"), &header(), seconds(100)).unwrap();
        fill(&mut next.segment, 500);
        next.rotate(seconds(101)).unwrap();
        let summary = next.finish(Ended::Time, seconds(101));
        assert_eq!(
            (summary.made.len(), summary.left.len()),
            (1, 1),
            "{:?}",
            summary.left
        );
        assert!(summary.is_clean());
    }
}
