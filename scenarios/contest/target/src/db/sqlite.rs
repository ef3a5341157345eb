//! SQLite: each connection is a thread of its own, so that no statement blocks the async runtime.
//!
//! One connection writes, the others read beside it (WAL). A lease is the right to talk to one.

use std::borrow::Cow;
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rusqlite::{CachedStatement, Connection, ErrorCode, StatementStatus};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::DbError;
use super::value::{Answer, Row, Value};
use crate::clock;
use crate::log::slow::{SlowLog, Statement};

/// Statements that a connection keeps prepared.
const PREPARED: usize = 256;

/// How long a statement waits for another process's lock.
const BUSY: Duration = Duration::from_secs(20);
/// How often it tries to get it.
const TRY_AGAIN: Duration = Duration::from_micros(300);

/// What a connection's thread is asked to do.
enum Ask {
    Run {
        sql: Cow<'static, str>,
        values: Vec<Value>,
        answer: oneshot::Sender<Result<Answer, DbError>>,
    },
    /// End a transaction that nobody committed.
    Undo,
}

/// The connections to a file.
#[derive(Debug)]
pub(crate) struct Pool {
    readers: Arc<Group>,
    writer: Arc<Group>,
}

/// Connections that can stand in for each other.
#[derive(Debug)]
struct Group {
    idle: Mutex<Vec<Sender<Ask>>>,
    free: Arc<Semaphore>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Pool {
    pub(crate) fn open(
        path: &Path,
        readers: usize,
        slow_log: Option<SlowLog>,
    ) -> Result<Self, DbError> {
        let slow_log = slow_log.map(Arc::new);
        // Opened first: it makes the file and turns it to WAL, which readers could not.
        let writer = Group::open(path, 1..2, slow_log.as_ref())?;
        let readers = Group::open(path, 2..2 + readers.max(1), slow_log.as_ref())?;
        Ok(Self { readers, writer })
    }

    pub(crate) async fn reader(&self) -> Result<Lease, DbError> {
        Lease::take(&self.readers).await
    }

    pub(crate) async fn writer(&self) -> Result<Lease, DbError> {
        Lease::take(&self.writer).await
    }

    /// Hand out no more leases, and wait for the threads: their last statements must be logged.
    pub(crate) async fn close(&self) {
        let mut threads = Vec::new();
        for group in [&self.readers, &self.writer] {
            group.free.close();
            group.idle().clear();
            let mut started = group.threads.lock().unwrap_or_else(PoisonError::into_inner);
            threads.append(&mut started);
        }
        let joined = tokio::task::spawn_blocking(move || {
            for thread in threads {
                let _ = thread.join();
            }
        });
        let _ = joined.await;
    }
}

impl Group {
    fn open(
        path: &Path,
        numbers: std::ops::Range<usize>,
        slow_log: Option<&Arc<SlowLog>>,
    ) -> Result<Arc<Self>, DbError> {
        let free = Arc::new(Semaphore::new(numbers.len()));
        let (mut idle, mut threads) = (Vec::new(), Vec::new());
        for number in numbers {
            let worker = Worker {
                connection: connect(path)?,
                number,
                slow_log: slow_log.cloned(),
            };
            let (asks, queue) = channel();
            let thread = std::thread::Builder::new().name(format!("sqlite-{number}"));
            threads.push(thread.spawn(move || worker.work(&queue))?);
            idle.push(asks);
        }
        Ok(Arc::new(Self {
            idle: Mutex::new(idle),
            free,
            threads: Mutex::new(threads),
        }))
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Sender<Ask>>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn connect(path: &Path) -> Result<Connection, DbError> {
    let connection = Connection::open(path)?;
    connection.busy_handler(Some(wait_for_lock))?;
    connection.set_prepared_statement_cache_capacity(PREPARED);
    connection.pragma_update(None, "journal_mode", "WAL")?;
    // A power failure may cost the last commits, and never more: this is a sample.
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    connection.pragma_update(None, "cache_size", -65_536)?;
    Ok(connection)
}

/// Wait for another process's lock, for the `tries`th time.
///
/// SQLite's own waiting grows to a tenth of a second a try. A process that writes all the time
/// leaves the lock free for some microseconds only, and another one would hardly ever meet them.
fn wait_for_lock(tries: i32) -> bool {
    std::thread::sleep(TRY_AGAIN);
    u32::try_from(tries).is_ok_and(|tries| TRY_AGAIN * tries < BUSY)
}

/// A connection, for as long as it is held.
pub(crate) struct Lease {
    group: Arc<Group>,
    connection: Option<Sender<Ask>>,
    in_transaction: bool,
    _permit: OwnedSemaphorePermit,
}

impl Lease {
    async fn take(group: &Arc<Group>) -> Result<Self, DbError> {
        let permit = Arc::clone(&group.free).acquire_owned().await;
        let permit = permit.map_err(|_| DbError::Closed)?;
        let connection = group.idle().pop();
        Ok(Self {
            group: Arc::clone(group),
            connection: Some(connection.ok_or(DbError::Closed)?),
            in_transaction: false,
            _permit: permit,
        })
    }

    pub(crate) async fn run(
        &mut self,
        sql: Cow<'static, str>,
        values: Vec<Value>,
    ) -> Result<Answer, DbError> {
        let (answer, answered) = oneshot::channel();
        let ask = Ask::Run {
            sql,
            values,
            answer,
        };
        let connection = self.connection.as_ref().ok_or(DbError::Closed)?;
        connection.send(ask).map_err(|_| DbError::Closed)?;
        answered.await.map_err(|_| DbError::Closed)?
    }

    pub(crate) async fn begin(&mut self, sql: &'static str) -> Result<(), DbError> {
        // Set first: should this be dropped while it waits, the transaction is undone all the same.
        self.in_transaction = true;
        self.run(sql.into(), Vec::new()).await?;
        Ok(())
    }

    pub(crate) async fn commit(mut self) -> Result<(), DbError> {
        if self.in_transaction {
            self.run("COMMIT".into(), Vec::new()).await?;
            self.in_transaction = false;
        }
        Ok(())
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let Some(connection) = self.connection.take() else {
            return;
        };
        if self.in_transaction {
            // Asks are done in their order: the next lease finds the connection clean.
            let _ = connection.send(Ask::Undo);
        }
        if !self.group.free.is_closed() {
            self.group.idle().push(connection);
        }
    }
}

/// A connection on its thread.
struct Worker {
    connection: Connection,
    number: usize,
    slow_log: Option<Arc<SlowLog>>,
}

impl Worker {
    fn work(&self, queue: &Receiver<Ask>) {
        while let Ok(ask) = queue.recv() {
            match ask {
                Ask::Run {
                    sql,
                    values,
                    answer,
                } => {
                    // Whoever asked may have gone.
                    let _ = answer.send(self.run(&sql, &values));
                }
                Ask::Undo if !self.connection.is_autocommit() => {
                    let _ = self.run("ROLLBACK", &[]);
                }
                Ask::Undo => {}
            }
        }
    }

    fn run(&self, sql: &str, values: &[Value]) -> Result<Answer, DbError> {
        let mut statement = self.connection.prepare_cached(sql)?;
        for (place, value) in (1..).zip(values) {
            match value {
                Value::Null => statement.raw_bind_parameter(place, None::<i64>)?,
                Value::Int(value) => statement.raw_bind_parameter(place, value)?,
                Value::Text(text) => statement.raw_bind_parameter(place, text)?,
            }
        }
        statement.reset_status(StatementStatus::FullscanStep);
        let began = Instant::now();
        let stepped = step(&mut statement);
        let took = began.elapsed();
        let answer = stepped.map_err(|cause| match cause.sqlite_error_code() {
            Some(ErrorCode::ConstraintViolation) => DbError::Duplicate,
            _ => cause.into(),
        });
        self.log(
            &statement,
            took,
            answer.as_ref().map_or(0, |it| it.rows.len()),
        );
        let mut answer = answer?;
        answer.id = self.connection.last_insert_rowid();
        Ok(answer)
    }

    fn log(&self, statement: &CachedStatement<'_>, took: Duration, sent: usize) {
        let Some(log) = self.slow_log.as_ref().filter(|log| log.wants(took)) else {
            return;
        };
        let sql = statement.expanded_sql().unwrap_or_default();
        let scanned = statement.get_status(StatementStatus::FullscanStep);
        let sent = sent as u64;
        let locked = if sql == "BEGIN IMMEDIATE" {
            took
        } else {
            Duration::ZERO
        };
        log.append(&Statement {
            connection: self.number,
            ended: clock::now(),
            took,
            locked,
            sent,
            examined: sent + u64::try_from(scanned).unwrap_or(0),
            sql,
        });
    }
}

/// Take all rows of a statement whose values are bound.
fn step(statement: &mut CachedStatement<'_>) -> Result<Answer, rusqlite::Error> {
    let columns = statement.column_count();
    if columns == 0 {
        let changed = statement.raw_execute()? as u64;
        return Ok(Answer {
            changed,
            ..Answer::default()
        });
    }
    let mut answer = Answer::default();
    let mut rows = statement.raw_query();
    while let Some(row) = rows.next()? {
        let values = (0..columns).map(|column| {
            Ok(match row.get_ref(column)? {
                rusqlite::types::ValueRef::Null => Value::Null,
                rusqlite::types::ValueRef::Integer(value) => Value::Int(value),
                other => Value::Text(other.as_str()?.to_owned()),
            })
        });
        answer
            .rows
            .push(Row(values.collect::<Result<_, rusqlite::Error>>()?));
    }
    Ok(answer)
}
