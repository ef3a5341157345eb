//! What a database is asked for a digest, and what becomes of its answers.

use std::collections::BTreeMap;

use anyhow::Result;
use isukit_analyze::digest::{DigestReport, Evidence};
use isukit_analyze::sql::indexes::{Column, Index, Schema, Table};
use isukit_analyze::sql::plan::Plan;
use isukit_analyze::sql::select::select_of;
use isukit_analyze::sql::settings::Server;

use crate::mysql::{self, Answers, Question};

/// Statements that are explained: the dearest.
const MOST: usize = 20;

/// What can stand behind EXPLAIN.
const EXPLAINED: [&str; 4] = ["select", "with", "table", "("];

/// Ask the database at `url` about the dearest statements of a report.
pub(super) fn ask(url: &str, report: &DigestReport) -> Result<Evidence> {
    let mut keys = Vec::new();
    let mut questions = Vec::new();
    for group in &report.groups {
        let Some(sample) = group.sample.as_ref().filter(|_| group.sql.is_some()) else {
            continue;
        };
        let begin = sample.text.trim_start().to_lowercase();
        let statement = match EXPLAINED.iter().any(|word| begin.starts_with(word)) {
            true => Some(sample.text.clone()),
            // A read-only session does not even explain what writes.
            false => {
                select_of(sample.text.as_bytes()).filter(|select| !select.starts_with("VALUES"))
            }
        };
        if let Some(statement) = statement.filter(|_| !sample.is_cut && keys.len() < MOST) {
            keys.push(group.key.clone());
            questions.push(Question {
                database: sample.database.clone(),
                statement,
            });
        }
    }
    Ok(evidence(keys, mysql::ask(url, &questions)?))
}

fn evidence(keys: Vec<String>, answers: Answers) -> Evidence {
    let plan = |rows: Result<Vec<mysql::TextRow>, String>| {
        rows.and_then(|rows| Plan::from_rows(rows).map_err(|error| error.to_string()))
    };
    let schemas = schemas(&answers);
    let data_bytes = answers.tables.iter().map(|table| table.bytes).sum();
    Evidence {
        plans: keys
            .into_iter()
            .zip(answers.plans.into_iter().map(plan))
            .collect(),
        schemas,
        database: answers.database,
        server: Server {
            variables: answers.variables,
            status: answers.status,
            data_bytes: (!answers.tables.is_empty()).then_some(data_bytes),
        },
        version: answers.version,
        missing: answers.missing,
    }
}

fn schemas(answers: &Answers) -> BTreeMap<String, Schema> {
    let mut tables: BTreeMap<(&str, &str), Table> = BTreeMap::new();
    for info in &answers.tables {
        let table = tables.entry((&info.database, &info.table)).or_default();
        table.name.clone_from(&info.table);
        table.rows = Some(info.rows);
    }
    for [database, table, name, data_type] in &answers.columns {
        if let Some(table) = tables.get_mut(&(database.as_str(), table.as_str())) {
            table.columns.push(Column {
                name: name.clone(),
                data_type: data_type.to_lowercase(),
            });
        }
    }
    for column in &answers.indexes {
        let Some(table) = tables.get_mut(&(column.database.as_str(), column.table.as_str())) else {
            continue;
        };
        match table
            .indexes
            .iter_mut()
            .find(|index| index.name == column.index)
        {
            Some(index) => index.columns.push(column.column.clone()),
            None => table.indexes.push(Index {
                name: column.index.clone(),
                columns: vec![column.column.clone()],
                is_unique: column.is_unique,
            }),
        }
    }
    let mut schemas: BTreeMap<String, Schema> = BTreeMap::new();
    for ((database, _), table) in tables {
        schemas
            .entry(database.to_owned())
            .or_default()
            .tables
            .push(table);
    }
    schemas
}
