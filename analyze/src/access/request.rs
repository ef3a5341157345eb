//! Request lines and targets: `GET /api/teams/7?page=2 HTTP/1.1` in its parts.

use super::limits::METHOD_BYTES;

/// Parts of a request line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RequestLine<'a> {
    /// The method.
    pub(crate) method: &'a [u8],
    /// Path and query, as the client sent them.
    pub(crate) target: &'a [u8],
}

/// Whether these bytes may be a method.
#[inline]
pub(crate) fn is_method(text: &[u8]) -> bool {
    !text.is_empty()
        && text.len() <= METHOD_BYTES
        && text
            .iter()
            .all(|byte| byte.is_ascii_alphabetic() || matches!(byte, b'-' | b'_'))
}

/// Read a request line that was answered with `status`. None when it is broken: TLS bytes, a bare
/// method, anything that a server could not take apart.
///
/// A line that is only odd (spaces in its target, no version, `get` in lower case) is broken when the
/// server refused to read it (400, 414, 505), and what it seems to be when the server answered it.
#[inline]
pub(crate) fn request_line(line: &[u8], status: u16) -> Option<RequestLine<'_>> {
    let space = line
        .iter()
        .take(METHOD_BYTES + 1)
        .position(|b| *b == b' ')?;
    let (method, rest) = (&line[..space], &line[space + 1..]);
    if !is_method(method) {
        return None;
    }
    let (target, usual_version) = match rest.split_last_chunk() {
        Some((target, b" HTTP/1.1" | b" HTTP/1.0" | b" HTTP/2.0" | b" HTTP/3.0")) => (target, true),
        _ => match memchr::memmem::rfind(rest, b" HTTP/") {
            Some(at) => (&rest[..at], matches!(&rest[at + 6..], b"2" | b"3" | b"0.9")),
            None => (rest, false),
        },
    };
    if target.is_empty() {
        return None;
    }
    let refused = matches!(status, 400 | 414 | 505);
    if refused && (!usual_version || is_odd(method, target)) {
        return None;
    }
    Some(RequestLine { method, target })
}

fn is_odd(method: &[u8], target: &[u8]) -> bool {
    let rooted = target[0] == b'/' || after_scheme(target).is_some();
    !rooted || target.contains(&b' ') || method.iter().any(u8::is_ascii_lowercase)
}

/// What is behind `http://` or `https://`.
fn after_scheme(target: &[u8]) -> Option<&[u8]> {
    let at = memchr::memmem::find(target.get(..8.min(target.len()))?, b"://")?;
    let scheme = &target[..at];
    let known = scheme.eq_ignore_ascii_case(b"http") || scheme.eq_ignore_ascii_case(b"https");
    known.then(|| &target[at + 3..])
}

/// The target without the scheme and the host of its absolute form, and the length of its path, which a
/// query or a fragment ends.
#[inline]
pub(crate) fn split_target(target: &[u8]) -> (&[u8], usize) {
    let mut target = target;
    if target.first() != Some(&b'/')
        && let Some(host) = after_scheme(target)
    {
        let end = host
            .iter()
            .position(|byte| matches!(byte, b'/' | b'?' | b'#'))
            .unwrap_or(host.len());
        target = &host[end..];
    }
    let path = memchr::memchr2(b'?', b'#', target).unwrap_or(target.len());
    (target, path)
}

/// The query behind a path: what lies between `?` and `#`.
#[inline]
pub(crate) fn query_len(behind: &[u8]) -> usize {
    memchr::memchr(b'#', behind).unwrap_or(behind.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_their_parts() {
        let check = |line: &str, status, expected: Option<(&str, &str)>| {
            let seen = request_line(line.as_bytes(), status).map(|request| {
                let (target, path) = split_target(request.target);
                (request.method, &target[..path])
            });
            let expected = expected.map(|(m, p)| (m.as_bytes(), p.as_bytes()));
            assert_eq!(seen, expected, "{line}");
        };
        check("GET /a?b HTTP/1.1", 200, Some(("GET", "/a")));
        check("GET /a#b HTTP/2.0", 200, Some(("GET", "/a")));
        check("GET /a HTTP/3", 200, Some(("GET", "/a")));
        check("PROPFIND-X /x HTTP/1.1", 405, Some(("PROPFIND-X", "/x")));
        check(
            "GET http://a.example/b?c HTTP/1.1",
            404,
            Some(("GET", "/b")),
        );
        check("GET http://a.example?c HTTP/1.1", 200, Some(("GET", "")));
        check("GET /old", 200, Some(("GET", "/old")));
        check("GET /a b c HTTP/1.1", 200, Some(("GET", "/a b c")));
        check("GET /a b c HTTP/1.1", 400, None);
        check("GET /%zz HTTP/1.1", 400, Some(("GET", "/%zz")));
        check("OPTIONS * HTTP/1.0", 200, Some(("OPTIONS", "*")));
        check("OPTIONS * HTTP/1.0", 400, None);
        check("CONNECT a:443 HTTP/1.1", 400, None);
        check("get /lower HTTP/1.1", 400, None);
        check("GET /x HTTP/3.7", 505, None);
        check("GET /cut", 414, None);
        check("GET", 400, None);
        check("GET ", 400, None);
        check("GET  HTTP/1.1", 400, None);
        check("", 400, None);
        check("SSH-2.0-OpenSSH_9.6", 400, None);
        check("\u{16}\u{3}\u{1} / HTTP/1.1", 400, None);
        check("\\x16\\x03 / HTTP/1.1", 400, None);
    }
}
