//! Protobuf without a schema: the likeliest reading of every field, as JSON and as text.
//!
//! The wire says where values start and end, and little of what they are. Varints are integers;
//! bytes may be text, a message, a list of numbers or bytes; fixed values may be integers or
//! floating point. Each is read as what it looks like most, and the JSON says what it was taken for
//! where that is not plain.

use crate::codec::exact::Exact;
use crate::codec::from_text::TextParseOptions;
use crate::codec::guess::{self, Reading};
use crate::codec::index::{check_size, pack};
use crate::codec::json_write as json;
use crate::codec::readable::{Readable, Repair};
use crate::error::{DecodeError, EncodeError};
use crate::limits::Limits;
use crate::wire::{Reader, WireType};

/// Appends the likeliest reading of a message as one JSON object, without whitespace.
///
/// Keys are field numbers, in their order; a number that comes more than once has an array, in the
/// order of the wire. Values are:
///
/// | on the wire | JSON |
/// | --- | --- |
/// | a varint | a number; from 2^63 on the negative number that `int64` has |
/// | bytes that are printable UTF-8, or none | a string |
/// | bytes that look like a message | an object with field numbers as keys |
/// | bytes that look like packed numbers | `{"packed": [1, 2]}`, `{"packed_float": [0.5]}`, `{"packed_double": [0.5]}` |
/// | other bytes | `{"bytes": BASE64}` |
/// | four bytes | `{"float": 1.5}` where that is likely, else `{"fixed32": 7}` |
/// | eight bytes | `{"double": 1.5}` where that is likely, else `{"fixed64": 7}` |
/// | a group | `{"group": {...}}` |
///
/// So an object with numbers as keys is a message, and one with a word as its key says how the value
/// lay on the wire.
///
/// # Errors
///
/// The first fault, with its offset; `out` is then as it was. [`readable`] gives the beginning that
/// can be shown.
pub fn to_json(bytes: &[u8], limits: &Limits, out: &mut Vec<u8>) -> Result<(), DecodeError> {
    let limits = limits.clamped();
    check_size(bytes, &limits)?;
    let start = out.len();
    let mut writer = JsonWriter {
        buf: bytes,
        limits: &limits,
        fields_left: limits.fields,
        out,
    };
    let written = writer.message((0, bytes.len()), 0);
    if written.is_err() {
        out.truncate(start);
    }
    written
}

/// Appends a message as text, in the manner of `protoc --decode_raw`, one field a line in the order of
/// the wire. Behind a `#` stands what the value may be besides: the floating point number of fixed
/// bytes, the negative number of a large varint, the list in packed bytes. [`from_text`] makes the same
/// bytes of it; broken bytes give text too, by the rules of
/// [`Message::to_exact_text`](crate::Message::to_exact_text).
///
/// # Errors
///
/// [`DecodeError::Size`] and [`DecodeError::Fields`] when a limit is passed; `out` is then as it was.
pub fn to_text(bytes: &[u8], limits: &Limits, out: &mut Vec<u8>) -> Result<(), DecodeError> {
    let limits = limits.clamped();
    Exact::print(None, &limits, bytes, out)
}

/// Appends the bytes that a text without field names stands for, as [`to_text`] writes it.
///
/// # Errors
///
/// The first fault, with line and column; `out` is then as it was.
pub fn from_text(text: &[u8], limits: &Limits, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    let limits = limits.clamped();
    crate::codec::from_text::encode(None, &limits, text, &TextParseOptions::new(), out)
}

/// The longest beginning of the bytes that can be read, with the likely messages that are open at the
/// fault closed; see [`Message::readable`](crate::Message::readable).
pub fn readable(bytes: &[u8], limits: &Limits) -> Readable {
    Repair::without_schema(bytes, &limits.clamped())
}

/// How much bytes look like a protobuf message rather than text, HTML, JSON, compressed or random
/// bytes, from 0 to 1. Bytes that are no sequence of whole fields are 0, none at all are 0.5, as a
/// message may be empty. Small field numbers in order, of steady wire types, with contents that look
/// like something, speak for it; groups, huge numbers and printable text speak against it.
pub fn plausibility(bytes: &[u8]) -> f64 {
    guess::plausibility(bytes)
}

/// Whether bytes look more like a protobuf message than not.
pub fn looks_like_message(bytes: &[u8]) -> bool {
    plausibility(bytes) >= 0.5
}

struct JsonWriter<'a> {
    buf: &'a [u8],
    limits: &'a Limits,
    fields_left: usize,
    out: &'a mut Vec<u8>,
}

/// One field of a message.
struct Item {
    number: u32,
    wire: WireType,
    /// The number, or the range of the content.
    raw: u64,
}

