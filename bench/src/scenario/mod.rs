//! Scenarios: a folder with `scenario.toml`, a script and what they use.
//!
//! | file | idea |
//! | --- | --- |
//! | `model` | what a scenario says, checked |
//! | `file`, `phases`, `rules` | `scenario.toml` to the model |
//! | `table` | one TOML table: typed reads, unknown keys, lines |
//! | `folder` | paths that stay in the folder |
//! | `route` | patterns for paths, and names for paths with ids in them |
//! | `script` | the script's users, on the engine |
//! | `error` | a file, a line and what is wrong there |

pub mod error;
mod file;
pub mod model;
pub mod route;
pub mod script;

pub use error::ScenarioError;
pub use model::Scenario;
pub use route::{RoutePattern, route_of};
