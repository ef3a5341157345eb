//! pt-query-digest's own fingerprints and ids, so that old notes and dashboards still match.
//!
//! The rules are those of pt-query-digest 3.2.1, its faults included (`a-1` becomes `a?`): they were
//! learnt from what it does, and the tests hold ours against the real program. Texts are bytes to it.

use std::borrow::Cow;
use std::sync::LazyLock;

use md5::{Digest, Md5};
use memchr::{memchr, memmem};
use regex::bytes::Regex;

use super::limits::PT_UNION_TRIES;

/// The fingerprint that pt-query-digest 3.2.1 gives a statement. What is no UTF-8 is replaced here, but
/// not for [`id_of`].
pub fn fingerprint(statement: &[u8]) -> String {
    String::from_utf8_lossy(&fingerprint_bytes(statement)).into_owned()
}

/// pt-query-digest 3.2.1's id of a fingerprint: its MD5, 32 digits in upper case.
pub fn id(fingerprint: &str) -> String {
    id_of_bytes(fingerprint.as_bytes())
}

/// pt-query-digest 3.2.1's id of a statement.
pub fn id_of(statement: &[u8]) -> String {
    id_of_bytes(&fingerprint_bytes(statement))
}

fn id_of_bytes(fingerprint: &[u8]) -> String {
    Md5::digest(fingerprint)
        .iter()
        .map(|byte| format!("{byte:02X}"))
        .collect()
}

/// Equal for equal fingerprints.
pub(super) fn hash(statement: &[u8]) -> u64 {
    crate::hash::hash(&fingerprint_bytes(statement))
}

struct Rules {
    toolkit: Regex,
    call: Regex,
    insert: Regex,
    comment: Regex,
    boolean: Regex,
    number: Regex,
    sign: Regex,
    null: Regex,
    list: Regex,
    limit: Regex,
    order_by: Regex,
    ascending: Regex,
}

static RULES: LazyLock<Option<Rules>> = LazyLock::new(Rules::new);

impl Rules {
    /// None never happens: the expressions are constant, and the tests use every one.
    fn new() -> Option<Self> {
        let rule = |text: &str| Regex::new(&format!("(?-u){text}")).ok();
        Some(Self {
            toolkit: rule(r"/\*\w+\.\w+:[0-9]/[0-9]\*/")?,
            call: rule(r"(?i)\A\s*(call\s+\S+)\(")?,
            insert: rule(
                r"(?is)\A((?:INSERT|REPLACE)(?: IGNORE)?\s+INTO.+?VALUES\s*\(.*?\))\s*,\s*\(",
            )?,
            comment: rule(r"(?s)/\*[^!].*?\*/")?,
            boolean: rule(r"(?i)\b(?:false|true)\b")?,
            number: rule(r"[0-9+-][0-9a-f.xb+-]*")?,
            sign: rule(r"[xb.+-]\?")?,
            null: rule(r"\bnull\b")?,
            list: rule(r"\b(in|values?)(?:[\s,]*\([\s?,]*\))+")?,
            limit: rule(r"\blimit \?(?:, ?\?| offset \?)?")?,
            order_by: rule(r"\border by ")?,
            ascending: rule(r"\s+asc")?,
        })
    }
}

/// The fingerprint as bytes.
fn fingerprint_bytes(statement: &[u8]) -> Vec<u8> {
    let Some(rules) = RULES.as_ref() else {
        return Vec::new();
    };
    // The log's `# administrator command: Ping`; pt-query-digest takes the `# ` away.
    let statement = match statement.strip_prefix(b"# ") {
        Some(command) if command.starts_with(b"administrator command:") => command,
        _ => statement,
    };
    if let Some(special) = special(rules, statement) {
        return special;
    }
    let one_row = match rules.insert.captures(statement) {
        Some(found) => found.get(1).map_or(statement, |row| row.as_bytes()),
        None => statement,
    };
    let text = without_line_comments(&rules.comment.replace_all(one_row, b"".as_slice()));
    if let Some(text) = use_statement(&text) {
        return text;
    }
    let text = folded_space(&without_literals(rules, &text));
    let text = rules.null.replace_all(&text, b"?".as_slice());
    let text = rules.list.replace_all(&text, b"$1(?+)".as_slice());
    let text = folded_unions(&text);
    let text = rules.limit.replacen(&text, 1, b"limit ?".as_slice());
    without_ascending(rules, &text)
}

/// Statements of known programs, administrator commands and calls.
fn special(rules: &Rules, statement: &[u8]) -> Option<Vec<u8>> {
    if statement.starts_with(b"SELECT /*!40001 SQL_NO_CACHE */ * FROM `") {
        return Some(b"mysqldump".to_vec());
    }
    if rules.toolkit.is_match(statement) {
        return Some(b"percona-toolkit".to_vec());
    }
    if statement.starts_with(b"administrator command: ") {
        return Some(statement.to_vec());
    }
    let call = rules.call.captures(statement)?.get(1)?;
    Some(call.as_bytes().to_ascii_lowercase())
}

/// Drop `-- ...` and `# ...` where no quote follows in the line.
fn without_line_comments(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let (mut at, mut stop) = (0, 0);
    while at < text.len() {
        let mark = match text[at] {
            b'#' => 1,
            b'-' if text.get(at + 1) == Some(&b'-') => 2,
            _ => 0,
        };
        if mark > 0 {
            let begin = at + mark;
            if stop < begin {
                stop = text[begin..]
                    .iter()
                    .position(|byte| matches!(byte, b'\'' | b'"' | b'\r' | b'\n'))
                    .map_or(text.len(), |found| begin + found);
            }
            if text
                .get(stop)
                .is_none_or(|byte| matches!(byte, b'\r' | b'\n'))
            {
                at = stop;
                continue;
            }
        }
        out.push(text[at]);
        at += 1;
    }
    out
}

