//! Where in a body each field is: offset, bytes, field, value, one line a field.

use std::collections::HashMap;
use std::fmt::Write;

use isukit_analyze::report::printable;
use isukit_proto::wire::{Reader, WireType};
use isukit_proto::{DecodeError, FieldInfo, FieldKind, Message, Value};

/// Lines of one body that are shown.
const LINES: usize = 1_000;

/// Messages in messages that are shown.
const DEPTH: usize = 64;

/// Bytes of a field that are shown.
const HEX_BYTES: usize = 8;

/// Characters of a value that are shown.
const VALUE_CHARS: usize = 60;

/// A body, line by line. Without a type, fields are told by their numbers.
pub(super) fn dump(bytes: &[u8], message: Option<&Message>) -> String {
    let mut dump = Dump {
        bytes,
        out: String::new(),
        lines: 0,
    };
    dump.fields(0, bytes.len(), message, 0);
    if dump.lines > LINES {
        let _ = writeln!(dump.out, "... and more, behind the first {LINES} fields");
    }
    dump.out
}

struct Dump<'b> {
    bytes: &'b [u8],
    out: String,
    lines: usize,
}

/// A field's place: its tag is at `start`, its value at `value..end`.
#[derive(Clone, Copy)]
struct Span {
    start: usize,
    value: usize,
    end: usize,
}

impl Dump<'_> {
    fn fields(&mut self, from: usize, to: usize, message: Option<&Message>, depth: usize) {
        let known: HashMap<u32, FieldInfo<'_>> = message
            .into_iter()
            .flat_map(|message| message.fields().map(move |field| message.info(field)))
            .map(|info| (info.number, info))
            .collect();
        let mut reader = Reader::part(self.bytes, from, to);
        while !reader.is_empty() && self.lines <= LINES {
            let start = reader.offset();
            match self.field(&mut reader, message, &known, depth) {
                Ok(()) => {}
                Err(error) => {
                    let span = Span {
                        start,
                        value: start,
                        end: to,
                    };
                    self.line(span, to, depth, &format!("broken: {error}"));
                    return;
                }
            }
        }
    }

    fn field(
        &mut self,
        reader: &mut Reader<'_>,
        message: Option<&Message>,
        known: &HashMap<u32, FieldInfo<'_>>,
        depth: usize,
    ) -> Result<(), DecodeError> {
        let start = reader.offset();
        let (number, wire) = reader.tag()?;
        let mut peek = reader.clone();
        reader.skip(number, wire, DEPTH)?;
        let end = reader.offset();
        let info = known.get(&number);
        let name = match info {
            Some(info) => format!("{} {number}", info.name),
            None => format!("{number}"),
        };
        // The value of a length-delimited field and of a group, without what is around it.
        let (content, content_len) = match wire {
            WireType::Len => {
                let content = peek.bytes()?;
                (end - content.len(), content.len())
            }
            WireType::StartGroup => (peek.offset(), peek.group(number, DEPTH)?.len()),
            _ => (peek.offset(), 0),
        };
        let span = Span {
            start,
            value: content,
            end,
        };
        let inner = info.and_then(|info| inner(&info.kind));
        let is_nested = match (wire, &inner) {
            (WireType::Len, inner) => inner.is_some(),
            (WireType::StartGroup, _) => true,
            _ => false,
        };
        if is_nested && depth < DEPTH {
            let what = match (info.map(|info| &info.kind), &inner) {
                (Some(FieldKind::Map(..)), _) => "entry".to_owned(),
                (_, Some(inner)) => inner.full_name().to_owned(),
                (_, None) => "group".to_owned(),
            };
            self.line(
                span,
                content,
                depth,
                &format!("{name}: {what}, {content_len} bytes"),
            );
            self.fields(content, content + content_len, inner.as_ref(), depth + 1);
            return Ok(());
        }
        if let (Some(info), Some(message), WireType::Len) = (info, message, wire)
            && let FieldKind::Map(..) = info.kind
        {
            let text = entry(message, info, &self.bytes[start..end]);
            self.line(span, end, depth, &format!("{name}: {text}"));
            return Ok(());
        }
        let value = match (info, message) {
            (Some(info), Some(message)) if fits(&info.kind, wire) => {
                typed(message, info, &self.bytes[start..end])
            }
            _ => None,
        };
        let value = value.unwrap_or_else(|| untyped(&self.bytes[content..end], wire));
        self.line(span, end, depth, &format!("{name}: {value}"));
        Ok(())
    }

    /// `000007  12 0b                    value`: the bytes from the field's start to `shown_to`.
    fn line(&mut self, span: Span, shown_to: usize, depth: usize, text: &str) {
        self.lines += 1;
        if self.lines > LINES {
            return;
        }
        let shown_to = shown_to.min(span.end).max(span.value.min(span.end));
        let field = &self.bytes[span.start..shown_to];
        let mut hex: Vec<String> = field
            .iter()
            .take(HEX_BYTES)
            .map(|byte| format!("{byte:02x}"))
            .collect();
        if field.len() > HEX_BYTES {
            hex.push("..".to_owned());
        }
        let _ = writeln!(
            self.out,
            "{:06x}  {:width$}  {:indent$}{}",
            span.start,
            hex.join(" "),
            "",
            printable(text),
            width = HEX_BYTES * 3 + 2,
            indent = depth * 2
        );
    }
}

