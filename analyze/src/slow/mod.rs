//! Slow-query logs of MySQL, MariaDB and Percona Server.

mod ahead;
mod frame;
#[doc(hidden)]
pub mod fuzz;
mod header;
mod limits;
pub mod pt;
mod quote;
mod reader;
mod request_id;
pub(crate) mod secrets;
pub mod shape;
mod value;

pub use reader::{Reader, ShapeStyle};

use crate::digest::{NO_TIME, Span, UNKNOWN_AT};

/// Whether a file that begins with `start` (a few kilobytes or more) is a slow-query log.
pub fn looks_like(start: &[u8]) -> bool {
    frame::next_header(start, 0, 0).is_some() || frame::begins_banner(start)
}

/// What a statement does, as far as its first word says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Verb {
    /// Reads: SELECT, WITH ... SELECT, TABLE, VALUES, SHOW, EXPLAIN, DESC.
    Read,
    /// Writes rows: INSERT, REPLACE, UPDATE, DELETE, LOAD, WITH ... UPDATE, CALL.
    Write,
    /// Begins or ends a transaction.
    Transaction,
    /// Changes the schema.
    Schema,
    /// An administrator command (`# administrator command: Ping`).
    Admin,
    /// Anything else: SET, USE, PREPARE, a syntax error.
    #[default]
    Other,
}

/// A set of what the server says it did for a statement (one bit each).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Flags(pub u16);

impl Flags {
    /// Read a whole table.
    pub const FULL_SCAN: Flags = Flags(1);
    /// Joined without an index.
    pub const FULL_JOIN: Flags = Flags(1 << 1);
    /// Made a temporary table.
    pub const TMP_TABLE: Flags = Flags(1 << 2);
    /// Made a temporary table on disk.
    pub const TMP_TABLE_ON_DISK: Flags = Flags(1 << 3);
    /// Sorted.
    pub const FILESORT: Flags = Flags(1 << 4);
    /// Sorted on disk.
    pub const FILESORT_ON_DISK: Flags = Flags(1 << 5);
    /// Sorted with a priority queue.
    pub const PRIORITY_QUEUE: Flags = Flags(1 << 6);
    /// Answered by the query cache.
    pub const QUERY_CACHE_HIT: Flags = Flags(1 << 7);
    /// The server gave an error (`Errno` or `Last_errno` that is not 0).
    pub const FAILED: Flags = Flags(1 << 8);
    /// The text of the statement is not whole: it is longer than the limit or the log ends in it.
    pub const CUT: Flags = Flags(1 << 9);

    /// The time was negative, which servers write wrapped around (`18446744073708.796870`); it counts
    /// as 0.
    pub const WRAPPED_TIME: Flags = Flags(1 << 10);
    /// It was killed (`Killed` of Percona Server; the other servers do not tell).
    pub const KILLED: Flags = Flags(1 << 11);

    /// Whether all of `other` is in this set.
    #[inline]
    pub fn has(self, other: Flags) -> bool {
        self.0 & other.0 == other.0
    }

    /// Add `other`.
    #[inline]
    pub fn add(&mut self, other: Flags) {
        self.0 |= other.0;
    }
}

/// A statement as a slow log tells it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Record {
    /// Equal for statements of one shape.
    pub shape: u64,
    /// The statement: without `use`, `SET timestamp` and its last semicolon.
    pub statement: Span,
    /// What it does.
    pub verb: Verb,
    /// What the server says it did.
    pub flags: Flags,
    /// When it ended, in microseconds since the Unix epoch (MariaDB tells when it began, in seconds);
    /// `UNKNOWN_AT` when only earlier records say.
    pub at_us: i64,
    /// Duration in nanoseconds, lock time included.
    pub query_ns: u64,
    /// Time it waited for locks, in nanoseconds; `NO_TIME` when the log does not tell.
    pub lock_ns: u64,
    /// Rows sent to the client.
    pub rows_sent: u64,
    /// Rows the server looked at.
    pub rows_examined: u64,
    /// Rows written.
    pub rows_affected: u64,
    /// Bytes sent to the client.
    pub bytes_sent: u64,
    /// The connection's number (`Id:`, `Thread_id:`); 0 when unknown.
    pub connection: u64,
    /// The user's name, as in `root` of `root[root] @ localhost [127.0.0.1]`.
    pub user: Span,
    /// The client's host name, or its address where it has no name.
    pub host: Span,
    /// The database it ran in (empty: none); none when it is the one of the record before.
    pub database: Option<Span>,
    /// Whether a server's start-up header stands before it: what earlier records said does not hold.
    pub after_restart: bool,
    /// A request's id in a comment of the statement (`/* reqid=... */`, `traceparent='...'`).
    pub request_id: Span,
    /// MariaDB's `# explain:` lines, all of them.
    pub explain: Span,
    /// How many statements it stands for (`Log_slow_rate_limit`); 1 unless the log is a sample.
    pub weight: u32,
}

impl Default for Record {
    fn default() -> Self {
        Self {
            shape: 0,
            statement: Span::default(),
            verb: Verb::Other,
            flags: Flags::default(),
            at_us: UNKNOWN_AT,
            query_ns: 0,
            lock_ns: NO_TIME,
            rows_sent: 0,
            rows_examined: 0,
            rows_affected: 0,
            bytes_sent: 0,
            connection: 0,
            user: Span::default(),
            host: Span::default(),
            database: None,
            after_restart: false,
            request_id: Span::default(),
            explain: Span::default(),
            weight: 1,
        }
    }
}
