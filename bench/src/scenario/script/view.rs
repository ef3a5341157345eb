//! A message of a reply as scripts see it: fields are read from the wire when they are asked for.

use std::cell::OnceCell;
use std::rc::Rc;

use isukit_proto::{FieldRef, JsonOptions, Value as Field, subslice_range};
use mlua::{Error, Lua, MetaMethod, Result, UserData, UserDataMethods, Value};

use super::flow::Flow;
use super::message::{Access, Kind};
use super::plain::{EXACT, LIST};
use super::vm::{Unlimited, kinds};

/// A message within the bytes of a reply.
#[derive(Debug, Clone)]
pub(super) struct View {
    kind: Rc<Kind>,
    bytes: Rc<[u8]>,
    start: u32,
    end: u32,
}

impl View {
    pub(super) fn new(kind: Rc<Kind>, bytes: Rc<[u8]>, start: usize, end: usize) -> Self {
        Self {
            kind,
            bytes,
            // A body is at most a few hundred megabytes: the limit on replies sees to it.
            start: start as u32,
            end: end as u32,
        }
    }

    pub(super) fn wire(&self) -> &[u8] {
        &self.bytes[self.start as usize..self.end as usize]
    }

    pub(super) fn kind(&self) -> &Kind {
        &self.kind
    }

    /// The message as JSON, fields that are not set left out.
    pub(super) fn json(&self) -> String {
        let mut out = Vec::new();
        let options = JsonOptions::new().proto_names(true);
        match self.kind.message.to_json(self.wire(), &options, &mut out) {
            Ok(()) => String::from_utf8_lossy(&out).into_owned(),
            Err(error) => format!("not a {}: {error}", self.kind.message.full_name()),
        }
    }

    /// A part of this message's bytes as a message of its own.
    fn part(&self, kind: Rc<Kind>, part: &[u8]) -> Self {
        match subslice_range(&self.bytes, part) {
            Some(range) => Self::new(kind, Rc::clone(&self.bytes), range.start, range.end),
            // The sender split the message: its parts were put together elsewhere.
            None => Self::new(kind, part.into(), 0, part.len()),
        }
    }

    fn get(&self, lua: &Lua, name: &[u8]) -> Result<Value> {
        let (field, access) = self.kind.field(name)?;
        let message = &self.kind.message;
        let _unlimited = Unlimited::new(lua);
        match access {
            Access::Scalar => scalar(lua, &message.get(*field, self.wire()).map_err(broken)?),
            Access::Message(child) => {
                let kind = child.kind(&*kinds(lua)?);
                let part = match message.get(*field, self.wire()).map_err(broken)? {
                    Field::Message(part) => self.part(kind, &part),
                    // A message that is not set reads as one without fields.
                    _ => Self::new(kind, Rc::clone(&self.bytes), 0, 0),
                };
                Ok(Value::UserData(lua.create_userdata(part)?))
            }
            Access::Scalars => self.scalars(lua, *field, name),
            Access::Messages(child) => {
                let list = List {
                    of: self.clone(),
                    field: *field,
                    kind: child.kind(&*kinds(lua)?),
                    items: OnceCell::new(),
                };
                Ok(Value::UserData(lua.create_userdata(list)?))
            }
            Access::Map(child) => {
                let kind = match child {
                    Some(child) => Some(child.kind(&*kinds(lua)?)),
                    None => None,
                };
                self.map(lua, *field, kind.as_ref())
            }
        }
    }

    fn scalars(&self, lua: &Lua, field: FieldRef, name: &[u8]) -> Result<Value> {
        let items = self
            .kind
            .message
            .items(field, self.wire())
            .map_err(broken)?;
        let list = lua.create_table_with_capacity(items.len(), 0)?;
        for (item, at) in items.iter().zip(1..) {
            list.raw_set(at, scalar(lua, item)?)?;
        }
        let (name, length) = (String::from_utf8_lossy(name).into_owned(), items.len());
        let missing = lua.create_function(move |_, (_, key): (Value, Value)| -> Result<Value> {
            Err(out_of_range(&name, length, &key))
        })?;
        let meta = lua.create_table()?;
        meta.raw_set(LIST, true)?;
        meta.raw_set("__index", missing)?;
        list.set_metatable(Some(meta))?;
        list.set_readonly(true);
        Ok(Value::Table(list))
    }

