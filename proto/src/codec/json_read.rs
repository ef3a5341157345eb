//! JSON read piece by piece, after RFC 8259. Numbers stay text, so no precision is lost.

use std::borrow::Cow;

use crate::error::{EncodeCause, EncodeError};
use crate::limits::Limits;

/// A fault and where it is; the field path grows while the fault travels outwards.
#[derive(Debug)]
pub(crate) struct Fault {
    at: usize,
    cause: EncodeCause,
    /// Outermost last.
    path: Vec<String>,
}

pub(crate) type Outcome<T> = Result<T, Box<Fault>>;

#[cold]
pub(crate) fn fault(at: usize, cause: EncodeCause) -> Box<Fault> {
    Box::new(Fault {
        at,
        cause,
        path: Vec::new(),
    })
}

/// Names the place a fault passes on its way out.
pub(crate) trait Within {
    /// A field: `.name`.
    fn in_field(self, name: &str) -> Self;
    /// An element: `[index]`.
    fn in_element(self, index: usize) -> Self;
    /// A map entry: `["key"]`.
    fn in_key(self, key: &str) -> Self;
}

impl<T> Within for Outcome<T> {
    fn in_field(self, name: &str) -> Self {
        self.map_err(|mut fault| {
            fault.path.push(format!(".{name}"));
            fault
        })
    }

    fn in_element(self, index: usize) -> Self {
        self.map_err(|mut fault| {
            fault.path.push(format!("[{index}]"));
            fault
        })
    }

    fn in_key(self, key: &str) -> Self {
        self.map_err(|mut fault| {
            fault.path.push(format!("[{key:?}]"));
            fault
        })
    }
}

impl Fault {
    /// Moves the fault to another place of the text.
    pub(crate) fn set_at(&mut self, at: usize) {
        self.at = at;
    }

    /// The public form, with line and column counted in `text`.
    pub(crate) fn place(self, text: &[u8]) -> EncodeError {
        let before = &text[..self.at.min(text.len())];
        let line_start = before
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |at| at + 1);
        let path: String = self.path.iter().rev().map(String::as_str).collect();
        EncodeError {
            line: 1 + before.iter().filter(|byte| **byte == b'\n').count(),
            column: 1 + String::from_utf8_lossy(&before[line_start..])
                .chars()
                .count(),
            path: path.strip_prefix('.').unwrap_or(&path).to_owned(),
            cause: self.cause,
        }
    }
}

/// Reads one JSON text from front to back.
#[derive(Debug, Clone)]
pub(crate) struct JsonReader<'j> {
    text: &'j str,
    at: usize,
    depth: usize,
    depth_max: usize,
}

