//! Units: price, size, notional, basis points and time, exact wherever money is concerned.
//!
//! One decimal scale, 10^-9, for prices and sizes (`i64`), so there is no exponent to mix up; the
//! product of the two is a [`Notional`] at 10^-18 (`i128`), exact by construction. Text goes in and
//! out without floats. Ratios (`Bps`) are binary fixed point and are never used to hold money.

use fixed::types::I48F16;
use std::fmt;

pub use crate::market::decimal::{
    DECIMAL_TEXT_MAX, DecimalError, SCALE, SCALE_DIGITS, parse_decimal, parse_decimal_rounded,
    write_decimal, write_integer,
};

macro_rules! decimal_unit {
    ($name:ident, $doc:literal) => {
        #[doc = $doc]
        #[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(transparent)]
        pub struct $name(pub i64);

        impl $name {
            /// Nothing.
            pub const ZERO: $name = $name(0);

            /// Exact from decimal text, or refused.
            pub fn parse(text: &[u8]) -> Result<$name, DecimalError> {
                parse_decimal(text).map($name)
            }

            /// From a venue's integer: `value` in units of 10^-`decimals`. `None` when out of range
            /// or finer than 10^-9.
            pub fn from_scaled(value: i64, decimals: u32) -> Option<$name> {
                let up = SCALE_DIGITS.checked_sub(decimals)?;
                value.checked_mul(10_i64.checked_pow(up)?).map($name)
            }

            /// To a venue's integer in units of 10^-`decimals`. `None` when that is not exact.
            pub fn to_scaled(self, decimals: u32) -> Option<i64> {
                let unit = 10_i64.checked_pow(SCALE_DIGITS.checked_sub(decimals)?)?;
                (self.0 % unit == 0).then_some(self.0 / unit)
            }

            /// Largest multiple of `step` not above this value (towards minus infinity).
            pub fn floor_to(self, step: $name) -> $name {
                $name(self.0 - self.0.rem_euclid(step.0))
            }

            /// Smallest multiple of `step` not below this value.
            pub fn ceil_to(self, step: $name) -> $name {
                let over = self.0.rem_euclid(step.0);
                if over == 0 {
                    self
                } else {
                    $name(self.0 - over + step.0)
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let mut text = [0; DECIMAL_TEXT_MAX];
                let len = write_decimal(self.0, &mut text);
                f.pad(std::str::from_utf8(&text[..len]).expect("digits are ASCII"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl std::ops::Add for $name {
            type Output = $name;
            fn add(self, other: $name) -> $name {
                $name(self.0 + other.0)
            }
        }

        impl std::ops::Sub for $name {
            type Output = $name;
            fn sub(self, other: $name) -> $name {
                $name(self.0 - other.0)
            }
        }

        impl std::ops::Neg for $name {
            type Output = $name;
            fn neg(self) -> $name {
                $name(-self.0)
            }
        }

        impl std::ops::AddAssign for $name {
            fn add_assign(&mut self, other: $name) {
                self.0 += other.0;
            }
        }

        impl std::ops::SubAssign for $name {
            fn sub_assign(&mut self, other: $name) {
                self.0 -= other.0;
            }
        }
    };
}

decimal_unit!(Price, "Quote per one unit of base, at 10^-9.");
decimal_unit!(
    Size,
    "Quantity of base, at 10^-9. Signed where it is a position (long is positive)."
);

impl std::ops::Mul<Size> for Price {
    type Output = Notional;
    fn mul(self, size: Size) -> Notional {
        Notional(i128::from(self.0) * i128::from(size.0))
    }
}

/// Quote currency (USD or USDC), at 10^-18: the exact product of a price and a size. Signed.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Notional(pub i128);

/// Units of 10^-18 in one dollar.
pub const NOTIONAL_SCALE: i128 = 1_000_000_000_000_000_000;

impl Notional {
    /// Nothing.
    pub const ZERO: Notional = Notional(0);

    /// Whole dollars.
    pub const fn from_usd(usd: i64) -> Notional {
        Notional(usd as i128 * NOTIONAL_SCALE)
    }

    /// From an amount at 10^-9 (the scale [`parse_decimal`] gives).
    pub const fn from_nano(value: i64) -> Notional {
        Notional(value as i128 * SCALE as i128)
    }

    /// To 10^-9, towards zero; saturates beyond about 9.2e9 dollars.
    pub fn to_nano(self) -> i64 {
        let nano = self.0 / i128::from(SCALE);
        i64::try_from(nano).unwrap_or(if nano < 0 { i64::MIN } else { i64::MAX })
    }

    /// For people and JSON only: dollars as a float, rounded.
    pub fn to_usd_f64(self) -> f64 {
        // Whole dollars apart: all of it at 10^-18 is no float, and 4001 would not come back.
        let (whole, part) = (self.0 / NOTIONAL_SCALE, self.0 % NOTIONAL_SCALE);
        whole as f64 + part as f64 / NOTIONAL_SCALE as f64
    }

    /// Absolute value.
    pub const fn abs(self) -> Notional {
        Notional(self.0.abs())
    }
}

impl fmt::Display for Notional {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cents = self.0.unsigned_abs() / 1_000_000_000_000_000;
        let sign = if self.0 < 0 { "-" } else { "" };
        f.pad(&format!("{sign}{}.{:03}", cents / 1000, cents % 1000))
    }
}

impl fmt::Debug for Notional {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::ops::Add for Notional {
    type Output = Notional;
    fn add(self, other: Notional) -> Notional {
        Notional(self.0 + other.0)
    }
}

impl std::ops::Sub for Notional {
    type Output = Notional;
    fn sub(self, other: Notional) -> Notional {
        Notional(self.0 - other.0)
    }
}

impl std::ops::Neg for Notional {
    type Output = Notional;
    fn neg(self) -> Notional {
        Notional(-self.0)
    }
}

impl std::ops::AddAssign for Notional {
    fn add_assign(&mut self, other: Notional) {
        self.0 += other.0;
    }
}

impl std::ops::SubAssign for Notional {
    fn sub_assign(&mut self, other: Notional) {
        self.0 -= other.0;
    }
}

/// A ratio in basis points (10^-4), binary fixed point with 16 fractional bits. Never money.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bps(pub I48F16);

impl Bps {
    /// Nothing.
    pub const ZERO: Bps = Bps(I48F16::ZERO);

    /// From decimal text such as `2.5`, rounded to the nearest 2^-16 bps.
    pub fn parse(text: &str) -> Option<Bps> {
        I48F16::from_str(text).ok().map(Bps)
    }

    /// From units of 2^-16 bps, exactly.
    pub const fn from_bits(bits: i64) -> Bps {
        Bps(I48F16::from_bits(bits))
    }

    /// In units of 2^-16 bps, exactly: what hot comparisons multiply with.
    pub const fn bits(self) -> i64 {
        self.0.to_bits()
    }

    /// From whole basis points.
    pub const fn whole(bps: i32) -> Bps {
        Bps(I48F16::from_bits((bps as i64) << 16))
    }

    /// From thousandths of a basis point.
    pub fn from_milli(milli: i64) -> Bps {
        Bps(I48F16::from_num(milli) / 1000)
    }

    /// `part / whole` in basis points; zero when `whole` is zero. Cold: divides.
    pub fn ratio(part: Notional, whole: Notional) -> Bps {
        if whole.0 == 0 {
            return Bps::ZERO;
        }
        // 10^9 is divided out first so that 10_000 << 16 fits beside an i128 notional.
        let part = part.0 / i128::from(SCALE);
        let whole = whole.0 / i128::from(SCALE);
        let bits = (part * (10_000 << 16)).checked_div(whole).unwrap_or(0);
        Bps(I48F16::from_bits(
            bits.clamp(i64::MIN.into(), i64::MAX.into()) as i64,
        ))
    }

    /// This many basis points of `whole`, rounded towards zero.
    pub fn of(self, whole: Notional) -> Notional {
        Notional(((whole.0 / 10_000) * i128::from(self.0.to_bits())) >> 16)
    }

    /// This many basis points of a price, rounded towards minus infinity.
    pub fn of_price(self, price: Price) -> Price {
        let whole = (i128::from(price.0) * i128::from(self.0.to_bits())) >> 16;
        // Rounded down twice is rounded down once; and what fits divides by a multiplication.
        Price(match i64::try_from(whole) {
            Ok(whole) => whole.div_euclid(10_000),
            Err(_) => whole.div_euclid(10_000) as i64,
        })
    }

    /// For people and JSON only.
    pub fn to_f64(self) -> f64 {
        self.0.to_num()
    }
}

impl fmt::Debug for Bps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.3} bps", self.to_f64())
    }
}

impl std::ops::Add for Bps {
    type Output = Bps;
    fn add(self, other: Bps) -> Bps {
        Bps(self.0 + other.0)
    }
}

impl std::ops::Sub for Bps {
    type Output = Bps;
    fn sub(self, other: Bps) -> Bps {
        Bps(self.0 - other.0)
    }
}

impl std::ops::Neg for Bps {
    type Output = Bps;
    fn neg(self) -> Bps {
        Bps(-self.0)
    }
}

/// A moment: nanoseconds since the Unix epoch on a clock that never steps back in a process
/// (`stage::clock`). Differences are durations; milliseconds for the venues come from it too.
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct Nanos(pub u64);

impl Nanos {
    /// Before every moment.
    pub const ZERO: Nanos = Nanos(0);

    /// Nanoseconds since `earlier`; zero when `earlier` is later.
    pub const fn since(self, earlier: Nanos) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    /// This moment plus a duration in nanoseconds.
    pub const fn plus(self, duration_ns: u64) -> Nanos {
        Nanos(self.0.saturating_add(duration_ns))
    }

    /// Milliseconds since the epoch, as the venues count.
    pub const fn epoch_ms(self) -> u64 {
        self.0 / 1_000_000
    }
}

/// Nanoseconds in a millisecond.
pub const MS: u64 = 1_000_000;
/// Nanoseconds in a second.
pub const SECOND: u64 = 1_000_000_000;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn dollars_as_floats_are_the_nearest_to_their_text() {
        for text in [
            "4001",
            "0.1",
            "4000.99",
            "-4001.25",
            "123456.789",
            "-0.000001",
            "0",
        ] {
            let nano = parse_decimal(text.as_bytes()).unwrap();
            let dollars = Notional::from_nano(nano).to_usd_f64();
            assert_eq!(dollars.to_string(), text);
        }
    }

    #[test]
    fn ratios() {
        assert_eq!(
            Bps::parse("2.5").map(|b| b.of(Notional::from_usd(10_000))),
            Some(Notional(2_500_000_000_000_000_000))
        );
        assert_eq!(
            Bps::ratio(Notional::from_usd(1), Notional::from_usd(10_000)),
            Bps::from_milli(1000)
        );
        assert_eq!(
            Bps::parse("10").map(|b| b.of_price(Price(1000 * SCALE))),
            Some(Price(SCALE))
        );
    }

    proptest! {
        #[test]
        fn grids_round_both_ways(
            value in -10_000_000_000_i64..10_000_000_000,
            step in 1_i64..1_000_000,
        ) {
            let (price, step) = (Price(value), Price(step));
            let (low, high) = (price.floor_to(step), price.ceil_to(step));
            prop_assert!(low <= price && price <= high && (high - low).0 <= step.0);
            prop_assert_eq!(low.0.rem_euclid(step.0), 0);
            prop_assert_eq!(high.0.rem_euclid(step.0), 0);
        }
    }
}
