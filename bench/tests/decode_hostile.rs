//! `isukit decode` with bodies that are broken, lie about what they are, or talk to the terminal.

// Failing here is failing a test.
#![allow(clippy::unwrap_used)]

mod support;

use std::io::Write;
use std::process::Command;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::Value;
use support::decode::{PROTOBUF, Packets, call, decode, pipe, protos, request, team};
use support::reply;

const GET: &[u8] = b"GET /api/teams/7 HTTP/1.1\r\nHost: a\r\n\r\n";

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn fine() -> Vec<u8> {
    team(
        "GetTeamResponse",
        r#"{"team": {"id": "7", "name": "red", "members": [{"id": "1", "name": "ann"}]}}"#,
    )
}

/// What is shown of a reply with `headers` and `body`; the reply after it is fine in any case.
#[track_caller]
fn shown_of(headers: &str, body: &[u8], args: &[&str]) -> Value {
    let mut packets = Packets::pcap();
    packets.exchange(GET, &reply("200 OK", headers, body));
    packets.exchange(GET, &reply("200 OK", PROTOBUF, fine()));
    let mut all = vec!["--type", "GetTeamResponse"];
    all.extend(args);
    let shown = decode(&all, &packets.bytes());
    assert_eq!(shown.code, 0, "{shown:?}");
    let mut bodies = shown.bodies();
    assert_eq!(bodies.len(), 2, "{shown:?}");
    let next = bodies.pop().unwrap();
    assert_eq!(next["error"], Value::Null, "{next}");
    assert_eq!(next["message"]["team"]["name"], "red");
    let summary = shown.summary();
    let broken = u64::from(bodies[0]["error"] != Value::Null);
    assert_eq!(summary["undecoded"], broken);
    assert_eq!(summary["decoded"], 2 - broken);
    all.extend(["--format", "text"]);
    let text = decode(&all, &packets.bytes());
    assert_eq!(text.code, 0, "{text:?}");
    if let Some(error) = bodies[0]["error"].as_str() {
        assert!(text.text().contains(error), "{error}: {}", text.text());
    }
    bodies.remove(0)
}

#[test]
fn of_a_broken_body_is_shown_what_can_be_read() {
    let whole = fine();
    let cut = &whole[..whole.len() - 2];
    let line = shown_of(PROTOBUF, cut, &[]);
    let error = line["error"].as_str().unwrap();
    assert!(error.contains("byte"), "{error}");
    assert_eq!(line["type"], "teams.v1.GetTeamResponse");
    assert_eq!(line["message"]["team"]["name"], "red", "{line}");
    assert_eq!(line["message"]["team"]["id"], "7", "{line}");
    // Rubbish behind what is right.
    let behind = [&whole[..], b"\x0f\x07"].concat();
    let line = shown_of(PROTOBUF, &behind, &[]);
    let error = line["error"].as_str().unwrap();
    assert!(
        error.contains(&format!("byte {}", whole.len())),
        "{error} of {}",
        whole.len()
    );
    assert_eq!(line["message"]["team"]["name"], "red", "{line}");
    let nested = [&b"\x0a\x80\x80\x80\x80\x08"[..], b"x"].concat();
    let line = shown_of(PROTOBUF, &nested, &[]);
    assert_ne!(line["error"], Value::Null);
}

