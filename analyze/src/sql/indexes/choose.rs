//! From what is asked of a table to an index.

use sqlparser::ast::{
    Expr, FunctionArg, FunctionArgExpr, FunctionArguments, OrderBySort, SelectItem,
};

use super::super::limits::INDEX_COLUMNS;
use super::schema::{Index, Schema, Table};
use super::scope::{Asked, Scope, add, name};
use super::{Advice, Block, Candidate, Hint};

/// Tables of fewer rows are read as fast without an index.
const FEW_ROWS: u64 = 100;
/// Columns that are added so that the table itself need not be read.
const COVERING: usize = 2;
/// Characters that are indexed of a column that cannot be indexed whole.
const PREFIX: u32 = 64;

/// The columns of a candidate, by what they are for.
#[derive(Debug, Default)]
struct Parts {
    /// In any order.
    equal: Vec<String>,
    /// In this order.
    then: Vec<String>,
    why: Vec<String>,
}

/// Find candidates for all tables of a block.
pub(super) fn choose(
    scope: &Scope,
    block: &Block<'_>,
    schema: Option<&Schema>,
    advice: &mut Advice,
) {
    for (place, asked) in scope.asked.iter().enumerate() {
        let parts = parts(scope, place, block, schema);
        if parts.equal.is_empty() && parts.then.is_empty() {
            reads_all(scope, asked, block, advice);
            continue;
        }
        let table = schema.map(|schema| schema.table(&asked.table));
        let candidate = match table {
            // Another database, or a view.
            Some(None) => continue,
            Some(Some(table)) => with_table(asked, parts, table),
            None => without_table(asked, parts),
        };
        if let Some(candidate) = candidate
            && !advice.candidates.contains(&candidate)
        {
            advice.candidates.push(candidate);
        }
    }
}

fn parts(scope: &Scope, place: usize, block: &Block<'_>, schema: Option<&Schema>) -> Parts {
    let asked = &scope.asked[place];
    let mut parts = Parts::default();
    let filters = !(asked.equal.is_empty() && asked.listed.is_empty() && asked.ranges.is_empty());
    // The first table that is filtered is read first; the others are looked up from it.
    let leads = filters
        && !scope.asked[..place]
            .iter()
            .any(|it| !(it.equal.is_empty() && it.listed.is_empty() && it.ranges.is_empty()));
    if !asked.equal.is_empty() {
        parts.why.push(format!("= {}", asked.equal.join(", ")));
    }
    asked
        .equal
        .iter()
        .for_each(|column| add(&mut parts.equal, column));
    if !leads && !asked.joined.is_empty() {
        let joined = &asked.joined;
        // One of them: from which table it is looked up is not known.
        let column = joined
            .iter()
            .find(|it| !it.eq_ignore_ascii_case("id"))
            .unwrap_or(&joined[0]);
        parts.equal.insert(0, column.clone());
        parts.why.push(format!("joined by {column}"));
    }
    if !asked.listed.is_empty() {
        parts
            .why
            .push(format!("one of several {}", asked.listed.join(", ")));
    }
    for column in &asked.listed {
        if !parts.equal.contains(column) {
            add(&mut parts.then, column);
        }
    }
    let is_first = leads || scope.asked.len() == 1;
    let mut sorted = Vec::new();
    if is_first && asked.listed.is_empty() {
        sorted = order(scope, place, block, schema);
    }
    match asked.ranges.first() {
        Some(range)
            if sorted
                .first()
                .is_none_or(|it| !it.eq_ignore_ascii_case(range)) =>
        {
            parts.why.push(format!("bounds of {range}"));
            add(&mut parts.then, range);
            sorted.clear();
        }
        _ => {}
    }
    sorted.retain(|column| !parts.equal.iter().any(|it| it.eq_ignore_ascii_case(column)));
    let has_sort = !sorted.is_empty();
    // Without a condition an order helps only who stops early.
    if has_sort && (filters || block.has_limit || !block.group_by.is_empty()) {
        let what = if block.group_by.is_empty() {
            "ORDER BY"
        } else {
            "GROUP BY"
        };
        parts.why.push(format!("{what} {}", sorted.join(", ")));
        sorted
            .iter()
            .for_each(|column| add(&mut parts.then, column));
    }
    if !(parts.equal.is_empty() && parts.then.is_empty()) {
        cover(scope, place, block, schema, &mut parts);
    }
    parts
}

