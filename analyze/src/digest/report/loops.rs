//! N+1 in a report.

use serde::Serialize;

use super::groups::id_of;
use crate::digest::Digest;
use crate::sql::nplus1::NPlusOne;

/// A statement of a loop.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LoopStatement {
    /// Its shape's short name.
    pub id: String,
    /// Its shape.
    pub key: String,
    /// How often it ran in loops; 0 of the parent.
    pub count: u64,
    /// How long that took in seconds.
    pub total_s: f64,
}

/// Statements that run once for each row of another one.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LoopReport {
    /// The statement that lists the rows.
    pub parent: LoopStatement,
    /// What runs for each of them, dearest first.
    pub children: Vec<LoopStatement>,
    /// How many loops were seen.
    pub runs: u64,
    /// Rounds of a loop, on average.
    pub mean_length: f64,
    /// Statements of all loops.
    pub statements: u64,
    /// Their time in seconds.
    pub total_s: f64,
    /// The same as a share of all statements' time, 0 to 1.
    pub share: f64,
    /// Share of the loops with exactly as many rounds as the parent sent rows, 0 to 1.
    pub rows_match: f64,
    /// How sure this is, 0 to 1.
    pub confidence: f64,
}

/// The N+1s of a digest, dearest first.
pub(super) fn loops(digest: &Digest, id: impl Fn(&str) -> String) -> Vec<LoopReport> {
    let found = digest.runs.findings();
    found
        .iter()
        .map(|it| loop_report(digest, it, &id))
        .collect()
}

fn loop_report(digest: &Digest, it: &NPlusOne, id: &impl Fn(&str) -> String) -> LoopReport {
    let statement = |shape: u32, count: u64, time_ns: u64| {
        let group = digest.statements.groups.get(shape as usize);
        let key = group.map_or("", |group| group.name.as_str());
        LoopStatement {
            id: id(key),
            key: key.to_owned(),
            count,
            total_s: time_ns as f64 / 1e9,
        }
    };
    let mut children: Vec<_> = it
        .children
        .iter()
        .map(|child| statement(child.shape, child.statements, child.time_ns))
        .collect();
    children.sort_by(|left, right| {
        let times = right.total_s.total_cmp(&left.total_s);
        times.then_with(|| left.key.cmp(&right.key))
    });
    let whole = digest.statements.times.sum_ns() as f64;
    LoopReport {
        parent: statement(it.parent, 0, 0),
        children,
        runs: it.runs,
        mean_length: it.mean_length(),
        statements: it.statements,
        total_s: it.time_ns as f64 / 1e9,
        share: if whole > 0.0 {
            it.time_ns as f64 / whole
        } else {
            0.0
        },
        rows_match: it.rows_match,
        confidence: it.confidence,
    }
}

/// The short name of a shape, as the report's options want it.
pub(super) fn id_for(pt_compat: bool) -> impl Fn(&str) -> String {
    move |key| match pt_compat {
        true => crate::slow::pt::id(key),
        false => id_of(key),
    }
}
