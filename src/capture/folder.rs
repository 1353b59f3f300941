//! The folder that recordings go to: which files are ours, how large they may be, how much disk is
//! left.
//!
//! Promises: only files whose whole name has our form are ever removed, oldest first; one recorder
//! a folder. Refuses: to judge what is in them.

use super::CaptureError;
use crate::market::calendar::civil;
use crate::market::units::Nanos;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

/// How a name of ours begins; the venues, the start and an ending follow.
const PREFIX: &str = "parallax-";
/// A segment that is being recorded, or was left by a recorder that died.
pub const CAPTURE: &str = ".capture.gz";
/// A finished segment.
pub const TAPE: &str = ".tape";
/// A tape that is being written.
pub const PART: &str = ".tape.part";
/// What may stand between the prefix and the start.
pub const VENUE_WORDS: [&str; 3] = ["both", "extended", "lighter"];

/// A file of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Where it is.
    pub path: PathBuf,
    /// When its segment began, as its name says.
    pub stamp: String,
    /// Its length.
    pub bytes: u64,
}

/// The folder, held by this recorder alone.
pub struct Folder {
    path: PathBuf,
    bytes_max: u64,
    /// Holds the lock; the system lets it go with the process.
    _lock: File,
}

impl Folder {
    /// Makes the folder where there is none, takes it, and removes the half-written tapes of a
    /// recorder that died. `bytes_max` bounds our files in it, all together.
    pub fn open(path: &Path, bytes_max: u64) -> Result<Folder, CaptureError> {
        let unusable = |error| CaptureError::Folder(path.into(), error);
        fs::create_dir_all(path).map_err(unusable)?;
        let lock = File::open(path).map_err(unusable)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => return Err(CaptureError::Taken(path.into())),
            Err(fs::TryLockError::Error(error)) => return Err(unusable(error)),
        }
        let folder = Folder {
            path: path.into(),
            bytes_max,
            _lock: lock,
        };
        for entry in folder.list(PART).map_err(unusable)? {
            fs::remove_file(&entry.path).map_err(unusable)?;
        }
        Ok(folder)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where the segment that begins now is recorded.
    pub fn capture_path(&self, venue_word: &str, start: Nanos) -> PathBuf {
        let name = format!("{PREFIX}{venue_word}-{}{CAPTURE}", stamp(start));
        self.path.join(name)
    }

    /// Our files with this ending (all where it is empty), oldest first.
    pub fn list(&self, ending: &str) -> io::Result<Vec<Entry>> {
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            let entry = entry?;
            let name = entry.file_name();
            let Some(stamp) = name.to_str().and_then(stamp_of) else {
                continue;
            };
            // Not followed: a link is not ours even if its name is. A file may just have gone.
            let Some(about) = entry.metadata().ok().filter(fs::Metadata::is_file) else {
                continue;
            };
            if name.to_string_lossy().ends_with(ending) {
                found.push(Entry {
                    stamp: stamp.to_owned(),
                    path: entry.path(),
                    bytes: about.len(),
                });
            }
        }
        found.sort_by(|a, b| (&a.stamp, &a.path).cmp(&(&b.stamp, &b.path)));
        Ok(found)
    }

    /// Removes our oldest files until the rest is within the bound; those in work stay. Tells how
    /// many went and how many bytes are left.
    pub fn prune(&self, in_work: &[PathBuf]) -> io::Result<(usize, u64)> {
        let entries = self.list("")?;
        let mut bytes = entries.iter().map(|entry| entry.bytes).sum();
        let mut gone = 0;
        for entry in surplus(&entries, self.bytes_max, in_work) {
            fs::remove_file(&entry.path)?;
            bytes -= entry.bytes;
            gone += 1;
        }
        Ok((gone, bytes))
    }
}

/// Which of these files, oldest first, must go so that the rest is within the bound.
fn surplus<'a>(entries: &'a [Entry], bytes_max: u64, in_work: &[PathBuf]) -> Vec<&'a Entry> {
    let mut bytes: u64 = entries.iter().map(|entry| entry.bytes).sum();
    let mut gone = Vec::new();
    for entry in entries {
        if bytes <= bytes_max {
            break;
        }
        if !in_work.contains(&entry.path) {
            bytes -= entry.bytes;
            gone.push(entry);
        }
    }
    gone
}

/// The start of the segment that a file of ours holds; `None` for every other name.
fn stamp_of(name: &str) -> Option<&str> {
    let (venue_word, rest) = name.strip_prefix(PREFIX)?.split_once('-')?;
    let (stamp, ending) = rest.split_at_checked(STAMP_LEN)?;
    let is_digit_or = |(at, byte): (usize, u8)| match at {
        8 => byte == b'T',
        18 => byte == b'Z',
        _ => byte.is_ascii_digit(),
    };
    let is_ours = VENUE_WORDS.contains(&venue_word)
        && stamp.bytes().enumerate().all(is_digit_or)
        && [CAPTURE, TAPE, PART].contains(&ending);
    is_ours.then_some(stamp)
}

