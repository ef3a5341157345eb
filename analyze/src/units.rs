//! Durations and sizes as people type and read them.

use std::time::Duration;

use thiserror::Error;

/// A duration or a number that could not be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum UnitError {
    /// Not a duration.
    #[error("`{0}` is not a duration; write a number and a unit, such as 300ms, 10s or 2m")]
    Duration(String),
    /// Not a size.
    #[error("`{0}` is not a size; write a number of bytes or a unit, such as 512k, 64M or 1G")]
    Size(String),
}

/// Nanoseconds in each unit of time.
const TIME_UNITS: [(&str, f64); 7] = [
    ("ns", 1.0),
    ("us", 1e3),
    ("µs", 1e3),
    ("ms", 1e6),
    ("s", 1e9),
    ("m", 60e9),
    ("h", 3_600e9),
];

/// Split `12.5ms` into its number and its unit.
fn split(text: &str) -> Option<(f64, &str)> {
    let text = text.trim();
    let end = text
        .find(|c: char| !(c.is_ascii_digit() || c == '.'))
        .unwrap_or(text.len());
    let number: f64 = text[..end].parse().ok()?;
    Some((number, text[end..].trim()))
}

/// Read a duration: a number and one of `ns us ms s m h`; a bare number is seconds.
///
/// # Errors
/// [`UnitError::Duration`] when it is neither, or longer than a year.
pub fn parse_duration(text: &str) -> Result<Duration, UnitError> {
    let bad = || UnitError::Duration(text.to_owned());
    let (number, unit) = split(text).ok_or_else(bad)?;
    let scale = if unit.is_empty() {
        1e9
    } else {
        TIME_UNITS
            .iter()
            .find(|(name, _)| *name == unit)
            .ok_or_else(bad)?
            .1
    };
    let ns = number * scale;
    if !(0.0..=366.0 * 24.0 * 3_600e9).contains(&ns) {
        return Err(bad());
    }
    Ok(Duration::from_nanos(ns.round() as u64))
}

/// Read a size in bytes: a number and one of `k M G` (powers of 1024), with or without `B`/`iB`.
///
/// # Errors
/// [`UnitError::Size`] when it is not one.
pub fn parse_size(text: &str) -> Result<u64, UnitError> {
    let bad = || UnitError::Size(text.to_owned());
    let (number, unit) = split(text).ok_or_else(bad)?;
    let unit = unit.trim_end_matches('B').trim_end_matches('i');
    let scale = match unit {
        "" => 1.0,
        "k" | "K" => 1024.0,
        "m" | "M" => 1024.0 * 1024.0,
        "g" | "G" => 1024.0 * 1024.0 * 1024.0,
        _ => return Err(bad()),
    };
    let bytes = number * scale;
    if !(0.0..1e15).contains(&bytes) {
        return Err(bad());
    }
    Ok(bytes as u64)
}

/// Three significant digits, without an exponent.
fn three_digits(value: f64) -> String {
    let decimals = match value.abs() {
        v if v >= 99.95 => 0,
        v if v >= 9.995 => 1,
        _ => 2,
    };
    format!("{value:.decimals$}")
}

/// A duration in nanoseconds for people: `830ns`, `12.5us`, `3.20ms`, `1.50s`, `2m05s`, `3h05m`, `2d07h`.
pub fn format_ns(ns: f64) -> String {
    match ns {
        v if v < 999.5 => format!("{v:.0}ns"),
        v if v < 999_500.0 => format!("{}us", three_digits(v / 1e3)),
        v if v < 999_500_000.0 => format!("{}ms", three_digits(v / 1e6)),
        v if v < 119.5e9 => format!("{}s", three_digits(v / 1e9)),
        v => {
            let seconds = (v / 1e9).round() as u64;
            match seconds {
                0..=7_199 => format!("{}m{:02}s", seconds / 60, seconds % 60),
                7_200..=172_799 => format!("{}h{:02}m", seconds / 3_600, seconds / 60 % 60),
                _ => format!("{}d{:02}h", seconds / 86_400, seconds / 3_600 % 24),
            }
        }
    }
}

/// A duration in milliseconds for people; see [`format_ns`].
pub fn format_ms(ms: f64) -> String {
    format_ns(ms * 1e6)
}

/// A size in bytes for people: `512 B`, `3.20 KiB`, `1.50 GiB`.
pub fn format_bytes(bytes: u64) -> String {
    let mut value = bytes as f64;
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    for unit in ["KiB", "MiB", "GiB"] {
        value /= 1024.0;
        if value < 1023.5 {
            return format!("{} {unit}", three_digits(value));
        }
    }
    format!("{} TiB", three_digits(value / 1024.0))
}

/// A whole number with thin groups: `1,234,567`.
pub fn format_count(count: u64) -> String {
    let digits = count.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read() {
        let check = |text: &str, ns: Option<u64>| {
            assert_eq!(
                parse_duration(text).ok(),
                ns.map(Duration::from_nanos),
                "{text}"
            );
        };
        check("10s", Some(10_000_000_000));
        check("1.5ms", Some(1_500_000));
        check("2", Some(2_000_000_000));
        check("3 m", Some(180_000_000_000));
        check("0s", Some(0));
        check("7µs", Some(7_000));
        for bad in [
            "",
            "s",
            "-1s",
            "1.2.3s",
            "10 parsecs",
            "1e9s",
            "99999h",
            "nan",
        ] {
            check(bad, None);
        }
    }

    #[test]
    fn sizes_are_read() {
        let check = |text: &str, bytes: Option<u64>| {
            assert_eq!(parse_size(text).ok(), bytes, "{text}");
        };
        check("100", Some(100));
        check("64k", Some(65_536));
        check("64KiB", Some(65_536));
        check("1.5M", Some(1_572_864));
        check("2GB", Some(2 << 30));
        for bad in ["", "M", "-1", "1 X", "9999999G"] {
            check(bad, None);
        }
    }

    #[test]
    fn times_are_shown_with_three_digits() {
        let check = |ns: f64, text: &str| assert_eq!(format_ns(ns), text);
        check(0.0, "0ns");
        check(830.4, "830ns");
        check(12_500.0, "12.5us");
        check(999_600.0, "1.00ms");
        check(3_200_000.0, "3.20ms");
        check(940_000_000.0, "940ms");
        check(1_500_000_000.0, "1.50s");
        check(125e9, "2m05s");
        check(7_199e9, "119m59s");
        check(11_100e9, "3h05m");
        check(200_000e9, "2d07h");
    }

    #[test]
    fn sizes_and_counts_are_shown() {
        assert_eq!(format_bytes(512), "512 B");
        assert_eq!(format_bytes(3_277), "3.20 KiB");
        assert_eq!(format_bytes(1_610_612_736), "1.50 GiB");
        assert_eq!(format_count(0), "0");
        assert_eq!(format_count(999), "999");
        assert_eq!(format_count(1_234_567), "1,234,567");
    }
}
