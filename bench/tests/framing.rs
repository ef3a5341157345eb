//! Targets that behave, in every shape HTTP/1.1 allows: no run may report an error that is none.

// Failing here is failing a test.
#![allow(clippy::unwrap_used)]

mod support;

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::sleep;
use std::time::Duration;

use serde_json::Value;
use support::{
    Conn, MARGIN, Target, always, check_sums, count, kinds, listener, nobody, reply, run, samples,
    unix_target, unix_target_on,
};

/// Run with these arguments for a moment; the report of a run that must have ended in time.
#[track_caller]
fn brief(url: &str, args: &[&str]) -> Value {
    let mut all = vec![url, "--rate", "100", "--duration", "300ms"];
    if !args.contains(&"--connections") {
        all.extend(["--connections", "4"]);
    }
    all.extend(["--drain", "1s"]);
    all.extend(args);
    let ran = run(&all);
    assert!(ran.took < Duration::from_millis(1_300) + MARGIN, "{ran:?}");
    let report = ran.report();
    check_sums(&report);
    assert_eq!(ran.code == 0, report["passed"] == true, "{report:#}");
    report
}

/// The same, and nothing failed. On a loaded machine the last arrivals may find no connection free
/// in time; all 30 are accounted for.
#[track_caller]
fn clean(url: &str, args: &[&str]) -> Value {
    let report = brief(url, args);
    let seen = kinds(&report);
    let texts: Vec<_> = seen
        .iter()
        .map(|(kind, _)| samples(&report, kind))
        .collect();
    assert!(seen.is_empty(), "{args:?}: {seen:?} {texts:?}");
    arrived(&report);
    report
}

/// How many of the 30 arrivals were sent: nearly all.
#[track_caller]
fn arrived(report: &Value) -> u64 {
    let requests = count(report, "/requests");
    assert_eq!(requests + count(report, "/dropped"), 30, "{report:#}");
    assert!(requests >= 20, "{report:#}");
    requests
}

fn gzip(data: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

/// A brotli stream of one uncompressed meta-block (RFC 7932), for at most 65535 bytes.
fn brotli(data: &[u8]) -> Vec<u8> {
    let header: u32 = ((data.len() as u32 - 1) << 4) | (1 << 20);
    let mut stream = header.to_le_bytes()[..3].to_vec();
    stream.extend_from_slice(data);
    stream.push(0x03);
    stream
}

#[test]
fn every_framing_is_read_without_an_error() {
    const BODY: &[&str] = &["--check", "name == 'isu' && http.status == 200"];
    let json = r#"{"name":"isu"}"#;
    let chunked = format!(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n6;a=b\r\n{}\r\n8\r\n{}\r\n0\r\nT: t\r\n\r\n",
        &json[..6],
        &json[6..]
    );
    let kept = "Content-Length: 14\r\nConnection: keep-alive\r\n";
    // Reply, arguments, and whether one connection carries several requests.
    let rows: Vec<(Vec<u8>, &[&str], bool)> = vec![
        (reply("200 OK", "", json), BODY, true),
        (reply("200 OK", "", ""), &[], true),
        (reply("200", "", json), BODY, true),
        (
            reply("200 OK", "", vec![b'x'; 3_000_000]),
            &["--check", "http.body_bytes == 3000000"],
            true,
        ),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 12345\r\n\r\n".to_vec(),
            &["-X", "HEAD"],
            true,
        ),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec(),
            &["-X", "HEAD"],
            true,
        ),
        (
            b"HTTP/1.1 204 No Content\r\n\r\n".to_vec(),
            &["--check", "http.status == 204"],
            true,
        ),
        (
            b"HTTP/1.1 304 Not Modified\r\nContent-Length: 99\r\n\r\n".to_vec(),
            &["--status", "304"],
            true,
        ),
        (chunked.into_bytes(), BODY, true),
        (
            format!(
                "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\n{kept}\r\n{json}"
            )
            .into_bytes(),
            BODY,
            true,
        ),
        (
            format!("HTTP/1.0 200 OK\r\n{kept}\r\n{json}").into_bytes(),
            BODY,
            true,
        ),
        (
            format!("HTTP/1.1 200 OK\n{}\n{json}", kept.replace('\r', "")).into_bytes(),
            BODY,
            true,
        ),
        (
            format!("HTTP/1.0 200 OK\r\nContent-Length: 14\r\n\r\n{json}").into_bytes(),
            BODY,
            false,
        ),
        (
            format!("HTTP/1.0 200 OK\r\n\r\n{json}").into_bytes(),
            BODY,
            false,
        ),
        (
            format!("HTTP/1.1 200 OK\r\n\r\n{json}").into_bytes(),
            BODY,
            false,
        ),
        (reply("200 OK", "Connection: close\r\n", json), BODY, false),
    ];
    support::side_by_side(rows, 6, |(bytes, args, keeps)| {
        let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(80)]).into_owned();
        let target = Target::start(move |conn| {
            loop {
                conn.request()?;
                conn.say(&bytes)?;
                if !keeps {
                    return Some(());
                }
            }
        });
        let report = clean(&target.url(), args);
        let opened = count(&report, "/generator/connections_opened");
        if keeps {
            assert!(opened <= 4, "{shown}: {opened} connections");
        } else {
            assert_eq!(opened, arrived(&report), "{shown}");
        }
        assert_eq!(target.accepted() as u64, opened, "{shown}");
    });
}