impl<'j> JsonReader<'j> {
    /// Starts at the front; refuses what is too large or not UTF-8.
    pub(crate) fn new(json: &'j [u8], limits: &Limits) -> Outcome<JsonReader<'j>> {
        if json.len() > limits.json_bytes {
            return Err(fault(
                0,
                EncodeCause::Limit {
                    what: "bytes of JSON",
                    limit: limits.json_bytes,
                },
            ));
        }
        let text = std::str::from_utf8(json)
            .map_err(|error| fault(error.valid_up_to(), EncodeCause::Utf8))?;
        Ok(JsonReader {
            text,
            at: 0,
            depth: 0,
            depth_max: limits.json_depth,
        })
    }

    /// Where the next token starts.
    pub(crate) fn at(&mut self) -> usize {
        self.peek();
        self.at
    }

    /// The first byte of the next token; 0 at the end.
    #[inline]
    pub(crate) fn peek(&mut self) -> u8 {
        let bytes = self.text.as_bytes();
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = bytes.get(self.at) {
            self.at += 1;
        }
        bytes.get(self.at).copied().unwrap_or(0)
    }

    #[cold]
    pub(crate) fn syntax(&mut self, expected: &'static str) -> Box<Fault> {
        fault(self.at(), EncodeCause::Syntax { expected })
    }

    /// A fault of type at the next token.
    #[cold]
    pub(crate) fn mistyped(&mut self, expected: impl Into<String>) -> Box<Fault> {
        let found = match self.peek() {
            b'{' => "an object",
            b'[' => "a list",
            b'"' => "a string",
            b't' | b'f' => "a truth value",
            b'n' => "null",
            b'-' | b'0'..=b'9' => "a number",
            0 => "the end",
            _ => return self.syntax("a value"),
        };
        fault(
            self.at,
            EncodeCause::Type {
                expected: expected.into(),
                found,
            },
        )
    }

    /// Nothing but whitespace may follow.
    pub(crate) fn end(&mut self) -> Outcome<()> {
        match self.peek() {
            0 if self.at == self.text.len() => Ok(()),
            _ => Err(self.syntax("the end of the text")),
        }
    }

    fn enter(&mut self) -> Outcome<()> {
        if self.depth == self.depth_max {
            return Err(fault(
                self.at,
                EncodeCause::Limit {
                    what: "nested lists and objects",
                    limit: self.depth_max,
                },
            ));
        }
        self.at += 1;
        self.depth += 1;
        Ok(())
    }

    fn leave(&mut self) {
        self.at += 1;
        self.depth -= 1;
    }

    /// Opens an object, which must be next.
    pub(crate) fn begin_object(&mut self, expected: &str) -> Outcome<()> {
        match self.peek() {
            b'{' => self.enter(),
            _ => Err(self.mistyped(expected)),
        }
    }

    /// The next key and where it stands; `None` after the last, when the object is closed.
    pub(crate) fn next_key(&mut self, first: &mut bool) -> Outcome<Option<(Cow<'j, str>, usize)>> {
        match (self.peek(), *first) {
            (b'}', _) => {
                self.leave();
                return Ok(None);
            }
            (_, true) => {}
            (b',', false) => self.at += 1,
            _ => return Err(self.syntax("a comma or the end of the object")),
        }
        *first = false;
        if self.peek() != b'"' {
            return Err(self.syntax("a key in quotes"));
        }
        let at = self.at;
        let key = self.string()?;
        if self.peek() != b':' {
            return Err(self.syntax("a colon"));
        }
        self.at += 1;
        Ok(Some((key, at)))
    }

    /// Opens a list, which must be next.
    pub(crate) fn begin_list(&mut self, expected: &str) -> Outcome<()> {
        match self.peek() {
            b'[' => self.enter(),
            _ => Err(self.mistyped(expected)),
        }
    }

    /// Whether another element follows; the list is closed when not.
    pub(crate) fn next_element(&mut self, first: &mut bool) -> Outcome<bool> {
        match (self.peek(), *first) {
            (b']', _) if *first => {
                self.leave();
                return Ok(false);
            }
            (b']', false) => {
                self.leave();
                return Ok(false);
            }
            (_, true) => {}
            (b',', false) => {
                self.at += 1;
                if self.peek() == b']' {
                    return Err(self.syntax("a value"));
                }
            }
            _ => return Err(self.syntax("a comma or the end of the list")),
        }
        *first = false;
        Ok(true)
    }

    /// A string, which must be next; borrowed when it has no escapes.
    pub(crate) fn string(&mut self) -> Outcome<Cow<'j, str>> {
        if self.peek() != b'"' {
            return Err(self.mistyped("a string"));
        }
        let start = self.at + 1;
        let bytes = self.text.as_bytes();
        let mut at = start;
        loop {
            match bytes.get(at) {
                Some(b'"') => {
                    self.at = at + 1;
                    return Ok(Cow::Borrowed(&self.text[start..at]));
                }
                Some(b'\\') => break,
                Some(0..0x20) => {
                    return Err(fault(
                        at,
                        EncodeCause::Syntax {
                            expected: "control characters escaped",
                        },
                    ));
                }
                Some(_) => at += 1,
                None => {
                    return Err(fault(
                        at,
                        EncodeCause::Syntax {
                            expected: "a closing quote",
                        },
                    ));
                }
            }
        }
        self.escaped(start, at)
    }

