//! Statements that were seen before but for their literals.
//!
//! An application sends the same few texts with other literals, millions of times. What is left of a
//! statement without its plain literals, its *skeleton*, is found in a fraction of the time that reading it
//! takes. A skeleton tells more apart than a shape does: statements of one skeleton are of one shape, as
//! only such literals are left out whose value no rule looks at. Whatever is not plain (comments,
//! backslashes, double quotes) has no skeleton and is read as ever.

use super::super::quote::{is_word, quoted_end};
use super::Shape;
use crate::hash::hash;

/// Longer statements are read.
const LONGEST: usize = 4 << 10;

/// Skeletons that are remembered: a power of two.
const PLACES: usize = 256;

/// The shapes of skeletons.
#[derive(Debug, Default)]
pub(super) struct Memo {
    places: Vec<Option<(u64, Shape)>>,
    skeleton: Vec<u8>,
}

/// Where a statement's shape is kept.
#[derive(Debug, Clone, Copy)]
pub(super) struct Key(u64);

impl Memo {
    /// The key of a statement, if it has a skeleton.
    #[inline]
    pub(super) fn key(&mut self, statement: &[u8]) -> Option<Key> {
        if statement.len() > LONGEST || !write(statement, &mut self.skeleton) {
            return None;
        }
        Some(Key(hash(&self.skeleton)))
    }

    /// The shape that was kept.
    #[inline]
    pub(super) fn get(&self, key: Key) -> Option<Shape> {
        let place = self.places.get(key.0 as usize % PLACES)?;
        place.filter(|(known, _)| *known == key.0).map(|it| it.1)
    }

    /// Keep a shape, in the place of another one.
    pub(super) fn keep(&mut self, key: Key, shape: Shape) {
        if self.places.is_empty() {
            self.places.resize(PLACES, None);
        }
        self.places[key.0 as usize % PLACES] = Some((key.0, shape));
    }
}

/// What is done at a byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Act {
    /// It stays.
    Keep,
    Digit,
    Quote,
    Backtick,
    /// It may begin a comment.
    Comment,
    /// There is no skeleton.
    Refuse,
}

static ACT: [Act; 256] = {
    let mut table = [Act::Keep; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = match byte as u8 {
            b'0'..=b'9' => Act::Digit,
            b'\'' => Act::Quote,
            b'`' => Act::Backtick,
            b'-' | b'/' => Act::Comment,
            b'#' | b'"' | b'\\' => Act::Refuse,
            _ => Act::Keep,
        };
        byte += 1;
    }
    table
};

/// Write the skeleton of `text`. Returns whether it has one.
#[inline]
fn write(text: &[u8], skeleton: &mut Vec<u8>) -> bool {
    skeleton.clear();
    let (mut kept, mut at) = (0, 0);
    while at < text.len() {
        match ACT[usize::from(text[at])] {
            Act::Keep => at += 1,
            Act::Refuse => return false,
            Act::Comment => {
                if matches!(text.get(at..at + 2), Some(b"--" | b"/*")) {
                    return false;
                }
                at += 1;
            }
            Act::Digit => {
                let end = digits_end(text, at);
                if is_plain_number(text, at, end) {
                    skeleton.extend_from_slice(&text[kept..at]);
                    skeleton.push(b'0');
                    kept = end;
                }
                at = end;
            }
            Act::Quote => {
                let Some(end) = quoted_end(text, at + 1, b'\'', true) else {
                    return false;
                };
                if end > text.len() || memchr::memchr(b'\\', &text[at..end]).is_some() {
                    return false;
                }
                skeleton.extend_from_slice(&text[kept..at]);
                skeleton.extend_from_slice(b"''");
                kept = end;
                at = end;
            }
            Act::Backtick => {
                let Some(end) = quoted_end(text, at + 1, b'`', false) else {
                    return false;
                };
                at = end;
            }
        }
    }
    skeleton.extend_from_slice(&text[kept..]);
    true
}

#[inline]
fn digits_end(text: &[u8], at: usize) -> usize {
    let mut end = at + 1;
    while end < text.len() && text[end].is_ascii_digit() {
        end += 1;
    }
    end
}

