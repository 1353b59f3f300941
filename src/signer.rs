//! Stage, cold: makes nonce points ahead and keeps the link to one gateway full.
//!
//! One per venue that trades, on a thread of its own that is not pinned and sleeps when the link is
//! full. It owns its own copy of the key and nothing else; what it makes leaves by the link only.
//! Promises: points arrive in the order they were made, each once; a full link makes it wait, an
//! empty one makes the gateway sign in full. Refuses to make points that would not fit: what is not
//! on the link does not exist.

use crate::market::Venue;
use crate::market::units::Nanos;
use crate::stage::Stage;
use crate::stage::link::{Rx, Tx};
use crate::venue::points::{Maker, Point};

/// Points that are left for orders that must go out: orders are signed ahead with what is above it,
/// half of what the link holds. Larger: fewer lie ready after a burst. Smaller: the next burst
/// signs in full.
pub const POINTS_KEPT: usize = 32;

/// The stage. See the module's page.
pub struct Signer<M: Maker> {
    name: &'static str,
    maker: M,
    points: Tx<M::Point>,
}

impl<M: Maker> Signer<M> {
    /// A signer for a venue's gateway; `points` must hold a batch.
    pub fn new(venue: Venue, maker: M, points: Tx<M::Point>) -> Signer<M> {
        assert!(
            points.room() >= M::BATCH,
            "the link holds less than a batch"
        );
        Signer {
            name: match venue {
                Venue::Extended => "signer-extended",
                Venue::Lighter => "signer-lighter",
            },
            maker,
            points,
        }
    }
}

impl<M: Maker> Stage for Signer<M> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn start(&mut self, now: Nanos) {
        while self.turn(now) > 0 {}
    }

    /// Makes one batch if it fits. Without randomness nothing is made; the next turn tries again.
    fn turn(&mut self, _now: Nanos) -> usize {
        if self.points.room() < M::BATCH {
            return 0;
        }
        let points = &mut self.points;
        let made = self.maker.prepare(|point| {
            let put = points.push(point.move_out());
            debug_assert!(
                put.is_ok(),
                "only this end writes, and the room was counted"
            );
        });
        made.map_or(0, |()| M::BATCH)
    }

    fn housekeeping(&mut self, _now: Nanos) {}

    fn stop(&mut self, _now: Nanos) -> u64 {
        0
    }
}

/// The gateway's end: points in the order they were made.
pub struct Ahead<P> {
    points: Rx<P>,
}

impl<P: Point> Ahead<P> {
    /// Over the reading end of a `points.*` link.
    pub fn new(points: Rx<P>) -> Ahead<P> {
        Ahead { points }
    }

    /// Points that wait, at least.
    #[inline]
    pub fn waiting(&self) -> usize {
        self.points.waiting()
    }

    /// The next point, if one is ready; its place on the link is wiped.
    #[inline]
    pub fn take(&mut self) -> Option<P> {
        self.points.pop_with(P::move_out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stage::link::link;
    use crate::venue::points::NoPoints;

    /// Stands in for a point: its number; 0 once it was moved out.
    struct Numbered(u64);

    impl Point for Numbered {
        fn move_out(&mut self) -> Numbered {
            Numbered(std::mem::take(&mut self.0))
        }
    }

    /// Makes numbers from 1 up; fails in the rounds it is told to.
    struct Counter {
        last: u64,
        round: u32,
        fails_at: Option<u32>,
    }

    impl Maker for Counter {
        type Point = Numbered;
        const BATCH: usize = 4;

        fn prepare(&mut self, mut put: impl FnMut(&mut Numbered)) -> Result<(), NoPoints> {
            self.round += 1;
            if self.fails_at == Some(self.round) {
                return Err(NoPoints);
            }
            for _ in 0..Counter::BATCH {
                self.last += 1;
                let mut point = Numbered(self.last);
                put(&mut point);
                assert_eq!(point.0, 0, "moved on, not copied");
            }
            Ok(())
        }
    }

    fn pair(fails_at: Option<u32>) -> (Signer<Counter>, Ahead<Numbered>) {
        let (tx, rx) = link("points.test", 8);
        let maker = Counter {
            last: 0,
            round: 0,
            fails_at,
        };
        (Signer::new(Venue::Lighter, maker, tx), Ahead::new(rx))
    }

    #[test]
    fn the_start_fills_the_link_and_a_full_link_waits() {
        let (mut signer, mut ahead) = pair(None);
        signer.start(Nanos::ZERO);
        assert_eq!(signer.turn(Nanos::ZERO), 0);
        for expected in 1..=3 {
            assert_eq!(ahead.take().map(|point| point.0), Some(expected));
        }
        assert_eq!(signer.turn(Nanos::ZERO), 0, "a batch does not fit yet");
        assert_eq!(ahead.take().map(|point| point.0), Some(4));
        assert_eq!(signer.turn(Nanos::ZERO), 4);
        let rest: Vec<u64> = std::iter::from_fn(|| ahead.take()).map(|p| p.0).collect();
        assert_eq!(rest, [5, 6, 7, 8, 9, 10, 11, 12]);
        assert!(
            ahead.take().is_none(),
            "an empty link is an ordinary answer"
        );
    }

    #[test]
    fn without_randomness_nothing_is_made_and_the_next_turn_tries_again() {
        let (mut signer, mut ahead) = pair(Some(1));
        signer.start(Nanos::ZERO);
        assert!(ahead.take().is_none());
        assert_eq!(signer.turn(Nanos::ZERO), 4);
        assert_eq!(ahead.take().map(|point| point.0), Some(1));
    }
}
