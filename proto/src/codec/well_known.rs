//! The special forms of the well-known types: RFC 3339 times, durations in seconds, field masks.
//!
//! After the JSON mapping (<https://protobuf.dev/programming-guides/json/>) and the comments in
//! `google/protobuf/{timestamp,duration,field_mask}.proto`.

use super::json_write::integer;

/// 0001-01-01T00:00:00Z.
const TIMESTAMP_MIN: i64 = -62_135_596_800;
/// 9999-12-31T23:59:59Z.
const TIMESTAMP_MAX: i64 = 253_402_300_799;
/// About 10,000 years.
const DURATION_MAX: i64 = 315_576_000_000;
const DAY: i64 = 86_400;

/// Appends a timestamp without quotes; says what is wrong with one that has no form.
pub(crate) fn put_timestamp(
    seconds: i64,
    nanos: i32,
    out: &mut Vec<u8>,
) -> Result<(), &'static str> {
    if !(TIMESTAMP_MIN..=TIMESTAMP_MAX).contains(&seconds) {
        return Err("its seconds are outside the years 1 to 9999");
    }
    if !(0..=999_999_999).contains(&nanos) {
        return Err("its nanos are outside 0 to 999,999,999");
    }
    let (year, month, day) = civil(seconds.div_euclid(DAY));
    let time = seconds.rem_euclid(DAY);
    digits(year, 4, out);
    out.push(b'-');
    digits(month, 2, out);
    out.push(b'-');
    digits(day, 2, out);
    out.push(b'T');
    digits(time / 3600, 2, out);
    out.push(b':');
    digits(time / 60 % 60, 2, out);
    out.push(b':');
    digits(time % 60, 2, out);
    fraction(nanos, out);
    out.push(b'Z');
    Ok(())
}

/// Appends a duration without quotes.
pub(crate) fn put_duration(
    seconds: i64,
    nanos: i32,
    out: &mut Vec<u8>,
) -> Result<(), &'static str> {
    if !(-DURATION_MAX..=DURATION_MAX).contains(&seconds) {
        return Err("its seconds are outside plus or minus 315,576,000,000");
    }
    if nanos.unsigned_abs() > 999_999_999 {
        return Err("its nanos are outside plus or minus 999,999,999");
    }
    if seconds > 0 && nanos < 0 || seconds < 0 && nanos > 0 {
        return Err("its seconds and nanos differ in sign");
    }
    if seconds < 0 || nanos < 0 {
        out.push(b'-');
    }
    integer(seconds.unsigned_abs(), out);
    fraction(nanos.abs(), out);
    out.push(b's');
    Ok(())
}

/// Whether seconds and nanos are a timestamp.
pub(crate) fn is_timestamp(seconds: i64, nanos: i32) -> bool {
    put_timestamp(seconds, nanos, &mut Vec::new()).is_ok()
}

/// Whether seconds and nanos are a duration.
pub(crate) fn is_duration(seconds: i64, nanos: i32) -> bool {
    put_duration(seconds, nanos, &mut Vec::new()).is_ok()
}

/// Nothing, or a point and 3, 6 or 9 digits.
fn fraction(nanos: i32, out: &mut Vec<u8>) {
    let (value, width) = match nanos {
        0 => return,
        _ if nanos % 1_000_000 == 0 => (nanos / 1_000_000, 3),
        _ if nanos % 1_000 == 0 => (nanos / 1_000, 6),
        _ => (nanos, 9),
    };
    out.push(b'.');
    digits(i64::from(value), width, out);
}

fn digits(mut value: i64, width: usize, out: &mut Vec<u8>) {
    let start = out.len();
    out.resize(start + width, b'0');
    for place in out[start..].iter_mut().rev() {
        *place = b'0' + (value % 10) as u8;
        value /= 10;
    }
}

/// Days since 1970-01-01 -> year, month, day, in the proleptic Gregorian calendar. Counts years from
/// March, so that the leap day comes last.
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 {
        from_march + 3
    } else {
        from_march - 9
    };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

