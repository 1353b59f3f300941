//! What a match found: how much of the book lay within our limit when a fill was heard, and how
//! much worse the fill was than the ladder when its order left. Fills teach from here.
//!
//! Looked at when the orders of what was heard have left, or before a book changes, whichever comes
//! first: a hedge does not wait for statistics, and they are of the book that it met.
//! Promises: fixed memory; a fill too many in one turn is not weighed. Refuses: to decide anything.

use crate::market::book::Side;
use crate::market::event::Event;
use crate::market::order::{Report, ReportKind};
use crate::market::units::{Nanos, Price, Size};
use crate::market::{InstrumentId, Venue};
use crate::scanner::Scanner;
use crate::scanner::impact::{Foreseen, part_of, worse};
use crate::scanner::pair::Pair;
use crate::scanner::send::executable;
use crate::scanner::spread::Haircut;

/// Fills of one turn that are weighed.
const MATCHES_MAX: usize = 16;
/// More depth than any of our sizes.
const ALL: Size = Size(i64::MAX / 4);

/// Fills of one turn.
#[derive(Default)]
pub struct Matches {
    waiting: [Option<Matched>; MATCHES_MAX],
    len: usize,
}

/// A fill and its order.
#[derive(Clone, Copy)]
struct Matched {
    pair: u32,
    instrument: InstrumentId,
    venue: Venue,
    side: Side,
    opens: bool,
    /// The order's limit, what it asked, and what the ladder showed for it.
    limit: Price,
    asked: Size,
    shown: Price,
    foreseen: Foreseen,
    price: Price,
    size: Size,
}

impl Matches {
    /// Some wait to be weighed.
    #[inline]
    pub(super) fn is_any(&self) -> bool {
        self.len > 0
    }
}

impl Scanner {
    /// A pair's order has filled: weighed when the pairs have acted. Called before the fill is
    /// booked, while the order is there.
    pub(super) fn note_match(&mut self, slot: usize, report: &Report) {
        let ReportKind::Fill { price, size, .. } = report.kind else {
            return;
        };
        let (pair, venue) = (&self.pairs[slot], report.venue);
        let order = pair.legs[venue.idx()].order.as_ref();
        let Some(order) = order.filter(|order| order.id == report.order) else {
            return;
        };
        let Some(place) = self.matches.waiting.get_mut(self.matches.len) else {
            return;
        };
        *place = Some(Matched {
            pair: pair.number,
            instrument: pair.instrument,
            venue,
            side: order.side,
            opens: order.role.opens(),
            limit: order.price,
            asked: order.size,
            shown: order.shown,
            foreseen: pair.foreseen[venue.idx()],
            price,
            size,
        });
        self.matches.len += 1;
    }

    /// Tells the depth found and learns from the price, of each fill that waits.
    pub(super) fn weigh_matches(&mut self) {
        for idx in 0..std::mem::take(&mut self.matches.len) {
            let Some(one) = self.matches.waiting[idx].take() else {
                continue;
            };
            let board = &mut self.boards[one.instrument.idx()];
            let depth = board.within(one.venue, (one.side, one.limit), Haircut::NONE, ALL);
            if one.shown.0 > 0 {
                let worse = worse(one.side == Side::Bid, one.price, one.shown);
                let part = part_of(one.size, one.asked);
                board.own.learn_fill(one.venue, one.opens, worse, part);
                if one.opens {
                    board.own.learn_impact(worse, one.foreseen, part);
                }
            }
            self.desk.note(Event::Matched {
                pair: one.pair,
                venue: one.venue,
                opens: one.opens,
                size: one.size,
                depth,
            });
        }
    }

    /// What the ladder shows for orders that have just left without a promise of this moment
    /// (hedges and closes): after they are out, on the book that they were priced by.
    pub(super) fn note_shown(&mut self, slot: usize, now: Nanos) {
        let Pair {
            legs, instrument, ..
        } = &mut self.pairs[slot];
        let board = &self.boards[instrument.idx()];
        for (venue, leg) in crate::market::VENUES.into_iter().zip(legs) {
            let Some(order) = leg.order.as_mut() else {
                continue;
            };
            if order.shown.0 == 0 && order.t_push == now && !order.never_left {
                let shown = executable(board, venue, order.side, order.size);
                order.shown = shown.unwrap_or_default();
            }
        }
    }
}
