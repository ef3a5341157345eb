//! Our readers and writers against prost-reflect's DynamicMessage, on generated wire bytes.
#![allow(clippy::unwrap_used, reason = "tests and their helpers")]

mod support;

use isukit_proto::{
    FieldPath, JsonOptions, JsonParseOptions, Message, Segment, SlotValue, Unknown, Value,
};
use proptest::prelude::*;
use prost::Message as _;
use prost_reflect::{DynamicMessage, MapKey, ReflectMessage as _};
use support::{Choices, Wild, dynamic, json, message, pool, text, wire};

const EVERYTHING: &str = "oracle.v1.Everything";
const LEGACY: &str = "oracle.v1.Legacy";

fn generated(name: &str, choices: &[u8], wild: Wild) -> Vec<u8> {
    wire(
        &pool().get_message_by_name(name).unwrap(),
        &mut Choices::new(choices),
        0,
        wild,
    )
}

fn choices() -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(any::<u8>(), 0..400)
}

fn cases(count: u32) -> ProptestConfig {
    ProptestConfig {
        cases: count,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

/// The oracle's JSON, as a tree. Goes through text, so that floats keep their shortest digits.
fn oracle_json(dynamic: &DynamicMessage) -> Option<serde_json::Value> {
    let text = serde_json::to_string(dynamic).ok()?;
    Some(serde_json::from_str(&text).unwrap())
}

fn tree(json: &str) -> serde_json::Value {
    serde_json::from_str(json).unwrap_or_else(|error| panic!("invalid JSON: {error}: {json}"))
}

proptest! {
    #![proptest_config(cases(1500))]

    #[test]
    fn json_out_is_the_oracles(choices in choices(), legacy in any::<bool>()) {
        let name = if legacy { LEGACY } else { EVERYTHING };
        let bytes = generated(name, &choices, Wild { unknown: true, odd_enums: true, out_of_range: false });
        let ours = json(&message(name), &bytes);
        let oracle = oracle_json(&dynamic(name, &bytes));
        prop_assert_eq!(Some(tree(&ours)), oracle, "{}", ours);
        prop_assert_eq!(message(name).validate(&bytes), Ok(()));
    }

    #[test]
    fn values_out_of_range_fail_in_both(choices in choices()) {
        let bytes = generated(EVERYTHING, &choices, Wild { unknown: false, odd_enums: false, out_of_range: true });
        let ours = message(EVERYTHING).to_json(&bytes, &JsonOptions::new(), &mut Vec::new());
        prop_assert_eq!(ours.is_ok(), oracle_json(&dynamic(EVERYTHING, &bytes)).is_some(), "{:?}", ours);
    }

    #[test]
    fn json_goes_in_as_it_came_out(choices in choices(), legacy in any::<bool>()) {
        let name = if legacy { LEGACY } else { EVERYTHING };
        let bytes = generated(name, &choices, Wild::NONE);
        let message = message(name);
        let ours = json(&message, &bytes);
        let mut back = Vec::new();
        message.from_json(ours.as_bytes(), &JsonParseOptions::new(), &mut back).unwrap();
        prop_assert_eq!(text(&message, &back), text(&message, &dynamic(name, &bytes).encode_to_vec()), "{}", ours);
        // The oracle reads our JSON the same.
        let mut reader = serde_json::Deserializer::from_str(&ours);
        let theirs = DynamicMessage::deserialize(pool().get_message_by_name(name).unwrap(), &mut reader).unwrap();
        prop_assert_eq!(text(&message, &back), text(&message, &theirs.encode_to_vec()));
    }

    #[test]
    fn every_option_reads_back(choices in choices(), options in 0..16u8) {
        let bytes = generated(EVERYTHING, &choices, Wild { unknown: false, odd_enums: true, out_of_range: false });
        let message = message(EVERYTHING);
        let options = JsonOptions::new().proto_names(options & 1 != 0).defaults(options & 2 != 0).enum_numbers(options & 4 != 0);
        let (mut out, mut back) = (Vec::new(), Vec::new());
        message.to_json(&bytes, &options, &mut out).unwrap();
        message.from_json(&out, &JsonParseOptions::new(), &mut back).unwrap();
        prop_assert_eq!(json(&message, &back), json(&message, &bytes));
    }

    #[test]
    fn kept_unknown_fields_come_back(choices in choices(), legacy in any::<bool>()) {
        let name = if legacy { LEGACY } else { "oracle.v1.Inner" };
        let bytes = generated(name, &choices, Wild { unknown: true, odd_enums: false, out_of_range: false });
        let message = message(name);
        let (mut out, mut back) = (Vec::new(), Vec::new());
        message.to_json(&bytes, &JsonOptions::new().unknown(Unknown::Keep), &mut out).unwrap();
        message.from_json(&out, &JsonParseOptions::new(), &mut back).unwrap();
        // Through the oracle, which sorts unknown fields and drops replaced map entries.
        let settled = |bytes: &[u8]| text(&message, &dynamic(name, bytes).encode_to_vec());
        prop_assert_eq!(settled(&back), settled(&bytes));
    }

    #[test]
    fn paths_read_what_the_oracle_has(choices in choices(), legacy in any::<bool>()) {
        let name = if legacy { LEGACY } else { EVERYTHING };
        let bytes = generated(name, &choices, Wild::UNKNOWN);
        compare_paths(&message(name), &bytes, &dynamic(name, &bytes), &mut Vec::new());
    }

    #[test]
    fn templates_render_what_json_encodes(choices in choices(), picks in any::<u64>()) {
        let bytes = generated(EVERYTHING, &choices, Wild::NONE);
        let message = message(EVERYTHING);
        let source = tree(&json(&message, &bytes));
        let mut holes = Holes { picks, values: Vec::new(), message: &message };
        let holed = holes.punch(&source, true).to_string();
        let template = message.template(&holed).unwrap();
        let ordered: Vec<_> = template.slots().iter().map(|name| {
            let index: usize = name[1..].parse().unwrap();
            holes.values[index].slot()
        }).collect();
        let (mut rendered, mut encoded) = (b"kept".to_vec(), b"kept".to_vec());
        template.render(&ordered, &mut rendered).unwrap();
        message.from_json(source.to_string().as_bytes(), &JsonParseOptions::new(), &mut encoded).unwrap();
        prop_assert_eq!(rendered, encoded, "{}", holed);
    }
}

/// Compares every field, present or not, and every element of lists and maps.
fn compare_paths(root: &Message, bytes: &[u8], dynamic: &DynamicMessage, at: &mut Vec<Segment>) {
    for field in dynamic.descriptor().fields() {
        at.push(Segment::Field(field.name().to_owned()));
        let path = root.path_of(at).unwrap();
        let value = dynamic.get_field(&field);
        let got = path.get(bytes).unwrap();
        let context = || path.as_str().to_owned();
        assert_eq!(
            path.has(bytes).unwrap(),
            dynamic.has_field(&field),
            "{}",
            context()
        );
        match &*value {
            prost_reflect::Value::List(items) => {
                assert_eq!(
                    got,
                    Value::List {
                        len: items.len() as u64
                    },
                    "{}",
                    context()
                );
                let mut all = Vec::new();
                path.values(bytes, &mut all).unwrap();
                assert_eq!(all.len(), items.len());
                for (index, item) in items.iter().enumerate() {
                    at.push(Segment::Index(index as i64));
                    compare_item(root, bytes, item, at);
                    at.pop();
                }
                at.push(Segment::Index(items.len() as i64));
                assert!(root.path_of(at).unwrap().get(bytes).unwrap().is_absent());
                at.pop();
            }
            prost_reflect::Value::Map(items) => {
                assert_eq!(
                    got,
                    Value::Map {
                        len: items.len() as u64
                    },
                    "{}",
                    context()
                );
                for (key, item) in items {
                    at.push(Segment::Key(match key {
                        MapKey::String(key) => key.clone(),
                        MapKey::Bool(key) => key.to_string(),
                        MapKey::I32(key) => key.to_string(),
                        MapKey::I64(key) => key.to_string(),
                        MapKey::U32(key) => key.to_string(),
                        MapKey::U64(key) => key.to_string(),
                    }));
                    compare_item(root, bytes, item, at);
                    at.pop();
                }
            }
            prost_reflect::Value::Message(_) if !dynamic.has_field(&field) => {
                assert!(got.is_absent())
            }
            _ => compare_item(root, bytes, &value, at),
        }
        at.pop();
    }
}

fn compare_item(
    root: &Message,
    bytes: &[u8],
    expected: &prost_reflect::Value,
    at: &mut Vec<Segment>,
) {
    use prost_reflect::Value as Theirs;
    let path: FieldPath = root.path_of(at).unwrap();
    let got = path.get(bytes).unwrap();
    let same = match (expected, &got) {
        (Theirs::Message(inner), Value::Message(_)) => {
            if at.len() < 12 {
                compare_paths(root, bytes, inner, at);
            }
            true
        }
        (Theirs::Bool(a), Value::Bool(b)) => a == b,
        (Theirs::I32(a), Value::I64(b)) => i64::from(*a) == *b,
        (Theirs::I64(a), Value::I64(b)) => a == b,
        (Theirs::U32(a), Value::U64(b)) => u64::from(*a) == *b,
        (Theirs::U64(a), Value::U64(b)) => a == b,
        (Theirs::F32(a), Value::F32(b)) => a.to_bits() == b.to_bits(),
        (Theirs::F64(a), Value::F64(b)) => a.to_bits() == b.to_bits(),
        (Theirs::String(a), Value::Str(b)) => a == b,
        (Theirs::Bytes(a), Value::Bytes(b)) => a == b,
        (Theirs::EnumNumber(a), Value::Enum { number, .. }) => a == number,
        _ => false,
    };
    assert!(same, "{}: {got:?}, expected {expected:?}", path.as_str());
}

/// Replaces leaves of a JSON tree by placeholders.
struct Holes<'m> {
    picks: u64,
    values: Vec<Hole>,
    message: &'m Message,
}

enum Hole {
    Bool(bool),
    Text(String),
    Int(i64),
}

impl Hole {
    fn slot(&self) -> SlotValue<'_> {
        match self {
            Hole::Bool(value) => SlotValue::Bool(*value),
            Hole::Text(text) => SlotValue::Str(text),
            Hole::Int(value) => SlotValue::I64(*value),
        }
    }
}

