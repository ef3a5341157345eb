//! Scenarios: a folder with `scenario.toml`, a script and what they use.
//!
//! | file | idea |
//! | --- | --- |
//! | `model` | what a scenario says, checked |
//! | `file`, `phases`, `users`, `rules` | `scenario.toml` to the model |
//! | `table` | one TOML table: typed reads, unknown keys, lines |
//! | `folder` | paths that stay in the folder |
//! | `route` | patterns for paths, and names for paths with ids in them |
//! | `plan` | a scenario to what the engine runs |
//! | `record` | captured exchanges to a scenario |
//! | `script` | the script's users, on the engine |
//! | `types` | definitions for editors |
//! | `error` | a file, a line and what is wrong there |

pub mod error;
mod file;
mod folder;
pub mod model;
mod phases;
pub mod plan;
pub mod record;
pub mod route;
mod rules;
pub mod script;
mod table;
#[cfg(test)]
mod tests;
pub mod types;
mod users;

pub use error::ScenarioError;
pub use model::Scenario;
pub use route::{RoutePattern, route_of};
