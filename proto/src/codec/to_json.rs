//! Wire -> JSON, after the proto3 JSON mapping (<https://protobuf.dev/programming-guides/json/>).

use super::index::{Entry, UNKNOWN, Walk};
use super::json_write as json;
use super::tables::{DefaultValue, Field, Kind, MessageTable, WellKnown};
use super::validate::{in_packed, utf8};
use crate::error::DecodeError;
use crate::schema::Message;
use crate::wire::{Reader, WireType, unzigzag};

/// The reserved key that holds unknown fields, as base64 of their wire bytes.
pub(crate) const UNKNOWN_KEY: &str = "@unknown";
/// The reserved key that holds the bytes of an `Any` whose type the schema lacks.
pub(crate) const ANY_BYTES_KEY: &str = "@value";

/// What [`Message::to_json`] does with fields the schema lacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Unknown {
    /// Leaves them out.
    #[default]
    Drop,
    /// Writes their wire bytes in base64 under the key `"@unknown"`, which
    /// [`Message::from_json`] takes back.
    Keep,
}

/// How JSON is written. The default is the mapping's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct JsonOptions {
    /// Field names as in the `.proto` file instead of lowerCamelCase.
    pub proto_names: bool,
    /// Also writes absent lists, maps and fields without presence, with their default.
    pub defaults: bool,
    /// Enums as numbers instead of names.
    pub enum_numbers: bool,
    /// 64-bit integers as JSON numbers instead of strings, for a reader that keeps them exact.
    pub plain_integers: bool,
    /// What happens to unknown fields.
    pub unknown: Unknown,
}

impl JsonOptions {
    /// The mapping's own form.
    pub fn new() -> JsonOptions {
        JsonOptions::default()
    }

    /// Sets [`JsonOptions::proto_names`].
    #[must_use]
    pub fn proto_names(self, proto_names: bool) -> JsonOptions {
        JsonOptions {
            proto_names,
            ..self
        }
    }

    /// Sets [`JsonOptions::defaults`].
    #[must_use]
    pub fn defaults(self, defaults: bool) -> JsonOptions {
        JsonOptions { defaults, ..self }
    }

    /// Sets [`JsonOptions::enum_numbers`].
    #[must_use]
    pub fn enum_numbers(self, enum_numbers: bool) -> JsonOptions {
        JsonOptions {
            enum_numbers,
            ..self
        }
    }

    /// Sets [`JsonOptions::plain_integers`].
    #[must_use]
    pub fn plain_integers(self, plain_integers: bool) -> JsonOptions {
        JsonOptions {
            plain_integers,
            ..self
        }
    }

    /// Sets [`JsonOptions::unknown`].
    #[must_use]
    pub fn unknown(self, unknown: Unknown) -> JsonOptions {
        JsonOptions { unknown, ..self }
    }
}

impl Message {
    /// Appends the message as one JSON value without whitespace. Fields come in the order of their
    /// numbers, maps in the order of their keys (numbers by value, strings by bytes), so equal
    /// messages give equal text whatever their wire order.
    ///
    /// An `Any` of a type the schema lacks becomes `{"@type": URL, "@value": BASE64}`. A number an
    /// enum has no name for is written as the number. A known field with a foreign wire type counts
    /// as unknown. Unknown fields inside a well-known type or a map entry have no place in JSON and
    /// are dropped even with [`Unknown::Keep`].
    ///
    /// # Errors
    ///
    /// The first fault, with its offset in `bytes`; `out` is then as it was. Messages without a JSON
    /// form, such as a Timestamp out of range, give [`DecodeError::NoJson`].
    pub fn to_json(
        &self,
        bytes: &[u8],
        options: &JsonOptions,
        out: &mut Vec<u8>,
    ) -> Result<(), DecodeError> {
        let start = out.len();
        let walk = Walk::new(self.tables(), self.limits(), bytes)?;
        let mut writer = Writer { walk, options, out };
        let written = writer.range(self.table(), (0, bytes.len()), 0);
        if written.is_err() {
            writer.out.truncate(start);
        }
        written
    }
}

struct Writer<'a> {
    walk: Walk<'a>,
    options: &'a JsonOptions,
    out: &'a mut Vec<u8>,
}

