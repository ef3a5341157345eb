//! The text form of a field path.

use crate::error::PathError;

/// One step of a field path.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Segment {
    /// A field by its JSON or `.proto` name; an extension in brackets, `[pkg.ext]`.
    Field(String),
    /// An element of a repeated field, from 0, or an integer key of a map.
    Index(i64),
    /// A key of a map, as text; numbers and `true`/`false` are read as the map's key type.
    Key(String),
}

/// Parses `team.members[0].id`, `labels["x"]`, `flags[true]` and `[pkg.ext].id`.
pub(crate) fn parse(path: &str) -> Result<Vec<Segment>, PathError> {
    let mut parser = Parser { path, at: 0 };
    let mut segments = Vec::new();
    loop {
        let rest = parser.rest();
        if rest.is_empty() && !segments.is_empty() {
            return Ok(segments);
        }
        if rest.starts_with('[') && !segments.is_empty() && !parser.after_dot() {
            segments.push(parser.bracket()?);
        } else {
            if !segments.is_empty() && !parser.after_dot() {
                parser.expect(".", "a point, a bracket or the end")?;
            }
            segments.push(parser.field()?);
        }
        if parser.rest().starts_with('.') {
            parser.at += 1;
            if parser.rest().is_empty() {
                return Err(parser.error("a field name"));
            }
        }
    }
}

struct Parser<'p> {
    path: &'p str,
    at: usize,
}

impl<'p> Parser<'p> {
    fn rest(&self) -> &'p str {
        self.path.get(self.at..).unwrap_or_default()
    }

    fn after_dot(&self) -> bool {
        self.path.as_bytes().get(self.at.wrapping_sub(1)) == Some(&b'.')
    }

    fn error(&self, expected: &'static str) -> PathError {
        let before = self.path.get(..self.at).unwrap_or_default();
        PathError::Syntax {
            at: before.chars().count(),
            expected,
        }
    }

    fn expect(&mut self, text: &str, expected: &'static str) -> Result<(), PathError> {
        if !self.rest().starts_with(text) {
            return Err(self.error(expected));
        }
        self.at += text.len();
        Ok(())
    }

    /// A name, or the bracketed full name of an extension.
    fn field(&mut self) -> Result<Segment, PathError> {
        let rest = self.rest();
        let len = if rest.starts_with('[') {
            match rest.find(']') {
                Some(end) => end + 1,
                None => return Err(self.error("the closing bracket of an extension")),
            }
        } else {
            rest.find(|c: char| !c.is_alphanumeric() && !"_@-$".contains(c))
                .unwrap_or(rest.len())
        };
        if len == 0 {
            return Err(self.error("a field name"));
        }
        self.at += len;
        Ok(Segment::Field(rest[..len].to_owned()))
    }

    /// `[0]`, `["key"]` or `[true]`.
    fn bracket(&mut self) -> Result<Segment, PathError> {
        self.expect("[", "a bracket")?;
        let segment = if self.rest().starts_with(['"', '\'']) {
            self.quoted()?
        } else {
            let rest = self.rest();
            let len = rest.find(']').unwrap_or(rest.len());
            let word = &rest[..len];
            let segment = match word.parse() {
                Ok(index) if !word.starts_with('+') => Segment::Index(index),
                _ if matches!(word, "true" | "false") || word.parse::<u64>().is_ok() => {
                    Segment::Key(word.to_owned())
                }
                _ => return Err(self.error("an index or a quoted key")),
            };
            self.at += len;
            segment
        };
        self.expect("]", "a closing bracket")?;
        Ok(segment)
    }

    /// A key in double or single quotes; a backslash takes the next character as it is.
    fn quoted(&mut self) -> Result<Segment, PathError> {
        let mut letters = self.rest().char_indices();
        let Some((_, quote)) = letters.next() else {
            return Err(self.error("a quote"));
        };
        let mut key = String::new();
        while let Some((at, letter)) = letters.next() {
            if letter == quote {
                self.at += at + 1;
                return Ok(Segment::Key(key));
            }
            match letter {
                '\\' => key.extend(letters.next().map(|(_, escaped)| escaped)),
                _ => key.push(letter),
            }
        }
        Err(self.error("a key with its closing quote"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths() {
        fn field(name: &str) -> Segment {
            Segment::Field(name.to_owned())
        }
        fn key(name: &str) -> Segment {
            Segment::Key(name.to_owned())
        }
        #[track_caller]
        fn check(path: &str, expected: Result<&[Segment], usize>) {
            let parsed = parse(path);
            match (&parsed, expected) {
                (Ok(segments), Ok(expected)) => assert_eq!(segments, expected),
                (Err(PathError::Syntax { at, .. }), Err(expected)) => {
                    assert_eq!(*at, expected, "{path}")
                }
                _ => panic!("{path}: {parsed:?}, expected {expected:?}"),
            }
        }
        check("id", Ok(&[field("id")]));
        check(
            "team.members[0].id",
            Ok(&[
                field("team"),
                field("members"),
                Segment::Index(0),
                field("id"),
            ]),
        );
        check("labels[\"x\"]", Ok(&[field("labels"), key("x")]));
        check(
            "labels['it\\'s'].n",
            Ok(&[field("labels"), key("it's"), field("n")]),
        );
        check("flags[true]", Ok(&[field("flags"), key("true")]));
        check("m[-5]", Ok(&[field("m"), Segment::Index(-5)]));
        check(
            "m[18446744073709551615]",
            Ok(&[field("m"), key("18446744073709551615")]),
        );
        check("[pkg.ext].id", Ok(&[field("[pkg.ext]"), field("id")]));
        check(
            "a.[pkg.ext][1]",
            Ok(&[field("a"), field("[pkg.ext]"), Segment::Index(1)]),
        );
        check("", Err(0));
        check(".a", Err(0));
        check("a.", Err(2));
        check("a..b", Err(2));
        check("a[", Err(2));
        check("a[x]", Err(2));
        check("a[0", Err(3));
        check("a[0]b", Err(4));
        check("é[\"x]", Err(2));
        check("a b", Err(1));
    }
}
