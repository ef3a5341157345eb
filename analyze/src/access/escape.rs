//! Undo the escapes of servers (`\x22`, `\"`) and of JSON (`\u0022`).

/// The value of two hexadecimal digits.
#[inline]
pub(crate) fn hex_pair(high: u8, low: u8) -> Option<u8> {
    let digit = |byte: u8| (byte as char).to_digit(16).map(|d| d as u8);
    Some(digit(high)? << 4 | digit(low)?)
}

/// Undo what nginx (`\xHH`) and Apache (`\xhh`, `\"`, `\\`, `\n`, `\t`) write; anything else is left as it
/// is. Appends to `out`.
pub(crate) fn unescape_server(text: &[u8], out: &mut Vec<u8>) {
    let mut rest = text;
    while let Some(at) = memchr::memchr(b'\\', rest) {
        out.extend_from_slice(&rest[..at]);
        let behind = &rest[at + 1..];
        let (byte, used) = match behind {
            [b'x', high, low, ..] => match hex_pair(*high, *low) {
                Some(byte) => (byte, 3),
                None => (b'\\', 0),
            },
            [b'n', ..] => (b'\n', 1),
            [b't', ..] => (b'\t', 1),
            [b'r', ..] => (b'\r', 1),
            [byte @ (b'"' | b'\\'), ..] => (*byte, 1),
            _ => (b'\\', 0),
        };
        out.push(byte);
        rest = &behind[used..];
    }
    out.extend_from_slice(rest);
}

/// Undo the escapes of a JSON string (without its quotes); what is no escape is left as it is, and half
/// a surrogate pair becomes U+FFFD. Appends to `out`.
pub(crate) fn unescape_json(text: &[u8], out: &mut Vec<u8>) {
    let mut rest = text;
    while let Some(at) = memchr::memchr(b'\\', rest) {
        out.extend_from_slice(&rest[..at]);
        rest = &rest[at + 1..];
        let Some((&kind, behind)) = rest.split_first() else {
            out.push(b'\\');
            break;
        };
        let simple = match kind {
            b'n' => b'\n',
            b't' => b'\t',
            b'r' => b'\r',
            b'b' => 8,
            b'f' => 12,
            b'"' | b'\\' | b'/' => kind,
            // Not JSON's: nginx writes it where `escape=json` was forgotten.
            b'x' => {
                let byte = match behind {
                    [high, low, ..] => hex_pair(*high, *low),
                    _ => None,
                };
                out.push(byte.unwrap_or(b'\\'));
                rest = byte.map_or(rest, |_| &behind[2..]);
                continue;
            }
            b'u' => {
                rest = unicode(behind, out);
                continue;
            }
            _ => {
                out.push(b'\\');
                continue;
            }
        };
        out.push(simple);
        rest = behind;
    }
    out.extend_from_slice(rest);
}

/// One `\u` escape whose digits begin `text`. Returns what is behind it.
fn unicode<'a>(text: &'a [u8], out: &mut Vec<u8>) -> &'a [u8] {
    let unit = |text: &[u8]| {
        let digits: &[u8; 4] = text.first_chunk()?;
        let high = hex_pair(digits[0], digits[1])?;
        let low = hex_pair(digits[2], digits[3])?;
        Some(u32::from(high) << 8 | u32::from(low))
    };
    let Some(first) = unit(text) else {
        out.extend_from_slice(b"\\u");
        return text;
    };
    let mut behind = &text[4..];
    let mut code = first;
    if (0xd800..0xdc00).contains(&first)
        && let [b'\\', b'u', more @ ..] = behind
        && let Some(second @ 0xdc00..0xe000) = unit(more)
    {
        code = 0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00);
        behind = &more[4..];
    }
    let letter = char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
    out.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes());
    behind
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)] // Failing here is failing a test.
    use super::*;

    #[test]
    fn escapes_of_servers() {
        let check = |text: &str, expected: &[u8]| {
            let mut out = Vec::new();
            unescape_server(text.as_bytes(), &mut out);
            assert_eq!(out, expected, "{text}");
        };
        check(r"plain", b"plain");
        check(r"a\x22b\x5Cc", b"a\"b\\c");
        check(r"\xFF\xfe", b"\xff\xfe");
        check(r#"a\"b\\c\nd\te"#, b"a\"b\\c\nd\te");
        check(r"\x2", br"\x2");
        check(r"\q\", br"\q\");
    }

    #[test]
    fn escapes_of_json() {
        let check = |text: &str, expected: &str| {
            let mut out = Vec::new();
            unescape_json(text.as_bytes(), &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), expected, "{text}");
        };
        check(r"plain", "plain");
        check(r#"\"\\\/\b\f\n\r\t"#, "\"\\/\u{8}\u{c}\n\r\t");
        check(r"\u5bff\u53f8", "寿司");
        check(r"\ud83c\udf63", "🍣");
        check(r"\ud83c!", "\u{fffd}!");
        check(r"\ud83c\u0041", "\u{fffd}A");
        check(r"\u12", r"\u12");
        check(r"\x\", r"\x\");
        check(r"\x22\x2", "\"\\x2");
    }
}
