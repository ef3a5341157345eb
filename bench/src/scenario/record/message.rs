//! Decoded bodies as values whose kinds are known.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use isukit_proto::{FieldKind, JsonOptions, Message};
use serde_json::Value as Json;

use super::model::{Payload, Value};
use super::names::is_name;

/// A message as a script writes it; none when the script could not make the same bytes of it.
pub fn message(kind: &Message, bytes: &[u8]) -> Option<Payload> {
    let mut json = Vec::new();
    let options = JsonOptions::new().proto_names(true).plain_integers(true);
    kind.to_json(bytes, &options, &mut json).ok()?;
    let json: Json = serde_json::from_slice(&json).ok()?;
    Some(Payload::Message {
        kind: type_name(kind),
        full_name: kind.full_name().to_owned(),
        value: fields(kind, &json)?,
    })
}

/// JSON; none for what is none.
pub fn json(bytes: &[u8]) -> Option<Payload> {
    let json: Json = serde_json::from_slice(bytes).ok()?;
    Some(Payload::Json(plain(&json)))
}

/// A form.
pub fn form(bytes: &[u8]) -> Payload {
    let pairs = url::form_urlencoded::parse(bytes);
    Payload::Form(pairs.into_owned().collect())
}

/// How a script names a type.
fn type_name(kind: &Message) -> String {
    let full = kind.full_name();
    let short = full.rsplit('.').next().unwrap_or(full);
    let is_plain = is_name(short)
        && kind
            .schema()
            .message(short)
            .is_ok_and(|found| found == *kind);
    match is_plain {
        true => format!("P.{short}"),
        false => format!("P[\"{full}\"]"),
    }
}

fn fields(kind: &Message, json: &Json) -> Option<Value> {
    let mut found = Vec::new();
    for (name, value) in json.as_object()? {
        let field = kind.field(name).ok()?;
        found.push((name.clone(), typed(&kind.info(field).kind, value)?));
    }
    Some(Value::Fields(found))
}

fn typed(kind: &FieldKind, json: &Json) -> Option<Value> {
    Some(match (kind, json) {
        (FieldKind::Enum(_), Json::String(name)) => Value::Word(name.clone()),
        (FieldKind::Bytes, Json::String(text)) => Value::Bytes(STANDARD.decode(text).ok()?),
        (FieldKind::List(item), Json::Array(items)) => {
            let items = items.iter().map(|value| typed(item, value));
            Value::List(items.collect::<Option<_>>()?)
        }
        (FieldKind::Map(_, item), Json::Object(entries)) => {
            let entries = entries.iter();
            let entries = entries.map(|(key, value)| Some((key.clone(), typed(item, value)?)));
            Value::Fields(entries.collect::<Option<_>>()?)
        }
        (FieldKind::Message(message), value) => well_known(message, value)?,
        (_, value) => plain(value),
    })
}

/// Messages whose JSON is not that of their fields.
fn well_known(message: &Message, json: &Json) -> Option<Value> {
    match message.full_name().strip_prefix("google.protobuf.") {
        None | Some("Empty") => fields(message, json),
        Some("Timestamp" | "Duration") => Some(Value::Word(json.as_str()?.to_owned())),
        Some(name) if name.ends_with("Value") && !json.is_object() && !json.is_array() => {
            let field = message.field("value").ok()?;
            let value = typed(&message.info(field).kind, json)?;
            Some(Value::Fields(vec![("value".to_owned(), value)]))
        }
        Some(_) => None,
    }
}

fn plain(json: &Json) -> Value {
    match json {
        Json::Null => Value::Null,
        Json::Bool(is) => Value::Bool(*is),
        Json::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(number), _) => Value::Int(number.into()),
            (_, Some(number)) => Value::Int(number.into()),
            _ => Value::Float(number.as_f64().unwrap_or_default()),
        },
        Json::String(text) => Value::Text(text.clone()),
        Json::Array(items) => Value::List(items.iter().map(plain).collect()),
        Json::Object(entries) => {
            let entries = entries.iter();
            Value::Fields(
                entries
                    .map(|(key, value)| (key.clone(), plain(value)))
                    .collect(),
            )
        }
    }
}
