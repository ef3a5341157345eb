//! Labeled tab-separated values: `time:...\thost:...\tmethod:GET`.

use super::Record;
use super::labels::{Field, Parent, meaning};
use super::line::{Escape, Line, State};
use super::values::Unit;
use crate::digest::{Batch, Span};

/// Read the line `start..end` of the block.
#[inline]
pub(crate) fn read(
    block: &[u8],
    start: usize,
    end: usize,
    state: &mut State<'_>,
    batch: &mut Batch<Record>,
) -> Result<(), &'static str> {
    let mut line = Line::new(Span::new(start, end));
    let mut from = start;
    let mut place = 0;
    while from < end {
        let text = &block[from..end];
        let tab = memchr::memchr(b'\t', text).unwrap_or(text.len());
        let field = &text[..tab];
        let known = match state.layout.get(place, Parent::Line, field) {
            Some(known) => Some(known),
            None => look_up(field, place, state),
        };
        if let Some((field, unit, label)) = known {
            let span = Span::new(from + label, from + tab);
            line.set(field, unit, span, &text[label..tab], &mut state.second);
        }
        from += tab + 1;
        place += 1;
    }
    line.finish(block, Escape::Server, state, batch)
}

/// Find out what a label means, and remember it.
#[cold]
fn look_up(text: &[u8], place: usize, state: &mut State<'_>) -> Option<(Field, Unit, usize)> {
    let colon = memchr::memchr(b':', text)?;
    let (field, unit) = meaning(Parent::Line, &text[..colon]);
    let label = &text[..=colon];
    state.layout.put(place, Parent::Line, label, (field, unit));
    Some((field, unit, label.len()))
}
