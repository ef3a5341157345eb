//! `isukit decode` as it is called: what it takes, how types are found, what is chosen, and how it ends.

// Failing here is failing a test.
#![allow(clippy::unwrap_used)]

mod support;

use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

use base64::Engine;
use serde_json::{Value, json};
use support::decode::{PROTOBUF, Packets, Shown, call, check_lines, decode, protos, request, team};
use support::{Process, isukit, reply};

/// A team whose reply has 40 bytes or so.
fn red() -> Vec<u8> {
    let json = r#"{"team": {"id": "7", "name": "red", "score": 1.5, "labels": {"k": "v"},
        "members": [{"id": "1", "name": "ann", "role": "ROLE_LEADER"}]}}"#;
    team("GetTeamResponse", json)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// As `xxd` writes it.
fn dump(bytes: &[u8]) -> String {
    let mut text = String::new();
    for (at, row) in bytes.chunks(16).enumerate() {
        let pairs: Vec<String> = row.chunks(2).map(hex).collect();
        let side = row.iter().map(|byte| match byte {
            0x20..0x7f => char::from(*byte),
            _ => '.',
        });
        let side: String = side.collect();
        text += &format!("{:08x}: {:<39}  {side}\n", at * 16, pairs.join(" "));
    }
    text
}

fn delimited(bodies: &[&[u8]]) -> Vec<u8> {
    let parts = bodies
        .iter()
        .flat_map(|body| [&[body.len() as u8][..], body].concat());
    parts.collect()
}

fn grpc(body: &[u8]) -> Vec<u8> {
    [&[0, 0, 0, 0, body.len() as u8], body].concat()
}

