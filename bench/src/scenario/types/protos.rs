//! A schema's messages as Luau types.
//!
//! Each message has three: what a reply shows (`Team`), what a message to send is made from
//! (`TeamFields`), and what makes it (`TeamType`, which `P.Team` is).

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fmt::Write;

use isukit_proto::{FieldKind, Message, Schema};

use super::{HOST, quoted};

/// Types of Luau, which no message may be called.
const PRIMITIVES: [&str; 11] = [
    "any", "boolean", "buffer", "never", "nil", "number", "string", "thread", "unknown",
    "userdata", "vector",
];

/// Words of Luau that are no names.
const KEYWORDS: [&str; 21] = [
    "and", "break", "do", "else", "elseif", "end", "false", "for", "function", "if", "in", "local",
    "nil", "not", "or", "repeat", "return", "then", "true", "until", "while",
];

/// Endings of the names of a message's types.
const ENDINGS: [&str; 3] = ["", "Fields", "Type"];

/// The messages and enums of a schema, with the names of their types.
pub(super) struct Protos {
    /// By full name.
    messages: BTreeMap<String, (Message, String)>,
    enums: BTreeMap<String, Enum>,
    /// What `P` has: the name there, and the type.
    entries: BTreeMap<String, String>,
}

struct Enum {
    alias: String,
    values: Vec<String>,
    closed: bool,
}

impl Enum {
    /// The type of the table of its names.
    fn names(&self) -> String {
        let values = self.values.iter();
        let values: Vec<String> = values
            .map(|value| format!("{}: {}", property(value), quoted(value)))
            .collect();
        format!("{{ {} }}", values.join(", "))
    }
}

impl Protos {
    /// All messages of a schema, the well-known ones as far as they are used.
    pub(super) fn new(schema: &Schema) -> Self {
        let mut names = Names::new(schema);
        let messages: BTreeMap<String, (Message, String)> = used(schema)
            .into_iter()
            .map(|(full, message)| {
                let name = names.choose(&full, &ENDINGS);
                (full, (message, name))
            })
            .collect();
        let mut enums = BTreeMap::new();
        let mut infos: Vec<_> = schema.enums().collect();
        infos.sort_by_key(|info| info.name);
        for info in infos {
            let values = info.values.iter().map(|(name, _)| (*name).to_owned());
            let named = Enum {
                alias: names.choose(info.name, &[""]),
                values: values.collect(),
                closed: info.closed,
            };
            enums.insert(info.name.to_owned(), named);
        }
        let mut protos = Self {
            messages,
            enums,
            entries: BTreeMap::new(),
        };
        protos.enter(schema);
        protos
    }

    /// Fill `P`: what a script may write there is what the schema finds.
    fn enter(&mut self, schema: &Schema) {
        let last = |full: &str| full.rsplit('.').next().unwrap_or(full).to_owned();
        for (full, (_, name)) in &self.messages {
            self.entries.insert(full.clone(), format!("{name}Type"));
            if matches!(schema.message(&last(full)), Ok(found) if found.full_name() == full) {
                self.entries.insert(last(full), format!("{name}Type"));
            }
        }
        for (full, info) in &self.enums {
            if !self.is_shown(full) {
                continue;
            }
            let named = |other: &&String| last(other) == last(full);
            let is_only = self.enums.keys().filter(named).count() == 1;
            if is_only && schema.message(&last(full)).is_err() {
                self.entries.insert(last(full), info.names());
            }
            self.entries.insert(full.clone(), info.names());
        }
    }

    /// The type of replies that are this message.
    pub(super) fn class(&self, full_name: &str) -> Option<&str> {
        self.messages.get(full_name).map(|(_, name)| &**name)
    }

