//! Labeled tab-separated values: `time:...\thost:...\tmethod:GET`.

use super::Record;
use super::labels::{Field, Parent, meaning};
use super::limits::LINE_BYTES;
use super::line::{Escape, Line, State};
use super::marks::Marks;
use super::reader::{TOO_LONG, skip};
use super::values::Unit;
use crate::digest::{Batch, Span};

/// Read the lines of the block. Returns how much was used up: with `is_last` all of it.
pub(crate) fn read(
    block: &[u8],
    is_last: bool,
    state: &mut State<'_>,
    batch: &mut Batch<Record>,
) -> usize {
    let mut marks = Marks::new(block, [b'\t', b'\n']);
    let mut start = 0;
    while start < block.len() {
        let mut line = Line::new();
        let (mut from, mut place) = (start, 0);
        let newline = loop {
            match marks.next() {
                Some(at) if block[at] == b'\t' => {
                    field(block, from, at, place, &mut line, state);
                    (from, place) = (at + 1, place + 1);
                }
                other => break other,
            }
        };
        let (end, next) = match newline {
            Some(at) => (at, at + 1),
            None if is_last => (block.len(), block.len()),
            None => return start,
        };
        let len = block[start..end].trim_ascii_end().len();
        let end = start + len;
        if from < end {
            field(block, from, end, place, &mut line, state);
        }
        if len > LINE_BYTES {
            skip(batch, start, next, TOO_LONG);
        } else if len > 0 {
            let escape = match marks.may_have_escape(start) {
                true => Escape::Server,
                false => Escape::None,
            };
            if let Err(reason) = line.finish(Span::new(start, end), block, escape, state, batch) {
                skip(batch, start, next, reason);
            }
        }
        start = next;
    }
    start
}

/// Take the field `from..to`.
#[inline(always)]
fn field(
    block: &[u8],
    from: usize,
    to: usize,
    place: usize,
    line: &mut Line,
    state: &mut State<'_>,
) {
    let known = match state.layout.get(place, Parent::Line, &block[from..]) {
        Some(known) => Some(known),
        None => look_up(&block[from..to], place, state),
    };
    if let Some((field, unit, label)) = known
        && field != Field::Ignored
        // A label never holds a tab, so that it does not reach beyond the field.
        && let Some(text) = block.get(from + label..to)
    {
        let span = Span::new(from + label, to);
        line.set(field, unit, span, text, &mut state.second);
    }
}

/// Find out what a label means, and remember it.
#[cold]
fn look_up(text: &[u8], place: usize, state: &mut State<'_>) -> Option<(Field, Unit, usize)> {
    let colon = memchr::memchr(b':', text)?;
    let known = meaning(Parent::Line, &text[..colon]);
    let label = &text[..=colon];
    state.layout.put(place, Parent::Line, label, known);
    Some((known.0, known.1, label.len()))
}
