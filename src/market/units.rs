//! Units: price, size, notional, basis points and time, exact wherever money is concerned.
//!
//! One decimal scale, 10^-9, for prices and sizes (`i64`), so there is no exponent to mix up; the
//! product of the two is a [`Notional`] at 10^-18 (`i128`), exact by construction. Text goes in and
//! out without floats. Ratios (`Bps`) are binary fixed point and are never used to hold money.

use fixed::types::I48F16;
use std::fmt;

/// Units of 10^-9 in one whole: the scale of [`Price`] and [`Size`].
pub const SCALE: i64 = 1_000_000_000;
/// Decimal digits after the point that a [`Price`] or [`Size`] can hold.
pub const SCALE_DIGITS: u32 = 9;
/// Longest text [`write_decimal`] makes: sign, 10 digits, point, 9 digits.
pub const DECIMAL_TEXT_MAX: usize = 21;

/// Why a decimal text was refused. Hot: `Copy`, counted, never formatted on the hot thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecimalError {
    /// No digits at all.
    Empty,
    /// A byte that is not a digit, sign or single point.
    Malformed,
    /// A non-zero digit beyond the ninth place: the value is not exact at our scale.
    Inexact,
    /// Outside the range of `i64` at 10^-9 (about 9.2e9).
    Overflow,
}

/// Parses decimal text (`-12.5`, `84050.000000`, `5`) to an integer at 10^-9, exactly or not at
/// all.
pub fn parse_decimal(text: &[u8]) -> Result<i64, DecimalError> {
    parse(text, false)
}

/// As [`parse_decimal`], but digits beyond the ninth place are rounded to nearest (half away from
/// zero). For mark, index and funding only, never for books or orders.
pub fn parse_decimal_rounded(text: &[u8]) -> Result<i64, DecimalError> {
    parse(text, true)
}

fn parse(text: &[u8], round: bool) -> Result<i64, DecimalError> {
    let (negative, digits) = match text.first() {
        Some(b'-') => (true, &text[1..]),
        Some(_) => (false, text),
        None => return Err(DecimalError::Empty),
    };
    let mut value: i64 = 0;
    let mut places: Option<u32> = None;
    let mut seen = false;
    let mut up = 0;
    for &byte in digits {
        if byte == b'.' {
            if places.is_some() {
                return Err(DecimalError::Malformed);
            }
            places = Some(0);
            continue;
        }
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return Err(DecimalError::Malformed);
        }
        seen = true;
        if let Some(count) = &mut places {
            if *count >= SCALE_DIGITS {
                if !round && digit != 0 {
                    return Err(DecimalError::Inexact);
                }
                if *count == SCALE_DIGITS {
                    up = i64::from(digit >= 5);
                }
                *count = SCALE_DIGITS + 1;
                continue;
            }
            *count += 1;
        }
        value = value.checked_mul(10).ok_or(DecimalError::Overflow)?;
        value = value
            .checked_add(i64::from(digit))
            .ok_or(DecimalError::Overflow)?;
    }
    if !seen {
        return Err(DecimalError::Empty);
    }
    let missing = SCALE_DIGITS - places.unwrap_or(0).min(SCALE_DIGITS);
    let value = value
        .checked_mul(10_i64.pow(missing))
        .ok_or(DecimalError::Overflow)?;
    let value = if round {
        value.checked_add(up).ok_or(DecimalError::Overflow)?
    } else {
        value
    };
    Ok(if negative { -value } else { value })
}

/// Writes an integer at 10^-9 as shortest decimal text (`12.5`, `-0.00001`, `84050`) into `out` and
/// returns the number of bytes. `out` must hold [`DECIMAL_TEXT_MAX`] bytes.
pub fn write_decimal(value: i64, out: &mut [u8]) -> usize {
    let mut at = 0;
    if value < 0 {
        out[0] = b'-';
        at = 1;
    }
    let magnitude = value.unsigned_abs();
    let scale = SCALE as u64;
    at += write_integer(magnitude / scale, &mut out[at..]);
    let mut fraction = magnitude % scale;
    if fraction == 0 {
        return at;
    }
    out[at] = b'.';
    at += 1;
    let mut place = scale / 10;
    while fraction != 0 {
        out[at] = b'0' + (fraction / place) as u8;
        fraction %= place;
        place /= 10;
        at += 1;
    }
    at
}

/// Writes an unsigned integer in decimal into `out` (20 bytes suffice) and returns the length.
pub fn write_integer(value: u64, out: &mut [u8]) -> usize {
    let len = value.checked_ilog10().unwrap_or(0) as usize + 1;
    let mut rest = value;
    for slot in out[..len].iter_mut().rev() {
        *slot = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    len
}

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
        self.0 as f64 / NOTIONAL_SCALE as f64
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
        let bits = i128::from(price.0) * i128::from(self.0.to_bits());
        Price((bits.div_euclid(10_000 << 16)) as i64)
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
    fn decimals_from_real_frames() {
        for (text, value) in [
            ("84077", 84_077_000_000_000),
            ("84052.0", 84_052_000_000_000),
            ("84050.000000", 84_050_000_000_000),
            ("0.00020", 200_000),
            ("-0.00005", -50_000),
            ("0", 0),
            ("58853.4000000000000000", 58_853_400_000_000),
        ] {
            assert_eq!(parse_decimal(text.as_bytes()), Ok(value), "{text}");
        }
        for (text, why) in [
            ("", DecimalError::Empty),
            ("-", DecimalError::Empty),
            (".", DecimalError::Empty),
            ("1.2.3", DecimalError::Malformed),
            ("1e5", DecimalError::Malformed),
            ("+1", DecimalError::Malformed),
            ("0.0000000001", DecimalError::Inexact),
            ("9223372037", DecimalError::Overflow),
        ] {
            assert_eq!(parse_decimal(text.as_bytes()), Err(why), "{text}");
        }
        assert_eq!(
            parse_decimal_rounded(b"82603.900514499997"),
            Ok(82_603_900_514_500)
        );
        assert_eq!(parse_decimal_rounded(b"-0.0000000005"), Ok(-1));
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
        fn text_round_trips(value in any::<i64>()) {
            prop_assume!(value != i64::MIN);
            let mut text = [0; DECIMAL_TEXT_MAX];
            let len = write_decimal(value, &mut text);
            prop_assert_eq!(parse_decimal(&text[..len]), Ok(value));
        }

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
