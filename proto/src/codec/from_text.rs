//! Text format -> wire.
//!
//! After the text format specification (<https://protobuf.dev/reference/protobuf/textformat-spec/>),
//! and what [`Message::to_exact_text`] writes besides: fields by their numbers, and raw bytes.

use std::collections::HashSet;

use super::exact::RAW;
use super::json_read::{Outcome, Within, fault};
use super::tables::{Field, Kind, MessageTable, NO_ONEOF, Tables, WellKnown};
use super::text_lex::{Lexer, Token, expected, unescape};
use super::text_number as number;
use crate::error::{EncodeCause, EncodeError};
use crate::limits::Limits;
use crate::nearest::nearest;
use crate::schema::Message;
use crate::wire::{Reader, WireType, put_tag, put_varint};

/// How text is read. The default takes whatever has a meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct TextParseOptions {
    /// Refuses what `protoc --encode` refuses: a single field that comes twice, two members of a
    /// oneof, numbers a closed enum has no name for, fields by number and raw bytes.
    pub strict: bool,
}

impl TextParseOptions {
    /// The reading that takes most.
    pub fn new() -> TextParseOptions {
        TextParseOptions::default()
    }

    /// Sets [`TextParseOptions::strict`].
    #[must_use]
    pub fn strict(self, strict: bool) -> TextParseOptions {
        TextParseOptions { strict }
    }
}

impl Message {
    /// Appends the wire form of a text. Takes the text format of the specification and what protoc
    /// prints, fields by number included (`5: 1` is a varint, `5: 0x00000001` with 8 digits four
    /// bytes, with 16 eight, `5: "..."` bytes, `5 { }` a message without a type), and gives the very
    /// bytes that [`Message::to_exact_text`] told. Fields are written in the order of the text, as they
    /// stand: defaults too, and each list of a packed field in one run. Required fields may be absent.
    ///
    /// # Errors
    ///
    /// The first fault, with line, column and field path; `out` is then as it was.
    pub fn from_text(
        &self,
        text: &[u8],
        options: &TextParseOptions,
        out: &mut Vec<u8>,
    ) -> Result<(), EncodeError> {
        encode(Some(self), self.limits(), text, options, out)
    }
}

/// Encodes a whole text; without a type all fields go by number.
pub(crate) fn encode(
    message: Option<&Message>,
    limits: &Limits,
    text: &[u8],
    options: &TextParseOptions,
    out: &mut Vec<u8>,
) -> Result<(), EncodeError> {
    let base = out.len();
    let encoded = parse(message, limits, text, options, out);
    encoded.map_err(|fault| {
        out.truncate(base);
        fault.place(text)
    })
}

fn parse(
    message: Option<&Message>,
    limits: &Limits,
    text: &[u8],
    options: &TextParseOptions,
    out: &mut Vec<u8>,
) -> Outcome<()> {
    if text.len() > limits.text_bytes {
        let (what, limit) = ("bytes of text", limits.text_bytes);
        return Err(fault(0, EncodeCause::Limit { what, limit }));
    }
    let base = out.len();
    let mut parser = Parser {
        lexer: Lexer::new(text)?,
        tables: message.map(Message::tables),
        limits,
        strict: options.strict,
        base,
        out,
    };
    parser.message(message.map(Message::table), None, 0)
}

struct Parser<'a, 't> {
    lexer: Lexer<'t>,
    tables: Option<&'a Tables>,
    limits: &'a Limits,
    strict: bool,
    out: &'a mut Vec<u8>,
    /// Where the message starts in the output.
    base: usize,
}

/// What one message has had so far.
#[derive(Default)]
struct State {
    /// Where the packed list starts that ends the output, and its field: single values join it.
    run: Option<(u32, usize)>,
    fields: HashSet<u32>,
    oneofs: HashSet<u16>,
}

/// A value of a scalar field.
enum Scalar {
    /// A number as the wire carries it.
    Raw(u64),
    Bytes(Vec<u8>),
}

