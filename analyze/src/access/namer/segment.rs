//! One segment of a path: is it a word of the program, or an id?
//!
//! What is said here depends on nothing but the segment. A word stays, letter for letter; what no
//! programmer would write into a route (digits, hashes, random tokens, dates, foreign text) becomes a
//! parameter, and in a segment of several pieces (`user-123.json`) each piece is looked at by itself.

use crate::access::escape::hex_pair;
use crate::access::limits::SEGMENT_BYTES;

/// `0-9`.
const DIGIT: u8 = 1;
/// `a-f`.
const LOWER_HEX: u8 = 2;
/// `g-z`.
const LOWER: u8 = 4;
/// `A-F`.
const UPPER_HEX: u8 = 8;
/// `G-Z`.
const UPPER: u8 = 16;
/// `-`, `_`, `.`: what parts the pieces of a segment.
const PART: u8 = 32;
/// Other characters that a path may hold as they are.
const MARK: u8 = 64;
/// Everything else: `%`, control bytes, text that is not ASCII.
const TEXT: u8 = 128;

const ANY_LOWER: u8 = LOWER_HEX | LOWER;
const ANY_UPPER: u8 = UPPER_HEX | UPPER;
const LETTER: u8 = ANY_LOWER | ANY_UPPER;

const CLASS: [u8; 256] = classes();

const fn classes() -> [u8; 256] {
    let mut table = [TEXT; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = match byte as u8 {
            b'0'..=b'9' => DIGIT,
            b'a'..=b'f' => LOWER_HEX,
            b'g'..=b'z' => LOWER,
            b'A'..=b'F' => UPPER_HEX,
            b'G'..=b'Z' => UPPER,
            b'-' | b'_' | b'.' => PART,
            b'~' | b'@' | b':' | b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b','
            | b';' | b'=' => MARK,
            _ => TEXT,
        };
        byte += 1;
    }
    table
}

#[inline(always)]
fn class(byte: u8) -> u8 {
    CLASS[byte as usize]
}

fn mask(text: &[u8]) -> u8 {
    text.iter().fold(0, |mask, byte| mask | class(*byte))
}

/// The segment that begins `path`, up to a slash, and what classes its bytes are of.
#[inline(always)]
pub(super) fn next(path: &[u8]) -> (&[u8], u8) {
    let mut mask = 0;
    for (at, byte) in path.iter().enumerate() {
        if *byte == b'/' {
            return (&path[..at], mask);
        }
        mask |= class(*byte);
    }
    (path, mask)
}

/// Append what stands for the segment.
pub(super) fn push(segment: &[u8], out: &mut Vec<u8>) {
    push_masked(segment, mask(segment), out);
}

/// The same when the classes of its bytes are known.
#[inline(always)]
pub(super) fn push_masked(segment: &[u8], mask: u8, out: &mut Vec<u8>) {
    if is_word(segment, mask) {
        out.extend_from_slice(segment);
    } else if mask == DIGIT {
        out.extend_from_slice(b":id");
    } else {
        push_other(segment, mask, out);
    }
}

/// Whether the segment stays as it is at first sight.
#[inline(always)]
pub(super) fn is_word(segment: &[u8], mask: u8) -> bool {
    mask & (DIGIT | MARK | TEXT) == 0 && segment.len() < LONG_WORD && !segment.is_empty()
}

/// From this length on a segment of letters alone may be a token.
const LONG_WORD: usize = 20;

#[inline(never)]
fn push_other(segment: &[u8], mask: u8, out: &mut Vec<u8>) {
    if mask & TEXT != 0 {
        return push_text(segment, out);
    }
    if mask & MARK != 0 {
        // Parameters of a segment: `;jsessionid=...`.
        if let Some(end) = memchr::memchr(b';', segment) {
            return push(&segment[..end], out);
        }
        match segment {
            [b'@', name @ ..] if is_name(name) => return out.extend_from_slice(b"@:name"),
            [b'~', name @ ..] if is_name(name) => return out.extend_from_slice(b"~:name"),
            _ if is_email(segment) => return out.extend_from_slice(b":email"),
            _ => {}
        }
    }
    if is_version(segment) {
        return out.extend_from_slice(segment);
    }
    if is_date(segment) {
        return out.extend_from_slice(b":date");
    }
    if mask & LETTER == 0 && mask & DIGIT != 0 || is_uuid(segment) || is_token(segment) {
        return out.extend_from_slice(b":id");
    }
    if segment.len() > SEGMENT_BYTES {
        return out.extend_from_slice(b":text");
    }
    push_pieces(segment, out);
}

