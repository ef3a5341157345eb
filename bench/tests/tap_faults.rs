//! `isukit tap`: nothing that one side does hurts more than its own exchange, and what passed is shown.

// Failing here is failing a test.
#![allow(clippy::unwrap_used)]

mod support;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::os::unix::fs::PermissionsExt;
use std::sync::{Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value;
use support::tap::{OK, PATIENCE, Tap, connect, expect, head};
use support::{Conn, Target, finish, isukit, listener, nobody, reply, spawn};

#[test]
fn a_dead_target_is_said_and_tried_again() {
    let (socket, address) = nobody();
    let tap = Tap::start(&address.to_string(), &["--format", "json"]);
    let mut client = tap.connect();
    let get = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n";
    for _ in 0..2 {
        client.write_all(get).unwrap();
        let answer = head(&mut client);
        assert!(
            answer.starts_with("HTTP/1.1 502 Bad Gateway\r\n"),
            "{answer}"
        );
        let length = answer
            .lines()
            .find_map(|line| {
                line.to_ascii_lowercase()
                    .strip_prefix("content-length: ")
                    .map(str::to_owned)
            })
            .unwrap();
        let mut body = vec![0; length.parse().unwrap()];
        client.read_exact(&mut body).unwrap();
        let body = String::from_utf8(body).unwrap();
        assert!(body.contains("cannot connect to 127.0.0.1"), "{body}");
    }
    // It is there now; the client's connection is still good.
    socket.listen(128).unwrap();
    let _target = Target::on(socket.into(), support::always(OK));
    client.write_all(get).unwrap();
    expect(&mut client, OK.as_bytes());
    drop(client);
    let ran = tap.end();
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.stderr.contains("2 without an answer"), "{ran:?}");
    assert!(ran.stdout.contains("cannot connect to"), "{ran:?}");
}

