//! What a database adds to a digest: plans, its tables, its settings.

use std::collections::BTreeMap;

use serde::Serialize;

use super::groups::{GroupReport, SampleReport, StatementsReport};
use crate::sql::indexes::Schema;
use crate::sql::plan::{Access, Plan, Step};
use crate::sql::settings::{Server, review};

/// What a database said.
#[derive(Debug, Clone, Default)]
pub struct Evidence {
    /// The server's version.
    pub version: String,
    /// Its tables, by database.
    pub schemas: BTreeMap<String, Schema>,
    /// The database that is asked when a statement's own is not known.
    pub database: String,
    /// Plans by the names of statements' groups, or why there is none.
    pub plans: BTreeMap<String, Result<Plan, String>>,
    /// Its settings.
    pub server: Server,
    /// What could not be asked, and why.
    pub missing: Vec<String>,
}

impl Evidence {
    /// The tables of a database; of the one that was asked when its name is empty.
    pub(super) fn schema(&self, database: &str) -> Option<&Schema> {
        let name = if database.is_empty() {
            &self.database
        } else {
            database
        };
        self.schemas.get(name)
    }
}

/// How one table of a statement is read.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StepReport {
    /// The table as the statement calls it.
    pub table: String,
    /// `all`, `index`, `range`, `index_merge`, `fulltext`, `ref`, `eq_ref`, `const` or `other`.
    pub access: &'static str,
    /// The index.
    pub key: Option<String>,
    /// Rows that are read each time, as the server estimates them.
    pub rows: f64,
    /// Of these, how many are kept, 0 to 100, as the server estimates them.
    pub filtered: f64,
    /// Whether rows are sorted, here or behind this step.
    pub filesort: bool,
    /// Whether a temporary table is made, here or behind this step.
    pub temporary: bool,
    /// Whether the index holds all that is needed.
    pub using_index: bool,
}

/// How a statement is run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PlanReport {
    /// `explain`: a server was asked; `slow_log`: MariaDB logged it.
    pub source: &'static str,
    /// The tables in their order.
    pub steps: Vec<StepReport>,
    /// Rows that are read, as the server estimates them.
    pub rows_examined: f64,
    /// What is wrong with it.
    pub problems: Vec<String>,
}

/// What a server should have set otherwise.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SettingReport {
    /// The variable.
    pub name: String,
    /// What it is.
    pub value: String,
    /// What to do.
    pub advice: String,
    /// What for.
    pub why: String,
    /// What is lost when the machine fails, if speed is bought with safety.
    pub risk: Option<String>,
}

/// What a database said of itself.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DatabaseReport {
    /// The server's version.
    pub version: String,
    /// Settings worth a word, what most affects speed first.
    pub settings: Vec<SettingReport>,
    /// What could not be asked, and why.
    pub missing: Vec<String>,
}

impl DatabaseReport {
    pub(super) fn of(evidence: &Evidence) -> Self {
        let settings = review(&evidence.server).into_iter();
        Self {
            version: evidence.version.clone(),
            settings: settings
                .map(|it| SettingReport {
                    name: it.name,
                    value: it.value,
                    advice: it.advice,
                    why: it.why,
                    risk: it.risk,
                })
                .collect(),
            missing: evidence.missing.clone(),
        }
    }
}

fn access_name(access: Access) -> &'static str {
    match access {
        Access::All => "all",
        Access::Index => "index",
        Access::Range => "range",
        Access::IndexMerge => "index_merge",
        Access::Fulltext => "fulltext",
        Access::Ref => "ref",
        Access::EqRef => "eq_ref",
        Access::Const => "const",
        Access::Other => "other",
    }
}

fn step_report(step: &Step) -> StepReport {
    StepReport {
        table: step.table.clone(),
        access: access_name(step.access),
        key: step.key.clone(),
        rows: step.rows,
        filtered: step.filtered,
        filesort: step.filesort,
        temporary: step.temporary,
        using_index: step.using_index,
    }
}

/// Give a statement its plan: the server's own, or the one that its log has. What its indexes would save
/// is told with it.
pub(super) fn plan(group: &mut GroupReport, evidence: Option<&Evidence>) {
    let asked = evidence.and_then(|evidence| evidence.plans.get(&group.key));
    let (Some(sql), Some(sample)) = (&mut group.sql, &group.sample) else {
        return;
    };
    let (source, plan) = match asked {
        Some(Ok(plan)) => ("explain", plan.clone()),
        Some(Err(why)) => {
            sql.plan_error = Some(why.clone());
            return;
        }
        None => match logged(sample) {
            Some(plan) => ("slow_log", plan),
            None => return,
        },
    };
    savings(sql, &plan, &sample.text, group.count);
    sql.plan = Some(PlanReport {
        source,
        steps: plan.steps.iter().map(step_report).collect(),
        rows_examined: plan.rows_examined(),
        problems: plan.problems(),
    });
}

fn logged(sample: &SampleReport) -> Option<Plan> {
    (!sample.plan.is_empty())
        .then(|| Plan::from_slow_log(sample.plan.as_bytes()).ok())
        .flatten()
}

fn savings(sql: &mut StatementsReport, plan: &Plan, text: &str, count: u64) {
    let matching = (sql.rows_sent + sql.rows_affected) as f64 / count.max(1) as f64;
    let words: Vec<&str> = text
        .split(|c: char| c.is_whitespace() || matches!(c, ',' | '(' | ')' | ';'))
        .map(|word| word.trim_matches('`'))
        .filter(|word| !word.is_empty() && !word.eq_ignore_ascii_case("as"))
        .collect();
    for index in &mut sql.indexes {
        // A plan calls a table by its alias, which stands behind its name.
        let is_alias = |name: &str| {
            words.windows(2).any(|pair| {
                pair[0].eq_ignore_ascii_case(&index.table) && pair[1].eq_ignore_ascii_case(name)
            })
        };
        let names = plan.steps.iter().map(|step| step.table.as_str());
        let called = names
            .clone()
            .find(|name| name.eq_ignore_ascii_case(&index.table));
        let called = called.or_else(|| names.clone().find(|name| is_alias(name)));
        let saving = called.and_then(|name| plan.saving(name, Some(matching.max(1.0))));
        index.rows_before = saving.map(|(before, _)| before);
        index.rows_after = saving.map(|(_, after)| after);
    }
}
