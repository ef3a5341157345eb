//! Bodies of the fuzz targets, as ordinary functions: `fuzz/` feeds them random bytes, tests replay
//! the corpus through them. Each one panics when a promise is broken.

use std::sync::OnceLock;

use crate::{
    DecodeError, FieldKind, FieldRef, JsonOptions, JsonParseOptions, Limits, Message, Schema,
    SlotValue, TextOptions, TextParseOptions, Unknown, Value, WriteValue, schemaless,
};

/// A schema with every construct the readers treat differently.
const SET: &[u8] = include_bytes!("../fuzz/schema.bin");

fn schema() -> Option<&'static Schema> {
    static SCHEMA: OnceLock<Option<Schema>> = OnceLock::new();
    SCHEMA
        .get_or_init(|| Schema::from_descriptor_set(SET).ok())
        .as_ref()
}

/// One of the two message types, by the first byte.
fn pick(data: &[u8]) -> Option<(Message, &[u8])> {
    let (first, rest) = data.split_first()?;
    let name = if first & 1 == 0 {
        "oracle.v1.Everything"
    } else {
        "oracle.v1.Legacy"
    };
    Some((schema()?.message(name).ok()?, rest))
}

/// Wire bytes through every reader: JSON must be text and read back to the same JSON.
pub fn wire(data: &[u8]) {
    let Some((message, bytes)) = pick(data) else {
        return;
    };
    read_fields(&message, bytes, 0);
    let valid = message.validate(bytes).is_ok();
    let mut text = Vec::new();
    let text_read = message.to_text(bytes, &TextOptions::new().expand_any(true), &mut text);
    assert!(
        text_read.is_ok() || !valid,
        "the strict check passed what text refuses: {text_read:?}"
    );
    assert!(text.is_ascii() || std::str::from_utf8(&text).is_ok());
    for options in [
        JsonOptions::new(),
        JsonOptions::new().unknown(Unknown::Keep).defaults(true),
    ] {
        let mut json = Vec::new();
        if message.to_json(bytes, &options, &mut json).is_err() {
            continue;
        }
        assert!(std::str::from_utf8(&json).is_ok(), "JSON that is no text");
        let mut wire = Vec::new();
        if let Err(error) = message.from_json(&json, &JsonParseOptions::new(), &mut wire) {
            // Depth is counted in JSON levels here and a required field may be absent.
            let limit = matches!(
                error.cause,
                crate::EncodeCause::Limit { .. } | crate::EncodeCause::Required { .. }
            );
            assert!(
                limit,
                "our own JSON refused: {error}: {}",
                String::from_utf8_lossy(&json)
            );
            continue;
        }
        let mut again = Vec::new();
        let reread = message.to_json(&wire, &options, &mut again);
        assert_eq!(reread, Ok(()));
        assert_eq!(
            String::from_utf8_lossy(&again),
            String::from_utf8_lossy(&json)
        );
    }
}

/// Every field of hostile bytes by its handle, and of the messages below.
fn read_fields(message: &Message, bytes: &[u8], depth: usize) {
    for field in message.fields() {
        let value = message.get(field, bytes);
        let has = message.has(field, bytes);
        assert!(value.is_err() || has.is_ok(), "{has:?}");
        let entries = message.entries(field, bytes).unwrap_or_default();
        let items = message.items(field, bytes).unwrap_or_default();
        if let Ok(Value::List { len }) = value {
            assert!(items.is_empty() || items.len() as u64 == len);
        }
        let FieldKind::Message(inner) = element_kind(message.info(field).kind) else {
            continue;
        };
        let values = entries.iter().map(|entry| &entry.1).chain(&items);
        for value in values.filter(|_| depth < 3) {
            if let Value::Message(part) = value {
                read_fields(&inner, part, depth + 1);
            }
        }
    }
    for (_, oneof) in message.oneofs() {
        if let Ok(Some(member)) = message.which(oneof, bytes) {
            assert_eq!(message.has(member, bytes), Ok(true));
        }
    }
}

/// What a list or map is of.
fn element_kind(kind: FieldKind) -> FieldKind {
    match kind {
        FieldKind::List(kind) | FieldKind::Map(_, kind) => *kind,
        kind => kind,
    }
}

