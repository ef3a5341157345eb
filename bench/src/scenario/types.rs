//! Definitions that editors check scripts against (`isukit run FOLDER --types DIR`).

use std::path::{Path, PathBuf};

use super::error::ScenarioError;
use super::model::Scenario;

/// The host's own functions and types.
const HOST: &str = include_str!("script/isukit.d.luau");

/// Write `isukit.d.luau` into `dir`.
///
/// # Errors
/// When a file cannot be written.
pub fn write(_scenario: &Scenario, dir: &Path) -> Result<Vec<PathBuf>, ScenarioError> {
    let failed = |error: std::io::Error| ScenarioError::new(dir, error.to_string());
    std::fs::create_dir_all(dir).map_err(failed)?;
    let path = dir.join("isukit.d.luau");
    std::fs::write(&path, HOST).map_err(failed)?;
    Ok(vec![path])
}
