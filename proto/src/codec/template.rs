//! Request templates: a message encoded ahead, with places to splice values into.

use std::sync::Arc;

use super::from_json::{JsonParseOptions, encode, put_raw, raw_integer, set_length};
use super::from_json_special::{is_integer, text_integer};
use super::json_write::{from_base64, integer};
use super::slots::{Mark, Sink, Slot, SlotKind, What};
use super::tables::Kind;
use crate::error::{EncodeError, RenderError};
use crate::schema::Message;
use crate::wire::varint_len;

/// A value for one placeholder.
///
/// It takes the type of the field it fills: integers are checked for range, text is read as the JSON
/// mapping would read it in quotes (`"12"` for an integer, base64 for bytes, a name for an enum),
/// numbers are spelled out where the field is a string.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum SlotValue<'a> {
    /// A truth value.
    Bool(bool),
    /// A signed integer, or the number of an enum.
    I64(i64),
    /// An unsigned integer.
    U64(u64),
    /// A floating-point number.
    F64(f64),
    /// Text.
    Str(&'a str),
    /// Bytes as they are.
    Bytes(&'a [u8]),
}

macro_rules! from {
    ($($from:ty => $variant:ident),*) => {$(
        impl<'a> From<$from> for SlotValue<'a> {
            fn from(value: $from) -> SlotValue<'a> {
                SlotValue::$variant(value.into())
            }
        }
    )*};
}

from!(bool => Bool, i32 => I64, i64 => I64, u32 => U64, u64 => U64, f32 => F64, f64 => F64, &'a str => Str, &'a [u8] => Bytes);

/// A message encoded ahead. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Template {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    message: Message,
    names: Vec<String>,
    literals: Vec<u8>,
    ops: Vec<Op>,
    slots: Vec<Slot>,
    /// Bytes to make room for before rendering.
    size_hint: usize,
}

/// One step of rendering.
#[derive(Debug, Clone, Copy)]
enum Op {
    /// Copies `literals[start..end]`.
    Literal { start: u32, end: u32 },
    /// Copies the first `len` of these bytes. Copying all of them is cheaper than counting.
    Short { bytes: [u8; SHORT], len: u8 },
    /// Writes a value.
    Hole(Hole),
    /// Writes a length, then runs the next `ops` steps, which make up what it measures. `width` is
    /// the size the length will most likely have.
    Length { ops: u32, width: u8 },
}

/// The longest literal kept in a step itself.
const SHORT: usize = 16;

/// What rendering must know of a slot.
#[derive(Debug, Clone, Copy)]
struct Hole {
    /// Index of the value.
    value: u32,
    /// Index in `slots`.
    slot: u32,
    kind: SlotKind,
    /// The tag to write, unless the value is a default; no bytes where the tag is a literal.
    tag: [u8; 5],
    tag_len: u8,
}

impl Message {
    /// Encodes a JSON value whose strings may hold placeholders `${name}`. A placeholder that is a
    /// field's whole value takes the field's type; within a longer string it is spelled out. They
    /// may stand in nested messages, lists, map values and wrapper types, but not in keys, in a
    /// Timestamp, Duration or FieldMask, or in a part of a number or bytes. `$${` stands for `${`.
    ///
    /// # Errors
    ///
    /// As [`Message::from_json`], and for a placeholder that is malformed or out of place.
    pub fn template(&self, json: &str) -> Result<Template, EncodeError> {
        self.compile(json, None)
    }

    /// As [`Message::template`], for a caller that knows the names it can fill: values are given in
    /// the order of `names`, all of which count as slots.
    ///
    /// # Errors
    ///
    /// Also [`EncodeCause::UnknownSlot`](crate::EncodeCause::UnknownSlot), with the nearest name.
    pub fn template_with(&self, json: &str, names: &[&str]) -> Result<Template, EncodeError> {
        self.compile(json, Some(names))
    }

    fn compile(&self, json: &str, known: Option<&[&str]>) -> Result<Template, EncodeError> {
        let names = known
            .unwrap_or_default()
            .iter()
            .map(|name| (*name).to_owned())
            .collect();
        let mut sink = Sink {
            marks: Vec::new(),
            names,
            known,
            limit: self.limits().template_slots,
        };
        let mut literals = Vec::new();
        encode(
            self,
            json.as_bytes(),
            &JsonParseOptions::new(),
            &mut literals,
            Some(&mut sink),
        )
        .map_err(|fault| fault.place(json.as_bytes()))?;
        let count = sink.marks.len();
        let mut program = Program {
            literals: &literals,
            ops: Vec::new(),
            slots: Vec::new(),
            marks: sink.marks.into_iter(),
            at: 0,
        };
        program.run_to(literals.len(), count);
        let Program { ops, slots, .. } = program;
        let size_hint = literals.len() + ops.len() * 2 * SHORT;
        Ok(Template {
            inner: Arc::new(Inner {
                message: self.clone(),
                names: sink.names,
                literals,
                ops,
                slots,
                size_hint,
            }),
        })
    }
}