/// The message type that a field holds.
fn inner(kind: &FieldKind) -> Option<Message> {
    match kind {
        FieldKind::Message(message) => Some(message.clone()),
        FieldKind::List(element) => inner(element),
        _ => None,
    }
}

/// Whether a field of this kind can be on the wire like that.
fn fits(kind: &FieldKind, wire: WireType) -> bool {
    match kind {
        FieldKind::Bool | FieldKind::Enum(_) => wire == WireType::Varint,
        FieldKind::Int | FieldKind::Uint => wire != WireType::Len,
        FieldKind::Float => wire == WireType::Fixed32,
        FieldKind::Double => wire == WireType::Fixed64,
        // Numbers of a list may be packed.
        FieldKind::List(element) => wire == WireType::Len || fits(element, wire),
        _ => wire == WireType::Len,
    }
}

/// What the bytes of one field are, as its type has it.
fn typed(message: &Message, info: &FieldInfo<'_>, field: &[u8]) -> Option<String> {
    let found = message.field(info.name).ok()?;
    let values = message.items(found, field).ok()?;
    let shown: Vec<String> = values.iter().take(VALUE_CHARS).map(value).collect();
    Some(match (&info.kind, shown.as_slice()) {
        (FieldKind::List(_), [one]) => one.clone(),
        (FieldKind::List(_), all) => cut(&format!("[{}]", all.join(", "))),
        (_, [.., last]) => last.clone(),
        (_, []) => return None,
    })
}

fn entry(message: &Message, info: &FieldInfo<'_>, field: &[u8]) -> String {
    let entries = message
        .field(info.name)
        .ok()
        .and_then(|found| message.entries(found, field).ok());
    let shown: Vec<String> = entries
        .iter()
        .flatten()
        .map(|(key, of)| format!("{} -> {}", value(key), value(of)))
        .collect();
    match shown.is_empty() {
        true => "a broken entry".to_owned(),
        false => shown.join(", "),
    }
}

fn value(value: &Value<'_>) -> String {
    match value {
        Value::Bool(value) => value.to_string(),
        Value::I64(value) => value.to_string(),
        Value::U64(value) => value.to_string(),
        Value::F32(value) => value.to_string(),
        Value::F64(value) => value.to_string(),
        Value::Str(text) => cut(&format!("{text:?}")),
        Value::Bytes(bytes) => cut(&format!("\"{}\"", bytes.escape_ascii())),
        Value::Enum { number, name } => match name {
            Some(name) => format!("{name} ({number})"),
            None => number.to_string(),
        },
        Value::Message(bytes) => format!("{} bytes", bytes.len()),
        _ => String::new(),
    }
}

