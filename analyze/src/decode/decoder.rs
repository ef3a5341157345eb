//! Bodies in, readable messages out.

use std::sync::Arc;

use isukit_proto::{JsonOptions, Limits, Message, Schema, Unknown, schemaless};

use super::body::Body;
use super::frames::{Framing, next_frame};
use super::limits::TEXT_BYTES;
use super::types::{Choice, Media, Slot, TypeOptions, Types};
use crate::access::{Namer, NamerError, NamerOptions};
use crate::http1::{Codings, coding};

/// What a body turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// Protocol Buffers.
    Protobuf,
    /// JSON.
    Json,
    /// Text.
    Text,
    /// Something that is not shown.
    Other,
}

impl Content {
    /// As it is written in records.
    pub fn label(self) -> &'static str {
        match self {
            Self::Protobuf => "protobuf",
            Self::Json => "json",
            Self::Text => "text",
            Self::Other => "other",
        }
    }
}

/// How bodies are decoded.
#[derive(Debug, Clone)]
pub struct DecoderOptions {
    /// Without one, fields are shown by their numbers.
    pub schema: Option<Schema>,
    /// What is known of types.
    pub types: TypeOptions,
    /// How bodies are framed whose Content-Type does not say.
    pub framing: Framing,
    /// The most that a decompressed body may take, in bytes.
    pub plain_bytes_max: u64,
}

impl Default for DecoderOptions {
    fn default() -> Self {
        Self {
            schema: None,
            types: TypeOptions::default(),
            framing: Framing::Whole,
            plain_bytes_max: super::limits::PLAIN_BYTES,
        }
    }
}

/// A message of a body, readable.
#[derive(Debug)]
pub struct Decoded<'a> {
    /// Its number among all.
    pub index: u64,
    /// The body that it is, or is a part of.
    pub body: &'a Body<'a>,
    /// The name of its route, as `GET /api/teams/:id`; empty when the request is not known.
    pub route: &'a str,
    /// What it is.
    pub content: Content,
    /// Its type, and what else it could be.
    pub choice: Option<&'a Choice>,
    /// Its bytes, decompressed.
    pub plain: &'a [u8],
    /// Of a broken message: the bytes that could be read, made whole.
    pub readable: &'a [u8],
    /// It as one JSON value, or as much of it as could be read; empty for none.
    pub json: &'a [u8],
    /// What is wrong with it.
    pub error: Option<&'a str>,
}

impl Decoded<'_> {
    /// The type that it was read as.
    pub fn message(&self) -> Option<&Message> {
        self.choice.map(|choice| &choice.best().message)
    }
}

/// Decodes bodies.
#[derive(Debug)]
pub struct Decoder {
    types: Option<Types>,
    /// Names routes where there are no types that do it.
    namer: Namer,
    route: String,
    framing: Framing,
    plain_bytes_max: u64,
    plain: Vec<u8>,
    readable: Vec<u8>,
    json: Vec<u8>,
    error: String,
    index: u64,
}

/// How messages are written.
fn json_options() -> JsonOptions {
    JsonOptions::new().unknown(Unknown::Keep)
}

/// What is to be done with a body.
enum Plan<'m> {
    Skip,
    Protobuf(Framing, Option<&'m str>),
    Plain(Content),
}

impl Decoder {
    /// Get ready.
    ///
    /// # Errors
    /// When a route's pattern cannot be meant.
    pub fn new(options: DecoderOptions) -> Result<Self, NamerError> {
        let namer = Namer::new(NamerOptions {
            routes: options.types.routes.clone(),
            ..NamerOptions::default()
        })?;
        let types = match options.schema {
            Some(schema) => Some(Types::new(schema, options.types)?),
            None => None,
        };
        Ok(Self {
            types,
            namer,
            route: String::new(),
            framing: options.framing,
            plain_bytes_max: options.plain_bytes_max,
            plain: Vec::new(),
            readable: Vec::new(),
            json: Vec::new(),
            error: String::new(),
            index: 0,
        })
    }

    /// What is known of types; none without a schema.
    pub fn types(&self) -> Option<&Types> {
        self.types.as_ref()
    }