/// Turns marks into steps.
struct Program<'l> {
    literals: &'l [u8],
    ops: Vec<Op>,
    slots: Vec<Slot>,
    marks: std::vec::IntoIter<Mark>,
    at: usize,
}

impl Program<'_> {
    /// Makes the steps for the bytes up to `end`, which the next `count` marks are in.
    fn run_to(&mut self, end: usize, mut count: usize) {
        while let Some(mark) = (count > 0).then(|| self.marks.next()).flatten() {
            count -= 1;
            self.literal(mark.at);
            match mark.what {
                What::Slot(slot) => {
                    self.hole(&slot);
                    self.slots.push(slot);
                }
                What::Length { end, inside } => {
                    count = count.saturating_sub(inside);
                    let place = self.ops.len();
                    let width = varint_len((end - mark.at) as u64) as u8;
                    self.ops.push(Op::Length { ops: 0, width });
                    self.run_to(end, inside);
                    let ops = (self.ops.len() - place - 1) as u32;
                    self.ops[place] = Op::Length { ops, width };
                }
            }
        }
        self.literal(end);
    }

    fn hole(&mut self, slot: &Slot) {
        let mut tag = [0; 5];
        tag[..slot.tag.len().min(5)].copy_from_slice(&slot.tag[..slot.tag.len().min(5)]);
        self.ops.push(Op::Hole(Hole {
            value: slot.name as u32,
            slot: self.slots.len() as u32,
            kind: slot.kind,
            tag,
            tag_len: slot.tag.len() as u8,
        }));
    }

    fn literal(&mut self, to: usize) {
        if to <= self.at {
            return;
        }
        let literal = &self.literals[self.at..to];
        self.ops.push(if literal.len() <= SHORT {
            let mut bytes = [0; SHORT];
            bytes[..literal.len()].copy_from_slice(literal);
            Op::Short {
                bytes,
                len: literal.len() as u8,
            }
        } else {
            Op::Literal {
                start: self.at as u32,
                end: to as u32,
            }
        });
        self.at = to;
    }
}

impl Template {
    /// The placeholders' names, once each, in the order they first stand in the JSON text (or the
    /// order given to [`Message::template_with`]). [`Template::render`] takes values in this order.
    pub fn slots(&self) -> &[String] {
        &self.inner.names
    }

    /// The message type rendered.
    pub fn message(&self) -> &Message {
        &self.inner.message
    }

    /// Appends the encoded message with `values` in the slots; more values than slots are ignored.
    ///
    /// # Errors
    ///
    /// [`RenderError`] for too few values or one its field cannot hold; `out` is then as it was.
    pub fn render(&self, values: &[SlotValue<'_>], out: &mut Vec<u8>) -> Result<(), RenderError> {
        let inner = &*self.inner;
        if values.len() < inner.names.len() {
            return Err(RenderError::Count {
                given: values.len(),
                wanted: inner.names.len(),
            });
        }
        out.reserve(inner.size_hint);
        let start = out.len();
        let mut ops = inner.ops.as_slice();
        // The steps of most requests, here and without a call; `step` does the others.
        while let [op, rest @ ..] = ops {
            ops = rest;
            match op {
                Op::Short { bytes, len } => short(bytes, usize::from(*len), out),
                Op::Hole(hole) if inner.put_fast(hole, &values[hole.value as usize], out) => {}
                _ => match inner.step(op, ops, values, out) {
                    Ok(after) => ops = after,
                    Err(error) => {
                        out.truncate(start);
                        return Err(error);
                    }
                },
            }
        }
        Ok(())
    }
}

impl Inner {
    /// Takes one step of any kind; gives the steps after it, less those it took along.
    #[inline(never)]
    fn step<'o>(
        &self,
        op: &Op,
        rest: &'o [Op],
        values: &[SlotValue<'_>],
        out: &mut Vec<u8>,
    ) -> Result<&'o [Op], RenderError> {
        match op {
            Op::Literal { start, end } => {
                out.extend_from_slice(&self.literals[*start as usize..*end as usize]);
            }
            Op::Short { bytes, len } => short(bytes, usize::from(*len), out),
            Op::Hole(hole) => {
                let value = &values[hole.value as usize];
                if !self.put_fast(hole, value, out) {
                    self.put(hole, *value, out)?;
                }
            }
            Op::Length { ops, width } => {
                let (mut inside, after) = rest.split_at(*ops as usize);
                out.extend_from_slice(&[0; 10][..usize::from(*width)]);
                let start = out.len();
                while let [op, rest @ ..] = inside {
                    inside = self.step(op, rest, values, out)?;
                }
                set_length(out, start, usize::from(*width));
                return Ok(after);
            }
        }
        Ok(rest)
    }

