//! JSON -> wire, after the proto3 JSON mapping (<https://protobuf.dev/programming-guides/json/>).

use std::borrow::Cow;

use super::json_read::{Fault, JsonReader, Outcome, Within, fault, integer, number_len};
use super::json_write::from_base64;
use super::slots::Sink;
use super::tables::{Field, Kind, MessageTable, NO_ONEOF, Tables, WellKnown};
use super::to_json::UNKNOWN_KEY;
use crate::error::{EncodeCause, EncodeError};
use crate::limits::Limits;
use crate::nearest::nearest;
use crate::schema::Message;
use crate::wire::{Reader, WireType, put_tag, put_varint, varint_len, zigzag};

/// How JSON is read. The default refuses what it does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct JsonParseOptions {
    /// Skips keys the message has no field for instead of refusing them.
    pub ignore_unknown: bool,
}

impl JsonParseOptions {
    /// The strict reading.
    pub fn new() -> JsonParseOptions {
        JsonParseOptions::default()
    }

    /// Sets [`JsonParseOptions::ignore_unknown`].
    #[must_use]
    pub fn ignore_unknown(self, ignore_unknown: bool) -> JsonParseOptions {
        JsonParseOptions { ignore_unknown }
    }
}

impl Message {
    /// Appends the wire form of a JSON value. Takes both names of a field, integers as numbers or
    /// strings (`1e3` and `1.0` too), enums by name or number, base64 in either alphabet, and the
    /// reserved keys [`Message::to_json`] writes. Fields are written in the order of the text;
    /// default values of fields without presence are left out.
    ///
    /// # Errors
    ///
    /// The first fault, with line, column and field path; `out` is then as it was.
    pub fn from_json(
        &self,
        json: &[u8],
        options: &JsonParseOptions,
        out: &mut Vec<u8>,
    ) -> Result<(), EncodeError> {
        let start = out.len();
        let encoded = encode(self, json, options, out, None);
        encoded.map_err(|fault| {
            out.truncate(start);
            fault.place(json)
        })
    }
}

/// Encodes a whole JSON text; placeholders go to the sink, if there is one.
pub(crate) fn encode(
    message: &Message,
    json: &[u8],
    options: &JsonParseOptions,
    out: &mut Vec<u8>,
    sink: Option<&mut Sink<'_>>,
) -> Outcome<()> {
    let limits = message.limits();
    let json = JsonReader::new(json, limits)?;
    let mut encoder = Encoder {
        tables: message.tables(),
        limits,
        options,
        json,
        out,
        sink,
    };
    encoder.message(message.table(), 0)?;
    encoder.json.end()
}

pub(crate) struct Encoder<'a, 's, 'j> {
    pub(crate) tables: &'a Tables,
    pub(crate) limits: &'a Limits,
    pub(crate) options: &'a JsonParseOptions,
    pub(crate) json: JsonReader<'j>,
    pub(crate) out: &'a mut Vec<u8>,
    pub(crate) sink: Option<&'a mut Sink<'s>>,
}

/// Where a length-delimited value began.
#[derive(Clone, Copy)]
pub(crate) struct Opened {
    start: usize,
    marks: usize,
}

/// The fields of one object seen so far.
struct Seen {
    small: u128,
    large: Vec<bool>,
}

impl Seen {
    fn new(table: &MessageTable) -> Seen {
        Seen {
            small: 0,
            large: if table.fields.len() > 128 {
                vec![false; table.fields.len()]
            } else {
                Vec::new()
            },
        }
    }

    fn has(&self, index: usize) -> bool {
        if self.large.is_empty() {
            self.small >> index & 1 == 1
        } else {
            self.large[index]
        }
    }

    fn add(&mut self, index: usize) {
        if self.large.is_empty() {
            self.small |= 1 << index;
        } else {
            self.large[index] = true;
        }
    }
}

