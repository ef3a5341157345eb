//! Rows on connections that are sealed here; `tests/tls` reads those of real programs.

use proptest::prelude::*;

use super::fuzz::{Session, tls};
use super::limits::WAITING_BYTES;
use super::*;

/// Bytes of hexadecimal digits.
pub(super) fn hex(digits: &str) -> Vec<u8> {
    let digits: Vec<u32> = digits.chars().filter_map(|c| c.to_digit(16)).collect();
    let byte = |pair: &[u32]| u8::try_from(pair[0] * 16 + pair[1]).unwrap();
    digits.chunks(2).map(byte).collect()
}

fn keys_of(session: &Session) -> KeyLog {
    let mut keys = KeyLog::new();
    keys.read(session.log.as_bytes());
    keys
}

/// All that comes of a direction, holes passed over, and the errors.
fn feed_all(
    stream: &mut TlsStream,
    side: Side,
    bytes: &[u8],
    keys: &KeyLog,
) -> (Vec<u8>, Vec<TlsError>) {
    let (mut out, mut errors) = (Vec::new(), Vec::new());
    let mut result = stream.feed(side, bytes, keys, &mut out);
    while let Err(error) = result {
        errors.push(error);
        result = stream.feed(side, &[], keys, &mut out);
    }
    (out, errors)
}

#[test]
fn sessions_are_read_in_pieces_of_any_size() {
    for choice in 0..6 {
        let session = Session::new(choice);
        for size in [1, 2, 7, 100, 1460, 1 << 20] {
            for (out, data) in session.read(size).iter().zip(&session.data) {
                assert_eq!(*out, data.concat(), "{choice} {size}");
            }
        }
    }
}

#[test]
fn what_is_known_is_told() {
    let check = |choice, version, suite, alpn: Option<&[u8]>| {
        let session = Session::new(choice);
        let keys = keys_of(&session);
        let mut stream = TlsStream::new();
        assert!(TlsStream::looks_like_tls(&session.sent[0]));
        assert!(TlsStream::looks_like_tls(&session.sent[1]));
        feed_all(&mut stream, Side::Client, &session.sent[0], &keys);
        feed_all(&mut stream, Side::Server, &session.sent[1], &keys);
        feed_all(&mut stream, Side::Client, &[], &keys);
        assert_eq!(stream.server_name(), Some("a.bench"));
        assert_eq!(stream.version(), Some(version));
        assert_eq!(stream.suite(), Some(suite));
        assert_eq!(stream.alpn(), alpn);
        for side in [Side::Client, Side::Server] {
            assert!(stream.is_over(side), "both closed");
            assert_eq!(stream.failure(side), None);
            assert_eq!(stream.kept_bytes(side), 0);
        }
    };
    let http = Some(&b"http/1.1"[..]);
    check(0, TlsVersion::Tls13, "TLS_AES_128_GCM_SHA256", http);
    check(
        4,
        TlsVersion::Tls12,
        "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
        None,
    );
}

#[test]
fn beginnings_are_told_from_other_protocols() {
    let check = |bytes: &[u8], expected| {
        assert_eq!(TlsStream::looks_like_tls(bytes), expected, "{bytes:?}");
    };
    check(&[22, 3, 1, 2, 0, 1], true);
    check(&[22, 3, 3, 0, 0x50, 2], true);
    check(&[22, 3, 1, 2, 0], false);
    check(&[22, 3, 1, 0, 0, 1], false);
    check(&[22, 3, 1, 2, 0, 11], false);
    check(&[23, 3, 3, 2, 0, 1], false);
    check(b"GET / HTTP/1.1", false);
    check(&[0x80, 0x2e, 1, 3, 1, 0], true);
    check(&[0x80, 0x2e, 1, 9, 1, 0], false);
    check(&[], false);
}

/// A client's hello as a record, from which a row changes something.
fn client_hello() -> Vec<u8> {
    Session::new(0).sent[0][..80].to_vec()
}

fn server_hello(version: [u8; 2], suite: u16, compression: u8, extensions: &[u8]) -> Vec<u8> {
    let body = [
        &version[..],
        &[7; 32],
        &[0],
        &suite.to_be_bytes(),
        &[compression],
        extensions,
    ]
    .concat();
    let length = u8::try_from(body.len()).unwrap();
    [&[22, 3, 3, 0, length + 4, 2, 0, 0, length], &body[..]].concat()
}