impl<'a> Parser<'a, '_> {
    /// Reads fields up to the mark that closes the message, or the end of the text.
    fn message(
        &mut self,
        table: Option<&'a MessageTable>,
        close: Option<u8>,
        depth: usize,
    ) -> Outcome<()> {
        if depth > self.limits.depth {
            return Err(self.limit("nested messages", self.limits.depth));
        }
        let mut state = State::default();
        loop {
            match (self.lexer.token, close) {
                (Token::End, None) => return Ok(()),
                (Token::Mark(mark), Some(close)) if mark == close => return self.lexer.advance(),
                (Token::Name(name), _) => self.named(table, name, &mut state, depth)?,
                (Token::Number(digits), _) => {
                    state.run = None;
                    self.numbered(digits, depth)?;
                }
                (Token::Mark(b'['), _) => self.in_brackets(table, &mut state, depth)?,
                (_, Some(b'}')) => return expected(self.lexer.at, "a field or }"),
                (_, Some(_)) => return expected(self.lexer.at, "a field or >"),
                (_, None) => return expected(self.lexer.at, "a field"),
            }
            if self.out.len() - self.base > self.limits.message_bytes {
                return Err(self.limit("bytes of message", self.limits.message_bytes));
            }
            if !self.lexer.accept(b',')? {
                self.lexer.accept(b';')?;
            }
        }
    }

    #[cold]
    fn limit(&self, what: &'static str, limit: usize) -> Box<super::json_read::Fault> {
        fault(self.lexer.at, EncodeCause::Limit { what, limit })
    }

    /// A field by its name, which is the current token.
    fn named(
        &mut self,
        table: Option<&'a MessageTable>,
        name: &str,
        state: &mut State,
        depth: usize,
    ) -> Outcome<()> {
        let Some(table) = table else {
            return expected(self.lexer.at, "a field number, as the type is not known");
        };
        let Some(index) = find(table, name) else {
            return Err(self.no_field(table, name));
        };
        self.note(table, index, state)?;
        self.lexer.advance()?;
        self.values(&table.fields[index], index as u32, state, depth)
            .in_field(name)
    }

    #[cold]
    fn no_field(&self, table: &MessageTable, name: &str) -> Box<super::json_read::Fault> {
        let names = table.fields.iter().map(|field| &*field.text_name);
        let cause = EncodeCause::UnknownField {
            message: table.full_name.to_string(),
            name: name.to_owned(),
            nearest: nearest(name, names),
        };
        fault(self.lexer.at, cause)
    }

    /// In strict reading, refuses what may come but once.
    fn note(&self, table: &MessageTable, index: usize, state: &mut State) -> Outcome<()> {
        let field = &table.fields[index];
        if !self.strict || field.repeated {
            return Ok(());
        }
        let name = || field.text_name.to_string();
        if !state.fields.insert(index as u32) {
            let cause = EncodeCause::Duplicate { name: name() };
            return Err(fault(self.lexer.at, cause));
        }
        if field.oneof != NO_ONEOF && !state.oneofs.insert(field.oneof) {
            let other = table.fields.iter().zip(0..).find(|(other, at)| {
                other.oneof == field.oneof && *at as usize != index && state.fields.contains(at)
            });
            let cause = EncodeCause::Oneof {
                name: name(),
                other: other.map_or_else(String::new, |(other, _)| other.text_name.to_string()),
                oneof: table.oneofs[usize::from(field.oneof)].to_string(),
            };
            return Err(fault(self.lexer.at, cause));
        }
        Ok(())
    }

    /// The value or values behind a field's name.
    fn values(
        &mut self,
        field: &'a Field,
        index: u32,
        state: &mut State,
        depth: usize,
    ) -> Outcome<()> {
        let run = state.run.take().filter(|(of, _)| *of == index);
        let colon = self.lexer.accept(b':')?;
        if !colon && !field.kind.is_message() {
            return expected(self.lexer.at, "a colon");
        }
        if self.lexer.token != Token::Mark(b'[') {
            if field.kind.is_message() {
                return self.sub_message(field, depth);
            }
            let value = self.scalar(field)?;
            if !field.packed {
                self.put(field, &value);
                return Ok(());
            }
            state.run = Some((index, self.put_packed(field, &value, run.map(|(_, at)| at))));
            return Ok(());
        }
        if !field.repeated {
            return expected(self.lexer.at, "one value, as the field is no list");
        }
        self.lexer.advance()?;
        let start = self.out.len();
        if field.packed {
            put_tag(self.out, field.number, WireType::Len);
        }
        let content = self.out.len();
        let mut count = 0;
        while !self.lexer.accept(b']')? {
            if count > 0 && !self.lexer.accept(b',')? {
                return expected(self.lexer.at, "a comma or ]");
            }
            let put = match field.kind.is_message() {
                true => self.sub_message(field, depth),
                false => self.scalar(field).map(|value| match field.packed {
                    true => self.put_value(field, &value),
                    false => self.put(field, &value),
                }),
            };
            put.in_element(count)?;
            count += 1;
            if self.out.len() - start > self.limits.message_bytes {
                return Err(self.limit("bytes of message", self.limits.message_bytes));
            }
        }
        if field.packed {
            self.put_length(content);
        }
        Ok(())
    }

    /// A message value: the tag, and the content with its length or end.
    fn sub_message(&mut self, field: &'a Field, depth: usize) -> Outcome<()> {
        let table = self.tables.map(|tables| tables.sub(field));
        if field.kind == Kind::Message {
            return self.delimited(field.number, table, depth);
        }
        put_tag(self.out, field.number, WireType::StartGroup);
        self.braced(table, depth)?;
        put_tag(self.out, field.number, WireType::EndGroup);
        Ok(())
    }

    /// A message in braces as a length-delimited field.
    fn delimited(
        &mut self,
        number: u32,
        table: Option<&'a MessageTable>,
        depth: usize,
    ) -> Outcome<()> {
        put_tag(self.out, number, WireType::Len);
        let content = self.out.len();
        self.braced(table, depth)?;
        self.put_length(content);
        Ok(())
    }

    fn braced(&mut self, table: Option<&'a MessageTable>, depth: usize) -> Outcome<()> {
        let close = match self.lexer.token {
            Token::Mark(b'{') => b'}',
            Token::Mark(b'<') => b'>',
            _ => return expected(self.lexer.at, "{ or <"),
        };
        self.lexer.advance()?;
        self.message(table, Some(close), depth + 1)
    }

    /// A name in brackets: an extension, the content of an `Any`, or raw bytes.
    fn in_brackets(
        &mut self,
        table: Option<&'a MessageTable>,
        state: &mut State,
        depth: usize,
    ) -> Outcome<()> {
        let at = self.lexer.at;
        let name = self.lexer.bracketed()?;
        if RAW.strip_prefix('[').and_then(|raw| raw.strip_suffix(']')) == Some(&*name) {
            state.run = None;
            if self.strict {
                return expected(at, "a field, as raw bytes are refused here");
            }
            if !self.lexer.accept(b':')? {
                return expected(self.lexer.at, "a colon");
            }
            let bytes = self.quoted()?;
            self.out.extend_from_slice(&bytes);
            return Ok(());
        }
        let Some(table) = table else {
            return expected(at, "a field number, as the type is not known");
        };
        if name.contains('/') {
            state.run = None;
            return self
                .any(table, &name, at, depth)
                .in_field(&format!("[{name}]"));
        }
        let name = format!("[{name}]");
        let Some(index) = table.by_name(&name) else {
            let mut missing = self.no_field(table, &name);
            missing.set_at(at);
            return Err(missing);
        };
        self.note(table, index, state)?;
        self.values(&table.fields[index], index as u32, state, depth)
            .in_field(&name)
    }

    fn any(&mut self, table: &'a MessageTable, url: &str, at: usize, depth: usize) -> Outcome<()> {
        if table.well_known != WellKnown::Any {
            return expected(at, "a field, as only google.protobuf.Any takes a type URL");
        }
        let name = url.rsplit('/').next().unwrap_or(url);
        let inner = self.tables.and_then(|tables| tables.named(name));
        let Some(inner) = inner else {
            let known = self.tables.iter().flat_map(|tables| &tables.messages);
            let cause = EncodeCause::UnknownType {
                name: name.to_owned(),
                nearest: nearest(name, known.map(|table| &*table.full_name)),
            };
            return Err(fault(at, cause));
        };
        self.lexer.accept(b':')?;
        put_tag(self.out, 1, WireType::Len);
        put_varint(self.out, url.len() as u64);
        self.out.extend_from_slice(url.as_bytes());
        self.delimited(2, Some(inner), depth)
    }

    /// A field by its number, which is the current token.
    fn numbered(&mut self, digits: &str, depth: usize) -> Outcome<()> {
        let at = self.lexer.at;
        let number = match digits.parse::<u32>() {
            Ok(number @ 1..=0x1fff_ffff) => number,
            _ => return expected(at, "a field name, or a number from 1 to 536870911"),
        };
        if self.strict {
            return expected(at, "a field name, as numbers are refused here");
        }
        self.lexer.advance()?;
        let colon = self.lexer.accept(b':')?;
        if !(colon && self.lexer.accept(b'[')?) {
            return self.unknown(number, colon, depth).in_field(digits);
        }
        let mut count = 0;
        while !self.lexer.accept(b']')? {
            if count > 0 && !self.lexer.accept(b',')? {
                return expected(self.lexer.at, "a comma or ]");
            }
            self.unknown(number, true, depth)
                .in_element(count)
                .in_field(digits)?;
            count += 1;
            if self.out.len() - self.base > self.limits.message_bytes {
                return Err(self.limit("bytes of message", self.limits.message_bytes));
            }
        }
        Ok(())
    }

    /// A value whose form says its wire type.
    fn unknown(&mut self, number: u32, colon: bool, depth: usize) -> Outcome<()> {
        if matches!(self.lexer.token, Token::Mark(b'{' | b'<')) {
            return self.delimited(number, None, depth);
        }
        if !colon {
            return expected(self.lexer.at, "a colon or {");
        }
        if matches!(self.lexer.token, Token::Quoted(_)) {
            let bytes = self.quoted()?;
            put_tag(self.out, number, WireType::Len);
            put_varint(self.out, bytes.len() as u64);
            self.out.extend_from_slice(&bytes);
            return Ok(());
        }
        let at = self.lexer.at;
        let negative = self.lexer.accept(b'-')?;
        let Token::Number(digits) = self.lexer.token else {
            return expected(at, "an integer, a string or {");
        };
        let raw = number::integer(digits, negative, Kind::Int64)
            .or_else(|| number::integer(digits, negative, Kind::Uint64));
        let Some(raw) = raw else {
            return expected(at, "an integer of 64 bits, a string or {");
        };
        let hex = digits.strip_prefix("0x").filter(|_| !negative);
        match hex.map(str::len) {
            Some(8) => {
                put_tag(self.out, number, WireType::Fixed32);
                self.out.extend_from_slice(&(raw as u32).to_le_bytes());
            }
            Some(16) => {
                put_tag(self.out, number, WireType::Fixed64);
                self.out.extend_from_slice(&raw.to_le_bytes());
            }
            _ => {
                put_tag(self.out, number, WireType::Varint);
                put_varint(self.out, raw);
            }
        }
        self.lexer.advance()
    }

    /// One or more strings side by side.
    fn quoted(&mut self) -> Outcome<Vec<u8>> {
        let mut bytes = Vec::new();
        let Token::Quoted(_) = self.lexer.token else {
            return expected(self.lexer.at, "a string");
        };
        while let Token::Quoted(inside) = self.lexer.token {
            unescape(inside, self.lexer.at + 1, &mut bytes)?;
            self.lexer.advance()?;
        }
        Ok(bytes)
    }

    /// A value of a scalar field.
    fn scalar(&mut self, field: &'a Field) -> Outcome<Scalar> {
        let at = self.lexer.at;
        if matches!(field.kind, Kind::String | Kind::Bytes) {
            let bytes = self.quoted()?;
            if field.kind == Kind::String && field.utf8 && std::str::from_utf8(&bytes).is_err() {
                return Err(fault(at, EncodeCause::Utf8));
            }
            return Ok(Scalar::Bytes(bytes));
        }
        let negative = self.lexer.accept(b'-')?;
        let raw = match (self.lexer.token, field.kind) {
            (Token::Name(name), Kind::Enum) if !negative => Some(self.enum_value(field, name)?),
            (Token::Name(name), Kind::Bool) if !negative => number::boolean(name),
            (Token::Name(name), Kind::Float | Kind::Double) => {
                number::special(name, negative, field.kind)
            }
            (Token::Number(digits), Kind::Float | Kind::Double) => {
                number::floating(digits, negative, field.kind)
            }
            (Token::Number(digits), kind) => {
                let raw = number::integer(digits, negative, kind);
                if raw.is_none() && number::looks_whole(digits) {
                    let sign = if negative { "-" } else { "" };
                    return Err(fault(
                        at,
                        EncodeCause::Range {
                            value: format!("{sign}{digits}"),
                            kind: kind.name(),
                        },
                    ));
                }
                raw
            }
            _ => None,
        };
        let Some(raw) = raw else {
            return Err(fault(at, self.wrong_type(field)));
        };
        if self.strict && field.kind == Kind::Enum {
            let kind = self.tables.map(|tables| tables.enumeration(field));
            if kind.is_some_and(|kind| kind.closed && kind.name(raw as i32).is_none()) {
                return expected(at, "a number that the enum has a name for");
            }
        }
        self.lexer.advance()?;
        Ok(Scalar::Raw(raw))
    }

    #[cold]
    fn wrong_type(&self, field: &Field) -> EncodeCause {
        EncodeCause::Type {
            expected: format!("a value of type {}", field.kind.name()),
            found: match self.lexer.token {
                Token::Name(_) => "a word",
                Token::Number(_) => "a number of another form",
                Token::Quoted(_) => "a string",
                Token::Mark(b'{' | b'<') => "a message",
                Token::Mark(_) => "punctuation",
                Token::End => "the end of the text",
            },
        }
    }

    fn enum_value(&self, field: &Field, name: &str) -> Outcome<u64> {
        let Some(kind) = self.tables.map(|tables| tables.enumeration(field)) else {
            return expected(self.lexer.at, "a number");
        };
        match kind.names.get(name) {
            Some(number) => Ok(i64::from(*number) as u64),
            None => Err(fault(
                self.lexer.at,
                EncodeCause::UnknownEnum {
                    name_of: kind.full_name.to_string(),
                    name: name.to_owned(),
                    nearest: nearest(name, kind.names.keys().map(|name| &**name)),
                },
            )),
        }
    }

    /// Writes tag and value.
    fn put(&mut self, field: &Field, value: &Scalar) {
        put_tag(self.out, field.number, field.kind.wire());
        self.put_value(field, value);
    }

    fn put_value(&mut self, field: &Field, value: &Scalar) {
        match value {
            Scalar::Bytes(bytes) => {
                put_varint(self.out, bytes.len() as u64);
                self.out.extend_from_slice(bytes);
            }
            Scalar::Raw(raw) => match field.kind.wire() {
                WireType::Fixed32 => self.out.extend_from_slice(&(*raw as u32).to_le_bytes()),
                WireType::Fixed64 => self.out.extend_from_slice(&raw.to_le_bytes()),
                _ => put_varint(self.out, *raw),
            },
        }
    }

    /// Writes one value of a packed list, behind those that end the output; gives where these start.
    fn put_packed(&mut self, field: &Field, value: &Scalar, run: Option<usize>) -> usize {
        let Some(content) = run else {
            put_tag(self.out, field.number, WireType::Len);
            let content = self.out.len();
            self.put_value(field, value);
            self.put_length(content);
            return content;
        };
        // The length grows where it stands: a list may have one line for each of many elements.
        let mut reader = Reader::new(&self.out[content..]);
        let old = reader.varint().unwrap_or_default();
        let old_len = reader.offset();
        let before = self.out.len();
        self.put_value(field, value);
        let mut length = Vec::with_capacity(10);
        put_varint(&mut length, old + (self.out.len() - before) as u64);
        self.out.splice(content..content + old_len, length);
        content
    }

    /// Puts the length of what is behind `content` in front of it.
    fn put_length(&mut self, content: usize) {
        let mut length = Vec::with_capacity(10);
        put_varint(&mut length, (self.out.len() - content) as u64);
        self.out.splice(content..content, length);
    }
}

/// The field of this name in text format.
fn find(table: &MessageTable, name: &str) -> Option<usize> {
    let is_it = |field: &Field| *field.name == *name || *field.text_name == *name;
    let quick = table.by_name(name).filter(|at| is_it(&table.fields[*at]));
    quick.or_else(|| table.fields.iter().position(is_it))
}