    /// Writes the two most frequent kinds of value; tells whether it was one of them.
    #[inline(always)]
    fn put_fast(&self, hole: &Hole, value: &SlotValue<'_>, out: &mut Vec<u8>) -> bool {
        match (hole.kind, value) {
            (SlotKind::Field(Kind::Int64), SlotValue::I64(value)) => {
                if *value != 0 || hole.tag_len == 0 {
                    hole.tag_varint(*value as u64, out);
                }
                true
            }
            (SlotKind::Field(Kind::String), SlotValue::Str(text)) => {
                if !text.is_empty() || hole.tag_len == 0 {
                    hole.tag_varint(text.len() as u64, out);
                    out.extend_from_slice(text.as_bytes());
                }
                true
            }
            _ => false,
        }
    }

    /// Writes any value.
    #[inline(never)]
    fn put(&self, hole: &Hole, value: SlotValue<'_>, out: &mut Vec<u8>) -> Result<(), RenderError> {
        let slot = &self.slots[hole.slot as usize];
        let start = out.len();
        hole.tag(out);
        let content = out.len();
        let fits = match hole.kind {
            SlotKind::Piece => spell(value, out),
            SlotKind::Field(kind) => self.put_field(kind, slot, value, out),
        };
        fits.ok_or_else(|| self.misfit(slot, value))?;
        // A default value of a field without presence is left out, its tag too.
        if hole.tag_len > 0 && out[content..].iter().all(|byte| *byte == 0) {
            out.truncate(start);
        }
        Ok(())
    }

    #[inline]
    fn put_field(
        &self,
        kind: Kind,
        slot: &Slot,
        value: SlotValue<'_>,
        out: &mut Vec<u8>,
    ) -> Option<()> {
        match (kind, value) {
            (Kind::Int64 | Kind::Uint64, SlotValue::U64(value)) if value <= i64::MAX as u64 => {
                varint(value, out)
            }
            (Kind::Int64, SlotValue::I64(value)) => varint(value as u64, out),
            (Kind::String, SlotValue::Str(text)) => put_bytes(text.as_bytes(), out),
            (Kind::Bytes, SlotValue::Bytes(bytes)) => put_bytes(bytes, out),
            (Kind::String, value) => {
                out.push(0);
                let start = out.len();
                spell(value, out)?;
                set_length(out, start, 1);
            }
            (Kind::Bytes, SlotValue::Str(text)) => {
                out.push(0);
                let start = out.len();
                from_base64(text, out)?;
                set_length(out, start, 1);
            }
            (Kind::Bytes, _) => return None,
            (kind, value) => put_raw(kind, self.raw(kind, slot, value)?, out),
        }
        Some(())
    }

    /// A value in the raw form of a kind.
    fn raw(&self, kind: Kind, slot: &Slot, value: SlotValue<'_>) -> Option<u64> {
        match (kind, value) {
            (Kind::Bool, SlotValue::Bool(value)) => Some(u64::from(value)),
            (Kind::Double, SlotValue::F64(value)) => Some(value.to_bits()),
            (Kind::Double, SlotValue::I64(value)) => Some((value as f64).to_bits()),
            (Kind::Double, SlotValue::U64(value)) => Some((value as f64).to_bits()),
            (Kind::Float, SlotValue::F64(value)) => {
                let single = value as f32;
                (single.is_finite() || !value.is_finite()).then(|| u64::from(single.to_bits()))
            }
            (Kind::Float, SlotValue::I64(value)) => Some(u64::from((value as f32).to_bits())),
            (Kind::Float, SlotValue::U64(value)) => Some(u64::from((value as f32).to_bits())),
            (Kind::Bool, SlotValue::Str("true")) => Some(1),
            (Kind::Bool, SlotValue::Str("false")) => Some(0),
            (Kind::Enum, SlotValue::Str(name)) => {
                let kind = &self.message.tables().enums[slot.sub as usize];
                kind.names.get(name).map(|number| i64::from(*number) as u64)
            }
            (Kind::Double, SlotValue::Str(text)) => super::from_json::raw_double(text),
            (Kind::Float, SlotValue::Str(text)) => super::from_json::raw_float(text),
            (kind, SlotValue::I64(value)) => raw_integer(kind, i128::from(value)),
            (kind, SlotValue::U64(value)) => raw_integer(kind, i128::from(value)),
            (kind, SlotValue::Str(text)) if is_integer(kind) => {
                raw_integer(kind, text_integer(text)?)
            }
            (kind, SlotValue::F64(value))
                if is_integer(kind) && value == value.trunc() && value.abs() < 1.9e19 =>
            {
                raw_integer(kind, value as i128)
            }
            _ => None,
        }
    }

