//! Handshake messages: put together from records, and read as far as decryption needs them
//! (RFC 8446, 4; RFC 5246, 7.4).

use super::keylog::Random;
use super::limits::{MESSAGE_BYTES, SERVER_NAME_BYTES};

/// Types of messages.
pub(super) const CLIENT_HELLO: u8 = 1;
pub(super) const SERVER_HELLO: u8 = 2;
pub(super) const END_OF_EARLY_DATA: u8 = 5;
pub(super) const ENCRYPTED_EXTENSIONS: u8 = 8;
pub(super) const FINISHED: u8 = 20;
pub(super) const KEY_UPDATE: u8 = 24;

/// The random by which a server's hello asks for another client's hello (RFC 8446, 4.1.3).
const RETRY: Random = [
    0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91,
    0xc2, 0xa2, 0x11, 0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c,
];

const SERVER_NAME: u16 = 0;
const ALPN: u16 = 16;
const EARLY_DATA: u16 = 42;
const SUPPORTED_VERSIONS: u16 = 43;

/// A message of the handshake; the body is empty when nobody needs it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) kind: u8,
    pub(super) body: Vec<u8>,
}

/// Puts messages together, which may span records and share them.
#[derive(Debug, Default)]
pub(super) struct Messages {
    header: [u8; 4],
    /// Bytes of the header that are there.
    have: usize,
    /// Bytes of the body that are missing.
    missing: usize,
    body: Vec<u8>,
}

impl Messages {
    /// Take bytes off `bytes` up to the end of a message. None when all are taken without one.
    pub(super) fn next(&mut self, bytes: &mut &[u8]) -> Result<Option<Message>, &'static str> {
        while self.have < self.header.len() {
            let Some((first, rest)) = bytes.split_first() else {
                return Ok(None);
            };
            *bytes = rest;
            self.header[self.have] = *first;
            self.have += 1;
            if self.have == self.header.len() {
                let [_, length @ ..] = self.header;
                self.missing = length
                    .iter()
                    .fold(0, |sum, byte| sum << 8 | usize::from(*byte));
                if self.is_wanted() && self.missing > MESSAGE_BYTES {
                    return Err("a hello is too long");
                }
            }
        }
        let (piece, rest) = bytes.split_at(self.missing.min(bytes.len()));
        *bytes = rest;
        self.missing -= piece.len();
        if self.is_wanted() {
            self.body.extend_from_slice(piece);
        }
        if self.missing > 0 {
            return Ok(None);
        }
        self.have = 0;
        Ok(Some(Message {
            kind: self.header[0],
            body: std::mem::take(&mut self.body),
        }))
    }

    fn is_wanted(&self) -> bool {
        matches!(
            self.header[0],
            CLIENT_HELLO | SERVER_HELLO | ENCRYPTED_EXTENSIONS
        )
    }
}

/// What a client's hello says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ClientHello {
    pub(super) random: Random,
    pub(super) server_name: Option<String>,
    pub(super) early_data: bool,
}

/// What a server's hello says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ServerHello {
    pub(super) random: Random,
    pub(super) version: u16,
    pub(super) suite: u16,
    pub(super) compression: u8,
    pub(super) alpn: Option<Vec<u8>>,
    /// Whether it asks for another client's hello.
    pub(super) is_retry: bool,
}

/// What a TLS 1.3 server adds under encryption.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct EncryptedExtensions {
    pub(super) alpn: Option<Vec<u8>>,
    pub(super) early_data: bool,
}

impl ClientHello {
    /// None when it is damaged.
    pub(super) fn read(body: &[u8]) -> Option<Self> {
        let mut bytes = Bytes(body);
        bytes.u16()?;
        let mut hello = Self {
            random: *bytes.array()?,
            server_name: None,
            early_data: false,
        };
        bytes.vector8()?;
        bytes.vector16()?;
        bytes.vector8()?;
        bytes.extensions(|kind, content| {
            match kind {
                SERVER_NAME => hello.server_name = server_name(content)?,
                EARLY_DATA => hello.early_data = true,
                _ => {}
            }
            Some(())
        })?;
        Some(hello)
    }
}

