//! Is a header inside of an open literal text, or was the literal never closed?
//!
//! A literal may hold a whole event, `;\n# Time: ...` and all. And a log may hold literals that nothing
//! closes: MariaDB logs statements with syntax errors, and with NO_BACKSLASH_ESCAPES `'\'` is whole.
//! So when a header block shows up inside of something open, we read on as if it were text: to what
//! closes it, and on over quotes and comments. If that makes sense up to the end of the statement
//! (`;`, a line break, a header, outside of everything), it was text. If it does not (a word sticks to a
//! quote: what seemed to close was the opening quote of a later statement's literal), or takes too
//! long, the literal was not closed and the header is real.

use rustc_hash::FxHashMap;

use super::frame::{banner_end, before_banners, ends_statement, is_header};
use super::limits::{AHEAD_BYTES, REMEMBERED_HEADERS};
use super::quote::{Step, is_word, line_end, next_step, open_end};

/// What a header inside of something open is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Text; what is open ends here.
    Text(usize),
    /// Real: nothing closes what is open.
    Real,
    /// The block ends too early to say.
    NeedMore,
}

/// A reading that goes on from the close of something open.
#[derive(Debug, Clone, Copy)]
struct Reading {
    /// How far it got; outside of everything.
    at: usize,
    end: Option<ReadingEnd>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ReadingEnd {
    /// At the end of a statement, at this position.
    Sane(usize),
    /// At nonsense, at this position.
    Nonsense(usize),
    /// The block's end: no more to read.
    Block,
}

/// Looks ahead in one block. Many headers may be looked behind; no piece of text is read more often
/// than there are kinds of quotes, because what is open at a header says all about how to go on.
#[derive(Debug)]
pub(super) struct Ahead<'a> {
    block: &'a [u8],
    is_last: bool,
    readings: Vec<Reading>,
    /// Which reading went over a header while something with this closer was open.
    passed: FxHashMap<(usize, u8), usize>,
}

impl<'a> Ahead<'a> {
    pub(super) fn new(block: &'a [u8], is_last: bool) -> Self {
        Self {
            block,
            is_last,
            readings: Vec::new(),
            passed: FxHashMap::default(),
        }
    }

    /// Judge the event that seems to begin at `header` (its banner's or its header's first line), inside
    /// of something that `closer` closes and whose text begins at
    /// `text`.
    pub(super) fn judge(&mut self, text: usize, closer: u8, header: usize) -> Verdict {
        let limit = header.saturating_add(AHEAD_BYTES);
        if self.passed.len() > REMEMBERED_HEADERS {
            self.passed.clear();
            self.readings.clear();
        }
        let reading = match self.passed.get(&(header, closer)) {
            Some(reading) => *reading,
            None => self.begin(text, closer, header),
        };
        match self.run(reading, limit) {
            ReadingEnd::Sane(at) if at <= limit => {
                open_end(self.block, text, closer).map_or(Verdict::Real, Verdict::Text)
            }
            ReadingEnd::Sane(_) | ReadingEnd::Nonsense(_) => Verdict::Real,
            ReadingEnd::Block => self.unknown(limit),
        }
    }

    /// A new reading, from what closes something that is open at `header`.
    fn begin(&mut self, text: usize, closer: u8, header: usize) -> usize {
        let close = open_end(self.block, text, closer);
        self.readings.push(match close {
            Some(at) => Reading {
                at,
                end: self.nonsense_at(at),
            },
            None => Reading {
                at: self.block.len(),
                end: Some(ReadingEnd::Block),
            },
        });
        let reading = self.readings.len() - 1;
        self.passed.insert((header, closer), reading);
        self.pass(header, close.unwrap_or(self.block.len()), closer, reading);
        reading
    }

    /// When the block says nothing up to its end.
    fn unknown(&self, limit: usize) -> Verdict {
        if self.is_last || self.block.len() >= limit {
            Verdict::Real
        } else {
            Verdict::NeedMore
        }
    }

