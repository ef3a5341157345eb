//! Statements to tokens.

use super::super::limits::COMMENT_BYTES;
use super::super::quote::{
    Inside, comment_end, is_line_comment, is_word, line_end, opens_code, quoted_end,
};
use super::super::request_id::request_id;
use super::Read;
use super::writer::{Token, Writer};

/// Read a statement and write its canonical text; `escapes` says whether a backslash in a literal
/// escapes what follows.
pub(super) fn lex(text: &[u8], escapes: bool, writer: &mut Writer) -> Read {
    writer.begin();
    let mut lexer = Lexer {
        text,
        escapes,
        writer,
        read: Read {
            end: Inside::Nothing,
            sticks: false,
            request_id: None,
        },
        code_comments: 0,
    };
    let mut at = 0;
    // Words and single spaces are most of a statement: branches tell them better than a jump table.
    while let Some(&byte) = text.get(at) {
        if byte == b' ' {
            at += 1;
        } else if CLASS[usize::from(byte)] == Class::Word {
            at = lexer.word(at);
        } else {
            at = lexer.token(at);
        }
    }
    let read = lexer.read;
    writer.finish();
    read
}

/// What a token begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    Space,
    Word,
    Digit,
    Quote,
    Backtick,
    Open,
    Close,
    Comma,
    Dot,
    At,
    Hash,
    Dash,
    Slash,
    Star,
    Plus,
    Compare,
    Mark,
    Backslash,
    Other,
}

static CLASS: [Class; 256] = {
    let mut table = [Class::Other; 256];
    let mut index = 0;
    while index < 256 {
        let byte = index as u8;
        table[index] = match byte {
            // Control bytes are no part of any token.
            0..=b' ' | 0x7f => Class::Space,
            b'a'..=b'z' | b'A'..=b'Z' | b'_' | b'$' | 0x80..=0xff => Class::Word,
            b'0'..=b'9' => Class::Digit,
            b'\'' | b'"' => Class::Quote,
            b'`' => Class::Backtick,
            b'(' => Class::Open,
            b')' => Class::Close,
            b',' => Class::Comma,
            b'.' => Class::Dot,
            b'@' => Class::At,
            b'#' => Class::Hash,
            b'-' => Class::Dash,
            b'/' => Class::Slash,
            b'*' => Class::Star,
            b'+' => Class::Plus,
            b'<' | b'>' | b'=' | b'!' | b':' | b'|' | b'&' => Class::Compare,
            b'?' => Class::Mark,
            b'\\' => Class::Backslash,
            _ => Class::Other,
        };
        index += 1;
    }
    table
};

struct Lexer<'a, 'b> {
    text: &'a [u8],
    escapes: bool,
    writer: &'b mut Writer,
    read: Read,
    /// Hints and version comments that are open.
    code_comments: u32,
}

