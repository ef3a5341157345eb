//! Descriptors flattened to what the walkers ask for: field number -> kind, sub-table, key bytes.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, DefaultHasher};
use std::sync::OnceLock;

use crate::schema::services::MethodTable;
use crate::wire::WireType;

/// A hash map without a per-process seed: the keys are the schema's, not a stranger's.
pub(crate) type NameMap = HashMap<Box<str>, u32, BuildHasherDefault<DefaultHasher>>;

/// "No oneof" in [`Field::oneof`].
pub(crate) const NO_ONEOF: u16 = u16::MAX;

/// Field numbers below this are looked up directly, larger ones by binary search.
const DENSE: u32 = 1024;

/// The types of a field, as `FieldDescriptorProto.Type` has them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Double,
    Float,
    Int32,
    Int64,
    Uint32,
    Uint64,
    Sint32,
    Sint64,
    Fixed32,
    Fixed64,
    Sfixed32,
    Sfixed64,
    Bool,
    String,
    Bytes,
    Enum,
    Message,
    Group,
}

impl Kind {
    /// The wire type one unpacked value has.
    pub(crate) fn wire(self) -> WireType {
        match self {
            Kind::Double | Kind::Fixed64 | Kind::Sfixed64 => WireType::Fixed64,
            Kind::Float | Kind::Fixed32 | Kind::Sfixed32 => WireType::Fixed32,
            Kind::String | Kind::Bytes | Kind::Message => WireType::Len,
            Kind::Group => WireType::StartGroup,
            _ => WireType::Varint,
        }
    }

    /// Whether repeated values may be packed.
    pub(crate) fn packable(self) -> bool {
        !matches!(
            self,
            Kind::String | Kind::Bytes | Kind::Message | Kind::Group
        )
    }

    pub(crate) fn is_message(self) -> bool {
        matches!(self, Kind::Message | Kind::Group)
    }

    /// The name a `.proto` file uses.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Double => "double",
            Kind::Float => "float",
            Kind::Int32 => "int32",
            Kind::Int64 => "int64",
            Kind::Uint32 => "uint32",
            Kind::Uint64 => "uint64",
            Kind::Sint32 => "sint32",
            Kind::Sint64 => "sint64",
            Kind::Fixed32 => "fixed32",
            Kind::Fixed64 => "fixed64",
            Kind::Sfixed32 => "sfixed32",
            Kind::Sfixed64 => "sfixed64",
            Kind::Bool => "bool",
            Kind::String => "string",
            Kind::Bytes => "bytes",
            Kind::Enum => "enum",
            Kind::Message => "message",
            Kind::Group => "group",
        }
    }
}

/// Message types whose JSON form is their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WellKnown {
    None,
    Any,
    Duration,
    Empty,
    FieldMask,
    ListValue,
    Struct,
    Timestamp,
    Value,
    Wrapper,
}

/// The default of a scalar field.
#[derive(Debug, Clone)]
pub(crate) enum DefaultValue {
    /// A number as the wire carries it: zigzag for `sint`, bits for floats.
    Raw(u64),
    /// A string or bytes.
    Bytes(Box<[u8]>),
}

/// One field of a message, or an extension of it.
#[derive(Debug)]
pub(crate) struct Field {
    pub(crate) number: u32,
    pub(crate) kind: Kind,
    /// The wire types accepted, one bit each.
    pub(crate) wires: u8,
    pub(crate) repeated: bool,
    pub(crate) map: bool,
    /// How repeated values are written.
    pub(crate) packed: bool,
    /// Whether an absent value differs from a default one.
    pub(crate) presence: bool,
    pub(crate) required: bool,
    /// Whether an encoder leaves it out when it holds its default. Both fields of a map entry are always
    /// sent.
    pub(crate) omits_default: bool,
    /// Whether a string must be UTF-8 on the wire (proto3).
    pub(crate) utf8: bool,
    pub(crate) oneof: u16,
    /// Index of the message or enum table.
    pub(crate) sub: u32,
    pub(crate) full_name: Box<str>,
    /// The name in the `.proto` file; `[pkg.ext]` for an extension.
    pub(crate) name: Box<str>,
    pub(crate) json_name: Box<str>,
    /// The name in text format: a group goes by its type's name.
    pub(crate) text_name: Box<str>,
    /// `"jsonName":`, escaped.
    pub(crate) json_key: Box<[u8]>,
    /// `"proto_name":`, escaped.
    pub(crate) proto_key: Box<[u8]>,
    pub(crate) default: DefaultValue,
}

