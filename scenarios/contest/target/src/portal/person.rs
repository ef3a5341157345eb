//! Who asks: the session's contestant, their team, and the contest that they are in.

use std::sync::Arc;

use crate::clock::timestamp;
use crate::db::{Conn, DbError, Row};
use crate::http::Call;
use crate::messages::{Contest, Member, Team};
use crate::refusal::{Failure, LOGIN_REQUIRED, STAFF_REQUIRED, TEAM_REQUIRED};

/// A contestant who is logged in.
#[derive(Debug, Clone)]
pub(crate) struct Person {
    pub(crate) id: String,
    pub(crate) staff: bool,
    /// Their team, as its members see it.
    pub(crate) team: Option<Team>,
}

/// Who asks and when; a person is absent who is not logged in.
pub(crate) struct Visit {
    pub(crate) person: Option<Arc<Person>>,
    pub(crate) contest: Contest,
}

/// Find out who asks.
pub(crate) async fn visit(call: &Call) -> Result<Visit, Failure> {
    let memory = call.app.memory();
    let token = call.token.as_deref();
    let kept = memory.map(|memory| memory.look_up(token));
    let (mut person, mut contest) = match &kept {
        Some(kept) => (kept.person.clone(), kept.contest),
        None => (None, None),
    };
    // Only those without a session have none in memory and none in the database.
    let person_is_known = person.is_some() || token.is_none();
    if !(person_is_known && contest.is_some()) {
        let mut conn = call.read().await?;
        if let (None, Some(token)) = (&person, token) {
            person = read_person(&mut conn, token).await?.map(Arc::new);
        }
        if contest.is_none() {
            contest = Some(read_contest(&mut conn).await?);
        }
        if let (Some(memory), Some(kept)) = (memory, kept) {
            memory.keep(kept.version, token, person.as_ref(), contest);
        }
    }
    let contest = contest.ok_or(DbError::Missing)?;
    Ok(Visit { person, contest })
}

/// Who asks, who must be logged in.
pub(crate) async fn contestant(call: &Call) -> Result<Arc<Person>, Failure> {
    let visit = visit(call).await?;
    Ok(visit.person.ok_or(LOGIN_REQUIRED)?)
}

/// Who asks, who must be in a team, and the team's id.
pub(crate) async fn team_member(call: &Call) -> Result<(Arc<Person>, i64), Failure> {
    let person = contestant(call).await?;
    let team = person.team.as_ref().ok_or(TEAM_REQUIRED)?.id;
    Ok((person, team))
}

/// Refuse everybody but the staff.
pub(crate) async fn staff(call: &Call) -> Result<(), Failure> {
    match contestant(call).await?.staff {
        true => Ok(()),
        false => Err(STAFF_REQUIRED.into()),
    }
}

async fn read_person(conn: &mut Conn, token: &str) -> Result<Option<Person>, DbError> {
    let sql = "SELECT contestant_id FROM sessions WHERE token = ?";
    let Some(session) = conn.row(sql, [token.into()]).await? else {
        return Ok(None);
    };
    let id = session.text(0)?;
    let sql = "SELECT staff, team_id FROM contestants WHERE id = ?";
    let Some(row) = conn.row(sql, [id.as_str().into()]).await? else {
        return Ok(None);
    };
    let team = match row.maybe_int(1)? {
        Some(team) => read_team(conn, team).await?,
        None => None,
    };
    let staff = row.bool(0)?;
    Ok(Some(Person { id, staff, team }))
}

/// A registered team with its members and its invitation.
pub(crate) async fn read_team(conn: &mut Conn, id: i64) -> Result<Option<Team>, DbError> {
    let sql = "SELECT id, name, leader_id, student, invite_token FROM teams \
               WHERE id = ? AND practice = 0";
    let Some(row) = conn.row(sql, [id.into()]).await? else {
        return Ok(None);
    };
    let sql = "SELECT id, name FROM contestants WHERE team_id = ? ORDER BY joined_at, id";
    let members = conn.rows(sql, [id.into()]).await?;
    Ok(Some(Team {
        id,
        name: row.text(1)?,
        leader_id: row.text(2)?,
        members: members.iter().map(member).collect::<Result<_, _>>()?,
        student: row.bool(3)?,
        invite_token: row.text(4)?,
    }))
}

fn member(row: &Row) -> Result<Member, DbError> {
    Ok(Member {
        id: row.text(0)?,
        name: row.text(1)?,
    })
}

/// The contest.
pub(crate) async fn read_contest(conn: &mut Conn) -> Result<Contest, DbError> {
    let sql = "SELECT status, opens_at, ends_at, team_capacity FROM contest WHERE id = 1";
    let row = conn.row(sql, []).await?.ok_or(DbError::Missing)?;
    let small = |column| i32::try_from(row.int(column)?).map_err(|_| DbError::Shape(column));
    Ok(Contest {
        status: small(0)?,
        opens_at: Some(timestamp(row.int(1)?)),
        ends_at: Some(timestamp(row.int(2)?)),
        team_capacity: small(3)?,
    })
}