impl<'a> Writer<'a> {
    /// Writes the message that fills a range of the buffer.
    fn range(
        &mut self,
        table: &'a MessageTable,
        range: (usize, usize),
        depth: usize,
    ) -> Result<(), DecodeError> {
        let begin = self.walk.open_range(table, range, depth)?;
        self.message(table, begin, range.0, depth)?;
        self.walk.close(begin);
        Ok(())
    }

    /// Writes the message whose parts are the given stack entries.
    #[inline]
    fn parts(
        &mut self,
        table: &'a MessageTable,
        parts: std::ops::Range<usize>,
        depth: usize,
    ) -> Result<(), DecodeError> {
        let offset = self
            .walk
            .scratch
            .entries
            .get(parts.start)
            .map_or(0, |entry| entry.range().0);
        let begin = self.walk.open_parts(table, parts, depth)?;
        self.message(table, begin, offset, depth)?;
        self.walk.close(begin);
        Ok(())
    }

    /// Writes the message whose fields lie on the stack from `begin`.
    fn message(
        &mut self,
        table: &'a MessageTable,
        begin: usize,
        offset: usize,
        depth: usize,
    ) -> Result<(), DecodeError> {
        match table.well_known {
            WellKnown::None | WellKnown::Empty => {
                self.out.push(b'{');
                self.fields(table, begin, depth, true)?;
                self.out.push(b'}');
                Ok(())
            }
            WellKnown::Any => self.any(table, begin, depth),
            WellKnown::Timestamp => {
                self.seconds(table, begin, offset, super::well_known::put_timestamp)
            }
            WellKnown::Duration => {
                self.seconds(table, begin, offset, super::well_known::put_duration)
            }
            WellKnown::FieldMask => self.mask(table, begin, offset),
            WellKnown::Wrapper => match self.last(table, begin, 1) {
                Some(entry) => self.scalar(&table.fields[0], entry.raw),
                None => self.default(&table.fields[0]),
            },
            WellKnown::Value => self.value(table, begin, offset, depth),
            WellKnown::Struct | WellKnown::ListValue => {
                let end = self.walk.mark();
                let known =
                    self.walk.scratch.entries[begin..end].partition_point(|entry| entry.field == 0);
                match table.well_known {
                    WellKnown::Struct => self.map(&table.fields[0], begin..begin + known, depth),
                    _ => self.list(&table.fields[0], begin..begin + known, depth),
                }
            }
        }
    }

    /// Writes the members of an object, without the braces.
    fn fields(
        &mut self,
        table: &'a MessageTable,
        begin: usize,
        depth: usize,
        mut first: bool,
    ) -> Result<(), DecodeError> {
        let end = self.walk.mark();
        let mut at = begin;
        let mut next = 0;
        while at < end {
            let index = self.walk.scratch.entries[at].field;
            if index == UNKNOWN {
                break;
            }
            if self.options.defaults {
                self.defaults(&table.fields[next..index as usize], &mut first)?;
                next = index as usize + 1;
            }
            let run = self.walk.run(at);
            self.field(&table.fields[index as usize], at..run, depth, &mut first)?;
            at = run;
        }
        if self.options.defaults {
            self.defaults(&table.fields[next..], &mut first)?;
        }
        if at < end && self.options.unknown == Unknown::Keep {
            let mut raw = Vec::new();
            for entry in &self.walk.scratch.entries[at..end] {
                raw.extend_from_slice(&self.walk.buf[entry.at as usize..entry.after as usize]);
            }
            self.comma(&mut first);
            json::string(UNKNOWN_KEY, self.out);
            self.out.push(b':');
            json::base64(&raw, self.out);
        }
        Ok(())
    }

    #[inline(always)]
    fn comma(&mut self, first: &mut bool) {
        if !*first {
            self.out.push(b',');
        }
        *first = false;
    }

    #[inline(always)]
    fn key(&mut self, field: &Field, first: &mut bool) {
        self.comma(first);
        let key = if self.options.proto_names {
            &field.proto_key
        } else {
            &field.json_key
        };
        self.out.extend_from_slice(key);
    }

