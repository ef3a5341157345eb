//! The walk of a field path over wire bytes.
//!
//! It visits every occurrence of the path's fields in wire order and lets later ones overwrite what
//! earlier ones found. That alone gives a conforming parser's answer: the parts of a split message are
//! visited one after the other while the counters of repeated fields run on, and a later member of a
//! oneof wipes what was found below an earlier one.

use std::borrow::Cow;
use std::collections::HashSet;

use super::index::check_size;
use super::path::{Pick, Step};
use super::tables::{DefaultValue, Field, Kind, MessageTable, NO_ONEOF};
use super::to_json::element;
use super::validate::utf8;
use super::value::Value;
use crate::error::DecodeError;
use crate::limits::Limits;
use crate::schema::Message;
use crate::wire::{Reader, WireType, unzigzag};

/// What a walk is for.
pub(super) enum Goal<'v, 'b> {
    /// The last value, or the size of a list or map.
    Value,
    /// Only whether anything is there.
    Presence,
    /// Every element of the list at the end.
    Each(&'v mut Vec<Value<'b>>),
    /// Every entry of the map at the end, in wire order.
    Entries(&'v mut Vec<(Value<'b>, Value<'b>)>),
}

/// The walk over one buffer.
pub(super) struct Visit<'b, 'v> {
    pub(super) message: &'b Message,
    pub(super) steps: &'v [Step],
    pub(super) limits: &'b Limits,
    pub(super) buf: &'b [u8],
    pub(super) goal: Goal<'v, 'b>,
    /// Elements of each step's list seen so far.
    pub(super) seen: [u64; Limits::PATH_SEGMENTS_MAX],
    pub(super) fields_left: usize,
    pub(super) found: Found<'b>,
}

/// The key of a map entry: numbers sign extended.
#[derive(PartialEq, Eq, Hash)]
pub(super) enum MapKey<'b> {
    Number(u64),
    Text(&'b [u8]),
}

impl<'b> MapKey<'b> {
    /// The key as a value; `field` is the key's.
    fn value(self, field: &Field) -> Value<'b> {
        match (self, field.kind) {
            (MapKey::Text(text), _) => {
                std::str::from_utf8(text).map_or(Value::Bytes(text), Value::Str)
            }
            (MapKey::Number(number), Kind::Bool) => Value::Bool(number != 0),
            (
                MapKey::Number(number),
                Kind::Uint32 | Kind::Uint64 | Kind::Fixed32 | Kind::Fixed64,
            ) => Value::U64(number),
            (MapKey::Number(number), _) => Value::I64(number as i64),
        }
    }
}

impl Found<'_> {
    /// The size of a map.
    pub(super) fn distinct(&self) -> u64 {
        self.keys.as_ref().map_or(0, |keys| keys.len() as u64)
    }
}

/// What lies at the end of the path so far.
#[derive(Default)]
pub(super) struct Found<'b> {
    pub(super) present: bool,
    /// The last scalar, in raw form.
    pub(super) raw: u64,
    /// The only part of the message, or all of them joined.
    pub(super) part: Option<Cow<'b, [u8]>>,
    pub(super) count: u64,
    /// The distinct keys of a map; no set where there is no map.
    pub(super) keys: Option<HashSet<MapKey<'b>>>,
}

impl<'b, 'v> Visit<'b, 'v> {
    /// Visits a message (or a part of one) that step `at` reads, up to the step before `until`.
    pub(super) fn message(
        &mut self,
        until: usize,
        at: usize,
        mut reader: Reader<'b>,
        depth: usize,
    ) -> Result<(), DecodeError> {
        if depth > self.limits.depth {
            return Err(DecodeError::Depth {
                offset: reader.offset(),
                limit: self.limits.depth,
            });
        }
        let step = &self.steps[at];
        let table = &self.message.tables().messages[step.table as usize];
        let wanted = &table.fields[step.field as usize];
        while !reader.is_empty() {
            let offset = reader.offset();
            self.fields_left = self.fields_left.checked_sub(1).ok_or(DecodeError::Fields {
                offset,
                limit: self.limits.fields,
            })?;
            let (number, wire) = reader.tag()?;
            if number == wanted.number && wanted.accepts(wire) {
                self.occurrence(until, at, wanted, wire, &mut reader, depth)?;
                continue;
            }
            reader.skip(number, wire, self.limits.depth - depth)?;
            if wanted.oneof != NO_ONEOF && replaces(table, wanted, number, wire) {
                self.wipe(at);
            }
        }
        Ok(())
    }

