//! Dates of the calendar, in UTC: how moments are written for people, and read from venues.
//!
//! Promises: a text and its moment are the same second. Refuses: days and hours that there are not,
//! and time zones.

use crate::market::units::{Nanos, SECOND};
use time::{Date, Month, OffsetDateTime};

/// ISO 8601 in UTC, to the second: `2026-11-22T18:51:21Z`.
#[cold]
pub fn utc(t: Nanos) -> String {
    let ([year, month, day], [hour, minute, second]) = civil(t);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// Year, month and day; hour, minute and second.
pub fn civil(t: Nanos) -> ([u16; 3], [u8; 3]) {
    let seconds = i64::try_from(t.0 / SECOND).unwrap_or(i64::MAX);
    let moment = OffsetDateTime::from_unix_timestamp(seconds)
        .expect("64 bits of nanoseconds end in the year 2554");
    let (year, month, day) = moment.to_calendar_date();
    let date = [year as u16, u16::from(u8::from(month)), u16::from(day)];
    let (hour, minute, second) = moment.to_hms();
    (date, [hour, minute, second])
}

/// Seconds since 1970 of a date and a time of day. A leap second counts as the one before it.
pub fn epoch_s([year, month, day]: [u16; 3], [hour, minute, second]: [u8; 3]) -> Option<u64> {
    let month = Month::try_from(u8::try_from(month).ok()?).ok()?;
    let date = Date::from_calendar_date(i32::from(year), month, u8::try_from(day).ok()?).ok()?;
    let second = if second == 60 { 59 } else { second };
    let moment = date.with_hms(hour, minute, second).ok()?.assume_utc();
    u64::try_from(moment.unix_timestamp()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_written_and_read() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
            (1_735_689_599, "2024-12-31T23:59:59Z"),
        ] {
            let t = Nanos(seconds * SECOND);
            assert_eq!(utc(t), text);
            let (date, time) = civil(t);
            assert_eq!(epoch_s(date, time), Some(seconds));
        }
        let end = utc(Nanos(u64::MAX));
        assert_eq!(end, "2554-07-21T23:34:33Z");
        assert_eq!(epoch_s([2016, 12, 31], [23, 59, 60]), Some(1_483_228_799));
        for (date, time) in [
            ([2023, 2, 29], [0, 0, 0]),
            ([2024, 13, 1], [0, 0, 0]),
            ([2024, 4, 31], [0, 0, 0]),
            ([2024, 4, 1], [24, 0, 0]),
            ([2024, 4, 1], [0, 60, 0]),
            ([1969, 12, 31], [23, 59, 59]),
        ] {
            assert_eq!(epoch_s(date, time), None, "{date:?} {time:?}");
        }
    }
}
