//! The account that a run on paper has at one venue: money, positions, and what it is worth.
//!
//! Promises: money moves by fills, fees and funding alone, exactly. A paper account is not levered:
//! its free money is its equity less all that it holds, so that paper never carries what a cautious
//! account would not. Refuses: to know orders.

use crate::market::InstrumentId;
use crate::market::book::Side;
use crate::market::units::{Notional, Price, SCALE, Size};

/// One account.
pub struct Purse {
    cash: Notional,
    positions: Box<[Size]>,
}

impl Purse {
    /// So much money and nothing else.
    pub fn new(equity: Notional, instruments: usize) -> Purse {
        Purse {
            cash: equity,
            positions: vec![Size::ZERO; instruments].into_boxed_slice(),
        }
    }

    /// Signed position.
    pub fn position(&self, instrument: InstrumentId) -> Size {
        let held = self.positions.get(instrument.idx());
        held.copied().unwrap_or(Size::ZERO)
    }

    /// Something is held.
    pub fn is_open(&self) -> bool {
        self.positions.iter().any(|size| size.0 != 0)
    }

    /// A trade: what was bought or sold, at which price, for which fee.
    pub fn trade(
        &mut self,
        instrument: InstrumentId,
        side: Side,
        (price, size): (Price, Size),
        fee: Notional,
    ) {
        let Some(held) = self.positions.get_mut(instrument.idx()) else {
            return;
        };
        self.cash -= fee;
        match side {
            Side::Bid => {
                *held += size;
                self.cash -= price * size;
            }
            Side::Ask => {
                *held -= size;
                self.cash += price * size;
            }
        }
    }

    /// Funding came in; negative: was paid.
    pub fn take(&mut self, amount: Notional) {
        self.cash += amount;
    }

    /// Equity, and what of it is free, with positions worth what `mark` says.
    pub fn worth(&self, mark: impl Fn(InstrumentId) -> Price) -> (Notional, Notional) {
        let (mut equity, mut used) = (self.cash, Notional::ZERO);
        for (idx, size) in self.positions.iter().enumerate() {
            if size.0 != 0 {
                let worth = mark(InstrumentId(idx as u16)) * *size;
                equity += worth;
                used += worth.abs();
            }
        }
        let free = equity - used;
        (equity, free.max(Notional::ZERO))
    }
}

/// What a position receives at a payment of funding: longs pay a positive rate, shorts are paid.
/// Rounded against us.
pub fn funding(size: Size, mark: Price, rate_e9: i64) -> Notional {
    let owed = (mark * size).0 * i128::from(rate_e9);
    let scale = i128::from(SCALE);
    Notional((-owed).div_euclid(scale))
}

#[cfg(test)]
mod tests {
    use super::*;

    const BTC: InstrumentId = InstrumentId(0);

    fn usd(usd: i64) -> Notional {
        Notional::from_usd(usd)
    }

    fn price(usd: i64) -> Price {
        Price(usd * SCALE)
    }

    #[test]
    fn money_and_what_it_is_worth() {
        let mut purse = Purse::new(usd(1_000), 2);
        let two = Size(2 * SCALE);
        purse.trade(BTC, Side::Bid, (price(100), two), usd(1));
        assert_eq!(purse.position(BTC), two);
        assert!(purse.is_open());
        // 1000 - 1 of fee, and two that cost 100 are worth 90 now.
        assert_eq!(purse.worth(|_| price(90)), (usd(979), usd(799)));
        purse.trade(BTC, Side::Ask, (price(90), Size(5 * SCALE)), usd(1));
        assert_eq!(purse.position(BTC), Size(-3 * SCALE));
        assert_eq!(purse.worth(|_| price(90)), (usd(978), usd(708)));
        assert_eq!(purse.worth(|_| price(400)), (usd(48), Notional::ZERO));
        purse.take(usd(-8));
        purse.trade(BTC, Side::Bid, (price(90), Size(3 * SCALE)), usd(0));
        assert_eq!(purse.worth(|_| price(7)), (usd(970), usd(970)));
        assert!(!purse.is_open());
        // What is not there is held by nobody.
        purse.trade(InstrumentId(9), Side::Bid, (price(1), two), usd(1));
        assert_eq!(purse.position(InstrumentId(9)), Size::ZERO);
        assert_eq!(purse.worth(|_| price(7)), (usd(970), usd(970)));
    }

    #[test]
    fn longs_pay_a_positive_rate() {
        // A hundred-thousandth of 200 USD an hour.
        let (rate, two) = (10_000, Size(2 * SCALE));
        let cent = Notional(usd(1).0 / 500);
        assert_eq!(funding(two, price(100), rate), -cent);
        assert_eq!(funding(-two, price(100), rate), cent);
        assert_eq!(funding(two, price(100), -rate), cent);
        assert_eq!(funding(Size::ZERO, price(100), rate), Notional::ZERO);
        // Rounded against us, to 10^-18 dollars.
        assert_eq!(funding(Size(1), Price(1), 1), Notional(-1));
        assert_eq!(funding(Size(1), Price(1), -1), Notional::ZERO);
    }
}
