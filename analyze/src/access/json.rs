//! JSON lines: one object a line, flat or with the request in an object of its own.
//!
//! This is no validator: what is not used is stepped over, strings need not be UTF-8 (nginx writes
//! whatever bytes a client sent), and only a line whose object does not end is refused.

use super::Record;
use super::labels::{Field, Parent, meaning};
use super::limits::JSON_DEPTH;
use super::line::{Escape, Line, State};
use super::values::Unit;
use super::{escape, limits};
use crate::digest::{Batch, Span};

const NOT_JSON: &str = "no JSON object";
const CUT: &str = "a cut line";

/// A line that is being read.
struct Cursor<'a> {
    block: &'a [u8],
    /// All up to the line's end.
    text: &'a [u8],
    at: usize,
}

impl Cursor<'_> {
    #[inline(always)]
    fn peek(&mut self) -> Option<u8> {
        loop {
            match self.text.get(self.at) {
                Some(b' ' | b'\t' | b'\r') => self.at += 1,
                other => return other.copied(),
            }
        }
    }

    /// Step over the string that begins here. Returns where its inside is, and whether it holds escapes.
    #[inline(always)]
    fn string(&mut self) -> Result<(usize, usize, bool), &'static str> {
        let begin = self.at + 1;
        let mut at = begin;
        let mut escaped = false;
        loop {
            let rest = self.text.get(at..).ok_or(CUT)?;
            at += memchr::memchr2(b'"', b'\\', rest).ok_or(CUT)?;
            if self.text[at] == b'"' {
                break;
            }
            escaped = true;
            at += 2;
        }
        self.at = at + 1;
        Ok((begin, at, escaped))
    }

    /// Step over the object or array that begins here.
    fn nested(&mut self) -> Result<(), &'static str> {
        let mut depth = 0_usize;
        while let Some(byte) = self.text.get(self.at) {
            match byte {
                b'"' => {
                    self.string()?;
                    continue;
                }
                b'{' | b'[' => depth += 1,
                b'}' | b']' => depth -= 1,
                _ => {}
            }
            self.at += 1;
            if depth == 0 {
                return Ok(());
            }
            if depth > JSON_DEPTH {
                return Err("objects that lie too deep in each other");
            }
        }
        Err(CUT)
    }

    /// Step over a number or a word.
    #[inline(always)]
    fn word(&mut self) -> (usize, usize) {
        let begin = self.at;
        while let Some(byte) = self.text.get(self.at) {
            if matches!(byte, b',' | b'}' | b']' | b' ' | b'\t') {
                break;
            }
            self.at += 1;
        }
        (begin, self.at)
    }
}

/// Read the line `start..end` of the block; `root` says whether it is one of our own events.
#[inline]
pub(crate) fn read(
    block: &[u8],
    start: usize,
    end: usize,
    root: Parent,
    state: &mut State<'_>,
    batch: &mut Batch<Record>,
) -> Result<(), &'static str> {
    let text = &block[..end];
    let mut line = Line::new();
    // Something may stand in front: `web-1  | {...}`.
    let at = start + memchr::memchr(b'{', &text[start..]).ok_or(NOT_JSON)? + 1;
    let mut cursor = Cursor { block, text, at };
    object(&mut cursor, root, &mut line, state, batch)?;
    match root {
        Parent::Event => line.finish_event(Span::new(start, end), block, batch),
        _ => line.finish(Span::new(start, end), block, Escape::None, state, batch),
    }
}

/// The members of an object, whose brace has been read, and of those in it that are of use.
#[inline(always)]
fn object(
    cursor: &mut Cursor<'_>,
    root: Parent,
    line: &mut Line,
    state: &mut State<'_>,
    batch: &mut Batch<Record>,
) -> Result<(), &'static str> {
    let mut parents = [root; 3];
    let mut depth = 0;
    let mut place = 0;
    loop {
        match cursor.peek().ok_or(CUT)? {
            b',' => {
                cursor.at += 1;
                continue;
            }
            b'}' => {
                cursor.at += 1;
                if depth == 0 {
                    return Ok(());
                }
                depth -= 1;
                continue;
            }
            b'"' => {}
            _ => return Err(NOT_JSON),
        }
        let parent = parents[depth];
        let label = cursor.at;
        let (field, unit) = match state.layout.get(place, parent, &cursor.text[label..]) {
            Some((field, unit, len)) => {
                cursor.at += len;
                (field, unit)
            }
            None => look_up(cursor, place, parent, state)?,
        };
        place += 1;
        match cursor.peek().ok_or(CUT)? {
            b'{' => match child(cursor, label, parent) {
                Some(parent) if depth + 1 < parents.len() => {
                    cursor.at += 1;
                    depth += 1;
                    parents[depth] = parent;
                }
                _ => cursor.nested()?,
            },
            _ => value(cursor, (field, unit), line, state, batch)?,
        }
    }
}

/// One value that is no object. Of an array the first element counts.
#[inline(always)]
fn value(
    cursor: &mut Cursor<'_>,
    (field, unit): (Field, Unit),
    line: &mut Line,
    state: &mut State<'_>,
    batch: &mut Batch<Record>,
) -> Result<(), &'static str> {
    let mut array = None;
    if cursor.peek() == Some(b'[') {
        array = Some(cursor.at);
        cursor.at += 1;
    }
    match cursor.peek().ok_or(CUT)? {
        b'"' => {
            let (from, to, escaped) = cursor.string()?;
            if field == Field::Ignored {
                // Most strings are of no use.
            } else if escaped {
                let mut plain = Vec::new();
                escape::unescape_json(&cursor.text[from..to], &mut plain);
                let span = batch.keep(&plain);
                line.set(field, unit, span, &plain, &mut state.second);
            } else {
                let text = &cursor.block[from..to];
                line.set(field, unit, Span::new(from, to), text, &mut state.second);
            }
        }
        b'{' | b'[' | b']' => {}
        _ => {
            let (from, to) = cursor.word();
            let text = &cursor.block[from..to];
            if from == to {
                return Err(NOT_JSON);
            }
            if !matches!(text, b"null" | b"true" | b"false") {
                line.set(field, unit, Span::new(from, to), text, &mut state.second);
            }
        }
    }
    if let Some(begin) = array {
        cursor.at = begin;
        cursor.nested()?;
    }
    Ok(())
}

/// Find out what the label that begins here means, step over it and its colon, and remember it.
#[cold]
fn look_up(
    cursor: &mut Cursor<'_>,
    place: usize,
    parent: Parent,
    state: &mut State<'_>,
) -> Result<(Field, Unit), &'static str> {
    let label = cursor.at;
    let (from, to, _) = cursor.string()?;
    let known = meaning(parent, &cursor.text[from..to]);
    if cursor.peek().ok_or(CUT)? != b':' {
        return Err(NOT_JSON);
    }
    cursor.at += 1;
    let whole = &cursor.text[label..cursor.at];
    if whole.len() <= limits::LABEL_BYTES {
        state.layout.put(place, parent, whole, known);
    }
    Ok(known)
}

/// What the object is whose label begins at `label`.
fn child(cursor: &Cursor<'_>, label: usize, parent: Parent) -> Option<Parent> {
    let rest = &cursor.text[label + 1..];
    let len = memchr::memchr(b'"', rest)?;
    parent.child(&rest[..len])
}
