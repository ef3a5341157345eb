//! What a person reads when something is wrong.
#![allow(clippy::unwrap_used, reason = "tests and their helpers")]

use std::fs;

use isukit_proto::{JsonParseOptions, Message, Schema, SlotValue};

fn schema_of(files: &[(&str, &str)]) -> Result<Schema, String> {
    let dir = tempfile::tempdir().unwrap();
    for (name, source) in files {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, source).unwrap();
    }
    Schema::compile(&[dir.path().to_owned()]).map_err(|error| error.to_string())
}

const SHOP: &str = r#"
syntax = "proto3";
package shop.v1;
import "google/protobuf/timestamp.proto";
message Team {
  int64 id = 1;
  string name = 2;
  repeated Member members = 3;
  map<int32, string> labels = 4;
  oneof kind { string plain = 5; bool fancy = 6; }
  google.protobuf.Timestamp at = 7;
  Color color = 8;
  bytes raw = 9;
  float ratio = 10;
}
message Member { int64 id = 1; string name = 2; uint32 age = 3; }
enum Color { NONE = 0; RED = 1; }
"#;

fn team() -> Message {
    schema_of(&[("shop.proto", SHOP)])
        .unwrap()
        .message("Team")
        .unwrap()
}

#[test]
fn a_broken_source_names_file_line_column() {
    #[track_caller]
    fn check(files: &[(&str, &str)], starts: &str, contains: &str) {
        let error = schema_of(files).unwrap_err();
        assert!(
            error.starts_with(starts) && error.contains(contains),
            "{error}"
        );
    }
    check(
        &[(
            "a/b.proto",
            "syntax = \"proto3\";\nmessage A {\n  int32 x 1;\n}",
        )],
        "a/b.proto:3:11: ",
        "expected",
    );
    check(
        &[(
            "b.proto",
            "syntax = \"proto3\";\nmessage A {\n  Missing x = 1;\n}",
        )],
        "b.proto:3:3: ",
        "Missing",
    );
    check(
        &[("b.proto", "syntax = \"proto3\";\nimport \"no.proto\";\n")],
        "b.proto:2:",
        "no.proto",
    );
    check(
        &[(
            "b.proto",
            "syntax = \"proto3\";\nmessage A { int32 x = 1; int32 y = 1; }",
        )],
        "b.proto:2:",
        "1",
    );
    check(
        &[("b.proto", "edition = \"2023\";\n")],
        "b.proto:1:1: ",
        "edition",
    );
    check(
        &[
            ("a.proto", "syntax = \"proto3\";\nimport \"b.proto\";"),
            ("b.proto", "syntax = \"proto3\";\nimport \"a.proto\";"),
        ],
        "a.proto",
        "cycle",
    );
    check(
        &[("b.txt", "")],
        "no .proto file below ",
        "name the directory",
    );
    let missing = Schema::compile(&["/no/such/dir".into()])
        .unwrap_err()
        .to_string();
    assert!(
        missing.starts_with("cannot read the directory /no/such/dir: "),
        "{missing}"
    );
    assert!(Schema::from_descriptor_set(b"\xff\xff").is_err());
}

#[test]
fn an_unknown_type_names_the_nearest() {
    let schema = schema_of(&[
        ("shop.proto", SHOP),
        ("deep/down/other.proto", "syntax = \"proto3\"; package other; import \"shop.proto\"; message Member { shop.v1.Team t = 1; } message Any {}"),
    ])
    .unwrap();
    assert_eq!(schema.message("Team").unwrap().full_name(), "shop.v1.Team");
    assert_eq!(
        schema.message("v1.Team").unwrap().full_name(),
        "shop.v1.Team"
    );
    assert_eq!(
        schema.message(".shop.v1.Team").unwrap().full_name(),
        "shop.v1.Team"
    );
    assert_eq!(
        schema.message("Timestamp").unwrap().full_name(),
        "google.protobuf.Timestamp"
    );
    assert_eq!(schema.message("Any").unwrap().full_name(), "other.Any");
    let error = |name: &str| schema.message(name).unwrap_err().to_string();
    assert_eq!(
        error("Teem"),
        "no message type Teem; did you mean shop.v1.Team?"
    );
    assert_eq!(
        error("eam"),
        "no message type eam; did you mean shop.v1.Team?"
    );
    assert_eq!(
        error("shop.v1.Taem"),
        "no message type shop.v1.Taem; did you mean shop.v1.Team?"
    );
    assert_eq!(error("Zebra"), "no message type Zebra; check the schema");
    assert_eq!(
        error("Member"),
        "the message type Member is ambiguous; write one of other.Member, shop.v1.Member"
    );
}

