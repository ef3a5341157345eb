//! The fields of one message put in order, so that one walk is right for every wire order.
//!
//! A conforming parser lets the last value of a singular field win, joins the parts of a split
//! message, joins the parts of a repeated field and keeps the last member of a oneof. All of it
//! follows from three steps: list the fields of all parts of the message in wire order, drop those a
//! later oneof member replaces, and sort the rest by field, keeping wire order within one field. Parts
//! of a split message then lie side by side, and their concatenation is the message.

use super::tables::{Field, MessageTable, NO_ONEOF, Tables};
use crate::error::DecodeError;
use crate::limits::Limits;
use crate::wire::{Reader, WireType};

/// In [`Entry::field`]: the schema has no such field, or not with this wire type. Sorts last.
pub(crate) const UNKNOWN: u32 = u32::MAX;

/// One field found on the wire.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Entry {
    /// The number for a scalar; for bytes and groups the range of the content: `start << 32 | end`.
    pub(crate) raw: u64,
    /// Offset of the tag.
    pub(crate) at: u32,
    /// Offset just past the value, the end tag of a group included.
    pub(crate) after: u32,
    /// Index in the message's table, or [`UNKNOWN`].
    pub(crate) field: u32,
    pub(crate) wire: WireType,
}

impl Entry {
    /// The content of a length-delimited field or group, as offsets.
    #[inline(always)]
    pub(crate) fn range(&self) -> (usize, usize) {
        ((self.raw >> 32) as usize, (self.raw & 0xffff_ffff) as usize)
    }
}

/// Packs a range the way [`Entry::raw`] holds it.
#[inline(always)]
pub(crate) fn pack(start: usize, end: usize) -> u64 {
    (start as u64) << 32 | end as u64
}

/// One entry of a map, with the key it has.
#[derive(Debug, Clone, Copy)]
pub(crate) struct MapItem {
    /// The key: a raw number, or a range like [`Entry::raw`].
    pub(crate) key: u64,
    /// Index of the entry on the stack.
    pub(crate) entry: u32,
}

/// Memory the walkers use again and again.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    pub(crate) entries: Vec<Entry>,
    pub(crate) items: Vec<MapItem>,
}

thread_local! {
    static SCRATCH: std::cell::Cell<Option<Scratch>> = const { std::cell::Cell::new(None) };
}

impl Scratch {
    /// More than this many entries are given back to the allocator after use.
    const KEPT: usize = 1 << 16;

    /// This thread's scratch memory, or a new one.
    pub(crate) fn take() -> Scratch {
        SCRATCH.with(std::cell::Cell::take).unwrap_or_default()
    }

    /// Keeps the memory for the next walk on this thread.
    pub(crate) fn keep(mut self) {
        if self.entries.capacity() <= Self::KEPT && self.items.capacity() <= Self::KEPT {
            self.entries.clear();
            self.items.clear();
            SCRATCH.with(|kept| kept.set(Some(self)));
        }
    }
}

/// What every walk over one buffer shares.
pub(crate) struct Walk<'a> {
    pub(crate) tables: &'a Tables,
    pub(crate) limits: &'a Limits,
    pub(crate) buf: &'a [u8],
    pub(crate) scratch: Scratch,
    fields_left: usize,
}

