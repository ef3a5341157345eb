//! Definitions that editors check scripts against (`isukit run FOLDER --types DIR`).
//!
//! One file holds both what isukit gives to every script and what the scenario adds: definition
//! files see each other's types in some checkers only, and one file is one line of set-up.

mod protos;

use std::fmt::Write;
use std::path::{Path, PathBuf};

use isukit_proto::Schema;

use super::error::ScenarioError;
use super::model::{PhaseKind, Scenario};
use protos::Protos;

/// The host's own functions and types.
const HOST: &str = include_str!("script/isukit.d.luau");

/// The name of the file that is written.
const FILE: &str = "isukit.d.luau";

/// Write `isukit.d.luau` into `dir`, which is made if it is not there: the host's functions, and the
/// scenario's message types, score tags, kinds of users and feeds.
///
/// # Errors
/// When the scenario's `.proto` files are wrong or the file cannot be written.
pub fn write(scenario: &Scenario, dir: &Path) -> Result<Vec<PathBuf>, ScenarioError> {
    let schema = match &scenario.proto {
        None => None,
        Some(proto) => Some(
            Schema::compile(&proto.roots)
                .map_err(|error| ScenarioError::new(&scenario.folder, error.to_string()))?,
        ),
    };
    let text = definitions(scenario, schema.as_ref());
    let failed = |error: std::io::Error| ScenarioError::new(dir, error.to_string());
    std::fs::create_dir_all(dir).map_err(failed)?;
    let path = dir.join(FILE);
    std::fs::write(&path, text).map_err(failed)?;
    Ok(vec![path])
}

/// The whole text for one scenario.
fn definitions(scenario: &Scenario, schema: Option<&Schema>) -> String {
    let mut kinds: Vec<&str> = Vec::new();
    for phase in &scenario.phases {
        if let PhaseKind::Load(load) = &phase.kind {
            for kind in &load.users {
                if !kinds.contains(&&*kind.name) {
                    kinds.push(&kind.name);
                }
            }
        }
    }
    let protos = schema.map(Protos::new);
    let error = scenario.proto.as_ref().and_then(|proto| {
        let message = schema?.message(proto.error.as_deref()?).ok()?;
        protos.as_ref()?.class(message.full_name())
    });
    let feeds = scenario.feeds.iter().map(|(name, _)| &**name);
    let mut text = HOST.to_owned();
    set(&mut text, "ScoreTag", one_of(scenario.tags()));
    set(&mut text, "UserKind", one_of(kinds.into_iter()));
    set(&mut text, "FeedName", one_of(feeds));
    set(&mut text, "ErrorMessage", error.map(str::to_owned));
    if let Some(protos) = &protos {
        protos.write(&mut text);
    }
    text
}

/// Give the alias `name` of the host's definitions another meaning.
fn set(text: &mut String, name: &str, meaning: Option<String>) {
    let head = format!("export type {name} = ");
    let Some((meaning, start)) = meaning.zip(text.find(&head)) else {
        return;
    };
    let start = start + head.len();
    let end = text[start..].find('\n').map_or(text.len(), |at| start + at);
    text.replace_range(start..end, &meaning);
}

/// A union of the names as literals; `None` when there are none.
fn one_of<'n>(names: impl Iterator<Item = &'n str>) -> Option<String> {
    let names: Vec<String> = names.map(quoted).collect();
    (!names.is_empty()).then(|| names.join(" | "))
}

/// A string of Luau.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => {
                let _ = write!(quoted, "\\u{{{:x}}}", u32::from(c));
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests;
