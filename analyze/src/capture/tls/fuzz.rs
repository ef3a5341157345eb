//! The body of the fuzz target: captured connections with whatever a capture can do to them.
//!
//! The connections are sealed here, by a writer of its own that shares the derivation of keys with the
//! reader and nothing else.

use ring::aead::{Aad, LessSafeKey, Nonce, UnboundKey};

use super::kdf::{expand_label, prf};
use super::limits::WAITING_BYTES;
use super::record::{self, ALERT, CHANGE_CIPHER_SPEC, DATA, HANDSHAKE};
use super::suite::{self, Cipher, Suite};
use super::{KeyLog, Side, TlsStream};

const CLIENT_RANDOM: [u8; 32] = [0xc1; 32];
const SERVER_RANDOM: [u8; 32] = [0x5e; 32];
const SUITES: [u16; 6] = [0x1301, 0x1302, 0x1303, 0xc02f, 0xc030, 0xcca8];
/// Records of data that each side sends; with more of them the keys are not updated.
const RECORDS: usize = 40;

/// A connection that was never made.
pub struct Session {
    /// What each side sends.
    pub sent: [Vec<u8>; 2],
    /// Its data, record by record.
    pub data: [Vec<Vec<u8>>; 2],
    /// Its key log.
    pub log: String,
}

impl Session {
    /// A connection of one of six cipher suites, of TLS 1.3 (0 to 2) and TLS 1.2 (3 to 5).
    ///
    /// # Panics
    /// When the suite is not to be had.
    #[must_use]
    pub fn new(choice: usize) -> Self {
        Self::sized(choice, RECORDS)
    }

    /// The same with so many records of data from each side.
    ///
    /// # Panics
    /// When the suite is not to be had.
    #[must_use]
    pub fn sized(choice: usize, records: usize) -> Self {
        let suite = suite::find(SUITES[choice % SUITES.len()]).expect("a suite of the table");
        let mut session = Self {
            sent: [Vec::new(), Vec::new()],
            data: [Vec::new(), Vec::new()],
            log: String::new(),
        };
        if suite.is_tls13() {
            session.tls13(suite, records);
        } else {
            session.tls12(suite, records);
        }
        session
    }

    fn secret(&mut self, label: &str, fill: u8, bytes: usize) -> Vec<u8> {
        let hex = |bytes: &[u8]| -> String { bytes.iter().map(|b| format!("{b:02x}")).collect() };
        let secret = vec![fill; bytes];
        self.log += &format!("{label} {} {}\n", hex(&CLIENT_RANDOM), hex(&secret));
        secret
    }

    fn hellos(&mut self, suite: &Suite) {
        let extensions: &[u8] = b"\x00\x10\x00\x00\x00\x0c\x00\x0a\x00\x00\x07a.bench";
        let client = [
            &[3, 3][..],
            &CLIENT_RANDOM,
            &[0, 0, 2],
            &suite.id.to_be_bytes(),
            &[1, 0],
            extensions,
        ];
        plain(&mut self.sent[0], HANDSHAKE, &message(1, &client.concat()));
        let version: &[u8] = if suite.is_tls13() {
            b"\x00\x06\x00\x2b\x00\x02\x03\x04"
        } else {
            b""
        };
        let id = suite.id.to_be_bytes();
        let server = [&[3, 3][..], &SERVER_RANDOM, &[0], &id, &[0], version];
        plain(&mut self.sent[1], HANDSHAKE, &message(2, &server.concat()));
    }

