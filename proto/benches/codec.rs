//! The codec against prost's generated code and against DynamicMessage.
//!
//! Run with `cargo bench -p isukit-proto`.

use std::sync::LazyLock;

use divan::counter::BytesCount;
use divan::{Bencher, black_box};
use isukit_proto::{
    FieldRef, JsonOptions, JsonParseOptions, Message, Schema, SlotValue, Template, TextOptions,
    Value, WriteError,
};
use prost::Message as _;
use prost_reflect::{DescriptorPool, DynamicMessage};

fn main() {
    divan::main();
}

#[derive(Clone, PartialEq, prost::Message)]
struct Small {
    #[prost(int64, tag = "1")]
    id: i64,
    #[prost(string, tag = "2")]
    name: String,
    #[prost(uint32, tag = "3")]
    score: u32,
    #[prost(bool, tag = "4")]
    active: bool,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Medium {
    #[prost(int64, tag = "1")]
    id: i64,
    #[prost(string, tag = "2")]
    name: String,
    #[prost(message, optional, tag = "3")]
    owner: Option<Small>,
    #[prost(int32, repeated, tag = "4")]
    scores: Vec<i32>,
    #[prost(double, tag = "5")]
    ratio: f64,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Large {
    #[prost(int64, tag = "1")]
    id: i64,
    #[prost(string, tag = "2")]
    token: String,
    #[prost(message, repeated, tag = "3")]
    items: Vec<Medium>,
}

/// What prost-build generates from `tests/protos`.
#[allow(
    clippy::all,
    missing_docs,
    unreachable_pub,
    dead_code,
    reason = "generated"
)]
mod oracle {
    include!("../tests/generated/oracle.v1.rs");
}

const PROTO: &str = r#"
syntax = "proto3";
package bench;
message Small { int64 id = 1; string name = 2; uint32 score = 3; bool active = 4; }
message Medium { int64 id = 1; string name = 2; Small owner = 3; repeated int32 scores = 4; double ratio = 5; }
message Large { int64 id = 1; string token = 2; repeated Medium items = 3; }
"#;

static SCHEMA: LazyLock<(Schema, DescriptorPool)> = LazyLock::new(|| {
    let dir = std::env::temp_dir().join(format!("isukit-proto-bench-{}", std::process::id()));
    std::fs::create_dir_all(&dir).expect("a temporary directory");
    std::fs::write(dir.join("bench.proto"), PROTO).expect("the schema written");
    let schema = Schema::compile(std::slice::from_ref(&dir)).expect("the schema compiles");
    let mut compiler = protox::Compiler::new([&dir]).expect("an import root");
    compiler
        .open_file("bench.proto")
        .expect("the schema compiles");
    std::fs::remove_dir_all(&dir).ok();
    (schema, compiler.descriptor_pool())
});

fn small() -> Small {
    Small {
        id: 123_456_789,
        name: "a user named thus".to_owned(),
        score: 4242,
        active: true,
    }
}

fn medium(id: i64) -> Medium {
    Medium {
        id: 1_000_000 + id,
        name: "team".to_owned() + " of many",
        owner: Some(Small {
            name: "owner".to_owned(),
            ..small()
        }),
        scores: vec![1, 20, 300, 4000, 5, 6],
        ratio: 0.625,
    }
}

fn large() -> Large {
    Large {
        id: 77,
        token: "0123456789abcdef".to_owned(),
        items: (0..105).map(medium).collect(),
    }
}

/// One message in every form the benchmarks need.
struct Case {
    message: Message,
    wire: Vec<u8>,
    json: Vec<u8>,
    dynamic: DynamicMessage,
    template: Template,
}

fn case(name: &str) -> Case {
    let (schema, pool) = &*SCHEMA;
    let wire = match name {
        "small" => small().encode_to_vec(),
        "medium" => medium(1).encode_to_vec(),
        _ => large().encode_to_vec(),
    };
    let full = match name {
        "small" => "bench.Small",
        "medium" => "bench.Medium",
        _ => "bench.Large",
    };
    let message = schema.message(full).expect("a type of the schema");
    let mut json = Vec::new();
    message
        .to_json(&wire, &JsonOptions::new(), &mut json)
        .expect("valid wire bytes");
    let descriptor = pool
        .get_message_by_name(full)
        .expect("a type of the schema");
    let dynamic = DynamicMessage::decode(descriptor, wire.as_slice()).expect("valid wire bytes");
    let holed = String::from_utf8_lossy(&json)
        .replace("\"123456789\"", "\"${seq}\"")
        .replacen("\"1000001\"", "\"${seq}\"", 1)
        .replacen("a user named thus", "${name}", 1)
        .replacen("team of many", "${name}", 1)
        .replacen("0123456789abcdef", "${name}", 1);
    let holed = if name == "large" {
        // Only a few slots, in the fields of the request itself and in its first item.
        let mut first = true;
        let parts: Vec<String> = holed.split("\"${seq}\"").map(str::to_owned).collect();
        parts
            .iter()
            .enumerate()
            .fold(String::new(), |mut out, (at, part)| {
                if at > 0 {
                    out.push_str(if std::mem::take(&mut first) {
                        "\"${seq}\""
                    } else {
                        "\"123456789\""
                    });
                }
                out + part
            })
    } else {
        holed
    };
    let template = message.template(&holed).expect("a template");
    Case {
        message,
        wire,
        json,
        dynamic,
        template,
    }
}

