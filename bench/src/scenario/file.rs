//! `scenario.toml` to the model.

use std::path::Path;

use super::error::ScenarioError;
use super::model::Scenario;

/// Name of the file in a scenario's folder.
pub(super) const FILE: &str = "scenario.toml";

pub(super) fn load(folder: &Path) -> Result<Scenario, ScenarioError> {
    Err(ScenarioError::Read {
        file: folder.join(FILE),
        cause: "reading is not written yet".to_owned(),
    })
}