    fn tls13(&mut self, suite: &'static Suite, records: usize) {
        let bytes = suite.hash.bytes();
        let handshake = [
            self.secret("CLIENT_HANDSHAKE_TRAFFIC_SECRET", 0x11, bytes),
            self.secret("SERVER_HANDSHAKE_TRAFFIC_SECRET", 0x22, bytes),
        ];
        let application = [
            self.secret("CLIENT_TRAFFIC_SECRET_0", 0x33, bytes),
            self.secret("SERVER_TRAFFIC_SECRET_0", 0x44, bytes),
        ];
        self.hellos(suite);
        let alpn = b"\x00\x0f\x00\x10\x00\x0b\x00\x09\x08http/1.1";
        let first = [message(8, alpn), message(11, &[7; 2500])].concat();
        for side in 0..2 {
            let sent = &mut self.sent[side];
            plain(sent, CHANGE_CIPHER_SPEC, &[1]);
            let mut sealer = Sealer::tls13(suite, &handshake[side]);
            if side == 1 {
                for piece in first.chunks(1000) {
                    sealer.seal(sent, HANDSHAKE, piece, 0);
                }
            }
            sealer.seal(sent, HANDSHAKE, &message(20, &vec![9; bytes]), side * 11);
            let mut secret = application[side].clone();
            let mut sealer = Sealer::tls13(suite, &secret);
            for number in 0..records {
                if number % 10 == 3 {
                    sealer.seal(sent, HANDSHAKE, &message(4, &[1; 90]), 0);
                }
                if number % 16 == 15 && records <= RECORDS {
                    sealer.seal(sent, HANDSHAKE, &message(24, &[0]), 0);
                    let mut next = vec![0; bytes];
                    expand_label(suite.hash, &secret, "traffic upd", &mut next).expect("short");
                    sealer = Sealer::tls13(suite, &next);
                    secret = next;
                }
                let data = data(side, number);
                sealer.seal(sent, DATA, &data, number % 5 * 7);
                self.data[side].push(data);
            }
            sealer.seal(sent, ALERT, &[1, 0], 0);
        }
    }

    fn tls12(&mut self, suite: &'static Suite, records: usize) {
        let master = self.secret("CLIENT_RANDOM", 0x55, 48);
        self.hellos(suite);
        let (key, vector) = (
            suite.cipher.algorithm().key_len(),
            if suite.cipher == Cipher::ChaCha20Poly1305 {
                12
            } else {
                4
            },
        );
        let mut block = vec![0; 2 * (key + vector)];
        let seed: [&[u8]; 3] = [b"key expansion", &SERVER_RANDOM, &CLIENT_RANDOM];
        prf(suite.hash, &master, &seed, &mut block);
        for side in 0..2 {
            let sent = &mut self.sent[side];
            plain(sent, HANDSHAKE, &message([16, 11][side], &[7; 700]));
            plain(sent, CHANGE_CIPHER_SPEC, &[1]);
            let key_at = side * key;
            let vector_at = 2 * key + side * vector;
            let mut sealer = Sealer {
                key: sealing_key(suite, &block[key_at..key_at + key]),
                vector: block[vector_at..vector_at + vector].to_vec(),
                is_tls12: true,
                number: 0,
            };
            sealer.seal(sent, HANDSHAKE, &message(20, &[9; 12]), 0);
            for number in 0..records {
                let data = data(side, number);
                sealer.seal(sent, DATA, &data, 0);
                self.data[side].push(data);
            }
            sealer.seal(sent, ALERT, &[1, 0], 0);
        }
    }

    /// Read the connection in pieces of `size` bytes, both sides in turn.
    #[must_use]
    pub fn read(&self, size: usize) -> [Vec<u8>; 2] {
        let mut keys = KeyLog::new();
        keys.read(self.log.as_bytes());
        let mut reading = Reading::new(self);
        while reading.rest.iter().any(|rest| !rest.is_empty()) {
            reading.feed(Side::Client, size, &keys);
            reading.feed(Side::Server, size, &keys);
        }
        reading.settle(&keys);
        reading.out
    }
}

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let [.., a, b, c] = body.len().to_be_bytes();
    [&[kind, a, b, c], body].concat()
}

/// What a side sends as its record of this number: long enough to be known by it.
fn data(side: usize, number: usize) -> Vec<u8> {
    format!("<{side}:{number:03}:{}>", "x".repeat(number * 37 % 601)).into_bytes()
}

