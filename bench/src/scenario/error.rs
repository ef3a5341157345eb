//! What is wrong with a scenario, and where.

use std::fmt;
use std::path::{Path, PathBuf};

use thiserror::Error;

/// A scenario that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ScenarioError {
    /// `scenario.toml` itself cannot be read.
    #[error("cannot read {}: {cause}", file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// What the system says.
        cause: String,
    },
    /// A file is wrong as a whole, or the message says where.
    #[error("{}: {message}", file.display())]
    File {
        /// The file or folder.
        file: PathBuf,
        /// What is wrong, and the remedy.
        message: String,
    },
    /// Something in a file is wrong.
    #[error("{}:{place}: {message}", file.display())]
    Invalid {
        /// The file.
        file: PathBuf,
        /// Where in it.
        place: Place,
        /// What is wrong, and the remedy.
        message: String,
    },
}

impl ScenarioError {
    /// A file or folder is wrong as a whole.
    pub fn new(file: &Path, message: impl Into<String>) -> Self {
        Self::File {
            file: file.to_owned(),
            message: message.into(),
        }
    }

    /// Something is wrong in `line` (from 1) of `file`.
    pub fn at_line(file: &Path, line: usize, message: impl Into<String>) -> Self {
        Self::Invalid {
            file: file.to_owned(),
            place: Place { line, column: None },
            message: message.into(),
        }
    }
}

/// A place in a text file, written `12` or `12:5`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1, where it is known.
    pub column: Option<usize>,
}

impl Place {
    /// The place of byte `offset` in `text`; an offset behind the end is the end.
    pub fn of(text: &str, offset: usize) -> Self {
        let mut offset = offset.min(text.len());
        while !text.is_char_boundary(offset) {
            offset -= 1;
        }
        let before = &text[..offset];
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        Self {
            line: before.bytes().filter(|byte| *byte == b'\n').count() + 1,
            column: Some(before[line_start..].chars().count() + 1),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.line)?;
        match self.column {
            Some(column) => write!(f, ":{column}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Place;

    #[test]
    fn places_count_lines_and_characters() {
        #[track_caller]
        fn check(text: &str, offset: usize, expected: &str) {
            assert_eq!(Place::of(text, offset).to_string(), expected);
        }
        check("", 0, "1:1");
        check("", 9, "1:1");
        check("a\nb", 1, "1:2");
        check("a\nb", 2, "2:1");
        check("a\n\n\nb", 4, "4:1");
        check("äö = 1", 4, "1:3");
        check("ä", 1, "1:1");
    }
}
