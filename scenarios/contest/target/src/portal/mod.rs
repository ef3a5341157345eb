//! What the portal does: a file for each thing that people and workers talk to it about.

pub(crate) mod accounts;
pub(crate) mod clarifications;
pub(crate) mod dashboard;
pub(crate) mod initialize;
pub(crate) mod jobs;
pub(crate) mod leaderboard;
pub(crate) mod limits;
pub(crate) mod notifications;
pub(crate) mod person;
pub(crate) mod teams;
pub(crate) mod worker;
