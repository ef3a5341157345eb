//! Wire -> protobuf text format, laid out as `protoc --decode` does.
//!
//! After the text format specification (<https://protobuf.dev/reference/protobuf/textformat-spec/>);
//! where that leaves freedom (digits of floats, escapes, unknown fields, order) the output follows
//! what protoc 3.21 prints.

use super::index::{Entry, UNKNOWN, Walk};
use super::json_write::integer;
use super::tables::{DefaultValue, Field, Kind, MessageTable, WellKnown};
use super::text_write as write;
use super::to_json::{element, is_zero};
use super::validate::utf8;
use crate::error::DecodeError;
use crate::schema::Message;
use crate::wire::{Reader, WireType, unzigzag};

/// Unknown length-delimited fields are tried as messages down to this many levels.
const UNKNOWN_DEPTH: usize = 10;

/// How text is written. The default is what `protoc --decode` prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct TextOptions {
    /// Writes an `Any` of a known type as `[URL] { fields }`, where protoc shows the
    /// bytes; one whose content is not of its type stays bytes.
    pub expand_any: bool,
}

impl TextOptions {
    /// What `protoc --decode` prints.
    pub fn new() -> TextOptions {
        TextOptions::default()
    }

    /// Sets [`TextOptions::expand_any`].
    #[must_use]
    pub fn expand_any(self, expand_any: bool) -> TextOptions {
        TextOptions { expand_any }
    }
}

impl Message {
    /// Appends the message in text format, one field a line, in the order of field numbers; unknown
    /// fields come last, by number. Bytes and text are escaped to ASCII.
    ///
    /// # Errors
    ///
    /// The first fault, with its offset in `bytes`; `out` is then as it was.
    pub fn to_text(
        &self,
        bytes: &[u8],
        options: &TextOptions,
        out: &mut Vec<u8>,
    ) -> Result<(), DecodeError> {
        let start = out.len();
        let walk = Walk::new(self.tables(), self.limits(), bytes)?;
        let mut printer = Printer {
            walk,
            options,
            out,
            indent: 0,
        };
        let printed = printer.range(self.table(), (0, bytes.len()), 0);
        if printed.is_err() {
            printer.out.truncate(start);
        }
        printed
    }
}

struct Printer<'a> {
    walk: Walk<'a>,
    options: &'a TextOptions,
    out: &'a mut Vec<u8>,
    indent: usize,
}

/// A field the schema does not know, or an enum number a closed enum has no name for.
struct Stray {
    at: u32,
    number: u32,
    wire: WireType,
    raw: u64,
}

impl<'a> Printer<'a> {
    fn range(
        &mut self,
        table: &'a MessageTable,
        range: (usize, usize),
        depth: usize,
    ) -> Result<(), DecodeError> {
        let begin = self.walk.open_range(table, range, depth)?;
        self.fields(table, begin, depth)?;
        self.walk.close(begin);
        Ok(())
    }

    fn parts(
        &mut self,
        table: &'a MessageTable,
        parts: std::ops::Range<usize>,
        depth: usize,
    ) -> Result<(), DecodeError> {
        let begin = self.walk.open_parts(table, parts, depth)?;
        self.fields(table, begin, depth)?;
        self.walk.close(begin);
        Ok(())
    }

    fn fields(
        &mut self,
        table: &'a MessageTable,
        begin: usize,
        depth: usize,
    ) -> Result<(), DecodeError> {
        if table.well_known == WellKnown::Any
            && self.options.expand_any
            && self.expanded(table, begin, depth)?
        {
            return Ok(());
        }
        let end = self.walk.mark();
        let mut strays = Vec::new();
        let mut at = begin;
        while at < end {
            let index = self.walk.scratch.entries[at].field;
            if index == UNKNOWN {
                break;
            }
            let run = self.walk.run(at);
            self.field(&table.fields[index as usize], at..run, depth, &mut strays)?;
            at = run;
        }
        for entry in &self.walk.scratch.entries[at..end] {
            let (number, wire) =
                Reader::part(self.walk.buf, entry.at as usize, end_of(entry)).tag()?;
            strays.push(Stray {
                at: entry.at,
                number,
                wire,
                raw: entry.raw,
            });
        }
        strays.sort_by_key(|stray| stray.at);
        for stray in strays {
            self.stray(stray.number, stray.wire, stray.raw, UNKNOWN_DEPTH);
        }
        Ok(())
    }

