//! When a request ended: `20/Nov/2026:10:26:36 +0000`, ISO 8601, or a count since the Unix epoch.
//!
//! Lines of one second have one timestamp, so the last one's bytes are kept beside its value.

/// The bytes of the last second that was read in either form, and its value.
#[derive(Debug, Default)]
pub(crate) struct LastSecond {
    local: ([u8; 26], i64),
    iso: ([u8; 19], i64),
}

/// A point in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct At {
    /// Microseconds since the Unix epoch.
    pub(crate) us: i64,
    /// Whether it tells more than seconds.
    pub(crate) fine: bool,
}

const MONTHS: &[u8; 36] = b"JanFebMarAprMayJunJulAugSepOctNovDec";

/// Read a timestamp of any kind.
#[inline]
pub(crate) fn timestamp(text: &[u8], last: &mut LastSecond) -> Option<At> {
    // Apache's and nginx's `$time_local` is as long as this, and nothing else is.
    if let Ok(whole) = <&[u8; 26]>::try_from(text)
        && whole[2] == b'/'
    {
        if last.local.0 != *whole {
            last.local = (*whole, local(whole)?);
        }
        return Some(At {
            us: last.local.1 * 1_000_000,
            fine: false,
        });
    }
    if text.get(4) == Some(&b'-') {
        return iso(text, last);
    }
    epoch(text)
}

/// Digits, all of them.
#[inline]
fn number(text: &[u8]) -> Option<i64> {
    let mut value = 0_i64;
    for byte in text {
        let digit = byte.wrapping_sub(b'0');
        if digit >= 10 {
            return None;
        }
        value = value * 10 + i64::from(digit);
    }
    Some(value)
}

/// Days from the Unix epoch to a day of the Gregorian calendar, counting years from March so that the
/// leap day is a year's last.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let month_from_march = (month + 9) % 12;
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    year * 365 + leap_days + day_of_year - 719_468
}

