//! What all requests share.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use tempfile::TempDir;
use thiserror::Error;

use crate::board::Board;
use crate::db::{Db, DbError, Location};
use crate::log::access::AccessLog;
use crate::log::slow::SlowLog;
use crate::memory::Memory;
use crate::options::Options;
use crate::portal::initialize;

/// The portal cannot start.
#[derive(Debug, Error)]
pub enum StartError {
    /// The database does not open, or cannot be filled.
    #[error("cannot use the database {place}: {cause}")]
    Database {
        /// Where it is, without its password.
        place: String,
        /// What it said.
        cause: DbError,
    },
    /// No temporary folder.
    #[error("cannot make a temporary folder for the database: {0}: give --database PATH")]
    Folder(std::io::Error),
    /// A log file does not open.
    #[error("cannot write the log {path}: {cause}")]
    Log {
        /// The file.
        path: PathBuf,
        /// Why.
        cause: std::io::Error,
    },
    /// A slow log of a server that writes its own.
    #[error(
        "there is no slow log with mysql://: the server writes its own, see its variables \
         slow_query_log, slow_query_log_file and long_query_time"
    )]
    SlowLogOfMysql,
}

/// What all requests share.
#[derive(Debug)]
pub(crate) struct App {
    pub(crate) options: Options,
    pub(crate) db: Db,
    pub(crate) access_log: Option<Arc<AccessLog>>,
    pub(crate) board: Board,
    pub(crate) next_request: AtomicU64,
    pub(crate) initializing: tokio::sync::Mutex<()>,
    memory: Memory,
    /// Held for as long as the database in it is used; dropping it removes it.
    _folder: Option<TempDir>,
}

impl App {
    /// Open the logs and the database, and make the tables if there are none.
    pub(crate) async fn start(options: Options) -> Result<Self, StartError> {
        let (location, folder) = match options.database.clone() {
            Some(location) => (location, None),
            None => {
                let folder = tempfile::Builder::new().prefix("contest-").tempdir();
                let folder = folder.map_err(StartError::Folder)?;
                let file = folder.path().join("contest.db");
                (Location::Sqlite(file), Some(folder))
            }
        };
        if matches!(location, Location::Mysql(_)) && options.slow_log.is_some() {
            return Err(StartError::SlowLogOfMysql);
        }
        let log = |path: &PathBuf, cause| StartError::Log {
            path: path.clone(),
            cause,
        };
        let access_log = match &options.access_log {
            Some(path) => Some(Arc::new(AccessLog::open(path).map_err(|it| log(path, it))?)),
            None => None,
        };
        let slow_log = match &options.slow_log {
            Some(path) => Some(
                SlowLog::open(path, options.long_query_time).map_err(|cause| log(path, cause))?,
            ),
            None => None,
        };
        let database = |cause| StartError::Database {
            place: location.to_string(),
            cause,
        };
        let db = Db::open(&location, options.connections(), slow_log).map_err(database)?;
        let web = options.role.web();
        let app = Self {
            options,
            db,
            access_log,
            board: Board::default(),
            next_request: AtomicU64::new(1),
            initializing: tokio::sync::Mutex::default(),
            memory: Memory::default(),
            _folder: folder,
        };
        // Of two processes that start together only one may make the tables.
        if web {
            initialize::make_missing(&app).await.map_err(database)?;
        }
        Ok(app)
    }

    /// What is kept of sessions, if it may be.
    pub(crate) fn memory(&self) -> Option<&Memory> {
        self.options.fixes.cache.then_some(&self.memory)
    }
}