    fn field(
        &mut self,
        field: &'a Field,
        run: std::ops::Range<usize>,
        depth: usize,
        strays: &mut Vec<Stray>,
    ) -> Result<(), DecodeError> {
        if field.map {
            return self.map(field, run, depth);
        }
        if field.kind.is_message() {
            let step = if field.repeated { 1 } else { run.len() };
            for from in run.step_by(step) {
                self.begin(&field.text_name);
                self.parts(self.walk.tables.sub(field), from..from + step, depth + 1)?;
                self.end();
            }
            return Ok(());
        }
        let mut last = None;
        for at in run {
            let entry = self.walk.scratch.entries[at];
            if field.repeated && field.kind.packable() && entry.wire == WireType::Len {
                let (start, end) = entry.range();
                let mut reader = Reader::part(self.walk.buf, start, end);
                while !reader.is_empty() {
                    let at = reader.offset() as u32;
                    let raw = element(field, &mut reader)?;
                    if !self.strayed(field, at, raw, strays) {
                        self.line(field, raw)?;
                    }
                }
            } else if self.strayed(field, entry.at, entry.raw, strays) {
            } else if field.repeated {
                self.line(field, entry.raw)?;
            } else {
                // Text that is replaced later must still be text.
                if field.kind == Kind::String && field.utf8 {
                    self.text(field, entry.raw)?;
                }
                last = Some(entry.raw);
            }
        }
        match last {
            Some(raw) if field.presence || !is_zero(field.kind, raw) => self.line(field, raw),
            _ => Ok(()),
        }
    }

    /// Sets a number aside that its closed enum has no name for.
    fn strayed(&self, field: &Field, at: u32, raw: u64, strays: &mut Vec<Stray>) -> bool {
        if field.kind != Kind::Enum {
            return false;
        }
        let kind = self.walk.tables.enumeration(field);
        let strayed = kind.closed && kind.name(raw as i32).is_none();
        if strayed {
            let raw = i64::from(raw as i32) as u64;
            strays.push(Stray {
                at,
                number: field.number,
                wire: WireType::Varint,
                raw,
            });
        }
        strayed
    }

