//! Single fields read where they lie, by handle: a path of one step that nothing is compiled for.

use std::ops::Range;

use super::fields::{FieldRef, OneofRef};
use super::path::{Pick, Step};
use super::path_read::Course;
use super::path_walk::last_member;
use super::value::Value;
use crate::error::DecodeError;
use crate::schema::Message;

impl Message {
    /// The value of a field in an encoded message, as [`FieldPath::get`](crate::FieldPath::get) of
    /// a path to it gives it: the last value wins, oneof members replace each other, the parts of a
    /// split message are joined, a scalar that is not set has its default. [`Value::Absent`] is
    /// a message that is not set; lists and maps give their size.
    ///
    /// # Errors
    ///
    /// The first fault met on the way, with its offset in `bytes`. Other fields are only stepped over.
    ///
    /// # Panics
    ///
    /// When the field is of another message type.
    #[inline]
    pub fn get<'b>(&'b self, field: FieldRef, bytes: &'b [u8]) -> Result<Value<'b>, DecodeError> {
        self.course(field, &[step(field)]).get(bytes)
    }

    /// Whether a field is on the wire, as [`FieldPath::has`](crate::FieldPath::has) tells it: one
    /// without presence when it differs from the default, a list or map when it has an element.
    ///
    /// # Errors
    ///
    /// As [`Message::get`].
    ///
    /// # Panics
    ///
    /// When the field is of another message type.
    pub fn has(&self, field: FieldRef, bytes: &[u8]) -> Result<bool, DecodeError> {
        self.course(field, &[step(field)]).has(bytes)
    }

    /// The elements of a list in order, in one walk; packed or not, together or scattered. Messages
    /// are borrowed. A field that is no list gives its value unless that is absent.
    ///
    /// # Errors
    ///
    /// As [`Message::get`].
    ///
    /// # Panics
    ///
    /// When the field is of another message type.
    pub fn items<'b>(
        &'b self,
        field: FieldRef,
        bytes: &'b [u8],
    ) -> Result<Vec<Value<'b>>, DecodeError> {
        self.course(field, &[step(field)]).values(bytes)
    }

    /// The entries of a map sorted by key (numbers by value, strings by bytes), in one walk. The last
    /// value of a key counts; a value that is left out is the default. A field that is no map has
    /// none.
    ///
    /// # Errors
    ///
    /// As [`Message::get`].
    ///
    /// # Panics
    ///
    /// When the field is of another message type.
    pub fn entries<'b>(
        &'b self,
        field: FieldRef,
        bytes: &'b [u8],
    ) -> Result<Vec<(Value<'b>, Value<'b>)>, DecodeError> {
        self.course(field, &[step(field)]).entries(bytes)
    }

    /// The member of a oneof that is set: the last one on the wire.
    ///
    /// # Errors
    ///
    /// As [`Message::get`].
    ///
    /// # Panics
    ///
    /// When the oneof is of another message type.
    pub fn which(&self, oneof: OneofRef, bytes: &[u8]) -> Result<Option<FieldRef>, DecodeError> {
        self.owns(oneof.table);
        let member = last_member(self, oneof.index, bytes)?;
        Ok(member.map(|index| FieldRef {
            table: oneof.table,
            index: index as u32,
        }))
    }

    #[inline(always)]
    #[track_caller]
    fn course<'b, 's>(&'b self, field: FieldRef, steps: &'s [Step; 1]) -> Course<'b, 's> {
        Course {
            message: self,
            steps,
            field: self.known(field),
            whole: true,
        }
    }
}

/// The only step to a field.
#[inline(always)]
fn step(field: FieldRef) -> Step {
    Step {
        table: field.table,
        field: field.index,
        pick: Pick::Whole,
    }
}

/// Where `part` lies in `whole`, when it is a piece of it: the offsets of a borrowed
/// [`Value::Message`] or text in the body it was read from. An empty `part` is a piece of anything;
/// one that lies elsewhere gives `0..0`.
pub fn subslice_range(whole: &[u8], part: &[u8]) -> Option<Range<usize>> {
    let start = part.as_ptr().addr().checked_sub(whole.as_ptr().addr());
    let range = start.and_then(|start| Some(start..start.checked_add(part.len())?));
    match range {
        Some(range) if range.end <= whole.len() => Some(range),
        _ if part.is_empty() => Some(0..0),
        _ => None,
    }
}
