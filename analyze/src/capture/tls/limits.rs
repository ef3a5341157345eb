//! Every hard limit of the decryption of TLS.

/// A key log may tell about this many connections; the oldest make room for more. With all of
/// them it takes some 90 MB.
pub const KEY_LOG_CONNECTIONS: usize = 1 << 17;

/// A line of a key log may be this long, in bytes: the longest that is used has some 200.
pub(super) const KEY_LOG_LINE_BYTES: usize = 512;

/// The content of a record, in bytes (RFC 8446, 5.1).
pub(super) const CONTENT_BYTES: usize = 1 << 14;

/// What a record's protection may add to its content, in bytes: 2,048 in TLS 1.2 (RFC 5246, 6.2.3),
/// 256 in TLS 1.3.
pub(super) const EXPANSION_BYTES: usize = 2048;

/// A message of the handshake that is looked into may be this long, in bytes. Others (certificates)
/// are passed over, whatever they claim.
pub(super) const MESSAGE_BYTES: usize = 64 << 10;

/// Bytes of one direction that may wait for secrets, or for the other direction's hello.
pub const WAITING_BYTES: usize = 128 << 10;

/// Gaps among the bytes that wait.
pub(super) const WAITING_GAPS: usize = 64;

/// How many sequence numbers are tried on a record behind a gap, for each key.
pub(super) const SEARCH_RECORDS: u64 = 1024;

/// Bytes that a direction may spend on attempts to open records. What opens gives back
/// [`SEARCH_CREDIT`] times its size.
pub(super) const SEARCH_BYTES: u64 = 16 << 20;

/// See [`SEARCH_BYTES`].
pub(super) const SEARCH_CREDIT: u64 = 8;

/// Where the number of records that were dropped unopened is known: how many of them may have
/// belonged to the handshake, whose numbers are others.
pub(super) const HANDSHAKE_RECORDS: u64 = 64;

/// Early data that the server refused, or that has no secret, may be this long until it is an error
/// that the handshake does not go on, in bytes.
pub(super) const EARLY_BYTES: u64 = 64 << 20;

/// A server's name may be this long, in bytes (RFC 1035, 2.3.4).
pub(super) const SERVER_NAME_BYTES: usize = 255;
