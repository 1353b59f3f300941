//! One market of one venue in play: its place on the tape, its two sides, its mark.
//!
//! Promises: what is told as changed is exactly the difference between what was shown and what is
//! shown. Refuses: to know the time of day or the schedule; `flow` gives it a view and a frame.

use crate::market::InstrumentId;
use crate::market::book::Side;
use crate::market::units::{Nanos, Price, Size};
use crate::sim::exchange::{Change, Happening};
use crate::sim::flow::FlowOptions;
use crate::sim::ladder::{FACTOR_ONE, Ladder, Move, View};
use crate::sim::tape::codec::{Cursor, Frame, Kind};
use crate::sim::tape::{Seam, Tape};

/// Prices are displaced in steps of a quarter of a basis point.
const QUANTA_PER_BPS: f64 = 4.0;
/// One such step in the ladder's factor.
const QUANTUM_E9: i64 = 25_000;
/// Share of the way the mark goes each second, 10^-6: a lag of five seconds, 1 - exp(-1/5).
const MARK_SHARE_E6: i64 = 181_269;
/// Clones of an instrument are this far apart on the tape, so that they do not move together.
const CLONE_NS: u64 = 1_700_000_000;

/// One market in play.
#[derive(Clone, Debug)]
pub(super) struct Playing {
    pub(super) instrument: InstrumentId,
    /// At the next frame.
    pub(super) cursor: Cursor,
    /// Tape time at which this market was when the run started.
    pub(super) offset_ns: u64,
    /// Finished passes over the tape.
    pub(super) pass: u64,
    /// What the passes after the first must bridge.
    pub(super) seam: Seam,
    pub(super) sides: [Ladder; 2],
    /// Quanta of displacement and depth shown now.
    pub(super) view: View,
    /// Not on the tick: rounding each second would stop it short of where it goes.
    pub(super) mark: Price,
    pub(super) index: Price,
    pub(super) tick: Price,
    pub(super) lot: Size,
}

impl Playing {
    /// Ready to be wound to its offset.
    pub(super) fn new(tape: &Tape, options: &FlowOptions, instrument: InstrumentId) -> Playing {
        let stream = tape.stream(options.venue, instrument);
        let clone_idx = (instrument.idx() / tape.bases().len()) as u64;
        let lead = tape.lead_ns();
        let offset_ns = lead + (clone_idx * CLONE_NS) % (tape.span_ns() - lead).max(1);
        Playing {
            instrument,
            cursor: stream.cursor(),
            offset_ns,
            pass: 0,
            seam: tape.seam(options.venue, instrument),
            sides: [Ladder::new(Side::Bid), Ladder::new(Side::Ask)],
            view: View::PLAIN,
            mark: stream.tick,
            index: stream.tick,
            tick: stream.tick,
            lot: stream.lot,
        }
    }

    /// A tick of this market as a price.
    pub(super) fn price(&self, tick: i64) -> Price {
        Price(tick * self.tick.0)
    }

    /// Lots of this market as a size.
    pub(super) fn size(&self, lots: i64) -> Size {
        Size(lots * self.lot.0)
    }

    /// Middle of the shown touch; `None` while a side is empty.
    pub(super) fn mid(&self) -> Option<Price> {
        let (bid, _) = self.sides[0].shown().next()?;
        let (ask, _) = self.sides[1].shown().next()?;
        Some(Price((bid + ask) * self.tick.0 / 2))
    }

    /// Applies a frame under a view; what is shown differently is told.
    pub(super) fn apply(
        &mut self,
        frame: &Frame,
        view: View,
        moves: &mut Vec<Move>,
        changes: &mut Vec<Change>,
    ) {
        self.view = view;
        let clear = frame.kind == Kind::Snapshot;
        for side in [Side::Bid, Side::Ask] {
            let levels = match side {
                Side::Bid => &frame.bids,
                Side::Ask => &frame.asks,
            };
            moves.clear();
            self.sides[side.idx()].apply(clear, levels, view, moves);
            self.tell(side, moves, changes);
        }
    }

    /// Moves of one side, in the words of happenings.
    pub(super) fn tell(&self, side: Side, moves: &[Move], changes: &mut Vec<Change>) {
        changes.extend(moves.iter().map(|change| Change {
            side,
            price: self.price(change.tick),
            before: self.size(change.before),
            after: self.size(change.after),
        }));
    }

