//! Message types as scripts see them: `P.Team` is one, `P.Team { name = "x" }` is its bytes.

use std::cell::{OnceCell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

use isukit_proto::{FieldKind, FieldPath, FieldRef, Message, Schema, WriteValue, Writer};
use mlua::{Error, Lua, MetaMethod, Result, Table, UserData, UserDataMethods, Value};
use rustc_hash::FxHashMap;

use super::plain::type_name;
use super::request::{Payload, unknown};
use super::view::View;

/// What a field leads to.
#[derive(Debug)]
pub(super) enum Access {
    /// A number, text or truth value.
    Scalar,
    Message(Child),
    /// A list of scalars.
    Scalars,
    Messages(Child),
    /// A map; a child when its values are messages.
    Map(Option<Child>),
}

/// The type of a field, looked up when it is first needed: types refer to each other in circles.
#[derive(Debug)]
pub(super) struct Child {
    message: Message,
    kind: OnceCell<Rc<Kind>>,
}

impl Child {
    fn new(message: &Message) -> Self {
        Self {
            message: message.clone(),
            kind: OnceCell::new(),
        }
    }

    pub(super) fn kind(&self, kinds: &Kinds) -> Rc<Kind> {
        Rc::clone(self.kind.get_or_init(|| kinds.of(&self.message)))
    }
}

/// A message type with its fields by name.
#[derive(Debug)]
pub(super) struct Kind {
    pub(super) message: Message,
    fields: FxHashMap<Box<str>, (FieldRef, Access)>,
    /// The fields by number, with the names of the `.proto` file.
    order: Vec<(Box<str>, FieldRef)>,
    /// Paths that a script has asked for.
    paths: RefCell<FxHashMap<Box<str>, FieldPath>>,
}

impl Kind {
    fn new(message: &Message) -> Self {
        let mut fields = FxHashMap::default();
        let mut order = Vec::new();
        for field in message.fields() {
            let info = message.info(field);
            let access = || match &info.kind {
                FieldKind::Message(message) => Access::Message(Child::new(message)),
                FieldKind::List(item) => match &**item {
                    FieldKind::Message(message) => Access::Messages(Child::new(message)),
                    _ => Access::Scalars,
                },
                FieldKind::Map(_, value) => match &**value {
                    FieldKind::Message(message) => Access::Map(Some(Child::new(message))),
                    _ => Access::Map(None),
                },
                _ => Access::Scalar,
            };
            fields.insert(info.json_name.into(), (field, access()));
            fields.insert(info.name.into(), (field, access()));
            order.push((info.name.into(), field));
        }
        Self {
            message: message.clone(),
            fields,
            order,
            paths: RefCell::default(),
        }
    }

    /// The path with this text, such as `team.id`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn path(&self, text: &str) -> Result<FieldPath> {
        const PATHS: usize = 100;
        if let Some(path) = self.paths.borrow().get(text) {
            return Ok(path.clone());
        }
        let path = self.message.path(text);
        let path = path.map_err(|error| Error::runtime(error.to_string()))?;
        let mut paths = self.paths.borrow_mut();
        if paths.len() < PATHS {
            paths.insert(text.into(), path.clone());
        }
        Ok(path)
    }

    /// The field with this name.
    ///
    /// # Errors
    /// With the nearest name when there is none.
    pub(super) fn field(&self, name: &[u8]) -> Result<&(FieldRef, Access)> {
        let name = std::str::from_utf8(name).map_err(Error::external)?;
        self.fields.get(name).ok_or_else(|| self.unknown(name))
    }

    fn unknown(&self, name: &str) -> Error {
        let known: Vec<&str> = self.order.iter().map(|(name, _)| &**name).collect();
        unknown(
            name,
            &format!("field of {}", self.message.full_name()),
            &known,
        )
    }
}

/// All message types that were met, by full name.
#[derive(Debug, Default)]
pub(super) struct Kinds {
    known: RefCell<HashMap<Box<str>, Rc<Kind>>>,
}

impl Kinds {
    /// What is known of a message type.
    pub(super) fn of(&self, message: &Message) -> Rc<Kind> {
        if let Some(kind) = self.known.borrow().get(message.full_name()) {
            return Rc::clone(kind);
        }
        let kind = Rc::new(Kind::new(message));
        let name = message.full_name().into();
        self.known.borrow_mut().insert(name, Rc::clone(&kind));
        kind
    }
}

