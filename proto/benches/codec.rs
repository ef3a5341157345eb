//! The codec against prost's generated code and against DynamicMessage.
//!
//! Run with `cargo bench -p isukit-proto`.

use std::sync::LazyLock;

use divan::counter::BytesCount;
use divan::{Bencher, black_box};
use isukit_proto::{
    JsonOptions, JsonParseOptions, Message, Schema, SlotValue, Template, TextOptions,
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
            case.template.render(black_box(&values), &mut out)
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
            black_box(&small).encode(&mut out)
        }),
        "medium" => bencher.bench_local(|| {
            out.clear();
            black_box(&medium).encode(&mut out)
        }),
        _ => bencher.bench_local(|| {
            out.clear();
            black_box(&large).encode(&mut out)
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

#[divan::bench]
fn compile_schema(bencher: Bencher<'_, '_>) {
    let dir = std::path::PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/protos");
    bencher.bench_local(|| Schema::compile(std::slice::from_ref(&dir)));
}