    /// Learn the type of a body's route from it: whether there was anything to learn. Bodies that are
    /// not observed are decoded as well.
    pub fn observe(&mut self, body: &Body<'_>) -> bool {
        let Some(types) = &mut self.types else {
            return false;
        };
        let plan = plan(body, self.framing);
        let Plan::Protobuf(framing, named) = plan else {
            return false;
        };
        let slot = slot(types, body);
        // A type that the Content-Type names says much about the other side, and nothing is to be inferred.
        if let Some(name) = named {
            return types.name(slot, name);
        }
        if body.lost_bytes > 0 || body.is_cut || body.is_oversized || !types.wants(slot) {
            return false;
        }
        self.plain.clear();
        if coding::decode(
            &body.codings,
            body.bytes,
            self.plain_bytes_max,
            &mut self.plain,
        )
        .is_err()
        {
            return false;
        }
        if is_json(&self.plain) || looks_like_markup(&self.plain) {
            return false;
        }
        let mut at = 0;
        while let Ok(Some(frame)) = next_frame(&self.plain, at, framing) {
            at = frame.at.end;
            if !frame.is_compressed && !frame.is_trailers {
                types.observe(slot, &self.plain[frame.at]);
            }
        }
        if self.plain.is_empty() && framing == Framing::Whole {
            types.observe(slot, b"");
        }
        true
    }

    /// How bodies are framed whose Content-Type does not say.
    pub fn set_framing(&mut self, framing: Framing) {
        self.framing = framing;
    }

    /// Learn from a body that will be decoded next and not come again: types are decided on anew as
    /// more is known, less and less often.
    pub fn learn(&mut self, body: &Body<'_>) {
        self.observe(body);
        if let Some(types) = &mut self.types
            && types.is_due()
        {
            types.settle();
        }
    }

    /// Decide on types by what was observed up to now.
    pub fn settle(&mut self) {
        if let Some(types) = &mut self.types {
            types.settle();
        }
    }

