//! Any `log_format` of nginx, compiled to the pieces of a line.

mod conf;

#[cfg(test)]
mod tests;

use super::labels::{Field, Parent, meaning};
use super::limits::LOG_FORMAT_BYTES;
use super::line::{Escape, Line, State};
use super::values::Unit;
use super::{Format, Record, escape};
use crate::digest::{Batch, Span};

/// nginx's built-in format, which needs no `log_format`.
const COMBINED: &str = "$remote_addr - $remote_user [$time_local] \"$request\" $status \
     $body_bytes_sent \"$http_referer\" \"$http_user_agent\"";

/// A `log_format` that is of no use.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LogFormatError {
    /// Nothing parts two variables.
    #[error("nothing parts ${0} from ${1} in the log_format; put a space or a tab between them")]
    Adjacent(String, String),
    /// What is needed for a record is not in the lines.
    #[error("the log_format has no {0}; add it")]
    Missing(&'static str),
    /// A `$` without a name.
    #[error(
        "a '$' at byte {0} of the log_format begins no variable; quote the format for the shell"
    )]
    NoName(usize),
    /// Longer than we read.
    #[error(
        "a log_format or configuration of {bytes} bytes is longer than the limit of {limit}; cut it down to the log_format"
    )]
    TooLong {
        /// Its size.
        bytes: usize,
        /// What we read.
        limit: usize,
    },
    /// The configuration has none of this name.
    #[error(
        "there is no log_format '{name}' in the configuration; it has {}",
        list(known)
    )]
    Unknown {
        /// The name.
        name: String,
        /// Names that there are.
        known: Vec<String>,
    },
    /// The configuration has several.
    #[error("the configuration has several formats; choose one by its name: {}", list(.0))]
    Several(Vec<String>),
}

fn list(names: &[String]) -> String {
    match names {
        [] => "none, so its logs are combined".to_owned(),
        names => names.join(", "),
    }
}

/// How nginx escapes the values of variables.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Escaping {
    #[default]
    Default,
    Json,
    None,
}

/// What a variable's value may hold that looks like what parts it from the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    Plain,
    /// `20/Nov/2026:10:26:36 +0000`.
    TimeLocal,
    /// `0.1, 0.2 : 0.3`.
    List,
    /// Ends at the first slash, where the path begins.
    Host,
    /// A request line, whose version ends it.
    Request,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Literal(Vec<u8>),
    Variable {
        name: String,
        field: Field,
        unit: Unit,
        shape: Shape,
    },
}

/// A compiled `log_format`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogFormat {
    escaping: Escaping,
    pieces: Vec<Piece>,
}

const NO_MATCH: &str = "not as the log_format says";

impl LogFormat {
    /// Compile a format: the text itself, its quoted pieces, or a whole `log_format name '...';`.
    ///
    /// # Errors
    /// When variables cannot be told apart, or the status or the path are missing.
    pub fn new(text: &str) -> Result<Self, LogFormatError> {
        let text = text.trim();
        if text.starts_with("log_format")
            || text.starts_with(['\'', '"'])
            || text.starts_with("escape=")
        {
            let whole = match text.starts_with("log_format") {
                true => format!("{text};"),
                false => format!("log_format f {text};"),
            };
            if let Some(found) = conf::log_formats(&whole)?.first() {
                return Self::compile(&found.text, found.escaping);
            }
        }
        // A tab is hard to type in a shell.
        Self::compile(&text.replace("\\t", "\t"), Escaping::Default)
    }

    fn compile(text: &str, escaping: Escaping) -> Result<Self, LogFormatError> {
        if text.len() > LOG_FORMAT_BYTES {
            return Err(LogFormatError::TooLong {
                bytes: text.len(),
                limit: LOG_FORMAT_BYTES,
            });
        }
        let mut pieces = split(text)?;
        let has = |wanted: &[Field]| {
            pieces.iter().any(
                |piece| matches!(piece, Piece::Variable { field, .. } if wanted.contains(field)),
            )
        };
        if !has(&[Field::Status]) {
            return Err(LogFormatError::Missing("$status"));
        }
        if !has(&[Field::Request, Field::Path]) {
            return Err(LogFormatError::Missing("$request or $request_uri"));
        }
        for at in 1..pieces.len() {
            let (front, back) = pieces.split_at_mut(at);
            if let (
                Some(Piece::Variable { name, shape, .. }),
                Some(Piece::Variable {
                    name: next, field, ..
                }),
            ) = (front.last_mut(), back.first())
            {
                match field {
                    Field::Path => *shape = Shape::Host,
                    _ => return Err(LogFormatError::Adjacent(name.clone(), next.clone())),
                }
            }
        }
        Ok(Self { escaping, pieces })
    }

