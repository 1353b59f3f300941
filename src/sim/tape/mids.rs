//! The one walk through a stream: proves it can be played, and samples its mid price.
//!
//! Promises: after it, playback needs no error paths; basis and seam are measured on what is
//! played, not on other numbers of the same market.

use super::codec::{Frame, Kind};
use super::{Seam, Stream, TapeError};
use crate::market::Venue;
use crate::market::book::Side;
use crate::sim::ladder::{Ladder, View};

/// The mid is sampled this often.
pub const SAMPLE_NS: u64 = 100_000_000;
/// The bases at both ends of the tape are medians over this long: a single spike at the very end
/// must not be carried on for the whole blend.
const SEAM_NS: u64 = 10_000_000_000;

/// What a walk found.
pub struct Walk {
    /// Time of the last frame.
    pub span_ns: u64,
    /// Mid price, 10^-9, at each multiple of [`SAMPLE_NS`].
    pub mids: Vec<i64>,
    /// Time of each depth frame, and whether it moved the touch.
    pub books: Vec<(u64, bool)>,
}

/// Walks through a stream.
pub fn walk(stream: &Stream) -> Result<Walk, TapeError> {
    let mut cursor = stream.cursor();
    let mut frame = Frame::default();
    let mut sides = [Ladder::new(Side::Bid), Ladder::new(Side::Ask)];
    let mut mids = Vec::new();
    let mut moves = Vec::new();
    let mut books = Vec::new();
    let mut last_touch = None;
    let mut first = true;
    let mut mid = 0;
    while cursor.read(&stream.frames, &mut frame)? {
        while (mids.len() as u64) * SAMPLE_NS < frame.t_ns {
            mids.push(mid);
        }
        let whole = frame.kind == Kind::Snapshot;
        if first && (!whole || frame.t_ns != 0) {
            return Err(TapeError::Malformed("a stream begins without its book"));
        }
        first = false;
        if matches!(frame.kind, Kind::Trade(_)) {
            continue;
        }
        moves.clear();
        sides[0].apply(whole, &frame.bids, View::PLAIN, &mut moves);
        sides[1].apply(whole, &frame.asks, View::PLAIN, &mut moves);
        let touch = (sides[0].shown().next(), sides[1].shown().next());
        books.push((frame.t_ns, last_touch.replace(touch) != Some(touch)));
        let (Some((bid, _)), Some((ask, _))) = touch else {
            return Err(TapeError::Malformed("a side of a book is empty"));
        };
        if bid >= ask {
            return Err(TapeError::Malformed("a book is crossed"));
        }
        let ticks = (bid + ask).checked_mul(stream.tick.0);
        mid = ticks.ok_or(TapeError::Malformed("a price is out of range"))? / 2;
    }
    Ok(Walk {
        span_ns: frame.t_ns,
        mids,
        books,
    })
}

/// Median of Lighter's mid over Extended's, less one, in bps, over a part of the tape.
pub fn basis_bps(walks: [&Walk; 2], from_ns: u64, to_ns: u64) -> f64 {
    let [extended, lighter] = walks.map(|walk| &walk.mids);
    let len = extended.len().min(lighter.len());
    // The sample at time zero was taken before the first frame; it is left out.
    let from = ((from_ns / SAMPLE_NS) as usize).clamp(1, len.max(1));
    let to = ((to_ns / SAMPLE_NS) as usize).clamp(from, len.max(1));
    let pairs = extended[from.min(len)..to.min(len)]
        .iter()
        .zip(&lighter[from.min(len)..]);
    let ratio = |(&e, &l): (&i64, &i64)| (l as f64 / e as f64 - 1.0) * 10_000.0;
    let mut bases: Vec<f64> = pairs.map(ratio).collect();
    bases.sort_unstable_by(f64::total_cmp);
    bases.get(bases.len() / 2).copied().unwrap_or(0.0)
}

