//! HTTPS: whom to trust, how connections end, large bodies, and targets that misbehave in TLS.

// Failing here is failing a test.
#![allow(clippy::unwrap_used)]

mod support;

use std::net::TcpStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned, SupportedProtocolVersion};
use serde_json::Value;
use support::{
    Conn, MARGIN, Target, Wire, always, check_sums, count, kinds, listener, reply, run, samples,
};

/// A CA of our own, and a certificate it gave to `isu.test` and 127.0.0.1.
struct Pki {
    folder: tempfile::TempDir,
    certificate: CertificateDer<'static>,
    key: Vec<u8>,
}

impl Pki {
    fn new() -> Self {
        let ca_key = KeyPair::generate().unwrap();
        let mut ca = CertificateParams::new(Vec::new()).unwrap();
        // A name of its own, or its certificates would seem to come from the other tests' CAs.
        let name = format!("CA {}", fastrand::u64(..));
        ca.distinguished_name.push(DnType::CommonName, name);
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let folder = tempfile::tempdir().unwrap();
        let pem = ca.self_signed(&ca_key).unwrap().pem();
        std::fs::write(folder.path().join("ca.pem"), pem).unwrap();
        let key = KeyPair::generate().unwrap();
        let names = vec!["isu.test".to_owned(), "127.0.0.1".to_owned()];
        let certificate = CertificateParams::new(names)
            .unwrap()
            .signed_by(&key, &Issuer::new(ca, ca_key))
            .unwrap();
        Self {
            folder,
            certificate: certificate.der().clone(),
            key: key.serialize_der(),
        }
    }

    /// A certificate that signs itself and calls itself a CA, as `openssl req -x509` makes them.
    fn self_signed() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut own = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        own.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = own.self_signed(&key).unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("ca.pem"), certificate.pem()).unwrap();
        Self {
            folder,
            certificate: certificate.der().clone(),
            key: key.serialize_der(),
        }
    }

    fn ca(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    fn config(&self, versions: &[&'static SupportedProtocolVersion]) -> Arc<ServerConfig> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let key = PrivateKeyDer::try_from(self.key.clone()).unwrap();
        let config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![self.certificate.clone()], key)
            .unwrap();
        Arc::new(config)
    }

    /// A TLS target.
    fn serve(&self, talk: impl Fn(&mut Conn) -> Option<()> + Send + Sync + 'static) -> Target {
        self.serve_with(rustls::ALL_VERSIONS, talk)
    }

    fn serve_with(
        &self,
        versions: &[&'static SupportedProtocolVersion],
        talk: impl Fn(&mut Conn) -> Option<()> + Send + Sync + 'static,
    ) -> Target {
        let config = self.config(versions);
        Target::raw(listener("127.0.0.1:0"), move |stream, number| {
            let _ = stream.set_nodelay(true);
            let session = ServerConnection::new(Arc::clone(&config)).unwrap();
            let wire = TlsWire(StreamOwned::new(session, stream));
            let _ = talk(&mut Conn::new(Box::new(wire), number));
        })
    }
}

struct TlsWire(StreamOwned<ServerConnection, TcpStream>);

impl std::io::Read for TlsWire {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.0.read(buffer)
    }
}

impl std::io::Write for TlsWire {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.0.flush()
    }
}

impl Wire for TlsWire {
    /// Say the closing alert; without this, dropping the stream cuts it.
    fn end(&mut self) {
        self.0.conn.send_close_notify();
        let _ = std::io::Write::flush(&mut self.0);
    }
}

fn url(target: &Target) -> String {
    format!("https://{}/", target.address)
}

/// A brief run of 20 requests, which must end in time.
#[track_caller]
fn brief(target: &Target, args: &[&str]) -> (i32, Value) {
    let url = url(target);
    let mut all = vec![
        url.as_str(),
        "--connections",
        "4",
        "--rate",
        "50",
        "--duration",
        "400ms",
    ];
    all.extend(["--drain", "1s"]);
    all.extend(args);
    let ran = run(&all);
    assert!(ran.took < Duration::from_millis(1_400) + MARGIN, "{ran:?}");
    let report = ran.report();
    check_sums(&report);
    let requests = count(&report, "/requests");
    assert_eq!(requests + count(&report, "/dropped"), 20, "{report:#}");
    assert!(requests >= 12, "{report:#}");
    (ran.code, report)
}

