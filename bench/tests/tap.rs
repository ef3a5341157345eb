//! `isukit tap`: what passes is forwarded as it is, and streams pass piece by piece.

// Failing here is failing a test.
#![allow(clippy::unwrap_used)]

mod support;

use std::io::{Read, Write};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use support::tap::{OK, PATIENCE, Tap, expect, head};
use support::{Conn, Target, finish, isukit, listener, reply, spawn};

/// A target that reads exactly this, keeps it, and answers with that.
fn recorder(read: usize, answer: Vec<u8>, closes: bool) -> (Target, mpsc::Receiver<Vec<u8>>) {
    let (sender, receiver) = mpsc::channel();
    let sender = Mutex::new(sender);
    let target = Target::raw(listener("127.0.0.1:0"), move |mut stream, _| {
        let mut bytes = vec![0; read];
        if stream.read_exact(&mut bytes).is_err() {
            return;
        }
        let _ = sender.lock().unwrap().send(bytes);
        let _ = stream.write_all(&answer);
        if !closes {
            let mut rest = Vec::new();
            let _ = stream.read_to_end(&mut rest);
        }
    });
    (target, receiver)
}

/// What the client sends is what the target gets, byte by byte, and the other way round. `answered` is
/// what the client gets where it is not what the target sent.
#[track_caller]
fn check_same(request: &str, answer: &str, answered: Option<&str>) {
    let closes = answered.is_some();
    let (target, recorded) = recorder(request.len(), answer.as_bytes().to_vec(), closes);
    let tap = Tap::start(&target.address.to_string(), &["--quiet"]);
    let mut client = tap.connect();
    client.write_all(request.as_bytes()).unwrap();
    expect(&mut client, answered.unwrap_or(answer).as_bytes());
    let got = recorded.recv_timeout(PATIENCE).unwrap();
    assert_eq!(String::from_utf8_lossy(&got), request);
    // And nothing behind it.
    client
        .set_read_timeout(Some(Duration::from_millis(50)))
        .unwrap();
    assert!(matches!(client.read(&mut [0]), Ok(0) | Err(_)), "{answer}");
    drop(client);
    // Nor does it seem to whoever looks that something was missing.
    let ran = tap.end();
    assert!(ran.stderr.contains("1 exchanges"), "{ran:?}");
    assert!(!ran.stderr.contains(" cut"), "{request}{answer}: {ran:?}");
}

#[test]
fn requests_pass_as_they_are() {
    for request in [
        "GET / HTTP/1.1\r\nHost: app.example\r\n\r\n",
        "GET /a%20b/%7Eann?x=1&y=%00 HTTP/1.1\r\nHost: h\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: h\r\nX-CASE: 1\r\nx-lower: 2\r\nACCEPT: */*\r\nCookie: a=b; c=d\r\nX-Last: 3\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: h\r\nX-Twice: 1\r\nX-twice: 2\r\n\r\n",
        "GET http://other.example/absolute HTTP/1.1\r\nHost: other.example\r\n\r\n",
        "OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n",
        "PURGE /x HTTP/1.1\r\nHost: h\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello",
        "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n",
        "DELETE / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc",
        "GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc",
        "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: h\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nx-sum: 1\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: h\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\n\x1f\x0b\x08",
    ] {
        check_same(request, OK, None);
    }
}

#[test]
fn replies_pass_as_they_are() {
    let get = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";
    for answer in [
        OK,
        "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 299 Very Fine Indeed\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 404 Not Found\r\nDATE: then\r\nserver: x\r\nX-CASE: 1\r\nSet-Cookie: a=1\r\nset-cookie: b=2\r\nContent-Length: 1\r\n\r\nx",
        "HTTP/1.1 204 No Content\r\nX: 1\r\n\r\n",
        "HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\n\x1f\x0b\x08",
        "HTTP/1.1 302 Found\r\nLocation: http://other.example/\r\nContent-Length: 0\r\n\r\n",
    ] {
        check_same(get, answer, None);
    }
    check_same(
        "HEAD / HTTP/1.1\r\nHost: h\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1234\r\n\r\n",
        None,
    );
    check_same(
        "GET / HTTP/1.1\r\nHost: h\r\nTE: trailers\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTrailer: x-sum\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nx-sum: 1\r\n\r\n",
        None,
    );
}