fn plain(to: &mut Vec<u8>, kind: u8, content: &[u8]) {
    to.extend([kind, 3, 3]);
    to.extend((content.len() as u16).to_be_bytes());
    to.extend(content);
}

fn sealing_key(suite: &Suite, key: &[u8]) -> LessSafeKey {
    let key = UnboundKey::new(suite.cipher.algorithm(), key);
    LessSafeKey::new(key.expect("a key of the right length"))
}

struct Sealer {
    key: LessSafeKey,
    vector: Vec<u8>,
    is_tls12: bool,
    number: u64,
}

impl Sealer {
    fn tls13(suite: &Suite, secret: &[u8]) -> Self {
        let mut key = vec![0; suite.cipher.algorithm().key_len()];
        let mut vector = vec![0; 12];
        expand_label(suite.hash, secret, "key", &mut key).expect("short");
        expand_label(suite.hash, secret, "iv", &mut vector).expect("short");
        Self {
            key: sealing_key(suite, &key),
            vector,
            is_tls12: false,
            number: 0,
        }
    }

    fn seal(&mut self, to: &mut Vec<u8>, kind: u8, content: &[u8], padding: usize) {
        let number = self.number.to_be_bytes();
        self.number += 1;
        let explicit: &[u8] = if self.vector.len() == 4 { &number } else { &[] };
        let mut nonce = [0; 12];
        nonce[..self.vector.len()].copy_from_slice(&self.vector);
        for (byte, other) in nonce[4..].iter_mut().zip(number) {
            *byte ^= other;
        }
        let mut sealed = content.to_vec();
        let outer = if self.is_tls12 { kind } else { DATA };
        if !self.is_tls12 {
            sealed.push(kind);
            sealed.resize(sealed.len() + padding, 0);
        }
        let length = (explicit.len() + sealed.len() + 16) as u16;
        let header = [outer, 3, 3, (length >> 8) as u8, length as u8];
        let plain_length = (sealed.len() as u16).to_be_bytes();
        let aad = if self.is_tls12 {
            [&number[..], &[kind, 3, 3], &plain_length].concat()
        } else {
            header.to_vec()
        };
        let nonce = Nonce::assume_unique_for_key(nonce);
        self.key
            .seal_in_place_append_tag(nonce, Aad::from(aad), &mut sealed)
            .expect("a short record");
        to.extend(header);
        to.extend(explicit);
        to.extend(sealed);
    }
}

/// A reader that is fed.
struct Reading<'a> {
    stream: TlsStream,
    rest: [&'a [u8]; 2],
    out: [Vec<u8>; 2],
}

impl<'a> Reading<'a> {
    fn new(session: &'a Session) -> Self {
        Self {
            stream: TlsStream::new(),
            rest: [&session.sent[0], &session.sent[1]],
            out: [Vec::new(), Vec::new()],
        }
    }

    fn feed(&mut self, side: Side, size: usize, keys: &KeyLog) {
        let rest = &mut self.rest[side as usize];
        let (piece, after) = rest.split_at(size.min(rest.len()));
        *rest = after;
        self.put(side, piece, keys);
    }

    fn put(&mut self, side: Side, piece: &[u8], keys: &KeyLog) {
        let out = &mut self.out[side as usize];
        let mut result = self.stream.feed(side, piece, keys, out);
        let mut holes = 0;
        while result.is_err() {
            holes += 1;
            assert!(holes < 100_000, "errors without an end");
            result = self.stream.feed(side, &[], keys, out);
        }
        let kept = self.stream.kept_bytes(side);
        assert!(kept <= WAITING_BYTES + piece.len() + record::LARGEST as usize);
    }

    fn settle(&mut self, keys: &KeyLog) {
        for side in [Side::Client, Side::Server, Side::Client] {
            self.put(side, &[], keys);
        }
    }
}

