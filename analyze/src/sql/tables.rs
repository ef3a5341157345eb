//! Which tables a statement reads and which it writes.
//!
//! The statement is read token by token and not by a grammar: a grammar refuses what it does not
//! know (hints, a vendor's syntax, a statement that is cut), and the tables are where they always are,
//! behind FROM, JOIN, INTO and UPDATE.

#[cfg(test)]
mod tests;

use rustc_hash::FxHashSet;
use serde::{Deserialize, Serialize};

use super::limits::{DEPTH, TABLES};
use super::token::{Token, tokens};

/// The tables of a statement, each once, in the order in which they appear: `table` or `db.table`,
/// without quotes, as it was written.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tables {
    /// What is read.
    pub read: Vec<String>,
    /// What is written (or made, altered, dropped). A table can be in both.
    pub written: Vec<String>,
}

impl Tables {
    /// All of them, each once.
    pub fn all(&self) -> impl Iterator<Item = &str> {
        let read = self.read.iter().filter(|it| !self.written.contains(it));
        self.written.iter().chain(read).map(String::as_str)
    }
}

/// Find the tables of a statement, whole or cut. Names of common table expressions are none.
pub fn tables(statement: &[u8]) -> Tables {
    let tokens = tokens(statement);
    let mut reader = Reader {
        tokens: &tokens,
        at: 0,
        ctes: FxHashSet::default(),
        found: Vec::new(),
        targets: Vec::new(),
        frames: vec![Frame::default()],
        verb: Verb::Other,
    };
    reader.begin();
    reader.read();
    reader.result()
}

/// What the statement does with what is named first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verb {
    /// Nothing: all tables are read.
    Other,
    /// Writes the tables named by `Use::Target`.
    Writes,
    /// Writes those of `targets`, or the only one.
    Update,
    /// The same.
    Delete,
}

/// What a name stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Use {
    /// Read, unless it is one of an UPDATE's or DELETE's targets.
    Source,
    /// Written.
    Target,
}

/// A table that was named.
#[derive(Debug)]
struct Found {
    name: String,
    alias: Option<String>,
    used: Use,
    /// Whether it is in the outermost FROM, which UPDATE and DELETE take their targets from.
    is_outer: bool,
}

/// A level of parentheses.
#[derive(Debug, Default, Clone, Copy)]
struct Frame {
    /// SELECT, UPDATE or DELETE was seen in it: FROM is its clause, and not a function's.
    is_query: bool,
    /// Between FROM and WHERE: a comma or JOIN is followed by a table.
    in_from: bool,
    /// The next name is a table.
    expects: bool,
    /// Common table expressions are listed: a comma is followed by a name.
    in_with: bool,
    /// Between SET and WHERE of an UPDATE.
    in_set: bool,
}

struct Reader<'a> {
    tokens: &'a [Token<'a>],
    at: usize,
    ctes: FxHashSet<String>,
    found: Vec<Found>,
    /// Names or aliases that UPDATE sets and DELETE lists.
    targets: Vec<String>,
    frames: Vec<Frame>,
    verb: Verb,
}

/// What ends a list of tables.
const CLAUSES: &[&str] = &[
    "where",
    "group",
    "having",
    "order",
    "limit",
    "window",
    "union",
    "except",
    "intersect",
    "minus",
    "for",
    "into",
    "values",
    "procedure",
    "lock",
    "returning",
    "fetch",
    "offset",
];
/// What stands behind a table's name and is no alias.
const NO_ALIAS: &[&str] = &[
    "where",
    "group",
    "having",
    "order",
    "limit",
    "window",
    "union",
    "except",
    "intersect",
    "for",
    "into",
    "values",
    "value",
    "procedure",
    "lock",
    "returning",
    "on",
    "using",
    "join",
    "inner",
    "left",
    "right",
    "cross",
    "natural",
    "straight_join",
    "set",
    "use",
    "force",
    "ignore",
    "partition",
    "select",
    "with",
    "read",
    "write",
    "full",
    "outer",
    "as",
    "add",
    "drop",
    "modify",
    "change",
    "rename",
    "to",
    "engine",
    "like",
    "fetch",
    "offset",
    "minus",
    "tablesample",
];

