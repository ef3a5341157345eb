//! Messages written field by field, from values of a caller that has no generated code.
//!
//! The writer appends wire bytes as the calls come. A message below the outermost one goes behind
//! one byte kept for its length, widened at its end if need be; elements of a packed list put one after
//! the other share a record.

use super::fields::FieldRef;
use super::from_json::{put_raw, set_length};
use super::path::find_field;
use super::tables::{Field, Kind, MessageTable, NO_ONEOF, Tables};
use super::template::SlotValue;
use super::write_value::{Fit, fit, message};
use crate::error::{PathError, WriteError};
use crate::limits::Limits;
use crate::schema::Message;
use crate::wire::{WireType, put_tag};

/// A value for a [`Writer`].
///
/// It takes the type of its field. Integers must be in range; a double is one when it has no fraction,
/// and so is text that spells one (`"9007199254740993"`). Floating-point fields take any number, but
/// a `float` none that would become infinite. Enums go by name or number. Text for bytes is its
/// bytes (not base64, as in a template); bytes for a string must be UTF-8.
pub type WriteValue<'v> = SlotValue<'v>;

/// Writes one message field by field; made by [`Message::writer`].
///
/// Every call either does what it says or fails and changes nothing. Dropped without
/// [`Writer::finish`], the output is as it was before.
#[derive(Debug)]
pub struct Writer<'w> {
    tables: &'w Tables,
    limits: &'w Limits,
    out: &'w mut Vec<u8>,
    /// Length of the output before.
    start: usize,
    /// The message that is open.
    open: Open<'w>,
    scratch: Scratch,
    finished: bool,
}

/// A message that is open: where its state is, and how it ends.
#[derive(Debug, Clone, Copy)]
struct Open<'w> {
    table: &'w MessageTable,
    index: u32,
    /// Where its bits are in [`Scratch::set`].
    bits: usize,
    end: End,
    /// The packed list at the end of it that may be continued: field and first byte.
    run: Option<(u32, usize)>,
}

/// How a message ends.
#[derive(Debug, Clone, Copy)]
enum End {
    /// With the output.
    Output,
    /// With the length before this place.
    Length(usize),
    /// With the end tag of this group.
    Group(u32),
}

/// Memory a writer uses again and again.
#[derive(Debug, Default)]
struct Scratch {
    /// The messages around the open one.
    around: Vec<Saved>,
    /// One bit for each field that is set, then one for each oneof, for each open message.
    set: Vec<u64>,
}

/// An [`Open`] that waits; without a borrow, so that its memory can be kept.
#[derive(Debug, Clone, Copy)]
struct Saved {
    index: u32,
    bits: usize,
    end: End,
}

thread_local! {
    static SCRATCH: std::cell::Cell<Option<Scratch>> = const { std::cell::Cell::new(None) };
}

impl Message {
    /// Starts to write a message of this type at the end of `out`.
    pub fn writer<'w>(&'w self, out: &'w mut Vec<u8>) -> Writer<'w> {
        let mut scratch = SCRATCH.with(std::cell::Cell::take).unwrap_or_default();
        let table = self.table();
        scratch.set.resize(words(table), 0);
        Writer {
            tables: self.tables(),
            limits: self.limits(),
            start: out.len(),
            out,
            open: Open {
                table,
                index: self.index(),
                bits: 0,
                end: End::Output,
                run: None,
            },
            scratch,
            finished: false,
        }
    }
}

/// Words of bits a message type takes.
fn words(table: &MessageTable) -> usize {
    (table.fields.len() + table.oneofs.len()).div_ceil(64)
}

impl<'w> Writer<'w> {
    /// Finds a field of the message that is open, by its JSON or `.proto` name.
    ///
    /// # Errors
    ///
    /// [`PathError::UnknownField`] with the nearest name.
    pub fn field(&self, name: &str) -> Result<FieldRef, PathError> {
        let index = find_field(self.open.table, name)?;
        Ok(FieldRef {
            table: self.open.index,
            index: index as u32,
        })
    }

