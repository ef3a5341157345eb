//! A request's id in a comment of a statement.

use super::limits::REQUEST_ID_BYTES;
use super::quote::is_word;

/// Names that an id goes by, in lower case and without `-` and `_`.
const NAMES: [&[u8]; 7] = [
    b"reqid",
    b"requestid",
    b"xrequestid",
    b"traceid",
    b"trace",
    b"correlationid",
    b"traceparent",
];

/// Where the first id stands in a comment: `/* reqid=abc */`, `/* request_id='..' */`, `req_id:..`, or
/// the trace id of a [`traceparent`](https://www.w3.org/TR/trace-context/) such as sqlcommenter writes.
pub(super) fn request_id(comment: &[u8]) -> Option<(usize, usize)> {
    let mut at = 0;
    while let Some(found) = memchr::memchr2(b'=', b':', &comment[at..]) {
        let mark = at + found;
        at = mark + 1;
        let Some(name) = name_before(comment, mark) else {
            continue;
        };
        let mut start = mark + 1;
        while matches!(comment.get(start), Some(b' ' | b'\'' | b'"')) {
            start += 1;
        }
        let size = comment[start..]
            .iter()
            .take(REQUEST_ID_BYTES)
            .take_while(|byte| is_id(**byte))
            .count();
        if name == b"traceparent" {
            // 00-TRACEID-SPANID-FLAGS
            if size >= 36 && comment[start + 2] == b'-' && comment[start + 35] == b'-' {
                return Some((start + 3, start + 35));
            }
        } else if size > 0 {
            return Some((start, start + size));
        }
    }
    None
}

fn is_id(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'+' | b'/' | b'%' | b':')
}

fn name_before(comment: &[u8], mark: usize) -> Option<&'static [u8]> {
    let text = comment[..mark].trim_ascii_end();
    let size = text
        .iter()
        .rev()
        .take(20)
        .take_while(|byte| is_word(**byte) || **byte == b'-')
        .count();
    let name = &text[text.len() - size..];
    NAMES.into_iter().find(|known| {
        let mut letters = name.iter().filter(|byte| !matches!(byte, b'-' | b'_'));
        known
            .iter()
            .all(|byte| letters.next().map(u8::to_ascii_lowercase) == Some(*byte))
            && letters.next().is_none()
    })
}
