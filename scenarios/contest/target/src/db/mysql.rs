//! MySQL and MariaDB, over their wire protocol.

use std::time::Duration;

use mysql_async::prelude::Queryable;
use mysql_async::{
    Conn, Error, IsolationLevel, Opts, OptsBuilder, Params, PoolConstraints, PoolOpts, ServerError,
    Transaction, TxOpts,
};

use super::DbError;
use super::value::{Answer, Row, Value};

/// Statements that a connection keeps prepared.
const PREPARED: usize = 256;
/// How long closing the connections may take.
const GOODBYE: Duration = Duration::from_secs(5);
/// The server's error number of a key that is there already.
const DUPLICATE_KEY: u16 = 1062;

/// Connections to a server.
#[derive(Debug)]
pub(crate) struct Pool(mysql_async::Pool);

impl Pool {
    /// Connect later, when there is something to ask.
    pub(crate) fn open(options: &Opts, connections: usize) -> Self {
        // A reset would throw the prepared statements away with the rest.
        let mut pool = PoolOpts::default().with_reset_connection(false);
        if let Some(constraints) = PoolConstraints::new(1, connections.max(1)) {
            pool = pool.with_constraints(constraints);
        }
        let options = OptsBuilder::from_opts(options.clone())
            .pool_opts(pool)
            .prefer_socket(false)
            .stmt_cache_size(PREPARED)
            // Every transaction of ours locks what it depends on, so gaps need no locks.
            .setup(vec![
                "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
            ]);
        Self(mysql_async::Pool::new(options))
    }

    pub(crate) async fn single(&self) -> Result<Conn, DbError> {
        Ok(self.0.get_conn().await?)
    }

    pub(crate) async fn begin(&self) -> Result<Transaction<'static>, DbError> {
        Ok(self.0.start_transaction(TxOpts::new()).await?)
    }

    pub(crate) async fn snapshot(&self) -> Result<Transaction<'static>, DbError> {
        let mut options = TxOpts::new();
        options
            .with_consistent_snapshot(true)
            .with_isolation_level(IsolationLevel::RepeatableRead);
        Ok(self.0.start_transaction(options).await?)
    }

    pub(crate) async fn close(&self) {
        // A server that has gone must not keep us.
        let _ = tokio::time::timeout(GOODBYE, self.0.clone().disconnect()).await;
    }
}

/// Run a statement to its end.
pub(crate) async fn run(
    conn: &mut impl Queryable,
    sql: &str,
    values: Vec<Value>,
) -> Result<Answer, DbError> {
    let values = match values.is_empty() {
        true => Params::Empty,
        false => Params::Positional(values.into_iter().map(to_mysql).collect()),
    };
    let mut result = conn.exec_iter(sql, values).await?;
    let (changed, id) = (result.affected_rows(), result.last_insert_id());
    let mut rows = Vec::new();
    for row in result.collect::<mysql_async::Row>().await? {
        let values = row.unwrap().into_iter().enumerate();
        let values = values.map(|(column, value)| from_mysql(column, value));
        rows.push(Row(values.collect::<Result<_, _>>()?));
    }
    Ok(Answer {
        rows,
        changed,
        id: id.and_then(|id| i64::try_from(id).ok()).unwrap_or(0),
    })
}

fn to_mysql(value: Value) -> mysql_async::Value {
    match value {
        Value::Null => mysql_async::Value::NULL,
        Value::Int(value) => mysql_async::Value::Int(value),
        Value::Text(text) => mysql_async::Value::Bytes(text.into_bytes()),
    }
}

fn from_mysql(column: usize, value: mysql_async::Value) -> Result<Value, DbError> {
    Ok(match value {
        mysql_async::Value::NULL => Value::Null,
        mysql_async::Value::Int(value) => Value::Int(value),
        mysql_async::Value::UInt(value) => {
            Value::Int(i64::try_from(value).map_err(|_| DbError::Shape(column))?)
        }
        mysql_async::Value::Bytes(bytes) => {
            Value::Text(String::from_utf8(bytes).map_err(|_| DbError::Shape(column))?)
        }
        _ => return Err(DbError::Shape(column)),
    })
}

pub(crate) fn error(cause: Error) -> DbError {
    match cause {
        Error::Server(ServerError {
            code: DUPLICATE_KEY,
            ..
        }) => DbError::Duplicate,
        cause => DbError::Mysql(Box::new(cause)),
    }
}
