//! Plans, as EXPLAIN and MariaDB's slow log tell them.
//!
//! Formats: the table of EXPLAIN (MySQL and MariaDB share its columns), MariaDB's `# explain:` lines (the
//! same with tabs, and `r_` columns for what was seen), and EXPLAIN FORMAT=JSON of MariaDB, of MySQL up to
//! 8 (version 1: `query_block`) and of MySQL from 8.3 (version 2: a tree of operations).

mod json;

#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::units;

/// Bytes of a plan that are looked at.
const PLAN_BYTES: usize = 1 << 20;
/// Steps of a plan.
const STEPS: usize = 512;
/// Fewer rows are read in no time, whatever way.
const FEW_ROWS: f64 = 100.0;

/// A plan that cannot be read.
#[derive(Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum PlanError {
    /// It is longer than a MiB.
    #[error("the plan is longer than a MiB: explain a shorter statement")]
    TooLong,
    /// The text is no JSON.
    #[error("the plan is no JSON: ask with EXPLAIN FORMAT=JSON")]
    NotJson,
    /// It is something else.
    #[error("there is no table access in the plan: explain a SELECT, UPDATE or DELETE")]
    NoSteps,
}

/// How a table is read, the worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
pub enum Access {
    /// The whole table.
    All,
    /// A whole index.
    Index,
    /// Part of an index.
    Range,
    /// Parts of several indexes.
    IndexMerge,
    /// A full-text index.
    Fulltext,
    /// All rows of a key.
    Ref,
    /// The one row of a unique key.
    EqRef,
    /// One row, read before anything else.
    Const,
    /// Another way, or none.
    #[default]
    Other,
}

impl Access {
    /// From the column `type` (`access_type` in JSON).
    fn of(name: &str) -> Self {
        match name.to_ascii_lowercase().as_str() {
            "all" => Self::All,
            "index" => Self::Index,
            "range" => Self::Range,
            "index_merge" => Self::IndexMerge,
            "fulltext" => Self::Fulltext,
            "ref" | "ref_or_null" | "index_subquery" => Self::Ref,
            "eq_ref" | "unique_subquery" => Self::EqRef,
            "const" | "system" => Self::Const,
            _ => Self::Other,
        }
    }
}

/// How one table of a statement is read.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// Which SELECT of the statement: steps of one are joined in their order.
    pub select: u32,
    /// The table as the statement calls it; `<...>` is one that the server makes.
    pub table: String,
    /// How it is read.
    pub access: Access,
    /// The index.
    pub key: Option<String>,
    /// Rows that are read each time, an estimate.
    pub rows: f64,
    /// Of these, how many are kept, from 0 to 100, an estimate.
    pub filtered: f64,
    /// Rows that were seen each time, if the plan was run. Behind a sort these are the sorted ones.
    pub seen_rows: Option<f64>,
    /// Rows are sorted, here or behind this step.
    pub filesort: bool,
    /// A temporary table is made, here or behind this step.
    pub temporary: bool,
    /// The index holds all that is needed.
    pub using_index: bool,
    /// Rows are joined by a buffer, without an index.
    pub join_buffer: bool,
}

impl Step {
    /// Whether the server makes this table by itself.
    fn is_made(&self) -> bool {
        self.table.is_empty() || self.table.starts_with('<')
    }
}

/// A plan.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// In the order in which they are told.
    pub steps: Vec<Step>,
}

impl Plan {
    /// Read EXPLAIN FORMAT=JSON of any server.
    ///
    /// # Errors
    ///
    /// If it is no JSON, or reads no table.
    pub fn from_json(text: &[u8]) -> Result<Self, PlanError> {
        if text.len() > PLAN_BYTES {
            return Err(PlanError::TooLong);
        }
        let value = serde_json::from_slice(text).map_err(|_| PlanError::NotJson)?;
        Self::of(json::steps(&value))
    }

    /// Read the rows of an EXPLAIN in the form of a table: for each row its columns by name.
    ///
    /// # Errors
    ///
    /// If no row reads a table.
    pub fn from_rows<R, C>(rows: R) -> Result<Self, PlanError>
    where
        R: IntoIterator<Item = C>,
        C: IntoIterator<Item = (String, Option<String>)>,
    {
        let steps = rows.into_iter().take(STEPS).filter_map(step).collect();
        Self::of(steps)
    }

