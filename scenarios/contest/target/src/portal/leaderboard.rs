//! The order of the teams, read from their jobs.

use std::cmp::Reverse;
use std::collections::HashMap;

use super::person;
use crate::clock::{self, timestamp};
use crate::db::{Conn, DbError};
use crate::http::Call;
use crate::messages::{Leaderboard, Member, Team, job::Status, leaderboard::Item};

/// What a team's finished jobs come to. Times are microseconds since 1970.
#[derive(Debug, Clone, Copy)]
struct Record {
    best_score: i64,
    best_at: i64,
    latest_score: i64,
    latest_at: i64,
    finished: i64,
}

/// A team and its record, which is absent until a job is finished.
struct Entry {
    team: Team,
    record: Option<Record>,
}

/// Read the leaderboard as it is at one moment.
pub(crate) async fn read(call: &Call) -> Result<Leaderboard, DbError> {
    // Before the reading begins: what is on the board is at least as new.
    let generated_at = clock::now();
    let mut conn = call.snapshot().await?;
    let contest = person::read_contest(&mut conn).await?;
    let mut entries = match call.app.options.fixes.nplus1 {
        true => read_sets(&mut conn).await?,
        false => read_each(&mut conn).await?,
    };
    conn.commit().await?;
    entries.sort_by_key(|entry| match entry.record {
        Some(record) => (
            false,
            Reverse(record.best_score),
            record.best_at,
            entry.team.id,
        ),
        None => (true, Reverse(0), 0, entry.team.id),
    });
    let mut board = Leaderboard {
        teams: (1..)
            .zip(entries)
            .map(|(position, entry)| item(position, entry))
            .collect(),
        contest: Some(contest),
        generated_at: Some(timestamp(generated_at)),
    };
    call.app.options.lies.spoil_board(&mut board);
    Ok(board)
}

fn item(position: i32, entry: Entry) -> Item {
    let record = entry.record;
    Item {
        position,
        team: Some(entry.team),
        best_score: record.map_or(0, |it| it.best_score),
        latest_score: record.map_or(0, |it| it.latest_score),
        best_at: record.map(|it| timestamp(it.best_at)),
        latest_at: record.map(|it| timestamp(it.latest_at)),
        finished_jobs: record.map_or(0, |it| it.finished),
    }
}

/// Ask for each team: for itself, its members, its best job, its latest one, and how many there are.
async fn read_each(conn: &mut Conn) -> Result<Vec<Entry>, DbError> {
    let mut entries = Vec::new();
    let sql = "SELECT id FROM teams WHERE practice = 0";
    for row in conn.rows(sql, []).await? {
        let id = row.int(0)?;
        let team = person::read_team(conn, id).await?;
        let mut team = team.ok_or(DbError::Missing)?;
        team.invite_token.clear();
        let record = read_record(conn, id).await?;
        entries.push(Entry { team, record });
    }
    Ok(entries)
}

async fn read_record(conn: &mut Conn, team: i64) -> Result<Option<Record>, DbError> {
    let sql = "SELECT score, finished_at FROM jobs WHERE team_id = ? AND status = 3 \
               ORDER BY score DESC, finished_at LIMIT 1";
    let best = conn.row(sql, [team.into()]).await?;
    let sql = "SELECT score, finished_at FROM jobs WHERE team_id = ? AND status = 3 \
               ORDER BY finished_at DESC, id DESC LIMIT 1";
    let latest = conn.row(sql, [team.into()]).await?;
    let sql = "SELECT COUNT(*) FROM jobs WHERE team_id = ? AND status = 3";
    let count = conn.row(sql, [team.into()]).await?;
    let (Some(best), Some(latest)) = (best, latest) else {
        return Ok(None);
    };
    Ok(Some(Record {
        best_score: best.int(0)?,
        best_at: best.int(1)?,
        latest_score: latest.int(0)?,
        latest_at: latest.int(1)?,
        finished: count.ok_or(DbError::Missing)?.int(0)?,
    }))
}

/// Ask three times: for all teams, all members, all finished jobs.
async fn read_sets(conn: &mut Conn) -> Result<Vec<Entry>, DbError> {
    let mut records = read_records(conn).await?;
    let mut members = HashMap::<i64, Vec<Member>>::new();
    let sql = "SELECT c.team_id, c.id, c.name FROM teams t JOIN contestants c ON c.team_id = t.id \
               WHERE t.practice = 0 ORDER BY c.joined_at, c.id";
    for row in conn.rows(sql, []).await? {
        let (id, name) = (row.text(1)?, row.text(2)?);
        members
            .entry(row.int(0)?)
            .or_default()
            .push(Member { id, name });
    }
    let sql = "SELECT id, name, leader_id, student FROM teams WHERE practice = 0";
    let mut entries = Vec::new();
    for row in conn.rows(sql, []).await? {
        let id = row.int(0)?;
        let team = Team {
            id,
            name: row.text(1)?,
            leader_id: row.text(2)?,
            members: members.remove(&id).unwrap_or_default(),
            student: row.bool(3)?,
            invite_token: String::new(),
        };
        let record = records.remove(&id);
        entries.push(Entry { team, record });
    }
    Ok(entries)
}

async fn read_records(conn: &mut Conn) -> Result<HashMap<i64, Record>, DbError> {
    let mut records = HashMap::<i64, Record>::new();
    // The status is looked at here: a condition on it would tempt SQLite to an index by status,
    // which all jobs of the practice rounds share.
    let sql = "SELECT j.team_id, j.score, j.finished_at, j.status FROM teams t JOIN jobs j \
               ON j.team_id = t.id WHERE t.practice = 0 ORDER BY j.finished_at, j.id";
    for row in conn.rows(sql, []).await? {
        if row.int(3)? != Status::Finished as i64 {
            continue;
        }
        let (score, at) = (row.int(1)?, row.int(2)?);
        let record = records.entry(row.int(0)?).or_insert(Record {
            best_score: score,
            best_at: at,
            latest_score: score,
            latest_at: at,
            finished: 0,
        });
        // The rows come in the order of their time: only a better score changes the best.
        if score > record.best_score {
            (record.best_score, record.best_at) = (score, at);
        }
        (record.latest_score, record.latest_at) = (score, at);
        record.finished += 1;
    }
    Ok(records)
}
