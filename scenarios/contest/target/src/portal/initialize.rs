//! Everything anew.

use super::limits::CAPACITY;
use super::person;
use crate::app::App;
use crate::db::{self, DbError};
use crate::http::{Call, Success};
use crate::messages::{InitializeRequest, InitializeResponse};
use crate::refusal::{BAD_REQUEST, Failure};
use crate::secret::password_hash;

/// `POST /initialize`
pub(crate) async fn initialize(call: &Call) -> Result<Success, Failure> {
    let request: InitializeRequest = call.decode()?;
    let capacity = match request.team_capacity {
        0 => CAPACITY,
        1.. => request.team_capacity.into(),
        _ => return Err(BAD_REQUEST.because("a capacity is not negative").into()),
    };
    make(&call.app, capacity).await?;
    let contest = person::read_contest(&mut call.read().await?).await?;
    Ok(Success::message(&InitializeResponse {
        language: "rust".to_owned(),
        contest: Some(contest),
    }))
}

/// Make what is not there yet, when the portal starts.
pub(crate) async fn make_missing(app: &App) -> Result<(), DbError> {
    let mut conn = app.db.read().await?;
    let there = conn.row("SELECT id FROM contest", []).await;
    drop(conn);
    match there {
        Ok(Some(_)) => Ok(()),
        // An empty database answers that there is no such table, as does another program's.
        _ => make(app, CAPACITY).await,
    }
}

async fn make(app: &App, capacity: i64) -> Result<(), DbError> {
    // Two at once would drop each other's tables.
    let _turn = app.initializing.lock().await;
    let hash = password_hash("staff", "staff");
    let made = db::create(&app.db, capacity, app.options.fixes.index, &hash).await;
    if let Some(memory) = app.memory() {
        memory.forget_all();
    }
    app.board.forget().await;
    made
}
