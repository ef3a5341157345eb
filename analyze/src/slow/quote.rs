//! Where literals and comments end: the part of SQL's lexical grammar that framing and shapes share.

use memchr::{memchr, memchr2, memmem};

/// Whether a byte may be part of an unquoted identifier.
#[inline]
pub(super) fn is_word(byte: u8) -> bool {
    WORD[usize::from(byte)]
}

/// Letters, digits, `_`, `$` and everything outside of ASCII.
pub(super) static WORD: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        let b = byte as u8;
        table[byte] = b.is_ascii_alphanumeric() || b == b'_' || b == b'$' || b >= 0x80;
        byte += 1;
    }
    table
};

/// Behind the quote that closes a literal or an identifier, whose text begins at `from`. A doubled
/// quote does not close; nor does one behind a backslash, if `escapes`.
#[inline]
pub(super) fn quoted_end(text: &[u8], from: usize, quote: u8, escapes: bool) -> Option<usize> {
    let mut at = from;
    // Most literals are short: a few bytes by hand are cheaper than a call.
    let near = text.len().min(from + 24);
    while at < near {
        let byte = text[at];
        if byte == quote {
            if text.get(at + 1) != Some(&quote) {
                return Some(at + 1);
            }
            at += 2;
        } else if byte == b'\\' && escapes {
            at += 2;
        } else {
            at += 1;
        }
    }
    loop {
        let rest = text.get(at..)?;
        let found = if escapes {
            memchr2(quote, b'\\', rest)?
        } else {
            memchr(quote, rest)?
        };
        at += found;
        if text[at] == quote && text.get(at + 1) != Some(&quote) {
            return Some(at + 1);
        }
        at += 2;
    }
}

/// Behind the `*/` that closes a comment, whose text begins at `from`.
#[inline]
pub(super) fn comment_end(text: &[u8], from: usize) -> Option<usize> {
    let rest = text.get(from..)?;
    memmem::find(rest, b"*/").map(|found| from + found + 2)
}

/// Whether a comment that goes to the end of the line begins at `at`: `#`, or `--` and white space.
#[inline]
pub(super) fn is_line_comment(text: &[u8], at: usize) -> bool {
    match text[at] {
        b'#' => true,
        b'-' => {
            text.get(at + 1) == Some(&b'-') && text.get(at + 2).is_none_or(|byte| *byte <= b' ')
        }
        _ => false,
    }
}

/// The next line break at or behind `from`, or the end.
#[inline]
pub(super) fn line_end(text: &[u8], from: usize) -> usize {
    let rest = text.get(from..).unwrap_or_default();
    memchr(b'\n', rest).map_or(text.len(), |found| from + found)
}

/// What a position lies in, in the lexical grammar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Inside {
    /// Nothing: between tokens.
    Nothing,
    /// A comment to the end of the line, which ended just here.
    LineComment,
    /// A literal, an identifier or a comment that is still open. It is closed by this byte (a quote,
    /// or `*` for a comment).
    Open(u8),
}

/// Behind the literal, identifier or comment that `closer` closes, whose text begins at `from`.
pub(super) fn open_end(text: &[u8], from: usize, closer: u8) -> Option<usize> {
    match closer {
        b'*' => comment_end(text, from),
        quote => quoted_end(text, from, quote, quote != b'`'),
    }
}

/// One step of a walk over quotes and comments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// Something that `closer` closes begins here; its text begins at `text`.
    Opens { at: usize, text: usize, closer: u8 },
    /// A comment to the end of the line begins here.
    Line { at: usize },
    /// A line ends here, outside of everything.
    Break { at: usize },
    /// Nothing up to the end.
    End,
}

/// The next thing at or behind `from` (which lies outside of literals and comments) that matters for
/// framing.
pub(super) fn next_step(text: &[u8], from: usize) -> Step {
    let mut at = from;
    while let Some(&byte) = text.get(at) {
        if STOP[usize::from(byte)] {
            match byte {
                b'\'' | b'"' | b'`' => {
                    return Step::Opens {
                        at,
                        text: at + 1,
                        closer: byte,
                    };
                }
                b'/' if text.get(at + 1) == Some(&b'*') => {
                    // The text of a version comment or a hint is SQL: only its brackets are skipped.
                    if opens_code(text, at) {
                        at += 2;
                    } else {
                        return Step::Opens {
                            at,
                            text: at + 2,
                            closer: b'*',
                        };
                    }
                }
                b'\n' => return Step::Break { at },
                b'#' | b'-' if is_line_comment(text, at) => return Step::Line { at },
                _ => {}
            }
        }
        at += 1;
    }
    Step::End
}

static STOP: [bool; 256] = {
    let mut table = [false; 256];
    let stops = b"'\"`/\n#-";
    let mut index = 0;
    while index < stops.len() {
        table[stops[index] as usize] = true;
        index += 1;
    }
    table
};

/// Whether the comment at `at` holds code: `/*! ... */`, `/*M! ... */`, `/*+ ... */`.
#[inline]
pub(super) fn opens_code(text: &[u8], at: usize) -> bool {
    match text.get(at + 2) {
        Some(b'!' | b'+') => true,
        Some(b'M') => text.get(at + 3) == Some(&b'!'),
        _ => false,
    }
}

/// What the position `to` lies in, when `from` lies outside of everything. The second part is where
/// the text of what is open begins.
pub(super) fn inside(text: &[u8], from: usize, to: usize) -> (Inside, usize) {
    let mut at = from;
    loop {
        match next_step(&text[..to], at) {
            Step::End => return (Inside::Nothing, to),
            Step::Break { at: end } => at = end + 1,
            Step::Line { at: begin } => {
                let end = line_end(text, begin);
                if end + 1 >= to {
                    return (Inside::LineComment, to);
                }
                at = end + 1;
            }
            Step::Opens {
                text: begin,
                closer,
                ..
            } => match open_end(text, begin, closer) {
                Some(end) if end <= to => at = end,
                _ => return (Inside::Open(closer), begin),
            },
        }
    }
}
