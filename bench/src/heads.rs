//! What a head says of its body, for those that have it as a library's map of headers.

use hyper::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap};
use isukit_analyze::http1::Codings;

/// How a message's body is compressed.
pub(crate) fn codings(headers: &HeaderMap) -> Codings {
    let lists: Vec<&[u8]> = headers
        .get_all(CONTENT_ENCODING)
        .iter()
        .map(|value| value.as_bytes())
        .collect();
    Codings::parse(&lists.join(&b","[..]))
}

/// A message's Content-Type; empty for none.
pub(crate) fn content_type(headers: &HeaderMap) -> String {
    headers
        .get(CONTENT_TYPE)
        .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
        .unwrap_or_default()
}
