//! What a block of a query (SELECT, UPDATE, DELETE) asks of each of its tables.

use sqlparser::ast::{
    BinaryOperator, Expr, FunctionArg, FunctionArgExpr, FunctionArguments, JoinConstraint,
    JoinOperator, ObjectName, ObjectNamePart, TableFactor, TableWithJoins, Value,
};

use super::{Hint, Schema};

/// What is asked of a table.
#[derive(Debug, Default)]
pub(super) struct Asked {
    pub(super) table: String,
    /// What columns call it.
    alias: String,
    /// Columns that equal something known before.
    pub(super) equal: Vec<String>,
    /// Columns that equal one of several values.
    pub(super) listed: Vec<String>,
    /// Columns that equal another table's.
    pub(super) joined: Vec<String>,
    /// Columns between bounds.
    pub(super) ranges: Vec<String>,
}

/// The tables of a block.
#[derive(Debug, Default)]
pub(super) struct Scope {
    pub(super) asked: Vec<Asked>,
    /// Whether there are also others, whose columns are not known.
    has_others: bool,
    pub(super) hints: Vec<Hint>,
}

/// Parts of a condition that all hold.
fn conjuncts<'a>(expr: &'a Expr, found: &mut Vec<&'a Expr>) {
    match expr {
        Expr::BinaryOp {
            left,
            op: BinaryOperator::And,
            right,
        } => {
            conjuncts(left, found);
            conjuncts(right, found);
        }
        Expr::Nested(inner) => conjuncts(inner, found),
        other => found.push(other),
    }
}

/// Parts of a condition of which one holds.
fn disjuncts<'a>(expr: &'a Expr, found: &mut Vec<&'a Expr>) {
    match expr {
        Expr::BinaryOp {
            left,
            op: BinaryOperator::Or,
            right,
        } => {
            disjuncts(left, found);
            disjuncts(right, found);
        }
        Expr::Nested(inner) => disjuncts(inner, found),
        other => found.push(other),
    }
}

pub(super) fn name(name: &ObjectName) -> String {
    let parts = name.0.iter().filter_map(|part| match part {
        ObjectNamePart::Identifier(ident) => Some(ident.value.as_str()),
        ObjectNamePart::Function(_) => None,
    });
    parts.collect::<Vec<_>>().join(".")
}

/// A column: what it is qualified with, and its name.
fn column(expr: &Expr) -> Option<(Option<&str>, &str)> {
    match expr {
        Expr::Identifier(ident) => Some((None, &ident.value)),
        Expr::CompoundIdentifier(parts) => {
            let (last, before) = parts.split_last()?;
            Some((before.last().map(|it| it.value.as_str()), &last.value))
        }
        Expr::Nested(inner) => column(inner),
        _ => None,
    }
}

/// A function that hides a column from an index: its name and the column.
fn hidden(expr: &Expr) -> Option<(String, &Expr)> {
    let inner = match expr {
        Expr::Nested(inner) => return hidden(inner),
        Expr::Function(function) => {
            let FunctionArguments::List(list) = &function.args else {
                return None;
            };
            let mut args = list.args.iter().filter_map(|arg| match arg {
                FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr),
                _ => None,
            });
            let found = args.find(|arg| column(arg).is_some())?;
            return Some((name(&function.name).to_uppercase(), found));
        }
        Expr::Cast { expr, .. } => ("CAST", expr),
        Expr::Extract { expr, .. } => ("EXTRACT", expr),
        Expr::Substring { expr, .. } => ("SUBSTRING", expr),
        Expr::Trim { expr, .. } => ("TRIM", expr),
        Expr::Floor { expr, .. } => ("FLOOR", expr),
        Expr::Ceil { expr, .. } => ("CEIL", expr),
        Expr::BinaryOp {
            left,
            op:
                BinaryOperator::Plus
                | BinaryOperator::Minus
                | BinaryOperator::Multiply
                | BinaryOperator::Divide
                | BinaryOperator::Modulo,
            right,
        } => {
            let found = [left, right].into_iter().find(|it| column(it).is_some())?;
            ("arithmetic", found)
        }
        _ => return None,
    };
    column(inner.1).map(|_| (inner.0.to_owned(), &**inner.1))
}

