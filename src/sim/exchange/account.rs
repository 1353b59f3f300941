//! Our account at one simulated exchange: positions, money, margin. Exact: a position keeps what
//! it cost, so cash is conserved to the last unit of 10^-18.

use super::{AccountView, PositionView, Rules};
use crate::market::book::Side;
use crate::market::units::{NOTIONAL_SCALE, Notional, Price, Size};

/// One millionth of a dollar: fees are rounded up to it.
const FEE_UNIT: i128 = NOTIONAL_SCALE / 1_000_000;

/// A fee on `notional` at `rate_e6`, rounded up to 10^-6 dollar (the venues' rounding is not
/// documented; up is against us).
pub fn fee(notional: Notional, rate_e6: u32) -> Notional {
    // Integers all the way: one division, rounded up.
    let exact = notional.0.abs() * i128::from(rate_e6);
    let unit = FEE_UNIT * 1_000_000;
    Notional((exact + unit - 1) / unit * FEE_UNIT)
}

/// A signed quantity in the direction of a side: buying is positive.
pub fn signed(side: Side, size: Size) -> Size {
    match side {
        Side::Bid => size,
        Side::Ask => -size,
    }
}

/// One position.
#[derive(Clone, Copy, Debug, Default)]
pub struct Position {
    /// Signed size.
    pub size: Size,
    /// What it cost: signed size times price over the trades that opened what is left.
    pub cost: Notional,
    /// Realised profit, fees not included.
    pub realised: Notional,
    /// Funding received since it was opened; negative: paid.
    pub funding: Notional,
}

impl Position {
    /// Books a trade; tells the profit it realised.
    pub fn trade(&mut self, side: Side, price: Price, size: Size) -> Notional {
        let change = signed(side, size);
        let opposite = (self.size.0 > 0) != (change.0 > 0) && self.size.0 != 0;
        // A trade against the position first closes; only what is left over opens the other way.
        let closing = if opposite {
            size.0.min(self.size.0.abs())
        } else {
            0
        };
        let mut realised = Notional::ZERO;
        if closing > 0 {
            // Rounding stays in the cost that is left; the last closing trade takes all of it.
            let share = i128::from(closing) * self.cost.0 / i128::from(self.size.0.abs());
            let closed = signed(side, Size(closing));
            // Closing trades go the other way: their cash, signed, against what that part cost.
            realised = Notional(-(price * closed).0 - share);
            self.cost = Notional(self.cost.0 - share);
            self.size += closed;
        }
        if self.size == Size::ZERO {
            self.funding = Notional::ZERO;
        }
        let opened = Size(change.0 - signed(side, Size(closing)).0);
        self.size += opened;
        self.cost += price * opened;
        self.realised += realised;
        realised
    }

    /// Profit not yet realised, at `mark`.
    pub fn unrealised(&self, mark: Price) -> Notional {
        mark * self.size - self.cost
    }

    /// As told to clients.
    pub fn view(&self, mark: Price) -> PositionView {
        let entry = match self.size.0 {
            0 => Price::ZERO,
            size => Price((self.cost.0 / i128::from(size)) as i64),
        };
        PositionView {
            size: self.size,
            entry,
            realised: self.realised,
            funding: self.funding,
            unrealised: self.unrealised(mark),
            mark,
        }
    }
}

/// What one market adds to the account's margins.
#[derive(Clone, Copy, Debug, Default)]
pub struct Exposure {
    /// The position.
    pub position: Position,
    /// Mark price.
    pub mark: Price,
    /// Value of open buy orders at their limits.
    pub buys: Notional,
    /// Value of open sell orders, positive.
    pub sells: Notional,
}

impl Exposure {
    /// Initial margin: the worse of all buys filled and all sells filled (Extended, *Get balance*;
    /// Lighter reserves for open orders likewise).
    pub fn initial_margin(&self, rules: &Rules) -> Notional {
        let value = self.mark * self.position.size;
        let long = (value + self.buys).abs();
        let short = (value - self.sells).abs();
        margin(long.max(short), rules.initial_margin_e4)
    }

    /// Maintenance margin of the position alone.
    pub fn maintenance_margin(&self, rules: &Rules) -> Notional {
        let value = (self.mark * self.position.size).abs();
        margin(value, rules.maintenance_margin_e4)
    }
}

fn margin(value: Notional, fraction_e4: u32) -> Notional {
    Notional(value.0 / 10_000 * i128::from(fraction_e4))
}