#[test]
fn compressed_replies_are_decoded_and_checked() {
    let json = br#"{"name":"isu","rest":"................................"}"#;
    let twice = gzip(&zstd::encode_all(&json[..], 1).unwrap());
    for (coding, body) in [
        ("gzip", gzip(json)),
        ("br", brotli(json)),
        ("zstd", zstd::encode_all(&json[..], 1).unwrap()),
        ("zstd, gzip", twice),
    ] {
        let bytes = reply("200 OK", &format!("Content-Encoding: {coding}\r\n"), body);
        let target = Target::start(move |conn| {
            loop {
                let asked = conn.request()?;
                assert_eq!(asked.header("accept-encoding"), Some("gzip, br, zstd"));
                conn.say(&bytes)?;
            }
        });
        clean(&target.url(), &["--compressed", "--check", "name == 'isu'"]);
    }
}

/// Serve requests that wait for `100 Continue`; `interim` says it, or does not.
fn continuing(interim: &'static str) -> impl Fn(&mut Conn) -> Option<()> + Send + Sync {
    move |conn| {
        loop {
            let head = conn.head()?;
            assert!(head.contains("Expect: 100-continue"), "{head}");
            conn.say(interim)?;
            let body = conn.body(5)?;
            assert_eq!(body, b"hello");
            conn.say(reply("200 OK", "", "thanks"))?;
        }
    }
}

#[test]
fn bodies_wait_for_100_continue_and_not_for_ever() {
    let args = ["--body", "hello", "-H", "Expect: 100-continue"];
    let target = Target::start(continuing("HTTP/1.1 100 Continue\r\n\r\n"));
    let report = clean(&target.url(), &args);
    let p50 = report["service_ms"]["p50"].as_f64().unwrap();
    assert!(
        p50 < 500.0,
        "the body waited although it might go: {p50} ms"
    );

    // A target that has never heard of it: the body goes after a second.
    let target = Target::start(continuing(""));
    let mut slow = args.to_vec();
    slow.extend([
        "--connections",
        "1",
        "--duration",
        "1200ms",
        "--drain",
        "3s",
    ]);
    let mut all = vec![];
    let url = target.url();
    all.push(url.as_str());
    all.extend(slow);
    let report = run(&all).report();
    assert_eq!(kinds(&report), [], "{report:#}");
    let p50 = report["service_ms"]["p50"].as_f64().unwrap();
    assert!((1_000.0..1_600.0).contains(&p50), "{p50} ms");

    // A target that refuses the head: no body goes, and the connection is not used again.
    let target = Target::start(|conn| {
        let head = conn.head()?;
        assert!(head.contains("Expect: 100-continue"));
        conn.say(reply("417 Expectation Failed", "", ""))?;
        assert_eq!(conn.head(), None, "something followed");
        Some(())
    });
    let mut refused = args.to_vec();
    refused.extend(["--status", "417"]);
    let report = clean(&target.url(), &refused);
    assert_eq!(
        count(&report, "/generator/connections_opened"),
        arrived(&report)
    );
}

#[test]
fn large_bodies_go_both_ways() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("body");
    let body: Vec<u8> = (0..5_000_000_u32).map(|n| (n % 251) as u8).collect();
    std::fs::write(&path, &body).unwrap();
    let broken = Arc::new(AtomicUsize::new(0));
    let (expected, bad) = (body, Arc::clone(&broken));
    let target = Target::start(move |conn| {
        loop {
            let asked = conn.request()?;
            bad.fetch_add(usize::from(asked.body != expected), Ordering::SeqCst);
            conn.say(reply("200 OK", "", asked.body))?;
        }
    });
    let file = format!("@{}", path.display());
    let url = target.url();
    let ran = run(&[
        &url,
        "--body",
        &file,
        "--connections",
        "3",
        "--duration",
        "1s",
        "--drain",
        "10s",
        "--check",
        "http.body_bytes == 5000000",
    ]);
    let report = ran.report();
    check_sums(&report);
    assert_eq!((kinds(&report), ran.code), (vec![], 0), "{report:#}");
    assert_eq!(broken.load(Ordering::SeqCst), 0, "bodies arrived changed");
    assert!(count(&report, "/requests") >= 3);
    assert!(count(&report, "/bytes_sent") >= count(&report, "/requests") * 5_000_000);
}

