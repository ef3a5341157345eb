//! Heads: the status line of a reply or the request line of a request, and the few headers that
//! frame the body.
//!
//! Source: RFC 9112 (HTTP/1.1), sections 2 to 6. A line may end in a bare LF, as section 2.2
//! allows; header folding is refused, as section 5.2 allows.

use std::ops::Range;

use memchr::memchr;
use thiserror::Error;

use super::limits::{METHOD_BYTES, STACKED_CODINGS};

/// A head that is no HTTP/1.x reply or request.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum HeadError {
    /// The first line is not `HTTP/1.x NNN`.
    #[error("not an HTTP/1.x status line at byte {at}: {excerpt}")]
    StatusLine {
        /// Offset in the reply.
        at: usize,
        /// What stood there.
        excerpt: String,
    },
    /// The first line is not `METHOD target HTTP/1.x`.
    #[error("not an HTTP/1.x request line at byte {at}: {excerpt}")]
    RequestLine {
        /// Offset in the request.
        at: usize,
        /// What stood there.
        excerpt: String,
    },
    /// A header line without a name or a colon, or with a control character in its name.
    #[error("not a header line at byte {at}: {excerpt}")]
    HeaderLine {
        /// Offset in the reply.
        at: usize,
        /// What stood there.
        excerpt: String,
    },
    /// Content-Length is no number, is negative, overflows, or differs from another one.
    #[error("bad content-length at byte {at}: {excerpt}")]
    ContentLength {
        /// Offset in the reply.
        at: usize,
        /// What stood there.
        excerpt: String,
    },
    /// A transfer coding other than `chunked`.
    #[error("unsupported transfer-encoding at byte {at}: {excerpt}")]
    TransferEncoding {
        /// Offset in the reply.
        at: usize,
        /// What stood there.
        excerpt: String,
    },
}

/// A content coding that we may have to undo.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coding {
    /// `gzip`, `x-gzip`.
    Gzip,
    /// `deflate`: zlib, or raw deflate as some servers send.
    Deflate,
    /// `br`.
    Brotli,
    /// `zstd`.
    Zstd,
    /// Something we cannot undo.
    Unknown,
}

/// The codings of a body in the order they were applied; empty for none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Codings {
    codings: [Option<Coding>; STACKED_CODINGS],
}

impl Codings {
    /// The codings in the order they were applied.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = Coding> + '_ {
        self.codings.iter().flatten().copied()
    }

    /// gzip alone.
    pub fn gzip() -> Self {
        let mut codings = Self::default();
        codings.codings[0] = Some(Coding::Gzip);
        codings
    }

    /// Those that a Content-Encoding lists.
    pub fn parse(list: &[u8]) -> Self {
        let mut codings = Self::default();
        codings.push_list(list);
        codings
    }

    /// Whether the body is sent as it is.
    pub fn is_identity(&self) -> bool {
        self.codings[0].is_none()
    }

    fn push_list(&mut self, value: &[u8]) {
        for token in value.split(|&byte| byte == b',').map(<[u8]>::trim_ascii) {
            let coding = match token {
                t if t.is_empty() || t.eq_ignore_ascii_case(b"identity") => continue,
                t if t.eq_ignore_ascii_case(b"gzip") || t.eq_ignore_ascii_case(b"x-gzip") => {
                    Coding::Gzip
                }
                t if t.eq_ignore_ascii_case(b"deflate") => Coding::Deflate,
                t if t.eq_ignore_ascii_case(b"br") => Coding::Brotli,
                t if t.eq_ignore_ascii_case(b"zstd") => Coding::Zstd,
                _ => Coding::Unknown,
            };
            match self.codings.iter_mut().find(|slot| slot.is_none()) {
                Some(slot) => *slot = Some(coding),
                // More than anybody stacks: treat the whole as unreadable.
                None => self.codings[0] = Some(Coding::Unknown),
            }
        }
    }
}

/// What the head says about the reply and the framing of its body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// Bytes up to and with the empty line.
    pub len: usize,
    /// Status code, 100 to 999.
    pub status: u16,
    /// Whether the connection may carry another request.
    pub keep_alive: bool,
    /// Whether the body is chunked.
    pub chunked: bool,
    /// Declared length of the body in bytes.
    pub content_length: Option<u64>,
    /// How the body is compressed.
    pub codings: Codings,
}

