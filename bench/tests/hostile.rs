//! Targets that misbehave: each has its error kind, and no run ends late because of one.

// Failing here is failing a test.
#![allow(clippy::unwrap_used)]

mod support;

use std::io::Write;
use std::thread::sleep;
use std::time::Duration;

use support::{Conn, MARGIN, Target, check_sums, count, kinds, reply, run, samples};

/// For how long the runs of the table send, and wait after that.
const SENDING: Duration = Duration::from_millis(400);
const DRAIN: Duration = Duration::from_millis(400);

/// Arrivals of one run of the table.
const ARRIVALS: u64 = 16;

type Talk = Box<dyn Fn(&mut Conn) -> Option<()> + Send + Sync>;

/// A target's behaviour and what a run against it must report.
struct Row {
    name: &'static str,
    talk: Talk,
    args: &'static [&'static str],
    /// Kinds that may be counted; the first must be. Empty for no error at all.
    kinds: &'static [&'static str],
    /// Part of a sample's text of the first kind.
    text: &'static str,
}

fn row(
    name: &'static str,
    args: &'static [&'static str],
    kinds: &'static [&'static str],
    text: &'static str,
    talk: impl Fn(&mut Conn) -> Option<()> + Send + Sync + 'static,
) -> Row {
    Row {
        name,
        talk: Box::new(talk),
        args,
        kinds,
        text,
    }
}

/// A target that reads a request, says something and closes.
fn once(bytes: impl Into<Vec<u8>>) -> impl Fn(&mut Conn) -> Option<()> + Send + Sync + 'static {
    let bytes = bytes.into();
    move |conn| {
        conn.request()?;
        conn.say(&bytes)
    }
}

/// A target that reads a request, says something and is silent from then on.
fn stuck(bytes: impl Into<Vec<u8>>) -> impl Fn(&mut Conn) -> Option<()> + Send + Sync + 'static {
    let bytes = bytes.into();
    move |conn| {
        conn.request()?;
        conn.say(&bytes)?;
        conn.until_closed()
    }
}

/// A target that reads a request and then says something again and again without an end.
fn endless(first: &'static str, again: &'static [u8]) -> impl Fn(&mut Conn) -> Option<()> {
    // In large pieces, so that the sender is never the slower one.
    let much = again.repeat(1 + 300_000 / again.len());
    move |conn| {
        conn.request()?;
        conn.say(first)?;
        loop {
            conn.say(&much)?;
        }
    }
}

