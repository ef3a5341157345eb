//! Descriptors -> tables.

use std::collections::HashMap;
use std::sync::OnceLock;

use prost_reflect::{
    Cardinality, DescriptorPool, EnumDescriptor, ExtensionDescriptor, FieldDescriptor,
    Kind as Reflected, MessageDescriptor, Syntax, Value,
};
use prost_types::FieldDescriptorProto;

use crate::codec::tables::{
    DefaultValue, EnumTable, EnumValue, Field, Kind, MessageTable, NO_ONEOF, NameMap, Tables,
    WellKnown,
};
use crate::schema::services::methods;
use crate::wire::{WireType, zigzag};

/// Where each type's table is.
struct Places {
    messages: HashMap<String, u32>,
    enums: HashMap<String, u32>,
}

/// Flattens every message and enum of the pool.
pub(crate) fn tables(pool: &DescriptorPool) -> Tables {
    let number = |names: Vec<String>| names.into_iter().zip(0..).collect();
    let places = Places {
        messages: number(
            pool.all_messages()
                .map(|message| message.full_name().to_owned())
                .collect(),
        ),
        enums: number(
            pool.all_enums()
                .map(|kind| kind.full_name().to_owned())
                .collect(),
        ),
    };
    let mut messages: Vec<_> = pool
        .all_messages()
        .map(|message| message_table(&message, &places))
        .collect();
    mark_requiring(&mut messages);
    let by_name: NameMap = places
        .messages
        .iter()
        .map(|(name, at)| (name.as_str().into(), *at))
        .collect();
    Tables {
        messages,
        enums: pool.all_enums().map(|kind| enum_table(&kind)).collect(),
        methods: methods(pool, &by_name),
        shapes: OnceLock::new(),
        by_name,
    }
}

fn message_table(message: &MessageDescriptor, places: &Places) -> MessageTable {
    let oneofs: Vec<_> = message
        .oneofs()
        .filter(|oneof| !oneof.is_synthetic())
        .collect();
    let oneof_of = |field: &FieldDescriptor| {
        let own = field.containing_oneof()?;
        oneofs
            .iter()
            .position(|oneof| oneof.full_name() == own.full_name())
    };
    let mut fields: Vec<Field> = message
        .fields()
        .map(|field| plain_field(&field, oneof_of(&field), places))
        .collect();
    fields.extend(
        message
            .extensions()
            .map(|extension| extension_field(&extension, places)),
    );
    fields.sort_by_key(|field| field.number);
    if message.is_map_entry() {
        fields
            .iter_mut()
            .for_each(|field| field.omits_default = false);
    }
    let mut names = NameMap::default();
    for (field, at) in fields.iter().zip(0..) {
        names.insert(field.name.clone(), at);
    }
    for (field, at) in fields.iter().zip(0..) {
        names.insert(field.json_name.clone(), at);
    }
    let mut table = MessageTable {
        full_name: message.full_name().into(),
        fields,
        dense: Box::default(),
        well_known: well_known(message.full_name()),
        map_entry: message.is_map_entry(),
        requires: false,
        oneofs: oneofs.iter().map(|oneof| oneof.name().into()).collect(),
        names,
    };
    table.make_dense();
    table
}

fn well_known(name: &str) -> WellKnown {
    match name.strip_prefix("google.protobuf.") {
        Some("Any") => WellKnown::Any,
        Some("Duration") => WellKnown::Duration,
        Some("Empty") => WellKnown::Empty,
        Some("FieldMask") => WellKnown::FieldMask,
        Some("ListValue") => WellKnown::ListValue,
        Some("Struct") => WellKnown::Struct,
        Some("Timestamp") => WellKnown::Timestamp,
        Some("Value") => WellKnown::Value,
        Some(
            "BoolValue" | "BytesValue" | "DoubleValue" | "FloatValue" | "Int32Value" | "Int64Value"
            | "StringValue" | "UInt32Value" | "UInt64Value",
        ) => WellKnown::Wrapper,
        _ => WellKnown::None,
    }
}

/// What a field and an extension have in common.
struct Common {
    number: u32,
    name: String,
    json_name: String,
    full_name: String,
    kind: Reflected,
    group: bool,
    cardinality: Cardinality,
    map: bool,
    packed: bool,
    presence: bool,
    utf8: bool,
    default: Value,
    oneof: Option<usize>,
}

fn plain_field(field: &FieldDescriptor, oneof: Option<usize>, places: &Places) -> Field {
    make(
        Common {
            number: field.number(),
            name: field.name().to_owned(),
            json_name: field.json_name().to_owned(),
            full_name: field.full_name().to_owned(),
            kind: field.kind(),
            group: field.is_group(),
            cardinality: field.cardinality(),
            map: field.is_map(),
            packed: packed(field.field_descriptor_proto(), field.parent_file().syntax()),
            presence: field.supports_presence(),
            utf8: field.parent_file().syntax() == Syntax::Proto3,
            default: field.default_value(),
            oneof,
        },
        places,
    )
}

fn extension_field(extension: &ExtensionDescriptor, places: &Places) -> Field {
    let name = format!("[{}]", extension.full_name());
    make(
        Common {
            number: extension.number(),
            name: name.clone(),
            json_name: name,
            full_name: extension.full_name().to_owned(),
            kind: extension.kind(),
            group: extension.is_group(),
            cardinality: extension.cardinality(),
            map: extension.is_map(),
            packed: packed(
                extension.field_descriptor_proto(),
                extension.parent_file().syntax(),
            ),
            presence: extension.supports_presence(),
            utf8: extension.parent_file().syntax() == Syntax::Proto3,
            default: extension.default_value(),
            oneof: None,
        },
        places,
    )
}