impl<'a, 'j> Encoder<'a, '_, 'j> {
    /// Encodes a message's content from the next JSON value.
    pub(crate) fn message(&mut self, table: &'a MessageTable, depth: usize) -> Outcome<()> {
        if depth > self.limits.depth {
            let cause = EncodeCause::Limit {
                what: "nested messages",
                limit: self.limits.depth,
            };
            return Err(fault(self.json.at(), cause));
        }
        match table.well_known {
            WellKnown::None | WellKnown::Empty => self.object(table, depth, &[]),
            _ => self.special(table, depth),
        }
    }

    /// Encodes an object field by field; `taken` are keys read elsewhere.
    pub(crate) fn object(
        &mut self,
        table: &'a MessageTable,
        depth: usize,
        taken: &[&str],
    ) -> Outcome<()> {
        self.json.begin_object("an object")?;
        let mut seen = Seen::new(table);
        let mut set = Seen::new(table);
        let mut first = true;
        let mut guess = 0;
        while let Some((key, at)) = self.json.next_key(&mut first)? {
            let index = match table.fields.get(guess) {
                Some(field) if *field.json_name == *key => Some(guess),
                _ => table.by_name(&key),
            };
            let Some(index) = index else {
                if taken.contains(&&*key) {
                    self.json.skip()?;
                } else {
                    self.other_key(table, &key, at, depth)?;
                }
                continue;
            };
            guess = index + 1;
            if seen.has(index) {
                return Err(fault(
                    at,
                    EncodeCause::Duplicate {
                        name: key.into_owned(),
                    },
                ));
            }
            seen.add(index);
            let field = &table.fields[index];
            if self.json.peek() == b'n' && !self.takes_null(field) && self.json.word("null") {
                continue;
            }
            set.add(index);
            if field.oneof != NO_ONEOF {
                check_oneof(table, index, &set, &key, at)?;
            }
            self.field(field, depth).in_field(&key)?;
        }
        // Most tables demand nothing, and an empty object of a wide one must stay cheap.
        if table.requires {
            self.required(table, &set)?;
        }
        Ok(())
    }

    fn required(&mut self, table: &MessageTable, set: &Seen) -> Outcome<()> {
        let mut fields = table.fields.iter().enumerate();
        match fields.find(|(index, field)| field.required && !set.has(*index)) {
            None => Ok(()),
            Some((_, field)) => {
                let name = field.name.to_string();
                Err(fault(self.json.at(), EncodeCause::Required { name }))
            }
        }
    }

    /// A key that is no field.
    fn other_key(
        &mut self,
        table: &MessageTable,
        key: &str,
        at: usize,
        depth: usize,
    ) -> Outcome<()> {
        if key == UNKNOWN_KEY {
            return self.unknown_bytes(table, depth).in_field(key);
        }
        if self.options.ignore_unknown {
            return self.json.skip();
        }
        let names = table.fields.iter().map(|field| &*field.json_name);
        Err(fault(
            at,
            EncodeCause::UnknownField {
                message: table.full_name.to_string(),
                name: key.to_owned(),
                nearest: nearest(key, names),
            },
        ))
    }

    /// Takes back the wire bytes of unknown fields, if they are fields and unknown.
    fn unknown_bytes(&mut self, table: &MessageTable, depth: usize) -> Outcome<()> {
        let at = self.json.at();
        let text = self.json.string()?;
        let start = self.out.len();
        let well_formed = from_base64(&text, self.out).and_then(|()| {
            let mut reader = Reader::new(&self.out[start..]);
            while !reader.is_empty() {
                let (number, wire) = reader.tag().ok()?;
                let known = table.find(number).map(|index| &table.fields[index]);
                if known.is_some_and(|field| field.accepts(wire)) {
                    return None;
                }
                reader.skip(number, wire, self.limits.depth - depth).ok()?;
            }
            Some(())
        });
        well_formed.ok_or_else(|| {
            fault(
                at,
                EncodeCause::Form {
                    expected: "base64 of whole wire fields the message does not know",
                },
            )
        })
    }

    /// Whether `null` is a value of the field rather than its absence.
    pub(crate) fn takes_null(&self, field: &Field) -> bool {
        !field.repeated
            && match field.kind {
                Kind::Message => self.tables.sub(field).well_known == WellKnown::Value,
                Kind::Enum => self.tables.enumeration(field).null,
                _ => false,
            }
    }

    fn field(&mut self, field: &'a Field, depth: usize) -> Outcome<()> {
        if field.map {
            self.map(field, depth)
        } else if field.repeated {
            self.list(field, depth)
        } else {
            self.single(field, depth, !field.presence)
        }
    }

    pub(crate) fn list(&mut self, field: &'a Field, depth: usize) -> Outcome<()> {
        self.json.begin_list("a list")?;
        let before = self.out.len();
        let opened = field.packed.then(|| {
            put_tag(self.out, field.number, WireType::Len);
            self.open()
        });
        let (mut first, mut index) = (true, 0);
        while self.json.next_element(&mut first)? {
            let element = match opened {
                Some(_) => self.packed(field),
                None => self.single(field, depth, false),
            };
            element.in_element(index)?;
            index += 1;
        }
        if let Some(opened) = opened {
            self.close(opened);
            if index == 0 {
                self.out.truncate(before);
            }
        }
        Ok(())
    }

    /// One element of a packed list.
    fn packed(&mut self, field: &'a Field) -> Outcome<()> {
        if self.slot(field, false)? {
            return Ok(());
        }
        let raw = self.number(field)?;
        self.put_raw(field.kind, raw);
        Ok(())
    }

    pub(crate) fn map(&mut self, field: &'a Field, depth: usize) -> Outcome<()> {
        let entry = self.tables.sub(field);
        let (key_field, value_field) = (&entry.fields[0], &entry.fields[1]);
        self.json.begin_object("an object")?;
        let mut first = true;
        let mut seen: std::collections::HashSet<Vec<u8>> = std::collections::HashSet::new();
        while let Some((key, at)) = self.json.next_key(&mut first)? {
            if depth >= self.limits.depth {
                let cause = EncodeCause::Limit {
                    what: "nested messages",
                    limit: self.limits.depth,
                };
                return Err(fault(at, cause));
            }
            put_tag(self.out, field.number, WireType::Len);
            let opened = self.open();
            let start = self.out.len();
            self.map_key(key_field, &key, at)?;
            if !seen.insert(self.out[start..].to_vec()) {
                return Err(fault(
                    at,
                    EncodeCause::Duplicate {
                        name: key.into_owned(),
                    },
                ));
            }
            self.single(value_field, depth + 1, false).in_key(&key)?;
            self.close(opened);
        }
        Ok(())
    }

    fn map_key(&mut self, field: &Field, key: &str, at: usize) -> Outcome<()> {
        if self.sink.is_some() && key.contains("${") {
            return Err(fault(
                at,
                EncodeCause::Placeholder {
                    place: "a key".to_owned(),
                },
            ));
        }
        let raw = match field.kind {
            Kind::String => {
                self.put_text(field, key);
                return Ok(());
            }
            Kind::Bool => match key {
                "true" => 1,
                "false" => 0,
                _ => return Err(range(at, key, "bool")),
            },
            kind => super::from_json_special::text_integer(key)
                .and_then(|value| raw_integer(kind, value))
                .ok_or_else(|| range(at, key, kind.name()))?,
        };
        put_tag(self.out, field.number, field.kind.wire());
        self.put_raw(field.kind, raw);
        Ok(())
    }

    /// One value with its tag. `implicit` leaves a default value out.
    pub(crate) fn single(&mut self, field: &'a Field, depth: usize, implicit: bool) -> Outcome<()> {
        match field.kind {
            Kind::Message => {
                put_tag(self.out, field.number, WireType::Len);
                let opened = self.open();
                self.message(self.tables.sub(field), depth + 1)?;
                self.close(opened);
                return Ok(());
            }
            Kind::Group => {
                put_tag(self.out, field.number, WireType::StartGroup);
                self.message(self.tables.sub(field), depth + 1)?;
                put_tag(self.out, field.number, WireType::EndGroup);
                return Ok(());
            }
            _ => {}
        }
        if self.slot(field, implicit)? {
            return Ok(());
        }
        match field.kind {
            Kind::String => {
                let text = self.json.string()?;
                let text = match self.sink {
                    Some(_) if text.contains("$${") => Cow::Owned(text.replace("$${", "${")),
                    _ => text,
                };
                if !(implicit && text.is_empty()) {
                    self.put_text(field, &text);
                }
            }
            Kind::Bytes => self.bytes(field, implicit)?,
            _ => {
                let raw = self.number(field)?;
                if !(implicit && raw == 0) {
                    put_tag(self.out, field.number, field.kind.wire());
                    self.put_raw(field.kind, raw);
                }
            }
        }
        Ok(())
    }

    pub(crate) fn put_text(&mut self, field: &Field, text: &str) {
        put_tag(self.out, field.number, WireType::Len);
        put_varint(self.out, text.len() as u64);
        self.out.extend_from_slice(text.as_bytes());
    }

    fn bytes(&mut self, field: &Field, implicit: bool) -> Outcome<()> {
        let at = self.json.at();
        let text = self.json.string()?;
        let before = self.out.len();
        put_tag(self.out, field.number, WireType::Len);
        let opened = self.open();
        let start = self.out.len();
        from_base64(&text, self.out)
            .ok_or_else(|| fault(at, EncodeCause::Form { expected: "base64" }))?;
        let empty = self.out.len() == start;
        self.close(opened);
        if implicit && empty {
            self.out.truncate(before);
        }
        Ok(())
    }

    /// A number, truth value or enum, in raw form.
    fn number(&mut self, field: &Field) -> Outcome<u64> {
        let at = self.json.at();
        match field.kind {
            Kind::Bool if self.json.word("true") => Ok(1),
            Kind::Bool if self.json.word("false") => Ok(0),
            Kind::Bool => Err(self.json.mistyped("true or false")),
            Kind::Enum => self.enumeration(field),
            kind => {
                let text = self.number_text(kind)?;
                match kind {
                    Kind::Double => raw_double(&text),
                    Kind::Float => raw_float(&text),
                    _ => integer(&text).and_then(|value| raw_integer(kind, value)),
                }
                .ok_or_else(|| range(at, &text, kind.name()))
            }
        }
    }

    /// The text of a number, bare or in quotes.
    fn number_text(&mut self, kind: Kind) -> Outcome<Cow<'j, str>> {
        if self.json.peek() != b'"' {
            return match self.json.peek() {
                b'-' | b'0'..=b'9' => self.json.number().map(Cow::Borrowed),
                _ => Err(self.json.mistyped(kind.name())),
            };
        }
        let at = self.json.at();
        let text = self.json.string()?;
        let fits = match kind {
            Kind::Double | Kind::Float => is_float(&text).is_some(),
            _ => !text.is_empty() && number_len(text.as_bytes()) == text.len(),
        };
        if !fits {
            return Err(range(at, &text, kind.name()));
        }
        Ok(text)
    }

    fn enumeration(&mut self, field: &Field) -> Outcome<u64> {
        let kind = self.tables.enumeration(field);
        let at = self.json.at();
        match self.json.peek() {
            b'n' if kind.null && self.json.word("null") => Ok(0),
            b'"' => {
                let name = self.json.string()?;
                match kind.names.get(&*name) {
                    Some(number) => Ok(i64::from(*number) as u64),
                    None => Err(fault(
                        at,
                        EncodeCause::UnknownEnum {
                            name_of: kind.full_name.to_string(),
                            nearest: nearest(&name, kind.values.iter().map(|value| &*value.name)),
                            name: name.into_owned(),
                        },
                    )),
                }
            }
            b'-' | b'0'..=b'9' => {
                let text = self.json.number()?;
                integer(text)
                    .and_then(|value| raw_integer(Kind::Enum, value))
                    .ok_or_else(|| range(at, text, "enum number"))
            }
            _ => Err(self.json.mistyped(format!("a value of {}", kind.full_name))),
        }
    }

    /// Appends a number in its wire form.
    #[inline]
    pub(crate) fn put_raw(&mut self, kind: Kind, raw: u64) {
        put_raw(kind, raw, self.out);
    }

    /// Begins a length-delimited value; most lengths fit the one byte put aside for them.
    pub(crate) fn open(&mut self) -> Opened {
        self.out.push(0);
        Opened {
            start: self.out.len(),
            marks: self.sink.as_ref().map_or(0, |sink| sink.marks.len()),
        }
    }

    /// Ends a length-delimited value and sets its length, or leaves that to rendering when there are
    /// placeholders in it.
    pub(crate) fn close(&mut self, opened: Opened) {
        let Opened { start, marks } = opened;
        if let Some(sink) = &mut self.sink
            && sink.marks.len() > marks
        {
            self.out.remove(start - 1);
            sink.enclose(marks, start - 1, self.out.len());
            return;
        }
        set_length(self.out, start, 1);
    }
}