/// Whether `out` is records of `data`, in their order, perhaps not all of them.
fn is_part(out: &[u8], data: &[Vec<u8>]) -> bool {
    let rest = data.iter().fold(out, |rest, record| {
        rest.strip_prefix(&record[..]).unwrap_or(rest)
    });
    rest.is_empty()
}

/// Let `data` be what happens to a captured connection.
///
/// The first byte chooses the connection, or that the bytes themselves are read. Pairs of bytes follow:
/// what happens, and how much of it.
///
/// # Panics
/// When data are given that were not sent, when data are missing although nothing was, or when more is
/// kept than may.
pub fn tls(data: &[u8]) {
    let Some((&choice, mut script)) = data.split_first() else {
        return;
    };
    if choice & 0x80 != 0 {
        return raw(choice, script);
    }
    let session = Session::new(choice.into());
    let mut keys = KeyLog::new();
    if choice & 0x40 == 0 {
        keys.read(session.log.as_bytes());
    }
    let mut reading = Reading::new(&session);
    let mut is_whole = true;
    while let [what, amount, after @ ..] = script {
        script = after;
        let side = [Side::Client, Side::Server][usize::from(what & 1)];
        let amount = usize::from(*amount);
        let index = side as usize;
        match what >> 1 & 7 {
            0..=2 => reading.feed(side, amount * amount / 16 + 1, &keys),
            3 => {
                let lost = (amount * amount / 8 + 1).min(reading.rest[index].len());
                reading.stream.lost(side, lost as u64);
                reading.rest[index] = &reading.rest[index][lost..];
                is_whole &= lost == 0;
            }
            4 => {
                let (piece, rest) =
                    reading.rest[index].split_at((amount + 1).min(reading.rest[index].len()));
                let mut damaged = piece.to_vec();
                if let Some(byte) = damaged.last_mut() {
                    *byte ^= 1 << (what >> 5);
                    is_whole = false;
                }
                reading.rest[index] = rest;
                reading.put(side, &damaged, &keys);
            }
            5 => {
                keys.read(session.log.as_bytes());
            }
            6 => {
                let (piece, rest) = script.split_at(amount.min(script.len()));
                script = rest;
                is_whole &= piece.is_empty();
                reading.put(side, piece, &keys);
            }
            _ => {
                // Bytes that are sent again, or missing without a word.
                let sent = &session.sent[index];
                let at = sent.len() - reading.rest[index].len();
                let at = if what & 0x80 == 0 {
                    at.saturating_sub(amount)
                } else {
                    sent.len().min(at + amount)
                };
                is_whole &= amount == 0;
                reading.rest[index] = &sent[at..];
            }
        }
        is_whole &= !reading.stream.is_over(side) || reading.rest[index].is_empty();
    }
    keys.read(session.log.as_bytes());
    reading.settle(&keys);
    for side in [Side::Client, Side::Server] {
        reading.feed(side, usize::MAX, &keys);
    }
    reading.settle(&keys);
    for (out, data) in reading.out.iter().zip(&session.data) {
        assert!(
            is_part(out, data),
            "data that were not sent: {}",
            out.escape_ascii()
        );
        assert!(!is_whole || *out == data.concat(), "data are missing");
    }
}

/// Read bytes as both sides of a connection.
fn raw(choice: u8, bytes: &[u8]) {
    let mut keys = KeyLog::new();
    let session = Session::new(choice.into());
    keys.read(session.log.as_bytes());
    keys.read(bytes);
    let _ = TlsStream::looks_like_tls(bytes);
    let nothing = Session {
        sent: [bytes.to_vec(), bytes.to_vec()],
        data: [Vec::new(), Vec::new()],
        log: String::new(),
    };
    let mut reading = Reading::new(&nothing);
    let size = usize::from(choice & 0x7f) + 1;
    while reading.rest.iter().any(|rest| !rest.is_empty()) {
        reading.feed(Side::Server, size, &keys);
        reading.feed(Side::Client, size, &keys);
    }
    reading.settle(&keys);
    assert!(reading.out.iter().all(Vec::is_empty), "data out of nothing");
}