/// A message type in a script.
#[derive(Debug)]
pub(super) struct MessageType {
    kind: Rc<Kind>,
    schema: Schema,
}

impl MessageType {
    /// The type that a script calls `name`: its full name, or what follows the package where that is
    /// one type's only. `None` when it is a package or the outer part of names.
    ///
    /// # Errors
    /// With the nearest name when there is none.
    pub(super) fn find(kinds: &Kinds, schema: &Schema, name: &str) -> Result<Self> {
        let message = find_message(schema, name)?;
        Ok(Self {
            kind: kinds.of(&message),
            schema: schema.clone(),
        })
    }

    /// Put the types of a schema into `P`, so that a script finds them without a call; those that are
    /// too many are found when they are asked for.
    ///
    /// # Errors
    /// When there is no memory.
    pub(super) fn fill(types: &Table, kinds: &Kinds, schema: &Schema) -> Result<()> {
        const TYPES: usize = 500;
        let mut short: HashMap<String, Option<Message>> = HashMap::new();
        for message in schema.messages().take(TYPES) {
            let full = message.full_name();
            let name = full.rsplit('.').next().unwrap_or(full).to_owned();
            // A name that is two types' is an error when it is asked for.
            short
                .entry(name)
                .and_modify(|found| *found = None)
                .or_insert_with(|| Some(message.clone()));
        }
        if schema.messages().count() > TYPES {
            return Ok(());
        }
        for (name, message) in short {
            if let Some(message) = message {
                let kind = kinds.of(&message);
                let schema = schema.clone();
                types.raw_set(name, Self { kind, schema })?;
            }
        }
        Ok(())
    }

    pub(super) fn message(&self) -> &Message {
        &self.kind.message
    }

    /// What is inside of it: a message type, or an enum as a table of its names.
    fn inner(&self, lua: &Lua, kinds: &Kinds, name: &str) -> Result<Value> {
        let full = format!("{}.{name}", self.message().full_name());
        if let Ok(message) = self.schema.message(&full) {
            let inner = Self {
                kind: kinds.of(&message),
                schema: self.schema.clone(),
            };
            return Ok(Value::UserData(lua.create_userdata(inner)?));
        }
        if let Some(info) = self.schema.enums().find(|info| info.name == full) {
            return enum_table(lua, info.name, info.values.iter().map(|(name, _)| *name));
        }
        Err(Error::runtime(format!(
            "{} has no message or enum `{name}` inside of it",
            self.message().full_name()
        )))
    }
}

/// What `P` has by the name: a message type, or an enum that is inside of none, as a table of its
/// names.
///
/// # Errors
/// As [`MessageType::find`].
pub(super) fn find(lua: &Lua, kinds: &Kinds, schema: &Schema, name: &str) -> Result<Value> {
    let error = match MessageType::find(kinds, schema, name) {
        Ok(found) => return Ok(Value::UserData(lua.create_userdata(found)?)),
        Err(error) => error,
    };
    let suffix = format!(".{name}");
    let mut enums = schema
        .enums()
        .filter(|info| info.name == name || info.name.ends_with(&suffix));
    match (enums.next(), enums.next()) {
        (Some(info), None) => enum_table(lua, info.name, info.values.iter().map(|(name, _)| *name)),
        _ => Err(error),
    }
}

/// The message type a script means by `name`.
///
/// # Errors
/// With the nearest name when there is none, or all that it could be.
pub(super) fn find_message(schema: &Schema, name: &str) -> Result<Message> {
    if let Ok(message) = schema.message(name) {
        return Ok(message);
    }
    let suffix = format!(".{name}");
    let found: Vec<String> = schema
        .messages()
        .map(|message| message.full_name().to_owned())
        .filter(|full| full.ends_with(&suffix))
        .collect();
    match found.as_slice() {
        [one] => schema.message(one).map_err(Error::external),
        [] => {
            let short = |full: &String| full.rsplit('.').next().unwrap_or(full).to_owned();
            let all: Vec<String> = schema
                .messages()
                .map(|m| m.full_name().to_owned())
                .collect();
            let names: Vec<String> = all.iter().map(short).collect();
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            Err(unknown(name, "message type", &names))
        }
        several => Err(Error::runtime(format!(
            "`{name}` could be {}; write P[\"{}\"]",
            several.join(" or "),
            several[0]
        ))),
    }
}

