//! How many market-data messages a second a tape makes, and at which speed it makes those wanted.
//!
//! Counted, for every market and as a client that subscribed to all would: on Extended each depth
//! frame (a delta of the full book) and each move of the touch (a frame of `depth=1`), on Lighter
//! each batch with a depth frame in it (an update of `order_book`) and each move of the touch (one
//! of `ticker`). Not counted, and sent on top: trades, mark, index, statistics, funding, snapshots,
//! and what is planted.
//!
//! Lighter's batch keeps its 50 ms at the tape's own speed and below. On a tape played faster the
//! batch is shorter in proportion, so that messages grow with the speed and their mix stays.

use super::Tape;
use super::mids::Walk;
use crate::market::units::SECOND;
use crate::market::{InstrumentId, VENUES, Venue};

/// Lighter's books are told in batches of this length. (Captured mainnet frames of 2026-07: median
/// gap 50.7 ms.)
const BATCH_NS: u64 = 50_000_000;
/// Slowest and fastest that a tape is played.
const SPEEDS: [f64; 2] = [0.01, 1_000.0];

/// What a stream shows, counted.
#[derive(Clone, Debug)]
pub(super) struct Pace {
    /// When its depth frames are, nanoseconds of tape time.
    frames_ns: Vec<u64>,
    /// How many of them move the touch.
    touches_len: usize,
}

impl Pace {
    /// Of what is played: the tape ends with its shortest stream.
    pub(super) fn new(walk: &Walk, span_ns: u64) -> Pace {
        let played = || walk.books.iter().filter(|(t_ns, _)| *t_ns < span_ns);
        Pace {
            frames_ns: played().map(|(t_ns, _)| *t_ns).collect(),
            touches_len: played().filter(|(_, moved)| *moved).count(),
        }
    }

    /// Messages in one pass, when a batch is `batch_ns` of tape time long.
    fn messages(&self, venue: Venue, batch_ns: u64) -> usize {
        let books_len = match venue {
            Venue::Extended => self.frames_ns.len(),
            Venue::Lighter => {
                let batches = self.frames_ns.iter().map(|t_ns| t_ns / batch_ns);
                let mut last = None;
                batches
                    .filter(|batch| last.replace(*batch) != Some(*batch))
                    .count()
            }
        };
        books_len + self.touches_len
    }
}

/// Messages a second that a tape can be played at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateRange {
    /// At its slowest.
    pub least: u32,
    /// At its fastest.
    pub most: u32,
}

/// Length of Lighter's batch where the tape is played at `speed`.
pub fn batch_ns(speed: f64) -> u64 {
    ((BATCH_NS as f64 / speed.max(1.0)) as u64).max(1)
}

impl Tape {
    /// Messages a second of both venues together, over this many markets.
    pub fn messages_per_second(&self, speed: f64, markets_len: usize) -> f64 {
        let batch_ns = ((BATCH_NS as f64 * speed.min(1.0)) as u64).max(1);
        let of_base = |idx: usize| -> usize {
            let base = self.base(InstrumentId(idx as u16));
            let venues = VENUES.map(|venue| base.paces[venue.idx()].messages(venue, batch_ns));
            venues.iter().sum()
        };
        let bases_len = self.bases.len();
        let copies = |idx: usize| (markets_len + bases_len - 1 - idx) / bases_len;
        let messages: usize = (0..bases_len).map(|idx| copies(idx) * of_base(idx)).sum();
        messages as f64 * speed * SECOND as f64 / self.span_ns as f64
    }

    /// What [`Tape::speed`] can answer.
    pub fn rate_range(&self, markets_len: usize) -> RateRange {
        let [least, most] = SPEEDS.map(|speed| self.messages_per_second(speed, markets_len));
        RateRange {
            least: least.ceil() as u32,
            most: most.floor() as u32,
        }
    }

    /// The speed at which both venues together make `rate` messages a second over this many
    /// markets; `None` outside [`Tape::rate_range`].
    pub fn speed(&self, rate: u32, markets_len: usize) -> Option<f64> {
        let range = self.rate_range(markets_len);
        if !(range.least..=range.most).contains(&rate) {
            return None;
        }
        let rate = f64::from(rate);
        let own = self.messages_per_second(1.0, markets_len);
        if rate >= own {
            return Some(rate / own);
        }
        // Below its own speed the frames fall into more batches: no formula, so it is searched.
        let (mut low, mut high) = (SPEEDS[0], 1.0);
        for _ in 0..30 {
            let middle = (low + high) / 2.0;
            if self.messages_per_second(middle, markets_len) < rate {
                low = middle;
            } else {
                high = middle;
            }
        }
        Some(high)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_are_counted_once() {
        let books = vec![
            (0, true),
            (10, false),
            (49, true),
            (50, false),
            (175, true),
            (400, true),
        ];
        let walk = Walk {
            span_ns: 400,
            mids: Vec::new(),
            books,
        };
        let pace = Pace::new(&walk, 400);
        assert_eq!(pace.messages(Venue::Extended, 50), 5 + 3);
        // 0, 10 and 49 share a batch.
        assert_eq!(pace.messages(Venue::Lighter, 50), 3 + 3);
        assert_eq!(pace.messages(Venue::Lighter, 1), 5 + 3);
    }

    #[test]
    fn the_speed_gives_the_rate_asked_for() {
        let tape = Tape::embedded();
        for markets_len in [1, 2, 7, 200] {
            let own = tape.messages_per_second(1.0, markets_len) as u32;
            let range = tape.rate_range(markets_len);
            for rate in [range.least, own / 7, own - 1, own * 3, 20_000, range.most] {
                let speed = tape.speed(rate, markets_len).unwrap();
                let made = tape.messages_per_second(speed, markets_len);
                let off = (made / f64::from(rate) - 1.0).abs();
                // The slowest is rounded up to a whole message.
                assert!(off < 0.02, "{markets_len} markets, {rate}: {made}");
            }
            assert_eq!(tape.speed(range.least - 1, markets_len), None);
            assert_eq!(tape.speed(range.most + 1, markets_len), None);
        }
        // Copies count as often as they are listed.
        let [one, both] = [1, 2].map(|n| tape.messages_per_second(1.0, n));
        let three = tape.messages_per_second(1.0, 3);
        assert!((three - one - both).abs() < 1e-6);
    }

    #[test]
    fn a_batch_is_never_longer_than_the_venues() {
        assert_eq!(batch_ns(1.0), 50_000_000);
        assert_eq!(batch_ns(0.1), 50_000_000);
        assert_eq!(batch_ns(10.0), 5_000_000);
    }
}
