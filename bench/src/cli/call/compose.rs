//! The request: what was typed -> a head and bytes.

use std::io::{self, Read};

use anyhow::{Context, Result, bail, ensure};
use isukit_analyze::decode::{Direction, Types};
use isukit_proto::{JsonParseOptions, Message, TextParseOptions};
use reqwest::header::{
    ACCEPT, AUTHORIZATION, CONTENT_TYPE, Entry, HOST, HeaderMap, HeaderName, HeaderValue,
    USER_AGENT,
};
use reqwest::{Method, Url};

use super::CallArgs;
use crate::cli::bodies::BodyTypes;
use crate::cli::schema::message;
use crate::http1::target::Target;

/// Media type of protobuf bodies unless a header says otherwise.
/// The same that `isukit run` sends.
pub(super) const PROTOBUF: &str = "application/vnd.google.protobuf";

/// Larger bodies are refused, in bytes.
const BODY_BYTES: u64 = 256 << 20;

/// A request that can be sent.
#[derive(Debug, Clone)]
pub(super) struct Composed {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
    /// The type of the body.
    pub(super) message: Option<Message>,
}

/// Turn the arguments into a request.
pub(super) fn compose(args: &CallArgs, types: &BodyTypes) -> Result<Composed> {
    let (method, url) = args.what()?;
    let target = Target::parse(&url)?;
    let url = Url::parse(&target.shown())?;
    let is_body_given = args.body.is_some() || args.message.is_some();
    let method = method.unwrap_or(match is_body_given {
        true => Method::POST,
        false => Method::GET,
    });
    let named = message(types.schema.as_ref(), args.message.as_deref(), "--message")?;
    let message = match named {
        None if is_body_given => by_route(types, &method, &target.path)?,
        named => named,
    };
    let text = args.body.as_deref().map(read_body).transpose()?;
    let body = match (&message, &text) {
        (Some(message), given) => encode(message, given.as_ref())?,
        (None, Some(given)) => given.bytes.clone(),
        (None, None) => Vec::new(),
    };
    let mut headers = args.headers()?;
    let mut default = |name: HeaderName, value: &str| -> Result<()> {
        if let Entry::Vacant(place) = headers.entry(name) {
            place.insert(HeaderValue::from_str(value)?);
        }
        Ok(())
    };
    default(HOST, &target.authority)?;
    default(USER_AGENT, concat!("isukit/", env!("CARGO_PKG_VERSION")))?;
    default(ACCEPT, "*/*")?;
    let is_typed = message.is_some() || (types.schema.is_some() && text.is_none());
    if is_typed {
        // Apps that speak protobuf may want it on every request, GET included.
        default(CONTENT_TYPE, PROTOBUF)?;
    } else if text.is_some() {
        default(CONTENT_TYPE, untyped(&body))?;
    }
    if let Some(authorization) = &target.authorization {
        default(AUTHORIZATION, authorization)?;
    }
    Ok(Composed {
        method,
        url,
        headers,
        body,
        message,
    })
}

/// The type that the map or the sources of a service know for a route.
fn by_route(types: &BodyTypes, method: &Method, path: &str) -> Result<Option<Message>> {
    let Some(schema) = &types.schema else {
        return Ok(None);
    };
    let options = types.decoder_options(None, 0).types;
    let mut routes = Types::new(schema.clone(), options)?;
    let slot = routes.slot(
        method.as_str().as_bytes(),
        path.as_bytes(),
        Direction::Request,
        false,
    );
    let choice = routes.choice(slot, None);
    Ok(choice.map(|choice| choice.best().message.clone()))
}

/// The media type of a body that is sent as it is.
fn untyped(body: &[u8]) -> &'static str {
    let is_json = serde_json::from_slice::<serde::de::IgnoredAny>(body).is_ok();
    match std::str::from_utf8(body) {
        _ if is_json => "application/json",
        Ok(_) => "text/plain; charset=utf-8",
        Err(_) => PROTOBUF,
    }
}

/// A body as it was given.
struct Given {
    bytes: Vec<u8>,
    /// Files may hold the bytes of a message as well.
    is_file: bool,
}