const SIZES: [&str; 3] = ["small", "medium", "large"];

#[divan::bench(args = SIZES)]
fn validate(bencher: Bencher<'_, '_>, name: &str) {
    let case = case(name);
    bencher
        .counter(BytesCount::of_slice(&case.wire))
        .bench_local(|| case.message.validate(black_box(&case.wire)));
}

#[divan::bench(args = SIZES)]
fn validate_by_prost_decode(bencher: Bencher<'_, '_>, name: &str) {
    let case = case(name);
    let bencher = bencher.counter(BytesCount::of_slice(&case.wire));
    match name {
        "small" => bencher.bench_local(|| Small::decode(black_box(case.wire.as_slice()))),
        "medium" => bencher.bench_local(|| Medium::decode(black_box(case.wire.as_slice()))),
        _ => bencher.bench_local(|| Large::decode(black_box(case.wire.as_slice()))),
    }
}

#[divan::bench(args = SIZES)]
fn to_json(bencher: Bencher<'_, '_>, name: &str) {
    let case = case(name);
    let mut out = Vec::with_capacity(1 << 16);
    bencher
        .counter(BytesCount::of_slice(&case.wire))
        .bench_local(|| {
            out.clear();
            case.message
                .to_json(black_box(&case.wire), &JsonOptions::new(), &mut out)
        });
}

#[divan::bench(args = SIZES)]
fn to_json_by_dynamic(bencher: Bencher<'_, '_>, name: &str) {
    let case = case(name);
    let descriptor = prost_reflect::ReflectMessage::descriptor(&case.dynamic);
    bencher
        .counter(BytesCount::of_slice(&case.wire))
        .bench_local(|| {
            let message =
                DynamicMessage::decode(descriptor.clone(), black_box(case.wire.as_slice()));
            message.map(|message| serde_json::to_vec(&message))
        });
}

#[divan::bench(args = SIZES)]
fn to_text(bencher: Bencher<'_, '_>, name: &str) {
    let case = case(name);
    let mut out = Vec::with_capacity(1 << 16);
    bencher
        .counter(BytesCount::of_slice(&case.wire))
        .bench_local(|| {
            out.clear();
            case.message
                .to_text(black_box(&case.wire), &TextOptions::new(), &mut out)
        });
}

#[divan::bench(args = SIZES)]
fn from_json(bencher: Bencher<'_, '_>, name: &str) {
    let case = case(name);
    let mut out = Vec::with_capacity(1 << 16);
    bencher
        .counter(BytesCount::of_slice(&case.wire))
        .bench_local(|| {
            out.clear();
            case.message
                .from_json(black_box(&case.json), &JsonParseOptions::new(), &mut out)
        });
}

#[divan::bench(args = SIZES)]
fn from_json_by_dynamic(bencher: Bencher<'_, '_>, name: &str) {
    let case = case(name);
    let descriptor = prost_reflect::ReflectMessage::descriptor(&case.dynamic);
    bencher
        .counter(BytesCount::of_slice(&case.wire))
        .bench_local(|| {
            let mut reader = serde_json::Deserializer::from_slice(black_box(&case.json));
            DynamicMessage::deserialize(descriptor.clone(), &mut reader)
                .map(|message| message.encode_to_vec())
        });
}

#[divan::bench(args = SIZES)]
fn render(bencher: Bencher<'_, '_>, name: &str) {
    let case = case(name);
    let mut out = Vec::with_capacity(1 << 16);
    let text = if name == "small" {
        "a user named thus"
    } else {
        "team of many"
    };
    let value = |slot: &String| match slot.as_str() {
        "seq" => SlotValue::I64(123_456_789),
        _ => SlotValue::Str(text),
    };
    let values: Vec<_> = case.template.slots().iter().map(value).collect();
    bencher
        .counter(BytesCount::of_slice(&case.wire))
        .bench_local(|| {
            out.clear();
            case.template.render(black_box(&values), &mut out).is_ok()
        });
}

