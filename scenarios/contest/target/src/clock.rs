//! The wall clock: one resolution everywhere, microseconds since 1970.

use std::time::{SystemTime, UNIX_EPOCH};

use prost_types::Timestamp;

/// Microseconds in a second.
const SECOND: i64 = 1_000_000;

/// Microseconds since 1970.
pub(crate) fn now() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| {
            i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
        })
}

/// The protobuf form of microseconds since 1970.
pub(crate) fn timestamp(micros: i64) -> Timestamp {
    Timestamp {
        seconds: micros.div_euclid(SECOND),
        // Less than a thousand million: always fits.
        nanos: (micros.rem_euclid(SECOND) * 1_000) as i32,
    }
}

/// `2026-01-02T03:04:05` and the microseconds behind it, in UTC.
pub(crate) fn iso(micros: i64) -> (String, i64) {
    let seconds = micros.div_euclid(SECOND);
    let (year, month, day) = civil(seconds.div_euclid(86_400));
    let of_day = seconds.rem_euclid(86_400);
    let text = format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}",
        of_day / 3_600,
        of_day / 60 % 60,
        of_day % 60
    );
    (text, micros.rem_euclid(SECOND))
}

/// Year, month and day of a day counted from 1970-01-01, in the Gregorian calendar.
///
/// Years are counted from March here, so that the leap day is the last one of a year.
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_what_the_calendar_says() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00"),
            (951_782_400, "2000-02-29T00:00:00"),
            (1_767_323_045, "2026-01-02T03:04:05"),
            (4_107_542_399, "2100-02-28T23:59:59"),
            (-1, "1969-12-31T23:59:59"),
        ] {
            assert_eq!(iso(seconds * SECOND).0, text);
        }
        assert_eq!(iso(1_000_007).1, 7);
    }
}