/// Length of `20261122T185121123Z`.
const STAMP_LEN: usize = 19;

/// UTC to the millisecond, in an order that is that of time.
fn stamp(time: Nanos) -> String {
    let ([year, month, day], [hour, minute, second]) = civil(time);
    let ms = time.epoch_ms() % 1_000;
    format!("{year:04}{month:02}{day:02}T{hour:02}{minute:02}{second:02}{ms:03}Z")
}

/// Bytes on the disk of this path that a program without privileges may still take.
pub fn free_bytes(path: &Path) -> io::Result<u64> {
    let disk = rustix::fs::statvfs(path)?;
    Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
}

#[cfg(test)]
mod tests {
    use super::super::tests::Place;
    use super::*;

    #[test]
    fn stamps_are_dates_in_the_order_of_time() {
        for (seconds, text) in [
            (0, "19700101T000000000Z"),
            (951_782_400, "20000229T000000000Z"),
            (951_868_800, "20000301T000000000Z"),
            (1_735_689_599, "20241231T235959000Z"),
            (1_790_000_000, "20260921T141320000Z"),
            (4_107_542_400, "21000301T000000000Z"),
        ] {
            assert_eq!(stamp(Nanos(seconds * 1_000_000_000)), text);
        }
    }

    #[test]
    fn only_names_of_our_whole_form_are_ours() {
        let stamp = "20260921T141320007Z";
        for name in [
            "parallax-both-20260921T141320007Z.tape",
            "parallax-extended-20260921T141320007Z.capture.gz",
            "parallax-lighter-20260921T141320007Z.tape.part",
        ] {
            assert_eq!(stamp_of(name), Some(stamp), "{name}");
        }
        for name in [
            "parallax-both-20260921T141320007Z.tape.bak",
            "parallax-both-20260921T141320007Z",
            "parallax-both-20260921.tape",
            "parallax-mine-20260921T141320007Z.tape",
            "my-parallax-both-20260921T141320007Z.tape",
            "parallax-both-2026O921T141320007Z.tape",
            "parallax-both-é0260921T141320007Z.tape",
            "btc.tape",
            "",
        ] {
            assert_eq!(stamp_of(name), None, "{name}");
        }
    }

    #[test]
    fn the_oldest_of_ours_go_first_and_nothing_else() {
        let place = Place::new("prune");
        let ours = |ms: u64, ending: &str| {
            let path = format!("{PREFIX}both-{}{ending}", stamp(Nanos(ms * 1_000_000)));
            place.path().join(path)
        };
        let old = [
            ours(1, TAPE),
            ours(2, CAPTURE),
            ours(3, TAPE),
            ours(4, TAPE),
        ];
        let others = ["notes.txt", "a.tape"].map(|name| place.path().join(name));
        for path in old.iter().chain(&others) {
            fs::write(path, [0; 100]).unwrap();
        }
        // A link of our form to a file of somebody else's.
        std::os::unix::fs::symlink(&others[0], ours(0, TAPE)).unwrap();
        let folder = Folder::open(place.path(), 250).unwrap();
        assert_eq!(folder.prune(&[old[0].clone()]).unwrap(), (2, 200));
        let is_there = |path: &PathBuf| path.exists();
        assert_eq!(old.each_ref().map(is_there), [true, false, false, true]);
        assert!(others.iter().all(is_there) && ours(0, TAPE).exists());
        assert_eq!(folder.prune(&[]).unwrap(), (0, 200));
        // What is in work stays, even beyond the bound.
        let tight = Folder {
            bytes_max: 0,
            ..folder
        };
        assert_eq!(tight.prune(&old).unwrap(), (0, 200));
        assert_eq!(tight.prune(&[]).unwrap(), (2, 0));
        assert!(others.iter().all(is_there));
    }

    #[test]
    fn one_recorder_a_folder_and_no_half_tapes() {
        let place = Place::new("lock");
        let half = format!("parallax-both-{}{PART}", stamp(Nanos(5)));
        fs::write(place.path().join(&half), "half").unwrap();
        let first = Folder::open(place.path(), 1).unwrap();
        assert!(!place.path().join(half).exists());
        let second = Folder::open(place.path(), 1).err().unwrap();
        assert!(matches!(second, CaptureError::Taken(_)), "{second}");
        drop(first);
        assert!(Folder::open(place.path(), 1).is_ok());
        let file = place.path().join("file");
        fs::write(&file, "").unwrap();
        let unusable = Folder::open(&file, 1).err().unwrap();
        assert!(matches!(unusable, CaptureError::Folder(..)), "{unusable}");
    }

    #[test]
    fn the_disk_tells_what_is_free() {
        assert!(free_bytes(&std::env::temp_dir()).unwrap() > 0);
        assert!(free_bytes(Path::new("no/such/folder")).is_err());
    }
}
