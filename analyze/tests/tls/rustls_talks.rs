//! Connections of rustls with rustls: both versions, all suites, all ways into a connection.

use std::sync::Arc;

use rustls::crypto::ring::{ALL_CIPHER_SUITES, kx_group};
use rustls::{HandshakeKind, SupportedCipherSuite};

use isukit_analyze::capture::tls::{KeyLog, Side, TlsError, TlsVersion};

use crate::peers::{Setup, Talk};
use crate::{Read, Trace};

fn is_tls13(suite: &SupportedCipherSuite) -> bool {
    suite.tls13().is_some()
}

/// A suite of each version.
fn one_of_each() -> [SupportedCipherSuite; 2] {
    let first = |wanted: bool| {
        let mut suites = ALL_CIPHER_SUITES.iter();
        *suites.find(|suite| is_tls13(suite) == wanted).unwrap()
    };
    [first(true), first(false)]
}

#[test]
fn every_suite_is_read() {
    for suite in ALL_CIPHER_SUITES {
        let name = format!("{:?}", suite.suite());
        let setup = Setup {
            suites: vec![*suite],
            is_rsa: name.contains("ECDHE_RSA"),
            ..Setup::default()
        };
        let mut talk = setup.peers().connect();
        talk.chat();
        let trace = talk.end();
        trace.check(&name);
        let read = trace.read(&trace.keys());
        let expected = if is_tls13(suite) {
            TlsVersion::Tls13
        } else {
            TlsVersion::Tls12
        };
        assert_eq!(read.stream.version(), Some(expected));
        let told = read.stream.suite().unwrap();
        assert_eq!(
            told.replace("TLS_", ""),
            name.replace("TLS13_", "").replace("TLS_", "")
        );
        assert_eq!(read.stream.alpn(), Some(&b"http/1.1"[..]));
        assert_eq!(read.stream.server_name(), Some("host-0.bench.example"));
    }
}

/// Handshakes of several shapes, in both versions.
fn check_setup(name: &str, setup: impl Fn() -> Setup) {
    for suite in one_of_each() {
        let setup = Setup {
            suites: vec![suite],
            ..setup()
        };
        let mut talk = setup.peers().connect();
        talk.chat();
        talk.end().check(&format!("{name}: {:?}", suite.suite()));
    }
}

#[test]
fn handshakes_of_all_shapes_are_read() {
    check_setup("small records", || Setup {
        fragment: Some(64),
        ..Setup::default()
    });
    check_setup("a certificate of several records", || Setup {
        names: 1_000,
        ..Setup::default()
    });
    check_setup("a client certificate", || Setup {
        has_client_certificate: true,
        ..Setup::default()
    });
    check_setup("another hello", || Setup {
        server_groups: vec![kx_group::SECP384R1],
        ..Setup::default()
    });
}

#[test]
fn resumed_sessions_are_read() {
    for suite in one_of_each() {
        for has_tickets in [false, true] {
            let setup = Setup {
                suites: vec![suite],
                has_tickets,
                ..Setup::default()
            };
            let peers = setup.peers();
            for expected in [HandshakeKind::Full, HandshakeKind::Resumed] {
                let mut talk = peers.connect();
                talk.chat();
                assert_eq!(talk.client.handshake_kind(), Some(expected));
                let name = format!("{:?}, tickets: {has_tickets}", suite.suite());
                talk.end().check(&name);
            }
        }
    }
}

#[test]
fn updates_of_keys_are_read() {
    for suite in ALL_CIPHER_SUITES.iter().filter(|suite| is_tls13(suite)) {
        let setup = Setup {
            suites: vec![*suite],
            ..Setup::default()
        };
        let mut talk = setup.peers().connect();
        talk.chat();
        talk.client.refresh_traffic_keys().unwrap();
        talk.chat();
        talk.server.refresh_traffic_keys().unwrap();
        talk.server.refresh_traffic_keys().unwrap();
        talk.chat();
        talk.end().check("updated keys");
    }
}

/// A connection with early data behind one without; the server of the second may be another. What was
/// refused comes with it.
fn early(change: impl Fn(&mut rustls::ServerConfig), is_taken: bool) -> (Trace, Vec<u8>) {
    let setup = Setup {
        suites: vec![one_of_each()[0]],
        early_bytes: 10_000,
        ..Setup::default()
    };
    let mut peers = setup.peers();
    let mut talk = peers.connect();
    talk.chat();
    talk.end().check("the connection before");
    change(&mut peers.server);
    let mut talk: Talk = peers.connect();
    talk.say_early(&[b'e'; 700], is_taken);
    talk.chat();
    let refused = talk.refused.clone();
    (talk.end(), refused)
}

