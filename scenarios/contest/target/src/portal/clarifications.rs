//! Questions of teams, and the staff's answers.

use super::limits::{self, PROSE};
use super::notifications::{self, What, Whom};
use super::person;
use crate::clock::{self, timestamp};
use crate::db::{Conn, DbError, Row, Value};
use crate::http::{Call, Success};
use crate::messages::{
    AnswerRequest, AnswerResponse, AskRequest, AskResponse, Clarification,
    ListClarificationsResponse, StaffClarificationsResponse,
};
use crate::refusal::{ALREADY_ANSWERED, Failure, NOT_FOUND};

/// The columns that [`clarification`] reads.
const COLUMNS: &str = "id, team_id, question, answer, answered, disclosed, created_at, answered_at";

/// `POST /api/clarifications`
pub(crate) async fn ask(call: &Call) -> Result<Success, Failure> {
    let (_, team_id) = person::team_member(call).await?;
    let request: AskRequest = call.decode()?;
    limits::some("a question", &request.question, PROSE)?;
    let created_at = clock::now();
    let mut conn = call.write().await?;
    let made = conn
        .run(
            "INSERT INTO clarifications (team_id, question, answer, answered, disclosed, \
             created_at, answered_at) VALUES (?, ?, '', 0, 0, ?, NULL)",
            [
                team_id.into(),
                request.question.as_str().into(),
                created_at.into(),
            ],
        )
        .await?;
    let clarification = Clarification {
        id: made.id,
        team_id,
        question: request.question,
        created_at: Some(timestamp(created_at)),
        ..Clarification::default()
    };
    let clarification = Some(clarification);
    Ok(Success::message(&AskResponse { clarification }))
}

/// `GET /api/clarifications`
pub(crate) async fn list(call: &Call) -> Result<Success, Failure> {
    let (_, team) = person::team_member(call).await?;
    let condition = "team_id = ? OR disclosed = 1 ORDER BY id DESC";
    let clarifications = select(call, condition, vec![team.into()]).await?;
    Ok(Success::message(&ListClarificationsResponse {
        clarifications,
    }))
}

/// `GET /api/staff/clarifications`
pub(crate) async fn unanswered(call: &Call) -> Result<Success, Failure> {
    person::staff(call).await?;
    let clarifications = select(call, "answered = 0 ORDER BY id", Vec::new()).await?;
    Ok(Success::message(&StaffClarificationsResponse {
        clarifications,
    }))
}

/// `POST /api/staff/clarifications/{id}`
pub(crate) async fn answer(call: &Call) -> Result<Success, Failure> {
    person::staff(call).await?;
    let request: AnswerRequest = call.decode()?;
    limits::some("an answer", &request.answer, PROSE)?;
    let id = call.number;
    let mut conn = call.begin().await?;
    notifications::in_order(&mut conn).await?;
    let sql = "SELECT team_id, answered FROM clarifications WHERE id = ?";
    let row = conn.lock(sql, [id.into()]).await?.ok_or(NOT_FOUND)?;
    if row.bool(1)? {
        return Err(ALREADY_ANSWERED.into());
    }
    conn.run(
        "UPDATE clarifications SET answer = ?, answered = 1, disclosed = ?, answered_at = ? \
         WHERE id = ?",
        [
            request.answer.into(),
            request.disclose.into(),
            clock::now().into(),
            id.into(),
        ],
    )
    .await?;
    if !call.app.options.lies.lost_answer {
        let whom = match request.disclose {
            true => Whom::Everybody,
            false => Whom::Team(row.int(0)?),
        };
        notifications::add(call, &mut conn, What::Clarification(id), whom).await?;
    }
    let answered = one(&mut conn, id).await?;
    conn.commit().await?;
    let clarification = Some(answered);
    Ok(Success::message(&AnswerResponse { clarification }))
}

/// The clarifications that a condition names, in its order.
async fn select(
    call: &Call,
    condition: &str,
    values: Vec<Value>,
) -> Result<Vec<Clarification>, DbError> {
    let mut found = Vec::new();
    if call.app.options.fixes.nplus1 {
        let mut conn = call.read().await?;
        let sql = format!("SELECT {COLUMNS} FROM clarifications WHERE {condition}");
        for row in conn.rows(sql, values).await? {
            found.push(clarification(&row)?);
        }
        return Ok(found);
    }
    let mut conn = call.snapshot().await?;
    let sql = format!("SELECT id FROM clarifications WHERE {condition}");
    for row in conn.rows(sql, values).await? {
        found.push(one(&mut conn, row.int(0)?).await?);
    }
    conn.commit().await?;
    Ok(found)
}

async fn one(conn: &mut Conn, id: i64) -> Result<Clarification, DbError> {
    let sql = format!("SELECT {COLUMNS} FROM clarifications WHERE id = ?");
    let row = conn.row(sql, [id.into()]).await?;
    clarification(&row.ok_or(DbError::Missing)?)
}

fn clarification(row: &Row) -> Result<Clarification, DbError> {
    Ok(Clarification {
        id: row.int(0)?,
        team_id: row.int(1)?,
        question: row.text(2)?,
        answer: row.text(3)?,
        answered: row.bool(4)?,
        disclosed: row.bool(5)?,
        created_at: Some(timestamp(row.int(6)?)),
        answered_at: row.maybe_int(7)?.map(timestamp),
    })
}