/// The columns of GROUP BY, or else of ORDER BY, if an index of this table can give that order.
fn order(scope: &Scope, place: usize, block: &Block<'_>, schema: Option<&Schema>) -> Vec<String> {
    let mut columns = Vec::new();
    let exprs: Vec<&Expr> = match block.group_by.is_empty() {
        false => block.group_by.iter().collect(),
        true => {
            // Up and down in one index needs descending parts, which not every version has.
            let down = |at: usize| {
                let order = block
                    .order_by
                    .get(at)
                    .and_then(|it| it.options.sort.as_ref());
                matches!(order, Some(OrderBySort::Desc))
            };
            if (1..block.order_by.len()).any(|at| down(at) != down(0)) {
                return Vec::new();
            }
            block.order_by.iter().map(|it| &it.expr).collect()
        }
    };
    for expr in exprs {
        match scope.resolve(expr, schema) {
            Some((table, column)) if table == place => add(&mut columns, column),
            _ => return Vec::new(),
        }
    }
    columns
}

/// Add what else is read of the table, if that is little and rows are only counted or summed up.
fn cover(
    scope: &Scope,
    place: usize,
    block: &Block<'_>,
    schema: Option<&Schema>,
    parts: &mut Parts,
) {
    if block.group_by.is_empty() || scope.asked.len() > 1 {
        return;
    }
    let mut used = Vec::new();
    for item in block.projection {
        let (SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. }) = item else {
            return;
        };
        if !columns(expr, &mut |expr| {
            if let Some((table, column)) = scope.resolve(expr, schema)
                && table == place
            {
                add(&mut used, column);
            }
        }) {
            return;
        }
    }
    let is_there = |column: &String| {
        parts
            .equal
            .iter()
            .chain(&parts.then)
            .any(|it| it.eq_ignore_ascii_case(column))
    };
    used.retain(|column| !is_there(column));
    if used.len() <= COVERING && !used.is_empty() {
        parts.why.push(format!("also holds {}", used.join(", ")));
        parts.then.extend(used);
    }
}

/// Give the columns of a simple expression. False if it is not simple.
fn columns(expr: &Expr, give: &mut impl FnMut(&Expr)) -> bool {
    match expr {
        Expr::Identifier(_) | Expr::CompoundIdentifier(_) => {
            give(expr);
            true
        }
        Expr::Value(_) => true,
        Expr::Nested(inner) => columns(inner, give),
        Expr::BinaryOp { left, right, .. } => columns(left, give) && columns(right, give),
        Expr::Function(function) => match &function.args {
            FunctionArguments::List(list) => list.args.iter().all(|arg| match arg {
                FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => columns(expr, give),
                FunctionArg::Unnamed(FunctionArgExpr::Wildcard) => true,
                _ => false,
            }),
            FunctionArguments::None => true,
            FunctionArguments::Subquery(_) => false,
        },
        _ => false,
    }
}

fn reads_all(scope: &Scope, asked: &Asked, block: &Block<'_>, advice: &mut Advice) {
    if !block.is_select || scope.asked.len() > 1 || block.selection.is_some() || block.has_limit {
        return;
    }
    let is_count = |item: &SelectItem| match item {
        SelectItem::UnnamedExpr(Expr::Function(function))
        | SelectItem::ExprWithAlias {
            expr: Expr::Function(function),
            ..
        } => name(&function.name).eq_ignore_ascii_case("count"),
        _ => false,
    };
    let hint = match block.projection {
        [item] if is_count(item) => Hint::CountsAll(asked.table.clone()),
        _ => Hint::ReadsAll(asked.table.clone()),
    };
    if !advice.hints.contains(&hint) {
        advice.hints.push(hint);
    }
}

