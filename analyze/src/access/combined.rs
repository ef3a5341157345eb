//! The combined format of nginx and Apache, the common one, and either with times behind it:
//! `addr - user [time] "request" status bytes "referer" "agent" 0.123 0.120`, or `rt=0.123 urt="0.120"` there.

use super::Record;
use super::labels::{Field, Parent, meaning};
use super::limits::LINE_BYTES;
use super::line::{Escape, Line, State};
use super::marks::Marks;
use super::reader::{TOO_LONG, skip};
use super::time::LastSecond;
use super::values::{self, Unit};
use crate::digest::{Batch, NO_TIME, Span};

const NOT_COMBINED: &str = "not in the combined format";
const CUT: &str = "a cut line";

/// Quotes of a line that are looked at; what is behind them is of no use.
const QUOTES: usize = 24;

/// Read the lines of the block. Returns how much was used up: with `is_last` all of it.
pub(crate) fn read(
    block: &[u8],
    is_last: bool,
    state: &mut State<'_>,
    batch: &mut Batch<Record>,
) -> usize {
    let mut marks = Marks::new(block, [b'"', b'\n']);
    let mut start = 0;
    let mut quotes = [0; QUOTES];
    while start < block.len() {
        let mut count = 0;
        let newline = loop {
            match marks.next() {
                Some(at) if block[at] == b'"' => {
                    if count < QUOTES && !is_escaped(block, start, at) {
                        quotes[count] = at;
                        count += 1;
                    }
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
        if len > LINE_BYTES {
            skip(batch, start, next, TOO_LONG);
        } else if len > 0 {
            let span = Span::new(start, start + len);
            let escape = match marks.may_have_escape(start) {
                true => Escape::Server,
                false => Escape::None,
            };
            let mut line = Line::new();
            let text = &block[..start + len];
            let read = fields(text, start, &quotes[..count], &mut line, &mut state.second)
                .and_then(|()| line.finish(span, block, escape, state, batch));
            if let Err(reason) = read {
                skip(batch, start, next, reason);
            }
        }
        start = next;
    }
    start
}

/// Whether the quote at `at` is one that Apache wrote as `\"`: behind an odd number of backslashes. nginx
/// writes both as `\xHH`.
#[inline(always)]
fn is_escaped(block: &[u8], start: usize, at: usize) -> bool {
    at > start && block[at - 1] == b'\\' && {
        let slashes = block[start..at].iter().rev();
        slashes.take_while(|byte| **byte == b'\\').count() % 2 == 1
    }
}

/// Take the fields of the line that begins at `start` and ends with `text`.
#[inline(always)]
fn fields(
    text: &[u8],
    start: usize,
    quotes: &[usize],
    line: &mut Line,
    second: &mut LastSecond,
) -> Result<(), &'static str> {
    let mut set = |field, from: usize, to: usize| {
        let span = Span::new(from, to);
        line.set(field, Unit::Seconds, span, &text[from..to], second);
    };
    let (request, rest) = match quotes {
        [open, close, rest @ ..] => ((*open, *close), rest),
        [_] => return Err(CUT),
        [] => return Err(NOT_COMBINED),
    };
    let head = &text[start..request.0];
    let space = head.iter().position(|byte| *byte == b' ');
    let space = space.ok_or(NOT_COMBINED)?;
    // A user may hold spaces and brackets; the time is what stands last.
    let Some(head) = head.strip_suffix(b"] ") else {
        return Err(NOT_COMBINED);
    };
    let open = match head.len().checked_sub(27) {
        Some(open) if head[open] == b'[' => open,
        _ => memchr::memrchr(b'[', head).ok_or(NOT_COMBINED)?,
    };
    if open < space {
        return Err(NOT_COMBINED);
    }
    set(Field::Client, start, start + space);
    set(Field::At, start + open + 1, start + head.len());
    set(Field::Request, request.0 + 1, request.1);
    let plain = rest.first().copied().unwrap_or(text.len());
    let mut at = request.1 + 1;
    for field in [Field::Status, Field::Sent] {
        if at >= plain || text[at] != b' ' {
            return Err(CUT);
        }
        let begin = at + 1;
        let len = text[begin..plain].iter().position(|byte| *byte == b' ');
        at = len.map_or(plain, |len| begin + len);
        set(field, begin, at);
    }
    // Referer, agent, and what people add: their first times, perhaps in quotes.
    let mut times = 0;
    times_of(&mut set, text, at, plain, &mut times);
    let (pairs, odd) = rest.as_chunks::<2>();
    if !odd.is_empty() {
        return Err(CUT);
    }
    for (place, &[open, close]) in pairs.iter().enumerate() {
        match place {
            0 => {}
            1 if times == 0 => set(Field::Agent, open + 1, close),
            _ if text[open - 1] == b'=' => labeled(&mut set, text, open, open + 1, close),
            _ => times += usize::from(time(&mut set, text, open + 1, close, times)),
        }
        let end = pairs.get(place + 1).map_or(text.len(), |next| next[0]);
        times_of(&mut set, text, close + 1, end, &mut times);
    }
    Ok(())
}

/// Take what are times of the unquoted values in `from..to`.
#[inline(always)]
fn times_of(
    set: &mut impl FnMut(Field, usize, usize),
    text: &[u8],
    from: usize,
    to: usize,
    times: &mut usize,
) {
    let mut at = from;
    while at + 1 < to {
        if text[at] == b' ' {
            at += 1;
            continue;
        }
        let end = value_end(&text[..to], at);
        // What begins with a letter has a label, or is of no use.
        if text[at].is_ascii_lowercase() {
            if let Some(len) = memchr::memchr(b'=', &text[at..end]) {
                labeled(set, text, at + len + 1, at + len + 1, end);
            }
            at = end;
            continue;
        }
        *times += usize::from(time(set, text, at, end, *times));
        at = end;
    }
}

/// Take the value `from..to` if the label whose `=` ends at `label` is known: `rt=0.123`, `urt="0.120"`.
#[cold]
fn labeled(
    set: &mut impl FnMut(Field, usize, usize),
    text: &[u8],
    label: usize,
    from: usize,
    to: usize,
) {
    let front = &text[..label - 1];
    let begin = memchr::memrchr2(b' ', b'"', front).map_or(0, |at| at + 1);
    let known = meaning(Parent::Line, &front[begin..]);
    if let (field, Unit::Seconds) = known
        && matches!(
            field,
            Field::Total | Field::Upstream | Field::Cache | Field::RequestId | Field::Forwarded
        )
    {
        set(field, from, to);
    }
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
        [b'0'..=b'9', b'.', _, _, _] => values::duration(value, Unit::Seconds) != NO_TIME,
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
#[inline(always)]
fn value_end(text: &[u8], from: usize) -> usize {
    let mut at = from;
    loop {
        let rest = text.get(at..).unwrap_or_default();
        let space = rest.iter().position(|byte| *byte == b' ');
        let Some(len) = space else {
            return text.len();
        };
        at += len;
        let goes_on = text[..at].ends_with(b",") || text[at..].starts_with(b" : ");
        if !goes_on {
            return at;
        }
        at += if text[at..].starts_with(b" : ") { 3 } else { 1 };
    }
}
