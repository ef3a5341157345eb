//! What the oracle tests share: the schema both ways, and a generator of wire bytes.
#![allow(dead_code, reason = "each test file uses its own part")]
#![allow(
    clippy::unwrap_used,
    unreachable_pub,
    missing_docs,
    reason = "a helper of tests"
)]

use std::path::PathBuf;
use std::sync::OnceLock;

use isukit_proto::wire::{WireType, put_tag, put_varint, zigzag};
use isukit_proto::{JsonOptions, Message, Schema, TextOptions};
use prost_reflect::{DescriptorPool, DynamicMessage, FieldDescriptor, Kind, MessageDescriptor};

/// The directory of the test schema.
pub fn protos() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/protos")
}

/// The test schema.
pub fn schema() -> &'static Schema {
    static SCHEMA: OnceLock<Schema> = OnceLock::new();
    SCHEMA.get_or_init(|| Schema::compile(&[protos()]).unwrap())
}

/// A message type of the test schema.
pub fn message(name: &str) -> Message {
    schema().message(name).unwrap()
}

/// The test schema as the oracle has it.
pub fn pool() -> &'static DescriptorPool {
    static POOL: OnceLock<DescriptorPool> = OnceLock::new();
    POOL.get_or_init(|| {
        let mut compiler = protox::Compiler::new([protos()]).unwrap();
        compiler
            .open_files([
                protos().join("everything.proto"),
                protos().join("legacy.proto"),
            ])
            .unwrap();
        compiler.descriptor_pool()
    })
}

/// The oracle's reading of the bytes.
pub fn dynamic(name: &str, bytes: &[u8]) -> DynamicMessage {
    let descriptor = pool().get_message_by_name(name).unwrap();
    DynamicMessage::decode(descriptor, bytes).unwrap()
}

/// Our JSON.
pub fn json(message: &Message, bytes: &[u8]) -> String {
    let mut out = Vec::new();
    message
        .to_json(bytes, &JsonOptions::new(), &mut out)
        .unwrap();
    String::from_utf8(out).unwrap()
}

/// Our text; equal text means equal messages, unknown fields and all.
pub fn text(message: &Message, bytes: &[u8]) -> String {
    let mut out = Vec::new();
    message
        .to_text(bytes, &TextOptions::new().expand_any(true), &mut out)
        .unwrap();
    String::from_utf8(out).unwrap()
}

/// Random decisions read from bytes, so that fewer bytes make a smaller message.
pub struct Choices<'a> {
    bytes: &'a [u8],
}

