//! What of a broken body can be read: its longest well-formed beginning.
//!
//! The bytes are copied up to the first fault. The messages that are open there are closed: the
//! lengths they claim are replaced by what they have.

use super::guess;
use super::tables::{Field, Kind, MessageTable, Tables, WellKnown};
use super::to_json::{JsonOptions, element};
use super::validate::utf8;
use crate::error::DecodeError;
use crate::limits::Limits;
use crate::schema::Message;
use crate::wire::{Reader, WireType, put_tag, put_varint};

/// What [`Message::readable`] made of a body.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Readable {
    /// The well-formed beginning.
    pub bytes: Vec<u8>,
    /// What ended it, with the offset in the bytes that were given; `None` when they were whole.
    pub error: Option<DecodeError>,
}

impl Message {
    /// The longest beginning of the bytes that can be read: up to the first fault, with the messages
    /// that are open there closed. [`Message::to_json`] and [`Message::to_text`] take it, whatever was
    /// given, but for values that have no JSON form. It is meant for bytes that were refused, and
    /// copies those that are whole.
    ///
    /// Of a value that is cut off, text keeps its valid beginning, a packed field its whole elements,
    /// and `bytes` or an unknown field what is there; a number has no beginning, and neither has a
    /// map entry without its value. A known field with a foreign wire type is an unknown field, and
    /// no fault. Required fields may be absent.
    pub fn readable(&self, bytes: &[u8]) -> Readable {
        let limits = self.limits();
        let beginning = &bytes[..bytes.len().min(limits.message_bytes)];
        let mut repair = Repair {
            tables: self.tables(),
            limits,
            fields_left: limits.fields,
            out: Vec::with_capacity(beginning.len()),
            any: false,
            guess: false,
        };
        let read = repair.message(Some(self.table()), &mut Reader::new(beginning), 0, 0);
        let mut out = repair.out;
        let mut error = read.err();
        if bytes.len() > limits.message_bytes {
            error = Some(DecodeError::Size {
                size: bytes.len(),
                limit: limits.message_bytes,
            });
        }
        if repair.any {
            self.settle(&mut out, &mut error);
        }
        Readable { bytes: out, error }
    }

    /// An `Any` in several parts can still be refused, as its type and its content need not be in the
    /// same one: then all from there on goes.
    fn settle(&self, out: &mut Vec<u8>, error: &mut Option<DecodeError>) {
        let whole = out.clone();
        let (mut end, mut step) = (whole.len(), 1);
        let mut json = Vec::new();
        loop {
            json.clear();
            let refused = match self.to_json(out, &JsonOptions::new(), &mut json) {
                Ok(()) | Err(DecodeError::NoJson { .. }) => return,
                Err(refused) => refused,
            };
            // The steps double, so that there are few of them however the fault is placed.
            end = refused.offset().min(end.saturating_sub(step));
            step *= 2;
            let mut repair = Repair {
                tables: self.tables(),
                limits: self.limits(),
                fields_left: self.limits().fields,
                out: Vec::with_capacity(end),
                any: false,
                guess: false,
            };
            // The fault is known; what closing the messages says of it is not.
            let _ = repair.message(Some(self.table()), &mut Reader::new(&whole[..end]), 0, 0);
            *out = repair.out;
            error.get_or_insert(refused);
        }
    }
}

pub(crate) struct Repair<'a> {
    tables: &'a Tables,
    limits: &'a Limits,
    fields_left: usize,
    out: Vec<u8>,
    /// Whether an `Any` of a known type was met.
    any: bool,
    /// Whether an unknown field that is cut off is read as the message it may be.
    guess: bool,
}

/// One field as it is being read.
struct At<'b> {
    number: u32,
    /// The bytes from its tag on.
    whole: &'b [u8],
    /// Where it starts in the output.
    start: usize,
}

impl<'b> At<'b> {
    /// The bytes up to where the reader is.
    fn until(&self, reader: &Reader<'_>) -> &'b [u8] {
        &self.whole[..self.whole.len().saturating_sub(reader.rest().len())]
    }
}

impl<'a> Repair<'a> {
    /// Reads bytes of which no type is known.
    pub(crate) fn without_schema(bytes: &[u8], limits: &'a Limits) -> Readable {
        let beginning = &bytes[..bytes.len().min(limits.message_bytes)];
        let tables = Tables::default();
        let mut repair = Repair {
            tables: &tables,
            limits,
            fields_left: limits.fields,
            out: Vec::with_capacity(beginning.len()),
            any: false,
            guess: true,
        };
        let read = repair.message(None, &mut Reader::new(beginning), 0, 0);
        let error = match bytes.len() > limits.message_bytes {
            true => Some(DecodeError::Size {
                size: bytes.len(),
                limit: limits.message_bytes,
            }),
            false => read.err(),
        };
        Readable {
            bytes: repair.out,
            error,
        }
    }

