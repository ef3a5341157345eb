//! Which bodies are wanted, in CEL: `status >= 400 && message.team.id == 7`.

use std::fmt;
use std::sync::Arc;

use cel::{Context, Env, Program, Value};
use isukit_proto::{JsonOptions, Message, nearest};
use thiserror::Error;

use super::Content;
use super::Direction;
use super::decoder::Decoded;
use crate::condition::json_value;
use crate::digest::timestamp_with;

/// A filter that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum BodyFilterError {
    /// Not CEL.
    #[error("`{expression}` is not a CEL expression: {cause}")]
    Syntax {
        /// The filter.
        expression: String,
        /// What the parser says.
        cause: String,
    },
    /// It names something that bodies do not have.
    #[error("in `{expression}`: there is no `{name}`{hint}; names are {} (fields are message.team.id; time is text, as in 2026-11-20T10:00:00Z; latency is seconds)", NAMES.join(", "))]
    Name {
        /// The filter.
        expression: String,
        /// The name.
        name: String,
        /// The nearest name, as a question.
        hint: String,
    },
}

/// Longer filters are refused: nesting costs stack, and nobody writes so much by hand.
const LONGEST: usize = 2_000;

const NAMES: [&str; 18] = [
    "bytes",
    "client",
    "confidence",
    "connection",
    "content",
    "direction",
    "error",
    "exchange",
    "index",
    "latency",
    "message",
    "method",
    "path",
    "route",
    "server",
    "status",
    "time",
    "type",
];

/// A condition on decoded bodies.
pub struct BodyFilter {
    expression: String,
    program: Program,
    env: Arc<Env>,
    /// What it names: `url` and those of [`NAMES`].
    names: Vec<&'static str>,
}

impl fmt::Debug for BodyFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("BodyFilter").field(&self.expression).finish()
    }
}

impl BodyFilter {
    /// Read a filter.
    ///
    /// # Errors
    /// [`BodyFilterError`] for what can be known before the first body.
    pub fn new(expression: &str) -> Result<Self, BodyFilterError> {
        let syntax = |cause: String| BodyFilterError::Syntax {
            expression: expression.chars().take(200).collect(),
            cause,
        };
        if expression.len() > LONGEST {
            return Err(syntax(format!("it is longer than {LONGEST} bytes")));
        }
        let program = Program::compile(expression)
            .map_err(|error| syntax(error.to_string().trim().replace('\n', " ")))?;
        let known = || NAMES.into_iter().chain(["url"]);
        let mut names = Vec::new();
        for used in program.references().variables() {
            let Some(name) = known().find(|name| *name == used) else {
                let near = nearest(used, known());
                return Err(BodyFilterError::Name {
                    expression: expression.to_owned(),
                    name: used.to_owned(),
                    hint: near.map_or_else(String::new, |near| format!(", did you mean {near}?")),
                });
            };
            names.push(name);
        }
        Ok(Self {
            expression: expression.to_owned(),
            program,
            env: Arc::new(Env::stdlib()),
            names,
        })
    }

    /// Whether it holds.
    ///
    /// # Errors
    /// For people: why that cannot be said, as of a field that this message does not have.
    pub fn holds(&self, decoded: &Decoded<'_>) -> Result<bool, String> {
        let mut context = Context::with_env(Arc::clone(&self.env));
        for name in &self.names {
            context.add_variable_from_value(*name, value(decoded, name));
        }
        match self.program.execute(&context) {
            Ok(Value::Bool(holds)) => Ok(holds),
            Ok(other) => Err(format!("it gives {:?}, not true or false", other.type_of())),
            Err(error) => Err(error.to_string()),
        }
    }
}

fn value(decoded: &Decoded<'_>, name: &str) -> Value {
    let body = decoded.body;
    let text = |text: &str| match text {
        "" => Value::Null,
        text => Value::from(text),
    };
    let count = |count: u64| Value::Int(i64::try_from(count).unwrap_or(i64::MAX));
    match name {
        "bytes" => count(decoded.plain.len() as u64),
        "client" => body
            .ends
            .map_or(Value::Null, |(client, _)| text(&client.to_string())),
        "server" => body
            .ends
            .map_or(Value::Null, |(_, server)| text(&server.to_string())),
        "confidence" => decoded
            .choice
            .map_or(Value::Null, |choice| Value::Float(choice.best().confidence)),
        "connection" => body.connection.map_or(Value::Null, count),
        "content" => text(decoded.content.label()),
        "direction" => text(body.sender().map_or("", Direction::label)),
        "error" => text(decoded.error.unwrap_or("")),
        "exchange" => body.exchange.map_or(Value::Null, count),
        "index" => count(decoded.index),
        "latency" => body
            .latency_us
            .map_or(Value::Null, |latency| Value::Float(latency as f64 / 1e6)),
        "message" => message(decoded),
        "method" => text(body.method),
        "path" => text(path(body.url)),
        "url" => text(body.url),
        "route" => text(decoded.route),
        "status" => body
            .status
            .map_or(Value::Null, |status| Value::Int(status.into())),
        // Whole seconds: with a fraction a text would come before the one without.
        "time" => (body.time_us).map_or(Value::Null, |at| text(&timestamp_with(at, 0))),
        "type" => decoded
            .message()
            .map_or(Value::Null, |message| text(message.full_name())),
        _ => Value::Null,
    }
}

fn path(url: &str) -> &str {
    let (target, path) = crate::access::split_target(url.as_bytes());
    // Both cuts are at ASCII bytes.
    let start = url.len() - target.len();
    &url[start..start + path]
}

/// The message with every field, by both of its names: as in JSON and as in the `.proto`.
fn message(decoded: &Decoded<'_>) -> Value {
    if let (Content::Protobuf, Some(message)) = (decoded.content, decoded.message()) {
        let of = |options: JsonOptions| tree(message, decoded.readable, options);
        let options = JsonOptions::new().defaults(true).plain_integers(true);
        if let (Some(mut json), Some(proto)) = (of(options), of(options.proto_names(true))) {
            add(&mut json, proto);
            return json_value(&json);
        }
    }
    serde_json::from_slice(decoded.json).map_or(Value::Null, |json| json_value(&json))
}

fn tree(message: &Message, bytes: &[u8], options: JsonOptions) -> Option<serde_json::Value> {
    let mut json = Vec::new();
    message.to_json(bytes, &options, &mut json).ok()?;
    serde_json::from_slice(&json).ok()
}

/// Add the keys of the same tree under other names.
fn add(tree: &mut serde_json::Value, other: serde_json::Value) {
    use serde_json::Value::{Array, Object};
    match (tree, other) {
        (Object(fields), Object(others)) => {
            // Both have the same fields in the same order, whatever they are called.
            let values: Vec<_> = others.into_iter().collect();
            for (value, (_, other)) in fields.values_mut().zip(&values) {
                add(value, other.clone());
            }
            let merged: Vec<_> = fields.values().cloned().collect();
            for ((name, _), value) in values.into_iter().zip(merged) {
                fields.entry(name).or_insert(value);
            }
        }
        (Array(items), Array(others)) => {
            for (item, other) in items.iter_mut().zip(others) {
                add(item, other);
            }
        }
        _ => {}
    }
}