    fn map(&self, lua: &Lua, field: FieldRef, kind: Option<&Rc<Kind>>) -> Result<Value> {
        let message = &self.kind.message;
        let entries = message.entries(field, self.wire()).map_err(broken)?;
        let map = lua.create_table_with_capacity(0, entries.len())?;
        for (key, value) in &entries {
            let value = match (kind, value) {
                (Some(kind), Field::Message(part)) => {
                    Value::UserData(lua.create_userdata(self.part(Rc::clone(kind), part))?)
                }
                _ => scalar(lua, value)?,
            };
            map.raw_set(scalar(lua, key)?, value)?;
        }
        map.set_readonly(true);
        Ok(Value::Table(map))
    }

    /// Whether a field is set: on the wire, and where it has no presence not the default.
    pub(super) fn has(&self, name: &[u8]) -> Result<bool> {
        let (field, _) = self.kind.field(name)?;
        self.kind.message.has(*field, self.wire()).map_err(broken)
    }

    /// The name of the member of a oneof that is set.
    pub(super) fn which(&self, oneof: &str) -> Result<Option<String>> {
        let message = &self.kind.message;
        let oneof = message
            .oneof(oneof)
            .map_err(|error| Error::runtime(error.to_string()))?;
        let member = message.which(oneof, self.wire()).map_err(broken)?;
        Ok(member.map(|field| message.info(field).name.to_owned()))
    }
}

/// The target sent bytes that are no such message: its fault, not the script's.
fn broken(error: isukit_proto::DecodeError) -> Error {
    Flow::failure(format!("the body cannot be read: {error}"))
}

/// There is no such element: the target did not send it.
fn out_of_range(name: &str, length: usize, key: &Value) -> Error {
    match key {
        Value::Integer(_) | Value::Number(_) => {
            let key = key.to_string().unwrap_or_default();
            Flow::failure(format!(
                "{name}[{key}] is not there: it has {length} elements"
            ))
        }
        other => Error::runtime(format!(
            "{name} is a list: ask for {name}[1], not for a {}",
            super::plain::type_name(other)
        )),
    }
}

/// A single value as the script's.
fn scalar(lua: &Lua, value: &Field<'_>) -> Result<Value> {
    Ok(match value {
        Field::Bool(value) => Value::Boolean(*value),
        Field::I64(value) if value.unsigned_abs() <= EXACT => Value::Number(*value as f64),
        Field::U64(value) if *value <= EXACT => Value::Number(*value as f64),
        // A double would change it, so it stays text, as in protobuf's JSON.
        Field::I64(value) => Value::String(lua.create_string(value.to_string())?),
        Field::U64(value) => Value::String(lua.create_string(value.to_string())?),
        Field::F32(value) => Value::Number(f64::from(*value)),
        Field::F64(value) => Value::Number(*value),
        Field::Str(text) => Value::String(lua.create_string(text)?),
        Field::Bytes(bytes) => Value::String(lua.create_string(bytes)?),
        Field::Enum {
            name: Some(name), ..
        } => Value::String(lua.create_string(name)?),
        Field::Enum { number, .. } => Value::Number(f64::from(*number)),
        _ => Value::Nil,
    })
}

impl UserData for View {
    fn add_methods<M: UserDataMethods<Self>>(methods: &mut M) {
        methods.add_meta_method(MetaMethod::Index, |lua, this, name: mlua::LuaString| {
            this.get(lua, &name.as_bytes())
        });
        methods.add_meta_method(MetaMethod::ToString, |_, this, ()| Ok(this.json()));
        methods.add_meta_method(MetaMethod::Eq, |_, this, other: mlua::UserDataRef<Self>| {
            Ok(
                this.kind.message.full_name() == other.kind.message.full_name()
                    && this.wire() == other.wire(),
            )
        });
        methods.add_meta_method(
            MetaMethod::NewIndex,
            |_, _, (name, _): (String, Value)| -> Result<()> {
                Err(Error::runtime(format!(
                    "`{name}` cannot be set: the message is a reply's"
                )))
            },
        );
    }
}