/// `use db` as a whole; a line break may follow.
fn use_statement(text: &[u8]) -> Option<Vec<u8>> {
    let (start, name) = text.split_at_checked(4)?;
    let (name, end) = match name.strip_suffix(b"\n") {
        Some(name) => (name, b"\n".as_slice()),
        None => (name, b"".as_slice()),
    };
    let is_use = start.eq_ignore_ascii_case(b"use ")
        && !name.is_empty()
        && !name.iter().any(|byte| is_space(*byte));
    is_use.then(|| [b"use ?", end].concat())
}

/// White space as Perl's `\s` has it.
fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r')
}

/// Literals to question marks, in the order that decides what wins where they overlap.
fn without_literals(rules: &Rules, text: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(text.len());
    let mut bytes = text.iter().peekable();
    while let Some(byte) = bytes.next() {
        if *byte != b'\\' || bytes.next_if(|next| matches!(next, b'"' | b'\'')).is_none() {
            plain.push(*byte);
        }
    }
    let text = without_quoted(&without_quoted(&plain, b'"'), b'\'');
    let text = rules.boolean.replace_all(&text, b"?".as_slice());
    let text = rules.number.replace_all(&text, b"?".as_slice());
    rules.sign.replace_all(&text, b"?".as_slice()).into_owned()
}

/// What stands between pairs of `quote` to a question mark.
fn without_quoted(text: &[u8], quote: u8) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(open) = memchr(quote, rest) {
        let Some(size) = memchr(quote, &rest[open + 1..]) else {
            break;
        };
        out.extend_from_slice(&rest[..open]);
        out.push(b'?');
        rest = &rest[open + size + 2..];
    }
    out.extend_from_slice(rest);
    out
}

/// No white space at the begin, one line break less at the end, runs of white space as one space, and
/// lower case.
fn folded_space(text: &[u8]) -> Vec<u8> {
    let start = text.iter().take_while(|byte| is_space(**byte)).count();
    let text = &text[start..];
    let text = text.strip_suffix(b"\n").unwrap_or(text);
    let mut out = Vec::with_capacity(text.len());
    let mut is_run = false;
    for byte in text {
        let is_blank = matches!(byte, b' ' | b'\n' | b'\t' | b'\r' | b'\x0c');
        if !is_blank {
            out.push(byte.to_ascii_lowercase());
        } else if !is_run {
            out.push(b' ');
        }
        is_run = is_blank;
    }
    out
}

/// `select X union [all] select X ...` to `select X /*repeat union*/`.
fn folded_unions(text: &[u8]) -> Cow<'_, [u8]> {
    let mut out = Vec::new();
    let (mut done, mut at, mut tries) = (0, 0, 0);
    let unions: Vec<usize> = memmem::find_iter(text, b"union")
        .filter(|found| *found > 0 && is_space(text[found - 1]))
        .map(|found| found - 1)
        .collect();
    while let Some(found) = memmem::find(&text[at..], b"select") {
        let start = at + found;
        at = start + 6;
        let is_word = start > 0 && is_word(text[start - 1]);
        if is_word || !text.get(at).copied().is_some_and(is_space) {
            continue;
        }
        let first = unions.partition_point(|union| *union < start + 7);
        for union in &unions[first..] {
            tries += 1;
            if text[start..*union].contains(&b'\n') || tries > PT_UNION_TRIES {
                break;
            }
            let Some((end, kind)) = repeats(text, &text[start..*union], *union) else {
                continue;
            };
            out.extend_from_slice(&text[done..*union]);
            out.extend_from_slice(b" /*repeat");
            out.extend_from_slice(kind);
            out.extend_from_slice(b"*/");
            (done, at) = (end, end);
            break;
        }
    }
    if done == 0 {
        return Cow::Borrowed(text);
    }
    out.extend_from_slice(&text[done..]);
    Cow::Owned(out)
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// ` union select`s at `at` that repeat `select`: where they end, and the last one's ` union [all]`.
fn repeats<'a>(text: &'a [u8], select: &[u8], at: usize) -> Option<(usize, &'a [u8])> {
    let mut found = None;
    let mut at = at;
    loop {
        let rest = &text[at..];
        if rest.len() < 6 || !is_space(rest[0]) || &rest[1..6] != b"union" {
            return found;
        }
        let has_all = rest.get(6).copied().is_some_and(is_space) && rest[7..].starts_with(b"all");
        let size = if has_all { 10 } else { 6 };
        let is_same =
            rest.get(size).copied().is_some_and(is_space) && rest[size + 1..].starts_with(select);
        if !is_same {
            return found;
        }
        found = Some((at + size + 1 + select.len(), &rest[..size]));
        at += size + 1 + select.len();
    }
}

/// Drop ` asc` behind the first ORDER BY.
fn without_ascending(rules: &Rules, text: &[u8]) -> Vec<u8> {
    let Some(clause) = rules.order_by.find(text) else {
        return text.to_vec();
    };
    let mut out = text[..clause.end()].to_vec();
    let mut at = clause.end();
    // One byte at least stands before each one.
    while let Some(found) = text
        .get(at + 1..)
        .and_then(|rest| rules.ascending.find(rest))
    {
        let (start, end) = (at + 1 + found.start(), at + 1 + found.end());
        if memchr(b'\n', &text[at..start]).is_some() {
            break;
        }
        out.extend_from_slice(&text[at..start]);
        at = end;
    }
    out.extend_from_slice(&text[at..]);
    out
}
