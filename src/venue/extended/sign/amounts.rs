//! Signed settlement amounts: exact decimals in, integers of the settlement layer out.
//!
//! Promises: no rounding but the one the venue's own rule names, at the very end. A buy rounds what
//! it takes and what it gives up, a sale rounds both down, the fee always rounds up and is taken
//! from the unrounded quote value. The venue recomputes these numbers from the request's texts, so
//! one unit of difference is a refused signature (error 1101).
//! Refuses: floats; anything that does not fit the ranges of the signed message.
//!
//! Sources: entry S1 of the venue's list (`signing.order_object_settlement`, `core.amount`).

use crate::market::book::Side;

/// An exact decimal: `value` in units of 10^-`digits`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exact {
    /// The integer.
    pub value: i128,
    /// How many of its digits stand after the point; at most 18.
    pub digits: u32,
}

/// Why amounts could not be made. Both are the caller's fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AmountError {
    /// Text that is not a plain decimal, or finer than 10^-18.
    Malformed,
    /// The amount is outside the range of the signed message (i64, for the fee u64).
    Overflow,
}

impl Exact {
    /// From the house scale of 10^-9.
    pub const fn nano(value: i64) -> Exact {
        Exact {
            value: value as i128,
            digits: 9,
        }
    }

    /// From decimal text, keeping every digit up to 10^-18. For vectors and cold callers whose
    /// numbers may be finer than the house scale.
    pub fn parse(text: &[u8]) -> Result<Exact, AmountError> {
        let (negative, rest) = match text.split_first() {
            Some((b'-', rest)) => (true, rest),
            _ => (false, text),
        };
        let mut value: i128 = 0;
        let mut places = None;
        let mut seen = false;
        for &byte in rest {
            if byte == b'.' && places.is_none() {
                places = Some(0);
                continue;
            }
            let digit = byte.wrapping_sub(b'0');
            if digit > 9 {
                return Err(AmountError::Malformed);
            }
            seen = true;
            places = places.map(|count| count + 1);
            value = value
                .checked_mul(10)
                .and_then(|value| value.checked_add(i128::from(digit)))
                .ok_or(AmountError::Overflow)?;
        }
        let mut exact = Exact {
            value: if negative { -value } else { value },
            digits: places.unwrap_or(0),
        };
        // Trailing zeros carry nothing and would only eat the headroom of the products.
        while exact.digits > 0 && exact.value % 10 == 0 {
            exact.value /= 10;
            exact.digits -= 1;
        }
        if !seen || exact.digits > 18 {
            return Err(AmountError::Malformed);
        }
        Ok(exact)
    }

    /// The product, exactly.
    fn times(self, other: Exact) -> Result<Exact, AmountError> {
        Ok(Exact {
            value: self
                .value
                .checked_mul(other.value)
                .ok_or(AmountError::Overflow)?,
            digits: self.digits + other.digits,
        })
    }

    /// This many units of 10^0 times `resolution`, as a fraction in lowest powers of ten:
    /// numerator and divisor. Cancelling the powers first keeps the numerator small.
    fn scaled(self, resolution: u64) -> Result<(i128, i128), AmountError> {
        let divisor = 10_i128
            .checked_pow(self.digits)
            .ok_or(AmountError::Overflow)?;
        let resolution = i128::from(resolution.max(1));
        if divisor % resolution == 0 {
            return Ok((self.value, divisor / resolution));
        }
        let numerator = self
            .value
            .checked_mul(resolution)
            .ok_or(AmountError::Overflow)?;
        Ok((numerator, divisor))
    }
}

/// Where a fraction goes when the settlement layer's units are coarser.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rounding {
    /// Towards plus infinity.
    Up,
    /// Towards minus infinity.
    Down,
    /// To nearest, ties to even (transfers and withdrawals).
    HalfEven,
}

/// `amount * resolution` as an integer.
pub fn settle(amount: Exact, resolution: u64, rounding: Rounding) -> Result<i128, AmountError> {
    let (numerator, divisor) = amount.scaled(resolution)?;
    let floor = numerator.div_euclid(divisor);
    let rest = numerator.rem_euclid(divisor);
    let up = match rounding {
        Rounding::Down => false,
        Rounding::Up => rest != 0,
        Rounding::HalfEven => match (rest * 2).cmp(&divisor) {
            std::cmp::Ordering::Less => false,
            std::cmp::Ordering::Equal => floor & 1 == 1,
            std::cmp::Ordering::Greater => true,
        },
    };
    Ok(floor + i128::from(up))
}

