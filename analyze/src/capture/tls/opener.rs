//! What opens the records of one direction under one set of keys.

use ring::aead::{Aad, LessSafeKey, Nonce, Tag, UnboundKey};

use super::Side;
use super::error::TlsError;
use super::facts::{Facts, Server};
use super::kdf::{expand_label, prf};
use super::keylog::{KeyLog, Label, Secret};
use super::record::{self, Record};
use super::suite::{Cipher, Suite};

const TAG: usize = 16;
const NONCE: usize = 12;
/// Of a TLS 1.2 AES-GCM record, sent with it (RFC 5288, 3).
const EXPLICIT_NONCE: usize = 8;

/// A time in which one direction's keys do not change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Epoch {
    /// TLS 1.2, from its change of ciphers to its end.
    Tls12,
    /// 0-RTT data.
    Early,
    Handshake,
    /// TLS 1.3 from the end of the handshake, or from an update of the keys.
    Application,
}

/// Why there is no opener.
#[derive(Debug)]
pub(super) enum Missing {
    /// A hello of either side.
    Hello,
    /// All secrets of the connection.
    Secrets,
    /// One of them.
    Secret(Label),
    Unusable(TlsError),
}

/// How the nonce is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Nonces {
    /// TLS 1.3 and ChaCha20-Poly1305: the sequence number is mixed into the vector.
    Sequence,
    /// TLS 1.2 AES-GCM: four bytes of the vector, the others are sent. The last nonce and its
    /// sequence number are remembered.
    Explicit { nonce: u64, sequence: u64 },
}

/// Opens records.
pub(super) struct Opener {
    pub(super) epoch: Epoch,
    /// The number of the next record.
    pub(super) sequence: u64,
    suite: &'static Suite,
    /// Of TLS 1.3.
    secret: Option<Secret>,
    key: LessSafeKey,
    vector: [u8; NONCE],
    nonces: Nonces,
}

impl Opener {
    /// The opener of `side`'s records from the beginning of `epoch` (of its first keys).
    pub(super) fn find(
        epoch: Epoch,
        side: Side,
        facts: &Facts,
        keys: &KeyLog,
    ) -> Result<Self, Missing> {
        let (Some(random), Some(server)) = (facts.client_random, &facts.server) else {
            return Err(Missing::Hello);
        };
        if !keys.knows(&random) {
            return Err(Missing::Secrets);
        }
        let label = match (epoch, side) {
            (Epoch::Tls12, _) => Label::Master,
            (Epoch::Early, _) => Label::ClientEarly,
            (Epoch::Handshake, Side::Client) => Label::ClientHandshake,
            (Epoch::Handshake, Side::Server) => Label::ServerHandshake,
            (Epoch::Application, Side::Client) => Label::ClientApplication,
            (Epoch::Application, Side::Server) => Label::ServerApplication,
        };
        let Some(secret) = keys.secret(&random, label) else {
            return Err(Missing::Secret(label));
        };
        let opener = match epoch {
            Epoch::Tls12 => Self::tls12(side, &random, server, secret.as_bytes()),
            _ => Self::tls13(epoch, server.suite, secret),
        };
        opener.ok_or_else(|| {
            Missing::Unusable(TlsError::SecretLength {
                label: label.name(),
                client_random: facts.prefix(),
                suite: server.suite.name,
            })
        })
    }

    /// RFC 8446, 7.3.
    fn tls13(epoch: Epoch, suite: &'static Suite, secret: &Secret) -> Option<Self> {
        let bytes = secret.as_bytes();
        if bytes.len() != suite.hash.bytes() {
            return None;
        }
        let algorithm = suite.cipher.algorithm();
        let mut key = [0; 32];
        let key = &mut key[..algorithm.key_len()];
        let mut vector = [0; NONCE];
        expand_label(suite.hash, bytes, "key", key)?;
        expand_label(suite.hash, bytes, "iv", &mut vector)?;
        Some(Self {
            epoch,
            sequence: 0,
            suite,
            secret: Some(*secret),
            key: LessSafeKey::new(UnboundKey::new(algorithm, key).ok()?),
            vector,
            nonces: Nonces::Sequence,
        })
    }

    /// RFC 5246, 6.3; RFC 5288, 3; RFC 7905, 2.
    fn tls12(side: Side, client: &[u8], server: &Server, master: &[u8]) -> Option<Self> {
        let suite = server.suite;
        let algorithm = suite.cipher.algorithm();
        let (fixed, nonces) = match suite.cipher {
            Cipher::ChaCha20Poly1305 => (NONCE, Nonces::Sequence),
            Cipher::Aes128Gcm | Cipher::Aes256Gcm => {
                let none = Nonces::Explicit {
                    nonce: 0,
                    sequence: 0,
                };
                (NONCE - EXPLICIT_NONCE, none)
            }
        };
        let mut block = [0; 2 * (32 + NONCE)];
        let length = algorithm.key_len();
        let block = &mut block[..2 * (length + fixed)];
        let seed: [&[u8]; 3] = [b"key expansion", &server.random, client];
        prf(suite.hash, master, &seed, block);
        let (keys, vectors) = block.split_at(2 * length);
        let (key, own) = match side {
            Side::Client => (&keys[..length], &vectors[..fixed]),
            Side::Server => (&keys[length..], &vectors[fixed..]),
        };
        let mut vector = [0; NONCE];
        vector[..fixed].copy_from_slice(own);
        Some(Self {
            epoch: Epoch::Tls12,
            sequence: 0,
            suite,
            secret: None,
            key: LessSafeKey::new(UnboundKey::new(algorithm, key).ok()?),
            vector,
            nonces,
        })
    }

