//! HTTP/1.1 messages one behind the other in a file, as `curl -i` prints them or a stream was saved.

use super::Direction;
use super::body::Body;
use crate::http1::chunk::{Chunks, Step};
use crate::http1::limits::ReplyLimits;
use crate::http1::{Codings, Head, RequestHead, header_values};

/// A message of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Start {
    direction: Direction,
    len: usize,
    method: String,
    target: String,
    status: u16,
    chunked: bool,
    content_length: Option<u64>,
    codings: Codings,
}

/// Read all messages, requests and replies mixed, and hand their bodies to `each`: how many bytes at
/// the end are none.
///
/// A reply belongs to the last request before it that has none.
pub fn read_messages(bytes: &[u8], each: &mut dyn FnMut(&Body<'_>)) -> usize {
    let mut at = 0;
    let mut asked: std::collections::VecDeque<(String, String, u64)> = Default::default();
    let mut exchange = 0;
    let mut replies = 0;
    while at < bytes.len() {
        // Files end in newlines that belong to nothing.
        if bytes[at..].iter().all(u8::is_ascii_whitespace) {
            break;
        }
        let Some(start) = start(&bytes[at..]) else {
            return bytes.len() - at;
        };
        let head = &bytes[at..at + start.len];
        at += start.len;
        let is_response = start.direction == Direction::Response;
        let (method, url, number, is_paired) = match is_response {
            false => {
                exchange += 1;
                asked.push_back((start.method.clone(), start.target.clone(), exchange));
                (start.method.clone(), start.target.clone(), exchange, true)
            }
            // An interim reply is followed by the real one.
            true if start.status < 200 => continue,
            true => match asked.pop_front() {
                Some((method, target, number)) => (method, target, number, true),
                // What `curl -i` prints has no requests at all, and misses none.
                None => {
                    let is_alone = exchange == replies;
                    exchange += 1;
                    replies += 1;
                    (String::new(), String::new(), exchange, is_alone)
                }
            },
        };
        let is_framed = start.chunked || start.content_length.is_some();
        let has_body = Body::may_be(start.direction, &method, start.status, is_framed);
        let (body, used, is_cut) = match has_body {
            false => (Vec::new(), 0, false),
            true => body(&bytes[at..], &start),
        };
        at += used;
        let value = |name: &'static str| {
            let value = header_values(head, name).next().unwrap_or_default();
            String::from_utf8_lossy(value).into_owned()
        };
        each(&Body {
            direction: start.direction,
            method: &method,
            url: &url,
            status: is_response.then_some(start.status),
            content_type: &value("content-type"),
            codings: start.codings,
            has_body,
            is_cut,
            exchange: Some(number),
            is_paired,
            ..Body::raw(&body)
        });
    }
    0
}

fn start(bytes: &[u8]) -> Option<Start> {
    if bytes.starts_with(b"HTTP/") {
        let head = Head::parse(bytes).ok()??;
        return Some(Start {
            direction: Direction::Response,
            len: head.len,
            method: String::new(),
            target: String::new(),
            status: head.status,
            chunked: head.chunked,
            content_length: head.content_length,
            codings: head.codings,
        });
    }
    let head = RequestHead::parse(bytes).ok()??;
    let text = |range: std::ops::Range<usize>| String::from_utf8_lossy(&bytes[range]).into_owned();
    Some(Start {
        direction: Direction::Request,
        len: head.len,
        method: text(head.method),
        target: text(head.target),
        status: 0,
        chunked: head.chunked,
        content_length: head.content_length,
        codings: head.codings,
    })
}

/// The body of a message, how many bytes of the file it takes, and whether it is cut.
fn body(bytes: &[u8], start: &Start) -> (Vec<u8>, usize, bool) {
    if start.chunked {
        if let Some((body, used)) = chunked(bytes) {
            return (body, used, false);
        }
        // curl takes the chunks apart and prints the header nevertheless.
        return (bytes.to_vec(), bytes.len(), false);
    }
    match start.content_length {
        Some(length) => {
            let length = usize::try_from(length).unwrap_or(usize::MAX);
            let used = length.min(bytes.len());
            (bytes[..used].to_vec(), used, used < length)
        }
        None if start.direction == Direction::Request => (Vec::new(), 0, false),
        None => (bytes.to_vec(), bytes.len(), false),
    }
}

fn chunked(bytes: &[u8]) -> Option<(Vec<u8>, usize)> {
    let mut chunks = Chunks::default();
    let mut body = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        match chunks
            .step(&bytes[at..], ReplyLimits::default().head_bytes)
            .ok()?
        {
            Step::Framing(used) => at += used,
            Step::Data(used) => {
                body.extend_from_slice(&bytes[at..at + used]);
                at += used;
            }
            Step::End(used) => return Some((body, at + used)),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_of_a_file() {
        let check = |file: &str, expected: &[&str], left: usize| {
            let mut seen = Vec::new();
            let rest = read_messages(file.as_bytes(), &mut |body| {
                seen.push(format!(
                    "{} {} {} {:?} {}{}",
                    body.direction.label(),
                    body.method,
                    body.url,
                    body.status,
                    String::from_utf8_lossy(body.bytes),
                    if body.is_cut { " cut" } else { "" }
                ));
            });
            assert_eq!(
                (seen.as_slice(), rest),
                (
                    expected
                        .iter()
                        .map(|s| s.to_string())
                        .collect::<Vec<_>>()
                        .as_slice(),
                    left
                )
            );
        };
        check(
            "POST /a HTTP/1.1\r\nContent-Length: 2\r\n\r\nhiHTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nyou\n",
            &["request POST /a None hi", "response POST /a Some(200) you"],
            0,
        );
        check(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;x=1\r\nab\r\n0\r\nT: 1\r\n\r\n",
            &["response   Some(200) ab"],
            0,
        );
        check(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nplain, as curl -i has it",
            &["response   Some(200) plain, as curl -i has it"],
            0,
        );
        check(
            "HTTP/1.1 200 OK\r\n\r\nuntil the end",
            &["response   Some(200) until the end"],
            0,
        );
        check(
            "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc",
            &["response   Some(200) abc cut"],
            0,
        );
        check(
            "HEAD /a HTTP/1.1\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nGET /b HTTP/1.1\r\n\r\n",
            &[
                "request HEAD /a None ",
                "response HEAD /a Some(200) ",
                "request GET /b None ",
            ],
            0,
        );
        check(
            "HTTP/1.1 204 No\r\n\r\nrubbish here",
            &["response   Some(204) "],
            12,
        );
        check("", &[], 0);
    }
}
