//! Lines that are nasty, one a row.

use super::*;
use crate::digest::{NO_TIME, UNKNOWN_AT};

/// What a line tells: name, status, time and upstream time in microseconds; or why it is skipped.
type Told<'a> = Result<(&'a str, u16, Option<u64>, Option<u64>), &'a str>;

fn check(format: &str, line: &str, expected: Told<'_>) {
    let (records, skips) = read(format, line.as_bytes());
    let micros = |ns: u64| (ns != NO_TIME).then_some(ns / 1_000);
    let seen = match (records.as_slice(), skips.as_slice()) {
        ([seen], []) => Ok((
            seen.name.as_str(),
            seen.record.status,
            micros(seen.record.time_ns),
            micros(seen.record.upstream_ns),
        )),
        ([], [reason]) => Err(*reason),
        other => panic!("{line}: {other:?}"),
    };
    assert_eq!(seen, expected, "{line}");
}

#[test]
fn ltsv() {
    let check = |line: &str, expected| check("ltsv", line, expected);
    let ok = |name, status, time, upstream| Ok((name, status, time, upstream));
    check(
        "method:GET\turi:/a/7?x\tstatus:200\treqtime:0.5\tapptime:0.4",
        ok("GET /a/:id", 200, Some(500_000), Some(400_000)),
    );
    check(
        "req:POST /a HTTP/1.1\tstatus:200\trequest_time:1.25\r\n",
        ok("POST /a", 200, Some(1_250_000), None),
    );
    check(
        "uri:/a\tstatus:200\tapptime:0.4",
        ok("/a", 200, Some(400_000), Some(400_000)),
    );
    check(
        "uri:/a\tstatus:200\treqtime:-\tapptime:0.4",
        ok("/a", 200, None, Some(400_000)),
    );
    check(
        "uri:/a\tstatus:200\tresponse_time:0.4",
        ok("/a", 200, Some(400_000), None),
    );
    check(
        "uri:/a\tstatus:200\tresponse_time:0.4\treqtime:0.5",
        ok("/a", 200, Some(500_000), Some(400_000)),
    );
    check(
        "uri:/a\tstatus:200\ttaken_ms:12.5",
        ok("/a", 200, Some(12_500), None),
    );
    check(
        "uri:/a\tstatus:200\tduration:12.5ms",
        ok("/a", 200, Some(12_500), None),
    );
    check(
        "method:-\turi:-\treq:\\x16\\x03\tstatus:400",
        ok("(broken request)", 400, None, None),
    );
    check("req:\tstatus:400", ok("(broken request)", 400, None, None));
    check(
        "method:GET\turi:/a\tstatus:000",
        ok("GET /a", 0, None, None),
    );
    check("method:GET\turi:/a\tstatus:-", ok("GET /a", 0, None, None));
    check("status:-\tmethod:GET", Err("no status and no path"));
    check(
        "method:GET\turi:/a\tstatus:20",
        Err("a status that is none"),
    );
    check("method:GET\turi:/a\tsta", Err("no status"));
    check("garbage", Err("no status"));
    check("\0\0\0", Err("no status"));
    check(
        "uri:http://h:80/a/7?b\tstatus:200",
        ok("/a/:id", 200, None, None),
    );
    check(
        &format!("uri:/{}\tstatus:200", "x".repeat(8_192)),
        ok("/:text", 200, None, None),
    );
    let long = format!("uri:/{}\tstatus:200", "x".repeat(limits::LINE_BYTES));
    check(&long, Err("a line longer than 1 MiB"));
}