impl<'a> Reader<'a> {
    fn peek(&self) -> Option<&'a Token<'a>> {
        self.tokens.get(self.at)
    }

    fn is(&self, word: &str) -> bool {
        self.peek().is_some_and(|token| token.is(word))
    }

    fn is_sign(&self, sign: u8) -> bool {
        self.peek() == Some(&Token::Sign(sign))
    }

    fn skip(&mut self, words: &[&str]) {
        while self.peek().is_some_and(|token| token.is_any(words)) {
            self.at += 1;
        }
    }

    /// Whether a word of `words` is here. It is taken.
    fn take(&mut self, words: &[&str]) -> bool {
        let is_here = self.peek().is_some_and(|token| token.is_any(words));
        self.at += usize::from(is_here);
        is_here
    }

    fn frame(&mut self) -> Option<&mut Frame> {
        self.frames.last_mut()
    }

    /// `name` or `db.name`.
    fn name(&mut self) -> Option<String> {
        let mut name = self.peek()?.name()?;
        self.at += 1;
        while self.is_sign(b'.') {
            let Some(part) = self.tokens.get(self.at + 1).and_then(Token::name) else {
                // `t.*`
                break;
            };
            name = format!("{name}.{part}");
            self.at += 2;
        }
        Some(name)
    }

