//! The combined format of nginx and Apache, the common one, and either with times behind it:
//! `addr - user [time] "request" status bytes "referer" "agent" 0.123 0.120`.

use super::Record;
use super::labels::Field;
use super::line::{Escape, Line, State};
use super::values::{self, Unit};
use crate::digest::{Batch, NO_TIME, Span};

const NOT_COMBINED: &str = "not in the combined format";
const CUT: &str = "a cut line";

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
    let text = &block[..end];
    let second = &mut state.second;
    let mut set = |field, from: usize, to: usize| {
        line.set(
            field,
            Unit::Seconds,
            Span::new(from, to),
            &text[from..to],
            second,
        );
    };
    let space = find(text, start, b' ').ok_or(NOT_COMBINED)?;
    // A user may hold spaces, and brackets are found by what is between them.
    let quote = find(text, space, b'"').ok_or(NOT_COMBINED)?;
    let close = quote.wrapping_sub(2);
    if close <= space || &text[close..quote] != b"] " {
        return Err(NOT_COMBINED);
    }
    let open = match close.checked_sub(27) {
        Some(open) if open >= space && text[open] == b'[' => open,
        _ => space + memchr::memrchr(b'[', &text[space..close]).ok_or(NOT_COMBINED)?,
    };
    set(Field::Client, start, space);
    set(Field::At, open + 1, close);
    let request_end = closing_quote(text, quote + 1).ok_or(CUT)?;
    set(Field::Request, quote + 1, request_end);
    let mut at = request_end + 1;
    for field in [Field::Status, Field::Sent] {
        if text.get(at) != Some(&b' ') {
            return Err(CUT);
        }
        let begin = at + 1;
        at = begin
            + text[begin..]
                .iter()
                .position(|byte| *byte == b' ')
                .unwrap_or(end - begin);
        set(field, begin, at);
    }
    // Referer, agent, and what people add: their first times, perhaps in quotes.
    let (mut quoted, mut plain) = (0, 0);
    while at + 1 < end {
        let begin = at + 1;
        if text[begin] == b'"' {
            let close = closing_quote(text, begin + 1).ok_or(CUT)?;
            quoted += 1;
            if quoted == 2 && plain == 0 {
                set(Field::Agent, begin + 1, close);
            } else if quoted > 2 {
                plain += usize::from(time(&mut set, text, begin + 1, close, plain));
            }
            at = close + 1;
        } else {
            at = value_end(text, begin);
            plain += usize::from(time(&mut set, text, begin, at, plain));
        }
    }
    line.finish(block, Escape::Server, state, batch)
}

/// Take the first value behind the agent that is a time as the total, the second as the upstream's.
#[inline]
fn time(
    set: &mut impl FnMut(Field, usize, usize),
    text: &[u8],
    from: usize,
    to: usize,
    times: usize,
) -> bool {
    let value = &text[from..to];
    let looks = match value {
        // What is no total is no time at all: `-` in front of times is something else.
        b"-" => times > 0,
        [b'0'..=b'9', ..] => {
            value.contains(&b'.') && values::duration(value, Unit::Seconds) != NO_TIME
        }
        _ => false,
    };
    if !looks {
        return false;
    }
    match times {
        0 => set(Field::Total, from, to),
        1 => set(Field::Upstream, from, to),
        _ => {}
    }
    true
}

/// The end of an unquoted value; `0.1, 0.2 : 0.3` is one.
#[inline]
fn value_end(text: &[u8], from: usize) -> usize {
    let mut at = from;
    loop {
        at = find(text, at, b' ').unwrap_or(text.len());
        let goes_on = text[..at].ends_with(b",") || text[at..].starts_with(b" : ");
        if !goes_on || at >= text.len() {
            return at;
        }
        at += if text[at..].starts_with(b" : ") { 3 } else { 1 };
    }
}

/// The quote that ends a text: one that Apache has not escaped as `\"`.
#[inline(always)]
fn closing_quote(text: &[u8], from: usize) -> Option<usize> {
    let mut at = find(text, from, b'"')?;
    // nginx writes a backslash as `\x5C`, Apache as `\\`: an odd number of them escapes the quote.
    while text[at - 1] == b'\\' {
        let slashes = text[from..at]
            .iter()
            .rev()
            .take_while(|byte| **byte == b'\\')
            .count();
        if slashes % 2 == 0 {
            break;
        }
        at = find(text, at + 1, b'"')?;
    }
    Some(at)
}

#[inline(always)]
fn find(text: &[u8], from: usize, byte: u8) -> Option<usize> {
    Some(from + memchr::memchr(byte, text.get(from..)?)?)
}