    /// A public trade, at the price the book is shown at.
    pub(super) fn trade(&self, frame: &Frame, side: Side, t: Nanos) -> Happening {
        let (levels, up) = match side {
            Side::Bid => (&frame.bids, true),
            Side::Ask => (&frame.asks, false),
        };
        let (tick, lots) = levels.first().copied().unwrap_or((0, 0));
        let wide = i128::from(tick * self.tick.0) * i128::from(self.view.factor_e9);
        let scaled = Price((wide / i128::from(FACTOR_ONE)) as i64);
        Happening::PublicTrade {
            instrument: self.instrument,
            side,
            // Away from the middle, as the book it was done in.
            price: if up {
                scaled.ceil_to(self.tick)
            } else {
                scaled.floor_to(self.tick)
            },
            size: self.size(lots),
            number: 0,
            t,
        }
    }
}

/// Reads a frame of a tape that was walked through when it was loaded.
pub(super) fn read(cursor: &mut Cursor, frames: &[u8], frame: &mut Frame) {
    let more = cursor.read(frames, frame);
    debug_assert!(matches!(more, Ok(true)), "Tape::new has walked every frame");
}

/// A displacement in bps as the ladder's factor, quantised: without steps every frame of a decay
/// would rewrite the whole book by amounts nobody can trade on.
pub(super) fn factor_e9(bps: f64) -> i64 {
    let quanta = (bps * QUANTA_PER_BPS).round() as i64;
    FACTOR_ONE + quanta * QUANTUM_E9
}

/// One step of the mark's way.
pub(super) fn nearer(from: Price, to: Price) -> Price {
    let way = i128::from(to.0 - from.0) * i128::from(MARK_SHARE_E6) / 1_000_000;
    Price(from.0 + way as i64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::market::Venue;

    fn playing() -> Playing {
        let options = FlowOptions::new(Venue::Lighter, 1, Nanos(5));
        let mut playing = Playing::new(&Tape::embedded(), &options, InstrumentId(0));
        let frame = Frame {
            bids: vec![(599_999, 50_000)],
            asks: vec![(600_001, 70_000)],
            ..Frame::default()
        };
        let (mut moves, mut changes) = (Vec::new(), Vec::new());
        playing.apply(&frame, View::PLAIN, &mut moves, &mut changes);
        assert_eq!(changes.len(), 2);
        assert_eq!(changes[1].after, Size::parse(b"0.7").unwrap());
        playing
    }

    #[test]
    fn displacement_comes_in_quarters_of_a_basis_point() {
        for (bps, quanta) in [(0.0, 0), (0.1, 0), (0.13, 1), (-0.5, -2), (16.0, 64)] {
            assert_eq!(factor_e9(bps), FACTOR_ONE + quanta * 25_000);
        }
    }

    #[test]
    fn trades_are_shown_with_the_book_and_away_from_the_middle() {
        let mut playing = playing();
        let view = View {
            factor_e9: factor_e9(1.0),
            ..View::PLAIN
        };
        let mut frame = Frame {
            kind: Kind::Depth,
            ..Frame::default()
        };
        playing.apply(&frame, view, &mut Vec::new(), &mut Vec::new());
        // 60,000 and a hundredth of a per cent is 60,006, exactly; one dime more rounds.
        assert_eq!(playing.mid(), Price::parse(b"60006").ok());
        frame.kind = Kind::Trade(Side::Ask);
        frame.asks = vec![(600_001, 3)];
        let price = |happening| match happening {
            Happening::PublicTrade { price, size, .. } => (price, size),
            _ => unreachable!("a trade was asked for"),
        };
        let size = Size(30_000);
        let sold = price(playing.trade(&frame, Side::Ask, Nanos(9)));
        assert_eq!(sold, (Price::parse(b"60006.1").unwrap(), size));
        frame.bids = vec![(600_001, 3)];
        let bought = price(playing.trade(&frame, Side::Bid, Nanos(9)));
        assert_eq!(bought, (Price::parse(b"60006.2").unwrap(), size));
    }

    #[test]
    fn the_mark_covers_two_thirds_of_a_step_in_its_lag() {
        let (from, to) = (Price(60_000_000_000_000), Price(60_060_000_000_000));
        let after = (0..5).fold(from, |mark, _| nearer(mark, to));
        let share = (after.0 - from.0) as f64 / (to.0 - from.0) as f64;
        assert!((share - 0.632).abs() < 0.001, "{share}");
    }
}
