//! How messages begin: start lines told from other bytes, and what heads say.

use std::ops::Range;

use memchr::memchr;

use crate::http1::{Codings, HeadCache, HeadError, RequestHead};

/// What a head says, of a request or a response.
#[derive(Debug, Clone)]
pub(super) struct Facts {
    /// Bytes up to and with the empty line.
    pub(super) len: usize,
    /// 0 for a request.
    pub(super) status: u16,
    /// Empty for a response.
    pub(super) method: Range<usize>,
    pub(super) target: Range<usize>,
    pub(super) codings: Codings,
    is_chunked: bool,
    content_length: Option<u64>,
}

/// Where a body ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    Sized(u64),
    Chunked,
    UntilClose,
    /// It depends on a request that is not known.
    Unknown,
}

impl Facts {
    /// Whether the reply proper is still to come.
    pub(super) fn is_interim(&self) -> bool {
        (100..200).contains(&self.status) && self.status != 101
    }

    /// RFC 9112, section 6.3. `to_head`: whether this is a reply to HEAD, as far as that is known.
    pub(super) fn framing(&self, to_head: Option<bool>) -> Framing {
        let is_bodyless = matches!(self.status, 101 | 204 | 304);
        let framing = match self.content_length {
            _ if is_bodyless => Framing::Sized(0),
            _ if self.is_chunked => Framing::Chunked,
            Some(length) => Framing::Sized(length),
            None if self.status == 0 => Framing::Sized(0),
            None => Framing::UntilClose,
        };
        match to_head {
            _ if self.status == 0 || framing == Framing::Sized(0) => framing,
            Some(true) => Framing::Sized(0),
            Some(false) => framing,
            None => Framing::Unknown,
        }
    }
}

/// Read a head; `None` when it is not complete.
#[inline]
pub(super) fn parse(
    bytes: &[u8],
    is_request: bool,
    heads: &mut HeadCache,
) -> Result<Option<Facts>, HeadError> {
    if is_request {
        let head = RequestHead::parse(bytes)?;
        return Ok(head.map(|head| Facts {
            len: head.len,
            status: 0,
            method: head.method,
            target: head.target,
            codings: head.codings,
            is_chunked: head.chunked,
            content_length: head.content_length,
        }));
    }
    let head = heads.parse(bytes)?;
    Ok(head.map(|head| Facts {
        len: head.len,
        status: head.status,
        method: 0..0,
        target: 0..0,
        codings: head.codings,
        is_chunked: head.chunked,
        content_length: head.content_length,
    }))
}

/// Whether a TLS record of version 3.x stands here (RFC 8446, section 5.1).
pub(super) fn looks_like_tls(bytes: &[u8]) -> bool {
    matches!(bytes, [0x14..=0x17, 3, 0..=4, ..])
}

/// Whether a status line stands here, or as much of it as there is.
pub(super) fn can_begin_response(bytes: &[u8]) -> bool {
    let Some(rest) = bytes.strip_prefix(b"HTTP/1.") else {
        return false;
    };
    let fits = |(at, byte): (usize, &u8)| match at {
        1 => *byte == b' ',
        _ => byte.is_ascii_digit(),
    };
    rest.iter().take(5).enumerate().all(fits)
}

/// Methods by which a request is recognised in the middle of a stream. None is the end of another
/// one, so that half a method is none.
const METHODS: [&[u8]; 14] = [
    b"GET",
    b"POST",
    b"PUT",
    b"HEAD",
    b"DELETE",
    b"PATCH",
    b"OPTIONS",
    b"CONNECT",
    b"TRACE",
    b"PURGE",
    b"QUERY",
    b"SEARCH",
    b"REPORT",
    b"PROPFIND",
];

/// Whether a request line stands here, or as much of it as there is.
pub(super) fn can_begin_request(bytes: &[u8]) -> bool {
    let is_method = |method: &&&[u8]| bytes.starts_with(method);
    let Some(method) = METHODS.iter().find(is_method) else {
        return false;
    };
    let [b' ', target, ..] = bytes[method.len()..] else {
        return false;
    };
    // Also the absolute form, and the authority of CONNECT.
    let is_target = matches!(target, b'/' | b'*' | b'[') || target.is_ascii_alphanumeric();
    let is_line = memchr(b'\n', bytes).is_none_or(|end| {
        let line = bytes[..end].trim_ascii_end();
        line.split_last()
            .is_some_and(|(_, line)| line.ends_with(b" HTTP/1."))
    });
    is_target && is_line
}