/// What the loop must bridge, per venue.
pub fn seams(walks: [&Walk; 2], span_ns: u64) -> [Seam; 2] {
    let window = SEAM_NS.min(span_ns / 4);
    let start = basis_bps(walks, 0, window);
    let end = basis_bps(walks, span_ns - window, span_ns);
    let grown = walks.map(|walk| {
        let last = (span_ns / SAMPLE_NS) as usize;
        let last = walk.mids.get(last).or(walk.mids.last()).copied();
        match (walk.mids.get(1), last) {
            (Some(&first), Some(last)) => last as f64 / first as f64,
            _ => 1.0,
        }
    });
    // The price's own way, common to both, is the geometric mean of what the two did; what is left
    // is noise of the two last frames, which must not be carried on, and the bases' difference.
    let common_bps = ((grown[0] * grown[1]).sqrt() - 1.0) * 10_000.0;
    let half = (end - start) / 2.0;
    let mut seams = [Seam {
        common_bps,
        residual_bps: -half,
    }; 2];
    seams[Venue::Lighter.idx()].residual_bps = half;
    seams
}

#[cfg(test)]
mod tests {
    use super::super::codec::Writer;
    use super::*;
    use crate::market::units::{Price, Size};

    fn stream(frames: &[Frame]) -> Stream {
        let mut writer = Writer::default();
        frames.iter().for_each(|frame| writer.write(frame));
        Stream {
            venue: Venue::Lighter,
            base: "BTC".into(),
            tick: Price(100_000_000),
            lot: Size(10_000),
            frames: writer.bytes,
        }
    }

    fn frame(ms: u64, kind: Kind, bid: i64, ask: i64) -> Frame {
        Frame {
            t_ns: ms * 1_000_000,
            kind,
            bids: vec![(bid, 5)],
            asks: vec![(ask, 5)],
        }
    }

    #[test]
    fn mids_are_sampled_as_they_stand() {
        let first = frame(0, Kind::Snapshot, 999, 1_001);
        let second = frame(250, Kind::Snapshot, 1_009, 1_011);
        let last = frame(500, Kind::Depth, 1_009, 1_011);
        let walk = walk(&stream(&[first, second, last])).unwrap();
        assert_eq!(walk.span_ns, 500_000_000);
        let dimes: Vec<_> = walk.mids.iter().map(|mid| mid / 100_000_000).collect();
        assert_eq!(dimes, [1_000, 1_000, 1_000, 1_010, 1_010]);
    }

    #[test]
    fn streams_that_cannot_be_played_are_refused() {
        let good = frame(0, Kind::Snapshot, 999, 1_001);
        let refused = |frames: &[Frame]| walk(&stream(frames)).err().map(|e| e.to_string());
        assert!(refused(std::slice::from_ref(&good)).is_none());
        let crossed = refused(&[good.clone(), frame(5, Kind::Depth, 1_001, 1_002)]);
        assert!(crossed.unwrap().contains("crossed"));
        assert!(refused(&[frame(0, Kind::Depth, 999, 1_001)]).is_some());
        assert!(refused(&[frame(3, Kind::Snapshot, 999, 1_001)]).is_some());
        let empty = Frame {
            asks: Vec::new(),
            ..good
        };
        assert!(refused(&[empty]).unwrap().contains("empty"));
    }

    #[test]
    fn basis_and_seam_are_measured_by_hand() {
        let walk = |mids: &[i64]| Walk {
            span_ns: mids.len() as u64 * SAMPLE_NS,
            mids: mids.iter().map(|mid| mid * 1_000_000).collect(),
            books: Vec::new(),
        };
        // Extended still at 10,000; Lighter 2 bps above it, then 4; one spike.
        let extended = walk(&[10_000; 40]);
        let mut mids = [10_002; 40];
        mids[20..].fill(10_004);
        mids[39] = 10_050;
        let lighter = walk(&mids);
        let both = [&extended, &lighter];
        let near = |value: f64, want: f64| assert!((value - want).abs() < 0.02, "{value} {want}");
        near(basis_bps(both, 0, 1_000_000_000), 2.0);
        near(basis_bps(both, 3_000_000_000, 4_000_000_000), 4.0);
        let [of_extended, of_lighter] = seams(both, 4_000_000_000);
        near(of_lighter.residual_bps, 1.0);
        near(of_extended.residual_bps, -1.0);
        // Lighter went 48 bps by the last sample, Extended none; the geometric mean is common.
        near(of_lighter.common_bps, 23.966);
        near(of_extended.common_bps, 23.966);
    }
}