#[test]
fn unix_sockets_ipv6_and_other_addresses_are_reached() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    unix_target(&path, always(reply("200 OK", "", "unix")));
    let path = path.to_str().unwrap();
    let report = clean("http://app.example/x", &["--unix-socket", path]);
    assert_eq!(report["asked"]["endpoint"], format!("unix:{path}"));

    let hosts = Arc::new(AtomicUsize::new(0));
    let right = Arc::clone(&hosts);
    let target = Target::start(move |conn| {
        loop {
            let asked = conn.request()?;
            let host = asked.header("host") == Some("app.example:81");
            right.fetch_add(usize::from(host), Ordering::SeqCst);
            conn.say(reply("200 OK", "", ""))?;
        }
    });
    let rule = format!("app.example:81:127.0.0.1:{}", target.address.port());
    let report = clean("http://app.example:81/", &["--connect-to", &rule]);
    assert_eq!(hosts.load(Ordering::SeqCst) as u64, arrived(&report));

    if let Ok(listener) = std::net::TcpListener::bind("[::1]:0") {
        let target = Target::on(listener, always(reply("200 OK", "", "six")));
        clean(&target.url(), &[]);
        // Where the name has both addresses, nobody listens at the one that is tried first.
        let name = ("localhost", target.address.port());
        let both = std::net::ToSocketAddrs::to_socket_addrs(&name);
        if both.is_ok_and(|mut found| found.any(|address| address.is_ipv6())) {
            clean(&format!("http://localhost:{}/", name.1), &[]);
        }
    }
}

#[test]
fn a_unix_socket_with_a_full_backlog_is_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let socket = socket2::Socket::new(socket2::Domain::UNIX, socket2::Type::STREAM, None).unwrap();
    socket
        .bind(&socket2::SockAddr::unix(&path).unwrap())
        .unwrap();
    socket.listen(1).unwrap();
    unix_target_on(socket.into(), |conn| {
        conn.request()?;
        sleep(Duration::from_millis(2));
        conn.say(reply("200 OK", "Connection: close\r\n", ""))
    });
    let socket = path.to_str().unwrap();
    let ran = run(&[
        "http://app/",
        "--unix-socket",
        socket,
        "--duration",
        "500ms",
        "--connections",
        "50",
    ]);
    let report = ran.report();
    check_sums(&report);
    assert_eq!((kinds(&report), ran.code), (vec![], 0), "{report:#}");
    assert!(count(&report, "/requests") > 50, "{report:#}");
}

#[test]
fn a_target_that_is_absent_is_refused_and_asked_again_politely() {
    let (_kept, address) = nobody();
    let url = format!("http://{address}/");
    let report = brief(&url, &[]);
    assert_eq!(
        kinds(&report),
        [("connection-refused".to_owned(), arrived(&report))]
    );
    assert!(samples(&report, "connection-refused")[0].contains("refused"));
    assert_eq!(report["failures"][0], "no request succeeded");
    // In the closed model each user waits before it tries again, longer each time up to 100 ms:
    // that makes 16 tries in a second.
    let report = run(&[&url, "--connections", "10", "--duration", "1s"]).report();
    let errors = count(&report, "/errors");
    assert!((60..=170).contains(&errors), "{errors} refused connections");
    assert!(samples(&report, "connection-refused").len() == 3);
    let missing = run(&[
        "http://h/",
        "--unix-socket",
        "/nonexistent/socket",
        "--duration",
        "200ms",
    ]);
    assert_eq!(
        (missing.code, kinds(&missing.report())[0].0.as_str()),
        (1, "connect-failed")
    );
}

