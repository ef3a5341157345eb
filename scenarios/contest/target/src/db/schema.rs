//! The tables, and which of them get indexes.

use super::{Conn, Db, DbError, seed};
use crate::clock;

/// Tables: name and columns. `{id}` is an id that the database makes.
const TABLES: &[(&str, &str)] = &[
    (
        "contest",
        "id BIGINT NOT NULL PRIMARY KEY, status BIGINT NOT NULL, opens_at BIGINT NOT NULL, \
         ends_at BIGINT NOT NULL, team_capacity BIGINT NOT NULL",
    ),
    (
        "contestants",
        "id VARCHAR(64) NOT NULL PRIMARY KEY, password_hash VARCHAR(64) NOT NULL, \
         staff BIGINT NOT NULL, team_id BIGINT, name VARCHAR(255) NOT NULL, \
         joined_at BIGINT NOT NULL",
    ),
    (
        "teams",
        "{id}, name VARCHAR(255) NOT NULL, leader_id VARCHAR(64) NOT NULL, \
         student BIGINT NOT NULL, invite_token VARCHAR(64) NOT NULL, practice BIGINT NOT NULL, \
         created_at BIGINT NOT NULL",
    ),
    (
        "sessions",
        "{id}, token VARCHAR(64) NOT NULL, contestant_id VARCHAR(64) NOT NULL, \
         created_at BIGINT NOT NULL",
    ),
    (
        "jobs",
        "{id}, team_id BIGINT NOT NULL, status BIGINT NOT NULL, target_host VARCHAR(255) NOT NULL, \
         worker VARCHAR(255) NOT NULL, handle VARCHAR(64) NOT NULL, passed BIGINT NOT NULL, \
         score BIGINT NOT NULL, score_raw BIGINT NOT NULL, score_deduction BIGINT NOT NULL, \
         reason TEXT NOT NULL, created_at BIGINT NOT NULL, started_at BIGINT, finished_at BIGINT",
    ),
    (
        "clarifications",
        "{id}, team_id BIGINT NOT NULL, question TEXT NOT NULL, answer TEXT NOT NULL, \
         answered BIGINT NOT NULL, disclosed BIGINT NOT NULL, created_at BIGINT NOT NULL, \
         answered_at BIGINT",
    ),
    (
        "notifications",
        "{id}, contestant_id VARCHAR(64) NOT NULL, job_id BIGINT, clarification_id BIGINT, \
         created_at BIGINT NOT NULL",
    ),
];

/// What the fix `index` adds.
const INDEXES: &[&str] = &[
    "CREATE INDEX contestants_by_team ON contestants (team_id, joined_at)",
    "CREATE INDEX teams_by_practice ON teams (practice)",
    "CREATE INDEX sessions_by_token ON sessions (token)",
    "CREATE INDEX jobs_by_team ON jobs (team_id, status, score, finished_at)",
    "CREATE INDEX jobs_by_status ON jobs (status, id)",
    "CREATE INDEX clarifications_by_team ON clarifications (team_id)",
    "CREATE INDEX clarifications_by_disclosed ON clarifications (disclosed)",
    "CREATE INDEX clarifications_by_answered ON clarifications (answered)",
    "CREATE INDEX notifications_by_contestant ON notifications (contestant_id, id)",
];

/// How long a contest lasts, in microseconds.
const CONTEST: i64 = 8 * 3_600 * 1_000_000;

/// Forget everything, and make the tables, the history, the staff and a contest that starts now.
pub(crate) async fn create(
    db: &Db,
    capacity: i64,
    indexes: bool,
    staff_hash: &str,
) -> Result<(), DbError> {
    // One transaction in SQLite. MySQL commits with each statement that makes or drops a table.
    let mut conn = match db {
        Db::Sqlite(_) => db.begin().await?,
        Db::Mysql(_) => db.write().await?,
    };
    let (own_id, options) = if conn.is_sqlite() {
        ("id INTEGER PRIMARY KEY AUTOINCREMENT", "")
    } else {
        // Ids and tokens differ by case, in SQLite by itself.
        (
            "id BIGINT NOT NULL PRIMARY KEY AUTO_INCREMENT",
            " ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin",
        )
    };
    for (table, columns) in TABLES {
        let columns = columns.replace("{id}", own_id);
        conn.run(format!("DROP TABLE IF EXISTS {table}"), [])
            .await?;
        let sql = format!("CREATE TABLE {table} ({columns}){options}");
        conn.run(sql, []).await?;
    }
    seed::history(&mut conn).await?;
    people(&mut conn, capacity, staff_hash).await?;
    if indexes {
        for index in INDEXES {
            conn.run(*index, []).await?;
        }
    }
    conn.commit().await
}

async fn people(conn: &mut Conn, capacity: i64, staff_hash: &str) -> Result<(), DbError> {
    let now = clock::now();
    conn.run(
        "INSERT INTO contestants (id, password_hash, staff, team_id, name, joined_at) \
         VALUES ('staff', ?, 1, NULL, 'staff', 0)",
        [staff_hash.into()],
    )
    .await?;
    let status = crate::messages::contest::Status::Started as i64;
    conn.run(
        "INSERT INTO contest (id, status, opens_at, ends_at, team_capacity) VALUES (1, ?, ?, ?, ?)",
        [
            status.into(),
            now.into(),
            (now + CONTEST).into(),
            capacity.into(),
        ],
    )
    .await?;
    Ok(())
}
