//! Where values are in requests and replies.

use percent_encoding::percent_decode_str;

use super::limits::{DEPTH, ROWS, VALUES};
use super::model::{Exchange, Payload, Value};

/// A step into a body.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Hop {
    /// A field by its name.
    Field(String),
    /// An element, from 0.
    Row(usize),
}

/// The names of the fields of a path.
pub(super) fn names(path: &[Hop]) -> impl Iterator<Item = &str> {
    path.iter().filter_map(|hop| match hop {
        Hop::Field(name) => Some(name.as_str()),
        Hop::Row(_) => None,
    })
}

/// Where a value is in a request.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Place {
    /// A segment of the path, from 0.
    Segment(usize),
    /// A pair of the query, from 0.
    Query(usize),
    /// A word of a header's value.
    Header(usize, usize),
    /// A pair of a form.
    Form(usize),
    /// A field of the body.
    Body(Vec<Hop>),
}

/// A value of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sent {
    pub(super) place: Place,
    /// The name that goes with it: a field's, a key's; empty for a segment.
    pub(super) name: String,
    pub(super) text: String,
    pub(super) is_integer: bool,
}

/// A value of a reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Got {
    pub(super) path: Vec<Hop>,
    pub(super) text: String,
    pub(super) is_integer: bool,
}

impl Got {
    /// The name of its field.
    pub(super) fn name(&self) -> &str {
        names(&self.path).last().unwrap_or_default()
    }

    /// Whether it is an element of a list, or in one.
    pub(super) fn is_in_list(&self) -> bool {
        self.path.iter().any(|hop| matches!(hop, Hop::Row(_)))
    }
}

/// Request headers that a client sets by itself, or that a proxy has put in.
const OWN_HEADERS: [&str; 25] = [
    "host",
    "content-length",
    "content-type",
    "transfer-encoding",
    "connection",
    "keep-alive",
    "cookie",
    "user-agent",
    "accept",
    "accept-encoding",
    "accept-language",
    "te",
    "upgrade-insecure-requests",
    "cache-control",
    "pragma",
    "priority",
    "origin",
    "referer",
    "expect",
    "via",
    "forwarded",
    "dnt",
    "traceparent",
    "tracestate",
    "x-request-id",
];

/// Whether a request header is the application's.
pub(super) fn is_own_header(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    !OWN_HEADERS.contains(&name.as_str())
        && !["if-", "sec-", "proxy-", "x-forwarded-", "x-real-"]
            .iter()
            .any(|start| name.starts_with(start))
}

/// The values of a request, path first.
pub(super) fn sent(exchange: &Exchange) -> Vec<Sent> {
    let mut all = Vec::new();
    let mut add = |place, name: &str, text: String| {
        all.push(Sent {
            place,
            name: name.to_owned(),
            is_integer: text.parse::<u64>().is_ok(),
            text,
        });
    };
    for (at, segment) in exchange.path().split('/').enumerate() {
        add(Place::Segment(at), "", decoded(segment));
    }
    if let Some((_, query)) = exchange.target.split_once('?') {
        for (at, pair) in query.split('&').enumerate() {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            add(Place::Query(at), key, decoded(value));
        }
    }
    for (at, (name, value)) in exchange.headers.iter().enumerate() {
        if is_own_header(name) {
            for (word, text) in value.split(' ').enumerate() {
                add(Place::Header(at, word), name, text.to_owned());
            }
        }
    }
    match &exchange.request {
        Payload::Form(fields) => {
            for (at, (name, value)) in fields.iter().enumerate() {
                add(Place::Form(at), name, value.clone());
            }
        }
        Payload::Message { value, .. } | Payload::Json(value) => {
            walk(value, &mut |path, text, is_integer| {
                all.push(Sent {
                    name: names(path).last().unwrap_or_default().to_owned(),
                    place: Place::Body(path.to_vec()),
                    text,
                    is_integer,
                });
            });
        }
        _ => {}
    }
    all
}

/// The values of a reply.
pub(super) fn got(exchange: &Exchange) -> Vec<Got> {
    let mut all = Vec::new();
    if let Payload::Message { value, .. } | Payload::Json(value) = &exchange.reply {
        walk(value, &mut |path, text, is_integer| {
            all.push(Got {
                path: path.to_vec(),
                text,
                is_integer,
            });
        });
    }
    all
}

fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

/// The integers and texts of a body.
fn walk(value: &Value, each: &mut dyn FnMut(&[Hop], String, bool)) {
    let mut left = VALUES;
    step(value, &mut Vec::new(), &mut left, each);
}

fn step(
    value: &Value,
    path: &mut Vec<Hop>,
    left: &mut usize,
    each: &mut dyn FnMut(&[Hop], String, bool),
) {
    if *left == 0 || path.len() > DEPTH {
        return;
    }
    *left -= 1;
    match value {
        Value::Int(number) => each(path, number.to_string(), true),
        Value::Text(text) => each(path, text.clone(), false),
        Value::List(items) => {
            for (row, item) in items.iter().take(ROWS).enumerate() {
                path.push(Hop::Row(row));
                step(item, path, left, each);
                path.pop();
            }
        }
        Value::Fields(fields) => {
            for (name, field) in fields {
                path.push(Hop::Field(name.clone()));
                step(field, path, left, each);
                path.pop();
            }
        }
        _ => {}
    }
}
