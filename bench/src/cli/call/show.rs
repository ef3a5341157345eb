//! The reply for people and programs.

use std::fmt::Write as _;

use anyhow::{Context, Result};
use isukit_analyze::decode::{
    Body, Content, Decoded, Decoder, Direction, Source, escape_controls, write_record,
};
use isukit_analyze::report::printable;
use isukit_proto::Message;
use reqwest::Version;
use reqwest::header::{CONTENT_LENGTH, HeaderMap, HeaderName};

use super::CallArgs;
use super::compose::{Composed, PROTOBUF};
use super::dump::dump;
use super::send::{Reply, has_body};
use crate::cli::bodies::{BodyTypes, shown_value};
use crate::heads::{codings, content_type};

/// Headers that are shown without `-v`: those that say what a reply means.
const CHOSEN: [&str; 9] = [
    "content-type",
    "content-encoding",
    "location",
    "set-cookie",
    "retry-after",
    "www-authenticate",
    "cache-control",
    "etag",
    "last-modified",
];

/// What a reply turned out to be.
#[derive(Debug, Default)]
pub(super) struct Shown {
    /// For people: type and body.
    pub(super) text: String,
    /// `isukit.decode/1` lines.
    pub(super) json: Vec<u8>,
    /// With `-v`: where each field is.
    pub(super) dump: String,
    /// Whether the body is what was wanted, if something was.
    pub(super) is_as_wanted: bool,
}

/// Decode a reply. `wanted` is the type that the user named for it.
pub(super) fn decode(
    args: &CallArgs,
    types: &BodyTypes,
    wanted: Option<Message>,
    request: &Composed,
    reply: &Reply,
) -> Result<Shown> {
    let is_wanted = wanted.is_some();
    let mut kind = content_type(&reply.headers);
    // Who names a type knows better than a header that says nothing or something vague.
    if is_wanted {
        kind = PROTOBUF.to_owned();
    }
    let mut decoder = Decoder::new(types.decoder_options(wanted, args.max_body))
        .context("--map has a route that cannot be meant")?;
    let path = match request.url.query() {
        Some(query) => format!("{}?{query}", request.url.path()),
        None => request.url.path().to_owned(),
    };
    let body = Body {
        direction: Direction::Response,
        time_us: Some(reply.time_us),
        method: request.method.as_str(),
        url: &path,
        status: Some(reply.status.as_u16()),
        content_type: &kind,
        codings: codings(&reply.headers),
        bytes: &reply.body,
        has_body: Body::may_be(
            Direction::Response,
            request.method.as_str(),
            reply.status.as_u16(),
            true,
        ),
        is_cut: reply.broken.is_some(),
        latency_us: u64::try_from(reply.latency.as_micros()).ok(),
        ..Body::raw(&[])
    };
    let mut shown = Shown {
        is_as_wanted: true,
        ..Shown::default()
    };
    decoder.observe(&body);
    decoder.settle();
    decoder.decode(&body, &mut |decoded| shown.add(args, decoded, is_wanted));
    if shown.json.is_empty() {
        // An exchange without a body is one line all the same.
        let nothing = Decoded {
            index: 0,
            body: &body,
            route: "",
            content: Content::Other,
            choice: None,
            plain: &[],
            readable: &[],
            json: &[],
            error: reply.broken.as_deref(),
        };
        write_record(&nothing, false, &mut shown.json);
    }
    if let Some(why) = &reply.broken {
        let _ = writeln!(shown.text, "# error: {}", printable(why));
        shown.is_as_wanted = false;
    }
    Ok(shown)
}

impl Shown {
    fn add(&mut self, args: &CallArgs, decoded: &Decoded<'_>, is_wanted: bool) {
        write_record(decoded, false, &mut self.json);
        if is_wanted && decoded.error.is_some() {
            self.is_as_wanted = false;
        }
        if let Some(choice) = decoded.choice {
            let name = choice.best().message.full_name();
            let _ = match choice.source {
                Source::Inferred => writeln!(self.text, "# {}", printable(&choice.why())),
                _ => writeln!(self.text, "# {name}"),
            };
        } else if decoded.content == Content::Protobuf {
            let _ = writeln!(
                self.text,
                "# its type is not known; fields by their numbers"
            );
        }
        if let Some(error) = decoded.error {
            let _ = writeln!(self.text, "# error: {}", printable(error));
        }
        self.text.push_str(&pretty(decoded));
        if args.verbose && decoded.content == Content::Protobuf {
            self.dump.push_str(&dump(decoded.plain, decoded.message()));
        }
    }
}

/// A body as indented JSON, or as the text it is.
fn pretty(decoded: &Decoded<'_>) -> String {
    let value = match serde_json::from_slice::<serde_json::Value>(decoded.json) {
        Ok(serde_json::Value::String(text)) if decoded.content == Content::Text => {
            let lines = text.lines().map(|line| printable(line) + "\n");
            return lines.collect();
        }
        Ok(value) => value,
        Err(_) => return String::new(),
    };
    let Ok(text) = serde_json::to_vec_pretty(&value) else {
        return String::new();
    };
    let mut escaped = Vec::with_capacity(text.len() + 1);
    escape_controls(&text, &mut escaped);
    let lines = String::from_utf8_lossy(&escaped);
    lines.lines().map(|line| printable(line) + "\n").collect()
}

/// The status line and the headers, each line behind `sign`.
pub(super) fn reply_head(reply: &Reply, all: bool, sign: &str) -> String {
    let mut text = format!(
        "{sign}{} {} {}\n",
        version(reply.version),
        reply.status.as_u16(),
        printable(&reply.reason)
    );
    headers(&reply.headers, sign, &mut text, |name| {
        all || CHOSEN.contains(&name)
    });
    text
}

/// The request's head, with a line for each header.
pub(super) fn request_head(request: &Composed, sign: &str) -> String {
    let path = match request.url.query() {
        Some(query) => format!("{}?{query}", request.url.path()),
        None => request.url.path().to_owned(),
    };
    let mut text = format!("{sign}{} {} HTTP/1.1\n", request.method, printable(&path));
    headers(&request.headers, sign, &mut text, |_| true);
    if has_body(request) {
        let _ = writeln!(
            text,
            "{sign}{}: {}",
            title(&CONTENT_LENGTH),
            request.body.len()
        );
    }
    text
}

fn headers(headers: &HeaderMap, sign: &str, text: &mut String, wanted: impl Fn(&str) -> bool) {
    for (name, value) in headers.iter().filter(|(name, _)| wanted(name.as_str())) {
        let value = String::from_utf8_lossy(value.as_bytes());
        let shown = printable(&shown_value(name, &value));
        let _ = writeln!(text, "{sign}{}: {shown}", title(name));
    }
}

fn version(version: Version) -> &'static str {
    match version {
        Version::HTTP_10 => "HTTP/1.0",
        _ => "HTTP/1.1",
    }
}

/// A name as it is usually written: `Content-Type`.
fn title(name: &HeaderName) -> String {
    let parts = name.as_str().split('-').map(|part| {
        let mut chars = part.chars();
        let first = chars.next().map(|c| c.to_ascii_uppercase());
        first.into_iter().chain(chars).collect::<String>()
    });
    parts.collect::<Vec<_>>().join("-")
}