fn without_table(asked: &Asked, parts: Parts) -> Option<Candidate> {
    // Taken for the primary key.
    if parts.equal.iter().any(|it| it.eq_ignore_ascii_case("id")) {
        return None;
    }
    let is_id = |column: Option<&String>| column.is_some_and(|it| it.eq_ignore_ascii_case("id"));
    if parts.equal.is_empty() && is_id(parts.then.first()) {
        return None;
    }
    let mut columns: Vec<_> = parts.equal.into_iter().chain(parts.then).collect();
    // It is at the end of every index anyway.
    if is_id(columns.last()) {
        columns.pop();
    }
    columns.truncate(INDEX_COLUMNS);
    Some(Candidate {
        table: asked.table.clone(),
        columns,
        why: parts.why.join("; "),
        replaces: None,
    })
}

fn with_table(asked: &Asked, parts: Parts, table: &Table) -> Option<Candidate> {
    if table.rows.is_some_and(|rows| rows < FEW_ROWS) {
        return None;
    }
    let is_in =
        |list: &[String], column: &str| list.iter().any(|it| it.eq_ignore_ascii_case(column));
    let is_found = |index: &Index| {
        index
            .columns
            .iter()
            .all(|column| is_in(&parts.equal, column))
    };
    // One row at most.
    if table
        .indexes
        .iter()
        .any(|index| index.is_unique && is_found(index))
    {
        return None;
    }
    let all = parts.equal.iter().chain(&parts.then);
    let columns: Option<Vec<_>> = all.map(|name| table.column(name)).collect();
    let mut columns = columns?;
    let is_json = |data_type: &str| ["json", "geometry", "point"].contains(&data_type);
    if let Some(place) = columns
        .iter()
        .position(|it| is_json(&it.data_type.to_lowercase()))
    {
        columns.truncate(place);
    }
    // The primary key is at the end of every index anyway.
    if let Some(primary) = table.primary() {
        while columns.len() > 1
            && columns
                .last()
                .is_some_and(|last| is_in(&primary.columns, &last.name))
            && columns.len() > parts.equal.len()
        {
            columns.pop();
        }
    }
    columns.truncate(INDEX_COLUMNS);
    if columns.is_empty() {
        return None;
    }
    let names: Vec<String> = columns.iter().map(|it| it.name.clone()).collect();
    let equal = parts.equal.len().min(names.len());
    if table
        .indexes
        .iter()
        .any(|index| serves(index, &names, equal))
    {
        return None;
    }
    let shorter = |index: &&Index| {
        index.name != "PRIMARY" && !index.is_unique && index.columns.len() < names.len() && {
            let begin = &names[..index.columns.len()];
            index
                .columns
                .iter()
                .zip(begin)
                .all(|(one, other)| one.eq_ignore_ascii_case(other))
        }
    };
    let replaces = table
        .indexes
        .iter()
        .find(shorter)
        .map(|index| index.name.clone());
    let with_prefix = |column: &&super::Column| {
        let data_type = column.data_type.to_lowercase();
        match data_type.ends_with("text") || data_type.ends_with("blob") {
            true => format!("{}({PREFIX})", column.name),
            false => column.name.clone(),
        }
    };
    Some(Candidate {
        table: asked.table.clone(),
        columns: columns.iter().map(with_prefix).collect(),
        why: parts.why.join("; "),
        replaces,
    })
}

/// Whether an index does already what one of `columns` would do, of which the first `equal` may be in any
/// order.
fn serves(index: &Index, columns: &[String], equal: usize) -> bool {
    if index.columns.len() < columns.len() {
        return false;
    }
    let (any, rest) = columns.split_at(equal);
    let (begin, end) = index.columns.split_at(equal);
    let has =
        |list: &[String], column: &String| list.iter().any(|it| it.eq_ignore_ascii_case(column));
    any.iter().all(|column| has(begin, column))
        && rest
            .iter()
            .zip(end)
            .all(|(one, other)| one.eq_ignore_ascii_case(other))
}
