//! Reading and writing by handle against field paths and JSON, on generated messages.
#![allow(clippy::unwrap_used, reason = "tests and their helpers")]

mod support;

use std::borrow::Cow;

use isukit_proto::{
    FieldKind, FieldRef, JsonParseOptions, Message, Segment, Value, WriteError, Writer, fuzz,
    subslice_range,
};
use proptest::prelude::*;
use serde_json::Value as Json;
use support::{Choices, Wild, json, message, pool, wire};

const EVERYTHING: &str = "oracle.v1.Everything";
const LEGACY: &str = "oracle.v1.Legacy";

fn generated(name: &str, choices: &[u8], wild: Wild) -> Vec<u8> {
    let descriptor = pool().get_message_by_name(name).unwrap();
    wire(&descriptor, &mut Choices::new(choices), 0, wild)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_writer_writes_what_json_encodes(
        choices in proptest::collection::vec(any::<u8>(), 0..400),
        legacy in any::<bool>(),
    ) {
        let name = if legacy { LEGACY } else { EVERYTHING };
        let of = message(name);
        let mut tree: Json = serde_json::from_str(&json(&of, &generated(name, &choices, Wild::NONE))).unwrap();
        without_any(&mut tree);
        let (mut ours, mut expected) = (b"kept".to_vec(), b"kept".to_vec());
        of.from_json(tree.to_string().as_bytes(), &JsonParseOptions::new(), &mut expected).unwrap();
        let mut writer = of.writer(&mut ours);
        write(&mut writer, &of, &tree).unwrap();
        writer.finish().unwrap();
        prop_assert_eq!(ours, expected, "{}", tree);
    }

    #[test]
    fn handles_read_what_paths_read(
        choices in proptest::collection::vec(any::<u8>(), 0..400),
        legacy in any::<bool>(),
    ) {
        let name = if legacy { LEGACY } else { EVERYTHING };
        compare(&message(name), &generated(name, &choices, Wild::UNKNOWN), 0);
    }

    #[test]
    fn any_calls_make_a_message(calls in proptest::collection::vec(any::<u8>(), 0..200)) {
        fuzz::write(&calls);
    }
}

/// Compares every field of a message and of those below it.
fn compare(of: &Message, bytes: &[u8], depth: usize) {
    for field in of.fields() {
        let info = of.info(field);
        let name = Segment::Field(info.name.to_owned());
        let path = of.path_of(std::slice::from_ref(&name)).unwrap();
        let value = of.get(field, bytes).unwrap();
        assert_eq!(
            format!("{value:?}"),
            format!("{:?}", path.get(bytes).unwrap())
        );
        assert_eq!(
            of.has(field, bytes).unwrap(),
            path.has(bytes).unwrap(),
            "{}",
            info.name
        );
        assert_eq!(info.kind, path.kind());
        let mut values = Vec::new();
        path.values(bytes, &mut values).unwrap();
        let items = of.items(field, bytes).unwrap();
        assert_eq!(format!("{items:?}"), format!("{values:?}"), "{}", info.name);
        let entries = of.entries(field, bytes).unwrap();
        if let Value::Map { len } = value {
            assert_eq!(entries.len() as u64, len);
        }
        for (key, value) in &entries {
            let key = Segment::Key(match key {
                Value::Str(key) => (*key).to_owned(),
                Value::Bool(key) => key.to_string(),
                Value::I64(key) => key.to_string(),
                Value::U64(key) => key.to_string(),
                other => panic!("the key {other:?}"),
            });
            let path = of.path_of(&[name.clone(), key]).unwrap();
            assert_eq!(
                format!("{value:?}"),
                format!("{:?}", path.get(bytes).unwrap())
            );
        }
        let inner = match info.kind {
            FieldKind::List(kind) => *kind,
            FieldKind::Map(_, kind) => *kind,
            kind => kind,
        };
        let FieldKind::Message(inner) = inner else {
            continue;
        };
        let below = items
            .into_iter()
            .chain(entries.into_iter().map(|entry| entry.1));
        for value in below.filter(|_| depth < 4) {
            match value {
                Value::Message(part) => {
                    if let Cow::Borrowed(part) = part {
                        let range = subslice_range(bytes, part).unwrap();
                        assert_eq!(&bytes[range], part);
                    }
                    compare(&inner, &part, depth + 1);
                }
                other => assert!(matches!(other, Value::Map { .. }), "{other:?}"),
            }
        }
    }
    for (name, oneof) in of.oneofs() {
        let set: Vec<FieldRef> = of
            .fields()
            .filter(|field| of.info(*field).oneof == Some(name) && of.has(*field, bytes).unwrap())
            .collect();
        assert_eq!(
            of.which(oneof, bytes).unwrap(),
            set.first().copied(),
            "{name}"
        );
        assert!(set.len() < 2);
    }
}

/// Takes every `Any` out: JSON writes its bytes, empty or not, in a way of its own.
fn without_any(tree: &mut Json) {
    match tree {
        Json::Object(members) => {
            members.remove("wktAny");
            members.values_mut().for_each(without_any);
        }
        Json::Array(items) => items.iter_mut().for_each(without_any),
        _ => {}
    }
}