    fn defaults(&mut self, fields: &'a [Field], first: &mut bool) -> Result<(), DecodeError> {
        for field in fields {
            if field.map {
                self.key(field, first);
                self.out.extend_from_slice(b"{}");
            } else if field.repeated {
                self.key(field, first);
                self.out.extend_from_slice(b"[]");
            } else if !field.presence {
                self.key(field, first);
                self.default(field)?;
            }
        }
        Ok(())
    }

    #[inline(always)]
    fn field(
        &mut self,
        field: &'a Field,
        run: std::ops::Range<usize>,
        depth: usize,
        first: &mut bool,
    ) -> Result<(), DecodeError> {
        if field.repeated {
            let (before, was_first) = (self.out.len(), *first);
            self.key(field, first);
            if field.map {
                return self.map(field, run, depth);
            }
            let start = self.out.len();
            self.list(field, run, depth)?;
            // Packed fields of no elements are no list at all.
            if self.out.len() == start + 2 && !self.options.defaults {
                self.out.truncate(before);
                *first = was_first;
            }
            return Ok(());
        }
        if field.kind.is_message() {
            self.key(field, first);
            return self.parts(self.walk.tables.sub(field), run, depth + 1);
        }
        let raw = self.walk.scratch.entries[run.end - 1].raw;
        if !field.presence && !self.options.defaults && is_zero(field.kind, raw) {
            // The text must be checked even where it is not shown; an empty one is always valid.
            return Ok(());
        }
        self.key(field, first);
        self.scalar(field, raw)
    }

    fn list(
        &mut self,
        field: &'a Field,
        run: std::ops::Range<usize>,
        depth: usize,
    ) -> Result<(), DecodeError> {
        self.out.push(b'[');
        let mut first = true;
        for at in run {
            let entry = self.walk.scratch.entries[at];
            if field.kind.is_message() {
                self.comma(&mut first);
                self.parts(self.walk.tables.sub(field), at..at + 1, depth + 1)?;
            } else if entry.wire == WireType::Len && field.kind.packable() {
                let (start, end) = entry.range();
                let mut reader = Reader::part(self.walk.buf, start, end);
                while !reader.is_empty() {
                    let raw = element(field, &mut reader)?;
                    self.comma(&mut first);
                    self.scalar(field, raw)?;
                }
            } else {
                self.comma(&mut first);
                self.scalar(field, entry.raw)?;
            }
        }
        self.out.push(b']');
        Ok(())
    }

    fn map(
        &mut self,
        field: &'a Field,
        run: std::ops::Range<usize>,
        depth: usize,
    ) -> Result<(), DecodeError> {
        let table = self.walk.tables.sub(field);
        let base = self.walk.sort_map(table, run, depth + 1, false)?;
        self.out.push(b'{');
        let mut first = true;
        for at in base..self.walk.scratch.items.len() {
            let item = self.walk.scratch.items[at];
            self.comma(&mut first);
            self.map_key(&table.fields[0], item.key)?;
            let begin = self.walk.open_parts(
                table,
                item.entry as usize..item.entry as usize + 1,
                depth + 1,
            )?;
            self.map_value(table, begin, depth + 1)?;
            self.walk.close(begin);
        }
        self.walk.scratch.items.truncate(base);
        self.out.push(b'}');
        Ok(())
    }

    fn map_key(&mut self, field: &'a Field, raw: u64) -> Result<(), DecodeError> {
        match field.kind {
            Kind::String => self.scalar(field, raw)?,
            Kind::Int64 | Kind::Uint64 | Kind::Sint64 | Kind::Fixed64 | Kind::Sfixed64
                if !self.options.plain_integers =>
            {
                self.scalar(field, raw)?;
            }
            _ => {
                self.out.push(b'"');
                self.scalar(field, raw)?;
                self.out.push(b'"');
            }
        }
        self.out.push(b':');
        Ok(())
    }

    /// Writes the value of the map entry whose fields lie on the stack from `begin`.
    fn map_value(
        &mut self,
        table: &'a MessageTable,
        begin: usize,
        depth: usize,
    ) -> Result<(), DecodeError> {
        let value = &table.fields[1];
        let within = &self.walk.scratch.entries[begin..];
        let from = begin + within.partition_point(|entry| entry.field < 1);
        let to = begin + within.partition_point(|entry| entry.field <= 1);
        if value.kind.is_message() {
            return self.parts(self.walk.tables.sub(value), from..to, depth + 1);
        }
        match from == to {
            true => self.default(value),
            false => self.scalar(value, self.walk.scratch.entries[to - 1].raw),
        }
    }