    /// Go on with a reading up to its end, or to `limit`.
    fn run(&mut self, reading: usize, limit: usize) -> ReadingEnd {
        let mut reading = reading;
        loop {
            let Reading { at, end } = self.readings[reading];
            match end {
                Some(end) => return end,
                None if at > limit => return ReadingEnd::Nonsense(at),
                None => {}
            }
            let (at, end) = match next_step(self.block, at) {
                Step::End if self.is_last || ends_statement(self.block, self.block.len()) => {
                    (at, Some(ReadingEnd::Sane(self.block.len())))
                }
                Step::End => (at, Some(ReadingEnd::Block)),
                Step::Line { at: begin } => (line_end(self.block, begin), None),
                Step::Break { at: end } => self.line_begin(end + 1),
                Step::Opens { at, text, closer } => {
                    match self.over(reading, at, text, closer) {
                        Over::To(at, end) => (at, end),
                        Over::Joins(other) => {
                            // From here on both readings are the same.
                            reading = other;
                            continue;
                        }
                    }
                }
            };
            self.readings[reading] = Reading { at, end };
        }
    }

    fn line_begin(&self, at: usize) -> (usize, Option<ReadingEnd>) {
        let is_end = ends_statement(self.block, at)
            && (is_header(self.block, at) || (at == self.block.len() && !self.is_last));
        if is_end || banner_end(self.block, at).is_some() {
            (at, Some(ReadingEnd::Sane(at)))
        } else {
            (at, None)
        }
    }

    /// Go over something with quotes.
    fn over(&mut self, reading: usize, at: usize, text: usize, closer: u8) -> Over {
        if !may_open(self.block, at, closer) {
            return Over::To(at, Some(ReadingEnd::Nonsense(at)));
        }
        let close = open_end(self.block, text, closer);
        let end = close.unwrap_or(self.block.len());
        if let Some(other) = self.pass(text, end, closer, reading) {
            return Over::Joins(other);
        }
        match close {
            Some(close) => Over::To(close, self.nonsense_at(close)),
            None if self.is_last => Over::To(at, Some(ReadingEnd::Nonsense(end))),
            None => Over::To(at, Some(ReadingEnd::Block)),
        }
    }

    /// Remember the headers in `from..to`, where something with this closer is open. When another
    /// reading knows one of them, that reading.
    fn pass(&mut self, from: usize, to: usize, closer: u8, reading: usize) -> Option<usize> {
        let text = &self.block[..to];
        let mut at = from;
        while let Some(found) = memchr::memmem::find(&text[at..], b"\n# ") {
            at += found + 1;
            if is_header(self.block, at) {
                let start = before_banners(self.block, at, from);
                let known = *self.passed.entry((start, closer)).or_insert(reading);
                if known != reading {
                    return Some(known);
                }
            }
        }
        None
    }

    /// A word that sticks to the quote before it.
    fn nonsense_at(&self, close: usize) -> Option<ReadingEnd> {
        let quote = self.block[close - 1];
        let sticks = quote != b'/' && self.block.get(close).copied().is_some_and(is_word);
        sticks.then_some(ReadingEnd::Nonsense(close))
    }
}

enum Over {
    To(usize, Option<ReadingEnd>),
    Joins(usize),
}

/// Words that may stick to the quote that opens a literal.
const BEFORE_QUOTES: [&[u8]; 17] = [
    b"n",
    b"x",
    b"b",
    b"date",
    b"time",
    b"timestamp",
    b"like",
    b"in",
    b"as",
    b"and",
    b"or",
    b"then",
    b"else",
    b"when",
    b"by",
    b"select",
    b"interval",
];

/// Whether what stands before a quote lets it open something.
fn may_open(text: &[u8], at: usize, closer: u8) -> bool {
    if closer == b'*' || closer == b'`' {
        return true;
    }
    let before = &text[at.saturating_sub(32)..at];
    let word = before
        .iter()
        .rev()
        .take_while(|byte| is_word(**byte))
        .count();
    let word = &before[before.len() - word..];
    word.is_empty()
        || word[0] == b'_'
        || BEFORE_QUOTES
            .iter()
            .any(|known| known.eq_ignore_ascii_case(word))
}