    /// Write all of it.
    pub(super) fn write(&self, out: &mut String) {
        out.push_str(
            "\n-- The scenario's messages. A reply's are read only; integers beyond 2^53 are text in \
             them,\n-- and a number in place of an enum's name is a value that has none.\n",
        );
        for (full, info) in &self.enums {
            if self.is_shown(full) {
                let mut union: Vec<String> = info.values.iter().map(|n| quoted(n)).collect();
                union.extend((!info.closed).then(|| "number".to_owned()));
                let _ = writeln!(out, "\n-- {full}");
                let _ = writeln!(out, "export type {} = {}", info.alias, union.join(" | "));
            }
        }
        for (full, (message, name)) in &self.messages {
            self.write_message(out, full, message, name);
        }
        out.push_str("\n-- All message types, by short and by full name.\ndeclare P: {\n");
        for (key, kind) in &self.entries {
            let _ = writeln!(out, "\t{}: {kind},", property(key));
        }
        out.push_str("}\n");
    }

    /// Whether an enum is one of the scenario's or used by what is shown.
    fn is_shown(&self, full: &str) -> bool {
        let uses = |kind: &FieldKind| matches!(kind, FieldKind::Enum(name) if name == full);
        !is_google(full)
            || self.messages.values().any(|(message, _)| {
                let mut fields = message.fields();
                fields.any(|field| single_kinds(&message.info(field).kind).any(uses))
            })
    }

    fn write_message(&self, out: &mut String, full: &str, message: &Message, name: &str) {
        let _ = writeln!(out, "\n-- {full}\ndeclare class {name}");
        for field in message.fields() {
            let info = message.info(field);
            let kind = self.shown(&info.kind);
            let _ = writeln!(out, "\t{}: {kind}", property(info.name));
        }
        out.push_str("end\n");
        let _ = writeln!(out, "export type {name}Fields = {{");
        for field in message.fields() {
            let info = message.info(field);
            let kind = optional(self.taken(&info.kind));
            let _ = writeln!(out, "\t{}: {kind},", property(info.name));
        }
        out.push_str("\t[string]: nil,\n}\n");
        let inner = self.inner(full);
        let constructor = format!("(fields: {name}Fields?) -> Message<{name}>");
        let _ = match inner.is_empty() {
            // A function alone is what checkers say the most about.
            true => writeln!(out, "export type {name}Type = {constructor}"),
            false => writeln!(
                out,
                "export type {name}Type = ({constructor}) & {{\n{inner}}}"
            ),
        };
    }

    /// What is inside of a message type, a line each.
    fn inner(&self, outer: &str) -> String {
        fn inside<'f>(full: &'f str, outer: &str) -> Option<&'f str> {
            let inner = full.strip_prefix(outer)?.strip_prefix('.')?;
            (!inner.contains('.')).then_some(inner)
        }
        let mut out = String::new();
        for (full, (_, name)) in &self.messages {
            if let Some(inner) = inside(full, outer) {
                let _ = writeln!(out, "\t{}: {name}Type,", property(inner));
            }
        }
        for (full, info) in &self.enums {
            if let Some(inner) = inside(full, outer) {
                let _ = writeln!(out, "\t{}: {},", property(inner), info.names());
            }
        }
        out
    }

    /// What a field of a reply's message is.
    fn shown(&self, kind: &FieldKind) -> String {
        match kind {
            FieldKind::Bool => "boolean".to_owned(),
            FieldKind::String | FieldKind::Bytes => "string".to_owned(),
            FieldKind::Enum(name) => self.alias(name),
            FieldKind::Message(message) => self.name(message).to_owned(),
            FieldKind::List(item) => format!("{{ {} }}", self.shown(item)),
            FieldKind::Map(key, value) => {
                format!("{{ [{}]: {} }}", self.shown(key), self.shown(value))
            }
            _ => "number".to_owned(),
        }
    }

    /// What may be given for a field of a message to send.
    fn taken(&self, kind: &FieldKind) -> String {
        match kind {
            FieldKind::Message(message) => {
                let fields = format!("{}Fields", self.name(message));
                match instead(message.full_name()) {
                    Some(instead) => format!("{fields} | {instead}"),
                    None => fields,
                }
            }
            FieldKind::List(item) => format!("{{ {} }}", self.taken(item)),
            FieldKind::Map(key, value) => {
                format!("{{ [{}]: {} }}", self.taken(key), self.taken(value))
            }
            FieldKind::Bool | FieldKind::String | FieldKind::Bytes | FieldKind::Enum(_) => {
                self.shown(kind)
            }
            // Text for those that a number cannot hold.
            _ => "number | string".to_owned(),
        }
    }

    fn alias(&self, full_name: &str) -> String {
        let known = self.enums.get(full_name);
        known.map_or_else(|| "string | number".to_owned(), |info| info.alias.clone())
    }

    fn name(&self, message: &Message) -> &str {
        self.class(message.full_name()).unwrap_or("any")
    }
}