impl JsonWriter<'_> {
    fn message(&mut self, range: (usize, usize), depth: usize) -> Result<(), DecodeError> {
        if depth > self.limits.depth {
            return Err(DecodeError::Depth {
                offset: range.0,
                limit: self.limits.depth,
            });
        }
        let mut items = self.items(range, depth)?;
        // Stable: values of one number stay in order.
        items.sort_by_key(|item| item.number);
        self.out.push(b'{');
        for (at, run) in items.chunk_by(|a, b| a.number == b.number).enumerate() {
            if at > 0 {
                self.out.push(b',');
            }
            self.out.push(b'"');
            json::integer(run[0].number, self.out);
            self.out.extend_from_slice(b"\":");
            if run.len() > 1 {
                self.out.push(b'[');
            }
            for (at, item) in run.iter().enumerate() {
                if at > 0 {
                    self.out.push(b',');
                }
                self.value(item, depth)?;
            }
            if run.len() > 1 {
                self.out.push(b']');
            }
        }
        self.out.push(b'}');
        Ok(())
    }

    fn items(&mut self, range: (usize, usize), depth: usize) -> Result<Vec<Item>, DecodeError> {
        let mut reader = Reader::part(self.buf, range.0, range.1);
        let mut items = Vec::new();
        while !reader.is_empty() {
            let offset = reader.offset();
            self.fields_left = self.fields_left.checked_sub(1).ok_or(DecodeError::Fields {
                offset,
                limit: self.limits.fields,
            })?;
            let (number, wire) = reader.tag()?;
            let raw = match wire {
                WireType::Varint => reader.varint()?,
                WireType::Fixed64 => reader.fixed64()?,
                WireType::Fixed32 => u64::from(reader.fixed32()?),
                WireType::Len => {
                    let len = reader.bytes()?.len();
                    pack(reader.offset() - len, reader.offset())
                }
                WireType::StartGroup => {
                    let start = reader.offset();
                    let content = reader.group(number, self.limits.depth.saturating_sub(depth))?;
                    pack(start, start + content.len())
                }
                WireType::EndGroup => return Err(DecodeError::Group { offset, number }),
            };
            items.push(Item { number, wire, raw });
        }
        Ok(items)
    }

    fn value(&mut self, item: &Item, depth: usize) -> Result<(), DecodeError> {
        let range = ((item.raw >> 32) as usize, (item.raw & 0xffff_ffff) as usize);
        match item.wire {
            WireType::Varint => json::integer(item.raw as i64, self.out),
            WireType::Fixed32 => match guess::float(item.raw as u32) {
                Some(value) => self.tagged("float", |out| json::float(value, out)),
                None => self.tagged("fixed32", |out| json::integer(item.raw, out)),
            },
            WireType::Fixed64 => match guess::double(item.raw) {
                Some(value) => self.tagged("double", |out| json::double(value, out)),
                None => self.tagged("fixed64", |out| json::integer(item.raw, out)),
            },
            WireType::Len => return self.content(range, depth),
            WireType::StartGroup | WireType::EndGroup => {
                self.out.extend_from_slice(b"{\"group\":");
                self.message(range, depth + 1)?;
                self.out.push(b'}');
            }
        }
        Ok(())
    }

    fn content(&mut self, range: (usize, usize), depth: usize) -> Result<(), DecodeError> {
        let content = &self.buf[range.0..range.1];
        match guess::reading(content) {
            Reading::Text(text) => json::string(text, self.out),
            // What nests too deeply for us is shown as the bytes it is.
            Reading::Message if depth < self.limits.depth => {
                let (start, left) = (self.out.len(), self.fields_left);
                match self.message(range, depth + 1) {
                    Err(DecodeError::Depth { .. }) => {
                        self.out.truncate(start);
                        self.fields_left = left;
                        self.tagged("bytes", |out| json::base64(content, out));
                    }
                    other => return other,
                }
            }
            Reading::Packed => self.list("packed", guess::varints(content), json::integer),
            Reading::Floats => self.list("packed_float", guess::floats(content), json::float),
            Reading::Doubles => self.list("packed_double", guess::doubles(content), json::double),
            Reading::Message | Reading::Bytes => {
                self.tagged("bytes", |out| json::base64(content, out));
            }
        }
        Ok(())
    }

    fn tagged(&mut self, word: &str, value: impl FnOnce(&mut Vec<u8>)) {
        self.out.extend_from_slice(b"{\"");
        self.out.extend_from_slice(word.as_bytes());
        self.out.extend_from_slice(b"\":");
        value(self.out);
        self.out.push(b'}');
    }

    fn list<T>(&mut self, word: &str, values: impl Iterator<Item = T>, write: fn(T, &mut Vec<u8>)) {
        self.tagged(word, |out| {
            out.push(b'[');
            for (at, value) in values.enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                write(value, out);
            }
            out.push(b']');
        });
    }
}
