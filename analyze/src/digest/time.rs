//! Times of day: as reports show them, and as people type them.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use thiserror::Error;

use crate::units::parse_duration;

/// A time in microseconds since the Unix epoch as ISO 8601 in UTC, without needless digits; the number itself
/// when it lies outside of the years -9999 to 9999.
pub fn timestamp(at_us: i64) -> String {
    Timestamp::from_microsecond(at_us).map_or_else(|_| at_us.to_string(), |at| at.to_string())
}

/// As [`timestamp`], always with this many digits of the second: such texts sort as the times do.
pub fn timestamp_with(at_us: i64, digits: usize) -> String {
    Timestamp::from_microsecond(at_us)
        .map_or_else(|_| at_us.to_string(), |at| format!("{at:.digits$}"))
}

/// A time that could not be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "`{0}` is no time; write 2026-11-20T10:00:00Z, '2026-11-20 10:00' (UTC), seconds since the epoch, \
     or how long ago: 10m, 2h"
)]
pub struct TimeError(String);

/// Read a time of day: ISO 8601 with a zone, without one (UTC), seconds since the Unix epoch, or a
/// duration before `now_us`. Returns microseconds since the Unix epoch.
///
/// # Errors
/// [`TimeError`] when it is none of them.
pub fn parse_at(text: &str, now_us: i64) -> Result<i64, TimeError> {
    let text = text.trim();
    if let Ok(at) = text.parse::<Timestamp>() {
        return Ok(at.as_microsecond());
    }
    if let Ok(civil) = text.parse::<DateTime>()
        && let Ok(at) = civil.to_zoned(TimeZone::UTC)
    {
        return Ok(at.timestamp().as_microsecond());
    }
    // Small numbers are durations in seconds, as everywhere else: nobody has logs of the 1970s.
    if let Ok(seconds) = text.parse::<f64>()
        && seconds.abs() >= 1e8
        && seconds.abs() < 1e11
    {
        return Ok((seconds * 1e6) as i64);
    }
    let ago = text.strip_suffix("ago").map_or(text, str::trim_end);
    match parse_duration(ago) {
        Ok(ago) => Ok(now_us.saturating_sub(i64::try_from(ago.as_micros()).unwrap_or(i64::MAX))),
        Err(_) => Err(TimeError(text.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_shown() {
        let check = |at_us: i64, text: &str| assert_eq!(timestamp(at_us), text);
        check(0, "1970-01-01T00:00:00Z");
        check(1_795_170_075_659_466, "2026-11-20T10:21:15.659466Z");
        check(i64::MAX, "9223372036854775807");
    }

    #[test]
    fn times_are_read() {
        const NOW: i64 = 1_795_170_000_000_000;
        let check = |text: &str, at_us: Option<i64>| {
            assert_eq!(parse_at(text, NOW).ok(), at_us, "{text}");
        };
        check("2026-11-20T10:21:15Z", Some(1_795_170_075_000_000));
        check("2026-11-20T19:21:15.5+09:00", Some(1_795_170_075_500_000));
        check("2026-11-20 10:21:15", Some(1_795_170_075_000_000));
        check("2026-11-20 10:21", Some(1_795_170_060_000_000));
        check("2026-11-20", Some(1_795_132_800_000_000));
        check("1795170075", Some(1_795_170_075_000_000));
        check("10m", Some(NOW - 600_000_000));
        check("10m ago", Some(NOW - 600_000_000));
        check("90", Some(NOW - 90_000_000));
        for bad in ["", "ago", "yesterday", "2026-13-01", "-5m", "nan", "1e300"] {
            check(bad, None);
        }
    }
}