#[test]
fn what_is_not_supported_is_named() {
    let check = |hello: &[u8], expected: &str| {
        let keys = KeyLog::new();
        let mut stream = TlsStream::new();
        feed_all(&mut stream, Side::Client, &client_hello(), &keys);
        let (_, errors) = feed_all(&mut stream, Side::Server, hello, &keys);
        assert_eq!(errors.len(), 1, "{errors:?}");
        assert_eq!(errors[0].to_string(), expected);
        assert_eq!(stream.failure(Side::Server), Some(&errors[0]));
        assert!(stream.is_over(Side::Client), "the client is not waited for");
    };
    let suite = |name: &str| {
        format!(
            "the cipher suite {name} cannot be decrypted; allow AES-GCM or ChaCha20-Poly1305 only"
        )
    };
    let version =
        |name: &str| format!("{name} is spoken here; let one side insist on TLS 1.2 or 1.3");
    check(&server_hello([3, 1], 0xc013, 0, &[]), &version("TLS 1.0"));
    check(&server_hello([3, 2], 0xc013, 0, &[]), &version("TLS 1.1"));
    check(&server_hello([3, 0], 0x0005, 0, &[]), &version("SSL 3"));
    check(
        &server_hello([3, 3], 0xc013, 0, &[]),
        &suite("TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA"),
    );
    check(
        &server_hello([3, 3], 0x1301, 0, &[0, 6, 0, 43, 0, 2, 0x7f, 28]),
        &version("draft 28 of TLS 1.3"),
    );
    check(&server_hello([3, 3], 0x5a5a, 0, &[]), &suite("0x5a5a"));
    check(
        &server_hello([3, 3], 0x1304, 0, &[0, 6, 0, 43, 0, 2, 3, 4]),
        &suite("TLS_AES_128_CCM_SHA256"),
    );
    // A suite of the other version.
    check(&server_hello([3, 3], 0x1301, 0, &[]), &suite("0x1301"));
    check(
        &server_hello([3, 3], 0xc02f, 1, &[]),
        "TLS compression 1 is on; switch it off",
    );
    check(
        &client_hello(),
        "the server's handshake cannot be read at byte 0 (a hello of the other side); it is damaged",
    );
    check(
        b"HTTP/1.1 400 Bad Request\r\n",
        "no TLS record at byte 0 of the server; read the connection as what it is",
    );
    check(
        &[22, 0xfe, 0xfd, 0, 0],
        "this is DTLS, which is not supported; capture TLS over TCP",
    );
    check(
        &[0x80, 0x2e, 1, 3, 1],
        "the client opens with an SSL 2 hello; let it speak TLS 1.2 or 1.3",
    );
    check(
        &[22, 3, 3, 0xff, 0xff],
        "a record at byte 0 of the server claims 65535 bytes; it is no TLS, or damaged",
    );
    check(
        &[23, 3, 3, 0, 2, 0, 0],
        "the server's hello is not in the capture; start capturing before the connections begin",
    );
}

#[test]
fn missing_secrets_are_named_and_may_come_late() {
    for choice in 0..6 {
        let session = Session::new(choice);
        let mut keys = KeyLog::new();
        let mut stream = TlsStream::new();
        for side in [Side::Client, Side::Server] {
            let sent = &session.sent[side as usize];
            assert_eq!(feed_all(&mut stream, side, sent, &keys), (vec![], vec![]));
        }
        feed_all(&mut stream, Side::Client, &[], &keys);
        for side in [Side::Client, Side::Server] {
            assert_eq!(
                stream.waits_for(side, &keys).unwrap().to_string(),
                "the key log has no secrets for client random c1c1c1c1c1c1c1c1...; set \
                 SSLKEYLOGFILE for the client or the server before it connects"
            );
        }
        // Line by line, as a log grows.
        let mut out = [Vec::new(), Vec::new()];
        for line in session.log.lines() {
            keys.read(line.as_bytes());
            for side in [Side::Client, Side::Server] {
                let (data, errors) = feed_all(&mut stream, side, &[], &keys);
                assert_eq!(errors, []);
                out[side as usize].extend(data);
            }
        }
        for (out, data) in out.iter().zip(&session.data) {
            assert_eq!(*out, data.concat());
        }
    }
}

