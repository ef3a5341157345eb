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

/// Classify a word in lower case.
#[inline]
pub(super) fn word(text: &[u8]) -> Word {
    if text.len() > 9 || text.len() < 2 {
        return Word::Name;
    }
    match text {
        b"select" => Word::Select,
        b"union" => Word::Union,
        b"all" | b"distinct" => Word::All,
        b"or" => Word::Or,
        b"in" => Word::In,
        b"field" => Word::Field,
        b"values" | b"value" => Word::Values,
        b"row" => Word::Row,
        b"case" => Word::Case,
        b"when" => Word::When,
        b"then" => Word::Then,
        b"else" => Word::Else,
        b"end" => Word::End,
        b"limit" => Word::Limit,
        b"offset" => Word::Offset,
        b"null" => Word::Null,
        b"true" | b"false" => Word::Boolean,
        b"is" => Word::Is,
        b"not" => Word::Not,
        b"savepoint" => Word::Savepoint,
        b"date" | b"time" | b"timestamp" => Word::Typed,
        b"from" | b"join" | b"into" | b"update" | b"table" => Word::From,
        b"to" => Word::To,
        b"where" | b"on" | b"having" | b"group" | b"order" | b"set" | b"left" | b"inner"
        | b"right" | b"cross" | b"for" | b"lock" | b"window" | b"returning" | b"using"
        | b"except" | b"intersect" | b"procedure" => Word::Clause,
        b"and" | b"between" | b"like" | b"div" | b"mod" | b"xor" | b"by" | b"return" | b"rlike"
        | b"regexp" | b"do" | b"call" | b"interval" | b"kill" | b"query" | b"escape"
        | b"default" | b"binary" | b"as" | b"exists" => Word::Expression,
        _ => Word::Name,
    }
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
