//! The shape of a statement: what it is but for its literals.
//!
//! A statement is written down again in a canonical form while it is read, and the shape is the hash of
//! that text, so statements are of one shape exactly when their texts are the same:
//!
//! - literals of every kind are `?`, signs, introducers (`_utf8mb4'..'`) and types (`DATE '..'`)
//!   included; NULL too, where a literal may stand (not in `IS NULL`);
//! - lists of any length are one: `in(?+)`, rows behind VALUES, OR of the same comparison, WHEN of the
//!   same case, UNION of the same SELECT, LIMIT with and without an offset;
//! - white space and comments are dropped, hints (`/*+ */`) and version comments (`/*! */`) are kept;
//! - words are in lower case, and plain identifiers lose their quotes. Digits in names are kept.

mod fold;
mod keyword;
mod lex;
mod memo;
mod word;
mod writer;

use md5::{Digest, Md5};

use super::Verb;
use super::quote::Inside;
use crate::hash::hash;
use memo::Memo;
use writer::Writer;

/// What a statement's text says.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shape {
    /// Equal for equal canonical texts.
    pub(super) hash: u64,
    pub(super) verb: Verb,
    /// Where a request's id stands.
    pub(super) request_id: Option<(usize, usize)>,
    /// What the text's end lies in, when backslashes escape.
    pub(super) end: Inside,
}

/// Writes canonical texts, one after the other into the same memory.
#[derive(Debug, Default)]
pub(super) struct Shaper {
    writer: Writer,
    memo: Memo,
}

const ADMIN: &[u8] = b"# administrator command: ";

impl Shaper {
    /// The shape of a statement.
    pub(super) fn shape(&mut self, statement: &[u8]) -> Shape {
        if is_admin(statement) {
            return Shape {
                hash: hash(admin_text(statement)),
                verb: Verb::Admin,
                request_id: None,
                // A statement may begin with a comment that looks like one.
                end: Inside::LineComment,
            };
        }
        let key = self.memo.key(statement);
        if let Some(known) = key.and_then(|key| self.memo.get(key)) {
            return known;
        }
        let read = self.write(statement);
        let shape = Shape {
            hash: hash(self.writer.text()),
            verb: self.writer.verb(),
            request_id: read.request_id,
            end: read.end,
        };
        if let Some(key) = key {
            self.memo.keep(key, shape);
        }
        shape
    }

    /// Write the canonical text. Where backslashes as escapes leave a literal open, or make a word stick
    /// to one, they may not have been escapes (NO_BACKSLASH_ESCAPES).
    fn write(&mut self, statement: &[u8]) -> Read {
        let plain = lex::lex(statement, true, &mut self.writer);
        if plain.is_sane() || memchr::memchr(b'\\', statement).is_none() {
            return plain;
        }
        if !lex::lex(statement, false, &mut self.writer).is_sane() {
            lex::lex(statement, true, &mut self.writer);
        }
        plain
    }
}

fn is_admin(statement: &[u8]) -> bool {
    statement.starts_with(ADMIN) && memchr::memchr(b'\n', statement).is_none()
}

/// `administrator command: Ping`.
fn admin_text(statement: &[u8]) -> &[u8] {
    statement.get(2..).unwrap_or_default().trim_ascii_end()
}

/// What reading a statement showed, besides its canonical text.
#[derive(Debug, Clone, Copy)]
struct Read {
    /// What its end lies in.
    end: Inside,
    /// A word sticks to a literal before it.
    sticks: bool,
    request_id: Option<(usize, usize)>,
}

impl Read {
    fn is_sane(&self) -> bool {
        !self.sticks && !matches!(self.end, Inside::Open(_))
    }
}

/// The text that says a statement's shape. Statements are of one shape when these texts are equal.
pub fn render(statement: &[u8]) -> String {
    if is_admin(statement) {
        return readable(admin_text(statement));
    }
    let mut shaper = Shaper::default();
    shaper.write(statement);
    readable(shaper.writer.text())
}

/// Text for people: what is no UTF-8 and control bytes as `\xff`. A backslash is doubled, so that
/// different texts stay different.
fn readable(text: &[u8]) -> String {
    let mut out = String::with_capacity(text.len());
    for chunk in text.utf8_chunks() {
        for letter in chunk.valid().chars() {
            match letter {
                '\\' => out.push_str("\\\\"),
                letter if letter.is_ascii_control() => escape(letter as u8, &mut out),
                letter => out.push(letter),
            }
        }
        for byte in chunk.invalid() {
            escape(*byte, &mut out);
        }
    }
    out
}

fn escape(byte: u8, out: &mut String) {
    out.push_str(&format!("\\x{byte:02x}"));
}

/// A shape's id: the last 16 digits of the upper-case MD5 of its text, as pt-query-digest writes ids
/// in short.
pub fn id(rendered: &str) -> String {
    let digest = Md5::digest(rendered.as_bytes());
    digest[8..]
        .iter()
        .map(|byte| format!("{byte:02X}"))
        .collect()
}
