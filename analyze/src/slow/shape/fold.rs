//! Tokens to the canonical text. A list that repeats itself is cut back while it is written: what was
//! written since the last comma (OR, WHEN, UNION) is compared with what was written before it.

use super::super::Verb;
use super::super::limits::{NESTING, SHAPE_BYTES};
use super::super::quote::is_word;
use super::word::{Word, lower, verb, word};

/// The token before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Last {
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

/// A piece of the canonical text. Pieces that were cut away are no longer equal to anything.
#[derive(Debug, Clone, Copy)]
struct Piece {
    start: usize,
    end: usize,
}

const NO_PIECE: Piece = Piece { start: 1, end: 0 };

impl Piece {
    fn of(self, text: &[u8]) -> Option<&[u8]> {
        text.get(self.start..self.end)
            .filter(|piece| !piece.is_empty())
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Root,
    Parenthesis,
    Case,
}

/// What the commas of a frame part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum List {
    /// Nothing that is folded.
    None,
    /// `IN (?, ?)`.
    Elements,
    /// `VALUES (?, ?), (?, ?)`.
    Rows,
}

/// Things that repeat: what came before, where the present one begins, and where to cut when both are
/// equal.
#[derive(Debug, Clone, Copy)]
struct Chain {
    before: Piece,
    start: usize,
    cut: usize,
}

impl Chain {
    fn new(start: usize) -> Self {
        Self {
            before: NO_PIECE,
            start,
            cut: start,
        }
    }

    /// Cut the text when its end repeats what came before. Otherwise that end is now what came before.
    fn end(&mut self, text: &mut Vec<u8>) -> bool {
        let piece = Piece {
            start: self.start,
            end: text.len(),
        };
        let is_same = self
            .before
            .of(text)
            .is_some_and(|before| piece.of(text) == Some(before));
        if is_same {
            text.truncate(self.cut);
        } else {
            self.before = piece;
        }
        self.cut = text.len();
        is_same
    }
}

/// How many different elements of a list are kept in mind.
const KEPT: usize = 4;

/// Parentheses, a CASE or the whole statement.
#[derive(Debug, Clone, Copy)]
struct Frame {
    kind: Kind,
    list: List,
    /// Where it begins, behind its parenthesis.
    start: usize,
    kept: [Piece; KEPT],
    element: usize,
    cut: usize,
    or: Chain,
    when: Option<Chain>,
    union: Chain,
    has_select: bool,
    is_union_all: bool,
    /// The kind of UNION that was folded (ALL or not).
    folded_union: Option<bool>,
}

impl Frame {
    fn new(kind: Kind, list: List, start: usize) -> Self {
        Self {
            kind,
            list,
            start,
            kept: [NO_PIECE; KEPT],
            element: start,
            cut: start,
            or: Chain::new(start),
            when: None,
            union: Chain::new(start),
            has_select: false,
            is_union_all: false,
            folded_union: None,
        }
    }

    /// End an element of a list: cut it when there was one like it.
    fn end_element(&mut self, text: &mut Vec<u8>) {
        let piece = Piece {
            start: self.element,
            end: text.len(),
        };
        let Some(bytes) = piece.of(text) else {
            return;
        };
        for kept in &mut self.kept {
            match kept.of(text) {
                Some(known) if known == bytes => {
                    text.truncate(self.cut);
                    return;
                }
                Some(_) => {}
                None => {
                    *kept = piece;
                    return;
                }
            }
        }
    }

    fn end_union(&mut self, text: &mut Vec<u8>) {
        let kind = self.is_union_all;
        if self.folded_union.is_some_and(|folded| folded != kind) {
            self.union.before = NO_PIECE;
        }
        if self.union.end(text) && self.folded_union.is_none() {
            self.folded_union = Some(kind);
            text.extend_from_slice(if kind {
                b" /*repeat union all*/".as_slice()
            } else {
                b" /*repeat union*/"
            });
            self.union.cut = text.len();
        }
    }
}

