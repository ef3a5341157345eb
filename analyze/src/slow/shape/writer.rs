//! Tokens to the canonical text.

use super::super::Verb;
use super::super::limits::{NESTING, SHAPE_BYTES};
use super::super::quote::is_word;
use super::fold::{Chain, Frame, Kind, List};
use super::word::{Word, lower};

/// The token before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Last {
    Start,
    Name,
    Word(Word),
    Literal,
    /// A literal in quotes; one that follows it is a part of it.
    Text,
    Open,
    Close,
    Comma,
    Dot,
    At,
    Operator,
}

/// A piece of a statement.
#[derive(Debug, Clone, Copy)]
pub(super) struct Token<'a> {
    /// The statement. What follows the token in it may be looked at, but does not count.
    pub(super) text: &'a [u8],
    pub(super) at: usize,
    pub(super) end: usize,
}

impl<'a> Token<'a> {
    #[inline]
    pub(super) fn bytes(self) -> &'a [u8] {
        &self.text[self.at..self.end]
    }

    /// Whether it is this word, in any case.
    pub(super) fn is(self, word: &[u8]) -> bool {
        self.bytes().eq_ignore_ascii_case(word)
    }
}

/// How far a LIMIT has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Limit {
    No,
    /// `limit`
    Word,
    /// `limit ?`, which ends here.
    First(usize),
    /// `limit ?,` or `limit ? offset`.
    Second(usize),
}

/// Writes a canonical text.
#[derive(Debug)]
pub(super) struct Writer {
    pub(super) out: Vec<u8>,
    pub(super) frames: Vec<Frame>,
    /// Parentheses beyond the limit.
    pub(super) too_deep: usize,
    pub(super) last: Last,
    /// Whether a space goes before what comes next.
    pub(super) space: bool,
    pub(super) is_full: bool,
    pub(super) limit: Limit,
    /// `is` or `is not` stands before.
    pub(super) after_is: bool,
    /// There was a VALUES.
    pub(super) has_rows: bool,
    pub(super) verb: Option<(Verb, bool)>,
    pub(super) is_use: bool,
}

impl Default for Writer {
    fn default() -> Self {
        Self {
            out: Vec::new(),
            frames: Vec::new(),
            too_deep: 0,
            last: Last::Start,
            space: false,
            is_full: false,
            limit: Limit::No,
            after_is: false,
            has_rows: false,
            verb: None,
            is_use: false,
        }
    }
}

impl Writer {
    /// Begin a new text.
    pub(super) fn begin(&mut self) {
        let (mut out, mut frames) = (
            std::mem::take(&mut self.out),
            std::mem::take(&mut self.frames),
        );
        out.clear();
        frames.clear();
        frames.push(Frame::new(Kind::Root, List::None, 0));
        *self = Self {
            out,
            frames,
            ..Self::default()
        };
    }

    /// Nothing more comes.
    pub(super) fn finish(&mut self) {
        if self.is_full {
            self.out.truncate(SHAPE_BYTES);
            self.out.extend_from_slice(b" ...");
            return;
        }
        self.frames.truncate(1);
        self.end_operand();
        self.end_union();
        while let Some(rest) = self.out.strip_suffix(b" ;") {
            let size = rest.len();
            self.out.truncate(size);
        }
        if self.is_use {
            self.out.clear();
            self.out.extend_from_slice(b"use ?");
        }
        if self.out.is_empty() {
            self.out.extend_from_slice(b"(no statement)");
        }
    }

    pub(super) fn text(&self) -> &[u8] {
        &self.out
    }

    pub(super) fn verb(&self) -> Verb {
        self.verb.map_or(Verb::Other, |(verb, _)| verb)
    }

    /// Whether a dot would stand behind a name.
    pub(super) fn ends_name(&self) -> bool {
        self.last == Last::Name
    }

    pub(super) fn ends_dot(&self) -> bool {
        self.last == Last::Dot
    }

    /// Whether a sign would be an operator here.
    pub(super) fn ends_operand(&self) -> bool {
        match self.last {
            Last::Name | Last::Literal | Last::Text | Last::Close => true,
            Last::Word(word) => matches!(
                word,
                Word::End | Word::Null | Word::Boolean | Word::Typed | Word::Field | Word::Row
            ),
            _ => false,
        }
    }