#[test]
fn json_faults_say_where() {
    let team = team();
    let check = |json: &str, expected: &str| {
        let error = team
            .from_json(json.as_bytes(), &JsonParseOptions::new(), &mut Vec::new())
            .unwrap_err();
        assert_eq!(error.to_string(), expected, "{json}");
    };
    check(
        "{\"members\": [{},\n {\"nam\": 1}]}",
        "line 2 column 3 in members[1]: shop.v1.Member has no field nam; did you mean name?",
    );
    check(
        r#"{"id": 1.5}"#,
        "line 1 column 8 in id: 1.5 is no int64; write a number the field can hold",
    );
    check(
        r#"{"members": [{"age": -1}]}"#,
        "line 1 column 22 in members[0].age: -1 is no uint32; write a number the field can hold",
    );
    check(
        r#"{"id": true}"#,
        "line 1 column 8 in id: expected int64, found a truth value; change the value",
    );
    check(
        r#"{"name": 5}"#,
        "line 1 column 10 in name: expected a string, found a number; change the value",
    );
    check(
        r#"{"id": 1, "id": 2}"#,
        "line 1 column 11: the key id appears twice; remove one",
    );
    check(
        r#"{"plain": "x", "fancy": false}"#,
        "line 1 column 16: fancy and plain are members of the oneof kind; keep one of them",
    );
    check(
        r#"{"labels": {"1": "a", "1": "b"}}"#,
        "line 1 column 23 in labels: the key 1 appears twice; remove one",
    );
    check(
        r#"{"labels": {"x": "a"}}"#,
        "line 1 column 13 in labels: x is no int32; write a number the field can hold",
    );
    check(
        r#"{"labels": {"1": null}}"#,
        "line 1 column 18 in labels[\"1\"]: expected a string, found null; change the value",
    );
    check(
        r#"{"color": "BLUE"}"#,
        "line 1 column 11 in color: shop.v1.Color has no value BLUE; check the schema",
    );
    check(
        r#"{"color": "RET"}"#,
        "line 1 column 11 in color: shop.v1.Color has no value RET; did you mean RED?",
    );
    check(
        r#"{"at": "yesterday"}"#,
        "line 1 column 8 in at: expected a time like 2006-01-02T15:04:05.123Z; change the value",
    );
    check(
        r#"{"raw": "%"}"#,
        "line 1 column 9 in raw: expected base64; change the value",
    );
    check(
        r#"{"ratio": 1e39}"#,
        "line 1 column 11 in ratio: 1e39 is no float; write a number the field can hold",
    );
    check(
        r#"{"id": 1"#,
        "line 1 column 9: not JSON: expected a comma or the end of the object; correct the text",
    );
    check(
        r#"[]"#,
        "line 1 column 1: expected an object, found a list; change the value",
    );
    check(
        r#"{} x"#,
        "line 1 column 4: not JSON: expected the end of the text; correct the text",
    );
}