/// The names of an enum as a table: `P.Job.Status.FINISHED` is `"FINISHED"`.
pub(super) fn enum_table<'n>(
    lua: &Lua,
    name: &str,
    names: impl Iterator<Item = &'n str>,
) -> Result<Value> {
    let table = lua.create_table()?;
    let mut known = Vec::new();
    for name in names {
        table.raw_set(name, name)?;
        known.push(name.to_owned());
    }
    let meta = lua.create_table()?;
    let what = format!("value of {name}");
    let missing = lua.create_function(move |_, (_, key): (Value, String)| -> Result<Value> {
        let known: Vec<&str> = known.iter().map(String::as_str).collect();
        Err(unknown(&key, &what, &known))
    })?;
    meta.raw_set("__index", missing)?;
    table.set_metatable(Some(meta))?;
    table.set_readonly(true);
    Ok(Value::Table(table))
}

impl UserData for MessageType {
    fn add_methods<M: UserDataMethods<Self>>(methods: &mut M) {
        methods.add_meta_method(MetaMethod::Call, |_, this, fields: Option<Table>| {
            let mut bytes = Vec::new();
            let mut writer = this.kind.message.writer(&mut bytes);
            if let Some(fields) = &fields {
                write_fields(&mut writer, &this.kind, fields)?;
            }
            writer.finish().map_err(write_error)?;
            Ok(Body::Message(this.kind.message.clone(), bytes))
        });
        methods.add_meta_method(MetaMethod::Index, |lua, this, name: String| {
            let kinds = super::vm::kinds(lua)?;
            this.inner(lua, &kinds, &name)
        });
        methods.add_meta_method(MetaMethod::ToString, |_, this, ()| {
            Ok(this.message().full_name().to_owned())
        });
    }
}

fn write_error(error: impl std::fmt::Display) -> Error {
    Error::runtime(error.to_string())
}

/// Write the fields of a table, by field number: a table has no order of its own.
fn write_fields(writer: &mut Writer<'_>, kind: &Kind, fields: &Table) -> Result<()> {
    let mut found = 0;
    for (name, field) in &kind.order {
        let mut value: Value = fields.raw_get(&**name)?;
        if value.is_nil() {
            let json_name = kind.message.info(*field).json_name;
            if json_name == &**name {
                continue;
            }
            value = fields.raw_get(json_name)?;
            if value.is_nil() {
                continue;
            }
        }
        found += 1;
        write_field(writer, kind, *field, name, &value)?;
    }
    let mut given = 0;
    fields.for_each(|_: Value, _: Value| {
        given += 1;
        Ok(())
    })?;
    if given == found {
        return Ok(());
    }
    // Something is in the table that is no field, or a field has two names in it.
    for pair in fields.pairs::<Value, Value>() {
        match pair?.0 {
            Value::String(name) => {
                kind.field(&name.as_bytes())?;
            }
            other => {
                return Err(Error::runtime(format!(
                    "a {} is no field of {}; write NAME = VALUE",
                    type_name(&other),
                    kind.message.full_name()
                )));
            }
        }
    }
    Err(Error::runtime(
        "a field is given twice, by both of its names",
    ))
}

fn write_field(
    writer: &mut Writer<'_>,
    kind: &Kind,
    field: FieldRef,
    name: &str,
    value: &Value,
) -> Result<()> {
    let (_, access) = kind.field(name.as_bytes())?;
    let wrong = |wanted: &str| {
        Error::runtime(format!(
            "{}.{name} is a {}, but should be {wanted}",
            kind.message.full_name(),
            type_name(value)
        ))
    };
    match (access, value) {
        (Access::Message(child), Value::Table(table)) => {
            write_child(writer, child, field, table)?;
        }
        (Access::Messages(child), Value::Table(list)) => {
            for item in list.sequence_values::<Value>() {
                match item? {
                    Value::Table(table) => write_child(writer, child, field, &table)?,
                    scalar => put(writer, field, &scalar, &wrong)?,
                }
            }
        }
        (Access::Scalars, Value::Table(list)) => {
            for item in list.sequence_values::<Value>() {
                put(writer, field, &item?, &wrong)?;
            }
        }
        (Access::Map(child), Value::Table(map)) => {
            write_map(writer, child.as_ref(), field, map, &wrong)?;
        }
        (Access::Messages(_) | Access::Scalars, _) => return Err(wrong("a list")),
        (Access::Map(_), _) => return Err(wrong("a table of keys and values")),
        (_, value) => put(writer, field, value, &wrong)?,
    }
    Ok(())
}

