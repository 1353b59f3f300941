//! Decimal text to integers at 10^-9 and back: exact or refused, and never through a float.
//!
//! Promises: one value for every spelling of it, in one pass over the text; what is refused says
//! why. Refuses: to round, except where the caller asks for it by name.

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
    /// Not a number: a byte out of place, a second point, an exponent without digits.
    Malformed,
    /// A non-zero digit beyond the ninth place: the value is not exact at our scale.
    Inexact,
    /// Beyond plus or minus 9,223,372,036.854775807, what `i64` holds at 10^-9 on both sides.
    Overflow,
}

/// Parses decimal text to an integer at 10^-9, exactly or not at all. Any spelling will do:
/// `-12.5`, `84050.000000`, `5`, `.5`, `008`, `1.25E+4`, `12500e-3`; thirty decimals are welcome as
/// long as those beyond the ninth are zeros. A leading `+` and blanks are refused.
pub fn parse_decimal(text: &[u8]) -> Result<i64, DecimalError> {
    match plain(text) {
        Some(value) => Ok(value),
        None => spelled_out(text, false),
    }
}

/// As [`parse_decimal`], but digits beyond the ninth place are rounded to nearest (half away from
/// zero). For mark, index and funding only, never for books or orders.
pub fn parse_decimal_rounded(text: &[u8]) -> Result<i64, DecimalError> {
    match plain(text) {
        Some(value) => Ok(value),
        None => spelled_out(text, true),
    }
}

/// The spelling nearly every number comes in: sign, digits, point, at most nine digits or zeros.
/// `None` for all else, be it a number or not.
#[inline]
fn plain(text: &[u8]) -> Option<i64> {
    let (is_negative, digits) = split_sign(text);
    let mut value: i64 = 0;
    let mut places: Option<u32> = None;
    let mut is_number = false;
    for &byte in digits {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            if byte != b'.' || places.is_some() {
                return None;
            }
            places = Some(0);
            continue;
        }
        is_number = true;
        if let Some(count) = &mut places {
            if *count == SCALE_DIGITS {
                if digit != 0 {
                    return None;
                }
                continue;
            }
            *count += 1;
        }
        value = value.checked_mul(10)?.checked_add(i64::from(digit))?;
    }
    let missing = SCALE_DIGITS - places.unwrap_or(0);
    let value = value.checked_mul(10_i64.pow(missing))?;
    is_number.then_some(if is_negative { -value } else { value })
}

/// Every spelling, and the name of what is wrong with the rest.
///
/// The exponent is read first, so that each digit's place is known when it comes. Zeros before the
/// first other digit are skipped and zeros after the last one are kept as a count, which is why
/// only digits that matter can overflow: `100000000000000000000e-20` is 1. Work is one pass over
/// the text however large the exponent, since powers beyond the scale are refused, not reckoned.
#[cold]
fn spelled_out(text: &[u8], is_rounded: bool) -> Result<i64, DecimalError> {
    let (is_negative, rest) = split_sign(text);
    let is_mark = |byte: &u8| matches!(byte, b'e' | b'E');
    let (digits, exponent) = match rest.iter().position(is_mark) {
        Some(at) => (&rest[..at], read_exponent(&rest[at + 1..])?),
        None => (rest, 0),
    };
    let is_point = |byte: &u8| *byte == b'.';
    let whole_len = digits.iter().position(is_point).unwrap_or(digits.len());
    let fraction = digits.get(whole_len + 1..).unwrap_or(&[]);
    let all = digits[..whole_len].iter().chain(fraction);
    if !all.clone().all(u8::is_ascii_digit) {
        return Err(DecimalError::Malformed);
    }
    if all.clone().next().is_none() {
        return Err(DecimalError::Empty);
    }
    // Place of a digit at our scale: 0 is the last one kept.
    let mut place = exponent + whole_len as i64 + i64::from(SCALE_DIGITS);
    let mut value: i64 = 0;
    // Where the digit before the zeros that are only counted stands.
    let mut last_place = place;
    for &byte in all {
        place -= 1;
        let digit = i64::from(byte - b'0');
        if digit == 0 {
            continue;
        }
        if place < 0 && !is_rounded {
            return Err(DecimalError::Inexact);
        }
        if place < -1 {
            break;
        }
        if place == -1 {
            value = raised(value, last_place)?;
            value = value
                .checked_add(i64::from(digit >= 5))
                .ok_or(DecimalError::Overflow)?;
            last_place = 0;
            break;
        }
        value = raised(value, last_place - place)?;
        value = value.checked_add(digit).ok_or(DecimalError::Overflow)?;
        last_place = place;
    }
    let value = raised(value, last_place)?;
    Ok(if is_negative { -value } else { value })
}