fn gzip(data: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

const CHECK: &[&str] = &["--check", "http.status == 200"];
const QUICK: &[&str] = &["--timeout", "150ms"];

fn connection_rows() -> Vec<Row> {
    vec![
        row(
            "reset at once",
            &[],
            &["connection-reset"],
            "reset",
            |conn| {
                conn.wire.reset();
                Some(())
            },
        ),
        row(
            "reset after the request",
            &[],
            &["connection-reset"],
            "reset",
            |conn| {
                conn.request()?;
                conn.wire.reset();
                Some(())
            },
        ),
        row(
            "closes before the reply",
            &[],
            &["closed-before-reply"],
            "before any reply",
            once(""),
        ),
        row(
            "closes within the head",
            &[],
            &["closed-within-reply"],
            "after 14 bytes of the head",
            once("HTTP/1.1 200 O"),
        ),
        row(
            "closes within the body",
            &[],
            &["closed-within-reply"],
            "after 3 bytes of a body of 10 bytes",
            once("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc"),
        ),
        row(
            "closes within a chunk",
            &[],
            &["closed-within-reply"],
            "chunks without a last one",
            once("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nab"),
        ),
        row(
            "never answers",
            &["--first-byte-timeout", "150ms"],
            &["first-byte-timeout"],
            "within 150ms",
            stuck(""),
        ),
        row(
            "never answers, in all",
            QUICK,
            &["timeout", "first-byte-timeout"],
            "within 150ms",
            stuck(""),
        ),
        row(
            "never answers, to the end",
            &[],
            &["unfinished-at-end"],
            "still open",
            stuck(""),
        ),
        row(
            "silent in the head",
            QUICK,
            &["timeout"],
            "no complete reply",
            stuck("HTTP/1.1 200 OK\r\nServ"),
        ),
        row(
            "silent in the body",
            QUICK,
            &["timeout"],
            "no complete reply",
            stuck("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc"),
        ),
        row(
            "drips a byte at a time",
            QUICK,
            &["timeout"],
            "no complete reply",
            |conn| {
                conn.request()?;
                for byte in b"HTTP/1.1 200 OK\r\nX-Long: "
                    .iter()
                    .chain([b'x'; 500].iter())
                {
                    conn.say([*byte])?;
                    sleep(Duration::from_millis(2));
                }
                Some(())
            },
        ),
    ]
}

fn head_rows() -> Vec<Row> {
    const BAD: &[&str] = &["bad-head"];
    const LENGTH: &[&str] = &["bad-content-length"];
    vec![
        row(
            "speaks TLS",
            &[],
            BAD,
            "\\x15\\x03",
            once(b"\x15\x03\x01\x00\x02\x02\x28".to_vec()),
        ),
        row("speaks SSH", &[], BAD, "SSH-2.0", |conn| {
            conn.say("SSH-2.0-OpenSSH_9.6\r\n")?;
            conn.until_closed()
        }),
        row(
            "speaks noise",
            &[],
            BAD,
            "not an HTTP/1.x status line",
            |conn| {
                conn.request()?;
                let noise: Vec<u8> = (0..5_000)
                    .map(|n: u32| (n.wrapping_mul(2_654_435_761) >> 24) as u8)
                    .collect();
                conn.say(noise)?;
                conn.until_closed()
            },
        ),
        row(
            "speaks HTTP/2",
            &[],
            BAD,
            "HTTP/2",
            once("HTTP/2 200 OK\r\n\r\n"),
        ),
        row(
            "no header line",
            &[],
            BAD,
            "not a header line",
            once("HTTP/1.1 200 OK\r\nwhat\r\n\r\n"),
        ),
        row(
            "endless headers",
            &[],
            &["head-too-large"],
            "65536 bytes",
            endless(
                "HTTP/1.1 200 OK\r\n",
                b"X-Again: and again and again and again\r\n",
            ),
        ),
        row(
            "endless first line",
            &[],
            &["head-too-large"],
            "65536 bytes",
            endless("HTTP/1.1 200 ", b"and again and again and again"),
        ),
        row(
            "endless 1xx",
            &[],
            BAD,
            "more than 16 interim",
            endless("", b"HTTP/1.1 102 Processing\r\n\r\n"),
        ),
        row(
            "endless 100 Continue",
            &[],
            BAD,
            "more than 16 interim",
            endless("", b"HTTP/1.1 100 Continue\r\n\r\n"),
        ),
        row(
            "switches protocols",
            &[],
            BAD,
            "switched protocols",
            stuck("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n"),
        ),
        row(
            "length too small",
            &[],
            &["surplus-bytes"],
            "5 bytes beyond",
            once("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcdefgh"),
        ),
        row(
            "negative length",
            &[],
            LENGTH,
            "Content-Length: -1",
            once("HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n"),
        ),
        row(
            "overflowing length",
            &[],
            LENGTH,
            "18446744073709551616",
            once("HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551616\r\n\r\n"),
        ),
        row(
            "two lengths",
            &[],
            LENGTH,
            "Content-Length: 2",
            once("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab"),
        ),
        row(
            "unknown transfer coding",
            &[],
            BAD,
            "transfer-encoding",
            once("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n"),
        ),
    ]
}

fn body_rows() -> Vec<Row> {
    const CHUNK: &[&str] = &["bad-chunk"];
    const LARGE: &[&str] = &["body-too-large"];
    const CODING: &[&str] = &["bad-content-encoding"];
    let chunked = |chunks: &str| {
        once(format!(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}"
        ))
    };
    let ten_gigabytes = "HTTP/1.1 200 OK\r\nContent-Length: 10000000000\r\n\r\n";
    const KB: &[u8] = &[b'x'; 1024];
    vec![
        row(
            "chunk size overflows",
            &[],
            CHUNK,
            "after 0 bytes",
            chunked("ffffffffffffffff0\r\n"),
        ),
        row(
            "chunk size is huge",
            &[],
            LARGE,
            "exceeds",
            chunked("ffffffffffffffff\r\n"),
        ),
        row(
            "chunk size is no number",
            &[],
            CHUNK,
            "xyz",
            chunked("xyz\r\n"),
        ),
        row(
            "chunk size is negative",
            &[],
            CHUNK,
            "-5",
            chunked("-5\r\nabcde\r\n"),
        ),
        row(
            "chunk is longer than its size",
            &[],
            CHUNK,
            "after 2 bytes",
            chunked("2\r\nabcd\r\n0\r\n\r\n"),
        ),
        row(
            "10 GB announced",
            &[],
            LARGE,
            "exceeds 67108864",
            endless(ten_gigabytes, KB),
        ),
        row(
            "10 GB announced and needed",
            CHECK,
            LARGE,
            "exceeds 67108864",
            endless(ten_gigabytes, KB),
        ),
        row(
            "10 GB wanted",
            &["--max-body", "20G", "--timeout", "250ms"],
            &["timeout"],
            "no complete reply",
            endless(ten_gigabytes, KB),
        ),
        row(
            "endless chunks",
            &["--max-body", "100000"],
            LARGE,
            "exceeds 100000",
            endless(
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
                b"28\r\nan endless body in chunks of forty bytes\r\n",
            ),
        ),
        row(
            "endless until close",
            &["--max-body", "1M", "--check", "http.status == 200"],
            LARGE,
            "exceeds 1048576",
            endless("HTTP/1.1 200 OK\r\n\r\n", KB),
        ),
        row(
            "broken gzip",
            CHECK,
            CODING,
            "gzip body is broken",
            once(reply("200 OK", "Content-Encoding: gzip\r\n", "not gzip")),
        ),
        row(
            "cut gzip",
            CHECK,
            CODING,
            "gzip body is broken",
            once(reply(
                "200 OK",
                "Content-Encoding: gzip\r\n",
                &gzip(&[b'x'; 1_000])[..20],
            )),
        ),
        row(
            "gzip bomb",
            &["--check", "http.status == 200", "--max-body", "1M"],
            CODING,
            "decompressed body exceeds 1048576",
            once(reply(
                "200 OK",
                "Content-Encoding: gzip\r\n",
                gzip(&vec![0; 50_000_000]),
            )),
        ),
        row(
            "unknown coding",
            CHECK,
            CODING,
            "other than gzip",
            once(reply("200 OK", "Content-Encoding: rot13\r\n", "uryyb")),
        ),
        row(
            "unexpected status",
            &[],
            &["status-503"],
            "status 503",
            once(reply("503 Busy", "", "wait")),
        ),
        row(
            "unexpected success",
            &["--status", "404"],
            &["status-200"],
            "status 200",
            once(reply("200 OK", "", "")),
        ),
        row(
            "check does not hold",
            &["--check", "http.body_bytes > 10"],
            &["check-failed"],
            "http.body_bytes",
            once(reply("200 OK", "", "short")),
        ),
        // A reset may overtake the reply, because the target has not read the body.
        row(
            "answers before the request is read",
            &["--body", "@-"],
            &[],
            "",
            |conn| {
                conn.say(reply("200 OK", "Connection: close\r\n", "early"))?;
                conn.until_closed()
            },
        ),
    ]
}