/// The first bytes of a line, escaped for a message.
pub(super) fn excerpt(bytes: &[u8]) -> String {
    let line = &bytes[..memchr(b'\n', bytes).unwrap_or(bytes.len())];
    let shown = line.trim_ascii_end();
    let cut = shown.len().min(60);
    let dots = if shown.len() > cut { "..." } else { "" };
    format!("\"{}\"{dots}", shown[..cut].escape_ascii())
}

impl Head {
    /// Read a head from the start of `bytes`; `None` when it is not complete yet.
    ///
    /// # Errors
    /// [`HeadError`] with the offset, as soon as a complete line cannot be right.
    pub fn parse(bytes: &[u8]) -> Result<Option<Self>, HeadError> {
        let Some(end) = memchr(b'\n', bytes) else {
            // A first line that cannot become a status line is refused before it is complete.
            let shared = bytes.len().min(STATUS_PREFIX.len());
            if bytes[..shared] != STATUS_PREFIX[..shared] {
                return Err(HeadError::StatusLine {
                    at: 0,
                    excerpt: excerpt(bytes),
                });
            }
            return Ok(None);
        };
        let (status, http11) =
            parse_status_line(&bytes[..end]).ok_or_else(|| HeadError::StatusLine {
                at: 0,
                excerpt: excerpt(bytes),
            })?;
        let mut fields = Fields::new(http11);
        let len = fields.read(bytes, end + 1)?;
        Ok(len.map(|len| Self {
            len,
            status,
            keep_alive: fields.keep_alive,
            chunked: fields.chunked,
            content_length: fields.content_length,
            codings: fields.codings,
        }))
    }
}

/// What the head of a request says about it and the framing of its body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestHead {
    /// Bytes up to and with the empty line.
    pub len: usize,
    /// Where the method lies in the head.
    pub method: Range<usize>,
    /// Where the target lies in the head, in whatever form it was sent.
    pub target: Range<usize>,
    /// Whether the connection may carry another request.
    pub keep_alive: bool,
    /// Whether the body is chunked.
    pub chunked: bool,
    /// Declared length of the body in bytes; without one and without chunks there is no body.
    pub content_length: Option<u64>,
    /// How the body is compressed.
    pub codings: Codings,
}

impl RequestHead {
    /// Read a head from the start of `bytes`; `None` when it is not complete yet.
    ///
    /// # Errors
    /// [`HeadError`] with the offset, as soon as a complete line cannot be right.
    pub fn parse(bytes: &[u8]) -> Result<Option<Self>, HeadError> {
        let bad = || HeadError::RequestLine {
            at: 0,
            excerpt: excerpt(bytes),
        };
        let Some(end) = memchr(b'\n', bytes) else {
            // A first line that cannot become a request line is refused before it is complete.
            return match method_len(bytes) {
                Some(_) => Ok(None),
                None => Err(bad()),
            };
        };
        let (method, target, http11) = parse_request_line(&bytes[..end]).ok_or_else(bad)?;
        let mut fields = Fields::new(http11);
        let len = fields.read(bytes, end + 1)?;
        Ok(len.map(|len| Self {
            len,
            method,
            target,
            keep_alive: fields.keep_alive,
            chunked: fields.chunked,
            content_length: fields.content_length,
            codings: fields.codings,
        }))
    }
}

/// What the header lines say, whichever first line stands before them.
struct Fields {
    keep_alive: bool,
    chunked: bool,
    content_length: Option<u64>,
    codings: Codings,
}

impl Fields {
    fn new(http11: bool) -> Self {
        Self {
            keep_alive: http11,
            chunked: false,
            content_length: None,
            codings: Codings::default(),
        }
    }

    /// Read the header lines from `at` on: where the head ends, or `None` when it does not yet.
    #[inline]
    fn read(&mut self, bytes: &[u8], mut at: usize) -> Result<Option<usize>, HeadError> {
        loop {
            let Some(length) = memchr(b'\n', &bytes[at..]) else {
                return Ok(None);
            };
            let raw = &bytes[at..at + length];
            let line = raw.strip_suffix(b"\r").unwrap_or(raw);
            if line.is_empty() {
                if self.chunked && self.content_length.take().is_some() {
                    // RFC 9112, section 6.3: chunked wins, and such a connection is suspect.
                    self.keep_alive = false;
                }
                return Ok(Some(at + length + 1));
            }
            self.read_header(line, at)?;
            at += length + 1;
        }
    }

