//! Pieces of text format, appended to a buffer.

/// A quoted string with C escapes: everything but printable ASCII becomes three octal digits.
pub(crate) fn quoted(bytes: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    bytes.iter().for_each(|byte| escaped(*byte, out));
    out.push(b'"');
}

#[inline(always)]
fn escaped(byte: u8, out: &mut Vec<u8>) {
    match byte {
        b'\n' => out.extend_from_slice(b"\\n"),
        b'\r' => out.extend_from_slice(b"\\r"),
        b'\t' => out.extend_from_slice(b"\\t"),
        b'"' | b'\'' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
        0x20..0x7f => out.push(byte),
        _ => out.extend_from_slice(&[
            b'\\',
            b'0' + (byte >> 6),
            b'0' + (byte >> 3 & 7),
            b'0' + (byte & 7),
        ]),
    }
}

/// Whether a terminal could do anything else with a character than show it: controls, line separators, and
/// what turns the direction of writing.
fn is_command(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// As [`quoted`], with printable text beyond ASCII as it is. What is not UTF-8 is escaped.
pub(crate) fn quoted_text(bytes: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            if !c.is_ascii() && !is_command(c) {
                out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            } else {
                c.encode_utf8(&mut [0; 4])
                    .bytes()
                    .for_each(|byte| escaped(byte, out));
            }
        }
        chunk.invalid().iter().for_each(|byte| escaped(*byte, out));
    }
    out.push(b'"');
}

/// `: 0x` and that many hexadecimal digits, as unknown fixed fields are shown.
pub(crate) fn hex(value: u64, digits: usize, out: &mut Vec<u8>) {
    out.extend_from_slice(format!(": {value:#0width$x}", width = digits + 2).as_bytes());
}

/// A double with 15 significant digits, or 17 where 15 do not read back the same.
pub(crate) fn double(value: f64, out: &mut Vec<u8>) {
    if !value.is_finite() {
        return not_finite(value, out);
    }
    let short = general(value, 15);
    let exact = short.parse() == Ok(value);
    out.extend_from_slice(if exact { short } else { general(value, 17) }.as_bytes());
}

/// A float with 6 significant digits, or 9 where 6 do not read back the same.
pub(crate) fn float(value: f32, out: &mut Vec<u8>) {
    if !value.is_finite() {
        return not_finite(f64::from(value), out);
    }
    let short = general(f64::from(value), 6);
    // protoc's check goes through strtof, which reports a range error for every subnormal.
    let exact = !value.is_subnormal() && short.parse() == Ok(value);
    out.extend_from_slice(
        if exact {
            short
        } else {
            general(f64::from(value), 9)
        }
        .as_bytes(),
    );
}

fn not_finite(value: f64, out: &mut Vec<u8>) {
    out.extend_from_slice(match value {
        _ if value.is_nan() => b"nan",
        _ if value > 0.0 => b"inf",
        _ => b"-inf",
    });
}

/// C's `%.{digits}g`.
fn general(value: f64, digits: usize) -> String {
    let scientific = format!("{value:.*e}", digits - 1);
    let Some((mantissa, exponent)) = scientific.split_once('e') else {
        return scientific;
    };
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let trimmed = |text: &str| match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text.to_owned(),
    };
    if exponent < -4 || exponent >= digits as i32 {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{}e{sign}{:02}", trimmed(mantissa), exponent.unsigned_abs());
    }
    let decimals = (digits as i32 - 1 - exponent).max(0) as usize;
    trimmed(&format!("{value:.decimals$}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_as_c_prints_them() {
        #[track_caller]
        fn check(value: f64, expected: &str) {
            let mut out = Vec::new();
            double(value, &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        }
        check(0.0, "0");
        check(-0.0, "-0");
        check(1.0, "1");
        check(0.1, "0.1");
        check(0.1 + 0.2, "0.30000000000000004");
        check(1e15, "1e+15");
        check(123_456_789_012_345.0, "123456789012345");
        check(1e-4, "0.0001");
        check(1e-5, "1e-05");
        check(1.5e300, "1.5e+300");
        check(f64::NAN, "nan");
        check(f64::NEG_INFINITY, "-inf");
    }

    #[test]
    fn floats_as_c_prints_them() {
        #[track_caller]
        fn check(value: f32, expected: &str) {
            let mut out = Vec::new();
            float(value, &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        }
        check(0.1, "0.1");
        check(16_777_216.0, "16777216");
        check(1.0 / 3.0, "0.333333343");
        check(1e10, "1e+10");
        check(f32::from_bits(89), "1.24715563e-43");
        check(3.402_823_5e38, "3.40282347e+38");
    }

    #[test]
    fn escapes() {
        let mut out = Vec::new();
        quoted("a\"'\\\n\r\t\u{0}\u{7f}é".as_bytes(), &mut out);
        assert_eq!(
            String::from_utf8(out).unwrap(),
            r#""a\"\'\\\n\r\t\000\177\303\251""#
        );
        let mut out = Vec::new();
        hex(10, 8, &mut out);
        assert_eq!(out, b": 0x0000000a");
    }
}