/// What else than its fields a well-known message can be made from.
fn instead(full_name: &str) -> Option<&'static str> {
    Some(match full_name.strip_prefix("google.protobuf.")? {
        "Timestamp" | "Duration" => "number | string",
        "Value" => "number | string | boolean",
        "BoolValue" => "boolean",
        "StringValue" | "BytesValue" => "string",
        "DoubleValue" | "FloatValue" | "Int32Value" | "Int64Value" | "UInt32Value"
        | "UInt64Value" => "number | string",
        _ => return None,
    })
}

/// The same or nothing.
fn optional(kind: String) -> String {
    if kind.contains('|') && !kind.starts_with('{') {
        format!("({kind})?")
    } else {
        format!("{kind}?")
    }
}

fn is_google(full_name: &str) -> bool {
    full_name.starts_with("google.protobuf.")
}

/// A field's kind, or those of its elements.
fn single_kinds(kind: &FieldKind) -> impl Iterator<Item = &FieldKind> {
    let (first, second) = match kind {
        FieldKind::List(item) => (&**item, None),
        FieldKind::Map(key, value) => (&**key, Some(&**value)),
        single => (single, None),
    };
    std::iter::once(first).chain(second)
}

/// All messages by full name, the well-known ones as far as others use them.
fn used(schema: &Schema) -> BTreeMap<String, Message> {
    let mut left: Vec<Message> = schema
        .messages()
        .filter(|message| !is_google(message.full_name()))
        .collect();
    let mut found = BTreeMap::new();
    while let Some(message) = left.pop() {
        let full = message.full_name().to_owned();
        if found.contains_key(&full) {
            continue;
        }
        for field in message.fields() {
            for kind in single_kinds(&message.info(field).kind) {
                if let FieldKind::Message(child) = kind {
                    left.push(child.clone());
                }
            }
        }
        found.insert(full, message);
    }
    found
}

/// A property with this name.
fn property(name: &str) -> String {
    let is_name = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    if is_name && !KEYWORDS.contains(&name) {
        name.to_owned()
    } else {
        format!("[{}]", quoted(name))
    }
}

/// Names of types, each given once.
struct Names {
    taken: HashSet<String>,
    /// Full names of messages: what is inside of them is called after them.
    outer: BTreeSet<String>,
}

impl Names {
    fn new(schema: &Schema) -> Self {
        let host = HOST.lines().filter_map(|line| {
            let rest = line
                .strip_prefix("export type ")
                .or_else(|| line.strip_prefix("declare class "))?;
            let name = |c: char| c.is_ascii_alphanumeric() || c == '_';
            Some(rest.split(|c| !name(c)).next()?.to_owned())
        });
        let own = PRIMITIVES.iter().chain(&KEYWORDS);
        Self {
            taken: host.chain(own.map(|name| (*name).to_owned())).collect(),
            outer: schema
                .messages()
                .map(|message| message.full_name().to_owned())
                .collect(),
        }
    }

    /// A name for `full` that is free with each of these endings: without the package if possible.
    fn choose(&mut self, full: &str, endings: &[&str]) -> String {
        let parts: Vec<&str> = full.split('.').collect();
        let outermost = (1..parts.len())
            .find(|count| self.outer.contains(&parts[..*count].join(".")))
            .unwrap_or(parts.len());
        let mut name = parts[outermost - 1..].join("_");
        let is_free = |taken: &HashSet<String>, name: &str| {
            let mut endings = endings.iter();
            endings.all(|ending| !taken.contains(&format!("{name}{ending}")))
        };
        if !is_free(&self.taken, &name) {
            name = parts.join("_");
        }
        while !is_free(&self.taken, &name) {
            name.push('_');
        }
        for ending in endings {
            self.taken.insert(format!("{name}{ending}"));
        }
        name
    }
}
