//! Which headers go on: all but those that are of one connection (RFC 9110, section 7.6.1).

use hyper::header::{
    CONNECTION, CONTENT_LENGTH, HOST, HeaderMap, HeaderName, TE, TRAILER, TRANSFER_ENCODING,
    UPGRADE,
};

/// Whether `Connection` has this token.
pub(super) fn connection_has(headers: &HeaderMap, token: &str) -> bool {
    tokens(headers).any(|found| found.eq_ignore_ascii_case(token))
}

/// Whether the connection shall become something else.
pub(super) fn is_upgrade(headers: &HeaderMap) -> bool {
    headers.contains_key(UPGRADE) && connection_has(headers, "upgrade")
}

fn tokens(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
}

/// Take out what is of one connection; the others keep their order.
pub(super) fn strip_hop_by_hop(headers: &mut HeaderMap) {
    let mut gone: Vec<HeaderName> = tokens(headers)
        .filter_map(|token| HeaderName::from_bytes(token.as_bytes()).ok())
        // Nobody may take the framing or the host out of a message by naming it there.
        .filter(|name| ![CONTENT_LENGTH, TRANSFER_ENCODING, HOST, TE, TRAILER].contains(name))
        .collect();
    gone.extend([
        CONNECTION,
        HeaderName::from_static("keep-alive"),
        HeaderName::from_static("proxy-connection"),
        UPGRADE,
    ]);
    // A message with both is chunked (RFC 9112, section 6.3), and the length a way to smuggle.
    if headers.contains_key(TRANSFER_ENCODING) {
        gone.push(CONTENT_LENGTH);
    }
    gone.retain(|name| headers.contains_key(name));
    if gone.is_empty() {
        return;
    }
    // Removing one by one would change the order of the others.
    let all = std::mem::take(headers);
    headers.reserve(all.len());
    for (name, value) in &all {
        if !gone.contains(name) {
            headers.append(name, value.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_of_one_connection_stays_there() {
        let check = |given: &[(&str, &str)], expected: &[&str]| {
            let mut headers = HeaderMap::new();
            for (name, value) in given {
                let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
                headers.append(name, value.parse().unwrap());
            }
            strip_hop_by_hop(&mut headers);
            let names: Vec<&str> = headers.keys().map(HeaderName::as_str).collect();
            assert_eq!(names, expected, "{given:?}");
        };
        check(&[("Host", "h"), ("X", "1")], &["host", "x"]);
        check(
            &[("Connection", "close"), ("A", "1"), ("B", "2"), ("C", "3")],
            &["a", "b", "c"],
        );
        check(
            &[
                ("A", "1"),
                ("Connection", "keep-alive, X-Mine"),
                ("X-Mine", "2"),
                ("B", "3"),
            ],
            &["a", "b"],
        );
        check(
            &[
                ("Keep-Alive", "timeout=5"),
                ("Proxy-Connection", "close"),
                ("A", "1"),
            ],
            &["a"],
        );
        check(
            &[
                ("Host", "h"),
                ("Connection", "Host, Content-Length, TE"),
                ("Content-Length", "3"),
                ("TE", "trailers"),
            ],
            &["host", "content-length", "te"],
        );
        check(
            &[("Content-Length", "3"), ("Transfer-Encoding", "chunked")],
            &["transfer-encoding"],
        );
    }
}
