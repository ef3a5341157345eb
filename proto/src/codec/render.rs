//! Rendering: the steps a template is compiled to, and running them.
//!
//! Most requests are small, and what takes the time of a small message is growing a vector bit by
//! bit. So the first steps run in a [`room`](super::room) of fixed size at the end of the output, cut off
//! afterwards; what does not fit there, or is not among the frequent kinds of value, is done here.

use super::from_json::{put_raw, raw_integer, set_length};
use super::from_json_special::{is_integer, text_integer};
use super::json_write::{from_base64, integer};
use super::room;
use super::slots::{Slot, SlotKind};
use super::tables::{Kind, Tables};
use super::template::{Inner, SlotValue};
use crate::error::RenderError;
use crate::wire::put_varint;

/// The longest literal kept in a step itself.
pub(crate) const SHORT: usize = 16;

/// One step of rendering.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Op {
    /// Copies `literals[start..end]`.
    Literal { start: u32, end: u32 },
    /// Copies a literal kept in the step.
    Short(Short),
    /// Writes an integer between the two as a varint.
    Varint(Hole, i64, u64),
    /// Writes a string.
    Text(Hole),
    /// Writes a value of another kind.
    Other(Hole),
    /// Writes a length, then runs the next `ops` steps, which make up what it measures. `width` is
    /// the size the length will most likely have.
    Length { ops: u32, width: u8 },
}

/// A short literal: the first `len` of these bytes. Copying all of them is cheaper than counting.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Short {
    pub(crate) bytes: [u8; SHORT],
    pub(crate) len: u8,
}

impl Short {
    /// Keeps a literal of at most [`SHORT`] bytes.
    pub(crate) fn new(literal: &[u8]) -> Short {
        let mut bytes = [0; SHORT];
        bytes[..literal.len()].copy_from_slice(literal);
        let len = literal.len() as u8;
        Short { bytes, len }
    }

    fn get(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

/// What every step that writes a value must know.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Hole {
    /// Index of the value.
    pub(crate) value: u32,
    /// Index in `slots`.
    pub(crate) slot: u32,
    /// The tag to write, unless the value is a default, as it lies in memory. No bytes where the tag
    /// is a literal.
    pub(crate) tag: u64,
    pub(crate) tag_len: u8,
    /// The short literal behind the value; part of the step, as each step has its cost.
    pub(crate) after: u64,
    pub(crate) after_len: u8,
}

impl Op {
    /// The step that fills a slot.
    pub(crate) fn fill(slot: &Slot, index: usize) -> Op {
        let mut tag = [0; 8];
        let tag_len = slot.tag.len().min(tag.len());
        tag[..tag_len].copy_from_slice(&slot.tag[..tag_len]);
        let hole = Hole {
            value: slot.name as u32,
            slot: index as u32,
            tag: u64::from_le_bytes(tag),
            tag_len: tag_len as u8,
            after: 0,
            after_len: 0,
        };
        let (least, most) = match slot.kind {
            _ if tag_len > 2 => return Op::Other(hole),
            SlotKind::Field(Kind::Int64) => (i64::MIN, i64::MAX as u64),
            SlotKind::Field(Kind::Int32 | Kind::Enum) => (i32::MIN.into(), i32::MAX as u64),
            SlotKind::Field(Kind::Uint64) => (0, u64::MAX),
            SlotKind::Field(Kind::Uint32) => (0, u32::MAX.into()),
            SlotKind::Field(Kind::String) => return Op::Text(hole),
            _ => return Op::Other(hole),
        };
        Op::Varint(hole, least, most)
    }
}

impl Op {
    /// Takes a literal behind the step along, if it can.
    pub(crate) fn append(&mut self, literal: &[u8]) -> bool {
        let (Op::Varint(hole, ..) | Op::Text(hole) | Op::Other(hole)) = self else {
            return false;
        };
        let mut after = [0; 8];
        let fits = hole.after_len == 0 && literal.len() <= after.len();
        if fits {
            after[..literal.len()].copy_from_slice(literal);
            hole.after = u64::from_le_bytes(after);
            hole.after_len = literal.len() as u8;
        }
        fits
    }
}

impl Inner {
    /// Runs all steps.
    #[inline]
    pub(crate) fn run(
        &self,
        values: &[SlotValue<'_>],
        out: &mut Vec<u8>,
    ) -> Result<(), RenderError> {
        let start = out.len();
        let done = match self.room {
            0..=64 => room::start::<64>(&self.ops, values, out),
            65..=128 => room::start::<128>(&self.ops, values, out),
            129..=256 => room::start::<256>(&self.ops, values, out),
            _ => 0,
        };
        if done == self.ops.len() {
            return Ok(());
        }
        self.finish(&self.ops[done..], values, start, out)
    }

    /// Runs the steps left; on failure the output is cut back to `start`.
    #[inline(never)]
    fn finish(
        &self,
        mut ops: &[Op],
        values: &[SlotValue<'_>],
        start: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), RenderError> {
        out.reserve(self.literals.len());
        while let [op, rest @ ..] = ops {
            match self.step(op, rest, values, out) {
                Ok(after) => ops = after,
                Err(error) => {
                    out.truncate(start);
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// Takes one step of any kind; gives the steps after it, less those it took along.
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
            Op::Short(short) => out.extend_from_slice(short.get()),
            Op::Varint(hole, ..) | Op::Text(hole) | Op::Other(hole) => {
                self.put(hole, values[hole.value as usize], out)?;
                out.extend_from_slice(&hole.after.to_le_bytes()[..usize::from(hole.after_len)]);
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

    /// Writes any value.
    #[inline(never)]
    fn put(&self, hole: &Hole, value: SlotValue<'_>, out: &mut Vec<u8>) -> Result<(), RenderError> {
        let slot = &self.slots[hole.slot as usize];
        let start = out.len();
        out.extend_from_slice(&hole.tag.to_le_bytes()[..usize::from(hole.tag_len)]);
        let content = out.len();
        let fits = match slot.kind {
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
                put_varint(out, value)
            }
            (Kind::Int64, SlotValue::I64(value)) => put_varint(out, value as u64),
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
            (kind, value) => {
                let raw = raw_value(self.message.tables(), kind, slot.sub, value)?;
                put_raw(kind, raw, out)
            }
        }
        Some(())
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

/// A value in the raw form of a kind; `sub` is the enum's table.
pub(crate) fn raw_value(
    tables: &Tables,
    kind: Kind,
    sub: u32,
    value: SlotValue<'_>,
) -> Option<u64> {
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
            let kind = &tables.enums[sub as usize];
            kind.names.get(name).map(|number| i64::from(*number) as u64)
        }
        (Kind::Double, SlotValue::Str(text)) => super::from_json::raw_double(text),
        (Kind::Float, SlotValue::Str(text)) => super::from_json::raw_float(text),
        (kind, SlotValue::I64(value)) => raw_integer(kind, i128::from(value)),
        (kind, SlotValue::U64(value)) => raw_integer(kind, i128::from(value)),
        (kind, SlotValue::Str(text)) if is_integer(kind) => raw_integer(kind, text_integer(text)?),
        (kind, SlotValue::F64(value))
            if (is_integer(kind) || kind == Kind::Enum)
                && value == value.trunc()
                && value.abs() < 1.9e19 =>
        {
            raw_integer(kind, value as i128)
        }
        _ => None,
    }
}

pub(crate) fn put_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    put_varint(out, bytes.len() as u64);
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