#[divan::bench(args = SIZES)]
fn render_by_prost_encode(bencher: Bencher<'_, '_>, name: &str) {
    let case = case(name);
    let mut out = Vec::with_capacity(1 << 16);
    let (small, medium, large) = (small(), medium(1), large());
    let bencher = bencher.counter(BytesCount::of_slice(&case.wire));
    match name {
        "small" => bencher.bench_local(|| {
            out.clear();
            black_box(&small).encode(&mut out).is_ok()
        }),
        "medium" => bencher.bench_local(|| {
            out.clear();
            black_box(&medium).encode(&mut out).is_ok()
        }),
        _ => bencher.bench_local(|| {
            out.clear();
            black_box(&large).encode(&mut out).is_ok()
        }),
    }
}

#[divan::bench(args = SIZES)]
fn render_by_dynamic(bencher: Bencher<'_, '_>, name: &str) {
    let case = case(name);
    let mut out = Vec::with_capacity(1 << 16);
    bencher
        .counter(BytesCount::of_slice(&case.wire))
        .bench_local(|| {
            out.clear();
            black_box(&case.dynamic).encode(&mut out)
        });
}

/// A message of the test schema: what prost-build generates for it, and a template of it.
struct Generated<M> {
    prost: M,
    template: Template,
    values: Vec<SlotValue<'static>>,
}