/// Whether digits are a whole number by themselves: no part of a name, a decimal, or a variable.
#[inline]
fn is_plain_number(text: &[u8], at: usize, end: usize) -> bool {
    let is_part = |byte: u8| is_word(byte) || matches!(byte, b'.' | b'@');
    let behind = text.get(end).copied();
    if behind.is_some_and(is_part) {
        return false;
    }
    // A name goes on behind a dot, whatever white space there is.
    let mut before = text[..at].iter().rev();
    match before.next() {
        Some(byte) if *byte <= b' ' => {
            let byte = before.find(|byte| **byte > b' ');
            byte.is_none_or(|byte| !matches!(byte, b'.' | b'@'))
        }
        byte => byte.is_none_or(|byte| !is_part(*byte)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{Shaper, render};
    use super::*;

    fn skeleton(text: &str) -> Option<String> {
        let mut skeleton = Vec::new();
        write(text.as_bytes(), &mut skeleton)
            .then(|| String::from_utf8_lossy(&skeleton).into_owned())
    }

    #[test]
    fn plain_literals_are_left_out() {
        let check = |text: &str, expected: Option<&str>| {
            assert_eq!(skeleton(text).as_deref(), expected, "{text}");
        };
        check(
            "SELECT * FROM t WHERE id = 4711",
            Some("SELECT * FROM t WHERE id = 0"),
        );
        check("a = 'it''s' AND b = ''", Some("a = '' AND b = ''"));
        check(
            "FROM jobs_2025 t1 WHERE x=5",
            Some("FROM jobs_2025 t1 WHERE x=0"),
        );
        check(
            "a = 0x1F, 1.5, .5, 5e3, @1",
            Some("a = 0x1F, 1.5, .5, 5e3, @1"),
        );
        check("`a'1` = 1", Some("`a'1` = 0"));
        check("5 - 3 / 2", Some("0 - 0 / 0"));
        for refused in [
            "a -- b",
            "a /* b */",
            "a # b",
            "\"a\"",
            "'a\\'b'",
            "'a",
            "`a",
            "\\N",
        ] {
            check(refused, None);
        }
    }

    fn pieces() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            prop::sample::select(vec![
                "select ",
                "from t",
                "where ",
                " in ",
                "(",
                ")",
                ", ",
                " = ",
                "-",
                "+",
                "/",
                "*",
                ".",
                "`b 1`",
                "''",
                "x",
                "n",
                "_utf8mb4",
                "date ",
                "null ",
                "is ",
                " limit ",
                " or ",
                " union ",
                "values ",
                "case when ",
                " then ",
                "end",
                "@",
                "interval ",
                ";",
                " ",
                "e",
                "0x",
                "true ",
            ])
            .prop_map(str::to_owned),
            "[0-9]{1,4}",
            "'[a-z0-9 ]{0,5}'",
        ];
        prop::collection::vec(piece, 0..14).prop_map(|pieces| pieces.concat())
    }

    /// Give the literals of a statement other values.
    fn changed(text: &str) -> String {
        let mut out = String::new();
        let mut is_quoted = false;
        for letter in text.chars() {
            is_quoted ^= letter == '\'';
            out.push(match letter {
                '0'..='8' => (letter as u8 + 1) as char,
                '9' => '1',
                'a'..='z' if is_quoted => 'q',
                letter => letter,
            });
        }
        out
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4_000))]
        #[test]
        fn one_skeleton_is_one_shape(text in pieces()) {
            let other = changed(&text);
            if let (Some(one), Some(two)) = (skeleton(&text), skeleton(&other))
                && one == two
            {
                prop_assert_eq!(render(text.as_bytes()), render(other.as_bytes()));
                // Read by way of the memo, and by itself.
                let mut shaper = Shaper::default();
                shaper.shape(text.as_bytes());
                let (seen, fresh) = (shaper.shape(other.as_bytes()), Shaper::default().shape(other.as_bytes()));
                prop_assert_eq!(seen.hash, fresh.hash);
                prop_assert_eq!((seen.verb, seen.end), (fresh.verb, fresh.end));
            }
        }
    }
}
