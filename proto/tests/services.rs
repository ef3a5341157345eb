//! Methods and their HTTP rules, from sources and from descriptor sets.
#![allow(clippy::unwrap_used, reason = "tests and their helpers")]

use std::path::Path;
use std::process::Command;

use isukit_proto::Schema;

const SOURCE: &str = r#"
syntax = "proto3";
package shop.v1;
import "google/api/annotations.proto";
import "google/protobuf/empty.proto";
message Team { string name = 1; }
message GetTeam { string name = 1; }
service Teams {
  rpc Get(GetTeam) returns (Team) {
    option (google.api.http) = {
      get: "/v1/{name=teams/*}"
      additional_bindings { get: "/v1/team" response_body: "name" }
      additional_bindings { custom: { kind: "HEAD" path: "/v1/team" } }
    };
  }
  rpc Put(Team) returns (google.protobuf.Empty) {
    option deprecated = true;
    option (google.api.http).put = "/v1/teams";
    option (google.api.http).body = "*";
  }
}
service Feed {
  rpc Watch(stream GetTeam) returns (stream Team);
  rpc Post(stream Team) returns (Team) { option (google.api.http) = { post: "/p" body: "name" }; }
  rpc Drop(Team) returns (Team) { option (google.api.http) = { delete: "/d" }; }
  rpc Change(Team) returns (stream Team) { option (google.api.http) = { patch: "/c" }; }
}
"#;

/// One line a method.
fn lines(schema: &Schema) -> Vec<String> {
    let methods = schema.methods().map(|method| {
        let stream = |on| if on { "stream " } else { "" };
        let rules: Vec<_> = method
            .http
            .iter()
            .map(|rule| {
                format!(
                    " {} {} body={} reply={}",
                    rule.verb, rule.path, rule.body, rule.response_body
                )
            })
            .collect();
        format!(
            "{}/{} {}{} -> {}{}:{}",
            method.service,
            method.name,
            stream(method.client_streaming),
            method.input.full_name(),
            stream(method.server_streaming),
            method.output.full_name(),
            rules.join(",")
        )
    });
    methods.collect()
}

const EXPECTED: [&str; 6] = [
    "shop.v1.Teams/Get shop.v1.GetTeam -> shop.v1.Team: GET /v1/{name=teams/*} body= reply=, \
     GET /v1/team body= reply=name, HEAD /v1/team body= reply=",
    "shop.v1.Teams/Put shop.v1.Team -> google.protobuf.Empty: PUT /v1/teams body=* reply=",
    "shop.v1.Feed/Watch stream shop.v1.GetTeam -> stream shop.v1.Team:",
    "shop.v1.Feed/Post stream shop.v1.Team -> shop.v1.Team: POST /p body=name reply=",
    "shop.v1.Feed/Drop shop.v1.Team -> shop.v1.Team: DELETE /d body= reply=",
    "shop.v1.Feed/Change shop.v1.Team -> stream shop.v1.Team: PATCH /c body= reply=",
];

fn write(dir: &Path, name: &str, text: &str) {
    let path = dir.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

#[test]
fn sources_need_no_annotations_of_their_own() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "shop.proto", SOURCE);
    let schema = Schema::compile(&[dir.path().to_owned()]).unwrap();
    assert_eq!(lines(&schema), EXPECTED);
}

#[test]
fn own_annotations_go_first() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "shop.proto", SOURCE);
    let http = include_str!("../src/schema/google/api/http.proto");
    let own = http.replace(
        "message CustomHttpPattern",
        "message Own {}\nmessage CustomHttpPattern",
    );
    write(dir.path(), "google/api/http.proto", &own);
    let schema = Schema::compile(&[dir.path().to_owned()]).unwrap();
    assert!(schema.message("google.api.Own").is_ok());
    assert_eq!(lines(&schema), EXPECTED);
    let annotations = include_str!("../src/schema/google/api/annotations.proto");
    write(dir.path(), "google/api/annotations.proto", annotations);
    let schema = Schema::compile(&[dir.path().to_owned()]).unwrap();
    assert_eq!(lines(&schema), EXPECTED);
}

#[test]
fn descriptor_sets_keep_the_option() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "shop.proto", SOURCE);
    write(
        dir.path(),
        "google/api/http.proto",
        include_str!("../src/schema/google/api/http.proto"),
    );
    write(
        dir.path(),
        "google/api/annotations.proto",
        include_str!("../src/schema/google/api/annotations.proto"),
    );
    for imports in [true, false] {
        let file = dir.path().join("set.bin");
        let mut command = Command::new("protoc");
        command
            .arg("-I")
            .arg(dir.path())
            .arg(format!("--descriptor_set_out={}", file.display()));
        if imports {
            command.arg("--include_imports");
        }
        let status = command.arg("shop.proto").status();
        assert!(
            status
                .expect("cannot run protoc; run scripts/setup to install it")
                .success()
        );
        let schema = Schema::from_descriptor_set(&std::fs::read(&file).unwrap()).unwrap();
        assert_eq!(lines(&schema), EXPECTED, "imports: {imports}");
    }
}

#[test]
fn schemas_without_services_have_no_methods() {
    let dir = tempfile::tempdir().unwrap();
    write(
        dir.path(),
        "a.proto",
        "syntax = \"proto3\"; message A { int32 a = 1; }",
    );
    let schema = Schema::compile(&[dir.path().to_owned()]).unwrap();
    assert_eq!(schema.methods().count(), 0);
}

#[test]
fn the_packed_option_of_sources_counts() {
    let dir = tempfile::tempdir().unwrap();
    write(
        dir.path(),
        "a.proto",
        "syntax = \"proto3\"; message A { repeated int32 loose = 1 [packed = false]; repeated int32 packed = 2; }",
    );
    write(
        dir.path(),
        "b.proto",
        "syntax = \"proto2\"; message B { repeated int32 loose = 1; repeated int32 packed = 2 [packed = true]; }",
    );
    let schema = Schema::compile(&[dir.path().to_owned()]).unwrap();
    for name in ["A", "B"] {
        let mut out = Vec::new();
        schema
            .message(name)
            .unwrap()
            .from_json(
                br#"{"loose":[1,2],"packed":[1,2]}"#,
                &isukit_proto::JsonParseOptions::new(),
                &mut out,
            )
            .unwrap();
        assert_eq!(out, [0x08, 1, 0x08, 2, 0x12, 2, 1, 2], "{name}");
    }
}
