//! Jobs, as the workers see them.

use super::limits::{self, NAME, PROSE};
use super::notifications;
use crate::clock;
use crate::db::DbError;
use crate::http::{Call, Success};
use crate::messages::{
    JobHandle, ReceiveJobRequest, ReceiveJobResponse, ReportJobRequest, ReportJobResponse,
    job::Status,
};
use crate::refusal::{BAD_REQUEST, Failure, NOT_FOUND, WRONG_HANDLE};
use crate::secret::token;

/// Hexadecimal digits of a handle.
const HANDLE_DIGITS: usize = 32;

/// `POST /worker/jobs/receive`
pub(crate) async fn receive(call: &Call) -> Result<Success, Failure> {
    let request: ReceiveJobRequest = call.decode()?;
    limits::at_most("a worker's name", &request.worker, NAME)?;
    let job = loop {
        let mut conn = call.read().await?;
        let sql = "SELECT id, team_id, target_host FROM jobs WHERE status = 1 ORDER BY id LIMIT 1";
        let Some(row) = conn.row(sql, []).await? else {
            break None;
        };
        drop(conn);
        let job = JobHandle {
            job_id: row.int(0)?,
            team_id: row.int(1)?,
            target_host: row.text(2)?,
            handle: token(HANDLE_DIGITS),
        };
        // The condition decides between workers that saw the same job, in whatever process.
        let mut conn = call.write().await?;
        let taken = conn
            .run(
                "UPDATE jobs SET status = 2, handle = ?, worker = ?, started_at = ? \
                 WHERE id = ? AND status = 1",
                [
                    job.handle.as_str().into(),
                    request.worker.as_str().into(),
                    clock::now().into(),
                    job.job_id.into(),
                ],
            )
            .await?;
        if taken.changed == 1 {
            break Some(job);
        }
    };
    Ok(Success::message(&ReceiveJobResponse { job }))
}

/// `POST /worker/jobs/{id}/report`
pub(crate) async fn report(call: &Call) -> Result<Success, Failure> {
    let request: ReportJobRequest = call.decode()?;
    let no_result = || BAD_REQUEST.because("a report has a result");
    let result = request.result.ok_or_else(no_result)?;
    limits::at_most("a reason", &result.reason, PROSE)?;
    let score = match result.passed {
        true => result
            .score_raw
            .saturating_sub(result.score_deduction)
            .max(0),
        false => 0,
    };
    let mut conn = call.begin().await?;
    notifications::in_order(&mut conn).await?;
    let sql = "SELECT team_id, status, handle FROM jobs WHERE id = ?";
    let job = conn.lock(sql, [call.number.into()]).await?;
    let job = job.ok_or(NOT_FOUND)?;
    if job.int(1)? != Status::Running as i64 || job.text(2)? != request.handle {
        return Err(WRONG_HANDLE.into());
    }
    let now = clock::now();
    let changed = conn
        .run(
            "UPDATE jobs SET status = 3, passed = ?, score = ?, score_raw = ?, \
             score_deduction = ?, reason = ?, finished_at = ? WHERE id = ?",
            [
                result.passed.into(),
                score.into(),
                result.score_raw.into(),
                result.score_deduction.into(),
                result.reason.into(),
                now.into(),
                call.number.into(),
            ],
        )
        .await?;
    if changed.changed != 1 {
        return Err(DbError::Missing.into());
    }
    let times = if call.app.options.lies.duplicate_notification {
        2
    } else {
        1
    };
    for _ in 0..times {
        let what = notifications::What::Job(call.number);
        let whom = notifications::Whom::Team(job.int(0)?);
        notifications::add(call, &mut conn, what, whom).await?;
    }
    conn.commit().await?;
    Ok(Success::message(&ReportJobResponse {}))
}