/// Lookups of teams with ids from 1 to 30, a few of which fail, and teams that are made.
fn traffic(packets: &mut Packets) {
    for id in 1..=30 {
        let text = format!(
            r#"{{"team": {{"id": "{id}", "name": "team-{id}", "score": {id}.5,
                "members": [{{"id": "{id}", "name": "ann", "role": "ROLE_LEADER"}}]}}}}"#
        );
        let (status, body) = match id % 10 {
            0 => (
                "404 Not Found",
                team("Error", r#"{"code": 404, "humanMessage": "no such team"}"#),
            ),
            _ => ("200 OK", team("GetTeamResponse", &text)),
        };
        packets.exchange(
            format!("GET /api/teams/{id} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes(),
            &reply(status, PROTOBUF, body),
        );
        let asked = format!(r#"{{"name": "team-{id}", "memberNames": ["ann", "bob"]}}"#);
        packets.exchange(
            &request(
                "POST /api/teams",
                PROTOBUF,
                &team("CreateTeamRequest", &asked),
            ),
            &reply("201 Created", PROTOBUF, team("CreateTeamResponse", &text)),
        );
    }
}

fn captured() -> Vec<u8> {
    let mut packets = Packets::pcap();
    traffic(&mut packets);
    packets.bytes()
}

#[test]
fn what_a_file_is_is_found_by_its_content() {
    let body = red();
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\ntransfer-encoding: chunked\r\n\r\n";
    let (mut pcap, mut pcapng) = (Packets::pcap(), Packets::pcapng());
    for packets in [&mut pcap, &mut pcapng] {
        packets.exchange(
            b"GET /t HTTP/1.1\r\n\r\n",
            &reply("200 OK", PROTOBUF, &body),
        );
    }
    let rows: Vec<(&str, Vec<u8>, usize)> = vec![
        ("binary", body.clone(), 1),
        ("hex", hex(&body).into(), 1),
        ("dump", dump(&body).into(), 1),
        (
            "base64",
            base64::engine::general_purpose::STANDARD
                .encode(&body)
                .into(),
            1,
        ),
        ("delimited", delimited(&[&body, &body, &body]), 3),
        ("grpc", grpc(&body), 1),
        ("curl -i", [head.as_bytes(), &body].concat(), 1),
        ("pcap", pcap.bytes(), 1),
        ("pcapng", pcapng.bytes(), 1),
    ];
    let folder = tempfile::tempdir().unwrap();
    for (what, bytes, count) in rows {
        let check = |shown: &Shown| {
            assert_eq!(shown.code, 0, "{what}: {shown:?}");
            let bodies = shown.bodies();
            assert_eq!(bodies.len(), count, "{what}: {shown:?}");
            for line in bodies {
                assert_eq!(line["type"], "teams.v1.GetTeamResponse", "{what}: {line}");
                assert_eq!(line["confidence"], 1.0);
                assert_eq!(line["bytes"], body.len(), "{what}: {line}");
                assert_eq!(line["error"], Value::Null, "{what}: {line}");
                let team = &line["message"]["team"];
                assert_eq!(
                    (&team["id"], &team["labels"]["k"]),
                    (&json!("7"), &json!("v"))
                );
            }
        };
        check(&decode(&["--type", "GetTeamResponse"], &bytes));
        check(&decode(&["--type", ".teams.v1.GetTeamResponse"], &bytes));
        let path = folder.path().join("body");
        std::fs::write(&path, &bytes).unwrap();
        let (protos, path) = (protos("teams"), path.display().to_string());
        let args = [
            "decode",
            "--proto",
            &protos,
            &path,
            "--type",
            "GetTeamResponse",
        ];
        check(&call(&args, b""));
    }
    let without = call(&["decode"], &body).bodies();
    assert_eq!(without[0]["type"], Value::Null);
    assert_eq!(without[0]["message"]["1"]["2"], "red", "{without:?}");
}

#[test]
fn what_is_wrong_with_the_question_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let map = |text: &str| {
        let path = folder.path().join("map.toml");
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let check = |args: &[&str], stdin: &[u8], parts: &[&str]| {
        let shown = decode(args, stdin);
        assert_eq!(shown.code, 2, "{args:?}: {shown:?}");
        for part in parts {
            assert!(
                shown.stderr.contains(part),
                "{args:?}: {part}: {}",
                shown.stderr
            );
        }
    };
    check(
        &["--type", "GetTeamRespons"],
        &red(),
        &["--type", "GetTeamResponse"],
    );
    check(
        &["--where", "statu == 200"],
        &red(),
        &["did you mean status?"],
    );
    check(&["--where", "status =="], &red(), &["--where"]);
    check(&["--as", "hex"], b"zz", &["not hex", "line 1"]);
    check(
        &["--map", "/nowhere.toml"],
        &red(),
        &["cannot read /nowhere.toml"],
    );
    let wrong = map("[routes.\"GET /a\"]\nrespons = \"Team\"\n");
    check(&["--map", &wrong], &red(), &["respons", "response"]);
    let wrong = map("[routes.\"GET /a\"]\nresponse = \"Teem\"\n");
    check(&["--map", &wrong], &red(), &["GET /a", "Team"]);
    let shown = call(&["decode", "--explain"], &red());
    assert_eq!(
        (shown.code, shown.stderr.contains("give --proto")),
        (2, true),
        "{shown:?}"
    );
    let shown = call(&["decode", "/nowhere.pcap"], b"");
    assert_eq!(
        (shown.code, shown.stderr.contains("/nowhere.pcap")),
        (2, true),
        "{shown:?}"
    );
}

#[test]
fn types_are_found_written_down_and_taken_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    std::fs::write(path("a.pcap"), captured()).unwrap();
    let (protos, capture, map) = (protos("teams"), path("a.pcap"), path("map.toml"));
    let run = |more: &[&str]| {
        let mut args = vec!["decode", "--proto", &protos, &capture];
        args.extend(more);
        let shown = call(&args, b"");
        assert_eq!(shown.code, 0, "{shown:?}");
        shown
    };
    let first = run(&["--save-map", &map, "--explain"]).bodies();
    assert_eq!(first.len(), 90);
    for line in &first {
        let wanted = match (line["direction"].as_str(), line["method"].as_str()) {
            (Some("request"), _) => "teams.v1.CreateTeamRequest",
            _ if line["status"] == 404 => "teams.v1.Error",
            (_, Some("POST")) => "teams.v1.CreateTeamResponse",
            _ => "teams.v1.GetTeamResponse",
        };
        assert_eq!(line["type"], wanted, "{line}");
        assert!(!line["why"].as_str().unwrap().is_empty(), "{line}");
        assert!(
            line["candidates"]
                .as_array()
                .unwrap()
                .contains(&line["type"])
        );
    }
    let saved = std::fs::read_to_string(&map).unwrap();
    assert!(saved.contains("[routes.\"GET /api/teams/:id\"]"), "{saved}");
    let second = run(&["--map", &map]).bodies();
    for (line, before) in second.iter().zip(&first) {
        assert_eq!(
            (&line["type"], &line["message"]),
            (&before["type"], &before["message"])
        );
        assert_eq!(line["confidence"], 1.0, "{line}");
        assert_eq!(line["source"], "map", "{line}");
    }
    // What is corrected is taken, and may be saved over itself.
    let other = saved.replace("teams.v1.GetTeamResponse", "Team");
    std::fs::write(&map, other).unwrap();
    let corrected = run(&["--map", &map, "--save-map", &map]).bodies();
    assert!(
        corrected
            .iter()
            .any(|line| line["type"] == "teams.v1.Team" && line["source"] == "map")
    );
    // A pipe, whose types are settled before its first body is written.
    let piped = decode(&[], &captured()).bodies();
    assert_eq!(piped.len(), first.len());
    for (line, before) in piped.iter().zip(&first) {
        assert_eq!(line["type"], before["type"], "{line}");
    }
    let text = run(&["--explain", "--format", "text"]).text();
    assert!(text.contains("# POST /api/teams") || text.contains("POST /api/teams ->"));
    assert!(text.ends_with("# 90 bodies\n"), "{text}");
}

