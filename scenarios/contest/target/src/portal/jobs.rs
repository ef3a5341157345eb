//! Jobs, as their team sees them.

use super::limits::{self, NAME};
use super::person;
use crate::clock::{self, timestamp};
use crate::db::{DbError, Row};
use crate::http::{Call, Success};
use crate::messages::{
    EnqueueJobRequest, EnqueueJobResponse, GetJobResponse, Job, JobResult, ListJobsResponse,
    job::Status,
};
use crate::refusal::{Failure, JOB_ALREADY_WAITING, NOT_FOUND};

/// One job; the columns are those that [`job`] reads.
const ONE: &str = "SELECT id, team_id, status, target_host, passed, score, score_raw, \
    score_deduction, reason, created_at, started_at, finished_at FROM jobs WHERE id = ?";
/// All jobs of a team, the newest first.
const ALL: &str = "SELECT id, team_id, status, target_host, passed, score, score_raw, \
    score_deduction, reason, created_at, started_at, finished_at FROM jobs WHERE team_id = ? \
    ORDER BY id DESC";

/// `POST /api/jobs`
pub(crate) async fn enqueue(call: &Call) -> Result<Success, Failure> {
    let (_, team) = person::team_member(call).await?;
    let request: EnqueueJobRequest = call.decode()?;
    limits::at_most("a host", &request.target_host, NAME)?;
    let mut conn = call.begin().await?;
    // Whoever enqueues for this team holds its row, so that two jobs cannot wait.
    conn.lock("SELECT id FROM teams WHERE id = ?", [team.into()])
        .await?
        .ok_or(DbError::Missing)?;
    let waiting = conn
        .row(
            "SELECT id FROM jobs WHERE team_id = ? AND status IN (1, 2) LIMIT 1",
            [team.into()],
        )
        .await?;
    if waiting.is_some() {
        return Err(JOB_ALREADY_WAITING.into());
    }
    let created_at = clock::now();
    let made = conn
        .run(
            "INSERT INTO jobs (team_id, status, target_host, worker, handle, passed, score, \
             score_raw, score_deduction, reason, created_at, started_at, finished_at) \
             VALUES (?, 1, ?, '', '', 0, 0, 0, 0, '', ?, NULL, NULL)",
            [
                team.into(),
                request.target_host.as_str().into(),
                created_at.into(),
            ],
        )
        .await?;
    conn.commit().await?;
    let job = Job {
        id: made.id,
        team_id: team,
        status: Status::Pending.into(),
        target_host: request.target_host,
        created_at: Some(timestamp(created_at)),
        ..Job::default()
    };
    Ok(Success::message(&EnqueueJobResponse { job: Some(job) }))
}

/// `GET /api/jobs`
pub(crate) async fn list(call: &Call) -> Result<Success, Failure> {
    let (_, team) = person::team_member(call).await?;
    let mut jobs = Vec::new();
    if call.app.options.fixes.nplus1 {
        let mut conn = call.read().await?;
        for row in conn.rows(ALL, [team.into()]).await? {
            jobs.push(job(&row)?);
        }
    } else {
        let mut conn = call.snapshot().await?;
        let sql = "SELECT id FROM jobs WHERE team_id = ? ORDER BY id DESC";
        for id in conn.rows(sql, [team.into()]).await? {
            let row = conn.row(ONE, [id.int(0)?.into()]).await?;
            jobs.push(job(&row.ok_or(DbError::Missing)?)?);
        }
        conn.commit().await?;
    }
    for job in &mut jobs {
        call.app.options.lies.spoil_job(job);
    }
    Ok(Success::message(&ListJobsResponse { jobs }))
}

/// `GET /api/jobs/{id}`
pub(crate) async fn get(call: &Call) -> Result<Success, Failure> {
    let (_, team) = person::team_member(call).await?;
    let mut conn = call.read().await?;
    let row = conn.row(ONE, [call.number.into()]).await?;
    let mut job = job(&row.ok_or(NOT_FOUND)?)?;
    if job.team_id != team {
        return Err(NOT_FOUND.into());
    }
    call.app.options.lies.spoil_job(&mut job);
    Ok(Success::message(&GetJobResponse { job: Some(job) }))
}

fn job(row: &Row) -> Result<Job, DbError> {
    let status = i32::try_from(row.int(2)?).map_err(|_| DbError::Shape(2))?;
    let ended = status == Status::Finished as i32 || status == Status::Errored as i32;
    let result = JobResult {
        passed: row.bool(4)?,
        score: row.int(5)?,
        score_raw: row.int(6)?,
        score_deduction: row.int(7)?,
        reason: row.text(8)?,
    };
    Ok(Job {
        id: row.int(0)?,
        team_id: row.int(1)?,
        status,
        target_host: row.text(3)?,
        result: ended.then_some(result),
        created_at: Some(timestamp(row.int(9)?)),
        started_at: row.maybe_int(10)?.map(timestamp),
        finished_at: row.maybe_int(11)?.map(timestamp),
    })
}