    /// Writes one scalar from its raw form.
    #[inline(always)]
    fn scalar(&mut self, field: &'a Field, raw: u64) -> Result<(), DecodeError> {
        let plain = self.options.plain_integers;
        let out = &mut *self.out;
        match field.kind {
            Kind::Int32 => json::integer(raw as i32, out),
            Kind::Int64 => json::wide(raw as i64, plain, out),
            Kind::Uint32 | Kind::Fixed32 => json::integer(raw as u32, out),
            Kind::Uint64 | Kind::Fixed64 => json::wide(raw, plain, out),
            Kind::Sint32 => json::integer(unzigzag(raw & 0xffff_ffff) as i32, out),
            Kind::Sint64 => json::wide(unzigzag(raw), plain, out),
            Kind::Sfixed32 => json::integer(raw as i32, out),
            Kind::Sfixed64 => json::wide(raw as i64, plain, out),
            Kind::Double => json::double(f64::from_bits(raw), out),
            Kind::Float => json::float(f32::from_bits(raw as u32), out),
            Kind::Bool => out.extend_from_slice(if raw != 0 { b"true" } else { b"false" }),
            Kind::Enum => self.enumeration(field, raw as i32),
            Kind::String => {
                let (start, end) = ((raw >> 32) as usize, (raw & 0xffff_ffff) as usize);
                json::string(utf8(field, &self.walk.buf[start..end], start)?, out);
            }
            Kind::Bytes => {
                let (start, end) = ((raw >> 32) as usize, (raw & 0xffff_ffff) as usize);
                json::base64(&self.walk.buf[start..end], out);
            }
            Kind::Message | Kind::Group => {}
        }
        Ok(())
    }

    fn enumeration(&mut self, field: &'a Field, number: i32) {
        let kind = self.walk.tables.enumeration(field);
        match kind.name(number) {
            Some(_) if kind.null => self.out.extend_from_slice(b"null"),
            Some(name) if !self.options.enum_numbers => {
                self.out.push(b'"');
                self.out.extend_from_slice(name.as_bytes());
                self.out.push(b'"');
            }
            _ => json::integer(number, self.out),
        }
    }

    /// Writes what an absent scalar stands for.
    fn default(&mut self, field: &'a Field) -> Result<(), DecodeError> {
        match &field.default {
            DefaultValue::Raw(raw) => self.scalar(field, *raw)?,
            DefaultValue::Bytes(bytes) if field.kind == Kind::Bytes => {
                json::base64(bytes, self.out)
            }
            DefaultValue::Bytes(bytes) => json::string(&String::from_utf8_lossy(bytes), self.out),
        }
        Ok(())
    }

    /// The last value of the field with this number.
    fn last(&self, table: &MessageTable, begin: usize, number: u32) -> Option<Entry> {
        let index = table.find(number)? as u32;
        let within = &self.walk.scratch.entries[begin..];
        let to = within.partition_point(|entry| entry.field <= index);
        within[..to]
            .last()
            .filter(|entry| entry.field == index)
            .copied()
    }

    fn any(
        &mut self,
        table: &'a MessageTable,
        begin: usize,
        depth: usize,
    ) -> Result<(), DecodeError> {
        let url = self
            .last(table, begin, 1)
            .map_or((0, 0), |entry| entry.range());
        let value = self
            .last(table, begin, 2)
            .map_or((url.1, url.1), |entry| entry.range());
        let Some(url_field) = table.find(1).map(|index| &table.fields[index]) else {
            return Ok(());
        };
        let url = utf8(url_field, &self.walk.buf[url.0..url.1], url.0)?;
        if url.is_empty() && value.0 == value.1 {
            self.out.extend_from_slice(b"{}");
            return Ok(());
        }
        self.out.extend_from_slice(b"{\"@type\":");
        json::string(url, self.out);
        let name = url.rsplit('/').next().unwrap_or(url);
        match self.walk.tables.named(name) {
            None => {
                self.out.push(b',');
                json::string(ANY_BYTES_KEY, self.out);
                self.out.push(b':');
                json::base64(&self.walk.buf[value.0..value.1], self.out);
            }
            Some(inner) if inner.well_known == WellKnown::None => {
                let begin = self.walk.open_range(inner, value, depth + 1)?;
                self.fields(inner, begin, depth + 1, false)?;
                self.walk.close(begin);
            }
            Some(inner) => {
                self.out.extend_from_slice(b",\"value\":");
                self.range(inner, value, depth + 1)?;
            }
        }
        self.out.push(b'}');
        Ok(())
    }

