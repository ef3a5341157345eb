//! Key logs, as programs write them that are told to by `SSLKEYLOGFILE` (RFC 9850, and before it
//! the NSS key log format): lines of `LABEL CLIENT_RANDOM SECRET`.

use std::collections::{HashMap, VecDeque};
use std::fmt;

use super::limits::{KEY_LOG_CONNECTIONS, KEY_LOG_LINE_BYTES};

/// The random of a client's hello, by which a key log knows a connection.
pub(super) type Random = [u8; 32];

/// The longest secret: a TLS 1.2 master secret, or one of SHA-384.
const SECRET_BYTES: usize = 48;

/// Which secret of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Label {
    /// The master secret of TLS 1.2.
    Master,
    ClientEarly,
    ClientHandshake,
    ServerHandshake,
    ClientApplication,
    ServerApplication,
}

impl Label {
    const ALL: [Self; 6] = [
        Self::Master,
        Self::ClientEarly,
        Self::ClientHandshake,
        Self::ServerHandshake,
        Self::ClientApplication,
        Self::ServerApplication,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Master => "CLIENT_RANDOM",
            Self::ClientEarly => "CLIENT_EARLY_TRAFFIC_SECRET",
            Self::ClientHandshake => "CLIENT_HANDSHAKE_TRAFFIC_SECRET",
            Self::ServerHandshake => "SERVER_HANDSHAKE_TRAFFIC_SECRET",
            Self::ClientApplication => "CLIENT_TRAFFIC_SECRET_0",
            Self::ServerApplication => "SERVER_TRAFFIC_SECRET_0",
        }
    }

    /// Whether a secret of this label may have that many bytes.
    fn allows(self, bytes: usize) -> bool {
        // The output of SHA-256 or SHA-384; a master secret has 48 bytes always (RFC 5246, 8.1).
        bytes == SECRET_BYTES || (bytes == 32 && self != Self::Master)
    }
}

/// A secret of 32 or 48 bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Secret {
    bytes: [u8; SECRET_BYTES],
    length: u8,
}

impl Secret {
    /// None when it is longer than any secret.
    pub(super) fn new(bytes: &[u8]) -> Option<Self> {
        let mut secret = Self {
            bytes: [0; SECRET_BYTES],
            length: u8::try_from(bytes.len()).ok()?,
        };
        secret.bytes.get_mut(..bytes.len())?.copy_from_slice(bytes);
        Some(secret)
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length)]
    }
}

/// The secrets of captured connections, by their client randoms.
///
/// Bounded by [`KEY_LOG_CONNECTIONS`]: the oldest connections make room for new ones, and
/// [`KeyLogSummary::forgotten`] says so.
#[derive(Default)]
pub struct KeyLog {
    connections: HashMap<Random, [Option<Secret>; Label::ALL.len()]>,
    /// In the order in which they came.
    order: VecDeque<Random>,
    generation: u64,
}

// Secrets do not belong into messages.
impl fmt::Debug for KeyLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyLog")
            .field("connections", &self.connections.len())
            .field("generation", &self.generation)
            .finish_non_exhaustive()
    }
}

/// What became of the lines of a key log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct KeyLogSummary {
    /// Lines with a secret that is of use.
    pub used: usize,
    /// Lines whose label is of no use here: exporters, and whatever else begins with a label, a random
    /// and a secret.
    pub ignored: usize,
    /// Lines that are none of a key log.
    pub skipped: usize,
    /// The first of them, counted from 1.
    pub first_skipped_line: Option<usize>,
    /// Connections that had to make room.
    pub forgotten: usize,
}

/// What a line is.
enum Line {
    Empty,
    Secret(Label, Random, Secret),
    Other,
    Bad,
}

