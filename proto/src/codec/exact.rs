//! Wire -> text that tells every byte, so that text -> wire gives the same bytes back.
//!
//! Fields come as they lie. One that the text of its value would not bring back as it was is written
//! by its number, which says the wire type, and failing that as raw bytes; a comment has its reading.

use super::guess::{self, Reading};
use super::index::check_size;
use super::json_write::integer;
use super::tables::{Field, Kind, MessageTable, Tables, WellKnown};
use super::text_write as write;
use crate::error::DecodeError;
use crate::limits::Limits;
use crate::schema::Message;
use crate::wire::{Reader, WireType, unzigzag, varint_len};

/// The name that stands for bytes taken as they are. It has the form of an extension's, so that other
/// tools still find the text well formed.
pub(crate) const RAW: &str = "[isukit.wire]";
/// Elements of a list shown in a comment.
const SHOWN: usize = 16;

impl Message {
    /// Appends text format that tells every byte of the message: [`Message::from_text`] gives the very
    /// same bytes back, whatever they are.
    ///
    /// Fields come one a line in the order of the wire: defaults, repeated single fields, parts of a
    /// split message and replaced members of a oneof as they came, a packed run as `name: [1, 2]`. An
    /// `Any` of a known type is written by its fields. A field is written by its number where the
    /// schema lacks it or would write it otherwise (a foreign wire type, a list packed or not against
    /// the schema, a bool of 2, a string that is not UTF-8, a closed enum's number without a name);
    /// a comment says which field it is. What has no such form (numbers longer than they need be,
    /// unknown groups, whatever follows a fault) is `[isukit.wire]: "BYTES"`, which stands for these
    /// bytes, again with a comment.
    ///
    /// # Errors
    ///
    /// [`DecodeError::Size`] and [`DecodeError::Fields`] when a limit is passed; `out` is then as it
    /// was. Bytes that are no message are none.
    pub fn to_exact_text(&self, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), DecodeError> {
        Exact::print(Some(self), self.limits(), bytes, out)
    }
}

/// Prints one buffer.
pub(crate) struct Exact<'a> {
    tables: Option<&'a Tables>,
    limits: &'a Limits,
    buf: &'a [u8],
    out: &'a mut Vec<u8>,
    indent: usize,
    fields_left: usize,
}

/// A field that is well formed.
#[derive(Clone, Copy)]
struct Item {
    /// Offset of the tag.
    start: usize,
    /// Offset just past the value.
    end: usize,
    number: u32,
    wire: WireType,
    value: Found,
    /// Whether tag, length and number take as few bytes as they can.
    short: bool,
}

#[derive(Clone, Copy)]
enum Found {
    /// A number as the wire carries it.
    Raw(u64),
    /// Where the content of bytes or a group lies.
    Range(usize, usize),
}

impl Item {
    /// Reads the next field; groups may nest `levels` deep.
    fn read(reader: &mut Reader<'_>, levels: usize) -> Result<Item, DecodeError> {
        let start = reader.offset();
        let (number, wire) = reader.tag()?;
        let value_start = reader.offset();
        let mut short = value_start - start == tag_len(number);
        let value = match wire {
            WireType::Varint => {
                let raw = reader.varint()?;
                short &= reader.offset() - value_start == varint_len(raw);
                Found::Raw(raw)
            }
            WireType::Fixed32 => Found::Raw(u64::from(reader.fixed32()?)),
            WireType::Fixed64 => Found::Raw(reader.fixed64()?),
            WireType::Len => {
                let len = reader.bytes()?.len();
                let begin = reader.offset() - len;
                short &= begin - value_start == varint_len(len as u64);
                Found::Range(begin, begin + len)
            }
            WireType::StartGroup => {
                let end = value_start + reader.group(number, levels)?.len();
                short &= reader.offset() - end == tag_len(number);
                Found::Range(value_start, end)
            }
            WireType::EndGroup => {
                return Err(DecodeError::Group {
                    offset: start,
                    number,
                });
            }
        };
        Ok(Item {
            start,
            end: reader.offset(),
            number,
            wire,
            value,
            short,
        })
    }
}

impl<'a> Exact<'a> {
    /// Prints a message; without a type every field is unknown.
    pub(crate) fn print(
        message: Option<&'a Message>,
        limits: &'a Limits,
        bytes: &'a [u8],
        out: &'a mut Vec<u8>,
    ) -> Result<(), DecodeError> {
        check_size(bytes, limits)?;
        let start = out.len();
        let mut exact = Exact {
            tables: message.map(Message::tables),
            limits,
            buf: bytes,
            out,
            indent: 0,
            fields_left: limits.fields,
        };
        let printed = exact.message(message.map(Message::table), (0, bytes.len()), 0);
        if printed.is_err() {
            out.truncate(start);
        }
        printed
    }

