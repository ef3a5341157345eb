//! Which indexes would help a statement, by its text and what is known of the tables.
//!
//! For each table: the columns that equal something first, then those that rows are looked up by from
//! another table, then either one column between bounds or the columns of ORDER BY or GROUP BY. That is
//! how a B-tree is read (<https://use-the-index-luke.com> explains it well). It is a candidate: whether the
//! optimizer takes it only a plan says.

mod choose;
mod schema;
mod scope;

#[cfg(test)]
mod tests;

use std::fmt;

use serde::{Deserialize, Serialize};
use sqlparser::ast::{
    Delete, Expr, FromTable, GroupByExpr, LimitClause, OrderByExpr, OrderByKind, Query, Select,
    SelectItem, SetExpr, Statement, TableFactor, TableWithJoins, Update, Value,
};
use sqlparser::dialect::MySqlDialect;
use sqlparser::parser::Parser;

pub use schema::{Column, Index, Schema, Table};

use super::limits::{GRAMMAR_BYTES, GRAMMAR_DEPTH, GRAMMAR_WORDS};
use super::token::{Token, tokens};
use scope::Scope;

/// Rows that are read to be thrown away; more are worth a word.
const BIG_OFFSET: u64 = 1_000;

/// An index that may help.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Candidate {
    /// The table, as the statement names it.
    pub table: String,
    /// Its columns, in order; with `(n)` behind one of which only the first n characters can be taken.
    pub columns: Vec<String>,
    /// What each part is for, as a fragment: `= team_id, status; ORDER BY created_at`.
    pub why: String,
    /// The index that it makes superfluous, being longer.
    pub replaces: Option<String>,
}

impl Candidate {
    /// The statement that makes it.
    pub fn ddl(&self) -> String {
        let quote = |name: &str| format!("`{}`", name.replace('`', "``"));
        let column = |column: &String| match column.split_once('(') {
            Some((name, length)) => format!("{}({length}", quote(name)),
            None => quote(column),
        };
        let columns: Vec<_> = self.columns.iter().map(column).collect();
        let table: Vec<_> = self.table.split('.').map(quote).collect();
        format!(
            "CREATE INDEX {} ON {} ({})",
            quote(&self.name()),
            table.join("."),
            columns.join(", ")
        )
    }

    /// A name for it, of at most 64 characters.
    pub fn name(&self) -> String {
        let table = self.table.rsplit('.').next().unwrap_or(&self.table);
        let columns = self.columns.iter();
        let columns = columns.map(|it| it.split('(').next().unwrap_or(it));
        let parts: Vec<_> = std::iter::once(table).chain(columns).collect();
        let name = format!("ix_{}", parts.join("_"));
        if name.chars().count() <= 64 {
            return name;
        }
        // Cut, and told apart by a hash of the rest (FNV-1a).
        let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
        });
        let short: String = name.chars().take(55).collect();
        format!("{short}_{:08x}", hash >> 32)
    }
}

/// What no index can help with, or not as the statement is written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Hint {
    /// A condition on what a function makes of a column.
    FunctionOnColumn {
        /// The column's table.
        table: String,
        /// The column.
        column: String,
        /// The function, in upper case, or `arithmetic`.
        function: String,
    },
    /// LIKE with a pattern that begins with a wildcard.
    LeadingWildcard {
        /// The column's table.
        table: String,
        /// The column.
        column: String,
    },
    /// OR between different columns.
    Choice {
        /// Their table, if it is one.
        table: Option<String>,
        /// The columns; none if some part can use no index.
        columns: Vec<String>,
    },
    /// ORDER BY RAND().
    RandomOrder,
    /// An OFFSET of so many rows.
    BigOffset(u64),
    /// COUNT(*) of a whole table.
    CountsAll(String),
    /// Neither a condition nor a limit: all rows of the table are read.
    ReadsAll(String),
}