    /// Forgets what was found at and below a step.
    fn wipe(&mut self, at: usize) {
        self.seen[at..].fill(0);
        self.found = Found::default();
        match &mut self.goal {
            Goal::Each(values) => values.clear(),
            Goal::Entries(entries) => entries.clear(),
            Goal::Value | Goal::Presence => {}
        }
    }

    /// Visits one occurrence of the field of step `at`.
    fn occurrence(
        &mut self,
        until: usize,
        at: usize,
        field: &'b Field,
        wire: WireType,
        reader: &mut Reader<'b>,
        depth: usize,
    ) -> Result<(), DecodeError> {
        let content = match wire {
            WireType::Len => reader.bytes()?,
            WireType::StartGroup => {
                let start = reader.offset();
                let content = reader.group(field.number, self.limits.depth - depth)?;
                return self.picked(until, at, field, content, start, depth);
            }
            _ => {
                let raw = element(field, reader)?;
                return self.numbered(at, field, raw);
            }
        };
        let start = reader.offset() - content.len();
        if field.repeated && field.kind.packable() {
            let mut elements = Reader::nested(content, start);
            while !elements.is_empty() {
                let raw = element(field, &mut elements)?;
                self.numbered(at, field, raw)?;
            }
            return Ok(());
        }
        match &self.steps[at].pick {
            Pick::Number(_) | Pick::Text(_) => self.entry(until, at, field, content, start, depth),
            Pick::Whole if field.map && until == self.steps.len() && at + 1 == until => {
                self.whole_entry(field, content, start, depth)
            }
            _ => self.picked(until, at, field, content, start, depth),
        }
    }

    /// Visits one number, as itself or as an element.
    #[inline]
    fn numbered(&mut self, at: usize, field: &'b Field, raw: u64) -> Result<(), DecodeError> {
        if self.counts(at, field) {
            self.scalar_found(field, raw)?;
        }
        Ok(())
    }

    /// Counts an element of a list; tells whether it is the one wanted.
    #[inline]
    fn counts(&mut self, at: usize, field: &Field) -> bool {
        if !field.repeated {
            return true;
        }
        let index = self.seen[at];
        self.seen[at] += 1;
        match self.steps[at].pick {
            Pick::Index(wanted) => wanted == Some(index),
            _ => true,
        }
    }

    fn scalar_found(&mut self, field: &'b Field, raw: u64) -> Result<(), DecodeError> {
        self.found.present = true;
        self.found.raw = raw;
        self.found.count += 1;
        if let Goal::Each(values) = &mut self.goal {
            values.push(scalar(self.message, field, raw, self.buf)?);
        }
        Ok(())
    }

    /// Visits a length-delimited or group value that is no map entry.
    fn picked(
        &mut self,
        until: usize,
        at: usize,
        field: &'b Field,
        content: &'b [u8],
        start: usize,
        depth: usize,
    ) -> Result<(), DecodeError> {
        if !self.counts(at, field) {
            return Ok(());
        }
        self.value(until, at, field, content, start, depth)
    }