    /// Whether what follows is the name of a table or of a part of one.
    pub(super) fn wants_name(&self) -> bool {
        match self.last {
            Last::Dot => true,
            Last::Word(Word::From) => self
                .frames
                .last()
                .is_some_and(|frame| frame.kind == Kind::Root || frame.has_select),
            _ => false,
        }
    }

    /// Whether this word may be a type that belongs to the literal behind it.
    #[inline]
    pub(super) fn may_be_typed(&self, text: &[u8]) -> bool {
        matches!(text[0] | 0x20, b'd' | b't')
            && matches!(text.len(), 4 | 9)
            && !matches!(self.last, Last::Dot | Last::At)
            && (text.eq_ignore_ascii_case(b"date")
                || text.eq_ignore_ascii_case(b"time")
                || text.eq_ignore_ascii_case(b"timestamp"))
    }

    /// Whether the present element of a folded list is a literal and nothing else.
    #[inline]
    pub(super) fn is_literal_list(&self) -> bool {
        self.last_is_literal()
            && self.too_deep == 0
            && !self.is_full
            && self.frames.last().is_some_and(|frame| {
                frame.list == List::Elements && self.out.get(frame.element..) == Some(b"?")
            })
    }

    fn last_is_literal(&self) -> bool {
        matches!(self.last, Last::Literal | Last::Text)
    }

    #[inline]
    pub(super) fn put(&mut self, text: &[u8], last: Last) {
        if self.is_full {
            return;
        }
        if self.space {
            self.out.push(b' ');
        }
        self.out
            .extend_from_slice(&text[..text.len().min(SHAPE_BYTES)]);
        self.after(last);
    }

    /// Write one byte.
    #[inline]
    fn put_byte(&mut self, byte: u8, last: Last) {
        if self.is_full {
            return;
        }
        if self.space {
            self.out.push(b' ');
        }
        self.out.push(byte);
        self.after(last);
    }

    /// Write in lower case, eight bytes at a time.
    #[inline]
    pub(super) fn put_lower(&mut self, token: Token<'_>, last: Last) {
        if self.is_full {
            return;
        }
        if self.space {
            self.out.push(b' ');
        }
        let size = token.end - token.at;
        let start = self.out.len();
        let end = token.end.min(token.at + SHAPE_BYTES);
        let mut at = token.at;
        loop {
            let packed = lower(token.text, at, end.min(at + 8));
            self.out.extend_from_slice(&packed.to_le_bytes());
            at += 8;
            if at >= end {
                break;
            }
        }
        self.out.truncate(start + size);
        self.after(last);
    }

    #[inline]
    pub(super) fn after(&mut self, last: Last) {
        self.last = last;
        self.space = true;
        self.limit = Limit::No;
        self.is_full = self.out.len() > SHAPE_BYTES;
    }

    #[inline]
    pub(super) fn top(&mut self) -> Option<(&mut Frame, &mut Vec<u8>)> {
        if self.is_full || self.too_deep > 0 {
            return None;
        }
        self.frames.last_mut().map(|frame| (frame, &mut self.out))
    }

    pub(super) fn end_operand(&mut self) {
        if let Some((frame, out)) = self.top() {
            frame.or.end(out);
        }
    }

    pub(super) fn end_union(&mut self) {
        if let Some((frame, out)) = self.top() {
            frame.end_union(out);
        }
    }

    /// An expression begins with what comes next.
    pub(super) fn begin_operand(&mut self) {
        let start = self.out.len() + usize::from(self.space);
        if let Some((frame, _)) = self.top() {
            frame.or = Chain::new(start);
        }
    }

    /// Only rows and commas go on with the rows behind VALUES.
    #[inline]
    pub(super) fn end_rows(&mut self) {
        if self.has_rows {
            self.end_rows_of_frame();
        }
    }

    fn end_rows_of_frame(&mut self) {
        if let Some((frame, _)) = self.top()
            && frame.list == List::Rows
        {
            frame.list = List::None;
        }
    }

    /// A literal, whatever it is.
    pub(super) fn literal(&mut self, is_text: bool) {
        if is_text && self.last == Last::Text {
            return;
        }
        let last = if is_text { Last::Text } else { Last::Literal };
        self.end_rows();
        match self.limit {
            Limit::Second(end) if !self.is_full => {
                self.out.truncate(end);
                self.after(last);
            }
            Limit::Word => {
                self.put_byte(b'?', last);
                self.limit = Limit::First(self.out.len());
            }
            _ => self.put_byte(b'?', last),
        }
        self.after_is = false;
    }

