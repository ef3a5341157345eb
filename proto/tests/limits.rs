//! Hostile input: every limit is met at n and refused at n + 1, nothing is believed.
#![allow(clippy::unwrap_used, reason = "tests and their helpers")]

use std::fs;

use isukit_proto::{
    DecodeError, EncodeCause, JsonOptions, JsonParseOptions, Limits, Message, PathError, Schema,
    SchemaError, TextOptions,
};

const PROTO: &str = r#"
syntax = "proto3";
package hostile;
import "google/protobuf/struct.proto";
import "google/protobuf/any.proto";
message Node {
  Node next = 1;
  string text = 2;
  repeated fixed32 fixed = 3;
  repeated int32 ints = 4;
  map<string, Node> nodes = 5;
  google.protobuf.Value value = 6;
  google.protobuf.Any any = 7;
  repeated Node list = 8;
  bytes raw = 9;
}
"#;

fn schema_of(source: &str) -> Result<Schema, SchemaError> {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("test.proto"), source).unwrap();
    Schema::compile(&[dir.path().to_owned()])
}

fn node() -> Message {
    schema_of(PROTO).unwrap().message("Node").unwrap()
}

/// What each reader makes of the bytes.
fn readers(message: &Message, bytes: &[u8]) -> [Result<(), DecodeError>; 4] {
    let path = message.path("list[7].text").unwrap();
    [
        message.validate(bytes),
        message.to_json(bytes, &JsonOptions::new(), &mut Vec::new()),
        message.to_text(bytes, &TextOptions::new(), &mut Vec::new()),
        path.get(bytes).map(drop),
    ]
}

/// A message with so many others nested in it.
fn nested(levels: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    for _ in 0..levels {
        let mut outer = vec![0x0a];
        isukit_proto::wire::put_varint(&mut outer, bytes.len() as u64);
        outer.append(&mut bytes);
        bytes = outer;
    }
    bytes
}

#[test]
fn depth() {
    let node = node();
    let [valid, json, text, _] = readers(&node, &nested(100));
    assert_eq!((valid, json, text), (Ok(()), Ok(()), Ok(())));
    let [valid, json, text, _] = readers(&node, &nested(101));
    for refused in [valid, json, text] {
        assert!(
            matches!(refused, Err(DecodeError::Depth { limit: 100, .. })),
            "{refused:?}"
        );
    }
    // Ten thousand levels, as messages and as groups of an unknown field.
    for bytes in [nested(10_000), vec![0x7b; 10_000]] {
        for refused in readers(&node, &bytes).into_iter().take(3) {
            assert!(
                matches!(refused, Err(DecodeError::Depth { .. })),
                "{refused:?}"
            );
        }
    }
    let groups = |levels: usize| [vec![0x7b; levels], vec![0x7c; levels]].concat();
    assert_eq!(
        readers(&node, &groups(100)),
        [Ok(()), Ok(()), Ok(()), Ok(())]
    );
    assert!(
        readers(&node, &groups(101))
            .iter()
            .all(|read| matches!(read, Err(DecodeError::Depth { .. })))
    );
    // A higher limit than the walkers can hold is brought down.
    let mut limits = Limits::default();
    limits.depth = usize::MAX;
    let deep = node.schema().with_limits(limits).message("Node").unwrap();
    assert_eq!(deep.validate(&nested(200)), Ok(()));
    assert!(deep.validate(&nested(201)).is_err());
}

#[test]
fn depth_of_json() {
    let node = node();
    let json = |levels: usize| "{\"next\":".repeat(levels) + "{}" + &"}".repeat(levels);
    let encode =
        |json: &str| node.from_json(json.as_bytes(), &JsonParseOptions::new(), &mut Vec::new());
    assert_eq!(encode(&json(99)), Ok(()));
    let refused = encode(&json(100)).unwrap_err();
    assert!(
        matches!(refused.cause, EncodeCause::Limit { limit: 100, .. }),
        "{refused}"
    );
    for opener in ["[", "{\"a\":"] {
        let huge = format!("{{\"value\":{}", opener.repeat(500_000));
        assert!(matches!(
            encode(&huge).unwrap_err().cause,
            EncodeCause::Limit { .. }
        ));
    }
    // Three messages a level: an object in a Value meets the limit of messages first.
    let mut limits = Limits::default();
    limits.json_depth = 200;
    let deep = node.schema().with_limits(limits).message("Node").unwrap();
    let value = |levels: usize| {
        format!(
            "{{\"value\":{}{}}}",
            "{\"a\":".repeat(levels),
            "1".to_owned() + &"}".repeat(levels)
        )
    };
    let encode = |json: &str, out: &mut Vec<u8>| {
        deep.from_json(json.as_bytes(), &JsonParseOptions::new(), out)
    };
    let mut wire = Vec::new();
    assert_eq!(encode(&value(33), &mut wire), Ok(()));
    assert_eq!(deep.validate(&wire), Ok(()));
    assert!(encode(&value(34), &mut Vec::new()).is_err());
}

