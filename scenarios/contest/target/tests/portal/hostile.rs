//! Requests that nobody should send.

use contest_target::{Options, Role};

use crate::client::{PROTOBUF, parse, raw, send};
use crate::in_process::Server;

#[test]
fn what_is_no_protobuf_is_refused_without_a_body() {
    let server = Server::start(Options::default());
    let typed = |kind| [("Content-Type", kind)];
    let kinds = [
        "application/json",
        "application/protobuf",
        "Application/vnd.google.protobuf",
        "application/vnd.google.protobuf; charset=utf-8",
        "application/vnd.google.protobuf;proto=contest.v1.LoginRequest",
        "application/vnd.google.protobuf,application/vnd.google.protobuf",
        "",
    ];
    for path in [
        "/api/session",
        "/api",
        "/api/nothing",
        "/worker/jobs/receive",
        "/initialize",
    ] {
        for method in ["GET", "POST", "DELETE"] {
            let missing = send(server.address, method, path, &[], b"");
            let wrong = kinds.map(|kind| send(server.address, method, path, &typed(kind), b""));
            let twice = [("Content-Type", PROTOBUF), ("Content-Type", PROTOBUF)];
            let twice = send(server.address, method, path, &twice, b"");
            for reply in wrong.iter().chain([&missing, &twice]) {
                assert_eq!(
                    (reply.status, reply.body.len()),
                    (400, 0),
                    "{method} {path}"
                );
                assert_eq!(reply.header("content-type"), None);
            }
        }
    }
}

#[test]
fn malformed_requests_have_an_error() {
    let server = Server::start(Options::default());
    let headers = [("Content-Type", PROTOBUF)];
    let mut messages = vec![
        vec![0xff; 40],
        b"\x0a\x7fshort".to_vec(),
        b"\x0a\x02\xc3\x28".to_vec(),
        b"{\"contestantId\":\"ann\"}".to_vec(),
        vec![0x0b; 5_000],
    ];
    messages.push([&b"\x0a\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01"[..], b"x"].concat());
    for body in messages {
        for path in [
            "/api/signup",
            "/api/login",
            "/initialize",
            "/worker/jobs/receive",
            "/worker/jobs/1/report",
        ] {
            let reply = send(server.address, "POST", path, &headers, &body);
            assert_eq!(
                (reply.status, reply.error().as_str()),
                (400, "bad_request"),
                "{path}"
            );
        }
    }
    let huge = vec![0; (1 << 20) + 1];
    let reply = send(server.address, "POST", "/api/login", &headers, &huge);
    assert_eq!((reply.status, reply.error().as_str()), (413, "too_large"));
    for (method, path, allow) in [
        ("GET", "/initialize", "POST"),
        ("PUT", "/api/jobs", "POST, GET"),
        ("POST", "/api/session", "GET"),
        ("HEAD", "/api/session", "GET"),
        ("GET", "/worker/jobs/7/report", "POST"),
    ] {
        let reply = send(server.address, method, path, &headers, b"");
        assert_eq!(
            (reply.status, reply.header("allow")),
            (405, Some(allow)),
            "{method} {path}"
        );
        if method != "HEAD" {
            assert_eq!(reply.error(), "method_not_allowed");
        }
    }
    for path in [
        "/api",
        "/api/",
        "/api/nothing",
        "/api/jobs/",
        "/api/jobs/x",
        "/api/jobs/-1",
        "/api/jobs/+1",
        "/api/jobs/1/2",
        "/api/jobs/99999999999999999999",
        "/worker",
        "/worker/jobs//report",
        "/api/../api/session",
        "/apis",
        "/assets",
        "/assets/",
        "/assets/../contest.db",
        "/nothing",
    ] {
        let reply = send(server.address, "GET", path, &headers, b"");
        assert_eq!(
            (reply.status, reply.error().as_str()),
            (404, "not_found"),
            "{path}"
        );
    }
}

#[test]
fn odd_cookies_are_nobody() {
    let server = Server::start(Options::default());
    let long = format!("contest_session={}", "a".repeat(5_000));
    let unknown = format!("contest_session={}", "a".repeat(64));
    for cookie in [
        "",
        ";;;",
        "contest_session",
        "contest_session=",
        "contest_session=' OR 1=1 --",
        "contest_session=gone-0-1-1",
        "other=1; contest_session=x; contest_session=y",
        &long,
        &unknown,
    ] {
        let headers = [("Content-Type", PROTOBUF), ("Cookie", cookie)];
        let reply = send(server.address, "GET", "/api/session", &headers, b"");
        assert_eq!(reply.status, 200, "{cookie}");
        let reply = send(server.address, "GET", "/api/dashboard", &headers, b"");
        assert_eq!(
            (reply.status, reply.error().as_str()),
            (401, "login_required")
        );
    }
}

#[test]
fn bytes_that_are_no_request_end_their_connection_only() {
    let server = Server::start(Options::default());
    for bytes in [
        &b"\0\0\0\0\r\n\r\n"[..],
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET\r\n\r\n",
    ] {
        assert_eq!(parse(&raw(server.address, bytes)).status, 400);
    }
    let long = format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(1 << 20));
    // Its end may come before all of it is sent; the portal must only survive it.
    let address = server.address;
    let _ = std::thread::spawn(move || raw(address, long.as_bytes())).join();
    assert_eq!(send(server.address, "GET", "/", &[], b"").status, 200);
}

#[test]
fn a_database_that_fails_is_our_fault() {
    // Nobody has made the tables.
    let server = Server::start(Options {
        role: Role::Api,
        ..Options::default()
    });
    let headers = [("Content-Type", PROTOBUF)];
    let reply = send(
        server.address,
        "POST",
        "/worker/jobs/receive",
        &headers,
        b"",
    );
    assert_eq!((reply.status, reply.error().as_str()), (500, "internal"));
}