impl KeyLog {
    /// An empty log.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Add the secrets of whole lines; an unfinished last line counts as one. A log that grows is read
    /// piece by piece, each ending with a line.
    pub fn read(&mut self, text: &[u8]) -> KeyLogSummary {
        let mut summary = KeyLogSummary::default();
        let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
        for (index, line) in text.split(|byte| *byte == b'\n').enumerate() {
            match parse(line) {
                Line::Empty => {}
                Line::Other => summary.ignored += 1,
                Line::Secret(label, random, secret) => {
                    summary.used += 1;
                    summary.forgotten += usize::from(self.insert(label, random, secret));
                }
                Line::Bad => {
                    summary.skipped += 1;
                    summary.first_skipped_line.get_or_insert(index + 1);
                }
            }
        }
        summary
    }

    /// Whether there is no secret at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.connections.is_empty()
    }

    /// How many connections have secrets.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.connections.len()
    }

    /// A number that grows whenever a secret is new.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Whether another connection was forgotten.
    fn insert(&mut self, label: Label, random: Random, secret: Secret) -> bool {
        let mut forgot = false;
        if !self.connections.contains_key(&random) {
            if self.connections.len() >= KEY_LOG_CONNECTIONS
                && let Some(oldest) = self.order.pop_front()
            {
                forgot = self.connections.remove(&oldest).is_some();
            }
            self.order.push_back(random);
        }
        let place = &mut self.connections.entry(random).or_default()[label as usize];
        // Client and server may write the same file: a secret that is known is no news.
        if *place != Some(secret) {
            *place = Some(secret);
            self.generation += 1;
        }
        forgot
    }

    pub(super) fn knows(&self, random: &Random) -> bool {
        self.connections.contains_key(random)
    }

    pub(super) fn secret(&self, random: &Random, label: Label) -> Option<&Secret> {
        self.connections.get(random)?[label as usize].as_ref()
    }
}

fn parse(line: &[u8]) -> Line {
    let line = line.trim_ascii();
    if line.is_empty() || line.starts_with(b"#") {
        return Line::Empty;
    }
    if line.len() > KEY_LOG_LINE_BYTES {
        return Line::Bad;
    }
    let mut words = line
        .split(u8::is_ascii_whitespace)
        .filter(|word| !word.is_empty());
    let (Some(name), Some(random), Some(secret), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Line::Bad;
    };
    let Some(label) = Label::ALL
        .into_iter()
        .find(|label| label.name().as_bytes() == name)
    else {
        let is_label = name
            .iter()
            .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || *byte == b'_');
        let is_hex = |word: &[u8]| word.iter().all(u8::is_ascii_hexdigit);
        return if is_label && is_hex(random) && is_hex(secret) {
            Line::Other
        } else {
            Line::Bad
        };
    };
    let mut client_random = Random::default();
    let mut bytes = [0; SECRET_BYTES];
    match (hex(random, &mut client_random), hex(secret, &mut bytes)) {
        (Some(32), Some(length)) if label.allows(length) => match Secret::new(&bytes[..length]) {
            Some(secret) => Line::Secret(label, client_random, secret),
            None => Line::Bad,
        },
        _ => Line::Bad,
    }
}