/// A segment with escapes or bytes that are not ASCII: `%7Euser`, or a title in Japanese.
fn push_text(segment: &[u8], out: &mut Vec<u8>) {
    let mut plain = [0; SEGMENT_BYTES];
    let (mut len, mut at) = (0, 0);
    while at < segment.len() && len < plain.len() {
        let mut byte = segment[at];
        let mut used = 1;
        if byte == b'%'
            && let Some([high, low]) = segment.get(at + 1..at + 3)
            && let Some(decoded) = hex_pair(*high, *low)
        {
            // `@` is reserved, but browsers differ in whether they escape it.
            if class(decoded) & (LETTER | DIGIT | PART) != 0 || matches!(decoded, b'~' | b'@') {
                byte = decoded;
            }
            used = 3;
        }
        if class(byte) == TEXT {
            break;
        }
        plain[len] = byte;
        len += 1;
        at += used;
    }
    if at == segment.len() {
        return push_other_plain(&plain[..len], out);
    }
    out.extend_from_slice(b":text");
    out.extend_from_slice(extension(segment));
}

/// A segment whose escapes have been undone.
fn push_other_plain(plain: &[u8], out: &mut Vec<u8>) {
    push_masked(plain, mask(plain), out);
}

/// `.jpg` of `photo.jpg`: the point and one to five letters and digits, not digits alone.
pub(crate) fn extension(segment: &[u8]) -> &[u8] {
    let Some(point) = memchr::memrchr(b'.', segment).filter(|at| *at > 0) else {
        return &[];
    };
    let end = &segment[point + 1..];
    let classes = mask(end);
    let ok = (1..=5).contains(&end.len()) && classes & !(LETTER | DIGIT) == 0 && classes != DIGIT;
    if ok { &segment[point..] } else { &[] }
}

/// Each piece by itself: `user-123`, `app.3f2a9c1b.js`, `123.jpg`.
fn push_pieces(segment: &[u8], out: &mut Vec<u8>) {
    let tail = extension(segment);
    let stem = &segment[..segment.len() - tail.len()];
    let classes = mask(stem);
    if !tail.is_empty()
        && (classes & LETTER == 0 && classes & DIGIT != 0 || is_uuid(stem) || is_token(stem))
    {
        let kind: &[u8] = if is_date(stem) { b":date" } else { b":id" };
        out.extend_from_slice(kind);
        out.extend_from_slice(tail);
        return;
    }
    let mut from = 0;
    for (at, byte) in stem.iter().enumerate() {
        if class(*byte) & (PART | MARK) != 0 {
            push_piece(&stem[from..at], at - from == stem.len(), out);
            out.push(*byte);
            from = at + 1;
        }
    }
    push_piece(&stem[from..], from == 0, out);
    out.extend_from_slice(tail);
}

/// Letters and digits between two separators.
fn push_piece(piece: &[u8], is_whole: bool, out: &mut Vec<u8>) {
    let letters = piece
        .iter()
        .take_while(|byte| class(**byte) & LETTER != 0)
        .count();
    let (word, number) = piece.split_at(letters);
    let numbered = !number.is_empty() && number.iter().all(u8::is_ascii_digit);
    if numbered && letters == 0 && number.len() >= 2 {
        out.extend_from_slice(b":id");
    } else if numbered && letters > 0 && number.len() >= 4 && (letters < 8 || !is_token(piece)) {
        // `c00452`; but `sha256`, `oauth2` and `s3` are words.
        out.extend_from_slice(word);
        out.extend_from_slice(b":id");
    } else if !is_whole && is_token(piece) {
        out.extend_from_slice(b":hash");
    } else {
        out.extend_from_slice(piece);
    }
}