#[test]
fn bodies_are_chosen_by_conditions() {
    let capture = captured();
    let check = |condition: &str, count: usize, complaint: bool| {
        let shown = decode(&["--where", condition], &capture);
        assert_eq!(
            (shown.code, shown.bodies().len()),
            (0, count),
            "{condition}: {}",
            shown.stderr
        );
        let summary = shown.summary();
        assert_eq!(summary["bodies"], count);
        assert_eq!(summary["filtered"], 90 - count);
        assert_eq!(
            shown.stderr.contains("could not be held against"),
            complaint,
            "{condition}: {shown:?}"
        );
    };
    check("status >= 400", 3, false);
    check("status != null && status >= 400", 3, false);
    check(
        "direction == 'response' && method == 'GET' && message.team.id == 7",
        1,
        false,
    );
    check(
        "type == 'teams.v1.GetTeamResponse' && message.team.id == 7",
        1,
        false,
    );
    check(
        "direction == 'request' && message.memberNames[1] == 'bob'",
        30,
        false,
    );
    check(
        "direction == 'request' && message.member_names[1] == 'bob'",
        30,
        false,
    );
    check("status == 404 && message.human_message != ''", 3, false);
    check("status == 404 && message.humanMessage != ''", 3, false);
    check(
        "status == 201 && message.team.members[0].role == 'ROLE_LEADER'",
        30,
        false,
    );
    check(
        "route == 'GET /api/teams/:id' && path == '/api/teams/9'",
        1,
        false,
    );
    check("direction == 'request' && message.nothing == 1", 0, true);
    check(
        "latency != null && latency > 0.0 && bytes > 10 && client != server",
        60,
        false,
    );
    check("error == null && confidence > 0.2 && index < 10", 10, false);
}

#[test]
fn sums_are_by_route_with_a_schema_and_without() {
    let capture = captured();
    let shown = decode(&["--stats"], &capture);
    let stats = shown.lines("stats");
    let of = |route: &str, kind: &str| {
        let line = stats
            .iter()
            .find(|line| line["route"] == route && line["type"] == kind);
        line.unwrap_or_else(|| panic!("{route} {kind} in {stats:#?}"))
            .clone()
    };
    let asked = of("POST /api/teams", "teams.v1.CreateTeamRequest");
    assert_eq!(
        (&asked["bodies"], &asked["errors"]),
        (&json!(30), &json!(0))
    );
    assert_eq!(asked["fields"][0]["path"], "member_names");
    let read = of("GET /api/teams/:id", "teams.v1.GetTeamResponse");
    assert_eq!(read["bodies"], 27);
    assert!(read["latency"]["p50_s"].as_f64().unwrap() > 0.0);
    let fields: f64 = read["fields"]
        .as_array()
        .unwrap()
        .iter()
        .map(|field| field["bytes"].as_f64().unwrap())
        .sum();
    assert_eq!(fields, read["bytes"].as_f64().unwrap());
    assert!(shown.bodies().is_empty());
    let text = decode(&["--stats", "--format", "text"], &capture).text();
    assert!(
        text.contains("GET /api/teams/:id") && text.contains("member_names"),
        "{text}"
    );
    let without = call(&["decode", "--stats"], &capture).lines("stats");
    let routes: Vec<&Value> = without.iter().map(|line| &line["route"]).collect();
    assert!(routes.contains(&&json!("GET /api/teams/:id")), "{routes:?}");
}