    fn read_header(&mut self, line: &[u8], at: usize) -> Result<(), HeadError> {
        let bad = || HeadError::HeaderLine {
            at,
            excerpt: excerpt(line),
        };
        let colon = memchr(b':', line).ok_or_else(bad)?;
        // Few names have these lengths, so most lines are never compared.
        match colon {
            0 => return Err(bad()),
            10 if line[..colon].eq_ignore_ascii_case(b"connection") => {
                for token in line[colon + 1..].split(|&byte| byte == b',') {
                    let token = token.trim_ascii();
                    if token.eq_ignore_ascii_case(b"close") {
                        self.keep_alive = false;
                    } else if token.eq_ignore_ascii_case(b"keep-alive") {
                        self.keep_alive = true;
                    }
                }
            }
            14 if line[..colon].eq_ignore_ascii_case(b"content-length") => {
                let value = line[colon + 1..].trim_ascii();
                let bad = || HeadError::ContentLength {
                    at,
                    excerpt: excerpt(line),
                };
                let length = parse_decimal(value).ok_or_else(bad)?;
                if self.content_length.is_some_and(|other| other != length) {
                    return Err(bad());
                }
                self.content_length = Some(length);
            }
            16 if line[..colon].eq_ignore_ascii_case(b"content-encoding") => {
                self.codings.push_list(&line[colon + 1..]);
            }
            17 if line[..colon].eq_ignore_ascii_case(b"transfer-encoding") => {
                let value = line[colon + 1..].trim_ascii();
                if value.eq_ignore_ascii_case(b"chunked") {
                    self.chunked = true;
                } else if !value.eq_ignore_ascii_case(b"identity") {
                    return Err(HeadError::TransferEncoding {
                        at,
                        excerpt: excerpt(line),
                    });
                }
            }
            _ => {
                let plausible = line[..colon]
                    .iter()
                    .all(|&byte| byte > b' ' && byte != 0x7f);
                if !plausible {
                    return Err(bad());
                }
            }
        }
        Ok(())
    }
}

/// The last head that was read, and what it said.
///
/// A target says much the same again and again: its date changes once a second, its lengths often
/// never. Comparing is a tenth of the work of reading, and differing shows within the first bytes
/// that differ.
#[derive(Debug, Default)]
pub struct HeadCache {
    bytes: Vec<u8>,
    head: Option<Head>,
}

/// Longer heads are not kept.
const CACHED_HEAD_BYTES: usize = 2048;

impl HeadCache {
    /// As [`Head::parse`]; cheaper for a head that is the same as the last one.
    ///
    /// # Errors
    /// As [`Head::parse`].
    #[inline]
    pub fn parse(&mut self, bytes: &[u8]) -> Result<Option<Head>, HeadError> {
        // What a head says depends on nothing behind its empty line.
        if self.head.is_some() && bytes.starts_with(&self.bytes) {
            return Ok(self.head);
        }
        let head = Head::parse(bytes)?;
        if let Some(head) = head
            && head.len <= CACHED_HEAD_BYTES
        {
            self.bytes.clear();
            self.bytes.extend_from_slice(&bytes[..head.len]);
            self.head = Some(head);
        }
        Ok(head)
    }
}

const STATUS_PREFIX: &[u8] = b"HTTP/1.";

/// Status code, and whether the version is 1.1 (where connections persist by default).
fn parse_status_line(line: &[u8]) -> Option<(u16, bool)> {
    let rest = line.strip_prefix(STATUS_PREFIX)?;
    let (&minor, rest) = rest.split_first()?;
    if !minor.is_ascii_digit() {
        return None;
    }
    let [b' ', a, b, c, after @ ..] = rest else {
        return None;
    };
    if ![a, b, c].iter().all(|digit| digit.is_ascii_digit())
        || !matches!(after.first(), None | Some(b' ' | b'\r'))
    {
        return None;
    }
    let digit = |byte: &u8| u16::from(byte - b'0');
    let status = digit(a) * 100 + digit(b) * 10 + digit(c);
    (status >= 100).then_some((status, minor != b'0'))
}

/// Length of the method at the start of `bytes`: what there is of it when no space follows yet,
/// `None` when no method can stand there (a token of RFC 9110, section 5.6.2).
fn method_len(bytes: &[u8]) -> Option<usize> {
    let token = |byte: &u8| {
        byte.is_ascii_alphanumeric()
            || matches!(
                byte,
                b'-' | b'_' | b'.' | b'!' | b'#'..=b'\'' | b'*' | b'+' | b'^' | b'`' | b'|' | b'~'
            )
    };
    let length = bytes
        .iter()
        .take(METHOD_BYTES + 1)
        .take_while(|byte| token(byte))
        .count();
    let ended = bytes.get(length).is_none_or(|&byte| byte == b' ');
    ((1..=METHOD_BYTES).contains(&length) && ended || bytes.is_empty()).then_some(length)
}

