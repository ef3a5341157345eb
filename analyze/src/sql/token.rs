//! SQL in pieces, as MySQL's lexer cuts it: enough to find names and clauses in any statement, cut
//! ones and other vendors' included.

use std::borrow::Cow;

use super::limits::STATEMENT_BYTES;

/// A piece of a statement. Comments and white space are left out; what stands in `/*! ... */` is not.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token<'a> {
    /// A keyword or a name without quotes.
    Word(&'a [u8]),
    /// A name in backticks, without them.
    Quoted(Cow<'a, [u8]>),
    /// A string, a number or a parameter.
    Literal,
    /// `@name` or `@@name`.
    Variable,
    /// Any other byte.
    Sign(u8),
}

impl Token<'_> {
    /// Whether this is the keyword `word`, in any case.
    pub(super) fn is(&self, word: &str) -> bool {
        matches!(self, Token::Word(own) if own.eq_ignore_ascii_case(word.as_bytes()))
    }

    /// Whether this is one of some keywords.
    pub(super) fn is_any(&self, words: &[&str]) -> bool {
        words.iter().any(|word| self.is(word))
    }

    /// The name that this may be.
    pub(super) fn name(&self) -> Option<String> {
        match self {
            Token::Word(name) => Some(String::from_utf8_lossy(name).into_owned()),
            Token::Quoted(name) => Some(String::from_utf8_lossy(name).into_owned()),
            _ => None,
        }
    }
}

/// Cut a statement.
pub(super) fn tokens(statement: &[u8]) -> Vec<Token<'_>> {
    let text = &statement[..statement.len().min(STATEMENT_BYTES)];
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some((token, next)) = token(text, at) {
        tokens.extend(token);
        // A lexer that stands still would never end.
        at = next.max(at + 1);
    }
    tokens
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'$' || byte >= 0x80
}

/// The token at `at` (none for space and comments), and where the next one begins.
fn token(text: &[u8], at: usize) -> Option<(Option<Token<'_>>, usize)> {
    let rest = &text[at.min(text.len())..];
    let byte = *rest.first()?;
    let until = |is: &dyn Fn(u8) -> bool| {
        let len = rest[1..].iter().position(|byte| !is(*byte));
        at + 1 + len.unwrap_or(rest.len() - 1)
    };
    Some(match byte {
        _ if byte.is_ascii_whitespace() || byte == 0 => {
            (None, until(&|byte| byte.is_ascii_whitespace()))
        }
        b'#' => (None, line_end(rest, at)),
        b'-' if rest.starts_with(b"--") && rest.get(2).is_none_or(|it| *it <= b' ') => {
            (None, line_end(rest, at))
        }
        b'/' if rest.starts_with(b"/*!") || rest.starts_with(b"/*M!") => {
            // Its content is code; the number is a version.
            let mark = rest.iter().position(|it| *it == b'!').unwrap_or(0) + 1;
            let digits = rest[mark..].iter().take(6);
            let digits = digits.take_while(|it| it.is_ascii_digit()).count();
            (None, at + mark + digits)
        }
        b'/' if rest.starts_with(b"/*") => {
            let end = memchr::memmem::find(&rest[2..], b"*/");
            (None, end.map_or(text.len(), |end| at + 2 + end + 2))
        }
        b'*' if rest.starts_with(b"*/") => (None, at + 2),
        b'\'' | b'"' => (Some(Token::Literal), string_end(rest, at, byte)),
        b'`' => {
            let (name, end) = quoted(rest);
            (Some(Token::Quoted(name)), at + end)
        }
        b'@' => {
            let is = |byte: u8| is_word(byte) || byte == b'@' || byte == b'.';
            (Some(Token::Variable), until(&is))
        }
        b'?' => (Some(Token::Literal), at + 1),
        b'0'..=b'9' => number(rest, at),
        _ if is_word(byte) => {
            let end = until(&is_word);
            (Some(Token::Word(&text[at..end])), end)
        }
        _ => (Some(Token::Sign(byte)), at + 1),
    })
}

fn line_end(rest: &[u8], at: usize) -> usize {
    at + memchr::memchr(b'\n', rest).map_or(rest.len(), |end| end + 1)
}

/// Where a string ends that begins with `quote`: doubled quotes and backslashes are part of it.
fn string_end(rest: &[u8], at: usize, quote: u8) -> usize {
    let mut from = 1;
    while let Some(found) = memchr::memchr2(quote, b'\\', rest.get(from..).unwrap_or_default()) {
        let found = from + found;
        if rest[found] == b'\\' || rest.get(found + 1) == Some(&quote) {
            from = found + 2;
        } else {
            return at + found + 1;
        }
    }
    at + rest.len()
}

/// A name in backticks, and how many bytes it takes.
fn quoted(rest: &[u8]) -> (Cow<'_, [u8]>, usize) {
    let mut from = 1;
    let mut whole: Option<Vec<u8>> = None;
    while let Some(found) = memchr::memchr(b'`', &rest[from..]) {
        let found = from + found;
        if rest.get(found + 1) == Some(&b'`') {
            whole
                .get_or_insert_default()
                .extend_from_slice(&rest[from..=found]);
            from = found + 2;
            continue;
        }
        return match whole {
            Some(mut name) => {
                name.extend_from_slice(&rest[from..found]);
                (Cow::Owned(name), found + 1)
            }
            None => (Cow::Borrowed(&rest[1..found]), found + 1),
        };
    }
    (Cow::Borrowed(&rest[1..]), rest.len())
}

/// A number, or a name that begins like one (`1st_round`).
fn number(rest: &[u8], at: usize) -> (Option<Token<'_>>, usize) {
    let len = rest
        .iter()
        .position(|byte| !is_word(*byte))
        .unwrap_or(rest.len());
    let word = &rest[..len];
    let hex = word.len() > 2 && word[0] == b'0' && matches!(word[1], b'x' | b'X' | b'b' | b'B');
    let digits = word.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let is_exponent = matches!(word.get(digits), Some(b'e' | b'E'))
        && word[digits + 1..].iter().all(u8::is_ascii_digit);
    if hex || digits == len || is_exponent {
        let fraction = match rest.get(len) {
            Some(b'.') => {
                let behind = rest[len + 1..].iter();
                1 + behind
                    .take_while(|byte| byte.is_ascii_alphanumeric())
                    .count()
            }
            _ => 0,
        };
        return (Some(Token::Literal), at + len + fraction);
    }
    (Some(Token::Word(word)), at + len)
}