#[test]
fn early_data_are_read() {
    let (trace, _) = early(|_| {}, true);
    trace.check("early data");
    let log: String = trace
        .log
        .lines()
        .filter(|line| !line.starts_with("CLIENT_EARLY"))
        .flat_map(|line| [line, "\n"])
        .collect();
    let mut keys = KeyLog::new();
    keys.read(log.as_bytes());
    let read = trace.read(&keys);
    assert!(
        matches!(read.errors[..], [TlsError::EarlyData(_)]),
        "{:?}",
        read.errors
    );
    assert_eq!(read.out[0], trace.sent[0][700..]);
    assert_eq!(read.out[1], trace.sent[1]);
    assert!(read.stream.counts(Side::Client).early_bytes_skipped > 700);
}

#[test]
fn early_data_of_which_the_server_says_nothing_are_given() {
    let (trace, _) = early(|_| {}, true);
    let keys = trace.keys();
    let (client, server) = (trace.of(Side::Client), trace.of(Side::Server));
    let mut read = Read::new();
    // The server's hello, and nothing of what it encrypts.
    let hello = 5 + usize::from(u16::from_be_bytes([server[3], server[4]]));
    read.feed(Side::Server, &server[..hello], &keys);
    read.feed(Side::Client, &client, &keys);
    assert!(read.out[0].is_empty());
    let told = read.stream.waits_for(Side::Client, &keys);
    assert_eq!(told, Some(TlsError::NoVerdict));
    assert_eq!(read.errors, []);
    // Behind a gap the server cannot say it any more.
    read.stream
        .lost(Side::Server, (server.len() - hello) as u64);
    read.feed(Side::Server, &[], &keys);
    assert!(matches!(read.errors[..], [TlsError::Gap { .. }]));
    read.feed(Side::Client, &[], &keys);
    assert_eq!(read.out[0], trace.sent[0]);
    // Nor is it waited for longer than there is room.
    let mut read = Read::new();
    read.feed(Side::Server, &server[..hello], &keys);
    read.feed(Side::Client, &client, &keys);
    read.feed(Side::Client, &[23, 3, 3, 0x40, 0], &keys);
    read.feed(Side::Client, &vec![0; 200_000], &keys);
    read.feed(Side::Client, &[], &keys);
    assert!(read.out[0].starts_with(&trace.sent[0]));
}

#[test]
fn early_data_that_are_refused_are_not_given() {
    let (trace, refused) = early(|server| server.max_early_data_size = 0, false);
    assert_eq!(refused.len(), 700);
    trace.check("refused early data");
    let read = trace.read(&trace.keys());
    assert!(read.stream.counts(Side::Client).early_bytes_skipped > 700);
    let (trace, _) = early(
        |server| {
            let mut provider = (**server.crypto_provider()).clone();
            provider.kx_groups = vec![kx_group::SECP384R1];
            let other = rustls::ServerConfig::builder_with_provider(Arc::new(provider))
                .with_safe_default_protocol_versions()
                .unwrap()
                .with_no_client_auth()
                .with_cert_resolver(server.cert_resolver.clone());
            let before = std::mem::replace(server, other);
            server.session_storage = before.session_storage;
            server.alpn_protocols = before.alpn_protocols;
            server.max_early_data_size = before.max_early_data_size;
        },
        false,
    );
    trace.check("early data before another hello");
    let read = trace.read(&trace.keys());
    assert!(read.stream.counts(Side::Client).early_bytes_skipped > 700);
}

#[test]
fn secrets_that_come_late_open_what_waits() {
    for suite in one_of_each() {
        let setup = Setup {
            suites: vec![suite],
            ..Setup::default()
        };
        let mut talk = setup.peers().connect();
        talk.chat();
        let trace = talk.end();
        let mut keys = KeyLog::new();
        let mut read = trace.read(&keys);
        assert_eq!(read.out, [const { Vec::<u8>::new() }; 2]);
        for side in [Side::Client, Side::Server] {
            let told = read.stream.waits_for(side, &keys);
            assert!(matches!(told, Some(TlsError::NoSecrets(_))), "{told:?}");
        }
        keys.read(trace.log.as_bytes());
        read.settle(&keys);
        trace.check_read("late secrets", &read);
    }
}