    fn map(
        &mut self,
        field: &'a Field,
        run: std::ops::Range<usize>,
        depth: usize,
    ) -> Result<(), DecodeError> {
        let table = self.walk.tables.sub(field);
        let base = self.walk.sort_map(table, run, depth + 1, true)?;
        for at in base..self.walk.scratch.items.len() {
            let item = self.walk.scratch.items[at];
            self.begin(&field.text_name);
            self.line(&table.fields[0], item.key)?;
            let entry = item.entry as usize;
            let begin = self.walk.open_parts(table, entry..entry + 1, depth + 1)?;
            self.map_value(table, begin, depth + 1)?;
            self.walk.close(begin);
            self.end();
        }
        self.walk.scratch.items.truncate(base);
        Ok(())
    }

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
            self.begin(&value.text_name);
            self.parts(self.walk.tables.sub(value), from..to, depth + 1)?;
            self.end();
            return Ok(());
        }
        let raw = match (&value.default, from == to) {
            (_, false) => self.walk.scratch.entries[to - 1].raw,
            (DefaultValue::Raw(raw), true) => *raw,
            (DefaultValue::Bytes(_), true) => 0,
        };
        self.line(value, raw)
    }

    /// Writes an `Any` by its fields; tells whether it could.
    fn expanded(
        &mut self,
        table: &'a MessageTable,
        begin: usize,
        depth: usize,
    ) -> Result<bool, DecodeError> {
        let (mut url, mut value) = ((0, 0), (0, 0));
        for entry in &self.walk.scratch.entries[begin..] {
            match table
                .fields
                .get(entry.field as usize)
                .map(|field| field.number)
            {
                Some(1) => url = entry.range(),
                Some(2) => value = entry.range(),
                _ => {}
            }
        }
        let Ok(url) = std::str::from_utf8(&self.walk.buf[url.0..url.1]) else {
            return Ok(false);
        };
        let inner = url
            .rsplit_once('/')
            .and_then(|(_, name)| self.walk.tables.named(name));
        let Some(inner) = inner else { return Ok(false) };
        let (written, indent) = (self.out.len(), self.indent);
        let (mark, items) = (self.walk.mark(), self.walk.scratch.items.len());
        self.begin(&format!("[{url}]"));
        if self.range(inner, value, depth + 1).is_err() {
            // Content that is not of its type is shown as the bytes it is.
            self.out.truncate(written);
            self.indent = indent;
            self.walk.close(mark);
            self.walk.scratch.items.truncate(items);
            return Ok(false);
        }
        self.end();
        Ok(true)
    }

    fn indent(&mut self) {
        self.out.resize(self.out.len() + 2 * self.indent, b' ');
    }

    fn begin(&mut self, name: &str) {
        self.indent();
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b" {\n");
        self.indent += 1;
    }

    fn end(&mut self) {
        self.indent -= 1;
        self.indent();
        self.out.extend_from_slice(b"}\n");
    }

    /// `name: value`.
    fn line(&mut self, field: &'a Field, raw: u64) -> Result<(), DecodeError> {
        self.indent();
        self.out.extend_from_slice(field.text_name.as_bytes());
        self.out.extend_from_slice(b": ");
        self.scalar(field, raw)?;
        self.out.push(b'\n');
        Ok(())
    }

    /// The bytes of a string or bytes field, checked to be text where they must be.
    fn text(&self, field: &Field, raw: u64) -> Result<&'a [u8], DecodeError> {
        let (start, end) = ((raw >> 32) as usize, (raw & 0xffff_ffff) as usize);
        let content = &self.walk.buf[start..end];
        if field.kind == Kind::String && field.utf8 {
            utf8(field, content, start)?;
        }
        Ok(content)
    }

    fn scalar(&mut self, field: &'a Field, raw: u64) -> Result<(), DecodeError> {
        match field.kind {
            Kind::Int32 | Kind::Sfixed32 => integer(raw as i32, self.out),
            Kind::Int64 | Kind::Sfixed64 => integer(raw as i64, self.out),
            Kind::Uint32 | Kind::Fixed32 => integer(raw as u32, self.out),
            Kind::Uint64 | Kind::Fixed64 => integer(raw, self.out),
            Kind::Sint32 => integer(unzigzag(raw & 0xffff_ffff) as i32, self.out),
            Kind::Sint64 => integer(unzigzag(raw), self.out),
            Kind::Bool => self
                .out
                .extend_from_slice(if raw != 0 { b"true" } else { b"false" }),
            Kind::Float => write::float(f32::from_bits(raw as u32), self.out),
            Kind::Double => write::double(f64::from_bits(raw), self.out),
            Kind::String | Kind::Bytes => write::quoted(self.text(field, raw)?, self.out),
            Kind::Enum => match self.walk.tables.enumeration(field).name(raw as i32) {
                Some(name) => self.out.extend_from_slice(name.as_bytes()),
                None => integer(raw as i32, self.out),
            },
            Kind::Message | Kind::Group => {}
        }
        Ok(())
    }

    /// Writes an unknown field. One of bytes that reads as a message is shown as one.
    fn stray(&mut self, number: u32, wire: WireType, raw: u64, budget: usize) {
        self.indent();
        integer(number, self.out);
        let (start, end) = ((raw >> 32) as usize, (raw & 0xffff_ffff) as usize);
        match wire {
            WireType::Varint => {
                self.out.extend_from_slice(b": ");
                integer(raw, self.out);
            }
            WireType::Fixed32 => write::hex(raw, 8, self.out),
            WireType::Fixed64 => write::hex(raw, 16, self.out),
            WireType::Len
                if start == end || budget == 0 || !reads(self.walk.buf, start, end, budget) =>
            {
                self.out.extend_from_slice(b": ");
                write::quoted(&self.walk.buf[start..end], self.out);
            }
            WireType::Len | WireType::StartGroup | WireType::EndGroup => {
                self.out.extend_from_slice(b" {\n");
                self.indent += 1;
                self.strays(start, end, budget.saturating_sub(1));
                self.indent -= 1;
                self.indent();
                self.out.push(b'}');
            }
        }
        self.out.push(b'\n');
    }

    /// Writes all fields of a range that is known to be well formed.
    fn strays(&mut self, start: usize, end: usize, budget: usize) {
        let buf = self.walk.buf;
        let mut reader = Reader::part(buf, start, end);
        while !reader.is_empty() {
            let Ok((number, wire)) = reader.tag() else {
                return;
            };
            let from = reader.offset();
            let raw = match wire {
                WireType::Varint => reader.varint(),
                WireType::Fixed32 => reader.fixed32().map(u64::from),
                WireType::Fixed64 => reader.fixed64(),
                WireType::Len => reader.bytes().map(|content| {
                    super::index::pack(reader.offset() - content.len(), reader.offset())
                }),
                _ => reader
                    .group(number, self.walk.limits.depth)
                    .map(|content| super::index::pack(from, from + content.len())),
            };
            let Ok(raw) = raw else { return };
            self.stray(number, wire, raw, budget);
        }
    }
}

fn end_of(entry: &Entry) -> usize {
    entry.after as usize
}

/// Whether a range is a sequence of whole fields.
fn reads(buf: &[u8], start: usize, end: usize, depth: usize) -> bool {
    let mut reader = Reader::part(buf, start, end);
    while !reader.is_empty() {
        let field = reader
            .tag()
            .and_then(|(number, wire)| reader.skip(number, wire, depth));
        if field.is_err() {
            return false;
        }
    }
    true
}
