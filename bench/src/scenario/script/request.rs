//! A script's call made into the bytes of a request.

use std::time::Duration;

use isukit_analyze::units::parse_duration;
use isukit_proto::nearest;
use mlua::{Error, Result, Table, Value};
use url::form_urlencoded;

use super::message::{Body, MessageType};
use super::plain::{EXACT, Plain, type_name};

/// What a script may say of a call besides its path and body.
#[derive(Debug, Default)]
pub(super) struct Options {
    pub(super) headers: Vec<(String, Vec<u8>)>,
    /// The query, escaped.
    pub(super) query: String,
    pub(super) timeout: Option<Duration>,
    /// Statuses that are no error.
    pub(super) statuses: Vec<u16>,
    /// What it is counted as.
    pub(super) step: Option<String>,
    /// The type of the reply's body.
    pub(super) reply: Option<isukit_proto::Message>,
    /// Leave the client's cache alone.
    pub(super) no_cache: bool,
}

const OPTIONS: [&str; 7] = [
    "headers", "query", "timeout", "status", "step", "reply", "cache",
];

impl Options {
    /// Read the table of options.
    ///
    /// # Errors
    /// An unknown option, or a value that is none.
    pub(super) fn read(table: &Table) -> Result<Self> {
        let mut options = Self::default();
        for pair in table.pairs::<String, Value>() {
            let (key, value) = pair?;
            options.set(&key, &value)?;
        }
        Ok(options)
    }

    fn set(&mut self, key: &str, value: &Value) -> Result<()> {
        let bad = |wanted: &str| {
            let found = type_name(value);
            Error::runtime(format!(
                "option `{key}` is a {found}, but should be {wanted}"
            ))
        };
        match (key, value) {
            ("headers", Value::Table(table)) => {
                for pair in table.pairs::<String, Value>() {
                    let (name, value) = pair?;
                    self.headers
                        .push((header_name(name)?, header_value(&value)?));
                }
                // A table has no order; the same request has the same bytes every time.
                self.headers.sort();
            }
            ("headers", _) => return Err(bad("a table of names and values")),
            ("query", value) => {
                self.query = form(value, "option `query`")?;
                if self.query.bytes().any(|byte| byte <= b' ' || byte >= 0x7f) {
                    return Err(Error::runtime(
                        "option `query` has a space, control or non-ASCII character: give a table",
                    ));
                }
            }
            ("timeout", value) => match duration(value, "option `timeout`")? {
                Duration::ZERO => {
                    return Err(Error::runtime("option `timeout` must be longer than 0"));
                }
                timeout => self.timeout = Some(timeout),
            },
            ("status", Value::Table(list)) => {
                for status in list.sequence_values::<u16>() {
                    self.statuses.push(status?);
                }
            }
            ("status", value) => match whole_number(value) {
                Some(status @ 100..=999) => self.statuses.push(status as u16),
                _ => return Err(bad("a status such as 404, or a list of them")),
            },
            ("step", Value::String(name)) => self.step = Some(name.to_str()?.to_owned()),
            ("step", _) => return Err(bad("a name")),
            ("reply", Value::UserData(data)) => {
                let kind = data.borrow::<MessageType>();
                let kind = kind.map_err(|_| bad("a message type such as P.LoginResponse"))?;
                self.reply = Some(kind.message().clone());
            }
            ("reply", _) => return Err(bad("a message type such as P.LoginResponse")),
            ("cache", Value::Boolean(cache)) => self.no_cache = !cache,
            ("cache", _) => return Err(bad("true or false")),
            _ => return Err(unknown(key, "option of a call", &OPTIONS)),
        }
        Ok(())
    }
}

/// An error that tells the nearest right name.
pub(super) fn unknown(name: &str, what: &str, known: &[&str]) -> Error {
    let hint = match nearest(name, known.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None if known.is_empty() => "there is none".to_owned(),
        None => format!("there are {}", known.join(", ")),
    };
    Error::runtime(format!("`{name}` is no {what}; {hint}"))
}

/// A number without a fraction.
pub(super) fn whole_number(value: &Value) -> Option<i64> {
    match value {
        Value::Integer(n) => Some(*n),
        Value::Number(n) if n.fract() == 0.0 && n.abs() <= EXACT as f64 => Some(*n as i64),
        _ => None,
    }
}