#[track_caller]
fn clean(target: &Target, args: &[&str]) -> Value {
    let (code, report) = brief(target, args);
    let texts: Vec<_> = kinds(&report)
        .iter()
        .map(|(kind, _)| samples(&report, kind))
        .collect();
    assert_eq!((code, kinds(&report)), (0, vec![]), "{args:?}: {texts:?}");
    report
}

#[track_caller]
fn refused(target: &Target, args: &[&str], kind: &str, text: &str) {
    let (code, report) = brief(target, args);
    assert_eq!(
        (code, kinds(&report)),
        (1, vec![(kind.to_owned(), count(&report, "/requests"))]),
        "{args:?}"
    );
    let texts = samples(&report, kind);
    assert!(texts[0].contains(text), "{args:?}: {texts:?}");
}

#[test]
fn certificates_are_checked_against_the_name_and_the_ca() {
    let (pki, other) = (Pki::new(), Pki::new());
    let target = pki.serve(always(reply("200 OK", "", "secret")));
    let (ca, other) = (pki.ca(), other.ca());
    let (ca, other) = (ca.to_str().unwrap(), other.to_str().unwrap());
    clean(&target, &["--cacert", ca]);
    clean(&target, &["--cacert", ca, "--server-name", "isu.test"]);
    clean(&target, &["--insecure"]);
    clean(&target, &["--insecure", "--server-name", "elsewhere.test"]);
    refused(&target, &["--cacert", other], "tls", "UnknownIssuer");
    refused(
        &target,
        &["--cacert", ca, "--server-name", "elsewhere.test"],
        "tls",
        "not valid for name",
    );
    let rule = format!("isu.test:443:127.0.0.1:{}", target.address.port());
    let args = [
        "https://isu.test/",
        "--connect-to",
        &rule,
        "--cacert",
        ca,
        "--duration",
        "200ms",
    ];
    let report = run(&args).report();
    assert_eq!(
        (kinds(&report), report["passed"].as_bool()),
        (vec![], Some(true))
    );
}

#[test]
fn both_versions_are_spoken_and_connections_are_used_again() {
    let pki = Pki::new();
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let target = pki.serve_with(&[version], always(reply("200 OK", "", "body")));
        let report = clean(&target, &["--insecure"]);
        let opened = count(&report, "/generator/connections_opened");
        assert!(opened <= 4, "{version:?}: {opened} connections");
        assert_eq!(target.accepted() as u64, opened);
        let url = url(&target);
        let args = [&url, "-k", "--connections", "5", "--duration", "500ms"];
        let report = run(&args).report();
        check_sums(&report);
        assert_eq!(
            (
                kinds(&report),
                count(&report, "/generator/connections_opened")
            ),
            (vec![], 5)
        );
        assert!(count(&report, "/requests") > 50, "{report:#}");
    }
}

#[test]
fn a_stream_may_end_without_its_alert_only_where_nothing_is_missing() {
    let pki = Pki::new();
    let target = pki.serve(|conn| {
        conn.request()?;
        conn.say(reply("200 OK", "", "whole"))
    });
    // Each connection is closed behind its reply, which says nothing of it: an idle one may be
    // found closed, but no reply is cut.
    let (_, report) = brief(&target, &["--insecure"]);
    let seen = kinds(&report);
    assert!(
        seen.iter().all(|(kind, _)| kind == "closed-before-reply"),
        "{seen:?}"
    );

    let target = pki.serve(|conn| {
        conn.request()?;
        conn.say(reply("200 OK", "Connection: close\r\n", "whole"))
    });
    clean(&target, &["--insecure"]);
    let until_close = |alert: bool| {
        pki.serve(move |conn| {
            conn.request()?;
            conn.say("HTTP/1.1 200 OK\r\n\r\nhow long?")?;
            if alert {
                conn.wire.end();
            }
            Some(())
        })
    };
    clean(
        &until_close(true),
        &["--insecure", "--check", "http.body_bytes == 9"],
    );
    refused(
        &until_close(false),
        &["--insecure"],
        "closed-within-reply",
        "closing alert",
    );
    let target = pki.serve(|conn| {
        conn.request()?;
        conn.say("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhow")?;
        conn.wire.end();
        Some(())
    });
    refused(
        &target,
        &["--insecure"],
        "closed-within-reply",
        "after 3 bytes",
    );
}