impl ServerHello {
    /// None when it is damaged.
    pub(super) fn read(body: &[u8]) -> Option<Self> {
        let mut bytes = Bytes(body);
        let version = bytes.u16()?;
        let random = *bytes.array()?;
        bytes.vector8()?;
        let mut hello = Self {
            random,
            version,
            suite: bytes.u16()?,
            compression: bytes.u8()?,
            alpn: None,
            is_retry: random == RETRY,
        };
        bytes.extensions(|kind, content| {
            match kind {
                SUPPORTED_VERSIONS => hello.version = Bytes(content).u16()?,
                ALPN => hello.alpn = Some(chosen_protocol(content)?),
                _ => {}
            }
            Some(())
        })?;
        Some(hello)
    }
}

impl EncryptedExtensions {
    /// None when they are damaged.
    pub(super) fn read(body: &[u8]) -> Option<Self> {
        let mut found = Self::default();
        Bytes(body).extensions(|kind, content| {
            match kind {
                ALPN => found.alpn = Some(chosen_protocol(content)?),
                EARLY_DATA => found.early_data = true,
                _ => {}
            }
            Some(())
        })?;
        Some(found)
    }
}

/// The host of a client's server_name extension (RFC 6066, 3). Outer None when it is damaged.
fn server_name(content: &[u8]) -> Option<Option<String>> {
    let mut names = Bytes(Bytes(content).vector16()?);
    while !names.0.is_empty() {
        let kind = names.u8()?;
        let name = names.vector16()?;
        if kind == 0 {
            let is_name = !name.is_empty()
                && name.len() <= SERVER_NAME_BYTES
                && name.iter().all(u8::is_ascii_graphic);
            return Some(is_name.then(|| String::from_utf8_lossy(name).into_owned()));
        }
    }
    Some(None)
}

/// The one protocol of a server's ALPN extension (RFC 7301, 3.1).
fn chosen_protocol(content: &[u8]) -> Option<Vec<u8>> {
    Some(Bytes(Bytes(content).vector16()?).vector8()?.to_vec())
}