    /// Writes a Timestamp or Duration.
    fn seconds(
        &mut self,
        table: &MessageTable,
        begin: usize,
        offset: usize,
        put: fn(i64, i32, &mut Vec<u8>) -> Result<(), &'static str>,
    ) -> Result<(), DecodeError> {
        let seconds = self
            .last(table, begin, 1)
            .map_or(0, |entry| entry.raw as i64);
        let nanos = self
            .last(table, begin, 2)
            .map_or(0, |entry| entry.raw as i32);
        self.out.push(b'"');
        put(seconds, nanos, self.out).map_err(|cause| no_json(table, offset, cause))?;
        self.out.push(b'"');
        Ok(())
    }

    fn mask(
        &mut self,
        table: &'a MessageTable,
        begin: usize,
        offset: usize,
    ) -> Result<(), DecodeError> {
        self.out.push(b'"');
        let mut first = true;
        for at in begin..self.walk.mark() {
            let entry = self.walk.scratch.entries[at];
            if entry.field != 0 {
                break;
            }
            let (start, end) = entry.range();
            let path = utf8(&table.fields[0], &self.walk.buf[start..end], start)?;
            self.comma(&mut first);
            super::well_known::put_mask_path(path, self.out).ok_or_else(|| {
                no_json(
                    table,
                    offset,
                    "a path of it does not survive lowerCamelCase",
                )
            })?;
        }
        self.out.push(b'"');
        Ok(())
    }

    /// Writes a `google.protobuf.Value`; one without a kind is `null`.
    fn value(
        &mut self,
        table: &'a MessageTable,
        begin: usize,
        offset: usize,
        depth: usize,
    ) -> Result<(), DecodeError> {
        let end = self.walk.mark();
        let Some(entry) = self.walk.scratch.entries[begin..end]
            .first()
            .filter(|entry| entry.field != UNKNOWN)
        else {
            self.out.extend_from_slice(b"null");
            return Ok(());
        };
        let field = &table.fields[entry.field as usize];
        let run = self.walk.run(begin);
        if field.kind.is_message() {
            return self.parts(self.walk.tables.sub(field), begin..run, depth + 1);
        }
        if field.kind == Kind::Enum {
            // Its one value is null; another number is no other JSON value.
            self.out.extend_from_slice(b"null");
            return Ok(());
        }
        let raw = self.walk.scratch.entries[run - 1].raw;
        if field.kind == Kind::Double && !f64::from_bits(raw).is_finite() {
            return Err(no_json(table, offset, "its number is not finite"));
        }
        self.scalar(field, raw)
    }
}

#[cold]
fn no_json(table: &MessageTable, offset: usize, cause: &'static str) -> DecodeError {
    DecodeError::NoJson {
        offset,
        message: table.full_name.clone(),
        cause,
    }
}

/// Whether a raw value is the implicit default of its kind.
#[inline(always)]
pub(crate) fn is_zero(kind: Kind, raw: u64) -> bool {
    match kind {
        Kind::String | Kind::Bytes => raw >> 32 == raw & 0xffff_ffff,
        Kind::Int32 | Kind::Uint32 | Kind::Sint32 | Kind::Enum => raw as u32 == 0,
        _ => raw == 0,
    }
}

/// Reads one element of a packed field, in raw form.
#[inline(always)]
pub(crate) fn element(field: &Field, reader: &mut Reader<'_>) -> Result<u64, DecodeError> {
    let offset = reader.offset();
    let raw = match field.kind.wire() {
        WireType::Fixed32 => reader.fixed32().map(u64::from),
        WireType::Fixed64 => reader.fixed64(),
        _ => reader.varint(),
    };
    raw.map_err(|error| in_packed(error, field, offset))
}
