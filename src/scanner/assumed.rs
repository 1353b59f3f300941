//! Fills that only a position report tells of, until the true ones come.
//!
//! Promises: each is booked once, at its order's limit, the worst it can have been; a true fill
//! only corrects the price. Refuses: to conclude anything; that is `send.rs`.

use crate::market::Venue;
use crate::market::book::Side;
use crate::market::order::OrderId;
use crate::market::units::{Notional, Price, Size};
use crate::scanner::pair::{Fill, ORDERS_MASK, Pair, signed};

/// A fill that was concluded from a position report, until the true one comes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Assumed {
    pub id: OrderId,
    pub side: Side,
    pub price: Price,
    pub size: Size,
    /// Orders that the pair had made by then: later ones had no part in it.
    pub orders: u8,
}

/// Orders of one leg that may be judged by the position before the first of them is told. Larger
/// only costs memory; smaller, and a true fill is taken for a second one.
pub const ASSUMED_MAX: usize = 4;

impl Pair {
    /// Books a fill that only a position report tells of, at the order's limit (the worst).
    pub fn assume(&mut self, venue: Venue, fill: &Fill) {
        self.fill(venue, fill);
        let orders = self.orders;
        let all = &mut self.legs[venue.idx()].assumed;
        let is_free = |known: &Option<Assumed>| known.is_none_or(|known| known.size.0 == 0);
        // Full of what is still awaited: the first gives way.
        let at = all.iter().position(is_free).unwrap_or(0);
        all[at] = Some(Assumed {
            id: fill.id,
            side: fill.side,
            price: fill.price,
            size: fill.size,
            orders,
        });
    }

    /// A true fill of something already assumed only corrects the price; what is left over of it
    /// comes back, and by how much the rest was better. The estimated fee stands. The position does
    /// not say whose fill it shows: what was taken for one order's may turn out to be another's or
    /// the venue's own, but not to be both. Where it was both after all, the position shows that
    /// soon.
    pub(super) fn net_assumed(&mut self, venue: Venue, fill: &Fill) -> (Fill, Notional) {
        let (mut rest, mut gained) = (*fill, Notional::ZERO);
        let leg = &mut self.legs[venue.idx()];
        // What an order in flight may do was left out of account when the position was read.
        let is_working = leg.order.is_some_and(|order| order.id == fill.id);
        let number = match fill.id {
            OrderId::NONE => 0,
            id => id.leg_attempt() & ORDERS_MASK,
        };
        for is_other in [false, true] {
            for assumed in leg.assumed.iter_mut().flatten() {
                let is_earlier = !is_working && number <= assumed.orders;
                let is_its = match is_other {
                    false => assumed.id == fill.id,
                    true => assumed.side == fill.side && is_earlier,
                };
                let size = assumed.size.min(rest.size);
                if is_its && size.0 > 0 {
                    assumed.size -= size;
                    rest.size -= size;
                    let better = (fill.price - assumed.price) * size;
                    gained += signed(fill.side, better);
                }
            }
        }
        (rest, gained)
    }

    /// What was concluded of orders from the position, and has not been told as fills yet.
    pub fn untold(&self, venue: Venue) -> [Option<(OrderId, Side, Size)>; ASSUMED_MAX] {
        let untold = |known: Assumed| (known.id, known.side, known.size);
        let assumed = self.legs[venue.idx()].assumed;
        assumed.map(|known| known.filter(|known| known.size.0 > 0).map(untold))
    }

    /// What a leg was found to have lost, to an order or to the venue, and nobody has told yet.
    pub fn closed_untold(&self, venue: Venue) -> Size {
        let untold = self.untold(venue).into_iter().flatten();
        let closed = untold.filter(|(_, side, _)| *side != self.opening_side(venue));
        closed.fold(Size::ZERO, |sum, (_, _, size)| sum + size)
    }

    /// What a venue was found to have taken away of a leg, and has not yet told as a trade.
    pub fn taken_untold(&self, venue: Venue) -> Size {
        let untold = self.untold(venue).into_iter().flatten();
        let taken = untold.filter(|(id, ..)| *id == OrderId::NONE);
        taken.fold(Size::ZERO, |sum, (_, _, size)| sum + size)
    }
}