    /// An unquoted name that is no keyword.
    #[inline]
    pub(super) fn name(&mut self, token: Token<'_>) {
        self.end_rows();
        self.put_lower(token, Last::Name);
        self.after_is = false;
    }

    /// A name in quotes. Plain ones lose them.
    pub(super) fn quoted_name(&mut self, token: Token<'_>, quote: u8) {
        let text = token.bytes();
        let is_plain = text.iter().copied().all(is_word) && !text.iter().all(u8::is_ascii_digit);
        if self.is_savepoint() {
            self.literal(false);
        } else if is_plain {
            self.name(token);
        } else {
            self.end_rows();
            self.put_byte(quote, Last::Name);
            self.space = false;
            self.put(text, Last::Name);
            self.space = false;
            self.put_byte(quote, Last::Name);
            self.after_is = false;
        }
    }

    /// Whether a savepoint's name comes next: programs number them.
    pub(super) fn is_savepoint(&self) -> bool {
        match self.last {
            Last::Word(Word::Savepoint) => true,
            Last::Word(Word::To) => self.verb() == Verb::Transaction,
            _ => false,
        }
    }

    pub(super) fn dot(&mut self) {
        self.space &= matches!(self.last, Last::Word(_) | Last::Comma);
        self.put_byte(b'.', Last::Dot);
        self.space = false;
    }

    pub(super) fn at_sign(&mut self, text: &[u8]) {
        self.end_rows();
        // 'user'@'host'
        self.space &= !matches!(self.last, Last::Text | Last::Name);
        self.put(text, Last::At);
        self.space = false;
    }

    #[inline]
    pub(super) fn operator(&mut self, text: &[u8]) {
        self.end_rows();
        match text {
            [byte] => self.put_byte(*byte, Last::Operator),
            text => self.put(text, Last::Operator),
        }
    }

    /// The begin or the end of a comment that holds code.
    pub(super) fn symbol(&mut self, token: Token<'_>) {
        self.put_lower(token, Last::Operator);
    }

    pub(super) fn open(&mut self) {
        self.after_is = false;
        self.space &= !matches!(
            self.last,
            Last::Name | Last::Word(Word::In | Word::Field | Word::Row)
        );
        let list = match self.last {
            Last::Word(Word::In | Word::Field) => List::Elements,
            _ => List::None,
        };
        self.put_byte(b'(', Last::Open);
        self.space = false;
        if self.is_full {
            return;
        }
        if self.too_deep > 0 || self.frames.len() >= NESTING {
            self.too_deep += 1;
        } else {
            let start = self.out.len();
            self.frames.push(Frame::new(Kind::Parenthesis, list, start));
        }
    }

    pub(super) fn close(&mut self) {
        self.after_is = false;
        self.space = false;
        if self.too_deep > 0 {
            self.too_deep -= 1;
            return self.put_byte(b')', Last::Close);
        }
        while self.frames.len() > 1 && self.frames.last().is_some_and(|top| top.kind == Kind::Case)
        {
            self.frames.pop();
        }
        self.end_operand();
        self.end_union();
        if let Some((frame, out)) = self.top()
            && frame.list == List::Elements
        {
            frame.end_element(out);
            if out.len() > frame.start {
                out.push(b'+');
            }
        }
        if self.frames.len() > 1 {
            self.frames.pop();
        }
        self.put_byte(b')', Last::Close);
        if let Some((frame, out)) = self.top()
            && frame.list == List::Rows
        {
            frame.end_element(out);
        }
    }

    pub(super) fn comma(&mut self) {
        self.after_is = false;
        self.end_operand();
        let is_row = self.last == Last::Close;
        let limit = self.limit;
        if let Some((frame, out)) = self.top() {
            match frame.list {
                List::Elements => frame.end_element(out),
                List::Rows if !is_row => frame.list = List::None,
                _ => {}
            }
            frame.cut = out.len();
        }
        self.space = false;
        self.put_byte(b',', Last::Comma);
        if let Limit::First(end) = limit {
            self.limit = Limit::Second(end);
        }
        let next = self.out.len() + 1;
        if let Some((frame, _)) = self.top() {
            frame.element = next;
            frame.or = Chain::new(next);
        }
    }
}
