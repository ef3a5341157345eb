//! One captured connection.

use std::fmt;

use super::direction::{Context, Direction};
use super::error::TlsError;
use super::facts::Facts;
use super::keylog::{KeyLog, Label};
use super::record::{self, Bad};

/// Who sent something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Side {
    /// Who opened the connection.
    Client,
    /// Who took it.
    Server,
}

impl Side {
    /// The other one.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::Client => Self::Server,
            Self::Server => Self::Client,
        }
    }
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Client => "client",
            Self::Server => "server",
        })
    }
}

/// A version that is decrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsVersion {
    /// RFC 5246.
    Tls12,
    /// RFC 8446.
    Tls13,
}

impl fmt::Display for TlsVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tls12 => "TLS 1.2",
            Self::Tls13 => "TLS 1.3",
        })
    }
}

/// What became of the bytes of one direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TlsCounts {
    /// Records that were opened.
    pub records: u64,
    /// Bytes of application data that were given.
    pub application_bytes: u64,
    /// Bytes of records with 0-RTT data that the server refused, or that have no secret.
    pub early_bytes_skipped: u64,
    /// Bytes that were there and could not be used: behind gaps, damaged, or after the end.
    pub skipped_bytes: u64,
    /// Bytes that the capture does not have.
    pub lost_bytes: u64,
}

/// A captured TLS connection.
///
/// What one direction says may be needed to read the other: bytes wait for it, and for secrets that the
/// key log does not have yet, up to [`WAITING_BYTES`](super::limits::WAITING_BYTES) for each direction.
/// Feed no bytes to try again: after the other direction was fed, when the key log has grown, and at the
/// end of the capture.
pub struct TlsStream {
    client: Direction,
    server: Direction,
    facts: Facts,
}

impl Default for TlsStream {
    fn default() -> Self {
        Self::new()
    }
}

// Keys do not belong into messages.
impl fmt::Debug for TlsStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsStream")
            .field("version", &self.facts.version)
            .field("suite", &self.suite())
            .field("client", &self.client.counts)
            .field("server", &self.server.counts)
            .finish_non_exhaustive()
    }
}

impl TlsStream {
    /// A connection of which nothing was seen.
    #[must_use]
    pub fn new() -> Self {
        Self {
            client: Direction::new(Side::Client),
            server: Direction::new(Side::Server),
            facts: Facts::default(),
        }
    }

    /// Whether a direction that begins with `bytes` begins a TLS connection: with a record that holds a
    /// hello (or with an SSL 2 hello, which [`Self::feed`] refuses by name). Six bytes are enough, fewer
    /// say no.
    #[must_use]
    pub fn looks_like_tls(bytes: &[u8]) -> bool {
        match record::total(bytes) {
            Ok(Some(total)) => {
                bytes[0] == record::HANDSHAKE
                    && total > record::HEADER
                    && matches!(bytes.get(record::HEADER), Some(1 | 2))
            }
            Err(Bad::SslV2) => matches!(bytes.get(3..5), Some([3, 0..=4])),
            _ => false,
        }
    }

    /// Take the next bytes of one direction, and append that direction's application data to `out`.
    ///
    /// # Errors
    /// Each [`TlsError`] is told once and is a hole in the plaintext: `out` has what comes before it;
    /// what is behind it comes with the next call, which may have no bytes. Where nothing can follow,
    /// [`Self::failure`] remembers the error, and further bytes are counted and dropped.
    pub fn feed(
        &mut self,
        from: Side,
        bytes: &[u8],
        keys: &KeyLog,
        out: &mut Vec<u8>,
    ) -> Result<(), TlsError> {
        let (own, peer) = match from {
            Side::Client => (&mut self.client, &mut self.server),
            Side::Server => (&mut self.server, &mut self.client),
        };
        let handshake_is_readable = self.facts.client_random.is_none_or(|random| {
            !keys.knows(&random) || keys.secret(&random, Label::ServerHandshake).is_some()
        });
        let mut context = Context {
            keys,
            verdict_comes: handshake_is_readable && peer.can_tell_early(),
            facts: &mut self.facts,
        };
        let result = own.feed(bytes, &mut context, out);
        // Whoever waits for a hello that will not come waits no longer.
        if own.is_over() && (self.facts.server.is_none() || self.facts.client_random.is_none()) {
            peer.end();
        }
        result
    }

    /// Say that `bytes` bytes of one direction are missing, behind those that were fed. When the reading
    /// comes there, [`Self::feed`] answers with [`TlsError::Gap`], and what is behind opens again when
    /// the next record is found and a bounded number of sequence numbers has the right one.
    pub fn lost(&mut self, from: Side, bytes: u64) {
        self.direction_mut(from).lost(bytes);
    }

    /// The host that the client asks for.
    #[must_use]
    pub fn server_name(&self) -> Option<&str> {
        self.facts.server_name.as_deref()
    }

    /// The protocol on which both agreed, such as `http/1.1` or `h2`. In TLS 1.3 it is known when the
    /// server's side of the handshake could be opened.
    #[must_use]
    pub fn alpn(&self) -> Option<&[u8]> {
        self.facts.alpn.as_deref()
    }

    /// What the server chose.
    #[must_use]
    pub fn version(&self) -> Option<TlsVersion> {
        self.facts.version
    }

    /// The name of the cipher suite, as the standards have it.
    #[must_use]
    pub fn suite(&self) -> Option<&'static str> {
        self.facts.server.as_ref().map(|server| server.suite.name)
    }

    /// What became of a direction's bytes.
    #[must_use]
    pub fn counts(&self, from: Side) -> TlsCounts {
        self.direction(from).counts
    }

    /// Why nothing follows in this direction. None also when it ended in order.
    #[must_use]
    pub fn failure(&self, from: Side) -> Option<&TlsError> {
        self.direction(from).failure.as_ref()
    }

    /// Whether nothing follows in this direction, be it closed or given up.
    #[must_use]
    pub fn is_over(&self, from: Side) -> bool {
        self.direction(from).is_over()
    }

    /// Bytes of this direction that are kept: the beginning of a record, and what waits.
    #[must_use]
    pub fn kept_bytes(&self, from: Side) -> usize {
        self.direction(from).kept_bytes()
    }

    /// What this direction waits for: a secret, or a hello. To be told at the end of a capture.
    #[must_use]
    pub fn waits_for(&self, from: Side, keys: &KeyLog) -> Option<TlsError> {
        self.direction(from).waits_for(&self.facts, keys)
    }

    fn direction(&self, side: Side) -> &Direction {
        match side {
            Side::Client => &self.client,
            Side::Server => &self.server,
        }
    }

    fn direction_mut(&mut self, side: Side) -> &mut Direction {
        match side {
            Side::Client => &mut self.client,
            Side::Server => &mut self.server,
        }
    }
}