/// A duration: seconds, or text such as `300ms`.
pub(super) fn duration(value: &Value, what: &str) -> Result<Duration> {
    let seconds = match value {
        Value::Integer(seconds) => *seconds as f64,
        Value::Number(seconds) => *seconds,
        Value::String(text) => {
            let text = text.to_str()?;
            return parse_duration(&text)
                .map_err(|error| Error::runtime(format!("{what}: {error}")));
        }
        other => {
            return Err(Error::runtime(format!(
                "{what} is a {}, but should be seconds or a text such as \"300ms\"",
                type_name(other)
            )));
        }
    };
    if seconds.is_nan() {
        return Err(Error::runtime(format!("{what} is not a number (NaN)")));
    }
    // A negative pause is none: scripts subtract times.
    Duration::try_from_secs_f64(seconds.max(0.0))
        .map_err(|_| Error::runtime(format!("{what}: {seconds:?} seconds is no duration")))
}

/// A form is at most this large before it is escaped, in bytes.
const FORM_BYTES: usize = 16 * 1024 * 1024;

/// A name of a form has at most so many values.
const FORM_VALUES: usize = 100_000;

/// A table of names and values, or text that is escaped already, as `a=1&b=2`.
pub(super) fn form(value: &Value, what: &str) -> Result<String> {
    let table = match value {
        Value::String(text) => return Ok(text.to_str()?.to_owned()),
        Value::Table(table) => table,
        other => {
            return Err(Error::runtime(format!(
                "{what} is a {}, but should be a table of names and values",
                type_name(other)
            )));
        }
    };
    let mut pairs = Vec::new();
    for pair in table.pairs::<Value, Value>() {
        let (name, value) = pair?;
        match &value {
            Value::Table(values) => {
                if values.raw_len() > FORM_VALUES {
                    return Err(Error::runtime(format!(
                        "{what} has more than {FORM_VALUES} values"
                    )));
                }
                for value in values.sequence_values::<Value>() {
                    pairs.push((text(&name, what)?, text(&value?, what)?));
                }
            }
            value => pairs.push((text(&name, what)?, text(value, what)?)),
        }
    }
    let size = pairs.iter().map(|(name, value)| name.len() + value.len());
    if size.sum::<usize>() > FORM_BYTES {
        return Err(Error::runtime(format!(
            "{what} has more than {FORM_BYTES} bytes"
        )));
    }
    pairs.sort();
    let mut out = form_urlencoded::Serializer::new(String::new());
    for (name, value) in pairs {
        out.append_pair(&name, &value);
    }
    Ok(out.finish())
}

/// A string, number or boolean as text.
fn text(value: &Value, what: &str) -> Result<String> {
    match value {
        Value::String(text) => Ok(text.to_str()?.to_owned()),
        Value::Boolean(value) => Ok(value.to_string()),
        value => match whole_number(value) {
            Some(number) => Ok(number.to_string()),
            None => match value {
                Value::Number(number) => Ok(number.to_string()),
                other => Err(Error::runtime(format!(
                    "{what} has a {}; take strings, numbers and booleans",
                    type_name(other)
                ))),
            },
        },
    }
}

fn header_name(name: String) -> Result<String> {
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if name.is_empty() || !name.bytes().all(token) {
        return Err(Error::runtime(format!("`{name}` is no header's name")));
    }
    if ["content-length", "transfer-encoding", "host", "connection"]
        .iter()
        .any(|ours| name.eq_ignore_ascii_case(ours))
    {
        return Err(Error::runtime(format!(
            "the header {name} is set by isukit"
        )));
    }
    Ok(name)
}

fn header_value(value: &Value) -> Result<Vec<u8>> {
    let value = match value {
        Value::String(text) => text.as_bytes().to_vec(),
        value => text(value, "option `headers`")?.into_bytes(),
    };
    // A line break would begin another header.
    if value.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0)) {
        return Err(Error::runtime("a header's value has a line break"));
    }
    Ok(value)
}