    /// Read the `# explain:` lines of MariaDB's slow log, the first of which names the columns.
    ///
    /// # Errors
    ///
    /// If no line reads a table.
    pub fn from_slow_log(lines: &[u8]) -> Result<Self, PlanError> {
        if lines.len() > PLAN_BYTES {
            return Err(PlanError::TooLong);
        }
        let text = String::from_utf8_lossy(lines);
        let lines = text
            .lines()
            .filter_map(|line| line.trim_start().strip_prefix("# explain:"));
        let mut lines = lines.map(|line| line.trim_matches([' ', '\r']).split('\t'));
        let names: Vec<String> = match lines.next() {
            Some(names) => names.map(|name| name.trim().to_owned()).collect(),
            None => return Err(PlanError::NoSteps),
        };
        let row = |values: std::str::Split<'_, char>| {
            let values = values.map(|value| (value != "NULL").then(|| value.to_owned()));
            names.iter().cloned().zip(values).collect::<Vec<_>>()
        };
        Self::from_rows(lines.map(row))
    }

    fn of(mut steps: Vec<Step>) -> Result<Self, PlanError> {
        steps.truncate(STEPS);
        match steps.is_empty() {
            true => Err(PlanError::NoSteps),
            false => Ok(Self { steps }),
        }
    }

    /// How many rows the statement reads by this plan, an estimate: each step reads its rows once for
    /// each row that the steps before it in the same SELECT kept.
    pub fn rows_examined(&self) -> f64 {
        self.examined(|step| step.rows)
    }

    fn examined(&self, rows: impl Fn(&Step) -> f64) -> f64 {
        let mut examined = 0.0;
        // By SELECT: how often the next step is run.
        let mut times = std::collections::BTreeMap::<u32, f64>::new();
        for step in &self.steps {
            let times = times.entry(step.select).or_insert(1.0);
            if !step.is_made() {
                examined += *times * rows(step);
            }
            // Less than a row on average still leaves the next step something to do at times.
            *times *= (step.rows * step.filtered / 100.0).max(0.01);
        }
        examined
    }

    /// What an index on `table` (as the plan names it) would save: rows read now, and with an index that
    /// finds just `matching` rows each time. Both are estimates. Nothing if the table is not read as a
    /// whole, or if it would save nothing.
    ///
    /// `matching` is the caller's if it is known (rows that such statements sent); otherwise what the
    /// plan says is kept, which servers without histograms guess.
    pub fn saving(&self, table: &str, matching: Option<f64>) -> Option<(f64, f64)> {
        let is_it = |step: &Step| {
            step.table.eq_ignore_ascii_case(table)
                && matches!(step.access, Access::All | Access::Index)
        };
        self.steps.iter().find(|step| is_it(step))?;
        let before = self.rows_examined();
        let after = self.examined(|step| match is_it(step) {
            true => matching
                .unwrap_or(step.rows * step.filtered / 100.0)
                .clamp(1.0, step.rows.max(1.0)),
            false => step.rows,
        });
        (after < before).then_some((before, after))
    }

    /// What is wrong with it, in words, the steps in their order.
    pub fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        for step in self.steps.iter().filter(|step| !step.is_made()) {
            let table = &step.table;
            let rows = units::format_count(step.rows.clamp(0.0, 1e15) as u64);
            let is_much = step.rows >= FEW_ROWS;
            match (step.access, &step.key) {
                (Access::All, _) if is_much => {
                    problems.push(format!("reads all of {table}, about {rows} rows"));
                }
                (Access::Index, Some(key)) if is_much && !step.using_index => problems.push(format!(
                    "reads {table} in the order of index {key}, about {rows} rows, none of which is found by it"
                )),
                (Access::Index, Some(key)) if is_much => {
                    problems.push(format!("reads all of index {key} of {table}, about {rows} entries"));
                }
                (Access::IndexMerge, _) => {
                    problems.push(format!("merges several indexes of {table}: one over all its columns is better"));
                }
                _ => {}
            }
            if step.join_buffer {
                problems.push(format!(
                    "joins {table} without an index, comparing each row with each"
                ));
            }
            if step.filesort && is_much {
                problems.push(format!("sorts what it found ({table} first)"));
            }
            if step.temporary && is_much {
                problems.push(format!("puts rows of {table} in a temporary table"));
            }
        }
        problems
    }

    /// Whether an index of this name is used.
    pub fn uses(&self, key: &str) -> bool {
        let mut keys = self.steps.iter().filter_map(|step| step.key.as_ref());
        // `index_merge` lists several.
        keys.any(|own| {
            own.split(',')
                .any(|one| one.trim_start().eq_ignore_ascii_case(key))
        })
    }
}

/// A row of the table.
fn step(columns: impl IntoIterator<Item = (String, Option<String>)>) -> Option<Step> {
    let mut step = Step {
        filtered: 100.0,
        ..Step::default()
    };
    let mut has_access = false;
    for (name, value) in columns {
        let Some(value) = value.filter(|value| !value.is_empty()) else {
            continue;
        };
        let number = || {
            value
                .trim()
                .parse::<f64>()
                .ok()
                .filter(|it| it.is_finite() && *it >= 0.0)
        };
        match name.to_ascii_lowercase().as_str() {
            "id" => step.select = value.trim().parse().unwrap_or(0),
            "table" => step.table = value,
            "type" => {
                step.access = Access::of(&value);
                has_access = true;
            }
            "key" => step.key = Some(value),
            "rows" => step.rows = number().unwrap_or(0.0),
            "r_rows" => step.seen_rows = number(),
            "filtered" => step.filtered = number().unwrap_or(100.0).min(100.0),
            "extra" => {
                let has = |what: &str| value.contains(what);
                step.filesort = has("Using filesort");
                step.temporary = has("Using temporary");
                // Not `Using index condition`.
                step.using_index = value.split(';').any(|it| {
                    let it = it.trim();
                    it == "Using index"
                        || it.starts_with("Using index for")
                        || it.ends_with("; Using index")
                });
                step.join_buffer = has("Using join buffer");
            }
            _ => {}
        }
    }
    (has_access && !step.table.is_empty()).then_some(step)
}