/// Year, month, day -> days since 1970-01-01.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let from_march = (month + 9) % 12;
    let day_of_year = (153 * from_march + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

fn month_days(year: i64, month: i64) -> i64 {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        2 => 28 + i64::from(leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Cuts a text from the front; every step fails on anything but the expected.
struct Cut<'t>(&'t [u8]);

impl Cut<'_> {
    fn number(&mut self, width: usize) -> Option<i64> {
        let (head, rest) = self.0.split_at_checked(width)?;
        self.0 = rest;
        head.iter().try_fold(0, |value, byte| {
            byte.is_ascii_digit()
                .then(|| value * 10 + i64::from(byte - b'0'))
        })
    }

    fn one_of(&mut self, wanted: &[u8]) -> Option<u8> {
        let (&byte, rest) = self.0.split_first()?;
        self.0 = rest;
        wanted.contains(&byte).then_some(byte)
    }

    /// A point and 1 to 9 digits, if there is a point; in nanoseconds.
    fn fraction(&mut self) -> Option<i32> {
        if self.0.first() != Some(&b'.') {
            return Some(0);
        }
        self.0 = &self.0[1..];
        let width = self
            .0
            .iter()
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        if !(1..=9).contains(&width) {
            return None;
        }
        let value = self.number(width)?;
        i32::try_from(value * 10i64.pow(9 - width as u32)).ok()
    }
}

/// Reads an RFC 3339 time, with any offset from UTC, as seconds and nanos.
pub(crate) fn timestamp(text: &str) -> Option<(i64, i32)> {
    let mut cut = Cut(text.as_bytes());
    let year = cut.number(4)?;
    cut.one_of(b"-")?;
    let month = cut.number(2).filter(|month| (1..=12).contains(month))?;
    cut.one_of(b"-")?;
    let day = cut
        .number(2)
        .filter(|day| (1..=month_days(year, month)).contains(day))?;
    cut.one_of(b"T")?;
    let hour = cut.number(2).filter(|hour| *hour < 24)?;
    cut.one_of(b":")?;
    let minute = cut.number(2).filter(|minute| *minute < 60)?;
    cut.one_of(b":")?;
    let second = cut.number(2).filter(|second| *second < 60)?;
    let nanos = cut.fraction()?;
    let offset = match cut.one_of(b"Z+-")? {
        b'Z' => 0,
        sign => {
            let hours = cut.number(2).filter(|hours| *hours < 24)?;
            cut.one_of(b":")?;
            let minutes = cut.number(2).filter(|minutes| *minutes < 60)?;
            (hours * 3600 + minutes * 60) * if sign == b'-' { -1 } else { 1 }
        }
    };
    let seconds = days(year, month, day) * DAY + hour * 3600 + minute * 60 + second - offset;
    let fits = cut.0.is_empty() && (TIMESTAMP_MIN..=TIMESTAMP_MAX).contains(&seconds);
    fits.then_some((seconds, nanos))
}

/// Reads a duration such as `-1.5s`, as seconds and nanos.
pub(crate) fn duration(text: &str) -> Option<(i64, i32)> {
    let negative = text.starts_with('-');
    let mut cut = Cut(text.strip_prefix('-').unwrap_or(text).as_bytes());
    let width = cut
        .0
        .iter()
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    if !(1..=12).contains(&width) {
        return None;
    }
    let seconds = cut.number(width)?;
    let nanos = cut.fraction()?;
    cut.one_of(b"s")?;
    if !cut.0.is_empty() || seconds > DURATION_MAX {
        return None;
    }
    Some(if negative {
        (-seconds, -nanos)
    } else {
        (seconds, nanos)
    })
}

/// Appends the JSON form of one path of a field mask; `None` when it would not read back.
pub(crate) fn put_mask_path(path: &str, out: &mut Vec<u8>) -> Option<()> {
    let mut after_underscore = false;
    for byte in path.bytes() {
        match byte {
            b'_' if after_underscore => return None,
            b'_' => after_underscore = true,
            b'a'..=b'z' if after_underscore => {
                out.push(byte.to_ascii_uppercase());
                after_underscore = false;
            }
            _ if after_underscore
                || byte.is_ascii_uppercase()
                || byte == b'"'
                || byte == b'\\'
                || byte < 0x20 =>
            {
                return None;
            }
            b',' => return None,
            _ => out.push(byte),
        }
    }
    (!after_underscore).then_some(())
}

/// Appends the `.proto` form of one JSON path of a field mask.
pub(crate) fn mask_path(path: &str, out: &mut Vec<u8>) -> Option<()> {
    for byte in path.bytes() {
        match byte {
            b'_' => return None,
            b'A'..=b'Z' => out.extend_from_slice(&[b'_', byte.to_ascii_lowercase()]),
            _ => out.push(byte),
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_both_ways() {
        #[track_caller]
        fn check(seconds: i64, nanos: i32, expected: &str) {
            let mut out = Vec::new();
            put_timestamp(seconds, nanos, &mut out).unwrap();
            assert_eq!(String::from_utf8(out).unwrap(), expected);
            assert_eq!(timestamp(expected), Some((seconds, nanos)));
        }
        check(0, 0, "1970-01-01T00:00:00Z");
        check(1_582_934_400, 1_000_000, "2020-02-29T00:00:00.001Z");
        check(-1, 999_999_999, "1969-12-31T23:59:59.999999999Z");
        check(951_782_400, 10_000, "2000-02-29T00:00:00.000010Z");
        check(TIMESTAMP_MIN, 0, "0001-01-01T00:00:00Z");
        check(TIMESTAMP_MAX, 999_999_999, "9999-12-31T23:59:59.999999999Z");
        assert!(put_timestamp(TIMESTAMP_MAX + 1, 0, &mut Vec::new()).is_err());
        assert!(put_timestamp(TIMESTAMP_MIN - 1, 0, &mut Vec::new()).is_err());
        assert!(put_timestamp(i64::MIN, 0, &mut Vec::new()).is_err());
        assert!(put_timestamp(0, -1, &mut Vec::new()).is_err());
        assert!(put_timestamp(0, 1_000_000_000, &mut Vec::new()).is_err());
    }

    #[test]
    fn days_and_dates_agree() {
        for day in (TIMESTAMP_MIN / DAY..=TIMESTAMP_MAX / DAY).step_by(11) {
            let (year, month, date) = civil(day);
            assert_eq!(days(year, month, date), day);
        }
    }

    #[test]
    fn reads_timestamps() {
        #[track_caller]
        fn check(text: &str, expected: Option<(i64, i32)>) {
            assert_eq!(timestamp(text), expected, "{text}");
        }
        check("1970-01-01T09:00:00+09:00", Some((0, 0)));
        check("1969-12-31T23:30:00-00:30", Some((0, 0)));
        check("1970-01-01T00:00:00.5Z", Some((0, 500_000_000)));
        check("0001-01-01T00:00:00+01:00", None);
        check("1970-02-29T00:00:00Z", None);
        check("1970-01-01T24:00:00Z", None);
        check("1970-01-01T00:00:60Z", None);
        check("1970-01-01T00:00:00", None);
        check("1970-01-01 00:00:00Z", None);
        check("1970-01-01t00:00:00z", None);
        check("1970-01-01T00:00:00.Z", None);
        check("1970-01-01T00:00:00.1234567890Z", None);
        check("10000-01-01T00:00:00Z", None);
        check("", None);
    }

    #[test]
    fn durations_both_ways() {
        #[track_caller]
        fn check(seconds: i64, nanos: i32, expected: &str) {
            let mut out = Vec::new();
            put_duration(seconds, nanos, &mut out).unwrap();
            assert_eq!(String::from_utf8(out).unwrap(), expected);
            assert_eq!(duration(expected), Some((seconds, nanos)));
        }
        check(0, 0, "0s");
        check(1, 500_000_000, "1.500s");
        check(0, -1, "-0.000000001s");
        check(-3, -1_000, "-3.000001s");
        check(DURATION_MAX, 0, "315576000000s");
        assert!(put_duration(DURATION_MAX + 1, 0, &mut Vec::new()).is_err());
        assert!(put_duration(1, -1, &mut Vec::new()).is_err());
        assert!(put_duration(0, i32::MIN, &mut Vec::new()).is_err());
        for wrong in [
            "",
            "s",
            "1",
            "1.s",
            "--1s",
            "+1s",
            "1 s",
            "315576000001s",
            "1e3s",
            "9999999999999s",
        ] {
            assert_eq!(duration(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn masks_both_ways() {
        #[track_caller]
        fn check(path: &str, expected: Option<&str>) {
            let mut out = Vec::new();
            let put = put_mask_path(path, &mut out).map(|()| String::from_utf8(out).unwrap());
            assert_eq!(put.as_deref(), expected, "{path}");
            if let Some(json) = expected {
                let mut back = Vec::new();
                assert_eq!(mask_path(json, &mut back), Some(()));
                assert_eq!(back, path.as_bytes());
            }
        }
        check("user.display_name", Some("user.displayName"));
        check("a_b_c", Some("aBC"));
        check("a__b", None);
        check("a_1", None);
        check("aB", None);
        check("a_", None);
        assert_eq!(mask_path("a_b", &mut Vec::new()), None);
    }
}
