//! JSON -> wire for the types with a JSON form of their own.

use super::from_json::Encoder;
use super::json_read::{Outcome, Within, fault, integer};
use super::json_write::from_base64;
use super::tables::{Kind, MessageTable, WellKnown};
use super::to_json::ANY_BYTES_KEY;
use super::well_known;
use crate::error::EncodeCause;
use crate::nearest::nearest;
use crate::wire::{WireType, put_tag, put_varint};

impl<'a, 'j> Encoder<'a, '_, 'j> {
    /// Encodes a well-known type from the next JSON value.
    pub(crate) fn special(&mut self, table: &'a MessageTable, depth: usize) -> Outcome<()> {
        match table.well_known {
            WellKnown::Any => self.any(depth),
            WellKnown::Timestamp => self.seconds(
                well_known::timestamp,
                "a time like 2006-01-02T15:04:05.123Z",
            ),
            WellKnown::Duration => self.seconds(well_known::duration, "a duration like 1.5s"),
            WellKnown::FieldMask => self.mask(),
            WellKnown::Wrapper => self.single(&table.fields[0], depth, true),
            WellKnown::Value => self.value(table, depth),
            WellKnown::Struct => self.map(&table.fields[0], depth),
            WellKnown::ListValue => self.list(&table.fields[0], depth),
            WellKnown::None | WellKnown::Empty => self.object(table, depth, &[]),
        }
    }

    /// A string that can hold no placeholder.
    fn plain_string(&mut self, place: &str) -> Outcome<std::borrow::Cow<'j, str>> {
        let at = self.json.at();
        let templated = self.sink.is_some();
        let text = self.json.string()?;
        if templated && text.contains("${") {
            return Err(fault(
                at,
                EncodeCause::Placeholder {
                    place: place.to_owned(),
                },
            ));
        }
        Ok(text)
    }

    fn seconds(
        &mut self,
        parse: fn(&str) -> Option<(i64, i32)>,
        expected: &'static str,
    ) -> Outcome<()> {
        let at = self.json.at();
        let text = self.plain_string("a Timestamp or Duration")?;
        let (seconds, nanos) =
            parse(&text).ok_or_else(|| fault(at, EncodeCause::Form { expected }))?;
        for (number, value) in [(1, seconds), (2, i64::from(nanos))] {
            if value != 0 {
                put_tag(self.out, number, WireType::Varint);
                put_varint(self.out, value as u64);
            }
        }
        Ok(())
    }

    fn mask(&mut self) -> Outcome<()> {
        let at = self.json.at();
        let text = self.plain_string("a FieldMask")?.into_owned();
        for path in text.split(',').filter(|_| !text.is_empty()) {
            let mut proto = Vec::new();
            well_known::mask_path(path, &mut proto).ok_or_else(|| {
                fault(
                    at,
                    EncodeCause::Form {
                        expected: "field paths in lowerCamelCase",
                    },
                )
            })?;
            put_tag(self.out, 1, WireType::Len);
            put_varint(self.out, proto.len() as u64);
            self.out.extend_from_slice(&proto);
        }
        Ok(())
    }

    /// A `google.protobuf.Value` of whatever kind the JSON value is.
    fn value(&mut self, table: &'a MessageTable, depth: usize) -> Outcome<()> {
        let number = match self.json.peek() {
            b'n' => 1,
            b'-' | b'0'..=b'9' => 2,
            b'"' => 3,
            b't' | b'f' => 4,
            b'{' => 5,
            b'[' => 6,
            _ => return Err(self.json.syntax("a value")),
        };
        match table.find(number) {
            Some(index) => self.single(&table.fields[index], depth, false),
            None => Err(self.json.syntax("a value")),
        }
    }

    /// An `Any`: the key `@type` may stand anywhere, so it is looked for first.
    fn any(&mut self, depth: usize) -> Outcome<()> {
        let start = self.json.clone();
        let at = self.json.at();
        let (url, has_bytes, is_empty) = self.any_type()?;
        let after = std::mem::replace(&mut self.json, start);
        let Some(url) = url else {
            if !is_empty {
                return Err(fault(
                    at,
                    EncodeCause::Form {
                        expected: "an @type key",
                    },
                ));
            }
            self.json = after;
            return Ok(());
        };
        if !url.is_empty() {
            put_tag(self.out, 1, WireType::Len);
            put_varint(self.out, url.len() as u64);
            self.out.extend_from_slice(url.as_bytes());
        }
        put_tag(self.out, 2, WireType::Len);
        let opened = self.open();
        let name = url.rsplit('/').next().unwrap_or(&url);
        match self.tables.named(name) {
            _ if has_bytes => self.any_member(ANY_BYTES_KEY, |encoder| {
                let at = encoder.json.at();
                let text = encoder.plain_string("an Any of bytes")?.into_owned();
                from_base64(&text, encoder.out)
                    .ok_or_else(|| fault(at, EncodeCause::Form { expected: "base64" }))
            })?,
            None => {
                let names = self.tables.messages.iter().map(|table| &*table.full_name);
                let nearest = nearest(name, names);
                return Err(fault(
                    at,
                    EncodeCause::UnknownType {
                        name: name.to_owned(),
                        nearest,
                    },
                ));
            }
            Some(inner) if inner.well_known == WellKnown::None => {
                self.object(inner, depth + 1, &["@type"])?
            }
            Some(inner) => self.any_member("value", |encoder| encoder.message(inner, depth + 1))?,
        }
        self.close(opened);
        Ok(())
    }

    /// Looks through an `Any` for its type: the URL, whether `@value` is there, whether it is `{}`.
    fn any_type(&mut self) -> Outcome<(Option<String>, bool, bool)> {
        self.json.begin_object("an object with an @type key")?;
        let (mut first, mut url, mut has_bytes) = (true, None, false);
        while let Some((key, at)) = self.json.next_key(&mut first)? {
            match &*key {
                "@type" if url.is_some() => {
                    return Err(fault(
                        at,
                        EncodeCause::Duplicate {
                            name: key.into_owned(),
                        },
                    ));
                }
                "@type" => url = Some(self.plain_string("the @type of an Any")?.into_owned()),
                other => {
                    has_bytes |= other == ANY_BYTES_KEY;
                    self.json.skip()?;
                }
            }
        }
        Ok((url, has_bytes, first))
    }

    /// Reads an `Any` whose content is under one key beside `@type`.
    fn any_member(&mut self, wanted: &str, read: impl Fn(&mut Self) -> Outcome<()>) -> Outcome<()> {
        self.json.begin_object("an object")?;
        let (mut first, mut seen) = (true, false);
        while let Some((key, at)) = self.json.next_key(&mut first)? {
            match &*key {
                "@type" => self.json.skip()?,
                other if other == wanted && seen => {
                    return Err(fault(
                        at,
                        EncodeCause::Duplicate {
                            name: key.into_owned(),
                        },
                    ));
                }
                other if other == wanted => {
                    seen = true;
                    read(self).in_field(wanted)?;
                }
                _ if self.options.ignore_unknown => self.json.skip()?,
                other => {
                    let cause = EncodeCause::UnknownField {
                        message: "google.protobuf.Any".to_owned(),
                        name: other.to_owned(),
                        nearest: Some(wanted.to_owned()),
                    };
                    return Err(fault(at, cause));
                }
            }
        }
        Ok(())
    }
}

/// The integer a placeholder's text stands for.
pub(crate) fn text_integer(text: &str) -> Option<i128> {
    let whole = !text.is_empty() && super::json_read::number_len(text.as_bytes()) == text.len();
    integer(text).filter(|_| whole)
}

/// Whether a kind is a number on the wire.
pub(crate) fn is_integer(kind: Kind) -> bool {
    kind.packable() && !matches!(kind, Kind::Bool | Kind::Enum | Kind::Float | Kind::Double)
}