    /// The opener behind an update of the keys (RFC 8446, 7.2).
    pub(super) fn updated(&self) -> Option<Self> {
        let old = self.secret.as_ref()?;
        let mut next = [0; 48];
        let next = &mut next[..self.suite.hash.bytes()];
        expand_label(self.suite.hash, old.as_bytes(), "traffic upd", next)?;
        Self::tls13(Epoch::Application, self.suite, &Secret::new(next)?)
    }

    /// Sequence numbers that a record's own nonce makes likely: it counts them in most programs,
    /// added to where it began or mixed with it.
    pub(super) fn hints(&self, record: &Record<'_>) -> Option<[u64; 2]> {
        let Nonces::Explicit { nonce, sequence } = self.nonces else {
            return None;
        };
        let told = u64::from_be_bytes(*record.body.first_chunk()?);
        Some([
            sequence.wrapping_add(told.wrapping_sub(nonce)),
            told ^ nonce ^ sequence,
        ])
    }

    /// Open the next record: see [`Self::open_as`].
    pub(super) fn open(&mut self, record: &Record<'_>, out: &mut Vec<u8>) -> Option<u8> {
        let kind = self.open_as(self.sequence, record, out)?;
        self.opened(self.sequence, record);
        Some(kind)
    }

    /// Note that the record with this number was opened.
    pub(super) fn opened(&mut self, number: u64, record: &Record<'_>) {
        self.sequence = number.saturating_add(1);
        if let (Nonces::Explicit { nonce, sequence }, Some(told)) =
            (&mut self.nonces, record.body.first_chunk())
        {
            *nonce = u64::from_be_bytes(*told);
            *sequence = number;
        }
    }

    /// Open a record as the one with this number: append its content to `out` and say its type. None
    /// when it is not that record; `out` is then as it was.
    pub(super) fn open_as(
        &self,
        sequence: u64,
        record: &Record<'_>,
        out: &mut Vec<u8>,
    ) -> Option<u8> {
        let mut nonce = self.vector;
        let mut sealed = record.body;
        match self.nonces {
            Nonces::Sequence => {
                for (byte, other) in nonce[NONCE - 8..].iter_mut().zip(sequence.to_be_bytes()) {
                    *byte ^= other;
                }
            }
            Nonces::Explicit { .. } => {
                let (explicit, rest) = sealed.split_at_checked(EXPLICIT_NONCE)?;
                nonce[NONCE - EXPLICIT_NONCE..].copy_from_slice(explicit);
                sealed = rest;
            }
        }
        let (content, tag) = sealed.split_last_chunk::<TAG>()?;
        let start = out.len();
        out.extend_from_slice(content);
        let place = &mut out[start..];
        let nonce = Nonce::assume_unique_for_key(nonce);
        let opened = if self.epoch == Epoch::Tls12 {
            let length = u16::try_from(content.len()).ok()?.to_be_bytes();
            let [kind, major, minor, ..] = record.header;
            let mut aad = [0; 13];
            aad[..8].copy_from_slice(&sequence.to_be_bytes());
            aad[8..].copy_from_slice(&[kind, major, minor, length[0], length[1]]);
            self.unseal(nonce, &aad, *tag, place).then_some(kind)
        } else {
            let is_opened = self.unseal(nonce, &record.header, *tag, place);
            is_opened.then(|| inner_kind(start, out)).flatten()
        };
        if opened.is_none() {
            out.truncate(start);
        }
        opened
    }

    fn unseal(&self, nonce: Nonce, aad: &[u8], tag: [u8; TAG], place: &mut [u8]) -> bool {
        self.key
            .open_in_place_separate_tag(nonce, Aad::from(aad), Tag::from(tag), place, 0..)
            .is_ok()
    }
}

/// Take the type and the padding off the content from `start` on (RFC 8446, 5.2 and 5.4). A content of
/// padding alone has no type, which is an alert's matter for the peer and of no use here.
fn inner_kind(start: usize, out: &mut Vec<u8>) -> Option<u8> {
    let last = out[start..].iter().rposition(|byte| *byte != 0)?;
    let kind = out[start + last];
    out.truncate(start + last);
    (kind != record::CHANGE_CIPHER_SPEC).then_some(kind)
}