/// `value` times ten to the `power`, which is not negative. Zero is zero at any power.
#[cold]
fn raised(value: i64, power: i64) -> Result<i64, DecimalError> {
    if value == 0 {
        return Ok(0);
    }
    let power = u32::try_from(power).map_err(|_| DecimalError::Overflow)?;
    let factor = 10_i64.checked_pow(power);
    let raised = factor.and_then(|factor| value.checked_mul(factor));
    raised.ok_or(DecimalError::Overflow)
}

/// What follows an `e`. Beyond 10^12 the size of an exponent says nothing more, since no text has
/// as many digits.
#[cold]
fn read_exponent(text: &[u8]) -> Result<i64, DecimalError> {
    let (is_negative, digits) = match text.first() {
        Some(b'+') => (false, &text[1..]),
        _ => split_sign(text),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err(DecimalError::Malformed);
    }
    let exponent = digits.iter().fold(0_i64, |sum, byte| {
        (10 * sum + i64::from(byte - b'0')).min(1_000_000_000_000)
    });
    Ok(if is_negative { -exponent } else { exponent })
}

/// A minus in front, and what follows it.
#[inline]
fn split_sign(text: &[u8]) -> (bool, &[u8]) {
    match text {
        [b'-', rest @ ..] => (true, rest),
        _ => (false, text),
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use num_bigint::BigInt;
    use proptest::prelude::*;

    #[test]
    fn decimals_in_any_spelling() {
        for (text, value) in [
            ("84077", 84_077_000_000_000),
            ("84052.0", 84_052_000_000_000),
            ("84050.000000", 84_050_000_000_000),
            ("0.00020", 200_000),
            ("-0.00005", -50_000),
            ("0", 0),
            ("-0.0", 0),
            (".5", 500_000_000),
            ("5.", 5_000_000_000),
            ("58853.4000000000000000", 58_853_400_000_000),
            ("1.500000000000000000000000000000", 1_500_000_000),
            ("00000000000000000000000000000007.5", 7_500_000_000),
            ("8405e1", 84_050_000_000_000),
            ("-1.25E+4", -12_500_000_000_000),
            ("12500e-3", 12_500_000_000),
            ("1e-9", 1),
            ("10e-10", 1),
            ("100000000000000000000000e-23", 1_000_000_000),
            ("0.00000000000000000001e20", 1_000_000_000),
            ("9223372036.854775807", i64::MAX),
            ("-9223372036.8547758070000", -i64::MAX),
            ("9223372036854775807e-9", i64::MAX),
            ("0e99999999999999999999999999", 0),
            ("0.000e-99999999999999999999999999", 0),
        ] {
            assert_eq!(parse_decimal(text.as_bytes()), Ok(value), "{text}");
            assert_eq!(parse_decimal_rounded(text.as_bytes()), Ok(value), "{text}");
        }
    }

    #[test]
    fn what_is_refused_has_a_name() {
        use DecimalError::{Empty, Inexact, Malformed, Overflow};
        for (text, why) in [
            ("", Empty),
            ("-", Empty),
            (".", Empty),
            ("-.", Empty),
            ("e5", Empty),
            ("1.2.3", Malformed),
            ("+1", Malformed),
            ("--1", Malformed),
            (" 1", Malformed),
            ("1e", Malformed),
            ("1e+", Malformed),
            ("1e5e5", Malformed),
            ("1e-+5", Malformed),
            ("1e0.5", Malformed),
            ("0x10", Malformed),
            ("NaN", Malformed),
            ("99999999999999999999x", Malformed),
            ("0.00000000019x", Malformed),
            ("0.0000000001", Inexact),
            ("0.123456789000000000000000000001", Inexact),
            ("1e-10", Inexact),
            ("15e-10", Inexact),
            ("1e-99999999999999999999", Inexact),
            ("9223372037", Overflow),
            ("9223372036.854775808", Overflow),
            ("-9223372036.854775808", Overflow),
            ("1e10", Overflow),
            ("99999999999999999999", Overflow),
            ("1e99999999999999999999", Overflow),
        ] {
            assert_eq!(parse_decimal(text.as_bytes()), Err(why), "{text}");
            if why != Inexact {
                assert_eq!(parse_decimal_rounded(text.as_bytes()), Err(why), "{text}");
            }
        }
    }

    #[test]
    fn nearest_where_rounding_is_allowed() {
        for (text, value) in [
            ("82603.900514499997", 82_603_900_514_500),
            ("-0.0000000005", -1),
            ("0.0000000005", 1),
            ("0.00000000049999999999999999", 0),
            ("0.0000000014999", 1),
            ("-0.0000000015", -2),
            ("1.3E-5", 13_000),
            ("1.23456789651e-1", 123_456_790),
            ("5e-10", 1),
            ("4.9e-10", 0),
            ("1e-400", 0),
            ("0.9999999999", 1_000_000_000),
        ] {
            let rounded = parse_decimal_rounded(text.as_bytes());
            assert_eq!(rounded, Ok(value), "{text}");
        }
        // Rounding does not round beyond the range.
        let edge = b"9223372036.8547758075";
        assert_eq!(parse_decimal_rounded(edge), Err(DecimalError::Overflow));
    }

    /// The value of a well-formed text as a big fraction, the obvious way: digits over a power of
    /// ten. Gives the parsed value, rounded or refused as the two parsers should.
    fn naive(text: &str, is_rounded: bool) -> Result<i64, DecimalError> {
        let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let exponent: i32 = exponent.parse().unwrap();
        let digits: BigInt = format!("{whole}{fraction}0").parse().unwrap();
        let power = exponent - fraction.len() as i32 - 1 + 9;
        let ten = |power: i32| BigInt::from(10).pow(power as u32);
        let scaled = if power >= 0 {
            digits * ten(power)
        } else {
            let unit = ten(-power);
            if !is_rounded && &digits % &unit != BigInt::ZERO {
                return Err(DecimalError::Inexact);
            }
            // Half a unit away from zero, then cut towards it: half away from zero.
            let half: BigInt = &unit / 2;
            let half = if text.starts_with('-') { -half } else { half };
            (digits + half) / unit
        };
        let value = i64::try_from(scaled).map_err(|_| DecimalError::Overflow)?;
        (value != i64::MIN)
            .then_some(value)
            .ok_or(DecimalError::Overflow)
    }

    proptest! {
        #[test]
        fn text_round_trips(value in any::<i64>()) {
            prop_assume!(value != i64::MIN);
            let mut text = [0; DECIMAL_TEXT_MAX];
            let len = write_decimal(value, &mut text);
            prop_assert_eq!(parse_decimal(&text[..len]), Ok(value));
        }

        /// Digits on both sides, exponents on and beyond the scale, zeros at every end.
        #[test]
        fn equals_a_big_fraction(
            text in "-?0{0,3}[0-9]{1,12}(\\.[0-9]{0,12}0{0,20})?([eE][+-]?[0-9]{1,2})?",
        ) {
            let (exact, rounded) = (naive(&text, false), naive(&text, true));
            let parsed = parse_decimal(text.as_bytes());
            // Too fine and too large at once: either name is right.
            let is_either = exact == Err(DecimalError::Inexact)
                && parsed == Err(DecimalError::Overflow)
                && rounded == parsed;
            prop_assert!(parsed == exact || is_either, "{} {:?} {:?}", text, parsed, exact);
            prop_assert_eq!(parse_decimal_rounded(text.as_bytes()), rounded);
        }

        #[test]
        fn any_bytes_are_a_number_or_an_error(text in "[-+.eE0-9x]{0,24}") {
            let (exact, rounded) =
                (parse_decimal(text.as_bytes()), parse_decimal_rounded(text.as_bytes()));
            if let Ok(value) = exact {
                prop_assert_eq!(rounded, Ok(value));
            }
        }
    }
}
