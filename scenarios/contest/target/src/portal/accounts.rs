//! Contestants and their sessions.

use super::limits::{self, NAME};
use super::person;
use crate::clock;
use crate::db::{Conn, DbError};
use crate::http::{Call, Success, TOKEN_DIGITS};
use crate::messages::{
    LoginRequest, LoginResponse, LogoutResponse, SessionResponse, SignupRequest, SignupResponse,
};
use crate::refusal::{Failure, ID_TAKEN, WRONG_CREDENTIALS};
use crate::secret::{password_hash, token};

/// `POST /api/signup`
pub(crate) async fn signup(call: &Call) -> Result<Success, Failure> {
    let request: SignupRequest = call.decode()?;
    limits::contestant_id(&request.contestant_id)?;
    limits::some("a password", &request.password, NAME)?;
    let id = request.contestant_id;
    let hash = password_hash(&id, &request.password);
    let mut conn = call.begin().await?;
    let made = conn
        .run(
            "INSERT INTO contestants (id, password_hash, staff, team_id, name, joined_at) \
             VALUES (?, ?, 0, NULL, ?, 0)",
            [id.as_str().into(), hash.into(), id.as_str().into()],
        )
        .await;
    match made {
        Err(DbError::Duplicate) => return Err(ID_TAKEN.into()),
        made => made?,
    };
    let cookie = start_session(&mut conn, &id).await?;
    conn.commit().await?;
    Ok(Success::message(&SignupResponse {}).with_cookie(cookie))
}

/// `POST /api/login`
pub(crate) async fn login(call: &Call) -> Result<Success, Failure> {
    let request: LoginRequest = call.decode()?;
    let id = request.contestant_id;
    let sql = "SELECT password_hash FROM contestants WHERE id = ?";
    let mut conn = call.read().await?;
    let row = conn.row(sql, [id.as_str().into()]).await?;
    drop(conn);
    let row = row.ok_or(WRONG_CREDENTIALS)?;
    if row.text(0)? != password_hash(&id, &request.password) {
        return Err(WRONG_CREDENTIALS.into());
    }
    let mut conn = call.write().await?;
    let cookie = start_session(&mut conn, &id).await?;
    Ok(Success::message(&LoginResponse {}).with_cookie(cookie))
}

/// `POST /api/logout`
pub(crate) async fn logout(call: &Call) -> Result<Success, Failure> {
    person::contestant(call).await?;
    let token = call.token.as_deref().unwrap_or("");
    let mut conn = call.write().await?;
    conn.run("DELETE FROM sessions WHERE token = ?", [token.into()])
        .await?;
    if let Some(memory) = call.app.memory() {
        memory.forget_session(token);
    }
    let gone = "contest_session=; Path=/; HttpOnly; Max-Age=0".to_owned();
    Ok(Success::message(&LogoutResponse {}).with_cookie(gone))
}

/// `GET /api/session`
pub(crate) async fn session(call: &Call) -> Result<Success, Failure> {
    let visit = person::visit(call).await?;
    let mut reply = SessionResponse {
        contest: Some(visit.contest),
        ..SessionResponse::default()
    };
    if let Some(person) = visit.person {
        reply.contestant_id.clone_from(&person.id);
        reply.staff = person.staff;
        reply.team.clone_from(&person.team);
        call.app
            .options
            .lies
            .spoil_session(&mut reply.contestant_id);
    }
    Ok(Success::message(&reply))
}

/// Make a session, and the cookie that says so.
async fn start_session(conn: &mut Conn, contestant: &str) -> Result<String, Failure> {
    let token = token(TOKEN_DIGITS);
    let sql = "INSERT INTO sessions (token, contestant_id, created_at) VALUES (?, ?, ?)";
    let values = [
        token.as_str().into(),
        contestant.into(),
        clock::now().into(),
    ];
    conn.run(sql, values).await?;
    Ok(format!("contest_session={token}; Path=/; HttpOnly"))
}