#[test]
fn a_listener_that_never_accepts_leads_to_timeouts() {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    let any: std::net::SocketAddr = ([127, 0, 0, 1], 0).into();
    socket.bind(&any.into()).unwrap();
    socket.listen(0).unwrap();
    let url = format!(
        "http://{}/",
        socket.local_addr().unwrap().as_socket().unwrap()
    );
    let report = brief(
        &url,
        &[
            "--connections",
            "20",
            "--connect-timeout",
            "200ms",
            "--timeout",
            "400ms",
        ],
    );
    let connect = kinds(&report)
        .into_iter()
        .find(|(kind, _)| kind == "connect-timeout");
    assert!(
        connect.is_some_and(|(_, count)| count >= 15),
        "{:?}",
        kinds(&report)
    );
    assert!(samples(&report, "connect-timeout")[0].contains("200ms"));
    let others = ["connect-timeout", "timeout", "first-byte-timeout"];
    assert!(
        kinds(&report)
            .iter()
            .all(|(kind, _)| others.contains(&kind.as_str()))
    );
}

#[test]
fn bytes_that_nobody_asked_for_close_an_idle_connection() {
    let target = Target::start(|conn| {
        loop {
            conn.request()?;
            conn.say(reply("200 OK", "", "fine"))?;
            sleep(Duration::from_millis(20));
            conn.say("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")?;
        }
    });
    let url = target.url();
    let ran = run(&[
        &url,
        "--connections",
        "1",
        "--rate",
        "10",
        "--duration",
        "1s",
    ]);
    let report = ran.report();
    assert_eq!((kinds(&report), ran.code), (vec![], 0), "{report:#}");
    let unsolicited = count(&report, "/generator/unsolicited");
    assert!((6..=10).contains(&unsolicited), "{unsolicited}");
    // Each of them costs the connection it came on.
    assert!(count(&report, "/generator/connections_opened") >= unsolicited);
}

#[test]
fn a_target_that_dies_and_comes_back_is_found_again() {
    let alive = Arc::new(AtomicBool::new(true));
    let serve = |alive: &Arc<AtomicBool>| {
        let alive = Arc::clone(alive);
        move |conn: &mut Conn| {
            conn.wire.patience(Some(Duration::from_secs(2)));
            while alive.load(Ordering::SeqCst) {
                conn.request()?;
                conn.say(reply("200 OK", "", "alive"))?;
                sleep(Duration::from_millis(1));
            }
            Some(())
        }
    };
    let first = Target::start(serve(&alive));
    let (address, url) = (first.address, first.url());
    let outage = std::thread::spawn(move || {
        sleep(Duration::from_millis(1_200));
        alive.store(false, Ordering::SeqCst);
        drop(first);
        sleep(Duration::from_millis(600));
        let alive = Arc::new(AtomicBool::new(true));
        Target::on(listener(&address.to_string()), serve(&alive))
    });
    let ran = run(&[&url, "--connections", "4", "--duration", "4s"]);
    let _second = outage.join().unwrap();
    assert!(ran.took < Duration::from_secs(4) + MARGIN);
    let report = ran.report();
    check_sums(&report);
    let allowed = [
        "connection-refused",
        "closed-before-reply",
        "connection-reset",
    ];
    let seen = kinds(&report);
    assert!(
        seen.iter()
            .all(|(kind, _)| allowed.contains(&kind.as_str())),
        "{seen:?}"
    );
    assert!(
        seen.iter().any(|(kind, _)| kind == "connection-refused"),
        "{seen:?}"
    );
    let point = |second: usize, name: &str| {
        report["series"][second][name]
            .as_u64()
            .unwrap_or_else(|| panic!("{report:#}"))
    };
    assert_eq!(point(0, "errors"), 0);
    assert!(
        point(3, "requests") > 100 && point(3, "errors") == 0,
        "{report:#}"
    );
}

#[test]
fn a_reply_of_another_type_says_what_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let proto =
        "syntax = \"proto3\";\npackage t;\nmessage Team { int64 id = 1; string name = 2; }\n";
    std::fs::write(folder.path().join("team.proto"), proto).unwrap();
    let folder = folder.path().to_str().unwrap();
    let args = ["--proto", folder, "--reply", "t.Team"];
    let target = Target::start(always(reply("200 OK", "", b"\x08\x07\x12\x03isu")));
    clean(&target.url(), &args);
    let wrong = [
        &b"\x08\x07\x12\x09isu"[..],
        b"<html>",
        b"\x12\x02\xff\xff",
        b"\x00",
    ];
    for body in wrong {
        let target = Target::start(always(reply("200 OK", "", body)));
        let report = brief(&target.url(), &args);
        assert_eq!(
            kinds(&report),
            [("bad-message".to_owned(), arrived(&report))],
            "{body:?}"
        );
        let text = &samples(&report, "bad-message")[0];
        assert!(
            text.contains("not a t.Team") && text.contains("body: "),
            "{text}"
        );
    }
}