    fn message(
        &mut self,
        table: Option<&'a MessageTable>,
        range: (usize, usize),
        depth: usize,
    ) -> Result<(), DecodeError> {
        let any = table.filter(|table| table.well_known == WellKnown::Any);
        if any.is_some() && depth < self.limits.depth && self.expanded(range, depth)? {
            return Ok(());
        }
        let mut reader = Reader::part(self.buf, range.0, range.1);
        while !reader.is_empty() {
            let start = reader.offset();
            self.fields_left = self.fields_left.checked_sub(1).ok_or(DecodeError::Fields {
                offset: start,
                limit: self.limits.fields,
            })?;
            match Item::read(&mut reader, self.limits.depth.saturating_sub(depth)) {
                Ok(item) => self.item(table, &item, depth)?,
                Err(fault) => {
                    let what = match fault {
                        DecodeError::Truncated { .. } | DecodeError::Length { .. } => "cut off",
                        DecodeError::Depth { .. } => "nested too deeply",
                        _ => "no field",
                    };
                    self.raw((start, range.1), what);
                    break;
                }
            }
        }
        Ok(())
    }

    fn item(
        &mut self,
        table: Option<&'a MessageTable>,
        item: &Item,
        depth: usize,
    ) -> Result<(), DecodeError> {
        let named = table.and_then(|table| Some(&table.fields[table.find(item.number)?]));
        let known = named.filter(|field| field.accepts(item.wire));
        let group = item.wire == WireType::StartGroup;
        match (item.value, known, self.tables) {
            (Found::Range(start, end), Some(field), Some(tables)) if group && item.short => {
                let table = Some(tables.sub(field));
                return self.block(&field.text_name, table, (start, end), depth);
            }
            (Found::Range(start, end), ..) if !group && item.short => {
                return self.content(item.number, named, known, (start, end), depth);
            }
            (Found::Raw(raw), Some(field), _)
                if item.short && !field.packed && self.plain(field, raw) =>
            {
                self.name(&field.text_name);
                self.scalar(field, raw);
                self.out.push(b'\n');
            }
            (Found::Raw(raw), ..) if item.short => self.by_number(item, named, known, raw),
            _ => self.odd(item, named),
        }
        Ok(())
    }

    /// A number under its field's number.
    fn by_number(
        &mut self,
        item: &Item,
        named: Option<&'a Field>,
        known: Option<&'a Field>,
        raw: u64,
    ) {
        self.indent();
        integer(item.number, self.out);
        match item.wire {
            WireType::Fixed32 => write::hex(raw, 8, self.out),
            WireType::Fixed64 => write::hex(raw, 16, self.out),
            _ => {
                self.out.extend_from_slice(b": ");
                integer(raw, self.out);
            }
        }
        match (named, known) {
            (Some(field), Some(_)) => {
                self.comment(&field.text_name);
                if self.plain(field, raw) {
                    self.out.extend_from_slice(b", not packed: ");
                } else {
                    self.out.extend_from_slice(b": ");
                }
                self.scalar(field, raw);
            }
            (Some(field), None) => self.foreign(field),
            (None, _) => match item.wire {
                WireType::Fixed32 => {
                    if let Some(value) = guess::float(raw as u32) {
                        self.comment("");
                        write::float(value, self.out);
                    }
                }
                WireType::Fixed64 => {
                    if let Some(value) = guess::double(raw) {
                        self.comment("");
                        write::double(value, self.out);
                    }
                }
                _ if raw >> 63 != 0 => {
                    self.comment("");
                    integer(raw as i64, self.out);
                }
                _ => {}
            },
        }
        self.out.push(b'\n');
    }

    /// A length-delimited field whose tag and length are as short as can be.
    fn content(
        &mut self,
        number: u32,
        named: Option<&'a Field>,
        known: Option<&'a Field>,
        range: (usize, usize),
        depth: usize,
    ) -> Result<(), DecodeError> {
        let content = &self.buf[range.0..range.1];
        let (Some(field), Some(tables)) = (known, self.tables) else {
            return self.unknown(number, named, range, depth);
        };
        match field.kind {
            Kind::Message if depth < self.limits.depth => {
                return self.block(&field.text_name, Some(tables.sub(field)), range, depth);
            }
            Kind::String if std::str::from_utf8(content).is_ok() => {
                self.name(&field.text_name);
                write::quoted_text(content, self.out);
            }
            Kind::Bytes => {
                self.name(&field.text_name);
                write::quoted(content, self.out);
            }
            Kind::Message | Kind::String => {
                self.number_of(number);
                write::quoted(content, self.out);
                self.comment(&field.text_name);
                self.out.extend_from_slice(match field.kind {
                    Kind::String => b", not UTF-8",
                    _ => b", nested too deeply",
                });
            }
            _ => self.packed(number, field, content),
        }
        self.out.push(b'\n');
        Ok(())
    }

