//! One decoded message as one line of JSON: `isukit.decode/1`.

use std::io::Write;

use serde::Serialize;

use super::Direction;
use super::decoder::Decoded;
use crate::digest::timestamp_with;

/// Name and version of the lines.
pub const DECODE_SCHEMA: &str = "isukit.decode/1";

/// Append a message as a line: an object with `kind` `body`. With `explain` it says why it is of its type.
pub fn write_record(decoded: &Decoded<'_>, explain: bool, out: &mut Vec<u8>) {
    let body = decoded.body;
    out.extend_from_slice(b"{\"schema\":\"isukit.decode/1\",\"kind\":\"body\",\"index\":");
    number(decoded.index, out);
    out.extend_from_slice(b",\"time\":");
    match body.time_us {
        Some(at) => {
            out.push(b'"');
            out.extend_from_slice(timestamp_with(at, 6).as_bytes());
            out.push(b'"');
        }
        None => out.extend_from_slice(b"null"),
    }
    out.extend_from_slice(b",\"direction\":");
    text_or_null(body.sender().map_or("", Direction::label), out);
    out.extend_from_slice(b",\"method\":");
    text_or_null(body.method, out);
    out.extend_from_slice(b",\"url\":");
    text_or_null(body.url, out);
    out.extend_from_slice(b",\"route\":");
    text_or_null(decoded.route, out);
    out.extend_from_slice(b",\"status\":");
    number_or_null(body.status.map(u64::from), out);
    out.extend_from_slice(b",\"content\":\"");
    out.extend_from_slice(decoded.content.label().as_bytes());
    out.push(b'"');
    kinds(decoded, explain, out);
    out.extend_from_slice(b",\"bytes\":");
    number(decoded.plain.len() as u64, out);
    out.extend_from_slice(b",\"wire_bytes\":");
    number(body.bytes.len() as u64, out);
    if let Some(latency) = body.latency_us {
        out.extend_from_slice(b",\"latency_us\":");
        number(latency, out);
    }
    if let Some(connection) = body.connection {
        out.extend_from_slice(b",\"connection\":");
        number(connection, out);
    }
    if let Some(exchange) = body.exchange {
        out.extend_from_slice(b",\"exchange\":");
        number(exchange, out);
    }
    if let Some((client, server)) = body.ends {
        let _ = write!(out, ",\"client\":\"{client}\",\"server\":\"{server}\"");
    }
    if !body.is_paired {
        out.extend_from_slice(b",\"unpaired\":true");
    }
    if body.lost_bytes > 0 {
        out.extend_from_slice(b",\"lost_bytes\":");
        number(body.lost_bytes, out);
    }
    out.extend_from_slice(b",\"message\":");
    match decoded.json {
        [] => out.extend_from_slice(b"null"),
        json => escape_controls(json, out),
    }
    out.extend_from_slice(b",\"error\":");
    match decoded.error {
        Some(error) => text(error, out),
        None => out.extend_from_slice(b"null"),
    }
    out.extend_from_slice(b"}\n");
}

fn kinds(decoded: &Decoded<'_>, explain: bool, out: &mut Vec<u8>) {
    let Some(choice) = decoded.choice else {
        out.extend_from_slice(b",\"type\":null,\"confidence\":null,\"candidates\":[]");
        return;
    };
    out.extend_from_slice(choice.json());
    if explain {
        out.extend_from_slice(b",\"why\":");
        text(&choice.why(), out);
    }
}

/// A choice as the keys of a record: `,"type":...,"confidence":...,"candidates":[...],"source":...`.
pub(super) fn choice_keys<'c>(
    candidates: impl Iterator<Item = (&'c str, f64)> + Clone,
    source: &str,
) -> Vec<u8> {
    let mut out = Vec::new();
    if let Some((name, confidence)) = candidates.clone().next() {
        out.extend_from_slice(b",\"type\":");
        text(name, &mut out);
        let _ = write!(out, ",\"confidence\":{:.3}", confidence);
    }
    out.extend_from_slice(b",\"candidates\":[");
    for (at, (name, _)) in candidates.enumerate() {
        if at > 0 {
            out.push(b',');
        }
        text(name, &mut out);
    }
    let _ = write!(out, "],\"source\":\"{source}\"");
    out
}