/// `v1`, `v2.10`.
fn is_version(segment: &[u8]) -> bool {
    let [b'v' | b'V', digits @ ..] = segment else {
        return false;
    };
    digits.len() <= 8
        && digits.first().is_some_and(u8::is_ascii_digit)
        && digits
            .split(|byte| *byte == b'.')
            .all(|part| part.len() <= 3 && part.iter().all(u8::is_ascii_digit))
}

/// `2026-11-20`, `2026-11`, `2026_11_20`, and what begins so and goes on with a time of day.
fn is_date(segment: &[u8]) -> bool {
    let number = |from: usize, to: usize| {
        let digits = segment.get(from..to)?;
        digits.iter().try_fold(0_u32, |value, byte| {
            byte.is_ascii_digit()
                .then(|| value * 10 + u32::from(byte - b'0'))
        })
    };
    let (Some(1000..=2999), Some(1..=12)) = (number(0, 4), number(5, 7)) else {
        return false;
    };
    let separator = segment[4];
    if !matches!(separator, b'-' | b'_' | b'.') {
        return false;
    }
    match segment.get(7) {
        None => separator != b'.',
        Some(byte) if *byte == separator => {
            let ends = segment
                .get(10)
                .is_none_or(|byte| matches!(byte, b'T' | b'_' | b'+'));
            matches!(number(8, 10), Some(1..=31)) && ends
        }
        _ => false,
    }
}

fn is_uuid(segment: &[u8]) -> bool {
    segment.len() == 36
        && segment.iter().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => *byte == b'-',
            _ => class(*byte) & (DIGIT | LOWER_HEX | UPPER_HEX) != 0,
        })
}

fn is_name(name: &[u8]) -> bool {
    !name.is_empty() && mask(name) & !(LETTER | DIGIT | PART | MARK) == 0
}

fn is_email(segment: &[u8]) -> bool {
    match memchr::memchr(b'@', segment) {
        Some(at) => at > 0 && memchr::memchr(b'.', &segment[at..]).is_some(),
        None => false,
    }
}

/// Hexadecimal hashes and random tokens: letters and digits that change places more often than in
/// any word. Words change from small to capital letters, or from letters to digits, once or twice.
fn is_token(text: &[u8]) -> bool {
    if text.len() < 7 {
        return false;
    }
    let (mut classes, mut digits, mut letters, mut switches, mut last) = (0, 0, 0, 0_usize, 0);
    for byte in text {
        let kind = match class(*byte) {
            DIGIT => DIGIT,
            c if c & ANY_LOWER != 0 => ANY_LOWER,
            c if c & ANY_UPPER != 0 => ANY_UPPER,
            PART if *byte != b'.' => 0,
            _ => return false,
        };
        classes |= class(*byte);
        digits += usize::from(kind == DIGIT);
        letters += usize::from(kind & LETTER != 0);
        switches += usize::from(kind != last && kind != 0 && last != 0);
        last = kind;
    }
    let len = text.len();
    let one_case = classes & ANY_LOWER == 0 || classes & ANY_UPPER == 0;
    if classes & PART != 0 {
        // Base64 for URLs has few separators, slugs have many.
        return len >= 16 && digits > 0 && !one_case && 3 * switches >= len;
    }
    let hexadecimal = classes & (LOWER | UPPER) == 0 && one_case;
    if hexadecimal && digits > 0 && letters > 0 {
        return len >= 8 || len == 7 && switches >= 2;
    }
    match (digits, one_case) {
        (0, true) => false,
        (0, false) => len >= LONG_WORD && 3 * switches >= len,
        (_, false) => len >= 8 && 2 * switches >= len || len >= 16 && 3 * switches >= len,
        (1, true) => false,
        (_, true) => len >= 8 && switches >= 4.max(len / 4),
    }
}