/// Writes the length of what follows `start` into the `kept` bytes before it, making room for more.
#[inline]
pub(crate) fn set_length(out: &mut Vec<u8>, start: usize, kept: usize) {
    let len = out.len() - start;
    if kept == 1 && len < 0x80 {
        out[start - 1] = len as u8;
        return;
    }
    let needed = varint_len(len as u64);
    if needed > kept {
        let more = needed - kept;
        out.resize(out.len() + more, 0);
        out.copy_within(start..start + len, start + more);
    } else if needed < kept {
        out.drain(start - kept..start - needed);
    }
    let mut value = len;
    let field = &mut out[start - kept..start - kept + needed];
    for (at, byte) in field.iter_mut().enumerate() {
        *byte = value as u8 & 0x7f | if at + 1 < needed { 0x80 } else { 0 };
        value >>= 7;
    }
}

/// Appends a raw number in the wire form of its kind.
#[inline]
pub(crate) fn put_raw(kind: Kind, raw: u64, out: &mut Vec<u8>) {
    match kind.wire() {
        WireType::Fixed32 => out.extend_from_slice(&(raw as u32).to_le_bytes()),
        WireType::Fixed64 => out.extend_from_slice(&raw.to_le_bytes()),
        _ => put_varint(out, raw),
    }
}