    #[cold]
    fn misfit(&self, slot: &Slot, value: SlotValue<'_>) -> RenderError {
        RenderError::Value {
            slot: self.names[slot.name].clone(),
            field: slot.field.to_string(),
            expected: match slot.kind {
                SlotKind::Piece => "text",
                SlotKind::Field(kind) => kind.name(),
            },
            found: format!("{value:?}").chars().take(80).collect(),
        }
    }
}

impl Hole {
    #[inline(always)]
    fn tag(&self, out: &mut Vec<u8>) {
        match self.tag_len {
            0 => {}
            1 => out.push(self.tag[0]),
            len => out.extend_from_slice(&self.tag[..usize::from(len)]),
        }
    }

    /// Writes the tag and a varint, in one copy where both fit eight bytes: what takes the time of
    /// a small message is growing the vector.
    #[inline(always)]
    fn tag_varint(&self, value: u64, out: &mut Vec<u8>) {
        if self.tag_len != 1 || value >> 49 != 0 {
            self.tag(out);
            return varint(value, out);
        }
        if value < 0x80 {
            return out.extend_from_slice(&[self.tag[0], value as u8]);
        }
        let (bytes, len) = spread(value);
        let end = out.len() + 1 + len;
        out.extend_from_slice(&(bytes << 8 | u64::from(self.tag[0])).to_le_bytes());
        out.truncate(end);
    }
}

/// Appends the first `len` bytes. A copy of a fixed size needs no call.
#[inline(always)]
fn short(bytes: &[u8; SHORT], len: usize, out: &mut Vec<u8>) {
    let end = out.len() + len;
    out.extend_from_slice(bytes);
    out.truncate(end);
}

/// The varint of a value below 2^56 as up to eight bytes. Each step parts the bits of a number into
/// two halves, until every byte has seven.
#[inline(always)]
fn spread(value: u64) -> (u64, usize) {
    let x = (value & 0x00ff_ffff_f000_0000) << 4 | value & 0x0fff_ffff;
    let x = (x & 0x0fff_c000_0fff_c000) << 2 | x & 0x0000_3fff_0000_3fff;
    let x = (x & 0x3f80_3f80_3f80_3f80) << 1 | x & 0x007f_007f_007f_007f;
    let len = varint_len(value);
    let more = 0x8080_8080_8080_8080 & ((1 << (8 * (len - 1))) - 1);
    (x | more, len)
}

/// Appends a varint, in one copy where it is longer than a byte.
#[inline(always)]
fn varint(value: u64, out: &mut Vec<u8>) {
    if value < 0x80 {
        return out.push(value as u8);
    }
    if value >> 56 != 0 {
        return crate::wire::put_varint(out, value);
    }
    let (bytes, len) = spread(value);
    let end = out.len() + len;
    out.extend_from_slice(&bytes.to_le_bytes());
    out.truncate(end);
}

#[inline(always)]
fn put_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    varint(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}

/// Appends a value as text.
fn spell(value: SlotValue<'_>, out: &mut Vec<u8>) -> Option<()> {
    match value {
        SlotValue::Bool(value) => out.extend_from_slice(if value { b"true" } else { b"false" }),
        SlotValue::I64(value) => integer(value, out),
        SlotValue::U64(value) => integer(value, out),
        SlotValue::F64(value) if value.is_finite() => {
            out.extend_from_slice(zmij::Buffer::new().format_finite(value).as_bytes());
        }
        SlotValue::F64(value) if value.is_nan() => out.extend_from_slice(b"NaN"),
        SlotValue::F64(value) => out.extend_from_slice(if value > 0.0 {
            b"Infinity"
        } else {
            b"-Infinity"
        }),
        SlotValue::Str(text) => out.extend_from_slice(text.as_bytes()),
        SlotValue::Bytes(bytes) => {
            out.extend_from_slice(std::str::from_utf8(bytes).ok()?.as_bytes())
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn varints_at_once() {
        for bits in 0..64 {
            for value in [
                1u64 << bits,
                (1 << bits) - 1,
                u64::MAX >> bits,
                0x5555_5555_5555_5555 >> bits,
            ] {
                let (mut ours, mut plain) = (Vec::new(), Vec::new());
                varint(value, &mut ours);
                crate::wire::put_varint(&mut plain, value);
                assert_eq!(ours, plain, "{value}");
                let hole = Hole {
                    value: 0,
                    slot: 0,
                    kind: SlotKind::Piece,
                    tag: [9, 0, 0, 0, 0],
                    tag_len: 1,
                };
                let mut tagged = Vec::new();
                hole.tag_varint(value, &mut tagged);
                assert_eq!(tagged, [&[9][..], &plain].concat(), "{value}");
            }
        }
    }
}
