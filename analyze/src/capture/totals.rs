//! What was counted on the way, so that nothing is silently missing.

use serde::Serialize;

use super::{Direction, Message};

/// Counts over all that an [`Assembler`](super::Assembler) was given.
///
/// The bytes of the streams add up: `stream_bytes` is the sum of `message_bytes`, `skipped_bytes`,
/// `opaque_bytes` and `encrypted_bytes` once the assembler is finished.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Totals {
    /// Packets given.
    pub packets: u64,
    /// TCP segments among them, of the ports that were asked for.
    pub segments: u64,
    /// Packets of protocols other than TCP over IP.
    pub other_protocols: u64,
    /// TCP segments of ports that were not asked for.
    pub other_ports: u64,
    /// Packets of link types that are not known.
    pub unknown_links: u64,
    /// Pieces of fragmented IP packets, which are not joined.
    pub fragments: u64,
    /// Packets whose headers contradict themselves.
    pub malformed_packets: u64,
    /// Packets that the capture cut within their headers.
    pub headers_cut: u64,
    /// Segments that the capture cut within their payload.
    pub cut_segments: u64,

    /// Connections followed.
    pub connections: u64,
    /// Connections that were let go while they were open, to make room for others.
    pub evicted: u64,
    /// Connections that carried TLS which was not decrypted.
    pub encrypted: u64,
    /// Connections whose TLS was decrypted, or some of it.
    pub decrypted: u64,
    /// Faults of TLS that could not be read on from without a gap.
    pub tls_faults: u64,
    /// Connections that spoke HTTP/2 from the start.
    pub http2: u64,
    /// Connections that spoke something else.
    pub not_http: u64,
    /// Connections that left HTTP by `101 Switching Protocols` or `CONNECT`.
    pub upgraded: u64,

    /// Segments that came before others of their direction that belong in front of them.
    pub out_of_order: u64,
    /// Segments all of whose bytes had been captured before: sent again, or captured twice.
    pub repeated_segments: u64,
    /// Bytes that had been captured before, in segments repeated whole or in part.
    pub repeated_bytes: u64,
    /// Among them: bytes that differ from the first ones, where those could still be compared.
    pub conflicting_bytes: u64,
    /// Keep-alive probes.
    pub probes: u64,
    /// Segments that are in no window of their connection, or behind its end.
    pub out_of_window: u64,

    /// Bytes put in order.
    pub stream_bytes: u64,
    /// Bytes that the capture does not have.
    pub lost_bytes: u64,
    /// Gaps that they make.
    pub gaps: u64,
    /// Bytes of messages that were delivered or are interim replies, framing included.
    pub message_bytes: u64,
    /// Bytes that are part of no message: behind a gap, before the first message of a connection
    /// that was captured from its middle on, or after an error.
    pub skipped_bytes: u64,
    /// Bytes of connections that spoke something else, or left HTTP.
    pub opaque_bytes: u64,
    /// Bytes of TLS that was not decrypted.
    pub encrypted_bytes: u64,

    /// Requests delivered.
    pub requests: u64,
    /// Replies delivered.
    pub responses: u64,
    /// Interim (1xx) replies, which are not delivered.
    pub interim: u64,
    /// Replies delivered without a request: lost, or not told apart from others.
    pub unpaired: u64,
    /// Requests without a reply.
    pub unanswered: u64,
    /// Messages delivered although parts of them are missing.
    pub incomplete: u64,
    /// Messages delivered without their body, for it was too large.
    pub oversized: u64,
    /// Heads that do not reach to their end, or too large; not delivered.
    pub heads_cut: u64,
    /// Places where HTTP was expected and something else stood.
    pub malformed_messages: u64,

    /// Bytes of TLS key logs that the capture itself carried.
    pub key_log_bytes: u64,
}

impl Totals {
    /// A message goes out that took so many bytes of its stream.
    #[inline]
    pub(super) fn delivered(&mut self, message: &Message<'_>, taken: u64) {
        self.message_bytes += taken;
        match message.direction {
            Direction::Request => self.requests += 1,
            Direction::Response => self.responses += 1,
        }
        self.unpaired += u64::from(!message.paired);
        self.incomplete += u64::from(message.cut || message.lost_bytes > 0);
        self.oversized += u64::from(message.oversized);
    }
}