#[test]
fn large_bodies_go_both_ways_over_tls() {
    let pki = Pki::new();
    let path = pki.folder.path().join("body");
    let body: Vec<u8> = (0..3_000_000_u32).map(|n| (n % 251) as u8).collect();
    std::fs::write(&path, &body).unwrap();
    let broken = Arc::new(AtomicUsize::new(0));
    let bad = Arc::clone(&broken);
    let target = pki.serve(move |conn| {
        loop {
            let asked = conn.request()?;
            bad.fetch_add(usize::from(asked.body != body), Ordering::SeqCst);
            // A pause lets the sender fill every buffer.
            std::thread::sleep(Duration::from_millis(5));
            conn.say(reply("200 OK", "", asked.body))?;
        }
    });
    let (url, file) = (url(&target), format!("@{}", path.display()));
    for wait in ["X-Waits: no", "Expect: 100-continue"] {
        let ran = run(&[
            &url,
            "-k",
            "--body",
            &file,
            "-H",
            wait,
            "--connections",
            "2",
            "--duration",
            "1s",
            "--drain",
            "8s",
            "--timeout",
            "8s",
            "--check",
            "http.body_bytes == 3000000",
        ]);
        let report = ran.report();
        check_sums(&report);
        assert_eq!(
            (kinds(&report), ran.code),
            (vec![], 0),
            "{wait}: {report:#}"
        );
        assert!(count(&report, "/requests") >= 2);
    }
    assert_eq!(broken.load(Ordering::SeqCst), 0, "bodies arrived changed");
}

#[test]
fn an_endless_body_keeps_no_thread_from_its_timers() {
    let pki = Pki::new();
    let much = vec![b'x'; 1 << 20];
    let endless = move |conn: &mut Conn| {
        conn.request()?;
        conn.say("HTTP/1.1 200 OK\r\nContent-Length: 1000000000000\r\n\r\n")?;
        loop {
            conn.say(&much)?;
        }
    };
    let (over_tls, plain) = (pki.serve(endless.clone()), Target::start(endless));
    for url in [url(&over_tls), plain.url()] {
        let args = [
            &url,
            "-k",
            "--max-body",
            "2000G",
            "--connections",
            "1",
            "--duration",
            "500ms",
        ];
        let ran = run(&[&args[..], &["--timeout", "300ms"]].concat());
        assert!(
            ran.took < Duration::from_millis(800) + MARGIN,
            "{url}: {:?}",
            ran.took
        );
        let report = ran.report();
        assert!(
            kinds(&report).iter().all(|(kind, _)| kind == "timeout"),
            "{:?}",
            kinds(&report)
        );
        let slowest = report["latency_ms"]["max"].as_f64().unwrap();
        assert!(
            (300.0..900.0).contains(&slowest),
            "{url}: timed out after {slowest} ms"
        );
    }
}

#[test]
fn targets_that_speak_no_tls_are_told_apart() {
    let silent = Target::start(|conn| conn.until_closed());
    refused(
        &silent,
        &["-k", "--connect-timeout", "50ms"],
        "connect-timeout",
        "50ms",
    );
    let closes = Target::start(|_| Some(()));
    refused(&closes, &["-k"], "tls", "");
    let http = Target::start(|conn| {
        conn.say("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")?;
        conn.until_closed()
    });
    refused(&http, &["-k"], "tls", "corrupt message");
    let alert = Target::start(|conn| {
        conn.say(b"\x15\x03\x03\x00\x02\x02\x28")?;
        conn.until_closed()
    });
    refused(&alert, &["-k"], "tls", "HandshakeFailure");
}

#[test]
fn a_self_signed_certificate_is_trusted_by_who_names_it() {
    let pki = Pki::self_signed();
    let other = Pki::self_signed();
    let target = pki.serve(always(reply("200 OK", "", "ok")));
    let (own, others) = (pki.ca(), other.ca());
    let (code, report) = brief(&target, &["--cacert", own.to_str().unwrap()]);
    assert_eq!((code, count(&report, "/errors")), (0, 0), "{report:#}");
    let (code, report) = brief(&target, &["--cacert", others.to_str().unwrap()]);
    assert_eq!(code, 1, "{report:#}");
    assert_eq!(count(&report, "/errors"), count(&report, "/requests"));
    let (_, report) = brief(
        &target,
        &[
            "--cacert",
            own.to_str().unwrap(),
            "--server-name",
            "other.test",
        ],
    );
    assert!(
        samples(&report, "tls")
            .iter()
            .any(|sample| sample.contains("not valid for name")),
        "{report:#}"
    );
}