/// Makes the template by putting placeholders in the place of values.
fn generated<M: prost::Message>(
    prost: M,
    size: usize,
    full: &str,
    slots: &[(&str, &str, SlotValue<'static>)],
) -> Generated<M> {
    let dir = std::path::PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/protos");
    let schema = Schema::compile(&[dir]).expect("the schema compiles");
    let message = schema.message(full).expect("a type of the schema");
    let wire = prost.encode_to_vec();
    assert_eq!(wire.len(), size);
    let mut json = Vec::new();
    message
        .to_json(&wire, &JsonOptions::new(), &mut json)
        .expect("valid wire bytes");
    let mut json = String::from_utf8(json).expect("JSON is text");
    for (text, name, _) in slots {
        assert!(json.contains(text), "{text} in {json}");
        json = json.replacen(text, &format!("\"${{{name}}}\""), 1);
    }
    let template = message.template(&json).expect("a template");
    let value = |name: &String| {
        let slot = slots.iter().find(|slot| slot.1 == name);
        slot.expect("a slot").2
    };
    let values: Vec<_> = template.slots().iter().map(value).collect();
    let mut out = Vec::new();
    template.render(&values, &mut out).expect("values that fit");
    assert_eq!(out, wire);
    Generated {
        prost,
        template,
        values,
    }
}

const NUMBER: (&str, &str, SlotValue<'static>) = ("123456789", "seq", SlotValue::I64(123_456_789));

/// 32 bytes, two slots.
fn bytes_32() -> Generated<oracle::Inner> {
    let text = "the name of one user...";
    let prost = oracle::Inner {
        n: 123_456_789,
        text: text.to_owned(),
        either: Some(oracle::inner::Either::Left(42)),
        ..oracle::Inner::default()
    };
    let name = SlotValue::Str(text);
    let slots = [NUMBER, ("\"the name of one user...\"", "name", name)];
    generated(prost, 32, "oracle.v1.Inner", &slots)
}

/// 69 bytes, three slots, one of them in a nested message.
fn bytes_69() -> Generated<oracle::Inner> {
    let prost = oracle::Inner {
        n: 123_456_789,
        text: "one user of a team".to_owned(),
        deeper: Some(Box::new(oracle::Inner {
            n: 987_654_321,
            text: "a description of a team...".to_owned(),
            ..oracle::Inner::default()
        })),
        list: vec![1, 20, 300, 4000],
        ..oracle::Inner::default()
    };
    let slots = [
        NUMBER,
        (
            "\"one user of a team\"",
            "name",
            SlotValue::Str("one user of a team"),
        ),
        (
            "\"a description of a team...\"",
            "text",
            SlotValue::Str("a description of a team..."),
        ),
    ];
    generated(prost, 69, "oracle.v1.Inner", &slots)
}

/// 7 KB, two slots, both in the first of the items.
fn bytes_7k() -> Generated<oracle::Batch> {
    let item = oracle::Everything {
        an_int64: 123_456_789,
        a_string: "0123456789abcdef".to_owned(),
        inner: Some(bytes_69().prost),
        ..oracle::Everything::default()
    };
    let prost = oracle::Batch {
        items: vec![item; 73],
    };
    let slots = [
        ("\"123456789\"", NUMBER.1, NUMBER.2),
        (
            "\"0123456789abcdef\"",
            "token",
            SlotValue::Str("0123456789abcdef"),
        ),
    ];
    generated(prost, 7081, "oracle.v1.Batch", &slots)
}

fn render_one<M>(bencher: Bencher<'_, '_>, of: &Generated<M>) {
    let mut out = Vec::with_capacity(1 << 16);
    bencher.bench_local(|| {
        out.clear();
        of.template.render(black_box(&of.values), &mut out).is_ok()
    });
}

fn encode_one<M: prost::Message>(bencher: Bencher<'_, '_>, of: &Generated<M>) {
    let mut out = Vec::with_capacity(1 << 16);
    bencher.bench_local(|| {
        out.clear();
        black_box(&of.prost).encode(&mut out).is_ok()
    });
}

const REQUESTS: [&str; 3] = ["32 B", "69 B", "7 KB"];

#[divan::bench(args = REQUESTS)]
fn render_request(bencher: Bencher<'_, '_>, size: &str) {
    match size {
        "32 B" => render_one(bencher, &bytes_32()),
        "69 B" => render_one(bencher, &bytes_69()),
        _ => render_one(bencher, &bytes_7k()),
    }
}

#[divan::bench(args = REQUESTS)]
fn render_request_by_prost_encode(bencher: Bencher<'_, '_>, size: &str) {
    match size {
        "32 B" => encode_one(bencher, &bytes_32()),
        "69 B" => encode_one(bencher, &bytes_69()),
        _ => encode_one(bencher, &bytes_7k()),
    }
}

#[divan::bench]
fn path_in_medium(bencher: Bencher<'_, '_>) {
    let case = case("medium");
    let path = case.message.path("owner.name").expect("a path");
    bencher.bench_local(|| {
        path.get(black_box(&case.wire))
            .map(|value| value == "owner")
    });
}

#[divan::bench]
fn path_to_the_last_item_of_large(bencher: Bencher<'_, '_>) {
    let case = case("large");
    let path = case.message.path("items[104].owner.id").expect("a path");
    bencher.bench_local(|| {
        path.get(black_box(&case.wire))
            .map(|value| value == 123_456_789_i64)
    });
}

/// The 69 bytes and handles of their fields.
struct Fields {
    message: Message,
    wire: Vec<u8>,
    number: FieldRef,
    text: FieldRef,
    deeper: FieldRef,
    list: FieldRef,
}

fn fields_69() -> Fields {
    let dir = std::path::PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/protos");
    let schema = Schema::compile(&[dir]).expect("the schema compiles");
    let message = schema.message("oracle.v1.Inner").expect("a type");
    let field = |name| message.field(name).expect("a field");
    Fields {
        number: field("n"),
        text: field("text"),
        deeper: field("deeper"),
        list: field("list"),
        wire: bytes_69().prost.encode_to_vec(),
        message,
    }
}

/// An integer, a text and a text of the nested message.
#[divan::bench]
fn read_three_fields_of_69(bencher: Bencher<'_, '_>) {
    let of = fields_69();
    bencher.bench_local(|| {
        let bytes = black_box(of.wire.as_slice());
        let number = of.message.get(of.number, bytes);
        let text = of.message.get(of.text, bytes);
        let deeper = of.message.get(of.deeper, bytes);
        let below = match &deeper {
            Ok(Value::Message(part)) => of
                .message
                .get(of.text, part)
                .is_ok_and(|value| value == "a description of a team..."),
            _ => false,
        };
        below
            && number.is_ok_and(|value| value == 123_456_789_i64)
            && text.is_ok_and(|value| value == "one user of a team")
    });
}

/// The four elements of the packed list.
#[divan::bench]
fn read_list_of_69(bencher: Bencher<'_, '_>) {
    let of = fields_69();
    bencher.bench_local(|| of.message.items(of.list, black_box(&of.wire)));
}

#[divan::bench]
fn write_69(bencher: Bencher<'_, '_>) {
    let of = fields_69();
    let write = |out: &mut Vec<u8>, number: f64, text: &str| -> Result<(), WriteError> {
        let mut writer = of.message.writer(out);
        writer.put(of.number, number.into())?;
        writer.put(of.text, text.into())?;
        writer.begin(of.deeper)?;
        writer.put(of.number, 987_654_321.0.into())?;
        writer.put(of.text, "a description of a team...".into())?;
        writer.end()?;
        for item in [1.0, 20.0, 300.0, 4000.0] {
            writer.put(of.list, item.into())?;
        }
        writer.finish()
    };
    let mut out = Vec::with_capacity(1 << 16);
    let text = "one user of a team";
    assert_eq!(write(&mut out, 123_456_789.0, text), Ok(()));
    assert_eq!(out, of.wire);
    bencher.bench_local(|| {
        out.clear();
        write(&mut out, black_box(123_456_789.0), black_box(text)).is_ok()
    });
}

#[divan::bench]
fn find_field(bencher: Bencher<'_, '_>) {
    let of = fields_69();
    bencher.bench_local(|| of.message.field(black_box("text")));
}

#[divan::bench]
fn compile_schema(bencher: Bencher<'_, '_>) {
    let dir = std::path::PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/protos");
    bencher.bench_local(|| Schema::compile(std::slice::from_ref(&dir)));
}
