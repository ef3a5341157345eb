//! What a message type is made of: its fields, oneofs and enums, for callers that go by name.

use super::path::find_field;
use super::tables::{EnumTable, Field, Kind, NO_ONEOF};
use crate::error::PathError;
use crate::nearest::nearest;
use crate::schema::{Message, Schema};

/// The type of a field, or of what a path leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum FieldKind {
    /// A `bool`.
    Bool,
    /// A signed integer.
    Int,
    /// An unsigned integer.
    Uint,
    /// A `float`.
    Float,
    /// A `double`.
    Double,
    /// A `string`.
    String,
    /// `bytes`.
    Bytes,
    /// An enum, with its full name.
    Enum(String),
    /// A message or group.
    Message(Message),
    /// A repeated field of these.
    List(Box<FieldKind>),
    /// A map from the first to the second.
    Map(Box<FieldKind>, Box<FieldKind>),
}

impl FieldKind {
    /// The kind of a field; `whole` for a list or map as such rather than an element of it.
    pub(super) fn of(message: &Message, field: &Field, whole: bool) -> FieldKind {
        if whole && field.map {
            let parts = &message.tables().sub(field).fields;
            let part = |at: usize| Box::new(FieldKind::of(message, &parts[at], false));
            return FieldKind::Map(part(0), part(1));
        }
        if whole && field.repeated {
            return FieldKind::List(Box::new(FieldKind::of(message, field, false)));
        }
        match field.kind {
            Kind::Bool => FieldKind::Bool,
            Kind::Double => FieldKind::Double,
            Kind::Float => FieldKind::Float,
            Kind::String => FieldKind::String,
            Kind::Bytes => FieldKind::Bytes,
            Kind::Uint32 | Kind::Uint64 | Kind::Fixed32 | Kind::Fixed64 => FieldKind::Uint,
            Kind::Enum => {
                FieldKind::Enum(message.tables().enumeration(field).full_name.to_string())
            }
            Kind::Message | Kind::Group => FieldKind::Message(message.sibling(field.sub)),
            _ => FieldKind::Int,
        }
    }
}

/// A field of a [`Message`], found once and used again and again. It means nothing to other message
/// types: those of its schema panic when they are asked with it, another schema may also mistake it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FieldRef {
    /// Index of the message's table.
    pub(super) table: u32,
    /// Index in it.
    pub(super) index: u32,
}

/// A oneof of a [`Message`], found once and used again and again; see [`FieldRef`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct OneofRef {
    pub(super) table: u32,
    pub(super) index: u16,
}

/// What is known of a field.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FieldInfo<'m> {
    /// The name in the `.proto` file; `[pkg.ext]` for an extension.
    pub name: &'m str,
    /// The name in JSON.
    pub json_name: &'m str,
    /// The field number.
    pub number: u32,
    /// The type, lists and maps as such.
    pub kind: FieldKind,
    /// Whether a value that is not set differs from the default: `optional` fields, messages, members
    /// of a oneof and all single fields of proto2.
    pub has_presence: bool,
    /// Whether proto2 demands a value.
    pub required: bool,
    /// The oneof it is a member of; `optional` fields of proto3 are in none.
    pub oneof: Option<&'m str>,
}

/// What is known of an enum type.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct EnumInfo<'m> {
    /// The full name, such as `shop.v1.Color`.
    pub name: &'m str,
    /// Names and numbers by number; of several names of a number, the first declared comes first.
    pub values: Vec<(&'m str, i32)>,
    /// proto2: numbers without a name are no values of it.
    pub closed: bool,
}

impl Message {
    /// Finds a field by its JSON or its `.proto` name (`[pkg.ext]` for an extension).
    ///
    /// # Errors
    ///
    /// [`PathError::UnknownField`] with the nearest name.
    pub fn field(&self, name: &str) -> Result<FieldRef, PathError> {
        let index = find_field(self.table(), name)?;
        Ok(FieldRef {
            table: self.index(),
            index: index as u32,
        })
    }

    /// Every field by number, known extensions among them.
    pub fn fields(&self) -> impl Iterator<Item = FieldRef> + use<> {
        let table = self.index();
        let count = self.table().fields.len() as u32;
        (0..count).map(move |index| FieldRef { table, index })
    }

    /// What is known of a field.
    ///
    /// # Panics
    ///
    /// When the field is of another message type.
    pub fn info(&self, field: FieldRef) -> FieldInfo<'_> {
        let known = self.known(field);
        FieldInfo {
            name: &known.name,
            json_name: &known.json_name,
            number: known.number,
            kind: FieldKind::of(self, known, true),
            has_presence: known.presence,
            required: known.required,
            oneof: (known.oneof != NO_ONEOF)
                .then(|| &*self.table().oneofs[usize::from(known.oneof)]),
        }
    }

    /// Names and numbers of the enum a field, the elements of a list or the values of a map have;
    /// `None` for other types. In the order of [`EnumInfo::values`].
    ///
    /// # Panics
    ///
    /// When the field is of another message type.
    pub fn enum_values(&self, field: FieldRef) -> Option<impl Iterator<Item = (&str, i32)>> {
        let known = self.known(field);
        let single = match known.map {
            true => &self.tables().sub(known).fields[1],
            false => known,
        };
        let of_enum = single.kind == Kind::Enum;
        of_enum.then(|| all_values(self.tables().enumeration(single)).into_iter())
    }

    /// Finds a oneof by its name. `optional` fields of proto3 are in none.
    ///
    /// # Errors
    ///
    /// [`PathError::UnknownOneof`] with the nearest name.
    pub fn oneof(&self, name: &str) -> Result<OneofRef, PathError> {
        let table = self.table();
        let found = self.oneofs().find(|(known, _)| *known == name);
        found
            .map(|(_, oneof)| oneof)
            .ok_or_else(|| PathError::UnknownOneof {
                message: table.full_name.to_string(),
                name: name.to_owned(),
                nearest: nearest(name, table.oneofs.iter().map(|oneof| &**oneof)),
            })
    }

    /// Every oneof with its name, in the order of the `.proto` file.
    pub fn oneofs(&self) -> impl Iterator<Item = (&str, OneofRef)> {
        let table = self.index();
        let names = self.table().oneofs.iter().zip(0..);
        names.map(move |(name, index)| (&**name, OneofRef { table, index }))
    }

    /// The field behind a handle.
    #[inline(always)]
    #[track_caller]
    pub(super) fn known(&self, field: FieldRef) -> &Field {
        self.owns(field.table);
        &self.table().fields[field.index as usize]
    }

    /// Refuses a handle of another type.
    #[inline(always)]
    #[track_caller]
    pub(super) fn owns(&self, table: u32) {
        assert!(
            table == self.index(),
            "a field of another message type was given to {}",
            self.full_name()
        );
    }
}

impl Schema {
    /// Every enum type.
    pub fn enums(&self) -> impl Iterator<Item = EnumInfo<'_>> {
        self.tables().enums.iter().map(|table| EnumInfo {
            name: &table.full_name,
            values: all_values(table),
            closed: table.closed,
        })
    }
}

/// Every name with its number, aliases behind the first name.
fn all_values(table: &EnumTable) -> Vec<(&str, i32)> {
    let mut values: Vec<(&str, i32)> = table
        .names
        .iter()
        .map(|(name, number)| (&**name, *number))
        .collect();
    values.sort_by_key(|(name, number)| (*number, table.name(*number) != Some(name), *name));
    values
}