impl fmt::Display for Hint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Hint::FunctionOnColumn {
                table,
                column,
                function,
            } => {
                write!(
                    f,
                    "{function} of {table}.{column} hides it from any index: "
                )?;
                match function.as_str() {
                    "DATE" | "YEAR" | "MONTH" | "DATE_FORMAT" | "EXTRACT" | "CAST"
                    | "UNIX_TIMESTAMP" => {
                        write!(
                            f,
                            "compare the column itself with bounds ({column} >= ... AND {column} < ...)"
                        )
                    }
                    "arithmetic" => write!(f, "move the arithmetic to the other side"),
                    _ => write!(
                        f,
                        "keep what it makes in a (generated) column with an index"
                    ),
                }
            }
            Hint::LeadingWildcard { table, column } => write!(
                f,
                "no index serves a LIKE on {table}.{column} whose pattern begins with a wildcard: \
                 use a FULLTEXT index, or keep the text so that the known part comes first"
            ),
            Hint::Choice {
                table: Some(table),
                columns,
            } => write!(
                f,
                "OR between columns of {table} ({}) needs an index each and merges them, or write a \
                 UNION ALL of one SELECT each",
                columns.join(", ")
            ),
            Hint::Choice { .. } => write!(
                f,
                "OR between different tables, or with a part that can use no index, keeps all \
                 indexes from being used: write a UNION of one SELECT each"
            ),
            Hint::RandomOrder => write!(
                f,
                "ORDER BY RAND() reads and sorts all rows: draw ids in the application, or keep a \
                 random column with an index"
            ),
            Hint::BigOffset(rows) => write!(
                f,
                "OFFSET {rows} reads that many rows to throw them away: continue behind the last key \
                 instead (WHERE id > ... LIMIT n)"
            ),
            Hint::CountsAll(table) => write!(
                f,
                "COUNT(*) of all of {table} reads a whole index: keep the number in a row of its own"
            ),
            Hint::ReadsAll(table) => write!(
                f,
                "all rows of {table} are read, as there is neither a condition nor a LIMIT: keep the \
                 result in memory if it changes rarely"
            ),
        }
    }
}

/// What is advised on a statement.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Advice {
    /// Indexes that may help, in the order of the tables.
    pub candidates: Vec<Candidate>,
    /// What no index helps with.
    pub hints: Vec<Hint>,
    /// Whether the statement was understood. When it is too long, cut, or in another dialect, there is
    /// no advice.
    pub is_understood: bool,
}

/// Advise on a statement. With a schema what is there already is left out, and so are columns that do
/// not exist and tables of few rows; without one, a column called `id` is taken for the primary key.
pub fn advise(statement: &[u8], schema: Option<&Schema>) -> Advice {
    let mut advice = Advice::default();
    let Some(parsed) = parse(statement) else {
        return advice;
    };
    advice.is_understood = true;
    let mut advisor = Advisor {
        schema,
        advice,
        ctes: Vec::new(),
    };
    match &parsed {
        Statement::Query(query) => advisor.query(query),
        Statement::Update(update) => advisor.update(update),
        Statement::Delete(delete) => advisor.delete(delete),
        Statement::Insert(insert) => {
            if let Some(query) = &insert.source {
                advisor.query(query);
            }
        }
        _ => {}
    }
    advisor.advice
}

/// Leave out what another candidate of the same table does as well: an index that begins with the
/// same columns, and is longer or comes first. The order is kept.
pub fn without_redundant(candidates: Vec<Candidate>) -> Vec<Candidate> {
    let begins = |long: &Candidate, short: &Candidate| {
        long.table == short.table && long.columns.starts_with(&short.columns)
    };
    let is_redundant = |place: usize| {
        let own = &candidates[place];
        let mut others = candidates.iter().enumerate();
        others.any(|(at, other)| {
            begins(other, own) && (other.columns.len() > own.columns.len() || at < place)
        })
    };
    let redundant: Vec<bool> = (0..candidates.len()).map(is_redundant).collect();
    let kept = candidates.into_iter().zip(redundant);
    kept.filter(|(_, redundant)| !redundant)
        .map(|it| it.0)
        .collect()
}

/// The first statement of a text, if the grammar knows it.
pub(super) fn parse(statement: &[u8]) -> Option<Statement> {
    let is_small = |tokens: Vec<Token<'_>>| {
        let words = tokens
            .iter()
            .filter(|it| !matches!(it, Token::Literal | Token::Sign(b',')));
        words.count() <= GRAMMAR_WORDS
    };
    if statement.len() > GRAMMAR_BYTES || !is_small(tokens(statement)) {
        return None;
    }
    let text = String::from_utf8_lossy(statement);
    let parser = Parser::new(&MySqlDialect {}).with_recursion_limit(GRAMMAR_DEPTH);
    parser.try_with_sql(&text).ok()?.parse_statement().ok()
}

struct Advisor<'a> {
    schema: Option<&'a Schema>,
    advice: Advice,
    ctes: Vec<String>,
}

/// What a block asks for besides conditions.
#[derive(Default)]
struct Block<'a> {
    from: Vec<&'a [TableWithJoins]>,
    selection: Option<&'a Expr>,
    group_by: &'a [Expr],
    order_by: &'a [OrderByExpr],
    has_limit: bool,
    /// What it gives back; none for UPDATE and DELETE.
    projection: &'a [SelectItem],
    is_select: bool,
}

impl<'a> Advisor<'a> {
    fn query(&mut self, query: &Query) {
        if let Some(with) = &query.with {
            for cte in &with.cte_tables {
                self.ctes.push(cte.alias.name.value.clone());
            }
            for cte in &with.cte_tables {
                self.query(&cte.query);
            }
        }
        let order_by = match &query.order_by {
            Some(order) => match &order.kind {
                OrderByKind::Expressions(order) => order.as_slice(),
                OrderByKind::All(_) => &[],
            },
            None => &[],
        };
        self.limit(query.limit_clause.as_ref());
        let has_limit = query.limit_clause.is_some();
        match &*query.body {
            SetExpr::Select(select) => self.select(select, order_by, has_limit),
            other => self.set(other),
        }
    }

