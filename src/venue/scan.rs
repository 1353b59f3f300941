//! A cursor over a message whose shape is known: it reads where the venue writes, or gives up.
//!
//! Promises: reads in place, changes and allocates nothing, never panics; whatever it takes for a
//! number is one that the JSON parser and `parse_decimal` take for the same number. Every step
//! moves on, so work is bounded by the message's length.
//! Refuses: everything that is not, byte for byte, where it was expected. `None` says nothing about
//! the message but that this is not the way to read it; the caller has a slower one.

use crate::market::units::{SCALE_DIGITS, parse_decimal};

/// Where the reading stands.
///
/// Digits are read eight at a time. Eight bytes are loaded as one word and '0' is taken from each
/// by XOR; one addition then raises the top bit of every byte that is not a digit, so the length of
/// a run of digits is a count of trailing zeros, and three multiplications give its value, with no
/// branch for each byte. A number's whole part may have any length up to seven at no cost; only the
/// number of decimal places is guessed, from the number before, since a market's hardly change.
/// Left out, each tried and measured slower or no faster on sizes of varying length: guessing the
/// whole part too, no guess and no branch at all (more instructions than mispredictions cost), and
/// digits one by one; and SIMD, which needs `unsafe`.
/// Source of the three multiplications: D. Lemire, "Quickly parsing eight digits", 2018.
#[derive(Clone, Copy)]
pub struct Scan<'m> {
    bytes: &'m [u8],
    at: usize,
}

/// How many decimal places the last number of a kind had: the guess for the next one.
#[derive(Clone, Copy)]
pub struct Places(u32);

impl Places {
    /// The first guess. A wrong one costs nothing but time.
    pub const fn guess(places: u32) -> Places {
        assert!(places > 0 && places <= PLACES_MAX);
        Places(places)
    }
}

/// Most decimal places read in one go: with one digit before them they fill a word.
const PLACES_MAX: u32 = 7;
/// Longest text that is worth the slower parse; a longer number is left to the caller's other way.
const NUMBER_BYTES_MAX: usize = 64;
/// '0' in every byte.
const ZEROS: u64 = 0x3030_3030_3030_3030;
/// Added to a digit it leaves the top bit clear, to 10 and more it sets it.
const BEYOND_NINE: u64 = 0x7676_7676_7676_7676;
/// The top bit of every byte.
const TOPS: u64 = 0x8080_8080_8080_8080;
/// Powers of ten up to eight digits.
const TENS: [u64; 9] = [
    1,
    10,
    100,
    1_000,
    10_000,
    100_000,
    1_000_000,
    10_000_000,
    100_000_000,
];

impl<'m> Scan<'m> {
    /// At the start of a message.
    pub const fn new(bytes: &'m [u8]) -> Scan<'m> {
        Scan { bytes, at: 0 }
    }

    /// Takes exactly this text.
    #[inline(always)]
    pub fn text<const N: usize>(&mut self, expected: &[u8; N]) -> Option<()> {
        self.has(expected).then_some(())
    }

    /// Takes this text if it stands here, and says whether it did.
    #[inline(always)]
    pub fn has<const N: usize>(&mut self, expected: &[u8; N]) -> bool {
        let found = self.bytes.get(self.at..self.at + N);
        let is_here = found.is_some_and(|found| found == expected);
        if is_here {
            self.at += N;
        }
        is_here
    }

    /// Steps over a market's name: capitals, digits, `-` and `_`, up to the quote after them.
    #[inline]
    pub fn symbol(&mut self) -> Option<()> {
        let is_part = |b: &u8| b.is_ascii_uppercase() || b.is_ascii_digit() || b"-_".contains(b);
        let len = self.bytes[self.at..]
            .iter()
            .take_while(|byte| is_part(byte))
            .count();
        self.at += len;
        (len > 0).then_some(())
    }

    /// Text up to the next quote, at most `len_max` bytes, and that quote with it.
    #[inline]
    pub fn quoted(&mut self, len_max: usize) -> Option<&'m [u8]> {
        let rest = self.bytes.get(self.at..)?;
        let len = rest
            .iter()
            .take(len_max + 1)
            .position(|byte| *byte == b'"')?;
        self.at += len + 1;
        Some(&rest[..len])
    }