#[test]
fn a_secret_of_another_log_opens_nothing() {
    let session = Session::new(0);
    let mut keys = KeyLog::new();
    keys.read(session.log.replace("11", "12").as_bytes());
    let mut stream = TlsStream::new();
    feed_all(&mut stream, Side::Client, &session.sent[0], &keys);
    feed_all(&mut stream, Side::Server, &session.sent[1], &keys);
    let (out, errors) = feed_all(&mut stream, Side::Client, &[], &keys);
    assert!(
        matches!(errors[0], TlsError::Undecryptable { .. }),
        "{errors:?}"
    );
    // The client's application secret is right, and what it sealed opens behind the handshake.
    assert_eq!(out, session.data[0].concat());
    let mut keys = KeyLog::new();
    keys.read(
        session
            .log
            .replace(&"22".repeat(32), &"22".repeat(48))
            .as_bytes(),
    );
    let mut stream = TlsStream::new();
    feed_all(&mut stream, Side::Client, &session.sent[0], &keys);
    let (_, errors) = feed_all(&mut stream, Side::Server, &session.sent[1], &keys);
    assert!(
        matches!(errors[0], TlsError::SecretLength { .. }),
        "{errors:?}"
    );
}

#[test]
fn a_log_without_the_handshakes_secrets_gives_the_data() {
    let session = Session::new(1);
    let mut keys = KeyLog::new();
    for line in session
        .log
        .lines()
        .filter(|line| !line.contains("HANDSHAKE"))
    {
        keys.read(line.as_bytes());
    }
    let mut stream = TlsStream::new();
    feed_all(&mut stream, Side::Client, &session.sent[0][..80], &keys);
    let (out, errors) = feed_all(&mut stream, Side::Server, &session.sent[1], &keys);
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert_eq!(
        errors[0].to_string(),
        "the key log has no SERVER_HANDSHAKE_TRAFFIC_SECRET for client random \
         c1c1c1c1c1c1c1c1...; it is incomplete"
    );
    assert_eq!(out, session.data[1].concat());
}

#[test]
fn what_waits_is_bounded_and_what_comes_later_opens() {
    for choice in 0..6 {
        let session = Session::sized(choice, 2000);
        let mut keys = KeyLog::new();
        let mut stream = TlsStream::new();
        let (before, behind) = session.sent[1].split_at(session.sent[1].len() - 20_000);
        feed_all(&mut stream, Side::Client, &session.sent[0][..80], &keys);
        let mut errors = Vec::new();
        for piece in before.chunks(1000) {
            errors.extend(feed_all(&mut stream, Side::Server, piece, &keys).1);
            assert!(stream.kept_bytes(Side::Server) <= WAITING_BYTES);
        }
        assert!(matches!(errors[..], [TlsError::NoSecrets(_)]), "{errors:?}");
        let kept = stream.kept_bytes(Side::Server);
        let skipped = stream.counts(Side::Server).skipped_bytes;
        assert!(
            skipped as usize + kept + 1000 > before.len() && skipped > 3 * WAITING_BYTES as u64
        );
        keys.read(session.log.as_bytes());
        let (out, errors) = feed_all(&mut stream, Side::Server, behind, &keys);
        assert_eq!(errors, [], "{choice}");
        assert!(
            out.len() > 15_000 && session.data[1].concat().ends_with(&out),
            "{choice}"
        );
    }
}

#[test]
fn what_waits_is_bounded_where_it_makes_no_sense() {
    let session = Session::new(0);
    let keys = KeyLog::new();
    let mut stream = TlsStream::new();
    feed_all(&mut stream, Side::Client, &session.sent[0][..80], &keys);
    for _ in 0..1000 {
        feed_all(&mut stream, Side::Server, &session.sent[1][..3000], &keys);
        assert!(stream.kept_bytes(Side::Server) <= WAITING_BYTES);
    }
    // Whoever waits for a hello that does not come.
    let mut stream = TlsStream::new();
    let mut errors = Vec::new();
    for _ in 0..1000 {
        errors.extend(feed_all(&mut stream, Side::Server, &session.sent[1], &keys).1);
        assert!(stream.kept_bytes(Side::Server) <= WAITING_BYTES);
    }
    assert_eq!(errors, [TlsError::NoHello(Side::Client)]);
}

/// Lose `[from, to)` of the server's bytes; the data that follow, and the errors.
fn lose(session: &Session, from: usize, to: usize) -> (Vec<u8>, Vec<TlsError>) {
    let keys = keys_of(session);
    let mut stream = TlsStream::new();
    feed_all(&mut stream, Side::Client, &session.sent[0][..80], &keys);
    let sent = &session.sent[1];
    let (mut out, mut errors) = feed_all(&mut stream, Side::Server, &sent[..from], &keys);
    assert_eq!(errors, []);
    stream.lost(Side::Server, (to - from) as u64);
    let (rest, found) = feed_all(&mut stream, Side::Server, &sent[to..], &keys);
    out.extend(rest);
    errors.extend(found);
    (out, errors)
}

