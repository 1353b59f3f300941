//! Numbers into text, appended to a frame that is being written.
//!
//! Promises: no text of its own is made on the way, since a busy venue writes some million numbers
//! a second; digits are what the plain formatter would write (judged by it in the tests).

use crate::market::units::SCALE;

/// Most digits of a `u64`.
const DIGITS_MAX: usize = 20;

/// A whole number.
pub fn push_whole(text: &mut String, value: u64) {
    push_padded(text, value, 1);
}

/// A value at 10^-9 with at least `places` digits after the point, more where it has more.
pub fn push_exact(text: &mut String, value: i64, places: u32) {
    let (mut fraction, mut digits) = (value.unsigned_abs() % SCALE as u64, 9);
    while digits > 0 && digits > places && fraction % 10 == 0 {
        fraction /= 10;
        digits -= 1;
    }
    if value < 0 {
        text.push('-');
    }
    push_whole(text, value.unsigned_abs() / SCALE as u64);
    if digits.max(places) > 0 {
        text.push('.');
        push_padded(text, fraction, digits as usize);
        text.extend(std::iter::repeat_n(
            '0',
            places.saturating_sub(digits) as usize,
        ));
    }
}

/// A value at 10^-9 with exactly `places` digits after the point (at most nine), rounded half away
/// from zero.
pub fn push_fixed(text: &mut String, value: i64, places: u32) {
    let places = places.min(9);
    let unit = 10_u64.pow(9 - places);
    let units = (value.unsigned_abs() + unit / 2) / unit;
    let scale = 10_u64.pow(places);
    if value < 0 {
        text.push('-');
    }
    push_whole(text, units / scale);
    if places > 0 {
        text.push('.');
        push_padded(text, units % scale, places as usize);
    }
}

/// Digits of a number, with zeros in front up to `width`.
fn push_padded(text: &mut String, value: u64, width: usize) {
    let mut digits = [b'0'; DIGITS_MAX];
    let (mut left, mut from) = (value, DIGITS_MAX);
    while left > 0 {
        from -= 1;
        digits[from] = b'0' + (left % 10) as u8;
        left /= 10;
    }
    let from = from.min(DIGITS_MAX - width.min(DIGITS_MAX));
    let digits = std::str::from_utf8(&digits[from..]);
    text.push_str(digits.expect("digits are ASCII"));
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The same by way of the standard formatter.
    fn naive(value: i64, places: u32) -> String {
        let digits = format!("{:010}", value.unsigned_abs());
        let (whole, fraction) = digits.split_at(digits.len() - 9);
        let mut fraction = fraction.trim_end_matches('0').to_string();
        while fraction.len() < places as usize {
            fraction.push('0');
        }
        let sign = if value < 0 { "-" } else { "" };
        let point = if fraction.is_empty() { "" } else { "." };
        format!("{sign}{whole}{point}{fraction}")
    }

    fn exact(value: i64, places: u32) -> String {
        let mut text = String::new();
        push_exact(&mut text, value, places);
        text
    }

    fn fixed(value: i64, places: u32) -> String {
        let mut text = String::new();
        push_fixed(&mut text, value, places);
        text
    }

    #[test]
    fn numbers_are_spelled_as_the_venues_do() {
        for (value, places, want) in [
            (0, 0, "0"),
            (0, 3, "0.000"),
            (84_052_000_000_000, 0, "84052"),
            (84_052_000_000_000, 1, "84052.0"),
            (-50_000, 5, "-0.00005"),
            (58_853_400_000_000, 16, "58853.4000000000000000"),
            (i64::MIN, 0, "-9223372036.854775808"),
        ] {
            assert_eq!(exact(value, places), want);
        }
        for (value, places, want) in [
            (0, 0, "0"),
            (0, 5, "0.00000"),
            (12_000_000_000, 0, "12"),
            (2_250_000_000, 1, "2.3"),
            (-2_250_000_000, 1, "-2.3"),
            (999_999_999, 3, "1.000"),
            (i64::MAX, 9, "9223372036.854775807"),
        ] {
            assert_eq!(fixed(value, places), want);
        }
    }

    proptest! {
        #[test]
        fn digits_equal_the_formatters(value: i64, places in 0_u32..=18, zeros in 0_u32..=9) {
            let cut = 10_i64.pow(zeros);
            let value = value / cut * cut;
            prop_assert_eq!(exact(value, places), naive(value, places));
            prop_assert_eq!(fixed(value, 9), naive(value, 9));
            let mut whole = String::new();
            push_whole(&mut whole, value.unsigned_abs());
            prop_assert_eq!(whole, value.unsigned_abs().to_string());
        }
    }
}