#[test]
fn combined() {
    let check = |behind: &str, expected| {
        let line = format!("::1 - - [20/Nov/2026:10:26:36 +0000] {behind}");
        check("combined", &line, expected);
    };
    let ok = |name, status, time, upstream| Ok((name, status, time, upstream));
    check(
        r#""GET /a/7 HTTP/1.1" 200 5"#,
        ok("GET /a/:id", 200, None, None),
    );
    check(
        r#""GET /a HTTP/1.1" 200 - "-" "x""#,
        ok("GET /a", 200, None, None),
    );
    check(
        r#""GET /a HTTP/1.1" 200 5 "-" "x" 0.5"#,
        ok("GET /a", 200, Some(500_000), None),
    );
    check(
        r#""GET /a HTTP/1.1" 200 5 "-" "x" 0.5 0.1, 0.2 : 0.1"#,
        ok("GET /a", 200, Some(500_000), Some(400_000)),
    );
    check(
        r#""GET /a HTTP/1.1" 200 5 "-" "x" "-" 0.5 -"#,
        ok("GET /a", 200, Some(500_000), None),
    );
    check(
        r#""GET /a HTTP/1.1" 200 5 "-" "x" "1.2.3.4" "0.5" "0.4""#,
        ok("GET /a", 200, Some(500_000), Some(400_000)),
    );
    check(
        r#""GET /a HTTP/1.1" 200 5 "-" "x" "-" rt=0.5 uct="0.001" urt="0.1, 0.3" x="#,
        ok("GET /a", 200, Some(500_000), Some(400_000)),
    );
    check(
        r#""GET /\"q\" HTTP/1.1" 200 5 "-" "a \"quoted\" agent\\" 0.5"#,
        ok("GET /:text", 200, Some(500_000), None),
    );
    check(
        r#""" 400 0 "-" "-" 0.000"#,
        ok("(broken request)", 400, Some(0), None),
    );
    check(
        r#""-" 408 0 "-" "-""#,
        ok("(broken request)", 408, None, None),
    );
    check(
        r#""GET /a HTTP/1.1" 000 0 "-" "-""#,
        ok("GET /a", 0, None, None),
    );
    check(r#""GET /a HTTP/1.1" 499 0 "-" "x"#, Err("a cut line"));
    check(r#""GET /a"#, Err("a cut line"));
    check(r#""GET /a HTTP/1.1""#, Err("a cut line"));
    check("", Err("not in the combined format"));
}

#[test]
fn combined_with_odd_users() {
    let line =
        r#"1.2.3.4 - ann [x] "b [20/Nov/2026:10:26:36 +0000] "GET / HTTP/1.1" 200 5 "-" "x""#;
    check("combined", line, Err("a cut line"));
    let line = r#"1.2.3.4 - ann [x] b [20/Nov/2026:10:26:36 +0000] "GET / HTTP/1.1" 200 5 "-" "x""#;
    check("combined", line, Ok(("GET /", 200, None, None)));
    let (records, _) = read("combined", line.as_bytes());
    assert_eq!(records[0].record.at_us, 1_795_170_396_000_000);
    assert_eq!(records[0].agent, b"x");
    assert_eq!(records[0].client, b"1.2.3.4");
}

#[test]
fn json() {
    let check = |line: &str, expected| check("json", line, expected);
    let ok = |name, status, time, upstream| Ok((name, status, time, upstream));
    check(
        r#"{"method":"GET","uri":"/a/7","status":200,"request_time":0.5,"response_time":"0.1, 0.2"}"#,
        ok("GET /a/:id", 200, Some(500_000), Some(300_000)),
    );
    // Caddy's.
    check(
        r#"{"level":"info","ts":1795170396.6810002,"logger":"http.log.access","msg":"handled request","request":{"remote_ip":"1.2.3.4","method":"GET","host":"a.example","uri":"/a/7?x","headers":{"User-Agent":["curl/8"],"Accept":["*/*"]},"tls":{"resumed":false}},"duration":1.2e-05,"size":10,"status":200,"resp_headers":{"Server":["Caddy"]}}"#,
        ok("GET /a/:id", 200, Some(12), None),
    );
    // Echo's.
    check(
        r#"{"time":"2026-11-20T10:26:36.123456789+09:00","id":"","remote_ip":"127.0.0.1","host":"localhost:1323","method":"GET","uri":"/","user_agent":"x","status":200,"error":"","latency":57000,"latency_human":"57µs","bytes_in":0,"bytes_out":13}"#,
        ok("GET /", 200, Some(57), None),
    );
    check(
        r#"{ "status" : "404" , "path" : "\/a\u0062" }  "#,
        ok("/ab", 404, None, None),
    );
    check(
        r#"web-1  | {"status":404,"path":"/a","x":[1,{"y":"}"}],"z":null}"#,
        ok("/a", 404, None, None),
    );
    check(r#"{"status":null,"path":"/a"}"#, Err("no status"));
    check(r#"{"status":200,"method":"GE"#, Err("a cut line"));
    check(r#"{"status":200,"method":"GET""#, Err("a cut line"));
    check(r#"{"status":200,"#, Err("a cut line"));
    check(r#"{"status""#, Err("a cut line"));
    check(r#"{"a\"#, Err("a cut line"));
    check("{status:200}", Err("no JSON object"));
    check("{}", Err("no status"));
    check("text", Err("no JSON object"));
    let deep = format!(r#"{{"x":{}"#, "[".repeat(1_000));
    check(&deep, Err("objects that lie too deep in each other"));
}

#[test]
fn envoy() {
    let check = |line: &str, expected| check("envoy", line, expected);
    let ok = |name, status, time, upstream| Ok((name, status, time, upstream));
    check(
        r#"[2026-11-20T10:26:36.310Z] "POST /api/v1/a/7?x HTTP/2" 204 - 154 0 226 100 "10.0.35.28" "nsq2http" "cc21d9b0" "a.example" "10.0.2.1:80""#,
        ok("POST /api/v1/a/:id", 204, Some(226_000), Some(100_000)),
    );
    check(
        r#"[2026-11-20T10:26:36.310Z] "GET /a HTTP/1.1" 503 UF upstream_reset - "delayed connect error: 111" 0 91 12 - "-" "say "hi" x" "id" "a" "-" outbound|80||a - 10.0.0.1:80 10.0.0.2:1 - default"#,
        ok("GET /a", 503, Some(12_000), None),
    );
    check(
        r#"[2026-11-20T10:26:36.310Z] "- - HTTP/1.1" 400 DPE 0 11 0 - "-" "-" "-" "-" "-""#,
        ok("(broken request)", 400, Some(0), None),
    );
    check(
        r#"[2026-11-20T10:26:36.310Z] "GET /a HTTP/1.1" 503 UF 0 9"#,
        Err("a cut line"),
    );
    check("x", Err("not in Envoy's default format"));
    check("[", Err("not in Envoy's default format"));
    check("[]", Err("a cut line"));
}

#[test]
fn our_own_events() {
    let log = r#"{"schema":"isukit.events/1"}
{"at_us":1000,"key":"GET /api/teams/:id","latency_us":12.5,"service_us":10.0,"status":200,"body_bytes":64}
{"at_us":2000,"key":"login \"x\"","latency_us":1.0,"service_us":1.0,"body_bytes":0,"error":"timeout"}
{"at_us":2000,"key":"log"#;
    let (records, skips) = read("events", log.as_bytes());
    assert_eq!(skips, ["a cut line"]);
    let [first, second] = records.as_slice() else {
        panic!("{records:?}");
    };
    assert_eq!(first.name, "GET /api/teams/:id");
    assert_eq!((first.record.at_us, first.record.time_ns), (1_012, 12_500));
    assert_eq!((first.record.status, first.record.sent_bytes), (200, 64));
    assert_eq!(second.name, "login \"x\"");
    assert_eq!(
        (second.record.status, second.error.as_slice()),
        (0, &b"timeout"[..])
    );
}

#[test]
fn compiled_formats() {
    let check = |format: &str, line: &str, expected| {
        check(&format!("nginx:{format}"), line, expected);
    };
    let ok = |name, status, time, upstream| Ok((name, status, time, upstream));
    check(
        "$time_local $status $request $request_time $upstream_response_time $upstream_addr",
        "20/Nov/2026:10:26:36 +0000 200 GET /a b HTTP/1.1 0.5 0.1, 0.2 : 0.1 1.1.1.1:80, 1.1.1.2:80 : 1.1.1.3:80",
        ok("GET /:text", 200, Some(500_000), Some(400_000)),
    );
    check(
        r"$status\t$request_method $scheme://$host$request_uri $request_time",
        "200\tGET https://a.example/b/7 0.5",
        ok("GET /b/:id", 200, Some(500_000), None),
    );
    check(
        "$status $request_uri $request_id",
        "200 /a ",
        ok("/a", 200, None, None),
    );
    check(
        "$status $request_uri $request_id",
        "200 /a",
        ok("/a", 200, None, None),
    );
    check(
        "$status $request_uri;",
        "200 /a;x",
        Err("not as the log_format says"),
    );
    check(
        "$status ${request_uri}x",
        "200 /ax",
        ok("/a", 200, None, None),
    );
    check(
        "log_format x escape=json '{\"s\":$status,' '\"u\":\"$request_uri\"}';",
        r#"{"s":200,"u":"/\"a"}"#,
        ok("/:text", 200, None, None),
    );
    check(
        "'$status' ' $request_uri'",
        "200 /a",
        ok("/a", 200, None, None),
    );
}

#[test]
fn an_unknown_time_is_said_to_be_unknown() {
    let (records, _) = read("ltsv", b"uri:/a\tstatus:200\ttime:yesterday");
    assert_eq!(records[0].record.at_us, UNKNOWN_AT);
}
