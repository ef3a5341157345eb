//! Captured packets in, HTTP/1.1 messages out.
//!
//! [`read`] takes a pcap or pcapng file from any reader and gives its packets to an [`Assembler`],
//! which puts the TCP streams together and hands every message to a [`Sink`]. Memory is bounded
//! whatever the capture holds; what is missing, ambiguous or too large is counted in [`Totals`] and
//! marked on the [`Message`]. Hard limits are in `limits.rs`.
//!
//! The layers: `pcap`, `pcapng` (files to packets), `link` (packets to segments), `table`
//! (connections), `connection` and `tcp` (segments to two streams), `http` and `start` (streams to
//! messages), `pairing` (replies to requests).

mod connection;
#[doc(hidden)]
pub mod fuzz;
mod http;
mod limits;
mod link;
mod message;
mod pairing;
mod pcap;
mod pcapng;
mod read;
mod shared;
mod start;
mod table;
mod tcp;
pub mod tls;
mod totals;

pub use link::LinkType;
pub use message::{Direction, Message, Sink};
pub use read::{CaptureError, Format, ReadSummary, is_capture, read};
pub use totals::Totals;

use connection::Connection;
use limits::CONNECTIONS;
use link::{Packet, SYN, Segment};
use shared::{Cx, Shared};
use table::Table;
use tls::KeyLogSummary;

/// What to look at, and how much memory it may take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaptureOptions {
    /// Only connections with one of these ports on either end; all when empty.
    pub ports: Vec<u16>,
    /// A body may have this many bytes; a longer one is counted and not kept.
    pub body_bytes_max: u64,
    /// All messages in flight and segments that wait may take this many bytes together. A body
    /// that finds no room is not kept either.
    pub buffered_bytes_max: usize,
}

impl Default for CaptureOptions {
    /// All ports; bodies up to 32 MiB; 40 MiB for everything that is in flight.
    fn default() -> Self {
        Self {
            ports: Vec::new(),
            body_bytes_max: 32 << 20,
            buffered_bytes_max: 40 << 20,
        }
    }
}

/// Puts the connections of a capture together. It does no input or output.
#[derive(Debug, Default)]
pub struct Assembler {
    shared: Shared,
    table: Table,
}

impl Assembler {
    /// An assembler that has seen nothing.
    pub fn new(options: CaptureOptions) -> Self {
        Self {
            shared: Shared::new(options),
            table: Table::default(),
        }
    }

    /// Take a packet: its bytes from the link layer on, when it was captured in nanoseconds since
    /// the epoch, and its length in bytes before the capture cut it.
    pub fn packet(
        &mut self,
        link: LinkType,
        time_ns: i64,
        bytes: &[u8],
        wire_len: u32,
        sink: &mut dyn Sink,
    ) {
        self.count_packet();
        let totals = &mut self.shared.totals;
        match link::dissect(link, bytes, wire_len) {
            Packet::Tcp(segment) => self.segment(&segment, time_ns, sink),
            Packet::Other => totals.other_protocols += 1,
            Packet::Fragment => totals.fragments += 1,
            Packet::Malformed => totals.malformed_packets += 1,
            Packet::HeadersCut => totals.headers_cut += 1,
            Packet::UnknownLink => totals.unknown_links += 1,
        }
    }

    fn count_packet(&mut self) {
        self.shared.totals.packets += 1;
    }

    fn segment(&mut self, segment: &Segment<'_>, time_ns: i64, sink: &mut dyn Sink) {
        let Shared {
            options, totals, ..
        } = &mut self.shared;
        let is_wanted = |port| options.ports.contains(&port);
        if !options.ports.is_empty() && !is_wanted(segment.from.port) && !is_wanted(segment.to.port)
        {
            totals.other_ports += 1;
            return;
        }
        totals.segments += 1;
        let (key, side) = match segment.from <= segment.to {
            true => ([segment.from, segment.to], 0),
            false => ([segment.to, segment.from], 1),
        };
        let mut cx = Cx {
            shared: &mut self.shared,
            sink,
        };
        if let Some(connection) = self.table.touch(&key) {
            if connection.is_over(side, segment, time_ns) {
                connection.finish(&mut cx);
                *connection = Connection::new(cx.shared.connection(), key, time_ns);
            }
            connection.segment(side, segment, time_ns, &mut cx);
            return;
        }
        // Nothing is to be learnt from the last words of a connection that was not seen.
        if segment.flags & SYN == 0 && segment.payload.is_empty() {
            return;
        }
        let mut connection = Connection::new(cx.shared.connection(), key, time_ns);
        connection.segment(side, segment, time_ns, &mut cx);
        if self.table.len() < CONNECTIONS {
            self.table.add(key, connection);
        } else if let Some(mut old) = self.table.replace_oldest(key, connection)
            && old.finish(&mut cx)
        {
            cx.shared.totals.evicted += 1;
        }
    }

    /// Take a TLS key log, as text in the NSS format. Connections that begin before the first one are
    /// not decrypted.
    pub fn secrets(&mut self, key_log: &[u8]) -> KeyLogSummary {
        self.shared.totals.key_log_bytes += key_log.len() as u64;
        self.shared.keys.read(key_log)
    }

    /// Why something encrypted could not be read, the first time that happened.
    pub fn tls_fault(&self) -> Option<&str> {
        self.shared.tls_fault.as_deref()
    }

    /// The capture is over: what is open is delivered as incomplete, and all connections are
    /// forgotten.
    pub fn finish(&mut self, sink: &mut dyn Sink) {
        let mut cx = Cx {
            shared: &mut self.shared,
            sink,
        };
        for mut connection in self.table.drain() {
            connection.finish(&mut cx);
        }
    }

    /// What was counted so far.
    pub fn totals(&self) -> &Totals {
        &self.shared.totals
    }

    /// Bytes that messages in flight and segments that wait take at the moment.
    pub fn buffered_bytes(&self) -> usize {
        self.shared.held()
    }
}
