//! What both directions of a connection have to know of it.

use super::TlsVersion;
use super::error::{RandomPrefix, TlsError};
use super::handshake::{ClientHello, EncryptedExtensions, ServerHello};
use super::keylog::Random;
use super::suite::{self, Suite};

/// What became of the client's 0-RTT data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Early {
    #[default]
    None,
    Offered,
    Accepted,
    Refused,
}

/// What the server chose.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) random: Random,
    pub(super) suite: &'static Suite,
}

/// What the hellos say.
#[derive(Debug, Default)]
pub(super) struct Facts {
    pub(super) client_random: Option<Random>,
    /// Hellos of the client: two when the server asked for another.
    pub(super) client_hellos: u32,
    pub(super) server_name: Option<String>,
    pub(super) alpn: Option<Vec<u8>>,
    pub(super) early: Early,
    /// Whether the server asked for another hello.
    pub(super) is_retried: bool,
    pub(super) version: Option<TlsVersion>,
    /// Of the server's real hello.
    pub(super) server: Option<Server>,
}

impl Facts {
    pub(super) fn prefix(&self) -> RandomPrefix {
        let random = self.client_random.unwrap_or_default();
        RandomPrefix(std::array::from_fn(|index| random[index]))
    }

    pub(super) fn client_hello(&mut self, hello: ClientHello) {
        self.client_hellos += 1;
        self.client_random = Some(hello.random);
        self.server_name = hello.server_name;
        if self.early == Early::None && hello.early_data {
            self.early = Early::Offered;
        }
        // Whoever is asked for another hello has lost his early data (RFC 8446, 4.1.2).
        if self.early == Early::Offered && (self.is_retried || self.client_hellos > 1) {
            self.early = Early::Refused;
        }
    }

    /// # Errors
    /// A version, a cipher suite or a compression that is not supported.
    pub(super) fn server_hello(&mut self, hello: ServerHello) -> Result<(), TlsError> {
        let version = match hello.version {
            0x0303 => TlsVersion::Tls12,
            0x0304 => TlsVersion::Tls13,
            other => return Err(TlsError::Version(other)),
        };
        let name = || suite::other_name(hello.suite).into_owned();
        let suite = suite::find(hello.suite)
            .filter(|suite| suite.is_tls13() == (version == TlsVersion::Tls13))
            .ok_or_else(|| TlsError::Suite(name()))?;
        if hello.compression != 0 {
            return Err(TlsError::Compression(hello.compression));
        }
        self.version = Some(version);
        if hello.is_retry {
            self.is_retried = true;
            if self.early == Early::Offered {
                self.early = Early::Refused;
            }
            return Ok(());
        }
        self.alpn = hello.alpn;
        self.server = Some(Server {
            random: hello.random,
            suite,
        });
        Ok(())
    }

    pub(super) fn encrypted_extensions(&mut self, found: EncryptedExtensions) {
        self.alpn = found.alpn;
        if self.early == Early::Offered {
            self.early = if found.early_data {
                Early::Accepted
            } else {
                Early::Refused
            };
        }
    }
}