    /// The rest of a string with escapes, the first of them at `at`.
    fn escaped(&mut self, start: usize, mut at: usize) -> Outcome<Cow<'j, str>> {
        let bytes = self.text.as_bytes();
        let mut value = String::from(&self.text[start..at]);
        loop {
            let from = at;
            while !matches!(bytes.get(at), None | Some(b'"' | b'\\' | 0..0x20)) {
                at += 1;
            }
            value.push_str(&self.text[from..at]);
            match bytes.get(at) {
                Some(b'"') => {
                    self.at = at + 1;
                    return Ok(Cow::Owned(value));
                }
                Some(b'\\') => {
                    let (letter, len) = self.escape(at)?;
                    value.push(letter);
                    at += len;
                }
                Some(_) => {
                    return Err(fault(
                        at,
                        EncodeCause::Syntax {
                            expected: "control characters escaped",
                        },
                    ));
                }
                None => {
                    return Err(fault(
                        at,
                        EncodeCause::Syntax {
                            expected: "a closing quote",
                        },
                    ));
                }
            }
        }
    }

    /// The character an escape stands for, and the escape's length.
    fn escape(&self, at: usize) -> Outcome<(char, usize)> {
        let wrong = |expected| fault(at, EncodeCause::Syntax { expected });
        let letter = match self.text.as_bytes().get(at + 1) {
            Some(b'u') => {
                let high = self
                    .unit(at + 2)
                    .ok_or_else(|| wrong("four hexadecimal digits"))?;
                if let Some(letter) = char::from_u32(high) {
                    return Ok((letter, 6));
                }
                let low = match self.text.as_bytes().get(at + 6..at + 8) {
                    Some(b"\\u") => self.unit(at + 8),
                    _ => None,
                };
                return match (high, low) {
                    (0xd800..0xdc00, Some(low @ 0xdc00..0xe000)) => {
                        let code = 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
                        char::from_u32(code)
                            .map(|letter| (letter, 12))
                            .ok_or_else(|| wrong("a character"))
                    }
                    _ => Err(wrong("both halves of a surrogate pair")),
                };
            }
            Some(b'n') => '\n',
            Some(b't') => '\t',
            Some(b'r') => '\r',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(&byte @ (b'"' | b'\\' | b'/')) => char::from(byte),
            _ => return Err(wrong("one of the escapes JSON has")),
        };
        Ok((letter, 2))
    }

    fn unit(&self, at: usize) -> Option<u32> {
        let digits = self.text.as_bytes().get(at..at + 4)?;
        digits.iter().try_fold(0, |value, digit| {
            Some(value << 4 | char::from(*digit).to_digit(16)?)
        })
    }

    /// A number, which must be next, as text.
    pub(crate) fn number(&mut self) -> Outcome<&'j str> {
        self.peek();
        match number_len(&self.text.as_bytes()[self.at..]) {
            0 => Err(self.mistyped("a number")),
            len => {
                let number = &self.text[self.at..self.at + len];
                self.at += len;
                match self.text.as_bytes().get(self.at) {
                    Some(
                        b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-' | b'a'..=b'z' | b'A'..=b'Z',
                    ) => Err(self.syntax("a number JSON has")),
                    _ => Ok(number),
                }
            }
        }
    }

    /// Takes a word such as `null` if it is next.
    pub(crate) fn word(&mut self, word: &str) -> bool {
        self.peek();
        let taken = self.text[self.at..].starts_with(word);
        if taken {
            self.at += word.len();
        }
        taken
    }

    /// Reads any value and forgets it.
    pub(crate) fn skip(&mut self) -> Outcome<()> {
        match self.peek() {
            b'{' => {
                self.enter()?;
                let mut first = true;
                while self.next_key(&mut first)?.is_some() {
                    self.skip()?;
                }
                Ok(())
            }
            b'[' => {
                self.enter()?;
                let mut first = true;
                while self.next_element(&mut first)? {
                    self.skip()?;
                }
                Ok(())
            }
            b'"' => self.string().map(drop),
            b'-' | b'0'..=b'9' => self.number().map(drop),
            _ if self.word("null") || self.word("true") || self.word("false") => Ok(()),
            _ => Err(self.syntax("a value")),
        }
    }
}

/// How many bytes at the front are a number as JSON writes them; 0 when there is none.
pub(crate) fn number_len(text: &[u8]) -> usize {
    let digits = |from: usize| {
        text[from..]
            .iter()
            .take_while(|byte| byte.is_ascii_digit())
            .count()
    };
    let mut at = usize::from(text.first() == Some(&b'-'));
    match text.get(at) {
        Some(b'0') => at += 1,
        Some(b'1'..=b'9') => at += digits(at),
        _ => return 0,
    }
    if text.get(at) == Some(&b'.') {
        match digits(at + 1) {
            0 => return 0,
            count => at += 1 + count,
        }
    }
    if let Some(b'e' | b'E') = text.get(at) {
        let sign = usize::from(matches!(text.get(at + 1), Some(b'+' | b'-')));
        match digits((at + 1 + sign).min(text.len())) {
            0 => return 0,
            count => at += 1 + sign + count,
        }
    }
    at
}

/// An exponent without its sign; one too large to read is as good as any other large one.
fn exponent_value(digits: &str) -> Option<i64> {
    let fits = !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit());
    fits.then(|| digits.parse().unwrap_or(i64::MAX / 2))
}