/// One run against one row's target.
fn check(row: Row) {
    let Row {
        name,
        talk,
        args,
        kinds: expected,
        text,
    } = row;
    let target = Target::start(talk);
    let (url, rate) = (
        target.url(),
        (ARRIVALS as f64 / SENDING.as_secs_f64()).to_string(),
    );
    let mut all = vec![
        url.as_str(),
        "--rate",
        &rate,
        "--connections",
        "16",
        "--duration",
        "400ms",
        "--drain",
        "400ms",
    ];
    all.extend(args);
    let ran = run(&all);
    let report = ran.report();
    let seen = kinds(&report);
    assert!(
        ran.took < SENDING + DRAIN + MARGIN,
        "{name}: took {:?}",
        ran.took
    );
    check_sums(&report);
    let arrivals = count(&report, "/sent") + count(&report, "/dropped");
    assert_eq!(arrivals, ARRIVALS, "{name}");
    let Some(first) = expected.first() else {
        assert!(
            seen.is_empty() && ran.code == 0,
            "{name}: {seen:?} {:?}",
            samples(&report, &seen[0].0)
        );
        return;
    };
    let allowed = seen
        .iter()
        .all(|(kind, _)| expected.contains(&kind.as_str()));
    assert!(
        allowed,
        "{name}: {seen:?} instead of {expected:?}: {:#}",
        report["errors_by_kind"]
    );
    let texts = samples(&report, first);
    assert!(
        texts.iter().any(|sample| sample.contains(text)),
        "{name}: {texts:?}"
    );
    assert_eq!(
        count(&report, "/errors"),
        count(&report, "/requests"),
        "{name}: {report:#}"
    );
    assert_eq!(ran.code, 1, "{name}");
}

#[test]
fn every_misbehaviour_has_its_kind_and_none_makes_a_run_late() {
    let mut rows = connection_rows();
    rows.extend(head_rows());
    rows.extend(body_rows());
    support::side_by_side(rows, 4, check);
}

#[test]
fn replies_that_take_long_to_look_at_make_no_run_late() {
    let bomb = reply(
        "200 OK",
        "Content-Encoding: gzip\r\n",
        gzip(&vec![0; 80_000_000]),
    );
    let target = Target::start(support::always(bomb));
    let url = target.url();
    let ran = run(&[
        &url,
        "--connections",
        "48",
        "--threads",
        "1",
        "--duration",
        "300ms",
        "--drain",
        "300ms",
        "--check",
        "http.status == 200",
    ]);
    eprintln!("48 bombs of 64 MB: the run ended after {:?}", ran.took);
    assert!(ran.took < SENDING + DRAIN + MARGIN, "took {:?}", ran.took);
    let report = ran.report();
    check_sums(&report);
    let seen = kinds(&report);
    let allowed = ["bad-content-encoding", "unfinished-at-end"];
    assert!(
        seen.iter()
            .all(|(kind, _)| allowed.contains(&kind.as_str())),
        "{seen:?}"
    );
}