    /// Copies fields up to the end of the reader or the group, or up to a fault; what is in the output
    /// is well formed either way. Without a table every field is unknown.
    fn message(
        &mut self,
        table: Option<&'a MessageTable>,
        reader: &mut Reader<'_>,
        group: u32,
        depth: usize,
    ) -> Result<(), DecodeError> {
        if depth > self.limits.depth {
            return Err(DecodeError::Depth {
                offset: reader.offset(),
                limit: self.limits.depth,
            });
        }
        let any = table
            .filter(|table| table.well_known == WellKnown::Any)
            .and_then(|table| self.content_type(table, reader.clone()));
        while !reader.is_empty() {
            let offset = reader.offset();
            let whole = reader.rest();
            let (number, wire) = reader.tag()?;
            self.fields_left = self.fields_left.checked_sub(1).ok_or(DecodeError::Fields {
                offset,
                limit: self.limits.fields,
            })?;
            if wire == WireType::EndGroup {
                if number != group {
                    return Err(DecodeError::Group { offset, number });
                }
                // Copied, as tags may be longer than they need be.
                self.out
                    .extend_from_slice(&whole[..whole.len() - reader.rest().len()]);
                return Ok(());
            }
            let field = table
                .and_then(|table| Some(&table.fields[table.find(number)?]))
                .filter(|field| field.accepts(wire));
            let at = At {
                number,
                whole,
                start: self.out.len(),
            };
            match (wire, field, table) {
                (WireType::Len, Some(field), Some(table)) => {
                    self.known(table, field, any, &at, reader, depth)?;
                }
                (WireType::StartGroup, ..) => {
                    let table = field.map(|field| self.tables.sub(field));
                    self.group(table, &at, reader, depth)?;
                }
                (WireType::Len, ..) => self.unknown(&at, reader, depth)?,
                _ => {
                    reader.skip(number, wire, 0)?;
                    self.out.extend_from_slice(at.until(reader));
                }
            }
        }
        match group {
            0 => Ok(()),
            _ => Err(DecodeError::Truncated {
                offset: reader.offset(),
            }),
        }
    }

    /// A length-delimited field the schema lacks.
    fn unknown(
        &mut self,
        at: &At<'_>,
        reader: &mut Reader<'_>,
        depth: usize,
    ) -> Result<(), DecodeError> {
        let tag = at.until(reader);
        let length = reader.offset();
        let (content, cut) = cut_off(reader)?;
        let Some(claimed) = cut else {
            self.out.extend_from_slice(at.until(reader));
            return Ok(());
        };
        self.out.extend_from_slice(tag);
        let begin = self.out.len();
        let text = guess::printable(content).is_some();
        if self.guess && !text && depth < self.limits.depth {
            let start = reader.offset() - content.len();
            let mut inner = Reader::nested(content, start);
            // The fault is known already.
            let _ = self.message(None, &mut inner, 0, depth + 1);
            if guess::plausibility(&self.out[begin..]) <= 0.5 {
                self.out.truncate(begin);
                self.out.extend_from_slice(content);
            }
        } else {
            self.out.extend_from_slice(content);
        }
        let mut len = Vec::with_capacity(10);
        put_varint(&mut len, (self.out.len() - begin) as u64);
        self.out.splice(begin..begin, len);
        Err(over(length, claimed, content))
    }

    fn group(
        &mut self,
        table: Option<&'a MessageTable>,
        at: &At<'_>,
        reader: &mut Reader<'_>,
        depth: usize,
    ) -> Result<(), DecodeError> {
        self.out.extend_from_slice(at.until(reader));
        let read = self.message(table, reader, at.number, depth + 1);
        match read {
            Ok(()) => {}
            Err(_) if depth == self.limits.depth => self.out.truncate(at.start),
            Err(_) => put_tag(&mut self.out, at.number, WireType::EndGroup),
        }
        read
    }