/// Writes a JSON object field by field.
fn write(writer: &mut Writer<'_>, of: &Message, tree: &Json) -> Result<(), WriteError> {
    for (name, value) in tree.as_object().unwrap() {
        let field = of.field(name).unwrap();
        assert_eq!(writer.field(name).unwrap(), field);
        match of.info(field).kind {
            FieldKind::List(kind) => {
                for item in value.as_array().unwrap() {
                    write_value(writer, field, &kind, item)?;
                }
            }
            FieldKind::Map(_, kind) => write_entries(writer, field, &kind, value)?,
            kind => write_value(writer, field, &kind, value)?,
        }
    }
    Ok(())
}

fn write_entries(
    writer: &mut Writer<'_>,
    field: FieldRef,
    kind: &FieldKind,
    tree: &Json,
) -> Result<(), WriteError> {
    for (key, item) in tree.as_object().unwrap() {
        let value = writer.begin_entry(field, key.as_str().into())?;
        write_value(writer, value, kind, item)?;
        writer.end()?;
    }
    Ok(())
}

fn write_value(
    writer: &mut Writer<'_>,
    field: FieldRef,
    kind: &FieldKind,
    tree: &Json,
) -> Result<(), WriteError> {
    let bytes = |text: &Json| unbase64(text.as_str().unwrap());
    let name = match kind {
        FieldKind::Bytes => return writer.put(field, bytes(tree).as_slice().into()),
        FieldKind::Message(of) => of.full_name(),
        _ => "",
    };
    match (name, tree) {
        ("google.protobuf.BytesValue", _) => writer.put(field, bytes(tree).as_slice().into()),
        ("google.protobuf.FieldMask", Json::String(text)) => {
            writer.begin(field)?;
            let paths = writer.field("paths").unwrap();
            for path in text.split(',').filter(|path| !path.is_empty()) {
                writer.put(paths, snake(path).as_str().into())?;
            }
            writer.end()
        }
        ("google.protobuf.Value", Json::Null) => {
            writer.begin(field)?;
            writer.put(writer.field("null_value").unwrap(), 0_i64.into())?;
            writer.end()
        }
        ("google.protobuf.Value", Json::Object(_)) => nest(writer, field, "struct_value", tree),
        ("google.protobuf.Value", Json::Array(_)) => nest(writer, field, "list_value", tree),
        ("google.protobuf.Struct", _) => {
            writer.begin(field)?;
            struct_fields(writer, tree)?;
            writer.end()
        }
        ("google.protobuf.ListValue", _) => {
            writer.begin(field)?;
            list_values(writer, tree)?;
            writer.end()
        }
        (_, Json::Null) => writer.put(field, 0_i64.into()),
        (_, Json::Bool(value)) => writer.put(field, (*value).into()),
        (_, Json::String(text)) => writer.put(field, text.as_str().into()),
        (_, Json::Number(number)) => writer.put(field, number.as_f64().unwrap().into()),
        (_, Json::Array(_)) => panic!("a list for {name}"),
        (_, Json::Object(_)) => {
            let FieldKind::Message(of) = kind else {
                panic!("an object for {kind:?}")
            };
            writer.begin(field)?;
            write(writer, of, tree)?;
            writer.end()
        }
    }
}

/// A `Value` of a struct or a list.
fn nest(
    writer: &mut Writer<'_>,
    field: FieldRef,
    member: &str,
    tree: &Json,
) -> Result<(), WriteError> {
    writer.begin(field)?;
    writer.begin(writer.field(member).unwrap())?;
    match tree {
        Json::Array(_) => list_values(writer, tree)?,
        _ => struct_fields(writer, tree)?,
    }
    writer.end()?;
    writer.end()
}

fn struct_fields(writer: &mut Writer<'_>, tree: &Json) -> Result<(), WriteError> {
    let field = writer.field("fields").unwrap();
    let value = FieldKind::Message(message("google.protobuf.Value"));
    write_entries(writer, field, &value, tree)
}

fn list_values(writer: &mut Writer<'_>, tree: &Json) -> Result<(), WriteError> {
    let field = writer.field("values").unwrap();
    let value = FieldKind::Message(message("google.protobuf.Value"));
    let mut items = tree.as_array().unwrap().iter();
    items.try_for_each(|item| write_value(writer, field, &value, item))
}

fn snake(path: &str) -> String {
    path.chars()
        .flat_map(|letter| {
            let upper = letter.is_ascii_uppercase();
            upper
                .then_some('_')
                .into_iter()
                .chain([letter.to_ascii_lowercase()])
        })
        .collect()
}

fn unbase64(text: &str) -> Vec<u8> {
    const LETTERS: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let (mut bits, mut have, mut out) = (0_u32, 0, Vec::new());
    for letter in text.chars().filter(|letter| *letter != '=') {
        bits = bits << 6 | LETTERS.find(letter).unwrap() as u32;
        have += 6;
        if have >= 8 {
            have -= 8;
            out.push((bits >> have) as u8);
        }
    }
    out
}