impl<'a> Walk<'a> {
    /// Starts a walk over a buffer.
    ///
    /// # Errors
    ///
    /// [`DecodeError::Size`] when it is larger than the limit.
    pub(crate) fn new(
        tables: &'a Tables,
        limits: &'a Limits,
        buf: &'a [u8],
    ) -> Result<Walk<'a>, DecodeError> {
        check_size(buf, limits)?;
        Ok(Walk {
            tables,
            limits,
            buf,
            scratch: Scratch::take(),
            fields_left: limits.fields,
        })
    }

    /// Where the next scope will start on the stack.
    pub(crate) fn mark(&self) -> usize {
        self.scratch.entries.len()
    }

    /// Puts the fields of one message, given as a single range of the buffer, on the stack.
    pub(crate) fn open_range(
        &mut self,
        table: &MessageTable,
        range: (usize, usize),
        depth: usize,
    ) -> Result<usize, DecodeError> {
        let begin = self.mark();
        self.check_depth(range.0, depth)?;
        let tidy = self.list(table, range, depth, 0)?;
        if !tidy {
            self.tidy(table, begin);
        }
        Ok(begin)
    }

    /// Puts the fields of one message, given as the stack entries of its parts, on the stack.
    pub(crate) fn open_parts(
        &mut self,
        table: &MessageTable,
        parts: std::ops::Range<usize>,
        depth: usize,
    ) -> Result<usize, DecodeError> {
        if parts.len() == 1 {
            return self.open_range(table, self.scratch.entries[parts.start].range(), depth);
        }
        let begin = self.mark();
        for part in parts {
            let range = self.scratch.entries[part].range();
            self.check_depth(range.0, depth)?;
            self.list(table, range, depth, 0)?;
        }
        self.tidy(table, begin);
        Ok(begin)
    }

    /// Takes everything from `begin` on off the stack.
    #[inline(always)]
    pub(crate) fn close(&mut self, begin: usize) {
        self.scratch.entries.truncate(begin);
    }

    /// The end of the run of entries that belong to the same field as the one at `at`.
    #[inline(always)]
    pub(crate) fn run(&self, at: usize) -> usize {
        let entries = &self.scratch.entries;
        let field = entries[at].field;
        let mut end = at + 1;
        while entries.get(end).is_some_and(|entry| entry.field == field) {
            end += 1;
        }
        end
    }

    fn check_depth(&self, offset: usize, depth: usize) -> Result<(), DecodeError> {
        if depth > self.limits.depth {
            return Err(DecodeError::Depth {
                offset,
                limit: self.limits.depth,
            });
        }
        Ok(())
    }

    /// Lists the fields in wire order; tells whether they are in the order of the table already and
    /// no oneof has two members.
    fn list(
        &mut self,
        table: &MessageTable,
        range: (usize, usize),
        depth: usize,
        mut least: u32,
    ) -> Result<bool, DecodeError> {
        let mut reader = Reader::part(self.buf, range.0, range.1);
        let mut tidy = true;
        let mut oneofs = 0u64;
        while !reader.is_empty() {
            let at = reader.offset();
            if self.fields_left == 0 {
                return Err(DecodeError::Fields {
                    offset: at,
                    limit: self.limits.fields,
                });
            }
            self.fields_left -= 1;
            let (number, wire) = reader.tag()?;
            let raw = match wire {
                WireType::Varint => reader.varint()?,
                WireType::Fixed64 => reader.fixed64()?,
                WireType::Fixed32 => u64::from(reader.fixed32()?),
                WireType::Len => {
                    let len = reader.bytes()?.len();
                    pack(reader.offset() - len, reader.offset())
                }
                WireType::StartGroup => {
                    let start = reader.offset();
                    let content = reader.group(number, self.limits.depth.saturating_sub(depth))?;
                    pack(start, start + content.len())
                }
                WireType::EndGroup => return Err(DecodeError::Group { offset: at, number }),
            };
            let mut field = UNKNOWN;
            if let Some(index) = table.find(number) {
                let known = &table.fields[index];
                if known.accepts(wire) {
                    field = index as u32;
                    if known.oneof != NO_ONEOF {
                        let bit = 1u64 << (known.oneof & 63);
                        tidy &= oneofs & bit == 0;
                        oneofs |= bit;
                    }
                }
            }
            tidy &= field >= least;
            least = field;
            let after = reader.offset() as u32;
            self.scratch.entries.push(Entry {
                raw,
                at: at as u32,
                after,
                field,
                wire,
            });
        }
        Ok(tidy)
    }

    /// Drops replaced oneof members and sorts by field.
    fn tidy(&mut self, table: &MessageTable, begin: usize) {
        let entries = &mut self.scratch.entries;
        if !table.oneofs.is_empty() {
            // For each oneof, seen from the back: its last member, and whether another came before.
            let mut last: Vec<Option<(u32, bool)>> = vec![None; table.oneofs.len()];
            let mut dropped = false;
            for entry in entries[begin..].iter_mut().rev() {
                let Some(oneof) = real_oneof(table, entry) else {
                    continue;
                };
                let replaced = match &mut last[oneof] {
                    none @ None => {
                        *none = Some((entry.field, false));
                        false
                    }
                    Some((field, over)) => {
                        *over |= *field != entry.field;
                        *over
                    }
                };
                if replaced {
                    // Marked by an impossible end; removed below.
                    entry.after = 0;
                    dropped = true;
                }
            }
            if dropped {
                let mut kept = begin;
                for at in begin..entries.len() {
                    if entries[at].after != 0 {
                        entries[kept] = entries[at];
                        kept += 1;
                    }
                }
                entries.truncate(kept);
            }
        }
        entries[begin..].sort_by_key(|entry| entry.field);
    }
}

fn real_oneof(table: &MessageTable, entry: &Entry) -> Option<usize> {
    let field: &Field = table.fields.get(entry.field as usize)?;
    (field.oneof != NO_ONEOF).then_some(usize::from(field.oneof))
}

/// Refuses a buffer over the limit.
pub(crate) fn check_size(buf: &[u8], limits: &Limits) -> Result<(), DecodeError> {
    if buf.len() > limits.message_bytes {
        return Err(DecodeError::Size {
            size: buf.len(),
            limit: limits.message_bytes,
        });
    }
    Ok(())
}

impl Drop for Walk<'_> {
    fn drop(&mut self) {
        std::mem::take(&mut self.scratch).keep();
    }
}