    /// Decode a body and hand each of its messages to `each`: none for a body that is none, such as
    /// that of a plain GET.
    pub fn decode(&mut self, body: &Body<'_>, each: &mut dyn FnMut(&Decoded<'_>)) {
        let plan = plan(body, self.framing);
        if matches!(plan, Plan::Skip) {
            return;
        }
        self.error.clear();
        if self.types.is_none() {
            self.name_route(body);
        }
        let mut plain = std::mem::take(&mut self.plain);
        self.undo(body, &mut plain);
        match plan {
            Plan::Skip => {}
            Plan::Plain(content) => self.plain(body, &plain, content, each),
            Plan::Protobuf(framing, named) => self.framed(body, &plain, framing, named, each),
        }
        // One large body must not keep its memory.
        if plain.capacity() > KEPT_BYTES {
            plain = Vec::new();
        }
        self.plain = plain;
        for kept in [&mut self.json, &mut self.readable] {
            if kept.capacity() > KEPT_BYTES {
                *kept = Vec::new();
            }
        }
    }

    /// Name the route of a body that has no types.
    fn name_route(&mut self, body: &Body<'_>) {
        let (target, path) = crate::access::split_target(body.url.as_bytes());
        let path = if path == 0 { b"/" } else { &target[..path] };
        let mut name = std::mem::take(&mut self.route).into_bytes();
        name.clear();
        self.namer
            .name(body.method.as_bytes(), path, b"", &mut name);
        self.route = String::from_utf8_lossy(&name).into_owned();
    }

    /// Undo the codings; what could be undone of a broken body stays.
    fn undo(&mut self, body: &Body<'_>, plain: &mut Vec<u8>) {
        plain.clear();
        if body.is_oversized {
            self.complain("the body is larger than --max-body and was not kept");
        } else if body.lost_bytes > 0 {
            self.complain(&format!("{} bytes were not captured", body.lost_bytes));
        } else if body.is_cut {
            self.complain("the body ends before it is complete");
        }
        if let Err(error) = coding::decode(&body.codings, body.bytes, self.plain_bytes_max, plain) {
            self.complain(&error.to_string());
        }
    }

    fn complain(&mut self, text: &str) {
        if !self.error.is_empty() {
            self.error.push_str("; ");
        }
        self.error.push_str(text);
    }

    fn framed(
        &mut self,
        body: &Body<'_>,
        plain: &[u8],
        framing: Framing,
        named: Option<&str>,
        each: &mut dyn FnMut(&Decoded<'_>),
    ) {
        let slot = self.types.as_mut().map(|types| slot(types, body));
        if framing == Framing::Whole {
            self.message(body, plain, slot, named, each);
            return;
        }
        let of_body = std::mem::take(&mut self.error);
        let mut at = 0;
        loop {
            self.error.clone_from(&of_body);
            match next_frame(plain, at, framing) {
                Ok(None) => return,
                Ok(Some(frame)) => {
                    at = frame.at.end;
                    if frame.is_trailers {
                        self.plain(body, &plain[frame.at], Content::Text, each);
                    } else if frame.is_compressed {
                        let gzip = Codings::gzip();
                        let mut message = Vec::new();
                        let max = self.plain_bytes_max;
                        let undone = coding::decode(&gzip, &plain[frame.at], max, &mut message);
                        if let Err(error) = undone {
                            self.complain(&error.to_string());
                        }
                        self.message(body, &message, slot, named, each);
                    } else {
                        self.message(body, &plain[frame.at], slot, named, each);
                    }
                }
                Err(error) => {
                    self.complain(&error);
                    self.plain(body, &plain[at..], Content::Other, each);
                    return;
                }
            }
        }
    }

    /// One message.
    fn message(
        &mut self,
        body: &Body<'_>,
        plain: &[u8],
        slot: Option<Slot>,
        named: Option<&str>,
        each: &mut dyn FnMut(&Decoded<'_>),
    ) {
        let choice = match (&mut self.types, slot) {
            (Some(types), Some(slot)) => types.choice(slot, named),
            _ => None,
        };
        if let Some(choice) = choice {
            self.typed(body, plain, slot, &choice, each);
            return;
        }
        if is_json(plain) {
            self.plain(body, plain, Content::Json, each);
            return;
        }
        self.json.clear();
        self.readable.clear();
        self.by_number(plain);
        self.hand(body, plain, Content::Protobuf, slot, None, each);
    }

    /// A message of which no type is known: its fields by their numbers.
    fn by_number(&mut self, plain: &[u8]) {
        let limits = Limits::default();
        if let Err(error) = schemaless::to_json(plain, &limits, &mut self.json) {
            self.complain(&error.to_string());
            self.readable = schemaless::readable(plain, &limits).bytes;
            let _ = schemaless::to_json(&self.readable, &limits, &mut self.json);
        }
    }

    fn typed(
        &mut self,
        body: &Body<'_>,
        plain: &[u8],
        slot: Option<Slot>,
        choice: &Arc<Choice>,
        each: &mut dyn FnMut(&Decoded<'_>),
    ) {
        let message = &choice.best().message;
        self.json.clear();
        self.readable.clear();
        if let Err(error) = message.validate(plain) {
            if is_json(plain) || looks_like_markup(plain) {
                let content = match is_json(plain) {
                    true => Content::Json,
                    false => Content::Text,
                };
                self.complain(&format!(
                    "said to be protobuf, but is {}",
                    match content {
                        Content::Json => "JSON",
                        _ => "text",
                    }
                ));
                self.plain(body, plain, content, each);
                return;
            }
            self.complain(&error.to_string());
            self.readable = message.readable(plain).bytes;
            let options = json_options();
            if message
                .to_json(&self.readable, &options, &mut self.json)
                .is_err()
            {
                let _ = schemaless::to_json(&self.readable, &Limits::default(), &mut self.json);
            }
        } else if let Err(error) = message.to_json(plain, &json_options(), &mut self.json) {
            self.complain(&error.to_string());
            let _ = schemaless::to_json(plain, &Limits::default(), &mut self.json);
        }
        self.hand(body, plain, Content::Protobuf, slot, Some(choice), each);
    }

    /// A body that is no message.
    fn plain(
        &mut self,
        body: &Body<'_>,
        plain: &[u8],
        content: Content,
        each: &mut dyn FnMut(&Decoded<'_>),
    ) {
        self.json.clear();
        self.readable.clear();
        let mut content = content;
        if content == Content::Json {
            match check_json(plain) {
                Ok(()) => minify(plain, &mut self.json),
                Err(error) => {
                    self.complain(&format!("broken JSON: {error}"));
                    content = Content::Text;
                }
            }
        }
        if content == Content::Text {
            let shown = &plain[..plain.len().min(TEXT_BYTES)];
            if shown.len() < plain.len() {
                self.complain(&format!("only the first {TEXT_BYTES} bytes are shown"));
            }
            let text = String::from_utf8_lossy(shown);
            self.json = serde_json::to_vec(&text).unwrap_or_default();
        }
        if content == Content::Other && self.error.is_empty() {
            self.complain("not shown: it is neither a message nor text");
        }
        let slot = self.types.as_mut().map(|types| slot(types, body));
        self.hand(body, plain, content, slot, None, each);
    }

    fn hand(
        &mut self,
        body: &Body<'_>,
        plain: &[u8],
        content: Content,
        slot: Option<Slot>,
        choice: Option<&Choice>,
        each: &mut dyn FnMut(&Decoded<'_>),
    ) {
        let route = match (&self.types, slot) {
            _ if body.method.is_empty() => "",
            (Some(types), Some(slot)) => types.route_name(slot.route()),
            _ => &self.route,
        };
        each(&Decoded {
            index: self.index,
            body,
            route,
            content,
            choice,
            plain,
            readable: match self.readable.is_empty() {
                true => plain,
                false => &self.readable,
            },
            json: &self.json,
            error: (!self.error.is_empty()).then_some(&self.error),
        });
        self.index += 1;
    }
}

/// Buffers larger than this are let go of, in bytes.
const KEPT_BYTES: usize = 4 << 20;

fn slot(types: &mut Types, body: &Body<'_>) -> Slot {
    types.slot(
        body.method.as_bytes(),
        body.url.as_bytes(),
        body.direction,
        body.is_error(),
    )
}

/// What to do with a body by what is said of it, and a look at its first bytes where nothing is.
fn plan<'a>(body: &Body<'a>, framing: Framing) -> Plan<'a> {
    if !body.has_body {
        return Plan::Skip;
    }
    let is_empty = body.bytes.is_empty() && body.lost_bytes == 0 && !body.is_oversized;
    match Media::parse(body.content_type) {
        Media::Protobuf {
            message,
            is_delimited,
        } => Plan::Protobuf(
            if is_delimited {
                Framing::Delimited
            } else {
                framing
            },
            message,
        ),
        Media::Grpc => Plan::Protobuf(Framing::Grpc, None),
        // A body of no type is one when somebody hands it over by itself.
        Media::Unsaid if is_empty && !body.url.is_empty() => Plan::Skip,
        Media::Unsaid if body.url.is_empty() => Plan::Protobuf(framing, None),
        _ if is_empty => Plan::Skip,
        Media::Json => Plan::Plain(Content::Json),
        Media::Text => Plan::Plain(Content::Text),
        Media::Other => Plan::Plain(Content::Other),
        Media::Unsaid if is_json(body.bytes) => Plan::Plain(Content::Json),
        Media::Unsaid if looks_like_markup(body.bytes) => Plan::Plain(Content::Text),
        Media::Unsaid => Plan::Protobuf(framing, None),
    }
}

/// Whether bytes begin and end as a JSON object or list does, and are one.
pub(super) fn is_json(bytes: &[u8]) -> bool {
    let text = bytes.trim_ascii();
    let (Some(first), Some(last)) = (text.first(), text.last()) else {
        return false;
    };
    matches!((first, last), (b'{', b'}') | (b'[', b']'))
        && serde_json::from_slice::<serde::de::IgnoredAny>(text).is_ok()
}

/// Whether bytes are JSON in UTF-8, which skipping over the texts alone does not tell.
fn check_json(bytes: &[u8]) -> Result<(), String> {
    let text = std::str::from_utf8(bytes)
        .map_err(|error| format!("byte {} is not UTF-8", error.valid_up_to()))?;
    let skipped = serde_json::from_str::<serde::de::IgnoredAny>(text);
    skipped.map(drop).map_err(|error| error.to_string())
}

/// Whether bytes are HTML, XML or a line of text of a proxy.
pub(super) fn looks_like_markup(bytes: &[u8]) -> bool {
    let start = bytes[..bytes.len().min(512)].trim_ascii_start();
    start.first() == Some(&b'<')
        && start
            .get(1)
            .is_some_and(|next| next.is_ascii_alphabetic() || matches!(next, b'!' | b'?'))
}

/// Leave out the white space between the tokens of JSON that is known to be right.
fn minify(json: &[u8], out: &mut Vec<u8>) {
    let mut is_text = false;
    let mut is_escaped = false;
    for &byte in json {
        if is_text {
            is_text = is_escaped || byte != b'"';
            is_escaped = !is_escaped && byte == b'\\';
        } else if matches!(byte, b' ' | b'\t' | b'\r' | b'\n') {
            continue;
        } else {
            is_text = byte == b'"';
        }
        out.push(byte);
    }
}