fn number(value: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

fn number_or_null(value: Option<u64>, out: &mut Vec<u8>) {
    match value {
        Some(value) => number(value, out),
        None => out.extend_from_slice(b"null"),
    }
}

fn text_or_null(value: &str, out: &mut Vec<u8>) {
    match value {
        "" => out.extend_from_slice(b"null"),
        value => text(value, out),
    }
}

/// A string of JSON. Control characters are escaped, so that no terminal takes one for a command; what
/// `serde_json` leaves as it is (DEL and the C1 controls) is escaped as well.
fn text(value: &str, out: &mut Vec<u8>) {
    let start = out.len();
    // Writing to a vector does not fail.
    let _ = serde_json::to_writer(&mut *out, value);
    if value.bytes().any(|byte| byte >= 0x7f) {
        let written = out.split_off(start);
        escape_controls(&written, out);
    }
}

/// JSON with DEL and the C1 controls (U+0080 to U+009F) as `\u` escapes: they only stand in strings.
pub fn escape_controls(json: &[u8], out: &mut Vec<u8>) {
    let mut rest = json;
    while let Some(at) = memchr::memchr2(0x7f, 0xc2, rest) {
        out.extend_from_slice(&rest[..at]);
        rest = match rest[at..] {
            [0x7f, ..] => {
                out.extend_from_slice(b"\\u007f");
                &rest[at + 1..]
            }
            [0xc2, second @ 0x80..=0x9f, ..] => {
                let _ = write!(out, "\\u{second:04x}");
                &rest[at + 2..]
            }
            _ => {
                out.push(rest[at]);
                &rest[at + 1..]
            }
        };
    }
    out.extend_from_slice(rest);
}

/// What was seen of all bodies: the last line.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Summary {
    /// Always `isukit.decode/1`.
    pub schema: &'static str,
    /// Always `summary`.
    pub kind: &'static str,
    /// Messages of bodies.
    pub bodies: u64,
    /// Those without an error.
    pub decoded: u64,
    /// Those with one.
    pub undecoded: u64,
    /// Those of these of which nothing could be read.
    #[serde(skip)]
    pub unreadable: u64,
    /// Those that `--where` left out; they are in none of the other counts.
    pub filtered: u64,
    /// Bytes of streams that nobody captured.
    pub lost_bytes: u64,
    /// Requests without a reply and replies without a request.
    pub unpaired: u64,
    /// What a capture held besides; none for a single body.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub capture: Option<serde_json::Value>,
}

impl Summary {
    /// Of nothing yet.
    pub fn new() -> Self {
        Self {
            schema: DECODE_SCHEMA,
            kind: "summary",
            ..Self::default()
        }
    }

    /// Count a message.
    pub fn count(&mut self, decoded: &Decoded<'_>) {
        self.bodies += 1;
        match decoded.error {
            None => self.decoded += 1,
            Some(_) => {
                self.undecoded += 1;
                self.unreadable += u64::from(matches!(decoded.json, b"" | b"{}"));
            }
        }
    }

    /// Append it as a line.
    pub fn write(&self, out: &mut Vec<u8>) {
        let _ = serde_json::to_writer(&mut *out, self);
        out.push(b'\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_control_character_comes_through() {
        let check = |value: &str, expected: &str| {
            let mut out = Vec::new();
            text(value, &mut out);
            assert_eq!(String::from_utf8(out).ok().as_deref(), Some(expected));
        };
        check("a\u{1b}[31m", "\"a\\u001b[31m\"");
        check(
            "\u{7f}\u{9b}31m \u{e9}\u{a0}",
            "\"\\u007f\\u009b31m \u{e9}\u{a0}\"",
        );
        check("plain \"q\" \\", "\"plain \\\"q\\\" \\\\\"");
    }
}