    /// A length-delimited field the schema knows.
    fn known(
        &mut self,
        table: &'a MessageTable,
        field: &'a Field,
        any: Option<&'a MessageTable>,
        at: &At<'_>,
        reader: &mut Reader<'_>,
        depth: usize,
    ) -> Result<(), DecodeError> {
        let tag = at.until(reader);
        let length = reader.offset();
        let (content, cut) = cut_off(reader)?;
        let start = reader.offset() - content.len();
        let inner = match field.kind {
            Kind::Message => Some(self.tables.sub(field)),
            Kind::Bytes if field.number == 2 => any,
            _ => None,
        };
        self.out.extend_from_slice(tag);
        let before = self.out.len();
        let head = at.until(reader).len().saturating_sub(content.len());
        self.out.extend_from_slice(&at.whole[tag.len()..head]);
        let begin = self.out.len();
        let mut read = match (inner, field.kind) {
            (Some(inner), _) => {
                let mut reader = Reader::nested(content, start);
                self.message(Some(inner), &mut reader, 0, depth + 1)
            }
            (None, Kind::String) => {
                let read = utf8(field, content, start).map(drop);
                let valid = match &read {
                    Err(error) => error.offset() - start,
                    Ok(()) => content.len(),
                };
                self.out.extend_from_slice(&content[..valid]);
                read
            }
            (None, Kind::Bytes) => {
                self.out.extend_from_slice(content);
                Ok(())
            }
            _ => self.packed(field, content, start),
        };
        if let Some(claimed) = cut {
            read = Err(over(length, claimed, content));
        }
        if read.is_err() {
            self.close(table, field, (at.start, before, begin), depth);
        }
        read
    }

    /// Gives a field that ended early the length it has, or drops it when that says too much.
    fn close(
        &mut self,
        table: &MessageTable,
        field: &Field,
        (start, before, begin): (usize, usize, usize),
        depth: usize,
    ) {
        let too_deep = field.kind == Kind::Message && depth == self.limits.depth;
        // Half a type name or half a path of a mask names something else.
        let half_name = field.kind == Kind::String
            && matches!(table.well_known, WellKnown::Any | WellKnown::FieldMask);
        let no_value = field.map && !has_value(&self.out[begin..]);
        if too_deep || half_name || no_value {
            self.out.truncate(start);
            return;
        }
        let mut length = Vec::with_capacity(10);
        put_varint(&mut length, (self.out.len() - begin) as u64);
        self.out.splice(before..begin, length);
    }

    /// Copies the whole elements of a packed field.
    fn packed(&mut self, field: &Field, content: &[u8], start: usize) -> Result<(), DecodeError> {
        let mut reader = Reader::nested(content, start);
        while !reader.is_empty() {
            let rest = reader.rest();
            element(field, &mut reader)?;
            self.out
                .extend_from_slice(&rest[..rest.len() - reader.rest().len()]);
        }
        Ok(())
    }

    /// The type an `Any` names, when the schema has it.
    fn content_type(
        &mut self,
        table: &MessageTable,
        mut reader: Reader<'_>,
    ) -> Option<&'a MessageTable> {
        let mut url = None;
        while !reader.is_empty() {
            let Ok((number, wire)) = reader.tag() else {
                break;
            };
            if number == 1 && wire == WireType::Len && table.find(1).is_some() {
                let Ok(content) = reader.bytes() else { break };
                url = Some(content);
            } else if reader.skip(number, wire, self.limits.depth).is_err() {
                break;
            }
        }
        let name = std::str::from_utf8(url?).ok()?.rsplit('/').next()?;
        let found = self.tables.named(name);
        self.any |= found.is_some();
        found
    }
}

/// Reads a length and what is there of that many bytes; the length is given when it is too large.
fn cut_off<'b>(reader: &mut Reader<'b>) -> Result<(&'b [u8], Option<u64>), DecodeError> {
    let mut ahead = reader.clone();
    match reader.bytes() {
        Ok(content) => Ok((content, None)),
        Err(DecodeError::Length { claimed, .. }) => {
            ahead.varint()?;
            let content = ahead.rest();
            let end = ahead.offset() + content.len();
            *reader = Reader::nested(&[], end);
            Ok((content, Some(claimed)))
        }
        Err(other) => Err(other),
    }
}

fn over(offset: usize, claimed: u64, content: &[u8]) -> DecodeError {
    DecodeError::Length {
        offset,
        claimed,
        left: content.len(),
    }
}

/// Whether a map entry that is well formed has a value.
fn has_value(entry: &[u8]) -> bool {
    let mut reader = Reader::new(entry);
    while let Ok((number, wire)) = reader.tag() {
        if number == 2 {
            return true;
        }
        if reader.skip(number, wire, Limits::DEPTH_MAX).is_err() {
            return false;
        }
    }
    false
}