#[cold]
pub(crate) fn range(at: usize, value: &str, kind: &'static str) -> Box<Fault> {
    let value = value.chars().take(64).collect();
    fault(at, EncodeCause::Range { value, kind })
}

/// An integer in raw form, if its kind can hold it.
pub(crate) fn raw_integer(kind: Kind, value: i128) -> Option<u64> {
    match kind {
        Kind::Int32 | Kind::Enum => i32::try_from(value)
            .ok()
            .map(|value| i64::from(value) as u64),
        Kind::Sfixed32 => i32::try_from(value)
            .ok()
            .map(|value| u64::from(value as u32)),
        Kind::Sint32 => i32::try_from(value)
            .ok()
            .map(|value| zigzag(i64::from(value))),
        Kind::Uint32 | Kind::Fixed32 => u32::try_from(value).ok().map(u64::from),
        Kind::Int64 | Kind::Sfixed64 => i64::try_from(value).ok().map(|value| value as u64),
        Kind::Sint64 => i64::try_from(value).ok().map(zigzag),
        Kind::Uint64 | Kind::Fixed64 => u64::try_from(value).ok(),
        _ => None,
    }
}

/// A double in raw form, from JSON's notation.
pub(crate) fn raw_double(text: &str) -> Option<u64> {
    let named = is_float(text)?;
    let value: f64 = text.parse().ok()?;
    (named || value.is_finite()).then(|| value.to_bits())
}

/// A single in raw form, from JSON's notation.
pub(crate) fn raw_float(text: &str) -> Option<u64> {
    let named = is_float(text)?;
    let value: f32 = text.parse().ok()?;
    (named || value.is_finite()).then(|| u64::from(value.to_bits()))
}

/// Whether it is one of the three names rather than a number; `None` when it is neither.
fn is_float(text: &str) -> Option<bool> {
    let named = matches!(text, "NaN" | "Infinity" | "-Infinity");
    (named || !text.is_empty() && number_len(text.as_bytes()) == text.len()).then_some(named)
}

/// Refuses a second member of a oneof.
fn check_oneof(
    table: &MessageTable,
    index: usize,
    set: &Seen,
    key: &str,
    at: usize,
) -> Outcome<()> {
    let oneof = table.fields[index].oneof;
    let mut others = table.fields.iter().enumerate();
    let other =
        others.find(|(other, field)| field.oneof == oneof && *other != index && set.has(*other));
    match other {
        None => Ok(()),
        Some((_, other)) => Err(fault(
            at,
            EncodeCause::Oneof {
                name: key.to_owned(),
                other: other.json_name.to_string(),
                oneof: table.oneofs[usize::from(oneof)].to_string(),
            },
        )),
    }
}
