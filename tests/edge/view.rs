//! A simple book view: sorted maps, rebuilt from the same messages the scanner gets.

use parallax::market::book::{Delta, Side, flags};
use parallax::market::units::{Price, Size};
use std::collections::BTreeMap;

/// One venue's book of one market.
#[derive(Clone, Debug, Default)]
pub struct View {
    sides: [BTreeMap<i64, i64>; 2],
    /// The fast top while it is ahead: price and size.
    top: Option<[Option<(i64, i64)>; 2]>,
}

/// A side of it, taken to a size.
#[derive(Clone, Copy, Debug)]
pub struct Taken {
    /// Price of the last level.
    pub worst: Price,
    /// Average price.
    pub average: f64,
}

impl View {
    pub fn apply(&mut self, delta: &Delta) {
        let has = |flag: u8| delta.flags & flag != 0;
        if has(flags::CLEAR) {
            self.sides = Default::default();
        }
        if has(flags::CLEAR | flags::CAUGHT_UP) {
            self.top = None;
        }
        let side = delta.side.idx();
        if has(flags::TOP) {
            let level = (!has(flags::EMPTY)).then_some((delta.price.0, delta.size.0));
            self.top.get_or_insert_default()[side] = level;
        } else if delta.size == Size::ZERO {
            self.sides[side].remove(&delta.price.0);
        } else {
            self.sides[side].insert(delta.price.0, delta.size.0);
        }
    }

    /// Levels of a side, best first: the fast top, then what is worse.
    pub fn levels(&self, side: Side) -> impl Iterator<Item = (i64, i64)> + '_ {
        let is_bid = side == Side::Bid;
        let rows = &self.sides[side.idx()];
        let asks = (!is_bid).then(|| rows.iter()).into_iter().flatten();
        let bids = is_bid.then(|| rows.iter().rev()).into_iter().flatten();
        let top = self.top.and_then(|top| top[side.idx()]);
        let is_behind = move |price: i64| match (top, is_bid) {
            (None, _) => true,
            (Some((best, _)), true) => price < best,
            (Some((best, _)), false) => price > best,
        };
        let rest = asks.chain(bids).map(|(price, size)| (*price, *size));
        let rest = rest.filter(move |(price, _)| is_behind(*price));
        top.into_iter().chain(rest)
    }

    /// Best bid and ask.
    pub fn touch(&self) -> Option<(f64, f64)> {
        let best = |side| self.levels(side).next().map(|(price, _)| price as f64);
        Some((best(Side::Bid)?, best(Side::Ask)?))
    }

    pub fn mid(&self) -> Option<f64> {
        self.touch().map(|(bid, ask)| (bid + ask) / 2.0)
    }

    /// Half of the spread in bps of the mid.
    pub fn half_spread(&self) -> f64 {
        self.touch().map_or(f64::INFINITY, |(bid, ask)| {
            (ask - bid) / (ask + bid) * 10_000.0
        })
    }

    /// What an order of this side meets for a size; `None` when the side is too thin.
    pub fn take(&self, side: Side, size: Size) -> Option<Taken> {
        let (mut left, mut paid) = (size.0, 0.0);
        for (price, there) in self.levels(side.other()) {
            let piece = left.min(there);
            left -= piece;
            paid += price as f64 * piece as f64;
            if left == 0 {
                return Some(Taken {
                    worst: Price(price),
                    average: paid / size.0 as f64,
                });
            }
        }
        None
    }
}