#[test]
fn what_is_called_protobuf_and_is_none_is_shown_as_it_is() {
    let line = shown_of(PROTOBUF, br#"{"a": [1, "x"]}"#, &[]);
    assert_eq!(
        (line["content"].as_str(), line["message"].to_string()),
        (Some("json"), r#"{"a":[1,"x"]}"#.to_owned())
    );
    assert!(line["error"].as_str().unwrap().contains("JSON"), "{line}");
    let line = shown_of(PROTOBUF, b"<html><h1>502 Bad Gateway</h1></html>\n", &[]);
    assert_eq!(line["content"], "text");
    assert!(line["message"].as_str().unwrap().contains("502"), "{line}");
    assert!(line["error"].as_str().unwrap().contains("text"), "{line}");
    // JSON of broken bytes is text.
    let json = "Content-Type: application/json\r\n";
    for body in [&b"{\"a\":\"\x9b31m\"}"[..], b"{\"a\":", b"{\"a\":\"\xff\"}"] {
        let line = shown_of(json, body, &[]);
        assert_eq!(line["content"], "text", "{line}");
        assert!(line["error"].as_str().unwrap().contains("JSON"), "{line}");
    }
}

#[test]
fn compression_is_undone_within_bounds() {
    let coded = format!("{PROTOBUF}Content-Encoding: gzip\r\n");
    let line = shown_of(&coded, &gzip(&fine()), &[]);
    assert_eq!(line["message"]["team"]["name"], "red");
    assert_eq!(line["bytes"], fine().len());
    let bomb = gzip(&vec![0; 30 << 20]);
    assert!(bomb.len() < 100_000);
    let line = shown_of(&coded, &bomb, &["--max-body", "1MiB"]);
    assert!(line["error"].as_str().unwrap().len() > 10, "{line}");
    assert!(line["bytes"].as_u64().unwrap() < 2 << 20, "{line}");
    let cut = gzip(&fine());
    let line = shown_of(&coded, &cut[..cut.len() - 9], &[]);
    assert_ne!(line["error"], Value::Null);
    let line = shown_of(&coded, b"not gzip at all", &[]);
    assert_ne!(line["error"], Value::Null);
    let twice = format!("{PROTOBUF}Content-Encoding: gzip, gzip\r\n");
    let line = shown_of(&twice, &gzip(&bomb), &["--max-body", "1MiB"]);
    assert_ne!(line["error"], Value::Null);
}

/// Everything that begins a command to a terminal: ESC, BEL, CR, DEL, and the C1 controls.
const EVIL: &str = "\u{1b}[31m\u{1b}]0;pwned\u{7}\r\u{8}\u{7f}\u{9b}31m\u{85}\u{90}q\u{9c}";

#[test]
fn nothing_that_was_captured_talks_to_the_terminal() {
    let text = serde_json::to_string(EVIL).unwrap();
    let named = team(
        "GetTeamResponse",
        &format!(r#"{{"team": {{"id": "7", "name": {text}, "labels": {{{text}: {text}}}}}}}"#),
    );
    // Field 15 is unknown: EVIL as bytes, and no UTF-8.
    let raw = [EVIL.as_bytes(), b"\x9b\xff\x1b[0m"].concat();
    let unknown = [&[0x7a, raw.len() as u8], &raw[..]].concat();
    let json = format!("{{\"{EVIL}\": 1}}").replace(|c: char| c < ' ', "");
    let escaped = format!("{{{text}: [{text}]}}");
    let bodies: Vec<(&str, Vec<u8>)> = vec![
        (PROTOBUF, named.clone()),
        (PROTOBUF, [named, unknown.clone()].concat()),
        (PROTOBUF, [&unknown[..], b"\xff"].concat()),
        (PROTOBUF, raw.clone()),
        (PROTOBUF, EVIL.into()),
        (PROTOBUF, format!("<{EVIL}>").into()),
        (PROTOBUF, format!("<b>{EVIL}").into()),
        (PROTOBUF, escaped.clone().into()),
        ("Content-Type: application/json\r\n", json.into()),
        ("Content-Type: application/json\r\n", escaped.into()),
        ("Content-Type: application/json\r\n", EVIL.into()),
        ("Content-Type: text/plain\r\n", raw.clone()),
        ("Content-Type: text/\u{9b}31m\r\n", raw.clone()),
        (
            "Content-Type: application/protobuf; proto=\u{9b}31m\r\n",
            raw.clone(),
        ),
        ("Content-Type: image/png\r\n", raw.clone()),
        ("", raw.clone()),
        ("Content-Encoding: \u{9b}31m\r\n", raw),
    ];
    // DEL is in no path and C1 controls are in no method that HTTP is read with.
    let url = "/\u{9b}31m/\u{85}7?\u{9d}q=1";
    let (mut packets, mut saved) = (Packets::pcap(), Vec::new());
    for (headers, body) in &bodies {
        for method in ["GET", "POST"] {
            let asked = request(&format!("{method} {url}"), headers, body);
            packets.exchange(&asked, &reply("200 OK", headers, body));
        }
        saved.extend(reply("404 \u{9b}31m", headers, body));
    }
    let forms: [&[&str]; 6] = [
        &["--type", "GetTeamResponse", "--explain"],
        &["--explain"],
        &["--explain", "--format", "text"],
        &["--type", "Team", "--format", "text"],
        &["--stats"],
        &["--stats", "--format", "text"],
    ];
    for args in forms {
        for input in [&packets.bytes(), &saved] {
            let shown = decode(args, input);
            assert_eq!(shown.code, 0, "{args:?}: {shown:?}");
            assert!(shown.stdout.len() > 300, "{args:?}: {shown:?}");
            // `decode` holds them to be harmless; nothing of it may be hidden in what is no text either.
            assert!(!shown.stdout.contains(&0x1b), "{args:?}");
        }
    }
    for (_, body) in &bodies {
        for form in ["json", "text"] {
            let shown = decode(&["--type", "Team", "--format", form], body);
            assert!(!shown.stdout.contains(&0x1b), "{shown:?}");
            let shown = call(&["decode", "--format", form], body);
            support::decode::check_harmless(&shown.stdout);
        }
    }
}

/// `isukit decode` on a terminal, as `script` makes one.
#[track_caller]
fn on_a_terminal(arguments: &str, no_color: &str, body: &[u8]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("body");
    std::fs::write(&path, body).unwrap();
    let line = format!(
        "{} decode --proto {} --type GetTeamResponse {arguments} {}",
        env!("CARGO_BIN_EXE_isukit"),
        protos("teams"),
        path.display()
    );
    let mut command = Command::new("script");
    command
        .args(["-qefc", &line, "/dev/null"])
        .env("NO_COLOR", no_color);
    let shown = pipe(command, b"");
    assert_eq!(shown.code, 0, "{shown:?}");
    shown.text()
}

#[test]
fn on_a_terminal_it_is_text_in_colour_unless_that_is_not_wanted() {
    let text = on_a_terminal("", "", &fine());
    assert!(
        text.contains("name: \"red\"") && text.contains("\u{1b}["),
        "{text}"
    );
    let text = on_a_terminal("", "1", &fine());
    assert!(
        text.contains("name: \"red\"") && !text.contains('\u{1b}'),
        "{text}"
    );
    let text = on_a_terminal("--format json", "", &fine());
    assert!(text.starts_with('{') && !text.contains('\u{1b}'), "{text}");
    let piped = decode(&["--type", "GetTeamResponse"], &fine());
    assert_eq!(piped.bodies().len(), 1);
    let piped = decode(&["--type", "GetTeamResponse", "--format", "text"], &fine());
    assert!(!piped.stdout.contains(&0x1b));
}