impl Holes<'_> {
    fn pick(&mut self) -> bool {
        self.picks = self.picks.rotate_left(1) ^ 0x9e37;
        self.picks & 1 == 1
    }

    fn punch(&mut self, value: &serde_json::Value, top: bool) -> serde_json::Value {
        use serde_json::Value as Json;
        match value {
            Json::Object(members) => Json::Object(
                members
                    .iter()
                    .map(|(key, value)| {
                        let special = key.starts_with("wkt");
                        (
                            key.clone(),
                            if special {
                                self.escaped(value)
                            } else {
                                self.punch(value, false)
                            },
                        )
                    })
                    .collect(),
            ),
            Json::Array(items) => {
                Json::Array(items.iter().map(|item| self.punch(item, false)).collect())
            }
            _ if top || !self.pick() => self.escaped(value),
            Json::Bool(value) => self.hole(Hole::Bool(*value)),
            Json::Number(number) => match number.as_i64() {
                Some(value) => self.hole(Hole::Int(value)),
                None => self.hole(Hole::Text(number.to_string())),
            },
            Json::String(text) => self.hole(Hole::Text(text.clone())),
            Json::Null => Json::Null,
        }
    }

    fn escaped(&self, value: &serde_json::Value) -> serde_json::Value {
        debug_assert!(
            !value.to_string().contains("${"),
            "{}",
            self.message.full_name()
        );
        value.clone()
    }

    fn hole(&mut self, hole: Hole) -> serde_json::Value {
        self.values.push(hole);
        format!("${{s{}}}", self.values.len() - 1).into()
    }
}
