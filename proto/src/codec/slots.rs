//! Placeholders found while a template's JSON is encoded.

use super::from_json::Encoder;
use super::json_read::{Outcome, fault};
use super::tables::{Field, Kind};
use crate::error::EncodeCause;
use crate::nearest::nearest;
use crate::wire::{WireType, put_tag};

/// What a slot's value is written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SlotKind {
    /// A field's whole value.
    Field(Kind),
    /// A piece of a string, without a length of its own.
    Piece,
}

/// One place a value goes to.
#[derive(Debug, Clone)]
pub(crate) struct Slot {
    /// Index of the name.
    pub(crate) name: usize,
    pub(crate) kind: SlotKind,
    /// Name of the field, for errors.
    pub(crate) field: Box<str>,
    /// Index of the enum table.
    pub(crate) sub: u32,
    /// The tag, when value and tag are left out for a default value; else empty.
    pub(crate) tag: Vec<u8>,
}

/// A place in the encoded bytes that rendering fills.
#[derive(Debug)]
pub(crate) struct Mark {
    pub(crate) at: usize,
    pub(crate) what: What,
}

#[derive(Debug)]
pub(crate) enum What {
    /// A value.
    Slot(Slot),
    /// The length of what lies up to `end`, which the next `inside` marks are in.
    Length { end: usize, inside: usize },
}

/// Collects the placeholders of one template.
#[derive(Debug)]
pub(crate) struct Sink<'s> {
    /// In the order of the bytes; a length before what it encloses.
    pub(crate) marks: Vec<Mark>,
    pub(crate) names: Vec<String>,
    /// The names allowed, when they are given.
    pub(crate) known: Option<&'s [&'s str]>,
    pub(crate) limit: usize,
}

impl Sink<'_> {
    /// Puts a length over all marks from `first` on. The byte at `start`, which was kept for the
    /// length, is gone: everything behind it moves up.
    pub(crate) fn enclose(&mut self, first: usize, start: usize, end: usize) {
        for mark in &mut self.marks[first..] {
            mark.at -= 1;
            if let What::Length { end, .. } = &mut mark.what {
                *end -= 1;
            }
        }
        let inside = self.marks.len() - first;
        let what = What::Length { end, inside };
        self.marks.insert(first, Mark { at: start, what });
    }

    fn name(&mut self, name: &str, at: usize) -> Outcome<usize> {
        if let Some(index) = self.names.iter().position(|known| known == name) {
            return Ok(index);
        }
        if let Some(known) = self.known {
            let nearest = nearest(name, known.iter().copied());
            return Err(fault(
                at,
                EncodeCause::UnknownSlot {
                    name: name.to_owned(),
                    nearest,
                },
            ));
        }
        if self.names.len() >= self.limit {
            return Err(fault(
                at,
                EncodeCause::Limit {
                    what: "placeholders",
                    limit: self.limit,
                },
            ));
        }
        self.names.push(name.to_owned());
        Ok(self.names.len() - 1)
    }
}

/// A piece of a string with placeholders.
#[derive(Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Slot(String),
}

/// Splits a string at its placeholders: `None` when one is malformed.
fn pieces(text: &str) -> Option<Vec<Piece>> {
    let mut pieces = Vec::new();
    let mut literal = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        if let Some(before) = rest[..at].strip_suffix('$') {
            literal.push_str(before);
            literal.push_str("${");
            rest = &rest[at + 2..];
            continue;
        }
        literal.push_str(&rest[..at]);
        let (name, after) = rest[at + 2..].split_once('}')?;
        let fits = |c: char| c.is_alphanumeric() || "_.-".contains(c);
        if name.is_empty() || !name.chars().all(fits) {
            return None;
        }
        if !literal.is_empty() {
            pieces.push(Piece::Text(std::mem::take(&mut literal)));
        }
        pieces.push(Piece::Slot(name.to_owned()));
        rest = after;
    }
    literal.push_str(rest);
    if !literal.is_empty() {
        pieces.push(Piece::Text(literal));
    }
    Some(pieces)
}

impl Encoder<'_, '_, '_> {
    /// Takes the next JSON value as placeholders of a scalar field, with the tag unless the field is
    /// packed. Tells whether there were any; if not, nothing is read.
    pub(crate) fn slot(&mut self, field: &Field, implicit: bool) -> Outcome<bool> {
        if self.sink.is_none() || self.json.peek() != b'"' {
            return Ok(false);
        }
        let before = self.json.clone();
        let at = self.json.at();
        let text = self.json.string()?;
        if !text.contains("${") {
            self.json = before;
            return Ok(false);
        }
        let malformed = || {
            fault(
                at,
                EncodeCause::Syntax {
                    expected: "a placeholder like ${name}",
                },
            )
        };
        let pieces = pieces(&text).ok_or_else(malformed)?;
        match pieces.as_slice() {
            [Piece::Slot(name)] => self.whole(field, name, at, implicit)?,
            [Piece::Text(_)] => {
                self.json = before;
                return Ok(false);
            }
            pieces if field.kind == Kind::String => self.joined(field, pieces, at)?,
            _ => {
                let place = format!("a part of the {} {}", field.kind.name(), field.name);
                return Err(fault(at, EncodeCause::Placeholder { place }));
            }
        }
        Ok(true)
    }

    fn whole(&mut self, field: &Field, name: &str, at: usize, implicit: bool) -> Outcome<()> {
        let mut tag = Vec::new();
        put_tag(&mut tag, field.number, field.kind.wire());
        // A packed element has no tag; `packed` fields come here for nothing else.
        if field.packed {
            tag.clear();
        } else if !implicit {
            self.out.append(&mut tag);
        }
        self.mark(name, at, SlotKind::Field(field.kind), field, tag)
    }

    fn joined(&mut self, field: &Field, pieces: &[Piece], at: usize) -> Outcome<()> {
        put_tag(self.out, field.number, WireType::Len);
        let opened = self.open();
        for piece in pieces {
            match piece {
                Piece::Text(text) => self.out.extend_from_slice(text.as_bytes()),
                Piece::Slot(name) => self.mark(name, at, SlotKind::Piece, field, Vec::new())?,
            }
        }
        self.close(opened);
        Ok(())
    }

    fn mark(
        &mut self,
        name: &str,
        at: usize,
        kind: SlotKind,
        field: &Field,
        tag: Vec<u8>,
    ) -> Outcome<()> {
        let Some(sink) = &mut self.sink else {
            return Ok(());
        };
        let name = sink.name(name, at)?;
        let slot = Slot {
            name,
            kind,
            field: field.name.clone(),
            sub: field.sub,
            tag,
        };
        sink.marks.push(Mark {
            at: self.out.len(),
            what: What::Slot(slot),
        });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_at_placeholders() {
        fn text(text: &str) -> Piece {
            Piece::Text(text.to_owned())
        }
        fn slot(name: &str) -> Piece {
            Piece::Slot(name.to_owned())
        }
        #[track_caller]
        fn check(input: &str, expected: Option<Vec<Piece>>) {
            assert_eq!(pieces(input), expected, "{input}");
        }
        check("${a}", Some(vec![slot("a")]));
        check(
            "x-${a.b}${c_1}!",
            Some(vec![text("x-"), slot("a.b"), slot("c_1"), text("!")]),
        );
        check("$${a}", Some(vec![text("${a}")]));
        check("$${${a}", Some(vec![text("${"), slot("a")]));
        check("$5 {x}", Some(vec![text("$5 {x}")]));
        check("", Some(vec![]));
        check("${}", None);
        check("${a", None);
        check("${a b}", None);
    }
}
