//! The strict check: does this buffer fit this message type, down to the last byte?
//!
//! The other readers do what conforming parsers do and treat a known field with a foreign wire type
//! as unknown; this one refuses it, because that is how a body of the wrong type shows.

use super::index::{Walk, check_size};
use super::tables::{Field, Kind, MessageTable, Tables};
use crate::error::DecodeError;
use crate::limits::Limits;
use crate::schema::Message;
use crate::wire::{Reader, WireType};

impl Message {
    /// Walks the whole message: tags, wire types, lengths, groups, UTF-8 of proto3 strings, nesting,
    /// required proto2 fields. Numbers may have any value, and unknown fields are allowed.
    ///
    /// # Errors
    ///
    /// The first fault, with its offset in `bytes`.
    pub fn validate(&self, bytes: &[u8]) -> Result<(), DecodeError> {
        let limits = self.limits();
        check_size(bytes, limits)?;
        let mut check = Check {
            tables: self.tables(),
            limits,
            fields_left: limits.fields,
        };
        check.message(self.table(), &mut Reader::new(bytes), 0, 0)?;
        if self.table().requires {
            let mut walk = Walk::new(self.tables(), limits, bytes)?;
            let begin = walk.open_range(self.table(), (0, bytes.len()), 0)?;
            required(&mut walk, self.table(), begin, 0, 0)?;
        }
        Ok(())
    }
}

struct Check<'a> {
    tables: &'a Tables,
    limits: &'a Limits,
    fields_left: usize,
}

impl<'a> Check<'a> {
    /// Checks fields up to the end of the reader, or of the group when there is one.
    fn message(
        &mut self,
        table: &'a MessageTable,
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
        while !reader.is_empty() {
            let offset = reader.offset();
            let (number, wire) = reader.tag()?;
            self.fields_left = self.fields_left.checked_sub(1).ok_or(DecodeError::Fields {
                offset,
                limit: self.limits.fields,
            })?;
            if wire == WireType::EndGroup {
                return match number == group {
                    true => Ok(()),
                    false => Err(DecodeError::Group { offset, number }),
                };
            }
            let Some(index) = table.find(number) else {
                reader.skip(number, wire, self.limits.depth - depth)?;
                continue;
            };
            let field = &table.fields[index];
            if !field.accepts(wire) {
                return Err(foreign(field, wire, offset));
            }
            match wire {
                WireType::Varint => drop(reader.varint()?),
                WireType::Fixed32 => drop(reader.fixed32()?),
                WireType::Fixed64 => drop(reader.fixed64()?),
                WireType::Len => {
                    let content = reader.bytes()?;
                    self.content(field, content, reader.offset() - content.len(), depth)?;
                }
                _ => self.message(self.tables.sub(field), reader, number, depth + 1)?,
            }
        }
        match group {
            0 => Ok(()),
            _ => Err(DecodeError::Truncated {
                offset: reader.offset(),
            }),
        }
    }

    #[inline(always)]
    fn content(
        &mut self,
        field: &'a Field,
        content: &[u8],
        start: usize,
        depth: usize,
    ) -> Result<(), DecodeError> {
        match field.kind {
            Kind::String if field.utf8 => utf8(field, content, start).map(drop),
            Kind::String | Kind::Bytes => Ok(()),
            Kind::Message => {
                let mut reader = Reader::nested(content, start);
                self.message(self.tables.sub(field), &mut reader, 0, depth + 1)
            }
            _ => packed(field, content, start),
        }
    }
}

/// Checks that packed elements fill their field exactly.
fn packed(field: &Field, content: &[u8], start: usize) -> Result<(), DecodeError> {
    let size = match field.kind.wire() {
        WireType::Fixed64 => 8,
        WireType::Fixed32 => 4,
        _ => {
            let mut reader = Reader::nested(content, start);
            while !reader.is_empty() {
                let offset = reader.offset();
                reader
                    .varint()
                    .map_err(|error| in_packed(error, field, offset))?;
            }
            return Ok(());
        }
    };
    match content.len() % size {
        0 => Ok(()),
        over => Err(DecodeError::Packed {
            offset: start + content.len() - over,
            field: field.full_name.clone(),
        }),
    }
}

/// An element that runs out of its packed field is told apart from a message that ends early.
#[cold]
pub(crate) fn in_packed(error: DecodeError, field: &Field, offset: usize) -> DecodeError {
    match error {
        DecodeError::Truncated { .. } => DecodeError::Packed {
            offset,
            field: field.full_name.clone(),
        },
        other => other,
    }
}

/// The content as text.
#[inline(always)]
pub(crate) fn utf8<'b>(
    field: &Field,
    content: &'b [u8],
    start: usize,
) -> Result<&'b str, DecodeError> {
    std::str::from_utf8(content).map_err(|error| no_utf8(field, start + error.valid_up_to()))
}

#[cold]
fn no_utf8(field: &Field, offset: usize) -> DecodeError {
    DecodeError::Utf8 {
        offset,
        field: field.full_name.clone(),
    }
}

#[cold]
fn foreign(field: &Field, wire: WireType, offset: usize) -> DecodeError {
    DecodeError::WireType {
        offset,
        field: field.full_name.clone(),
        found: wire.name(),
    }
}

/// Checks required fields, on whole messages: the parts of a split one complete each other.
fn required(
    walk: &mut Walk<'_>,
    table: &MessageTable,
    begin: usize,
    offset: usize,
    depth: usize,
) -> Result<(), DecodeError> {
    let end = walk.mark();
    let tables = walk.tables;
    for (field, index) in table.fields.iter().zip(0..) {
        let within = &walk.scratch.entries[begin..end];
        let from = begin + within.partition_point(|entry| entry.field < index);
        let to = begin + within.partition_point(|entry| entry.field <= index);
        if from == to {
            if field.required {
                return Err(DecodeError::Required {
                    offset,
                    field: field.full_name.clone(),
                });
            }
            continue;
        }
        if !field.kind.is_message() || !tables.sub(field).requires {
            continue;
        }
        let step = if field.repeated { 1 } else { to - from };
        for parts in (from..to).step_by(step) {
            let offset = walk.scratch.entries[parts].range().0;
            let begin = walk.open_parts(tables.sub(field), parts..parts + step, depth + 1)?;
            required(walk, tables.sub(field), begin, offset, depth + 1)?;
            walk.close(begin);
        }
    }
    Ok(())
}