#[test]
fn sizes_and_counts() {
    let mut limits = Limits::default();
    limits.message_bytes = 10;
    limits.fields = 4;
    limits.json_bytes = 20;
    limits.path_segments = 3;
    limits.template_slots = 2;
    let node = node().schema().with_limits(limits).message("Node").unwrap();
    let ints = |count: usize| [0x20, 0x01].repeat(count);
    assert_eq!(readers(&node, &ints(4)), [Ok(()), Ok(()), Ok(()), Ok(())]);
    let refused = Err(DecodeError::Fields {
        offset: 8,
        limit: 4,
    });
    assert_eq!(
        readers(&node, &ints(5)),
        [refused.clone(), refused.clone(), refused.clone(), refused]
    );
    let text = |len: usize| [vec![0x12, len as u8], vec![b'x'; len]].concat();
    assert_eq!(readers(&node, &text(8)), [Ok(()), Ok(()), Ok(()), Ok(())]);
    let refused = Err(DecodeError::Size {
        size: 11,
        limit: 10,
    });
    assert_eq!(
        readers(&node, &text(9)),
        [refused.clone(), refused.clone(), refused.clone(), refused]
    );
    let padded = |len: usize| {
        node.from_json(
            format!("{{}}{}", " ".repeat(len - 2)).as_bytes(),
            &JsonParseOptions::new(),
            &mut Vec::new(),
        )
    };
    assert_eq!(padded(20), Ok(()));
    assert!(padded(21).is_err());
    assert!(node.path("next.next.text").is_ok());
    assert_eq!(
        node.path("next.next.next.text").unwrap_err(),
        PathError::Long { limit: 3 }
    );
    let limits = {
        let mut limits = limits;
        limits.json_bytes = 1000;
        limits
    };
    let node = node.schema().with_limits(limits).message("Node").unwrap();
    assert!(
        node.template(r#"{"ints": ["${a}", "${b}", "${a}"]}"#)
            .is_ok()
    );
    assert!(
        node.template(r#"{"ints": ["${a}", "${b}", "${c}"]}"#)
            .is_err()
    );
}

#[test]
fn claims_are_not_believed() {
    let node = node();
    #[track_caller]
    fn check(node: &Message, bytes: &[u8], expected: DecodeError) {
        for refused in readers(node, bytes).into_iter().take(3) {
            assert_eq!(refused, Err(expected.clone()));
        }
    }
    check(
        &node,
        &[0x12, 0x80, 0x80, 0x80, 0x80, 0x08],
        DecodeError::Length {
            offset: 1,
            claimed: 1 << 31,
            left: 0,
        },
    );
    check(
        &node,
        &[0x0a, 0x02, 0x12, 0x05],
        DecodeError::Length {
            offset: 3,
            claimed: 5,
            left: 0,
        },
    );
    check(&node, &[0x00], DecodeError::Tag { offset: 0 });
    check(&node, &[0x0a, 0x01, 0x00], DecodeError::Tag { offset: 2 });
    check(
        &node,
        &[0x0c],
        DecodeError::Group {
            offset: 0,
            number: 1,
        },
    );
    check(
        &node,
        &[0x7b, 0x74],
        DecodeError::Group {
            offset: 1,
            number: 14,
        },
    );
    check(&node, &[0x7b], DecodeError::Truncated { offset: 1 });
    check(
        &node,
        &[
            0x78, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f,
        ],
        DecodeError::Varint { offset: 1 },
    );
    check(
        &node,
        &[0x12, 0x03, b'a', 0xff, b'b'],
        DecodeError::Utf8 {
            offset: 3,
            field: "hostile.Node.text".into(),
        },
    );
    check(
        &node,
        &[0x1a, 0x05, 0, 0, 0, 0, 0],
        DecodeError::Packed {
            offset: 6,
            field: "hostile.Node.fixed".into(),
        },
    );
    check(
        &node,
        &[0x22, 0x02, 0x01, 0x80],
        DecodeError::Packed {
            offset: 3,
            field: "hostile.Node.ints".into(),
        },
    );
    // A foreign wire type is an error to the strict check only.
    assert_eq!(
        node.validate(&[0x10, 0x01]),
        Err(DecodeError::WireType {
            offset: 0,
            field: "hostile.Node.text".into(),
            found: "varint"
        })
    );
    assert_eq!(
        node.to_json(&[0x10, 0x01], &JsonOptions::new(), &mut Vec::new()),
        Ok(())
    );
    // Empty is a valid message; `out` is untouched by a failure.
    assert_eq!(readers(&node, &[]), [Ok(()), Ok(()), Ok(()), Ok(())]);
    let mut out = b"kept".to_vec();
    assert!(
        node.to_json(&[0x12, 0x01, b'a', 0x00], &JsonOptions::new(), &mut out)
            .is_err()
    );
    assert!(
        node.to_text(&[0x12, 0x01, b'a', 0x00], &TextOptions::new(), &mut out)
            .is_err()
    );
    assert!(
        node.from_json(b"{\"text\":\"a\",}", &JsonParseOptions::new(), &mut out)
            .is_err()
    );
    assert_eq!(out, b"kept");
}

#[test]
fn an_any_without_its_type_keeps_its_bytes() {
    let node = node();
    let mut wire = Vec::new();
    let json = r#"{"any":{"@type":"example.com/no.Such","@value":"CAE="}}"#;
    node.from_json(json.as_bytes(), &JsonParseOptions::new(), &mut wire)
        .unwrap();
    let mut out = Vec::new();
    node.to_json(&wire, &JsonOptions::new(), &mut out).unwrap();
    assert_eq!(String::from_utf8(out).unwrap(), json);
}

#[test]
fn quadratic_and_exponential_inputs_end() {
    let node = node();
    // Split messages in every part of which the next level is split again.
    let mut bytes = Vec::new();
    for _ in 0..60 {
        let mut outer = Vec::new();
        for part in [&bytes[..bytes.len() / 2], &bytes[bytes.len() / 2..]] {
            outer.push(0x0a);
            isukit_proto::wire::put_varint(&mut outer, part.len() as u64);
            outer.extend_from_slice(part);
        }
        bytes = outer;
    }
    let _ = readers(&node, &bytes);
    // A map of many entries, backwards, and a great many empty messages.
    let mut map = Vec::new();
    for key in (0..50_000).rev() {
        let key = format!("{key:05}");
        map.extend([0x2a, 0x07, 0x0a, 0x05]);
        map.extend(key.as_bytes());
    }
    assert_eq!(
        node.to_json(&map, &JsonOptions::new(), &mut Vec::new()),
        Ok(())
    );
    assert!(
        node.path("nodes")
            .unwrap()
            .get(&map)
            .is_ok_and(|value| value.size() == Some(50_000))
    );
    assert_eq!(
        node.to_json(
            &[0x42, 0x00].repeat(500_000),
            &JsonOptions::new(),
            &mut Vec::new()
        ),
        Ok(())
    );
}

#[test]
fn sources_that_have_no_end_are_not_read() {
    let folder = std::env::temp_dir().join(format!("isukit-sources-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("a.proto"), "syntax = \"proto3\"; message A {}").unwrap();
    std::os::unix::fs::symlink("/dev/zero", folder.join("endless.proto")).unwrap();
    let compiled = isukit_proto::Schema::compile(std::slice::from_ref(&folder));
    let huge = std::fs::File::create(folder.join("huge.proto")).unwrap();
    huge.set_len((16 << 20) + 1).unwrap();
    let refused = isukit_proto::Schema::compile(std::slice::from_ref(&folder));
    std::fs::remove_dir_all(&folder).unwrap();
    assert!(compiled.unwrap().message("A").is_ok());
    let error = refused.unwrap_err().to_string();
    assert!(error.contains("bytes in one .proto file"), "{error}");
}
