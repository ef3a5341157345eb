//! The crate's promises, shortest form.
#![allow(clippy::unwrap_used, reason = "tests and their helpers")]
use isukit_proto::*;
#[test]
fn smoke() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("a.proto"), r#"syntax = "proto3"; package shop.v1;
import "google/protobuf/timestamp.proto"; import "google/protobuf/any.proto"; import "google/protobuf/struct.proto";
message Team { int64 id = 1; string name = 2; repeated Member members = 3; map<string,string> labels = 4; Inner inner = 5; google.protobuf.Timestamp at = 6; google.protobuf.Any any = 7; google.protobuf.Value v = 8; repeated int32 nums = 9; int64 last = 10; oneof k { string a = 11; Inner b = 12; } }
message Inner { int32 n = 1; }
message Member { int64 id = 1; string name = 2; }
"#).unwrap();
    let schema = Schema::compile(&[dir.path().to_owned()]).unwrap();
    let team = schema.message("Team").unwrap();
    let json = r#"{"id":"12","name":"x","members":[{"id":"1"},{"id":"2","name":"b"}],"labels":{"a":"b","x":"y"},"inner":{"n":3},"at":"2020-01-02T03:04:05.500Z","any":{"@type":"type.googleapis.com/shop.v1.Inner","n":7},"v":{"a":[1.0,null,true,"s"]},"nums":[1,-2],"b":{"n":1}}"#;
    let mut wire = Vec::new();
    team.from_json(json.as_bytes(), &JsonParseOptions::new(), &mut wire)
        .unwrap();
    team.validate(&wire).unwrap();
    let mut out = Vec::new();
    team.to_json(&wire, &JsonOptions::new(), &mut out).unwrap();
    assert_eq!(String::from_utf8(out).unwrap(), json);
    let get = |path: &str| format!("{:?}", team.path(path).unwrap().get(&wire).unwrap());
    assert_eq!(get("members[1].name"), "Str(\"b\")");
    assert_eq!(get("members[0].name"), "Str(\"\")");
    assert_eq!(get("members[2].name"), "Absent");
    assert_eq!(get("labels[\"x\"]"), "Str(\"y\")");
    assert_eq!(get("labels"), "Map { len: 2 }");
    assert_eq!(get("nums[1]"), "I64(-2)");
    assert_eq!(get("b.n"), "I64(1)");
    assert_eq!(get("a"), "Str(\"\")");
    let t = team.template(r#"{"inner":{"n":"${r}"},"last":"${seq}","name":"user-${seq}","members":[{"name":"${n}"}],"labels":{"k":"$${${seq}"}, "nums":["${r}", 5]}"#).unwrap();
    assert_eq!(t.slots(), ["r", "seq", "n"]);
    for n in [1usize, 200, 20000] {
        let name = "é".repeat(n);
        let (mut a, mut b) = (Vec::new(), Vec::new());
        t.render(&[7.into(), 99_u64.into(), name.as_str().into()], &mut a)
            .unwrap();
        team.from_json(format!(r#"{{"inner":{{"n":7}},"last":"99","name":"user-99","members":[{{"name":"{name}"}}],"labels":{{"k":"${{99"}},"nums":[7,5]}}"#).as_bytes(), &JsonParseOptions::new(), &mut b).unwrap();
        assert_eq!(a, b);
    }
    println!(
        "{}",
        team.from_json(
            b"{\"members\":[\n{\"nam\":1}]}",
            &JsonParseOptions::new(),
            &mut Vec::new()
        )
        .unwrap_err()
    );
    println!("{:?}", schema.message("Taem"));
    println!("{}", schema.message("Teams").unwrap_err());
}