impl<'a> Lexer<'a, '_> {
    #[inline]
    fn byte(&self, at: usize) -> u8 {
        self.text.get(at).copied().unwrap_or(0)
    }

    #[inline]
    fn piece(&self, at: usize, end: usize) -> Token<'a> {
        Token {
            text: self.text,
            at,
            end,
        }
    }

    /// Read the token at `at`. Returns where it ends.
    #[inline]
    fn token(&mut self, at: usize) -> usize {
        let text = self.text;
        match CLASS[usize::from(text[at])] {
            Class::Space => at + 1,
            Class::Word => self.word(at),
            Class::Digit => self.number(at),
            Class::Quote => self.quoted(at),
            Class::Backtick => self.identifier(at),
            Class::Open => {
                self.writer.open();
                at + 1
            }
            Class::Close => {
                self.writer.close();
                at + 1
            }
            Class::Comma => self.comma(at),
            Class::Dot if self.byte(at + 1).is_ascii_digit() && !self.writer.ends_name() => {
                self.number(at)
            }
            Class::Dot => {
                self.writer.dot();
                at + 1
            }
            Class::At => {
                let more = usize::from(self.byte(at + 1) == b'@');
                self.writer.at_sign(&text[at..at + 1 + more]);
                at + 1 + more
            }
            Class::Hash => self.line_comment(at),
            Class::Dash if is_line_comment(text, at) => self.line_comment(at),
            Class::Dash if self.byte(at + 1) == b'>' => {
                let end = at + 2 + usize::from(self.byte(at + 2) == b'>');
                self.writer.operator(&text[at..end]);
                end
            }
            Class::Dash | Class::Plus => self.sign(at),
            Class::Slash if self.byte(at + 1) == b'*' => self.comment(at),
            Class::Star if self.byte(at + 1) == b'/' && self.code_comments > 0 => {
                self.code_comments -= 1;
                self.writer.symbol(self.piece(at, at + 2));
                at + 2
            }
            Class::Compare => {
                let mut end = at + 1;
                while CLASS[usize::from(self.byte(end))] == Class::Compare {
                    end += 1;
                }
                self.writer.operator(&text[at..end]);
                end
            }
            Class::Mark => {
                self.writer.literal(false);
                at + 1
            }
            Class::Backslash if self.byte(at + 1) == b'N' && !is_word(self.byte(at + 2)) => {
                self.writer.literal(false);
                at + 2
            }
            Class::Slash | Class::Star | Class::Backslash | Class::Other => {
                self.writer.operator(&text[at..at + 1]);
                at + 1
            }
        }
    }

    #[inline]
    fn word_end(&self, at: usize) -> usize {
        let mut end = at;
        while end < self.text.len() && is_word(self.text[end]) {
            end += 1;
        }
        end
    }

    fn space_end(&self, at: usize) -> usize {
        let mut end = at;
        while end < self.text.len() && CLASS[usize::from(self.text[end])] == Class::Space {
            end += 1;
        }
        end
    }

    #[inline]
    fn word(&mut self, at: usize) -> usize {
        let end = self.word_end(at);
        let word = &self.text[at..end];
        let next = self.byte(end);
        // x'4D', b'101', n'text'
        if next == b'\'' && word.len() == 1 && matches!(word[0] | 0x20, b'x' | b'b' | b'n') {
            return self.quoted(end);
        }
        // _utf8mb4'text', _binary x'4D', _latin1 0x4D
        if word[0] == b'_' && self.is_introducer(end) {
            return end;
        }
        if (next == b'\'' || next <= b' ') && self.writer.may_be_typed(word) {
            let quote = self.space_end(end);
            if matches!(self.byte(quote), b'\'' | b'"') {
                return self.quoted(quote);
            }
        }
        self.writer.word(self.piece(at, end));
        end
    }

    fn is_introducer(&self, end: usize) -> bool {
        let at = self.space_end(end);
        match self.byte(at) {
            b'\'' | b'"' => true,
            b'x' | b'X' | b'b' | b'B' => self.byte(at + 1) == b'\'',
            b'0' => at > end && matches!(self.byte(at + 1), b'x' | b'b'),
            _ => false,
        }
    }

    /// A number, or a name that begins with a digit.
    #[inline]
    fn number(&mut self, at: usize) -> usize {
        let end = number_end(self.text, at);
        if self.writer.ends_dot() || (end < self.text.len() && is_word(self.text[end])) {
            let word = self.word_end(at);
            if word > end || (word > at && self.writer.ends_dot()) {
                self.writer.name(self.piece(at, word));
                return word;
            }
        }
        self.writer.literal(false);
        end
    }

    /// A sign belongs to a number, unless it is an operator.
    fn sign(&mut self, at: usize) -> usize {
        if !self.writer.ends_operand() {
            let next = self.space_end(at + 1);
            let digit = self.byte(next + usize::from(self.byte(next) == b'.'));
            let end = number_end(self.text, next);
            if digit.is_ascii_digit() && !is_word(self.byte(end)) {
                self.writer.literal(false);
                return end;
            }
        }
        self.writer.operator(&self.text[at..at + 1]);
        at + 1
    }

    #[inline]
    fn quoted(&mut self, at: usize) -> usize {
        let quote = self.text[at];
        let end = match quoted_end(self.text, at + 1, quote, self.escapes) {
            Some(end) if end <= self.text.len() => end,
            _ => {
                self.read.end = Inside::Open(quote);
                self.text.len()
            }
        };
        self.read.sticks |= end < self.text.len() && is_word(self.text[end]);
        // With ANSI_QUOTES, where only a name can stand.
        if quote == b'"' && self.writer.wants_name() && end > at + 2 {
            self.writer.quoted_name(self.piece(at + 1, end - 1), b'"');
        } else {
            self.writer.literal(true);
        }
        end
    }

    fn identifier(&mut self, at: usize) -> usize {
        match quoted_end(self.text, at + 1, b'`', false) {
            Some(end) => {
                self.writer.quoted_name(self.piece(at + 1, end - 1), b'`');
                end
            }
            None => {
                // It may be a part of a literal that went wrong: say nothing of it.
                self.read.end = Inside::Open(b'`');
                self.writer.literal(false);
                self.text.len()
            }
        }
    }

    fn line_comment(&mut self, at: usize) -> usize {
        let end = line_end(self.text, at);
        self.search(at, end);
        if end == self.text.len() {
            self.read.end = Inside::LineComment;
        }
        end
    }

    fn comment(&mut self, at: usize) -> usize {
        if opens_code(self.text, at) {
            let mut end = at + 3;
            end += usize::from(self.text[at + 2] == b'M');
            while self.byte(end).is_ascii_digit() {
                end += 1;
            }
            self.writer.symbol(self.piece(at, end));
            self.code_comments += 1;
            return end;
        }
        let end = match comment_end(self.text, at + 2) {
            Some(end) => end,
            None => {
                self.read.end = Inside::Open(b'*');
                self.text.len()
            }
        };
        self.search(at, end);
        end
    }

    fn search(&mut self, start: usize, end: usize) {
        if self.read.request_id.is_none() {
            let comment = &self.text[start..end.min(start + COMMENT_BYTES)];
            self.read.request_id = request_id(comment).map(|(from, to)| (start + from, start + to));
        }
    }

    /// A comma, and in a list of literals the literals behind it.
    #[inline]
    fn comma(&mut self, at: usize) -> usize {
        if self.writer.is_literal_list() {
            let (end, closes) = self.literals(at + 1);
            if closes {
                return end;
            }
            self.writer.comma();
            return end;
        }
        self.writer.comma();
        at + 1
    }

    /// Go over plain literals and commas. Returns where that ends: at the closing parenthesis, or behind
    /// the last comma (or `from`).
    fn literals(&self, from: usize) -> (usize, bool) {
        let text = self.text;
        let mut begin = from;
        loop {
            let mut at = self.space_end(begin);
            match self.byte(at) {
                quote @ b'\'' => match quoted_end(text, at + 1, quote, self.escapes) {
                    Some(end) if end <= text.len() => at = end,
                    _ => return (begin, false),
                },
                b'0'..=b'9' | b'-' => {
                    at += usize::from(text[at] == b'-');
                    let digits = at;
                    while self.byte(at).is_ascii_digit() {
                        at += 1;
                    }
                    if at == digits {
                        return (begin, false);
                    }
                    if self.byte(at) == b'.' {
                        at += 1;
                        while self.byte(at).is_ascii_digit() {
                            at += 1;
                        }
                    }
                }
                _ => return (begin, false),
            }
            at = self.space_end(at);
            match self.byte(at) {
                b',' => begin = at + 1,
                b')' => return (at, true),
                _ => return (begin, false),
            }
        }
    }
}

/// Behind the number at `at`: `12`, `1.5`, `.5`, `1e10`, `1.5E-3`, `0xFF`, `0b11`.
#[inline]
fn number_end(text: &[u8], at: usize) -> usize {
    let byte = |at: usize| text.get(at).copied().unwrap_or(0);
    let mut end = at;
    if byte(at) == b'0' && matches!(byte(at + 1), b'x' | b'X' | b'b' | b'B') {
        let mut end = at + 2;
        while byte(end).is_ascii_hexdigit() {
            end += 1;
        }
        if end > at + 2 {
            return end;
        }
    }
    while byte(end).is_ascii_digit() {
        end += 1;
    }
    if byte(end) == b'.' {
        end += 1;
        while byte(end).is_ascii_digit() {
            end += 1;
        }
    }
    if byte(end) | 0x20 == b'e' {
        let sign = usize::from(matches!(byte(end + 1), b'+' | b'-'));
        let mut exponent = end + 1 + sign;
        if byte(exponent).is_ascii_digit() {
            while byte(exponent).is_ascii_digit() {
                exponent += 1;
            }
            end = exponent;
        }
    }
    end
}
