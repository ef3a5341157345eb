//! What comes out: HTTP/1.1 messages with what is known about them.

use std::net::SocketAddr;

use crate::http1::{Codings, header_values};

/// Which way a message went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Direction {
    /// From the client.
    Request,
    /// From the server.
    Response,
}

impl Direction {
    /// As it is written in records.
    pub fn label(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Response => "response",
        }
    }
}

/// One message of a connection, lent to a [`Sink`].
#[derive(Debug, Clone, Copy)]
pub struct Message<'a> {
    /// Number of the connection, from 0 in the order of their first packets.
    pub connection: u64,
    /// Who asked.
    pub client: SocketAddr,
    /// Who answered.
    pub server: SocketAddr,
    /// Which way it went.
    pub direction: Direction,
    /// The same number for a request and its reply; unique in the capture otherwise.
    pub exchange: u64,
    /// When the first of its bytes was captured, in nanoseconds since the epoch.
    pub first_at_ns: i64,
    /// When the last of its bytes was captured, in nanoseconds since the epoch.
    pub last_at_ns: i64,
    /// Start line and headers with the empty line, as sent.
    pub head: &'a [u8],
    /// The method of the request; for a response that of its request, empty when it is not paired.
    pub method: &'a [u8],
    /// The target of the request in the form that was sent; for a response that of its request,
    /// empty when it is not paired or longer than a few kilobytes.
    pub target: &'a [u8],
    /// The status of a response; 0 for a request.
    pub status: u16,
    /// The body as sent, chunks joined, content codings still applied. Without the bytes that are
    /// lost, and empty when the body is `oversized`.
    pub body: &'a [u8],
    /// Bytes of the body that were seen, kept or not.
    pub body_bytes: u64,
    /// How the body is compressed.
    pub codings: Codings,
    /// Bytes within the body that the capture does not have.
    pub lost_bytes: u64,
    /// The message does not reach to its end: the connection or the capture ended within it, its
    /// framing broke, or a gap swallowed the end.
    pub cut: bool,
    /// The body exceeded [`CaptureOptions::body_bytes_max`](super::CaptureOptions::body_bytes_max)
    /// or what all open messages may take together, and was not kept.
    pub oversized: bool,
    /// For a response: its request was seen and `exchange`, `method` and `target` are its. Always
    /// true for a request.
    pub paired: bool,
}

impl<'a> Message<'a> {
    /// Whether `body` is all of the body.
    pub fn is_complete(&self) -> bool {
        self.lost_bytes == 0 && !self.cut && !self.oversized
    }

    /// The values of a header, by its name in any case, trimmed.
    pub fn header(&self, name: &'a str) -> impl Iterator<Item = &'a [u8]> + 'a {
        header_values(self.head, name)
    }
}

/// Where messages go.
pub trait Sink {
    /// Take one message. Requests come when they are complete; a reply comes after its request,
    /// unless the server answered before the end of the request.
    fn message(&mut self, message: &Message<'_>);
}