#[test]
fn behind_a_gap_the_next_record_is_found() {
    for choice in 0..6 {
        let session = Session::new(choice);
        let length = session.sent[1].len();
        let records = &session.data[1];
        for from in (100..length - 700).step_by(173) {
            for bytes in [1, 20, 500, 3000] {
                let to = (from + bytes).min(length - 600);
                let (out, errors) = lose(&session, from, to);
                assert!(matches!(errors[0], TlsError::Gap { .. }), "{errors:?}");
                // Some twenty bytes of each record are not data, and two are cut at most.
                let lost = records.concat().len() - out.len();
                assert!(
                    lost <= bytes + 2 * 660,
                    "{choice}: {bytes} at {from} lost {lost}: {errors:?}"
                );
                assert!(out.ends_with(records.last().unwrap()), "{choice} {from}");
            }
        }
    }
}

#[test]
fn a_gap_in_front_of_a_hello_is_the_end() {
    let session = Session::new(0);
    let keys = keys_of(&session);
    let mut stream = TlsStream::new();
    stream.lost(Side::Client, 1);
    let (out, errors) = feed_all(&mut stream, Side::Client, &session.sent[0][1..], &keys);
    assert_eq!(
        (out, errors),
        (vec![], vec![TlsError::NoHello(Side::Client)])
    );
    let (out, errors) = feed_all(&mut stream, Side::Server, &session.sent[1], &keys);
    assert_eq!((out, errors), (vec![], vec![]));
    assert!(stream.is_over(Side::Server));
}

#[test]
fn damage_costs_its_record() {
    for choice in 0..6 {
        let session = Session::new(choice);
        let keys = keys_of(&session);
        let mut sent = session.sent[1].clone();
        // Within the data of a record in the middle, which is 556 bytes long.
        let at = sent.len() / 2;
        sent[at] ^= 4;
        let mut stream = TlsStream::new();
        feed_all(&mut stream, Side::Client, &session.sent[0][..80], &keys);
        let (out, errors) = feed_all(&mut stream, Side::Server, &sent, &keys);
        assert!(!errors.is_empty(), "{choice}");
        let missing: Vec<_> = session.data[1]
            .iter()
            .filter(|record| !out.windows(record.len()).any(|piece| piece == &record[..]))
            .collect();
        assert!(missing.len() <= 1, "{choice}: {errors:?}");
    }
}

#[test]
fn a_published_record_opens() {
    // RFC 8448, section 3: the client's application data, the first record of its keys.
    let sealed = hex(
        "17 03 03 00 43 a2 3f 70 54 b6 2c 94 d0 af fa fe 82 28 ba 55 cb ef ac ea 42 f9 14 aa \
        66 bc ab 3f 2b 98 19 a8 a5 b4 6b 39 5b d5 4a 9a 20 44 1e 2b 62 97 4e 1f 5a 62 92 a2 97 70 14 bd \
        1e 3d ea e6 3a ee bb 21 69 49 15 e4",
    );
    let secret = "9e40646ce79a7f9dc05af8889bce6552875afa0b06df0087f792ebb7c17504a5";
    let mut facts = facts::Facts {
        client_random: Some([1; 32]),
        ..facts::Facts::default()
    };
    let hello = server_hello([3, 3], 0x1301, 0, &[0, 6, 0, 43, 0, 2, 3, 4]);
    let hello = handshake::ServerHello::read(&hello[9..]).unwrap();
    facts.server_hello(hello).unwrap();
    let mut keys = KeyLog::new();
    keys.read(format!("CLIENT_TRAFFIC_SECRET_0 {} {secret}", "01".repeat(32)).as_bytes());
    let mut opener =
        opener::Opener::find(opener::Epoch::Application, Side::Client, &facts, &keys).unwrap();
    let mut out = vec![9];
    let record = record::Record::read(&sealed).unwrap().unwrap();
    assert_eq!(opener.open(&record, &mut out), Some(record::DATA));
    let expected: Vec<u8> = std::iter::once(9).chain(0..50).collect();
    assert_eq!(out, expected);
    assert_eq!(
        opener.open(&record, &mut out),
        None,
        "it has another number"
    );
    assert_eq!(out, expected);
}

proptest! {
    #[test]
    fn whatever_happens_nothing_is_made_up(script in prop::collection::vec(any::<u8>(), 0..120)) {
        tls(&script);
    }
}
