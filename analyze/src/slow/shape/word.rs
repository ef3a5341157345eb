//! What words mean to a shape.

use super::Verb;

/// What a keyword does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Word {
    /// A name, or a keyword that does nothing here.
    Name,
    /// An expression follows, so a sign behind it is no operator.
    Expression,
    /// A clause, and behind it the name of a table.
    From,
    /// `rollback to NAME`.
    To,
    /// Begins a clause: what is joined by OR ends, an expression may follow.
    Clause,
    Select,
    Union,
    All,
    Or,
    In,
    Field,
    Values,
    Row,
    Case,
    When,
    Then,
    Else,
    End,
    Limit,
    Offset,
    Null,
    Boolean,
    Is,
    Not,
    Savepoint,
    /// A type whose name may stand before a literal: DATE '2026-11-20'.
    Typed,
}

/// Up to eight bytes as a number.
const fn pack(text: &[u8]) -> u64 {
    let mut packed = 0;
    let mut at = 0;
    while at < text.len() {
        packed |= (text[at] as u64) << (8 * at);
        at += 1;
    }
    packed
}

macro_rules! keywords {
    ($($name:ident = $text:literal => $word:ident,)+) => {
        $(const $name: u64 = pack($text);)+

        /// Classify a word of up to eight letters: packed, in lower case.
        #[inline]
        fn short_word(packed: u64) -> Word {
            match packed {
                $($name => Word::$word,)+
                _ => Word::Name,
            }
        }
    };
}

keywords! {
    SELECT = b"select" => Select,
    UNION = b"union" => Union,
    ALL = b"all" => All,
    DISTINCT = b"distinct" => All,
    OR = b"or" => Or,
    IN = b"in" => In,
    FIELD = b"field" => Field,
    VALUES = b"values" => Values,
    VALUE = b"value" => Values,
    ROW = b"row" => Row,
    CASE = b"case" => Case,
    WHEN = b"when" => When,
    THEN = b"then" => Then,
    ELSE = b"else" => Else,
    END = b"end" => End,
    LIMIT = b"limit" => Limit,
    OFFSET = b"offset" => Offset,
    NULL = b"null" => Null,
    TRUE = b"true" => Boolean,
    FALSE = b"false" => Boolean,
    IS = b"is" => Is,
    NOT = b"not" => Not,
    DATE = b"date" => Typed,
    TIME = b"time" => Typed,
    FROM = b"from" => From,
    JOIN = b"join" => From,
    INTO = b"into" => From,
    UPDATE = b"update" => From,
    TABLE = b"table" => From,
    TO = b"to" => To,
    WHERE = b"where" => Clause,
    ON = b"on" => Clause,
    HAVING = b"having" => Clause,
    GROUP = b"group" => Clause,
    ORDER = b"order" => Clause,
    SET = b"set" => Clause,
    LEFT = b"left" => Clause,
    INNER = b"inner" => Clause,
    RIGHT = b"right" => Clause,
    CROSS = b"cross" => Clause,
    FOR = b"for" => Clause,
    LOCK = b"lock" => Clause,
    WINDOW = b"window" => Clause,
    USING = b"using" => Clause,
    EXCEPT = b"except" => Clause,
    AND = b"and" => Expression,
    BETWEEN = b"between" => Expression,
    LIKE = b"like" => Expression,
    DIV = b"div" => Expression,
    MOD = b"mod" => Expression,
    XOR = b"xor" => Expression,
    BY = b"by" => Expression,
    RETURN = b"return" => Expression,
    RLIKE = b"rlike" => Expression,
    REGEXP = b"regexp" => Expression,
    DO = b"do" => Expression,
    CALL = b"call" => Expression,
    INTERVAL = b"interval" => Expression,
    KILL = b"kill" => Expression,
    QUERY = b"query" => Expression,
    ESCAPE = b"escape" => Expression,
    DEFAULT = b"default" => Expression,
    BINARY = b"binary" => Expression,
    AS = b"as" => Expression,
    EXISTS = b"exists" => Expression,
}

/// Classify a word, whose first eight bytes are `packed` in lower case.
#[inline]
pub(super) fn word(packed: u64, text: &[u8]) -> Word {
    match text.len() {
        2..=8 => short_word(packed),
        9 => long_word(text),
        _ => Word::Name,
    }
}

fn long_word(text: &[u8]) -> Word {
    let is = |word: &[u8]| text.eq_ignore_ascii_case(word);
    if is(b"savepoint") {
        Word::Savepoint
    } else if is(b"timestamp") {
        Word::Typed
    } else if is(b"returning") || is(b"procedure") || is(b"intersect") {
        Word::Clause
    } else {
        Word::Name
    }
}

/// Up to eight bytes of a text, from `at` to `end`, as a number; ASCII letters in lower case.
#[inline]
pub(super) fn lower(text: &[u8], at: usize, end: usize) -> u64 {
    let size = end - at;
    let packed = match text.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
        Some(bytes) if size < 8 => u64::from_le_bytes(*bytes) & ((1 << (8 * size)) - 1),
        Some(bytes) => u64::from_le_bytes(*bytes),
        None => pack(&text[at..end]),
    };
    // All eight bytes at once: the upper bit of each says whether it is a letter from A to Z.
    const EACH: u64 = 0x0101_0101_0101_0101;
    let low = packed & (0x7f * EACH);
    let from_a = low + (0x80 - b'A' as u64) * EACH;
    let above_z = low + (0x7f - b'Z' as u64) * EACH;
    let upper = from_a & !above_z & !packed & (0x80 * EACH);
    packed | upper >> 2
}

/// What a statement does that begins with this word (in lower case), and whether a later word may tell
/// more (`WITH ... UPDATE`).
pub(super) fn verb(text: &[u8]) -> (Verb, bool) {
    match text {
        b"select" | b"table" | b"values" | b"show" | b"explain" | b"desc" | b"describe" => {
            (Verb::Read, false)
        }
        b"with" => (Verb::Read, true),
        b"insert" | b"replace" | b"update" | b"delete" | b"load" | b"call" => (Verb::Write, false),
        b"begin" | b"start" | b"commit" | b"rollback" | b"savepoint" | b"release" | b"xa" => {
            (Verb::Transaction, false)
        }
        b"create" | b"alter" | b"drop" | b"rename" | b"truncate" => (Verb::Schema, false),
        // MariaDB: ANALYZE SELECT, SET STATEMENT ... FOR SELECT.
        b"analyze" | b"set" => (Verb::Other, true),
        _ => (Verb::Other, false),
    }
}