/// The account over all its markets.
pub fn view<'a>(
    collateral: Notional,
    markets: impl Iterator<Item = (Exposure, &'a Rules)>,
) -> AccountView {
    let mut account = AccountView {
        collateral,
        equity: collateral,
        ..AccountView::default()
    };
    for (exposure, rules) in markets {
        account.equity += exposure.position.unrealised(exposure.mark);
        account.initial_margin += exposure.initial_margin(rules);
        account.maintenance_margin += exposure.maintenance_margin(rules);
    }
    account.available = account.equity - account.initial_margin;
    account
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::random::Random;

    const fn price(dollars: i64) -> Price {
        Price(dollars * 1_000_000_000)
    }

    fn size(text: &str) -> Size {
        Size::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn fees_are_rounded_up_to_a_millionth() {
        // 0.01 at 60,000 is 600 dollars; 2.5 bp of it 15 cents exactly.
        assert_eq!(
            fee(price(60_000) * size("0.01"), 250).0,
            NOTIONAL_SCALE * 15 / 100
        );
        // 0.00001 at 61,800.1 is 0.618001; 1.96 bp is 0.000121128...: up.
        let notional = Price::parse(b"61800.1").unwrap() * size("0.00001");
        assert_eq!(fee(notional, 196).0, 122 * FEE_UNIT);
        assert_eq!(fee(notional, 0), Notional::ZERO);
        assert_eq!(fee(-notional, 196).0, 122 * FEE_UNIT);
    }

    #[test]
    fn a_position_is_opened_added_to_reduced_and_turned() {
        let mut position = Position::default();
        assert_eq!(position.trade(Side::Bid, price(100), size("1")).0, 0);
        position.trade(Side::Bid, price(110), size("1"));
        assert_eq!(position.view(price(107)).entry, price(105));
        assert_eq!(position.unrealised(price(107)), Notional::from_usd(4));
        // Half out at 109: four a piece.
        assert_eq!(
            position.trade(Side::Ask, price(109), size("1")),
            Notional::from_usd(4)
        );
        assert_eq!(position.view(price(109)).entry, price(105));
        // Turned at 103: the rest loses two, the new short stands at 103.
        assert_eq!(
            position.trade(Side::Ask, price(103), size("3")),
            Notional::from_usd(-2)
        );
        assert_eq!(
            (position.size, position.view(price(103)).entry),
            (size("-2"), price(103))
        );
        assert_eq!(position.unrealised(price(100)), Notional::from_usd(6));
        assert_eq!(
            position.trade(Side::Bid, price(100), size("2")),
            Notional::from_usd(6)
        );
        assert_eq!((position.cost, position.size), (Notional::ZERO, Size::ZERO));
        assert_eq!(position.realised, Notional::from_usd(8));
    }

    #[test]
    fn cash_is_conserved_and_trades_add_up_to_the_position() {
        let mut random = Random::new(11, "account");
        for _ in 0..50 {
            let mut position = Position::default();
            let (mut cash, mut held, mut realised) = (0_i128, 0_i64, 0_i128);
            for _ in 0..200 {
                let side = [Side::Bid, Side::Ask][random.between(0, 1) as usize];
                let at = Price(random.between(50_000, 70_000) as i64 * 100_000_000);
                let quantity = Size(random.between(1, 5_000) as i64 * 10_000);
                realised += position.trade(side, at, quantity).0;
                cash -= (at * signed(side, quantity)).0;
                held += signed(side, quantity).0;
                let mark = price(60_000);
                assert_eq!(position.size.0, held);
                assert_eq!(position.realised.0, realised);
                // Realised and unrealised profit together are cash and the position's value.
                let value = cash + (mark * position.size).0;
                assert_eq!(realised + position.unrealised(mark).0, value);
                // The entry never leaves the range of prices traded.
                if held != 0 {
                    let entry = position.view(mark).entry.0 / 100_000_000;
                    assert!((49_999..=70_001).contains(&entry));
                }
            }
        }
    }

    fn rules(initial_margin_e4: u32, maintenance_margin_e4: u32) -> Rules {
        let tape = crate::sim::tape::Tape::embedded();
        let venue = crate::market::Venue::Extended;
        let rules = super::super::rules::rules(&tape, venue, crate::market::InstrumentId(0));
        Rules {
            is_isolated: false,
            initial_margin_e4,
            maintenance_margin_e4,
            ..rules
        }
    }

    #[test]
    fn margins_take_the_worse_side_of_open_orders() {
        let rules = rules(200, 100);
        let mut exposure = Exposure {
            mark: price(50_000),
            ..Exposure::default()
        };
        exposure
            .position
            .trade(Side::Bid, price(49_000), size("0.1"));
        // 5,000 dollars long at 2 %, and 1 % to keep.
        assert_eq!(exposure.initial_margin(&rules), Notional::from_usd(100));
        assert_eq!(exposure.maintenance_margin(&rules), Notional::from_usd(50));
        // A sell that only reduces needs nothing more; one that turns the position does.
        exposure.sells = Notional::from_usd(5_000);
        assert_eq!(exposure.initial_margin(&rules), Notional::from_usd(100));
        exposure.sells = Notional::from_usd(15_000);
        assert_eq!(exposure.initial_margin(&rules), Notional::from_usd(200));
        exposure.buys = Notional::from_usd(10_000);
        assert_eq!(exposure.initial_margin(&rules), Notional::from_usd(300));
        let account = view(Notional::from_usd(1_000), [(exposure, &rules)].into_iter());
        assert_eq!(account.equity, Notional::from_usd(1_100));
        assert_eq!(account.available, Notional::from_usd(800));
        assert_eq!(account.maintenance_margin, Notional::from_usd(50));
    }
}