/// Whether `part` is made of `whole` by leaving pieces out.
fn is_subsequence(part: &[u8], whole: &[u8]) -> bool {
    let mut rest = whole.iter();
    part.iter().all(|byte| rest.any(|other| other == byte))
}

#[test]
fn gaps_cost_what_is_near_them() {
    for suite in ALL_CIPHER_SUITES {
        let setup = Setup {
            suites: vec![*suite],
            is_rsa: format!("{:?}", suite.suite()).contains("ECDHE_RSA"),
            ..Setup::default()
        };
        let mut talk = setup.peers().connect();
        for number in 0..300_u16 {
            talk.say(
                Side::Client,
                format!("GET /{number} HTTP/1.1\r\n\r\n").as_bytes(),
            );
            let body = "x".repeat(usize::from(number) * 7 % 2000);
            talk.say(Side::Server, format!("<{number}:{body}>").as_bytes());
        }
        let trace = talk.end();
        let keys = trace.keys();
        let mut random = fastrand::Rng::with_seed(11);
        for _ in 0..30 {
            let mut read = Read::new();
            let server = trace.of(Side::Server);
            read.feed(Side::Client, &trace.of(Side::Client), &keys);
            let from = random.usize(200..server.len() - 4000);
            let bytes = random.usize(1..2500);
            read.feed(Side::Server, &server[..from], &keys);
            read.stream.lost(Side::Server, bytes as u64);
            read.feed(Side::Server, &server[from + bytes..], &keys);
            read.settle(&keys);
            assert_eq!(read.out[0], trace.sent[0]);
            assert!(is_subsequence(&read.out[1], &trace.sent[1]));
            let lost = trace.sent[1].len() - read.out[1].len();
            assert!(
                lost <= bytes + 4100,
                "{:?}: {lost} of {bytes} at {from}: {:?}",
                suite.suite(),
                read.errors
            );
        }
    }
}

#[test]
fn mutated_records_give_nothing_new() {
    let mut random = fastrand::Rng::with_seed(5);
    for suite in one_of_each() {
        let setup = Setup {
            suites: vec![suite],
            ..Setup::default()
        };
        let mut talk = setup.peers().connect();
        talk.chat();
        let trace = talk.end();
        let keys = trace.keys();
        for _ in 0..60 {
            let mut sides = [trace.of(Side::Client), trace.of(Side::Server)];
            for _ in 0..random.usize(1..6) {
                let side = &mut sides[random.usize(..2)];
                let at = random.usize(..side.len());
                match random.u8(..3) {
                    0 => side[at] ^= 1 << random.u8(..8),
                    1 => drop(side.drain(at..(at + random.usize(..900)).min(side.len()))),
                    _ => {
                        let copy = side[at..(at + 700).min(side.len())].to_vec();
                        side.splice(at..at, copy);
                    }
                }
            }
            let mut read = Read::new();
            for (side, bytes) in [Side::Client, Side::Server].into_iter().zip(&sides) {
                read.feed(side, bytes, &keys);
            }
            read.settle(&keys);
            for (out, sent) in read.out.iter().zip(&trace.sent) {
                assert!(is_subsequence(out, sent));
            }
        }
    }
}

/// What decryption costs: `cargo test --release -p isukit-analyze --test tls -- --ignored --nocapture`.
#[test]
#[ignore = "a measurement"]
fn speed() {
    for suite in ALL_CIPHER_SUITES {
        let setup = Setup {
            suites: vec![*suite],
            is_rsa: format!("{:?}", suite.suite()).contains("ECDHE_RSA"),
            ..Setup::default()
        };
        let mut talk = setup.peers().connect();
        for _ in 0..400 {
            talk.say(Side::Server, &[b'x'; 60_000]);
        }
        let trace = talk.end();
        let keys = trace.keys();
        let server = trace.of(Side::Server);
        let mut read = Read::new();
        read.feed(Side::Client, &trace.of(Side::Client), &keys);
        let mut out = Vec::new();
        let mut total = 0;
        let start = std::time::Instant::now();
        for piece in server.chunks(1448) {
            out.clear();
            read.stream
                .feed(Side::Server, piece, &keys, &mut out)
                .unwrap();
            total += out.len();
        }
        let seconds = start.elapsed().as_secs_f64();
        assert_eq!(total, trace.sent[1].len());
        let speed = server.len() as f64 / seconds / 1e6;
        std::io::Write::write_fmt(
            &mut std::io::stderr(),
            format_args!("{:?}: {speed:.0} MB/s\n", suite.suite()),
        )
        .unwrap();
    }
}
