//! One decoded message for people, in a form that `isukit encode` takes back: what is not of the
//! message is a comment of the text format.

use std::io::Write;

use isukit_proto::{Limits, schemaless};

use super::Direction;
use super::decoder::{Content, Decoded};
use crate::digest::timestamp_with;
use crate::report::printable;
use crate::units::{format_bytes, format_ns};

/// Lines of a body that is text or JSON, which people are shown.
const SHOWN_LINES: usize = 20;

/// How messages are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TextStyle {
    /// With colours (ANSI escapes) around what is not of the message.
    pub is_coloured: bool,
    /// Say why a message has its type.
    pub explain: bool,
}

/// Append a message, with an empty line behind it.
pub fn write_text(decoded: &Decoded<'_>, style: TextStyle, out: &mut Vec<u8>) {
    let (dim, bold, red, plain) = match style.is_coloured {
        true => ("\x1b[2m", "\x1b[1m", "\x1b[31m", "\x1b[0m"),
        false => ("", "", "", ""),
    };
    let line = printable(&headline(decoded));
    let _ = writeln!(out, "{bold}# {line}{plain}");
    let about = printable(&about(decoded));
    if !about.is_empty() {
        let _ = writeln!(out, "{dim}# {about}{plain}");
    }
    if let Some(choice) = decoded.choice.filter(|_| style.explain) {
        let _ = writeln!(out, "{dim}# {}{plain}", printable(&choice.why()));
    }
    if let Some(error) = decoded.error {
        let _ = writeln!(out, "{red}# error: {}{plain}", printable(error));
    }
    match (decoded.content, decoded.message()) {
        (Content::Protobuf, Some(message)) => {
            if message.to_exact_text(decoded.plain, out).is_err() {
                let _ = message.to_exact_text(decoded.readable, out);
            }
        }
        (Content::Protobuf, None) => {
            let _ = schemaless::to_text(decoded.plain, &Limits::default(), out);
        }
        (Content::Json | Content::Text, _) => {
            let shown = serde_json::from_slice::<serde_json::Value>(decoded.json)
                .ok()
                .and_then(|value| match value {
                    serde_json::Value::String(text) => Some(text),
                    value => serde_json::to_string_pretty(&value).ok(),
                });
            let mut lines = shown.iter().flat_map(|text| text.lines());
            for line in lines.by_ref().take(SHOWN_LINES) {
                let _ = writeln!(out, "{}", printable(line));
            }
            let more = lines.count();
            if more > 0 {
                let _ = writeln!(out, "{dim}# and {more} lines more{plain}");
            }
        }
        (Content::Other, _) => {}
    }
    out.push(b'\n');
}

/// `12:00:01.5  POST /api/teams -> 201`.
fn headline(decoded: &Decoded<'_>) -> String {
    let body = decoded.body;
    let mut parts: Vec<String> = Vec::new();
    parts.extend(body.time_us.map(|at| timestamp_with(at, 6)));
    let url = match (body.method, body.url) {
        ("", "") => String::new(),
        ("", url) => url.to_owned(),
        (method, url) => format!("{method} {url}"),
    };
    let arrow = match (body.direction, body.status) {
        (Direction::Response, Some(status)) => format!("<- {status}"),
        (Direction::Response, None) => String::new(),
        (Direction::Request, _) => "->".to_owned(),
    };
    match url.is_empty() {
        true => parts.extend(body.status.map(|status| format!("<- {status}"))),
        false => parts.push(format!("{url} {arrow}").trim_end().to_owned()),
    }
    if !body.is_paired {
        parts.push("(its request was not captured)".to_owned());
    }
    parts.push(match decoded.choice {
        Some(choice) => choice.best().message.full_name().to_owned(),
        None if decoded.content == Content::Protobuf => "type unknown".to_owned(),
        None => decoded.content.label().to_owned(),
    });
    parts.join("  ")
}

/// Sizes, time, and how sure the type is.
fn about(decoded: &Decoded<'_>) -> String {
    let body = decoded.body;
    let mut parts = vec![format_bytes(decoded.plain.len() as u64)];
    if !body.codings.is_identity() {
        parts.push(format!("{} as sent", format_bytes(body.bytes.len() as u64)));
    }
    if let Some(latency) = body.latency_us {
        parts.push(format!("after {}", format_ns(latency as f64 * 1e3)));
    }
    if let Some(choice) = decoded.choice
        && choice.best().confidence < 0.995
    {
        parts.push(format!("{:.0}% sure", choice.best().confidence * 100.0));
        let others: Vec<&str> = choice.candidates[1..]
            .iter()
            .filter(|other| other.is_tied || other.confidence > 0.05)
            .take(3)
            .map(|other| other.message.full_name())
            .collect();
        if !others.is_empty() {
            parts.push(format!("or {}", others.join(", ")));
        }
    }
    parts.join(", ")
}
