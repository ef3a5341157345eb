//! What can be wrong with a captured TLS connection.

use std::fmt;

use thiserror::Error;

use super::Side;

/// The first bytes of a client random, as a person searches for them in a key log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RandomPrefix(pub [u8; 8]);

impl fmt::Display for RandomPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for byte in self.0 {
            write!(f, "{byte:02x}")?;
        }
        f.write_str("...")
    }
}

/// Why the plaintext of one direction has a hole, or an end. Offsets count that direction's bytes of
/// the connection, those that the capture misses included.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TlsError {
    /// No header of a record.
    #[error("no TLS record at byte {offset} of the {side}; read the connection as what it is")]
    NotTls {
        /// Whose bytes.
        side: Side,
        /// Of the header.
        offset: u64,
    },
    /// The hello of SSL 2.
    #[error("the client opens with an SSL 2 hello; let it speak TLS 1.2 or 1.3")]
    SslV2,
    /// TLS over datagrams.
    #[error("this is DTLS, which is not supported; capture TLS over TCP")]
    Dtls,
    /// A version that is not supported.
    #[error("{} is spoken here; let one side insist on TLS 1.2 or 1.3", version_name(*.0))]
    Version(u16),
    /// A cipher suite that is not supported.
    #[error("the cipher suite {0} cannot be decrypted; allow AES-GCM or ChaCha20-Poly1305 only")]
    Suite(String),
    /// Compression within TLS.
    #[error("TLS compression {0} is on; switch it off")]
    Compression(u8),
    /// A record that claims to be longer than any may be.
    #[error(
        "a record at byte {offset} of the {side} claims {bytes} bytes; it is no TLS, or damaged"
    )]
    RecordLength {
        /// Whose bytes.
        side: Side,
        /// Of the header.
        offset: u64,
        /// What it claims.
        bytes: usize,
    },
    /// A handshake message that cannot be read.
    #[error("the {side}'s handshake cannot be read at byte {offset} ({what}); it is damaged")]
    Handshake {
        /// Whose bytes.
        side: Side,
        /// Of the record in which it ends.
        offset: u64,
        /// What is wrong.
        what: &'static str,
    },
    /// A record that has no place here.
    #[error("a record of type {kind} has no place at byte {offset} of the {side}; it is damaged")]
    Unexpected {
        /// Whose bytes.
        side: Side,
        /// Of the header.
        offset: u64,
        /// Its content type.
        kind: u8,
    },
    /// Nothing in the key log about this connection.
    #[error(
        "the key log has no secrets for client random {0}; set SSLKEYLOGFILE for the client or the \
         server before it connects"
    )]
    NoSecrets(RandomPrefix),
    /// Something in the key log about this connection, but not what is needed.
    #[error("the key log has no {label} for client random {client_random}; it is incomplete")]
    NoSecret {
        /// What is missing.
        label: &'static str,
        /// Of the connection.
        client_random: RandomPrefix,
    },
    /// A secret that does not fit the cipher suite.
    #[error(
        "the {label} for client random {client_random} does not fit {suite}; it is of another log"
    )]
    SecretLength {
        /// Whose secret.
        label: &'static str,
        /// Of the connection.
        client_random: RandomPrefix,
        /// The cipher suite.
        suite: &'static str,
    },
    /// A record that its key does not open.
    #[error(
        "the record at byte {offset} of the {side} does not open with the key log's secret; the \
         capture is damaged, or the log is of another run"
    )]
    Undecryptable {
        /// Whose bytes.
        side: Side,
        /// Of the header.
        offset: u64,
    },
    /// Bytes that the capture does not have.
    #[error(
        "{bytes} bytes of the {side} are missing at byte {offset}; what is behind them may follow"
    )]
    Gap {
        /// Whose bytes.
        side: Side,
        /// Of the first that is missing.
        offset: u64,
        /// How many.
        bytes: u64,
    },
    /// Behind a gap nothing opens.
    #[error(
        "no record opens behind what is missing or damaged, up to byte {offset} of the {side}; \
         capture with a larger buffer"
    )]
    GivenUp {
        /// Whose bytes.
        side: Side,
        /// Of the header of the last record tried.
        offset: u64,
    },
    /// A hello is missing.
    #[error("the {0}'s hello is not in the capture; start capturing before the connections begin")]
    NoHello(Side),
    /// Nothing says what became of the 0-RTT data.
    #[error(
        "whether the server took the client's 0-RTT data is not in the capture; capture both \
         directions whole"
    )]
    NoVerdict,
    /// 0-RTT data that the server took and the key log does not open.
    #[error(
        "the client's 0-RTT data are skipped: the key log has no CLIENT_EARLY_TRAFFIC_SECRET for \
         client random {0}"
    )]
    EarlyData(RandomPrefix),
    /// A second handshake within a TLS 1.2 connection.
    #[error("the connection is renegotiated at byte {offset} of the {side}; forbid renegotiation")]
    Renegotiation {
        /// Whose bytes.
        side: Side,
        /// Of the record that changes the keys.
        offset: u64,
    },
}

fn version_name(version: u16) -> String {
    match version {
        0x0200 => "SSL 2".to_owned(),
        0x0300 => "SSL 3".to_owned(),
        0x0301 => "TLS 1.0".to_owned(),
        0x0302 => "TLS 1.1".to_owned(),
        0x7f00..=0x7fff => format!("draft {} of TLS 1.3", version & 0xff),
        _ => format!("TLS version 0x{version:04x}"),
    }
}