    /// Visits the content of a chosen value: goes on below it or takes it.
    fn value(
        &mut self,
        until: usize,
        at: usize,
        field: &'b Field,
        content: &'b [u8],
        start: usize,
        depth: usize,
    ) -> Result<(), DecodeError> {
        if at + 1 < until {
            return self.message(until, at + 1, Reader::nested(content, start), depth + 1);
        }
        if !field.kind.is_message() {
            return self.scalar_found(field, super::index::pack(start, start + content.len()));
        }
        self.found.present = true;
        self.found.count += 1;
        match &mut self.goal {
            Goal::Each(values) => values.push(Value::Message(Cow::Borrowed(content))),
            Goal::Presence => {}
            Goal::Value | Goal::Entries(_)
                if field.repeated && matches!(self.steps[at].pick, Pick::Whole) => {}
            Goal::Value | Goal::Entries(_) => match &mut self.found.part {
                none @ None => *none = Some(Cow::Borrowed(content)),
                Some(part) => part.to_mut().extend_from_slice(content),
            },
        }
        Ok(())
    }

    /// Visits an entry of a map that is read by key.
    fn entry(
        &mut self,
        until: usize,
        at: usize,
        field: &'b Field,
        content: &'b [u8],
        start: usize,
        depth: usize,
    ) -> Result<(), DecodeError> {
        let table = self.message.tables().sub(field);
        let key = self.entry_key(field, content, start)?;
        let same = match &self.steps[at].pick {
            Pick::Text(wanted) => key == MapKey::Text(wanted.as_bytes()),
            Pick::Number(wanted) => key == MapKey::Number(*wanted),
            _ => false,
        };
        if !same {
            return Ok(());
        }
        // A later entry replaces the whole value.
        self.wipe(at + 1);
        self.entry_value(until, at, &table.fields[1], content, start, depth)
    }

    /// Visits an entry of a map that is meant as a whole.
    fn whole_entry(
        &mut self,
        field: &'b Field,
        content: &'b [u8],
        start: usize,
        depth: usize,
    ) -> Result<(), DecodeError> {
        let key = self.entry_key(field, content, start)?;
        if !matches!(self.goal, Goal::Entries(_)) {
            self.found.present = true;
            self.found.keys.get_or_insert_default().insert(key);
            return Ok(());
        }
        let table = self.message.tables().sub(field);
        let value = &table.fields[1];
        self.found = Found::default();
        let last = self.steps.len();
        self.entry_value(last, last - 1, value, content, start, depth)?;
        let found = std::mem::take(&mut self.found);
        let value = match value.kind.is_message() {
            true => Value::Message(found.part.unwrap_or_default()),
            false => scalar(self.message, value, found.raw, self.buf)?,
        };
        if let Goal::Entries(entries) = &mut self.goal {
            entries.push((key.value(&table.fields[0]), value));
        }
        Ok(())
    }

    /// Visits the value of a map entry.
    fn entry_value(
        &mut self,
        until: usize,
        at: usize,
        value: &'b Field,
        content: &'b [u8],
        start: usize,
        depth: usize,
    ) -> Result<(), DecodeError> {
        self.found.present = true;
        let default = match &value.default {
            DefaultValue::Raw(raw) => *raw,
            DefaultValue::Bytes(_) => 0,
        };
        self.found.raw = default;
        if at + 1 < until {
            self.found.present = false;
        }
        let mut reader = Reader::nested(content, start);
        while !reader.is_empty() {
            let (number, wire) = reader.tag()?;
            if number != 2 || !value.accepts(wire) {
                reader.skip(number, wire, self.limits.depth.saturating_sub(depth))?;
            } else if wire == WireType::Len {
                let content = reader.bytes()?;
                let start = reader.offset() - content.len();
                self.value(until, at, value, content, start, depth + 1)?;
            } else {
                let raw = element(value, &mut reader)?;
                self.scalar_found(value, raw)?;
            }
        }
        Ok(())
    }

