//! `isukit call`: what is sent, what is shown of the reply, cookies, redirects, and how it ends.

// Failing here is failing a test.
#![allow(clippy::unwrap_used)]

mod support;

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use serde_json::Value;
use support::{Asked, Conn, Ran, Target, finish, isukit, nobody, reply, spawn};

/// What is sent unless a header says otherwise.
const PROTOBUF: &str = "application/vnd.google.protobuf";

fn protos() -> String {
    concat!(env!("CARGO_MANIFEST_DIR"), "/../scenarios/teams").to_owned()
}

/// `isukit call ARGS`, to its end.
#[track_caller]
fn call(args: &[&str]) -> Ran {
    let mut command = isukit();
    command.arg("call").args(args);
    finish(spawn(command))
}

/// The same with the types of the teams, to the end of a good reply; the record it gave.
#[track_caller]
fn record(args: &[&str]) -> Value {
    let protos = protos();
    let ran = call(&[args, &["--proto", protos.as_str(), "--format", "json"][..]].concat());
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(ran.stdout.lines().count(), 1, "{ran:?}");
    ran.report()
}

/// The teams target in this process.
fn teams() -> SocketAddr {
    let (sender, receiver) = std::sync::mpsc::channel();
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            sender.send(listener.local_addr().unwrap()).unwrap();
            teams_target::serve(listener, std::future::pending()).await;
        });
    });
    receiver.recv().unwrap()
}

/// A target that keeps what it was asked and answers with these bytes.
fn keeping(answer: impl Into<Vec<u8>>) -> (Target, Arc<Mutex<Vec<Asked>>>) {
    let kept = Arc::new(Mutex::new(Vec::new()));
    let (keeps, answer) = (Arc::clone(&kept), answer.into());
    let target = Target::start(move |conn: &mut Conn| {
        loop {
            let asked = conn.request()?;
            keeps.lock().unwrap().push(asked);
            conn.say(&answer)?;
        }
    });
    (target, kept)
}

/// What a target gets of a call with these arguments.
#[track_caller]
fn asked(args: &[&str]) -> Asked {
    let (target, kept) = keeping(reply("200 OK", "", ""));
    let url = target.url();
    let ran = call(&[&[url.as_str()][..], args].concat());
    assert_eq!(ran.code, 0, "{ran:?}");
    let kept = kept.lock().unwrap();
    assert_eq!(kept.len(), 1);
    kept[0].clone()
}

#[test]
fn replies_are_decoded_by_type() {
    let address = teams();
    let url = format!("http://{address}/api/teams/7");
    let seen = record(&[&url, "--reply", "GetTeamResponse"]);
    assert_eq!(seen["schema"], "isukit.decode/1");
    assert_eq!(seen["kind"], "body");
    assert_eq!(seen["type"], "teams.v1.GetTeamResponse");
    assert_eq!(seen["status"], 200);
    assert_eq!(seen["method"], "GET");
    assert_eq!(seen["url"], "/api/teams/7");
    assert_eq!(seen["message"]["team"]["id"], "7");
    assert_eq!(seen["error"], Value::Null);
    // Found by its route.
    let seen = record(&[&url]);
    assert_eq!(seen["type"], "teams.v1.GetTeamResponse");
    assert_eq!(seen["source"], "inferred");
}

#[test]
fn json_text_and_files_make_the_same_request() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        format!("@{}", path.display())
    };
    let protos = protos();
    let bytes = b"\x0a\x03ann\x12\x03bob";
    let json = r#"{"name": "ann", "memberNames": ["bob"]}"#;
    let text = "name: \"ann\" member_names: \"bob\"";
    for body in [
        json.to_owned(),
        text.to_owned(),
        file("a.json", json.as_bytes()),
        file("a.txt", text.as_bytes()),
        file("a.bin", bytes),
    ] {
        let asked = asked(&[
            "--proto",
            &protos,
            "--message",
            "CreateTeamRequest",
            "--body",
            &body,
        ]);
        assert!(asked.head.starts_with("POST / HTTP/1.1\r\n"), "{asked:?}");
        assert_eq!(asked.body, bytes, "{body}");
        assert_eq!(asked.header("content-type"), Some(PROTOBUF));
        assert_eq!(asked.header("content-length"), Some("10"));
    }
}

