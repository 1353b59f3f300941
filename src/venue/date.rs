//! The time in an HTTP answer's `Date` header.
//!
//! Promises: the one form that servers may write (IMF-fixdate, RFC 9110, 5.6.7) is read exactly.
//! Refuses: every other form.

use crate::market::calendar::epoch_s;

/// Seconds since 1970 of `Sun, 06 Nov 1994 08:49:37 GMT`.
pub fn read(text: &str) -> Option<u64> {
    const MONTHS: &str = "JanFebMarAprMayJunJulAugSepOctNovDec";
    let (_, rest) = text.split_once(", ")?;
    let words: Vec<&str> = rest.split(' ').collect();
    let [day, month, year, time, "GMT"] = words[..] else {
        return None;
    };
    let month = MONTHS
        .find(month)
        .filter(|at| at % 3 == 0 && month.len() == 3)? as u16
        / 3
        + 1;
    let clock: Option<Vec<u8>> = time.split(':').map(|part| part.parse().ok()).collect();
    let [hour, minute, second] = clock?[..] else {
        return None;
    };
    let date = [year.parse().ok()?, month, day.parse().ok()?];
    epoch_s(date, [hour, minute, second])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates() {
        for (text, unix_s) in [
            ("Thu, 01 Jan 1970 00:00:00 GMT", 0),
            ("Sun, 06 Nov 1994 08:49:37 GMT", 784_111_777),
            ("Tue, 29 Feb 2000 00:00:00 GMT", 951_782_400),
            ("Sun, 22 Nov 2026 09:00:00 GMT", 1_795_338_000),
            ("Fri, 31 Dec 9999 23:59:59 GMT", 253_402_300_799),
        ] {
            assert_eq!(read(text), Some(unix_s), "{text}");
        }
        for bad in [
            "",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
            "Sun, 06 Nov 1994 08:49:37 CET",
            "Sun, 06 Nov 1994 24:49:37 GMT",
            "Sun, 06 anF 1994 08:49:37 GMT",
            "Sun, 32 Nov 1994 08:49:37 GMT",
            "Sun, 06 Nov 1969 08:49:37 GMT",
        ] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }
}