/// What bytes may be of whose type nothing is known.
fn untyped(bytes: &[u8], wire: WireType) -> String {
    let mut reader = Reader::new(bytes);
    match wire {
        WireType::Varint => reader
            .varint()
            .map_or_else(|_| String::new(), |value| value.to_string()),
        WireType::Fixed32 => reader.fixed32().map_or_else(
            |_| String::new(),
            |value| format!("{value:#010x} ({})", f32::from_bits(value)),
        ),
        WireType::Fixed64 => reader.fixed64().map_or_else(
            |_| String::new(),
            |value| format!("{value:#018x} ({})", f64::from_bits(value)),
        ),
        _ => match std::str::from_utf8(bytes) {
            Ok(text) if !text.chars().any(char::is_control) => cut(&format!("{text:?}")),
            _ => cut(&format!(
                "{} bytes \"{}\"",
                bytes.len(),
                bytes.escape_ascii()
            )),
        },
    }
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(VALUE_CHARS) {
        Some((at, _)) => format!("{}...", &text[..at]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use isukit_proto::Schema;

    use super::*;

    fn message(name: &str) -> Message {
        let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/../scenarios/teams");
        let schema = Schema::compile(&[PathBuf::from(dir)]).unwrap();
        schema.message(name).unwrap()
    }

    /// Lines without the column of bytes, blanks squeezed.
    fn check(kind: Option<&str>, bytes: &[u8], expected: &[&str]) {
        let message = kind.map(message);
        let text = dump(bytes, message.as_ref());
        let lines: Vec<String> = text
            .lines()
            .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
            .collect();
        assert_eq!(lines, expected, "{text}");
    }

    #[test]
    fn every_field_has_its_place() {
        let team = b"\x0a\x10\x08\x07\x12\x03ann\x1a\x07\x08\x01\x12\x01b\x18\x01";
        check(
            Some("GetTeamResponse"),
            team,
            &[
                "000000 0a 10 team 1: teams.v1.Team, 16 bytes",
                "000002 08 07 id 1: 7",
                "000004 12 03 61 6e 6e name 2: \"ann\"",
                "000009 1a 07 members 3: teams.v1.Member, 7 bytes",
                "00000b 08 01 id 1: 1",
                "00000d 12 01 62 name 2: \"b\"",
                "000010 18 01 role 3: ROLE_LEADER (1)",
            ],
        );
        check(
            Some("Team"),
            b"\x22\x08\x0a\x01k\x12\x03val\x29\0\0\0\0\0\0\xf8\x3f",
            &[
                "000000 22 08 0a 01 6b 12 03 76 .. labels 4: \"k\" -> \"val\"",
                "00000a 29 00 00 00 00 00 00 f8 .. score 5: 1.5",
            ],
        );
    }

    #[test]
    fn what_is_unknown_is_shown_by_number() {
        check(
            None,
            b"\x08\x96\x01\x12\x03ann\x1d\0\0\x80\x3f\x23\x08\x01\x24",
            &[
                "000000 08 96 01 1: 150",
                "000003 12 03 61 6e 6e 2: \"ann\"",
                "000008 1d 00 00 80 3f 3: 0x3f800000 (1)",
                "00000d 23 4: group, 2 bytes",
                "00000e 08 01 1: 1",
            ],
        );
        check(Some("Team"), b"\x98\x06\x01", &["000000 98 06 01 99: 1"]);
    }

    #[test]
    fn what_is_broken_is_told_and_nothing_is_too_much() {
        let text = dump(b"\x08\x07\x12\x09ann", Some(&message("Team")));
        assert!(text.contains("id 1: 7"), "{text}");
        assert!(text.lines().last().unwrap().contains("broken: "), "{text}");
        let text = dump(&b"\x08\x01".repeat(LINES * 2), None);
        assert_eq!(text.lines().count(), LINES + 1, "{text}");
        let text = dump(b"\x12\x05\x1b[31m", Some(&message("Team")));
        assert!(!text.contains('\u{1b}'), "{text}");
        assert_eq!(dump(b"", None), "");
        // Groups in groups end where they must.
        let _ = dump(&b"\x0b".repeat(100_000), None);
    }

    #[test]
    fn any_bytes_can_be_dumped() {
        use proptest::prelude::*;
        let team = message("GetTeamResponse");
        proptest!(|(bytes in proptest::collection::vec(any::<u8>(), 0..200))| {
            let _ = dump(&bytes, Some(&team));
            let _ = dump(&bytes, None);
        });
    }
}
