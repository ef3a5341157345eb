//! A SELECT that reads what an UPDATE or DELETE reads: a read-only session explains nothing else.

use sqlparser::ast::{Delete, FromTable, Statement, TableWithJoins, Update};

use super::indexes::parse;

/// The SELECT that finds the rows which an UPDATE or DELETE changes; of an INSERT ... SELECT its SELECT. None for
/// anything else, and for what the grammar does not know.
pub fn select_of(statement: &[u8]) -> Option<String> {
    match parse(statement)? {
        Statement::Update(update) => Some(of_update(&update)),
        Statement::Delete(delete) => Some(of_delete(&delete)),
        Statement::Insert(insert) => insert.source.map(|query| query.to_string()),
        _ => None,
    }
}

fn of_update(update: &Update) -> String {
    let mut select = format!("SELECT 1 FROM {}", update.table);
    if let Some(condition) = &update.selection {
        select += &format!(" WHERE {condition}");
    }
    select + &rest(&update.order_by, update.limit.as_ref())
}

fn of_delete(delete: &Delete) -> String {
    let (FromTable::WithFromKeyword(from) | FromTable::WithoutKeyword(from)) = &delete.from;
    let from = delete.using.as_ref().unwrap_or(from);
    let from: Vec<String> = from.iter().map(TableWithJoins::to_string).collect();
    let mut select = format!("SELECT 1 FROM {}", from.join(", "));
    if let Some(condition) = &delete.selection {
        select += &format!(" WHERE {condition}");
    }
    select + &rest(&delete.order_by, delete.limit.as_ref())
}

fn rest<O: ToString, L: ToString>(order_by: &[O], limit: Option<&L>) -> String {
    let order: Vec<String> = order_by.iter().map(ToString::to_string).collect();
    let mut rest = String::new();
    if !order.is_empty() {
        rest += &format!(" ORDER BY {}", order.join(", "));
    }
    if let Some(limit) = limit {
        rest += &format!(" LIMIT {}", limit.to_string());
    }
    rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_changed_is_selected() {
        let check = |statement: &str, select: Option<&str>| {
            assert_eq!(
                select_of(statement.as_bytes()).as_deref(),
                select,
                "{statement}"
            );
        };
        check(
            "UPDATE jobs SET status = 1 WHERE id = 5 ORDER BY id LIMIT 3",
            Some("SELECT 1 FROM jobs WHERE id = 5 ORDER BY id LIMIT 3"),
        );
        check(
            "update a join b on a.id = b.id set a.x = 1 where b.y = 'it''s'",
            Some("SELECT 1 FROM a JOIN b ON a.id = b.id WHERE b.y = 'it''s'"),
        );
        check(
            "DELETE FROM t WHERE a < 3",
            Some("SELECT 1 FROM t WHERE a < 3"),
        );
        check(
            "DELETE n FROM n JOIN c ON c.id = n.c WHERE c.t = 4",
            Some("SELECT 1 FROM n JOIN c ON c.id = n.c WHERE c.t = 4"),
        );
        check(
            "INSERT INTO t (a) SELECT b FROM u WHERE c = 1",
            Some("SELECT b FROM u WHERE c = 1"),
        );
        check("INSERT INTO t (a) VALUES (1)", Some("VALUES (1)"));
        check("SELECT 1", None);
        check("DROP TABLE t", None);
        check("UPDATE", None);
    }
}
