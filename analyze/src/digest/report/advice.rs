//! Which indexes may serve the dearest statements, in a report.

use serde::Serialize;

use super::database::{Evidence, plan};
use super::groups::GroupReport;
use crate::sql::indexes::{Candidate, advise};

/// Statements that are advised on: the dearest.
const MOST: usize = 30;

/// An index that may serve a statement.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct IndexReport {
    /// The statement that makes it.
    pub ddl: String,
    /// The table, as the statement names it.
    pub table: String,
    /// Its columns, in order.
    pub columns: Vec<String>,
    /// What each part of it is for.
    pub why: String,
    /// The index that it makes superfluous, being longer.
    pub replaces: Option<String>,
    /// Rows that the statement reads by its plan; none without one, or when it would save nothing.
    pub rows_before: Option<f64>,
    /// Rows that it would read with the index: an estimate.
    pub rows_after: Option<f64>,
}

impl From<Candidate> for IndexReport {
    fn from(candidate: Candidate) -> Self {
        Self {
            ddl: candidate.ddl(),
            table: candidate.table,
            columns: candidate.columns,
            why: candidate.why,
            replaces: candidate.replaces,
            rows_before: None,
            rows_after: None,
        }
    }
}

/// Advise on the dearest statements, with what a database said if one was asked.
pub(super) fn advise_all(groups: &mut [GroupReport], evidence: Option<&Evidence>) {
    let statements = groups.iter_mut().filter(|group| group.sql.is_some());
    for group in statements.take(MOST) {
        let (Some(sample), Some(sql)) = (&group.sample, &mut group.sql) else {
            continue;
        };
        if sample.is_cut {
            continue;
        }
        let schema = evidence.and_then(|evidence| evidence.schema(&sample.database));
        let advice = advise(sample.text.as_bytes(), schema);
        sql.indexes = advice.candidates.into_iter().map(Into::into).collect();
        sql.hints = advice.hints.iter().map(ToString::to_string).collect();
        plan(group, evidence);
    }
}