    fn set(&mut self, body: &SetExpr) {
        match body {
            SetExpr::Select(select) => self.select(select, &[], false),
            SetExpr::Query(query) => self.query(query),
            SetExpr::SetOperation { left, right, .. } => {
                self.set(left);
                self.set(right);
            }
            _ => {}
        }
    }

    fn limit(&mut self, limit: Option<&LimitClause>) {
        let offset = match limit {
            Some(LimitClause::LimitOffset {
                offset: Some(offset),
                ..
            }) => &offset.value,
            Some(LimitClause::OffsetCommaLimit { offset, .. }) => offset,
            _ => return,
        };
        if let Expr::Value(value) = offset
            && let Value::Number(number, _) = &value.value
            && let Ok(rows) = number.to_string().parse::<u64>()
            && rows >= BIG_OFFSET
        {
            self.hint(Hint::BigOffset(rows));
        }
    }

    fn hint(&mut self, hint: Hint) {
        if !self.advice.hints.contains(&hint) {
            self.advice.hints.push(hint);
        }
    }

    fn select(&mut self, select: &Select, order_by: &[OrderByExpr], has_limit: bool) {
        let group_by = match &select.group_by {
            GroupByExpr::Expressions(exprs, _) => exprs.as_slice(),
            GroupByExpr::All(_) => &[],
        };
        self.block(&Block {
            from: vec![&select.from],
            selection: select.selection.as_ref(),
            group_by,
            order_by,
            has_limit,
            projection: &select.projection,
            is_select: true,
        });
        for item in &select.projection {
            if let SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } = item {
                self.subqueries(expr);
            }
        }
        if let Some(having) = &select.having {
            self.subqueries(having);
        }
    }

    fn update(&mut self, update: &Update) {
        self.block(&Block {
            from: vec![std::slice::from_ref(&update.table)],
            selection: update.selection.as_ref(),
            order_by: &update.order_by,
            has_limit: update.limit.is_some(),
            ..Block::default()
        });
    }

    fn delete(&mut self, delete: &Delete) {
        let (FromTable::WithFromKeyword(from) | FromTable::WithoutKeyword(from)) = &delete.from;
        let from = delete.using.as_ref().unwrap_or(from);
        self.block(&Block {
            from: vec![from],
            selection: delete.selection.as_ref(),
            order_by: &delete.order_by,
            has_limit: delete.limit.is_some(),
            ..Block::default()
        });
    }

    fn block(&mut self, block: &Block<'_>) {
        let mut scope = Scope::default();
        let mut conditions = Vec::new();
        for from in &block.from {
            scope.from(from, &mut conditions);
            for table in from.iter() {
                let joined = table.joins.iter().map(|join| &join.relation);
                for factor in std::iter::once(&table.relation).chain(joined) {
                    if let TableFactor::Derived { subquery, .. } = factor {
                        self.query(subquery);
                    }
                }
            }
        }
        scope.without(&self.ctes);
        for condition in conditions.iter().copied().chain(block.selection) {
            scope.condition(condition, self.schema);
        }
        self.order_hints(block);
        choose::choose(&scope, block, self.schema, &mut self.advice);
        for hint in std::mem::take(&mut scope.hints) {
            self.hint(hint);
        }
        for condition in conditions.into_iter().chain(block.selection) {
            self.subqueries(condition);
        }
    }

    fn order_hints(&mut self, block: &Block<'_>) {
        let is_random = block.order_by.iter().any(|order| match &order.expr {
            Expr::Function(function) => {
                let name = scope::name(&function.name);
                name.eq_ignore_ascii_case("rand") || name.eq_ignore_ascii_case("uuid")
            }
            _ => false,
        });
        if is_random {
            self.hint(Hint::RandomOrder);
        }
    }

    /// Look into the queries within an expression.
    fn subqueries(&mut self, expr: &Expr) {
        match expr {
            Expr::Subquery(query)
            | Expr::Exists {
                subquery: query, ..
            } => self.query(query),
            Expr::InSubquery { expr, subquery, .. } => {
                self.subqueries(expr);
                self.query(subquery);
            }
            Expr::BinaryOp { left, right, .. } => {
                self.subqueries(left);
                self.subqueries(right);
            }
            Expr::Nested(inner) | Expr::UnaryOp { expr: inner, .. } => self.subqueries(inner),
            Expr::Between {
                expr, low, high, ..
            } => {
                for one in [expr, low, high] {
                    self.subqueries(one);
                }
            }
            Expr::InList { expr, list, .. } => {
                self.subqueries(expr);
                list.iter().for_each(|one| self.subqueries(one));
            }
            _ => {}
        }
    }
}
