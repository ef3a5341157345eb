//! The history of the practice rounds: old rows in the same tables, the same at each time.
//!
//! The rows are worked out by the database itself from a few numbers, so that making them takes
//! part of a second. Nothing of them shows: no leaderboard lists a practice team, all their
//! clarifications are answered and none is disclosed. But whoever looks without an index reads them.

use super::{Conn, DbError};

/// Teams of the practice rounds, at most 1000.
const TEAMS: i64 = 200;
/// Jobs of each of them, at most 1000.
const ROUNDS: i64 = 150;
/// Members of each of them.
const MEMBERS: i64 = 3;
/// Jobs of a team that its members were notified of.
const NOTIFIED: i64 = 50;
/// Clarifications that each team asked for.
const CLARIFICATIONS: i64 = 10;
/// Sessions that each contestant left behind.
const SESSIONS: i64 = 5;
/// When it began, in microseconds since 1970: 2025-11-01.
const BEGAN: i64 = 1_761_955_200_000_000;
/// Microseconds between two rounds.
const PAUSE: i64 = 600_000_000;

/// Write the history.
pub(super) async fn history(conn: &mut Conn) -> Result<(), DbError> {
    for statement in statements() {
        conn.run(statement, []).await?;
    }
    Ok(())
}

/// A table expression of the numbers from 0 to `end` - 1 in a column `n`; `end` is at most 1000.
fn numbers(end: i64) -> String {
    let digits = (0..10).map(|digit| match digit {
        0 => "SELECT 0 AS d".to_owned(),
        digit => format!("SELECT {digit}"),
    });
    let digits = digits.collect::<Vec<_>>().join(" UNION ALL ");
    format!(
        "(SELECT a.d * 100 + b.d * 10 + c.d AS n FROM ({digits}) a CROSS JOIN ({digits}) b \
         CROSS JOIN ({digits}) c WHERE a.d * 100 + b.d * 10 + c.d < {end})"
    )
}

fn statements() -> [String; 6] {
    let teams = numbers(TEAMS);
    let members = numbers(MEMBERS);
    let rounds = numbers(ROUNDS);
    [
        format!(
            "INSERT INTO teams (id, name, leader_id, student, invite_token, practice, created_at) \
             SELECT t.n + 1, CONCAT('practice-', t.n + 1), CONCAT('practice-', t.n + 1, '-1'), \
             CASE WHEN t.n % 3 = 0 THEN 1 ELSE 0 END, '', 1, {BEGAN} + t.n \
             FROM {teams} t ORDER BY t.n"
        ),
        format!(
            "INSERT INTO contestants (id, password_hash, staff, team_id, name, joined_at) \
             SELECT CONCAT('practice-', t.n + 1, '-', m.n + 1), '', 0, t.n + 1, \
             CONCAT('Practice ', t.n + 1, '-', m.n + 1), {BEGAN} + m.n \
             FROM {teams} t CROSS JOIN {members} m ORDER BY t.n, m.n"
        ),
        format!(
            "INSERT INTO sessions (id, token, contestant_id, created_at) \
             SELECT (s.n * {TEAMS} + t.n) * {MEMBERS} + m.n + 1, \
             CONCAT('gone-', s.n, '-', t.n + 1, '-', m.n + 1), \
             CONCAT('practice-', t.n + 1, '-', m.n + 1), {BEGAN} \
             FROM {} s CROSS JOIN {teams} t CROSS JOIN {members} m",
            numbers(SESSIONS)
        ),
        format!(
            "INSERT INTO jobs (id, team_id, status, target_host, worker, handle, passed, score, \
             score_raw, score_deduction, reason, created_at, started_at, finished_at) \
             SELECT r.n * {TEAMS} + t.n + 1, t.n + 1, 3, CONCAT('10.0.0.', t.n + 1), 'practice', '', \
             CASE WHEN (t.n + r.n) % 11 = 0 THEN 0 ELSE 1 END, \
             CASE WHEN (t.n + r.n) % 11 = 0 THEN 0 ELSE 100 + (t.n * 7919 + r.n * 4729) % 9973 END, \
             120 + (t.n * 7919 + r.n * 4729) % 9973, 20, \
             CASE WHEN (t.n + r.n) % 11 = 0 THEN 'the checks failed' ELSE 'passed' END, \
             {BEGAN} + r.n * {PAUSE} + t.n, {BEGAN} + r.n * {PAUSE} + t.n + 1000000, \
             {BEGAN} + r.n * {PAUSE} + t.n + 61000000 \
             FROM {rounds} r CROSS JOIN {teams} t"
        ),
        format!(
            "INSERT INTO clarifications (id, team_id, question, answer, answered, disclosed, \
             created_at, answered_at) \
             SELECT q.n * {TEAMS} + t.n + 1, t.n + 1, CONCAT('Question ', q.n + 1, ' of round one?'), \
             'Please read the rules.', 1, 0, {BEGAN} + q.n * {PAUSE}, {BEGAN} + q.n * {PAUSE} + 1 \
             FROM {} q CROSS JOIN {teams} t",
            numbers(CLARIFICATIONS)
        ),
        format!(
            "INSERT INTO notifications (id, contestant_id, job_id, clarification_id, created_at) \
             SELECT (r.n * {TEAMS} + t.n) * {MEMBERS} + m.n + 1, \
             CONCAT('practice-', t.n + 1, '-', m.n + 1), r.n * {TEAMS} + t.n + 1, NULL, \
             {BEGAN} + r.n * {PAUSE} + t.n + 61000000 \
             FROM {} r CROSS JOIN {teams} t CROSS JOIN {members} m",
            numbers(NOTIFIED)
        ),
    ]
}