    /// The message ends here, or `len` bytes later: its tail was looked at before.
    #[inline]
    pub fn end(self, len: usize) -> Option<()> {
        (self.at + len == self.bytes.len()).then_some(())
    }

    /// A whole number as JSON writes it: no sign, no zero in front, and at most 19 digits, which
    /// always fit.
    #[inline(always)]
    pub fn integer(&mut self) -> Option<u64> {
        let start = self.at;
        let mut value = 0_u64;
        loop {
            let Some(word) = self.word(self.at) else {
                value = self.last_digits(value);
                break;
            };
            let bits = digit_bits(word);
            if bits == 64 {
                value = value.wrapping_mul(TENS[8]).wrapping_add(eight(word));
                self.at += 8;
                continue;
            }
            if bits > 0 {
                let digits = eight(word << (64 - bits));
                let len = bits as usize / 8;
                value = value.wrapping_mul(TENS[len]).wrapping_add(digits);
                self.at += len;
            }
            break;
        }
        self.is_integer(start).then_some(value)
    }

    /// Steps over a whole number nobody needs.
    #[inline(always)]
    pub fn skip_integer(&mut self) -> Option<()> {
        let start = self.at;
        loop {
            let Some(word) = self.word(self.at) else {
                self.last_digits(0);
                break;
            };
            let bits = digit_bits(word);
            self.at += bits as usize / 8;
            if bits < 64 {
                break;
            }
        }
        self.is_integer(start).then_some(())
    }

    /// Text of a decimal number without a sign, at 10^-9, exact; the quote after it is left. What
    /// does not fit the guess is parsed the slower way, with the same result.
    #[inline(always)]
    pub fn decimal(&mut self, places: &mut Places) -> Option<i64> {
        let Places(guess) = *places;
        let whole = self.word(self.at)?;
        let bits = digit_bits(whole);
        let point = self.at + bits as usize / 8;
        // Between one digit and what leaves room for the places in the word.
        if bits.wrapping_sub(8) <= 56 - 8 * guess {
            let end = point + 1 + guess as usize;
            let fraction = self.word(point + 1)? & ((1 << (8 * guess)) - 1);
            if self.bytes.get(point) == Some(&b'.')
                && self.bytes.get(end) == Some(&b'"')
                && not_digits(fraction) == 0
            {
                let digits = ((whole << (64 - bits)) >> (8 * guess)) | fraction << (64 - 8 * guess);
                let scale = TENS[8] * 10 / TENS[guess as usize];
                self.at = end;
                return Some((eight(digits) * scale) as i64);
            }
        }
        if bits.wrapping_sub(8) < 56 && self.bytes.get(point) == Some(&b'"') {
            self.at = point;
            return Some((eight(whole << (64 - bits)) * (TENS[8] * 10)) as i64);
        }
        self.other_decimal(places)
    }

    /// As [`Scan::decimal`], with a minus in front or not: as good as random in a change, so it is
    /// reckoned with and not branched on.
    #[inline(always)]
    pub fn signed_decimal(&mut self, places: &mut Places) -> Option<i64> {
        let is_negative = i64::from(self.bytes.get(self.at) == Some(&b'-'));
        self.at += is_negative as usize;
        let value = self.decimal(places)?;
        Some((value ^ -is_negative) + is_negative)
    }

