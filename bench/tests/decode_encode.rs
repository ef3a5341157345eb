//! `isukit encode`: what `isukit decode` wrote, JSON and text become the bytes that they stand for.

// Failing here is failing a test.
#![allow(clippy::unwrap_used)]

mod support;

use isukit_proto::wire::put_varint;
use proptest::prelude::*;
use support::decode::{PROTOBUF, Packets, Shown, call, check_harmless, decode, protos, team};
use support::reply;

/// `isukit encode --proto scenarios/teams ARGS -`.
#[track_caller]
fn encode(args: &[&str], stdin: &[u8]) -> Shown {
    let protos = protos("teams");
    let mut all = vec!["encode", "--proto", protos.as_str()];
    all.extend(args);
    all.push("-");
    let shown = call(&all, stdin);
    check_harmless(shown.stderr.as_bytes());
    shown
}

/// The bytes come back from their text, with a schema and without a type that fits.
#[track_caller]
fn check_exact(kind: &str, bytes: &[u8]) {
    let text = decode(
        &["--type", kind, "--format", "text", "--as", "binary"],
        bytes,
    );
    assert_eq!(text.code, 0, "{text:?}");
    let back = encode(&["--type", kind, "--as", "text"], &text.stdout);
    assert_eq!(back.code, 0, "{back:?} of {}", text.text());
    assert_eq!(back.stdout, bytes, "{}", text.text());
}

/// A field of any number and kind, right on the wire: known ones of other kinds than theirs as well.
fn field() -> impl Strategy<Value = Vec<u8>> {
    let number = prop_oneof![1..7_u64, 1..7_u64, Just(1000), Just((1 << 29) - 1)];
    let head = |number: u64, wire: u64| {
        let mut bytes = Vec::new();
        put_varint(&mut bytes, number << 3 | wire);
        bytes
    };
    let leaf = prop_oneof![
        (number.clone(), any::<u64>()).prop_map(move |(number, value)| {
            let mut bytes = head(number, 0);
            put_varint(&mut bytes, value);
            bytes
        }),
        (number.clone(), any::<[u8; 8]>()).prop_map(move |(number, value)| [
            head(number, 1),
            value.to_vec()
        ]
        .concat()),
        (number.clone(), any::<[u8; 4]>()).prop_map(move |(number, value)| [
            head(number, 5),
            value.to_vec()
        ]
        .concat()),
        // A varint that is longer than it need be.
        number
            .clone()
            .prop_map(move |number| [head(number, 0), vec![0x80 | 7, 0x80, 0]].concat()),
        (number.clone(), "[a-z\\x1b\\x7f\u{9b}é]{0,9}")
            .prop_map(move |(number, text)| length(head(number, 2), text.as_bytes())),
        (number.clone(), prop::collection::vec(any::<u8>(), 0..9))
            .prop_map(move |(number, value)| length(head(number, 2), &value)),
    ];
    leaf.prop_recursive(3, 20, 4, move |inner| {
        (number.clone(), prop::collection::vec(inner, 0..4))
            .prop_map(move |(number, fields)| length(head(number, 2), &fields.concat()))
    })
}

fn length(mut head: Vec<u8>, bytes: &[u8]) -> Vec<u8> {
    put_varint(&mut head, bytes.len() as u64);
    head.extend(bytes);
    head
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Whatever is right on the wire and in its texts comes back byte by byte.
    #[test]
    fn text_is_exact(fields in prop::collection::vec(field(), 0..6), kind in 0..3_usize) {
        let kind = ["Team", "CreateTeamRequest", "Error"][kind];
        let bytes = fields.concat();
        let shown = decode(&["--type", kind, "--as", "binary"], &bytes);
        // What is no message of this type (a text that is no UTF-8) is not to come back.
        if shown.bodies()[0]["error"].is_null() {
            check_exact(kind, &bytes);
        }
    }
}

