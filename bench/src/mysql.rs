//! What a MySQL or MariaDB server says of itself: plans, tables and settings. Nothing is changed there.
//!
//! Statements come from a log, and a log may be forged: they are only ever explained, as prepared
//! statements (of which there cannot be two in one), in a read-only session, within a time limit.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Opts, OptsBuilder, Params, Row, Value};
use tokio::time::{Instant, timeout, timeout_at};

/// Connecting takes no longer.
const CONNECT: Duration = Duration::from_secs(5);

/// All questions together take no longer.
const ASK: Duration = Duration::from_secs(30);

/// The server itself ends a question after this, in seconds.
const STATEMENT_SECONDS: u32 = 5;

/// Rows that are taken of an answer.
const MOST_ROWS: usize = 100_000;

/// A row: column names and values, in their order; NULL is none.
pub type TextRow = Vec<(String, Option<String>)>;

/// A statement to be explained.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// The database it ran in; empty when it is not known.
    pub database: String,
    /// Its text.
    pub statement: String,
}

/// An index of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexColumn {
    /// The database.
    pub database: String,
    /// The table.
    pub table: String,
    /// The index's name.
    pub index: String,
    /// The column; empty for an expression.
    pub column: String,
    /// Whether each value is there once only.
    pub is_unique: bool,
}

/// A table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableInfo {
    /// The database.
    pub database: String,
    /// The table.
    pub table: String,
    /// Rows, as the server estimates them.
    pub rows: u64,
    /// Bytes of data and indexes.
    pub bytes: u64,
}

/// What the server said.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Answers {
    /// The server's version.
    pub version: String,
    /// The database that the URL names; empty when it names none.
    pub database: String,
    /// The rows of EXPLAIN of each question, or why there are none.
    pub plans: Vec<Result<Vec<TextRow>, String>>,
    /// `SHOW GLOBAL VARIABLES`.
    pub variables: BTreeMap<String, String>,
    /// `SHOW GLOBAL STATUS`.
    pub status: BTreeMap<String, String>,
    /// The tables of all databases but the server's own.
    pub tables: Vec<TableInfo>,
    /// The columns of their indexes, in the indexes' order.
    pub indexes: Vec<IndexColumn>,
    /// Their columns: database, table, column, type.
    pub columns: Vec<[String; 4]>,
    /// What could not be asked, and why.
    pub missing: Vec<String>,
}

/// A URL without its password.
pub fn masked(url: &str) -> String {
    match url::Url::parse(url) {
        Ok(mut url) if url.has_host() => {
            if url.password().is_some() {
                let _ = url.set_password(Some("..."));
            }
            url.set_query(None);
            url.to_string()
        }
        _ => "the database's URL".to_owned(),
    }
}

/// Ask the server at `url`.
///
/// # Errors
/// When there is no server, or it does not let us in. A question that fails is in the answers.
pub fn ask(url: &str, questions: &[Question]) -> Result<Answers> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the database's client")?;
    runtime.block_on(async {
        let deadline = Instant::now() + ASK;
        let mut conn = connect(url).await?;
        let database = conn.opts().db_name().unwrap_or_default().to_owned();
        let mut answers = Answers {
            database,
            ..Answers::default()
        };
        let asked = timeout_at(deadline, gather(&mut conn, questions, &mut answers)).await;
        if asked.is_err() {
            answers.missing.push(format!(
                "the server did not answer everything within {ASK:?}"
            ));
        }
        // A server that has gone must not keep us.
        let _ = timeout(Duration::from_secs(1), conn.disconnect()).await;
        Ok(answers)
    })
}

async fn connect(url: &str) -> Result<Conn> {
    // The client's own messages may hold the URL.
    let opts = Opts::from_url(url).map_err(|_| {
        anyhow!(
            "`{}` is no URL of a database: mysql://user:password@host:3306/database",
            masked(url)
        )
    })?;
    let opts = OptsBuilder::from_opts(opts).prefer_socket(false);
    match timeout(CONNECT, Conn::new(opts)).await {
        Ok(Ok(conn)) => Ok(conn),
        Ok(Err(error)) => Err(anyhow!("cannot connect to {}: {error}", masked(url))),
        Err(_) => Err(anyhow!("{} did not answer within {CONNECT:?}", masked(url))),
    }
}

async fn gather(conn: &mut Conn, questions: &[Question], answers: &mut Answers) {
    let limits = [
        "SET SESSION TRANSACTION READ ONLY".to_owned(),
        // MariaDB's, in seconds, and MySQL's, in milliseconds: one of them is unknown.
        format!("SET SESSION max_statement_time = {STATEMENT_SECONDS}"),
        format!(
            "SET SESSION max_execution_time = {}",
            STATEMENT_SECONDS * 1_000
        ),
        // Our questions are no hotspots.
        "SET SESSION long_query_time = 3600".to_owned(),
    ];
    for (at, limit) in limits.iter().enumerate() {
        let set = conn.query_drop(limit).await;
        if at == 0
            && let Err(error) = set
        {
            answers.missing.push(format!(
                "no plans, as the session cannot be made read-only: {error}"
            ));
            answers.plans = vec![Err("the session is not read-only".to_owned()); questions.len()];
        }
    }
    answers.version = match rows(conn, "SELECT VERSION()").await {
        Ok(rows) => first_value(&rows),
        Err(error) => {
            answers.missing.push(format!("the version: {error}"));
            String::new()
        }
    };
    answers.variables = pairs(conn, "SHOW GLOBAL VARIABLES", answers).await;
    answers.status = pairs(conn, "SHOW GLOBAL STATUS", answers).await;
    gather_schema(conn, answers).await;
    if answers.plans.is_empty() {
        for question in questions {
            let plan = explain(conn, question).await;
            answers.plans.push(plan);
        }
    }
}