    /// The key of a map entry: an absent one is the default.
    fn entry_key(
        &self,
        field: &Field,
        content: &'b [u8],
        start: usize,
    ) -> Result<MapKey<'b>, DecodeError> {
        let key = &self.message.tables().sub(field).fields[0];
        let mut text: &'b [u8] = &[];
        let mut number = 0;
        let mut reader = Reader::nested(content, start);
        while !reader.is_empty() {
            let (at, wire) = reader.tag()?;
            if at != 1 || !key.accepts(wire) {
                reader.skip(at, wire, self.limits.depth)?;
            } else if wire == WireType::Len {
                text = reader.bytes()?;
                if key.utf8 {
                    utf8(key, text, reader.offset() - text.len())?;
                }
            } else {
                number = element(key, &mut reader)?;
            }
        }
        let number = match key.kind {
            Kind::String => return Ok(MapKey::Text(text)),
            Kind::Bool => u64::from(number != 0),
            Kind::Int32 | Kind::Sfixed32 => i64::from(number as i32) as u64,
            Kind::Sint32 => unzigzag(number & 0xffff_ffff) as u64,
            Kind::Sint64 => unzigzag(number) as u64,
            Kind::Uint32 | Kind::Fixed32 => u64::from(number as u32),
            _ => number,
        };
        Ok(MapKey::Number(number))
    }
}

/// Whether the field with this number takes the place of `wanted` in its oneof.
fn replaces(table: &MessageTable, wanted: &Field, number: u32, wire: WireType) -> bool {
    number != wanted.number
        && table.find(number).is_some_and(|index| {
            let field = &table.fields[index];
            field.oneof == wanted.oneof && field.accepts(wire)
        })
}

/// The index of the member of a oneof that is set in a message: the last one.
pub(super) fn last_member(
    message: &Message,
    oneof: u16,
    bytes: &[u8],
) -> Result<Option<usize>, DecodeError> {
    let limits = message.limits();
    check_size(bytes, limits)?;
    let table = message.table();
    let mut reader = Reader::new(bytes);
    let (mut last, mut fields_left) = (None, limits.fields);
    while !reader.is_empty() {
        let offset = reader.offset();
        fields_left = fields_left.checked_sub(1).ok_or(DecodeError::Fields {
            offset,
            limit: limits.fields,
        })?;
        let (number, wire) = reader.tag()?;
        reader.skip(number, wire, limits.depth)?;
        let field = table.find(number);
        let member = |index: &usize| {
            let field = &table.fields[*index];
            field.oneof == oneof && field.accepts(wire)
        };
        last = field.filter(member).or(last);
    }
    Ok(last)
}

/// A scalar from its raw form; text lies in `bytes`.
pub(super) fn scalar<'b>(
    message: &'b Message,
    field: &Field,
    raw: u64,
    bytes: &'b [u8],
) -> Result<Value<'b>, DecodeError> {
    Ok(match field.kind {
        Kind::Int32 | Kind::Sfixed32 => Value::I64(i64::from(raw as i32)),
        Kind::Int64 | Kind::Sfixed64 => Value::I64(raw as i64),
        Kind::Sint32 => Value::I64(unzigzag(raw & 0xffff_ffff)),
        Kind::Sint64 => Value::I64(unzigzag(raw)),
        Kind::Uint32 | Kind::Fixed32 => Value::U64(u64::from(raw as u32)),
        Kind::Uint64 | Kind::Fixed64 => Value::U64(raw),
        Kind::Bool => Value::Bool(raw != 0),
        Kind::Float => Value::F32(f32::from_bits(raw as u32)),
        Kind::Double => Value::F64(f64::from_bits(raw)),
        Kind::Enum => {
            let number = raw as i32;
            Value::Enum {
                number,
                name: message.tables().enumeration(field).name(number),
            }
        }
        Kind::String | Kind::Bytes => {
            let (start, end) = ((raw >> 32) as usize, (raw & 0xffff_ffff) as usize);
            let content = bytes.get(start..end).unwrap_or_default();
            match field.kind {
                Kind::Bytes => Value::Bytes(content),
                _ if field.utf8 => Value::Str(utf8(field, content, start)?),
                _ => std::str::from_utf8(content).map_or(Value::Bytes(content), Value::Str),
            }
        }
        Kind::Message | Kind::Group => Value::Absent,
    })
}
