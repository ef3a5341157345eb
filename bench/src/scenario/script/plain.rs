//! Data without ties to an interpreter: what scripts share, and what they send as JSON.

use mlua::{Error, Lua, Result, Table, Value};

/// Marks the metatable of a reply's list of scalars.
pub(super) const LIST: &str = "__list";

/// Tables nested deeper than this are refused.
const DEPTH: usize = 32;

/// The largest integer up to which a double holds every one.
pub(super) const EXACT: u64 = 9_007_199_254_740_992;

/// The most that is copied at once, in bytes.
const COPIED_BYTES: usize = 64 * 1024 * 1024;

/// A copy of a script's value.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Plain {
    Nil,
    Bool(bool),
    Number(f64),
    /// A string of any bytes.
    Text(Box<[u8]>),
    /// Keys and values, in the order of the list first.
    Table {
        list: Vec<Plain>,
        fields: Vec<(Plain, Plain)>,
    },
}

impl Plain {
    /// Memory it takes beyond itself, about, in bytes.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Nil | Self::Bool(_) | Self::Number(_) => 0,
            Self::Text(text) => text.len(),
            Self::Table { list, fields } => {
                let own = (list.len() + 2 * fields.len()) * size_of::<Self>();
                let values = fields.iter().flat_map(|(key, value)| [key, value]);
                own + list.iter().chain(values).map(Self::bytes).sum::<usize>()
            }
        }
    }

    /// Copy a value.
    ///
    /// # Errors
    /// When it holds what is bound to its user: functions, replies, clients.
    pub(super) fn of(value: &Value) -> Result<Self> {
        Self::of_at(value, 0, &mut { COPIED_BYTES })
    }

    /// `room` is what may still be copied: the interpreter's limit does not see it.
    fn of_at(value: &Value, depth: usize, room: &mut usize) -> Result<Self> {
        let own = match value {
            Value::String(text) => text.as_bytes().len(),
            _ => 0,
        };
        *room = room
            .checked_sub(size_of::<Self>() + own)
            .ok_or_else(|| Error::runtime("this is more than 64 MiB: too much to be copied"))?;
        Ok(match value {
            Value::Nil => Self::Nil,
            Value::Boolean(value) => Self::Bool(*value),
            Value::Integer(value) => Self::Number(*value as f64),
            Value::Number(value) => Self::Number(*value),
            Value::String(text) => Self::Text(text.as_bytes().as_ref().into()),
            Value::Table(table) if depth < DEPTH => Self::of_table(table, depth, room)?,
            Value::Table(_) => {
                return Err(Error::runtime(format!(
                    "tables are nested more than {DEPTH} deep, or in a circle"
                )));
            }
            other => {
                return Err(Error::runtime(format!(
                    "a {} cannot be shared; take numbers, strings, booleans and tables of them",
                    type_name(other)
                )));
            }
        })
    }

    fn of_table(table: &Table, depth: usize, room: &mut usize) -> Result<Self> {
        // The lists of a reply have one that only tells of elements that are not there.
        let is_ours = |meta: Table| meta.raw_get::<bool>(LIST).unwrap_or(false);
        if table.metatable().is_some_and(|meta| !is_ours(meta)) {
            return Err(Error::runtime(
                "an object cannot be shared; take its numbers, strings and booleans",
            ));
        }
        let mut list = Vec::new();
        for at in 1..=table.raw_len() {
            list.push(Self::of_at(&table.raw_get(at)?, depth + 1, room)?);
        }
        let mut fields = Vec::new();
        table.for_each(|key: Value, value: Value| {
            let at = match &key {
                Value::Integer(at) => Some(*at as f64),
                Value::Number(at) => Some(*at),
                _ => None,
            };
            let listed =
                at.is_some_and(|at| at >= 1.0 && at <= list.len() as f64 && at.fract() == 0.0);
            if !listed {
                fields.push((
                    Self::of_at(&key, depth + 1, room)?,
                    Self::of_at(&value, depth + 1, room)?,
                ));
            }
            Ok(())
        })?;
        Ok(Self::Table { list, fields })
    }

    /// Make it a value of `lua`.
    ///
    /// # Errors
    /// When there is no memory left.
    pub(super) fn to_lua(&self, lua: &Lua) -> Result<Value> {
        Ok(match self {
            Self::Nil => Value::Nil,
            Self::Bool(value) => Value::Boolean(*value),
            Self::Number(value) => Value::Number(*value),
            Self::Text(text) => Value::String(lua.create_string(text)?),
            Self::Table { list, fields } => {
                let table = lua.create_table_with_capacity(list.len(), fields.len())?;
                for (item, at) in list.iter().zip(1..) {
                    table.raw_set(at, item.to_lua(lua)?)?;
                }
                for (key, value) in fields {
                    table.raw_set(key.to_lua(lua)?, value.to_lua(lua)?)?;
                }
                Value::Table(table)
            }
        })
    }

    /// Make it JSON. An empty table is an object; integral numbers have no fraction.
    ///
    /// # Errors
    /// When it has no JSON form: text that is not UTF-8, a number that is not finite, a table that
    /// is both a list and an object, a key that is no string.
    pub(super) fn to_json(&self) -> Result<serde_json::Value> {
        use serde_json::Value as Json;
        Ok(match self {
            Self::Nil => Json::Null,
            Self::Bool(value) => Json::Bool(*value),
            Self::Number(value) if value.fract() == 0.0 && value.abs() <= EXACT as f64 => {
                Json::from(*value as i64)
            }
            Self::Number(value) => serde_json::Number::from_f64(*value)
                .map(Json::Number)
                .ok_or_else(|| Error::runtime(format!("{value} has no JSON form")))?,
            Self::Text(text) => Json::String(utf8(text)?),
            Self::Table { list, fields } if fields.is_empty() && !list.is_empty() => {
                Json::Array(list.iter().map(Self::to_json).collect::<Result<_>>()?)
            }
            Self::Table { list, .. } if !list.is_empty() => {
                return Err(Error::runtime(
                    "a table is a list and has fields too: JSON has one or the other",
                ));
            }
            Self::Table { fields, .. } => {
                let mut sorted = fields
                    .iter()
                    .map(|(key, value)| match key {
                        Self::Text(key) => Ok((utf8(key)?, value.to_json()?)),
                        _ => Err(Error::runtime("a key of a JSON object must be a string")),
                    })
                    .collect::<Result<Vec<_>>>()?;
                // A table has no order; the same request must have the same bytes every time.
                sorted.sort_by(|(a, _), (b, _)| a.cmp(b));
                Json::Object(sorted.into_iter().collect())
            }
        })
    }

    /// Take over JSON. `null` is nil: in an object, no field.
    pub(super) fn from_json(json: &serde_json::Value) -> Self {
        use serde_json::Value as Json;
        match json {
            Json::Null => Self::Nil,
            Json::Bool(value) => Self::Bool(*value),
            // A number that a double cannot hold exactly stays the text it was.
            Json::Number(number) => match (number.as_i64(), number.as_f64()) {
                (Some(whole), Some(value)) if whole.unsigned_abs() <= EXACT => Self::Number(value),
                (None, Some(value)) if number.is_f64() => Self::Number(value),
                _ => Self::Text(number.to_string().into_bytes().into()),
            },
            Json::String(text) => Self::Text(text.as_bytes().into()),
            Json::Array(items) => Self::Table {
                list: items.iter().map(Self::from_json).collect(),
                fields: Vec::new(),
            },
            Json::Object(entries) => Self::Table {
                list: Vec::new(),
                fields: entries
                    .iter()
                    .filter(|(_, value)| !value.is_null())
                    .map(|(key, value)| (Self::Text(key.as_bytes().into()), Self::from_json(value)))
                    .collect(),
            },
        }
    }
}