/// Calls of a writer, each spelled by a few bytes: what comes out must be a message.
pub fn write(data: &[u8]) {
    let Some((message, mut calls)) = pick(data) else {
        return;
    };
    let mut out = Vec::new();
    let mut writer = message.writer(&mut out);
    let mut entry = None;
    while let [call, field, value, rest @ ..] = calls {
        calls = rest;
        let fields: Vec<FieldRef> =
            match schema().and_then(|of| of.message(writer.open_type()).ok()) {
                Some(open) => open.fields().collect(),
                None => return,
            };
        let Some(field) = fields.get(usize::from(*field) % fields.len().max(1)) else {
            let _ = writer.end();
            continue;
        };
        let before = writer.depth();
        let done = match call % 8 {
            0 => writer.end().map(|()| before - 1),
            1 => writer.begin(*field).map(|()| before + 1),
            2 => writer.begin_entry(*field, dynamic(*value)).map(|field| {
                entry = Some(field);
                before + 1
            }),
            3 => writer
                .put_entry(*field, dynamic(*value), dynamic(value >> 4))
                .map(|()| before),
            4 => writer
                .put(entry.unwrap_or(*field), dynamic(*value))
                .map(|()| before),
            _ => writer.put(*field, dynamic(*value)).map(|()| before),
        };
        assert_eq!(writer.depth(), done.unwrap_or(before));
    }
    while writer.depth() > 0 {
        if writer.end().is_err() {
            return;
        }
    }
    if writer.finish().is_ok() {
        assert_eq!(message.validate(&out), Ok(()));
    } else {
        assert!(out.is_empty());
    }
}

/// A value of some kind.
fn dynamic(byte: u8) -> WriteValue<'static> {
    match byte % 16 {
        0 => WriteValue::Bool(byte > 99),
        1 => WriteValue::I64(i64::from(byte) - 100),
        2 => WriteValue::I64(i64::MIN),
        3 => WriteValue::U64(u64::MAX),
        4 => WriteValue::F64(f64::from(byte) / 32.0),
        5 => WriteValue::F64(f64::NAN),
        6 => WriteValue::F64(1e19),
        7 => WriteValue::Str(""),
        8 => WriteValue::Str("COLOR_RED"),
        9 => WriteValue::Str("MOOD_GOOD"),
        10 => WriteValue::Str("-1.5s"),
        11 => WriteValue::Str("2020-02-29T23:59:59.999999999Z"),
        12 => WriteValue::Bytes(&[0xff; 200]),
        13 => WriteValue::Bytes(b"text"),
        _ => WriteValue::F64(f64::from(byte)),
    }
}

/// JSON in, and what was made of it out again.
pub fn json(data: &[u8]) {
    let Some((message, json)) = pick(data) else {
        return;
    };
    let mut wire = Vec::new();
    if message
        .from_json(
            json,
            &JsonParseOptions::new().ignore_unknown(true),
            &mut wire,
        )
        .is_err()
    {
        assert!(wire.is_empty());
        return;
    }
    // Kept unknown fields may be known ones with a foreign wire type.
    let valid = message.validate(&wire);
    assert!(
        matches!(valid, Ok(()) | Err(DecodeError::WireType { .. })),
        "{valid:?}"
    );
    let mut text = Vec::new();
    assert_eq!(
        message.to_text(&wire, &TextOptions::new(), &mut text),
        Ok(())
    );
}

/// A path and wire bytes, parted by the first zero byte.
pub fn path(data: &[u8]) {
    let Some((message, rest)) = pick(data) else {
        return;
    };
    let at = rest
        .iter()
        .position(|byte| *byte == 0)
        .unwrap_or(rest.len());
    let Ok(text) = std::str::from_utf8(&rest[..at]) else {
        return;
    };
    let Ok(path) = message.path(text) else { return };
    let bytes = rest.get(at + 1..).unwrap_or_default();
    let got = path.get(bytes).map(drop);
    // Counting does not look into text.
    assert!(got.is_err() || path.count(bytes).is_ok() && path.has(bytes).is_ok());
    let mut values = Vec::new();
    let _ = path.values(bytes, &mut values);
}

/// A template, rendered with values of every type.
pub fn template(data: &[u8]) {
    let Some((message, json)) = pick(data) else {
        return;
    };
    let Ok(json) = std::str::from_utf8(json) else {
        return;
    };
    let Ok(template) = message.template(json) else {
        return;
    };
    for value in [
        SlotValue::I64(1),
        SlotValue::U64(u64::MAX),
        SlotValue::F64(0.5),
        SlotValue::Bool(false),
        SlotValue::Str("200"),
        SlotValue::Bytes(&[0; 300]),
    ] {
        let mut out = Vec::new();
        if template
            .render(&vec![value; template.slots().len()], &mut out)
            .is_ok()
        {
            let valid = message.validate(&out);
            assert!(
                matches!(valid, Ok(()) | Err(DecodeError::WireType { .. })),
                "{valid:?}"
            );
        }
    }
}