/// How far a LIMIT has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Limit {
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
    out: Vec<u8>,
    frames: Vec<Frame>,
    /// Parentheses beyond the limit.
    too_deep: usize,
    last: Last,
    /// Whether a space goes before what comes next.
    space: bool,
    is_full: bool,
    limit: Limit,
    /// `is` or `is not` stands before.
    after_is: bool,
    /// There was a VALUES.
    has_rows: bool,
    verb: Option<(Verb, bool)>,
    is_use: bool,
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
    fn put(&mut self, text: &[u8], last: Last) {
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

    /// Write in lower case.
    #[inline]
    fn put_lower(&mut self, text: &[u8], last: Last) {
        let start = self.out.len();
        self.put(text, last);
        self.out[start..].make_ascii_lowercase();
    }

    #[inline]
    fn after(&mut self, last: Last) {
        self.last = last;
        self.space = true;
        self.limit = Limit::No;
        self.is_full = self.out.len() > SHAPE_BYTES;
    }

    #[inline]
    fn top(&mut self) -> Option<(&mut Frame, &mut Vec<u8>)> {
        if self.is_full || self.too_deep > 0 {
            return None;
        }
        self.frames.last_mut().map(|frame| (frame, &mut self.out))
    }

    fn end_operand(&mut self) {
        if let Some((frame, out)) = self.top() {
            frame.or.end(out);
        }
    }

    fn end_union(&mut self) {
        if let Some((frame, out)) = self.top() {
            frame.end_union(out);
        }
    }

    /// An expression begins with what comes next.
    fn begin_operand(&mut self) {
        let start = self.out.len() + usize::from(self.space);
        if let Some((frame, _)) = self.top() {
            frame.or = Chain::new(start);
        }
    }

    /// Only rows and commas go on with the rows behind VALUES.
    #[inline]
    fn end_rows(&mut self) {
        if self.has_rows {
            self.end_rows_of_frame();
        }
    }

    fn end_rows_of_frame(&mut self) {
        if let Some((frame, _)) = self.top() {
            if frame.list == List::Rows {
                frame.list = List::None;
            }
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
                self.put(b"?", last);
                self.limit = Limit::First(self.out.len());
            }
            _ => self.put(b"?", last),
        }
        self.after_is = false;
    }

    /// An unquoted name that is no keyword.
    pub(super) fn name(&mut self, text: &[u8]) {
        self.end_rows();
        self.put_lower(text, Last::Name);
        self.after_is = false;
    }

    /// A name in quotes. Plain ones lose them.
    pub(super) fn quoted_name(&mut self, text: &[u8], quote: u8) {
        let is_plain = text.iter().copied().all(is_word) && !text.iter().all(u8::is_ascii_digit);
        if self.is_savepoint() {
            self.literal(false);
        } else if is_plain {
            self.name(text);
        } else {
            self.end_rows();
            self.put(&[quote], Last::Name);
            self.space = false;
            self.put(text, Last::Name);
            self.space = false;
            self.put(&[quote], Last::Name);
            self.after_is = false;
        }
    }

    /// Whether a savepoint's name comes next: programs number them.
    fn is_savepoint(&self) -> bool {
        match self.last {
            Last::Word(Word::Savepoint) => true,
            Last::Word(Word::To) => self.verb() == Verb::Transaction,
            _ => false,
        }
    }

    pub(super) fn dot(&mut self) {
        self.space &= matches!(self.last, Last::Word(_) | Last::Comma);
        self.put(b".", Last::Dot);
        self.space = false;
    }

    pub(super) fn at_sign(&mut self, text: &[u8]) {
        self.end_rows();
        // 'user'@'host'
        self.space &= !matches!(self.last, Last::Text | Last::Name);
        self.put(text, Last::At);
        self.space = false;
    }

    pub(super) fn operator(&mut self, text: &[u8]) {
        self.end_rows();
        self.put(text, Last::Operator);
    }

    /// The begin or the end of a comment that holds code.
    pub(super) fn symbol(&mut self, text: &[u8]) {
        self.put_lower(text, Last::Operator);
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
        self.put(b"(", Last::Open);
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
            return self.put(b")", Last::Close);
        }
        while self.frames.len() > 1 && self.frames.last().is_some_and(|top| top.kind == Kind::Case)
        {
            self.frames.pop();
        }
        self.end_operand();
        self.end_union();
        if let Some((frame, out)) = self.top() {
            if frame.list == List::Elements {
                frame.end_element(out);
                if out.len() > frame.start {
                    out.push(b'+');
                }
            }
        }
        if self.frames.len() > 1 {
            self.frames.pop();
        }
        self.put(b")", Last::Close);
        if let Some((frame, out)) = self.top() {
            if frame.list == List::Rows {
                frame.end_element(out);
            }
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
        self.put(b",", Last::Comma);
        if let Limit::First(end) = limit {
            self.limit = Limit::Second(end);
        }
        let next = self.out.len() + 1;
        if let Some((frame, _)) = self.top() {
            frame.element = next;
            frame.or = Chain::new(next);
        }
    }

    /// A word: a name or a keyword. It is `text[at..end]`.
    #[inline]
    pub(super) fn word(&mut self, text: &[u8], at: usize, end: usize) {
        if self.is_full {
            return;
        }
        let packed = lower(text, at, end.min(at + 8));
        let size = end - at;
        let word = match self.last {
            Last::Dot | Last::At => Word::Name,
            Last::Word(Word::Savepoint | Word::To) if self.is_savepoint() => {
                if !text[at..end].eq_ignore_ascii_case(b"savepoint") {
                    return self.literal(false);
                }
                Word::Savepoint
            }
            _ => word(packed, size, &text[at..end]),
        };
        if self.verb.is_none_or(|(_, more)| more) {
            self.tell_verb(&text[at..end]);
        }
        if word != Word::Name {
            return self.keyword(&text[at..end], word);
        }
        self.end_rows();
        self.after_is = false;
        if self.space {
            self.out.push(b' ');
        }
        let start = self.out.len();
        self.out.extend_from_slice(&packed.to_le_bytes());
        if size > 8 {
            self.put_rest(text, at + 8, end.min(at + SHAPE_BYTES));
        }
        self.out.truncate(start + size);
        self.after(Last::Name);
    }

    /// Write `text[at..end]` in lower case, and a few bytes more.
    fn put_rest(&mut self, text: &[u8], at: usize, end: usize) {
        let mut at = at;
        while at < end {
            let packed = lower(text, at, end.min(at + 8));
            self.out.extend_from_slice(&packed.to_le_bytes());
            at += 8;
        }
    }

    #[cold]
    fn tell_verb(&mut self, text: &[u8]) {
        let lower = text
            .get(..text.len().min(16))
            .unwrap_or_default()
            .to_ascii_lowercase();
        let (verb, more) = verb(&lower);
        match self.verb {
            None => {
                self.verb = Some((verb, more));
                self.is_use = lower == b"use";
            }
            Some(_)
                if self.frames.len() == 1
                    && matches!(verb, Verb::Read | Verb::Write)
                    && lower != b"table" =>
            {
                self.verb = Some((verb, false));
            }
            Some(_) => {}
        }
    }

    fn keyword(&mut self, text: &[u8], word: Word) {
        let keeps_rows = matches!(word, Word::Row | Word::Values);
        if !keeps_rows {
            self.end_rows();
        }
        let after_is = std::mem::replace(&mut self.after_is, word == Word::Is);
        let last = Last::Word(word);
        match word {
            Word::Null if after_is || !self.is_null_literal() => self.put_lower(text, last),
            Word::Boolean if after_is => self.put_lower(text, last),
            Word::Null | Word::Boolean => self.literal(false),
            Word::Not => {
                self.put_lower(text, last);
                self.after_is = after_is;
            }
            Word::Or => {
                self.end_operand();
                self.put_lower(text, last);
                let next = self.out.len() + 1;
                if let Some((frame, _)) = self.top() {
                    frame.or.start = next;
                }
            }
            Word::Clause | Word::From => self.clause(text, word),
            Word::Limit => {
                self.clause(text, word);
                self.limit = Limit::Word;
            }
            Word::Offset => {
                let limit = self.limit;
                self.put_lower(text, last);
                if let Limit::First(end) = limit {
                    self.limit = Limit::Second(end);
                }
            }
            Word::Select => {
                let start = self.out.len() + usize::from(self.space);
                if let Some((frame, _)) = self.top() {
                    frame.list = List::None;
                    if !frame.has_select {
                        frame.has_select = true;
                        frame.union.start = start;
                    }
                }
                self.put_lower(text, last);
                self.begin_operand();
            }
            Word::Union => self.union(text),
            Word::All => self.all(text),
            Word::Values => self.values(text),
            Word::Case | Word::When | Word::Then | Word::Else | Word::End => self.case(text, word),
            _ => self.put_lower(text, last),
        }
    }

    /// NULL is a literal where a value may stand, and not in `IS NULL`, `NOT NULL`, `INT NULL`.
    fn is_null_literal(&self) -> bool {
        match self.last {
            Last::Open | Last::Comma | Last::Operator => true,
            Last::Word(word) => matches!(
                word,
                Word::Then | Word::Else | Word::When | Word::Select | Word::Expression | Word::All
            ),
            _ => false,
        }
    }

    fn clause(&mut self, text: &[u8], word: Word) {
        self.end_operand();
        // What stands behind the last SELECT of a UNION is not a part of it.
        if word == Word::Limit || text.eq_ignore_ascii_case(b"order") {
            if let Some((frame, out)) = self.top() {
                frame.end_union(out);
                frame.union.before = NO_PIECE;
            }
        }
        self.put_lower(text, Last::Word(word));
        self.begin_operand();
    }

    fn union(&mut self, text: &[u8]) {
        self.end_operand();
        self.end_union();
        self.put_lower(text, Last::Word(Word::Union));
        let next = self.out.len() + 1;
        if let Some((frame, _)) = self.top() {
            frame.union.start = next;
            frame.has_select = true;
            frame.is_union_all = false;
        }
    }

    fn all(&mut self, text: &[u8]) {
        let is_union = self.last == Last::Word(Word::Union);
        self.put_lower(text, Last::Word(Word::All));
        let next = self.out.len() + 1;
        if let Some((frame, _)) = self.top().filter(|_| is_union) {
            frame.union.start = next;
            frame.is_union_all = text.eq_ignore_ascii_case(b"all");
        }
    }

    fn values(&mut self, text: &[u8]) {
        self.has_rows = true;
        self.put_lower(text, Last::Word(Word::Values));
        let next = self.out.len() + 1;
        if let Some((frame, _)) = self.top() {
            frame.list = List::Rows;
            frame.kept = [NO_PIECE; KEPT];
            frame.element = next;
            frame.cut = next;
        }
    }

    fn case(&mut self, text: &[u8], word: Word) {
        if word == Word::Case {
            self.put_lower(text, Last::Word(word));
            let start = self.out.len() + 1;
            if !self.is_full && self.too_deep == 0 && self.frames.len() < NESTING {
                self.frames.push(Frame::new(Kind::Case, List::None, start));
            }
            return;
        }
        self.end_operand();
        let next = self.out.len() + usize::from(self.space);
        let mut is_case_end = false;
        if let Some((frame, out)) = self.top().filter(|(frame, _)| frame.kind == Kind::Case) {
            match word {
                Word::When => match &mut frame.when {
                    Some(chain) => {
                        chain.end(out);
                        chain.start = out.len() + 1;
                    }
                    None => frame.when = Some(Chain::new(next)),
                },
                Word::Else | Word::End => {
                    if let Some(mut chain) = frame.when.take() {
                        chain.end(out);
                    }
                    is_case_end = word == Word::End;
                }
                _ => {}
            }
        }
        if is_case_end {
            self.frames.pop();
        }
        self.put_lower(text, Last::Word(word));
        if word != Word::End {
            self.begin_operand();
        }
    }
}
