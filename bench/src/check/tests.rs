use isukit_proto::{JsonParseOptions, Schema};

use super::*;

const PROTO: &str = r#"
    syntax = "proto3";
    package t;
    enum Color { NONE = 0; RED = 1; }
    message Member { int64 id = 1; string name = 2; }
    message Team {
        int64 id = 1; string name = 2; repeated Member members = 3;
        map<string, int32> scores = 4; Color color = 5; Member leader = 6;
        bool open = 7; double rate = 8; bytes key = 9; uint64 big = 10;
    }
"#;

const TEAM: &str = r#"{
    "id": "7", "name": "seven", "members": [{"id": "1", "name": "a"}, {"id": "2", "name": "b"}],
    "scores": {"x": 3}, "color": "RED", "open": true, "rate": 1.5, "key": "AAE=",
    "big": "18446744073709551615"
}"#;

fn team() -> (Message, Vec<u8>) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("t.proto"), PROTO).unwrap();
    let message = Schema::compile(&[folder.path().to_owned()])
        .unwrap()
        .message("Team")
        .unwrap();
    let mut bytes = Vec::new();
    message
        .from_json(TEAM.as_bytes(), &JsonParseOptions::default(), &mut bytes)
        .unwrap();
    (message, bytes)
}

#[track_caller]
fn check(expression: &str, compiled: bool, expected: bool) {
    let (message, body) = team();
    let check = Check::new(expression, Some(&message)).unwrap();
    assert_eq!(check.is_compiled(), compiled, "{expression}");
    let subject = Subject {
        status: 200,
        body_bytes: body.len() as u64,
        body: &body,
    };
    assert_eq!(check.holds(&subject), Ok(expected), "{expression}");
}

#[test]
fn paths_and_comparisons_are_compiled() {
    check("id == 7", true, true);
    check("id != 7", true, false);
    check("7 < id", true, false);
    check("id >= 7 && id <= 7", true, true);
    check("id < 7 || name == 'seven'", true, true);
    check("!(id == 7)", true, false);
    check("id == -7", true, false);
    check("members[1].name == \"b\"", true, true);
    check("reply.members[0].id == 1", true, true);
    check("size(members) == 2 && members.size() == 2", true, true);
    check("size(name) == 5", true, true);
    check("scores['x'] == 3", true, true);
    check("color == 'RED' && color == 1", true, true);
    check("open", true, true);
    check("!open", true, false);
    check("open == true", true, true);
    check("rate > 1 && rate == 1.5", true, true);
    check("key == b'\\x00\\x01'", true, true);
    check("big > 18446744073709551614u", true, true);
    check("has(reply.leader)", true, false);
    check("has(reply.members)", true, true);
    check("leader == null", true, true);
    check("leader.id == 0", true, true);
    check("http.status == 200 && http.body_bytes > 10", true, true);
}

#[test]
fn the_rest_of_the_language_is_interpreted() {
    check("members.all(m, m.id > 0)", false, true);
    check("members.exists(m, m.name == 'z')", false, false);
    check("id + 1 == 8", false, true);
    check("name.startsWith('sev')", false, true);
    // A clause means the same whatever stands beside it.
    check("size(key) == 2 && id + 1 == 8", false, true);
    check(
        "color == 1 && key == b'\\x00\\x01' && !(id + 1 == 9)",
        false,
        true,
    );
    check(
        "!has(reply.leader) && members.all(m, m.id > 0)",
        false,
        true,
    );
    check("name in ['six', 'seven']", false, true);
    check(
        "members.map(m, m.name) == ['a', 'b'] && http.status == 200",
        false,
        true,
    );
    check(
        "reply.color == 'RED' && size(reply.members) + 1 == 3",
        false,
        true,
    );
}

#[test]
fn a_condition_that_cannot_be_right_is_refused() {
    let (message, _) = team();
    let refused = |expression: &str, part: &str| {
        let error = Check::new(expression, Some(&message))
            .unwrap_err()
            .to_string();
        assert!(error.contains(part), "{expression}: {error}");
    };
    refused("id ==", "not a CEL expression");
    refused("names == 'x'", "name");
    refused("members[0].nam == 'x'", "name");
    refused("size(memberz) > 0", "members");
    refused("memberz.all(m, m.id > 0)", "members");
    refused("name > 3", "name is a string and 3 is a number");
    refused("open == 'yes'", "a bool");
    refused("id < null", "null");
    refused("id + 1 == 8 && foo(name) == 1", "foo");
    refused(&format!("id{} > 5", "+1".repeat(2_000)), "longer than");
}

#[test]
fn what_goes_wrong_while_evaluating_is_told() {
    let (message, body) = team();
    let holds = |expression: &str, body: &[u8]| {
        let check = Check::new(expression, Some(&message)).unwrap();
        check.holds(&Subject {
            status: 200,
            body_bytes: 0,
            body,
        })
    };
    assert!(holds("id == 7", &[0x08]).is_err());
    // An element that is not there is neither equal nor different.
    for absent in [
        "members[9].id == 1",
        "members[9].id != 1",
        "scores['y'] == 3",
    ] {
        assert!(holds(absent, &body).unwrap_err().contains("is absent"));
    }
    assert_eq!(holds("members[9] == null", &body), Ok(true));
    assert!(holds("id / 0 == 1", &body).is_err());
    assert!(
        holds("id + 1", &body)
            .unwrap_err()
            .contains("not true or false")
    );
}

#[test]
fn json_replies_are_looked_into() {
    let holds = |expression: &str, body: &str| {
        let check = Check::new(expression, None).unwrap();
        check.holds(&Subject {
            status: 200,
            body_bytes: 0,
            body: body.as_bytes(),
        })
    };
    assert_eq!(
        holds("a.b[0] == 1 && size(a.b) == 2", r#"{"a": {"b": [1, 2]}}"#),
        Ok(true)
    );
    assert_eq!(holds("reply[1] == 'x'", r#"[0, "x"]"#), Ok(true));
    assert!(holds("a == 1", "<html>").unwrap_err().contains("not JSON"));
    assert!(holds("missing == 1", "{}").is_err());
}

#[test]
fn a_failed_condition_shows_what_it_saw() {
    let (message, body) = team();
    let check = Check::new("id == 8 && size(members) > 2", Some(&message)).unwrap();
    let subject = Subject {
        status: 200,
        body_bytes: 0,
        body: &body,
    };
    assert_eq!(check.explain(&subject), "id is 7, size(members) is 2");
}
