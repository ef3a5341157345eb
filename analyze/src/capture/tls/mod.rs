//! Decryption of captured TLS 1.2 and 1.3 with a key log.
//!
//! A [`TlsStream`] takes the bytes of both directions of a connection as they come and gives the
//! application's data. It plays neither side: it believes the hellos, looks the secrets up in a
//! [`KeyLog`], and lets the records' authentication tags decide whether it was right, so it never
//! gives data that were not sent.
//!
//! Sources: RFC 8446 (TLS 1.3), RFC 5246 (TLS 1.2), RFC 5288 (AES-GCM), RFC 7905 (ChaCha20-Poly1305),
//! RFC 9850 (key logs). Hard limits are in [`limits`].

mod direction;
mod error;
mod facts;
#[doc(hidden)]
pub mod fuzz;
mod handshake;
mod kdf;
mod keylog;
pub mod limits;
mod opener;
mod phase;
mod record;
mod search;
mod stream;
mod suite;
#[cfg(test)]
mod tests;

pub use error::{RandomPrefix, TlsError};
pub use keylog::{KeyLog, KeyLogSummary};
pub use stream::{Side, TlsCounts, TlsStream, TlsVersion};
