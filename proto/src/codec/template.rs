//! Request templates: a message encoded ahead, with places to splice values into.

use std::sync::Arc;

use super::from_json::{JsonParseOptions, encode};
use super::render::{Op, SHORT, Short};
use super::slots::{Mark, Sink, Slot, What};
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
pub(crate) struct Inner {
    pub(crate) message: Message,
    pub(crate) names: Vec<String>,
    pub(crate) literals: Vec<u8>,
    pub(crate) ops: Vec<Op>,
    pub(crate) slots: Vec<Slot>,
    /// Bytes the message takes with values of usual length.
    pub(crate) room: usize,
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
            joins: false,
        };
        program.run_to(literals.len(), count);
        let Program { ops, slots, .. } = program;
        let room = literals.len() + slots.len() * USUAL + SHORT;
        Ok(Template {
            inner: Arc::new(Inner {
                message: self.clone(),
                names: sink.names,
                literals,
                ops,
                slots,
                room,
            }),
        })
    }
}

/// What a value is taken to need when room is made for the message.
const USUAL: usize = 16;

/// A literal up to this long is copied in short parts.
const SPLIT: usize = 8 * SHORT;

/// Turns marks into steps.
struct Program<'l> {
    literals: &'l [u8],
    ops: Vec<Op>,
    slots: Vec<Slot>,
    marks: std::vec::IntoIter<Mark>,
    at: usize,
    /// Whether the last step writes a value that the next literal directly follows.
    joins: bool,
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
                    // What follows is not part of what the length measures.
                    self.joins = false;
                }
            }
        }
        self.literal(end);
    }

    fn hole(&mut self, slot: &Slot) {
        self.ops.push(Op::fill(slot, self.slots.len()));
        self.joins = true;
    }

    fn literal(&mut self, to: usize) {
        if to <= self.at {
            return;
        }
        let literal = &self.literals[self.at..to];
        if literal.len() <= SPLIT {
            let mut parts = literal.chunks(SHORT).peekable();
            if self.joins
                && let (Some(op), Some(part)) = (self.ops.last_mut(), parts.peek())
                && op.append(part)
            {
                parts.next();
            }
            self.ops
                .extend(parts.map(|part| Op::Short(Short::new(part))));
        } else {
            self.ops.push(Op::Literal {
                start: self.at as u32,
                end: to as u32,
            });
        }
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
        inner.run(values, out)
    }
}
