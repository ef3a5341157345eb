//! HTTP/1.1 as connections carry it, without anything missing.

use crate::build::Wire;
use crate::seen::check;

pub(crate) const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";

pub(crate) fn get(target: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n")
}

pub(crate) fn reply(body: &str) -> String {
    format!(
        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// The same messages whatever the size of the segments.
#[track_caller]
fn check_wire(make: impl Fn(Wire) -> Wire, expected: &[&str]) {
    for segment in [1460, 1, 2, 7, 33] {
        let mut wire = Wire::new(40_000);
        wire.segment = segment;
        let wire = make(wire.open()).close();
        let totals = check(&wire.out, expected);
        assert_eq!(totals.lost_bytes, 0);
        assert_eq!(totals.skipped_bytes, 0);
    }
}

#[test]
fn exchanges_on_one_connection() {
    check_wire(
        |wire| {
            wire.ask(get("/a"))
                .answer(OK)
                .ask(get("/b"))
                .answer(reply("two"))
        },
        &[
            "GET /a",
            "200 GET /a \"hi\"",
            "GET /b",
            "200 GET /b \"two\"",
        ],
    );
    check_wire(
        |wire| {
            wire.ask("POST /p HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello")
                .answer("HTTP/1.1 204 No Content\r\n\r\n")
        },
        &["POST /p \"hello\"", "204 POST /p"],
    );
}

#[test]
fn pipelined_requests_are_paired_in_order() {
    check_wire(
        |wire| {
            wire.ask([get("/a"), get("/b"), get("/c")].concat())
                .answer([reply("1"), reply("2"), reply("3")].concat())
        },
        &[
            "GET /a",
            "GET /b",
            "GET /c",
            "200 GET /a \"1\"",
            "200 GET /b \"2\"",
            "200 GET /c \"3\"",
        ],
    );
    // The last one has no reply.
    check_wire(
        |wire| wire.ask([get("/a"), get("/b")].concat()).answer(reply("1")),
        &["GET /a", "GET /b", "200 GET /a \"1\""],
    );
}

#[test]
fn bodies_are_framed_as_http_says() {
    let one = |request: &str, response: &str, expected: &[&str]| {
        check_wire(
            |wire| wire.ask(request).answer(response).ask(get("/n")).answer(OK),
            expected,
        );
    };
    let next = ["GET /n", "200 GET /n \"hi\""];
    one(
        "HEAD /a HTTP/1.1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n",
        &["HEAD /a", "200 HEAD /a", next[0], next[1]],
    );
    one(
        &get("/a"),
        "HTTP/1.1 304 Not Modified\r\nContent-Length: 1000\r\n\r\n",
        &["GET /a", "304 GET /a", next[0], next[1]],
    );
    one(
        &get("/a"),
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=\"y\"\r\nabc\r\n02\r\nde\r\n0\r\nTrailer: x\r\n\r\n",
        &["GET /a", "200 GET /a \"abcde\"", next[0], next[1]],
    );
    one(
        "POST /a HTTP/1.1\nTransfer-Encoding: chunked\n\n1\nx\n0\n\n",
        "HTTP/1.1 200 OK\nContent-Length: 1\n\ny",
        &["POST /a \"x\"", "200 POST /a \"y\"", next[0], next[1]],
    );
    one(
        "POST http://h/a HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\nx",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        &[
            "POST http://h/a \"x\"",
            "200 POST http://h/a",
            next[0],
            next[1],
        ],
    );
}

#[test]
fn a_body_may_end_with_the_connection() {
    check_wire(
        |wire| {
            wire.ask(get("/a"))
                .answer("HTTP/1.0 200 OK\r\n\r\nall of it")
        },
        &["GET /a", "200 GET /a \"all of it\""],
    );
}

#[test]
fn what_leaves_http_is_counted() {
    let upgrade = Wire::new(1)
        .open()
        .ask("GET /ws HTTP/1.1\r\nUpgrade: websocket\r\n\r\n")
        .answer("HTTP/1.1 101 Switching Protocols\r\n\r\n\x01\x02")
        .ask("GET /not/http HTTP/1.1\r\n\r\n");
    let totals = check(&upgrade.out, &["GET /ws", "101 GET /ws"]);
    assert_eq!((totals.upgraded, totals.opaque_bytes), (1, 2 + 26));

    let tunnel = Wire::new(1)
        .open()
        .ask("CONNECT a:443 HTTP/1.1\r\n\r\n")
        .answer("HTTP/1.1 200 OK\r\n\r\n")
        .ask("\x16\x03\x01");
    let totals = check(&tunnel.out, &["CONNECT a:443", "200 CONNECT a:443"]);
    assert_eq!((totals.upgraded, totals.opaque_bytes), (1, 3));

    let tls = Wire::new(1)
        .open()
        .ask("\x16\x03\x01\x02\x00\x01")
        .answer("\x16\x03\x03");
    let totals = check(&tls.out, &[]);
    assert_eq!((totals.encrypted, totals.encrypted_bytes), (1, 9));

    let http2 = Wire::new(1)
        .open()
        .ask("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        .answer("\0\0");
    let totals = check(&http2.out, &[]);
    assert_eq!((totals.http2, totals.opaque_bytes), (1, 26));

    let ssh = Wire::new(1)
        .open()
        .answer("SSH-2.0-x\r\n")
        .ask("SSH-2.0-y\r\n");
    let totals = check(&ssh.out, &[]);
    assert_eq!((totals.not_http, totals.opaque_bytes), (1, 22));
}