impl Scope {
    /// The tables of a FROM, with the conditions of its joins.
    pub(super) fn from<'a>(&mut self, from: &'a [TableWithJoins], conditions: &mut Vec<&'a Expr>) {
        for table in from {
            self.factor(&table.relation, conditions);
            for join in &table.joins {
                self.factor(&join.relation, conditions);
                match constraint(&join.join_operator) {
                    Some(JoinConstraint::On(condition)) => conditions.push(condition),
                    Some(JoinConstraint::Using(columns)) => {
                        for column in columns.iter().map(name) {
                            for asked in &mut self.asked {
                                add(&mut asked.joined, &column);
                            }
                        }
                    }
                    _ => {}
                }
            }
        }
    }

    fn factor<'a>(&mut self, factor: &'a TableFactor, conditions: &mut Vec<&'a Expr>) {
        match factor {
            TableFactor::Table {
                name: table,
                alias,
                args: None,
                ..
            } => {
                let table = name(table);
                let last = table.rsplit('.').next().unwrap_or(&table).to_owned();
                self.asked.push(Asked {
                    alias: alias.as_ref().map_or(last, |it| it.name.value.clone()),
                    table,
                    ..Asked::default()
                });
            }
            TableFactor::NestedJoin {
                table_with_joins, ..
            } => self.from(std::slice::from_ref(table_with_joins), conditions),
            _ => self.has_others = true,
        }
    }

    /// Forget tables that are common table expressions.
    pub(super) fn without(&mut self, ctes: &[String]) {
        let before = self.asked.len();
        self.asked
            .retain(|it| !ctes.iter().any(|cte| cte.eq_ignore_ascii_case(&it.table)));
        self.has_others |= self.asked.len() < before;
    }

    /// The table of a column, and the column's name; none if it is not known or not one of this block.
    pub(super) fn resolve<'a>(
        &self,
        expr: &'a Expr,
        schema: Option<&Schema>,
    ) -> Option<(usize, &'a str)> {
        let (qualifier, name) = column(expr)?;
        if let Some(qualifier) = qualifier {
            let is_called = |it: &Asked| it.alias.eq_ignore_ascii_case(qualifier);
            return Some((self.asked.iter().position(is_called)?, name));
        }
        let has = |it: &Asked| {
            schema?
                .table(&it.table)
                .map(|table| table.column(name).is_some())
        };
        if let Some(found) = self.asked.iter().position(|it| has(it) == Some(true)) {
            return Some((found, name));
        }
        let is_only = self.asked.len() == 1 && !self.has_others;
        (is_only && has(&self.asked[0]) != Some(false)).then_some((0, name))
    }

    /// Take in a condition.
    pub(super) fn condition(&mut self, expr: &Expr, schema: Option<&Schema>) {
        let mut all = Vec::new();
        conjuncts(expr, &mut all);
        for one in all {
            self.conjunct(one, schema);
        }
    }

    fn conjunct(&mut self, expr: &Expr, schema: Option<&Schema>) {
        use BinaryOperator as Op;
        match expr {
            Expr::BinaryOp { left, op, right } => match op {
                Op::Eq | Op::Spaceship => self.equality(left, right, schema),
                Op::Lt | Op::LtEq | Op::Gt | Op::GtEq => {
                    for (side, other) in [(left, right), (right, left)] {
                        self.range(side, Some(other), schema);
                    }
                }
                Op::Or => self.choice(expr, schema),
                _ => {}
            },
            Expr::InList {
                expr,
                list,
                negated: false,
            } => match list.len() {
                1 => self.known(expr, Place::Equal, schema),
                _ => self.known(expr, Place::Listed, schema),
            },
            Expr::InSubquery {
                expr,
                negated: false,
                ..
            } => self.known(expr, Place::Listed, schema),
            Expr::IsNull(expr) => self.known(expr, Place::Equal, schema),
            Expr::Between {
                expr,
                negated: false,
                ..
            } => self.range(expr, None, schema),
            Expr::Like {
                expr,
                pattern,
                negated: false,
                ..
            } => self.like(expr, pattern, schema),
            _ => {}
        }
    }

    fn equality(&mut self, left: &Expr, right: &Expr, schema: Option<&Schema>) {
        match (self.resolve(left, schema), self.resolve(right, schema)) {
            (Some((one, a)), Some((other, b))) if one != other => {
                add(&mut self.asked[one].joined, a);
                add(&mut self.asked[other].joined, b);
            }
            (Some(_), Some(_)) => {}
            (Some(_), None) => self.known(left, Place::Equal, schema),
            (None, Some(_)) => self.known(right, Place::Equal, schema),
            (None, None) => {
                self.hide(left, schema);
                self.hide(right, schema);
            }
        }
    }

    /// A column that is compared with something known.
    fn known(&mut self, expr: &Expr, place: Place, schema: Option<&Schema>) {
        match self.resolve(expr, schema) {
            Some((table, column)) => {
                let asked = &mut self.asked[table];
                let list = match place {
                    Place::Equal => &mut asked.equal,
                    Place::Listed => &mut asked.listed,
                };
                add(list, column);
            }
            None => self.hide(expr, schema),
        }
    }

    fn range(&mut self, expr: &Expr, other: Option<&Expr>, schema: Option<&Schema>) {
        if other.is_some_and(|other| self.resolve(other, schema).is_some()) {
            return;
        }
        match self.resolve(expr, schema) {
            Some((table, column)) => add(&mut self.asked[table].ranges, column),
            None => self.hide(expr, schema),
        }
    }

    fn like(&mut self, expr: &Expr, pattern: &Expr, schema: Option<&Schema>) {
        let Some((table, column)) = self.resolve(expr, schema) else {
            return;
        };
        let text = match pattern {
            Expr::Value(value) => match &value.value {
                Value::SingleQuotedString(text) | Value::DoubleQuotedString(text) => text.as_str(),
                _ => return,
            },
            _ => return,
        };
        if text.starts_with(['%', '_']) {
            let table = self.asked[table].table.clone();
            let column = column.to_owned();
            self.hints.push(Hint::LeadingWildcard { table, column });
        } else if text.contains(['%', '_']) {
            add(&mut self.asked[table].ranges, column);
        } else {
            add(&mut self.asked[table].equal, column);
        }
    }

    /// `a = 1 OR a = 2` is a list; other choices need an index each.
    fn choice(&mut self, expr: &Expr, schema: Option<&Schema>) {
        let mut any = Vec::new();
        disjuncts(expr, &mut any);
        let mut columns = Vec::new();
        for one in any {
            let compared = match one {
                Expr::BinaryOp {
                    left,
                    op: BinaryOperator::Eq,
                    right,
                } => self.resolve(left, schema).xor(self.resolve(right, schema)),
                Expr::InList {
                    expr,
                    negated: false,
                    ..
                }
                | Expr::IsNull(expr) => self.resolve(expr, schema),
                _ => None,
            };
            match compared {
                Some((table, column)) => {
                    let found = (table, column.to_owned());
                    if !columns.contains(&found) {
                        columns.push(found);
                    }
                }
                // Something that no index helps with, and then none helps at all.
                None => {
                    columns.clear();
                    break;
                }
            }
        }
        match columns.as_slice() {
            [(table, column)] => add(&mut self.asked[*table].listed, column),
            [] => self.hints.push(Hint::Choice {
                table: None,
                columns: Vec::new(),
            }),
            [(first, _), ..] => {
                let is_one_table = columns.iter().all(|(table, _)| table == first);
                self.hints.push(Hint::Choice {
                    table: is_one_table.then(|| self.asked[*first].table.clone()),
                    columns: columns.into_iter().map(|(_, column)| column).collect(),
                });
            }
        }
    }

    fn hide(&mut self, expr: &Expr, schema: Option<&Schema>) {
        if let Some((function, inner)) = hidden(expr)
            && let Some((table, column)) = self.resolve(inner, schema)
        {
            self.hints.push(Hint::FunctionOnColumn {
                table: self.asked[table].table.clone(),
                column: column.to_owned(),
                function,
            });
        }
    }
}

#[derive(Debug, Clone, Copy)]
enum Place {
    Equal,
    Listed,
}

pub(super) fn add(list: &mut Vec<String>, column: &str) {
    if !list.iter().any(|own| own.eq_ignore_ascii_case(column)) {
        list.push(column.to_owned());
    }
}

fn constraint(operator: &JoinOperator) -> Option<&JoinConstraint> {
    use JoinOperator as Op;
    match operator {
        Op::Join(it)
        | Op::Inner(it)
        | Op::Left(it)
        | Op::LeftOuter(it)
        | Op::Right(it)
        | Op::RightOuter(it)
        | Op::CrossJoin(it)
        | Op::StraightJoin(it) => Some(it),
        _ => None,
    }
}