fn civil(year: i64, month: i64, day: i64, clock: &[u8]) -> Option<i64> {
    let (hour, minute, second) = match clock {
        [a, b, b':', c, d, b':', e, f] => {
            (number(&[*a, *b])?, number(&[*c, *d])?, number(&[*e, *f])?)
        }
        _ => return None,
    };
    let ok = (1..=12).contains(&month) && (1..=31).contains(&day);
    // 60: a leap second.
    (ok && hour < 24 && minute < 60 && second <= 60)
        .then(|| days(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second)
}

/// `+0900`, `+09:00`, `+09`, `Z` or nothing, in seconds.
fn zone(text: &[u8]) -> Option<i64> {
    let (sign, digits) = match text {
        b"+00:00" | b"" | b"Z" | b"z" | b" UTC" => return Some(0),
        [b'+', digits @ ..] => (1, digits),
        [b'-', digits @ ..] => (-1, digits),
        [b' ', rest @ ..] if rest.first() != Some(&b' ') => return zone(rest),
        _ => return None,
    };
    let (hours, minutes) = match digits {
        [a, b, c, d] | [a, b, b':', c, d] => (number(&[*a, *b])?, number(&[*c, *d])?),
        [a, b] => (number(&[*a, *b])?, 0),
        _ => return None,
    };
    Some(sign * (hours * 3_600 + minutes * 60))
}

/// `20/Nov/2026:10:26:36 +0000`.
fn local(text: &[u8]) -> Option<i64> {
    let name: &[u8] = text.get(3..6)?;
    let month = MONTHS.chunks_exact(3).position(|month| month == name)? as i64 + 1;
    let (day, year) = (number(text.get(..2)?)?, number(text.get(7..11)?)?);
    if text[6] != b'/' || text[11] != b':' {
        return None;
    }
    Some(civil(year, month, day, text.get(12..20)?)? - zone(text.get(21..)?)?)
}

/// `2026-11-20T10:26:36.123456+09:00`, with a space for the `T` or a comma for the point if need be.
fn iso(text: &[u8], last: &mut LastSecond) -> Option<At> {
    let second: &[u8; 19] = text.first_chunk()?;
    if last.iso.0 != *second {
        let date = (
            number(&second[..4])?,
            number(&second[5..7])?,
            number(&second[8..10])?,
        );
        if second[7] != b'-' || !matches!(second[10], b'T' | b't' | b' ') {
            return None;
        }
        last.iso = (*second, civil(date.0, date.1, date.2, &second[11..])?);
    }
    let seconds = last.iso.1;
    let mut rest = &text[19..];
    let mut micros = 0;
    let fine = matches!(rest.first(), Some(b'.' | b','));
    if fine {
        let digits = rest[1..].iter().take_while(|b| b.is_ascii_digit()).count();
        micros = fraction(&rest[1..1 + digits]);
        rest = &rest[1 + digits..];
    }
    let us = (seconds - zone(rest)?) * 1_000_000 + micros;
    Some(At { us, fine })
}

/// The digits behind the point, as microseconds.
fn fraction(digits: &[u8]) -> i64 {
    let mut value = 0;
    for at in 0..6 {
        let digit = digits.get(at).map_or(0, |byte| i64::from(byte - b'0'));
        value = value * 10 + digit;
    }
    value
}

/// Seconds (`1795170396.681`), or thousandths, millionths or billionths of them: a count of seconds as
/// large as the smallest of these would lie beyond the year 5000.
fn epoch(text: &[u8]) -> Option<At> {
    const SECONDS: i64 = 100_000_000_000;
    let point = text
        .iter()
        .position(|byte| *byte == b'.')
        .unwrap_or(text.len());
    let (whole, behind) = text.split_at(point);
    if whole.is_empty() || whole.len() > 19 {
        return None;
    }
    let whole = whole
        .iter()
        .try_fold(0_u64, |value, byte| match byte.wrapping_sub(b'0') {
            digit @ 0..10 => value.checked_mul(10)?.checked_add(u64::from(digit)),
            _ => None,
        })?;
    let whole = i64::try_from(whole).ok()?;
    // `time:0.003` is a duration, whatever its label; nobody logged before 1973.
    if whole < SECONDS / 1_000 && !behind.contains(&b'e') && !behind.contains(&b'E') {
        return None;
    }
    let digits = behind.get(1..).unwrap_or_default();
    if !digits.iter().all(u8::is_ascii_digit) {
        // Of `1.7951703966810002e+09` (Go) the leading digits say the second and its fraction.
        return scientific(text);
    }
    let us = if whole < SECONDS {
        whole * 1_000_000 + fraction(digits)
    } else if whole < SECONDS * 1_000 {
        whole * 1_000 + fraction(digits) / 1_000
    } else if whole < SECONDS * 1_000_000 {
        whole
    } else {
        whole / 1_000
    };
    Some(At {
        us,
        fine: whole >= SECONDS || !digits.is_empty(),
    })
}

/// `1.795170396681e+09`: one digit, a fraction, and a power of ten that moves the point.
fn scientific(text: &[u8]) -> Option<At> {
    let at = text.iter().position(|byte| matches!(byte, b'e' | b'E'))?;
    let power = number(text[at + 1..].strip_prefix(b"+").unwrap_or(&text[at + 1..]))?;
    let digits = text.get(2..at)?;
    let power = usize::try_from(power).ok().filter(|power| *power <= 12)?;
    if !digits.iter().all(u8::is_ascii_digit) || text.get(1) != Some(&b'.') {
        return None;
    }
    let mut plain = [b'0'; 40];
    plain[0] = text[0];
    for (to, from) in plain[1..].iter_mut().zip(digits.iter().take(30)) {
        *to = *from;
    }
    let whole = number(&plain[..=power])?;
    Some(At {
        us: whole.checked_mul(1_000_000)? + fraction(&plain[power + 1..]),
        fine: true,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_of_every_sort() {
        let mut last = LastSecond::default();
        let mut check = |text: &str, expected: Option<i64>| {
            let seen = timestamp(text.as_bytes(), &mut last).map(|at| at.us);
            assert_eq!(seen, expected, "{text}");
        };
        let second = 1_795_170_396_000_000;
        for _ in 0..2 {
            check("20/Nov/2026:10:26:36 +0000", Some(second));
            check("20/Nov/2026:19:26:36 +0900", Some(second));
            check("20/Nov/2026:04:56:36 -0530", Some(second));
            check("2026-11-20T10:26:36+00:00", Some(second));
            check("2026-11-20T10:26:36Z", Some(second));
            check("2026-11-20 10:26:36", Some(second));
            check("2026-11-20T19:26:36.681+09:00", Some(second + 681_000));
            check("2026-11-20T10:26:36,6819999Z", Some(second + 681_999));
        }
        check("1795170396", Some(second));
        check("1795170396.681", Some(second + 681_000));
        check("1795170396.6810002", Some(second + 681_000));
        check("1795170396681", Some(second + 681_000));
        check("1795170396681000", Some(second + 681_000));
        check("1795170396681000123", Some(second + 681_000));
        check("1.795170396681e+09", Some(second + 681_000));
        check("1.7e+99", None);
        check("0.003", None);
        check("12", None);
        check("29/Feb/2024:00:00:00 +0000", Some(1_709_164_800_000_000));
        check("1970-01-01T00:00:00Z", Some(0));
        check("1969-12-31T23:59:59Z", Some(-1_000_000));
        check("0000-03-01T00:00:00Z", Some(-62_162_035_200_000_000));
        check("2026-13-20T10:26:36Z", None);
        check("2026-11-20T25:26:36Z", None);
        check("20/Nux/2026:10:26:36 +0000", None);
        check("20/Nov/2026:10:26:36 +00x0", None);
        check("99999999999999999999", None);
        check("-", None);
        check("", None);
        check("2026-", None);
    }
}