#[test]
fn a_connection_that_the_target_closed_meanwhile_is_no_error() {
    // Each connection answers once, says nothing of closing, and closes when it is used again.
    let (sender, receiver) = mpsc::channel();
    let sender = Mutex::new(sender);
    let target = Target::start(move |conn: &mut Conn| {
        let asked = conn.request()?;
        conn.say(OK)?;
        sender.lock().unwrap().send(asked.head).ok()?;
        // What comes on it next is read, and not answered.
        conn.head();
        None
    });
    let tap = Tap::start(&target.url(), &["--quiet"]);
    let mut client = tap.connect();
    for number in 0..4 {
        client
            .write_all(format!("GET /{number} HTTP/1.1\r\nHost: h\r\n\r\n").as_bytes())
            .unwrap();
        expect(&mut client, OK.as_bytes());
        let head = receiver.recv_timeout(PATIENCE).unwrap();
        assert!(head.starts_with(&format!("GET /{number} ")), "{head}");
    }
    // What changes something is not sent twice.
    client
        .write_all(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi")
        .unwrap();
    let answer = head(&mut client);
    assert!(answer.starts_with("HTTP/1.1 502 "), "{answer}");
    drop(client);
    let ran = tap.end();
    assert!(ran.stderr.contains("sent again"), "{ran:?}");
}

#[test]
fn a_client_that_goes_away_is_gone_for_the_target_too() {
    let check = |request: &'static [u8], answer: &'static str, said: &str| {
        let (sender, receiver) = mpsc::channel();
        let sender = Mutex::new(sender);
        let target = Target::start(move |conn: &mut Conn| {
            conn.head()?;
            conn.say(answer)?;
            sender.lock().unwrap().send("asked").ok()?;
            conn.until_closed();
            sender.lock().unwrap().send("gone").ok()
        });
        let tap = Tap::start(&target.url(), &["--quiet"]);
        let mut client = tap.connect();
        client.write_all(request).unwrap();
        assert_eq!(receiver.recv_timeout(PATIENCE), Ok("asked"));
        if !answer.is_empty() {
            head(&mut client);
        }
        drop(client);
        assert_eq!(receiver.recv_timeout(PATIENCE), Ok("gone"));
        let ran = tap.end();
        assert!(ran.stderr.contains(said), "{ran:?}");
    };
    // While it waits for a reply, in the middle of one, and in the middle of its own body.
    let given_up = "1 given up";
    check(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n", "", given_up);
    check(
        b"GET / HTTP/1.1\r\nHost: h\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nsome",
        "1 messages cut",
    );
    check(
        b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\nsome",
        "",
        given_up,
    );
}

#[test]
fn a_target_that_dies_in_a_body_does_not_seem_to_finish() {
    let target = Target::start(|conn: &mut Conn| {
        conn.request()?;
        conn.say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
    });
    let tap = Tap::start(&target.url(), &["--format", "json"]);
    let answer = tap.say("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    let answer = String::from_utf8(answer).unwrap();
    assert!(answer.ends_with("3\r\nabc\r\n"), "{answer}");
    let ran = tap.end();
    assert!(ran.stderr.contains("1 messages cut"), "{ran:?}");
    assert!(ran.stdout.contains("ends before it is complete"), "{ran:?}");
}

#[test]
fn what_is_not_http_is_refused_and_hurts_nobody() {
    let target = Target::start(support::always(OK));
    let tap = Tap::start(&target.url(), &["--quiet"]);
    for nonsense in [
        &b"\x16\x03\x01\x00\x05hello"[..],
        b"GET\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: h\r\nContent-Length: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost : h\r\n\r\n",
        b"GET / HTTP/1.1\r\nA\x00: h\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ] {
        let answer = String::from_utf8_lossy(&tap.say(nonsense)).into_owned();
        let is_refused = answer.is_empty() || answer.starts_with("HTTP/1.1 400 ");
        assert!(is_refused, "{answer}");
    }
    let mut client = tap.connect();
    client
        .write_all(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        .unwrap();
    expect(&mut client, OK.as_bytes());
    // A target that does not speak HTTP is the target's failure.
    let target = Target::start(|conn: &mut Conn| {
        conn.head()?;
        conn.say("nonsense\r\n\r\n")
    });
    let tap = Tap::start(&target.url(), &["--quiet"]);
    let mut client = tap.connect();
    client
        .write_all(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        .unwrap();
    assert!(head(&mut client).starts_with("HTTP/1.1 502 "));
}

/// The folder of the teams' messages.
fn protos() -> String {
    concat!(env!("CARGO_MANIFEST_DIR"), "/../scenarios/teams").to_owned()
}

/// A target of teams that sets a cookie: 200 for GET, 404 for what ends with 0.
fn teams() -> Target {
    Target::start(|conn: &mut Conn| {
        loop {
            let asked = conn.request()?;
            let headers =
                "Content-Type: application/x-protobuf\r\nSet-Cookie: s=verysecretvalue\r\n";
            conn.say(match asked.head.split(' ').nth(1)?.ends_with('0') {
                true => reply("404 Not Found", headers, b"\x08\x07\x12\x04none"),
                false => reply("200 OK", headers, b"\x0a\x08\x08\x07\x12\x04\x1b[1m"),
            })?;
        }
    })
}

#[test]
fn what_passes_is_shown_and_saved() {
    let folder = tempfile::tempdir().unwrap();
    let save = folder.path().join("passed.ndjson");
    let (target, protos) = (teams(), protos());
    let args = ["--proto", protos.as_str(), "--save", save.to_str().unwrap()];
    for format in ["text", "json"] {
        let tap = Tap::start(&target.url(), &[&args[..], &["--format", format]].concat());
        let mut client = tap.connect();
        for number in 1..=10 {
            let request = format!(
                "GET /api/teams/{number} HTTP/1.1\r\nHost: h\r\nCookie: s=verysecretvalue\r\n\
                 Authorization: Bearer verysecretvalue\r\n\r\n"
            );
            client.write_all(request.as_bytes()).unwrap();
            head(&mut client);
            client.read_exact(&mut [0; 8]).unwrap();
            if number < 10 {
                client.read_exact(&mut [0; 2]).unwrap();
            }
        }
        // It is there before the tap ends.
        let began = Instant::now();
        while std::fs::read_to_string(&save).unwrap().lines().count() < 10 {
            assert!(began.elapsed() < PATIENCE);
            thread::sleep(Duration::from_millis(10));
        }
        drop(client);
        let ran = tap.end();
        assert_eq!(ran.code, 0, "{ran:?}");
        let saved = std::fs::read_to_string(&save).unwrap();
        for text in [&ran.stdout, &ran.stderr, &saved] {
            assert!(!text.contains("verysecret"), "{text}");
            assert!(!text.contains('\u{1b}'), "{text}");
        }
        assert!(ran.stdout.contains("GetTeamResponse"), "{ran:?}");
        assert!(
            ran.stderr.contains("10 exchanges, 1 connections"),
            "{ran:?}"
        );
        let lines: Vec<Value> = saved
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(lines.len(), 11);
        for (at, line) in lines[..10].iter().enumerate() {
            assert_eq!(line["schema"], "isukit.decode/1");
            assert_eq!(line["exchange"], at + 1);
            assert_eq!(line["direction"], "response");
        }
        assert_eq!(lines[9]["status"], 404);
        assert_eq!(lines[10]["kind"], "summary");
        assert_eq!(lines[10]["bodies"], 10);
        let mode = save.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}

#[test]
fn only_what_is_wanted_is_shown() {
    let (target, protos) = (teams(), protos());
    let args = [
        "--proto",
        protos.as_str(),
        "--error",
        "Error",
        "--format",
        "json",
    ];
    let tap = Tap::start(
        &target.url(),
        &[
            &args[..],
            &["--where", "status >= 400 && message.code == 7"],
        ]
        .concat(),
    );
    for number in [1, 10, 2, 20] {
        let request =
            format!("GET /api/teams/{number} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
        tap.say(request);
    }
    let ran = tap.end();
    let lines: Vec<&str> = ran.stdout.lines().collect();
    assert_eq!(lines.len(), 3, "{ran:?}");
    assert!(lines[0].contains("\"type\":\"teams.v1.Error\""), "{ran:?}");
    assert!(ran.stderr.contains("2 left out by --where"), "{ran:?}");
}

#[test]
fn a_tap_that_cannot_begin_says_why() {
    let taken = listener("127.0.0.1:0");
    let taken = taken.local_addr().unwrap().to_string();
    let check = |args: &[&str], part: &str| {
        let mut command = isukit();
        command.arg("tap").args(args);
        let ran = finish(spawn(command));
        assert_eq!(ran.code, 2, "{args:?}: {ran:?}");
        assert!(ran.stderr.contains(part), "{args:?}: {ran:?}");
    };
    check(&[], "--to");
    check(&["--listen", &taken, "--to", ":1"], "cannot listen on");
    check(&["--listen", &taken, "--to", &taken], "are both");
    check(
        &["--listen", "nonsense", "--to", ":1"],
        "address and a port",
    );
    check(&["--to", "http://h.example/path"], "without a path");
    check(
        &["--to", "http://no.such.host.invalid"],
        "no.such.host.invalid",
    );
    check(&["--to", "ftp://h.example"], "not http");
    check(&["--to", ":1", "--where", "statu == 1"], "status");
    check(
        &["--to", ":1", "--save", "/no/such/folder/x"],
        "/no/such/folder",
    );
    check(&["--to", ":1", "--map", "x"], "--proto");
}

#[test]
fn the_end_waits_for_open_exchanges_but_not_for_ever() {
    // An exchange that ends in time ends well.
    let (sender, receiver) = mpsc::channel();
    let sender = Mutex::new(sender);
    let target = Target::start(move |conn: &mut Conn| {
        conn.head()?;
        sender.lock().unwrap().send(()).ok()?;
        thread::sleep(Duration::from_millis(300));
        conn.say(OK)?;
        conn.until_closed()
    });
    let tap = Tap::start(&target.url(), &["--quiet"]);
    let mut client = tap.connect();
    client
        .write_all(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        .unwrap();
    receiver.recv_timeout(PATIENCE).unwrap();
    let reading = thread::spawn(move || {
        let mut all = Vec::new();
        let _ = client.read_to_end(&mut all);
        String::from_utf8(all).unwrap()
    });
    let ran = tap.end();
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(reading.join().unwrap().ends_with("\r\n\r\nok"));

    // One that does not is cut, sooner by a second Ctrl-C.
    let target = Target::start(|conn: &mut Conn| {
        conn.head()?;
        conn.say("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nsome")?;
        conn.until_closed()
    });
    let tap = Tap::start(&target.url(), &["--format", "json"]);
    let mut client = tap.connect();
    client
        .write_all(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        .unwrap();
    head(&mut client);
    expect(&mut client, b"some");
    tap.process.signal(Signal::INT);
    thread::sleep(Duration::from_millis(200));
    let ran = tap.end();
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.stderr.contains("1 messages cut"), "{ran:?}");
    assert_eq!(client.read(&mut [0]).unwrap_or(0), 0);
}

#[test]
fn nobody_who_looks_slowly_slows_what_passes() {
    let target = Target::start(support::always(reply(
        "200 OK",
        "Content-Type: application/json\r\n",
        vec![b' '; 20_000],
    )));
    let mut command = isukit();
    let to = target.url();
    command.args([
        "tap",
        "--listen",
        "127.0.0.1:0",
        "--to",
        &to,
        "--format",
        "json",
    ]);
    let mut process = spawn(command);
    // Nobody reads its stdout.
    let _stdout = process.child.stdout.take().unwrap();
    let mut line = String::new();
    BufReader::new(process.child.stderr.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    let address: SocketAddr = line
        .split_once("listening on ")
        .and_then(|(_, rest)| rest.split(',').next())
        .unwrap()
        .parse()
        .unwrap();
    let mut client = connect(address);
    for _ in 0..6_000 {
        client
            .write_all(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
            .unwrap();
        head(&mut client);
        client.read_exact(&mut vec![0; 20_000]).unwrap();
    }
    client.shutdown(Shutdown::Both).unwrap();
}
