//! Numbers as logs write them: durations, sizes and statuses, exactly and without floating point.

use crate::digest::NO_TIME;

/// What a number without a unit of its own counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Unit {
    /// Seconds.
    #[default]
    Seconds,
    /// Thousandths of a second.
    Millis,
    /// Millionths of a second.
    Micros,
    /// Billionths of a second.
    Nanos,
}

impl Unit {
    /// Decimal places between the unit and a nanosecond.
    fn places(self) -> i32 {
        match self {
            Unit::Seconds => 9,
            Unit::Millis => 6,
            Unit::Micros => 3,
            Unit::Nanos => 0,
        }
    }
}

/// `mantissa * 10^exponent`, and how many bytes say so.
struct Decimal {
    mantissa: u64,
    exponent: i32,
    used: usize,
}

/// Read digits, a fraction and an exponent (`12`, `0.003`, `1.2e-05`) from the front of `text`.
#[inline]
fn decimal(text: &[u8]) -> Option<Decimal> {
    let (mut mantissa, mut exponent, mut used, mut digits) = (0_u64, 0_i32, 0, 0);
    let mut in_fraction = false;
    while let Some(&byte) = text.get(used) {
        let digit = byte.wrapping_sub(b'0');
        if digit < 10 {
            // Behind 18 digits nothing is left that a nanosecond could show.
            if mantissa < 100_000_000_000_000_000 {
                mantissa = mantissa * 10 + u64::from(digit);
                exponent -= i32::from(in_fraction);
            } else {
                exponent = exponent.saturating_add(i32::from(!in_fraction));
            }
            digits += 1;
        } else if byte == b'.' && !in_fraction {
            in_fraction = true;
        } else {
            break;
        }
        used += 1;
    }
    if digits == 0 {
        return None;
    }
    if let Some(b'e' | b'E') = text.get(used) {
        let mut at = used + 1;
        let negative = text.get(at) == Some(&b'-');
        at += usize::from(matches!(text.get(at), Some(b'-' | b'+')));
        let begin = at;
        let mut power = 0_i32;
        while let Some(digit @ b'0'..=b'9') = text.get(at) {
            power = (power * 10 + i32::from(digit - b'0')).min(1_000);
            at += 1;
        }
        if at > begin {
            exponent = exponent.saturating_add(if negative { -power } else { power });
            used = at;
        }
    }
    Some(Decimal {
        mantissa,
        exponent,
        used,
    })
}

/// `mantissa * 10^exponent`, rounded half up; as large as can be when it is larger.
fn scale(mantissa: u64, exponent: i32) -> u64 {
    let power = |n: i32| 10_u128.pow(n.unsigned_abs().min(38));
    let value = u128::from(mantissa);
    let scaled = if exponent >= 0 {
        value.saturating_mul(power(exponent))
    } else {
        let by = power(exponent);
        (value + by / 2) / by
    };
    u64::try_from(scaled).unwrap_or(NO_TIME).min(NO_TIME - 1)
}

/// A unit at the front of `text`: its size as `10^places` times `factor` nanoseconds, and its length.
fn suffix(text: &[u8]) -> Option<(u64, i32, usize)> {
    Some(match text {
        [b'n', b's', ..] => (1, 0, 2),
        [b'u', b's', ..] => (1, 3, 2),
        [0xc2, 0xb5, b's', ..] | [0xce, 0xbc, b's', ..] => (1, 3, 3),
        [b'm', b's', ..] => (1, 6, 2),
        [b's', b'e', b'c', ..] => (1, 9, 3),
        [b's', ..] => (1, 9, 1),
        [b'm', b'i', b'n', ..] => (60, 9, 3),
        [b'm', ..] => (60, 9, 1),
        [b'h', ..] => (3_600, 9, 1),
        _ => return None,
    })
}

/// A duration in nanoseconds: a number of `unit`, or one with a unit of its own (`1.5ms`, `12µs`,
/// `1m2.5s`). None when it is something else.
fn one_duration(text: &[u8], unit: Unit) -> Option<u64> {
    let number = decimal(text)?;
    let mut rest = &text[number.used..];
    if rest.is_empty() {
        return Some(scale(number.mantissa, number.exponent + unit.places()));
    }
    let mut total = 0_u64;
    let mut number = number;
    loop {
        let behind = rest.strip_prefix(b" ").unwrap_or(rest);
        let (factor, places, len) = suffix(behind)?;
        let mantissa = number.mantissa.saturating_mul(factor);
        total = total.saturating_add(scale(mantissa, number.exponent + places));
        rest = &behind[len..];
        if rest.is_empty() {
            return Some(total.min(NO_TIME - 1));
        }
        number = decimal(rest)?;
        rest = &rest[number.used..];
    }
}