fn write_child(
    writer: &mut Writer<'_>,
    child: &Child,
    field: FieldRef,
    table: &Table,
) -> Result<()> {
    // The types of what is written are few: no need to keep them.
    let kind = child
        .kind
        .get_or_init(|| Rc::new(Kind::new(&child.message)));
    writer.begin(field).map_err(write_error)?;
    write_fields(writer, kind, table)?;
    writer.end().map_err(write_error)
}

fn write_map(
    writer: &mut Writer<'_>,
    child: Option<&Child>,
    field: FieldRef,
    map: &Table,
    wrong: &dyn Fn(&str) -> Error,
) -> Result<()> {
    let mut entries = Vec::new();
    for pair in map.pairs::<Value, Value>() {
        let (key, value) = pair?;
        let shown = match &key {
            Value::String(key) => key.as_bytes().to_vec(),
            other => other.to_string()?.into_bytes(),
        };
        entries.push((shown, key, value));
    }
    entries.sort_by(|(a, ..), (b, ..)| a.cmp(b));
    for (_, key, value) in &entries {
        match (child, value) {
            (Some(child), Value::Table(table)) => {
                let kind = child
                    .kind
                    .get_or_init(|| Rc::new(Kind::new(&child.message)));
                let item = with_scalar(key, wrong, |key| {
                    writer.begin_entry(field, key).map_err(write_error)
                })?;
                writer.begin(item).map_err(write_error)?;
                write_fields(writer, kind, table)?;
                writer.end().map_err(write_error)?;
                writer.end().map_err(write_error)?;
            }
            _ => with_scalar(key, wrong, |key| {
                with_scalar(value, wrong, |value| {
                    writer.put_entry(field, key, value).map_err(write_error)
                })
            })?,
        }
    }
    Ok(())
}

fn put(
    writer: &mut Writer<'_>,
    field: FieldRef,
    value: &Value,
    wrong: &dyn Fn(&str) -> Error,
) -> Result<()> {
    with_scalar(value, wrong, |value| {
        writer.put(field, value).map_err(write_error)
    })
}

fn with_scalar<T>(
    value: &Value,
    wrong: &dyn Fn(&str) -> Error,
    go_on: impl FnOnce(WriteValue<'_>) -> Result<T>,
) -> Result<T> {
    match value {
        Value::Boolean(value) => go_on(WriteValue::Bool(*value)),
        Value::Integer(value) => go_on(WriteValue::I64(*value)),
        Value::Number(value) => go_on(WriteValue::F64(*value)),
        Value::String(text) => {
            let bytes = text.as_bytes();
            match std::str::from_utf8(&bytes) {
                Ok(text) => go_on(WriteValue::Str(text)),
                Err(_) => go_on(WriteValue::Bytes(&bytes)),
            }
        }
        Value::UserData(_) => Err(wrong(
            "a table of fields: write { ... } inside of a message, without its type",
        )),
        _ => Err(wrong("a number, string or boolean, or a table of fields")),
    }
}

/// A body to send.
#[derive(Debug, Clone)]
pub(super) enum Body {
    Message(Message, Vec<u8>),
    Bytes(Vec<u8>, &'static str),
}

impl Body {
    pub(super) fn payload(&self) -> Payload {
        match self {
            Self::Message(_, bytes) => Payload::Message(bytes.clone()),
            Self::Bytes(bytes, media_type) => Payload::Bytes(bytes.clone(), Some(media_type)),
        }
    }
}

impl Body {
    /// Its message type, if it has one.
    pub(super) fn message(&self) -> Option<Message> {
        match self {
            Self::Message(message, _) => Some(message.clone()),
            Self::Bytes(..) => None,
        }
    }
}

impl UserData for Body {}

/// A view of a whole body as a message.
pub(super) fn view(kinds: &Kinds, message: &Message, bytes: &Rc<[u8]>, from: usize) -> View {
    View::new(kinds.of(message), Rc::clone(bytes), from, bytes.len())
}
