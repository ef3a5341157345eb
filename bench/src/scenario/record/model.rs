//! What was captured, as far as a scenario needs it.

use std::net::{IpAddr, SocketAddr};

/// A request and its reply.
#[derive(Debug, Clone, PartialEq)]
pub struct Exchange {
    /// The connection, by a number of its own.
    pub connection: u64,
    /// Who asked.
    pub client: IpAddr,
    /// Who answered.
    pub server: SocketAddr,
    /// When the request began, in microseconds since the Unix epoch.
    pub began_us: i64,
    /// When the reply was complete, in the same.
    pub ended_us: i64,
    /// The method.
    pub method: String,
    /// Path and query, as they were sent.
    pub target: String,
    /// The request's headers, in their order.
    pub headers: Vec<(String, String)>,
    /// The request's body.
    pub request: Payload,
    /// The status of the reply.
    pub status: u16,
    /// The `Set-Cookie` values of the reply.
    pub set_cookies: Vec<String>,
    /// The reply's body.
    pub reply: Payload,
}

impl Exchange {
    /// The first value of a request header.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        let found = headers.find(|(known, _)| known.eq_ignore_ascii_case(name))?;
        Some(&found.1)
    }

    /// The path without its query.
    pub(super) fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }

    /// Method and path, with `:id` for what looks like one: what a run reports it as.
    pub(super) fn route(&self) -> String {
        let mut path = String::new();
        crate::scenario::route_of(self.path(), &mut path);
        format!("{} {path}", self.method)
    }

    /// Whether the target did what it was asked.
    pub(super) fn is_success(&self) -> bool {
        self.status < 400
    }

    /// Whether it is a style, a script, a picture or a font.
    pub(super) fn is_asset(&self) -> bool {
        const ENDS: [&str; 16] = [
            "css", "js", "mjs", "map", "png", "jpg", "jpeg", "gif", "svg", "webp", "avif", "ico",
            "woff", "woff2", "ttf", "wasm",
        ];
        let name = self.path().rsplit('/').next().unwrap_or_default();
        let end = name.rsplit_once('.').map_or("", |(_, end)| end);
        self.method == "GET" && ENDS.iter().any(|known| known.eq_ignore_ascii_case(end))
    }
}

/// A body.
#[derive(Debug, Clone, PartialEq)]
pub enum Payload {
    /// None, or an empty one of no type.
    None,
    /// A message; `kind` is its type as a script writes it: `P.Team`.
    Message {
        /// The type, as a script writes it.
        kind: String,
        /// The type's full name.
        full_name: String,
        /// Its fields, by the names of the `.proto` file.
        value: Value,
    },
    /// JSON.
    Json(Value),
    /// The fields of a form.
    Form(Vec<(String, String)>),
    /// A page.
    Page,
    /// Anything else, as it was sent.
    Raw {
        /// Its Content-Type; empty for none.
        content_type: String,
        /// The bytes.
        bytes: Vec<u8>,
    },
}

/// A value of a body.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// JSON's `null`.
    Null,
    /// A truth value.
    Bool(bool),
    /// An integer.
    Int(i128),
    /// A number that is no integer.
    Float(f64),
    /// Text.
    Text(String),
    /// Bytes.
    Bytes(Vec<u8>),
    /// Text that identifies nothing: an enum's name, a point in time.
    Word(String),
    /// A list.
    List(Vec<Value>),
    /// A message, an object or a map.
    Fields(Vec<(String, Value)>),
}

/// All that was captured.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Recording {
    /// What it was captured in, for the comment on top.
    pub name: String,
    /// Requests with their replies, in any order.
    pub exchanges: Vec<Exchange>,
    /// Requests that nobody answered.
    pub unanswered: u64,
    /// Exchanges that cannot be replayed, with broken or very large bodies.
    pub unusable: u64,
    /// Folders of `.proto` files in the scenario's folder.
    pub proto_roots: Vec<String>,
    /// The `Content-Type` of messages that were sent; empty for none.
    pub content_type: String,
}
