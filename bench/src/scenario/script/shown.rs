//! Requests and replies for people, with secrets masked (`isukit run FOLDER --debug`).

use std::rc::Rc;

use mlua::Value;

use super::message;
use super::reply::Reply;
use super::vm::Host;

/// Words in the names of headers whose values are secrets.
const SECRETS: [&str; 6] = ["auth", "cookie", "key", "password", "secret", "token"];

/// A head without its secrets, each line indented. Of cookies the names are shown.
fn shown_head(head: &[u8]) -> String {
    let text = String::from_utf8_lossy(head);
    let lines = text.trim_end().lines().map(|line| {
        let Some((name, value)) = line.split_once(':') else {
            return format!("   {line}");
        };
        let lower = name.to_ascii_lowercase();
        if lower == "cookie" || lower == "set-cookie" {
            let names = value.split(if lower == "cookie" { ';' } else { '\0' });
            let names = names.filter_map(|cookie| cookie.split_once('='));
            let names: Vec<String> = names
                .map(|(name, _)| format!("{}=***", name.trim()))
                .collect();
            format!("   {name}: {}", names.join("; "))
        } else if SECRETS.iter().any(|secret| lower.contains(secret)) {
            format!("   {name}: ***")
        } else {
            format!("   {line}")
        }
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// A request for people.
pub(super) fn shown_request(host: &Host, bytes: &[u8], body: &Value) -> String {
    let end = memchr::memmem::find(bytes, b"\r\n\r\n").unwrap_or(bytes.len());
    let mut shown = format!("-> {}\n{}", host.who.borrow(), shown_head(&bytes[..end]));
    let sent = bytes.get(end + 4..).unwrap_or_default();
    if sent.is_empty() {
        return shown;
    }
    let message = match body {
        Value::UserData(data) => data
            .borrow::<message::Body>()
            .ok()
            .and_then(|body| body.message()),
        _ => None,
    };
    shown.push_str("\n   ");
    match message {
        Some(message) => {
            let bytes: Rc<[u8]> = sent.into();
            shown.push_str(&message::view(&host.kinds, &message, &bytes, 0).json());
        }
        None => shown.push_str(&shown_text(sent)),
    }
    shown
}

/// The begin of a body: as it is when it is text, escaped when not.
fn shown_text(body: &[u8]) -> String {
    let cut = &body[..body.len().min(1_000)];
    match std::str::from_utf8(cut) {
        Ok(text) if !text.contains(|c: char| c.is_control() && !c.is_whitespace()) => {
            text.to_owned()
        }
        _ => cut.escape_ascii().to_string(),
    }
}

/// A reply for people.
pub(super) fn shown_reply(host: &Host, reply: &Reply) -> String {
    let mut shown = format!(
        "<- {} ({:.1} ms)\n{}",
        reply.what,
        reply.latency_s * 1e3,
        shown_head(reply.head())
    );
    let body = reply.body();
    if body.is_empty() {
        return shown;
    }
    shown.push_str("\n   ");
    match &reply.message {
        Some(message) => {
            let view = message::view(&host.kinds, message, &reply.bytes, reply.head_len);
            shown.push_str(&format!("{}: {}", message.full_name(), view.json()));
        }
        None => {
            shown.push_str(&shown_text(body));
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_not_shown() {
        let shown = shown_head(
            b"GET / HTTP/1.1\r\nCookie: a=1; b=2\r\nauthorization: x\r\nX-Api-Key: y\r\nA: b",
        );
        assert_eq!(
            shown,
            "   GET / HTTP/1.1\n   Cookie: a=***; b=***\n   authorization: ***\n   X-Api-Key: ***\n   A: b"
        );
    }
}