    /// A number that did not fit the guess: parsed digit by digit, and a better guess for the next.
    #[cold]
    #[inline(never)]
    fn other_decimal(&mut self, places: &mut Places) -> Option<i64> {
        let rest = &self.bytes[self.at..];
        let rest = &rest[..rest.len().min(NUMBER_BYTES_MAX)];
        let text = &rest[..rest.iter().position(|byte| *byte == b'"')?];
        if !text.first()?.is_ascii_digit() {
            return None;
        }
        let value = parse_decimal(text).ok()?;
        if let Some(point) = text.iter().position(|byte| *byte == b'.') {
            let found = (text.len() - point - 1) as u32;
            places.0 = found.clamp(1, PLACES_MAX);
        }
        self.at += text.len();
        Some(value)
    }

    /// Digits one by one, where fewer than eight bytes are left.
    #[cold]
    fn last_digits(&mut self, mut value: u64) -> u64 {
        while let Some(byte) = self.bytes.get(self.at).filter(|byte| byte.is_ascii_digit()) {
            value = value.wrapping_mul(10).wrapping_add(u64::from(byte - b'0'));
            self.at += 1;
        }
        value
    }

    /// Whether the digits since `start` are a number that JSON and a `u64` allow.
    #[inline(always)]
    fn is_integer(&self, start: usize) -> bool {
        let len = self.at - start;
        len == 1 || ((2..20).contains(&len) && self.bytes[start] != b'0')
    }

    /// The eight bytes from here on, '0' taken from each; `None` where the message is over before.
    #[inline(always)]
    fn word(&self, at: usize) -> Option<u64> {
        let bytes: &[u8; 8] = self.bytes.get(at..at + 8)?.try_into().ok()?;
        Some(u64::from_le_bytes(*bytes) ^ ZEROS)
    }
}

const _: () = assert!(SCALE_DIGITS == 9, "whole numbers are raised by 10^9");

/// The top bit of every byte that is not a digit.
#[inline(always)]
const fn not_digits(word: u64) -> u64 {
    (((word & !TOPS) + BEYOND_NINE) | word) & TOPS
}

/// Bits of the digits at the word's start: a multiple of eight, 64 when all are.
#[inline(always)]
const fn digit_bits(word: u64) -> u32 {
    not_digits(word).trailing_zeros() & 0x78
}

