//! Pieces of JSON, appended to a buffer.

/// What a byte needs inside a JSON string: 0 nothing, otherwise the letter after the backslash.
const ESCAPE: [u8; 256] = {
    let mut table = [0; 256];
    let mut at = 0;
    while at < 0x20 {
        table[at] = b'u';
        at += 1;
    }
    table[0x08] = b'b';
    table[0x09] = b't';
    table[0x0a] = b'n';
    table[0x0c] = b'f';
    table[0x0d] = b'r';
    table[b'"' as usize] = b'"';
    table[b'\\' as usize] = b'\\';
    table
};

const HEX: &[u8; 16] = b"0123456789abcdef";

/// A string in quotes.
#[inline]
pub(crate) fn string(text: &str, out: &mut Vec<u8>) {
    let bytes = text.as_bytes();
    out.reserve(bytes.len() + 2);
    out.push(b'"');
    let mut from = 0;
    for (at, &byte) in bytes.iter().enumerate() {
        let letter = ESCAPE[usize::from(byte)];
        if letter != 0 {
            out.extend_from_slice(&bytes[from..at]);
            escape(byte, letter, out);
            from = at + 1;
        }
    }
    out.extend_from_slice(&bytes[from..]);
    out.push(b'"');
}

#[cold]
fn escape(byte: u8, letter: u8, out: &mut Vec<u8>) {
    out.extend_from_slice(&[b'\\', letter]);
    if letter == b'u' {
        out.extend_from_slice(&[
            b'0',
            b'0',
            HEX[usize::from(byte >> 4)],
            HEX[usize::from(byte & 15)],
        ]);
    }
}

/// An integer.
#[inline]
pub(crate) fn integer(value: impl itoa::Integer, out: &mut Vec<u8>) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// A 64-bit integer: in quotes, as the mapping has it, unless it shall be plain.
#[inline]
pub(crate) fn wide(value: impl itoa::Integer, plain: bool, out: &mut Vec<u8>) {
    if plain {
        return integer(value, out);
    }
    out.push(b'"');
    integer(value, out);
    out.push(b'"');
}

/// The shortest number that reads back the same, or one of the three names in quotes.
#[inline]
pub(crate) fn double(value: f64, out: &mut Vec<u8>) {
    if value.is_finite() {
        out.extend_from_slice(zmij::Buffer::new().format_finite(value).as_bytes());
    } else {
        not_finite(value, out);
    }
}

/// As [`double`], for single precision.
#[inline]
pub(crate) fn float(value: f32, out: &mut Vec<u8>) {
    if value.is_finite() {
        out.extend_from_slice(zmij::Buffer::new().format_finite(value).as_bytes());
    } else {
        not_finite(f64::from(value), out);
    }
}

fn not_finite(value: f64, out: &mut Vec<u8>) {
    out.extend_from_slice(match value {
        _ if value.is_nan() => b"\"NaN\"",
        _ if value > 0.0 => b"\"Infinity\"",
        _ => b"\"-Infinity\"",
    });
}

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Base64 in quotes: the standard alphabet, padded.
pub(crate) fn base64(bytes: &[u8], out: &mut Vec<u8>) {
    out.reserve(bytes.len().div_ceil(3) * 4 + 2);
    out.push(b'"');
    for chunk in bytes.chunks(3) {
        let byte = |at: usize| u32::from(chunk.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        let letter = |shift: u32| BASE64[(bits >> shift & 63) as usize];
        let mut letters = [letter(18), letter(12), letter(6), letter(0)];
        letters[chunk.len() + 1..].fill(b'=');
        out.extend_from_slice(&letters);
    }
    out.push(b'"');
}

const NO: u8 = 0xff;

const BASE64_VALUE: [u8; 256] = {
    let mut table = [NO; 256];
    let mut at = 0;
    while at < 64 {
        table[BASE64[at] as usize] = at as u8;
        at += 1;
    }
    table[b'-' as usize] = 62;
    table[b'_' as usize] = 63;
    table
};

/// Decodes base64 in the standard or the URL-safe alphabet, padded or not. `None` when it is neither.
pub(crate) fn from_base64(text: &str, out: &mut Vec<u8>) -> Option<()> {
    let text = text.as_bytes();
    let padding = text.iter().rev().take_while(|byte| **byte == b'=').count();
    let letters = &text[..text.len() - padding];
    if padding > 2 || letters.len() % 4 == 1 || padding > 0 && !text.len().is_multiple_of(4) {
        return None;
    }
    for chunk in letters.chunks(4) {
        let mut bits = 0u32;
        for &letter in chunk {
            let value = BASE64_VALUE[usize::from(letter)];
            if value == NO {
                return None;
            }
            bits = bits << 6 | u32::from(value);
        }
        bits <<= 6 * (4 - chunk.len());
        out.extend_from_slice(&bits.to_be_bytes()[1..chunk.len()]);
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings() {
        #[track_caller]
        fn check(text: &str, expected: &str) {
            let mut out = Vec::new();
            string(text, &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        }
        check("", r#""""#);
        check("plain ünïcode ☃", r#""plain ünïcode ☃""#);
        check("a\"b\\c/d", r#""a\"b\\c/d""#);
        check(
            "\u{0}\u{8}\t\n\u{b}\u{c}\r\u{1f}\u{7f}",
            "\"\\u0000\\b\\t\\n\\u000b\\f\\r\\u001f\u{7f}\"",
        );
    }

    #[test]
    fn base64_both_ways() {
        #[track_caller]
        fn check(bytes: &[u8], expected: &str) {
            let mut out = Vec::new();
            base64(bytes, &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), format!("\"{expected}\""));
            for text in [
                expected.to_owned(),
                expected.replace('=', ""),
                expected.replace('/', "_").replace('+', "-"),
            ] {
                let mut back = Vec::new();
                assert_eq!(from_base64(&text, &mut back), Some(()), "{text}");
                assert_eq!(back, bytes);
            }
        }
        check(b"", "");
        check(b"f", "Zg==");
        check(b"fo", "Zm8=");
        check(b"foo", "Zm9v");
        check(&[0xfb, 0xff, 0xfe, 0x00], "+//+AA==");
        for wrong in [
            "A", "AAAAA", "Zg=", "Z===", "Zg==Zg==", "Z g=", "Zm9v====", "é", "=",
        ] {
            assert_eq!(from_base64(wrong, &mut Vec::new()), None, "{wrong}");
        }
    }

    #[test]
    fn floats() {
        #[track_caller]
        fn check(value: f64, expected: &str) {
            let mut out = Vec::new();
            double(value, &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        }
        check(0.0, "0.0");
        check(-0.0, "-0.0");
        check(0.1, "0.1");
        check(1e300, "1e+300");
        check(f64::NAN, "\"NaN\"");
        check(f64::INFINITY, "\"Infinity\"");
        check(f64::NEG_INFINITY, "\"-Infinity\"");
    }
}