    fn packed(&mut self, number: u32, field: &'a Field, content: &[u8]) {
        let mut reader = Reader::new(content);
        let mut values = Vec::new();
        let mut exact = field.packed;
        while !reader.is_empty() {
            let start = reader.offset();
            let Ok(raw) = super::to_json::element(field, &mut reader) else {
                exact = false;
                break;
            };
            let varint = field.kind.wire() == WireType::Varint;
            exact &= !varint || reader.offset() - start == varint_len(raw);
            exact &= self.plain(field, raw);
            values.push(raw);
        }
        if exact {
            self.name(&field.text_name);
            self.out.push(b'[');
        } else {
            self.number_of(number);
            write::quoted(content, self.out);
            self.comment(&field.text_name);
            self.out.extend_from_slice(match field.packed {
                true => b": ",
                false => b", packed: ",
            });
        }
        let shown = if exact { values.len() } else { SHOWN };
        for (at, raw) in values.iter().take(shown).enumerate() {
            if at > 0 {
                self.out.extend_from_slice(b", ");
            }
            self.scalar(field, *raw);
        }
        if exact {
            self.out.push(b']');
        } else if values.len() > shown {
            self.out.extend_from_slice(b", ...");
        }
    }

    /// A length-delimited field the schema lacks, or knows by another wire type.
    fn unknown(
        &mut self,
        number: u32,
        named: Option<&'a Field>,
        range: (usize, usize),
        depth: usize,
    ) -> Result<(), DecodeError> {
        let content = &self.buf[range.0..range.1];
        let reading = guess::reading(content);
        if reading == Reading::Message && depth < self.limits.depth {
            return self.block(&number.to_string(), None, range, depth);
        }
        self.number_of(number);
        match reading {
            Reading::Text(_) => write::quoted_text(content, self.out),
            _ => write::quoted(content, self.out),
        }
        match (named, reading) {
            (Some(field), _) => self.foreign(field),
            (_, Reading::Packed) => self.list(guess::varints(content), integer),
            (_, Reading::Floats) => self.list(guess::floats(content), write::float),
            (_, Reading::Doubles) => self.list(guess::doubles(content), write::double),
            _ => {}
        }
        self.out.push(b'\n');
        Ok(())
    }

    /// The numbers that bytes may be, in a comment.
    fn list<T>(&mut self, values: impl Iterator<Item = T>, write: fn(T, &mut Vec<u8>)) {
        self.comment("packed: ");
        for (at, value) in values.take(SHOWN + 1).enumerate() {
            if at > 0 {
                self.out.extend_from_slice(b", ");
            }
            if at == SHOWN {
                self.out.extend_from_slice(b"...");
                break;
            }
            write(value, self.out);
        }
    }

    fn block(
        &mut self,
        name: &str,
        table: Option<&'a MessageTable>,
        range: (usize, usize),
        depth: usize,
    ) -> Result<(), DecodeError> {
        self.indent();
        self.out.extend_from_slice(name.as_bytes());
        if range.0 == range.1 {
            self.out.extend_from_slice(b" {}\n");
            return Ok(());
        }
        self.out.extend_from_slice(b" {\n");
        self.indent += 1;
        self.message(table, range, depth + 1)?;
        self.indent -= 1;
        self.indent();
        self.out.extend_from_slice(b"}\n");
        Ok(())
    }

    /// Writes an `Any` by the fields of its content, when it holds just a type and a content in the
    /// form they are written in; tells whether it did.
    fn expanded(&mut self, range: (usize, usize), depth: usize) -> Result<bool, DecodeError> {
        let mut reader = Reader::part(self.buf, range.0, range.1);
        let mut part = |tag: u8| {
            let short = reader.rest().first() == Some(&tag);
            let mut ahead = reader.clone();
            ahead.tag().ok()?;
            let length = ahead.offset();
            let content = ahead.bytes().ok()?;
            let begin = ahead.offset() - content.len();
            let short = short && begin - length == varint_len(content.len() as u64);
            reader = ahead;
            short.then_some((begin, begin + content.len()))
        };
        let (Some(url), Some(value)) = (part(0x0a), part(0x12)) else {
            return Ok(false);
        };
        let Some(url) = std::str::from_utf8(&self.buf[url.0..url.1])
            .ok()
            .filter(|url| value.1 == range.1 && is_type_url(url))
        else {
            return Ok(false);
        };
        let name = url.rsplit('/').next().unwrap_or(url);
        let Some(inner) = self.tables.and_then(|tables| tables.named(name)) else {
            return Ok(false);
        };
        self.block(&format!("[{url}]"), Some(inner), value, depth)?;
        Ok(true)
    }