/// The number that eight digits make, the first in the lowest byte: pairs, then fours, then all.
#[inline(always)]
const fn eight(word: u64) -> u64 {
    let pairs = word.wrapping_mul(10).wrapping_add(word >> 8);
    let high = (pairs & 0x0000_00FF_0000_00FF).wrapping_mul(0x000F_4240_0000_0064);
    let low = ((pairs >> 16) & 0x0000_00FF_0000_00FF).wrapping_mul(0x0000_2710_0000_0001);
    high.wrapping_add(low) >> 32
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A number as it stands in a message: quote after it, more behind.
    fn decimal(text: &str, tail: &str, guess: u32) -> Option<(i64, usize)> {
        let bytes = format!("{text}\"{tail}");
        let mut scan = Scan::new(bytes.as_bytes());
        let value = scan.decimal(&mut Places::guess(guess))?;
        Some((value, scan.at))
    }

    #[test]
    fn decimals() {
        for guess in 1..=PLACES_MAX {
            for text in [
                "0",
                "7",
                "84077",
                "1234567",
                "12345678",
                "123456789",
                "0.20416",
                "84050.000000",
                "2064.54",
                "25374.8",
                "195642.5",
                "1234567.1",
                "123456.12",
                "0.000000001",
                "9223372036.854775807",
                "5.",
                "1e3",
                "0.00000000000000000000",
            ] {
                let expected = parse_decimal(text.as_bytes()).unwrap();
                let read = decimal(text, "},{\"price\":\"", guess);
                assert_eq!(read, Some((expected, text.len())), "{text} {guess}");
            }
            for text in [
                "",
                ".",
                ".5",
                "-1",
                "--1",
                "x",
                "1x",
                "1.2.3",
                "0.0000000001",
                "1 ",
            ] {
                assert_eq!(
                    decimal(text, "},{\"price\":\"", guess),
                    None,
                    "{text} {guess}"
                );
            }
        }
        assert_eq!(
            decimal("12", "", 2),
            None,
            "a message does not end with a number's quote"
        );
        let signed = |text: &str| Scan::new(text.as_bytes()).signed_decimal(&mut Places::guess(2));
        assert_eq!(signed("-1.25\",\"p\":\"9\""), Some(-1_250_000_000));
        assert_eq!(signed("1.25\",\"p\":\"9\""), Some(1_250_000_000));
        assert_eq!(signed("--1.25\",\"p\":\"9\""), None);
    }

    #[test]
    fn integers() {
        for tail in ["", "}", ",\"timestamp\":1785358812058"] {
            for (digits, value) in [
                ("0", Some(0)),
                ("7", Some(7)),
                ("18032384006", Some(18_032_384_006)),
                ("1785358812048570", Some(1_785_358_812_048_570)),
                ("9999999999999999999", Some(9_999_999_999_999_999_999)),
                ("10000000000000000000", None),
                ("00", None),
                ("012345678901", None),
                ("", None),
                ("-1", None),
            ] {
                let text = format!("{digits}{tail}");
                let mut scan = Scan::new(text.as_bytes());
                let mut skip = scan;
                assert_eq!(scan.integer(), value, "{text}");
                assert_eq!(skip.skip_integer(), value.map(|_| ()), "{text}");
                if value.is_some() {
                    assert_eq!((scan.at, skip.at), (digits.len(), digits.len()), "{text}");
                }
            }
        }
    }

    #[test]
    fn texts() {
        let mut symbol = Scan::new(b"NVDA_24_5-USD\"");
        assert_eq!((symbol.symbol(), symbol.at), (Some(()), 13));
        assert_eq!((symbol.symbol(), symbol.at), (None, 13));
        let mut quoted = Scan::new(b"BTC-USD\",\"b\"");
        assert_eq!(quoted.quoted(6), None);
        assert_eq!((quoted.quoted(7), quoted.at), (Some(&b"BTC-USD"[..]), 8));
        assert_eq!(Scan::new(b"BTC").quoted(9), None);
        let mut scan = Scan::new(b"{\"a\":BTC}");
        assert!(!scan.has(b"[") && scan.text(b"{\"a\":").is_some());
        assert_eq!(scan.symbol(), Some(()));
        assert_eq!((scan.end(0), scan.end(2)), (None, None));
        assert_eq!(scan.end(1), Some(()));
        assert_eq!(scan.text(b"}"), Some(()));
        assert_eq!(scan.end(0), Some(()));
        assert_eq!(scan.text(b"}"), None);
    }

    proptest! {
        /// The fast way takes a number for what the slow one does, whatever was guessed.
        #[test]
        fn a_number_is_the_same_number(
            text in "[0-9]{0,10}\\.?[0-9]{0,11}",
            guess in 1..=PLACES_MAX,
        ) {
            let slow = parse_decimal(text.as_bytes()).ok();
            let slow = slow.filter(|_| text.starts_with(|first: char| first.is_ascii_digit()));
            let fast = decimal(&text, ",\"size\":\"0.0\"", guess);
            prop_assert_eq!(fast, slow.map(|value| (value, text.len())));
        }

        #[test]
        fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            let scan = Scan::new(&bytes);
            let (mut a, mut b, mut c) = (scan, scan, scan);
            let _ = (a.integer(), b.skip_integer(), c.signed_decimal(&mut Places::guess(3)));
            prop_assert!(a.at <= bytes.len() && b.at <= bytes.len() && c.at <= bytes.len());
        }

        /// Any byte beside digits is seen, also one above 127.
        #[test]
        fn digits_end_where_they_end(word in any::<[u8; 8]>(), len in 0..8_usize) {
            let mut word = word;
            word[..len].fill(b'4');
            let found = word.iter().take_while(|byte| byte.is_ascii_digit()).count();
            let read = digit_bits(u64::from_le_bytes(word) ^ ZEROS);
            prop_assert_eq!(read as usize, 8 * found);
        }
    }
}