    /// Full name of the type of the message that is open.
    pub fn open_type(&self) -> &str {
        &self.open.table.full_name
    }

    /// Messages open below the outermost one.
    pub fn depth(&self) -> usize {
        self.scratch.around.len()
    }

    /// Sets a field, or appends to a list. The default value of a field without presence is not
    /// written. Some messages take a value as a whole: wrappers what they wrap, a Timestamp RFC 3339
    /// text or seconds since 1970, a Duration text such as `1.5s` or seconds, a
    /// `google.protobuf.Value` text, a number or a truth value.
    ///
    /// # Errors
    ///
    /// [`WriteError::Value`] and [`WriteError::UnknownEnum`] for a value the field cannot hold,
    /// [`WriteError::Shape`] for other messages and maps, [`WriteError::Twice`] and
    /// [`WriteError::Oneof`] for a field that cannot be set any more, [`WriteError::Foreign`] for one
    /// of another type.
    pub fn put(&mut self, field: FieldRef, value: WriteValue<'_>) -> Result<(), WriteError> {
        let known = self.known(field)?;
        if known.repeated {
            return self.append(field.index, known, value);
        }
        self.may_set(field.index, known)?;
        if known.kind.is_message() {
            self.put_message(known, value)?;
        } else {
            let fit = fit(self.tables, known, value)?;
            self.end_run();
            fit.put(
                known,
                !known.presence && !self.open.table.map_entry,
                self.out,
            );
        }
        self.set(field.index, known);
        Ok(())
    }

    /// Begins a message or group: the value of a field, or one more element of a list. Up to
    /// [`Writer::end`], fields of its type are put.
    ///
    /// # Errors
    ///
    /// As [`Writer::put`]; [`WriteError::Limit`] when messages nest deeper than
    /// [`Limits::depth`].
    pub fn begin(&mut self, field: FieldRef) -> Result<(), WriteError> {
        let known = self.known(field)?;
        if known.map {
            return Err(shape(known, "begin an entry of it"));
        }
        if !known.kind.is_message() {
            return Err(shape(known, "put its value"));
        }
        self.check_depth()?;
        if !known.repeated {
            self.may_set(field.index, known)?;
            self.set(field.index, known);
        }
        self.descend(known);
        Ok(())
    }

    /// Begins an entry of a map and writes its key. Gives the field of the value, to be put or begun
    /// before [`Writer::end`]; left out, it is the default. Keys are not compared: readers let the
    /// last entry of a key win.
    ///
    /// # Errors
    ///
    /// As [`Writer::begin`], for a key that does not fit and for a field that is no map.
    pub fn begin_entry(
        &mut self,
        field: FieldRef,
        key: WriteValue<'_>,
    ) -> Result<FieldRef, WriteError> {
        let known = self.known(field)?;
        if !known.map {
            return Err(shape(known, "put or begin it"));
        }
        let key_field = &self.tables.sub(known).fields[0];
        let key = fit(self.tables, key_field, key)?;
        self.check_depth()?;
        self.descend(known);
        key.put(key_field, false, self.out);
        self.set(0, key_field);
        Ok(FieldRef {
            table: known.sub,
            index: 1,
        })
    }

    /// Writes a whole entry of a map whose values are no messages (or take a value as a whole).
    ///
    /// # Errors
    ///
    /// As [`Writer::begin_entry`] and [`Writer::put`].
    pub fn put_entry(
        &mut self,
        field: FieldRef,
        key: WriteValue<'_>,
        value: WriteValue<'_>,
    ) -> Result<(), WriteError> {
        self.end_run();
        let before = self.out.len();
        let item = self.begin_entry(field, key)?;
        let put = self.put(item, value);
        if put.is_err() {
            self.ascend();
            self.out.truncate(before);
            return put;
        }
        self.end()
    }