    /// What the first words say.
    fn begin(&mut self) {
        while self.is_sign(b'(') {
            self.at += 1;
            self.frames.push(Frame::default());
            if self.frames.len() > DEPTH {
                return;
            }
        }
        if self
            .peek()
            .is_some_and(|it| it.is_any(&["explain", "describe", "desc", "analyze"]))
        {
            let is_table = |at: usize| {
                let next = self.tokens.get(at);
                next.is_some_and(|it| it.is_any(&["table", "local", "no_write_to_binlog"]))
            };
            if !is_table(self.at + 1) {
                let verbs = [
                    "select", "insert", "replace", "update", "delete", "with", "table",
                ];
                let is_verb =
                    |token: &&Token<'_>| token.is_any(&verbs) || **token == Token::Sign(b'(');
                let behind = self.tokens.iter().skip(self.at).take(8);
                self.at += behind.take_while(|token| !is_verb(token)).count();
            }
        }
        if self.take(&["insert", "replace"]) {
            self.verb = Verb::Writes;
            self.skip(&["low_priority", "high_priority", "delayed", "ignore", "into"]);
            self.target();
        } else if self.is("update") || self.is("delete") {
            self.verb_here();
        } else if self.take(&["truncate"]) {
            self.verb = Verb::Writes;
            self.skip(&["table"]);
            self.target();
        } else if self.take(&["load"]) {
            self.verb = Verb::Writes;
            if let Some(found) = self.tokens.iter().position(|token| token.is("table")) {
                self.at = found + 1;
                self.target();
            }
            self.at = self.tokens.len();
        } else if self.is("table") {
            self.at += 1;
            self.expect();
        } else {
            self.schema();
        }
    }

    /// UPDATE or DELETE, at the begin or behind WITH.
    fn verb_here(&mut self) {
        let is_update = self.is("update");
        self.at += 1;
        self.skip(&["low_priority", "quick", "ignore"]);
        if let Some(frame) = self.frame() {
            frame.is_query = true;
            frame.in_with = false;
        }
        if is_update {
            self.verb = Verb::Update;
            self.expect();
            return;
        }
        self.verb = Verb::Delete;
        // DELETE a, b.* FROM ...
        while !self.is("from") {
            let Some(name) = self.name() else { break };
            self.add_target(name);
            while self.is_sign(b'.') || self.is_sign(b'*') || self.is_sign(b',') {
                self.at += 1;
            }
        }
    }

    /// CREATE, ALTER, DROP, RENAME, OPTIMIZE, LOCK and the like.
    fn schema(&mut self) {
        let verbs = [
            "create", "alter", "drop", "rename", "optimize", "analyze", "check", "repair", "lock",
            "checksum",
        ];
        if !self.peek().is_some_and(|token| token.is_any(&verbs)) {
            return;
        }
        self.verb = Verb::Writes;
        let words = self.tokens.iter().skip(self.at).take(12);
        let is_index = words.clone().any(|token| token.is_any(&["index", "key"]))
            && !words
                .clone()
                .any(|token| token.is_any(&["table", "tables"]));
        let before: &[&str] = if is_index {
            &["on"]
        } else {
            &["table", "tables"]
        };
        let Some(found) = words.clone().position(|token| token.is_any(before)) else {
            // Users, views, triggers, ...
            self.at = self.tokens.len();
            return;
        };
        self.at += found + 1;
        loop {
            self.skip(&["if", "not", "exists"]);
            self.target();
            if self.take(&["to", "like"]) {
                self.target();
            }
            self.skip(&["as", "read", "write", "local", "low_priority"]);
            if !self.is_sign(b',') {
                break;
            }
            self.at += 1;
        }
        // What an ALTER says behind the name is no table; a CREATE may hold a SELECT.
    }

    /// A name that is written.
    fn target(&mut self) {
        if let Some(name) = self.name() {
            self.add(name, None, Use::Target);
        }
    }

    fn expect(&mut self) {
        if let Some(frame) = self.frame() {
            frame.in_from = true;
            frame.in_set = false;
            frame.expects = true;
        }
    }

    fn add(&mut self, name: String, alias: Option<String>, used: Use) {
        let is_outer = self.frames.len() == 1;
        if self.found.len() < TABLES {
            self.found.push(Found {
                name,
                alias,
                used,
                is_outer,
            });
        }
    }

    fn add_target(&mut self, name: String) {
        if self.targets.len() < TABLES && !self.targets.contains(&name) {
            self.targets.push(name);
        }
    }

    fn read(&mut self) {
        while let Some(token) = self.peek() {
            let Some(frame) = self.frames.last().copied() else {
                return;
            };
            if frame.expects && self.table() {
                continue;
            }
            self.at += 1;
            match token {
                Token::Sign(b'(') => {
                    if self.frames.len() >= DEPTH {
                        return;
                    }
                    let is_from = frame.expects;
                    self.frames.push(Frame {
                        in_from: is_from,
                        expects: frame.expects,
                        ..Frame::default()
                    });
                    if is_from && let Some(outer) = self.frames.iter_mut().rev().nth(1) {
                        outer.expects = false;
                    }
                }
                Token::Sign(b')') if self.frames.len() > 1 => {
                    self.frames.pop();
                }
                Token::Sign(b',') => self.comma(frame),
                // Another statement, or the end.
                Token::Sign(b';') => return,
                Token::Word(_) => self.word(token, frame),
                _ => {}
            }
        }
    }

    fn comma(&mut self, frame: Frame) {
        if frame.in_from
            && !self
                .peek()
                .is_some_and(|it| it.is_any(&["use", "force", "ignore"]))
        {
            self.expect();
        } else if frame.in_with {
            self.cte();
        } else if frame.in_set {
            self.assignment();
        }
    }

    fn word(&mut self, token: &Token<'_>, frame: Frame) {
        let before = self.at.checked_sub(2).and_then(|at| self.tokens.get(at));
        if before == Some(&Token::Sign(b'.')) {
            // A column that is called like a keyword.
            return;
        }
        if token.is("select") {
            if let Some(frame) = self.frame() {
                *frame = Frame {
                    is_query: true,
                    ..Frame::default()
                };
            }
        } else if token.is("with") && !frame.is_query {
            self.skip(&["recursive"]);
            if let Some(frame) = self.frame() {
                frame.in_with = true;
            }
            self.cte();
        } else if token.is("from") {
            // `IS DISTINCT FROM` compares.
            if frame.is_query && !before.is_some_and(|it| it.is("distinct")) {
                self.expect();
            }
        } else if token.is_any(&["join", "straight_join"]) {
            if frame.in_from {
                self.expect();
            }
        } else if token.is("using") {
            // DELETE FROM a, b USING ...
            if self.verb == Verb::Delete && self.frames.len() == 1 && !self.is_sign(b'(') {
                for listed in std::mem::take(&mut self.found) {
                    self.add_target(listed.name);
                }
                self.expect();
            }
        } else if token.is("set") && frame.in_from && self.verb == Verb::Update {
            if let Some(frame) = self.frame() {
                frame.in_from = false;
                frame.in_set = true;
            }
            self.assignment();
        } else if token.is_any(&["update", "delete"]) && frame.in_with {
            self.at -= 1;
            self.verb_here();
        } else if token.is("table") && before.is_none_or(|it| *it == Token::Sign(b'(')) {
            self.expect();
        } else if token.is_any(CLAUSES)
            && let Some(frame) = self.frame()
        {
            frame.in_from = false;
            frame.in_set = false;
        }
    }

    /// The name of a common table expression.
    fn cte(&mut self) {
        if let Some(name) = self.peek().and_then(Token::name) {
            self.at += 1;
            self.ctes.insert(name.to_lowercase());
        }
    }

    /// `alias.column =` of an UPDATE's SET.
    fn assignment(&mut self) {
        let start = self.at;
        if let Some(name) = self.name()
            && let Some((table, _)) = name.rsplit_once('.')
        {
            self.add_target(table.to_owned());
        }
        self.at = start;
    }

    /// A table where one is expected. False if what is here is to be read as everything else.
    fn table(&mut self) -> bool {
        if self.is_sign(b'{') {
            // ODBC's `{ OJ a LEFT OUTER JOIN b ... }`
            self.at += 2;
            return true;
        }
        if self.take(&["lateral", "only"]) {
            return true;
        }
        let is_query = |token: &Token<'_>| token.is_any(&["select", "with", "values", "table"]);
        if self.is_sign(b'(') || self.peek().is_some_and(is_query) {
            if !self.is_sign(b'(')
                && let Some(frame) = self.frame()
            {
                frame.expects = false;
                frame.in_from = false;
            }
            return false;
        }
        if let Some(frame) = self.frame() {
            frame.expects = false;
        }
        let Some(name) = self.name() else {
            return false;
        };
        if self.is_sign(b'(') {
            // JSON_TABLE(...) and other functions.
            return true;
        }
        if self.take(&["partition"]) && self.is_sign(b'(') {
            let rest = self.tokens.iter().skip(self.at);
            self.at += rest
                .take_while(|token| **token != Token::Sign(b')'))
                .count()
                + 1;
        }
        self.skip(&["as"]);
        let alias = match self.peek() {
            Some(token) if !token.is_any(NO_ALIAS) => token.name(),
            _ => None,
        };
        self.at += usize::from(alias.is_some());
        if !name.eq_ignore_ascii_case("dual") && !self.ctes.contains(&name.to_lowercase()) {
            self.add(name, alias, Use::Source);
        }
        true
    }

    fn result(self) -> Tables {
        let mut result = Tables::default();
        // Those that UPDATE and DELETE can write.
        let outer = |found: &Found| found.is_outer && found.used == Use::Source;
        let candidates = self.found.iter().filter(|found| outer(found)).count();
        let is_target = |found: &Found| {
            let is_called = |target: &String| {
                let alias = found.alias.as_ref().unwrap_or(&found.name);
                let last = alias.rsplit('.').next().unwrap_or(alias);
                target.eq_ignore_ascii_case(alias)
                    || target.eq_ignore_ascii_case(last)
                    || target.eq_ignore_ascii_case(&found.name)
            };
            candidates == 1 || self.targets.iter().any(is_called)
        };
        // Columns without a table's name: it is not known which one, so the first is taken.
        let mut first = match self.verb {
            Verb::Update | Verb::Delete => !self
                .found
                .iter()
                .any(|found| outer(found) && is_target(found)),
            _ => false,
        };
        for found in &self.found {
            let is_written = match self.verb {
                Verb::Update | Verb::Delete if outer(found) => {
                    is_target(found) || std::mem::take(&mut first)
                }
                _ => found.used == Use::Target,
            };
            let list = match is_written {
                true => &mut result.written,
                false => &mut result.read,
            };
            if !list.contains(&found.name) {
                list.push(found.name.clone());
            }
        }
        result
    }
}