#[test]
fn what_has_no_bodies_is_told_with_what_to_do() {
    let empty = Packets::pcap().bytes();
    let mut silent = Packets::pcap();
    silent.exchange(
        b"GET / HTTP/1.1\r\n\r\n",
        b"HTTP/1.1 304 Not Modified\r\n\r\n",
    );
    let mut tls = Packets::pcap();
    let hello = [
        &[
            22, 3, 1, 0, 80, 1, 0, 0, 76, 3, 3, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,
        ][..],
        &[0; 63],
    ]
    .concat();
    tls.exchange(&hello, &[23, 3, 3, 0, 5, 1, 2, 3, 4, 5]);
    let mut http2 = Packets::pcap();
    http2.exchange(
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0",
        b"\0\0\0\x04\0\0\0\0\0",
    );
    let other = captured();
    let rows: [(&str, &[u8], &[&str], &str); 6] = [
        ("empty capture", &empty, &[], "0 packets"),
        ("no bodies", &silent.bytes(), &[], "no HTTP/1.1 bodies"),
        ("TLS", &tls.bytes(), &[], "--keylog"),
        ("HTTP/2", &http2.bytes(), &[], "HTTP/2"),
        ("other port", &other, &["--port", "80"], "--port"),
        ("empty file", b"", &["--as", "capture"], ""),
    ];
    for (what, bytes, args, part) in rows {
        let shown = decode(args, bytes);
        assert_eq!(shown.code, 2, "{what}: {shown:?}");
        assert!(
            !shown.stderr.is_empty() && shown.stderr.contains(part),
            "{what}: {shown:?}"
        );
        assert!(shown.bodies().is_empty(), "{what}: {shown:?}");
    }
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.pcap");
    let mut packets = Packets::pcap();
    for _ in 0..40 {
        traffic(&mut packets);
    }
    std::fs::write(&path, packets.bytes()).unwrap();
    let mut command = isukit();
    command
        .args(["decode", "--proto", &protos("teams")])
        .arg(&path);
    let child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut process = Process {
        child,
        started: std::time::Instant::now(),
    };
    let mut line = String::new();
    let mut reader = BufReader::new(process.child.stdout.take().unwrap());
    reader.read_line(&mut line).unwrap();
    check_lines(&line);
    drop(reader);
    assert_eq!(process.child.wait().unwrap().code(), Some(0));
}

#[test]
fn a_pipe_is_shown_as_it_comes() {
    check_pipe(&["--proto", &protos("teams")], json!("teams.v1.Error"));
    check_pipe(&[], Value::Null);
}

/// The pipe stays open, and all lines come nevertheless; those of errors are of type `error`.
#[track_caller]
fn check_pipe(args: &[&str], error: Value) {
    let mut command = isukit();
    command.arg("decode").args(args);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let child = command.spawn().unwrap();
    let started = std::time::Instant::now();
    let mut process = Process { child, started };
    let mut to = process.child.stdin.take().unwrap();
    let lines = BufReader::new(process.child.stdout.take().unwrap()).lines();
    let mut packets = Packets::pcap();
    traffic(&mut packets);
    let first = packets.bytes();
    to.write_all(&first).unwrap();
    std::thread::sleep(std::time::Duration::from_millis(1_200));
    traffic(&mut packets);
    to.write_all(&packets.bytes()[first.len()..]).unwrap();
    for line in lines.take(180) {
        let line: Value = serde_json::from_str(&line.unwrap()).unwrap();
        assert!(line["status"] != 404 || line["type"] == error, "{line}");
    }
    drop(to);
    assert_eq!(process.child.wait().unwrap().code(), Some(0));
}

#[test]
fn a_file_is_for_its_owner_and_never_the_input() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    std::fs::write(path("a.pcap"), captured()).unwrap();
    let (input, out, link) = (path("a.pcap"), path("out.ndjson"), path("link"));
    let shown = call(&["decode", &input, "-o", &out], b"");
    assert_eq!((shown.code, shown.stdout.as_slice()), (0, &b""[..]));
    let mode = std::fs::metadata(&out).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let written = std::fs::read_to_string(&out).unwrap();
    assert_eq!(check_lines(&written).len(), 91);
    // One that others may read is not left so.
    std::fs::set_permissions(&out, std::fs::Permissions::from_mode(0o644)).unwrap();
    assert_eq!(call(&["decode", &input, "-o", &out], b"").code, 0);
    let mode = std::fs::metadata(&out).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    std::os::unix::fs::symlink(&input, &link).unwrap();
    for output in [&input, &link] {
        let shown = call(&["decode", &input, "-o", output], b"");
        assert_eq!(shown.code, 2, "{shown:?}");
    }
    assert_eq!(std::fs::read(&input).unwrap(), captured());
}