/// One field of every message of a list as a list of its own, for each of the paths: many times
/// cheaper than to look at message after message.
///
/// # Errors
/// When it is no list, or a path does not lead to a number, text or truth value.
pub(super) fn columns(
    lua: &Lua,
    list: &mlua::AnyUserData,
    paths: &[mlua::LuaString],
) -> Result<Vec<mlua::Table>> {
    let list = list
        .borrow::<List>()
        .map_err(|_| Error::runtime("columns() wants a list of messages and paths"))?;
    let items = list.items()?;
    let column = |path: &mlua::LuaString| {
        let path = list.kind.path(&path.to_str()?)?;
        let column = lua.create_table_with_capacity(items.len(), 0)?;
        for (item, at) in items.iter().zip(1..) {
            let value = path.get(item.wire()).map_err(broken)?;
            column.raw_set(at, scalar(lua, &value)?)?;
        }
        Ok(column)
    };
    let _unlimited = Unlimited::new(lua);
    paths.iter().map(column).collect()
}

/// The messages of a repeated field.
#[derive(Debug)]
struct List {
    of: View,
    field: FieldRef,
    /// The type of the messages.
    kind: Rc<Kind>,
    /// The messages, once one of them was asked for: often only their number is.
    items: OnceCell<Vec<View>>,
}

impl List {
    fn len(&self) -> Result<usize> {
        if let Some(items) = self.items.get() {
            return Ok(items.len());
        }
        let found = self.of.kind.message.get(self.field, self.of.wire());
        match found.map_err(broken)? {
            Field::List { len } => Ok(len as usize),
            _ => Ok(0),
        }
    }

    fn items(&self) -> Result<&[View]> {
        if let Some(items) = self.items.get() {
            return Ok(items);
        }
        let found = self.of.kind.message.items(self.field, self.of.wire());
        let items = found.map_err(broken)?;
        let items = items.iter().map(|item| match item {
            Field::Message(part) => self.of.part(Rc::clone(&self.kind), part),
            _ => View::new(Rc::clone(&self.kind), Rc::clone(&self.of.bytes), 0, 0),
        });
        Ok(self.items.get_or_init(|| items.collect()))
    }
}

impl UserData for List {
    fn add_methods<M: UserDataMethods<Self>>(methods: &mut M) {
        methods.add_meta_method(MetaMethod::Len, |_, this, ()| this.len());
        methods.add_meta_method(MetaMethod::Index, |_, this, key: Value| {
            let items = this.items()?;
            let at = super::request::whole_number(&key).and_then(|at| usize::try_from(at - 1).ok());
            let item = at.and_then(|at| items.get(at)).cloned();
            item.ok_or_else(|| {
                out_of_range(
                    this.of.kind.message.info(this.field).name,
                    items.len(),
                    &key,
                )
            })
        });
        methods.add_meta_function(MetaMethod::Iter, |lua, this: mlua::AnyUserData| {
            let next =
                lua.create_function(|lua, (list, at): (mlua::AnyUserData, Option<usize>)| {
                    let list = list.borrow::<Self>()?;
                    let at = at.unwrap_or(0);
                    match list.items()?.get(at) {
                        Some(item) => Ok((
                            Some(at + 1),
                            Value::UserData(lua.create_userdata(item.clone())?),
                        )),
                        None => Ok((None, Value::Nil)),
                    }
                })?;
            Ok((next, this, Value::Nil))
        });
        methods.add_meta_method(MetaMethod::ToString, |_, this, ()| {
            let items: Vec<String> = this.items()?.iter().map(View::json).collect();
            Ok(format!("[{}]", items.join(",")))
        });
    }
}