/// What the amounts of an order are made from.
#[derive(Clone, Copy, Debug)]
pub struct OrderValue {
    /// `Bid` buys.
    pub side: Side,
    /// Size, positive.
    pub size: Exact,
    /// Limit price, positive.
    pub price: Exact,
    /// Highest fee rate accepted, builder fee included, as a ratio.
    pub fee_rate: Exact,
    /// Units of the settlement layer in one unit of base (`syntheticResolution`).
    pub base_resolution: u64,
    /// Units of the settlement layer in one unit of quote (`collateralResolution`).
    pub quote_resolution: u64,
}

/// The signed amounts of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Amounts {
    /// Base: positive for a buy, negative for a sale.
    pub base: i64,
    /// Quote: negative for a buy, positive for a sale.
    pub quote: i64,
    /// Highest fee, never negative.
    pub fee: u64,
}

/// The signed amounts, by the venue's rounding.
pub fn order_amounts(value: &OrderValue) -> Result<Amounts, AmountError> {
    let rounding = match value.side {
        Side::Bid => Rounding::Up,
        Side::Ask => Rounding::Down,
    };
    let worth = value.size.times(value.price)?;
    let base = settle(value.size, value.base_resolution, rounding)?;
    let quote = settle(worth, value.quote_resolution, rounding)?;
    let fee = settle(
        worth.times(value.fee_rate)?,
        value.quote_resolution,
        Rounding::Up,
    )?;
    let base = i64::try_from(base).map_err(|_| AmountError::Overflow)?;
    let quote = i64::try_from(quote).map_err(|_| AmountError::Overflow)?;
    let fee = u64::try_from(fee).map_err(|_| AmountError::Overflow)?;
    Ok(match value.side {
        Side::Bid => Amounts {
            base,
            quote: -quote,
            fee,
        },
        Side::Ask => Amounts {
            base: -base,
            quote,
            fee,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn value(side: Side, size: &str, price: &str, fee: &str) -> OrderValue {
        OrderValue {
            side,
            size: Exact::parse(size.as_bytes()).unwrap(),
            price: Exact::parse(price.as_bytes()).unwrap(),
            fee_rate: Exact::parse(fee.as_bytes()).unwrap(),
            base_resolution: 1_000_000,
            quote_resolution: 1_000_000,
        }
    }

    #[test]
    fn the_sdk_test_order() {
        let amounts = order_amounts(&value(Side::Bid, "0.001", "43445.1168", "0.0005")).unwrap();
        assert_eq!(
            amounts,
            Amounts {
                base: 1000,
                quote: -43_445_117,
                fee: 21_723
            }
        );
        let amounts = order_amounts(&value(Side::Ask, "0.001", "43445.1168", "0.0005")).unwrap();
        assert_eq!(
            amounts,
            Amounts {
                base: -1000,
                quote: 43_445_116,
                fee: 21_723
            }
        );
    }

    #[test]
    fn ties_go_to_even() {
        for (text, expected) in [("0.5", 0), ("1.5", 2), ("2.5", 2), ("2.51", 3), ("2.4", 2)] {
            let amount = Exact::parse(text.as_bytes()).unwrap();
            assert_eq!(
                settle(amount, 1, Rounding::HalfEven),
                Ok(expected),
                "{text}"
            );
        }
    }

    #[test]
    fn texts_that_are_no_decimals_are_refused() {
        for text in ["", "-", ".", "1.2.3", "1e5", "0.0000000000000000001"] {
            assert_eq!(
                Exact::parse(text.as_bytes()),
                Err(AmountError::Malformed),
                "{text}"
            );
        }
        let nines = [b'9'; 60];
        assert_eq!(Exact::parse(&nines), Err(AmountError::Overflow));
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let large = value(Side::Bid, "9000000000", "9000000000", "0.1");
        assert_eq!(order_amounts(&large), Err(AmountError::Overflow));
    }

    proptest! {
        /// Both roundings bracket the exact value, whatever the scales.
        #[test]
        fn rounding_brackets(size in 1_i64..i64::MAX / 4, digits in 0_u32..12) {
            let resolution = 10_u64.pow(digits);
            let low = settle(Exact::nano(size), resolution, Rounding::Down).unwrap();
            let high = settle(Exact::nano(size), resolution, Rounding::Up).unwrap();
            let exact = i128::from(size) * i128::from(resolution);
            prop_assert!(low * 1_000_000_000 <= exact && exact <= high * 1_000_000_000);
            prop_assert!(high - low <= 1);
        }
    }
}
