//! One value a caller gives at run time, checked against its field and put on the wire.

use super::from_json::put_raw;
use super::render::{put_bytes, raw_value};
use super::tables::{Field, Kind, Tables, WellKnown};
use super::well_known;
use super::write::WriteValue;
use crate::error::WriteError;
use crate::nearest::nearest;
use crate::wire::{WireType, put_tag, put_varint};

/// A value that fits its field.
pub(super) enum Fit<'v> {
    /// A number in raw form.
    Raw(u64),
    /// A string or bytes.
    Text(&'v [u8]),
}

impl Fit<'_> {
    /// Appends the value with its tag. `implicit` leaves a default value out.
    #[inline]
    pub(super) fn put(self, field: &Field, implicit: bool, out: &mut Vec<u8>) {
        let zero = match self {
            Fit::Raw(raw) => raw == 0,
            Fit::Text(text) => text.is_empty(),
        };
        if implicit && zero {
            return;
        }
        put_tag(out, field.number, field.kind.wire());
        match self {
            Fit::Raw(raw) => put_raw(field.kind, raw, out),
            Fit::Text(text) => put_bytes(text, out),
        }
    }
}

/// Checks a value against a field that is no message.
#[inline]
pub(super) fn fit<'v>(
    tables: &Tables,
    field: &Field,
    value: WriteValue<'v>,
) -> Result<Fit<'v>, WriteError> {
    let fits = match (field.kind, value) {
        (Kind::String | Kind::Bytes, WriteValue::Str(text)) => Some(Fit::Text(text.as_bytes())),
        (Kind::Bytes, WriteValue::Bytes(bytes)) => Some(Fit::Text(bytes)),
        (Kind::String, WriteValue::Bytes(bytes)) => {
            std::str::from_utf8(bytes).ok().map(|_| Fit::Text(bytes))
        }
        (Kind::String | Kind::Bytes | Kind::Message | Kind::Group, _) => None,
        (Kind::Enum, value) => return enumeration(tables, field, value),
        (kind, value) => raw_value(tables, kind, field.sub, value).map(Fit::Raw),
    };
    fits.ok_or_else(|| misfit(field, field.kind.name(), value))
}

/// An enum by name or number; a closed one has no other numbers.
fn enumeration<'v>(
    tables: &Tables,
    field: &Field,
    value: WriteValue<'v>,
) -> Result<Fit<'v>, WriteError> {
    let table = tables.enumeration(field);
    match raw_value(tables, field.kind, field.sub, value) {
        Some(raw) if !table.closed || table.name(raw as i32).is_some() => Ok(Fit::Raw(raw)),
        None if !matches!(value, WriteValue::Str(_)) => Err(misfit(field, &table.full_name, value)),
        _ => {
            let name = match value {
                WriteValue::Str(name) => name.chars().take(80).collect(),
                other => spell(other),
            };
            Err(WriteError::UnknownEnum {
                field: field.full_name.to_string(),
                name_of: table.full_name.to_string(),
                nearest: nearest(&name, table.values.iter().map(|value| &*value.name)),
                name,
            })
        }
    }
}

/// Appends the content of a message that one value stands for: a wrapper, a time, a duration or a
/// `google.protobuf.Value`.
pub(super) fn message(
    tables: &Tables,
    field: &Field,
    value: WriteValue<'_>,
    out: &mut Vec<u8>,
) -> Result<(), WriteError> {
    let table = tables.sub(field);
    let seconds = match table.well_known {
        WellKnown::Wrapper => {
            let inner = &table.fields[0];
            fit(tables, inner, value)?.put(inner, true, out);
            return Ok(());
        }
        WellKnown::Value => return any_kind(tables, field, value, out),
        WellKnown::Timestamp => seconds(value, well_known::timestamp, false)
            .filter(|(seconds, nanos)| well_known::is_timestamp(*seconds, *nanos)),
        WellKnown::Duration => seconds(value, well_known::duration, true)
            .filter(|(seconds, nanos)| well_known::is_duration(*seconds, *nanos)),
        _ => {
            return Err(WriteError::Shape {
                field: field.full_name.to_string(),
                is: match field.kind {
                    Kind::Group => "a group",
                    _ => "a message",
                },
                remedy: "begin it and put its fields",
            });
        }
    };
    let (seconds, nanos) = seconds.ok_or_else(|| match table.well_known {
        WellKnown::Timestamp => misfit(field, "a time like 2006-01-02T15:04:05Z or seconds", value),
        _ => misfit(field, "a duration like 1.5s or seconds", value),
    })?;
    for (number, value) in [(1, seconds), (2, i64::from(nanos))] {
        if value != 0 {
            put_tag(out, number, WireType::Varint);
            put_varint(out, value as u64);
        }
    }
    Ok(())
}

/// Seconds and nanoseconds of a text or a number of seconds. The nanoseconds of a duration have the
/// sign of its seconds, those of a time count forwards.
fn seconds(
    value: WriteValue<'_>,
    parse: fn(&str) -> Option<(i64, i32)>,
    signed: bool,
) -> Option<(i64, i32)> {
    match value {
        WriteValue::Str(text) => parse(text),
        WriteValue::I64(seconds) => Some((seconds, 0)),
        WriteValue::U64(seconds) => Some((i64::try_from(seconds).ok()?, 0)),
        // Far outside what either type can hold, and inside what an i64 can.
        WriteValue::F64(value) if value.abs() < 1e15 => {
            let whole = if signed { value.trunc() } else { value.floor() };
            let nanos = ((value - whole) * 1e9).round() as i32;
            Some(match nanos {
                1_000_000_000 => (whole as i64 + 1, 0),
                -1_000_000_000 => (whole as i64 - 1, 0),
                _ => (whole as i64, nanos),
            })
        }
        _ => None,
    }
}

/// A `google.protobuf.Value` of the kind the value has.
fn any_kind(
    tables: &Tables,
    field: &Field,
    value: WriteValue<'_>,
    out: &mut Vec<u8>,
) -> Result<(), WriteError> {
    let number = match value {
        WriteValue::Bool(_) => 4,
        WriteValue::Str(_) | WriteValue::Bytes(_) => 3,
        _ => 2,
    };
    let table = tables.sub(field);
    let kind = table.find(number).map(|index| &table.fields[index]);
    let kind = kind.ok_or_else(|| misfit(field, "a Value", value))?;
    fit(tables, kind, value)?.put(kind, false, out);
    Ok(())
}

/// Says that a value does not fit.
#[cold]
pub(super) fn misfit(field: &Field, expected: &str, value: WriteValue<'_>) -> WriteError {
    WriteError::Value {
        field: field.full_name.to_string(),
        expected: expected.to_owned(),
        found: spell(value),
    }
}

/// A value for an error message, at most 80 characters of it.
fn spell(value: WriteValue<'_>) -> String {
    let text = match value {
        WriteValue::Bool(value) => value.to_string(),
        WriteValue::I64(value) => value.to_string(),
        WriteValue::U64(value) => value.to_string(),
        WriteValue::F64(value) => value.to_string(),
        WriteValue::Str(text) => {
            let head: String = text.chars().take(80).collect();
            format!("{head:?}")
        }
        WriteValue::Bytes(bytes) => format!("{} bytes", bytes.len()),
    };
    text.chars().take(80).collect()
}