/// What is left to read of a message.
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<&'a [u8; N]> {
        self.take(N)?.first_chunk()
    }

    fn u8(&mut self) -> Option<u8> {
        self.array().map(|[byte]| *byte)
    }

    fn u16(&mut self) -> Option<u16> {
        self.array().map(|bytes| u16::from_be_bytes(*bytes))
    }

    fn vector8(&mut self) -> Option<&'a [u8]> {
        let length = self.u8()?;
        self.take(length.into())
    }

    fn vector16(&mut self) -> Option<&'a [u8]> {
        let length = self.u16()?;
        self.take(length.into())
    }

    /// The extensions that end a message; there may be none.
    fn extensions(&mut self, mut each: impl FnMut(u16, &[u8]) -> Option<()>) -> Option<()> {
        if self.0.is_empty() {
            return Some(());
        }
        let mut extensions = Bytes(self.vector16()?);
        while !extensions.0.is_empty() {
            let kind = extensions.u16()?;
            each(kind, extensions.vector16()?)?;
        }
        self.0.is_empty().then_some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_span_and_share_pieces() {
        let bytes = [
            &[CLIENT_HELLO, 0, 0, 3, 7, 8, 9][..],
            &[11, 0, 0, 2, 1, 1],
            &[14, 0, 0, 0],
            &[SERVER_HELLO, 0, 0, 0],
        ]
        .concat();
        for size in 1..=bytes.len() {
            let mut messages = Messages::default();
            let mut found = Vec::new();
            for mut piece in bytes.chunks(size) {
                while let Some(message) = messages.next(&mut piece).unwrap() {
                    found.push((message.kind, message.body));
                }
            }
            let expected = [(1, vec![7, 8, 9]), (11, vec![]), (14, vec![]), (2, vec![])];
            assert_eq!(found, expected, "pieces of {size}");
        }
    }

    #[test]
    fn a_hello_may_be_long_but_not_longer() {
        let first = |kind, length: usize| {
            let [.., a, b, c] = length.to_be_bytes();
            Messages::default().next(&mut &[kind, a, b, c][..])
        };
        assert_eq!(first(CLIENT_HELLO, MESSAGE_BYTES), Ok(None));
        assert!(first(CLIENT_HELLO, MESSAGE_BYTES + 1).is_err());
        assert_eq!(first(11, 0xff_ffff), Ok(None), "certificates are not kept");
    }

    fn vector16(content: &[u8]) -> Vec<u8> {
        let length = u16::try_from(content.len()).unwrap().to_be_bytes();
        [&length, content].concat()
    }

    fn extension(kind: u16, content: &[u8]) -> Vec<u8> {
        [&kind.to_be_bytes()[..], &vector16(content)].concat()
    }

    #[test]
    fn a_clients_hello_is_read() {
        let hello = |extensions: &[u8]| {
            let head = [&[3, 3][..], &[7; 32], &[1, 9], &[0, 2, 0x13, 1], &[1, 0]].concat();
            ClientHello::read(&[&head[..], extensions].concat())
        };
        let check = |extensions: &[u8], name: Option<&str>, early_data| {
            let expected = ClientHello {
                random: [7; 32],
                server_name: name.map(str::to_owned),
                early_data,
            };
            assert_eq!(hello(extensions), Some(expected), "{extensions:?}");
        };
        let name = |name: &[u8]| {
            let entry = [&[0][..], &vector16(name)].concat();
            extension(SERVER_NAME, &vector16(&entry))
        };
        check(&[], None, false);
        check(&vector16(&[]), None, false);
        check(&vector16(&name(b"app.example")), Some("app.example"), false);
        check(&vector16(&name(b"a\x1b[2J")), None, false);
        check(
            &vector16(&name(&[b'a'; 255])),
            Some(&"a".repeat(255)),
            false,
        );
        check(&vector16(&name(&[b'a'; 256])), None, false);
        check(&vector16(&extension(EARLY_DATA, &[])), None, true);
        let whole = vector16(&[name(b"b"), extension(EARLY_DATA, &[])].concat());
        check(&whole, Some("b"), true);
        assert_eq!(hello(&whole[..whole.len() - 1]), None);
        assert_eq!(hello(&[&whole[..], &[0]].concat()), None, "bytes behind it");
        assert_eq!(ClientHello::read(&[3, 3, 1]), None);
    }

    #[test]
    fn a_servers_hello_is_read() {
        let hello = |random: &Random, extensions: &[u8]| {
            let head = [&[3, 3][..], random, &[0], &[0xc0, 0x2f], &[0]].concat();
            ServerHello::read(&[&head[..], extensions].concat()).unwrap()
        };
        let plain = hello(&[5; 32], &[]);
        assert_eq!(
            (plain.version, plain.suite, plain.alpn),
            (0x0303, 0xc02f, None)
        );
        assert!(!plain.is_retry && hello(&RETRY, &[]).is_retry);
        let alpn = extension(ALPN, &vector16(b"\x02h2"));
        let version = extension(SUPPORTED_VERSIONS, &[3, 4]);
        let found = hello(&[5; 32], &vector16(&[alpn.clone(), version].concat()));
        assert_eq!(
            (found.version, found.alpn.as_deref()),
            (0x0304, Some(&b"h2"[..]))
        );
        let extensions = vector16(&[alpn, extension(EARLY_DATA, &[])].concat());
        let found = EncryptedExtensions::read(&extensions).unwrap();
        assert_eq!(
            (found.alpn.as_deref(), found.early_data),
            (Some(&b"h2"[..]), true)
        );
    }
}
