//! What a lone leg risked: how much stood alone for how long, and what it was worth meanwhile.
//!
//! Followed from fill to fill, and looked at with each book message of its instrument and at each
//! beat, but only while the legs are uneven. The price it is judged by is what its own book gives
//! for all of it at that moment; it is compared with what the leg was entered at or, on the way
//! out, with what the exit had promised for it.
//!
//! Promises: neither memory nor a clock of its own; a pair that is even costs one test.
//! Refuses: to act on what it sees.

use crate::market::book::Side;
use crate::market::units::{Nanos, Notional, Price, SECOND, Size};

/// The account of one stretch of unevenness.
#[derive(Clone, Copy, Debug, Default)]
pub struct Alone {
    size: Size,
    /// What it is compared with.
    basis: Price,
    /// What its notional is taken at: the last price seen.
    price: Price,
    /// Up to when it is counted.
    t: Nanos,
    /// USD-seconds so far.
    pub usd_s: Notional,
    /// Most that stood alone at any moment.
    pub most: Notional,
    /// Least it was worth against its basis; zero when it was never looked at.
    pub worst: Notional,
    /// Most.
    pub best: Notional,
    is_seen: bool,
}

impl Alone {
    /// So much stands alone from now on.
    pub fn set(&mut self, t: Nanos, size: Size, basis: Price) {
        self.pass(t);
        if self.size.0 == 0 {
            self.price = basis;
        }
        self.size = size;
        self.basis = basis;
        self.note_most();
    }

    /// Its book gives this for it now, closing on `side`.
    pub fn look(&mut self, t: Nanos, price: Price, side: Side) {
        self.pass(t);
        self.price = price;
        self.note_most();
        let better = match side {
            Side::Ask => price - self.basis,
            Side::Bid => self.basis - price,
        };
        let worth = better * self.size;
        if !self.is_seen {
            (self.worst, self.best) = (worth, worth);
            self.is_seen = true;
        }
        self.worst = Notional(self.worst.0.min(worth.0));
        self.best = Notional(self.best.0.max(worth.0));
    }

    /// How much stands alone.
    pub fn size(&self) -> Size {
        self.size
    }

    fn note_most(&mut self) {
        self.most = Notional(self.most.0.max((self.price * self.size).0));
    }

    /// Counts what has stood until now. A billionth of a dollar is not carried on: so a day of ten
    /// million dollars stays far within the type.
    fn pass(&mut self, t: Nanos) {
        // Reports of one turn mostly bear one time: then there is nothing to divide.
        if t <= self.t {
            return;
        }
        if self.size.0 != 0 {
            let ns = i128::from(t.since(self.t));
            let notional = (self.price * self.size).0;
            self.usd_s += Notional(notional / i128::from(SECOND) * ns);
        }
        self.t = t;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::market::units::SCALE;

    #[test]
    fn dollars_times_seconds_and_the_worst_and_best_of_it() {
        let price = |usd: i64| Price(usd * SCALE);
        let at = |second: u64| Nanos((100 + second) * SECOND);
        let mut alone = Alone::default();
        alone.set(at(0), Size(2 * SCALE), price(100));
        alone.look(at(1), price(101), Side::Ask);
        alone.look(at(2), price(97), Side::Ask);
        // Half of it is hedged; what is left is looked at once more, a report came out of order.
        alone.set(at(4), Size(SCALE), price(100));
        alone.look(at(3), price(103), Side::Ask);
        alone.set(at(5), Size::ZERO, price(100));
        alone.set(at(50), Size::ZERO, price(100));
        let usd_s = 2 * 100 + 2 * 101 + 2 * 2 * 97 + 103;
        assert_eq!(alone.usd_s, Notional::from_usd(usd_s));
        assert_eq!(alone.most, Notional::from_usd(2 * 101));
        assert_eq!(alone.worst, Notional::from_usd(-6));
        assert_eq!(alone.best, Notional::from_usd(3));
        let mut short = Alone::default();
        short.set(at(0), Size(SCALE), price(100));
        short.look(at(1), price(97), Side::Bid);
        assert_eq!(short.worst, Notional::from_usd(3));
    }
}
