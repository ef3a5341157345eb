//! Teams: made by their leader, joined by invitation.

use super::limits::{self, MEMBERS, NAME};
use super::person;
use crate::clock;
use crate::db::{Conn, DbError};
use crate::http::{Call, Success};
use crate::messages::{
    CreateTeamRequest, CreateTeamResponse, GetTeamResponse, JoinTeamRequest, JoinTeamResponse,
};
use crate::refusal::{
    ALREADY_IN_TEAM, Failure, NOT_FOUND, REGISTRATION_FULL, TEAM_IS_FULL, WRONG_INVITE_TOKEN,
};
use crate::secret::token;

/// Hexadecimal digits of an invitation.
const INVITATION_DIGITS: usize = 32;

/// `POST /api/teams`
pub(crate) async fn create(call: &Call) -> Result<Success, Failure> {
    let me = person::contestant(call).await?;
    let request: CreateTeamRequest = call.decode()?;
    limits::some("a team's name", &request.team_name, NAME)?;
    limits::at_most("a display name", &request.display_name, NAME)?;
    let mut conn = call.begin().await?;
    // Whoever makes a team holds this row, so that two cannot take the last place.
    let contest = conn
        .lock("SELECT team_capacity FROM contest WHERE id = 1", [])
        .await?
        .ok_or(DbError::Missing)?;
    refuse_member(&mut conn, &me.id).await?;
    let count = conn
        .row("SELECT COUNT(*) FROM teams WHERE practice = 0", [])
        .await?
        .ok_or(DbError::Missing)?;
    if count.int(0)? >= contest.int(0)? {
        return Err(REGISTRATION_FULL.into());
    }
    let made = conn
        .run(
            "INSERT INTO teams (name, leader_id, student, invite_token, practice, created_at) \
             VALUES (?, ?, ?, ?, 0, ?)",
            [
                request.team_name.into(),
                me.id.as_str().into(),
                request.student.into(),
                token(INVITATION_DIGITS).into(),
                clock::now().into(),
            ],
        )
        .await?;
    enter(&mut conn, made.id, &me.id, &request.display_name).await?;
    let team = person::read_team(&mut conn, made.id).await?;
    conn.commit().await?;
    if let Some(memory) = call.app.memory() {
        memory.forget_team(made.id, &me.id);
    }
    Ok(Success::message(&CreateTeamResponse { team }))
}

/// `POST /api/teams/{id}/members`
pub(crate) async fn join(call: &Call) -> Result<Success, Failure> {
    let me = person::contestant(call).await?;
    let request: JoinTeamRequest = call.decode()?;
    limits::at_most("a display name", &request.display_name, NAME)?;
    let id = call.number;
    let mut conn = call.begin().await?;
    // Whoever joins this team holds its row, so that two cannot take the last place.
    let sql = "SELECT invite_token FROM teams WHERE id = ? AND practice = 0";
    let team = conn.lock(sql, [id.into()]).await?.ok_or(NOT_FOUND)?;
    refuse_member(&mut conn, &me.id).await?;
    if team.text(0)? != request.invite_token {
        return Err(WRONG_INVITE_TOKEN.into());
    }
    let sql = "SELECT COUNT(*) FROM contestants WHERE team_id = ?";
    let count = conn.row(sql, [id.into()]).await?.ok_or(DbError::Missing)?;
    if count.int(0)? >= MEMBERS {
        return Err(TEAM_IS_FULL.into());
    }
    enter(&mut conn, id, &me.id, &request.display_name).await?;
    let team = person::read_team(&mut conn, id).await?;
    conn.commit().await?;
    if let Some(memory) = call.app.memory() {
        memory.forget_team(id, &me.id);
    }
    Ok(Success::message(&JoinTeamResponse { team }))
}

/// `GET /api/teams/{id}`
pub(crate) async fn get(call: &Call) -> Result<Success, Failure> {
    let me = person::contestant(call).await?;
    let mut team = match &me.team {
        Some(team) if team.id == call.number => team.clone(),
        _ => {
            let mut conn = call.read().await?;
            let team = person::read_team(&mut conn, call.number).await?;
            team.ok_or(NOT_FOUND)?
        }
    };
    if me.team.as_ref().is_none_or(|mine| mine.id != team.id) {
        team.invite_token.clear();
    }
    let team = Some(team);
    Ok(Success::message(&GetTeamResponse { team }))
}

/// Refuse a contestant who has a team.
async fn refuse_member(conn: &mut Conn, contestant: &str) -> Result<(), Failure> {
    let sql = "SELECT team_id FROM contestants WHERE id = ?";
    let row = conn.row(sql, [contestant.into()]).await?;
    match row.ok_or(DbError::Missing)?.maybe_int(0)? {
        Some(_) => Err(ALREADY_IN_TEAM.into()),
        None => Ok(()),
    }
}

async fn enter(conn: &mut Conn, team: i64, contestant: &str, name: &str) -> Result<(), Failure> {
    let name = if name.is_empty() { contestant } else { name };
    // Another request of the same contestant may have been faster.
    let entered = conn
        .run(
            "UPDATE contestants SET team_id = ?, name = ?, joined_at = ? \
             WHERE id = ? AND team_id IS NULL",
            [
                team.into(),
                name.into(),
                clock::now().into(),
                contestant.into(),
            ],
        )
        .await?;
    match entered.changed {
        0 => Err(ALREADY_IN_TEAM.into()),
        _ => Ok(()),
    }
}
