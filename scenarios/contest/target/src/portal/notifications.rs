//! What contestants are told of.

use super::person;
use crate::clock::{self, timestamp};
use crate::db::{Conn, DbError, Row, Value};
use crate::http::{Call, Success};
use crate::messages::{
    ClarificationAnswered, JobFinished, ListNotificationsResponse, Notification,
    notification::Content,
};
use crate::refusal::Failure;

/// What happened.
#[derive(Debug, Clone, Copy)]
pub(crate) enum What {
    /// The job with this id is finished.
    Job(i64),
    /// The clarification with this id is answered.
    Clarification(i64),
}

/// Who is told.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Whom {
    /// The members of the team with this id.
    Team(i64),
    /// The members of all registered teams.
    Everybody,
}

/// Let one transaction at a time add notifications.
///
/// Their ids then grow in the order in which they become visible, and who asks for those after an
/// id misses none.
pub(crate) async fn in_order(conn: &mut Conn) -> Result<(), DbError> {
    conn.lock("SELECT id FROM contest WHERE id = 1", [])
        .await?
        .ok_or(DbError::Missing)?;
    Ok(())
}

/// Tell somebody what happened, in the transaction in which it happens.
pub(crate) async fn add(
    call: &Call,
    conn: &mut Conn,
    what: What,
    whom: Whom,
) -> Result<(), DbError> {
    let (job, clarification) = match what {
        What::Job(id) => (id.into(), Value::Null),
        What::Clarification(id) => (Value::Null, id.into()),
    };
    let mut values = vec![job, clarification, clock::now().into()];
    let whom = match whom {
        Whom::Team(id) => {
            values.push(id.into());
            "contestants c WHERE c.team_id = ?"
        }
        Whom::Everybody => "contestants c JOIN teams t ON t.id = c.team_id WHERE t.practice = 0",
    };
    if call.app.options.fixes.nplus1 {
        let sql = format!(
            "INSERT INTO notifications (job_id, clarification_id, created_at, contestant_id) \
             SELECT ?, ?, ?, c.id FROM {whom}"
        );
        conn.run(sql, values).await?;
        return Ok(());
    }
    let told = conn
        .rows(format!("SELECT c.id FROM {whom}"), values.split_off(3))
        .await?;
    for contestant in told {
        let mut values = values.clone();
        values.push(contestant.text(0)?.into());
        let sql = "INSERT INTO notifications (job_id, clarification_id, created_at, contestant_id) \
                   VALUES (?, ?, ?, ?)";
        conn.run(sql, values).await?;
    }
    Ok(())
}

/// `GET /api/notifications?after=ID`
pub(crate) async fn list(call: &Call) -> Result<Success, Failure> {
    let me = person::contestant(call).await?;
    let after = call.query_number("after")?.unwrap_or(0);
    let mut conn = call.snapshot().await?;
    let who: [Value; 2] = [me.id.as_str().into(), after.into()];
    let mut notifications = Vec::new();
    if call.app.options.fixes.nplus1 {
        let sql = "SELECT n.id, n.job_id, n.clarification_id, n.created_at, c.disclosed \
                   FROM notifications n LEFT JOIN clarifications c ON c.id = n.clarification_id \
                   WHERE n.contestant_id = ? AND n.id > ? ORDER BY n.id";
        for row in conn.rows(sql, who).await? {
            notifications.push(notification(&row, row.maybe_int(4)?)?);
        }
    } else {
        let sql = "SELECT id, job_id, clarification_id, created_at FROM notifications \
                   WHERE contestant_id = ? AND id > ? ORDER BY id";
        for row in conn.rows(sql, who).await? {
            let disclosed = match row.maybe_int(2)? {
                Some(clarification) => {
                    let sql = "SELECT disclosed FROM clarifications WHERE id = ?";
                    let row = conn.row(sql, [clarification.into()]).await?;
                    Some(row.ok_or(DbError::Missing)?.int(0)?)
                }
                None => None,
            };
            notifications.push(notification(&row, disclosed)?);
        }
    }
    conn.commit().await?;
    Ok(Success::message(&ListNotificationsResponse {
        notifications,
    }))
}

fn notification(row: &Row, disclosed: Option<i64>) -> Result<Notification, DbError> {
    let job = row.maybe_int(1)?;
    let content = match (job, row.maybe_int(2)?) {
        (Some(job_id), _) => Some(Content::JobFinished(JobFinished { job_id })),
        (None, Some(clarification_id)) => {
            Some(Content::ClarificationAnswered(ClarificationAnswered {
                clarification_id,
                disclosed: disclosed.is_some_and(|it| it != 0),
            }))
        }
        (None, None) => None,
    };
    Ok(Notification {
        id: row.int(0)?,
        content,
        created_at: Some(timestamp(row.int(3)?)),
    })
}