    /// Ends the message, group or entry begun last.
    ///
    /// # Errors
    ///
    /// [`WriteError::Required`] when a required field is not set; it stays open.
    /// [`WriteError::Unbalanced`] when only the outermost message is open.
    pub fn end(&mut self) -> Result<(), WriteError> {
        if self.scratch.around.is_empty() {
            return Err(WriteError::Unbalanced { open: 0 });
        }
        self.check_required()?;
        self.end_run();
        match self.open.end {
            End::Length(start) => set_length(self.out, start, 1),
            End::Group(number) => put_tag(self.out, number, WireType::EndGroup),
            End::Output => {}
        }
        self.ascend();
        Ok(())
    }

    /// Ends the outermost message.
    ///
    /// # Errors
    ///
    /// [`WriteError::Unbalanced`] when another message is open, [`WriteError::Required`] when
    /// a required field is not set, [`WriteError::Limit`] when the message is larger than
    /// [`Limits::message_bytes`]. The output is then as it was before the message.
    pub fn finish(mut self) -> Result<(), WriteError> {
        let open = self.scratch.around.len();
        if open > 0 {
            return Err(WriteError::Unbalanced { open });
        }
        self.check_required()?;
        self.end_run();
        self.check_size(self.out.len() - self.start)?;
        self.finished = true;
        Ok(())
    }

    /// Appends to a list.
    fn append(
        &mut self,
        index: u32,
        field: &'w Field,
        value: WriteValue<'_>,
    ) -> Result<(), WriteError> {
        if field.map {
            return Err(shape(field, "begin an entry of it"));
        }
        if field.kind.is_message() {
            return self.put_message(field, value);
        }
        let fit = fit(self.tables, field, value)?;
        match fit {
            Fit::Raw(raw) if field.packed => {
                if !matches!(self.open.run, Some((run, _)) if run == index) {
                    self.end_run();
                    put_tag(self.out, field.number, WireType::Len);
                    self.out.push(0);
                    self.open.run = Some((index, self.out.len()));
                }
                put_raw(field.kind, raw, self.out);
            }
            fit => {
                self.end_run();
                fit.put(field, false, self.out);
            }
        }
        Ok(())
    }

    /// Writes a message that one value stands for.
    fn put_message(&mut self, field: &'w Field, value: WriteValue<'_>) -> Result<(), WriteError> {
        self.check_depth()?;
        self.end_run();
        let before = self.out.len();
        put_tag(self.out, field.number, WireType::Len);
        self.out.push(0);
        let start = self.out.len();
        let put = message(self.tables, field, value, self.out);
        match put {
            Ok(()) => set_length(self.out, start, 1),
            Err(_) => self.out.truncate(before),
        }
        put
    }