    /// Read the line `start..end` of the block.
    pub(crate) fn read(
        &self,
        block: &[u8],
        start: usize,
        end: usize,
        state: &mut State<'_>,
        batch: &mut Batch<Record>,
    ) -> Result<(), &'static str> {
        let mut line = Line::new();
        let text = &block[..end];
        let mut at = start;
        for (place, piece) in self.pieces.iter().enumerate() {
            match piece {
                Piece::Literal(literal) => {
                    let rest = &text[at..];
                    if rest.starts_with(literal) {
                        at += literal.len();
                    } else if rest == literal.trim_ascii_end() {
                        // Empty values at the end: the spaces before them went with the line's end.
                        at = end;
                    } else {
                        return Err(if rest.is_empty() {
                            "a cut line"
                        } else {
                            NO_MATCH
                        });
                    }
                }
                Piece::Variable {
                    field, unit, shape, ..
                } => {
                    let next = match self.pieces.get(place + 1) {
                        Some(Piece::Literal(next)) => next.as_slice(),
                        _ => &[],
                    };
                    let to = value_end(text, at, *shape, next);
                    let raw = &text[at..to];
                    let (span, plain);
                    if self.escaping == Escaping::Json && memchr::memchr(b'\\', raw).is_some() {
                        let mut out = Vec::new();
                        escape::unescape_json(raw, &mut out);
                        (span, plain) = (batch.keep(&out), std::borrow::Cow::Owned(out));
                    } else {
                        (span, plain) = (Span::new(at, to), std::borrow::Cow::Borrowed(raw));
                    }
                    line.set(*field, *unit, span, &plain, &mut state.second);
                    at = to;
                }
            }
        }
        if at < end {
            return Err(NO_MATCH);
        }
        let escape = match self.escaping {
            Escaping::Default => Escape::Server,
            _ => Escape::None,
        };
        line.finish(Span::new(start, end), block, escape, state, batch)
    }
}

impl Format {
    /// The format that an `nginx.conf` gives under `name`; without a name, its only one. `combined` is
    /// always there.
    ///
    /// # Errors
    /// When there is no such format, when there are several and no name was given, or when the format
    /// cannot be compiled.
    pub fn from_nginx_conf(conf: &str, name: Option<&str>) -> Result<Format, LogFormatError> {
        let mut found = conf::log_formats(conf)?;
        let known = || -> Vec<String> { found.iter().map(|f| f.name.clone()).collect() };
        let at = match name {
            Some(name) => match found.iter().position(|format| format.name == name) {
                Some(at) => at,
                None if name == "combined" => return Ok(Format::Combined),
                None => {
                    return Err(LogFormatError::Unknown {
                        name: name.to_owned(),
                        known: known(),
                    });
                }
            },
            None if found.is_empty() => return Ok(Format::Combined),
            None if found.len() == 1 => 0,
            None => return Err(LogFormatError::Several(known())),
        };
        let chosen = found.swap_remove(at);
        if chosen.text == COMBINED {
            return Ok(Format::Combined);
        }
        let format = LogFormat::compile(&chosen.text, chosen.escaping)?;
        Ok(Format::Nginx(Box::new(format)))
    }
}

/// Literals and variables.
fn split(text: &str) -> Result<Vec<Piece>, LogFormatError> {
    let mut pieces: Vec<Piece> = Vec::new();
    let text = text.trim();
    let mut rest = text;
    while !rest.is_empty() {
        let offset = text.len() - rest.len();
        if let Some(behind) = rest.strip_prefix('$') {
            let (inner, closing) = match behind.strip_prefix('{') {
                Some(inner) => (inner, 1),
                None => (behind, 0),
            };
            let len = inner
                .find(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_')
                .unwrap_or(inner.len());
            let closed = closing == 0 || inner[len..].starts_with('}');
            if len == 0 || !closed {
                return Err(LogFormatError::NoName(offset));
            }
            pieces.push(variable(&inner[..len]));
            rest = &inner[len + closing..];
            continue;
        }
        let len = rest.find('$').unwrap_or(rest.len());
        pieces.push(Piece::Literal(rest.as_bytes()[..len].to_vec()));
        rest = &rest[len..];
    }
    Ok(pieces)
}

fn variable(name: &str) -> Piece {
    let (field, unit) = match name {
        // The virtual host, not the client; and a user's name may be anything.
        "host" | "http_host" | "remote_user" => (Field::Ignored, Unit::Seconds),
        _ => meaning(Parent::Line, name.as_bytes()),
    };
    let shape = match name {
        "time_local" => Shape::TimeLocal,
        "request" => Shape::Request,
        _ if name.starts_with("upstream_") || name == "http_x_forwarded_for" => Shape::List,
        _ => Shape::Plain,
    };
    Piece::Variable {
        name: name.to_owned(),
        field,
        unit,
        shape,
    }
}

/// Where the value that begins at `from` ends, when `next` is what follows it; nothing: the line's end.
fn value_end(text: &[u8], from: usize, shape: Shape, next: &[u8]) -> usize {
    let find = |at: usize| -> usize {
        let rest = text.get(at..).unwrap_or_default();
        let found = match next {
            [byte] => memchr::memchr(*byte, rest),
            _ => memchr::memmem::find(rest, next),
        };
        found.map_or(text.len(), |len| at + len)
    };
    if shape == Shape::Host {
        let rest = &text[from..];
        return from + memchr::memchr(b'/', rest).unwrap_or(rest.len());
    }
    if next.is_empty() {
        return text.len();
    }
    match shape {
        Shape::TimeLocal if text.get(from + 2) == Some(&b'/') => find((from + 26).min(text.len())),
        Shape::Request if next.first() == Some(&b' ') => {
            let rest = &text[from..];
            find(from + memchr::memmem::find(rest, b" HTTP/").map_or(0, |at| at + 1))
        }
        Shape::List => {
            let mut at = from;
            loop {
                at = find(at);
                let goes_on = text[from..at].ends_with(b",")
                    || text[from..at].ends_with(b" :")
                    || next == b" " && text[at..].starts_with(b" : ");
                if !goes_on || at >= text.len() {
                    return at;
                }
                at += 1;
            }
        }
        _ => find(from),
    }
}