fn utf8(bytes: &[u8]) -> Result<String> {
    String::from_utf8(bytes.to_vec())
        .map_err(|_| Error::runtime("a string that is not UTF-8 has no JSON form"))
}

/// What kind of value it is, in the words of the script's writer.
pub(super) fn type_name(value: &Value) -> &'static str {
    match value {
        Value::UserData(_) => "message or reply",
        Value::Thread(_) => "coroutine",
        // Scripts know one kind of number.
        Value::Integer(_) => "number",
        other => other.type_name(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_survive_the_way_there_and_back() {
        let lua = Lua::new();
        for source in [
            "nil",
            "true",
            "-1.5",
            "'a\\0b'",
            "{1, 'two', {3}}",
            "{a = 1, b = {c = {}}}",
        ] {
            let value: Value = lua.load(source).eval().unwrap();
            let plain = Plain::of(&value).unwrap();
            let back = plain.to_lua(&lua).unwrap();
            assert_eq!(Plain::of(&back).unwrap(), plain, "{source}");
        }
    }

    #[test]
    fn what_is_bound_to_a_user_is_refused() {
        let lua = Lua::new();
        let check = |source: &str, part: &str| {
            let value: Value = lua.load(source).eval().unwrap();
            let error = Plain::of(&value).unwrap_err().to_string();
            assert!(error.contains(part), "{source}: {error}");
        };
        check("function() end", "a function cannot be shared");
        check("{ setmetatable({}, {}) }", "an object cannot be shared");
        check(
            "(function() local t = {}; t.t = t; return t end)()",
            "in a circle",
        );
    }

    #[test]
    fn json_goes_both_ways() {
        let lua = Lua::new();
        let check = |source: &str, json: &str| {
            let value: Value = lua.load(source).eval().unwrap();
            let plain = Plain::of(&value).unwrap();
            assert_eq!(plain.to_json().unwrap().to_string(), json);
            let back = Plain::from_json(&serde_json::from_str(json).unwrap());
            assert_eq!(back.to_json().unwrap().to_string(), json);
        };
        check(
            "{b = 1, a = {true, 'x', 0.5}}",
            r#"{"a":[true,"x",0.5],"b":1}"#,
        );
        check("{}", "{}");
        for source in ["{1, a = 2}", "{[1.5] = 1}", "0/0", "'\\xff'"] {
            let value: Value = lua.load(source).eval().unwrap();
            assert!(Plain::of(&value).unwrap().to_json().is_err(), "{source}");
        }
        let large = Plain::from_json(&serde_json::from_str("9007199254740993").unwrap());
        assert_eq!(large, Plain::Text(b"9007199254740993".as_slice().into()));
    }
}
