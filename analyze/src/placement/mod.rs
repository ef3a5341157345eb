//! Which service should live on which node, and how much throughput that gives.

mod advice;
mod evidence;
mod flow;
pub mod limits;
mod model;
mod plan;
mod read;
mod recipes;
mod report;
mod search;

pub use advice::{Step, limit};
pub use evidence::{Evidence, EvidenceError, Named, Seen};
pub use model::{Bottleneck, Prediction, predict};
pub use plan::{Call, Node, Placement, Plan, Pool, Service};
pub use read::{PlanError, read};
pub use recipes::{Recipe, recipes};
pub use report::{Json, Report, SCHEMA, assignment};
pub use search::{Ranking, rank};

#[cfg(test)]
mod tests;
