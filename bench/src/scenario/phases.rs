//! `[[phase]]`: what happens one after the other.

use std::time::Duration;

use super::error::ScenarioError;
use super::model::{KindSpec, LoadSpec, PhaseKind, PhaseSpec};
use super::table::{Complain, Item, MAX_NAME, Table};
use super::users;
use crate::score::ScoreRules;

type Result<T> = std::result::Result<T, ScenarioError>;

/// Phases of a scenario, and kinds of users in a phase.
const MAX: usize = 64;

/// No phase is longer.
const DAY: Duration = Duration::from_secs(24 * 3600);

/// Time that passes at least, where none would be a mistake.
pub(super) const SOME: Duration = Duration::from_millis(1);

/// Keys of all phases, of function phases and of load phases.
const KEYS: [&str; 8] = [
    "name",
    "run",
    "time_limit",
    "duration",
    "stop_new",
    "drain",
    "counts",
    "users",
];

/// Read all phases of the file.
pub(super) fn phases(root: &Table<'_>, score: &ScoreRules) -> Result<Vec<PhaseSpec>> {
    let example = "[[phase]], name = \"load\", duration = \"60s\" and [phase.users.NAME]";
    let item = root.need("phase", example)?;
    let mut phases: Vec<PhaseSpec> = Vec::new();
    for item in item.array(MAX, "[[phase]], with two brackets")? {
        let table = item.table("[[phase]]")?;
        let phase = phase(&table, score)?;
        if let Some(first) = phases.iter().find(|other| other.name == phase.name) {
            return Err(table.error(format_args!(
                "the phase of line {} is called `{}` as well; give one another name",
                first.line, first.name
            )));
        }
        phases.push(phase);
    }
    if phases.is_empty() {
        return Err(item.error(format_args!("there is no phase; write {example}")));
    }
    Ok(phases)
}

fn phase(table: &Table<'_>, score: &ScoreRules) -> Result<PhaseSpec> {
    table.only(&KEYS)?;
    let name = table
        .need("name", "name = \"load\"")?
        .text("\"load\"", MAX_NAME)?;
    let (line, kind) = match table.get("run") {
        Some(run) => (run.line(), function(table, &run)?),
        None => (table.line(), PhaseKind::Load(load(table, score)?)),
    };
    Ok(PhaseSpec {
        name: name.to_owned(),
        line,
        kind,
    })
}

fn function(table: &Table<'_>, run: &Item<'_>) -> Result<PhaseKind> {
    for key in &KEYS[3..] {
        if let Some(item) = table.get(key) {
            return Err(item.key_error(format_args!(
                "a phase has `run` or `{key}`, not both: it runs one function once, or it has \
                 a duration and users"
            )));
        }
    }
    let time_limit = match table.get("time_limit") {
        Some(item) => item.duration(SOME, DAY)?,
        None => Duration::from_secs(10),
    };
    Ok(PhaseKind::Function {
        run: function_name(run)?,
        time_limit,
    })
}

/// A name that a function of the script can have.
pub(super) fn function_name(item: &Item<'_>) -> Result<String> {
    let name = item.text("\"initialize\"", MAX_NAME)?;
    if is_name(name) {
        return Ok(name.to_owned());
    }
    Err(item.error(format_args!(
        "`{}` is no name of a function; a name is made of letters, digits and _",
        name.escape_debug()
    )))
}

/// Whether a function of the script can be called so.
pub(super) fn is_name(name: &str) -> bool {
    !name.starts_with(|c: char| c.is_ascii_digit())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

fn load(table: &Table<'_>, score: &ScoreRules) -> Result<LoadSpec> {
    if let Some(item) = table.get("time_limit") {
        return Err(item.key_error("`time_limit` is for a phase with `run`; write `duration`"));
    }
    let duration = table
        .need(
            "duration",
            "duration = \"60s\", or run = \"FUNCTION\" to run a function once",
        )?
        .duration(SOME, DAY)?;
    let stop_new = match table.get("stop_new") {
        None => Duration::ZERO,
        Some(item) => {
            let stop_new = item.duration(Duration::ZERO, DAY)?;
            if stop_new >= duration {
                return Err(item.error(
                    "`stop_new` is as long as the phase or longer, so nothing would ever begin; \
                     make it shorter than `duration`",
                ));
            }
            stop_new
        }
    };
    let drain = match table.get("drain") {
        None => Duration::from_secs(5),
        Some(item) => item.duration(Duration::ZERO, Duration::from_secs(3600))?,
    };
    let counts = table
        .get("counts")
        .map_or(Ok(true), |item| item.boolean())?;
    let kinds = table
        .need("users", "[phase.users.NAME]")?
        .table("[phase.users.NAME]")?;
    let users: Vec<KindSpec> = kinds
        .items()
        .map(|item| users::kind(&item, duration, score))
        .collect::<Result<_>>()?;
    if users.is_empty() {
        return Err(kinds.error("a load phase needs users; write [phase.users.NAME]"));
    }
    if users.len() > MAX {
        return Err(kinds.error(format_args!("more than {MAX} kinds of users in a phase")));
    }
    Ok(LoadSpec {
        duration,
        stop_new,
        drain,
        counts,
        users,
    })
}
