//! Where the bytes of a message go, field by field.

use super::index::check_size;
use super::tables::{Field, Kind, MessageTable, Tables};
use super::to_json::is_zero;
use crate::error::DecodeError;
use crate::limits::Limits;
use crate::schema::Message;
use crate::wire::{Reader, WireType};

/// One step to a field: a field of the schema, or the number of one it lacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Step<'m> {
    /// A field, by its name in the `.proto` file (`[pkg.ext]` for an extension).
    Field(&'m str),
    /// A field the schema lacks, or that came with a wire type it cannot have.
    Unknown(u32),
}

impl std::fmt::Display for Step<'_> {
    /// `name`, or `#7` for a number.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Step::Field(name) => f.write_str(name),
            Step::Unknown(number) => write!(f, "#{number}"),
        }
    }
}

/// One occurrence of a field, as [`Message::weigh`] meets it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Weight<'w> {
    /// The way from the outermost message, without indexes. The last step is the field itself; map
    /// entries have steps `key` and `value`.
    pub path: &'w [Step<'w>],
    /// Bytes on the wire: tag, length and content, so a message counts what is in it as well. A group
    /// includes its end.
    pub bytes: usize,
    /// Bytes of that which lie in no field below it: for a message tag, length and the end of a group,
    /// for other fields all. These add up to the size of the whole.
    pub own_bytes: usize,
    /// What is behind the tag and the length; of numbers as the wire has them.
    pub content: &'w [u8],
    /// Whether it is a message of the schema, whose fields are met besides, before it.
    pub is_message: bool,
    /// Whether it holds the default in a field without presence, which an encoder leaves out.
    pub explicit_default: bool,
    /// Whether the schema lacks it, or it has a wire type it cannot have.
    pub unknown: bool,
}

impl Weight<'_> {
    /// How many messages it lies in, the outermost not counted.
    pub fn depth(&self) -> usize {
        self.path.len().saturating_sub(1)
    }
}

impl Message {
    /// Meets every field occurrence, nested ones before the message they lie in, and tells its bytes.
    /// Nothing is allocated for a field. Texts are not looked at, packed numbers are one occurrence.
    ///
    /// # Errors
    ///
    /// The first fault in the wire format, with its offset; what came before was met.
    pub fn weigh(
        &self,
        bytes: &[u8],
        visit: &mut impl FnMut(Weight<'_>),
    ) -> Result<(), DecodeError> {
        let limits = self.limits();
        check_size(bytes, limits)?;
        let mut scale = Scale {
            bytes,
            tables: self.tables(),
            limits,
            fields_left: limits.fields,
            path: Vec::with_capacity(8),
            visit,
        };
        scale
            .message(self.table(), &mut Reader::new(bytes), 0, 0)
            .map(drop)
    }
}

struct Scale<'a, V> {
    bytes: &'a [u8],
    tables: &'a Tables,
    limits: &'a Limits,
    fields_left: usize,
    path: Vec<Step<'a>>,
    visit: &'a mut V,
}

impl<'a, V: FnMut(Weight<'_>)> Scale<'a, V> {
    /// Meets the fields up to the end of the reader or the group; gives the offset where they end.
    fn message(
        &mut self,
        table: &'a MessageTable,
        reader: &mut Reader<'_>,
        group: u32,
        depth: usize,
    ) -> Result<usize, DecodeError> {
        if depth > self.limits.depth {
            return Err(DecodeError::Depth {
                offset: reader.offset(),
                limit: self.limits.depth,
            });
        }
        while !reader.is_empty() {
            let start = reader.offset();
            let (number, wire) = reader.tag()?;
            self.fields_left = self.fields_left.checked_sub(1).ok_or(DecodeError::Fields {
                offset: start,
                limit: self.limits.fields,
            })?;
            if wire == WireType::EndGroup {
                return match number == group {
                    true => Ok(start),
                    false => Err(DecodeError::Group {
                        offset: start,
                        number,
                    }),
                };
            }
            let known = table
                .find(number)
                .map(|index| &table.fields[index])
                .filter(|field| field.accepts(wire));
            let Some(field) = known else {
                reader.skip(number, wire, self.limits.depth - depth)?;
                self.path.truncate(depth);
                self.path.push(Step::Unknown(number));
                self.tell(depth, (start, start, reader.offset()), None, |weight| {
                    weight.unknown = true;
                });
                continue;
            };
            self.path.truncate(depth);
            self.path.push(Step::Field(&field.name));
            self.field(field, (number, wire), start, reader, depth)?;
        }
        match group {
            0 => Ok(reader.offset()),
            _ => Err(DecodeError::Truncated {
                offset: reader.offset(),
            }),
        }
    }

    fn field(
        &mut self,
        field: &'a Field,
        (number, wire): (u32, WireType),
        start: usize,
        reader: &mut Reader<'_>,
        depth: usize,
    ) -> Result<(), DecodeError> {
        let may_omit = field.omits_default;
        let behind_tag = reader.offset();
        let raw = match wire {
            WireType::Varint => reader.varint()?,
            WireType::Fixed32 => u64::from(reader.fixed32()?),
            WireType::Fixed64 => reader.fixed64()?,
            WireType::Len => {
                let content = reader.bytes()?;
                let end = reader.offset();
                let begin = end - content.len();
                if field.kind != Kind::Message {
                    self.tell(depth, (start, begin, end), None, |weight| {
                        weight.explicit_default = may_omit && begin == end;
                    });
                    return Ok(());
                }
                let mut inner = Reader::nested(content, begin);
                self.message(self.tables.sub(field), &mut inner, 0, depth + 1)?;
                self.tell(depth, (start, begin, end), Some(begin - start), |_| {});
                return Ok(());
            }
            _ => {
                let begin = reader.offset();
                let content = self.message(self.tables.sub(field), reader, number, depth + 1)?;
                let end = reader.offset();
                let own = begin - start + (end - content);
                self.tell(depth, (start, begin, end), Some(own), |_| {});
                return Ok(());
            }
        };
        self.tell(
            depth,
            (start, behind_tag, reader.offset()),
            None,
            |weight| {
                weight.explicit_default = may_omit && is_zero(field.kind, raw);
            },
        );
        Ok(())
    }

    /// Hands on the field whose path ends at `depth`; `own` is given for a message.
    #[inline(always)]
    fn tell(
        &mut self,
        depth: usize,
        (start, begin, end): (usize, usize, usize),
        own: Option<usize>,
        set: impl FnOnce(&mut Weight<'_>),
    ) {
        let mut weight = Weight {
            path: self.path.get(..=depth).unwrap_or_default(),
            bytes: end - start,
            own_bytes: own.unwrap_or(end - start),
            content: self.bytes.get(begin..end).unwrap_or_default(),
            is_message: own.is_some(),
            explicit_default: false,
            unknown: false,
        };
        set(&mut weight);
        (self.visit)(weight);
    }
}