impl<'a> Choices<'a> {
    pub fn new(bytes: &'a [u8]) -> Choices<'a> {
        Choices { bytes }
    }

    pub fn byte(&mut self) -> u8 {
        let Some((byte, rest)) = self.bytes.split_first() else {
            return 0;
        };
        self.bytes = rest;
        *byte
    }

    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    pub fn below(&mut self, limit: usize) -> usize {
        usize::from(self.byte()) % limit
    }

    /// One in so many.
    pub fn one_in(&mut self, count: u8) -> bool {
        self.byte() % count == count - 1
    }

    fn word(&mut self) -> u64 {
        match self.below(8) {
            0 => 0,
            1 => 1,
            2 => u64::from(self.byte()),
            3 => u64::MAX,
            4 => i64::MIN as u64,
            5 => u64::from(u32::MAX >> (self.byte() % 3)),
            6 => (-i64::from(self.byte())) as u64,
            _ => (0..8).fold(0, |word, _| word << 8 | u64::from(self.byte())),
        }
    }

    fn text(&mut self) -> String {
        const LETTERS: [&str; 12] = [
            "a", "Z", "0", " ", "\"", "\\", "\n", "\u{1}", "é", "☃", "😀", "\u{7f}",
        ];
        (0..self.below(6))
            .map(|_| LETTERS[self.below(LETTERS.len())])
            .collect()
    }

    fn double(&mut self) -> f64 {
        const SOME: [f64; 8] = [
            0.0,
            -0.0,
            1.0,
            0.1,
            f64::NAN,
            f64::INFINITY,
            f64::NEG_INFINITY,
            f64::MAX,
        ];
        match self.one_in(2) {
            true => f64::from_bits((0..8).fold(0, |bits, _| bits << 8 | u64::from(self.byte()))),
            false => SOME[self.below(SOME.len())],
        }
    }
}

/// What the generator may produce besides plain fields.
#[derive(Clone, Copy)]
pub struct Wild {
    /// Fields no schema knows.
    pub unknown: bool,
    /// Numbers without a name in enums.
    pub odd_enums: bool,
    /// Values the special types have no JSON form for.
    pub out_of_range: bool,
}

impl Wild {
    pub const NONE: Wild = Wild {
        unknown: false,
        odd_enums: false,
        out_of_range: false,
    };
    pub const UNKNOWN: Wild = Wild {
        unknown: true,
        odd_enums: true,
        out_of_range: false,
    };
}

/// Wire bytes of a message: fields in any order, singular ones several times, messages in parts,
/// lists packed and not, several members of a oneof.
pub fn wire(
    of: &MessageDescriptor,
    choices: &mut Choices<'_>,
    depth: usize,
    wild: Wild,
) -> Vec<u8> {
    if let Some(bytes) = special(of, choices, depth, wild) {
        return bytes;
    }
    let mut fields: Vec<FieldDescriptor> = of.fields().collect();
    fields.sort_by_key(FieldDescriptor::number);
    let mut out = Vec::new();
    for field in fields.iter().filter(|field| field.is_required()) {
        value(
            field.number(),
            &field.kind(),
            field.is_group(),
            choices,
            depth,
            wild,
            &mut out,
        );
    }
    let count = choices.below(if depth == 0 { 24 } else { 6 });
    for _ in 0..count {
        if wild.unknown && choices.one_in(12) {
            unknown(choices, &mut out);
            continue;
        }
        let extensions: Vec<_> = of.extensions().collect();
        if !extensions.is_empty() && choices.one_in(5) {
            let field = &extensions[choices.below(extensions.len())];
            value(
                field.number(),
                &field.kind(),
                field.is_group(),
                choices,
                depth,
                wild,
                &mut out,
            );
            continue;
        }
        let Some(field) = fields.get(choices.below(fields.len().max(1))) else {
            break;
        };
        let is_message = matches!(field.kind(), Kind::Message(_));
        if is_message && depth >= 4 {
            continue;
        }
        if field.is_map() {
            map_entry(field, choices, depth, wild, &mut out);
        } else if field.is_list()
            && field.kind().wire_type() != prost::encoding::WireType::LengthDelimited
            && !is_message
            && choices.one_in(2)
        {
            let mut packed = Vec::new();
            for _ in 0..choices.below(5) {
                scalar(&field.kind(), choices, wild, &mut packed);
            }
            put_tag(&mut out, field.number(), WireType::Len);
            put_varint(&mut out, packed.len() as u64);
            out.extend(packed);
        } else {
            value(
                field.number(),
                &field.kind(),
                field.is_group(),
                choices,
                depth,
                wild,
                &mut out,
            );
        }
    }
    out
}

fn map_entry(
    field: &FieldDescriptor,
    choices: &mut Choices<'_>,
    depth: usize,
    wild: Wild,
    out: &mut Vec<u8>,
) {
    let Kind::Message(entry) = field.kind() else {
        return;
    };
    let (key, item) = (entry.map_entry_key_field(), entry.map_entry_value_field());
    if matches!(item.kind(), Kind::Message(_)) && depth >= 3 {
        return;
    }
    let mut bytes = Vec::new();
    let key_first = !choices.one_in(4);
    let order = if key_first {
        [&key, &item]
    } else {
        [&item, &key]
    };
    for part in order {
        // A Value without a kind reads back as null, which is another message.
        let kind = part.kind();
        let whole = matches!(&kind, Kind::Message(of) if of.full_name() == "google.protobuf.Value");
        if whole || !choices.one_in(6) {
            value(
                part.number(),
                &part.kind(),
                false,
                choices,
                depth + 1,
                wild,
                &mut bytes,
            );
        }
    }
    put_tag(out, field.number(), WireType::Len);
    put_varint(out, bytes.len() as u64);
    out.extend(bytes);
}

fn value(
    number: u32,
    kind: &Kind,
    group: bool,
    choices: &mut Choices<'_>,
    depth: usize,
    wild: Wild,
    out: &mut Vec<u8>,
) {
    let Kind::Message(message) = kind else {
        let wire = match kind.wire_type() {
            prost::encoding::WireType::Varint => WireType::Varint,
            prost::encoding::WireType::SixtyFourBit => WireType::Fixed64,
            prost::encoding::WireType::ThirtyTwoBit => WireType::Fixed32,
            _ => WireType::Len,
        };
        put_tag(out, number, wire);
        return scalar(kind, choices, wild, out);
    };
    let bytes = wire(message, choices, depth + 1, wild);
    if group {
        put_tag(out, number, WireType::StartGroup);
        out.extend(bytes);
        put_tag(out, number, WireType::EndGroup);
    } else {
        put_tag(out, number, WireType::Len);
        put_varint(out, bytes.len() as u64);
        out.extend(bytes);
    }
}

fn scalar(kind: &Kind, choices: &mut Choices<'_>, wild: Wild, out: &mut Vec<u8>) {
    match kind {
        Kind::Double => out.extend(positive_zero(choices.double()).to_le_bytes()),
        Kind::Float => {
            out.extend((positive_zero(f64::from(choices.double() as f32)) as f32).to_le_bytes());
        }
        Kind::Int32 => put_varint(out, i64::from(choices.word() as i32) as u64),
        Kind::Int64 | Kind::Uint64 => put_varint(out, choices.word()),
        Kind::Uint32 => put_varint(out, u64::from(choices.word() as u32)),
        Kind::Sint32 => put_varint(out, zigzag(i64::from(choices.word() as i32)) & 0xffff_ffff),
        Kind::Sint64 => put_varint(out, zigzag(choices.word() as i64)),
        Kind::Fixed32 | Kind::Sfixed32 => out.extend((choices.word() as u32).to_le_bytes()),
        Kind::Fixed64 | Kind::Sfixed64 => out.extend(choices.word().to_le_bytes()),
        Kind::Bool => put_varint(out, u64::from(choices.byte() & 1)),
        Kind::String => {
            let text = choices.text();
            put_varint(out, text.len() as u64);
            out.extend(text.as_bytes());
        }
        Kind::Bytes => {
            let len = choices.below(5);
            put_varint(out, len as u64);
            out.extend((0..len).map(|_| choices.byte()));
        }
        Kind::Enum(of) => {
            let values: Vec<i32> = of.values().map(|value| value.number()).collect();
            let odd = wild.odd_enums
                && of.full_name() != "google.protobuf.NullValue"
                && choices.one_in(4);
            let number = if odd {
                77
            } else {
                values[choices.below(values.len())]
            };
            put_varint(out, i64::from(number) as u64);
        }
        Kind::Message(_) => {}
    }
}

fn positive_zero(value: f64) -> f64 {
    if value == 0.0 { 0.0 } else { value }
}

fn unknown(choices: &mut Choices<'_>, out: &mut Vec<u8>) {
    let number = 3000 + u32::from(choices.byte() & 3);
    match choices.below(5) {
        0 => {
            put_tag(out, number, WireType::Varint);
            put_varint(out, choices.word());
        }
        1 => {
            put_tag(out, number, WireType::Fixed32);
            out.extend((choices.word() as u32).to_le_bytes());
        }
        2 => {
            put_tag(out, number, WireType::Fixed64);
            out.extend(choices.word().to_le_bytes());
        }
        3 => {
            let mut bytes = Vec::new();
            match choices.one_in(2) {
                true if !choices.is_empty() => unknown(choices, &mut bytes),
                // ASCII, because protoc also takes bytes for a message whose tags exceed 32 bits.
                _ => bytes.extend(choices.text().bytes().filter(u8::is_ascii)),
            }
            put_tag(out, number, WireType::Len);
            put_varint(out, bytes.len() as u64);
            out.extend(bytes);
        }
        _ => {
            put_tag(out, number, WireType::StartGroup);
            if !choices.is_empty() {
                unknown(choices, out);
            }
            put_tag(out, number, WireType::EndGroup);
        }
    }
}

/// Well-known types whose bytes must make sense.
fn special(
    of: &MessageDescriptor,
    choices: &mut Choices<'_>,
    depth: usize,
    wild: Wild,
) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let mut put = |number, value: i64| {
        put_tag(&mut out, number, WireType::Varint);
        put_varint(&mut out, value as u64);
    };
    match of.full_name() {
        "google.protobuf.Timestamp" => {
            let seconds = (choices.word() as i64).rem_euclid(253_402_300_800 + 62_135_596_800)
                - 62_135_596_800;
            put(
                1,
                if wild.out_of_range && choices.one_in(3) {
                    choices.word() as i64
                } else {
                    seconds
                },
            );
            put(2, i64::from(choices.word() as u32 % 1_000_000_000));
        }
        "google.protobuf.Duration" => {
            let seconds = (choices.word() as i64) % 315_576_000_000;
            put(1, seconds);
            let nanos = i64::from(choices.word() as u32 % 1_000_000_000);
            put(2, if seconds < 0 { -nanos } else { nanos });
        }
        "google.protobuf.FieldMask" => {
            for _ in 0..choices.below(3) {
                let path = ["a", "foo_bar.baz", "x_y_z"][choices.below(3)];
                put_tag(&mut out, 1, WireType::Len);
                put_varint(&mut out, path.len() as u64);
                out.extend(path.as_bytes());
            }
        }
        // The oracle writes `null` for a wrapped NaN; the mapping has it in quotes.
        "google.protobuf.DoubleValue" => {
            put_tag(&mut out, 1, WireType::Fixed64);
            out.extend(f64::from(choices.word() as i32).to_bits().to_le_bytes());
        }
        "google.protobuf.FloatValue" => {
            put_tag(&mut out, 1, WireType::Fixed32);
            out.extend((f32::from(choices.word() as i16) / 16.0).to_le_bytes());
        }
        "google.protobuf.Any" => {
            let names = [
                "oracle.v1.Inner",
                "google.protobuf.Duration",
                "google.protobuf.Int64Value",
                "google.protobuf.Empty",
            ];
            let name = names[choices.below(names.len())];
            let inner = pool().get_message_by_name(name)?;
            let bytes = wire(&inner, choices, depth + 1, Wild::NONE);
            for (number, content) in [
                (1, format!("type.googleapis.com/{name}").into_bytes()),
                (2, bytes),
            ] {
                put_tag(&mut out, number, WireType::Len);
                put_varint(&mut out, content.len() as u64);
                out.extend(content);
            }
        }
        "google.protobuf.Value" => match choices.below(if depth > 3 { 4 } else { 6 }) {
            0 => put(1, 0),
            1 => {
                put_tag(&mut out, 2, WireType::Fixed64);
                out.extend(
                    (f64::from(choices.word() as i32) / 8.0)
                        .to_bits()
                        .to_le_bytes(),
                );
            }
            2 => {
                let text = choices.text();
                put_tag(&mut out, 3, WireType::Len);
                put_varint(&mut out, text.len() as u64);
                out.extend(text.as_bytes());
            }
            3 => put(4, i64::from(choices.byte() & 1)),
            at => {
                let field = of.get_field(at as u32 + 1)?;
                let Kind::Message(inner) = field.kind() else {
                    return None;
                };
                let bytes = wire(&inner, choices, depth + 1, Wild::NONE);
                put_tag(&mut out, field.number(), WireType::Len);
                put_varint(&mut out, bytes.len() as u64);
                out.extend(bytes);
            }
        },
        _ => return None,
    }
    Some(out)
}
