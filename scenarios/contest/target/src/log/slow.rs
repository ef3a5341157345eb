//! Statements in the format of MySQL 8's slow query log, for SQLite, which has no log of its own.
//!
//! `Query_time` is the time of the statement, all rows fetched, without its preparation.
//! `Lock_time` is the time that `BEGIN IMMEDIATE` waited to write, and 0 for every other statement.
//! `Rows_examined` is an estimate: SQLite counts the steps of full scans, and to them the rows sent
//! are added. What an index finds and a condition then refuses is not counted.

use std::path::Path;
use std::time::Duration;

use super::writer::Writer;
use crate::clock;

/// What a server writes at its start.
const HEAD: &str = concat!(
    "contest-target, Version: ",
    env!("CARGO_PKG_VERSION"),
    " (SQLite). started with:\n",
    "Tcp port: 0  Unix socket: \n",
    "Time                 Id Command    Argument\n",
);

/// A statement that was run.
#[derive(Debug)]
pub(crate) struct Statement {
    /// The connection's number.
    pub(crate) connection: usize,
    /// When it ended, in microseconds since 1970.
    pub(crate) ended: i64,
    /// From its first step to its last one.
    pub(crate) took: Duration,
    /// How long of it was spent waiting for a lock.
    pub(crate) locked: Duration,
    /// Rows it returned.
    pub(crate) sent: u64,
    /// Rows it looked at, an estimate.
    pub(crate) examined: u64,
    /// Its text with its values, without a semicolon.
    pub(crate) sql: String,
}

/// The slow log.
#[derive(Debug)]
pub(crate) struct SlowLog {
    writer: Writer,
    threshold: Duration,
}

impl SlowLog {
    /// Open the file; statements that take less than `threshold` stay out.
    pub(crate) fn open(path: &Path, threshold: Duration) -> std::io::Result<Self> {
        let writer = Writer::open(path, HEAD)?;
        Ok(Self { writer, threshold })
    }

    /// Whether a statement that took this long is written.
    pub(crate) fn wants(&self, took: Duration) -> bool {
        took >= self.threshold
    }

    pub(crate) fn append(&self, statement: &Statement) {
        self.writer.append(entry(statement));
    }
}

fn entry(statement: &Statement) -> String {
    let (time, micros) = clock::iso(statement.ended);
    let started = statement.ended - i64::try_from(statement.took.as_micros()).unwrap_or(0);
    format!(
        "# Time: {time}.{micros:06}Z\n\
         # User@Host: contest[contest] @ localhost []  Id: {:5}\n\
         # Query_time: {:.6}  Lock_time: {:.6} Rows_sent: {}  Rows_examined: {}\n\
         SET timestamp={};\n\
         {};\n",
        statement.connection,
        statement.took.as_secs_f64(),
        statement.locked.as_secs_f64(),
        statement.sent,
        statement.examined,
        started.div_euclid(1_000_000),
        statement.sql
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_looks_like_mysqls() {
        let statement = Statement {
            connection: 7,
            ended: 1_767_323_045_678_901,
            took: Duration::from_micros(123),
            locked: Duration::ZERO,
            sent: 1,
            examined: 4_000,
            sql: "SELECT 1".to_owned(),
        };
        assert_eq!(
            entry(&statement),
            "# Time: 2026-01-02T03:04:05.678901Z\n\
             # User@Host: contest[contest] @ localhost []  Id:     7\n\
             # Query_time: 0.000123  Lock_time: 0.000000 Rows_sent: 1  Rows_examined: 4000\n\
             SET timestamp=1767323045;\n\
             SELECT 1;\n"
        );
    }
}
