//! The time in an HTTP answer's `Date` header.
//!
//! Promises: the one form that servers may write (IMF-fixdate, RFC 9110, 5.6.7) is read exactly.
//! Refuses: every other form.

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
        .filter(|at| at % 3 == 0 && month.len() == 3)? as u64
        / 3
        + 1;
    let (day, year): (u64, u64) = (day.parse().ok()?, year.parse().ok()?);
    let clock: Option<Vec<u64>> = time.split(':').map(|part| part.parse().ok()).collect();
    let [hour, minute, second] = clock?[..] else {
        return None;
    };
    let fits = (1..=31).contains(&day) && hour < 24 && minute < 60 && second <= 60;
    (fits && (1970..=9999).contains(&year)).then_some(())?;
    // Days from 1970-03-01 backwards and forwards; a year begins in March, so that a leap day is
    // its last.
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 1;
    let days = days.checked_sub(719_468)?;
    Some(days * 86_400 + hour * 3_600 + minute * 60 + second)
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
