//! Words: what keywords do to the canonical text.

use super::super::Verb;
use super::super::limits::NESTING;
use super::fold::{Chain, Frame, KEPT, Kind, List, NO_PIECE};
use super::word::{Word, lower, verb, word};
use super::writer::{Last, Limit, Token, Writer};

impl Writer {
    /// A word: a name or a keyword.
    #[inline]
    pub(super) fn word(&mut self, token: Token<'_>) {
        if self.is_full {
            return;
        }
        let packed = lower(token.text, token.at, token.end.min(token.at + 8));
        let word = match self.last {
            Last::Dot | Last::At => Word::Name,
            Last::Word(Word::Savepoint | Word::To) if self.is_savepoint() => {
                if !token.is(b"savepoint") {
                    return self.literal(false);
                }
                Word::Savepoint
            }
            _ => word(packed, token.bytes()),
        };
        if self.verb.is_none_or(|(_, more)| more) {
            self.tell_verb(token);
        }
        if word == Word::Name {
            self.name(token);
        } else {
            self.keyword(token, word);
        }
    }

    fn tell_verb(&mut self, token: Token<'_>) {
        let mut lower = [0; 9];
        let lower = match lower.get_mut(..token.end - token.at) {
            Some(lower) => {
                lower.copy_from_slice(token.bytes());
                lower.make_ascii_lowercase();
                &*lower
            }
            None => b"",
        };
        let (verb, more) = verb(lower);
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

    fn keyword(&mut self, token: Token<'_>, word: Word) {
        let keeps_rows = matches!(word, Word::Row | Word::Values);
        if !keeps_rows {
            self.end_rows();
        }
        let after_is = std::mem::replace(&mut self.after_is, word == Word::Is);
        let last = Last::Word(word);
        match word {
            Word::Null if after_is || !self.is_null_literal() => self.put_lower(token, last),
            Word::Boolean if after_is => self.put_lower(token, last),
            Word::Null | Word::Boolean => self.literal(false),
            Word::Not => {
                self.put_lower(token, last);
                self.after_is = after_is;
            }
            Word::Or => {
                self.end_operand();
                self.put_lower(token, last);
                let next = self.out.len() + 1;
                if let Some((frame, _)) = self.top() {
                    frame.or.start = next;
                }
            }
            Word::Clause | Word::From => self.clause(token, word),
            Word::Limit => {
                self.clause(token, word);
                self.limit = Limit::Word;
            }
            Word::Offset => {
                let limit = self.limit;
                self.put_lower(token, last);
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
                self.put_lower(token, last);
                self.begin_operand();
            }
            Word::Union => self.union(token),
            Word::All => self.all(token),
            Word::Values => self.values(token),
            Word::Case | Word::When | Word::Then | Word::Else | Word::End => self.case(token, word),
            _ => self.put_lower(token, last),
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

    fn clause(&mut self, token: Token<'_>, word: Word) {
        self.end_operand();
        // What stands behind the last SELECT of a UNION is not a part of it.
        if (word == Word::Limit || token.is(b"order"))
            && let Some((frame, out)) = self.top()
        {
            frame.end_union(out);
            frame.union.before = NO_PIECE;
        }
        self.put_lower(token, Last::Word(word));
        self.begin_operand();
    }

    fn union(&mut self, token: Token<'_>) {
        self.end_operand();
        self.end_union();
        self.put_lower(token, Last::Word(Word::Union));
        let next = self.out.len() + 1;
        if let Some((frame, _)) = self.top() {
            frame.union.start = next;
            frame.has_select = true;
            frame.is_union_all = false;
        }
    }

    fn all(&mut self, token: Token<'_>) {
        let is_union = self.last == Last::Word(Word::Union);
        self.put_lower(token, Last::Word(Word::All));
        let next = self.out.len() + 1;
        if let Some((frame, _)) = self.top().filter(|_| is_union) {
            frame.union.start = next;
            frame.is_union_all = token.is(b"all");
        }
    }

    fn values(&mut self, token: Token<'_>) {
        self.has_rows = true;
        self.put_lower(token, Last::Word(Word::Values));
        let next = self.out.len() + 1;
        if let Some((frame, _)) = self.top() {
            frame.list = List::Rows;
            frame.kept = [NO_PIECE; KEPT];
            frame.element = next;
            frame.cut = next;
        }
    }

    fn case(&mut self, token: Token<'_>, word: Word) {
        if word == Word::Case {
            self.put_lower(token, Last::Word(word));
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
        self.put_lower(token, Last::Word(word));
        if word != Word::End {
            self.begin_operand();
        }
    }
}