/// The exact integer a JSON number stands for; `None` when it has a fraction or more than 65 bits.
pub(crate) fn integer(text: &str) -> Option<i128> {
    let (negative, text) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (mantissa, exponent) = match text.find(['e', 'E']) {
        Some(at) => {
            let (sign, digits) = match text.as_bytes().get(at + 1) {
                Some(b'-') => (-1, &text[at + 2..]),
                Some(b'+') => (1, &text[at + 2..]),
                _ => (1, &text[at + 1..]),
            };
            (&text[..at], sign * exponent_value(digits)?)
        }
        None => (text, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let mut value: i128 = 0;
    // Places after the last digit taken that is not zero.
    let mut zeros: i64 = 0;
    for digit in whole.bytes().chain(fraction.bytes()) {
        zeros += 1;
        let digit = digit.checked_sub(b'0').filter(|digit| *digit < 10)?;
        if digit != 0 {
            for _ in 0..if value == 0 { 1 } else { zeros } {
                value = value.checked_mul(10)?;
            }
            value = value.checked_add(i128::from(digit))?;
            zeros = 0;
        }
    }
    if value == 0 {
        return Some(0);
    }
    let shift = exponent
        .checked_add(zeros)?
        .checked_sub(fraction.len() as i64)?;
    let shift = u32::try_from(shift).ok().filter(|shift| *shift < 39)?;
    let value = value.checked_mul(10i128.checked_pow(shift)?)?;
    (value <= i128::from(u64::MAX)).then_some(if negative { -value } else { value })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_exact() {
        #[track_caller]
        fn check(text: &str, expected: Option<i128>) {
            assert_eq!(number_len(text.as_bytes()), text.len(), "{text}");
            assert_eq!(integer(text), expected, "{text}");
        }
        check("0", Some(0));
        check("-0", Some(0));
        check("0.000", Some(0));
        check("0e999999999999999999999", Some(0));
        check("18446744073709551615", Some(i128::from(u64::MAX)));
        check("18446744073709551616", None);
        check("-9223372036854775808", Some(i128::from(i64::MIN)));
        check("9007199254740993", Some(9_007_199_254_740_993));
        check("1e3", Some(1000));
        check("1.0", Some(1));
        check("1.50e1", Some(15));
        check("1.5", None);
        check("1.55e1", None);
        check("100e-2", Some(1));
        check("1000000000000000000000000000000000000000000e-42", Some(1));
        check("120e-2", None);
        check("1e400", None);
        check("1e-400", None);
        check("1E+2", Some(100));
        check("10203", Some(10203));
        check("1e99999999999999999999999999", None);
        check(
            "123456789012345678901234567890123456789012345678901234567890",
            None,
        );
    }

    #[test]
    fn numbers_as_json_has_them() {
        for text in ["", "-", "+1", ".5", "1.", "1e", "1e+", "x", "-x", "NaN"] {
            assert_eq!(number_len(text.as_bytes()), 0, "{text}");
        }
        for (text, len) in [("01", 1), ("1 ", 1), ("1.5,", 3), ("-1e-5]", 5)] {
            assert_eq!(number_len(text.as_bytes()), len, "{text}");
        }
    }

    #[test]
    fn skips_values_and_refuses_others() {
        #[track_caller]
        fn check(text: &str, expected: Result<(), (usize, usize)>) {
            let limits = Limits::default();
            let read = JsonReader::new(text.as_bytes(), &limits).and_then(|mut reader| {
                reader.skip()?;
                reader.end()
            });
            let placed = read.map_err(|fault| fault.place(text.as_bytes()));
            assert_eq!(
                placed.map_err(|error| (error.line, error.column)),
                expected,
                "{text}"
            );
        }
        check(
            r#" {"a": [1, -2.5e3, "x\n\u00e9\ud83d\ude00", true, false, null, {}, []]} "#,
            Ok(()),
        );
        check("[1,]", Err((1, 4)));
        check("[,1]", Err((1, 2)));
        check("{\"a\":1,}", Err((1, 8)));
        check("{,}", Err((1, 2)));
        check("{a:1}", Err((1, 2)));
        check("{\"é\"\n\n  1}", Err((3, 3)));
        check("[1 2]", Err((1, 4)));
        check("01", Err((1, 2)));
        check("1a", Err((1, 2)));
        check("nul", Err((1, 1)));
        check("nullx", Err((1, 5)));
        check("\"\\ud800\"", Err((1, 2)));
        check("\"\\ud800\\u0041\"", Err((1, 2)));
        check("\"\\u00g0\"", Err((1, 2)));
        check("\"\\x\"", Err((1, 2)));
        check("\"\t\"", Err((1, 2)));
        check("\"a", Err((1, 3)));
        check("", Err((1, 1)));
        check("1\0", Err((1, 2)));
        check(&("[".repeat(100) + &"]".repeat(100)), Ok(()));
        check(&("[".repeat(101) + &"]".repeat(101)), Err((1, 101)));
        check(&"[".repeat(1_000_000), Err((1, 101)));
    }
}