/// A duration in nanoseconds, or the sum of several: nginx writes `0.1, 0.2 : 0.3` when it asked several
/// upstreams. `NO_TIME` when none is there (`-`).
#[inline]
pub(crate) fn duration(text: &[u8], unit: Unit) -> u64 {
    // `0.003` is by far the most frequent.
    if let [seconds @ b'0'..=b'9', b'.', a, b, c] = text
        && let (a @ 0..10, b @ 0..10, c @ 0..10) = (
            a.wrapping_sub(b'0'),
            b.wrapping_sub(b'0'),
            c.wrapping_sub(b'0'),
        )
        && unit == Unit::Seconds
    {
        let millis = u64::from(seconds - b'0') * 1_000
            + u64::from(a) * 100
            + u64::from(b) * 10
            + u64::from(c);
        return millis * 1_000_000;
    }
    durations(text, unit)
}

#[inline(never)]
fn durations(text: &[u8], unit: Unit) -> u64 {
    let mut total = NO_TIME;
    for piece in text.split(|byte| matches!(byte, b',' | b':')) {
        if let Some(time) = one_duration(piece.trim_ascii(), unit) {
            let before = if total == NO_TIME { 0 } else { total };
            total = before.saturating_add(time).min(NO_TIME - 1);
        }
    }
    total
}

/// A whole number; 0 when it is none (`-`). A fraction is dropped, what is too large is the largest.
#[inline]
pub(crate) fn size(text: &[u8]) -> u64 {
    let mut value = 0_u64;
    for byte in text {
        let digit = byte.wrapping_sub(b'0');
        if digit >= 10 {
            return if *byte == b'.' { value } else { 0 };
        }
        value = value.saturating_mul(10).saturating_add(u64::from(digit));
    }
    value
}

/// An HTTP status: 0 for what stands for none (`000`, `0`, `-`, nothing); None for what is no status.
#[inline]
pub(crate) fn status(text: &[u8]) -> Option<u16> {
    let digits = |a: u8, b: u8, c: u8| {
        let digit = |byte: u8| Some(byte.wrapping_sub(b'0')).filter(|d| *d < 10);
        let value = u16::from(digit(a)?) * 100 + u16::from(digit(b)?) * 10 + u16::from(digit(c)?);
        (value == 0 || value >= 100).then_some(value)
    };
    match text {
        [a, b, c] => digits(*a, *b, *c),
        // Some applications log `200 OK`.
        [a, b, c, b' ' | b'.', ..] => digits(*a, *b, *c),
        b"" | b"-" | b"0" => Some(0),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_exact() {
        let check = |text: &str, unit, expected| {
            assert_eq!(duration(text.as_bytes(), unit), expected, "{text}");
        };
        let s = Unit::Seconds;
        check("0.003", s, 3_000_000);
        check("9.999", s, 9_999_000_000);
        check("12.345678", s, 12_345_678_000);
        check("0.1234567894", s, 123_456_789);
        check("0.1234567895", s, 123_456_790);
        check("7", s, 7_000_000_000);
        check("1.2e-05", s, 12_000);
        check("1E3", s, 1_000_000_000_000);
        check("0.1, 0.2 : 0.3", s, 600_000_000);
        check("-, 0.2", s, 200_000_000);
        check("-", s, NO_TIME);
        check("", s, NO_TIME);
        check("abc", s, NO_TIME);
        check("-0.5", s, NO_TIME);
        check("0.00x", s, NO_TIME);
        check("12.5", Unit::Millis, 12_500_000);
        check("0.003", Unit::Millis, 3_000);
        check("15", Unit::Micros, 15_000);
        check("15", Unit::Nanos, 15);
        check("1.5ms", s, 1_500_000);
        check("12µs", s, 12_000);
        check("12 ms", s, 12_000_000);
        check("1m2.5s", s, 62_500_000_000);
        check("1h0m1s", Unit::Millis, 3_601_000_000_000);
        check("99999999999999999999999", s, NO_TIME - 1);
        check("1e999999999999", s, NO_TIME - 1);
        check("1e-999999999999", s, 0);
        check("18446744073708.796870", s, NO_TIME - 1);
    }

    #[test]
    fn statuses_and_sizes() {
        assert_eq!(status(b"200"), Some(200));
        assert_eq!(status(b"000"), Some(0));
        assert_eq!(status(b"-"), Some(0));
        assert_eq!(status(b"200 OK"), Some(200));
        assert_eq!(status(b"20"), None);
        assert_eq!(status(b"2000"), None);
        assert_eq!(status(b"099"), None);
        assert_eq!(size(b"157"), 157);
        assert_eq!(size(b"157.0"), 157);
        assert_eq!(size(b"-"), 0);
        assert_eq!(size(b"99999999999999999999999"), u64::MAX);
    }
}