fn read_body(body: &str) -> Result<Given> {
    let read_all = |from: &mut dyn Read, name: &str| -> Result<Given> {
        let mut bytes = Vec::new();
        from.take(BODY_BYTES + 1)
            .read_to_end(&mut bytes)
            .with_context(|| format!("cannot read the body from {name}"))?;
        ensure!(
            bytes.len() as u64 <= BODY_BYTES,
            "the body in {name} is larger than {BODY_BYTES} bytes"
        );
        Ok(Given {
            bytes,
            is_file: true,
        })
    };
    match body.strip_prefix('@') {
        None if body == "-" => read_all(&mut io::stdin().lock(), "stdin"),
        Some("-") => read_all(&mut io::stdin().lock(), "stdin"),
        None => Ok(Given {
            bytes: body.as_bytes().to_vec(),
            is_file: false,
        }),
        Some(path) => {
            let mut file = std::fs::File::open(path)
                .with_context(|| format!("cannot read the body from {path}"))?;
            read_all(&mut file, path)
        }
    }
}

/// The bytes of a message: from its JSON, its text, or as they are in a file.
fn encode(message: &Message, given: Option<&Given>) -> Result<Vec<u8>> {
    let Some(given) = given else {
        return Ok(Vec::new());
    };
    let name = message.full_name();
    let is_control = |byte: &u8| byte.is_ascii_control() && !b"\t\r\n".contains(byte);
    let text = std::str::from_utf8(&given.bytes).ok();
    let text = text.filter(|text| !given.is_file || !text.as_bytes().iter().any(is_control));
    let Some(text) = text else {
        if !given.is_file {
            bail!("--body is not UTF-8 text");
        }
        message
            .validate(&given.bytes)
            .with_context(|| format!("--body is neither text nor the bytes of a {name}"))?;
        return Ok(given.bytes.clone());
    };
    let mut bytes = Vec::new();
    // No text of a message begins with a brace.
    let result = match text.trim_start().starts_with('{') {
        true => message.from_json(text.as_bytes(), &JsonParseOptions::new(), &mut bytes),
        false => message.from_text(text.as_bytes(), &TextParseOptions::new(), &mut bytes),
    };
    // Bytes may look like text: a line feed and a tab are the first field, of nine bytes.
    let begins_with_letter = text.starts_with(|c: char| c.is_ascii_alphabetic());
    let may_be_bytes = given.is_file && !begins_with_letter;
    match result {
        Ok(()) => Ok(bytes),
        Err(_) if may_be_bytes && message.validate(&given.bytes).is_ok() => Ok(given.bytes.clone()),
        Err(error) => Err(error).with_context(|| format!("--body is not a {name}")),
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use isukit_proto::Schema;

    use super::*;

    fn request_type() -> Message {
        let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/../scenarios/teams");
        let schema = Schema::compile(&[PathBuf::from(dir)]).unwrap();
        schema.message("CreateTeamRequest").unwrap()
    }

    #[test]
    fn bodies_become_bytes() {
        let message = request_type();
        let check = |body: &[u8], is_file: bool, expected: Result<&[u8], &str>| {
            let given = Given {
                bytes: body.to_vec(),
                is_file,
            };
            match (encode(&message, Some(&given)), expected) {
                (Ok(bytes), Ok(expected)) => assert_eq!(bytes, expected, "{body:?}"),
                (Err(error), Err(part)) => {
                    assert!(format!("{error:#}").contains(part), "{error:#}");
                }
                (result, _) => panic!("{body:?}: {result:?}"),
            }
        };
        let ann: &[u8] = b"\x0a\x03ann";
        check(br#"{"name": "ann"}"#, false, Ok(ann));
        check(b" \n{\"name\": \"ann\"}\n", true, Ok(ann));
        check(b"name: \"ann\"", false, Ok(ann));
        check(b"name: \"ann\"\n", true, Ok(ann));
        check(ann, true, Ok(ann));
        check(b"", true, Ok(b""));
        check(b"\x0a\x05ann", true, Err("neither text nor the bytes"));
        check(b"\x0a\x09ann", true, Err("no field ann"));
        check(b"\x0a\x09ann-marie", true, Ok(b"\x0a\x09ann-marie"));
        check(b"\x0a\x09ann-marie", false, Err("no field ann"));
        check(br#"{"nam": "ann"}"#, false, Err("name"));
        check(b"nam: 1", false, Err("name"));
        check(b"{", false, Err("CreateTeamRequest"));
    }

    #[test]
    fn bodies_without_a_type_say_what_they_are() {
        for (body, expected) in [
            (&b"{}"[..], "application/json"),
            (b"[1, 2]", "application/json"),
            (b"a=1&b=2", "text/plain; charset=utf-8"),
            (b"\xff\x00", PROTOBUF),
        ] {
            assert_eq!(untyped(body), expected);
        }
    }
}