#[test]
fn text_keeps_what_json_does_not() {
    let team = team("Team", r#"{"id": "7", "name": "red"}"#);
    let unknown = b"\x7a\x03abc\xa0\x06\x01\xfd\x06\x00\x00\x80\x3f";
    check_exact("Team", &[&team[..], unknown].concat());
    check_exact("Team", &[unknown, &team[..]].concat());
    // Order, a field twice, an explicit default, a group.
    check_exact("Team", b"\x12\x01b\x08\x07\x12\x01a\x08\x00");
    check_exact("Team", b"\x53\x08\x01\x54");
    check_exact("Team", b"");
}

#[test]
fn json_and_lines_of_decode_become_bytes() {
    let bytes = team("Team", r#"{"id": "7", "name": "red"}"#);
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let check = |args: &[&str], input: &str, expected: &[u8]| {
        let shown = encode(args, input.as_bytes());
        assert_eq!(shown.code, 0, "{input}: {shown:?}");
        assert_eq!(shown.stdout, expected, "{input}");
    };
    let json = r#" {"id": 7, "name": "red"} "#;
    check(&["--type", "Team"], json, &bytes);
    check(&["--type", "Team"], "# so\nid: 7 name: 'red'", &bytes);
    check(
        &["--type", "Team", "--to", "hex"],
        json,
        format!("{hex}\n").as_bytes(),
    );
    check(
        &["--type", "Team", "--to", "base64"],
        json,
        b"CAcSA3JlZA==\n",
    );
    check(&["--type", "Team", "--delimited"], json, &{
        let mut framed = vec![bytes.len() as u8];
        framed.extend(&bytes);
        framed
    });
    check(
        &["--type", "Team", "--ignore-unknown"],
        r#"{"id": 7, "nothing": [{}], "name": "red"}"#,
        &bytes,
    );
    // Lines name their types; a summary is none of them.
    let lines = decode(&["--type", "Team", "--as", "binary"], &bytes).text();
    assert_eq!(lines.lines().count(), 2);
    check(&[], &lines, &bytes);
    check(&[], lines.lines().next().unwrap(), &bytes);
    let unknown = [&bytes[..], b"\x7a\x03abc"].concat();
    let lines = decode(&["--type", "Team", "--as", "binary"], &unknown).text();
    check(&[], &lines, &unknown);
}

#[test]
fn a_whole_capture_comes_back() {
    let mut packets = Packets::pcap();
    let mut bodies = Vec::new();
    for id in 1..40 {
        let json = format!(r#"{{"team": {{"id": "{id}", "name": "team-{id}"}}}}"#);
        let body = team("GetTeamResponse", &json);
        let url = format!("GET /api/teams/{id} HTTP/1.1\r\n\r\n");
        packets.exchange(url.as_bytes(), &reply("200 OK", PROTOBUF, &body));
        bodies.push(body.len() as u8);
        bodies.extend(body);
    }
    let lines = decode(&[], &packets.bytes());
    let back = encode(&["--delimited"], &lines.stdout);
    assert_eq!((back.code, back.stdout), (0, bodies), "{}", back.stderr);
    let back = encode(&[], &lines.stdout);
    assert_eq!(back.code, 2);
    assert!(back.stderr.contains("--delimited"), "{back:?}");
}

#[test]
fn faults_are_told_with_their_place() {
    let check = |args: &[&str], input: &[u8], parts: &[&str]| {
        let shown = encode(args, input);
        assert_eq!(shown.code, 2, "{shown:?}");
        assert!(shown.stdout.is_empty(), "{shown:?}");
        for part in parts {
            assert!(shown.stderr.contains(part), "{part}: {}", shown.stderr);
        }
    };
    let team: &[&str] = &["--type", "Team"];
    check(
        team,
        b"{\"id\": 7,\n \"nane\": 1}",
        &["line 2", "column 2", "nane", "name"],
    );
    check(
        team,
        b"{\"id\": 7,\n  \"name\": tru}",
        &["line 2", "column 11"],
    );
    check(team, b"{\"id\": \"x\"}", &["line 1", "column 8"]);
    check(team, b"id: 7\nnane: 'x'", &["line 2", "column 1", "name"]);
    check(team, b"id: 7\n  name: 'x", &["line 2"]);
    check(team, b"\x08\x07\xff", &["byte 2 is not UTF-8", "decode"]);
    check(&["--type", "Teem"], b"{}", &["--type", "Team"]);
    check(&[], b"{}", &["--type"]);
    check(&[], b"id: 7", &["--type"]);
    check(
        &[],
        b"{\"schema\":\"isukit.decode/1\",\"kind\":\"body\",\"type\":null,\"message\":{}}",
        &["line 1", "--type"],
    );
    check(
        &[],
        b"{\"schema\":\"isukit.decode/1\",\"kind\":\"summary\"}\n{\"schema\":",
        &["line 2"],
    );
    let shown = call(&["encode", "--type", "Team"], b"{}");
    assert_eq!(shown.code, 2);
    assert!(shown.stderr.contains("give --proto"), "{shown:?}");
}