fn make(common: Common, places: &Places) -> Field {
    let kind = kind(&common.kind, common.group);
    let repeated = common.cardinality == Cardinality::Repeated;
    let mut wires = kind.wire().bit();
    if repeated && kind.packable() {
        wires |= WireType::Len.bit();
    }
    let sub = match &common.kind {
        Reflected::Message(message) => places.messages.get(message.full_name()),
        Reflected::Enum(kind) => places.enums.get(kind.full_name()),
        _ => None,
    };
    let text_name = match &common.kind {
        Reflected::Message(message) if common.group && !common.name.starts_with('[') => {
            message.name().to_owned()
        }
        _ => common.name.clone(),
    };
    Field {
        number: common.number,
        kind,
        wires,
        repeated,
        map: common.map,
        packed: common.packed && repeated && kind.packable(),
        presence: common.presence,
        required: common.cardinality == Cardinality::Required,
        omits_default: !common.presence && !repeated && !kind.is_message(),
        utf8: common.utf8,
        oneof: common
            .oneof
            .and_then(|at| u16::try_from(at).ok())
            .unwrap_or(NO_ONEOF),
        sub: sub.copied().unwrap_or(0),
        json_key: key(&common.json_name),
        proto_key: key(&common.name),
        default: if repeated {
            DefaultValue::Raw(0)
        } else {
            default(&common.default, kind)
        },
        full_name: common.full_name.into(),
        name: common.name.into(),
        json_name: common.json_name.into(),
        text_name: text_name.into(),
    }
}

fn kind(kind: &Reflected, group: bool) -> Kind {
    match kind {
        Reflected::Double => Kind::Double,
        Reflected::Float => Kind::Float,
        Reflected::Int32 => Kind::Int32,
        Reflected::Int64 => Kind::Int64,
        Reflected::Uint32 => Kind::Uint32,
        Reflected::Uint64 => Kind::Uint64,
        Reflected::Sint32 => Kind::Sint32,
        Reflected::Sint64 => Kind::Sint64,
        Reflected::Fixed32 => Kind::Fixed32,
        Reflected::Fixed64 => Kind::Fixed64,
        Reflected::Sfixed32 => Kind::Sfixed32,
        Reflected::Sfixed64 => Kind::Sfixed64,
        Reflected::Bool => Kind::Bool,
        Reflected::String => Kind::String,
        Reflected::Bytes => Kind::Bytes,
        Reflected::Enum(_) => Kind::Enum,
        Reflected::Message(_) if group => Kind::Group,
        Reflected::Message(_) => Kind::Message,
    }
}

fn default(value: &Value, kind: Kind) -> DefaultValue {
    DefaultValue::Raw(match value {
        Value::Bool(value) => u64::from(*value),
        Value::I32(value) if kind == Kind::Sint32 => zigzag(i64::from(*value)),
        Value::I32(value) if kind == Kind::Sfixed32 => u64::from(*value as u32),
        Value::I32(value) | Value::EnumNumber(value) => i64::from(*value) as u64,
        Value::I64(value) if kind == Kind::Sint64 => zigzag(*value),
        Value::I64(value) => *value as u64,
        Value::U32(value) => u64::from(*value),
        Value::U64(value) => *value,
        Value::F32(value) => u64::from(value.to_bits()),
        Value::F64(value) => value.to_bits(),
        Value::String(value) => return DefaultValue::Bytes(value.as_bytes().into()),
        Value::Bytes(value) => return DefaultValue::Bytes(value.as_ref().into()),
        _ => 0,
    })
}

/// Whether the option or else the syntax has a list packed. Reflection decides it before the compiler
/// has read the options of sources, and so misses the option there.
fn packed(field: &FieldDescriptorProto, syntax: Syntax) -> bool {
    let option = field.options.as_ref().and_then(|options| options.packed);
    option.unwrap_or(syntax == Syntax::Proto3)
}

/// `"name":` with the name escaped.
fn key(name: &str) -> Box<[u8]> {
    let mut out = Vec::with_capacity(name.len() + 3);
    crate::codec::json_write::string(name, &mut out);
    out.push(b':');
    out.into()
}

fn enum_table(kind: &EnumDescriptor) -> EnumTable {
    let mut values: Vec<EnumValue> = Vec::new();
    let mut names = HashMap::default();
    for value in kind.values() {
        names.insert(value.name().into(), value.number());
        if !values.iter().any(|known| known.number == value.number()) || values.len() > 4096 {
            values.push(EnumValue {
                number: value.number(),
                name: value.name().into(),
            });
        }
    }
    values.sort_by_key(|value| value.number);
    values.dedup_by_key(|value| value.number);
    EnumTable {
        full_name: kind.full_name().into(),
        values,
        names,
        null: kind.full_name() == "google.protobuf.NullValue",
        closed: kind.parent_file().syntax() == Syntax::Proto2,
    }
}

/// Sets `requires` wherever a required field is reachable.
fn mark_requiring(messages: &mut [MessageTable]) {
    loop {
        let reached: Vec<bool> = messages
            .iter()
            .map(|message| {
                message.requires
                    || message.fields.iter().any(|field| {
                        field.required
                            || field.kind.is_message() && messages[field.sub as usize].requires
                    })
            })
            .collect();
        let mut changed = false;
        for (message, reached) in messages.iter_mut().zip(reached) {
            changed |= message.requires != reached;
            message.requires = reached;
        }
        if !changed {
            return;
        }
    }
}