/// Where method and target lie, and whether the version is 1.1.
fn parse_request_line(line: &[u8]) -> Option<(Range<usize>, Range<usize>, bool)> {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let method = method_len(line)?;
    // "METHOD SP target SP HTTP/1.x": the version has a fixed length.
    let target_end = line.len().checked_sub(" HTTP/1.1".len())?;
    let (before, version) = line.split_at(target_end);
    let minor = version.strip_prefix(b" ")?.strip_prefix(STATUS_PREFIX)?;
    let target = before.get(method + 1..)?;
    let plausible = !target.is_empty() && target.iter().all(|&byte| byte > b' ' && byte != 0x7f);
    (plausible && minor[0].is_ascii_digit())
        .then(|| (0..method, method + 1..target_end, minor[0] != b'0'))
}

/// A decimal number that fits, digits only: no sign, no space, at least one digit.
fn parse_decimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_u64, |sum, &digit| {
        if !digit.is_ascii_digit() {
            return None;
        }
        sum.checked_mul(10)?.checked_add(u64::from(digit - b'0'))
    })
}

/// The values of header `name` (any case) in a head that [`Head::parse`] or
/// [`RequestHead::parse`] accepted, trimmed.
pub fn header_values<'h>(head: &'h [u8], name: &'h str) -> impl Iterator<Item = &'h [u8]> + 'h {
    let name = name.as_bytes();
    let mut rest = memchr(b'\n', head).map_or(&[][..], |end| &head[end + 1..]);
    std::iter::from_fn(move || {
        while let Some(end) = memchr(b'\n', rest) {
            let line = &rest[..end];
            rest = &rest[end + 1..];
            // Most lines are told apart by the place of their colon alone.
            if line.get(name.len()) == Some(&b':') && line[..name.len()].eq_ignore_ascii_case(name)
            {
                return Some(line[name.len() + 1..].trim_ascii());
            }
        }
        None
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Option<Head>, HeadError> {
        Head::parse(text.as_bytes())
    }

    fn ok(text: &str) -> Head {
        parse(text).unwrap().unwrap()
    }

    #[test]
    fn framing_headers_are_read() {
        let head = ok("HTTP/1.1 200 OK\r\nServer: x\r\ncontent-LENGTH:  12 \r\n\r\nbody");
        assert_eq!(head.status, 200);
        assert_eq!(head.content_length, Some(12));
        assert!(head.keep_alive && !head.chunked && head.codings.is_identity());
        assert_eq!(head.len, 52);

        let head = ok("HTTP/1.1 404\nTransfer-Encoding: Chunked\nConnection: Close\n\n");
        assert!(head.chunked && !head.keep_alive);
        assert!(!ok("HTTP/1.0 200 OK\r\n\r\n").keep_alive);
        assert!(ok("HTTP/1.0 200 OK\r\nConnection: x, keep-alive\r\n\r\n").keep_alive);
    }

    #[test]
    fn codings_are_listed_in_order() {
        let head = ok("HTTP/1.1 200 OK\r\nContent-Encoding: br, X-Gzip\r\n\r\n");
        assert_eq!(
            head.codings.iter().collect::<Vec<_>>(),
            [Coding::Brotli, Coding::Gzip]
        );
        let head = ok("HTTP/1.1 200 OK\r\nContent-Encoding: identity\r\n\r\n");
        assert!(head.codings.is_identity());
        let head = ok("HTTP/1.1 200 OK\r\nContent-Encoding: gzip,gzip,gzip,gzip,gzip\r\n\r\n");
        assert_eq!(head.codings.iter().next(), Some(Coding::Unknown));
    }

    #[test]
    fn chunked_beats_a_length_and_ends_the_connection() {
        let head = ok("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n");
        assert!(head.chunked && !head.keep_alive);
        assert_eq!(head.content_length, None);
    }

    #[test]
    fn an_incomplete_head_asks_for_more() {
        let whole = "HTTP/1.1 204 No Content\r\nDate: now\r\n\r\n";
        for cut in 0..whole.len() {
            assert_eq!(parse(&whole[..cut]), Ok(None), "cut at {cut}");
        }
        assert!(parse(whole).unwrap().is_some());
    }

    #[test]
    fn garbage_is_refused_with_its_place() {
        let check = |text: &str, part: &str| {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.contains(part), "{text:?}: {error}");
        };
        check("SSH-2.0-OpenSSH", "status line at byte 0");
        check(
            "\u{16}\u{3}\u{1}",
            "status line at byte 0: \"\\x16\\x03\\x01\"",
        );
        check("HTTP/2.0 200 OK\r\n", "status line");
        check("HTTP/1.1 20 OK\r\n", "status line");
        check("HTTP/1.1 2000 OK\r\n", "status line");
        check("HTTP/1.1 099 OK\r\n", "status line");
        check("HTTP/1.1 200 OK\r\nno colon\r\n", "header line at byte 17");
        check("HTTP/1.1 200 OK\r\n: x\r\n", "header line");
        check("HTTP/1.1 200 OK\r\n folded: x\r\n", "header line");
        check(
            "HTTP/1.1 200 OK\r\nContent-Length: -5\r\n",
            "content-length at byte 17",
        );
        check(
            "HTTP/1.1 200 OK\r\nContent-Length: 1e3\r\n",
            "content-length",
        );
        check("HTTP/1.1 200 OK\r\nContent-Length:\r\n", "content-length");
        check(
            "HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551616\r\n",
            "content-length",
        );
        check(
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n",
            "content-length at byte 36",
        );
        check(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n",
            "transfer-encoding",
        );
    }

    #[test]
    fn requests_are_read() {
        let check = |text: &str, expected: Option<(&str, &str, bool, Option<u64>)>| {
            let head = RequestHead::parse(text.as_bytes()).unwrap();
            let found = head.as_ref().map(|head| {
                let (method, target) = (&text[head.method.clone()], &text[head.target.clone()]);
                (method, target, head.keep_alive, head.content_length)
            });
            assert_eq!(found, expected, "{text:?}");
        };
        check(
            "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
            Some(("GET", "/", true, None)),
        );
        check(
            "GET /a?b=c HTTP/1.0\n\n",
            Some(("GET", "/a?b=c", false, None)),
        );
        check(
            "POST http://a/b HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc",
            Some(("POST", "http://a/b", true, Some(3))),
        );
        check(
            "CONNECT a:443 HTTP/1.1\r\n\r\n",
            Some(("CONNECT", "a:443", true, None)),
        );
        check(
            "M-SEARCH * HTTP/1.1\r\n\r\n",
            Some(("M-SEARCH", "*", true, None)),
        );
        let whole = "POST /x HTTP/1.1\r\nHost: a\r\n\r\n";
        for cut in 0..whole.len() {
            check(&whole[..cut], None);
        }
    }

    #[test]
    fn what_is_no_request_is_refused_with_its_place() {
        let check = |text: &str, part: &str| {
            let error = RequestHead::parse(text.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(part), "{text:?}: {error}");
        };
        check(
            "\u{16}\u{3}\u{1}",
            "request line at byte 0: \"\\x16\\x03\\x01\"",
        );
        check("HTTP/1.1 200 OK\r\n", "request line");
        check("PRI * HTTP/2.0\r\n", "request line");
        check("GET /a b HTTP/1.1\r\n", "request line");
        check("GET  HTTP/1.1\r\n", "request line");
        check("GET /\r\n", "request line");
        check(" GET / HTTP/1.1\r\n", "request line");
        check(
            "ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFGHIJKLMNOPQRSTUVWXYZ",
            "request line",
        );
        check("GET / HTTP/1.1\r\n folded\r\n", "header line at byte 16");
        check(
            "POST / HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n",
            "transfer-encoding",
        );
    }

    #[test]
    fn a_head_that_was_seen_reads_the_same() {
        let mut cache = HeadCache::default();
        let heads = [
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n",
            "HTTP/1.1 204 OK\r\n\r\n",
        ];
        for head in heads.iter().cycle().take(12).chain([&heads[1]; 3]) {
            for behind in ["", "body", "HTTP/1.1 500 No\r\n\r\n"] {
                let bytes = format!("{head}{behind}");
                assert_eq!(cache.parse(bytes.as_bytes()), parse(&bytes));
            }
            assert_eq!(cache.parse(&head.as_bytes()[..head.len() - 1]), Ok(None));
            assert!(cache.parse(b"SSH-2.0").is_err());
        }
    }

    #[test]
    fn headers_are_found_by_name() {
        let head = b"HTTP/1.1 200 OK\r\nSet-Cookie: a=1\r\nX: y\r\nset-cookie:b=2\r\n\r\n";
        let found: Vec<_> = header_values(head, "Set-Cookie").collect();
        assert_eq!(found, [b"a=1", b"b=2"]);
    }
}