#[test]
fn json_takes_what_the_mapping_allows() {
    let team = team();
    let check = |json: &str, expected: &[u8]| {
        let mut out = Vec::new();
        team.from_json(json.as_bytes(), &JsonParseOptions::new(), &mut out)
            .unwrap();
        assert_eq!(out, expected, "{json}");
    };
    check("{}", &[]);
    check(r#"{"id": 1e3}"#, &[0x08, 0xe8, 0x07]);
    check(r#"{"id": "1.0"}"#, &[0x08, 0x01]);
    check(
        r#"{"id": 0, "name": "", "members": [], "labels": {}, "raw": ""}"#,
        &[],
    );
    check(
        r#"{"id": null, "name": null, "members": null, "at": null, "plain": null, "fancy": false}"#,
        &[0x30, 0x00],
    );
    check(
        r#"{"id": 9223372036854775807}"#,
        &[0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f],
    );
    check(
        r#"{"color": 1, "raw": "_-8"}"#,
        &[0x40, 0x01, 0x4a, 0x02, 0xff, 0xef],
    );
    check(r#"{"ratio": -0.0}"#, &[0x55, 0, 0, 0, 0x80]);
    check(r#"{"ratio": "NaN"}"#, &[0x55, 0, 0, 0xc0, 0x7f]);
    let mut out = Vec::new();
    let lenient = JsonParseOptions::new().ignore_unknown(true);
    team.from_json(br#"{"other": [{"x": 1}], "id": 2}"#, &lenient, &mut out)
        .unwrap();
    assert_eq!(out, [0x08, 0x02]);
}

#[test]
fn paths_say_what_is_wrong() {
    let team = team();
    let check =
        |path: &str, expected: &str| assert_eq!(team.path(path).unwrap_err().to_string(), expected);
    check(
        "members[0].nme",
        "shop.v1.Member has no field nme; did you mean name?",
    );
    check(
        "members.id",
        "members is a list, it takes no field; shorten the path or index the list first",
    );
    check(
        "id.x",
        "id is int64, it takes no field; shorten the path or index the list first",
    );
    check(
        "id[0]",
        "id is int64, it takes no index; shorten the path or index the list first",
    );
    check(
        "labels[\"x\"]",
        "the keys of labels are int32; write the key as one",
    );
    check(
        "members[0][1]",
        "members[0] is message, it takes no index; shorten the path or index the list first",
    );
    check(
        "members[",
        "not a path at character 8: expected an index or a quoted key; write it like team.members[0].id",
    );
}

#[test]
fn templates_say_what_is_wrong() {
    let team = team();
    let check = |json: &str, expected: &str| {
        let error = team.template_with(json, &["seq", "random"]).unwrap_err();
        assert_eq!(error.to_string(), expected, "{json}");
    };
    check(
        r#"{"id": "${sec}"}"#,
        "line 1 column 8 in id: no placeholder ${sec} is known; did you mean seq?",
    );
    check(
        r#"{"id": "1${seq}"}"#,
        "line 1 column 8 in id: a placeholder cannot stand in a part of the int64 id; write a literal value",
    );
    check(
        r#"{"at": "${seq}"}"#,
        "line 1 column 8 in at: a placeholder cannot stand in a Timestamp or Duration; write a literal value",
    );
    check(
        r#"{"labels": {"${seq}": "x"}}"#,
        "line 1 column 13 in labels: a placeholder cannot stand in a key; write a literal value",
    );
    check(
        r#"{"name": "${seq"}"#,
        "line 1 column 10 in name: not JSON: expected a placeholder like ${name}; correct the text",
    );
    let template = team
        .template(r#"{"members": [{"age": "${age}"}], "color": "${color}"}"#)
        .unwrap();
    assert_eq!(template.slots(), ["age", "color"]);
    let render = |values: &[SlotValue<'_>]| {
        let mut out = b"kept".to_vec();
        let rendered = template.render(values, &mut out);
        assert!(rendered.is_ok() || out == b"kept");
        rendered.map_err(|error| error.to_string())
    };
    assert_eq!(render(&[7.into(), "RED".into()]), Ok(()));
    assert_eq!(render(&["7".into(), 1.into()]), Ok(()));
    assert_eq!(
        render(&[7.into()]).unwrap_err(),
        "1 values for 2 placeholders; give one value for each"
    );
    assert_eq!(
        render(&[(-1).into(), 0.into()]).unwrap_err(),
        "the placeholder age fills age, which takes uint32; I64(-1) does not fit, change it"
    );
    assert_eq!(
        render(&[1.into(), "BLUE".into()]).unwrap_err(),
        "the placeholder color fills color, which takes enum; Str(\"BLUE\") does not fit, change it"
    );
}