/// Every database that is not the server's own.
const OURS: &str =
    "TABLE_SCHEMA NOT IN ('mysql', 'information_schema', 'performance_schema', 'sys')";

async fn gather_schema(conn: &mut Conn, answers: &mut Answers) {
    let tables = format!(
        "SELECT TABLE_SCHEMA, TABLE_NAME, TABLE_ROWS, DATA_LENGTH + INDEX_LENGTH \
         FROM information_schema.TABLES WHERE TABLE_TYPE = 'BASE TABLE' AND {OURS}"
    );
    for row in told(conn, &tables, "the tables", answers).await {
        let [database, table, rows, bytes] = columns(row);
        answers.tables.push(TableInfo {
            database,
            table,
            rows: rows.parse().unwrap_or(0),
            bytes: bytes.parse().unwrap_or(0),
        });
    }
    let indexes = format!(
        "SELECT TABLE_SCHEMA, TABLE_NAME, INDEX_NAME, COLUMN_NAME, NON_UNIQUE \
         FROM information_schema.STATISTICS WHERE {OURS} \
         ORDER BY TABLE_SCHEMA, TABLE_NAME, INDEX_NAME, SEQ_IN_INDEX"
    );
    for row in told(conn, &indexes, "the indexes", answers).await {
        let [database, table, index, column, non_unique] = columns(row);
        answers.indexes.push(IndexColumn {
            database,
            table,
            index,
            column,
            is_unique: non_unique == "0",
        });
    }
    let names = format!(
        "SELECT TABLE_SCHEMA, TABLE_NAME, COLUMN_NAME, DATA_TYPE FROM information_schema.COLUMNS \
         WHERE {OURS} ORDER BY TABLE_SCHEMA, TABLE_NAME, ORDINAL_POSITION"
    );
    for row in told(conn, &names, "the columns", answers).await {
        answers.columns.push(columns(row));
    }
}

/// The rows of a question of ours; what goes wrong is noted.
async fn told(conn: &mut Conn, sql: &str, what: &str, answers: &mut Answers) -> Vec<TextRow> {
    match rows(conn, sql).await {
        Ok(rows) => rows,
        Err(error) => {
            answers.missing.push(format!("{what}: {error}"));
            Vec::new()
        }
    }
}

async fn pairs(conn: &mut Conn, sql: &str, answers: &mut Answers) -> BTreeMap<String, String> {
    let rows = told(conn, sql, sql, answers).await;
    rows.into_iter()
        .map(|row| {
            let [name, value] = columns(row);
            (name.to_lowercase(), value)
        })
        .collect()
}

/// The first values of a row, as text; empty where there is none.
fn columns<const N: usize>(row: TextRow) -> [String; N] {
    let mut values = row.into_iter().map(|(_, value)| value.unwrap_or_default());
    std::array::from_fn(|_| values.next().unwrap_or_default())
}

fn first_value(rows: &[TextRow]) -> String {
    let value = rows.first().and_then(|row| row.first());
    value
        .and_then(|(_, value)| value.clone())
        .unwrap_or_default()
}

async fn explain(conn: &mut Conn, question: &Question) -> Result<Vec<TextRow>, String> {
    if !question.database.is_empty() {
        let name = question.database.replace('`', "``");
        let used = conn.query_drop(format!("USE `{name}`")).await;
        used.map_err(|error| error.to_string())?;
    }
    let explain = format!("EXPLAIN {}", question.statement);
    let read = conn.exec_iter(explain, Params::Empty).await;
    let mut result = read.map_err(|error| error.to_string())?;
    let rows: Vec<Row> = result.collect().await.map_err(|error| error.to_string())?;
    Ok(rows.into_iter().take(MOST_ROWS).map(text_row).collect())
}

async fn rows(conn: &mut Conn, sql: &str) -> Result<Vec<TextRow>, String> {
    let rows: Vec<Row> = conn.query(sql).await.map_err(|error| error.to_string())?;
    Ok(rows.into_iter().take(MOST_ROWS).map(text_row).collect())
}

fn text_row(row: Row) -> TextRow {
    let columns = row.columns();
    let names = columns.iter().map(|column| column.name_str().into_owned());
    names
        .zip(
            row.unwrap_raw()
                .into_iter()
                .map(|value| value.and_then(text)),
        )
        .collect()
}

fn text(value: Value) -> Option<String> {
    match value {
        Value::NULL => None,
        Value::Bytes(bytes) => Some(String::from_utf8_lossy(&bytes).into_owned()),
        Value::Int(value) => Some(value.to_string()),
        Value::UInt(value) => Some(value.to_string()),
        Value::Float(value) => Some(value.to_string()),
        Value::Double(value) => Some(value.to_string()),
        other => Some(other.as_sql(false)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_masked() {
        let check = |url: &str, shown: &str| assert_eq!(masked(url), shown);
        check(
            "mysql://root:secret@db:3306/x?pool_max=1",
            "mysql://root:...@db:3306/x",
        );
        check("mysql://root@db/x", "mysql://root@db/x");
        check("root:secret@db", "the database's URL");
    }

    #[test]
    fn a_server_that_is_not_there_is_an_error_without_the_password() {
        let error = ask("mysql://root:secret@127.0.0.1:1/x", &[])
            .map(|_| ())
            .map_err(|e| format!("{e:#}"));
        let Err(error) = error else {
            panic!("port 1 answered");
        };
        assert!(
            error.contains("127.0.0.1:1") && !error.contains("secret"),
            "{error}"
        );
    }
}
