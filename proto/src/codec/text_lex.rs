//! Tokens of text format (<https://protobuf.dev/reference/protobuf/textformat-spec/>).

use super::json_read::{Outcome, fault};
use crate::error::EncodeCause;

/// One token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Token<'t> {
    /// An identifier.
    Name(&'t str),
    /// What starts like a number, up to the end of the word.
    Number(&'t str),
    /// The inside of a quoted string, with its escapes.
    Quoted(&'t [u8]),
    /// Punctuation.
    Mark(u8),
    /// The end of the text.
    End,
}

/// Reads tokens; the current one can be looked at before it is taken.
pub(super) struct Lexer<'t> {
    text: &'t [u8],
    /// Offset of the current token.
    pub(super) at: usize,
    /// Offset just past it.
    next: usize,
    pub(super) token: Token<'t>,
}

/// What was expected instead of what is there.
#[cold]
pub(super) fn expected<T>(at: usize, expected: &'static str) -> Outcome<T> {
    Err(fault(at, EncodeCause::Text { expected }))
}

impl<'t> Lexer<'t> {
    pub(super) fn new(text: &'t [u8]) -> Outcome<Lexer<'t>> {
        let mut lexer = Lexer {
            text,
            at: 0,
            next: 0,
            token: Token::End,
        };
        lexer.advance()?;
        Ok(lexer)
    }

    /// Goes to the next token.
    pub(super) fn advance(&mut self) -> Outcome<()> {
        self.skip();
        self.at = self.next;
        let rest = &self.text[self.at..];
        let Some(&first) = rest.first() else {
            self.token = Token::End;
            return Ok(());
        };
        let digit_follows = rest.get(1).is_some_and(u8::is_ascii_digit);
        self.token = match first {
            b'a'..=b'z' | b'A'..=b'Z' | b'_' => {
                let len = word_len(rest, |byte| byte.is_ascii_alphanumeric() || byte == b'_');
                self.next += len;
                Token::Name(ascii(&rest[..len]))
            }
            b'0'..=b'9' => self.number(rest),
            b'.' if digit_follows => self.number(rest),
            b'"' | b'\'' => return self.quoted(first),
            0x21..0x7f => {
                self.next += 1;
                Token::Mark(first)
            }
            _ => return expected(self.at, "a field, a value or a comment"),
        };
        Ok(())
    }

    /// Takes this mark, if it is the current token.
    pub(super) fn accept(&mut self, mark: u8) -> Outcome<bool> {
        let found = self.token == Token::Mark(mark);
        if found {
            self.advance()?;
        }
        Ok(found)
    }

    /// The name between brackets, of which the first is the current token: without the spaces and
    /// comments that may stand in it.
    pub(super) fn bracketed(&mut self) -> Outcome<String> {
        let mut name = String::new();
        loop {
            self.skip();
            let byte = self.text.get(self.next).copied();
            match byte {
                Some(b']') => {
                    self.next += 1;
                    self.advance()?;
                    return Ok(name);
                }
                Some(byte @ (b'.' | b'/' | b'_' | b'-' | b'~' | b'%'))
                | Some(byte @ (b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9')) => {
                    name.push(char::from(byte));
                    self.next += 1;
                }
                _ => return expected(self.next, "a name in brackets"),
            }
        }
    }

    /// Skips spaces and comments.
    fn skip(&mut self) {
        while let Some(&byte) = self.text.get(self.next) {
            match byte {
                b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c => self.next += 1,
                b'#' => {
                    let rest = &self.text[self.next..];
                    self.next += word_len(rest, |byte| byte != b'\n');
                }
                _ => return,
            }
        }
    }

    fn number(&mut self, rest: &'t [u8]) -> Token<'t> {
        let hex = rest.len() > 1 && rest[0] == b'0' && matches!(rest[1], b'x' | b'X');
        let mut last = 0;
        let len = word_len(rest, |byte| {
            let sign = matches!(byte, b'+' | b'-') && matches!(last, b'e' | b'E') && !hex;
            last = byte;
            sign || byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.')
        });
        self.next += len;
        Token::Number(ascii(&rest[..len]))
    }

    fn quoted(&mut self, quote: u8) -> Outcome<()> {
        let start = self.at + 1;
        let mut at = start;
        loop {
            match self.text.get(at) {
                Some(b'\\') => at += 2,
                Some(b'\n') | None => return expected(self.at, "a string that ends on its line"),
                Some(byte) if *byte == quote => break,
                Some(_) => at += 1,
            }
        }
        self.next = at + 1;
        self.token = Token::Quoted(&self.text[start..at]);
        Ok(())
    }
}

fn word_len(bytes: &[u8], mut belongs: impl FnMut(u8) -> bool) -> usize {
    bytes
        .iter()
        .position(|byte| !belongs(*byte))
        .unwrap_or(bytes.len())
}

/// Bytes that are known to be ASCII.
fn ascii(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap_or_default()
}

/// Appends what the inside of a quoted string stands for; `start` is its place in the text.
pub(super) fn unescape(inside: &[u8], start: usize, out: &mut Vec<u8>) -> Outcome<()> {
    let mut at = 0;
    while let Some(&byte) = inside.get(at) {
        at += 1;
        if byte != b'\\' {
            out.push(byte);
            continue;
        }
        let escape = at - 1;
        let letter = inside.get(at).copied().unwrap_or(0);
        at += 1;
        let simple = match letter {
            b'a' => 0x07,
            b'b' => 0x08,
            b'f' => 0x0c,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'v' => 0x0b,
            b'?' | b'\\' | b'\'' | b'"' => letter,
            b'0'..=b'7' => {
                let (value, len) = digits(&inside[at - 1..], 8, 3);
                at += len - 1;
                match u8::try_from(value) {
                    Ok(byte) => byte,
                    Err(_) => return expected(start + escape, "an octal escape up to \\377"),
                }
            }
            b'x' | b'X' => {
                let (value, len) = digits(&inside[at..], 16, 2);
                if len == 0 {
                    return expected(start + escape, "hexadecimal digits after \\x");
                }
                at += len;
                value as u8
            }
            b'u' | b'U' => {
                let Some((c, len)) = unicode(&inside[escape..]) else {
                    return expected(
                        start + escape,
                        "\\u and 4 digits or \\U and 8, of a character",
                    );
                };
                out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                at = escape + len;
                continue;
            }
            _ => {
                return expected(
                    start + escape,
                    "an escape such as \\n, \\\", \\001 or \\x01",
                );
            }
        };
        out.push(simple);
    }
    Ok(())
}

/// The value of at most `most` digits, and how many there are.
fn digits(bytes: &[u8], radix: u32, most: usize) -> (u32, usize) {
    let values = bytes
        .iter()
        .map_while(|byte| char::from(*byte).to_digit(radix));
    values.take(most).fold((0, 0), |(value, len), digit| {
        (value * radix + digit, len + 1)
    })
}

/// The character of an escape, and the bytes it takes. Two halves of a pair are one character.
fn unicode(bytes: &[u8]) -> Option<(char, usize)> {
    let one = |at: usize| {
        let most = match bytes.get(at..at + 2)? {
            [b'\\', b'u'] => 4,
            [b'\\', b'U'] => 8,
            _ => return None,
        };
        let (value, len) = digits(&bytes[at + 2..], 16, most);
        (len == most).then_some((value, len + 2))
    };
    let (first, len) = one(0)?;
    if let Some(c) = char::from_u32(first) {
        return Some((c, len));
    }
    let (second, more) = one(len)?;
    let pair = (0xd800..0xdc00).contains(&first) && (0xdc00..0xe000).contains(&second);
    let code = pair.then(|| 0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00))?;
    Some((char::from_u32(code)?, len + more))
}