/// Read hexadecimal digits in either case into `to`, and say how many bytes they were.
fn hex(digits: &[u8], to: &mut [u8]) -> Option<usize> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    if !digits.len().is_multiple_of(2) || digits.len() / 2 > to.len() {
        return None;
    }
    for (pair, byte) in digits.chunks_exact(2).zip(to.iter_mut()) {
        *byte = u8::try_from(digit(pair[0])? << 4 | digit(pair[1])?).ok()?;
    }
    Some(digits.len() / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RANDOM: &str = "00112233445566778899aAbBcCdDeEfF00112233445566778899aabbccddeeff";

    fn check(text: &str, expected: (usize, usize, usize, Option<usize>), generation: u64) {
        let text = text
            .replace("RANDOM", RANDOM)
            .replace("S32", &"5f".repeat(32))
            .replace("S48", &"5F".repeat(48));
        let mut log = KeyLog::new();
        let summary = log.read(text.as_bytes());
        let found = (
            summary.used,
            summary.ignored,
            summary.skipped,
            summary.first_skipped_line,
        );
        assert_eq!(found, expected, "{text}");
        assert_eq!(log.generation(), generation, "{text}");
        assert_eq!(log.is_empty(), generation == 0);
    }

    #[test]
    fn lines_are_secrets_or_counted() {
        const ALL: &str = "# a comment\r\n\r\nCLIENT_EARLY_TRAFFIC_SECRET RANDOM S32\r\n\
            CLIENT_HANDSHAKE_TRAFFIC_SECRET RANDOM S48\r\nSERVER_HANDSHAKE_TRAFFIC_SECRET RANDOM S32\r\n\
            CLIENT_TRAFFIC_SECRET_0 RANDOM S32\r\nSERVER_TRAFFIC_SECRET_0 RANDOM S32\r\n\
            EXPORTER_SECRET RANDOM S32\r\nEARLY_EXPORTER_SECRET RANDOM S32\r\n";
        check(ALL, (5, 2, 0, None), 5);
        let label = "CLIENT_";
        // "CLIENT_RANDOM" holds the word that stands for the random.
        let master = format!("{label}{}", "R\u{41}NDOM");
        let row = |secret: &str| format!("{master} {RANDOM} {secret}");
        let mut log = KeyLog::new();
        for (text, used, ignored, skipped) in [
            (row(&"5f".repeat(48)), 1, 0, 0),
            (row(&"5F".repeat(48)) + "\n\n", 1, 0, 0),
            (row(&"5f".repeat(32)), 0, 0, 1),
            (row(&"5f".repeat(49)), 0, 0, 1),
            (row(&"5".repeat(95)), 0, 0, 1),
            (row(&"5g".repeat(48)), 0, 0, 1),
            (row(&"5f".repeat(48)) + " more", 0, 0, 1),
            (format!("{master} 00 {}", "5f".repeat(48)), 0, 0, 1),
            (row(&"5f".repeat(300)), 0, 0, 1),
            ("RSA 0011223344556677 5f5f".to_owned(), 0, 1, 0),
            ("GET / HTTP/1.1".to_owned(), 0, 0, 1),
            ("\u{feff}# only a mark".to_owned(), 0, 0, 0),
        ] {
            let summary = log.read(text.as_bytes());
            let found = (summary.used, summary.ignored, summary.skipped);
            assert_eq!(found, (used, ignored, skipped), "{text}");
        }
        assert_eq!(log.generation(), 1, "the same secret again is no news");
    }

    #[test]
    fn bad_lines_are_counted_and_the_first_is_named() {
        check("# one\nnothing\nnothing either\n", (0, 0, 2, Some(2)), 0);
        check(
            "CLIENT_TRAFFIC_SECRET_0 RANDOM S32\nCLIENT_TRAFFIC_SECRET_0 RANDOM 00",
            (1, 0, 1, Some(2)),
            1,
        );
    }

    #[test]
    fn the_oldest_connections_make_room() {
        let mut log = KeyLog::new();
        let secret = "5f".repeat(32);
        let line = |number: usize| format!("CLIENT_TRAFFIC_SECRET_0 {number:064x} {secret}\n");
        for number in 0..KEY_LOG_CONNECTIONS {
            assert_eq!(log.read(line(number).as_bytes()).forgotten, 0);
        }
        assert_eq!(log.read(line(KEY_LOG_CONNECTIONS).as_bytes()).forgotten, 1);
        assert_eq!(log.connections(), KEY_LOG_CONNECTIONS);
        assert!(!log.knows(&Random::default()));
        let mut second = Random::default();
        second[31] = 1;
        assert!(log.knows(&second));
    }

    #[test]
    fn secrets_are_not_shown() {
        let mut log = KeyLog::new();
        log.read(format!("CLIENT_TRAFFIC_SECRET_0 {RANDOM} {}", "5f".repeat(32)).as_bytes());
        assert!(!format!("{log:?}").contains("95"));
    }
}
