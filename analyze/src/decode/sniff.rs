//! What a file that holds a body is: bytes, hex, base64, messages one behind the other, HTTP.

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use isukit_proto::{Message, schemaless};

use super::frames::{Framing, next_frame};

/// How bytes are written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notation {
    /// As they are.
    Binary,
    /// Two digits a byte, as `xxd -p`, `xxd`, `hexdump -C` and Wireshark write them.
    Hex,
    /// Base64 of either alphabet, with padding or without.
    Base64,
}

/// What a file was found to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sniffed {
    /// How its bytes were written.
    pub notation: Notation,
    /// The bytes themselves.
    pub bytes: Vec<u8>,
    /// How its messages are told apart.
    pub framing: Framing,
}

/// Whether bytes begin as an HTTP/1.x request or reply does.
pub fn is_http(bytes: &[u8]) -> bool {
    if bytes.starts_with(b"HTTP/1.") {
        return true;
    }
    let line = &bytes[..memchr::memchr(b'\n', bytes)
        .unwrap_or(bytes.len())
        .min(16 << 10)];
    let line = line.trim_ascii_end();
    let method = line.iter().position(|byte| *byte == b' ').unwrap_or(0);
    let is_method = (3..=20).contains(&method) && line[..method].iter().all(u8::is_ascii_uppercase);
    is_method && (line.ends_with(b" HTTP/1.1") || line.ends_with(b" HTTP/1.0"))
}

/// Find out how a body is written and framed; `message` is its type, where that is known.
///
/// `notation` and `framing` are what the user said.
///
/// # Errors
/// For people, when the bytes are not what the user says.
pub fn sniff(
    bytes: Vec<u8>,
    message: Option<&Message>,
    notation: Option<Notation>,
    framing: Option<Framing>,
) -> Result<Sniffed, String> {
    let (notation, bytes) = match notation {
        Some(Notation::Binary) => (Notation::Binary, bytes),
        Some(Notation::Hex) => (Notation::Hex, from_hex(&bytes)?),
        Some(Notation::Base64) => (Notation::Base64, from_base64(&bytes)?),
        None => guess_notation(bytes, message),
    };
    let framing = framing.unwrap_or_else(|| guess_framing(&bytes, message));
    Ok(Sniffed {
        notation,
        bytes,
        framing,
    })
}

fn guess_notation(bytes: Vec<u8>, message: Option<&Message>) -> (Notation, Vec<u8>) {
    // Text that reads as hex or base64 is no likely message: its bytes would be fields of groups and
    // fixed numbers. What it stands for must be likelier.
    if bytes.is_ascii() && !bytes.trim_ascii().is_empty() {
        let as_is = plausibility(&bytes, message);
        if let Ok(read) = from_hex(&bytes)
            && plausibility(&read, message) >= as_is
        {
            return (Notation::Hex, read);
        }
        if let Ok(read) = from_base64(&bytes)
            && plausibility(&read, message) > as_is
        {
            return (Notation::Base64, read);
        }
    }
    (Notation::Binary, bytes)
}

/// How likely bytes are a message, or several.
fn plausibility(bytes: &[u8], message: Option<&Message>) -> f64 {
    whole_plausibility(bytes, message)
        .max(framed_plausibility(bytes, message, Framing::Delimited))
        .max(framed_plausibility(bytes, message, Framing::Grpc))
}

fn whole_plausibility(bytes: &[u8], message: Option<&Message>) -> f64 {
    match message {
        Some(message) => message.fit(bytes).score(),
        None => schemaless::plausibility(bytes),
    }
}

/// The mean over the frames; 0 when they do not fill the bytes exactly.
fn framed_plausibility(bytes: &[u8], message: Option<&Message>, framing: Framing) -> f64 {
    let (mut at, mut sum, mut count) = (0, 0.0, 0_u32);
    loop {
        match next_frame(bytes, at, framing) {
            Ok(Some(frame)) => {
                at = frame.at.end;
                count += 1;
                // Enough is enough: what is left must only be framed well.
                if count <= 64 {
                    sum += match frame.is_compressed || frame.is_trailers {
                        true => 0.5,
                        false => whole_plausibility(&bytes[frame.at], message),
                    };
                }
            }
            Ok(None) if count == 0 => return 0.0,
            Ok(None) => return sum / f64::from(count.min(64)),
            Err(_) => return 0.0,
        }
    }
}

fn guess_framing(bytes: &[u8], message: Option<&Message>) -> Framing {
    let whole = whole_plausibility(bytes, message);
    if bytes.len() >= 5 && bytes[0] <= 1 {
        // No message begins with the byte 0 or 1: field 0 does not exist.
        if framed_plausibility(bytes, message, Framing::Grpc) > whole {
            return Framing::Grpc;
        }
    }
    match framed_plausibility(bytes, message, Framing::Delimited) > whole {
        true => Framing::Delimited,
        false => Framing::Whole,
    }
}