impl Field {
    #[inline(always)]
    pub(crate) fn accepts(&self, wire: WireType) -> bool {
        self.wires & wire.bit() != 0
    }
}

/// One message type.
#[derive(Debug)]
pub(crate) struct MessageTable {
    pub(crate) full_name: Box<str>,
    /// Sorted by number, extensions among them.
    pub(crate) fields: Vec<Field>,
    /// Field number -> index + 1, 0 for none; numbers from `dense.len()` are in `fields` alone.
    pub(crate) dense: Box<[u16]>,
    pub(crate) well_known: WellKnown,
    pub(crate) map_entry: bool,
    /// Whether this message or any below it has a required field.
    pub(crate) requires: bool,
    pub(crate) oneofs: Vec<Box<str>>,
    /// JSON and `.proto` names -> index.
    pub(crate) names: NameMap,
}

impl MessageTable {
    /// The index of the field with this number.
    #[inline(always)]
    pub(crate) fn find(&self, number: u32) -> Option<usize> {
        match self.dense.get(number as usize) {
            Some(0) => None,
            Some(index) => Some(usize::from(*index) - 1),
            None if number < DENSE => None,
            None => self
                .fields
                .binary_search_by_key(&number, |field| field.number)
                .ok(),
        }
    }

    /// The index of the field with this JSON or `.proto` name.
    pub(crate) fn by_name(&self, name: &str) -> Option<usize> {
        self.names.get(name).map(|index| *index as usize)
    }

    /// Fills `dense` from `fields`.
    pub(crate) fn make_dense(&mut self) {
        let top = self
            .fields
            .iter()
            .map(|field| field.number)
            .filter(|number| *number < DENSE)
            .max();
        let mut dense = vec![0; top.map_or(0, |top| top as usize + 1)];
        for (index, field) in self.fields.iter().enumerate().take(usize::from(u16::MAX)) {
            if let Some(slot) = dense.get_mut(field.number as usize) {
                *slot = index as u16 + 1;
            }
        }
        self.dense = dense.into();
    }
}

/// One enum type.
#[derive(Debug)]
pub(crate) struct EnumTable {
    pub(crate) full_name: Box<str>,
    /// Sorted by number, one name each: the first declared.
    pub(crate) values: Vec<EnumValue>,
    /// Every name, aliases too -> number.
    pub(crate) names: HashMap<Box<str>, i32, BuildHasherDefault<DefaultHasher>>,
    /// `google.protobuf.NullValue`, which JSON writes as `null`.
    pub(crate) null: bool,
    /// proto2: a number without a name is an unknown field.
    pub(crate) closed: bool,
}

/// One value of an enum.
#[derive(Debug)]
pub(crate) struct EnumValue {
    pub(crate) number: i32,
    pub(crate) name: Box<str>,
}

impl EnumTable {
    /// The name of a number.
    pub(crate) fn name(&self, number: i32) -> Option<&str> {
        // Most enums count from 0 without a gap.
        let guess = usize::try_from(number)
            .ok()
            .and_then(|at| self.values.get(at));
        let value = match guess {
            Some(value) if value.number == number => value,
            _ => {
                let at = self
                    .values
                    .binary_search_by_key(&number, |value| value.number)
                    .ok()?;
                &self.values[at]
            }
        };
        Some(&value.name)
    }
}

/// All tables of a schema.
#[derive(Debug, Default)]
pub(crate) struct Tables {
    pub(crate) messages: Vec<MessageTable>,
    pub(crate) enums: Vec<EnumTable>,
    pub(crate) by_name: NameMap,
    pub(crate) methods: Vec<MethodTable>,
    /// One number for each message type, made when it is first asked for.
    pub(crate) shapes: OnceLock<Vec<u64>>,
}

impl Tables {
    /// The table of a field's message type.
    #[inline(always)]
    pub(crate) fn sub(&self, field: &Field) -> &MessageTable {
        &self.messages[field.sub as usize]
    }

    /// The table of a field's enum type.
    #[inline(always)]
    pub(crate) fn enumeration(&self, field: &Field) -> &EnumTable {
        &self.enums[field.sub as usize]
    }

    /// The table of a message type by its full name.
    pub(crate) fn named(&self, name: &str) -> Option<&MessageTable> {
        self.by_name
            .get(name)
            .map(|index| &self.messages[*index as usize])
    }
}