#[test]
fn what_is_of_one_connection_stays_there() {
    let check = |request: &str, forwarded: &str, answer: &str, answered: &str| {
        let (target, recorded) = recorder(forwarded.len(), answer.as_bytes().to_vec(), true);
        let tap = Tap::start(&target.address.to_string(), &["--quiet"]);
        let mut client = tap.connect();
        client.write_all(request.as_bytes()).unwrap();
        expect(&mut client, answered.as_bytes());
        let got = recorded.recv_timeout(PATIENCE).unwrap();
        assert_eq!(String::from_utf8_lossy(&got), forwarded);
    };
    check(
        "GET / HTTP/1.1\r\nHost: h\r\nConnection: keep-alive, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: 5\r\nX: 1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: h\r\nX: 1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
        OK,
    );
    // A body that ends with its connection goes on in chunks, so that the client's stays open.
    check(
        "GET / HTTP/1.1\r\nHost: h\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: h\r\n\r\n",
        "HTTP/1.1 200 OK\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    );
}

#[test]
fn the_host_is_rewritten_only_when_asked() {
    let (target, recorded) = recorder(30, OK.into(), true);
    let tap = Tap::start(&target.url(), &["--rewrite-host"]);
    let mut client = tap.connect();
    client
        .write_all(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        .unwrap();
    let got = String::from_utf8(recorded.recv_timeout(PATIENCE).unwrap()).unwrap();
    assert!(got.starts_with("GET / HTTP/1.1\r\nHost: 127.0"), "{got}");
}

#[test]
fn streams_pass_piece_by_piece() {
    // The target sends a piece only once the client has seen the one before.
    let (seen, wait) = mpsc::channel::<()>();
    let wait = Mutex::new(wait);
    let target = Target::start(move |conn: &mut Conn| {
        conn.head()?;
        conn.say("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")?;
        for piece in 0..5 {
            wait.lock().unwrap().recv_timeout(PATIENCE).ok()?;
            conn.say(format!("9\r\ndata: {piece}\n\n\r\n"))?;
        }
        conn.say("0\r\n\r\n")
    });
    let tap = Tap::start(&target.url(), &["--quiet"]);
    let mut client = tap.connect();
    client
        .write_all(b"GET /events HTTP/1.1\r\nHost: h\r\n\r\n")
        .unwrap();
    assert!(head(&mut client).starts_with("HTTP/1.1 200 OK"));
    for piece in 0..5 {
        seen.send(()).unwrap();
        expect(
            &mut client,
            format!("9\r\ndata: {piece}\n\n\r\n").as_bytes(),
        );
    }
    expect(&mut client, b"0\r\n\r\n");
}

#[test]
fn bodies_of_requests_pass_piece_by_piece() {
    let (sender, receiver) = mpsc::channel();
    let sender = Mutex::new(sender);
    let target = Target::start(move |conn: &mut Conn| {
        conn.head()?;
        for _ in 0..3 {
            let piece = conn.body(8)?;
            sender.lock().unwrap().send(piece).unwrap();
        }
        conn.body(5)?;
        conn.say(OK)
    });
    let tap = Tap::start(&target.url(), &["--quiet"]);
    let mut client = tap.connect();
    client
        .write_all(b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n")
        .unwrap();
    for piece in ["3\r\none\r\n", "3\r\ntwo\r\n", "3\r\nsix\r\n"] {
        client.write_all(piece.as_bytes()).unwrap();
        let got = receiver.recv_timeout(PATIENCE).unwrap();
        assert_eq!(String::from_utf8(got).unwrap(), piece);
    }
    client.write_all(b"0\r\n\r\n").unwrap();
    expect(&mut client, OK.as_bytes());
}

#[test]
fn the_target_decides_whether_a_body_may_be_sent() {
    let request =
        b"POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n";
    // It says yes: only then does the client hear it.
    let asked = Arc::new(AtomicBool::new(false));
    let said = Arc::clone(&asked);
    let target = Target::start(move |conn: &mut Conn| {
        let head = conn.head()?;
        assert!(head.contains("Expect: 100-continue\r\n"), "{head}");
        thread::sleep(Duration::from_millis(100));
        said.store(true, Ordering::SeqCst);
        conn.say("HTTP/1.1 100 Continue\r\n\r\n")?;
        assert_eq!(conn.body(5)?, b"hello");
        conn.say(OK)
    });
    let tap = Tap::start(&target.url(), &["--quiet"]);
    let mut client = tap.connect();
    client.write_all(request).unwrap();
    expect(&mut client, b"HTTP/1.1 100 Continue\r\n\r\n");
    assert!(asked.load(Ordering::SeqCst));
    client.write_all(b"hello").unwrap();
    expect(&mut client, OK.as_bytes());

    // It says no.
    let target = Target::start(|conn: &mut Conn| {
        conn.head()?;
        conn.say(reply("417 Expectation Failed", "", ""))
    });
    let tap = Tap::start(&target.url(), &["--quiet"]);
    let mut client = tap.connect();
    client.write_all(request).unwrap();
    assert!(head(&mut client).starts_with("HTTP/1.1 417 "));
}

#[test]
fn large_bodies_pass_whole_and_are_looked_at_in_part() {
    const BYTES: usize = 24 << 20;
    let target = Target::start(|conn: &mut Conn| {
        let asked = conn.request()?;
        conn.say(reply("200 OK", "Content-Type: text/plain\r\n", asked.body))
    });
    let tap = Tap::start(&target.url(), &["--format", "json", "--body-limit", "1000"]);
    let mut client = tap.connect();
    let body: Vec<u8> = (0..BYTES).map(|at| b'a' + (at % 23) as u8).collect();
    let sent = body.clone();
    let mut writer = client.try_clone().unwrap();
    let sending = thread::spawn(move || {
        write!(
            writer,
            "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: {BYTES}\r\n\r\n"
        )
        .unwrap();
        writer.write_all(&sent).unwrap();
    });
    head(&mut client);
    let mut got = vec![0; BYTES];
    client.read_exact(&mut got).unwrap();
    sending.join().unwrap();
    assert!(got == body, "the body changed on its way");
    drop(client);
    let ran = tap.end();
    let line: Value = serde_json::from_str(
        ran.stdout
            .lines()
            .find(|line| line.contains("\"response\""))
            .unwrap(),
    )
    .unwrap();
    assert_eq!(line["wire_bytes"], 1000, "{line}");
    assert_eq!(line["lost_bytes"], BYTES - 1000, "{line}");
}

#[test]
fn a_client_that_does_not_read_holds_the_target_back() {
    // The target counts what it gets rid of while the client reads nothing.
    let written = Arc::new(Mutex::new(0_usize));
    let counts = Arc::clone(&written);
    let target = Target::start(move |conn: &mut Conn| {
        conn.head()?;
        conn.say("HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")?;
        loop {
            conn.say(vec![b'x'; 100_000])?;
            *counts.lock().unwrap() += 100_000;
        }
    });
    let tap = Tap::start(&target.url(), &["--quiet"]);
    let mut client = tap.connect();
    client
        .write_all(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        .unwrap();
    head(&mut client);
    let mut before = usize::MAX;
    let began = Instant::now();
    // It stops getting rid of anything.
    loop {
        thread::sleep(Duration::from_millis(300));
        let now = *written.lock().unwrap();
        if now == before {
            break;
        }
        before = now;
        assert!(began.elapsed() < PATIENCE, "{now} bytes and no end");
    }
    assert!(before < 64 << 20, "{before} bytes wait somewhere");
    let status =
        std::fs::read_to_string(format!("/proc/{}/status", tap.process.child.id())).unwrap();
    let peak = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .and_then(|rest| rest.trim().trim_end_matches(" kB").parse::<u64>().ok())
        .unwrap();
    assert!(peak < 100_000, "{peak} kB");
}

#[test]
fn upgraded_connections_pass_as_they_are() {
    let target = Target::start(|conn: &mut Conn| {
        let head = conn.head()?;
        assert!(head.contains("Connection: Upgrade\r\n"), "{head}");
        assert!(head.contains("Upgrade: websocket\r\n"), "{head}");
        conn.say(
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
        )?;
        conn.say(b"\x81\x05hello")?;
        let frame = conn.body(4)?;
        conn.say(frame)?;
        conn.until_closed()
    });
    let tap = Tap::start(&target.url(), &["--quiet"]);
    let mut client = tap.connect();
    client
        .write_all(
            b"GET /ws HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
        )
        .unwrap();
    let answer = head(&mut client);
    assert_eq!(
        answer,
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    );
    expect(&mut client, b"\x81\x05hello");
    client.write_all(b"\xff\x00\x01\x02").unwrap();
    expect(&mut client, b"\xff\x00\x01\x02");
    drop(client);
    let ran = tap.end();
    assert!(ran.stderr.contains("1 upgraded"), "{ran:?}");
}

#[test]
fn pipelined_requests_are_answered_in_their_order() {
    let target = Target::start(|conn: &mut Conn| {
        loop {
            let asked = conn.request()?;
            let path = asked.head.split(' ').nth(1)?.to_owned();
            conn.say(reply("200 OK", "", path))?;
        }
    });
    let tap = Tap::start(&target.url(), &["--quiet"]);
    let mut client = tap.connect();
    let all: String = (0..50)
        .map(|number| format!("GET /{number:02} HTTP/1.1\r\nHost: h\r\n\r\n"))
        .collect();
    client.write_all(all.as_bytes()).unwrap();
    for number in 0..50 {
        assert!(head(&mut client).starts_with("HTTP/1.1 200 OK"));
        expect(&mut client, format!("/{number:02}").as_bytes());
    }
}

#[test]
fn https_targets_are_reached() {
    let folder = tempfile::tempdir().unwrap();
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = rcgen::CertificateParams::new(vec!["127.0.0.1".to_owned()])
        .unwrap()
        .self_signed(&key)
        .unwrap();
    let pem: PathBuf = folder.path().join("ca.pem");
    std::fs::write(&pem, certificate.pem()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let key = rustls::pki_types::PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .unwrap();
    let config = Arc::new(config);
    let target = Target::raw(listener("127.0.0.1:0"), move |stream, _| {
        let session = rustls::ServerConnection::new(Arc::clone(&config)).unwrap();
        let mut stream = rustls::StreamOwned::new(session, stream);
        if head(&mut stream).starts_with("GET / ") {
            let _ = stream.write_all(OK.as_bytes());
            let _ = stream.flush();
            let _ = stream.read(&mut [0]);
        }
    });
    let to = format!("https://{}", target.address);
    let pem = pem.to_str().unwrap();
    let get = b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";
    let check = |args: &[&str], part: &str| {
        let answer = String::from_utf8(Tap::start(&to, args).say(get)).unwrap();
        assert!(answer.contains(part), "{args:?}: {answer}");
    };
    check(&["--quiet", "--cacert", pem], "\r\n\r\nok");
    check(&["--quiet", "--insecure"], "\r\n\r\nok");
    // Without either nobody vouches for it.
    check(&["--quiet"], "TLS handshake with 127.0.0.1");
    let mut command = isukit();
    command.args(["call", &to, "--cacert", pem, "--format", "json"]);
    let ran = finish(spawn(command));
    assert_eq!(ran.code, 0, "{ran:?}");
    let mut command = isukit();
    command.args(["call", &to]);
    assert_eq!(finish(spawn(command)).code, 2);
}
