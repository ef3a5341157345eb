//! A body that somebody saw, as it was sent.

use std::net::SocketAddr;

use crate::capture::Direction;
use crate::http1::Codings;

/// A body with what HTTP said about it.
#[derive(Debug, Clone, Copy)]
pub struct Body<'a> {
    /// Who sent it.
    pub direction: Direction,
    /// When its message began, in microseconds since the Unix epoch.
    pub time_us: Option<i64>,
    /// The method of its request; empty when that is not known.
    pub method: &'a str,
    /// The target of its request, as it was sent; empty when that is not known.
    pub url: &'a str,
    /// The status of its reply.
    pub status: Option<u16>,
    /// The Content-Type; empty for none.
    pub content_type: &'a str,
    /// How it is compressed.
    pub codings: Codings,
    /// The body, compressed as it was sent, without the framing of chunks.
    pub bytes: &'a [u8],
    /// Whether there is one at all, be it empty: a plain GET has none, nor has a 304.
    pub has_body: bool,
    /// How many of its bytes nobody saw.
    pub lost_bytes: u64,
    /// Whether it ended before it was complete.
    pub is_cut: bool,
    /// Whether it was larger than what is kept, and is not here.
    pub is_oversized: bool,
    /// Of a reply: from its request's first byte to its own last byte, in microseconds.
    pub latency_us: Option<u64>,
    /// The connection it was sent on, by a number of its own.
    pub connection: Option<u64>,
    /// A request and its reply have the same number.
    pub exchange: Option<u64>,
    /// The two ends of the connection.
    pub ends: Option<(SocketAddr, SocketAddr)>,
    /// Of a reply: whether its request was seen. Of a request: true.
    pub is_paired: bool,
}

impl<'a> Body<'a> {
    /// Bytes of which nothing else is known.
    pub fn raw(bytes: &'a [u8]) -> Self {
        Self {
            direction: Direction::Response,
            time_us: None,
            method: "",
            url: "",
            status: None,
            content_type: "",
            codings: Codings::default(),
            bytes,
            has_body: true,
            lost_bytes: 0,
            is_cut: false,
            is_oversized: false,
            latency_us: None,
            connection: None,
            exchange: None,
            ends: None,
            is_paired: true,
        }
    }

    /// Who sent it; none of bytes of which nothing else is known.
    pub fn sender(&self) -> Option<Direction> {
        (self.exchange.is_some() || !self.url.is_empty()).then_some(self.direction)
    }

    /// Whether a message may have a body by its head: of a request `is_framed` says whether there is a
    /// Content-Length or a Transfer-Encoding.
    pub fn may_be(direction: Direction, method: &str, status: u16, is_framed: bool) -> bool {
        match direction {
            Direction::Request => is_framed,
            Direction::Response => {
                method != "HEAD" && status >= 200 && !matches!(status, 204 | 304)
            }
        }
    }

    /// Whether it is the body of a failed request.
    pub fn is_error(&self) -> bool {
        self.direction == Direction::Response && self.status.is_some_and(|status| status >= 400)
    }
}

/// A [`Body`] that is kept.
#[derive(Debug, Clone)]
pub struct OwnedBody {
    method: String,
    url: String,
    content_type: String,
    bytes: Vec<u8>,
    rest: Body<'static>,
}

impl OwnedBody {
    /// Keep a body.
    pub fn new(body: &Body<'_>) -> Self {
        Self {
            method: body.method.to_owned(),
            url: body.url.to_owned(),
            content_type: body.content_type.to_owned(),
            bytes: body.bytes.to_vec(),
            rest: Body {
                method: "",
                url: "",
                content_type: "",
                bytes: b"",
                ..*body
            },
        }
    }

    /// As it was.
    pub fn as_body(&self) -> Body<'_> {
        Body {
            method: &self.method,
            url: &self.url,
            content_type: &self.content_type,
            bytes: &self.bytes,
            ..self.rest
        }
    }
}