    /// The field of the open message behind a handle.
    #[inline]
    fn known(&self, field: FieldRef) -> Result<&'w Field, WriteError> {
        self.check_size(self.out.len() - self.start)?;
        let own = field.table == self.open.index;
        self.open
            .table
            .fields
            .get(field.index as usize)
            .filter(|_| own)
            .ok_or_else(|| WriteError::Foreign {
                message: self.open.table.full_name.to_string(),
            })
    }

    #[inline]
    fn check_size(&self, size: usize) -> Result<(), WriteError> {
        if size > self.limits.message_bytes {
            return Err(WriteError::Limit {
                what: "bytes in a message",
                limit: self.limits.message_bytes,
            });
        }
        Ok(())
    }

    fn check_depth(&self) -> Result<(), WriteError> {
        if self.scratch.around.len() >= self.limits.depth {
            return Err(WriteError::Limit {
                what: "nested messages",
                limit: self.limits.depth,
            });
        }
        Ok(())
    }

    /// Opens a message in the open one.
    fn descend(&mut self, field: &'w Field) {
        self.end_run();
        let end = match field.kind {
            Kind::Group => {
                put_tag(self.out, field.number, WireType::StartGroup);
                End::Group(field.number)
            }
            _ => {
                put_tag(self.out, field.number, WireType::Len);
                self.out.push(0);
                End::Length(self.out.len())
            }
        };
        let Open {
            index,
            bits,
            end: around,
            ..
        } = self.open;
        self.scratch.around.push(Saved {
            index,
            bits,
            end: around,
        });
        let table = self.tables.sub(field);
        let bits = self.scratch.set.len();
        self.scratch.set.resize(bits + words(table), 0);
        self.open = Open {
            table,
            index: field.sub,
            bits,
            end,
            run: None,
        };
    }

    /// Goes back to the message around the open one.
    fn ascend(&mut self) {
        self.scratch.set.truncate(self.open.bits);
        if let Some(Saved { index, bits, end }) = self.scratch.around.pop() {
            self.open = Open {
                table: &self.tables.messages[index as usize],
                index,
                bits,
                end,
                run: None,
            };
        }
    }

    /// Ends the packed list that may be continued.
    #[inline]
    fn end_run(&mut self) {
        if let Some((_, start)) = self.open.run.take() {
            set_length(self.out, start, 1);
        }
    }

    /// Whether a bit of the open message is set.
    #[inline]
    fn bit(&self, at: usize) -> bool {
        self.scratch.set[self.open.bits + at / 64] >> (at % 64) & 1 == 1
    }

    /// Refuses a single field that is set, or whose oneof is.
    #[inline]
    fn may_set(&self, index: u32, field: &Field) -> Result<(), WriteError> {
        if self.bit(index as usize) {
            return Err(WriteError::Twice {
                field: field.full_name.to_string(),
            });
        }
        if field.oneof == NO_ONEOF {
            return Ok(());
        }
        let table = self.open.table;
        if !self.bit(table.fields.len() + usize::from(field.oneof)) {
            return Ok(());
        }
        let mut others = table.fields.iter().enumerate();
        let other = others.find(|(at, other)| other.oneof == field.oneof && self.bit(*at));
        Err(WriteError::Oneof {
            field: field.full_name.to_string(),
            other: other.map_or_else(String::new, |(_, other)| other.full_name.to_string()),
            oneof: table.oneofs[usize::from(field.oneof)].to_string(),
        })
    }

    /// Notes that a single field of the open message is set.
    #[inline]
    fn set(&mut self, index: u32, field: &Field) {
        let bits = &mut self.scratch.set[self.open.bits..];
        bits[index as usize / 64] |= 1 << (index % 64);
        if field.oneof != NO_ONEOF {
            let at = self.open.table.fields.len() + usize::from(field.oneof);
            bits[at / 64] |= 1 << (at % 64);
        }
    }

    /// Refuses to end the open message without a required field.
    fn check_required(&self) -> Result<(), WriteError> {
        let table = self.open.table;
        if !table.requires {
            return Ok(());
        }
        let mut fields = table.fields.iter().enumerate();
        match fields.find(|(at, field)| field.required && !self.bit(*at)) {
            None => Ok(()),
            Some((_, field)) => Err(WriteError::Required {
                field: field.full_name.to_string(),
            }),
        }
    }
}

impl Drop for Writer<'_> {
    fn drop(&mut self) {
        if !self.finished {
            self.out.truncate(self.start);
        }
        let mut scratch = std::mem::take(&mut self.scratch);
        scratch.around.clear();
        scratch.set.clear();
        if scratch.set.capacity() <= Scratch::KEPT {
            SCRATCH.with(|kept| kept.set(Some(scratch)));
        }
    }
}

impl Scratch {
    /// More words of bits than these are given back to the allocator after use.
    const KEPT: usize = 1 << 12;
}

/// Says that a call does not suit the field.
#[cold]
fn shape(field: &Field, remedy: &'static str) -> WriteError {
    WriteError::Shape {
        field: field.full_name.to_string(),
        is: match field.kind {
            _ if field.map => "a map",
            _ if field.repeated => "a list",
            kind => kind.name(),
        },
        remedy,
    }
}