/// Bytes of hex digits, with any white space, colons, commas and `0x` between them; of dumps the
/// offsets and the text at the side are left out.
fn from_hex(text: &[u8]) -> Result<Vec<u8>, String> {
    let mut out = Vec::with_capacity(text.len() / 2);
    for (number, line) in text.split(|byte| *byte == b'\n').enumerate() {
        let line = dump_line(line.trim_ascii());
        let mut half = None;
        let mut rest = line;
        while let Some((&byte, after)) = rest.split_first() {
            rest = after;
            if byte == b'0' && matches!(after.first(), Some(b'x' | b'X')) && half.is_none() {
                rest = &after[1..];
                continue;
            }
            match char::from(byte).to_digit(16) {
                Some(digit) => match half.take() {
                    None => half = Some(digit as u8),
                    Some(high) => out.push(high << 4 | digit as u8),
                },
                None if half.is_none()
                    && (byte.is_ascii_whitespace() || matches!(byte, b':' | b',')) => {}
                None => {
                    return Err(format!(
                        "not hex: `{}` in line {}",
                        char::from(byte).escape_default(),
                        number + 1
                    ));
                }
            }
        }
        if half.is_some() {
            return Err(format!(
                "not hex: an odd digit at the end of line {}",
                number + 1
            ));
        }
    }
    match out.is_empty() {
        true => Err("there are no hex digits".to_owned()),
        false => Ok(out),
    }
}

/// The digits of a line of `xxd` (`00000010: 0a05 6162  ..ab`) or `hexdump -C` (`00000010  0a 05  |..|`).
fn dump_line(line: &[u8]) -> &[u8] {
    let digits = line
        .iter()
        .take_while(|byte| byte.is_ascii_hexdigit())
        .count();
    if !(7..=16).contains(&digits) {
        return line;
    }
    match &line[digits..] {
        [b':', b' ', rest @ ..] => {
            let end = memchr::memmem::find(rest, b"  ").unwrap_or(rest.len());
            &rest[..end]
        }
        [b' ', b' ', rest @ ..] => {
            let end = memchr::memchr(b'|', rest).unwrap_or(rest.len());
            &rest[..end]
        }
        // The last line of hexdump is the length alone.
        [] if digits == 8 && line.starts_with(b"0000") => &[],
        _ => line,
    }
}

fn from_base64(text: &[u8]) -> Result<Vec<u8>, String> {
    let mut compact: Vec<u8> = text
        .iter()
        .copied()
        .filter(|byte| !byte.is_ascii_whitespace())
        .collect();
    for byte in &mut compact {
        match byte {
            b'-' => *byte = b'+',
            b'_' => *byte = b'/',
            _ => {}
        }
    }
    let config =
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    GeneralPurpose::new(&alphabet::STANDARD, config)
        .decode(&compact)
        .map_err(|error| format!("not base64: {error}"))
        .and_then(|bytes| match bytes.is_empty() {
            true => Err("there is no base64".to_owned()),
            false => Ok(bytes),
        })
}

#[cfg(test)]
mod tests {
    // Failing here is failing a test.
    #![allow(clippy::unwrap_used)]

    use super::*;

    /// Field 1 is 150, field 2 is "testing".
    const BODY: &[u8] = b"\x08\x96\x01\x12\x07testing";

    #[track_caller]
    fn check(input: &[u8], notation: Notation, bytes: &[u8], framing: Framing) {
        let seen = sniff(input.to_vec(), None, None, None).unwrap();
        assert_eq!((seen.notation, seen.framing), (notation, framing));
        assert_eq!(seen.bytes, bytes);
    }

    #[test]
    fn bodies_are_recognised() {
        let delimited = [&[BODY.len() as u8], BODY, &[BODY.len() as u8], BODY].concat();
        let grpc = [&[0, 0, 0, 0, BODY.len() as u8], BODY].concat();
        check(BODY, Notation::Binary, BODY, Framing::Whole);
        check(
            b"0896011207 74657374696e67\n",
            Notation::Hex,
            BODY,
            Framing::Whole,
        );
        check(
            b"08:96:01:12:07:74:65:73:74:69:6E:67",
            Notation::Hex,
            BODY,
            Framing::Whole,
        );
        check(
            b"0x08, 0x96, 0x01,0x12,0x07,0x74,0x65,0x73,0x74,0x69,0x6e,0x67",
            Notation::Hex,
            BODY,
            Framing::Whole,
        );
        check(
            b"00000000: 0896 0112 0774 6573 7469 6e67            .....testing\n",
            Notation::Hex,
            BODY,
            Framing::Whole,
        );
        check(
            b"00000000  08 96 01 12 07 74 65 73  74 69 6e 67              |.....testing|\n0000000c\n",
            Notation::Hex,
            BODY,
            Framing::Whole,
        );
        check(
            b"CJYBEgd0ZXN0aW5n\n",
            Notation::Base64,
            BODY,
            Framing::Whole,
        );
        check(&delimited, Notation::Binary, &delimited, Framing::Delimited);
        check(&grpc, Notation::Binary, &grpc, Framing::Grpc);
        check(b"", Notation::Binary, b"", Framing::Whole);
    }

    #[test]
    fn what_the_user_says_is_held_to() {
        let check = |input: &[u8], notation, part: &str| {
            let error = sniff(input.to_vec(), None, Some(notation), None).unwrap_err();
            assert!(error.contains(part), "{error}");
        };
        check(b"zz", Notation::Hex, "`z` in line 1");
        check(b"0a\n0", Notation::Hex, "odd digit at the end of line 2");
        check(b"  ", Notation::Hex, "no hex digits");
        check(b"*", Notation::Base64, "not base64");
    }

    #[test]
    fn http_is_recognised() {
        let check =
            |input: &[u8], expected: bool| assert_eq!(is_http(input), expected, "{input:?}");
        check(b"HTTP/1.1 200 OK\r\n", true);
        check(b"POST /api/teams HTTP/1.1\r\nHost: a\r\n", true);
        check(b"GET / HTTP/1.0\n", true);
        check(b"GET / HTTP/2\n", false);
        check(BODY, false);
        check(b"", false);
    }
}
