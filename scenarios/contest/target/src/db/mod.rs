//! One way to talk to both databases: a statement and its values in, rows out.
//!
//! Statements are written once, in the SQL that SQLite and MySQL share. Where they differ, the
//! difference is here: how a transaction begins, how rows are locked, what a type is called.

mod location;
mod mysql;
mod schema;
mod seed;
mod sqlite;
mod value;

use std::borrow::Cow;
use std::sync::Weak;

use thiserror::Error;

pub use location::{BadLocation, Location};
pub(crate) use schema::create;
pub(crate) use value::{Answer, Row, Value};

use crate::log::slow::SlowLog;

/// The database failed, or said something that we do not understand.
#[derive(Debug, Error)]
pub enum DbError {
    /// SQLite refused.
    #[error("SQLite: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// MySQL refused, or is not there.
    #[error("MySQL: {0}")]
    Mysql(#[from] Box<mysql_async::Error>),
    /// A row with this key is there already.
    #[error("there is such a row already")]
    Duplicate,
    /// A column is not what the statement should give.
    #[error("column {0} has another type, or is not there: is this another program's database?")]
    Shape(usize),
    /// A statement must have an answer, and has none.
    #[error("a row is not there: is this another program's database? POST /initialize makes it")]
    Missing,
    /// The connections have been closed.
    #[error("the database is closed")]
    Closed,
    /// Nobody waits any more for what a request reads.
    #[error("the client has gone")]
    Abandoned,
    /// A connection's thread cannot be started.
    #[error("cannot start a thread for a database connection: {0}")]
    Thread(#[from] std::io::Error),
}

impl From<mysql_async::Error> for DbError {
    fn from(cause: mysql_async::Error) -> Self {
        mysql::error(cause)
    }
}

/// A database, and its pool of connections.
#[derive(Debug)]
pub(crate) enum Db {
    Sqlite(sqlite::Pool),
    Mysql(mysql::Pool),
}

impl Db {
    /// Open a database with so many reading connections.
    pub(crate) fn open(
        location: &Location,
        connections: usize,
        slow_log: Option<SlowLog>,
    ) -> Result<Self, DbError> {
        Ok(match location {
            Location::Sqlite(path) => {
                Self::Sqlite(sqlite::Pool::open(path, connections, slow_log)?)
            }
            Location::Mysql(options) => Self::Mysql(mysql::Pool::open(options, connections)),
        })
    }

    /// A connection for statements that read, each on its own.
    pub(crate) async fn read(&self) -> Result<Conn, DbError> {
        Ok(Conn::from(match self {
            Self::Sqlite(pool) => Inner::Sqlite(pool.reader().await?),
            Self::Mysql(pool) => Inner::Mysql(pool.single().await?),
        }))
    }

    /// A connection whose statements all see the same moment.
    pub(crate) async fn snapshot(&self) -> Result<Conn, DbError> {
        Ok(Conn::from(match self {
            Self::Sqlite(pool) => {
                let mut conn = pool.reader().await?;
                conn.begin("BEGIN").await?;
                Inner::Sqlite(conn)
            }
            Self::Mysql(pool) => Inner::MysqlTransaction(pool.snapshot().await?),
        }))
    }

    /// A connection for statements that write, each on its own.
    pub(crate) async fn write(&self) -> Result<Conn, DbError> {
        Ok(Conn::from(match self {
            Self::Sqlite(pool) => Inner::Sqlite(pool.writer().await?),
            Self::Mysql(pool) => Inner::Mysql(pool.single().await?),
        }))
    }

    /// A transaction that writes. It is undone unless it is committed.
    pub(crate) async fn begin(&self) -> Result<Conn, DbError> {
        Ok(Conn::from(match self {
            Self::Sqlite(pool) => {
                let mut conn = pool.writer().await?;
                // Takes the only write lock now: a lock taken later could find what was read old.
                conn.begin("BEGIN IMMEDIATE").await?;
                Inner::Sqlite(conn)
            }
            Self::Mysql(pool) => Inner::MysqlTransaction(pool.begin().await?),
        }))
    }

    /// Close all connections.
    pub(crate) async fn close(&self) {
        match self {
            Self::Sqlite(pool) => pool.close().await,
            Self::Mysql(pool) => pool.close().await,
        }
    }
}

/// A connection taken from the pool; it goes back when it is dropped.
pub(crate) struct Conn {
    inner: Inner,
    /// What is put behind each statement.
    comment: Option<String>,
    /// Whoever waits for what is read.
    client: Option<Weak<()>>,
}

enum Inner {
    Sqlite(sqlite::Lease),
    Mysql(mysql_async::Conn),
    MysqlTransaction(mysql_async::Transaction<'static>),
}

impl From<Inner> for Conn {
    fn from(inner: Inner) -> Self {
        Self {
            inner,
            comment: None,
            client: None,
        }
    }
}

impl Conn {
    /// The same connection, whose statements name the request that they are for.
    pub(crate) fn with_comment(mut self, request: Option<u64>) -> Self {
        self.comment = request.map(|id| format!(" /* reqid={id} */"));
        self
    }

    /// The same connection, which runs no more statements once its client has gone: a portal that is too slow would
    /// be busy long after with what nobody wants. Between two statements only, as what a server still
    /// sends for one that was broken off would be read as the answer to the next.
    pub(crate) fn for_client(mut self, client: Option<Weak<()>>) -> Self {
        self.client = client;
        self
    }

    /// Run a statement to its end. `?` in it are the values, in their order.
    pub(crate) async fn run(
        &mut self,
        sql: impl Into<Cow<'static, str>>,
        values: impl Into<Vec<Value>>,
    ) -> Result<Answer, DbError> {
        let has_gone = |client: &Weak<()>| client.strong_count() == 0;
        if self.client.as_ref().is_some_and(has_gone) {
            return Err(DbError::Abandoned);
        }
        let (mut sql, values) = (sql.into(), values.into());
        if let Some(comment) = &self.comment {
            sql.to_mut().push_str(comment);
        }
        match &mut self.inner {
            Inner::Sqlite(conn) => conn.run(sql, values).await,
            Inner::Mysql(conn) => mysql::run(conn, &sql, values).await,
            Inner::MysqlTransaction(transaction) => mysql::run(transaction, &sql, values).await,
        }
    }

    /// The rows of a statement.
    pub(crate) async fn rows(
        &mut self,
        sql: impl Into<Cow<'static, str>>,
        values: impl Into<Vec<Value>>,
    ) -> Result<Vec<Row>, DbError> {
        Ok(self.run(sql, values).await?.rows)
    }

    /// The first row of a statement.
    pub(crate) async fn row(
        &mut self,
        sql: impl Into<Cow<'static, str>>,
        values: impl Into<Vec<Value>>,
    ) -> Result<Option<Row>, DbError> {
        Ok(self.run(sql, values).await?.rows.into_iter().next())
    }

    /// The first row, which nobody else may change or lock until this transaction ends.
    ///
    /// SQLite has one writer at a time, so a transaction that writes holds all locks already.
    pub(crate) async fn lock(
        &mut self,
        sql: &'static str,
        values: impl Into<Vec<Value>>,
    ) -> Result<Option<Row>, DbError> {
        match self.inner {
            Inner::Sqlite(_) => self.row(sql, values).await,
            _ => self.row(format!("{sql} FOR UPDATE"), values).await,
        }
    }

    /// Make what the transaction wrote visible to all.
    pub(crate) async fn commit(self) -> Result<(), DbError> {
        match self.inner {
            Inner::Sqlite(conn) => conn.commit().await,
            Inner::Mysql(_) => Ok(()),
            Inner::MysqlTransaction(transaction) => Ok(transaction.commit().await?),
        }
    }

    /// Whether this is SQLite.
    pub(crate) fn is_sqlite(&self) -> bool {
        matches!(self.inner, Inner::Sqlite(_))
    }
}