/// A descriptor set from a stranger.
pub fn descriptors(data: &[u8]) {
    if let Ok(schema) = Schema::from_descriptor_set(data) {
        for method in schema.methods() {
            let _ = method.input.fit(&[0x08, 0x01, 0x12, 0x00]);
        }
        for message in schema.messages() {
            assert!(message.is_like(&message.clone()));
            let _ = message.shape();
            let _ = message.to_json(
                &[0x08, 0x01, 0x12, 0x00],
                &JsonOptions::new().defaults(true),
                &mut Vec::new(),
            );
        }
    }
}

/// Wire bytes weighed against a type, which must agree with the strict check.
pub fn fit(data: &[u8]) {
    let Some((message, bytes)) = pick(data) else {
        return;
    };
    let valid = message.validate(bytes).is_ok();
    let fit = message.fit(bytes);
    assert_eq!(fit.valid, valid, "{fit:?}");
    assert!((0.0..=1.0).contains(&fit.score()), "{fit:?}");
    assert!(fit.known_bytes + fit.unknown_bytes <= bytes.len());
    assert!(fit.opaque_bytes <= fit.known_bytes && fit.read <= bytes.len());
    let (mut own, mut top) = (0, 0);
    let weighed = message.weigh(bytes, &mut |weight| {
        own += weight.own_bytes;
        top += if weight.depth() == 0 { weight.bytes } else { 0 };
    });
    assert!(weighed.is_ok() || !valid);
    if weighed.is_ok() {
        assert_eq!((own, top), (bytes.len(), bytes.len()));
    }
}

/// The readable beginning of wire bytes, which must be readable.
pub fn readable(data: &[u8]) {
    let Some((message, bytes)) = pick(data) else {
        return;
    };
    let readable = message.readable(bytes);
    assert!(readable.error.is_some() || readable.bytes == bytes);
    let again = message.readable(&readable.bytes);
    assert_eq!(again.error, None);
    assert_eq!(again.bytes, readable.bytes);
    let mut out = Vec::new();
    let json = message.to_json(&readable.bytes, &JsonOptions::new(), &mut out);
    assert!(
        matches!(json, Ok(()) | Err(DecodeError::NoJson { .. })),
        "{json:?}"
    );
    let text = message.to_text(&readable.bytes, &TextOptions::new(), &mut out);
    assert_eq!(text, Ok(()));
}

/// Any bytes as exact text and back.
pub fn exact(data: &[u8]) {
    let Some((message, bytes)) = pick(data) else {
        return;
    };
    let (mut text, mut again) = (Vec::new(), Vec::new());
    assert_eq!(message.to_exact_text(bytes, &mut text), Ok(()));
    let read = message.from_text(&text, &TextParseOptions::new(), &mut again);
    assert_eq!(read, Ok(()), "{}", String::from_utf8_lossy(&text));
    assert_eq!(again, bytes, "{}", String::from_utf8_lossy(&text));
}

/// Text in: what was made of it has text that makes the same of it.
pub fn text(data: &[u8]) {
    let Some((message, text)) = pick(data) else {
        return;
    };
    for strict in [false, true] {
        let options = TextParseOptions::new().strict(strict);
        let mut wire = Vec::new();
        if message.from_text(text, &options, &mut wire).is_err() {
            assert!(wire.is_empty());
            continue;
        }
        let (mut shown, mut again) = (Vec::new(), Vec::new());
        assert_eq!(message.to_exact_text(&wire, &mut shown), Ok(()));
        let read = message.from_text(&shown, &TextParseOptions::new(), &mut again);
        assert_eq!(read, Ok(()), "{}", String::from_utf8_lossy(&shown));
        assert_eq!(again, wire);
    }
}

/// Any bytes without a schema.
pub fn schemaless(data: &[u8]) {
    let limits = Limits::default();
    assert!((0.0..=1.0).contains(&schemaless::plausibility(data)));
    let (mut text, mut again) = (Vec::new(), Vec::new());
    assert_eq!(schemaless::to_text(data, &limits, &mut text), Ok(()));
    let read = schemaless::from_text(&text, &limits, &mut again);
    assert_eq!(read, Ok(()), "{}", String::from_utf8_lossy(&text));
    assert_eq!(again, data, "{}", String::from_utf8_lossy(&text));
    let readable = schemaless::readable(data, &limits);
    assert!(readable.error.is_some() || readable.bytes == data);
    let mut json = Vec::new();
    let written = schemaless::to_json(&readable.bytes, &limits, &mut json);
    assert_eq!(written, Ok(()));
    assert!(std::str::from_utf8(&json).is_ok());
}