    /// Whether the text of a value brings it back.
    fn plain(&self, field: &Field, raw: u64) -> bool {
        let extended = raw as i64 == i64::from(raw as i32);
        match field.kind {
            Kind::Bool => raw <= 1,
            Kind::Int32 => extended,
            Kind::Uint32 | Kind::Sint32 => raw <= u64::from(u32::MAX),
            Kind::Enum => {
                let kind = self.tables.map(|tables| tables.enumeration(field));
                let named = |closed: bool, name: Option<&str>| !closed || name.is_some();
                extended && kind.is_some_and(|kind| named(kind.closed, kind.name(raw as i32)))
            }
            Kind::Float => {
                let value = f32::from_bits(raw as u32);
                !value.is_nan() || value.to_bits() == f32::NAN.to_bits()
            }
            Kind::Double => {
                let value = f64::from_bits(raw);
                !value.is_nan() || value.to_bits() == f64::NAN.to_bits()
            }
            _ => true,
        }
    }

    fn scalar(&mut self, field: &Field, raw: u64) {
        match field.kind {
            Kind::Int32 | Kind::Sfixed32 => integer(raw as i32, self.out),
            Kind::Int64 | Kind::Sfixed64 => integer(raw as i64, self.out),
            Kind::Uint32 | Kind::Fixed32 => integer(raw as u32, self.out),
            Kind::Sint32 => integer(unzigzag(raw & 0xffff_ffff) as i32, self.out),
            Kind::Sint64 => integer(unzigzag(raw), self.out),
            Kind::Bool => {
                let name: &[u8] = if raw != 0 { b"true" } else { b"false" };
                self.out.extend_from_slice(name);
            }
            Kind::Float => write::float(f32::from_bits(raw as u32), self.out),
            Kind::Double => write::double(f64::from_bits(raw), self.out),
            Kind::Enum => {
                let kind = self.tables.map(|tables| tables.enumeration(field));
                match kind.and_then(|kind| kind.name(raw as i32)) {
                    Some(name) => self.out.extend_from_slice(name.as_bytes()),
                    None => integer(raw as i32, self.out),
                }
            }
            _ => integer(raw, self.out),
        }
    }

    /// A whole field as bytes, as its tag, length or number is longer than it need be, or it is a
    /// group that has no name.
    fn odd(&mut self, item: &Item, named: Option<&Field>) {
        let name = named.map_or_else(|| item.number.to_string(), |f| f.text_name.to_string());
        let what = match item.wire {
            WireType::StartGroup => format!("{name}, a group"),
            _ => format!("{name}, longer than it need be"),
        };
        self.raw((item.start, item.end), &what);
    }

    fn raw(&mut self, range: (usize, usize), what: &str) {
        self.name(RAW);
        write::quoted(&self.buf[range.0..range.1], self.out);
        self.comment(what);
        self.out.push(b'\n');
    }

    /// Says of a field written by number what the schema has.
    fn foreign(&mut self, field: &Field) {
        self.comment(&field.text_name);
        self.out.extend_from_slice(b" is ");
        self.out.extend_from_slice(field.kind.name().as_bytes());
    }

    fn indent(&mut self) {
        self.out.resize(self.out.len() + 2 * self.indent, b' ');
    }

    fn name(&mut self, name: &str) {
        self.indent();
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b": ");
    }

    fn number_of(&mut self, number: u32) {
        self.indent();
        integer(number, self.out);
        self.out.extend_from_slice(b": ");
    }

    fn comment(&mut self, text: &str) {
        self.out.extend_from_slice(b"  # ");
        self.out.extend_from_slice(text.as_bytes());
    }
}

fn tag_len(number: u32) -> usize {
    varint_len(u64::from(number) << 3)
}

/// Whether a type URL can stand in brackets.
pub(crate) fn is_type_url(url: &str) -> bool {
    url.split_once('/').is_some_and(|(domain, name)| {
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '~');
        !domain.is_empty() && domain.chars().all(allowed) && !name.contains(['/', '-', '~'])
    })
}
