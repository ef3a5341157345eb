//! Envoy's default format, and what Istio makes of it:
//!
//! `[START_TIME] "METHOD PATH PROTOCOL" CODE FLAGS ... RECEIVED SENT DURATION UPSTREAM_TIME "FORWARDED_FOR"
//! "AGENT" "REQUEST_ID" "AUTHORITY" "UPSTREAM_HOST" ...`; durations in milliseconds. Between the flags and
//! the sizes newer versions say more, in any number of words and quoted texts.

use super::Record;
use super::labels::Field;
use super::line::{Escape, Line, State};
use super::values::Unit;
use crate::digest::{Batch, Span};

const NOT_ENVOY: &str = "not in Envoy's default format";
const CUT: &str = "a cut line";

/// Words between the flags and the sizes at most.
const WORDS_BETWEEN: usize = 16;

/// The word or quoted text that begins at `at`: where its inside is, whether it was quoted, and where the
/// next one begins. Envoy escapes nothing: a quote ends a text only in front of a space or the end.
fn word(text: &[u8], at: usize) -> Option<(usize, usize, bool, usize)> {
    if *text.get(at)? != b'"' {
        let rest = &text[at..];
        let end = at + memchr::memchr(b' ', rest).unwrap_or(rest.len());
        return Some((at, end, false, end + 1));
    }
    let mut end = at + 1;
    loop {
        end += memchr::memchr(b'"', text.get(end..)?)?;
        if matches!(text.get(end + 1), None | Some(b' ')) {
            return Some((at + 1, end, true, end + 2));
        }
        end += 1;
    }
}

fn is_number(text: &[u8]) -> bool {
    text == b"-" || !text.is_empty() && text.iter().all(u8::is_ascii_digit)
}

/// Read the line `start..end` of the block.
pub(crate) fn read(
    block: &[u8],
    start: usize,
    end: usize,
    state: &mut State<'_>,
    batch: &mut Batch<Record>,
) -> Result<(), &'static str> {
    let text = &block[..end];
    let mut line = Line::new();
    line.began_then();
    if text[start] != b'[' {
        return Err(NOT_ENVOY);
    }
    let close = start + memchr::memchr(b']', &text[start..]).ok_or(NOT_ENVOY)?;
    let second = &mut state.second;
    let mut set = |field, (from, to): (usize, usize)| {
        let span = Span::new(from, to);
        line.set(field, Unit::Millis, span, &text[from..to], second);
    };
    set(Field::At, (start + 1, close));
    let (from, to, quoted, next) = word(text, close + 2).ok_or(CUT)?;
    if !quoted {
        return Err(NOT_ENVOY);
    }
    set(Field::Request, (from, to));
    let (from, to, _, next) = word(text, next).ok_or(CUT)?;
    set(Field::Status, (from, to));
    let (_, _, _, mut next) = word(text, next).ok_or(CUT)?;
    // Received, sent and the duration are three numbers, and one more or `-` stands before a quote.
    let fields = [Field::Received, Field::Sent, Field::Total, Field::Upstream];
    let mut numbers = [(0, 0); 4];
    let mut count = 0;
    for _ in 0..WORDS_BETWEEN + 4 {
        let (from, to, quoted, behind) = word(text, next).ok_or(CUT)?;
        if quoted && count >= 4 {
            break;
        }
        if !quoted && is_number(&text[from..to]) {
            numbers.rotate_left(1);
            numbers[3] = (from, to);
            count += 1;
        } else {
            count = 0;
        }
        next = behind;
    }
    if count < 4 {
        return Err(NOT_ENVOY);
    }
    for (field, number) in fields.into_iter().zip(numbers) {
        set(field, number);
    }
    for field in [Field::Forwarded, Field::Agent, Field::RequestId] {
        let (from, to, _, behind) = word(text, next).ok_or(CUT)?;
        set(field, (from, to));
        next = behind;
    }
    line.finish(Span::new(start, end), block, Escape::None, state, batch)
}
