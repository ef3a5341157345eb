//! What a person reads when something is wrong.
#![allow(clippy::unwrap_used, reason = "tests and their helpers")]

use std::fs;

use isukit_proto::{JsonOptions, JsonParseOptions, Message, Schema, SlotValue};

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
    check(
        &[(
            "a.proto",
            "syntax = \"proto3\";\nmessage A {\n  int32 x = 1;\n\n",
        )],
        "a.proto:3:15: ",
        "reached end of file",
    );
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
fn plain_integers_are_numbers_but_for_keys() {
    let source = r#"
syntax = "proto3";
package wide;
import "google/protobuf/wrappers.proto";
import "google/protobuf/struct.proto";
message Wide {
  int64 a = 1; uint64 b = 2; sint64 c = 3; fixed64 d = 4; sfixed64 e = 5;
  repeated uint64 list = 6;
  map<uint64, int64> map = 7;
  map<string, sint64> names = 8;
  google.protobuf.UInt64Value wrapped = 9;
  google.protobuf.Int64Value other = 10;
  google.protobuf.Value value = 11;
  optional int64 maybe = 12;
  map<sint64, bool> keys = 13;
}
"#;
    let wide = schema_of(&[("wide.proto", source)])
        .unwrap()
        .message("Wide")
        .unwrap();
    let check = |json: &str, defaults: bool, plain: &str, quoted: &str| {
        let mut wire = Vec::new();
        wide.from_json(json.as_bytes(), &JsonParseOptions::new(), &mut wire)
            .unwrap();
        for (plainly, expected) in [(true, plain), (false, quoted)] {
            let options = JsonOptions::new()
                .plain_integers(plainly)
                .defaults(defaults);
            let mut out = Vec::new();
            wide.to_json(&wire, &options, &mut out).unwrap();
            assert_eq!(String::from_utf8(out.clone()).unwrap(), expected);
            let mut again = Vec::new();
            wide.from_json(&out, &JsonParseOptions::new(), &mut again)
                .unwrap();
            assert_eq!(again, wire, "{expected}");
        }
    };
    check(
        r#"{"a":-9223372036854775808,"b":18446744073709551615,"c":-1,"d":"18446744073709551615","e":9007199254740993}"#,
        false,
        r#"{"a":-9223372036854775808,"b":18446744073709551615,"c":-1,"d":18446744073709551615,"e":9007199254740993}"#,
        r#"{"a":"-9223372036854775808","b":"18446744073709551615","c":"-1","d":"18446744073709551615","e":"9007199254740993"}"#,
    );
    check(
        r#"{"list":[0,18446744073709551615],"map":{"18446744073709551615":-1},"names":{"1":1},"keys":{"-5":true}}"#,
        false,
        r#"{"list":[0,18446744073709551615],"map":{"18446744073709551615":-1},"names":{"1":1},"keys":{"-5":true}}"#,
        r#"{"list":["0","18446744073709551615"],"map":{"18446744073709551615":"-1"},"names":{"1":"1"},"keys":{"-5":true}}"#,
    );
    check(
        r#"{"wrapped":18446744073709551615,"other":0,"value":1,"maybe":0}"#,
        false,
        r#"{"wrapped":18446744073709551615,"other":0,"value":1.0,"maybe":0}"#,
        r#"{"wrapped":"18446744073709551615","other":"0","value":1.0,"maybe":"0"}"#,
    );
    check(
        "{}",
        true,
        r#"{"a":0,"b":0,"c":0,"d":0,"e":0,"list":[],"map":{},"names":{},"keys":{}}"#,
        r#"{"a":"0","b":"0","c":"0","d":"0","e":"0","list":[],"map":{},"names":{},"keys":{}}"#,
    );
}

/// What is rendered is what the same values encode to, however long they are and wherever they stand.
#[test]
fn templates_of_every_length() {
    let team = team();
    let forms = [
        r#"{"id":ID,"name":NAME,"color":"RED"}"#,
        r#"{"name":NAME,"members":[{"id":ID,"name":NAME},{"name":NAME}],"labels":{"3":NAME},"ratio":0.5}"#,
        r#"{"members":[{"id":7,"name":"a literal that is longer than sixteen bytes","age":3},{"age":AGE}],"id":ID}"#,
        r#"{"plain":NAME,"name":"a NAMEd","id":ID}"#,
    ];
    let lengths = (0..40).chain([
        62, 63, 64, 100, 110, 120, 127, 128, 129, 200, 255, 300, 20_000,
    ]);
    for length in lengths {
        let name = "x".repeat(length);
        for id in [
            0,
            1,
            127,
            128,
            (1 << 42) - 1,
            1 << 42,
            1 << 56,
            i64::MAX,
            -1,
            i64::MIN,
        ] {
            let age = id.unsigned_abs().min(u32::MAX.into());
            for form in forms {
                let holed = form
                    .replace("\"a NAMEd\"", "\"a ${name}d\"")
                    .replace("ID", "\"${id}\"")
                    .replace("NAME", "\"${name}\"")
                    .replace("AGE", "\"${age}\"");
                let filled = form
                    .replace("\"a NAMEd\"", &format!("\"a {name}d\""))
                    .replace("ID", &id.to_string())
                    .replace("NAME", &format!("\"{name}\""))
                    .replace("AGE", &age.to_string());
                let template = team.template(&holed).unwrap();
                let value = |slot: &String| match slot.as_str() {
                    "id" => SlotValue::I64(id),
                    "age" => SlotValue::U64(age),
                    _ => SlotValue::Str(&name),
                };
                let values: Vec<_> = template.slots().iter().map(value).collect();
                let (mut ours, mut expected) = (vec![9], vec![9]);
                template.render(&values, &mut ours).unwrap();
                team.from_json(filled.as_bytes(), &JsonParseOptions::new(), &mut expected)
                    .unwrap();
                assert_eq!(ours, expected, "{filled}");
            }
        }
    }
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