#[test]
fn requests_are_what_was_typed() {
    let check = |args: &[&str], line: &str, headers: &[(&str, Option<&str>)], body: &[u8]| {
        let asked = asked(args);
        assert_eq!(asked.head.lines().next(), Some(line), "{args:?}");
        for (name, value) in headers {
            assert_eq!(asked.header(name), *value, "{name} of {args:?}");
        }
        assert_eq!(asked.body, body, "{args:?}");
    };
    let none = ("content-type", None);
    check(
        &[],
        "GET / HTTP/1.1",
        &[none, ("content-length", None)],
        b"",
    );
    check(
        &["--body", r#"{"a": 1}"#],
        "POST / HTTP/1.1",
        &[("content-type", Some("application/json"))],
        br#"{"a": 1}"#,
    );
    check(
        &["--body", "a=1", "-H", "content-type: text/csv"],
        "POST / HTTP/1.1",
        &[("content-type", Some("text/csv"))],
        b"a=1",
    );
    check(
        &[
            "-H",
            "Host: other.example",
            "-H",
            "X-A: 1",
            "-H",
            "User-Agent: me",
        ],
        "GET / HTTP/1.1",
        &[
            ("host", Some("other.example")),
            ("x-a", Some("1")),
            ("user-agent", Some("me")),
        ],
        b"",
    );
    let protos = protos();
    check(
        &["--proto", &protos, "--message", "CreateTeamRequest"],
        "POST / HTTP/1.1",
        &[
            ("content-type", Some(PROTOBUF)),
            ("content-length", Some("0")),
        ],
        b"",
    );
    // Who knows message types says so, as some apps want it with a GET as well.
    check(
        &["--proto", &protos],
        "GET / HTTP/1.1",
        &[("content-type", Some(PROTOBUF)), ("content-length", None)],
        b"",
    );
    check(
        &[
            "--proto",
            &protos,
            "-H",
            "content-type: application/x-protobuf",
        ],
        "GET / HTTP/1.1",
        &[("content-type", Some("application/x-protobuf"))],
        b"",
    );
}

#[test]
fn methods_are_typed_before_the_url() {
    let (target, kept) = keeping(reply("204 No Content", "", ""));
    let place = target.address.to_string();
    for args in [
        vec!["DELETE", place.as_str()],
        vec!["delete", place.as_str()],
        vec!["PURGE", place.as_str()],
        vec!["HEAD", place.as_str()],
    ] {
        let ran = call(&args);
        assert_eq!(ran.code, 0, "{ran:?}");
    }
    let lines: Vec<String> = kept
        .lock()
        .unwrap()
        .iter()
        .map(|asked| asked.head.lines().next().unwrap().to_owned())
        .collect();
    let expected = ["DELETE", "DELETE", "PURGE", "HEAD"].map(|m| format!("{m} / HTTP/1.1"));
    assert_eq!(lines, expected);
}

#[test]
fn a_body_may_come_from_stdin() {
    let (target, kept) = keeping(reply("200 OK", "", ""));
    let mut command = isukit();
    command
        .args(["call", &target.url(), "--body", "-"])
        .stdin(Stdio::piped());
    let mut process = spawn(command);
    let mut stdin = process.child.stdin.take().unwrap();
    std::io::Write::write_all(&mut stdin, b"hello").unwrap();
    drop(stdin);
    assert_eq!(finish(process).code, 0);
    assert_eq!(kept.lock().unwrap()[0].body, b"hello");
}

#[test]
fn maps_name_both_types() {
    let folder = tempfile::tempdir().unwrap();
    let map = folder.path().join("routes.toml");
    std::fs::write(
        &map,
        "error = \"Error\"\n[routes.\"POST /api/teams\"]\nrequest = \"CreateTeamRequest\"\n\
         response = \"CreateTeamResponse\"\n",
    )
    .unwrap();
    let (map, protos) = (map.to_str().unwrap(), protos());
    let url = format!("http://{}/api/teams", teams());
    let seen = record(&[&url, "--map", map, "--body", r#"{"name": "ann"}"#]);
    assert_eq!(seen["type"], "teams.v1.CreateTeamResponse");
    assert_eq!(seen["source"], "map");
    assert_eq!(seen["message"]["team"]["name"], "ann");
    // A body without a name is an error of the map's type.
    let args = [
        url.as_str(),
        "--map",
        map,
        "--body",
        "{}",
        "--proto",
        &protos,
    ];
    let ran = call(&[&args[..], &["--format", "json"]].concat());
    assert_eq!(ran.code, 1, "{ran:?}");
    assert_eq!(ran.report()["type"], "teams.v1.Error");
    assert_eq!(ran.report()["status"], 400);
}

#[test]
fn exit_codes_say_whose_fault_it_was() {
    let protos = protos();
    let place = teams().to_string();
    let (team, none) = (format!("{place}/api/teams/7"), format!("{place}/nothing"));
    let (_socket, nobody) = nobody();
    let nobody = nobody.to_string();
    let silent = Target::start(|conn| conn.until_closed());
    let silent = silent.url();
    let check = |args: &[&str], code: i32, part: &str| {
        let ran = call(&[args, &["--proto", protos.as_str()][..]].concat());
        let all = format!("{}{}", ran.stdout, ran.stderr);
        assert_eq!(ran.code, code, "{args:?}: {ran:?}");
        assert!(all.contains(part), "{args:?}: no `{part}` in {ran:?}");
    };
    check(&[&team, "--reply", "GetTeamResponse"], 0, "GetTeamResponse");
    check(&[&team, "--reply", "Member"], 1, "teams.v1.Member.id has");
    check(&[&none, "--error", "Error"], 1, "teams.v1.Error");
    check(&[&none], 1, "\"status\":404");
    check(&[&nobody], 2, "cannot connect");
    check(&["http://no.such.host.invalid/"], 2, "cannot connect");
    check(&[&silent, "--timeout", "100ms"], 2, "within 100ms");
    check(&["GET"], 2, "there is no URL");
    check(&["ftp://127.0.0.1/"], 2, "not http");
    check(&["G/T", &team], 2, "no method");
    check(&[&team, "--reply", "GetTeamRespons"], 2, "GetTeamResponse");
    check(
        &[
            &team,
            "--message",
            "CreateTeamRequest",
            "--body",
            "{\"nam\": 1}",
        ],
        2,
        "name",
    );
    check(&[&team, "--body", "@/no/such/file"], 2, "/no/such/file");
    check(&[&team, "-H", "nonsense"], 2, "no colon");
    check(&[&team, "-H", "Content-Length: 5"], 2, "leave it out");
    check(
        &[&team, "--output", "/no/such/folder/x"],
        2,
        "/no/such/folder",
    );
    let ran = call(&[&team, "--reply", "GetTeamResponse"]);
    assert_eq!(
        (ran.code, ran.stderr.contains("--proto")),
        (2, true),
        "{ran:?}"
    );
}

#[test]
fn replies_that_break_off_are_the_targets_failure() {
    let check = |bytes: &'static [u8], part: &str| {
        let target = Target::start(move |conn| {
            conn.request()?;
            conn.say(bytes)
        });
        let ran = call(&[&target.url(), "--format", "json"]);
        assert_eq!(ran.code, 1, "{ran:?}");
        assert!(ran.stdout.contains(part), "{ran:?}");
    };
    check(
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc",
        "ends before it is complete",
    );
    check(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
        "ends before it is complete",
    );
    let target = Target::start(|conn| {
        conn.request()?;
        conn.say(reply(
            "200 OK",
            "Content-Type: text/plain\r\n",
            vec![b'x'; 5_000],
        ))
    });
    let ran = call(&[&target.url(), "--max-body", "1000", "--format", "text"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.stdout.contains("--max-body"), "{ran:?}");
}

#[test]
fn compressed_replies_are_read() {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut encoder, b"\x0a\x05\x08\x07\x12\x01a").unwrap();
    let body = encoder.finish().unwrap();
    let headers = "Content-Encoding: gzip\r\nContent-Type: application/x-protobuf\r\n";
    let (target, _) = keeping(reply("200 OK", headers, body));
    let seen = record(&[&target.url(), "--reply", "GetTeamResponse"]);
    assert_eq!(seen["message"]["team"]["name"], "a");
    assert_eq!(seen["bytes"], 7);
}

#[test]
fn people_see_status_headers_and_indented_json() {
    let protos = protos();
    let url = format!("http://{}/api/teams/7", teams());
    let args = [
        url.as_str(),
        "--proto",
        &protos,
        "--reply",
        "GetTeamResponse",
    ];
    let ran = call(&[&args[..], &["--format", "text"]].concat());
    let lines: Vec<&str> = ran.stdout.lines().collect();
    assert_eq!(lines[0], "HTTP/1.1 200 OK", "{ran:?}");
    assert!(
        lines.contains(&"Content-Type: application/vnd.google.protobuf"),
        "{ran:?}"
    );
    assert!(lines.contains(&"# teams.v1.GetTeamResponse"), "{ran:?}");
    assert!(lines.contains(&"  \"team\": {"), "{ran:?}");
    assert!(!ran.stdout.contains("Content-Length"), "{ran:?}");

    let ran = call(&[&args[..], &["--format", "text", "-v"]].concat());
    let has = |part: &str| assert!(ran.stdout.contains(part), "no `{part}` in {}", ran.stdout);
    has("> GET /api/teams/7 HTTP/1.1\n");
    has("> Host: 127.0.0.1:");
    has("< HTTP/1.1 200 OK\n");
    has("< Content-Length: ");
    has("< 000000  0a ");
    has("team 1: teams.v1.Team, ");

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("reply.json");
    let ran = call(&[&args[..], &["--output", path.to_str().unwrap()]].concat());
    assert_eq!((ran.code, ran.stdout.as_str()), (0, ""));
    let line: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    assert_eq!(line["status"], 200);
}

#[test]
fn secrets_and_terminal_escapes_are_not_shown() {
    let headers = "Set-Cookie: session=abcdefghijklmnopqrstuvwxyz; Path=/\r\n\
                   X-Evil: \u{9b}31m\r\nContent-Type: text/plain\r\n";
    let answer = reply("200 OK", headers, "\u{1b}]0;title\u{7}\u{9b}2J");
    let (target, kept) = keeping(answer);
    let url = format!("http://ann:hunter22@{}/", target.address);
    for format in ["text", "json"] {
        let ran = call(&[
            &url,
            "-v",
            "--format",
            format,
            "-H",
            "Cookie: session=zyxwvutsrqponmlkjihg",
        ]);
        let all = format!("{}{}", ran.stdout, ran.stderr);
        let harmful = |c: char| c.is_control() && c != '\n';
        assert!(!all.contains(harmful), "{format}: {all:?}");
        for secret in ["abcdefgh", "zyxwvuts", "hunter22", "YW5uO"] {
            assert!(!all.contains(secret), "{format}: {all}");
        }
        if format == "text" {
            assert!(all.contains("session=abcd... (26 characters)"), "{all}");
            assert!(all.contains("session=zyxw... (20 characters)"), "{all}");
        }
    }
    let kept = kept.lock().unwrap();
    assert_eq!(
        kept[0].header("cookie"),
        Some("session=zyxwvutsrqponmlkjihg")
    );
    assert_eq!(
        kept[0].header("authorization"),
        Some("Basic YW5uOmh1bnRlcjIy")
    );
}

/// curl, quietly, to its end.
fn curl(args: &[&str]) -> Ran {
    let mut command = Command::new("curl");
    command
        .args(["-sS", "-m", "20"])
        .args(args)
        .stdin(Stdio::null());
    finish(spawn(command))
}

#[test]
fn cookie_files_are_shared_with_curl() {
    let folder = tempfile::tempdir().unwrap();
    let headers = "Set-Cookie: session=one; Path=/; HttpOnly\r\n\
                   Set-Cookie: kept=two; Path=/; Max-Age=1000\r\n\
                   Set-Cookie: dead=x; Path=/; Max-Age=0\r\n\
                   Set-Cookie: deep=three; Path=/deep\r\n";
    let (target, kept) = keeping(reply("200 OK", headers, ""));
    let cookies = |asked: &Asked| {
        let mut pairs: Vec<String> = asked
            .header("cookie")
            .unwrap_or_default()
            .split("; ")
            .map(str::to_owned)
            .collect();
        pairs.sort();
        pairs.join("; ")
    };
    let url = target.url();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (ours, theirs) = (path("ours"), path("theirs"));
    let is_private = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777 == 0o600;

    assert_eq!(call(&[&url, "--cookie-jar", &ours]).code, 0);
    assert!(is_private(&PathBuf::from(&ours)));
    assert_eq!(call(&[&url, "--cookie-jar", &ours]).code, 0);
    assert_eq!(curl(&["-b", &ours, &url]).code, 0);
    assert_eq!(curl(&["-c", &theirs, &url]).code, 0);
    assert_eq!(call(&[&url, "--cookie-jar", &theirs]).code, 0);
    let deep = format!("{url}deep/er");
    assert_eq!(call(&[&deep, "--cookie-jar", &theirs]).code, 0);

    let kept = kept.lock().unwrap();
    let seen: Vec<String> = kept.iter().map(cookies).collect();
    let both = "kept=two; session=one";
    let all = "deep=three; kept=two; session=one";
    assert_eq!(seen, ["", both, both, "", both, all]);
    let text = std::fs::read_to_string(&ours).unwrap();
    assert!(
        text.contains("#HttpOnly_127.0.0.1\tFALSE\t/\tFALSE\t0\tsession\tone\n"),
        "{text}"
    );
    // One that others could read is private once we have written it.
    assert!(is_private(&PathBuf::from(&theirs)));
}

#[test]
fn redirects_are_shown_or_followed() {
    let target = Target::start(|conn| {
        loop {
            let asked = conn.request()?;
            let path = asked.head.split(' ').nth(1)?.to_owned();
            conn.say(match path.as_str() {
                "/a" => reply(
                    "302 Found",
                    "Location: /b\r\nSet-Cookie: s=1; Path=/\r\n",
                    "",
                ),
                "/loop" => reply("302 Found", "Location: /loop\r\n", ""),
                "/out" => reply("302 Found", "Location: javascript:alert(1)\r\n", ""),
                _ => {
                    let seen = asked.header("cookie").unwrap_or("none").to_owned();
                    reply("200 OK", "Content-Type: text/plain\r\n", seen)
                }
            })?;
        }
    });
    let check = |path: &str, args: &[&str], code: i32, part: &str, absent: &str| {
        let url = format!("{}{path}", target.url());
        let ran = call(&[&[url.as_str(), "--format", "text"][..], args].concat());
        let all = format!("{}{}", ran.stdout, ran.stderr);
        assert_eq!(ran.code, code, "{ran:?}");
        assert!(all.contains(part) && !all.contains(absent), "{ran:?}");
    };
    check("a", &[], 0, "Location: /b", "200 OK");
    check("a", &["--follow"], 0, "200 OK", "none");
    check("a", &["-L", "-v"], 0, "> Cookie: s=", "none");
    check("loop", &["-L"], 2, "redirects", "200 OK");
    check("out", &["-L"], 2, "cannot be followed", "200 OK");
}

#[test]
fn a_call_is_quick() {
    let url = format!("http://{}/api/teams/7", teams());
    let protos = protos();
    let args = [
        url.as_str(),
        "--proto",
        &protos,
        "--reply",
        "GetTeamResponse",
    ];
    let quickest = (0..5).map(|_| call(&args).took).min().unwrap();
    // Unoptimised and on a machine with other things to do; the release build takes a few milliseconds.
    assert!(quickest < Duration::from_millis(500), "{quickest:?}");
}

#[test]
fn help_has_examples() {
    for command in ["call", "tap"] {
        let mut isukit = isukit();
        isukit.args([command, "--help"]);
        let ran = finish(spawn(isukit));
        assert_eq!(ran.code, 0);
        assert!(
            ran.stdout.contains(&format!("isukit {command} ")),
            "{ran:?}"
        );
        assert!(ran.stdout.contains("Examples:"), "{ran:?}");
    }
}
