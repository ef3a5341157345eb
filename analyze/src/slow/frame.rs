//! Where events begin: header blocks and a server's start-up banner.
//!
//! An event begins with lines such as `# Time: ...`, `# User@Host: ...`, `# Thread_id: ...` and
//! `# Query_time: ...`; the first ones may be missing. A server that starts, or a log that is rotated,
//! writes three lines without `#`: the banner.

use memchr::{memchr, memmem, memrchr};

use super::limits::HEADER_LINES;
use super::quote::line_end;

/// What the first line of a header begins with.
const LEADS: [&[u8]; 5] = [
    b"# Time: ",
    b"# User@Host: ",
    b"# Query_time: ",
    b"# Thread_id: ",
    b"# Schema: ",
];

const QUERY_TIME: &[u8] = b"# Query_time: ";

#[inline]
fn is_lead(line: &[u8]) -> bool {
    matches!(line.get(2), Some(b'T' | b'U' | b'Q' | b'S'))
        && LEADS.iter().any(|lead| line.starts_with(lead))
}

/// A line between the first one and `# Query_time`.
fn is_header_line(line: &[u8]) -> bool {
    line.starts_with(b"# ") && line.get(2).is_some_and(u8::is_ascii_uppercase)
}

/// Whether a line tells how long a statement took: every header has one such line.
pub(super) fn is_query_time(line: &[u8]) -> bool {
    line.starts_with(QUERY_TIME)
        && matches!(line.get(QUERY_TIME.len()), Some(b'0'..=b'9' | b'-' | b'.'))
}

/// Whether a header block begins at `at`, which is where a line begins.
pub(super) fn is_header(text: &[u8], at: usize) -> bool {
    if !text.get(at..).is_some_and(is_lead) {
        return false;
    }
    let mut at = at;
    for _ in 0..HEADER_LINES {
        let Some(line) = text.get(at..) else {
            return false;
        };
        if is_query_time(line) {
            return true;
        }
        if !is_header_line(line) || line.starts_with(QUERY_TIME) {
            return false;
        }
        at = line_end(text, at) + 1;
    }
    false
}

/// Behind the banner that begins at `at`, which is where a line begins.
pub(super) fn banner_end(text: &[u8], at: usize) -> Option<usize> {
    let first = line_end(text, at);
    if !is_banner_first(text.get(at..first)?) {
        return None;
    }
    let second = line_end(text, first + 1);
    if !is_banner_second(text.get(first + 1..second)?) {
        return None;
    }
    let third = line_end(text, second + 1);
    is_banner_third(text.get(second + 1..third)?).then_some((third + 1).min(text.len()))
}

/// Whether a banner begins the text, or its only lines up to here.
pub(super) fn begins_banner(text: &[u8]) -> bool {
    banner_end(text, 0).is_some()
}

fn is_banner_first(line: &[u8]) -> bool {
    !line.starts_with(b"#")
        && line.trim_ascii_end().ends_with(b"started with:")
        && memmem::find(line, b", Version: ").is_some()
}

fn is_banner_second(line: &[u8]) -> bool {
    line.get(..9)
        .is_some_and(|start| start.eq_ignore_ascii_case(b"tcp port:"))
}

fn is_banner_third(line: &[u8]) -> bool {
    line.starts_with(b"Time")
        && line
            .get(4..)
            .is_some_and(|rest| rest.trim_ascii_start().starts_with(b"Id Command"))
        && ends_banner(line)
}

/// Whether a text's last line may be a banner's: a quick look.
#[inline]
fn ends_banner(text: &[u8]) -> bool {
    let text = text.strip_suffix(b"\n").unwrap_or(text);
    text.strip_suffix(b"\r")
        .unwrap_or(text)
        .ends_with(b"Argument")
}

/// Where the line begins that ends just before `at` (where a line begins); None at the begin.
fn line_before(text: &[u8], at: usize) -> Option<usize> {
    let end = at.checked_sub(1)?;
    Some(memrchr(b'\n', &text[..end]).map_or(0, |found| found + 1))
}

/// The begin of the banners that stand just before `at`, none of it before `from`.
pub(super) fn before_banners(text: &[u8], at: usize, from: usize) -> usize {
    let mut start = at;
    loop {
        if !ends_banner(&text[..start]) {
            return start;
        }
        let begin = line_before(text, start)
            .filter(|third| text[*third..].starts_with(b"Time"))
            .and_then(|third| line_before(text, third))
            .and_then(|second| line_before(text, second));
        match begin {
            Some(begin) if begin >= from && banner_end(text, begin) == Some(start) => start = begin,
            _ => return start,
        }
    }
}

/// Where an event may begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Candidate {
    /// Its begin: that of the banners before the header, if there are any.
    pub(super) start: usize,
    /// The header's first line; the end of the text when there are only banners.
    pub(super) header: usize,
}

impl Candidate {
    /// Whether a banner stands before the header.
    pub(super) fn has_banner(self) -> bool {
        self.start < self.header
    }
}

/// The first header block that begins at a line's begin at or behind `from`, which is where a line
/// begins. Banners count when they begin at or behind `floor`.
pub(super) fn next_header(text: &[u8], from: usize, floor: usize) -> Option<Candidate> {
    let mut header = from;
    while !(text.get(header) == Some(&b'#') && is_header(text, header)) {
        let rest = text.get(header..)?;
        header += memchr(b'\n', rest)? + 1;
    }
    Some(Candidate {
        start: before_banners(text, header, floor),
        header,
    })
}

/// Where to cut a block: before its last header block that does not begin the block.
pub(super) fn last_header(block: &[u8]) -> Option<usize> {
    let mut end = block.len();
    loop {
        let found = memmem::rfind(&block[..end], b"\n# Query_time: ")?;
        end = found;
        if !is_query_time(&block[found + 1..]) {
            continue;
        }
        let (mut line, mut first) = (found + 1, found + 1);
        for _ in 1..HEADER_LINES {
            match line_before(block, line) {
                Some(before)
                    if is_header_line(&block[before..])
                        && !block[before..].starts_with(QUERY_TIME) =>
                {
                    line = before;
                    if is_lead(&block[line..]) {
                        first = line;
                    }
                }
                _ => break,
            }
        }
        let start = before_banners(block, first, 0);
        if start > 0 {
            return Some(start);
        }
    }
}

/// Where the pieces of a header begin that the end of the log cut short, at or behind `from`.
pub(super) fn cut_header(text: &[u8], from: usize) -> Option<usize> {
    let mut line = text.len();
    let mut first = None;
    for _ in 0..HEADER_LINES {
        let Some(before) = line_before(text, line).filter(|before| *before >= from) else {
            break;
        };
        let piece = &text[before..line];
        let is_cut = line == text.len()
            && memchr(b'\n', piece).is_none()
            && LEADS.iter().any(|lead| lead.starts_with(piece));
        if !piece.starts_with(b"# ") && !is_cut {
            break;
        }
        if is_cut || is_lead(piece) {
            first = Some(before);
        }
        line = before;
    }
    first.filter(|first| ends_statement(text, *first))
}

/// Whether the line before `at` ends in a semicolon.
pub(super) fn ends_statement(text: &[u8], at: usize) -> bool {
    let before = &text[..at];
    before.ends_with(b";\n") || before.ends_with(b";\r\n")
}