/// What a call sends.
#[derive(Debug)]
pub(super) enum Payload {
    None,
    /// Bytes and their media type, if the script said one.
    Bytes(Vec<u8>, Option<&'static str>),
    /// A protobuf message.
    Message(Vec<u8>),
}

impl Payload {
    /// Read a call's body: a message, text, `json(...)`, `form(...)`, or a table, which is JSON.
    ///
    /// # Errors
    /// When it is none of them.
    pub(super) fn read(value: &Value) -> Result<Self> {
        Ok(match value {
            Value::Nil => Self::None,
            Value::String(text) => Self::Bytes(text.as_bytes().to_vec(), None),
            Value::Table(_) => Self::json(value)?,
            Value::UserData(data) => match data.borrow::<Body>() {
                Ok(body) => body.payload(),
                Err(_) => {
                    return Err(Error::runtime(
                        "the body is a reply's message; make one to send, such as P.Team { ... }",
                    ));
                }
            },
            other => {
                return Err(Error::runtime(format!(
                    "the body is a {}, but should be a message, a table or a string",
                    type_name(other)
                )));
            }
        })
    }

    /// A value as JSON.
    pub(super) fn json(value: &Value) -> Result<Self> {
        let json = Plain::of(value)?.to_json()?;
        Ok(Self::Bytes(
            json.to_string().into_bytes(),
            Some("application/json"),
        ))
    }
}

/// See that a path can stand in a request line.
///
/// # Errors
/// When it does not begin with `/` or has something in it that must be escaped.
pub(super) fn check_path(path: &[u8]) -> Result<&str> {
    let shown = || String::from_utf8_lossy(&path[..path.len().min(80)]).into_owned();
    if path.first() != Some(&b'/') {
        return Err(Error::runtime(format!(
            "the path `{}` does not begin with `/`: calls go to the scenario's target",
            shown()
        )));
    }
    if path.iter().any(|&byte| byte <= b' ' || byte >= 0x7f) {
        return Err(Error::runtime(format!(
            "the path `{}` has a space, control or non-ASCII character: use encode(...)",
            shown()
        )));
    }
    std::str::from_utf8(path).map_err(Error::external)
}

#[cfg(test)]
mod tests {
    use super::*;
    use mlua::Lua;

    fn options(source: &str) -> Result<Options> {
        let lua = Lua::new();
        Options::read(&lua.load(source).eval::<Table>().unwrap())
    }

    #[test]
    fn options_are_read() {
        let read = options(
            "{ headers = { B = 1, A = 'x' }, query = { q = 'a b', n = 2, l = { 1, true } },
               timeout = '300ms', status = { 404, 409 }, step = 'search', cache = false }",
        )
        .unwrap();
        let headers = [
            ("A".to_owned(), b"x".to_vec()),
            ("B".to_owned(), b"1".to_vec()),
        ];
        assert_eq!(read.headers, headers);
        assert_eq!(read.query, "l=1&l=true&n=2&q=a+b");
        assert_eq!(read.timeout, Some(Duration::from_millis(300)));
        assert_eq!(
            (read.statuses, read.step.as_deref()),
            (vec![404, 409], Some("search"))
        );
        assert!(read.no_cache);
    }

    #[test]
    fn wrong_options_are_named() {
        let check = |source: &str, part: &str| {
            let error = options(source).unwrap_err().to_string();
            assert!(error.contains(part), "{source}: {error}");
        };
        check(
            "{ timout = 1 }",
            "`timout` is no option of a call; did you mean `timeout`?",
        );
        check("{ status = 'x' }", "option `status` is a string");
        check("{ status = 99 }", "should be a status");
        check("{ timeout = '3 parsecs' }", "option `timeout`:");
        check("{ headers = { ['a b'] = 1 } }", "`a b` is no header's name");
        check("{ headers = { A = 'x\\r\\nB: y' } }", "line break");
        check("{ headers = { ['Content-Length'] = 1 } }", "set by isukit");
        check("{ reply = 'Team' }", "P.LoginResponse");
        check("{ query = 1 }", "should be a table");
    }

    #[test]
    fn paths_are_checked() {
        assert_eq!(check_path(b"/a?b=c%20d").unwrap(), "/a?b=c%20d");
        for bad in ["", "a", "http://h/", "/a b", "/a\r\nX: y", "/\u{fc}"] {
            assert!(check_path(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
