//! Numbers and times as slow logs write them, exact: no floating point.

use super::limits::WRAPPED_SECONDS;

/// A duration in seconds with decimals, in nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Duration {
    /// A plain one.
    Nanos(u64),
    /// A negative one, which servers write as it is or wrapped around (`18446744073708.796870`).
    Negative,
}

/// Decimal digits at the begin of `text`; what does not fit becomes the largest number.
#[inline]
pub(super) fn integer(text: &[u8]) -> (u64, usize) {
    let mut value = 0u64;
    let mut at = 0;
    while let Some(digit) = text
        .get(at)
        .map(|byte| byte.wrapping_sub(b'0'))
        .filter(|d| *d < 10)
    {
        value = if at < 19 {
            value * 10 + u64::from(digit)
        } else {
            value.saturating_mul(10).saturating_add(u64::from(digit))
        };
        at += 1;
    }
    (value, at)
}

/// `0.000109`: seconds with decimals at the begin of `text`, and how many bytes that is. Digits beyond
/// nanoseconds do not count.
#[inline]
pub(super) fn seconds(text: &[u8]) -> (Option<Duration>, usize) {
    if text.first() == Some(&b'-') {
        let size = text.iter().take_while(|byte| **byte > b' ').count();
        return (Some(Duration::Negative), size);
    }
    let (whole, digits) = integer(text);
    let (nanos, size) = match text.get(digits) {
        Some(b'.') => {
            let (nanos, decimals) = fraction(&text[digits + 1..], 9);
            (nanos, digits + 1 + decimals)
        }
        _ => (0, digits),
    };
    let value = if size == 0 {
        None
    } else if whole > WRAPPED_SECONDS {
        Some(Duration::Negative)
    } else {
        Some(Duration::Nanos(whole * 1_000_000_000 + nanos))
    };
    (value, size)
}

/// Decimals scaled to `scale` digits, and how many there are.
#[inline]
fn fraction(text: &[u8], scale: usize) -> (u64, usize) {
    let mut value = 0u64;
    let mut at = 0;
    while let Some(digit) = text
        .get(at)
        .map(|byte| byte.wrapping_sub(b'0'))
        .filter(|d| *d < 10)
    {
        if at < scale {
            value = value * 10 + u64::from(digit);
        }
        at += 1;
    }
    static POWERS: [u64; 10] = [
        1,
        10,
        100,
        1_000,
        10_000,
        100_000,
        1_000_000,
        10_000_000,
        100_000_000,
        1_000_000_000,
    ];
    (value * POWERS[scale.saturating_sub(at)], at)
}

/// A time of a `# Time:` line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stamp {
    /// With a zone: microseconds since the Unix epoch.
    Zoned(i64),
    /// Without one (`261120 10:21:27`), as if it were UTC: microseconds since the Unix epoch.
    Local(i64),
}

/// `2026-11-20T10:21:15.659466Z`, `...+09:00`, or `261120 10:21:27` (whose hour may have one digit).
#[inline]
pub(super) fn stamp(text: &[u8]) -> Option<Stamp> {
    if text.get(10) == Some(&b'T') {
        iso(text)
    } else {
        local(text)
    }
}

fn two(text: &[u8], at: usize) -> Option<i64> {
    let tens = text.get(at)?.wrapping_sub(b'0');
    let ones = text.get(at + 1)?.wrapping_sub(b'0');
    (tens < 10 && ones < 10).then(|| i64::from(tens * 10 + ones))
}

fn iso(text: &[u8]) -> Option<Stamp> {
    let year = two(text, 0)? * 100 + two(text, 2)?;
    if text[4] != b'-' || text[7] != b'-' || text.get(13)? != &b':' || text.get(16)? != &b':' {
        return None;
    }
    let days = days(year, two(text, 5)?, two(text, 8)?)?;
    let clock = clock(two(text, 11)?, two(text, 14)?, two(text, 17)?)?;
    let (micros, decimals) = match text.get(19) {
        Some(b'.') => fraction(&text[20..], 6),
        _ => (0, 0),
    };
    let zone = 19 + if decimals > 0 { decimals + 1 } else { 0 };
    let utc_us = (days * 86_400 + clock) * 1_000_000 + micros as i64;
    Some(match text.get(zone) {
        Some(b'Z') => Stamp::Zoned(utc_us),
        Some(sign @ (b'+' | b'-')) => {
            let hours = two(text, zone + 1)?;
            let colon = usize::from(text.get(zone + 3) == Some(&b':'));
            let minutes = two(text, zone + 3 + colon)?;
            let offset_us = (hours * 60 + minutes) * 60_000_000;
            Stamp::Zoned(utc_us - if *sign == b'+' { offset_us } else { -offset_us })
        }
        _ => Stamp::Local(utc_us),
    })
}

fn local(text: &[u8]) -> Option<Stamp> {
    let days = days(2000 + two(text, 0)?, two(text, 2)?, two(text, 4)?)?;
    let rest = text[6..].trim_ascii_start();
    let (hour, digits) = integer(rest);
    if digits == 0 || digits > 2 || rest.get(digits) != Some(&b':') {
        return None;
    }
    let clock = clock(hour as i64, two(rest, digits + 1)?, two(rest, digits + 4)?)?;
    let micros = match rest.get(digits + 6) {
        Some(b'.') => fraction(&rest[digits + 7..], 6).0,
        _ => 0,
    };
    Some(Stamp::Local(
        (days * 86_400 + clock) * 1_000_000 + micros as i64,
    ))
}

fn clock(hour: i64, minute: i64, second: i64) -> Option<i64> {
    (hour < 24 && minute < 60 && second < 61).then_some(hour * 3600 + minute * 60 + second)
}

/// Days from the Unix epoch to a day of the proleptic Gregorian calendar: years of 365 days that begin
/// in March, plus the leap days before them.
fn days(year: i64, month: i64, day: i64) -> Option<i64> {
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    // 719,468 days lie between 0000-03-01 and 1970-01-01.
    Some(year * 365 + leap_days + (153 * month + 2) / 5 + day - 1 - 719_468)
}
