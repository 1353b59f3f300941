//! The segment that is being recorded: one gzip file, line by line.
//!
//! Promises: what was flushed is there after a crash and can be converted; the header is flushed at
//! once. Its form is `sim::tape::live`'s.

use crate::market::Venue;
use crate::market::units::Nanos;
use crate::sim::tape::live::{Header, line};
use flate2::Compression;
use flate2::write::GzEncoder;
use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;

/// A capture under way.
pub struct Segment {
    path: PathBuf,
    began: Nanos,
    encoder: GzEncoder<File>,
    /// Reused for every line.
    line: Vec<u8>,
}

impl Segment {
    /// Begins a file that must not be there yet.
    pub fn create(path: PathBuf, header: &Header, began: Nanos) -> io::Result<Segment> {
        let file = File::create_new(&path)?;
        let mut segment = Segment {
            path,
            began,
            // Fast: about half larger than the best, at a tenth of its work; it does not live long.
            encoder: GzEncoder::new(file, Compression::fast()),
            line: serde_json::to_vec(header)?,
        };
        segment.line.push(b'\n');
        segment.encoder.write_all(&segment.line)?;
        segment.flush()?;
        Ok(segment)
    }

    /// Writes down one message.
    pub fn write(&mut self, t_recv: Nanos, venue: Venue, message: &[u8]) -> io::Result<()> {
        self.line.clear();
        line(t_recv, venue, message, &mut self.line);
        self.encoder.write_all(&self.line)
    }

    /// Hands everything to the system; how long the file is then.
    pub fn flush(&mut self) -> io::Result<u64> {
        self.encoder.flush()?;
        Ok(self.encoder.get_ref().metadata()?.len())
    }

    /// Where it is.
    pub fn path(&self) -> &PathBuf {
        &self.path
    }

    /// When it began.
    pub fn began(&self) -> Nanos {
        self.began
    }

    /// Ends the file.
    pub fn finish(self) -> io::Result<()> {
        self.encoder.finish().map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Place, header};
    use super::*;
    use flate2::read::GzDecoder;
    use std::io::Read;

    #[test]
    fn what_was_flushed_can_be_read() {
        let place = Place::new("segment");
        let path = place.path().join("one.gz");
        let mut segment = Segment::create(path.clone(), &header(), Nanos(5)).unwrap();
        let read = || {
            let mut text = String::new();
            let whole = GzDecoder::new(File::open(&path).unwrap()).read_to_string(&mut text);
            (text, whole.is_ok())
        };
        let (first, is_whole) = read();
        assert!(
            first.starts_with("{\"parallax_capture\":1,") && !is_whole,
            "{first}"
        );
        segment
            .write(Nanos(7), Venue::Lighter, b"{\"a\":\r\n1}")
            .unwrap();
        assert_eq!(read().0, first);
        let bytes = segment.flush().unwrap();
        assert_eq!(bytes, std::fs::metadata(&path).unwrap().len());
        let line = "7 lighter {\"a\":  1}\n";
        assert_eq!(read(), (format!("{first}{line}"), false));
        segment.finish().unwrap();
        assert_eq!(read(), (format!("{first}{line}"), true));
        assert!(Segment::create(path, &header(), Nanos(5)).is_err());
    }
}
